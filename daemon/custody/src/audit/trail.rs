//! Writes rows: finds the end of the chain, mends it after a kill, begins new files and retires the oldest.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use hal::clock::now_utc;

use super::{Entry, Error, Row, at, chain, files, locked};

/// The longest text of a row, characters.
const LONGEST_TEXT: usize = 400;
/// Who adds rows about the trail itself, and about what.
const OURS: &str = "scansided";
const TRAIL: &str = "audit trail";

#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) longest: u64,
    pub(super) most: usize,
}

/// A row that has no number yet.
#[derive(Debug)]
pub(super) struct Note {
    utc: String,
    /// Who, what, object, result.
    texts: [String; 4],
}

impl Note {
    pub(super) fn new(utc: String, entry: Entry<'_>) -> Self {
        let cut = |text: &str| text.chars().take(LONGEST_TEXT).collect::<String>();
        Self { utc, texts: [entry.who, entry.what, entry.object, entry.result].map(cut) }
    }

    fn of_trail(what: &str, result: &str) -> Self {
        Self::new(now_utc(), Entry { who: OURS, what, object: TRAIL, result })
    }
}

#[derive(Debug)]
pub(super) struct Trail {
    folder: PathBuf,
    bounds: Bounds,
    /// Where the chain ends; `None` until it was read.
    pub(super) end: Mutex<Option<End>>,
    /// Rows that could not be written and that no row tells yet.
    lost: AtomicU64,
}

#[derive(Debug)]
pub(super) struct End {
    file: File,
    path: PathBuf,
    length: u64,
    number: u64,
    hash: String,
}

impl Trail {
    pub(super) fn new(folder: &Path, bounds: Bounds) -> Self {
        Self { folder: folder.to_owned(), bounds, end: Mutex::default(), lost: AtomicU64::new(0) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn record(&self, note: &Note) -> Result<(), Error> {
        let mut slot = locked(&self.end);
        // Gone after an error, so that the next row is written behind what is really there.
        let mut end = match slot.take() {
            Some(end) => end,
            None => self.open()?,
        };
        if end.length >= self.bounds.longest {
            end = self.next_file(end)?;
        }
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 {
            append(&mut end, &Note::of_trail("lost", &format!("{lost} rows before this one could not be written")))?;
            self.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        append(&mut end, note)?;
        *slot = Some(end);
        Ok(())
    }

    pub(super) fn note(&self, note: &Note) {
        if let Err(error) = self.record(note) {
            self.lost(note, &error);
        }
    }

    /// Says that a row is missing: in the log, and in the trail when it can be written again.
    pub(super) fn lost(&self, note: &Note, why: &dyn std::fmt::Display) {
        tracing::error!(%why, what = note.texts[1], "this is not in the audit trail");
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Finds the end of the chain, and removes half a row that a power cut left there. Lines at the end that are no rows of
    /// ours stay and keep their numbers, so that `verify` names them and no number is given twice.
    fn open(&self) -> Result<End, Error> {
        fs::create_dir_all(&self.folder).map_err(at(&self.folder))?;
        let found = files::list(&self.folder)?;
        let Some((path, earlier)) = found.split_last() else {
            let mut end = self.create(1, chain::BEGIN.to_owned(), 0)?;
            append(&mut end, &Note::of_trail("begun", ""))?;
            return Ok(end);
        };
        let text = fs::read(path).map_err(at(path))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |index| index + 1);
        let file = OpenOptions::new().append(true).open(path).map_err(at(path))?;
        if whole < text.len() {
            file.set_len(whole as u64).map_err(at(path))?;
        }
        let (mut last, mut unsound) = last_sound(&text[..whole]);
        for before in earlier.iter().rev() {
            if last.is_some() {
                break;
            }
            let (row, more) = last_sound(&fs::read(before).map_err(at(before))?);
            (last, unsound) = (row, unsound + more);
        }
        let (number, hash) = last.map_or_else(|| (0, chain::BEGIN.to_owned()), |row| (row.number, row.hash));
        // The name of a file is the number of its first row.
        let number = (number + unsound).max(files::first_number(path).saturating_sub(1));
        let mut end = End { file, path: path.clone(), length: whole as u64, number, hash };
        if whole < text.len() {
            append(&mut end, &Note::of_trail("mended", "a power cut or kill left half a row, which was removed"))?;
        }
        if unsound > 0 {
            let result = format!("{unsound} lines at the end are no rows; numbers go on after them");
            append(&mut end, &Note::of_trail("damaged", &result))?;
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
        let found = files::list(&self.folder)?;
        for path in &found[..found.len().saturating_sub(self.bounds.most)] {
            let text = fs::read(path).map_err(at(path))?;
            let mut rows =
                text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Row>(line).ok());
            if let Some(last) = rows.next_back() {
                let object = format!("rows up to {}", last.number);
                let entry = Entry { who: OURS, what: chain::RETIRED, object: &object, result: &last.hash };
                append(&mut end, &Note::new(now_utc(), entry))?;
            }
            fs::remove_file(path).map_err(at(path))?;
        }
        Ok(end)
    }
}

/// The last line that is a row whose hash fits, and how many lines after it are not.
fn last_sound(text: &[u8]) -> (Option<Row>, u64) {
    let mut unsound = 0;
    for line in text.rsplit(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Row>(line) {
            Ok(row) if row.is_sound() => return (Some(row), unsound),
            _ => unsound += 1,
        }
    }
    (None, unsound)
}

fn append(end: &mut End, note: &Note) -> Result<(), Error> {
    let row = Row::new(end.number + 1, note.utc.clone(), note.texts.clone(), &end.hash);
    let mut line = serde_json::to_vec(&row).map_err(|error| at(&end.path)(error.into()))?;
    line.push(b'\n');
    end.file.write_all(&line).and_then(|()| end.file.sync_data()).map_err(at(&end.path))?;
    end.length += line.len() as u64;
    (end.number, end.hash) = (row.number, row.hash);
    Ok(())
}
