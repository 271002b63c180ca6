//! The folder with the files of engines: written whole or not at all, bounded in number.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::plan::{self, Binding, Unfit};

/// Files of engines that are kept in one folder; the folder of a package has one for each of its extents.
pub const MOST: usize = 8;
/// Larger files are no engines of ours, bytes.
const LARGEST: u64 = 4 << 30;
/// Timings of the builder, of use to all networks of this device.
const TIMINGS: &str = "timings.cache";

#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// What a look into the folder gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Engine(Vec<u8>),
    Nothing,
    /// There is a file, and it must not be used.
    Refused(Unfit),
    /// The disk does not let us look.
    Unreadable(String),
}

impl Store {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub fn engine(&self, binding: &Binding) -> Found {
        match read(&self.folder.join(binding.file_name())) {
            Ok(Some(file)) => match plan::decode(&file, binding) {
                Ok(engine) => Found::Engine(engine.to_vec()),
                Err(unfit) => Found::Refused(unfit),
            },
            Ok(None) => Found::Nothing,
            Err(error) => Found::Unreadable(error.to_string()),
        }
    }

    /// # Errors
    /// The disk's. What was there before is then still there.
    pub fn keep(&self, binding: &Binding, engine: &[u8]) -> io::Result<()> {
        let name = binding.file_name();
        replace(&self.folder, &name, &plan::encode(binding, engine))?;
        // Kernels were compiled for the engine that was replaced.
        remove(&self.folder.join(kernels(&name)))?;
        self.prune(&name)
    }

    /// What a session has compiled for an engine; empty when there is nothing. The library checks it.
    pub fn kernels(&self, binding: &Binding) -> Vec<u8> {
        read(&self.folder.join(kernels(&binding.file_name()))).ok().flatten().unwrap_or_default()
    }

    /// # Errors
    /// The disk's.
    pub fn keep_kernels(&self, binding: &Binding, blob: &[u8]) -> io::Result<()> {
        replace(&self.folder, &kernels(&binding.file_name()), blob)
    }

    /// Empty when there are none. The library checks them: they are bound to device and version.
    pub fn timings(&self) -> Vec<u8> {
        read(&self.folder.join(TIMINGS)).ok().flatten().unwrap_or_default()
    }

    /// # Errors
    /// The disk's.
    pub fn keep_timings(&self, timings: &[u8]) -> io::Result<()> {
        replace(&self.folder, TIMINGS, timings)
    }

    /// Leaves the newest engines, `newest` among them, and nothing that was begun and not ended.
    fn prune(&self, newest: &str) -> io::Result<()> {
        let mut engines: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".new") {
                remove(&entry.path())?;
            } else if name.ends_with(".engine") && name != newest {
                let written = entry.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
                engines.push((written, entry.path()));
            }
        }
        engines.sort();
        let surplus = (engines.len() + 1).saturating_sub(MOST);
        for (_, path) in engines.into_iter().take(surplus) {
            if let Some(name) = path.file_name() {
                remove(&path.with_file_name(kernels(&name.to_string_lossy())))?;
            }
            remove(&path)?;
        }
        Ok(())
    }
}

fn kernels(engine: &str) -> String {
    format!("{}.kernels", engine.trim_end_matches(".engine"))
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let new = folder.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))?;
    File::open(folder)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(number: usize) -> Binding {
        Binding {
            library: "TensorRT 11.4.1".into(),
            device: "Thor".into(),
            capability: "11.0".into(),
            driver: "580".into(),
            network: format!("{number}"),
            shapes: "image 1x1".into(),
            workspace_mib: 1,
        }
    }

    #[test]
    fn an_engine_that_was_kept_is_found_and_an_outdated_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("made when needed"));
        assert_eq!(store.engine(&binding(1)), Found::Nothing);
        store.keep(&binding(1), b"old").unwrap();
        store.keep_kernels(&binding(1), b"kernels").unwrap();
        assert_eq!(store.engine(&binding(1)), Found::Engine(b"old".to_vec()));
        let updated = Binding { driver: "581".into(), ..binding(1) };
        assert!(matches!(store.engine(&updated), Found::Refused(Unfit::Other { .. })));
        store.keep(&updated, b"new").unwrap();
        assert_eq!(store.engine(&updated), Found::Engine(b"new".to_vec()));
        assert!(store.kernels(&updated).is_empty(), "kernels of the old engine are gone");
        assert!(matches!(store.engine(&binding(1)), Found::Refused(_)), "one file for both");
    }

    #[test]
    fn a_bounded_number_is_kept_and_what_was_cut_off_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        fs::write(folder.path().join("0123.engine.new"), b"half").unwrap();
        store.keep_timings(b"timings").unwrap();
        for number in 0..2 * MOST {
            store.keep(&binding(number), b"engine").unwrap();
            store.keep_kernels(&binding(number), b"kernels").unwrap();
            assert!(matches!(store.engine(&binding(number)), Found::Engine(_)), "the newest is there");
        }
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let count = |end: &str| names.iter().filter(|name| name.ends_with(end)).count();
        assert_eq!((count(".engine"), count(".kernels"), count(".new")), (MOST, MOST, 0), "{names:?}");
        assert_eq!(store.timings(), b"timings");
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let store = Store::new(&file);
        assert!(matches!(store.engine(&binding(1)), Found::Unreadable(_)));
        assert!(store.keep(&binding(1), b"engine").is_err());
    }
}
