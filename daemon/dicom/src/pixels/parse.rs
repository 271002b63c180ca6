//! Parses the data set of an instance with a recursive parser, which sees only what `scan::check` has let pass.

use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::file::ReadPreamble;
use dicom_object::{DefaultDicomObject, InMemDicomObject, OpenFileOptions};

use super::error::DecodeError;
use crate::scan;

/// Returns all elements before the pixel data.
///
/// # Errors
/// When the data set cannot be parsed (as below).
pub fn data_set(part10: &[u8]) -> Result<InMemDicomObject, DecodeError> {
    Ok(object(part10, Some(tags::PIXEL_DATA))?.into_inner())
}

/// As [`data_set`], of a file of which no more than `most` bytes are read into memory: pixel data is skipped.
///
/// # Errors
/// When it cannot be read or parsed, or has more than that before the pixel data.
pub fn data_set_of(file: &mut (impl Read + Seek), most: u64) -> Result<InMemDicomObject, DecodeError> {
    let failed = |reason: String| DecodeError::DataSet { reason };
    scan::check(&mut *file).map_err(|error| failed(error.to_string()))?;
    file.seek(SeekFrom::Start(0)).map_err(|error| failed(error.to_string()))?;
    let mut bounded = file.take(most);
    let parsed = from_reader(BufReader::new(&mut bounded), Some(tags::PIXEL_DATA));
    if bounded.limit() == 0 {
        return Err(failed(format!("more than {} MiB lie before its pixel data", most >> 20)));
    }
    Ok(parsed?.into_inner())
}

/// The whole object, with its file meta group.
///
/// # Errors
/// When the data set cannot be parsed.
pub fn whole(part10: &[u8]) -> Result<DefaultDicomObject, DecodeError> {
    object(part10, None)
}

fn object(part10: &[u8], until: Option<Tag>) -> Result<DefaultDicomObject, DecodeError> {
    let failed = |reason: String| DecodeError::DataSet { reason };
    scan::check(Cursor::new(part10)).map_err(|error| failed(error.to_string()))?;
    from_reader(part10, until)
}

fn from_reader(part10: impl Read, until: Option<Tag>) -> Result<DefaultDicomObject, DecodeError> {
    let failed = |reason: String| DecodeError::DataSet { reason };
    let options = OpenFileOptions::new().read_preamble(ReadPreamble::Always);
    let options = match until {
        Some(tag) => options.read_until(tag),
        None => options,
    };
    catch_unwind(AssertUnwindSafe(|| options.from_reader(part10)))
        .map_err(|_| failed("the parser failed on malformed data".into()))?
        .map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by `make fuzz`: the parser took the end of a number for the next element, and asked for 1.4 GB.
    #[test]
    fn a_number_of_six_bytes_is_refused_before_a_length_is_believed_that_nobody_wrote() {
        let mut file = vec![0; 128];
        file.extend(b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0");
        let sound = file.len();
        file.extend(b"\x08\0\x18\0UL\x06\x002.25.7\x08\0\x60\0CS\x02\0US");
        assert!(scan::check(Cursor::new(&file[..sound])).is_ok());
        let said = data_set(&file).unwrap_err().to_string();
        assert!(said.contains("(0008,0018) has 6 bytes"), "{said}");
    }
}
