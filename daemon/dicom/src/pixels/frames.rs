//! Finds each frame in the value of the pixel data element.

use std::borrow::Cow;

use super::error::DecodeError;

/// The frames of native pixel data, which follow each other without gaps.
pub(super) fn native(value: &[u8], frame_bytes: usize, frames: usize) -> Result<Vec<Cow<'_, [u8]>>, DecodeError> {
    let needed = frame_bytes as u64 * frames as u64;
    if (value.len() as u64) < needed {
        return Err(DecodeError::Truncated { needed, present: value.len() as u64 });
    }
    Ok(value.chunks_exact(frame_bytes).take(frames).map(Cow::Borrowed).collect())
}

/// Whether the value at `start` has VR OW; in big-endian data sets, 8-bit pixels are then swapped in pairs. Only for
/// explicit VR, where tag, VR, two reserved bytes and the length precede the value.
pub(super) fn is_word_value(part10: &[u8], start: usize) -> bool {
    start.checked_sub(8).and_then(|at| part10.get(at..at + 2)) == Some(b"OW".as_slice())
}

/// The frames of encapsulated pixel data: an offset table item, fragment items, a delimiter (PS3.5 section A.4).
pub(super) fn encapsulated(value: &[u8], frames: usize) -> Result<Vec<Cow<'_, [u8]>>, DecodeError> {
    let mut items = items(value)?;
    if items.is_empty() {
        return Err(broken("the item of the basic offset table is missing"));
    }
    let table = items.remove(0);
    let fragments = items;
    if fragments.is_empty() {
        return Err(DecodeError::NoPixelData);
    }
    if frames == 1 {
        return Ok(vec![joined(&fragments)]);
    }
    if fragments.len() == frames {
        return Ok(fragments.into_iter().map(|fragment| Cow::Borrowed(fragment.bytes)).collect());
    }
    let starts =
        starts_by_table(table.bytes, &fragments, frames).or_else(|| starts_by_marker(&fragments, frames)).ok_or_else(
            || broken(&format!("it is not clear how {} fragments are divided into {frames} frames", fragments.len())),
        )?;
    let ends = starts.iter().skip(1).copied().chain([fragments.len()]);
    Ok(starts.iter().zip(ends).map(|(start, end)| joined(&fragments[*start..end])).collect())
}

#[derive(Debug, Clone, Copy)]
struct Item<'a> {
    /// Offset of the item's tag.
    at: usize,
    bytes: &'a [u8],
}

fn items(value: &[u8]) -> Result<Vec<Item<'_>>, DecodeError> {
    const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];
    const DELIMITER: [u8; 4] = [0xfe, 0xff, 0xdd, 0xe0];
    let mut items = Vec::new();
    let mut at = 0;
    // Some writers omit the delimiter at the end of the file.
    while at + 8 <= value.len() {
        let tag = &value[at..at + 4];
        if tag == DELIMITER {
            break;
        }
        if tag != ITEM {
            return Err(broken(&format!("an item should begin {at} bytes into the pixel data, but does not")));
        }
        let length = u32::from_le_bytes([value[at + 4], value[at + 5], value[at + 6], value[at + 7]]) as usize;
        let bytes = value.get(at + 8..).and_then(|rest| rest.get(..length));
        let present = (value.len() - at - 8) as u64;
        let bytes = bytes.ok_or(DecodeError::Truncated { needed: length as u64, present })?;
        items.push(Item { at, bytes });
        at += 8 + length;
    }
    Ok(items)
}

/// The index of the first fragment of each frame, from the basic offset table. It holds offsets of item tags, relative
/// to the first fragment.
fn starts_by_table(table: &[u8], fragments: &[Item<'_>], frames: usize) -> Option<Vec<usize>> {
    let offsets: Vec<usize> =
        table.chunks_exact(4).map(|o| u32::from_le_bytes([o[0], o[1], o[2], o[3]]) as usize).collect();
    if offsets.len() != frames || !offsets.is_sorted_by(|a, b| a < b) {
        return None;
    }
    let origin = fragments[0].at;
    offsets.iter().map(|offset| fragments.binary_search_by_key(&(origin + offset), |f| f.at).ok()).collect()
}

/// The index of the first fragment of each frame without a table: a frame begins where a fragment begins with the start
/// marker of JPEG or JPEG 2000.
fn starts_by_marker(fragments: &[Item<'_>], frames: usize) -> Option<Vec<usize>> {
    let begins =
        |f: &Item<'_>| f.bytes.starts_with(&[0xff, 0xd8, 0xff]) || f.bytes.starts_with(&[0xff, 0x4f, 0xff, 0x51]);
    let starts: Vec<usize> = (0..fragments.len()).filter(|i| begins(&fragments[*i])).collect();
    (starts.len() == frames && starts[0] == 0).then_some(starts)
}

fn joined<'a>(fragments: &[Item<'a>]) -> Cow<'a, [u8]> {
    match fragments {
        [one] => Cow::Borrowed(one.bytes),
        several => Cow::Owned(several.iter().flat_map(|f| f.bytes).copied().collect()),
    }
}

fn broken(reason: &str) -> DecodeError {
    DecodeError::Fragments { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0xfe, 0xff, 0x00, 0xe0];
        out.extend((bytes.len() as u32).to_le_bytes());
        out.extend(bytes);
        out
    }

    fn value(items: &[&[u8]]) -> Vec<u8> {
        let mut out: Vec<u8> = items.iter().flat_map(|bytes| item(bytes)).collect();
        out.extend([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
        out
    }

    #[test]
    fn the_fragments_of_a_single_frame_are_joined() {
        let value = value(&[b"", b"ab", b"cd"]);
        assert_eq!(encapsulated(&value, 1).unwrap(), [b"abcd".as_slice()]);
    }

    #[test]
    fn as_many_fragments_as_frames_need_no_table() {
        let value = value(&[b"", b"ab", b"cd"]);
        assert_eq!(encapsulated(&value, 2).unwrap(), [b"ab".as_slice(), b"cd"]);
    }

    #[test]
    fn a_table_groups_fragments_into_frames() {
        let table = [0_u32, 20].map(u32::to_le_bytes).concat();
        let value = value(&[&table, b"ab", b"cd", b"ef"]);
        assert_eq!(encapsulated(&value, 2).unwrap(), [b"abcd".as_slice(), b"ef"]);
    }

    #[test]
    fn without_a_table_start_markers_group_fragments() {
        let value = value(&[b"", b"\xff\xd8\xff1", b"23", b"\xff\xd8\xff4"]);
        assert_eq!(encapsulated(&value, 2).unwrap(), [b"\xff\xd8\xff123".as_slice(), b"\xff\xd8\xff4"]);
    }

    #[test]
    fn fragments_that_cannot_be_grouped_are_an_error_and_not_a_guess() {
        let value = value(&[b"", b"ab", b"cd", b"ef"]);
        assert_eq!(encapsulated(&value, 2).unwrap_err().kind(), "fragments");
    }

    #[test]
    fn no_cut_of_encapsulated_data_panics() {
        let table = [0_u32, 20].map(u32::to_le_bytes).concat();
        let value = value(&[&table, b"ab", b"cd", b"ef"]);
        for length in 0..value.len() {
            for frames in 1..4 {
                let _ = encapsulated(&value[..length], frames);
            }
        }
    }

    #[test]
    fn missing_native_bytes_are_counted() {
        assert_eq!(native(&[0; 7], 4, 2).unwrap_err(), DecodeError::Truncated { needed: 8, present: 7 });
        assert_eq!(native(&[0; 9], 4, 2).unwrap().len(), 2, "a padding byte at the end is not pixels");
    }
}
