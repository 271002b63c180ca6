//! Writes the directory: records of patients, studies, series and files, linked by their places in the file (PS3.3 section
//! F.2). The encoding is Explicit VR Little Endian (PS3.10 section 8.6); text is in UTF-8 where it is more than ASCII.

use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::text::SpecificCharacterSet;
use dicom_encoding::transfer_syntax::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;

use super::member::put;
use super::{Error, Member};
use crate::implementation::{CLASS_UID, VERSION_NAME};

/// Bytes of the three elements that link a record: next record, in use, lower record.
const LINKS: usize = 12 + 10 + 12;
/// Tag and length of an item.
const ITEM: usize = 8;

struct Record {
    key: Vec<String>,
    /// All but the links, encoded.
    rest: Vec<u8>,
    below: Vec<Record>,
    /// Of the item in the file, bytes.
    at: usize,
}

/// The bytes of the DICOMDIR of a file-set. `uid`: its SOP Instance UID, which stays the same as long as the set does.
///
/// # Errors
/// When a key cannot be encoded.
pub fn directory(uid: &str, members: &[Member]) -> Result<Vec<u8>, Error> {
    let mut roots = Vec::new();
    for member in members {
        let of = &member.header;
        let patient_key = vec![member.patient_key.0.clone(), member.patient_key.1.clone()];
        let patient = branch(&mut roots, patient_key, "PATIENT", &member.patient)?;
        let study = branch(&mut patient.below, vec![of.study_instance_uid.clone()], "STUDY", &member.study)?;
        let series = branch(&mut study.below, vec![of.series_instance_uid.clone()], "SERIES", &member.series)?;
        let rest = encode(member.kind, &leaf(member))?;
        series.below.push(Record { key: Vec::new(), rest, below: Vec::new(), at: 0 });
    }
    let mut bytes = head(uid);
    // File-set ID, first and last root, consistency flag, and the sequence's own header.
    let begins = bytes.len() + 8 + 12 + 12 + 10 + 12;
    let ends = place(&mut roots, begins);
    let (first, last) = (roots.first().map_or(0, |one| one.at), roots.last().map_or(0, |one| one.at));
    short(&mut bytes, 0x1130, *b"CS", &[]);
    short(&mut bytes, 0x1200, *b"UL", &word(first)?);
    short(&mut bytes, 0x1202, *b"UL", &word(last)?);
    short(&mut bytes, 0x1212, *b"US", &[0, 0]);
    bytes.extend([0x04, 0x00, 0x20, 0x12]);
    bytes.extend(*b"SQ\0\0");
    bytes.extend(word(ends - begins)?);
    debug_assert_eq!(bytes.len(), begins);
    write(&mut bytes, &roots)?;
    Ok(bytes)
}

/// The record with this key, made if there is none.
fn branch<'a>(
    among: &'a mut Vec<Record>,
    key: Vec<String>,
    kind: &str,
    keys: &InMemDicomObject,
) -> Result<&'a mut Record, Error> {
    let index = match among.iter().position(|one| one.key == key) {
        Some(index) => index,
        None => {
            among.push(Record { key, rest: encode(kind, keys)?, below: Vec::new(), at: 0 });
            among.len() - 1
        }
    };
    Ok(&mut among[index])
}

fn leaf(member: &Member) -> InMemDicomObject {
    let mut keys = member.own.clone();
    let path = PrimitiveValue::Strs(member.file_id.iter().cloned().collect());
    keys.put(DataElement::new(tags::REFERENCED_FILE_ID, VR::CS, path));
    let of = &member.header;
    put(&mut keys, tags::REFERENCED_SOP_CLASS_UID_IN_FILE, VR::UI, &of.sop_class_uid);
    put(&mut keys, tags::REFERENCED_SOP_INSTANCE_UID_IN_FILE, VR::UI, &of.sop_instance_uid);
    put(&mut keys, tags::REFERENCED_TRANSFER_SYNTAX_UID_IN_FILE, VR::UI, &of.transfer_syntax_uid);
    keys
}

/// A record without its links.
fn encode(kind: &str, keys: &InMemDicomObject) -> Result<Vec<u8>, Error> {
    let mut keys = keys.clone();
    put(&mut keys, tags::DIRECTORY_RECORD_TYPE, VR::CS, kind);
    if !is_ascii(&keys) {
        put(&mut keys, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    }
    let syntax = TransferSyntaxRegistry.get(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let syntax = syntax.ok_or_else(|| Error::Write("no explicit little endian".into()))?;
    let mut bytes = Vec::new();
    keys.write_dataset_with_ts_cs(&mut bytes, syntax, SpecificCharacterSet::ISO_IR_192)
        .map_err(|error| Error::Write(error.to_string()))?;
    Ok(bytes)
}

fn is_ascii(set: &InMemDicomObject) -> bool {
    set.iter().all(|element| match element.items() {
        Some(items) => items.iter().all(is_ascii),
        None => element.to_str().is_ok_and(|text| text.is_ascii()),
    })
}

/// Gives every record its place, each followed by what is below it. Returns where they end.
fn place(records: &mut [Record], mut at: usize) -> usize {
    for record in records {
        record.at = at;
        at = place(&mut record.below, at + ITEM + LINKS + record.rest.len());
    }
    at
}

fn write(bytes: &mut Vec<u8>, records: &[Record]) -> Result<(), Error> {
    for (index, record) in records.iter().enumerate() {
        bytes.extend([0xfe, 0xff, 0x00, 0xe0]);
        bytes.extend(word(LINKS + record.rest.len())?);
        short(bytes, 0x1400, *b"UL", &word(records.get(index + 1).map_or(0, |next| next.at))?);
        short(bytes, 0x1410, *b"US", &[0xff, 0xff]);
        short(bytes, 0x1420, *b"UL", &word(record.below.first().map_or(0, |lower| lower.at))?);
        bytes.extend(&record.rest);
        write(bytes, &record.below)?;
    }
    Ok(())
}

fn word(value: usize) -> Result<[u8; 4], Error> {
    u32::try_from(value).map(u32::to_le_bytes).map_err(|_| Error::TooLarge)
}

/// An element of group 0004 with a length of 16 bits; the value has an even length, 10 bytes at most.
fn short(bytes: &mut Vec<u8>, element: u16, vr: [u8; 2], value: &[u8]) {
    bytes.extend([0x04, 0x00]);
    bytes.extend(element.to_le_bytes());
    bytes.extend(vr);
    bytes.extend([value.len().to_le_bytes()[0], 0]);
    bytes.extend(value);
}

/// Preamble and file meta information (PS3.10 section 7.1).
fn head(uid: &str) -> Vec<u8> {
    let mut group = Vec::new();
    let mut element = |number: u16, vr: &[u8; 2], value: &str, padding: u8| {
        group.extend([0x02, 0x00]);
        group.extend(number.to_le_bytes());
        group.extend(vr);
        // All are shorter than 65 characters.
        group.extend([value.len().next_multiple_of(2).to_le_bytes()[0], 0]);
        group.extend(value.bytes());
        if value.len() % 2 == 1 {
            group.push(padding);
        }
    };
    element(0x0002, b"UI", uids::MEDIA_STORAGE_DIRECTORY_STORAGE, 0);
    element(0x0003, b"UI", uid, 0);
    element(0x0010, b"UI", uids::EXPLICIT_VR_LITTLE_ENDIAN, 0);
    element(0x0012, b"UI", CLASS_UID, 0);
    element(0x0013, b"SH", VERSION_NAME, b' ');
    let version = [0x02, 0x00, 0x01, 0x00, b'O', b'B', 0, 0, 2, 0, 0, 0, 0, 1];
    let length = (version.len() + group.len()).to_le_bytes();
    let mut bytes = vec![0; 128];
    bytes.extend(*b"DICM\x02\0\0\0UL\x04\0");
    bytes.extend(&length[..4]);
    bytes.extend(version);
    bytes.extend(group);
    bytes
}
