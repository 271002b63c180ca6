//! Rows of a search as DICOM JSON (PS3.18 section F.2). What the box does not know of a required attribute has no value.
//! Pure.

use custody::store::lists::StudyItem;
use custody::store::results::ResultRow;
use dicom::header::Header;
use dicom::json;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use serde_json::{Map, Value, json};

/// Attributes of one row.
struct Row(Map<String, Value>);

impl Row {
    fn new() -> Self {
        Self(Map::new())
    }

    fn values(mut self, tag: Tag, vr: VR, values: Vec<Value>) -> Self {
        let mut element = Map::from_iter([("vr".to_owned(), json!(vr.to_string()))]);
        if !values.is_empty() {
            element.insert("Value".into(), Value::Array(values));
        }
        self.0.insert(json::key(tag), Value::Object(element));
        self
    }

    fn text(self, tag: Tag, vr: VR, value: &str) -> Self {
        let values = if value.is_empty() { Vec::new() } else { vec![json!(value)] };
        self.values(tag, vr, values)
    }

    fn number(self, tag: Tag, vr: VR, value: Option<i64>) -> Self {
        self.values(tag, vr, value.map(|value| json!(value)).into_iter().collect())
    }

    fn name(self, tag: Tag, value: &str) -> Self {
        let values = if value.is_empty() { Vec::new() } else { vec![json::name(value)] };
        self.values(tag, VR::PN, values)
    }
}

/// Of what was received and what was made of it.
pub fn modalities(study: &StudyItem, made: &[ResultRow]) -> Vec<String> {
    let of_result = |row: &ResultRow| match row.kind.as_str() {
        "seg" => "SEG",
        "sr" => "SR",
        "pdf" => "DOC",
        _ => "OT",
    };
    let mut all: Vec<String> = study.modalities.clone();
    all.extend(made.iter().map(|row| of_result(row).to_owned()));
    all.sort();
    all.dedup();
    all
}

pub fn study(study: &StudyItem, made: &[ResultRow], modalities: &[String], base: &str) -> Map<String, Value> {
    let header = &study.header;
    let mut series: Vec<&str> = made.iter().map(|row| row.series_uid.as_str()).collect();
    series.sort_unstable();
    series.dedup();
    let count = |received: u32, made: usize| Some(i64::from(received) + i64::try_from(made).unwrap_or(i64::MAX));
    patient(of_study(Row::new(), header), header)
        .text(tags::STUDY_TIME, VR::TM, "")
        .text(tags::INSTANCE_AVAILABILITY, VR::CS, "ONLINE")
        .values(tags::MODALITIES_IN_STUDY, VR::CS, modalities.iter().map(|one| json!(one)).collect())
        .name(tags::REFERRING_PHYSICIAN_NAME, "")
        .text(tags::STUDY_DESCRIPTION, VR::LO, &header.study_description)
        .text(tags::STUDY_ID, VR::SH, "")
        .number(tags::NUMBER_OF_STUDY_RELATED_SERIES, VR::IS, count(study.series_count, series.len()))
        .number(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, VR::IS, count(study.instance_count, made.len()))
        .text(tags::RETRIEVE_URL, VR::UR, &format!("{base}/studies/{}", study.study_uid))
        .0
}

pub fn series(header: &Header, instances: usize, base: &str) -> Map<String, Value> {
    let (study, series) = (&header.study_instance_uid, &header.series_instance_uid);
    of_study(of_series(Row::new(), header), header)
        .number(tags::NUMBER_OF_SERIES_RELATED_INSTANCES, VR::IS, i64::try_from(instances).ok())
        .text(tags::RETRIEVE_URL, VR::UR, &format!("{base}/studies/{study}/series/{series}"))
        .0
}

pub fn instance(header: &Header, base: &str) -> Map<String, Value> {
    let (study, series, sop) = (&header.study_instance_uid, &header.series_instance_uid, &header.sop_instance_uid);
    let size = |value: u32| (header.pixel_data.is_some() && value > 0).then_some(i64::from(value));
    of_study(of_series(Row::new(), header), header)
        .text(tags::SOP_CLASS_UID, VR::UI, &header.sop_class_uid)
        .text(tags::SOP_INSTANCE_UID, VR::UI, sop)
        .text(tags::INSTANCE_AVAILABILITY, VR::CS, "ONLINE")
        .number(tags::INSTANCE_NUMBER, VR::IS, header.instance_number)
        .number(tags::ROWS, VR::US, size(header.rows))
        .number(tags::COLUMNS, VR::US, size(header.columns))
        .number(tags::BITS_ALLOCATED, VR::US, size(u32::from(header.bits_allocated)))
        .number(tags::NUMBER_OF_FRAMES, VR::IS, size(header.number_of_frames))
        .text(tags::AVAILABLE_TRANSFER_SYNTAX_UID, VR::UI, &header.transfer_syntax_uid)
        .text(tags::RETRIEVE_URL, VR::UR, &format!("{base}/studies/{study}/series/{series}/instances/{sop}"))
        .0
}

fn of_study(row: Row, header: &Header) -> Row {
    row.text(tags::STUDY_INSTANCE_UID, VR::UI, &header.study_instance_uid)
        .text(tags::STUDY_DATE, VR::DA, &header.study_date)
        .text(tags::ACCESSION_NUMBER, VR::SH, &header.accession_number)
}

fn of_series(row: Row, header: &Header) -> Row {
    row.text(tags::SERIES_INSTANCE_UID, VR::UI, &header.series_instance_uid)
        .text(tags::MODALITY, VR::CS, &header.modality)
        .text(tags::SERIES_DESCRIPTION, VR::LO, &header.series_description)
        .number(tags::SERIES_NUMBER, VR::IS, header.series_number)
}

fn patient(row: Row, header: &Header) -> Row {
    row.name(tags::PATIENT_NAME, &header.patient_name)
        .text(tags::PATIENT_ID, VR::LO, &header.patient_id)
        .text(tags::PATIENT_BIRTH_DATE, VR::DA, &header.birth_date)
        .text(tags::PATIENT_SEX, VR::CS, &header.sex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_groups_and_what_is_not_known_has_no_value() {
        let header = Header { patient_name: "WANG^XIAODONG=王^小东=".into(), ..Header::default() };
        let row = patient(Row::new(), &header).0;
        let name = json!({ "vr": "PN", "Value": [{ "Alphabetic": "WANG^XIAODONG", "Ideographic": "王^小东" }] });
        assert_eq!(row["00100010"], name);
        assert_eq!(row["00100020"], json!({ "vr": "LO" }));
    }
}
