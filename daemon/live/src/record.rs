//! Records the running exam: reads pictures, overlay and exam from the view as a page does; the live path never waits
//! for it.
//!
//! ```text
//! exams/<series>/journal.jsonl   patient, best picture of each lesion, marks, statistics    (record/journal)
//! exams/<series>/00000012.pic    about a second of pictures as JPEG                        (record/pictures)
//! ```
//!
//! Kept are the pictures of the last minutes, and those of the seconds around each finding and marked moment
//! (record/ring). When the exam ends, the recording becomes a job ([`HandOver`]) that makes DICOM objects of it
//! (`study::exam`). A kill loses the picture that was being written; a power cut loses at most the last second, since
//! files are synced once a second.
//!
//! When the recorder is slower than the scanner, it skips pictures and counts them. When it cannot write, the page and
//! D-Bus say so, and the live pictures go on.

mod files;
pub mod journal;
pub mod pictures;
pub mod ring;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use custody::FreeBytes;
use custody::store::now_utc;
use hal::backoff::{Backoff, Pauses};
use models::postprocess::contour::signed_area;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use self::files::{FileError, Files, Syncer};
use self::journal::{Begun, JournalEntry, Moment, Scene, Seen, Story};
use self::pictures::{Head, SealError};
use self::ring::{Ring, Window};
use crate::cast;
use crate::jpeg::{self, Compressor, JpegError};
use crate::screen::profile::{Area, Profile, Profiles};
use crate::settings;
use crate::view::{Exam, Overlay, Picture, Recording, RecordingState, Stats, Status, View};

/// How much time the pictures of one file cover; a power cut loses at most this much.
const PART: Duration = Duration::from_secs(1);
/// How often statistics are written to the journal.
const STATS_EVERY: Duration = Duration::from_secs(10);
/// From a failure to the next attempt, by the time of the pictures. The pause does not grow, so that a disk with room
/// again is used soon.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(5), Duration::from_secs(5));
/// A new best picture of a lesion is written to the journal only if its score exceeds the old one by this factor.
const BETTER: f32 = 1.05;
/// How many recent pictures are remembered to match an overlay to its picture.
const REMEMBERED: usize = 64;

/// Why an exam is not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Jpeg(#[from] JpegError),
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Bytes.
    #[error("the disk is full: {} MiB free, {} must stay free", free >> 20, min_free >> 20)]
    DiskFull { free: u64, min_free: u64 },
    /// Nobody knows how much room there is.
    #[error("{0}")]
    FreeBytes(String),
}

/// Takes over the folder of a recording that has ended. Called on the recorder's thread; may block.
pub trait HandOver: Send + Sync {
    fn hand_over(&self, recording: &Path);

    /// The journal of the running exam says of whom it is. Must not block: pictures wait for the recorder's thread.
    fn named(&self) {}
}

/// What the recorder needs.
pub struct RecorderParts {
    pub settings: settings::Record,
    /// `exams` below the spool.
    pub directory: PathBuf,
    pub profiles: Profiles,
    /// Free bytes where recordings are kept.
    pub free: FreeBytes,
    /// Recording stops when less than this is free.
    pub min_free_bytes: u64,
    pub hand_over: Box<dyn HandOver>,
    /// Where the state of the recording is published.
    pub told: watch::Sender<Arc<Recording>>,
}

impl std::fmt::Debug for RecorderParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecorderParts").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// Records until shutdown, on its own thread, because writing files blocks. Recordings that an earlier run left
/// unfinished are handed over first; an exam that is running at shutdown is left for the next run.
///
/// # Errors
/// When the thread cannot be started.
pub async fn run(parts: RecorderParts, view: View, shutdown: CancellationToken) -> std::io::Result<()> {
    let (done, ended) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    std::thread::Builder::new().name("live-record".into()).spawn(move || {
        for recording in journal::left_over(&parts.directory) {
            parts.hand_over.hand_over(&recording);
        }
        runtime.block_on(Recorder::new(parts).run(view, shutdown));
        let _ = done.send(());
    })?;
    // A thread that crashed has dropped the sender. Exams are not recorded any more; everything else goes on.
    if ended.await.is_err() {
        tracing::error!("the recorder crashed; exams are not recorded until the next start");
    }
    Ok(())
}

struct Recorder {
    parts: RecorderParts,
    compressor: Compressor,
    syncer: Syncer,
    open: Option<Open>,
    backoff: Backoff,
}

/// The recording in progress.
struct Open {
    story: Story,
    files: Files,
    ring: Ring,
    /// Capture time of the first picture in the present file.
    since: Option<Duration>,
    recent: VecDeque<Moment>,
    marks: u32,
    profile: Option<Profile>,
    stats_at: Duration,
    told: Recording,
}

impl Recorder {
    fn new(parts: RecorderParts) -> Self {
        let compressor = Compressor::new(parts.settings.jpeg_quality);
        Self { parts, compressor, syncer: Syncer::start(), open: None, backoff: Backoff::new(PAUSES) }
    }

    async fn run(mut self, mut view: View, shutdown: CancellationToken) {
        view.status.mark_changed();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Ok(()) = view.status.changed() => {
                    let status = view.status.borrow_and_update().clone();
                    let stats = view.stats.borrow().clone();
                    self.status(&status, &stats);
                }
                Ok(()) = view.pictures.changed() => {}
                Ok(()) = view.overlay.changed() => view.overlay.mark_changed(),
                else => return,
            }
            // The picture first: an overlay is recorded after the picture that it was made from.
            let picture = view.pictures.borrow_and_update().clone();
            if let Some(picture) = picture {
                self.picture(&picture, &view.stats);
            }
            if view.overlay.has_changed().unwrap_or(false) {
                let overlay = view.overlay.borrow_and_update().clone();
                self.overlay(&overlay);
            }
        }
    }

    /// Begins and ends recordings, and notes what has changed about the exam.
    fn status(&mut self, status: &Status, stats: &Stats) {
        let same = |open: &Open| status.exam.as_ref().is_some_and(|exam| open.story.begun.is_of(exam));
        if self.open.as_ref().is_some_and(|open| !same(open)) {
            self.end(stats);
        }
        let Some(exam) = &status.exam else { return };
        let known = self.open.as_ref().map(|open| open.story.begun.patient.clone());
        if self.open.is_none() {
            self.begin(exam);
        }
        let parts = &self.parts;
        let Some(open) = &mut self.open else { return };
        let noted = open.facts(status, exam, parts);
        if known.as_ref() != Some(&open.story.begun.patient) {
            parts.hand_over.named();
        }
        self.noted(noted);
    }

    fn begin(&mut self, exam: &Exam) {
        let begun = Begun {
            study_uid: exam.study_uid.clone(),
            series_uid: exam.recording_uid(),
            patient: exam.patient.clone(),
            started_utc: exam.started_utc.clone(),
            request: exam.request.clone(),
        };
        let files = Files::create(&self.parts.directory.join(&begun.series_uid));
        let mut story = Story::new(begun.clone());
        let begun = files.and_then(|mut files| files.note(&JournalEntry::Begun(begun), &mut story).map(|()| files));
        match begun {
            Ok(files) => {
                let told = Recording { state: RecordingState::On, ..Recording::default() };
                self.open = Some(Open {
                    story,
                    files,
                    ring: Ring::default(),
                    since: None,
                    recent: VecDeque::new(),
                    marks: exam.marks,
                    profile: None,
                    stats_at: Duration::ZERO,
                    told,
                });
                self.backoff.succeeded();
                self.tell();
                tracing::info!("live: the exam is recorded");
            }
            Err(error) => self.fail(Duration::ZERO, &error.into()),
        }
    }

    /// Ends the recording and hands it over.
    fn end(&mut self, stats: &Stats) {
        let Some(mut open) = self.open.take() else { return };
        let ended = JournalEntry::Ended { utc: now_utc(), interrupted: false };
        let noted = open.note(&JournalEntry::Stats { stats: stats.clone() }).and_then(|()| open.note(&ended));
        if let Err(error) = noted.and_then(|()| Ok(open.files.finish()?)) {
            // What is on the disk is handed over nevertheless.
            tracing::error!(%error, "the end of the recording was not written");
        }
        self.parts.told.send_replace(Arc::default());
        self.parts.hand_over.hand_over(open.files.folder());
    }

    fn picture(&mut self, picture: &Picture, stats: &watch::Receiver<Arc<Stats>>) {
        let Some(open) = &mut self.open else { return };
        let moment = Moment { sequence: picture.sequence, captured: picture.captured };
        if open.recent.back() == Some(&moment) {
            return;
        }
        if !self.backoff.is_due(moment.captured) {
            return;
        }
        let recorded = open.picture(picture, &mut self.compressor);
        if recorded.is_ok() && self.backoff.has_failed() {
            self.backoff.succeeded();
            open.told.state = RecordingState::On;
        }
        let recorded = recorded.and_then(|()| {
            let since = *open.since.get_or_insert(moment.captured);
            if moment.captured.saturating_sub(since) < PART && moment.captured >= since {
                return Ok(());
            }
            let kept = Duration::from_secs(self.parts.settings.keep_secs);
            open.next_part(Window { from: since, to: moment.captured }, kept, &self.syncer, self.parts.half())?;
            if moment.captured.saturating_sub(open.stats_at) >= STATS_EVERY {
                open.stats_at = moment.captured;
                let stats = (**stats.borrow()).clone();
                open.note(&JournalEntry::Stats { stats })?;
            }
            room(&self.parts)
        });
        if let Err(error) = recorded {
            return self.fail(moment.captured, &error);
        }
        self.tell();
    }

    fn overlay(&mut self, overlay: &Overlay) {
        let Some(open) = &mut self.open else { return };
        let noted = open.overlay(overlay);
        self.noted(noted);
    }

    fn noted(&mut self, noted: Result<(), RecordError>) {
        if let Err(error) = noted {
            let now = self.open.as_ref().and_then(|open| open.recent.back()).map_or(Duration::ZERO, |m| m.captured);
            self.fail(now, &error);
        }
    }

    /// Reports the failure; recording is tried again after a pause, and the live pictures go on.
    fn fail(&mut self, now: Duration, error: &RecordError) {
        if !self.backoff.has_failed() {
            tracing::error!(%error, "the exam is not recorded");
        }
        self.backoff.failed(now);
        let old = self.open.as_ref().map(|open| open.told.clone()).unwrap_or_default();
        let told = Recording { state: RecordingState::Failed { reason: error.to_string() }, ..old };
        if let Some(open) = &mut self.open {
            open.told = told.clone();
        }
        self.parts.told.send_replace(Arc::new(told));
    }

    fn tell(&self) {
        let Some(open) = &self.open else { return };
        self.parts.told.send_if_modified(|told| {
            // Counts alone are published once in 30 pictures.
            let second = |recording: &Recording| (recording.state.clone(), recording.pictures / 30);
            let news = second(told) != second(&open.told);
            if news {
                *told = Arc::new(open.told.clone());
            }
            news
        });
    }
}

/// Whether there is room for another file of pictures.
fn room(parts: &RecorderParts) -> Result<(), RecordError> {
    let (free, min_free) = ((parts.free)().map_err(RecordError::FreeBytes)?, parts.min_free_bytes);
    if free >= min_free { Ok(()) } else { Err(RecordError::DiskFull { free, min_free }) }
}

impl RecorderParts {
    /// Half the length of a clip.
    fn half(&self) -> Duration {
        Duration::from_secs_f64(self.settings.clip_secs / 2.0)
    }
}

impl Open {
    fn note(&mut self, entry: &JournalEntry) -> Result<(), RecordError> {
        Ok(self.files.note(entry, &mut self.story)?)
    }

    /// Notes patient, marks and scene when they have changed.
    fn facts(&mut self, status: &Status, exam: &Exam, parts: &RecorderParts) -> Result<(), RecordError> {
        if self.story.begun.patient != exam.patient {
            let (patient, request) = (exam.patient.clone(), exam.request.clone());
            self.note(&JournalEntry::Patient { patient, request })?;
        }
        if let Some(agreement) = status.name_on_screen.filter(|agreement| self.story.on_screen != Some(*agreement)) {
            self.note(&JournalEntry::OnScreen { agreement })?;
        }
        if status.simulated && !self.story.simulated {
            self.note(&JournalEntry::Simulated)?;
        }
        if status.size != [0, 0] {
            let profile = parts.profiles.choose(status.size).ok();
            let masked = parts.settings.mask_text;
            let scene = scene(status, profile, masked);
            if self.story.scenes.last() != Some(&scene) {
                self.profile = profile.cloned();
                self.note(&JournalEntry::Scene(scene))?;
            }
        }
        if self.story.side() != exam.side {
            self.note(&JournalEntry::Side { side: exam.side })?;
        }
        for (lesion, place) in &exam.places {
            if self.story.said(*lesion) != Some(place) {
                self.note(&JournalEntry::Place { lesion: *lesion, place: place.clone() })?;
            }
        }
        while self.marks < exam.marks {
            self.marks += 1;
            if let Some(moment) = self.recent.back().copied() {
                self.note(&JournalEntry::Marked(moment))?;
            }
        }
        Ok(())
    }

    fn picture(&mut self, picture: &Picture, compressor: &mut Compressor) -> Result<(), RecordError> {
        let masked = self.story.scenes.last().is_some_and(|scene| scene.masked);
        let texts = self.profile.iter().filter(|_| masked).flat_map(|profile| &profile.text);
        let masks: Vec<Area> = texts.filter(|text| text.identifies).map(|text| text.area).collect();
        let size = [jpeg::side(picture.frame.shape.width)?, jpeg::side(picture.frame.shape.height)?];
        let colour = compressor.compress(&picture.frame, &masks, self.files.record())?;
        let head = Head { sequence: picture.sequence, captured: picture.captured, size, colour };
        self.files.picture(head)?;
        if let Some(last) = self.recent.back() {
            self.told.skipped += picture.sequence.saturating_sub(last.sequence).saturating_sub(1);
        }
        self.told.pictures += 1;
        self.recent.push_back(Moment { sequence: picture.sequence, captured: picture.captured });
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
        Ok(())
    }

    /// Ends the present file of pictures and removes files that are not needed any more.
    fn next_part(&mut self, spans: Window, kept: Duration, syncer: &Syncer, half: Duration) -> Result<(), RecordError> {
        let number = self.files.next_part(syncer)?;
        self.ring.add(number, spans);
        self.since = None;
        // The newest pictures are needed for what is found in the next seconds, whatever the settings say.
        let kept = kept.max(half + PART);
        let gone = self.ring.expire(spans.to, kept, &self.story.windows(half));
        Ok(gone.into_iter().try_for_each(|number| self.files.remove(number))?)
    }

    fn overlay(&mut self, overlay: &Overlay) -> Result<(), RecordError> {
        let Some(moment) = self.recent.iter().rev().find(|moment| moment.sequence == overlay.sequence).copied() else {
            return Ok(());
        };
        for lesion in &overlay.lesions {
            let score = lesion.confidence * signed_area(&lesion.outline).abs();
            if self.story.best(lesion.id).is_none_or(|best| score > best * BETTER) {
                let seen = Seen::new(moment, score, overlay.mm_per_pixel, lesion.clone());
                self.note(&JournalEntry::Seen(seen))?;
            }
        }
        Ok(())
    }
}

fn scene(status: &Status, profile: Option<&Profile>, mask_text: bool) -> Scene {
    let size = status.size;
    let whole = Area { x: 0, y: 0, width: size[0], height: size[1] };
    let sector = profile.map_or(whole, |profile| profile.sector);
    let [right, bottom] = sector.end();
    Scene {
        profile: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
        size,
        sector: [sector.x, sector.y, right, bottom].map(cast::pixels),
        // Without a profile it is not known where the text is.
        masked: mask_text && profile.is_some(),
        made_by: status.made_by.clone(),
    }
}
