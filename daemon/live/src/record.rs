//! Records the running exam: reads pictures, overlay and exam from the view as a page does; the live path never waits
//! for it. A page that a user has frozen stops no recording: the scanner goes on.
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
mod open;
pub mod pictures;
pub mod ring;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use custody::FreeBytes;
use custody::store::now_utc;
use hal::backoff::{Backoff, Pauses};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use self::files::{FileError, Files, Syncer};
use self::journal::{Begun, JournalEntry, Moment, Story};
use self::open::Open;
use self::pictures::SealError;
use self::ring::Window;
use crate::infer::UNREADABLE;
use crate::jpeg::{Compressor, JpegError};
use crate::screen::profile::Profiles;
use crate::settings;
use crate::view::{Ended, Exam, Overlay, Picture, Recording, RecordingState, Stats, Status, View};

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
    let told = parts.told.clone();
    told.send_replace(Arc::default());
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
        let reason = "the recorder crashed; exams are not recorded until the next start";
        tracing::error!("{reason}");
        let state = RecordingState::Failed { reason: reason.into() };
        told.send_replace(Arc::new(Recording { state, ..Recording::default() }));
    }
    Ok(())
}

struct Recorder {
    parts: RecorderParts,
    compressor: Compressor,
    syncer: Syncer,
    open: Option<Open>,
    /// Series UID of the last exam whose end was seen.
    ended: String,
    /// Capture time of the last picture.
    at: Duration,
    /// Pictures in a row that could not be recorded.
    unreadable: u32,
    backoff: Backoff,
}

impl Recorder {
    fn new(parts: RecorderParts) -> Self {
        let compressor = Compressor::new(parts.settings.jpeg_quality);
        Self {
            parts,
            compressor,
            syncer: Syncer::start(),
            open: None,
            ended: String::new(),
            at: Duration::ZERO,
            unreadable: 0,
            backoff: Backoff::new(PAUSES),
        }
    }

    async fn run(mut self, mut view: View, shutdown: CancellationToken) {
        view.status.mark_changed();
        let mut goes_on = true;
        while goes_on {
            tokio::select! {
                biased;
                // After a last look: an exam may have ended just now.
                () = shutdown.cancelled() => goes_on = false,
                Ok(()) = view.status.changed() => view.status.mark_changed(),
                Ok(()) = view.taken.changed() => view.taken.mark_changed(),
                Ok(()) = view.overlay.changed() => view.overlay.mark_changed(),
                else => goes_on = false,
            }
            // The picture first: an overlay is recorded after the picture that it was made from. Then the status: to which exam the
            // picture belongs is known.
            let picture = view.taken.borrow_and_update().clone();
            if view.status.has_changed().unwrap_or(true) {
                let status = view.status.borrow_and_update().clone();
                self.status(&status);
            }
            if let Some(picture) = picture {
                self.at = picture.captured;
                self.try_again(&view.status);
                self.picture(&picture, &view);
            }
            if view.overlay.has_changed().unwrap_or(false) {
                let overlay = view.overlay.borrow_and_update().clone();
                self.overlay(&overlay);
            }
        }
    }

    /// Begins and ends recordings, and notes what has changed about the exam.
    fn status(&mut self, status: &Status) {
        let last = self.ended.clone();
        for ended in unseen(&status.ended, &last) {
            if !self.end(status, ended) {
                break;
            }
            self.ended = ended.exam.recording_uid();
        }
        match &status.exam {
            Some(exam) => self.facts(status, exam),
            None if self.ended_all(status) => self.forgotten(),
            None => {}
        }
    }

    /// Begins the recording of an exam unless it has begun, and notes what is new.
    fn facts(&mut self, status: &Status, exam: &Exam) {
        if self.open.as_ref().is_some_and(|open| !open.story.begun.is_of(exam)) {
            self.forgotten();
        }
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

    fn ended_all(&self, status: &Status) -> bool {
        status.ended.back().is_none_or(|last| last.exam.recording_uid() == self.ended)
    }

    /// Closes the recording of an exam that does not run any more and whose end is not told.
    fn forgotten(&mut self) {
        if let Some(open) = self.open.take() {
            tracing::error!("live: more exams have ended at once than are remembered; what was recorded is kept");
            self.close(open, None, now_utc());
        }
    }

    /// What could not be written is tried again: the beginning of an exam for want of room, whose exam it is.
    fn try_again(&mut self, status: &watch::Receiver<Arc<Status>>) {
        if self.backoff.has_failed() && self.backoff.is_due(self.at) {
            let status = status.borrow().clone();
            self.status(&status);
        }
    }

    fn begin(&mut self, exam: &Exam) {
        match self.opened(exam) {
            // The journal is there: the exam is known, whether or not there is room for its pictures.
            Ok(open) => {
                self.open = Some(open);
                if let Err(error) = room(&self.parts) {
                    return self.fail(self.at, &error);
                }
                self.backoff.succeeded();
                self.tell();
                tracing::info!("live: the exam is recorded");
            }
            Err(error) => self.fail(self.at, &error),
        }
    }

    fn opened(&self, exam: &Exam) -> Result<Open, RecordError> {
        let begun = Begun {
            study_uid: exam.study_uid.clone(),
            series_uid: exam.recording_uid(),
            patient: exam.patient.clone(),
            started_utc: exam.started_utc.clone(),
            request: exam.request.clone(),
        };
        let mut files = Files::create(&self.parts.directory.join(&begun.series_uid))?;
        let mut story = Story::new(begun.clone());
        files.note(&JournalEntry::Begun(begun), &mut story)?;
        Ok(Open::new(exam, story, files))
    }

    /// Ends the recording of an exam and hands it over; `false`: it cannot be written yet. When the disk was slow, this may be all
    /// that is known of the exam: what was said of it in the meantime is noted first.
    fn end(&mut self, status: &Status, ended: &Ended) -> bool {
        let mut open = match self.open.take_if(|open| open.story.begun.is_of(&ended.exam)) {
            Some(open) => open,
            None => match self.opened(&ended.exam) {
                Ok(open) => {
                    tracing::error!(
                        study = ended.exam.study_uid,
                        "live: an exam has ended of which no picture was recorded"
                    );
                    open
                }
                Err(error) => {
                    self.fail(self.at, &error);
                    return false;
                }
            },
        };
        // Screen, profile and model are those of a later time.
        let last = Status {
            size: [0, 0],
            name_on_screen: ended.name_on_screen,
            another_on_screen: ended.another_on_screen,
            ..status.clone()
        };
        if let Err(error) = open.facts(&last, &ended.exam, &self.parts) {
            tracing::error!(%error, "the last of the recording was not written");
        }
        if let Err(error) = open.covered(&ended.coverage) {
            tracing::error!(%error, "what of the breasts was looked at is not in the recording");
        }
        self.close(open, Some(ended.stats.clone()), ended.utc.clone());
        true
    }

    fn close(&mut self, mut open: Open, stats: Option<Stats>, utc: String) {
        let kept = JournalEntry::Kept { pictures: open.told.pictures };
        let stats = stats.map(|stats| JournalEntry::Stats { stats });
        let ended = JournalEntry::Ended { utc, interrupted: false };
        let noted = [kept].into_iter().chain(stats).chain([ended]).try_for_each(|entry| open.note(&entry));
        if let Err(error) = noted.and_then(|()| Ok(open.files.finish()?)) {
            // What is on the disk is handed over nevertheless.
            tracing::error!(%error, "the end of the recording was not written");
        }
        self.parts.told.send_replace(Arc::default());
        self.parts.hand_over.hand_over(open.files.folder());
    }

    fn picture(&mut self, picture: &Picture, view: &View) {
        // The newest picture may be of the exam before, or of the next one.
        let Some(open) = self.open.as_mut().filter(|open| open.number == picture.exam) else { return };
        let moment = Moment { sequence: picture.sequence, captured: picture.captured };
        if open.recent.back() == Some(&moment) {
            return;
        }
        if !self.backoff.is_due(moment.captured) {
            return;
        }
        // One picture can be written to a disk that is as good as full.
        let is_room = if self.backoff.has_failed() { room(&self.parts) } else { Ok(()) };
        let status = view.status.borrow().clone();
        let is_shown = view.pictures.borrow().as_ref().is_some_and(|shown| shown.sequence >= picture.sequence);
        let recorded =
            is_room.and_then(|()| open.picture(picture, is_shown, &status, &self.parts, &mut self.compressor));
        self.unreadable = if recorded.is_err() { self.unreadable.saturating_add(1) } else { 0 };
        // A camera that compresses its pictures damages one now and then: that one is missing.
        if matches!(recorded, Err(RecordError::Jpeg(JpegError::Frame(_) | JpegError::Empty)))
            && self.unreadable < UNREADABLE
        {
            return;
        }
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
                let stats = (**view.stats.borrow()).clone();
                open.note(&JournalEntry::Stats { stats })?;
                let guide = view.guide.borrow().clone();
                if guide.exam == open.number {
                    open.covered(&guide.coverage)?;
                }
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

/// Exams whose end was not seen, oldest first. `last`: series UID of the last one that was.
fn unseen<'a>(ended: &'a VecDeque<Ended>, last: &str) -> impl Iterator<Item = &'a Ended> {
    let seen = ended.iter().rposition(|one| one.exam.recording_uid() == last);
    ended.iter().skip(seen.map_or(0, |seen| seen + 1))
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

#[cfg(test)]
mod tests;
