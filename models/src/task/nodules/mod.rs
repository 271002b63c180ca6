//! Pulmonary nodules: the network's components, outlined and measured on the original grid.

pub(in crate::task) mod ends;
mod kind;
mod locate;
mod shape;

use serde::Serialize;

use super::ct_chest::{Figure, Masks, Placed, Scan, places, regions};
use crate::findings::{LobeName, Mask, Side};
use crate::postprocess::diameter::Axes;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoduleType {
    Solid,
    PartSolid,
    GroundGlass,
    Calcified,
}

impl NoduleType {
    pub const ALL: [Self; 4] = [Self::Solid, Self::PartSolid, Self::GroundGlass, Self::Calcified];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Solid => "solid",
            Self::PartSolid => "part_solid",
            Self::GroundGlass => "ground_glass",
            Self::Calcified => "calcified",
        }
    }
}

/// What a lesion in the lung is called by its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    Nodule,
    Mass,
}

/// A lesion longer than this is a mass, mm (Hansell et al., Fleischner Society: Glossary of terms for thoracic imaging,
/// Radiology 246 (2008) 697-722).
const MASS_MM: f64 = 30.0;

impl Form {
    /// By the longest axial diameter, mm, as it is printed.
    pub fn of(long_axis_mm: f64) -> Self {
        if kind::printed(long_axis_mm) > MASS_MM { Self::Mass } else { Self::Nodule }
    }
}

/// A nodule, or a mass.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nodule {
    /// 1, 2, ... in order of falling confidence; nodules and masses together.
    pub number: usize,
    pub form: Form,
    pub side: Side,
    /// `None` when the lobes are not known.
    pub lobe: Option<LobeName>,
    /// `None` when it could not be told.
    #[serde(rename = "type")]
    pub kind: Option<NoduleType>,
    /// Lung-RADS v2022 category by type and size on a baseline scan, for example `3` or `4A`; a size class, no verdict
    /// on the patient. `None` without a type. A solid mass is 4B: 4X needs features beside the size, which a person sees.
    pub lung_rads: Option<&'static str>,
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    /// Average of the long and the perpendicular short axis on the slice of greatest extent, mm
    /// (Fleischner 2017: nodule diameter is the mean of both).
    pub diameter_mm: f64,
    pub long_axis_mm: f64,
    pub short_axis_mm: f64,
    /// Of its voxels; so is `mean_hu`. Not a number (null in JSON) where a person measured the size otherwise: then the outline does not hold,
    /// and there are no voxels.
    pub volume_mm3: f64,
    pub mean_hu: f64,
    /// 0 to 1, as the network gives it.
    pub confidence: f64,
    /// Slice index of greatest extent.
    pub key_slice: usize,
    #[serde(skip)]
    pub mask: Mask,
}

impl Masks for Nodule {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        vec![Placed { mask: &mut self.mask, key_slice: Some(&mut self.key_slice) }]
    }
}

impl Nodule {
    /// Its size is what a person measured, its type what a person says; `None`: as it was. What follows from them is found again by the same
    /// rules, and what was measured in an outline of another size is withheld.
    pub(crate) fn edit(&mut self, size_mm: Option<[f64; 2]>, kind: Option<NoduleType>) {
        if let Some([long, short]) = size_mm {
            (self.long_axis_mm, self.short_axis_mm) = (long, short);
            self.diameter_mm = Axes { long_mm: long, short_mm: short }.diameter_mm();
            self.form = Form::of(long);
            (self.volume_mm3, self.mean_hu) = (f64::NAN, f64::NAN);
            self.mask = Mask { origin: [0; 3], size: [0; 3], voxels: Vec::new() };
        }
        if size_mm.is_some() || kind.is_some_and(|kind| Some(kind) != self.kind) {
            self.kind = kind.or(self.kind);
            self.lung_rads = self.kind.and_then(|kind| kind::lung_rads_of(kind, self.diameter_mm));
        }
    }

    /// The diameter that counts, mm: the mean of both axes of a nodule, the longest one of a mass.
    pub fn size_mm(&self) -> f64 {
        match self.form {
            Form::Nodule => self.diameter_mm,
            Form::Mass => self.long_axis_mm,
        }
    }
}

/// Nodules and masses of the whole scan. A consolidation that is one lump with a nodule is taken from the opacities.
pub(super) fn evaluate(scan: &mut Scan<'_>) -> Vec<Nodule> {
    let geometry = &scan.volume.geometry;
    let in_place = |one: &Nodule| {
        let rule = match one.form {
            Form::Nodule => places::IN_LUNG,
            Form::Mass => places::MASS,
        };
        scan.places.holds(rule, &one.mask) && !ends::reaches_end(geometry, &one.mask)
    };
    let mut found = locate::collect(scan.volume, scan.lungs, scan.lobes, scan.answer, &in_place);
    shape::join_lumps(&mut found, &mut scan.opacities.consolidation, geometry.spacing_mm, &|mask, confidence| {
        locate::measure(scan.volume, scan.lungs, scan.lobes, mask, confidence)
    });
    found.retain(|one| locate::sure_enough(scan.answer, scan.volume, one));
    locate::number(&mut found);
    regions::number(&mut scan.opacities.consolidation);
    found
}

pub(super) fn figure(all: &[Nodule]) -> Figure {
    Figure::largest(all.len(), all.iter().map(Nodule::size_mm))
}

/// How far the nodule's edge may lie from the network's component, mm.
const EDGE_MM: f64 = 2.0;
