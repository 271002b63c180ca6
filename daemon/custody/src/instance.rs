//! One instance in custody: its header, where its bytes are stored, and who sent it.

use dicom::header::Header;
use serde::{Deserialize, Serialize};

/// Where an instance came from, as the association knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    pub calling_ae: String,
    pub called_ae: String,
    pub peer_address: String,
    /// Number of the association, counted since the daemon started.
    pub association: u64,
    /// Fingerprint of the certificate that the sender showed by TLS. Only in the custody log, not in the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// This box has asked an archive for it (`node::retrieve`). Only in the custody log, not in the database.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked_for: bool,
}

/// Where the Part 10 bytes of an instance are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a segment of the custody log, at `offset`.
    Log { segment: i64, offset: u64, length: u64 },
    /// In a file of its own. `file` is relative to the spool directory and contains nothing that the sender chose.
    File { file: String, length: u64 },
}

impl Location {
    /// Bytes of the Part 10 file.
    pub fn length(&self) -> u64 {
        match self {
            Self::Log { length, .. } | Self::File { length, .. } => *length,
        }
    }
}

/// One instance in custody.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Row in `instances`.
    pub id: i64,
    pub header: Header,
    pub location: Location,
    /// SHA-256 of the data set bytes as received, lower-case hex.
    pub sha256: String,
    pub association: u64,
    pub received_utc: String,
}
