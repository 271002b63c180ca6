//! What a package says of a network that reads single pictures: input, channels, thresholds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::volume::Threshold;

/// A network that reads the image sector of a screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The findings the package claims.
    pub findings: BTreeMap<Finding, Limits>,
    pub input: Input,
    pub outputs: Outputs,
    /// A pixel of the map belongs to a candidate from `mask` on; it counts when its highest probability reaches
    /// `confidence` and its area `min_size` mm2.
    pub lesion: Threshold,
    /// From this mean over a mask on a lesion is called malignant.
    pub malignant: f32,
}

impl Picture {
    /// The place of a channel in the network's map.
    pub fn channel(&self, channel: Channel) -> Option<usize> {
        self.outputs.channels.iter().position(|c| *c == channel)
    }

    /// Rows and columns of the map.
    pub fn map(&self) -> [usize; 2] {
        let [width, height] = self.input.size;
        [height / self.outputs.stride.max(1), width / self.outputs.stride.max(1)]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    BreastLesion,
}

impl Finding {
    /// As written in `model.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreastLesion => "breast_lesion",
        }
    }
}

/// For which pictures a finding is looked for. There are no limits yet: an empty table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {}

/// How the network wants its input: one channel, grey 0..1.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Width and height, pixels.
    pub size: [usize; 2],
    pub resize: Resize,
}

/// How a sector becomes an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// Scaled alike in both directions so that the longer side fits, at the top left, black elsewhere; each pixel is the
    /// mean of the area that it covers.
    Letterbox,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// Pixels of the input for one of the map.
    pub stride: usize,
    /// In the order of the map's channels; `lesion` first.
    pub channels: Vec<Channel>,
}

/// What one channel of the map shows: where lesions are, and what is true of the lesion at that place. The words are those
/// of the BI-RADS ultrasound lexicon (ACR BI-RADS Atlas, 5th edition, 2013).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Lesion,
    Malignant,
    Irregular,
    NotParallel,
    NotCircumscribed,
    Anechoic,
    Heterogeneous,
    Enhancement,
    Shadowing,
}

impl Channel {
    pub const ALL: [Self; 9] = [
        Self::Lesion,
        Self::Malignant,
        Self::Irregular,
        Self::NotParallel,
        Self::NotCircumscribed,
        Self::Anechoic,
        Self::Heterogeneous,
        Self::Enhancement,
        Self::Shadowing,
    ];
}

/// `[thresholds]` as written.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Thresholds {
    pub lesion: Threshold,
    pub malignant: Malignant,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Malignant {
    pub confidence: f32,
}
