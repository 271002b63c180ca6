//! The findings that a chest can have besides nodules. Each has a file, which plants its bodies and afterwards measures
//! what was planted.
//!
//! A [`Lesion`] is what is measured and compared. It is painted as one or more [`Body`]s and tubes that have its number.
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

/// One planted lesion: everything that its bodies and tubes fill together is measured as one.
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
    /// First of all, and only outside lung and pleural space: what surrounds them.
    Around,
    /// Under vessels and airways, inside or outside the lung; what it fills is not lung.
    Under,
    /// Under vessels and airways, which stay visible, and only where there is lung.
    Parenchyma,
    /// Over everything; what it fills is not lung.
    Over,
    /// Paints nothing, but marks the voxels of a lesion that is painted elsewhere.
    Mark,
}

/// A shape with a density.
pub trait Body: Debug + Send + Sync {
    /// Lower and upper corner of a box around it, patient mm.
    fn bounds(&self) -> (Point, Point);
    /// Fraction that it fills of a voxel `width` mm wide at `p`, 0 to 1.
    fn fill(&self, p: Point, width: f32) -> f32;
    /// HU of a voxel at `p` with `under` HU once the body fills `part` of it.
    fn paint(&self, p: Point, under: f32, part: f32) -> f32;
}

#[derive(Debug)]
pub struct Placed {
    pub body: Box<dyn Body>,
    pub layer: Layer,
    /// The lesion to which it belongs; none for bodies that change the image but are not measured by their shape.
    pub lesion: Option<usize>,
}

/// Everything that has been planted so far.
#[derive(Debug, Default)]
pub struct Planted {
    pub lesions: Vec<Lesion>,
    pub bodies: Vec<Placed>,
    /// All lymph nodes; the enlarged ones have a lesion.
    pub nodes: Vec<(lymph_node::Node, Option<usize>)>,
}

impl Planted {
    /// The number of a new lesion, for its bodies.
    pub fn lesion(&mut self, lesion: Lesion) -> usize {
        self.lesions.push(lesion);
        self.lesions.len() - 1
    }

    /// Adds a body without a lesion.
    pub fn put(&mut self, body: Box<dyn Body>, layer: Layer) {
        self.bodies.push(Placed { body, layer, lesion: None });
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

/// Plants the bodies of every finding that `options` or the seed require, in the order in which they are painted.
/// [`pleura::plant`] has filled the pleural spaces before.
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
