//! Takes out of an image whatever tells whose it is: the Basic Application Level Confidentiality Profile (PS3.15 annex E), with the
//! pixels around the image areas blackened. What is not known to be harmless does not stay. Pure; the checks of what was written
//! (`secrets`) look at bytes and share nothing with the cleaning.
//!
//! `profile` is the table, `walk` applies it, `burnt` judges what may be written in the pixels, `pixels` blackens and unpacks.

mod burnt;
mod pixels;
mod profile;
pub mod secrets;
mod walk;

use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;
use sha2::{Digest, Sha256};

use crate::dataset::text;
use crate::pixels::{DecodeError, parse};
use crate::{implementation, uid};

pub use burnt::Unsafe;

/// What stands for a person, an ID or a text that must have a value.
pub const REMOVED: &str = "REMOVED";
/// What stands for a date that must have a value (DA).
pub const NO_DATE: &str = "19000101";
/// De-identification Method (0012,0063).
pub const METHOD: &str = "Scanside, PS3.15 Basic Profile";
/// UIDs of the standard itself (PS3.6 annex A) begin so.
const OF_THE_STANDARD: &str = "1.2.840.10008.";

/// One case: what belongs together in the source belongs together in the copies, and nothing else does.
#[derive(Debug, Clone)]
pub struct Case {
    salt: [u8; 32],
    /// Stands for the Patient ID and in names of folders.
    pub name: String,
    pub patient_name: String,
}

impl Case {
    /// `salt`: random and never kept, so that nobody who knows a UID of the source finds that of its copy.
    pub fn new(salt: [u8; 32]) -> Self {
        let mut case = Self { salt, name: String::new(), patient_name: String::new() };
        let digits = case.hash("name");
        case.name = format!("TF-{:02X}{:02X}{:02X}{:02X}", digits[0], digits[1], digits[2], digits[3]);
        case.patient_name = format!("{}^TEACHING", case.name);
        case
    }

    /// The UID that stands for one of the source.
    pub fn uid(&self, of_source: &str) -> String {
        uid::from_hash(&self.hash(&format!("uid {of_source}")))
    }

    fn hash(&self, what: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.salt);
        hash.update(what.as_bytes());
        hash.finalize().into()
    }
}

/// A copy that names nobody.
#[derive(Debug, Clone)]
pub struct Copied {
    /// Part 10 file, Explicit VR Little Endian.
    pub part10: Vec<u8>,
    pub sop_class_uid: String,
    pub sop_uid: String,
    pub series_uid: String,
    pub study_uid: String,
    pub modality: String,
    /// Pixels were blackened.
    pub masked: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something may be written in its pixels.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
    #[error("it cannot be read: {0}")]
    Decode(#[from] DecodeError),
    #[error("only images and segmentations become part of a teaching file")]
    NoImage,
    #[error("it cannot be written: {0}")]
    Encode(String),
}

impl Error {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unsafe(error) => error.kind(),
            Self::Decode(_) => "decode",
            Self::NoImage => "no-image",
            Self::Encode(_) => "encode",
        }
    }
}

/// The copy of one object. `area` (left, top, right, bottom; pixels, right and bottom excluded): what a person says shows no
/// writing, for images that do not tell by themselves.
///
/// # Errors
/// When it is no image, cannot be decoded, or may have writing in it that cannot be told from the image.
pub fn copy(part10: &[u8], case: &Case, area: Option<[u32; 4]>) -> Result<Copied, Error> {
    let object = parse::whole(part10)?.into_inner();
    let sop_class_uid = text(&object, tags::SOP_CLASS_UID).unwrap_or_default();
    let is_segmentation = sop_class_uid == uids::SEGMENTATION_STORAGE;
    if object.element_opt(tags::PIXEL_DATA).ok().flatten().is_none() {
        return Err(Error::NoImage);
    }
    let plan = if is_segmentation { burnt::Plan::AsItIs } else { burnt::judge(&object, area)? };
    let mut set = walk::cleaned(&object, case);
    if is_segmentation {
        pixels::bits(&object, &mut set)?;
    } else {
        pixels::put(part10, &object, &plan, &mut set)?;
    }
    let masked = matches!(plan, burnt::Plan::Within(_));
    seal(&mut set, case, masked, !is_segmentation);
    let own = |tag| text(&set, tag).unwrap_or_default();
    let copy = Copied {
        part10: Vec::new(),
        sop_uid: own(tags::SOP_INSTANCE_UID),
        series_uid: own(tags::SERIES_INSTANCE_UID),
        study_uid: own(tags::STUDY_INSTANCE_UID),
        modality: own(tags::MODALITY),
        sop_class_uid,
        masked,
    };
    Ok(Copied { part10: written(set, &copy)?, ..copy })
}

/// Who it is now, and how that was done (PS3.15 section E.1.1; PS3.3 section C.7.1.1).
fn seal(set: &mut InMemDicomObject, case: &Case, masked: bool, is_image: bool) {
    let mut put = |tag: Tag, vr: VR, value: &str| set.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    put(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
    put(tags::PATIENT_NAME, VR::PN, &case.patient_name);
    put(tags::PATIENT_ID, VR::LO, &case.name);
    put(tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES");
    put(tags::DEIDENTIFICATION_METHOD, VR::LO, METHOD);
    put(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, VR::CS, "REMOVED");
    if is_image {
        put(tags::BURNED_IN_ANNOTATION, VR::CS, "NO");
    }
    let clean = ("113101", "Clean Pixel Data Option");
    let codes = [("113100", "Basic Application Confidentiality Profile")].into_iter().chain(masked.then_some(clean));
    let items: Vec<InMemDicomObject> = codes.map(|(value, meaning)| code(value, meaning)).collect();
    let sequence = DataSetSequence::from(items);
    set.put(DataElement::new(tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE, VR::SQ, sequence));
}

fn code(value: &str, meaning: &str) -> InMemDicomObject {
    let element = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    InMemDicomObject::from_element_iter([
        element(tags::CODE_VALUE, VR::SH, value),
        element(tags::CODING_SCHEME_DESIGNATOR, VR::SH, "DCM"),
        element(tags::CODE_MEANING, VR::LO, meaning),
    ])
}

/// With a file meta group of our own: nothing of the old one stays, nor of the 128 bytes before it.
fn written(set: InMemDicomObject, copy: &Copied) -> Result<Vec<u8>, Error> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(&copy.sop_class_uid)
        .media_storage_sop_instance_uid(&copy.sop_uid)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(implementation::CLASS_UID)
        .implementation_version_name(implementation::VERSION_NAME);
    let failed = |error: &dyn std::fmt::Display| Error::Encode(error.to_string());
    let object = set.with_meta(meta).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    object.write_all(&mut bytes).map_err(|error| failed(&error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
