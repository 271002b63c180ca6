//! TLS below DICOM associations: the second port of the listener (PS3.15 section B.12), and connections to destinations.
//!
//! ```text
//! settings -> server: accept -> judge (who is this?) -> Facts -> policy (may this AE title come with this certificate?)
//! Destination -> client: connect -> judge (is this the archive?)
//! certificate of the page -> https: accept (a browser)
//! calendar: whether dates count     fault: every failure in plain words, counted     expiry: what ends soon
//! ```
//!
//! rustls does the cryptography. No session is resumed: every connection is judged anew, so a certificate that is withdrawn
//! from the configuration or has expired does not live on in a ticket. The files are read again when they change, so a
//! renewed certificate needs no restart.

mod calendar;
pub mod certificate;
pub(crate) mod client;
pub mod expiry;
mod fault;
mod files;
pub mod https;
mod judge;
pub(crate) mod link;
pub(crate) mod server;
pub mod settings;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{CipherSuite, SupportedProtocolVersion, version};

pub use calendar::Calendar;
pub use client::Client;
pub use fault::{Counts, Fault, FaultKind};

/// The first byte of every TLS connection (RFC 8446 section 5.1: a handshake record).
pub const HANDSHAKE: u8 = 0x16;

/// Nothing older (RFC 8996); the newer one is preferred.
static VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// Those of TLS 1.3, and the four of TLS 1.2 that RFC 9325 section 4.2 recommends: ephemeral keys and authenticated encryption.
const SUITES: [CipherSuite; 7] = [
    CipherSuite::TLS13_AES_256_GCM_SHA384,
    CipherSuite::TLS13_AES_128_GCM_SHA256,
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
];

/// What the connection of an association says about its peer. No names: the certificate by its fingerprint only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// As `TLSv1_3`.
    pub version: String,
    pub cipher_suite: String,
    /// Of the peer's certificate; `None` when it gave none.
    pub fingerprint: Option<certificate::Fingerprint>,
    /// Whether `dicom.tls` itself trusts the certificate, not only the entry of one sender.
    pub is_known: bool,
    /// The values of `dicom.sender.certificate` that this certificate satisfies.
    pub satisfies: Vec<String>,
    /// Whether the validity dates counted.
    pub dates_judged: bool,
}

/// What TLS said, where an error of a connection that we made carries it.
pub(crate) fn in_io(error: &std::io::Error) -> Option<Fault> {
    Fault::in_io(error, fault::Side::Client)
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| SUITES.contains(&suite.suite()));
    Arc::new(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_suites_of_the_profile_are_offered() {
        let offered: Vec<_> = provider().cipher_suites.iter().map(|suite| suite.suite()).collect();
        assert_eq!(offered.len(), SUITES.len(), "{offered:?}");
        for suite in offered {
            let name = format!("{suite:?}");
            assert!(name.starts_with("TLS13_") || (name.starts_with("TLS_ECDHE_") && name.contains("_GCM_")), "{name}");
        }
    }
}
