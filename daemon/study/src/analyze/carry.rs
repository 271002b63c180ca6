//! One job from its row to its results: a series or a study that was received is examined, a recorded exam is developed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use custody::instance::Instance;
use custody::series::SeriesKey;
use custody::series::state::SeriesEvent;
use custody::store::jobs::JobRow;
use custody::store::reviews::{self, Fate};
use custody::store::series::SeriesRow;
use custody::store::{self, conflicts, instances, members, rejections, results, steps};
use dicom::kind::SeriesKind;
use dicom::pixels::SliceRef;
use dicom::pixels::error::DecodeError;
use dicom::scan::Scan;
use hal::clock::is_synchronised;
use hal::root::Root;
use live::record::journal;
use models::review::Review;
use models::review::marks::{MarkReview, Marked};
use models::{Acquisition, Remark, Volume};
use report::refused::Mixed;
use report::stills::NotRead;
use report::views::Before;
use report::{Refused, ResultObject};
use rusqlite::Connection;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::acquired::acquisition;
use super::conclude::{Conclusion, conclude};
use super::control::JobControl;
use super::engine::Engine;
use super::error::Error;
use super::examine::{self, Examined, Outcome, Subject};
use super::results::Results;
use super::shadow;
use super::task::StudyTask;
use super::ultrasound::{self, Pictures, Stored};
use super::views::Image;
use crate::exam::again::{self, Kept};
use crate::exam::develop;
use crate::exam::step::Over;
use crate::lesions::followed::{self, History};
use crate::lesions::visit::{self, Arrived, Common, Visit};
use crate::lesions::{source_of_series, source_of_task};
use crate::parts::StudyParts;
use crate::priors::here;
use crate::volume::build::Built;
use crate::{choosing, sharing};

/// What came of a job.
pub(super) struct Carried {
    pub(super) verdict: String,
    /// For a candidate package, when the series was processed.
    pub(super) beside: Option<shadow::Subject>,
}

/// One job end to end.
///
/// # Errors
/// What a repetition may mend, and `Cancelled`.
pub(super) fn job(
    parts: &StudyParts,
    engine: &mut Engine,
    connection: &Connection,
    job: &JobRow,
    row: &SeriesRow,
    control: &JobControl<'_>,
) -> Result<Carried, Error> {
    match (&job.task, row.kind) {
        (Some(name), _) => study(parts, engine, connection, job, name, control),
        (None, SeriesKind::Exam) => exam(parts, connection, job, row, control),
        (None, SeriesKind::Ultrasound) => pictures(parts, engine, connection, job, row, control),
        (None, _) => series(parts, engine, connection, job, row, control),
    }
}

/// An exam that was recorded here. Its recording stays until a copy of the database knows the results (`exam::keep`): until
/// then they could not be made again.
fn exam(
    parts: &StudyParts,
    connection: &Connection,
    job: &JobRow,
    row: &SeriesRow,
    control: &JobControl<'_>,
) -> Result<Carried, Error> {
    let begun = Instant::now();
    let spool = &parts.settings.spool.directory;
    let recording = develop::folder(spool, &row.key.series_uid);
    let mut folder = Results::begin(spool, job.id)?;
    let (device, record) = (&parts.settings.device, &parts.settings.record);
    let known = |visit: &Visit| followed::of_visit(connection, visit);
    let review: Option<MarkReview> = signed(connection, job)?;
    let (developed, kept) = match &review {
        Some(review) => {
            let before = results::of_uid(connection, &review.predecessor.sop_uid)?;
            let before = before.ok_or_else(|| again::lost(spool))?;
            let (kept, rows) = (Kept::of(spool, &before)?, results::of_job(connection, before.job_id)?);
            again::images(&rows).for_each(|row| folder.keep(row));
            let put = &mut |object: &ResultObject| folder.put(object);
            (again::again::<Error>(spool, &kept, &rows, review, device, &known, put)?, kept)
        }
        None => {
            let put = &mut |object: &ResultObject| folder.put(object);
            let developed = develop::develop(&recording, device, record, control, &known, put)?;
            let journal = journal::text(&recording).map_err(|source| develop::Error::Io { path: recording, source })?;
            let pictures = developed.pictures.clone();
            (developed, Kept { journal, pictures })
        }
    };
    folder.add("latency.json", developed.latency.as_bytes())?;
    folder.add(again::FILE, kept.json().as_bytes())?;
    let results = folder.finish(developed.simulated)?;
    let visit = developed.visit.as_ref();
    let verdict = developed.verdict;
    let marks = serde_json::to_string(&developed.marked).map_err(store::Error::from)?;
    // The step of the exam has its end already.
    let over = review.is_none().then_some(Over {
        recording_uid: &row.key.series_uid,
        utc: &developed.ended_utc,
        interrupted: developed.interrupted,
    });
    let conclusion = Conclusion {
        verdict: &verdict,
        event: SeriesEvent::Processed,
        findings: None,
        marks: Some(&marks),
        results: &results,
        timings_ms: &[("report".to_owned(), milliseconds(begun))],
        review: of_marked(&developed.marked),
        visit,
        exam: over,
    };
    conclude(parts, job, conclusion)?;
    Ok(Carried { verdict, beside: None })
}

/// A series that was received.
fn series(
    parts: &StudyParts,
    engine: &mut Engine,
    connection: &Connection,
    job: &JobRow,
    row: &SeriesRow,
    control: &JobControl<'_>,
) -> Result<Carried, Error> {
    let begun = Instant::now();
    let kept = instances::of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
    let mut kept: Vec<Arc<Instance>> = kept.into_iter().map(Arc::new).collect();
    let headers = kept.iter().map(|instance| &instance.header);
    if let Some(mixed) = Refused::mixed(Mixed::Series, &row.key.series_uid, headers) {
        parts.ahead.forget(&row.key);
        return withheld(parts, job, &mixed.to_string());
    }
    let shared = sharing::remark(row.kind, kept.iter().map(|instance| &instance.header));
    kept.retain(|instance| sharing::is_of(row.kind, &instance.header));
    let mut built = volume(parts, connection, row, &kept)?;
    if let Ok(built) = &mut built {
        built.remarks.extend(shared);
    }
    let sources: Vec<SliceRef> = match &built {
        Ok(built) => built.sources.clone(),
        Err(refused) => {
            // What is damaged is no source of a result.
            let sound = instances::of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
            kept = sound.into_iter().map(Arc::new).collect();
            kept.retain(|instance| sharing::is_of(row.kind, &instance.header));
            if kept.is_empty() {
                return withheld(parts, job, &refused.to_string());
            }
            kept.iter().map(|instance| reference(instance)).collect()
        }
    };
    let first = first(&kept, &sources).ok_or(Error::NoInstances)?;
    let scanned = scan_again(parts, first)?;
    let mut timings_ms = vec![("volume".to_owned(), milliseconds(begun))];
    let priors = here::all(connection, &first.header)?;
    let performed = steps::of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
    let part = choosing::part(connection, &parts.settings.analyze, row)?;
    let review: Option<Review> = signed(connection, job)?;
    let tasks = StudyTask::of_series(&parts.settings.analyze, row.kind);
    let subject = Subject {
        tasks: &tasks,
        header: &first.header,
        elements: &scanned.elements,
        instances: &sources,
        built: built.as_ref().map_err(Clone::clone),
        created_utc: row.completed_utc.as_deref().unwrap_or(&job.created_utc),
        priors: &priors,
        performed: performed.as_ref(),
        study: &[],
        pictures: None,
        part: part.as_ref(),
        revision: &revision(connection, std::slice::from_ref(&row.key))?,
        withdrawn: &rejections::withdrawn(connection, job.series_id, job.task.as_deref(), job.id)?,
        review: review.as_ref(),
        marks_review: None,
        history: None,
        before: Before::Unknown,
    };
    let examined = examine::examine(engine, &parts.settings.device, &subject, control)?;
    timings_ms.extend(examined.timings_ms.iter().cloned());
    write(parts, job, &examined, begun, timings_ms, None)?;
    let verdict = examined.verdict.clone();
    let beside = beside(job, built.map(|built| built.volume), acquisition(&first.header, &scanned.elements), examined);
    Ok(Carried { verdict, beside })
}

/// Ultrasound images and clips that were received, each by itself. One that was damaged on the disk is named.
fn pictures(
    parts: &StudyParts,
    engine: &mut Engine,
    connection: &Connection,
    job: &JobRow,
    row: &SeriesRow,
    control: &JobControl<'_>,
) -> Result<Carried, Error> {
    let begun = Instant::now();
    let (study_uid, series_uid) = (&row.key.study_uid, &row.key.series_uid);
    let mut kept = instances::of_series(connection, study_uid, series_uid)?;
    let damaged = instances::damaged_of_series(connection, study_uid, series_uid)?;
    let all = kept.iter().chain(&damaged).map(|instance| &instance.header);
    if let Some(mixed) = Refused::mixed(Mixed::Series, series_uid, all) {
        return withheld(parts, job, &mixed.to_string());
    }
    kept.retain(|instance| sharing::is_of(row.kind, &instance.header));
    let headers = || kept.iter().chain(&damaged).map(|instance| &instance.header);
    let tasks = StudyTask::of_series(&parts.settings.analyze, row.kind);
    // The settings may have changed since it was queued.
    if let Some(why) = ultrasound::unwanted(&parts.settings.analyze, headers()) {
        return withheld(parts, job, &why);
    }
    let Some(first) = kept.first() else {
        let reasons = vec![(NotRead::Pixels(DecodeError::Damaged), damaged.len())];
        return withheld(parts, job, &Refused::Pictures { reasons }.to_string());
    };
    let scanned = scan_again(parts, first)?;
    let sources: Vec<SliceRef> = kept.iter().map(reference).collect();
    let first = first.clone();
    let spooled = kept.into_iter().map(|instance| Stored::in_spool(&parts.spool, Arc::new(instance)));
    let all: Vec<_> = spooled.chain(damaged.into_iter().map(|instance| Stored::damaged(instance.header))).collect();
    let limit = picture_bytes(parts, &all);
    let pictures = Pictures::new(all, limit);
    let performed = steps::of_series(connection, study_uid, series_uid)?;
    let review: Option<MarkReview> = signed(connection, job)?;
    // Not of the moment of this analysis, which may be another one.
    let visit = visit::of_header(&first.header, "US", source_of_series(study_uid, series_uid), arrived(&first));
    let history = visit.clone().and_then(|visit| History::read(connection, visit));
    let subject = Subject {
        tasks: &tasks,
        header: &first.header,
        elements: &scanned.elements,
        instances: &sources,
        built: Err(examine::no_volume(sources.len())),
        created_utc: row.completed_utc.as_deref().unwrap_or(&job.created_utc),
        priors: &[],
        performed: performed.as_ref(),
        study: &[],
        pictures: Some(&pictures),
        part: None,
        revision: &revision(connection, std::slice::from_ref(&row.key))?,
        withdrawn: &rejections::withdrawn(connection, job.series_id, job.task.as_deref(), job.id)?,
        review: None,
        marks_review: review.as_ref(),
        history: history.as_ref(),
        before: Before::Unknown,
    };
    let examined = examine::examine(engine, &parts.settings.device, &subject, control)?;
    let timings_ms = examined.timings_ms.clone();
    let visit = examined.outcome.stills().and_then(|stills| Some(visit?.with_stills(stills, common(&examined))));
    write(parts, job, &examined, begun, timings_ms, visit)?;
    Ok(Carried { verdict: examined.verdict, beside: None })
}

/// The volume and the order of its slices, or why there is none. A series of which an instance is damaged gives none: the
/// missing slice would only be noticed as a gap, and at its ends not at all.
fn volume(
    parts: &StudyParts,
    connection: &Connection,
    row: &SeriesRow,
    kept: &[Arc<Instance>],
) -> Result<Result<Built, Refused>, Error> {
    let damaged = instances::damaged_of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
    if let Some(first) = damaged.first() {
        parts.ahead.forget(&row.key);
        return Ok(Err(Refused::Slice { number: first.header.instance_number, fault: DecodeError::Damaged }));
    }
    match parts.ahead.volume(&row.key, kept) {
        Ok(built) => Ok(Ok(built)),
        Err(error) if error.is_transient() => Err(error.into()),
        Err(error) => Ok(Err(error.into())),
    }
}

/// The review that is signed for the version that this job makes.
fn signed<R: DeserializeOwned>(connection: &Connection, job: &JobRow) -> Result<Option<R>, store::Error> {
    let review = reviews::of_version(connection, job.series_id, job.version)?;
    Ok(review.map(|json| serde_json::from_str(&json)).transpose()?)
}

/// What decoding one of these pictures may need: what is decoded ahead is taken off, unless that is the room of one of them.
fn picture_bytes(parts: &StudyParts, all: &[Stored<'_>]) -> u64 {
    let limit = parts.settings.analyze.memory_mib << 20;
    let needs = all.iter().map(|stored| crate::volume::picture_bytes(&stored.header, stored.file_bytes));
    let most = needs.filter(|need| *need <= limit).max().unwrap_or(0);
    if most > limit.saturating_sub(parts.ahead.bytes()) {
        parts.ahead.make_room();
    }
    limit.saturating_sub(parts.ahead.bytes())
}

/// The images of a study. Their headers decide; of the bytes only one image is read, for what results copy,
/// unless the pictures are read, too (`analyze.mg_breast`, `analyze.mg_marks`).
fn study(
    parts: &StudyParts,
    engine: &mut Engine,
    connection: &Connection,
    job: &JobRow,
    task: &str,
    control: &JobControl<'_>,
) -> Result<Carried, Error> {
    let begun = Instant::now();
    let task = StudyTask::parse(task).ok_or_else(|| Error::UnknownTask(task.to_owned()))?;
    let (mut kept, mut in_custody) = (Vec::new(), BTreeSet::new());
    let mut first = None;
    for member in members::of_job(connection, job.id)? {
        kept.extend(instances::get(connection, member.instance_id)?);
        if let Some(instance) = instances::get_here(connection, member.instance_id)? {
            in_custody.insert(instance.id);
            first.get_or_insert(instance);
        }
    }
    let first = first.ok_or(Error::NoInstances)?;
    if let Some(mixed) = mixed_study(connection, &first.header.study_instance_uid)? {
        return withheld(parts, job, &mixed.to_string());
    }
    let scanned = scan_again(parts, &first)?;
    let mut series: Vec<SeriesKey> = kept
        .iter()
        .map(|instance| SeriesKey {
            study_uid: instance.header.study_instance_uid.clone(),
            series_uid: instance.header.series_instance_uid.clone(),
        })
        .collect();
    series.sort();
    series.dedup();
    let sources: Vec<SliceRef> = kept.iter().map(reference).collect();
    let images: Vec<Image<'_>> =
        kept.iter().map(|instance| Image { header: &instance.header, complete: true }).collect();
    let pictures = parts.settings.analyze.reads_mammograms().then(|| {
        // Of a late view, or a corrected one, the others may have been evicted: that is said of them.
        let stored = kept.iter().map(|instance| match in_custody.contains(&instance.id) {
            true => Stored::in_spool(&parts.spool, Arc::new(instance.clone())),
            false => Stored::not_here(&parts.spool, Arc::new(instance.clone())),
        });
        let stored: Vec<_> = stored.collect();
        let limit = picture_bytes(parts, &stored);
        Pictures::new(stored, limit).marking(parts.settings.analyze.mg_marks)
    });
    let review: Option<MarkReview> = signed(connection, job)?;
    // A mammography is a visit also where its pictures are not looked at: who was due has come.
    let source = source_of_task(&first.header.study_instance_uid, task.name());
    let visit = visit::of_header(&first.header, "MG", source, arrived(&first));
    let history = visit.clone().filter(|_| pictures.is_some()).and_then(|visit| History::read(connection, visit));
    let subject = Subject {
        tasks: &[task],
        header: &first.header,
        elements: &scanned.elements,
        instances: &sources,
        built: Err(examine::no_volume(kept.len())),
        created_utc: &job.created_utc,
        priors: &[],
        performed: None,
        study: &images,
        pictures: pictures.as_ref(),
        part: None,
        revision: &revision(connection, &series)?,
        withdrawn: &rejections::withdrawn(connection, job.series_id, job.task.as_deref(), job.id)?,
        review: None,
        marks_review: review.as_ref(),
        history: history.as_ref(),
        before: here::mammography_before(connection, &first.header)?,
    };
    let examined = examine::examine(engine, &parts.settings.device, &subject, control)?;
    let timings_ms = examined.timings_ms.clone();
    let views = examined.outcome.views();
    let visit = views.and_then(|views| Some(visit?.with_views(views, examined.outcome.marked(), common(&examined))));
    write(parts, job, &examined, begun, timings_ms, visit)?;
    Ok(Carried { verdict: examined.verdict, beside: None })
}

/// When a study came, and whether this box knows what day it is.
fn arrived(first: &Instance) -> Arrived<'_> {
    Arrived { utc: &first.received_utc, is_sure: is_synchronised(&Root::default()) }
}

fn common(examined: &Examined) -> Common<'_> {
    Common { package: examined.package.as_deref().unwrap_or_default(), simulated: examined.simulated }
}

/// Names the content of series in which instances took the place of others; empty when none did.
fn revision(connection: &Connection, series: &[SeriesKey]) -> Result<String, store::Error> {
    let mut hash = Sha256::new();
    let mut any = false;
    for key in series {
        for corrected in conflicts::corrected(connection, key)? {
            hash.update(corrected);
            any = true;
        }
    }
    Ok(if any { hex::encode(hash.finalize()) } else { String::new() })
}

/// Whether a study holds images of different patients, in whatever series: then nothing is said of it as a whole.
fn mixed_study(connection: &Connection, study_uid: &str) -> Result<Option<Refused>, store::Error> {
    let mut headers = Vec::new();
    for row in store::series::of_study(connection, study_uid)? {
        let ever = instances::ever_of_series(connection, study_uid, &row.key.series_uid)?;
        headers.extend(ever.into_iter().map(|instance| instance.header));
    }
    Ok(Refused::mixed(Mixed::Study, study_uid, &headers))
}

/// A verdict and no results: an object would have to bear the name of one of several patients, or nobody wants it.
fn withheld(parts: &StudyParts, job: &JobRow, verdict: &str) -> Result<Carried, Error> {
    tracing::warn!(job = job.id, "nothing is sent: {verdict}");
    let event = SeriesEvent::Refused;
    let review = fate(None);
    conclude(
        parts,
        job,
        Conclusion {
            verdict,
            event,
            findings: None,
            marks: None,
            results: &[],
            timings_ms: &[],
            review,
            visit: None,
            exam: None,
        },
    )?;
    Ok(Carried { verdict: verdict.to_owned(), beside: None })
}

/// The results go to the disk, then the job is concluded.
fn write(
    parts: &StudyParts,
    job: &JobRow,
    examined: &Examined,
    begun: Instant,
    mut timings_ms: Vec<(String, f64)>,
    visit: Option<Visit>,
) -> Result<(), Error> {
    let writing = Instant::now();
    let mut folder = Results::begin(&parts.settings.spool.directory, job.id)?;
    for object in &examined.objects {
        folder.put(object)?;
    }
    let results = folder.finish(examined.simulated)?;
    timings_ms.push(("store".into(), milliseconds(writing)));
    timings_ms.push(("total".into(), milliseconds(begun)));
    let findings = examined.outcome.findings().map(serde_json::to_string).transpose().map_err(store::Error::from)?;
    let marks = examined.outcome.marked().map(serde_json::to_string).transpose().map_err(store::Error::from)?;
    let processed = examined.outcome.is_processed();
    let event = if processed { SeriesEvent::Processed } else { SeriesEvent::Refused };
    let conclusion = Conclusion {
        verdict: &examined.verdict,
        event,
        findings: findings.as_deref(),
        marks: marks.as_deref(),
        results: &results,
        timings_ms: &timings_ms,
        review: fate(Some(&examined.outcome)),
        visit: visit.as_ref(),
        exam: None,
    };
    conclude(parts, job, conclusion)
}

/// What became of a review that was signed for this outcome.
fn fate(outcome: Option<&Outcome>) -> Fate {
    if let Some(marked) = outcome.and_then(Outcome::marked) {
        return of_marked(marked);
    }
    let Some(findings) = outcome.and_then(Outcome::findings) else {
        return Fate::NotApplied("nothing could be evaluated".to_owned());
    };
    let why = findings.remarks.iter().find_map(|remark| match remark {
        Remark::ReviewNotApplied { why, .. } => Some(why.to_string()),
        _ => None,
    });
    if findings.review.is_some() { Fate::Applied } else { Fate::NotApplied(why.unwrap_or_default()) }
}

fn of_marked(marked: &Marked) -> Fate {
    let why = marked.refused.as_ref().map(|refused| refused.why.clone());
    if marked.review.is_some() { Fate::Applied } else { Fate::NotApplied(why.unwrap_or_default()) }
}

/// What a candidate package is given, when the active one processed the series.
fn beside(
    job: &JobRow,
    volume: Result<Volume, Refused>,
    acquisition: Acquisition,
    examined: Examined,
) -> Option<shadow::Subject> {
    let Outcome::Processed(findings) = examined.outcome else { return None };
    // What a person has rejected would be held against the candidate.
    if findings.review.is_some() {
        return None;
    }
    let active_ms = findings.timings_ms.iter().map(|(_, ms)| ms).sum();
    let active = examined.package?;
    Some(shadow::Subject { job_id: job.id, volume: volume.ok()?, acquisition, findings, active, active_ms })
}

/// The instance of the first reference.
fn first<'a>(kept: &'a [Arc<Instance>], sources: &[SliceRef]) -> Option<&'a Instance> {
    let uid = &sources.first()?.sop_instance_uid;
    kept.iter().map(AsRef::as_ref).find(|instance| instance.header.sop_instance_uid == *uid)
}

/// The elements that results copy; they were not kept in the row.
fn scan_again(parts: &StudyParts, instance: &Instance) -> Result<Scan, Error> {
    parts.spool.check(instance)?;
    dicom::scan::scan(parts.spool.reader(&instance.location)?)
        .map_err(|error| Error::Unreadable { instance: instance.id, reason: error.to_string() })
}

/// A reference to a whole instance, for what makes no volume.
fn reference(instance: &Instance) -> SliceRef {
    SliceRef {
        sop_class_uid: instance.header.sop_class_uid.clone(),
        sop_instance_uid: instance.header.sop_instance_uid.clone(),
        frame: None,
        position_mm: instance.header.image_position.unwrap_or_default(),
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
