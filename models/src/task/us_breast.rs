//! Breast ultrasound: the sector of a screen, one pass of the network, then each lesion with outline, score and the words
//! of the BI-RADS lexicon. One picture at a time; tracking over time is the caller's task.

pub mod assessment;
pub mod blocks;
mod candidates;
pub mod clip;
pub mod colour;
pub mod lesion;
pub mod scan;
pub mod sector;
pub mod terms;
pub mod words;

use hal::capture::{self, Frame, convert};
use hal::{LoadedModel, Tensor};

pub use self::candidates::{Detection, Signs};
use super::{Error, TaskFault};
use crate::manifest::{Manifest, Picture};
use crate::preprocess::letterbox::Letterbox;
use crate::steps::{Cpu, Pictures, Steps};

/// Position of the ultrasound image on the screen, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sector {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl Sector {
    /// Does the point of the picture (x, y in pixels) lie in it?
    pub fn holds(self, [x, y]: [f32; 2]) -> bool {
        let within = |at: f32, from: usize, length: usize| at >= from as f32 && at < (from + length) as f32;
        within(x, self.x, self.width) && within(y, self.y, self.height)
    }
}

/// Prepares pictures, runs one network and reads its output; created once for a package and a sector.
#[derive(Debug)]
pub struct Task {
    plan: Picture,
    sector: Sector,
    letterbox: Letterbox,
    pictures: Box<dyn Pictures>,
    image: Tensor,
}

/// What the network answered: checked probabilities, channel slowest.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    values: Vec<f32>,
}

impl Task {
    /// On the processor.
    ///
    /// # Errors
    /// `TaskFault::BadModel` for a package of another kind of task.
    pub fn new(manifest: &Manifest, sector: Sector) -> Result<Self, Error> {
        Self::on(manifest, sector, &Cpu)
    }

    /// As [`Task::new`]; `steps` prepare captured pictures.
    ///
    /// # Errors
    /// `TaskFault::BadModel` for a package of another kind of task.
    pub fn on(manifest: &Manifest, sector: Sector, steps: &dyn Steps) -> Result<Self, Error> {
        let other =
            || Error::new(TaskFault::BadModel, format!("{} {} reads no pictures", manifest.id, manifest.version));
        Ok(Self::of(manifest.picture().ok_or_else(other)?.clone(), sector, steps))
    }

    fn of(plan: Picture, sector: Sector, steps: &dyn Steps) -> Self {
        let [width, height] = plan.input.size;
        let letterbox = Letterbox::new([sector.width, sector.height], [width, height]);
        let part = convert::Part { x: sector.x, y: sector.y, width: sector.width, height: sector.height };
        let pictures = steps.pictures(part, [width, height]);
        let image = Tensor { shape: vec![1, 1, height, width], data: vec![0.0; height * width] };
        Self { plan, sector, letterbox, pictures, image }
    }

    pub fn sector(&self) -> Sector {
        self.sector
    }

    /// Takes in the sector's pixels, grey, full range, row by row without gaps. What it becomes is the network's input:
    /// `[1, 1, rows, columns]`, 0..1.
    pub fn prepare(&mut self, grey: &[u8]) -> &Tensor {
        self.letterbox.fill(grey, &mut self.image.data);
        &self.image
    }

    /// As [`Task::prepare`], of the sector in a captured picture.
    ///
    /// # Errors
    /// When its bytes do not hold together or it is smaller than the sector.
    pub fn prepare_frame(&mut self, frame: &Frame) -> Result<&Tensor, capture::Error> {
        self.pictures.fill(frame, &mut self.image.data)?;
        Ok(&self.image)
    }

    /// Runs the network on what was prepared last.
    ///
    /// # Errors
    /// `TaskFault::BadModel` when shapes do not fit; `TaskFault::BadOutput` when a value is not a probability;
    /// `TaskFault::Accelerator`.
    pub fn infer(&self, model: &mut dyn LoadedModel) -> Result<Map, Error> {
        let mut answer = model.run(std::slice::from_ref(&self.image))?;
        let [rows, columns] = self.plan.map();
        let due = [1, self.plan.outputs.channels.len(), rows, columns];
        let count = answer.len();
        let (Some(tensor), 1) = (answer.pop(), count) else {
            return Err(Error::new(TaskFault::BadModel, format!("the network gave {count} answers instead of one")));
        };
        if tensor.shape != due {
            let message = format!("the network answered {:?} where {due:?} was due", tensor.shape);
            return Err(Error::new(TaskFault::BadModel, message));
        }
        // A sigmoid may round to a hair above 1.
        match tensor.data.iter().find(|v| !(-1e-3..=1.001).contains(*v)) {
            Some(value) => {
                Err(Error::new(TaskFault::BadOutput, format!("the network answered {value}, which is no probability")))
            }
            None => Ok(Map { values: tensor.data }),
        }
    }

    /// The lesions in an answer, the surest first. `mm_per_pixel` is that of the screen; without it the package's least
    /// area is not asked for.
    pub fn lesions(&self, map: &Map, mm_per_pixel: Option<f32>) -> Vec<Detection> {
        candidates::find(&self.plan, &map.values, self.sector, self.letterbox.scale(), mm_per_pixel)
    }
}

/// # Errors
/// `TaskFault::BadModel` when the network's names are not this task's.
pub fn check_names(model: &dyn LoadedModel) -> Result<(), Error> {
    let (inputs, outputs) = (model.inputs(), model.outputs());
    if inputs != ["image"] || outputs != ["map"] {
        let message = format!("the network has {inputs:?} -> {outputs:?}, this task needs [image] -> [map]");
        return Err(Error::new(TaskFault::BadModel, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
