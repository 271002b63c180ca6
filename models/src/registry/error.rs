//! What the registry cannot do, and why.

use std::io::ErrorKind;
use std::path::Path;

use super::Key;
use crate::{archive, package, signature};

/// Callers decide by this value only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryFault {
    /// No such package, or no such task.
    NotFound,
    /// The package itself is to blame: tampered with, not trusted, not for this software, not good.
    Refused,
    /// Not in the state that it is in.
    NotPossible,
    /// The disk.
    Io,
}

#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: RegistryFault,
    message: String,
}

impl Error {
    pub(super) fn new(kind: RegistryFault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(super) fn unknown(key: &Key) -> Self {
        Self::new(RegistryFault::NotFound, format!("no package {key} here"))
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::new(RegistryFault::Io, format!("{}: {error}", path.display()))
    }

    pub fn kind(&self) -> RegistryFault {
        self.kind
    }
}

impl From<archive::Error> for Error {
    fn from(error: archive::Error) -> Self {
        let kind = if error.kind() == archive::ArchiveFault::Io { RegistryFault::Io } else { RegistryFault::Refused };
        Self::new(kind, error.to_string())
    }
}

impl From<package::Error> for Error {
    fn from(error: package::Error) -> Self {
        let is_disk = matches!(&error, package::Error::Unreadable { source, .. } if is_of_disk(source));
        Self::new(if is_disk { RegistryFault::Io } else { RegistryFault::Refused }, error.to_string())
    }
}

impl From<signature::Error> for Error {
    fn from(error: signature::Error) -> Self {
        let is_disk = matches!(&error, signature::Error::Unreadable { source, .. } if is_of_disk(source));
        Self::new(if is_disk { RegistryFault::Io } else { RegistryFault::Refused }, error.to_string())
    }
}

/// Whether it may pass, and says nothing about the package: a file that is missing, or whose text is none, does.
fn is_of_disk(error: &std::io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData)
}
