//! For which pictures the network is known not to hold: nothing is marked in them unless that is asked for. Decision 0027 has the
//! evidence.

use serde::{Deserialize, Serialize};

use super::{PictureRead, Remark, Side};

/// Whose pictures are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Marking {
    /// None; no network is loaded.
    #[default]
    Off,
    /// Those of phantoms, from which the network learnt, as their headers say.
    Phantoms,
    /// All that can be given to the network, to measure how it does.
    All,
}

/// Why nothing is marked in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// The picture was not read.
    NotRead,
    /// No size of a pixel.
    NoSpacing,
    /// The breast lies neither at the left nor at the right.
    ChestWall,
    /// A digitised film or plate.
    Film,
    /// Pixels are too large for calcifications.
    Coarse,
    ForProcessing,
    Partial,
    /// Mirrored, or mislabelled: it would be compared with the wrong breast.
    OtherSide,
    /// The header does not say that it shows a phantom.
    NoPhantom,
}

/// What the header says of a picture that decides.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Header {
    /// Of a pixel on the detector.
    pub mm: Option<f64>,
    /// It says that a phantom is shown.
    pub phantom: bool,
}

/// Millimetres of a pixel: the network learnt from pixels of this size at most; rounding in headers allowed.
const LARGEST_MM: f64 = 0.205;

/// Why nothing is to be marked in a picture, if so.
pub fn why(picture: &PictureRead, header: Header, marking: Marking) -> Option<Withheld> {
    let Ok(reading) = &picture.read else { return Some(Withheld::NotRead) };
    let Some(mm) = header.mm else { return Some(Withheld::NoSpacing) };
    if !matches!(reading.chest_wall, Side::Left | Side::Right) {
        return Some(Withheld::ChestWall);
    }
    let said = |remark: Remark| picture.remarks.contains(&remark);
    // Never, also not to measure: its marks would be those of the whole view.
    if said(Remark::Partial) {
        return Some(Withheld::Partial);
    }
    if marking == Marking::All {
        return None;
    }
    [
        (said(Remark::Film), Withheld::Film),
        (mm > LARGEST_MM, Withheld::Coarse),
        (said(Remark::ForProcessing), Withheld::ForProcessing),
        (said(Remark::OtherSide), Withheld::OtherSide),
        (!header.phantom, Withheld::NoPhantom),
    ]
    .into_iter()
    .find_map(|(holds, why)| holds.then_some(why))
}
