//! A Modality Worklist item (PS3.4 K.6.1.2) in a file: who is expected, for what, when.

use dicom_dictionary_std::tags;

use super::collect::{Place, Values};
use super::text::Charset;

/// What is read of it; empty where the item has nothing. The first scheduled step counts.
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
            study_instance_uid: super::text::trimmed(root(tags::STUDY_INSTANCE_UID)),
            step_date: charset.decode(step(tags::SCHEDULED_PROCEDURE_STEP_START_DATE)),
            step_time: charset.decode(step(tags::SCHEDULED_PROCEDURE_STEP_START_TIME)),
            modality: charset.decode(step(tags::MODALITY)),
            description: charset.decode(step(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION)),
        }
    }
}

/// A patient is taken from it, so nothing is guessed: text beyond ASCII without a declared character set is read when it is
/// UTF-8, and is marked as unreadable (U+FFFD) otherwise.
struct Declared(Option<Charset>);

impl Declared {
    fn of(value: &[u8]) -> Self {
        Self((!super::text::trimmed(value).is_empty()).then(|| Charset::of(value)))
    }

    fn decode(&self, value: &[u8]) -> String {
        match &self.0 {
            Some(charset) => charset.decode(value),
            None => Charset::of(b"ISO_IR 192").decode(String::from_utf8_lossy(value).as_bytes()),
        }
    }
}
