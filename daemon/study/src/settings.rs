//! Settings of the study path: when a series is complete, and how it is analysed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dicom::check::Checker;
use hal::accel::Provider;
use live::settings::{Live, Record};
use models::task::mg_breast::withheld::Marking;
use node::inference::InferenceHost;
use node::manager::settings::StepManager;
use node::retrieve::settings::PriorArchive;
use node::settings::Destination;
use report::settings::Device;
use serde::{Deserialize, Serialize};

/// All settings that the study path uses; the crate `config` builds them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    pub device: Device,
    pub spool: custody::settings::Spool,
    pub series: Series,
    pub study: Study,
    pub analyze: Analyze,
    pub models: Models,
    pub accelerator: Accelerator,
    pub live: Live,
    pub record: Record,
    pub mpps: StepManager,
    pub prior: PriorArchive,
    /// Destinations of results, by name.
    pub destination: BTreeMap<String, Destination>,
    /// Machines that may run the networks of studies, by name.
    pub inference_host: BTreeMap<String, InferenceHost>,
}

impl Settings {
    /// Where installed model packages are kept.
    pub fn models_directory(&self) -> PathBuf {
        self.models.directory.clone().unwrap_or_else(|| self.spool.directory.join("models"))
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Series {
    /// A series is complete after this many seconds without a new instance.
    pub quiet_secs: f64,
    /// A series without a gap is complete this many seconds after its association was released.
    pub release_grace_secs: f64,
    /// Memory for slices that are decoded while their series arrives, MiB.
    pub decode_ahead_mib: u64,
}

/// When a study is closed, for tasks that look at all of it.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Study {
    /// A study is closed after this many seconds in which nothing of it came.
    pub quiet_secs: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Analyze {
    /// The model packages that come with the software, one directory each.
    pub packages: PathBuf,
    /// A job is parked after this many failures.
    pub max_attempts: u32,
    /// A job is parked after this many interruptions (crash, power cut).
    pub max_interruptions: u32,
    /// Seconds before a failed job is tried again; doubles after each failure.
    pub retry_secs: f64,
    /// Memory for decoding and analysis, MiB, `series.decode_ahead_mib` included. A series that needs more is refused by its
    /// headers.
    pub memory_mib: u64,
    /// Models are unloaded after this many idle seconds.
    pub unload_secs: u64,
    /// Which CT series of a study are read: `best` reads one reconstruction of a scan for every finding that it can give, and
    /// another only for findings that the first cannot; `all` reads every series.
    pub series: ReadSeries,
    /// Reports the image quality of every CT series (noise, kernel, slices) in a separate structured report. Off by
    /// default, because it sends an additional object for each CT to every destination.
    pub quality: bool,
    /// Which ultrasound series are read for lesions of the breast: those that say breast (`breast`), every one (`all`), or
    /// none (`off`).
    pub us_breast: ReadUltrasound,
    /// Checks each mammography for its four standard views and reports it in a structured report of its own. Off unless
    /// asked for, as `quality` is.
    pub mammography_views: bool,
    /// Reads the pictures of mammograms, too: outline, muscle, nipple, percent density. Includes `mammography_views`.
    pub mg_breast: bool,
    /// Lets a network mark suspicious places in the pictures of a mammography: `off`, in `phantoms` (from which it learnt), or in `all`
    /// pictures. It was of no use on real films; see decision 0027. Includes `mg_breast`.
    pub mg_marks: Marking,
}

impl Analyze {
    /// Are the pictures of mammograms read, and not only their headers?
    pub fn reads_mammograms(&self) -> bool {
        self.mg_breast || self.mg_marks != Marking::Off
    }
}

/// See [`Analyze::series`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadSeries {
    Best,
    #[default]
    All,
}

/// See [`Analyze::us_breast`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadUltrasound {
    #[default]
    Breast,
    All,
    Off,
}

/// Settings of model packages that are installed on this box.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Directory of the packages and of their recorded checks. Absent: `models` below `spool.directory`.
    pub directory: Option<PathBuf>,
    /// Directories of trusted keys: minisign public keys, `*.pub`. A directory may be absent.
    pub keys: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accelerator {
    /// `cpu`, `cuda`, `tensorrt` (itself) or `onnxruntime-tensorrt` (within ONNX Runtime); `scripted` in simulation builds. What is
    /// not available is replaced, in the order `tensorrt`, `onnxruntime-tensorrt`, `cuda`, `cpu`, and the reason is logged.
    pub provider: String,
    /// Path of libonnxruntime.so; the environment variable `SCANSIDE_ONNXRUNTIME` overrides it.
    pub library: PathBuf,
    /// Folder of TensorRT's libraries; empty for the system's library folders. The environment variable `SCANSIDE_TENSORRT`
    /// overrides it.
    pub tensorrt: PathBuf,
    /// Number of threads; 0 uses all cores.
    pub threads: usize,
}

impl Default for Series {
    fn default() -> Self {
        Self { quiet_secs: 10.0, release_grace_secs: 2.0, decode_ahead_mib: 1024 }
    }
}

impl Default for Study {
    fn default() -> Self {
        Self { quiet_secs: 60.0 }
    }
}

impl Default for Analyze {
    fn default() -> Self {
        Self {
            packages: "/usr/share/scanside/packages".into(),
            max_attempts: 3,
            max_interruptions: 2,
            retry_secs: 5.0,
            memory_mib: 4096,
            unload_secs: 300,
            series: ReadSeries::default(),
            quality: false,
            us_breast: ReadUltrasound::Breast,
            mammography_views: false,
            mg_breast: false,
            mg_marks: Marking::Off,
        }
    }
}

impl Default for Models {
    fn default() -> Self {
        Self { directory: None, keys: vec!["/usr/lib/scanside/keys".into(), "/etc/scanside/keys".into()] }
    }
}

impl Default for Accelerator {
    fn default() -> Self {
        Self {
            provider: Provider::Cpu.name().into(),
            library: "libonnxruntime.so".into(),
            tensorrt: PathBuf::new(),
            threads: 0,
        }
    }
}

impl Series {
    /// Reports each invalid value under its key, `series.*`.
    pub fn check(&self, checker: &mut Checker) {
        checker.range("series.quiet_secs", self.quiet_secs, 0.01..=3600.0, "seconds");
        checker.range("series.release_grace_secs", self.release_grace_secs, 0.0..=600.0, "seconds");
    }
}

impl Study {
    /// Says what cannot be used, under `study.*`.
    pub fn check(&self, checker: &mut Checker) {
        checker.range("study.quiet_secs", self.quiet_secs, 0.01..=86_400.0, "seconds");
    }
}

impl Analyze {
    /// Reports each invalid value under its key, `analyze.*`.
    pub fn check(&self, checker: &mut Checker) {
        checker.range("analyze.max_attempts", self.max_attempts, 1..=100, "attempts");
        checker.range("analyze.max_interruptions", self.max_interruptions, 1..=10_000, "interruptions");
        checker.range("analyze.memory_mib", self.memory_mib, 64..=1 << 20, "MiB");
        checker.range("analyze.retry_secs", self.retry_secs, 0.0..=86_400.0, "seconds");
    }
}

impl Accelerator {
    /// The provider that runs the networks; `None` for a name that this build does not know.
    pub fn provider(&self) -> Option<Provider> {
        Provider::parse(&self.provider).ok()
    }

    /// Reports each invalid value under its key, `accelerator.*`.
    pub fn check(&self, checker: &mut Checker) {
        let names: Vec<&str> = Provider::KNOWN.iter().map(|known| known.name()).collect();
        if !names.contains(&self.provider.as_str()) {
            let known = names.join(", ");
            checker.refuse("accelerator.provider", format!("{:?} is not known; one of {known}", self.provider));
        }
        checker.range("accelerator.threads", self.threads, 0..=1024, "threads");
    }
}
