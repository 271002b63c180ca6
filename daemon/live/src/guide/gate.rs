//! What keeps a picture from being judged at all: it stands still, or colours are painted over it.

use std::time::Duration;

use hal::capture::{self, Frame, PixelFormat, convert};
use models::task::us_breast::Sector;
use models::task::us_breast::colour::{self, Colours};
use models::task::us_breast::scan::Unjudged;

use crate::infer::still::Stillness;
use crate::screen::profile::Area;

/// Colours are looked for this often.
const COLOURS_EVERY: Duration = Duration::from_secs(1);
/// Five pictures a second are no frozen one.
const SLOWEST: Duration = Duration::from_millis(200);
/// One pixel in so many is compared to see whether the picture stands still.
const EVERY: usize = 7;

#[derive(Debug, Default)]
pub(super) struct Gate {
    stillness: Stillness,
    sample: Vec<f32>,
    rgb: Vec<u8>,
    /// When colours were looked for, and whether there were any.
    looked: Option<(Duration, bool)>,
}

impl Gate {
    /// Why the picture is not judged; `grey`: its sector.
    ///
    /// # Errors
    /// When the bytes of the picture do not hold together.
    pub(super) fn pass(
        &mut self,
        frame: &Frame,
        sector: Area,
        grey: &[u8],
        at: Duration,
    ) -> Result<Option<Unjudged>, capture::Error> {
        self.sample.clear();
        self.sample.extend(grey.iter().step_by(EVERY).map(|level| f32::from(*level) / 255.0));
        if self.stillness.observe(&self.sample, at) {
            return Ok(Some(Unjudged::Frozen));
        }
        let is_due = self.looked.is_none_or(|(looked, _)| at < looked || at - looked >= COLOURS_EVERY);
        if is_due {
            self.looked = Some((at, self.has_colours(frame, sector)?));
        }
        Ok(self.looked.filter(|(_, painted)| *painted).map(|_| Unjudged::Colours))
    }

    /// Whether the picture that passed last has not changed for longer than a slow scanner needs for the next.
    pub(super) fn stands_still(&self, at: Duration) -> bool {
        self.stillness.still_for(at) > SLOWEST
    }

    fn has_colours(&mut self, frame: &Frame, sector: Area) -> Result<bool, capture::Error> {
        if frame.shape.format == PixelFormat::Grey {
            return Ok(false);
        }
        convert::rgb(frame, &mut self.rgb)?;
        let Area { x, y, width, height } = sector;
        let colours = colour::judge(&self.rgb, frame.shape.width as usize, Sector { x, y, width, height });
        Ok(matches!(colours, Colours::Painted { .. }))
    }
}
