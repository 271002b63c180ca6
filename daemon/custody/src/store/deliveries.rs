//! `deliveries`: one result to one destination. A row stays `pending` until the destination has answered that it has the
//! object; status and time of that answer are the proof. A row is `held` while its result was made with a simulated device
//! and its destination is not marked for such results. A row is `parked` when its destination gave an answer that the same
//! object would get again: nothing is tried until a person asks for it.

use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction, named_params};
use serde::Serialize;

use super::Result;

pub const PENDING: &str = "pending";
pub const DELIVERED: &str = "delivered";
/// Made with a simulated device, for a destination that does not accept such results: kept and not sent.
pub const HELD: &str = "held";
/// Why a delivery is held.
pub const HELD_BECAUSE: &str = "made with a simulated device or accelerator: not sent, since the destination does not have \
                                accepts_simulated = true";
/// Why a delivery is dropped by the configuration.
pub const NOT_AMONG_RESULTS: &str = "the destination's `results` do not name this kind of result";
/// Refused for good by its destination: not tried again unless a person asks for it.
pub const PARKED: &str = "parked";
/// Why it is parked when the file of its result is not what was written; [`super::results::renew`] frees it.
pub const DAMAGED: &str =
    "its file was damaged on this box's disk: analyse the study again (`scansidectl studies rerun`)";
pub const PARKED_BY_HAND: &str = "parked by hand";
pub const DROPPED_BY_HAND: &str = "dropped by hand: it is never sent";
/// A newer version of the result made this one pointless.
pub const SUPERSEDED: &str = "superseded";
/// A person decided that it is never sent.
pub const DROPPED: &str = "dropped";

/// For SQL: of a delivery `d` that something is still to be done for. (One that is parked waits for a person only.)
pub(super) const OPEN: &str =
    "(d.state = 'pending' OR (d.state = 'delivered' AND d.commitment IN ('wanted', 'asked')))";

/// One delivery, with what it delivers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery {
    pub id: i64,
    pub result_id: i64,
    pub destination: String,
    pub state: String,
    /// Failed attempts, and the one that succeeded.
    pub attempts: u32,
    /// Time of the next attempt, UTC.
    pub next_utc: String,
    /// Of the last failure, why it is held or parked, or what the destination remarked, in plain words.
    pub reason: Option<String>,
    /// DIMSE status of the last answer.
    pub status: Option<u16>,
    pub delivered_utc: Option<String>,
    /// What became of the question whether the destination keeps it (`store::asks`); `None` when it is not asked.
    pub commitment: Option<String>,
    /// `sr`, `seg`, `sc`, ... or `ko`.
    pub kind: String,
    pub sop_uid: String,
    pub study_uid: String,
    #[serde(skip)]
    pub series_uid: String,
    #[serde(skip)]
    pub sop_class: String,
    /// How often its destination was asked whether it keeps it.
    #[serde(skip)]
    pub asked: u32,
    /// Path relative to the spool directory.
    #[serde(skip)]
    pub file: String,
    /// Of the file, lower-case hex.
    #[serde(skip)]
    pub sha256: String,
}

/// The state of one destination's queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub destination: String,
    pub pending: u64,
    pub delivered: u64,
    /// When the oldest pending object was created, UTC.
    pub oldest_utc: Option<String>,
    /// Why the last attempt for the first pending object failed; `None` when it was not tried yet.
    pub reason: Option<String>,
}

const SELECT: &str = "SELECT d.id, d.result_id, d.destination, d.state, d.attempts, d.next_utc, d.reason, d.status, \
                      d.delivered_utc, r.kind, r.sop_uid, r.study_uid, r.file, r.sha256, d.commitment, r.sop_class, \
                      r.series_uid, d.asked \
                      FROM deliveries d JOIN results r ON r.id = d.result_id";

fn read(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: row.get(0)?,
        result_id: row.get(1)?,
        destination: row.get(2)?,
        state: row.get(3)?,
        attempts: row.get(4)?,
        next_utc: row.get(5)?,
        reason: row.get(6)?,
        status: row.get(7)?,
        delivered_utc: row.get(8)?,
        kind: row.get(9)?,
        sop_uid: row.get(10)?,
        study_uid: row.get(11)?,
        file: row.get(12)?,
        sha256: row.get(13)?,
        commitment: row.get(14)?,
        sop_class: row.get(15)?,
        series_uid: row.get(16)?,
        asked: row.get(17)?,
    })
}

/// The first deliveries for which `condition` holds, in order. The last of `values` is their greatest number.
pub(super) fn select(connection: &Connection, condition: &str, values: impl Params) -> Result<Vec<Delivery>> {
    let sql = format!("{SELECT} WHERE {condition} ORDER BY d.id LIMIT ?3");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map(values, read)?.collect::<rusqlite::Result<_>>()?)
}

/// Queues every result for `destination`, in the order of `result_ids`. What is queued or delivered already stays as it is;
/// what was superseded meanwhile is wanted again. Results of other than these `kinds` (`None`: all are taken) are dropped at
/// once; simulated ones start as held, and [`apply_simulated`] releases them.
///
/// # Errors
/// When the database fails.
pub fn enqueue(
    transaction: &Transaction<'_>,
    result_ids: &[i64],
    destination: &str,
    kinds: Option<&[&str]>,
    now: &str,
) -> Result<()> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO deliveries (result_id, destination, state, next_utc, reason) \
         SELECT id, :destination, CASE WHEN NOT taken THEN 'dropped' WHEN simulated THEN 'held' ELSE 'pending' END, :now, \
                CASE WHEN NOT taken THEN :dropped WHEN simulated THEN :held END \
         FROM (SELECT id, simulated, :kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)) AS taken \
               FROM results WHERE id = :id) \
         WHERE true ON CONFLICT (result_id, destination) DO UPDATE \
         SET state = excluded.state, next_utc = excluded.next_utc, reason = excluded.reason WHERE state = 'superseded'",
    )?;
    let kinds = kinds.map(serde_json::to_string).transpose()?;
    for id in result_ids {
        statement.execute(named_params! {
            ":id": id, ":destination": destination, ":kinds": kinds, ":now": now,
            ":dropped": NOT_AMONG_RESULTS, ":held": HELD_BECAUSE,
        })?;
    }
    Ok(())
}

/// Applies the configuration of a destination to its simulated results: releases them when it accepts such results,
/// holds them when it does not. Returns the deliveries that changed.
///
/// # Errors
/// When the database fails.
pub fn apply_simulated(connection: &Connection, destination: &str, accepts: bool, now: &str) -> Result<Vec<i64>> {
    let sql = if accepts {
        "UPDATE deliveries SET state = 'pending', reason = NULL, next_utc = :now \
         WHERE destination = :destination AND state = 'held' AND :reason IS NOT NULL RETURNING id"
    } else {
        "UPDATE deliveries SET state = 'held', reason = :reason, next_utc = :now \
         WHERE destination = :destination AND state = 'pending' \
           AND result_id IN (SELECT id FROM results WHERE simulated) RETURNING id"
    };
    let mut statement = connection.prepare_cached(sql)?;
    let values = named_params! {":destination": destination, ":reason": HELD_BECAUSE, ":now": now};
    Ok(statement.query_map(values, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Applies a configuration that has changed to the kinds of results of a destination: drops what is not delivered yet of a kind that
/// it does not take, and queues what was dropped for that reason of a kind that it takes. `kinds`: `None` takes all.
/// Returns the deliveries that changed, with their new state. Call it before [`apply_simulated`].
///
/// # Errors
/// When the database fails.
pub fn apply_kinds(
    connection: &Connection,
    destination: &str,
    kinds: Option<&[&str]>,
    now: &str,
) -> Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare_cached(
        "UPDATE deliveries SET state = CASE state WHEN 'dropped' THEN 'pending' ELSE 'dropped' END, \
                reason = CASE state WHEN 'dropped' THEN NULL ELSE :reason END, next_utc = :now \
         WHERE destination = :destination AND CASE \
               WHEN :kinds IS NULL OR (SELECT kind FROM results WHERE id = result_id) IN (SELECT value FROM json_each(:kinds)) \
               THEN state = 'dropped' AND reason = :reason \
               ELSE state IN ('pending', 'held', 'parked') END \
         RETURNING id, state",
    )?;
    let kinds = kinds.map(serde_json::to_string).transpose()?;
    let values = named_params! {
        ":destination": destination, ":kinds": kinds, ":reason": NOT_AMONG_RESULTS, ":now": now,
    };
    Ok(statement.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// Newest first; with `state`, only deliveries in that state.
///
/// # Errors
/// When the database fails.
pub fn list(connection: &Connection, state: Option<&str>, limit: u32) -> Result<Vec<Delivery>> {
    let sql = format!("{SELECT} WHERE :state IS NULL OR d.state = :state ORDER BY d.id DESC LIMIT :limit");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(named_params! {":state": state, ":limit": limit}, read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// # Errors
/// When the database fails.
pub fn get(connection: &Connection, id: i64) -> Result<Option<Delivery>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE d.id = ?1"))?;
    Ok(statement.query_map([id], read)?.next().transpose()?)
}

/// The deliveries of one job's results, in order.
///
/// # Errors
/// When the database fails.
pub fn of_job(connection: &Connection, job_id: i64) -> Result<Vec<Delivery>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE r.job_id = ?1 ORDER BY d.id"))?;
    Ok(statement.query_map([job_id], read)?.collect::<rusqlite::Result<_>>()?)
}

/// One line per destination that ever had a delivery, by name.
///
/// # Errors
/// When the database fails.
pub fn summary(connection: &Connection) -> Result<Vec<Summary>> {
    let mut statement = connection.prepare_cached(
        "SELECT d.destination, sum(d.state = 'pending'), sum(d.state = 'delivered'), \
                min(CASE WHEN d.state = 'pending' THEN coalesce(j.finished_utc, j.created_utc) END), \
                (SELECT reason FROM deliveries p WHERE p.destination = d.destination AND p.state = 'pending' \
                 ORDER BY p.id LIMIT 1) \
         FROM deliveries d JOIN results r ON r.id = d.result_id JOIN jobs j ON j.id = r.job_id \
         GROUP BY d.destination ORDER BY d.destination",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(Summary {
            destination: row.get(0)?,
            pending: row.get::<_, i64>(1)?.unsigned_abs(),
            delivered: row.get::<_, i64>(2)?.unsigned_abs(),
            oldest_utc: row.get(3)?,
            reason: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Makes everything pending due at once, for all destinations; wake the outbox afterwards. Returns how many.
///
/// # Errors
/// When the database fails.
pub fn due_now(connection: &Connection, now: &str) -> Result<usize> {
    Ok(connection.execute("UPDATE deliveries SET next_utc = ?1 WHERE state = 'pending'", [now])?)
}

/// As [`due_now`], for one destination or all, and parked ones become pending again: a person asks for it.
///
/// # Errors
/// When the database fails.
pub fn retry_now(connection: &Connection, destination: Option<&str>, now: &str) -> Result<usize> {
    Ok(connection.execute(
        "UPDATE deliveries SET state = 'pending', next_utc = :now \
         WHERE state IN ('pending', 'parked') AND (:destination IS NULL OR destination = :destination)",
        named_params! {":now": now, ":destination": destination},
    )?)
}

/// No pause leads beyond `latest`: a later time was put down while the clock was ahead, or the clock has been set back
/// since. Such deliveries wait until `latest` instead, neither for years nor not at all. Returns how many.
///
/// # Errors
/// When the database fails.
pub fn not_after(connection: &Connection, destination: &str, latest: &str) -> Result<usize> {
    let which = "state = 'pending' AND destination = ?2";
    super::not_after(connection, ("deliveries", "next_utc"), which, latest, Some(destination))
}

/// What a person may do with one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Try it now, whatever became of it before.
    Retry,
    /// Do not try it until somebody asks for it.
    Park,
    /// Never send it.
    Drop,
}

impl Order {
    /// The states that it applies to, for SQL, and the state that it leads to.
    fn states(self) -> (&'static str, &'static str) {
        match self {
            Self::Retry => ("'pending', 'parked', 'dropped'", PENDING),
            Self::Park => ("'pending'", PARKED),
            Self::Drop => ("'pending', 'parked', 'held'", DROPPED),
        }
    }
}

/// Carries out what a person asked for one delivery; wake the outbox afterwards. `false`: it is not in a state for that, or what was
/// rejected would be sent.
///
/// # Errors
/// When the database fails.
pub fn by_hand(connection: &Connection, id: i64, order: Order, now: &str) -> Result<bool> {
    let (from, to) = order.states();
    let reason = match order {
        Order::Retry => None,
        Order::Park => Some(PARKED_BY_HAND),
        Order::Drop => Some(DROPPED_BY_HAND),
    };
    let sent = if order == Order::Retry {
        "AND NOT EXISTS (SELECT 1 FROM results r WHERE r.id = result_id AND r.rejected IS NOT NULL)"
    } else {
        ""
    };
    let sql = format!(
        "UPDATE deliveries SET state = ?2, next_utc = ?3, reason = coalesce(?4, reason) \
         WHERE id = ?1 AND state IN ({from}) {sent}"
    );
    let changed = connection.execute(&sql, (id, to, now, reason))?;
    if changed == 1 {
        super::events::record(connection, &format!("delivery/{id}"), to, reason.unwrap_or("to be tried now, by hand"))?;
    }
    Ok(changed == 1)
}

/// What may be sent to `destination` now, in order.
///
/// # Errors
/// When the database fails.
pub fn due(connection: &Connection, destination: &str, now: &str, limit: usize) -> Result<Vec<Delivery>> {
    let sql = format!(
        "{SELECT} WHERE d.destination = :destination AND d.state = 'pending' AND d.next_utc <= :now \
         ORDER BY d.id LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = named_params! {":destination": destination, ":now": now, ":limit": limit};
    Ok(statement.query_map(values, read)?.collect::<rusqlite::Result<_>>()?)
}

/// When the next delivery to `destination` is due, UTC.
///
/// # Errors
/// When the database fails.
pub fn next_due(connection: &Connection, destination: &str) -> Result<Option<String>> {
    Ok(connection.query_row(
        "SELECT min(next_utc) FROM deliveries WHERE destination = ?1 AND state = 'pending'",
        [destination],
        |row| row.get(0),
    )?)
}

/// Whether this is still to be sent as it was read: a person, a newer version or a rejection may have changed that since.
///
/// # Errors
/// When the database fails.
pub fn still_due(connection: &Connection, delivery: &Delivery) -> Result<bool> {
    let row = get(connection, delivery.id)?;
    Ok(row.is_some_and(|row| row.state == PENDING && row.file == delivery.file && row.sha256 == delivery.sha256))
}

/// Notes the proof, and what the destination remarked. `ask`: the destination is to be asked whether it keeps the object, unless
/// that was rejected. The object is there, so this counts also when it was on its way while the row became something else; an
/// event says so. `false`: the row is gone, or says that it is delivered already.
///
/// # Errors
/// When the database fails.
pub fn delivered(
    connection: &Connection,
    id: i64,
    status: u16,
    remark: Option<&str>,
    ask: bool,
    now: &str,
) -> Result<bool> {
    let before: Option<String> =
        connection.query_row("SELECT state FROM deliveries WHERE id = ?1", [id], |row| row.get(0)).optional()?;
    let changed = connection.execute(
        "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, reason = ?3, status = ?2, \
         delivered_utc = ?4, commitment = CASE WHEN asking THEN 'wanted' END, ask_utc = CASE WHEN asking THEN ?4 END \
         FROM (SELECT r.id AS of_result, ?5 AND r.rejected IS NULL AS asking FROM results r) \
         WHERE id = ?1 AND result_id = of_result AND state <> 'delivered'",
        (id, status, remark, now, ask),
    )?;
    if let Some(before) = before.filter(|before| changed == 1 && before != PENDING) {
        let said = format!("it was on its way when it was {before}");
        super::events::record(connection, &format!("delivery/{id}"), DELIVERED, &said)?;
    }
    Ok(changed == 1)
}

/// Records why the destination did not take this object, and when it is tried again. Returns `false` when the row is no
/// longer pending.
///
/// # Errors
/// When the database fails.
pub fn failed(connection: &Connection, id: i64, status: Option<u16>, reason: &str, next_utc: &str) -> Result<bool> {
    let changed = connection.execute(
        "UPDATE deliveries SET attempts = attempts + 1, reason = ?2, status = ?3, next_utc = ?4 \
         WHERE id = ?1 AND state = 'pending'",
        (id, reason, status, next_utc),
    )?;
    Ok(changed == 1)
}

/// Notes why this object is not sent now, although nothing was tried. `false`: the row is not pending any more.
///
/// # Errors
/// When the database fails.
pub fn withheld(connection: &Connection, id: i64, reason: &str, next_utc: &str) -> Result<bool> {
    let sql = "UPDATE deliveries SET reason = ?2, next_utc = ?3 WHERE id = ?1 AND state = 'pending'";
    Ok(connection.execute(sql, (id, reason, next_utc))? == 1)
}

/// What waits of a study is tried at once: what it waited for has been decided.
///
/// # Errors
/// When the database fails.
pub fn due_of_study(connection: &Connection, study_uid: &str, now: &str) -> Result<usize> {
    Ok(connection.execute(
        "UPDATE deliveries SET next_utc = ?2 WHERE state = 'pending' \
         AND result_id IN (SELECT id FROM results WHERE study_uid = ?1)",
        [study_uid, now],
    )?)
}

/// Notes why the destination will never take this object. `false`: the row is not pending any more.
///
/// # Errors
/// When the database fails.
pub fn parked(connection: &Connection, id: i64, status: Option<u16>, reason: &str, now: &str) -> Result<bool> {
    let changed = connection.execute(
        "UPDATE deliveries SET state = 'parked', attempts = attempts + 1, reason = ?2, status = ?3, next_utc = ?4 \
         WHERE id = ?1 AND state = 'pending'",
        (id, reason, status, now),
    )?;
    Ok(changed == 1)
}

/// The connection broke while this object was on its way: the destination may have it, or not.
///
/// # Errors
/// When the database fails.
pub fn unanswered(connection: &Connection, id: i64) -> Result<()> {
    let sql = "UPDATE deliveries SET attempts = attempts + 1, status = NULL WHERE id = ?1 AND state <> 'delivered'";
    connection.execute(sql, [id])?;
    Ok(())
}

/// Nothing can be sent to `destination` before `until`: notes that on everything that would have been due earlier.
///
/// # Errors
/// When the database fails.
pub fn hold(connection: &Connection, destination: &str, reason: &str, until: &str) -> Result<usize> {
    Ok(connection.execute(
        "UPDATE deliveries SET reason = :reason, next_utc = :until \
         WHERE destination = :destination AND state = 'pending' AND next_utc < :until",
        named_params! {":destination": destination, ":reason": reason, ":until": until},
    )?)
}
