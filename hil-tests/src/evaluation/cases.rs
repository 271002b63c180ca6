//! One finding in one phantom: what was planted, what of it was found, what else was reported, and the errors of the
//! measurements.
//!
//! Unit of counting: each lesion for nodules, rib fractures and lymph nodes; each side for pneumonia, bronchiectasis,
//! effusion and pneumothorax; the phantom for emphysema and coronary calcification.

use serde::Serialize;

use super::nodules::{LARGE_MM, reach_mm};
use super::read::{CoronaryCalcium, Emphysema, Findings, Lesion, Part, Planted, PlantedPneumonia, Pneumonia, Score};
use crate::compare::{Evaluated, nearest_pairs};

/// Largest distance of a finding from a planted rib fracture, mm: the width of a rib.
const FRACTURE_REACH_MM: f64 = 15.0;
/// The same for lymph nodes, mm; for large nodes it is larger.
const NODE_REACH_MM: f64 = 5.0;
/// A mediastinal node is enlarged from this short axis on, mm (RECIST 1.1, Eisenhauer 2009).
const ENLARGED_MM: f64 = 10.0;

#[derive(Debug, Clone, Serialize)]
pub struct Case {
    pub finding: &'static str,
    /// Why the finding was not evaluated; then nothing else counts.
    pub not_evaluated: Option<String>,
    /// What is smaller was not evaluated, and does not count as planted: for example `10 mm`.
    pub least: Option<String>,
    /// Whether the phantom contains this finding, however small.
    pub positive: bool,
    pub planted: usize,
    pub hit: usize,
    /// Reported where nothing was planted.
    pub extra: usize,
    /// The score by which the ROC curve sorts phantoms; 0 when nothing was reported.
    pub score: f64,
    /// Measured minus planted, by name of the measurement.
    pub errors: Vec<(&'static str, f64)>,
}

impl Case {
    fn new(finding: &'static str) -> Self {
        Self {
            finding,
            not_evaluated: None,
            least: None,
            positive: false,
            planted: 0,
            hit: 0,
            extra: 0,
            score: 0.0,
            errors: Vec::new(),
        }
    }
}

pub fn all(planted: &Planted, found: &Findings) -> Vec<Case> {
    let size = |finding| found.least(finding).map_or(0.0, |least| least.size);
    let mut cases = vec![
        case("nodules", &found.nodules, |f| nodules(&planted.nodules, f, size("nodule"))),
        case("pneumonia", &found.pneumonia, |f| pneumonia(planted.pneumonia.as_ref(), f)),
        case("rib fractures", &found.rib_fractures, |f| rib_fractures(&planted.rib_fractures, f)),
        case("emphysema", &found.emphysema, |f| emphysema(planted, f)),
        case("bronchiectasis", &found.bronchiectasis, |f| sides(&planted.bronchiectasis, f, size("bronchiectasis"))),
        case("pleural effusion", &found.pleural_effusions, |f| {
            sides(&planted.pleural_effusions, f, size("pleural_effusion"))
        }),
        case("pneumothorax", &found.pneumothoraces, |f| sides(&planted.pneumothoraces, f, size("pneumothorax"))),
        case("coronary artery calcification", &found.coronary_calcium, |f| coronary(planted, f)),
        case("enlarged lymph nodes", &found.lymph_nodes, |f| lymph_nodes(&planted.lymph_nodes, f, size("lymph_node"))),
    ];
    for (case, finding) in cases.iter_mut().zip(NAMES) {
        case.least = found.least(finding).map(|least| format!("{} {}", least.size, least.unit));
    }
    cases
}

/// As in `model.toml`, in the order of reports.
const NAMES: [&str; 9] = [
    "nodule",
    "pneumonia",
    "rib_fracture",
    "emphysema",
    "bronchiectasis",
    "pleural_effusion",
    "pneumothorax",
    "coronary_calcification",
    "lymph_node",
];

fn case<T>(finding: &'static str, found: &Evaluated<T>, count: impl Fn(&T) -> Case) -> Case {
    match found {
        Evaluated::Done(found) => Case { finding, ..count(found) },
        Evaluated::NotEvaluated(why) => Case { not_evaluated: Some(why.clone()), ..Case::new(finding) },
    }
}

fn highest(found: &[Lesion]) -> f64 {
    found.iter().map(|f| f.confidence).fold(0.0, f64::max)
}

/// Counts lesion by lesion. Lesions for which `counts` is false need not be found; `forgives` says that finding them is
/// no error.
fn lesions(
    planted: &[Lesion],
    found: &[Lesion],
    reach: impl Fn(&Lesion) -> f64,
    counts: impl Fn(&Lesion) -> bool,
    forgives: bool,
    errors: impl Fn(&Lesion, &Lesion) -> Vec<(&'static str, f64)>,
) -> Case {
    let places: Vec<_> = planted.iter().map(|p| (p.centre_mm, reach(p))).collect();
    let pairs = nearest_pairs(&places, &found.iter().map(|f| f.centre_mm).collect::<Vec<_>>());
    let mut case = Case::new("");
    case.positive = planted.iter().any(|p| forgives || counts(p));
    case.planted = planted.iter().filter(|p| counts(p)).count();
    case.score = highest(found);
    let mut right = 0;
    for (p, f) in pairs {
        let wanted = counts(&planted[p]);
        case.hit += usize::from(wanted);
        right += usize::from(wanted || forgives);
        if wanted {
            case.errors.extend(errors(&planted[p], &found[f]));
        }
    }
    case.extra = found.len() - right;
    case
}

fn percent_off(planted: Option<f64>, found: Option<f64>) -> Option<f64> {
    let planted = planted.filter(|p| *p > 0.0)?;
    Some(100.0 * (found? - planted) / planted)
}

fn nodules(planted: &[Lesion], found: &[Lesion], least_mm: f64) -> Case {
    let large = |p: &Lesion| p.diameter_mm.is_some_and(|d| d >= LARGE_MM.max(least_mm));
    lesions(planted, found, reach_mm, large, true, |p, f| {
        let diameter = p.diameter_mm.zip(f.diameter_mm).map(|(p, f)| ("diameter, mm", f - p));
        let volume = percent_off(p.volume_mm3, f.volume_mm3).map(|off| ("volume, %", off));
        diameter.into_iter().chain(volume).collect()
    })
}

fn rib_fractures(planted: &[Lesion], found: &[Lesion]) -> Case {
    lesions(
        planted,
        found,
        |_| FRACTURE_REACH_MM,
        |_| true,
        true,
        |p, f| {
            let wrong = p.side != f.side || p.rib != f.rib;
            vec![(WRONG_RIB, f64::from(u8::from(wrong)))]
        },
    )
}

/// Name of a measurement: 1 when a fracture was found but assigned to a wrong rib or none, 0 when side and number are
/// right.
pub const WRONG_RIB: &str = "wrong side or number of rib";

pub fn is_enlarged(node: &Lesion) -> bool {
    node.short_axis_mm.is_some_and(|s| s >= ENLARGED_MM)
}

fn lymph_nodes(planted: &[Lesion], found: &[Lesion], least_mm: f64) -> Case {
    let reach = |p: &Lesion| (p.long_axis_mm.unwrap_or_default() / 2.0).max(NODE_REACH_MM);
    let counts = |p: &Lesion| is_enlarged(p) && p.short_axis_mm.is_some_and(|s| s >= least_mm);
    // A normal node that is reported as enlarged is an error.
    lesions(planted, found, reach, counts, false, |p, f| {
        p.short_axis_mm.zip(f.short_axis_mm).map(|(p, f)| ("short axis, mm", f - p)).into_iter().collect()
    })
}

/// Counts by side: everything on one side belongs together.
/// A side on which less than `least_ml` is planted counts neither way.
fn sides(planted: &[Lesion], found: &[Lesion], least_ml: f64) -> Case {
    let mut case = Case::new("");
    case.positive = !planted.is_empty();
    case.score = highest(found);
    for side in ["right", "left"] {
        let on = |all: &[Lesion]| -> Vec<Lesion> {
            all.iter().filter(|l| l.side.as_deref() == Some(side)).cloned().collect()
        };
        let (planted, found) = (on(planted), on(found));
        let ml: f64 = planted.iter().filter_map(|l| l.volume_ml).sum();
        if !planted.is_empty() && ml < least_ml {
            continue;
        }
        count(&mut case, !planted.is_empty(), !found.is_empty());
        if planted.is_empty() || found.is_empty() {
            continue;
        }
        // Absent when any part does not have it.
        let sum = |all: &[Lesion], of: fn(&Lesion) -> Option<f64>| all.iter().map(of).sum::<Option<f64>>();
        let off = percent_off(sum(&planted, |l| l.volume_ml), sum(&found, |l| l.volume_ml));
        case.errors.extend(off.map(|off| ("volume, %", off)));
        let percents = sum(&planted, |l| l.percent).zip(sum(&found, |l| l.percent));
        case.errors.extend(percents.map(|(p, f)| ("percent of the hemithorax, points", f - p)));
    }
    case
}

fn count(case: &mut Case, planted: bool, found: bool) {
    case.planted += usize::from(planted);
    case.hit += usize::from(planted && found);
    case.extra += usize::from(found && !planted);
}

fn pneumonia(planted: Option<&PlantedPneumonia>, found: &Pneumonia) -> Case {
    let mut case = Case::new("");
    case.positive = planted.is_some();
    case.score = found.confidence;
    for side in ["right", "left"] {
        let extent = planted.and_then(|p| p.extents.get(side));
        let measured = found.extents.iter().find(|e| e.part == Part::Lung(side.into()));
        let ill = extent.is_some_and(|e| e.ground_glass_percent + e.consolidation_percent > 0.0);
        let seen = measured.is_some_and(|e| e.ground_glass_percent + e.consolidation_percent > 0.0);
        count(&mut case, ill, seen);
        if let (true, Some(planted), Some(found)) = (ill, extent, measured) {
            let off = found.ground_glass_percent - planted.ground_glass_percent;
            case.errors.push(("ground glass of a lung, points", off));
            let off = found.consolidation_percent - planted.consolidation_percent;
            case.errors.push(("consolidation of a lung, points", off));
        }
    }
    if let Some(planted) = planted.filter(|_| case.hit > 0) {
        let volume = |regions: &[Lesion]| regions.iter().map(|r| r.volume_ml).sum::<Option<f64>>();
        let all = volume(&found.ground_glass).zip(volume(&found.consolidation)).map(|(a, b)| a + b);
        let off = percent_off(Some(planted.ground_glass_ml + planted.consolidation_ml), all);
        case.errors.extend(off.map(|off| ("volume, %", off)));
    }
    case
}

fn emphysema(planted: &Planted, found: &Emphysema) -> Case {
    let mut case = Case::new("");
    let positive = planted.emphysema.is_some();
    case.positive = positive;
    case.score = found.laa950_percent;
    count(&mut case, positive, !found.regions.is_empty());
    // Without planted emphysema only noise is below -950 HU.
    let truth = planted.emphysema.as_ref().map_or(0.0, |e| e.laa950_percent);
    let name = if positive { "LAA-950, points" } else { "LAA-950 where none is planted, points" };
    case.errors.push((name, found.laa950_percent - truth));
    case
}

fn coronary(planted: &Planted, found: &CoronaryCalcium) -> Case {
    let mut case = Case::new("");
    let positive = planted.coronary.is_some();
    case.positive = positive;
    case.score = highest(&found.lesions);
    count(&mut case, positive, !found.lesions.is_empty());
    let truth = planted.coronary.as_ref().map_or(0.0, |c| c.agatston);
    match found.score {
        Score::Agatston(score) => {
            case.errors.extend(percent_off(Some(truth), Some(score)).map(|off| ("Agatston score, %", off)));
        }
        Score::Ordinal { grade } => {
            case.errors.push(("ordinal grade, steps", f64::from(grade) - f64::from(ordinal(truth))));
        }
    }
    case
}

/// CAC-DRS: none, mild (1 to 99), moderate (100 to 299), severe (300 and more) (Hecht 2018).
fn ordinal(agatston: f64) -> u8 {
    match agatston {
        a if a < 1.0 => 0,
        a if a < 100.0 => 1,
        a if a < 300.0 => 2,
        _ => 3,
    }
}

#[cfg(test)]
#[path = "cases_tests.rs"]
mod tests;
