//! The performed procedure step of an exam, of which a manager is told: whether there is one, what its beginning and its end say,
//! and when it is written down. The journal of the recording is what all of it comes from, so that a database that was built
//! again comes to the same step under the same UID. `tell` brings it to the manager.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use custody::series::SeriesKey;
use custody::store::own_steps::{self, End, New, Unfinished};
use custody::store::results::ResultRow;
use custody::store::{self, series};
use hal::clock::Wall;
use live::identity::is_nobody;
use live::record::journal::{self, Story};
use node::manager::settings::StepManager;
use node::manager::step::{Begun, Ended, Kind, Made, Reason};
use report::settings::Device;
use rusqlite::Transaction;

use super::{analysis, develop};

/// An exam whose job is parked may still come to results, when a person reruns it. So long its step stays in progress.
const HOPE: Duration = Duration::from_secs(24 * 3600);
/// ... and this process must have seen it parked for this long: the clock may have been set ahead a moment ago.
const SEEN: Duration = Duration::from_secs(3600);
/// Steps that were told to the end and are remembered.
const REMEMBERED: u32 = 2000;

/// Of which exams the manager is told, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    unscheduled: bool,
    /// Of analyses, too.
    analyses: bool,
    accepts_simulated: bool,
    station_ae_title: String,
    station_name: String,
}

impl Rules {
    /// `None`: no manager is configured.
    pub fn of(manager: &StepManager, device: &Device) -> Option<Self> {
        manager.address.as_ref()?;
        Some(Self {
            unscheduled: manager.unscheduled,
            analyses: manager.analyses,
            accepts_simulated: manager.accepts_simulated,
            station_ae_title: manager.calling_ae_title.trim().to_owned(),
            station_name: device.station_name.clone(),
        })
    }

    /// Whether the manager is told of analyses, and by whom they are made; `simulated`: by a simulated accelerator.
    pub(crate) fn of_analyses(&self, simulated: bool) -> Option<(&str, &str)> {
        let is_told = self.analyses && (!simulated || self.accepts_simulated);
        is_told.then_some((self.station_ae_title.as_str(), self.station_name.as_str()))
    }

    /// What the manager is told of the beginning of this exam; `None`: nothing, now at least. Pure.
    ///
    /// Nothing before it is known whose exam it is: a step cannot be given to another patient, and one that is final cannot be
    /// changed at all (PS3.4 section F.7.2.2.2).
    pub fn begun(&self, story: &Story) -> Option<Begun> {
        let begun = &story.begun;
        let is_wanted = begun.request.is_some() || self.unscheduled;
        let is_real = !story.simulated || self.accepts_simulated;
        (is_wanted && is_real && !is_nobody(&begun.patient)).then(|| Begun {
            kind: Kind::Exam,
            patient: begun.patient.clone(),
            request: begun.request.clone(),
            study_uid: begun.study_uid.clone(),
            started_utc: begun.started_utc.clone(),
            station_ae_title: self.station_ae_title.clone(),
            station_name: self.station_name.clone(),
        })
    }
}

/// SOP Instance UID of the step of an exam: the same whenever it is asked.
fn sop_uid(recording_uid: &str) -> String {
    dicom::uid::from_name(&format!("performed procedure step of the recording {recording_uid}"))
}

/// Writes down that an exam has begun, unless that is known or nobody is to be told.
///
/// # Errors
/// When the database fails.
pub fn note_begun(transaction: &Transaction<'_>, story: &Story, rules: &Rules, now: &str) -> store::Result<()> {
    let Some(begun) = rules.begun(story) else { return Ok(()) };
    let recording_uid = &story.begun.series_uid;
    let new = New {
        recording_uid,
        sop_uid: &sop_uid(recording_uid),
        study_uid: &begun.study_uid,
        begun: &serde_json::to_string(&begun)?,
        job_id: None,
    };
    own_steps::begin(transaction, &new, now).map(drop)
}

/// How an exam came to its end.
#[derive(Debug, Clone, Copy)]
pub struct Over<'a> {
    /// Series UID of the recording.
    pub recording_uid: &'a str,
    /// RFC 3339, UTC.
    pub utc: &'a str,
    /// The box was stopped or lost its power; no user ended it.
    pub interrupted: bool,
}

/// What the manager is told of the end of an exam that came to these results. Pure.
///
/// An exam that nobody has ended is discontinued, with all that was made of it: whether it was complete only people can say.
fn ended(over: Over<'_>, results: &[ResultRow]) -> Ended {
    let series = made(results);
    let discontinued = over.interrupted.then_some(Reason::EquipmentFailure);
    Ended { kind: Kind::Exam, utc: over.utc.to_owned(), discontinued, series }
}

/// The objects by series. Pure.
pub(crate) fn made(results: &[ResultRow]) -> Vec<Made> {
    let mut series: Vec<Made> = Vec::new();
    for row in results {
        let at = series.iter().position(|made| made.series_uid == row.series_uid).unwrap_or_else(|| {
            series.push(Made { series_uid: row.series_uid.clone(), ..Made::default() });
            series.len() - 1
        });
        let object = (row.sop_class.clone(), row.sop_uid.clone());
        let is_image = [report::ultrasound::CLIP.name, report::ultrasound::KEY.name].contains(&row.kind.as_str());
        if is_image { series[at].images.push(object) } else { series[at].others.push(object) }
    }
    series
}

/// Writes down what the exam came to, in the transaction that writes its results. `true`: there is something to tell.
///
/// # Errors
/// When the database fails.
pub fn note_ended(transaction: &Transaction<'_>, over: Over<'_>, results: &[ResultRow]) -> store::Result<bool> {
    let said = serde_json::to_string(&ended(over, results))?;
    match own_steps::end(transaction, over.recording_uid, &said)? {
        End::New => Ok(true),
        End::NotTold => Ok(false),
        End::Before => {
            if !own_steps::says(transaction, over.recording_uid, &said)? {
                let what = "results that the manager is not told of";
                let detail = "the step of this exam has its end already, which no one may change";
                tracing::warn!(recording = over.recording_uid, "{what}: {detail}");
                own_steps::note(transaction, over.recording_uid, what, detail)?;
            }
            Ok(false)
        }
    }
}

/// Since when this process knows the job of an exam as parked. The wall clock may be set by years at any moment.
#[derive(Debug, Default)]
pub struct Parked(BTreeMap<String, Instant>);

impl Parked {
    /// Forgets those that are not parked any more.
    fn observe(&mut self, all: &[Unfinished], now: Instant) {
        let parked = all.iter().filter(|one| one.job.as_deref() == Some("parked"));
        let since = |one: &Unfinished| self.0.get(&one.recording_uid).copied().unwrap_or(now);
        self.0 = parked.map(|one| (one.recording_uid.clone(), since(one))).collect();
    }

    fn seen_for(&self, recording_uid: &str, now: Instant) -> Duration {
        self.0.get(recording_uid).map_or(Duration::ZERO, |since| now.saturating_duration_since(*since))
    }
}

/// Of an exam that will not come to results: why; `None` while it may. `seen`: for how long its job is known as parked. Pure.
fn hopeless(unfinished: &Unfinished, has_recording: bool, wall: &Wall, seen: Duration) -> Option<&'static str> {
    match unfinished.job.as_deref() {
        None if !has_recording => Some("its recording is gone, and nothing was made of it"),
        Some("parked") if seen >= SEEN && wall.since(unfinished.finished_utc.as_deref()?) >= HOPE => {
            Some("nothing could be made of its recording for a day")
        }
        _ => None,
    }
}

/// Reads the journals below `exams` and the rows: exams that have begun and are not known, exams that will come to nothing.
/// Blocks.
///
/// # Errors
/// When the database fails.
pub fn look(
    connection: &mut rusqlite::Connection,
    spool: &Path,
    rules: &Rules,
    wall: &Wall,
    parked: &mut Parked,
) -> store::Result<()> {
    for folder in journal::left_over(&spool.join("exams")) {
        // One that cannot be read is for `hand_over` to judge.
        let Ok(Some(begun)) = journal::begun(&folder) else { continue };
        let key = SeriesKey { study_uid: begun.study_uid, series_uid: begun.series_uid };
        // What has been handed over was noted with it, or was not to be told then.
        if own_steps::is_known(connection, &key.series_uid)? || series::find(connection, &key)?.is_some() {
            continue;
        }
        let Ok(Some(story)) = journal::story(&folder) else { continue };
        let transaction = connection.transaction()?;
        // It may be handed over just now.
        if series::find(&transaction, &key)?.is_none() {
            note_begun(&transaction, &story, rules, &wall.now_utc())?;
        }
        transaction.commit()?;
    }
    let (all, now) = (own_steps::unfinished(connection)?, Instant::now());
    parked.observe(&all, now);
    for unfinished in all {
        let recording_uid = unfinished.recording_uid.as_str();
        let has_recording = develop::folder(spool, recording_uid).exists();
        let seen = parked.seen_for(recording_uid, now);
        let Some(why) = hopeless(&unfinished, has_recording, wall, seen) else { continue };
        tracing::warn!(recording = recording_uid, "an exam is discontinued: {why}");
        // A series must be named (type 1 in the final state); of this one nothing was made.
        let series = vec![Made { series_uid: recording_uid.to_owned(), ..Made::default() }];
        let ended =
            Ended { kind: Kind::Exam, utc: wall.now_utc(), discontinued: Some(Reason::EquipmentFailure), series };
        let transaction = connection.transaction()?;
        own_steps::end(&transaction, recording_uid, &serde_json::to_string(&ended)?)?;
        own_steps::note(&transaction, recording_uid, "the exam is discontinued", why)?;
        transaction.commit()?;
    }
    analysis::look(connection, &wall.now_utc())?;
    own_steps::forget(connection, REMEMBERED)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dicom::patient::Patient;
    use dicom::request::Request;
    use live::record::journal::Begun as Recorded;

    use super::*;

    fn rules(unscheduled: bool, accepts_simulated: bool) -> Rules {
        let manager =
            StepManager { address: Some("ris:104".into()), unscheduled, accepts_simulated, ..StepManager::default() };
        Rules::of(&manager, &Device::default()).unwrap()
    }

    fn story(id: &str, scheduled: bool, simulated: bool) -> Story {
        let patient = Patient { id: id.into(), name: "DOE^JANE".into(), ..Patient::default() };
        let begun = Recorded {
            study_uid: "1.2.3".into(),
            series_uid: "1.2.4".into(),
            patient,
            started_utc: "2026-11-29T20:54:12.345Z".into(),
            request: scheduled.then(Request::default),
        };
        let mut story = Story::new(begun);
        story.simulated = simulated;
        story
    }

    #[test]
    fn only_exams_of_somebody_whom_the_manager_expects_are_told() {
        for (id, scheduled, simulated, rules, told) in [
            ("P1", true, false, rules(false, false), true),
            ("P1", false, false, rules(false, false), false),
            ("P1", false, false, rules(true, false), true),
            ("UNIDENTIFIED-20261129T205412Z", true, false, rules(true, true), false),
            ("P1", true, true, rules(true, false), false),
            ("P1", true, true, rules(false, true), true),
        ] {
            let said = rules.begun(&story(id, scheduled, simulated));
            assert_eq!(said.is_some(), told, "{id} {scheduled} {simulated} {rules:?}");
        }
        assert!(Rules::of(&StepManager::default(), &Device::default()).is_none(), "no manager");
    }

    fn result(kind: &str, series: &str, uid: &str) -> ResultRow {
        ResultRow {
            id: 0,
            job_id: 1,
            kind: kind.into(),
            sop_class: format!("{kind} class"),
            sop_uid: uid.into(),
            study_uid: "1.2.3".into(),
            series_uid: series.into(),
            file: String::new(),
            length: 0,
            sha256: String::new(),
            simulated: false,
        }
    }

    #[test]
    fn the_end_of_an_exam_names_every_object_and_says_whether_a_person_ended_it() {
        let results = [
            result("us", "1", "1.1"),
            result("us", "1", "1.2"),
            result("us-key", "2", "2.1"),
            result("sr", "3", "3.1"),
        ];
        let over = Over { recording_uid: "1.2.4", utc: "2026-11-29T21:00:00.000Z", interrupted: false };
        let said = ended(over, &results);
        assert_eq!(said.discontinued, None);
        let counts: Vec<_> =
            said.series.iter().map(|made| (made.series_uid.as_str(), made.images.len(), made.others.len())).collect();
        assert_eq!(counts, [("1", 2, 0), ("2", 1, 0), ("3", 0, 1)]);
        let cut = ended(Over { interrupted: true, ..over }, &results);
        assert_eq!((cut.discontinued, cut.series.len()), (Some(Reason::EquipmentFailure), 3));
    }

    #[test]
    fn an_exam_is_given_up_when_its_recording_is_gone_or_nothing_came_of_it_for_a_day() {
        let wall = Wall::default();
        let unfinished = |job: Option<&str>, ago: u64| Unfinished {
            recording_uid: "1.2.4".into(),
            job: job.map(str::to_owned),
            finished_utc: job.map(|_| store::utc_before(Duration::from_secs(ago))),
        };
        let day = 24 * 3600;
        for (job, ago, seen, has_recording, given_up) in [
            (None, 0, Duration::ZERO, true, false),
            (None, 0, Duration::ZERO, false, true),
            (Some("queued"), 10 * day, SEEN, true, false),
            (Some("running"), 10 * day, SEEN, false, false),
            (Some("parked"), day - 60, SEEN, true, false),
            (Some("parked"), day + 60, SEEN, true, true),
            // The clock was set ahead, and somebody is about to have it made again.
            (Some("parked"), 1000 * day, SEEN / 2, true, false),
            (Some("done"), 10 * day, SEEN, false, false),
        ] {
            let why = hopeless(&unfinished(job, ago), has_recording, &wall, seen);
            assert_eq!(why.is_some(), given_up, "{job:?} {ago} {seen:?} {has_recording}");
        }
    }

    #[test]
    fn a_job_that_is_parked_anew_is_seen_anew() {
        let begun = Instant::now();
        let at = |minutes: u64| begun + Duration::from_secs(60 * minutes);
        let one = |job: &str| Unfinished {
            recording_uid: "1.2.4".into(),
            job: Some(job.into()),
            finished_utc: Some("1970-01-01T00:00:00.000Z".into()),
        };
        let mut parked = Parked::default();
        for (job, minutes, seen_minutes) in
            [("parked", 0, 0), ("parked", 30, 30), ("running", 40, 0), ("parked", 50, 0), ("parked", 60, 10)]
        {
            parked.observe(&[one(job)], at(minutes));
            assert_eq!(
                parked.seen_for("1.2.4", at(minutes)),
                Duration::from_secs(60 * seen_minutes),
                "{job} {minutes}"
            );
        }
    }
}
