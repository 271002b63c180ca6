//! What scanners of five vendors write into their headers, as far as readers depend on it.
//!
//! Names, kernels, image types, the coding of stored values and private blocks follow published conformance statements
//! and public example files. UIDs are under `2.25`, because the roots of the vendors belong to them.

mod canon;
mod ge;
mod philips;
mod private;
mod siemens;
mod united_imaging;

use dicom_object::InMemDicomObject;

use super::grain::Kernel;
use super::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    Ge,
    Siemens,
    Philips,
    Canon,
    UnitedImaging,
}

impl Vendor {
    pub const ALL: [Self; 5] = [Self::Ge, Self::Siemens, Self::Philips, Self::Canon, Self::UnitedImaging];

    pub fn by_seed(seed: u64) -> Self {
        Self::ALL[Random::new(seed, 63).below(5)]
    }

    pub fn facts(self) -> &'static Facts {
        match self {
            Self::Ge => &ge::FACTS,
            Self::Siemens => &siemens::FACTS,
            Self::Philips => &philips::FACTS,
            Self::Canon => &canon::FACTS,
            Self::UnitedImaging => &united_imaging::FACTS,
        }
    }

    /// Private blocks of one image.
    pub fn add_private(self, object: &mut InMemDicomObject, image: &Image) {
        match self {
            Self::Ge => ge::add_private(object, image),
            Self::Siemens => siemens::add_private(object, image),
            Self::Philips => philips::add_private(object, image),
            Self::Canon => canon::add_private(object, image),
            Self::UnitedImaging => united_imaging::add_private(object, image),
        }
    }
}

/// The series of a chest CT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    Localiser,
    Thin,
    Thick,
    Coronal,
}

impl Series {
    pub fn number(self) -> u16 {
        match self {
            Self::Localiser => 1,
            Self::Thin => 2,
            Self::Thick => 3,
            Self::Coronal => 4,
        }
    }
}

/// The values in the private elements of one image.
#[derive(Debug, Clone, Copy)]
pub struct Image {
    pub series: Series,
    /// Slice position, mm.
    pub z: f64,
    /// From 0.
    pub index: usize,
    pub kernel: &'static str,
    pub dose: Dose,
}

/// Dose of the spiral, consistent between images and dose report.
#[derive(Debug, Clone, Copy)]
pub struct Dose {
    pub kvp: u16,
    pub tube_current_ma: u32,
    pub ctdi_vol_mgy: f64,
    pub length_mm: f64,
}

impl Dose {
    /// Noise falls with the root of the dose: 15 HU at 200 mA. 0.068 mGy per effective mAs is usual at 120 kV for the
    /// 32 cm phantom; it goes with about the 2.5th power of the voltage.
    pub fn new(seed: u64, noise_hu: f32, length_mm: f64, facts: &Facts) -> Self {
        let kvp = if Random::new(seed, 64).chance(0.75) { 120 } else { 100 };
        let tube_current_ma = tube_current(noise_hu);
        let effective_mas = f64::from(tube_current_ma) * facts.rotation_s / facts.pitch;
        let full = Self { kvp: 120, tube_current_ma, ctdi_vol_mgy: 0.068 * effective_mas, length_mm };
        full.at(kvp)
    }

    /// The same current at another voltage.
    pub fn at(self, kvp: u16) -> Self {
        let ratio = f64::from(kvp) / f64::from(self.kvp);
        Self { kvp, ctdi_vol_mgy: (self.ctdi_vol_mgy * ratio.powf(2.5) * 100.0).round() / 100.0, ..self }
    }

    /// Dose length product, mGy cm.
    pub fn dlp(&self) -> f64 {
        self.ctdi_vol_mgy * self.length_mm / 10.0
    }
}

/// How stored values are converted to Hounsfield units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    pub intercept: i32,
    pub bits: u16,
    pub signed: bool,
    /// Stored value outside the circle of reconstruction, Pixel Padding Value (0028,0120).
    pub padding: Option<i16>,
}

impl Coding {
    pub const UNSIGNED_12: Self = Self { intercept: -1024, bits: 12, signed: false, padding: None };

    pub fn store(self, hu: i16) -> u16 {
        let (low, high) = if self.signed {
            (-(1i32 << (self.bits - 1)), (1i32 << (self.bits - 1)) - 1)
        } else {
            (0, (1i32 << self.bits) - 1)
        };
        (i32::from(hu) - self.intercept).clamp(low, high) as u16
    }
}

/// One model of one vendor.
#[derive(Debug)]
pub struct Facts {
    pub manufacturer: &'static str,
    pub model: &'static str,
    pub software: &'static str,
    pub station: &'static str,
    /// Smooth, medium, sharp; as Convolution Kernel (0018,1210), which may have two values.
    pub kernels: [&'static str; 3],
    pub localiser_kernel: Option<&'static str>,
    pub axial_type: &'static str,
    pub localiser_type: &'static str,
    pub coronal_type: &'static str,
    pub study: &'static str,
    pub study_in_chinese: &'static str,
    pub protocol: &'static str,
    pub localiser: &'static str,
    /// Whether there is a localiser from the side besides the one from the front.
    pub lateral_too: bool,
    /// Scan Options (0018,0022) of spiral and localiser.
    pub scan_options: [&'static str; 2],
    pub filter: &'static str,
    pub coding: Coding,
    pub rotation_s: f64,
    pub pitch: f64,
    /// Detector row and whole beam, mm.
    pub collimation_mm: [f64; 2],
    pub dose_series: u16,
}

impl Facts {
    pub fn kernel(&self, kernel: Kernel) -> &'static str {
        match kernel {
            Kernel::Smooth => self.kernels[0],
            Kernel::Medium => self.kernels[1],
            Kernel::Sharp => self.kernels[2],
        }
    }

    /// mm per rotation.
    pub fn table_feed(&self) -> f64 {
        self.pitch * self.collimation_mm[1]
    }

    /// Series Description (0008,103E) in the vendor's manner.
    pub fn series_description(&self, series: Series, slice_mm: f32, kernel: &str) -> String {
        let kernel = kernel.split('\\').next().unwrap_or(kernel);
        match (series, self.manufacturer) {
            (Series::Localiser, _) => self.localiser.to_owned(),
            (Series::Coronal, "SIEMENS") => format!("Thorax Cor 3.0 MPR {kernel}"),
            (Series::Coronal, _) => "Coronal".to_owned(),
            (_, "SIEMENS") => format!("Thorax  {slice_mm:.2}  {kernel}"),
            (_, "Philips") => format!("Thorax {slice_mm:.2} {kernel}"),
            (_, "UIH") => format!("{slice_mm:.1}mm Chest {kernel}"),
            (_, "CANON_MEC") => format!("Chest {slice_mm:.1} {kernel}"),
            _ => format!("CHEST {slice_mm}mm {kernel}"),
        }
    }
}

/// Noise falls with the root of the dose: 15 HU at 200 mA.
pub(crate) fn tube_current(noise_hu: f32) -> u32 {
    (200.0 * (15.0 / noise_hu.max(1.0)).powi(2)).clamp(10.0, 800.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendor_stores_what_a_ct_can_hold_and_reads_back_the_same_hounsfield_units() {
        for vendor in Vendor::ALL {
            let coding = vendor.facts().coding;
            for hu in [-1024i16, -1000, -1, 0, 40, 1500, 3071] {
                let stored = coding.store(hu);
                let value = if coding.signed { i32::from(stored as i16) } else { i32::from(stored) };
                assert_eq!(value + coding.intercept, i32::from(hu), "{vendor:?}");
            }
        }
    }

    #[test]
    fn short_texts_fit_their_value_representation() {
        for vendor in Vendor::ALL {
            let f = vendor.facts();
            let kernels = f.kernels.iter().chain(f.localiser_kernel.iter()).flat_map(|k| k.split('\\'));
            for short in kernels.chain([f.station, f.filter]) {
                assert!(short.len() <= 16, "{vendor:?}: {short}");
            }
            for code in [f.axial_type, f.localiser_type, f.coronal_type].iter().flat_map(|t| t.split('\\')) {
                assert!(code.len() <= 16 && code.to_uppercase() == code, "{vendor:?}: {code}");
            }
        }
    }

    #[test]
    fn all_vendors_come_up_by_seed() {
        assert!(Vendor::ALL.iter().all(|v| (0..60).any(|seed| Vendor::by_seed(seed) == *v)));
    }
}
