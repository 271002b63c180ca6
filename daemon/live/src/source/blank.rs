//! Whether the device delivers pictures that show nothing: many grabbers send one colour when there is no signal. Pure.

use std::time::Duration;

use hal::capture::{Frame, convert};

/// A picture of one colour for so long counts as no signal.
const AFTER: Duration = Duration::from_secs(3);
/// How often a picture is looked at whole.
const EVERY: Duration = Duration::from_millis(500);
/// The same, while there is no signal, so that it comes back soon.
const EVERY_IN_THE_DARK: Duration = Duration::from_millis(100);
/// A picture whose grey levels differ by no more than this shows nothing. A screen that shows a word or a frame has more; the limit is chosen,
/// not measured on any grabber.
const SPREAD: u8 = 12;

#[derive(Debug, Default)]
pub struct Blank {
    grey: Vec<u8>,
    looked: Option<Duration>,
    /// Capture time of the first picture that showed nothing.
    since: Option<Duration>,
    lost: bool,
}

impl Blank {
    /// Whether pictures have shown nothing for some seconds, as far as was looked.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Looks at a picture, now and then.
    pub fn look(&mut self, frame: &Frame) -> bool {
        let (at, every) = (frame.timestamp, if self.lost { EVERY_IN_THE_DARK } else { EVERY });
        if self.looked.is_some_and(|looked| looked <= at && at - looked < every) {
            return self.lost;
        }
        self.looked = Some(at);
        // A picture that cannot be read says nothing of the signal.
        if convert::grey(frame, &mut self.grey).is_ok() {
            let since = self.since.filter(|since| *since <= at).unwrap_or(at);
            self.since = is_plain(&self.grey).then_some(since);
        }
        self.lost = self.since.is_some_and(|since| at.saturating_sub(since) >= AFTER);
        self.lost
    }
}

fn is_plain(grey: &[u8]) -> bool {
    let (low, high) = grey.iter().fold((u8::MAX, 0), |(low, high), level| (low.min(*level), high.max(*level)));
    high.saturating_sub(low) <= SPREAD
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hal::capture::frame::Shape;
    use hal::capture::{Colour, PixelFormat};

    use super::*;

    fn at(ms: u64, dot: u8) -> Frame {
        let mut bytes = vec![40; 64 * 48];
        bytes[1000] = dot;
        let shape = Shape::tight(PixelFormat::Grey, 64, 48, Colour::default());
        Frame::new(shape, 0, Duration::from_millis(ms), Arc::new(bytes))
    }

    #[test]
    fn one_colour_for_some_seconds_is_no_signal_and_any_word_on_the_screen_is_one() {
        let mut blank = Blank::default();
        assert!(!(0..60).any(|i| blank.look(&at(i * 100, 255))), "one bright pixel is enough");
        assert!(!(60..90).any(|i| blank.look(&at(i * 100, 44))), "not yet");
        assert!((90..100).any(|i| blank.look(&at(i * 100, 44))) && blank.is_lost());
        assert!(!blank.look(&at(10_100, 255)), "it is back with the next look");
        assert!(!blank.look(&at(10_600, 44)) && !blank.look(&at(0, 44)), "a clock that begins anew");
    }
}
