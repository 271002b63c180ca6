//! The packages of a box: those that came with the software, those that were installed, and which one each task uses.
//!
//! The disk is the truth. `layout` says where what lies, `disk` how it changes, `install` how a package gets in,
//! `selection` what a task uses. Building (loading and the golden run) is the caller's work: the registry is told what
//! came of it.

#[cfg(test)]
mod crash;
mod disk;
mod entry;
mod error;
mod install;
mod key;
pub mod layout;
mod open;
mod record;
mod selection;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use entry::{Entry, Origin};
pub use error::{Error, RegistryFault};
pub use install::{Change, Installer, Staged};
pub use key::Key;
pub use open::Swept;
pub use record::{Outcome, Record};
pub use selection::{Choice, Selection};
pub use state::PackageState;

use crate::signature::Trust;

#[derive(Debug)]
pub struct Registry {
    directory: PathBuf,
    /// What changes, changes in memory only.
    read_only: bool,
    trust: Arc<Trust>,
    /// The tasks of this software.
    tasks: Arc<Vec<String>>,
    entries: BTreeMap<Key, Entry>,
    /// All that came with the software, as at the start, also where an installed one of the same name and version is in `entries`.
    built_in: BTreeMap<Key, Entry>,
    /// Some package could not be read at the start, so that it is not known whether a choice is gone.
    is_unread: bool,
    /// Of the tasks for which someone chose.
    selections: BTreeMap<String, Selection>,
}

impl Registry {
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Another process may use the directory; without a directory there is none to change.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub fn trust(&self) -> Arc<Trust> {
        self.trust.clone()
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// # Errors
    /// `NotFound`.
    pub fn get(&self, key: &Key) -> Result<&Entry, Error> {
        self.entries.get(key).ok_or_else(|| Error::unknown(key))
    }

    pub fn selection(&self, task: &str) -> Selection {
        self.selections.get(task).cloned().unwrap_or_default()
    }

    pub fn state(&self, entry: &Entry) -> PackageState {
        let off = self.selection(entry.task()).deactivated.is_some_and(|off| off == entry.choice());
        entry.state(self.is_active(entry), off)
    }

    pub fn is_active(&self, entry: &Entry) -> bool {
        self.active(entry.task()).is_ok_and(|active| active.key == entry.key)
    }

    /// What the task uses: what was chosen; when that is gone or bad, what was last good; without either, what came
    /// with the software. Nothing once someone switched it off.
    ///
    /// # Errors
    /// `NotPossible`, saying why there is none.
    pub fn active(&self, task: &str) -> Result<&Entry, Error> {
        let selection = self.selection(task);
        if let (None, Some(off)) = (&selection.active, &selection.deactivated) {
            return Err(Error::new(RegistryFault::NotPossible, format!("{} was switched off for {task}", off.key)));
        }
        let chosen = [&selection.active, &selection.last_good].into_iter().flatten();
        let found = chosen.filter_map(|choice| self.usable(choice)).next().or_else(|| self.shipped(task));
        found.ok_or_else(|| self.nothing(task))
    }

    /// The candidate beside the active package.
    pub fn shadow(&self, task: &str) -> Option<&Entry> {
        self.selection(task).shadow.and_then(|choice| self.usable(&choice)).filter(|entry| !self.is_active(entry))
    }

    /// What came with the software: of the packages for a task the one that claims most findings, then the newest.
    fn shipped(&self, task: &str) -> Option<&Entry> {
        let rank = |entry: &&Entry| {
            let findings = entry.manifest.as_ref().map_or(0, |manifest| manifest.findings().len());
            (findings, entry.key.order(), entry.key.id.clone())
        };
        let fit = |entry: &&Entry| entry.origin == Origin::BuiltIn && entry.task() == task && entry.refusal().is_none();
        self.entries.values().filter(fit).max_by_key(rank)
    }

    fn usable(&self, choice: &Choice) -> Option<&Entry> {
        let entry = self.entries.get(&choice.key)?;
        (entry.sha256 == choice.sha256 && entry.refusal().is_none()).then_some(entry)
    }

    /// Packages that were refused for what they did on an accelerator.
    pub fn refused_by_run(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| entry.record.as_ref().is_some_and(Record::is_of_run))
    }

    /// Forgets what was found on another accelerator than this one: its library or its driver was updated since. The next build
    /// decides again. The files stay: another start comes to the same.
    pub fn forget_refusals_elsewhere(&mut self, accelerator: &str) {
        for entry in self.entries.values_mut() {
            entry.record =
                entry.record.take().filter(|record| !record.is_of_run() || record.accelerator == accelerator);
        }
    }

    /// What the error of [`Registry::active`] says of a task that has nothing usable.
    pub fn lack(task: &str) -> String {
        format!("no usable model package for {task}")
    }

    fn nothing(&self, task: &str) -> Error {
        let refused = |entry: &Entry| Some(format!("{}: {}", entry.key, entry.refusal()?));
        let of_task = |entry: &&Entry| entry.task() == task || entry.manifest.is_none();
        let reasons: Vec<String> = self.entries.values().filter(of_task).filter_map(refused).collect();
        let why = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
        Error::new(RegistryFault::NotPossible, Self::lack(task) + &why)
    }

    /// Lets a task use a package. One rename decides. Whether it works here was found out before.
    ///
    /// # Errors
    /// `NotFound`; `Refused` with the reason it was refused for; `Io`.
    pub fn activate(&mut self, key: &Key) -> Result<Change, Error> {
        let entry = self.get(key)?;
        if let Some(reason) = entry.refusal() {
            return Err(Error::new(RegistryFault::Refused, format!("{key}: {reason}")));
        }
        let (task, choice) = (entry.task().to_owned(), entry.choice());
        let now = self.active(&task).ok().map(Entry::choice);
        let selection = self.selection(&task);
        self.select(&task, selection.activate(choice, now))
    }

    /// Back to what was last good.
    ///
    /// # Errors
    /// `NotPossible` when there is nothing to go back to; `Io`.
    pub fn rollback(&mut self, task: &str) -> Result<Key, Error> {
        let selection = self.selection(task);
        let active = self.active(task).ok().map(Entry::choice);
        let last =
            selection.last_good.clone().filter(|last| self.usable(last).is_some() && active.as_ref() != Some(last));
        let shipped = || self.shipped(task).map(Entry::choice).filter(|shipped| active.as_ref() != Some(shipped));
        let none = || Error::new(RegistryFault::NotPossible, format!("there is no package to go back to for {task}"));
        let to = last.or_else(shipped).ok_or_else(none)?;
        let key = to.key.clone();
        self.select(task, selection.back(Some(to)))?;
        Ok(key)
    }

    /// Switches the active package of a task off; nothing is used instead.
    ///
    /// # Errors
    /// `NotFound`; `NotPossible` when it is not active; `Io`.
    pub fn deactivate(&mut self, key: &Key) -> Result<Change, Error> {
        let entry = self.get(key)?;
        let (task, choice) = (entry.task().to_owned(), entry.choice());
        let selection = self.selection(&task);
        if selection.active.is_none() && selection.deactivated.as_ref() == Some(&choice) {
            return Ok(Change::Already);
        }
        if !self.is_active(entry) {
            return Err(Error::new(RegistryFault::NotPossible, format!("{key} is not active")));
        }
        self.select(&task, selection.deactivate(choice))
    }

    /// Runs a package beside the active one of its task, or no longer.
    ///
    /// # Errors
    /// `NotFound`; `Refused`; `NotPossible` for the active one; `Io`.
    pub fn set_shadow(&mut self, key: &Key, on: bool) -> Result<Change, Error> {
        let entry = self.get(key)?;
        let (task, choice) = (entry.task().to_owned(), entry.choice());
        let selection = self.selection(&task);
        if !on {
            let is = selection.shadow.as_ref() == Some(&choice);
            return if is { self.select(&task, selection.shadow(None)) } else { Ok(Change::Already) };
        }
        if let Some(reason) = entry.refusal() {
            return Err(Error::new(RegistryFault::Refused, format!("{key}: {reason}")));
        }
        if self.is_active(entry) {
            return Err(Error::new(
                RegistryFault::NotPossible,
                format!("{key} is active: it cannot run beside itself"),
            ));
        }
        self.select(&task, selection.shadow(Some(choice)))
    }

    /// Removes an installed package that no task uses.
    ///
    /// # Errors
    /// `NotFound`; `NotPossible` when it is active, runs as shadow, is being built, or came with the software; `Io`.
    pub fn remove(&mut self, key: &Key) -> Result<(), Error> {
        let entry = self.get(key)?;
        let task = entry.task().to_owned();
        let selection = self.selection(&task);
        let no = |why: &str| Err(Error::new(RegistryFault::NotPossible, format!("{key} {why}")));
        if entry.origin == Origin::BuiltIn {
            return no("came with the software; it goes with the software");
        }
        if self.is_active(entry) {
            return no("is active: activate another one, roll back or deactivate it first");
        }
        if selection.shadow.as_ref().is_some_and(|shadow| shadow.key == *key) {
            return no("runs as shadow: end that first");
        }
        if entry.building.is_some() {
            return no("is being built");
        }
        let place = entry.directory.clone();
        if selection != Selection::default() {
            self.select(&task, selection.without(key))?;
        }
        self.discard(&place)?;
        self.forget_record(key)?;
        self.entries.remove(key);
        if let Some(shipped) = self.built_in.get(key) {
            self.entries.insert(key.clone(), shipped.clone());
        }
        Ok(())
    }

    /// A build goes on.
    pub fn building(&mut self, key: &Key, stage: &str, fraction: f64) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.building = Some((stage.to_owned(), fraction.clamp(0.0, 1.0)));
            entry.failure = None;
        }
    }

    /// A build has ended. `failure` is why it came to nothing, when that was not the package's fault.
    pub fn build_ended(&mut self, key: &Key, failure: Option<String>) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.building = None;
            entry.failure = failure;
        }
    }

    /// What came of a build of the content `sha256`. A refusal of the active package brings its task back to what was
    /// last good; the answer is then what the task uses from now on.
    ///
    /// # Errors
    /// `NotFound`, also when the content is another one by now; `Io`.
    pub fn built(&mut self, key: &Key, record: Record) -> Result<Option<Key>, Error> {
        let entry = self.get(key)?;
        if entry.sha256 != record.sha256 {
            return Err(Error::unknown(key));
        }
        let (task, was_active) = (entry.task().to_owned(), self.is_active(entry));
        self.keep(&layout::record(&self.directory, key), &record)?;
        let refused = matches!(record.outcome, Outcome::Refused { .. });
        let shipped = self.built_in.get(key).filter(|shipped| refused && shipped.sha256 != record.sha256).cloned();
        if let Some(entry) = self.entries.get_mut(key) {
            entry.record = Some(record);
            // A site's own content of this version is bad: that of the software is another one.
            if let Some(shipped) = shipped {
                *entry = shipped;
            }
        }
        if !(was_active && refused) {
            return Ok(None);
        }
        // The refusal is on the disk already: after a crash here the start comes to the same choice.
        let next = self.active(&task).ok().map(Entry::choice);
        let selection = self.selection(&task);
        self.select(&task, selection.back(next.clone()))?;
        Ok(next.map(|next| next.key))
    }

    fn select(&mut self, task: &str, selection: Selection) -> Result<Change, Error> {
        if self.selections.get(task) == Some(&selection) {
            return Ok(Change::Already);
        }
        self.keep(&layout::task(&self.directory, task), &selection)?;
        self.selections.insert(task.to_owned(), selection);
        Ok(Change::Changed)
    }

    fn keep(&self, path: &Path, value: &impl serde::Serialize) -> Result<(), Error> {
        if self.read_only {
            return Ok(());
        }
        let text = toml::to_string(value).map_err(|error| Error::new(RegistryFault::Io, error.to_string()))?;
        disk::replace(path, &text).map_err(Error::io(path))
    }

    fn forget_record(&self, key: &Key) -> Result<(), Error> {
        let path = layout::record(&self.directory, key);
        disk::remove(&path).map_err(Error::io(&path))
    }
}
