//! Tests a destination step by step: name, connection, association, presentation contexts, C-ECHO. Where the steps end is
//! what a field engineer must correct. Sends nothing but the C-ECHO.

pub mod web;

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use dicom_dictionary_std::uids;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::negotiate;
use crate::peer::Way;
use crate::retrieve::settings::Fetch;
use crate::send::{Association, Error, Rejection, Target};
use crate::settings::{Destination, ResultKind};
use crate::wire::Fault;
use crate::{MPPS, STUDY_GET, STUDY_MOVE, VERIFICATION, WORKLIST, retrieve};

/// What the box sends to an archive: kind, SOP class and its name.
const RESULTS: [(ResultKind, &str, &str); 8] = [
    (ResultKind::Sr, uids::COMPREHENSIVE3_DSR_STORAGE, "Comprehensive 3D SR"),
    (ResultKind::Seg, uids::SEGMENTATION_STORAGE, "Segmentation"),
    (ResultKind::Sc, uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "Secondary Capture"),
    (ResultKind::Pdf, uids::ENCAPSULATED_PDF_STORAGE, "Encapsulated PDF"),
    (ResultKind::Us, uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE, "Ultrasound Multi-frame"),
    (ResultKind::UsKey, uids::ULTRASOUND_IMAGE_STORAGE, "Ultrasound Image"),
    (ResultKind::BreastReport, uids::ENHANCED_SR_STORAGE, "Enhanced SR"),
    (ResultKind::MgCad, "1.2.840.10008.5.1.4.1.1.88.50", "Mammography CAD SR"),
];

/// SOP class and name of what this destination is to get.
fn classes(destination: &Destination) -> Vec<(&'static str, &'static str)> {
    let wanted = destination.results.as_deref().unwrap_or(&ResultKind::ALL);
    let results = RESULTS.iter().filter(|(kind, ..)| wanted.contains(kind)).map(|(_, class, name)| (*class, *name));
    let note = (uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE, "Key Object Selection");
    results.chain(destination.rejection_notes.then_some(note)).collect()
}

/// What a worklist server must offer.
pub const EXPECTED: [(&str, &str); 1] = [(WORKLIST, "Modality Worklist")];

/// What a manager of exams must offer.
pub const PERFORMED: [(&str, &str); 1] = [(MPPS, "Modality Performed Procedure Step")];

/// What a manager of tasks must offer.
pub const TASKS: [(&str, &str); 1] = [(crate::ups::PULL, "Unified Procedure Step - Pull")];

/// What a receiver of notices must offer.
pub const NOTICES: [(&str, &str); 1] = [(crate::availability::AVAILABILITY, "Instance Availability Notification")];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The host has an address.
    Name,
    /// A program accepts connections there.
    Connection,
    /// It speaks DICOM and takes both AE titles.
    Association,
    /// It takes the kinds of object that this box sends, or offers what it asks for.
    Contexts,
    Echo,
    /// Of a URL: the certificate is trusted.
    Tls,
    /// It speaks HTTP.
    Http,
    /// It takes our login, or wants none.
    Login,
    /// It has STOW-RS there.
    Store,
    /// It says what it has.
    Query,
    /// It has the network of a package, and gives the known answer.
    Network,
}

/// Why the steps ended. The words of [`Cause::code`] are those of `scansidectl doctor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    NameUnknown,
    NoRoute,
    PortClosed,
    NoAnswer,
    /// Connected, and then silence.
    Silent,
    NotDicom,
    /// No TLS: it speaks none there, or a certificate was refused.
    Tls,
    /// The peer does not answer to the AE title that we call.
    CalledAe,
    /// The peer does not know our AE title.
    CallingAe,
    Rejected,
    Aborted,
    EchoRefused,
    NotHttp,
    /// The file with our token or password cannot be used.
    LoginUnreadable,
    LoginRefused,
    /// There is no STOW-RS at the URL.
    NoStow,
    /// It says that it cannot work now.
    NotReady,
}

impl Cause {
    pub fn code(self) -> &'static str {
        match self {
            Self::NameUnknown => "archive-name-unknown",
            Self::NoRoute => "archive-no-route",
            Self::PortClosed => "archive-port-closed",
            Self::NoAnswer => "archive-no-answer",
            Self::Silent => "archive-silent",
            Self::NotDicom => "archive-not-dicom",
            Self::Tls => "archive-tls-failed",
            Self::CalledAe => "archive-called-ae-wrong",
            Self::CallingAe => "archive-does-not-know-us",
            Self::Rejected => "archive-rejects",
            Self::Aborted => "archive-aborts",
            Self::EchoRefused => "archive-echo-refused",
            Self::NotHttp => "archive-not-http",
            Self::LoginUnreadable => "archive-login-unreadable",
            Self::LoginRefused => "archive-login-refused",
            Self::NoStow => "archive-no-stow",
            Self::NotReady => "archive-not-ready",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "address",
            Self::Connection => "connection",
            Self::Association => "association",
            Self::Contexts => "contexts",
            Self::Echo => "C-ECHO",
            Self::Tls => "TLS",
            Self::Http => "HTTP",
            Self::Login => "login",
            Self::Store => "STOW-RS",
            Self::Query => "QIDO-RS",
            Self::Network => "network",
        })
    }
}

/// A step that succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    pub step: Step,
    /// For example the address that a name has.
    pub what: String,
    pub milliseconds: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub step: Step,
    pub cause: Cause,
    /// As the system or the peer said it.
    pub what: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub passed: Vec<Passed>,
    /// The step at which it ended.
    pub failed: Option<Failed>,
    /// Names of the kinds of object that the peer does not take, and why.
    pub not_taken: Vec<(String, String)>,
    /// How many kinds it was asked for.
    pub asked: usize,
}

impl Probe {
    /// An inference host that gives the known answer.
    pub fn of_host(what: String, secs: f64) -> Self {
        Self { passed: vec![Passed { step: Step::Network, what, milliseconds: secs * 1e3 }], ..Self::default() }
    }

    /// One that does not.
    pub fn of_failed_host(what: String) -> Self {
        Self::default().fail(Step::Network, Cause::NotReady, what)
    }

    pub(crate) fn pass(&mut self, step: Step, what: impl Into<String>, begun: Instant) {
        self.passed.push(Passed { step, what: what.into(), milliseconds: begun.elapsed().as_secs_f64() * 1e3 });
    }

    pub(crate) fn fail(mut self, step: Step, cause: Cause, what: impl Into<String>) -> Self {
        self.failed = Some(Failed { step, cause, what: what.into() });
        self
    }
}

/// Tests a destination however it is reached, for the kinds of results that it is to get; each step may take `patience`.
pub async fn destination(destination: &Destination, patience: Duration) -> Probe {
    match Way::from(destination) {
        Way::Dimse(target) => run_for(&target, &classes(destination), patience).await,
        Way::Web(service) => web::run(&service, patience).await,
    }
}

/// Tests `target` as a destination of all kinds of results; each step may take `patience`.
pub async fn run(target: &Target, patience: Duration) -> Probe {
    run_for(target, &RESULTS.map(|(_, class, name)| (class, name)), patience).await
}

/// Tests `target` as a peer for these SOP classes, which have names; each step may take `patience`.
pub async fn run_for(target: &Target, classes: &[(&str, &str)], patience: Duration) -> Probe {
    let mut probe = Probe { asked: classes.len(), ..Probe::default() };
    let stream = match reach(&mut probe, &target.address, patience).await {
        Ok(stream) => stream,
        Err((step, cause, what)) => return probe.fail(step, cause, what),
    };

    let begun = Instant::now();
    let association = timeout(patience, Association::negotiate_on(stream, target, proposal(classes))).await;
    let mut association = match association {
        Ok(Ok(association)) => association,
        Ok(Err(error)) => return probe.fail(Step::Association, cause_of(&error), error.to_string()),
        Err(_) => {
            let what = format!("connected, and then no answer within {} s", patience.as_secs());
            return probe.fail(Step::Association, Cause::Silent, what);
        }
    };
    let titles = format!("{} accepted by {}", target.calling_ae.trim(), target.called_ae.trim());
    probe.pass(Step::Association, titles, begun);

    let begun = Instant::now();
    for (class, name) in classes {
        if let Some(why) = association.not_taken(class) {
            probe.not_taken.push(((*name).to_owned(), why.to_string()));
        }
    }
    if probe.not_taken.is_empty() {
        probe.pass(Step::Contexts, "all that is needed is taken", begun);
    }

    let begun = Instant::now();
    match timeout(patience, association.echo()).await {
        // A peer that takes results and not the echo works all the same.
        Ok(Ok(()) | Err(Error::NotAccepted { .. })) => probe.pass(Step::Echo, "answered", begun),
        Ok(Err(error @ Error::Refused { .. })) => {
            return probe.fail(Step::Echo, Cause::EchoRefused, error.to_string());
        }
        Ok(Err(error)) => return probe.fail(Step::Echo, Cause::Aborted, error.to_string()),
        Err(_) => return probe.fail(Step::Echo, Cause::Silent, "no answer to the C-ECHO"),
    }
    association.release().await;
    probe
}

/// Tests `target` as the archive that is asked for earlier studies: it must take questions, and C-GET or C-MOVE.
pub async fn archive_of_priors(target: &Target, fetch: Fetch, patience: Duration) -> Probe {
    let ways = [(STUDY_GET, "Study Root - GET"), (STUDY_MOVE, "Study Root - MOVE")];
    let needed: &[(&str, &str)] = match fetch {
        Fetch::Auto => &ways,
        Fetch::Get => &ways[..1],
        Fetch::Move => &ways[1..],
    };
    let classes: Vec<_> = retrieve::OFFERED.iter().chain(needed).copied().collect();
    let mut probe = run_for(target, &classes, patience).await;
    // One of them is enough.
    let missing = |name: &str| probe.not_taken.iter().any(|(known, _)| known == name);
    if fetch == Fetch::Auto && !ways.iter().all(|(_, name)| missing(name)) {
        probe.not_taken.retain(|(known, _)| ways.iter().all(|(_, name)| known != name));
    }
    probe
}

/// Name and connection, the steps that all destinations have. `Err`: where it ended, and why.
pub(crate) async fn reach(
    probe: &mut Probe,
    address: &str,
    patience: Duration,
) -> Result<TcpStream, (Step, Cause, String)> {
    let begun = Instant::now();
    let unknown = |what: String| (Step::Name, Cause::NameUnknown, what);
    let addresses: Vec<SocketAddr> = match timeout(patience, tokio::net::lookup_host(address)).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(unknown(error.to_string())),
        Err(_) => return Err(unknown("the name server does not answer".into())),
    };
    let Some(first) = addresses.first() else { return Err(unknown("the name has no address".into())) };
    probe.pass(Step::Name, first.to_string(), begun);

    let begun = Instant::now();
    let stream = match timeout(patience, TcpStream::connect(&addresses[..])).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let cause = match error.kind() {
                ErrorKind::ConnectionRefused => Cause::PortClosed,
                ErrorKind::TimedOut => Cause::NoAnswer,
                _ => Cause::NoRoute,
            };
            return Err((Step::Connection, cause, error.to_string()));
        }
        Err(_) => {
            let what = format!("no answer within {} s", patience.as_secs());
            return Err((Step::Connection, Cause::NoAnswer, what));
        }
    };
    let _ = stream.set_nodelay(true);
    probe.pass(Step::Connection, "open", begun);
    Ok(stream)
}

fn proposal(classes: &[(&str, &str)]) -> Vec<(String, String)> {
    let results = classes.iter().flat_map(|(class, _)| {
        [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN]
            .map(|syntax| ((*class).into(), syntax.into()))
    });
    std::iter::once((VERIFICATION.into(), uids::IMPLICIT_VR_LITTLE_ENDIAN.into())).chain(results).collect()
}

fn cause_of(error: &Error) -> Cause {
    match error {
        Error::Rejected(why) if why.starts_with(negotiate::CALLED_NOT_RECOGNISED) => Cause::CalledAe,
        Error::Rejected(why) if why.starts_with(negotiate::CALLING_NOT_RECOGNISED) => Cause::CallingAe,
        Error::Rejected(_) => Cause::Rejected,
        Error::Tls { .. } => Cause::Tls,
        Error::Association(Fault::Protocol { .. } | Fault::SpeaksTls(_)) => Cause::NotDicom,
        Error::Association(Fault::Aborted(_) | Fault::Closed | Fault::Io(_)) => Cause::Aborted,
        _ => Cause::Silent,
    }
}

impl Association {
    /// Why the peer takes no object of this class, which was proposed; `None` when it takes some.
    fn not_taken(&self, class: &str) -> Option<Rejection> {
        if self.offers(class) {
            return None;
        }
        let rejection = self.rejections().find(|(known, ..)| known == class);
        Some(rejection.map_or(Rejection::NotAnswered, |(.., why)| *why))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn target(address: String) -> Target {
        Target { address, called_ae: "PACS".into(), calling_ae: "SCANSIDE".into(), tls: None }
    }

    #[tokio::test]
    async fn a_closed_port_an_unknown_name_and_another_service_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let closed = run(&target(address), PATIENCE).await;
        assert_eq!(closed.failed.unwrap().cause, Cause::PortClosed);
        assert_eq!(closed.passed.len(), 1);

        let unknown = run(&target("no-such-host.invalid:104".into()), PATIENCE).await;
        assert_eq!(unknown.failed.unwrap().cause, Cause::NameUnknown);

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let web = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let web_server = run(&target(address), PATIENCE).await;
        assert_eq!(web_server.failed.unwrap().cause, Cause::NotDicom);
        web.await.unwrap();
    }
}
