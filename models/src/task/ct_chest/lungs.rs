//! The lungs as they are once opacities and air beside them are known: consolidated tissue is lung, the air of a
//! pneumothorax is not.

use crate::findings::{Lung, Mask, Region, Side};
use crate::task::lungs;
use crate::volume::Volume;

/// Lungs with `tissue` added to the side it lies on and `beside` taken away. Tissue wins.
pub fn corrected(volume: &Volume, found: Vec<Lung>, tissue: &[(Side, &Region)], beside: &[&Region]) -> Vec<Lung> {
    if tissue.is_empty() && beside.is_empty() {
        return found;
    }
    let correct = |lung: Lung| {
        let own: Vec<&Mask> = tissue.iter().filter(|(s, _)| *s == lung.side).map(|(_, r)| &r.mask).collect();
        let mut mask = lung.mask.covering(&own);
        beside.iter().for_each(|r| mask.paint(&r.mask, 0));
        own.iter().for_each(|m| mask.paint(m, 1));
        lungs::measure(volume, lung.side, mask)
    };
    found.into_iter().map(correct).collect()
}
