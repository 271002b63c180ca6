//! Opens database and custody log, for as long as it takes: a full disk, a locked or a damaged database keeps the box from
//! receiving, not from answering. Once they are open, keeps a copy of the database beside it. A database that is damaged,
//! removed or replaced while the daemon runs is built again in the same way: whoever works on rows ends first (`rows`), then
//! the custody log is closed and both are opened again.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use custody::audit::{Audit, Entry};
use custody::event::Event;
use custody::spool::{self, Recovery};
use custody::store::{self, Mended, Store};
use custody::store::{Durability, jobs, now_utc, utc_after};
use hal::backoff::Pauses;
use study::exam::hand_over::HandOver;
use study::exam::keep;
use study::interrupted;
use study::parts::StudyParts;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::rows::AtWork;
use crate::health::Custody;

/// A database that was built again so often within [`WITHIN`] is not built again before that time has passed: the disk is
/// failing, and each attempt writes to it.
const MOST_BUILT: usize = 3;
const WITHIN: Duration = Duration::from_secs(3600);
/// How long whoever works on rows may take to end before the database is built again. An answer that comes later is not
/// written: its connection belongs to the database that was set aside.
const END_WITHIN: Duration = Duration::from_secs(20);
/// Pauses before opening is tried again.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(10));
/// How often it is asked whether a copy is due.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// The database is copied this often at most.
const COPY_EVERY: Duration = Duration::from_secs(600);
/// A large database is copied less often, so that copying writes no more than this on average, bytes per second: about 20
/// GiB a day, which flash memory bears for years.
const COPY_RATE: u64 = 256 << 10;

/// Runs until shutdown. `told` says how far it is; `at_work` are the tasks that work on rows.
pub async fn run(
    parts: StudyParts,
    audit: Audit,
    told: watch::Sender<Custody>,
    at_work: AtWork,
    shutdown: CancellationToken,
) {
    let (mut built, mut is_first) = (Vec::new(), true);
    let mut troubles = parts.store.troubles();
    loop {
        tokio::select! {
            () = open_until_it_works(&parts, &audit, &told, &mut built, is_first) => is_first = false,
            () = shutdown.cancelled() => return,
        }
        let trouble = tokio::select! {
            () = keep_copy(&parts) => return,
            Ok(trouble) = troubles.wait_for(|now| now.as_ref().is_some_and(|now| now.kind.needs_rebuilding())) => trouble.clone(),
            () = shutdown.cancelled() => return,
        };
        built.push(Instant::now());
        let reason = format!("{} (since {})", trouble.map(|now| now.reason).unwrap_or_default(), now_utc());
        told.send_replace(Custody::Failed { reason });
        if tokio::time::timeout(END_WITHIN, at_work.ended()).await.is_err() {
            tracing::warn!("work on rows has not ended; what it comes to is not written");
        }
        let spool = parts.spool.clone();
        if let Err(panicked) = spawn_blocking(move || spool.halt()).await {
            tracing::error!(%panicked, "the custody log was not closed");
        }
        parts.ahead.forget_all();
    }
}

/// Tries with pauses. `built`: when the database had to be built again while the daemon ran. `is_first`: nobody in this process has
/// worked on rows.
async fn open_until_it_works(
    parts: &StudyParts,
    audit: &Audit,
    told: &watch::Sender<Custody>,
    built: &mut Vec<Instant>,
    is_first: bool,
) {
    let mut failures = 0;
    loop {
        if let Some(rest) = rest(built, Instant::now()) {
            let until = utc_after(rest);
            let trouble = parts.store.trouble().map(|trouble| trouble.reason).unwrap_or_default();
            let reason = format!(
                "the database was damaged {MOST_BUILT} times within an hour: check the disk; it is built again at {until}; {trouble}"
            );
            tracing::error!(reason, "the database is not built again for now");
            told.send_replace(Custody::Failed { reason });
            tokio::time::sleep(rest).await;
        }
        let opening = parts.clone();
        let opened = spawn_blocking(move || open(&opening, is_first)).await;
        let (mended, opened) = opened.unwrap_or_else(|panicked| (None, Err(panicked.into())));
        if mended.is_some() && opened.is_err() {
            built.push(Instant::now());
        }
        let error = match opened {
            Ok(recovery) => {
                tracing::info!(%recovery, "spool opened");
                let notice = mended.map(|mended| format!("{mended} ({})", now_utc()));
                if let Some(notice) = &notice {
                    tracing::error!("{notice}");
                    let entry =
                        Entry { who: "scansided", what: "database built again", object: "database", result: notice };
                    audit.note(entry);
                    let _ = parts.events.send(Event::Rebuilt);
                }
                told.send_replace(Custody::Open { notice });
                return;
            }
            Err(error) => error,
        };
        failures += 1;
        let reason = format!("{error:#}");
        if failures == 1 {
            tracing::error!(reason, "database and custody log cannot be opened; tried again until it succeeds");
        }
        told.send_replace(Custody::Failed { reason });
        tokio::time::sleep(PAUSES.after(failures)).await;
    }
}

/// How long the database is left as it is, by when it was built again; the last is the one that is to come. Pure.
fn rest(built: &[Instant], now: Instant) -> Option<Duration> {
    let first = built.iter().rev().nth(MOST_BUILT)?;
    WITHIN.checked_sub(now.saturating_duration_since(*first)).filter(|rest| !rest.is_zero())
}

/// Blocks. Says also after an error whether the database was built again.
fn open(parts: &StudyParts, is_first: bool) -> (Option<Mended>, anyhow::Result<Recovery>) {
    match prepare(parts) {
        Ok(mended) => {
            let started = start(parts, mended.is_some(), is_first);
            (mended, started)
        }
        Err(error) => (None, Err(error)),
    }
}

fn prepare(parts: &StudyParts) -> anyhow::Result<Option<Mended>> {
    let directory = &parts.settings.spool.directory;
    std::fs::create_dir_all(directory).with_context(|| format!("spool.directory {}", directory.display()))?;
    let given = parts.spool.give_up_spares()?;
    if given > 0 {
        tracing::warn!(mib = given >> 20, "the disk is almost full: empty segments of the custody log were removed");
    }
    parts.store.prepare().map_err(|error| anyhow::anyhow!("{}: {error}", error.kind().words()))
}

fn start(parts: &StudyParts, was_built: bool, is_first: bool) -> anyhow::Result<Recovery> {
    let recovery = parts.spool.start().inspect_err(|error| {
        if let spool::Error::Database(error) = error {
            // Damage is marked, so that the next attempt builds the database again.
            parts.store.failed(error);
        }
    })?;
    // Before anybody may take a job.
    if is_first && !was_built {
        interrupted::recover(parts)?;
    } else {
        // The work on them was ended, which is not held against them.
        jobs::give_all_back(&parts.store.connect(Durability::Full)?)?;
    }
    if was_built {
        HandOver::from(parts).ended_again(&parts.settings.spool.directory.join("exams"));
    }
    Ok(recovery)
}

/// Copies the database from time to time, and at once when a recorded exam waits for it.
async fn keep_copy(parts: &StudyParts) {
    let mut last = Instant::now();
    let mut failed = false;
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let (copying, due) = (parts.clone(), last.elapsed() >= pause(parts.store.copy_bytes()));
        let copied = spawn_blocking(move || copy(&copying, due)).await;
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
    // It goes on when the database is built again meanwhile; what it meets then is that of the old file.
    let here = parts.store.of_this_era();
    let finished: Vec<PathBuf> = keep::finished(&here, &exams).map_err(|error| told(&here, &error))?;
    if !due && finished.is_empty() {
        return Ok(false);
    }
    parts.spool.room_for_results(here.copy_bytes()).map_err(|error| error.to_string())?;
    here.copy().map_err(|error| told(&here, &error))?;
    keep::remove(&finished);
    Ok(true)
}

fn told(store: &Store, error: &store::Error) -> String {
    store.failed(error);
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_damaged_again_and_again_is_left_alone_for_a_while() {
        let begun = Instant::now();
        let minutes = |count: u64| begun + Duration::from_secs(60 * count);
        assert_eq!(rest(&[], begun), None);
        assert_eq!(rest(&[minutes(0), minutes(1)], minutes(2)), None);
        let three = [minutes(0), minutes(1), minutes(2)];
        assert_eq!(rest(&three, minutes(2)), None, "the third is built at once");
        let four = [minutes(0), minutes(1), minutes(2), minutes(3)];
        assert_eq!(rest(&four, minutes(3)), Some(Duration::from_secs(57 * 60)));
        assert_eq!(rest(&four, minutes(60)), None);
    }

    #[test]
    fn a_large_database_is_copied_less_often() {
        assert_eq!(pause(10 << 20), COPY_EVERY);
        assert_eq!(pause(1 << 30), Duration::from_secs(4096));
    }
}
