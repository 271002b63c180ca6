//! A lesion as it is shown, recorded and reported: followed over the pictures of an exam, or in a stored picture.

use serde::{Deserialize, Serialize};

use super::{Detection, words};
use crate::manifest::picture::Channel;
use crate::postprocess::extent;

/// One lesion. Coordinates are pixels of the screen: x to the right, y down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// From 1; the same throughout the exam.
    pub id: u32,
    /// Closed outline.
    pub outline: Vec<[f32; 2]>,
    /// Left, top, right, bottom.
    pub bounds: [f32; 4],
    /// 0 to 1, smoothed over time, not calibrated.
    pub confidence: f32,
    /// 0 (benign) to 1 (malignant), smoothed over time, not calibrated.
    pub malignant: f32,
    /// BI-RADS terms: shape, orientation, margin, echo pattern, posterior features.
    pub descriptors: Vec<String>,
    /// Longest diameter and the extent across it, mm; `None` when the scale of the screen is not known.
    pub size_mm: Option<[f32; 2]>,
}

impl Lesion {
    /// Of a single picture. `mm`: millimetres per pixel across and down, where that is known.
    pub fn of(id: u32, found: &Detection, mm: Option<[f32; 2]>) -> Self {
        let scaled = |mm: [f32; 2]| found.outline.iter().map(|p| [p[0] * mm[0], p[1] * mm[1]]).collect::<Vec<_>>();
        Self {
            id,
            outline: found.outline.clone(),
            bounds: found.bounds,
            confidence: found.confidence,
            malignant: found.signs.of(Channel::Malignant),
            descriptors: words::descriptors(&found.signs, found.axes),
            size_mm: mm.map(|mm| extent::axes(&scaled(mm))),
        }
    }
}
