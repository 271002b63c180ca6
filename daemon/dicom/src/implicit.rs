//! A data set from Explicit to Implicit VR Little Endian, as a stream: values are copied byte by byte, so that text keeps its
//! character set; memory does not grow with the object.
//!
//! Sequences and items leave with undefined length, because their lengths change with the headers inside. Group lengths
//! are left out: they would be wrong. A VR that is not in the reader's dictionary (private attributes) is lost, as always in
//! Implicit VR.

use std::io::{self, Read, Write};

use crate::scan::MAX_DEPTH;

const UNDEFINED: u32 = u32::MAX;
const ITEM: (u16, u16) = (0xfffe, 0xe000);
const ITEM_END: (u16, u16) = (0xfffe, 0xe00d);
const SEQUENCE_END: (u16, u16) = (0xfffe, 0xe0dd);
/// VRs with a length of 16 bits (PS3.5 section 7.1.2); all others, also those to come, have 32.
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
    b"ST", b"TM", b"UI", b"UL", b"US",
];
/// Bytes of a value that are copied at once.
const COPY: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("malformed at byte {offset} of the data set: {what}")]
    Malformed { offset: u64, what: &'static str },
    #[error("truncated at byte {offset} of the data set")]
    Truncated { offset: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reads a data set in Explicit VR Little Endian, without file meta, to its end and writes it in Implicit VR Little Endian.
///
/// # Errors
/// When the input is not such a data set, holds compressed pixels, or reading or writing fails.
pub fn from_explicit(from: impl Read, to: impl Write) -> Result<(), Error> {
    Transcoder { from, to, offset: 0, open: Vec::new(), buffer: vec![0; COPY] }.run()
}

/// What has begun and not ended.
struct Open {
    is_item: bool,
    /// Offset of its end, where it was given as a length.
    end: Option<u64>,
    /// Inside a value of unknown VR and undefined length: implicit VR already (PS3.5 section 6.2.2).
    implicit: bool,
}

struct Transcoder<R, W> {
    from: R,
    to: W,
    offset: u64,
    open: Vec<Open>,
    buffer: Vec<u8>,
}

impl<R: Read, W: Write> Transcoder<R, W> {
    fn run(mut self) -> Result<(), Error> {
        loop {
            self.close_what_is_full()?;
            let Some(tag) = self.tag()? else { break };
            match self.open.last() {
                Some(Open { is_item: false, implicit, .. }) => {
                    let implicit = *implicit;
                    self.in_sequence(tag, implicit)?;
                }
                Some(Open { is_item: true, end, .. }) if tag == ITEM_END => {
                    if end.is_some() {
                        return Err(self.malformed("an item of known length has a delimiter"));
                    }
                    self.number()?;
                    self.close()?;
                }
                _ if tag.0 == ITEM.0 => return Err(self.malformed("an item or delimiter outside a sequence")),
                Some(Open { implicit: true, .. }) => self.implicit_element(tag)?,
                _ => self.explicit_element(tag)?,
            }
        }
        self.to.flush()?;
        Ok(())
    }

    /// Ends what has reached its given length.
    fn close_what_is_full(&mut self) -> Result<(), Error> {
        while let Some(end) = self.open.last().and_then(|open| open.end) {
            match end {
                end if end == self.offset => self.close()?,
                end if end < self.offset => return Err(self.malformed("a value reaches beyond its sequence or item")),
                _ => break,
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        if let Some(open) = self.open.pop() {
            self.header(if open.is_item { ITEM_END } else { SEQUENCE_END }, 0)?;
        }
        Ok(())
    }

    fn in_sequence(&mut self, tag: (u16, u16), implicit: bool) -> Result<(), Error> {
        let length = self.number()?;
        match tag {
            ITEM => self.begin(ITEM, true, length, implicit),
            SEQUENCE_END if self.open.last().is_some_and(|open| open.end.is_none()) => self.close(),
            _ => Err(self.malformed("a sequence holds something other than items")),
        }
    }

    fn begin(&mut self, tag: (u16, u16), is_item: bool, length: u32, implicit: bool) -> Result<(), Error> {
        // A sequence and its item are two.
        if self.open.len() >= 2 * MAX_DEPTH {
            return Err(self.malformed("nested too deeply"));
        }
        let end = (length != UNDEFINED).then(|| self.offset + u64::from(length));
        self.open.push(Open { is_item, end, implicit });
        self.header(tag, UNDEFINED)
    }

    fn implicit_element(&mut self, tag: (u16, u16)) -> Result<(), Error> {
        match self.number()? {
            UNDEFINED => self.begin(tag, false, UNDEFINED, true),
            // Sequences of known length, too: they are implicit inside.
            length => self.value(tag, length),
        }
    }

    fn explicit_element(&mut self, tag: (u16, u16)) -> Result<(), Error> {
        let [v, r, low, high] = self.bytes()?;
        let vr = [v, r];
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(self.malformed("an element has no VR"));
        }
        let length = if SHORT.contains(&&vr) { u32::from(u16::from_le_bytes([low, high])) } else { self.number()? };
        match (&vr, length) {
            (b"SQ", length) => self.begin(tag, false, length, false),
            (b"UN", UNDEFINED) => self.begin(tag, false, UNDEFINED, true),
            (_, UNDEFINED) => Err(self.malformed("a value is compressed or has no length")),
            (_, length) => self.value(tag, length),
        }
    }

    fn value(&mut self, tag: (u16, u16), length: u32) -> Result<(), Error> {
        let is_group_length = tag.1 == 0;
        if !is_group_length {
            self.header(tag, length)?;
        }
        let mut left = length as usize;
        while left > 0 {
            let part = left.min(COPY);
            self.from.read_exact(&mut self.buffer[..part]).map_err(|error| ended(error, self.offset))?;
            self.offset += part as u64;
            if !is_group_length {
                self.to.write_all(&self.buffer[..part])?;
            }
            left -= part;
        }
        Ok(())
    }

    fn header(&mut self, tag: (u16, u16), length: u32) -> Result<(), Error> {
        self.to.write_all(&tag.0.to_le_bytes())?;
        self.to.write_all(&tag.1.to_le_bytes())?;
        Ok(self.to.write_all(&length.to_le_bytes())?)
    }

    /// `None` at the end of the data set.
    fn tag(&mut self) -> Result<Option<(u16, u16)>, Error> {
        let mut first = [0];
        let count = loop {
            match self.from.read(&mut first) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if count == 0 {
            return if self.open.is_empty() { Ok(None) } else { Err(Error::Truncated { offset: self.offset }) };
        }
        let mut rest = [0; 3];
        self.from.read_exact(&mut rest).map_err(|error| ended(error, self.offset))?;
        self.offset += 4;
        let group = u16::from_le_bytes([first[0], rest[0]]);
        Ok(Some((group, u16::from_le_bytes([rest[1], rest[2]]))))
    }

    fn number(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn bytes(&mut self) -> Result<[u8; 4], Error> {
        let mut bytes = [0; 4];
        self.from.read_exact(&mut bytes).map_err(|error| ended(error, self.offset))?;
        self.offset += 4;
        Ok(bytes)
    }

    fn malformed(&self, what: &'static str) -> Error {
        Error::Malformed { offset: self.offset, what }
    }
}

fn ended(error: io::Error, offset: u64) -> Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { Error::Truncated { offset } } else { Error::Io(error) }
}

#[cfg(test)]
#[path = "../tests/support/same.rs"]
mod same;

#[cfg(test)]
mod tests {
    use dicom_core::value::{DataSetSequence, PrimitiveValue};
    use dicom_core::{DataElement, Length, Tag, VR};
    use dicom_dictionary_std::tags;
    use dicom_encoding::TransferSyntax;
    use dicom_object::InMemDicomObject;
    use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};

    use super::same::assert_same;
    use super::*;

    const ODD_TEXT: &[u8] = b"Wang^XiaoDong=\x1b$)A\xcd\xf5^\xd0\xa1\xb6\xab=";

    fn transcode(explicit: &[u8]) -> Result<Vec<u8>, Error> {
        let mut implicit = Vec::new();
        from_explicit(explicit, &mut implicit).map(|()| implicit)
    }

    fn object() -> InMemDicomObject {
        let bytes = |tag, vr, value: &[u8]| DataElement::new(tag, vr, PrimitiveValue::U8(value.into()));
        let leaf = InMemDicomObject::from_element_iter([
            DataElement::new(tags::CODE_VALUE, VR::SH, "112055"),
            DataElement::new(tags::REFERENCED_FRAME_NUMBER, VR::IS, PrimitiveValue::from("1\\2\\3")),
        ]);
        let sequence = |tag, items: Vec<InMemDicomObject>| {
            DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED))
        };
        let node = InMemDicomObject::from_element_iter([
            sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![leaf.clone()]),
            sequence(tags::CONTENT_SEQUENCE, vec![leaf.clone(), InMemDicomObject::new_empty(), leaf]),
            DataElement::new(tags::GRAPHIC_DATA, VR::FL, PrimitiveValue::F32([1.5, -2.5].as_slice().into())),
        ]);
        InMemDicomObject::from_element_iter([
            DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3"),
            DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(512_u16)),
            sequence(tags::CONTENT_SEQUENCE, vec![node.clone(), node]),
            sequence(tags::REFERENCED_SERIES_SEQUENCE, vec![]),
            bytes(Tag(0x0009, 0x1001), VR::UN, b"private!"),
            bytes(tags::ENCAPSULATED_DOCUMENT, VR::OB, &vec![7; 3 * COPY + 2]),
            bytes(tags::PIXEL_DATA, VR::OB, &vec![9; COPY]),
        ])
    }

    fn written(object: &InMemDicomObject) -> Vec<u8> {
        let mut explicit = Vec::new();
        object.write_dataset_with_ts(&mut explicit, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
        explicit
    }

    #[test]
    fn nothing_but_the_encoding_changes() {
        let explicit = written(&object());
        let implicit = transcode(&explicit).unwrap();
        // Read back, too: writing pads values to an even length.
        let read =
            |bytes: &[u8], syntax: &TransferSyntax| InMemDicomObject::read_dataset_with_ts(bytes, syntax).unwrap();
        let was = read(&explicit, &EXPLICIT_VR_LITTLE_ENDIAN.erased());
        assert_same(&was, &read(&implicit, &IMPLICIT_VR_LITTLE_ENDIAN.erased()));
    }

    /// One element, VR with a short length.
    fn short(tag: [u8; 4], vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        [&tag, vr.as_slice(), &u16::try_from(value.len()).unwrap().to_le_bytes(), value].concat()
    }

    #[test]
    fn text_keeps_its_bytes_whatever_its_character_set_and_group_lengths_go() {
        let explicit = [
            short([8, 0, 0, 0], b"UL", &[99, 0, 0, 0]),
            short([8, 0, 5, 0], b"CS", b"\\ISO 2022 IR 58 "),
            short([0x10, 0, 0x10, 0], b"PN", ODD_TEXT),
        ]
        .concat();
        let implicit = transcode(&explicit).unwrap();
        let expected = [
            b"\x08\0\x05\0\x10\0\0\0\\ISO 2022 IR 58 ".as_slice(),
            b"\x10\0\x10\0",
            &u32::try_from(ODD_TEXT.len()).unwrap().to_le_bytes(),
            ODD_TEXT,
        ]
        .concat();
        assert_eq!(implicit, expected);
    }

    #[test]
    fn known_lengths_become_delimiters_and_unknown_values_stay_as_they_are() {
        let item = short([8, 0, 0x50, 0x11], b"UI", b"1.2\0");
        let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
        let known = [
            b"\x08\0\x40\x11SQ\0\0".as_slice(),
            &length(item.len() + 8),
            b"\xfe\xff\0\xe0",
            &length(item.len()),
            &item,
        ]
        .concat();
        // Of unknown VR and length: an item of known length and one of unknown, implicit inside.
        let unknown =
            b"\xfe\xff\0\xe0\xff\xff\xff\xff\x09\0\x02\x10\x02\0\0\0ab\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0";
        let explicit = [known.as_slice(), b"\x09\0\x01\x10UN\0\0\xff\xff\xff\xff", unknown].concat();
        let expected = [
            b"\x08\0\x40\x11\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff\x08\0\x50\x11\x04\0\0\0".as_slice(),
            b"1.2\0\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0",
            b"\x09\0\x01\x10\xff\xff\xff\xff",
            unknown,
        ]
        .concat();
        assert_eq!(transcode(&explicit).unwrap(), expected);
    }

    #[test]
    fn what_is_cut_is_refused_at_every_byte() {
        let explicit = written(&InMemDicomObject::from_element_iter(object().into_iter().take(3)));
        let whole = transcode(&explicit).unwrap();
        for end in 1..explicit.len() {
            // Cut between two elements it is a shorter data set; it never becomes more than was there.
            if let Ok(part) = transcode(&explicit[..end]) {
                assert!(whole.starts_with(&part), "{end}");
            }
        }
        let compressed = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0";
        assert!(matches!(transcode(compressed), Err(Error::Malformed { .. })));
        let deep = b"\x40\0\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff".repeat(1000);
        assert!(matches!(transcode(&deep), Err(Error::Malformed { what: "nested too deeply", .. })));
    }
}
