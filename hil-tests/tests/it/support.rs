//! Reads the database and the stored bytes of a stopped or running box. Tests read them directly: if they used the
//! daemon's own code to read, a mistake in it could hide a mistake in what it has written.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use hil_tests::appliance::Appliance;
use hil_tests::compare::Findings;
use hil_tests::part10::Instance;
use rusqlite::{Connection, OpenFlags};

pub struct Records {
    connection: Connection,
    spool: PathBuf,
}

#[derive(Debug, Clone)]
pub struct Kept {
    id: i64,
    pub state: String,
    reason: Option<String>,
    segment: Option<i64>,
    file: Option<String>,
    offset: u64,
    length: u64,
}

#[derive(Debug, Clone)]
pub struct Series {
    pub study_uid: String,
    pub kind: String,
    pub state: String,
    pub verdict: Option<String>,
    pub instances: i64,
}

#[derive(Debug, Clone)]
pub struct Made {
    pub study_uid: String,
    pub kind: String,
    pub sop_uid: String,
    pub file: PathBuf,
    /// State of each delivery of this result.
    pub deliveries: Vec<String>,
}

/// One result on its way to one destination.
#[derive(Debug, Clone)]
pub struct Sending {
    pub study_uid: String,
    pub sop_uid: String,
    pub kind: String,
    /// In the spool.
    pub file: String,
    pub state: String,
    pub reason: Option<String>,
    pub commitment: Option<String>,
    /// How often the archive was asked whether it keeps it.
    pub asked: i64,
}

impl Records {
    pub fn open(appliance: &Appliance) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(appliance.database(), flags)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.busy_timeout(std::time::Duration::from_secs(30))?;
        Ok(Self { connection, spool: appliance.spool() })
    }

    /// All rows with a SOP Instance UID.
    pub fn kept(&self, sop_uid: &str) -> Result<Vec<Kept>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, state, reason, segment, file, offset, length FROM instances WHERE sop_uid = ?1",
        )?;
        let rows = statement.query_map([sop_uid], |row| {
            Ok(Kept {
                id: row.get(0)?,
                state: row.get(1)?,
                reason: row.get(2)?,
                segment: row.get(3)?,
                file: row.get(4)?,
                offset: row.get::<_, i64>(5)?.unsigned_abs(),
                length: row.get::<_, i64>(6)?.unsigned_abs(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Why an instance was quarantined or is a conflict, in plain words: from its row, or from an event.
    pub fn reason(&self, kept: &Kept) -> Result<String> {
        if let Some(reason) = &kept.reason {
            return Ok(reason.clone());
        }
        let mut statement = self.connection.prepare_cached("SELECT detail FROM events WHERE subject = ?1")?;
        let mut details = statement.query_map([format!("instance/{}", kept.id)], |row| row.get(0))?;
        Ok(details.next().transpose()?.unwrap_or_default())
    }

    /// The Part 10 bytes at the place that the row names.
    pub fn bytes(&self, kept: &Kept) -> Result<Vec<u8>> {
        let path = match (&kept.file, kept.segment) {
            (Some(file), _) => self.spool.join(file),
            (None, Some(segment)) => self.spool.join(format!("log/{segment:08}.seg")),
            (None, None) => anyhow::bail!("the row names no place"),
        };
        let mut file = File::open(&path).with_context(|| path.display().to_string())?;
        file.seek(SeekFrom::Start(kept.offset))?;
        let mut bytes = Vec::new();
        file.take(kept.length).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 == kept.length, "{}: ends early", path.display());
        Ok(bytes)
    }

    /// Checks the promise of custody for one instance: it is stored once, with the bytes that were sent.
    pub fn check_custody(&self, sent: &Instance) -> Result<()> {
        let uid = &sent.sop_instance_uid;
        let rows = self.kept(uid)?;
        ensure!(rows.len() == 1, "{uid}: {} rows {rows:?}", rows.len());
        ensure!(rows[0].state == "kept", "{uid}: {rows:?}");
        let stored = Instance::from_part10(&self.bytes(&rows[0])?)?;
        ensure!(stored.sop_instance_uid == *uid, "{uid}: the bytes are those of {}", stored.sop_instance_uid);
        ensure!(stored.transfer_syntax_uid == sent.transfer_syntax_uid, "{uid}: another transfer syntax");
        ensure!(*stored.data_set()? == *sent.data_set()?, "{uid}: the bytes differ");
        Ok(())
    }

    pub fn series(&self) -> Result<Vec<Series>> {
        let mut statement = self
            .connection
            .prepare("SELECT study_uid, kind, state, verdict, instance_count FROM series ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            Ok(Series {
                study_uid: row.get(0)?,
                kind: row.get(1)?,
                state: row.get(2)?,
                verdict: row.get(3)?,
                instances: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What happened and why, the oldest first.
    pub fn events(&self) -> Result<Vec<(String, String)>> {
        let mut statement = self.connection.prepare("SELECT what, detail FROM events ORDER BY id")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// State and reason of every job.
    pub fn jobs(&self) -> Result<Vec<(String, Option<String>)>> {
        let mut statement = self.connection.prepare("SELECT state, reason FROM jobs ORDER BY id")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Findings of the finished jobs of a study, as stored.
    pub fn findings(&self, study_uid: &str) -> Result<Vec<Findings>> {
        let mut statement = self.connection.prepare(
            "SELECT j.findings FROM jobs j JOIN series s ON s.id = j.series_id
             WHERE s.study_uid = ?1 AND j.state = 'done' AND j.findings IS NOT NULL ORDER BY j.id",
        )?;
        let rows = statement.query_map([study_uid], |row| row.get::<_, String>(0))?;
        rows.map(|json| Ok(serde_json::from_str(&json?)?)).collect()
    }

    /// Sum of the interruptions of all jobs: how often a crash interrupted one.
    pub fn interruptions(&self) -> Result<i64> {
        Ok(self.connection.query_row("SELECT coalesce(sum(interruptions), 0) FROM jobs", [], |row| row.get(0))?)
    }

    /// Result objects with the state of their deliveries.
    pub fn results(&self) -> Result<Vec<Made>> {
        let mut statement = self.connection.prepare(
            "SELECT r.study_uid, r.kind, r.sop_uid, r.file, coalesce(group_concat(d.state), '')
             FROM results r LEFT JOIN deliveries d ON d.result_id = r.id GROUP BY r.id ORDER BY r.id",
        )?;
        let rows = statement.query_map([], |row| {
            let states: String = row.get(4)?;
            Ok(Made {
                study_uid: row.get(0)?,
                kind: row.get(1)?,
                sop_uid: row.get(2)?,
                file: self.spool.join(row.get::<_, String>(3)?),
                deliveries: states.split(',').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What became of the question whether the destination keeps it, of every delivery.
    pub fn commitments(&self) -> Result<Vec<Option<String>>> {
        let mut statement = self.connection.prepare("SELECT commitment FROM deliveries ORDER BY id")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Every delivery with its result, the oldest first.
    pub fn outbox(&self) -> Result<Vec<Sending>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT r.study_uid, r.sop_uid, r.kind, r.file, d.state, d.reason, d.commitment, d.asked
             FROM deliveries d JOIN results r ON r.id = d.result_id ORDER BY d.id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(Sending {
                study_uid: row.get(0)?,
                sop_uid: row.get(1)?,
                kind: row.get(2)?,
                file: row.get(3)?,
                state: row.get(4)?,
                reason: row.get(5)?,
                commitment: row.get(6)?,
                asked: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// State of a performed procedure step (MPPS); `None`: it is not known.
    pub fn step(&self, sop_uid: &str) -> Result<Option<String>> {
        let mut statement = self.connection.prepare_cached("SELECT state FROM steps WHERE sop_uid = ?1")?;
        let mut rows = statement.query_map([sop_uid], |row| row.get(0))?;
        Ok(rows.next().transpose()?)
    }

    /// State of a transaction of storage commitment that a scanner asked for.
    pub fn commitment_state(&self, transaction: &str) -> Result<Option<String>> {
        let mut statement =
            self.connection.prepare_cached("SELECT state FROM commitments WHERE transaction_uid = ?1")?;
        let mut rows = statement.query_map([transaction], |row| row.get(0))?;
        Ok(rows.next().transpose()?)
    }

    /// Makes days pass for a box that is off: its times are moved back. For what nobody can wait for.
    pub fn let_days_pass(appliance: &Appliance, days: f64) -> Result<()> {
        let connection = Connection::open(appliance.database())?;
        for (table, column) in [
            ("deliveries", "next_utc"),
            ("deliveries", "ask_utc"),
            ("deliveries", "delivered_utc"),
            ("asks", "asked_utc"),
            ("instances", "received_utc"),
            ("series", "first_utc"),
            ("series", "last_utc"),
        ] {
            let moved = format!(
                "UPDATE {table} SET {column} = strftime('%Y-%m-%dT%H:%M:%fZ', {column}, '-{} seconds') WHERE {column} IS NOT NULL",
                days * 86_400.0
            );
            connection.execute(&moved, []).with_context(|| format!("{table}.{column}"))?;
        }
        Ok(())
    }

    /// Rows of a table.
    pub fn count(&self, table: &str) -> Result<i64> {
        Ok(self.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
    }

    /// Whether `series` series are known, at least, and everything is finished: no series, job or delivery waits. The row of
    /// a series comes after the acknowledgement of its first instance, so their number must be asked for.
    pub fn is_settled(&self, series: usize) -> Result<bool> {
        Ok(self.series()?.len() >= series && self.waiting()? == 0)
    }

    /// Whether `series` series have their verdict, at least, and no job waits: whatever becomes of the deliveries.
    pub fn is_read(&self, series: usize) -> Result<bool> {
        let waiting: i64 = self.connection.query_row(
            "SELECT (SELECT count(*) FROM series WHERE state IN ('receiving', 'complete'))
                  + (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running'))",
            [],
            |row| row.get(0),
        )?;
        Ok(self.series()?.len() >= series && waiting == 0)
    }

    /// How many series, jobs and deliveries are not finished.
    pub fn waiting(&self) -> Result<i64> {
        let waiting = self.connection.query_row(
            "SELECT (SELECT count(*) FROM series WHERE state IN ('receiving', 'complete'))
                  + (SELECT count(*) FROM jobs WHERE state IN ('queued', 'running'))
                  + (SELECT count(*) FROM deliveries WHERE state = 'pending')",
            [],
            |row| row.get(0),
        )?;
        Ok(waiting)
    }
}
