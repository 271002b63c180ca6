//! The seam between studies and clinical tasks: which series, or set of series, of a study a task works on; whether they
//! are all there; how it runs; and what is reported of it.
//!
//! To add a task: a variant of [`StudyTask`] and its arm in each method below, its measurement in `models::task`, and its
//! content in `report`. The compiler names every place.

use dicom::header::Header;
use dicom::kind::SeriesKind;
use models::findings::Evaluated;
use models::task::ct_quality::{self, CtQuality};
use models::task::{self, Control};
use models::{ChestFindings, Volume};
use report::words::{self, FindingState, Language};
use report::{Content, quality};

use super::acquired::acquisition;
use super::engine::{self, Engine, Used};
use super::examine::{Error, Subject};
use super::prior;
use crate::settings::Analyze;

/// The tasks that work on received studies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudyTask {
    /// ChestFindings of the chest, by a model package.
    ChestCt,
    /// Image quality of any CT; needs no package.
    CtQuality,
}

/// What a task wants of one study.
#[derive(Debug, Clone, Copy)]
pub enum Wants {
    /// Every series of this kind by itself: ready as soon as that series is complete.
    EachSeries(SeriesKind),
    /// One series for each view: ready once every view that is needed is complete.
    Views(&'static [View]),
}

/// One view of a set, for example the left cranio-caudal one of a mammography, or the last CT before.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// For sentences about what is missing.
    pub name: &'static str,
    pub pixels: Pixels,
    /// Without it the task cannot run.
    pub needed: bool,
    /// Does a series with this header show it?
    pub shows: fn(&Header) -> bool,
}

/// What is loaded of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pixels {
    /// Single images.
    Planes,
    /// Slices on one grid.
    Volume,
}

/// A series of the study, as far as a task must know it to choose.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    pub kind: SeriesKind,
    /// Of its first instance.
    pub header: &'a Header,
    /// No more of it is expected.
    pub complete: bool,
}

/// Whether a task can run on a study. Numbers are places in the list of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Run on these: one for each view, `None` where one that is not needed is absent.
    Ready(Vec<Option<usize>>),
    /// More of the study is expected; these are missing so far.
    Waiting { missing: Vec<&'static str> },
    /// Nothing more is expected and these are missing: the task refuses the study.
    Incomplete { missing: Vec<&'static str> },
}

impl Wants {
    /// Each entry is one run of the task; none when the study has nothing for it. `closed`: nothing more is expected of the
    /// study. Of several series that show one view the last in the list is taken: it repeats the others.
    pub fn select(self, study: &[Member<'_>], closed: bool) -> Vec<Selection> {
        match self {
            Self::EachSeries(kind) => {
                let own = study.iter().enumerate().filter(|(_, member)| member.kind == kind);
                own.map(|(place, member)| match member.complete || closed {
                    true => Selection::Ready(vec![Some(place)]),
                    false => Selection::Waiting { missing: vec!["the rest of the series"] },
                })
                .collect()
            }
            Self::Views(views) => {
                let found: Vec<Option<usize>> =
                    views.iter().map(|view| study.iter().rposition(|member| (view.shows)(member.header))).collect();
                if found.iter().all(Option::is_none) {
                    return Vec::new();
                }
                let there = |place: &Option<usize>| place.is_some_and(|place| study[place].complete || closed);
                let missing: Vec<&'static str> =
                    views.iter().zip(&found).filter(|(v, at)| v.needed && !there(at)).map(|(v, _)| v.name).collect();
                let unsettled = found.iter().any(|at| at.is_some() && !there(at));
                vec![match (missing.is_empty() && !unsettled, closed) {
                    (true, _) => Selection::Ready(found),
                    (false, false) => Selection::Waiting { missing },
                    (false, true) => Selection::Incomplete { missing },
                }]
            }
        }
    }
}

/// What came of a task.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each job")]
pub enum Outcome {
    Processed(ChestFindings),
    Quality(CtQuality),
    /// Refused, and why, in plain words.
    Refused(String),
}

impl Outcome {
    /// One line in plain words.
    pub fn verdict(&self) -> String {
        match self {
            Self::Processed(findings) => super::verdict(findings),
            Self::Quality(quality) => quality::verdict(quality),
            Self::Refused(reason) => reason.clone(),
        }
    }

    /// What is to be written about it.
    pub fn content<'a>(&'a self, volume: &'a Result<&'a Volume, String>) -> Content<'a> {
        match (self, volume) {
            (Self::Processed(findings), Ok(volume)) => Content::Findings { findings, volume },
            (Self::Quality(quality), _) => Content::Quality { quality },
            (Self::Processed(_), Err(reason)) | (Self::Refused(reason), _) => Content::Refused { reason },
        }
    }
}

/// The outcome of one run, and what it was made with.
#[derive(Debug)]
pub struct Ran {
    pub outcome: Outcome,
    /// The package, when the task has one.
    pub used: Option<Used>,
    /// Stage and milliseconds, in order.
    pub timings_ms: Vec<(String, f64)>,
}

impl StudyTask {
    /// In the order in which they run and are reported: the first that takes a series decides its state.
    pub const ALL: [Self; 2] = [Self::ChestCt, Self::CtQuality];

    /// Do the settings ask for it?
    pub fn is_on(self, settings: &Analyze) -> bool {
        match self {
            Self::ChestCt => true,
            Self::CtQuality => settings.quality,
        }
    }

    pub fn wants(self) -> Wants {
        match self {
            Self::ChestCt | Self::CtQuality => Wants::EachSeries(SeriesKind::Ct),
        }
    }

    /// The tasks for one series that is complete.
    pub fn of_series(settings: &Analyze, kind: SeriesKind) -> Vec<Self> {
        let takes = |task: &Self| matches!(task.wants(), Wants::EachSeries(own) if own == kind);
        Self::ALL.into_iter().filter(|task| task.is_on(settings)).filter(takes).collect()
    }

    /// # Errors
    /// What a repetition may mend; what the images do not allow is an [`Outcome::Refused`].
    pub fn run(self, engine: &mut Engine, subject: &Subject<'_>, control: &dyn Control) -> Result<Ran, Error> {
        match self {
            Self::ChestCt => chest_ct(engine, subject, control),
            Self::CtQuality => Ok(ct_quality(subject)),
        }
    }
}

fn chest_ct(engine: &mut Engine, subject: &Subject<'_>, control: &dyn Control) -> Result<Ran, Error> {
    let volume = match &subject.volume {
        Ok(volume) => volume,
        Err(reason) => {
            return Ok(Ran { outcome: Outcome::Refused(reason.clone()), used: None, timings_ms: Vec::new() });
        }
    };
    let (mut findings, used) = match engine.chest_ct(volume, &acquisition(subject.header, subject.elements), control) {
        Err(engine::Error::Task(error)) if error.kind() == task::TaskFault::Cancelled => return Err(Error::Cancelled),
        ran => ran?,
    };
    findings.comparison = subject.prior.and_then(|prior| prior::compare(&findings, prior));
    let timings_ms = findings.timings_ms.clone();
    let outcome = nothing_evaluated(&findings).map_or(Outcome::Processed(findings), Outcome::Refused);
    Ok(Ran { outcome, used: Some(used), timings_ms })
}

/// Why nothing at all was evaluated, if so: then the series is refused.
fn nothing_evaluated(findings: &ChestFindings) -> Option<String> {
    let Evaluated::NotEvaluated(lungs) = &findings.lungs else { return None };
    let none = words::lines(findings, Language::English).iter().all(|line| line.state == FindingState::NotEvaluated);
    none.then(|| lungs.clone())
}

fn ct_quality(subject: &Subject<'_>) -> Ran {
    let begun = std::time::Instant::now();
    let positions_mm: Vec<[f64; 3]> = subject.instances.iter().map(|slice| slice.position_mm).collect();
    let quality = ct_quality::measure(&ct_quality::Input {
        volume: subject.volume.as_ref().map(|volume| *volume).map_err(String::as_str),
        positions_mm: &positions_mm,
        normal: across(subject),
        thickness_mm: acquisition(subject.header, subject.elements).slice_thickness_mm,
    });
    let timings_ms = vec![("quality".to_owned(), begun.elapsed().as_secs_f64() * 1e3)];
    Ran { outcome: Outcome::Quality(quality), used: None, timings_ms }
}

/// Unit vector across the slices: of the volume, else by the header, else along the patient.
fn across(subject: &Subject<'_>) -> [f64; 3] {
    if let Ok(volume) = &subject.volume {
        return volume.geometry.axes[2];
    }
    let Some([a, b, c, d, e, f]) = subject.header.image_orientation else { return [0.0, 0.0, 1.0] };
    [b * f - c * e, c * d - a * f, a * e - b * d]
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
