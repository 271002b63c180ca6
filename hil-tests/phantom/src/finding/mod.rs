//! The findings that a chest can have besides nodules: one file each, which plants the bodies and says afterwards what
//! was planted.
//!
//! A [`Lesion`] is what is measured and compared; the [`Body`]s and tubes that carry its number are what is painted.
//! To add a finding: a file here with `plant` and `truth`, one line in [`plant`] and one in `truth.rs`.

pub mod bronchiectasis;
mod channel;
pub mod coronary;
pub mod emphysema;
pub mod lymph_node;
pub mod pleura;
pub mod pneumonia;
pub mod rib_fracture;
#[cfg(test)]
pub mod testing;
mod wanted;

use std::fmt::Debug;

pub use channel::{Channel, LUNG};
pub use wanted::{Finding, Wanted};

use super::Options;
use super::anatomy::{Chest, Side};
use super::random::Random;
use super::render::Tube;
use super::shape::Point;

/// Something planted that is measured as one: what its bodies and tubes fill together.
#[derive(Debug, Clone, Copy)]
pub struct Lesion {
    pub channel: Channel,
    pub side: Option<Side>,
    /// 1 to 12.
    pub rib: Option<u8>,
}

impl Lesion {
    pub fn new(channel: Channel, side: Option<Side>) -> Self {
        Self { channel, side, rib: None }
    }
}

/// When a body is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Under vessels and airways, lung or not; what it fills is no lung.
    Under,
    /// Under vessels and airways, which stay visible, and only where there is lung.
    Parenchyma,
    /// Over everything; what it fills is no lung.
    Over,
    /// Paints nothing: says which voxels belong to a lesion that is painted elsewhere.
    Mark,
}

/// A shape with a density.
pub trait Body: Debug + Send + Sync {
    /// Lower and upper corner of a box around it, patient mm.
    fn bounds(&self) -> (Point, Point);
    /// Part that it fills of a voxel `width` mm wide at `p`, 0 to 1.
    fn fill(&self, p: Point, width: f32) -> f32;
    /// HU of a voxel at `p` with `under` HU once the body fills `part` of it.
    fn paint(&self, p: Point, under: f32, part: f32) -> f32;
}

#[derive(Debug)]
pub struct Placed {
    pub body: Box<dyn Body>,
    pub layer: Layer,
    /// The lesion it is part of; none for what changes the picture but is not measured by its shape.
    pub lesion: Option<usize>,
}

/// What was planted, growing finding by finding.
#[derive(Debug, Default)]
pub struct Planted {
    pub lesions: Vec<Lesion>,
    pub bodies: Vec<Placed>,
    /// All lymph nodes, the enlarged ones with their lesion.
    pub nodes: Vec<(lymph_node::Node, Option<usize>)>,
}

impl Planted {
    /// The number of a new lesion, for its bodies.
    pub fn lesion(&mut self, lesion: Lesion) -> usize {
        self.lesions.push(lesion);
        self.lesions.len() - 1
    }

    pub fn body(&mut self, body: impl Body + 'static, layer: Layer, lesion: Option<usize>) {
        self.bodies.push(Placed { body: Box::new(body), layer, lesion });
    }
}

/// Where findings are planted.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    pub chest: &'a Chest,
    /// Lowest and highest z (mm) of the scanned slab.
    pub slab: [f32; 2],
}

impl Site<'_> {
    /// The root of one lung, patient mm.
    pub fn hilum(&self, side: Side) -> Point {
        self.chest.to_patient([36.0 * side.sign(), 8.0, 12.0])
    }

    /// Somewhere in a box around one lung, within the slab.
    pub fn anywhere(&self, side: Side, random: &mut Random) -> Point {
        let [low, high] = self.slab;
        [side.sign() * random.between(8.0, 150.0), random.between(-110.0, 110.0), random.between(low, high)]
    }
}

/// Plants the bodies of every finding that `options` or the seed ask for. In the order in which they are painted.
/// The pleural spaces are filled before, by [`pleura::plant`].
pub fn plant(seed: u64, options: &Options, site: &Site<'_>, tubes: &mut Vec<Tube>, planted: &mut Planted) {
    let has = |finding: Finding| options.findings.has(finding, seed);
    let calcified = has(Finding::CoronaryCalcification);
    coronary::plant(site, calcified, planted, &mut Finding::CoronaryCalcification.random(seed));
    lymph_node::plant(site, has(Finding::LymphNode), planted, &mut Finding::LymphNode.random(seed));
    rib_fracture::plant(site, planted);
    if has(Finding::Emphysema) {
        emphysema::plant(site, planted, &mut Finding::Emphysema.random(seed));
    }
    if has(Finding::Pneumonia) {
        pneumonia::plant(site, tubes, planted, &mut Finding::Pneumonia.random(seed));
    }
    if has(Finding::Bronchiectasis) {
        bronchiectasis::plant(site, tubes, planted, &mut Finding::Bronchiectasis.random(seed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chest_without_findings_has_no_label_but_lung() {
        let scan = testing::scan(3, &[]);
        for channel in Channel::ALL {
            assert_eq!(scan.labelled_ml(channel), 0.0, "{channel:?}");
        }
        assert!(scan.lung_ml() > 2000.0 && scan.truth.pneumonia.is_none() && scan.truth.nodules.is_empty());
    }
}
