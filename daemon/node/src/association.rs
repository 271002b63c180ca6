//! An established association, for both roles: turns PDUs into typed messages. Fragments of a data set are returned as
//! slices of the read buffer; a command set is collected completely first. Any violation of PS3.8 annex E is a
//! [`Fault`].

use std::ops::Range;
use std::time::Duration;

use dicom_ul::pdu::AbortRQServiceProviderReason as Reason;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::message::Command;
pub use crate::negotiate::Context;
pub use crate::wire::Fault;
use crate::wire::{self, PduReader, PduWriter, Pdv};

/// The least that a message must bring, bytes per second that we wait for the peer, headers included. The slowest links
/// of clinics bring ten times as much.
const LEAST_RATE: u64 = 1024;

/// Bytes. A command set has a few hundred; the limit bounds the memory that a peer can make us use.
const MAX_COMMAND: usize = 64 * 1024;

/// Time limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timers {
    /// During negotiation, within a PDU, and between the PDUs of one message.
    pub(super) stall: Duration,
    /// Between messages.
    pub(super) idle: Duration,
}

/// What the peer sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inbound<'a> {
    /// The command, and the presentation context it came in.
    Command(Command, Context),
    /// A fragment of the data set that the last command announced.
    Data {
        bytes: &'a [u8],
        last: bool,
    },
    ReleaseRequest,
    ReleaseResponse,
}

#[derive(Debug)]
enum Expect {
    /// A command set. `Some`: its first fragments have arrived, in this presentation context.
    Command(Option<u8>),
    Data(u8),
}

/// How fast a message comes, counted since it began or since it was judged last.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    received: u64,
}

impl Pace {
    /// Judges once in `stall`: a peer that stays within the limits of each PDU with a few bytes now and then would hold
    /// its place for ever. Only the time that we wait for the peer counts, and of one wait at most half of `stall`, so
    /// that a pause of our own (a stopped process, a slow disk) is not the peer's fault.
    fn add(&mut self, waited: Duration, bytes: usize, stall: Duration) -> Result<(), Fault> {
        self.waited += waited.min(stall / 2);
        self.received += bytes as u64;
        if self.waited < stall {
            return Ok(());
        }
        let Self { waited, received } = std::mem::take(self);
        if received < waited.as_secs() * LEAST_RATE { Err(Fault::Dripped { received, waited }) } else { Ok(()) }
    }
}

/// The receiving side of an association.
#[derive(Debug)]
pub(super) struct Messages<R> {
    pdus: PduReader<R>,
    timers: Timers,
    contexts: Vec<Context>,
    /// The part of the current PDU's body that has not been parsed yet.
    rest: Range<usize>,
    command: Vec<u8>,
    expect: Expect,
    pace: Pace,
}

impl<R: AsyncRead + Unpin> Messages<R> {
    pub(super) fn new(mut pdus: PduReader<R>, contexts: Vec<Context>, timers: Timers) -> Self {
        pdus.established();
        Self {
            pdus,
            timers,
            contexts,
            rest: 0..0,
            command: Vec::new(),
            expect: Expect::Command(None),
            pace: Pace::default(),
        }
    }

    /// Whether a message has begun and is not complete yet.
    pub(super) fn in_message(&self) -> bool {
        !matches!(self.expect, Expect::Command(None))
    }

    /// Returns the next command or data fragment. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Inbound<'_>, Fault> {
        loop {
            if self.rest.is_empty() {
                if let Some(over) = self.next_pdu().await? {
                    return Ok(over);
                }
                continue;
            }
            let (data, last) = match self.next_fragment()? {
                Fragment::Data { range, last } => (range, last),
                Fragment::Command(command, context) => return Ok(Inbound::Command(command, context)),
                Fragment::Incomplete => continue,
            };
            return Ok(Inbound::Data { bytes: self.pdus.body().get(data).unwrap_or(&[]), last });
        }
    }

    /// Reads and discards what still arrives until the peer closes or `limit` has passed.
    pub(super) async fn drain(&mut self, limit: Duration) {
        self.pdus.drain(limit).await;
    }

    async fn next_pdu(&mut self) -> Result<Option<Inbound<'static>>, Fault> {
        let quiet = if self.in_message() { self.timers.stall } else { self.timers.idle };
        let asked = Instant::now();
        let kind = self.pdus.next(quiet, self.timers.stall).await.map_err(|fault| match fault {
            Fault::Idle(quiet) if self.in_message() => Fault::Stalled(quiet),
            other => other,
        })?;
        if self.in_message() {
            self.pace.add(asked.elapsed(), wire::PDU_HEADER + self.pdus.body().len(), self.timers.stall)?;
        } else {
            self.pace = Pace::default();
        }
        match kind {
            None => Err(Fault::Closed),
            Some(wire::DATA) => {
                self.rest = 0..self.pdus.body().len();
                Ok(None)
            }
            Some(wire::RELEASE_RQ | wire::RELEASE_RP) if self.in_message() => {
                Err(Fault::protocol(Reason::UnexpectedPdu, "an A-RELEASE-RQ in the middle of a message"))
            }
            Some(wire::RELEASE_RQ) => Ok(Some(Inbound::ReleaseRequest)),
            Some(wire::RELEASE_RP) => Ok(Some(Inbound::ReleaseResponse)),
            Some(wire::ABORT) => Err(Fault::Aborted(abort_reason(self.pdus.body()))),
            Some(kind) => {
                let what = format!("PDU type {kind:#04x} on an established association");
                Err(Fault::protocol(Reason::UnexpectedPdu, what))
            }
        }
    }

    fn next_fragment(&mut self) -> Result<Fragment, Fault> {
        let (pdv, used) = wire::read_pdv(self.pdus.body().get(self.rest.clone()).unwrap_or(&[]))?;
        let range = self.rest.start + wire::PDV_HEADER..self.rest.start + used;
        let broken = |what: &str| Err(Fault::protocol(Reason::UnexpectedPduParameter, what));
        let Some(context) = self.contexts.iter().find(|context| context.id == pdv.context) else {
            return broken(&format!("presentation context {} was not accepted", pdv.context));
        };
        let fragment = match self.expect {
            Expect::Data(id) if id != pdv.context => return broken("a message that changes its presentation context"),
            Expect::Data(_) if pdv.is_command => return broken("a command where a data set was expected"),
            Expect::Data(_) => {
                if pdv.is_last {
                    self.expect = Expect::Command(None);
                }
                Fragment::Data { range, last: pdv.is_last }
            }
            Expect::Command(_) if !pdv.is_command => return broken("a data set without a command that announced it"),
            Expect::Command(Some(id)) if id != pdv.context => {
                return broken("a message that changes its presentation context");
            }
            Expect::Command(_) if self.command.len() + pdv.bytes.len() > MAX_COMMAND => {
                return broken("a command set that is too long");
            }
            Expect::Command(_) => {
                self.command.extend_from_slice(pdv.bytes);
                if pdv.is_last {
                    let Some(command) = Command::parse(&self.command) else {
                        return broken("a malformed command set");
                    };
                    self.command.clear();
                    self.expect = if command.has_data_set { Expect::Data(pdv.context) } else { Expect::Command(None) };
                    Fragment::Command(command, context.clone())
                } else {
                    self.expect = Expect::Command(Some(pdv.context));
                    Fragment::Incomplete
                }
            }
        };
        self.rest.start += used;
        Ok(fragment)
    }
}

enum Fragment {
    Incomplete,
    Command(Command, Context),
    Data { range: Range<usize>, last: bool },
}

/// The sending side of an association.
#[derive(Debug)]
pub(super) struct Sender<W> {
    pub(super) pdus: PduWriter<W>,
    /// Data bytes per PDU.
    per_pdu: usize,
    out: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> Sender<W> {
    /// `peer_max`: the largest PDU that the peer accepts, bytes; 0 means no limit.
    pub(super) fn new(pdus: PduWriter<W>, peer_max: u32) -> Self {
        Self { pdus, per_pdu: wire::data_per_pdu(peer_max), out: Vec::new() }
    }

    pub(super) fn data_per_pdu(&self) -> usize {
        self.per_pdu
    }

    /// Sends a whole command set in one write.
    pub(super) async fn command(&mut self, context: u8, bytes: &[u8]) -> Result<(), Fault> {
        self.out.clear();
        let mut parts = bytes.chunks(self.per_pdu).peekable();
        while let Some(bytes) = parts.next() {
            let is_last = parts.peek().is_none();
            wire::put_data(&mut self.out, Pdv { context, is_command: true, is_last, bytes });
        }
        self.pdus.send(&self.out).await
    }

    /// Sends the next fragment of a data set, at most [`Self::data_per_pdu`] bytes.
    pub(super) async fn data(&mut self, context: u8, bytes: &[u8], is_last: bool) -> Result<(), Fault> {
        self.out.clear();
        wire::put_data(&mut self.out, Pdv { context, is_command: false, is_last, bytes });
        self.pdus.send(&self.out).await
    }
}

impl<W: AsyncWrite + Unpin> Sender<W> {
    /// Sends a whole data set, which is not empty.
    pub(super) async fn data_set(&mut self, context: u8, bytes: &[u8]) -> Result<(), Fault> {
        let mut parts = bytes.chunks(self.per_pdu).peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            self.data(context, part, is_last).await?;
        }
        Ok(())
    }
}

/// The reason of an A-ABORT in words (PS3.8 section 9.3.8).
pub(super) fn abort_reason(body: &[u8]) -> String {
    match body {
        [_, _, 0, _, ..] => "by its user".into(),
        [_, _, 2, 1, ..] => "unrecognised PDU".into(),
        [_, _, 2, 2, ..] => "unexpected PDU".into(),
        [_, _, 2, 4, ..] => "unrecognised PDU parameter".into(),
        [_, _, 2, 5, ..] => "unexpected PDU parameter".into(),
        [_, _, 2, 6, ..] => "invalid PDU parameter".into(),
        _ => "no reason given".into(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;
    use crate::message;

    const TIMERS: Timers = Timers { stall: Duration::from_secs(30), idle: Duration::from_secs(3600) };

    fn contexts() -> Vec<Context> {
        let context = |id| Context { id, abstract_syntax: "1.2".into(), transfer_syntax: "1.2.840.10008.1.2".into() };
        vec![context(1), context(3)]
    }

    fn pdu(out: &mut Vec<u8>, context: u8, is_command: bool, is_last: bool, bytes: &[u8]) {
        wire::put_data(out, Pdv { context, is_command, is_last, bytes });
    }

    /// The fault that reading `bytes` ends with.
    async fn fault_of(bytes: Vec<u8>) -> Fault {
        let (mut peer, ours) = tokio::io::duplex(1 << 20);
        peer.write_all(&bytes).await.unwrap();
        let mut messages = Messages::new(PduReader::new(ours), contexts(), TIMERS);
        loop {
            if let Err(fault) = messages.next().await {
                return fault;
            }
        }
    }

    #[test]
    fn a_message_must_bring_a_kibibyte_a_second_of_waiting_and_one_long_wait_is_forgiven() {
        let (stall, second) = (Duration::from_secs(30), Duration::from_secs(1));
        let judged = |waits: &[(Duration, usize)]| {
            let mut pace = Pace::default();
            waits.iter().try_for_each(|(waited, bytes)| pace.add(*waited, *bytes, stall))
        };
        assert!(matches!(judged(&[(14 * second, 13); 3]), Err(Fault::Dripped { received: 39, .. })));
        assert!(judged(&[(14 * second, 20_000); 100]).is_ok(), "slow, not dripping");
        assert!(judged(&[(3600 * second, 13), (second, 1_000_000)]).is_ok(), "this process was stopped");
        assert!(judged(&[(Duration::ZERO, 13); 131_000]).is_ok(), "small pieces as fast as we read");
    }

    #[tokio::test]
    async fn a_command_may_be_split_over_any_pdvs() {
        let command = message::store_request(1, "1.2.840.10008.5.1.4.1.1.2", "1.2.3");
        let mut bytes = Vec::new();
        for (index, piece) in command.chunks(7).enumerate() {
            pdu(&mut bytes, 3, true, index == command.len().div_ceil(7) - 1, piece);
        }
        pdu(&mut bytes, 3, false, false, b"ab");
        pdu(&mut bytes, 3, false, true, b"");
        let (mut peer, ours) = tokio::io::duplex(1 << 20);
        peer.write_all(&bytes).await.unwrap();
        let mut messages = Messages::new(PduReader::new(ours), contexts(), TIMERS);
        let Inbound::Command(command, context) = messages.next().await.unwrap() else { panic!() };
        assert_eq!((command.sop_instance_uid.as_str(), context.id), ("1.2.3", 3));
        assert_eq!(messages.next().await.unwrap(), Inbound::Data { bytes: b"ab", last: false });
        assert!(messages.in_message());
        assert_eq!(messages.next().await.unwrap(), Inbound::Data { bytes: b"", last: true });
        assert!(!messages.in_message());
    }

    #[tokio::test]
    async fn messages_that_interleave_are_a_protocol_fault() {
        let command = message::store_request(1, "1.2.840.10008.5.1.4.1.1.2", "1.2.3");
        let start = |context| {
            let mut bytes = Vec::new();
            pdu(&mut bytes, context, true, true, &command);
            bytes
        };
        let mut other_context = start(1);
        pdu(&mut other_context, 3, false, true, b"ab");
        let mut command_too_early = start(1);
        pdu(&mut command_too_early, 1, true, true, &command);
        let mut unannounced = Vec::new();
        pdu(&mut unannounced, 1, false, true, b"ab");
        let mut release_inside = start(1);
        release_inside.extend([wire::RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
        let mut endless = Vec::new();
        for _ in 0..9 {
            pdu(&mut endless, 1, true, false, &[0; 8192]);
        }
        for bytes in [other_context, command_too_early, unannounced, start(5), release_inside, endless] {
            let fault = fault_of(bytes).await;
            assert!(matches!(fault, Fault::Protocol { .. }), "{fault}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_between_the_pdus_of_a_message_is_a_stall() {
        let mut bytes = Vec::new();
        pdu(&mut bytes, 1, true, true, &message::store_request(1, "1.2", "1.2.3"));
        let (mut peer, ours) = tokio::io::duplex(4096);
        peer.write_all(&bytes).await.unwrap();
        let mut messages = Messages::new(PduReader::new(ours), contexts(), TIMERS);
        assert!(matches!(messages.next().await, Ok(Inbound::Command(..))));
        assert!(matches!(messages.next().await, Err(Fault::Stalled(limit)) if limit == TIMERS.stall));
    }
}
