//! What a confined process can still do: nothing that reaches anybody else.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getppid, setrlimit, test_kill_process};

use super::confine::confine;
use super::deeds_ffi;
use super::process::Within;
use super::serve::limit;
use super::wire::Order;
use crate::pixels::shape::Shape;

const DEED: &str = "SCANSIDE_TEST_DEED";
const SMALL: Shape = Shape { rows: 512, columns: 512, samples: 1, bits_allocated: 16, frames: 1 };
const DONE: i32 = 10;
const REFUSED: i32 = 11;

/// Is a test only when another one starts this program again: it confines itself, and nobody is set free again.
#[test]
fn inmate() {
    let Ok(deed) = std::env::var(DEED) else { return };
    let (mut own, mut other) = UnixStream::pair().unwrap();
    other.write_all(b"x").unwrap();
    let (mut file, parent) = (File::open("/etc/passwd").unwrap(), getppid());
    // A limit of its own, so that an inmate that spins fails the test soon.
    let seconds = Rlimit { current: Some(10), maximum: Some(10) };
    setrlimit(Resource::Cpu, seconds).unwrap();
    confine(&own).unwrap();
    let done = match deed.as_str() {
        "answer on its socket" => own.write_all(b"R").is_ok() && own.read_exact(&mut [0]).is_ok(),
        "read where nothing is" => deeds_ffi::reads_where_nothing_is(),
        "take memory that is not counted" => deeds_ffi::gets_shared_memory(),
        "take memory" => std::hint::black_box(vec![1_u8; 64 << 20]).len() == 64 << 20,
        "start a thread" => std::thread::Builder::new().spawn(|| 7).is_ok_and(|thread| thread.join().is_ok()),
        "take more memory than its frame may need" => {
            limit(&Order { transfer_syntax_uid: "", frame: &[], shape: SMALL, bits_allocated: 16 }).unwrap();
            std::hint::black_box(vec![1_u8; 256 << 20]).len() == 256 << 20
        }
        "open a file" => File::open("/etc/passwd").is_ok(),
        "make a file" => File::create(std::env::temp_dir().join("scanside-inmate")).is_ok(),
        "read a file that was open" => file.read(&mut [0; 8]).is_ok(),
        "write to another socket" => other.write(b"x").is_ok(),
        "open a socket" => UdpSocket::bind("127.0.0.1:0").is_ok(),
        "start a process" => Command::new("/bin/true").status().is_ok(),
        "signal its daemon" => parent.map(test_kill_process).is_some_and(|told| told.is_ok()),
        deed => panic!("{deed}"),
    };
    std::process::exit(if done { DONE } else { REFUSED });
}

fn ended(deed: &str) -> ExitStatus {
    let myself = std::env::current_exe().unwrap();
    let mut command = Command::new(myself);
    command.args(["--exact", "pixels::cage::tests::inmate", "--nocapture"]).env(DEED, deed);
    command.status().unwrap()
}

fn outcome(deed: &str) -> Option<i32> {
    ended(deed).code()
}

/// Else it would return to the fault until its processor time is over: a minute for each such frame.
#[test]
fn a_wild_pointer_ends_a_decoder_at_once() {
    const SEGV: i32 = 11;
    assert_eq!(ended("read where nothing is").signal(), Some(SEGV));
}

#[test]
fn a_decoder_that_gives_byte_after_byte_is_not_waited_for_without_end() {
    let (own, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&[0; 100]).unwrap();
    let read = |until| Within { socket: &own, until }.read_exact(&mut [0; 10]).map_err(|error| error.kind());
    let now = Instant::now();
    assert_eq!(read(now + Duration::from_secs(60)), Ok(()));
    assert_eq!(read(now), Err(ErrorKind::TimedOut));
}

#[test]
fn a_decoder_reaches_no_file_no_network_and_no_process() {
    for deed in [
        "open a file",
        "make a file",
        "read a file that was open",
        "write to another socket",
        "open a socket",
        "start a process",
        "signal its daemon",
        "take memory that is not counted",
    ] {
        assert_eq!(outcome(deed), Some(REFUSED), "{deed}");
    }
}

/// Whoever asks for more gets none: Rust ends the process, C libraries give up.
#[test]
fn a_decoder_has_no_more_memory_than_a_frame_of_its_size_needs() {
    assert_eq!(outcome("take more memory than its frame may need"), None, "ended by a signal");
}

#[test]
fn a_decoder_has_what_it_needs() {
    for deed in ["answer on its socket", "take memory", "start a thread"] {
        assert_eq!(outcome(deed), Some(DONE), "{deed}");
    }
}
