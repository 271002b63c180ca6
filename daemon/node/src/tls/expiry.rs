//! Which of the box's certificates end soon: people are told a month before.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Calendar;
use super::calendar::date;
use super::certificate::{self, Certificate, Unusable};
use super::server::ca_file;
use super::settings::{CheckBy, DestinationTls};
use crate::settings::{Destination, Dicom};
use crate::worklist::settings::WorklistServer;

const WARN_SECS: i64 = 30 * 24 * 3600;
const DAY_SECS: i64 = 24 * 3600;

/// Who needs a certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    /// The port for DICOM over TLS.
    Listener,
    /// A sender that must show a certificate, by its AE title.
    Sender(String),
    /// By its name.
    Destination(String),
    WorklistServer,
}

/// A file with certificates that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    pub file: PathBuf,
    /// Those that it trusts; otherwise its own, followed by those of intermediate CAs.
    pub is_ca: bool,
    pub users: Vec<User>,
}

/// When what is in a file ends, seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// From then on something is missing.
    pub first: i64,
    /// From then on nothing of it holds.
    pub last: i64,
}

/// Every file with certificates that is in use, once. Pure.
pub fn configured(
    dicom: &Dicom,
    destinations: &BTreeMap<String, Destination>,
    worklist: &WorklistServer,
) -> Vec<Configured> {
    let mut found: BTreeMap<(PathBuf, bool), Vec<User>> = BTreeMap::new();
    let mut add = |file: &PathBuf, is_ca: bool, user: User| found.entry((file.clone(), is_ca)).or_default().push(user);
    if dicom.tls.listen().is_some() {
        dicom.tls.certificate.iter().for_each(|file| add(file, false, User::Listener));
        dicom.tls.ca.iter().for_each(|file| add(file, true, User::Listener));
        for sender in &dicom.sender {
            let file = sender.certificate.as_deref().and_then(ca_file);
            file.iter().for_each(|file| add(file, true, User::Sender(sender.ae_title.trim().to_owned())));
        }
    }
    let mut sending = |tls: &DestinationTls, user: &User| {
        tls.certificate.iter().for_each(|file| add(file, false, user.clone()));
        // One certificate is trusted by its fingerprint, whoever issued it.
        let cas = tls.ca.iter().filter(|_| tls.check != CheckBy::Fingerprint);
        cas.for_each(|file| add(file, true, user.clone()));
    };
    for (name, destination) in destinations {
        destination.tls.iter().for_each(|tls| sending(tls, &User::Destination(name.clone())));
    }
    if worklist.address.is_some() {
        worklist.tls.iter().for_each(|tls| sending(tls, &User::WorklistServer));
    }
    found.into_iter().map(|((file, is_ca), users)| Configured { file, is_ca, users }).collect()
}

/// Reads the file. Of two certificates of one subject the one that ends later counts: a CA that is renewed lies beside the old
/// one for a while.
///
/// # Errors
/// When it cannot be read or holds no certificate.
pub fn ends(configured: &Configured) -> Result<Ends, Unusable> {
    let chain = certificate::read(if configured.is_ca { "ca" } else { "certificate" }, &configured.file)?;
    let mut newest: BTreeMap<String, i64> = BTreeMap::new();
    for found in chain.iter().filter_map(|der| Certificate::of(der).ok()) {
        let end = newest.entry(found.subject).or_insert(found.not_after);
        *end = found.not_after.max(*end);
    }
    let (first, last) = (newest.values().min(), newest.values().max());
    // `read` refuses a file without any.
    let (first, last) = (first.copied().unwrap_or_default(), last.copied().unwrap_or_default());
    Ok(Ends { first, last })
}

/// A sentence about the file whose certificate ends first, if any ends within 30 days or has ended. `None` too when the clock
/// cannot be believed. Reads the files; what cannot be read is left to those who use it.
pub fn remark(files: &[Configured], calendar: &Calendar) -> Option<String> {
    let today = calendar.today()?;
    let first = |one: &Configured| Some((ends(one).ok()?.first, one.file.clone()));
    let (ends, file) = files.iter().filter_map(first).min()?;
    words(ends - today).map(|when| {
        format!("the certificate {} {when} ({}): renew it with `scansidectl cert renew`", file.display(), date(ends))
    })
}

fn words(left: i64) -> Option<String> {
    match left {
        ..0 => Some("has expired".into()),
        0..WARN_SECS => Some(match left / DAY_SECS {
            0 => "expires within a day".into(),
            1 => "expires in 1 day".into(),
            days => format!("expires in {days} days"),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_warning_begins_thirty_days_before_the_end() {
        assert_eq!(words(31 * DAY_SECS), None);
        assert_eq!(words(WARN_SECS), None);
        assert_eq!(words(WARN_SECS - 1).as_deref(), Some("expires in 29 days"));
        assert_eq!(words(DAY_SECS).as_deref(), Some("expires in 1 day"));
        assert_eq!(words(0).as_deref(), Some("expires within a day"));
        assert_eq!(words(-1).as_deref(), Some("has expired"));
    }

    #[test]
    fn every_file_in_use_is_found_once_with_all_who_need_it() {
        let mut dicom = Dicom::default();
        dicom.tls.ca = vec!["/ca.pem".into()];
        let to = |tls: serde_json::Value| -> Destination {
            serde_json::from_value(json!({ "address": "pacs:104", "ae_title": "PACS", "tls": tls })).unwrap()
        };
        let mut destinations = BTreeMap::from([
            ("pacs".to_owned(), to(json!({ "certificate": "/own.pem", "ca": ["/ca.pem"] }))),
            ("pinned".to_owned(), to(json!({ "check": "fingerprint", "ca": ["/ca.pem"] }))),
            ("plain".to_owned(), to(json!(false))),
        ]);
        let all = |dicom: &Dicom, destinations: &BTreeMap<String, Destination>, worklist: &WorklistServer| {
            let found = configured(dicom, destinations, worklist).into_iter();
            found.map(|one| (one.file.display().to_string(), one.is_ca, one.users)).collect::<Vec<_>>()
        };
        let pacs = || User::Destination("pacs".into());
        let tls = DestinationTls { ca: vec!["/ris.pem".into()], ..DestinationTls::default() };
        let mut worklist = WorklistServer { tls: Some(tls), ..WorklistServer::default() };
        let sending = [("/ca.pem".into(), true, vec![pacs()]), ("/own.pem".into(), false, vec![pacs()])];
        assert_eq!(all(&dicom, &destinations, &worklist), sending, "the box does not listen, no server is asked");

        dicom.tls.certificate = Some("/own.pem".into());
        let sender = |certificate: &str| crate::settings::Sender {
            ae_title: "CT1 ".into(),
            certificate: Some(certificate.into()),
            ..crate::settings::Sender::default()
        };
        dicom.sender = vec![sender("/vendor.pem"), sender("sha256:00")];
        worklist.address = Some("ris:104".into());
        destinations.remove("pinned");
        let both = || vec![User::Listener, pacs()];
        let expected = [
            ("/ca.pem".into(), true, both()),
            ("/own.pem".into(), false, both()),
            ("/ris.pem".into(), true, vec![User::WorklistServer]),
            ("/vendor.pem".into(), true, vec![User::Sender("CT1".into())]),
        ];
        assert_eq!(all(&dicom, &destinations, &worklist), expected);
    }
}
