//! Conversions between numbers that the type system cannot check. Each says what happens outside the range of the
//! result; no other place of this crate converts in a way that may lose something.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the one place; see each function")]

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
        assert_eq!([round_u32(2.5), round_u32(f64::NAN), round_u32(1e12)], [3, 0, u32::MAX]);
        assert_eq!([ceil_u64(2.1), ceil_u64(-3.5), ceil_u64(f64::INFINITY)], [3, 0, u64::MAX]);
        assert_eq!([pixels(1280), pixels(usize::MAX)], [1280, u32::MAX]);
        assert_eq!([micros(Duration::from_millis(2)), micros(Duration::MAX)], [2000, u32::MAX]);
    }
}
