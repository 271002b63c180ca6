//! The journal of a recorded exam: lines of JSON, and the [`Story`] that they add up to.
//!
//! A line that was torn by a kill or a power cut is skipped; the story is built from the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dicom::patient::Patient;
use dicom::request::Request;
use models::findings::Side;
use models::lesion::sighting::Place;
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::scan::coverage::Coverage;
use models::task::us_breast::scan::probe::Probe;
use serde::{Deserialize, Serialize};

use super::files::JOURNAL;
use super::ring::Window;
use crate::name::Agreement;
use crate::view::{Exam, Latency, MadeBy, Stats};

/// Up to this much of an exam no network need have looked: a model is loaded, a run fails.
const UNSEEN_SECS: f64 = 5.0;
const UNSEEN_SHARE: f64 = 0.05;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JournalEntry {
    Begun(Begun),
    /// An exam that began without a patient now has one.
    Patient {
        patient: Patient,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Request>,
    },
    /// What the scanner's screen shows of the patient is another thing from now on.
    OnScreen {
        agreement: Agreement,
    },
    /// Which breast is scanned from now on, as whoever scans says; `None`: not said any more.
    Side {
        side: Option<Side>,
    },
    /// Where the probe is from now on, as whoever scans says; `None`: not said any more.
    Probe {
        probe: Option<Probe>,
    },
    /// What of the breasts was looked at so far; the last one counts.
    Coverage {
        coverage: Coverage,
    },
    /// Where a lesion is, as whoever scans says; what is not given stays as it was.
    Place {
        lesion: u32,
        place: Place,
        /// Only the place of the probe was said, when it was shown first.
        #[serde(default)]
        by_probe: bool,
    },
    /// The pictures come from a simulated device: a recording that is played, test bars.
    Simulated,
    Scene(Scene),
    Seen(Seen),
    /// Millimetres of tissue per pixel from this picture on; `None`: nobody knows.
    Scale {
        moment: Moment,
        mm_per_pixel: Option<f32>,
    },
    Marked(Moment),
    Stats {
        stats: Stats,
    },
    /// How many pictures were recorded in all; figures of those that were shown follow.
    Kept {
        pictures: u64,
    },
    Ended {
        /// RFC 3339, UTC.
        utc: String,
        /// The box stopped during the exam; no user ended it.
        interrupted: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    pub study_uid: String,
    /// Series UID of this recording, and the name of its folder.
    pub series_uid: String,
    pub patient: Patient,
    /// RFC 3339, UTC.
    pub started_utc: String,
    /// What the worklist says was asked for; `None`: the exam is not of the worklist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Request>,
}

impl Begun {
    /// Whether this is the first entry of the journal of `exam`.
    pub fn is_of(&self, exam: &Exam) -> bool {
        self.series_uid == exam.recording_uid()
    }
}

/// Screen, profile and model of the pictures from this entry on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    pub profile: String,
    /// Columns and rows of the pictures.
    pub size: [usize; 2],
    /// left, top, right, bottom of the image sector, pixels; right and bottom are exclusive.
    pub sector: [u32; 4],
    /// Burned-in text that identifies the patient is blacked out.
    pub masked: bool,
    /// `None` while there is no model.
    pub made_by: Option<MadeBy>,
}

/// A picture of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    pub sequence: u64,
    /// Driver's time, monotonic.
    pub captured: Duration,
}

/// A lesion in the picture that shows it best so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Index of the scene; filled in by the story.
    #[serde(default)]
    pub scene: usize,
    pub moment: Moment,
    /// Confidence times area, square pixels.
    pub score: f32,
    pub mm_per_pixel: Option<f32>,
    pub lesion: Lesion,
    /// The breast that was scanned then, and how often lesions were numbered anew before; filled in by the story.
    #[serde(skip)]
    side: Option<Side>,
    #[serde(skip)]
    numbering: u32,
}

impl Seen {
    pub fn new(moment: Moment, score: f32, mm_per_pixel: Option<f32>, lesion: Lesion) -> Self {
        Self { scene: 0, moment, score, mm_per_pixel, lesion, side: None, numbering: 0 }
    }
}

/// What the lines of the journal say so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    pub begun: Begun,
    /// Any of the pictures came from a simulated device.
    pub simulated: bool,
    /// What the scanner's screen showed last of the patient, and whether it showed another one at any time.
    pub on_screen: Option<Agreement>,
    pub another_on_screen: bool,
    pub scenes: Vec<Scene>,
    /// One for each lesion number in each numbering, in the order in which they were found.
    pub seen: Vec<Seen>,
    /// From which picture on which scale holds, in order.
    scales: Vec<(Moment, Option<f32>)>,
    pub marks: Vec<Moment>,
    /// The breasts that were scanned: named while a lesion was seen or figures were noted. A key that was pressed by mistake
    /// and corrected at once is none.
    pub sides: Vec<Side>,
    /// A freehand estimate; empty where nobody said where the probe was.
    pub coverage: Coverage,
    side: Option<Side>,
    probe: Option<Probe>,
    /// Lesions are numbered anew when the size of the pictures changes.
    numbering: u32,
    places: BTreeMap<(u32, u32), Place>,
    by_probe: BTreeSet<(u32, u32)>,
    pub stats: Stats,
    /// How many pictures were recorded; `None`: nobody wrote that down.
    pub kept: Option<u64>,
    /// When the exam ended (RFC 3339, UTC), and whether it was interrupted.
    pub ended: Option<(String, bool)>,
}

impl Story {
    pub fn new(begun: Begun) -> Self {
        let (scenes, seen, marks) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            begun,
            simulated: false,
            on_screen: None,
            another_on_screen: false,
            scenes,
            seen,
            scales: Vec::new(),
            marks,
            sides: Vec::new(),
            coverage: Coverage::default(),
            side: None,
            probe: None,
            numbering: 0,
            places: BTreeMap::new(),
            by_probe: BTreeSet::new(),
            stats: Stats::default(),
            kept: None,
            ended: None,
        }
    }

    /// Reads a journal; `None` when its first line is not [`JournalEntry::Begun`].
    pub fn read(text: &str) -> Option<Self> {
        let mut entries = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        let JournalEntry::Begun(begun) = entries.next()? else { return None };
        let mut story = Self::new(begun);
        entries.for_each(|entry| story.apply(&entry));
        Some(story)
    }

    pub fn apply(&mut self, entry: &JournalEntry) {
        match entry {
            JournalEntry::Begun(_) => {}
            JournalEntry::Patient { patient, request } => {
                (self.begun.patient, self.begun.request) = (patient.clone(), request.clone());
            }
            JournalEntry::Simulated => self.simulated = true,
            JournalEntry::OnScreen { agreement } => {
                self.on_screen = Some(*agreement);
                self.another_on_screen |= *agreement == Agreement::Differs;
            }
            JournalEntry::Side { side } => (self.side, self.probe) = (*side, None),
            JournalEntry::Probe { probe } => self.probe = *probe,
            JournalEntry::Coverage { coverage } => self.coverage = coverage.clone(),
            JournalEntry::Place { lesion, place, by_probe } => {
                let key = (self.numbering, *lesion);
                let was_by_probe = if *by_probe { !self.by_probe.insert(key) } else { self.by_probe.remove(&key) };
                let old = self.places.entry(key).or_default();
                *old = if was_by_probe { place.clone() } else { place.or(old) };
            }
            JournalEntry::Scene(scene) => {
                self.numbering += u32::from(self.scenes.last().is_some_and(|last| last.size != scene.size));
                self.scenes.push(scene.clone());
            }
            JournalEntry::Seen(seen) => {
                self.scanned();
                let (scene, side, numbering) = (self.scenes.len().saturating_sub(1), self.side, self.numbering);
                let seen = Seen { scene, side, numbering, ..seen.clone() };
                let same = |old: &&mut Seen| (old.numbering, old.lesion.id) == (seen.numbering, seen.lesion.id);
                match self.seen.iter_mut().find(same) {
                    Some(old) => *old = seen,
                    None => self.seen.push(seen),
                }
            }
            JournalEntry::Scale { moment, mm_per_pixel } => self.scales.push((*moment, *mm_per_pixel)),
            JournalEntry::Marked(moment) => self.marks.push(*moment),
            JournalEntry::Stats { stats } => {
                self.scanned();
                self.stats = stats.clone();
            }
            JournalEntry::Kept { pictures } => self.kept = Some(*pictures),
            JournalEntry::Ended { utc, interrupted } => self.ended = Some((utc.clone(), *interrupted)),
        }
    }

    fn scanned(&mut self) {
        self.sides.extend(self.side.filter(|side| !self.sides.contains(side)));
    }

    /// Where a lesion is, as far as whoever scanned has said: of itself, or which breast was scanned when it was seen best.
    pub fn place(&self, seen: &Seen) -> Place {
        let scanned = Place { side: seen.side, ..Place::default() };
        let key = (seen.numbering, seen.lesion.id);
        // The probe was in the other breast when the lesion was seen best: what was said of the probe before was not up to date.
        let place = self.places.get(&key).filter(|place| !self.by_probe.contains(&key) || place.side == seen.side);
        place.map_or_else(|| scanned.clone(), |place| place.or(&scanned))
    }

    /// The breast that is scanned, as it was said last.
    pub fn side(&self) -> Option<Side> {
        self.side
    }

    /// Where the probe is, as it was said last.
    pub fn probe(&self) -> Option<Probe> {
        self.probe
    }

    /// What was said of the lesion that has this number now.
    pub fn said(&self, lesion: u32) -> Option<&Place> {
        self.places.get(&(self.numbering, lesion))
    }

    /// The best score so far of the lesion that has this number now. A model that failed and came back, or another accelerator,
    /// makes another scene; the lesion stays the same.
    pub fn best(&self, id: u32) -> Option<f32> {
        self.seen.iter().find(|seen| (seen.numbering, seen.lesion.id) == (self.numbering, id)).map(|seen| seen.score)
    }

    /// The scale as it was noted last.
    pub fn scale_now(&self) -> Option<f32> {
        self.scales.last().and_then(|(_, scale)| *scale)
    }

    /// Millimetres per pixel of all pictures from `from` to `to`, capture times; `None` where it changed or is not known.
    pub fn scale(&self, from: Duration, to: Duration) -> Option<f32> {
        let before = self.scales.iter().take_while(|(moment, _)| moment.captured <= from).last();
        let changed = self.scales.iter().any(|(moment, _)| moment.captured > from && moment.captured <= to);
        before.filter(|_| !changed).and_then(|(_, scale)| *scale)
    }

    /// A network has looked at pictures.
    pub fn is_looked_at(&self) -> bool {
        let answers = |(stage, latency): &(String, Latency)| stage == "overlay" && latency.count > 0;
        !self.seen.is_empty() || self.stats.stages.iter().any(answers)
    }

    /// Seconds in which pictures came that no network looked at, and seconds in which pictures came, where it is worth a word: a
    /// lesion may have been in them.
    pub fn unseen(&self) -> Option<[f64; 2]> {
        let Stats { unseen_secs, coming_secs, .. } = self.stats;
        (unseen_secs > UNSEEN_SECS.max(UNSEEN_SHARE * coming_secs)).then_some([unseen_secs, coming_secs])
    }

    /// Less than half of the pictures that were shown were recorded: lesions may be missing.
    pub fn is_poor(&self) -> bool {
        self.kept.is_some_and(|kept| kept < self.stats.pictures.div_ceil(2))
    }

    /// The times whose pictures are kept: `half` before and after each best picture and each mark.
    pub fn windows(&self, half: Duration) -> Vec<Window> {
        let moments = self.seen.iter().map(|seen| seen.moment).chain(self.marks.iter().copied());
        moments.map(|moment| Window::around(moment.captured, half)).collect()
    }
}

/// The entry as one line, with its line end.
pub fn line(entry: &JournalEntry) -> String {
    // This could fail only for maps whose keys are not strings; there are none.
    serde_json::to_string(entry).map(|text| text + "\n").unwrap_or_default()
}

/// Folders of recordings that an earlier run left.
pub fn left_over(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.join(JOURNAL).is_file()).collect();
    folders.sort();
    folders
}

/// Reads the journal of a recording; `None` when it does not say whose exam it is.
///
/// # Errors
/// When it cannot be read.
pub fn story(folder: &Path) -> std::io::Result<Option<Story>> {
    Ok(Story::read(&text(folder)?))
}

/// The journal of a recording as it was written.
///
/// # Errors
/// When it cannot be read.
pub fn text(folder: &Path) -> std::io::Result<String> {
    let bytes = std::fs::read(folder.join(JOURNAL))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the first line of a journal says, without reading the rest; `None` as for [`story`]. The patient may have changed
/// since.
///
/// # Errors
/// When it cannot be opened.
pub fn begun(folder: &Path) -> std::io::Result<Option<Begun>> {
    let journal = std::io::BufReader::new(std::fs::File::open(folder.join(JOURNAL))?);
    let lines = std::io::BufRead::split(journal, b'\n').map_while(Result::ok);
    let first = lines.filter_map(|line| serde_json::from_str(&String::from_utf8_lossy(&line)).ok()).next();
    Ok(match first {
        Some(JournalEntry::Begun(begun)) => Some(begun),
        _ => None,
    })
}

/// Ends the journal of a recording that a restart interrupted, `now`. It ended when the last line was written.
///
/// # Errors
/// When it cannot be written.
pub fn end(folder: &Path, now: &str) -> std::io::Result<()> {
    let written = std::fs::metadata(folder.join(JOURNAL))?.modified().ok();
    let written = written.and_then(custody::store::utc_of).filter(|at| at.as_str() <= now);
    let utc = written.as_deref().unwrap_or(now);
    let line = line(&JournalEntry::Ended { utc: utc.to_owned(), interrupted: true });
    // Starts a new line, in case the last one is torn.
    let mut journal = std::fs::OpenOptions::new().append(true).open(folder.join(JOURNAL))?;
    journal.write_all(format!("\n{line}").as_bytes())?;
    journal.sync_all()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn begun() -> Begun {
        let patient = Patient { id: "P7".into(), name: "PHANTOM^EVA".into(), ..Patient::default() };
        let started_utc = "2026-11-24T03:00:00.000Z".into();
        Begun { study_uid: "2.25.77".into(), series_uid: "2.25.78".into(), patient, started_utc, request: None }
    }

    pub fn seen(id: u32, sequence: u64, score: f32) -> Seen {
        let lesion = Lesion {
            id,
            outline: vec![[10.0, 10.0], [40.0, 10.0], [25.0, 40.0]],
            bounds: [10.0, 10.0, 40.0, 40.0],
            confidence: 0.9,
            malignant: 0.2,
            descriptors: vec!["oval".into()],
            size_mm: Some([3.0, 2.0]),
        };
        let moment = Moment { sequence, captured: Duration::from_millis(sequence * 33) };
        Seen::new(moment, score, Some(0.1), lesion)
    }

    pub fn scene() -> Scene {
        Scene { profile: "p".into(), size: [64, 48], sector: [0, 0, 64, 48], masked: false, made_by: None }
    }

    #[test]
    fn a_lesion_is_where_somebody_says_it_is_or_in_the_breast_that_was_scanned_then() {
        let left = |clock| Place { side: Some(Side::Left), clock, ..Place::default() };
        let side = |side| JournalEntry::Side { side };
        let entries = [
            JournalEntry::Begun(begun()),
            JournalEntry::Scene(scene()),
            JournalEntry::Seen(seen(1, 10, 5.0)),
            side(Some(Side::Right)),
            JournalEntry::Seen(seen(2, 12, 9.0)),
            JournalEntry::Seen(seen(3, 13, 9.0)),
            JournalEntry::Place { lesion: 3, place: left(Some(2)), by_probe: false },
            JournalEntry::Place {
                lesion: 3,
                place: Place { distance_mm: Some(40.0), ..Place::default() },
                by_probe: false,
            },
            side(Some(Side::Left)),
            JournalEntry::Seen(seen(2, 20, 9.9)),
            side(None),
            JournalEntry::Scene(Scene { masked: true, ..scene() }),
            JournalEntry::Seen(seen(3, 25, 9.9)),
            // Another size of the pictures: another lesion 3.
            JournalEntry::Scene(Scene { size: [100, 100], ..scene() }),
            JournalEntry::Seen(seen(3, 30, 2.0)),
        ];
        let text: String = entries.iter().map(line).collect();
        let story = Story::read(&text).unwrap();
        let places: Vec<_> = story.seen.iter().map(|seen| (seen.lesion.id, story.place(seen))).collect();
        let third = Place { distance_mm: Some(40.0), ..left(Some(2)) };
        let nowhere = Place::default();
        assert_eq!(places, [(1, nowhere.clone()), (2, left(None)), (3, third), (3, nowhere)]);
        assert_eq!(story.sides, [Side::Right, Side::Left]);
    }

    /// The map still said the other breast; whoever scanned has said so since, and nothing of the lesion itself.
    #[test]
    fn what_was_said_of_the_probe_places_no_lesion_that_was_seen_best_in_the_other_breast() {
        let left = |clock| Place { side: Some(Side::Left), clock, ..Place::default() };
        let by_probe = |lesion| JournalEntry::Place { lesion, place: left(Some(3)), by_probe: true };
        let entries = [
            JournalEntry::Begun(begun()),
            JournalEntry::Scene(scene()),
            JournalEntry::Side { side: Some(Side::Left) },
            JournalEntry::Seen(seen(1, 10, 5.0)),
            by_probe(1),
            JournalEntry::Seen(seen(2, 11, 5.0)),
            by_probe(2),
            JournalEntry::Side { side: Some(Side::Right) },
            JournalEntry::Seen(seen(2, 12, 9.0)),
            JournalEntry::Seen(seen(3, 13, 9.0)),
            by_probe(3),
            JournalEntry::Place { lesion: 3, place: left(None), by_probe: false },
        ];
        let text: String = entries.iter().map(line).collect();
        let story = Story::read(&text).unwrap();
        let places: Vec<_> = story.seen.iter().map(|seen| (seen.lesion.id, story.place(seen))).collect();
        let right = Place { side: Some(Side::Right), ..Place::default() };
        assert_eq!(places, [(1, left(Some(3))), (2, right), (3, left(None))]);
        let old = r#"{"event":"place","lesion":1,"place":{"side":"left","clock":3}}"#;
        assert!(serde_json::from_str::<JournalEntry>(old).is_ok(), "a recording of an earlier version");
    }

    #[test]
    fn coverage_is_what_the_last_whole_line_of_it_says() {
        use models::task::us_breast::scan::coverage::{Quality, State};
        use models::task::us_breast::scan::probe::{Plane, Ring, Spot};
        let probe = Probe { spot: Spot::Hour(3, Ring::Outer), plane: Some(Plane::Radial) };
        let looked = |secs| {
            let mut coverage = Coverage::default();
            coverage.add(Side::Left, probe, secs, Quality::Good(10.0));
            coverage
        };
        let entries = [
            JournalEntry::Begun(begun()),
            JournalEntry::Side { side: Some(Side::Left) },
            JournalEntry::Probe { probe: Some(probe) },
            JournalEntry::Coverage { coverage: looked(0.5) },
            JournalEntry::Coverage { coverage: looked(4.0) },
        ];
        let text: String = entries.iter().map(line).collect();
        let story = Story::read(&text).unwrap();
        assert_eq!((story.probe(), story.coverage.state(Side::Left, probe.spot)), (Some(probe), State::LookedAt));
        // A kill tears the last line: the one before it counts.
        let begin = text.len() - line(&entries[4]).len();
        for cut in begin..text.len() - 1 {
            let torn = Story::read(&text[..cut]).unwrap();
            assert_eq!(torn.coverage, looked(0.5), "{cut}");
        }
        let side = line(&JournalEntry::Side { side: Some(Side::Right) });
        assert_eq!(Story::read(&(text.clone() + &side)).unwrap().probe(), None, "of the other breast nothing was said");
        let elsewhere = text.replace("3-outer", "3-far");
        assert!(Story::read(&elsewhere).unwrap().coverage.is_empty(), "a place that is none");
    }

    #[test]
    fn a_scale_holds_for_the_pictures_of_its_depth_only() {
        let at = |ms: u64| Moment { sequence: ms, captured: Duration::from_millis(ms) };
        let scale = |ms, mm_per_pixel| JournalEntry::Scale { moment: at(ms), mm_per_pixel };
        let entries = [JournalEntry::Begun(begun()), scale(100, Some(0.1)), scale(500, Some(0.05)), scale(800, None)];
        let text: String = entries.iter().map(line).collect();
        let story = Story::read(&text).unwrap();
        let scale = |from, to| story.scale(Duration::from_millis(from), Duration::from_millis(to));
        assert_eq!([scale(50, 60), scale(100, 499), scale(500, 799)], [None, Some(0.1), Some(0.05)]);
        assert_eq!([scale(200, 600), scale(700, 900), scale(900, 900)], [None, None, None], "one clip, two depths");
        assert_eq!(story.scale_now(), None);
    }

    #[test]
    fn a_lesion_is_counted_once_although_the_model_failed_for_a_moment() {
        let entries = [
            JournalEntry::Begun(begun()),
            JournalEntry::Scene(scene()),
            JournalEntry::Seen(seen(1, 10, 5.0)),
            JournalEntry::Scene(Scene { masked: true, ..scene() }),
            JournalEntry::Scene(scene()),
            JournalEntry::Seen(seen(1, 30, 6.0)),
        ];
        let text: String = entries.iter().map(line).collect();
        let story = Story::read(&text).unwrap();
        assert_eq!(story.seen.len(), 1);
        assert_eq!((story.best(1), story.seen[0].moment.sequence), (Some(6.0), 30));
    }

    #[test]
    fn an_exam_that_was_interrupted_ended_when_its_journal_was_written_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(JOURNAL);
        std::fs::write(&path, line(&JournalEntry::Begun(begun()))).unwrap();
        let then = std::time::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(then).unwrap();
        end(folder.path(), "2027-01-01T08:00:00.000Z").unwrap();
        let ended = story(folder.path()).unwrap().unwrap().ended.unwrap();
        assert_eq!(ended, ("2026-11-18T11:06:40.000Z".to_owned(), true));
    }

    #[test]
    fn a_side_that_was_named_by_mistake_was_not_scanned() {
        let side = |side| JournalEntry::Side { side: Some(side) };
        let entries = [
            JournalEntry::Begun(begun()),
            JournalEntry::Scene(scene()),
            side(Side::Left),
            side(Side::Right),
            JournalEntry::Stats { stats: Stats::default() },
        ];
        let text: String = entries.iter().map(line).collect();
        assert_eq!(Story::read(&text).unwrap().sides, [Side::Right]);
    }

    #[test]
    fn the_story_is_what_the_whole_lines_say() {
        let entries = [
            JournalEntry::Begun(begun()),
            JournalEntry::Scene(scene()),
            JournalEntry::Seen(seen(1, 10, 5.0)),
            JournalEntry::Seen(seen(1, 12, 9.0)),
            JournalEntry::Marked(Moment { sequence: 20, captured: Duration::from_millis(660) }),
            JournalEntry::Scene(Scene { size: [100, 100], ..scene() }),
            JournalEntry::Seen(seen(1, 30, 2.0)),
            JournalEntry::Patient { patient: Patient { id: "P8".into(), ..Patient::default() }, request: None },
            JournalEntry::Ended { utc: "2026-11-24T03:09:00.000Z".into(), interrupted: false },
        ];
        let text: String = entries.iter().map(line).collect();
        let story = Story::read(&text).unwrap();
        let seen: Vec<_> = story.seen.iter().map(|seen| (seen.scene, seen.lesion.id, seen.moment.sequence)).collect();
        assert_eq!(seen, [(0, 1, 12), (1, 1, 30)]);
        assert_eq!((story.begun.patient.id.as_str(), story.marks.len()), ("P8", 1));
        assert_eq!(story.windows(Duration::from_secs(1)).len(), 3);
        assert!(story.ended.is_some() && story.best(1) == Some(2.0));
        // A tear anywhere costs what comes after it.
        for cut in 0..text.len() {
            let torn = Story::read(&text[..cut]);
            assert_eq!(torn.is_some(), cut >= line(&entries[0]).len() - 1, "{cut}");
            assert!(torn.is_none_or(|torn| torn.ended.is_none() || cut >= text.len() - 1));
        }
        let hurt = text.replacen("\"seen\"", "\"se\u{0}n\"", 1);
        assert_eq!(Story::read(&hurt).unwrap().seen.len(), 2, "one line less");
    }
}
