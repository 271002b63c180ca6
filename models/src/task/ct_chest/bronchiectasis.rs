//! Bronchiectasis: widened bronchi, by side and lobe.

use serde::Serialize;

use super::Scan;
use super::list::Figure;
use super::masks::{Masks, Placed};
use super::network::Answer;
use super::places::{self, Places};
use super::plan::Channel;
use super::regions;
use crate::findings::{Lobe, LobeName, Lung, Region, Side};
use crate::volume::Volume;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bronchiectasis {
    #[serde(flatten)]
    pub region: Region,
    pub side: Side,
    pub lobe: Option<LobeName>,
}

impl Masks for Bronchiectasis {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        self.region.placed_mut()
    }
}

/// Widened bronchi of the whole scan.
pub fn evaluate(scan: &mut Scan<'_>) -> Vec<Bronchiectasis> {
    find(scan.volume, scan.answer, scan.lungs, scan.lobes, scan.places)
}

pub fn figure(all: &[Bronchiectasis]) -> Figure {
    Figure::volume(all.iter().map(|one| &one.region))
}

pub fn find(volume: &Volume, answer: &Answer, lungs: &[Lung], lobes: &[Lobe], places: &Places) -> Vec<Bronchiectasis> {
    let mut found = regions::by_volume(volume, answer, Channel::Bronchiectasis);
    places.keep(places::IN_LUNG, &mut found);
    regions::number(&mut found);
    found
        .into_iter()
        .map(|region| {
            let lobe = regions::lobe(lobes, &region.mask);
            let side = lobe.map_or_else(|| regions::side(volume, lungs, &region), |l| l.side());
            Bronchiectasis { side, lobe, region }
        })
        .collect()
}
