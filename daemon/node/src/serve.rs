//! The acceptor's side of one association: negotiates it, checks the peer, and answers its messages until it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use custody::instance::Origin;
use custody::store::commitments::Peer;
use dicom::text::{shown, shown_up_to};
use dicom_ul::pdu::{AbortRQServiceProviderReason as Reason, AssociationRJ, Pdu};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::association::{Inbound, Messages, Sender, Timers};
use crate::elements::Syntax;
use crate::identity;
use crate::message::{self, Command};
use crate::negotiate::{self, Context, Offer};
use crate::normalized::Request;
use crate::places::{Place, Places};
use crate::policy::{self, Refusal};
use crate::receive::{Received, Reception};
use crate::services::{Line, Order};
use crate::status::{self, Answer};
use crate::tls::Facts;
use crate::wire::{self, Fault, PduReader, PduWriter};
use crate::{Arrival, COMMITMENT, Intake, commitment, echo, reporter};

/// For all answers to one question together.
const MOST_FOR_ANSWERS: Duration = Duration::from_secs(120);
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
    /// `None` without TLS.
    pub(super) tls: Option<Facts>,
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
    let Connection { number, peer, tls, places, evicted, shutdown } = connection;
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
            intake.callers.failed(peer.ip(), &fault);
            return say_goodbye(&mut reader, &mut writer, fault.abort()).await;
        }
    };
    let admitted = match admit(&request, number, peer, tls.as_ref(), intake, &places) {
        Ok((place, offer)) => {
            identify(&request, number, peer, tls.as_ref(), intake).await.map(|believed| (place, offer, believed))
        }
        Err(refusal) => Err(refusal),
    };
    let (place, offer, believed) = match admitted {
        Ok(admitted) => admitted,
        Err(refusal) => {
            warn!(association = number, %peer, calling = %shown(&request.calling), "association refused: {refusal}");
            intake.callers.refused(&request.calling, &request.called, peer.ip(), &refusal);
            let reject: AssociationRJ = refusal.reject();
            return say_goodbye(&mut reader, &mut writer, Some(Pdu::AssociationRJ(reject))).await;
        }
    };
    let (results, contexts) = negotiate::judge_contexts(&request.contexts, offer);
    let only_awaited = offer.storage
        && policy::judge(&intake.settings, &request.called, &request.calling, peer.ip(), tls.as_ref()).is_err();
    let proposed = request.contexts.iter().map(|context| context.abstract_syntax.as_str());
    let in_vain = proposed.filter(|class| !contexts.iter().any(|context| context.abstract_syntax == *class));
    intake.callers.accepted((&request.calling, &request.called), peer.ip(), contexts.len(), in_vain);
    let accept = negotiate::acceptance(&request, results, &contexts, intake.settings.max_pdu, believed);
    if let Err(fault) = writer.send_pdu(&Pdu::AssociationAC(accept)).await {
        return info!(association = number, %peer, "no association: {fault}");
    }
    info!(
        association = number, %peer, calling = %shown(&request.calling), called = %shown(&request.called),
        max_pdu = request.max_pdu, implementation = %shown(&request.implementation), contexts = contexts.len(),
        tls = tls.as_ref().map(|tls| tls.version.as_str()),
        "association accepted"
    );
    let timers = Timers { stall: artim, idle: Duration::from_secs(intake.settings.idle_secs) };
    let context = contexts.iter().find(|context| context.abstract_syntax == COMMITMENT).cloned();
    let address = peer.ip().to_canonical().to_string();
    let caller = (request.calling.trim().to_owned(), address.clone());
    let mut association = Association {
        line: context.map(|context| Reports::open(intake, number, caller, context)),
        messages: Messages::new(reader, contexts, timers),
        sender: Sender::new(writer, request.max_pdu),
        origin: Origin {
            calling_ae: request.calling,
            called_ae: request.called,
            peer_address: address,
            association: number,
            certificate: tls.and_then(|tls| tls.fingerprint).map(|fingerprint| fingerprint.to_string()),
            asked_for: false,
        },
        tally: Tally::default(),
        only_awaited,
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
    tls: Option<&Facts>,
    intake: &Intake,
    places: &Places,
) -> Result<(Place, Offer), Refusal> {
    if request.version & 1 == 0 {
        return Err(Refusal::Version);
    }
    if !negotiate::is_dicom(&request.application_context) {
        return Err(Refusal::ApplicationContext { context: request.application_context.clone() });
    }
    let offer = offer(intake, request, peer, tls)?;
    let limit = intake.settings.max_associations;
    let place = places.take(number, peer.ip()).ok_or(Refusal::Limit { limit })?;
    Ok((place, offer))
}

/// Whether the peer is the user that it must be; for an archive that is no sender, and may do little, the question does not arise.
/// Returns whether it is told so.
async fn identify(
    request: &negotiate::Request,
    number: u64,
    peer: SocketAddr,
    tls: Option<&Facts>,
    intake: &Intake,
) -> Result<bool, Refusal> {
    let (settings, said) = (&intake.settings, request.identity.as_ref());
    let is_sender = policy::judge(settings, &request.called, &request.calling, peer.ip(), tls).is_ok();
    let demand = if is_sender {
        let entries = policy::entries(settings, &request.calling, peer.ip(), tls);
        let entries: Vec<_> = entries.into_iter().map(crate::settings::Sender::identity).collect();
        identity::demand(settings.user_identity, &settings.user, &entries)
    } else {
        identity::Demand::Nothing
    };
    if let (identity::Demand::Nothing, Some(said)) = (&demand, said) {
        let form = identity::passed_over(said);
        info!(association = number, %peer, calling = %shown(&request.calling), "its user identity is passed over ({form})");
    }
    Ok(intake.identities.judge(&demand, said, &request.calling).await?)
}

/// What the peer may do: a sender everything, an archive that is no sender only report storage commitment.
fn offer(
    intake: &Intake,
    request: &negotiate::Request,
    peer: SocketAddr,
    tls: Option<&Facts>,
) -> Result<Offer, Refusal> {
    let (settings, services) = (&intake.settings, &intake.services);
    match policy::judge(settings, &request.called, &request.calling, peer.ip(), tls) {
        Ok(()) => Ok(Offer {
            storage: true,
            commitment: settings.commitment.accept || !services.archives.is_empty(),
            mpps: settings.mpps.accept,
            worklist: services.expected.is_some(),
        }),
        // What this box has asked for by C-MOVE.
        Err(Refusal::CalledAe { .. } | Refusal::CallingAe { .. } | Refusal::Address { .. })
            if services.awaited.of(&request.called, &request.calling).is_some() =>
        {
            policy::judge_archive(settings, &request.calling, tls)?;
            let commitment = services.is_archive(&request.called, &request.calling);
            Ok(Offer { storage: true, commitment, mpps: false, worklist: false })
        }
        Err(Refusal::CalledAe { .. } | Refusal::CallingAe { .. } | Refusal::Address { .. })
            if services.is_archive(&request.called, &request.calling) =>
        {
            policy::judge_archive(settings, &request.calling, tls)?;
            Ok(Offer { storage: false, commitment: true, mpps: false, worklist: false })
        }
        Err(refusal) => Err(refusal),
    }
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

/// A request that is being received.
#[derive(Debug)]
enum Arriving {
    Object(Reception),
    Request(Request),
}

/// The reports that we send over this association, because the peer has no port of its own or wants it so.
#[derive(Debug)]
struct Reports {
    line: Line,
    context: Context,
    next_message_id: u16,
    /// Message ID of the report whose answer is awaited, and who waits for it.
    awaited: Option<(u16, oneshot::Sender<u16>)>,
    /// When the peer last said something.
    heard: Instant,
    /// A report that waits until the peer is silent, and since when.
    waiting: Option<(Order, Instant)>,
}

/// So long the peer must have been silent before a report goes over its association. A peer that waits for the answer to its own
/// request may take whatever comes for it; pynetdicom does.
const SILENCE: Duration = Duration::from_millis(300);
/// A peer that is never silent gets it after this time, between two messages.
const MOST_SILENCE: Duration = Duration::from_secs(3);

impl Reports {
    /// What waits for this peer is due at once: it has called.
    fn open(intake: &Intake, association: u64, caller: Peer, context: Context) -> Self {
        let line = intake.services.lines.open(association, caller.clone());
        reporter::peer_called(&intake.services, caller);
        Self { line, context, next_message_id: 1, awaited: None, heard: Instant::now(), waiting: None }
    }

    /// Cancel safe.
    async fn next(reports: &mut Option<Self>) -> Order {
        match reports {
            Some(Self { line, awaited, heard, waiting, .. })
                if awaited.as_ref().is_none_or(|(_, answer)| answer.is_closed()) =>
            {
                loop {
                    let (order, since) = match waiting.take() {
                        Some(waiting) => waiting,
                        None => (line.next().await, Instant::now()),
                    };
                    // Whoever gave up waiting sends it again.
                    if order.answer.is_closed() {
                        continue;
                    }
                    let due = (*heard + SILENCE).min(since + MOST_SILENCE);
                    if due <= Instant::now() {
                        return order;
                    }
                    // It stays here when this is cancelled.
                    *waiting = Some((order, since));
                    tokio::time::sleep_until(due).await;
                }
            }
            _ => std::future::pending().await,
        }
    }

    fn answered(&mut self, response: &Command) {
        if self.awaited.as_ref().is_some_and(|(id, _)| *id == response.message_id)
            && let Some((_, answer)) = self.awaited.take()
        {
            // Nobody may be waiting any more.
            let _ = answer.send(response.status);
        }
    }
}

/// An established association.
struct Association<R, W> {
    line: Option<Reports>,
    messages: Messages<R>,
    sender: Sender<W>,
    origin: Origin,
    tally: Tally,
    /// It may send only what was asked for by C-MOVE.
    only_awaited: bool,
}

impl<R: AsyncRead + Unpin + Send, W: AsyncWrite + Unpin + Send> Association<R, W> {
    /// Returns `place` as soon as the association is over, even if the peer keeps the connection open.
    async fn run_to_end(&mut self, intake: &Intake, shutdown: CancellationToken, mut place: Place) {
        let ended = self.run(intake, shutdown, &mut place).await;
        // At once: a report that is sent into an association that is over would wait for its answer in vain.
        self.line = None;
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
        let mut arriving: Option<Arriving> = None;
        let limit = intake.settings.max_request_kib * 1024;
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
                order = Reports::next(&mut self.line), if !in_message => {
                    self.report(order).await?;
                    continue;
                }
            };
            if let Some(reports) = &mut self.line {
                reports.heard = Instant::now();
            }
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
                    match &mut arriving {
                        Some(Arriving::Object(reception)) => reception.write(bytes).await,
                        Some(Arriving::Request(request)) => request.write(bytes, limit),
                        None => {}
                    }
                    if last && let Some(arrived) = arriving.take() {
                        self.finish_any(intake, arrived).await?;
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
    async fn begin(&mut self, intake: &Intake, request: Command, context: Context) -> Result<Option<Arriving>, Fault> {
        let has_data_set = request.has_data_set;
        let arriving = match request.field {
            message::C_STORE => Arriving::Object(self.reception(intake, request, context)),
            message::C_ECHO => Arriving::Object(Reception::answered(echo::answer(&request), request, context)),
            // There is nothing to cancel: all responses to a C-FIND are sent before the next message is read. C-CANCEL has none.
            message::C_CANCEL => return Ok(None),
            message::C_FIND | message::N_EVENT_REPORT | message::N_ACTION | message::N_CREATE | message::N_SET => {
                Arriving::Request(Request::begin(request, context))
            }
            _ if request.is_response() => {
                match &mut self.line {
                    Some(reports) => reports.answered(&request),
                    None => debug!(
                        association = self.origin.association,
                        field = request.field,
                        "response without a request"
                    ),
                }
                return Ok(None);
            }
            field => {
                let reason = format!("DIMSE operation {field:#06x} is not supported");
                let answer = Answer::new(status::of(status::Refusal::UnknownOperation), &reason);
                Arriving::Object(Reception::answered(answer, request, context))
            }
        };
        if has_data_set {
            return Ok(Some(arriving));
        }
        self.finish_any(intake, arriving).await?;
        Ok(None)
    }

    /// From an archive that was asked for something by C-MOVE only that is kept. One that may send anyway says by Move Originator that
    /// this object is for that; when it names nobody, its series tells.
    fn reception(&self, intake: &Intake, request: Command, context: Context) -> Reception {
        let (called, calling) = (&self.origin.called_ae, &self.origin.calling_ae);
        let is_sent_for = !request.move_originator.is_empty() && request.move_originator == called.trim();
        match intake.services.awaited.of(called, calling) {
            Some(wanted) if is_sent_for || self.only_awaited => {
                Reception::begin_wanted(intake, &self.origin, request, context, wanted)
            }
            Some(wanted) if request.move_originator.is_empty() => {
                Reception::begin(intake, &self.origin, request, context).perhaps_wanted(wanted)
            }
            // Nobody else than this box has the title by which the C-MOVE was asked for: it comes too late.
            _ if self.only_awaited || is_sent_for => {
                let reason = "nothing is asked for any more";
                let answer = Answer::new(status::of(status::Refusal::NotAuthorised), reason);
                Reception::answered(answer, request, context)
            }
            _ => Reception::begin(intake, &self.origin, request, context),
        }
    }

    async fn finish_any(&mut self, intake: &Intake, arrived: Arriving) -> Result<(), Fault> {
        match arrived {
            Arriving::Object(reception) => self.finish(intake, reception).await,
            Arriving::Request(request) => self.finish_request(intake, request).await,
        }
    }

    async fn finish_request(&mut self, intake: &Intake, request: Request) -> Result<(), Fault> {
        let (mut command, context, done) = request.finish(intake, &self.origin).await;
        if !done.answer.is_success() {
            self.tally.refused += 1;
            warn!(
                association = self.origin.association,
                calling = %shown(&self.origin.calling_ae),
                operation = format!("{:#06x}", command.field),
                "answered {:#06x}: {}",
                done.answer.status,
                shown_up_to(&done.answer.reason, MOST_REASON)
            );
        }
        if let Some(created) = done.created {
            command.sop_instance_uid = created;
        }
        if let Some(arrival) = done.arrival {
            // The rows stay even if the engine has ended.
            let _ = intake.arrivals.send(arrival).await;
        }
        // Each PDU may take its time; a peer that lets each of them take it would hold its place for hours.
        let until = Instant::now() + MOST_FOR_ANSWERS;
        for data_set in &done.found.data_sets {
            if Instant::now() > until {
                return Err(Fault::Deaf(MOST_FOR_ANSWERS));
            }
            self.sender.command(context.id, &command.pending(done.found.pending)).await?;
            self.sender.data_set(context.id, data_set).await?;
        }
        self.sender.command(context.id, &command.response(&done.answer)).await
    }

    /// Sends a report over this association; its answer comes as any message.
    async fn report(&mut self, order: Order) -> Result<(), Fault> {
        let Some(reports) = &mut self.line else { return Ok(()) };
        let Order { event_type, implicit, explicit, answer } = order;
        let data_set = match Syntax::of(&reports.context.transfer_syntax) {
            Some(Syntax::Explicit) => explicit,
            _ => implicit,
        };
        let id = reports.next_message_id;
        reports.next_message_id = id.wrapping_add(1).max(1);
        reports.awaited = Some((id, answer));
        let command = message::event_report_request(id, COMMITMENT, commitment::INSTANCE, event_type);
        self.sender.command(reports.context.id, &command).await?;
        self.sender.data_set(reports.context.id, &data_set).await
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
