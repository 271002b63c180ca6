//! Values that are of the right type and still not acceptable. Pure: settings in, (key, reason) out.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::Settings;
use super::settings::{Console, Destination};
use crate::live::device::Device;
use crate::live::profile::{self, Profiles};

const PROVIDERS: &[&str] =
    if cfg!(feature = "sim") { &["cpu", "cuda", "tensorrt", "scripted"] } else { &["cpu", "cuda", "tensorrt"] };

#[derive(Default)]
struct Findings(Vec<(String, String)>);

impl Findings {
    fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        self.0.push((key.to_owned(), reason.into()));
    }

    fn range<T: PartialOrd + Display>(&mut self, key: &str, value: T, allowed: RangeInclusive<T>, unit: &str) {
        // Written so that a NaN is refused too.
        if !allowed.contains(&value) {
            self.refuse(key, format!("{value} is out of range: {} to {} {unit}", allowed.start(), allowed.end()));
        }
    }

    /// PS3.5 6.2, VR AE: at most 16 characters of the default repertoire without backslash and control characters,
    /// not only spaces.
    fn ae_title(&mut self, key: &str, title: &str) {
        if title.trim().is_empty() {
            self.refuse(key, "an AE title is not empty");
        } else if title.len() > 16 {
            self.refuse(key, format!("the AE title {title:?} has {} characters, at most 16 are allowed", title.len()));
        } else if !printable(title) {
            self.refuse(key, format!("the AE title {title:?} has a character that DICOM does not allow in it"));
        }
    }

    /// Text that is copied into results: VR SH (16) or LO (64).
    fn text(&mut self, key: &str, text: &str, most: usize) {
        let count = text.chars().count();
        if count > most {
            self.refuse(key, format!("{count} characters, at most {most} are allowed"));
        } else if text.chars().any(|c| c == '\\' || c.is_control()) {
            self.refuse(key, "backslash and control characters are not allowed");
        }
    }

    fn destination(&mut self, name: &str, destination: &Destination) {
        let key = |of: &str| format!("destination.{name}.{of}");
        if name.is_empty() || name.len() > 32 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
            let reason = "a destination's name is 1 to 32 letters, digits, '-' or '_'";
            self.refuse(&format!("destination.{name}"), reason);
        }
        match destination.address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0) => {}
            _ => self.refuse(&key("address"), format!("{:?} is not host:port", destination.address)),
        }
        self.ae_title(&key("ae_title"), &destination.ae_title);
        self.ae_title(&key("calling_ae_title"), &destination.calling_ae_title);
        self.range(&key("retry_secs"), destination.retry_secs, 0.01..=86_400.0, "seconds");
        self.range(&key("retry_max_secs"), destination.retry_max_secs, 0.01..=86_400.0, "seconds");
        if destination.retry_max_secs < destination.retry_secs {
            self.refuse(&key("retry_max_secs"), "is below retry_secs");
        }
    }
}

fn printable(text: &str) -> bool {
    text.chars().all(|c| c == ' ' || (c.is_ascii_graphic() && c != '\\'))
}

/// What is wrong, as (dotted key, reason).
pub fn check(settings: &Settings) -> Vec<(String, String)> {
    let mut found = Findings::default();
    device_and_dicom(&mut found, settings);
    storage(&mut found, settings);
    work(&mut found, settings);
    console(&mut found, &settings.console);
    for (name, destination) in &settings.destination {
        found.destination(name, destination);
    }
    found.0
}

fn device_and_dicom(found: &mut Findings, settings: &Settings) {
    let (device, dicom) = (&settings.device, &settings.dicom);
    if device.station_name.trim().is_empty() {
        found.refuse("device.station_name", "must not be empty: results name the station");
    }
    found.text("device.station_name", &device.station_name, 16);
    found.text("device.institution", &device.institution, 64);
    found.text("device.serial_number", &device.serial_number, 64);
    for title in &dicom.ae_titles {
        found.ae_title("dicom.ae_titles", title);
    }
    for sender in &dicom.sender {
        found.ae_title("dicom.sender", &sender.ae_title);
    }
    found.range("dicom.max_associations", dicom.max_associations, 1..=1024, "associations");
    found.range("dicom.max_pdu", dicom.max_pdu, 4096..=1 << 20, "bytes");
    found.range("dicom.artim_secs", dicom.artim_secs, 1..=3600, "seconds");
    found.range("dicom.idle_secs", dicom.idle_secs, 1..=86_400, "seconds");
}

fn storage(found: &mut Findings, settings: &Settings) {
    let spool = &settings.spool;
    if spool.directory.as_os_str().is_empty() {
        found.refuse("spool.directory", "must not be empty");
    }
    found.range("spool.segment_mib", spool.segment_mib, 1..=4096, "MiB");
    found.range("spool.ready_segments", spool.ready_segments, 1..=64, "");
    if spool.evict_below_mib < spool.min_free_mib {
        let (evict, keep) = (spool.evict_below_mib, spool.min_free_mib);
        found.refuse(
            "spool.evict_below_mib",
            format!("{evict} MiB is below spool.min_free_mib ({keep} MiB): instances would be refused before anything is evicted"),
        );
    }
}

fn work(found: &mut Findings, settings: &Settings) {
    let (series, analyze, accelerator) = (&settings.series, &settings.analyze, &settings.accelerator);
    found.range("series.quiet_secs", series.quiet_secs, 0.01..=3600.0, "seconds");
    found.range("series.release_grace_secs", series.release_grace_secs, 0.0..=600.0, "seconds");
    found.range("analyze.max_attempts", analyze.max_attempts, 1..=100, "attempts");
    found.range("analyze.max_interruptions", analyze.max_interruptions, 1..=10_000, "interruptions");
    found.range("analyze.retry_secs", analyze.retry_secs, 0.0..=86_400.0, "seconds");
    if !PROVIDERS.contains(&accelerator.provider.as_str()) {
        let known = PROVIDERS.join(", ");
        found.refuse("accelerator.provider", format!("{:?} is not known; one of {known}", accelerator.provider));
    }
    found.range("accelerator.threads", accelerator.threads, 0..=1024, "threads");
    live(found, settings);
    let bus = settings.bus.address.as_str();
    if !["system", "session", "none"].contains(&bus)
        && let Err(error) = zbus::Address::try_from(bus)
    {
        found.refuse("bus.address", format!("not system, session, none or a D-Bus address: {error}"));
    }
}

fn live(found: &mut Findings, settings: &Settings) {
    let live = &settings.live;
    if let Err(reason) = Device::parse(&live.device) {
        found.refuse("live.device", reason);
    }
    // A path is looked at when the live path starts: the file may be on a disk that is mounted by then.
    if !profile::is_path(&live.profile)
        && let Err(reason) = Profiles::load(&live.profile)
    {
        found.refuse("live.profile", reason);
    }
    found.range("live.deadline_ms", live.deadline_ms, 10.0..=10_000.0, "ms");
    found.range("live.threads", live.threads, 0..=64, "threads");
    let record = &settings.record;
    found.range("record.keep_secs", record.keep_secs, 5..=3600, "s");
    found.range("record.clip_secs", record.clip_secs, 1.0..=60.0, "s");
    found.range("record.jpeg_quality", record.jpeg_quality, 50..=100, "");
    // Whether it is there is looked at with each request: it may be on a disk of another machine.
    if live.worklist.as_ref().is_some_and(|path| !path.is_absolute()) {
        found.refuse("live.worklist", "must be an absolute path, to a folder of worklist items or to a CSV file");
    }
    found.range("live.auto_stop_secs", live.auto_stop_secs, 10..=86_400, "seconds");
}

fn console(found: &mut Findings, console: &Console) {
    let address = console.listen();
    if address.is_none() && console.address != "off" {
        let reason = format!("{:?} is neither off nor an address and port, such as 127.0.0.1:8484", console.address);
        found.refuse("console.address", reason);
    }
    if address.is_some_and(|address| !address.ip().is_loopback()) && console.token_file.is_none() {
        let reason = format!("{} lets other machines in: console.token_file must be set", console.address);
        found.refuse("console.address", reason);
    }
    for host in &console.hosts {
        if host.is_empty() || !host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)) {
            found.refuse("console.hosts", format!("{host:?} is not the name of a host (without a port)"));
        }
    }
    found.range("console.jpeg_quality", console.jpeg_quality, 30..=100, "");
}
