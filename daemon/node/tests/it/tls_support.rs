//! A site with its own CA, whose certificates are made for each test; and a node that listens for TLS.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use node::settings::Dicom;
use node::tls::certificate::Fingerprint;
use node::tls::settings::{DestinationTls, JudgeDates, Tls};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;

/// A CA and the directory in which its certificates lie.
pub struct Site {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// The files of one machine.
#[derive(Clone)]
pub struct Machine {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub fingerprint: String,
}

impl Site {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of two CAs with one name, the other's certificates would have a wrong signature instead of an unknown issuer.
        let name = format!("CA {}", Fingerprint::of(key.public_key_raw()));
        params.distinguished_name.push(DnType::CommonName, &name[..24]);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { directory, issuer: Issuer::new(params, key) }
    }

    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A machine whose certificate is good until 2120.
    pub fn machine(&self, name: &str) -> Machine {
        self.machine_until(name, 2120)
    }

    /// A machine whose certificate began in 2000 and ends with this year. `name` is also in the certificate.
    pub fn machine_until(&self, name: &str, year: i32) -> Machine {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(year, 12, 31));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |ending: &str| self.directory.path().join(format!("{name}.{ending}"));
        let machine = Machine {
            certificate: file("pem"),
            key: file("key"),
            fingerprint: Fingerprint::of(certificate.der()).to_string(),
        };
        std::fs::write(&machine.certificate, certificate.pem()).unwrap();
        std::fs::write(&machine.key, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&machine.key, std::fs::Permissions::from_mode(0o600)).unwrap();
        machine
    }

    /// The box's settings: it trusts this CA, and judges dates by its clock.
    pub fn tls(&self, machine: &Machine) -> Tls {
        Tls {
            listen: format!("{}:0", Ipv4Addr::LOCALHOST),
            certificate: Some(machine.certificate.clone()),
            key: Some(machine.key.clone()),
            ca: vec![self.ca()],
            judge_dates: JudgeDates::Always,
            ..Tls::default()
        }
    }

    /// A change of the node's settings: TLS with the certificate of a machine named `box.test`.
    pub fn secure(&self) -> impl FnOnce(&mut Dicom) + use<> {
        let tls = self.tls(&self.machine("box.test"));
        move |settings| settings.tls = tls
    }

    /// Of an archive that is this machine, and wants a certificate that this CA has issued.
    pub fn acceptor(&self, machine: &Machine) -> tokio_rustls::TlsAcceptor {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let chain = vec![CertificateDer::from_pem_file(&machine.certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&machine.key).unwrap();
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    }

    /// How `machine` connects to somebody whom this CA vouches for.
    pub fn client(&self, machine: &Machine) -> DestinationTls {
        DestinationTls {
            name: Some("box.test".into()),
            ca: vec![self.ca()],
            certificate: Some(machine.certificate.clone()),
            key: Some(machine.key.clone()),
            judge_dates: Some(JudgeDates::Always),
            ..DestinationTls::default()
        }
    }
}
