//! PDUs on a byte stream: framing, size limits and time limits (PS3.8 section 9.3). Bodies are returned as slices of
//! the read buffer, without copying.

use std::ops::Range;
use std::time::Duration;

use dicom_ul::pdu::{AbortRQServiceProviderReason as Reason, AbortRQSource, Pdu, write_pdu};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

pub(super) const ASSOCIATE_RQ: u8 = 1;
pub(super) const ASSOCIATE_AC: u8 = 2;
pub(super) const ASSOCIATE_RJ: u8 = 3;
pub(super) const DATA: u8 = 4;
pub(super) const RELEASE_RQ: u8 = 5;
pub(super) const RELEASE_RP: u8 = 6;
pub(super) const ABORT: u8 = 7;
/// What a TLS record begins with (RFC 8446 section 5.1): change cipher spec, alert, handshake, data.
const TLS_RECORDS: std::ops::RangeInclusive<u8> = 0x14..=0x17;

/// PDU type, reserved byte, length.
pub(super) const PDU_HEADER: usize = 6;
/// PDV length, presentation context, message control header.
pub(super) const PDV_HEADER: usize = 6;
/// Bytes; enough for 128 presentation contexts with 50 transfer syntaxes each.
pub(super) const MAX_NEGOTIATION_PDU: usize = 256 * 1024;
/// The largest data PDU that we accept, bytes, even when we offered less: some devices ignore the offer. Bounds the
/// memory.
pub(super) const MAX_DATA_PDU: usize = 1024 * 1024;
/// Bytes of two PDUs of the default size, so that one system call usually reads at least one whole PDU.
const READ_AHEAD: usize = 256 * 1024;

/// Why an association ended without a release.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("the peer closed the connection without releasing the association")]
    Closed,
    #[error("the peer aborted the association ({0})")]
    Aborted(String),
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    #[error("no association request came within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the peer sent nothing for {} s", .0.as_secs())]
    Idle(Duration),
    #[error("the peer stopped in the middle of a message for {} s", .0.as_secs())]
    Stalled(Duration),
    #[error("the peer sent only {received} bytes of a message in {} s", .waited.as_secs())]
    Dripped { received: u64, waited: Duration },
    #[error("it made room for another peer, because all places were taken")]
    MadeRoom,
    #[error("the peer did not read our data for {} s", .0.as_secs())]
    Deaf(Duration),
    #[error("this device is stopping")]
    Stopping,
    /// The first byte of a TLS record, where a PDU should begin.
    #[error(
        "the peer violated the DICOM protocol: unknown PDU type {0:#04x}: it speaks TLS on a connection without TLS; switch it on \
         or off at one side, or use the other port"
    )]
    SpeaksTls(u8),
    #[error("the peer violated the DICOM protocol: {what}")]
    Protocol { what: String, reason: Reason },
}

impl Fault {
    pub(super) fn protocol(reason: Reason, what: impl Into<String>) -> Self {
        Self::Protocol { what: what.into(), reason }
    }

    /// The A-ABORT to send (PS3.8 section 9.3.8); `None` when the connection is gone.
    pub(super) fn abort(&self) -> Option<Pdu> {
        let reason = match self {
            Self::Closed | Self::Aborted(_) | Self::Io(_) | Self::Deaf(_) | Self::Silent(_) => return None,
            Self::Idle(_) | Self::Stalled(_) | Self::Dripped { .. } | Self::MadeRoom | Self::Stopping => {
                Reason::ReasonNotSpecified
            }
            Self::SpeaksTls(_) => Reason::UnrecognizedPdu,
            Self::Protocol { reason, .. } => reason.clone(),
        };
        Some(Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) })
    }
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(super) struct PduReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where unread bytes begin. The current PDU, if any, ends here.
    next: usize,
    body: Range<usize>,
    limit: usize,
}

impl<R: AsyncRead + Unpin> PduReader<R> {
    /// Accepts PDUs up to [`MAX_NEGOTIATION_PDU`], until [`Self::established`] is called.
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: Vec::with_capacity(4096), next: 0, body: 0..0, limit: MAX_NEGOTIATION_PDU }
    }

    pub(super) fn established(&mut self) {
        self.limit = MAX_DATA_PDU;
        self.buffer.reserve(READ_AHEAD);
    }

    /// The current PDU without its header.
    pub(super) fn body(&self) -> &[u8] {
        self.buffer.get(self.body.clone()).unwrap_or(&[])
    }

    /// Reads the next PDU and returns its type; [`Self::body`] is then its body. `None`: the peer closed the connection
    /// between PDUs. The first byte must arrive within `quiet`, the rest within `stall` after it. Cancel safe.
    pub(super) async fn next(&mut self, quiet: Duration, stall: Duration) -> Result<Option<u8>, Fault> {
        self.body = 0..0;
        if self.unread() == 0 {
            match timeout(quiet, self.fill(PDU_HEADER)).await {
                Err(_) => return Err(Fault::Idle(quiet)),
                Ok(Err(Fault::Closed)) => return Ok(None),
                Ok(filled) => filled?,
            }
        }
        let deadline = Instant::now() + stall;
        self.need(PDU_HEADER, deadline, stall).await?;
        let (kind, length) = match self.buffer.get(self.next..self.next + PDU_HEADER) {
            Some(&[kind, _, a, b, c, d]) => (kind, u32::from_be_bytes([a, b, c, d]) as usize),
            _ => return Err(Fault::Closed),
        };
        if TLS_RECORDS.contains(&kind) {
            return Err(Fault::SpeaksTls(kind));
        }
        if !(ASSOCIATE_RQ..=ABORT).contains(&kind) {
            return Err(Fault::protocol(Reason::UnrecognizedPdu, format!("unknown PDU type {kind:#04x}")));
        }
        let limit = if kind == DATA || kind <= ASSOCIATE_AC { self.limit } else { MAX_NEGOTIATION_PDU };
        if length > limit {
            let what = format!("a PDU of {length} bytes; the limit is {limit} bytes");
            return Err(Fault::protocol(Reason::InvalidPduParameter, what));
        }
        self.need(PDU_HEADER + length, deadline, stall).await?;
        self.body = self.next + PDU_HEADER..self.next + PDU_HEADER + length;
        self.next = self.body.end;
        Ok(Some(kind))
    }

    fn unread(&self) -> usize {
        self.buffer.len() - self.next
    }

    async fn need(&mut self, bytes: usize, deadline: Instant, stall: Duration) -> Result<(), Fault> {
        while self.unread() < bytes {
            timeout_at(deadline, self.fill(bytes)).await.map_err(|_| Fault::Stalled(stall))??;
        }
        Ok(())
    }

    /// Reads once from the source, into a buffer with space for `bytes` unread bytes.
    async fn fill(&mut self, bytes: usize) -> Result<(), Fault> {
        if self.next == self.buffer.len() {
            self.buffer.clear();
            self.next = 0;
        }
        if self.next + bytes > self.buffer.capacity() {
            self.buffer.drain(..self.next);
            self.next = 0;
            // The buffer grows with the bytes that have arrived, not with the length that the peer claims.
            let wanted = bytes.min((2 * self.buffer.len()).max(4096));
            self.buffer.reserve_exact(wanted.saturating_sub(self.buffer.len()));
        }
        match self.source.read_buf(&mut self.buffer).await {
            Ok(1..) => Ok(()),
            Ok(0) => Err(Fault::Closed),
            // TLS without its goodbye (close_notify). PDUs have lengths, so nothing can be cut off without our knowing.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(Fault::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads and discards what still arrives until the peer closes, so that a TCP reset does not destroy our last PDU
    /// (PS3.8 section 9.2, state 13).
    pub(super) async fn drain(&mut self, limit: Duration) {
        let until_closed = async {
            let mut scrap = [0; 4096];
            while matches!(self.source.read(&mut scrap).await, Ok(1..)) {}
        };
        let _ = timeout(limit, until_closed).await;
    }
}

/// The sending half of a connection.
#[derive(Debug)]
pub(super) struct PduWriter<W> {
    sink: W,
    /// How long the peer may take to read what we send.
    patience: Duration,
}

impl<W: AsyncWrite + Unpin> PduWriter<W> {
    pub(super) fn new(sink: W, patience: Duration) -> Self {
        Self { sink, patience }
    }

    /// Sends `bytes` in one write: a second small write would wait for a delayed acknowledgement (about 40 ms).
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let write = async {
            self.sink.write_all(bytes).await?;
            self.sink.flush().await
        };
        Ok(timeout(self.patience, write).await.map_err(|_| Fault::Deaf(self.patience))??)
    }

    pub(super) async fn send_pdu(&mut self, pdu: &Pdu) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        write_pdu(&mut bytes, pdu).map_err(|error| std::io::Error::other(error.to_string()))?;
        self.send(&bytes).await
    }

    pub(super) async fn close(&mut self) {
        let _ = timeout(self.patience, self.sink.shutdown()).await;
    }
}

/// One fragment of a message inside a P-DATA-TF PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pdv<'a> {
    pub(super) context: u8,
    pub(super) is_command: bool,
    pub(super) is_last: bool,
    pub(super) bytes: &'a [u8],
}

/// The first PDV of `body` and its length in bytes, header included.
pub(super) fn read_pdv(body: &[u8]) -> Result<(Pdv<'_>, usize), Fault> {
    let malformed = |what| Fault::protocol(Reason::InvalidPduParameter, what);
    let Some((&[a, b, c, d, context, control], rest)) = body.split_first_chunk::<PDV_HEADER>() else {
        return Err(malformed("a PDV shorter than its header"));
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    let bytes = length.checked_sub(2).and_then(|length| rest.get(..length));
    let bytes = bytes.ok_or_else(|| malformed("a PDV that does not fit its PDU"))?;
    let pdv = Pdv { context, is_command: control & 1 != 0, is_last: control & 2 != 0, bytes };
    Ok((pdv, PDV_HEADER + bytes.len()))
}

/// Appends a P-DATA-TF PDU with one PDV.
pub(super) fn put_data(out: &mut Vec<u8>, pdv: Pdv<'_>) {
    // A PDV is shorter than the peer's maximum PDU, whose length has 32 bits.
    let length = u32::try_from(pdv.bytes.len()).unwrap_or(u32::MAX - 6) + 2;
    out.extend([DATA, 0]);
    out.extend((length + 4).to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend([pdv.context, u8::from(pdv.is_command) | u8::from(pdv.is_last) << 1]);
    out.extend_from_slice(pdv.bytes);
}

/// Data bytes per PDU for a peer that accepts `peer_max` bytes (0: no limit). The headers count as well, because some
/// peers count them. The result is even, so that every fragment of a data set has an even length.
pub(super) fn data_per_pdu(peer_max: u32) -> usize {
    const OURS: usize = 256 * 1024;
    let whole = if peer_max == 0 { OURS } else { (peer_max as usize).min(OURS) };
    (whole.saturating_sub(PDU_HEADER + PDV_HEADER) & !1).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_secs(30);
    const LONG: Duration = Duration::from_secs(3600);

    fn pdv(bytes: &[u8]) -> Pdv<'_> {
        Pdv { context: 3, is_command: false, is_last: true, bytes }
    }

    #[test]
    fn a_sent_pdu_never_exceeds_the_peers_maximum_header_included() {
        for max in [16, 128, 4096, 16_384, 16_385, 1 << 20] {
            let mut out = Vec::new();
            put_data(&mut out, pdv(&vec![7; data_per_pdu(max)]));
            assert!(out.len() <= max as usize, "{} > {max}", out.len());
            assert_eq!(data_per_pdu(max) % 2, 0);
        }
        assert_eq!(data_per_pdu(0), data_per_pdu(1 << 20), "0 means unlimited, not nothing");
    }

    #[test]
    fn a_pdv_is_read_as_written_and_a_lying_length_is_refused() {
        let mut out = Vec::new();
        put_data(&mut out, pdv(b"abcd"));
        let (read, used) = read_pdv(&out[PDU_HEADER..]).unwrap();
        assert_eq!((read, used), (pdv(b"abcd"), 10));
        for lie in [0u32, 1, 7, u32::MAX] {
            out[PDU_HEADER..PDU_HEADER + 4].copy_from_slice(&lie.to_be_bytes());
            assert!(read_pdv(&out[PDU_HEADER..]).is_err(), "{lie}");
        }
    }

    #[tokio::test]
    async fn pdus_are_framed_however_the_bytes_arrive() {
        let mut bytes = Vec::new();
        for size in [0, 1, 5000, 200_000] {
            put_data(&mut bytes, pdv(&vec![9; size]));
        }
        for chunk in [1000, 4097, 300_000] {
            let (mut peer, ours) = tokio::io::duplex(chunk);
            let sent = bytes.clone();
            tokio::spawn(async move {
                for part in sent.chunks(chunk) {
                    peer.write_all(part).await.unwrap();
                }
            });
            let mut reader = PduReader::new(ours);
            reader.established();
            for size in [0, 1, 5000, 200_000] {
                assert_eq!(reader.next(LONG, SHORT).await.unwrap(), Some(DATA));
                assert_eq!(reader.body().len(), size + PDV_HEADER);
            }
            assert_eq!(reader.next(LONG, SHORT).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_huge_length_field_is_refused_before_any_memory_is_taken() {
        let (mut peer, ours) = tokio::io::duplex(64);
        peer.write_all(&[DATA, 0, 0xff, 0xff, 0xff, 0xff]).await.unwrap();
        let mut reader = PduReader::new(ours);
        reader.established();
        let fault = reader.next(LONG, SHORT).await.unwrap_err();
        assert!(matches!(fault, Fault::Protocol { reason: Reason::InvalidPduParameter, .. }), "{fault}");
        assert!(reader.buffer.capacity() <= 2 * READ_AHEAD);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_idle_but_silence_inside_a_pdu_is_a_stall() {
        let (mut peer, ours) = tokio::io::duplex(64);
        let mut reader = PduReader::new(ours);
        assert!(matches!(reader.next(LONG, SHORT).await, Err(Fault::Idle(LONG))));
        peer.write_all(&[DATA, 0, 0]).await.unwrap();
        let before = Instant::now();
        assert!(matches!(reader.next(LONG, SHORT).await, Err(Fault::Stalled(SHORT))));
        assert_eq!(before.elapsed(), SHORT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_does_not_keep_a_pdu_alive() {
        let (mut peer, ours) = tokio::io::duplex(64);
        let drip = tokio::spawn(async move {
            while peer.write_all(&[DATA]).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        });
        let mut reader = PduReader::new(ours);
        assert!(matches!(reader.next(LONG, SHORT).await, Err(Fault::Stalled(_))));
        drop(reader);
        drip.await.unwrap();
    }
}
