//! Jobs that were in work when the last process ended: counted once for each process, before anybody may take a job. Counted later it
//! would hit what this process has begun, and park a job that harmed nobody.

use custody::store::jobs::{self, JobRow};
use custody::store::{self, Durability, StoreFault, events};
use rusqlite::{Transaction, TransactionBehavior};

use crate::analyze::conclude;
use crate::parts::StudyParts;
use crate::settings::Analyze;

/// Queues them again; those that were interrupted too often are parked. Blocks.
///
/// # Errors
/// When the database fails.
pub fn recover(parts: &StudyParts) -> store::Result<()> {
    let settings = &parts.settings.analyze;
    let mut connection = parts.store.connect(Durability::Full)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let (queued, hopeless) = jobs::recover(&transaction, settings.max_interruptions)?;
    for job in &hopeless {
        park(&transaction, settings, job)?;
    }
    transaction.commit()?;
    if !queued.is_empty() || !hopeless.is_empty() {
        tracing::info!(jobs = queued.len(), parked = hopeless.len(), "jobs are taken up again");
    }
    Ok(())
}

fn park(transaction: &Transaction<'_>, settings: &Analyze, job: &JobRow) -> store::Result<()> {
    let times = job.interruptions;
    let reason =
        format!("the process died {times} times while this was in work; `scansidectl studies rerun` tries again");
    match store::apart(transaction, |own| conclude::park(own, settings, job, &reason))? {
        // It must not be taken again all the same.
        Err(error) if error.kind() == StoreFault::Rows => {
            tracing::error!(job = job.id, %error, "parked without a verdict of its series");
            jobs::park(transaction, job.id, &reason, &store::now_utc())?;
            events::record(transaction, &format!("job/{}", job.id), "parked", &reason)
        }
        done => done,
    }
}
