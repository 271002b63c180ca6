//! Answers a scanner that asks who is expected (Modality Worklist as SCP, PS3.4 annex K): for sites without an information system, from the
//! list that the box has. What is asked, what fits, and how it is written; pure.

use dicom::scan::{self, Item};
use dicom::text;

use super::write::{Table, Value};
use crate::elements::{Elements, Syntax, Tag};
use crate::expected::{Scheduled, Source};
use crate::operation::{Found, Whole, refuse};
use crate::status::{Answer, Refusal};

/// An answer follows; the second form says that a key was asked for that is not known here (PS3.4 table K.4-1).
const PENDING: u16 = 0xff00;
const PENDING_WITHOUT_KEYS: u16 = 0xff01;

const CHARACTER_SET: Tag = (0x0008, 0x0005);
const STEPS: Tag = (0x0040, 0x0100);
const STATION: Tag = (0x0040, 0x0001);
const STEP_ID: Tag = (0x0040, 0x0009);
const PROCEDURE_ID: Tag = (0x0040, 0x1001);
/// The keys that are matched or answered, beside the steps; those of a step are in [`STEP_KEYS`].
const KEYS: &[Tag] = &[
    CHARACTER_SET,
    (0x0008, 0x0050),
    (0x0008, 0x0090),
    (0x0008, 0x1110),
    (0x0008, 0x1120),
    (0x0010, 0x0010),
    (0x0010, 0x0020),
    (0x0010, 0x0030),
    (0x0010, 0x0040),
    (0x0010, 0x1030),
    (0x0010, 0x2000),
    (0x0010, 0x2110),
    (0x0010, 0x21c0),
    (0x0020, 0x000d),
    (0x0032, 0x1032),
    (0x0032, 0x1060),
    (0x0032, 0x1064),
    (0x0038, 0x0010),
    (0x0038, 0x0050),
    (0x0038, 0x0300),
    (0x0038, 0x0500),
    STEPS,
    PROCEDURE_ID,
    (0x0040, 0x1003),
    (0x0040, 0x1004),
    (0x0040, 0x3001),
];
const STEP_KEYS: &[Tag] = &[
    (0x0008, 0x0060),
    (0x0032, 0x1070),
    STATION,
    (0x0040, 0x0002),
    (0x0040, 0x0003),
    (0x0040, 0x0006),
    (0x0040, 0x0007),
    (0x0040, 0x0008),
    STEP_ID,
    (0x0040, 0x0010),
    (0x0040, 0x0011),
    (0x0040, 0x0012),
];

/// What a scanner asks for. An empty key asks for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Question {
    asked: Item,
    station: String,
    procedure_id: String,
    step_id: String,
    /// The character set in which it asks.
    term: String,
    /// Something was asked for that is not in the tables above.
    has_unknown_keys: bool,
}

/// The answers to one C-FIND.
pub(crate) fn answer(source: &Source, whole: &Whole) -> Result<Found, Answer> {
    let question = Question::read(whole)?;
    let listed = source().map_err(|reason| refuse(Refusal::CannotList, &reason))?;
    let caller = whole.origin.calling_ae.trim();
    let fitting = listed.iter().filter(|scheduled| question.fits(scheduled));
    let data_sets = fitting.map(|scheduled| question.written(scheduled, caller, whole.syntax)).collect();
    let pending = if question.has_unknown_keys { PENDING_WITHOUT_KEYS } else { PENDING };
    Ok(Found { pending, data_sets })
}

impl Question {
    fn read(whole: &Whole) -> Result<Self, Answer> {
        let unlike = |reason: &str| refuse(Refusal::NoQuestion, reason);
        let elements = Elements::parse(&whole.bytes, whole.syntax).map_err(|error| unlike(&error.to_string()))?;
        let asked =
            scan::item_of_data_set(&whole.bytes, whole.syntax.uid()).map_err(|error| unlike(&error.to_string()))?;
        let steps = elements.items(STEPS).map_err(|error| unlike(&error.to_string()))?;
        let of_step = |tag| steps.first().map(|step| step.text(tag)).unwrap_or_default();
        let unknown =
            |elements: &Elements<'_>, known: &[Tag]| elements.tags().any(|tag| tag.1 != 0 && !known.contains(&tag));
        let question = Self {
            station: of_step(STATION),
            step_id: of_step(STEP_ID),
            procedure_id: elements.text(PROCEDURE_ID),
            term: elements.text(CHARACTER_SET),
            has_unknown_keys: unknown(&elements, KEYS) || steps.iter().any(|step| unknown(step, STEP_KEYS)),
            asked,
        };
        let (date, time) = (&question.asked.step_date, &question.asked.step_time);
        if !is_range(date, text::is_date) {
            return Err(unlike("the start date is neither YYYYMMDD nor a range of such"));
        }
        if !is_range(time, is_time) {
            return Err(unlike("the start time is neither HHMMSS nor a range of such"));
        }
        Ok(question)
    }

    fn fits(&self, scheduled: &Scheduled) -> bool {
        let Scheduled { patient, study_uid, date, time, modality, .. } = scheduled;
        let asked = &self.asked;
        let id = procedure_id(scheduled);
        is_asked(&asked.patient_id, &patient.id)
            && is_named(&asked.patient_name, &patient.name)
            && is_asked(&asked.patient_birth_date, &patient.birth_date)
            && is_asked(&asked.accession_number, &patient.accession_number)
            && (asked.study_instance_uid.is_empty() || asked.study_instance_uid.split('\\').any(|uid| uid.trim() == study_uid))
            // What the list does not say, it does not contradict.
            && (modality.is_empty() || is_asked(&asked.modality, modality))
            && within(&asked.step_date, date, str::to_owned)
            && (time.is_empty() || within(&asked.step_time, &start_time(time), start_time))
            && is_asked(&self.procedure_id, &id)
            && is_asked(&self.step_id, &id)
    }

    /// All keys of type 1 and 2, whether they were asked for or not: there are scanners that want them.
    fn written(&self, scheduled: &Scheduled, caller: &str, syntax: Syntax) -> Vec<u8> {
        let Scheduled { patient, study_uid, date, time, modality, description } = scheduled;
        let texts = [&patient.name, &patient.id, &patient.accession_number, description];
        let term = if texts.iter().all(|text| text.is_ascii()) {
            ""
        } else if texts.iter().all(|text| text::encoded(text, &self.term).is_some()) {
            &self.term
        } else {
            "ISO_IR 192"
        };
        let encoded = |text: &str| text::encoded(text, term).unwrap_or_else(|| text.as_bytes().to_vec());
        let id = procedure_id(scheduled);
        // A scanner that asked for everybody's steps is shown its own.
        let station = if self.station.is_empty() || self.station.contains(['*', '?']) { caller } else { &self.station };
        let modality = if modality.is_empty() { self.asked.modality.as_str() } else { modality };
        let mut step = Table::new(STEP_KEYS);
        step.set((0x0008, 0x0060), Value::Text(modality.into()));
        step.set(STATION, Value::Text(station.into()));
        step.set((0x0040, 0x0002), Value::Text(date.as_str().into()));
        step.set((0x0040, 0x0003), Value::Text(start_time(time).into()));
        step.set((0x0040, 0x0007), Value::Text(encoded(or(description, "exam"))));
        step.set(STEP_ID, Value::Text(id.as_str().into()));
        let mut all = Table::new(KEYS);
        all.set(CHARACTER_SET, Value::Text(term.into()));
        all.set((0x0008, 0x0050), Value::Text(encoded(&patient.accession_number)));
        all.set((0x0010, 0x0010), Value::Text(encoded(&patient.name)));
        all.set((0x0010, 0x0020), Value::Text(encoded(&patient.id)));
        all.set((0x0010, 0x0030), Value::Text(patient.birth_date.as_str().into()));
        all.set((0x0020, 0x000d), Value::Text(study_uid.as_str().into()));
        all.set((0x0032, 0x1060), Value::Text(encoded(or(description, "exam"))));
        all.set(STEPS, Value::Item(step.finish(syntax)));
        all.set(PROCEDURE_ID, Value::Text(id.into()));
        all.finish(syntax)
    }
}

/// A type 1 text may not be empty.
fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.trim().is_empty() { otherwise } else { text }
}

/// Requested Procedure ID and Scheduled Procedure Step ID, at most 16 characters: the accession number if it is short, else a part of the
/// study UID.
fn procedure_id(scheduled: &Scheduled) -> String {
    let number = scheduled.patient.accession_number.trim();
    if !number.is_empty() && number.is_ascii() && number.len() <= 16 {
        return number.to_owned();
    }
    let uid: Vec<char> = scheduled.study_uid.chars().filter(char::is_ascii_digit).collect();
    uid[uid.len().saturating_sub(16)..].iter().collect()
}

fn is_asked(asked: &str, is: &str) -> bool {
    let asked = asked.trim();
    asked.is_empty() || text::is_like(is.trim(), asked)
}

/// Names whatever their case, one way of writing at a time, without the carets that end them.
fn is_named(asked: &str, name: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().trim().trim_end_matches(['^', ' ']).to_owned();
    let asked = plain(asked);
    asked.is_empty()
        || asked == "*"
        || text::is_like(&plain(name), &asked)
        || name.split('=').any(|group| asked.split('=').any(|asked| text::is_like(&plain(group), asked)))
}

fn is_time(text: &str) -> bool {
    let digits = text.split('.').next().unwrap_or_default();
    matches!(digits.len(), 2 | 4 | 6) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// HHMMSS of HH, HHMM or HHMMSS.
fn start_time(time: &str) -> String {
    let digits: String = time.chars().filter(char::is_ascii_digit).take(6).collect();
    format!("{digits:0<6}")
}

fn is_range(asked: &str, is_one: impl Fn(&str) -> bool) -> bool {
    let asked = asked.trim();
    match asked.split_once('-') {
        Some((from, to)) => asked != "-" && [from, to].iter().all(|end| end.trim().is_empty() || is_one(end.trim())),
        None => asked.is_empty() || is_one(asked),
    }
}

/// Range matching (PS3.4 section C.2.2.2.5). `of` makes an end comparable.
fn within(asked: &str, is: &str, of: impl Fn(&str) -> String) -> bool {
    let asked = asked.trim();
    match asked.split_once('-').map(|(from, to)| (from.trim(), to.trim())) {
        Some((from, to)) => (from.is_empty() || of(from).as_str() <= is) && (to.is_empty() || is <= of(to).as_str()),
        None => asked.is_empty() || of(asked) == is,
    }
}

#[cfg(test)]
#[path = "offer_tests.rs"]
mod tests;
