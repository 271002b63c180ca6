//! A recording that has ended becomes a job: from then on it is carried like any study.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::TransactionBehavior;
use tokio::sync::{Notify, broadcast};

use super::files::JOURNAL;
use super::journal::{self, Entry, Story};
use crate::series::{Kind, SeriesKey};
use crate::store::{self, Durability, Store, events, jobs, now_utc, series};
use crate::study::Event;

/// Where jobs are queued.
#[derive(Debug, Clone)]
pub struct HandOver {
    pub store: Store,
    pub events: broadcast::Sender<Event>,
    /// A job was queued.
    pub wake: Arc<Notify>,
}

/// The recordings that an earlier run left.
pub fn left_over(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.join(JOURNAL).is_file()).collect();
    folders.sort();
    folders
}

/// What the journal of a recording says; `None` when it does not say whose exam it is.
///
/// # Errors
/// When it cannot be read.
pub fn story(folder: &Path) -> std::io::Result<Option<Story>> {
    let bytes = std::fs::read(folder.join(JOURNAL))?;
    Ok(Story::read(&String::from_utf8_lossy(&bytes)))
}

impl HandOver {
    /// Queues the recording, unless it is queued already. Failures are told and tried again at the next start.
    pub fn hand_over(&self, folder: &Path) {
        match self.try_hand_over(folder) {
            Ok(Some(row)) => {
                tracing::info!(series = %row.key.series_uid, "live: the recorded exam is queued");
                let _ = self.events.send(Event::series(&row));
                self.wake.notify_one();
            }
            Ok(None) => {}
            Err(reason) => {
                tracing::error!(reason, "a recorded exam was not queued; it is tried again at the next start")
            }
        }
    }

    fn try_hand_over(&self, folder: &Path) -> Result<Option<series::SeriesRow>, String> {
        let told = |error: std::io::Error| format!("{}: {error}", folder.display());
        let Some(story) = story(folder).map_err(told)? else {
            // Killed before its first line was written: nothing is known, and nothing was recorded.
            std::fs::remove_dir_all(folder).map_err(told)?;
            return Ok(None);
        };
        if story.ended.is_none() {
            let line = journal::line(&Entry::Ended { utc: now_utc(), interrupted: true });
            // A torn line before it must not take it along.
            let mut journal = std::fs::OpenOptions::new().append(true).open(folder.join(JOURNAL)).map_err(told)?;
            journal.write_all(format!("\n{line}").as_bytes()).and_then(|()| journal.sync_all()).map_err(told)?;
            tracing::warn!("live: an exam was ended by a restart; what was recorded is kept");
        }
        self.queue(&story).map_err(|error| error.to_string())
    }

    fn queue(&self, story: &Story) -> store::Result<Option<series::SeriesRow>> {
        let begun = &story.begun;
        let key = SeriesKey { study_uid: begun.study_uid.clone(), series_uid: begun.series_uid.clone() };
        let mut connection = self.store.connect(Durability::Full)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if series::find(&transaction, &key)?.is_some() {
            return Ok(None);
        }
        let now = now_utc();
        let (row, _) = series::opened(&transaction, &key, "US", Kind::Exam, 0, &begun.started_utc)?;
        let version = series::completed(&transaction, row.id, "ended", &now)?;
        let job = jobs::enqueue(&transaction, row.id, version, &now)?;
        // Somebody has just looked and waits for it; it is short work.
        jobs::make_urgent(&transaction, job)?;
        events::record(&transaction, &format!("series/{}", row.id), "exam ended", "")?;
        let row = series::get(&transaction, row.id)?;
        transaction.commit()?;
        Ok(row)
    }
}
