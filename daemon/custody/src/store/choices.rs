//! `choices`: which content of an object counts, as people decided it (`conflicts`), and the file beside the database that has the
//! same lines. The custody log knows all contents of an object in the order in which they came, and no decision: when the database
//! is built again from it, the decisions come back from here before anything is analysed.

use rusqlite::{Connection, Transaction, params};
use serde::{Deserialize, Serialize};

use super::{Result, Store, events, lines, now_utc};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    id: i64,
    utc: String,
    sop_uid: String,
    counts: String,
    replaced: Vec<String>,
}

const COLUMNS: &str = "id, utc, sop_uid, counts, replaced";
const FILE: lines::Beside = lines::Beside {
    name: "choices.log",
    subject: "conflicts",
    what: "decisions about objects that were sent again with other content",
};

/// Notes that `winner` (the id of an instance; 0 for none) counts, and no other content that is here. Called before the states
/// change; [`Store::mirror_choices`] is called after the commit.
///
/// # Errors
/// When the database fails.
pub(super) fn note(transaction: &Transaction<'_>, sop_uid: &str, winner: i64) -> Result<()> {
    let mut statement = transaction.prepare_cached(
        "SELECT id, sha256 FROM instances WHERE sop_uid = ?1 AND state IN ('kept', 'conflict', 'replaced') ORDER BY id",
    )?;
    let contents: Vec<(i64, String)> =
        statement.query_map([sop_uid], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    let (counts, replaced): (Vec<_>, Vec<_>) = contents.into_iter().partition(|(id, _)| *id == winner);
    let id: i64 = transaction.query_row("SELECT coalesce(max(id), 0) + 1 FROM choices", [], |row| row.get(0))?;
    let counts = counts.into_iter().next().map(|(_, sha256)| sha256).unwrap_or_default();
    let replaced = replaced.into_iter().map(|(_, sha256)| sha256).collect();
    put(transaction, &Line { id, utc: now_utc(), sop_uid: sop_uid.to_owned(), counts, replaced })?;
    Ok(())
}

/// Says whether it was not there yet.
fn put(connection: &Connection, line: &Line) -> Result<bool> {
    let sql = format!("INSERT OR IGNORE INTO choices ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)");
    let values = params![line.id, line.utc, line.sop_uid, line.counts, serde_json::to_string(&line.replaced)?];
    Ok(connection.prepare_cached(&sql)?.execute(values)? > 0)
}

fn all_lines(connection: &Connection) -> Result<Vec<Line>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM choices ORDER BY id"))?;
    let mut rows = statement.query([])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let replaced: String = row.get(4)?;
        lines.push(Line {
            id: row.get(0)?,
            utc: row.get(1)?,
            sop_uid: row.get(2)?,
            counts: row.get(3)?,
            replaced: serde_json::from_str(&replaced)?,
        });
    }
    Ok(lines)
}

impl Store {
    /// Brings the file beside the database up to date. Blocks until it is on the disk. A failure is logged, since the database
    /// has the decisions and the next call writes them.
    pub fn mirror_choices(&self, connection: &Connection) {
        FILE.mirror(&self.path, || all_lines(connection));
    }

    pub(super) fn restore_choices(&self, connection: &mut Connection) -> Result<()> {
        FILE.restore(&self.path, connection, all_lines, put)
    }
}

/// Decides again, as it was decided, about objects that came back from the custody log; says about how many. Those of a series
/// that has a row stay in conflict: it may have been read with the other content, so a person decides once more.
///
/// # Errors
/// When the database fails.
pub(crate) fn decide_again(connection: &mut Connection) -> Result<usize> {
    let transaction = connection.transaction()?;
    let mut objects = 0;
    // The last line of an object counts.
    let mut last = std::collections::BTreeMap::new();
    for line in all_lines(&transaction)? {
        last.insert(line.sop_uid.clone(), line);
    }
    for line in last.into_values() {
        objects += usize::from(decide(&transaction, &line)?);
    }
    if objects > 0 {
        events::record(
            &transaction,
            "conflicts",
            "decided again",
            &format!("{objects} objects, as it was decided before"),
        )?;
        tracing::info!(objects, "conflicts are decided again as they were before the database was built again");
    }
    transaction.commit()?;
    Ok(objects)
}

/// Says whether anything changed.
fn decide(transaction: &Transaction<'_>, line: &Line) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM instances i JOIN series s ON s.series_uid = i.series_uid AND s.study_uid = i.study_uid \
               WHERE i.sop_uid = ?1 AND i.state IN ('kept', 'conflict'))";
    if transaction.prepare_cached(sql)?.query_row([&line.sop_uid], |row| row.get(0))? {
        return Ok(false);
    }
    let mut changed = 0;
    let mut replace = transaction.prepare_cached(
        "UPDATE instances SET state = 'replaced', reason = 'another content of this object was chosen' \
         WHERE sop_uid = ?1 AND sha256 = ?2 AND state IN ('kept', 'conflict')",
    )?;
    for sha256 in &line.replaced {
        changed += replace.execute([&line.sop_uid, sha256])?;
    }
    // Only in the place of what does not count: of two that count by mistake nobody could say which was read.
    let sql = "UPDATE instances SET state = 'kept', reason = NULL WHERE sop_uid = ?1 AND sha256 = ?2 AND state = 'conflict' \
               AND NOT EXISTS (SELECT 1 FROM instances k WHERE k.sop_uid = ?1 AND k.state = 'kept')";
    changed += transaction.prepare_cached(sql)?.execute([&line.sop_uid, &line.counts])?;
    Ok(changed > 0)
}
