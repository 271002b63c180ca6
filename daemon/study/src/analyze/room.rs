//! Room on the disk for the results of a job: estimated before the work begins, so that an hour of it is not lost to a full
//! disk and the reserve of the database is not eaten. A job without room waits, with the reason, and is not blamed.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use custody::event::Event;
use custody::spool;
use custody::store::jobs::{self, JobRow};
use custody::store::series::SeriesRow;
use custody::store::{self, instances};
use dicom::kind::SeriesKind;
use rusqlite::Connection;

use crate::exam::develop;
use crate::parts::StudyParts;

/// Reports, key images and their overhead, whatever the input.
const AT_LEAST: u64 = 4 << 20;
/// Key images and segmentation of ultrasound images (`MOST_KEYS` and `MOST_LESIONS` of `report::stills`).
const PICTURES_AT_MOST: u64 = 64 << 20;
/// A job that waits for room is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Bytes that the results may take, for this many bytes of input. A segmentation has one bit for each voxel and segment,
/// where the input has 16 bits; clips of an exam are at most its recording once more.
fn estimate(kind: SeriesKind, input_bytes: u64) -> u64 {
    let share = match kind {
        SeriesKind::Exam => input_bytes,
        // A compressed picture of some kilobytes becomes a page: their number is bounded.
        SeriesKind::Ultrasound => PICTURES_AT_MOST,
        _ => input_bytes / 2,
    };
    share.saturating_add(AT_LEAST)
}

/// # Errors
/// `NoSpace`, with the figures. What cannot be found out is no reason to wait.
pub(super) fn check(
    parts: &StudyParts,
    connection: &Connection,
    job: &JobRow,
    row: &SeriesRow,
) -> Result<(), spool::Error> {
    let input = match (row.kind, &job.task) {
        (SeriesKind::Exam, _) => folder_bytes(&develop::folder(&parts.settings.spool.directory, &row.key.series_uid)),
        // Tasks of a whole study write a report only.
        (_, Some(_)) => 0,
        (_, None) => {
            instances::bytes_of_series(connection, &row.key.study_uid, &row.key.series_uid).unwrap_or_default()
        }
    };
    match parts.spool.room_for_results(estimate(row.kind, input)) {
        Err(error) if error.kind() == spool::SpoolFault::NoSpace => Err(error),
        _ => Ok(()),
    }
}

/// Puts a job back into the queue because of something that passes. Logged once for each reason.
///
/// # Errors
/// When the database fails.
pub(super) fn wait(
    parts: &StudyParts,
    connection: &Connection,
    job: &JobRow,
    reason: &dyn Display,
) -> store::Result<()> {
    let reason = format!("waits: {reason}");
    if job.reason.as_deref().is_none_or(|old| !old.starts_with("waits: ")) {
        tracing::warn!(job = job.id, reason, "the analysis waits");
    }
    jobs::postpone(connection, job.id, &reason, &store::utc_after(LOOK_AGAIN))?;
    let _ = parts.events.send(Event::Job {
        id: job.id,
        series_id: job.series_id,
        state: "queued".into(),
        stage: "waits".into(),
        fraction: 0.0,
    });
    Ok(())
}

fn folder_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_is_never_nothing_and_grows_with_the_input() {
        assert_eq!(estimate(SeriesKind::Exam, 0), AT_LEAST);
        assert_eq!(estimate(SeriesKind::Exam, 100 << 20), 104 << 20);
        assert_eq!(estimate(SeriesKind::Exam, u64::MAX), u64::MAX);
        assert_eq!(estimate(SeriesKind::Ultrasound, 1000), AT_LEAST + PICTURES_AT_MOST);
    }
}
