//! Which seeds are used for which purpose; the same ranges as those of the CT phantoms and of
//! `models/training/mammography/cases.py`.

use std::ops::Range;

/// The networks learn from these.
pub const TRAINING: Range<u64> = 1_000_000..1_900_000;
/// Thresholds are chosen, and the scorer learns, on these.
pub const VALIDATION: Range<u64> = 1_900_000..2_000_000;
/// Figures are measured on these only.
pub const EVALUATION: Range<u64> = 2_000_000..3_000_000;

/// Streams of [`crate::random::Random`]: each use of a seed has its own numbers.
pub mod stream {
    pub const WOMAN: u64 = 500;
    pub const GLAND: u64 = 501;
    pub const STRANDS: u64 = 510;
    pub const LESIONS: u64 = 520;
    pub const DECOYS: u64 = 530;
    pub const SUMMATION: u64 = 535;
    pub const POSE: u64 = 540;
    pub const TEXTURE: u64 = 550;
    pub const DETECTOR: u64 = 560;
    pub const LOOK: u64 = 570;
    pub const HEADERS: u64 = 580;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_seed_serves_two_purposes() {
        let ranges = [TRAINING, VALIDATION, EVALUATION];
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }

    #[test]
    fn the_training_scripts_have_the_same_ranges() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/training/mammography/cases.py");
        let python = std::fs::read_to_string(path).unwrap().replace('_', "");
        for (name, range) in [("TRAINING", TRAINING), ("VALIDATION", VALIDATION), ("EVALUATION", EVALUATION)] {
            let line = format!("{name}SEEDS = range({}, {})", range.start, range.end);
            assert!(python.contains(&line), "{line}");
        }
    }
}
