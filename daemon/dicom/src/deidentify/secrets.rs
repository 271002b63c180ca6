//! What tells whose an image is, and where it is still found. It reads the source by itself and looks at bytes: an error of the
//! cleaning is not one of the search.

use std::collections::{BTreeSet, HashSet};

use dicom_core::header::Header;
use dicom_core::{Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::{NO_DATE, OF_THE_STANDARD, profile};
use crate::pixels::{DecodeError, parse};
use crate::scan::{self, RawElement};
use crate::text::{encoded, is_date};

/// Character sets in which a name may have been written (PS3.3 section C.12.1.1.2).
const CHARACTER_SETS: [&str; 10] = [
    "ISO_IR 192",
    "GB18030",
    "GBK",
    "ISO_IR 100",
    "ISO_IR 101",
    "ISO_IR 144",
    "ISO_IR 126",
    "ISO_IR 127",
    "ISO 2022 IR 87",
    "ISO 2022 IR 149",
];
/// Shorter words of names are in any text.
const SHORTEST_WORD: usize = 3;
/// From here on a text counts within other words as well, and is looked for in bytes that are no text.
const LONG: usize = 6;
/// Shorter texts in objects are found only where a value is nothing else.
const SHORTEST_WITHIN: usize = 4;

/// The shortest that are looked for, bytes: of digits only, and others. Files of ours hold numbers, and so do reports.
#[derive(Debug, Clone, Copy)]
struct Least(usize, usize);

const IN_BYTES: Least = Least(LONG, LONG);
const IN_FILES: Least = Least(LONG, 4);
const IN_WORDS: Least = Least(4, 2);
const IN_VALUES: Least = Least(2, 2);
/// Private texts that are shorter are words that many files have.
const SHORTEST_PRIVATE: usize = 8;

/// What the scanner is.
const MACHINE: [Tag; 3] = [tags::MANUFACTURER, tags::MANUFACTURER_MODEL_NAME, tags::SOFTWARE_VERSIONS];

/// How sure a find is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A whole name, an ID, a place: it is looked for everywhere.
    Whole,
    /// Year, month and day.
    Date,
    /// A word of a person's name, which may be a word of the language, too.
    Word,
    /// Text of a manufacturer's own attributes: looked for in objects only.
    Private,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Needle {
    kind: Kind,
    /// The attribute that has it in the source.
    of: Tag,
    /// Lower case as far as it is ASCII, in one character set.
    bytes: Vec<u8>,
}

/// Something of the source that was found; its value is not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// The attribute that has it in the source.
    pub of: Tag,
    /// Bytes from the begin of what was searched.
    pub at: usize,
}

/// What identifies, of all objects of a case.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    needles: BTreeSet<Needle>,
    uids: HashSet<String>,
    /// What may be found, since a person allows it.
    harmless: BTreeSet<Vec<u8>>,
    /// Values of the standard's attributes that identify nobody: private ones often repeat them.
    common: BTreeSet<Vec<u8>>,
    /// What the scanner is: it stays, and stations are often called like it.
    machine: BTreeSet<Vec<u8>>,
}

/// One character again and again, as in the serial number 000000: it names no device or place, and midnight is written like that. Of
/// a patient it may be an ID.
fn is_filler(tag: Tag, value: &str) -> bool {
    let mut characters = value.chars();
    let first = characters.next();
    tag.group() != 0x0010 && characters.all(|one| Some(one) == first)
}

impl Secrets {
    /// # Errors
    /// When the object cannot be parsed.
    pub fn add(&mut self, part10: &[u8]) -> Result<(), DecodeError> {
        let set = parse::whole(part10)?.into_inner();
        self.add_set(&set);
        // As it is in the file: the character set that it declares may not be that of its bytes.
        if let Ok(scan) = scan::scan(std::io::Cursor::new(part10)) {
            for RawElement { tag, value, .. } in scan.elements.iter().filter(|one| one.vr == VR::PN) {
                let value = trimmed(value);
                if !value.is_ascii() {
                    self.whole(*tag, value.to_vec());
                }
            }
        }
        Ok(())
    }

    fn add_set(&mut self, set: &InMemDicomObject) {
        for element in set.iter() {
            let (tag, vr) = (element.tag(), element.vr());
            element.items().unwrap_or_default().iter().for_each(|item| self.add_set(item));
            if !is_text(vr) {
                continue;
            }
            let Ok(values) = element.value().to_multi_str() else { continue };
            for value in values.iter().map(|value| value.trim_matches(['\0', ' '])).filter(|value| !value.is_empty()) {
                self.add_value(tag, vr, value);
            }
        }
    }

    fn add_value(&mut self, tag: Tag, vr: VR, value: &str) {
        let private = tag.group() % 2 == 1 && tag.element() > 0x00ff;
        if MACHINE.contains(&tag) {
            self.machine.insert(lower(value.as_bytes()));
        }
        match vr {
            VR::PN => self.name(tag, value),
            VR::DA | VR::DT => {
                if let Some(date) = value.get(..8).filter(|date| is_date(date)) {
                    self.date(tag, date);
                }
            }
            VR::UI if value.starts_with(OF_THE_STANDARD) => {}
            VR::UI => drop(self.uids.insert(value.to_owned())),
            _ if is_filler(tag, value) => {}
            _ if profile::identifies(tag) => self.text(Kind::Whole, tag, value),
            _ if private && value.len() >= SHORTEST_PRIVATE => self.text(Kind::Private, tag, value),
            _ if !private => drop(self.common.insert(lower(value.as_bytes()))),
            _ => {}
        }
    }

    /// A text that may be found: somebody says that it is no name here.
    pub fn allow(&mut self, text: &str) {
        self.harmless.insert(lower(text.trim().as_bytes()));
    }

    /// What a person names on purpose is not looked for, unless it is the patient's.
    pub fn excuse(&mut self, text: &str) {
        let ways = as_written(text).map(|text| lower(text.as_bytes()));
        let is_excused = |needle: &Needle| ways.iter().any(|text| needle.place(text).is_some());
        self.needles.retain(|needle| needle.of.group() == 0x0010 || !is_excused(needle));
    }

    /// How many different things are looked for.
    pub fn count(&self) -> usize {
        self.needles.len() + self.uids.len()
    }

    /// A person's name: as written, its parts in the orders in which people write them, and its words.
    fn name(&mut self, of: Tag, value: &str) {
        self.text(Kind::Whole, of, value);
        for group in value.split('=') {
            let parts: Vec<&str> = group.split('^').map(str::trim).filter(|part| !part.is_empty()).collect();
            let words: Vec<&str> = group.split(['^', ' ', ',', '-']).filter(|word| !word.is_empty()).collect();
            let turned: Vec<&str> = parts.iter().rev().copied().collect();
            if parts.len() > 1 {
                let two = [parts[1], parts[0]];
                for order in [&parts[..], &turned[..], &parts[..2], &two[..]] {
                    for between in [" ", ", ", "^", "", "_", "-", "."] {
                        self.text(Kind::Whole, of, &order.join(between));
                    }
                }
            }
            for word in words {
                let long = if word.is_ascii() { word.len() >= SHORTEST_WORD } else { word.chars().count() > 1 };
                if long {
                    self.text(Kind::Word, of, word);
                }
            }
        }
    }

    /// The day as DICOM and as people write it.
    fn date(&mut self, of: Tag, date: &str) {
        if date == NO_DATE {
            return;
        }
        let (year, month, day) = (&date[..4], &date[4..6], &date[6..8]);
        let plain = |text: &str| text.trim_start_matches('0').to_owned();
        for text in [
            date.to_owned(),
            format!("{year}-{month}-{day}"),
            format!("{year}/{month}/{day}"),
            format!("{year}.{month}.{day}"),
            format!("{day}.{month}.{year}"),
            format!("{day}/{month}/{year}"),
            format!("{month}/{day}/{year}"),
            format!("{}.{}.{year}", plain(day), plain(month)),
            format!("{}/{}/{year}", plain(day), plain(month)),
            format!("{}/{}/{year}", plain(month), plain(day)),
            format!("{year}\u{5e74}{month}\u{6708}{day}\u{65e5}"),
            format!("{year}\u{5e74}{}\u{6708}{}\u{65e5}", plain(month), plain(day)),
        ] {
            self.needles.insert(Needle { kind: Kind::Date, of, bytes: text.into_bytes() });
        }
        let name = month.parse().ok().and_then(|month: usize| MONTHS.get(month.checked_sub(1)?));
        for name in name.into_iter().flat_map(|whole| [*whole, &whole[..3]]) {
            let day = plain(day);
            for text in
                [format!("{day} {name} {year}"), format!("{day}. {name} {year}"), format!("{name} {day}, {year}")]
            {
                self.needles.insert(Needle { kind: Kind::Date, of, bytes: text.into_bytes() });
            }
        }
    }

    /// In every character set that has it.
    fn text(&mut self, kind: Kind, of: Tag, text: &str) {
        // One character tells nothing, and is everywhere.
        if text.chars().count() < 2 {
            return;
        }
        if text.is_ascii() {
            self.needles.insert(Needle { kind, of, bytes: lower(text.as_bytes()) });
            return;
        }
        let all = CHARACTER_SETS.iter().filter_map(|term| encoded(text, term)).filter(|bytes| !bytes.contains(&b'?'));
        for bytes in all.chain([text.as_bytes().to_vec(), text.to_lowercase().into_bytes()]) {
            self.needles.insert(Needle { kind, of, bytes: lower(&bytes) });
        }
        for bytes in without_marks(text).into_iter().filter(|text| text.is_ascii()) {
            self.needles.insert(Needle { kind, of, bytes: bytes.into_bytes() });
        }
    }

    fn whole(&mut self, of: Tag, bytes: Vec<u8>) {
        self.needles.insert(Needle { kind: Kind::Whole, of, bytes: lower(&bytes) });
    }

    /// In a text that a person wrote: names, IDs and days, and single words of names.
    pub fn in_words(&self, text: &str) -> Option<Find> {
        let all = [Kind::Whole, Kind::Date, Kind::Word];
        as_written(text)
            .into_iter()
            .find_map(|text| self.search(text.as_bytes(), &all, IN_WORDS))
            .or_else(|| self.uid(text.as_bytes()))
    }

    /// In a file of text, or the name of a file.
    pub fn in_text(&self, text: &[u8]) -> Option<Find> {
        self.search(text, &[Kind::Whole, Kind::Date], IN_FILES).or_else(|| self.uid(text))
    }

    /// In a Part 10 file, but for its pixels: in every value by itself, and in the bytes as they are.
    ///
    /// # Errors
    /// When the file cannot be parsed.
    pub fn in_object(&self, part10: &[u8]) -> Result<Option<Find>, DecodeError> {
        let object = parse::whole(part10)?;
        let header = scan::scan(std::io::Cursor::new(part10));
        let header = header.map_err(|error| DecodeError::DataSet { reason: error.to_string() })?.header;
        let pixels = header.pixel_data.map_or(part10.len()..part10.len(), |place| {
            let begin = usize::try_from(place.offset).unwrap_or(usize::MAX).min(part10.len());
            let length = usize::try_from(place.length).unwrap_or(usize::MAX);
            begin..begin.saturating_add(length).min(part10.len())
        });
        for rest in [&part10[..pixels.start], &part10[pixels.end..]] {
            let all = [Kind::Whole, Kind::Date, Kind::Private];
            if let Some(find) = self.search(rest, &all, IN_BYTES).or_else(|| self.uid(rest)) {
                return Ok(Some(find));
            }
        }
        Ok(self.in_set(&object))
    }

    /// Values of text, one by one: short ones and single words count here, too. But a manufacturer may be called like a patient.
    fn in_set(&self, set: &InMemDicomObject) -> Option<Find> {
        set.iter().find_map(|element| {
            let within = element.items().unwrap_or_default().iter().find_map(|item| self.in_set(item));
            let coded = matches!(element.vr(), VR::CS | VR::UI | VR::DA | VR::DT | VR::IS | VR::DS | VR::AS);
            if within.is_some() || coded || !is_text(element.vr()) {
                return within;
            }
            let value = element.value().to_str().ok()?;
            let kinds: &[Kind] = match MACHINE.contains(&element.tag()) {
                true => &[Kind::Whole, Kind::Date],
                false => &[Kind::Whole, Kind::Date, Kind::Word],
            };
            self.search(value.trim_matches(['\0', ' ']).as_bytes(), kinds, IN_VALUES)
        })
    }

    fn search(&self, bytes: &[u8], kinds: &[Kind], least: Least) -> Option<Find> {
        let bytes = lower(bytes);
        let wanted = |needle: &&Needle| {
            let shortest = if needle.is_digits() { least.0 } else { least.1 };
            let within = needle.kind != Kind::Whole || needle.bytes.len() >= SHORTEST_WITHIN || least.0 != IN_VALUES.0;
            let long = needle.bytes.len() >= shortest && (within || needle.bytes == bytes);
            let common = needle.kind == Kind::Private && self.common.contains(&needle.bytes);
            let of_machine = || self.machine.iter().any(|text| find(text, &needle.bytes).is_some());
            let looked_for = kinds.contains(&needle.kind) && long && !common && !self.harmless.contains(&needle.bytes);
            looked_for && (needle.of.group() == 0x0010 || !of_machine())
        };
        self.needles.iter().filter(wanted).find_map(|needle| needle.place(&bytes).map(|at| Find { of: needle.of, at }))
    }

    /// UIDs are looked up whole, as there are thousands of them.
    fn uid(&self, bytes: &[u8]) -> Option<Find> {
        let part = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let mut at = 0;
        for run in bytes.split(|byte| !part(byte)) {
            let text = std::str::from_utf8(run).unwrap_or_default().trim_matches('.');
            if text.len() > 1 && self.uids.contains(text) {
                return Some(Find { of: tags::SOP_INSTANCE_UID, at });
            }
            at += run.len() + 1;
        }
        None
    }
}

impl Needle {
    fn is_digits(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_digit)
    }

    /// Where it is, as a word of its own; what is long or no ASCII counts within other words as well.
    fn place(&self, bytes: &[u8]) -> Option<usize> {
        let long = self.kind != Kind::Word && self.bytes.len() >= LONG || !self.bytes.is_ascii();
        let digits = self.is_digits();
        let joins = |byte: Option<&u8>| {
            byte.is_some_and(|byte| if digits { byte.is_ascii_digit() } else { !long && byte.is_ascii_alphanumeric() })
        };
        let mut from = 0;
        while let Some(found) = find(&bytes[from..], &self.bytes) {
            let (begin, end) = (from + found, from + found + self.bytes.len());
            let before = begin.checked_sub(1).and_then(|at| bytes.get(at));
            // A day begins a longer value with the time.
            let after = bytes.get(end).filter(|_| self.kind != Kind::Date);
            if !joins(before) && !joins(after) {
                return Some(begin);
            }
            from = begin + 1;
        }
        None
    }
}

fn is_text(vr: VR) -> bool {
    use VR::{AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, UC, UI, UR, UT};
    matches!(vr, AE | AS | CS | DA | DS | DT | IS | LO | LT | PN | SH | ST | UC | UI | UR | UT)
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| byte == first) {
        if bytes[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// A text as it is, in lower case, and as [`without_marks`].
fn as_written(text: &str) -> [String; 4] {
    let [short, long] = without_marks(text);
    [text.to_owned(), text.to_lowercase(), short, long]
}

/// A name as people write it who have no key for its letters, in both ways: Muller and Mueller. Lower case.
fn without_marks(text: &str) -> [String; 2] {
    let letter = |long: bool| {
        move |one: char| match one {
            '\u{300}'..='\u{36f}' => String::new(),
            '\u{e4}' if long => "ae".into(),
            '\u{f6}' | '\u{f8}' if long => "oe".into(),
            '\u{fc}' if long => "ue".into(),
            '\u{e5}' if long => "aa".into(),
            '\u{df}' => "ss".into(),
            other => {
                let plain = PLAIN.iter().find(|(_, marked)| marked.contains(other)).map_or(other, |(plain, _)| *plain);
                plain.into()
            }
        }
    };
    [false, true].map(|long| text.to_lowercase().chars().map(letter(long)).collect())
}

/// Latin letters with marks, as the character sets of DICOM have them (ISO 8859-1 and 8859-2).
const PLAIN: [(char, &str); 15] = [
    ('a', "\u{e0}\u{e1}\u{e2}\u{e3}\u{e4}\u{e5}\u{103}\u{105}"),
    ('c', "\u{e7}\u{107}\u{10d}"),
    ('d', "\u{10f}\u{111}"),
    ('e', "\u{e8}\u{e9}\u{ea}\u{eb}\u{119}\u{11b}"),
    ('g', "\u{11f}"),
    ('i', "\u{ec}\u{ed}\u{ee}\u{ef}\u{131}"),
    ('l', "\u{142}\u{13a}\u{13e}"),
    ('n', "\u{f1}\u{144}\u{148}"),
    ('o', "\u{f2}\u{f3}\u{f4}\u{f5}\u{f6}\u{f8}\u{151}"),
    ('r', "\u{155}\u{159}"),
    ('s', "\u{15b}\u{15f}\u{161}"),
    ('t', "\u{163}\u{165}"),
    ('u', "\u{f9}\u{fa}\u{fb}\u{fc}\u{16f}\u{171}"),
    ('y', "\u{fd}\u{ff}"),
    ('z', "\u{17a}\u{17c}\u{17e}"),
];

/// In lower case, as what is searched.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

fn lower(bytes: &[u8]) -> Vec<u8> {
    bytes.to_ascii_lowercase()
}

fn trimmed(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| *byte != 0 && *byte != b' ').map_or(0, |last| last + 1);
    &value[..end]
}
