//! `commitments`: storage commitment that peers asked of us. A row is `pending` until the peer has answered the report;
//! what the report says is found anew at each attempt, because it must be true when it is said.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::Result;

/// A transaction whose report is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commitment {
    pub id: i64,
    pub transaction_uid: String,
    /// AE title of the peer.
    pub calling_ae: String,
    /// Our AE title, as the peer called us.
    pub called_ae: String,
    pub peer_address: String,
    pub asked_utc: String,
    /// Attempts to report that failed.
    pub attempts: u32,
    /// It has waited for objects that were not here.
    pub waited: bool,
    /// When it is due, UTC.
    pub next_utc: String,
}

/// One object that a transaction asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Item {
    pub sop_class: String,
    pub sop_uid: String,
}

/// A transaction as it comes in.
#[derive(Debug, Clone)]
pub struct New<'a> {
    pub transaction_uid: &'a str,
    pub calling_ae: &'a str,
    pub called_ae: &'a str,
    pub peer_address: &'a str,
    pub items: &'a [Item],
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It has its row.
    New,
    /// The same request came before: its report goes out once more.
    Again,
    /// The transaction is known with other objects.
    OtherItems,
    /// So many transactions of this peer wait already.
    TooMany,
}

/// Writes a transaction down. `most_open` transactions of one peer may wait for their report.
///
/// # Errors
/// When the database fails (as for all below).
pub fn ask(transaction: &Transaction<'_>, new: &New<'_>, most_open: u32, now: &str) -> Result<Asked> {
    let known: Option<i64> = transaction
        .prepare_cached("SELECT id FROM commitments WHERE calling_ae = ?1 AND transaction_uid = ?2")?
        .query_row([new.calling_ae, new.transaction_uid], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        if items(transaction, id)? != new.items {
            return Ok(Asked::OtherItems);
        }
        transaction.execute(
            "UPDATE commitments SET state = 'pending', called_ae = ?2, peer_address = ?3, asked_utc = ?4, next_utc = ?4, \
             attempts = 0, waited = 0, ended_utc = NULL WHERE id = ?1",
            params![id, new.called_ae, new.peer_address, now],
        )?;
        return Ok(Asked::Again);
    }
    let open: u32 = transaction
        .prepare_cached("SELECT count(*) FROM commitments WHERE calling_ae = ?1 AND state = 'pending'")?
        .query_row([new.calling_ae], |row| row.get(0))?;
    if open >= most_open {
        return Ok(Asked::TooMany);
    }
    transaction.execute(
        "INSERT INTO commitments (transaction_uid, calling_ae, called_ae, peer_address, asked_utc, state, next_utc) \
         VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?5)",
        params![new.transaction_uid, new.calling_ae, new.called_ae, new.peer_address, now],
    )?;
    let id = transaction.last_insert_rowid();
    let mut statement = transaction.prepare_cached(
        "INSERT INTO commitment_items (commitment_id, position, sop_class, sop_uid) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (position, item) in (0_i64..).zip(new.items) {
        statement.execute(params![id, position, item.sop_class, item.sop_uid])?;
    }
    Ok(Asked::New)
}

const COLUMNS: &str = "id, transaction_uid, calling_ae, called_ae, peer_address, asked_utc, attempts, waited, next_utc";

fn read(row: &Row<'_>) -> rusqlite::Result<Commitment> {
    Ok(Commitment {
        id: row.get(0)?,
        transaction_uid: row.get(1)?,
        calling_ae: row.get(2)?,
        called_ae: row.get(3)?,
        peer_address: row.get(4)?,
        asked_utc: row.get(5)?,
        attempts: row.get(6)?,
        waited: row.get(7)?,
        next_utc: row.get(8)?,
    })
}

/// A machine that asks: its AE title and address. Several may share a title.
pub type Peer = (String, String);

/// The first `limit` transactions whose report to this peer is due, oldest first. `has_called`: also what could not be brought to it
/// and is due later.
///
/// # Errors
/// When the database fails.
pub fn due(
    connection: &Connection,
    (title, address): &Peer,
    now: &str,
    has_called: bool,
    limit: u32,
) -> Result<Vec<Commitment>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM commitments WHERE state = 'pending' AND calling_ae = ?1 AND peer_address = ?2 \
         AND (next_utc <= ?3 OR (?4 AND attempts > 0)) ORDER BY next_utc, id LIMIT ?5"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_map(params![title, address, now, has_called, limit], read)?.collect::<rusqlite::Result<_>>()?)
}

/// The peers that a report is for, and when the next to each is due, UTC; the earliest first.
///
/// # Errors
/// When the database fails.
pub fn next_by_peer(connection: &Connection) -> Result<Vec<(Peer, String)>> {
    let sql = "SELECT calling_ae, peer_address, min(next_utc) FROM commitments WHERE state = 'pending' \
               GROUP BY calling_ae, peer_address ORDER BY 3, 1, 2";
    let mut statement = connection.prepare_cached(sql)?;
    let peer = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), row.get(2)?));
    Ok(statement.query_map([], peer)?.collect::<rusqlite::Result<_>>()?)
}

/// No pause leads beyond `latest`, as in `deliveries::not_after`.
///
/// # Errors
/// When the database fails.
pub fn not_after(connection: &Connection, latest: &str) -> Result<usize> {
    super::not_after(connection, ("commitments", "next_utc"), "state = 'pending'", latest, None)
}

/// Whether there are reports that could not be brought to this peer.
///
/// # Errors
/// When the database fails.
pub fn is_behind(connection: &Connection, (title, address): &Peer) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM commitments WHERE state = 'pending' AND attempts > 0 AND calling_ae = ?1 \
               AND peer_address = ?2)";
    Ok(connection.prepare_cached(sql)?.query_row([title, address], |row| row.get(0))?)
}

/// The objects of a transaction, in the peer's order.
///
/// # Errors
/// When the database fails.
pub fn items(connection: &Connection, id: i64) -> Result<Vec<Item>> {
    let mut statement = connection
        .prepare_cached("SELECT sop_class, sop_uid FROM commitment_items WHERE commitment_id = ?1 ORDER BY position")?;
    let rows = statement.query_map([id], |row| Ok(Item { sop_class: row.get(0)?, sop_uid: row.get(1)? }))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The peer has answered the report; `failed` objects are not kept.
///
/// # Errors
/// When the database fails.
pub fn reported(connection: &Connection, id: i64, failed: usize, now: &str) -> Result<()> {
    let failed = i64::try_from(failed).unwrap_or(i64::MAX);
    connection.execute(
        "UPDATE commitments SET state = 'reported', failed = ?2, reason = NULL, ended_utc = ?3 WHERE id = ?1",
        params![id, failed, now],
    )?;
    Ok(())
}

/// The report did not reach the peer and is tried again at `next_utc`.
///
/// # Errors
/// When the database fails.
pub fn postponed(connection: &Connection, id: i64, reason: &str, next_utc: &str) -> Result<()> {
    connection.execute(
        "UPDATE commitments SET attempts = attempts + 1, reason = ?2, next_utc = ?3 WHERE id = ?1 AND state = 'pending'",
        params![id, reason, next_utc],
    )?;
    Ok(())
}

/// An attempt before its time was in vain: it does not count, and the report is due when it was.
///
/// # Errors
/// When the database fails.
pub fn in_vain(connection: &Connection, id: i64, reason: &str) -> Result<()> {
    connection
        .execute("UPDATE commitments SET reason = ?2 WHERE id = ?1 AND state = 'pending'", params![id, reason])?;
    Ok(())
}

/// As [`postponed`], without an attempt and once: its objects may still be on their way.
///
/// # Errors
/// When the database fails.
pub fn waits(connection: &Connection, id: i64, next_utc: &str) -> Result<()> {
    connection.execute(
        "UPDATE commitments SET waited = 1, next_utc = ?2 WHERE id = ?1 AND state = 'pending'",
        params![id, next_utc],
    )?;
    Ok(())
}

/// The peer could not be reached for so long that nobody waits for the report any more.
///
/// # Errors
/// When the database fails.
pub fn given_up(connection: &Connection, id: i64, reason: &str, now: &str) -> Result<()> {
    connection.execute(
        "UPDATE commitments SET state = 'given_up', reason = ?2, ended_utc = ?3 WHERE id = ?1",
        params![id, reason, now],
    )?;
    super::events::record(connection, &format!("commitment/{id}"), "given up", reason)
}

/// Removes what has ended, but for the newest `keep` transactions: by number, since a clock may be wrong. Returns how many.
///
/// # Errors
/// When the database fails.
pub fn forget(connection: &Connection, keep: u32) -> Result<usize> {
    Ok(connection.execute(
        "DELETE FROM commitments WHERE state <> 'pending' AND id <= (SELECT max(id) FROM commitments) - ?1",
        [keep],
    )?)
}

/// State, failed objects and attempts of a transaction; for tests and for people.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    pub transaction_uid: String,
    pub calling_ae: String,
    pub state: String,
    pub objects: u32,
    pub failed: Option<u32>,
    pub attempts: u32,
    pub reason: Option<String>,
}

/// The newest `limit` transactions, newest first.
///
/// # Errors
/// When the database fails.
pub fn list(connection: &Connection, limit: u32) -> Result<Vec<Listed>> {
    let mut statement = connection.prepare_cached(
        "SELECT transaction_uid, calling_ae, state, \
         (SELECT count(*) FROM commitment_items i WHERE i.commitment_id = commitments.id), failed, attempts, reason \
         FROM commitments ORDER BY id DESC LIMIT ?1",
    )?;
    let rows = statement.query_map([limit], |row| {
        Ok(Listed {
            transaction_uid: row.get(0)?,
            calling_ae: row.get(1)?,
            state: row.get(2)?,
            objects: row.get(3)?,
            failed: row.get(4)?,
            attempts: row.get(5)?,
            reason: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, Store};

    const NOW: &str = "2026-11-28T05:00:00.000Z";
    const LATER: &str = "2026-11-28T06:00:00.000Z";

    /// The machine with this title.
    fn at(title: &str) -> Peer {
        (title.to_owned(), "192.0.2.1".to_owned())
    }

    fn items_of(uids: &[&str]) -> Vec<Item> {
        uids.iter().map(|uid| Item { sop_class: "1.2".into(), sop_uid: (*uid).into() }).collect()
    }

    fn ask_for(connection: &mut Connection, uid: &str, items: &[Item], most: u32) -> Asked {
        let transaction = connection.transaction().unwrap();
        let new =
            New { transaction_uid: uid, calling_ae: "CT1", called_ae: "SCANSIDE", peer_address: "192.0.2.1", items };
        let asked = ask(&transaction, &new, most, NOW).unwrap();
        transaction.commit().unwrap();
        asked
    }

    #[test]
    fn a_request_that_is_repeated_is_one_row_and_its_report_goes_out_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let items = items_of(&["1.2.3", "1.2.4"]);
        assert_eq!(ask_for(&mut connection, "1.9", &items, 2), Asked::New);
        let due_one = due(&connection, &at("CT1"), NOW, false, 9).unwrap();
        assert_eq!(super::items(&connection, due_one[0].id).unwrap(), items);
        reported(&connection, due_one[0].id, 1, NOW).unwrap();
        assert_eq!(due(&connection, &at("CT1"), LATER, false, 9).unwrap(), []);
        assert_eq!(ask_for(&mut connection, "1.9", &items, 2), Asked::Again);
        assert_eq!(due(&connection, &at("CT1"), NOW, false, 9).unwrap().len(), 1);
        assert_eq!(ask_for(&mut connection, "1.9", &items_of(&["1.2.5"]), 2), Asked::OtherItems);
        assert_eq!(ask_for(&mut connection, "1.10", &items, 2), Asked::New);
        assert_eq!(ask_for(&mut connection, "1.11", &items, 2), Asked::TooMany);
    }

    #[test]
    fn a_report_that_failed_waits_for_its_time_or_for_the_peers_next_call_and_no_longer_than_a_pause() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        ask_for(&mut connection, "1.9", &items_of(&["1.2.3"]), 2);
        let id = due(&connection, &at("CT1"), NOW, false, 9).unwrap()[0].id;
        postponed(&connection, id, "nobody there", LATER).unwrap();
        assert_eq!(due(&connection, &at("CT1"), NOW, false, 9).unwrap(), []);
        assert_eq!(next_by_peer(&connection).unwrap(), [(at("CT1"), LATER.to_owned())]);
        assert!(!is_behind(&connection, &at("CT2")).unwrap() && is_behind(&connection, &at("CT1")).unwrap());
        let called = due(&connection, &at("CT1"), NOW, true, 9).unwrap();
        assert_eq!((called[0].attempts, called[0].next_utc.as_str()), (1, LATER));
        in_vain(&connection, id, "still nobody there").unwrap();
        assert_eq!(due(&connection, &at("CT1"), LATER, false, 9).unwrap(), called, "it is due when it was");
        // The clock was ahead when this was put down.
        postponed(&connection, id, "nobody there", "2037-01-01T00:00:00.000Z").unwrap();
        assert_eq!(not_after(&connection, LATER).unwrap(), 1);
        assert_eq!(next_by_peer(&connection).unwrap(), [(at("CT1"), LATER.to_owned())]);
        given_up(&connection, id, "nobody was there for 7 days", NOW).unwrap();
        assert_eq!(next_by_peer(&connection).unwrap(), []);
        assert_eq!(forget(&connection, 1).unwrap(), 0);
        assert_eq!(forget(&connection, 0).unwrap(), 1);
        assert_eq!(super::items(&connection, id).unwrap(), [], "its objects are forgotten, too");
    }

    /// Two workstations under one AE title: each is to get the report for what it has asked.
    #[test]
    fn machines_that_share_a_title_are_different_peers() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("scanside.db")).unwrap();
        let mut connection = store.connect(Durability::Full).unwrap();
        let items = items_of(&["1.2.3"]);
        let peers = ["192.0.2.1", "192.0.2.2"].map(|address| ("CT1".to_owned(), address.to_owned()));
        for (uid, (title, address)) in ["1.9", "1.10"].into_iter().zip(&peers) {
            let transaction = connection.transaction().unwrap();
            let new = New {
                transaction_uid: uid,
                calling_ae: title,
                called_ae: "SCANSIDE",
                peer_address: address,
                items: &items,
            };
            ask(&transaction, &new, 9, NOW).unwrap();
            transaction.commit().unwrap();
        }
        assert_eq!(next_by_peer(&connection).unwrap(), peers.clone().map(|peer| (peer, NOW.to_owned())));
        for (uid, peer) in ["1.9", "1.10"].into_iter().zip(&peers) {
            let due = due(&connection, peer, NOW, false, 9).unwrap();
            assert_eq!(due.iter().map(|one| one.transaction_uid.as_str()).collect::<Vec<_>>(), [uid]);
            postponed(&connection, due[0].id, "nobody there", LATER).unwrap();
        }
        assert_eq!(due(&connection, &peers[1], NOW, true, 9).unwrap().len(), 1);
        assert_eq!(due(&connection, &peers[0], NOW, false, 9).unwrap(), [], "the other one has not called");
    }
}
