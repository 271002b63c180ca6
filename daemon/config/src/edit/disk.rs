//! Replaces a file so that whoever reads it, also after a power cut, finds the old bytes or the new ones.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// What has just happened. Tests end the process, or let the disk fail, after any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Begun,
    Written,
    Synced,
    Renamed,
}

/// Called after each step; an error ends the writing there.
pub type After<'a> = &'a dyn Fn(Step) -> io::Result<()>;

pub const NOTHING: After<'static> = &|_| Ok(());

/// Owner, group and mode of a file that exists stay; a new file gets `mode`.
///
/// # Errors
/// When it cannot be written; the file is unchanged then, unless only the last step (the folder) failed.
pub fn replace(file: &Path, bytes: &[u8], mode: u32, after: After<'_>) -> io::Result<()> {
    let new = beside(file);
    let written = || {
        // What a power cut has left.
        remove(&new)?;
        let before = fs::metadata(file).ok();
        let mode = before.as_ref().map_or(mode, |before| before.mode() & 0o7777);
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        after(Step::Begun)?;
        out.write_all(bytes)?;
        if let Some(before) = &before {
            let own = out.metadata()?;
            if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
                fchown(&out, Some(before.uid()), Some(before.gid()))?;
            }
        }
        out.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        after(Step::Written)?;
        out.sync_all()?;
        after(Step::Synced)?;
        fs::rename(&new, file)
    };
    if let Err(error) = written() {
        let _ = remove(&new);
        return Err(error);
    }
    after(Step::Renamed)?;
    sync(folder(file))
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts the names in a folder on the disk.
///
/// # Errors
/// Those of the disk.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// No name that the daemon reads: it does not end in `.toml`.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push("-new");
    file.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    const STEPS: [Step; 4] = [Step::Begun, Step::Written, Step::Synced, Step::Renamed];

    /// A panic that nobody tidies up after stands for the power cut: what is on the disk then is what the next start finds.
    #[test]
    fn a_power_cut_at_any_step_leaves_the_old_file_or_the_new_one() {
        for cut in STEPS {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("50-site.toml");
            fs::write(&file, "old").unwrap();
            let at = |step| if step == cut { panic!("power cut") } else { Ok(()) };
            assert!(catch_unwind(AssertUnwindSafe(|| replace(&file, b"new", 0o644, &at))).is_err());
            let is = fs::read_to_string(&file).unwrap();
            assert_eq!(is, if cut == Step::Renamed { "new" } else { "old" }, "{cut:?}");
            let read = crate::source::files(&[directory.path().to_owned()]).unwrap();
            assert_eq!(read, std::slice::from_ref(&file), "what is left over is not read");
            replace(&file, b"newer", 0o644, NOTHING).unwrap();
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "and goes with the next change");
        }
    }

    #[test]
    fn a_disk_that_fails_at_any_step_leaves_the_old_file_and_nothing_else() {
        for bad in &STEPS[..3] {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("50-site.toml");
            fs::write(&file, "old").unwrap();
            let at = |step| if step == *bad { Err(io::Error::other("I/O error")) } else { Ok(()) };
            replace(&file, b"new", 0o644, &at).unwrap_err();
            assert_eq!(fs::read_to_string(&file).unwrap(), "old");
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn owner_and_mode_stay() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("50-site.toml");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        // Only root can give a file away.
        let given = std::os::unix::fs::chown(&file, Some(65_534), Some(65_534)).is_ok();
        replace(&file, b"new", 0o644, NOTHING).unwrap();
        let facts = fs::metadata(&file).unwrap();
        assert_eq!((facts.mode() & 0o7777, facts.uid() == 65_534), (0o640, given));
    }
}
