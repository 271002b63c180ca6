//! An object that came again in another encoding is no other object. The writer compares bytes, since it must not wait for more;
//! what it takes for a conflict is compared here by content, on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use dicom::content;
use rusqlite::Connection;

use super::error::Result;
use super::{Shared, check};
use crate::instance::{Instance, Location};
use crate::store::instances::{self, InstanceState};
use crate::store::{Durability, events};

/// Larger objects stay in conflict: what is parsed takes a dozen times this in memory when it is made of small elements only.
const MOST_BYTES: u64 = 8 << 20;
/// From one look to the next. What came since the last one waits: whoever sends a study again is done by then.
const EVERY: Duration = Duration::from_secs(120);

const SAME: &str = "the same content in another encoding came before";

/// The background thread: compares each object in conflict once, those of an earlier run first. Ends when the spool closes.
pub(super) fn run(shared: &Arc<Shared>) {
    hal::urgency::step_back();
    let mut looked = (0, 0);
    while shared.shelf.sleep(EVERY) {
        match round(shared, looked) {
            Ok(now) => looked = now,
            Err(error) => {
                tracing::warn!(%error, "objects in conflict were not compared; they will be");
                shared.told(&error);
            }
        }
    }
}

/// One look: compares what was there at the last one. Takes and returns the ids up to which objects were compared, and seen.
pub(super) fn round(shared: &Arc<Shared>, (compared, seen): (i64, i64)) -> Result<(i64, i64)> {
    let newest = compare(shared, compared, seen)?;
    // An id above the newest one is given again once its row is gone.
    Ok((seen.min(newest), newest))
}

/// Compares the objects in conflict whose ids are above `compared` and up to `seen`; returns the highest id that is in conflict then,
/// 0 without any.
///
/// # Errors
/// When the database fails. One object that cannot be read keeps none of the others.
pub(super) fn compare(shared: &Arc<Shared>, compared: i64, seen: i64) -> Result<i64> {
    let connection = shared.store.connect(Durability::Full)?;
    for id in instances::in_conflict(&connection)?.iter().filter(|id| (compared + 1..=seen).contains(id)) {
        if shared.shelf.is_stopped() {
            break;
        }
        if let Some(conflict) = instances::get_here(&connection, *id)?
            && let Err(error) = is_twin(shared, &connection, &conflict)
        {
            tracing::warn!(instance = id, %error, "an object that came again was not compared");
        }
    }
    Ok(instances::in_conflict(&connection)?.last().copied().unwrap_or_default())
}

/// Whether an object in conflict says the same as the one that counts; then it is no conflict any more.
///
/// # Errors
/// `Damaged`, `Gone`, `Io`, `Database`.
pub(super) fn is_twin(shared: &Arc<Shared>, connection: &Connection, conflict: &Instance) -> Result<bool> {
    let known = instances::by_sop_uid(connection, &conflict.header.sop_instance_uid)?;
    let kept = known.iter().find(|known| known.state == InstanceState::Kept);
    let kept = kept.map(|known| instances::get_kept(connection, known.id)).transpose()?.flatten();
    let Some(kept) = kept else { return Ok(false) };
    // A deflated data set may be any size.
    let is_small = |instance: &Instance| {
        let is_in_the_log = matches!(instance.location, Location::Log { .. });
        let is_deflated = dicom::scan::is_deflated(&instance.header.transfer_syntax_uid);
        is_in_the_log && !is_deflated && instance.location.length() <= MOST_BYTES
    };
    if !is_small(&kept) || !is_small(conflict) || !say_the_same(shared, &kept, conflict)? {
        return Ok(false);
    }
    if instances::forget_twin(connection, conflict)? {
        events::record(connection, &format!("instance/{}", conflict.id), "no conflict", SAME)?;
    }
    Ok(true)
}

fn say_the_same(shared: &Arc<Shared>, kept: &Instance, other: &Instance) -> Result<bool> {
    let own = content::form(&check::read(shared, kept)?);
    let other = content::form(&check::read(shared, other)?);
    Ok(matches!((own, other), (Ok(own), Ok(other)) if own == other))
}
