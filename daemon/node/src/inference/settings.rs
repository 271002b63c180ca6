//! Settings of a machine that runs networks for this box, `[inference_host.NAME]`, and of this box as one for its neighbours,
//! `[inference]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use dicom::check::Checker;
use hal::backoff::Pauses;
use serde::{Deserialize, Serialize};

use crate::tls::settings::{DestinationTls, Tls, check_files, switch_or_table};
use crate::web::login::Login;
use crate::web::url::Url;

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InferenceHost {
    /// Where its `/v2` is. Must be set; each key must be readable without the others.
    #[serde(default = "Url::nowhere")]
    pub url: Url,
    /// The first line of this file is the bearer token that we show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Pictures of patients, without their names, may go to it over the network without TLS.
    #[serde(default)]
    pub plain: bool,
    /// How its certificate is judged, and which one we show; for a URL with https.
    #[serde(default, deserialize_with = "switch_or_table", skip_serializing_if = "Option::is_none")]
    pub tls: Option<DestinationTls>,
    /// Seconds for one request, from the connection to the last byte of the answer; then this box does it itself.
    #[serde(default = "default_deadline")]
    pub deadline_secs: f64,
    /// Seconds until a host that failed is asked again; doubles up to `retry_max_secs`.
    #[serde(default = "default_retry")]
    pub retry_secs: f64,
    #[serde(default = "default_retry_max")]
    pub retry_max_secs: f64,
    /// A host that takes more than so many times as long as this box for a run is not asked until a pause is over.
    #[serde(default = "default_slowest")]
    pub slowest: f64,
    /// What it calls the network of a package, by the package's id. Absent: the id, or the id with `-sha256-` and the hash.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, String>,
}

fn default_deadline() -> f64 {
    30.0
}
fn default_retry() -> f64 {
    10.0
}
fn default_retry_max() -> f64 {
    600.0
}

fn default_slowest() -> f64 {
    3.0
}

impl InferenceHost {
    /// With every other setting as it is by default.
    pub fn at(url: Url) -> Self {
        Self {
            url,
            token_file: None,
            plain: false,
            tls: None,
            deadline_secs: default_deadline(),
            retry_secs: default_retry(),
            retry_max_secs: default_retry_max(),
            slowest: default_slowest(),
            models: BTreeMap::new(),
        }
    }

    /// Reports each invalid value under its key, `inference_host.<name>.*`.
    pub fn check(&self, checker: &mut Checker, name: &str) {
        let key = |of: &str| format!("inference_host.{name}.{of}");
        if name.is_empty() || name.len() > 32 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
            let reason = "the name of an inference host must consist of 1 to 32 letters, digits, '-' or '_'";
            checker.refuse(&format!("inference_host.{name}"), reason);
        }
        if self.url.is_nowhere() {
            checker.refuse(&key("url"), "must be set: where is its /v2?");
            return;
        }
        if !self.url.is_secure() && !self.url.is_here() && !self.plain {
            let reason = "pictures would go over the network in plain text: write https://, or set plain = true";
            checker.refuse(&key("url"), reason);
        }
        if self.tls.is_some() && !self.url.is_secure() {
            checker.refuse(&key("tls"), "has no effect on a url that begins with http://: write https://");
        } else if let Some(tls) = &self.tls {
            tls.check(checker, &key("tls"));
        }
        if let Some(login) = self.login() {
            if !self.url.is_secure() && !self.url.is_here() {
                checker
                    .refuse(&key("token_file"), "a login must not go over the network in plain text: write https://");
            } else if let Err(reason) = login.check() {
                checker.refuse_file(&key("token_file"), format!("{}: {reason}", login.file().display()));
            }
        }
        checker.range(&key("deadline_secs"), self.deadline_secs, 0.1..=600.0, "seconds");
        checker.range(&key("retry_secs"), self.retry_secs, 0.01..=86_400.0, "seconds");
        checker.range(&key("retry_max_secs"), self.retry_max_secs, 0.01..=86_400.0, "seconds");
        checker.range(&key("slowest"), self.slowest, 0.01..=10_000.0, "times as long as this box");
        if self.retry_max_secs < self.retry_secs {
            checker.refuse(&key("retry_max_secs"), "is below retry_secs");
        }
        let is_name = |text: &str| {
            (1..=200).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        for (package, model) in &self.models {
            if !is_name(model) {
                let reason = format!("{model:?} is no name of a model: letters, digits, '-', '_' and '.' only");
                checker.refuse(&key(&format!("models.{package}")), reason);
            }
        }
    }

    pub(super) fn login(&self) -> Option<Login> {
        self.token_file.clone().map(Login::Bearer)
    }

    /// Takes what is absent from the box's own settings. A URL with https has TLS without saying so.
    pub fn inherit(&mut self, of_box: &Tls) {
        if self.url.is_secure() {
            self.tls.get_or_insert_default();
        }
        if let Some(tls) = &mut self.tls {
            tls.inherit(of_box);
        }
    }

    pub fn deadline(&self) -> Duration {
        Duration::try_from_secs_f64(self.deadline_secs).unwrap_or(Duration::from_secs(30))
    }

    pub fn pauses(&self) -> Pauses {
        let span = |secs: f64, otherwise| Duration::try_from_secs_f64(secs).unwrap_or(otherwise);
        Pauses::new(span(self.retry_secs, Duration::from_secs(10)), span(self.retry_max_secs, Duration::from_secs(600)))
    }
}

/// This box as an inference host of its neighbours.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct InferenceService {
    /// Where it is served, `address:port`, or `off`. Port 0 takes any free one and the log says which.
    pub address: String,
    /// Addresses of the machines that may ask, besides this one.
    pub neighbours: Vec<IpAddr>,
    /// Programs on this machine may ask. Behind a proxy here that would be everybody: set it to false there.
    pub loopback: bool,
    /// The first line of this file is the token that every request must show. Absent: the address is enough.
    pub token_file: Option<PathBuf>,
    /// Neighbours may send pictures, without names, over the network without TLS.
    pub plain: bool,
    /// The certificate of the service (PEM), followed by those of intermediate CAs if there are any.
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM), readable by the daemon's user only.
    pub key: Option<PathBuf>,
    /// The largest request, MiB.
    pub largest_mib: usize,
    /// Seconds for one request, the time that it waits included.
    pub deadline_secs: f64,
}

impl Default for InferenceService {
    fn default() -> Self {
        Self {
            address: "off".into(),
            neighbours: Vec::new(),
            loopback: true,
            token_file: None,
            plain: false,
            certificate: None,
            key: None,
            largest_mib: 64,
            deadline_secs: 60.0,
        }
    }
}

impl InferenceService {
    /// None when it is off.
    pub fn listen(&self) -> Option<SocketAddr> {
        self.address.parse().ok()
    }

    pub fn largest_bytes(&self) -> usize {
        self.largest_mib.saturating_mul(1 << 20)
    }

    pub fn deadline(&self) -> Duration {
        Duration::try_from_secs_f64(self.deadline_secs).unwrap_or(Duration::from_secs(60))
    }

    /// Says what cannot be used, under `inference.*`.
    pub fn check(&self, checker: &mut Checker) {
        let address = self.listen();
        if address.is_none() && self.address != "off" {
            let reason = format!("{:?} is neither off nor an address and port, such as 0.0.0.0:8485", self.address);
            checker.refuse("inference.address", reason);
        }
        if address.is_some_and(|address| !address.ip().is_loopback()) {
            if self.neighbours.is_empty() {
                let reason = "inference.neighbours must name the addresses that may ask, too";
                checker.refuse("inference.address", reason);
            }
            if self.certificate.is_none() && !self.plain {
                let reason =
                    "pictures would come over the network in plain text: set certificate and key, or plain = true";
                checker.refuse("inference.address", reason);
            }
            if self.certificate.is_none() && self.token_file.is_some() {
                let reason = "a token must not go over the network in plain text: set certificate and key";
                checker.refuse("inference.token_file", reason);
            }
        }
        if let Some(file) = &self.token_file
            && let Err(reason) = Login::Bearer(file.clone()).check()
        {
            checker.refuse_file("inference.token_file", format!("{}: {reason}", file.display()));
        }
        check_files(checker, "inference", self.certificate.as_ref(), self.key.as_ref(), &[]);
        checker.range("inference.largest_mib", self.largest_mib, 1..=4096, "MiB");
        checker.range("inference.deadline_secs", self.deadline_secs, 1.0..=600.0, "seconds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut InferenceHost), url: &str) -> String {
        let mut host = InferenceHost::at(url.parse().unwrap());
        change(&mut host);
        let mut checker = Checker::default();
        host.check(&mut checker, "gpu1");
        checker.into_found().into_iter().map(|(key, reason)| format!("{key}: {reason}; ")).collect()
    }

    #[test]
    fn pictures_go_in_plain_text_only_where_that_is_said() {
        assert!(refused(|_| {}, "http://192.0.2.1:8000").contains("plain = true"));
        assert_eq!(refused(|host| host.plain = true, "http://192.0.2.1:8000"), "");
        assert_eq!(refused(|_| {}, "http://127.0.0.1:8000"), "", "it does not leave the machine");
        let of_login = refused(|host| (host.plain, host.token_file) = (true, Some("/t".into())), "http://192.0.2.1");
        assert!(of_login.contains("login"), "{of_login}");
    }

    #[test]
    fn odd_values_are_named() {
        let url = "http://127.0.0.1:8000";
        assert!(refused(|host| host.deadline_secs = 0.0, url).contains("inference_host.gpu1.deadline_secs"));
        assert!(refused(|host| host.retry_max_secs = 1.0, url).contains("below"));
        let odd = refused(|host| drop(host.models.insert("ct-chest".into(), "../x".into())), url);
        assert!(odd.contains("models.ct-chest"), "{odd}");
    }

    #[test]
    fn a_box_serves_neighbours_only_where_it_is_said_who_and_how() {
        let refused = |change: fn(&mut InferenceService)| {
            let mut service = InferenceService::default();
            change(&mut service);
            let mut checker = Checker::default();
            service.check(&mut checker);
            checker.into_found().into_iter().map(|(key, reason)| format!("{key}: {reason}; ")).collect::<String>()
        };
        assert_eq!(InferenceService::default().listen(), None, "off by default");
        assert_eq!(refused(|_| {}), "");
        assert_eq!(refused(|one| one.address = "127.0.0.1:0".into()), "");
        let open = refused(|one| one.address = "0.0.0.0:8485".into());
        assert!(open.contains("neighbours") && open.contains("plain = true"), "{open}");
        let named = |one: &mut InferenceService| {
            (one.address, one.plain) = ("0.0.0.0:8485".into(), true);
            one.neighbours = vec![IpAddr::from([192, 0, 2, 7])];
        };
        assert_eq!(refused(named), "");
        assert!(refused(|one| one.address = "8485".into()).contains("neither off"));
    }
}
