//! Learns a scanner profile: watches the captured video for some seconds and proposes a profile.
//!
//! It reads the view as a page does: takes the newest picture, holds one at a time, and nothing waits for it. Grey
//! levels are compared on the threads for blocking work; it needs four bytes for each pixel of the screen.

use std::ops::RangeInclusive;
use std::time::Duration;

use hal::capture::convert;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::learn::{LearnError, Learner};
use super::profile::{Profile, ProfileError};
use crate::view::{Picture, Sign, View};

/// How long it may watch, seconds. D-Bus callers give up after 25 s.
pub const SECONDS: RangeInclusive<u32> = 2..=20;
pub const USUAL_SECONDS: u32 = 10;
/// Shortest time between two pictures that are used; more pictures add nothing new.
const EVERY: Duration = Duration::from_millis(40);

/// Why no profile was learnt, with what helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LessonError {
    #[error("a profile is being learnt already: wait until that is done")]
    Busy,
    #[error("the live path has ended: restart scansided")]
    Ended,
    #[error("no picture has come yet: wait until the scanner's picture is on the live page")]
    NoPictureYet,
    #[error("there is no picture to learn from ({0}): check the cable and the scanner's video output")]
    NoPicture(String),
    #[error("{0}: let it go on, and scan while the profile is learnt")]
    Paused(String),
    #[error("no picture came meanwhile: ask again")]
    NoneCame,
    #[error("the scanner changed its resolution meanwhile: ask again")]
    ResolutionChanged,
    #[error("the picture cannot be read ({0}): see the daemon's log")]
    Unreadable(#[from] hal::capture::Error),
    #[error(transparent)]
    Learn(#[from] LearnError),
    #[error("learning crashed; the daemon's log has more")]
    Crashed,
}

impl From<ProfileError> for LessonError {
    fn from(error: ProfileError) -> Self {
        Self::Learn(error.into())
    }
}

/// What is proposed, and what it was learnt from.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    pub profile: Profile,
    /// The profile as a file to be kept.
    pub toml: String,
    pub pictures: usize,
    /// Millimetres of tissue per pixel down the picture, by the ticks of the last one.
    pub mm_per_pixel: Option<f32>,
}

/// Watches for `span` and proposes a profile called `name`; an empty name becomes one made from the size of the screen.
///
/// # Errors
/// No signal, a frozen picture, nothing moves, or another lesson is going on.
pub async fn learn(view: &View, name: &str, span: Duration) -> Result<Proposal, LessonError> {
    let alone = view.lessons.try_acquire();
    let _alone = alone.map_err(|_| LessonError::Busy)?;
    can_be_learnt_from(&view.status.borrow().sign)?;
    let (mut pictures, end) = (view.pictures.clone(), Instant::now() + span);
    let mut pupil = Pupil::default();
    loop {
        tokio::select! {
            changed = pictures.changed() => changed.map_err(|_| LessonError::Ended)?,
            () = sleep_until(end) => break,
        }
        let Some(picture) = pictures.borrow_and_update().clone() else { continue };
        let rest = Instant::now() + EVERY;
        pupil = away(move || pupil.take(&picture)).await?;
        sleep_until(rest.min(end)).await;
    }
    let name = name.to_owned();
    let proposal = away(move || pupil.propose(name)).await;
    // If nothing was learnt, the sign may give a better reason.
    proposal.or_else(|error| can_be_learnt_from(&view.status.borrow().sign).and(Err(error)))
}

/// Runs `work` on a thread for blocking work.
async fn away<T, F>(work: F) -> Result<T, LessonError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, LessonError> + Send + 'static,
{
    let done = spawn_blocking(work).await;
    done.map_err(|_| LessonError::Crashed)?
}

fn can_be_learnt_from(sign: &Sign) -> Result<(), LessonError> {
    match sign {
        Sign::Ready | Sign::NoOverlay { .. } => Ok(()),
        Sign::Paused { reason } => Err(LessonError::Paused(reason.clone())),
        Sign::Off => Err(LessonError::NoPictureYet),
        Sign::NoSignal { reason } | Sign::Failed { reason } => Err(LessonError::NoPicture(reason.clone())),
    }
}

/// A learner for the screen size of the first picture, with memory that is reused.
#[derive(Debug, Default)]
struct Pupil {
    learner: Option<Learner>,
    size: [usize; 2],
    grey: Vec<u8>,
    pictures: usize,
}

impl Pupil {
    fn take(mut self, picture: &Picture) -> Result<Self, LessonError> {
        let size = picture.size();
        if self.learner.is_some() && self.size != size {
            return Err(LessonError::ResolutionChanged);
        }
        self.size = size;
        convert::grey(&picture.frame, &mut self.grey)?;
        self.learner.get_or_insert_with(|| Learner::new(size)).add(&self.grey)?;
        self.pictures += 1;
        Ok(self)
    }

    fn propose(self, name: String) -> Result<Proposal, LessonError> {
        let Some(learner) = self.learner else { return Err(LessonError::NoneCame) };
        let [width, height] = self.size;
        let name = if name.is_empty() { format!("learnt-{width}x{height}") } else { name };
        let profile = learner.propose(&name)?;
        let (toml, mm_per_pixel) = (profile.to_toml()?, learner.mm_per_pixel(&profile));
        Ok(Proposal { profile, toml, pictures: self.pictures, mm_per_pixel })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hal::capture::frame::Shape;
    use hal::capture::{Colour, Frame, PixelFormat};

    use super::*;
    use crate::screen::learn::tests::{SECTOR, SIZE, screen};
    use crate::view::{Stage, Status, channel};

    const SPAN: Duration = Duration::from_secs(10);

    fn sign(stage: &Stage, sign: Sign) {
        stage.status.send_replace(Arc::new(Status { sign, ..Status::default() }));
    }

    /// Thirty pictures a second, of the size that `size` says.
    fn play(stage: &Stage, picture: impl Fn(u32) -> ([usize; 2], Vec<u8>) + Send + 'static) {
        let pictures = stage.pictures.clone();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(33));
            for number in 0.. {
                tick.tick().await;
                let ([width, height], grey) = picture(number);
                let shape = Shape::tight(PixelFormat::Grey, width as u32, height as u32, Colour::default());
                let (sequence, captured) = (u64::from(number), Duration::ZERO);
                let frame = Frame::new(shape, sequence, captured, Arc::new(grey));
                pictures.send_replace(Some(Arc::new(Picture { sequence, captured, exam: 0, frame })));
            }
        });
    }

    #[tokio::test(start_paused = true)]
    async fn sim_ten_seconds_of_a_moving_picture_give_a_profile() {
        let (stage, view) = channel();
        sign(&stage, Sign::Ready);
        play(&stage, |number| (SIZE, screen(number)));
        let proposal = learn(&view, "", SPAN).await.unwrap();
        assert_eq!((proposal.profile.name.as_str(), proposal.profile.sector), ("learnt-320x240", SECTOR));
        assert_eq!(Profile::parse(&proposal.toml).unwrap(), proposal.profile);
        assert_eq!(proposal.mm_per_pixel, Some(0.25), "ticks of 5 mm, 20 pixels apart");
        assert!((100..=260).contains(&proposal.pictures), "{}", proposal.pictures);
        assert_eq!(learn(&view, "own", SPAN).await.unwrap().profile.name, "own");
    }

    #[tokio::test(start_paused = true)]
    async fn sim_what_cannot_be_learnt_from_is_said_with_what_helps() {
        let reason = || "nothing arrives".to_owned();
        let (stage, view) = channel();
        for (now, word) in [
            (Sign::Off, "no picture has come yet"),
            (Sign::NoSignal { reason: reason() }, "check the cable"),
            (Sign::Failed { reason: reason() }, "nothing arrives"),
            (Sign::Paused { reason: "frozen by the user".into() }, "let it go on"),
        ] {
            sign(&stage, now);
            let error = learn(&view, "", SPAN).await.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        sign(&stage, Sign::Ready);
        assert_eq!(learn(&view, "", SPAN).await, Err(LessonError::NoneCame));
        play(&stage, |_| (SIZE, screen(1)));
        assert_eq!(learn(&view, "", SPAN).await, Err(LessonError::Learn(LearnError::NothingMoves)));
    }

    #[tokio::test(start_paused = true)]
    async fn sim_one_lesson_at_a_time_and_one_size_of_screen() {
        let (stage, view) = channel();
        sign(&stage, Sign::Ready);
        play(&stage, |number| {
            let lines = if number < 100 { SIZE[1] } else { SIZE[1] / 2 };
            let mut grey = screen(number);
            grey.truncate(SIZE[0] * lines);
            ([SIZE[0], lines], grey)
        });
        let (first, second) = tokio::join!(learn(&view, "", SPAN), learn(&view, "", SPAN));
        assert_eq!(first, Err(LessonError::ResolutionChanged));
        assert_eq!(second, Err(LessonError::Busy));
        assert!(learn(&view, "", SPAN).await.is_ok(), "the next one may");
    }
}
