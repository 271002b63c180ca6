//! One model looking at one screen: the sector cut out, the scale read, the network asked.

use std::sync::Arc;
use std::time::Duration;

use hal::LoadedModel;
use hal::capture::convert;
use models::manifest::Manifest;
use models::task::us_breast::{Detection, Map, Sector, Task};

use super::still::Stillness;
use crate::screen::profile::{Area, Profile};
use crate::screen::ticks;
use crate::view::Picture;

/// How often the depth scale is read.
const SCALE_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub struct Eye {
    profile: Arc<Profile>,
    task: Task,
    stillness: Stillness,
    grey: Vec<u8>,
    mm_per_pixel: Option<f32>,
    /// When the scale was read last.
    scaled_at: Option<Duration>,
}

impl Eye {
    /// # Errors
    /// In words, when the package is of another kind.
    pub fn new(manifest: &Manifest, profile: Arc<Profile>) -> Result<Self, String> {
        let Area { x, y, width, height } = profile.sector;
        let task = Task::new(manifest, Sector { x, y, width, height }).map_err(|error| error.to_string())?;
        let mm_per_pixel = profile.fixed_scale();
        Ok(Self { profile, task, stillness: Stillness::default(), grey: Vec::new(), mm_per_pixel, scaled_at: None })
    }

    /// Millimetres of tissue in a pixel of the screen, where that is known.
    pub fn mm_per_pixel(&self) -> Option<f32> {
        self.mm_per_pixel
    }

    /// Takes a picture in; whether it is frozen.
    ///
    /// # Errors
    /// In words, when its bytes do not hold together.
    pub fn take(&mut self, picture: &Picture) -> Result<bool, String> {
        self.read_scale(picture)?;
        let cut = convert::grey_part(&picture.frame, self.profile.sector.into(), &mut self.grey);
        cut.map_err(|error| format!("the picture cannot be read: {error}"))?;
        let image = self.task.prepare(&self.grey);
        Ok(self.stillness.observe(&image.data, picture.captured))
    }

    /// The scanner redraws its scale when the depth is changed. A scale that cannot be read gives no size rather than a
    /// wrong one.
    fn read_scale(&mut self, picture: &Picture) -> Result<(), String> {
        let Some((area, mm_per_tick)) = self.profile.ticks() else { return Ok(()) };
        let fresh = |at: Duration| picture.captured.saturating_sub(at) < SCALE_EVERY && picture.captured >= at;
        if self.scaled_at.is_some_and(fresh) {
            return Ok(());
        }
        self.scaled_at = Some(picture.captured);
        let cut = convert::grey_part(&picture.frame, area.into(), &mut self.grey);
        cut.map_err(|error| format!("the picture cannot be read: {error}"))?;
        self.mm_per_pixel = ticks::find(&self.grey, area.width).map(|ticks| mm_per_tick / ticks.spacing);
        Ok(())
    }

    /// Asks the network about the picture that was taken in last.
    ///
    /// # Errors
    /// In words: the accelerator failed, or what it answered is nonsense.
    pub fn infer(&self, model: &mut dyn LoadedModel) -> Result<Map, String> {
        self.task.infer(model).map_err(|error| error.to_string())
    }

    pub fn lesions(&self, map: &Map) -> Vec<Detection> {
        self.task.lesions(map, self.mm_per_pixel)
    }
}
