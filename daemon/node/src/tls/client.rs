//! The sender's side: makes a TLS connection to an archive. Its files are read for each connection, so a renewed one counts at
//! once.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate::{self, Fingerprint};
use super::fault::Side;
use super::judge::{ServerJudge, Trust};
use super::settings::{CheckBy, DestinationTls};
use super::{Calendar, Fault, FaultKind, provider};

/// How to connect to one destination by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client(DestinationTls);

impl From<&DestinationTls> for Client {
    fn from(settings: &DestinationTls) -> Self {
        Self(settings.clone())
    }
}

impl Client {
    /// `host`: what the archive's certificate is for, unless the settings name something else.
    pub(crate) async fn connect(&self, stream: TcpStream, host: &str) -> Result<TlsStream<TcpStream>, Fault> {
        let config = self.config().map_err(|reason| Fault::new(FaultKind::Other, reason))?;
        let name = self.0.name.as_deref().unwrap_or(host).trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name.to_owned()).map_err(|_| {
            Fault::new(
                FaultKind::Untrusted,
                format!("{name:?} is no name that a certificate can have: set name for this destination"),
            )
        })?;
        let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        connected.map_err(|error| Fault::of_io(&error, Side::Client))
    }

    fn config(&self) -> Result<ClientConfig, String> {
        let settings = &self.0;
        let pinned = settings.fingerprint.iter().filter_map(|text| text.parse::<Fingerprint>().ok());
        let judge = ServerJudge {
            check: settings.check,
            trust: Trust::of_ca_files(&settings.ca).map_err(|error| error.to_string())?.with(pinned),
            calendar: Calendar::new(settings.judge_dates.unwrap_or_default()),
            algorithms: provider().signature_verification_algorithms,
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&super::VERSIONS)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge));
        let mut config = match self.identity() {
            Some((certificate, key)) => {
                let identity = certificate::identity(certificate, key).map_err(|error| error.to_string())?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
            }
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        // A name that is not checked need not be told either: some archives refuse one that they do not know.
        config.enable_sni = settings.check == CheckBy::Name;
        Ok(config)
    }

    fn identity(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.0.certificate.as_ref().zip(self.0.key.as_ref())
    }
}
