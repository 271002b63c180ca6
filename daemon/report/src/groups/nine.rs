//! Measurement groups of the findings other than nodules: one for each instance, or one for each part of the lungs if
//! the finding is a percentage of it. Each refers to its segment and shows its outline on its key slice.

use models::findings::{CalciumScore, ChestFinding, Evaluated, Extent, LungPart, Region, Side};
use models::number::Number;
use models::review::edit::{Edit, Field};
use models::{ChestFindings, review};

use crate::canvas::single;
use crate::codes::{
    AGATSTON, ATTENUATION, CALCIUM_SCORE, CERTAINTY_OF_FINDING, CONSOLIDATION, CONSOLIDATION_PERCENT, CORONARY_ARTERY,
    Code, EMPHYSEMA, GROUND_GLASS, GROUND_GLASS_PERCENT, HOUNSFIELD, LAA_950_DENOISED, LUNG, MEASUREMENT_METHOD, MILD,
    MILLILITRE, MODERATE, NO_UNITS, NONE, PART_VOLUME, PERCENT, PNEUMONIA, SEVERE, SEVERITY, VOLUME,
};
use crate::content::{Item, Relation};
use crate::entry::instances;
use crate::groups::{
    GroupParts, begin, chosen, closed, comment, illustration, mean, measured, model, referenced, region, site,
    volumetric,
};
use crate::measure;
use crate::regions::{self, Segmented, Subject};
use crate::site::Site;
use crate::words::{self, Language};

pub fn groups(parts: &GroupParts, findings: &ChestFindings) -> Vec<Item> {
    let segmented = regions::all(findings);
    let mut groups = pneumonia(parts, findings, &segmented);
    for finding in ChestFinding::ALL {
        for found in instances(findings, finding, Language::English) {
            let subject = Subject::Instance(finding, found.region.number);
            groups.push(instance(parts, subject, found.site, found.region, found.more));
            groups.extend(outline(parts, subject, found.region));
        }
    }
    groups.extend(emphysema(parts, findings, &segmented));
    groups.extend(coronary(parts, findings));
    groups
}

/// The group of one instance: volume, attenuation, confidence, and `more` items of this finding.
fn instance(parts: &GroupParts, subject: Subject, at: Site, found: &Region, more: Vec<Item>) -> Item {
    let id = subject.finding().map(|finding| review::id(finding, Some(found.number))).unwrap_or_default();
    // The number of a rib, the axes of a node.
    let counted = |edit: &Edit| [Field::Rib, Field::LongMm].iter().any(|field| edit.values.contains_key(field));
    let is_edited = parts.review.and_then(|review| review.edit(&id)).is_some_and(counted);
    let more = more.into_iter().map(|item| if is_edited { chosen(item) } else { item });
    // Of another size than the software measured there is no segment: only the place is known.
    let group = if found.volume_ml.is_nan() {
        let [x, y, _] = measure::to_image(&parts.volume.geometry, found.centre_mm);
        begin("1410", &subject.label(), subject.tracking_uid(parts.context), subject.code()).with(region(
            parts,
            found.key_slice,
            "POINT",
            vec![[single(x), single(y)]],
        ))
    } else {
        volumetric(parts, subject, subject.code())
    };
    let group = illustrated(parts, subject, group)
        .with_all(model(parts.context))
        .with(site(at))
        .with_all(measured(VOLUME, found.volume_ml, 2, MILLILITRE))
        .with_all(measured(ATTENUATION, found.mean_hu, 1, HOUNSFIELD).map(|item| item.with(mean())))
        .with(Item::number(CERTAINTY_OF_FINDING, found.confidence * 100.0, 1, PERCENT))
        .with_all(more);
    parts.commented(group, &id)
}

/// A second group with the same tracking UID: the outline on the key slice and its centre. It is needed because a
/// common viewer does not show groups that only refer to a segment. TID 1411 requires at least two regions.
fn outline(parts: &GroupParts, subject: Subject, found: &Region) -> Option<Item> {
    let points = closed(&found.mask, found.key_slice)?;
    let [x, y, _] = measure::to_image(&parts.volume.geometry, found.centre_mm);
    let group = begin("1411", &subject.label(), subject.tracking_uid(parts.context), subject.code());
    Some(
        group
            .with(region(parts, found.key_slice, "POLYLINE", points))
            .with(region(parts, found.key_slice, "POINT", vec![[single(x), single(y)]]))
            .with_all(model(parts.context))
            .with(Item::number(CERTAINTY_OF_FINDING, found.confidence * 100.0, 1, PERCENT)),
    )
}

/// A group for a part of the lungs. For one lung or lobe it refers to the segment, for both lungs to an outline of
/// each.
fn of_part(parts: &GroupParts, findings: &ChestFindings, part: LungPart, label: &str, finding: Code) -> Item {
    let uid = parts.context.uids.lasting(&format!("track {label}"), 0);
    let (subject, place) = match part {
        LungPart::Both => (None, Site::lungs()),
        LungPart::Lung(side) => (Some(Subject::Lung(side)), Site::lung(side)),
        LungPart::Lobe(name) => {
            let lobe = measure::done(&findings.lobes).iter().find(|lobe| lobe.name == name);
            (lobe.map(Subject::of_lobe), Site::lobe(name))
        }
    };
    let whole = subject.and_then(|subject| referenced(parts, subject));
    let outlines = || {
        let lungs = measure::lungs(findings).into_iter();
        let outlines = lungs.filter_map(|lung| {
            let slice = lung.mask.origin[2] + lung.mask.size[2] / 2;
            Some(region(parts, slice, "POLYLINE", closed(&lung.mask, slice)?))
        });
        Some(outlines.collect::<Vec<_>>()).filter(|regions| regions.len() > 1 && part == LungPart::Both)
    };
    let group = match whole.or_else(outlines) {
        Some(regions) => begin("1411", label, uid, finding).with_all(regions),
        None => begin("1501", label, uid, finding),
    };
    group.with_all(model(parts.context)).with(site(place))
}

fn illustrated(parts: &GroupParts, subject: Subject, group: Item) -> Item {
    let page = subject.finding().and_then(|f| parts.pages.iter().find(|p| p.finding == Some(f)));
    group.with_all(page.map(illustration))
}

/// The opacities with their volumes and their percentage of each part of the lungs.
fn pneumonia(parts: &GroupParts, findings: &ChestFindings, segmented: &[Segmented]) -> Vec<Item> {
    let Evaluated::Done(pneumonia) = &findings.pneumonia else { return Vec::new() };
    let mut groups = Vec::new();
    for (subject, code, regions, id) in [
        (Subject::GroundGlass, GROUND_GLASS, &pneumonia.ground_glass, review::GROUND_GLASS),
        (Subject::Consolidation, CONSOLIDATION, &pneumonia.consolidation, review::CONSOLIDATION),
    ] {
        let Some(one) = segmented.iter().find(|s| s.subject == subject) else { continue };
        let volume: f64 = regions.iter().map(|r| r.volume_ml).sum();
        let group = illustrated(parts, subject, volumetric(parts, subject, code))
            .with_all(model(parts.context))
            .with(site(one.site))
            .with(Item::number(VOLUME, volume, 1, MILLILITRE))
            .with(Item::number(CERTAINTY_OF_FINDING, pneumonia.confidence * 100.0, 1, PERCENT));
        groups.push(parts.commented(group, id));
    }
    groups.extend(pneumonia.extents.iter().map(|extent| share(parts, findings, extent)));
    groups
}

fn share(parts: &GroupParts, findings: &ChestFindings, extent: &Extent) -> Item {
    let label = format!("Pneumonia, {}", words::part(findings, extent.part, Language::English.words()));
    of_part(parts, findings, extent.part, &label, PNEUMONIA)
        .with(Item::number(PART_VOLUME, extent.volume_ml, 1, MILLILITRE))
        .with(Item::number(GROUND_GLASS_PERCENT, extent.ground_glass_percent, 1, PERCENT))
        .with(Item::number(CONSOLIDATION_PERCENT, extent.consolidation_percent, 1, PERCENT))
        .with_all(change(findings, extent.part))
}

/// The values of the prior study as text, because a measurement item would be read as a value of this study.
fn change(findings: &ChestFindings, part: LungPart) -> Option<Item> {
    let comparison = findings.comparison.as_ref()?;
    let change = comparison.changes.iter().find(|change| change.part == part)?;
    let ([g0, g1], [c0, c1]) = (change.ground_glass_percent, change.consolidation_percent);
    Some(comment(format!(
        "Prior study {}: ground glass {g0:.1} %, consolidation {c0:.1} %; change {:+.1} and {:+.1} percentage points",
        comparison.prior_study_date,
        Number(g1 - g0),
        Number(c1 - c0)
    )))
}

fn emphysema(parts: &GroupParts, findings: &ChestFindings, segmented: &[Segmented]) -> Vec<Item> {
    let Evaluated::Done(found) = &findings.emphysema else { return Vec::new() };
    let reduced = if found.smoothed { ", after noise reduction" } else { ", no noise reduction" };
    let noise =
        found.noise_hu.map_or_else(|| "noise not measured".to_owned(), |hu| format!("noise measured {hu:.1} HU"));
    let noise = format!("Percent of lung voxels below -950 HU, airways excluded{reduced}; {noise}.");
    let only = found.right_percent.xor(found.left_percent).is_some();
    let shares = [
        (LungPart::Both, (!only).then_some(found.laa950_percent)),
        (LungPart::Lung(Side::Right), found.right_percent),
        (LungPart::Lung(Side::Left), found.left_percent),
    ];
    let mut groups: Vec<Item> = shares
        .into_iter()
        .filter_map(|(part, percent)| {
            let percent = Item::number(LAA_950_DENOISED, percent?, 2, PERCENT);
            let label = format!("Emphysema, {}", words::part(findings, part, Language::English.words()));
            let group = of_part(parts, findings, part, &label, EMPHYSEMA);
            let group = group.with(percent).with(comment(noise.clone()));
            let of_all = only || part == LungPart::Both;
            Some(if of_all { parts.commented(group, &review::id(ChestFinding::Emphysema, None)) } else { group })
        })
        .collect();
    for one in segmented.iter().filter(|s| matches!(s.subject, Subject::Emphysema(_))) {
        let Some(region) = found.regions.iter().find(|r| one.subject == Subject::Emphysema(r.number)) else { continue };
        groups.push(
            illustrated(parts, one.subject, volumetric(parts, one.subject, EMPHYSEMA))
                .with_all(model(parts.context))
                .with(site(Site { place: LUNG, ..one.site }))
                .with(Item::number(VOLUME, region.volume_ml, 1, MILLILITRE)),
        );
    }
    groups
}

/// The Agatston score if the scan protocol allows it; otherwise a grade, with the reason why there is no score.
fn coronary(parts: &GroupParts, findings: &ChestFindings) -> Vec<Item> {
    let Evaluated::Done(found) = &findings.coronary_calcium else { return Vec::new() };
    let subject = Subject::CoronaryCalcium;
    if found.lesions.is_empty() {
        return Vec::new(); // without calcification there is nothing to refer to; the summary has the score
    }
    let group = illustrated(parts, subject, volumetric(parts, subject, subject.code()))
        .with_all(model(parts.context))
        .with(site(Site { place: CORONARY_ARTERY, side: None }));
    let volume: f64 = found.lesions.iter().map(|l| l.volume_ml).sum();
    let group = group.with(Item::number(VOLUME, volume, 3, MILLILITRE));
    let group = match &found.score {
        CalciumScore::Agatston(score) => group.with(Item::number(CALCIUM_SCORE, *score, 0, NO_UNITS).with(Item::code(
            Relation::HasConceptMod,
            MEASUREMENT_METHOD,
            AGATSTON,
        ))),
        CalciumScore::Ordinal { grade, reason } => {
            let severity = match grade {
                0 => NONE,
                1 => MILD,
                2 => MODERATE,
                _ => SEVERE,
            };
            group
                .with(Item::code(Relation::Contains, SEVERITY, severity))
                .with(comment(format!("Ordinal estimate, grade {grade} of 3; no Agatston score: {reason}")))
        }
    };
    let mut groups = vec![parts.commented(group, &review::id(ChestFinding::CoronaryCalcification, None))];
    let largest = found.lesions.iter().max_by(|a, b| a.volume_ml.total_cmp(&b.volume_ml));
    groups.extend(largest.and_then(|lesion| outline(parts, subject, lesion)));
    groups
}
