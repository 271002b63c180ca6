//! The seam between studies and clinical tasks: which series, or which images of a study, a task works on; how it runs; and
//! what is reported of it.
//!
//! To add a task: a variant of [`StudyTask`] and its arm in each method below, its measurement in `models::task`, and its
//! content in `report`. The compiler names every place. Whether a task of a whole study may begin is decided in `views`.

use dicom::kind::SeriesKind;
use dicom::typed;
use models::findings::{ChestFinding, Evaluated};
use models::review;
use models::review::marks::Marked;
use models::task::ct_quality::{self, CtQuality};
use models::task::mammography_views::MammographyViews;
use models::task::{self, Control};
use models::{ChestFindings, NotEvaluated, Reading, Reason, Remark, Topic, Volume};
use report::stills::Stills;
use report::views::Mammography;
use report::{Content, Refused, quality};

use super::acquired::acquisition;
use super::engine::{self, Engine, Used};
use super::examine::{Error, Subject};
use super::views::View;
use super::{mammography, prior, remarks, ultrasound};
use crate::choose::Choice;
use crate::performed;
use crate::settings::{Analyze, ReadUltrasound};
use crate::volume::geometry;

/// The tasks that work on received studies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StudyTask {
    /// Nine findings of the chest, by a model package.
    ChestCt,
    /// Image quality of any CT; needs no package.
    CtQuality,
    /// Lesions in stored ultrasound images of a breast, by a model package.
    UsBreast,
    /// Whether a mammography has its four standard views, and what its pictures show; a package only where marks are asked for.
    MammographyViews,
}

/// What a task wants of one study.
#[derive(Debug, Clone, Copy)]
pub enum Wants {
    /// Every series of this kind by itself: ready as soon as that series is complete.
    EachSeries(SeriesKind),
    /// Views that are shown by images of one or several series of this kind: decided for the study.
    Views(ViewSet),
}

/// The views that a task of a whole study wants.
#[derive(Debug, Clone, Copy)]
pub struct ViewSet {
    /// Every series of this kind belongs to the task and gets its verdict.
    pub kind: SeriesKind,
    pub views: &'static [View],
    /// The verdict when a study is closed and shows none of the views.
    pub none: &'static str,
}

/// What came of a task.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each job")]
pub enum Outcome {
    Processed(ChestFindings),
    Quality(CtQuality),
    Views(Mammography),
    Stills(Stills),
    /// Refused, and why.
    Refused(Refused),
}

impl Outcome {
    /// One line in plain words.
    pub fn verdict(&self) -> String {
        match self {
            Self::Processed(findings) => super::verdict(findings),
            Self::Quality(quality) => quality::verdict(quality),
            Self::Views(views) => views.verdict(),
            Self::Stills(stills) => stills.verdict(),
            Self::Refused(reason) => reason.to_string(),
        }
    }

    pub fn findings(&self) -> Option<&ChestFindings> {
        if let Self::Processed(findings) = self { Some(findings) } else { None }
    }

    pub fn quality(&self) -> Option<&CtQuality> {
        if let Self::Quality(quality) = self { Some(quality) } else { None }
    }

    pub fn views(&self) -> Option<&MammographyViews> {
        if let Self::Views(study) = self { Some(&study.views) } else { None }
    }

    pub fn stills(&self) -> Option<&Stills> {
        if let Self::Stills(stills) = self { Some(stills) } else { None }
    }

    /// The marks that a person can decide about, of a task that makes some.
    pub fn marked(&self) -> Option<&Marked> {
        match self {
            Self::Views(study) => study.views.marks.is_some().then_some(&study.marked),
            Self::Stills(stills) => Some(&stills.marked),
            Self::Processed(_) | Self::Quality(_) | Self::Refused(_) => None,
        }
    }

    /// Does it make its series a processed one?
    pub fn is_processed(&self) -> bool {
        match self {
            Self::Processed(_) | Self::Views(_) | Self::Stills(_) => true,
            Self::Quality(_) | Self::Refused(_) => false,
        }
    }

    /// What is to be written about it.
    pub fn content<'a>(&'a self, volume: &'a Result<&'a Volume, Refused>) -> Content<'a> {
        match (self, volume) {
            (Self::Processed(findings), Ok(volume)) => Content::Findings { findings, volume, quality: None },
            (Self::Quality(quality), _) => Content::Quality { quality },
            (Self::Views(views), _) => Content::Views { views },
            (Self::Stills(stills), _) => Content::Stills { stills },
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
    pub const ALL: [Self; 4] = [Self::ChestCt, Self::CtQuality, Self::UsBreast, Self::MammographyViews];

    /// As it is written in a row of `jobs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChestCt => "chest_ct",
            Self::CtQuality => "ct_quality",
            Self::UsBreast => "us_breast",
            Self::MammographyViews => "mammography_views",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }

    /// Do the settings ask for it?
    pub fn is_on(self, settings: &Analyze) -> bool {
        match self {
            Self::ChestCt => true,
            Self::CtQuality => settings.quality,
            Self::UsBreast => settings.us_breast != ReadUltrasound::Off,
            Self::MammographyViews => settings.mammography_views || settings.reads_mammograms(),
        }
    }

    pub fn wants(self) -> Wants {
        match self {
            Self::ChestCt | Self::CtQuality => Wants::EachSeries(SeriesKind::Ct),
            Self::UsBreast => Wants::EachSeries(SeriesKind::Ultrasound),
            Self::MammographyViews => Wants::Views(ViewSet {
                kind: SeriesKind::Mammography,
                views: mammography::VIEWS,
                none: "kept, not analysed: no image shows a standard view of a mammography",
            }),
        }
    }

    /// The tasks for one series that is complete.
    pub fn of_series(settings: &Analyze, kind: SeriesKind) -> Vec<Self> {
        let takes = |task: &Self| matches!(task.wants(), Wants::EachSeries(own) if own == kind);
        Self::ALL.into_iter().filter(|task| task.is_on(settings)).filter(takes).collect()
    }

    /// The tasks of whole studies, switched on or not, with what they want.
    pub fn of_studies() -> impl Iterator<Item = (Self, ViewSet)> {
        Self::ALL.into_iter().filter_map(|task| match task.wants() {
            Wants::Views(set) => Some((task, set)),
            Wants::EachSeries(_) => None,
        })
    }

    /// Is there a task of whole studies, switched on, to which the series of this kind belong?
    pub fn takes_studies_of(settings: &Analyze, kind: SeriesKind) -> bool {
        Self::of_studies().any(|(task, set)| set.kind == kind && task.is_on(settings))
    }

    /// # Errors
    /// What a repetition may mend; what the images do not allow is an [`Outcome::Refused`].
    pub fn run(self, engine: &mut Engine, subject: &Subject<'_>, control: &dyn Control) -> Result<Ran, Error> {
        match self {
            Self::ChestCt => chest_ct(engine, subject, control),
            Self::CtQuality => Ok(ct_quality(subject)),
            Self::UsBreast => ultrasound::run(engine, subject, control),
            Self::MammographyViews => mammography::run(engine, subject, control),
        }
    }
}

fn chest_ct(engine: &mut Engine, subject: &Subject<'_>, control: &dyn Control) -> Result<Ran, Error> {
    let built = match &subject.built {
        Ok(built) => built,
        Err(reason) => {
            return Ok(Ran { outcome: Outcome::Refused(reason.clone()), used: None, timings_ms: Vec::new() });
        }
    };
    let volume = &built.volume;
    let (mut findings, used) = match engine.chest_ct(volume, &acquisition(subject.header, subject.elements), control) {
        Err(engine::Error::Task(error)) if error.kind() == task::TaskFault::Cancelled => return Err(Error::Cancelled),
        ran => ran?,
    };
    built.back.judge(&mut findings);
    findings.remarks.clone_from(&built.remarks);
    findings.remarks.extend(remarks::of(subject.header, volume));
    findings.remarks.extend(subject.performed.map(performed::remarks).unwrap_or_default());
    if let Some(part) = subject.part {
        only(&mut findings, part);
    }
    let package = review::package(&used.manifest.id, &used.manifest.version, &used.sha256);
    let can_be_written = subject.review.is_none_or(|review| can_write(subject, &review.by));
    review::apply(&mut findings, subject.review, &package, can_be_written);
    let cut = findings.cut_off(&volume.geometry);
    if !cut.is_empty() {
        findings.remarks.push(Remark::CutOff { findings: cut });
    }
    findings.comparison = prior::compare(&findings, &subject.header.study_date, subject.priors);
    let timings_ms = findings.timings_ms.clone();
    let outcome = nothing_evaluated(&findings).map_or(Outcome::Processed(findings), Outcome::Refused);
    Ok(Ran { outcome, used: Some(used), timings_ms })
}

/// Can the results hold the name of who signed?
pub(super) fn can_write(subject: &Subject<'_>, by: &str) -> bool {
    typed::encode(subject.elements, by).is_some()
}

/// Of several series of a scan each gives its own findings, and says where the others are.
fn only(findings: &mut ChestFindings, part: &Choice) {
    findings.reading = Some(part.on(Reading::of(findings)));
    for (finding, label) in &part.elsewhere {
        findings.refuse(*finding, Reason::OtherSeries { series: label.to_string() });
    }
    findings.withhold_laa950();
    if !part.unread.is_empty() {
        findings.remarks.push(Remark::NotRead { series: part.unread.iter().map(ToString::to_string).collect() });
    }
}

/// Why nothing at all was evaluated, if so: then the series is refused. What forbids every finding (a child, another part of
/// the body) is what a person would say first; what was seen of the lungs comes after it.
fn nothing_evaluated(findings: &ChestFindings) -> Option<Refused> {
    let Evaluated::NotEvaluated(lungs) = &findings.lungs else { return None };
    let reasons: Vec<&Reason> =
        ChestFinding::ALL.iter().filter_map(|f| findings.refusal(*f)).map(|why| &why.reason).collect();
    if reasons.len() < ChestFinding::COUNT {
        return None;
    }
    // What was left out may be what is missed.
    let remarks: Vec<Remark> = findings.remarks.iter().filter(|remark| remark.is_about_slices()).cloned().collect();
    let about_all = reasons[0].is_of_the_series() && reasons.iter().all(|reason| *reason == reasons[0]);
    let why =
        if about_all { NotEvaluated { topic: Topic::Unnamed, reason: reasons[0].clone() } } else { lungs.clone() };
    Some(if remarks.is_empty() { Refused::Nothing(why) } else { Refused::NothingOfPart { why, remarks } })
}

fn ct_quality(subject: &Subject<'_>) -> Ran {
    let begun = std::time::Instant::now();
    // What was filled in was not sent: it has the reference of the slice before it.
    let mut sent = subject.instances.to_vec();
    sent.dedup_by(|a, b| a.sop_instance_uid == b.sop_instance_uid && a.frame == b.frame);
    let positions_mm: Vec<[f64; 3]> = sent.iter().map(|slice| slice.position_mm).collect();
    let volume = subject.volume().map_err(|reason| reason.to_string());
    let quality = ct_quality::measure(&ct_quality::Input {
        volume: volume.as_ref().map(|volume| *volume).map_err(String::as_str),
        positions_mm: &positions_mm,
        normal: across(subject),
        thickness_mm: acquisition(subject.header, subject.elements).slice_thickness_mm,
    });
    let timings_ms = vec![("quality".to_owned(), begun.elapsed().as_secs_f64() * 1e3)];
    Ran { outcome: Outcome::Quality(quality), used: None, timings_ms }
}

/// Unit vector across the slices: of the volume, else by the header, else along the patient.
fn across(subject: &Subject<'_>) -> [f64; 3] {
    if let Ok(built) = &subject.built {
        return built.volume.geometry.axes[2];
    }
    subject.header.image_orientation.map_or([0.0, 0.0, 1.0], geometry::across)
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
