//! Computed mammograms: one woman with two breasts, each pressed for the CC and the MLO view. The same seed gives the
//! same bytes.
//!
//! Everything that is planted has ONE place in the uncompressed breast ([`Place`]); [`compression`] says where each view
//! shows it. The physics is simple: path lengths of each tissue along parallel rays (`projection`), Beer and Lambert with
//! one effective energy, scatter as a broad blur, quantum noise, blur of the detector (`detector`). No diverging rays, no
//! beam hardening, no tomosynthesis. What is suspicious ([`lesion::Kind`]) and what is a decoy (`decoy`) is a definition
//! of this phantom.

pub mod compression;
mod decoy;
mod detector;
pub mod dicom;
mod label;
pub mod lesion;
pub mod look;
mod noise;
mod outline;
mod plane;
mod projection;
mod scene;
pub mod seeds;
mod strands;
mod tissue;
pub mod training;
pub mod truth;
pub mod vendor;
pub mod woman;

use crate::anatomy::Side;

pub use scene::{Case, Options, Picture, Visit};

/// Depth from the chest wall towards the nipple, lateral, towards the head; mm in the uncompressed breast, from the middle
/// of its base. Lateral is positive in both breasts, so that the two are mirror images.
pub type Place = [f32; 3];

/// How a breast is pressed and looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// From above: lateral is at the top of the picture.
    Cc,
    /// Oblique: the upper outer side is at the top of the picture.
    Mlo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct View {
    pub side: Side,
    pub projection: Projection,
}

impl View {
    /// The four views of a screening examination, in the order in which they are usually taken.
    pub const ALL: [Self; 4] = [
        Self { side: Side::Right, projection: Projection::Cc },
        Self { side: Side::Left, projection: Projection::Cc },
        Self { side: Side::Right, projection: Projection::Mlo },
        Self { side: Side::Left, projection: Projection::Mlo },
    ];

    /// Such as `R-MLO`, for names of files.
    pub fn name(self) -> &'static str {
        match (self.side, self.projection) {
            (Side::Right, Projection::Cc) => "R-CC",
            (Side::Left, Projection::Cc) => "L-CC",
            (Side::Right, Projection::Mlo) => "R-MLO",
            (Side::Left, Projection::Mlo) => "L-MLO",
        }
    }

    /// From 0 to 3, as in [`View::ALL`].
    pub fn index(self) -> usize {
        usize::from(self.side == Side::Left) + 2 * usize::from(self.projection == Projection::Mlo)
    }
}

#[cfg(test)]
mod tests;
