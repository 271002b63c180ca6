//! Pneumothorax: the air in the pleural space, and its share of the hemithorax.

use serde::Serialize;

use super::Scan;
use super::list::Figure;
use super::masks::{Masks, Placed};
use crate::findings::{Region, Side};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pneumothorax {
    #[serde(flatten)]
    pub region: Region,
    pub side: Side,
    /// Of the volume of the hemithorax (lung, effusion and air together).
    pub percent: f64,
}

impl Masks for Pneumothorax {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        self.region.placed_mut()
    }
}

/// The air of each side, and its percentage of the hemithorax: lung, fluid and air together, by volume (Collins et al.,
/// AJR 165 (1995) 1127-1130 measure pneumothorax so on CT). The lungs of `scan` are without the air.
pub fn evaluate(scan: &mut Scan<'_>) -> Vec<Pneumothorax> {
    let air = std::mem::take(&mut scan.air);
    let percent = |side: Side, own: &Region| {
        let lung: f64 = scan.lungs.iter().filter(|l| l.side == side).map(|l| l.volume_ml).sum();
        let of_side = |all: &[(Side, f64)]| all.iter().filter(|(s, _)| *s == side).map(|(_, ml)| ml).sum::<f64>();
        // The network may mark only a part of the air that takes the place of a lung.
        let air = own.volume_ml.max(of_side(&scan.space_ml));
        100.0 * own.volume_ml / (lung + of_side(&scan.fluid_ml) + air)
    };
    air.into_iter().map(|(side, region)| Pneumothorax { percent: percent(side, &region), region, side }).collect()
}

pub fn figure(all: &[Pneumothorax]) -> Figure {
    Figure::volume(all.iter().map(|one| &one.region))
}
