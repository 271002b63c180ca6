//! What is wrong with the database at present. Whoever gets an error says so here; `health` wakes, closes the gate, and opens
//! it when the database can be written again.

use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;

use super::{Durability, Error, Result, Store, StoreFault, events};

/// How long the check of [`Store::probe`] waits for a lock. No transaction of ours holds it as long.
const PROBE_PATIENCE: Duration = Duration::from_secs(4);

/// The last error that nobody has disproved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    pub kind: StoreFault,
    /// For people: what it is, and the error.
    pub reason: String,
}

#[derive(Debug)]
pub(super) struct Register {
    now: watch::Sender<Option<Trouble>>,
    /// Device and inode of the file that was prepared.
    file: Mutex<Option<(u64, u64)>>,
}

impl Default for Register {
    fn default() -> Self {
        Self { now: watch::channel(None).0, file: Mutex::default() }
    }
}

impl Store {
    /// A part of the daemon got this error. Logged once, however many meet the same trouble. Damage is also marked on the
    /// disk, so that [`Store::prepare`] builds the database again whatever its own check finds, in this process or the next.
    pub fn failed(&self, error: &Error) {
        // What was met in a file that was set aside says nothing of the one in its place.
        if error.kind() == StoreFault::BuiltAgain || self.is_over() {
            return;
        }
        let kind = if self.is_in_place() { error.kind() } else { StoreFault::Gone };
        let trouble = Trouble { kind, reason: format!("{}: {error}", kind.words()) };
        let news = self.trouble.now.send_if_modified(|now| {
            // Damage is not forgotten because something else fails as well.
            let worse = now.as_ref().is_none_or(|old| old.kind != kind && !old.kind.needs_rebuilding());
            if worse {
                *now = Some(trouble.clone());
            }
            worse
        });
        if news {
            tracing::error!(kind = ?trouble.kind, reason = trouble.reason, "the database is in trouble; receiving and analysis wait");
            // One that is gone needs no mark, and what a person has put in its place must not be set aside.
            if kind == StoreFault::Damaged {
                self.mark_damaged(&trouble.reason);
            }
        }
    }

    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble.now.borrow().clone()
    }

    /// For whoever waits for trouble to come or to go.
    pub fn troubles(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.now.subscribe()
    }

    /// Whether the file is the one that was prepared.
    pub fn is_in_place(&self) -> bool {
        let prepared = *self.trouble.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        prepared.is_none_or(|prepared| std::fs::metadata(&self.path).is_ok_and(|m| (m.dev(), m.ino()) == prepared))
    }

    /// There was a database in this process.
    pub(super) fn was_prepared(&self) -> bool {
        self.trouble.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some()
    }

    /// The file is another one, or built again: what was wrong with the last is over.
    pub(super) fn trouble_is_over(&self) {
        self.trouble.now.send_replace(None);
    }

    pub(super) fn remember_file(&self) {
        let file = std::fs::metadata(&self.path).ok().map(|m| (m.dev(), m.ino()));
        *self.trouble.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = file;
    }

    /// Checks that the database can be written; after a trouble it is written for real. Clears the trouble. Blocks, for
    /// a few seconds when the database is locked.
    ///
    /// # Errors
    /// What is wrong now; it was told to [`Store::failed`] already.
    pub fn probe(&self) -> Result<()> {
        let (here, trouble) = (self.of_this_era(), self.trouble());
        let probed = here.probe_after(trouble.as_ref());
        match &probed {
            Ok(()) if trouble.as_ref().is_some_and(|trouble| !trouble.kind.needs_rebuilding()) => {
                tracing::info!("the database works again");
                self.trouble.now.send_replace(None);
            }
            Ok(()) => {}
            Err(error) => here.failed(error),
        }
        probed
    }

    fn probe_after(&self, trouble: Option<&Trouble>) -> Result<()> {
        if !self.is_in_place() {
            return Err(Error::Gone { path: self.path.clone() });
        }
        let mut connection = self.connect(Durability::Full)?;
        connection.busy_timeout(PROBE_PATIENCE)?;
        let transaction = connection.transaction()?;
        if let Some(trouble) = trouble {
            events::record(&transaction, "database", "works again", trouble.kind.words())?;
            transaction.commit()?;
        }
        Ok(())
    }
}

impl StoreFault {
    /// Waiting does not help: the database must be built again, see [`Store::prepare`].
    pub fn needs_rebuilding(self) -> bool {
        matches!(self, Self::Damaged | Self::Gone)
    }
}
