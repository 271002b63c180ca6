//! Checks free space and the database, sets the level of the [`Gate`], and notifies the watchdog of systemd.

pub mod notify;

use std::fmt;
use std::time::Duration;

use custody::FreeBytes;
use custody::level::{Gate, Level};
use custody::store::{Durability, Store, instances};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_secs(5);
/// A database that does not answer within this time counts as failed.
const DATABASE_PATIENCE: Duration = Duration::from_secs(20);

/// What is checked.
#[derive(Clone)]
pub struct Checks {
    pub store: Store,
    /// Usually `Spool::free_bytes`.
    pub free_bytes: FreeBytes,
    /// Below this, instances are refused.
    pub min_free_bytes: u64,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").field("min_free_bytes", &self.min_free_bytes).finish_non_exhaustive()
    }
}

/// The result of the last check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub free_bytes: u64,
    /// How many more studies of recent size fit above the reserve. `None` before the first study.
    pub studies_left: Option<u64>,
}

pub fn channel() -> (watch::Sender<Report>, watch::Receiver<Report>) {
    watch::channel(Report::default())
}

/// Checks every 5 s, or more often if the watchdog requires it, until shutdown. `WATCHDOG=1` is sent only while the
/// database answers. It is also sent when the disk is full, because a restart does not help then.
pub async fn run(checks: Checks, reports: watch::Sender<Report>, gate: Gate, shutdown: CancellationToken) {
    let interval = notify::watchdog_interval().map_or(INTERVAL, |watchdog| watchdog.min(INTERVAL));
    loop {
        let (free, database) = look(&checks).await;
        let (level, reason) = judge(&free, checks.min_free_bytes, &database);
        if gate.get() != (level, reason.clone()) {
            announce(level, &reason);
            gate.set(level, &reason);
        }
        let report = report(&free, checks.min_free_bytes, database.as_ref().ok().copied().flatten());
        notify::status(&status_line(level, &reason, &report));
        reports.send_if_modified(|now| std::mem::replace(now, report.clone()) != report);
        if database.is_ok() {
            notify::watchdog();
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

fn announce(level: Level, reason: &str) {
    if level == Level::Full {
        tracing::info!("back to full service");
    } else {
        tracing::error!(?level, reason, "service is restricted");
    }
}

/// Returns the free bytes, and the mean bytes of recent studies (`None`: no study yet) from the database.
async fn look(checks: &Checks) -> (Result<u64, String>, Result<Option<u64>, String>) {
    let (store, free_bytes) = (checks.store.clone(), checks.free_bytes.clone());
    let looked =
        tokio::task::spawn_blocking(move || (free_bytes(), mean_study_bytes(&store).map_err(|e| e.to_string())));
    match tokio::time::timeout(DATABASE_PATIENCE, looked).await {
        Ok(Ok(both)) => both,
        Ok(Err(panicked)) => (Ok(u64::MAX), Err(panicked.to_string())),
        Err(_) => (Ok(u64::MAX), Err(format!("no answer within {} s", DATABASE_PATIENCE.as_secs()))),
    }
}

fn mean_study_bytes(store: &Store) -> custody::store::Result<Option<u64>> {
    let connection = store.connect(Durability::Rebuildable)?;
    let (bytes, studies) = instances::recent_size(&connection)?;
    Ok(Some(bytes / studies.max(1)).filter(|mean| *mean > 0))
}

/// The level for these results, with the reason in plain words.
fn judge(free: &Result<u64, String>, min_free: u64, database: &Result<Option<u64>, String>) -> (Level, String) {
    match (database, free) {
        (Err(why), _) => (Level::NoNewStudies, format!("the database does not answer: {why}")),
        (_, Err(why)) => (Level::NoNewStudies, format!("cannot determine the free space: {why}")),
        (_, Ok(free)) if *free < min_free => {
            (Level::NoNewStudies, format!("{} MiB free, {} MiB must stay free", free >> 20, min_free >> 20))
        }
        _ => (Level::Full, String::new()),
    }
}

fn report(free: &Result<u64, String>, min_free: u64, mean_study: Option<u64>) -> Report {
    let free_bytes = free.as_ref().copied().unwrap_or(0);
    Report { free_bytes, studies_left: mean_study.map(|mean| free_bytes.saturating_sub(min_free) / mean) }
}

fn status_line(level: Level, reason: &str, report: &Report) -> String {
    match (level, report.studies_left) {
        (Level::Full, Some(left)) => format!("Ready; room for about {left} more studies"),
        (Level::Full, None) => format!("Ready; {} MiB free", report.free_bytes >> 20),
        _ => format!("Restricted: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_full_disk_stops_new_studies_and_says_the_figures() {
        assert_eq!(
            judge(&Ok(GIB), 2 * GIB, &Ok(None)),
            (Level::NoNewStudies, "1024 MiB free, 2048 MiB must stay free".into())
        );
        assert_eq!(judge(&Ok(2 * GIB), 2 * GIB, &Ok(None)), (Level::Full, String::new()));
    }

    #[test]
    fn a_silent_database_comes_before_all_else() {
        let (level, reason) = judge(&Err("gone".into()), 0, &Err("locked".into()));
        assert_eq!(level, Level::NoNewStudies);
        assert_eq!(reason, "the database does not answer: locked");
    }

    #[test]
    fn the_forecast_counts_only_space_above_the_reserve() {
        assert_eq!(report(&Ok(5 * GIB), GIB, Some(GIB)).studies_left, Some(4));
        assert_eq!(report(&Ok(GIB / 2), GIB, Some(GIB)).studies_left, Some(0));
        assert_eq!(report(&Ok(5 * GIB), GIB, None).studies_left, None);
    }

    #[tokio::test]
    async fn the_gate_closes_when_space_is_short_and_opens_when_it_is_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("db")).unwrap();
        let free = Arc::new(std::sync::atomic::AtomicU64::new(10));
        let seen = free.clone();
        let checks = Checks {
            store,
            free_bytes: Arc::new(move || Ok(seen.load(std::sync::atomic::Ordering::SeqCst))),
            min_free_bytes: 100,
        };
        let gate = Gate::default();
        for (bytes, level) in [(10, Level::NoNewStudies), (100, Level::Full)] {
            free.store(bytes, std::sync::atomic::Ordering::SeqCst);
            let trigger = CancellationToken::new();
            let shutdown = trigger.clone();
            let (reports, _) = channel();
            let task = tokio::spawn(run(checks.clone(), reports, gate.clone(), shutdown));
            let mut levels = gate.subscribe();
            tokio::time::timeout(Duration::from_secs(20), levels.wait_for(|now| now.0 == level))
                .await
                .unwrap()
                .unwrap();
            trigger.cancel();
            task.await.unwrap();
        }
    }
}
