//! The earlier study of a person that is not here is asked for at an archive: which new study asks, how long it waits, and what it says
//! when there is no comparison. All is decided by rows (`custody::store::priors`), so that nothing is asked twice or forgotten by a
//! restart. `ask` does the asking, `pick` chooses what is fetched.
//!
//! A series becomes complete; with it, in the same transaction, its study asks. Its job is queued as always, and put off for a
//! second at a time while the question is open. What is fetched is received, assembled and read like any series; only then its
//! findings can be compared with.

pub mod ask;
pub mod here;
pub mod pick;

use std::time::Duration;

use custody::series::{SeriesKey, SeriesState};
use custody::store::jobs::JobRow;
use custody::store::priors::{self, Question, State};
use custody::store::series::{self, SeriesRow};
use custody::store::{self, events, instances};
use dicom::kind::SeriesKind;
use node::retrieve::query;
use node::retrieve::settings::PriorArchive;
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// The images with which studies are compared.
const MODALITY: &str = "CT";

/// How often a job looks again whether its prior is here.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Begins a question for this series of a new study, if there is any: only for CT, which has a comparison; not when an earlier study is
/// here, and not for what was fetched itself. Once for each study.
///
/// # Errors
/// When the database fails.
pub fn begin(transaction: &Transaction<'_>, settings: &PriorArchive, row: &SeriesRow) -> store::Result<()> {
    if may_ask(settings, row) && priors::get(transaction, &row.key.study_uid)?.is_none() {
        begin_anyway(transaction, settings, row)?;
    }
    Ok(())
}

fn may_ask(settings: &PriorArchive, row: &SeriesRow) -> bool {
    settings.is_on() && row.kind == SeriesKind::Ct
}

fn begin_anyway(transaction: &Transaction<'_>, settings: &PriorArchive, row: &SeriesRow) -> store::Result<()> {
    let key = &row.key;
    if priors::fetched(transaction, key)?.is_some() {
        return Ok(());
    }
    let first = instances::ids_of_series(transaction, &key.study_uid, &key.series_uid)?.into_iter().min();
    let Some(first) = first.map(|id| instances::get(transaction, id)).transpose()?.flatten() else {
        return Ok(());
    };
    if query::Question::before(&first.header, MODALITY, settings.years).is_none()
        || here::find(transaction, &first.header)?.is_some()
    {
        return Ok(());
    }
    priors::ask(transaction, key, &store::utc_after(settings.budget()), &store::now_utc())?;
    events::record(transaction, &format!("series/{}", row.id), "prior", "the archive is asked for an earlier study")
}

/// Why a job waits for a prior; `None`: it does not, or not any more. A job that a person asked for asks again, that of a review never.
///
/// # Errors
/// When the database fails.
pub(crate) fn waits(
    connection: &mut Connection,
    settings: &PriorArchive,
    job: &JobRow,
    row: &SeriesRow,
) -> store::Result<Option<&'static str>> {
    if !may_ask(settings, row) || job.task.is_some() || row.completed_by.as_deref() == Some("review") {
        return Ok(None);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut known = priors::get(&transaction, &row.key.study_uid)?;
    // By the number of the job: the clock may have been set meanwhile.
    let asks_again = row.completed_by.as_deref() == Some("rerun")
        && known.as_ref().is_none_or(|known| known.closed_utc.is_some() && known.newest_job < job.id);
    if asks_again {
        begin_anyway(&transaction, settings, row)?;
        known = priors::get(&transaction, &row.key.study_uid)?;
    }
    let Some(question) = known else {
        transaction.commit()?;
        return Ok(None);
    };
    let prior = match &question.state {
        State::Reading(prior) => series::with_uid(&transaction, &prior.series_uid)?
            .into_iter()
            .find(|row| row.key.study_uid == prior.study_uid),
        State::Asking | State::Closed => None,
    };
    let now = Now { utc: store::now_utc(), latest: store::utc_after(settings.budget().max(settings.reading())) };
    let judged = judge(&question, prior.as_ref().map(|row| (row.state, row.verdict.as_deref())), &now, settings);
    let why = match judged {
        Judged::Waits(why) => Some(why),
        Judged::Goes => None,
        Judged::Over { reason, trouble } => {
            priors::close(&transaction, &question.key, &reason, trouble, &now.utc)?;
            None
        }
    };
    transaction.commit()?;
    Ok(why)
}

/// Now, and the latest time at which a wait that begins now can end: a later one was put down by another clock.
struct Now {
    utc: String,
    latest: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Judged {
    Waits(&'static str),
    Goes,
    /// What became of the question, and whether a person should know.
    Over {
        reason: String,
        trouble: bool,
    },
}

/// `prior`: state and verdict of the series that was fetched. Pure.
fn judge(
    question: &Question,
    prior: Option<(SeriesState, Option<&str>)>,
    now: &Now,
    settings: &PriorArchive,
) -> Judged {
    let is_over = question.until_utc <= now.utc || question.until_utc > now.latest;
    match (&question.state, prior) {
        (State::Closed, _) => Judged::Goes,
        (State::Asking, _) if is_over => {
            Judged::Over { reason: silent(settings.budget_secs, &question.reason), trouble: true }
        }
        (State::Asking, _) => Judged::Waits("the archive is asked for an earlier study"),
        (State::Reading(_), Some((SeriesState::Processed | SeriesState::Evicted, _))) => {
            Judged::Over { reason: "an earlier study was fetched and read".into(), trouble: false }
        }
        (State::Reading(_), Some((SeriesState::Refused, verdict))) => {
            let why = verdict.unwrap_or("it was refused");
            Judged::Over {
                reason: format!("no prior: the one that was fetched cannot be compared ({why})"),
                trouble: false,
            }
        }
        (State::Reading(_), _) if is_over => {
            let reason = format!("no prior: it was fetched, but not read within {} s", settings.reading_secs);
            Judged::Over { reason, trouble: true }
        }
        (State::Reading(_), _) => Judged::Waits("an earlier study was fetched and is read first"),
    }
}

/// How a reason begins that is this box's own, not the archive's.
pub(crate) const NOT_NOW: &str = "it could not be fetched by this box: ";

/// `reason`: what went wrong last; empty when nothing did.
pub(crate) fn silent(secs: u64, reason: &str) -> String {
    if reason == priors::SENDING {
        return format!("no prior: the archive did not send all of it within {secs} s");
    }
    if reason.starts_with(NOT_NOW) {
        return format!("no prior: {reason}");
    }
    let because = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    format!("no prior: the archive did not answer within {secs} s{because}")
}

/// Nothing is asked for any more: open questions are closed with a word in the journal of their series, and what was being fetched is not.
///
/// # Errors
/// When the database fails.
pub(crate) fn switched_off(transaction: &Transaction<'_>) -> store::Result<()> {
    priors::nothing_is_fetched(transaction)?;
    for question in priors::open(transaction)? {
        let reason = "no prior: no archive is asked any more ([prior] is switched off)";
        priors::close(transaction, &question.key, reason, false, &store::now_utc())?;
        tracing::info!(study = %question.key.study_uid, "the question for an earlier study is closed: {reason}");
    }
    Ok(())
}

/// The verdict of a new study with why it was compared with nothing, where a person should know. `is_compared`: it was, perhaps with a study
/// that came meanwhile.
///
/// # Errors
/// When the database fails.
pub(crate) fn with_prior(
    connection: &Connection,
    key: &SeriesKey,
    verdict: &str,
    is_compared: bool,
) -> store::Result<String> {
    if is_compared {
        return Ok(verdict.to_owned());
    }
    let question = priors::get(connection, &key.study_uid)?;
    let told = question.filter(|question| question.trouble && question.state == State::Closed);
    Ok(told.map_or_else(|| verdict.to_owned(), |question| format!("{verdict}; {}", question.reason)))
}

#[cfg(test)]
mod tests {
    use custody::instance::{Location, Origin};
    use custody::store::{Durability, Store, jobs};
    use dicom::header::Header;

    use super::*;

    fn question(state: State) -> Question {
        let key = |uid: &str| SeriesKey { study_uid: uid.into(), series_uid: format!("{uid}.1") };
        Question {
            key: key("1.2"),
            state,
            until_utc: "2026-01-01T00:00:45.000Z".into(),
            attempts: 0,
            reason: String::new(),
            trouble: false,
            created_utc: "2026-01-01T00:00:00.000Z".into(),
            closed_utc: None,
            newest_job: 0,
        }
    }

    fn judged(state: State, prior: Option<(SeriesState, Option<&str>)>, now: &str) -> Judged {
        let latest = "2026-01-01T00:11:00.000Z".to_owned();
        judge(&question(state), prior, &Now { utc: now.into(), latest }, &PriorArchive::default())
    }

    /// A database with a new CT study of one image that was completed by a rerun, its series and its job.
    fn rerun() -> (tempfile::TempDir, Connection, SeriesRow, JobRow) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        let key = question(State::Asking).key;
        let header = Header {
            patient_id: "P1".into(),
            patient_name: "Zhang^San".into(),
            study_date: "20260101".into(),
            sop_instance_uid: "1.2.1.1".into(),
            study_instance_uid: key.study_uid.clone(),
            series_instance_uid: key.series_uid.clone(),
            ..Header::default()
        };
        let image = instances::New {
            header: &header,
            header_json: &serde_json::to_string(&header).unwrap(),
            location: &Location::File { file: "large/1".into(), length: 1 },
            record_segment: None,
            sha256: "",
            state: instances::InstanceState::Kept,
            reason: None,
            received_utc: "2026-01-01T00:00:00.000Z",
            origin: &Origin::default(),
        };
        instances::insert(&transaction, &image).unwrap();
        let now = store::now_utc();
        let (row, _) = series::opened(&transaction, &key, "CT", SeriesKind::Ct, 1, &now).unwrap();
        let version = series::completed(&transaction, row.id, "rerun", &now).unwrap();
        let job = jobs::enqueue(&transaction, row.id, version, &now).unwrap();
        let row = series::get(&transaction, row.id).unwrap().unwrap();
        let job = jobs::get(&transaction, job).unwrap().unwrap();
        transaction.commit().unwrap();
        (folder, connection, row, job)
    }

    fn on() -> PriorArchive {
        PriorArchive { address: Some("pacs:104".into()), ..PriorArchive::default() }
    }

    fn closed(connection: &mut Connection, trouble: bool) {
        let transaction = connection.transaction().unwrap();
        let key = question(State::Asking).key;
        assert!(priors::close(&transaction, &key, "no prior: away", trouble, &store::now_utc()).unwrap());
        transaction.commit().unwrap();
    }

    /// Promise: a rerun asks the archive once, however the clock is set between.
    #[test]
    fn a_rerun_asks_once_whatever_the_clock_says() {
        for created in ["2020-01-01T00:00:00.000Z", "2037-01-01T00:00:00.000Z"] {
            let (_folder, mut connection, row, job) = rerun();
            let job = JobRow { created_utc: created.into(), ..job };
            assert!(waits(&mut connection, &on(), &job, &row).unwrap().is_some(), "{created}: it asks");
            closed(&mut connection, true);
            assert_eq!(waits(&mut connection, &on(), &job, &row).unwrap(), None, "{created}: it has asked");
            let next = JobRow { id: job.id + 1, ..job };
            assert!(
                waits(&mut connection, &on(), &next, &row).unwrap().is_some(),
                "{created}: the next rerun asks again"
            );
        }
    }

    /// Promise: no question stays open for an archive that is not asked any more.
    #[test]
    fn what_is_open_when_prior_is_switched_off_is_closed_with_a_word_and_nothing_is_being_fetched() {
        let (_folder, mut connection, row, job) = rerun();
        assert!(waits(&mut connection, &on(), &job, &row).unwrap().is_some());
        let prior = SeriesKey { study_uid: "1.1".into(), series_uid: "1.1.1".into() };
        let transaction = connection.transaction().unwrap();
        assert!(priors::fetching(&transaction, &row.key.study_uid, &prior, &store::now_utc()).unwrap());
        switched_off(&transaction).unwrap();
        assert_eq!(priors::open(&transaction).unwrap(), []);
        assert_eq!(priors::fetched(&transaction, &prior).unwrap(), None, "nothing of it came");
        let sql = "SELECT detail FROM events WHERE subject = 'series/' || ?1 ORDER BY id DESC LIMIT 1";
        let told: String = transaction.query_row(sql, [row.id], |row| row.get(0)).unwrap();
        assert!(told.contains("[prior] is switched off"), "{told}");
    }

    /// Promise: a study that was compared does not say that there was no prior.
    #[test]
    fn why_there_is_no_prior_is_said_only_where_nothing_was_compared_with() {
        let (_folder, mut connection, row, job) = rerun();
        assert!(waits(&mut connection, &on(), &job, &row).unwrap().is_some());
        closed(&mut connection, true);
        assert_eq!(with_prior(&connection, &row.key, "done", false).unwrap(), "done; no prior: away");
        assert_eq!(with_prior(&connection, &row.key, "done", true).unwrap(), "done");
    }

    fn reading() -> State {
        State::Reading(SeriesKey { study_uid: "1.1".into(), series_uid: "1.1.1".into() })
    }

    /// Promise: a new study never waits longer than its budget, whatever the archive or the clock does.
    #[test]
    fn a_study_waits_until_its_budget_is_over_and_then_says_why_there_is_no_prior() {
        assert!(matches!(judged(State::Asking, None, "2026-01-01T00:00:44.999Z"), Judged::Waits(_)));
        let over = Judged::Over { reason: "no prior: the archive did not answer within 45 s".into(), trouble: true };
        assert_eq!(judged(State::Asking, None, "2026-01-01T00:00:45.000Z"), over);
        assert_eq!(
            silent(45, "it could not be fetched by this box: full"),
            "no prior: it could not be fetched by this box: full"
        );
        assert!(silent(45, priors::SENDING).contains("did not send all of it within 45 s"));
        let set_back = Now { utc: "2020-01-01T00:00:00.000Z".into(), latest: "2020-01-01T00:10:00.000Z".into() };
        let judged_then = judge(&question(State::Asking), None, &set_back, &PriorArchive::default());
        assert!(matches!(judged_then, Judged::Over { .. }), "the clock was set back by years");
        assert_eq!(judged(State::Closed, None, "2026-01-01T00:00:01.000Z"), Judged::Goes);
    }

    /// Promise: what was fetched is used before it may be evicted, and a prior that hangs does not hold the new study.
    #[test]
    fn what_was_fetched_is_read_first_until_it_has_its_verdict() {
        let then = "2026-01-01T00:00:30.000Z";
        for state in [None, Some((SeriesState::Receiving, None)), Some((SeriesState::Complete, None))] {
            assert!(matches!(judged(reading(), state, then), Judged::Waits(_)), "{state:?}");
        }
        for state in [SeriesState::Processed, SeriesState::Evicted] {
            assert!(matches!(judged(reading(), Some((state, None)), then), Judged::Over { trouble: false, .. }));
        }
        let refused = judged(reading(), Some((SeriesState::Refused, Some("missing slices"))), then);
        assert!(matches!(refused, Judged::Over { reason, trouble: false } if reason.contains("missing slices")));
        let late = judged(reading(), Some((SeriesState::Complete, None)), "2026-01-01T00:00:45.000Z");
        assert!(matches!(late, Judged::Over { trouble: true, .. }));
    }
}
