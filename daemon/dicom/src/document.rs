//! Takes the document out of an encapsulated PDF (PS3.3 section A.45.1).

use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_dictionary_std::tags;
use dicom_object::from_reader;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the document cannot be read: {0}")]
    DataSet(String),
    #[error("the object holds no PDF document")]
    NoDocument,
}

/// The bytes of the PDF, without the one that pads it to an even length.
///
/// # Errors
/// When the file holds none.
pub fn pdf(part10: &[u8]) -> Result<Vec<u8>, Error> {
    let file = catch_unwind(AssertUnwindSafe(|| from_reader(part10)))
        .map_err(|_| Error::DataSet("the parser failed on malformed data".into()))?
        .map_err(|error| Error::DataSet(error.to_string()))?;
    let bytes = file.element(tags::ENCAPSULATED_DOCUMENT).ok().and_then(|element| element.to_bytes().ok());
    let mut bytes = bytes.filter(|bytes| bytes.starts_with(b"%PDF")).ok_or(Error::NoDocument)?.into_owned();
    let length = file.element_opt(tags::ENCAPSULATED_DOCUMENT_LENGTH).ok().flatten();
    match length.and_then(|element| element.to_int::<usize>().ok()) {
        Some(length) => bytes.truncate(length),
        None if bytes.last() == Some(&0) => drop(bytes.pop()),
        None => {}
    }
    Ok(bytes)
}
