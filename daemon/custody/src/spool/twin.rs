//! An object that came again in another encoding is no other object. The writer compares bytes, since it must not wait for more;
//! what it takes for a conflict is compared here by content, one after the other.

use std::sync::Arc;
use std::time::Duration;

use dicom::content;
use tokio::sync::Semaphore;

use super::error::Result;
use super::{Shared, Spool, check};
use crate::instance::{Instance, Location};
use crate::store::instances::{self, InstanceState};
use crate::store::{Durability, events};

/// Larger objects stay in conflict: what is parsed takes a dozen times this in memory when it is made of small elements only.
const MOST_BYTES: u64 = 8 << 20;
/// After the arrival: whoever sends a study again is done by then.
const SETTLED: Duration = Duration::from_secs(120);
/// One at a time: it bounds memory, and nobody waits for it.
static COMPARING: Semaphore = Semaphore::const_new(1);

const SAME: &str = "the same content in another encoding came before";

impl Spool {
    /// Compares what is in conflict already: the comparison was cut off, or the database was built again. Needs a runtime.
    pub fn compare_known_later(&self) {
        let spool = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SETTLED).await;
            let _place = COMPARING.acquire().await;
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || spool.compare_known()).await {
                tracing::warn!(%error, "objects in conflict were not compared again");
            }
        });
    }

    pub(super) fn compare_known(&self) -> Result<()> {
        let connection = self.0.shared.store.connect(Durability::Full)?;
        for id in instances::in_conflict(&connection)? {
            if let Some(conflict) = instances::get_here(&connection, id)?
                && let Err(error) = self.is_twin(&conflict)
            {
                tracing::warn!(instance = id, %error, "an object in conflict was not compared again");
            }
        }
        Ok(())
    }

    /// Compares an object in conflict with the one that counts when there is time; equal ones are no conflict any more. Needs a
    /// runtime.
    pub fn compare_later(&self, conflict: Arc<Instance>) {
        let spool = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(SETTLED).await;
            // Closed never.
            let _place = COMPARING.acquire().await;
            let id = conflict.id;
            match tokio::task::spawn_blocking(move || spool.is_twin(&conflict)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(instance = id, %error, "an object that came again was not compared"),
                Err(error) => tracing::error!(instance = id, %error, "comparing an object that came again failed"),
            }
        });
    }

    /// Whether an object in conflict says the same as the one that counts; then it is no conflict any more. Blocks.
    ///
    /// # Errors
    /// `Damaged`, `Gone`, `Io`, `Database`.
    pub fn is_twin(&self, conflict: &Instance) -> Result<bool> {
        is_twin(&self.0.shared, conflict)
    }
}

fn is_twin(shared: &Arc<Shared>, conflict: &Instance) -> Result<bool> {
    let connection = shared.store.connect(Durability::Full)?;
    let known = instances::by_sop_uid(&connection, &conflict.header.sop_instance_uid)?;
    let kept = known.iter().find(|known| known.state == InstanceState::Kept);
    let kept = kept.map(|known| instances::get_kept(&connection, known.id)).transpose()?.flatten();
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
    if instances::forget_twin(&connection, conflict)? {
        events::record(&connection, &format!("instance/{}", conflict.id), "no conflict", SAME)?;
    }
    Ok(true)
}

fn say_the_same(shared: &Arc<Shared>, kept: &Instance, other: &Instance) -> Result<bool> {
    let own = content::form(&check::read(shared, kept)?);
    let other = content::form(&check::read(shared, other)?);
    Ok(matches!((own, other), (Ok(own), Ok(other)) if own == other))
}
