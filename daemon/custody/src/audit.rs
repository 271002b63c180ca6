//! The audit trail: who did what with which object, and what came of it. Rows are only ever added; each carries a SHA-256 over
//! itself and the hash of the row before, so that a row that is changed, removed or put in between does not fit any more.
//!
//! It lies in files of its own beside the database (one JSON object a line), not in it: what is built again after damage
//! would not have the last minutes, and the trail is to say just that. No names, IDs and dates of patients; studies stand
//! in it by their UIDs. Decision 0026.

mod chain;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use chain::{Fault, Row, Verdict};

use hal::clock::now_utc;

/// A file is closed at this length, bytes.
const LONGEST: u64 = 2 << 20;
/// Files that are kept, 64 MiB in all: some 200 000 rows.
const MOST: usize = 32;
/// The longest text of a row, characters.
const LONGEST_TEXT: usize = 400;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("audit trail {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// What is to be written down.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// `user 1000` of the bus, an address of the page, or `scansided`.
    pub who: &'a str,
    /// One word or two: `export`, `login`, `started`.
    pub what: &'a str,
    /// Which one: a study by its UID, a delivery by its number, a package by its name.
    pub object: &'a str,
    /// `allowed`, or why not, or what failed.
    pub result: &'a str,
}

/// Cheap to clone. The default one keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct Audit(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    bounds: Bounds,
    /// Where the chain ends; `None` until it was read.
    end: Mutex<Option<End>>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    longest: u64,
    most: usize,
}

#[derive(Debug)]
struct End {
    file: File,
    path: PathBuf,
    length: u64,
    number: u64,
    hash: String,
}

impl Audit {
    /// Touches nothing before the first row.
    pub fn at(folder: &Path) -> Self {
        Self::bounded(folder, Bounds { longest: LONGEST, most: MOST })
    }

    fn bounded(folder: &Path, bounds: Bounds) -> Self {
        Self(Some(Arc::new(Inner { folder: folder.to_owned(), bounds, end: Mutex::default() })))
    }

    /// Adds a row; it is on the disk when this returns. Blocks.
    ///
    /// # Errors
    /// When it cannot be written. The next row is tried anew.
    pub fn record(&self, entry: Entry<'_>) -> Result<(), Error> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let mut slot = inner.end.lock().unwrap_or_else(PoisonError::into_inner);
        // Gone after an error, so that the next row is written behind what is really there.
        let mut end = match slot.take() {
            Some(end) => end,
            None => inner.open()?,
        };
        if end.length >= inner.bounds.longest {
            end = inner.next_file(end)?;
        }
        append(&mut end, entry)?;
        *slot = Some(end);
        Ok(())
    }

    /// As [`Audit::record`]; what cannot be written is told in the log.
    pub fn note(&self, entry: Entry<'_>) {
        if let Err(error) = self.record(entry) {
            tracing::error!(%error, what = entry.what, "this is not in the audit trail");
        }
    }

    /// All rows that can be read, oldest first. Blocks.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn rows(&self) -> Result<Vec<Row>, Error> {
        let (rows, _) = self.read()?;
        Ok(rows)
    }

    /// Whether every row fits to the one before, and the first that does not. Blocks.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn verify(&self) -> Result<Verdict, Error> {
        let (rows, unread) = self.read()?;
        Ok(chain::verify(&rows, unread))
    }

    /// Rows, and the number of the one before the first line that is none.
    fn read(&self) -> Result<(Vec<Row>, Option<u64>), Error> {
        let (mut rows, mut unread) = (Vec::<Row>::new(), None);
        let Some(inner) = &self.0 else { return Ok((rows, None)) };
        // Nobody writes meanwhile.
        let _end = inner.end.lock().unwrap_or_else(PoisonError::into_inner);
        for path in files(&inner.folder)? {
            let text = fs::read(&path).map_err(at(&path))?;
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                match serde_json::from_slice(line) {
                    Ok(row) => rows.push(row),
                    // The last one was cut off and is mended with the next row.
                    Err(_) if !line.ends_with(b"\n") => {}
                    Err(_) => {
                        unread.get_or_insert_with(|| rows.last().map_or(0, |row| row.number));
                    }
                }
            }
        }
        Ok((rows, unread))
    }
}

impl Inner {
    /// Finds the end of the chain, and removes half a row that a power cut left there.
    fn open(&self) -> Result<End, Error> {
        fs::create_dir_all(&self.folder).map_err(at(&self.folder))?;
        let found = files(&self.folder)?;
        let Some(path) = found.last().cloned() else {
            let mut end = self.create(1, chain::BEGIN.to_owned(), 0)?;
            append(&mut end, Entry { who: "scansided", what: "begun", object: "audit trail", result: "" })?;
            return Ok(end);
        };
        let text = fs::read(&path).map_err(at(&path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
        let file = OpenOptions::new().append(true).open(&path).map_err(at(&path))?;
        if whole < text.len() {
            file.set_len(whole as u64).map_err(at(&path))?;
        }
        let last = text[..whole].split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
        let mut row: Option<Row> = last.and_then(|line| serde_json::from_slice(line).ok());
        if last.is_none() && found.len() > 1 {
            // A file that was begun and got no row.
            let before = &found[found.len() - 2];
            let text = fs::read(before).map_err(at(before))?;
            let last = text.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
            row = last.and_then(|line| serde_json::from_slice(line).ok());
        }
        let (number, hash) = row.map_or_else(|| (0, chain::BEGIN.to_owned()), |row| (row.number, row.hash));
        let mut end = End { file, path, length: whole as u64, number, hash };
        if whole < text.len() {
            let result = "a power cut or kill left half a row, which was removed";
            append(&mut end, Entry { who: "scansided", what: "mended", object: "audit trail", result })?;
        }
        Ok(end)
    }

    fn create(&self, first: u64, hash: String, number: u64) -> Result<End, Error> {
        let path = self.folder.join(format!("{first:012}.jsonl"));
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(at(&path))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(at(&self.folder))?;
        Ok(End { file, path, length: 0, number, hash })
    }

    /// Begins another file. When there are too many the oldest is retired: a row that stays names its last hash, from which
    /// the rest of the chain goes on.
    fn next_file(&self, end: End) -> Result<End, Error> {
        let mut end = self.create(end.number + 1, end.hash, end.number)?;
        let found = files(&self.folder)?;
        for path in &found[..found.len().saturating_sub(self.bounds.most)] {
            let text = fs::read(path).map_err(at(path))?;
            let mut rows =
                text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Row>(line).ok());
            if let Some(last) = rows.next_back() {
                let object = format!("rows up to {}", last.number);
                let entry = Entry { who: "scansided", what: chain::RETIRED, object: &object, result: &last.hash };
                append(&mut end, entry)?;
            }
            fs::remove_file(path).map_err(at(path))?;
        }
        Ok(end)
    }
}

fn append(end: &mut End, entry: Entry<'_>) -> Result<(), Error> {
    let cut = |text: &str| text.chars().take(LONGEST_TEXT).collect::<String>();
    let texts = [entry.who, entry.what, entry.object, entry.result].map(cut);
    let row = Row::new(end.number + 1, now_utc(), texts, &end.hash);
    let mut line = serde_json::to_vec(&row).map_err(|error| at(&end.path)(error.into()))?;
    line.push(b'\n');
    end.file.write_all(&line).and_then(|()| end.file.sync_data()).map_err(at(&end.path))?;
    end.length += line.len() as u64;
    (end.number, end.hash) = (row.number, row.hash);
    Ok(())
}

/// In the order in which they were begun.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(at(folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(at(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

#[cfg(test)]
mod tests;
