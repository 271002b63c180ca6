//! Reads the patient that the scanner's screen shows, about once a second, on a thread of its own that runs after all
//! others: neither pictures nor overlay wait for it. The text is kept in memory only, and never logged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use hal::accel::{self, Accelerator};
use hal::backoff::{Backoff, Pauses};
use hal::capture::convert;
use hal::clock::Clock;

use crate::desk::Desk;
use crate::name::{OnScreen, Screen, Shows};
use crate::screen::profile::{Area, Profiles};
use crate::text::Reader;

const EVERY: Duration = Duration::from_secs(1);
/// Pauses before the reader is loaded again after a failure.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(2), Duration::from_secs(300));
/// A pixel is another one when it differs by more than this, grey levels: more than noise does.
const CHANGED: u8 = 24;

/// Opens what runs the reader of text.
pub type Open = Box<dyn FnMut() -> Result<Box<dyn Accelerator>, accel::Error> + Send>;

pub struct Nameplate {
    pub desk: Arc<Desk>,
    pub profiles: Profiles,
    pub clock: Arc<dyn Clock>,
    pub open: Open,
    /// Closed when the live path ends.
    pub stop: Receiver<()>,
    pub state: Watching,
}

/// What is kept from one look to the next.
#[derive(Debug)]
pub struct Watching {
    reader: Option<Reader>,
    backoff: Backoff,
    /// Number of the picture that was looked at last.
    sequence: Option<u64>,
    /// The areas that were read last, and what they showed.
    read: Option<(Vec<Vec<u8>>, OnScreen)>,
}

impl Default for Watching {
    fn default() -> Self {
        Self { reader: None, backoff: Backoff::new(PAUSES), sequence: None, read: None }
    }
}

impl std::fmt::Debug for Nameplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nameplate").finish_non_exhaustive()
    }
}

impl Nameplate {
    /// Looks until the live path ends.
    pub fn run(&mut self) {
        while let Err(RecvTimeoutError::Timeout) = self.stop.recv_timeout(EVERY) {
            // A fault of the reader is no fault of the pictures.
            let screen = catch_unwind(AssertUnwindSafe(|| self.look())).unwrap_or_else(|_| {
                tracing::error!("reading the scanner's screen crashed");
                self.failed()
            });
            self.desk.on_screen(screen);
        }
    }

    fn look(&mut self) -> Screen {
        let Some(picture) = self.desk.latest() else { return Screen::NotRead };
        if self.state.sequence.replace(picture.sequence) == Some(picture.sequence) {
            return Screen::NotRead;
        }
        let Ok(profile) = self.profiles.choose(picture.size()) else { return Screen::NoArea };
        let areas: Vec<(Shows, Area)> =
            profile.text.iter().filter_map(|text| Some((Shows::of(&text.says)?, text.area))).collect();
        if areas.is_empty() {
            return Screen::NoArea;
        }
        let mut cuts = vec![Vec::new(); areas.len()];
        for ((_, area), cut) in areas.iter().zip(&mut cuts) {
            if convert::grey_part(&picture.frame, (*area).into(), cut).is_err() {
                return Screen::NotRead;
            }
        }
        // Its buffer goes back to the driver.
        drop(picture);
        if let Some((_, screen)) = self.state.read.as_ref().filter(|(before, _)| is_same(before, &cuts)) {
            return Screen::Shows(screen.clone());
        }
        match self.read(&areas, &cuts) {
            Ok(Some(screen)) => {
                self.state.read = Some((cuts, screen.clone()));
                Screen::Shows(screen)
            }
            Ok(None) => Screen::NotRead,
            Err(error) => {
                tracing::warn!(%error, "the patient on the scanner's screen cannot be read; tried again later");
                self.failed()
            }
        }
    }

    /// The reader is loaded again after a pause.
    fn failed(&mut self) -> Screen {
        (self.state.reader, self.state.read) = (None, None);
        self.state.backoff.failed(self.clock.now());
        Screen::NotRead
    }

    /// `None` while the reader waits to be loaded again.
    fn read(&mut self, areas: &[(Shows, Area)], cuts: &[Vec<u8>]) -> Result<Option<OnScreen>, accel::Error> {
        let reader = match &mut self.state.reader {
            Some(reader) => reader,
            None if !self.state.backoff.is_due(self.clock.now()) => return Ok(None),
            None => {
                let reader = Reader::open((self.open)()?.as_ref())?;
                self.state.reader.insert(reader)
            }
        };
        let mut screen = OnScreen::default();
        for ((shows, area), cut) in areas.iter().zip(cuts) {
            let lines = reader.read(cut, area.width)?;
            match shows {
                Shows::Name => screen.name.extend(lines),
                Shows::Id => screen.id.extend(lines),
            }
        }
        self.state.backoff.succeeded();
        Ok(Some(screen))
    }
}

fn is_same(before: &[Vec<u8>], now: &[Vec<u8>]) -> bool {
    let same =
        |(a, b): (&Vec<u8>, &Vec<u8>)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= CHANGED);
    before.len() == now.len() && before.iter().zip(now).all(same)
}
