//! Brings the reports of storage commitment (N-EVENT-REPORT) to the peers that asked. What is due is a row, so that neither
//! a restart nor a peer that is away loses one; what a report says is found when it is sent.
//!
//! By default a report goes over an association that we open to the peer's port (`commitment_port` of its sender, or the
//! address of the destination with its AE title) with the roles turned round. When nothing says where the peer listens, or
//! it wants it so, the report goes over an association that the peer has open.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use custody::spool::Spool;
use custody::store::commitments::{self, Commitment, Peer};
use custody::store::{self, Durability};
use hal::clock::Wall;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::association::{Fault, Timers};
use crate::commitment::{self, Verdict};
use crate::elements::Syntax;
use crate::negotiate::Role;
use crate::open::{self, Proposed};
use crate::send::{Association, Error, Target};
use crate::services::{Archive, Order, Services};
use crate::settings::{Dicom, ReportBy, Sender};
use crate::tls::Client;
use crate::{COMMITMENT, message, status};

/// Peers that are served at the same time, at most: the objects of each report are read from the disk.
const AT_ONCE: usize = 16;
/// Reports that go over one association.
const BATCH: u32 = 32;
/// The rows are looked at this often even without a notification, because the wall clock may have been set.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Idle: how long a peer may take to answer a report.
const TIMERS: Timers = Timers { stall: Duration::from_secs(30), idle: Duration::from_secs(60) };
/// Transactions that have ended and are remembered.
const REMEMBERED: u32 = 10_000;
/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(5);

/// What the task needs; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reporter {
    pub services: Services,
    pub spool: Spool,
    pub settings: Arc<Dicom>,
    pub wall: Wall,
}

/// The peer has called: what could not be brought to it is tried now.
pub(crate) fn peer_called(services: &Services, peer: Peer) {
    let services = services.clone();
    tokio::task::spawn_blocking(move || {
        let rows = services.store.connect(Durability::Rebuildable);
        if rows.and_then(|rows| commitments::is_behind(&rows, &peer)).is_ok_and(|is_behind| is_behind) {
            services.called.note(peer);
            services.report.notify_one();
        }
    });
}

/// How a report reaches its peer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    /// Over an association that the peer has open, if there is one, before any that we open.
    its_own_first: bool,
    /// Where to connect.
    target: Option<Target>,
}

/// Pure.
fn route(senders: &[Sender], archives: &[Archive], asked: &Commitment) -> Route {
    let address = asked.peer_address.parse::<IpAddr>().ok();
    let is_it = |sender: &&Sender| {
        let here = sender.address.is_none_or(|known| Some(known.to_canonical()) == address);
        sender.ae_title.trim() == asked.calling_ae && here
    };
    let sender = senders.iter().find(is_it);
    let port = sender.and_then(|sender| sender.commitment_port);
    let by_port =
        port.zip(address).map(|(port, address)| (std::net::SocketAddr::from((address, port)).to_string(), None));
    let archive = || archives.iter().find(|one| one.ae_title == asked.calling_ae);
    let by_name = || archive().map(|one| (one.address.clone(), one.tls.as_ref().map(Client::from)));
    let target = by_port.or_else(by_name).map(|(address, tls)| Target {
        address,
        tls,
        called_ae: asked.calling_ae.clone(),
        calling_ae: asked.called_ae.clone(),
    });
    let same = sender.is_some_and(|sender| sender.commitment_report == ReportBy::SameAssociation);
    Route { its_own_first: same || target.is_none(), target }
}

/// What goes over one association: we call a peer under the title under which it called us. The rest stays due. Pure.
fn of_one_title(mut due: Vec<Commitment>) -> Vec<Commitment> {
    if let Some(called) = due.first().map(|first| first.called_ae.clone()) {
        due.retain(|one| one.called_ae == called);
    }
    due
}

/// A report that is ready to be sent.
struct Ready {
    asked: Commitment,
    verdict: Verdict,
}

impl Reporter {
    /// Runs until shutdown. Each peer is served by itself: one that does not answer holds up no other. An error of the
    /// database is waited out.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        let mut busy = BTreeSet::new();
        let mut running = JoinSet::new();
        while !shutdown.is_cancelled() {
            let mut wait = match self.due(&busy).await {
                Ok((due, wait)) => {
                    // Those that are due beyond that wait until one is served.
                    for peer in due.into_iter().take(AT_ONCE.saturating_sub(busy.len())) {
                        busy.insert(peer.clone());
                        let reporter = self.clone();
                        let has_called = self.services.called.take(&peer);
                        running.spawn(async move { (reporter.report_to(&peer, has_called).await, peer) });
                    }
                    wait.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)
                }
                Err(error) => self.database_failed(&error),
            };
            tokio::select! {
                // What was not answered is sent again after the restart.
                () = shutdown.cancelled() => return Ok(()),
                Some(ended) = running.join_next() => {
                    // A panic goes on here.
                    let (done, peer) = ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                    busy.remove(&peer);
                    let Err(error) = done else { continue };
                    wait = self.database_failed(&error);
                }
                _ = timeout(wait, self.services.report.notified()) => continue,
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = sleep(wait) => {}
            }
        }
        Ok(())
    }

    fn database_failed(&self, error: &store::Error) -> Duration {
        self.services.store.failed(error);
        warn!("reports of storage commitment wait: {error}");
        PAUSE
    }

    /// The peers that a report is due for, but for the busy ones, and how long it is until the next is.
    async fn due(&self, busy: &BTreeSet<Peer>) -> store::Result<(Vec<Peer>, Option<Duration>)> {
        let (wall, settings) = (self.wall.clone(), self.settings.commitment.clone());
        let mut peers = self
            .services
            .store
            .rows(move |rows| {
                let wait = Duration::try_from_secs_f64(settings.wait_secs).unwrap_or_default();
                commitments::not_after(rows, &wall.utc_after(settings.pauses().longest.max(wait)))?;
                commitments::forget(rows, REMEMBERED)?;
                commitments::next_by_peer(rows)
            })
            .await?;
        peers.retain(|(peer, _)| !busy.contains(peer));
        let waits = |called: &Peer| busy.contains(called) || peers.iter().any(|(peer, _)| peer == called);
        let called = self.services.called.among(waits);
        let now = self.wall.now_utc();
        let is_due = |(peer, next): &(Peer, String)| *next <= now || called.contains(peer);
        let (due, later): (Vec<_>, Vec<_>) = peers.into_iter().partition(is_due);
        let wait = later.first().map(|(_, next)| self.wall.until(next) + Duration::from_millis(1));
        Ok((due.into_iter().map(|(peer, _)| peer).collect(), wait))
    }

    /// All that is due for one peer, over one association. What each report says is found directly before it is sent: it must be true
    /// then, and nothing is read from the disk for a peer that is not there.
    async fn report_to(&self, peer: &Peer, has_called: bool) -> store::Result<()> {
        let (peer, now) = (peer.clone(), self.wall.now_utc());
        let due = self.services.store.rows(move |rows| commitments::due(rows, &peer, &now, has_called, BATCH)).await?;
        let mut due = of_one_title(due);
        let Some(first) = due.first() else { return Ok(()) };
        let Route { its_own_first, target } = route(&self.settings.sender, &self.services.archives, first);
        if its_own_first {
            due = self.over_its_own(due).await?;
        }
        match target {
            Some(target) if !due.is_empty() => self.over_ours(&target, due).await,
            _ => {
                for asked in due {
                    let reason = format!(
                        "nothing says where {} takes reports, and it has no association open: set commitment_port of its \
                         [[dicom.sender]]",
                        asked.calling_ae
                    );
                    self.postpone(&asked, &reason, &reason).await?;
                }
                Ok(())
            }
        }
    }

    /// What is true of the objects now. `None`: it waits, for objects that may be on their way or for our own disk.
    async fn judge(&self, asked: &Commitment) -> store::Result<Option<Verdict>> {
        let id = asked.id;
        let items = self.services.store.rows(move |rows| commitments::items(rows, id)).await?;
        let (store, spool) = (self.services.store.clone(), self.spool.clone());
        let judged = tokio::task::spawn_blocking(move || commitment::judge(&store, &spool, items)).await;
        let verdict = match judged.map_err(|error| error.to_string()).and_then(|judged| judged) {
            Ok(verdict) => verdict,
            Err(reason) => {
                self.postpone(asked, &reason, &reason).await?;
                return Ok(None);
            }
        };
        let wait = Duration::try_from_secs_f64(self.settings.commitment.wait_secs).unwrap_or_default();
        if verdict.lacking.is_empty() || asked.waited || wait.is_zero() {
            return Ok(Some(verdict));
        }
        info!(commitment = id, lacking = verdict.lacking.len(), "waits {wait:?} for objects that are not here");
        let next = self.wall.utc_after(wait);
        self.services.store.rows(move |rows| commitments::waits(rows, id, &next)).await?;
        Ok(None)
    }

    /// Over an association that the peer has open. Returns what did not get through.
    async fn over_its_own(&self, due: Vec<Commitment>) -> store::Result<Vec<Commitment>> {
        let mut left = Vec::new();
        let line = |asked: &Commitment| self.services.lines.to(&asked.calling_ae, &asked.peer_address);
        for asked in due {
            if !left.is_empty() || line(&asked).is_none() {
                left.push(asked);
                continue;
            }
            let Some(verdict) = self.judge(&asked).await? else { continue };
            let report = Ready { asked, verdict };
            // It may have ended while the objects were read.
            let status = match line(&report.asked) {
                Some(line) => {
                    let (answer, answered) = oneshot::channel();
                    let order = Order {
                        event_type: report.verdict.event_type(),
                        implicit: report.verdict.report(&report.asked.transaction_uid, Syntax::Implicit),
                        explicit: report.verdict.report(&report.asked.transaction_uid, Syntax::Explicit),
                        answer,
                    };
                    // A full queue is that of a peer that does not answer.
                    let sent = line.try_send(order).is_ok();
                    // An order that comes in just when the association ends is dropped with its last sender.
                    drop(line);
                    if sent { timeout(TIMERS.idle, answered).await.ok().and_then(Result::ok) } else { None }
                }
                None => None,
            };
            match status {
                Some(status) => self.answered(&report, status, "").await?,
                None => left.push(report.asked),
            }
        }
        Ok(left)
    }

    async fn over_ours(&self, target: &Target, due: Vec<Commitment>) -> store::Result<()> {
        let mut open: Option<Association> = None;
        let mut due = due.into_iter();
        while let Some(asked) = due.next() {
            let mut verdict = None;
            // One that was never tried may have to wait for its objects: nobody is called for that.
            if open.is_none() && asked.attempts == 0 {
                verdict = self.judge(&asked).await?;
                if verdict.is_none() {
                    continue;
                }
            }
            let mut association = match open.take() {
                Some(association) => association,
                None => match provider(target).await {
                    Ok(association) => association,
                    Err(error) => {
                        for asked in std::iter::once(asked).chain(due) {
                            self.postpone(&asked, &error.to_string(), &error.words()).await?;
                        }
                        return Ok(());
                    }
                },
            };
            if association.is_over() {
                let error = Error::from(Fault::Closed);
                self.postpone(&asked, &error.to_string(), &error.words()).await?;
            } else {
                if verdict.is_none() {
                    verdict = self.judge(&asked).await?;
                }
                if let Some(verdict) = verdict {
                    self.send(&mut association, Ready { asked, verdict }).await?;
                }
            }
            open = Some(association);
        }
        if let Some(association) = open {
            association.release().await;
        }
        Ok(())
    }

    async fn send(&self, association: &mut Association, report: Ready) -> store::Result<()> {
        let event_type = report.verdict.event_type();
        let answer = association
            .request(
                COMMITMENT,
                |id| message::event_report_request(id, COMMITMENT, commitment::INSTANCE, event_type),
                |syntax| report.verdict.report(&report.asked.transaction_uid, syntax),
            )
            .await;
        match answer {
            Ok((status, comment)) => self.answered(&report, status, &comment).await,
            Err(error) => self.postpone(&report.asked, &error.to_string(), &error.words()).await,
        }
    }

    async fn answered(&self, report: &Ready, status: u16, comment: &str) -> store::Result<()> {
        // 0107 and 0116: attribute list error and value out of range, warnings of a peer that has read the report.
        if !matches!(status, status::SUCCESS | 0x0107 | 0x0116) {
            let words = format!("the peer answered the report with {status:#06x}");
            return self.postpone(&report.asked, format!("{words} {comment}").trim_end(), &words).await;
        }
        let (id, kept, lacking) = (report.asked.id, report.verdict.kept.len(), report.verdict.lacking.len());
        info!(commitment = id, kept, lacking, "storage commitment reported");
        let now = self.wall.now_utc();
        self.services.store.rows(move |rows| commitments::reported(rows, id, lacking, &now)).await
    }

    /// `words`: the reason for the log, without what the peer has written.
    async fn postpone(&self, asked: &Commitment, reason: &str, words: &str) -> store::Result<()> {
        let (id, failures) = (asked.id, asked.attempts.saturating_add(1));
        let settings = &self.settings.commitment;
        let reason = reason.to_owned();
        // A peer that calls every minute must not use up in a day the attempts of a week.
        if asked.next_utc > self.wall.now_utc() {
            info!(
                commitment = id,
                "the peer has called, and its report of storage commitment waits as before: {words}"
            );
            return self.services.store.rows(move |rows| commitments::in_vain(rows, id, &reason)).await;
        }
        if failures >= settings.most_attempts() {
            warn!(commitment = id, failures, "the report of storage commitment is given up: {words}");
            let now = self.wall.now_utc();
            return self.services.store.rows(move |rows| commitments::given_up(rows, id, &reason, &now)).await;
        }
        let wait = settings.pauses().after(failures);
        info!(commitment = id, failures, "the report of storage commitment is sent again in {wait:?}: {words}");
        let next = self.wall.utc_after(wait);
        self.services.store.rows(move |rows| commitments::postponed(rows, id, &reason, &next)).await
    }
}

/// An association on which we are the SCP (PS3.7 section D.3.3.4). A peer that does not answer the role item takes the
/// report none the less: some do not know it. One that answers no is taken at its word.
async fn provider(target: &Target) -> Result<Association, Error> {
    let role = Some(Role { scu: false, scp: true });
    let syntaxes =
        [dicom_dictionary_std::uids::IMPLICIT_VR_LITTLE_ENDIAN, dicom_dictionary_std::uids::EXPLICIT_VR_LITTLE_ENDIAN];
    let proposed = syntaxes.iter().map(|syntax| Proposed { role, ..Proposed::new(COMMITMENT, syntax) }).collect();
    let opened = open::open(target, proposed, TIMERS).await?;
    let refused = opened.roles.iter().any(|(class, role)| class == COMMITMENT && !role.scp);
    let association = Association::on(opened);
    if refused {
        association.release().await;
        return Err(Error::Role);
    }
    Ok(association)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked() -> Commitment {
        Commitment {
            id: 1,
            transaction_uid: "1.2".into(),
            calling_ae: "CT1".into(),
            called_ae: "SCANSIDE".into(),
            peer_address: "192.0.2.7".into(),
            asked_utc: String::new(),
            attempts: 0,
            waited: false,
            next_utc: String::new(),
        }
    }

    fn sender() -> Sender {
        Sender { ae_title: "CT1".into(), commitment_port: Some(104), ..Sender::default() }
    }

    /// Two rooms of one scanner's console that have entered the box under two titles each know it by one of them.
    #[test]
    fn a_report_goes_under_the_title_by_which_it_was_asked_for() {
        let of = |id, called: &str| Commitment { id, called_ae: called.into(), ..asked() };
        let due = vec![of(1, "ROOM1"), of(2, "ROOM2"), of(3, "ROOM1")];
        assert_eq!(of_one_title(due.clone()).iter().map(|one| one.id).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(of_one_title(due[1..2].to_vec()).len(), 1, "the rest, the next time");
        assert_eq!(of_one_title(Vec::new()), []);
    }

    #[test]
    fn a_report_goes_to_the_port_of_the_sender_else_to_the_destination_of_that_name_else_over_its_own_association() {
        let address = |route: Route| route.target.map(|target| target.address);
        let archive =
            Archive { ae_title: "CT1".into(), our_title: "X".into(), address: "pacs:11112".into(), tls: None };
        let found = route(&[sender()], std::slice::from_ref(&archive), &asked());
        assert_eq!((found.its_own_first, address(found)), (false, Some("192.0.2.7:104".into())));
        let no_port = Sender { commitment_port: None, ..sender() };
        let found = route(std::slice::from_ref(&no_port), &[archive], &asked());
        assert_eq!(address(found), Some("pacs:11112".into()));
        assert_eq!(route(&[no_port], &[], &asked()), Route { its_own_first: true, target: None });
        let elsewhere = Sender { address: "192.0.2.8".parse().ok(), ..sender() };
        assert_eq!(route(&[elsewhere], &[], &asked()).target, None, "the same title at another address");
        let same = Sender { commitment_report: ReportBy::SameAssociation, ..sender() };
        let found = route(&[same], &[], &asked());
        assert!(found.its_own_first && found.target.is_some());
    }
}
