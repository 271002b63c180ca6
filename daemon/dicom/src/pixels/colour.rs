//! Converts stored samples to grey or to red, green and blue of one byte each: PS3.3 C.7.6.3 (image pixel), C.11.2
//! (window). Pure.

use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::palette::{Palette, PaletteError};
use super::pictures::Samples;
use crate::cast;
use crate::dataset::floats;
use crate::header::Header;

/// Why the pictures of a file cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColourError {
    #[error("{photometric:?} of {samples} samples cannot be shown")]
    Unsupported { photometric: String, samples: u16 },
    #[error(transparent)]
    Palette(#[from] PaletteError),
}

/// How the pictures of one file become bytes that a page can show.
#[derive(Debug)]
pub struct Conversion {
    model: Model,
    bits_stored: u16,
    /// Colour planes follow each other; only in uncompressed pictures.
    planar: bool,
}

#[derive(Debug)]
enum Model {
    Grey(Grey),
    Palette(Palette),
    Rgb,
    /// Luma and chroma of full range, BT.601.
    Ybr,
    /// The same with chroma shared by two pixels; only in uncompressed pictures.
    Ybr422,
}

#[derive(Debug)]
struct Grey {
    inverted: bool,
    signed: bool,
    /// Centre and width.
    window: Option<[f64; 2]>,
}

impl Conversion {
    /// # Errors
    /// When the colour space cannot be shown, or its palette is broken.
    pub fn of(header: &Header, data_set: &InMemDicomObject) -> Result<Self, ColourError> {
        let model = match (header.photometric.as_str(), header.samples_per_pixel.max(1)) {
            ("MONOCHROME1", 1) => Model::Grey(grey(header, data_set, true)),
            ("MONOCHROME2" | "", 1) => Model::Grey(grey(header, data_set, false)),
            ("PALETTE COLOR", 1) => Model::Palette(Palette::of(data_set)?),
            ("RGB" | "YBR_ICT" | "YBR_RCT" | "", 3) => Model::Rgb,
            ("YBR_FULL", 3) => Model::Ybr,
            ("YBR_FULL_422", 3) => Model::Ybr422,
            (other, samples) => {
                return Err(ColourError::Unsupported { photometric: other.to_owned(), samples });
            }
        };
        let bits_stored = bits_stored(header);
        let planar = first(data_set, tags::PLANAR_CONFIGURATION) == Some(1.0);
        Ok(Self { model, bits_stored, planar })
    }

    pub fn is_grey(&self) -> bool {
        matches!(self.model, Model::Grey(_))
    }

    /// Writes one byte for each grey pixel, or three for each colour pixel, to `out`; `width` pixels per row.
    pub fn convert(&self, samples: &Samples, width: usize, out: &mut [u8]) {
        let bits = samples.precision.unwrap_or(self.bits_stored);
        let stored = |index: usize| match samples.bits_allocated {
            8 => samples.bytes.get(index).map_or(0, |byte| u16::from(*byte)),
            _ => samples.bytes.get(2 * index..2 * index + 2).map_or(0, |word| u16::from_le_bytes([word[0], word[1]])),
        };
        let byte = |index: usize| cast::byte(stored(index) >> bits.saturating_sub(8).min(8));
        match &self.model {
            Model::Grey(grey) => {
                let table = grey.table(bits);
                let mask = table.len() - 1;
                out.iter_mut().enumerate().for_each(|(i, out)| *out = table[usize::from(stored(i)) & mask]);
            }
            Model::Palette(palette) => {
                out.chunks_exact_mut(3)
                    .enumerate()
                    .for_each(|(i, out)| out.copy_from_slice(&palette.colour(stored(i))));
            }
            Model::Ybr422 if samples.is_native && !samples.is_rgb => {
                // Y Y Cb Cr for each two pixels; rows of odd length are not padded.
                for (i, out) in out.chunks_exact_mut(3).enumerate() {
                    let pair = (i / width.max(1)) * width + (i % width.max(1)) / 2 * 2;
                    let at = 2 * pair;
                    out.copy_from_slice(&rgb(byte(at + (i - pair)), byte(at + 2), byte(at + 3)));
                }
            }
            model => {
                let pixels = out.len() / 3;
                let planar = self.planar && samples.is_native;
                let at = |i: usize, c: usize| byte(if planar { c * pixels + i } else { 3 * i + c });
                let luma = !samples.is_rgb && matches!(model, Model::Ybr | Model::Ybr422);
                for (i, out) in out.chunks_exact_mut(3).enumerate() {
                    let three = [at(i, 0), at(i, 1), at(i, 2)];
                    out.copy_from_slice(&if luma { rgb(three[0], three[1], three[2]) } else { three });
                }
            }
        }
    }
}

impl Grey {
    /// The grey level for each stored value of `bits` bits.
    fn table(&self, bits: u16) -> Vec<u8> {
        let count = 1usize << bits.clamp(1, 16);
        let half = if self.signed { count / 2 } else { 0 };
        let [low, high] = match self.window {
            // C.11.2.1.2.1: the linear function.
            Some([centre, width]) => [centre - 0.5 - (width - 1.0) / 2.0, centre - 0.5 + (width - 1.0) / 2.0],
            None => [-(half as f64), (count - 1 - half) as f64],
        };
        let one = |stored: usize| {
            let value = if stored >= count - half { stored as f64 - count as f64 } else { stored as f64 };
            let level = cast::round_byte((value - low) / (high - low).max(1e-6) * 255.0);
            if self.inverted { 255 - level } else { level }
        };
        (0..count).map(one).collect()
    }
}

fn grey(header: &Header, data_set: &InMemDicomObject, inverted: bool) -> Grey {
    let window = [tags::WINDOW_CENTER, tags::WINDOW_WIDTH].map(|tag| first(data_set, tag));
    // Eight bits are what the scanner's screen showed: a window can only make it darker, or black and white.
    let window = match window {
        [Some(centre), Some(width)] if centre.is_finite() && width > 1.0 && bits_stored(header) > 8 => {
            Some([centre, width])
        }
        _ => None,
    };
    Grey { inverted, signed: header.pixel_representation == 1, window }
}

/// None is an error of the header: then all that are allocated are used.
fn bits_stored(header: &Header) -> u16 {
    let stored = if header.bits_stored == 0 { header.bits_allocated } else { header.bits_stored };
    stored.clamp(1, header.bits_allocated.max(1))
}

fn first(data_set: &InMemDicomObject, tag: Tag) -> Option<f64> {
    floats(data_set, tag).first().copied()
}

/// Full range, BT.601 (C.7.6.3.1.2).
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(cast::round_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(bytes: &[u8], bits_allocated: u16) -> Samples {
        Samples { bytes: bytes.to_vec(), bits_allocated, precision: None, is_native: true, is_rgb: false }
    }

    fn converted(model: Model, bits_stored: u16, planar: bool, samples: &Samples, width: usize, out: usize) -> Vec<u8> {
        let mut bytes = vec![0; out];
        Conversion { model, bits_stored, planar }.convert(samples, width, &mut bytes);
        bytes
    }

    #[test]
    fn grey_of_any_depth_fills_the_range_and_may_be_inverted() {
        let grey = |inverted, signed, window| Model::Grey(Grey { inverted, signed, window });
        let eight = native(&[0, 100, 255], 8);
        assert_eq!(converted(grey(false, false, None), 8, false, &eight, 3, 3), [0, 100, 255]);
        assert_eq!(converted(grey(true, false, None), 8, false, &eight, 3, 3), [255, 155, 0]);
        let twelve = native(&[0, 0, 0xff, 0x0f], 16);
        assert_eq!(converted(grey(false, false, None), 12, false, &twelve, 2, 2), [0, 255]);
        let signed = native(&[0x00, 0x80, 0xff, 0x7f], 16);
        assert_eq!(converted(grey(false, true, None), 16, false, &signed, 2, 2), [0, 255]);
        let windowed =
            converted(grey(false, false, Some([100.5, 101.0])), 8, false, &native(&[49, 50, 100, 150], 8), 4, 4);
        assert_eq!(windowed, [0, 0, 128, 255]);
    }

    #[test]
    fn colours_by_pixel_by_plane_and_with_shared_chroma() {
        let by_pixel = native(&[1, 2, 3, 4, 5, 6], 8);
        assert_eq!(converted(Model::Rgb, 8, false, &by_pixel, 2, 6), [1, 2, 3, 4, 5, 6]);
        let by_plane = native(&[1, 4, 2, 5, 3, 6], 8);
        assert_eq!(converted(Model::Rgb, 8, true, &by_plane, 2, 6), [1, 2, 3, 4, 5, 6]);
        let grey = native(&[9, 128, 128, 200, 128, 128], 8);
        assert_eq!(converted(Model::Ybr, 8, false, &grey, 2, 6), [9, 9, 9, 200, 200, 200]);
        let shared = native(&[9, 200, 128, 128], 8);
        assert_eq!(converted(Model::Ybr422, 8, false, &shared, 2, 6), [9, 9, 9, 200, 200, 200]);
        let red = native(&[76, 76, 85, 255], 8);
        let [r, g, b, ..] = converted(Model::Ybr422, 8, false, &red, 2, 6)[..] else { panic!() };
        assert!(r > 250 && g < 5 && b < 5, "{r} {g} {b}");
        // A decoder that made colours of it already is believed.
        let done = Samples { is_native: false, is_rgb: true, ..native(&[10, 20, 30, 40, 50, 60], 8) };
        assert_eq!(converted(Model::Ybr422, 8, true, &done, 2, 6), [10, 20, 30, 40, 50, 60]);
    }

    #[test]
    fn neither_a_window_nor_absent_bits_make_a_picture_of_eight_bits_black_and_white() {
        let mut data_set = InMemDicomObject::new_empty();
        for (tag, value) in [(tags::WINDOW_CENTER, "128"), (tags::WINDOW_WIDTH, "2")] {
            data_set.put(dicom_core::DataElement::new(tag, dicom_core::VR::DS, value));
        }
        let grey = |bits_stored, bits_allocated, samples: &Samples| {
            let header = Header {
                photometric: "MONOCHROME2".into(),
                samples_per_pixel: 1,
                bits_allocated,
                bits_stored,
                ..Header::default()
            };
            let mut out = [0; 2];
            Conversion::of(&header, &data_set).unwrap().convert(samples, 2, &mut out);
            out
        };
        assert_eq!(grey(8, 8, &native(&[60, 200], 8)), [60, 200]);
        assert_eq!(grey(0, 8, &native(&[60, 200], 8)), [60, 200]);
        assert_eq!(grey(0, 16, &native(&[60, 0, 200, 0], 16)), [0, 255]);
        assert_eq!(
            grey(12, 16, &native(&[60, 0, 200, 0], 16)),
            [0, 255],
            "of more bits it is the window that shows them"
        );
    }

    #[test]
    fn a_palette_has_a_first_value_and_an_end() {
        let palette = Palette { entries: vec![[1, 2, 3], [4, 5, 6]], first: 10 };
        let out = converted(Model::Palette(palette), 8, false, &native(&[0, 10, 11, 99], 8), 4, 12);
        assert_eq!(out, [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]);
    }

    #[test]
    fn what_is_missing_is_black_and_nothing_panics() {
        for model in [Model::Rgb, Model::Ybr, Model::Ybr422] {
            assert_eq!(converted(model, 8, true, &native(&[], 8), 3, 9).len(), 9);
        }
    }
}
