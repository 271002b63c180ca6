//! Conversions between numbers that the type system cannot check. Each says what happens outside the range of the
//! result; no other place of this crate converts in a way that may lose something.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the one place; see each function")]

/// The byte nearest to `value`; 0 below the range and for NaN, 255 above it.
pub fn round_byte(value: f64) -> u8 {
    value.round() as u8
}

/// `value`; 255 above the range of a byte.
pub fn byte(value: u16) -> u8 {
    value.min(255) as u8
}

/// The whole number nearest to `value`; 0 below the range and for NaN, 65535 above it.
pub fn round_u16(value: f64) -> u16 {
    value.round() as u16
}

/// An index; 0 below zero, `usize::MAX` above the range.
pub fn index(value: i64) -> usize {
    value.max(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_the_range_becomes_its_nearest_end() {
        assert_eq!([round_byte(2.5), round_byte(-1.0), round_byte(1e9), round_byte(f64::NAN)], [3, 0, 255, 0]);
        assert_eq!([byte(7), byte(256)], [7, 255]);
        assert_eq!([round_u16(2.4), round_u16(-1.0), round_u16(1e9)], [2, 0, u16::MAX]);
        assert_eq!([index(3), index(-3)], [3, 0]);
    }
}
