//! Where two packages differ on the same volume: for each finding how many, and the number that people look at.

use models::Findings;
use models::findings::{CalciumScore, Evaluated, Finding, LungPart, Region};
use serde::{Deserialize, Serialize};

/// What one package says of one finding.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Said {
    /// False when the finding was not evaluated; then there is neither count nor number.
    pub evaluated: bool,
    pub count: Option<usize>,
    pub number: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Compared {
    pub finding: Finding,
    /// What `number` is, with its unit.
    pub number: String,
    pub active: Said,
    pub candidate: Said,
    pub differs: bool,
}

/// One for each of the nine findings.
pub fn compare(active: &Findings, candidate: &Findings) -> Vec<Compared> {
    let one = |finding: Finding| {
        let (a, b) = (said(active, finding), said(candidate, finding));
        Compared { finding, number: number(finding).into(), differs: differ(&a, &b), active: a, candidate: b }
    };
    Finding::ALL.map(one).into()
}

/// Numbers that a reader would see as one do not differ: within 1 %, or 0.05 of the unit.
fn differ(a: &Said, b: &Said) -> bool {
    let far = match (a.number, b.number) {
        (Some(a), Some(b)) => (a - b).abs() > (a.abs().max(b.abs()) * 0.01).max(0.05),
        (a, b) => a.is_some() != b.is_some(),
    };
    a.evaluated != b.evaluated || a.count != b.count || far
}

fn number(finding: Finding) -> &'static str {
    match finding {
        Finding::Nodule => "largest diameter, mm",
        Finding::Pneumonia => "opacity of both lungs, %",
        Finding::RibFracture => "highest confidence",
        Finding::Emphysema => "LAA-950, %",
        Finding::Bronchiectasis | Finding::PleuralEffusion | Finding::Pneumothorax => "volume, ml",
        Finding::CoronaryCalcification => "Agatston score, or grade",
        Finding::LymphNode => "largest short axis, mm",
    }
}

fn said(findings: &Findings, finding: Finding) -> Said {
    let volume = |regions: &mut dyn Iterator<Item = &Region>| Some(regions.map(|region| region.volume_ml).sum());
    match finding {
        Finding::Nodule => of(&findings.nodules, |all| (Some(all.len()), most(all.iter().map(|n| n.diameter_mm)))),
        Finding::Pneumonia => of(&findings.pneumonia, |pneumonia| {
            let both = pneumonia.extents.iter().find(|extent| extent.part == LungPart::Both);
            let percent = both.map(|extent| extent.ground_glass_percent + extent.consolidation_percent);
            (Some(pneumonia.ground_glass.len() + pneumonia.consolidation.len()), percent)
        }),
        Finding::RibFracture => {
            of(&findings.rib_fractures, |all| (Some(all.len()), most(all.iter().map(|f| f.region.confidence))))
        }
        Finding::Emphysema => of(&findings.emphysema, |emphysema| (None, Some(emphysema.laa950_percent))),
        Finding::Bronchiectasis => {
            of(&findings.bronchiectasis, |all| (Some(all.len()), volume(&mut all.iter().map(|one| &one.region))))
        }
        Finding::PleuralEffusion => {
            of(&findings.pleural_effusions, |all| (Some(all.len()), volume(&mut all.iter().map(|one| &one.region))))
        }
        Finding::Pneumothorax => {
            of(&findings.pneumothoraces, |all| (Some(all.len()), volume(&mut all.iter().map(|one| &one.region))))
        }
        Finding::CoronaryCalcification => of(&findings.coronary_calcium, |calcium| {
            let score = match &calcium.score {
                CalciumScore::Agatston(score) => *score,
                CalciumScore::Ordinal { grade, .. } => f64::from(*grade),
            };
            (Some(calcium.lesions.len()), Some(score))
        }),
        Finding::LymphNode => {
            of(&findings.lymph_nodes, |all| (Some(all.len()), most(all.iter().map(|node| node.short_axis_mm))))
        }
    }
}

fn of<T>(evaluated: &Evaluated<T>, read: impl FnOnce(&T) -> (Option<usize>, Option<f64>)) -> Said {
    match evaluated {
        Evaluated::Done(value) => {
            let (count, number) = read(value);
            Said { evaluated: true, count, number }
        }
        Evaluated::NotEvaluated(_) => Said { evaluated: false, count: None, number: None },
    }
}

fn most(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use models::findings::Emphysema;

    use super::*;

    fn with(percent: f64) -> Findings {
        let mut findings = Findings::none("not looked for");
        findings.nodules = Evaluated::Done(Vec::new());
        findings.emphysema = Evaluated::Done(Emphysema {
            laa950_percent: percent,
            right_percent: None,
            left_percent: None,
            noise_hu: 10.0,
            regions: Vec::new(),
        });
        findings
    }

    #[test]
    fn what_a_reader_would_see_as_one_does_not_differ() {
        let differing = |a: &Findings, b: &Findings| {
            let compared = compare(a, b);
            assert_eq!(compared.len(), 9);
            compared.into_iter().filter(|one| one.differs).map(|one| one.finding).collect::<Vec<_>>()
        };
        assert_eq!(differing(&with(10.0), &with(10.05)), []);
        assert_eq!(differing(&with(10.0), &with(12.0)), [Finding::Emphysema]);
        let mut blind = with(10.0);
        blind.nodules = Evaluated::NotEvaluated("no network".into());
        assert_eq!(differing(&with(10.0), &blind), [Finding::Nodule]);
    }

    #[test]
    fn nothing_found_is_zero_and_not_evaluated_is_nothing() {
        let compared = compare(&with(1.0), &with(1.0));
        assert_eq!(compared[0].active, Said { evaluated: true, count: Some(0), number: None });
        assert_eq!(compared[1].active, Said { evaluated: false, count: None, number: None });
    }
}
