//! What goes over the socket between the daemon and a decoder. Both are the same program, so it has no version.

use std::io::{self, Read, Write};

use super::super::shape::Shape;

/// The longest reason that is read from a decoder.
const REASON: usize = 300;
/// The longest UID (PS3.5 section 9.1).
const UID: usize = 64;
const DECODED: u8 = 0;
const REFUSED: u8 = 1;

/// One frame to decode.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub transfer_syntax_uid: &'a str,
    /// All fragments of the frame, joined.
    pub frame: &'a [u8],
    pub shape: Shape,
    /// 8 or 16: of each sample that is wanted, by the codestream.
    pub bits_allocated: u16,
}

impl Order<'_> {
    /// Bytes of the decoded frame.
    pub fn expected(&self) -> usize {
        self.shape.samples() * usize::from(self.bits_allocated / 8)
    }
}

/// An order as a decoder has read it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ordered {
    pub transfer_syntax_uid: String,
    pub frame: Vec<u8>,
    pub rows: u16,
    pub columns: u16,
    pub samples: u16,
    pub bits_allocated: u16,
}

impl Ordered {
    pub fn as_order(&self) -> Order<'_> {
        let Self { rows, columns, samples, bits_allocated, .. } = *self;
        Order {
            transfer_syntax_uid: &self.transfer_syntax_uid,
            frame: &self.frame,
            shape: Shape { rows, columns, samples, bits_allocated, frames: 1 },
            bits_allocated,
        }
    }
}

pub(super) fn order(to: &mut impl Write, order: &Order<'_>) -> io::Result<()> {
    let uid = order.transfer_syntax_uid.as_bytes();
    let uid = &uid[..uid.len().min(UID)];
    let shape = order.shape;
    let mut head = vec![u8::try_from(uid.len()).map_err(io::Error::other)?];
    head.extend(uid);
    for number in [shape.rows, shape.columns, shape.samples, order.bits_allocated] {
        head.extend(number.to_le_bytes());
    }
    head.extend((order.frame.len() as u64).to_le_bytes());
    to.write_all(&head)?;
    to.write_all(order.frame)
}

/// The next order; `None` when there will be no more.
pub(super) fn ordered(from: &mut impl Read) -> io::Result<Option<Ordered>> {
    let mut length = [0];
    if from.read(&mut length)? == 0 {
        return Ok(None);
    }
    let mut uid = vec![0; usize::from(length[0])];
    from.read_exact(&mut uid)?;
    let [rows, columns, samples, bits_allocated] = [u16_le(from)?, u16_le(from)?, u16_le(from)?, u16_le(from)?];
    let length = usize::try_from(u64_le(from)?).map_err(io::Error::other)?;
    let mut frame = vec![0; length];
    from.read_exact(&mut frame)?;
    let transfer_syntax_uid = String::from_utf8(uid).map_err(io::Error::other)?;
    Ok(Some(Ordered { transfer_syntax_uid, frame, rows, columns, samples, bits_allocated }))
}

pub(super) fn answer(to: &mut impl Write, answer: &Result<Vec<u8>, String>) -> io::Result<()> {
    let (kind, bytes) = match answer {
        Ok(decoded) => (DECODED, decoded.as_slice()),
        Err(reason) => (REFUSED, reason.as_bytes()),
    };
    to.write_all(&[kind])?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)
}

/// What a decoder says. It is believed in nothing: what is more or less than `expected` is no frame, and a reason has a bound.
pub(super) fn answered(from: &mut impl Read, expected: usize) -> io::Result<Result<Vec<u8>, String>> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    let length = usize::try_from(u64_le(from)?).map_err(io::Error::other)?;
    match kind {
        [DECODED] if length == expected => {
            let mut bytes = vec![0; expected];
            from.read_exact(&mut bytes)?;
            Ok(Ok(bytes))
        }
        [REFUSED] if length <= REASON => {
            let mut bytes = vec![0; length];
            from.read_exact(&mut bytes)?;
            Ok(Err(String::from_utf8_lossy(&bytes).replace(char::is_control, " ")))
        }
        _ => Err(io::Error::other("the decoder answered what no decoder answers")),
    }
}

/// `reason` as it may be sent.
pub(super) fn reason(mut reason: String) -> String {
    let end = (0..=REASON).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or_default();
    reason.truncate(end.min(reason.len()));
    reason
}

fn u16_le(from: &mut impl Read) -> io::Result<u16> {
    let mut bytes = [0; 2];
    from.read_exact(&mut bytes)?;
    Ok(u16::from_le_bytes(bytes))
}

fn u64_le(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
