//! `instances`: one row per instance in custody. The rows are an index of the custody log and can be restored from it.

use dicom::header::Header;
use dicom::kind::SeriesKind;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, Result, series};
use crate::instance::{Instance, Location, Origin};

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    Kept,
    /// Kept, although another instance with the same SOP Instance UID and different bytes was kept before.
    Conflict,
    /// The bytes are kept but cannot be parsed.
    Quarantined,
    /// The bytes no longer exist: evicted after delivery, or lost.
    Evicted,
    /// The bytes are no longer those that were received. Sent again, they are taken as new.
    Damaged,
    /// A person has decided that another content of the same object counts.
    Replaced,
}

impl InstanceState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Conflict => "conflict",
            Self::Quarantined => "quarantined",
            Self::Evicted => "evicted",
            Self::Damaged => "damaged",
            Self::Replaced => "replaced",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Kept, Self::Conflict, Self::Quarantined, Self::Evicted, Self::Damaged, Self::Replaced]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// For SQL: the states of what is here and not in use. The index of these has this list in its condition, so a query that asks for one of
/// them names the list as well: else it reads all instances.
pub(super) const SET_ASIDE: &str = "('quarantined', 'conflict', 'damaged', 'replaced')";

/// What `insert` needs beside the header.
#[derive(Debug)]
pub struct New<'a> {
    pub header: &'a Header,
    /// `header` as JSON.
    pub header_json: &'a str,
    pub location: &'a Location,
    /// The segment of the log that has its record; `None` when there is none.
    pub record_segment: Option<i64>,
    /// SHA-256 of the data set bytes as received, lower-case hex.
    pub sha256: &'a str,
    pub state: InstanceState,
    pub reason: Option<&'a str>,
    pub received_utc: &'a str,
    pub origin: &'a Origin,
}

/// Returns the id of the new row. The series of one that is kept is being received from then on, in the same transaction: whatever
/// ends the process before anybody is told, it is assembled again at the next start.
///
/// # Errors
/// When the database fails.
pub fn insert(connection: &Connection, new: &New<'_>) -> Result<i64> {
    let (segment, file, offset, record) = match new.location {
        Location::Log { segment, offset, .. } => (Some(*segment), None, *offset, None),
        Location::File { file, .. } => (None, Some(file.as_str()), 0, new.record_segment),
    };
    connection
        .prepare_cached(
            "INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, segment, file, offset, length, sha256, \
             state, reason, received_utc, calling_ae, called_ae, peer_address, association, header, record_segment) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )?
        .execute(params![
            new.header.sop_instance_uid,
            new.header.sop_class_uid,
            new.header.study_instance_uid,
            new.header.series_instance_uid,
            segment,
            file,
            signed(offset),
            signed(new.location.length()),
            new.sha256,
            new.state.as_str(),
            new.reason,
            new.received_utc,
            new.origin.calling_ae,
            new.origin.called_ae,
            new.origin.peer_address,
            signed(new.origin.association),
            new.header_json,
            record,
        ])?;
    let id = connection.last_insert_rowid();
    if new.state == InstanceState::Kept {
        series::stirred(connection, &new.header.study_instance_uid, &new.header.series_instance_uid)?;
    }
    Ok(id)
}

/// SQLite integers are signed; every number here is far below 2^63.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const COLUMNS: &str = "id, header, segment, file, offset, length, association, received_utc, sha256";

fn read(row: &Row<'_>) -> rusqlite::Result<(Instance, String)> {
    let unsigned = |column: usize| -> rusqlite::Result<u64> {
        let value: i64 = row.get(column)?;
        u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
    };
    let (offset, length) = (unsigned(4)?, unsigned(5)?);
    let location = match (row.get::<_, Option<i64>>(2)?, row.get::<_, Option<String>>(3)?) {
        (Some(segment), _) => Location::Log { segment, offset, length },
        (None, Some(file)) => Location::File { file, length },
        (None, None) => {
            return Err(rusqlite::Error::InvalidColumnType(3, "file".into(), rusqlite::types::Type::Null));
        }
    };
    let instance = Instance {
        id: row.get(0)?,
        header: Header::default(),
        location,
        association: unsigned(6)?,
        received_utc: row.get(7)?,
        sha256: row.get(8)?,
    };
    Ok((instance, row.get(1)?))
}

fn with_header((mut instance, json): (Instance, String)) -> Result<Instance> {
    instance.header = serde_json::from_str(&json)?;
    Ok(instance)
}

fn by_id(connection: &Connection, id: i64, condition: &str) -> Result<Option<Instance>> {
    let sql = format!("SELECT {COLUMNS} FROM instances WHERE id = ?1 AND {condition}");
    connection.prepare_cached(&sql)?.query_row([id], read).optional()?.map(with_header).transpose()
}

/// # Errors
/// When the database fails.
pub fn get(connection: &Connection, id: i64) -> Result<Option<Instance>> {
    by_id(connection, id, "true")
}

/// As [`get`], but `None` when the instance was evicted or is damaged.
///
/// # Errors
/// When the database fails.
pub fn get_here(connection: &Connection, id: i64) -> Result<Option<Instance>> {
    by_id(connection, id, "state NOT IN ('evicted', 'damaged')")
}

/// As [`get`], but `None` unless the instance is kept and counts: not set aside, not evicted, not damaged.
///
/// # Errors
/// When the database fails.
pub fn get_kept(connection: &Connection, id: i64) -> Result<Option<Instance>> {
    by_id(connection, id, "state = 'kept'")
}

/// An object in conflict turned out to be the one that counts, as if it had not come: sent again it is compared again, or taken
/// when the other one is gone by then. Returns whether it was in conflict.
///
/// # Errors
/// When the database fails.
pub fn forget_twin(connection: &Connection, instance: &Instance) -> Result<bool> {
    // The id may be that of another instance since the database was built again.
    let sql = "DELETE FROM instances WHERE id = ?1 AND sha256 = ?2 AND state = 'conflict'";
    Ok(connection.execute(sql, params![instance.id, instance.sha256])? == 1)
}

/// All objects in conflict.
///
/// # Errors
/// When the database fails.
pub fn in_conflict(connection: &Connection) -> Result<Vec<i64>> {
    let sql = format!("SELECT id FROM instances WHERE state IN {SET_ASIDE} AND state = 'conflict' ORDER BY id");
    let mut statement = connection.prepare(&sql)?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// The kept instances of a series in the order of arrival (no conflicts, no evicted ones).
///
/// # Errors
/// When the database fails.
pub fn of_series(connection: &Connection, study_uid: &str, series_uid: &str) -> Result<Vec<Instance>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM instances WHERE series_uid = ?2 AND study_uid = ?1 AND state = 'kept' ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([study_uid, series_uid], read)?;
    rows.map(|row| with_header(row?)).collect()
}

/// Of the rows of a series those that count: kept, or kept until their bytes were evicted. Not what was set aside, as the
/// contents of a wrong patient that a person has replaced.
pub const COUNTED: &str = "(state = 'kept' OR (state = 'evicted' \
     AND coalesce(reason, '') NOT IN ('replaced', 'quarantined', 'conflict', 'damaged')))";

/// For SQL: nothing takes the place of the row `of`. An object whose bytes were evicted or damaged may come again, corrected or not: then
/// what is kept of it counts, else what came last.
fn last(of: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM instances AS n WHERE n.sop_uid = {of}.sop_uid AND n.study_uid = {of}.study_uid \
         AND (n.state = 'kept' OR (n.id > {of}.id AND ({COUNTED} OR state = 'damaged'))))"
    )
}

/// The instances of a series that were kept, in the order of arrival, also those whose bytes are gone meanwhile: enough for
/// what is decided by headers. Each object once.
///
/// # Errors
/// When the database fails.
pub fn ever_of_series(connection: &Connection, study_uid: &str, series_uid: &str) -> Result<Vec<Instance>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM instances AS i WHERE series_uid = ?2 AND study_uid = ?1 \
         AND (state = 'kept' OR (({COUNTED} OR state = 'damaged') AND {})) ORDER BY id",
        last("i")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([study_uid, series_uid], read)?;
    rows.map(|row| with_header(row?)).collect()
}

/// Of what was received of a series, what cannot be given: state and header, in the order of arrival. What came again and is kept is not
/// lost; a content in conflict is, until a person has decided.
///
/// # Errors
/// When the database fails.
pub fn lost_of_series(connection: &Connection, study_uid: &str, series_uid: &str) -> Result<Vec<(String, Header)>> {
    let sql = format!(
        "SELECT state, header FROM instances AS lost WHERE series_uid = ?2 AND study_uid = ?1 AND state <> 'kept' \
         AND (state = 'conflict' OR (({COUNTED} OR state = 'damaged') AND {})) ORDER BY id",
        last("lost")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows =
        statement.query_map([study_uid, series_uid], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (state, json) = row?;
        found.push((state, serde_json::from_str(&json)?));
    }
    Ok(found)
}

/// Studies of days before the Study Date of `header` with its Patient ID that have a series of this kind whose pictures are here,
/// newest first, each with the header of an image; one study comes once for each of its series. Whether they are of the same person is
/// for the caller to judge (`dicom::patient`): an ID alone does not say it.
///
/// # Errors
/// When the database fails.
pub fn earlier_of_kind(connection: &Connection, header: &Header, kind: SeriesKind) -> Result<Vec<(String, Header)>> {
    let mut statement = connection.prepare_cached(
        "SELECT s.study_uid, i.header, json_extract(i.header, '$.study_date') AS day \
         FROM series s JOIN instances i ON i.id = (SELECT min(id) FROM instances WHERE series_uid = s.series_uid \
           AND study_uid = s.study_uid AND state = 'kept') \
         WHERE s.kind = ?4 AND s.study_uid <> ?1 AND lower(json_extract(i.header, '$.patient_id')) = lower(?2) \
         AND length(day) = 8 AND day < ?3 ORDER BY day DESC, s.id DESC",
    )?;
    let values = params![header.study_instance_uid, header.patient_id, header.study_date, kind.as_str()];
    let rows = statement.query_map(values, |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut found = Vec::new();
    for row in rows {
        let (study_uid, json) = row?;
        found.push((study_uid, serde_json::from_str(&json)?));
    }
    Ok(found)
}

/// Sets an instance aside whose bytes are no longer those that were received. `false`: it is not in use any more.
///
/// # Errors
/// When the database fails.
pub fn set_damaged(connection: &Connection, instance: &Instance, reason: &str) -> Result<bool> {
    // The id may be that of another instance since the database was built again.
    let sql = "UPDATE instances SET state = 'damaged', reason = ?2 \
               WHERE id = ?1 AND sha256 = ?3 AND state IN ('kept', 'conflict')";
    Ok(connection.execute(sql, params![instance.id, reason, instance.sha256])? == 1)
}

/// The damaged instances of a series that were not sent again since, in the order of arrival.
///
/// # Errors
/// When the database fails.
pub fn damaged_of_series(connection: &Connection, study_uid: &str, series_uid: &str) -> Result<Vec<Instance>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM instances i WHERE series_uid = ?2 AND study_uid = ?1 AND state = 'damaged' \
         AND NOT EXISTS (SELECT 1 FROM instances k WHERE k.sop_uid = i.sop_uid AND k.id > i.id AND k.state = 'kept') \
         ORDER BY id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([study_uid, series_uid], read)?;
    rows.map(|row| with_header(row?)).collect()
}

/// The first `limit` instances after `id` whose bytes are in use.
///
/// # Errors
/// When the database fails.
pub fn in_use_after(connection: &Connection, id: i64, limit: u32) -> Result<Vec<Instance>> {
    let sql =
        format!("SELECT {COLUMNS} FROM instances WHERE id > ?1 AND state IN ('kept', 'conflict') ORDER BY id LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![id, limit], read)?;
    rows.map(|row| with_header(row?)).collect()
}

/// The Patient IDs of a study, of all its instances that count.
///
/// # Errors
/// When the database fails.
pub fn patient_ids_of_study(connection: &Connection, study_uid: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT coalesce(json_extract(i.header, '$.patient_id'), '') FROM series s \
         JOIN instances i ON i.series_uid = s.series_uid AND i.study_uid = s.study_uid \
         WHERE s.study_uid = ?1 AND i.state = 'kept'",
    )?;
    Ok(statement.query_map([study_uid], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// The ids of the kept instances of a series.
///
/// # Errors
/// When the database fails.
pub fn ids_of_series(connection: &Connection, study_uid: &str, series_uid: &str) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM instances WHERE series_uid = ?2 AND study_uid = ?1 AND state = 'kept'";
    let mut statement = connection.prepare_cached(sql)?;
    let ids = statement.query_map([study_uid, series_uid], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// One instance with a given SOP Instance UID whose bytes are here as they were received.
#[derive(Debug, Clone)]
pub struct Known {
    pub id: i64,
    pub sha256: String,
    pub state: InstanceState,
    pub reason: Option<String>,
}

/// Every instance with this SOP Instance UID that is neither evicted nor damaged, oldest first.
///
/// # Errors
/// When the database fails.
pub fn by_sop_uid(connection: &Connection, sop_uid: &str) -> Result<Vec<Known>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, sha256, state, reason FROM instances WHERE sop_uid = ?1 AND state NOT IN ('evicted', 'damaged') ORDER BY id",
    )?;
    let rows = statement.query_map([sop_uid], |row| {
        let state = InstanceState::parse(&row.get::<_, String>(2)?).ok_or_else(|| unknown_state(2))?;
        Ok(Known { id: row.get(0)?, sha256: row.get(1)?, state, reason: row.get(3)? })
    })?;
    rows.map(|row| row.map_err(Error::from)).collect()
}

fn unknown_state(column: usize) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(column, "state".into(), rusqlite::types::Type::Text)
}

/// Whether the record at this location has a row, in any state.
///
/// # Errors
/// When the database fails.
pub fn is_indexed(connection: &Connection, location: &Location) -> Result<bool> {
    let found: rusqlite::Result<bool> = match location {
        Location::Log { segment, offset, .. } => connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM instances WHERE segment = ?1 AND offset = ?2)")?
            .query_row(params![segment, signed(*offset)], |row| row.get(0)),
        Location::File { file, .. } => connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM instances WHERE file = ?1)")?
            .query_row([file], |row| row.get(0)),
    };
    Ok(found?)
}

/// Number of instances by state, and the bytes of those not evicted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub kept: u64,
    pub conflict: u64,
    pub quarantined: u64,
    pub evicted: u64,
    pub damaged: u64,
    pub replaced: u64,
    /// Part 10 bytes of everything not evicted.
    pub bytes: u64,
}

/// # Errors
/// When the database fails.
pub fn counts(connection: &Connection) -> Result<Counts> {
    let mut statement =
        connection.prepare_cached("SELECT state, count(*), sum(length) FROM instances GROUP BY state")?;
    let mut rows = statement.query([])?;
    let mut counts = Counts::default();
    while let Some(row) = rows.next()? {
        let state = InstanceState::parse(&row.get::<_, String>(0)?).ok_or_else(|| unknown_state(0))?;
        let number = u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default();
        match state {
            InstanceState::Kept => counts.kept = number,
            InstanceState::Conflict => counts.conflict = number,
            InstanceState::Quarantined => counts.quarantined = number,
            InstanceState::Evicted => counts.evicted = number,
            InstanceState::Damaged => counts.damaged = number,
            InstanceState::Replaced => counts.replaced = number,
        }
        if state != InstanceState::Evicted {
            counts.bytes += u64::try_from(row.get::<_, i64>(2)?).unwrap_or_default();
        }
    }
    Ok(counts)
}

/// One quarantined instance, as shown to an operator.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Quarantined {
    pub id: i64,
    pub sop_uid: String,
    pub reason: String,
    pub calling_ae: String,
    pub peer_address: String,
    pub received_utc: String,
}

/// The newest `limit` quarantined instances, newest first.
///
/// # Errors
/// When the database fails.
pub fn quarantined(connection: &Connection, limit: u32) -> Result<Vec<Quarantined>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, sop_uid, ifnull(reason, ''), calling_ae, peer_address, received_utc FROM instances \
         WHERE state IN {SET_ASIDE} AND state = 'quarantined' ORDER BY id DESC LIMIT ?1"
    ))?;
    let rows = statement.query_map([limit], |row| {
        Ok(Quarantined {
            id: row.get(0)?,
            sop_uid: row.get(1)?,
            reason: row.get(2)?,
            calling_ae: row.get(3)?,
            peer_address: row.get(4)?,
            received_utc: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Bytes of the kept instances of a series.
///
/// # Errors
/// When the database fails.
pub fn bytes_of_series(connection: &Connection, study_uid: &str, series_uid: &str) -> Result<u64> {
    let bytes: i64 = connection.query_row(
        "SELECT COALESCE(SUM(length), 0) FROM instances WHERE series_uid = ?2 AND study_uid = ?1 AND state = 'kept'",
        [study_uid, series_uid],
        |row| row.get(0),
    )?;
    Ok(bytes.unsigned_abs())
}

/// Total bytes and number of studies of the newest 2,000 instances.
///
/// # Errors
/// When the database fails.
pub fn recent_size(connection: &Connection) -> Result<(u64, u64)> {
    let (bytes, studies): (i64, i64) = connection.query_row(
        "SELECT COALESCE(SUM(length), 0), COUNT(DISTINCT study_uid)
         FROM (SELECT length, study_uid FROM instances ORDER BY id DESC LIMIT 2000)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok((bytes.unsigned_abs(), studies.unsigned_abs()))
}
