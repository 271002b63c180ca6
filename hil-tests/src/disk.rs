//! A small disk that can really be full: a tmpfs of a few MiB. Mounting one needs root; a test is skipped without.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// A disk of `mib` at `path`, which becomes a folder if there is none. `None` when this machine does not allow it.
    ///
    /// # Errors
    /// When the folder cannot be made or `mount` cannot be run.
    pub fn mount(path: &Path, mib: u32) -> Result<Option<Self>> {
        fs::create_dir_all(path).with_context(|| path.display().to_string())?;
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "scanside-bench"]).arg(path).output()?;
        Ok(mounted.status.success().then(|| Self { path: path.to_owned() }))
    }

    /// Leaves not a byte free: somebody else's file takes the rest.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::options().create(true).append(true).open(self.foreign())?;
        for piece in [1 << 20, 4096, 1] {
            let zeros = vec![0_u8; piece];
            while file.write_all(&zeros).is_ok() {}
        }
        Ok(())
    }

    /// Somebody else's file goes.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn clear(&self) -> Result<()> {
        fs::remove_file(self.foreign()).context("remove what filled the disk")
    }

    fn foreign(&self) -> PathBuf {
        self.path.join("somebody-elses-file")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the daemon under test may still have files open there.
        let unmounted = Command::new("umount").arg("-l").arg(&self.path).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.path.display());
        }
    }
}
