//! Converts stored pixel values to Hounsfield units.

use std::sync::Arc;

use dicom::header::Header;
use models::cast::round_hu;

/// Value for padding (pixels outside the reconstructed circle): air, the lowest value of the 12-bit CT scale. Scanners
/// pad with values from -2000 to -32768, or with 0, which is water when the intercept is 0. Thresholds, histograms and
/// networks must not get values that no tissue has.
pub const PADDING_HU: i16 = -1024;

/// How to interpret the stored values of one frame; see PS3.3 sections C.7.6.3 and C.7.6.16.2.9.
///
/// Photometric Interpretation is not used: MONOCHROME1 only means that a display shows low values bright; the
/// Hounsfield units are the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Bits in use, 1 to 16.
    pub bits_stored: u16,
    /// The most significant bit in use, counted from 0.
    pub high_bit: u16,
    pub signed: bool,
    pub slope: f64,
    pub intercept: f64,
    /// Range of stored values that are padding.
    pub padding: Option<(i64, i64)>,
}

impl Scale {
    /// The values at the top level of an instance. A missing slope is 1, a missing intercept 0: some scanners omit both
    /// when the stored values are Hounsfield units already.
    pub fn of(header: &Header) -> Self {
        let padding = header.pixel_padding_value.map(|value| {
            let limit = header.pixel_padding_range_limit.unwrap_or(value);
            (value, limit)
        });
        Self {
            bits_stored: header.bits_stored,
            high_bit: header.high_bit.unwrap_or_else(|| header.bits_stored.saturating_sub(1)),
            signed: header.pixel_representation == 1,
            slope: header.rescale_slope.unwrap_or(1.0),
            intercept: header.rescale_intercept.unwrap_or(0.0),
            padding,
        }
    }

    /// Extracts the stored value from a 16-bit word and extends its sign. The other bits of the word may contain an
    /// overlay or noise.
    fn stored(&self, word: u16) -> i64 {
        let bits = u32::from(self.bits_stored.clamp(1, 16));
        let below = (u32::from(self.high_bit) + 1).saturating_sub(bits);
        let value = (i64::from(word) >> below.min(15)) & ((1 << bits) - 1);
        if self.signed && value >= 1 << (bits - 1) { value - (1 << bits) } else { value }
    }

    /// Padding may use values that do not fit the stored bits (-2000 in an unsigned 12-bit image), so the whole word is
    /// compared as well, both signed and unsigned, because the VR of the attribute is ambiguous in implicit VR.
    fn is_padding(&self, word: u16) -> bool {
        let Some((a, b)) = self.padding else { return false };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the low 16 bits are what is compared"
        )]
        let as_read = |v: i64| if self.signed { i64::from(v as i16) } else { i64::from(v as u16) };
        let (a, b) = (as_read(a), as_read(b));
        let padding = a.min(b)..=a.max(b);
        padding.contains(&as_read(i64::from(word))) || padding.contains(&self.stored(word))
    }

    fn hounsfield(&self, word: u16) -> i16 {
        if self.is_padding(word) {
            return PADDING_HU;
        }
        // Saturates: metal beyond the 16-bit scale stays bright.
        round_hu(self.slope * self.stored(word) as f64 + self.intercept)
    }
}

/// The Hounsfield units of all 65,536 words. Computing them once is faster than computing 262,144 pixels one by one,
/// and all slices with the same scale share one table.
#[derive(Debug)]
pub struct Table {
    scale: Scale,
    hu: Box<[i16]>,
}

impl Table {
    pub fn new(scale: Scale) -> Self {
        Self { scale, hu: (0..=u16::MAX).map(|word| scale.hounsfield(word)).collect() }
    }

    pub fn scale(&self) -> &Scale {
        &self.scale
    }

    /// Converts the words of one plane in row-major order.
    pub fn plane(&self, words: impl ExactSizeIterator<Item = u16>) -> Arc<[i16]> {
        words.map(|word| self.hu[usize::from(word)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Scale =
        Scale { bits_stored: 16, high_bit: 15, signed: true, slope: 1.0, intercept: 0.0, padding: None };

    #[test]
    fn an_unsigned_12_bit_value_with_intercept_is_the_usual_ct() {
        let scale = Scale { bits_stored: 12, high_bit: 11, signed: false, intercept: -1024.0, ..PLAIN };
        assert_eq!(scale.hounsfield(0), -1024);
        assert_eq!(scale.hounsfield(1024), 0);
        assert_eq!(scale.hounsfield(4095), 3071);
    }

    #[test]
    fn signed_values_are_extended_from_the_high_bit() {
        let scale = Scale { bits_stored: 12, high_bit: 11, ..PLAIN };
        assert_eq!(scale.hounsfield(0x0fff), -1);
        assert_eq!(scale.hounsfield(0xffff), -1, "a word that is sign-extended already");
        assert_eq!(scale.hounsfield(0x0800), -2048);
        assert_eq!(scale.hounsfield(0x07ff), 2047);
    }

    #[test]
    fn overlay_bits_above_the_high_bit_are_not_part_of_the_value() {
        let scale = Scale { bits_stored: 12, high_bit: 11, signed: false, ..PLAIN };
        assert_eq!(scale.hounsfield(0x8123), 0x123);
    }

    #[test]
    fn values_that_lie_at_the_top_of_the_word_are_shifted_down() {
        let scale = Scale { bits_stored: 12, high_bit: 15, signed: false, ..PLAIN };
        assert_eq!(scale.hounsfield(0x1230), 0x123);
    }

    #[test]
    fn fractional_slopes_round_to_the_nearest_unit() {
        let scale = Scale { slope: 0.5, intercept: 0.2, ..PLAIN };
        assert_eq!(scale.hounsfield(3), 2);
        assert_eq!(scale.hounsfield(4), 2);
        assert_eq!(scale.hounsfield((-5_i16) as u16), -2);
    }

    #[test]
    fn values_beyond_16_bits_saturate() {
        let scale = Scale { signed: false, intercept: 1000.0, ..PLAIN };
        assert_eq!(scale.hounsfield(65535), i16::MAX);
        let scale = Scale { intercept: -1000.0, ..PLAIN };
        assert_eq!(scale.hounsfield((-32768_i16) as u16), i16::MIN);
    }

    #[test]
    fn padding_becomes_air_in_signed_and_unsigned_images() {
        let signed = Scale { intercept: -1024.0, padding: Some((-2000, -2000)), ..PLAIN };
        assert_eq!(signed.hounsfield((-2000_i16) as u16), PADDING_HU);
        assert_eq!(signed.hounsfield((-1999_i16) as u16), -3023);
        // The same attribute read as unsigned (63536), as a parser without the sign at hand gives it.
        let read_unsigned = Scale { padding: Some((63536, 63536)), ..signed };
        assert_eq!(read_unsigned.hounsfield((-2000_i16) as u16), PADDING_HU);

        let unsigned = Scale { bits_stored: 12, high_bit: 11, signed: false, padding: Some((63536, 63536)), ..PLAIN };
        assert_eq!(unsigned.hounsfield(63536), PADDING_HU, "padding outside the stored bits");
        let zero = Scale { padding: Some((0, 0)), ..unsigned };
        assert_eq!(zero.hounsfield(0xf000), PADDING_HU, "padding under overlay bits");
        assert_eq!(zero.hounsfield(1), 1);
    }

    #[test]
    fn a_range_of_padding_values_counts_in_either_direction() {
        for padding in [(-2000, -1990), (-1990, -2000)] {
            let scale = Scale { padding: Some(padding), ..PLAIN };
            assert_eq!(scale.hounsfield((-1995_i16) as u16), PADDING_HU);
            assert_eq!(scale.hounsfield((-1989_i16) as u16), -1989);
        }
    }

    #[test]
    fn the_table_agrees_with_the_formula_for_every_word() {
        let scale = Scale { bits_stored: 14, high_bit: 13, slope: 1.5, padding: Some((-3000, -2900)), ..PLAIN };
        let table = Table::new(scale);
        let plane = table.plane(0..u16::MAX);
        assert!((0..u16::MAX).zip(plane.iter()).all(|(word, hu)| *hu == scale.hounsfield(word)));
    }
}
