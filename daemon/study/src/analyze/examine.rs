//! One series or study in, findings and DICOM objects out. No queue, no database, no network.

use std::time::Instant;

use custody::store::steps::Performed;
use dicom::header::Header;
use dicom::pixels::SliceRef;
use dicom::pixels::error::DecodeError;
use dicom::scan::RawElement;
use models::review::Review;
use models::review::marks::MarkReview;
use models::task::Control;
use models::{ChestFindings, Refusal, Volume};
use report::settings::Device;
use report::views::Before;
use report::{self, Content, ModelIdentity, Provenance, Refused, ResultObject, Source};

use super::engine::{self, Engine, Used};
use super::task::{Ran, StudyTask};
use super::ultrasound::Pictures;
use super::views::Image;
use crate::choose::Choice;
use crate::lesions::followed::History;
use crate::model;
use crate::priors::here::Prior;
use crate::volume::build::Built;
use crate::volume::geometry::MIN_SLICES;

/// A series, or the images of a study, ready to be examined.
#[derive(Debug)]
pub struct Subject<'a> {
    /// What is to be done with it, in order; at least one.
    pub tasks: &'a [StudyTask],
    /// Of the first instance.
    pub header: &'a Header,
    pub elements: &'a [RawElement],
    /// The instances in volume order; as received when there is no volume.
    pub instances: &'a [SliceRef],
    /// The volume with the way back to its slices, or why there is none.
    pub built: Result<&'a Built, Refused>,
    /// When the series was complete: the time the results carry, so that a repetition makes the same objects.
    pub created_utc: &'a str,
    /// The series of an earlier study of the same patient, to compare with.
    pub priors: &'a [Prior],
    /// What the scanner said of the series, if it did.
    pub performed: Option<&'a Performed>,
    /// For a task of a whole study: its images in the order of `instances`. Empty for a series.
    pub study: &'a [Image<'a>],
    /// For a task that reads images one by one.
    pub pictures: Option<&'a Pictures<'a>>,
    /// For which findings the series is read, when other series of its scan are read for the rest.
    pub part: Option<&'a Choice>,
    /// See `report::Source`.
    pub revision: &'a str,
    /// SOP Instance UIDs that archives were told not to count: they hide objects that come under these once more.
    pub withdrawn: &'a [String],
    /// What a person has signed about the findings.
    pub review: Option<&'a Review>,
    /// The same about marks in pictures of a breast.
    pub marks_review: Option<&'a MarkReview>,
    /// What is known of lesions of the patient.
    pub history: Option<&'a History>,
    /// Of a mammography: the one before it.
    pub before: Before,
}

/// Stands for the volume of so many images that are looked at one by one.
pub fn no_volume(count: usize) -> Refused {
    Refused::Volume(Refusal::TooFew { count, needed: MIN_SLICES })
}

impl Subject<'_> {
    /// The volume to be analysed, or why there is none.
    pub fn volume(&self) -> Result<&Volume, Refused> {
        self.built.as_ref().map(|built| &built.volume).map_err(Clone::clone)
    }

    /// Findings and volume on the slices that were sent, where those are not what was analysed.
    fn original(&self, outcome: &Outcome) -> Option<(ChestFindings, Volume)> {
        let (Outcome::Processed(findings), Ok(built)) = (outcome, &self.built) else { return None };
        (!built.back.is_same()).then(|| built.back.original(findings, &built.volume))
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Examined {
    /// Of the first task: it decides the state of the series.
    pub outcome: Outcome,
    /// Of the other tasks, in their order.
    pub more: Vec<Outcome>,
    /// Of all tasks, one line.
    pub verdict: String,
    pub objects: Vec<ResultObject>,
    /// Id and version of the package that was used, when one was.
    pub package: Option<String>,
    /// What its network ran on, when one had to run.
    pub accelerator: Option<hal::accel::Description>,
    /// A simulated accelerator ran a network of any task.
    pub simulated: bool,
    /// Stage and milliseconds, in order.
    pub timings_ms: Vec<(String, f64)>,
}

pub use super::task::Outcome;

/// So often other UIDs are tried; each rerun after a rejection note takes one.
const GENERATIONS: usize = 64;

/// Failures that a repetition may mend; what the input cannot give is an [`Outcome::Refused`] instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Engine(#[from] engine::Error),
    #[error("report: {0}")]
    Report(#[from] report::Error),
    /// A picture cannot be read from the disk now.
    #[error("{0}")]
    Picture(DecodeError),
    #[error("cancelled")]
    Cancelled,
    #[error("no task is for this series")]
    NoTask,
}

impl Error {
    /// Is there no package for the task? Then a repetition is in vain until somebody installs one.
    pub fn lacks_package(&self) -> bool {
        matches!(self, Self::Engine(engine::Error::Model(model::Error::NoPackage(_))))
    }
}

/// The objects, under UIDs that no archive was told not to count: the usual ones, or the first of the next ones that are free.
fn written(
    source: &Source<'_>,
    content: Content<'_>,
    provenance: &Provenance,
    withdrawn: &[String],
) -> Result<Vec<ResultObject>, report::Error> {
    let mut written = report::write(source, content, provenance)?;
    for generation in 1..=GENERATIONS {
        if !written.iter().any(|object| withdrawn.contains(&object.sop_uid)) {
            break;
        }
        let source = Source { withdrawn: &generation.to_string(), ..*source };
        written = report::write(&source, content, provenance)?;
    }
    Ok(written)
}

/// # Errors
/// See [`Error`].
pub fn examine(
    engine: &mut Engine,
    device: &Device,
    subject: &Subject<'_>,
    control: &dyn Control,
) -> Result<Examined, Error> {
    let mut ran = Vec::new();
    for task in subject.tasks {
        let mut one = task.run(engine, subject, control)?;
        if let Some(history) = subject.history {
            tell(history, &mut one);
        }
        ran.push(one);
    }
    control.progress("report", 0.0);
    let begun = Instant::now();
    let series_uids: Vec<String> = subject.study.iter().map(|image| image.header.series_instance_uid.clone()).collect();
    let revision = subject.part.map_or_else(|| subject.revision.to_owned(), |part| part.named(subject.revision));
    let source = Source {
        elements: subject.elements,
        header: subject.header,
        instances: subject.instances,
        series_uids: &series_uids,
        revision: &revision,
        withdrawn: "",
    };
    let quality = ran.iter().find_map(|one| one.outcome.quality()).cloned();
    let mut objects = Vec::new();
    let volume = subject.volume();
    for one in &mut ran {
        let provenance = provenance(device, one.used.as_ref(), subject.created_utc);
        let original = subject.original(&one.outcome);
        let content = match (one.outcome.content(&volume), &original) {
            // The documents of the findings tell the quality of the series as well.
            (Content::Findings { .. }, Some((findings, volume))) => {
                Content::Findings { findings, volume, quality: quality.as_ref() }
            }
            (Content::Findings { findings, volume, .. }, None) => {
                Content::Findings { findings, volume, quality: quality.as_ref() }
            }
            (other, _) => other,
        };
        let written = written(&source, content, &provenance, subject.withdrawn)?;
        match &mut one.outcome {
            Outcome::Processed(findings) => findings.report = report::document(&written),
            Outcome::Views(study) => study.marked.report = report::document(&written),
            Outcome::Stills(stills) => stills.marked.report = report::document(&written),
            Outcome::Quality(_) | Outcome::Refused(_) => {}
        }
        objects.extend(written);
    }
    let mut timings_ms: Vec<_> = ran.iter().flat_map(|one| one.timings_ms.iter().cloned()).collect();
    timings_ms.push(("report".into(), begun.elapsed().as_secs_f64() * 1e3));
    let on = ran.iter().filter_map(|one| one.used.as_ref()?.accelerator.as_ref());
    let simulated = on.into_iter().any(|accelerator| accelerator.simulated);
    let verdict = ran.iter().map(|one| one.outcome.verdict()).collect::<Vec<_>>().join("; ");
    let mut ran = ran.into_iter();
    let Some(Ran { outcome, used, .. }) = ran.next() else { return Err(Error::NoTask) };
    let package = used.as_ref().map(|used| format!("{} {}", used.manifest.id, used.manifest.version));
    let accelerator = used.and_then(|used| used.accelerator);
    let more = ran.map(|one| one.outcome).collect();
    Ok(Examined { outcome, more, verdict, objects, package, accelerator, simulated, timings_ms })
}

/// Adds what is known of the lesions from earlier exams.
fn tell(history: &History, ran: &mut Ran) {
    let accelerator = ran.used.as_ref().and_then(|used| used.accelerator.as_ref());
    let simulated = accelerator.is_some_and(|accelerator| accelerator.simulated);
    match &mut ran.outcome {
        Outcome::Stills(stills) => history.tell_stills(stills, simulated),
        Outcome::Views(study) => history.tell_marks(study, simulated),
        Outcome::Processed(_) | Outcome::Quality(_) | Outcome::Refused(_) => {}
    }
}

fn provenance(device: &Device, used: Option<&Used>, created_utc: &str) -> Provenance {
    let model = used.map(|used| ModelIdentity::new(&used.manifest, &used.sha256));
    let accelerator = used.and_then(|used| used.accelerator.as_ref()).map_or_else(
        || ("none".to_owned(), false),
        |accelerator| (format!("{}, {}", accelerator.provider, accelerator.library), accelerator.simulated),
    );
    Provenance::new(device, model, accelerator, created_utc, crate::offset(created_utc))
}
