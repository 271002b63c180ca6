//! One package as the registry knows it.

use std::path::{Path, PathBuf};

use super::record::{Outcome, Record};
use super::selection::Choice;
use super::{Error, Key, PackageState, RegistryFault};
use crate::manifest::Manifest;
use crate::package::{self, Package};
use crate::signature::{Signer, Trust};

/// Where a package came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Shipped with the software, on a medium that is read only, and covered by the software's own signature.
    BuiltIn,
    Installed,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Installed => "installed",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub key: Key,
    pub directory: PathBuf,
    pub origin: Origin,
    /// `None` when `model.toml` cannot be used.
    pub manifest: Option<Manifest>,
    /// Of `model.toml`; empty when it cannot be read.
    pub sha256: String,
    /// `None` when nobody who is trusted here signed it.
    pub signer: Option<Signer>,
    /// Of the last build of this content.
    pub record: Option<Record>,
    /// Why the package cannot be used at all, whatever a build would show.
    pub(super) unusable: Option<String>,
    /// It is unusable only because the disk did not let us look. Not kept over a restart.
    pub(super) is_unread: bool,
    /// Why the last build came to no end, when that was not the package's fault. Not kept over a restart.
    pub failure: Option<String>,
    /// While it is being built: stage and fraction.
    pub(super) building: Option<(String, f64)>,
}

impl Entry {
    /// Reads manifest and signature; the hashes of the other files are checked when the package is opened.
    pub(super) fn read(key: Key, directory: &Path, origin: Origin, trust: &Trust, tasks: &[String]) -> Self {
        let mut entry = Self {
            key,
            directory: directory.to_owned(),
            origin,
            manifest: None,
            sha256: String::new(),
            signer: None,
            record: None,
            unusable: None,
            is_unread: false,
            failure: None,
            building: None,
        };
        let (manifest, sha256) = match package::manifest(directory) {
            Ok(read) => read,
            Err(error) => {
                entry.cannot(&error.into());
                return entry;
            }
        };
        let own = Key::new(&*manifest.id, &*manifest.version);
        entry.unusable = if origin == Origin::Installed && own != entry.key {
            Some(format!("its manifest is that of {own}"))
        } else if !tasks.contains(&manifest.task) {
            Some(unknown_task(&manifest.task))
        } else {
            None
        };
        if origin == Origin::BuiltIn {
            entry.key = own;
        }
        match origin {
            Origin::BuiltIn => entry.signer = Some(Signer::BuiltIn),
            Origin::Installed => match trust.directory(directory) {
                Ok(signer) => entry.signer = Some(signer),
                Err(error) => entry.cannot(&error.into()),
            },
        }
        entry.manifest = Some(manifest);
        entry.sha256 = sha256;
        entry
    }

    fn cannot(&mut self, error: &Error) {
        (self.unusable, self.is_unread) = (Some(error.to_string()), error.kind() == RegistryFault::Io);
    }

    pub fn task(&self) -> &str {
        self.manifest.as_ref().map_or("", |manifest| &manifest.task)
    }

    pub fn choice(&self) -> Choice {
        Choice { key: self.key.clone(), sha256: self.sha256.clone() }
    }

    /// Why it must not be used, when so.
    pub fn refusal(&self) -> Option<&str> {
        let refused = self.record.as_ref().and_then(|record| match &record.outcome {
            Outcome::Refused { reason } => Some(reason.as_str()),
            Outcome::Ready { .. } => None,
        });
        self.unusable.as_deref().or(refused)
    }

    /// Stage and fraction, while it is being built.
    pub fn building(&self) -> Option<(&str, f64)> {
        self.building.as_ref().map(|(stage, fraction)| (stage.as_str(), *fraction))
    }

    /// The network that was found good on this accelerator, an ONNX file of the package.
    pub fn ready_on(&self, accelerator: &str) -> Option<&str> {
        let found = |record: &&Record| {
            record.accelerator == accelerator
                && matches!(record.outcome, Outcome::Ready { .. })
                && !record.network.is_empty()
        };
        self.record.as_ref().filter(found).filter(|_| self.unusable.is_none()).map(|record| record.network.as_str())
    }

    pub(super) fn state(&self, active: bool, deactivated: bool) -> PackageState {
        if let (Some((stage, fraction)), false) = (&self.building, active) {
            return PackageState::Building { stage: stage.clone(), fraction: *fraction };
        }
        match (self.refusal(), &self.record) {
            (Some(reason), _) => PackageState::Refused(reason.to_owned()),
            _ if active => PackageState::Active,
            _ if deactivated => PackageState::Deactivated,
            (None, Some(_)) => PackageState::Ready,
            (None, None) => PackageState::Installed,
        }
    }

    /// Checks everything: manifest, signature, the hash of each file, and that there is no other.
    ///
    /// # Errors
    /// `Refused` in the words of the check that failed; `Io` when the disk does not let us look.
    pub fn open(&self, trust: &Trust) -> Result<Package, Error> {
        if let Some(unusable) = &self.unusable {
            let kind = if self.is_unread { RegistryFault::Io } else { RegistryFault::Refused };
            return Err(Error::new(kind, unusable));
        }
        if self.origin == Origin::Installed {
            trust.directory(&self.directory)?;
        }
        let package = Package::open(&self.directory)?;
        let same = package.sha256 == self.sha256;
        if same { Ok(package) } else { Err(Error::new(RegistryFault::Refused, "its model.toml was changed")) }
    }
}

pub(super) fn unknown_task(task: &str) -> String {
    format!("it is for the task {task}, which this software does not have")
}
