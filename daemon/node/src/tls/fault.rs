//! Why a TLS connection was not made, in words that name what to change; and how often each kind came.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::calendar::date;

/// Which end we are: the words name other settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The peer connected to us.
    Server,
    /// We connected to an archive.
    Client,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The peer speaks something else, most often DICOM without TLS.
    NotTls,
    /// It did not finish in time.
    Silent,
    /// It closed the connection.
    Closed,
    /// No TLS version or cipher suite in common.
    Version,
    /// It showed no certificate.
    NoCertificate,
    /// Its certificate has expired or is not valid yet.
    Dates,
    /// Its certificate is not trusted.
    Untrusted,
    /// It does not accept us: its alert says why.
    Alert,
    Other,
}

const KINDS: usize = FaultKind::Other as usize + 1;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct Fault {
    pub kind: FaultKind,
    words: String,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }

    pub(super) fn silent(patience: Duration) -> Self {
        Self::new(FaultKind::Silent, format!("the TLS handshake was not complete within {} s", patience.as_secs()))
    }

    pub(super) fn of_io(error: &io::Error, side: Side) -> Self {
        if let Some(fault) = Self::in_io(error, side) {
            return fault;
        }
        let words = match (error.kind(), side) {
            (
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe,
                Side::Server,
            ) => {
                "the peer closed the connection in the TLS handshake: perhaps it does not trust the box's certificate \
                 (give it the CA that issued it)"
            }
            (
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe,
                Side::Client,
            ) => {
                "the peer closed the connection in the TLS handshake: perhaps this port is for DICOM without TLS, or it \
                 does not trust the box's certificate"
            }
            _ => return Self::new(FaultKind::Other, format!("the connection failed in the TLS handshake: {error}")),
        };
        Self::new(FaultKind::Closed, words)
    }

    /// What TLS said, where an error of the connection carries it.
    pub(crate) fn in_io(error: &io::Error, side: Side) -> Option<Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map(|error| Self::of(error, side))
    }

    pub(super) fn of(error: &Error, side: Side) -> Self {
        let trusted = match side {
            Side::Server => "dicom.tls.ca, dicom.tls.fingerprints or the sender's certificate",
            Side::Client => "the ca or fingerprint of this destination",
        };
        let (kind, words) = match error {
            Error::InvalidMessage(_) if side == Side::Server => {
                (FaultKind::NotTls, "the peer speaks no TLS at the port for TLS, or damaged it".to_owned())
            }
            Error::InvalidMessage(_) => (
                FaultKind::NotTls,
                "the peer answers without TLS: this port is for DICOM without TLS, or tls must be off for it"
                    .to_owned(),
            ),
            Error::NoCertificatesPresented => (
                FaultKind::NoCertificate,
                "the peer showed no certificate: give it one, or set dicom.tls.client_certificate".to_owned(),
            ),
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon | PeerIncompatible::NoKxGroupsInCommon) => {
                (FaultKind::Version, "the peer offers none of our cipher suites (ECDHE with AES-GCM)".to_owned())
            }
            Error::PeerIncompatible(
                PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::SupportedVersionsExtensionRequired
                // Older versions have no such extension, and rustls misses it first.
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            ) => (
                FaultKind::Version,
                "the peer speaks TLS older than 1.2 only: update it, or use the port without TLS".to_owned(),
            ),
            Error::PeerIncompatible(why) => (FaultKind::Version, format!("the peer's TLS does not fit ours ({why:?})")),
            Error::InvalidCertificate(error) => of_certificate(error, trusted),
            Error::AlertReceived(alert) => (FaultKind::Alert, of_alert(*alert)),
            error => (FaultKind::Other, format!("TLS failed: {error}")),
        };
        Self::new(kind, words)
    }
}

fn of_certificate(error: &CertificateError, trusted: &str) -> (FaultKind, String) {
    use CertificateError as E;
    let untrusted = |words: String| (FaultKind::Untrusted, words);
    match error {
        E::Expired => (FaultKind::Dates, "the peer's certificate has expired: renew it".into()),
        E::ExpiredContext { not_after, .. } => {
            let on = date(i64::try_from(not_after.as_secs()).unwrap_or(i64::MAX));
            (FaultKind::Dates, format!("the peer's certificate (or that of its CA) has expired on {on}: renew it"))
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            (FaultKind::Dates, "the peer's certificate is not valid yet: check both clocks".into())
        }
        E::UnknownIssuer => {
            untrusted(format!("nobody that is trusted has issued the peer's certificate: add it to {trusted}"))
        }
        E::ApplicationVerificationFailure => untrusted(
            "the peer's certificate is not the one with the configured fingerprint: was it renewed, or is this another machine?"
                .into(),
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => untrusted(
            "the peer's certificate is for another name than the one that we call: set name, or check = \"ca\" or \
             \"fingerprint\", for this destination"
                .into(),
        ),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            untrusted("the peer's certificate was issued for another purpose (extended key usage)".into())
        }
        E::BadSignature => untrusted(
            "the signature of the peer's certificate is wrong: most often a new CA has the same name as the one that is trusted".into(),
        ),
        E::Other(other) => untrusted(format!(
            "the peer's certificate cannot be used ({other}); a certificate that issued itself is trusted by its fingerprint only"
        )),
        error => untrusted(format!("the peer's certificate cannot be used ({error})")),
    }
}

/// What the peer's alert means for whoever looks after the box.
fn of_alert(alert: AlertDescription) -> String {
    use AlertDescription as A;
    match alert {
        A::UnknownCA | A::BadCertificate | A::CertificateUnknown | A::UnsupportedCertificate => format!(
            "the peer does not accept the box's certificate ({alert:?}): give it the CA that issued it, or the certificate"
        ),
        A::CertificateExpired => {
            "the peer says that the box's certificate has expired: renew it, and check both clocks".into()
        }
        A::CertificateRequired | A::NoCertificate => {
            "the peer requires a certificate and the box has none: set certificate and key in dicom.tls".into()
        }
        A::ProtocolVersion => "the peer speaks another version of TLS; the box speaks 1.2 and 1.3".into(),
        A::HandshakeFailure | A::InsufficientSecurity => {
            format!("the peer finds no cipher suite or signature in common with the box ({alert:?})")
        }
        alert => format!("the peer ended TLS ({alert:?})"),
    }
}

/// How often each kind of failure came since the start, and the last one.
#[derive(Debug, Default)]
pub struct Counts {
    kinds: [AtomicU64; KINDS],
    last: Mutex<Option<Fault>>,
}

impl Counts {
    pub(super) fn add(&self, fault: &Fault) {
        if let Some(count) = self.kinds.get(fault.kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
    }

    pub fn of(&self, kind: FaultKind) -> u64 {
        self.kinds.get(kind as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    pub fn all(&self) -> u64 {
        self.kinds.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub fn last(&self) -> Option<Fault> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
