//! Looks at the sensors of the machine, and tells page, bus, figures, log and events when it is hot, throttled, or neither.
//!
//! ```text
//! thread sensors: hal::sensors --Readings--> run: condition::Watcher --Report (watch)--> page, bus, metrics
//!                                                                  `--> note: a row of `events` for each change
//! ```

mod words;

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use custody::store::{Durability, Store, events};
use hal::sensors::condition::{Condition, Watcher};
use hal::sensors::{Cause, Readings, Sensors};
use hal::urgency;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

pub use words::Words;

/// Sensors that have not answered by then are silent for this look.
const PATIENCE: Duration = Duration::from_secs(4);
/// A row that could not be written is tried again after so long.
const NOTE_AGAIN: Duration = Duration::from_secs(5);

/// The last look at the sensors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    pub condition: Condition,
    /// Why it is throttled.
    pub cause: Option<Cause>,
    pub readings: Arc<Readings>,
    /// The first look is over.
    pub looked: bool,
}

impl Report {
    /// What people should know and do; empty while all is well, and where nothing can be read.
    pub fn words(&self) -> Words {
        words::of(self)
    }
}

pub type Told = watch::Receiver<Report>;

pub fn channel() -> (watch::Sender<Report>, Told) {
    watch::channel(Report::default())
}

/// Looks every so often until shutdown. Without sensors it only waits. They are read on a thread of their own, after all other work:
/// one that hangs holds up nobody, and there is never a second one.
pub async fn run(
    sensors: Option<Box<dyn Sensors>>,
    every: Duration,
    told: watch::Sender<Report>,
    shutdown: CancellationToken,
) {
    let Some(mut reader) = sensors.and_then(Reader::start) else {
        shutdown.cancelled().await;
        return;
    };
    let mut watcher = Watcher::default();
    let started = Instant::now();
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = shutdown.cancelled() => return,
        }
        let readings = tokio::select! {
            readings = reader.look() => readings,
            () = shutdown.cancelled() => return,
        };
        watcher = watcher.next(&readings, started.elapsed());
        let report = Report {
            condition: watcher.condition(),
            cause: watcher.cause(),
            readings: Arc::new(readings),
            looked: true,
        };
        let before = told.borrow().clone();
        if changed(&before, &report) {
            announce(&report);
        }
        told.send_if_modified(|now| {
            let differs = *now != report;
            *now = report;
            differs
        });
    }
}

/// Whether people are told. That the first look finds all well, or nothing, is no news.
fn changed(before: &Report, now: &Report) -> bool {
    let same = (before.condition, before.cause) == (now.condition, now.cause);
    !same && (before.looked || now.condition > Condition::Normal)
}

fn announce(report: &Report) {
    let words = report.words();
    match report.condition {
        Condition::Hot | Condition::Throttled => tracing::warn!("{}", words.en),
        Condition::Normal => tracing::info!("the box is neither hot nor throttled"),
        Condition::Unknown => tracing::warn!("the sensors of the machine have fallen silent"),
    }
}

/// The thread that reads. It ends with this, or once a read that hangs returns.
struct Reader {
    ask: SyncSender<()>,
    answers: mpsc::Receiver<Readings>,
}

impl Reader {
    fn start(mut sensors: Box<dyn Sensors>) -> Option<Self> {
        let (ask, asked) = sync_channel(1);
        let (answer, answers) = mpsc::channel(1);
        let read = move || {
            urgency::step_back();
            while asked.recv().is_ok() && answer.blocking_send(sensors.read()).is_ok() {}
        };
        match std::thread::Builder::new().name("sensors".into()).spawn(read) {
            Ok(_) => Some(Self { ask, answers }),
            Err(error) => {
                tracing::error!(%error, "the sensors of the machine cannot be read");
                None
            }
        }
    }

    /// One reading; an empty one when none comes in time.
    async fn look(&mut self) -> Readings {
        // What came too late is of an earlier look.
        while self.answers.try_recv().is_ok() {}
        match self.ask.try_send(()) {
            // Full: it still reads.
            Ok(()) | Err(TrySendError::Full(())) => {}
            Err(TrySendError::Disconnected(())) => {
                // It has crashed; the panic is in the log.
                tokio::time::sleep(PATIENCE).await;
                return Readings::default();
            }
        }
        tokio::time::timeout(PATIENCE, self.answers.recv()).await.ok().flatten().unwrap_or_default()
    }
}

/// What stands in `events` already. Kept while the database is opened again.
#[derive(Debug, Clone, Default)]
pub struct Noted(Arc<Mutex<Report>>);

/// Writes a row for each change, until `end`. A change that could not be written is compared again later: the present state is always
/// told, what came and went meanwhile may not be.
///
/// # Errors
/// None.
pub async fn note(
    store: Store,
    noted: Noted,
    mut told: Told,
    end: CancellationToken,
) -> Result<(), std::convert::Infallible> {
    loop {
        let now = told.borrow_and_update().clone();
        let before = noted.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut written = true;
        if now.looked && changed(&before, &now) {
            let (store, row) = (store.clone(), now.clone());
            let done = tokio::task::spawn_blocking(move || write(&store, &row)).await;
            written = matches!(done, Ok(Ok(())));
        }
        if written && now.looked {
            *noted.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
        tokio::select! {
            changed = told.changed(), if written => if changed.is_err() {
                end.cancelled().await;
                return Ok(());
            },
            () = tokio::time::sleep(NOTE_AGAIN), if !written => {}
            () = end.cancelled() => return Ok(()),
        }
    }
}

fn write(store: &Store, report: &Report) -> custody::store::Result<()> {
    let connection = store.connect(Durability::Rebuildable)?;
    let what = match report.condition {
        Condition::Unknown => "no sensor answers",
        Condition::Normal => "neither hot nor throttled",
        Condition::Hot => "hot",
        Condition::Throttled => "throttled",
    };
    events::record(&connection, "machine", what, &report.words().en)
}

#[cfg(test)]
mod tests;
