//! Where the bytes of instances are stored, by place: a segment of the custody log, or a file of its own.

use std::collections::{HashMap, HashSet};

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::instances::InstanceState;
use super::{Result, deliveries, holds};

/// Holds the bytes of one or more instances.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Segment(i64),
    /// Path relative to the spool directory.
    File(String),
}

impl Place {
    fn of(segment: Option<i64>, file: Option<String>) -> Option<Self> {
        segment.map(Self::Segment).or_else(|| file.map(Self::File))
    }

    /// Column of `instances` and its value.
    fn key(&self) -> (&'static str, Value) {
        match self {
            Self::Segment(number) => ("segment", Value::from(*number)),
            Self::File(file) => ("file", Value::from(file.clone())),
        }
    }

    /// Its name in the table `events`.
    pub fn subject(&self) -> String {
        match self {
            Self::Segment(number) => format!("segment/{number}"),
            Self::File(file) => file.clone(),
        }
    }
}

/// The instances of one series, in one state, at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub place: Place,
    pub state: InstanceState,
    /// Empty for what could not be parsed.
    pub study_uid: String,
    /// A person keeps its study.
    pub held: bool,
    /// Records at this place name large files that are kept: after the loss of the database only these do.
    pub names_large: bool,
    /// `None` when their series is unknown.
    pub series_state: Option<String>,
    pub newest_utc: String,
    /// Of the newest instance. Ids are in the order of arrival, whatever the clock said.
    pub newest_id: i64,
    pub objects: u64,
    pub bytes: u64,
    /// Jobs of the series that are neither done nor superseded; those of study tasks that it is a member of count as one. For a
    /// CT series that was not read, because another one of its study is, also those others that are in work.
    pub open_jobs: u32,
    /// Results of the series that wait for a destination (not those that it will never take); those of study tasks count as one.
    /// For a CT series that was not read also those of the others of its study. One more while those of a series that was fetched, and
    /// sent by somebody since, are still to be queued.
    pub undelivered: u32,
}

/// Is the series `s` a CT series that has a verdict and was not looked at?
const UNREAD: &str = "(coalesce(s.kind = 'ct' AND s.state = 'refused', 0) \
                      AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.series_id = s.id AND j.state IN ('done', 'parked')))";

/// The content of every place except the segment that is being written.
///
/// # Errors
/// When the database fails (as for all below).
pub fn contents(connection: &Connection) -> Result<Vec<Content>> {
    // A result may go when its archive has it, and has said that it keeps it if it is asked for that.
    read(connection, deliveries::OPEN, None)
}

/// Of [`contents`] that of one place.
///
/// # Errors
/// When the database fails.
pub fn contents_of(connection: &Connection, place: &Place) -> Result<Vec<Content>> {
    read(connection, deliveries::OPEN, Some(place))
}

/// Sealed segments in which nothing lies any more: what they held came again in another encoding and was no conflict. Each is
/// `bytes` long and as old as the oldest.
///
/// # Errors
/// When the database fails.
pub fn empty_segments(connection: &Connection, bytes: u64) -> Result<Vec<Content>> {
    let mut statement = connection.prepare(
        "SELECT id FROM segments WHERE sealed = 1 \
         AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.segment = segments.id AND i.state <> 'evicted') \
         AND NOT EXISTS (SELECT 1 FROM instances l WHERE l.record_segment = segments.id AND l.state <> 'evicted')",
    )?;
    let empty = |number: i64| Content {
        place: Place::Segment(number),
        state: InstanceState::Evicted,
        study_uid: String::new(),
        held: false,
        names_large: false,
        series_state: None,
        newest_utc: String::new(),
        newest_id: 0,
        objects: 0,
        bytes,
        open_jobs: 0,
        undelivered: 0,
    };
    let rows = statement.query_map([], |row| row.get(0).map(empty))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many objects at this place wait for somebody to decide which content counts.
///
/// # Errors
/// When the database fails.
pub fn undecided(connection: &Connection, place: &Place) -> Result<u64> {
    let (column, key) = place.key();
    let sql = format!("SELECT count(*) FROM instances WHERE {column} = ?1 AND state = 'conflict'");
    Ok(connection.query_row(&sql, params![key], |row| row.get::<_, i64>(0))?.unsigned_abs())
}

/// Of [`contents`] those (by `newest_id`) with results that are still to be sent; the results of others that are undelivered
/// are at their destination, which has not said that it keeps them.
///
/// # Errors
/// When the database fails.
pub fn to_be_sent(connection: &Connection) -> Result<HashSet<i64>> {
    let waiting = read(connection, "d.state = 'pending'", None)?.into_iter().filter(|content| content.undelivered > 0);
    Ok(waiting.map(|content| content.newest_id).collect())
}

fn read(connection: &Connection, open: &str, place: Option<&Place>) -> Result<Vec<Content>> {
    let held = holds::held("i.study_uid");
    let (which, key) = place.map_or((String::new(), None), |place| {
        let (column, key) = place.key();
        (format!("AND i.{column} = ?1"), Some(key))
    });
    let mut statement = connection.prepare(&format!(
        "SELECT i.segment, i.file, i.state, s.state, max(i.received_utc), sum(i.length), max(i.id), \
           (SELECT count(*) FROM jobs j WHERE j.series_id = s.id AND j.state NOT IN ('done', 'superseded')) \
           + EXISTS (SELECT 1 FROM job_members m JOIN jobs j ON j.id = m.job_id \
                     WHERE m.series_id = s.id AND j.series_id <> s.id AND j.state NOT IN ('done', 'superseded')) \
           + ({UNREAD} AND EXISTS (SELECT 1 FROM series o WHERE o.study_uid = s.study_uid AND o.kind = 'ct' AND o.id <> s.id \
                                   AND o.state IN ('receiving', 'complete'))), \
           (SELECT count(*) FROM jobs j JOIN results r ON r.job_id = j.id JOIN deliveries d ON d.result_id = r.id \
            WHERE j.series_id = s.id AND {open}) \
           + EXISTS (SELECT 1 FROM job_members m JOIN jobs j ON j.id = m.job_id JOIN results r ON r.job_id = j.id \
                     JOIN deliveries d ON d.result_id = r.id \
                     WHERE m.series_id = s.id AND j.series_id <> s.id AND {open}) \
           + ({UNREAD} AND EXISTS (SELECT 1 FROM series o JOIN jobs j ON j.series_id = o.id JOIN results r ON r.job_id = j.id \
                                   JOIN deliveries d ON d.result_id = r.id \
                                   WHERE o.study_uid = s.study_uid AND o.kind = 'ct' AND o.id <> s.id AND {open})) \
           + EXISTS (SELECT 1 FROM fetched_series f WHERE f.study_uid = s.study_uid AND f.series_uid = s.series_uid \
                     AND f.sent_by IS NOT NULL), \
           i.study_uid, {held}, count(*), \
           EXISTS (SELECT 1 FROM instances l WHERE l.record_segment = i.segment AND l.state <> 'evicted') \
         FROM instances i LEFT JOIN series s ON s.study_uid = i.study_uid AND s.series_uid = i.series_uid \
         LEFT JOIN segments g ON g.id = i.segment \
         WHERE i.state <> 'evicted' AND (i.segment IS NULL OR g.sealed = 1) {which} \
         GROUP BY i.segment, i.file, i.state, i.study_uid, i.series_uid",
    ))?;
    let mut rows = statement.query(rusqlite::params_from_iter(key))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(place) = Place::of(row.get(0)?, row.get(1)?) else { continue };
        let state: String = row.get(2)?;
        let state = InstanceState::parse(&state).ok_or(rusqlite::Error::InvalidColumnName(state))?;
        found.push(Content {
            place,
            state,
            series_state: row.get(3)?,
            newest_utc: row.get(4)?,
            bytes: u64::try_from(row.get::<_, i64>(5)?).unwrap_or_default(),
            newest_id: row.get(6)?,
            open_jobs: row.get(7)?,
            undelivered: row.get(8)?,
            study_uid: row.get(9)?,
            held: row.get(10)?,
            objects: row.get::<_, i64>(11)?.unsigned_abs(),
            names_large: row.get(12)?,
        });
    }
    Ok(found)
}

/// Marks the instances at this place as evicted, because they are all finished and delivered; their bytes are removed
/// next. Returns their number. Their series become evicted too: without these bytes they cannot be analysed again. That of an object
/// in conflict does not: nothing was made of it.
///
/// # Errors
/// When the database fails.
pub fn evict(connection: &Connection, place: &Place) -> Result<usize> {
    series_of(connection, place)?;
    gone(connection, place, "finished and delivered")
}

/// As [`evict`], of a place that is not there any more: what was concluded from it is not done again from what is left.
///
/// # Errors
/// When the database fails.
pub fn lost(connection: &Connection, place: &Place) -> Result<usize> {
    series_of(connection, place)?;
    gone(connection, place, "bytes missing at start")
}

/// The concluded series of what counts at this place are evicted.
fn series_of(connection: &Connection, place: &Place) -> Result<()> {
    let (column, key) = place.key();
    // From the place to its few series, not the other way round: nobody can write meanwhile.
    connection.execute(
        &format!(
            "UPDATE series SET state = 'evicted' WHERE state IN ('processed', 'refused') AND id IN (\
             SELECT s.id FROM (SELECT DISTINCT study_uid, series_uid FROM instances INDEXED BY instances_{column} \
             WHERE {column} = ?1 AND state = 'kept') i \
             CROSS JOIN series s ON s.study_uid = i.study_uid AND s.series_uid = i.series_uid)"
        ),
        params![key],
    )?;
    Ok(())
}

/// Marks the instances at this place as evicted. Returns their number. One that was set aside keeps that as its reason: it
/// never counted, and says nothing about its series later either ([`super::instances::COUNTED`]).
///
/// # Errors
/// When the database fails.
pub fn gone(connection: &Connection, place: &Place, reason: &str) -> Result<usize> {
    let (column, key) = place.key();
    let sql = format!(
        "UPDATE instances SET state = 'evicted', reason = CASE WHEN state = 'kept' THEN ?2 ELSE state END \
         WHERE {column} = ?1 AND state <> 'evicted'"
    );
    Ok(connection.execute(&sql, params![key, reason])?)
}

/// Whether a segment holds bytes of an instance that is not evicted, or the record of a large one.
///
/// # Errors
/// When the database fails.
pub fn segment_in_use(connection: &Connection, number: i64) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM instances WHERE segment = ?1 AND state <> 'evicted') \
               OR EXISTS (SELECT 1 FROM instances WHERE record_segment = ?1 AND state <> 'evicted')";
    Ok(connection.query_row(sql, [number], |row| row.get(0))?)
}

/// The highest number of a segment that ever held an instance or the record of one; 0 when there is none.
///
/// # Errors
/// When the database fails.
pub fn last_segment(connection: &Connection) -> Result<i64> {
    let sql = "SELECT max(ifnull((SELECT max(segment) FROM instances), 0), \
               ifnull((SELECT max(record_segment) FROM instances), 0))";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// Every place in use, with the least size in bytes that its file must have.
///
/// # Errors
/// When the database fails.
pub fn needed(connection: &Connection) -> Result<Vec<(Place, u64)>> {
    let mut statement = connection.prepare(
        "SELECT segment, file, max(offset + length) FROM instances WHERE state <> 'evicted' GROUP BY segment, file",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if let Some(place) = Place::of(row.get(0)?, row.get(1)?) {
            found.push((place, row.get::<_, i64>(2)?.cast_unsigned()));
        }
    }
    Ok(found)
}

/// The files of large instances that were ever here, as paths relative to the spool directory, and whether they are not evicted.
///
/// # Errors
/// When the database fails.
pub fn files(connection: &Connection) -> Result<HashMap<String, bool>> {
    let mut statement = connection
        .prepare("SELECT file, max(state <> 'evicted') FROM instances WHERE file IS NOT NULL GROUP BY file")?;
    Ok(statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
}
