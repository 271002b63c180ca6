//! Configuration in three stages: fragments as people write them, merged by directory, validated into [`Settings`].
//!
//! Each fragment is a TOML file in which every key is optional. Directories later in [`SEARCH`] win over earlier ones,
//! files are read in name order, and the last one to set a key wins. Lists are replaced whole.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

mod access;
pub mod diff;
pub mod edit;
mod fragment;
pub mod good;
mod merge;
mod nearest;
pub mod settings;
pub mod source;
pub mod value;

use std::fmt;
use std::path::{Path, PathBuf};

pub use settings::Settings;

/// Shipped, then made at run time, then the site's.
pub const SEARCH: [&str; 3] = ["/usr/lib/scanside/config.d", "/run/scanside/config.d", "/etc/scanside/config.d"];

/// One thing that is wrong, with where it was written as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: Option<PathBuf>,
    /// From 1.
    pub line: Option<usize>,
    /// Dotted, for example `dicom.max_pdu`.
    pub key: Option<String>,
    pub reason: String,
}

impl Problem {
    fn of_file(file: &Path, reason: String) -> Self {
        Self { file: Some(file.to_owned()), line: None, key: None, reason }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
            (Some(file), None) => write!(f, "{}: ", file.display())?,
            _ => {}
        }
        match &self.key {
            Some(key) => write!(f, "{key}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// Every problem found, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("configuration: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Error {
    pub problems: Vec<Problem>,
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// Reads, merges and validates. `paths` (files, or directories of `*.toml`; later ones win) replace [`SEARCH`] unless
/// empty. A path that was given must exist; a directory of the search path may be absent.
///
/// # Errors
/// When a file cannot be read, is no TOML, has an unknown key, or a value does not fit.
pub fn load(paths: &[PathBuf]) -> Result<Settings, Error> {
    let (sources, problems) = source::read(paths)?;
    source::judge(&sources, problems)
}

/// What the files say of the alarm, also where the rest of them is wrong or cannot be read by the reader.
///
/// # Errors
/// When no file can be read, the table `alarm` is wrong, or there is none and something else is wrong.
pub fn load_alarm(paths: &[PathBuf]) -> Result<settings::Alarm, Error> {
    let (sources, unread) = source::read(paths)?;
    let table = access::readable(&sources).remove("alarm");
    let alarm = table.map(toml::Value::try_into).transpose().map_err(|error: toml::de::Error| {
        let reason = error.message().to_owned();
        Problem { file: None, line: None, key: Some("alarm".into()), reason }
    })?;
    match alarm {
        Some(alarm) if alarm != settings::Alarm::default() => Ok(alarm),
        // What cannot be read may be what says it.
        _ => source::judge_texts(&sources, unread).map(|(settings, _)| settings.alarm),
    }
}

/// The settings as TOML, every key written out.
///
/// # Errors
/// Never in practice: every settings value has a TOML form.
pub fn to_toml(settings: &impl serde::Serialize) -> Result<String, toml::ser::Error> {
    toml::to_string_pretty(settings)
}

#[cfg(test)]
mod tests;
