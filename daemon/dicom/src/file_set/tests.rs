//! A directory is read back as it was written, by this crate; `hil-tests` has it read by others.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

use super::*;
use crate::dataset::{first, items, text};
use crate::pixels::parse;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const SR: &str = "1.2.840.10008.5.1.4.1.1.88.34";

fn object(class: &str, uid: &str, more: &[(Tag, VR, &str)]) -> Vec<u8> {
    let mut set = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::SOP_CLASS_UID, VR::UI, class),
        (tags::SOP_INSTANCE_UID, VR::UI, uid),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.1"),
        (tags::SERIES_INSTANCE_UID, VR::UI, class),
        (tags::MODALITY, VR::CS, "CT"),
    ]
    .iter()
    .chain(more)
    {
        set.put(DataElement::new(*tag, *vr, PrimitiveValue::from(*value)));
    }
    if class == CT {
        set.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(2_u16)));
        set.put(DataElement::new(tags::COLUMNS, VR::US, PrimitiveValue::from(2_u16)));
    } else {
        let mut name = InMemDicomObject::new_empty();
        name.put(DataElement::new(tags::CODE_VALUE, VR::SH, PrimitiveValue::from("126000")));
        set.put(DataElement::new(tags::CONCEPT_NAME_CODE_SEQUENCE, VR::SQ, DataSetSequence::from(vec![name])));
    }
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let mut bytes = Vec::new();
    set.with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes
}

fn member(number: usize, part10: &[u8]) -> Member {
    Member::read(vec!["SCANSIDE".into(), format!("I{number:07}")], &mut Cursor::new(part10)).unwrap().unwrap()
}

#[test]
fn records_are_linked_by_their_places_and_say_whose_files_they_are() {
    let name = [(tags::PATIENT_NAME, VR::PN, "王^小东"), (tags::PATIENT_ID, VR::LO, "P1")];
    let members = [
        member(1, &object(CT, "1.2.3.1", &name)),
        member(2, &object(CT, "1.2.3.2", &name)),
        member(3, &object(SR, "1.2.3.3", &name)),
        member(4, &object(CT, "1.2.3.4", &[(tags::PATIENT_ID, VR::LO, "P2")])),
    ];
    let bytes = directory("2.25.7", &members).unwrap();
    let file = parse::whole(&bytes).unwrap();
    let records = items(&file, tags::DIRECTORY_RECORD_SEQUENCE);
    let kinds: Vec<_> = records.iter().map(|one| text(one, tags::DIRECTORY_RECORD_TYPE).unwrap()).collect();
    let expected = [
        "PATIENT",
        "STUDY",
        "SERIES",
        "IMAGE",
        "IMAGE",
        "SERIES",
        "SR DOCUMENT",
        "PATIENT",
        "STUDY",
        "SERIES",
        "IMAGE",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(text(&records[0], tags::PATIENT_NAME).as_deref(), Some("王^小东"));
    assert_eq!(text(&records[0], tags::SPECIFIC_CHARACTER_SET).as_deref(), Some("ISO_IR 192"));
    assert_eq!(text(&records[3], tags::SPECIFIC_CHARACTER_SET), None, "nothing in it is more than ASCII");
    let title = first(&records[6], tags::CONCEPT_NAME_CODE_SEQUENCE).unwrap();
    assert_eq!(text(title, tags::CODE_VALUE).as_deref(), Some("126000"));

    // Each link is the place of an item.
    let link = |index: usize, tag| records[index].element(tag).unwrap().to_int::<usize>().unwrap();
    let next = tags::OFFSET_OF_THE_NEXT_DIRECTORY_RECORD;
    let lower = tags::OFFSET_OF_REFERENCED_LOWER_LEVEL_DIRECTORY_ENTITY;
    for (from, tag) in [(0, next), (0, lower), (2, next), (3, next), (2, lower)] {
        assert_eq!(bytes[link(from, tag)..][..4], [0xfe, 0xff, 0x00, 0xe0], "{from} {tag}");
    }
    assert_eq!((link(4, next), link(7, next), link(3, lower)), (0, 0, 0));
    assert!(link(0, lower) < link(2, next) && link(2, next) < link(0, next));

    let existing = Existing::read(&bytes).unwrap();
    assert!(existing.ours && existing.uid == "2.25.7" && existing.files.len() == 4, "{existing:?}");
    assert_eq!(existing.files[3], (vec!["SCANSIDE".to_owned(), "I0000004".to_owned()], "1.2.3.4".to_owned()));
}

#[test]
fn keys_that_must_have_a_value_get_one_and_other_kinds_are_no_members() {
    let bytes = directory("2.25.7", &[member(1, &object(SR, "1.2.3.1", &[]))]).unwrap();
    let file = parse::whole(&bytes).unwrap();
    let records = items(&file, tags::DIRECTORY_RECORD_SEQUENCE);
    for (index, tag) in [
        (0, tags::PATIENT_ID),
        (1, tags::STUDY_DATE),
        (1, tags::STUDY_TIME),
        (1, tags::STUDY_ID),
        (2, tags::SERIES_NUMBER),
        (3, tags::INSTANCE_NUMBER),
        (3, tags::CONTENT_DATE),
        (3, tags::COMPLETION_FLAG),
    ] {
        assert!(text(&records[index], tag).is_some_and(|value| !value.is_empty()), "{tag}");
    }
    let waveform = object("1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.3.1", &[]);
    assert!(Member::read(Vec::new(), &mut Cursor::new(&waveform)).unwrap().is_none());
    assert!(matches!(Existing::read(&waveform), Err(Error::NoDirectory(_))));
}

#[test]
fn a_path_that_leads_out_of_the_folder_is_not_followed() {
    let mut out = member(1, &object(CT, "1.2.3.1", &[]));
    out.file_id = vec!["..".into(), "ETC".into()];
    let existing = Existing::read(&directory("2.25.7", &[out]).unwrap()).unwrap();
    assert!(existing.files.is_empty());
    assert_eq!(existing.odd, ["..\\ETC"], "it is named");
}

/// Counts what is read.
struct Counted(Cursor<Vec<u8>>, u64);

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1 += read as u64;
        Ok(read)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn of_a_large_image_only_the_header_is_read() {
    let mut set = dicom_object::from_reader(Cursor::new(object(CT, "1.2.3.1", &[]))).unwrap();
    set.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::from(vec![7_u8; 40 << 20])));
    let mut bytes = Vec::new();
    set.write_all(&mut bytes).unwrap();
    let mut counted = Counted(Cursor::new(bytes), 0);
    assert!(Member::read(vec!["I1".into()], &mut counted).unwrap().is_some());
    assert!(counted.1 < 1 << 20, "{} bytes were read", counted.1);
    let few = parse::data_set_of(&mut counted, 64).unwrap_err().to_string();
    assert!(few.contains("before its pixel data"), "{few}");
}
