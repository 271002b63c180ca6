//! One model for one screen: cuts out the sector, reads the depth scale, runs the network.

use std::sync::Arc;

use hal::LoadedModel;
use models::manifest::Manifest;
use models::steps::Steps;
use models::task::us_breast::{Detection, Map, Sector, Task};

use super::cut::Place;
use super::still::Stillness;
use crate::screen::profile::{Area, Profile};
use crate::screen::scale;
use crate::trouble::Trouble;
use crate::view::Picture;

/// What a picture is beside the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// It is frozen.
    pub still: bool,
    /// It comes after a pause and shows another place.
    pub elsewhere: bool,
}

#[derive(Debug)]
pub struct Eye {
    profile: Arc<Profile>,
    task: Task,
    stillness: Stillness,
    place: Place,
    grey: Vec<u8>,
    mm_per_pixel: Option<f32>,
}

impl Eye {
    /// # Errors
    /// When the package is of another kind.
    pub fn new(manifest: &Manifest, profile: Arc<Profile>, steps: &dyn Steps) -> Result<Self, Trouble> {
        let Area { x, y, width, height } = profile.sector;
        let task = Task::on(manifest, Sector { x, y, width, height }, steps)?;
        let mm_per_pixel = profile.fixed_scale();
        let (stillness, place) = (Stillness::default(), Place::default());
        Ok(Self { profile, task, stillness, place, grey: Vec::new(), mm_per_pixel })
    }

    /// Millimetres of tissue per pixel of the screen, where that is known.
    pub fn mm_per_pixel(&self) -> Option<f32> {
        self.mm_per_pixel
    }

    /// Prepares a picture for the network.
    ///
    /// # Errors
    /// [`Trouble::Picture`] when its bytes do not hold together.
    pub fn take(&mut self, picture: &Picture) -> Result<Taken, Trouble> {
        self.mm_per_pixel = scale::read(&self.profile, &picture.frame, &mut self.grey)?;
        let image = self.task.prepare_frame(&picture.frame)?;
        let columns = image.shape.last().copied().unwrap_or_default();
        let elsewhere = self.place.observe(&image.data, columns, self.stillness.stood(picture.captured));
        Ok(Taken { still: self.stillness.observe(&image.data, picture.captured), elsewhere })
    }

    /// Runs the network on the picture that was prepared last.
    ///
    /// # Errors
    /// [`Trouble::Accelerator`] when that failed; [`Trouble::BadModel`] or [`Trouble::BadOutput`] when the answer makes
    /// no sense.
    pub fn infer(&self, model: &mut dyn LoadedModel) -> Result<Map, Trouble> {
        Ok(self.task.infer(model)?)
    }

    pub fn lesions(&self, map: &Map) -> Vec<Detection> {
        self.task.lesions(map, self.mm_per_pixel)
    }
}
