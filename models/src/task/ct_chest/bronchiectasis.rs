//! Bronchiectasis: widened bronchi, by side and lobe.

use super::network::Answer;
use super::plan::Channel;
use super::regions;
use crate::findings::{Bronchiectasis, Lobe, Lung};
use crate::volume::Volume;

pub fn find(volume: &Volume, answer: &Answer, lungs: &[Lung], lobes: &[Lobe]) -> Vec<Bronchiectasis> {
    let found = regions::by_volume(volume, answer, Channel::Bronchiectasis);
    found
        .into_iter()
        .map(|region| {
            let lobe = regions::lobe(lobes, &region.mask);
            let side = lobe.map_or_else(|| regions::side(volume, lungs, &region), |l| l.side());
            Bronchiectasis { side, lobe, region }
        })
        .collect()
}
