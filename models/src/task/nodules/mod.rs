//! Pulmonary nodules: the network's components, outlined and measured on the original grid.

mod ends;
mod kind;
mod locate;

use serde::Serialize;

use super::ct_chest::{Figure, Scan, places};
use crate::findings::{LobeName, Mask, Side};

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

/// Nodules of the whole scan.
pub(super) fn evaluate(scan: &mut Scan<'_>) -> Vec<Nodule> {
    let in_place =
        |mask: &Mask| scan.places.holds(places::IN_LUNG, mask) && !ends::reaches_end(&scan.volume.geometry, mask);
    locate::collect(scan.volume, scan.lungs, scan.lobes, scan.answer, &in_place)
}

pub(super) fn figure(all: &[Nodule]) -> Figure {
    Figure::largest(all.len(), all.iter().map(|nodule| nodule.diameter_mm))
}

/// How far the nodule's edge may lie from the network's component, mm.
const EDGE_MM: f64 = 2.0;
