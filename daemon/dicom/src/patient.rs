//! Patient data, and whether two sets of it are of one person. The only judge of that. Pure.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::header::Header;

/// Patient data of an exam. Values in DICOM form (PS3.5 section 6.2): LO, PN, DA, SH.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patient {
    pub id: String,
    pub name: String,
    /// YYYYMMDD, or empty.
    #[serde(default)]
    pub birth_date: String,
    #[serde(default)]
    pub accession_number: String,
}

/// Who a patient is, in a form that can be compared: without padding, case, and values that say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    id: String,
    /// Issuer of Patient ID: an ID is unique only where it was given.
    issuer: String,
    /// Alphabetic, ideographic, phonetic (PS3.5 section 6.2.1); empty where a way of writing is missing.
    name: [String; 3],
    /// YYYYMMDD; `None` when it is missing or no date.
    birth_date: Option<String>,
    /// Male or female; `None` for all else, since `O` and an empty value say nothing.
    male: Option<bool>,
}

/// What two identities contradict each other in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    Id,
    Issuer,
    Name,
    BirthDate,
    Sex,
}

impl Identity {
    pub fn of(header: &Header) -> Self {
        let mut groups = header.patient_name.splitn(3, '=').map(words);
        let mut group = || groups.next().unwrap_or_default();
        Self {
            id: plain(&header.patient_id),
            issuer: plain(&header.issuer_of_patient_id),
            name: [group(), group(), group()],
            birth_date: date(&header.birth_date),
            male: match header.sex.trim() {
                "M" | "m" => Some(true),
                "F" | "f" => Some(false),
                _ => None,
            },
        }
    }

    /// What cannot be of one person: the first value that both have and that differs. A value that one of them lacks
    /// contradicts nothing. For objects that claim to belong together, as those of one series do.
    pub fn contradicts(&self, other: &Self) -> Option<Attribute> {
        let both = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
        if both(&self.id, &other.id) {
            return Some(Attribute::Id);
        }
        if both(&self.issuer, &other.issuer) {
            return Some(Attribute::Issuer);
        }
        if self.name_says(other) == Some(false) {
            return Some(Attribute::Name);
        }
        if self.birth_date.is_some() && other.birth_date.is_some() && self.birth_date != other.birth_date {
            return Some(Attribute::BirthDate);
        }
        (self.male.is_some() && other.male.is_some() && self.male != other.male).then_some(Attribute::Sex)
    }

    /// Whether two studies are surely of one person, so that one may be compared with the other. A wrong patient is worse
    /// than no comparison, so silence does not bind:
    ///
    /// - nothing contradicts, and both have the same Patient ID, which is no placeholder;
    /// - the names agree and the birth dates agree;
    /// - or one of these two agrees while the other is missing, and then issuer and sex both agree.
    pub fn is_same_person(&self, other: &Self) -> bool {
        if is_placeholder_id(&self.id) || self.id != other.id || self.contradicts(other).is_some() {
            return false;
        }
        let name = self.name_says(other) == Some(true) && !self.name.iter().any(|group| is_placeholder(group));
        let birth_date = self.birth_date.is_some() && self.birth_date == other.birth_date;
        let issuer = !self.issuer.is_empty() && self.issuer == other.issuer;
        let sex = self.male.is_some() && self.male == other.male;
        (name && birth_date) || ((name || birth_date) && issuer && sex)
    }

    /// Whether the names are the same: one way of writing is enough. `None` when no way of writing is in both, or where
    /// it differs is not legible (a wrong character set).
    fn name_says(&self, other: &Self) -> Option<bool> {
        let pairs = || self.name.iter().zip(&other.name).filter(|(a, b)| !a.is_empty() && !b.is_empty());
        if pairs().any(|(a, b)| a == b) {
            return Some(true);
        }
        let legible = |text: &str| !text.contains('\u{FFFD}');
        pairs().any(|(a, b)| legible(a) && legible(b)).then_some(false)
    }

    /// How many values it has.
    fn known(&self) -> usize {
        let texts = [&self.id, &self.issuer].into_iter().chain(&self.name).filter(|text| !text.is_empty()).count();
        texts + usize::from(self.birth_date.is_some()) + usize::from(self.male.is_some())
    }

    /// A short name for this patient that gives away nothing: 8 hexadecimal digits of a hash. `salt` makes it another
    /// one elsewhere, so that marks of two series cannot be matched.
    pub fn mark(&self, salt: &str) -> String {
        let mut hash = Sha256::new();
        let [a, b, c] = &self.name;
        let born = self.birth_date.as_deref().unwrap_or_default();
        let sex = self.male.map_or("", |male| if male { "M" } else { "F" });
        for field in [salt, &self.id, &self.issuer, a, b, c, born, sex] {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field.as_bytes());
        }
        hash.finalize()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// More persons than this are not told apart: it is enough to know that there are many.
const MOST_PERSONS: usize = 16;

/// One identity for each different person, in the order of their first appearance. Two that contradict each other are
/// never one person; one that lacks values counts as the first person that it does not contradict.
pub fn persons<'a>(headers: impl IntoIterator<Item = &'a Header>) -> Vec<Identity> {
    let mut persons: Vec<Vec<Identity>> = Vec::new();
    for header in headers {
        let identity = Identity::of(header);
        // Most are equal, letter by letter.
        if persons.iter().any(|person| person.contains(&identity)) {
            continue;
        }
        let fits = |person: &Vec<Identity>| person.iter().all(|known| known.contradicts(&identity).is_none());
        match persons.iter().position(fits) {
            Some(person) => persons[person].push(identity),
            None if persons.len() < MOST_PERSONS => persons.push(vec![identity]),
            None => break,
        }
    }
    persons.into_iter().filter_map(|person| person.into_iter().max_by_key(Identity::known)).collect()
}

/// A Patient ID in the form in which two are compared: in lower case, without padding.
pub fn plain_id(id: &str) -> String {
    plain(id)
}

/// Whether a Patient ID is one that devices and people put where they know none. Such an ID binds nothing.
pub fn is_placeholder_id(id: &str) -> bool {
    let signs: Vec<char> = id.chars().filter(|c| c.is_alphanumeric()).collect();
    // "", "0", "0000", "1", "XXX": one sign, over and over.
    if signs.windows(2).all(|pair| pair[0] == pair[1]) {
        return true;
    }
    let digits: String = signs.iter().collect();
    "123456789".starts_with(&digits) || "0123456789".starts_with(&digits) || is_placeholder(id)
}

/// Words that stand where a name or an ID is not known.
const UNKNOWN: &[&str] = &[
    "anon",
    "anonym",
    "anonymous",
    "anonymized",
    "anonymised",
    "annonymous",
    "unknown",
    "unk",
    "unbekannt",
    "inconnu",
    "desconocido",
    "none",
    "null",
    "nil",
    "na",
    "noid",
    "nopid",
    "noname",
    "nodata",
    "test",
    "testing",
    "testpatient",
    "patient",
    "patienttest",
    "patientid",
    "pid",
    "id",
    "dummy",
    "default",
    "demo",
    "temp",
    "tmp",
    "emergency",
    "trauma",
    "notapplicable",
    "notavailable",
    "notprovided",
    "removed",
    "deidentified",
    "johndoe",
    "janedoe",
    "匿名",
    "未知",
    "不详",
    "无名",
    "无名氏",
    "无",
    "测试",
    "患者",
    "病人",
];

/// Also with a number behind it, as in `TEST 2`.
fn is_placeholder(text: &str) -> bool {
    let word: String = text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    UNKNOWN.contains(&word) || word.starts_with("unidentified")
}

/// Whether two person names are the same: one of their representations must be equal (PS3.5 6.2.1: alphabetic,
/// ideographic, phonetic, separated by `=`). Case and empty components at the end do not count.
pub fn same_name(a: &str, b: &str) -> bool {
    let groups = |name: &str| name.split('=').map(plain_name).filter(|group| !group.is_empty()).collect::<Vec<_>>();
    let (a, b) = (groups(a), groups(b));
    a == b || a.iter().any(|group| b.contains(group))
}

fn plain_name(group: &str) -> String {
    let components = group.split('^').map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    let joined = components.collect::<Vec<_>>().join("^");
    joined.trim_end_matches('^').to_lowercase()
}

/// The words of one way of writing a name, however they are separated.
fn words(group: &str) -> String {
    joined(group, |c| c == '^' || c == ',')
}

fn plain(text: &str) -> String {
    joined(text, |_| false)
}

/// The parts of a text in lower case, between single blanks. Blanks, control characters and what `also` names separate them.
fn joined(text: &str, also: impl Fn(char) -> bool) -> String {
    let parts = text.split(|c: char| also(c) || c.is_whitespace() || c.is_control());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Also as ACR-NEMA wrote it, YYYY.MM.DD. Dates that stand for "not known" count as missing.
fn date(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '.' | '-' | '/')).collect();
    let part = |range: std::ops::Range<usize>| digits.get(range)?.parse::<u32>().ok();
    let is_date = digits.len() == 8
        && (1800..=9998).contains(&part(0..4)?)
        && (1..=12).contains(&part(4..6)?)
        && (1..=31).contains(&part(6..8)?);
    (is_date && !matches!(digits.as_str(), "19000101" | "18000101" | "18581117")).then_some(digits)
}

#[cfg(test)]
#[path = "patient_tests.rs"]
mod tests;
