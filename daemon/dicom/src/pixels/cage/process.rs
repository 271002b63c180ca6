//! One decoder process, as the daemon sees it.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::serve::{NOT_READY, READY};
use super::wire::{self, Order};

/// A decoder that has not answered for so long is ended, whatever it takes and gives meanwhile. Its own limit is processor
/// time, which is shorter.
const PATIENCE: Duration = Duration::from_secs(300);
/// The C library of a decoder counts its memory as that of the daemon does.
const INHERITED: &str = "MALLOC_MMAP_THRESHOLD_";
/// A machine that swaps may take long to start a program.
const START: Duration = Duration::from_secs(30);

/// Why there is no decoded frame.
#[derive(Debug, thiserror::Error)]
pub enum CageError {
    /// The kernel here takes none of its limits: there will be no decoder on this machine.
    #[error("the decoder process cannot be confined: {reason}")]
    NotConfined { reason: String },
    #[error("the decoder process cannot be started: {reason}")]
    NotStarted { reason: String },
    /// Not by the frame: somebody killed it, or the machine was too slow. It passes.
    #[error("the decoder process {how}")]
    Lost { how: String },
    #[error("the decoder process {how}")]
    Ended { how: String },
    #[error("{reason}")]
    Refused { reason: String },
}

#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    socket: UnixStream,
}

impl Process {
    /// Returns when the decoder has given up all rights that it does not need.
    pub fn start(program: &Path) -> Result<Self, CageError> {
        let failed = |error| CageError::NotStarted { reason: format!("{}: {error}", program.display()) };
        let mut process = Self::spawned(program).map_err(failed)?;
        match process.said().map_err(failed)? {
            None => Ok(process),
            Some(reason) => Err(CageError::NotConfined { reason }),
        }
    }

    fn spawned(program: &Path) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .arg0("scansided")
            .arg(super::ARGUMENT)
            .env_clear()
            .envs(std::env::var_os(INHERITED).map(|value| (INHERITED, value)))
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, socket })
    }

    /// Waits until it may be given frames; otherwise why it never may.
    fn said(&mut self) -> io::Result<Option<String>> {
        let mut within = Within { socket: &self.socket, until: Instant::now() + START };
        let mut first = [0];
        match within.read_exact(&mut first) {
            Ok(()) if first == [READY] => Ok(None),
            Ok(()) if first == [NOT_READY] => {
                let mut reason = Vec::new();
                within.take(200).read_to_end(&mut reason)?;
                Ok(Some(String::from_utf8_lossy(&reason).into_owned()))
            }
            Ok(()) => Err(io::Error::other("it says what no decoder says")),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(io::Error::other(self.end())),
            Err(error) => Err(error),
        }
    }

    /// Nothing lies in the socket that would be taken for an answer to the next order.
    pub fn is_silent(&self) -> bool {
        let silent = self.socket.set_nonblocking(true).is_ok()
            && matches!((&self.socket).read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
        silent && self.socket.set_nonblocking(false).is_ok()
    }

    pub fn decode(&mut self, order: &Order<'_>) -> Result<Vec<u8>, CageError> {
        let mut within = Within { socket: &self.socket, until: Instant::now() + PATIENCE };
        let answer = wire::order(&mut within, order).and_then(|()| wire::answered(&mut within, order.expected()));
        answer.map_err(|error| self.ended(&error))?.map_err(|reason| CageError::Refused { reason })
    }

    fn ended(&mut self, error: &io::Error) -> CageError {
        match error.kind() {
            // The socket is closed by the end of the process only.
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => self.end(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                CageError::Lost { how: format!("did not answer for {} s", PATIENCE.as_secs()) }
            }
            _ => CageError::Ended { how: format!("failed: {error}") },
        }
    }

    /// The end of a process that has closed its socket. To kill it changes nothing of an end that has begun.
    fn end(&mut self) -> CageError {
        let _ = self.child.kill();
        match self.child.wait() {
            Ok(status) => how(status),
            Err(error) => CageError::Lost { how: format!("is lost: {error}") },
        }
    }
}

/// A socket that must have done all that is asked of it by a moment.
pub(super) struct Within<'a> {
    pub socket: &'a UnixStream,
    pub until: Instant,
}

impl Within<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Within<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(bytes)
    }
}

impl Write for Within<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The kernel counts the time anew for each buffer that it fills.
        const AT_ONCE: usize = 64 << 10;
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(&bytes[..bytes.len().min(AT_ONCE)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How it ended. Nothing within it may send itself KILL or TERM: that is the kernel for want of memory, or a person.
fn how(status: ExitStatus) -> CageError {
    const ABORT: i32 = 6;
    const KILL: i32 = 9;
    const TERM: i32 = 15;
    const XCPU: i32 = 24;
    let how = match status.signal() {
        Some(signal @ (KILL | TERM)) => return CageError::Lost { how: format!("was killed (signal {signal})") },
        Some(XCPU) => format!("needed more than {} s for one frame", super::serve::PROCESSOR_SECS),
        Some(ABORT) => "gave up (signal 6), most often for want of memory".into(),
        Some(signal) => format!("crashed (signal {signal})"),
        None => format!("ended early ({status})"),
    };
    CageError::Ended { how }
}
