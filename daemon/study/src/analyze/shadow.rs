//! Shadow mode: a candidate reads the same volume after the active package, and where the two differ becomes a row.
//! Nothing of it is in a result, and nothing that happens to it happens to the study, which is done by then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use custody::store::shadows::{self, ShadowRow};
use custody::store::{self, Durability, Store, jobs};
use hal::urgency::{LONGEST_WAIT, Precedence};
use models::task::{self, CT_CHEST, Control};
use models::{Acquisition, ChestFindings, Volume};
use rusqlite::Connection;

use super::compare;
use super::engine::{self, Engine};

/// What the active package was given, and what it made of it.
#[derive(Debug)]
pub struct Subject {
    pub job_id: i64,
    pub volume: Volume,
    pub acquisition: Acquisition,
    pub findings: ChestFindings,
    /// Id and version of the active package.
    pub active: String,
    /// How long its task took, ms.
    pub active_ms: f64,
}

/// Runs the candidate, if there is one, and records what came of it; a failure is recorded too. Gives way when the
/// appliance stops (nothing is recorded then) or an urgent job waits.
pub fn run(engine: &mut Engine, store: &Store, subject: &Subject, stop: &AtomicBool, precedence: &Precedence) {
    let Some(candidate) = engine.shadow(CT_CHEST) else { return };
    let asked = match store.connect(Durability::Rebuildable) {
        Ok(connection) => Mutex::new((connection, Instant::now())),
        Err(error) => {
            tracing::warn!(%error, "no shadow run");
            return;
        }
    };
    let control = GiveWay { stop, asked, urgent: AtomicBool::new(false), precedence };
    let begun = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        engine.chest_ct_beside(&candidate, &subject.volume, &subject.acquisition, &control)
    }));
    let (differences, failure) = match outcome {
        Ok(Ok(findings)) => (compare::compare(&subject.findings, &findings), None),
        Ok(Err(engine::Error::Task(error))) if error.kind() == task::TaskFault::Cancelled => {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            (Vec::new(), Some("gave way to an urgent study".to_owned()))
        }
        Ok(Err(error)) => (Vec::new(), Some(error.to_string())),
        Err(_) => (Vec::new(), Some("it panicked".to_owned())),
    };
    let row = ShadowRow {
        id: 0,
        job_id: subject.job_id,
        utc: store::now_utc(),
        task: CT_CHEST.into(),
        active: subject.active.clone(),
        candidate: candidate.key.to_string(),
        active_ms: subject.active_ms,
        candidate_ms: begun.elapsed().as_secs_f64() * 1e3,
        differing: u32::try_from(differences.iter().filter(|one| one.differs).count()).unwrap_or(u32::MAX),
        differences: serde_json::to_string(&differences).unwrap_or_default(),
        failure,
    };
    let (candidate, differing, failure) = (&row.candidate, row.differing, &row.failure);
    tracing::info!(job = subject.job_id, candidate, differing, failure, "shadow run");
    let kept = store.connect(Durability::Rebuildable).and_then(|connection| shadows::insert(&connection, &row));
    if let Err(error) = kept {
        tracing::warn!(%error, "a shadow run could not be recorded");
    }
}

struct GiveWay<'a> {
    stop: &'a AtomicBool,
    /// A connection for the question, and when it was asked last.
    asked: Mutex<(Connection, Instant)>,
    urgent: AtomicBool,
    precedence: &'a Precedence,
}

impl Control for GiveWay<'_> {
    fn progress(&self, stage: &str, _fraction: f64) {
        if stage == "inference" {
            self.precedence.give_way(LONGEST_WAIT);
        }
    }

    fn cancelled(&self) -> bool {
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        if self.stop.load(Ordering::Relaxed) || self.urgent.load(Ordering::Relaxed) {
            return true;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.1.elapsed() < LOOK_EVERY {
            return false;
        }
        asked.1 = Instant::now();
        let urgent = jobs::urgent_waits(&asked.0).unwrap_or(false);
        self.urgent.store(urgent, Ordering::Relaxed);
        urgent
    }
}
