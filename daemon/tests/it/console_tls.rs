//! The page by TLS, for browsers on other machines.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::settings::Console;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::console::elsewhere;
use super::console_support::{Answer, Site, within};

const TOKEN: &str = "a token of this box";

/// Files of a box whose certificate is for `box.test`.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::write(made.path("token"), TOKEN).unwrap();
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a new certificate and its key; returns the certificate.
    fn issue(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = CertificateParams::new(["box.test".to_owned()]).unwrap().self_signed(&key).unwrap();
        replace(&self.path("page.key"), &key.serialize_pem());
        replace(&self.path("page.pem"), &certificate.pem());
        certificate.der().clone()
    }

    fn settings(&self) -> Console {
        Console {
            address: "0.0.0.0:0".into(),
            token_file: Some(self.path("token")),
            certificate: Some(self.path("page.pem")),
            key: Some(self.path("page.key")),
            ..Console::default()
        }
    }
}

/// As a person would: the file is never there in part, and others may not read it.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// A browser that trusts one certificate.
struct Browser {
    connector: TlsConnector,
    address: SocketAddr,
}

impl Browser {
    fn new(trusted: &CertificateDer<'static>, address: SocketAddr) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Self { connector: TlsConnector::from(Arc::new(config)), address }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        self.connector.connect(ServerName::try_from("box.test").unwrap(), stream).await
    }

    async fn ask(&self, what: &str, headers: &[&str], body: &str) -> Answer {
        let lines = headers.iter().map(|line| format!("{line}\r\n")).collect::<String>();
        let (host, length) = (self.address, body.len());
        let request = format!(
            "{what} HTTP/1.1\r\nHost: {host}\r\n{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let mut stream = self.connect().await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The end of a connection without close_notify is an error here, and none of the answer.
        let _ = within("an answer", stream.read_to_end(&mut answer)).await;
        Answer::of(&String::from_utf8_lossy(&answer))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_other_machines_get_the_page_by_tls_only_and_the_kiosk_as_before() {
    let Some(address) = elsewhere() else { return };
    let own = Files::new();
    let trusted = own.issue();
    let mut site = Site::with(own.settings()).await;
    assert_eq!(site.ask("GET /session", &[], "").await.status, 204, "the kiosk needs neither token nor TLS");
    site.address.set_ip(address);

    let token = format!(r#"{{"token":"{TOKEN}"}}"#);
    for path in ["/", "/studies?x=1", "/assets/page.js", "/metrics"] {
        let answer = site.ask(&format!("GET {path}"), &[], "").await;
        let place = format!("https://{}{path}", site.address);
        assert_eq!((answer.status, answer.header("location")), (307, Some(place.as_str())), "{path}");
        assert_eq!(answer.body, "use https");
    }
    let plain = site.post("/login", &token).await;
    assert_eq!((plain.status, plain.header("set-cookie")), (403, None), "the right token was readable on its way");
    let evil = site.ask("GET /", &["Host: evil.example"], "").await;
    assert_eq!((evil.status, evil.header("location")), (421, None), "nobody is sent to another host");
    let origin = format!("http://{}", site.address);
    assert!(site.knock(&[("Origin", &origin)]).await.is_err());

    let browser = Browser::new(&trusted, site.address);
    let first = browser.ask("GET /", &[], "").await;
    assert_eq!((first.status, first.header("location")), (303, Some("/login")));
    let json = "Content-Type: application/json";
    let plain_origin = format!("Origin: {origin}");
    assert_eq!(
        browser.ask("POST /login", &[json, &plain_origin], &token).await.status,
        403,
        "a page that came without TLS"
    );
    let secure_origin = format!("Origin: https://{}", site.address);
    let login = browser.ask("POST /login", &[json, &secure_origin], &token).await;
    let cookie = login.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
    let line = format!("Cookie: {}", cookie.split(';').next().unwrap());
    assert_eq!(browser.ask("GET /session", &[], "").await.status, 401);
    assert_eq!(browser.ask("GET /session", &[&line], "").await.status, 204);

    let mut request = format!("wss://{}/live", site.address).into_client_request().unwrap();
    request.headers_mut().insert("Origin", format!("https://{}", site.address).parse().unwrap());
    request.headers_mut().insert("Cookie", line.strip_prefix("Cookie: ").unwrap().parse().unwrap());
    site.show(1);
    let (mut page, _) = tokio_tungstenite::client_async(request, browser.connect().await.unwrap()).await.unwrap();
    within("a picture", async {
        while !futures_util::StreamExt::next(&mut page).await.unwrap().unwrap().is_binary() {}
    })
    .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_of_the_page_counts_at_once_and_a_broken_one_changes_nothing() {
    let own = Files::new();
    let first = own.issue();
    let site = Site::with(own.settings()).await;
    let of = |trusted: &CertificateDer<'static>| Browser::new(trusted, site.address);
    assert!(of(&first).connect().await.is_ok());
    let second = own.issue();
    assert!(of(&first).connect().await.is_err(), "another one is shown");
    assert!(of(&second).connect().await.is_ok());
    replace(&own.path("page.pem"), "no certificate");
    assert!(of(&second).connect().await.is_ok());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_begins_like_tls_and_is_none_ends_and_the_next_one_is_served() {
    let own = Files::new();
    let trusted = own.issue();
    let site = Site::with(own.settings()).await;
    for sent in [&[0x16, 3, 1, 0, 5, 0, 0, 0, 0, 0][..], &[0x16; 4096][..], &[0x80, 0x2e, 1][..]] {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut answer)).await;
    }
    assert_eq!(Browser::new(&trusted, site.address).ask("GET /nowhere", &[], "").await.status, 404);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_is_named_with_its_key() {
    let own = Files::new();
    own.issue();
    std::fs::remove_file(own.path("page.key")).unwrap();
    let error = scansided::console::Server::bind(&own.settings()).await.unwrap_err().to_string();
    assert!(error.starts_with("console.key: ") && error.contains("page.key"), "{error}");
}
