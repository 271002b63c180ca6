//! Conversions between floating point and whole numbers that the type system cannot check. Each says what happens
//! outside the range of the result; no other place of this crate converts with a bare `as` that may lose something.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the one place; see each function")]

/// The index at or below `value`: rounded down; 0 below zero and for NaN, `usize::MAX` above the range.
pub fn floor_index(value: f64) -> usize {
    // `as` rounds towards zero, which is down for whatever is not 0 in any case.
    value as usize
}

/// The index at or above `value`: rounded up; 0 below zero and for NaN, `usize::MAX` above the range.
pub fn ceil_index(value: f64) -> usize {
    value.ceil() as usize
}

/// The index nearest to `value`, halves away from zero; 0 below zero and for NaN, `usize::MAX` above the range.
pub fn round_index(value: f64) -> usize {
    value.round() as usize
}

/// The whole Hounsfield unit nearest to `value`; the ends of the range beyond it, 0 for NaN.
pub fn round_hu(value: f64) -> i16 {
    value.round() as i16
}

/// As [`round_hu`].
pub fn round_hu_f32(value: f32) -> i16 {
    value.round() as i16
}

/// The whole number nearest to `value`; the ends of the range beyond it, 0 for NaN.
pub fn round_u16(value: f32) -> u16 {
    value.round() as u16
}

/// The nearest 32-bit float; infinite beyond its range.
pub fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_the_range_becomes_its_nearest_end() {
        assert_eq!([floor_index(2.9), floor_index(-0.1), floor_index(f64::NAN)], [2, 0, 0]);
        assert_eq!([ceil_index(2.1), ceil_index(-3.5), ceil_index(f64::INFINITY)], [3, 0, usize::MAX]);
        assert_eq!([round_index(2.5), round_index(2.4), round_index(-1.0)], [3, 2, 0]);
        assert_eq!(
            [round_hu(-1023.6), round_hu(1e9), round_hu(-1e9), round_hu(f64::NAN)],
            [-1024, i16::MAX, i16::MIN, 0]
        );
        assert_eq!([round_u16(0.5), round_u16(-1.0), round_u16(1e9)], [1, 0, u16::MAX]);
        assert_eq!(single(1e300), f32::INFINITY);
    }
}
