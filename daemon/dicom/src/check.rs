//! Checks of setting values that have the right type but are not acceptable. It is in this crate because every part of
//! the daemon checks its own settings, and the limits of DICOM for titles and texts apply to all of them.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// Collects invalid settings as (dotted key, reason).
#[derive(Debug, Default)]
pub struct Checker {
    all: Vec<(String, String)>,
    /// Which of them are about a file that a setting names.
    of_files: Vec<usize>,
}

impl Checker {
    pub fn refuse(&mut self, key: &str, reason: impl Into<String>) {
        self.all.push((key.to_owned(), reason.into()));
    }

    /// The setting is right, and a certificate, key or token that it names cannot be used now. Whoever writes a configuration
    /// is told as of what is wrong; a start goes on, since all that does not need the file works.
    pub fn refuse_file(&mut self, key: &str, reason: impl Into<String>) {
        self.of_files.push(self.all.len());
        self.refuse(key, reason);
    }

    pub fn range<T: PartialOrd + Display>(&mut self, key: &str, value: T, allowed: RangeInclusive<T>, unit: &str) {
        // Written so that a NaN is refused too.
        if !allowed.contains(&value) {
            self.refuse(key, format!("{value} is out of range: {} to {} {unit}", allowed.start(), allowed.end()));
        }
    }

    /// Checks a value of VR AE (PS3.5 section 6.2): 1 to 16 characters of the default repertoire, no backslash or
    /// control characters, not only spaces.
    pub fn ae_title(&mut self, key: &str, title: &str) {
        if title.trim().is_empty() {
            self.refuse(key, "an AE title must not be empty");
        } else if title.len() > 16 {
            self.refuse(key, format!("the AE title {title:?} has {} characters; at most 16 are allowed", title.len()));
        } else if !printable(title) {
            self.refuse(
                key,
                format!("the AE title {title:?} contains a character that DICOM does not allow in AE titles"),
            );
        }
    }

    /// Checks a text that is copied into results: VR SH (`most` is 16) or LO (64).
    pub fn text(&mut self, key: &str, text: &str, most: usize) {
        let count = text.chars().count();
        if count > most {
            self.refuse(key, format!("has {count} characters; at most {most} are allowed"));
        } else if text.chars().any(|c| c == '\\' || c.is_control()) {
            self.refuse(key, "backslash and control characters are not allowed");
        }
    }

    /// The invalid settings, in the order in which they were found.
    pub fn into_found(self) -> Vec<(String, String)> {
        self.all
    }

    /// The invalid settings, and apart from them those whose files cannot be used.
    pub fn into_wrong_and_files(self) -> [Vec<(String, String)>; 2] {
        let Self { all, of_files } = self;
        let mut parts = [Vec::new(), Vec::new()];
        for (at, found) in all.into_iter().enumerate() {
            parts[usize::from(of_files.contains(&at))].push(found);
        }
        parts
    }
}

fn printable(text: &str) -> bool {
    text.chars().all(|c| c == ' ' || (c.is_ascii_graphic() && c != '\\'))
}
