//! The task that performs what a manager schedules: looks at what stands here, then tells the manager, then asks for more. All that is
//! told is written down before; a kill at any instant leaves a row that says what is told next.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custody::level::Level;
use custody::series::SeriesKey;
use custody::store::ups::{self, New, State, TaskRow};
use custody::store::{self, Store};
use hal::backoff::Backoff;
use hal::clock::{Wall, local_parts_of};
use node::Intake;
use node::retrieve::Retrieval;
use node::retrieve::settings::PriorArchive;
use node::send::Target;
use node::settings::Destination;
use node::ups::answer::Fate;
use node::ups::settings::TaskManager;
use node::ups::task::Task;
use node::ups::told::{Canceled, Ended, Reason, State as Told};
use node::ups::{Line, Outcome};
use node::wanted::Wanted;
use rusqlite::Transaction;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::stand::{self, Stand};

/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(5);
/// Between two attempts to fetch the same input.
const FETCH_AGAIN: Duration = Duration::from_secs(60);
/// The end of a task that a manager refuses so often is not told any more.
const MOST_REFUSED: u32 = 5;
/// Closed tasks that are remembered, so that none is taken twice.
const REMEMBERED: u32 = 5000;
/// Of what is left of the disk, new studies keep all but this part.
const SHARE: u64 = 2;

/// What the task needs.
#[derive(Debug, Clone)]
pub struct Performer {
    pub store: Store,
    pub settings: TaskManager,
    pub target: Target,
    /// Where the input is fetched from, if anywhere.
    pub archive: Option<(Target, PriorArchive)>,
    pub destinations: BTreeMap<String, Destination>,
    pub station_name: String,
    /// Where what is fetched is kept, and who is told of it.
    pub intake: Intake,
    pub wall: Wall,
}

/// What is not written down: it may be forgotten.
#[derive(Debug, Default)]
struct Memory {
    /// When the input of a task was fetched last.
    fetched: BTreeMap<i64, Instant>,
    /// Since when this process waits for the input of a task.
    waits: BTreeMap<i64, Instant>,
    /// Why tasks that the manager offers are not taken, so that it is said once.
    passed_over: BTreeMap<String, String>,
}

/// Whether the input of a task was waited for long enough: until then, and by this process for all of that time, too. The clock may
/// have jumped: ahead, so that the time is over too early, or back, so that it is further away than it can have been put down. Pure.
fn is_over(wall: &Wall, until_utc: &str, waited: Duration, wait: Duration) -> bool {
    waited >= wait && (wall.now_utc().as_str() > until_utc || wall.until(until_utc) > wait)
}

impl Performer {
    /// Runs until shutdown. An error of the database is waited out.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let since = Instant::now();
        let mut backoff = Backoff::new(self.settings.pauses());
        let mut memory = Memory::default();
        loop {
            let done = tokio::select! {
                done = self.round(&mut backoff, since, &mut memory) => done,
                // What was not answered is told again after the restart.
                () = shutdown.cancelled() => return Ok(()),
            };
            let wait = match done {
                Ok(()) => self.settings.poll(),
                Err(error) => {
                    self.store.failed(&error);
                    warn!("tasks of the manager wait: {error}");
                    PAUSE
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    async fn round(&self, backoff: &mut Backoff, since: Instant, memory: &mut Memory) -> store::Result<()> {
        let mut open = Vec::new();
        let rows = self.store.rows(|rows| ups::open(rows)).await?;
        memory.waits.retain(|id, _| rows.iter().any(|row| row.id == *id));
        for row in rows {
            open.push(self.stands(row, memory).await?);
        }
        if !backoff.is_due(since.elapsed()) {
            return Ok(());
        }
        let mut line = match Line::open(&self.target).await {
            Ok(line) => line,
            Err(error) => {
                if !backoff.has_failed() {
                    warn!(tasks = open.len(), "the manager of tasks is not reached: {error}");
                }
                backoff.failed(since.elapsed());
                return Ok(());
            }
        };
        for (row, stand) in open {
            if line.is_over() {
                break;
            }
            self.tell(&mut line, row, stand).await?;
        }
        let went = !line.is_over() && self.more(&mut line, memory).await?;
        line.release().await;
        if went {
            backoff.succeeded();
        } else {
            backoff.failed(since.elapsed());
        }
        Ok(())
    }

    /// Work on rows of tasks in one transaction. What is claimed, and what came of it, is also in the file beside the database before the
    /// manager hears of it.
    async fn written<T, F>(&self, work: F) -> store::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> store::Result<T> + Send + 'static,
    {
        let store = self.store.clone();
        let written = self.store.rows(move |rows| {
            let transaction = rows.transaction()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            store.mirror_claims(rows);
            Ok(done)
        });
        written.await
    }

    /// How a task stands; an end that is reached is written down, input that is not here is fetched.
    async fn stands(&self, row: TaskRow, memory: &mut Memory) -> store::Result<(TaskRow, Option<Stand>)> {
        if row.state != State::Working {
            return Ok((row, None));
        }
        let Ok(task) = serde_json::from_str::<Task>(&row.task) else {
            let words = "what the manager said of it cannot be read: it was written by another version";
            self.ends(&row, &Task::default(), Err((Reason::EquipmentFailure, words.into()))).await?;
            return self.again(row).await;
        };
        let (asked, destinations) = (task.clone(), self.destinations.clone());
        let stand = self.store.rows(move |rows| stand::of(rows, &asked, &destinations)).await?;
        match &stand {
            Stand::Done(outputs) => self.ends(&row, &task, Ok(outputs.clone())).await?,
            Stand::Failed { reason, words } => self.ends(&row, &task, Err((*reason, words.clone()))).await?,
            Stand::Missing { here, of, absent } => {
                let waited = memory.waits.entry(row.id).or_insert_with(Instant::now).elapsed();
                if is_over(&self.wall, &row.until_utc, waited, Duration::from_secs(self.settings.input_wait_secs)) {
                    let words = format!("the input did not come: {here} of {of} objects are here");
                    self.ends(&row, &task, Err((Reason::Incomplete, words))).await?;
                } else if let Some(key) = absent {
                    self.fetch(&row, &task, key, memory).await;
                }
            }
            Stand::Busy { .. } => return Ok((row, Some(stand))),
        }
        let (row, _) = self.again(row).await?;
        Ok((row, Some(stand)))
    }

    async fn again(&self, row: TaskRow) -> store::Result<(TaskRow, Option<Stand>)> {
        let uid = row.sop_uid.clone();
        let now = self.store.rows(move |rows| ups::find(rows, &uid)).await?;
        Ok((now.unwrap_or(row), None))
    }

    /// Writes down what came of a task.
    async fn ends(
        &self,
        row: &TaskRow,
        task: &Task,
        came: Result<Vec<node::ups::told::Output>, (Reason, String)>,
    ) -> store::Result<()> {
        let (outputs, canceled) = match came {
            Ok(outputs) => (outputs, None),
            Err((reason, words)) => (Vec::new(), Some(Canceled { reason, words })),
        };
        let words = canceled.as_ref().map_or_else(|| "completed".to_owned(), |why| format!("canceled: {}", why.words));
        info!(task = row.id, "a task of the manager has ended: {words}");
        let station = if self.settings.station.is_empty() {
            self.settings.calling_ae_title.trim()
        } else {
            &self.settings.station
        };
        let ended = Ended {
            started_utc: row.started_utc.clone(),
            ended_utc: self.wall.now_utc(),
            station: (station.to_owned(), self.station_name.clone()),
            workitem: task.workitem.clone(),
            outputs,
            canceled,
        };
        let (id, ended) = (row.id, serde_json::to_string(&ended)?);
        self.written(move |rows| ups::end(rows, id, &ended, &words)).await
    }

    /// Tells what is due of one task.
    async fn tell(&self, line: &mut Line<'_>, row: TaskRow, stand: Option<Stand>) -> store::Result<()> {
        match row.state {
            State::Claiming => self.claim(line, &row).await,
            State::Working => self.goes(line, &row, stand).await,
            State::Ending => self.end(line, &row).await,
            State::Closed => Ok(()),
        }
    }

    async fn claim(&self, line: &mut Line<'_>, row: &TaskRow) -> store::Result<()> {
        let mut outcome = line.change(&row.sop_uid, &row.transaction_uid, Told::InProgress).await;
        if outcome.fate == Fate::InProgress {
            // By us, when the answer to our claim was lost: only whoever has the transaction UID may set anything.
            outcome = line.progress(&row.sop_uid, &row.transaction_uid, row.progress, "claimed").await;
        }
        if outcome.fate != Fate::Taken {
            return self.not_told(row, outcome).await;
        }
        info!(task = row.id, "a task of the manager is claimed");
        let (id, now) = (row.id, self.wall.now_utc());
        self.written(move |rows| {
            ups::claimed(rows, id, &now)?;
            ups::goes_on(rows, id)
        })
        .await
    }

    async fn goes(&self, line: &mut Line<'_>, row: &TaskRow, stand: Option<Stand>) -> store::Result<()> {
        match line.look(&row.sop_uid).await {
            Ok(Ok(task)) if matches!(task.state.as_str(), "COMPLETED" | "CANCELED") => {
                return self.close(row, "a task has ended at the manager", &task.state).await;
            }
            Ok(Ok(task)) if task.state == "SCHEDULED" => {
                let id = row.id;
                return self.written(move |rows| ups::forgotten(rows, id, "it is scheduled there")).await;
            }
            Ok(Ok(task)) => {
                if let Some(why) = task.unwanted {
                    let words = format!("the manager wants it to end {why}");
                    let own = serde_json::from_str(&row.task).unwrap_or_default();
                    return self.ends(row, &own, Err((Reason::Unspecified, words.trim_end().into()))).await;
                }
            }
            Ok(Err(outcome)) if outcome.fate == Fate::Unknown => return self.not_told(row, outcome).await,
            // Not every manager lets itself be asked.
            Ok(Err(_)) => {}
            Err(error) => {
                let outcome = Outcome { fate: Fate::Again, words: error.to_string() };
                return self.not_told(row, outcome).await;
            }
        }
        let (percent, words) = match stand {
            Some(Stand::Missing { .. }) => (10, "the input is not here yet"),
            Some(Stand::Busy { percent, words }) => (percent, words),
            _ => return Ok(()),
        };
        if percent == row.progress {
            return Ok(());
        }
        let outcome = line.progress(&row.sop_uid, &row.transaction_uid, percent, words).await;
        if outcome.fate != Fate::Taken {
            return self.not_told(row, outcome).await;
        }
        let id = row.id;
        self.store.rows(move |rows| ups::progressed(rows, id, percent)).await
    }

    async fn end(&self, line: &mut Line<'_>, row: &TaskRow) -> store::Result<()> {
        let ended = row.ended.as_deref().and_then(|ended| serde_json::from_str::<Ended>(ended).ok());
        let Some(ended) = ended else {
            let why = "what came of it cannot be read: it was written by another version";
            return self.close(row, "the manager was not told of the end of a task", why).await;
        };
        let (state, what) = match ended.canceled {
            None => (Told::Completed, "a task was completed"),
            Some(_) => (Told::Canceled, "a task was canceled"),
        };
        let mut outcome = line.result(&row.sop_uid, &row.transaction_uid, &ended).await;
        if outcome.fate == Fate::Taken {
            outcome = line.change(&row.sop_uid, &row.transaction_uid, state).await;
        }
        match outcome.fate {
            Fate::Taken => self.close(row, what, &ended.canceled.map(|why| why.words).unwrap_or_default()).await,
            // Told before, and the answer was lost; or ended there by somebody else.
            Fate::Final => self.close(row, what, &format!("the manager had it before: {}", outcome.words)).await,
            Fate::Refused if row.attempts + 1 >= MOST_REFUSED => {
                self.close(row, "the manager refuses the end of a task", &outcome.words).await
            }
            _ => self.not_told(row, outcome).await,
        }
    }

    /// A message was not taken.
    async fn not_told(&self, row: &TaskRow, outcome: Outcome) -> store::Result<()> {
        let Outcome { fate, words } = outcome;
        let id = row.id;
        match fate {
            Fate::Final | Fate::Unknown => self.close(row, "a task has ended at the manager", &words).await,
            Fate::Foreign => self.close(row, "a task is somebody else's", &words).await,
            Fate::Refused if row.state == State::Claiming => {
                self.close(row, "a task could not be claimed", &words).await
            }
            Fate::NotBegun if row.state != State::Claiming => {
                self.written(move |rows| ups::forgotten(rows, id, &words)).await
            }
            Fate::Taken | Fate::InProgress | Fate::NotBegun | Fate::Refused | Fate::Again => {
                info!(task = id, "the manager is told of a task again: {words}");
                self.store.rows(move |rows| ups::failed(rows, id, &words)).await
            }
        }
    }

    async fn close(&self, row: &TaskRow, what: &'static str, reason: &str) -> store::Result<()> {
        info!(task = row.id, "{what}: {reason}");
        let (id, now, reason) = (row.id, self.wall.now_utc(), reason.to_owned());
        self.written(move |rows| ups::close(rows, id, what, &reason, &now)).await
    }

    /// Asks for tasks and claims what this box takes. `false`: the manager did not answer.
    async fn more(&self, line: &mut Line<'_>, memory: &mut Memory) -> store::Result<bool> {
        self.store.rows(|rows| ups::forget(rows, REMEMBERED)).await?;
        let open = self.store.rows(|rows| Ok(ups::open(rows)?.len())).await?;
        let (level, _) = self.intake.gate.get();
        if open >= self.settings.max_open || level >= Level::NoNewStudies {
            return Ok(true);
        }
        let offered = match line.scheduled(&self.settings.station).await {
            Ok(offered) => offered,
            Err(error) => {
                warn!("the manager does not say which tasks there are: {}", error.words());
                return Ok(false);
            }
        };
        for (reason, count) in &offered.left_out {
            warn!(count, "answers of the manager are left out: {reason}");
        }
        let now = local_parts_of(&self.wall.now_utc()).unwrap_or_default();
        let now = now.concat();
        let (mut room, mut passed_over) = (self.settings.max_open - open, BTreeMap::new());
        for task in offered.tasks {
            if let Some(why) = task.not_taken(&self.settings, &now) {
                if memory.passed_over.get(&task.sop_uid) != Some(&why) {
                    info!(uid = %dicom::text::shown(&task.sop_uid), "a task is not taken: {why}");
                }
                passed_over.insert(task.sop_uid, why);
                continue;
            }
            if room == 0 || line.is_over() {
                break;
            }
            let Some(row) = self.take(&task).await? else { continue };
            room -= 1;
            self.claim(line, &row).await?;
        }
        memory.passed_over = passed_over;
        Ok(!line.is_over())
    }

    /// Writes a task down; `None`: it is known, and was claimed or given up before.
    async fn take(&self, task: &Task) -> store::Result<Option<TaskRow>> {
        let (sop_uid, json) = (task.sop_uid.clone(), serde_json::to_string(task)?);
        let study = task.inputs.iter().find(|one| !one.study_uid.is_empty()).map(|one| one.study_uid.clone());
        let (study, now) = (study.unwrap_or_default(), self.wall.now_utc());
        let until = self.wall.utc_after(Duration::from_secs(self.settings.input_wait_secs));
        let transaction_uid =
            dicom::uid::of_moment(&format!("claim of the task {sop_uid} by {}", self.target.calling_ae));
        self.written(move |rows| {
            let new = New {
                sop_uid: &sop_uid,
                transaction_uid: &transaction_uid,
                study_uid: &study,
                task: &json,
                until_utc: &until,
            };
            if ups::take(rows, &new, &now)? { ups::find(rows, &sop_uid) } else { Ok(None) }
        })
        .await
    }

    /// Asks the archive for a series of the input, once in a while. What comes is kept as if a scanner had sent it, and read.
    async fn fetch(&self, row: &TaskRow, task: &Task, key: &SeriesKey, memory: &mut Memory) {
        let Some((target, archive)) = &self.archive else { return };
        let (level, _) = self.intake.gate.get();
        let is_early = memory.fetched.get(&row.id).is_some_and(|last| last.elapsed() < FETCH_AGAIN);
        if is_early || level >= Level::NoNewStudies || self.intake.spool.has_room().is_err() {
            return;
        }
        memory.fetched.insert(row.id, Instant::now());
        let of_it = |one: &&node::ups::task::Input| one.series_uid == key.series_uid;
        let declared = task.inputs.iter().find(of_it).map(|one| one.objects.len()).filter(|count| *count > 0);
        let wanted = Wanted::new(&key.study_uid, &key.series_uid, &task.patient, archive.max_images).ordered();
        let wanted = Arc::new(wanted.within(self.intake.spool.room_left().unwrap_or(0) / SHARE));
        let fetched = async {
            let mut retrieval = Retrieval::open(target, archive.fetch, archive.budget()).await?;
            let uids = (key.study_uid.as_str(), key.series_uid.as_str());
            let fetched = retrieval.fetch(&self.intake, uids, declared, &wanted).await;
            retrieval.release().await;
            fetched
        };
        match fetched.await {
            Ok(brought) => info!(
                task = row.id,
                images = brought.kept,
                of_another = brought.of_another,
                not_asked_for = brought.not_asked_for,
                "the input of a task was fetched: {}",
                brought.words
            ),
            Err(error) => warn!(task = row.id, "the input of a task was not fetched: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// To cancel a task at its manager is final.
    #[test]
    fn a_jump_of_the_clock_neither_cancels_a_task_nor_keeps_it_for_years() {
        let (wall, wait) = (Wall::default(), Duration::from_secs(3600));
        for (until, waited, over) in [
            (wall.utc_after(wait / 2), wait / 2, false),
            // Ahead by years, a minute after the task was taken; and when it has been waited for all the same.
            ("2020-01-01T00:00:00.000Z".into(), wait / 60, false),
            ("2020-01-01T00:00:00.000Z".into(), wait, true),
            // Back by years.
            ("2090-01-01T00:00:00.000Z".into(), wait / 60, false),
            ("2090-01-01T00:00:00.000Z".into(), wait, true),
        ] {
            assert_eq!(is_over(&wall, &until, waited, wait), over, "{until} {waited:?}");
        }
    }
}
