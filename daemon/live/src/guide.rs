//! Scan guidance: judges contact, gain, depth, focus and speed of the live pictures by numbers (`models::task::us_breast::scan`) and tells the
//! desk, which counts what of the breast was looked at. On a thread of its own that runs after all others and rests three times as long as
//! it works: pictures and overlay wait for nothing, and a picture that comes meanwhile is left out.

mod gate;
mod sweep;
mod steady;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use hal::capture::{self, convert};
use hal::clock::{Clock, System};
use models::task::us_breast::scan::contact::{self, Contact};
use models::task::us_breast::scan::coverage::Quality;
use models::task::us_breast::scan::extent::Extent;
use models::task::us_breast::scan::speed::{ASSUMED_ELEVATION_MM, Speed};
use models::task::us_breast::scan::{Columns, Scan, Unjudged, depth, focus, gain};

use self::gate::Gate;
use self::steady::Steady;
use self::sweep::Sweep;
use crate::desk::Desk;
use crate::guidance::{self as words, Item, Judged};
use crate::newest::Newest;
use crate::screen::profile::{Area, Profile, Profiles};
use crate::screen::scale;
use crate::view::{Overlay, Picture};

/// How often contact, gain, depth and focus are judged.
const JUDGED_EVERY: Duration = Duration::from_millis(200);
/// Between two pictures that are further apart nobody knows what was looked at.
const APART: Duration = Duration::from_millis(500);
/// It rests so many times as long as it works.
const REST: u32 = 3;

#[derive(Debug)]
pub struct Guide {
    pub desk: Arc<Desk>,
    pub newest: Newest<Arc<Picture>>,
    pub profiles: Profiles,
    pub state: Watching,
}

/// What is kept from picture to picture of one screen.
#[derive(Debug, Default)]
pub struct Watching {
    size: [usize; 2],
    exam: u64,
    gate: Gate,
    extent: Extent,
    sweep: Sweep,
    grey: Vec<u8>,
    ticks: Vec<u8>,
    /// Capture time of the last picture, and of the last that was judged.
    last: Option<Duration>,
    judged: Option<Duration>,
    contact: Option<Result<Contact, Unjudged>>,
    steady: Words,
    items: Vec<Item>,
}

/// The words that are shown: each changes only when another one has stayed for a while.
#[derive(Debug, Default)]
struct Words {
    contact: Steady<contact::Word>,
    gain: Steady<gain::Word>,
    depth: Steady<depth::Word>,
    focus: Steady<focus::Word>,
    speed: Steady<words::Pace>,
}

impl Guide {
    /// Judges pictures until the slot that they come from is closed.
    pub fn run(&mut self) {
        while let Some(picture) = self.newest.take() {
            // By the time that really passes, not that of the pictures: it is about its share of the processor.
            let begun = System.now();
            // A fault of the guidance is no fault of the pictures.
            let looked = catch_unwind(AssertUnwindSafe(|| self.see(picture)));
            if looked.is_err() {
                tracing::error!("scan guidance crashed; it begins anew");
                self.state = Watching::default();
            }
            System.sleep(System.now().saturating_sub(begun) * REST);
        }
    }

    /// Judges one picture; the desk is told.
    pub fn see(&mut self, picture: Arc<Picture>) {
        let exam = picture.exam;
        let Ok(profile) = self.profiles.choose(picture.size()) else {
            return self.desk.guided(self.state.nothing(Unjudged::NoProfile, picture.captured), exam);
        };
        let cut = self.state.take(&picture, profile);
        // Its buffer goes back to the driver.
        drop(picture);
        match cut {
            Ok(cut) => self.desk.guided(self.state.look(cut, profile, &self.desk.shown()), exam),
            Err(error) => tracing::debug!(%error, "scan guidance cannot read a picture"),
        }
    }
}

/// What is needed of a picture, copied.
#[derive(Debug)]
pub struct Cut {
    /// The sector.
    grey: Vec<u8>,
    mm_per_pixel: Option<f32>,
    /// Why it is not judged.
    why: Option<Unjudged>,
    captured: Duration,
}

impl Watching {
    /// # Errors
    /// When the bytes of the picture do not hold together.
    pub fn take(&mut self, picture: &Picture, profile: &Profile) -> Result<Cut, capture::Error> {
        if (self.size, self.exam) != (picture.size(), picture.exam) {
            *self = Self { size: picture.size(), exam: picture.exam, ..Self::default() };
        }
        let Area { x, y, width, height } = profile.sector;
        let mut grey = std::mem::take(&mut self.grey);
        convert::grey_part(&picture.frame, convert::Part { x, y, width, height }, &mut grey)?;
        let mm_per_pixel = scale::read(profile, &picture.frame, &mut self.ticks)?;
        let why = self.gate.pass(&picture.frame, profile.sector, &grey, picture.captured)?;
        Ok(Cut { grey, mm_per_pixel, why, captured: picture.captured })
    }

    pub fn look(&mut self, cut: Cut, profile: &Profile, overlay: &Overlay) -> Judged {
        let Cut { grey, mm_per_pixel, why, captured } = cut;
        let scan = Scan { levels: &grey, width: profile.sector.width, mm_per_pixel };
        let mut judged = match why {
            Some(why) => self.nothing(why, captured),
            None => self.judge(&scan, captured, profile, overlay),
        };
        // It is perhaps frozen, which is known after a second: nothing of that second was looked at.
        if self.gate.stands_still(captured) {
            judged.moment = None;
        }
        self.grey = grey;
        judged
    }

    /// What was told last.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    fn judge(&mut self, scan: &Scan<'_>, at: Duration, profile: &Profile, overlay: &Overlay) -> Judged {
        let is_due = self.judged.is_none_or(|judged| at < judged || at - judged >= JUDGED_EVERY);
        if is_due {
            self.extent.learn(scan);
        }
        let columns = match self.extent.columns() {
            Ok(columns) => columns,
            Err(why) => return self.nothing(why, at),
        };
        let speed = self.sweep.see(scan, columns, at, profile.elevation_mm.unwrap_or(ASSUMED_ELEVATION_MM));
        if is_due {
            self.judged = Some(at);
            self.words(scan, columns, profile, overlay, speed, at);
        }
        let secs = self.seconds(at);
        let moment = secs.map(|secs| (secs, self.quality(speed)));
        Judged { items: self.items.clone(), moment }
    }

    fn words(
        &mut self,
        scan: &Scan<'_>,
        columns: Columns,
        profile: &Profile,
        overlay: &Overlay,
        speed: Result<Speed, Unjudged>,
        at: Duration,
    ) {
        let contact = contact::judge(scan, columns);
        let gain = gain::judge(scan, columns, &contact).ok_or(Unjudged::NoContact);
        let [lowest, middle] = lesion(overlay, profile.sector);
        let depth = depth::judge(scan, columns, &contact, lowest).ok_or(Unjudged::NoContact);
        let focus = match middle {
            None => Err(Unjudged::NoLesion),
            Some(row) => focus::judge(scan, columns, &contact, row).ok_or(Unjudged::NoSpeckle),
        };
        let pace = speed.map(|speed| words::Pace::of(&speed));
        let steady = &mut self.steady;
        self.items = vec![
            words::contact(steady.contact.see(Ok(contact.word), at), Some(&contact)),
            words::gain(steady.gain.see(gain.map(|gain| gain.word), at), gain.ok().as_ref()),
            words::depth(steady.depth.see(depth.map(|depth| depth.word), at), depth.ok().as_ref()),
            words::focus(
                steady.focus.see(focus.as_ref().map(|focus| focus.word).map_err(|why| *why), at),
                focus.as_ref().ok(),
            ),
            words::speed(steady.speed.see(pace, at), speed.ok().as_ref(), profile.elevation_mm.is_none()),
        ];
        self.contact = Some(Ok(contact));
    }

    /// Nothing is judged, and why.
    fn nothing(&mut self, why: Unjudged, at: Duration) -> Judged {
        (self.steady, self.judged, self.contact) = (Words::default(), None, Some(Err(why)));
        self.sweep = Sweep::default();
        self.items = words::none(why);
        let secs = self.seconds(at);
        // In a picture that stands still, or shows nothing, nobody looks at anything.
        let is_looked = !matches!(why, Unjudged::Frozen | Unjudged::Dark | Unjudged::NoPicture);
        Judged { items: self.items.clone(), moment: secs.filter(|_| is_looked).map(|secs| (secs, Quality::NotJudged)) }
    }

    /// Since the last picture.
    fn seconds(&mut self, at: Duration) -> Option<f64> {
        let last = self.last.replace(at)?;
        at.checked_sub(last).filter(|span| *span <= APART).map(|span| span.as_secs_f64())
    }

    fn quality(&self, speed: Result<Speed, Unjudged>) -> Quality {
        match (&self.contact, speed) {
            (Some(Ok(contact)), _) if contact.word != contact::Word::Good => Quality::PoorContact,
            (Some(Ok(_)), Ok(speed)) if speed.is_too_fast() => Quality::TooFast,
            (Some(Ok(_)), Ok(speed)) => Quality::Good(f64::from(speed.mm_s())),
            _ => Quality::NotJudged,
        }
    }
}

/// Rows of the sector: the lowest of any lesion, and the middle of the surest one.
fn lesion(overlay: &Overlay, sector: Area) -> [Option<f32>; 2] {
    let row = |y: f32| y - sector.y as f32;
    let lowest = overlay.lesions.iter().map(|lesion| row(lesion.bounds[3])).reduce(f32::max);
    let surest = overlay.lesions.iter().max_by(|a, b| a.confidence.total_cmp(&b.confidence));
    [lowest, surest.map(|lesion| row((lesion.bounds[1] + lesion.bounds[3]) / 2.0))]
}

#[cfg(test)]
mod tests;
