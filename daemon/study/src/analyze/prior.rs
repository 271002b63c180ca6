//! Comparison with a prior study of the same patient: pneumonia then and now, part by part, and nodules one by one.
//! Which study is the prior is decided in `priors::here`.

use models::findings::{Change, Comparison, Evaluated, Extent};
use models::task::ct_chest::sharp;
use models::{Acquisition, ChestFindings, growth};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::acquired::days_between;
use crate::priors::here::Prior;

/// With the series of an earlier study that is most like this one, of those with which anything can be compared; `None` without any
/// series. `study_date`: of this study, DA.
pub fn compare(findings: &ChestFindings, study_date: &str, priors: &[Prior]) -> Option<Comparison> {
    let compared = priors.iter().map(|prior| (with(findings, study_date, prior), unlike(findings, prior), prior));
    let nearest = compared.min_by(|(a, unlike_a, of_a), (b, unlike_b, of_b)| {
        let possible = a.missing.is_some().cmp(&b.missing.is_some());
        possible.then(unlike_a.total_cmp(unlike_b)).then_with(|| of_a.series_uid.cmp(&of_b.series_uid))
    });
    nearest.map(|(comparison, ..)| comparison)
}

/// What both have evaluated, or why that is nothing.
fn with(findings: &ChestFindings, study_date: &str, prior: &Prior) -> Comparison {
    let changes = pneumonia(findings, &prior.findings).unwrap_or_default();
    let nodules = nodules(findings, study_date, prior);
    let missing = (changes.is_empty() && nodules.is_none()).then(|| missing(findings, study_date, prior));
    let then: Acquisition = read(&prior.findings["acquisition"]).unwrap_or_default();
    let lungs_ml = [lungs_then_ml(prior), lungs_ml(findings)];
    let differences =
        if missing.is_some() { Vec::new() } else { growth::differences(&then, &findings.acquisition, lungs_ml) };
    Comparison {
        prior_study_uid: prior.study_uid.clone(),
        prior_study_date: prior.study_date.clone(),
        changes,
        nodules,
        missing,
        differences,
    }
}

fn missing(findings: &ChestFindings, study_date: &str, prior: &Prior) -> growth::Missing {
    let shares = matches!(&findings.pneumonia, Evaluated::Done(now) if !now.extents.is_empty());
    let nodules = matches!((&findings.nodules, &findings.lungs), (Evaluated::Done(_), Evaluated::Done(_)));
    match days_between(&prior.study_date, study_date) {
        _ if !shares && !nodules => growth::Missing::Now,
        None => growth::Missing::Days,
        Some(_) => growth::Missing::Then,
    }
}

/// Of all lungs, ml; `None` when they were not measured.
fn lungs_ml(findings: &ChestFindings) -> Option<f64> {
    if let Evaluated::Done(lungs) = &findings.lungs {
        Some(lungs.iter().map(|lung| lung.volume_ml).sum())
    } else {
        None
    }
}

fn lungs_then_ml(prior: &Prior) -> Option<f64> {
    prior.findings["lungs"]["done"].as_array()?.iter().map(|lung| lung["volume_ml"].as_f64()).sum()
}

/// How unlike two series are, as far as that changes sizes and percentages: class of the kernel, contrast agent and breath count one
/// each, a half where one of the two does not say; thickness by the logarithm of its ratio.
fn unlike(findings: &ChestFindings, prior: &Prior) -> f64 {
    let then: Acquisition = read(&prior.findings["acquisition"]).unwrap_or_default();
    let now = &findings.acquisition;
    let counted = |other: Option<bool>| other.map_or(0.5, |other| f64::from(u8::from(other)));
    let is_sharp = |scan: &Acquisition| scan.kernel.as_deref().map(sharp);
    let kernel = is_sharp(&then).zip(is_sharp(now)).map(|(a, b)| a != b);
    let contrast = then.contrast.zip(now.contrast).map(|(a, b)| a != b);
    let breath = growth::other_breath(lungs_then_ml(prior), lungs_ml(findings));
    let thick = |scan: &Acquisition| scan.slice_thickness_mm.filter(|mm| *mm > 0.0);
    let thickness = thick(&then).zip(thick(now)).map_or(0.5, |(a, b)| (a / b).ln().abs());
    counted(kernel) + counted(contrast) + counted(breath) + thickness
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

    fn one(findings: &ChestFindings, study_date: &str, prior: &Prior) -> Comparison {
        compare(findings, study_date, std::slice::from_ref(prior)).unwrap()
    }

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
            series_uid: "1.2.1".into(),
            study_date: "20250101".into(),
            findings: serde_json::to_value(findings(20.0)).unwrap(),
        };
        let comparison = one(&findings(5.0), "20260101", &prior);
        assert_eq!(comparison.changes.len(), 2);
        assert_eq!(comparison.changes[1].part, LungPart::Lung(Side::Left));
        assert_eq!(comparison.changes[0].ground_glass_percent, [20.0, 5.0]);
        let nothing = ChestFindings::none(&Reason::stored("thick slices"));
        let (changes, missing) = (Vec::new(), Some(growth::Missing::Now));
        let known = Comparison { changes, missing, ..comparison };
        assert_eq!(one(&nothing, "20260101", &prior), known, "the earlier study is known, though not compared");
        assert_eq!(compare(&nothing, "20260101", &[]), None);
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
            series_uid: "1.2.1".into(),
            study_date: "20250101".into(),
            findings: serde_json::from_str(&stored).unwrap(),
        };
        let comparison = one(&with_nodule(500.0, 0.0, "B30f"), "20260101", &prior);
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
        let missing = |date: &str, prior: &Prior| one(&now, date, prior).missing;
        let then = Some(growth::Missing::Then);
        assert_eq!(missing("20260101", &old), then, "an older version did not store where the lungs are");
        assert_eq!(missing("2026", &prior), Some(growth::Missing::Days), "no date, no growth");
    }

    #[test]
    fn the_series_of_the_prior_that_is_most_like_the_new_one_is_compared_whichever_was_read_last() {
        let series = |uid: &str, thickness: f64, kernel: &str, lung_ml: f64, volume_mm3: f64| {
            let mut findings = with_nodule(volume_mm3, 0.0, kernel);
            findings.acquisition.slice_thickness_mm = Some(thickness);
            if let Evaluated::Done(lungs) = &mut findings.lungs {
                lungs[0].volume_ml = lung_ml;
            }
            let findings = serde_json::to_value(findings).unwrap();
            Prior { study_uid: "1.2".into(), series_uid: uid.into(), study_date: "20250101".into(), findings }
        };
        let mut now = with_nodule(500.0, 0.0, "B31f");
        now.acquisition.slice_thickness_mm = Some(1.0);
        let alike = series("1.2.5", 1.0, "B30f", 2600.0, 250.0);
        let others = [
            series("1.2.1", 5.0, "B30f", 2600.0, 300.0),
            series("1.2.2", 1.0, "B70f", 2600.0, 310.0),
            series("1.2.3", 1.0, "B30f", 1500.0, 320.0),
            series("1.2.9", 1.0, "B30f", 2600.0, 330.0),
        ];
        for other in others {
            for both in [[alike.clone(), other.clone()], [other.clone(), alike.clone()]] {
                let compared = compare(&now, "20260101", &both).unwrap().nodules.unwrap();
                assert_eq!(compared.changes[0].volume_mm3, [250.0, 500.0], "{}", other.series_uid);
            }
        }
        let breath = one(&now, "20260101", &series("1.2.3", 1.0, "B31f", 1500.0, 320.0)).differences;
        assert_eq!(breath, [growth::Difference::LungVolume([1500.0, 2500.0])]);
    }
}
