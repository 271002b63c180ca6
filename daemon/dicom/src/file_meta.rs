//! The part of a Part 10 file's meta information that is needed to send the file (PS3.10 section 7.1). The data set is
//! not parsed: it is sent unchanged.

use std::io::{self, Read};

/// What precedes the data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMeta {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    /// Bytes from the start of the file to the data set.
    pub data_set_offset: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("not a Part 10 file: the DICM prefix is missing")]
    NoPrefix,
    #[error("the file meta information is malformed")]
    Broken,
    #[error("the file meta information does not name the {0}")]
    Missing(&'static str),
}

/// Bytes before the DICM prefix (PS3.10 section 7.1).
const PREAMBLE: usize = 128;
/// Longest value that is accepted, bytes; real values in group 0002 are far shorter.
const MAX_ELEMENT: u32 = 1024 * 1024;

/// Reads the file meta information; may read a few bytes of the data set.
///
/// # Errors
/// When this is not a Part 10 file, or a UID that C-STORE needs is missing.
pub fn read(source: &mut impl Read) -> Result<FileMeta, Error> {
    let mut start = [0; PREAMBLE + 4];
    if read_up_to(source, &mut start)? < start.len() || !start.ends_with(b"DICM") {
        return Err(Error::NoPrefix);
    }
    let mut offset = start.len() as u64;
    // End of the group according to its length (0002,0000). After it, bytes that look like group 0002 belong to a
    // deflated data set.
    let mut end = None;
    let mut class = String::new();
    let mut instance = String::new();
    let mut syntax = String::new();
    while end.is_none_or(|end| offset < end) {
        let mut head = [0; 8];
        if read_up_to(source, &mut head)? < head.len() {
            break;
        }
        let [g0, g1, e0, e1, v0, v1, l0, l1] = head;
        if [g0, g1] != [2, 0] {
            break;
        }
        let mut length = u32::from(u16::from_le_bytes([l0, l1]));
        let mut head_length = 8;
        if matches!(&[v0, v1], b"OB" | b"OW" | b"UN" | b"UT" | b"SQ" | b"UC" | b"UR") {
            let mut long = [0; 4];
            source.read_exact(&mut long).map_err(|_| Error::Broken)?;
            length = u32::from_le_bytes(long);
            head_length = 12;
        }
        if length > MAX_ELEMENT {
            return Err(Error::Broken);
        }
        let mut value = vec![0; length as usize];
        source.read_exact(&mut value).map_err(|_| Error::Broken)?;
        offset += head_length + u64::from(length);
        match u16::from_le_bytes([e0, e1]) {
            0x0000 => end = value.first_chunk().map(|bytes| offset + u64::from(u32::from_le_bytes(*bytes))),
            0x0002 => class = crate::text::plain_text(&value),
            0x0003 => instance = crate::text::plain_text(&value),
            0x0010 => syntax = crate::text::plain_text(&value),
            _ => {}
        }
    }
    let named = |uid: String, what| if uid.is_empty() { Err(Error::Missing(what)) } else { Ok(uid) };
    Ok(FileMeta {
        sop_class_uid: named(class, "SOP class")?,
        sop_instance_uid: named(instance, "SOP instance")?,
        transfer_syntax_uid: named(syntax, "transfer syntax")?,
        data_set_offset: offset,
    })
}

fn read_up_to(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(number: u16, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let mut out = vec![2, 0];
        out.extend(number.to_le_bytes());
        out.extend(vr);
        out.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        out.extend(value);
        out
    }

    fn file(group_length: Option<u32>, data_set: &[u8]) -> Vec<u8> {
        let mut meta = element(2, b"UI", b"1.2.840\0");
        meta.extend(element(3, b"UI", b"1.2.3\0"));
        meta.extend(element(0x10, b"UI", b"1.2.840.10008.1.2.1\0"));
        let mut out = vec![0; 128];
        out.extend(b"DICM");
        if let Some(length) = group_length {
            out.extend(element(0, b"UL", &length.to_le_bytes()));
        }
        out.extend(meta);
        out.extend(data_set);
        out
    }

    #[test]
    fn the_data_set_begins_where_group_2_ends_with_or_without_a_group_length() {
        let data_set = [8, 0, 5, 0, b'C', b'S', 0, 0];
        for group_length in [None, Some(16 + 14 + 28)] {
            let bytes = file(group_length, &data_set);
            let meta = read(&mut bytes.as_slice()).unwrap();
            assert_eq!(&bytes[usize::try_from(meta.data_set_offset).unwrap()..], data_set);
            assert_eq!((meta.sop_class_uid.as_str(), meta.sop_instance_uid.as_str()), ("1.2.840", "1.2.3"));
        }
    }

    #[test]
    fn compressed_bytes_that_look_like_group_2_stay_in_the_data_set() {
        let data_set = [2, 0, 5, 0, b'C', b'S', 0, 0];
        let bytes = file(Some(16 + 14 + 28), &data_set);
        let meta = read(&mut bytes.as_slice()).unwrap();
        assert_eq!(bytes.len() as u64 - meta.data_set_offset, data_set.len() as u64);
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_or_a_whole_header_never_a_panic() {
        let bytes = file(None, &[]);
        for cut in 0..bytes.len() {
            assert!(read(&mut &bytes[..cut]).is_err(), "{cut}");
        }
        assert!(read(&mut bytes.as_slice()).is_ok());
    }
}
