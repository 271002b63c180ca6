//! Which of the box's certificates end soon: people are told a month before.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Calendar;
use super::calendar::date;
use super::certificate::{self, Certificate, Unusable};

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
    StepManager,
    TaskManager,
    /// Who is told that results are available.
    Availability(String),
    /// The archive that is asked for earlier studies.
    PriorArchive,
    /// A machine that may run networks of studies, by its name.
    InferenceHost(String),
    /// This box's own networks for its neighbours.
    InferenceService,
    /// The page, for browsers on other machines.
    Page,
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
}
