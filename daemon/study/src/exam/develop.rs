//! Makes DICOM objects from one recorded ultrasound exam: a clip around each finding and mark, the picture that shows
//! each lesion best, its outline, and the report. `live::record` made the recording.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hal::capture::convert::{self, Part};
use live::record::journal::{self, Moment, Story};
use live::record::ring;
use live::settings::Record;
use models::findings::Side;
use models::lesion::followed::Followed;
use models::review;
use models::review::marks::{MarkReview, Marked};
use models::task::Control;
use models::task::us_breast::Sector;
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::scan::coverage::{Coverage, State};
use models::task::us_breast::scan::probe::Spot;
use report::settings::Device;
use report::ultrasound::{self, Clip, Course, Exam, ExamPicture, Seen, Writer};
use report::{self, Provenance, ResultObject};
use serde::{Deserialize, Serialize};

use super::pictures::PictureFiles;
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
    /// Of an exam that is reported again.
    #[error("what was kept of the exam cannot be used ({path}: {why}): the review cannot be applied")]
    Kept { path: PathBuf, why: String },
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
    /// The lesions as a person decides about them.
    pub marked: Marked,
    /// What [`super::again`] needs of the pictures.
    pub pictures: KeptPictures,
}

/// Of an exam: which key image shows what, when its recording is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptPictures {
    pub sizes: Vec<[u16; 2]>,
    pub of: Vec<Option<usize>>,
    /// Those that the documents show, with their image area.
    pub shown: Vec<(usize, Sector)>,
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
    let provenance = provenance(device, &story, None);
    let exam = exam(&story);
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
    let mut of = Vec::new();
    for (one, is_shown) in story.seen.iter().zip(in_documents(&story.seen)) {
        let place = story.place(one);
        of.push(keys.make(one.moment, place.side, is_shown, put).map_err(|error| error.at(recording))?);
    }
    for mark in &story.marks {
        keys.make(*mark, None, true, put).map_err(|error| error.at(recording))?;
    }
    // An exam without a finding keeps its last picture, because the report must refer to an image.
    if let (true, Some(last)) = (keys.objects.is_empty(), parts.last().map_err(failed)?) {
        keys.make(last, None, true, put).map_err(|error| error.at(recording))?;
    }
    let Keys { objects: keys, sizes, shown, .. } = keys;
    let made = Made { clips, keys, sizes, of, shown };
    tell(&story, &provenance, made, None, known, put)
}

/// The images of an exam, without their bytes, and where its lesions are in them.
pub(super) struct Made {
    pub(super) clips: Vec<ResultObject>,
    pub(super) keys: Vec<ResultObject>,
    /// Columns and rows of each key image.
    pub(super) sizes: Vec<[u16; 2]>,
    /// Of each lesion of the story its key image, if there is one.
    pub(super) of: Vec<Option<usize>>,
    /// For the documents.
    pub(super) shown: Vec<ExamPicture>,
}

impl Made {
    fn seen(&self, story: &Story) -> Vec<Seen> {
        let numbers: Vec<u32> = story.seen.iter().map(|one| one.lesion.id).collect();
        let all = story.seen.iter().zip(&self.of).zip(ultrasound::ids(&numbers));
        let one = |((one, key), id): ((&journal::Seen, &Option<usize>), String)| {
            let (key, place) = ((*key)?, story.place(one));
            Some(Seen { id, key, track: key, lesion: one.lesion.clone(), place, followed: None })
        };
        all.filter_map(one).collect()
    }
}

/// Segmentations, documents and reports about these images: of a review the version that it signs.
pub(super) fn tell<E: From<Error>>(
    story: &Story,
    provenance: &Provenance,
    made: Made,
    review: Option<&MarkReview>,
    known: &dyn Fn(&Visit) -> Vec<Option<Followed>>,
    put: &mut dyn FnMut(&ResultObject) -> Result<(), E>,
) -> Result<Developed, E> {
    let exam = exam(story);
    let mut seen = made.seen(story);
    let found = seen.len();
    let Made { clips, keys, sizes, of, shown } = made;
    let as_found = verdict(story, found, clips.len());
    let mut marked = ultrasound::list(&seen, &keys, package(provenance), as_found.clone());
    marked.judge(review, true);
    ultrasound::take_out(&mut seen, &marked);
    let writer = Writer::new(&exam, provenance).judged(&marked);
    // Of another size than the network measured there is no outline.
    let outlined: Vec<&Seen> = seen.iter().filter(|one| !one.lesion.outline.is_empty()).collect();
    let mut used: Vec<[u16; 2]> = outlined.iter().filter_map(|one| sizes.get(one.key).copied()).collect();
    used.sort_unstable();
    used.dedup();
    for (index, size) in used.into_iter().enumerate() {
        let of: Vec<&Seen> = outlined.iter().copied().filter(|one| sizes.get(one.key) == Some(&size)).collect();
        put(&writer.segmentation(&keys, &of, size, index).map_err(Error::from)?)?;
    }
    let visit = visit(story, &seen, &marked, provenance.simulated);
    let before = visit.as_ref().map(known).unwrap_or_default();
    for (one, known) in seen.iter_mut().zip(before) {
        one.followed = known;
    }
    let course = Course { is_looked_at: story.is_looked_at(), is_whole: is_whole(story) && found == story.seen.len() };
    for object in writer.breast(&clips, &keys, &seen, course, &shown).map_err(Error::from)? {
        put(&object)?;
    }
    let report = writer.report(&clips, &keys, &seen, course).map_err(Error::from)?;
    put(&report)?;
    marked.report = report::document(std::slice::from_ref(&report));
    let begun = &story.begun;
    let latency = serde_json::json!({
        "study_uid": begun.study_uid,
        "started_utc": begun.started_utc,
        "ended_utc": story.ended.as_ref().map(|(utc, _)| utc),
        "unit": "ms",
        "stats": story.stats,
        "coverage": story.coverage,
    });
    let verdict = match marked.review {
        Some(_) => marked.reviewed(verdict(story, seen.len(), clips.len())),
        None => marked.reviewed(as_found),
    };
    // A recording is handed over once its journal says that it has ended.
    let (ended_utc, interrupted) = story.ended.clone().unwrap_or_else(|| (begun.started_utc.clone(), true));
    let latency = format!("{latency:#}\n");
    let shown = shown.iter().map(|one| (one.key, one.sector)).collect();
    let pictures = KeptPictures { sizes, of, shown };
    Ok(Developed { verdict, latency, ended_utc, interrupted, simulated: provenance.simulated, visit, marked, pictures })
}

fn exam(story: &Story) -> Exam<'_> {
    let begun = &story.begun;
    Exam {
        study_uid: &begun.study_uid,
        recording_uid: &begun.series_uid,
        patient: &begun.patient,
        started_utc: &begun.started_utc,
        remark: story.another_on_screen.then_some(ANOTHER_ON_SCREEN),
        request: begun.request.as_ref(),
        coverage: &story.coverage,
    }
}

/// The network that found the lesions, as a review names it.
fn package(provenance: &Provenance) -> String {
    let model = provenance.model.as_ref();
    model.map(|model| review::package(&model.id, &model.version, &model.sha256)).unwrap_or_default()
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
    grey(jpeg, [picture.columns, picture.rows], key, Sector { x, y, width, height })
}

pub(super) fn grey(jpeg: Vec<u8>, [columns, rows]: [u16; 2], key: usize, sector: Sector) -> Option<ExamPicture> {
    let Sector { x, y, width, height } = sector;
    let mut grey = Vec::new();
    if let Err(error) =
        convert::grey_part(&live::jpeg::frame(jpeg, columns, rows), Part { x, y, width, height }, &mut grey)
    {
        tracing::warn!(%error, "a key image of an exam is not in its document");
        return None;
    }
    Some(ExamPicture { key, sector, grey })
}

/// A person has ended it, and its pictures were recorded and looked at.
fn is_whole(story: &Story) -> bool {
    let ended_well = story.ended.as_ref().is_some_and(|(_, interrupted)| !interrupted);
    ended_well && !story.is_poor() && story.unseen().is_none()
}

/// Nobody's lesions are noted when the scanner's screen showed another patient.
fn visit(story: &Story, seen: &[Seen], marked: &Marked, simulated: bool) -> Option<Visit> {
    if story.another_on_screen {
        return None;
    }
    let begun = &story.begun;
    let model = story.scenes.iter().rev().find_map(|scene| scene.made_by.as_ref()).map(|by| &by.model);
    let is_whole = story.is_looked_at() && is_whole(story);
    let visit = visit::of_exam(&begun.patient, &begun.study_uid, &begun.series_uid, &begun.started_utc, is_whole)?;
    let package = model.map(|model| format!("{} {}", model.id, model.version)).unwrap_or_default();
    // What a person has measured is none of the software (decision 0029).
    let size = |one: &Seen| one.lesion.size_mm.filter(|_| !marked.is_resized(&one.id));
    let of = |one: &Seen| (Lesion { size_mm: size(one), ..one.lesion.clone() }, one.place.clone());
    let lesions: Vec<_> = seen.iter().map(of).collect();
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

/// The last model that was used in the exam, on every accelerator that it ran on. The creation time is the end of the exam, or of the review, so that a repetition makes the
/// same objects.
pub(super) fn provenance(device: &Device, story: &Story, reviewed_utc: Option<&str>) -> Provenance {
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
    let ended = story.ended.as_ref().map_or(story.begun.started_utc.as_str(), |(utc, _)| utc);
    let created = reviewed_utc.unwrap_or(ended);
    Provenance::new(device, made_by.map(|by| by.model.clone()), accelerator, created, crate::offset(created))
}

pub(super) fn without_bytes(object: ResultObject) -> ResultObject {
    ResultObject { part10: Vec::new(), ..object }
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
