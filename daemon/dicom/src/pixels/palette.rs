//! Colour palettes, which give a colour for each stored value; plain or segmented tables: PS3.3 C.7.6.3.1.5 and
//! C.7.9.2. Pure.

use dicom_core::{PrimitiveValue, Tag};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::cast;

/// Why the colours of an image are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaletteError {
    #[error("a colour table is not described")]
    NotDescribed,
    #[error("a colour table is missing")]
    Missing,
    #[error("the colour tables differ in length")]
    Lengths,
    #[error("a colour table of {entries} entries has {bytes} bytes")]
    Short { entries: usize, bytes: usize },
    #[error("a colour table in segments of 8 bits cannot be shown")]
    SegmentsOf8Bits,
    #[error("the segments of a colour table are broken")]
    BrokenSegments,
}

#[derive(Debug)]
pub struct Palette {
    /// Red, green, blue of each entry.
    pub entries: Vec<[u8; 3]>,
    /// The stored value that the first entry belongs to; lower values get that entry too.
    pub first: i64,
}

/// Tags of descriptor, plain data and segmented data, for red, green and blue.
const TABLES: [[Tag; 3]; 3] = [
    [
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ],
    [
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ],
    [
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ],
];

impl Palette {
    /// # Errors
    /// When a table is missing or broken.
    pub fn of(data_set: &InMemDicomObject) -> Result<Self, PaletteError> {
        let [red, green, blue] = TABLES.map(|tags| table(data_set, tags));
        let ((first, red), (_, green), (_, blue)) = (red?, green?, blue?);
        if red.len() != green.len() || red.len() != blue.len() {
            return Err(PaletteError::Lengths);
        }
        let entries = red.into_iter().zip(green).zip(blue).map(|((r, g), b)| [r, g, b]).collect();
        Ok(Self { entries, first })
    }

    pub fn colour(&self, stored: u16) -> [u8; 3] {
        let index = cast::index(i64::from(stored) - self.first);
        self.entries.get(index).or_else(|| self.entries.last()).copied().unwrap_or_default()
    }
}

/// The first stored value, and a byte for each entry.
fn table(data_set: &InMemDicomObject, [descriptor, data, segments]: [Tag; 3]) -> Result<(i64, Vec<u8>), PaletteError> {
    let element = |tag: Tag| data_set.element_opt(tag).ok().flatten();
    let described = element(descriptor).and_then(|element| element.to_multi_int::<i64>().ok()).unwrap_or_default();
    let &[count, first, bits] = described.as_slice() else {
        return Err(PaletteError::NotDescribed);
    };
    // Zero stands for 65536. The value may have been read as a signed one, hence the mask.
    let count = match count & 0xffff {
        0 => 1 << 16,
        count => cast::index(count),
    };
    let bytes = |tag: Tag| {
        Some(match element(tag)?.value().primitive()? {
            PrimitiveValue::U16(words) => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
            other => other.to_bytes().into_owned(),
        })
    };
    let whole: Option<Vec<u8>> = bytes(data);
    if let Some(entries) = whole.as_ref().filter(|all| bits == 8 && all.len() < 2 * count) {
        let entries = entries.get(..count).ok_or(PaletteError::Short { entries: count, bytes: entries.len() })?;
        return Ok((first, entries.to_vec()));
    }
    let words = match (whole, bytes(segments)) {
        (Some(whole), _) => words(&whole),
        (None, Some(segments)) if bits == 16 => expanded(&words(&segments), count)?,
        (None, Some(_)) => return Err(PaletteError::SegmentsOf8Bits),
        (None, None) => return Err(PaletteError::Missing),
    };
    let entries = words.get(..count).ok_or(PaletteError::Short { entries: count, bytes: 2 * words.len() })?;
    // Some writers declare 16 bits and use 8.
    let small = bits == 8 || entries.iter().all(|word| *word < 256);
    Ok((first, entries.iter().map(|word| if small { cast::byte(*word) } else { cast::byte(word >> 8) }).collect()))
}

fn words(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).map(|w| u16::from_le_bytes([w[0], w[1]])).collect()
}

/// Expands segments to at least `count` entries: discrete values (0), a linear ramp to a value (1), earlier segments
/// again (2).
fn expanded(segments: &[u16], count: usize) -> Result<Vec<u16>, PaletteError> {
    let mut out = Vec::with_capacity(count);
    let mut at = 0;
    while at < segments.len() && out.len() < count {
        if segments[at] != 2 {
            at = segment(segments, at, &mut out)?;
            continue;
        }
        let &[_, number, low, high] = segments.get(at..at + 4).ok_or(PaletteError::BrokenSegments)? else {
            return Err(PaletteError::BrokenSegments);
        };
        // Offset in bytes from the beginning.
        let mut from = (usize::from(high) << 16 | usize::from(low)) / 2;
        for _ in 0..number {
            if from >= at || out.len() >= count {
                break;
            }
            from = segment(segments, from, &mut out)?;
        }
        at += 4;
    }
    Ok(out)
}

/// Expands one segment of type 0 or 1; returns where the next one begins.
fn segment(segments: &[u16], at: usize, out: &mut Vec<u16>) -> Result<usize, PaletteError> {
    let &[kind, length] = segments.get(at..at + 2).ok_or(PaletteError::BrokenSegments)? else {
        return Err(PaletteError::BrokenSegments);
    };
    let (from, length) = (at + 2, usize::from(length));
    match kind {
        0 => {
            out.extend(segments.get(from..from + length).ok_or(PaletteError::BrokenSegments)?);
            Ok(from + length)
        }
        1 => {
            let end = f64::from(*segments.get(from).ok_or(PaletteError::BrokenSegments)?);
            let begin = f64::from(*out.last().ok_or(PaletteError::BrokenSegments)?);
            let step = (end - begin) / length.max(1) as f64;
            out.extend((1..=length).map(|i| cast::round_u16(begin + step * i as f64)));
            Ok(from + 1)
        }
        _ => Err(PaletteError::BrokenSegments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_values_lines_and_repetitions() {
        // Two values; a line of two to 50; both again.
        let segments = [0, 2, 10, 20, 1, 2, 50, 2, 2, 0, 0];
        assert_eq!(expanded(&segments, 8).unwrap(), [10, 20, 35, 50, 10, 20, 35, 50]);
        for broken in [vec![0], vec![0, 9, 1], vec![1, 2, 50], vec![7, 1, 1], vec![0, 1, 5, 2, 1]] {
            assert_eq!(expanded(&broken, 8), Err(PaletteError::BrokenSegments), "{broken:?}");
        }
        // Nothing refers to itself.
        assert_eq!(expanded(&[0, 1, 5, 2, 9, 6, 0], 8).unwrap(), [5]);
    }
}
