//! Writes the files of one recording.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

use super::RecordError;
use super::journal::{self, JournalEntry, Story};
use super::pictures::{self, Head};

pub const JOURNAL: &str = "journal.jsonl";

/// Name of a file of pictures.
pub fn part(number: u64) -> String {
    format!("{number:08}.pic")
}

/// What could not be done with a file or folder of a recording.
#[derive(Debug, thiserror::Error)]
#[error("{what} {path}: {source}")]
pub struct FileError {
    what: &'static str,
    path: String,
    source: io::Error,
}

#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    journal: File,
    /// The present file of pictures, once there is one.
    part: Option<File>,
    number: u64,
    /// The last line of the journal may be torn: the next one begins on a line of its own.
    torn: bool,
    /// The record that is being built.
    record: Vec<u8>,
}

impl Files {
    /// # Errors
    /// When folder or journal cannot be made.
    pub fn create(folder: &Path) -> Result<Self, FileError> {
        std::fs::create_dir_all(folder).map_err(failed("cannot make", folder))?;
        let path = folder.join(JOURNAL);
        let journal = OpenOptions::new().create(true).append(true).open(&path).map_err(failed("cannot make", &path))?;
        for directory in folder.ancestors().take(2) {
            File::open(directory).and_then(|d| d.sync_all()).map_err(failed("cannot sync", directory))?;
        }
        let torn = journal.metadata().map_or(true, |metadata| metadata.len() > 0);
        Ok(Self { folder: folder.to_owned(), journal, part: None, number: 0, torn, record: Vec::new() })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends a line to the journal and applies it to the story.
    ///
    /// # Errors
    /// When it cannot be written; the story stays as it is then.
    pub fn note(&mut self, entry: &JournalEntry, story: &mut Story) -> Result<(), FileError> {
        let begin = if self.torn { "\n" } else { "" };
        let line = format!("{begin}{}", journal::line(entry));
        let written = self.journal.write_all(line.as_bytes());
        self.torn = written.is_err();
        written.map_err(failed("cannot write", &self.folder.join(JOURNAL)))?;
        story.apply(entry);
        Ok(())
    }

    /// The buffer to which the JPEG of the next picture is appended.
    pub fn record(&mut self) -> &mut Vec<u8> {
        self.record.clear();
        self.record.extend(pictures::room());
        &mut self.record
    }

    /// Writes the picture whose JPEG is in the record.
    ///
    /// # Errors
    /// When it has no valid head, or cannot be written whole.
    pub fn picture(&mut self, head: Head) -> Result<(), RecordError> {
        let path = self.folder.join(part(self.number));
        pictures::seal(head, &mut self.record)?;
        if self.part.is_none() {
            self.part = Some(File::create_new(&path).map_err(failed("cannot make", &path))?);
        }
        let Some(part) = &mut self.part else { return Ok(()) };
        let written = part.write_all(&self.record);
        if written.is_err() {
            // A torn record must be the last of its file; the next picture begins another file.
            self.part = None;
            self.number += 1;
        }
        Ok(written.map_err(failed("cannot write", &path))?)
    }

    /// Ends the present file of pictures; returns its number.
    ///
    /// # Errors
    /// When the system has no file handle left.
    pub fn next_part(&mut self, syncer: &Syncer) -> Result<u64, FileError> {
        let number = self.number;
        self.number += 1;
        let journal = self.journal.try_clone().map_err(failed("cannot sync", &self.folder))?;
        self.part.take().into_iter().chain([journal]).for_each(|file| syncer.sync(file));
        Ok(number)
    }

    /// Removes a file of pictures; one that is gone already is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, number: u64) -> Result<(), FileError> {
        let path = self.folder.join(part(number));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("cannot remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(&mut self) -> Result<(), FileError> {
        let files = self.part.take();
        let synced = files.iter().chain([&self.journal]).try_for_each(File::sync_all);
        let synced = synced.and_then(|()| File::open(&self.folder)?.sync_all());
        synced.map_err(failed("cannot sync", &self.folder))
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.display().to_string();
    move |source| FileError { what, path, source }
}

/// Syncs files on its own thread, since that may take longer than one picture lasts.
#[derive(Debug)]
pub struct Syncer(SyncSender<File>);

impl Syncer {
    pub fn start() -> Self {
        let (send, files) = sync_channel::<File>(8);
        let thread = std::thread::Builder::new().name("live-record-disk".into()).spawn(move || {
            for file in files {
                if let Err(error) = file.sync_data() {
                    tracing::error!(%error, "a recording was not synced to the disk");
                }
            }
        });
        if let Err(error) = thread {
            tracing::error!(%error, "recordings are not synced to the disk until the exam ends");
        }
        Self(send)
    }

    fn sync(&self, file: File) {
        if let Err(TrySendError::Full(_)) = self.0.try_send(file) {
            tracing::warn!("the disk is slow: a power cut may cost more than a second of the recording");
        }
    }
}
