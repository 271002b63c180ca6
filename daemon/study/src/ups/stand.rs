//! How a task stands, by the rows: what of its input is here, how far its analysis is, and where its results are.

use std::collections::{BTreeMap, HashSet};

use custody::series::SeriesKey;
use custody::series::SeriesState;
use custody::store::deliveries::Delivery;
use custody::store::results::ResultRow;
use custody::store::series::SeriesRow;
use custody::store::{self, asks, deliveries, instances, jobs, results, series};
use node::outcome::{self, Outcome};
use node::settings::Destination;
use node::ups::task::{Input, Task};
use node::ups::told::{Output, Place, Reason};
use rusqlite::Connection;

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stand {
    /// Objects of its input are not here: how many of how many, and a series of which nothing is.
    Missing {
        here: usize,
        of: usize,
        absent: Option<SeriesKey>,
    },
    /// It is worked at: per cent, and in plain words.
    Busy {
        percent: u8,
        words: &'static str,
    },
    Done(Vec<Output>),
    Failed {
        reason: Reason,
        words: String,
    },
}

/// # Errors
/// When the database fails.
pub fn of(connection: &Connection, task: &Task, destinations: &BTreeMap<String, Destination>) -> store::Result<Stand> {
    let mut rows: Vec<SeriesRow> = Vec::new();
    let (mut here, mut of, mut absent) = (0, 0, None);
    for input in &task.inputs {
        let found = series_of(connection, input)?;
        let (input_here, input_of) = objects(connection, input, &found)?;
        if found.is_empty() && !input.series_uid.is_empty() {
            let key = SeriesKey { study_uid: input.study_uid.clone(), series_uid: input.series_uid.clone() };
            absent = absent.or(Some(key));
        }
        here += input_here;
        of += input_of;
        rows.extend(found);
    }
    if rows.is_empty() || here < of {
        return Ok(Stand::Missing { here, of, absent });
    }
    if rows.iter().any(|row| row.state == SeriesState::Receiving) {
        return Ok(Stand::Busy { percent: 20, words: "the input is being received" });
    }
    if rows.iter().any(|row| row.state == SeriesState::Complete) {
        let mut runs = false;
        for row in &rows {
            runs |= jobs::state_of(connection, row.id, row.version)?.as_deref() == Some("running");
        }
        let (percent, words) =
            if runs { (60, "the input is being analysed") } else { (40, "the input waits for its analysis") };
        return Ok(Stand::Busy { percent, words });
    }
    let made = made(connection, &rows)?;
    let is_processed = |row: &SeriesRow| matches!(row.state, SeriesState::Processed | SeriesState::Evicted);
    if made.is_empty() || !rows.iter().any(is_processed) {
        return failed(connection, &rows);
    }
    delivered(connection, &made, destinations)
}

fn series_of(connection: &Connection, input: &Input) -> store::Result<Vec<SeriesRow>> {
    if input.series_uid.is_empty() {
        return series::of_study(connection, &input.study_uid);
    }
    let key = SeriesKey { study_uid: input.study_uid.clone(), series_uid: input.series_uid.clone() };
    Ok(series::find(connection, &key)?.into_iter().collect())
}

/// How many of the objects of an input are here, of how many; a series of which no object is named counts as one.
fn objects(connection: &Connection, input: &Input, rows: &[SeriesRow]) -> store::Result<(usize, usize)> {
    if input.objects.is_empty() {
        return Ok((usize::from(!rows.is_empty()), 1));
    }
    let mut uids = HashSet::new();
    for row in rows {
        let ever = instances::ever_of_series(connection, &row.key.study_uid, &row.key.series_uid)?;
        uids.extend(ever.into_iter().map(|instance| instance.header.sop_instance_uid));
    }
    Ok((input.objects.iter().filter(|uid| uids.contains(*uid)).count(), input.objects.len()))
}

/// The results of these series, and of tasks of the whole study.
fn made(connection: &Connection, rows: &[SeriesRow]) -> store::Result<Vec<ResultRow>> {
    let studies: HashSet<&str> = rows.iter().map(|row| row.key.study_uid.as_str()).collect();
    let mut made = Vec::new();
    for study in studies {
        for result in results::newest_of_study(connection, study)? {
            let job = jobs::get(connection, result.job_id)?;
            if job.is_some_and(|job| job.task.is_some() || rows.iter().any(|row| row.id == job.series_id)) {
                made.push(result);
            }
        }
    }
    made.sort_by_key(|result| result.id);
    Ok(made)
}

/// Nothing came of it: the first verdict says why.
fn failed(connection: &Connection, rows: &[SeriesRow]) -> store::Result<Stand> {
    for row in rows {
        if jobs::state_of(connection, row.id, row.version)?.as_deref() == Some("parked") {
            let words = row.verdict.clone().unwrap_or_default();
            return Ok(Stand::Failed { reason: Reason::EquipmentFailure, words });
        }
    }
    let words = rows.iter().find_map(|row| row.verdict.clone()).unwrap_or_else(|| "nothing could be evaluated".into());
    Ok(Stand::Failed { reason: Reason::NotSupported, words })
}

/// Where the results are: a task is completed with what an archive has taken, and not before.
fn delivered(
    connection: &Connection,
    made: &[ResultRow],
    destinations: &BTreeMap<String, Destination>,
) -> store::Result<Stand> {
    let mut job_ids: Vec<i64> = made.iter().map(|result| result.job_id).collect();
    job_ids.dedup();
    let (mut outputs, mut why) = (Vec::<Output>::new(), None);
    for id in job_ids {
        let all = deliveries::of_job(connection, id)?;
        if all.iter().any(|one| one.state == "pending") {
            return Ok(Stand::Busy { percent: 90, words: "the results are being delivered" });
        }
        for result in made.iter().filter(|result| result.job_id == id) {
            let of_it = || all.iter().filter(|one| one.result_id == result.id);
            why = why.or_else(|| of_it().find_map(not_taken));
            let taken =
                of_it().filter(|one| one.state == "delivered").find_map(|one| destinations.get(&one.destination));
            let Some(destination) = taken else { continue };
            put(&mut outputs, result, place(destination));
        }
    }
    if outputs.is_empty() {
        let why = why.unwrap_or_else(|| "they were not sent to any".into());
        let words = format!("no archive has taken the results: {why}");
        return Ok(Stand::Failed { reason: Reason::EquipmentFailure, words });
    }
    Ok(Stand::Done(outputs))
}

/// Why a delivery has not reached its archive, as a manager may read it: without what the archive has written, which may name patients. Pure.
fn not_taken(delivery: &Delivery) -> Option<String> {
    const OWN: [&str; 5] = [
        deliveries::HELD_BECAUSE,
        deliveries::NOT_AMONG_RESULTS,
        deliveries::DAMAGED,
        deliveries::PARKED_BY_HAND,
        deliveries::DROPPED_BY_HAND,
    ];
    let reason = delivery.reason.as_deref().unwrap_or_default();
    if delivery.state == deliveries::DELIVERED {
        return None;
    }
    if OWN.contains(&reason) || reason.starts_with(asks::NOT_KEPT) {
        return Some(reason.to_owned());
    }
    let refused = delivery.status.filter(|status| !matches!(outcome::of(*status), Outcome::Stored | Outcome::Warned));
    Some(match refused {
        Some(status) => format!("the archive answered {status:#06x} ({})", outcome::words(status)),
        None => format!("the delivery is {} on this box", delivery.state),
    })
}

fn place(destination: &Destination) -> Place {
    match &destination.url {
        Some(url) => Place::Web(url.to_string()),
        None => Place::Archive(destination.ae_title.trim().to_owned()),
    }
}

fn put(outputs: &mut Vec<Output>, result: &ResultRow, place: Place) {
    let object = (result.sop_class.clone(), result.sop_uid.clone());
    match outputs.iter_mut().find(|one| one.series_uid == result.series_uid && one.place == place) {
        Some(output) => output.objects.push(object),
        None => outputs.push(Output {
            study_uid: result.study_uid.clone(),
            series_uid: result.series_uid.clone(),
            objects: vec![object],
            place,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(state: &str, status: Option<u16>, reason: &str) -> Delivery {
        Delivery {
            id: 1,
            result_id: 1,
            destination: "pacs".into(),
            state: state.into(),
            attempts: 1,
            next_utc: String::new(),
            reason: Some(reason.into()),
            status,
            delivered_utc: None,
            commitment: None,
            kind: "sr".into(),
            sop_uid: "1.2.3".into(),
            study_uid: "1.2".into(),
            series_uid: "1.2.9".into(),
            sop_class: "1.2".into(),
            asked: 0,
            file: String::new(),
            sha256: String::new(),
        }
    }

    #[test]
    fn a_manager_reads_why_no_archive_has_a_result_and_nothing_that_an_archive_has_written() {
        use deliveries::{DELIVERED, DROPPED, HELD, PARKED};
        let not_kept = format!("{} (storage commitment: 0x0112)", asks::NOT_KEPT);
        for (state, status, reason, words) in [
            (DELIVERED, Some(0), "stored, Hidden^Name", None),
            (
                PARKED,
                Some(0xa900),
                "the peer answered 0xa900 (...): Hidden^Name",
                Some("0xa900 (the data set does not match"),
            ),
            (PARKED, None, "the archive answered HTTP 409 (conflict): Hidden^Name", Some("the delivery is parked")),
            (PARKED, Some(0), not_kept.as_str(), Some("does not keep it (storage commitment: 0x0112)")),
            (HELD, None, deliveries::HELD_BECAUSE, Some("simulated device")),
            (DROPPED, Some(0xc000), deliveries::DROPPED_BY_HAND, Some("dropped by hand")),
        ] {
            let why = not_taken(&delivery(state, status, reason));
            assert_eq!(why.is_some(), words.is_some(), "{why:?}");
            let why = why.unwrap_or_default();
            assert!(why.contains(words.unwrap_or_default()) && !why.contains("Hidden"), "{why}");
        }
    }
}
