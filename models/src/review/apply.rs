//! What a signed review makes of the findings of a later run: what was rejected is taken out, what was edited gets the person's values, what
//! was accepted stays as it is.

use super::edit::{Field, Values};
use super::{CONSOLIDATION, Decision, GROUND_GLASS, Listed, NotApplied, Review, change, id, list, nodule_id};
use crate::findings::{ChestFinding, ChestFindings, Evaluated, Lung, Region};
use crate::reason::Reason;
use crate::remark::Remark;
use crate::task::ct_chest::extents;

/// Between runs on different accelerators a finding moves by less than this, mm.
const SAME_MM: f64 = 2.0;
/// And its volume changes by less than this share.
const SAME_VOLUME: f64 = 0.1;

/// Lists what was found, and applies the review where it holds: then the findings carry it. Where it does not, they stay whole
/// and say why. `package`: see [`super::package`]; `can_be_written`: is the name of who signed one that the results can hold?
pub fn apply(findings: &mut ChestFindings, review: Option<&Review>, package: &str, can_be_written: bool) {
    findings.listed = list(findings);
    package.clone_into(&mut findings.package);
    let Some(review) = review else { return };
    let holds = if can_be_written { review.holds(&findings.listed, package) } else { Err(NotApplied::Name) };
    match holds {
        Ok(()) => correct(findings, review),
        Err(why) => findings.remarks.push(Remark::ReviewNotApplied { by: review.by.clone(), why }),
    }
}

pub(super) fn is_same(a: &Listed, b: &Listed) -> bool {
    let apart = a.centre_mm.iter().zip(b.centre_mm).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let larger = a.volume_ml.max(b.volume_ml);
    let is_there = apart <= SAME_MM && (a.volume_ml - b.volume_ml).abs() <= SAME_VOLUME * larger;
    a.finding == b.finding && is_there && are_same(&a.values, &b.values)
}

/// Words and numbers of ribs as a person saw them; lengths move with the volume. Reviews of before have no values.
fn are_same(a: &Values, b: &Values) -> bool {
    let is_length = |field: &Field| matches!(field, Field::LongMm | Field::ShortMm | Field::DistanceMm);
    a.is_empty()
        || b.is_empty()
        || a.iter().filter(|(field, _)| !is_length(field)).all(|(f, value)| b.get(f) == Some(value))
}

fn correct(findings: &mut ChestFindings, review: &Review) {
    let rejected: Vec<&Listed> =
        review.decisions.iter().filter(|one| one.decision == Decision::Rejected).map(|one| &one.listed).collect();
    for finding in ChestFinding::ALL {
        let ids: Vec<&str> = rejected.iter().filter(|one| one.finding == finding).map(|one| one.id.as_str()).collect();
        if !ids.is_empty() {
            take_out(findings, finding, &ids, &review.by);
        }
    }
    if !rejected.is_empty() {
        let (rejected, total) = (rejected.len(), review.decisions.len());
        findings.remarks.push(Remark::Rejected { rejected, total, by: review.by.clone() });
    }
    let mut by: Vec<&str> = Vec::new();
    for one in review.edited() {
        change::change(findings, one.listed, &one.edit.values);
        if !by.contains(&one.edit.by.as_str()) {
            by.push(&one.edit.by);
        }
    }
    if !by.is_empty() {
        let (edited, total) = (review.count(Decision::Edited), review.decisions.len());
        findings.remarks.push(Remark::Edited { edited, total, by: by.join(", ") });
    }
    findings.review = Some(review.clone());
}

/// Takes these findings out of one kind, at least one. What is left keeps its numbers.
fn take_out(findings: &mut ChestFindings, finding: ChestFinding, ids: &[&str], by: &str) {
    let stays = |region: &Region| !ids.contains(&id(finding, Some(region.number)).as_str());
    match finding {
        ChestFinding::Nodule => {
            keep(&mut findings.nodules, |one| !ids.contains(&nodule_id(one.form, one.number).as_str()));
        }
        ChestFinding::RibFracture => keep(&mut findings.rib_fractures, |one| stays(&one.region)),
        ChestFinding::Bronchiectasis => keep(&mut findings.bronchiectasis, |one| stays(&one.region)),
        ChestFinding::PleuralEffusion => keep(&mut findings.pleural_effusions, |one| stays(&one.region)),
        ChestFinding::Pneumothorax => keep(&mut findings.pneumothoraces, |one| stays(&one.region)),
        ChestFinding::LymphNode => keep(&mut findings.lymph_nodes, |one| stays(&one.region)),
        ChestFinding::Pneumonia => opacities(findings, ids),
        // A share or a score that a person does not believe is not zero: it is not known.
        ChestFinding::Emphysema | ChestFinding::CoronaryCalcification => {
            findings.refuse(finding, Reason::Rejected { by: by.to_owned() });
            findings.withhold_laa950();
        }
    }
    refuse_if_unseen(findings, finding);
}

/// What is not found in an organ that was not seen whole is not called absent.
pub(super) fn refuse_if_unseen(findings: &mut ChestFindings, finding: ChestFinding) {
    if findings.is_found(finding) == Some(false)
        && let Some(reason) = findings.part_missing(finding).cloned()
    {
        findings.refuse(finding, reason);
    }
}

pub(super) fn keep<T>(evaluated: &mut Evaluated<Vec<T>>, stays: impl FnMut(&T) -> bool) {
    if let Evaluated::Done(all) = evaluated {
        all.retain(stays);
    }
}

fn opacities(findings: &mut ChestFindings, ids: &[&str]) {
    let Evaluated::Done(pneumonia) = &mut findings.pneumonia else { return };
    if ids.contains(&GROUND_GLASS) {
        pneumonia.ground_glass.clear();
    }
    if ids.contains(&CONSOLIDATION) {
        pneumonia.consolidation.clear();
    }
    // Where both lay there is one left now. Without whole lungs there were no shares.
    if let Evaluated::Done(lungs) = &findings.lungs
        && !pneumonia.extents.is_empty()
    {
        let lobes = if let Evaluated::Done(lobes) = &findings.lobes { lobes.as_slice() } else { &[] };
        let voxels = |lung: &Lung| lung.mask.count() as f64;
        let ml = lungs.iter().map(|lung| lung.volume_ml / voxels(lung).max(1.0)).fold(0.0, f64::max);
        pneumonia.extents = extents(&pneumonia.ground_glass, &pneumonia.consolidation, lungs, lobes, ml);
    }
    if pneumonia.ground_glass.is_empty() && pneumonia.consolidation.is_empty() {
        pneumonia.confidence = 0.0;
    }
}
