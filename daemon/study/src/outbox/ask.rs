//! Asks a destination for storage commitment of what it took, and takes the report when it comes on the same association. A
//! report on an association of the archive comes to `node`, which writes it down.

use std::time::Duration;

use custody::store;
use custody::store::asks::{self, Noted};
use custody::store::deliveries::Delivery;
use node::COMMITMENT;
use node::send::{Association, Error as SendError, Target, Way};
use node::settings::Asking;
use node::stow::Session;
use rusqlite::Transaction;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Error;
use super::sender::Queue;

/// Objects in one request.
const BATCH: usize = 500;
/// An archive that offers storage commitment and never reports is asked so often.
pub(super) const MOST_ASKED: u32 = 3;
/// No such SOP class, class not supported, no such action, unrecognised operation (PS3.7 annex C): the service itself is refused.
const NOT_DONE: [u16; 4] = [0x0118, 0x0122, 0x0123, 0x0211];
/// How long the association stays open for a report. Most archives report on one of their own.
const SAME_ASSOCIATION: Duration = Duration::from_secs(1);

impl Queue<'_> {
    /// Whether what is sent now is to be asked for. Remembers what the archive offers.
    pub(super) async fn wants_commitment(&self, association: &Association) -> Result<bool, Error> {
        let asking = self.sender.destination.commitment;
        if asking == Asking::Off {
            return Ok(false);
        }
        let offered = association.offers(COMMITMENT);
        let (name, now) = (self.sender.name.clone(), self.sender.wall.now_utc());
        let news = self.rows(move |rows| asks::remember(rows, &name, offered, &now)).await?;
        match (news, asking, offered) {
            (true, _, true) => info!(destination = self.sender.name, "the archive offers storage commitment"),
            (true, Asking::Ask, false) => warn!(
                destination = self.sender.name,
                "the archive refuses storage commitment, and commitment is \"ask\": what it takes is not evicted here"
            ),
            (true, _, false) => info!(destination = self.sender.name, "the archive offers no storage commitment"),
            (false, ..) => {}
        }
        Ok(offered || asking == Asking::Ask)
    }

    /// Asks for what is due over a connection of its own.
    pub(super) async fn ask_alone(&self, shutdown: &CancellationToken) -> Result<(), Error> {
        match Way::from(&self.sender.destination) {
            Way::Dimse(target) => self.ask_by_association(&target, shutdown).await,
            Way::Web(service) => {
                let opened = tokio::select! {
                    opened = Session::open(&service) => opened,
                    () = shutdown.cancelled() => return Ok(()),
                };
                match opened {
                    Ok(mut session) => self.prove(&mut session, shutdown).await,
                    Err(error) => self.hold_asks(&error.words()).await,
                }
            }
        }
    }

    async fn ask_by_association(&self, target: &Target, shutdown: &CancellationToken) -> Result<(), Error> {
        let opened = tokio::select! {
            opened = Association::open_asking(target, &[], true) => opened,
            () = shutdown.cancelled() => return Ok(()),
        };
        let mut association = match opened {
            Ok(association) => association,
            Err(error) => return self.hold_asks(&error.words()).await,
        };
        let wanted = self.wants_commitment(&association).await?;
        if association.offers(COMMITMENT) {
            self.ask_over(&mut association, shutdown).await?;
        } else if wanted {
            self.hold_asks("the archive refuses storage commitment").await?;
        } else {
            // As with every archive that does not offer it.
            let name = self.sender.name.clone();
            self.rows(move |rows| asks::off(rows, &name)).await?;
        }
        association.release().await;
        Ok(())
    }

    /// Asks for everything that is due. The transaction is on the disk before the archive hears of it.
    pub(super) async fn ask_over(
        &self,
        association: &mut Association,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let due = self.due_asks().await?;
        if due.is_empty() || association.is_over() {
            // It may have reported what it was asked before.
            return self.take_reports(association, None, Duration::ZERO, shutdown).await;
        }
        let transaction_uid = self.write_down(&due).await?;
        let objects: Vec<_> = due.iter().map(|one| (one.sop_class.clone(), one.sop_uid.clone())).collect();
        let answer = tokio::select! {
            answer = association.ask_commitment(&transaction_uid, &objects) => answer,
            () = shutdown.cancelled() => return Ok(()),
        };
        self.note(&transaction_uid, due.len(), answer).await?;
        self.take_reports(association, Some(&transaction_uid), SAME_ASSOCIATION, shutdown).await
    }

    /// Notes and answers every report that comes on this association for so long, or until that of this transaction has come.
    async fn take_reports(
        &self,
        association: &mut Association,
        awaited: Option<&str>,
        patience: Duration,
        shutdown: &CancellationToken,
    ) -> Result<(), Error> {
        let end = Instant::now() + patience;
        loop {
            let report = tokio::select! {
                report = association.report(end.saturating_duration_since(Instant::now())) => report,
                () = shutdown.cancelled() => return Ok(()),
            };
            let Some(report) = report else { return Ok(()) };
            let is_awaited = awaited == Some(report.transaction_uid.as_str());
            let now = self.sender.wall.now_utc();
            let noted = self
                .written(move |rows| {
                    asks::answered(rows, &report.transaction_uid, &report.committed, &report.failed, &now)
                })
                .await;
            association.answer_report(matches!(noted, Ok(Some(_)))).await;
            if let Some(Noted { committed, failed }) = noted? {
                info!(destination = self.sender.name, committed, failed, "storage commitment reported");
            }
            if is_awaited {
                return Ok(());
            }
        }
    }

    /// In one transaction.
    pub(super) async fn written<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> store::Result<T> + Send + 'static,
    {
        self.rows(move |rows| {
            let transaction = rows.unchecked_transaction()?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }

    pub(super) async fn due_asks(&self) -> Result<Vec<Delivery>, Error> {
        let (name, now) = (self.sender.name.clone(), self.sender.wall.now_utc());
        self.rows(move |rows| asks::due(rows, &name, &now, BATCH)).await
    }

    /// Returns the UID of the new transaction. Until the archive has taken the request it is asked again soon.
    async fn write_down(&self, due: &[Delivery]) -> Result<String, Error> {
        let (name, now) = (self.sender.name.clone(), self.sender.wall.now_utc());
        let ids: Vec<i64> = due.iter().map(|one| one.id).collect();
        let uid = dicom::uid::of_moment(&format!("commitment {name} {ids:?}"));
        let (written, again) = (uid.clone(), self.sender.wall.utc_after(self.sender.longest_wait()));
        self.written(move |rows| asks::ask(rows, &written, &name, &ids, &now, &again)).await?;
        Ok(uid)
    }

    /// What the archive said to the request.
    async fn note(&self, transaction_uid: &str, objects: usize, answer: Result<(), SendError>) -> Result<(), Error> {
        let (uid, wall) = (transaction_uid.to_owned(), &self.sender.wall);
        match answer {
            Ok(()) => {
                info!(destination = self.sender.name, objects, "storage commitment asked");
                let again = wall.utc_after(self.sender.ask_again());
                self.written(move |rows| asks::taken(rows, &uid, &again)).await
            }
            // Whatever it accepted as a context: it does not do it.
            Err(error)
                if error.status().is_some_and(|status| NOT_DONE.contains(&status))
                    && self.sender.destination.commitment == Asking::Auto =>
            {
                info!(
                    destination = self.sender.name,
                    objects,
                    "the archive does no storage commitment: {}",
                    error.words()
                );
                let name = self.sender.name.clone();
                self.written(move |rows| asks::refused(rows, &uid, &name)).await.map(drop)
            }
            Err(error) => {
                warn!(destination = self.sender.name, objects, "storage commitment not taken: {}", error.words());
                // It counts: an archive that never answers on an association that stands is not asked for ever. One bad hour of an
                // archive must not use up all questions, and a disk cannot wait for days with what the archive has.
                let again = wall.utc_after(self.sender.ask_again() / 8);
                self.written(move |rows| asks::taken(rows, &uid, &again)).await
            }
        }
    }

    pub(super) async fn hold_asks(&self, reason: &str) -> Result<(), Error> {
        info!(destination = self.sender.name, "storage commitment waits: {reason}");
        let (name, until) = (self.sender.name.clone(), self.sender.wall.utc_after(self.sender.longest_wait()));
        self.rows(move |rows| asks::hold(rows, &name, &until)).await?;
        Ok(())
    }
}
