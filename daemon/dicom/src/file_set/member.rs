//! What a directory says of one file: the keys of PS3.3 section F.5 for its patient, study, series and itself.
//!
//! Where a key that must have a value has none in the object, it gets the one that DCMTK's dcmmkdir gives it, too, so that
//! an old or careless sender keeps nobody from reading the medium.

use std::io::{Read, Seek};

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::Error;
use crate::dataset::{items, text};
use crate::header::Header;
use crate::pixels::parse;
use crate::scan;

/// Of a file no more than this is read into memory, bytes; pixel data is skipped.
const MOST_HEADER: u64 = 256 << 20;

const NO_DATE: &str = "19000101";
const NO_TIME: &str = "000000";
const NO_NUMBER: &str = "0";

/// One file of the set, and what the directory says of it.
#[derive(Debug, Clone)]
pub struct Member {
    /// Components of the path below the root: 8 characters each at most, A-Z, 0-9 and `_` (PS3.10 section 8.2).
    pub file_id: Vec<String>,
    pub header: Header,
    /// Whose file it is: ID and name, or the study where there is no ID. Two with the same ID and other names are two.
    pub(super) patient_key: (String, String),
    pub(super) patient: InMemDicomObject,
    pub(super) study: InMemDicomObject,
    pub(super) series: InMemDicomObject,
    pub(super) own: InMemDicomObject,
    pub(super) kind: &'static str,
}

impl Member {
    /// Reads the header only. `None` for an object of a kind that the directory has no record for here; it cannot be a member.
    ///
    /// # Errors
    /// When the object cannot be read.
    pub fn read(file_id: Vec<String>, part10: &mut (impl Read + Seek)) -> Result<Option<Self>, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::DataSet(error.to_string());
        let header = scan::scan(&mut *part10).map_err(|error| failed(&error))?.header;
        let set = parse::data_set_of(part10, MOST_HEADER).map_err(|error| failed(&error))?;
        let Some(kind) = record_type(&header) else { return Ok(None) };
        let own = own_keys(kind, &header, &set);
        let id = header.patient_id.clone();
        let whose = if id.is_empty() { header.study_instance_uid.clone() } else { header.patient_name.clone() };
        Ok(Some(Self {
            file_id,
            patient_key: (id, whose),
            patient: patient(&header),
            study: study(&header, &set),
            series: series(&header),
            own,
            kind,
            header,
        }))
    }
}

/// Table F.4-1: which record a SOP Class gets. What has pixels is an image, a segmentation as well.
fn record_type(header: &Header) -> Option<&'static str> {
    let class = header.sop_class_uid.as_str();
    match class {
        "1.2.840.10008.5.1.4.1.1.88.59" => Some("KEY OBJECT DOC"),
        _ if class.starts_with("1.2.840.10008.5.1.4.1.1.88.") => Some("SR DOCUMENT"),
        _ if class.starts_with("1.2.840.10008.5.1.4.1.1.104.") => Some("ENCAP DOC"),
        _ if header.rows > 0 && header.columns > 0 => Some("IMAGE"),
        _ => None,
    }
}

fn patient(header: &Header) -> InMemDicomObject {
    let mut keys = InMemDicomObject::new_empty();
    put(&mut keys, tags::PATIENT_NAME, VR::PN, &header.patient_name);
    put(&mut keys, tags::PATIENT_ID, VR::LO, or(&header.patient_id, "UNKNOWN"));
    keys
}

fn study(header: &Header, set: &InMemDicomObject) -> InMemDicomObject {
    let mut keys = InMemDicomObject::new_empty();
    put(&mut keys, tags::STUDY_DATE, VR::DA, or(&header.study_date, NO_DATE));
    put(&mut keys, tags::STUDY_TIME, VR::TM, or(&said(set, tags::STUDY_TIME), NO_TIME));
    put(&mut keys, tags::ACCESSION_NUMBER, VR::SH, &header.accession_number);
    put(&mut keys, tags::STUDY_DESCRIPTION, VR::LO, &header.study_description);
    put(&mut keys, tags::STUDY_INSTANCE_UID, VR::UI, &header.study_instance_uid);
    put(&mut keys, tags::STUDY_ID, VR::SH, or(&said(set, tags::STUDY_ID), NO_NUMBER));
    keys
}

fn series(header: &Header) -> InMemDicomObject {
    let mut keys = InMemDicomObject::new_empty();
    put(&mut keys, tags::MODALITY, VR::CS, or(&header.modality, "OT"));
    put(&mut keys, tags::SERIES_INSTANCE_UID, VR::UI, &header.series_instance_uid);
    put(&mut keys, tags::SERIES_NUMBER, VR::IS, &number(header.series_number));
    keys
}

fn own_keys(kind: &str, header: &Header, set: &InMemDicomObject) -> InMemDicomObject {
    let mut keys = InMemDicomObject::new_empty();
    put(&mut keys, tags::INSTANCE_NUMBER, VR::IS, &number(header.instance_number));
    if kind == "IMAGE" {
        return keys;
    }
    // Of a document they may be empty, of a report not.
    let (date, time) = if kind == "ENCAP DOC" { ("", "") } else { (or(&header.study_date, NO_DATE), NO_TIME) };
    put(&mut keys, tags::CONTENT_DATE, VR::DA, or(&said(set, tags::CONTENT_DATE), date));
    put(&mut keys, tags::CONTENT_TIME, VR::TM, or(&said(set, tags::CONTENT_TIME), time));
    copy(&mut keys, set, tags::CONCEPT_NAME_CODE_SEQUENCE);
    match kind {
        "ENCAP DOC" => {
            put(&mut keys, tags::DOCUMENT_TITLE, VR::ST, &said(set, tags::DOCUMENT_TITLE));
            let kind = said(set, tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT);
            put(&mut keys, tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, VR::LO, or(&kind, "application/octet-stream"));
            if set.element_opt(tags::HL7_INSTANCE_IDENTIFIER).ok().flatten().is_some() {
                copy(&mut keys, set, tags::HL7_INSTANCE_IDENTIFIER);
            }
            return keys;
        }
        "SR DOCUMENT" => {
            put(&mut keys, tags::COMPLETION_FLAG, VR::CS, or(&said(set, tags::COMPLETION_FLAG), "PARTIAL"));
            let verified = said(set, tags::VERIFICATION_FLAG);
            put(&mut keys, tags::VERIFICATION_FLAG, VR::CS, or(&verified, "UNVERIFIED"));
            // Of several observers the last one counts.
            let observers = items(set, tags::VERIFYING_OBSERVER_SEQUENCE).iter();
            let last = observers.filter_map(|one| text(one, tags::VERIFICATION_DATE_TIME)).max();
            if let Some(when) = last.filter(|_| verified == "VERIFIED") {
                put(&mut keys, tags::VERIFICATION_DATE_TIME, VR::DT, &when);
            }
        }
        _ => {}
    }
    // What modifies the title of the report.
    let modifiers = items(set, tags::CONTENT_SEQUENCE).iter();
    let modifiers = modifiers.filter(|one| text(one, tags::RELATIONSHIP_TYPE).as_deref() == Some("HAS CONCEPT MOD"));
    let modifiers: Vec<InMemDicomObject> = modifiers.cloned().collect();
    if !modifiers.is_empty() {
        keys.put(DataElement::new(tags::CONTENT_SEQUENCE, VR::SQ, DataSetSequence::from(modifiers)));
    }
    keys
}

fn said(set: &InMemDicomObject, tag: Tag) -> String {
    text(set, tag).unwrap_or_default().trim().to_owned()
}

fn number(number: Option<i64>) -> String {
    number.map_or_else(|| NO_NUMBER.to_owned(), |number| number.to_string())
}

fn or<'a>(value: &'a str, otherwise: &'a str) -> &'a str {
    if value.is_empty() { otherwise } else { value }
}

pub(super) fn put(keys: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    let value = if value.is_empty() { PrimitiveValue::Empty } else { PrimitiveValue::from(value) };
    keys.put(DataElement::new(tag, vr, value));
}

/// With all that is in it; empty where the object has none.
fn copy(keys: &mut InMemDicomObject, set: &InMemDicomObject, tag: Tag) {
    match set.element_opt(tag).ok().flatten() {
        Some(element) => drop(keys.put(element.clone())),
        None => drop(keys.put(DataElement::new(tag, VR::SQ, DataSetSequence::<InMemDicomObject>::empty()))),
    }
}
