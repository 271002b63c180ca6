//! Custody: what survives a power cut. The log of received instances (`spool`), the database (`store`), and the state that
//! every series is in.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod spool;
pub mod store;
pub mod series;
pub mod instance;
pub mod event;
pub mod level;
pub mod settings;

use std::sync::Arc;

/// Bytes free for custody, or why that cannot be told.
pub type FreeBytes = Arc<dyn Fn() -> Result<u64, String> + Send + Sync>;
