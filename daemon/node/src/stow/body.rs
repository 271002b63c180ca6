//! The body of a STOW-RS request: `multipart/related` with one Part 10 file (PS3.18 section 10.5.1), read from the disk as it is
//! sent. Its length is known from the start: many archives refuse a body that comes in chunks.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::body::{Bytes, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// How far a body has gone, for who waits for the answer.
#[derive(Debug, Clone)]
pub(crate) struct Progress(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// When the connection last took something.
    last: Instant,
    is_sent: bool,
    /// Why the file could not be read.
    fault: Option<String>,
}

impl Progress {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State { last: Instant::now(), is_sent: false, fault: None })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When something was last taken, and whether that was all.
    pub(crate) fn last(&self) -> (Instant, bool) {
        self.with(|state| (state.last, state.is_sent))
    }

    pub(crate) fn fault(&self) -> Option<String> {
        self.with(|state| state.fault.clone())
    }
}

/// Nothing, some bytes, or a file between some bytes.
#[derive(Debug)]
pub(crate) struct Body {
    head: Option<Bytes>,
    file: Option<(File, u64)>,
    tail: Option<Bytes>,
    progress: Progress,
}

impl Body {
    pub(crate) fn empty() -> Self {
        let progress = Progress::new();
        progress.with(|state| state.is_sent = true);
        Self { head: None, file: None, tail: None, progress }
    }

    /// A request without any object: only the end of the parts.
    pub(crate) fn of_no_part(boundary: &str) -> Self {
        let tail = Bytes::from(format!("--{boundary}--\r\n"));
        Self { head: None, file: None, tail: Some(tail), progress: Progress::new() }
    }

    /// The `length` bytes of a Part 10 file as the only part.
    pub(crate) fn of_part(boundary: &str, file: File, length: u64) -> Self {
        let head = Bytes::from(format!("--{boundary}\r\nContent-Type: application/dicom\r\n\r\n"));
        let tail = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        Self { head: Some(head), file: Some((file, length)), tail: Some(tail), progress: Progress::new() }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }

    fn left(&self) -> u64 {
        let bytes = |part: &Option<Bytes>| part.as_ref().map_or(0, |part| part.len() as u64);
        bytes(&self.head) + self.file.as_ref().map_or(0, |(_, left)| *left) + bytes(&self.tail)
    }

    /// The next bytes of the file, at most as many as it had when it was opened.
    fn poll_file(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some((file, left)) = &mut self.file else { return Poll::Ready(None) };
        if *left == 0 {
            self.file = None;
            return Poll::Ready(None);
        }
        let size = usize::try_from(*left).map_or(CHUNK, |left| left.min(CHUNK));
        let mut buffer = vec![0; size];
        let mut read = ReadBuf::new(&mut buffer);
        let done = ready!(pin!(file).poll_read(context, &mut read));
        let length = read.filled().len();
        if let Err(error) =
            done.and_then(|()| if length == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) })
        {
            self.progress.with(|state| state.fault = Some(error.to_string()));
            return Poll::Ready(Some(Err(error)));
        }
        *left -= length as u64;
        buffer.truncate(length);
        Poll::Ready(Some(Ok(Bytes::from(buffer))))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        // That it is asked for more says that the connection has taken what it had.
        let next = match this.head.take() {
            Some(head) => Some(Ok(head)),
            None => match ready!(this.poll_file(context)) {
                Some(read) => Some(read),
                None => this.tail.take().map(Ok),
            },
        };
        let is_sent = this.left() == 0;
        this.progress.with(|state| (state.last, state.is_sent) = (Instant::now(), is_sent));
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}
