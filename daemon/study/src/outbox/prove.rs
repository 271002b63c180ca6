//! Whether a destination with a URL has what it took: asked by QIDO-RS or WADO-RS, in the place of storage commitment, which
//! DICOMweb does not have. The rows are the same: `wanted`, `asked`, `committed`.
//!
//! An archive may show an object later than it has answered to it. So what it does not have is asked for again after a pause, and is
//! sent again when it is not there at the third question. An object at whose question the archive fails is asked for after the
//! others, and counts as delivered only when that has not helped.

use std::time::Duration;

use custody::store::asks::{self, Noted};
use custody::store::deliveries::Delivery;
use node::send::{Error as SendError, SendFault};
use node::settings::Asking;
use node::stow::{Presence, Session};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Error;
use super::ask::MOST_ASKED;
use super::link::object;
use super::sender::Queue;

/// No such object instance (PS3.3 section C.14.1.1).
const NO_SUCH_INSTANCE: u16 = 0x0112;

/// After so many failures running the archive is not well.
const FAILURES_IN_A_ROW: u32 = 2;

/// What the answer for one object means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Kept,
    /// Perhaps it is not shown yet.
    Later,
    NotKept,
}

/// `asked`: how often it was asked for, this time included.
fn verdict(is_there: bool, asked: u32) -> Verdict {
    match is_there {
        true => Verdict::Kept,
        false if asked < MOST_ASKED => Verdict::Later,
        false => Verdict::NotKept,
    }
}

/// Whether this failure may be due to the object that was asked for: then the question counts, and others are asked for before
/// it the next time. It is not when the archive cannot be reached, refuses the question, or answers with what it is not asked for.
fn is_of_object(error: &SendError) -> bool {
    match error {
        SendError::Broken { .. } | SendError::Silent { .. } => true,
        SendError::Http { code, .. } => *code >= 500 && error.kind() == SendFault::Object,
        _ => false,
    }
}

/// The archive takes objects and refuses questions, as with a token for STOW-RS alone.
fn is_refusal(error: &SendError) -> bool {
    matches!(error, SendError::Http { code: 300..=399 | 401 | 403 | 407, .. })
}

/// Whether no more is asked after this failure, one of so many in a row. An archive may fail at the question for one object, which
/// then waits for the others.
fn is_over(error: &SendError, in_a_row: u32) -> bool {
    !error.is_answer() || error.kind() == SendFault::Everything || in_a_row >= FAILURES_IN_A_ROW
}

/// What the archive answered.
#[derive(Debug, Default)]
struct Found {
    /// Deliveries.
    asked: Vec<i64>,
    /// Deliveries at the question for which the archive failed.
    failed_at: Vec<i64>,
    /// SOP Instance UIDs.
    kept: Vec<String>,
    not_kept: Vec<(String, u16)>,
    /// How often one of those was asked for that are to be asked for again.
    most_asked: u32,
}

impl Found {
    fn add(&mut self, delivery: &Delivery, is_there: bool) {
        let asked = delivery.asked.saturating_add(1);
        self.asked.push(delivery.id);
        match verdict(is_there, asked) {
            Verdict::Kept => self.kept.push(delivery.sop_uid.clone()),
            Verdict::Later => self.most_asked = self.most_asked.max(asked),
            Verdict::NotKept => self.not_kept.push((delivery.sop_uid.clone(), NO_SUCH_INSTANCE)),
        }
    }
}

impl Queue<'_> {
    /// Asks for all that is due. Nothing is written down before its answer is here: what is not answered is asked for again.
    pub(super) async fn prove(&self, session: &mut Session, shutdown: &CancellationToken) -> Result<(), Error> {
        let mut due = self.due_asks().await?;
        // What it failed at comes last.
        due.sort_by_key(|one| (one.asked, one.id));
        let name = self.sender.name.clone();
        let mut answers = self.rows(move |rows| asks::offers(rows, &name)).await? == Some(true);
        let mut found = Found::default();
        let mut trouble: Option<SendError> = None;
        let (mut in_a_row, mut is_unknown) = (0, false);
        for one in &due {
            let wanted = object(one);
            let asked = tokio::select! {
                asked = session.has(&wanted, answers) => asked,
                () = shutdown.cancelled() => break,
            };
            let is_there = match asked {
                Ok(Presence::Unknown) => {
                    is_unknown = true;
                    break;
                }
                Ok(presence) => presence == Presence::There,
                // It counts for all: what may not be asked for must not fill the disk for ever.
                Err(error) if is_refusal(&error) => {
                    let rest: Vec<i64> = due.iter().map(|one| one.id).filter(|id| !found.asked.contains(id)).collect();
                    self.note_found(found).await?;
                    warn!(destination = self.sender.name, "the archive does not say what it has: {}", error.words());
                    return self.asked_in_vain(rest, self.sender.ask_again() / 8).await;
                }
                Err(error) => {
                    in_a_row += 1;
                    if is_of_object(&error) {
                        found.failed_at.push(one.id);
                    }
                    let is_over = is_over(&error, in_a_row);
                    trouble = Some(error);
                    if is_over {
                        break;
                    }
                    continue;
                }
            };
            in_a_row = 0;
            if !answers {
                self.remember_offer(true).await?;
                answers = true;
            }
            found.add(one, is_there);
        }
        self.note_found(found).await?;
        match trouble {
            Some(error) => self.hold_asks(&error.words()).await,
            None if is_unknown => self.cannot_ask().await,
            None => Ok(()),
        }
    }

    /// In one transaction: that it was asked, and what was answered.
    async fn note_found(&self, found: Found) -> Result<(), Error> {
        let (name, wall) = (self.sender.name.clone(), &self.sender.wall);
        self.asked_in_vain(found.failed_at, self.sender.longest_wait()).await?;
        if found.asked.is_empty() {
            return Ok(());
        }
        let (now, again) = (wall.now_utc(), wall.utc_after(self.sender.wait_after(found.most_asked)));
        let uid = dicom::uid::of_moment(&format!("question {name} {:?}", found.asked));
        let (kept, not_kept, asked) = (found.kept, found.not_kept, found.asked);
        let all = asked.len();
        let noted = self
            .written(move |rows| {
                asks::ask(rows, &uid, &name, &asked, &now, &again)?;
                asks::answered(rows, &uid, &kept, &not_kept, &now)
            })
            .await?;
        let Noted { committed, failed } = noted.unwrap_or_default();
        info!(destination = self.sender.name, all, committed, failed, "asked whether the archive has what it took");
        Ok(())
    }

    /// These questions count, and are put again after `pause`.
    async fn asked_in_vain(&self, deliveries: Vec<i64>, pause: Duration) -> Result<(), Error> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let (name, wall) = (self.sender.name.clone(), &self.sender.wall);
        let (now, again) = (wall.now_utc(), wall.utc_after(pause));
        let uid = dicom::uid::of_moment(&format!("question in vain {name} {deliveries:?}"));
        self.written(move |rows| asks::ask(rows, &uid, &name, &deliveries, &now, &again)).await
    }

    /// The archive answers no such questions.
    async fn cannot_ask(&self) -> Result<(), Error> {
        self.remember_offer(false).await?;
        if self.sender.destination.commitment == Asking::Auto {
            let name = self.sender.name.clone();
            self.rows(move |rows| asks::off(rows, &name)).await?;
            return Ok(());
        }
        self.hold_asks("the archive answers neither QIDO-RS nor WADO-RS").await
    }

    async fn remember_offer(&self, offered: bool) -> Result<(), Error> {
        let (name, now) = (self.sender.name.clone(), self.sender.wall.now_utc());
        let is_news = self.rows(move |rows| asks::remember(rows, &name, offered, &now)).await?;
        match (is_news, offered, self.sender.destination.commitment) {
            (true, true, _) => info!(destination = self.sender.name, "the archive says what it has"),
            (true, false, Asking::Ask) => warn!(
                destination = self.sender.name,
                "the archive does not say what it has, and commitment is \"ask\": what it takes is not evicted here"
            ),
            (true, false, _) => info!(destination = self.sender.name, "the archive does not say what it has"),
            (false, ..) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_archive_does_not_show_yet_is_asked_for_again_and_sent_again_at_the_third_time() {
        for asked in 1..5 {
            assert_eq!(verdict(true, asked), Verdict::Kept);
        }
        assert_eq!(
            [1, 2, 3, 4].map(|asked| verdict(false, asked)),
            [Verdict::Later, Verdict::Later, Verdict::NotKept, Verdict::NotKept]
        );
    }

    #[test]
    fn one_failure_lets_the_next_object_be_asked_for_and_what_concerns_all_does_not() {
        let http = |code| SendError::Http { code, said: String::new() };
        assert!(!is_over(&http(500), 1) && is_over(&http(500), 2));
        for error in [http(401), http(302), http(503), SendError::NotHttp { address: "pacs:80".into() }] {
            assert!(is_over(&error, 1), "{error}");
        }
    }

    #[test]
    fn a_failure_that_may_be_due_to_one_object_counts_and_what_all_would_get_does_not() {
        let http = |code| SendError::Http { code, said: String::new() };
        let address = || "pacs:80".to_owned();
        let silent = SendError::Silent { address: address(), what: "answer", seconds: 60.0 };
        for error in [http(500), http(505), silent, SendError::Broken { address: address(), reason: String::new() }] {
            assert!(is_of_object(&error), "{error}");
        }
        let unreached = SendError::Connect { address: address(), reason: String::new() };
        for error in [http(200), http(302), http(400), http(401), http(503), unreached] {
            assert!(!is_of_object(&error), "{error}");
        }
    }
}
