//! What the doctor knows of the box at one moment. Every part may be missing: then its checks say nothing.

use std::path::PathBuf;

use hal::sensors::Readings;
use node::probe::Probe;
use node::send::Way;
use serde::Serialize;
use study::model::hosts::Look;

use super::asked::List;
use super::retained::Retained;
use super::text::Text;
use crate::{Caller, Delivery, Job, Live, Model, Quarantined, Sender, Status};

/// Whether the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bus {
    Answers,
    /// The bus works, and the daemon is not on it.
    #[default]
    NotThere,
    /// Who asks may not.
    Denied,
    NoBus(String),
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Facts {
    pub now_utc: String,
    pub bus: Bus,
    /// `None`: systemd does not answer here or does not know the unit.
    pub unit: Option<Unit>,
    pub config: Config,
    /// Whether the DICOM port can be had; asked only when the daemon is not there.
    pub port: Option<Port>,
    /// Ports from this one on may be opened by everybody; asked with the port.
    pub ports_from: Option<u16>,
    pub storage: Option<Storage>,
    pub clock: Clock,
    pub accelerator: Option<Accelerator>,
    /// `None`: nothing is read (`sensors.source = "off"`).
    pub heat: Option<Readings>,
    pub memory: Option<Memory>,
    pub capture: Option<Capture>,
    pub page: Option<Page>,
    pub status: Option<Status>,
    pub ae_titles: Vec<String>,
    /// AE title, and address or nothing.
    pub senders: Vec<(String, String)>,
    pub callers: Vec<Caller>,
    pub sent: Vec<Sender>,
    pub destinations: Vec<Destination>,
    /// `None`: none is configured.
    pub worklist_server: Option<Destination>,
    /// Which is told of exams; `None`: none is configured.
    pub step_manager: Option<Destination>,
    /// Which is asked for earlier studies; `None`: none is configured.
    pub prior_archive: Option<Destination>,
    /// Whose tasks are performed; `None`: none is configured.
    pub task_manager: Option<Destination>,
    /// Each machine that may run networks, with each active package.
    pub inference_hosts: Vec<Look>,
    /// Those that are not delivered.
    pub deliveries: Vec<Delivery>,
    /// What waits at each destination.
    pub queues: Vec<crate::Destination>,
    pub parked_jobs: Vec<Job>,
    pub models: Vec<Model>,
    pub set_aside: Vec<Quarantined>,
    /// When the last studies began to arrive, UTC.
    pub studies_utc: Vec<String>,
    pub live: Option<Live>,
    pub recalls: Option<Recalls>,
    /// Why the recalls could not be read.
    pub unread_recalls: Option<String>,
    /// Lists that the daemon did not give, which are empty here.
    pub unanswered: Vec<List>,
    pub retention: Option<Retained>,
    /// Files with certificates that the configuration names. Judged only by a trusted clock.
    pub certificates: Vec<Certificate>,
    /// Why others could not be read, with the file's name.
    pub unread_certificates: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Unit {
    /// `active`, `activating`, `failed`, `inactive`.
    pub active: String,
    /// `running`, `auto-restart`, `dead`.
    pub sub: String,
    /// `success`, `exit-code`, `oom-kill`, `watchdog`.
    pub result: String,
    /// Exit code of the main process.
    pub exit_status: i64,
    /// `enabled`, `disabled`, `masked`.
    pub enabled: String,
    pub restarts: u64,
    /// `ProtectSystem=strict`: it may write only to its state directory and to these.
    pub protects_system: bool,
    pub writable: Vec<PathBuf>,
    /// The last error line of the log, without what may identify anyone.
    pub last_error: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Config {
    pub problems: Vec<Problem>,
    /// A file changed after the daemon started.
    pub newer_than_daemon: Option<PathBuf>,
    pub live_device: String,
    pub provider: String,
    pub min_free_bytes: u64,
    pub listen: String,
    /// The site trusts its clock, whatever sets it (`dicom.tls.judge_dates = "always"`).
    pub judges_dates: bool,
    /// The site has said that the box is to count days in UTC (`device.utc_is_right`).
    pub utc_is_right: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Problem {
    /// `FILE:LINE`, as far as known.
    pub place: String,
    pub key: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Port {
    Free,
    /// Who has it, if that can be seen.
    Taken(Option<String>),
    /// Below 1024 without the right to it.
    NotAllowed,
    NoSuchAddress,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Storage {
    pub directory: PathBuf,
    pub exists: bool,
    /// `None`: it cannot be seen by who asks.
    pub owner: Option<String>,
    pub read_only: bool,
    pub free_bytes: u64,
    pub total_bytes: u64,
    pub free_inodes: Option<u64>,
    /// Life that the medium says it has used up, percent.
    pub worn_percent: Option<u8>,
    /// Errors that the kernel counted for the file system.
    pub errors: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Clock {
    /// Whether a time server sets it. `None`: nothing says.
    pub synchronised: Option<bool>,
    /// Whether the board has a clock that runs without power.
    pub has_rtc: Option<bool>,
    /// When the row was written that was written last, by the clock of then.
    pub newest_row_utc: Option<String>,
    /// When the program was built or installed: no right clock is before it.
    pub program_utc: Option<String>,
    /// Name of the machine's time zone (`Asia/Shanghai`). `None`: it cannot be told.
    pub zone: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Accelerator {
    /// As configured.
    pub wanted: String,
    /// What would be used, or why nothing could be. `None`: not tried, since the daemon says what it uses.
    pub opened: Option<Opened>,
    pub nvidia_hardware: bool,
    pub nvidia_driver: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Opened {
    As { provider: String, fallback: Option<String> },
    Not(String),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Memory {
    pub used_bytes: u64,
    /// What the daemon may use (MemoryMax, or that of the machine).
    pub limit_bytes: u64,
    /// Processes of the unit that the kernel has killed.
    pub killed: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Capture {
    pub device: String,
    pub exists: bool,
    /// Other video devices that are there.
    pub others: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Page {
    pub address: String,
    /// Why it does not answer.
    pub failure: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Destination {
    pub name: String,
    #[serde(skip)]
    pub way: Way,
    /// `None`: not tested.
    pub probe: Option<Probe>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Certificate {
    /// Who needs it.
    pub users: Vec<Text>,
    pub file: PathBuf,
    /// CAs that are trusted; otherwise the box's own certificate.
    pub is_ca: bool,
    /// When the first of the file ends.
    pub expires_utc: String,
    /// When nothing of the file holds any more: the same, but for several CAs in one file.
    pub all_expire_utc: String,
}

/// How many are to come again; nobody is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Recalls {
    /// Neither done nor cancelled.
    pub open: u32,
    pub overdue: u32,
    /// By which the oldest of those is overdue.
    pub longest_days: u32,
    /// Of exams that are of another patient now.
    pub moved: u32,
}
