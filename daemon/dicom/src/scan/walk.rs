//! Traverses the structure of a data set (PS3.5 chapter 7) with an explicit stack instead of recursion. Every length is
//! checked against the remaining bytes, and every step consumes bytes or closes a level.

use std::io::{Read, Seek};

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};

use super::collect::{Place, Values};
use super::source::Source;
use super::{MAX_DEPTH, MAX_VALUE, ScanError};

const UNDEFINED: u32 = u32::MAX;
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_DELIMITER: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_DELIMITER: Tag = Tag(0xFFFE, 0xE0DD);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    explicit: bool,
    pub(super) big_endian: bool,
}

impl Syntax {
    const IMPLICIT: Self = Self { explicit: false, big_endian: false };

    /// All other transfer syntaxes, private ones included, are explicit little endian (PS3.5 section A.4).
    pub(super) fn of(transfer_syntax_uid: &str) -> Self {
        #[allow(deprecated)] // retired, still sent
        match transfer_syntax_uid {
            // 1.2.840.113619.5.2: GE, implicit little endian with big-endian pixels.
            uids::IMPLICIT_VR_LITTLE_ENDIAN | "1.2.840.113619.5.2" => Self::IMPLICIT,
            uids::EXPLICIT_VR_BIG_ENDIAN => Self { explicit: true, big_endian: true },
            _ => Self { explicit: true, big_endian: false },
        }
    }

    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn tag(self, head: [u8; 8]) -> Tag {
        Tag(self.u16([head[0], head[1]]), self.u16([head[2], head[3]]))
    }

    fn length(self, head: [u8; 8]) -> u32 {
        self.u32([head[4], head[5], head[6], head[7]])
    }
}

/// An open sequence or item.
#[derive(Debug, Clone, Copy)]
struct Level {
    kind: LevelKind,
    /// Offset of its end; `None`: it ends with a delimiter.
    end: Option<u64>,
    /// Offset beyond which no element inside may extend; `None` only while inflating.
    limit: Option<u64>,
    syntax: Syntax,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LevelKind {
    Sequence(Tag),
    Item,
}

struct Element {
    tag: Tag,
    vr: VR,
    length: u32,
}

/// Visits every element of the data set and passes the wanted ones to `values`.
pub(super) fn walk<R: Read + Seek>(
    source: &mut Source<R>,
    syntax: Syntax,
    values: &mut Values,
) -> Result<(), ScanError> {
    let root = Level { kind: LevelKind::Item, end: None, limit: source.end(), syntax };
    let mut stack: Vec<Level> = Vec::new();
    loop {
        while stack.last().and_then(|level| level.end).is_some_and(|end| end <= source.position()) {
            stack.pop();
        }
        let level = stack.last().copied().unwrap_or(root);
        let offset = source.position();
        if !stack.is_empty() && level.limit.is_some_and(|limit| limit < offset + 8) {
            return Err(ScanError::EndsInside { offset });
        }
        let mut head = [0; 8];
        let got = source.fill(&mut head)?;
        if got < head.len() {
            // Up to seven zero bytes after the last element are padding.
            let padding = stack.is_empty() && head[..got].iter().all(|byte| *byte == 0);
            return if padding { Ok(()) } else { Err(ScanError::EndsInside { offset }) };
        }
        let tag = level.syntax.tag(head);
        match (level.kind, tag) {
            (LevelKind::Sequence(_), ITEM) => {
                let end = defined_end(source, &level, tag, level.syntax.length(head))?;
                stack.push(Level { kind: LevelKind::Item, end, limit: end.or(level.limit), ..level });
            }
            (LevelKind::Sequence(_), SEQUENCE_DELIMITER) => {
                if level.end.is_none() {
                    stack.pop();
                }
            }
            (LevelKind::Sequence(sequence), _) => {
                return Err(malformed(offset, format!("{tag} where an item of {sequence} should be")));
            }
            // Some devices write a superfluous delimiter after items of defined length.
            (LevelKind::Item, ITEM_DELIMITER) => {
                if !stack.is_empty() && level.end.is_none() {
                    stack.pop();
                }
            }
            (LevelKind::Item, SEQUENCE_DELIMITER) if stack.is_empty() => {}
            (LevelKind::Item, ITEM | SEQUENCE_DELIMITER) => {
                return Err(malformed(offset, format!("{tag} where an element should be")));
            }
            // Zeros up to the end of the file are padding.
            (LevelKind::Item, Tag(0, 0)) if stack.is_empty() && head == [0; 8] => return only_zeros(source, offset),
            (LevelKind::Item, _) => {
                let element = element(source, level.syntax, head, offset)?;
                if let Some(inner) = visit(source, &level, &element, &stack, values)? {
                    if stack.len() >= 2 * MAX_DEPTH {
                        return Err(ScanError::TooDeep);
                    }
                    stack.push(inner);
                }
            }
        }
    }
}

fn malformed(offset: u64, what: String) -> ScanError {
    ScanError::Malformed { offset, what }
}

/// Reads the rest of an element header.
fn element<R: Read + Seek>(
    source: &mut Source<R>,
    syntax: Syntax,
    head: [u8; 8],
    offset: u64,
) -> Result<Element, ScanError> {
    let tag = syntax.tag(head);
    if !syntax.explicit {
        return Ok(Element { tag, vr: dictionary_vr(tag), length: syntax.length(head) });
    }
    let letters = [head[4], head[5]];
    if !letters.iter().all(u8::is_ascii_uppercase) {
        return Err(malformed(offset, format!("{tag} has no value representation")));
    }
    let length = if is_long(letters) { syntax.u32(source.exact()?) } else { u32::from(syntax.u16([head[6], head[7]])) };
    Ok(Element { tag, vr: VR::from_binary(letters).unwrap_or(VR::UN), length })
}

/// Handles one element. Returns the level to enter when it is a sequence; otherwise its value has been read or skipped.
fn visit<R: Read + Seek>(
    source: &mut Source<R>,
    level: &Level,
    element: &Element,
    stack: &[Level],
    values: &mut Values,
) -> Result<Option<Level>, ScanError> {
    let Element { tag, vr, length } = *element;
    let undefined = length == UNDEFINED;
    let start = source.position();
    if undefined && tag == tags::PIXEL_DATA {
        fragments(source, level)?;
        if stack.is_empty() {
            values.pixels(start, source.position() - start, true);
        }
        return Ok(None);
    }
    if undefined || vr == VR::SQ {
        if stack.is_empty() {
            values.sequence(tag);
        }
        let end = defined_end(source, level, tag, length)?;
        // The content of UN with undefined length is implicit little endian (PS3.5 section 6.2.2 note 2).
        let syntax = if vr == VR::UN { Syntax::IMPLICIT } else { level.syntax };
        return Ok(Some(Level { kind: LevelKind::Sequence(tag), end, limit: end.or(level.limit), syntax }));
    }
    let length = u64::from(length);
    check(start, level, tag, length)?;
    values.measure(tag, vr, length);
    let place = place(stack);
    if length <= MAX_VALUE && values.wants(place, tag) {
        let vr = if vr == VR::UN { dictionary_vr(tag) } else { vr };
        let value = value(source, tag, length)?;
        values.take(place, tag, vr, value, level.syntax);
        return Ok(None);
    }
    if stack.is_empty() && matches!(tag, tags::PIXEL_DATA | tags::FLOAT_PIXEL_DATA | tags::DOUBLE_FLOAT_PIXEL_DATA) {
        values.pixels(start, length, false);
    }
    skip_value(source, tag, length)?;
    Ok(None)
}

fn place(stack: &[Level]) -> Place {
    match stack.first().map(|level| level.kind) {
        None => Place::Root,
        Some(LevelKind::Sequence(
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE | tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        )) => Place::FunctionalGroups,
        Some(LevelKind::Sequence(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)) => step_place(stack),
        Some(LevelKind::Sequence(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE)) if stack.len() == 2 => Place::RequestedCode,
        Some(LevelKind::Sequence(tags::REFERENCED_STUDY_SEQUENCE)) if stack.len() == 2 => Place::ReferencedStudy,
        Some(LevelKind::Sequence(tags::MULTIENERGY_CT_CHARACTERISTICS_SEQUENCE)) => Place::MultiEnergy,
        Some(LevelKind::Sequence(tags::VIEW_CODE_SEQUENCE)) => view_place(stack),
        Some(LevelKind::Sequence(tags::PARTIAL_VIEW_CODE_SEQUENCE)) if stack.len() == 2 => Place::PartialView,
        Some(_) => Place::Elsewhere,
    }
}

/// Where in a scheduled step: in its protocol codes, or anywhere else.
fn step_place(stack: &[Level]) -> Place {
    match (stack.len(), stack.get(2).map(|level| level.kind)) {
        (4, Some(LevelKind::Sequence(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE))) => Place::ProtocolCode,
        _ => Place::ScheduledStep,
    }
}

/// Where in the view code: in its item itself, or in an item of the modifiers inside it.
fn view_place(stack: &[Level]) -> Place {
    match (stack.len(), stack.get(2).map(|level| level.kind)) {
        (2, _) => Place::ViewCode,
        (4, Some(LevelKind::Sequence(tags::VIEW_MODIFIER_CODE_SEQUENCE))) => Place::ViewModifier,
        _ => Place::Elsewhere,
    }
}

/// Passes over encapsulated pixel data (PS3.5 A.4): items of defined length up to the sequence delimiter.
fn fragments<R: Read + Seek>(source: &mut Source<R>, level: &Level) -> Result<(), ScanError> {
    loop {
        let offset = source.position();
        let head = source.exact()?;
        let length = level.syntax.length(head);
        match level.syntax.tag(head) {
            SEQUENCE_DELIMITER => return Ok(()),
            ITEM if length != UNDEFINED => {
                check(source.position(), level, ITEM, u64::from(length))?;
                skip_value(source, ITEM, u64::from(length))?;
            }
            tag => return Err(malformed(offset, format!("{tag} where a fragment of the pixel data should be"))),
        }
    }
}

fn only_zeros<R: Read + Seek>(source: &mut Source<R>, offset: u64) -> Result<(), ScanError> {
    let mut block = [0; 4096];
    loop {
        match source.fill(&mut block)? {
            0 => return Ok(()),
            got if block[..got].iter().any(|byte| *byte != 0) => {
                return Err(malformed(offset, "an element header of zeros".into()));
            }
            _ => {}
        }
    }
}

fn defined_end<R: Read + Seek>(
    source: &Source<R>,
    level: &Level,
    tag: Tag,
    length: u32,
) -> Result<Option<u64>, ScanError> {
    if length == UNDEFINED {
        return Ok(None);
    }
    check(source.position(), level, tag, u64::from(length))?;
    Ok(Some(source.position() + u64::from(length)))
}

fn check(position: u64, level: &Level, tag: Tag, needed: u64) -> Result<(), ScanError> {
    let Some(limit) = level.limit else { return Ok(()) };
    let remaining = limit.saturating_sub(position);
    if needed > remaining { Err(ScanError::Truncated { tag, needed, remaining }) } else { Ok(()) }
}

/// Reads a value. The caller has bounded `length`.
pub(super) fn value<R: Read + Seek>(source: &mut Source<R>, tag: Tag, length: u64) -> Result<Vec<u8>, ScanError> {
    let size = usize::try_from(length).map_err(|_| ScanError::Truncated { tag, needed: length, remaining: 0 })?;
    let mut value = vec![0; size];
    let got = source.fill(&mut value)? as u64;
    if got < length { Err(ScanError::Truncated { tag, needed: length, remaining: got }) } else { Ok(value) }
}

pub(super) fn skip_value<R: Read + Seek>(source: &mut Source<R>, tag: Tag, length: u64) -> Result<(), ScanError> {
    let skipped = source.skip(length)?;
    if skipped < length { Err(ScanError::Truncated { tag, needed: length, remaining: skipped }) } else { Ok(()) }
}

/// Whether a value representation has a 32-bit length in explicit encodings (PS3.5 section 7.1.2).
pub(super) fn is_long(letters: [u8; 2]) -> bool {
    const SHORT: [&[u8; 2]; 21] = [
        b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
        b"ST", b"TM", b"UI", b"UL", b"US",
    ];
    !SHORT.contains(&&letters)
}

fn dictionary_vr(tag: Tag) -> VR {
    if tag.group() % 2 == 1 {
        return VR::UN;
    }
    StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed())
}
