//! Compares what the scanner's screen says with the patient of an exam. Pure.
//!
//! A reading may be wrong, so there are three answers. Only a name that is read letter by letter agrees; only a text that was
//! read surely and is another name, or one that is quite unlike, differs; all else is unclear, with the reason. Letters
//! that look alike (O and 0, I and l) count as one, on both sides.

use dicom::patient::Patient;
use serde::{Deserialize, Serialize};

use crate::text::{Letter, Line};

/// What an area of text shows of the patient: the key `says` of a scanner profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// The name, perhaps with other facts: `patient`.
    Name,
    /// The ID only: `patient id`.
    Id,
}

impl Shows {
    pub fn of(says: &str) -> Option<Self> {
        match says {
            "patient" => Some(Self::Name),
            "patient id" => Some(Self::Id),
            _ => None,
        }
    }
}

/// What is done when the scanner's screen shows another patient than the one of the exam. The screen is read where the
/// scanner profile has an area that says `patient` or `patient id`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NameCheck {
    /// The exam of another patient is not begun, unless whoever begins it insists.
    #[default]
    Refuse,
    /// It is said, and nothing else.
    Tell,
    /// The screen is not read.
    Off,
}

/// What was read from the scanner's screen.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Screen {
    /// The scanner profile does not say where the patient stands, or the screen is not read.
    #[default]
    NoArea,
    /// There was no new picture, or reading failed.
    NotRead,
    Shows(OnScreen),
}

/// What the scanner's screen showed of its patient.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OnScreen {
    pub name: Vec<Line>,
    pub id: Vec<Line>,
}

/// Whether the screen shows the patient of the exam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", content = "reason", rename_all = "snake_case")]
pub enum Agreement {
    Agrees,
    /// The screen shows another patient.
    Differs,
    Unclear(Unclear),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unclear {
    /// The screen was not looked at, or not lately.
    NotRead,
    /// Where the patient should stand, nothing is written.
    Nothing,
    /// The text could not be read surely.
    Unsure,
    /// The screen writes names with other characters than the order.
    OtherScript,
    /// The name is there, with other words around it.
    MoreThanName,
}

impl Agreement {
    /// As its JSON and the bus name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs => "differs",
            Self::Unclear(_) => "unclear",
        }
    }

    /// A part of a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Self::Agrees => "the scanner's screen shows this patient",
            Self::Differs => "the scanner's screen shows another patient",
            Self::Unclear(Unclear::NotRead) => "the patient on the scanner's screen was not read",
            Self::Unclear(Unclear::Nothing) => "the scanner's screen shows no patient",
            Self::Unclear(Unclear::Unsure) => "the patient on the scanner's screen cannot be read surely",
            Self::Unclear(Unclear::OtherScript) => "the scanner's screen writes names with other characters",
            Self::Unclear(Unclear::MoreThanName) => "the scanner's screen shows this name among other words",
        }
    }
}

/// A letter that the network was at least so sure of was read.
const SURE: f32 = 0.85;
/// A text whose letters have this mean, and that has this share of the letters of the name, is not a torn or blurred one.
const LEGIBLE: f32 = 0.75;
const WHOLE: f32 = 0.6;
/// An ID that is shorter than this is found by chance.
const LEAST_ID: usize = 4;

/// Whether the screen shows this patient. A name and an ID that contradict each other are another patient.
pub fn compare(screen: &OnScreen, patient: &Patient) -> Agreement {
    let name = compare_name(&screen.name, &patient.name);
    let id = compare_id(&screen.id, &patient.id);
    match (name, id) {
        (Agreement::Differs, _) | (_, Agreement::Differs) => Agreement::Differs,
        (Agreement::Agrees, _) | (_, Agreement::Agrees) => Agreement::Agrees,
        (Agreement::Unclear(Unclear::Nothing), unclear) => unclear,
        (unclear, _) => unclear,
    }
}

fn compare_name(lines: &[Line], name: &str) -> Agreement {
    let wanted = spellings(name);
    let whole = Text::of(lines);
    if whole.letters() < 2 {
        return Agreement::Unclear(Unclear::Nothing);
    }
    let found = whole.holds(&wanted);
    match found {
        Some(true) => return Agreement::Agrees,
        Some(false) => return Agreement::Unclear(Unclear::MoreThanName),
        None => {}
    }
    let comparable = |word: &[char]| word.iter().any(|c| is_ideograph(*c)) == whole.is_ideographic();
    let Some((errors, length)) =
        wanted.iter().filter(|word| comparable(word)).map(|word| (whole.errors(word), word.len())).min()
    else {
        return Agreement::Unclear(Unclear::OtherScript);
    };
    let unlike = 3 * errors >= length && errors >= 2 && whole.letters() as f32 >= WHOLE * length as f32;
    let is_sure = whole.least() >= SURE && !wanted.iter().any(|word| whole.holds_around_a_sign(word));
    if is_sure || (unlike && whole.mean() >= LEGIBLE) {
        return Agreement::Differs;
    }
    Agreement::Unclear(Unclear::Unsure)
}

/// Only the ID and its label agree, character by character: for two patients of one name there is nothing else.
fn compare_id(lines: &[Line], id: &str) -> Agreement {
    let plain = |text: &str| text.to_uppercase().chars().filter(|c| c.is_alphanumeric()).collect::<String>();
    let alike = |text: &str| folded(text).collect::<String>();
    let letters = || lines.iter().flat_map(|line| &line.0).filter(|letter| letter.character.is_alphanumeric());
    let (read, wanted) = (plain(&letters().map(|letter| letter.character).collect::<String>()), plain(id));
    if read.chars().count() < LEAST_ID || wanted.chars().count() < LEAST_ID {
        return Agreement::Unclear(Unclear::Nothing);
    }
    let least = letters().map(|letter| letter.sure).fold(1.0, f32::min);
    let number = LABELS_OF_ID.iter().find_map(|label| read.strip_prefix(label)).unwrap_or(&read);
    if (number == wanted || read == wanted) && least >= LEGIBLE {
        return Agreement::Agrees;
    }
    if alike(number) == alike(&wanted) || least < SURE {
        Agreement::Unclear(Unclear::Unsure)
    } else {
        Agreement::Differs
    }
}

/// What may stand before the number; longer ones first.
const LABELS_OF_ID: &[&str] = &["PATIENTID", "PATID", "PID", "MRN", "ID", "NO", "NR", "患者编号", "编号", "病历号"];

/// What a name may look like on a screen: each of its ways of writing (PS3.5 6.2.1), family name first or last, with middle
/// names or without.
fn spellings(name: &str) -> Vec<Vec<char>> {
    let mut all = Vec::new();
    for group in name.split('=') {
        for plain in [without_marks(group, false), without_marks(group, true)] {
            let mut parts = plain.split('^').map(|part| folded(part).collect::<Vec<char>>());
            let [family, given, middle] = std::array::from_fn(|_| parts.next().unwrap_or_default());
            for parts in [[&family, &given, &Vec::new()], [&family, &given, &middle], [&given, &middle, &family]] {
                all.push(joined(&parts.map(Vec::as_slice).concat()));
            }
            all.push(joined(&[given, family].concat()));
        }
    }
    all.retain(|word| word.len() >= 2);
    all.sort();
    all.dedup();
    all
}

/// Umlauts and accents as scanners without them write: the letter alone, or with an E (`with_e`).
fn without_marks(name: &str, with_e: bool) -> String {
    let mut plain = String::new();
    for c in name.chars() {
        let upper = if c == 'ß' { c } else { c.to_uppercase().next().unwrap_or(c) };
        plain.push(without_mark(upper));
        match upper {
            'Ä' | 'Ö' | 'Ü' | 'Ø' | 'Å' if with_e => plain.push('E'),
            'ß' if with_e => plain.push('S'),
            _ => {}
        }
    }
    plain
}

/// An upper-case letter without its mark.
fn without_mark(c: char) -> char {
    match c {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => 'A',
        'Ç' | 'Ć' | 'Č' => 'C',
        'È'..='Ë' | 'Ē' | 'Ę' | 'Ě' => 'E',
        'Ì'..='Ï' | 'İ' => 'I',
        'Ñ' | 'Ń' | 'Ň' => 'N',
        'Ò'..='Ö' | 'Ø' | 'Ő' => 'O',
        'Ù'..='Ü' | 'Ů' | 'Ű' => 'U',
        'Ý' => 'Y',
        'Ł' => 'L',
        'Ś' | 'Š' | 'Ş' | 'ß' | 'ẞ' => 'S',
        'Ź' | 'Ż' | 'Ž' => 'Z',
        'Ğ' => 'G',
        'Ř' => 'R',
        other => other,
    }
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}')
}

/// Letters and digits only, each as the first of those that look like it.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter_map(fold)
}

fn fold(c: char) -> Option<char> {
    // The capital of ß would be two letters.
    let c = if c == 'ß' { c } else { c.to_uppercase().next().unwrap_or(c) };
    match without_mark(c) {
        '0' | 'Q' => Some('O'),
        '1' | 'L' | '|' | '!' => Some('I'),
        '5' => Some('S'),
        '8' => Some('B'),
        '2' => Some('Z'),
        '6' => Some('G'),
        c => c.is_alphanumeric().then_some(c),
    }
}

/// Two letters that are read as one: `rn` as `m`, `vv` as `w`.
fn run_together(letters: [char; 2]) -> Option<char> {
    match letters {
        ['R', 'N'] => Some('M'),
        ['V', 'V'] => Some('W'),
        _ => None,
    }
}

fn joined(word: &[char]) -> Vec<char> {
    let mut joined: Vec<char> = Vec::with_capacity(word.len());
    for c in word {
        match joined.last_mut().and_then(|last| Some((run_together([*last, *c])?, last))) {
            Some((one, last)) => *last = one,
            None => joined.push(*c),
        }
    }
    joined
}

/// A letter as it is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Glyph {
    folded: char,
    is_digit: bool,
    /// A blank, a sign or the begin of a line is before it.
    begins: bool,
    sure: f32,
}

/// What was read, without blanks and punctuation.
#[derive(Debug, Clone, Default, PartialEq)]
struct Text(Vec<Glyph>);

/// Words that stand beside a name; longer ones first.
const LABELS: &[&str] = &[
    "PATIENTNAME",
    "PATIENTID",
    "DATEOFBIRTH",
    "PATIENT",
    "BIRTHDATE",
    "FEMALE",
    "GENDER",
    "BIRTH",
    "NAME",
    "MALE",
    "MRN",
    "DOB",
    "PID",
    "PAT",
    "SEX",
    "AGE",
    "YRS",
    "ACC",
    "ID",
    "NR",
    "NO",
    "MR",
    "MS",
    "YR",
    "F",
    "M",
    "Y",
    "患者姓名",
    "患者",
    "病人",
    "姓名",
    "性别",
    "年龄",
    "编号",
    "女",
    "男",
    "岁",
    "号",
];

impl Text {
    fn of<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Self {
        let mut text: Vec<Glyph> = Vec::new();
        for line in lines {
            let mut begins = true;
            for Letter { character, sure } in line.0.iter().copied() {
                let Some(folded) = fold(character) else {
                    begins = true;
                    continue;
                };
                let glyph = Glyph { folded, is_digit: character.is_ascii_digit(), begins, sure };
                begins = false;
                match text.last_mut().and_then(|last| Some((run_together([last.folded, folded])?, last))) {
                    Some((one, last)) => *last = Glyph { folded: one, sure: last.sure.min(sure), ..*last },
                    None => text.push(glyph),
                }
            }
        }
        Self(text)
    }

    fn letters(&self) -> usize {
        self.0.iter().filter(|glyph| !glyph.is_digit).count()
    }

    fn is_ideographic(&self) -> bool {
        self.0.iter().any(|glyph| is_ideograph(glyph.folded))
    }

    /// How sure the least sure letter is; digits do not belong to a name.
    fn least(&self) -> f32 {
        self.0.iter().filter(|glyph| !glyph.is_digit).map(|glyph| glyph.sure).fold(1.0, f32::min)
    }

    fn mean(&self) -> f32 {
        let sum: f32 = self.0.iter().filter(|glyph| !glyph.is_digit).map(|glyph| glyph.sure).sum();
        sum / self.letters().max(1) as f32
    }

    /// Whether one of `words` is there, letter by letter; `true` when nothing but labels and numbers is beside it.
    fn holds(&self, words: &[Vec<char>]) -> Option<bool> {
        let found = |word: &Vec<char>| {
            let places = self.0.windows(word.len()).enumerate();
            let same = |window: &[Glyph]| window.iter().zip(word).all(|(glyph, c)| glyph.folded == *c);
            places.filter(|(_, window)| same(window)).map(|(start, _)| self.is_alone(start, start + word.len())).max()
        };
        words.iter().filter_map(found).max()
    }

    /// Whether `word` is there but for one letter in it that is too many: a sign between the names (^ as A) was taken for it.
    fn holds_around_a_sign(&self, word: &[char]) -> bool {
        let same = |glyphs: &[Glyph], letters: &[char]| glyphs.iter().zip(letters).all(|(glyph, c)| glyph.folded == *c);
        let fits = |text: &[Glyph]| {
            (1..word.len()).any(|at| same(&text[..at], &word[..at]) && same(&text[at + 1..], &word[at..]))
        };
        self.0.windows(word.len() + 1).any(fits)
    }

    fn is_alone(&self, start: usize, end: usize) -> bool {
        // Chinese has no blanks between words.
        let apart = |at: usize| self.0.get(at).is_none_or(|glyph| glyph.begins || is_ideograph(glyph.folded));
        apart(start) && apart(end) && self.is_labels(0, start) && self.is_labels(end, self.0.len())
    }

    /// Whether nothing but labels and numbers stands there. A label or a number begins after a blank, a sign or a number. One
    /// letter (sex, years) counts only beside a number: it may be the initial of a name; 男 and 女 are parts of names, too.
    fn is_labels(&self, start: usize, end: usize) -> bool {
        let is_digit = |at: Option<usize>| at.and_then(|at| self.0.get(at)).is_some_and(|glyph| glyph.is_digit);
        let mut at = start;
        while at < end {
            let after_number = is_digit(at.checked_sub(1));
            let begins = self.0[at].begins || after_number || (at == start && is_ideograph(self.0[at].folded));
            if !begins {
                return false;
            }
            if self.0[at].is_digit {
                at += 1;
                continue;
            }
            let rest = &self.0[at..end];
            let fits = |label: &&(Vec<char>, bool)| {
                rest.len() >= label.0.len()
                    && rest.iter().zip(&label.0).all(|(glyph, c)| !glyph.is_digit && glyph.folded == *c)
                    && (!label.1
                        || after_number
                        || is_digit(Some(at + 1))
                        || (self.0[at].begins && is_ideograph(label.0[0])))
            };
            let labels: Vec<(Vec<char>, bool)> = LABELS
                .iter()
                .map(|label| (joined(&folded(label).collect::<Vec<_>>()), label.chars().count() == 1))
                .collect();
            match labels.iter().filter(fits).map(|label| label.0.len()).max() {
                Some(length) => at += length,
                None => return false,
            }
        }
        true
    }

    /// The fewest letters that are to be changed, added or left out so that `word` stands somewhere in this text (Sellers, J.
    /// Algorithms 1, 1980).
    fn errors(&self, word: &[char]) -> usize {
        let mut row: Vec<usize> = vec![0; self.0.len() + 1];
        for (i, c) in word.iter().enumerate() {
            let mut diagonal = std::mem::replace(&mut row[0], i + 1);
            for (j, glyph) in self.0.iter().enumerate() {
                let changed = diagonal + usize::from(glyph.folded != *c);
                diagonal = row[j + 1];
                row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row.into_iter().min().unwrap_or(word.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(text: &str, sure: f32) -> Line {
        Line(text.chars().map(|character| Letter { character, sure }).collect())
    }

    fn shown(text: &str, sure: f32, name: &str) -> Agreement {
        let screen = OnScreen { name: text.lines().map(|text| line(text, sure)).collect(), id: Vec::new() };
        compare(&screen, &Patient { id: "P1".into(), name: name.into(), ..Patient::default() })
    }

    #[test]
    fn a_name_agrees_however_scanners_write_it() {
        for (text, name) in [
            ("DOE, JANE", "DOE^JANE"),
            ("Jane Doe", "DOE^JANE"),
            ("Name: DOE^JANE  ID: 4711  F 52Y", "DOE^JANE"),
            ("DOE\nJANE", "DOE^JANE"),
            ("D0E, JANE", "Doe^Jane"),
            ("Mueller, Eva", "MÜLLER^EVA"),
            ("MULLER EVA", "Müller^Eva"),
            ("Hemandez, Maria", "HERNANDEZ^MARIA"),
            ("DOE, JANE", "DOE^JANE^MARY"),
            ("DOE, JANE MARY", "DOE^JANE^MARY"),
            ("姓名:张三 女 45岁", "ZHANG^SAN=张^三"),
            ("ZHANG SAN", "ZHANG^SAN=张^三"),
            ("O'BRIEN-SMITH, ANN", "O'Brien Smith^Ann"),
            ("MÜLLER, EVA", "MÜLLER^EVA"),
            ("Müller, Eva", "Mueller^Eva=MÜLLER^EVA"),
            ("Weiß, Ida", "Weiß^Ida"),
            ("WEISS, IDA", "Weiß^Ida"),
            ("DOE, JANE  F 52Y", "DOE^JANE"),
        ] {
            assert_eq!(shown(text, 0.5, name), Agreement::Agrees, "{text:?}, {name:?}");
        }
    }

    #[test]
    fn another_name_differs_when_it_was_read_surely_and_is_unclear_otherwise() {
        for (text, name) in [("DOE, ANNA", "DOE^JANE"), ("SMITH, JANE", "DOE^JANE"), ("李四", "ZHANG^SAN=张^三")] {
            assert_eq!(shown(text, 0.95, name), Agreement::Differs, "{text:?}, {name:?}");
            assert_eq!(shown(text, 0.3, name), Agreement::Unclear(Unclear::Unsure), "{text:?}, {name:?}");
        }
        assert_eq!(shown("DOE, ANNE", 0.95, "DOE^ANNA"), Agreement::Differs, "one letter, read surely");
        assert_eq!(shown("DOE, ANNE", 0.8, "DOE^ANNA"), Agreement::Unclear(Unclear::Unsure));
        assert_eq!(shown("DOEAJANE", 0.95, "DOE^JANE"), Agreement::Unclear(Unclear::Unsure), "a sign read as a letter");
        assert_eq!(shown("KOWALSKI, EVA", 0.8, "DOE^JANE"), Agreement::Differs, "quite unlike");
    }

    #[test]
    fn a_longer_name_is_not_the_shorter_one_in_it() {
        assert_eq!(shown("LI MEIXI", 0.99, "LI^MEI"), Agreement::Unclear(Unclear::MoreThanName));
        assert_eq!(shown("LI MEINO", 0.99, "LI^MEI"), Agreement::Unclear(Unclear::MoreThanName), "no label");
        for (text, name) in [
            ("王胜男", "WANG^SHENG=王^胜"),
            ("LE THI MY", "LE^THI"),
            ("DOE, JANE M", "DOE^JANE"),
            ("ROSSI, CARL0", "ROSSI^CARL"),
            ("GARCIA\nLOPEZ MARIA", "LOPEZ^MARIA"),
        ] {
            assert_eq!(shown(text, 0.99, name), Agreement::Unclear(Unclear::MoreThanName), "{text:?}, {name:?}");
        }
        assert_eq!(shown("WILLI MEI", 0.99, "LI^MEI"), Agreement::Unclear(Unclear::MoreThanName));
    }

    #[test]
    fn what_cannot_be_compared_is_unclear_with_its_reason() {
        assert_eq!(shown("", 1.0, "DOE^JANE"), Agreement::Unclear(Unclear::Nothing));
        assert_eq!(shown("12:30 2026-01-05", 1.0, "DOE^JANE"), Agreement::Unclear(Unclear::Nothing));
        assert_eq!(shown("张三", 1.0, "ZHANG^SAN"), Agreement::Unclear(Unclear::OtherScript));
        assert_eq!(shown("DOE JANE", 1.0, ""), Agreement::Unclear(Unclear::OtherScript));
    }

    #[test]
    fn only_the_id_itself_agrees() {
        let of = |id: &str, sure| OnScreen { name: Vec::new(), id: vec![line(id, sure)] };
        let with = |id: &str| Patient { id: id.into(), name: "DOE^JANE".into(), ..Patient::default() };
        for (read, id) in [("1234567", "123456"), ("47112288", "4711"), ("ID: 812345", "B123456")] {
            assert_eq!(compare(&of(read, 0.99), &with(id)), Agreement::Differs, "{read}, {id}");
        }
        for (read, id) in [("MRN12345", "MRN12345"), ("MRN: 12345", "12345"), ("Patient ID 4711-RN", "4711RN")] {
            assert_eq!(compare(&of(read, 0.99), &with(id)), Agreement::Agrees, "{read}, {id}");
        }
        assert_eq!(
            compare(&of("812345", 0.99), &with("B12345")),
            Agreement::Unclear(Unclear::Unsure),
            "they look alike"
        );
        assert_eq!(compare(&of("123456", 0.5), &with("123456")), Agreement::Unclear(Unclear::Unsure), "by chance");
    }

    #[test]
    fn another_id_differs_whatever_the_name_says() {
        let of = |name: &str, id: &str, sure| OnScreen { name: vec![line(name, sure)], id: vec![line(id, sure)] };
        let jane = Patient { id: "4711-22".into(), name: "DOE^JANE".into(), ..Patient::default() };
        assert_eq!(compare(&of("DOE, JANE", "ID: 4711-22", 0.9), &jane), Agreement::Agrees);
        assert_eq!(compare(&of("DOE, JANE", "4711-23", 0.9), &jane), Agreement::Differs, "two of one name");
        assert_eq!(compare(&of("DOE, JANE", "4711-23", 0.6), &jane), Agreement::Agrees, "the ID was not read surely");
        assert_eq!(compare(&of("", "4711-22", 0.9), &jane), Agreement::Agrees);
        assert_eq!(compare(&of("SMITH, JANE", "4711-22", 0.9), &jane), Agreement::Differs);
    }

    proptest! {
        /// Whatever was read, nothing but the whole name agrees.
        #[test]
        fn nothing_agrees_but_the_name(text in "\\PC{0,40}", name in "[A-Z]{2,8}\\^[A-Z]{2,8}", sure in 0.0f32..1.0) {
            let plain = |text: &str| joined(&folded(text).collect::<Vec<_>>()).into_iter().collect::<String>();
            if shown(&text, sure, &name) == Agreement::Agrees {
                let (family, given) = name.split_once('^').unwrap();
                let text = plain(&text.replace('\n', ""));
                let there = [format!("{family}{given}"), format!("{given}{family}")].iter().any(|w| text.contains(&plain(w)));
                prop_assert!(there, "{text:?}, {name:?}");
            }
        }
    }
}
