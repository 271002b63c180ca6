//! One decoder process, as the daemon sees it.

use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::serve::READY;
use super::wire::{self, Order};

/// A decoder that takes no byte and gives none for so long is ended. Its own limit is processor time, which is shorter.
const SILENCE: Duration = Duration::from_secs(300);
/// A machine that swaps may take long to start a program.
const START: Duration = Duration::from_secs(30);

/// Why there is no decoded frame.
#[derive(Debug, thiserror::Error)]
pub enum CageError {
    #[error("the decoder process cannot be started: {reason}")]
    NotStarted { reason: String },
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
        Self::started(program)
            .map_err(|error| CageError::NotStarted { reason: format!("{}: {error}", program.display()) })
    }

    fn started(program: &Path) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .arg0("scansided")
            .arg(super::ARGUMENT)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut process = Self { child, socket };
        process.socket.set_read_timeout(Some(START))?;
        process.socket.set_write_timeout(Some(SILENCE))?;
        let mut first = [0];
        match process.socket.read_exact(&mut first) {
            Ok(()) if first == [READY] => {}
            Ok(()) => {
                let mut reason = String::new();
                (&process.socket).take(200).read_to_string(&mut reason)?;
                return Err(io::Error::other(reason));
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(io::Error::other(process.end()));
            }
            Err(error) => return Err(error),
        }
        process.socket.set_read_timeout(Some(SILENCE))?;
        Ok(process)
    }

    pub fn decode(&mut self, order: &Order<'_>) -> Result<Vec<u8>, CageError> {
        let answer = wire::order(&mut self.socket, order)
            .and_then(|()| wire::answered(&mut self.socket, order.expected()))
            .map_err(|error| CageError::Ended { how: self.ended(&error) })?;
        answer.map_err(|reason| CageError::Refused { reason })
    }

    fn ended(&mut self, error: &io::Error) -> String {
        match error.kind() {
            // The socket is closed by the end of the process only.
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => self.end(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => format!("was silent for {} s", SILENCE.as_secs()),
            _ => format!("failed: {error}"),
        }
    }

    /// The end of a process that has closed its socket. To kill it changes nothing of an end that has begun.
    fn end(&mut self) -> String {
        let _ = self.child.kill();
        self.child.wait().map_or_else(|error| format!("is lost: {error}"), how)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How it ended, in words.
fn how(status: ExitStatus) -> String {
    const XCPU: i32 = 24;
    const ABORT: i32 = 6;
    match status.signal() {
        Some(XCPU) => format!("needed more than {} s for one frame", super::serve::PROCESSOR_SECS),
        Some(ABORT) => "gave up (signal 6), most often for want of memory".into(),
        Some(signal) => format!("crashed (signal {signal})"),
        None => format!("ended early ({status})"),
    }
}
