//! One instance on its way in.

use super::{Outcome, Result};

/// Dropping it abandons the instance: nothing of it remains.
#[derive(Debug)]
pub struct Incoming {}

impl Incoming {
    /// Takes the next bytes of the data set, exactly as on the wire.
    ///
    /// # Errors
    /// `NoSpace`, `Io`; the instance is then lost and must be dropped.
    pub async fn write(&mut self, data_set_bytes: &[u8]) -> Result<()> {
        let _ = data_set_bytes;
        Err(super::Error::Closed)
    }

    /// Returns when the instance is durable, or the reason why not.
    ///
    /// # Errors
    /// `UidMismatch`, `NoSpace`, `Io`, `Database`, `Closed`: nothing is kept.
    pub async fn commit(self) -> Result<Outcome> {
        Err(super::Error::Closed)
    }
}
