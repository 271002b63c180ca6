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

/// A section of the breast that a part of a view shows (CID 4005).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    Anterior,
    Central,
    Inferior,
    Lateral,
    Medial,
    Posterior,
    Superior,
}

impl Section {
    pub const ALL: [Self; 7] =
        [Self::Anterior, Self::Central, Self::Inferior, Self::Lateral, Self::Medial, Self::Posterior, Self::Superior];

    /// By its code, SCT; `None` for another one.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.code() == code)
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Anterior => "255549009",
            Self::Central => "26216008",
            Self::Inferior => "261089000",
            Self::Lateral => "49370004",
            Self::Medial => "255561001",
            Self::Posterior => "255551008",
            Self::Superior => "264217000",
        }
    }
}

/// An image that shows a part of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartFound {
    pub sop_instance_uid: String,
    /// As far as its header names them.
    pub sections: Vec<Section>,
}

/// The parts of a view. None of them stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewInParts {
    pub view: StandardView,
    /// At least one, in the order of arrival.
    pub parts: Vec<PartFound>,
}

/// Which standard views a study has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MammographyViews {
    /// Those that an image shows as a whole, in the order of [`StandardView::ALL`].
    pub found: Vec<ViewFound>,
    /// Those of which there are parts, beside a whole one or instead of it, in the same order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_parts: Vec<ViewInParts>,
    /// Those that no image shows, not even a part of them.
    pub missing: Vec<StandardView>,
    /// What was read in the pictures, where that was asked for, in the order of arrival.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PictureRead>,
    /// What a network marked in the views, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marks: Option<Marks>,
}

impl MammographyViews {
    /// Views of which there are parts and no whole one.
    pub fn only_in_parts(&self) -> impl Iterator<Item = &ViewInParts> {
        self.in_parts.iter().filter(|one| !self.found.iter().any(|found| found.view == one.view))
    }
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
