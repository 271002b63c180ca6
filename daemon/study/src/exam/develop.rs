//! Makes DICOM objects from one recorded ultrasound exam: a clip around each finding and mark, the picture that shows
//! each lesion best, its outline, and the report. `live::record` made the recording.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hal::capture::convert::{self, Part};
use live::record::journal::{self, Moment, Story};
use live::record::pictures::{self, Shot};
use live::record::ring::{self, Window};
use live::settings::Record;
use models::findings::Side;
use models::lesion::followed::Followed;
use models::task::Control;
use models::task::us_breast::Sector;
use models::task::us_breast::scan::coverage::{Coverage, State};
use models::task::us_breast::scan::probe::Spot;
use report::settings::Device;
use report::ultrasound::{Clip, Course, Exam, ExamPicture, Seen, Shown, Writer};
use report::{self, Provenance, ResultObject};

use crate::lesions::visit::{self, Common, Visit};

/// Overlapping clips are merged up to this many times the length of a single one.
const MOST_CLIPS_IN_ONE: f64 = 3.0;

/// Key images that the documents show, at most: those of the gravest lesions, then marks. The archive has all.
const MOST_IN_DOCUMENTS: usize = 8;

/// The name that was read is nowhere; who it was can be seen in the pictures.
const ANOTHER_ON_SCREEN: &str = "WRONG PATIENT? the scanner's screen showed another patient in this exam";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the recording {path} cannot be read: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the recording {0} does not name a patient or exam")]
    Nobody(PathBuf),
    #[error("report: {0}")]
    Report(#[from] report::Error),
}

/// What [`develop`] returns besides the objects.
#[derive(Debug)]
pub struct Developed {
    pub verdict: String,
    /// Latency figures of the exam as JSON.
    pub latency: String,
    /// When the exam ended, RFC 3339, UTC, and whether it was interrupted.
    pub ended_utc: String,
    pub interrupted: bool,
    /// The video device or the accelerator was simulated.
    pub simulated: bool,
    /// What was seen of lesions; `None` when it is not certain of whom.
    pub visit: Option<Visit>,
}

/// The directory of this recording.
pub fn folder(spool: &Path, recording_uid: &str) -> PathBuf {
    spool.join("exams").join(recording_uid)
}

/// Makes the objects one after another and passes each to `put`: clips first, then key images, segmentations, documents, and the
/// reports. `known`: what is known from earlier exams of each sighting of a visit. The same recording always gives the same objects; what is known from earlier
/// exams may change, and then those that say it are others.
///
/// # Errors
/// When the recording cannot be read, and what `put` fails with.
pub fn develop<E: From<Error>>(
    recording: &Path,
    device: &Device,
    record: &Record,
    control: &dyn Control,
    known: &dyn Fn(&Visit) -> Vec<Option<Followed>>,
    put: &mut dyn FnMut(&ResultObject) -> Result<(), E>,
) -> Result<Developed, E> {
    let failed = |source| Error::Io { path: recording.to_owned(), source };
    let story = journal::story(recording).map_err(failed)?.ok_or_else(|| Error::Nobody(recording.to_owned()))?;
    let parts = PictureFiles::list(recording).map_err(failed)?;
    let provenance = provenance(device, &story);
    let begun = &story.begun;
    let exam = Exam {
        study_uid: &begun.study_uid,
        recording_uid: &begun.series_uid,
        patient: &begun.patient,
        started_utc: &begun.started_utc,
        remark: story.another_on_screen.then_some(ANOTHER_ON_SCREEN),
        request: begun.request.as_ref(),
        coverage: &story.coverage,
    };
    let writer = Writer::new(&exam, &provenance);
    let half = Duration::from_secs_f64(record.clip_secs / 2.0);
    let most = Duration::from_secs_f64(record.clip_secs * MOST_CLIPS_IN_ONE);
    let windows = ring::clips(story.windows(half), most);
    let mut clips = Vec::new();
    for (index, window) in windows.iter().enumerate() {
        control.progress("report", 0.8 * index as f64 / windows.len() as f64);
        for clip in parts.clips(*window, &story).map_err(failed)? {
            let object = writer.clip(&clip, clips.len()).map_err(Error::from)?;
            put(&object)?;
            clips.push(without_bytes(object));
        }
    }
    control.progress("report", 0.8);
    let mut keys = Keys {
        writer: &writer,
        parts: &parts,
        story: &story,
        objects: Vec::new(),
        sizes: Vec::new(),
        shown: Vec::new(),
    };
    let mut seen = Vec::new();
    for (one, is_shown) in story.seen.iter().zip(in_documents(&story.seen)) {
        let place = story.place(one);
        if let Some(key) = keys.make(one.moment, place.side, is_shown, put).map_err(|error| error.at(recording))? {
            seen.push(Seen { key, track: key, lesion: one.lesion.clone(), place, followed: None });
        }
    }
    for mark in &story.marks {
        keys.make(*mark, None, true, put).map_err(|error| error.at(recording))?;
    }
    // An exam without a finding keeps its last picture, because the report must refer to an image.
    if let (true, Some(last)) = (keys.objects.is_empty(), parts.last().map_err(failed)?) {
        keys.make(last, None, true, put).map_err(|error| error.at(recording))?;
    }
    let Keys { objects: keys, sizes, shown, .. } = keys;
    let mut used: Vec<[u16; 2]> = seen.iter().map(|one| sizes[one.key]).collect();
    used.sort_unstable();
    used.dedup();
    for (index, size) in used.into_iter().enumerate() {
        let of: Vec<&Seen> = seen.iter().filter(|one| sizes[one.key] == size).collect();
        put(&writer.segmentation(&keys, &of, size, index).map_err(Error::from)?)?;
    }
    let visit = visit(&story, &seen, provenance.simulated);
    let before = visit.as_ref().map(known).unwrap_or_default();
    for (one, known) in seen.iter_mut().zip(before) {
        one.followed = known;
    }
    let course =
        Course { is_looked_at: story.is_looked_at(), is_whole: is_whole(&story) && seen.len() == story.seen.len() };
    for object in writer.breast(&clips, &keys, &seen, course, &shown).map_err(Error::from)? {
        put(&object)?;
    }
    put(&writer.report(&clips, &keys, &seen, course).map_err(Error::from)?)?;
    let latency = serde_json::json!({
        "study_uid": begun.study_uid,
        "started_utc": begun.started_utc,
        "ended_utc": story.ended.as_ref().map(|(utc, _)| utc),
        "unit": "ms",
        "stats": story.stats,
        "coverage": story.coverage,
    });
    let verdict = verdict(&story, seen.len(), clips.len());
    // A recording is handed over once its journal says that it has ended.
    let (ended_utc, interrupted) = story.ended.clone().unwrap_or_else(|| (begun.started_utc.clone(), true));
    let latency = format!("{latency:#}\n");
    Ok(Developed { verdict, latency, ended_utc, interrupted, simulated: provenance.simulated, visit })
}

/// Which lesions the documents show: the gravest.
fn in_documents(seen: &[journal::Seen]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by(|a, b| seen[*b].lesion.malignant.total_cmp(&seen[*a].lesion.malignant));
    order.truncate(MOST_IN_DOCUMENTS);
    (0..seen.len()).map(|index| order.contains(&index)).collect()
}

/// The image area of a picture in grey: what the scanner writes around it stays outside. `None` for one that cannot be decoded,
/// which the archive has as it is.
fn area(picture: &Clip, key: usize) -> Option<ExamPicture> {
    let jpeg = picture.frames.first()?.jpeg.clone();
    let side = |side: u32| usize::try_from(side).ok();
    let [left, top, right, bottom] = picture.sector;
    let (x, y) = (side(left)?, side(top)?);
    let (width, height) = (side(right.checked_sub(left)?)?, side(bottom.checked_sub(top)?)?);
    let frame = live::jpeg::frame(jpeg, picture.columns, picture.rows);
    let mut grey = Vec::new();
    if let Err(error) = convert::grey_part(&frame, Part { x, y, width, height }, &mut grey) {
        tracing::warn!(%error, "a key image of an exam is not in its document");
        return None;
    }
    Some(ExamPicture { key, sector: Sector { x, y, width, height }, grey })
}

/// A person has ended it, and its pictures were recorded and looked at.
fn is_whole(story: &Story) -> bool {
    let ended_well = story.ended.as_ref().is_some_and(|(_, interrupted)| !interrupted);
    ended_well && !story.is_poor() && story.unseen().is_none()
}

/// Nobody's lesions are noted when the scanner's screen showed another patient.
fn visit(story: &Story, seen: &[Seen], simulated: bool) -> Option<Visit> {
    if story.another_on_screen {
        return None;
    }
    let begun = &story.begun;
    let model = story.scenes.iter().rev().find_map(|scene| scene.made_by.as_ref()).map(|by| &by.model);
    let is_whole = story.is_looked_at() && is_whole(story);
    let visit = visit::of_exam(&begun.patient, &begun.study_uid, &begun.series_uid, &begun.started_utc, is_whole)?;
    let package = model.map(|model| format!("{} {}", model.id, model.version)).unwrap_or_default();
    let lesions: Vec<_> = seen.iter().map(|one| (one.lesion.clone(), one.place.clone())).collect();
    Some(visit.with_exam(&lesions, &story.sides, Common { package: &package, simulated }))
}

fn verdict(story: &Story, lesions: usize, clips: usize) -> String {
    let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    let found = match lesions {
        0 if story.is_looked_at() => "no lesion".into(),
        0 => "lesions not evaluated: no network looked at the pictures".into(),
        lesions => count(lesions, "lesion"),
    };
    let marks = if story.marks.is_empty() { String::new() } else { format!(", {}", count(story.marks.len(), "mark")) };
    let interrupted = story.ended.as_ref().is_some_and(|(_, interrupted)| *interrupted);
    let why = if interrupted { "; the box was stopped or lost its power while the exam ran" } else { "" };
    let screen = if story.another_on_screen { format!("; {ANOTHER_ON_SCREEN}") } else { String::new() };
    let poor = match story.kept.filter(|_| story.is_poor()) {
        Some(kept) => format!("; only {kept} of {} pictures could be recorded", story.stats.pictures),
        None => String::new(),
    };
    let unseen = match story.unseen().filter(|_| story.is_looked_at()) {
        Some([unseen, coming]) => format!("; for {unseen:.0} of {coming:.0} s no network looked at the pictures"),
        None => String::new(),
    };
    let covered = covered(&story.coverage);
    format!("breast ultrasound: {found}{marks}, {}{why}{poor}{unseen}{covered}{screen}", count(clips, "clip"))
}

/// What of each breast was looked at; empty where nobody said where the probe was.
fn covered(coverage: &Coverage) -> String {
    let all = Spot::all().count();
    let of = |side: Side| {
        let count = |state| coverage.spots(side, state).len();
        let fast = Some(count(State::TooFast)).filter(|fast| *fast > 0);
        let fast = fast.map(|fast| format!(", {fast} swept too fast")).unwrap_or_default();
        let (looked, none) = (count(State::LookedAt), count(State::NotSwept));
        format!("{} {looked} of {all} places looked at{fast}, {none} not swept", side.as_str())
    };
    let sides: Vec<String> = coverage.sides().into_iter().map(of).collect();
    if sides.is_empty() { String::new() } else { format!("; coverage (freehand estimate): {}", sides.join(", ")) }
}

/// The last model that was used in the exam, on every accelerator that it ran on. The creation time is the end of the exam, so that a repetition makes the
/// same objects.
fn provenance(device: &Device, story: &Story) -> Provenance {
    let made_by = story.scenes.iter().rev().find_map(|scene| scene.made_by.as_ref());
    let mut accelerators: Vec<&str> = Vec::new();
    for by in story.scenes.iter().filter_map(|scene| scene.made_by.as_ref()) {
        if !accelerators.contains(&by.accelerator.as_str()) {
            accelerators.push(&by.accelerator);
        }
    }
    let accelerator = if accelerators.is_empty() { "none".to_owned() } else { accelerators.join(" and ") };
    let on_simulated = story.scenes.iter().filter_map(|scene| scene.made_by.as_ref()).any(|by| by.simulated);
    let accelerator = (accelerator, story.simulated || on_simulated);
    let created = story.ended.as_ref().map_or(&story.begun.started_utc, |(utc, _)| utc);
    Provenance::new(device, made_by.map(|by| by.model.clone()), accelerator, created, crate::offset(created))
}

fn without_bytes(object: ResultObject) -> ResultObject {
    ResultObject { part10: Vec::new(), ..object }
}

/// The picture files of a recording in order, each with the time that it covers, so that a key image needs only one of
/// them.
struct PictureFiles(Vec<(PathBuf, Window)>);

impl PictureFiles {
    fn list(recording: &Path) -> std::io::Result<Self> {
        let entries = std::fs::read_dir(recording)?;
        let mut files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<Vec<_>>>()?;
        files.retain(|path| path.extension().is_some_and(|extension| extension == "pic"));
        files.sort();
        let mut parts = Vec::new();
        for path in files {
            let bytes = std::fs::read(&path)?;
            let times = || pictures::read(&bytes).into_iter().map(|shot| shot.head.captured);
            if let (Some(from), Some(to)) = (times().min(), times().max()) {
                parts.push((path, Window { from, to }));
            }
        }
        Ok(Self(parts))
    }

    /// The pictures of a window. A new clip begins where size or colour format changes, or after a gap of a second or
    /// more.
    fn clips(&self, window: Window, story: &Story) -> std::io::Result<Vec<Clip>> {
        let mut clips: Vec<Clip> = Vec::new();
        self.each(window, |shot| {
            let follows = |clip: &&mut Clip| {
                let same =
                    (clip.columns, clip.rows, clip.colour) == (shot.head.size[0], shot.head.size[1], shot.head.colour);
                let last = clip.frames.last().map_or(Duration::ZERO, |frame| frame.at);
                same && shot.head.captured >= last && shot.head.captured - last < Duration::from_secs(1)
            };
            match clips.last_mut().filter(follows) {
                Some(clip) => clip.frames.push(shown(&shot)),
                None => clips.push(clip(&shot, story)),
            }
        })?;
        for clip in &mut clips {
            if let [first, .., last] = &clip.frames[..] {
                clip.mm_per_pixel = story.scale(first.at, last.at).map(f64::from);
            }
        }
        Ok(clips)
    }

    fn picture(&self, moment: Moment, story: &Story) -> std::io::Result<Option<Clip>> {
        let mut found = None;
        self.each(Window { from: moment.captured, to: moment.captured }, |shot| {
            if shot.head.sequence == moment.sequence {
                found = Some(clip(&shot, story));
            }
        })?;
        Ok(found)
    }

    fn last(&self) -> std::io::Result<Option<Moment>> {
        let Some((path, _)) = self.0.last() else { return Ok(None) };
        let bytes = std::fs::read(path)?;
        let shots = pictures::read(&bytes);
        Ok(shots.last().map(|shot| Moment { sequence: shot.head.sequence, captured: shot.head.captured }))
    }

    /// Calls `take` for each picture of a window; only one file at a time is in memory.
    fn each(&self, window: Window, mut take: impl FnMut(Shot<'_>)) -> std::io::Result<()> {
        for (path, _) in self.0.iter().filter(|(_, spans)| spans.overlaps(&window)) {
            let bytes = std::fs::read(path)?;
            let shots = pictures::read(&bytes);
            shots.into_iter().filter(|shot| window.contains(shot.head.captured)).for_each(&mut take);
        }
        Ok(())
    }
}

fn shown(shot: &Shot<'_>) -> Shown {
    Shown { at: shot.head.captured, jpeg: shot.jpeg.to_vec() }
}

/// A clip that begins with this picture. Sector and scale come from the scene with this screen.
fn clip(shot: &Shot<'_>, story: &Story) -> Clip {
    let [columns, rows] = shot.head.size;
    let size = [usize::from(columns), usize::from(rows)];
    let scene = story.scenes.iter().rfind(|scene| scene.size == size);
    let at = shot.head.captured;
    Clip {
        frames: vec![shown(shot)],
        columns,
        rows,
        colour: shot.head.colour,
        mm_per_pixel: story.scale(at, at).map(f64::from),
        sector: scene.map_or_else(|| [0, 0, u32::from(columns), u32::from(rows)], |scene| scene.sector),
        masked: scene.is_some_and(|scene| scene.masked),
        side: None,
    }
}

/// The key images made so far.
struct Keys<'a> {
    writer: &'a Writer<'a>,
    parts: &'a PictureFiles,
    story: &'a Story,
    objects: Vec<ResultObject>,
    sizes: Vec<[u16; 2]>,
    /// For the documents.
    shown: Vec<ExamPicture>,
}

enum KeyError<E> {
    Io(std::io::Error),
    Other(E),
}

impl<E: From<Error>> KeyError<E> {
    fn at(self, recording: &Path) -> E {
        match self {
            Self::Io(source) => Error::Io { path: recording.to_owned(), source }.into(),
            Self::Other(error) => error,
        }
    }
}

impl Keys<'_> {
    /// Makes a key image (`is_shown`: also for the documents) and returns its index; `None` when the recording no longer has the picture.
    fn make<E: From<Error>>(
        &mut self,
        moment: Moment,
        side: Option<Side>,
        is_shown: bool,
        put: &mut dyn FnMut(&ResultObject) -> Result<(), E>,
    ) -> Result<Option<usize>, KeyError<E>> {
        let Some(picture) = self.parts.picture(moment, self.story).map_err(KeyError::Io)? else { return Ok(None) };
        let picture = Clip { side, ..picture };
        let index = self.objects.len();
        let object = self.writer.key(&picture, index).map_err(|error| KeyError::Other(Error::from(error).into()))?;
        put(&object).map_err(KeyError::Other)?;
        // Where the image area is not known, what is burnt in would be shown.
        let size = [picture.columns, picture.rows].map(usize::from);
        let is_known = self.story.scenes.iter().any(|scene| scene.size == size);
        if is_shown && is_known && self.shown.len() < MOST_IN_DOCUMENTS {
            self.shown.extend(area(&picture, index));
        }
        self.objects.push(without_bytes(object));
        self.sizes.push([picture.columns, picture.rows]);
        Ok(Some(index))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use live::record::journal::{Begun, JournalEntry, Moment, Scene, line};
    use live::view::{Latency, MadeBy, Stats};
    use models::identity::ModelIdentity;
    use models::manifest::Clearance;

    use super::*;

    /// An exam on whose pictures a model was loaded, with these answers and seconds.
    fn story(answers: u64, unseen_secs: f64, coming_secs: f64) -> Story {
        let model = ModelIdentity {
            id: "us-breast".into(),
            version: "0.3.0".into(),
            sha256: "ab".into(),
            clearance: Clearance::Research,
            thresholds: String::new(),
        };
        let made_by = Some(MadeBy { model, accelerator: "cpu".into(), simulated: false });
        let scene = Scene { profile: "p".into(), size: [64, 48], sector: [0, 0, 64, 48], masked: false, made_by };
        let begun = Begun {
            study_uid: "2.25.77".into(),
            series_uid: "2.25.78".into(),
            patient: dicom::patient::Patient::default(),
            started_utc: "2026-11-24T03:00:00.000Z".into(),
            request: None,
        };
        let stages = vec![("overlay".into(), Latency { count: answers, ..Latency::default() })];
        let stats = Stats { pictures: 9000, coming_secs, unseen_secs, stages, ..Stats::default() };
        let entries = [
            JournalEntry::Begun(begun),
            JournalEntry::Scene(scene),
            JournalEntry::Marked(Moment { sequence: 1, captured: Duration::ZERO }),
            JournalEntry::Kept { pictures: 9000 },
            JournalEntry::Stats { stats },
            JournalEntry::Ended { utc: "2026-11-24T03:05:00.000Z".into(), interrupted: false },
        ];
        Story::read(&entries.iter().map(line).collect::<String>()).unwrap()
    }

    #[test]
    fn documents_show_the_gravest_lesions_and_no_more_than_they_may() {
        let seen: Vec<journal::Seen> = (0..20)
            .map(|n| {
                let lesion = json!({ "id": n, "outline": [], "bounds": [0.0, 0.0, 1.0, 1.0], "confidence": 0.9,
                    "malignant": f64::from((n * 7) % 20) / 20.0, "descriptors": [], "size_mm": null });
                let moment = json!({ "sequence": n, "captured": { "secs": 0, "nanos": 0 } });
                let seen = json!({ "moment": moment, "score": 1.0, "mm_per_pixel": null, "lesion": lesion });
                serde_json::from_value(seen).unwrap()
            })
            .collect();
        let shown: Vec<f32> =
            seen.iter().zip(in_documents(&seen)).filter_map(|(one, is)| is.then_some(one.lesion.malignant)).collect();
        assert_eq!(shown.len(), MOST_IN_DOCUMENTS);
        assert!(shown.iter().all(|score| *score >= 0.6), "{shown:?}");
        assert_eq!(in_documents(&seen[..2]), [true, true]);
    }

    #[test]
    fn the_verdict_says_what_of_the_breast_was_looked_at_as_an_estimate() {
        use models::task::us_breast::scan::coverage::Quality;
        use models::task::us_breast::scan::probe::Probe;
        let mut story = story(8000, 0.0, 300.0);
        let probe = |spot| Probe { spot: Spot::named(spot).unwrap(), plane: None };
        story.coverage.add(Side::Left, probe("nipple"), 4.0, Quality::Good(9.0));
        story.coverage.add(Side::Left, probe("axilla"), 4.0, Quality::TooFast);
        let said = verdict(&story, 0, 1);
        let due = "; coverage (freehand estimate): left 1 of 38 places looked at, 1 swept too fast, 36 not swept";
        assert!(said.ends_with(due), "{said}");
    }

    #[test]
    fn no_lesion_is_said_only_of_pictures_that_a_network_looked_at() {
        let said = |story: &Story| verdict(story, 0, 1);
        let never = story(0, 300.0, 300.0);
        assert_eq!(
            said(&never),
            "breast ultrasound: lesions not evaluated: no network looked at the pictures, 1 mark, 1 clip"
        );
        let partly = story(900, 200.4, 300.0);
        assert_eq!(
            said(&partly),
            "breast ultrasound: no lesion, 1 mark, 1 clip; for 200 of 300 s no network looked at the pictures"
        );
        let wholly = story(8000, 4.0, 300.0);
        assert_eq!(said(&wholly), "breast ultrasound: no lesion, 1 mark, 1 clip");
        assert_eq!(
            [&never, &partly, &wholly].map(is_whole),
            [false, false, true],
            "what closes a recall, and has a category"
        );
    }
}
