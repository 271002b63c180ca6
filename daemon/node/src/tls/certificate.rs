//! Certificates and keys in files (PEM), and what of a certificate people and policy need: fingerprint, subject, dates.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::calendar::date;

/// SHA-256 of a certificate's DER form, as `openssl x509 -fingerprint -sha256` prints it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    /// `sha256:` and 64 hexadecimal digits; colons between them and capitals are allowed.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").map(|digits| digits.replace(':', ""));
        let bytes = digits.and_then(|digits| hex::decode(digits).ok()).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            format!(
                "{text:?} is no fingerprint: sha256: and 64 hexadecimal digits, as `scansidectl cert show` prints it"
            )
        })
    }
}

/// What is known of a certificate without judging it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub fingerprint: Fingerprint,
    /// As `CN=SCANSIDE, O=Clinic`.
    pub subject: String,
    pub issuer: String,
    /// Seconds since 1970.
    pub not_before: i64,
    pub not_after: i64,
    pub is_ca: bool,
}

impl Certificate {
    /// # Errors
    /// When it is no X.509 certificate, in words.
    pub fn of(der: &[u8]) -> Result<Self, String> {
        let (_, parsed) =
            X509Certificate::from_der(der).map_err(|error| format!("is not an X.509 certificate ({error})"))?;
        let validity = parsed.validity();
        Ok(Self {
            fingerprint: Fingerprint::of(der),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            is_ca: parsed.is_ca(),
        })
    }

    /// `YYYY-MM-DD`.
    pub fn expires(&self) -> String {
        date(self.not_after)
    }
}

/// Why certificate or key cannot be used. `key` is the setting below `dicom.tls` that names the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Unusable {
    pub key: &'static str,
    pub path: PathBuf,
    pub reason: String,
}

/// All certificates of a file, at least one.
///
/// # Errors
/// When the file cannot be read or holds none.
pub fn read(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let unusable = |reason: String| Unusable { key, path: path.to_owned(), reason };
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<_, pem::Error>>);
    let certificates = found.map_err(|error| unusable(words(&error, "certificate", "CERTIFICATE")))?;
    if certificates.is_empty() {
        return Err(unusable(words(&pem::Error::NoItemsFound, "certificate", "CERTIFICATE")));
    }
    for der in &certificates {
        Certificate::of(der).map_err(unusable)?;
    }
    Ok(certificates)
}

/// Certificate (with those of intermediate CAs, if any, after it) and its private key.
///
/// # Errors
/// When a file cannot be read, or the two do not belong together.
pub fn identity(certificate: &Path, key: &Path) -> Result<CertifiedKey, Unusable> {
    let chain = read("certificate", certificate)?;
    let unusable = |reason: String| Unusable { key: "key", path: key.to_owned(), reason };
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(words(&error, "private key", "PRIVATE KEY")))?;
    if std::fs::metadata(key).is_ok_and(|file| file.permissions().mode() & 0o007 != 0) {
        return Err(unusable("everyone on this machine can use this private key: `chmod o= FILE`".into()));
    }
    CertifiedKey::from_der(chain, private, &super::provider()).map_err(|error| {
        let reason = match error {
            rustls::Error::InconsistentKeys(_) => {
                format!(
                    "is not the key of the certificate in {}: give the two files that were made together",
                    certificate.display()
                )
            }
            error => format!("this key cannot be used ({error}): make one with `scansidectl cert`"),
        };
        unusable(reason)
    })
}

fn words(error: &pem::Error, what: &str, label: &str) -> String {
    match error {
        pem::Error::Io(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            format!("may not be read by the user that runs this: `chown scanside FILE` ({error})")
        }
        pem::Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("there is no such file: make it with `scansidectl cert` ({error})")
        }
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => format!(
            "holds no {what} in PEM form (-----BEGIN {label}-----). A password on the key must be taken off: `openssl pkey`"
        ),
        error => format!("is damaged ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_openssl_and_as_we_print_it() {
        let of = Fingerprint::of(b"x");
        assert_eq!(of.to_string().parse(), Ok(of));
        let colons: Vec<_> =
            hex::encode_upper(of.0).as_bytes().chunks(2).map(|pair| String::from_utf8(pair.into()).unwrap()).collect();
        assert_eq!(format!("sha256:{}", colons.join(":")).parse(), Ok(of));
        for wrong in ["", "sha256:", "sha256:00", "sha1:00", &format!("sha256:{}", "g".repeat(64))] {
            assert!(wrong.parse::<Fingerprint>().unwrap_err().contains("cert show"), "{wrong}");
        }
    }
}
