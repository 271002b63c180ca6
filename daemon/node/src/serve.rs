//! The acceptor's side of one association: negotiates it, checks the peer, and answers its messages until it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use custody::instance::Origin;
use dicom::text::{shown, shown_up_to};
use dicom_ul::pdu::{AbortRQServiceProviderReason as Reason, AssociationRJ, Pdu};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::association::{Inbound, Messages, Sender, Timers};
use crate::message::{self, Command};
use crate::negotiate::{self, Context};
use crate::places::{Place, Places};
use crate::policy::{self, Refusal};
use crate::receive::{Received, Reception};
use crate::settings;
use crate::status::{self, Answer};
use crate::wire::{self, Fault, PduReader, PduWriter};
use crate::{Arrival, Intake, echo};

/// How long a peer may keep the connection open after our last PDU.
const LINGER: Duration = Duration::from_secs(5);
/// How often the engine is told that data is arriving.
const TELL_IN_FLIGHT: Duration = Duration::from_secs(1);

/// Characters of a reason in the log; a reason may quote the peer.
const MOST_REASON: usize = 400;

/// What the listener gives to a connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// Number of the association, counted since the daemon started.
    pub(super) number: u64,
    pub(super) peer: SocketAddr,
    /// One for each established association.
    pub(super) places: Places,
    /// Notified when this connection must close to make room; dropped once it has requested an association.
    pub(super) evicted: Arc<Notify>,
    pub(super) shutdown: CancellationToken,
}

/// Serves one connection until it ends. Never fails: errors of the peer are logged and affect no other connection.
pub(super) async fn serve<R, W>(reader: R, writer: W, connection: Connection, intake: &Intake)
where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send,
{
    let artim = Duration::from_secs(intake.settings.artim_secs);
    let mut reader = PduReader::new(reader);
    let mut writer = PduWriter::new(writer, artim);
    let Connection { number, peer, places, evicted, shutdown } = connection;
    let request = tokio::select! {
        request = read_request(&mut reader, artim) => request,
        () = evicted.notified() => {
            return info!(association = number, %peer, "connection closed to make room for new ones: it had not requested an association");
        }
        () = shutdown.cancelled() => return,
    };
    drop(evicted);
    let request = match request {
        Ok(request) => request,
        Err(fault) => {
            info!(association = number, %peer, "no association: {fault}");
            return say_goodbye(&mut reader, &mut writer, fault.abort()).await;
        }
    };
    let place = match admit(&request, number, peer, &intake.settings, &places) {
        Ok(place) => place,
        Err(refusal) => {
            warn!(association = number, %peer, calling = %shown(&request.calling), "association refused: {refusal}");
            let reject: AssociationRJ = refusal.reject();
            return say_goodbye(&mut reader, &mut writer, Some(Pdu::AssociationRJ(reject))).await;
        }
    };
    let (results, contexts) = negotiate::judge_contexts(&request.contexts);
    let accept = negotiate::acceptance(&request, results, intake.settings.max_pdu);
    if let Err(fault) = writer.send_pdu(&Pdu::AssociationAC(accept)).await {
        return info!(association = number, %peer, "no association: {fault}");
    }
    info!(
        association = number, %peer, calling = %shown(&request.calling), called = %shown(&request.called),
        max_pdu = request.max_pdu, implementation = %shown(&request.implementation), contexts = contexts.len(),
        "association accepted"
    );
    let timers = Timers { stall: artim, idle: Duration::from_secs(intake.settings.idle_secs) };
    let mut association = Association {
        messages: Messages::new(reader, contexts, timers),
        sender: Sender::new(writer, request.max_pdu),
        origin: Origin {
            calling_ae: request.calling,
            called_ae: request.called,
            peer_address: peer.ip().to_canonical().to_string(),
            association: number,
        },
        tally: Tally::default(),
    };
    association.run_to_end(intake, shutdown, place).await;
}

async fn read_request<R>(reader: &mut PduReader<R>, artim: Duration) -> Result<negotiate::Request, Fault>
where
    R: AsyncRead + Unpin,
{
    match timeout(artim, reader.next(artim, artim)).await {
        Err(_) | Ok(Err(Fault::Idle(_) | Fault::Stalled(_))) => Err(Fault::Silent(artim)),
        Ok(Err(fault)) => Err(fault),
        Ok(Ok(None)) => Err(Fault::Closed),
        Ok(Ok(Some(wire::ASSOCIATE_RQ))) => negotiate::read_request(reader.body()),
        Ok(Ok(Some(wire::ABORT))) => Err(Fault::Aborted(crate::association::abort_reason(reader.body()))),
        Ok(Ok(Some(kind))) => {
            Err(Fault::protocol(Reason::UnexpectedPdu, format!("PDU type {kind:#04x} before any association")))
        }
    }
}

/// Returns a place for this association, or why it is refused. A peer that may not associate gets that reason even
/// when the limit is reached.
fn admit(
    request: &negotiate::Request,
    number: u64,
    peer: SocketAddr,
    settings: &settings::Dicom,
    places: &Places,
) -> Result<Place, Refusal> {
    if request.version & 1 == 0 {
        return Err(Refusal::Version);
    }
    if !negotiate::is_dicom(&request.application_context) {
        return Err(Refusal::ApplicationContext { context: request.application_context.clone() });
    }
    policy::judge(settings, &request.called, &request.calling, peer.ip())?;
    let limit = settings.max_associations;
    places.take(number, peer.ip()).ok_or(Refusal::Limit { limit })
}

/// Sends the last PDU and gives the peer time to read it and close.
async fn say_goodbye<R, W>(reader: &mut PduReader<R>, writer: &mut PduWriter<W>, last: Option<Pdu>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    if let Some(last) = last
        && writer.send_pdu(&last).await.is_ok()
    {
        writer.close().await;
        reader.drain(LINGER).await;
    }
}

/// Counts for the last log line of an association.
#[derive(Debug, Default)]
struct Tally {
    stored: u64,
    resent: u64,
    refused: u64,
}

/// An established association.
struct Association<R, W> {
    messages: Messages<R>,
    sender: Sender<W>,
    origin: Origin,
    tally: Tally,
}

impl<R: AsyncRead + Unpin + Send, W: AsyncWrite + Unpin + Send> Association<R, W> {
    /// Returns `place` as soon as the association is over, even if the peer keeps the connection open.
    async fn run_to_end(&mut self, intake: &Intake, shutdown: CancellationToken, mut place: Place) {
        let ended = self.run(intake, shutdown, &mut place).await;
        let association = self.origin.association;
        let Tally { stored, resent, refused } = self.tally;
        let last = match &ended {
            Ok(()) => {
                info!(association, stored, resent, refused, "association released");
                Some(Pdu::ReleaseRP)
            }
            Err(fault) => {
                warn!(association, stored, resent, refused, "association ended: {fault}");
                fault.abort()
            }
        };
        // Reported before we wait for the peer to close. The receiver is gone only when the daemon is stopping.
        let _ = intake.arrivals.send(Arrival::Released { association, clean: ended.is_ok() }).await;
        drop(place);
        if let Some(last) = last
            && self.sender.pdus.send_pdu(&last).await.is_ok()
        {
            self.sender.pdus.close().await;
            self.messages.drain(LINGER).await;
        }
    }

    /// Ends with `Ok` when the peer asked for release.
    async fn run(&mut self, intake: &Intake, shutdown: CancellationToken, place: &mut Place) -> Result<(), Fault> {
        let mut arriving: Option<Reception> = None;
        let mut told = Instant::now();
        loop {
            let in_message = self.messages.in_message();
            place.set_in_message(in_message);
            let inbound = tokio::select! {
                biased;
                () = shutdown.cancelled(), if !in_message => {
                    return Err(Fault::Stopping);
                }
                () = place.must_leave() => {
                    return Err(Fault::MadeRoom);
                }
                inbound = self.messages.next() => inbound?,
            };
            match inbound {
                Inbound::Command(request, context) => {
                    arriving = self.begin(intake, request, context).await?;
                    place.heard();
                }
                Inbound::Data { bytes, last } => {
                    if told.elapsed() >= TELL_IN_FLIGHT {
                        told = Instant::now();
                        let association = self.origin.association;
                        let _ = intake.arrivals.send(Arrival::InFlight { association }).await;
                    }
                    if let Some(reception) = &mut arriving {
                        reception.write(bytes).await;
                    }
                    if last && let Some(reception) = arriving.take() {
                        self.finish(intake, reception).await?;
                    }
                }
                Inbound::ReleaseRequest => return Ok(()),
                Inbound::ReleaseResponse => {
                    return Err(Fault::protocol(Reason::UnexpectedPdu, "an A-RELEASE-RP without a request"));
                }
            }
        }
    }

    /// Starts to handle `request`. A request with a data set is answered after that; a request without one is answered
    /// here.
    async fn begin(&mut self, intake: &Intake, request: Command, context: Context) -> Result<Option<Reception>, Fault> {
        let has_data_set = request.has_data_set;
        let reception = match request.field {
            message::C_STORE => Reception::begin(intake, &self.origin, request, context),
            message::C_ECHO => Reception::answered(echo::answer(&request), request, context),
            // There is nothing to cancel, because no operation has pending responses; and C-CANCEL has no response.
            message::C_CANCEL => return Ok(None),
            _ if request.is_response() => {
                debug!(association = self.origin.association, field = request.field, "response without a request");
                return Ok(None);
            }
            field => {
                let reason = format!("DIMSE operation {field:#06x} is not supported");
                let answer = Answer::new(status::of(status::Refusal::UnknownOperation), &reason);
                Reception::answered(answer, request, context)
            }
        };
        if has_data_set {
            return Ok(Some(reception));
        }
        self.finish(intake, reception).await?;
        Ok(None)
    }

    async fn finish(&mut self, intake: &Intake, reception: Reception) -> Result<(), Fault> {
        let Received { request, context, answer, kept } = reception.finish().await;
        if !answer.is_success() {
            self.tally.refused += 1;
            warn!(
                association = self.origin.association,
                calling = %shown(&self.origin.calling_ae),
                sop_class = %shown(&request.sop_class_uid),
                sop_instance = %shown(&request.sop_instance_uid),
                "answered {:#06x}: {}",
                answer.status,
                shown_up_to(&answer.reason, MOST_REASON)
            );
        } else if let Some(instance) = kept {
            self.tally.stored += 1;
            // The instance stays in custody even if the engine has ended.
            let _ = intake.arrivals.send(Arrival::Kept(instance)).await;
        } else if request.field == message::C_STORE {
            self.tally.resent += 1;
        }
        self.sender.command(context.id, &request.response(&answer)).await
    }
}
