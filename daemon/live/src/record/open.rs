//! The recording in progress: what is noted of its exam, its pictures, and which of them are kept.

use std::collections::VecDeque;
use std::time::Duration;

use models::postprocess::contour::signed_area;
use models::task::us_breast::scan::coverage::Coverage;

use super::files::{Files, Syncer};
use super::journal::{JournalEntry, Moment, Scene, Seen, Story};
use super::pictures::Head;
use super::ring::{Ring, Window};
use super::{BETTER, PART, REMEMBERED, RecordError, RecorderParts};
use crate::cast;
use crate::jpeg::{self, Compressor};
use crate::name::Agreement;
use crate::screen::profile::{Area, Profile};
use crate::view::{Exam, MadeBy, Overlay, Picture, Recording, RecordingState, Sign, Status};

/// The recording in progress.
pub(super) struct Open {
    /// [`Exam::number`]: only pictures with it are of this exam.
    pub(super) number: u64,
    pub(super) story: Story,
    pub(super) files: Files,
    pub(super) ring: Ring,
    /// Capture time of the first picture in the present file.
    pub(super) since: Option<Duration>,
    pub(super) recent: VecDeque<Moment>,
    /// The last picture that the page showed: while it is frozen, the one that people mark.
    shown: Option<Moment>,
    pub(super) marks: u32,
    pub(super) profile: Option<Profile>,
    pub(super) stats_at: Duration,
    /// The last picture before nothing looked at them any more, and the first one behind a frozen page: of those nobody is told
    /// outlines and scale.
    unseen_since: Option<Moment>,
    hidden_since: Option<Moment>,
    pub(super) told: Recording,
}

impl Open {
    pub(super) fn new(exam: &Exam, story: Story, files: Files) -> Self {
        let of = story.begun.series_uid.clone();
        Self {
            number: exam.number,
            story,
            files,
            ring: Ring::default(),
            since: None,
            recent: VecDeque::new(),
            shown: None,
            marks: exam.marks,
            profile: None,
            stats_at: Duration::ZERO,
            unseen_since: None,
            hidden_since: None,
            told: Recording { of, state: RecordingState::On, ..Recording::default() },
        }
    }

    pub(super) fn note(&mut self, entry: &JournalEntry) -> Result<(), RecordError> {
        Ok(self.files.note(entry, &mut self.story)?)
    }

    /// Notes patient, marks and scene when they have changed.
    pub(super) fn facts(&mut self, status: &Status, exam: &Exam, parts: &RecorderParts) -> Result<(), RecordError> {
        if self.story.begun.patient != exam.patient {
            let (patient, request) = (exam.patient.clone(), exam.request.clone());
            self.note(&JournalEntry::Patient { patient, request })?;
        }
        if status.another_on_screen && !self.story.another_on_screen {
            self.note(&JournalEntry::OnScreen { agreement: Agreement::Differs })?;
        }
        if let Some(agreement) = status.name_on_screen.filter(|agreement| self.story.on_screen != Some(*agreement)) {
            self.note(&JournalEntry::OnScreen { agreement })?;
        }
        self.unseen_since = match status.sign {
            Sign::NoOverlay { .. } => self.unseen_since.or_else(|| self.recent.back().copied()),
            _ => None,
        };
        if status.simulated && !self.story.simulated {
            self.note(&JournalEntry::Simulated)?;
        }
        if status.size != [0, 0] {
            self.scene(status.size, status, parts)?;
        }
        if self.story.side() != exam.side {
            self.note(&JournalEntry::Side { side: exam.side })?;
        }
        if self.story.probe() != exam.probe {
            self.note(&JournalEntry::Probe { probe: exam.probe })?;
        }
        for (lesion, place) in &exam.places {
            if self.story.said(*lesion) != Some(place) {
                let by_probe = exam.by_probe.contains(lesion);
                self.note(&JournalEntry::Place { lesion: *lesion, place: place.clone(), by_probe })?;
            }
        }
        while self.marks < exam.marks {
            self.marks += 1;
            if let Some(moment) = self.shown.or_else(|| self.recent.back().copied()) {
                self.note(&JournalEntry::Marked(moment))?;
            }
        }
        Ok(())
    }

    /// Notes the scene of pictures of this size, unless it is the last one.
    fn scene(&mut self, size: [usize; 2], status: &Status, parts: &RecorderParts) -> Result<(), RecordError> {
        let profile = parts.profiles.choose(size).ok();
        let scene = scene(size, status.made_by.clone(), profile, parts.settings.mask_text);
        if self.story.scenes.last() != Some(&scene) {
            self.profile = profile.cloned();
            self.note(&JournalEntry::Scene(scene))?;
        }
        Ok(())
    }

    pub(super) fn picture(
        &mut self,
        picture: &Picture,
        is_shown: bool,
        status: &Status,
        parts: &RecorderParts,
        compressor: &mut Compressor,
    ) -> Result<(), RecordError> {
        // The status may be older than the picture, or newer: what identifies the patient is blacked out where this one shows it.
        if self.story.scenes.last().is_none_or(|scene| scene.size != picture.size()) {
            self.scene(picture.size(), status, parts)?;
        }
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
        let moment = Moment { sequence: picture.sequence, captured: picture.captured };
        if is_shown {
            (self.shown, self.hidden_since) = (Some(moment), None);
        } else {
            self.hidden_since.get_or_insert(moment);
        }
        if let Some(moment) = self.unseen_since.or(self.hidden_since)
            && picture.captured.saturating_sub(moment.captured) > SCALE_LASTS
            && self.story.scale_now().is_some()
        {
            self.note(&JournalEntry::Scale { moment, mm_per_pixel: None })?;
        }
        self.recent.push_back(moment);
        if self.recent.len() > REMEMBERED {
            self.recent.pop_front();
        }
        Ok(())
    }

    /// Notes what of the breasts was looked at, when that has changed.
    pub(super) fn covered(&mut self, coverage: &Coverage) -> Result<(), RecordError> {
        if self.story.coverage == *coverage {
            return Ok(());
        }
        self.note(&JournalEntry::Coverage { coverage: coverage.clone() })
    }

    /// Ends the present file of pictures and removes files that are not needed any more.
    pub(super) fn next_part(
        &mut self,
        spans: Window,
        kept: Duration,
        syncer: &Syncer,
        half: Duration,
    ) -> Result<(), RecordError> {
        let number = self.files.next_part(syncer)?;
        self.ring.add(number, spans);
        self.since = None;
        // The newest pictures are needed for what is found in the next seconds, whatever the settings say.
        let kept = kept.max(half + PART);
        // What stands on a frozen page may still be marked.
        let shown = self.shown.map(|moment| Window::around(moment.captured, half));
        let wanted: Vec<Window> = self.story.windows(half).into_iter().chain(shown).collect();
        let gone = self.ring.expire(spans.to, kept, &wanted);
        Ok(gone.into_iter().try_for_each(|number| self.files.remove(number))?)
    }

    pub(super) fn overlay(&mut self, overlay: &Overlay) -> Result<(), RecordError> {
        let Some(moment) = self.recent.iter().rev().find(|moment| moment.sequence == overlay.sequence).copied() else {
            return Ok(());
        };
        let mm_per_pixel = overlay.mm_per_pixel;
        if is_other(self.story.scale_now(), mm_per_pixel) {
            self.note(&JournalEntry::Scale { moment, mm_per_pixel })?;
        }
        // Another breast was named between the picture and now, or the other way round: of which one they are is not sure.
        if overlay.side != self.story.side() {
            return Ok(());
        }
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

/// While nothing looks at the pictures, nobody sees the depth change.
const SCALE_LASTS: Duration = Duration::from_secs(1);
/// Ticks are read to a fraction of a pixel, so the same depth is not the same number each time.
const SAME_SCALE: f32 = 0.01;

fn is_other(before: Option<f32>, now: Option<f32>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => (before - now).abs() > SAME_SCALE * before.abs(),
        (before, now) => before.is_some() != now.is_some(),
    }
}

fn scene(size: [usize; 2], made_by: Option<MadeBy>, profile: Option<&Profile>, mask_text: bool) -> Scene {
    let whole = Area { x: 0, y: 0, width: size[0], height: size[1] };
    let sector = profile.map_or(whole, |profile| profile.sector);
    let [right, bottom] = sector.end();
    Scene {
        profile: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
        size,
        sector: [sector.x, sector.y, right, bottom].map(cast::pixels),
        // Without a profile it is not known where the text is, and in one that names no such text nothing is blacked out.
        masked: mask_text && profile.is_some_and(|profile| profile.text.iter().any(|text| text.identifies)),
        made_by,
    }
}
