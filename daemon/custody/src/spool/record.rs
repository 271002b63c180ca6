//! The byte format of the custody log: one head per segment, one head per record. No I/O.
//!
//! A segment consists of a head block and records. Each record starts at a block boundary and never shares a block with
//! an acknowledged one, so that a torn write cannot damage what was acknowledged. A record consists of its head, its
//! [`Entry`] as JSON, and the Part 10 bytes (none when the instance has a file of its own). All numbers are little
//! endian.

use dicom::header::Header;
use serde::{Deserialize, Serialize};

use crate::instance::Origin;
use crate::store::instances::InstanceState;

pub(super) const BLOCK: u64 = 4096;
const SEGMENT_MAGIC: &[u8; 8] = b"SCANSEG1";
const RECORD_MAGIC: &[u8; 8] = b"SCANREC1";
pub(super) const RECORD_HEAD: usize = 48;
/// Bytes. An entry has a few KiB; a greater length means that the record is damaged.
pub(super) const MAX_ENTRY: u32 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub(super) number: i64,
    /// A random number for each use of a file. Records of an earlier use carry another one and are ignored.
    pub(super) epoch: u64,
    pub(super) size: u64,
}

impl SegmentHead {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(4096);
        block.extend(SEGMENT_MAGIC);
        block.extend(self.number.to_le_bytes());
        block.extend(self.epoch.to_le_bytes());
        block.extend(self.size.to_le_bytes());
        block.extend(crc32fast::hash(&block).to_le_bytes());
        block.resize(4096, 0);
        block
    }

    pub(super) fn decode(block: &[u8]) -> Option<Self> {
        let (fields, rest) = block.split_at_checked(32)?;
        let crc = u32::from_le_bytes(rest.first_chunk().copied()?);
        if !fields.starts_with(SEGMENT_MAGIC) || crc32fast::hash(fields) != crc {
            return None;
        }
        let epoch = number(fields, 16)?;
        Some(Self { number: number(fields, 8)?.cast_signed(), epoch, size: number(fields, 24)? })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHead {
    pub(super) epoch: u64,
    /// Offset of the record in its segment, bytes. It reveals a block that was written to the wrong place.
    pub(super) offset: u64,
    pub(super) payload_length: u64,
    pub(super) entry_length: u32,
    pub(super) entry_crc: u32,
    pub(super) payload_crc: u32,
}

impl RecordHead {
    pub(super) fn encode(&self) -> [u8; RECORD_HEAD] {
        let mut head = [0; RECORD_HEAD];
        head[..8].copy_from_slice(RECORD_MAGIC);
        head[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        head[16..24].copy_from_slice(&self.offset.to_le_bytes());
        head[24..32].copy_from_slice(&self.payload_length.to_le_bytes());
        head[32..36].copy_from_slice(&self.entry_length.to_le_bytes());
        head[36..40].copy_from_slice(&self.entry_crc.to_le_bytes());
        head[40..44].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32fast::hash(&head[..44]);
        head[44..].copy_from_slice(&crc.to_le_bytes());
        head
    }

    /// `None` when these bytes are not the head of a record at `offset` with this `epoch`.
    pub(super) fn decode(bytes: &[u8], epoch: u64, offset: u64) -> Option<Self> {
        let fields = bytes.get(..44)?;
        let crc = u32::from_le_bytes(bytes.get(44..48)?.try_into().ok()?);
        if !fields.starts_with(RECORD_MAGIC) || crc32fast::hash(fields) != crc {
            return None;
        }
        let small = |at: usize| Some(u32::from_le_bytes(fields.get(at..at + 4)?.try_into().ok()?));
        let head = Self {
            epoch: number(fields, 8)?,
            offset: number(fields, 16)?,
            payload_length: number(fields, 24)?,
            entry_length: small(32)?,
            entry_crc: small(36)?,
            payload_crc: small(40)?,
        };
        (head.epoch == epoch && head.offset == offset && head.entry_length <= MAX_ENTRY).then_some(head)
    }

    pub(super) fn payload_offset(&self) -> u64 {
        self.offset + RECORD_HEAD as u64 + u64::from(self.entry_length)
    }

    /// Where the next record begins.
    pub(super) fn end(&self) -> u64 {
        aligned(self.payload_offset().saturating_add(self.payload_length))
    }
}

/// The next block boundary.
pub(super) fn aligned(position: u64) -> u64 {
    position.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX)
}

fn number(fields: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(fields.get(at..at + 8)?.try_into().ok()?))
}

/// Everything that is needed to restore the row in `instances`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) state: InstanceState,
    pub(super) reason: Option<String>,
    pub(super) received_utc: String,
    pub(super) origin: Origin,
    pub(super) sha256: String,
    /// Path relative to the spool directory, for an instance with a file of its own.
    pub(super) file: Option<String>,
    /// Number of Part 10 bytes.
    pub(super) length: u64,
    pub(super) header: Header,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_survive_the_round_trip_and_no_flipped_bit() {
        let segment = SegmentHead { number: 7, epoch: 99, size: 1 << 20 };
        let block = segment.encode();
        assert_eq!(SegmentHead::decode(&block), Some(segment));
        let record =
            RecordHead { epoch: 99, offset: 8192, payload_length: 5, entry_length: 3, entry_crc: 1, payload_crc: 2 };
        let bytes = record.encode();
        assert_eq!(RecordHead::decode(&bytes, 99, 8192), Some(record));
        for bit in 0..RECORD_HEAD * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHead::decode(&damaged, 99, 8192), None, "bit {bit}");
        }
        for bit in 0..36 * 8 {
            let mut damaged = block.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHead::decode(&damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_an_earlier_use_or_another_place_is_not_seen() {
        let record =
            RecordHead { epoch: 1, offset: 4096, payload_length: 5, entry_length: 3, entry_crc: 1, payload_crc: 2 };
        assert_eq!(RecordHead::decode(&record.encode(), 2, 4096), None);
        assert_eq!(RecordHead::decode(&record.encode(), 1, 8192), None);
    }
}
