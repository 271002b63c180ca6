//! The table of D-Bus error names.

use models::registry;
use study::lesions::enter;
use study::{model, review};

use crate::attest;
use crate::dicomweb::{self, WebFault};
use crate::reader::Lost;

/// Each variant is the D-Bus error `org.scanside.Appliance1.Error.<variant>`, with a text in plain words.
#[derive(Debug, Clone, zbus::DBusError)]
#[zbus(prefix = "org.scanside.Appliance1.Error")]
pub enum Error {
    #[zbus(error)]
    ZBus(zbus::Error),
    /// There is no such study, series, package or destination.
    NotFound(String),
    /// An option is unknown or has the wrong type or value.
    InvalidArgument(String),
    /// The caller may not do this.
    NotAuthorized(String),
    /// The present restriction level (see `Level`) does not allow this.
    Restricted(String),
    /// The model package failed its checks; the text says why.
    PackageRefused(String),
    /// Not possible in the present state; the text says what must be done first.
    NotPossible(String),
    /// The destination did not answer or refused.
    PeerFailed(String),
    /// An error inside the daemon, not in the call. Details are in its log.
    Internal(String),
}

impl From<custody::store::Error> for Error {
    fn from(error: custody::store::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        Self::Internal(lost.to_string())
    }
}

impl From<attest::Error> for Error {
    fn from(error: attest::Error) -> Self {
        let text = error.to_string();
        match error {
            attest::Error::Documents(_) => Self::InvalidArgument(text),
            attest::Error::Io { .. } | attest::Error::Key { .. } | attest::Error::Sign(_) => Self::Internal(text),
        }
    }
}

impl From<dicomweb::Error> for Error {
    fn from(error: dicomweb::Error) -> Self {
        let text = error.to_string();
        match (&error, error.kind()) {
            (dicomweb::Error::Target(_), _) | (_, WebFault::NotInThisForm) => Self::NotPossible(text),
            (_, WebFault::NotFound) => Self::NotFound(text),
            (_, WebFault::Wrong) => Self::InvalidArgument(text),
            (_, WebFault::Internal) => Self::Internal(text),
        }
    }
}

impl From<model::Error> for Error {
    fn from(error: model::Error) -> Self {
        let text = error.to_string();
        match error {
            model::Error::Refused { .. } => Self::PackageRefused(text),
            model::Error::Restricted(_) => Self::Restricted(text),
            model::Error::NoPackage(_) | model::Error::Cancelled => Self::NotPossible(text),
            model::Error::Registry(error) => match error.kind() {
                registry::RegistryFault::NotFound => Self::NotFound(text),
                registry::RegistryFault::Refused => Self::PackageRefused(text),
                registry::RegistryFault::NotPossible => Self::NotPossible(text),
                registry::RegistryFault::Io => Self::Internal(text),
            },
            model::Error::Accelerator(_) | model::Error::Internal(_) => Self::Internal(text),
        }
    }
}

impl From<review::Error> for Error {
    fn from(error: review::Error) -> Self {
        let text = error.to_string();
        match error {
            review::Error::NoSeries(_) => Self::NotFound(text),
            review::Error::NotPossible(_) => Self::NotPossible(text),
            review::Error::Wrong(_) => Self::InvalidArgument(text),
            review::Error::Store(_) => Self::Internal(text),
        }
    }
}

impl From<enter::Error> for Error {
    fn from(error: enter::Error) -> Self {
        let text = error.to_string();
        match error {
            enter::Error::NotFound(_) => Self::NotFound(text),
            enter::Error::NotPossible(_) => Self::NotPossible(text),
            enter::Error::Wrong(_) | enter::Error::Name | enter::Error::Text => Self::InvalidArgument(text),
            enter::Error::Store(_) => Self::Internal(text),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Internal(format!("database: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use zbus::DBusError;

    use super::*;

    #[test]
    fn each_kind_has_its_stable_name() {
        let names = [
            (Error::NotFound(String::new()), "NotFound"),
            (Error::InvalidArgument(String::new()), "InvalidArgument"),
            (Error::NotAuthorized(String::new()), "NotAuthorized"),
            (Error::Restricted(String::new()), "Restricted"),
            (Error::PackageRefused(String::new()), "PackageRefused"),
            (Error::NotPossible(String::new()), "NotPossible"),
            (Error::PeerFailed(String::new()), "PeerFailed"),
            (Error::Internal(String::new()), "Internal"),
        ];
        for (error, name) in names {
            assert_eq!(error.name().as_str(), format!("org.scanside.Appliance1.Error.{name}"));
        }
    }
}
