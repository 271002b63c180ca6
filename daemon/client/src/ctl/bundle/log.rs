//! The lines of the log that belong to an interval. A cursor of the journal says where it begins: it holds whatever happens to the
//! clock. What is kept has an end, however much was logged.

use std::collections::VecDeque;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::LOG_WITHIN;
use crate::ctl::examine;

const CURSOR_WITHIN: Duration = Duration::from_secs(10);
/// Lines at the beginning and at the end that are kept, and bytes of one.
const HALF: usize = 10_000;
const LONGEST_LINE: u64 = 4096;

/// What systemd says of the service, what the service says, and the markers of this program.
const OF_THE_SERVICE: [&str; 9] = [
    "_SYSTEMD_UNIT=scansided.service",
    "+",
    "UNIT=scansided.service",
    "+",
    "OBJECT_SYSTEMD_UNIT=scansided.service",
    "+",
    "COREDUMP_UNIT=scansided.service",
    "+",
    "SYSLOG_IDENTIFIER=scansidectl",
];

/// The first and the last of many.
#[derive(Debug)]
pub struct Ends<T> {
    half: usize,
    pub first: Vec<T>,
    pub last: VecDeque<T>,
    pub left_out: u64,
}

impl<T> Ends<T> {
    pub fn of(half: usize) -> Self {
        Self { half, first: Vec::new(), last: VecDeque::new(), left_out: 0 }
    }

    pub fn push(&mut self, one: T) {
        if self.first.len() < self.half {
            self.first.push(one);
            return;
        }
        if self.last.len() == self.half {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(one);
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.last)
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

pub type Lines = Ends<String>;

/// Where an interval begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    Cursor(String),
    /// Whoever may not read the journal gets no cursor. Seconds since 1970.
    Time(i64),
}

impl From {
    pub async fn now() -> Self {
        let said = examine::output_within(CURSOR_WITHIN, "journalctl", &["-n", "0", "--show-cursor", "--no-pager"]);
        let cursor = said.await.and_then(|said| cursor(&said));
        cursor.map_or_else(|| Self::Time(jiff::Timestamp::now().as_second()), Self::Cursor)
    }

    fn argument(&self) -> String {
        match self {
            Self::Cursor(cursor) => format!("--after-cursor={cursor}"),
            Self::Time(secs) => format!("--since=@{secs}"),
        }
    }

    /// `None` without any line, as of whoever may not read it.
    pub async fn lines(&self) -> Option<Lines> {
        let mut child = Command::new("journalctl")
            .args(OF_THE_SERVICE)
            .args([&self.argument(), "-o", "short-iso", "--no-pager"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .ok()?;
        let read = read(child.stdout.take()?);
        let lines = timeout(LOG_WITHIN, read).await.ok()?.ok()?;
        (!lines.is_empty()).then_some(lines)
    }
}

fn cursor(said: &str) -> Option<String> {
    said.lines().find_map(|line| line.strip_prefix("-- cursor: ")).map(|cursor| cursor.trim().to_owned())
}

async fn read(from: impl AsyncRead + Unpin) -> std::io::Result<Lines> {
    let (mut from, mut lines, mut bytes, mut is_rest) = (BufReader::new(from), Lines::of(HALF), Vec::new(), false);
    loop {
        bytes.clear();
        if (&mut from).take(LONGEST_LINE).read_until(b'\n', &mut bytes).await? == 0 {
            return Ok(lines);
        }
        let line = String::from_utf8_lossy(&bytes);
        // Of a long line only the beginning is kept; notes of journalctl itself begin with dashes.
        if !is_rest && !line.starts_with("-- ") {
            lines.push(line.trim_end().to_owned());
        }
        is_rest = !line.ends_with('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_the_first_and_the_last_are_kept_and_the_rest_is_counted() {
        let mut ends = Ends::of(2);
        (1..=7).for_each(|number| ends.push(number));
        assert_eq!((ends.iter().copied().collect::<Vec<_>>(), ends.left_out), (vec![1, 2, 6, 7], 3));
        let mut few = Ends::of(2);
        (1..=3).for_each(|number| few.push(number));
        assert_eq!((few.iter().copied().collect::<Vec<_>>(), few.left_out), (vec![1, 2, 3], 0));
    }

    #[tokio::test]
    async fn a_line_without_end_and_a_log_without_end_take_no_more_than_their_share() {
        let long = "x".repeat(100_000);
        let text = format!("-- No entries --\nfirst\n{long}\nlast");
        let lines = read(text.as_bytes()).await.unwrap();
        let lengths: Vec<usize> = lines.iter().map(String::len).collect();
        assert_eq!(lengths, [5, 4096, 4]);
        let many = "line\n".repeat(3 * HALF);
        let lines = read(many.as_bytes()).await.unwrap();
        assert_eq!((lines.iter().count(), lines.left_out), (2 * HALF, HALF as u64));
    }

    #[test]
    fn the_cursor_is_found_in_what_journalctl_says() {
        assert_eq!(cursor("-- cursor: s=ab;i=1\n").as_deref(), Some("s=ab;i=1"));
        assert_eq!(cursor("-- No entries --\n"), None);
    }
}
