//! Where two packages differ on the same volume: for each finding how many, and the number that people look at.

use models::ChestFindings;
use models::findings::ChestFinding;
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
    pub finding: ChestFinding,
    /// What `number` is, with its unit.
    pub number: String,
    pub active: Said,
    pub candidate: Said,
    pub differs: bool,
}

/// One for each finding, in the order of reports.
pub fn compare(active: &ChestFindings, candidate: &ChestFindings) -> Vec<Compared> {
    let one = |finding: ChestFinding| {
        let (a, b) = (said(active, finding), said(candidate, finding));
        Compared { finding, number: finding.figure_words().into(), differs: differ(&a, &b), active: a, candidate: b }
    };
    ChestFinding::ALL.map(one).into()
}

/// Numbers that a reader would see as one do not differ: within 1 %, or 0.05 of the unit.
fn differ(a: &Said, b: &Said) -> bool {
    let far = match (a.number, b.number) {
        (Some(a), Some(b)) => (a - b).abs() > (a.abs().max(b.abs()) * 0.01).max(0.05),
        (a, b) => a.is_some() != b.is_some(),
    };
    a.evaluated != b.evaluated || a.count != b.count || far
}

fn said(findings: &ChestFindings, finding: ChestFinding) -> Said {
    match findings.figure(finding) {
        Some(figure) => Said { evaluated: true, count: figure.count, number: figure.number },
        None => Said { evaluated: false, count: None, number: None },
    }
}

#[cfg(test)]
mod tests {
    use models::Reason;
    use models::findings::{Emphysema, Evaluated};

    use super::*;

    fn with(percent: f64) -> ChestFindings {
        let mut findings = ChestFindings::none(&Reason::stored("not looked for"));
        findings.nodules = Evaluated::Done(Vec::new());
        findings.emphysema = Evaluated::Done(Emphysema {
            laa950_percent: percent,
            right_percent: None,
            left_percent: None,
            noise_hu: Some(10.0),
            smoothed: false,
            regions: Vec::new(),
        });
        findings
    }

    #[test]
    fn what_a_reader_would_see_as_one_does_not_differ() {
        let differing = |a: &ChestFindings, b: &ChestFindings| {
            let compared = compare(a, b);
            assert_eq!(compared.len(), ChestFinding::COUNT);
            compared.into_iter().filter(|one| one.differs).map(|one| one.finding).collect::<Vec<_>>()
        };
        assert_eq!(differing(&with(10.0), &with(10.05)), []);
        assert_eq!(differing(&with(10.0), &with(12.0)), [ChestFinding::Emphysema]);
        let mut blind = with(10.0);
        blind.refuse(ChestFinding::Nodule, Reason::stored("no network"));
        assert_eq!(differing(&with(10.0), &blind), [ChestFinding::Nodule]);
    }

    #[test]
    fn nothing_found_is_zero_and_not_evaluated_is_nothing() {
        let compared = compare(&with(1.0), &with(1.0));
        assert_eq!(compared[0].active, Said { evaluated: true, count: Some(0), number: None });
        assert_eq!(compared[1].active, Said { evaluated: false, count: None, number: None });
    }
}
