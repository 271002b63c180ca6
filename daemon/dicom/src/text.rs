//! Text from a peer, made safe to compare and to log.

/// Text from a peer as it may be compared and logged: trimmed of spaces and NUL, anything but printable ASCII replaced.
pub fn plain_text(value: &[u8]) -> String {
    let printable = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' };
    let end = value.iter().rposition(|byte| *byte != 0 && *byte != b' ').map_or(0, |last| last + 1);
    value[..end].iter().map(printable).collect::<String>().trim().to_owned()
}
