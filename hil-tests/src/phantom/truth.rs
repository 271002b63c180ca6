//! What was planted, measured on the sampled grid before noise: the answers that findings are compared with.

use serde::Serialize;

use super::anatomy::Side;
use super::nodule::{Make, Place};
use super::render::{NoduleTally, Slice};
use super::{Options, Phantom};

#[derive(Debug, Clone, Serialize)]
pub struct Truth {
    pub seed: u64,
    pub options: Options,
    pub nodules: Vec<PlantedNodule>,
    pub lungs: Lungs,
}

#[derive(Debug, Clone, Serialize)]
pub struct PlantedNodule {
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    /// Diameter of the sphere of the same volume, mm.
    pub diameter_mm: f64,
    pub volume_mm3: f64,
    pub mean_hu: f64,
    pub side: Side,
    pub make: Make,
    pub place: Place,
}

/// Lung volumes including the vessels and nodules inside, without trachea, main bronchi and hila; millilitres.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Lungs {
    pub right_ml: f64,
    pub left_ml: f64,
}

pub(super) fn collect(phantom: &Phantom, slices: &[Slice]) -> Truth {
    let voxel = phantom.grid.voxel_mm3();
    let mut lung = [0.0; 2];
    let mut sums = vec![NoduleTally::default(); phantom.nodules.len()];
    for slice in slices {
        lung[0] += slice.tally.lung[0];
        lung[1] += slice.tally.lung[1];
        for (sum, part) in sums.iter_mut().zip(&slice.tally.nodules) {
            sum.voxels += part.voxels;
            sum.hu += part.hu;
            for (s, p) in sum.position.iter_mut().zip(part.position) {
                *s += p;
            }
        }
    }
    let nodules = sums.iter().zip(&phantom.nodules).filter(|(s, _)| s.voxels > 0.0).map(|(sum, nodule)| {
        let volume_mm3 = sum.voxels * voxel;
        PlantedNodule {
            centre_mm: sum.position.map(|p| p / sum.voxels),
            diameter_mm: (6.0 * volume_mm3 / std::f64::consts::PI).cbrt(),
            volume_mm3,
            mean_hu: sum.hu / sum.voxels,
            side: nodule.side,
            make: nodule.make,
            place: nodule.place,
        }
    });
    Truth {
        seed: phantom.seed,
        options: phantom.options.clone(),
        nodules: nodules.collect(),
        lungs: Lungs { right_ml: lung[0] * voxel / 1000.0, left_ml: lung[1] * voxel / 1000.0 },
    }
}
