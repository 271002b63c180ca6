//! Commands of D-Bus: rerun a study, sign a review, export objects, retry deliveries, echo a destination.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use custody::event::Event;
use custody::level::{Gate, Level};
use custody::retention::Retention;
use custody::spool::Spool;
use custody::store::deliveries::Delivery;
use custody::store::holds::{self, Holdable};
use custody::store::{self, Durability, Store, conflicts, deliveries, jobs, reviews, series};
use dicom::kind::SeriesKind;
use futures_util::future::BoxFuture;
use hal::clock::today;
use models::lesion::entry::Entry;
use node::probe;
use node::send::{self, Way};
use node::settings::Destination;
use study::analyze::ultrasound;
use study::gather;
use study::lesions;
use study::resolve;
use study::review::{self, Signed, Signing};
use study::settings::Analyze;
use tokio::sync::{Notify, broadcast};

use crate::dbus::{self, RerunOptions};
use crate::dicomweb::{self, Object, Web, Which};

/// Time limit of each step of the test of a destination with a URL.
const ECHO: Duration = Duration::from_secs(10);
/// Time limit for the first byte of an exported object, others included that are written before it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5 * 60);
/// A slower medium is given up, bytes a second.
const SLOWEST: u64 = 128 << 10;

/// Implements the commands of Manager1.
pub struct Verbs {
    pub store: Store,
    pub spool: Spool,
    pub destinations: BTreeMap<String, Destination>,
    /// Which tasks are switched on.
    pub analyze: Analyze,
    pub events: broadcast::Sender<Event>,
    pub gate: Gate,
    /// What the box holds, object by object.
    pub web: Web,
    /// Notified when a job was queued.
    pub wake: Arc<Notify>,
    /// Notified when deliveries are due.
    pub outbox_wake: Arc<Notify>,
}

impl Verbs {
    /// # Errors
    /// `Restricted`, with the reason, when the present level does not allow it.
    fn permit(&self, needed: Level) -> Result<(), dbus::Error> {
        let (level, reason) = self.gate.get();
        if level <= needed { Ok(()) } else { Err(dbus::Error::Restricted(reason)) }
    }

    fn change_delivery(&self, id: i64, order: deliveries::Order) -> Result<(), dbus::Error> {
        self.permit(Level::NoNewStudies)?;
        let connection = self.store.connect(Durability::Full)?;
        let Some(row) = deliveries::get(&connection, id)? else {
            return Err(dbus::Error::NotFound(format!("there is no delivery {id}")));
        };
        if !deliveries::by_hand(&connection, id, order, &store::now_utc())? {
            let text = match (order, row.state.as_str()) {
                (deliveries::Order::Retry, deliveries::DROPPED | deliveries::PARKED | deliveries::PENDING) => {
                    format!("what delivery {id} would send was rejected or replaced")
                }
                (_, state) => format!("delivery {id} is {state}"),
            };
            return Err(dbus::Error::NotPossible(text));
        }
        if let Some(row) = deliveries::get(&connection, id)? {
            tracing::info!(delivery = id, state = row.state, "changed by hand");
            let Delivery { destination, state, reason, .. } = row;
            let _ = self.events.send(Event::Delivery { id, destination, state, reason });
        }
        self.outbox_wake.notify_one();
        Ok(())
    }

    fn resolve(&self, study_uid: &str, choice: conflicts::Choice) -> Result<(u32, u32), dbus::Error> {
        self.permit(Level::Reduced)?;
        let mut connection = self.store.connect(Durability::Full)?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let Some(resolved) = resolve::resolve(&transaction, &self.analyze, study_uid, choice)? else {
            let text = "a series of it is being received: wait until it is complete";
            return Err(dbus::Error::NotPossible(text.into()));
        };
        if resolved.objects == 0 {
            return Err(dbus::Error::NotFound(format!("nothing of study {study_uid} is in conflict")));
        }
        transaction.commit().map_err(store::Error::from)?;
        self.store.mirror_choices(&connection);
        tracing::info!(objects = resolved.objects, series = resolved.changed.len(), ?choice, "conflicts resolved");
        for id in &resolved.changed {
            if let Some(row) = series::get(&connection, *id)? {
                let _ = self.events.send(Event::series(&row));
            }
        }
        self.wake.notify_one();
        self.outbox_wake.notify_one();
        Ok((resolved.objects, u32::try_from(resolved.changed.len()).unwrap_or(u32::MAX)))
    }

    /// Signs a review of the newest findings of a series. Blocks.
    ///
    /// # Errors
    /// As `dbus::Commands::review`.
    pub fn review(&self, signing: &Signing) -> Result<Signed, dbus::Error> {
        self.permit(Level::Reduced)?;
        let mut connection = self.store.connect(Durability::Full)?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let signed = review::sign(&transaction, signing)?;
        transaction.commit()?;
        let Signed { job, accepted, edited, rejected, .. } = signed;
        tracing::info!(job, accepted, edited, rejected, "a review was signed");
        if let Some(row) = series::get(&connection, signed.series_id)? {
            let _ = self.events.send(Event::series(&row));
        }
        self.wake.notify_one();
        Ok(signed)
    }

    /// Writes what a person decides about a lesion. Blocks.
    ///
    /// # Errors
    /// As `dbus::Commands::enter_lesion`.
    pub fn enter_lesion(&self, by: &str, entry: &Entry) -> Result<u64, dbus::Error> {
        self.permit(Level::NoNewStudies)?;
        let mut connection = self.store.connect(Durability::Full)?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let number = lesions::enter::enter(&transaction, by, entry, today())?;
        transaction.commit()?;
        self.store.mirror_lesions(&connection);
        tracing::info!(number, kind = entry.kind(), "a decision about a lesion was entered");
        Ok(number)
    }

    /// As `dbus::Commands::hold`. Blocks.
    fn hold(&self, study_uid: &str, by: &str, reason: Option<&str>) -> Result<bool, dbus::Error> {
        // On a full disk a hold matters most, and is one small row.
        if reason.is_none() {
            self.permit(Level::NoNewStudies)?;
        }
        let reason = reason.map(reason_of_hold).transpose()?;
        let mut connection = self.store.connect(Durability::Full)?;
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let changed = match reason {
            None => holds::release(&transaction, study_uid, by)?,
            Some(reason) => match holds::holdable(&transaction, study_uid)? {
                Holdable::Yes => holds::hold(&transaction, study_uid, by, reason)?,
                Holdable::Gone => {
                    return Err(dbus::Error::NotPossible("all of it was evicted: nothing is left to keep".into()));
                }
                Holdable::NoSuchStudy => {
                    return Err(dbus::Error::NotFound(format!("there is no study {study_uid}")));
                }
            },
        };
        transaction.commit().map_err(store::Error::from)?;
        self.store.mirror_holds(&connection);
        // Whoever shows the study shows it anew.
        if let Some(row) = series::of_study(&connection, study_uid)?.first() {
            let _ = self.events.send(Event::series(row));
        }
        Ok(changed)
    }

    fn rerun(&self, study_uid: &str, options: RerunOptions) -> Result<u32, dbus::Error> {
        self.permit(Level::Reduced)?;
        let mut connection = self.store.connect(Durability::Full)?;
        let (queued, left) = queue_again(&mut connection, &self.analyze, study_uid, options.urgent)?;
        if let Some(why) = left {
            if queued.is_empty() {
                return Err(dbus::Error::NotPossible(why.into()));
            }
            tracing::warn!(study = study_uid, "not analysed again: {why}");
        }
        if queued.is_empty() {
            return Err(dbus::Error::NotFound(format!(
                "there is no study {study_uid} with a series that can be analysed"
            )));
        }
        for row in &queued {
            let _ = self.events.send(Event::series(row));
        }
        self.wake.notify_one();
        Ok(u32::try_from(queued.len()).unwrap_or(u32::MAX))
    }
}

/// Of the reason that a person gives for a hold, characters.
const LONGEST_REASON: usize = 200;

fn reason_of_hold(typed: &str) -> Result<&str, dbus::Error> {
    let reason = typed.trim();
    let wrong = if reason.is_empty() {
        "a hold needs a reason: whoever looks at it in a year must know why"
    } else if reason.chars().count() > LONGEST_REASON {
        "the reason is longer than 200 characters"
    } else if reason.chars().any(char::is_control) {
        "the reason is one line without control characters"
    } else {
        return Ok(reason);
    };
    Err(dbus::Error::InvalidArgument(wrong.into()))
}

/// A new version of every analysable, finished series of the study, also of those that belong to a task of the whole study, and why one of
/// these tasks was left alone.
fn queue_again(
    connection: &mut rusqlite::Connection,
    analyze: &Analyze,
    study_uid: &str,
    urgent: bool,
) -> store::Result<(Vec<series::SeriesRow>, Option<&'static str>)> {
    use custody::series::SeriesState::{Complete, Processed, Refused};
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let now = store::now_utc();
    let mut queued = Vec::new();
    for row in series::of_study(&transaction, study_uid)? {
        // A refused exam can be tried again. After a success it cannot, because its recording was deleted.
        let exam = row.kind == SeriesKind::Exam && row.state == Refused;
        let finished = row.kind.is_analysed() && matches!(row.state, Complete | Processed | Refused);
        // A job that is to apply a review keeps its version.
        let parked = if finished || exam { reviews::resume(&transaction, row.id, row.version)? } else { None };
        if let Some(job) = parked {
            if urgent {
                jobs::make_urgent(&transaction, job)?;
            }
            queued.extend(series::get(&transaction, row.id)?);
            continue;
        }
        if exam || finished && ultrasound::unwanted_row(&transaction, analyze, &row)?.is_none() {
            let version = series::completed(&transaction, row.id, "rerun", &now)?;
            let job = jobs::enqueue(&transaction, row.id, version, &now)?;
            if urgent {
                jobs::make_urgent(&transaction, job)?;
            }
            queued.extend(series::get(&transaction, row.id)?);
        }
    }
    let of_study = gather::rerun(&transaction, analyze, study_uid)?;
    if urgent {
        for job in of_study.jobs {
            jobs::make_urgent(&transaction, job)?;
        }
    }
    for id in of_study.changed {
        queued.extend(series::get(&transaction, id)?);
    }
    transaction.commit()?;
    Ok((queued, of_study.left))
}

impl dbus::Commands for Verbs {
    fn rerun<'a>(&'a self, study_uid: &'a str, options: RerunOptions) -> BoxFuture<'a, Result<u32, dbus::Error>> {
        Box::pin(async move { tokio::task::block_in_place(|| self.rerun(study_uid, options)) })
    }

    fn retry<'a>(&'a self, destination: Option<&'a str>) -> BoxFuture<'a, Result<u32, dbus::Error>> {
        Box::pin(async move {
            self.permit(Level::NoNewStudies)?;
            if let Some(name) = destination.filter(|name| !self.destinations.contains_key(*name)) {
                return Err(dbus::Error::NotFound(format!("there is no destination {name}")));
            }
            let connection = self.store.connect(Durability::Full)?;
            let count =
                tokio::task::block_in_place(|| deliveries::retry_now(&connection, destination, &store::now_utc()))?;
            self.outbox_wake.notify_one();
            Ok(u32::try_from(count).unwrap_or(u32::MAX))
        })
    }

    fn change_delivery<'a>(
        &'a self,
        delivery: i64,
        order: deliveries::Order,
    ) -> BoxFuture<'a, Result<(), dbus::Error>> {
        Box::pin(async move { tokio::task::block_in_place(|| self.change_delivery(delivery, order)) })
    }

    fn resolve<'a>(
        &'a self,
        study_uid: &'a str,
        choice: conflicts::Choice,
    ) -> BoxFuture<'a, Result<(u32, u32), dbus::Error>> {
        Box::pin(async move { tokio::task::block_in_place(|| self.resolve(study_uid, choice)) })
    }

    fn review(&self, signing: Signing) -> BoxFuture<'_, Result<Signed, dbus::Error>> {
        Box::pin(async move { tokio::task::block_in_place(|| self.review(&signing)) })
    }

    fn enter_lesion<'a>(&'a self, by: &'a str, entry: &'a Entry) -> BoxFuture<'a, Result<u64, dbus::Error>> {
        Box::pin(async move { tokio::task::block_in_place(|| self.enter_lesion(by, entry)) })
    }

    fn retention(&self, most: usize) -> BoxFuture<'_, Result<Retention, dbus::Error>> {
        let spool = self.spool.clone();
        Box::pin(async move {
            let told = tokio::task::spawn_blocking(move || spool.retention(most)).await;
            let told = told.map_err(|error| dbus::Error::Internal(error.to_string()))?;
            told.map_err(|error| dbus::Error::Internal(error.to_string()))
        })
    }

    fn hold<'a>(
        &'a self,
        study_uid: &'a str,
        by: &'a str,
        reason: Option<&'a str>,
    ) -> BoxFuture<'a, Result<bool, dbus::Error>> {
        Box::pin(async move { tokio::task::block_in_place(|| self.hold(study_uid, by, reason)) })
    }

    fn objects<'a>(&'a self, study_uid: &'a str, images: bool) -> BoxFuture<'a, Result<Vec<Object>, dbus::Error>> {
        Box::pin(async move {
            let study = Which { study_uid: study_uid.to_owned(), ..Which::default() };
            let all = self.web.objects_and_lost(study).await?;
            Ok(all.into_iter().filter(|object| images || !object.is_received()).collect())
        })
    }

    fn export<'a>(
        &'a self,
        study_uid: &'a str,
        objects: Vec<(String, File)>,
    ) -> BoxFuture<'a, Result<Vec<String>, dbus::Error>> {
        Box::pin(async move {
            let mut written = Vec::new();
            for (sop_uid, to) in objects {
                let object =
                    self.web.one(study_uid.to_owned(), sop_uid.clone()).await.map_err(|error| match error {
                        // That is our fault: as a file that is not what was written.
                        dicomweb::Error::DataSet(_) => dbus::Error::Internal(error.to_string()),
                        error => error.into(),
                    })?;
                // A file of a medium that does not answer cannot be left; the caller can.
                let within = WRITTEN_WITHIN + Duration::from_secs(object.length() / SLOWEST);
                let done = tokio::time::timeout(within, self.web.write(&object, to)).await;
                let late = |_| dbus::Error::NotPossible("the medium takes too long to write an object".into());
                let done = done.map_err(late)?.inspect_err(|error| tracing::warn!(sop_uid, "not exported: {error}"));
                written.push(done?);
            }
            Ok(written)
        })
    }

    fn echo<'a>(&'a self, destination: &'a str) -> BoxFuture<'a, Result<Duration, dbus::Error>> {
        Box::pin(async move {
            let Some(settings) = self.destinations.get(destination) else {
                return Err(dbus::Error::NotFound(format!("there is no destination {destination}")));
            };
            let begun = Instant::now();
            match Way::from(settings) {
                Way::Dimse(target) => {
                    send::echo(&target).await.map_err(|error| dbus::Error::PeerFailed(error.to_string()))?;
                }
                Way::Web(service) => {
                    let probe = probe::web::run(&service, ECHO).await;
                    if let Some(failed) = probe.failed {
                        return Err(dbus::Error::PeerFailed(format!("{}: {}", failed.step, failed.what)));
                    }
                }
            }
            Ok(begun.elapsed())
        })
    }
}
