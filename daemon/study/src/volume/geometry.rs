//! Orders the slices of a series and finds the regular grid that they form, or says why they do not form one.
//!
//! Only ImagePositionPatient and ImageOrientationPatient are used. The meaning or sign of SliceLocation,
//! SpacingBetweenSlices, SliceThickness and GantryDetectorTilt differs between vendors.

use std::cmp::Ordering;

use dicom::header::Header;
use models::Geometry;
use models::cast::round_index;
use models::refusal::{Fact, Gap, Place, Refusal, SlicePlane};

/// The fewest slices of a volume; fewer do not show whether the spacing is even.
pub const MIN_SLICES: usize = 3;

/// Slices closer than this along the normal are at the same position. Scanners write positions with one to three
/// decimals, and no CT reconstructs slices at increments below 0.1 mm.
pub const SAME_PLACE_MM: f64 = 0.05;

/// How far a slice may be from its position on the regular grid, along the normal. Positions with one decimal are wrong
/// by up to 0.05 mm, and so are the two ends that define the grid.
pub const POSITION_TOLERANCE_MM: f64 = 0.1;

/// The same limit for thick slices, whose positions are less exact, as a fraction of the spacing.
pub const POSITION_TOLERANCE_RELATIVE: f64 = 0.02;

/// Upper bound of both limits as a fraction of the spacing, so that an offset of half a slice is never accepted as
/// rounding.
pub const POSITION_TOLERANCE_MAX_RELATIVE: f64 = 0.25;

/// How far a slice may be displaced sideways because of rounded positions.
pub const SIDEWAYS_TOLERANCE_MM: f64 = 0.2;

/// Additional sideways displacement per millimetre of the stack, because of direction cosines with three decimals (0.06
/// degrees).
pub const SIDEWAYS_TOLERANCE_PER_MM: f64 = 0.001;

/// Gantries tilt by up to 30 degrees. What leans further was reformatted, or its positions are wrong.
pub const MOST_TILT_DEGREES: f64 = 30.0;

/// Cosine of the angle up to which two directions count as equal (0.1 degrees: half a pixel at the edge of a field of
/// 500 mm).
pub const SAME_DIRECTION_COSINE: f64 = 0.999_998_5;

/// How far an orientation may be from two perpendicular unit vectors, because of cosines with two decimals.
pub const ORIENTATION_TOLERANCE: f64 = 0.01;

/// Relative difference up to which pixel spacings count as equal: half a pixel over a matrix of 512.
pub const PIXEL_SPACING_TOLERANCE: f64 = 0.001;

/// Position, orientation and size of one slice according to its header.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SliceGeometry {
    /// Centre of the first pixel, millimetres, LPS; (0020,0032).
    pub position_mm: Option<[f64; 3]>,
    /// Direction cosines of increasing column index, then of increasing row index; (0020,0037).
    pub orientation: Option<[f64; 6]>,
    /// Millimetres between rows, then between columns; (0028,0030).
    pub pixel_spacing_mm: Option<[f64; 2]>,
    pub rows: u32,
    pub columns: u32,
    pub frame_of_reference_uid: Option<String>,
    /// Instance Number, or the frame number. It identifies the slice in messages and is never used to order slices.
    pub number: Option<i64>,
}

impl From<&Header> for SliceGeometry {
    /// For single-frame instances. Each frame of a multi-frame instance has its own position.
    fn from(header: &Header) -> Self {
        Self {
            position_mm: header.image_position,
            orientation: header.image_orientation,
            pixel_spacing_mm: header.pixel_spacing,
            rows: header.rows,
            columns: header.columns,
            frame_of_reference_uid: header.frame_of_reference_uid.clone(),
            number: header.instance_number,
        }
    }
}

/// Slices that form a regular grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Arranged {
    /// Indices into the input, in the order of increasing slice index.
    pub order: Vec<usize>,
    /// Of the upright grid, if the gantry was tilted.
    pub geometry: Geometry,
    pub tilt: Option<Tilt>,
    /// Slices of the grid, ascending, between which one is missing: they are not in `order`.
    pub filled: Vec<usize>,
    /// Remarks about the geometry that did not prevent a volume.
    pub notes: Vec<String>,
}

/// How the slices of a tilted gantry lie in the upright grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Tilt {
    pub degrees: f64,
    /// Of the slices as they are: the third axis leans.
    pub original: Geometry,
    /// Column and row of the grid at which each slice of the grid begins.
    pub shifts: Vec<[usize; 2]>,
}

/// Orders `slices` along their common normal and returns their grid. The slice axis is the cross product of row and
/// column direction, so the axes are right-handed; voxel (0, 0, 0) is in the first slice along it.
///
/// First come the checks whether the slices belong together, then the checks of their spacing, so that the reported
/// reason is the one to be solved first.
pub fn arrange(slices: &[SliceGeometry]) -> Result<Arranged, Refusal> {
    if slices.len() < MIN_SLICES {
        return Err(Refusal::TooFew { count: slices.len(), needed: MIN_SLICES });
    }
    let placed = placed(slices)?;
    one_frame_of_reference(slices)?;
    one_orientation(&placed)?;
    one_matrix(&placed)?;
    one_pixel_spacing(&placed)?;

    let stack = Stack::new(placed);
    stack.no_duplicates()?;
    let lean = stack.lean()?;
    let spacing = stack.evenly_spaced()?;
    Ok(stack.arranged(slices, spacing, lean, &[]))
}

/// A slice whose geometry is complete and finite.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) index: usize,
    pub(super) number: Option<i64>,
    pub(super) position: Vector,
    row: Vector,
    column: Vector,
    /// Between columns, between rows.
    pixel_spacing: [f64; 2],
    /// Columns, rows.
    matrix: [u32; 2],
}

pub(super) fn placed(slices: &[SliceGeometry]) -> Result<Vec<Placed>, Refusal> {
    type Lacks = fn(&SliceGeometry) -> bool;
    let lacking = |missing: Fact, lacks: Lacks| {
        let without: Vec<_> = slices.iter().filter(|s| lacks(s)).collect();
        let mut numbers: Vec<_> = without.iter().filter_map(|s| s.number).collect();
        numbers.sort_unstable();
        Refusal::NoGeometry { missing, count: without.len(), total: slices.len(), numbers }
    };
    let checks: [(Fact, Lacks); 4] = [
        (Fact::Position, |s| !s.position_mm.is_some_and(finite)),
        (Fact::Direction, |s| directions(s).is_none()),
        (Fact::PixelSpacing, |s| !s.pixel_spacing_mm.is_some_and(|p| finite(p) && p.iter().all(|v| *v > 0.0))),
        (Fact::Pixels, |s| s.rows == 0 || s.columns == 0),
    ];
    for (missing, lacks) in checks {
        if slices.iter().any(lacks) {
            return Err(lacking(missing, lacks));
        }
    }
    let complete = slices.iter().enumerate().filter_map(|(index, s)| {
        let [row, column] = directions(s)?;
        let [between_rows, between_columns] = s.pixel_spacing_mm?;
        Some(Placed {
            index,
            number: s.number,
            position: s.position_mm?,
            row,
            column,
            pixel_spacing: [between_columns, between_rows],
            matrix: [s.columns, s.rows],
        })
    });
    let mut placed: Vec<Placed> = complete.collect();
    // The result must not depend on the order of arrival, so neither may the slice with which the others are compared.
    placed.sort_by(|a, b| {
        let by_position = || (0..3).map(|i| a.position[i].total_cmp(&b.position[i])).find(|o| o.is_ne());
        a.number.cmp(&b.number).then_with(|| by_position().unwrap_or(Ordering::Equal))
    });
    Ok(placed)
}

/// Row and column direction, corrected to perpendicular unit vectors.
fn directions(slice: &SliceGeometry) -> Option<[Vector; 2]> {
    let o = slice.orientation.filter(|o| finite(*o))?;
    let (row, column) = ([o[0], o[1], o[2]], [o[3], o[4], o[5]]);
    let is_unit = |v: Vector| (norm(v) - 1.0).abs() <= ORIENTATION_TOLERANCE;
    if !is_unit(row) || !is_unit(column) || dot(row, column).abs() > ORIENTATION_TOLERANCE {
        return None;
    }
    let normal = unit(cross(row, column));
    let row = unit(row);
    Some([row, cross(normal, row)])
}

pub(super) fn one_frame_of_reference(slices: &[SliceGeometry]) -> Result<(), Refusal> {
    let mut uids: Vec<_> = slices.iter().map(|s| s.frame_of_reference_uid.as_deref()).collect();
    uids.sort_unstable();
    uids.dedup();
    if uids.len() > 1 { Err(Refusal::MixedFrameOfReference { count: uids.len() }) } else { Ok(()) }
}

fn one_orientation(placed: &[Placed]) -> Result<(), Refusal> {
    let Some(Odd { usual, other, count, numbers }) = odd_ones(placed, same_direction) else { return Ok(()) };
    let (usual, other) = (plane(&usual), plane(&other));
    Err(Refusal::MixedOrientation { count, total: placed.len(), usual, other, numbers })
}

fn one_matrix(placed: &[Placed]) -> Result<(), Refusal> {
    let Some(odd) = odd_ones(placed, same_matrix) else { return Ok(()) };
    let (usual, other) = (odd.usual.matrix, odd.other.matrix);
    Err(Refusal::MixedMatrix { count: odd.count, total: placed.len(), usual, other, numbers: odd.numbers })
}

fn one_pixel_spacing(placed: &[Placed]) -> Result<(), Refusal> {
    let Some(odd) = odd_ones(placed, same_pixels) else { return Ok(()) };
    let (usual, other) = (odd.usual.pixel_spacing, odd.other.pixel_spacing);
    Err(Refusal::MixedPixelSpacing { count: odd.count, total: placed.len(), usual, other, numbers: odd.numbers })
}

pub(super) fn same_direction(a: &Placed, b: &Placed) -> bool {
    dot(a.row, b.row) >= SAME_DIRECTION_COSINE && dot(a.column, b.column) >= SAME_DIRECTION_COSINE
}

pub(super) fn same_matrix(a: &Placed, b: &Placed) -> bool {
    a.matrix == b.matrix
}

pub(super) fn same_pixels(a: &Placed, b: &Placed) -> bool {
    let close = |a: f64, b: f64| (a - b).abs() <= PIXEL_SPACING_TOLERANCE * a.min(b);
    (0..2).all(|i| close(a.pixel_spacing[i], b.pixel_spacing[i]))
}

/// Equal slices together, the largest group first.
pub(super) fn groups(placed: &[Placed], same: impl Fn(&Placed, &Placed) -> bool) -> Vec<Vec<Placed>> {
    let mut groups: Vec<Vec<Placed>> = Vec::new();
    for slice in placed {
        match groups.iter_mut().find(|group| same(&group[0], slice)) {
            Some(group) => group.push(*slice),
            None => groups.push(vec![*slice]),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}

/// The slices that differ from the largest group of equal ones.
struct Odd {
    usual: Placed,
    other: Placed,
    count: usize,
    numbers: Vec<i64>,
}

fn odd_ones(placed: &[Placed], same: impl Fn(&Placed, &Placed) -> bool) -> Option<Odd> {
    let groups = groups(placed, same);
    if groups.len() < 2 {
        return None;
    }
    let others: Vec<Placed> = groups[1..].concat();
    let mut numbers: Vec<_> = others.iter().filter_map(|s| s.number).collect();
    numbers.sort_unstable();
    Some(Odd { usual: groups[0][0], other: others[0], count: others.len(), numbers })
}

/// Slices of one direction and matrix, sorted along their normal.
pub(super) struct Stack {
    pub(super) slices: Vec<Placed>,
    /// Position of each slice along the normal, millimetres, ascending.
    pub(super) along: Vec<f64>,
    row: Vector,
    column: Vector,
    normal: Vector,
}

impl Stack {
    pub(super) fn new(mut slices: Vec<Placed>) -> Self {
        let Placed { row, column, .. } = slices[0];
        let normal = cross(row, column);
        slices
            .sort_by(|a, b| dot(a.position, normal).total_cmp(&dot(b.position, normal)).then(a.number.cmp(&b.number)));
        let along = slices.iter().map(|s| dot(s.position, normal)).collect();
        Self { slices, along, row, column, normal }
    }

    pub(super) fn steps(&self) -> Vec<f64> {
        self.along.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    pub(super) fn extent(&self) -> f64 {
        self.along[self.along.len() - 1] - self.along[0]
    }

    pub(super) fn no_duplicates(&self) -> Result<(), Refusal> {
        let steps = self.steps();
        let Some(first) = steps.iter().position(|step| *step < SAME_PLACE_MM) else { return Ok(()) };
        // Several slices at one position count as one place.
        let places = (0..steps.len())
            .filter(|i| steps[*i] < SAME_PLACE_MM && (*i == 0 || steps[*i - 1] >= SAME_PLACE_MM))
            .count();
        Err(Refusal::DuplicatePosition { places, first: self.place(first), second: self.place(first + 1) })
    }

    /// How far the slices drift sideways from the first to the last (column and row direction, millimetres) when the gantry
    /// was tilted; `None` when no slice is displaced. The header's gantry tilt is not used, because its sign differs between
    /// vendors and it may be missing.
    ///
    /// # Errors
    /// When the field of view was moved, or the slices lean too far.
    pub(super) fn lean(&self) -> Result<Option<Lean>, Refusal> {
        let last = self.slices.len() - 1;
        let sideways: Vec<Vector> = (0..=last).map(|i| self.sideways(i)).collect();
        let extent = self.extent();
        let allowed = SIDEWAYS_TOLERANCE_MM + SIDEWAYS_TOLERANCE_PER_MM * extent;
        if sideways.iter().all(|s| norm(*s) <= allowed) {
            return Ok(None);
        }
        // A steady displacement is a gantry tilt; any other means that the field of view was moved.
        let drift = sideways[last];
        let off_drift = |i: usize| {
            let part = (self.along[i] - self.along[0]) / extent;
            norm(sub(sideways[i], scale(drift, part)))
        };
        if !(0..=last).all(|i| off_drift(i) <= SIDEWAYS_TOLERANCE_MM) {
            let moved = (0..=last).find(|i| norm(sideways[*i]) > allowed).unwrap_or(last);
            return Err(Refusal::SidewaysShift { slice: self.place(moved), shift_mm: norm(sideways[moved]) });
        }
        let drift_mm = norm(drift);
        let degrees = (drift_mm / extent).atan().to_degrees();
        if degrees > MOST_TILT_DEGREES {
            return Err(Refusal::Tilt { degrees, drift_mm, extent_mm: extent });
        }
        Ok(Some(Lean { degrees, drift_mm: [dot(drift, self.row), dot(drift, self.column)] }))
    }

    /// Displacement of a slice relative to the first one, within the plane of the slices.
    fn sideways(&self, index: usize) -> Vector {
        let from_first = sub(self.slices[index].position, self.slices[0].position);
        sub(from_first, scale(self.normal, self.along[index] - self.along[0]))
    }

    /// The spacing, if every slice is at its position on the grid between the first and the last slice.
    fn evenly_spaced(&self) -> Result<f64, Refusal> {
        let steps = self.steps();
        let shortest = steps.iter().copied().fold(f64::INFINITY, f64::min);
        // Steps of a single spacing: those shorter than 1.5 times the shortest.
        let single: Vec<f64> = steps.iter().copied().filter(|step| *step < 1.5 * shortest).collect();
        let single_mm = single.iter().sum::<f64>() / single.len() as f64;
        if let Some(gaps) = self.gaps(&steps, single_mm) {
            return Err(Refusal::MissingSlices { spacing_mm: single_mm, gaps });
        }
        let spacing = self.extent() / steps.len() as f64;
        let off = |i: usize| (self.along[i] - self.along[0] - spacing * i as f64).abs();
        if (0..self.along.len()).all(|i| off(i) <= position_tolerance(spacing)) {
            return Ok(spacing);
        }
        Err(self.uneven(&steps))
    }

    /// The gaps with missing slices, if every step is a multiple of `single_mm` and most steps have no gap.
    fn gaps(&self, steps: &[f64], single_mm: f64) -> Option<Vec<Gap>> {
        let multiple = |step: f64| (step / single_mm).round().max(1.0);
        // Both ends of a step may be inexact.
        let fits = |step: f64| (step - multiple(step) * single_mm).abs() <= 2.0 * position_tolerance(single_mm);
        let gaps: Vec<Gap> = (0..steps.len())
            .filter(|i| multiple(steps[*i]) > 1.0)
            .map(|i| Gap {
                missing: round_index(multiple(steps[i])) - 1,
                before: self.place(i),
                after: self.place(i + 1),
            })
            .collect();
        let gaps_are_rare = 2 * gaps.len() <= steps.len();
        (!gaps.is_empty() && gaps_are_rare && steps.iter().all(|step| fits(*step))).then_some(gaps)
    }

    fn uneven(&self, steps: &[f64]) -> Refusal {
        let (mut min_mm, mut max_mm) = (f64::INFINITY, 0.0_f64);
        for step in steps {
            min_mm = min_mm.min(*step);
            max_mm = max_mm.max(*step);
        }
        let usual = median(steps);
        let farthest = |a: &usize, b: &usize| (steps[*a] - usual).abs().total_cmp(&(steps[*b] - usual).abs());
        // Of equally bad steps the first, so that the message does not depend on the order of arrival.
        let at = (0..steps.len()).rev().max_by(farthest).unwrap_or(0);
        Refusal::UnevenSpacing { min_mm, max_mm, at: [self.place(at), self.place(at + 1)] }
    }

    /// `filled`: slices of the grid that are not there.
    pub(super) fn arranged(
        &self,
        slices: &[SliceGeometry],
        spacing: f64,
        lean: Option<Lean>,
        filled: &[usize],
    ) -> Arranged {
        let first = &self.slices[0];
        let mut notes = Vec::new();
        if slices[0].frame_of_reference_uid.is_none() {
            notes.push("the slices do not name a frame of reference; they are assumed to have the same one".to_owned());
        }
        let geometry = Geometry {
            dims: [first.matrix[0] as usize, first.matrix[1] as usize, self.slices.len() + filled.len()],
            spacing_mm: [first.pixel_spacing[0], first.pixel_spacing[1], spacing],
            origin_mm: first.position,
            axes: [self.row, self.column, self.normal],
        };
        let (geometry, tilt) = match lean {
            None => (geometry, None),
            Some(lean) => {
                let (upright, tilt) = lean.upright(geometry);
                (upright, Some(tilt))
            }
        };
        let order = self.slices.iter().map(|s| s.index).collect();
        Arranged { order, geometry, tilt, filled: filled.to_vec(), notes }
    }

    pub(super) fn place(&self, index: usize) -> Place {
        let slice = &self.slices[index];
        self.place_of(slice.number, slice.position)
    }

    pub(super) fn place_of(&self, number: Option<i64>, position: Vector) -> Place {
        let main = main_axis(self.normal);
        Place { number, axis: ['x', 'y', 'z'][main], mm: position[main] }
    }

    /// Where a position lies along the normal.
    pub(super) fn along_of(&self, position: Vector) -> f64 {
        dot(position, self.normal)
    }
}

/// A steady drift of the slices.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lean {
    degrees: f64,
    /// From the first slice to the last, in row and column direction.
    drift_mm: [f64; 2],
}

impl Lean {
    /// The grid in which every slice is moved back within its plane, by whole pixels: no value is interpolated, and every
    /// pixel lies within half a pixel of its place. `straight`: the grid that the slices would have without the drift.
    fn upright(&self, straight: Geometry) -> (Geometry, Tilt) {
        let [columns, rows, slices] = straight.dims;
        let steps = slices.saturating_sub(1).max(1) as f64;
        let pixels = |slice: usize| [0, 1].map(|a| self.drift_mm[a] / straight.spacing_mm[a] * slice as f64 / steps);
        // What drifts to lower indices begins at the far side of the grid.
        let whole = [0, 1].map(|a| self.drift_mm[a].abs() / straight.spacing_mm[a]);
        let extra = whole.map(round_index);
        let begin = [0, 1].map(|a| if self.drift_mm[a] < 0.0 { extra[a] as f64 } else { 0.0 });
        let shift = |slice: usize| [0, 1].map(|a| round_index((begin[a] + pixels(slice)[a]).max(0.0)).min(extra[a]));
        let shifts: Vec<[usize; 2]> = (0..slices).map(shift).collect();
        let dims = [columns + extra[0], rows + extra[1], slices];
        let first = shifts.first().copied().unwrap_or_default();
        let at_first = straight.to_patient([-(first[0] as f64), -(first[1] as f64), 0.0]);
        let upright = Geometry { dims, origin_mm: at_first, ..straight.clone() };
        let step: Vector = [0, 1, 2].map(|i| {
            let sideways = (0..2).map(|a| straight.axes[a][i] * self.drift_mm[a]).sum::<f64>() / steps;
            straight.axes[2][i] * straight.spacing_mm[2] + sideways
        });
        let [across, down, _] = straight.spacing_mm;
        let original = Geometry {
            spacing_mm: [across, down, norm(step)],
            axes: [straight.axes[0], straight.axes[1], unit(step)],
            ..straight
        };
        (upright, Tilt { degrees: self.degrees, original, shifts })
    }
}

/// How far a slice may be from its position on a grid of this spacing, millimetres.
pub fn position_tolerance(spacing_mm: f64) -> f64 {
    POSITION_TOLERANCE_MM
        .max(POSITION_TOLERANCE_RELATIVE * spacing_mm)
        .min(POSITION_TOLERANCE_MAX_RELATIVE * spacing_mm)
}

/// What people call the plane of a slice.
fn plane(slice: &Placed) -> SlicePlane {
    /// Cosine of 20 degrees: people call a slice oblique when it is turned further.
    const OBLIQUE: f64 = 0.94;
    let normal = cross(slice.row, slice.column);
    let main = main_axis(normal);
    let straight = [SlicePlane::Sagittal, SlicePlane::Coronal, SlicePlane::Axial];
    if normal[main].abs() < OBLIQUE { SlicePlane::Oblique } else { straight[main] }
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

pub(crate) type Vector = [f64; 3];

fn finite<const N: usize>(v: [f64; N]) -> bool {
    v.iter().all(|c| c.is_finite())
}

/// Unit vector across slices of this Image Orientation (Patient).
pub fn across([a, b, c, d, e, f]: [f64; 6]) -> Vector {
    cross([a, b, c], [d, e, f])
}

pub(crate) fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn sub(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn scale(v: Vector, by: f64) -> Vector {
    v.map(|c| c * by)
}

fn norm(v: Vector) -> f64 {
    dot(v, v).sqrt()
}

fn unit(v: Vector) -> Vector {
    scale(v, 1.0 / norm(v))
}

/// Index of the largest component.
pub(super) fn main_axis(v: Vector) -> usize {
    (0..3).max_by(|a, b| v[*a].abs().total_cmp(&v[*b].abs())).unwrap_or(2)
}

#[cfg(test)]
#[path = "geometry_tests.rs"]
mod tests;
