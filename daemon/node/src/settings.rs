//! Settings of the DICOM node: who may send, limits, and the destinations of results (`destination`).

mod destination;

use std::net::SocketAddr;
use std::time::Duration;

use dicom::check::Checker;
use hal::backoff::Pauses;
use serde::{Deserialize, Serialize};

pub use self::destination::{Asking, Destination, ResultKind};
use crate::identity;
use crate::tls::server::{ca_file, trust_of_sender};
use crate::tls::settings::Tls;

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dicom {
    /// Address and port to listen on. Port 0 takes a free port and prints it.
    pub listen: SocketAddr,
    /// Our AE titles: an association that calls another title is refused. Empty accepts any.
    pub ae_titles: Vec<String>,
    /// Who may send. Empty accepts anyone.
    pub sender: Vec<Sender>,
    /// Who may use the port without TLS.
    pub plain: Plain,
    /// What becomes of the user identity that senders send.
    pub user_identity: identity::settings::Policy,
    /// As whom senders may come, where a user identity is required.
    pub user: Vec<identity::settings::User>,
    pub max_associations: usize,
    /// The largest PDU that we offer to receive, bytes (4096 to 1 MiB).
    pub max_pdu: u32,
    /// Seconds until the A-ASSOCIATE-RQ must have arrived, and until a PDU must be complete.
    pub artim_secs: u64,
    /// Seconds an association may be silent between messages.
    pub idle_secs: u64,
    /// The largest data set of a DIMSE-N request (storage commitment, MPPS) that is taken, KiB.
    pub max_request_kib: usize,
    pub commitment: Commitment,
    pub mpps: Mpps,
    /// Whether scanners may ask who is expected (Modality Worklist), from the list that `live.worklist` names.
    pub worklist: bool,
    pub tls: Tls,
}

/// Who may associate without TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Plain {
    #[default]
    All,
    /// Only senders with `plain = true`.
    Named,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    pub ae_title: String,
    /// Absent: any address.
    pub address: Option<std::net::IpAddr>,
    /// The certificate that this sender must show: its fingerprint (`sha256:...`), or the file of the CA that issues it. With
    /// it the sender must use TLS. Absent: whatever `dicom.tls` trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// May send without TLS although `dicom.plain` is `named`.
    #[serde(default)]
    pub plain: bool,
    /// The `[[dicom.user]]` that this sender must be. Absent: what `user_identity` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// As `dicom.user_identity`, for this sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_identity: Option<identity::settings::Policy>,
    /// Where it listens for reports of storage commitment. Absent: it is reported to while its association is open.
    pub commitment_port: Option<u16>,
    /// How it wants these reports.
    #[serde(default)]
    pub commitment_report: ReportBy,
}

impl Sender {
    /// What is said of its user identity.
    pub(crate) fn identity(&self) -> identity::settings::Entry<'_> {
        identity::settings::Entry { user: self.user.as_deref(), policy: self.user_identity }
    }
}

/// On which association a report of storage commitment goes to the peer that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportBy {
    /// On one that we open, the only way that works with every peer.
    #[default]
    NewAssociation,
    /// On one of its own that is open; on a new one when there is none.
    SameAssociation,
}

/// Storage commitment that peers ask of us.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commitment {
    /// Whether it is offered at all.
    pub accept: bool,
    /// Objects in one request.
    pub max_instances: usize,
    /// Transactions of one peer that may wait for their report.
    pub max_open: u32,
    /// Seconds that a report waits for objects that are not here yet.
    pub wait_secs: f64,
    /// Seconds before a report that did not reach the peer is sent again; doubles up to `retry_max_secs`.
    pub retry_secs: f64,
    pub retry_max_secs: f64,
    /// Days for which it is tried, counted in attempts at the longest pause, since a clock may be wrong.
    pub report_days: u64,
}

/// Modality performed procedure steps that scanners tell us.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mpps {
    /// Whether they are taken at all.
    pub accept: bool,
    /// Objects that one step may declare.
    pub max_instances: usize,
}

impl Default for Dicom {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 11112)),
            ae_titles: vec!["SCANSIDE".into()],
            sender: Vec::new(),
            plain: Plain::All,
            user_identity: identity::settings::Policy::Ignore,
            user: Vec::new(),
            max_associations: 32,
            max_pdu: 128 * 1024,
            artim_secs: 30,
            idle_secs: 3600,
            max_request_kib: 8192,
            commitment: Commitment::default(),
            mpps: Mpps::default(),
            worklist: false,
            tls: Tls::default(),
        }
    }
}

impl Default for Commitment {
    fn default() -> Self {
        Self {
            accept: true,
            max_instances: 20_000,
            max_open: 200,
            wait_secs: 30.0,
            retry_secs: 5.0,
            retry_max_secs: 600.0,
            report_days: 7,
        }
    }
}

impl Default for Mpps {
    fn default() -> Self {
        Self { accept: true, max_instances: 20_000 }
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
            if sender.commitment_port == Some(0) {
                checker.refuse("dicom.sender", format!("commitment_port of {:?} is 0", sender.ae_title));
            }
            self.check_certificate(checker, sender);
        }
        let senders: Vec<_> = self.sender.iter().map(|one| (one.ae_title.as_str(), one.identity())).collect();
        identity::settings::check(self.user_identity, &self.user, &senders, checker);
        self.tls.check(checker, self.sender.iter().any(|sender| sender.certificate.is_some()));
        if self.plain == Plain::Named && self.tls.listen().is_none() && !self.sender.iter().any(|sender| sender.plain) {
            let reason = "nobody could send: no sender has plain = true, and dicom.tls does not listen";
            checker.refuse("dicom.plain", reason);
        }
        checker.range("dicom.max_associations", self.max_associations, 1..=1024, "associations");
        checker.range("dicom.max_pdu", self.max_pdu, 4096..=1 << 20, "bytes");
        checker.range("dicom.artim_secs", self.artim_secs, 1..=3600, "seconds");
        checker.range("dicom.idle_secs", self.idle_secs, 1..=86_400, "seconds");
        checker.range("dicom.max_request_kib", self.max_request_kib, 64..=65_536, "KiB");
        self.commitment.check(checker);
        checker.range("dicom.mpps.max_instances", self.mpps.max_instances, 1..=1_000_000, "objects");
    }
}

impl Commitment {
    pub(crate) fn pauses(&self) -> Pauses {
        let span = |secs: f64, otherwise| Duration::try_from_secs_f64(secs).unwrap_or(otherwise);
        Pauses::new(span(self.retry_secs, Duration::from_secs(5)), span(self.retry_max_secs, Duration::from_secs(600)))
    }

    /// Attempts after which nobody waits for a report any more.
    pub(crate) fn most_attempts(&self) -> u32 {
        let days = Duration::from_secs(self.report_days.saturating_mul(86_400));
        let attempts = days.as_millis() / self.pauses().longest.as_millis().max(1);
        u32::try_from(attempts).unwrap_or(u32::MAX).max(1)
    }

    /// Reports each invalid value under its key, `dicom.commitment.*`.
    fn check(&self, checker: &mut Checker) {
        let key = |of: &str| format!("dicom.commitment.{of}");
        checker.range(&key("max_instances"), self.max_instances, 1..=1_000_000, "objects");
        checker.range(&key("max_open"), self.max_open, 1..=100_000, "transactions");
        checker.range(&key("wait_secs"), self.wait_secs, 0.0..=86_400.0, "seconds");
        checker.range(&key("retry_secs"), self.retry_secs, 0.01..=86_400.0, "seconds");
        checker.range(&key("retry_max_secs"), self.retry_max_secs, 0.01..=86_400.0, "seconds");
        checker.range(&key("report_days"), self.report_days, 1..=365, "days");
        if self.retry_max_secs < self.retry_secs {
            checker.refuse(&key("retry_max_secs"), "is below retry_secs");
        }
    }
}

impl Dicom {
    /// The certificates that senders must show, as they are named in the settings.
    pub(super) fn certificates(&self) -> Vec<String> {
        self.sender.iter().filter_map(|sender| sender.certificate.clone()).collect()
    }

    fn check_certificate(&self, checker: &mut Checker, sender: &Sender) {
        let Some(certificate) = &sender.certificate else { return };
        let title = &sender.ae_title;
        let file = ca_file(certificate);
        let reason = if let Err(error) = trust_of_sender(certificate) {
            let reason = format!("certificate of {title:?}: {error}");
            return if file.is_some() {
                checker.refuse_file("dicom.sender", reason);
            } else {
                checker.refuse("dicom.sender", reason);
            };
        } else if sender.plain {
            format!("{title:?} has a certificate and plain = true: without TLS nobody shows a certificate")
        } else if self.tls.listen().is_none() {
            format!("{title:?} must show a certificate, and dicom.tls does not listen: set its certificate and key")
        } else {
            return;
        };
        checker.refuse("dicom.sender", reason);
    }
}

/// That of a peer.
pub(crate) fn check_address(checker: &mut Checker, key: &str, address: &str) {
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0) => {}
        _ => checker.refuse(key, format!("{address:?} is not host:port")),
    }
}
