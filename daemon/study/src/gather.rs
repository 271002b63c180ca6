//! Tasks of a whole study: from the rows of its series to a decision and, when it is time, a job. All is decided by rows, so
//! that asking again, also after a power cut, changes nothing twice.

use std::collections::BTreeSet;

use custody::instance::Instance;
use custody::series::SeriesState;
use custody::series::state::SeriesEvent;
use custody::store::members::{MemberRow, SeriesVersion};
use custody::store::series::SeriesRow;
use custody::store::{self, events, instances, jobs, members, reviews, series};
use rusqlite::{Connection, Transaction};

use crate::analyze::task::{StudyTask, ViewSet, Wants};
use crate::analyze::views::{self, Image, Selection};
use crate::settings::Analyze;

/// The verdict of a series of which nothing counts any more.
pub(crate) const EMPTIED: &str = "its objects were sent again, corrected, as part of another series or study";

/// What was decided for a study.
#[derive(Debug, Default)]
pub struct Decided {
    /// A task waits until the study is closed.
    pub waiting: bool,
    /// Series whose row changed.
    pub changed: Vec<i64>,
    /// Jobs that were queued.
    pub jobs: Vec<i64>,
    /// Why a task was left alone that a person wants once more.
    pub left: Option<&'static str>,
}

/// Why no job is queued for a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsignable {
    /// More is here, or coming, than the newest job has seen.
    More,
    /// The bytes of an image are no longer here, or no longer those that came.
    Gone,
}

const GONE: &str = "of its mammograms some were evicted or are damaged: a new analysis would know less than the one that is there; \
                    send them again";

/// Decides for every task of whole studies. `closed`: nothing more is expected of the study.
///
/// # Errors
/// When the database fails.
pub fn decide(
    transaction: &Transaction<'_>,
    settings: &Analyze,
    study_uid: &str,
    closed: bool,
) -> store::Result<Decided> {
    let mut decided = Decided::default();
    for (task, set) in StudyTask::of_studies() {
        let study = Study::load(transaction, task, set, study_uid)?;
        study.conclude_emptied(transaction, &mut decided)?;
        if study.is_covered() {
            continue;
        }
        if !task.is_on(settings) {
            study.conclude(transaction, &set.kind.verdict(study.modality()), &mut decided)?;
            continue;
        }
        match (views::select(set.views, &study.images(), closed), closed) {
            (Some(Selection::Ready | Selection::Incomplete { .. }), _) => {
                study.queue(transaction, "study", &mut decided)?;
            }
            (Some(Selection::Waiting { missing }), _) => {
                tracing::info!(study = study_uid, task = task.name(), ?missing, "waiting for the rest of the study");
                decided.waiting = true;
            }
            // None of the views is there yet.
            (None, false) => decided.waiting = true,
            (None, true) => study.conclude(transaction, set.none, &mut decided)?,
        }
    }
    Ok(decided)
}

/// Queues every task of whole studies that is switched on once more, when the study has series for it and none of them is
/// being received. A parked job that is to apply a review is queued again itself, unless more has come than it has seen.
///
/// # Errors
/// When the database fails.
pub fn again(transaction: &Transaction<'_>, settings: &Analyze, study_uid: &str) -> store::Result<Decided> {
    let mut decided = Decided::default();
    for (task, set) in StudyTask::of_studies() {
        let study = Study::load(transaction, task, set, study_uid)?;
        let receiving = study.series.iter().any(|row| row.state == SeriesState::Receiving);
        let due = task.is_on(settings) && !receiving && views::select(set.views, &study.images(), true).is_some();
        if due && !study.resume(transaction, &mut decided)? {
            study.queue(transaction, "rerun", &mut decided)?;
        }
    }
    Ok(decided)
}

/// As [`again`], for a person who asks. A study whose pictures would be read, and of which some are no longer here, keeps the good
/// result that it has.
///
/// # Errors
/// When the database fails.
pub fn rerun(transaction: &Transaction<'_>, settings: &Analyze, study_uid: &str) -> store::Result<Decided> {
    if settings.reads_mammograms() {
        for (task, set) in StudyTask::of_studies() {
            let study = Study::load(transaction, task, set, study_uid)?;
            let has_result = study.series.iter().any(|row| row.state == SeriesState::Processed);
            if has_result && !study.is_here() {
                return Ok(Decided { left: Some(GONE), ..Decided::default() });
            }
        }
    }
    again(transaction, settings, study_uid)
}

/// Queues a task of a whole study once more, for a review that is signed: not when more is here, or coming, than the newest job has seen,
/// for nobody signs images that were not shown; and not when an image is gone, for then the marks in it would not be found again.
///
/// # Errors
/// When the database fails.
pub fn signed(
    transaction: &Transaction<'_>,
    task: StudyTask,
    study_uid: &str,
) -> store::Result<Result<i64, Unsignable>> {
    let Wants::Views(set) = task.wants() else { return Ok(Err(Unsignable::More)) };
    let mut decided = Decided::default();
    let study = Study::load(transaction, task, set, study_uid)?;
    if !study.is_covered() || study.series.iter().any(|row| row.state == SeriesState::Receiving) {
        return Ok(Err(Unsignable::More));
    }
    if !study.is_here() {
        return Ok(Err(Unsignable::Gone));
    }
    study.queue(transaction, "review", &mut decided)?;
    Ok(decided.jobs.pop().ok_or(Unsignable::Gone))
}

/// The studies that lack a verdict of a task: after a start they must be decided again.
///
/// # Errors
/// When the database fails.
pub fn undecided(connection: &Connection) -> store::Result<Vec<String>> {
    let mut studies = Vec::new();
    for (_, set) in StudyTask::of_studies() {
        studies.extend(series::studies_without_verdict(connection, set.kind)?);
    }
    studies.sort();
    studies.dedup();
    Ok(studies)
}

/// The part of a study that belongs to one task.
struct Study {
    task: StudyTask,
    study_uid: String,
    /// By id. Each has an image that counts: a job has only images as members, so that it never covers another series.
    series: Vec<SeriesRow>,
    /// Those of which no image counts any more: all were sent again, corrected, as part of another one.
    emptied: Vec<SeriesRow>,
    /// With the place of their series in `series`, in the order of arrival.
    instances: Vec<(usize, Instance)>,
    /// SOP Instance UIDs of those whose bytes are here.
    here: BTreeSet<String>,
    /// What the newest job of the task works on.
    covered: Vec<SeriesVersion>,
}

impl Study {
    fn load(connection: &Connection, task: StudyTask, set: ViewSet, study_uid: &str) -> store::Result<Self> {
        let (mut series, mut emptied) = (Vec::new(), Vec::new());
        let (mut instances, mut here) = (Vec::new(), BTreeSet::new());
        for row in series::of_study(connection, study_uid)?.into_iter().filter(|row| row.kind == set.kind) {
            let kept = instances::ids_of_series(connection, study_uid, &row.key.series_uid)?;
            let ever = instances::ever_of_series(connection, study_uid, &row.key.series_uid)?;
            // One that is being received is waited for, whatever has come of it.
            if ever.is_empty() && row.state != SeriesState::Receiving {
                emptied.push(row);
                continue;
            }
            for instance in ever {
                if kept.contains(&instance.id) {
                    here.insert(instance.header.sop_instance_uid.clone());
                }
                instances.push((series.len(), instance));
            }
            series.push(row);
        }
        instances.sort_by_key(|(_, instance)| instance.id);
        let covered = match jobs::newest_of_task(connection, study_uid, task.name())? {
            Some(job) => members::series_of_job(connection, job.id)?,
            None => Vec::new(),
        };
        Ok(Self { task, study_uid: study_uid.to_owned(), series, emptied, instances, here, covered })
    }

    fn modality(&self) -> &str {
        self.series.first().map_or("", |row| &row.modality)
    }

    /// Is everything that is there part of the newest job?
    fn is_covered(&self) -> bool {
        self.series.iter().all(|row| self.covers(row))
    }

    /// Are the bytes of all images here? Each image has its place: half a study may be evicted.
    fn is_here(&self) -> bool {
        self.instances.iter().all(|(_, instance)| self.here.contains(&instance.header.sop_instance_uid))
    }

    fn covers(&self, row: &SeriesRow) -> bool {
        self.covered.contains(&SeriesVersion { series_id: row.id, version: row.version })
    }

    fn images(&self) -> Vec<Image<'_>> {
        let mut images = Vec::new();
        for (place, instance) in &self.instances {
            let complete = self.series[*place].state != SeriesState::Receiving;
            images.push(Image { header: &instance.header, complete });
        }
        images
    }

    /// A verdict without a job for every series that has none and is in none.
    fn conclude(&self, transaction: &Transaction<'_>, verdict: &str, decided: &mut Decided) -> store::Result<()> {
        for row in &self.series {
            if row.state == SeriesState::Complete && row.verdict.is_none() && !self.covers(row) {
                series::conclude(transaction, row.id, SeriesEvent::Refused, verdict)?;
                decided.changed.push(row.id);
            }
        }
        Ok(())
    }

    /// Their verdict, where an earlier version of this software left them without one.
    fn conclude_emptied(&self, transaction: &Transaction<'_>, decided: &mut Decided) -> store::Result<()> {
        for row in self.emptied.iter().filter(|row| row.state == SeriesState::Complete && row.verdict.is_none()) {
            series::conclude(transaction, row.id, SeriesEvent::Refused, EMPTIED)?;
            decided.changed.push(row.id);
        }
        Ok(())
    }

    /// Queues the newest job again if it is parked and is to apply a review to all that is here. Returns whether it does.
    fn resume(&self, transaction: &Transaction<'_>, decided: &mut Decided) -> store::Result<bool> {
        let newest = jobs::newest_of_task(transaction, &self.study_uid, self.task.name())?;
        let Some(newest) = newest.filter(|_| self.is_covered()) else { return Ok(false) };
        let Some(job) = reviews::resume(transaction, newest.series_id, newest.version)? else { return Ok(false) };
        decided.jobs.push(job);
        decided.changed.extend(self.series.iter().map(|row| row.id));
        Ok(true)
    }

    /// A job on all images. It is anchored at the first series that is here; a series that had its verdict, or its job,
    /// begins a new version; so does one at which another job is anchored in this version, whether it is a member of that or not.
    fn queue(&self, transaction: &Transaction<'_>, by: &str, decided: &mut Decided) -> store::Result<()> {
        let now = store::now_utc();
        let mut anchor = None;
        let mut versions = Vec::new();
        for row in &self.series {
            let mut version = row.version;
            if row.state != SeriesState::Evicted {
                let has_job = jobs::state_of(transaction, row.id, row.version)?.is_some();
                if row.state != SeriesState::Complete || self.covers(row) || has_job {
                    version = series::completed(transaction, row.id, by, &now)?;
                }
                anchor.get_or_insert(SeriesVersion { series_id: row.id, version });
                decided.changed.push(row.id);
            }
            versions.push(version);
        }
        let Some(anchor) = anchor else { return Ok(()) }; // everything was evicted
        let mut images = Vec::new();
        for (place, instance) in &self.instances {
            let (series_id, version) = (self.series[*place].id, versions[*place]);
            images.push(MemberRow { series_id, version, instance_id: instance.id });
        }
        let task = self.task.name();
        let id = jobs::enqueue_study(transaction, task, anchor.series_id, anchor.version, &images, &now)?;
        let said = format!("{task} of {} images in {} series", images.len(), self.series.len());
        events::record(transaction, &format!("job/{id}"), "queued", &said)?;
        tracing::info!(job = id, study = self.study_uid, task, images = images.len(), "a task of the study is queued");
        decided.jobs.push(id);
        Ok(())
    }
}
