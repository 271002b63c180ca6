//! The one way to open an association: connect, by TLS if the target wants it, propose presentation contexts and roles, read the answer.

use std::time::Duration;

use dicom_ul::pdu::{AbortRQServiceProviderReason as Reason, Pdu, PresentationContextProposed};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::association::{Context, Fault, Messages, Sender, Timers};
use crate::negotiate::{self, Role};
use crate::peer::{Error, Rejection, Target};
use crate::tls::link::Link;
use crate::tls::{self, Client};
use crate::wire::{self, PduReader, PduWriter};

const CONNECT: Duration = Duration::from_secs(10);
/// Time limit of the TLS handshake, and what a peer has not done that lets it pass.
const SECURED: Duration = Duration::from_secs(30);
const HANDSHAKE: &str = "complete the TLS handshake (perhaps this port is without TLS)";
/// The largest PDU that we accept, bytes; responses are small.
const OUR_MAX_PDU: u32 = 64 * 1024;
/// Context ids are odd and fit a byte (PS3.8 section 9.3.2.2).
const MAX_CONTEXTS: usize = 128;

/// A presentation context to propose: one transfer syntax each, so that the answer says which one the peer takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposed {
    pub(super) class: String,
    pub(super) syntax: String,
    /// The role that we propose for ourselves; `None`: the default, we are the SCU.
    pub(super) role: Option<Role>,
}

impl Proposed {
    pub(super) fn new(class: &str, syntax: &str) -> Self {
        Self { class: class.to_owned(), syntax: syntax.to_owned(), role: None }
    }
}

/// An association that the peer has accepted.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) messages: Messages<ReadHalf<Link>>,
    pub(super) sender: Sender<WriteHalf<Link>>,
    pub(super) accepted: Vec<Context>,
    /// SOP class, transfer syntax, and the peer's reason.
    pub(super) rejected: Vec<(String, String, Rejection)>,
    /// SOP classes and the roles in which the peer lets us be; a class that is not here has the default roles.
    pub(super) roles: Vec<(String, Role)>,
}

/// Connects to `target` and negotiates. At most 128 contexts are proposed, the first ones.
///
/// # Errors
/// Of kind `Connection`.
pub(super) async fn open(target: &Target, proposed: Vec<Proposed>, timers: Timers) -> Result<Opened, Error> {
    let link = secured(connect(&target.address).await?, target).await?;
    negotiate_on(link, target, proposed, timers).await
}

/// Time limit of all that is done with a peer, from its beginning; for what a person waits for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit<'a> {
    address: &'a str,
    end: Instant,
    whole: Duration,
}

impl<'a> Limit<'a> {
    /// It begins now.
    pub(super) fn of(target: &'a Target, whole: Duration) -> Self {
        Self { address: &target.address, end: Instant::now() + whole, whole }
    }

    pub(super) fn end(&self) -> Instant {
        self.end
    }

    /// `what`: what the peer has not done when the limit is reached; then the error is `Silent`.
    pub(super) async fn hold<T, E: Into<Error>>(
        &self,
        what: &'static str,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        match timeout_at(self.end, step).await {
            Ok(done) => done.map_err(Into::into),
            Err(_) => Err(Error::Silent { address: self.address.to_owned(), what, seconds: self.whole.as_secs_f64() }),
        }
    }

    /// As [`open`], within the limit.
    pub(super) async fn open(&self, target: &Target, proposed: Vec<Proposed>, timers: Timers) -> Result<Opened, Error> {
        let stream = self.hold("accept the connection", connect(&target.address)).await?;
        let link = self.hold(HANDSHAKE, secured(stream, target)).await?;
        self.hold("answer the association request", negotiate_on(link, target, proposed, timers)).await
    }
}

/// As [`open`], on a connection that stands.
pub(super) async fn negotiate_on(
    link: Link,
    target: &Target,
    mut proposed: Vec<Proposed>,
    timers: Timers,
) -> Result<Opened, Error> {
    proposed.truncate(MAX_CONTEXTS);
    let contexts = (0..).zip(&proposed).map(|(index, proposed): (u8, _)| PresentationContextProposed {
        id: 2 * index + 1,
        abstract_syntax: proposed.class.clone(),
        transfer_syntaxes: vec![proposed.syntax.clone()],
    });
    let mut roles: Vec<(String, Role)> = Vec::new();
    for Proposed { class, role, .. } in &proposed {
        // One class has one item, whatever the number of its contexts.
        if let Some(role) = role.filter(|_| roles.iter().all(|(other, _)| other != class)) {
            roles.push((class.clone(), role));
        }
    }
    let (reader, writer) = tokio::io::split(link);
    let (mut reader, mut writer) = (PduReader::new(reader), PduWriter::new(writer, timers.stall));
    let request = negotiate::proposal(&target.called_ae, &target.calling_ae, contexts.collect(), roles, OUR_MAX_PDU);
    let answer = async {
        writer.send_pdu(&Pdu::AssociationRQ(request)).await?;
        read_accept(&mut reader, timers.stall).await
    };
    let accept = answer.await.map_err(|error| in_words(error, target))?;
    let (mut accepted, mut rejected) = (Vec::new(), Vec::new());
    for (index, Proposed { class, syntax, .. }) in (0..).zip(proposed) {
        let id: u8 = 2 * index + 1;
        match accept.contexts.iter().find(|(answered, ..)| *answered == id) {
            Some((_, 0, chosen)) if *chosen == syntax => {
                accepted.push(Context { id, abstract_syntax: class, transfer_syntax: syntax });
            }
            verdict => rejected.push((class, syntax, Rejection::of(verdict.map(|found| found.1)))),
        }
    }
    Ok(Opened {
        messages: Messages::new(reader, accepted.clone(), timers),
        sender: Sender::new(writer, accept.max_pdu),
        accepted,
        rejected,
        roles: accept.roles,
    })
}

pub(super) async fn connect(address: &str) -> Result<TcpStream, Error> {
    let failed = |reason: String| Error::Connect { address: address.to_owned(), reason };
    let stream = timeout(CONNECT, TcpStream::connect(address))
        .await
        .map_err(|_| failed(format!("no answer within {} s", CONNECT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
    Ok(stream)
}

/// With TLS where the target wants it.
pub(super) async fn secured(stream: TcpStream, target: &Target) -> Result<Link, Error> {
    secured_as(stream, &target.address, target.tls.as_ref()).await
}

/// With TLS where there is a `client`; `address` is `host:port`.
pub(super) async fn secured_as(stream: TcpStream, address: &str, client: Option<&Client>) -> Result<Link, Error> {
    let Some(client) = client else { return Ok(Link::Plain(stream)) };
    let address = address.to_owned();
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
    match timeout(SECURED, client.connect(stream, host)).await {
        Ok(Ok(stream)) => Ok(Link::Tls(Box::new(stream))),
        Ok(Err(fault)) => Err(Error::Tls { address, fault }),
        Err(_) => Err(Error::Silent { address, what: HANDSHAKE, seconds: SECURED.as_secs_f64() }),
    }
}

/// With TLS 1.3 the peer judges our certificate after the handshake: its alert comes in place of the answer.
fn in_words(error: Error, target: &Target) -> Error {
    match &error {
        Error::Association(Fault::Io(io)) => match tls::in_io(io) {
            Some(fault) => Error::Tls { address: target.address.clone(), fault },
            None => error,
        },
        _ => error,
    }
}

async fn read_accept(reader: &mut PduReader<ReadHalf<Link>>, stall: Duration) -> Result<negotiate::Accept, Error> {
    match reader.next(stall, stall).await? {
        None => Err(Fault::Closed.into()),
        Some(wire::ASSOCIATE_AC) => Ok(negotiate::read_accept(reader.body())?),
        Some(wire::ASSOCIATE_RJ) => Err(Error::Rejected(negotiate::reject_reason(reader.body()))),
        Some(wire::ABORT) => Err(Fault::Aborted(crate::association::abort_reason(reader.body())).into()),
        Some(kind) => {
            Err(Fault::protocol(Reason::UnexpectedPdu, format!("PDU type {kind:#04x} instead of an acceptance")).into())
        }
    }
}
