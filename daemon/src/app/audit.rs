//! The audit trail at a start: what runs from now on, and whether its configuration is another one than before.

use config::{Settings, diff};
use custody::audit::{Audit, Entry};
use sha2::{Digest, Sha256};

const STARTED: &str = "started";

/// Beside the database, which may have to be built again.
pub fn begin(settings: &Settings) -> Audit {
    let audit = Audit::at(&settings.spool.directory.join("audit"));
    let configuration = diff::table(settings).to_string();
    let configuration = format!("configuration {}", hex::encode(Sha256::digest(configuration)));
    // A trail that cannot be read tells it when it is verified; the row is written all the same.
    let before = audit.rows().unwrap_or_default().into_iter().rev().find(|row| row.what == STARTED);
    if before.is_some_and(|before| before.result != configuration) {
        audit.note(Entry { who: "files", what: "configuration changed", object: "settings", result: &configuration });
    }
    let version = concat!("scansided ", env!("CARGO_PKG_VERSION"));
    audit.note(Entry { who: "scansided", what: STARTED, object: version, result: &configuration });
    audit
}
