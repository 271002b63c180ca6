//! Validated, immutable settings. Every key has a default that works on a bench.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub device: Device,
    pub dicom: Dicom,
    pub spool: Spool,
    pub series: Series,
    pub analyze: Analyze,
    pub models: Models,
    pub accelerator: Accelerator,
    pub live: Live,
    pub record: Record,
    pub bus: Bus,
    pub console: Console,
    /// Where results go, by name.
    pub destination: BTreeMap<String, Destination>,
}

/// How the box names itself in results.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    pub station_name: String,
    pub institution: String,
    pub serial_number: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dicom {
    /// Port 0 takes any free one and prints it.
    pub listen: SocketAddr,
    /// Our AE title(s): a call to another one is refused. Empty accepts any.
    pub ae_titles: Vec<String>,
    /// Who may send. Empty accepts anyone.
    pub sender: Vec<Sender>,
    pub max_associations: usize,
    /// The largest PDU we offer to receive, bytes (4096 to 1 MiB).
    pub max_pdu: u32,
    /// Seconds for the peer's A-ASSOCIATE-RQ, and for a PDU that has begun.
    pub artim_secs: u64,
    /// Seconds an association may be silent between messages.
    pub idle_secs: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    pub ae_title: String,
    /// Any address when absent.
    pub address: Option<std::net::IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// Everything durable lives below: custody log, database, results.
    pub directory: PathBuf,
    /// Instances are refused (0xA700) when less than this many MiB would stay free.
    pub min_free_mib: u64,
    /// Start evicting delivered studies, oldest first, below this many MiB free.
    pub evict_below_mib: u64,
    /// Delivered studies older than this are evicted anyway. 0 keeps them until space is short.
    pub keep_days: u32,
    /// Size of one custody log segment, MiB.
    pub segment_mib: u64,
    /// Segments of zeros that are kept ready, so that none need be written while studies arrive.
    pub ready_segments: usize,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Series {
    /// A series is complete after this many seconds without a new instance.
    pub quiet_secs: f64,
    /// ... or this long after its association was released, when its geometry has no gap.
    pub release_grace_secs: f64,
    /// Decoded slices kept in memory while studies arrive, MiB.
    pub decode_ahead_mib: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Analyze {
    /// The model packages that come with the software, one directory each.
    pub packages: PathBuf,
    /// A job that failed this often is parked.
    pub max_attempts: u32,
    /// A job that was interrupted (crash, power cut) this often is parked.
    pub max_interruptions: u32,
    /// First wait before a failed job is tried again, seconds; doubles each time.
    pub retry_secs: f64,
    /// Unload models after this many idle seconds.
    pub unload_secs: u64,
    /// Reports the image quality of every CT series (noise, kernel, slices) in a structured report of its own. Off unless
    /// asked for: it sends one more object for each CT to every destination, which an archive should not find unannounced.
    pub quality: bool,
}

/// Model packages that are installed on this box.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// Where they, and what was found out about them, are kept; `models` below `spool.directory` when absent.
    pub directory: Option<PathBuf>,
    /// Directories of trusted keys: minisign public keys, `*.pub`. A directory may be absent.
    pub keys: Vec<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accelerator {
    /// `cpu`, `cuda` or `tensorrt`; falls back to `cpu` and says why. (`scripted` in simulation builds.)
    pub provider: String,
    /// libonnxruntime.so; also `SCANSIDE_ONNXRUNTIME`.
    pub library: PathBuf,
    /// 0 takes all cores.
    pub threads: usize,
}

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

impl Live {
    pub fn is_on(&self) -> bool {
        self.device != "off"
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bus {
    /// `system`, `session`, `none`, or a D-Bus address such as `unix:path=...`.
    pub address: String,
}

/// The live page.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Where it is served, `address:port`, or `off`. Port 0 takes any free one and the log says which.
    pub address: String,
    /// The first line of this file is what people at other machines log in with. Needed beyond loopback.
    pub token_file: Option<PathBuf>,
    /// Names that the page may be called by, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Of the pictures, 30 (small) to 100 (exact).
    pub jpeg_quality: u8,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// `host:port`.
    pub address: String,
    pub ae_title: String,
    /// AE title we call with.
    #[serde(default = "default_calling")]
    pub calling_ae_title: String,
    /// Seconds before the first retry; doubles up to `retry_max_secs`, for ever.
    #[serde(default = "default_retry")]
    pub retry_secs: f64,
    #[serde(default = "default_retry_max")]
    pub retry_max_secs: f64,
}

impl Settings {
    /// Where installed model packages are kept.
    pub fn models_directory(&self) -> PathBuf {
        self.models.directory.clone().unwrap_or_else(|| self.spool.directory.join("models"))
    }
}

impl Console {
    /// None when it is off.
    pub fn listen(&self) -> Option<SocketAddr> {
        self.address.parse().ok()
    }
}

fn default_calling() -> String {
    "SCANSIDE".into()
}
fn default_retry() -> f64 {
    5.0
}
fn default_retry_max() -> f64 {
    600.0
}

impl Default for Device {
    fn default() -> Self {
        Self { station_name: "SCANSIDE".into(), institution: String::new(), serial_number: "bench".into() }
    }
}
impl Default for Dicom {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 11112)),
            ae_titles: vec!["SCANSIDE".into()],
            sender: Vec::new(),
            max_associations: 32,
            max_pdu: 128 * 1024,
            artim_secs: 30,
            idle_secs: 3600,
        }
    }
}
impl Default for Spool {
    fn default() -> Self {
        Self {
            directory: "/var/lib/scanside".into(),
            min_free_mib: 2048,
            evict_below_mib: 10 * 1024,
            keep_days: 0,
            segment_mib: 128,
            ready_segments: 8,
        }
    }
}
impl Default for Series {
    fn default() -> Self {
        Self { quiet_secs: 10.0, release_grace_secs: 2.0, decode_ahead_mib: 1024 }
    }
}
impl Default for Analyze {
    fn default() -> Self {
        Self {
            packages: "/usr/share/scanside/packages".into(),
            max_attempts: 3,
            max_interruptions: 10,
            retry_secs: 5.0,
            unload_secs: 300,
            quality: false,
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
        Self { provider: "cpu".into(), library: "libonnxruntime.so".into(), threads: 0 }
    }
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
impl Default for Bus {
    fn default() -> Self {
        Self { address: "system".into() }
    }
}
impl Default for Console {
    fn default() -> Self {
        Self { address: "127.0.0.1:8484".into(), token_file: None, hosts: Vec::new(), jpeg_quality: 85 }
    }
}
