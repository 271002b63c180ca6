//! Patches that stay on the GPU, with the CPU behind it. What a GPU that fails had blended is lost with it: whoever asked begins the
//! volume again by runs, which the CPU makes; so no run of the GPU counts before the blended answer is there.

use std::sync::Arc;
use std::time::Duration;

use hal::accel::{self, AccelFault, OnCard, Patchwork};

use super::apart::{Apart, device};
use super::{Gpu, Standby};

struct Patching<'a> {
    standby: &'a mut Standby,
    shape: Vec<usize>,
    patience: Duration,
    made: u32,
    /// The thread waits for patches.
    is_open: bool,
}

/// `None`: the GPU is not there, cannot do it, or has just failed.
pub(super) fn begin<'a>(
    standby: &'a mut Standby,
    work: &Arc<Patchwork>,
) -> Result<Option<Box<dyn OnCard + 'a>>, accel::Error> {
    standby.look_for_gpu();
    let Gpu::Ready(apart) = &standby.gpu else { return Ok(None) };
    let shape = work.input();
    let patience = standby.patience(&shape);
    match apart.begin(work, patience) {
        Ok(true) => Ok(Some(Box::new(Patching { standby, shape, patience, made: 0, is_open: true }))),
        Ok(false) => Ok(None),
        Err(error) if error.kind() == AccelFault::BadInput => Err(error),
        Err(error) => {
            standby.lose(error.to_string());
            Ok(None)
        }
    }
}

impl Patching<'_> {
    fn gpu(&self) -> Result<&Apart, accel::Error> {
        match &self.standby.gpu {
            Gpu::Ready(apart) if self.is_open => Ok(apart),
            _ => Err(device("the GPU has failed")),
        }
    }

    /// What is no fault of whoever asked is one of the GPU.
    fn heard<T>(&mut self, answer: Result<T, accel::Error>) -> Result<T, accel::Error> {
        if let Err(error) = &answer
            && error.kind() != AccelFault::BadInput
            && std::mem::take(&mut self.is_open)
        {
            self.standby.lose(error.to_string());
        }
        answer
    }
}

impl OnCard for Patching<'_> {
    fn patch(&mut self, origin: [usize; 3]) -> Result<Option<f32>, accel::Error> {
        let answer = self.gpu().and_then(|apart| apart.patch(origin, self.patience));
        // The first may have been compiled for these extents.
        self.patience = self.standby.patience;
        self.made = self.made.saturating_add(1);
        self.heard(answer)
    }

    fn blended(&mut self) -> Result<Vec<Vec<u16>>, accel::Error> {
        let answer = self.gpu().and_then(|apart| apart.blended(self.patience));
        let made = self.heard(answer)?;
        self.is_open = false;
        self.standby.made_on_gpu(self.shape.clone(), self.made);
        Ok(made)
    }
}

impl Drop for Patching<'_> {
    fn drop(&mut self) {
        if self.is_open
            && let Gpu::Ready(apart) = &self.standby.gpu
        {
            apart.end();
        }
    }
}
