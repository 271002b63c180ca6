//! Pneumonia: ground-glass and consolidated regions, and their share of each lung and lobe.

use serde::Serialize;

use super::Scan;
use super::list::Figure;
use super::masks::{Masks, Placed};
use super::network::Answer;
use super::places::{self, Places};
use super::plan::Channel;
use super::{regions, spread};
use crate::findings::{Lobe, LobeName, Lung, LungPart, Mask, Region, Side};
use crate::volume::Volume;

/// Share of one lung or lobe that is affected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Extent {
    pub part: LungPart,
    /// Of the whole part, consolidated tissue included.
    pub volume_ml: f64,
    pub ground_glass_percent: f64,
    pub consolidation_percent: f64,
}

/// Pneumonia: its opacities and how much of each part of the lungs they fill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pneumonia {
    /// Highest probability of an opacity that was kept; 0 when there is none.
    pub confidence: f64,
    pub ground_glass: Vec<Region>,
    pub consolidation: Vec<Region>,
    /// Both lungs first, where there are two, then each lung, then each lobe that is known.
    pub extents: Vec<Extent>,
}

impl Masks for Pneumonia {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        let kinds = [&mut self.ground_glass, &mut self.consolidation];
        kinds.into_iter().flat_map(Masks::placed_mut).collect()
    }
}

/// Opacities, before the lungs are known.
#[derive(Debug, Default)]
pub struct Opacities {
    pub ground_glass: Vec<Region>,
    pub consolidation: Vec<Region>,
}

pub fn opacities(volume: &Volume, answer: &Answer, places: &Places) -> Opacities {
    let mut rejected = Vec::new();
    let mut of = |channel: Channel| {
        let (regions, thresholds) = regions::collect(volume, answer, channel);
        let (held, other): (Vec<Region>, Vec<Region>) =
            regions.into_iter().partition(|region| places.holds_opacity(&region.mask));
        rejected.extend(other);
        clipped(volume, places, held, thresholds.min_size)
    };
    let found = Opacities { ground_glass: of(Channel::GroundGlass), consolidation: of(Channel::Consolidation) };
    spread::whole(volume, answer, places, found, &rejected)
}

/// What of the regions lies where lung may be, from `min_size` ml on.
pub(super) fn clipped(volume: &Volume, places: &Places, regions: Vec<Region>, min_size: f64) -> Vec<Region> {
    let clip =
        |r: Region| regions::measure(volume, places.clipped(r.mask, places::PLEURA, places::SPINE), r.confidence);
    let mut within: Vec<Region> = regions.into_iter().filter_map(clip).filter(|r| r.volume_ml >= min_size).collect();
    regions::number(&mut within);
    within
}

pub fn is_found(pneumonia: &Pneumonia) -> bool {
    !(pneumonia.ground_glass.is_empty() && pneumonia.consolidation.is_empty())
}

/// Opacities as shares of the lungs and lobes that hold them.
pub fn evaluate(scan: &mut Scan<'_>) -> Pneumonia {
    measure(scan.volume, std::mem::take(&mut scan.opacities), scan.lungs, scan.lobes)
}

pub fn figure(pneumonia: &Pneumonia) -> Figure {
    let both = pneumonia.extents.first().filter(|extent| !matches!(extent.part, LungPart::Lobe(_)));
    Figure {
        count: Some(pneumonia.ground_glass.len() + pneumonia.consolidation.len()),
        number: both.map(|extent| extent.ground_glass_percent + extent.consolidation_percent),
    }
}

/// `lungs` and `lobes` hold the consolidated tissue: percentages are of the whole part, aerated or not. A voxel that
/// is both counts as consolidated (Hansell et al., Fleischner Society: Glossary of terms for thoracic imaging,
/// Radiology 246 (2008) 697-722: ground glass preserves bronchial and vascular margins, consolidation obscures them).
pub fn measure(volume: &Volume, opacities: Opacities, lungs: &[Lung], lobes: &[Lobe]) -> Pneumonia {
    let Opacities { ground_glass, consolidation } = opacities;
    let extents = extents(&ground_glass, &consolidation, lungs, lobes, volume.geometry.voxel_ml());
    let confidence = ground_glass.iter().chain(&consolidation).map(|r| r.confidence).fold(0.0, f64::max);
    Pneumonia { confidence, ground_glass, consolidation, extents }
}

/// `ml`: of a voxel.
pub fn extents(
    ground_glass: &[Region],
    consolidation: &[Region],
    lungs: &[Lung],
    lobes: &[Lobe],
    ml: f64,
) -> Vec<Extent> {
    let extent = |part: LungPart, masks: &[&Mask]| {
        let whole: usize = masks.iter().map(|m| m.count()).sum();
        let mut solid = 0;
        let mut hazy = 0;
        for mask in masks {
            // Regions of one channel do not touch; those of two may overlap.
            let own: usize = consolidation.iter().map(|r| mask.overlap(&r.mask)).sum();
            solid += own;
            if ground_glass.is_empty() {
                continue;
            }
            let mut both = empty_like(mask);
            ground_glass.iter().for_each(|r| both.paint(&r.mask, 1));
            consolidation.iter().for_each(|r| both.paint(&r.mask, 0));
            hazy += mask.overlap(&both);
        }
        let percent = |n: usize| if whole == 0 { 0.0 } else { 100.0 * n as f64 / whole as f64 };
        Extent {
            part,
            volume_ml: whole as f64 * ml,
            ground_glass_percent: percent(hazy),
            consolidation_percent: percent(solid),
        }
    };
    let mut extents = Vec::new();
    if lungs.len() > 1 {
        extents.push(extent(LungPart::Both, &lungs.iter().map(|l| &l.mask).collect::<Vec<_>>()));
    }
    for side in [Side::Right, Side::Left] {
        extents.extend(lungs.iter().filter(|l| l.side == side).map(|l| extent(LungPart::Lung(side), &[&l.mask])));
    }
    for name in LobeName::ALL {
        extents.extend(lobes.iter().filter(|l| l.name == name).map(|l| extent(LungPart::Lobe(name), &[&l.mask])));
    }
    extents
}

fn empty_like(mask: &Mask) -> Mask {
    Mask { origin: mask.origin, size: mask.size, voxels: vec![0; mask.voxels.len()] }
}
