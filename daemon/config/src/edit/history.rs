//! What the configuration was before each change: numbered steps, the newest kept. They lie in `history` beside the files that
//! they are copies of, not in the state directory: that one belongs to the daemon's user, and root must not write to a folder in
//! which another user can put links; and a copy of /etc holds them, too.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk;
use crate::source::Source;
use crate::{Error, Problem};

/// The name of the folder. The daemon reads only files that end in `.toml`, and no folder in a folder.
const FOLDER: &str = "history";
/// Enough for a site's life between two visits; a step has the size of the site's files, some KiB.
pub const STEPS: usize = 20;

/// Makes the folder of the configuration, which the daemon's user must be able to read whatever the umask is here.
fn for_everyone(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    for_everyone(disk::folder(folder))?;
    DirBuilder::new().create(folder).or_else(there_already)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

/// Somebody else may have made it meanwhile.
fn there_already(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
}

/// The files of the site at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub utc: String,
    /// What was done then, without values.
    pub what: String,
    pub files: Vec<Source>,
}

#[derive(Debug)]
pub struct History {
    folder: PathBuf,
    /// Held until this is dropped: two people may work at once.
    _lock: Option<File>,
}

impl History {
    /// To read only.
    pub fn of(file: &Path) -> Self {
        Self { folder: disk::folder(file).join(FOLDER), _lock: None }
    }

    /// Waits for whoever else is changing the configuration.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn lock(file: &Path) -> Result<Self, Error> {
        let folder = disk::folder(file).join(FOLDER);
        let locked = || {
            if !folder.is_dir() {
                for_everyone(disk::folder(&folder))?;
                DirBuilder::new().mode(0o700).create(&folder).or_else(there_already)?;
                disk::sync(disk::folder(&folder))?;
            }
            let lock = File::create(folder.join("lock"))?;
            lock.lock()?;
            Ok(lock)
        };
        let lock = locked().map_err(|error: io::Error| Problem::of_file(&folder, error.to_string()))?;
        Ok(Self { folder, _lock: Some(lock) })
    }

    /// Numbers of the steps, the oldest first.
    pub fn numbers(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok);
        let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok();
        let mut numbers: Vec<u32> = entries.filter_map(name).collect();
        numbers.sort_unstable();
        numbers
    }

    fn file(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{number:04}.json"))
    }

    /// What was before change `number`.
    ///
    /// # Errors
    /// When there is no such step, or it cannot be read.
    pub fn get(&self, number: u32) -> Result<Snapshot, Error> {
        let file = self.file(number);
        if !file.exists() {
            let reason = format!("there is no step {number}; `scansidectl config history` lists them");
            return Err(Problem { file: None, line: None, key: None, reason }.into());
        }
        Snapshot::read(&file)
    }

    /// Adds a step, and removes those that are too old. Returns its number.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, snapshot: &Snapshot) -> Result<u32, Error> {
        let numbers = self.numbers();
        let number = numbers.last().map_or(1, |last| last.saturating_add(1));
        snapshot.write(&self.file(number))?;
        for old in numbers.iter().rev().skip(STEPS - 1) {
            // One too many is no reason to refuse a change.
            let _ = disk::remove(&self.file(*old));
        }
        Ok(number)
    }
}

impl Snapshot {
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let bytes = fs::read(file).map_err(|error| Problem::of_file(file, error.to_string()))?;
        Ok(serde_json::from_slice(&bytes).map_err(|error| Problem::of_file(file, error.to_string()))?)
    }

    /// Readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), Error> {
        let written = serde_json::to_vec_pretty(self)
            .map_err(io::Error::from)
            .and_then(|bytes| disk::replace(file, &bytes, 0o600, disk::NOTHING));
        Ok(written.map_err(|error| Problem::of_file(file, error.to_string()))?)
    }
}
