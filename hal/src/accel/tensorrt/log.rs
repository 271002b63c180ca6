//! What TensorRT says. Every line goes to the journal, and the last ones are kept: when the library answers with nothing, they are
//! the only reason there is.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

/// `ILogger::Severity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    InternalError,
    Error,
    Warning,
    Info,
    Verbose,
}

impl Severity {
    /// An unknown one is told like an error.
    pub fn of(number: i32) -> Self {
        match number {
            0 => Self::InternalError,
            2 => Self::Warning,
            3 => Self::Info,
            4 => Self::Verbose,
            _ => Self::Error,
        }
    }
}

/// A line of the library.
#[derive(Debug, Clone)]
struct Line {
    number: u64,
    thread: ThreadId,
    severity: Severity,
    text: String,
}

/// Lines of errors and warnings that are kept.
const KEPT: usize = 64;
/// Lines that are told as the reason of a failure.
const TOLD: usize = 3;
/// Longer lines are cut, characters.
const LONGEST: usize = 400;

#[derive(Debug)]
struct Tail {
    lines: VecDeque<Line>,
    next: u64,
}

static TAIL: Mutex<Tail> = Mutex::new(Tail { lines: VecDeque::new(), next: 0 });

fn tail() -> MutexGuard<'static, Tail> {
    TAIL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The library says something, on any thread.
pub fn take(severity: Severity, text: &str) {
    let text = text.trim_end();
    match severity {
        Severity::InternalError | Severity::Error => tracing::error!(target: "tensorrt", "{text}"),
        Severity::Warning => tracing::warn!(target: "tensorrt", "{text}"),
        Severity::Info => tracing::info!(target: "tensorrt", "{text}"),
        Severity::Verbose => tracing::trace!(target: "tensorrt", "{text}"),
    }
    if severity > Severity::Warning {
        return;
    }
    let mut tail = tail();
    let number = tail.next;
    tail.next += 1;
    if tail.lines.len() == KEPT {
        tail.lines.pop_front();
    }
    tail.lines.push_back(Line { number, thread: std::thread::current().id(), severity, text: cut(text) });
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A point in the log.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

/// From now on.
pub fn mark() -> Mark {
    Mark(tail().next)
}

impl Mark {
    /// The library's reason for a failure since then. Errors before warnings, lines of this thread before those of others, which may
    /// be about something else.
    pub fn reason(self) -> String {
        let tail = tail();
        let since: Vec<&Line> = tail.lines.iter().filter(|line| line.number >= self.0).collect();
        let own = |line: &&&Line| line.thread == std::thread::current().id();
        let is_error = |line: &&&Line| line.severity <= Severity::Error;
        let choices: [Vec<&Line>; 4] = [
            since.iter().filter(|line| own(line) && is_error(line)).copied().collect(),
            since.iter().filter(is_error).copied().collect(),
            since.iter().filter(own).copied().collect(),
            since.clone(),
        ];
        let told = choices.into_iter().find(|lines| !lines.is_empty()).unwrap_or_default();
        if told.is_empty() {
            return "it gave no reason".into();
        }
        let words: Vec<&str> = told.iter().rev().take(TOLD).rev().map(|line| line.text.as_str()).collect();
        words.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_errors_of_this_thread() {
        let mark = mark();
        assert_eq!(mark.reason(), "it gave no reason");
        take(Severity::Info, "not kept");
        take(Severity::Warning, "a warning");
        assert_eq!(mark.reason(), "a warning");
        std::thread::spawn(|| take(Severity::Error, "of another thread")).join().unwrap();
        assert_eq!(mark.reason(), "of another thread");
        for number in 0..5 {
            take(Severity::of(1), &format!("error {number}\n"));
        }
        assert_eq!(mark.reason(), "error 2; error 3; error 4");
        assert_eq!(super::mark().reason(), "it gave no reason");
    }

    #[test]
    fn the_log_is_bounded() {
        for _ in 0..2 * KEPT {
            take(Severity::Warning, &"\u{e4}".repeat(2 * LONGEST));
        }
        let tail = tail();
        assert!(tail.lines.len() <= KEPT);
        assert!(tail.lines.iter().all(|line| line.text.chars().count() <= LONGEST + 3));
    }
}
