//! A Modality Worklist item (PS3.4 section K.6.1.2), in a file or from a server: patient, procedure and scheduled time.

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use super::collect::{Place, Values};
use super::text::{Charset, trimmed};
use crate::request::{Code, Reference, Request};

/// The values that are used; empty where the item has none. Of several scheduled procedure steps the first is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    pub patient_name: String,
    pub patient_id: String,
    pub patient_birth_date: String,
    pub accession_number: String,
    pub study_instance_uid: String,
    /// YYYYMMDD and HHMMSS, local time.
    pub step_date: String,
    pub step_time: String,
    pub modality: String,
    pub description: String,
    /// What results and the performed procedure step give back to who ordered the exam.
    pub request: Request,
    pub besides: Besides,
}

/// What an order says that is of use only to who makes the exam. Texts of several values are separated by backslashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Besides {
    pub weight: String,
    pub medical_alerts: String,
    pub allergies: String,
    /// (0010,21C0): 1 not, 2 possibly, 3 definitely, 4 unknown.
    pub pregnancy: Option<u16>,
    pub special_needs: String,
    pub referring_physician: String,
}

impl Values {
    pub(super) fn into_item(self) -> Item {
        let root = |tag| self.raw(Place::Root, tag);
        let step = |tag| self.raw(Place::ScheduledStep, tag);
        let charset = Declared::of(root(tags::SPECIFIC_CHARACTER_SET));
        Item {
            patient_name: charset.decode(root(tags::PATIENT_NAME)),
            patient_id: charset.decode(root(tags::PATIENT_ID)),
            patient_birth_date: charset.decode(root(tags::PATIENT_BIRTH_DATE)),
            accession_number: charset.decode(root(tags::ACCESSION_NUMBER)),
            study_instance_uid: trimmed(root(tags::STUDY_INSTANCE_UID)),
            step_date: charset.decode(step(tags::SCHEDULED_PROCEDURE_STEP_START_DATE)),
            step_time: charset.decode(step(tags::SCHEDULED_PROCEDURE_STEP_START_TIME)),
            modality: charset.decode(step(tags::MODALITY)),
            description: charset.decode(step(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION)),
            request: self.request(&charset),
            besides: Besides {
                weight: charset.decode(root(tags::PATIENT_WEIGHT)),
                medical_alerts: charset.decode(root(tags::MEDICAL_ALERTS)),
                allergies: charset.decode(root(tags::ALLERGIES)),
                pregnancy: self.short(tags::PREGNANCY_STATUS).filter(|status| (1..=4).contains(status)),
                special_needs: charset.decode(root(tags::SPECIAL_NEEDS)),
                referring_physician: charset.decode(root(tags::REFERRING_PHYSICIAN_NAME)),
            },
        }
    }

    fn request(&self, charset: &Declared) -> Request {
        let root = |tag| charset.decode(self.raw(Place::Root, tag));
        let step = |tag| charset.decode(self.raw(Place::ScheduledStep, tag));
        let codes = |place| self.coded(place).into_iter().map(|one| code(charset, &one)).collect();
        let references = self.coded(Place::ReferencedStudy).into_iter().map(|one| Reference {
            sop_class: trimmed(value(&one, tags::REFERENCED_SOP_CLASS_UID)),
            sop_uid: trimmed(value(&one, tags::REFERENCED_SOP_INSTANCE_UID)),
        });
        let request = Request {
            procedure_id: root(tags::REQUESTED_PROCEDURE_ID),
            procedure_description: root(tags::REQUESTED_PROCEDURE_DESCRIPTION),
            procedure_codes: codes(Place::RequestedCode),
            step_id: step(tags::SCHEDULED_PROCEDURE_STEP_ID),
            step_description: step(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION),
            protocol_codes: codes(Place::ProtocolCode),
            studies: references.collect(),
            sex: root(tags::PATIENT_SEX),
        };
        request.sound()
    }
}

fn value<'a>(one: &[(Tag, &'a [u8])], tag: Tag) -> &'a [u8] {
    one.iter().find(|(known, _)| *known == tag).map_or(&[], |(_, value)| *value)
}

fn code(charset: &Declared, one: &[(Tag, &[u8])]) -> Code {
    Code {
        value: charset.decode(value(one, tags::CODE_VALUE)),
        scheme: charset.decode(value(one, tags::CODING_SCHEME_DESIGNATOR)),
        version: charset.decode(value(one, tags::CODING_SCHEME_VERSION)),
        meaning: charset.decode(value(one, tags::CODE_MEANING)),
    }
}

/// The character set of an item. Because it identifies a patient, nothing is guessed: without a declared character set,
/// text that is not ASCII is read as UTF-8, and bytes that are not UTF-8 become U+FFFD.
struct Declared(Option<Charset>);

impl Declared {
    fn of(value: &[u8]) -> Self {
        Self((!trimmed(value).is_empty()).then(|| Charset::of(value)))
    }

    fn decode(&self, value: &[u8]) -> String {
        match &self.0 {
            Some(charset) => charset.decode(value),
            None => Charset::of(b"ISO_IR 192").decode(String::from_utf8_lossy(value).as_bytes()),
        }
    }
}
