//! Marks in the standard views of a mammography: one pass of the network for each view, the peaks of its maps, what the other views
//! say about each, and a score. The network learnt from phantoms only: what holds for a picture is decided before (`withheld`).

use hal::{LoadedModel, Tensor};
use serde::Serialize;

use super::channels::{Channels, Place};
use super::kind::{Kind, Stage};
use super::scorer::{Known, Scorer};
use super::seen::Seen;
use super::withheld::Withheld;
use crate::cast::single;
use crate::manifest::{Mammogram, Manifest};
use crate::task::mammography_views::StandardView;
use crate::task::{Control, Error, TaskFault, go_on};

/// A box reaches at most this far from its peak, and at least so far, mm.
const REACH_MM: f32 = 25.0;
const LEAST_MM: f32 = 4.0;

/// One view for the network.
#[derive(Debug, Clone)]
pub struct Given {
    pub view: StandardView,
    pub sop_instance_uid: String,
    pub channels: Channels,
    pub place: Place,
}

/// A place that the scorer counts. Pixels are of the stored picture, x to the right and y down, 0 at its corner.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// From 1, through all views.
    pub number: usize,
    pub kind: Kind,
    /// 0 to 1; no probability for a patient. Not a number where a person says that it is of another kind.
    pub score: f32,
    pub at: [f32; 2],
    /// Left, top, right, bottom.
    pub bounds: [f32; 4],
    /// Of the place, from the left and the top of the stored picture.
    pub at_mm: [f32; 2],
    /// Longer and shorter side of the box.
    pub size_mm: [f32; 2],
    /// From the foremost place of the breast: towards the chest wall, and down in the picture.
    pub behind_nipple_mm: f32,
    pub below_nipple_mm: f32,
}

/// What was looked for in one view.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MarkedView {
    pub view: StandardView,
    pub sop_instance_uid: String,
    pub stage: Stage,
    /// Of the stored picture, in the breast.
    pub mm_per_pixel: f32,
    /// The surest first.
    pub marks: Vec<Mark>,
    /// Scores of all candidates, counted or not, the surest first.
    pub candidates: Vec<Candidate>,
}

/// A peak of the map, for measurements.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Candidate {
    pub kind: Kind,
    pub score: f32,
    /// Pixels of the stored picture.
    pub at: [f32; 2],
}

/// Of a mammography.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Marks {
    /// In the order of [`StandardView::ALL`].
    pub views: Vec<MarkedView>,
    /// Standard views that are there and that nothing is said of.
    pub withheld: Vec<WithheldView>,
    /// Score of each breast and of the case: that of the surest candidate, counted or not. `None` where no view was looked at.
    pub right: Option<f32>,
    pub left: Option<f32>,
    pub case: Option<f32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct WithheldView {
    pub view: StandardView,
    pub why: Withheld,
}

impl Marks {
    pub fn count(&self) -> usize {
        self.views.iter().map(|view| view.marks.len()).sum()
    }
}

/// Runs the network on each view, then scores. `given` has each view once at most, in any order.
///
/// # Errors
/// `TaskFault::BadModel` for another package or shapes that do not fit; `TaskFault::BadOutput` when a value is no probability;
/// `TaskFault::Cancelled`; `TaskFault::Accelerator`.
pub fn run(
    given: &[Given],
    withheld: Vec<WithheldView>,
    manifest: &Manifest,
    scorer: &Scorer,
    model: &mut dyn LoadedModel,
    control: &dyn Control,
) -> Result<Marks, Error> {
    let other = || Error::new(TaskFault::BadModel, format!("{} {} reads no mammograms", manifest.id, manifest.version));
    let plan = manifest.mammogram().ok_or_else(other)?;
    let mut seen = Vec::with_capacity(given.len());
    for (number, one) in given.iter().enumerate() {
        go_on(control)?;
        control.progress("inference", number as f64 / given.len() as f64);
        seen.push((one, look(plan, one, model)?));
    }
    control.progress("postprocess", 0.0);
    let of = |view: StandardView| seen.iter().find(|(one, _)| one.view == view);
    let mut number = 0;
    let views = StandardView::ALL.into_iter().filter_map(of).map(|(one, here)| {
        let shown = |view: StandardView| of(view).map(|(_, seen)| seen);
        let (pair, mirror) = (shown(one.view.same_breast()), shown(one.view.other_breast()));
        let mut view = marked(plan, scorer, one, here, [pair, mirror]);
        for mark in &mut view.marks {
            number += 1;
            mark.number = number;
        }
        view
    });
    let views: Vec<MarkedView> = views.collect();
    let best = |is: &dyn Fn(StandardView) -> bool| {
        let own = views.iter().filter(|view| is(view.view));
        own.map(|view| view.candidates.first().map_or(0.0, |one| one.score)).reduce(f32::max)
    };
    let (right, left) = (best(&|view| view.is_right()), best(&|view| !view.is_right()));
    let case = [right, left].into_iter().flatten().reduce(f32::max);
    Ok(Marks { views, withheld, right, left, case })
}

fn look(plan: &Mammogram, one: &Given, model: &mut dyn LoadedModel) -> Result<Seen, Error> {
    let (input, stride) = (&plan.input, plan.outputs.stride);
    let [rows, columns] = one.channels.padded(input.multiple);
    let mut data = one.channels.plane(&one.channels.grey, input.multiple);
    data.extend(one.channels.plane(&one.channels.detail, input.multiple));
    let mut answer = model.run(&[Tensor { shape: vec![1, 2, rows, columns], data }])?;
    let due = [1, Kind::ALL.len(), rows / stride, columns / stride];
    let count = answer.len();
    let (Some(map), 1) = (answer.pop(), count) else {
        return Err(Error::new(TaskFault::BadModel, format!("the network gave {count} answers instead of one")));
    };
    if map.shape != due {
        let message = format!("the network answered {:?} where {due:?} was due", map.shape);
        return Err(Error::new(TaskFault::BadModel, message));
    }
    // A sigmoid may round to a hair above 1.
    if let Some(value) = map.data.iter().find(|value| !(-1e-3..=1.001).contains(*value)) {
        return Err(Error::new(TaskFault::BadOutput, format!("the network answered {value}, which is no probability")));
    }
    let oblique = one.view.is_oblique();
    Ok(Seen::new(&one.channels, &map.data, input.pixel_mm, [stride, input.multiple], oblique))
}

/// `here`: this view; then the other view of the breast, and the same view of the other breast.
fn marked(
    plan: &Mammogram,
    scorer: &Scorer,
    one: &Given,
    here: &Seen,
    [pair, other]: [Option<&Seen>; 2],
) -> MarkedView {
    let stage = Stage::of(pair.is_some(), other.is_some());
    let least = plan.thresholds.of(stage);
    // Without its pair a mirrored view is of no use: training has no such stage.
    let other = other.filter(|_| pair.is_some());
    let magnified = single(one.place.magnified);
    let mut found: Vec<(Mark, bool)> = Vec::new();
    for place in here.peaks() {
        let known = Known::of(here, place, pair, other);
        let score = scorer.score(&known);
        let mm = |index: usize| (index as f32 + 0.5) * here.mm;
        let [left, top, right, bottom] = here.extent(place, known.kind, REACH_MM);
        let (x, y) = (mm(place[0]), mm(place[1]));
        let half = here.mm / 2.0;
        let low = [(mm(left) - half).min(x - LEAST_MM), (mm(top) - half).min(y - LEAST_MM)].map(|v| v.max(0.0));
        let high = [(mm(right) + half).max(x + LEAST_MM), (mm(bottom) + half).max(y + LEAST_MM)];
        let corners = [low, high].map(|corner| inside(one.place.pixels(corner), one.place.size));
        let at = inside(one.place.pixels([x, y]), one.place.size);
        let [a, b] = corners;
        let bounds = [a[0].min(b[0]), a[1].min(b[1]), a[0].max(b[0]), a[1].max(b[1])];
        let spacing = one.place.breast_mm();
        let sides = [(bounds[2] - bounds[0]) * spacing, (bounds[3] - bounds[1]) * spacing];
        let mark = Mark {
            number: 0,
            kind: known.kind,
            score,
            at,
            bounds,
            at_mm: at.map(|v| v * spacing),
            size_mm: [sides[0].max(sides[1]), sides[0].min(sides[1])],
            behind_nipple_mm: known.behind_mm / magnified,
            below_nipple_mm: (place[1] as f32 - here.nipple[1]) * here.mm / magnified,
        };
        found.push((mark, score >= least));
    }
    found.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score));
    let candidate = |(mark, _): &(Mark, bool)| Candidate { kind: mark.kind, score: mark.score, at: mark.at };
    let candidates = found.iter().map(candidate).collect();
    let marks = distinct(found.into_iter().filter_map(|(mark, counts)| counts.then_some(mark)));
    MarkedView {
        view: one.view,
        sop_instance_uid: one.sop_instance_uid.clone(),
        stage,
        mm_per_pixel: one.place.breast_mm(),
        marks,
        candidates,
    }
}

/// Without those that lie in the box of a surer one of the same kind: they are one to a reader. `marks`: the surest first.
fn distinct(marks: impl Iterator<Item = Mark>) -> Vec<Mark> {
    let mut kept: Vec<Mark> = Vec::new();
    for mark in marks {
        let [x, y] = mark.at;
        let within = |[left, top, right, bottom]: [f32; 4]| left <= x && x <= right && top <= y && y <= bottom;
        if !kept.iter().any(|other| other.kind == mark.kind && within(other.bounds)) {
            kept.push(mark);
        }
    }
    kept
}

fn inside([x, y]: [f32; 2], [columns, rows]: [usize; 2]) -> [f32; 2] {
    [x.clamp(0.0, columns as f32), y.clamp(0.0, rows as f32)]
}

/// # Errors
/// `TaskFault::BadModel` when the network's names are not this task's.
pub fn check_names(model: &dyn LoadedModel) -> Result<(), Error> {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    if inputs != ["view"] || outputs != ["map"] {
        let message = format!("the network has {inputs:?} -> {outputs:?}, this task needs [view] -> [map]");
        return Err(Error::new(TaskFault::BadModel, message));
    }
    Ok(())
}

#[cfg(test)]
#[path = "marks_tests.rs"]
mod tests;
