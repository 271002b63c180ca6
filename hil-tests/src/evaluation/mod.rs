//! Figures of a model evaluation: counts of each of the nine findings over many phantoms, and the table for the card.
//! Pure.

pub mod analyse;
pub mod card;
pub mod cases;
pub mod dice;
pub mod nodules;
pub mod read;
pub mod statistics;
pub mod table;
pub mod thick;
pub mod video;

use serde::Serialize;

use crate::compare::Evaluated;
pub use card::{Card, model_name};
use cases::Case;
use phantom::Channel;
use read::{Findings, Planted};

/// One analysed phantom.
#[derive(Debug, Clone, Serialize)]
pub struct Scan {
    pub seed: u64,
    /// The nine findings, in the order of reports.
    pub cases: Vec<Case>,
    pub nodules: Vec<nodules::Planted>,
    /// Right, left: planted and measured lung volume, ml; empty when the lungs were not evaluated.
    pub lungs_ml: Vec<(f64, f64)>,
    /// Dice of each channel that was planted and evaluated.
    pub dice: Vec<(Channel, f64)>,
    pub timings_ms: Vec<(String, f64)>,
}

impl Scan {
    pub fn new(
        seed: u64,
        planted: &Planted,
        found: &Findings,
        dice: Vec<(Channel, f64)>,
        timings_ms: Vec<(String, f64)>,
    ) -> Self {
        let nodules = match &found.nodules {
            Evaluated::Done(found) => nodules::pair(&planted.nodules, found),
            Evaluated::NotEvaluated(_) => Vec::new(),
        };
        let lungs_ml = match &found.lungs {
            Evaluated::Done(lungs) => {
                let volume = |side: &str| lungs.iter().filter(|l| l.side == side).map(|l| l.volume_ml).sum::<f64>();
                vec![(planted.lungs.right_ml, volume("right")), (planted.lungs.left_ml, volume("left"))]
            }
            Evaluated::NotEvaluated(_) => Vec::new(),
        };
        let cases = cases::all(planted, found);
        // Cases are in the order of the channels; pneumonia has two channels.
        let case = |channel: Channel| {
            cases.get((channel as usize).saturating_sub(usize::from(channel > Channel::GroundGlass)))
        };
        let evaluated = |channel: Channel| case(channel).is_some_and(|case| case.not_evaluated.is_none());
        let dice = dice.into_iter().filter(|(channel, _)| evaluated(*channel)).collect();
        Self { seed, cases, nodules, lungs_ml, dice, timings_ms }
    }
}

impl std::fmt::Display for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:", self.seed)?;
        for case in &self.cases {
            match &case.not_evaluated {
                Some(_) => write!(f, " {} not evaluated;", case.finding)?,
                None if case.planted + case.extra > 0 => {
                    write!(f, " {} {} of {}, {} extra;", case.finding, case.hit, case.planted, case.extra)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// Returns the card with the text between its two marks replaced by `table`; `None` when the marks are missing.
pub fn with_table(card: &str, table: &str) -> Option<String> {
    const BEGIN: &str = "<!-- evaluation: written by `make evaluate` -->\n";
    const END: &str = "<!-- end of evaluation -->";
    let begin = card.find(BEGIN)? + BEGIN.len();
    let end = begin + card[begin..].find(END)?;
    Some(format!("{}{table}{}", &card[..begin], &card[end..]))
}

/// Returns the manifest with another hash for `file`; `None` when it does not name that file.
pub fn with_hash(manifest: &str, file: &str, hash: &str) -> Option<String> {
    let key = format!("\"{file}\" =");
    let begin = manifest.lines().position(|line| line.starts_with(&key))?;
    let line = |(number, line): (usize, &str)| {
        if number == begin { format!("{key} \"{hash}\"\n") } else { format!("{line}\n") }
    };
    Some(manifest.lines().enumerate().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marked_part_of_the_card_changes() {
        let card = "before\n<!-- evaluation: written by `make evaluate` -->\nold\n<!-- end of evaluation -->\nafter\n";
        let new = with_table(card, "new\n").unwrap();
        assert!(new.starts_with("before\n") && new.ends_with("<!-- end of evaluation -->\nafter\n"));
        assert!(new.contains("new\n") && !new.contains("old"));
        assert_eq!(with_table("no marks", "new"), None);
    }

    #[test]
    fn only_the_hash_of_the_card_changes_in_the_manifest() {
        let manifest = "id = \"x\"\n[files]\n\"CARD.md\" = \"12\"\n\"x.onnx\" = \"34\"\n";
        assert_eq!(with_hash(manifest, "CARD.md", "56").unwrap(), manifest.replace("12", "56"));
        assert_eq!(with_hash(manifest, "other", "56"), None);
    }
}
