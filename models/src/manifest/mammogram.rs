//! What a package says of a network that marks places in mammograms: input, channels, the scorer, thresholds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::task::mg_breast::kind::{Kind, Stage};

/// A network that reads one view of a breast, and a scorer that compares what it says of several views.
#[derive(Debug, Clone, PartialEq)]
pub struct Mammogram {
    /// The findings that the package claims.
    pub findings: BTreeMap<Finding, Limits>,
    pub input: Input,
    pub outputs: Outputs,
    /// From this score on a candidate is a mark, by what its score was made from.
    pub thresholds: Thresholds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    BreastMark,
}

impl Finding {
    /// As written in `model.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreastMark => "breast_mark",
        }
    }
}

/// For which pictures a finding is looked for. There are no limits yet: an empty table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {}

/// How the network wants its input: two channels, grey and fine detail, 0 to 1, the chest wall at column 0.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Of the network's picture.
    pub pixel_mm: f64,
    /// Of the picture from which detail is taken; a whole part of `pixel_mm`.
    pub fine_mm: f64,
    /// Detail stands out of the fine picture after a blur of this standard deviation.
    pub around_mm: f64,
    /// Grey above the surroundings that becomes 1.
    pub detail: f32,
    /// Rows and columns are filled up with 0 to multiples of this.
    pub multiple: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// Pixels of the input for one of the map.
    pub stride: usize,
    /// In the order of the map's channels.
    pub channels: Vec<Kind>,
    /// File of the package with the weights of the scorer.
    pub scorer: String,
}

/// One for each stage.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    pub one_view: Threshold,
    pub two_views: Threshold,
    pub two_breasts: Threshold,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    pub confidence: f32,
}

impl Thresholds {
    pub fn of(&self, stage: Stage) -> f32 {
        match stage {
            Stage::OneView => self.one_view.confidence,
            Stage::TwoViews => self.two_views.confidence,
            Stage::TwoBreasts => self.two_breasts.confidence,
        }
    }
}
