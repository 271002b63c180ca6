//! Comparison with a prior study of the same patient: pneumonia then and now, part by part, and nodules one by one.
//! Which study is the prior is decided in `priors::here`.

use models::findings::{Change, Comparison, Evaluated, Extent};
use models::{Acquisition, ChestFindings, growth};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::acquired::days_between;
use crate::priors::here::Prior;

/// What both studies have evaluated; `None` when that is nothing. `study_date`: of this study, DA.
pub fn compare(findings: &ChestFindings, study_date: &str, prior: &Prior) -> Option<Comparison> {
    let changes = pneumonia(findings, &prior.findings).unwrap_or_default();
    let nodules = nodules(findings, study_date, prior);
    if changes.is_empty() && nodules.is_none() {
        return None;
    }
    let then: Acquisition = read(&prior.findings["acquisition"]).unwrap_or_default();
    Some(Comparison {
        prior_study_uid: prior.study_uid.clone(),
        prior_study_date: prior.study_date.clone(),
        changes,
        nodules,
        differences: growth::differences(&then, &findings.acquisition),
    })
}

fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

fn pneumonia(findings: &ChestFindings, before: &Value) -> Option<Vec<Change>> {
    let Evaluated::Done(now) = &findings.pneumonia else { return None };
    let before = before["pneumonia"]["done"]["extents"].as_array()?;
    let change = |extent: &Extent| {
        let part = serde_json::to_value(extent.part).ok()?;
        let then = before.iter().find(|then| then["part"] == part)?;
        let percent = |key: &str| then[key].as_f64();
        Some(Change {
            part: extent.part,
            ground_glass_percent: [percent("ground_glass_percent")?, extent.ground_glass_percent],
            consolidation_percent: [percent("consolidation_percent")?, extent.consolidation_percent],
        })
    };
    Some(now.extents.iter().filter_map(change).collect())
}

/// The findings of earlier versions of this software do not say where the lungs were: no comparison of nodules with them.
fn nodules(findings: &ChestFindings, study_date: &str, prior: &Prior) -> Option<growth::Nodules> {
    let (Evaluated::Done(now), Evaluated::Done(lungs)) = (&findings.nodules, &findings.lungs) else { return None };
    let (before, frames): (Vec<growth::Place>, Vec<growth::Frame>) =
        (read(&prior.findings["nodules"]["done"])?, read(&prior.findings["lungs"]["done"])?);
    let days = days_between(&prior.study_date, study_date)?.into();
    let now: Vec<growth::Place> = now
        .iter()
        .map(|one| growth::Place {
            number: one.number,
            side: one.side,
            lobe: one.lobe,
            centre_mm: one.centre_mm,
            volume_mm3: one.volume_mm3,
        })
        .collect();
    let lungs: Vec<growth::Frame> =
        lungs.iter().map(|lung| growth::Frame { side: lung.side, box_mm: lung.box_mm }).collect();
    let seen = |nodules, lungs| growth::Seen { nodules, lungs };
    growth::compare(seen(&before, &frames), seen(&now, &lungs), days)
}

#[cfg(test)]
mod tests {
    use models::Reason;
    use models::findings::{Form, LobeName, Lung, LungPart, Mask, Nodule, Pneumonia, Side};

    use super::*;

    fn findings(percent: f64) -> ChestFindings {
        let extent = |part| Extent {
            part,
            volume_ml: 4000.0,
            ground_glass_percent: percent,
            consolidation_percent: percent / 2.0,
        };
        ChestFindings {
            pneumonia: Evaluated::Done(Pneumonia {
                confidence: 0.9,
                ground_glass: Vec::new(),
                consolidation: Vec::new(),
                extents: [LungPart::Both, LungPart::Lung(Side::Left)].map(extent).to_vec(),
            }),
            ..ChestFindings::none(&Reason::stored("not looked for"))
        }
    }

    #[test]
    fn parts_that_both_studies_have_are_compared() {
        let prior = Prior {
            study_uid: "1.2".into(),
            study_date: "20250101".into(),
            findings: serde_json::to_value(findings(20.0)).unwrap(),
        };
        let comparison = compare(&findings(5.0), "20260101", &prior).unwrap();
        assert_eq!(comparison.changes.len(), 2);
        assert_eq!(comparison.changes[1].part, LungPart::Lung(Side::Left));
        assert_eq!(comparison.changes[0].ground_glass_percent, [20.0, 5.0]);
        assert_eq!(compare(&ChestFindings::none(&Reason::stored("thick slices")), "20260101", &prior), None);
    }

    /// One lung with one nodule in it, the patient lying somewhere.
    fn with_nodule(volume_mm3: f64, at_mm: f64, kernel: &str) -> ChestFindings {
        let corner = |mm: f64| [mm + at_mm; 3];
        let mask = || Mask { origin: [0; 3], size: [0; 3], voxels: Vec::new() };
        let lung = Lung {
            side: Side::Right,
            volume_ml: 2500.0,
            mean_hu: -850.0,
            laa950_percent: None,
            box_mm: [corner(-100.0), corner(100.0)],
            mask: mask(),
        };
        let nodule = Nodule {
            number: 1,
            form: Form::Nodule,
            side: Side::Right,
            lobe: Some(LobeName::RightLower),
            kind: None,
            lung_rads: None,
            centre_mm: corner(20.0),
            diameter_mm: 8.0,
            long_axis_mm: 8.5,
            short_axis_mm: 7.5,
            volume_mm3,
            mean_hu: 10.0,
            confidence: 0.9,
            key_slice: 0,
            mask: mask(),
        };
        ChestFindings {
            lungs: Evaluated::Done(vec![lung]),
            nodules: Evaluated::Done(vec![nodule]),
            acquisition: Acquisition { kernel: Some(kernel.into()), ..Acquisition::default() },
            ..ChestFindings::none(&Reason::stored("not looked for"))
        }
    }

    #[test]
    fn a_nodule_is_found_again_in_what_was_stored_of_the_prior_and_a_change_of_the_kernel_is_told() {
        let stored = serde_json::to_string(&with_nodule(250.0, 300.0, "B70f")).unwrap();
        let prior = Prior {
            study_uid: "1.2".into(),
            study_date: "20250101".into(),
            findings: serde_json::from_str(&stored).unwrap(),
        };
        let comparison = compare(&with_nodule(500.0, 0.0, "B30f"), "20260101", &prior).unwrap();
        let nodules = comparison.nodules.unwrap();
        assert_eq!((nodules.days, nodules.unmatched), (365, [0, 0]));
        assert_eq!(nodules.changes[0].volume_mm3, [250.0, 500.0]);
        assert_eq!(nodules.changes[0].doubling_days.map(f64::round), Some(365.0));
        assert_eq!(comparison.differences, [growth::Difference::Kernel(["B70f".into(), "B30f".into()])]);
        let mut old = prior.clone();
        for lung in old.findings["lungs"]["done"].as_array_mut().unwrap() {
            lung.as_object_mut().unwrap().remove("box_mm");
        }
        let now = with_nodule(500.0, 0.0, "B30f");
        assert_eq!(compare(&now, "20260101", &old), None, "an older version did not store where the lungs are");
        assert_eq!(compare(&now, "2026", &prior), None, "no date, no growth");
    }
}
