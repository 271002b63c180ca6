//! How SQLite carries out what is asked for each object, each delivery and each place that is evicted: never by reading all rows of a
//! table, which on a box that is years old takes seconds, with the lock or the disk taken from reception.

use std::cell::RefCell;
use std::collections::BTreeSet;

use dicom::header::Header;
use dicom::kind::SeriesKind;
use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::places::Place;
use super::*;
use crate::instance::{Instance, Location, Origin};
use crate::series::SeriesKey;
use crate::series::state::SeriesEvent;

thread_local! {
    static ASKED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

fn noted(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(_, sql) = event
        && !sql.starts_with("--")
    {
        ASKED.with(|asked| asked.borrow_mut().insert(sql.to_owned()));
    }
}

fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("scanside.db")).unwrap();
    let connection = store.connect(Durability::Full).unwrap();
    (folder, connection)
}

/// Indexes of some rows only: reading all of one is what it is for.
fn partial(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '%) WHERE %'";
    connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect()
}

/// The steps of a statement that read all rows of a table.
fn scans(connection: &Connection, sql: &str, partial: &[String]) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let mut rows = statement.raw_query();
    let (mut found, mut made) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        let step: String = row.get(3).unwrap();
        // Names of what the statement itself has read before.
        made.extend(["CO-ROUTINE ", "MATERIALIZE "].iter().find_map(|word| step.strip_prefix(word)).map(str::to_owned));
        let Some(of) = step.strip_prefix("SCAN ") else { continue };
        let is_small = of.starts_with('(') || of == "CONSTANT ROW" || of.contains("VIRTUAL TABLE");
        let by_partial = partial.iter().any(|index| of.ends_with(&format!("INDEX {index}")));
        if !is_small && !by_partial && !made.iter().any(|name| name == of) {
            found.push(step);
        }
    }
    found
}

fn receive(connection: &Connection, header: &Header, now: &str) -> i64 {
    let new = instances::New {
        header,
        header_json: &serde_json::to_string(header).unwrap(),
        location: &Location::Log { segment: 1, offset: 0, length: 1 },
        record_segment: Some(1),
        sha256: "a",
        state: instances::InstanceState::Kept,
        reason: None,
        received_utc: now,
        origin: &Origin::default(),
    };
    instances::by_sop_uid(connection, &header.sop_instance_uid).unwrap();
    instances::insert(connection, &new).unwrap()
}

/// One object from its arrival to its eviction, and what is asked on the way.
fn one_object(connection: &mut Connection) {
    let now = now_utc();
    let key = SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.3".into() };
    let header = Header {
        sop_instance_uid: "1.2.3.4".into(),
        study_instance_uid: key.study_uid.clone(),
        series_instance_uid: key.series_uid.clone(),
        ..Header::default()
    };
    let transaction = connection.transaction().unwrap();
    priors::sent(&transaction, &header, "CT1").unwrap();
    let id = receive(&transaction, &header, &now);
    segments::indexed_to(&transaction, 1, 4096).unwrap();
    let (row, _) = series::opened(&transaction, &key, "CT", SeriesKind::Ct, 1, &now).unwrap();
    steps::of_series(&transaction, &key.study_uid, &key.series_uid).unwrap();
    priors::to_be_settled(&transaction).unwrap();
    instances::ids_of_series(&transaction, &key.study_uid, &key.series_uid).unwrap();
    instances::of_series(&transaction, &key.study_uid, &key.series_uid).unwrap();
    instances::ever_of_series(&transaction, &key.study_uid, &key.series_uid).unwrap();
    instances::lost_of_series(&transaction, &key.study_uid, &key.series_uid).unwrap();
    instances::damaged_of_series(&transaction, &key.study_uid, &key.series_uid).unwrap();
    series::counted(&transaction, &row).unwrap();
    let version = series::completed(&transaction, row.id, "quiet", &now).unwrap();
    jobs::newest_of_task(&transaction, &key.study_uid, "mammography_views").unwrap();
    jobs::state_of(&transaction, row.id, version).unwrap();
    let job = jobs::enqueue(&transaction, row.id, version, &now).unwrap();
    transaction.commit().unwrap();
    jobs::not_after(connection, "9999").unwrap();
    jobs::claim(connection, &now).unwrap();
    let transaction = connection.transaction().unwrap();
    jobs::next_not_before(&transaction).unwrap();
    jobs::resume(&transaction, "no package", "there is one").unwrap();
    jobs::urgent_waits(&transaction).unwrap();
    jobs::is_current(&transaction, job).unwrap();
    conflicts::corrected(&transaction, &key).unwrap();
    rejections::withdrawn(&transaction, row.id, None, job).unwrap();
    let report = results::ResultRow {
        id: 0,
        job_id: job,
        kind: "sr".into(),
        sop_class: String::new(),
        sop_uid: "1.5".into(),
        study_uid: key.study_uid.clone(),
        series_uid: key.series_uid.clone(),
        file: "results/1/1.dcm".into(),
        length: 1,
        sha256: String::new(),
        simulated: false,
    };
    let report = results::insert(&transaction, &report).unwrap();
    results::supersede_older(&transaction, row.id, version).unwrap();
    deliveries::enqueue(&transaction, &[report], "pacs", None, &now).unwrap();
    jobs::done(&transaction, job, None, "[]", &now).unwrap();
    series::conclude(&transaction, row.id, SeriesEvent::Processed, "done").unwrap();
    deliveries::next_due(&transaction, "pacs").unwrap();
    let due = deliveries::due(&transaction, "pacs", "9999", 9).unwrap().remove(0);
    deliveries::still_due(&transaction, &due).unwrap();
    conflicts::is_contested(&transaction, &key.study_uid).unwrap();
    conflicts::is_outdated(&transaction, job).unwrap();
    deliveries::withheld(&transaction, due.id, "", &now).unwrap();
    deliveries::due_of_study(&transaction, &key.study_uid, &now).unwrap();
    deliveries::delivered(&transaction, due.id, 0, None, true, &now).unwrap();
    results::newest_of_study(&transaction, &key.study_uid).unwrap();
    asks::due(&transaction, "pacs", "9999", 9).unwrap();
    asks::ask(&transaction, "2.25.1", "pacs", &[due.id], &now, &now).unwrap();
    asks::answered(&transaction, "2.25.1", &["1.5".into()], &[("1.6".into(), 0x0112)], &now).unwrap();
    rejections::due(&transaction, "pacs").unwrap();
    conflicts::resolve(&transaction, &key.study_uid, conflicts::Choice::KeepOld).unwrap();
    holds::holdable(&transaction, &key.study_uid).unwrap();
    instances::in_conflict(&transaction).unwrap();
    instances::quarantined(&transaction, 9).unwrap();
    lists::quarantine(&transaction, &lists::Wanted { limit: 9, ..lists::Wanted::default() }).unwrap();
    let instance = instances::get_kept(&transaction, id).unwrap().unwrap();
    told(&transaction, &instance);
    segments::seal(&transaction, 1).unwrap();
    let place = Place::Segment(1);
    places::contents_of(&transaction, &place).unwrap();
    places::undecided(&transaction, &place).unwrap();
    places::evict(&transaction, &place).unwrap();
    results::forget(&transaction, job).unwrap();
    segments::remove(&transaction, 1).unwrap();
    transaction.commit().unwrap();
}

const AS_BEFORE: &str = "UPDATE instances SET state = 'kept', reason = NULL";

/// What is asked of an object that is here.
fn told(connection: &Connection, instance: &Instance) {
    instances::is_indexed(connection, &instance.location).unwrap();
    instances::forget_twin(connection, instance).unwrap();
    instances::set_damaged(connection, instance, "").unwrap();
    connection.execute(AS_BEFORE, []).unwrap();
}

#[test]
fn nothing_that_is_asked_for_each_object_reads_all_rows_of_a_table() {
    let (_folder, mut connection) = database();
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(noted));
    one_object(&mut connection);
    connection.trace_v2(TraceEventCodes::empty(), None);
    let asked = ASKED.with(|asked| asked.take());
    assert!(asked.len() > 50, "{}", asked.len());
    let partial = partial(&connection);
    let words = ["SELECT", "UPDATE", "INSERT", "DELETE"];
    // The one stops at the first row, the other is of this test.
    let others = ["SELECT EXISTS (SELECT 1 FROM fetched_series)", AS_BEFORE];
    let slow: Vec<_> = asked
        .iter()
        .filter(|sql| words.iter().any(|word| sql.starts_with(word)) && !others.contains(&sql.as_str()))
        .map(|sql| (sql, scans(&connection, sql, &partial)))
        .filter(|(_, scans)| !scans.is_empty())
        .collect();
    assert!(slow.is_empty(), "{slow:#?}");
}

#[test]
fn every_foreign_key_has_an_index() {
    let (_folder, connection) = database();
    let names = |sql: &str| -> Vec<String> {
        connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(|name| name.unwrap()).collect()
    };
    let mut keys = 0;
    for table in names("SELECT name FROM sqlite_master WHERE type = 'table'") {
        let indexed = names(&format!(
            "SELECT c.name FROM pragma_index_list('{table}') i JOIN pragma_index_info(i.name) c ON c.seqno = 0 WHERE i.partial = 0"
        ));
        for column in names(&format!("SELECT \"from\" FROM pragma_foreign_key_list('{table}')")) {
            keys += 1;
            assert!(
                indexed.contains(&column),
                "{table}.{column}: each row that it refers to is removed by reading all of {table}"
            );
        }
    }
    assert!(keys > 10, "{keys}");
}
