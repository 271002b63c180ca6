//! Opens database and custody log, for as long as it takes: a full disk, a locked or a damaged database keeps the box from
//! receiving, not from answering. Once they are open, keeps a copy of the database beside it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use custody::spool::{self, Recovery};
use custody::store::{self, Mended};
use hal::backoff::Pauses;
use study::exam::keep;
use study::parts::StudyParts;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::health::Custody;

/// Pauses before opening is tried again.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(10));
/// How often it is asked whether a copy is due.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// The database is copied this often at most.
const COPY_EVERY: Duration = Duration::from_secs(600);
/// A large database is copied less often, so that copying writes no more than this on average, bytes per second: about 20
/// GiB a day, which flash memory bears for years.
const COPY_RATE: u64 = 256 << 10;

/// Runs until shutdown. `told` says how far it is.
pub async fn run(parts: StudyParts, told: watch::Sender<Custody>, shutdown: CancellationToken) {
    let mut failures = 0;
    loop {
        let opening = parts.clone();
        let opened = tokio::task::spawn_blocking(move || open(&opening)).await;
        let error = match opened.map_err(anyhow::Error::from).and_then(|opened| opened) {
            Ok((mended, recovery)) => {
                tracing::info!(%recovery, "spool opened");
                if let Some(mended) = &mended {
                    tracing::error!("{mended}");
                }
                told.send_replace(Custody::Open { notice: mended.map(|mended| mended.to_string()) });
                break;
            }
            Err(error) => error,
        };
        failures += 1;
        let reason = format!("{error:#}");
        if failures == 1 {
            tracing::error!(reason, "database and custody log cannot be opened; tried again until it succeeds");
        }
        told.send_replace(Custody::Failed { reason });
        tokio::select! {
            () = tokio::time::sleep(PAUSES.after(failures)) => {}
            () = shutdown.cancelled() => return,
        }
    }
    tokio::select! {
        () = keep_copy(&parts) => {}
        () = shutdown.cancelled() => {}
    }
}

/// Blocks.
fn open(parts: &StudyParts) -> anyhow::Result<(Option<Mended>, Recovery)> {
    let directory = &parts.settings.spool.directory;
    std::fs::create_dir_all(directory).with_context(|| format!("spool.directory {}", directory.display()))?;
    let given = parts.spool.give_up_spares()?;
    if given > 0 {
        tracing::warn!(mib = given >> 20, "the disk is almost full: empty segments of the custody log were removed");
    }
    let mended = parts.store.prepare().map_err(|error| anyhow::anyhow!("{}: {error}", error.kind().words()))?;
    let recovery = parts.spool.start().inspect_err(|error| {
        if let spool::Error::Database(error) = error {
            // Damage is marked, so that the next attempt builds the database again.
            parts.store.failed(error);
        }
    })?;
    Ok((mended, recovery))
}

/// Copies the database from time to time, and at once when a recorded exam waits for it.
async fn keep_copy(parts: &StudyParts) {
    let mut last = Instant::now();
    let mut failed = false;
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let (copying, due) = (parts.clone(), last.elapsed() >= pause(parts.store.copy_bytes()));
        let copied = tokio::task::spawn_blocking(move || copy(&copying, due)).await;
        match copied.map_err(|panicked| panicked.to_string()).and_then(|copied| copied) {
            Ok(false) => {}
            Ok(true) => {
                last = Instant::now();
                failed = false;
            }
            Err(reason) => {
                last = Instant::now();
                if !failed {
                    tracing::warn!(reason, "the database cannot be copied; the last copy stays");
                }
                failed = true;
            }
        }
    }
}

fn pause(bytes: u64) -> Duration {
    COPY_EVERY.max(Duration::from_secs(bytes / COPY_RATE))
}

/// Says whether the copy is up to date now. Blocks.
fn copy(parts: &StudyParts, due: bool) -> Result<bool, String> {
    let exams = parts.settings.spool.directory.join("exams");
    let finished: Vec<PathBuf> = keep::finished(&parts.store, &exams).map_err(|error| told(parts, &error))?;
    if !due && finished.is_empty() {
        return Ok(false);
    }
    parts.spool.room_for_results(parts.store.copy_bytes()).map_err(|error| error.to_string())?;
    parts.store.copy().map_err(|error| told(parts, &error))?;
    keep::remove(&finished);
    Ok(true)
}

fn told(parts: &StudyParts, error: &store::Error) -> String {
    parts.store.failed(error);
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_database_is_copied_less_often() {
        assert_eq!(pause(10 << 20), COPY_EVERY);
        assert_eq!(pause(1 << 30), Duration::from_secs(4096));
    }
}
