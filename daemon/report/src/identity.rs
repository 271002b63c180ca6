//! Copies patient, study and frame of reference from the source, as bytes.
//!
//! Values keep their bytes, and Specific Character Set (0008,0005) is copied with them. So a name in GB18030, UTF-8 or
//! ISO 2022 stays correct even if this software cannot decode it.

use dicom::text::date;
use dicom_core::value::PrimitiveValue;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::dataset::DataSet;
use crate::uid::Uids;
use crate::{Error, Source};

/// Attributes of type 1 or 2 in the patient and study modules; written empty if the source has no value.
const REQUIRED: &[(Tag, VR)] = &[
    (tags::STUDY_DATE, VR::DA),
    (tags::STUDY_TIME, VR::TM),
    (tags::ACCESSION_NUMBER, VR::SH),
    (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
    (tags::PATIENT_NAME, VR::PN),
    (tags::PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_DATE, VR::DA),
    (tags::PATIENT_SEX, VR::CS),
    (tags::STUDY_ID, VR::SH),
];

/// Attributes that are copied if the source has them.
const OPTIONAL: &[(Tag, VR)] = &[
    (tags::SPECIFIC_CHARACTER_SET, VR::CS),
    (tags::STUDY_DESCRIPTION, VR::LO),
    (tags::ISSUER_OF_PATIENT_ID, VR::LO),
    (tags::PATIENT_BIRTH_TIME, VR::TM),
    (tags::PATIENT_AGE, VR::AS),
    (tags::PATIENT_SIZE, VR::DS),
    (tags::PATIENT_WEIGHT, VR::DS),
    // YES: what was examined is a test object and no patient.
    (tags::QUALITY_CONTROL_SUBJECT, VR::CS),
];

/// Bytes of the longest value of a VR with a 16-bit length (PS3.5 section 7.1.2).
const MAX_SHORT: usize = 65534;

/// Study Instance UID of the source, or one derived from the inputs if it has none.
pub fn study_uid(source: &Source, uids: &Uids) -> String {
    known(&source.header.study_instance_uid).unwrap_or_else(|| uids.lasting("study", 0))
}

/// Series Instance UID of the source, for evidence references.
pub fn series_uid(source: &Source, uids: &Uids) -> String {
    known(&source.header.series_instance_uid).unwrap_or_else(|| uids.lasting("source series", 0))
}

/// Frame of Reference UID of the source, or one derived from the inputs if it has none.
pub fn frame_of_reference_uid(source: &Source, uids: &Uids) -> String {
    let uid = source.header.frame_of_reference_uid.as_deref();
    uid.and_then(known).unwrap_or_else(|| uids.lasting("frame of reference", 0))
}

fn known(uid: &str) -> Option<String> {
    let uid = uid.trim_matches(['\0', ' ']);
    (!uid.is_empty()).then(|| uid.to_owned())
}

/// Copies the patient and study modules.
///
/// # Errors
/// `TooLong` when a value of the source does not fit into an object.
pub fn copy(source: &Source, uids: &Uids, set: &mut DataSet) -> Result<(), Error> {
    for (tag, vr) in REQUIRED {
        if !copy_one(source, *tag, *vr, set)? {
            set.empty(*tag, *vr);
        }
    }
    for (tag, vr) in OPTIONAL {
        copy_one(source, *tag, *vr, set)?;
    }
    // Patient Identity Removed is valid only together with the method (PS3.3 section C.7.1.1).
    if raw(source, tags::PATIENT_IDENTITY_REMOVED).is_some()
        && copy_one(source, tags::DEIDENTIFICATION_METHOD, VR::LO, set)?
    {
        copy_one(source, tags::PATIENT_IDENTITY_REMOVED, VR::CS, set)?;
    }
    if !copy_one(source, tags::STUDY_INSTANCE_UID, VR::UI, set)? {
        set.text(tags::STUDY_INSTANCE_UID, VR::UI, &study_uid(source, uids));
    }
    Ok(())
}

/// Copies the frame of reference module for a segmentation.
///
/// # Errors
/// `TooLong` when a value of the source does not fit into an object.
pub fn copy_frame_of_reference(source: &Source, uids: &Uids, set: &mut DataSet) -> Result<(), Error> {
    if !copy_one(source, tags::FRAME_OF_REFERENCE_UID, VR::UI, set)? {
        set.text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &frame_of_reference_uid(source, uids));
    }
    if !copy_one(source, tags::POSITION_REFERENCE_INDICATOR, VR::LO, set)? {
        set.empty(tags::POSITION_REFERENCE_INDICATOR, VR::LO);
    }
    Ok(())
}

/// Patient data as shown on a page: decoded, dates with hyphens.
#[derive(Debug, Clone, Default)]
pub struct Patient {
    pub name: String,
    pub id: String,
    pub birth_date: String,
    pub sex: String,
    pub study_date: String,
    pub accession: String,
    pub description: String,
    /// In which the name was read although the source does not declare it; empty: none was guessed.
    pub guessed_character_set: String,
}

impl Patient {
    pub fn of(source: &Source) -> Self {
        let header = source.header;
        let ascii = |tag| {
            let value = raw(source, tag).unwrap_or_default();
            String::from_utf8_lossy(value).trim_matches(['\0', ' ']).to_owned()
        };
        Self {
            name: name(&header.patient_name),
            id: header.patient_id.clone(),
            birth_date: date(&ascii(tags::PATIENT_BIRTH_DATE)),
            sex: ascii(tags::PATIENT_SEX),
            study_date: date(&ascii(tags::STUDY_DATE)),
            accession: header.accession_number.clone(),
            description: header.study_description.clone(),
            guessed_character_set: header.guessed_character_set.clone(),
        }
    }
}

/// Formats `Zhang^San=张^三` as `张三 (Zhang San)`: the ideographic form, then the Latin one (PS3.5 section 6.2.1).
fn name(pn: &str) -> String {
    let mut groups = pn.split('=');
    let latin = groups.next().unwrap_or_default();
    let latin = latin.split('^').filter(|p| !p.trim().is_empty()).map(str::trim).collect::<Vec<_>>().join(" ");
    let written: String = groups.next().unwrap_or_default().split('^').map(str::trim).collect();
    match (written.is_empty(), latin.is_empty()) {
        (true, _) => latin,
        (false, true) => written,
        (false, false) => format!("{written} ({latin})"),
    }
}

fn raw<'a>(source: &Source<'a>, tag: Tag) -> Option<&'a [u8]> {
    let element = source.elements.iter().find(|e| e.tag == tag)?;
    let blank = element.value.iter().all(|b| matches!(b, b' ' | 0));
    (!blank).then_some(&element.value)
}

/// Copies one attribute. Returns whether the source has a value.
fn copy_one(source: &Source, tag: Tag, vr: VR, set: &mut DataSet) -> Result<bool, Error> {
    let Some(value) = raw(source, tag) else { return Ok(false) };
    if value.len() > MAX_SHORT {
        return Err(Error::TooLong { tag, length: value.len() });
    }
    if vr == VR::DS {
        // The encoder would write the bytes of a DS value as numbers. A decimal string is ASCII, so passing it as text
        // keeps its bytes.
        if let Ok(text) = std::str::from_utf8(value) {
            set.primitive(tag, vr, PrimitiveValue::Str(text.to_owned()));
        }
        return Ok(true);
    }
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if vr == VR::UI { 0 } else { b' ' });
    }
    set.primitive(tag, vr, PrimitiveValue::U8(value.into()));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_as_people_write_it() {
        assert_eq!(name("Zhang^San=\u{5f20}^\u{4e09}"), "\u{5f20}\u{4e09} (Zhang San)");
        assert_eq!(name("Buc^J\u{e9}r\u{f4}me"), "Buc J\u{e9}r\u{f4}me");
        assert_eq!(name("\u{738b}^\u{5c0f}\u{4e1c}"), "\u{738b} \u{5c0f}\u{4e1c}");
    }
}
