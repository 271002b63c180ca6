//! Keeps the register of callers over a restart: a small file beside the database. Losing it loses no study, so it is written
//! at most every few seconds, and trouble with it is only logged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use node::callers::{Caller, Callers};
use tokio_util::sync::CancellationToken;

/// Its name below `spool.directory`.
const FILE: &str = "callers.json";
/// At most this often it is written.
const PAUSE: Duration = Duration::from_secs(5);

/// Restores the register, then writes it after changes, until shutdown.
pub async fn keep(callers: Callers, directory: PathBuf, shutdown: CancellationToken) {
    let path = directory.join(FILE);
    if let Some(earlier) = read(&path) {
        callers.restore(earlier);
    }
    let mut changes = callers.changes();
    loop {
        let over = tokio::select! {
            changed = changes.changed() => changed.is_err(),
            () = shutdown.cancelled() => true,
        };
        if !over {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = shutdown.cancelled() => {}
            }
        }
        changes.mark_unchanged();
        let (path, list) = (path.clone(), callers.list());
        let written = tokio::task::spawn_blocking(move || write(&path, &list)).await;
        if let Ok(Err(error)) = written {
            tracing::debug!(%error, "the list of callers cannot be written");
        }
        if over || shutdown.is_cancelled() {
            return;
        }
    }
}

fn read(path: &Path) -> Option<Vec<Caller>> {
    let text = std::fs::read(path).ok()?;
    serde_json::from_slice(&text)
        .inspect_err(|error| tracing::warn!(%error, "the list of callers cannot be read; it begins anew"))
        .ok()
}

/// Whole or not at all. Nothing is written when nobody has called yet.
fn write(path: &Path, callers: &[Caller]) -> std::io::Result<()> {
    if callers.is_empty() {
        return Ok(());
    }
    let new = path.with_extension("tmp");
    std::fs::write(&new, serde_json::to_vec(callers)?)?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_damaged_file_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(read(&path), None);
        let caller = Caller {
            calling_ae: "CT9".into(),
            called_ae: "PACS".into(),
            address: [192, 0, 2, 9].into(),
            outcome: node::callers::Outcome::CalledAeWrong,
            reason: "why".into(),
            times: 3,
            first_utc: "2026-01-01T00:00:00.000Z".into(),
            last_utc: "2026-01-02T00:00:00.000Z".into(),
        };
        write(&path, std::slice::from_ref(&caller)).unwrap();
        assert_eq!(read(&path), Some(vec![caller]));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read(&path), None);
    }
}
