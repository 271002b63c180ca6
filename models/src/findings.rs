//! What tasks find: regions, lungs and lobes, and the reason where there is no value. The findings of the chest CT task
//! are listed in `task::ct_chest::list`.

use serde::{Deserialize, Serialize};

use crate::growth;
use crate::reason::NotEvaluated;
use crate::volume::Geometry;

pub use crate::task::ct_chest::{
    Bronchiectasis, CalciumScore, ChestFinding, ChestFindings, CoronaryCalcium, EMPHYSEMA_PERCENT, Emphysema, Extent,
    Form, LeastSize, LymphNode, Nodule, NoduleType, PartlySeen, PleuralEffusion, Pneumonia, Pneumothorax, RibFracture,
    SizeUnit,
};

/// A region on the volume's own voxel grid, stored for its bounding box only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    /// First voxel of the box: column, row, slice.
    pub origin: [usize; 3],
    /// Extent of the box: columns, rows, slices.
    pub size: [usize; 3],
    /// 0 or 1 for each voxel of the box, column fastest, slice slowest.
    pub voxels: Vec<u8>,
}

impl Mask {
    pub fn count(&self) -> usize {
        self.voxels.iter().filter(|v| **v != 0).count()
    }

    /// Is the voxel (column, row, slice of the volume) in the region?
    pub fn contains(&self, at: [usize; 3]) -> bool {
        let mut index = 0;
        for a in (0..3).rev() {
            if at[a] < self.origin[a] || at[a] >= self.origin[a] + self.size[a] {
                return false;
            }
            index = index * self.size[a] + (at[a] - self.origin[a]);
        }
        self.voxels[index] != 0
    }

    /// Lowest and highest corner of the box, mm, LPS, through the centres of its outermost voxels.
    pub fn box_mm(&self, geometry: &Geometry) -> [[f64; 3]; 2] {
        let corner = |far: bool| {
            let index = |a: usize| self.origin[a] + if far { self.size[a].saturating_sub(1) } else { 0 };
            geometry.to_patient([0, 1, 2].map(|a| index(a) as f64))
        };
        let (a, b) = (corner(false), corner(true));
        [[0, 1, 2].map(|i| a[i].min(b[i])), [0, 1, 2].map(|i| a[i].max(b[i]))]
    }

    /// One plane of the box, row-major; empty when the slice is outside the box.
    pub fn plane(&self, slice: usize) -> &[u8] {
        let size = self.size[0] * self.size[1];
        match slice.checked_sub(self.origin[2]).filter(|at| *at < self.size[2]) {
            Some(at) => &self.voxels[at * size..][..size],
            None => &[],
        }
    }

    /// First voxel and values of each row of the box.
    pub fn rows(&self) -> impl Iterator<Item = ([usize; 3], &[u8])> {
        let [ox, oy, oz] = self.origin;
        let ny = self.size[1].max(1);
        let rows = self.voxels.chunks(self.size[0].max(1)).enumerate();
        rows.map(move |(line, row)| ([ox, oy + line % ny, oz + line / ny], row))
    }

    /// Sets the voxels of `other` that lie within this box to `value`.
    pub fn paint(&mut self, other: &Self, value: u8) {
        self.meet(other, |own, theirs| {
            if theirs != 0 {
                *own = value;
            }
        });
    }

    /// Voxels in both.
    pub fn overlap(&self, other: &Self) -> usize {
        let end = |m: &Self, a: usize| m.origin[a] + m.size[a];
        let low = [0, 1, 2].map(|a| self.origin[a].max(other.origin[a]));
        let high = [0, 1, 2].map(|a| end(self, a).min(end(other, a)));
        if (0..3).any(|a| low[a] >= high[a]) {
            return 0;
        }
        let row = |m: &Self, y: usize, z: usize| {
            let line = (z - m.origin[2]) * m.size[1] + y - m.origin[1];
            line * m.size[0] + low[0] - m.origin[0]..line * m.size[0] + high[0] - m.origin[0]
        };
        let lines = (low[2]..high[2]).flat_map(|z| (low[1]..high[1]).map(move |y| (y, z)));
        lines
            .map(|(y, z)| {
                let both = self.voxels[row(self, y, z)].iter().zip(&other.voxels[row(other, y, z)]);
                both.filter(|(a, b)| **a != 0 && **b != 0).count()
            })
            .sum()
    }

    /// An empty box that is wider by so many voxels at every side, as far as a volume of `dims` reaches.
    #[must_use]
    pub fn widened(&self, by: [usize; 3], dims: [usize; 3]) -> Self {
        let origin = [0, 1, 2].map(|a| self.origin[a].saturating_sub(by[a]));
        let size = [0, 1, 2].map(|a| (self.origin[a] + self.size[a] + by[a]).min(dims[a]) - origin[a]);
        Self { origin, size, voxels: vec![0; size.iter().product()] }
    }

    /// The same region in a box that covers `others` too.
    #[must_use]
    pub fn covering(&self, others: &[&Self]) -> Self {
        let boxes = || std::iter::once(&self).chain(others).filter(|m| !m.voxels.is_empty());
        let low = [0, 1, 2].map(|a| boxes().map(|m| m.origin[a]).min().unwrap_or(0));
        let size = [0, 1, 2].map(|a| boxes().map(|m| m.origin[a] + m.size[a] - low[a]).max().unwrap_or(0));
        let mut wide = Self { origin: low, size, voxels: vec![0; size.iter().product()] };
        wide.paint(self, 1);
        wide
    }

    fn meet(&mut self, other: &Self, mut both: impl FnMut(&mut u8, u8)) {
        let Self { origin, size, voxels } = self;
        for ([x, y, z], row) in other.rows() {
            if y < origin[1] || y >= origin[1] + size[1] || z < origin[2] || z >= origin[2] + size[2] {
                continue;
            }
            let (first, last) = (x.max(origin[0]), (x + row.len()).min(origin[0] + size[0]));
            if first >= last {
                continue;
            }
            let start = ((z - origin[2]) * size[1] + y - origin[1]) * size[0] + first - origin[0];
            let own = &mut voxels[start..start + last - first];
            own.iter_mut().zip(&row[first - x..last - x]).for_each(|(o, r)| both(o, *r));
        }
    }
}

/// Either a value, or why there is none. "Nothing found" is a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluated<T> {
    Done(T),
    NotEvaluated(NotEvaluated),
}

impl<T> Evaluated<T> {
    /// Why there is no value; `None` when there is one.
    pub fn refusal(&self) -> Option<&NotEvaluated> {
        match self {
            Self::Done(_) => None,
            Self::NotEvaluated(why) => Some(why),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Right,
    Left,
}

impl Side {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Left => "left",
        }
    }

    /// `right` or `left`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Right, Self::Left].into_iter().find(|side| side.as_str() == name)
    }
}

/// The five pulmonary lobes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LobeName {
    RightUpper,
    RightMiddle,
    RightLower,
    LeftUpper,
    LeftLower,
}

impl LobeName {
    pub const ALL: [Self; 5] =
        [Self::RightUpper, Self::RightMiddle, Self::RightLower, Self::LeftUpper, Self::LeftLower];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RightUpper => "right_upper",
            Self::RightMiddle => "right_middle",
            Self::RightLower => "right_lower",
            Self::LeftUpper => "left_upper",
            Self::LeftLower => "left_lower",
        }
    }

    pub fn side(self) -> Side {
        match self {
            Self::RightUpper | Self::RightMiddle | Self::RightLower => Side::Right,
            Self::LeftUpper | Self::LeftLower => Side::Left,
        }
    }
}

/// One connected thing that was found: where it is and how sure the network is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Region {
    /// 1, 2, ... within its finding, in order of falling confidence (of falling volume where there is none).
    pub number: usize,
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    /// Of its voxels; so is `mean_hu`. Not a number (null in JSON) where a person measured the size otherwise: then the outline does not hold,
    /// and there are no voxels.
    pub volume_ml: f64,
    pub mean_hu: f64,
    /// 0 to 1, as the network gives it.
    pub confidence: f64,
    /// Slice index of greatest extent.
    pub key_slice: usize,
    #[serde(skip)]
    pub mask: Mask,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lung {
    pub side: Side,
    pub volume_ml: f64,
    /// Mean attenuation, HU.
    pub mean_hu: f64,
    /// Emphysema index LAA-950: percent of the lung's voxels below -950 HU. `None` when emphysema was not evaluated:
    /// what forbids that (a sharp kernel, noise, thick slices) makes this number wrong as well.
    pub laa950_percent: Option<f64>,
    /// Lowest and highest corner of the box around it, mm, LPS.
    pub box_mm: [[f64; 3]; 2],
    #[serde(skip)]
    pub mask: Mask,
}

/// One lobe, by the fissures where they show and the shape of its lung elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lobe {
    pub name: LobeName,
    pub volume_ml: f64,
    /// Less than a fifth of one of its fissures was seen: its borders are interpolated, or where they lie in most people.
    pub estimated: bool,
    #[serde(skip)]
    pub mask: Mask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LungPart {
    Both,
    Lung(Side),
    Lobe(LobeName),
}

/// Percent of one part of the lungs, before and now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub part: LungPart,
    /// Prior study, then this one.
    pub ground_glass_percent: [f64; 2],
    pub consolidation_percent: [f64; 2],
}

/// What is there beside what was in a prior study of the same patient.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub prior_study_uid: String,
    /// As DA: `20260101`.
    pub prior_study_date: String,
    /// Of pneumonia; empty when one of the studies has not evaluated it.
    pub changes: Vec<Change>,
    /// `None` when one of the studies has not evaluated them, or does not say where its lungs are.
    pub nodules: Option<growth::Nodules>,
    /// Why nothing at all could be compared; then there are neither changes nor nodules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<growth::Missing>,
    /// A caution: what differs between the scans.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<growth::Difference>,
}
