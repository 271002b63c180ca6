//! The decoders of compressed frames, in processes of their own: CharLS is C++, openjp2 was C, and both read bytes that may
//! be hostile. What breaks there ends one small process that can neither open a file nor a socket, and is an error of the
//! one frame. `docs/decisions/0030-cage-of-the-codecs.md` has the figures.

mod confine;
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

static SHARED: OnceLock<Cage> = OnceLock::new();

/// From now on [`super::codec::decode`] decodes in processes of `program` instead of in this one. Once for each process,
/// at its start.
///
/// # Errors
/// When a decoder cannot be started or confined here; frames are then decoded in this process.
pub fn begin(program: &Path) -> Result<(), CageError> {
    let cage = Cage::new(program);
    let first = cage.process()?;
    cage.put_back(first);
    // Whoever was earlier has started the same program.
    let _ = SHARED.set(cage);
    Ok(())
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
    processes: Vec<(Process, Instant)>,
    /// A thread is there that ends those that are idle for too long.
    has_keeper: bool,
}

impl Cage {
    pub fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), idle: Arc::default() }
    }

    /// Decodes one frame to little-endian samples, `order.expected()` bytes. Blocks.
    ///
    /// # Errors
    /// When no decoder can be started, when it ends before it has answered, or when it refuses the frame.
    pub fn decode(&self, order: &Order<'_>) -> Result<Vec<u8>, CageError> {
        if let Some(mut used) = self.take() {
            match used.decode(order) {
                // It may have been ended while it was idle, for want of memory, say: that is no fault of the frame.
                Err(CageError::Ended { .. }) => {}
                answer => return self.answered(used, answer),
            }
        }
        let mut process = self.process()?;
        let answer = process.decode(order);
        self.answered(process, answer)
    }

    fn answered(&self, process: Process, answer: Result<Vec<u8>, CageError>) -> Result<Vec<u8>, CageError> {
        if matches!(answer, Ok(_) | Err(CageError::Refused { .. })) {
            self.put_back(process);
        }
        answer
    }

    fn process(&self) -> Result<Process, CageError> {
        Process::start(&self.program)
    }

    fn take(&self) -> Option<Process> {
        let mut idle = lock(&self.idle);
        idle.processes.pop().map(|(process, _)| process)
    }

    fn put_back(&self, process: Process) {
        let mut idle = lock(&self.idle);
        idle.processes.push((process, Instant::now()));
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
        idle.processes.retain(|(_, since)| since.elapsed() < IDLE);
        if idle.processes.is_empty() {
            idle.has_keeper = false;
            return;
        }
    }
}

/// What it guards is whole after every statement, so a panic elsewhere does no harm.
fn lock(idle: &Mutex<Idle>) -> std::sync::MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "cage/tests.rs"]
mod tests;
