//! Custody: everything that must survive a power cut. The log of received instances (`spool`), the database (`store`),
//! and the state of every series (`series`).

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod audit;
pub mod spool;
pub mod store;
pub mod series;
pub mod instance;
pub mod event;
pub mod retention;
pub mod level;
pub mod settings;

use std::sync::Arc;

/// Returns the free bytes of the disk that holds the spool, or why they cannot be determined.
pub type FreeBytes = Arc<dyn Fn() -> Result<u64, String> + Send + Sync>;
