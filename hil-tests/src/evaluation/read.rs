//! Input of the evaluation: the findings of `scansidectl --json analyze`, and the truth of the phantom. Both use the
//! same names. Fields that are not compared are not read.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use crate::compare::{Evaluated, Lung};
use phantom::Truth;

/// The nine findings as `scansidectl` reports them.
#[derive(Debug, Clone, Deserialize)]
pub struct Findings {
    pub lungs: Evaluated<Vec<Lung>>,
    pub lobes: Evaluated<Vec<Lobe>>,
    pub nodules: Evaluated<Vec<Lesion>>,
    pub pneumonia: Evaluated<Pneumonia>,
    pub rib_fractures: Evaluated<Vec<Lesion>>,
    pub emphysema: Evaluated<Emphysema>,
    pub bronchiectasis: Evaluated<Vec<Lesion>>,
    pub pleural_effusions: Evaluated<Vec<Lesion>>,
    pub pneumothoraces: Evaluated<Vec<Lesion>>,
    pub coronary_calcium: Evaluated<CoronaryCalcium>,
    pub lymph_nodes: Evaluated<Vec<Lesion>>,
    /// Findings whose small ones were not evaluated in slices as thick as these.
    #[serde(default)]
    pub least_sizes: Vec<Least>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Least {
    /// As in `model.toml`.
    pub finding: String,
    pub size: f64,
    pub unit: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Lobe {
    pub name: String,
    pub volume_ml: f64,
}

impl Findings {
    /// Of a finding by its name in `model.toml`.
    pub fn least(&self, finding: &str) -> Option<&Least> {
        self.least_sizes.iter().find(|least| least.finding == finding)
    }

    /// Each of the nine, in the order of reports: the places that were found, or why it was not evaluated.
    pub fn places(&self) -> [(&'static str, Result<Vec<&Lesion>, &str>); 9] {
        fn of<'a, T>(
            found: &'a Evaluated<T>,
            places: impl Fn(&'a T) -> Vec<&'a Lesion>,
        ) -> Result<Vec<&'a Lesion>, &'a str> {
            match found {
                Evaluated::Done(found) => Ok(places(found)),
                Evaluated::NotEvaluated(why) => Err(why),
            }
        }
        [
            ("nodules", of(&self.nodules, |f| f.iter().collect())),
            ("pneumonia", of(&self.pneumonia, |p| p.ground_glass.iter().chain(&p.consolidation).collect())),
            ("rib fractures", of(&self.rib_fractures, |f| f.iter().collect())),
            ("emphysema", of(&self.emphysema, |e| e.regions.iter().collect())),
            ("bronchiectasis", of(&self.bronchiectasis, |f| f.iter().collect())),
            ("pleural effusion", of(&self.pleural_effusions, |f| f.iter().collect())),
            ("pneumothorax", of(&self.pneumothoraces, |f| f.iter().collect())),
            ("coronary artery calcification", of(&self.coronary_calcium, |c| c.lesions.iter().collect())),
            ("enlarged lymph nodes", of(&self.lymph_nodes, |f| f.iter().collect())),
        ]
    }
}

/// Something planted or found that has a place. Measurements that a finding does not have are absent.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
pub struct Lesion {
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    pub side: Option<String>,
    /// 1 to 12.
    pub rib: Option<u8>,
    /// 0 to 1; absent for planted things.
    #[serde(default)]
    pub confidence: f64,
    pub volume_ml: Option<f64>,
    pub volume_mm3: Option<f64>,
    pub diameter_mm: Option<f64>,
    pub short_axis_mm: Option<f64>,
    pub long_axis_mm: Option<f64>,
    /// Percent of the hemithorax.
    pub percent: Option<f64>,
    /// Planted nodules: solid, ground_glass, ...
    pub make: Option<String>,
    /// Planted nodules: parenchyma, pleura, vessel.
    pub place: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Pneumonia {
    pub confidence: f64,
    pub ground_glass: Vec<Lesion>,
    pub consolidation: Vec<Lesion>,
    pub extents: Vec<Extent>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Extent {
    pub part: Part,
    pub ground_glass_percent: f64,
    pub consolidation_percent: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Both,
    Lung(String),
    Lobe(String),
}

#[derive(Debug, Clone, Deserialize)]
pub struct Emphysema {
    pub laa950_percent: f64,
    pub regions: Vec<Lesion>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct CoronaryCalcium {
    pub score: Score,
    pub lesions: Vec<Lesion>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    Agatston(f64),
    Ordinal { grade: u8 },
}

/// What was planted in a phantom. Findings that its generator does not plant are absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Planted {
    pub lungs: Lungs,
    pub nodules: Vec<Lesion>,
    pub pneumonia: Option<PlantedPneumonia>,
    pub rib_fractures: Vec<Lesion>,
    pub emphysema: Option<PlantedEmphysema>,
    pub bronchiectasis: Vec<Lesion>,
    pub pleural_effusions: Vec<Lesion>,
    pub pneumothoraces: Vec<Lesion>,
    pub coronary: Option<PlantedCalcium>,
    pub lymph_nodes: Vec<Lesion>,
}

impl Planted {
    /// # Errors
    /// When the fields of the phantom's truth have other names than here.
    pub fn of(truth: &Truth) -> anyhow::Result<Self> {
        serde_json::from_value(serde_json::to_value(truth)?).context("the truth cannot be read")
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Lungs {
    pub right_ml: f64,
    pub left_ml: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PlantedPneumonia {
    pub ground_glass_ml: f64,
    pub consolidation_ml: f64,
    /// By `both`, `right`, `left`, `right_upper`, ...
    pub extents: BTreeMap<String, PlantedExtent>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct PlantedExtent {
    pub ground_glass_percent: f64,
    pub consolidation_percent: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PlantedEmphysema {
    /// Both lungs, before noise.
    pub laa950_percent: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PlantedCalcium {
    pub agatston: f64,
}
