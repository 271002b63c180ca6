//! The queue loop: takes jobs one at a time and sees each to its end. A job that fails is retried, then parked with its
//! reason; one that is interrupted is done again and makes the same objects.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use custody::event::Event;
use custody::series::SeriesState;
use custody::store::jobs::{self, JobRow};
use custody::store::series::{self, SeriesRow};
use custody::store::{self, Durability, events};
use dicom::kind::SeriesKind;
use hal::backoff::Backoff;
use hal::clock::Wall;
use hal::urgency;
use models::registry::Registry;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, oneshot};
use tokio_util::sync::CancellationToken;

use super::carry::{self, Carried};
use super::conclude;
use super::control::JobControl;
use super::engine::Engine;
use super::error::Error;
use super::results::Results;
use super::{room, shadow};
use crate::exam::analysis;
use crate::model::Hosts;
use crate::parts::StudyParts;
use crate::{PAUSES, choosing, priors, wait_for_database};

/// Works until shutdown. A job that runs then goes back to the queue. An error of the database is waited out; the job that
/// it hit goes back to the queue when the database can be written again.
///
/// # Errors
/// When no thread can be started.
pub async fn run(parts: StudyParts, shutdown: CancellationToken) -> Result<(), Error> {
    let hosts = Hosts::new(&parts.settings.inference_host);
    let mut engine = Engine::new(parts.shelf.clone()).with_hosts(hosts);
    let unload = Duration::from_secs(parts.settings.analyze.unload_secs.max(1));
    let stop = Arc::new(AtomicBool::new(false));
    let (started, mut backoff) = (Instant::now(), Backoff::new(PAUSES));
    let mut heard = parts.events.subscribe();
    loop {
        let (step_parts, step_stop) = (parts.clone(), stop.clone());
        let owed = backoff.has_failed();
        let mut step = on_own_thread(parts.settings.live.is_on(), move || {
            let worked =
                give_back_owed(&step_parts, owed).and_then(|()| work_once(&step_parts, &mut engine, &step_stop));
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
        let worked = match worked {
            Ok(worked) => worked,
            Err(error) => {
                let pause = backoff.failed(started.elapsed());
                if !wait_for_database(&parts.store, &error, pause, &shutdown).await {
                    return Ok(());
                }
                continue;
            }
        };
        backoff.succeeded();
        let Next::Wait(until) = worked else { continue };
        tokio::select! {
            () = parts.wake.notified() => {}
            () = of_packages(&mut heard) => {}
            () = tokio::time::sleep(until.unwrap_or(Duration::MAX).min(unload)) => {
                if until.is_none_or(|until| until > unload) && engine.unload() {
                    tracing::info!("model unloaded: nothing to do");
                }
            }
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Until something is heard of model packages.
async fn of_packages(heard: &mut broadcast::Receiver<Event>) {
    loop {
        match heard.recv().await {
            Ok(Event::Model { .. }) => return,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Runs `work` on a thread of its own. A raised nice value cannot be lowered again and is inherited by the threads of ONNX
/// Runtime, so a thread that stepped back behind live work must not return to a pool.
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

/// The longest pause of a job that has not failed, but for quiet times that are configured.
const SOON: Duration = Duration::from_secs(60);

enum Next {
    /// There may be more.
    Again,
    /// Nothing to do now; a job waits for its time, or none at all.
    Wait(Option<Duration>),
}

/// After an error: the job that could not be ended is said to run still, and there is no other worker.
fn give_back_owed(parts: &StudyParts, owed: bool) -> store::Result<()> {
    if owed {
        jobs::give_all_back(&parts.store.connect(Durability::Full)?)?;
    }
    Ok(())
}

/// Jobs that were parked for want of a package are taken up when there is one, oldest first. `true`: there are any.
fn take_up(parts: &StudyParts, engine: &Engine, connection: &mut Connection) -> store::Result<bool> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut changed = Vec::new();
    for task in engine.usable() {
        changed.extend(jobs::resume(&transaction, &Registry::lack(task), "there is a model package now")?);
    }
    transaction.commit()?;
    for id in &changed {
        if let Some(row) = series::get(connection, *id)? {
            let _ = parts.events.send(Event::series(&row));
        }
    }
    if !changed.is_empty() {
        tracing::info!(series = changed.len(), "analysed now: there is a model package");
    }
    Ok(!changed.is_empty())
}

/// Takes one job and sees it to its end.
///
/// # Errors
/// Of the database: the job could not be taken, or its end not be written.
fn work_once(parts: &StudyParts, engine: &mut Engine, stop: &Arc<AtomicBool>) -> store::Result<Next> {
    let mut connection = parts.store.connect(Durability::Full)?;
    let wall = Wall::default();
    let moved = jobs::not_after(&connection, &wall.utc_after(conclude::pauses(&parts.settings.analyze).longest))?;
    if moved > 0 {
        tracing::warn!(jobs = moved, "jobs waited for a time that the clock cannot have set; they wait for one pause");
    }
    // One that waits for images, room or priors is looked at again within this, whatever the clock did.
    let settings = &parts.settings;
    let soon = SOON.max(Duration::from_secs_f64(settings.study.quiet_secs.max(settings.series.quiet_secs)));
    jobs::soon_not_after(&connection, &wall.utc_after(soon))?;
    let Some(job) = jobs::claim(&mut connection, &wall.now_utc())? else {
        if take_up(parts, engine, &mut connection)? {
            return Ok(Next::Again);
        }
        let due = jobs::next_not_before(&connection)?;
        return Ok(Next::Wait(due.map(|due| wall.until(&due))));
    };
    let Some(row) = series::get(&connection, job.series_id)? else {
        return Ok(Next::Again); // foreign keys forbid it
    };
    if row.kind == SeriesKind::Ultrasound && row.state == SeriesState::Receiving {
        // When it is complete again its new job takes the place of this one.
        let then = store::utc_after(Duration::from_secs_f64(settings.study.quiet_secs));
        jobs::postpone(&connection, job.id, "more images of the series are being received", &then)?;
        return Ok(Next::Again);
    }
    let most = Duration::from_secs_f64(settings.study.quiet_secs);
    if choosing::waits(&connection, &settings.analyze, &job, &row, most)? {
        let then = store::utc_after(Duration::from_secs_f64(settings.series.quiet_secs));
        jobs::postpone(&connection, job.id, "another series of the study is being received", &then)?;
        return Ok(Next::Again);
    }
    if let Some(why) = priors::waits(&mut connection, &settings.prior, &job, &row)? {
        jobs::postpone(&connection, job.id, why, &store::utc_after(priors::LOOK_AGAIN))?;
        // A rerun asks here.
        parts.priors_bell.notify_one();
        return Ok(Next::Again);
    }
    if let Err(no_room) = room::check(parts, &connection, &job, &row) {
        // Others may have room meanwhile.
        room::wait(parts, &connection, &job, &no_room)?;
        return Ok(Next::Again);
    }
    let control = JobControl::new(parts, &job, stop)?;
    control.announce("running", "volume", 0.0);
    let stays = |rows: &Connection| conclude::stays_here(rows, &job, settings.prior.deliver);
    analysis::begun(parts, &mut connection, &job, &row, stays);
    tracing::info!(job = job.id, series = %row.key.series_uid, instances = row.instance_count, "analysis begins");
    let own_study = parts.own_studies.claim();
    let done = carried(parts, engine, &connection, &job, &row, &control);
    drop(own_study);
    parts.ahead.done();
    for told in engine.take_told() {
        events::record(&connection, &format!("job/{}", job.id), "inference host", &told)?;
    }
    match done {
        Ok(Carried { verdict, beside }) => {
            tracing::info!(job = job.id, verdict, "analysis ended");
            control.announce("done", "done", 1.0);
            conclude::series_events(parts, &connection, &job);
            parts.outbox_wake.notify_one();
            // The study is done and on its way: what a candidate does now cannot change it.
            if let Some(subject) = beside {
                shadow::run(engine, &parts.store, &subject, stop, &parts.precedence);
            }
        }
        Err(error) if error.is_interruption() => {
            // Stopping: back into the queue, not held against the job. Superseded: the newer job does it.
            jobs::give_back(&connection, job.id)?;
            control.announce("queued", "interrupted", 0.0);
            if stop.load(Ordering::Relaxed) {
                return Ok(Next::Wait(None));
            }
        }
        Err(error) => {
            engine.unload();
            // What was written of its results would keep room that others need.
            Results::clear(&parts.settings.spool.directory, job.id);
            if error.passes() {
                if let Error::Store(error) = &error {
                    parts.store.failed(error);
                }
                room::wait(parts, &connection, &job, &error)?;
                return Ok(Next::Again);
            }
            conclude::failed(parts, &mut connection, &job, &error)?;
        }
    }
    Ok(Next::Again)
}

/// A panic in one job must not take the others down; it counts as a failure of this one.
fn carried(
    parts: &StudyParts,
    engine: &mut Engine,
    connection: &Connection,
    job: &JobRow,
    row: &SeriesRow,
    control: &JobControl<'_>,
) -> Result<Carried, Error> {
    let work = AssertUnwindSafe(|| carry::job(parts, engine, connection, job, row, control));
    match std::panic::catch_unwind(work) {
        Ok(done) => done,
        Err(panic) => Err(Error::Panicked(hal::panic::text(panic.as_ref()))),
    }
}
