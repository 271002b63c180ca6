//! How the series was acquired, as far as its headers say: what the gates of the findings ask for besides the voxels.

use serde::{Deserialize, Serialize};

/// Facts that are absent from the header are `None`: a gate then says what is missing, or lets it pass and says so.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Acquisition {
    /// Body Part Examined (0018,0015), as written.
    pub body_part: Option<String>,
    /// Patient's Age (0010,1010) in years; from birth date and study date when it is absent.
    #[serde(skip)]
    pub age_years: Option<f64>,
    /// Contrast/Bolus Agent (0018,0010) present and not empty; `None` when the header does not let one know.
    pub contrast: Option<bool>,
    /// Convolution Kernel (0018,1210), as written.
    pub kernel: Option<String>,
    /// KVP (0018,0060), kV.
    pub kvp: Option<f64>,
    /// Slice Thickness (0018,0050), mm.
    pub slice_thickness_mm: Option<f64>,
    /// Cardiac gating or triggering, by Scan Options (0018,0022) or Cardiac Synchronization Technique (0018,9037).
    pub cardiac_gated: Option<bool>,
    /// Manufacturer (0008,0070), as written.
    pub manufacturer: Option<String>,
    /// Manufacturer's Model Name (0008,1090), as written.
    pub scanner: Option<String>,
}

impl Acquisition {
    /// Spacing or thickness of the slices, whichever is greater, mm: slices of 5 mm blur along the body as much when one is
    /// made every 2.5 mm. Spacing alone where the header names no thickness.
    pub fn slice_mm(&self, spacing_mm: f64) -> f64 {
        let thickness_mm = self.slice_thickness_mm.filter(|mm| mm.is_finite());
        spacing_mm.max(thickness_mm.unwrap_or(0.0))
    }
}
