//! File format of recorded pictures: records of head and JPEG, one after another, about a second in each file. Pure.
//!
//! Each record is written with one call and carries its checksum. A kill or a power cut may damage the last record;
//! those before it are intact.

use std::time::Duration;

const MAGIC: &[u8; 8] = b"SCANPIC1";
/// Bytes of a head: magic, sequence, nanoseconds of capture, width, height, colour, checksum of the JPEG, its length,
/// and the checksum of the head before it. All numbers little endian.
const HEAD: usize = 44;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub sequence: u64,
    /// Driver's time, monotonic.
    pub captured: Duration,
    /// Columns and rows.
    pub size: [u16; 2],
    pub colour: bool,
}

/// A recorded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shot<'a> {
    pub head: Head,
    pub jpeg: &'a [u8],
}

/// Why a record has no head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("there is no room for the head of a picture")]
    NoRoom,
    /// Bytes.
    #[error("a picture of {0} bytes is too large to be recorded")]
    TooLarge(usize),
    /// Of capture; more than 584 years.
    #[error("the time of a picture cannot be recorded: {0:?}")]
    Time(Duration),
}

/// Writes the head over [`room`] at the start of `record`; the JPEG file follows it there.
///
/// # Errors
/// When the record does not begin with [`room`], or a number does not fit into its field.
pub fn seal(head: Head, record: &mut [u8]) -> Result<(), SealError> {
    let (room, jpeg) = record.split_at_mut_checked(HEAD).ok_or(SealError::NoRoom)?;
    let captured = u64::try_from(head.captured.as_nanos()).map_err(|_| SealError::Time(head.captured))?;
    let length = u32::try_from(jpeg.len()).map_err(|_| SealError::TooLarge(jpeg.len()))?;
    let mut bytes = Vec::with_capacity(HEAD);
    bytes.extend(MAGIC);
    bytes.extend(head.sequence.to_le_bytes());
    bytes.extend(captured.to_le_bytes());
    head.size.iter().for_each(|side| bytes.extend(side.to_le_bytes()));
    bytes.extend(u32::from(head.colour).to_le_bytes());
    bytes.extend(crc32fast::hash(jpeg).to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    room.copy_from_slice(&bytes);
    Ok(())
}

/// Placeholder for the head at the start of a record.
pub fn room() -> [u8; HEAD] {
    [0; HEAD]
}

/// The pictures of a file in order, up to the first damaged one.
pub fn read(mut bytes: &[u8]) -> Vec<Shot<'_>> {
    let mut shots = Vec::new();
    while let Some((shot, rest)) = first(bytes) {
        shots.push(shot);
        bytes = rest;
    }
    shots
}

fn first(bytes: &[u8]) -> Option<(Shot<'_>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let (fields, crc) = head.split_at(HEAD - 4);
    let short = |at: usize| fields.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes);
    let word = |at: usize| fields.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let long = |at: usize| fields.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    if !fields.starts_with(MAGIC) || crc != crc32fast::hash(fields).to_le_bytes() {
        return None;
    }
    let (jpeg, rest) = rest.split_at_checked(word(36)? as usize)?;
    if crc32fast::hash(jpeg) != word(32)? {
        return None;
    }
    let captured = Duration::from_nanos(long(16)?);
    let head = Head { sequence: long(8)?, captured, size: [short(24)?, short(26)?], colour: word(28)? != 0 };
    Some((Shot { head, jpeg }, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn record(sequence: u64, jpeg: &[u8]) -> Vec<u8> {
        let mut bytes = [&room()[..], jpeg].concat();
        seal(head(sequence), &mut bytes).unwrap();
        bytes
    }

    fn head(sequence: u64) -> Head {
        Head { sequence, captured: Duration::from_millis(sequence * 33), size: [1280, 720], colour: sequence % 2 == 1 }
    }

    #[test]
    fn what_was_written_is_read() {
        let file = [record(1, b"one"), record(2, b""), record(3, &[7; 999])].concat();
        let shots = read(&file);
        assert_eq!(shots.iter().map(|shot| shot.head).collect::<Vec<_>>(), [head(1), head(2), head(3)]);
        assert_eq!((shots[0].jpeg, shots[2].jpeg), (&b"one"[..], &[7; 999][..]));
    }

    #[test]
    fn what_does_not_fit_into_its_field_is_an_error_and_not_another_number() {
        assert_eq!(seal(head(1), &mut [0; HEAD - 1]), Err(SealError::NoRoom));
        let late = Head { captured: Duration::MAX, ..head(1) };
        assert_eq!(seal(late, &mut room()), Err(SealError::Time(Duration::MAX)));
    }

    proptest! {
        #[test]
        fn a_torn_file_gives_the_pictures_before_the_tear(cut in 0usize..400, flip in 0usize..400, bit in any::<u8>()) {
            let records = [record(1, &[1; 50]), record(2, &[2; 60]), record(3, &[3; 70])];
            let file = records.concat();
            let whole = |end: usize| {
                let ends = records.iter().scan(0, |at, r| { *at += r.len(); Some(*at) });
                ends.filter(|at| *at <= end).count()
            };
            let cut = cut.min(file.len());
            prop_assert_eq!(read(&file[..cut]).len(), whole(cut));
            let mut hurt = file.clone();
            let at = flip.min(file.len() - 1);
            hurt[at] ^= bit | 1;
            prop_assert_eq!(read(&hurt).len(), whole(at));
        }

        #[test]
        fn whatever_lies_there_is_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read(&bytes).is_empty());
        }
    }
}
