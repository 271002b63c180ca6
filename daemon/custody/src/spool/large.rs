//! Instances that are too large for the log: each is streamed to a file of its own, and a record in the log names it.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::error::{At, Result};
use super::{LARGE, Shared, segment};

/// Bytes after which the file is synced while it is received: the last sync is then short, and a full disk is noticed
/// early.
const SYNC_EVERY: u64 = 64 << 20;

/// A file that is being written. Dropping it before [`OwnFile::keep`] deletes the file.
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

fn prefix(shared: &Shared) -> String {
    format!("{LARGE}/{:016x}-", shared.session)
}

/// Whether a file below the spool directory was made since this process opened the spool.
pub(super) fn is_of_session(shared: &Shared, name: &str) -> bool {
    name.starts_with(&prefix(shared))
}

impl OwnFile {
    /// Blocks.
    pub(super) fn create(shared: Arc<Shared>) -> Result<Self> {
        let number = shared.large_counter.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number:06}.dcm", prefix(&shared));
        let path = shared.directory.join(&name).with_extension("tmp");
        let file = File::options().read(true).write(true).create_new(true).open(&path).at(&path)?;
        Ok(Self { shared, file, path, name, unsynced: 0, kept: false })
    }

    /// Blocks. Checks the free space again at every sync, because an instance may be as large as 2 GiB.
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

    /// Syncs the bytes, gives the file its final name and makes that name durable. Blocks.
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

    /// A record in the log names the file now: dropping no longer deletes it.
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
        // The file system frees the blocks when the last handle closes. For 2 GiB that takes too long for an async
        // thread, so both the removal and the last handle go to a blocking thread.
        let last_handle = self.file.try_clone();
        let remove = move || {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove the file of a discarded instance; it will be removed at the next start");
            }
            drop(last_handle);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
