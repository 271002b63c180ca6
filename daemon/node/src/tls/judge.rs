//! Which certificates are accepted: of peers that connect, and of archives that we connect to. rustls has checked that the peer
//! holds the private key; chains are built and verified by webpki.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::Calendar;
use super::certificate::{self, Certificate, Fingerprint, Unusable};
use super::settings::CheckBy;

/// Whom to trust: single certificates, whoever issued them, and what CAs have issued.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    pub(super) fingerprints: Vec<Fingerprint>,
    pub(super) roots: Option<Arc<RootCertStore>>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Trust {
    /// # Errors
    /// When a file cannot be read or holds no certificate of a CA.
    pub(crate) fn of_ca_files(files: &[PathBuf]) -> Result<Self, Unusable> {
        let mut roots = RootCertStore::empty();
        for path in files {
            for der in certificate::read("ca", path)? {
                roots.add(der).map_err(|error| Unusable {
                    key: "ca",
                    path: path.clone(),
                    reason: format!("cannot be used as the certificate of a CA ({error})"),
                })?;
            }
        }
        if roots.is_empty() {
            return Ok(Self::default());
        }
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), super::provider()).build();
        // Fails for an empty store only.
        Ok(Self { fingerprints: Vec::new(), roots: Some(roots), clients: clients.ok() })
    }

    pub(super) fn with(mut self, fingerprints: impl IntoIterator<Item = Fingerprint>) -> Self {
        self.fingerprints.extend(fingerprints);
        self
    }

    /// Judges the certificate of a peer that connected to us. `today`: `None` when dates are not judged.
    pub(super) fn judge_client(
        &self,
        today: Option<i64>,
        own: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
    ) -> Result<(), Error> {
        if self.fingerprints.contains(&Fingerprint::of(own)) {
            return judge_dates(today, own);
        }
        let Some(clients) = &self.clients else { return Err(CertificateError::UnknownIssuer.into()) };
        at(today, own, issuers, |now| clients.verify_client_cert(own, issuers, now).map(|_| ()))
    }
}

/// Of a certificate that is trusted by its fingerprint.
fn judge_dates(today: Option<i64>, own: &CertificateDer<'_>) -> Result<(), Error> {
    let certificate = Certificate::of(own).map_err(|_| CertificateError::BadEncoding)?;
    match today {
        Some(today) if today > certificate.not_after => Err(CertificateError::Expired.into()),
        Some(today) if today < certificate.not_before => Err(CertificateError::NotValidYet.into()),
        _ => Ok(()),
    }
}

/// Verifies as of `today`. When dates are not judged: as of any moment at which one of the certificates begins or ends, since
/// if the chain was ever good, it was at one of these.
fn at<T>(
    today: Option<i64>,
    own: &CertificateDer<'_>,
    issuers: &[CertificateDer<'_>],
    verify: impl Fn(UnixTime) -> Result<T, Error>,
) -> Result<T, Error> {
    let unix = |secs: i64| UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(secs).unwrap_or(0)));
    if let Some(today) = today {
        return verify(unix(today));
    }
    let mut outcome = verify(unix(0));
    for certificate in std::iter::once(own).chain(issuers).filter_map(|der| Certificate::of(der).ok()) {
        for moment in [certificate.not_before, certificate.not_after] {
            match &outcome {
                Err(Error::InvalidCertificate(error)) if is_of_dates(error) => outcome = verify(unix(moment)),
                _ => return outcome,
            }
        }
    }
    outcome
}

fn is_of_dates(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
    )
}

/// That the peer holds the private key: the same for both kinds of verifier, and left to rustls.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls12_signature(message, cert, dss, &self.algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, cert, dss, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

/// Judges who connects to us.
#[derive(Debug)]
pub(super) struct ClientJudge {
    /// What `dicom.tls` trusts.
    pub(super) known: Trust,
    /// What single entries of senders trust, by their value of `certificate`.
    pub(super) of_senders: Vec<(String, Trust)>,
    pub(super) mandatory: bool,
    pub(super) calendar: Calendar,
    pub(super) hints: Vec<DistinguishedName>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientJudge {
    /// The values of senders' `certificate` that this one satisfies.
    pub(super) fn satisfies(&self, own: &CertificateDer<'_>, issuers: &[CertificateDer<'_>]) -> Vec<String> {
        let today = self.calendar.today();
        let satisfied = self.of_senders.iter().filter(|(_, trust)| trust.judge_client(today, own, issuers).is_ok());
        satisfied.map(|(value, _)| value.clone()).collect()
    }

    pub(super) fn knows(&self, own: &CertificateDer<'_>, issuers: &[CertificateDer<'_>]) -> bool {
        self.known.judge_client(self.calendar.today(), own, issuers).is_ok()
    }
}

impl ClientCertVerifier for ClientJudge {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let today = self.calendar.today();
        let mut why = None;
        for trust in std::iter::once(&self.known).chain(self.of_senders.iter().map(|(_, trust)| trust)) {
            match trust.judge_client(today, own, issuers) {
                Ok(()) => return Ok(ClientCertVerified::assertion()),
                // That somebody's trusted certificate has expired says more than that another CA did not issue it.
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) if why.is_some() => {}
                Err(error) => why = Some(error),
            }
        }
        Err(why.unwrap_or(Error::InvalidCertificate(CertificateError::UnknownIssuer)))
    }

    signatures!();
}

/// Judges an archive that we connect to.
#[derive(Debug)]
pub(super) struct ServerJudge {
    pub(super) check: CheckBy,
    pub(super) trust: Trust,
    pub(super) calendar: Calendar,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ServerJudge {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let today = self.calendar.today();
        if self.check == CheckBy::Fingerprint {
            if !self.trust.fingerprints.contains(&Fingerprint::of(own)) {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
            return judge_dates(today, own).map(|()| ServerCertVerified::assertion());
        }
        let parsed = ParsedCertificate::try_from(own)?;
        let Some(roots) = &self.trust.roots else { return Err(CertificateError::UnknownIssuer.into()) };
        at(today, own, issuers, |now| {
            verify_server_cert_signed_by_trust_anchor(&parsed, roots, issuers, now, self.algorithms.all)
        })?;
        if self.check == CheckBy::Name {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}
