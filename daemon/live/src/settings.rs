//! The live path, and what of an exam is recorded.

use std::path::PathBuf;

use dicom::check::Checker;
use serde::{Deserialize, Serialize};

use crate::screen::profile::{self, Profiles};
use crate::source::device::Device;

/// The live path: ultrasound video with an overlay.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Live {
    /// `off`, a video device's path, or `replay:FILE`: a YUV4MPEG2 video or a DICOM image. (`synthetic` in simulation builds.)
    pub device: String,
    /// `auto` (by the size of the screen), the name of a scanner profile, or a path to one.
    pub profile: String,
    /// An overlay older than this is not shown, ms from capture on.
    pub deadline_ms: f64,
    /// Threads of the model; 0 takes all cores.
    pub threads: usize,
    /// Folder of DICOM worklist items, or a CSV file; none when absent.
    pub worklist: Option<PathBuf>,
    /// An exam begins of itself when a signal appears.
    pub auto_start: bool,
    /// With `auto_start` an exam ends when the signal has been gone for so many seconds.
    pub auto_stop_secs: u64,
}

impl Live {
    pub fn is_on(&self) -> bool {
        self.device != "off"
    }
}

/// What of a live exam is recorded and sent.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Record {
    /// Off: an exam leaves nothing.
    pub enabled: bool,
    /// The last seconds that are kept whatever was found, while the exam runs.
    pub keep_secs: u64,
    /// Length of the clip around a finding or a mark, seconds.
    pub clip_secs: f64,
    /// Burned-in text that identifies the patient, as the scanner profile says where it is, is black in what is recorded
    /// and sent.
    pub mask_text: bool,
    /// Of the pictures, 50 to 100 (exact).
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
        }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self { enabled: true, keep_secs: 120, clip_secs: 4.0, mask_text: false, jpeg_quality: 90 }
    }
}

impl Live {
    /// Says what cannot be used, under `live.*`.
    pub fn check(&self, checker: &mut Checker) {
        if let Err(reason) = Device::parse(&self.device) {
            checker.refuse("live.device", reason.to_string());
        }
        // A path is looked at when the live path starts: the file may be on a disk that is mounted by then.
        if !profile::is_path(&self.profile)
            && let Err(reason) = Profiles::load(&self.profile)
        {
            checker.refuse("live.profile", reason.to_string());
        }
        checker.range("live.deadline_ms", self.deadline_ms, 10.0..=10_000.0, "ms");
        checker.range("live.threads", self.threads, 0..=64, "threads");
        // Whether it is there is looked at with each request: it may be on a disk of another machine.
        if self.worklist.as_ref().is_some_and(|path| !path.is_absolute()) {
            checker.refuse("live.worklist", "must be an absolute path, to a folder of worklist items or to a CSV file");
        }
        checker.range("live.auto_stop_secs", self.auto_stop_secs, 10..=86_400, "seconds");
    }
}

impl Record {
    /// Says what cannot be used, under `record.*`.
    pub fn check(&self, checker: &mut Checker) {
        checker.range("record.keep_secs", self.keep_secs, 5..=3600, "s");
        checker.range("record.clip_secs", self.clip_secs, 1.0..=60.0, "s");
        checker.range("record.jpeg_quality", self.jpeg_quality, 50..=100, "");
    }
}
