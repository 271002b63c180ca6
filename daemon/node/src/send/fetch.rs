//! C-GET and C-MOVE over an association that we requested (PS3.4 section C.4): the objects of a C-GET come over it, each as a C-STORE
//! that is answered once it is durable; those of a C-MOVE come to our listener. At the end of the time, or when something else comes
//! than was asked for, a C-CANCEL; what has come is kept.

use std::sync::Arc;
use std::time::Duration;

use custody::instance::Origin;
use dicom_ul::pdu::{AbortRQServiceProviderReason as Reason, Pdu};
use tokio::time::{Instant, timeout_at};

use super::find::{PENDING, STOPS};
use super::{Association, Error};
use crate::association::{Context, Fault, Inbound};
use crate::elements::Syntax;
use crate::message::{self, Command, SubOperations};
use crate::open::Limit;
use crate::receive::{Received, Reception};
use crate::wanted::Wanted;
use crate::{Arrival, Intake};

/// How often the engine is told that data is arriving.
const TELL_IN_FLIGHT: Duration = Duration::from_secs(1);
/// How often it is looked at whether something came that was not asked for.
const LOOK: Duration = Duration::from_millis(500);

/// Where the objects of a C-GET go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sink<'a> {
    pub(crate) intake: &'a Intake,
    pub(crate) origin: &'a Origin,
}

/// How a retrieval ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fetched {
    /// The last status; `None`: the peer did not come to an end within the time.
    pub(crate) status: Option<u16>,
    pub(crate) comment: String,
    pub(crate) counts: SubOperations,
    /// The time was over.
    pub(crate) late: bool,
}

impl Association {
    /// Sends a C-GET-RQ and takes what comes.
    ///
    /// # Errors
    /// When the association fails; what has come is kept.
    pub(crate) async fn get(
        &mut self,
        class: &str,
        identifier: impl FnOnce(Syntax) -> Vec<u8>,
        wanted: &Arc<Wanted>,
        sink: Sink<'_>,
        limit: Limit<'_>,
    ) -> Result<Fetched, Error> {
        let (id, context) = self.put(class, |id| message::get_request(id, class), identifier).await?;
        self.fetched(id, context.id, wanted, Some(sink), limit).await
    }

    /// Sends a C-MOVE-RQ to the peer with the AE title `destination`.
    ///
    /// # Errors
    /// When the association fails.
    pub(crate) async fn move_to(
        &mut self,
        class: &str,
        destination: &str,
        identifier: impl FnOnce(Syntax) -> Vec<u8>,
        wanted: &Arc<Wanted>,
        limit: Limit<'_>,
    ) -> Result<Fetched, Error> {
        let command = |id| message::move_request(id, class, destination.trim());
        let (id, context) = self.put(class, command, identifier).await?;
        self.fetched(id, context.id, wanted, None, limit).await
    }

    async fn fetched(
        &mut self,
        id: u16,
        context: u8,
        wanted: &Arc<Wanted>,
        sink: Option<Sink<'_>>,
        limit: Limit<'_>,
    ) -> Result<Fetched, Error> {
        let mut fetched = Fetched::default();
        let mut arriving: Option<Reception> = None;
        let mut told = Instant::now();
        // Until when the peer may go on after a C-CANCEL.
        let mut cancelled: Option<Instant> = None;
        loop {
            let now = Instant::now();
            if cancelled.is_none() && (now >= limit.end() || wanted.is_deceived()) {
                fetched.late = now >= limit.end();
                cancelled = Some(now + STOPS);
                if let Err(fault) = self.sender.command(context, &message::cancel_request(id)).await {
                    return Err(self.over(fault.into()).await);
                }
            }
            if cancelled.is_some_and(|end| now >= end) {
                // Also one that never ceases to send.
                self.abort().await;
                return Ok(fetched);
            }
            let until = cancelled.unwrap_or_else(|| limit.end().min(now + LOOK));
            let inbound = match timeout_at(until, self.messages.next()).await {
                Ok(Ok(inbound)) => inbound,
                Ok(Err(fault)) => return Err(self.over(fault.into()).await),
                Err(_) => continue,
            };
            let refused: Error = match inbound {
                Inbound::Command(response, _) if response.is_response() && response.message_id == id => {
                    fetched.counts = response.counts;
                    if PENDING.contains(&response.status) {
                        continue;
                    }
                    (fetched.status, fetched.comment) = (Some(response.status), response.comment);
                    // The UIDs of what failed (0008,0058): passed over.
                    if response.has_data_set
                        && let Err(fault) = self.data_set(0).await
                    {
                        let _ = self.over(fault.into()).await;
                    }
                    return Ok(fetched);
                }
                Inbound::Command(request, of) if request.field == message::C_STORE && sink.is_some() => {
                    arriving = sink.map(|sink| begin(sink, request, of, wanted));
                    continue;
                }
                Inbound::Data { bytes, last } => {
                    // Of a response that has one before the last: passed over.
                    let Some(mut reception) = arriving.take() else { continue };
                    reception.write(bytes).await;
                    let Some(sink) = sink else { continue };
                    if !last {
                        arriving = Some(reception);
                        if told.elapsed() >= TELL_IN_FLIGHT {
                            told = Instant::now();
                            let association = sink.origin.association;
                            let _ = sink.intake.arrivals.send(Arrival::InFlight { association }).await;
                        }
                        continue;
                    }
                    match self.finish(sink, reception).await {
                        Ok(()) => continue,
                        Err(fault) => fault.into(),
                    }
                }
                Inbound::ReleaseRequest => {
                    let _ = self.sender.pdus.send_pdu(&Pdu::ReleaseRP).await;
                    Fault::Closed.into()
                }
                Inbound::Command(..) | Inbound::ReleaseResponse => {
                    Fault::protocol(Reason::UnexpectedPdu, "a message that was not asked for").into()
                }
            };
            return Err(self.over(refused).await);
        }
    }

    /// Answers one object. It is durable then, or refused.
    async fn finish(&mut self, sink: Sink<'_>, reception: Reception) -> Result<(), Fault> {
        let Received { request, context, answer, kept } = reception.finish().await;
        if !answer.is_success() {
            tracing::warn!(
                association = sink.origin.association,
                "an object that the archive sent is refused ({:#06x}): {}",
                answer.status,
                dicom::text::shown_up_to(&answer.reason, 400)
            );
        }
        if let Some(instance) = kept {
            // The instance stays in custody even if the engine has ended.
            let _ = sink.intake.arrivals.send(Arrival::Kept(instance)).await;
        }
        self.sender.command(context.id, &request.response(&answer)).await
    }
}

fn begin(sink: Sink<'_>, request: Command, context: Context, wanted: &Arc<Wanted>) -> Reception {
    Reception::begin_wanted(sink.intake, sink.origin, request, context, wanted.clone())
}
