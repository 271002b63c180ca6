//! Pleural effusion: the fluid in the pleural space, by side.

use serde::Serialize;

use super::Scan;
use super::list::Figure;
use super::masks::{Masks, Placed};
use crate::findings::{Region, Side};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PleuralEffusion {
    #[serde(flatten)]
    pub region: Region,
    pub side: Side,
}

impl Masks for PleuralEffusion {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        self.region.placed_mut()
    }
}

/// The fluid of each side.
pub fn evaluate(scan: &mut Scan<'_>) -> Vec<PleuralEffusion> {
    let fluid = std::mem::take(&mut scan.fluid);
    fluid.into_iter().map(|(side, region)| PleuralEffusion { region, side }).collect()
}

pub fn figure(all: &[PleuralEffusion]) -> Figure {
    Figure::volume(all.iter().map(|one| &one.region))
}
