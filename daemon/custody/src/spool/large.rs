//! Instances too large for the log: each streams to a file of its own, which the log then names.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::error::{At, Result};
use super::{LARGE, Shared, segment};

/// Dirty bytes are pushed to the disk this often, so that the last sync is short and a full disk shows early.
const SYNC_EVERY: u64 = 64 << 20;

/// A file that is being written. Dropping it before [`OwnFile::keep`] removes it.
#[derive(Debug)]
pub(super) struct OwnFile {
    shared: Arc<Shared>,
    file: File,
    path: PathBuf,
    /// `large/<our name>.dcm`, below the spool directory.
    pub(super) name: String,
    unsynced: u64,
    kept: bool,
}

impl OwnFile {
    /// Blocks.
    pub(super) fn create(shared: Arc<Shared>) -> Result<Self> {
        let number = shared.large_counter.fetch_add(1, Ordering::Relaxed);
        let name = format!("{LARGE}/{:016x}-{number:06}.dcm", shared.session);
        let path = shared.directory.join(&name).with_extension("tmp");
        let file = File::options().read(true).write(true).create_new(true).open(&path).at(&path)?;
        Ok(Self { shared, file, path, name, unsynced: 0, kept: false })
    }

    /// Blocks. Checks the free space again every now and then: 2 GiB may be on their way.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).at(&self.path)?;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_EVERY {
            self.shared.room_for(0)?;
            self.file.sync_data().at(&self.path)?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Bytes durable, name final and durable. Blocks.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.file.sync_all().at(&self.path)?;
        let path = self.shared.directory.join(&self.name);
        fs::rename(&self.path, &path).at(&path)?;
        self.path = path;
        segment::sync_directory(&self.shared.directory.join(LARGE))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// The log names it now.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let path = std::mem::take(&mut self.path);
        // The blocks go when the last handle closes; 2 GiB of them take a while, which an async thread has not.
        let last_handle = self.file.try_clone();
        let remove = move || {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an abandoned file stays until the next start");
            }
            drop(last_handle);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
