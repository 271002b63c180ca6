//! Custody: what "durable" means here.

mod error;
mod incoming;
mod reader;
mod sweep;

pub use error::{Error, Kind, Result};
pub use incoming::Incoming;
pub use reader::Reader;
pub use sweep::Recovery;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::settings;
use crate::dicom::header::Header;
use crate::store::Store;

/// The custody of every instance. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {}

/// Where an instance came from, as the association knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    pub calling_ae: String,
    pub called_ae: String,
    pub peer_address: String,
    /// Number of the association since start.
    pub association: u64,
}

/// Where the Part 10 bytes of an instance lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a segment of the custody log, at `offset`.
    Log { segment: i64, offset: u64, length: u64 },
    /// In a file of its own; `file` is a name of ours below the spool directory.
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
    pub association: u64,
    pub received_utc: String,
}

/// What became of an instance, once that is durable.
#[derive(Debug, Clone)]
pub enum Outcome {
    New(Arc<Instance>),
    /// The same bytes were in custody before.
    AlreadySo(Arc<Instance>),
    /// Kept, beside different bytes with the same SOP Instance UID.
    Conflict(Arc<Instance>),
    /// The bytes are kept but cannot be read; `reason` is in plain words.
    Quarantined {
        reason: String,
    },
}

impl Spool {
    /// Opens (or makes) the spool and reconciles log, files and rows. Blocks; call before serving.
    ///
    /// # Errors
    /// When the directory or the database cannot be used, or another process has the spool.
    pub fn open(settings: &settings::Spool, store: &Store) -> Result<(Self, Recovery)> {
        let _ = (settings, store);
        Err(Error::Closed)
    }

    /// Begins to receive one instance.
    ///
    /// # Errors
    /// `NoSpace` before any byte is kept; `Closed`.
    pub fn begin(
        &self,
        origin: Origin,
        sop_class_uid: &str,
        sop_instance_uid: &str,
        transfer_syntax_uid: &str,
    ) -> Result<Incoming> {
        let _ = (origin, sop_class_uid, sop_instance_uid, transfer_syntax_uid);
        Err(Error::Closed)
    }

    /// The whole Part 10 file. Blocks.
    ///
    /// # Errors
    /// `Io`, also when the instance was evicted meanwhile.
    pub fn read(&self, location: &Location) -> Result<Vec<u8>> {
        let _ = location;
        Err(Error::Closed)
    }

    /// A reader that starts at the Part 10 preamble and ends with the file. Blocks. While it lives, the bytes stay.
    ///
    /// # Errors
    /// `Io`, also when the instance was evicted meanwhile.
    pub fn reader(&self, location: &Location) -> Result<Reader> {
        let _ = location;
        Err(Error::Closed)
    }

    /// Free bytes of the disk below the spool.
    ///
    /// # Errors
    /// `Io`.
    pub fn free_bytes(&self) -> Result<u64> {
        Err(Error::Closed)
    }

    /// Applies the retention rules now (they are also applied in the background). Blocks.
    ///
    /// # Errors
    /// `Io`, `Database`.
    pub fn evict(&self) -> Result<Evicted> {
        Err(Error::Closed)
    }
}

/// What retention removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evicted {
    pub instances: u64,
    pub bytes: u64,
}
