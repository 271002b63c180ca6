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

/// The whole number nearest to `value`; 0 below the range and for NaN, `u32::MAX` above it.
pub fn round_u32(value: f64) -> u32 {
    value.round() as u32
}

/// The whole number at or above `value`; 0 below the range and for NaN, `u64::MAX` above it.
pub fn ceil_u64(value: f64) -> u64 {
    value.ceil() as u64
}

/// A length in pixels; `u32::MAX` above the range, which no screen reaches.
pub fn pixels(value: usize) -> u32 {
    value.min(u32::MAX as usize) as u32
}

/// An index; 0 below zero, `usize::MAX` above the range.
pub fn index(value: i64) -> usize {
    value.max(0) as usize
}

/// Microseconds; `u32::MAX` (71 minutes) stands for every longer time.
pub fn micros(span: std::time::Duration) -> u32 {
    span.as_micros().min(u128::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_lies_outside_the_range_becomes_its_nearest_end() {
        assert_eq!([round_byte(2.5), round_byte(-1.0), round_byte(1e9), round_byte(f64::NAN)], [3, 0, 255, 0]);
        assert_eq!([byte(7), byte(256)], [7, 255]);
        assert_eq!([round_u16(2.4), round_u16(-1.0), round_u16(1e9)], [2, 0, u16::MAX]);
        assert_eq!([round_u32(2.5), round_u32(f64::NAN), round_u32(1e12)], [3, 0, u32::MAX]);
        assert_eq!([ceil_u64(2.1), ceil_u64(-3.5), ceil_u64(f64::INFINITY)], [3, 0, u64::MAX]);
        assert_eq!([pixels(1280), pixels(usize::MAX)], [1280, u32::MAX]);
        assert_eq!([index(3), index(-3)], [3, 0]);
        assert_eq!([micros(Duration::from_millis(2)), micros(Duration::MAX)], [2000, u32::MAX]);
    }
}
