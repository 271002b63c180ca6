//! Makes text from a peer safe to compare and to log.

/// Removes spaces and NUL at both ends and replaces everything but printable ASCII.
pub fn plain_text(value: &[u8]) -> String {
    let printable = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' };
    let end = value.iter().rposition(|byte| *byte != 0 && *byte != b' ').map_or(0, |last| last + 1);
    value[..end].iter().map(printable).collect::<String>().trim().to_owned()
}
