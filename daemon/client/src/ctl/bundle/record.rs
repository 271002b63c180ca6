//! `bundle --record`: marks the beginning in the log, looks at the box while the engineer reproduces the trouble, marks the end.

use std::io::Read;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::args::BundleOptions;
use super::interval::{self, Course, Happenings};
use super::log::{From, Lines};
use super::sight::{self, Depth};
use super::{Known, from_daemon};
use crate::Caller;
use crate::ctl::every::PAGE;
use crate::ctl::examine::{self, Place};
use crate::ctl::failure::Failure;
use crate::ctl::output::Output;
use crate::ctl::time;
use crate::doctor::text::Language;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A dialog of polkit may be waited for.
const MARK_WITHIN: Duration = Duration::from_secs(30);
/// The journal takes a line a moment after it was written.
const IN_LOG_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Without letters and digits that are taken for each other when the code is read out on the telephone.
const SIGNS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Enter,
    Signal,
    Time,
}

impl Ended {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Signal => "signal",
            Self::Time => "time",
        }
    }
}

/// Who wrote a marker into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Daemon,
    /// This program, since the daemon was not there or refused.
    Program,
    Nobody,
}

#[derive(Debug, Clone)]
pub struct Mark {
    writer: Writer,
    /// The log was read and has it.
    in_log: bool,
}

impl Mark {
    pub fn as_json(&self) -> Value {
        let by = match self.writer {
            Writer::Daemon => "scansided",
            Writer::Program => "scansidectl",
            Writer::Nobody => "nobody",
        };
        json!({ "written_by": by, "in_log": self.in_log })
    }
}

#[derive(Debug)]
pub struct Recorded {
    pub code: String,
    pub started_utc: String,
    pub stopped_utc: String,
    /// By a clock that nobody sets.
    pub seconds: f64,
    pub ended_by: Ended,
    pub start: Mark,
    pub stop: Mark,
    pub before: Depth,
    pub after: Depth,
    pub course: Course,
    /// `None`: it could not be read.
    pub log: Option<Lines>,
    /// As the daemon knew them at the start: it may not be there any more.
    pub known: Known,
}

impl Recorded {
    pub fn calls(&self) -> Option<Vec<Caller>> {
        interval::calls(self.before.callers.as_deref(), self.after.callers.as_deref())
    }

    pub fn happened(&self) -> Happenings {
        interval::happened(self.before.events.as_deref(), self.after.events.as_deref(), &self.started_utc)
    }

    pub fn restarts_by_systemd(&self) -> Option<u64> {
        let (before, after) = (self.before.unit.as_ref()?, self.after.unit.as_ref()?);
        after.restarts.checked_sub(before.restarts)
    }

    pub fn clock_moved_seconds(&self) -> Option<f64> {
        let at = |utc: &str| utc.parse::<jiff::Timestamp>().ok();
        let wall = at(&self.stopped_utc)?.duration_since(at(&self.started_utc)?).as_secs_f64();
        Some((wall - self.seconds).round())
    }
}

pub async fn run(
    place: &Place,
    language: Language,
    options: &BundleOptions,
    output: &Output,
) -> Result<Recorded, Failure> {
    let code = code()?;
    let from = From::now().await;
    let before = sight::deep(&place.bus, 1).await;
    // A daemon that is not there is not asked: asking would start it. One that hangs is not waited for.
    let answers = !before.sight.states.is_empty();
    let known = if answers { from_daemon(place).await.without_events() } else { Known::default() };
    let started_utc = hal::clock::now_utc();
    let start = mark(place, &code, "start").await;
    let begun = Instant::now();
    // From the moment at which the engineer is told that it has begun, a signal ends it and does not lose it.
    let signals = Signals::new()?;
    begin(language, &code, options, &before, start, output);
    let mut course = Course::from(&before.sight);
    let ended_by = course_until_end(place, &mut course, signals, begun + options.longest()).await;
    output.note(&language.pick("Collecting; up to a minute ...", "正在收集，最多需要一分钟……"));
    let seconds = begun.elapsed().as_secs_f64();
    let finish = async {
        let stop = mark(place, &code, "stop").await;
        let stopped_utc = hal::clock::now_utc();
        let after = sight::deep(&place.bus, u32::try_from(PAGE).unwrap_or_default()).await;
        course.see(after.sight.clone());
        let log = log_with(&from, &words(&code, "stop"), stop != Writer::Nobody).await;
        let marked =
            |writer, at: &str| Mark { writer, in_log: log.as_ref().is_some_and(|log| has(log, &words(&code, at))) };
        let (start, stop) = (marked(start, "start"), marked(stop, "stop"));
        Ok(Recorded {
            code,
            started_utc,
            stopped_utc,
            seconds,
            ended_by,
            start,
            stop,
            before,
            after,
            course,
            log,
            known,
        })
    };
    unless_interrupted(finish).await
}

/// Once the interval has ended, another signal ends the command, as it does without `--record`.
pub async fn unless_interrupted<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let signals = Signals::new()?;
    tokio::select! {
        done = work => done,
        () = signals.any() => Err(Failure::new("interrupted, there is no file", "run it again")),
    }
}

fn code() -> Result<String, Failure> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| Failure::new(format!("no random numbers: {error}"), "try again"))?;
    let signs: String = random.iter().map(|byte| char::from(SIGNS[usize::from(byte % 32)])).collect();
    Ok(format!("{}-{}", &signs[..4], &signs[4..]))
}

/// As the daemon writes it, too.
fn words(code: &str, at: &str) -> String {
    format!("marker {code}: {at}")
}

fn begin(language: Language, code: &str, options: &BundleOptions, before: &Depth, mark: Writer, output: &Output) {
    let limit = time::span(options.longest().as_secs_f64(), language);
    output.note(&language.pick(
        &format!(
            "Marker {code}. Reproduce the trouble now, then press Enter (or Ctrl-C). It ends by itself after {limit}."
        ),
        &format!("标记码 {code}。请现在重现问题，然后按回车键（或 Ctrl-C）。{limit} 后自动结束。"),
    ));
    if before.sight.owner.is_none() {
        output.note(&language.pick(
            "scansided is not on the bus: what it does when it comes is recorded, what was before is not known.",
            "总线上没有 scansided：它启动后的情况会被记录，之前的情况未知。",
        ));
    }
    if mark == Writer::Nobody {
        output.note(&language.pick(
            "The marker could not be written to the log: the interval is found by its times only.",
            "标记无法写入日志：只能按时间查找该时段。",
        ));
    }
}

/// Looks again and again until the engineer, or the time, ends it.
async fn course_until_end(place: &Place, course: &mut Course, signals: Signals, until: Instant) -> Ended {
    let looking = async {
        loop {
            sleep(LOOK_EVERY).await;
            course.see(sight::look(&place.bus).await);
        }
    };
    tokio::select! {
        never = looking => never,
        () = enter() => Ended::Enter,
        () = signals.any() => Ended::Signal,
        () = sleep_until(until) => Ended::Time,
    }
}

/// Ctrl-C, and the end of the terminal or of the session: what was reproduced is not lost.
struct Signals([tokio::signal::unix::Signal; 3]);

impl Signals {
    fn new() -> Result<Self, Failure> {
        let one = |kind| signal(kind).map_err(|error| Failure::new(format!("no signals: {error}"), "try again"));
        Ok(Self([one(SignalKind::interrupt())?, one(SignalKind::terminate())?, one(SignalKind::hangup())?]))
    }

    async fn any(self) {
        let [mut interrupt, mut terminate, mut hangup] = self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Never, where nobody can press it. On a thread of its own, which the end of the program does not wait for.
async fn enter() {
    let (told, heard) = oneshot::channel();
    std::thread::spawn(move || {
        let (mut input, mut byte) = (std::io::stdin().lock(), [0]);
        while byte != *b"\n" {
            if !matches!(input.read(&mut byte), Ok(1)) {
                return;
            }
        }
        let _ = told.send(());
    });
    if heard.await.is_err() {
        std::future::pending().await
    }
}

async fn mark(place: &Place, code: &str, at: &str) -> Writer {
    if let Some(there) = sight::daemon(&place.bus).await
        && let Ok(Ok(())) = timeout(MARK_WITHIN, there.manager.write_marker(code, at)).await
    {
        return Writer::Daemon;
    }
    let (patience, text) = (Duration::from_secs(5), words(code, at));
    let arguments = ["-t", "scansidectl", "-p", "notice", "echo", &text];
    let written = examine::output_within(patience, "systemd-cat", &arguments).await;
    if written.is_some() { Writer::Program } else { Writer::Nobody }
}

/// Read again until the last marker is there, for a moment.
async fn log_with(from: &From, last: &str, is_expected: bool) -> Option<Lines> {
    let until = Instant::now() + IN_LOG_WITHIN;
    loop {
        let lines = from.lines().await;
        let is_there = lines.as_ref().is_none_or(|lines| has(lines, last));
        if is_there || !is_expected || Instant::now() >= until {
            return lines;
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn has(lines: &Lines, text: &str) -> bool {
    lines.iter().any(|line| line.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_can_be_read_out_and_no_two_are_the_same() {
        let codes: std::collections::BTreeSet<String> = (0..100).map(|_| code().unwrap()).collect();
        assert_eq!(codes.len(), 100);
        for code in codes {
            assert!(code.len() == 9 && !code.contains(['0', 'O', '1', 'I']), "{code}");
        }
    }
}
