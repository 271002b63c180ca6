//! A small disk that can really be full: a tmpfs, or a file system in a file, which can be slow as well
//! ([`crate::slow_disk`]). Mounting one needs root; a test is skipped without.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// Unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    /// The file that holds its blocks.
    image: Option<PathBuf>,
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
        Ok(mounted.status.success().then(|| Self { path: path.to_owned(), image: None }))
    }

    /// As [`SmallDisk::mount`], with a block device of its own: ext4 in the file `image`, where what is synchronised waits
    /// for a disk as it does on a box. The image takes only the space that was written.
    ///
    /// # Errors
    /// When the image cannot be made or a program cannot be run.
    pub fn mount_image(path: &Path, image: &Path, mib: u32) -> Result<Option<Self>> {
        fs::create_dir_all(path).with_context(|| path.display().to_string())?;
        let file = File::create(image).with_context(|| image.display().to_string())?;
        file.set_len(u64::from(mib) << 20)?;
        // -m 0: no blocks are kept back for root, so that full is full.
        let made = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(image).output();
        let made = made.is_ok_and(|made| made.status.success());
        let mounted =
            made && Command::new("mount").args(["-o", "loop"]).arg(image).arg(path).output()?.status.success();
        if !mounted {
            fs::remove_file(image)?;
        }
        Ok(mounted.then(|| Self { path: path.to_owned(), image: Some(image.to_owned()) }))
    }

    /// Leaves not a byte free: somebody else's file takes the rest.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn fill(&self) -> Result<()> {
        let foreign = self.foreign();
        let mut file = File::options().create(true).append(true).open(&foreign)?;
        // The bulk without writing it, where the file system can.
        for mib in [256_u64, 16, 1] {
            let more = |length: u64| {
                let (from, length) = (length.to_string(), (mib << 20).to_string());
                Command::new("fallocate").args(["-o", &from, "-l", &length]).arg(&foreign).output()
            };
            while more(file.metadata()?.len()).is_ok_and(|done| done.status.success()) {}
        }
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
        if let Some(image) = &self.image {
            let _ = fs::remove_file(image);
        }
    }
}
