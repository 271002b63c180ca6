//! The last good configuration: a copy of the files with which the daemon was last seen to work. It starts with that when the
//! files of today cannot be used.

use std::path::{Path, PathBuf};

use crate::access::{self, Narrowed};
use crate::edit::disk;
use crate::edit::history::Snapshot;
use crate::source::{self, Source};
use crate::{Error, Problem, Settings};

/// In the state directory, because the daemon cannot write anywhere else.
const FILE: &str = "last-good.json";

/// The last good configuration of a box.
#[derive(Debug, Clone)]
pub struct Good(PathBuf);

/// What the daemon starts with.
#[derive(Debug)]
pub struct Start {
    pub settings: Settings,
    /// The files of today cannot be used.
    pub fallback: Option<Fallback>,
    /// Why the last good one is still there although it allows more than today's files. Told, and no reason not to start: the
    /// disk is in trouble, and then the box must answer all the same.
    pub not_removed: Option<Problem>,
    /// To be kept once the daemon was seen to work with it.
    pub keep: Option<Keep>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    pub problems: Vec<Problem>,
    /// Of when the last good configuration is.
    pub utc: String,
    /// Senders and destinations of it that the files of today do not name.
    pub left_out: Vec<String>,
}

impl Fallback {
    /// One line, for the status.
    pub fn reason(&self) -> String {
        let problem = self.problems.first().map(ToString::to_string).unwrap_or_default();
        let without =
            if self.left_out.is_empty() { String::new() } else { format!(", without {}", self.left_out.join(", ")) };
        format!("{CANNOT_BE_USED} ({problem}); the last good one of {} is in effect{without}", self.utc)
    }
}

/// How [`Fallback::reason`] begins.
pub const CANNOT_BE_USED: &str = "the configuration cannot be used";

/// The files that were read, and where their copy goes.
#[derive(Debug, Clone)]
pub struct Keep {
    good: Good,
    files: Vec<Source>,
}

impl Keep {
    /// # Errors
    /// When the copy cannot be written; the one before stays.
    pub fn keep(self) -> Result<(), Error> {
        let Self { good, files } = self;
        let is_the_same = good.read().is_ok_and(|kept| kept.files == files);
        if is_the_same {
            return Ok(());
        }
        Snapshot { utc: hal::clock::now_utc(), what: "last good".into(), files }.write(&good.0)
    }
}

impl Good {
    pub fn in_state(directory: &Path) -> Self {
        Self(directory.join(FILE))
    }

    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(&self) -> Result<Snapshot, Error> {
        Snapshot::read(&self.0)
    }

    /// Its settings, and when it was kept.
    ///
    /// # Errors
    /// When there is none, or this version cannot use it.
    pub fn settings(&self) -> Result<(Settings, String), Error> {
        let snapshot = self.read()?;
        Ok((source::judge(&snapshot.files, Vec::new())?, snapshot.utc))
    }
}

/// Reads the configuration; when it is wrong, and the last good one takes back nothing, that one.
///
/// # Errors
/// The configuration is wrong, and the last good one cannot be used; the last problem says why, if there is one.
pub fn begin(paths: &[PathBuf], good: Option<&Good>) -> Result<Start, Error> {
    let (sources, problems) = source::read(paths)?;
    match source::judge(&sources, problems) {
        Ok(settings) => {
            let keep = good.map(|good| Keep { good: good.clone(), files: sources });
            // At once, not when this one has proved good: until then the old one would give back what was taken away.
            let stale = good.filter(|good| good.settings().is_ok_and(|(old, _)| access::allows_less(&settings, &old)));
            let not_removed = stale.and_then(|good| {
                let removed = disk::remove(&good.0).and_then(|()| disk::sync(disk::folder(&good.0)));
                removed.err().map(|error| Problem::of_file(&good.0, error.to_string()))
            });
            Ok(Start { settings, fallback: None, not_removed, keep })
        }
        Err(wrong) => {
            let Some(good) = good.filter(|good| good.0.exists()) else { return Err(wrong) };
            match good.settings().and_then(|(old, utc)| Ok((narrowed(old, &sources)?, utc))) {
                Ok((Narrowed { settings, left_out }, utc)) => {
                    let fallback = Some(Fallback { problems: wrong.problems, utc, left_out });
                    Ok(Start { settings, fallback, not_removed: None, keep: None })
                }
                Err(why) => {
                    let problems = wrong.problems.into_iter();
                    let why = why.problems.into_iter().take(1).map(|problem| Problem {
                        reason: format!("the last good configuration cannot be used instead: {}", problem.reason),
                        ..problem
                    });
                    Err(Error { problems: problems.chain(why).collect() })
                }
            }
        }
    }
}

fn narrowed(old: Settings, sources: &[Source]) -> Result<Narrowed, Error> {
    access::narrow(old, &access::readable(sources)).map_err(|key| {
        let reason = "it would allow what the configuration of today no longer allows".to_owned();
        Problem { file: None, line: None, key: Some(key), reason }.into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Box {
        directory: tempfile::TempDir,
    }

    impl Box {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().unwrap() }
        }

        fn start(&self, text: &str) -> Result<Start, Error> {
            let file = self.directory.path().join("50-site.toml");
            std::fs::write(&file, text).unwrap();
            begin(&[file], Some(&Good::in_state(self.directory.path())))
        }

        fn works(&self, text: &str) {
            self.start(text).unwrap().keep.unwrap().keep().unwrap();
        }
    }

    const SENDERS: &str = "dicom.sender = [{ ae_title = \"CT1\" }, { ae_title = \"CT2\" }]\n";

    #[test]
    fn a_bad_configuration_starts_the_last_good_one_and_is_told() {
        let a = Box::new();
        a.start("spool.keep_dayss = 3\n").unwrap_err();
        a.works("spool.keep_days = 3\n");
        let start = a.start("# new\nspool.keep_days = = 4\n").unwrap();
        assert_eq!(start.settings.spool.keep_days, 3);
        assert!(start.keep.is_none(), "it proves nothing about the files of today");
        let reason = start.fallback.unwrap().reason();
        assert!(reason.contains("50-site.toml:2: ") && reason.contains("last good"), "{reason}");
        let start = a.start("spool.keep_days = 5\n").unwrap();
        assert!(start.fallback.is_none() && start.settings.spool.keep_days == 5, "mended");
    }

    #[test]
    fn a_sender_that_was_removed_in_the_bad_configuration_is_not_let_in() {
        let a = Box::new();
        a.works(SENDERS);
        let start =
            a.start(&format!("{}spool.keep_dayss = 3\n", SENDERS.replace(", { ae_title = \"CT2\" }", ""))).unwrap();
        assert_eq!(start.settings.dicom.sender.len(), 1);
        assert_eq!(start.fallback.unwrap().left_out, ["sender CT2"]);
    }

    #[test]
    fn a_sender_that_a_valid_configuration_removed_does_not_come_back_before_that_one_has_proved_good() {
        let a = Box::new();
        a.works(SENDERS);
        a.start("dicom.sender = [{ ae_title = \"CT1\" }]\n").unwrap();
        a.start(&format!("{SENDERS}spool.keep_dayss = 3\n")).unwrap_err();
    }

    #[test]
    fn why_the_last_good_one_is_not_used_is_said() {
        let a = Box::new();
        a.works("models.keys = [\"/a\"]\n");
        let error = a.start("models.keys = []\nspool.keep_dayss = 3\n").unwrap_err();
        let last = error.problems.last().unwrap();
        assert_eq!(last.key.as_deref(), Some("models.keys"));
        assert!(error.problems[0].to_string().contains(":2: spool.keep_dayss"), "{error}");
    }
}
