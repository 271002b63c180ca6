//! Coronary calcium in slices thicker than those its protocols ask for: an ordinal estimate, or a reason why not even that.
//!
//! Such slices show calcium as a few dim voxels, and the network's regions on its finer grid lose them. So bright voxels come first;
//! those that the network takes for coronary calcium count, if they lie in the place of the heart, in its fat, and away from the air
//! of lungs and bronchi. The limits were chosen on phantoms and on three real scans (decision 0052).

use crate::acquisition::Acquisition;
use crate::cast::{ceil_index, round_hu};
use crate::findings::{Mask, Region};
use crate::grid::Grid;
use crate::morphology;
use crate::postprocess::components;
use crate::postprocess::patches::ONE;
use crate::reason::Reason;
use crate::task::ct_chest::gates::{self, Noise, Series};
use crate::task::ct_chest::plan::Channel;
use crate::task::ct_chest::{Scan, emphysema, places, regions};
use crate::task::ct_quality;
use crate::volume::Volume;

/// Slices up to this are those of the protocols, mm.
const PROTOCOL_MM: f64 = 3.0;
/// Blood without contrast medium, HU.
const BLOOD_HU: f64 = 40.0;
/// Calcium is brighter than blood by this many standard deviations of the noise: noise in liver and heart reaches four.
const ABOVE_NOISE: f64 = 4.5;
/// Beyond this calcium that can be seen in thick slices would be as dim as noise, HU.
const MOST_NOISE_HU: f64 = 25.0;
/// Less than this, measured in thick slices, is noise or an edge, mm^3.
const LEAST_MM3: f64 = 8.0;
/// The neighbourhood that is looked at, in the slice, mm from the bright voxels.
const NEAR_MM: f64 = 1.5;
const FAR_MM: f64 = 5.0;
/// Half a voxel of the network's grid, and blur: so far from bright voxels its probability is theirs, mm.
const ANSWER_MM: f64 = 2.0;
const FAT_HU: std::ops::RangeInclusive<i16> = -150..=-20;
const AIR_HU: i16 = -300;
/// Brighter than any calcium in such slices, HU, and how much of it in the heart's place is metal, ml.
const METAL_HU: i16 = 2000;
const METAL_ML: f64 = 0.05;

pub fn is_thick(slice_mm: f64) -> bool {
    slice_mm > PROTOCOL_MM + 0.01
}

/// By what a score of thick slices is multiplied before it is graded: they show less of the same calcium. 1 at 3 mm, 4 at 5 mm.
pub fn lost(slice_mm: f64) -> f64 {
    1.0 + 1.5 * (slice_mm - PROTOCOL_MM).max(0.0)
}

/// Why there is no estimate; `None` when there may be one, and always in slices of the protocols.
pub fn closed(scan: &Scan<'_>, blood_hu: Option<f64>) -> Option<Reason> {
    let [x, y, mm] = scan.volume.geometry.spacing_mm;
    if !is_thick(scan.acquisition.slice_mm(mm)) {
        return None;
    }
    let noise = emphysema::noise(scan.volume, scan.airway).map_or(Noise::Unknown, Noise::Measured);
    let texture = ct_quality::kernel(scan.volume);
    let acquisition = scan.acquisition;
    let series = Series { slice_spacing_mm: mm, pixel_mm: [x, y], noise, texture, acquisition };
    unfit(&series, blood_hu.is_some()).or_else(|| has_metal(scan).then_some(Reason::HeartMetal))
}

/// What header, blood and noise say against an estimate.
fn unfit(series: &Series, enhanced: bool) -> Option<Reason> {
    let Acquisition { contrast, .. } = series.acquisition;
    if *contrast == Some(true) || enhanced {
        return Some(Reason::ContrastGiven);
    }
    gates::not_soft(series).or(match series.noise {
        Noise::Measured(hu) if hu > MOST_NOISE_HU => Some(Reason::Noisy { hu, most_hu: MOST_NOISE_HU }),
        Noise::Unknown => Some(Reason::NoiseUnknown { most_hu: MOST_NOISE_HU }),
        Noise::Measured(_) | Noise::NotYet => None,
    })
}

/// What counts as bright, HU.
pub fn least_hu(calcium_hu: i16, noise_hu: Option<f64>) -> i16 {
    calcium_hu.max(round_hu(BLOOD_HU + ABOVE_NOISE * noise_hu.unwrap_or(0.0)))
}

/// Does what lies around bright voxels look like that of a coronary artery? Shares of the neighbourhood, 0 to 1. Fat is little around
/// calcium of valves and in noise; air is beside bronchi, nodes of the hilum and the edge of the lung.
fn beside_artery(fat: f64, air: f64) -> bool {
    fat >= 0.3 && air <= 0.3
}

/// The lesions, with the network's probability as confidence.
pub fn find(scan: &Scan<'_>, least_hu: i16) -> Vec<Region> {
    let mut found: Vec<Region> = bright(scan, least_hu)
        .into_iter()
        .filter(|mask| scan.places.holds(places::CORONARY, mask))
        .filter_map(|mask| judged(scan, mask))
        .collect();
    regions::number(&mut found);
    found
}

fn judged(scan: &Scan<'_>, mask: Mask) -> Option<Region> {
    let around = Around::of(scan.volume, &mask);
    let (fat, air) = around.shares(scan.volume);
    if !beside_artery(fat, air) {
        return None;
    }
    let near = around.within(ANSWER_MM);
    let (_, thresholds) = scan.answer.channel(Channel::CoronaryCalcification)?;
    let best = scan.answer.best_in(Channel::CoronaryCalcification, &near, scan.volume.geometry.dims);
    let is_sure = best >= regions::level(thresholds.confidence);
    is_sure.then(|| regions::measure(scan.volume, mask, f64::from(best) / f64::from(ONE))).flatten()
}

/// Connected voxels of at least `least_hu` in and around the heart's place.
fn bright(scan: &Scan<'_>, least_hu: i16) -> Vec<Mask> {
    let volume = scan.volume;
    let seeds = in_heart(scan, least_hu);
    let Some(seeded) = painted(&seeds) else { return Vec::new() };
    let Mask { origin: low, size, .. } = seeded.widened(far(volume), volume.geometry.dims);
    let grid = Grid { dims: size, spacing_mm: volume.geometry.spacing_mm };
    let mut mask = vec![0u8; grid.len()];
    for (line, row) in mask.chunks_mut(size[0]).enumerate() {
        let start = [low[0], low[1] + line % size[1], low[2] + line / size[1]];
        row.iter_mut().zip(volume.row(start, size[0])).for_each(|(m, hu)| *m = u8::from(*hu >= least_hu));
    }
    let found = components::label(&grid, &mask);
    let enough = |label: &u32| *label != 0 && found.size(*label) as f64 * grid.voxel_ml() * 1000.0 >= LEAST_MM3;
    let mut voxels = vec![Vec::new(); found.sizes.len()];
    for (i, label) in found.labels.iter().enumerate().filter(|(_, label)| enough(label)) {
        let at = grid.at(i);
        voxels[*label as usize - 1].push([0, 1, 2].map(|a| low[a] + at[a]));
    }
    voxels.iter().filter_map(|own| painted(own)).collect()
}

/// Voxels along each axis to the end of the neighbourhood, which lies in the slice.
fn far(volume: &Volume) -> [usize; 3] {
    let [sx, sy, _] = volume.geometry.spacing_mm;
    [ceil_index(FAR_MM / sx), ceil_index(FAR_MM / sy), 0]
}

/// Voxels of at least `least_hu` in the heart's place.
fn in_heart(scan: &Scan<'_>, least_hu: i16) -> Vec<[usize; 3]> {
    let [nx, ny, nz] = scan.volume.geometry.dims;
    let mut found = Vec::new();
    for (z, y) in (0..nz).flat_map(|z| (0..ny).map(move |y| (z, y))) {
        let row = scan.volume.row([0, y, z], nx);
        let bright = row.iter().enumerate().filter(|(_, hu)| **hu >= least_hu).map(|(x, _)| [x, y, z]);
        found.extend(bright.filter(|at| scan.places.at(*at) & places::HEART != 0));
    }
    found
}

fn has_metal(scan: &Scan<'_>) -> bool {
    in_heart(scan, METAL_HU).len() as f64 * scan.volume.geometry.voxel_ml() > METAL_ML
}

fn bounds(voxels: &[[usize; 3]]) -> Option<([usize; 3], [usize; 3])> {
    let first = *voxels.first()?;
    let both = |a: usize| voxels.iter().fold((first[a], first[a]), |(low, high), v| (low.min(v[a]), high.max(v[a])));
    let ends = [0, 1, 2].map(both);
    Some((ends.map(|end| end.0), ends.map(|end| end.1)))
}

fn painted(voxels: &[[usize; 3]]) -> Option<Mask> {
    let (low, high) = bounds(voxels)?;
    let size = [0, 1, 2].map(|a| high[a] + 1 - low[a]);
    let mut mask = Mask { origin: low, size, voxels: vec![0; size.iter().product()] };
    for v in voxels {
        let [x, y, z] = [0, 1, 2].map(|a| v[a] - low[a]);
        mask.voxels[(z * size[1] + y) * size[0] + x] = 1;
    }
    Some(mask)
}

/// The slices of a lesion with what lies beside it in them.
struct Around {
    /// The box, empty.
    frame: Mask,
    /// From the lesion, in the slice, mm squared.
    distance: Vec<f32>,
}

impl Around {
    fn of(volume: &Volume, lesion: &Mask) -> Self {
        let [sx, sy, _] = volume.geometry.spacing_mm;
        let mut frame = lesion.widened(far(volume), volume.geometry.dims);
        frame.paint(lesion, 1);
        // What lies above and below is another slice.
        let grid = Grid { dims: frame.size, spacing_mm: [sx, sy, 100.0] };
        let distance = morphology::distance_squared(&grid, &frame.voxels, FAR_MM);
        frame.voxels.fill(0);
        Self { frame, distance }
    }

    /// The lesion and what is so near to it.
    fn within(&self, mm: f64) -> Mask {
        let voxels = self.distance.iter().map(|d| u8::from(f64::from(*d) <= mm * mm)).collect();
        Mask { voxels, ..self.frame.clone() }
    }

    /// Shares of fat and of air around the lesion, 0 to 1.
    fn shares(&self, volume: &Volume) -> (f64, f64) {
        let [mut all, mut fat, mut air] = [0usize; 3];
        let width = self.frame.size[0].max(1);
        for ((start, _), distance) in self.frame.rows().zip(self.distance.chunks(width)) {
            let around = distance.iter().map(|d| f64::from(*d)).map(|d| d > NEAR_MM * NEAR_MM && d <= FAR_MM * FAR_MM);
            for (hu, _) in volume.row(start, width).iter().zip(around).filter(|(_, around)| *around) {
                all += 1;
                fat += usize::from(FAT_HU.contains(hu));
                air += usize::from(*hu < AIR_HU);
            }
        }
        let share = |n: usize| n as f64 / all.max(1) as f64;
        (share(fat), share(air))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::ct_quality::Kernel;

    fn said(acquisition: &Acquisition, noise: Noise, texture: Option<Kernel>, enhanced: bool) -> Option<String> {
        let series = Series { slice_spacing_mm: 5.0, pixel_mm: [0.7; 2], noise, texture, acquisition };
        unfit(&series, enhanced).map(|why| why.to_string())
    }

    #[test]
    fn contrast_sharp_kernels_and_noise_close_the_estimate() {
        let soft = Acquisition { kernel: Some("B40f".into()), ..Acquisition::default() };
        let quiet = Noise::Measured(10.0);
        assert_eq!(said(&soft, quiet, None, false), None);
        let contrast = Some("contrast agent was given, package needs a series without".to_owned());
        assert_eq!(said(&soft, quiet, None, true), contrast, "the blood is bright");
        assert_eq!(said(&Acquisition { contrast: Some(true), ..soft.clone() }, quiet, None, false), contrast);
        let sharp = Acquisition { kernel: Some("L".into()), ..Acquisition::default() };
        assert_eq!(said(&sharp, quiet, None, false).unwrap(), "kernel L is sharp, package needs a soft one");
        assert!(said(&soft, quiet, Some(Kernel::Sharp), false).is_some());
        assert!(said(&Acquisition::default(), quiet, None, false).is_some(), "a kernel that nobody knows");
        let noisy = said(&soft, Noise::Measured(26.0), None, false);
        assert_eq!(noisy.unwrap(), "noise 26 HU, package needs <= 25 HU");
        assert!(said(&soft, Noise::Unknown, None, false).is_some());
    }

    #[test]
    fn noise_raises_what_counts_as_calcium() {
        let at = |noise| least_hu(130, noise);
        assert_eq!([None, Some(10.0), Some(20.0), Some(25.0)].map(at), [130, 130, 130, 153]);
    }

    #[test]
    fn valves_and_bronchi_are_not_beside_an_artery() {
        // Fat and air around the valve, the wall of a bronchus, a node of the hilum, and an artery of real scans.
        assert!(![(0.09, 0.0), (0.39, 0.34), (0.05, 0.17)].iter().any(|(fat, air)| beside_artery(*fat, *air)));
        assert!(beside_artery(0.39, 0.0));
    }

    #[test]
    fn thicker_slices_lose_more_of_a_score_and_those_of_the_protocol_nothing() {
        assert_eq!([2.5, 3.0, 4.0, 5.0].map(lost), [1.0, 1.0, 2.5, 4.0]);
        assert_eq!([2.5, 3.0, 3.005, 3.5].map(is_thick), [false, false, false, true]);
    }
}
