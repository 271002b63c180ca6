//! Code, label, colour and window of each chest finding, and the instances of findings that are lists of regions.
//! Segmentation, structured report and close-ups use it. The compiler reports a finding that is missing here.

use models::ChestFindings;
use models::findings::{ChestFinding, Region};
use models::number::Number;

use crate::codes::{
    BRONCHIECTASIS, CORONARY_CALCIFICATION, Code, EMPHYSEMA, LONG_AXIS, LYMPHADENOPATHY, MEDIASTINAL_LYMPH_NODE,
    MILLIMETRE, NO_UNITS, NODULE, PERCENT, PLEURA, PLEURAL_EFFUSION, PNEUMONIA, PNEUMOTHORAX, PNEUMOTHORAX_PERCENT,
    RIB, RIB_FRACTURE, RIB_NUMBER, SHORT_AXIS,
};
use crate::content::Item;
use crate::measure::done;
use crate::picture::{BONE, LUNG, SOFT, Window};
use crate::site::{Site, side_code};
use crate::words::{self, Language};

/// Presentation of one finding, the same in every object.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Code of the finding.
    pub code: Code,
    /// Singular; instances are `label 1`, `label 2`, ...
    pub label: &'static str,
    /// CIELab: lightness, red to green, yellow to blue.
    pub colour: [i32; 3],
    /// Window of its close-ups.
    pub window: Window,
    /// What wants a person's eyes first has the lowest number.
    pub rank: u8,
}

pub fn entry(finding: ChestFinding) -> Entry {
    let (code, label, colour, window, rank) = match finding {
        ChestFinding::Nodule => (NODULE, "Nodule", [78, 20, 78], LUNG, 6),
        // Its two kinds of opacities have their own colours.
        ChestFinding::Pneumonia => (PNEUMONIA, "Pneumonia", [88, -10, 60], LUNG, 2),
        ChestFinding::RibFracture => (RIB_FRACTURE, "Rib fracture", [55, 75, 55], BONE, 4),
        ChestFinding::Emphysema => (EMPHYSEMA, "Emphysema", [45, 30, -60], LUNG, 9),
        ChestFinding::Bronchiectasis => (BRONCHIECTASIS, "Bronchiectasis", [70, 45, -25], LUNG, 8),
        ChestFinding::PleuralEffusion => (PLEURAL_EFFUSION, "Pleural effusion", [65, -20, -40], SOFT, 3),
        ChestFinding::Pneumothorax => (PNEUMOTHORAX, "Pneumothorax", [85, -35, -12], LUNG, 0),
        ChestFinding::CoronaryCalcification => {
            (CORONARY_CALCIFICATION, "Coronary artery calcification", [95, -5, 25], SOFT, 7)
        }
        ChestFinding::LymphNode => (LYMPHADENOPATHY, "Lymph node", [65, 65, 0], SOFT, 5),
    };
    Entry { code, label, colour, window, rank }
}

/// One instance of a finding that is a list of regions.
pub struct Instance<'a> {
    pub region: &'a Region,
    pub site: Site,
    /// Under its close-up, in the language that was asked for.
    pub caption: String,
    /// Items of the measurement group that only this finding has.
    pub more: Vec<Item>,
}

/// The instances; none for a finding whose form is its own (see `regions` and `groups`), and where it is not evaluated.
pub fn instances(findings: &ChestFindings, finding: ChestFinding, language: Language) -> Vec<Instance<'_>> {
    let w = language.words();
    let comma = w.comma();
    match finding {
        ChestFinding::Nodule
        | ChestFinding::Pneumonia
        | ChestFinding::Emphysema
        | ChestFinding::CoronaryCalcification => Vec::new(),
        ChestFinding::RibFracture => done(&findings.rib_fractures)
            .iter()
            .map(|f| Instance {
                region: &f.region,
                site: Site { place: RIB, side: Some(side_code(f.side)) },
                caption: format!("{}: {}", f.region.number, w.rib(f.side, f.rib)),
                more: f.rib.map(|rib| Item::number(RIB_NUMBER, f64::from(rib), 0, NO_UNITS)).into_iter().collect(),
            })
            .collect(),
        ChestFinding::Bronchiectasis => done(&findings.bronchiectasis)
            .iter()
            .map(|b| {
                let place = words::place(findings, b.lobe, b.side, w);
                Instance {
                    region: &b.region,
                    site: Site::lobe_or_lung(b.lobe, b.side),
                    caption: format!("{}: {place}", b.region.number),
                    more: Vec::new(),
                }
            })
            .collect(),
        ChestFinding::PleuralEffusion => done(&findings.pleural_effusions)
            .iter()
            .map(|e| Instance {
                region: &e.region,
                site: Site { place: PLEURA, side: Some(side_code(e.side)) },
                caption: format!("{}{comma}{:.0} ml", w.side(e.side), Number(e.region.volume_ml)),
                more: Vec::new(),
            })
            .collect(),
        ChestFinding::Pneumothorax => done(&findings.pneumothoraces)
            .iter()
            .map(|p| Instance {
                region: &p.region,
                site: Site { place: PLEURA, side: Some(side_code(p.side)) },
                caption: format!(
                    "{}{comma}{:.0} ml{comma}{:.1} %",
                    w.side(p.side),
                    Number(p.region.volume_ml),
                    Number(p.percent)
                ),
                more: vec![Item::number(PNEUMOTHORAX_PERCENT, p.percent, 1, PERCENT)],
            })
            .collect(),
        ChestFinding::LymphNode => done(&findings.lymph_nodes)
            .iter()
            .map(|n| {
                let axes = [(LONG_AXIS, n.long_axis_mm), (SHORT_AXIS, n.short_axis_mm)];
                Instance {
                    region: &n.region,
                    site: Site { place: MEDIASTINAL_LYMPH_NODE, side: None },
                    caption: format!(
                        "{}: {:.1} x {:.1} mm",
                        n.region.number,
                        Number(n.long_axis_mm),
                        Number(n.short_axis_mm)
                    ),
                    more: axes.into_iter().map(|(name, mm)| Item::number(name, mm, 1, MILLIMETRE)).collect(),
                }
            })
            .collect(),
    }
}
