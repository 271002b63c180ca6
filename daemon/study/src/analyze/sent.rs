//! A series that was fetched is sent by somebody, too: from then on it is like any other, and what was found in it is delivered. Who sent is
//! a row that the writer of the custody log makes with the object (`custody::store::priors::sent`), so that no kill loses it.

use custody::store::priors::Sent;
use custody::store::{self, StoreFault, events, priors, results, series};
use rusqlite::Transaction;

use super::conclude;
use crate::amiss;
use crate::settings::Settings;

/// Queues the results of every such series. Returns whether there was one.
///
/// # Errors
/// When the database fails.
pub(crate) fn settle(transaction: &Transaction<'_>, settings: &Settings) -> store::Result<bool> {
    let all = priors::to_be_settled(transaction)?;
    for sent in &all {
        match store::apart(transaction, |own| settle_one(own, settings, sent))? {
            // The others are settled all the same.
            Err(error) if error.kind() == StoreFault::Rows => {
                amiss::noted(transaction, &sent.key.study_uid, &error)?;
                priors::settled(transaction, &sent.key)?;
            }
            done => done?,
        }
    }
    Ok(!all.is_empty())
}

fn settle_one(transaction: &Transaction<'_>, settings: &Settings, sent: &Sent) -> store::Result<()> {
    priors::settled(transaction, &sent.key)?;
    let Some(row) = series::find(transaction, &sent.key)? else { return Ok(()) };
    let told = format!("sent by {}, too: what is found in it is delivered like that of any series", sent.by.trim());
    tracing::info!(series = %sent.key.series_uid, "a series that was fetched is {told}");
    events::record(transaction, &format!("series/{}", row.id), "prior", &told)?;
    // Those of a version that is still to be read are queued when they are made.
    let ids = results::of_version(transaction, row.id, row.version)?;
    if !conclude::is_test_object(transaction, &row.key.study_uid)? {
        conclude::queue(transaction, settings, &ids, &store::now_utc())?;
    }
    Ok(())
}
