//! The scorer of a package: logistic regressions, one for each stage, on what is known of a candidate. The names of the numbers are
//! those of `models/training/mammography/candidates.py`; a file that names another number is no scorer of this software.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::kind::{Kind, Stage};
use super::seen::{Most, Seen};

/// Distance behind the nipple that counts as 1, mm.
const BEHIND_MM: f32 = 50.0;

/// Weights for each stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Scorer {
    stages: BTreeMap<Stage, Regression>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Regression {
    /// Names of numbers, and of products of two as `a * b`.
    features: Vec<String>,
    weights: Vec<f64>,
    bias: f64,
}

/// What is known of a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    pub own: Most,
    /// Distance behind the nipple, mm.
    pub behind_mm: f32,
    pub kind: Kind,
    /// The same distance behind the nipple in the other view of the breast.
    pub pair: Option<Most>,
    /// The mirrored place in the same view of the other breast.
    pub other: Option<Most>,
}

impl Known {
    /// Of a peak (column and row of the map).
    pub fn of(here: &Seen, place: [usize; 2], pair: Option<&Seen>, other: Option<&Seen>) -> Self {
        let own = here.at(place);
        let behind = here.nipple[0] - place[0] as f32;
        let aside = place[1] as f32 - here.nipple[1];
        let kind = Kind::ALL.into_iter().fold(Kind::Mass, |best, kind| {
            if own.kinds[kind as usize] > own.kinds[best as usize] { kind } else { best }
        });
        Self {
            own,
            behind_mm: behind * here.mm,
            kind,
            pair: pair.map(|pair| pair.band(behind)),
            other: other.map(|other| other.around(behind, aside)),
        }
    }

    pub fn stage(&self) -> Stage {
        Stage::of(self.pair.is_some(), self.other.is_some())
    }

    /// The number with this name, if the views allow it.
    pub(super) fn named(&self, name: &str) -> Option<f64> {
        let kind_of = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let own = self.kind as usize;
        let value = match name {
            "peak" => self.own.best,
            "grey" => self.own.grey,
            "contrast" => self.own.contrast,
            "behind" => self.behind_mm / BEHIND_MM,
            "pair_best" => self.pair?.best,
            "pair_own" => self.pair?.kinds[own],
            "pair_contrast" => self.pair?.contrast,
            "other_best" => self.other?.best,
            "other_own" => self.other?.kinds[own],
            "other_grey" => self.own.grey - self.other?.grey,
            "other_contrast" => self.own.contrast - self.other?.contrast,
            _ => match name.split_once('_')? {
                ("own", kind) => self.own.kinds[kind_of(kind)? as usize],
                ("pair", kind) => self.pair?.kinds[kind_of(kind)? as usize],
                _ => return None,
            },
        };
        Some(f64::from(value))
    }

    fn feature(&self, name: &str) -> Option<f64> {
        match name.split_once(" * ") {
            Some((a, b)) => Some(self.named(a)? * self.named(b)?),
            None => self.named(name),
        }
    }
}

impl Scorer {
    /// # Errors
    /// In plain words, when the bytes are no scorer.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let stages: BTreeMap<Stage, Regression> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let none = Most { best: 0.0, kinds: [0.0; 4], grey: 0.0, contrast: 0.0 };
        for stage in Stage::ALL {
            let one = stages.get(&stage).ok_or_else(|| format!("no stage {}", stage.name()))?;
            let pair = (stage != Stage::OneView).then_some(none);
            let other = (stage == Stage::TwoBreasts).then_some(none);
            let known = Known { own: none, behind_mm: 0.0, kind: Kind::Mass, pair, other };
            if one.features.len() != one.weights.len() {
                return Err(format!(
                    "{}: {} features, {} weights",
                    stage.name(),
                    one.features.len(),
                    one.weights.len()
                ));
            }
            if let Some(unknown) = one.features.iter().find(|name| known.feature(name).is_none()) {
                return Err(format!("{}: no number {unknown:?}", stage.name()));
            }
            if !one.weights.iter().chain([&one.bias]).all(|weight| weight.is_finite()) {
                return Err(format!("{}: a weight is no number", stage.name()));
            }
        }
        Ok(Self { stages })
    }

    /// 0 to 1, by the stage that the views allow.
    pub fn score(&self, known: &Known) -> f32 {
        let Some(one) = self.stages.get(&known.stage()) else { return 0.0 };
        let terms = one.features.iter().zip(&one.weights);
        let sum = terms.fold(one.bias, |sum, (name, weight)| sum + weight * known.feature(name).unwrap_or(0.0));
        crate::cast::single(1.0 / (1.0 + (-sum).exp()))
    }
}
