//! THE LIVE STORY: source -> roi -> infer -> track -> overlay -> view. The web page, D-Bus and the recorder read the
//! view.
//!
//! This file connects the stages and holds no detail.
//!
//! 1. `source` takes pictures from a supervised device, puts each on the view at once and keeps the newest one ready.
//! 2. `infer` takes the newest one, cuts out the image sector (`profile` says where it is) and runs the network.
//! 3. `track` turns detections into lesions that keep their numbers. The overlay goes to the view, beside the pictures.
//! 4. `session` is the state that the page shows as a sign: ready, paused, no overlay, no signal, failed. `exam` knows
//!    whose exam it is, which breast is scanned, and where lesions are said to lie.
//!
//! `nameplate` reads the patient from the scanner's screen (`text`), and the desk compares it with the exam's (`name`). `guide` judges how
//! the picture is adjusted and how fast the probe moves; the desk counts what of the breast was looked at.
//!
//! Three helpers read the view and send commands as a page does: `lesson` proposes a scanner profile, `worklist` lists
//! the expected patients, `auto` begins and ends exams automatically.
//!
//! The threads share state through `desk` and nowhere else. The picture path never waits for the model path: when
//! the model is missing, slow, crashed or answers nonsense, the overlay is lost and the pictures go on. CT inference
//! pauses for live work (`hal::urgency`). `record` reads the view too and keeps what was found; `study::exam` turns
//! that into DICOM objects when the exam ends.

// Tests may convert as they like: there a wrong number is a failed assertion.
#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

mod cast;
pub mod source;
pub mod cine;
pub mod screen;
pub mod infer;
pub mod text;
pub mod name;
pub mod nameplate;
pub mod guidance;
pub mod guide;
pub mod newest;
pub mod supply;
pub mod trouble;
pub mod track;
pub mod desk;
pub mod exam;
pub mod auto;
pub mod identity;
pub mod worklist;
pub mod record;

pub mod view;
pub mod ask;
pub mod jpeg;
pub mod rehearsal;
pub mod settings;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use custody::store::now_utc;
use dicom::uid;
use hal::Capture;
use hal::capture::guard::Supervised;
use hal::clock::Clock;
use hal::urgency::Precedence;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::desk::session::SignEvent;
use crate::desk::{Desk, Outlets};
use crate::guide::Guide;
use crate::infer::{Infer, Working};
use crate::name::NameCheck;
use crate::nameplate::{Nameplate, Open, Watching};
use crate::newest::Newest;
use crate::screen::profile::Profiles;
use crate::source::{Pulse, Source};
use crate::supply::Supply;
use crate::view::{Command, CommandError, Stage};

/// A run of the model that lasts longer than this many deadlines is reported as too slow while it still goes on.
const PATIENCE: u32 = 3;
/// How often it is checked whether a call of the driver hangs.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// At shutdown, how long a call of the driver may take, and how often to look whether it is over.
const LEAVE_AFTER: Duration = Duration::from_secs(5);
const IS_IT_OVER: Duration = Duration::from_millis(5);
/// Pause before a thread that crashed is started again.
const AFTER_CRASH: Duration = Duration::from_secs(1);

/// What the live path needs.
pub struct LiveParts<C> {
    pub device: Supervised<C>,
    pub profiles: Profiles,
    pub supply: Box<dyn Supply>,
    pub precedence: Precedence,
    /// The clock that the device stamps its pictures with.
    pub clock: Arc<dyn Clock>,
    /// An overlay that is older than this, counted from the capture of its picture, is not shown.
    pub deadline: Duration,
    /// What is done when the scanner's screen shows another patient.
    pub name_check: NameCheck,
    /// Opens what runs the reader of that screen.
    pub reader: Open,
    /// Name of this box; part of the name from which the UIDs of exams are made.
    pub station: String,
}

impl<C> std::fmt::Debug for LiveParts<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveParts")
            .field("device", &self.device)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Runs the live path until shutdown.
///
/// # Errors
/// When a thread cannot be started.
pub async fn run<C: Capture + 'static>(
    parts: LiveParts<C>,
    stage: Stage,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let Stage { guide, pictures, taken, overlay, status, stats, mut commands, recording: _ } = stage;
    let outlets = Outlets { guide, pictures, taken, overlay, status, stats };
    let desk = Arc::new(Desk::new(parts.clock.clone(), parts.name_check, outlets));
    let (running, ended) = std::sync::mpsc::channel();
    let (newest, stop) = (Newest::default(), Arc::new(AtomicBool::new(false)));
    let to_guide = Newest::default();
    let pulse = Pulse::new(parts.clock.clone());
    let mut source = Source {
        device: parts.device,
        desk: desk.clone(),
        newest: newest.clone(),
        to_guide: to_guide.clone(),
        stop: stop.clone(),
        patience: parts.deadline * PATIENCE,
        blank: source::Blank::default(),
        pulse: pulse.clone(),
    };
    let mut nameplate = Nameplate {
        desk: desk.clone(),
        profiles: parts.profiles.clone(),
        clock: parts.clock.clone(),
        open: parts.reader,
        stop: ended,
        state: Watching::default(),
    };
    let mut guide = Guide {
        desk: desk.clone(),
        newest: to_guide.clone(),
        profiles: parts.profiles.clone(),
        state: guide::Watching::default(),
    };
    let mut infer = Infer {
        desk: desk.clone(),
        newest: newest.clone(),
        clock: parts.clock.clone(),
        supply: parts.supply,
        profiles: parts.profiles,
        precedence: parts.precedence,
        deadline: parts.deadline,
        state: Working::default(),
    };
    let capturing =
        kept_going("live-source", &desk, &parts.clock, &stop, hal::urgency::step_to_the_front, move || source.run())?;
    let mut threads = vec![
        kept_going("live-infer", &desk, &parts.clock, &stop, hal::urgency::step_forward, move || infer.run())?,
        kept_going("live-guide", &desk, &parts.clock, &stop, hal::urgency::step_back, move || guide.run())?,
    ];
    if parts.name_check != NameCheck::Off {
        threads.push(kept_going("live-name", &desk, &parts.clock, &stop, hal::urgency::step_back, move || {
            nameplate.run()
        })?);
    }
    let mut looking = tokio::time::interval(LOOK_EVERY);
    looking.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looking.tick() => if pulse.hangs() {
                desk.happened(SignEvent::Lost("the driver does not answer".into()));
            },
            command = next(&mut commands) => obey(&desk, command, &parts.station),
            () = shutdown.cancelled() => break,
        }
    }
    stop.store(true, Ordering::Relaxed);
    newest.close();
    to_guide.close();
    drop(running);
    // A driver that never returns must not keep the others from ending.
    let patience = tokio::time::Instant::now() + LEAVE_AFTER;
    while !capturing.is_finished() && tokio::time::Instant::now() < patience {
        tokio::time::sleep(IS_IT_OVER).await;
    }
    if capturing.is_finished() {
        threads.push(capturing);
    } else {
        tracing::error!("the driver of the capture device does not answer; its thread is left behind");
    }
    let ended = tokio::task::spawn_blocking(move || threads.into_iter().try_for_each(JoinHandle::join)).await;
    tracing::debug!(ended = matches!(ended, Ok(Ok(()))), "live path ended");
    Ok(())
}

/// The next command. Waits for ever when all senders are gone.
async fn next(commands: &mut mpsc::Receiver<Command>) -> Command {
    match commands.recv().await {
        Some(command) => command,
        None => std::future::pending().await,
    }
}

fn obey(desk: &Desk, command: Command, station: &str) {
    let (reply, answer) = match command {
        Command::StartExam(order, reply) => {
            let utc = now_utc();
            let own = || uid::from_name(&format!("live exam, {station}, {utc}, {}", order.patient.id));
            let uid = order.study_uid.clone().unwrap_or_else(own);
            (reply, desk.start_exam(order, &utc, &uid).map_err(CommandError::from))
        }
        Command::StopExam(reply) => (reply, Ok(desk.stop_exam(&now_utc()))),
        Command::Freeze(on, by, reply) => (reply, desk.freeze(on, by).map_err(CommandError::from)),
        Command::Mark(reply) => (reply, desk.mark().map_err(CommandError::from)),
        Command::Side(side, reply) => (reply, desk.side(side).map_err(CommandError::from)),
        Command::Probe(order, seen, reply) => (reply, desk.probe(order, seen.as_deref()).map_err(CommandError::from)),
        Command::Place(lesion, place, seen, reply) => {
            (reply, desk.place(lesion, &place, seen.as_ref()).map_err(CommandError::from))
        }
    };
    // The caller may have given up meanwhile.
    let _ = reply.send(answer);
}

/// Starts a thread that is started again after a crash, until `stop` is set.
fn kept_going(
    name: &'static str,
    desk: &Arc<Desk>,
    clock: &Arc<dyn Clock>,
    stop: &Arc<AtomicBool>,
    urgency: fn(),
    mut work: impl FnMut() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let (desk, clock, stop) = (desk.clone(), clock.clone(), stop.clone());
    let thread = std::thread::Builder::new().name(name.into());
    thread.spawn(move || {
        urgency();
        while catch_unwind(AssertUnwindSafe(&mut work)).is_err() && !stop.load(Ordering::Relaxed) {
            tracing::error!(name, "a thread crashed and is started again");
            desk.happened(SignEvent::Fault(format!("{name} crashed; it is started again")));
            clock.sleep(AFTER_CRASH);
        }
    })
}

#[cfg(test)]
mod tests;
