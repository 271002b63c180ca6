//! A task as a manager says it: the question for tasks (C-FIND), what is read of an answer or an N-GET, and whether this box takes it.
//! Pure.

use dicom::header::Header;
use dicom::request::Code;
use dicom::scan;
use serde::{Deserialize, Serialize};

use super::settings::TaskManager;
use crate::elements::{Elements, Syntax, Tag, Writer};

const SOP_INSTANCE: Tag = (0x0008, 0x0018);
const LABEL: Tag = (0x0074, 0x1204);
const STATE: Tag = (0x0074, 0x1000);
const PROGRESS: Tag = (0x0074, 0x1002);
const WORKITEM: Tag = (0x0040, 0x4018);
const STATIONS: Tag = (0x0040, 0x4025);
const START: Tag = (0x0040, 0x4005);
const READINESS: Tag = (0x0040, 0x4041);
const INPUTS: Tag = (0x0040, 0x4021);
const DISCONTINUED: Tag = (0x0074, 0x100e);

/// What an N-GET asks for: how a task stands, and whether somebody wants it to end.
pub(super) const LOOKED_AT: [Tag; 2] = [STATE, PROGRESS];
/// Objects that a task may name; more are no series that this box reads.
const MOST_OBJECTS: usize = 20_000;

/// What a manager says of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    pub sop_uid: String,
    /// `SCHEDULED`, `IN PROGRESS`, `COMPLETED` or `CANCELED`.
    pub state: String,
    pub label: String,
    pub workitem: Code,
    /// Code values of the stations for which it is scheduled.
    pub stations: Vec<String>,
    /// Scheduled Procedure Step Start DateTime, as it came.
    pub start: String,
    /// `READY`, `UNAVAILABLE` or `INCOMPLETE`; empty where the manager does not say.
    pub readiness: String,
    pub inputs: Vec<Input>,
    /// Whose it is, read as an instance is, so that both can be compared.
    pub patient: Header,
    /// Somebody wants it to end: the reason where one is given.
    pub unwanted: Option<String>,
}

/// Objects of one series that are to be read; none named: all of the series, and without a series all of the study.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub study_uid: String,
    pub series_uid: String,
    pub objects: Vec<String>,
}

/// Identifier of the C-FIND (PS3.4 table CC.2.5-3, its matching and return keys).
pub(super) fn question(station: &str, syntax: Syntax) -> Vec<u8> {
    let code = |value: &str| {
        let mut item = Writer::new(syntax);
        item.text((0x0008, 0x0100), *b"SH", value);
        item.text((0x0008, 0x0102), *b"SH", "");
        item.text((0x0008, 0x0104), *b"LO", "");
        item.finish()
    };
    let mut set = Writer::new(syntax);
    set.text((0x0008, 0x0005), *b"CS", "");
    set.uid((0x0008, 0x0016), "");
    set.uid(SOP_INSTANCE, "");
    set.text((0x0010, 0x0010), *b"PN", "");
    set.text((0x0010, 0x0020), *b"LO", "");
    set.text((0x0010, 0x0021), *b"LO", "");
    set.text((0x0010, 0x0030), *b"DA", "");
    set.text((0x0010, 0x0040), *b"CS", "");
    set.uid((0x0020, 0x000d), "");
    set.text(START, *b"DT", "");
    set.sequence(WORKITEM, [code("")]);
    set.sequence(INPUTS, []);
    set.sequence(STATIONS, [code(station)]);
    set.text(READINESS, *b"CS", "");
    set.sequence((0x0040, 0xa370), []); // referenced request
    set.text(STATE, *b"CS", "SCHEDULED");
    set.text((0x0074, 0x1200), *b"CS", ""); // priority
    set.text((0x0074, 0x1202), *b"LO", ""); // worklist label
    set.text(LABEL, *b"LO", "");
    set.finish()
}

impl Task {
    /// # Errors
    /// Why the answer cannot be used.
    pub(super) fn read(bytes: &[u8], syntax: &str) -> Result<Self, &'static str> {
        let task = Self::parse(bytes, syntax)?;
        if task.sop_uid.is_empty() { Err("tasks without a SOP Instance UID") } else { Ok(task) }
    }

    /// Of the answer to an N-GET, which may leave out the UID.
    pub(super) fn read_part(bytes: &[u8], syntax: &str, sop_uid: &str) -> Result<Self, &'static str> {
        Ok(Self { sop_uid: sop_uid.to_owned(), ..Self::parse(bytes, syntax)? })
    }

    fn parse(bytes: &[u8], syntax: &str) -> Result<Self, &'static str> {
        const DAMAGED: &str = "tasks that are damaged";
        let patient = scan::answer_of_data_set(bytes, syntax).map_err(|_| DAMAGED)?.header;
        let syntax = Syntax::of(syntax).ok_or(DAMAGED)?;
        let elements = Elements::parse(bytes, syntax).map_err(|_| DAMAGED)?;
        let codes = |of: &Elements<'_>, tag| -> Result<Vec<Code>, &'static str> {
            Ok(of.items(tag).map_err(|_| DAMAGED)?.iter().map(code).collect())
        };
        let mut inputs: Vec<Input> = Vec::new();
        let mut named = 0;
        for item in elements.items(INPUTS).map_err(|_| DAMAGED)? {
            let objects = item.items((0x0008, 0x1199)).map_err(|_| DAMAGED)?;
            named += objects.len();
            if named > MOST_OBJECTS {
                return Err("tasks with more than 20000 objects");
            }
            let objects = objects.iter().map(|object| object.text((0x0008, 0x1155))).collect();
            let input =
                Input { study_uid: item.text((0x0020, 0x000d)), series_uid: item.text((0x0020, 0x000e)), objects };
            match inputs
                .iter_mut()
                .find(|known| (&known.study_uid, &known.series_uid) == (&input.study_uid, &input.series_uid))
            {
                Some(known) => known.objects.extend(input.objects),
                None => inputs.push(input),
            }
        }
        let progress = elements.items(PROGRESS).map_err(|_| DAMAGED)?;
        Ok(Self {
            sop_uid: elements.text(SOP_INSTANCE),
            state: elements.text(STATE),
            label: elements.text(LABEL),
            workitem: codes(&elements, WORKITEM)?.into_iter().next().unwrap_or_default(),
            stations: codes(&elements, STATIONS)?
                .into_iter()
                .map(|code| code.value)
                .filter(|v| !v.is_empty())
                .collect(),
            start: elements.text(START),
            readiness: elements.text(READINESS),
            inputs,
            patient,
            unwanted: progress.iter().find_map(unwanted),
        })
    }

    /// Why this box does not take the task; `None`: it takes it. `now`: local time with its offset from UTC, `YYYYMMDDHHMMSS+HHMM`. Pure.
    pub fn not_taken(&self, settings: &TaskManager, now: &str) -> Option<String> {
        let Code { value, scheme, .. } = &self.workitem;
        let workitem = format!("{scheme}:{value}");
        if self.state != "SCHEDULED" {
            return Some(format!("it is {}", if self.state.is_empty() { "in no state" } else { &self.state }));
        }
        if !settings.workitems.contains(&workitem) {
            return Some(format!("its workitem {workitem} is not in ups.workitems"));
        }
        if !settings.station.is_empty() && !self.stations.contains(&settings.station) {
            let stations = if self.stations.is_empty() { "none".into() } else { self.stations.join(", ") };
            return Some(format!("it is scheduled for another station ({stations}) than ups.station"));
        }
        if !self.readiness.is_empty() && self.readiness != "READY" {
            return Some(format!("its input is {}", self.readiness));
        }
        if is_later(&self.start, now) {
            return Some(format!("it is scheduled for later ({})", self.start));
        }
        if self.inputs.iter().all(|input| input.study_uid.is_empty()) {
            return Some("it names no DICOM objects as its input".into());
        }
        None
    }
}

/// Whether a DT value (PS3.5 section 6.2) lies after `now`. Without an offset from UTC it is local time, as `now` is; what it leaves out counts
/// as its beginning. False when it does not name a day. Pure.
fn is_later(start: &str, now: &str) -> bool {
    let length = start.bytes().take(14).take_while(u8::is_ascii_digit).count();
    if length < 8 {
        return false;
    }
    match (instant(start), instant(now)) {
        (Some(start), Some(now)) => start > now,
        _ => start.get(..length) > now.get(..length),
    }
}

/// `None` without an offset from UTC, or when it is no moment.
fn instant(text: &str) -> Option<jiff::Timestamp> {
    let (text, offset) = text.trim_end().split_at_checked(text.trim_end().len().checked_sub(5)?)?;
    let sign = match offset.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i32>().ok())?;
    let seconds = 3600 * number(offset.get(1..3)?)? + 60 * number(offset.get(3..5)?)?;
    let digits = text.split('.').next()?;
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |two| number(two)?.try_into().ok());
    let year = number(digits.get(..4)?)?.try_into().ok()?;
    // A leap second is that of the minute before.
    let second = i8::min(part(12)?, 59);
    let local = jiff::civil::DateTime::new(year, part(4)?, part(6)?, part(8)?, part(10)?, second, 0).ok()?;
    jiff::tz::Offset::from_seconds(sign * seconds).ok()?.to_timestamp(local).ok()
}

fn code(item: &Elements<'_>) -> Code {
    Code {
        value: item.text((0x0008, 0x0100)),
        scheme: item.text((0x0008, 0x0102)),
        version: item.text((0x0008, 0x0103)),
        meaning: item.text((0x0008, 0x0104)),
    }
}

/// Of an item of the Procedure Step Progress Information Sequence: whether it asks for the end. A request to cancel is an event of those
/// who watch; managers that write it down do so here.
fn unwanted(progress: &Elements<'_>) -> Option<String> {
    let codes = progress.items(DISCONTINUED).unwrap_or_default();
    let why = codes.first().map(|code| format!("{}:{}", code.text((0x0008, 0x0102)), code.text((0x0008, 0x0100))));
    let when = progress.text((0x0040, 0x4052));
    let words = progress.text((0x0074, 0x1238));
    (why.is_some() || !when.is_empty() || !words.is_empty()).then(|| why.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        Task {
            sop_uid: "1.2.3".into(),
            state: "SCHEDULED".into(),
            workitem: Code { value: "110004".into(), scheme: "DCM".into(), ..Code::default() },
            readiness: "READY".into(),
            inputs: vec![Input { study_uid: "1.2".into(), ..Input::default() }],
            ..Task::default()
        }
    }

    #[test]
    fn only_tasks_for_this_box_are_taken_and_it_says_why_not() {
        let settings = TaskManager { station: "BOX1".into(), ..TaskManager::default() };
        let now = "20261130181500+0100";
        let mine = Task { stations: vec!["BOX1".into()], start: "20261130180000+0100".into(), ..task() };
        assert_eq!(mine.not_taken(&settings, now), None);
        assert_eq!(task().not_taken(&TaskManager::default(), now), None, "no station counts");
        let other = Code { value: "110005".into(), ..mine.workitem.clone() };
        for (task, words) in [
            (Task { state: "IN PROGRESS".into(), ..mine.clone() }, "IN PROGRESS"),
            (Task { workitem: other, ..mine.clone() }, "DCM:110005"),
            (Task { stations: vec!["BOX2".into()], ..mine.clone() }, "another station (BOX2)"),
            (task(), "another station (none)"),
            (Task { readiness: "UNAVAILABLE".into(), ..mine.clone() }, "UNAVAILABLE"),
            (Task { start: "20261130190000".into(), ..mine.clone() }, "later"),
            (Task { start: "20261201".into(), ..mine.clone() }, "later"),
            (Task { inputs: Vec::new(), ..mine.clone() }, "no DICOM objects"),
        ] {
            let why = task.not_taken(&settings, now).unwrap();
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn the_start_of_a_task_is_a_moment_where_it_says_its_offset_and_local_time_otherwise() {
        let now = "20261130130000-0500";
        for (start, later) in [
            ("20261130180000+0000", false),
            ("20261130180001+0000", true),
            ("20261130180000.500000+0000", false),
            ("20261201030000+0900", false),
            ("20261201030100+0900", true),
            ("20261130125959-0500", false),
            ("20261130130001-0500 ", true),
            ("2026113013-0500", false),
            ("2026113014-0500", true),
            ("20261201+0900", false),
            ("20261202+0900", true),
            ("20261130180000", true),
            ("20261130130000", false),
            ("20261130", false),
            ("20261201", true),
            ("", false),
            ("noon", false),
            ("20269999+0000", true),
            ("20261130180060+0000", true),
        ] {
            assert_eq!(is_later(start, now), later, "{start}");
        }
    }

    #[test]
    fn the_question_is_for_scheduled_tasks_of_the_station_and_a_task_is_read_as_it_was_written() {
        for syntax in [Syntax::Implicit, Syntax::Explicit] {
            let bytes = question("BOX1", syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            assert_eq!(elements.text(STATE), "SCHEDULED");
            assert_eq!(elements.items(STATIONS).unwrap()[0].text((0x0008, 0x0100)), "BOX1");
            let tags: Vec<Tag> = elements.tags().collect();
            assert!(tags.is_sorted(), "{tags:04x?}");
            let asked = Task::parse(&bytes, syntax.uid()).unwrap();
            assert_eq!((asked.stations.as_slice(), asked.unwanted), (["BOX1".to_owned()].as_slice(), None));
            assert!(Task::read(&bytes, syntax.uid()).is_err(), "no UID");
        }
    }

    #[test]
    fn the_objects_of_one_series_are_one_input() {
        let syntax = Syntax::Explicit;
        let object = |uid: &str| {
            let mut item = Writer::new(syntax);
            item.uid((0x0008, 0x1155), uid);
            item.finish()
        };
        let input = |series: &str, uids: &[&str]| {
            let mut item = Writer::new(syntax);
            item.sequence((0x0008, 0x1199), uids.iter().map(|uid| object(uid)));
            item.uid((0x0020, 0x000d), "1.2");
            item.uid((0x0020, 0x000e), series);
            item.finish()
        };
        let mut set = Writer::new(syntax);
        set.uid(SOP_INSTANCE, "1.9");
        set.sequence(INPUTS, [input("1.2.1", &["1.2.1.1"]), input("1.2.2", &[]), input("1.2.1", &["1.2.1.2"])]);
        let mut progress = Writer::new(syntax);
        progress.text((0x0074, 0x1238), *b"LT", "not needed");
        set.sequence(PROGRESS, [progress.finish()]);
        let read = Task::read(&set.finish(), syntax.uid()).unwrap();
        let inputs: Vec<_> = read.inputs.iter().map(|one| (one.series_uid.as_str(), one.objects.len())).collect();
        assert_eq!(inputs, [("1.2.1", 2), ("1.2.2", 0)]);
        assert_eq!(read.unwanted.as_deref(), Some(""), "somebody wants it to end");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = Task::parse(&value, "1.2.840.10008.1.2");
            let _ = Task::parse(&value, "1.2.840.10008.1.2.1");
            let _ = is_later(&String::from_utf8_lossy(&value), "20261130130000-0500");
        }
    }
}
