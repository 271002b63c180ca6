//! Reads the image header of a JPEG, JPEG-LS or JPEG 2000 codestream before it is decoded.
//!
//! Decoders allocate memory for the size in the codestream, and some fill only part of their output when it differs
//! from the header of the instance. Therefore both are compared first. Only the first frame or size marker is read.

/// Size and coding according to a codestream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    pub columns: u32,
    pub rows: u32,
    pub components: u32,
    /// Bits per sample.
    pub precision: u16,
    pub coding: Coding,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Baseline, extended or progressive DCT.
    JpegDct,
    JpegLossless,
    /// Arithmetic or hierarchical processes, retired from DICOM.
    JpegRetired,
    JpegLs,
    Jpeg2000,
}

/// `None` when no frame header is found.
pub fn claims(codestream: &[u8]) -> Option<Claims> {
    if let Some(start) = jpeg2000_start(codestream) {
        return jpeg2000(&codestream[start..]);
    }
    jpeg(codestream)
}

/// Offset of the SOC marker followed by SIZ: at the start, or inside a JP2 file, which some devices send although DICOM
/// forbids it.
pub(super) fn jpeg2000_start(bytes: &[u8]) -> Option<usize> {
    const SOC_SIZ: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];
    const JP2_SIGNATURE: [u8; 8] = [0, 0, 0, 12, b'j', b'P', b' ', b' '];
    /// Bytes to search; the boxes before the codestream are small.
    const LOOK_AHEAD: usize = 64 * 1024;
    if bytes.starts_with(&SOC_SIZ) {
        return Some(0);
    }
    if !bytes.starts_with(&JP2_SIGNATURE) {
        return None;
    }
    bytes[..bytes.len().min(LOOK_AHEAD)].windows(4).position(|w| w == SOC_SIZ)
}

/// The SIZ marker segment: ISO/IEC 15444-1, A.5.1.
fn jpeg2000(bytes: &[u8]) -> Option<Claims> {
    let size = bytes.get(4..)?;
    let right = be32(size, 4)?;
    let bottom = be32(size, 8)?;
    let left = be32(size, 12)?;
    let top = be32(size, 16)?;
    let components = be16(size, 36)?;
    let depth = *size.get(38)?;
    let step_x = *size.get(39)?;
    let step_y = *size.get(40)?;
    // Subsampled components have fewer samples than the image has pixels.
    if step_x != 1 || step_y != 1 {
        return None;
    }
    Some(Claims {
        columns: right.checked_sub(left)?,
        rows: bottom.checked_sub(top)?,
        components: u32::from(components),
        precision: u16::from(depth & 0x7f) + 1,
        coding: Coding::Jpeg2000,
    })
}

/// The first SOF marker segment: ISO/IEC 10918-1, B.2.2; for JPEG-LS ISO/IEC 14495-1, C.2.2.
fn jpeg(bytes: &[u8]) -> Option<Claims> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let mut at = 2;
    loop {
        // Fill bytes may precede a marker.
        while *bytes.get(at)? == 0xff && *bytes.get(at + 1)? == 0xff {
            at += 1;
        }
        if bytes[at] != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        let coding = match marker {
            0xc0..=0xc2 => Some(Coding::JpegDct),
            0xc3 => Some(Coding::JpegLossless),
            0xf7 => Some(Coding::JpegLs),
            // DHT, JPG and DAC share the range of the frame markers.
            0xc4 | 0xc8 | 0xcc => None,
            0xc5..=0xcf => Some(Coding::JpegRetired),
            // Scan data or the end of the image before any frame header.
            0xd9 | 0xda => return None,
            _ => None,
        };
        let segment = bytes.get(at + 2..)?;
        if let Some(coding) = coding {
            return Some(Claims {
                precision: u16::from(*segment.get(2)?),
                rows: u32::from(be16(segment, 3)?),
                columns: u32::from(be16(segment, 5)?),
                components: u32::from(*segment.get(7)?),
                coding,
            });
        }
        at += 2 + usize::from(be16(segment, 0)?);
    }
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_frame_header_is_found_behind_other_segments() {
        let bytes = [
            0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xff, 0xc4, 0, 3, 9, 0xff, 0xc3, 0, 11, 12, 2, 0, 1, 0, 1,
            1, 0x11, 0,
        ];
        let expected = Claims { columns: 256, rows: 512, components: 1, precision: 12, coding: Coding::JpegLossless };
        assert_eq!(claims(&bytes), Some(expected));
    }

    #[test]
    fn the_size_of_a_jpeg_2000_image_leaves_out_its_offset() {
        let mut bytes = vec![0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0];
        for value in [266_u32, 522, 10, 10, 256, 512, 0, 0] {
            bytes.extend(value.to_be_bytes());
        }
        bytes.extend([0, 1, 0x80 | 11, 1, 1]);
        let expected = Claims { columns: 256, rows: 512, components: 1, precision: 12, coding: Coding::Jpeg2000 };
        assert_eq!(claims(&bytes), Some(expected));
        for short in 0..bytes.len() {
            assert_eq!(claims(&bytes[..short]), None);
        }
    }

    #[test]
    fn bytes_that_are_no_codestream_claim_nothing() {
        for bytes in [&b""[..], b"\xff", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xc0\0", b"hello", &[0xff; 9]] {
            assert_eq!(claims(bytes), None);
        }
    }
}
