//! Checks free space and the database, sets the level of the [`Gate`], and notifies the watchdog of systemd.

pub mod heat;
pub mod notify;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use custody::FreeBytes;
use custody::level::{Gate, Level};
use custody::store::{self, Durability, Store, instances};
use hal::heap_ffi;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const INTERVAL: Duration = Duration::from_secs(5);
/// A database that does not answer within this time counts as failed. Longer than it waits for a lock.
const DATABASE_PATIENCE: Duration = Duration::from_secs(20);
const HANGS: &str = "the database does not answer: no word from it for 20 s";

/// How often it is asked whether there is something to remark on.
const REMARK_EVERY: Duration = Duration::from_secs(60);
/// How often the heap is looked at, and how many bytes it may hold without use.
const MEMORY_EVERY: Duration = Duration::from_secs(30);
const MOST_UNUSED: u64 = 16 << 20;

/// The reason of the level until database and custody log are open.
pub const STARTING: &str = "starting: the custody log is being checked";
/// How the database was opened is shown this long.
const NOTICE_FOR: Duration = Duration::from_secs(24 * 3600);

/// Whether database and custody log are open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Custody {
    Checking,
    /// It is tried again.
    Failed {
        reason: String,
    },
    /// With something that people should know of how they were opened.
    Open {
        notice: Option<String>,
    },
}

impl Custody {
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// What is checked.
#[derive(Clone)]
pub struct Checks {
    pub store: Store,
    /// Usually `Spool::free_bytes`.
    pub free_bytes: FreeBytes,
    /// Below this, instances are refused.
    pub min_free_bytes: u64,
    pub custody: watch::Receiver<Custody>,
    /// What people should know although everything works: a certificate that ends soon. May read files.
    pub remark: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// Why not everything is as it should be, whatever else holds: the last good configuration is used, or no GPU.
    pub reduced: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

impl fmt::Debug for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checks").field("min_free_bytes", &self.min_free_bytes).finish_non_exhaustive()
    }
}

/// Why the level is what it is, for programs; the reason is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cause {
    /// The level is full.
    Nothing,
    Reduced,
    #[default]
    Starting,
    /// Database and custody log cannot be opened.
    Custody,
    /// The database cannot be written.
    Database,
    /// The free space is not known.
    Disk,
    /// Less than the reserve is free: no other software would have more.
    DiskFull,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Reduced => "reduced",
            Self::Starting => "starting",
            Self::Custody => "custody",
            Self::Database => "database",
            Self::Disk => "disk",
            Self::DiskFull => "disk_full",
        }
    }

    fn level(self) -> Level {
        match self {
            Self::Nothing => Level::Full,
            Self::Reduced => Level::Reduced,
            _ => Level::NoNewStudies,
        }
    }
}

/// The result of the last check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    pub cause: Cause,
    pub free_bytes: u64,
    /// How many more studies of recent size fit above the reserve. `None` before the first study.
    pub studies_left: Option<u64>,
}

pub fn channel() -> (watch::Sender<Report>, watch::Receiver<Report>) {
    watch::channel(Report::default())
}

/// Checks every 5 s (more often if the watchdog requires it) and at once when a part of the daemon met an error of the
/// database, until shutdown. `WATCHDOG=1` is sent unless the check itself hangs: a full disk, a locked or a damaged database
/// is not helped by a restart.
pub async fn run(checks: Checks, reports: watch::Sender<Report>, gate: Gate, shutdown: CancellationToken) {
    let interval = notify::watchdog_interval().map_or(INTERVAL, |watchdog| watchdog.min(INTERVAL));
    let mut memory_at = Instant::now();
    let (mut remark, mut remark_at) = (None, None);
    let (mut custody, mut troubles, mut opened) = (checks.custody.clone(), checks.store.troubles(), Instant::now());
    loop {
        if memory_at.elapsed() >= MEMORY_EVERY {
            memory_at = Instant::now();
            tokio::task::spawn_blocking(give_memory_back);
        }
        if custody.has_changed().unwrap_or(false) {
            opened = Instant::now();
        }
        let opening = custody.borrow_and_update().clone();
        troubles.mark_unchanged();
        let (free, database) = look(&checks, opening.is_open()).await;
        if remark_at.is_none_or(|at: Instant| at.elapsed() >= REMARK_EVERY) {
            remark_at = Some(Instant::now());
            remark = ask_for_remark(&checks).await;
        }
        let (cause, reason) = match opening {
            Custody::Checking => (Cause::Starting, STARTING.to_owned()),
            Custody::Failed { reason } => (Cause::Custody, reason),
            Custody::Open { notice } => match judge(&free, checks.min_free_bytes, &database) {
                (Cause::Nothing, _) => match (checks.reduced)() {
                    Some(reason) => (Cause::Reduced, reason),
                    None => {
                        let notice = notice.filter(|_| opened.elapsed() < NOTICE_FOR);
                        (Cause::Nothing, notice.or_else(|| remark.clone()).unwrap_or_default())
                    }
                },
                judged => judged,
            },
        };
        let level = cause.level();
        if gate.get() != (level, reason.clone()) {
            announce(level, &reason);
            gate.set(level, &reason);
        }
        let report = report(cause, &free, checks.min_free_bytes, database.as_ref().ok().copied().flatten());
        notify::status(&status_line(level, &reason, &report));
        reports.send_if_modified(|now| std::mem::replace(now, report.clone()) != report);
        if database.as_ref().err().is_none_or(|why| why != HANGS) {
            notify::watchdog();
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            Ok(()) = troubles.changed() => {}
            Ok(()) = custody.changed() => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// A stream of files leaves the heap of each thread full of holes. Blocks for some milliseconds, and rarely.
fn give_memory_back() {
    if heap_ffi::unused_bytes() > MOST_UNUSED {
        heap_ffi::give_back();
    }
}

/// A disk that hangs must not hang the check: then there is no remark.
async fn ask_for_remark(checks: &Checks) -> Option<String> {
    let remark = checks.remark.clone();
    let asked = tokio::task::spawn_blocking(move || remark());
    tokio::time::timeout(DATABASE_PATIENCE, asked).await.ok()?.ok().flatten()
}

fn announce(level: Level, reason: &str) {
    if level == Level::Full {
        tracing::info!(reason, "full service");
    } else {
        tracing::error!(?level, reason, "service is restricted");
    }
}

/// Returns the free bytes, and the mean bytes of recent studies (`None`: no study yet) from the database, or what is wrong
/// with it in a sentence.
async fn look(checks: &Checks, is_open: bool) -> (Result<u64, String>, Result<Option<u64>, String>) {
    let (store, free_bytes) = (checks.store.clone(), checks.free_bytes.clone());
    let ask = move || (free_bytes(), if is_open { ask(&store) } else { Ok(None) });
    match tokio::time::timeout(DATABASE_PATIENCE, tokio::task::spawn_blocking(ask)).await {
        Ok(Ok(both)) => both,
        Ok(Err(panicked)) => (Ok(u64::MAX), Err(panicked.to_string())),
        Err(_) => (Ok(u64::MAX), Err(HANGS.to_owned())),
    }
}

/// Whether the database can be written, then what it says.
fn ask(store: &Store) -> Result<Option<u64>, String> {
    let here = store.of_this_era();
    let mean = || {
        // The probe tells the store of its own errors. Damage that only the query meets must be known as well.
        mean_study_bytes(&here).inspect_err(|error| {
            if error.kind().needs_rebuilding() {
                here.failed(error);
            }
        })
    };
    store.probe().and_then(|()| mean()).map_err(|error: store::Error| {
        store.trouble().map_or_else(|| format!("{}: {error}", error.kind().words()), |trouble| trouble.reason)
    })
}

fn mean_study_bytes(store: &Store) -> custody::store::Result<Option<u64>> {
    let connection = store.connect(Durability::Rebuildable)?;
    let (bytes, studies) = instances::recent_size(&connection)?;
    Ok(Some(bytes / studies.max(1)).filter(|mean| *mean > 0))
}

/// What these results restrict, with the reason in plain words.
fn judge(free: &Result<u64, String>, min_free: u64, database: &Result<Option<u64>, String>) -> (Cause, String) {
    match (database, free) {
        (Err(why), _) => (Cause::Database, why.clone()),
        (_, Err(why)) => (Cause::Disk, format!("cannot determine the free space: {why}")),
        (_, Ok(free)) if *free < min_free => {
            (Cause::DiskFull, format!("{} MiB free, {} MiB must stay free", free >> 20, min_free >> 20))
        }
        _ => (Cause::Nothing, String::new()),
    }
}

fn report(cause: Cause, free: &Result<u64, String>, min_free: u64, mean_study: Option<u64>) -> Report {
    let free_bytes = free.as_ref().copied().unwrap_or(0);
    Report { cause, free_bytes, studies_left: mean_study.map(|mean| free_bytes.saturating_sub(min_free) / mean) }
}

fn status_line(level: Level, reason: &str, report: &Report) -> String {
    match (level, report.studies_left) {
        (Level::Full, Some(left)) => format!("Ready; room for about {left} more studies"),
        (Level::Full, None) => format!("Ready; {} MiB free", report.free_bytes >> 20),
        (Level::Reduced, _) => format!("Ready, reduced: {reason}"),
        _ => format!("Restricted: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_full_disk_stops_new_studies_and_says_the_figures() {
        assert_eq!(
            judge(&Ok(GIB), 2 * GIB, &Ok(None)),
            (Cause::DiskFull, "1024 MiB free, 2048 MiB must stay free".into())
        );
        assert_eq!(judge(&Ok(2 * GIB), 2 * GIB, &Ok(None)), (Cause::Nothing, String::new()));
        let levels = [Cause::Nothing, Cause::Reduced, Cause::DiskFull, Cause::Custody].map(Cause::level);
        assert_eq!(levels, [Level::Full, Level::Reduced, Level::NoNewStudies, Level::NoNewStudies]);
    }

    #[test]
    fn a_silent_database_comes_before_all_else() {
        let (cause, reason) = judge(&Err("gone".into()), 0, &Err("the database is locked".into()));
        assert_eq!(cause, Cause::Database);
        assert_eq!(reason, "the database is locked");
    }

    #[test]
    fn the_forecast_counts_only_space_above_the_reserve() {
        assert_eq!(report(Cause::Nothing, &Ok(5 * GIB), GIB, Some(GIB)).studies_left, Some(4));
        assert_eq!(report(Cause::Nothing, &Ok(GIB / 2), GIB, Some(GIB)).studies_left, Some(0));
        assert_eq!(report(Cause::Nothing, &Ok(5 * GIB), GIB, None).studies_left, None);
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
            custody: open(),
            remark: Arc::new(|| None),
            reduced: Arc::new(|| None),
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

    fn open() -> watch::Receiver<Custody> {
        watch::channel(Custody::Open { notice: None }).1
    }

    fn checks(store: &Store, custody: watch::Receiver<Custody>) -> Checks {
        Checks {
            store: store.clone(),
            free_bytes: Arc::new(|| Ok(GIB)),
            min_free_bytes: 100,
            custody,
            remark: Arc::new(|| None),
            reduced: Arc::new(|| None),
        }
    }

    async fn until(gate: &Gate, what: &str, is: impl Fn(&(Level, String)) -> bool) {
        let mut levels = gate.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(30), levels.wait_for(is)).await;
        assert!(waited.is_ok(), "{what}: {:?}", gate.get());
    }

    #[tokio::test]
    async fn a_locked_database_closes_the_gate_and_opens_it_when_it_is_free() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let store = Store::open(&path).unwrap();
        let (gate, shutdown) = (Gate::default(), CancellationToken::new());
        let lock = store.connect(Durability::Full).unwrap();
        lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let (reports, _) = channel();
        let task = tokio::spawn(run(checks(&store, open()), reports, gate.clone(), shutdown.clone()));
        until(&gate, "closed", |(level, why)| *level == Level::NoNewStudies && why.contains("locked")).await;
        lock.execute_batch("ROLLBACK").unwrap();
        until(&gate, "open", |(level, _)| *level == Level::Full).await;
        shutdown.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_received_until_custody_is_open_and_a_mended_database_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("db")).unwrap();
        let (gate, shutdown) = (Gate::default(), CancellationToken::new());
        let (told, custody) = watch::channel(Custody::Checking);
        let (reports, _) = channel();
        let task = tokio::spawn(run(checks(&store, custody), reports, gate.clone(), shutdown.clone()));
        until(&gate, "starting", |now| *now == (Level::NoNewStudies, STARTING.to_owned())).await;
        told.send_replace(Custody::Failed { reason: "the disk is full".into() });
        until(&gate, "failed", |now| *now == (Level::NoNewStudies, "the disk is full".into())).await;
        told.send_replace(Custody::Open { notice: Some("built again".into()) });
        until(&gate, "open", |now| *now == (Level::Full, "built again".into())).await;
        shutdown.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_certificate_that_ends_soon_is_told_and_restricts_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("db")).unwrap();
        let (gate, shutdown) = (Gate::default(), CancellationToken::new());
        let checks = Checks { remark: Arc::new(|| Some("expires in 12 days".into())), ..checks(&store, open()) };
        let (reports, _) = channel();
        let task = tokio::spawn(run(checks, reports, gate.clone(), shutdown.clone()));
        until(&gate, "told", |now| *now == (Level::Full, "expires in 12 days".into())).await;
        shutdown.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_run_with_the_last_good_configuration_is_told_and_refuses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("db")).unwrap();
        let (gate, shutdown) = (Gate::default(), CancellationToken::new());
        let checks = Checks { reduced: Arc::new(|| Some("a.toml:3: unknown key".into())), ..checks(&store, open()) };
        let (reports, _) = channel();
        let task = tokio::spawn(run(checks, reports, gate.clone(), shutdown.clone()));
        until(&gate, "told", |now| *now == (Level::Reduced, "a.toml:3: unknown key".into())).await;
        assert!(gate.get().0 < Level::NoNewStudies);
        shutdown.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_must_be_built_again_closes_the_gate_and_does_not_end_the_check() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let store = Store::open(&path).unwrap();
        let (gate, shutdown, (reports, _)) = (Gate::default(), CancellationToken::new(), channel());
        let task = tokio::spawn(run(checks(&store, open()), reports, gate.clone(), shutdown.clone()));
        std::fs::remove_file(&path).unwrap();
        until(&gate, "closed", |(level, why)| *level == Level::NoNewStudies && why.contains("gone")).await;
        assert_eq!(store.probe().unwrap_err().kind(), store::StoreFault::Gone, "only `prepare` ends it");
        store.prepare().unwrap();
        until(&gate, "open", |(level, _)| *level == Level::Full).await;
        shutdown.cancel();
        task.await.unwrap();
    }
}
