//! Parses the data set of an instance with a recursive parser. Only for instances whose nesting `scan` has limited.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_dictionary_std::tags;
use dicom_object::file::ReadPreamble;
use dicom_object::{InMemDicomObject, OpenFileOptions};

use super::error::DecodeError;

/// Returns all elements before the pixel data.
pub fn data_set(part10: &[u8]) -> Result<InMemDicomObject, DecodeError> {
    let failed = |reason: String| DecodeError::DataSet { reason };
    let options = OpenFileOptions::new().read_preamble(ReadPreamble::Always).read_until(tags::PIXEL_DATA);
    let file = catch_unwind(AssertUnwindSafe(|| options.from_reader(part10)))
        .map_err(|_| failed("the parser failed on malformed data".into()))?
        .map_err(|error| failed(error.to_string()))?;
    Ok(file.into_inner())
}
