//! Decoded frames as the metadata of their object describe them (WADO-RS, PS3.18 section 10.4): whoever fetches both must not see other
//! colours than the scanner has shown. Pure.

use dicom::header::Header;
use dicom::pixels::pictures::Samples;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::Error;

/// The bytes of a frame.
///
/// # Errors
/// `NotAsSaid` when decoding has changed the colour space or the bits.
pub fn as_said(header: &Header, data_set: &InMemDicomObject, samples: Samples) -> Result<Vec<u8>, Error> {
    if samples.bits_allocated != header.bits_allocated {
        let (is, said) = (samples.bits_allocated, header.bits_allocated);
        return Err(Error::NotAsSaid { is: format!("{is} bits a sample"), said: format!("{said} bits") });
    }
    // Nothing was decoded: layout and colours are those of the header.
    if samples.is_native || header.samples_per_pixel <= 1 {
        return Ok(samples.bytes);
    }
    let colours = match header.photometric.as_str() {
        "RGB" | "" => true,
        "YBR_FULL" => !samples.is_rgb,
        // Chroma that two pixels share, or a transform of the codec: undone by decoding.
        _ => false,
    };
    if !colours {
        let is = if header.photometric == "YBR_FULL_422" && !samples.is_rgb { "three samples a pixel" } else { "RGB" };
        return Err(Error::NotAsSaid { is: is.into(), said: header.photometric.clone() });
    }
    let planar = data_set.get(tags::PLANAR_CONFIGURATION).and_then(|element| element.to_int::<u16>().ok());
    Ok(if planar == Some(1) { by_plane(&samples) } else { samples.bytes })
}

/// Decoders give pixel by pixel.
fn by_plane(samples: &Samples) -> Vec<u8> {
    let sample = usize::from(samples.bits_allocated / 8).max(1);
    let mut planes = Vec::with_capacity(samples.bytes.len());
    for plane in 0..3 {
        for pixel in samples.bytes.chunks_exact(3 * sample) {
            planes.extend_from_slice(&pixel[plane * sample..(plane + 1) * sample]);
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use dicom_core::{DataElement, PrimitiveValue, VR};

    use super::*;
    use crate::dicomweb::WebFault;

    fn given(photometric: &str, planar: u16, is_rgb: bool, is_native: bool) -> Result<Vec<u8>, Error> {
        let header =
            Header { photometric: photometric.into(), samples_per_pixel: 3, bits_allocated: 8, ..Header::default() };
        let planar = DataElement::new(tags::PLANAR_CONFIGURATION, VR::US, PrimitiveValue::from(planar));
        let data_set = InMemDicomObject::from_element_iter([planar]);
        let bytes = vec![1, 2, 3, 4, 5, 6];
        as_said(&header, &data_set, Samples { bytes, bits_allocated: 8, precision: None, is_native, is_rgb })
    }

    /// An ultrasound image with Doppler is usually JPEG with `YBR_FULL_422`.
    #[test]
    fn a_frame_whose_colours_are_not_those_of_the_metadata_is_not_given() {
        for (photometric, is_rgb) in [
            ("YBR_FULL_422", true),
            ("YBR_FULL", true),
            ("YBR_FULL_422", false),
            ("YBR_ICT", false),
            ("YBR_RCT", false),
        ] {
            let error = given(photometric, 0, is_rgb, false).unwrap_err();
            assert_eq!(error.kind(), WebFault::NotInThisForm, "{photometric}");
            let said = error.to_string();
            assert!(said.contains(photometric) && said.contains("transfer-syntax=*"), "{said}");
        }
        for (photometric, is_rgb) in [("RGB", true), ("RGB", false), ("YBR_FULL", false)] {
            assert_eq!(given(photometric, 0, is_rgb, false).unwrap(), [1, 2, 3, 4, 5, 6], "{photometric}");
        }
        assert_eq!(given("YBR_FULL_422", 0, false, true).unwrap(), [1, 2, 3, 4, 5, 6], "as it is stored");
    }

    #[test]
    fn a_frame_is_by_plane_where_the_metadata_say_so() {
        assert_eq!(given("RGB", 1, false, false).unwrap(), [1, 4, 2, 5, 3, 6]);
        assert_eq!(given("RGB", 1, false, true).unwrap(), [1, 2, 3, 4, 5, 6], "it is stored so");
    }

    #[test]
    fn a_frame_with_other_bits_than_the_metadata_say_is_not_given() {
        let header = Header { photometric: "MONOCHROME2".into(), bits_allocated: 16, ..Header::default() };
        let none = InMemDicomObject::new_empty();
        let of = |bits_allocated| Samples {
            bytes: vec![7, 0],
            bits_allocated,
            precision: None,
            is_native: false,
            is_rgb: false,
        };
        assert_eq!(as_said(&header, &none, of(16)).unwrap(), [7, 0]);
        assert!(matches!(as_said(&header, &none, of(8)), Err(Error::NotAsSaid { .. })));
    }
}
