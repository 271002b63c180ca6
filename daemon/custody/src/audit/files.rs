//! Reads the files of the trail. Nobody who writes waits for it: rows are only added, a row that is being written has no end
//! of line yet, and a file that was retired meanwhile is not missed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Error, Row, at};

/// How often the list of files is read again because the oldest was retired in between.
const TRIES: usize = 5;

/// In the order in which they were begun.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>, Error> {
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

/// Number of the row with which a file begins, of its name.
pub(super) fn first_number(path: &Path) -> u64 {
    path.file_stem().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0)
}

/// All rows, oldest first, and the number of the one before the first line that is none.
pub(super) fn all(folder: &Path) -> Result<(Vec<Row>, Option<u64>), Error> {
    let mut tries = 1;
    loop {
        match all_of(&list(folder)?) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
            read => return read,
        }
    }
}

fn all_of(files: &[PathBuf]) -> Result<(Vec<Row>, Option<u64>), Error> {
    let (mut rows, mut unread) = (Vec::<Row>::new(), None);
    for (index, path) in files.iter().enumerate() {
        let text = fs::read(path).map_err(at(path))?;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(row) => rows.push(row),
                // Is being written, or was cut off and is mended with the next row.
                Err(_) if !line.ends_with(b"\n") && index + 1 == files.len() => {}
                Err(_) => {
                    unread.get_or_insert_with(|| rows.last().map_or(0, |row| row.number));
                }
            }
        }
    }
    Ok((rows, unread))
}

/// The newest `limit` rows that `wanted` takes, the newest first.
pub(super) fn newest(folder: &Path, limit: usize, wanted: impl Fn(&Row) -> bool) -> Result<Vec<Row>, Error> {
    let mut found = Vec::new();
    for path in list(folder)?.iter().rev() {
        let text = match fs::read(path) {
            // Retired meanwhile, so that older ones are as well.
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            text => text.map_err(at(path))?,
        };
        for line in text.rsplit(|byte| *byte == b'\n') {
            if found.len() >= limit {
                return Ok(found);
            }
            found.extend(serde_json::from_slice(line).ok().filter(&wanted));
        }
    }
    Ok(found)
}
