//! Settings of the DICOM node: who may send, limits, and the destinations of results.

use std::net::SocketAddr;

use dicom::check::Checker;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dicom {
    /// Address and port to listen on. Port 0 takes a free port and prints it.
    pub listen: SocketAddr,
    /// Our AE titles: an association that calls another title is refused. Empty accepts any.
    pub ae_titles: Vec<String>,
    /// Who may send. Empty accepts anyone.
    pub sender: Vec<Sender>,
    pub max_associations: usize,
    /// The largest PDU that we offer to receive, bytes (4096 to 1 MiB).
    pub max_pdu: u32,
    /// Seconds until the A-ASSOCIATE-RQ must have arrived, and until a PDU must be complete.
    pub artim_secs: u64,
    /// Seconds an association may be silent between messages.
    pub idle_secs: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    pub ae_title: String,
    /// Absent: any address.
    pub address: Option<std::net::IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// `host:port`.
    pub address: String,
    pub ae_title: String,
    /// Our AE title on this association.
    #[serde(default = "default_calling")]
    pub calling_ae_title: String,
    /// Seconds before the first retry; doubles up to `retry_max_secs`, for ever.
    #[serde(default = "default_retry")]
    pub retry_secs: f64,
    #[serde(default = "default_retry_max")]
    pub retry_max_secs: f64,
    /// Whether results that were made with a simulated device or accelerator are sent to this destination. Never set it
    /// for an archive that clinicians use.
    #[serde(default)]
    pub accepts_simulated: bool,
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

impl Dicom {
    /// Reports each invalid value under its key, `dicom.*`.
    pub fn check(&self, checker: &mut Checker) {
        for title in &self.ae_titles {
            checker.ae_title("dicom.ae_titles", title);
        }
        for sender in &self.sender {
            checker.ae_title("dicom.sender", &sender.ae_title);
        }
        checker.range("dicom.max_associations", self.max_associations, 1..=1024, "associations");
        checker.range("dicom.max_pdu", self.max_pdu, 4096..=1 << 20, "bytes");
        checker.range("dicom.artim_secs", self.artim_secs, 1..=3600, "seconds");
        checker.range("dicom.idle_secs", self.idle_secs, 1..=86_400, "seconds");
    }
}

impl Destination {
    /// Reports each invalid value under its key, `destination.<name>.*`.
    pub fn check(&self, checker: &mut Checker, name: &str) {
        let key = |of: &str| format!("destination.{name}.{of}");
        if name.is_empty() || name.len() > 32 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
            let reason = "the name of a destination must consist of 1 to 32 letters, digits, '-' or '_'";
            checker.refuse(&format!("destination.{name}"), reason);
        }
        match self.address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0) => {}
            _ => checker.refuse(&key("address"), format!("{:?} is not host:port", self.address)),
        }
        checker.ae_title(&key("ae_title"), &self.ae_title);
        checker.ae_title(&key("calling_ae_title"), &self.calling_ae_title);
        checker.range(&key("retry_secs"), self.retry_secs, 0.01..=86_400.0, "seconds");
        checker.range(&key("retry_max_secs"), self.retry_max_secs, 0.01..=86_400.0, "seconds");
        if self.retry_max_secs < self.retry_secs {
            checker.refuse(&key("retry_max_secs"), "is below retry_secs");
        }
    }
}
