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
    let middles: Vec<f64> = lungs.iter().map(|l| regions::middle_x(volume, &l.mask)).collect();
    match (lungs, middles.as_slice()) {
        ([_, _], [a, b]) => {
            if region.centre_mm[0] < f64::midpoint(*a, *b) {
                Side::Right
            } else {
                Side::Left
            }
        }
        // What lies beyond the only lung is in the other half of the chest.
        ([only], _) => {
            let [x, ..] = region.centre_mm;
            let beyond = match only.side {
                Side::Right => x > only.box_mm[1][0],
                Side::Left => x < only.box_mm[0][0],
            };
            match (only.side, beyond) {
                (Side::Right, true) | (Side::Left, false) => Side::Left,
                (Side::Left, true) | (Side::Right, false) => Side::Right,
            }
        }
        _ => regions::side(volume, lungs, region),
    }
}
