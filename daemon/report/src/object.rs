//! What all result objects have in common: identity, series, equipment, provenance.

use dicom::request::Request;
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use models::review::Signature;

use crate::codes::{ACQUISITION_EQUIPMENT, OWN_SCHEME, PROCESSING_EQUIPMENT};
use crate::dataset::{self, DataSet};
use crate::provenance::{DEVICE_MODEL, MANUFACTURER};
use crate::uid::Uids;
use crate::{Error, Provenance, ResultObject, Source, asked, identity};

/// Characters of Contribution Description (VR ST).
const LONGEST_DESCRIPTION: usize = 1024;

/// What every writer needs.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub source: &'a Source<'a>,
    pub provenance: &'a Provenance,
    pub uids: &'a Uids,
    /// Who has reviewed the result, if somebody did.
    pub review: Option<Signature<'a>>,
    /// What was asked for, of an exam of this box.
    pub request: Option<&'a Request>,
}

impl Context<'_> {
    /// For what stays a draft of software when a person has signed the report: nobody has judged its categories.
    pub fn unsigned(&self) -> Self {
        Self { review: None, ..*self }
    }
}

/// A kind of result object. Each kind has its own series, with a series number far above those of scanners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKind {
    pub name: &'static str,
    pub sop_class_uid: &'static str,
    pub modality: &'static str,
    pub series_number: &'static str,
    pub description: &'static str,
}

pub const SR: ObjectKind = ObjectKind {
    name: "sr",
    sop_class_uid: "1.2.840.10008.5.1.4.1.1.88.34",
    modality: "SR",
    series_number: "97001",
    description: "Scanside measurements",
};
/// The report about the image quality of a CT series.
pub const QUALITY: ObjectKind = ObjectKind { series_number: "97007", description: "Scanside CT image quality", ..SR };
/// The report about the views of a mammography.
pub const VIEWS: ObjectKind = ObjectKind { series_number: "97008", description: "Scanside mammography views", ..SR };
pub const SEG: ObjectKind = ObjectKind {
    name: "seg",
    sop_class_uid: "1.2.840.10008.5.1.4.1.1.66.4",
    modality: "SEG",
    series_number: "97002",
    description: "Scanside segmentation",
};
pub const SC: ObjectKind = ObjectKind {
    name: "sc",
    sop_class_uid: "1.2.840.10008.5.1.4.1.1.7",
    modality: "OT",
    series_number: "97003",
    description: "Scanside key images",
};

pub const PDF: ObjectKind = ObjectKind {
    name: "pdf",
    sop_class_uid: "1.2.840.10008.5.1.4.1.1.104.1",
    modality: "DOC",
    series_number: "97004",
    description: "Scanside report draft",
};

/// The breast imaging report (TID 4200).
pub const BREAST: ObjectKind = ObjectKind {
    name: "breast-report",
    sop_class_uid: uids::ENHANCED_SR_STORAGE,
    modality: "SR",
    series_number: "97010",
    description: "Scanside breast report",
};
/// The marks of a mammography for workstations that show CAD (TID 4000).
pub const CAD: ObjectKind = ObjectKind {
    name: "mg-cad",
    sop_class_uid: "1.2.840.10008.5.1.4.1.1.88.50",
    modality: "SR",
    series_number: "97011",
    description: "Scanside mammography CAD",
};

/// A note that other results do not count any more.
pub const KO: ObjectKind = ObjectKind {
    name: "ko",
    sop_class_uid: "1.2.840.10008.5.1.4.1.1.88.59",
    modality: "KO",
    series_number: "97009",
    description: "Scanside rejection note",
};

impl Context<'_> {
    pub fn series_uid(&self, kind: ObjectKind) -> String {
        self.uids.of(&format!("{} series", kind.name), 0)
    }

    pub fn sop_uid(&self, kind: ObjectKind, index: usize) -> String {
        self.uids.of(kind.name, index)
    }

    /// A data set with all attributes that do not depend on the content of the object. `index` counts from 0.
    ///
    /// # Errors
    /// When a value of the source does not fit into an object.
    pub fn begin(&self, kind: ObjectKind, index: usize) -> Result<DataSet, Error> {
        // Dates of the study are of the place where it was made, and all dates of an object have one offset.
        let offset = self.offset();
        let (date, time) = date_and_time(&self.provenance.created_utc, &offset);
        let mut set = DataSet::new();
        identity::copy(self.source, self.uids, &mut set)?;
        set.text(tags::SOP_CLASS_UID, VR::UI, kind.sop_class_uid);
        set.text(tags::SOP_INSTANCE_UID, VR::UI, &self.sop_uid(kind, index));
        set.text(tags::MODALITY, VR::CS, kind.modality);
        set.text(tags::SERIES_INSTANCE_UID, VR::UI, &self.series_uid(kind));
        set.text(tags::SERIES_NUMBER, VR::IS, kind.series_number);
        set.text(tags::SERIES_DESCRIPTION, VR::LO, &self.series_description(kind));
        set.text(tags::INSTANCE_NUMBER, VR::IS, &(index + 1).to_string());
        for tag in [tags::INSTANCE_CREATION_DATE, tags::SERIES_DATE, tags::CONTENT_DATE] {
            set.text(tag, VR::DA, &date);
        }
        for tag in [tags::INSTANCE_CREATION_TIME, tags::SERIES_TIME, tags::CONTENT_TIME] {
            set.text(tag, VR::TM, &time);
        }
        set.text(tags::TIMEZONE_OFFSET_FROM_UTC, VR::SH, &offset);
        self.equipment(&mut set);
        self.contributing_equipment(&mut set);
        if let Some(request) = self.request {
            asked::put(&mut set, kind.modality == SR.modality, request);
        }
        Ok(set)
    }

    /// Of the dates and times from UTC: what the source says, else that of this place.
    fn offset(&self) -> String {
        let said = self.source.elements.iter().find(|element| element.tag == tags::TIMEZONE_OFFSET_FROM_UTC);
        let said = said.map(|element| String::from_utf8_lossy(&element.value).trim_matches(['\0', ' ']).to_owned());
        said.filter(|offset| minutes(offset).is_some()).unwrap_or_else(|| self.provenance.offset.clone())
    }

    /// The series description includes the mark, because every viewer shows it.
    fn series_description(&self, kind: ObjectKind) -> String {
        let mark = if self.provenance.mark().is_some() { " - NOT FOR DIAGNOSIS" } else { "" };
        match self.review {
            Some(_) => format!("{}, reviewed{mark}", kind.description.trim_end_matches(" draft")),
            None => format!("{}{mark}", kind.description),
        }
    }

    fn equipment(&self, set: &mut DataSet) {
        let p = self.provenance;
        set.text(tags::MANUFACTURER, VR::LO, MANUFACTURER);
        set.text(tags::MANUFACTURER_MODEL_NAME, VR::LO, DEVICE_MODEL);
        set.text(tags::DEVICE_SERIAL_NUMBER, VR::LO, or_unknown(&p.serial_number));
        let software = format!("scansided {}", p.software_version);
        match &p.model {
            Some(m) => {
                set.texts(tags::SOFTWARE_VERSIONS, VR::LO, &[&software, &format!("{} {}", m.id, m.version)]);
            }
            None => set.text(tags::SOFTWARE_VERSIONS, VR::LO, &software),
        }
        // The name is omitted if it cannot be written in the character set of the source.
        if !p.institution.is_empty() && p.institution.is_ascii() {
            set.text(tags::INSTITUTION_NAME, VR::LO, &p.institution);
        }
        if !p.station_name.is_empty() {
            set.text(tags::STATION_NAME, VR::SH, &p.station_name);
        }
    }

    /// Contributing equipment (PS3.3 section C.12.1): the scanner, and this box with software, model and accelerator.
    fn contributing_equipment(&self, set: &mut DataSet) {
        let p = self.provenance;
        let mut items = Vec::new();
        let header = self.source.header;
        if !header.manufacturer.is_empty() {
            let mut scanner = DataSet::new();
            scanner.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, ACQUISITION_EQUIPMENT);
            scanner.text(tags::MANUFACTURER, VR::LO, &header.manufacturer);
            if !header.model_name.is_empty() {
                scanner.text(tags::MANUFACTURER_MODEL_NAME, VR::LO, &header.model_name);
            }
            items.push(scanner);
        }
        let mut device = DataSet::new();
        device.code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, PROCESSING_EQUIPMENT);
        self.equipment(&mut device);
        device.text(tags::DEVICE_UID, VR::UI, &p.device_uid);
        let (date, time) = date_and_time(&p.created_utc, UTC);
        device.text(tags::CONTRIBUTION_DATE_TIME, VR::DT, &format!("{date}{time}+0000"));
        device.text(tags::CONTRIBUTION_DESCRIPTION, VR::ST, &p.line_within(LONGEST_DESCRIPTION));
        items.push(device);
        set.sequence(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, items);
    }

    /// Writes the object as a Part 10 file in Explicit VR Little Endian.
    ///
    /// # Errors
    /// When the encoder refuses a value.
    pub fn finish(&self, kind: ObjectKind, index: usize, set: DataSet, capacity: usize) -> Result<ResultObject, Error> {
        self.finish_as(kind, index, set, capacity, uids::EXPLICIT_VR_LITTLE_ENDIAN)
    }

    /// # Errors
    /// When the encoder refuses a value.
    pub fn finish_as(
        &self,
        kind: ObjectKind,
        index: usize,
        set: DataSet,
        capacity: usize,
        transfer_syntax: &str,
    ) -> Result<ResultObject, Error> {
        let sop_uid = self.sop_uid(kind, index);
        Ok(ResultObject {
            kind: kind.name,
            sop_class_uid: kind.sop_class_uid.into(),
            part10: dataset::part10(set, kind.name, kind.sop_class_uid, &sop_uid, capacity, transfer_syntax)?,
            sop_uid,
            series_uid: self.series_uid(kind),
            study_uid: identity::study_uid(self.source, self.uids),
        })
    }
}

/// VERIFIED once a person has signed.
pub fn verification_flag(review: Option<Signature<'_>>) -> &'static str {
    if review.is_some() { "VERIFIED" } else { "UNVERIFIED" }
}

/// Declares our private coding scheme, for objects that use it (PS3.3 section C.12.1.1.1).
pub fn declare_own_codes(set: &mut DataSet) {
    let mut item = DataSet::new();
    item.text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, OWN_SCHEME);
    item.text(tags::CODING_SCHEME_NAME, VR::ST, "Scanside private codes");
    item.text(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, VR::ST, MANUFACTURER);
    set.sequence(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, vec![item]);
}

pub fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

pub const UTC: &str = "+0000";

/// Minutes from UTC of `+0800`; `None` when it is none (PS3.3 section C.12.1.1.8: -1200 to +1400).
fn minutes(offset: &str) -> Option<i32> {
    let (sign, digits) = offset.split_at_checked(1)?;
    let sign = match sign {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let is_time = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let [hours, minutes] = [digits.get(..2)?, digits.get(2..)?].map(|two| two.parse::<i32>().unwrap_or(99));
    let all = sign * (60 * hours + minutes);
    (is_time && minutes < 60 && (-720..=840).contains(&all)).then_some(all)
}

/// Converts `2026-11-24T03:00:01.250Z` to DA and TM at `offset` from UTC, as `+0800`; one that is none counts as UTC. Both are empty
/// for what is no moment.
pub fn date_and_time(utc: &str, offset: &str) -> (String, String) {
    let Ok(moment) = utc.parse::<jiff::Timestamp>() else { return Default::default() };
    let offset = jiff::tz::Offset::from_seconds(60 * minutes(offset).unwrap_or(0)).unwrap_or(jiff::tz::Offset::UTC);
    let there = offset.to_datetime(moment);
    (there.strftime("%Y%m%d").to_string(), there.strftime("%H%M%S%.3f").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_dicom_times() {
        assert_eq!(date_and_time("2026-11-24T03:00:01.250Z", UTC), ("20261124".into(), "030001.250".into()));
        assert_eq!(date_and_time("2026-11-24T03:00:01+00:00", UTC), ("20261124".into(), "030001.000".into()));
    }

    #[test]
    fn before_midnight_utc_it_is_the_next_day_in_china() {
        let moment = "2026-11-29T23:30:00.000Z";
        assert_eq!(date_and_time(moment, "+0800"), ("20261130".into(), "073000.000".into()));
        assert_eq!(date_and_time("2026-11-30T02:10:00Z", "-0330"), ("20261129".into(), "224000.000".into()));
        for none in ["", "+800", "0800", "+2500", "+0860", "+08:00", "\u{ff0b}0800", "+\u{663}800"] {
            assert_eq!(minutes(none), None, "{none}");
        }
    }
}
