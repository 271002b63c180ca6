//! What is sound of a series: the longest part with even spacing is read, a single missing or bad slice between close
//! neighbours is filled in, and everything that was left out is told. Pure.
//!
//! A series in which more is wrong than that is refused as a whole, for the reason that `geometry` or `judge` gives.

use models::Remark;
use models::refusal::{Place, Refusal};
use models::remark::{Beyond, SliceFault};

use super::geometry::{
    self, Arranged, MIN_SLICES, Placed, SliceGeometry, Stack, arrange, groups, position_tolerance, same_direction,
    same_matrix, same_pixels,
};

/// Slices further apart than this have nothing filled in between them: 5 mm is the thickest slice of which most findings
/// are evaluated, and what lies between two such slices is seen on one of them.
const MOST_FILLED_MM: f64 = 5.0;

/// At most one slice of so many may be bad, and of a part one of so many filled in; always one. Where more is wrong, the
/// rest is not to be trusted either.
const FEW: usize = 20;

/// The part that is read is at least this share of the series along the patient; else another scan is read than was sent.
const LEAST_SHARE: f64 = 0.5;

/// The slices to be read, and what a reader must know of the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    pub arranged: Arranged,
    pub remarks: Vec<Remark>,
}

/// `faults`: what is wrong with each slice. `refusal`: why the series is refused if what remains is not enough; the reason
/// of the geometry when there is none.
///
/// # Errors
/// Why nothing is read.
pub fn sound(
    slices: &[SliceGeometry],
    faults: &[Option<SliceFault>],
    refusal: Option<Refusal>,
) -> Result<Sound, Refusal> {
    let all_sound = faults.iter().all(Option::is_none);
    let refusal = match (refusal, arrange(slices)) {
        (_, Ok(arranged)) if all_sound => {
            let remarks = tilted(&arranged).into_iter().collect();
            return Ok(Sound { arranged, remarks });
        }
        (None, Err(refusal)) | (Some(refusal), _) => refusal,
        // A fault without a reason: that of the whole series is that it has too few sound slices.
        (None, Ok(_)) => Refusal::TooFew { count: 0, needed: MIN_SLICES },
    };
    let mut faults = faults.to_vec();
    let Ok(placed) = geometry::placed(slices) else { return Err(refusal) };
    geometry::one_frame_of_reference(slices)?;
    leave_out(&placed, &mut faults, SliceFault::Direction, same_direction);
    leave_out(&placed, &mut faults, SliceFault::Pixels, same_matrix);
    leave_out(&placed, &mut faults, SliceFault::Pixels, same_pixels);
    let good: Vec<Placed> = placed.iter().filter(|slice| faults[slice.index].is_none()).copied().collect();
    if good.len() < MIN_SLICES || placed.len() - good.len() > few(placed.len()) {
        return Err(refusal);
    }
    let stack = Stack::new(good);
    stack.no_duplicates()?;
    stack.lean()?;
    let longest = runs(&stack.along).into_iter().max_by(|a, b| a.extent(&stack).total_cmp(&b.extent(&stack)));
    let Some(run) = longest.filter(|run| run.extent(&stack) >= LEAST_SHARE * stack.extent()) else {
        return Err(refusal);
    };
    let part = Stack::new(stack.slices[run.first..=run.last].to_vec());
    let arranged = part.arranged(slices, run.spacing_mm, part.lean()?, &run.filled);
    let mut remarks: Vec<Remark> = tilted(&arranged).into_iter().collect();
    remarks.extend(told(&placed, &faults, &stack, &run));
    Ok(Sound { arranged, remarks })
}

fn few(count: usize) -> usize {
    (count / FEW).max(1)
}

fn tilted(arranged: &Arranged) -> Option<Remark> {
    arranged.tilt.as_ref().map(|tilt| Remark::Tilted { degrees: tilt.degrees })
}

/// Notes which sound slices differ from the most.
fn leave_out(
    placed: &[Placed],
    faults: &mut [Option<SliceFault>],
    fault: SliceFault,
    same: impl Fn(&Placed, &Placed) -> bool,
) {
    let good: Vec<Placed> = placed.iter().filter(|slice| faults[slice.index].is_none()).copied().collect();
    for slice in groups(&good, same).iter().skip(1).flatten() {
        faults[slice.index] = Some(fault);
    }
}

/// Neighbours of one spacing.
#[derive(Debug, Clone, PartialEq)]
struct Run {
    /// Indices into the stack.
    first: usize,
    last: usize,
    spacing_mm: f64,
    /// Slices of the grid of this run that are filled in.
    filled: Vec<usize>,
    /// The slice of the stack before each of them.
    before: Vec<usize>,
}

impl Run {
    fn extent(&self, stack: &Stack) -> f64 {
        stack.along[self.last] - stack.along[self.first]
    }
}

/// All parts of even spacing with enough slices.
fn runs(along: &[f64]) -> Vec<Run> {
    let steps: Vec<f64> = along.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut found = Vec::new();
    let mut first = 0;
    while first < steps.len() {
        let (last, before) = follow(&steps, first);
        found.extend(run(along, first, last, before));
        first = last.max(first + 1);
    }
    found
}

/// How far the slices go on as they begin, and after which one is missing.
fn follow(steps: &[f64], first: usize) -> (usize, Vec<usize>) {
    let (mut sum, mut singles, mut before) = (0.0, 0.0, Vec::new());
    let mut at = first;
    while let Some(step) = steps.get(at) {
        let usual = if singles > 0.0 { sum / singles } else { *step };
        // Both ends of a step may be inexact.
        let tolerance = 2.0 * position_tolerance(usual);
        let after_gap = at > first && before.last() == Some(&(at - 1));
        if (step - usual).abs() <= tolerance {
            sum += step;
            singles += 1.0;
        } else if (step - 2.0 * usual).abs() <= tolerance && *step <= MOST_FILLED_MM + tolerance && !after_gap {
            before.push(at);
        } else {
            break;
        }
        at += 1;
    }
    (at, before)
}

/// The run, if it lies on a regular grid.
fn run(along: &[f64], first: usize, last: usize, before: Vec<usize>) -> Option<Run> {
    let count = last + 1 - first;
    if count < MIN_SLICES || before.len() > few(count) {
        return None;
    }
    let at = |slice: usize| slice - first + before.iter().filter(|gap| **gap < slice).count();
    let spacing_mm = (along[last] - along[first]) / at(last) as f64;
    let off = |slice: usize| (along[slice] - along[first] - spacing_mm * at(slice) as f64).abs();
    let even = (first..=last).all(|slice| off(slice) <= position_tolerance(spacing_mm));
    let filled = before.iter().map(|slice| at(*slice) + 1).collect();
    even.then_some(Run { first, last, spacing_mm, filled, before })
}

/// What was filled in and what was left out.
fn told(placed: &[Placed], faults: &[Option<SliceFault>], stack: &Stack, run: &Run) -> Vec<Remark> {
    let mut bad: Vec<(f64, &Placed, SliceFault)> =
        placed.iter().filter_map(|slice| Some((stack.along_of(slice.position), slice, faults[slice.index]?))).collect();
    bad.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut remarks = Vec::new();
    for before in &run.before {
        let [low, high] = [stack.along[*before], stack.along[before + 1]];
        let middle = f64::midpoint(low, high);
        let close = |(along, _, fault): &(f64, &Placed, SliceFault)| {
            *fault != SliceFault::Direction && (along - middle).abs() < run.spacing_mm / 2.0
        };
        let (a, b) = (stack.slices[*before].position, stack.slices[before + 1].position);
        let between = [0, 1, 2].map(|i| f64::midpoint(a[i], b[i]));
        let (place, fault) = match bad.iter().position(close) {
            Some(at) => {
                let (_, slice, fault) = bad.remove(at);
                (stack.place_of(slice.number, slice.position), fault)
            }
            None => (stack.place_of(None, between), SliceFault::Missing),
        };
        remarks.push(Remark::FilledIn { place, fault, apart_mm: high - low });
    }
    let total = placed.len();
    let out = |first: Place, last: Place, count: usize, why: Beyond| Remark::LeftOut { count, total, first, last, why };
    // Faults that lie side by side are told once.
    let mut rest = bad.as_slice();
    while let Some((_, first, fault)) = rest.first() {
        let alike = rest.iter().take_while(|(_, _, other)| other == fault).count();
        let last = rest[alike - 1].1;
        let [first, last] = [first, &last].map(|slice| stack.place_of(slice.number, slice.position));
        remarks.push(out(first, last, alike, Beyond::Fault(*fault)));
        rest = &rest[alike..];
    }
    let why = |beyond: usize, inner: Option<usize>| {
        let apart_mm = stack.along[beyond + 1] - stack.along[beyond];
        let usual_mm = run.spacing_mm;
        // The spacing within what is left out, next to the part that is read.
        let mm = inner.map(|at| stack.along[at + 1] - stack.along[at]);
        match mm {
            Some(mm) if (mm - apart_mm).abs() <= 2.0 * position_tolerance(mm) => Beyond::Spacing { mm, usual_mm },
            _ => Beyond::Gap { apart_mm, usual_mm },
        }
    };
    let last = stack.slices.len() - 1;
    if run.first > 0 {
        let why = why(run.first - 1, run.first.checked_sub(2));
        remarks.push(out(stack.place(0), stack.place(run.first - 1), run.first, why));
    }
    if run.last < last {
        let inner = (run.last + 2 <= last).then_some(run.last + 1);
        let why = why(run.last, inner);
        remarks.push(out(stack.place(run.last + 1), stack.place(last), last - run.last, why));
    }
    remarks
}

/// A slice between two others: the mean of both.
pub(super) fn between(a: &[i16], b: &[i16]) -> Vec<i16> {
    a.iter().zip(b).map(|(a, b)| i16::midpoint(*a, *b)).collect()
}

#[cfg(test)]
#[path = "sound_tests.rs"]
mod tests;
