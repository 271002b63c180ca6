//! `steps`: modality performed procedure steps, as scanners tell them (MPPS). What a step declares of a series is compared
//! with what is here.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::Result;

/// Messages of one step that are kept: the first and the newest.
const MOST_MESSAGES: u32 = 20;

/// ```text
/// N-CREATE -> in progress --N-SET--> completed      no way out of either
///                         \--N-SET--> discontinued
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    InProgress,
    Completed,
    Discontinued,
}

/// The step has ended: nothing of it may change (PS3.4 section F.7.2.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the performed procedure step is {}: it may no longer be updated", .0.as_str())]
pub struct Ended(pub StepState);

impl StepState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Discontinued => "discontinued",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::InProgress, Self::Completed, Self::Discontinued].into_iter().find(|state| state.as_str() == text)
    }

    /// The state after an N-SET that says `said`, or nothing of the state.
    ///
    /// # Errors
    /// When the step has ended.
    pub fn after(self, said: Option<Self>) -> std::result::Result<Self, Ended> {
        match self {
            Self::InProgress => Ok(said.unwrap_or(self)),
            Self::Completed | Self::Discontinued => Err(Ended(self)),
        }
    }
}

/// A series that a step says was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub series_uid: String,
    /// SOP Instance UIDs.
    pub instances: Vec<String>,
}

/// A message of a scanner.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    pub state: StepState,
    /// Performed Series Sequence; `None` when the message does not have it.
    pub series: Option<&'a [Made]>,
    pub transfer_syntax: &'a str,
    pub bytes: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub id: i64,
    pub state: StepState,
}

/// # Errors
/// When the database fails (as for all below).
pub fn find(connection: &Connection, sop_uid: &str) -> Result<Option<Step>> {
    let found = connection
        .prepare_cached("SELECT id, state FROM steps WHERE sop_uid = ?1")?
        .query_row([sop_uid], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let Some((id, state)) = found else { return Ok(None) };
    let state = StepState::parse(&state).ok_or(rusqlite::Error::InvalidColumnName(state))?;
    Ok(Some(Step { id, state }))
}

/// Writes a new step down; `None`: there is one with this SOP Instance UID.
///
/// # Errors
/// When the database fails.
pub fn create(
    transaction: &Transaction<'_>,
    sop_uid: &str,
    (calling_ae, peer_address): (&str, &str),
    studies: &[String],
    message: &Message<'_>,
    now: &str,
) -> Result<Option<i64>> {
    if find(transaction, sop_uid)?.is_some() {
        return Ok(None);
    }
    transaction.execute(
        "INSERT INTO steps (sop_uid, calling_ae, peer_address, state, begun_utc) VALUES (?1, ?2, ?3, ?4, ?5)",
        [sop_uid, calling_ae, peer_address, message.state.as_str(), now],
    )?;
    let id = transaction.last_insert_rowid();
    let mut statement =
        transaction.prepare_cached("INSERT OR IGNORE INTO step_studies (step_id, study_uid) VALUES (?1, ?2)")?;
    for study in studies {
        statement.execute(params![id, study])?;
    }
    add(transaction, id, "create", message, now)?;
    Ok(Some(id))
}

/// Writes down what an N-SET changes; whether it may is for [`StepState::after`] to say.
///
/// # Errors
/// When the database fails.
pub fn set(transaction: &Transaction<'_>, id: i64, message: &Message<'_>, now: &str) -> Result<()> {
    let ended = (message.state != StepState::InProgress).then_some(now);
    transaction.execute(
        "UPDATE steps SET state = ?2, ended_utc = ?3 WHERE id = ?1",
        params![id, message.state.as_str(), ended],
    )?;
    add(transaction, id, "set", message, now)
}

fn add(transaction: &Transaction<'_>, id: i64, operation: &str, message: &Message<'_>, now: &str) -> Result<()> {
    transaction.execute(
        "INSERT INTO step_messages (step_id, utc, operation, transfer_syntax, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, now, operation, message.transfer_syntax, message.bytes],
    )?;
    transaction.execute(
        "DELETE FROM step_messages WHERE step_id = ?1 AND operation = 'set' AND id NOT IN \
         (SELECT id FROM step_messages WHERE step_id = ?1 ORDER BY id DESC LIMIT ?2)",
        params![id, MOST_MESSAGES],
    )?;
    let Some(series) = message.series else { return Ok(()) };
    transaction.execute("DELETE FROM step_series WHERE step_id = ?1", [id])?;
    transaction.execute("DELETE FROM step_instances WHERE step_id = ?1", [id])?;
    let mut made =
        transaction.prepare_cached("INSERT OR IGNORE INTO step_series (step_id, series_uid) VALUES (?1, ?2)")?;
    let mut instance = transaction
        .prepare_cached("INSERT OR IGNORE INTO step_instances (step_id, series_uid, sop_uid) VALUES (?1, ?2, ?3)")?;
    for Made { series_uid, instances } in series {
        made.execute(params![id, series_uid])?;
        for sop_uid in instances {
            instance.execute(params![id, series_uid, sop_uid])?;
        }
    }
    Ok(())
}

/// Whether the newest message of a step has these bytes: then the scanner repeats it, since our answer was lost.
///
/// # Errors
/// When the database fails.
pub fn is_repeated(connection: &Connection, id: i64, operation: &str, bytes: &[u8]) -> Result<bool> {
    let newest: Option<(String, Vec<u8>)> = connection
        .prepare_cached("SELECT operation, bytes FROM step_messages WHERE step_id = ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(newest.is_some_and(|(was, known)| was == operation && known == bytes))
}

/// The series of a step, by UID.
///
/// # Errors
/// When the database fails.
pub fn series_of(connection: &Connection, id: i64) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT series_uid FROM step_series WHERE step_id = ?1 ORDER BY series_uid")?;
    Ok(statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// What scanners say of one series, against what is here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Performed {
    /// All steps that made it have ended: nothing more is made.
    pub ended: bool,
    /// One of them, or a step of its study that names no series, was discontinued.
    pub discontinued: bool,
    /// How many instances they declare; 0 when they name none.
    pub declared: u32,
    /// SOP Instance UIDs of those that never came.
    pub missing: Vec<String>,
}

/// `None`: no step speaks of this series.
///
/// # Errors
/// When the database fails.
pub fn of_series(connection: &Connection, study_uid: &str, series_uid: &str) -> Result<Option<Performed>> {
    let mut performed = Performed { ended: true, ..Performed::default() };
    let mut steps = connection.prepare_cached(
        "SELECT s.state, EXISTS (SELECT 1 FROM step_series m WHERE m.step_id = s.id AND m.series_uid = ?2) FROM steps s \
         WHERE s.id IN (SELECT step_id FROM step_series WHERE series_uid = ?2) \
            OR (s.state = 'discontinued' AND s.id IN (SELECT step_id FROM step_studies WHERE study_uid = ?1) \
                AND NOT EXISTS (SELECT 1 FROM step_series m WHERE m.step_id = s.id))",
    )?;
    let mut rows = steps.query([study_uid, series_uid])?;
    let (mut any, mut made) = (false, false);
    while let Some(row) = rows.next()? {
        let (state, names_it): (String, bool) = (row.get(0)?, row.get(1)?);
        any = true;
        made |= names_it;
        performed.ended &= state != StepState::InProgress.as_str();
        performed.discontinued |= state == StepState::Discontinued.as_str();
    }
    if !any {
        return Ok(None);
    }
    performed.ended &= made;
    performed.declared = connection
        .prepare_cached("SELECT count(DISTINCT sop_uid) FROM step_instances WHERE series_uid = ?1")?
        .query_row([series_uid], |row| row.get(0))?;
    let mut missing = connection.prepare_cached(
        "SELECT DISTINCT sop_uid FROM step_instances WHERE series_uid = ?1 AND NOT EXISTS \
         (SELECT 1 FROM instances i WHERE i.sop_uid = step_instances.sop_uid AND i.state <> 'quarantined')",
    )?;
    performed.missing = missing.query_map([series_uid], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(performed))
}

/// Removes all but the newest `keep` steps: by number, since a clock may be wrong.
///
/// # Errors
/// When the database fails.
pub fn forget(connection: &Connection, keep: u32) -> Result<usize> {
    Ok(connection.execute("DELETE FROM steps WHERE id <= (SELECT max(id) FROM steps) - ?1", [keep])?)
}

/// The data sets of a step as they were received, oldest first, with their operation.
///
/// # Errors
/// When the database fails.
pub fn messages(connection: &Connection, id: i64) -> Result<Vec<(String, Vec<u8>)>> {
    let mut statement =
        connection.prepare_cached("SELECT operation, bytes FROM step_messages WHERE step_id = ?1 ORDER BY id")?;
    Ok(statement.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store, now_utc};

    #[test]
    fn a_step_that_has_ended_never_changes_and_one_in_progress_may_take_every_state() {
        use StepState::{Completed, Discontinued, InProgress};
        for said in [None, Some(InProgress), Some(Completed), Some(Discontinued)] {
            assert_eq!(Completed.after(said), Err(Ended(Completed)));
            assert_eq!(Discontinued.after(said), Err(Ended(Discontinued)));
            assert_eq!(InProgress.after(said), Ok(said.unwrap_or(InProgress)));
        }
    }

    #[test]
    fn what_a_step_declares_is_compared_with_what_is_here_and_its_messages_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let now = now_utc();
        let transaction = connection.transaction().unwrap();
        let made = [Made { series_uid: "1.2.3".into(), instances: vec!["1.1".into(), "1.2".into(), "1.1".into()] }];
        let message = |state, series| Message { state, series, transfer_syntax: "1.2", bytes: b"bytes" };
        let begun = message(StepState::InProgress, None);
        let who = ("CT1", "192.0.2.1");
        let id = create(&transaction, "9.1", who, &["1.2".into()], &begun, &now).unwrap().unwrap();
        assert_eq!(create(&transaction, "9.1", who, &[], &begun, &now).unwrap(), None, "once");
        assert_eq!(of_series(&transaction, "1.2", "1.2.3").unwrap(), None);
        set(&transaction, id, &message(StepState::InProgress, Some(&made)), &now).unwrap();
        let performed = of_series(&transaction, "1.2", "1.2.3").unwrap().unwrap();
        assert_eq!((performed.ended, performed.declared, performed.missing.len()), (false, 2, 2));
        for _ in 0..50 {
            set(&transaction, id, &message(StepState::Completed, Some(&made)), &now).unwrap();
        }
        assert!(of_series(&transaction, "1.2", "1.2.3").unwrap().unwrap().ended);
        let kept = messages(&transaction, id).unwrap();
        assert_eq!((kept.len(), kept[0].0.as_str()), (21, "create"));
        assert!(is_repeated(&transaction, id, "set", b"bytes").unwrap());
        assert!(!is_repeated(&transaction, id, "set", b"other").unwrap());
        // A discontinued step that names no series speaks of the whole study; it does not say that a series has ended.
        let stopped = message(StepState::InProgress, None);
        let other = create(&transaction, "9.2", who, &["1.7".into()], &stopped, &now).unwrap().unwrap();
        set(&transaction, other, &message(StepState::Discontinued, None), &now).unwrap();
        let performed = of_series(&transaction, "1.7", "1.7.1").unwrap().unwrap();
        assert_eq!(performed, Performed { discontinued: true, ..Performed::default() });
        assert_eq!(forget(&transaction, 1).unwrap(), 1);
        assert_eq!(find(&transaction, "9.1").unwrap(), None);
    }
}
