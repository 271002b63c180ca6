//! Tells whoever wants it that results have reached an archive (Instance Availability Notification). What is to be told are rows
//! (`custody::store::notices`), so neither a restart nor a receiver that is away loses anything; no delivery waits for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use custody::store::notices::{self, NoticeRow};
use custody::store::{self, Durability, Store, deliveries, jobs, results, series};
use hal::backoff::Backoff;
use hal::clock::Wall;
use node::availability::settings::Receiver;
use node::availability::{Line, Notice, Series};
use node::manager::answer::Fate;
use node::settings::Destination;
use rusqlite::Connection;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Rows are looked at this often.
const LOOK: Duration = Duration::from_secs(5);
/// Notices over one association.
const BATCH: u32 = 64;

/// What the task needs.
#[derive(Debug, Clone)]
pub struct Notifier {
    pub store: Store,
    /// By name.
    pub receivers: BTreeMap<String, Receiver>,
    pub destinations: BTreeMap<String, Destination>,
    pub wall: Wall,
}

impl Notifier {
    /// Runs until shutdown. An error of the database is waited out.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let since = Instant::now();
        let mut backoffs: BTreeMap<String, Backoff> =
            self.receivers.iter().map(|(name, one)| (name.clone(), Backoff::new(one.pauses()))).collect();
        let mut is_first = true;
        loop {
            let round = async {
                if is_first {
                    let now = self.wall.now_utc();
                    self.rows(move |rows| notices::unpark(rows, &now)).await?;
                    is_first = false;
                }
                self.round(&mut backoffs, since).await
            };
            let done = tokio::select! {
                done = round => done,
                () = shutdown.cancelled() => return Ok(()),
            };
            if let Err(error) = done {
                self.store.failed(&error);
                warn!("notices that results are available wait: {error}");
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }

    async fn round(&self, backoffs: &mut BTreeMap<String, Backoff>, since: Instant) -> store::Result<()> {
        for (name, receiver) in &self.receivers {
            let Some(target) = receiver.target() else { continue };
            let (own, destinations, wall) = (name.clone(), self.destinations.clone(), self.wall.clone());
            let longest = receiver.pauses().longest;
            let due = self
                .rows(move |rows| {
                    note(rows, &own, &destinations, &wall.now_utc())?;
                    notices::not_after(rows, &wall.utc_after(longest))?;
                    notices::due(rows, &own, &wall.now_utc(), BATCH)
                })
                .await?;
            let Some(backoff) = backoffs.get_mut(name) else { continue };
            if due.is_empty() || !backoff.is_due(since.elapsed()) {
                continue;
            }
            let mut line = match Line::open(&target).await {
                Ok(line) => line,
                Err(error) => {
                    if !backoff.has_failed() {
                        warn!(
                            receiver = name,
                            notices = due.len(),
                            "nobody is told that results are available: {error}"
                        );
                    }
                    backoff.failed(since.elapsed());
                    continue;
                }
            };
            for row in due {
                if line.is_over() {
                    break;
                }
                self.tell(&mut line, receiver, row).await?;
            }
            if line.is_over() {
                backoff.failed(since.elapsed());
            } else {
                backoff.succeeded();
            }
            line.release().await;
        }
        Ok(())
    }

    async fn tell(&self, line: &mut Line, receiver: &Receiver, row: NoticeRow) -> store::Result<()> {
        let id = row.id;
        let Ok(notice) = serde_json::from_str::<Notice>(&row.said) else {
            return self.over(id, false, "it was written by another version".into()).await;
        };
        let outcome = line.tell(&row.sop_uid, &notice).await;
        match outcome.fate {
            Fate::Taken => self.over(id, true, String::new()).await,
            Fate::Remarked | Fate::Had => self.over(id, true, outcome.words).await,
            Fate::GivenUp | Fate::Forgotten => self.over(id, false, outcome.words).await,
            Fate::Again => {
                let next = self.wall.utc_after(receiver.pauses().after(row.attempts.saturating_add(1)));
                info!(notice = id, "told again later that results are available: {}", outcome.words);
                self.rows(move |rows| notices::postponed(rows, id, &outcome.words, &next)).await
            }
        }
    }

    async fn over(&self, id: i64, told: bool, reason: String) -> store::Result<()> {
        if told {
            info!(notice = id, "told that results are available {reason}");
        } else {
            warn!(notice = id, "a notice that results are available is not told until the next start: {reason}");
        }
        self.rows(move |rows| {
            let transaction = rows.transaction()?;
            notices::over(&transaction, id, told, &reason)?;
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    async fn rows<T, F>(&self, work: F) -> store::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> store::Result<T> + Send + 'static,
    {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut store.connect(Durability::Full)?)).await;
        // A panic of the closure goes on here.
        done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// Writes down what a receiver is to be told.
fn note(
    connection: &mut Connection,
    receiver: &str,
    destinations: &BTreeMap<String, Destination>,
    now: &str,
) -> store::Result<()> {
    notices::begin(connection, receiver)?;
    notices::forget(connection)?;
    for job_id in notices::new(connection, receiver)? {
        let Some(job) = jobs::get(connection, job_id)? else { continue };
        let Some(row) = series::get(connection, job.series_id)? else { continue };
        let notice = notice(connection, job_id, &row.key.study_uid, destinations)?;
        let task = job.task.as_deref().unwrap_or_default();
        let name = format!("availability of {} version {} {task} for {receiver}", row.key.series_uid, job.version);
        let said = serde_json::to_string(&notice)?;
        let transaction = connection.transaction()?;
        let (of, uid) = ((receiver, job_id), dicom::uid::from_name(&name));
        notices::write(&transaction, of, &notice.study_uid, &uid, &said, now)?;
        if notice.series.is_empty() {
            // Only archives with a URL have them: a notice names an AE title.
            let nobody = "no archive with an AE title has the results";
            let id = transaction.last_insert_rowid();
            notices::over(&transaction, id, true, nobody)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// The objects of a job that an archive with an AE title has taken.
fn notice(
    connection: &Connection,
    job_id: i64,
    study_uid: &str,
    destinations: &BTreeMap<String, Destination>,
) -> store::Result<Notice> {
    let all = deliveries::of_job(connection, job_id)?;
    let mut notice = Notice { study_uid: study_uid.to_owned(), series: Vec::new() };
    for result in results::of_job(connection, job_id)? {
        let taken = all.iter().filter(|one| one.result_id == result.id && one.state == "delivered");
        let title = taken.filter_map(|one| destinations.get(&one.destination)).find(|one| one.url.is_none());
        let Some(destination) = title else { continue };
        let object = (result.sop_class, result.sop_uid, destination.ae_title.trim().to_owned());
        match notice.series.iter_mut().find(|series| series.series_uid == result.series_uid) {
            Some(series) => series.objects.push(object),
            None => notice.series.push(Series { series_uid: result.series_uid, objects: vec![object] }),
        }
    }
    Ok(notice)
}
