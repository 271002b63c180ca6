//! Asks the worklist server, again and again and when somebody looks at the list, and keeps its last good answer: a file in
//! the spool's folder, so that patients can be chosen after a restart without a network. The file names patients: only the daemon's user
//! may read it, and without a server there is none.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use config::Settings;
use hal::backoff::Backoff;
use hal::backoff::Pauses;
use hal::clock::Wall;
use live::worklist::served::{self, Answer, Served, Writer};
use live::worklist::{Entry, Worklist};
use node::expected::{List, Scheduled, Source};
use node::send::Target;
use node::worklist::query::Query;
use node::worklist::settings::WorklistServer;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Its name below `spool.directory`.
const FILE: &str = "worklist.json";
/// Whoever looks again and again makes it ask once in this time; also the first pause after a failure.
const LEAST: Duration = Duration::from_secs(10);
/// The longest pause after failures, unless the usual one is longer.
const LONGEST: Duration = Duration::from_secs(300);

/// What the task needs.
#[derive(Debug)]
pub struct Expected {
    server: WorklistServer,
    target: Target,
    /// The server and what it is asked; a cache of another question is not used.
    question: String,
    wall: Wall,
    writer: Writer,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    question: String,
    answer: Answer,
}

/// The task's part, and that of the live path; `None` when no server is configured or nothing is live.
pub fn ends(settings: &Settings) -> (Option<Expected>, Option<Served>) {
    let server = settings.worklist.clone();
    let Some(target) = server.target().filter(|_| settings.live.is_on()) else { return (None, None) };
    let name = format!("{}@{}", target.called_ae.trim(), target.address);
    let wall = Wall::default();
    let (writer, served) = served::channel(&name, server.days, wall.clone());
    let station = server.station_ae_title.as_deref().unwrap_or("*");
    let question = format!("{name} {} {station}", server.modality);
    (Some(Expected { server, target, question, wall, writer }), Some(served))
}

/// The list that is in a file or folder of this box.
pub fn own(settings: &Settings) -> Worklist {
    Worklist::at(settings.live.worklist.clone()).of_site(&site(settings))
}

/// What scanners are told that ask who is expected; `None`: they may not ask.
pub fn offered(settings: &Settings) -> Option<Source> {
    let (list, wall) = (own(settings), Wall::default());
    let read = move || {
        let today = wall.local_date(0);
        let entries = list.scheduled(&today).map_err(|error| error.to_string())?;
        Ok(List { entries: entries.into_iter().map(scheduled).collect(), today })
    };
    let asked = Asked::default();
    settings.dicom.worklist.then(|| Arc::new(move || asked.list(&read)) as Source)
}

/// The list that scanners ask for, some of them every few seconds. One of them at a time reads it.
#[derive(Default)]
struct Asked {
    last: Mutex<Option<(Instant, Arc<List>)>>,
    reading: Mutex<()>,
}

/// So old a list is as good as a new one; and while somebody reads a new one, so old a list is better than none.
const FRESH: Duration = Duration::from_secs(2);
const USABLE: Duration = Duration::from_secs(60);
/// Who asks while another one reads the first list looks so often whether it is there, and so long.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: u32 = 50;

impl Asked {
    fn list(&self, read: impl Fn() -> Result<List, String>) -> Result<Arc<List>, String> {
        if let Some(list) = self.younger(FRESH) {
            return Ok(list);
        }
        // What the lock guards is nothing.
        let reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let still = "the worklist is still being read: does the drive answer on which it is?";
                let list = (0..LOOKS).find_map(|look| {
                    if look > 0 {
                        std::thread::sleep(LOOK);
                    }
                    self.younger(USABLE)
                });
                return list.ok_or_else(|| still.to_owned());
            }
        };
        let list = Arc::new(read()?);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), Arc::clone(&list)));
        drop(reading);
        Ok(list)
    }

    fn younger(&self, than: Duration) -> Option<Arc<List>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(read, _)| read.elapsed() < than).map(|(_, list)| Arc::clone(list))
    }
}

fn scheduled(entry: Entry) -> Scheduled {
    let Entry { patient, study_uid, date, time, modality, description, request, besides } = entry;
    Scheduled { patient, study_uid, date, time, modality, description, request, besides }
}

/// What no other box is called: systemd gives each machine a number (machine-id(5)), which is not shown to anybody. What people may
/// correct, such as the name of the institution, would change the studies of all orders that wait.
fn site(settings: &Settings) -> String {
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let machine = machine.trim();
    if machine.is_empty() { settings.device.serial_number.clone() } else { machine.to_owned() }
}

/// Runs until shutdown. Without a server, what one has said earlier is removed.
pub async fn keep(expected: Option<Expected>, directory: PathBuf, shutdown: CancellationToken) {
    let path = directory.join(FILE);
    match expected {
        Some(expected) => expected.run(path, &shutdown).await,
        None => remove(&path),
    }
    shutdown.cancelled().await;
}

impl Expected {
    async fn run(self, path: PathBuf, shutdown: &CancellationToken) {
        let every = Duration::from_secs(self.server.every_secs);
        let mut backoff = Backoff::new(Pauses::new(LEAST.min(every), LONGEST.max(every)));
        let mut last = read(&path, &self.question);
        match &last {
            Some(answer) => self.writer.answered(answer.clone()),
            None => remove(&path),
        }
        let mut told = String::new();
        loop {
            let (begun, query) = (Instant::now(), self.query());
            let asked = tokio::select! {
                asked = node::worklist::ask(&self.target, &query, self.server.patience()) => asked,
                () = shutdown.cancelled() => return,
            };
            let pause = match asked {
                Ok(answered) => {
                    let answer = Answer::of(self.wall.now_utc(), answered.items, answered.left_out);
                    tracing::debug!(entries = answer.entries.len(), "the worklist server has answered");
                    if !std::mem::take(&mut told).is_empty() {
                        tracing::info!("the worklist server answers again");
                    }
                    self.writer.answered(answer.clone());
                    self.write(&path, &answer).await;
                    last = Some(answer);
                    backoff.succeeded();
                    every
                }
                Err(error) => {
                    let words = error.words();
                    if told != words {
                        tracing::warn!("no new worklist: {words}");
                    }
                    self.writer.failed(&error.to_string());
                    told = words;
                    // What is of the past must not stay on the disk for as long as the server is away.
                    if let Some(answer) = &mut last
                        && answer.forget_before(&self.day(-1))
                    {
                        self.write(&path, answer).await;
                    }
                    backoff.failed(Duration::ZERO)
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = async { self.writer.wished().await; sleep_until(begun + LEAST).await } => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// The first (-1) or the last (1) day that is asked for.
    fn day(&self, side: i32) -> String {
        self.wall.local_date(side * i32::from(self.server.days))
    }

    fn query(&self) -> Query {
        Query {
            modality: self.server.modality.clone(),
            station_ae_title: self.server.station_ae_title.clone().unwrap_or_default(),
            first_day: self.day(-1),
            last_day: self.day(1),
        }
    }

    /// Trouble with it costs the list after a restart, and nothing else.
    async fn write(&self, path: &Path, answer: &Answer) {
        let (path, kept) = (path.to_owned(), Kept { question: self.question.clone(), answer: answer.clone() });
        let written = tokio::task::spawn_blocking(move || write(&path, &kept)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "the worklist cannot be kept for a restart");
        }
    }
}

/// Also what an interrupted write has left.
fn remove(path: &Path) {
    for path in [path.to_owned(), path.with_extension("tmp")] {
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the worklist that was kept cannot be removed");
        }
    }
}

fn read(path: &Path, question: &str) -> Option<Answer> {
    let text = std::fs::read(path).ok()?;
    let kept: Kept = serde_json::from_slice(&text)
        // The error may show a name.
        .inspect_err(|_| tracing::warn!("the worklist that was kept cannot be read; it is asked for anew"))
        .ok()?;
    (kept.question == question).then(|| kept.answer.restored())
}

/// Whole or not at all, also in a power cut.
fn write(path: &Path, kept: &Kept) -> std::io::Result<()> {
    let new = path.with_extension("tmp");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use dicom::patient::Patient;

    fn settings(address: &str) -> Settings {
        let mut settings = Settings::default();
        settings.live.device = "/x/video0".into();
        settings.worklist = WorklistServer {
            address: Some(address.into()),
            ae_title: "RIS".into(),
            timeout_secs: 5,
            ..WorklistServer::default()
        };
        settings
    }

    fn kept(question: &str, date: &str) -> Kept {
        let patient = Patient { id: "P1".into(), name: "DOE^JANE".into(), ..Patient::default() };
        let entry = Entry { patient, date: date.into(), ..Entry::default() };
        let answer = Answer { utc: Wall::default().now_utc(), entries: vec![entry], ..Answer::default() };
        Kept { question: question.into(), answer }
    }

    #[test]
    fn what_is_kept_is_for_the_daemons_user_only_and_for_the_same_question() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(read(&path, "RIS US"), None);
        write(&path, &kept("RIS US", "20260131")).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path, "RIS US").unwrap().entries.len(), 1);
        assert_eq!(read(&path, "RIS CT"), None, "another question");
        std::fs::write(&path, "{").unwrap();
        assert_eq!(read(&path, "RIS US"), None);
    }

    #[tokio::test]
    async fn a_server_that_is_gone_leaves_the_list_that_was_kept_without_the_past_and_says_why_there_is_no_newer_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let settings = settings(&closed);
        for (days, left) in [(0, 1), (-1, 0)] {
            let (expected, served) = ends(&settings);
            let expected = expected.unwrap();
            write(&path, &kept(&expected.question, &Wall::default().local_date(days))).unwrap();
            let worklist = Worklist::default().and(served);
            let shutdown = CancellationToken::new();
            let task = tokio::spawn(keep(Some(expected), directory.path().to_owned(), shutdown.clone()));
            let failed = async {
                while worklist.server().unwrap().trouble.is_empty() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), failed).await.unwrap();
            let listing = worklist.read().await.unwrap();
            assert_eq!(listing.entries.len(), left);
            let server = listing.server.unwrap();
            assert!(
                server.trouble.starts_with("the server cannot be reached: no connection to 127.0.0.1"),
                "{server:?}"
            );
            assert!(!server.answered_utc.is_empty());
            shutdown.cancel();
            task.await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap().contains("DOE^JANE"), left == 1, "also on the disk");
        }
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let rest = path.with_extension("tmp");
        std::fs::write(&rest, "DOE^JANE").unwrap();
        keep(None, directory.path().to_owned(), shutdown.clone()).await;
        assert!(!path.exists() && !rest.exists(), "without a server nobody is named");
        write(&path, &kept("another question", &Wall::default().local_date(0))).unwrap();
        keep(ends(&settings).0, directory.path().to_owned(), shutdown).await;
        assert!(!path.exists(), "nor by the list of another server");
    }
}
