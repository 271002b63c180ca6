//! What is done over the page, in the audit trail: by which address.

use std::net::IpAddr;

use custody::audit::{Audit, Entry};

use crate::dbus;

/// What the trail calls whoever is at this address.
pub fn who(from: IpAddr) -> String {
    format!("page {}", from.to_canonical())
}

/// Does it when a row of it is on the disk, and adds one if it fails.
///
/// # Errors
/// Those of the work; `Internal` when the row cannot be written.
pub async fn recorded<T>(
    audit: &Audit,
    from: IpAddr,
    what: &'static str,
    object: &str,
    work: impl Future<Output = Result<T, dbus::Error>>,
) -> Result<T, dbus::Error> {
    written(audit, from, what, object).await?;
    let outcome = work.await;
    if let Err(error) = &outcome {
        let (who, result) = (who(from), dbus::failed(error));
        audit.later(Entry { who: &who, what, object, result: &result });
    }
    outcome
}

/// Returns when a row is on the disk that says that it is allowed.
///
/// # Errors
/// `Internal` when it cannot be written.
pub async fn written(audit: &Audit, from: IpAddr, what: &'static str, object: &str) -> Result<(), dbus::Error> {
    let (audit, who, object) = (audit.clone(), who(from), object.to_owned());
    let record = move || audit.record(Entry { who: &who, what, object: &object, result: "allowed" });
    let done = tokio::task::spawn_blocking(record).await;
    let done = done.map_err(|error| dbus::Error::Internal(error.to_string()))?;
    done.map_err(|error| dbus::Error::Internal(error.to_string()))
}

/// What is given piece by piece: few rows for many requests, and nobody waits.
pub fn taken(audit: &Audit, from: IpAddr, object: &str) {
    audit.taken(Entry { who: &who(from), what: "retrieve", object, result: "allowed" });
}

/// A command of the live path, and that it was not done. It does not wait for the disk.
pub fn commanded<T, E>(audit: &Audit, from: IpAddr, what: &str, outcome: &Result<T, E>) {
    let result = if outcome.is_ok() { "done" } else { "failed" };
    audit.later(Entry { who: &who(from), what, object: "exam", result });
}
