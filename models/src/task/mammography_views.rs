//! Are the four standard views of a mammography there? Decided by headers; what their pictures show is read by `mg_breast`, where
//! that is asked for. No network, no package.

use serde::Serialize;

use super::mg_breast::PictureRead;
use super::mg_breast::marks::Marks;

/// A standard view of screening mammography: one breast, one projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StandardView {
    RightCc,
    LeftCc,
    RightMlo,
    LeftMlo,
}

/// The image that stands for a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewFound {
    pub view: StandardView,
    pub sop_instance_uid: String,
    /// Made to be looked at; otherwise for processing only.
    pub for_presentation: bool,
    /// Images that could stand for the view, of which the last is taken.
    pub candidates: usize,
}

/// Which standard views a study has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MammographyViews {
    /// In the order of [`StandardView::ALL`].
    pub found: Vec<ViewFound>,
    pub missing: Vec<StandardView>,
    /// What was read in the pictures, where that was asked for, in the order of arrival.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PictureRead>,
    /// What a network marked in the views, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marks: Option<Marks>,
}

impl StandardView {
    /// As they hang, from left to right and from top to bottom: the right breast at the left, as if the patient faced the reader.
    pub const ALL: [Self; 4] = [Self::RightCc, Self::LeftCc, Self::RightMlo, Self::LeftMlo];

    /// The other view of the same breast.
    pub const fn same_breast(self) -> Self {
        match self {
            Self::RightCc => Self::RightMlo,
            Self::LeftCc => Self::LeftMlo,
            Self::RightMlo => Self::RightCc,
            Self::LeftMlo => Self::LeftCc,
        }
    }

    /// The same view of the other breast.
    pub const fn other_breast(self) -> Self {
        match self {
            Self::RightCc => Self::LeftCc,
            Self::LeftCc => Self::RightCc,
            Self::RightMlo => Self::LeftMlo,
            Self::LeftMlo => Self::RightMlo,
        }
    }

    pub const fn is_right(self) -> bool {
        matches!(self, Self::RightCc | Self::RightMlo)
    }

    pub const fn is_oblique(self) -> bool {
        matches!(self, Self::RightMlo | Self::LeftMlo)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::RightCc => "right CC",
            Self::LeftCc => "left CC",
            Self::RightMlo => "right MLO",
            Self::LeftMlo => "left MLO",
        }
    }
}
