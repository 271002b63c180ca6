//! What was planted, measured on the sampled grid before noise: the truth with which findings are compared.

use serde::Serialize;

use super::anatomy::Side;
use super::finding::coronary::{self, PlantedCalcium};
use super::finding::emphysema::{self, PlantedEmphysema};
use super::finding::lymph_node::{self, PlantedNode};
use super::finding::pneumonia::{self, PlantedPneumonia};
use super::finding::{Channel, Lesion, bronchiectasis, pleura, rib_fracture};
use super::nodule::{Make, Nodule, Place};
use super::render::{Amount, Slice, Tally};
use super::{Options, Phantom};

#[derive(Debug, Clone, Serialize)]
pub struct Truth {
    pub seed: u64,
    pub options: Options,
    pub lungs: Lungs,
    pub nodules: Vec<PlantedNodule>,
    pub pneumonia: Option<PlantedPneumonia>,
    pub emphysema: Option<PlantedEmphysema>,
    pub bronchiectasis: Vec<PlantedLesion>,
    pub pleural_effusions: Vec<PlantedLesion>,
    pub pneumothoraces: Vec<PlantedLesion>,
    pub rib_fractures: Vec<PlantedLesion>,
    pub coronary: Option<PlantedCalcium>,
    /// All lymph nodes, normal ones included.
    pub lymph_nodes: Vec<PlantedNode>,
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

/// One lesion of any other finding. Measurements that the finding does not have are absent.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PlantedLesion {
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    pub volume_ml: f64,
    pub mean_hu: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// 1 to 12.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rib: Option<u8>,
    /// Percent of the hemithorax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
}

/// Lung volumes including vessels, nodules and consolidated tissue, without trachea, main bronchi, hila and the
/// contents of the pleural space; millilitres.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Lungs {
    pub right_ml: f64,
    pub left_ml: f64,
    /// Percent of the voxels of both, airways left out, below -950 HU after the kernel and before noise.
    pub laa950_percent: f64,
}

/// Sums over all slices, in millilitres and mm, from which the findings compute their truth.
#[derive(Debug)]
pub struct Measured<'a> {
    lesions: &'a [Lesion],
    amounts: Vec<Amount>,
    voxel_ml: f64,
    /// Right and left.
    lung_ml: [f64; 2],
    /// Voxels of parenchyma, right and left, and how many of them are below -950 HU.
    parenchyma: [f64; 2],
    low: [f64; 2],
}

impl Measured<'_> {
    /// The lesions of one channel that are at least partly in the scan.
    pub fn of(&self, channel: Channel) -> impl Iterator<Item = PlantedLesion> {
        let all = (0..self.lesions.len()).filter(move |i| self.lesions[*i].channel == channel);
        all.filter_map(|i| self.lesion(i))
    }

    /// One lesion, if it is at least partly in the scan.
    pub fn lesion(&self, number: usize) -> Option<PlantedLesion> {
        let (lesion, amount) = (self.lesions.get(number)?, self.amounts.get(number)?);
        (amount.voxels > 0.0).then(|| PlantedLesion {
            centre_mm: amount.position.map(|p| p / amount.voxels),
            volume_ml: amount.voxels * self.voxel_ml,
            mean_hu: amount.hu / amount.voxels,
            side: lesion.side,
            rib: lesion.rib,
            percent: None,
        })
    }

    pub fn laa950_percent(&self, sides: &[Side]) -> f64 {
        let sum = |of: [f64; 2]| sides.iter().fold(0.0, |sum, side| sum + of[*side as usize]);
        100.0 * sum(self.low) / sum(self.parenchyma).max(1.0)
    }

    pub fn lung_ml(&self, side: Side) -> f64 {
        self.lung_ml[side as usize]
    }
}

pub(super) fn collect(phantom: &Phantom, slices: &[Slice]) -> Truth {
    let voxel_mm3 = phantom.grid.voxel_mm3();
    let voxel_ml = voxel_mm3 / 1000.0;
    let lung = |side: usize| slices.iter().map(|s| s.tally.lung[side]).sum::<f64>() * voxel_ml;
    let nodules = summed(slices, phantom.nodules.len(), |tally| &tally.nodules);
    let planted = nodules.iter().zip(&phantom.nodules).filter(|(sum, _)| sum.voxels > 0.0);
    let lesions = &phantom.planted.lesions;
    let amounts = summed(slices, lesions.len(), |tally| &tally.lesions);
    let count = |of: fn(&Tally) -> [f64; 2]| [0, 1].map(|side| slices.iter().map(|s| of(&s.tally)[side]).sum());
    let (parenchyma, low) = (count(|t| t.parenchyma), count(|t| t.low));
    let measured = Measured { lesions, amounts, voxel_ml, lung_ml: [lung(0), lung(1)], parenchyma, low };
    let agatston = slices.iter().map(|s| s.tally.agatston).sum();
    Truth {
        seed: phantom.seed,
        options: phantom.options.clone(),
        lungs: Lungs {
            right_ml: measured.lung_ml(Side::Right),
            left_ml: measured.lung_ml(Side::Left),
            laa950_percent: measured.laa950_percent(&Side::BOTH),
        },
        nodules: planted.map(|(sum, nodule)| self::nodule(sum, nodule, voxel_mm3)).collect(),
        pneumonia: pneumonia::truth(&measured),
        emphysema: emphysema::truth(&measured),
        bronchiectasis: bronchiectasis::truth(&measured),
        pleural_effusions: pleura::effusions(&measured),
        pneumothoraces: pleura::pneumothoraces(&measured),
        rib_fractures: rib_fracture::truth(&measured),
        coronary: coronary::truth(&measured, agatston, phantom.grid.slice_mm),
        lymph_nodes: lymph_node::truth(&measured, &phantom.planted.nodes),
    }
}

fn summed(slices: &[Slice], count: usize, of: impl Fn(&Tally) -> &Vec<Amount>) -> Vec<Amount> {
    let mut sums = vec![Amount::default(); count];
    for slice in slices {
        for (sum, part) in sums.iter_mut().zip(of(&slice.tally)) {
            sum.voxels += part.voxels;
            sum.hu += part.hu;
            for (s, p) in sum.position.iter_mut().zip(part.position) {
                *s += p;
            }
        }
    }
    sums
}

fn nodule(sum: &Amount, nodule: &Nodule, voxel_mm3: f64) -> PlantedNodule {
    let volume_mm3 = sum.voxels * voxel_mm3;
    PlantedNodule {
        centre_mm: sum.position.map(|p| p / sum.voxels),
        diameter_mm: (6.0 * volume_mm3 / std::f64::consts::PI).cbrt(),
        volume_mm3,
        mean_hu: sum.hu / sum.voxels,
        side: nodule.side,
        make: nodule.make,
        place: nodule.place,
    }
}
