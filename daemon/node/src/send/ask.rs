//! Storage commitment over an association that we requested: the question, and a report that comes on the same one.

use std::time::Duration;

use custody::store::commitments::Item;
use dicom_ul::pdu::Pdu;
use tokio::time::{Instant, timeout_at};

use super::{Association, Error};
use crate::COMMITMENT;
use crate::association::{Context, Fault, Inbound};
use crate::commitment::{self, Reported};
use crate::elements::Syntax;
use crate::message::{self, Command};
use crate::status::{Answer, SUCCESS};

/// Bytes of a report, which is as large as our request was: far more than all objects of one of them need.
const MAX_REPORT: usize = 1 << 20;
/// Reports that are kept while an answer is awaited.
const MOST_EARLY: usize = 8;

/// A report that nobody waited for yet.
#[derive(Debug)]
pub(super) struct Early {
    command: Command,
    context: Context,
    bytes: Vec<u8>,
}

impl Association {
    /// Asks for storage commitment of these objects (SOP class and instance UID), under this transaction UID.
    ///
    /// # Errors
    /// `Refused` when the peer does not take the request, else as [`Association::store`].
    pub async fn ask_commitment(&mut self, transaction_uid: &str, objects: &[(String, String)]) -> Result<(), Error> {
        let items: Vec<Item> = objects
            .iter()
            .map(|(sop_class, sop_uid)| Item { sop_class: sop_class.clone(), sop_uid: sop_uid.clone() })
            .collect();
        let answer = self
            .request(
                COMMITMENT,
                |id| message::action_request(id, COMMITMENT, commitment::INSTANCE, commitment::ASK),
                |syntax| commitment::request(transaction_uid, &items, syntax),
            )
            .await?;
        match answer {
            (SUCCESS, _) => Ok(()),
            (status, comment) => Err(Error::Refused { status, comment }),
        }
    }

    /// Waits for a report of storage commitment on this association; one that came before is the first. The peer waits for
    /// [`Association::answer_report`], which comes when the report is written down. `None`: none came, or the association has ended.
    pub async fn report(&mut self, patience: Duration) -> Option<Reported> {
        let end = Instant::now() + patience;
        loop {
            if let Some(early) = self.early.pop_front() {
                if let Some(reported) = self.read_early(early).await {
                    return Some(reported);
                }
                continue;
            }
            if self.over {
                return None;
            }
            match timeout_at(end, self.messages.next()).await.ok()? {
                Ok(Inbound::Command(command, context)) if command.field == message::N_EVENT_REPORT => {
                    self.keep_early(command, &context).await.ok()?;
                }
                Ok(Inbound::ReleaseRequest) => {
                    let _ = self.sender.pdus.send_pdu(&Pdu::ReleaseRP).await;
                    self.over = true;
                }
                Ok(_) => {}
                Err(_) => self.over = true,
            }
        }
    }

    /// Whether this is a report that comes before it is waited for.
    pub(super) fn may_be_early(&self, command: &Command, context: &Context) -> bool {
        let is_report = command.field == message::N_EVENT_REPORT && context.abstract_syntax == COMMITMENT;
        is_report && self.early.len() < MOST_EARLY
    }

    /// Reads the rest of a report, and keeps it.
    pub(super) async fn keep_early(&mut self, command: Command, context: &Context) -> Result<(), Fault> {
        // One that is too large is refused as one without a transaction.
        let bytes =
            if command.has_data_set { self.data_set(MAX_REPORT).await?.unwrap_or_default() } else { Vec::new() };
        self.early.push_back(Early { command, context: context.clone(), bytes });
        Ok(())
    }

    /// `None`: it cannot be read, which the peer is told.
    async fn read_early(&mut self, early: Early) -> Option<Reported> {
        let Early { command, context, bytes } = early;
        let syntax = Syntax::of(&context.transfer_syntax).unwrap_or(Syntax::Implicit);
        match commitment::read_report(&bytes, syntax) {
            Ok(reported) => {
                self.reporting = Some((command, context.id));
                Some(reported)
            }
            Err(answer) => {
                let _ = self.sender.command(context.id, &command.response(&answer)).await;
                None
            }
        }
    }

    /// The rest of a message; `None` when it has more than `most` bytes.
    pub(super) async fn data_set(&mut self, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let (mut all, mut fits) = (Vec::new(), true);
        loop {
            match self.messages.next().await? {
                Inbound::Data { bytes, last } => {
                    fits &= all.len() + bytes.len() <= most;
                    if fits {
                        all.extend_from_slice(bytes);
                    }
                    if last {
                        return Ok(fits.then_some(all));
                    }
                }
                _ => return Err(Fault::Closed),
            }
        }
    }

    /// Tells the peer whether its report was written down.
    pub async fn answer_report(&mut self, written: bool) {
        let Some((command, context)) = self.reporting.take() else { return };
        let answer = if written { Answer::success() } else { Answer::new(0x0110, "not written down") };
        // The peer reports again if this is lost.
        let _ = self.sender.command(context, &command.response(&answer)).await;
    }
}
