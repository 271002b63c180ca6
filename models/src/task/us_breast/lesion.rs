//! A lesion that is followed over time: the one output of the breast ultrasound task that leaves the live path.

use serde::{Deserialize, Serialize};

/// One lesion, the same over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// Stable over the exam, from 1.
    pub id: u32,
    /// Closed outline.
    pub outline: Vec<[f32; 2]>,
    /// left, top, right, bottom.
    pub bounds: [f32; 4],
    /// 0 to 1, smoothed over time, not calibrated.
    pub confidence: f32,
    /// 0 (benign) to 1 (malignant), smoothed over time, not calibrated.
    pub malignant: f32,
    /// BI-RADS words: shape, orientation, margin, echo pattern, posterior features.
    pub descriptors: Vec<String>,
    /// Longest and the one across it, when the profile gives the scale.
    pub size_mm: Option<[f32; 2]>,
}
