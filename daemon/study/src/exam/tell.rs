//! Tells the manager (RIS) of the box's own exams and, where it wants that, of its analyses. What is to be told are rows (`custody::store::own_steps`), so neither a restart nor
//! a manager that is away for days loses anything, and no exam and no picture waits for it.
//!
//! The oldest exam is told first, each from its beginning to its end over the same association. A message that the manager
//! refuses for good parks its step, and the others go on.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use custody::store::own_steps::{self, Message, OwnStep, Told};
use custody::store::{self, Store};
use hal::backoff::{Backoff, Pauses};
use hal::clock::Wall;
use node::manager::answer::Fate;
use node::manager::{Line, Outcome};
use node::send::Target;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::step::{self, Parked, Rules};

/// Steps that are told over one association.
const BATCH: u32 = 64;
/// Rows and journals are looked at this often even without a bell.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(5);
/// A manager that has taken a step so often and does not know it later is not asked again.
const MOST_FORGOTTEN: u32 = 3;

/// What the task needs.
#[derive(Debug, Clone)]
pub struct Teller {
    pub store: Store,
    /// The spool's folder.
    pub spool: PathBuf,
    pub rules: Rules,
    pub target: Target,
    pub pauses: Pauses,
    /// Rung when an exam has begun, was given to a patient, or has come to its results.
    pub bell: Arc<Notify>,
    pub wall: Wall,
}

impl Teller {
    /// Runs until shutdown. An error of the database is waited out.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let since = Instant::now();
        let mut backoff = Backoff::new(self.pauses);
        let mut is_first = true;
        let parked = Arc::new(Mutex::new(Parked::default()));
        loop {
            let round = async {
                if is_first {
                    let now = self.wall.now_utc();
                    self.store.rows(move |rows| own_steps::unpark(rows, &now)).await?;
                    is_first = false;
                }
                self.round(&mut backoff, since, &parked).await
            };
            let done = tokio::select! {
                done = round => done,
                // What was not answered is told again after the restart.
                () = shutdown.cancelled() => return Ok(()),
            };
            let wait = done.unwrap_or_else(|error| {
                self.store.failed(&error);
                warn!("what the manager is to be told waits: {error}");
                PAUSE
            });
            tokio::select! {
                _ = timeout(wait, self.bell.notified()) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    /// Notes what is new and tells what is due. Returns how long nothing is to be done, unless the bell rings.
    async fn round(
        &self,
        backoff: &mut Backoff,
        since: Instant,
        parked: &Arc<Mutex<Parked>>,
    ) -> store::Result<Duration> {
        let parked = parked.clone();
        let (spool, rules, wall) = (self.spool.clone(), self.rules.clone(), self.wall.clone());
        let longest = self.pauses.longest;
        let (due, next) = self
            .store
            .rows(move |rows| {
                step::look(rows, &spool, &rules, &wall, &mut parked.lock().unwrap_or_else(PoisonError::into_inner))?;
                own_steps::not_after(rows, &wall.utc_after(longest))?;
                Ok((own_steps::due(rows, &wall.now_utc(), BATCH)?, own_steps::next_due(rows)?))
            })
            .await?;
        if due.is_empty() {
            let next = next.map_or(LOOK_AGAIN, |utc| self.wall.until(&utc) + Duration::from_millis(1));
            return Ok(next.min(LOOK_AGAIN));
        }
        if !backoff.is_due(since.elapsed()) {
            let over = backoff.pause();
            return Ok(over.min(LOOK_AGAIN));
        }
        match Line::open(&self.target).await {
            Ok(line) => {
                let went = self.tell_all(line, due).await?;
                if went {
                    backoff.succeeded();
                    return Ok(Duration::ZERO);
                }
                Ok(backoff.failed(since.elapsed()).min(LOOK_AGAIN))
            }
            Err(error) => {
                let reason = error.to_string();
                if !backoff.has_failed() {
                    warn!(steps = due.len(), "the manager is not told of exams: {reason}");
                }
                self.store.rows(move |rows| own_steps::waits(rows, &reason)).await?;
                Ok(backoff.failed(since.elapsed()).min(LOOK_AGAIN))
            }
        }
    }

    /// Whether the association lasted to its end.
    async fn tell_all(&self, mut line: Line, due: Vec<OwnStep>) -> store::Result<bool> {
        for mut step in due {
            // From the beginning to the end, as far as it goes.
            while let Some(message) = step.told.next(step.ended.is_some()) {
                if line.is_over() {
                    return Ok(false);
                }
                let Some(outcome) = tell(&mut line, &step, message).await else {
                    let reason = "what is to be told of this exam cannot be read: it was written by another version";
                    self.park(&step, reason).await?;
                    break;
                };
                if !self.note(&step, message, outcome).await? {
                    break;
                }
                let id = step.id;
                let Some(now) = self.store.rows(move |rows| own_steps::get(rows, id)).await? else { break };
                step = now;
            }
        }
        let lasted = !line.is_over();
        line.release().await;
        Ok(lasted)
    }

    /// Writes down what became of a message. `true`: the step goes on.
    async fn note(&self, step: &OwnStep, message: Message, outcome: Outcome) -> store::Result<bool> {
        let Outcome { fate, words } = outcome;
        let (id, now) = (step.id, self.wall.now_utc());
        let of = if step.is_analysis { "an analysis" } else { "an exam" };
        let (told, what) = match message {
            Message::Begin => (Told::Begun, "begun"),
            Message::End => (Told::Ended, "ended"),
        };
        match fate {
            Fate::Taken | Fate::Remarked | Fate::Had => {
                let remark = (fate != Fate::Taken).then_some(words);
                match &remark {
                    Some(words) => warn!(step = id, "the manager was told that {of} has {what}: {words}"),
                    None => info!(step = id, "the manager was told that {of} has {what}"),
                }
                self.store.written(move |rows| own_steps::told(rows, id, told, remark.as_deref(), &now)).await?;
                Ok(true)
            }
            Fate::Forgotten if step.forgotten + 1 >= MOST_FORGOTTEN => {
                let reason = format!("the manager took the step {MOST_FORGOTTEN} times and does not know it");
                self.park(step, &reason).await?;
                Ok(false)
            }
            Fate::Forgotten => {
                warn!(step = id, "{words}; it is begun again");
                self.store.written(move |rows| own_steps::forgotten(rows, id, &words, &now)).await?;
                Ok(true)
            }
            Fate::Again => {
                let wait = self.pauses.after(step.attempts.saturating_add(1));
                info!(step = id, "the manager is told in {wait:?} that {of} has {what}: {words}");
                let next = self.wall.utc_after(wait);
                self.store.rows(move |rows| own_steps::postponed(rows, id, &words, &next)).await?;
                Ok(false)
            }
            Fate::GivenUp => {
                self.park(step, &words).await?;
                Ok(false)
            }
        }
    }

    async fn park(&self, step: &OwnStep, reason: &str) -> store::Result<()> {
        warn!(step = step.id, "the manager is not told of an exam until the next start: {reason}");
        let (id, reason) = (step.id, reason.to_owned());
        self.store.written(move |rows| own_steps::park(rows, id, &reason)).await
    }
}

/// `None`: the row cannot be read.
async fn tell(line: &mut Line, step: &OwnStep, message: Message) -> Option<Outcome> {
    match message {
        Message::Begin => Some(line.begin(&step.sop_uid, &read(&step.begun)?).await),
        Message::End => Some(line.end(&step.sop_uid, &read(step.ended.as_deref()?)?).await),
    }
}

fn read<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}
