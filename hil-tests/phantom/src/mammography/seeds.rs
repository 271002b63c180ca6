//! Which seeds are used for which purpose; the same ranges as in `models/training/mammography/cases.py`.

pub use crate::seeds::{EVALUATION, TRAINING, VALIDATION};

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
    fn the_training_scripts_have_the_same_ranges() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/training/mammography/cases.py");
        let python = std::fs::read_to_string(path).unwrap().replace('_', "");
        for (name, range) in [("TRAINING", TRAINING), ("VALIDATION", VALIDATION), ("EVALUATION", EVALUATION)] {
            let line = format!("{name}SEEDS = range({}, {})", range.start, range.end);
            assert!(python.contains(&line), "{line}");
        }
    }
}
