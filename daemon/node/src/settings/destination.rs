//! Settings of one destination of results, `[destination.NAME]`: reached by associations, or by URL.

use std::path::PathBuf;

use custody::store::rejections;
use dicom::check::Checker;
use serde::{Deserialize, Serialize};

use super::check_address;
use crate::tls::settings::{DestinationTls, Tls, switch_or_table};
use crate::web::login::Login;
use crate::web::url::Url;

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// `host:port`. Empty where there is a `url`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ae_title: String,
    /// Of its DICOMweb service: it gets results by STOW-RS and not by C-STORE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Url>,
    /// The first line of this file is the bearer token that we show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// As whom we log in by password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The first line of this file is the password of `user`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Our AE title on this association.
    #[serde(default = "default_calling")]
    pub calling_ae_title: String,
    /// Seconds before the first retry; doubles up to `retry_max_secs`, for ever.
    #[serde(default = "default_retry")]
    pub retry_secs: f64,
    #[serde(default = "default_retry_max")]
    pub retry_max_secs: f64,
    /// Whether results that were made with a simulated device or accelerator are sent to this destination. Never set it
    /// for an archive that clinicians use.
    #[serde(default)]
    pub accepts_simulated: bool,
    /// Which kinds of results are sent to it. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<ResultKind>>,
    /// Whether it is told, by an IHE rejection note, of results that it has and that do not count any more.
    #[serde(default)]
    pub rejection_notes: bool,
    /// `true`, or a table: how the archive's certificate is judged, and which one we show.
    #[serde(default, deserialize_with = "switch_or_table", skip_serializing_if = "Option::is_none")]
    pub tls: Option<DestinationTls>,
    /// Whether it is asked for storage commitment of what it took.
    #[serde(default)]
    pub commitment: Asking,
    /// Days after which an archive that has not reported is asked again.
    #[serde(default = "default_commitment_days")]
    pub commitment_days: f64,
}

/// A kind of result, with its word in the configuration and in the list of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultKind {
    /// Structured report.
    Sr,
    /// Segmentation.
    Seg,
    /// Key images of a CT: Secondary Capture.
    Sc,
    /// The document: Encapsulated PDF.
    Pdf,
    /// Clips of an ultrasound exam.
    Us,
    /// Key images of an ultrasound exam.
    UsKey,
    /// Breast imaging report (TID 4200): Enhanced SR.
    BreastReport,
    /// Marks of a mammography (TID 4000): Mammography CAD SR.
    MgCad,
}

impl ResultKind {
    pub const ALL: [Self; 8] =
        [Self::Sr, Self::Seg, Self::Sc, Self::Pdf, Self::Us, Self::UsKey, Self::BreastReport, Self::MgCad];

    pub fn word(self) -> &'static str {
        match self {
            Self::Sr => "sr",
            Self::Seg => "seg",
            Self::Sc => "sc",
            Self::Pdf => "pdf",
            Self::Us => "us",
            Self::UsKey => "us-key",
            Self::BreastReport => "breast-report",
            Self::MgCad => "mg-cad",
        }
    }
}

/// Whether a destination is asked for storage commitment. Retention keeps what it has not committed, if it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asking {
    /// Never: it counts what was sent.
    Off,
    /// Where it offers storage commitment; a few times, then what was sent counts.
    #[default]
    Auto,
    /// Always, for ever.
    Ask,
}

fn default_commitment_days() -> f64 {
    2.0
}

fn default_calling() -> String {
    "SCANSIDE".into()
}
fn default_retry() -> f64 {
    5.0
}
fn default_retry_max() -> f64 {
    600.0
}

impl Destination {
    /// Reports each invalid value under its key, `destination.<name>.*`.
    pub fn check(&self, checker: &mut Checker, name: &str) {
        let key = |of: &str| format!("destination.{name}.{of}");
        if name.is_empty() || name.len() > 32 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
            let reason = "the name of a destination must consist of 1 to 32 letters, digits, '-' or '_'";
            checker.refuse(&format!("destination.{name}"), reason);
        }
        match &self.url {
            Some(url) => self.check_web(checker, name, url),
            None => self.check_dimse(checker, name),
        }
        checker.range(&key("retry_secs"), self.retry_secs, 0.01..=86_400.0, "seconds");
        checker.range(&key("retry_max_secs"), self.retry_max_secs, 0.01..=86_400.0, "seconds");
        if self.retry_max_secs < self.retry_secs {
            checker.refuse(&key("retry_max_secs"), "is below retry_secs");
        }
        checker.range(&key("commitment_days"), self.commitment_days, 0.000_001..=60.0, "days");
        if self.results.as_ref().is_some_and(Vec::is_empty) {
            checker.refuse(&key("results"), "names no kind of result: leave it out for all, or remove the destination");
        }
        if let Some(tls) = self.tls.as_ref().filter(|_| self.url.as_ref().is_none_or(Url::is_secure)) {
            tls.check(checker, &key("tls"));
        }
    }

    fn check_dimse(&self, checker: &mut Checker, name: &str) {
        let key = |of: &str| format!("destination.{name}.{of}");
        if self.address.is_empty() && self.ae_title.is_empty() {
            let reason = "where is it? Set address and ae_title (DICOM), or url (STOW-RS)";
            checker.refuse(&format!("destination.{name}"), reason);
            return;
        }
        if self.address.is_empty() {
            checker.refuse(&key("address"), "must be set");
        } else {
            check_address(checker, &key("address"), &self.address);
        }
        if self.ae_title.is_empty() {
            checker.refuse(&key("ae_title"), "must be set");
        } else {
            checker.ae_title(&key("ae_title"), &self.ae_title);
        }
        checker.ae_title(&key("calling_ae_title"), &self.calling_ae_title);
        let of_web = [
            ("token_file", self.token_file.is_some()),
            ("user", self.user.is_some()),
            ("password_file", self.password_file.is_some()),
        ];
        for (of, _) in of_web.iter().filter(|(_, is_set)| *is_set) {
            checker.refuse(&key(of), "is for a destination with a url only");
        }
    }

    fn check_web(&self, checker: &mut Checker, name: &str, url: &Url) {
        let key = |of: &str| format!("destination.{name}.{of}");
        let of_dimse = [("address", &self.address), ("ae_title", &self.ae_title)];
        if let Some((of, _)) = of_dimse.into_iter().find(|(_, value)| !value.is_empty()) {
            let reason = "is for DICOM, and url is for STOW-RS: a destination has one of the two ways";
            checker.refuse(&key(of), reason);
        }
        if self.tls.is_some() && !url.is_secure() {
            checker.refuse(&key("tls"), "has no effect on a url that begins with http://: write https://");
        }
        match (&self.token_file, &self.user, &self.password_file) {
            (Some(_), None, None) | (None, Some(_), Some(_)) | (None, None, None) => {}
            (None, Some(_), None) => checker.refuse(&key("user"), "password_file must be set, too"),
            (None, None, Some(_)) => checker.refuse(&key("password_file"), "user must be set, too"),
            (Some(_), ..) => checker.refuse(&key("token_file"), "set either token_file, or user and password_file"),
        }
        if self.user.as_ref().is_some_and(|user| user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()))
        {
            checker.refuse(&key("user"), "must not be empty, and must not have a colon or control characters");
        }
        let Some(login) = self.login() else { return };
        let of = if self.token_file.is_some() { "token_file" } else { "password_file" };
        if !url.is_secure() && !url.is_here() {
            let reason = "a login must not go over the network in plain text: write https:// in the url";
            checker.refuse(&key(of), reason);
        } else if let Err(reason) = login.check() {
            checker.refuse_file(&key(of), format!("{}: {reason}", login.file().display()));
        }
    }

    /// What it is shown by HTTP.
    pub fn login(&self) -> Option<Login> {
        match (&self.token_file, &self.user, &self.password_file) {
            (Some(file), ..) => Some(Login::Bearer(file.clone())),
            (None, Some(user), Some(password)) => Some(Login::Basic { user: user.clone(), password: password.clone() }),
            _ => None,
        }
    }

    /// As people name it: `AE@host:port`, or its URL.
    pub fn place(&self) -> String {
        match &self.url {
            Some(url) => url.to_string(),
            None => format!("{}@{}", self.ae_title.trim(), self.address),
        }
    }

    /// Takes what is absent from the box's own settings. A URL with https has TLS without saying so.
    pub fn inherit(&mut self, of_box: &Tls) {
        if self.url.as_ref().is_some_and(Url::is_secure) {
            self.tls.get_or_insert_default();
        }
        if let Some(tls) = &mut self.tls {
            tls.inherit(of_box);
        }
    }

    /// The words of the kinds of results that it takes, rejection notes among them; `None` for all.
    pub fn kinds(&self) -> Option<Vec<&'static str>> {
        if self.results.is_none() && self.rejection_notes {
            return None;
        }
        let kinds = self.results.as_deref().unwrap_or(&ResultKind::ALL);
        let note = self.rejection_notes.then_some(rejections::KIND);
        Some(kinds.iter().map(|kind| kind.word()).chain(note).collect())
    }
}
