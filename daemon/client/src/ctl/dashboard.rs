//! The dashboard of `watch`: state (pure, fed by facts of the bus) -> drawing (pure) -> terminal. The edges are `bus` and `terminal`.
//!
//! It shows what signals tell; after the first look lists are read when a signal says that they are other ones, at most one a second
//! (`reads`).

mod bus;
mod draw;
#[cfg(test)]
pub(super) mod fixture;
pub(super) mod health;
mod layout;
mod pages;
mod panels;
mod pen;
mod properties;
mod reads;
mod sight;
pub(super) mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
pub(super) mod words;

use std::io::{self, IsTerminal, Stdout};
use std::time::Duration;

use jiff::Timestamp;
use ratatui_core::terminal::Terminal;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::panels::Scene;
use self::pen::Look;
use self::sight::Wish;
use self::state::{Fact, Now, State};
use self::terminal::{Screen, Taken};
use self::words::Words;
use super::failure::Failure;
use super::output::Output;
use super::time;
use crate::doctor::text::{Language, locale};

/// Drawn at most so often, and once a second for the clock.
const FRAME: Duration = Duration::from_millis(100);
const CLOCK: Duration = Duration::from_secs(1);

/// Whether there is somebody who sees a dashboard and can press its keys.
pub fn is_possible(output: &Output) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !output.is_json() && !dumb && io::stdout().is_terminal() && io::stdin().is_terminal()
}

/// Until somebody ends it.
///
/// # Errors
/// When the terminal cannot be used.
pub async fn run(bus: &str, language: Language, output: &Output) -> Result<(), Failure> {
    let look = Look { colour: output.is_coloured(), unicode: shows_unicode() };
    let mut signals = Signals::listen().map_err(|error| Failure::output(&error))?;
    let taken = Taken::take().map_err(|error| Failure::output(&error))?;
    let ended = show(bus, Words(language), look, &mut signals).await;
    drop(taken);
    match ended {
        // A terminal that went away took its reader with it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(5) => Ok(()),
        ended => ended.map_err(|error| Failure::output(&error)),
    }
}

async fn show(bus: &str, words: Words, look: Look, signals: &mut Signals) -> io::Result<()> {
    let mut screen = terminal::screen()?;
    let mut keys = terminal::keys();
    let (learnt, mut facts) = mpsc::channel(256);
    let (study, of_study) = watch::channel(None);
    tokio::spawn(bus::follow(bus.to_owned(), learnt, of_study));
    let (mut state, begun) = (State::new(), Instant::now());
    let now = || Now { ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), utc: Timestamp::now() };
    let mut drawn = Instant::now();
    let mut due = drawn;
    loop {
        tokio::select! {
            fact = facts.recv() => match fact {
                Some(fact) => learn(&mut state, fact, &mut facts, now()),
                None => return Err(io::Error::other("the bus is not heard any more")),
            },
            key = keys.recv() => {
                // Without keys nobody can end it.
                let Some(key) = key else { return Ok(()) };
                match state.press(key) {
                    None => {}
                    Some(Wish::Quit) => return Ok(()),
                    Some(Wish::Redraw) => screen.clear()?,
                    Some(Wish::Journal(uid)) => drop(study.send(uid)),
                    Some(Wish::Suspend) => suspend()?,
                }
            }
            () = tokio::time::sleep_until(due) => {
                picture(&mut screen, &mut state, words, look, now())?;
                drawn = Instant::now();
                due = drawn + CLOCK;
                continue;
            }
            called = signals.next() => match called {
                Called::End => return Ok(()),
                Called::GoOn => {
                    terminal::take_again()?;
                    screen.clear()?;
                }
            },
        }
        due = due.min(drawn + FRAME);
    }
}

/// With it all that has come meanwhile: one picture for a burst.
fn learn(state: &mut State, first: Fact, facts: &mut mpsc::Receiver<Fact>, now: Now) {
    state.learn(first, now);
    while let Ok(fact) = facts.try_recv() {
        state.learn(fact, now);
    }
}

fn picture(
    screen: &mut Terminal<Screen<Stdout>>,
    state: &mut State,
    words: Words,
    look: Look,
    now: Now,
) -> io::Result<()> {
    let mut most_scroll = 0;
    screen.draw(|frame| {
        let scene = Scene { state, words, look, now };
        most_scroll = draw::draw(&scene, &time::clock(), frame.buffer_mut()).most_scroll;
    })?;
    state.sight.most_scroll = most_scroll;
    Ok(())
}

/// As Ctrl-Z does with other programs. It goes on at SIGCONT.
fn suspend() -> io::Result<()> {
    terminal::give_back();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TSTP).map_err(io::Error::from)
}

/// By the locale, as other programs do.
fn shows_unicode() -> bool {
    let locale = locale("LC_CTYPE").to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

struct Signals {
    ends: [Signal; 4],
    goes_on: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let end = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit()];
        let [terminate, hangup, interrupt, quit] = end.map(signal);
        // SIGCONT has no name in tokio.
        let goes_on = signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?;
        Ok(Self { ends: [terminate?, hangup?, interrupt?, quit?], goes_on })
    }

    async fn next(&mut self) -> Called {
        let [a, b, c, d] = &mut self.ends;
        tokio::select! {
            _ = a.recv() => Called::End,
            _ = b.recv() => Called::End,
            _ = c.recv() => Called::End,
            _ = d.recv() => Called::End,
            _ = self.goes_on.recv() => Called::GoOn,
        }
    }
}

/// What a signal asks for.
enum Called {
    End,
    /// The process was stopped, and goes on.
    GoOn,
}
