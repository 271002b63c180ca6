//! One model for one screen: cuts out the sector, reads the depth scale, runs the network.

use std::sync::Arc;

use hal::LoadedModel;
use models::manifest::Manifest;
use models::steps::Steps;
use models::task::us_breast::{Detection, Map, Sector, Task};

use super::still::Stillness;
use crate::screen::profile::{Area, Profile};
use crate::screen::scale;
use crate::trouble::Trouble;
use crate::view::Picture;

#[derive(Debug)]
pub struct Eye {
    profile: Arc<Profile>,
    task: Task,
    stillness: Stillness,
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
        Ok(Self { profile, task, stillness: Stillness::default(), grey: Vec::new(), mm_per_pixel })
    }

    /// Millimetres of tissue per pixel of the screen, where that is known.
    pub fn mm_per_pixel(&self) -> Option<f32> {
        self.mm_per_pixel
    }

    /// Prepares a picture for the network; returns whether it is frozen.
    ///
    /// # Errors
    /// [`Trouble::Picture`] when its bytes do not hold together.
    pub fn take(&mut self, picture: &Picture) -> Result<bool, Trouble> {
        self.mm_per_pixel = scale::read(&self.profile, &picture.frame, &mut self.grey)?;
        let image = self.task.prepare_frame(&picture.frame)?;
        Ok(self.stillness.observe(&image.data, picture.captured))
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
