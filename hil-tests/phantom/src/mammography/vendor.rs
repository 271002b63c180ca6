//! What mammography units of five vendors write and how their pictures look, as far as readers depend on it. From published
//! conformance statements and the headers of public example files.

use serde::Serialize;

use super::seeds::stream;
use crate::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    Ge,
    Hologic,
    Siemens,
    Fujifilm,
    Giotto,
}

/// Relation of stored values of a picture for processing to the signal of the detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Proportional.
    Linear,
    /// Logarithm of the signal.
    Logarithmic,
}

/// How stored values of a picture for presentation become grey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grey {
    /// Window of the function LINEAR.
    Window,
    /// Window of the function SIGMOID.
    Sigmoid,
    /// MONOCHROME1: the largest value is black.
    Inverse,
}

/// How a vendor processes pictures for presentation.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Part of the thickness that is evened out towards the skin.
    pub evened: f32,
    /// Strength of the enhancement of detail, and its radius, mm.
    pub detail: [f32; 2],
    /// Exponent of the curve from fat to gland.
    pub gamma: f32,
    /// Grey of fat, 0 to 1.
    pub fat: f32,
}

#[derive(Debug)]
pub struct Facts {
    pub manufacturer: &'static str,
    pub model: &'static str,
    pub software: &'static str,
    pub station: &'static str,
    pub detector: &'static str,
    pub detector_type: &'static str,
    pub pixel_mm: f32,
    /// Columns and rows of the small and the large field.
    pub fields: [[usize; 2]; 2],
    /// Standard deviation of the detector's blur, mm.
    pub blur_mm: f32,
    pub bits_raw: u16,
    pub bits: u16,
    pub relation: Relation,
    pub grey: Grey,
    pub look: Look,
    /// Whether the label of the view is burnt into pictures for presentation.
    pub burnt_label: bool,
    pub anode: &'static str,
    pub filter: &'static str,
    pub series: &'static str,
    /// Whether each exposure is a series of its own.
    pub series_for_each: bool,
    /// Whether views are coded as before SNOMED CT (SRT).
    pub old_codes: bool,
}

const fn look(evened: f32, detail: [f32; 2], gamma: f32, fat: f32) -> Look {
    Look { evened, detail, gamma, fat }
}

const GE: Facts = Facts {
    manufacturer: "GE MEDICAL SYSTEMS",
    model: "Senographe Pristina",
    software: "Application_Package: 2.0",
    station: "MG01",
    detector: "PRISTINA-DET-01",
    detector_type: "SCINTILLATOR",
    pixel_mm: 0.1,
    fields: [[1914, 2294], [2394, 2850]],
    blur_mm: 0.07,
    bits_raw: 14,
    bits: 12,
    relation: Relation::Linear,
    grey: Grey::Window,
    look: look(0.92, [0.7, 0.8], 0.95, 0.20),
    burnt_label: false,
    anode: "RHODIUM",
    filter: "SILVER",
    series: "Screening",
    series_for_each: true,
    old_codes: false,
};

const HOLOGIC: Facts = Facts {
    manufacturer: "HOLOGIC, Inc.",
    model: "Selenia Dimensions",
    software: "AWS:1.11.1.9 PXCM:1.11.1.9 ARR:2.16.8.3",
    station: "SDM-99",
    detector: "SDM-DET-99",
    detector_type: "DIRECT",
    pixel_mm: 0.07,
    fields: [[2560, 3328], [3328, 4096]],
    blur_mm: 0.04,
    bits_raw: 14,
    bits: 12,
    relation: Relation::Linear,
    grey: Grey::Sigmoid,
    look: look(0.97, [0.5, 1.2], 1.1, 0.16),
    burnt_label: false,
    anode: "TUNGSTEN",
    filter: "RHODIUM",
    series: "Breast Screening",
    series_for_each: true,
    old_codes: false,
};

const SIEMENS: Facts = Facts {
    manufacturer: "SIEMENS",
    model: "Mammomat Inspiration",
    software: "VB60H SP04 SL51P4",
    station: "MAMMO99",
    detector: "L3000A",
    detector_type: "DIRECT",
    pixel_mm: 0.085,
    fields: [[2080, 2800], [2816, 3584]],
    blur_mm: 0.045,
    bits_raw: 12,
    bits: 12,
    relation: Relation::Linear,
    grey: Grey::Window,
    look: look(0.85, [0.4, 1.0], 0.85, 0.26),
    burnt_label: false,
    anode: "TUNGSTEN",
    filter: "RHODIUM",
    series: "Mammography",
    series_for_each: true,
    old_codes: true,
};

/// Pairs of the 0.05 mm pixels are joined, so that a study is not 200 MB.
const FUJIFILM: Facts = Facts {
    manufacturer: "FUJIFILM Corporation",
    model: "AMULET Innovality",
    software: "FDR-3000AWS V10.0",
    station: "FDR99",
    detector: "FDR MS-3500",
    detector_type: "DIRECT",
    pixel_mm: 0.1,
    fields: [[1800, 2400], [2400, 3000]],
    blur_mm: 0.05,
    bits_raw: 14,
    bits: 12,
    relation: Relation::Logarithmic,
    grey: Grey::Inverse,
    look: look(0.95, [0.9, 0.6], 1.0, 0.22),
    burnt_label: true,
    anode: "TUNGSTEN",
    filter: "RHODIUM",
    series: "MAMMOGRAPHY",
    series_for_each: false,
    old_codes: false,
};

const GIOTTO: Facts = Facts {
    manufacturer: "IMS s.r.l.",
    model: "GIOTTO CLASS",
    software: "Raffaello 4.3",
    station: "GIOTTO99",
    detector: "ANRAD LMAM2",
    detector_type: "DIRECT",
    pixel_mm: 0.085,
    fields: [[2080, 2800], [2816, 3584]],
    blur_mm: 0.045,
    bits_raw: 13,
    bits: 14,
    relation: Relation::Linear,
    grey: Grey::Window,
    look: look(0.80, [0.3, 1.5], 1.2, 0.18),
    burnt_label: true,
    anode: "TUNGSTEN",
    filter: "SILVER",
    series: "MAMMO",
    series_for_each: false,
    old_codes: true,
};

impl Vendor {
    pub const ALL: [Self; 5] = [Self::Ge, Self::Hologic, Self::Siemens, Self::Fujifilm, Self::Giotto];

    pub fn by_seed(seed: u64) -> Self {
        Self::ALL[Random::new(seed, stream::HEADERS).below(5)]
    }

    pub fn facts(self) -> &'static Facts {
        match self {
            Self::Ge => &GE,
            Self::Hologic => &HOLOGIC,
            Self::Siemens => &SIEMENS,
            Self::Fujifilm => &FUJIFILM,
            Self::Giotto => &GIOTTO,
        }
    }
}
