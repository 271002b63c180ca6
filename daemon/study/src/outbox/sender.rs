//! The task of one destination: sends the deliveries that are due, in order, over one association or HTTP connection, and records
//! every answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use custody::event::Event;
use custody::level::{Gate, Level};
use custody::store::deliveries::{self, Delivery};
use custody::store::{self, Durability, Store, asks, conflicts, rejections, results};
use hal::backoff::Pauses;
use hal::clock::Wall;
use node::send::{self, File, SendFault, Way};
use node::settings::{Asking, Destination};
use node::stow::Taken;
use rusqlite::Connection;
use tokio::sync::{Notify, broadcast};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::link::Link;
use super::state::{Line, Next};
use super::{Error, ask};
use crate::until_it_works;

/// Deliveries per association: all objects of a few studies.
const BATCH: usize = 64;
/// The rows are checked this often even without a notification, because the wall clock may have been set.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Why a result waits whose patient is in doubt.
const CONTESTED: &str = "its images came again with another patient: decide which counts (`scansidectl studies resolve`), nothing is sent before";

pub(super) struct Sender {
    pub(super) name: String,
    pub(super) destination: Destination,
    pub(super) store: Store,
    pub(super) spool_directory: PathBuf,
    pub(super) gate: Gate,
    pub(super) bell: Arc<Notify>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) wall: Wall,
}

/// What to do next: send a batch now, or wait until a time (`None`: until the bell rings).
enum Work {
    Now(Vec<Delivery>),
    /// Nothing is to be sent, something to be asked for.
    Ask,
    Later(Option<Duration>),
}

impl Sender {
    /// Runs until shutdown. After a database error it tries again, because queued deliveries must not be lost.
    pub(super) async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let opened = self.store.clone();
        let connect = move || opened.connect(Durability::Full);
        let Some(connection) = until_it_works(&self.store, &shutdown, connect).await? else { return Ok(()) };
        let mut queue =
            Queue { sender: &self, rows: Arc::new(Mutex::new(connection)), line: Line::default(), held: None };
        let mut gate = self.gate.subscribe();
        while !shutdown.is_cancelled() {
            if gate.borrow_and_update().0 >= Level::NoOutput {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    _ = gate.changed() => {}
                }
                continue;
            }
            let wait = match queue.work().await {
                Ok(Work::Now(batch)) => match queue.deliver(batch, &shutdown).await {
                    Ok(()) => continue,
                    Err(error) => self.database_failed(&error),
                },
                Ok(Work::Ask) => match queue.ask_alone(&shutdown).await {
                    Ok(()) => continue,
                    Err(error) => self.database_failed(&error),
                },
                Ok(Work::Later(wait)) => wait.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN),
                Err(error) => self.database_failed(&error),
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = timeout(wait, self.bell.notified()) => {}
            }
        }
        Ok(())
    }

    fn database_failed(&self, error: &Error) -> Duration {
        if let Error::Store(error) = error {
            self.store.failed(error);
        }
        error!(destination = self.name, "{error}");
        self.first_wait()
    }

    fn first_wait(&self) -> Duration {
        Duration::try_from_secs_f64(self.destination.retry_secs).unwrap_or(Duration::from_secs(5))
    }

    pub(super) fn longest_wait(&self) -> Duration {
        Duration::try_from_secs_f64(self.destination.retry_max_secs).unwrap_or(Duration::from_secs(600))
    }

    /// After which an archive that said nothing is asked again.
    pub(super) fn ask_again(&self) -> Duration {
        Duration::try_from_secs_f64(self.destination.commitment_days * 86_400.0).unwrap_or(Duration::from_secs(172_800))
    }

    pub(super) fn wait_after(&self, failures: u32) -> Duration {
        Pauses::new(self.first_wait(), self.longest_wait()).after(failures)
    }

    fn tell(&self, delivery: &Delivery, state: &str, reason: Option<String>) {
        // Nobody may be listening.
        let _ = self.events.send(Event::Delivery {
            id: delivery.id,
            destination: self.name.clone(),
            state: state.to_owned(),
            reason,
        });
    }
}

/// The queue of one destination while its task runs.
pub(super) struct Queue<'a> {
    pub(super) sender: &'a Sender,
    rows: Arc<Mutex<Connection>>,
    line: Line,
    /// After the association failed: the first of the deliveries that wait together.
    held: Option<i64>,
}

impl Queue<'_> {
    pub(super) async fn rows<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> store::Result<T> + Send + 'static,
    {
        let rows = self.rows.clone();
        let done = tokio::task::spawn_blocking(move || work(&rows.lock().unwrap_or_else(PoisonError::into_inner)));
        Ok(done.await??)
    }

    async fn work(&self) -> Result<Work, Error> {
        let (name, held, longest) = (self.sender.name.clone(), self.held, self.sender.longest_wait());
        let wall = self.sender.wall.clone();
        let (asking, again) = (self.sender.destination.commitment, self.sender.ask_again());
        let work = move |rows: &Connection| {
            let now = wall.now_utc();
            let moved = deliveries::not_after(rows, &name, &wall.utc_after(longest))?;
            if moved > 0 {
                warn!(
                    destination = name,
                    deliveries = moved,
                    "waited for a time that this clock cannot have set; they wait for one pause instead"
                );
            }
            // Times in rows are rounded to milliseconds.
            let time_to = |utc: &str| wall.until(utc) + Duration::from_millis(1);
            if let Some(held) = held
                && let Some(first) = deliveries::get(rows, held)?
                && first.state == deliveries::PENDING
                && first.next_utc > now
            {
                return Ok(Work::Later(Some(time_to(&first.next_utc))));
            }
            let due = deliveries::due(rows, &name, &now, BATCH)?;
            if !due.is_empty() {
                return Ok(Work::Now(due));
            }
            let mut next = deliveries::next_due(rows, &name)?;
            if asking != Asking::Off {
                asks::not_after(rows, &name, &wall.utc_after(again.max(longest)))?;
                if asking == Asking::Auto {
                    asks::enough(rows, &name, ask::MOST_ASKED, &now)?;
                }
                let ask = asks::next_due(rows, &name)?;
                if ask.as_deref().is_some_and(|ask| ask <= now.as_str()) {
                    return Ok(Work::Ask);
                }
                next = [next, ask].into_iter().flatten().min();
            }
            Ok(Work::Later(next.as_deref().map(time_to)))
        };
        self.rows(work).await
    }

    async fn deliver(&mut self, batch: Vec<Delivery>, shutdown: &CancellationToken) -> Result<(), Error> {
        let (deliveries, files) = self.readable(batch).await?;
        let Some(first) = deliveries.first() else {
            return Ok(());
        };
        let destination = &self.sender.destination;
        let way = Way::from(destination);
        let asking = destination.commitment != Asking::Off;
        let opened = tokio::select! {
            opened = Link::open(&way, &files, asking) => opened,
            () = shutdown.cancelled() => return Ok(()),
        };
        let mut link = match opened {
            Ok(link) => link,
            Err(error) => return self.broke(first, None, &error).await,
        };
        self.held = None;
        let ask = match &link {
            Link::Dimse(association) => self.wants_commitment(association).await?,
            // Whether it can be asked is seen when it is.
            Link::Web(_) => asking,
        };
        let mut out_of_resources: Vec<(&Delivery, send::Error)> = Vec::new();
        for (delivery, file) in deliveries.iter().zip(&files) {
            if self.sender.gate.get().0 >= Level::NoOutput || link.is_over() {
                break;
            }
            if !self.is_still_due(delivery).await? {
                continue;
            }
            let answer = tokio::select! {
                answer = link.store(file, delivery) => answer,
                // Without an answer it is sent again after the restart; the destination then receives the same object
                // twice, which is harmless.
                () = shutdown.cancelled() => return Ok(()),
            };
            match answer {
                Ok(taken) => {
                    self.delivered(delivery, taken, ask).await?;
                    for (delivery, error) in out_of_resources.drain(..) {
                        self.wait_alone(delivery, &error, 0).await?;
                    }
                }
                // One "out of resources" may concern only this object; two in a row mean that the archive is full, at first.
                Err(error) if error.is_out_of_room() => {
                    out_of_resources.push((delivery, error));
                    let refused = u32::try_from(out_of_resources.len()).unwrap_or(u32::MAX);
                    if out_of_resources.first().is_some_and(|(first, _)| self.line.is_full(first.id, refused)) {
                        break;
                    }
                }
                Err(error) => match error.kind() {
                    SendFault::Object => self.refused(delivery, &error).await?,
                    SendFault::ObjectForGood => {
                        self.line.answered(delivery.id);
                        self.park(delivery, error.status(), &error.to_string(), &error.words()).await?;
                    }
                    SendFault::Unclear => {
                        let next = self.line.doubted(delivery.id);
                        return self.go_on(next, delivery, &error).await;
                    }
                    SendFault::Connection => return self.broke(delivery, Some(delivery), &error).await,
                    SendFault::Everything => return self.broke(delivery, None, &error).await,
                },
            }
        }
        match &mut link {
            Link::Dimse(association) if ask && association.offers(node::COMMITMENT) => {
                self.ask_over(association, shutdown).await?;
            }
            Link::Web(session) if ask => self.prove(session, shutdown).await?,
            Link::Dimse(_) | Link::Web(_) => {}
        }
        link.release().await;
        match out_of_resources.into_iter().next() {
            Some((first, error)) => {
                let next = self.line.no_room(first.id);
                self.go_on(next, first, &error).await
            }
            None => Ok(()),
        }
    }

    /// Returns the deliveries whose files can be read; records a failure for the others.
    async fn readable(&mut self, batch: Vec<Delivery>) -> Result<(Vec<Delivery>, Vec<File>), Error> {
        let directory = self.sender.spool_directory.clone();
        let open = move || {
            let open = |delivery: Delivery| {
                let path = directory.join(&delivery.file);
                let file = File::open(&path);
                let whole = file.is_ok() && results::is_whole(&path, &delivery.sha256);
                (delivery, file, whole)
            };
            batch.into_iter().map(open).collect::<Vec<_>>()
        };
        let (mut deliveries, mut files) = (Vec::new(), Vec::new());
        for (delivery, file, whole) in tokio::task::spawn_blocking(open).await? {
            match file {
                Ok(file) if whole => {
                    deliveries.push(delivery);
                    files.push(file);
                }
                Ok(_) => self.park(&delivery, None, deliveries::DAMAGED, deliveries::DAMAGED).await?,
                Err(error) => self.refused(&delivery, &error).await?,
            }
        }
        Ok((deliveries, files))
    }

    /// A batch is minutes old when its last object is sent. What came again meanwhile as that of another patient is not sent until a person has
    /// decided whose it is; a note that takes something back is.
    async fn is_still_due(&self, delivery: &Delivery) -> Result<bool, Error> {
        let read = delivery.clone();
        let again = self.sender.wall.utc_after(self.sender.longest_wait().min(LOOK_AGAIN));
        let (due, is_new) = self
            .rows(move |rows| {
                if !deliveries::still_due(rows, &read)? {
                    return Ok((false, false));
                }
                if read.kind == rejections::KIND || !conflicts::is_contested(rows, &read.study_uid)? {
                    return Ok((true, false));
                }
                deliveries::withheld(rows, read.id, CONTESTED, &again)?;
                Ok((false, read.reason.as_deref() != Some(CONTESTED)))
            })
            .await?;
        if is_new {
            warn!(
                destination = self.sender.name,
                delivery = delivery.id,
                kind = delivery.kind,
                "withheld: {CONTESTED}"
            );
            self.sender.tell(delivery, deliveries::PENDING, Some(CONTESTED.to_owned()));
        }
        Ok(due)
    }

    /// `ask`: the destination is asked next whether it keeps it.
    async fn delivered(&mut self, delivery: &Delivery, taken: Taken, ask: bool) -> Result<(), Error> {
        self.line.stored(delivery.id);
        let (id, now, noted) = (delivery.id, self.sender.wall.now_utc(), taken.clone());
        self.rows(move |rows| deliveries::delivered(rows, id, noted.status, noted.remark.as_deref(), ask, &now))
            .await?;
        let (destination, kind, status) = (&self.sender.name, &delivery.kind, taken.status);
        let words = taken.remark.as_deref().unwrap_or("stored");
        if taken.is_warned() {
            warn!(destination, delivery = id, kind, "delivered, answer {status:#06x}: {words}");
        } else {
            info!(destination, delivery = id, kind, "delivered, answer {status:#06x}: {words}");
        }
        self.sender.tell(delivery, deliveries::DELIVERED, taken.remark);
        Ok(())
    }

    async fn refused(&mut self, delivery: &Delivery, error: &send::Error) -> Result<(), Error> {
        if error.is_answer() {
            self.line.answered(delivery.id);
        }
        self.wait_alone(delivery, error, 0).await
    }

    /// Sending this object at another time would not help either. `words`: the reason for the log, without what the archive has written.
    async fn park(&self, delivery: &Delivery, status: Option<u16>, reason: &str, words: &str) -> Result<(), Error> {
        let (id, reason, now) = (delivery.id, reason.to_owned(), self.sender.wall.now_utc());
        warn!(destination = self.sender.name, delivery = id, kind = delivery.kind, "parked, not tried again: {words}");
        let noted = reason.clone();
        self.rows(move |rows| deliveries::parked(rows, id, status, &noted, &now)).await?;
        self.sender.tell(delivery, deliveries::PARKED, Some(reason));
        Ok(())
    }

    /// This object waits by itself; longer, when the association has failed at it `breaks` times.
    async fn wait_alone(&self, delivery: &Delivery, error: &send::Error, breaks: u32) -> Result<(), Error> {
        let (id, status, reason) = (delivery.id, error.status(), error.to_string());
        let wait = self.sender.wait_after(delivery.attempts.saturating_add(1).max(breaks));
        let next = self.sender.wall.utc_after(wait);
        warn!(
            destination = self.sender.name,
            delivery = id,
            kind = delivery.kind,
            "not delivered, next attempt in {wait:?}: {}",
            error.words()
        );
        let noted = reason.clone();
        self.rows(move |rows| deliveries::failed(rows, id, status, &noted, &next)).await?;
        self.sender.tell(delivery, deliveries::PENDING, Some(reason));
        Ok(())
    }

    /// Handles the failure of the association. `first` is the first delivery without an answer; `sending` is the one
    /// that was being sent.
    async fn broke(&mut self, first: &Delivery, sending: Option<&Delivery>, error: &send::Error) -> Result<(), Error> {
        let next = self.line.broke(sending.map(|delivery| delivery.id));
        // The other ways count the attempt themselves.
        if let (Next::Hold { .. }, Some(id)) = (&next, sending.map(|delivery| delivery.id)) {
            self.rows(move |rows| deliveries::unanswered(rows, id)).await?;
        }
        self.go_on(next, first, error).await
    }

    async fn go_on(&mut self, next: Next, first: &Delivery, error: &send::Error) -> Result<(), Error> {
        let is_answer = error.is_answer();
        let failures = match next {
            Next::SetAside { delivery, breaks } => {
                debug!(
                    destination = self.sender.name,
                    delivery,
                    breaks,
                    "it failed repeatedly at this object, which waits while the others are sent: {}",
                    error.words()
                );
                return self.wait_alone(first, error, breaks).await;
            }
            Next::Park { breaks, .. } => {
                let because = |error: &str| {
                    if is_answer {
                        format!("{error} ({breaks} times; others were taken)")
                    } else {
                        format!("the connection failed {breaks} times at this object, others were taken: {error}")
                    }
                };
                return self.park(first, None, &because(&error.to_string()), &because(&error.words())).await;
            }
            Next::Hold { failures } => failures,
        };
        let (wait, reason, name) = (self.sender.wait_after(failures), error.to_string(), self.sender.name.clone());
        warn!(destination = name, failures, "the queue waits, next attempt in {wait:?}: {}", error.words());
        self.held = Some(first.id);
        let until = self.sender.wall.utc_after(wait);
        let noted = reason.clone();
        self.rows(move |rows| deliveries::hold(rows, &name, &noted, &until)).await?;
        self.sender.tell(first, deliveries::PENDING, Some(reason));
        Ok(())
    }
}
