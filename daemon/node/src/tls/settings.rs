//! Settings of TLS: `[dicom.tls]` for the box, `destination.NAME.tls` for an archive.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use dicom::check::Checker;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::certificate::{self, Fingerprint, Unusable};
use super::judge::Trust;

/// TLS is in use once `certificate` is set.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Address and port, or `off` (then TLS is only used for sending).
    pub listen: String,
    /// The box's certificate (PEM), followed by those of intermediate CAs if there are any.
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM), readable by the daemon's user only.
    pub key: Option<PathBuf>,
    /// Files with the certificates of the CAs (PEM) that issue the peers' certificates.
    pub ca: Vec<PathBuf>,
    /// Certificates of single peers that are trusted whoever issued them, `sha256:...`.
    pub fingerprints: Vec<String>,
    pub client_certificate: ClientCertificate,
    pub judge_dates: JudgeDates,
}

/// Whether a peer that connects must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificate {
    #[default]
    Required,
    /// It may; one that it shows must be good.
    Asked,
    /// It is not asked: encryption only.
    None,
}

/// When the validity dates of certificates count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JudgeDates {
    /// Once a time server has set the clock.
    #[default]
    Synchronised,
    Always,
    Never,
}

/// How the certificate of an archive is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckBy {
    /// Issued by a trusted CA, for the name or address that we call.
    #[default]
    Name,
    /// Issued by a trusted CA, for whatever name.
    Ca,
    /// It is the one certificate with this fingerprint.
    Fingerprint,
}

/// TLS of one destination. What is absent is taken from `[dicom.tls]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DestinationTls {
    pub check: CheckBy,
    /// The name in the archive's certificate, where it is not the host of `address`.
    pub name: Option<String>,
    pub fingerprint: Option<String>,
    pub ca: Vec<PathBuf>,
    /// The certificate that we show.
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub judge_dates: Option<JudgeDates>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:2762".into(),
            certificate: None,
            key: None,
            ca: Vec::new(),
            fingerprints: Vec::new(),
            client_certificate: ClientCertificate::default(),
            judge_dates: JudgeDates::default(),
        }
    }
}

impl Tls {
    /// Where the listener listens for TLS; `None` when it does not.
    pub fn listen(&self) -> Option<SocketAddr> {
        self.listen.parse().ok().filter(|_| self.certificate.is_some())
    }

    /// Reports each invalid value under its key, `dicom.tls.*`. Reads the files. `senders` says whether entries of
    /// senders name certificates that are trusted as well.
    pub(crate) fn check(&self, checker: &mut Checker, senders: bool) {
        if self.listen != "off" && self.listen.parse::<SocketAddr>().is_err() {
            let reason = format!("{:?} is neither off nor an address and port, such as 0.0.0.0:2762", self.listen);
            checker.refuse("dicom.tls.listen", reason);
        }
        for text in &self.fingerprints {
            if let Err(reason) = text.parse::<Fingerprint>() {
                checker.refuse("dicom.tls.fingerprints", reason);
            }
        }
        check_files(checker, "dicom.tls", self.certificate.as_ref(), self.key.as_ref(), &self.ca);
        let nobody = self.ca.is_empty() && self.fingerprints.is_empty() && !senders;
        if self.listen().is_some() && nobody && self.client_certificate != ClientCertificate::None {
            let reason = "no certificate of a peer is trusted: set dicom.tls.ca or dicom.tls.fingerprints, or \
                          client_certificate = \"none\" for encryption without proof of who the peer is";
            checker.refuse("dicom.tls.certificate", reason);
        }
    }
}

impl DestinationTls {
    /// Takes what is absent from the box's own settings.
    pub fn inherit(&mut self, of_box: &Tls) {
        if self.ca.is_empty() {
            self.ca.clone_from(&of_box.ca);
        }
        if self.certificate.is_none() && self.key.is_none() {
            self.certificate.clone_from(&of_box.certificate);
            self.key.clone_from(&of_box.key);
        }
        self.judge_dates.get_or_insert(of_box.judge_dates);
    }

    pub(crate) fn check(&self, checker: &mut Checker, key: &str) {
        check_files(checker, key, self.certificate.as_ref(), self.key.as_ref(), &self.ca);
        match (self.check, &self.fingerprint) {
            (CheckBy::Fingerprint, None) => {
                checker.refuse(&format!("{key}.check"), "fingerprint must be set, too");
            }
            (_, Some(text)) => {
                if let Err(reason) = text.parse::<Fingerprint>() {
                    checker.refuse(&format!("{key}.fingerprint"), reason);
                } else if self.check != CheckBy::Fingerprint {
                    let reason = "has no effect: set check = \"fingerprint\"";
                    checker.refuse(&format!("{key}.fingerprint"), reason);
                }
            }
            (CheckBy::Name | CheckBy::Ca, None) if self.ca.is_empty() => {
                let reason = "no CA is trusted: set dicom.tls.ca (or ca here), or check = \"fingerprint\"";
                checker.refuse(key, reason);
            }
            (CheckBy::Name | CheckBy::Ca, None) => {}
        }
    }
}

/// Reports certificate, key and CAs that cannot be used under their key below `of`. Reads the files.
pub fn check_files(
    checker: &mut Checker,
    of: &str,
    certificate: Option<&PathBuf>,
    key: Option<&PathBuf>,
    ca: &[PathBuf],
) {
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            if let Err(Unusable { key, path, reason }) = certificate::identity(certificate, key) {
                checker.refuse_file(&format!("{of}.{key}"), format!("{}: {reason}", path.display()));
            }
        }
        (Some(_), None) => {
            checker.refuse(&format!("{of}.certificate"), "key, the private key of the certificate, must be set, too")
        }
        (None, Some(_)) => {
            checker.refuse(&format!("{of}.key"), "certificate, the certificate of the key, must be set, too")
        }
        (None, None) => {}
    }
    for path in ca {
        if let Err(error) = Trust::of_ca_files(std::slice::from_ref(path)) {
            checker.refuse_file(&format!("{of}.ca"), error.to_string());
        }
    }
}

/// `tls = true`, `tls = false`, or a table.
pub(crate) fn switch_or_table<'de, D>(from: D) -> Result<Option<DestinationTls>, D::Error>
where
    D: Deserializer<'de>,
{
    struct SwitchOrTable;
    impl<'de> Visitor<'de> for SwitchOrTable {
        type Value = Option<DestinationTls>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true, false or a table")
        }

        fn visit_bool<E>(self, on: bool) -> Result<Self::Value, E> {
            Ok(on.then(DestinationTls::default))
        }

        fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
            DestinationTls::deserialize(MapAccessDeserializer::new(table)).map(Some)
        }
    }
    from.deserialize_any(SwitchOrTable)
}
