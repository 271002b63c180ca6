//! Tells whoever wants it that results have reached an archive (Instance Availability Notification), and that what it was told of does
//! not count any more. What is to be told are rows (`custody::store::notices`), so neither a restart nor a receiver that is away loses
//! anything; no delivery waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::{Duration, Instant};

use custody::series::SeriesKey;
use custody::store::jobs::JobRow;
use custody::store::notices::{self, Doubted, End, NoticeRow};
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
const COUNTS_AGAIN: &str = "the results count again";

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
                    withdraw(rows, &own, &wall.now_utc())?;
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

    /// What a notice says now: it may have waited for days. `None`: nothing, and it is closed. Before it leaves it is written down that the
    /// receiver may have it.
    async fn to_tell(&self, row: &NoticeRow) -> store::Result<Option<Notice>> {
        let Ok(said) = serde_json::from_str::<Notice>(&row.said) else {
            self.over(row.id, End::Parked, "it was written by another version".into()).await?;
            return Ok(None);
        };
        let notice = self.store.rows(move |rows| standing(rows, &said)).await?;
        if notice.series.is_empty() {
            let why = if row.withdraws { COUNTS_AGAIN } else { WITHDRAWN };
            self.over(row.id, End::Nothing, why.into()).await?;
            return Ok(None);
        }
        if !row.sent {
            let (id, says) = (row.id, serde_json::to_string(&notice)?);
            self.store.rows(move |rows| notices::sends(rows, id, &says)).await?;
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
                info!(notice = id, "a notice about results is told again later: {}", outcome.words);
                self.store.rows(move |rows| notices::postponed(rows, id, &outcome.words, &next)).await
            }
        }
    }

    async fn over(&self, id: i64, end: End, reason: String) -> store::Result<()> {
        match end {
            End::Told => info!(notice = id, "a notice about results was told {reason}"),
            End::Nothing => info!(notice = id, "a notice about results is not told: {reason}"),
            End::Parked => warn!(notice = id, "a notice about results is not told until the next start: {reason}"),
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

/// Writes down what a receiver was told of and is to be told that it is not available any more.
fn withdraw(connection: &mut Connection, receiver: &str, now: &str) -> store::Result<()> {
    for doubted in notices::doubted(connection, receiver)? {
        let withdrawal = withdrawal(connection, &doubted)?;
        let transaction = connection.transaction()?;
        match &withdrawal {
            Some(notice) => {
                let (uid, said) = (uid_of_withdrawal(&doubted.sop_uid, notice), serde_json::to_string(notice)?);
                notices::judged(&transaction, &doubted, Some((&uid, &said)), now)?;
            }
            None => notices::judged(&transaction, &doubted, None, now)?,
        }
        transaction.commit()?;
    }
    Ok(())
}

/// The same objects of the same notice are withdrawn under the same UID, also by a database that was built again.
fn uid_of_withdrawal(of: &str, notice: &Notice) -> String {
    let objects: Vec<&str> =
        notice.series.iter().flat_map(|series| &series.objects).map(|(_, uid, _)| uid.as_str()).collect();
    dicom::uid::from_name(&format!("withdrawal of {} from notice {of}", objects.join(" ")))
}

/// What of a notice was rejected and not withdrawn before; `None`: nothing.
fn withdrawal(connection: &Connection, doubted: &Doubted) -> store::Result<Option<Notice>> {
    // What another version wrote cannot be told, see `to_tell`.
    let Ok(said) = serde_json::from_str::<Notice>(&doubted.said) else { return Ok(None) };
    let before: Vec<Notice> = doubted.withdrawn.iter().filter_map(|said| serde_json::from_str(said).ok()).collect();
    let before: BTreeSet<&str> = before
        .iter()
        .flat_map(|notice| &notice.series)
        .flat_map(|series| &series.objects)
        .map(|(_, uid, _)| uid.as_str())
        .collect();
    let notice = only(&said, |uid| Ok(!before.contains(uid) && notices::is_rejected(connection, uid)?))?;
    Ok((!notice.series.is_empty()).then_some(Notice { withdrawn: true, ..notice }))
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
    let mut notice = Notice { study_uid: study_uid.to_owned(), ..Notice::default() };
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
/// Of a withdrawal these alone.
fn standing(connection: &Connection, notice: &Notice) -> store::Result<Notice> {
    only(notice, |uid| {
        if notice.withdrawn {
            return notices::is_rejected(connection, uid);
        }
        Ok(results::counting(connection, uid)?.is_some())
    })
}

/// With the objects of which this holds.
fn only(notice: &Notice, holds: impl Fn(&str) -> store::Result<bool>) -> store::Result<Notice> {
    let mut part = Notice { series: Vec::new(), ..notice.clone() };
    for series in &notice.series {
        let mut objects = Vec::new();
        for object in &series.objects {
            if holds(&object.1)? {
                objects.push(object.clone());
            }
        }
        if !objects.is_empty() {
            part.series.push(Series { series_uid: series.series_uid.clone(), objects });
        }
    }
    Ok(part)
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

    /// As the task does, with a receiver that takes everything. Returned: what is told, with its UID.
    async fn all_told(folder: &tempfile::TempDir, rows: &mut Connection) -> Vec<(String, Notice)> {
        let notifier = notifier(folder);
        note(rows, "ris", &archives(), NOW).unwrap();
        withdraw(rows, "ris", NOW).unwrap();
        let mut told = Vec::new();
        for row in notices::due(rows, "ris", "9999", 9).unwrap() {
            if let Some(notice) = notifier.to_tell(&row).await.unwrap() {
                notifier.over(row.id, End::Told, String::new()).await.unwrap();
                told.push((row.sop_uid, notice));
            }
        }
        told
    }

    fn uids(notice: &Notice) -> Vec<&str> {
        notice.series.iter().flat_map(|series| &series.objects).map(|(_, uid, _)| uid.as_str()).collect()
    }

    #[tokio::test]
    async fn what_was_told_and_is_rejected_later_is_withdrawn_once() {
        let (folder, mut rows, series_id) = analysed();
        rows.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        let told = all_told(&folder, &mut rows).await;
        assert_eq!((told.len(), uids(&told[0].1), told[0].1.withdrawn), (1, vec!["1.5", "1.6"], false));
        rows.execute("UPDATE results SET rejected = '113001' WHERE sop_uid = '1.5'", []).unwrap();
        let first = all_told(&folder, &mut rows).await;
        assert_eq!((first.len(), uids(&first[0].1), first[0].1.withdrawn), (1, vec!["1.5"], true));
        assert_ne!(first[0].0, told[0].0, "a notice of its own");
        rejected(&mut rows, series_id);
        let second = all_told(&folder, &mut rows).await;
        assert_eq!((second.len(), uids(&second[0].1)), (1, vec!["1.6"]), "the other one was withdrawn before");
        assert_eq!(all_told(&folder, &mut rows).await, []);
    }

    /// Evicted results are at the archive as before.
    #[tokio::test]
    async fn what_is_evicted_here_is_not_withdrawn_and_what_was_never_told_neither() {
        let (folder, mut rows, series_id) = analysed();
        rows.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        all_told(&folder, &mut rows).await;
        rows.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM results WHERE sop_uid = '1.5'").unwrap();
        assert_eq!(all_told(&folder, &mut rows).await, []);
        let (folder, mut rows, _) = analysed();
        rejected(&mut rows, series_id);
        assert_eq!(all_told(&folder, &mut rows).await, []);
    }

    /// Killed after the receiver took it, before that was written down; then everything is rejected.
    #[tokio::test]
    async fn what_may_have_been_told_is_withdrawn_though_its_notice_is_not_told_again() {
        let (folder, mut rows, series_id) = analysed();
        rows.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        note(&mut rows, "ris", &archives(), NOW).unwrap();
        let row = notices::due(&rows, "ris", "9999", 9).unwrap().remove(0);
        assert!(notifier(&folder).to_tell(&row).await.unwrap().is_some());
        rejected(&mut rows, series_id);
        assert_eq!(all_told(&folder, &mut rows).await, [], "the notice is closed");
        let told = all_told(&folder, &mut rows).await;
        assert_eq!((uids(&told[0].1), told[0].1.withdrawn), (vec!["1.5", "1.6"], true));
    }

    #[tokio::test]
    async fn a_withdrawal_that_waited_until_its_results_count_again_is_not_told() {
        let (folder, mut rows, _) = analysed();
        rows.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        all_told(&folder, &mut rows).await;
        rows.execute("UPDATE results SET rejected = '113001'", []).unwrap();
        withdraw(&mut rows, "ris", NOW).unwrap();
        rows.execute("UPDATE results SET rejected = NULL", []).unwrap();
        assert_eq!(all_told(&folder, &mut rows).await, []);
        let standing = notices::standing(&rows).unwrap();
        assert_eq!((standing.waiting, standing.parked), (0, 0));
    }

    fn notifier(folder: &tempfile::TempDir) -> Notifier {
        Notifier {
            store: Store::open(&folder.path().join("scanside.db")).unwrap(),
            receivers: BTreeMap::new(),
            destinations: archives(),
            wall: Wall::default(),
        }
    }

    #[tokio::test]
    async fn a_notice_of_which_nothing_counts_any_more_is_closed_and_nobody_is_called() {
        let (folder, mut rows, series_id) = analysed();
        rows.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
        note(&mut rows, "ris", &archives(), NOW).unwrap();
        rejected(&mut rows, series_id);
        let notifier = notifier(&folder);
        let due = notices::due(&rows, "ris", "9999", 9).unwrap();
        assert_eq!(notifier.to_tell(&due[0]).await.unwrap(), None);
        assert_eq!(told(&mut rows), (vec![], vec![WITHDRAWN.to_owned()]));
    }
}
