//! Which of the box's certificates end soon: people are told a month before.

use std::path::PathBuf;

use super::Calendar;
use super::calendar::date;
use super::certificate::{self, Certificate};

const WARN_SECS: i64 = 30 * 24 * 3600;
const DAY_SECS: i64 = 24 * 3600;

/// A sentence about the file whose certificate ends first, if any ends within 30 days or has ended. `None` too when the clock
/// cannot be believed. Reads the files; what cannot be read is left to those who use it.
pub fn remark(files: &[PathBuf], calendar: &Calendar) -> Option<String> {
    let today = calendar.today()?;
    let own = |file: &PathBuf| {
        let chain = certificate::read("certificate", file).ok()?;
        chain.iter().filter_map(|der| Certificate::of(der).ok()).map(|found| (found.not_after, file.clone())).min()
    };
    let (ends, file) = files.iter().filter_map(own).min()?;
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
