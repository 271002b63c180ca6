//! How a running job talks to the outside: its progress to the bus, and whether it must stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use custody::event::Event;
use custody::store::jobs::{self, JobRow};
use custody::store::{self, Durability};
use hal::urgency;
use models::task::{Control, Watch};
use rusqlite::Connection;

use crate::parts::StudyParts;

/// How often the database is asked whether the job is still wanted: often enough for a person, rarely enough for the work.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// The control of one job.
pub(super) struct JobControl<'a> {
    parts: &'a StudyParts,
    job: &'a JobRow,
    wanted: Arc<Wanted>,
}

/// Whether a job is still wanted.
struct Wanted {
    job: i64,
    /// The daemon shuts down.
    stop: Arc<AtomicBool>,
    question: Mutex<Question>,
    /// A newer job has taken the place of this one.
    superseded: AtomicBool,
}

/// A connection to ask with, and when it was last used.
struct Question {
    connection: Connection,
    asked: Instant,
}

impl<'a> JobControl<'a> {
    /// # Errors
    /// When the database cannot be opened.
    pub(super) fn new(parts: &'a StudyParts, job: &'a JobRow, stop: &Arc<AtomicBool>) -> store::Result<Self> {
        let connection = parts.store.connect(Durability::Rebuildable)?;
        let question = Mutex::new(Question { connection, asked: Instant::now() });
        let wanted = Wanted { job: job.id, stop: stop.clone(), question, superseded: AtomicBool::new(false) };
        Ok(Self { parts, job, wanted: Arc::new(wanted) })
    }

    /// Tells state and stage; `fraction` (0 to 1) is that of the whole job.
    pub(super) fn announce(&self, state: &str, stage: &str, fraction: f64) {
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
        // Before each patch of the network: the place to let live work go first.
        if stage == "inference" {
            self.parts.precedence.give_way(urgency::LONGEST_WAIT);
        }
        self.announce("running", stage, super::overall(stage, fraction));
    }

    fn cancelled(&self) -> bool {
        self.wanted.is_over()
    }

    fn watch(&self) -> Option<Watch> {
        let wanted = self.wanted.clone();
        Some(Arc::new(move || wanted.is_over()))
    }
}

impl Wanted {
    fn is_over(&self) -> bool {
        if self.stop.load(Ordering::Relaxed) || self.superseded.load(Ordering::Relaxed) {
            return true;
        }
        let mut question = self.question.lock().unwrap_or_else(PoisonError::into_inner);
        if question.asked.elapsed() < ASK_EVERY {
            return false;
        }
        question.asked = Instant::now();
        let current = jobs::is_current(&question.connection, self.job).unwrap_or(true);
        if !current {
            self.superseded.store(true, Ordering::Relaxed);
        }
        !current
    }
}
