//! What `--daily` keeps: the figures of the last runs, one JSON object a line.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::acceptance::document::Habits;
use crate::acceptance::drift::{self, Figure, Run};
use crate::acceptance::{Outcome, Report};
use crate::ctl::failure::Failure;

/// A year of days, and a little more.
const MOST_RUNS: usize = 400;
const FILE: &str = "history.jsonl";
#[allow(clippy::cast_possible_wrap, reason = "one bit")]
const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("{}: {error}", path.display()),
        "run it with sudo, or name a folder of your own: --keep DIR; is there room on the disk?",
    )
}

/// Whether whoever runs this may keep anything here: what root writes into a folder of the daemon's user, the nightly test could
/// not go on with.
///
/// # Errors
/// For root in a folder of somebody else, with what to run instead.
pub fn permit(folder: &Path) -> Result<(), Failure> {
    let there = folder.ancestors().find_map(|path| fs::metadata(path).ok());
    refused(rustix::process::geteuid().as_raw(), there.map(|facts| facts.uid()), folder)
}

fn refused(user: u32, owner: Option<u32>, folder: &Path) -> Result<(), Failure> {
    match owner {
        Some(owner) if user == 0 && owner != 0 => Err(Failure::new(
            format!("{} is not root's: what root keeps there the nightly test could not read", folder.display()),
            "`sudo systemctl start scanside-acceptance`; or without --daily; or with a folder of root: --keep DIR",
        )),
        _ => Ok(()),
    }
}

/// Oldest first. A line that cannot be read is left out: half of one may be left by a power cut.
///
/// # Errors
/// When there is a file and it cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Run>, Failure> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(&path, &error)),
    }
}

/// Writes it anew with this run, without the oldest of too many: the old file or the new one, whole.
///
/// # Errors
/// When it cannot be written.
pub fn add(folder: &Path, before: &[Run], report: &Report, throttled: Option<u64>) -> Result<(), Failure> {
    let figures = report.figures.iter().map(|figure| (figure.code.clone(), figure.value)).collect();
    let now = Run { utc: report.begun_utc.clone(), passed: report.outcome != Outcome::Fail, figures, throttled };
    let kept = &before[before.len().saturating_sub(MOST_RUNS - 1)..];
    let mut text = String::new();
    for run in kept.iter().chain([&now]) {
        let line =
            serde_json::to_string(run).map_err(|error| Failure::new(error.to_string(), "report this as a bug"))?;
        text.push_str(&line);
        text.push('\n');
    }
    let (path, new) = (folder.join(FILE), folder.join("history.new"));
    let write = || {
        fs::create_dir_all(folder)?;
        // Nobody is written to through a link that lies there.
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(NOFOLLOW);
        let mut file = options.open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(|error| failed(&path, &error))
}

/// The habit of each figure that has one.
pub fn habits(history: &[Run], figures: &[Figure]) -> Habits {
    figures.iter().filter_map(|figure| Some((figure.code.clone(), drift::habit(history, &figure.code)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acceptance::Identity;
    use crate::acceptance::drift::{Unit, Worse};
    use crate::doctor::text::Text;

    fn report(value: f64) -> Report {
        let name = Text::same("disk");
        let (unit, worse) = (Unit::BytesPerSecond, Worse::Lower);
        Report {
            format: 1,
            outcome: Outcome::Pass,
            identity: Identity::default(),
            begun_utc: "2026-01-31T10:00:00.000Z".into(),
            ended_utc: String::new(),
            clock_trusted: false,
            by: None,
            delivered: false,
            study_uid: None,
            lines: Vec::new(),
            stages: Vec::new(),
            figures: vec![Figure { code: "disk".into(), name, value, unit, worse, factor: 2.0, least: 1.0 }],
            drifts: Vec::new(),
        }
    }

    #[test]
    fn root_keeps_nothing_in_a_folder_of_another_user() {
        let folder = Path::new("/var/lib/scanside/acceptance");
        let failure = refused(0, Some(990), folder).unwrap_err();
        assert!(failure.message().contains("is not root's"), "{failure:?}");
        for (user, owner) in [(0, Some(0)), (990, Some(990)), (990, Some(0)), (0, None)] {
            assert!(refused(user, owner, folder).is_ok(), "{user} {owner:?}");
        }
        let own = tempfile::tempdir().unwrap();
        assert!(permit(&own.path().join("not/there/yet")).is_ok());
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (folder, victim) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        fs::write(victim.path(), "precious").unwrap();
        std::os::unix::fs::symlink(victim.path(), folder.path().join("history.new")).unwrap();
        assert!(add(folder.path(), &[], &report(1.0), None).is_err());
        assert_eq!(fs::read_to_string(victim.path()).unwrap(), "precious");
    }

    #[test]
    fn the_history_is_bounded_and_half_a_line_takes_nothing_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("new");
        for number in 0..MOST_RUNS + 3 {
            #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
            add(&place, &read(&place).unwrap(), &report(number as f64), Some(7)).unwrap();
        }
        let runs = read(&place).unwrap();
        assert_eq!((runs.len(), runs[0].figures[0].1), (MOST_RUNS, 3.0), "the oldest go");
        assert_eq!(runs[0].throttled, Some(7));
        let text = fs::read_to_string(place.join(FILE)).unwrap();
        fs::write(place.join(FILE), &text[..text.len() - 9]).unwrap();
        assert_eq!(read(&place).unwrap().len(), MOST_RUNS - 1);
        assert!(fs::read_dir(&place).unwrap().count() == 1, "nothing is left over");
    }
}
