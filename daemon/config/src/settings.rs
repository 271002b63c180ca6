//! All settings, composed of those of each part. Validated, immutable; every key has a default that works on a bench.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use custody::settings::Spool;
use dicom::check::Checker;
use hal::indicator;
use hal::sensors::{Source, SourceError};
use live::settings::{Live, Record};
use live::source::device::Device as Video;
use node::availability::settings::Receiver;
use node::certificates;
use node::inference::InferenceHost;
use node::inference::settings::InferenceService;
use node::manager::settings::StepManager;
use node::retrieve::settings::PriorArchive;
use node::settings::{Destination, Dicom};
use node::tls::expiry::Configured;
use node::tls::settings::check_files;
use node::ups::settings::TaskManager;
use node::worklist::settings::WorklistServer;
use report::settings::Device;
use serde::{Deserialize, Serialize};
use study::settings::{Accelerator, Analyze, Models, Series, Study};

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub device: Device,
    pub dicom: Dicom,
    pub spool: Spool,
    pub series: Series,
    pub study: Study,
    pub analyze: Analyze,
    pub models: Models,
    pub accelerator: Accelerator,
    pub live: Live,
    pub worklist: WorklistServer,
    pub mpps: StepManager,
    pub prior: PriorArchive,
    pub ups: TaskManager,
    /// Who is told that results are available, by name.
    pub availability: BTreeMap<String, Receiver>,
    pub record: Record,
    pub sensors: Sensors,
    pub alarm: Alarm,
    pub bus: Bus,
    pub console: Console,
    pub inference: InferenceService,
    /// Where results go, by name.
    pub destination: BTreeMap<String, Destination>,
    /// Machines that may run the networks of studies, by name.
    pub inference_host: BTreeMap<String, InferenceHost>,
}

impl Settings {
    /// Those of the study story.
    pub fn study(&self) -> study::settings::Settings {
        study::settings::Settings {
            device: self.device.clone(),
            spool: self.spool.clone(),
            series: self.series.clone(),
            study: self.study.clone(),
            analyze: self.analyze.clone(),
            models: self.models.clone(),
            accelerator: self.accelerator.clone(),
            live: self.live.clone(),
            record: self.record.clone(),
            mpps: self.mpps.clone(),
            prior: self.prior.clone(),
            destination: self.destination.clone(),
            inference_host: self.inference_host.clone(),
        }
    }

    /// Gives to each part what it takes from another one.
    pub(crate) fn inherit(&mut self) {
        for destination in self.destination.values_mut() {
            destination.inherit(&self.dicom.tls);
        }
        for host in self.inference_host.values_mut() {
            host.inherit(&self.dicom.tls);
        }
        let asked = [&mut self.worklist.tls, &mut self.mpps.tls, &mut self.prior.tls, &mut self.ups.tls];
        let receivers = self.availability.values_mut().map(|receiver| &mut receiver.tls);
        for tls in asked.into_iter().chain(receivers).flatten() {
            tls.inherit(&self.dicom.tls);
        }
    }

    /// Whether a simulated device, accelerator or sensor is configured.
    pub fn is_simulated(&self) -> bool {
        let video = Video::parse(&self.live.device).ok().flatten();
        self.accelerator.provider().is_some_and(|provider| provider.is_simulated())
            || video.is_some_and(|device| device.is_simulated())
            || self.sensors.source().is_ok_and(|source| source.is_simulated())
    }

    /// What is not acceptable, as (dotted key, reason); and apart from it which files that settings name cannot be used now.
    pub fn check(&self) -> [Vec<(String, String)>; 2] {
        let mut checker = Checker::default();
        self.device.check(&mut checker);
        self.dicom.check(&mut checker);
        self.spool.check(&mut checker);
        self.series.check(&mut checker);
        self.study.check(&mut checker);
        self.analyze.check(&mut checker);
        self.accelerator.check(&mut checker);
        self.live.check(&mut checker);
        self.worklist.check(&mut checker);
        self.mpps.check(&mut checker);
        self.prior.check(&mut checker);
        self.ups.check(&mut checker);
        for (name, receiver) in &self.availability {
            receiver.check(&mut checker, name);
        }
        if self.ups.is_on() && self.destination.is_empty() {
            let reason = "a destination must be set, too: a task is completed with what an archive has taken";
            checker.refuse("ups", reason);
        }
        if self.mpps.address.is_some() && !self.record.enabled && !self.mpps.analyses {
            let reason = "record.enabled must be true, too: what is told of an exam is what the box has recorded of it (or analyses = true)";
            checker.refuse("mpps", reason);
        }
        if self.dicom.worklist && self.live.worklist.is_none() {
            let reason = "live.worklist must name the list, too: a folder of worklist items or a CSV file";
            checker.refuse("dicom.worklist", reason);
        } else if self.dicom.worklist && self.dicom.sender.is_empty() {
            let reason =
                "dicom.sender must name who may ask, too: otherwise anybody on the network learns who is expected";
            checker.refuse("dicom.worklist", reason);
        }
        self.record.check(&mut checker);
        self.sensors.check(&mut checker);
        self.alarm.check(&mut checker);
        self.bus.check(&mut checker);
        self.console.check(&mut checker);
        self.inference.check(&mut checker);
        for (name, destination) in &self.destination {
            destination.check(&mut checker, name);
        }
        for (name, host) in &self.inference_host {
            host.check(&mut checker, name);
        }
        checker.into_wrong_and_files()
    }

    /// Every file with certificates that is in use, once.
    pub fn certificates(&self) -> Vec<Configured> {
        let page = self.console.listen().and(self.console.certificate.as_ref());
        let hosts = (&self.inference_host, &self.inference);
        let managers = (&self.mpps, &self.ups, &self.availability);
        certificates::configured(&self.dicom, &self.destination, &self.worklist, managers, &self.prior, hosts, page)
    }
}

/// Heat, power and fans of the machine.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sensors {
    /// `sysfs` (what the kernel says), `off`, or in a simulation build `simulated:` with a situation or a folder.
    pub source: String,
    /// Seconds between two looks.
    pub every_secs: u64,
}

impl Sensors {
    /// # Errors
    /// When it is nothing that this build knows.
    pub fn source(&self) -> Result<Source, SourceError> {
        Source::parse(&self.source)
    }

    pub fn every(&self) -> Duration {
        Duration::from_secs(self.every_secs.max(1))
    }

    /// Says what cannot be used, under `sensors.*`.
    pub fn check(&self, checker: &mut Checker) {
        if let Err(error) = self.source() {
            checker.refuse("sensors.source", error.to_string());
        }
        checker.range("sensors.every_secs", self.every_secs, 1..=600, "");
    }
}

impl Default for Sensors {
    fn default() -> Self {
        Self { source: "sysfs".into(), every_secs: 5 }
    }
}

/// What tells whoever walks by how the box is; `scansidectl alarm` switches it, not the daemon.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alarm {
    /// `off`, or the kernel's name of a light: a folder in `/sys/class/leds`.
    pub light: String,
    /// The same of a buzzer that the kernel knows as a light (a GPIO line).
    pub buzzer: String,
}

impl Alarm {
    /// # Errors
    /// When it can be no name.
    pub fn light(&self) -> Result<indicator::Source, indicator::SourceError> {
        indicator::Source::parse(&self.light)
    }

    /// # Errors
    /// When it can be no name.
    pub fn buzzer(&self) -> Result<indicator::Source, indicator::SourceError> {
        indicator::Source::parse(&self.buzzer)
    }

    /// Says what cannot be used, under `alarm.*`.
    pub fn check(&self, checker: &mut Checker) {
        for (key, source) in [("alarm.light", self.light()), ("alarm.buzzer", self.buzzer())] {
            if let Err(error) = source {
                checker.refuse(key, error.to_string());
            }
        }
    }
}

impl Default for Alarm {
    fn default() -> Self {
        Self { light: "off".into(), buzzer: "off".into() }
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
    /// The certificate of the page (PEM), followed by those of intermediate CAs if there are any. Once it is set other machines get the
    /// page by TLS only.
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM), readable by the daemon's user only.
    pub key: Option<PathBuf>,
    /// Names that the page may be called by, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Of the pictures, 30 (small) to 100 (exact).
    pub jpeg_quality: u8,
}

impl Console {
    /// None when it is off.
    pub fn listen(&self) -> Option<SocketAddr> {
        self.address.parse().ok()
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self { address: "system".into() }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8484".into(),
            token_file: None,
            certificate: None,
            key: None,
            hosts: Vec::new(),
            jpeg_quality: 85,
        }
    }
}

impl Bus {
    /// Says what cannot be used, under `bus.*`.
    pub fn check(&self, checker: &mut Checker) {
        let bus = self.address.as_str();
        if !["system", "session", "none"].contains(&bus)
            && let Err(error) = zbus::Address::try_from(bus)
        {
            checker.refuse("bus.address", format!("not system, session, none or a D-Bus address: {error}"));
        }
    }
}

impl Console {
    /// Says what cannot be used, under `console.*`.
    pub fn check(&self, checker: &mut Checker) {
        let address = self.listen();
        if address.is_none() && self.address != "off" {
            let reason = format!("{:?} is neither off nor an address and port, such as 127.0.0.1:8484", self.address);
            checker.refuse("console.address", reason);
        }
        if address.is_some_and(|address| !address.ip().is_loopback()) && self.token_file.is_none() {
            let reason = format!("{} lets other machines in: console.token_file must be set", self.address);
            checker.refuse("console.address", reason);
        }
        for host in &self.hosts {
            if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)) {
                checker.refuse("console.hosts", format!("{host:?} is not the name of a host (without a port)"));
            }
        }
        check_files(checker, "console", self.certificate.as_ref(), self.key.as_ref(), &[]);
        checker.range("console.jpeg_quality", self.jpeg_quality, 30..=100, "");
    }
}
