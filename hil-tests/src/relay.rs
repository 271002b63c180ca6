//! A line that can be cut: a TCP relay between two peers that breaks a connection after so many bytes in one direction, so that a test can
//! break a conversation at every step. What is cut is gone: the other end sees the end of the connection, and nothing more of it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Header of a PDU: type, reserved, length (PS3.8 section 9.3.1).
const HEADER: usize = 6;

/// From which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The end that opened the connection.
    Caller,
    Called,
}

/// Where the line is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After so many PDUs from this end, and so many bytes of the next one. With 0 and 0: when the connection stands.
    Pdu { from: From, whole: usize, and_bytes: usize },
    /// After so many bytes from this end.
    Bytes { from: From, bytes: u64 },
}

#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    to: Mutex<SocketAddr>,
    /// For the next connection, and it only.
    next: Mutex<Option<Cut>>,
    cuts: AtomicU64,
    /// Connections that stand.
    open: AtomicU64,
    /// PDUs of the last connection from either end.
    counted: Mutex<[usize; 2]>,
}

impl Relay {
    /// Listens on a free port and passes on to `to`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(to: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            to: Mutex::new(to),
            next: Mutex::default(),
            cuts: AtomicU64::new(0),
            open: AtomicU64::new(0),
            counted: Mutex::default(),
        });
        let task = tokio::spawn(run(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// From now on it passes on to another address.
    pub fn lead_to(&self, to: SocketAddr) {
        *lock(&self.shared.to) = to;
    }

    /// Cuts the next connection there; those after it are whole.
    pub fn cut_next(&self, cut: Cut) {
        *lock(&self.shared.next) = Some(cut);
    }

    /// Takes back [`Relay::cut_next`], if no connection has come since.
    pub fn spare_next(&self) {
        *lock(&self.shared.next) = None;
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Whether no connection stands.
    pub fn is_idle(&self) -> bool {
        self.shared.open.load(Ordering::SeqCst) == 0
    }

    /// PDUs of the connection that was made last: from the caller, from the called.
    pub fn counted(&self) -> [usize; 2] {
        *lock(&self.shared.counted)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((caller, _)) = listener.accept().await else { continue };
        let cut = lock(&shared.next).take();
        *lock(&shared.counted) = [0; 2];
        shared.open.fetch_add(1, Ordering::SeqCst);
        let (shared, to) = (shared.clone(), *lock(&shared.to));
        tokio::spawn(async move {
            if let Ok(called) = TcpStream::connect(to).await {
                pass(caller, called, cut, &shared).await;
            }
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn pass(caller: TcpStream, called: TcpStream, cut: Option<Cut>, shared: &Arc<Shared>) {
    let _ = (caller.set_nodelay(true), called.set_nodelay(true));
    let (caller_in, caller_out) = caller.into_split();
    let (called_in, called_out) = called.into_split();
    let broken = Notify::new();
    let there = one_way(caller_in, called_out, Counter::new(From::Caller, cut), shared);
    let back = one_way(called_in, caller_out, Counter::new(From::Called, cut), shared);
    let end = async |is_cut: bool| {
        if is_cut {
            shared.cuts.fetch_add(1, Ordering::SeqCst);
            broken.notify_one();
        }
    };
    // A cut ends both ways at once; an end that closes its own way only leaves the other one open.
    tokio::select! {
        () = async { tokio::join!(async { end(there.await).await }, async { end(back.await).await }); } => {}
        () = broken.notified() => {}
    }
}

/// Counts what passes, and finds where to cut.
struct Counter {
    from: From,
    cut: Option<Cut>,
    passed: u64,
    pdus: usize,
    /// Of the PDU that is passing: its header so far, and the bytes that are left of it.
    header: Vec<u8>,
    left: usize,
}

impl Counter {
    fn new(from: From, cut: Option<Cut>) -> Self {
        let mine = cut.filter(|cut| match cut {
            Cut::Pdu { from: end, .. } | Cut::Bytes { from: end, .. } => *end == from,
        });
        Self { from, cut: mine, passed: 0, pdus: 0, header: Vec::new(), left: 0 }
    }

    /// How many of these bytes pass before the cut; `None`: all of them, and there is none yet.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            if self.is_reached() {
                return Some(index);
            }
            self.passed += 1;
            if self.left == 0 {
                self.header.push(*byte);
                if self.header.len() == HEADER {
                    let length = [self.header[2], self.header[3], self.header[4], self.header[5]];
                    self.left = u32::from_be_bytes(length) as usize;
                    if self.left == 0 {
                        self.done();
                    }
                }
            } else {
                self.left -= 1;
                if self.left == 0 {
                    self.done();
                }
            }
        }
        self.is_reached().then_some(bytes.len())
    }

    fn done(&mut self) {
        self.pdus += 1;
        self.header.clear();
    }

    /// Bytes of the PDU that is passing.
    fn is_reached(&self) -> bool {
        match self.cut {
            None => false,
            Some(Cut::Bytes { bytes, .. }) => self.passed >= bytes,
            Some(Cut::Pdu { whole, and_bytes, .. }) => {
                let of_this = if self.header.len() < HEADER {
                    self.header.len()
                } else {
                    let length = [self.header[2], self.header[3], self.header[4], self.header[5]];
                    HEADER + u32::from_be_bytes(length) as usize - self.left
                };
                self.pdus > whole || (self.pdus == whole && of_this >= and_bytes)
            }
        }
    }
}

/// True when it was cut.
async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut counter: Counter, shared: &Shared) -> bool {
    if counter.is_reached() {
        return true;
    }
    let mut bytes = vec![0; 1 << 16];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        if read == 0 {
            let _ = to.shutdown().await;
            return false;
        }
        let passes = counter.take(&bytes[..read]);
        lock(&shared.counted)[usize::from(counter.from == From::Called)] = counter.pdus;
        if to.write_all(&bytes[..passes.unwrap_or(read)]).await.is_err() {
            return false;
        }
        if passes.is_some() {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pdu(length: usize) -> Vec<u8> {
        let mut bytes = vec![4, 0];
        bytes.extend(u32::try_from(length).unwrap().to_be_bytes());
        bytes.resize(HEADER + length, 7);
        bytes
    }

    #[test]
    fn a_cut_is_found_however_the_bytes_come() {
        let stream = [pdu(10), pdu(0), pdu(3)].concat();
        for (whole, and_bytes, passes) in [(0, 0, 0), (0, 4, 4), (1, 0, 16), (1, 5, 21), (2, 0, 22), (2, 8, 30)] {
            for step in [1, 5, stream.len()] {
                let cut = Cut::Pdu { from: From::Caller, whole, and_bytes };
                let mut counter = Counter::new(From::Caller, Some(cut));
                let mut passed = 0;
                for part in stream.chunks(step) {
                    match counter.take(part) {
                        Some(count) => {
                            passed += count;
                            break;
                        }
                        None => passed += part.len(),
                    }
                }
                assert_eq!(passed, passes, "{whole} PDUs and {and_bytes} bytes, {step} at a time");
            }
        }
        let mut other = Counter::new(From::Called, Some(Cut::Bytes { from: From::Caller, bytes: 3 }));
        assert_eq!(other.take(&stream), None, "only the way that was named");
        assert_eq!(other.pdus, 3);
    }

    #[tokio::test]
    async fn the_connection_that_is_cut_gives_what_came_before_and_the_next_one_is_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Relay::start(listener.local_addr().unwrap()).await.unwrap();
        relay.cut_next(Cut::Bytes { from: From::Caller, bytes: 3 });
        for heard in [&b"abc"[..], b"abcdef"] {
            let mut caller = TcpStream::connect(relay.address).await.unwrap();
            let (mut called, _) = listener.accept().await.unwrap();
            caller.write_all(b"abcdef").await.unwrap();
            caller.shutdown().await.unwrap();
            let mut read = Vec::new();
            called.read_to_end(&mut read).await.unwrap();
            assert_eq!(read, heard);
        }
        assert_eq!(relay.cuts(), 1);
    }
}
