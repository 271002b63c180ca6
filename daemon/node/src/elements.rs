//! The data sets of DIMSE-N: small, in memory, in Implicit or Explicit VR Little Endian. Nothing is decoded but what is asked
//! for, so that what a vendor adds harms nobody. Bounded in depth; all else is bounded by the size of the data set.

use dicom::text::plain_text;
use dicom_dictionary_std::uids;

/// Sequences in sequences. The deepest that a request needs is 3.
const MAX_DEPTH: u8 = 16;
const ITEM: (u16, u16) = (0xfffe, 0xe000);
const ITEM_END: (u16, u16) = (0xfffe, 0xe00d);
const SEQUENCE_END: (u16, u16) = (0xfffe, 0xe0dd);
const UNDEFINED: u32 = 0xffff_ffff;

/// Group and element.
pub(super) type Tag = (u16, u16);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Implicit,
    Explicit,
}

impl Syntax {
    /// `None`: not one of those in which DIMSE-N is taken here.
    pub(super) fn of(uid: &str) -> Option<Self> {
        match uid {
            uids::IMPLICIT_VR_LITTLE_ENDIAN => Some(Self::Implicit),
            uids::EXPLICIT_VR_LITTLE_ENDIAN => Some(Self::Explicit),
            _ => None,
        }
    }
}

impl Syntax {
    pub(super) fn uid(self) -> &'static str {
        match self {
            Self::Implicit => uids::IMPLICIT_VR_LITTLE_ENDIAN,
            Self::Explicit => uids::EXPLICIT_VR_LITTLE_ENDIAN,
        }
    }
}

/// Why a data set cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the data set ends inside an element")]
    Truncated,
    #[error("the data set has an item where none may be")]
    Item,
    #[error("sequences nest deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// The elements of one level.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elements<'a> {
    bytes: &'a [u8],
    syntax: Syntax,
    depth: u8,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    tag: Tag,
    length: u32,
    /// Bytes of the header.
    size: usize,
    /// Its items are in Implicit VR (PS3.5 section 6.2.2, note 4).
    is_unknown: bool,
}

impl<'a> Elements<'a> {
    /// # Errors
    /// When an element or item does not end where it says, at any depth of this level's undefined lengths.
    pub(super) fn parse(bytes: &'a [u8], syntax: Syntax) -> Result<Self, Malformed> {
        let elements = Self { bytes, syntax, depth: 0 };
        elements.walk(|_, _| {})?;
        Ok(elements)
    }

    /// Bytes of the value with this tag; `None` when there is none.
    pub(super) fn value(&self, tag: Tag) -> Option<&'a [u8]> {
        let mut found = None;
        let _ = self.walk(|header, value| {
            if header.tag == tag && found.is_none() {
                found = Some(value);
            }
        });
        found
    }

    /// The tags of this level.
    pub(super) fn tags(&self) -> impl Iterator<Item = Tag> + use<> {
        let mut tags = Vec::new();
        let _ = self.walk(|header, _| tags.push(header.tag));
        tags.into_iter()
    }

    /// Without padding; empty when there is none.
    pub(super) fn text(&self, tag: Tag) -> String {
        self.value(tag).map(plain_text).unwrap_or_default()
    }

    pub(super) fn number(&self, tag: Tag) -> Option<u16> {
        self.value(tag)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// The items of a sequence; none when it is absent or empty.
    ///
    /// # Errors
    /// When its value is no sequence.
    pub(super) fn items(&self, tag: Tag) -> Result<Vec<Self>, Malformed> {
        let mut found = None;
        self.walk(|header, value| {
            if header.tag == tag && found.is_none() {
                found = Some((header, value));
            }
        })?;
        let Some((header, value)) = found else { return Ok(Vec::new()) };
        if self.depth + 1 > MAX_DEPTH {
            return Err(Malformed::TooDeep);
        }
        let syntax = if header.is_unknown { Syntax::Implicit } else { self.syntax };
        let mut items = Vec::new();
        let mut rest = value;
        while !rest.is_empty() {
            let (content, used) = item(rest, syntax, self.depth + 1)?;
            let Some(content) = content else { break };
            let item = Self { bytes: content, syntax, depth: self.depth + 1 };
            item.walk(|_, _| {})?;
            items.push(item);
            rest = rest.get(used..).ok_or(Malformed::Truncated)?;
        }
        Ok(items)
    }

    /// Calls `seen` for each element of this level with the bytes of its value: for an undefined length without the
    /// delimitation.
    fn walk(&self, mut seen: impl FnMut(Header, &'a [u8])) -> Result<(), Malformed> {
        let mut rest = self.bytes;
        while !rest.is_empty() {
            let header = header(rest, self.syntax)?;
            if header.tag.0 == ITEM.0 {
                return Err(Malformed::Item);
            }
            let after = rest.get(header.size..).ok_or(Malformed::Truncated)?;
            let (value, used) = self.value_of(header, after)?;
            seen(header, value);
            rest = after.get(used..).ok_or(Malformed::Truncated)?;
        }
        Ok(())
    }

    fn value_of(&self, header: Header, after: &'a [u8]) -> Result<(&'a [u8], usize), Malformed> {
        if header.length != UNDEFINED {
            let length = length(header.length)?;
            return Ok((after.get(..length).ok_or(Malformed::Truncated)?, length));
        }
        let syntax = if header.is_unknown { Syntax::Implicit } else { self.syntax };
        let used = sequence_length(after, syntax, self.depth + 1)?;
        Ok((after.get(..used - DELIMITER).ok_or(Malformed::Truncated)?, used))
    }
}

/// Tag and length of an item or a delimitation.
const DELIMITER: usize = 8;

fn length(length: u32) -> Result<usize, Malformed> {
    usize::try_from(length).map_err(|_| Malformed::Truncated)
}

fn header(bytes: &[u8], syntax: Syntax) -> Result<Header, Malformed> {
    let &[g0, g1, e0, e1, a, b, c, d] = bytes.first_chunk().ok_or(Malformed::Truncated)?;
    let tag = (u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
    if syntax == Syntax::Implicit || tag.0 == ITEM.0 {
        return Ok(Header { tag, length: u32::from_le_bytes([a, b, c, d]), size: 8, is_unknown: false });
    }
    // PS3.5 section 7.1.2.
    let is_long = matches!(
        &[a, b],
        b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT" | b"UV"
    );
    if !is_long {
        return Ok(Header { tag, length: u32::from(u16::from_le_bytes([c, d])), size: 8, is_unknown: false });
    }
    let long = bytes.get(8..).and_then(|rest| rest.first_chunk()).ok_or(Malformed::Truncated)?;
    let is_unknown = [a, b] == *b"UN";
    Ok(Header { tag, length: u32::from_le_bytes(*long), size: 12, is_unknown })
}

/// The content of the item at the start of `bytes` and the bytes that it takes in all; no content at the end of a sequence.
fn item(bytes: &[u8], syntax: Syntax, depth: u8) -> Result<(Option<&[u8]>, usize), Malformed> {
    let header = header(bytes, syntax)?;
    match header.tag {
        SEQUENCE_END => Ok((None, DELIMITER)),
        ITEM if header.length == UNDEFINED => {
            let after = bytes.get(DELIMITER..).ok_or(Malformed::Truncated)?;
            let used = item_length(after, syntax, depth)?;
            Ok((after.get(..used - DELIMITER), DELIMITER + used))
        }
        ITEM => {
            let length = length(header.length)?;
            let content = bytes.get(DELIMITER..).and_then(|after| after.get(..length)).ok_or(Malformed::Truncated)?;
            Ok((Some(content), DELIMITER + length))
        }
        _ => Err(Malformed::Item),
    }
}

/// Bytes of a sequence of undefined length, its delimitation included.
fn sequence_length(bytes: &[u8], syntax: Syntax, depth: u8) -> Result<usize, Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::TooDeep);
    }
    let mut at = 0;
    loop {
        let (content, used) = item(bytes.get(at..).ok_or(Malformed::Truncated)?, syntax, depth)?;
        at += used;
        if content.is_none() {
            return Ok(at);
        }
    }
}

/// Bytes of an item of undefined length, its delimitation included.
fn item_length(bytes: &[u8], syntax: Syntax, depth: u8) -> Result<usize, Malformed> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).ok_or(Malformed::Truncated)?;
        let header = header(rest, syntax)?;
        at += header.size;
        if header.tag == ITEM_END {
            return Ok(at);
        }
        if header.tag.0 == ITEM.0 {
            return Err(Malformed::Item);
        }
        let after = bytes.get(at..).ok_or(Malformed::Truncated)?;
        at += if header.length == UNDEFINED {
            let syntax = if header.is_unknown { Syntax::Implicit } else { syntax };
            sequence_length(after, syntax, depth + 1)?
        } else {
            length(header.length)?
        };
    }
}

/// Writes a data set. Elements must be added in ascending order.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    syntax: Syntax,
}

impl Writer {
    pub(super) fn new(syntax: Syntax) -> Self {
        Self { bytes: Vec::new(), syntax }
    }

    pub(super) fn uid(&mut self, tag: Tag, uid: &str) {
        let mut value = uid.as_bytes().to_vec();
        if value.len() % 2 == 1 {
            value.push(0);
        }
        self.element(tag, *b"UI", &value);
    }

    pub(super) fn number(&mut self, tag: Tag, value: u16) {
        self.element(tag, *b"US", &value.to_le_bytes());
    }

    /// A number that is asked for.
    pub(super) fn number_unset(&mut self, tag: Tag) {
        self.element(tag, *b"US", &[]);
    }

    /// A text of ASCII characters in a value representation that is padded with a space; it may be empty.
    pub(super) fn text(&mut self, tag: Tag, vr: [u8; 2], text: &str) {
        self.bytes(tag, vr, text.as_bytes().to_vec());
    }

    /// A text in the character set of the data set; it may be empty. A UID is padded with NUL (PS3.5 section 6.2).
    pub(super) fn bytes(&mut self, tag: Tag, vr: [u8; 2], mut value: Vec<u8>) {
        if value.len() % 2 == 1 {
            value.push(if vr == *b"UI" { 0 } else { b' ' });
        }
        self.element(tag, vr, &value);
    }

    /// With items of defined length, which every peer reads.
    pub(super) fn sequence(&mut self, tag: Tag, items: impl IntoIterator<Item = Vec<u8>>) {
        let mut value = Vec::new();
        for item in items {
            put_tag(&mut value, ITEM);
            put_length(&mut value, item.len());
            value.extend(item);
        }
        self.element(tag, *b"SQ", &value);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn element(&mut self, tag: Tag, vr: [u8; 2], value: &[u8]) {
        put_tag(&mut self.bytes, tag);
        match self.syntax {
            Syntax::Implicit => put_length(&mut self.bytes, value.len()),
            Syntax::Explicit if [*b"SQ", *b"UR"].contains(&vr) => {
                self.bytes.extend(vr);
                self.bytes.extend([0, 0]);
                put_length(&mut self.bytes, value.len());
            }
            Syntax::Explicit => {
                self.bytes.extend(vr);
                self.bytes.extend(&value.len().to_le_bytes()[..2]);
            }
        }
        self.bytes.extend(value);
    }
}

fn put_tag(out: &mut Vec<u8>, (group, element): Tag) {
    out.extend(group.to_le_bytes());
    out.extend(element.to_le_bytes());
}

/// What we write is far below 4 GiB.
fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend(&length.to_le_bytes()[..4]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEQUENCE: Tag = (0x0008, 0x1199);
    const UID: Tag = (0x0008, 0x1155);

    fn two_items(syntax: Syntax) -> Vec<u8> {
        let item = |uid: &str| {
            let mut item = Writer::new(syntax);
            item.uid(UID, uid);
            item.finish()
        };
        let mut writer = Writer::new(syntax);
        writer.uid((0x0008, 0x1195), "1.2.3");
        writer.number((0x0008, 0x1197), 0x0112);
        writer.sequence(SEQUENCE, [item("1.2"), item("1.2.4")]);
        writer.finish()
    }

    #[test]
    fn what_was_written_is_read_in_both_syntaxes() {
        for syntax in [Syntax::Implicit, Syntax::Explicit] {
            let bytes = two_items(syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            assert_eq!(elements.text((0x0008, 0x1195)), "1.2.3");
            assert_eq!(elements.number((0x0008, 0x1197)), Some(0x0112));
            let items = elements.items(SEQUENCE).unwrap();
            let uids: Vec<_> = items.iter().map(|item| item.text(UID)).collect();
            assert_eq!(uids, ["1.2", "1.2.4"]);
            assert!(elements.items((0x0008, 0x1198)).unwrap().is_empty());
        }
    }

    /// The same sequence in undefined lengths, `deep` times in itself.
    fn nested(deep: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..deep {
            put_tag(&mut bytes, SEQUENCE);
            bytes.extend(UNDEFINED.to_le_bytes());
            put_tag(&mut bytes, ITEM);
            bytes.extend(UNDEFINED.to_le_bytes());
        }
        put_tag(&mut bytes, UID);
        put_length(&mut bytes, 4);
        bytes.extend(b"1.2\0");
        for _ in 0..deep {
            for end in [ITEM_END, SEQUENCE_END] {
                put_tag(&mut bytes, end);
                put_length(&mut bytes, 0);
            }
        }
        bytes
    }

    #[test]
    fn undefined_lengths_are_read_and_a_tower_of_sequences_is_refused() {
        let bytes = nested(2);
        let outer = Elements::parse(&bytes, Syntax::Implicit).unwrap().items(SEQUENCE).unwrap();
        let inner = outer[0].items(SEQUENCE).unwrap();
        assert_eq!((outer.len(), inner[0].text(UID).as_str()), (1, "1.2"));
        let tower = nested(100_000);
        assert!(matches!(Elements::parse(&tower, Syntax::Implicit), Err(Malformed::TooDeep)));
    }

    #[test]
    fn what_ends_too_early_or_holds_an_item_outside_a_sequence_is_malformed() {
        let bytes = two_items(Syntax::Explicit);
        for cut in (1..bytes.len()).filter(|cut| ![14, 24].contains(cut)) {
            assert!(Elements::parse(&bytes[..cut], Syntax::Explicit).is_err(), "{cut}");
        }
        let mut stray = Vec::new();
        put_tag(&mut stray, ITEM);
        put_length(&mut stray, 0);
        assert!(matches!(Elements::parse(&stray, Syntax::Implicit), Err(Malformed::Item)));
        let mut no_sequence = Writer::new(Syntax::Implicit);
        no_sequence.uid(SEQUENCE, "1.2.3.4.5");
        let bytes = no_sequence.finish();
        assert!(Elements::parse(&bytes, Syntax::Implicit).unwrap().items(SEQUENCE).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for syntax in [Syntax::Implicit, Syntax::Explicit] {
                if let Ok(elements) = Elements::parse(&bytes, syntax) {
                    let _ = elements.items(SEQUENCE);
                    let _ = elements.text(UID);
                }
            }
        }
    }
}
