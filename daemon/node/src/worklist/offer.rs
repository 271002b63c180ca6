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

/// Of a question, bytes: it has some twenty keys, and each of its texts comes back in every answer.
const MOST_BYTES: usize = 64 << 10;
/// Answers to one question. A scanner that asks for more is told that there are more.
const MOST_ANSWERS: usize = 1000;
/// The longest text of each key, characters (PS3.5 section 6.2; a name in three ways of writing). What is longer is no key, and would be
/// read as one that asks for all.
const LONGEST: &[(Tag, usize)] = &[
    ((0x0010, 0x0010), 3 * 64 + 2),
    ((0x0010, 0x0020), 64),
    ((0x0008, 0x0050), 64),
    (PROCEDURE_ID, 64),
    (CHARACTER_SET, 64),
];
const LONGEST_OF_STEP: &[(Tag, usize)] = &[(STATION, 16), ((0x0008, 0x0060), 16), (STEP_ID, 64)];
const STUDY_UID: Tag = (0x0020, 0x000d);
/// Keys that are answered and never matched: who asks for a value of one is told so.
const NOT_MATCHED: &[Tag] = &[
    (0x0008, 0x0090),
    (0x0010, 0x0040),
    (0x0010, 0x1030),
    (0x0010, 0x2000),
    (0x0010, 0x2110),
    (0x0032, 0x1032),
    (0x0032, 0x1060),
    (0x0038, 0x0010),
    (0x0038, 0x0050),
    (0x0038, 0x0300),
    (0x0038, 0x0500),
    (0x0040, 0x1003),
    (0x0040, 0x1004),
    (0x0040, 0x3001),
];
const NOT_MATCHED_OF_STEP: &[Tag] =
    &[(0x0032, 0x1070), (0x0040, 0x0006), (0x0040, 0x0007), (0x0040, 0x0010), (0x0040, 0x0011), (0x0040, 0x0012)];

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
    let mut fitting: Vec<&Scheduled> = listed.entries.iter().filter(|scheduled| question.fits(scheduled)).collect();
    let has_more = fitting.len() > MOST_ANSWERS;
    if has_more {
        // From today on first, then the days before, the last first.
        let is_past = |one: &&Scheduled| one.date < listed.today;
        let (mut past, to_come): (Vec<_>, Vec<_>) = fitting.into_iter().partition(is_past);
        past.reverse();
        fitting = to_come.into_iter().chain(past).take(MOST_ANSWERS).collect();
    }
    let data_sets = fitting.into_iter().map(|scheduled| question.written(scheduled, caller, whole.syntax)).collect();
    let pending = if question.has_unknown_keys { PENDING_WITHOUT_KEYS } else { PENDING };
    Ok(Found { pending, data_sets, has_more })
}

impl Question {
    fn read(whole: &Whole) -> Result<Self, Answer> {
        let unlike = |reason: &str| refuse(Refusal::NoQuestion, reason);
        if whole.bytes.len() > MOST_BYTES {
            return Err(unlike("the question is longer than 64 KiB"));
        }
        let elements = Elements::parse(&whole.bytes, whole.syntax).map_err(|error| unlike(&error.to_string()))?;
        let asked =
            scan::item_of_data_set(&whole.bytes, whole.syntax.uid()).map_err(|error| unlike(&error.to_string()))?;
        let steps = elements.items(STEPS).map_err(|error| unlike(&error.to_string()))?;
        let of_step = |tag| steps.first().map(|step| step.text(tag)).unwrap_or_default();
        let is_long = |elements: &Elements<'_>, longest: &[(Tag, usize)]| {
            longest.iter().any(|(tag, most)| elements.text(*tag).chars().count() > *most)
        };
        if is_long(&elements, LONGEST) || steps.iter().any(|step| is_long(step, LONGEST_OF_STEP)) {
            return Err(unlike("the value of a key is longer than such a key can be"));
        }
        if asked.study_instance_uid.is_empty() && !elements.text(STUDY_UID).is_empty() {
            return Err(unlike("the list of study UIDs is too long"));
        }
        let unknown = |elements: &Elements<'_>, known: &[Tag], not_matched: &[Tag]| {
            let is_asked = |tag| !elements.text(tag).is_empty();
            elements
                .tags()
                .any(|tag| tag.1 != 0 && (!known.contains(&tag) || (not_matched.contains(&tag) && is_asked(tag))))
        };
        let question = Self {
            station: of_step(STATION),
            step_id: of_step(STEP_ID),
            procedure_id: elements.text(PROCEDURE_ID),
            term: elements.text(CHARACTER_SET),
            has_unknown_keys: unknown(&elements, KEYS, NOT_MATCHED)
                || steps.iter().any(|step| unknown(step, STEP_KEYS, NOT_MATCHED_OF_STEP)),
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
        is_asked(&asked.patient_id, &patient.id)
            && is_named(&asked.patient_name, &patient.name)
            && is_asked(&asked.patient_birth_date, &patient.birth_date)
            && is_asked(&asked.accession_number, &patient.accession_number)
            && (asked.study_instance_uid.is_empty() || asked.study_instance_uid.split('\\').any(|uid| uid.trim() == study_uid))
            // What the list does not say, it does not contradict.
            && (modality.is_empty() || is_asked(&asked.modality, modality))
            && is_then(&asked.step_date, &asked.step_time, date, time)
            && is_asked(&self.procedure_id, &procedure_id(scheduled))
            && is_asked(&self.step_id, &step_id(scheduled))
    }

    /// All keys of type 1 and 2, whether they were asked for or not: there are scanners that want them.
    fn written(&self, scheduled: &Scheduled, caller: &str, syntax: Syntax) -> Vec<u8> {
        let Scheduled { patient, study_uid, date, time, modality, description, request, besides } = scheduled;
        let (alerts, allergies, needs) = (&besides.medical_alerts, &besides.allergies, &besides.special_needs);
        let texts = [&patient.name, &patient.id, &patient.accession_number, description, alerts, allergies, needs]
            .into_iter()
            .chain([&besides.referring_physician, &request.procedure_id, &request.step_id]);
        let term = if texts.clone().all(|text| text.is_ascii()) {
            ""
        } else if texts.clone().all(|text| text::encoded(text, &self.term).is_some()) {
            &self.term
        } else {
            "ISO_IR 192"
        };
        let encoded = |text: &str| text::encoded(text, term).unwrap_or_else(|| text.as_bytes().to_vec());
        // A scanner that asked for everybody's steps is shown its own.
        let station = if self.station.is_empty() || self.station.contains(['*', '?']) { caller } else { &self.station };
        // A type 1 code, which the list does not have: what was asked for, or "other".
        let asked =
            Some(self.asked.modality.trim()).filter(|code| !code.is_empty() && !code.contains(['*', '?', '\\']));
        let modality = if modality.is_empty() { asked.unwrap_or("OT") } else { modality };
        let mut step = Table::new(STEP_KEYS);
        step.set((0x0008, 0x0060), Value::Text(modality.into()));
        step.set(STATION, Value::Text(station.into()));
        step.set((0x0040, 0x0002), Value::Text(date.as_str().into()));
        step.set((0x0040, 0x0003), Value::Text(start_time(time).into()));
        step.set((0x0040, 0x0007), Value::Text(encoded(or(description, "exam"))));
        step.set(STEP_ID, Value::Text(encoded(&step_id(scheduled))));
        let mut all = Table::new(KEYS);
        all.set(CHARACTER_SET, Value::Text(term.into()));
        all.set((0x0008, 0x0050), Value::Text(encoded(&patient.accession_number)));
        all.set((0x0010, 0x0010), Value::Text(encoded(&patient.name)));
        all.set((0x0010, 0x0020), Value::Text(encoded(&patient.id)));
        all.set((0x0010, 0x0030), Value::Text(patient.birth_date.as_str().into()));
        all.set((0x0020, 0x000d), Value::Text(study_uid.as_str().into()));
        all.set((0x0032, 0x1060), Value::Text(encoded(or(description, "exam"))));
        all.set((0x0008, 0x0090), Value::Text(encoded(&besides.referring_physician)));
        all.set((0x0010, 0x0040), Value::Text(encoded(&request.sex)));
        all.set((0x0010, 0x1030), Value::Text(encoded(&besides.weight)));
        all.set((0x0010, 0x2000), Value::Text(encoded(alerts)));
        all.set((0x0010, 0x2110), Value::Text(encoded(allergies)));
        if let Some(pregnancy) = besides.pregnancy {
            all.set((0x0010, 0x21c0), Value::Number(pregnancy));
        }
        all.set((0x0038, 0x0050), Value::Text(encoded(needs)));
        all.set(STEPS, Value::Item(step.finish(syntax)));
        all.set(PROCEDURE_ID, Value::Text(encoded(&procedure_id(scheduled))));
        all.finish(syntax)
    }
}

/// A type 1 text may not be empty.
fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.trim().is_empty() { otherwise } else { text }
}

/// Requested Procedure ID, at most 16 characters: that of the order, else the accession number if it is short, else a part of the study UID.
fn procedure_id(scheduled: &Scheduled) -> String {
    if !scheduled.request.procedure_id.is_empty() {
        return scheduled.request.procedure_id.clone();
    }
    let number = scheduled.patient.accession_number.trim();
    if !number.is_empty() && number.is_ascii() && number.len() <= 16 {
        return number.to_owned();
    }
    let uid: Vec<char> = scheduled.study_uid.chars().filter(char::is_ascii_digit).collect();
    uid[uid.len().saturating_sub(16)..].iter().collect()
}

/// Scheduled Procedure Step ID: that of the order, else 16 digits that differ between the steps of one order.
fn step_id(scheduled: &Scheduled) -> String {
    let Scheduled { patient, study_uid, date, time, modality, description, request, .. } = scheduled;
    if !request.step_id.is_empty() {
        return request.step_id.clone();
    }
    let step =
        [&patient.id, &patient.accession_number, study_uid, date, time, modality, description].map(String::as_str);
    let uid = dicom::uid::from_name(&format!("step\n{}", step.join("\n")));
    uid[uid.len().saturating_sub(16)..].to_owned()
}

fn is_asked(asked: &str, is: &str) -> bool {
    let asked = asked.trim();
    asked.is_empty() || text::is_like(is.trim(), asked)
}

/// Names whatever their case, one way of writing at a time, without the carets that end them.
fn is_named(asked: &str, name: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().trim().trim_end_matches(['^', ' ']).to_owned();
    let asked = plain(asked);
    // `DOE^*` asks for DOE, too, who has no given name.
    let fits = |name: &str, asked: &str| text::is_like(name, asked) || text::is_like(&format!("{name}^"), asked);
    asked.is_empty()
        || asked == "*"
        || fits(&plain(name), &asked)
        || name.split('=').any(|group| asked.split('=').any(|asked| fits(&plain(group), asked)))
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

/// Day and time of a step. Two ranges are one period, from the first day and time to the last ones (PS3.4 table K.6-1, Scheduled Procedure
/// Step Start Time); else each is matched by itself. What has no time may be at any.
fn is_then(asked_date: &str, asked_time: &str, date: &str, time: &str) -> bool {
    let ends = |asked: &str| asked.split_once('-').map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned()));
    match (ends(asked_date), ends(asked_time)) {
        (Some((first, last)), Some((from, to))) if !time.is_empty() => {
            let is = format!("{date}{}", start_time(time));
            let to = if to.is_empty() { "235959".to_owned() } else { start_time(&to) };
            (first.is_empty() || format!("{first}{}", start_time(&from)) <= is)
                && (last.is_empty() || is <= format!("{last}{to}"))
        }
        _ => {
            within(asked_date, date, str::to_owned)
                && (time.is_empty() || within(asked_time, &start_time(time), start_time))
        }
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
