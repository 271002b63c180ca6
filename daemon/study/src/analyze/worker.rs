//! Takes jobs from the durable queue, one at a time, and carries each to its end: results on disk, rows written,
//! deliveries queued. A job that fails is retried, then parked with its reason; one that is interrupted is done again
//! and makes the same objects.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use custody::event::Event;
use custody::series::state;
use custody::store::jobs::{self, JobRow};
use custody::store::results::{self, ResultRow};
use custody::store::series::{self, SeriesRow};
use custody::store::{self, Durability, deliveries, events, instances};
use dicom::kind::SeriesKind;
use dicom::pixels::SliceRef;
use hal::backoff::Pauses;
use hal::urgency;
use models::task::Control;
use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::acquired::acquisition;
use super::engine::{self, Engine};
use super::examine::{self, Outcome, Subject};
use super::results::Results;
use super::shadow;
use super::task::StudyTask;
use crate::exam::develop;
use crate::model;
use crate::parts::StudyParts;
use crate::volume::build::VolumeError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Store(#[from] store::Error),
    #[error("{0}")]
    Spool(#[from] custody::spool::Error),
    #[error("{0}")]
    Volume(#[from] VolumeError),
    #[error("{0}")]
    Examine(#[from] examine::Error),
    #[error("{0}")]
    Exam(#[from] develop::Error),
    #[error("{what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    /// The thread of the analysis could not be started, or was ended from outside.
    #[error("the thread of the analysis ended")]
    ThreadEnded,
    #[error("the series has no instances")]
    NoInstances,
    /// It was read when it was received.
    #[error("instance {instance} cannot be read again: {reason}")]
    Unreadable { instance: i64, reason: String },
    #[error("the analysis panicked: {0}")]
    Panicked(String),
}

impl Error {
    /// Trying again is in vain: the task has no package.
    fn needs_people(&self) -> bool {
        let Self::Examine(examine::Error::Engine(engine::Error::Model(error))) = self else { return false };
        matches!(error, model::Error::NoPackage(_))
    }
}

/// Works until shutdown. A job that runs then goes back to the queue.
///
/// # Errors
/// When the queue cannot be read: without it nothing can be promised.
pub async fn run(parts: StudyParts, shutdown: CancellationToken) -> Result<(), Error> {
    let mut engine = Engine::new(parts.shelf.clone());
    let unload = Duration::from_secs(parts.settings.analyze.unload_secs.max(1));
    let stop = Arc::new(AtomicBool::new(false));
    loop {
        let (step_parts, step_stop) = (parts.clone(), stop.clone());
        let mut step = on_own_thread(parts.settings.live.is_on(), move || {
            let worked = work_once(&step_parts, &mut engine, &step_stop);
            (engine, worked)
        });
        let joined = tokio::select! {
            joined = &mut step => joined,
            () = shutdown.cancelled() => {
                stop.store(true, Ordering::Relaxed);
                step.await
            }
        };
        let (back, worked) = joined.map_err(|_| Error::ThreadEnded)?;
        engine = back;
        if shutdown.is_cancelled() {
            return Ok(());
        }
        let Next::Wait(until) = worked? else { continue };
        tokio::select! {
            () = parts.wake.notified() => {}
            () = tokio::time::sleep(until.unwrap_or(Duration::MAX).min(unload)) => {
                if until.is_none_or(|until| until > unload) && engine.unload() {
                    tracing::info!("model unloaded: nothing to do");
                }
            }
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// On a thread of its own: one that stepped back behind live work, as do the threads that a network starts from it, must
/// not be used for anything else afterwards.
fn on_own_thread<T: Send + 'static>(
    step_back: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (done, joined) = oneshot::channel();
    let thread = std::thread::Builder::new().name("analysis".into()).spawn(move || {
        if step_back {
            urgency::step_back();
        }
        let _ = done.send(work());
    });
    if let Err(error) = thread {
        tracing::error!(%error, "no thread for the analysis");
    }
    joined
}

enum Next {
    /// There may be more.
    Again,
    /// Nothing to do now; a job waits for its time, or none at all.
    Wait(Option<Duration>),
}

fn work_once(parts: &StudyParts, engine: &mut Engine, stop: &Arc<AtomicBool>) -> Result<Next, Error> {
    let mut connection = parts.store.connect(Durability::Full)?;
    let Some(job) = jobs::claim(&mut connection, &store::now_utc())? else {
        let due = jobs::next_not_before(&connection)?;
        return Ok(Next::Wait(due.map(|due| until(&due))));
    };
    let Some(row) = series::get(&connection, job.series_id)? else {
        return Ok(Next::Again); // foreign keys forbid it
    };
    let asked = Mutex::new((parts.store.connect(Durability::Rebuildable)?, Instant::now()));
    let control = JobControl { parts, job: &job, stop, asked, cancelled: AtomicBool::new(false) };
    control.announce("running", "volume", 0.0);
    tracing::info!(job = job.id, series = %row.key.series_uid, instances = row.instance_count, "analysis begins");
    // A panic in one job must not take the others down; it counts as a failure of this one.
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        carry(parts, engine, &connection, &job, &row, &control)
    }))
    .unwrap_or_else(|panic| Err(Error::Panicked(hal::panic::text(panic.as_ref()))));
    match done {
        Ok(Carried { verdict, beside }) => {
            tracing::info!(job = job.id, verdict, "analysis ended");
            control.announce("done", "done", 1.0);
            series_event(parts, &connection, job.series_id);
            parts.outbox_wake.notify_one();
            // The study is done and on its way: what a candidate does now cannot change it.
            if let Some(subject) = beside {
                shadow::run(engine, &parts.store, &subject, stop, &parts.precedence);
            }
        }
        Err(Error::Examine(examine::Error::Cancelled)) => {
            // Stopping: back into the queue, not held against the job. Superseded: the newer job does it.
            jobs::give_back(&connection, job.id)?;
            control.announce("queued", "interrupted", 0.0);
            if stop.load(Ordering::Relaxed) {
                return Ok(Next::Wait(None));
            }
        }
        Err(error) => {
            engine.unload();
            failed(parts, &mut connection, &job, &error)?;
        }
    }
    Ok(Next::Again)
}

/// What came of a job.
struct Carried {
    verdict: String,
    /// For a candidate package, when the series was processed.
    beside: Option<shadow::Subject>,
}

/// One job end to end.
fn carry(
    parts: &StudyParts,
    engine: &mut Engine,
    connection: &Connection,
    job: &JobRow,
    row: &SeriesRow,
    control: &JobControl<'_>,
) -> Result<Carried, Error> {
    match row.kind {
        SeriesKind::Exam => carry_exam(parts, job, row, control),
        _ => carry_series(parts, engine, connection, job, row, control),
    }
}

/// One job end to end, for an exam that was recorded here. Its recording goes when all is written.
fn carry_exam(parts: &StudyParts, job: &JobRow, row: &SeriesRow, control: &JobControl<'_>) -> Result<Carried, Error> {
    let begun = Instant::now();
    let spool = &parts.settings.spool.directory;
    let recording = develop::folder(spool, &row.key.series_uid);
    let mut folder = Results::begin(spool, job.id)?;
    let (device, record) = (&parts.settings.device, &parts.settings.record);
    let developed = develop::develop(&recording, device, record, control, &mut |object| folder.put(object))?;
    folder.add("latency.json", developed.latency.as_bytes())?;
    let rows = folder.finish(developed.simulated)?;
    let timings = [("report".to_owned(), begun.elapsed().as_secs_f64() * 1e3)];
    let verdict = developed.verdict;
    conclude(
        parts,
        job,
        Conclusion { verdict: &verdict, event: state::SeriesEvent::Processed, findings: None },
        &rows,
        &timings,
    )?;
    if let Err(error) = std::fs::remove_dir_all(&recording) {
        tracing::warn!(%error, "a recording that is delivered was not removed");
    }
    Ok(Carried { verdict, beside: None })
}

/// One job end to end, for a series that was received.
fn carry_series(
    parts: &StudyParts,
    engine: &mut Engine,
    connection: &Connection,
    job: &JobRow,
    row: &SeriesRow,
    control: &JobControl<'_>,
) -> Result<Carried, Error> {
    let begun = Instant::now();
    let kept = instances::of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
    let kept: Vec<_> = kept.into_iter().map(Arc::new).collect();
    let (volume, sources) = match parts.ahead.volume(&row.key, &kept) {
        Ok((volume, sources)) => (Ok(volume), sources),
        Err(error) if error.is_transient() => return Err(error.into()),
        Err(error) => (Err(error.to_string()), as_received(&kept)),
    };
    let Some(first) =
        sources.first().and_then(|first| kept.iter().find(|i| i.header.sop_instance_uid == first.sop_instance_uid))
    else {
        return Err(Error::NoInstances);
    };
    let scanned = dicom::scan::scan(parts.spool.reader(&first.location)?)
        .map_err(|error| Error::Unreadable { instance: first.id, reason: error.to_string() })?;
    let mut timings = vec![("volume".to_owned(), begun.elapsed().as_secs_f64() * 1e3)];
    let prior = super::prior::find(connection, &first.header)?;
    let tasks = StudyTask::of_series(&parts.settings.analyze, row.kind);
    let subject = Subject {
        tasks: &tasks,
        header: &first.header,
        elements: &scanned.elements,
        instances: &sources,
        volume: volume.as_ref().map_err(Clone::clone),
        created_utc: row.completed_utc.as_deref().unwrap_or(&job.created_utc),
        prior: prior.as_ref(),
    };
    let examined = examine::examine(engine, &parts.settings.device, &subject, control)?;
    timings.extend(examined.timings_ms.iter().cloned());

    let writing = Instant::now();
    let mut folder = Results::begin(&parts.settings.spool.directory, job.id)?;
    examined.objects.iter().try_for_each(|object| folder.put(object))?;
    let rows = folder.finish(examined.simulated)?;
    timings.push(("store".into(), writing.elapsed().as_secs_f64() * 1e3));
    timings.push(("total".into(), begun.elapsed().as_secs_f64() * 1e3));
    let findings = match &examined.outcome {
        Outcome::Processed(findings) => Some(serde_json::to_string(findings).map_err(store::Error::from)?),
        Outcome::Quality(_) | Outcome::Refused(_) => None,
    };
    let event = if findings.is_some() { state::SeriesEvent::Processed } else { state::SeriesEvent::Refused };
    let verdict = examined.verdict;
    conclude(parts, job, Conclusion { verdict: &verdict, event, findings: findings.as_deref() }, &rows, &timings)?;
    let acquisition = acquisition(&first.header, &scanned.elements);
    let beside = match (examined.outcome, volume, examined.package) {
        (Outcome::Processed(findings), Ok(volume), Some(active)) => {
            let active_ms = findings.timings_ms.iter().map(|(_, ms)| ms).sum();
            Some(shadow::Subject { job_id: job.id, volume, acquisition, findings, active, active_ms })
        }
        _ => None,
    };
    Ok(Carried { verdict, beside })
}

/// References for a series that makes no volume.
fn as_received(kept: &[Arc<custody::instance::Instance>]) -> Vec<SliceRef> {
    kept.iter()
        .map(|instance| SliceRef {
            sop_class_uid: instance.header.sop_class_uid.clone(),
            sop_instance_uid: instance.header.sop_instance_uid.clone(),
            frame: None,
            position_mm: instance.header.image_position.unwrap_or_default(),
        })
        .collect()
}

/// What a job comes to.
#[derive(Clone, Copy)]
struct Conclusion<'a> {
    verdict: &'a str,
    /// Of the series.
    event: state::SeriesEvent,
    /// As JSON.
    findings: Option<&'a str>,
}

/// The one transaction that ends a job: results, deliveries, job and series, all or nothing.
fn conclude(
    parts: &StudyParts,
    job: &JobRow,
    conclusion: Conclusion<'_>,
    rows: &[ResultRow],
    timings: &[(String, f64)],
) -> Result<(), Error> {
    let mut connection = parts.store.connect(Durability::Full)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(store::Error::from)?;
    if !jobs::is_current(&transaction, job.id)? {
        return Err(examine::Error::Cancelled.into());
    }
    let now = store::now_utc();
    let mut ids = Vec::new();
    for row in rows {
        ids.extend(results::insert(&transaction, row)?);
    }
    results::supersede_older(&transaction, job.series_id, job.version)?;
    let destinations: Vec<String> = parts.settings.destination.keys().cloned().collect();
    deliveries::enqueue(&transaction, &ids, &destinations, &now)?;
    for (name, destination) in &parts.settings.destination {
        deliveries::apply_simulated(&transaction, name, destination.accepts_simulated, &now)?;
    }
    let timings = serde_json::to_string(timings).map_err(store::Error::from)?;
    jobs::done(&transaction, job.id, conclusion.findings, &timings, &now)?;
    series::conclude(&transaction, job.series_id, conclusion.event, conclusion.verdict)?;
    events::record(&transaction, &format!("series/{}", job.series_id), "concluded", conclusion.verdict)?;
    transaction.commit().map_err(store::Error::from)?;
    Ok(())
}

/// Retry with back-off; or park when it failed too often, or when only people can help.
fn failed(parts: &StudyParts, connection: &mut Connection, job: &JobRow, error: &Error) -> Result<(), Error> {
    let settings = &parts.settings.analyze;
    let reason = &error.to_string();
    let attempts = job.attempts + 1;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(store::Error::from)?;
    if !jobs::is_current(&transaction, job.id)? {
        return Ok(()); // a newer job does the work
    }
    let subject = format!("job/{}", job.id);
    let state = if error.needs_people() {
        park(&transaction, job, reason)?;
        "parked"
    } else if attempts < settings.max_attempts {
        let first = Duration::try_from_secs_f64(settings.retry_secs).unwrap_or_default();
        let wait = Pauses::new(first, Duration::MAX).after(attempts);
        tracing::warn!(
            job = job.id,
            attempts,
            reason,
            wait_secs = wait.as_secs_f64(),
            "analysis failed, will be tried again"
        );
        jobs::retry(&transaction, job.id, reason, &store::utc_after(wait))?;
        events::record(&transaction, &subject, "failed, will be tried again", reason)?;
        "queued"
    } else {
        park(&transaction, job, &format!("analysis failed {attempts} times: {reason}"))?;
        "parked"
    };
    transaction.commit().map_err(store::Error::from)?;
    let _ = parts.events.send(Event::Job {
        id: job.id,
        series_id: job.series_id,
        state: state.into(),
        stage: "failed".into(),
        fraction: 0.0,
    });
    series_event(parts, connection, job.series_id);
    Ok(())
}

/// Puts a job aside for good, with its reason, and gives its series a verdict: never silence.
///
/// # Errors
/// When the database fails.
pub fn park(transaction: &rusqlite::Transaction<'_>, job: &JobRow, reason: &str) -> Result<(), store::Error> {
    tracing::error!(job = job.id, reason, "analysis parked");
    jobs::park(transaction, job.id, reason, &store::now_utc())?;
    let verdict = format!("not analysed: {reason}; try again with `scansidectl studies rerun`");
    series::conclude(transaction, job.series_id, state::SeriesEvent::Refused, &verdict)?;
    events::record(transaction, &format!("job/{}", job.id), "parked", reason)
}

fn series_event(parts: &StudyParts, connection: &Connection, id: i64) {
    if let Ok(Some(row)) = series::get(connection, id) {
        let _ = parts.events.send(Event::series(&row));
    }
}

/// Progress to the bus, and the question whether to go on.
struct JobControl<'a> {
    parts: &'a StudyParts,
    job: &'a JobRow,
    stop: &'a Arc<AtomicBool>,
    /// A connection for questions, and when the last one was asked.
    asked: Mutex<(Connection, Instant)>,
    cancelled: AtomicBool,
}

impl JobControl<'_> {
    fn announce(&self, state: &str, stage: &str, fraction: f64) {
        let _ = self.parts.events.send(Event::Job {
            id: self.job.id,
            series_id: self.job.series_id,
            state: state.into(),
            stage: stage.into(),
            fraction,
        });
    }
}

impl Control for JobControl<'_> {
    fn progress(&self, stage: &str, fraction: f64) {
        // Before each patch of the network.
        if stage == "inference" {
            self.parts.precedence.give_way(urgency::LONGEST_WAIT);
        }
        self.announce("running", stage, super::overall(stage, fraction));
    }

    fn cancelled(&self) -> bool {
        /// Asking the database costs a little: often enough for a person, rarely enough for the work.
        const LOOK_EVERY: Duration = Duration::from_millis(250);
        if self.stop.load(Ordering::Relaxed) || self.cancelled.load(Ordering::Relaxed) {
            return true;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.1.elapsed() < LOOK_EVERY {
            return false;
        }
        asked.1 = Instant::now();
        let superseded = !jobs::is_current(&asked.0, self.job.id).unwrap_or(true);
        self.cancelled.store(superseded, Ordering::Relaxed);
        superseded
    }
}

fn until(utc: &str) -> Duration {
    utc.parse::<jiff::Timestamp>()
        .ok()
        .and_then(|due| Duration::try_from(due - jiff::Timestamp::now()).ok())
        .unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_panic_is_called_a_panic() {
        let ordinary = [
            Error::ThreadEnded,
            Error::NoInstances,
            Error::Unreadable { instance: 7, reason: "the disk is gone".into() },
        ];
        for error in ordinary {
            assert!(!error.to_string().contains("panic"), "{error}");
        }
        assert_eq!(Error::Panicked("index 3".into()).to_string(), "the analysis panicked: index 3");
    }
}
