//! A second look at what is doubtful. What the network says of one place depends on where the place lies in its patch and between
//! its voxels: on real scans the best probability of the same rib ran from 0.96 to 0.995 when the scan was moved by a few pixels,
//! that of phantoms' lesions stayed. So doubtful places are shown to the network again, moved and mirrored, and the mean
//! of all looks counts (test-time augmentation, e.g. Wang et al., Neurocomputing 338, 2019, where it is needed). Pure.

use std::cmp::Reverse;

use super::regions::level;
use crate::cast::{floor_index, round_u16};
use crate::grid::Grid;
use crate::postprocess::patches::ONE;
use crate::preprocess::resample::{self, Tap};
use crate::preprocess::window;

/// One way to show a place to the network.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Left and right are exchanged.
    mirrored: bool,
    /// Where the middle of the patch lies beside the place, voxels along x, y, z.
    beside: [i64; 3],
    /// And between the voxels, part of one.
    between: [f64; 3],
}

const fn look(mirrored: bool, beside: [i64; 3], between: [f64; 3]) -> Look {
    Look { mirrored, beside, between }
}

/// The looks after the first one; any will do that differ.
pub const MORE: [Look; 3] = [
    look(true, [9, -12, 5], [0.3, -0.2, 0.4]),
    look(false, [-14, 7, -10], [-0.4, 0.3, 0.2]),
    look(true, [-6, 13, 12], [0.1, -0.4, -0.3]),
];

/// Nobody needs to look again where the network is this sure: on a real scan what proved wrong never was.
const SURE: f32 = 0.9995;
/// Places of one channel lie at least this far apart, mm.
const APART_MM: f64 = 12.0;
/// How far from the place the best probability of a look may lie, voxels.
const REACH: usize = 2;
/// A place is seen well at least this far from the edge of a patch, voxels.
const INNER: usize = 20;

/// A doubtful place: the best probability around it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Index of the channel in the answer.
    pub channel: usize,
    pub at: [usize; 3],
    /// Of its component.
    label: u32,
    /// Best probability of every look, the first one's included.
    seen: Vec<f32>,
}

impl Place {
    fn mean(&self) -> f32 {
        self.seen.iter().sum::<f32>() / self.seen.len() as f32
    }
}

/// The doubtful places of one channel, the most probable first: at least one of each component, as far as it is doubtful, and others at
/// a distance. `labels` numbers the components of what is marked, 0 is none.
pub fn places(grid: &Grid, channel: usize, again: f32, probability: &[u16], labels: &[u32]) -> Vec<Place> {
    let floor = level(again);
    let mut marked: Vec<usize> = (0..probability.len()).filter(|i| probability[*i] >= floor).collect();
    marked.sort_by_key(|i| (Reverse(probability[*i]), *i));
    let mut tops: Vec<(u32, [usize; 3])> = Vec::new();
    let mut found = Vec::new();
    for i in marked {
        let at = grid.at(i);
        let label = labels[i];
        if tops.iter().any(|(of, top)| *of == label && near(grid, *top, at)) {
            continue;
        }
        tops.push((label, at));
        if probability[i] < level(SURE) {
            found.push(Place { channel, at, label, seen: vec![f32::from(probability[i]) / f32::from(ONE)] });
        }
    }
    found
}

fn near(grid: &Grid, one: [usize; 3], other: [usize; 3]) -> bool {
    let away = |a: usize| one[a].abs_diff(other[a]) as f64 * grid.spacing_mm[a];
    (0..3).map(|a| away(a).powi(2)).sum::<f64>() < APART_MM.powi(2)
}

/// A patch of a look, and the indices of the places that are seen well in it.
#[derive(Debug, PartialEq)]
pub struct Patch {
    pub origin: [usize; 3],
    pub places: Vec<usize>,
}

/// Patches that show every place once. Neighbours share one.
pub fn patches(grid: &Grid, size: [usize; 3], look: &Look, places: &[Place]) -> Vec<Patch> {
    let mut left: Vec<usize> = (0..places.len()).collect();
    let mut patches = Vec::new();
    while let Some(first) = left.first() {
        let origin = [0, 1, 2].map(|a| {
            let last = grid.dims[a].saturating_sub(size[a]);
            let wanted = (places[*first].at[a] as i64 + look.beside[a] - size[a] as i64 / 2).max(0);
            usize::try_from(wanted).map_or(last, |wanted| wanted.min(last))
        });
        // Where the grid ends there is nothing more to see.
        let well = |at: [usize; 3]| {
            (0..3).all(|a| {
                let (low, end) = (origin[a], origin[a] + size[a]);
                let low = if low == 0 { 0 } else { low + INNER.min(size[a] / 4) };
                let end = if end >= grid.dims[a] { end } else { end - INNER.min(size[a] / 4) };
                (low..end).contains(&at[a])
            })
        };
        let (mut shown, rest): (Vec<usize>, Vec<usize>) = left.iter().partition(|place| well(places[**place].at));
        if shown.is_empty() {
            shown.push(*first);
        }
        left = rest.into_iter().filter(|place| !shown.contains(place)).collect();
        patches.push(Patch { origin, places: shown });
    }
    patches
}

/// Appends the HU of the patch as this look shows it, x fastest, clipped to `window` and scaled to 0..1.
pub fn cut(
    grid: &Grid,
    hu: &[i16],
    window: [f32; 2],
    look: &Look,
    origin: [usize; 3],
    size: [usize; 3],
    part: &mut Vec<f32>,
) {
    let taps = [0, 1, 2].map(|a| {
        let coordinates: Vec<f64> = (0..size[a]).map(|i| (origin[a] + i) as f64 + look.between[a]).collect();
        resample::taps(&coordinates, grid.dims[a])
    });
    let along = |row: usize, x: &Tap| f32::from(hu[row + x.0]) * (1.0 - x.2) + f32::from(hu[row + x.1]) * x.2;
    for z in &taps[2] {
        for y in &taps[1] {
            let rows = [(z.0, y.0), (z.0, y.1), (z.1, y.0), (z.1, y.1)].map(|(z, y)| grid.index([0, y, z]));
            let value = |x: &Tap| {
                let [a, b, c, d] = rows.map(|row| along(row, x));
                let (low, high) = (a * (1.0 - y.2) + b * y.2, c * (1.0 - y.2) + d * y.2);
                window::scaled(low * (1.0 - z.2) + high * z.2, window)
            };
            if look.mirrored {
                part.extend(taps[0].iter().rev().map(value));
            } else {
                part.extend(taps[0].iter().map(value));
            }
        }
    }
}

/// Notes what a look says of the place. `probability` is the place's channel of the patch at `origin`, x fastest.
pub fn note(place: &mut Place, look: &Look, origin: [usize; 3], size: [usize; 3], probability: &[f32]) {
    let patch = Grid { dims: size, spacing_mm: [1.0; 3] };
    let middle = [0, 1, 2].map(|a| {
        let at = place.at[a].saturating_sub(origin[a]).min(size[a] - 1);
        if a == 0 && look.mirrored { size[0] - 1 - at } else { at }
    });
    let range = |a: usize| middle[a].saturating_sub(REACH)..=(middle[a] + REACH).min(size[a] - 1);
    let mut best = 0.0f32;
    for z in range(2) {
        for y in range(1) {
            for x in range(0) {
                best = best.max(probability[patch.index([x, y, z])]);
            }
        }
    }
    place.seen.push(best.clamp(0.0, 1.0));
}

/// Around the place, in its component, no probability is above the mean of all looks, and at the place it is that mean; but none falls
/// below `mask`, so that no outline changes: what is doubtful at one place may be part of a lesion that is sure at another.
pub fn settle(grid: &Grid, place: &Place, mask: f32, labels: &[u32], probability: &mut [u16]) {
    let mean = round_u16(place.mean().max(mask) * f32::from(ONE));
    let reach = [0, 1, 2].map(|a| floor_index(APART_MM / grid.spacing_mm[a]));
    let range = |a: usize| place.at[a].saturating_sub(reach[a])..=(place.at[a] + reach[a]).min(grid.dims[a] - 1);
    for z in range(2) {
        for y in range(1) {
            for x in range(0) {
                let i = grid.index([x, y, z]);
                if labels[i] == place.label && near(grid, place.at, [x, y, z]) {
                    probability[i] = probability[i].min(mean);
                }
            }
        }
    }
    probability[grid.index(place.at)] = mean;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const SIZE: [usize; 3] = [64, 64, 64];

    fn grid(dims: [usize; 3]) -> Grid {
        Grid { dims, spacing_mm: [1.5; 3] }
    }

    fn filled(grid: &Grid, value: f32, at: &[([usize; 3], f32)]) -> Vec<u16> {
        let mut probability = vec![level(value); grid.len()];
        at.iter().for_each(|(at, value)| probability[grid.index(*at)] = level(*value));
        probability
    }

    #[test]
    fn doubtful_places_lie_apart_and_what_is_sure_or_unlikely_is_none() {
        let grid = grid([80, 70, 64]);
        let tops = [([10, 10, 10], 0.93), ([12, 10, 10], 0.92), ([40, 40, 40], 0.999_9), ([41, 40, 40], 0.95)];
        let probability = filled(&grid, 0.1, &[&tops[..], &[([60, 60, 60], 0.84)]].concat());
        let at = |again, labels: &[u32]| -> Vec<[usize; 3]> {
            places(&grid, 0, again, &probability, labels).iter().map(|place| place.at).collect()
        };
        let one = vec![1; grid.len()];
        assert_eq!(at(0.85, &one), [[10, 10, 10]], "one place for two voxels, none beside what is sure");
        assert_eq!(at(0.8, &one), [[10, 10, 10], [60, 60, 60]]);
        let mut two = one.clone();
        two[grid.index([41, 40, 40])] = 2;
        assert_eq!(at(0.85, &two), [[41, 40, 40], [10, 10, 10]], "beside what is sure lies another one");
    }

    #[test]
    fn a_look_shows_the_place_where_note_looks_for_it() {
        // A network that gives back what it is shown: the place is found again in every look.
        let grid = grid([100, 90, 80]);
        let place = Place { channel: 0, at: [70, 30, 50], label: 1, seen: vec![0.9] };
        let mut hu = vec![0i16; grid.len()];
        for z in 49..=51 {
            for y in 29..=31 {
                for x in 69..=71 {
                    hu[grid.index([x, y, z])] = 1000;
                }
            }
        }
        for look in &MORE {
            let mut place = place.clone();
            let [patch] = &patches(&grid, SIZE, look, std::slice::from_ref(&place))[..] else { panic!() };
            let mut shown = Vec::new();
            cut(&grid, &hu, [0.0, 1000.0], look, patch.origin, SIZE, &mut shown);
            assert_eq!(shown.len(), SIZE.iter().product::<usize>());
            let shares = shown.iter().sum::<f32>();
            assert!((shares - 27.0).abs() < 1e-2, "nothing is lost between the voxels: {shares}");
            let elsewhere = shown.iter().filter(|value| **value > 0.99).count();
            note(&mut place, look, patch.origin, SIZE, &shown);
            assert!(place.seen[1] > 0.99 && elsewhere < 27, "{look:?}: {:?}", place.seen);
        }
    }

    #[test]
    fn the_mean_of_all_looks_counts_around_the_place_and_nowhere_else() {
        let grid = grid([64, 64, 64]);
        let mut probability = filled(&grid, 0.9, &[([30, 30, 30], 0.96)]);
        let mut place = Place { channel: 0, at: [30, 30, 30], label: 1, seen: vec![0.96, 0.8, 0.8, 0.8] };
        let mut labels = vec![1; grid.len()];
        labels[grid.index([30, 34, 30])] = 2;
        settle(&grid, &place, 0.4, &labels, &mut probability);
        let at = |probability: &[u16], at| f32::from(probability[grid.index(at)]) / f32::from(ONE);
        assert!((at(&probability, [30, 30, 30]) - 0.84).abs() < 1e-4);
        assert!((at(&probability, [35, 30, 30]) - 0.84).abs() < 1e-4, "not above the mean");
        assert!((at(&probability, [30, 34, 30]) - 0.9).abs() < 1e-4, "of another one");
        assert!((at(&probability, [39, 30, 30]) - 0.9).abs() < 1e-4, "too far away");
        place.seen = vec![0.96, 1.0, 1.0, 1.0];
        settle(&grid, &place, 0.4, &labels, &mut probability);
        assert!((at(&probability, [30, 30, 30]) - 0.99).abs() < 1e-4, "a place may gain, too");
        place.seen = vec![0.96, 0.1, 0.1, 0.1];
        settle(&grid, &place, 0.4, &labels, &mut probability);
        assert!((at(&probability, [33, 30, 30]) - 0.4).abs() < 1e-4, "still part of what is marked");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_place_is_shown_once_by_every_look(
            dims in [64usize..150, 64usize..150, 64usize..150],
            at in proptest::collection::vec([0usize..1000, 0usize..1000, 0usize..1000], 0..40),
        ) {
            let grid = grid(dims);
            let place = |at: [usize; 3]| {
                let at = [0, 1, 2].map(|a| at[a] % dims[a]);
                Place { channel: 0, at, label: 1, seen: Vec::new() }
            };
            let places: Vec<Place> = at.into_iter().map(place).collect();
            for look in &MORE {
                let patches = patches(&grid, SIZE, look, &places);
                let mut shown: Vec<usize> = patches.iter().flat_map(|patch| patch.places.clone()).collect();
                shown.sort_unstable();
                prop_assert_eq!(shown, (0..places.len()).collect::<Vec<_>>());
                for patch in &patches {
                    prop_assert!((0..3).all(|a| patch.origin[a] + SIZE[a] <= dims[a]));
                    for place in &patch.places {
                        let at = places[*place].at;
                        prop_assert!((0..3).all(|a| (patch.origin[a]..patch.origin[a] + SIZE[a]).contains(&at[a])));
                    }
                }
            }
        }
    }
}
