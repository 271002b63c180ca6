//! A lesion that is followed over the pictures of an exam: the form in which it is shown, recorded and reported.

use serde::{Deserialize, Serialize};

/// One lesion over time. Coordinates are pixels of the screen: x to the right, y down.
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
