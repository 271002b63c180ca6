//! Image quality of one CT series of any body part: noise, noise texture (kernel), slices against spacing and header. No
//! network, no package; the same input always gives the same numbers.
//!
//! Motion is not assessed: a measure that separates it from anatomy without a reference image was not found, and a
//! number that nobody can rely on is worse than none. [`CtQuality`] has no field for it and reports say so.

mod noise;
mod slices;

use serde::Serialize;

pub use self::noise::{Kernel, Noise};
pub use self::slices::{Cover, Slices};
use crate::findings::Evaluated;
use crate::reason::{NotEvaluated, Reason, Topic};
use crate::volume::Volume;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The voxels; without them, why there are none. Slices are judged all the same.
    pub volume: Result<&'a Volume, &'a str>,
    /// Centre of the first pixel of each slice, mm, LPS, in any order.
    pub positions_mm: &'a [[f64; 3]],
    /// Unit vector across the slices.
    pub normal: [f64; 3],
    /// Slice Thickness (0018,0050), mm.
    pub thickness_mm: Option<f64>,
}

/// What was measured. Each part is a value or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CtQuality {
    pub noise: Evaluated<Noise>,
    pub slices: Evaluated<Slices>,
}

/// Measures one series.
pub fn measure(input: &Input<'_>) -> CtQuality {
    let noise = match input.volume {
        Ok(volume) => noise::measure(volume),
        Err(why) => Err(Reason::NoVolume { why: why.to_owned() }),
    };
    let slices = slices::measure(input.positions_mm, input.normal, input.thickness_mm);
    CtQuality { noise: evaluated(Topic::Noise, noise), slices: evaluated(Topic::Slices, slices) }
}

/// Class of the reconstruction kernel of a volume, by the texture of its noise; `None` where that cannot be measured.
pub(super) fn kernel(volume: &Volume) -> Option<Kernel> {
    noise::measure(volume).ok().map(|noise| noise.kernel)
}

fn evaluated<T>(topic: Topic, measured: Result<T, Reason>) -> Evaluated<T> {
    measured.map_or_else(|reason| Evaluated::NotEvaluated(NotEvaluated { topic, reason }), Evaluated::Done)
}

impl CtQuality {
    /// Neither noise nor slices could be judged.
    pub fn is_empty(&self) -> bool {
        self.noise.refusal().is_some() && self.slices.refusal().is_some()
    }
}

#[cfg(test)]
mod tests;
