//! What was asked for, in the results of an exam that this box made: Request Attributes Sequence (PS3.3 table 10-9) of images and
//! segmentations, Referenced Request Sequence (PS3.3 section C.17.2) of reports. The texts are in the character set of the exam.

use dicom::request::{Code, Reference, Request};
use dicom_core::header::Header;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;

use crate::dataset::{DataSet, reference};

/// Puts it where objects of this kind have it. An order without any ID, as those of a list without an information system, is
/// known by study and accession number, which every object has.
pub fn put(set: &mut DataSet, is_report: bool, request: &Request) {
    if request.procedure_id.is_empty() && request.step_id.is_empty() {
        return;
    }
    if is_report {
        let item = of_report(set, request);
        set.sequence(tags::REFERENCED_REQUEST_SEQUENCE, vec![item]);
    } else {
        set.sequence(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![of_image(request)]);
    }
}

/// Both IDs are of type 1C: present, if there is a request.
fn of_image(request: &Request) -> DataSet {
    let mut item = DataSet::new();
    text_if_any(&mut item, tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO, &request.procedure_description);
    codes_if_any(&mut item, tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, &request.procedure_codes);
    text_if_any(&mut item, tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, VR::LO, &request.step_description);
    codes_if_any(&mut item, tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, &request.protocol_codes);
    text_if_any(&mut item, tags::SCHEDULED_PROCEDURE_STEP_ID, VR::SH, &request.step_id);
    text_if_any(&mut item, tags::REQUESTED_PROCEDURE_ID, VR::SH, &request.procedure_id);
    item
}

/// All attributes of type 1 and 2; study and accession number are those of the report.
fn of_report(set: &DataSet, request: &Request) -> DataSet {
    let mut item = DataSet::new();
    for tag in [tags::STUDY_INSTANCE_UID, tags::ACCESSION_NUMBER] {
        if let Some(element) = set.0.iter().find(|element| element.tag() == tag) {
            item.0.put(element.clone());
        }
    }
    let studies: Vec<DataSet> =
        request.studies.iter().map(|Reference { sop_class, sop_uid }| reference(sop_class, sop_uid)).collect();
    item.sequence(tags::REFERENCED_STUDY_SEQUENCE, studies);
    item.sequence(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, codes(&request.procedure_codes));
    text(&mut item, tags::REQUESTED_PROCEDURE_DESCRIPTION, VR::LO, &request.procedure_description);
    text(&mut item, tags::REQUESTED_PROCEDURE_ID, VR::SH, &request.procedure_id);
    item.empty(tags::PLACER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST, VR::LO);
    item.empty(tags::FILLER_ORDER_NUMBER_IMAGING_SERVICE_REQUEST, VR::LO);
    item
}

fn text(set: &mut DataSet, tag: Tag, vr: VR, value: &str) {
    set.bytes(tag, vr, value.as_bytes().to_vec());
}

fn text_if_any(set: &mut DataSet, tag: Tag, vr: VR, value: &str) {
    if !value.is_empty() {
        text(set, tag, vr, value);
    }
}

fn codes(codes: &[Code]) -> Vec<DataSet> {
    let item = |code: &Code| {
        let mut item = DataSet::new();
        text(&mut item, tags::CODE_VALUE, VR::SH, &code.value);
        text(&mut item, tags::CODING_SCHEME_DESIGNATOR, VR::SH, &code.scheme);
        text_if_any(&mut item, tags::CODING_SCHEME_VERSION, VR::SH, &code.version);
        text(&mut item, tags::CODE_MEANING, VR::LO, &code.meaning);
        item
    };
    codes.iter().map(item).collect()
}

fn codes_if_any(set: &mut DataSet, tag: Tag, of: &[Code]) {
    if !of.is_empty() {
        set.sequence(tag, codes(of));
    }
}
