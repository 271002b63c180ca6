//! The listener's side: makes a TLS connection of a TCP connection, within a time limit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::warn;

use super::certificate::{self, Fingerprint, Unusable};
use super::fault::Side;
use super::files::Reread;
use super::judge::{ClientJudge, Trust};
use super::settings::{ClientCertificate, Tls};
use super::{Calendar, Counts, Facts, Fault, FaultKind, HANDSHAKE, provider};
use crate::at_once::Whole;

#[derive(Debug)]
pub(crate) struct Server {
    settings: Tls,
    senders: Vec<String>,
    loaded: Reread<Loaded>,
    counts: Arc<Counts>,
}

#[derive(Debug, Clone)]
struct Loaded {
    config: Arc<ServerConfig>,
    judge: Arc<ClientJudge>,
}

impl Server {
    /// Reads the files; `senders` are the certificates that senders must show. `None` when TLS is not in use. While a file
    /// cannot be used, nobody gets through here, each connection tries again, and the port without TLS works.
    pub(crate) fn open(tls: &Tls, mut senders: Vec<String>) -> Option<Self> {
        tls.listen()?;
        senders.sort();
        senders.dedup();
        let loaded = Reread::open("DICOM over TLS", files(tls, &senders), || load(tls, &senders));
        let server = Self { settings: tls.clone(), senders, loaded, counts: Arc::new(Counts::default()) };
        match server.current() {
            Ok(loaded) if loaded.judge.calendar.today().is_none() => warn!(
                "no time server has set the clock: validity dates of certificates are not judged (dicom.tls.judge_dates)"
            ),
            Ok(_) => {}
            Err(error) => warn!("no connection by TLS until its files can be used: {error}"),
        }
        Some(server)
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Makes the connection and says who the peer is. At most `patience`, so that a peer that says nothing holds no task.
    pub(crate) async fn accept(&self, stream: Whole, patience: Duration) -> Result<(TlsStream<Whole>, Facts), Fault> {
        let accepted = match self.current() {
            Ok(loaded) => timeout(patience, handshake(&loaded, stream, patience)).await,
            Err(error) => Ok(Err(Fault::new(FaultKind::Other, error.to_string()))),
        };
        accepted.unwrap_or_else(|_| Err(Fault::silent(patience))).inspect_err(|fault| self.counts.add(fault))
    }

    fn current(&self) -> Result<Loaded, Unusable> {
        self.loaded.current(|| load(&self.settings, &self.senders))
    }
}

async fn handshake(loaded: &Loaded, stream: Whole, patience: Duration) -> Result<(TlsStream<Whole>, Facts), Fault> {
    let mut first = [0];
    match stream.0.peek(&mut first).await {
        Ok(1..) if first[0] == HANDSHAKE => {}
        Ok(1..) if first[0] == crate::wire::ASSOCIATE_RQ => {
            let _ = timeout(patience / 2, reject_plain(stream)).await;
            let words =
                "the peer speaks DICOM without TLS at the port for TLS: switch TLS on there, or use the other port";
            return Err(Fault::new(FaultKind::NotTls, words));
        }
        Ok(1..) => {
            let words = format!("the peer speaks no TLS at the port for TLS (first byte {:#04x})", first[0]);
            return Err(Fault::new(FaultKind::NotTls, words));
        }
        Ok(0) => return Err(Fault::new(FaultKind::Closed, "the peer closed the connection before it said anything")),
        Err(error) => return Err(Fault::of_io(&error, Side::Server)),
    }
    let connected = TlsAcceptor::from(loaded.config.clone()).accept(stream).await;
    let stream = connected.map_err(|error| Fault::of_io(&error, Side::Server))?;
    let (_, connection) = stream.get_ref();
    let mut facts = Facts {
        version: connection.protocol_version().map_or_else(String::new, |version| format!("{version:?}")),
        cipher_suite: connection.negotiated_cipher_suite().map_or_else(String::new, |s| format!("{:?}", s.suite())),
        dates_judged: loaded.judge.calendar.today().is_some(),
        ..Facts::default()
    };
    if let Some((own, issuers)) = connection.peer_certificates().and_then(<[_]>::split_first) {
        facts.fingerprint = Some(Fingerprint::of(own));
        facts.is_known = loaded.judge.knows(own, issuers);
        facts.satisfies = loaded.judge.satisfies(own, issuers);
    }
    Ok((stream, facts))
}

/// Answers an association request without TLS with an A-ASSOCIATE-RJ (permanent, by the user, no reason: PS3.8 section 9.3.4),
/// since scanners show that better than a connection that breaks. Reads on until the peer closes, or the answer would be lost.
async fn reject_plain(mut stream: Whole) {
    const REJECT: [u8; 10] = [crate::wire::ASSOCIATE_RJ, 0, 0, 0, 0, 4, 0, 1, 1, 1];
    let answered = stream.write_all(&REJECT).await.is_ok() && stream.shutdown().await.is_ok();
    let mut scrap = [0; 4096];
    while answered && matches!(stream.read(&mut scrap).await, Ok(1..)) {}
}

/// The file of a sender's `certificate`; `None` when it is a fingerprint.
pub(crate) fn ca_file(sender_certificate: &str) -> Option<PathBuf> {
    (!sender_certificate.starts_with("sha256:")).then(|| PathBuf::from(sender_certificate))
}

/// Whom the value of a sender's `certificate` names.
///
/// # Errors
/// When it is no fingerprint and no file of CA certificates.
pub(crate) fn trust_of_sender(value: &str) -> Result<Trust, Unusable> {
    match ca_file(value) {
        Some(path) => Trust::of_ca_files(&[path]),
        None => {
            let unusable = |reason| Unusable { key: "certificate", path: value.into(), reason };
            Ok(Trust::default().with([value.parse::<Fingerprint>().map_err(unusable)?]))
        }
    }
}

fn load(settings: &Tls, senders: &[String]) -> Result<Loaded, Unusable> {
    let (certificate, key) = (settings.certificate.as_deref(), settings.key.as_deref());
    // Both are set when TLS is in use: the configuration is checked.
    let identity =
        certificate::identity(certificate.unwrap_or_else(|| Path::new("")), key.unwrap_or_else(|| Path::new("")))?;
    let pinned = settings.fingerprints.iter().filter_map(|text| text.parse().ok());
    let known = Trust::of_ca_files(&settings.ca)?.with(pinned);
    let of_senders: Vec<_> = senders
        .iter()
        .map(|value| {
            let trust = trust_of_sender(value).unwrap_or_else(|error| {
                warn!("a sender gets in with no certificate until its file can be used: {error}");
                Trust::default()
            });
            (value.clone(), trust)
        })
        .collect();
    // Without hints a peer shows the certificate that it has; with them it might keep one back that is pinned.
    let pins = !known.fingerprints.is_empty() || of_senders.iter().any(|(_, trust)| trust.roots.is_none());
    let roots = std::iter::once(&known).chain(of_senders.iter().map(|(_, trust)| trust));
    let hints = roots.filter_map(|trust| trust.roots.as_ref()).flat_map(|roots| roots.subjects());
    let judge = Arc::new(ClientJudge {
        hints: if pins { Vec::new() } else { hints.collect() },
        known,
        of_senders,
        mandatory: settings.client_certificate == ClientCertificate::Required,
        calendar: Calendar::new(settings.judge_dates),
        algorithms: provider().signature_verification_algorithms,
    });
    let unusable = |error: rustls::Error| Unusable {
        key: "certificate",
        path: settings.certificate.clone().unwrap_or_default(),
        reason: error.to_string(),
    };
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(&super::VERSIONS).map_err(unusable)?;
    let builder = match settings.client_certificate {
        ClientCertificate::None => builder.with_no_client_auth(),
        ClientCertificate::Required | ClientCertificate::Asked => builder.with_client_cert_verifier(judge.clone()),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded { config: Arc::new(config), judge })
}

/// All that are read.
fn files(settings: &Tls, senders: &[String]) -> Vec<PathBuf> {
    let of_senders = senders.iter().filter_map(|value| ca_file(value));
    settings.certificate.iter().chain(&settings.key).chain(&settings.ca).cloned().chain(of_senders).collect()
}
