//! The words for what is marked, and for what a score was made from.

use serde::{Deserialize, Serialize};

/// What a network marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Mass,
    Calcifications,
    Asymmetry,
    Distortion,
}

impl Kind {
    /// In the order of the channels of the map.
    pub const ALL: [Self; 4] = [Self::Mass, Self::Calcifications, Self::Asymmetry, Self::Distortion];

    /// As training names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mass => "mass",
            Self::Calcifications => "calcifications",
            Self::Asymmetry => "asymmetry",
            Self::Distortion => "distortion",
        }
    }
}

/// What a score was made from: the more of the four views are there, the more the scorer compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The view alone.
    OneView,
    /// Also the other view of the same breast.
    TwoViews,
    /// Also the same view of the other breast.
    TwoBreasts,
}

impl Stage {
    pub const ALL: [Self; 3] = [Self::OneView, Self::TwoViews, Self::TwoBreasts];

    /// As the package's scorer names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneView => "one_view",
            Self::TwoViews => "two_views",
            Self::TwoBreasts => "two_breasts",
        }
    }

    /// What the views that are there allow. Without the other view the other breast alone says nothing: training has no
    /// such stage.
    pub const fn of(has_pair: bool, has_other: bool) -> Self {
        match (has_pair, has_other) {
            (true, true) => Self::TwoBreasts,
            (true, false) => Self::TwoViews,
            (false, _) => Self::OneView,
        }
    }
}
