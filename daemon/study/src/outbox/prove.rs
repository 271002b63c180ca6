//! Whether a destination with a URL has what it took: asked by QIDO-RS or WADO-RS, in the place of storage commitment, which
//! DICOMweb does not have. The rows are the same: `wanted`, `asked`, `committed`.
//!
//! An archive may show an object later than it has answered to it. So what it does not have is asked for again after a pause, and is
//! sent again when it is not there at the third question.

use custody::store::asks::{self, Noted};
use node::send::Error as SendError;
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

impl Queue<'_> {
    /// Asks for all that is due. What is not answered when this ends is asked for again.
    pub(super) async fn prove(&self, session: &mut Session, shutdown: &CancellationToken) -> Result<(), Error> {
        let due = self.due_asks().await?;
        let Some(most) = due.iter().map(|one| one.asked).max() else { return Ok(()) };
        let name = self.sender.name.clone();
        let mut answers = self.rows(move |rows| asks::offers(rows, &name)).await? == Some(true);
        // So long it waits where the archive has it not, or this ends before the answer.
        let pause = self.sender.wait_after(most.saturating_add(1));
        let question = self.write_down_until(&due, pause).await?;
        let (mut kept, mut not_kept, mut waiting) = (Vec::new(), Vec::new(), 0_usize);
        let mut trouble: Option<SendError> = None;
        for one in &due {
            let wanted = object(one);
            let asked = tokio::select! {
                asked = session.has(&wanted, answers) => asked,
                () = shutdown.cancelled() => break,
            };
            let is_there = match asked {
                Ok(Presence::Unknown) => {
                    self.remember_offer(false).await?;
                    return self.cannot_ask(&question, "it answers neither QIDO-RS nor WADO-RS").await;
                }
                Ok(presence) => presence == Presence::There,
                Err(error) => {
                    trouble = Some(error);
                    break;
                }
            };
            if !answers {
                self.remember_offer(true).await?;
                answers = true;
            }
            match verdict(is_there, one.asked.saturating_add(1)) {
                Verdict::Kept => kept.push(one.sop_uid.clone()),
                Verdict::Later => waiting += 1,
                Verdict::NotKept => not_kept.push((one.sop_uid.clone(), NO_SUCH_INSTANCE)),
            }
        }
        let (now, uid) = (self.sender.wall.now_utc(), question.clone());
        let noted = self.written(move |rows| asks::answered(rows, &uid, &kept, &not_kept, &now)).await?;
        let Noted { committed, failed } = noted.unwrap_or_default();
        info!(destination = self.sender.name, committed, failed, waiting, "asked whether the archive has what it took");
        match trouble {
            Some(error) => self.cannot_ask(&question, &error.to_string()).await,
            None => Ok(()),
        }
    }

    /// What was written down as asked was not: it does not count. Where the archive never answers, nothing is asked.
    async fn cannot_ask(&self, question: &str, reason: &str) -> Result<(), Error> {
        let (uid, name) = (question.to_owned(), self.sender.name.clone());
        let until = self.sender.wall.utc_after(self.sender.longest_wait());
        let is_hopeless = {
            let name = name.clone();
            self.rows(move |rows| asks::offers(rows, &name)).await? == Some(false)
                && self.sender.destination.commitment == Asking::Auto
        };
        self.written(move |rows| asks::not_taken(rows, &uid, &until)).await?;
        if is_hopeless {
            self.rows(move |rows| asks::off(rows, &name)).await?;
            return Ok(());
        }
        self.hold_asks(reason).await
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
}
