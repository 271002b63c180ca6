//! The audit trail at a start: what runs from now on, and whether its configuration is another one than before.

use config::{Settings, diff};
use custody::audit::{Audit, Entry};
use sha2::{Digest, Sha256};

const STARTED: &str = "started";

/// Beside the database, which may have to be built again. Reads back to the last start, so on a blocking thread.
pub async fn begin(settings: &Settings) -> Audit {
    let audit = Audit::at(&settings.spool.directory.join("audit"));
    let configuration = diff::table(settings).to_string();
    let configuration = format!("configuration {}", hex::encode(Sha256::digest(configuration)));
    let trail = audit.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || started(&trail, &configuration)).await {
        tracing::error!(%error, "the start is not in the audit trail");
    }
    audit
}

fn started(audit: &Audit, configuration: &str) {
    // A trail that cannot be read tells it when it is verified; the row is written all the same.
    let before = audit.newest(1, u64::MAX, |row| row.what == STARTED).unwrap_or_default();
    if before.first().is_some_and(|before| before.result != configuration) {
        audit.note(Entry { who: "files", what: "configuration changed", object: "settings", result: configuration });
    }
    let version = concat!("scansided ", env!("CARGO_PKG_VERSION"));
    audit.note(Entry { who: "scansided", what: STARTED, object: version, result: configuration });
}
