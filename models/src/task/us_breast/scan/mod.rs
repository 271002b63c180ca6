//! Scan guidance: whether the picture of a hand-held probe shows tissue over its whole width, is neither too dark nor too bright, reaches as
//! deep as it should, and how fast it sweeps; and what of a breast was looked at by then. Pure: the caller brings one sector of one
//! picture, and keeps what is learnt of the screen ([`extent::Extent`]).
//!
//! Limits were chosen on phantoms, no guideline has them. What cannot be judged is named with its reason ([`Unjudged`]).

pub mod contact;
pub mod coverage;
pub mod depth;
pub mod extent;
pub mod focus;
pub mod gain;
pub mod probe;
pub mod speed;

use serde::{Deserialize, Serialize};

use crate::cast;

/// The image sector of one picture: grey levels row by row, without gaps.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    pub levels: &'a [u8],
    /// Pixels.
    pub width: usize,
    /// Of tissue; `None` where the scale is not known.
    pub mm_per_pixel: Option<f32>,
}

impl<'a> Scan<'a> {
    pub fn height(&self) -> usize {
        self.levels.len().checked_div(self.width).unwrap_or(0)
    }

    pub fn row(&self, y: usize) -> &'a [u8] {
        self.levels.get(y * self.width..(y + 1) * self.width).unwrap_or_default()
    }

    /// The row at this share of the height.
    fn row_of(&self, share: f32) -> usize {
        cast::floor_index(f64::from(share * self.height() as f32)).min(self.height())
    }

    /// The row at this depth: mm where the scale is known, otherwise a share of the height. Never beyond the last row.
    pub fn row_at(&self, mm: f32, share: f32) -> usize {
        let scale = self.mm_per_pixel.filter(|scale| *scale > 0.0);
        let wanted = scale.map_or_else(|| share * self.height() as f32, |scale| mm / scale);
        cast::floor_index(f64::from(wanted)).min(self.height())
    }
}

/// Columns of the sector that show the image: first, and the one after the last.
pub type Columns = [usize; 2];

/// Why something is not judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unjudged {
    /// No picture has come yet, or not for a while.
    NoPicture,
    /// No scanner profile fits: nobody knows where the image is.
    NoProfile,
    /// The picture stands still.
    Frozen,
    /// Nothing of the sector is lit.
    Dark,
    /// Doppler, elastography.
    Colours,
    /// Two images side by side.
    Split,
    /// A curved probe, or a sector that widens with depth.
    NotLinear,
    /// Nobody knows how large a pixel is.
    NoScale,
    /// Too little of the probe touches the skin to say.
    NoContact,
    /// No lesion is seen, so that there is nothing to focus on.
    NoLesion,
    /// Too little speckle to follow.
    NoSpeckle,
    /// They come too seldom for this speed, or have not come for long enough.
    TooFewPictures,
}

impl Unjudged {
    pub const ALL: [Self; 12] = [
        Self::NoPicture,
        Self::NoProfile,
        Self::Frozen,
        Self::Dark,
        Self::Colours,
        Self::Split,
        Self::NotLinear,
        Self::NoScale,
        Self::NoContact,
        Self::NoLesion,
        Self::NoSpeckle,
        Self::TooFewPictures,
    ];
}

#[cfg(test)]
pub(crate) mod testing;
