//! Coronary artery calcium: Agatston score where the protocol allows it, an ordinal grade where it does not.

mod thick;

use serde::Serialize;

use super::Scan;
use super::emphysema;
use super::gates;
use super::list::Figure;
use super::masks::{Masks, Placed};
use super::network::{Answer, Prepared};
use super::places::{self, Places};
use super::plan::Channel;
use super::regions;
use crate::acquisition::Acquisition;
use crate::cast::{ceil_index, round_hu};
use crate::findings::{Mask, Region};
use crate::grid::Grid;
use crate::morphology;
use crate::postprocess::components;
use crate::reason::{Reason, Reasons};
use crate::volume::Volume;

/// What may be said about coronary calcium under the protocol at hand.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CalciumScore {
    /// Agatston score, a whole number.
    Agatston(f64),
    /// 0 none, 1 mild, 2 moderate, 3 severe, and why it is no Agatston score.
    Ordinal { grade: u8, reason: Reasons },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoronaryCalcium {
    pub score: CalciumScore,
    pub lesions: Vec<Region>,
}

impl Masks for CoronaryCalcium {
    fn placed_mut(&mut self) -> Vec<Placed<'_>> {
        self.lesions.placed_mut()
    }
}

/// Agatston et al., "Quantification of coronary artery calcium using ultrafast computed tomography", J Am Coll Cardiol
/// 15 (1990) 827-832: lesions are voxels of at least 130 HU, in areas of at least 1 mm^2.
const CALCIUM_HU: i16 = 130;
const AREA_MM2: f64 = 1.0;
/// Slice spacing of that paper, mm; other spacings are scaled to it, so that thinner slices do not count twice.
const REFERENCE_MM: f64 = 3.0;
/// Great vessels brighter than this hold contrast medium, HU; blood without has about 40.
const ENHANCED_HU: f64 = 100.0;
/// Calcium in enhanced blood is brighter than it by this many standard deviations of the noise.
const ABOVE_BLOOD: f64 = 3.0;
/// Edge of the blocks that blood is measured in, voxels of the network's grid; noise averages out.
const BLOCK: usize = 4;
/// Less enhanced blood than this is none, ml.
const BLOOD_ML: f64 = 10.0;
/// Around the network's region within which calcium may go on, mm: blur of its edge.
const REACH_MM: f64 = 2.0;

/// Coronary calcium of the whole scan.
pub fn evaluate(scan: &mut Scan<'_>) -> CoronaryCalcium {
    let noise = emphysema::noise(scan.volume, scan.airway);
    let slice_mm = scan.acquisition.slice_mm(scan.volume.geometry.spacing_mm[2]);
    if thick::is_thick(slice_mm) {
        let mut lesions = thick::find(scan, thick::least_hu(CALCIUM_HU, noise));
        lesions.retain(|lesion| agatston(scan.volume, std::slice::from_ref(lesion)) > 0.0);
        regions::number(&mut lesions);
        let reason = forbids_agatston(scan.volume, scan.acquisition, false).unwrap_or(Reasons(Vec::new()));
        let grade = grade(agatston(scan.volume, &lesions) * thick::lost(slice_mm));
        return CoronaryCalcium { score: CalciumScore::Ordinal { grade, reason }, lesions };
    }
    find(scan.volume, scan.answer, scan.acquisition, noise, scan.places)
}

/// Why not even an estimate can be given; `None` when there may be one.
pub fn closed(scan: &Scan<'_>) -> Option<Reason> {
    thick::closed(scan, blood_hu(&scan.answer.prepared))
}

/// Why that nothing was found says nothing; `None` when it does. In enhanced blood plaques that are no brighter are missed.
pub fn cannot_be_absent(calcium: &CoronaryCalcium) -> Option<Reason> {
    let CalciumScore::Ordinal { reason, .. } = &calcium.score else { return None };
    (!is_found(calcium) && reason.0.contains(&Reason::AgatstonContrast)).then_some(Reason::ContrastGiven)
}

pub fn figure(calcium: &CoronaryCalcium) -> Figure {
    let score = match &calcium.score {
        CalciumScore::Agatston(score) => *score,
        CalciumScore::Ordinal { grade, .. } => f64::from(*grade),
    };
    Figure { count: Some(calcium.lesions.len()), number: Some(score) }
}

pub fn is_found(calcium: &CoronaryCalcium) -> bool {
    let positive = match &calcium.score {
        CalciumScore::Agatston(score) => *score > 0.0,
        CalciumScore::Ordinal { grade, .. } => *grade > 0,
    };
    positive || !calcium.lesions.is_empty()
}

/// `noise_hu`: standard deviation of the scan's noise. A region of the network counts when it is large enough as a region, and
/// when it holds calcium by Agatston's definition.
pub fn find(
    volume: &Volume,
    answer: &Answer,
    acquisition: &Acquisition,
    noise_hu: Option<f64>,
    places: &Places,
) -> CoronaryCalcium {
    let (mut found, thresholds) = regions::collect(volume, answer, Channel::CoronaryCalcification);
    places.keep(places::CORONARY, &mut found);
    let blood_hu = blood_hu(&answer.prepared);
    let least_hu = least_hu(blood_hu, noise_hu);
    let mut lesions: Vec<Region> = found
        .into_iter()
        .filter(|region| region.volume_ml >= thresholds.min_size)
        .filter_map(|region| regions::measure(volume, calcium(volume, &region, least_hu), region.confidence))
        .filter(|lesion| agatston(volume, std::slice::from_ref(lesion)) > 0.0)
        .collect();
    regions::number(&mut lesions);
    let agatston = agatston(volume, &lesions);
    let score = match forbids_agatston(volume, acquisition, blood_hu.is_some()) {
        None => CalciumScore::Agatston(printed(agatston)),
        Some(reason) => CalciumScore::Ordinal { grade: grade(agatston), reason },
    };
    CoronaryCalcium { score, lesions }
}

/// What counts as calcium, HU: 130; in enhanced blood more than the blood. (A fixed 350 HU is customary there: Hong et al.,
/// Radiology 223 (2002) 474-480; here blood is measured, as it is not equally bright in every phase.)
fn least_hu(blood_hu: Option<f64>, noise_hu: Option<f64>) -> i16 {
    let above = blood_hu.map_or(0.0, |blood| blood + ABOVE_BLOOD * noise_hu.unwrap_or(0.0));
    CALCIUM_HU.max(round_hu(above))
}

/// Attenuation of enhanced blood in heart and great vessels, HU: the brightest tenth of what is bright and thick between the
/// lungs, in their front half, where there is no spine. `None` without contrast medium.
fn blood_hu(prepared: &Prepared) -> Option<f64> {
    let grid = &prepared.target.grid;
    let [nx, ny, nz] = grid.dims.map(|n| n / BLOCK);
    let blocks = Grid { dims: [nx, ny, nz], spacing_mm: grid.spacing_mm.map(|s| s * BLOCK as f64) };
    let [width, depth, _] = grid.dims;
    let inside = |y: usize| prepared.lungs.chunks(width).skip(y).step_by(depth).any(|row| row.contains(&1));
    let front = (0..depth).find(|y| inside(*y))?;
    let back = (0..depth).rev().find(|y| inside(*y))?;
    let middle = (front + back) / 2;
    let mut sums = vec![(0i64, 0usize); blocks.len()];
    for (line, (row, hu)) in prepared.lungs.chunks(width).zip(prepared.hu.chunks(width)).enumerate() {
        let (y, z) = (line % depth, line / depth);
        let ends = row.iter().position(|v| *v != 0).zip(row.iter().rposition(|v| *v != 0));
        let Some((first, last)) = ends.filter(|_| y <= middle && y / BLOCK < ny && z / BLOCK < nz) else { continue };
        for x in (first..last.min(nx * BLOCK)).filter(|x| row[*x] == 0) {
            let (sum, count) = &mut sums[blocks.index([x / BLOCK, y / BLOCK, z / BLOCK])];
            *sum += i64::from(hu[x]);
            *count += 1;
        }
    }
    let mean = |i: usize| sums[i].0 as f64 / BLOCK.pow(3) as f64;
    let bright = |i: usize| sums[i].1 == BLOCK.pow(3) && mean(i) > ENHANCED_HU;
    let thick = |i: &usize| bright(*i) && blocks.neighbours(*i).all(bright);
    let mut blood: Vec<f64> = (0..blocks.len()).filter(thick).map(mean).collect();
    if (blood.len() as f64) * blocks.voxel_ml() < BLOOD_ML {
        return None;
    }
    blood.sort_by(|a, b| b.total_cmp(a));
    blood.truncate(blood.len().div_ceil(10));
    Some(blood.iter().sum::<f64>() / blood.len() as f64)
}

/// Voxels of at least `least_hu` in and next to the network's region.
fn calcium(volume: &Volume, region: &Region, least_hu: i16) -> Mask {
    let reach = volume.geometry.spacing_mm.map(|s| ceil_index(REACH_MM / s));
    let mut mask = region.mask.widened(reach, volume.geometry.dims);
    let width = mask.size[0];
    mask.paint(&region.mask, 1);
    let mut grid = regions::grid_of(volume, &mask);
    // The next slice is near, however thick the slices are.
    grid.spacing_mm = grid.spacing_mm.map(|s| s.min(REACH_MM));
    let near = morphology::dilate(&grid, &mask.voxels, REACH_MM);
    let rows: Vec<[usize; 3]> = mask.rows().map(|(start, _)| start).collect();
    for (line, start) in rows.into_iter().enumerate() {
        let hu = volume.row(start, width);
        let range = line * width..(line + 1) * width;
        for ((m, n), hu) in mask.voxels[range.clone()].iter_mut().zip(&near[range]).zip(hu) {
            *m = u8::from(*n != 0 && *hu >= least_hu);
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
    match printed(agatston) {
        a if a >= 300.0 => 3,
        a if a >= 100.0 => 2,
        a if a > 0.0 => 1,
        _ => 0,
    }
}

/// The score as reports print it: whole, and never 0 where there is calcium. Its class must not contradict what is read.
fn printed(agatston: f64) -> f64 {
    if agatston > 0.0 { agatston.round().max(1.0) } else { 0.0 }
}

/// Why the number would be no Agatston score; `None` when the protocol is the one it is defined for: without contrast,
/// ECG-gated, 120 kV, slices of 2.5 to 3 mm, soft kernel (SCCT guideline, Hecht et al., J Cardiovasc Comput Tomogr 11
/// (2017) 74-84).
/// `enhanced`: the blood is bright. Where the header does not say whether there was an agent (many leave it empty), this decides.
fn forbids_agatston(volume: &Volume, acquisition: &Acquisition, enhanced: bool) -> Option<Reasons> {
    let mm = volume.geometry.spacing_mm[2];
    let mut reasons = Vec::new();
    match acquisition.contrast {
        Some(true) => reasons.push(Reason::AgatstonContrast),
        _ if enhanced => reasons.push(Reason::AgatstonContrast),
        Some(false) | None => {}
    }
    match acquisition.cardiac_gated {
        Some(true) => {}
        Some(false) => reasons.push(Reason::AgatstonNotGated),
        None => reasons.push(Reason::AgatstonGatingUnknown),
    }
    match acquisition.kvp {
        Some(kv) if (kv - 120.0).abs() < 1.0 => {}
        Some(kv) => reasons.push(Reason::AgatstonVoltage { kv }),
        None => reasons.push(Reason::AgatstonVoltageUnknown),
    }
    if !(2.49..=3.01).contains(&mm) {
        reasons.push(Reason::AgatstonSpacing { mm });
    }
    // A score of thick slices that overlap has lost what a score of 3 mm would count.
    if let Some(mm) = acquisition.slice_thickness_mm.filter(|thick| *thick > 3.01 && *thick > mm) {
        reasons.push(Reason::AgatstonThickness { mm });
    }
    match acquisition.kernel.as_deref() {
        Some(kernel) if gates::sharp(kernel) => reasons.push(Reason::AgatstonKernel { kernel: kernel.to_owned() }),
        Some(_) => {}
        None => reasons.push(Reason::AgatstonKernelUnknown),
    }
    (!reasons.is_empty()).then_some(Reasons(reasons))
}
