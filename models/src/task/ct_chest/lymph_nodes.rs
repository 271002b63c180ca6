//! Enlarged mediastinal lymph nodes.

use serde::Serialize;

use super::Scan;
use super::list::Figure;
use super::masks::{Masks, Placed};
use super::network::Answer;
use super::places::{self, Places};
use super::plan::Channel;
use super::regions;
use crate::findings::Region;
use crate::postprocess::diameter;
use crate::volume::Volume;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LymphNode {
    #[serde(flatten)]
    pub region: Region,
    pub short_axis_mm: f64,
    pub long_axis_mm: f64,
}

impl Masks for LymphNode {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        self.region.placed_mut()
    }
}

/// A node whose short axis reaches this is enlarged, mm (Glazer et al., AJR 144 (1985) 261-265; stations of Mountain
/// and Dresler, Chest 111 (1997) 1718-1723). RECIST 1.1 (Eur J Cancer 45 (2009) 228-247) measures the short axis.
pub(crate) const ENLARGED_MM: f64 = 10.0;

/// Enlarged nodes of the whole scan.
pub fn evaluate(scan: &mut Scan<'_>) -> Vec<LymphNode> {
    find(scan.volume, scan.answer, scan.places)
}

pub fn figure(all: &[LymphNode]) -> Figure {
    Figure::largest(all.len(), all.iter().map(|node| node.short_axis_mm))
}

/// Nodes with a short axis of at least 10 mm (and the package's `min_size`) on the axial slice of greatest extent.
pub fn find(volume: &Volume, answer: &Answer, places: &Places) -> Vec<LymphNode> {
    let (mut found, thresholds) = regions::collect(volume, answer, Channel::LymphNode);
    places.keep(places::LYMPH_NODE, &mut found);
    let spacing = volume.geometry.spacing_mm;
    let mut nodes: Vec<LymphNode> = found
        .into_iter()
        .map(|region| {
            let axes = diameter::axes(&regions::pixels(&region.mask, region.key_slice), [spacing[0], spacing[1]]);
            LymphNode { short_axis_mm: axes.short_mm, long_axis_mm: axes.long_mm, region }
        })
        .filter(|node| node.short_axis_mm >= ENLARGED_MM.max(thresholds.min_size))
        .collect();
    (1..).zip(&mut nodes).for_each(|(number, node)| node.region.number = number);
    nodes
}
