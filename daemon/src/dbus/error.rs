//! What a call over the bus can fail with: the one table of D-Bus error names.

/// Each variant is the D-Bus error `org.scanside.Appliance1.Error.<variant>`; its text is for people.
#[derive(Debug, Clone, zbus::DBusError)]
#[zbus(prefix = "org.scanside.Appliance1.Error")]
pub enum Error {
    #[zbus(error)]
    ZBus(zbus::Error),
    /// The study, series or destination is not known here.
    NotFound(String),
    /// An option is unknown or has the wrong type or value.
    InvalidArgument(String),
    /// The caller may not do this.
    NotAuthorized(String),
    /// The appliance is restricted (see `Level`) and does not do this now.
    Restricted(String),
    /// The destination did not answer, or refused.
    PeerFailed(String),
    /// Nothing is wrong with the call; the appliance could not do it. Details are in its log.
    Internal(String),
}

impl From<crate::store::Error> for Error {
    fn from(error: crate::store::Error) -> Self {
        Self::Internal(error.to_string())
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
            (Error::PeerFailed(String::new()), "PeerFailed"),
            (Error::Internal(String::new()), "Internal"),
        ];
        for (error, name) in names {
            assert_eq!(error.name().as_str(), format!("org.scanside.Appliance1.Error.{name}"));
        }
    }
}
