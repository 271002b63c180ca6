//! What is made of files with certificates, and made again once one of them changes. Files that cannot be used any more change
//! nothing; those that never could are tried again each time.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

use super::certificate::Unusable;

/// Which content, owner and mode a file had when it was read: when one of them changed last, and its size.
type Stamp = Option<(i64, i64, u64)>;

#[derive(Debug)]
pub(super) struct Reread<T> {
    /// Whose certificates they are, for the log.
    of: &'static str,
    files: Vec<PathBuf>,
    made: Mutex<(Vec<Stamp>, Result<T, Unusable>)>,
}

impl<T: Clone> Reread<T> {
    pub fn open(of: &'static str, files: Vec<PathBuf>, make: impl FnOnce() -> Result<T, Unusable>) -> Self {
        // Before they are read: what changes meanwhile is read again next time.
        let stamps = stamps(&files);
        let made = Mutex::new((stamps, make()));
        Self { of, files, made }
    }

    /// Of the files as they are now.
    ///
    /// # Errors
    /// While they could not be used even once.
    pub fn current(&self, make: impl FnOnce() -> Result<T, Unusable>) -> Result<T, Unusable> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        // A folder above may let us in without a change of the file.
        if stamps != made.0 || made.1.is_err() {
            match (make(), &made.1) {
                (Ok(new), _) => {
                    info!("the certificates of {} were read again", self.of);
                    made.1 = Ok(new);
                }
                (Err(error), Ok(_)) => warn!(
                    "the certificates of {} have changed and cannot be used, so those before stay in use: {error}",
                    self.of
                ),
                (Err(error), Err(_)) => made.1 = Err(error),
            }
            made.0 = stamps;
        }
        made.1.clone()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.ctime(), file.ctime_nsec(), file.len()))
    };
    files.iter().map(stamp).collect()
}
