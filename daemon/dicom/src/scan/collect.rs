//! Collects the few values that are wanted and builds the header from them.

use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use super::text::{self, Charset};
use super::walk::Syntax;
use super::{Meta, RawElement, Scan, ScanError};
use crate::header::{Acquired, Header, PixelData, Projection};
use crate::uid::is_uid;

/// The part of the data set in which an element was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Root,
    /// Inside the functional groups of an enhanced multi-frame object. The first value of an element is used for all
    /// frames.
    FunctionalGroups,
    /// Inside the scheduled procedure steps of a worklist item. The first value of an element is used.
    ScheduledStep,
    /// Inside a code of the protocol of a scheduled step, of a requested procedure.
    ProtocolCode,
    RequestedCode,
    /// Inside a reference to the study of an order.
    ReferencedStudy,
    /// Inside the characteristics of a multi-energy CT image.
    MultiEnergy,
    /// Inside the view code of a projection radiograph: the first of each.
    ViewCode,
    /// Inside a modifier of that view code.
    ViewModifier,
    /// Inside a code of the section that a partial view shows.
    PartialView,
    Elsewhere,
}

/// UIDs have at most 64 characters (PS3.5 section 9.1), but some devices write a few more.
const LONGEST_UID: usize = 128;

/// Attributes that results copy: modules Patient, General Study, Patient Study, Clinical Trial, General Series, Frame
/// of Reference, General Equipment (PS3.3 section C.7), and attributes that describe the acquisition.
const COPIED: &[Tag] = &[
    tags::SPECIFIC_CHARACTER_SET,
    tags::IMAGE_TYPE,
    tags::INSTANCE_CREATION_DATE,
    tags::INSTANCE_CREATION_TIME,
    tags::SOP_CLASS_UID,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_DATE,
    tags::SERIES_DATE,
    tags::ACQUISITION_DATE,
    tags::CONTENT_DATE,
    tags::STUDY_TIME,
    tags::SERIES_TIME,
    tags::ACQUISITION_TIME,
    tags::CONTENT_TIME,
    tags::ACCESSION_NUMBER,
    tags::MODALITY,
    tags::MANUFACTURER,
    tags::INSTITUTION_NAME,
    tags::INSTITUTION_ADDRESS,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::STATION_NAME,
    tags::STUDY_DESCRIPTION,
    tags::SERIES_DESCRIPTION,
    tags::INSTITUTIONAL_DEPARTMENT_NAME,
    tags::PHYSICIANS_OF_RECORD,
    tags::NAME_OF_PHYSICIANS_READING_STUDY,
    tags::ADMITTING_DIAGNOSES_DESCRIPTION,
    tags::MANUFACTURER_MODEL_NAME,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::ISSUER_OF_PATIENT_ID,
    tags::TYPE_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_BIRTH_TIME,
    tags::PATIENT_SEX,
    tags::QUALITY_CONTROL_SUBJECT,
    tags::OTHER_PATIENT_NAMES,
    tags::PATIENT_AGE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::OCCUPATION,
    tags::ADDITIONAL_PATIENT_HISTORY,
    tags::PATIENT_SPECIES_DESCRIPTION,
    tags::PATIENT_BREED_DESCRIPTION,
    tags::RESPONSIBLE_PERSON,
    tags::RESPONSIBLE_PERSON_ROLE,
    tags::RESPONSIBLE_ORGANIZATION,
    tags::PATIENT_COMMENTS,
    tags::CLINICAL_TRIAL_SPONSOR_NAME,
    tags::CLINICAL_TRIAL_PROTOCOL_ID,
    tags::CLINICAL_TRIAL_PROTOCOL_NAME,
    tags::CLINICAL_TRIAL_SITE_ID,
    tags::CLINICAL_TRIAL_SITE_NAME,
    tags::CLINICAL_TRIAL_SUBJECT_ID,
    tags::CLINICAL_TRIAL_SUBJECT_READING_ID,
    tags::CLINICAL_TRIAL_TIME_POINT_ID,
    tags::CLINICAL_TRIAL_TIME_POINT_DESCRIPTION,
    tags::CLINICAL_TRIAL_COORDINATING_CENTER_NAME,
    tags::PATIENT_IDENTITY_REMOVED,
    tags::DEIDENTIFICATION_METHOD,
    tags::CONTRAST_BOLUS_AGENT,
    tags::BODY_PART_EXAMINED,
    tags::SCAN_OPTIONS,
    tags::KVP,
    tags::CARDIAC_SYNCHRONIZATION_TECHNIQUE,
    tags::DEVICE_SERIAL_NUMBER,
    tags::SOFTWARE_VERSIONS,
    tags::PROTOCOL_NAME,
    tags::PATIENT_POSITION,
    tags::STUDY_INSTANCE_UID,
    tags::SERIES_INSTANCE_UID,
    tags::STUDY_ID,
    tags::SERIES_NUMBER,
    tags::ACQUISITION_NUMBER,
    tags::INSTANCE_NUMBER,
    tags::LATERALITY,
    tags::FRAME_OF_REFERENCE_UID,
    tags::POSITION_REFERENCE_INDICATOR,
    tags::ADMISSION_ID,
];

/// Attributes that are needed only for the header.
const FACTS: &[Tag] = &[
    tags::SLICE_THICKNESS,
    tags::GANTRY_DETECTOR_TILT,
    tags::CONVOLUTION_KERNEL,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::IMAGES_IN_ACQUISITION,
    tags::NUMBER_OF_SERIES_RELATED_INSTANCES,
    tags::SAMPLES_PER_PIXEL,
    tags::PHOTOMETRIC_INTERPRETATION,
    tags::NUMBER_OF_FRAMES,
    tags::ROWS,
    tags::COLUMNS,
    tags::PIXEL_SPACING,
    tags::BITS_ALLOCATED,
    tags::BITS_STORED,
    tags::HIGH_BIT,
    tags::PIXEL_REPRESENTATION,
    tags::PIXEL_PADDING_VALUE,
    tags::PIXEL_PADDING_RANGE_LIMIT,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::RESCALE_TYPE,
    tags::VIEW_POSITION,
    tags::IMAGE_LATERALITY,
    tags::PARTIAL_VIEW,
    tags::ACQUISITION_DATE_TIME,
    tags::CTD_IVOL,
];

/// Attributes that are taken from the functional groups if the top level has none.
const GROUPED: &[Tag] = &[
    tags::SLICE_THICKNESS,
    tags::CONVOLUTION_KERNEL,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::PIXEL_SPACING,
    tags::RESCALE_INTERCEPT,
    tags::RESCALE_SLOPE,
    tags::RESCALE_TYPE,
    tags::MONOENERGETIC_ENERGY_EQUIVALENT,
];

/// Attributes of an order, beside those above.
const ORDERED: &[Tag] = &[
    tags::MEDICAL_ALERTS,
    tags::ALLERGIES,
    tags::PREGNANCY_STATUS,
    tags::SPECIAL_NEEDS,
    tags::REQUESTED_PROCEDURE_ID,
    tags::REQUESTED_PROCEDURE_DESCRIPTION,
];

/// Attributes of an answer to a question for studies or series, beside those above.
const ANSWERED: &[Tag] = &[tags::QUERY_RETRIEVE_LEVEL, tags::MODALITIES_IN_STUDY];

/// Attributes of a scheduled step.
const SCHEDULED: &[Tag] = &[
    tags::SCHEDULED_PROCEDURE_STEP_ID,
    tags::MODALITY,
    tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
    tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
    tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
];

/// Of a code (PS3.3 table 8.8-1). Each code begins with its value, each reference with its class.
const CODE: &[Tag] =
    &[tags::CODE_VALUE, tags::CODING_SCHEME_DESIGNATOR, tags::CODING_SCHEME_VERSION, tags::CODE_MEANING];
const REFERENCE: &[Tag] = &[tags::REFERENCED_SOP_CLASS_UID, tags::REFERENCED_SOP_INSTANCE_UID];
/// Elements of codes or references; an order has one or two of each.
const MOST_CODED: usize = 64;

/// No view has more modifiers (CID 4015 has 15 codes).
const MOST_MODIFIERS: usize = 16;
/// A part of a view has one or two codes (PS3.3 section C.8.11.7.1.3).
const MOST_SECTIONS: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Values {
    root: Vec<(RawElement, Syntax)>,
    grouped: Vec<(RawElement, Syntax)>,
    scheduled: Vec<(RawElement, Syntax)>,
    view_code: Vec<(RawElement, Syntax)>,
    view_modifiers: Vec<(RawElement, Syntax)>,
    partial_view: Vec<(RawElement, Syntax)>,
    protocol_codes: Vec<(RawElement, Syntax)>,
    requested_codes: Vec<(RawElement, Syntax)>,
    referenced_studies: Vec<(RawElement, Syntax)>,
    pixel_data: Option<PixelData>,
    has_modality_lut: bool,
    /// The first element whose length is no multiple of the size of its numbers.
    pub(super) uneven: Option<(Tag, VR, u64)>,
}

/// Bytes of one number of this VR (PS3.5 table 6.2-1); 1 for text.
fn size(vr: VR) -> u64 {
    match vr {
        VR::US | VR::SS | VR::OW => 2,
        VR::AT | VR::UL | VR::SL | VR::FL | VR::OF | VR::OL => 4,
        VR::FD | VR::SV | VR::UV | VR::OD | VR::OV => 8,
        _ => 1,
    }
}

impl Values {
    pub(super) fn measure(&mut self, tag: Tag, vr: VR, length: u64) {
        if self.uneven.is_none() && tag != tags::PIXEL_DATA && !length.is_multiple_of(size(vr)) {
            self.uneven = Some((tag, vr, length));
        }
    }

    /// The first one of each counts, but every modifier of a view.
    pub(super) fn wants(&self, place: Place, tag: Tag) -> bool {
        match place {
            Place::Root => {
                [COPIED, FACTS, ORDERED, ANSWERED].iter().any(|list| list.contains(&tag))
                    && find(&self.root, tag).is_none()
            }
            Place::FunctionalGroups => GROUPED.contains(&tag) && find(&self.grouped, tag).is_none(),
            Place::ScheduledStep => SCHEDULED.contains(&tag) && find(&self.scheduled, tag).is_none(),
            Place::MultiEnergy => tag == tags::MONOENERGETIC_ENERGY_EQUIVALENT && find(&self.grouped, tag).is_none(),
            Place::ViewCode => tag == tags::CODE_VALUE && self.view_code.is_empty(),
            Place::ViewModifier => tag == tags::CODE_VALUE && self.view_modifiers.len() < MOST_MODIFIERS,
            Place::PartialView => tag == tags::CODE_VALUE && self.partial_view.len() < MOST_SECTIONS,
            Place::ProtocolCode => CODE.contains(&tag) && self.protocol_codes.len() < MOST_CODED,
            Place::RequestedCode => CODE.contains(&tag) && self.requested_codes.len() < MOST_CODED,
            Place::ReferencedStudy => REFERENCE.contains(&tag) && self.referenced_studies.len() < MOST_CODED,
            Place::Elsewhere => false,
        }
    }

    pub(super) fn take(&mut self, place: Place, tag: Tag, vr: VR, value: Vec<u8>, syntax: Syntax) {
        let list = match place {
            Place::Root => &mut self.root,
            Place::ScheduledStep => &mut self.scheduled,
            Place::ViewCode => &mut self.view_code,
            Place::ViewModifier => &mut self.view_modifiers,
            Place::PartialView => &mut self.partial_view,
            Place::ProtocolCode => &mut self.protocol_codes,
            Place::RequestedCode => &mut self.requested_codes,
            Place::ReferencedStudy => &mut self.referenced_studies,
            Place::FunctionalGroups | Place::MultiEnergy | Place::Elsewhere => &mut self.grouped,
        };
        list.push((RawElement { tag, vr, value }, syntax));
    }

    pub(super) fn pixels(&mut self, offset: u64, length: u64, encapsulated: bool) {
        self.pixel_data.get_or_insert(PixelData { offset, length, encapsulated });
    }

    /// Notes that the data set itself has this sequence.
    pub(super) fn sequence(&mut self, tag: Tag) {
        self.has_modality_lut |= tag == tags::MODALITY_LUT_SEQUENCE;
    }

    pub(super) fn into_scan(self, meta: &Meta) -> Result<Scan, ScanError> {
        let header = self.header(meta)?;
        let elements = self.root.into_iter().map(|(element, _)| element).filter(|e| COPIED.contains(&e.tag)).collect();
        Ok(Scan { header, elements })
    }

    fn header(&self, meta: &Meta) -> Result<Header, ScanError> {
        let charset = Charset::of(self.bytes(tags::SPECIFIC_CHARACTER_SET));
        let text = |tag| charset.decode_or_guess(self.bytes(tag)).0;
        let (patient_name, guessed) = charset.decode_or_guess(self.bytes(tags::PATIENT_NAME));
        let floats = |tag| text::floats(self.bytes(tag));
        let float = |tag| floats(tag).first().copied();
        let integer = |tag| text::integer(self.bytes(tag));
        let short = |tag| self.short(tag);
        let signed = short(tags::PIXEL_REPRESENTATION) == Some(1);
        let sample = |tag| short(tag).map(|bits| if signed { i64::from(bits.cast_signed()) } else { i64::from(bits) });
        let sop_class_uid = match self.uid(tags::SOP_CLASS_UID, "SOP Class UID (0008,0016)") {
            Err(ScanError::Missing(_)) => Ok(meta.sop_class_uid.clone()),
            other => other,
        }?;
        let frame_of_reference = text::trimmed(self.bytes(tags::FRAME_OF_REFERENCE_UID));
        Ok(Header {
            sop_class_uid,
            sop_instance_uid: self.uid(tags::SOP_INSTANCE_UID, "SOP Instance UID (0008,0018)")?,
            transfer_syntax_uid: meta.transfer_syntax_uid.clone(),
            study_instance_uid: self.uid(tags::STUDY_INSTANCE_UID, "Study Instance UID (0020,000D)")?,
            series_instance_uid: self.uid(tags::SERIES_INSTANCE_UID, "Series Instance UID (0020,000E)")?,
            frame_of_reference_uid: Some(frame_of_reference).filter(|uid| !uid.is_empty() && is_uid(uid)),
            modality: text(tags::MODALITY),
            image_type: text(tags::IMAGE_TYPE).split('\\').map(|part| part.trim().to_owned()).collect(),
            manufacturer: text(tags::MANUFACTURER),
            model_name: text(tags::MANUFACTURER_MODEL_NAME),
            body_part: text(tags::BODY_PART_EXAMINED),
            study_description: text(tags::STUDY_DESCRIPTION),
            series_description: text(tags::SERIES_DESCRIPTION),
            protocol_name: text(tags::PROTOCOL_NAME),
            study_date: text(tags::STUDY_DATE),
            patient_name,
            guessed_character_set: guessed.unwrap_or_default().to_owned(),
            patient_id: text(tags::PATIENT_ID),
            issuer_of_patient_id: text(tags::ISSUER_OF_PATIENT_ID),
            birth_date: text(tags::PATIENT_BIRTH_DATE),
            sex: text(tags::PATIENT_SEX),
            accession_number: text(tags::ACCESSION_NUMBER),
            series_number: integer(tags::SERIES_NUMBER),
            acquisition_number: integer(tags::ACQUISITION_NUMBER),
            instance_number: integer(tags::INSTANCE_NUMBER),
            images_in_acquisition: integer(tags::IMAGES_IN_ACQUISITION),
            number_of_series_related_instances: integer(tags::NUMBER_OF_SERIES_RELATED_INSTANCES),
            kernel: text(tags::CONVOLUTION_KERNEL),
            rows: short(tags::ROWS).map(u32::from).unwrap_or_default(),
            columns: short(tags::COLUMNS).map(u32::from).unwrap_or_default(),
            number_of_frames: integer(tags::NUMBER_OF_FRAMES).and_then(|n| u32::try_from(n).ok()).unwrap_or(1).max(1),
            samples_per_pixel: short(tags::SAMPLES_PER_PIXEL).unwrap_or(1),
            photometric: text(tags::PHOTOMETRIC_INTERPRETATION),
            bits_allocated: short(tags::BITS_ALLOCATED).unwrap_or_default(),
            bits_stored: short(tags::BITS_STORED).unwrap_or_default(),
            high_bit: short(tags::HIGH_BIT),
            pixel_representation: short(tags::PIXEL_REPRESENTATION).unwrap_or_default(),
            pixel_padding_value: sample(tags::PIXEL_PADDING_VALUE),
            pixel_padding_range_limit: sample(tags::PIXEL_PADDING_RANGE_LIMIT),
            rescale_slope: float(tags::RESCALE_SLOPE),
            rescale_intercept: float(tags::RESCALE_INTERCEPT),
            rescale_type: text(tags::RESCALE_TYPE),
            has_modality_lut: self.has_modality_lut,
            monoenergetic_kev: self.double(tags::MONOENERGETIC_ENERGY_EQUIVALENT),
            patient_position: text(tags::PATIENT_POSITION),
            image_position: floats(tags::IMAGE_POSITION_PATIENT).try_into().ok(),
            image_orientation: floats(tags::IMAGE_ORIENTATION_PATIENT).try_into().ok(),
            pixel_spacing: floats(tags::PIXEL_SPACING).try_into().ok(),
            slice_thickness: float(tags::SLICE_THICKNESS),
            gantry_tilt: float(tags::GANTRY_DETECTOR_TILT),
            projection: self.projection(),
            acquired: Acquired {
                when: self.acquired(),
                contrast_agent: text(tags::CONTRAST_BOLUS_AGENT),
                kvp: float(tags::KVP),
                dose_mgy: self.double(tags::CTD_IVOL),
            },
            pixel_data: self.pixel_data,
        })
    }

    fn acquired(&self) -> String {
        let code = |tag| text::code(self.bytes(tag));
        let whole = code(tags::ACQUISITION_DATE_TIME);
        if !whole.is_empty() {
            return whole;
        }
        let (date, time) = (code(tags::ACQUISITION_DATE), code(tags::ACQUISITION_TIME));
        if date.is_empty() || time.is_empty() { String::new() } else { date + &time }
    }

    fn projection(&self) -> Projection {
        let texts = |list: &[(RawElement, Syntax)]| -> Vec<String> {
            list.iter().map(|(element, _)| text::code(&element.value)).filter(|text| !text.is_empty()).collect()
        };
        let of_image = text::code(self.bytes(tags::IMAGE_LATERALITY));
        let sections = texts(&self.partial_view);
        // Some write the section and forget to say YES.
        let partial = match text::code(self.bytes(tags::PARTIAL_VIEW)).as_str() {
            "YES" => true,
            "NO" => false,
            _ => !sections.is_empty(),
        };
        Projection {
            laterality: if of_image.is_empty() { text::code(self.bytes(tags::LATERALITY)) } else { of_image },
            position: text::code(self.bytes(tags::VIEW_POSITION)),
            code: texts(&self.view_code).pop().unwrap_or_default(),
            modifiers: texts(&self.view_modifiers),
            partial,
            sections: if partial { sections } else { Vec::new() },
        }
    }

    fn uid(&self, tag: Tag, what: &'static str) -> Result<String, ScanError> {
        match text::trimmed(self.bytes(tag)) {
            uid if uid.is_empty() => Err(ScanError::Missing(what)),
            uid if uid.len() > LONGEST_UID => Err(ScanError::TooLong { what, limit: LONGEST_UID }),
            uid if !is_uid(&uid) => Err(ScanError::NoUid(what)),
            uid => Ok(uid),
        }
    }

    /// The bytes of an element; empty when it was not found there.
    pub(super) fn raw(&self, place: Place, tag: Tag) -> &[u8] {
        let list = if place == Place::ScheduledStep { &self.scheduled } else { &self.root };
        find(list, tag).map_or(&[], |(element, _)| &element.value)
    }

    /// The codes or references of a place, each as the values that it has by tag.
    pub(super) fn coded(&self, place: Place) -> Vec<Vec<(Tag, &[u8])>> {
        let (list, first) = match place {
            Place::ProtocolCode => (&self.protocol_codes, tags::CODE_VALUE),
            Place::RequestedCode => (&self.requested_codes, tags::CODE_VALUE),
            Place::ReferencedStudy => (&self.referenced_studies, tags::REFERENCED_SOP_CLASS_UID),
            _ => return Vec::new(),
        };
        let mut all: Vec<Vec<(Tag, &[u8])>> = Vec::new();
        for (element, _) in list {
            if element.tag == first {
                all.push(Vec::new());
            }
            if let Some(one) = all.last_mut() {
                one.push((element.tag, &element.value));
            }
        }
        all
    }

    pub(super) fn bytes(&self, tag: Tag) -> &[u8] {
        self.found(tag).map_or(&[], |(element, _)| &element.value)
    }

    fn found(&self, tag: Tag) -> Option<&(RawElement, Syntax)> {
        find(&self.root, tag).or_else(|| find(&self.grouped, tag))
    }

    /// The bits of the first value of an element of VR US or SS.
    pub(super) fn short(&self, tag: Tag) -> Option<u16> {
        let (element, syntax) = self.found(tag)?;
        Some(syntax.u16([*element.value.first()?, *element.value.get(1)?]))
    }

    /// The value of an element of VR FD.
    fn double(&self, tag: Tag) -> Option<f64> {
        let (element, syntax) = self.found(tag)?;
        let bytes: [u8; 8] = element.value.get(..8)?.try_into().ok()?;
        Some(if syntax.big_endian { f64::from_be_bytes(bytes) } else { f64::from_le_bytes(bytes) })
    }
}

fn find(list: &[(RawElement, Syntax)], tag: Tag) -> Option<&(RawElement, Syntax)> {
    list.iter().find(|(element, _)| element.tag == tag)
}
