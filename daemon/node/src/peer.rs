//! A peer that we open associations to, and what may go wrong with it.

use std::fmt;
use std::path::PathBuf;

use crate::association::Fault;
use crate::outcome::{self, Outcome};
use crate::settings::Destination;
use crate::tls::{self, Client};
use crate::web::login::Login;
use crate::web::url::Url;

/// An archive that takes objects by STOW-RS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub url: Url,
    pub login: Option<Login>,
    /// For https.
    pub tls: Option<Client>,
}

/// How a destination is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Associations.
    Dimse(Target),
    /// DICOMweb.
    Web(Service),
}

impl From<&Destination> for Way {
    fn from(destination: &Destination) -> Self {
        match &destination.url {
            None => Self::Dimse(Target::from(destination)),
            Some(url) => Self::Web(Service {
                url: url.clone(),
                login: destination.login(),
                tls: destination.tls.as_ref().filter(|_| url.is_secure()).map(Client::from),
            }),
        }
    }
}

impl Way {
    /// `host:port`, or the URL.
    pub fn place(&self) -> String {
        match self {
            Self::Dimse(target) => target.address.clone(),
            Self::Web(service) => service.url.to_string(),
        }
    }
}

/// The peer to associate with, and the AE titles to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    pub called_ae: String,
    pub calling_ae: String,
    /// `None`: without TLS.
    pub tls: Option<Client>,
}

impl From<&Destination> for Target {
    fn from(destination: &Destination) -> Self {
        Self {
            address: destination.address.clone(),
            called_ae: destination.ae_title.clone(),
            calling_ae: destination.calling_ae_title.clone(),
            tls: destination.tls.as_ref().map(Client::from),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no connection to {address}: {reason}")]
    Connect { address: String, reason: String },
    #[error("no TLS connection to {address}: {fault}")]
    Tls { address: String, fault: tls::Fault },
    #[error("{address} is connected, and did not {what} within {seconds} s")]
    Silent { address: String, what: &'static str, seconds: f64 },
    #[error("association rejected: {0}")]
    Rejected(String),
    #[error("{0}")]
    Association(#[from] Fault),
    #[error("the peer does not accept SOP class {sop_class_uid} in transfer syntax {transfer_syntax_uid} ({why})")]
    NotAccepted { sop_class_uid: String, transfer_syntax_uid: String, why: Rejection },
    #[error("the peer answered {status:#06x} ({}){}", outcome::words(*.status), colon(.comment))]
    Refused { status: u16, comment: String },
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("the peer does not let us be the provider of storage commitment on our association")]
    Role,
    #[error("the connection with {address} broke: {reason}")]
    Broken { address: String, reason: String },
    #[error("{address} does not speak HTTP")]
    NotHttp { address: String },
    #[error("the archive answered HTTP {code} ({}){}", outcome::http::words(*.code), colon(.said))]
    Http { code: u16, said: String },
    #[error("the login in {}: {reason}", file.display())]
    Login { file: PathBuf, reason: String },
}

fn colon(comment: &str) -> String {
    if comment.is_empty() { String::new() } else { format!(": {comment}") }
}

/// The kinds of error that callers distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendFault {
    /// There is no association, or it has ended. Other objects would have failed too.
    Connection,
    /// The peer is there, and every object would get this answer now.
    Everything,
    /// This object cannot be sent now, or is not taken now; others may be.
    Object,
    /// The peer refuses this object, or every one: it does not say which.
    Unclear,
    /// This object would not be taken at another time either; others may be.
    ObjectForGood,
}

/// Why there is no presentation context for an object (PS3.8 section 9.3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    NotProposed,
    NotAnswered,
    /// The peer chose a transfer syntax that was not proposed.
    AnotherSyntax,
    ByUser,
    NoReason,
    SopClass,
    TransferSyntax,
    /// As `TransferSyntax`, of an object that we do not decompress.
    Compressed,
}

impl Rejection {
    /// `None`: the peer did not mention the context.
    pub(super) fn of(verdict: Option<u8>) -> Self {
        match verdict {
            Some(0) => Self::AnotherSyntax,
            Some(1) => Self::ByUser,
            Some(3) => Self::SopClass,
            Some(4) => Self::TransferSyntax,
            Some(_) => Self::NoReason,
            None => Self::NotAnswered,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotProposed => "not proposed on this association",
            Self::NotAnswered => "not answered",
            Self::AnotherSyntax => "it chose a transfer syntax that was not proposed",
            Self::ByUser => "rejected by its user",
            Self::NoReason => "no reason given",
            Self::SopClass => "SOP class not supported",
            Self::TransferSyntax => "transfer syntax not supported",
            Self::Compressed => "transfer syntax not supported; the object is compressed and is sent only as it is",
        })
    }
}

impl Error {
    pub fn kind(&self) -> SendFault {
        match self {
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Silent { .. }
            | Self::Rejected(_)
            | Self::Association(_)
            | Self::Role
            | Self::Broken { .. }
            | Self::NotHttp { .. } => SendFault::Connection,
            Self::Login { .. } => SendFault::Everything,
            Self::Http { code, .. } => match outcome::http::of(*code) {
                Outcome::Hold => SendFault::Everything,
                Outcome::GivenUp => SendFault::ObjectForGood,
                Outcome::Unclear => SendFault::Unclear,
                Outcome::Stored | Outcome::Warned | Outcome::Full | Outcome::Again => SendFault::Object,
            },
            Self::NotAccepted {
                why: Rejection::SopClass | Rejection::TransferSyntax | Rejection::Compressed, ..
            } => SendFault::ObjectForGood,
            Self::Refused { status, .. } if outcome::of(*status) == Outcome::GivenUp => SendFault::ObjectForGood,
            Self::NotAccepted { .. } | Self::Refused { .. } | Self::File { .. } => SendFault::Object,
        }
    }

    /// For the log, and for others: without what the peer has written, which may name patients.
    pub fn words(&self) -> String {
        match self {
            Self::Refused { status, .. } => Self::Refused { status: *status, comment: String::new() }.to_string(),
            Self::Http { code, .. } => Self::Http { code: *code, said: String::new() }.to_string(),
            _ => self.to_string(),
        }
    }

    /// The peer has no room for this object, or for any.
    pub fn is_out_of_room(&self) -> bool {
        match self {
            Self::Refused { status, .. } => outcome::of(*status) == Outcome::Full,
            Self::Http { code, .. } => outcome::http::of(*code) == Outcome::Full,
            _ => false,
        }
    }

    /// The peer has answered to this object, whatever it was.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Http { .. })
    }

    /// The DIMSE status in the peer's response, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_has_written_is_in_the_whole_error_and_not_in_its_words() {
        let planted = || "Hidden^Name".to_owned();
        for (error, code) in [
            (Error::Refused { status: 0xa900, comment: planted() }, "0xa900"),
            (Error::Http { code: 409, said: planted() }, "409"),
        ] {
            assert!(error.to_string().contains("Hidden") && error.to_string().contains(code), "{error}");
            assert!(!error.words().contains("Hidden") && error.words().contains(code), "{}", error.words());
        }
        assert_eq!(Error::Role.words(), Error::Role.to_string());
    }
}
