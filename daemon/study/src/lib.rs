//! THE STUDY STORY: dicom -> spool -> series -> volume -> analyze -> report -> outbox.
//!
//! This file connects the stages and contains no details. An instance enters at `node::receive`, is durable in
//! `custody::spool` before its sender receives "success", and appears here as an [`Arrival`]. From then on:
//!
//! 1. `dicom::kind` says what it is, `assemble` when its series is complete, by what a scanner says of it if it does
//!    (`performed`: MPPS, which `node::mpps` has written down); what only shares a series with slices is named, not read (`sharing`);
//! 2. `volume` decodes it while its neighbours still arrive, and refuses a series that needs more memory than is allowed
//!    (`volume::memory`), whose values are no Hounsfield units (`volume::units`), or of which too little is sound: slices that do
//!    not belong to their neighbours (`volume::judge`) are left out (`volume::sound`), a tilted gantry is moved upright
//!    (`volume::shear`) and results go back to the slices that were sent (`volume::back`);
//! 3. a complete series becomes a row in `jobs`, unless a better reconstruction of the same scan is read, where the settings ask
//!    for that (`choose` has the rules, `choosing` applies them to the rows); for a task of the whole study, `gather` makes one of its images once they
//!    are all there or `closing` says that no more is expected. A CT whose earlier study is not here waits while an archive is asked for
//!    it (`priors`). `analyze::worker` takes the job when its results have
//!    room on the disk (`analyze::room`), `analyze::carry` refuses what is of two patients or damaged and brings the rest
//!    through every task that wants it (`analyze::task`: the findings of a chest CT, the image quality of any CT, lesions in
//!    stored ultrasound, the views of a mammography) and through `report`; networks run here or, where that is set, on another machine
//!    (`model::hosts`);
//!    an ultrasound exam that was recorded joins here (`exam::hand_over`, then `exam::develop`), and what a manager is told of it is a
//!    row (`exam::step`) that `exam::tell` brings there; what was seen of lesions of the breast goes into their book (`lesions`);
//! 4. the results become rows in `deliveries`, which `outbox` brings to every destination that may have them, and asks for
//!    storage commitment where there is any (`outbox::ask`).
//!
//! Everything that must survive a power cut is a row before it is announced; `resume` picks up what was left, also after an
//! error of the database, and `interrupted` the jobs that were in work. An error of the rows of one study keeps nothing from the others (`amiss`). `resolve` lets a person decide between two contents of the same object,
//! `review` about each finding; `reject` tells the destinations what does not count any more because of either.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod interrupted;
pub mod assemble;
pub mod sharing;
pub mod closing;
pub mod performed;
pub mod gather;
mod amiss;
pub mod choose;
pub mod choosing;
pub mod priors;
pub mod volume;
pub mod analyze;
pub mod model;
pub mod exam;
pub mod outbox;
pub mod ups;
pub mod reject;
pub mod resolve;
pub mod review;
pub mod lesions;
pub mod parts;
pub mod settings;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use custody::event::Event;
use custody::instance::Instance;
use custody::series::{SeriesKey, SeriesState, state};
use custody::store::series::SeriesRow;
use custody::store::{self, Durability, Store, StoreFault, events, instances, jobs, series, steps};
use dicom::kind::SeriesKind;
use hal::backoff::{Backoff, Pauses};
use node::Arrival;
use report::Refused;
use report::refused::Mixed;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::mpsc;
use tokio::task::{JoinError, block_in_place};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::analyze::sent;
use crate::analyze::task::StudyTask;
use crate::analyze::ultrasound;
use crate::assemble::{Assembler, CompletedBy};
use crate::closing::Closing;
use crate::parts::StudyParts;
use crate::settings::{Analyze, Settings};
use crate::volume::geometry::{self, SliceGeometry};

/// How often the rows of series that are being received are updated. An update for each instance would block the
/// database for the writer of the custody log, on which a sender waits. After a power cut the count is taken from
/// `instances` anyway.
const COUNT_EVERY: Duration = Duration::from_millis(250);

/// A series that is being received.
struct Receiving {
    row: SeriesRow,
    instances: HashSet<i64>,
    /// Position and orientation of its slices.
    places: Vec<SliceGeometry>,
    /// The row does not have the present count yet.
    grown: bool,
    /// Objects of another kind than that of the row came, or those of before were not looked at.
    is_of_several_kinds: bool,
}

struct Story {
    parts: StudyParts,
    connection: Connection,
    assembler: Assembler,
    closing: Closing,
    receiving: HashMap<SeriesKey, Receiving>,
    count_at: Option<Instant>,
}

/// Pauses after an error of the database, in every loop of the study path.
pub(crate) const PAUSES: Pauses = Pauses::new(Duration::from_millis(500), Duration::from_secs(5));

/// Runs until shutdown: receives arrivals and queues jobs. An error of the database (full, locked, damaged) ends nothing: it
/// is told, waited out, and the story is taken up again from the rows, which are written before anything is announced.
///
/// # Errors
/// None at present.
pub async fn run(
    parts: StudyParts,
    arrivals: &mut mpsc::Receiver<Arrival>,
    shutdown: CancellationToken,
) -> Result<(), store::Error> {
    let (started, mut backoff) = (Instant::now(), Backoff::new(PAUSES));
    loop {
        let told = tell(&parts, arrivals, &mut backoff, &shutdown).await;
        let Err(error) = told else { return Ok(()) };
        parts.store.failed(&error);
        let pause = backoff.failed(started.elapsed());
        if !wait_out(arrivals, pause, &shutdown).await {
            return Ok(());
        }
    }
}

/// The story until shutdown, or until an error.
async fn tell(
    parts: &StudyParts,
    arrivals: &mut mpsc::Receiver<Arrival>,
    backoff: &mut Backoff,
    shutdown: &CancellationToken,
) -> Result<(), store::Error> {
    // The story is told in small transactions; `block_in_place` keeps them off the threads that serve associations.
    let mut story = block_in_place(|| {
        let connection = parts.store.connect(Durability::Rebuildable)?;
        let mut story = Story::new(parts.clone(), connection);
        story.resume()?;
        Ok::<_, store::Error>(story)
    })?;
    loop {
        let deadline = story.next_deadline().unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some(arrival) => block_in_place(|| story.arrived(arrival))?,
                None => return Ok(()),
            },
            () = tokio::time::sleep_until(deadline) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        block_in_place(|| story.go_on())?;
        backoff.succeeded();
    }
}

/// Waits, and lets senders go on meanwhile: what arrives has its row already and is found there. Returns false on shutdown.
async fn wait_out(arrivals: &mut mpsc::Receiver<Arrival>, pause: Duration, shutdown: &CancellationToken) -> bool {
    let over = tokio::time::sleep(pause);
    tokio::pin!(over);
    loop {
        tokio::select! {
            () = &mut over => return true,
            () = shutdown.cancelled() => return false,
            arrival = arrivals.recv() => {
                if arrival.is_none() {
                    return false;
                }
            }
        }
    }
}

/// Does `work` on the database, off the runtime's threads, again and again until it succeeds; `None` on shutdown.
pub(crate) async fn until_it_works<T: Send + 'static>(
    store: &Store,
    shutdown: &CancellationToken,
    work: impl Fn() -> store::Result<T> + Clone + Send + 'static,
) -> Result<Option<T>, JoinError> {
    let mut failures = 0;
    loop {
        match tokio::task::spawn_blocking(work.clone()).await? {
            Ok(done) => return Ok(Some(done)),
            Err(error) => {
                failures += 1;
                if !wait_for_database(store, &error, PAUSES.after(failures), shutdown).await {
                    return Ok(None);
                }
            }
        }
    }
}

/// Waits after an error of the database that ends nothing. Returns false on shutdown.
pub(crate) async fn wait_for_database(
    store: &Store,
    error: &store::Error,
    pause: Duration,
    shutdown: &CancellationToken,
) -> bool {
    store.failed(error);
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        () = shutdown.cancelled() => false,
    }
}

impl Story {
    fn new(parts: StudyParts, connection: Connection) -> Self {
        let assembler = Assembler::new(&parts.settings.series);
        let closing = Closing::new(Duration::from_secs_f64(parts.settings.study.quiet_secs));
        Self { parts, connection, assembler, closing, receiving: HashMap::new(), count_at: None }
    }

    /// What time may have brought.
    fn go_on(&mut self) -> Result<(), store::Error> {
        self.count()?;
        self.complete_series()?;
        self.close_studies()
    }

    fn next_deadline(&self) -> Option<Instant> {
        let closing = self.closing.next_deadline(|study_uid| is_receiving(&self.receiving, study_uid));
        [self.assembler.next_deadline(), self.count_at, closing].into_iter().flatten().min()
    }

    fn arrived(&mut self, arrival: Arrival) -> Result<(), store::Error> {
        match arrival {
            Arrival::Kept(instance) => {
                let association = instance.association;
                let taken = self.instance(&instance, Some(association));
                self.apart(&instance.header.study_instance_uid, None, taken)
            }
            Arrival::InFlight { association } => {
                self.assembler.in_flight(association, Instant::now());
                self.settle_sent()
            }
            Arrival::Released { association, clean } => {
                self.assembler.released(association, clean, Instant::now());
                self.settle_sent()
            }
            Arrival::Performed { series, .. } => {
                let taken = self.performed(&series);
                self.apart("", None, taken) // of no study that could be named
            }
        }
    }

    /// What somebody has sent is not only a prior any more.
    fn settle_sent(&mut self) -> Result<(), store::Error> {
        if store::priors::to_be_settled(&self.connection)?.is_empty() {
            return Ok(());
        }
        let mut connection = self.parts.store.connect(Durability::Full)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        sent::settle(&transaction, &self.parts.settings)?;
        transaction.commit()?;
        self.parts.outbox_wake.notify_one();
        Ok(())
    }

    /// Handles one durable instance: counts it, reopens its series if necessary, starts to decode it.
    fn instance(&mut self, instance: &Arc<Instance>, association: Option<u64>) -> Result<(), store::Error> {
        let header = &instance.header;
        let key =
            SeriesKey { study_uid: header.study_instance_uid.clone(), series_uid: header.series_instance_uid.clone() };
        let is_new = !self.receiving.contains_key(&key);
        if is_new {
            let opened = self.open(&key, instance)?;
            self.receiving.insert(key.clone(), opened);
        }
        let Some(receiving) = self.receiving.get_mut(&key) else { return Ok(()) };
        receiving.instances.insert(instance.id);
        let total = u32::try_from(receiving.instances.len()).unwrap_or(u32::MAX);
        if receiving.row.instance_count != total {
            receiving.row.instance_count = total;
            receiving.row.last_utc.clone_from(&instance.received_utc);
            receiving.grown = true;
            self.count_at.get_or_insert_with(|| Instant::now() + COUNT_EVERY);
        }
        let kind = SeriesKind::of(header);
        receiving.is_of_several_kinds |= kind != receiving.row.kind;
        if kind.is_volume() {
            self.parts.ahead.offer(&key, instance.clone());
            receiving.places.push(SliceGeometry::from(header));
        }
        let _ = self.parts.events.send(Event::series(&receiving.row));
        self.closing.touched(&key.study_uid, Instant::now());
        self.assembler.instance(key.clone(), header, total, association, Instant::now());
        // What a scanner said before the first instance came, or before a restart.
        if is_new && let Some(said) = steps::of_series(&self.connection, &key.study_uid, &key.series_uid)? {
            self.assembler.performed(&key, said);
        }
        Ok(())
    }

    /// A scanner has told what it made: of series that are being received, and of those that were complete already.
    fn performed(&mut self, uids: &[String]) -> Result<(), store::Error> {
        for series_uid in uids {
            for row in series::with_uid(&self.connection, series_uid)? {
                let key = &row.key;
                let Some(said) = steps::of_series(&self.connection, &key.study_uid, &key.series_uid)? else { continue };
                if self.receiving.contains_key(key) {
                    self.assembler.performed(key, said);
                } else if let Some(what) = performed::remarks(&said).first() {
                    events::record(&self.connection, &format!("series/{}", row.id), "performed", &what.to_string())?;
                }
            }
        }
        Ok(())
    }

    /// Opens a series for its first instance, or reopens it for a late one.
    fn open(&mut self, key: &SeriesKey, instance: &Instance) -> Result<Receiving, store::Error> {
        let kind = SeriesKind::of(&instance.header);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let ids = instances::ids_of_series(&transaction, &key.study_uid, &key.series_uid)?;
        let total = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let modality = &instance.header.modality;
        let (row, reopened) = series::opened(&transaction, key, modality, kind, total, &store::now_utc())?;
        if reopened {
            events::record(&transaction, &format!("series/{}", row.id), "reopened", "a late instance arrived")?;
        }
        transaction.commit()?;
        tracing::info!(series = %key.series_uid, kind = kind.as_str(), reopened, "series opened");
        let (instances, places) = (ids.into_iter().collect(), Vec::new());
        Ok(Receiving { row, instances, places, grown: false, is_of_several_kinds: reopened })
    }

    /// Updates the rows of series that are being received, at most every [`COUNT_EVERY`].
    fn count(&mut self) -> Result<(), store::Error> {
        if self.count_at.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        self.count_at = None;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for receiving in self.receiving.values_mut().filter(|receiving| receiving.grown) {
            series::counted(&transaction, &receiving.row)?;
            receiving.grown = false;
        }
        Ok(transaction.commit()?)
    }

    fn complete_series(&mut self) -> Result<(), store::Error> {
        let receiving = &self.receiving;
        let closed = |key: &SeriesKey| receiving.get(key).is_some_and(|r| geometry::arrange(&r.places).is_ok());
        let mut studies = BTreeSet::new();
        for (key, by) in self.assembler.complete(Instant::now(), closed) {
            let Some(mut receiving) = self.receiving.remove(&key) else { continue };
            let completed = self.completed(&mut receiving, by);
            self.apart(&key.study_uid, Some((&key, by)), completed)?;
            self.closing.touched(&key.study_uid, Instant::now());
            if self.belongs_to_study_task(receiving.row.kind) {
                studies.insert(key.study_uid);
            }
        }
        // After all of them: series that are complete together make one job, not one after the other.
        for study_uid in studies {
            self.decide(&study_uid, false)?;
        }
        Ok(())
    }

    /// Tasks that wait for a study need not wait any more.
    fn close_studies(&mut self) -> Result<(), store::Error> {
        let receiving = &self.receiving;
        for study_uid in self.closing.closed(Instant::now(), |study_uid| is_receiving(receiving, study_uid)) {
            tracing::info!(study = study_uid, "study closed: nothing of it came for a while");
            self.decide(&study_uid, true)?;
        }
        Ok(())
    }

    /// The tasks of the whole study: a job, a wait, or a verdict.
    fn decide(&mut self, study_uid: &str, closed: bool) -> Result<(), store::Error> {
        let decided = self.decided(study_uid, closed);
        self.apart(study_uid, None, decided)
    }

    /// What the rows of one study say keeps nothing from the others; any other error ends the story, and it is taken up again.
    fn apart(
        &self,
        study_uid: &str,
        completed: Option<(&SeriesKey, CompletedBy)>,
        done: Result<(), store::Error>,
    ) -> Result<(), store::Error> {
        let error = match done {
            Err(error) if error.kind() == StoreFault::Rows => error,
            done => return done,
        };
        if let Some((key, _)) = completed {
            self.parts.ahead.forget(key);
        }
        for row in amiss::left(&self.parts.store, study_uid, completed, &error)? {
            let _ = self.parts.events.send(Event::series(&row));
        }
        Ok(())
    }

    fn decided(&mut self, study_uid: &str, closed: bool) -> Result<(), store::Error> {
        let mut connection = self.parts.store.connect(Durability::Full)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let decided = gather::decide(&transaction, &self.parts.settings.analyze, study_uid, closed)?;
        transaction.commit()?;
        if decided.waiting {
            self.closing.wait(study_uid, Instant::now());
        } else {
            self.closing.settled(study_uid);
        }
        for id in decided.changed {
            if let Some(row) = series::get(&connection, id)? {
                let _ = self.parts.events.send(Event::series(&row));
            }
        }
        self.parts.wake.notify_one();
        Ok(())
    }

    fn belongs_to_study_task(&self, kind: SeriesKind) -> bool {
        StudyTask::takes_studies_of(&self.parts.settings.analyze, kind)
    }

    /// A series is complete.
    fn completed(&self, receiving: &mut Receiving, by: CompletedBy) -> Result<(), store::Error> {
        if receiving.is_of_several_kinds {
            // The first object may have been a localiser.
            let key = &receiving.row.key;
            let kept = instances::of_series(&self.connection, &key.study_uid, &key.series_uid)?;
            let kind = SeriesKind::of_series(kept.iter().map(|instance| &instance.header));
            receiving.row.kind = kind.unwrap_or(receiving.row.kind);
        }
        let row = &receiving.row;
        // The row of the job guarantees that the series will be analysed, so it must be on disk.
        let mut connection = self.parts.store.connect(Durability::Full)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = store::now_utc();
        series::counted(&transaction, row)?;
        series::is_of_kind(&transaction, row.id, row.kind)?;
        series::completed(&transaction, row.id, by.as_str(), &now)?;
        let settings = &self.parts.settings;
        // Of what was fetched no better reconstruction comes.
        let fetched = store::priors::fetched(&transaction, &row.key)?.is_some();
        let patience = if fetched { Patience::NONE } else { Patience::of(settings) };
        let mut changed = settle(&transaction, &settings.analyze, row, patience)?;
        priors::begin(&transaction, &settings.prior, row)?;
        changed.retain(|id| *id != row.id);
        let row = series::get(&transaction, row.id)?;
        let others = changed.iter().map(|id| series::get(&transaction, *id)).collect::<Result<Vec<_>, _>>()?;
        transaction.commit()?;
        // What is not read must not keep memory.
        for unread in others.iter().flatten().chain(&row).filter(|row| row.state == SeriesState::Refused) {
            self.parts.ahead.forget(&unread.key);
        }
        for other in others.into_iter().flatten() {
            let _ = self.parts.events.send(Event::series(&other));
        }
        if let Some(row) = row {
            tracing::info!(series = %row.key.series_uid, instances = row.instance_count, by = by.as_str(), state = %row.state, "series complete");
            let _ = self.parts.events.send(Event::series(&row));
        }
        self.parts.wake.notify_one();
        self.parts.priors_bell.notify_one();
        Ok(())
    }

    /// After a start, and after an error: series that were being received are assembled again, studies that a task waited
    /// for are decided again.
    fn resume(&mut self) -> Result<(), store::Error> {
        if !self.parts.settings.prior.is_on() {
            let mut connection = self.parts.store.connect(Durability::Full)?;
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            priors::switched_off(&transaction)?;
            transaction.commit()?;
        }
        let open = series::unfinished(&self.connection)?;
        for key in &open {
            let taken_up = self.take_up(key);
            self.apart(&key.study_uid, None, taken_up)?;
        }
        let undecided = gather::undecided(&self.connection)?;
        for study_uid in &undecided {
            self.decide(study_uid, false)?;
        }
        if !open.is_empty() {
            tracing::info!(series = open.len(), studies = undecided.len(), "resumed");
        }
        self.parts.wake.notify_one();
        self.settle_sent()
    }

    fn take_up(&mut self, key: &SeriesKey) -> Result<(), store::Error> {
        for instance in instances::of_series(&self.connection, &key.study_uid, &key.series_uid)? {
            self.instance(&Arc::new(instance), None)?;
        }
        Ok(())
    }
}

/// How long a job waits after its series is complete.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// For a better reconstruction of the same scan.
    better: Duration,
    /// For more ultrasound images. Scanners send each when it is made, on an association of its own: without a wait each
    /// would make another set of results.
    images: Duration,
}

impl Patience {
    const NONE: Self = Self { better: Duration::ZERO, images: Duration::ZERO };

    fn of(settings: &Settings) -> Self {
        let seconds = Duration::from_secs_f64;
        Self { better: seconds(settings.series.quiet_secs), images: seconds(settings.study.quiet_secs) }
    }
}

/// A series that is complete becomes a job, gets its verdict at once, or is left to a task of its study. Returns the series
/// whose rows changed.
fn settle(
    transaction: &Transaction<'_>,
    settings: &Analyze,
    row: &SeriesRow,
    patience: Patience,
) -> Result<Vec<i64>, store::Error> {
    let key = &row.key;
    if row.kind.is_volume() {
        return choosing::decide(transaction, settings, &key.study_uid, patience.better);
    }
    let mut verdict = row.kind.verdict(&row.modality);
    if row.kind == SeriesKind::Ultrasound {
        match ultrasound::unwanted_row(transaction, settings, row)? {
            Some(why) => verdict = why,
            None => return queue_pictures(transaction, row.id, patience.images).map(|()| Vec::new()),
        }
    }
    if !StudyTask::takes_studies_of(settings, row.kind) {
        if let Some(mixed) = mixed_series(transaction, key)? {
            verdict = mixed.to_string();
        }
        let said = steps::of_series(transaction, &key.study_uid, &key.series_uid)?;
        let verdict = performed::verdict(&verdict, said.as_ref());
        series::conclude(transaction, row.id, state::SeriesEvent::Refused, &verdict)?;
    }
    Ok(Vec::new())
}

/// A job for the present version of an ultrasound series.
fn queue_pictures(transaction: &Transaction<'_>, series_id: i64, wait: Duration) -> Result<(), store::Error> {
    let Some(row) = series::get(transaction, series_id)? else { return Ok(()) };
    let job = jobs::enqueue(transaction, row.id, row.version, &store::now_utc())?;
    if !wait.is_zero() {
        jobs::wait_until(transaction, job, &store::utc_after(wait))?;
    }
    Ok(())
}

/// Whether the objects of a series are of different patients.
fn mixed_series(connection: &Connection, key: &SeriesKey) -> Result<Option<Refused>, store::Error> {
    let kept = instances::of_series(connection, &key.study_uid, &key.series_uid)?;
    Ok(Refused::mixed(Mixed::Series, &key.series_uid, kept.iter().map(|instance| &instance.header)))
}

/// Of this place from UTC at that moment, as DICOM writes it.
fn offset(utc: &str) -> String {
    hal::clock::local_parts_of(utc).map_or_else(|| "+0000".to_owned(), |[_, _, offset]| offset)
}

/// Is a series of the study being received?
fn is_receiving(receiving: &HashMap<SeriesKey, Receiving>, study_uid: &str) -> bool {
    receiving.keys().any(|key| key.study_uid == study_uid)
}
