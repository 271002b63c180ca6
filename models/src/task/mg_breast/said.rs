//! What is said of every mammogram of a study after its picture was looked at: the reading, or why there is none, and what
//! a reader should know of either.

use serde::Serialize;

use super::{Reading, Unreadable};
use crate::task::mammography_views::Section;

/// One mammogram of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PictureRead {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// `R`, `L`, or empty.
    pub laterality: String,
    /// `CC`, `MLO`, `ML`, `LM` or what the header says; empty where it says nothing.
    pub view: String,
    /// It shows only a part of the view: the sections that its header names, maybe none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Vec<Section>>,
    pub remarks: Vec<Remark>,
    pub read: Result<Reading, NotRead>,
}

/// What a reader should know of a mammogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remark {
    /// It is for processing only: read after a logarithm.
    ForProcessing,
    /// A digitised film or plate: no density.
    Film,
    /// The header says that there is an implant: no density.
    Implant,
    /// The header says that only a part of the view is shown: no area, no depth, no density.
    Partial,
    /// The header gives no size of a pixel: no lengths.
    NoSpacing,
    /// The header does not say which breast or which view.
    Unnamed,
    /// The chest wall lies at another side than Patient Orientation says: mirrored, or mislabelled.
    OtherSide,
    /// An oblique view without a visible muscle: no density.
    NoMuscle,
}

/// Why a mammogram was not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotRead {
    /// Magnification, spot compression and other additional views do not show the whole breast.
    Additional,
    /// Taken for a biopsy, or computed of several exposures with contrast agent (Image Type): no plain mammogram.
    OtherKind,
    /// A picture for presentation of the same view is read.
    Processed,
    /// Decoding it would need more memory than is allowed.
    TooLarge,
    /// Not one value for each pixel, or too few shades of grey.
    NotGrey,
    /// Its pixels cannot be decoded, and why.
    Pixels(String),
    Picture(Unreadable),
}
