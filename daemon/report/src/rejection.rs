//! The rejection note of the IHE profile Imaging Object Change Management (RAD TF-2, section 4.66): a Key Object Selection that
//! says which objects at an archive do not count any more, and why. It lies in the study that they were delivered in, under the
//! patient that they were delivered for.

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::codes::{
    Code, DEVICE, DEVICE_OBSERVER_MANUFACTURER, DEVICE_OBSERVER_MODEL, DEVICE_OBSERVER_NAME, DEVICE_OBSERVER_UID,
    ENGLISH, KEY_OBJECT_DESCRIPTION, LANGUAGE, OBSERVER_TYPE, REJECTED_FOR_PATIENT_SAFETY, REJECTED_FOR_QUALITY,
};
use crate::content::{Item, Part, Relation, Value};
use crate::object::{Context, KO, PDF, SR, or_unknown};
use crate::provenance::{DEVICE_MODEL, MANUFACTURER};
use crate::uid::Uids;
use crate::{Error, Provenance, ResultObject, Source, evidence, identity};

/// Why objects are rejected: the title of the note (CID 7010).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// They were made of images of another patient, or of images that were replaced since.
    PatientSafety,
    /// A person rejected a finding that they report.
    Quality,
}

impl Rejection {
    pub const ALL: [Self; 2] = [Self::PatientSafety, Self::Quality];

    /// The code value of the title.
    pub fn word(self) -> &'static str {
        self.title().value
    }

    /// By [`Rejection::word`].
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }

    fn title(self) -> Code {
        match self {
            Self::PatientSafety => REJECTED_FOR_PATIENT_SAFETY,
            Self::Quality => REJECTED_FOR_QUALITY,
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::PatientSafety => {
                "The images that these results were made of were replaced: another patient or other content"
            }
            Self::Quality => {
                "A person rejected at least one finding of these results; the reviewed results take their place"
            }
        }
    }
}

/// One object that does not count any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    pub sop_class_uid: String,
    pub sop_uid: String,
    pub series_uid: String,
}

/// `source`: patient and study as they were delivered, which is what one of the objects says; its other parts are not used. The
/// same objects for the same reason give a note with the same UIDs.
///
/// # Errors
/// When a value of the source does not fit into an object.
pub fn write(
    source: &Source,
    rejected: &[Rejected],
    reason: Rejection,
    provenance: &Provenance,
) -> Result<ResultObject, Error> {
    let uids =
        Uids::of_rejection(rejected.iter().map(|one| one.sop_uid.as_str()), reason.word(), &provenance.device_uid);
    let context = Context { source, provenance, uids: &uids, review: None, request: None };
    let mut set = context.begin(KO, 0)?;
    set.sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    let named = rejected.iter().map(|one| (one.series_uid.as_str(), one.sop_class_uid.as_str(), one.sop_uid.as_str()));
    evidence::of_objects(&identity::study_uid(source, &uids), named, &mut set);
    // Images first, as in the template.
    let (images, others): (Vec<&Rejected>, Vec<&Rejected>) = rejected.iter().partition(|one| one.is_image());
    let text = |name, value: &str| Item::text(Relation::HasObsContext, name, value);
    Item::container(reason.title(), Some("2010"))
        .with(Item::code(Relation::HasConceptMod, LANGUAGE, ENGLISH))
        .with(Item::code(Relation::HasObsContext, OBSERVER_TYPE, DEVICE))
        .with(Item::uid(Relation::HasObsContext, DEVICE_OBSERVER_UID, provenance.device_uid.as_str()))
        .with(text(DEVICE_OBSERVER_NAME, or_unknown(&provenance.station_name)))
        .with(text(DEVICE_OBSERVER_MANUFACTURER, MANUFACTURER))
        .with(text(DEVICE_OBSERVER_MODEL, DEVICE_MODEL))
        .with(Item::text(Relation::Contains, KEY_OBJECT_DESCRIPTION, reason.description()))
        .with_all(images.into_iter().chain(others).map(reference))
        .encode_root(&mut set);
    set.text(tags::SERIES_DESCRIPTION, VR::LO, KO.description);
    context.finish(KO, 0, set, 16 * 1024)
}

impl Rejected {
    /// Reports and documents are no images.
    fn is_image(&self) -> bool {
        self.sop_class_uid != SR.sop_class_uid && self.sop_class_uid != PDF.sop_class_uid
    }
}

fn reference(one: &Rejected) -> Item {
    let (sop_class_uid, sop_uid) = (one.sop_class_uid.clone(), one.sop_uid.clone());
    let value = if one.is_image() {
        Value::Image { sop_class_uid, sop_uid, part: Part::Whole }
    } else {
        Value::Composite { sop_class_uid, sop_uid }
    };
    Item::nameless(Relation::Contains, value)
}
