//! Tells whoever wants it that results have reached an archive (Instance Availability Notification). What is to be told are rows
//! (`custody::store::notices`), so neither a restart nor a receiver that is away loses anything; no delivery waits for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use custody::series::SeriesKey;
use custody::store::jobs::JobRow;
use custody::store::notices::{self, End, NoticeRow};
use custody::store::{self, Store, deliveries, jobs, results, series};
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
/// Only archives with a URL have them: a notice names an AE title.
const NO_ARCHIVE: &str = "no archive with an AE title has the results";
const WITHDRAWN: &str = "none of the results counts any more: they were rejected, or are of images that were replaced";

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
                    self.store.rows(move |rows| notices::unpark(rows, &now)).await?;
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
                .store
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

    /// What a notice says now: it may have waited for days. `None`: nothing, and it is closed.
    async fn to_tell(&self, row: &NoticeRow) -> store::Result<Option<Notice>> {
        let Ok(said) = serde_json::from_str::<Notice>(&row.said) else {
            self.over(row.id, End::Parked, "it was written by another version".into()).await?;
            return Ok(None);
        };
        let notice = self.store.rows(move |rows| standing(rows, &said)).await?;
        if notice.series.is_empty() {
            self.over(row.id, End::Nothing, WITHDRAWN.into()).await?;
            return Ok(None);
        }
        Ok(Some(notice))
    }

    async fn tell(&self, line: &mut Line, receiver: &Receiver, row: NoticeRow) -> store::Result<()> {
        let id = row.id;
        let Some(notice) = self.to_tell(&row).await? else { return Ok(()) };
        let outcome = line.tell(&row.sop_uid, &notice).await;
        match outcome.fate {
            Fate::Taken => self.over(id, End::Told, String::new()).await,
            Fate::Remarked | Fate::Had => self.over(id, End::Told, outcome.words).await,
            Fate::GivenUp | Fate::Forgotten => self.over(id, End::Parked, outcome.words).await,
            Fate::Again => {
                let next = self.wall.utc_after(receiver.pauses().after(row.attempts.saturating_add(1)));
                info!(notice = id, "told again later that results are available: {}", outcome.words);
                self.store.rows(move |rows| notices::postponed(rows, id, &outcome.words, &next)).await
            }
        }
    }

    async fn over(&self, id: i64, end: End, reason: String) -> store::Result<()> {
        match end {
            End::Told => info!(notice = id, "told that results are available {reason}"),
            End::Nothing => info!(notice = id, "a notice that results are available is not told: {reason}"),
            End::Parked => {
                warn!(notice = id, "a notice that results are available is not told until the next start: {reason}");
            }
        }
        self.store
            .rows(move |rows| {
                let transaction = rows.transaction()?;
                notices::over(&transaction, id, end, &reason)?;
                transaction.commit()?;
                Ok(())
            })
            .await
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
        let taken = notice(connection, job_id, &row.key.study_uid, destinations)?;
        let notice = standing(connection, &taken)?;
        let said = serde_json::to_string(&notice)?;
        let transaction = connection.transaction()?;
        let (of, uid) = ((receiver, job_id), dicom::uid::from_name(&name(&row.key, &job, receiver)));
        notices::write(&transaction, of, &notice.study_uid, &uid, &said, now)?;
        if notice.series.is_empty() {
            let why = if taken.series.is_empty() { NO_ARCHIVE } else { WITHDRAWN };
            let id = transaction.last_insert_rowid();
            notices::over(&transaction, id, End::Nothing, why)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// Names a notice, for its UID. With the study, since two studies may hold a series of one UID.
fn name(key: &SeriesKey, job: &JobRow, receiver: &str) -> String {
    let task = job.task.as_deref().unwrap_or_default();
    let (series, study, version) = (&key.series_uid, &key.study_uid, job.version);
    format!("availability of {series} of study {study} version {version} {task} for {receiver}")
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

/// What of a notice is still true: without results that were rejected, or made of images that were replaced, since an archive took them.
fn standing(connection: &Connection, notice: &Notice) -> store::Result<Notice> {
    let mut standing = Notice { study_uid: notice.study_uid.clone(), series: Vec::new() };
    for series in &notice.series {
        let mut objects = Vec::new();
        for object in &series.objects {
            if results::counting(connection, &object.1)?.is_some() {
                objects.push(object.clone());
            }
        }
        if !objects.is_empty() {
            standing.series.push(Series { series_uid: series.series_uid.clone(), objects });
        }
    }
    Ok(standing)
}

#[cfg(test)]
mod tests {
    use custody::store::Durability;
    use custody::store::rejections;
    use custody::store::results::ResultRow;
    use rusqlite::Transaction;

    use super::*;

    const NOW: &str = "2026-11-30T10:00:00.000Z";

    fn result(job_id: i64, sop_uid: &str) -> ResultRow {
        ResultRow {
            id: 0,
            job_id,
            kind: "sr".into(),
            sop_class: "1.2.840.10008.5.1.4.1.1.88.33".into(),
            sop_uid: sop_uid.into(),
            study_uid: "1.2".into(),
            series_uid: "1.2.9".into(),
            file: format!("results/{job_id}/{sop_uid}.dcm"),
            length: 1,
            sha256: "0".repeat(64),
            simulated: false,
        }
    }

    fn done(transaction: &Transaction<'_>, series_id: i64) -> (i64, i64) {
        let version = series::completed(transaction, series_id, "quiet", NOW).unwrap();
        let id = jobs::enqueue(transaction, series_id, version, NOW).unwrap();
        jobs::done(transaction, id, None, "[]", NOW).unwrap();
        (id, version)
    }

    /// Two reports of one analysis, of which archive `a` has both and archive `b` none yet. Returned: the series.
    fn analysed() -> (tempfile::TempDir, Connection, i64) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut rows = store.connect(Durability::Full).unwrap();
        notices::begin(&rows, "ris").unwrap();
        let transaction = rows.transaction().unwrap();
        let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.3".into() };
        let (row, _) = series::opened(&transaction, &key, "CT", dicom::kind::SeriesKind::Ct, 1, NOW).unwrap();
        let (job, _) = done(&transaction, row.id);
        let ids = ["1.5", "1.6"].map(|uid| results::insert(&transaction, &result(job, uid)).unwrap());
        for archive in ["a", "b"] {
            deliveries::enqueue(&transaction, &ids, archive, None, NOW).unwrap();
        }
        transaction.execute("UPDATE deliveries SET state = 'delivered' WHERE destination = 'a'", []).unwrap();
        transaction.commit().unwrap();
        (folder, rows, row.id)
    }

    fn archives() -> BTreeMap<String, Destination> {
        let archive = |name: &str| serde_json::from_value(serde_json::json!({ "ae_title": name })).unwrap();
        ["a", "b"].map(|name| (name.to_owned(), archive(name))).into()
    }

    #[test]
    fn notices_of_two_studies_that_hold_a_series_of_one_uid_are_two() {
        let (_folder, rows, _) = analysed();
        let key = |study: &str| SeriesKey { study_uid: study.into(), series_uid: "1.2.3".into() };
        let job = jobs::get(&rows, 1).unwrap().unwrap();
        assert_ne!(name(&key("1.2"), &job, "ris"), name(&key("1.4"), &job, "ris"));
        assert_ne!(name(&key("1.2"), &job, "ris"), name(&key("1.2"), &job, "viewer"));
    }

    /// What is told, and the reasons of what is not.
    fn told(rows: &mut Connection) -> (Vec<String>, Vec<String>) {
        note(rows, "ris", &archives(), NOW).unwrap();
        let due = notices::due(rows, "ris", "9999", 9).unwrap();
        let said = due.iter().map(|row| standing(rows, &serde_json::from_str(&row.said).unwrap()).unwrap());
        let objects = said.flat_map(|notice| notice.series).flat_map(|series| series.objects);
        let uids = objects.map(|(_, uid, _)| uid).collect();
        let mut closed = rows.prepare("SELECT reason FROM notices WHERE state = 'told'").unwrap();
        let closed = closed.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
        (uids, closed)
    }

    /// A person has said that the images are another patient's: what an archive took before must not be announced.
    fn rejected(rows: &mut Connection, series_id: i64) {
        let transaction = rows.transaction().unwrap();
        let (_, version) = done(&transaction, series_id);
        rejections::of_reviewed(&transaction, series_id, version, "113001").unwrap();
        transaction.commit().unwrap();
    }

    #[test]
    fn what_was_rejected_before_it_was_told_is_not_announced() {
        let (_folder, mut rows, series_id) = analysed();
        assert_eq!(told(&mut rows), (vec![], vec![]), "b has nothing yet");
        rejected(&mut rows, series_id);
        assert_eq!(told(&mut rows), (vec![], vec![WITHDRAWN.to_owned()]));
    }

    #[test]
    fn what_was_rejected_while_its_notice_waited_for_the_receiver_is_not_announced() {
        let (_folder, mut rows, series_id) = analysed();
        rows.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        assert_eq!(told(&mut rows).0, ["1.5", "1.6"]);
        rows.execute("UPDATE results SET rejected = '113001' WHERE sop_uid = '1.5'", []).unwrap();
        assert_eq!(told(&mut rows).0, ["1.6"], "the rest is true");
        rejected(&mut rows, series_id);
        assert_eq!(told(&mut rows), (vec![], vec![]), "it is closed when its turn comes");
    }

    #[tokio::test]
    async fn a_notice_of_which_nothing_counts_any_more_is_closed_and_nobody_is_called() {
        let (folder, mut rows, series_id) = analysed();
        rows.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        note(&mut rows, "ris", &archives(), NOW).unwrap();
        rejected(&mut rows, series_id);
        let notifier = Notifier {
            store: Store::open(&folder.path().join("scanside.db")).unwrap(),
            receivers: BTreeMap::new(),
            destinations: archives(),
            wall: Wall::default(),
        };
        let due = notices::due(&rows, "ris", "9999", 9).unwrap();
        assert_eq!(notifier.to_tell(&due[0]).await.unwrap(), None);
        assert_eq!(told(&mut rows), (vec![], vec![WITHDRAWN.to_owned()]));
    }
}
