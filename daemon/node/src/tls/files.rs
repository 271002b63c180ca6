//! What is made of files with certificates, and made again once one of them changes. Files that cannot be used any more change
//! nothing.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tracing::{info, warn};

use super::certificate::Unusable;

/// Which content a file had when it was read.
type Stamp = Option<(SystemTime, u64)>;

#[derive(Debug)]
pub(super) struct Reread<T> {
    /// Whose certificates they are, for the log.
    of: &'static str,
    files: Vec<PathBuf>,
    made: Mutex<(Vec<Stamp>, T)>,
}

impl<T: Clone> Reread<T> {
    /// # Errors
    /// When a file cannot be used.
    pub fn open(
        of: &'static str,
        files: Vec<PathBuf>,
        make: impl FnOnce() -> Result<T, Unusable>,
    ) -> Result<Self, Unusable> {
        // Before they are read: what changes meanwhile is read again next time.
        let stamps = stamps(&files);
        let made = Mutex::new((stamps, make()?));
        Ok(Self { of, files, made })
    }

    /// Of the files as they are now.
    pub fn current(&self, make: impl FnOnce() -> Result<T, Unusable>) -> T {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if stamps != made.0 {
            match make() {
                Ok(new) => {
                    info!("the certificates of {} were read again", self.of);
                    made.1 = new;
                }
                Err(error) => warn!(
                    "the certificates of {} have changed and cannot be used, so those before stay in use: {error}",
                    self.of
                ),
            }
            made.0 = stamps;
        }
        made.1.clone()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.modified().ok()?, file.len()))
    };
    files.iter().map(stamp).collect()
}
