//! Which seeds are used for which purpose; the same ranges as those of the CT phantoms and of
//! `models/training/ultrasound/clips.py`.

use std::ops::Range;

/// The network learns from these.
pub const TRAINING: Range<u64> = 1_000_000..1_900_000;
/// Thresholds are chosen on these.
pub const VALIDATION: Range<u64> = 1_900_000..2_000_000;
/// The figures of the card are measured on these only.
pub const EVALUATION: Range<u64> = 2_000_000..3_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_seed_serves_two_purposes() {
        let ranges = [TRAINING, VALIDATION, EVALUATION];
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }

    #[test]
    fn the_training_scripts_have_the_same_ranges_and_channels() {
        let python = |name: &str| {
            let path = format!("{}/../../models/training/ultrasound/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_to_string(path).unwrap().replace('_', "")
        };
        let clips = python("clips.py");
        for (name, range) in [("TRAINING", TRAINING), ("VALIDATION", VALIDATION), ("EVALUATION", EVALUATION)] {
            let line = format!("{name}SEEDS = range({}, {})", range.start, range.end);
            assert!(clips.contains(&line), "{line}");
        }
        let listed: Vec<String> = python("channels.py")
            .lines()
            .filter_map(|l| Some(l.trim().strip_prefix('"')?.strip_suffix("\",")?.to_owned()))
            .collect();
        assert_eq!(listed, super::super::descriptors::CHANNELS.map(|c| c.replace('_', "")));
    }
}
