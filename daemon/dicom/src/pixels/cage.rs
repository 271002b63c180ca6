//! The decoders of compressed frames, in processes of their own: CharLS is C++, openjp2 was C, and both read bytes that may
//! be hostile. What breaks there ends one small process that can neither open a file nor a socket, and is an error of the
//! one frame; what is taken over there reads and forges no frame of another series. `docs/decisions/0030-cage-of-the-codecs.md` has the figures.

mod confine;
#[cfg(test)]
mod deeds_ffi;
mod process;
pub mod serve;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

pub use self::process::CageError;
use self::process::Process;
pub use self::wire::Order;

/// The argument with which the program is started to be a decoder ([`serve::serve`]).
pub const ARGUMENT: &str = "--decode-frames";
/// A decoder that had nothing to do for so long is ended; starting one takes some milliseconds.
const IDLE: Duration = Duration::from_secs(60);
/// Decoders that wait for more frames of their series, at most: more than there are processors are of series before.
const MOST_IDLE: usize = 32;

static SHARED: OnceLock<Cage> = OnceLock::new();

/// From now on [`super::codec::decode`] decodes in processes of `program` instead of in this one. Once for each process,
/// at its start.
///
/// # Errors
/// `NotConfined`: there is no cage here; frames are decoded in this process. Otherwise the first decoder could not be started:
/// that may pass, and until then no compressed frame is decoded.
pub fn begin(program: &Path) -> Result<(), CageError> {
    let cage = Cage::new(program);
    let first = Process::start(program);
    if matches!(first, Err(CageError::NotConfined { .. })) {
        return first.map(drop);
    }
    let first =
        first.map(|first| cage.put_back(Kept { process: first, of: None, nice: nice(), since: Instant::now() }));
    // Whoever was earlier has started the same program.
    let _ = SHARED.set(cage);
    first
}

/// The cage of this process, if it has one.
pub fn shared() -> Option<&'static Cage> {
    SHARED.get()
}

/// Decoder processes, as many as frames are decoded at one time.
#[derive(Debug, Clone)]
pub struct Cage {
    program: PathBuf,
    idle: Arc<Mutex<Idle>>,
}

#[derive(Debug, Default)]
struct Idle {
    processes: Vec<Kept>,
    /// A thread is there that ends those that are idle for too long.
    has_keeper: bool,
}

/// A decoder without work.
#[derive(Debug)]
struct Kept {
    process: Process,
    /// Whose frames it has read: it reads nobody else's. `None`: none yet.
    of: Option<String>,
    /// Of the thread that started it, which it has for ever.
    nice: i32,
    since: Instant,
}

impl Cage {
    pub fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), idle: Arc::default() }
    }

    /// Decodes one frame to little-endian samples, `order.expected()` bytes. Blocks. `of`: the series of which the frame is. A
    /// decoder that frames of one series have taken over, or left in disorder, is given none of another.
    ///
    /// # Errors
    /// When no decoder can be started, when it ends before it has answered, or when it refuses the frame.
    pub fn decode(&self, order: &Order<'_>, of: &str) -> Result<Vec<u8>, CageError> {
        let nice = nice();
        if let Some(mut used) = self.take(of, nice) {
            // It may have been ended while it was idle, for want of memory, say, or may have no memory left: that is no fault
            // of the frame.
            if let Ok(bytes) = used.decode(order) {
                self.keep(used, of, nice);
                return Ok(bytes);
            }
        }
        let mut process = Process::start(&self.program)?;
        let bytes = process.decode(order)?;
        self.keep(process, of, nice);
        Ok(bytes)
    }

    fn keep(&self, process: Process, of: &str, nice: i32) {
        // A frame of which nobody knows the series: its decoder ends with it.
        if !of.is_empty() {
            self.put_back(Kept { process, of: Some(of.to_owned()), nice, since: Instant::now() });
        }
    }

    /// One that was kept for this series, or for the first that comes.
    fn take(&self, of: &str, nice: i32) -> Option<Process> {
        let mut idle = lock(&self.idle);
        let fits = |kept: &Kept| kept.nice == nice && kept.of.as_deref().is_none_or(|its| its == of);
        let at = idle.processes.iter().rposition(fits)?;
        Some(idle.processes.swap_remove(at).process).filter(Process::is_silent)
    }

    fn put_back(&self, kept: Kept) {
        let mut idle = lock(&self.idle);
        idle.processes.push(kept);
        // Those of other series; the oldest is the first.
        if idle.processes.len() > MOST_IDLE {
            idle.processes.remove(0);
        }
        if !idle.has_keeper {
            let kept = Arc::clone(&self.idle);
            // Without a keeper they only stay longer.
            idle.has_keeper = std::thread::Builder::new().name("decoders".into()).spawn(move || keep(&kept)).is_ok();
        }
    }
}

/// Ends decoders that are idle, until there is none.
fn keep(idle: &Mutex<Idle>) {
    loop {
        std::thread::sleep(IDLE / 4);
        let mut idle = lock(idle);
        idle.processes.retain(|kept| kept.since.elapsed() < IDLE);
        if idle.processes.is_empty() {
            idle.has_keeper = false;
            return;
        }
    }
}

/// Of this thread: work in the background steps back, and so must a decoder that does a part of it.
fn nice() -> i32 {
    rustix::process::getpriority_process(None).unwrap_or_default()
}

/// What it guards is whole after every statement, so a panic elsewhere does no harm.
fn lock(idle: &Mutex<Idle>) -> std::sync::MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "cage/tests.rs"]
mod tests;
