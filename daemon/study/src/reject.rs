//! Tells destinations of results that they have and that do not count any more: makes rejection notes (`report::rejection`),
//! which the outbox delivers like results. What is rejected is a mark on the row of the result (`store::rejections`), set by
//! `resolve` and `conclude`; so nothing is told twice, and nothing is forgotten by a kill.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::time::Duration;

use custody::event::Event;
use custody::spool;
use custody::store::rejections::{self, Due};
use custody::store::results::{self, ResultRow};
use custody::store::{self, Durability, deliveries};
use report::rejection::{Rejected, Rejection};
use report::{Provenance, ResultObject, Source};
use rusqlite::{Connection, TransactionBehavior};
use sha2::{Digest, Sha256};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::analyze;
use crate::analyze::results::Results;
use crate::parts::StudyParts;
use crate::{PAUSES, wait_for_database};

/// The rows are looked at so long after something happened, once for all that happens meanwhile, and this often in any case.
const SOON: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Why a note cannot be made now.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Room(#[from] spool::Error),
    #[error(transparent)]
    Files(#[from] analyze::error::Error),
    #[error("none of the files of job {0} can be read: {1}")]
    Unreadable(i64, String),
    #[error("cannot write the note: {0}")]
    Report(#[from] report::Error),
}

/// Works until shutdown.
///
/// # Errors
/// When the work panics. An error of the database is waited out.
pub async fn run(parts: StudyParts, shutdown: CancellationToken) -> Result<(), tokio::task::JoinError> {
    let mut events = parts.events.subscribe();
    let (mut failures, mut told) = (0, BTreeSet::new());
    loop {
        let working = parts.clone();
        let (back, done) = tokio::task::spawn_blocking(move || {
            let done = make_all(&working, &mut told);
            (told, done)
        })
        .await?;
        told = back;
        let Err(error) = done else {
            failures = 0;
            if !something_happened(&mut events, &shutdown).await {
                return Ok(());
            }
            continue;
        };
        failures += 1;
        if !wait_for_database(&parts.store, &error, PAUSES.after(failures), &shutdown).await {
            return Ok(());
        }
    }
}

/// Returns false on shutdown.
async fn something_happened(
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    shutdown: &CancellationToken,
) -> bool {
    let latest = Instant::now() + LOOK_AGAIN;
    let event = async {
        loop {
            match events.recv().await {
                Ok(Event::Job { state, .. }) if state == "done" => return,
                Ok(Event::Delivery { state, .. }) if state == deliveries::DELIVERED => return,
                Ok(Event::Series { .. }) | Err(RecvError::Lagged(_)) => return,
                Ok(_) => {}
                // Nobody sends any more: shutdown follows.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        () = event => {}
        () = sleep_until(latest) => {}
        () = shutdown.cancelled() => return false,
    }
    tokio::select! {
        () = sleep(SOON) => true,
        () = shutdown.cancelled() => false,
    }
}

/// What one note is about: results of one job in one study, for one reason, and who has exactly these.
type Groups = BTreeMap<(i64, String, Rejection, Vec<i64>), (Vec<ResultRow>, Vec<String>)>;

/// Makes the notes that are due. `told`: the jobs whose failure was logged. Blocks.
fn make_all(parts: &StudyParts, told: &mut BTreeSet<i64>) -> store::Result<()> {
    if !parts.settings.destination.values().any(|destination| destination.rejection_notes) {
        return Ok(());
    }
    let mut connection = parts.store.connect(Durability::Full)?;
    for ((job, _, reason, ids), (rows, destinations)) in groups(parts, &connection)? {
        match make(parts, &mut connection, reason, &rows, &destinations) {
            Ok(()) => tracing::info!(job, objects = ids.len(), ?destinations, ?reason, "a rejection note is queued"),
            Err(Error::Store(error)) => return Err(error),
            Err(error) if told.insert(job) => tracing::error!(job, "no rejection note yet: {error}"),
            Err(_) => {}
        }
    }
    Ok(())
}

fn groups(parts: &StudyParts, connection: &Connection) -> store::Result<Groups> {
    let mut groups = Groups::new();
    for (name, _) in parts.settings.destination.iter().filter(|(_, destination)| destination.rejection_notes) {
        let mut its: BTreeMap<(i64, String, Rejection), Vec<ResultRow>> = BTreeMap::new();
        for Due { result, code } in rejections::due(connection, name)? {
            if let Some(reason) = Rejection::of_word(&code) {
                its.entry((result.job_id, result.study_uid.clone(), reason)).or_default().push(result);
            }
        }
        for ((job, study, reason), rows) in its {
            let ids = rows.iter().map(|row| row.id).collect();
            let (_, destinations) = groups.entry((job, study, reason, ids)).or_insert((rows, Vec::new()));
            destinations.push(name.clone());
        }
    }
    Ok(groups)
}

fn make(
    parts: &StudyParts,
    connection: &mut Connection,
    reason: Rejection,
    rows: &[ResultRow],
    destinations: &[String],
) -> Result<(), Error> {
    let spool = &parts.settings.spool.directory;
    let now = store::now_utc();
    let by = ("none".into(), false);
    let provenance = Provenance::new(&parts.settings.device, None, by, &now, crate::offset(&now));
    let note = write(spool, rows, reason, &provenance)?;
    // Another destination may have been told the same: its file stays as it is, for it may be on its way.
    let kept = match results::of_uid(connection, &note.sop_uid)? {
        Some(row) => vec![row],
        None => {
            parts.spool.room_for_results(note.part10.len() as u64)?;
            keep(spool, &note, rows)?
        }
    };
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(store::Error::from)?;
    for row in &kept {
        for name in destinations {
            rejections::note(&transaction, row, &ids, name, &now)?;
            if let Some(destination) = parts.settings.destination.get(name) {
                deliveries::apply_simulated(&transaction, name, destination.accepts_simulated, &now)?;
            }
        }
    }
    transaction.commit().map_err(store::Error::from)?;
    parts.outbox_wake.notify_one();
    Ok(())
}

/// The note, with patient and study of the first of the objects that can be read.
fn write(spool: &Path, rows: &[ResultRow], reason: Rejection, provenance: &Provenance) -> Result<ResultObject, Error> {
    let job = rows.first().map_or(0, |row| row.job_id);
    let mut why = String::new();
    for row in rows {
        let read = fs::read(spool.join(&row.file)).map_err(|error| error.to_string());
        let read = read.and_then(|bytes| match hex::encode(Sha256::digest(&bytes)) == row.sha256 {
            true => dicom::scan::scan(Cursor::new(bytes)).map_err(|error| error.to_string()),
            false => Err("its bytes changed on the disk".to_owned()),
        });
        let mut delivered = match read {
            Ok(delivered) => delivered,
            Err(error) => {
                why = error;
                continue;
            }
        };
        // That is this box: no scanner had a part in the note.
        delivered.header.manufacturer.clear();
        let source = Source {
            elements: &delivered.elements,
            header: &delivered.header,
            instances: &[],
            series_uids: &[],
            revision: "",
            withdrawn: "",
        };
        let rejected = rows.iter().map(|row| Rejected {
            sop_class_uid: row.sop_class.clone(),
            sop_uid: row.sop_uid.clone(),
            series_uid: row.series_uid.clone(),
        });
        return Ok(report::rejection::write(&source, &rejected.collect::<Vec<_>>(), reason, provenance)?);
    }
    Err(Error::Unreadable(job, why))
}

/// Writes the file durably; what a kill left of an earlier attempt is replaced.
fn keep(spool: &Path, note: &ResultObject, rows: &[ResultRow]) -> Result<Vec<ResultRow>, Error> {
    let job = rows.first().map_or(0, |row| row.job_id);
    let mut files = Results::begin_in(spool, format!("results/note-{}", note.sop_uid), job)?;
    files.put(note)?;
    Ok(files.finish(rows.iter().any(|row| row.simulated))?)
}
