//! The Encapsulated PDF object (PS3.3 section A.45.1), for archives that store only DICOM.

use dicom_core::VR;
use dicom_core::value::PrimitiveValue;
use dicom_dictionary_std::tags;

use crate::codes::DIAGNOSTIC_IMAGING_REPORT;
use crate::dataset;
use crate::object::{Context, PDF, verification_flag};
use crate::{Error, ResultObject};

/// `title`: plain ASCII. `own`: images of ours that it is made of, where no scanner sent any.
///
/// # Errors
/// When a copied value does not fit into an object.
pub fn write(
    context: &Context,
    title: &str,
    index: usize,
    mut document: Vec<u8>,
    own: &[&ResultObject],
) -> Result<ResultObject, Error> {
    let length = document.len();
    let Ok(length_32) = u32::try_from(length) else {
        return Err(Error::TooLong { tag: tags::ENCAPSULATED_DOCUMENT, length });
    };
    if document.len() % 2 == 1 {
        document.push(0);
    }
    let mut set = context.begin(PDF, index)?;
    set.text(tags::CONVERSION_TYPE, VR::CS, "WSD");
    set.empty(tags::ACQUISITION_DATE_TIME, VR::DT);
    // The patient's name is on the page.
    set.text(tags::BURNED_IN_ANNOTATION, VR::CS, "YES");
    set.text(tags::DOCUMENT_TITLE, VR::ST, title);
    set.code(tags::CONCEPT_NAME_CODE_SEQUENCE, DIAGNOSTIC_IMAGING_REPORT);
    set.text(tags::VERIFICATION_FLAG, VR::CS, verification_flag(context.review));
    let mut seen = std::collections::HashSet::new();
    let sources = context.source.instances.iter().filter(|i| seen.insert(&i.sop_instance_uid));
    let sources = sources.map(|i| dataset::reference(&i.sop_class_uid, &i.sop_instance_uid));
    let own = own.iter().map(|image| dataset::reference(&image.sop_class_uid, &image.sop_uid));
    set.sequence(tags::SOURCE_INSTANCE_SEQUENCE, sources.chain(own).collect());
    set.text(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, VR::LO, "application/pdf");
    set.primitive(tags::ENCAPSULATED_DOCUMENT_LENGTH, VR::UL, PrimitiveValue::from(length_32));
    set.primitive(tags::ENCAPSULATED_DOCUMENT, VR::OB, PrimitiveValue::U8(document.into()));
    context.finish(PDF, index, set, length)
}
