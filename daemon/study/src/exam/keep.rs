//! How long a recording is kept. It is all that an exam can be made of again, so it stays until a copy of the database
//! (`Store::copy`) knows the results.

use std::path::{Path, PathBuf};

use custody::series::{SeriesKey, SeriesState};
use custody::store::{self, Durability, Store, series};
use live::record::journal;

/// The recordings whose exam has its results in the database now. Once a copy was made after this, [`remove`] them.
///
/// # Errors
/// When the database fails.
pub fn finished(store: &Store, exams: &Path) -> store::Result<Vec<PathBuf>> {
    let recordings = journal::left_over(exams);
    if recordings.is_empty() {
        return Ok(Vec::new());
    }
    let connection = store.connect(Durability::Rebuildable)?;
    let mut finished = Vec::new();
    for folder in recordings {
        // One that cannot be read is for `hand_over` to judge.
        let Ok(Some(begun)) = journal::begun(&folder) else { continue };
        let key = SeriesKey { study_uid: begun.study_uid, series_uid: begun.series_uid };
        let row = series::find(&connection, &key)?;
        if row.is_some_and(|row| matches!(row.state, SeriesState::Processed | SeriesState::Evicted)) {
            finished.push(folder);
        }
    }
    Ok(finished)
}

/// Removes recordings that are not needed any more.
pub fn remove(recordings: &[PathBuf]) {
    for recording in recordings {
        if let Err(error) = std::fs::remove_dir_all(recording) {
            tracing::warn!(%error, "a recording that is not needed any more was not removed");
        }
    }
}
