//! The last good configuration: a copy of the files with which the daemon was last seen to work. It starts with that when the
//! files of today cannot be used.

use std::path::{Path, PathBuf};

use crate::access::{self, Narrowed};
use crate::edit::disk;
use crate::edit::history::Snapshot;
use crate::source::{self, Source};
use crate::{Error, Problem, SEARCH, Settings};

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
    /// Certificates, keys and tokens that settings name and that cannot be used now. Whoever needs one tries again.
    pub of_files: Vec<Problem>,
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

/// How the status begins when a certificate, key or token cannot be used.
pub const FILE_CANNOT_BE_USED: &str = "a file of the configuration cannot be used";
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
        Ok((source::judge_texts(&snapshot.files, Vec::new())?.0, snapshot.utc))
    }
}

/// Reads the configuration; when it is wrong, and the last good one takes back nothing, that one.
///
/// # Errors
/// The configuration is wrong, and the last good one cannot be used; the last problem says why, if there is one.
pub fn begin(paths: &[PathBuf], good: Option<&Good>) -> Result<Start, Error> {
    let (sources, unread) = source::read(paths).unwrap_or_else(|error| (Vec::new(), error.problems));
    let is_unread = !unread.is_empty();
    let judged = source::judge_texts(&sources, unread);
    match (judged, good.and_then(|good| emptied(&sources, good))) {
        (Ok(_), Some(problem)) => fall_back(Error::from(problem), good, None),
        (Ok((settings, of_files)), None) => {
            // What nobody could use yet has not been seen to work.
            let keep = good.filter(|_| of_files.is_empty()).map(|good| Keep { good: good.clone(), files: sources });
            // At once, not when this one has proved good: until then the old one would give back what was taken away.
            let stale = good.filter(|good| good.settings().is_ok_and(|(old, _)| access::allows_less(&settings, &old)));
            let not_removed = stale.and_then(|good| {
                let removed = disk::remove(&good.0).and_then(|()| disk::sync(disk::folder(&good.0)));
                removed.err().map(|error| Problem::of_file(&good.0, error.to_string()))
            });
            Ok(Start { settings, fallback: None, of_files, not_removed, keep })
        }
        // What nobody could read takes nothing back.
        (Err(wrong), _) => fall_back(wrong, good, Some(sources.as_slice()).filter(|_| !is_unread)),
    }
}

/// `now`: the files of today, which may say what the last good configuration must not give back.
fn fall_back(wrong: Error, good: Option<&Good>, now: Option<&[Source]>) -> Result<Start, Error> {
    let Some(good) = good.filter(|good| good.0.exists()) else { return Err(wrong) };
    let old = good.settings().and_then(|(old, utc)| match now {
        Some(now) => Ok((narrowed(old, now)?, utc)),
        None => Ok((Narrowed { settings: old, left_out: Vec::new() }, utc)),
    });
    match old {
        Ok((Narrowed { settings, left_out }, utc)) => {
            let fallback = Some(Fallback { problems: wrong.problems, utc, left_out });
            Ok(Start { settings, fallback, of_files: Vec::new(), not_removed: None, keep: None })
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

/// When files of the site said something and none does any more, the files were lost: nobody means a box that lets in
/// everyone and sends results nowhere.
fn emptied(now: &[Source], good: &Good) -> Option<Problem> {
    let says_something = |sources: &[Source]| {
        let own: Vec<Source> = sources.iter().filter(|one| !one.file.starts_with(SEARCH[0])).cloned().collect();
        !access::readable(&own).is_empty()
    };
    let lost = !says_something(now) && says_something(&good.read().ok()?.files);
    let reason = format!(
        "no file of the site sets anything, and the last good configuration did; to begin anew, remove {}",
        good.0.display()
    );
    lost.then_some(Problem { file: None, line: None, key: None, reason })
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
    fn a_site_file_that_was_emptied_or_is_gone_opens_the_box_to_nobody() {
        let a = Box::new();
        a.works(SENDERS);
        for text in ["", "# moved away\n"] {
            let start = a.start(text).unwrap();
            assert_eq!(start.settings.dicom.sender.len(), 2, "{text:?}");
            let reason = start.fallback.unwrap().reason();
            assert!(
                reason.contains("no file of the site sets anything") && reason.contains("last-good.json"),
                "{reason}"
            );
            assert!(start.keep.is_none());
        }
        std::fs::remove_file(a.directory.path().join("last-good.json")).unwrap();
        assert!(a.start("").unwrap().fallback.is_none(), "to begin anew");
    }

    #[test]
    fn a_configuration_that_nobody_can_read_takes_nothing_back() {
        let a = Box::new();
        a.works(SENDERS);
        let gone = a.directory.path().join("config.d");
        let start = begin(std::slice::from_ref(&gone), Some(&Good::in_state(a.directory.path()))).unwrap();
        assert_eq!(start.settings.dicom.sender.len(), 2);
        let fallback = start.fallback.unwrap();
        assert_eq!(fallback.problems[0].file.as_deref(), Some(gone.as_path()));
        assert!(fallback.left_out.is_empty());
        begin(&[gone], Some(&Good::in_state(Path::new("/nowhere")))).unwrap_err();
    }

    #[test]
    fn a_token_or_certificate_that_cannot_be_used_stops_no_start_and_is_told_to_whoever_checks() {
        let a = Box::new();
        let token = a.directory.path().join("token");
        std::fs::write(&token, "secret\n").unwrap();
        std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let pacs = format!(
            "[destination.pacs]\nurl = \"https://pacs.example/dicom-web\"\ntoken_file = {token:?}\n\
             tls = {{ check = \"fingerprint\", fingerprint = \"sha256:{}\" }}\n",
            "ab".repeat(32)
        );
        a.works(&pacs);
        std::fs::remove_file(&token).unwrap();
        // The copy may be used, too.
        let start = a.start(&format!("{pacs}[spool]\nkeep_dayss = 3\n")).unwrap();
        assert!(start.settings.destination.contains_key("pacs") && start.fallback.is_some());
        let page = "[console]\ncertificate = \"/nowhere/page.pem\"\nkey = \"/nowhere/page.key\"\n";
        let start = a.start(&format!("{pacs}{page}")).unwrap();
        assert!(start.fallback.is_none() && start.settings.destination.contains_key("pacs"));
        let keys: Vec<_> = start.of_files.iter().filter_map(|problem| problem.key.as_deref()).collect();
        assert_eq!(keys, ["console.certificate", "destination.pacs.token_file"]);
        assert!(start.keep.is_none(), "it has not been seen to work");
        let checked = crate::load(&[a.directory.path().join("50-site.toml")]).unwrap_err();
        assert_eq!(checked.problems, start.of_files, "with file and line");
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
