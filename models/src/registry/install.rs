//! From an archive to a complete package in its place: unpacked under a temporary name on the same file system, checked,
//! on the disk, and only then renamed.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::entry::{Entry, Origin, unknown_task};
use super::error::{Error, RegistryFault};
use super::{Key, Registry, disk, layout};
use crate::archive::{self, Limits};
use crate::package::Package;
use crate::signature::Trust;
use crate::step::step;

/// Did the call change anything?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Changed,
    /// It was so already.
    Already,
}

/// Unpacks and checks without the registry, which stays free for others meanwhile.
#[derive(Debug, Clone)]
pub struct Installer {
    pub(super) directory: PathBuf,
    pub(super) trust: Arc<Trust>,
    pub(super) tasks: Arc<Vec<String>>,
    pub(super) limits: Limits,
}

/// A checked package under its temporary name, which is removed unless the package is committed.
#[derive(Debug)]
pub struct Staged {
    directory: PathBuf,
    key: Key,
    sha256: String,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Already away when the package was committed; otherwise the next start sweeps what is left.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Installer {
    /// Unpacks an archive and checks everything about it.
    ///
    /// # Errors
    /// `Refused`, in the words of the check that failed; `Io`.
    pub fn stage(&self, archive: impl Read) -> Result<Staged, Error> {
        let directory = self.begin()?;
        let mut staged = Staged { directory, key: Key::new("", ""), sha256: String::new() };
        let (manifest, _) = archive::unpack(archive, &staged.directory, &self.trust, self.limits)?;
        if !self.tasks.contains(&manifest.task) {
            return Err(Error::new(RegistryFault::Refused, unknown_task(&manifest.task)));
        }
        // Once more, from the disk: what was written is what will be read.
        staged.sha256 = Package::open(&staged.directory)?.sha256;
        staged.key = Key::new(manifest.id, manifest.version);
        disk::sync_tree(&staged.directory).map_err(Error::io(&staged.directory))?;
        Ok(staged)
    }

    /// A new directory of its own.
    fn begin(&self) -> Result<PathBuf, Error> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let staging = layout::staging(&self.directory);
        std::fs::create_dir_all(&staging).map_err(Error::io(&staging))?;
        loop {
            let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let directory = staging.join(name);
            match std::fs::create_dir(&directory) {
                Ok(()) => {
                    step("a temporary place is made");
                    return Ok(directory);
                }
                // Of a process with this number before the last start.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io(&directory)(error)),
            }
        }
    }
}

impl Registry {
    pub fn installer(&self) -> Installer {
        Installer {
            directory: self.directory.clone(),
            trust: self.trust.clone(),
            tasks: self.tasks.clone(),
            limits: Limits::default(),
        }
    }

    /// Gives a staged package its place. What is there already with the same content stays as it is, and may be tried again when it
    /// was refused.
    ///
    /// # Errors
    /// `Refused` when this version is there with other content; `Io`.
    pub fn commit(&mut self, staged: Staged) -> Result<(Key, Change), Error> {
        let place = layout::package(&self.directory, &staged.key);
        if let Some(present) = self.entries.get(&staged.key) {
            if present.sha256 != staged.sha256 && present.unusable.is_none() {
                let message =
                    format!("{} is here already with other content; a changed package needs a new version", staged.key);
                return Err(Error::new(RegistryFault::Refused, message));
            }
            if present.open(&self.trust).is_ok() {
                return Ok((staged.key.clone(), self.forget_refusal(&staged.key)?));
            }
            // Damaged on the disk: the new copy replaces it.
            self.discard(&place)?;
        }
        let key = staged.key.clone();
        // Before the new copy is there: a crash between the two must not leave it refused.
        self.forget_record(&key)?;
        disk::place(&staged.directory, &place).map_err(Error::io(&place))?;
        let entry = Entry::read(key.clone(), &place, Origin::Installed, &self.trust, &self.tasks);
        self.entries.insert(key.clone(), entry);
        Ok((key, Change::Changed))
    }

    fn forget_refusal(&mut self, key: &Key) -> Result<Change, Error> {
        if self.entries.get(key).is_none_or(|entry| entry.refusal().is_none()) {
            return Ok(Change::Already);
        }
        self.forget_record(key)?;
        if let Some(entry) = self.entries.get_mut(key) {
            entry.record = None;
        }
        Ok(Change::Changed)
    }

    /// Takes a directory away in one step; clearing it may take longer.
    pub(super) fn discard(&self, place: &Path) -> Result<(), Error> {
        if !place.exists() {
            return Ok(());
        }
        let away = self.installer().begin()?;
        let gone = away.join("gone");
        disk::place(place, &gone).map_err(Error::io(place))?;
        std::fs::remove_dir_all(&away).map_err(Error::io(&away))?;
        step("what was taken away is cleared");
        Ok(())
    }
}
