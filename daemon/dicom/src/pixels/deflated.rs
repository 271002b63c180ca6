//! Inflates a deflated data set in memory to a Part 10 file. Such instances are rare and small.

use std::io::{Cursor, Read};

use dicom_dictionary_std::uids;
use flate2::read::DeflateDecoder;

use super::error::DecodeError;
use crate::header::Header;
use crate::scan;

/// Inflated bytes that are allowed besides the announced pixels.
const MAX_HEADER_BYTES: u64 = 64 << 20;

/// The most bytes of pixels that a deflated instance may announce.
const MAX_PIXEL_BYTES: u64 = 2 << 30;

/// The most bytes that a deflated instance may inflate to, by its header.
pub fn most_bytes(header: &Header) -> u64 {
    let pixels = u64::from(header.rows) * u64::from(header.columns);
    let pixels = pixels.saturating_mul(u64::from(header.number_of_frames.max(1)));
    MAX_HEADER_BYTES + pixels.saturating_mul(u64::from(header.bits_allocated / 8)).min(MAX_PIXEL_BYTES)
}

/// Returns the instance in Explicit VR Little Endian and its header, scanned again. `scan` has limited its nesting
/// already.
pub fn inflated(header: &Header, part10: &[u8]) -> Result<(Header, Vec<u8>), DecodeError> {
    let failed = |reason: String| DecodeError::DataSet { reason };
    let start = data_set_start(part10).ok_or_else(|| failed("there is no file meta group".into()))?;
    let limit = most_bytes(header);

    let mut plain = file_meta();
    let before = plain.len() as u64;
    DeflateDecoder::new(&part10[start..])
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|error| failed(format!("the deflated data set is corrupt: {error}")))?;
    if plain.len() as u64 - before == limit {
        return Err(failed(format!("the deflated data set inflates to more than {limit} bytes")));
    }
    let mut header = scan::scan(Cursor::new(&plain)).map_err(|error| failed(error.to_string()))?.header;
    // Otherwise the deflate codec would be chosen again.
    header.transfer_syntax_uid = uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned();
    Ok((header, plain))
}

/// The data set begins after the file meta group, whose length is its first element (PS3.10, 7.1).
fn data_set_start(part10: &[u8]) -> Option<usize> {
    const GROUP_LENGTH: [u8; 8] = [0x02, 0, 0, 0, b'U', b'L', 4, 0];
    let meta = part10.get(132..)?;
    if !meta.starts_with(&GROUP_LENGTH) {
        return None;
    }
    let length = u32::from_le_bytes(meta.get(8..12)?.try_into().ok()?) as usize;
    let start = 132 + 12 + length;
    (start <= part10.len()).then_some(start)
}

fn file_meta() -> Vec<u8> {
    let mut uid = uids::EXPLICIT_VR_LITTLE_ENDIAN.as_bytes().to_vec();
    if !uid.len().is_multiple_of(2) {
        uid.push(0);
    }
    let mut element = vec![0x02, 0, 0x10, 0, b'U', b'I'];
    // A UID has at most 64 bytes (PS3.5 section 9.1), so its length fits the two low bytes.
    element.extend(&uid.len().to_le_bytes()[..2]);
    element.extend(uid);

    let mut out = vec![0; 128];
    out.extend(b"DICM");
    out.extend([0x02, 0, 0, 0, b'U', b'L', 4, 0]);
    out.extend(&element.len().to_le_bytes()[..4]);
    out.extend(element);
    out
}
