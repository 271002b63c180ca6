//! Compares what the scanner's screen says with the patient of an exam. Pure.
//!
//! A reading may be wrong, so there are three answers. Only a name that is read letter by letter agrees; only a text that was
//! read surely and is another name, or one that is quite unlike, differs; all else is unclear, with the reason. Letters
//! that look alike (O and 0, I and l) count as one, on both sides.

mod glyphs;
mod spelling;

use dicom::patient::Patient;
use serde::{Deserialize, Serialize};

use self::glyphs::Text;
use self::spelling::{folded, is_ideograph, spellings};
use crate::text::Line;

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

impl OnScreen {
    /// What tells one reading from another: the letters of name and ID, those that look alike as one. Numbers beside the name (a clock,
    /// an age) tell nothing, unless nothing else is read.
    pub fn letters(&self) -> [String; 2] {
        let text = |lines: &[Line]| lines.iter().map(|line| line.text() + " ").collect::<String>();
        let (name, id) = (text(&self.name), folded(&text(&self.id)).collect());
        let without: String = folded(&without_numbers(&name)).collect();
        [if without.is_empty() { folded(&name).collect() } else { without }, id]
    }

    /// How sure the least sure letter is.
    pub fn least(&self) -> f32 {
        let letters = self.name.iter().chain(&self.id).flat_map(|line| &line.0);
        letters.map(|letter| letter.sure).fold(1.0, f32::min)
    }
}

/// Without digits that stand beside others; one alone may be a letter that was taken for it.
fn without_numbers(text: &str) -> String {
    let is_digit = |c: &char| c.is_ascii_digit();
    let letters: Vec<char> = text.chars().collect();
    let beside =
        |at: usize| at.checked_sub(1).into_iter().chain([at + 1]).filter_map(|at| letters.get(at)).any(is_digit);
    let kept = letters.iter().enumerate().filter(|(at, c)| !(is_digit(c) && beside(*at)));
    kept.map(|(_, c)| c).collect()
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
    match whole.holds(&wanted) {
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

#[cfg(test)]
mod tests;
