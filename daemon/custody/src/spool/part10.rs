//! The file header that precedes every data set: preamble, DICM, file meta information (PS3.10 7.1).

use dicom::implementation::{CLASS_UID, VERSION_NAME};

/// Longest value, bytes. Values come from the peer; each is cut to a length that its 16-bit length field can hold.
const LONGEST: usize = 256;

pub(super) fn head(sop_class: &str, sop_instance: &str, transfer_syntax: &str, calling_ae: &str) -> Vec<u8> {
    let mut group = Vec::with_capacity(384);
    element(&mut group, 0x0001, *b"OB", &[0, 1], 0);
    element(&mut group, 0x0002, *b"UI", sop_class.as_bytes(), 0);
    element(&mut group, 0x0003, *b"UI", sop_instance.as_bytes(), 0);
    element(&mut group, 0x0010, *b"UI", transfer_syntax.as_bytes(), 0);
    element(&mut group, 0x0012, *b"UI", CLASS_UID.as_bytes(), 0);
    element(&mut group, 0x0013, *b"SH", VERSION_NAME.as_bytes(), b' ');
    element(&mut group, 0x0016, *b"AE", calling_ae.as_bytes(), b' ');
    let mut head = vec![0; 128];
    head.extend(b"DICM");
    element(&mut head, 0x0000, *b"UL", &group.len().to_le_bytes()[..4], 0);
    head.extend(group);
    head
}

fn element(out: &mut Vec<u8>, element: u16, vr: [u8; 2], value: &[u8], padding: u8) {
    let value = &value[..value.len().min(LONGEST)];
    let length = value.len().next_multiple_of(2);
    // The length is at most LONGEST, so its two low bytes hold it.
    let short = [length.to_le_bytes()[0], length.to_le_bytes()[1]];
    out.extend(0x0002_u16.to_le_bytes());
    out.extend(element.to_le_bytes());
    out.extend(vr);
    if vr == *b"OB" {
        out.extend([0, 0]);
        out.extend(short);
        out.extend([0, 0]);
    } else {
        out.extend(short);
    }
    out.extend(value);
    out.resize(out.len() + length - value.len(), padding);
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use dicom::scan;

    #[test]
    fn the_head_reads_back_and_ends_where_the_data_set_begins() {
        let mut file = head("1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2.1", "CT1");
        let length = file.len();
        file.extend([0x08, 0x00]);
        let meta = scan::meta(Cursor::new(file)).unwrap();
        assert_eq!(meta.data_set_offset, length as u64);
        assert_eq!(meta.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
        assert_eq!(meta.sop_instance_uid, "1.2.3");
        assert_eq!(meta.transfer_syntax_uid, "1.2.840.10008.1.2.1");
        assert!(VERSION_NAME.len() <= 16);
        let head = head("1.2.3", "1.2.4", "1.2.840.10008.1.2", "CT1");
        let says = |text: &str| head.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert!(says(dicom::implementation::CLASS_UID) && says(dicom::implementation::VERSION_NAME));
    }
}
