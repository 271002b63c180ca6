//! The left breast against the right one in the same view. Differences only: what they mean is not said.

use serde::Serialize;

use super::Reading;

/// Right minus left, in the unit of each; `None` where one of the two lacks it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    pub area_cm2: Option<f32>,
    /// From chest wall to nipple.
    pub nipple_mm: Option<f32>,
    pub density_percent: Option<f32>,
}

pub fn difference(right: &Reading, left: &Reading) -> Difference {
    let minus = |of: fn(&Reading) -> Option<f32>| Some(of(right)? - of(left)?);
    Difference {
        area_cm2: minus(|reading| reading.breast.area_cm2),
        nipple_mm: minus(|reading| reading.nipple.to_chest_wall_mm),
        density_percent: minus(|reading| Some(reading.density?.percent)),
    }
}
