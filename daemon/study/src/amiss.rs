//! Rows of one study that contradict each other, or cannot be read (`StoreFault::Rows`): the study is told of and left alone, and the
//! others go on. Trying again would fail in the same way for ever, before them.

use custody::series::state::SeriesEvent;
use custody::series::{SeriesKey, SeriesState};
use custody::store::series::SeriesRow;
use custody::store::{self, Durability, Store, StoreFault, events, jobs, series};
use rusqlite::{Connection, TransactionBehavior};

use crate::assemble::CompletedBy;

/// Tells of a study, and gives its series that wait for what failed a verdict; `completed` is one that could not be completed. Returns
/// the series whose rows changed.
///
/// # Errors
/// When the database fails.
pub(crate) fn left(
    store: &Store,
    study_uid: &str,
    completed: Option<(&SeriesKey, CompletedBy)>,
    error: &store::Error,
) -> store::Result<Vec<SeriesRow>> {
    let mut connection = store.connect(Durability::Full)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    noted(&transaction, study_uid, error)?;
    let verdict = format!(
        "not analysed: what the database says of this study does not go together ({error}); \
         try again with `scansidectl studies rerun`"
    );
    let mut changed = Vec::new();
    for row in readable(&transaction, study_uid)? {
        let by = completed.filter(|(key, _)| **key == row.key && row.state == SeriesState::Receiving);
        let version = match by {
            Some((_, by)) => series::completed(&transaction, row.id, by.as_str(), &store::now_utc())?,
            None => row.version,
        };
        let waits = by.is_some() || (row.state == SeriesState::Complete && row.verdict.is_none());
        let job = jobs::state_of(&transaction, row.id, version)?;
        if waits && !matches!(job.as_deref(), Some("queued" | "running")) {
            series::conclude(&transaction, row.id, SeriesEvent::Refused, &verdict)?;
            changed.extend(series::get(&transaction, row.id)?);
        }
    }
    transaction.commit()?;
    Ok(changed)
}

/// Only tells of it.
///
/// # Errors
/// When the database fails.
pub(crate) fn noted(connection: &Connection, study_uid: &str, error: &store::Error) -> store::Result<()> {
    tracing::error!(study = study_uid, %error, "rows of a study cannot be worked with; the other studies go on");
    for row in readable(connection, study_uid)? {
        events::record(connection, &format!("series/{}", row.id), "rows do not go together", &error.to_string())?;
    }
    Ok(())
}

/// The series of a study; none when not even these can be read.
fn readable(connection: &Connection, study_uid: &str) -> store::Result<Vec<SeriesRow>> {
    match series::of_study(connection, study_uid) {
        Err(error) if error.kind() == StoreFault::Rows => Ok(Vec::new()),
        read => read,
    }
}
