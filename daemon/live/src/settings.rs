//! Settings of the live path and of recording.

use std::path::PathBuf;

use dicom::check::Checker;
use serde::{Deserialize, Serialize};

use crate::name::NameCheck;
use crate::screen::profile::{self, ProfileError, Profiles};
use crate::source::device::Device;

/// The live path: ultrasound video with an overlay.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Live {
    /// `off`, a video device's path, or `replay:FILE`: a YUV4MPEG2 video or a DICOM image. (`synthetic` in simulation
    /// builds.)
    pub device: String,
    /// `auto` (by the size of the screen, for simulated devices only), the name of a scanner profile, or a path to one.
    pub profile: String,
    /// An overlay older than this is not shown; ms since the capture of its picture.
    pub deadline_ms: f64,
    /// Threads for the model; 0 means all cores.
    pub threads: usize,
    /// Folder of DICOM worklist items, or a CSV file; absent: no worklist.
    pub worklist: Option<PathBuf>,
    /// Begin an exam automatically when a video signal appears.
    pub auto_start: bool,
    /// With `auto_start`, end the exam when there has been no video signal for this many seconds.
    pub auto_stop_secs: u64,
    /// What is done when the scanner's screen shows another patient than the one of the exam.
    pub name_check: NameCheck,
}

impl Live {
    pub fn is_on(&self) -> bool {
        self.device != "off"
    }

    /// The profiles that count for the pictures of the device.
    ///
    /// # Errors
    /// When there is no profile of that name, or its file cannot be read.
    pub fn profiles(&self) -> Result<Profiles, ProfileError> {
        // A device that is not known delivers nothing.
        let simulated = matches!(Device::parse(&self.device), Ok(Some(device)) if device.is_simulated());
        Ok(Profiles::load(&self.profile)?.for_pictures(simulated))
    }
}

/// What of a live exam is recorded and sent.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// When false, nothing of an exam is kept or sent.
    pub enabled: bool,
    /// While the exam runs, this many seconds are always kept, whatever was found in them.
    pub keep_secs: u64,
    /// Length of the clip around a finding or a marked moment, seconds.
    pub clip_secs: f64,
    /// Black out burned-in text that identifies the patient in everything that is recorded and sent. The scanner
    /// profile says where the text is.
    pub mask_text: bool,
    /// JPEG quality of the recorded pictures, 50 to 100 (nearly lossless).
    pub jpeg_quality: u8,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            device: "off".into(),
            profile: "auto".into(),
            deadline_ms: 100.0,
            threads: 1,
            worklist: None,
            auto_start: false,
            auto_stop_secs: 300,
            name_check: NameCheck::Refuse,
        }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self { enabled: true, keep_secs: 120, clip_secs: 4.0, mask_text: false, jpeg_quality: 90 }
    }
}

impl Live {
    /// Reports values that cannot be used, under `live.*`.
    pub fn check(&self, checker: &mut Checker) {
        if let Err(reason) = Device::parse(&self.device) {
            checker.refuse("live.device", reason.to_string());
        }
        // A path is checked when the live path starts: its disk may not be mounted yet.
        if !profile::is_path(&self.profile)
            && let Err(reason) = Profiles::load(&self.profile)
        {
            checker.refuse("live.profile", reason.to_string());
        }
        checker.range("live.deadline_ms", self.deadline_ms, 10.0..=10_000.0, "ms");
        checker.range("live.threads", self.threads, 0..=64, "threads");
        // Whether the worklist exists is checked at each request: it may be on a network disk.
        if self.worklist.as_ref().is_some_and(|path| !path.is_absolute()) {
            checker.refuse("live.worklist", "must be an absolute path, to a folder of worklist items or to a CSV file");
        }
        checker.range("live.auto_stop_secs", self.auto_stop_secs, 10..=86_400, "seconds");
    }
}

impl Record {
    /// Reports values that cannot be used, under `record.*`.
    pub fn check(&self, checker: &mut Checker) {
        checker.range("record.keep_secs", self.keep_secs, 5..=3600, "s");
        checker.range("record.clip_secs", self.clip_secs, 1.0..=60.0, "s");
        checker.range("record.jpeg_quality", self.jpeg_quality, 50..=100, "");
    }
}
