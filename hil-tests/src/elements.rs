//! Data sets of the simulated peers, byte by byte: a writer for messages, and a reader that gives values as they came. Text stays bytes,
//! so that a name goes from the worklist into an image in whatever character set it has, as in a scanner. Written independently of the
//! daemon's code.

/// Group and element.
pub type Tag = (u16, u16);

const ITEM: Tag = (0xfffe, 0xe000);
const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);
const ITEM_END: Tag = (0xfffe, 0xe00d);
const UNDEFINED: u32 = u32::MAX;

/// Writes Implicit or Explicit VR Little Endian. Elements must come in ascending order.
#[derive(Debug, Clone)]
pub struct Writer {
    explicit: bool,
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new(explicit: bool) -> Self {
        Self { explicit, bytes: Vec::new() }
    }

    /// A value, padded to an even length: UIDs with a zero byte, text with a space.
    #[must_use]
    pub fn put(mut self, tag: Tag, vr: &[u8; 2], value: &[u8]) -> Self {
        let padded = value.len().next_multiple_of(2);
        self.head(tag, vr, padded);
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len() + padded - value.len(), if vr == b"UI" { 0 } else { b' ' });
        self
    }

    #[must_use]
    pub fn text(self, tag: Tag, vr: &[u8; 2], value: &str) -> Self {
        self.put(tag, vr, value.as_bytes())
    }

    #[must_use]
    pub fn number(self, tag: Tag, value: u16) -> Self {
        self.put(tag, b"US", &value.to_le_bytes())
    }

    /// Items of defined length.
    #[must_use]
    pub fn sequence(mut self, tag: Tag, items: impl IntoIterator<Item = Writer>) -> Self {
        let mut all = Vec::new();
        for item in items {
            put_tag(&mut all, ITEM);
            all.extend(length(item.bytes.len()));
            all.extend(item.bytes);
        }
        self.head(tag, b"SQ", all.len());
        self.bytes.extend(all);
        self
    }

    /// An empty item, or one to be filled, in the same syntax.
    pub fn item(&self) -> Self {
        Self::new(self.explicit)
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn head(&mut self, tag: Tag, vr: &[u8; 2], size: usize) {
        put_tag(&mut self.bytes, tag);
        if !self.explicit {
            self.bytes.extend(length(size));
            return;
        }
        self.bytes.extend(vr);
        if is_long(vr) {
            self.bytes.extend([0, 0]);
            self.bytes.extend(length(size));
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "values of messages are short")]
            self.bytes.extend((size as u16).to_le_bytes());
        }
    }
}

fn put_tag(out: &mut Vec<u8>, tag: Tag) {
    out.extend(tag.0.to_le_bytes());
    out.extend(tag.1.to_le_bytes());
}

#[expect(clippy::cast_possible_truncation, reason = "messages of the bench are short")]
fn length(size: usize) -> [u8; 4] {
    (size as u32).to_le_bytes()
}

fn is_long(vr: &[u8; 2]) -> bool {
    matches!(vr, b"OB" | b"OW" | b"OF" | b"OD" | b"OL" | b"OV" | b"SQ" | b"UN" | b"UT" | b"UC" | b"UR" | b"SV" | b"UV")
}

/// A data set, or an item, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Elements<'a> {
    explicit: bool,
    bytes: &'a [u8],
}

impl<'a> Elements<'a> {
    pub fn new(explicit: bool, bytes: &'a [u8]) -> Self {
        Self { explicit, bytes }
    }

    /// The bytes of a value, padding included; `None` when it is not there, or the data set is cut off before it.
    pub fn value(&self, tag: Tag) -> Option<&'a [u8]> {
        let mut at = 0;
        while let Some((found, start, end, next)) = self.element(at) {
            if found == tag {
                return self.bytes.get(start..end);
            }
            at = next;
        }
        None
    }

    /// Text without its padding, whatever its character set: empty when it is not there.
    pub fn text(&self, tag: Tag) -> String {
        String::from_utf8_lossy(self.raw(tag)).into_owned()
    }

    /// The bytes of a text without its padding.
    pub fn raw(&self, tag: Tag) -> &'a [u8] {
        let value = self.value(tag).unwrap_or_default();
        let end = value.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |last| last + 1);
        &value[..end]
    }

    pub fn number(&self, tag: Tag) -> Option<u16> {
        self.value(tag)?.try_into().ok().map(u16::from_le_bytes)
    }

    /// The items of a sequence; none when it is not there.
    pub fn items(&self, tag: Tag) -> Vec<Elements<'a>> {
        let Some(bytes) = self.value(tag) else { return Vec::new() };
        let (mut items, mut at) = (Vec::new(), 0);
        while let Some(head) = bytes.get(at..at + 8) {
            if tag_of(head) != ITEM {
                break;
            }
            let size = size_of(&head[4..]);
            let start = at + 8;
            let end = if size == UNDEFINED {
                Elements::new(self.explicit, &bytes[start..]).end_of(ITEM_END).map(|end| start + end)
            } else {
                start.checked_add(size as usize)
            };
            let Some(item) = end.and_then(|end| bytes.get(start..end)) else { break };
            items.push(Elements::new(self.explicit, item));
            at = start + item.len() + if size == UNDEFINED { 8 } else { 0 };
        }
        items
    }

    /// Tag, begin and end of each element.
    pub fn spans(&self) -> Vec<(Tag, usize, usize)> {
        let (mut spans, mut at) = (Vec::new(), 0);
        while let Some((tag, _, _, next)) = self.element(at) {
            spans.push((tag, at, next));
            at = next;
        }
        spans
    }

    /// Tag, begin and end of the value, begin of the next element.
    fn element(&self, at: usize) -> Option<(Tag, usize, usize, usize)> {
        let head = self.bytes.get(at..at + 8)?;
        let tag = tag_of(head);
        let (start, size) = if !self.explicit || tag.0 == 0xfffe {
            (at + 8, size_of(&head[4..]))
        } else if is_long(&[head[4], head[5]]) {
            (at + 12, size_of(self.bytes.get(at + 8..at + 12)?))
        } else {
            (at + 8, u32::from(u16::from_le_bytes([head[6], head[7]])))
        };
        if size == UNDEFINED {
            let inside = Elements::new(self.explicit, self.bytes.get(start..)?);
            let end = start + inside.end_of(SEQUENCE_END)?;
            return Some((tag, start, end, end + 8));
        }
        let end = start.checked_add(size as usize)?;
        Some((tag, start, end, end))
    }

    /// Where the delimiter begins that ends a sequence, or an item, of undefined length.
    fn end_of(&self, delimiter: Tag) -> Option<usize> {
        let mut at = 0;
        loop {
            let head = self.bytes.get(at..at + 8)?;
            let tag = tag_of(head);
            if tag == delimiter {
                return Some(at);
            }
            at = match (tag, size_of(&head[4..])) {
                (ITEM, UNDEFINED) => at + 8 + Elements::new(self.explicit, &self.bytes[at + 8..]).end_of(ITEM_END)? + 8,
                (ITEM, size) => at + 8 + size as usize,
                _ => self.element(at)?.3,
            };
        }
    }
}

fn tag_of(head: &[u8]) -> Tag {
    (u16::from_le_bytes([head[0], head[1]]), u16::from_le_bytes([head[2], head[3]]))
}

fn size_of(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_in_both_syntaxes() {
        for explicit in [false, true] {
            let writer = Writer::new(explicit);
            let item = writer.item().text((8, 0x1150), b"UI", "1.2.3");
            let bytes = writer.text((8, 5), b"CS", "GB18030").sequence((8, 0x1199), [item.clone(), item]).finish();
            let read = Elements::new(explicit, &bytes);
            assert_eq!(read.text((8, 5)), "GB18030");
            let uids: Vec<_> = read.items((8, 0x1199)).iter().map(|item| item.text((8, 0x1150))).collect();
            assert_eq!(uids, ["1.2.3", "1.2.3"]);
            assert!(read.value((0x10, 0x10)).is_none());
        }
    }

    #[test]
    fn sequences_and_items_of_undefined_length_are_passed_over() {
        let mut bytes = vec![8, 0, 0x99, 0x11, 0xff, 0xff, 0xff, 0xff];
        bytes.extend([0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend(Writer::new(false).text((8, 0x1155), b"UI", "1.2").finish());
        bytes.extend([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0, 0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0]);
        bytes.extend(Writer::new(false).text((0x10, 0x10), b"PN", "DOE").finish());
        let read = Elements::new(false, &bytes);
        assert_eq!(read.text((0x10, 0x10)), "DOE");
        assert_eq!(read.items((8, 0x1199))[0].text((8, 0x1155)), "1.2");
    }
}
