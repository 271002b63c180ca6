//! Which seeds are used for which purpose; the same ranges as in `models/training/ultrasound/clips.py`.

pub use crate::seeds::{EVALUATION, TRAINING, VALIDATION};

#[cfg(test)]
mod tests {
    use super::*;

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
