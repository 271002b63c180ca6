//! Negotiation: what is asked for becomes valid as it is, valid with changes, or refused. Only that can start.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use super::frame::PixelFormat;

/// The longest side that is asked of a device or believed of a file, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Buffers of one stream: fewer than two cannot be filled and read at once; the kernel gives no more than 32.
pub const BUFFERS: std::ops::RangeInclusive<u32> = 2..=32;

/// Frames per second as the fraction `frames / seconds`, for example 30000/1001.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    frames: NonZeroU32,
    seconds: NonZeroU32,
}

impl Rate {
    /// `None` when either is zero.
    pub fn new(frames: u32, seconds: u32) -> Option<Self> {
        Some(Self { frames: NonZeroU32::new(frames)?, seconds: NonZeroU32::new(seconds)? })
    }

    /// Whole frames per second; zero is taken as one.
    pub fn hertz(frames: u32) -> Self {
        Self { frames: NonZeroU32::new(frames).unwrap_or(NonZeroU32::MIN), seconds: NonZeroU32::MIN }
    }

    pub fn frames(self) -> u32 {
        self.frames.get()
    }

    pub fn seconds(self) -> u32 {
        self.seconds.get()
    }

    pub fn per_second(self) -> f64 {
        f64::from(self.frames.get()) / f64::from(self.seconds.get())
    }

    /// When frame `index` is due, counted from frame 0; exact to the nanosecond, however long it runs.
    pub fn due(self, index: u64) -> Duration {
        let nanos = u128::from(index) * u128::from(self.seconds.get()) * 1_000_000_000 / u128::from(self.frames.get());
        // 2^64 ns are 584 years: the end of every stream.
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Time from one frame to the next.
    pub fn period(self) -> Duration {
        self.due(1)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds.get() {
            1 => write!(f, "{} frames/s", self.frames),
            seconds => write!(f, "{}/{seconds} frames/s", self.frames),
        }
    }
}

/// What to capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub format: PixelFormat,
    /// Pixels.
    pub width: u32,
    pub height: u32,
    pub rate: Rate,
    /// Frames that may be in flight or in the reader's hands at once.
    pub buffers: u32,
}

impl Config {
    /// Four buffers, which is what most drivers want.
    pub fn new(format: PixelFormat, width: u32, height: u32, rate: Rate) -> Self {
        Self { format, width, height, rate, buffers: 4 }
    }

    /// What no device could do, in words.
    pub(crate) fn nonsense(&self) -> Option<String> {
        let side = |name: &str, value: u32| match value {
            0 => Some(format!("{name} is 0")),
            v if v > MAX_SIDE => Some(format!("{name} is {v} pixels, more than {MAX_SIDE}")),
            _ => None,
        };
        side("width", self.width)
            .or_else(|| side("height", self.height))
            .or_else(|| (self.buffers == 0).then(|| "no buffers are asked for".to_owned()))
    }

    /// Each difference to what was `wanted`, in words.
    pub(super) fn changes_from(&self, wanted: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let mut note = |what: &str, from: &dyn fmt::Display, to: &dyn fmt::Display| {
            changes.push(format!("{what} {to} instead of {from}"));
        };
        if self.format != wanted.format {
            note("format", &wanted.format, &self.format);
        }
        if (self.width, self.height) != (wanted.width, wanted.height) {
            let size = |c: &Self| format!("{}x{}", c.width, c.height);
            note("size", &size(wanted), &size(self));
        }
        if self.rate != wanted.rate {
            note("rate", &wanted.rate, &self.rate);
        }
        if self.buffers != wanted.buffers {
            note("buffers", &wanted.buffers, &self.buffers);
        }
        changes
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}x{} at {}", self.format, self.width, self.height, self.rate)
    }
}

/// A configuration that a device has agreed to. Only [`super::Capture::validate`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated(Config);

impl Validated {
    pub fn config(&self) -> &Config {
        &self.0
    }
}

/// A device's answer to a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validation {
    /// As it was asked.
    Valid(Validated),
    /// The nearest that the device can do, and each change in words.
    Adjusted(Validated, Vec<String>),
    /// Nothing near it is possible; why.
    Invalid(String),
}

impl Validation {
    /// What the device made of `wanted`.
    pub(crate) fn of(wanted: &Config, possible: Config) -> Self {
        let changes = possible.changes_from(wanted);
        if changes.is_empty() { Self::Valid(Validated(possible)) } else { Self::Adjusted(Validated(possible), changes) }
    }

    /// What can be started, whether changed or not.
    pub fn accepted(&self) -> Option<&Validated> {
        match self {
            Self::Valid(config) | Self::Adjusted(config, _) => Some(config),
            Self::Invalid(_) => None,
        }
    }
}

/// One thing that a device can deliver. Where `smallest == largest` the size is fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub format: PixelFormat,
    /// Width and height in pixels.
    pub smallest: (u32, u32),
    pub largest: (u32, u32),
    /// Empty when any rate will do, or when the device does not say.
    pub rates: Vec<Rate>,
}

impl Offer {
    /// One size, one rate.
    pub(crate) fn fixed(format: PixelFormat, width: u32, height: u32, rate: Rate) -> Self {
        Self { format, smallest: (width, height), largest: (width, height), rates: vec![rate] }
    }

    fn nearest(&self, wanted: &Config) -> Config {
        let rate = self.rates.iter().copied().min_by(|a, b| {
            let far = |r: &Rate| r.period().abs_diff(wanted.rate.period());
            far(a).cmp(&far(b))
        });
        Config {
            format: self.format,
            width: wanted.width.clamp(self.smallest.0, self.largest.0),
            height: wanted.height.clamp(self.smallest.1, self.largest.1),
            rate: rate.unwrap_or(wanted.rate),
            buffers: wanted.buffers.clamp(*BUFFERS.start(), *BUFFERS.end()),
        }
    }
}

/// Picks the offer nearest to what is `wanted`: the same format first, then the smallest change of size, then of rate.
pub(crate) fn negotiate(offers: &[Offer], wanted: &Config) -> Validation {
    if let Some(reason) = wanted.nonsense() {
        return Validation::Invalid(reason);
    }
    let distance = |c: &Config| {
        let size = c.width.abs_diff(wanted.width).saturating_add(c.height.abs_diff(wanted.height));
        (c.format != wanted.format, size, c.rate.period().abs_diff(wanted.rate.period()))
    };
    match offers.iter().map(|offer| offer.nearest(wanted)).min_by_key(distance) {
        Some(possible) => Validation::of(wanted, possible),
        None => Validation::Invalid("the device offers no format that can be read".into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(width: u32, height: u32, frames: u32, buffers: u32) -> Config {
        Config { buffers, ..Config::new(PixelFormat::Yuyv, width, height, Rate::hertz(frames)) }
    }

    fn offers() -> Vec<Offer> {
        vec![
            Offer::fixed(PixelFormat::Yuyv, 640, 480, Rate::hertz(30)),
            Offer::fixed(PixelFormat::Yuyv, 1280, 720, Rate::hertz(10)),
            Offer { format: PixelFormat::Grey, smallest: (16, 16), largest: (4096, 4096), rates: vec![] },
        ]
    }

    #[test]
    fn a_wish_is_met_adjusted_with_the_changes_named_or_refused() {
        assert!(matches!(negotiate(&offers(), &config(640, 480, 30, 4)), Validation::Valid(_)));
        let Validation::Adjusted(near, changes) = negotiate(&offers(), &config(1024, 768, 30, 64)) else {
            panic!("it must be adjusted")
        };
        assert_eq!((near.config().width, near.config().height), (1280, 720));
        assert_eq!(
            changes,
            [
                "size 1280x720 instead of 1024x768",
                "rate 10 frames/s instead of 30 frames/s",
                "buffers 32 instead of 64"
            ]
        );
        assert_eq!(negotiate(&offers(), &config(0, 480, 30, 4)), Validation::Invalid("width is 0".into()));
        assert!(matches!(negotiate(&[], &config(640, 480, 30, 4)), Validation::Invalid(_)));
    }

    #[test]
    fn frame_times_do_not_drift() {
        let ntsc = Rate::new(30_000, 1001).unwrap();
        assert_eq!(ntsc.due(30_000), Duration::from_secs(1001));
        assert_eq!(ntsc.period(), Duration::from_nanos(33_366_666));
        assert!(Rate::new(0, 1).is_none() && Rate::new(1, 0).is_none());
        assert_eq!(ntsc.due(u64::MAX), Duration::from_nanos(u64::MAX), "no overflow");
    }

    proptest! {
        #[test]
        fn what_was_validated_is_valid(
            width: u32, height: u32, frames in 1..1000u32, buffers: u32, which in proptest::sample::select(vec![0, 1, 2, 3])
        ) {
            let offers = &offers()[..which];
            if let Some(accepted) = negotiate(offers, &config(width, height, frames, buffers)).accepted() {
                prop_assert_eq!(negotiate(offers, accepted.config()), Validation::Valid(accepted.clone()));
            }
        }
    }
}
