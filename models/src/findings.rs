//! The one output type of every task: what, where, how sure, from which model.

use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluated<T> {
    Done(T),
    NotEvaluated(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Right,
    Left,
}

/// The nine findings of the chest CT task. The order is the order of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    Nodule,
    Pneumonia,
    RibFracture,
    Emphysema,
    Bronchiectasis,
    PleuralEffusion,
    Pneumothorax,
    CoronaryCalcification,
    LymphNode,
}

impl Finding {
    pub const ALL: [Self; 9] = [
        Self::Nodule,
        Self::Pneumonia,
        Self::RibFracture,
        Self::Emphysema,
        Self::Bronchiectasis,
        Self::PleuralEffusion,
        Self::Pneumothorax,
        Self::CoronaryCalcification,
        Self::LymphNode,
    ];

    /// As written in `model.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nodule => "nodule",
            Self::Pneumonia => "pneumonia",
            Self::RibFracture => "rib_fracture",
            Self::Emphysema => "emphysema",
            Self::Bronchiectasis => "bronchiectasis",
            Self::PleuralEffusion => "pleural_effusion",
            Self::Pneumothorax => "pneumothorax",
            Self::CoronaryCalcification => "coronary_calcification",
            Self::LymphNode => "lymph_node",
        }
    }

    /// Plain words, plural, lower case: `not evaluated` sentences begin with them.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nodule => "nodules",
            Self::Pneumonia => "pneumonia",
            Self::RibFracture => "rib fractures",
            Self::Emphysema => "emphysema",
            Self::Bronchiectasis => "bronchiectasis",
            Self::PleuralEffusion => "pleural effusion",
            Self::Pneumothorax => "pneumothorax",
            Self::CoronaryCalcification => "coronary artery calcification",
            Self::LymphNode => "enlarged lymph nodes",
        }
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
    /// Emphysema index LAA-950: percent of the lung's voxels below -950 HU.
    pub laa950_percent: f64,
    #[serde(skip)]
    pub mask: Mask,
}

/// One lobe, by the shape of its lung and the fissures where they show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lobe {
    pub name: LobeName,
    pub volume_ml: f64,
    #[serde(skip)]
    pub mask: Mask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoduleType {
    Solid,
    PartSolid,
    GroundGlass,
    Calcified,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nodule {
    /// 1, 2, ... in order of falling confidence.
    pub number: usize,
    pub side: Side,
    /// `None` when the lobes are not known.
    pub lobe: Option<LobeName>,
    /// `None` when it could not be told.
    #[serde(rename = "type")]
    pub kind: Option<NoduleType>,
    /// Lung-RADS v2022 category by type and size on a baseline scan, for example `3` or `4A`; a size class, no verdict
    /// on the patient. `None` without a type.
    pub lung_rads: Option<&'static str>,
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    /// Average of the long and the perpendicular short axis on the slice of greatest extent, mm
    /// (Fleischner 2017: nodule diameter is the mean of both).
    pub diameter_mm: f64,
    pub long_axis_mm: f64,
    pub short_axis_mm: f64,
    pub volume_mm3: f64,
    pub mean_hu: f64,
    /// 0 to 1, as the network gives it.
    pub confidence: f64,
    /// Slice index of greatest extent.
    pub key_slice: usize,
    #[serde(skip)]
    pub mask: Mask,
}

/// Share of one lung or lobe that is ill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Extent {
    pub part: LungPart,
    /// Of the whole part, consolidated tissue included.
    pub volume_ml: f64,
    pub ground_glass_percent: f64,
    pub consolidation_percent: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LungPart {
    Both,
    Lung(Side),
    Lobe(LobeName),
}

/// Pneumonia: its opacities and how much of each part of the lungs they fill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pneumonia {
    /// Highest probability of an opacity that was kept; 0 when there is none.
    pub confidence: f64,
    pub ground_glass: Vec<Region>,
    pub consolidation: Vec<Region>,
    /// Both lungs first, then each lung, then each lobe that is known.
    pub extents: Vec<Extent>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RibFracture {
    #[serde(flatten)]
    pub region: Region,
    pub side: Side,
    /// 1 to 12 from the head; `None` when the ribs could not be counted.
    pub rib: Option<u8>,
}

/// Emphysema. LAA-950 by its definition is in each [`Lung`] as well; here after noise reduction, with what was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Emphysema {
    /// Percent of the voxels of both lungs below -950 HU, airways left out, after noise reduction.
    pub laa950_percent: f64,
    pub right_percent: Option<f64>,
    pub left_percent: Option<f64>,
    /// Standard deviation of the noise as measured in the trachea or in air, HU.
    pub noise_hu: f64,
    /// Voxels below -950 HU, one region a lung.
    pub regions: Vec<Region>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bronchiectasis {
    #[serde(flatten)]
    pub region: Region,
    pub side: Side,
    pub lobe: Option<LobeName>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PleuralEffusion {
    #[serde(flatten)]
    pub region: Region,
    pub side: Side,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pneumothorax {
    #[serde(flatten)]
    pub region: Region,
    pub side: Side,
    /// Of the volume of the hemithorax (lung, effusion and air together).
    pub percent: f64,
}

/// What may be said about coronary calcium under the protocol at hand.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CalciumScore {
    /// Agatston score.
    Agatston(f64),
    /// 0 none, 1 mild, 2 moderate, 3 severe, and why it is no Agatston score.
    Ordinal { grade: u8, reason: String },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoronaryCalcium {
    pub score: CalciumScore,
    pub lesions: Vec<Region>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LymphNode {
    #[serde(flatten)]
    pub region: Region,
    pub short_axis_mm: f64,
    pub long_axis_mm: f64,
}

/// Percent of one part of the lungs, before and now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    pub part: LungPart,
    /// Prior study, then this one.
    pub ground_glass_percent: [f64; 2],
    pub consolidation_percent: [f64; 2],
}

/// Pneumonia beside a prior study of the same patient.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub prior_study_uid: String,
    /// As DA: `20260101`.
    pub prior_study_date: String,
    pub changes: Vec<Change>,
}

/// What a chest CT task found. Each of the nine is a value or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Findings {
    pub lungs: Evaluated<Vec<Lung>>,
    pub lobes: Evaluated<Vec<Lobe>>,
    pub nodules: Evaluated<Vec<Nodule>>,
    pub pneumonia: Evaluated<Pneumonia>,
    pub rib_fractures: Evaluated<Vec<RibFracture>>,
    pub emphysema: Evaluated<Emphysema>,
    pub bronchiectasis: Evaluated<Vec<Bronchiectasis>>,
    pub pleural_effusions: Evaluated<Vec<PleuralEffusion>>,
    pub pneumothoraces: Evaluated<Vec<Pneumothorax>>,
    pub coronary_calcium: Evaluated<CoronaryCalcium>,
    pub lymph_nodes: Evaluated<Vec<LymphNode>>,
    /// With the last prior study of the patient that was analysed; `None` when there is none, or one was not evaluated.
    pub comparison: Option<Comparison>,
    /// Time of each stage in milliseconds, in order: `lungs`, `resample`, `inference`, `postprocess`, ...
    pub timings_ms: Vec<(String, f64)>,
}

impl Findings {
    /// The finding is not evaluated, as `sentence` says.
    pub fn refuse(&mut self, finding: Finding, sentence: String) {
        match finding {
            Finding::Nodule => self.nodules = Evaluated::NotEvaluated(sentence),
            Finding::Pneumonia => self.pneumonia = Evaluated::NotEvaluated(sentence),
            Finding::RibFracture => self.rib_fractures = Evaluated::NotEvaluated(sentence),
            Finding::Emphysema => self.emphysema = Evaluated::NotEvaluated(sentence),
            Finding::Bronchiectasis => self.bronchiectasis = Evaluated::NotEvaluated(sentence),
            Finding::PleuralEffusion => self.pleural_effusions = Evaluated::NotEvaluated(sentence),
            Finding::Pneumothorax => self.pneumothoraces = Evaluated::NotEvaluated(sentence),
            Finding::CoronaryCalcification => self.coronary_calcium = Evaluated::NotEvaluated(sentence),
            Finding::LymphNode => self.lymph_nodes = Evaluated::NotEvaluated(sentence),
        }
    }

    /// Nothing evaluated: every finding says `<finding> not evaluated: <reason>`.
    pub fn none(reason: &str) -> Self {
        fn not<T>(finding: Finding, reason: &str) -> Evaluated<T> {
            Evaluated::NotEvaluated(format!("{} not evaluated: {reason}", finding.words()))
        }
        Self {
            lungs: Evaluated::NotEvaluated(format!("lungs not evaluated: {reason}")),
            lobes: Evaluated::NotEvaluated(format!("lobes not evaluated: {reason}")),
            nodules: not(Finding::Nodule, reason),
            pneumonia: not(Finding::Pneumonia, reason),
            rib_fractures: not(Finding::RibFracture, reason),
            emphysema: not(Finding::Emphysema, reason),
            bronchiectasis: not(Finding::Bronchiectasis, reason),
            pleural_effusions: not(Finding::PleuralEffusion, reason),
            pneumothoraces: not(Finding::Pneumothorax, reason),
            coronary_calcium: not(Finding::CoronaryCalcification, reason),
            lymph_nodes: not(Finding::LymphNode, reason),
            comparison: None,
            timings_ms: Vec::new(),
        }
    }
}
