//! Turns `live.device` of the configuration into a supervised capture device.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hal::Capture;
use hal::capture::guard::{Policy, Supervised};
use hal::capture::replay::{Recording, Replay, Y4m};
#[cfg(feature = "sim")]
use hal::capture::synthetic::Synthetic;
use hal::capture::v4l2::V4l2;
use hal::capture::{Config, Error, PixelFormat, Rate};
use hal::clock::Clock;

use crate::cast;
use crate::cine::{self, Cine};

/// Width and height that are requested when no profile is named, pixels; the device may deliver another size.
const SCREEN: [usize; 2] = [1280, 720];
/// Requested frame rate, pictures per second.
const RATE: u32 = 30;
/// Capture buffers: one that the page shows, one that it still encodes, one that the model reads, one that waits for
/// the model; the rest is for the driver.
const BUFFERS: u32 = 8;

/// Why `live.device` names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("replay: needs a file")]
    NoFile,
    #[error("{0:?} is not off, a device's path, or replay:FILE (.y4m, .dcm)")]
    Unknown(String),
}

/// As configured in `live.device`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A V4L2 device file.
    Video(PathBuf),
    /// A recording, repeated for ever at its own frame times.
    Replay(PathBuf),
    /// Test bars; simulation builds only.
    #[cfg(feature = "sim")]
    Synthetic,
}

impl Device {
    /// `None` for `off`.
    ///
    /// # Errors
    /// When it is nothing that is known.
    pub fn parse(text: &str) -> Result<Option<Self>, DeviceError> {
        if let Some(file) = text.strip_prefix("replay:") {
            return if file.is_empty() { Err(DeviceError::NoFile) } else { Ok(Some(Self::Replay(file.into()))) };
        }
        match text {
            "off" => Ok(None),
            #[cfg(feature = "sim")]
            "synthetic" => Ok(Some(Self::Synthetic)),
            path if path.starts_with('/') => Ok(Some(Self::Video(path.into()))),
            other => Err(DeviceError::Unknown(other.to_owned())),
        }
    }

    /// Whether its pictures do not come from a scanner: a recording that is played, or test bars.
    pub fn is_simulated(&self) -> bool {
        !matches!(self, Self::Video(_))
    }

    /// # Errors
    /// When there is no such device, or it is not a capture device.
    fn open(&self, clock: &Arc<dyn Clock>) -> Result<Box<dyn Capture>, Error> {
        Ok(match self {
            Self::Video(path) => Box::new(V4l2::open(path)?),
            Self::Replay(path) => Box::new(Replay::new(recording(path)?, clock.clone()).repeating()),
            #[cfg(feature = "sim")]
            Self::Synthetic => Box::new(Synthetic::bars(clock.clone())),
        })
    }

    /// The device under supervision, which reopens it after each fault. `screen`: width and height of the profile,
    /// pixels.
    pub fn supervised(self, screen: Option<[usize; 2]>, clock: Arc<dyn Clock>) -> Supervised<Box<dyn Capture>> {
        let [width, height] = screen.unwrap_or(SCREEN).map(cast::pixels);
        let wanted = Config { buffers: BUFFERS, ..Config::new(PixelFormat::Yuyv, width, height, Rate::hertz(RATE)) };
        let opening = clock.clone();
        Supervised::new(move || self.open(&opening), wanted, Policy::default(), clock)
    }
}

/// Opens a recording: a DICOM image, recognised by its first bytes, or a YUV4MPEG2 video.
///
/// # Errors
/// `Kind::NotPresent` when it cannot be opened, `Kind::BadInput` when it is not a recording.
pub fn recording(path: &Path) -> Result<Box<dyn Recording>, Error> {
    let mut start = [0; 132];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    if read.is_ok() && cine::is_dicom(&start) {
        return Ok(Box::new(Cine::open(path)?));
    }
    Ok(Box::new(Y4m::open(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_a_device_or_a_sentence() {
        assert_eq!(Device::parse("off"), Ok(None));
        assert_eq!(Device::parse("replay:a b.y4m"), Ok(Some(Device::Replay("a b.y4m".into()))));
        assert_eq!(Device::parse("replay:clip.dcm"), Ok(Some(Device::Replay("clip.dcm".into()))));
        assert_eq!(Device::parse("/x/video0"), Ok(Some(Device::Video("/x/video0".into()))));
        for wrong in ["", "on", "video0", "replay:"] {
            assert!(Device::parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Device::parse("replay:"), Err(DeviceError::NoFile));
        assert_eq!(Device::parse("on"), Err(DeviceError::Unknown("on".into())));
    }
}
