//! Coronary artery calcium: Agatston score where the protocol allows it, an ordinal grade where it does not.

use super::gates;
use super::network::Answer;
use super::plan::Channel;
use super::regions;
use crate::acquisition::Acquisition;
use crate::findings::{CalciumScore, CoronaryCalcium, Mask, Region};
use crate::grid::Grid;
use crate::morphology;
use crate::postprocess::components;
use crate::volume::Volume;

/// Agatston et al., "Quantification of coronary artery calcium using ultrafast computed tomography", J Am Coll Cardiol
/// 15 (1990) 827-832: lesions are voxels of at least 130 HU, in areas of at least 1 mm^2.
const CALCIUM_HU: i16 = 130;
const AREA_MM2: f64 = 1.0;
/// Slice spacing of that paper, mm; other spacings are scaled to it, so that thinner slices do not count twice.
const REFERENCE_MM: f64 = 3.0;
/// Around the network's region within which calcium may go on, mm: blur of its edge.
const REACH_MM: f64 = 2.0;

pub fn find(volume: &Volume, answer: &Answer, acquisition: &Acquisition) -> CoronaryCalcium {
    let (found, thresholds) = regions::collect(volume, answer, Channel::CoronaryCalcification);
    let mut lesions: Vec<Region> = found
        .into_iter()
        .filter_map(|region| regions::measure(volume, calcium(volume, &region), region.confidence))
        .filter(|r| r.volume_ml >= thresholds.min_size)
        .collect();
    regions::number(&mut lesions);
    let agatston = agatston(volume, &lesions);
    let score = match forbids_agatston(volume, acquisition) {
        None => CalciumScore::Agatston(agatston),
        Some(reason) => CalciumScore::Ordinal { grade: grade(agatston), reason },
    };
    CoronaryCalcium { score, lesions }
}

/// Voxels of at least 130 HU in and next to the network's region.
fn calcium(volume: &Volume, region: &Region) -> Mask {
    let pad = volume.geometry.spacing_mm.map(|s| (REACH_MM / s).ceil() as usize);
    let dims = volume.geometry.dims;
    let low = [0, 1, 2].map(|a| region.mask.origin[a].saturating_sub(pad[a]));
    let size = [0, 1, 2].map(|a| (region.mask.origin[a] + region.mask.size[a] + pad[a]).min(dims[a]) - low[a]);
    let mut mask = Mask { origin: low, size, voxels: vec![0; size.iter().product()] };
    mask.paint(&region.mask, 1);
    let mut grid = regions::grid_of(volume, &mask);
    // The next slice is near, however thick the slices are.
    grid.spacing_mm = grid.spacing_mm.map(|s| s.min(REACH_MM));
    let near = morphology::dilate(&grid, &mask.voxels, REACH_MM);
    let rows: Vec<[usize; 3]> = mask.rows().map(|(start, _)| start).collect();
    for (line, start) in rows.into_iter().enumerate() {
        let hu = volume.row(start, size[0]);
        let range = line * size[0]..(line + 1) * size[0];
        for ((m, n), hu) in mask.voxels[range.clone()].iter_mut().zip(&near[range]).zip(hu) {
            *m = u8::from(*n != 0 && *hu >= CALCIUM_HU);
        }
    }
    mask
}

/// Sum over slices and areas of area (mm^2) times 1 to 4 by the area's peak (130, 200, 300, 400 HU), by the definition
/// of 1990; scaled by slice spacing / 3 mm.
fn agatston(volume: &Volume, lesions: &[Region]) -> f64 {
    let [sx, sy, sz] = volume.geometry.spacing_mm;
    // Two regions may have grown into the same calcium: it counts once.
    let Some((first, rest)) = lesions.split_first() else { return 0.0 };
    let others: Vec<&Mask> = rest.iter().map(|r| &r.mask).collect();
    let mut all = first.mask.covering(&others);
    others.iter().for_each(|m| all.paint(m, 1));
    let plane = all.size[0] * all.size[1];
    let grid = Grid { dims: [all.size[0], all.size[1], 1], spacing_mm: [sx, sy, sz] };
    let mut score = 0.0;
    for (z, slice) in all.voxels.chunks(plane.max(1)).enumerate() {
        let areas = components::label(&grid, slice);
        let mut peaks = vec![i16::MIN; areas.sizes.len()];
        for (i, label) in areas.labels.iter().enumerate().filter(|(_, l)| **l != 0) {
            let at = [all.origin[0] + i % all.size[0], all.origin[1] + i / all.size[0], all.origin[2] + z];
            let peak = &mut peaks[*label as usize - 1];
            *peak = (*peak).max(volume.row(at, 1)[0]);
        }
        for (peak, size) in peaks.into_iter().zip(areas.sizes) {
            let area = size as f64 * sx * sy;
            if area >= AREA_MM2 {
                score += area * weight(peak);
            }
        }
    }
    score * sz / REFERENCE_MM
}

fn weight(peak_hu: i16) -> f64 {
    match peak_hu {
        400.. => 4.0,
        300.. => 3.0,
        200.. => 2.0,
        _ => 1.0,
    }
}

/// Grade by the bands of CAC-DRS (Hecht et al., J Cardiovasc Comput Tomogr 12 (2018) 185-191): 0; 1 to 99; 100 to 299;
/// 300 and more.
fn grade(agatston: f64) -> u8 {
    match agatston {
        a if a >= 300.0 => 3,
        a if a >= 100.0 => 2,
        a if a > 0.0 => 1,
        _ => 0,
    }
}

/// Why the number would be no Agatston score; `None` when the protocol is the one it is defined for: without contrast,
/// ECG-gated, 120 kV, slices of 2.5 to 3 mm, soft kernel (SCCT guideline, Hecht et al., J Cardiovasc Comput Tomogr 11
/// (2017) 74-84).
fn forbids_agatston(volume: &Volume, acquisition: &Acquisition) -> Option<String> {
    let spacing = volume.geometry.spacing_mm[2];
    let mut reasons = Vec::new();
    match acquisition.contrast {
        Some(false) => {}
        Some(true) => reasons.push("contrast agent was given".to_owned()),
        None => reasons.push("it is not known whether contrast agent was given".to_owned()),
    }
    match acquisition.cardiac_gated {
        Some(true) => {}
        Some(false) => reasons.push("not gated to the heartbeat".to_owned()),
        None => reasons.push("it is not known whether the scan was gated".to_owned()),
    }
    match acquisition.kvp {
        Some(kvp) if (kvp - 120.0).abs() < 1.0 => {}
        Some(kvp) => reasons.push(format!("{kvp:.0} kV instead of 120 kV")),
        None => reasons.push("the tube voltage is not known".to_owned()),
    }
    if !(2.49..=3.01).contains(&spacing) {
        reasons.push(format!("slice spacing {spacing:.1} mm instead of 2.5 to 3 mm"));
    }
    match acquisition.kernel.as_deref() {
        Some(kernel) if gates::sharp(kernel) => reasons.push(format!("sharp kernel {kernel}")),
        Some(_) => {}
        None => reasons.push("the kernel is not known".to_owned()),
    }
    (!reasons.is_empty()).then(|| reasons.join(", "))
}
