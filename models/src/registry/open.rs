//! Start: reads the registry from the disk and removes what a crash left unfinished.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{Entry, Origin};
use super::error::{Error, RegistryFault};
use super::record::Record;
use super::selection::Selection;
use super::{Key, Registry, layout};
use crate::signature::Trust;

/// What the sweep at the start found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Half-done installations and removals that were cleared.
    pub unfinished: usize,
    /// What cannot be read and is ignored, with the reason.
    pub unreadable: Vec<String>,
    /// Tasks whose chosen package was bad, and what they use now.
    pub fallen_back: Vec<(String, Option<Key>)>,
}

impl Registry {
    /// Opens the registry in `directory`, which is made when it is not there, and sweeps it. Only one process may have
    /// it open so. `built_in` holds the packages that came with the software, one directory each.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(directory: &Path, built_in: &Path, trust: Trust, tasks: &[&str]) -> Result<(Self, Swept), Error> {
        std::fs::create_dir_all(directory).map_err(Error::io(directory))?;
        let mut swept = Swept { unfinished: sweep(directory)?, ..Swept::default() };
        let mut registry = Self::view(Some(directory), built_in, trust, tasks, &mut swept.unreadable);
        registry.read_only = false;
        registry.fall_back(&mut swept)?;
        Ok((registry, swept))
    }

    /// Opens the registry read-only: for a second process, and for `scansidectl analyze` without a registry. Entries that
    /// cannot be read are left out and named in `unreadable`.
    pub fn view(
        directory: Option<&Path>,
        built_in: &Path,
        trust: Trust,
        tasks: &[&str],
        unreadable: &mut Vec<String>,
    ) -> Self {
        let tasks: Vec<String> = tasks.iter().map(|task| (*task).to_owned()).collect();
        let mut registry = Self {
            directory: directory.map(Path::to_owned).unwrap_or_default(),
            read_only: true,
            trust: Arc::new(trust),
            tasks: Arc::new(tasks),
            entries: BTreeMap::new(),
            built_in: BTreeMap::new(),
            is_unread: false,
            selections: BTreeMap::new(),
        };
        for (name, path) in registry.directories(built_in, unreadable) {
            let entry = registry.read_entry(Key::new(name, ""), &path, Origin::BuiltIn, unreadable);
            registry.built_in.insert(entry.key.clone(), Entry { record: None, ..entry.clone() });
            registry.entries.insert(entry.key.clone(), entry);
        }
        let Some(directory) = directory else { return registry };
        for task in registry.tasks.clone().iter() {
            if let Some(selection) = read::<Selection>(&layout::task(directory, task), unreadable) {
                registry.selections.insert(task.clone(), selection);
            }
        }
        for (id, path) in registry.directories(&layout::packages(directory), unreadable) {
            for (version, path) in registry.directories(&path, unreadable) {
                let entry = registry.read_entry(Key::new(&*id, version), &path, Origin::Installed, unreadable);
                if !registry.is_shipped_better(&entry) {
                    registry.entries.insert(entry.key.clone(), entry);
                }
            }
        }
        registry
    }

    /// Of an installed package and one of the same name and version that came with the software: whether the latter is used. Of one
    /// content it is, unless it is damaged, so that it counts as shipped and needs no key; of another content, unless a site has
    /// chosen the installed one.
    fn is_shipped_better(&self, installed: &Entry) -> bool {
        let Some(shipped) = self.entries.get(&installed.key).filter(|entry| entry.origin == Origin::BuiltIn) else {
            return false;
        };
        if shipped.sha256 == installed.sha256 {
            // What cannot be read just now is not damaged.
            return shipped.open(&self.trust).map_or_else(|error| error.kind() == RegistryFault::Io, |_| true);
        }
        let choice = Some(installed.choice());
        let is_chosen = self.selections.values().any(|of| [&of.active, &of.last_good, &of.shadow].contains(&&choice));
        shipped.unusable.is_none() && (installed.refusal().is_some() || !is_chosen)
    }

    /// What cannot be read is said.
    fn directories(&mut self, parent: &Path, unreadable: &mut Vec<String>) -> Vec<(String, PathBuf)> {
        let (found, failed) = directories(parent);
        self.is_unread |= failed.is_some();
        unreadable.extend(failed.map(|error| format!("{}: {error}", parent.display())));
        found
    }

    fn read_entry(&mut self, key: Key, path: &Path, origin: Origin, unreadable: &mut Vec<String>) -> Entry {
        let mut entry = Entry::read(key, path, origin, &self.trust, &self.tasks);
        if let (true, Some(why)) = (entry.is_unread, &entry.unusable) {
            self.is_unread = true;
            unreadable.push(why.clone());
        }
        if !self.directory.as_os_str().is_empty() {
            // A record of other content (a software update) says nothing.
            let record = read::<Record>(&layout::record(&self.directory, &entry.key), unreadable);
            entry.record = record.filter(|record| record.sha256 == entry.sha256);
            // Of files, not of an accelerator: another copy of this content, or a repaired one, may be good.
            if entry.record.as_ref().is_some_and(Record::is_of_files) {
                let refused = entry.record.take();
                entry.record = refused.filter(|_| entry.open(&self.trust).is_err());
            }
        }
        entry
    }

    /// When the chosen package is missing or refused, the package that the task uses instead is recorded. Not when it may only
    /// not be readable now: the task uses another one until the next start, which looks again.
    fn fall_back(&mut self, swept: &mut Swept) -> Result<(), Error> {
        if self.is_unread {
            return Ok(());
        }
        for (task, selection) in self.selections.clone() {
            let Some(chosen) = &selection.active else { continue };
            if self.usable(chosen).is_none() {
                let next = self.active(&task).ok().map(Entry::choice);
                self.select(&task, selection.back(next.clone()))?;
                swept.fallen_back.push((task, next.map(|next| next.key)));
            }
        }
        Ok(())
    }
}

/// Removes unfinished installations. Nothing below `staging` is referenced anywhere.
fn sweep(directory: &Path) -> Result<usize, Error> {
    let mut unfinished = 0;
    for (_, path) in directories(&layout::staging(directory)).0 {
        std::fs::remove_dir_all(&path).map_err(Error::io(&path))?;
        unfinished += 1;
    }
    Ok(unfinished)
}

/// Name and path of each directory in a directory, in order of names, and why there may be more; none when it is not there.
fn directories(parent: &Path) -> (Vec<(String, PathBuf)>, Option<std::io::Error>) {
    let (mut found, mut failed) = (Vec::new(), None);
    let entries = match std::fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(error) => return (found, Some(error).filter(|error| error.kind() != std::io::ErrorKind::NotFound)),
    };
    for entry in entries {
        match entry.and_then(|entry| Ok((entry.file_type()?.is_dir(), entry))) {
            Ok((true, entry)) => found.push((entry.file_name().to_string_lossy().into_owned(), entry.path())),
            Ok((false, _)) => {}
            Err(error) => failed = Some(error),
        }
    }
    found.sort();
    (found, failed)
}

/// `None` when the file is not there; one that is no such file is ignored, and said so.
fn read<T: serde::de::DeserializeOwned>(path: &Path, unreadable: &mut Vec<String>) -> Option<T> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            unreadable.push(format!("{}: {error}", path.display()));
            return None;
        }
    };
    toml::from_str(&text).map_err(|error| unreadable.push(format!("{}: {error}", path.display()))).ok()
}
