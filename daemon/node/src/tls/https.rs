//! The page's side: TLS for browsers and programs that know the box by its certificate. They show none themselves: who may come
//! in is decided by a login.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::{self, Unusable};
use super::files::Reread;
use super::provider;

#[derive(Debug)]
pub struct Https {
    certificate: PathBuf,
    key: PathBuf,
    config: Reread<Arc<ServerConfig>>,
}

impl Https {
    /// `certificate` (PEM, followed by those of intermediate CAs if there are any) and its private key.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn open(certificate: &Path, key: &Path) -> Result<Self, Unusable> {
        let files = vec![certificate.to_owned(), key.to_owned()];
        let config = Reread::open("the page", files, || load(certificate, key));
        config.current(|| load(certificate, key))?;
        Ok(Self { certificate: certificate.to_owned(), key: key.to_owned(), config })
    }

    /// Makes a TLS connection of one whose first byte is [`super::HANDSHAKE`]. The caller limits the time.
    ///
    /// # Errors
    /// When the peer breaks off, for example because it does not trust the certificate.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<TlsStream<S>> {
        let config = self.config.current(|| load(&self.certificate, &self.key)).map_err(io::Error::other)?;
        TlsAcceptor::from(config).accept(stream).await
    }
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Unusable> {
    let identity = certificate::identity(certificate, key)?;
    let unusable =
        |error: rustls::Error| Unusable { key: "certificate", path: certificate.to_owned(), reason: error.to_string() };
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(&super::VERSIONS).map_err(unusable)?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    // A WebSocket wants it (RFC 8441 is for HTTP/2, which the page does not speak).
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
