//! Which seeds are used for which purpose: ultrasound and mammograms, the same ranges as those of the CT phantoms.

use std::ops::Range;

/// The networks learn from these.
pub const TRAINING: Range<u64> = 1_000_000..1_900_000;
/// Thresholds are chosen, and a scorer learns, on these.
pub const VALIDATION: Range<u64> = 1_900_000..2_000_000;
/// Figures of a card are measured on these only.
pub const EVALUATION: Range<u64> = 2_000_000..3_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_seed_serves_two_purposes() {
        let ranges = [TRAINING, VALIDATION, EVALUATION];
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
}
