//! Fluid and air in the pleural space, one region a side.

use super::network::Answer;
use super::plan::Channel;
use super::regions;
use crate::findings::{Lung, Mask, Region, Side};
use crate::volume::Volume;

/// One region a side: what the network found there and `in_place` says lies where it may lie, taken together.
pub fn by_side(
    volume: &Volume,
    answer: &Answer,
    channel: Channel,
    lungs: &[Lung],
    in_place: &dyn Fn(&Mask) -> bool,
) -> Vec<(Side, Region)> {
    let (mut parts, thresholds) = regions::collect(volume, answer, channel);
    parts.retain(|part| in_place(&part.mask));
    let mut sides: Vec<(Side, Region)> = Vec::new();
    for part in parts {
        let side = space(volume, lungs, &part);
        let Some((_, whole)) = sides.iter_mut().find(|(s, _)| *s == side) else {
            sides.push((side, part));
            continue;
        };
        let mut mask = whole.mask.covering(&[&part.mask]);
        mask.paint(&part.mask, 1);
        let confidence = whole.confidence.max(part.confidence);
        if let Some(joined) = regions::measure(volume, mask, confidence) {
            *whole = joined;
        }
    }
    sides.retain(|(_, r)| r.volume_ml >= thresholds.min_size);
    sides.sort_by(|(_, a), (_, b)| b.confidence.total_cmp(&a.confidence).then(b.volume_ml.total_cmp(&a.volume_ml)));
    for (number, (_, region)) in (1..).zip(&mut sides) {
        region.number = number;
    }
    sides
}

/// The pleural space reaches around its lung: the middle of the region decides, not what it touches.
fn space(volume: &Volume, lungs: &[Lung], region: &Region) -> Side {
    let [x, ..] = region.centre_mm;
    // Lungs come before the air in the place of one: of a side that has both, the lung says where its middle is.
    let of = |side: Side| lungs.iter().find(|l| l.side == side);
    let far = |side: Side, edge: usize| lungs.iter().filter(move |l| l.side == side).map(move |l| l.box_mm[edge][0]);
    match (of(Side::Right), of(Side::Left)) {
        (Some(right), Some(left)) => {
            let middle = |lung: &Lung| regions::middle_x(volume, &lung.mask);
            if x < f64::midpoint(middle(right), middle(left)) { Side::Right } else { Side::Left }
        }
        // What lies beyond all that is seen of the only side is in the other half of the chest.
        (Some(_), None) => {
            if x > far(Side::Right, 1).fold(f64::MIN, f64::max) {
                Side::Left
            } else {
                Side::Right
            }
        }
        (None, Some(_)) => {
            if x < far(Side::Left, 0).fold(f64::MAX, f64::min) {
                Side::Right
            } else {
                Side::Left
            }
        }
        (None, None) => regions::side(volume, lungs, region),
    }
}
