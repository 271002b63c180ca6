//! At which side of a picture the chest wall lies, and the picture turned so that it is at the left.

use serde::Serialize;

use super::outline::{Breast, Found};
use super::picture::{Picture, transposed};

/// A side of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

/// A breast lies at its chest wall along at least this part of that side of what was exposed.
const LEAST_CONTACT: f32 = 0.3;
/// It reaches the opposite side along at most this part.
const MOST_OPPOSITE: f32 = 0.55;
/// A film may have a border of this part of its side between breast and edge.
const BORDER: f32 = 0.02;

impl Side {
    pub const ALL: [Self; 4] = [Self::Left, Self::Right, Self::Top, Self::Bottom];

    pub const fn opposite(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
            Self::Top => Self::Bottom,
            Self::Bottom => Self::Top,
        }
    }
}

/// The side along which the breast lies, if it has the shape of one: it lies at one side and bulges away from it.
pub(super) fn chest_wall(mask: &[u8], width: usize, exposed: [usize; 4]) -> Option<Side> {
    let depth = Side::ALL.map(|side| depths(mask, width, exposed, side));
    let contact = depth.each_ref().map(|depths| depths.iter().filter(|d| d.is_some()).count());
    let longest = (0..4).max_by_key(|side| (contact[*side], std::cmp::Reverse(*side)))?;
    let side = Side::ALL[longest];
    let part = |side: usize| contact[side] as f32 / depth[side].len().max(1) as f32;
    let opposite = Side::ALL.iter().position(|other| *other == side.opposite())?;
    let bulges = bulges(&depth[longest]);
    (part(longest) >= LEAST_CONTACT && part(opposite) <= MOST_OPPOSITE && bulges).then_some(side)
}

/// For each place along a side of the exposed rectangle: how far the breast reaches from it, in pixels, when it begins at it.
fn depths(mask: &[u8], width: usize, [left, top, right, bottom]: [usize; 4], side: Side) -> Vec<Option<usize>> {
    let (along, across) = match side {
        Side::Left | Side::Right => (bottom - top, right - left),
        Side::Top | Side::Bottom => (right - left, bottom - top),
    };
    let is_breast = |place: usize, deep: usize| {
        let [x, y] = match side {
            Side::Left => [left + deep, top + place],
            Side::Right => [right - 1 - deep, top + place],
            Side::Top => [left + place, top + deep],
            Side::Bottom => [left + place, bottom - 1 - deep],
        };
        mask[y * width + x] != 0
    };
    let border = crate::cast::ceil_index(f64::from(BORDER * across as f32)).min(across.saturating_sub(1));
    (0..along)
        .map(|place| {
            let begin = (0..=border).find(|deep| is_breast(place, *deep))?;
            Some((begin..across).take_while(|deep| is_breast(place, *deep)).count())
        })
        .collect()
}

/// Is the middle deeper than the shallower end? A background in place of a breast is not.
fn bulges(depths: &[Option<usize>]) -> bool {
    let Some(first) = depths.iter().position(Option::is_some) else { return false };
    let last = depths.iter().rposition(Option::is_some).unwrap_or(first);
    let rows = &depths[first..=last];
    let mean =
        |part: &[Option<usize>]| part.iter().map(|d| d.unwrap_or(0)).sum::<usize>() as f32 / part.len().max(1) as f32;
    let fifth = (rows.len() / 5).max(1);
    let middle = mean(&rows[2 * rows.len() / 5..(3 * rows.len()).div_ceil(5)]);
    middle > mean(&rows[..fifth]).min(mean(&rows[rows.len() - fifth..]))
}

/// A picture and its breast, mirrored or turned so that the chest wall is at the left.
#[derive(Debug, Clone)]
pub struct Upright {
    pub(super) picture: Picture,
    pub(super) mask: Vec<u8>,
    /// Left, top, right, bottom of what was exposed.
    pub(super) exposed: [usize; 4],
    /// In the picture that was given.
    pub(super) chest_wall: Side,
    /// For each row: where the breast ends, pixels from the left of the picture; smooth. `None`: no breast there.
    pub(super) skin: Vec<Option<f32>>,
    given: [usize; 2],
}

impl Upright {
    pub(super) fn new(picture: &Picture, found: &Found) -> Self {
        let given = [picture.width, picture.height];
        let [w, h] = given;
        let [l, t, r, b] = found.exposed;
        let side = found.chest_wall;
        let (size, exposed) = match side {
            Side::Left => (given, [l, t, r, b]),
            Side::Right => (given, [w - r, t, w - l, b]),
            Side::Top => ([h, w], [t, l, b, r]),
            Side::Bottom => ([h, w], [h - b, l, h - t, r]),
        };
        let values = turned(&picture.values, w, side);
        let mask = turned(&found.mask, w, side);
        let picture = Picture { width: size[0], height: size[1], values, mm: picture.mm };
        let skin = skin(&mask, picture.width, picture.nominal_mm());
        Self { picture, mask, exposed, chest_wall: side, skin, given }
    }

    /// A point of the picture that was given.
    pub(super) fn back(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [w, h] = self.given.map(|side| side as f32);
        match self.chest_wall {
            Side::Left => [x, y],
            Side::Right => [w - x, y],
            Side::Top => [y, x],
            Side::Bottom => [y, h - x],
        }
    }

    /// Where the chest wall lies: the exposed part begins.
    pub(super) fn wall(&self) -> f32 {
        self.exposed[0] as f32
    }

    /// The border of the breast, closed along the chest wall.
    pub(super) fn outline(&self) -> Vec<[f32; 2]> {
        let rows = self.skin.iter().enumerate().filter_map(|(y, skin)| Some([(*skin)?, y as f32 + 0.5]));
        let skin: Vec<[f32; 2]> = rows.collect();
        let ends = skin.first().zip(skin.last()).map(|(a, b)| ([self.wall(), a[1]], [self.wall(), b[1]]));
        match ends {
            Some((first, last)) => [first].into_iter().chain(skin).chain([last]).collect(),
            None => Vec::new(),
        }
    }

    /// Without its outline.
    pub(super) fn breast(&self) -> Breast {
        let pixels = self.mask.iter().filter(|m| **m != 0).count() as f32;
        let deepest = self.skin.iter().flatten().fold(0.0f32, |deepest, skin| deepest.max(skin - self.wall()));
        Breast {
            outline: Vec::new(),
            part_of_picture: pixels / self.mask.len().max(1) as f32,
            area_cm2: self.picture.mm.map(|mm| pixels * mm * mm / 100.0),
            depth_mm: self.picture.mm.map(|mm| deepest * mm),
        }
    }
}

fn turned<T: Copy>(values: &[T], width: usize, side: Side) -> Vec<T> {
    let mirrored = |values: &[T], width: usize| -> Vec<T> {
        values.chunks_exact(width.max(1)).flat_map(|row| row.iter().rev().copied()).collect()
    };
    match side {
        Side::Left => values.to_vec(),
        Side::Right => mirrored(values, width),
        Side::Top => transposed(values, width),
        Side::Bottom => {
            let height = values.len() / width.max(1);
            mirrored(&transposed(values, width), height)
        }
    }
}

/// The skin is smoothed over this reach, mm.
const SMOOTH_MM: f32 = 2.0;

fn skin(mask: &[u8], width: usize, mm: f32) -> Vec<Option<f32>> {
    let ends: Vec<Option<f32>> =
        mask.chunks_exact(width.max(1)).map(|row| row.iter().rposition(|m| *m != 0).map(|x| x as f32 + 1.0)).collect();
    let ends = without_bands(ends, mm);
    let reach = crate::cast::round_index(f64::from(SMOOTH_MM / mm)).max(1);
    (0..ends.len())
        .map(|y| {
            ends[y]?;
            let near: Vec<f32> =
                ends[y.saturating_sub(reach)..(y + reach + 1).min(ends.len())].iter().flatten().copied().collect();
            Some(near.iter().sum::<f32>() / near.len().max(1) as f32)
        })
        .collect()
}

/// A strip of the film holder or an adhesive tape lies along the border of a picture: within this reach of the ends, mm, the
/// breast does not widen towards the end by more than this slope.
const BAND_MM: f32 = 20.0;
const WIDENS: f32 = 1.2;

fn without_bands(mut ends: Vec<Option<f32>>, mm: f32) -> Vec<Option<f32>> {
    let reach = crate::cast::round_index(f64::from(BAND_MM / mm));
    let limit = |ends: &mut [Option<f32>]| {
        let Some(first) = ends.iter().position(Option::is_some) else { return };
        let from = (first + reach).min(ends.len().saturating_sub(1));
        for y in (first..from).rev() {
            let most = ends[y + 1].map(|inner| inner + WIDENS);
            ends[y] = ends[y].zip(most).map(|(own, most)| own.min(most));
        }
    };
    limit(&mut ends);
    ends.reverse();
    limit(&mut ends);
    ends.reverse();
    ends
}
