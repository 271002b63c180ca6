//! Every region of every finding in one list: what it is called, how it is coded, and its voxels. Segmentation, report
//! and pages read it, so that they always speak of the same things.

use models::ChestFindings;
use models::findings::{ChestFinding, Evaluated, Form, Lobe, LobeName, LungPart, Mask, Nodule, Region, Side};

use crate::codes::{CONSOLIDATION, CORONARY_ARTERY, Code, GROUND_GLASS, LUNG, MASS, NODULE};
use crate::entry::{entry, instances};
use crate::measure::{self, done};
use crate::object::Context;
use crate::site::{Site, lobe_code, side_code};
use crate::words::{Language, capital};

/// What a segment or a measurement group is about. Numbers are those of the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Lung(Side),
    Lobe {
        name: LobeName,
        estimated: bool,
    },
    Nodule(usize),
    /// Numbered together with the nodules.
    Mass(usize),
    /// All opacities of this kind together.
    GroundGlass,
    Consolidation,
    /// Of one lung by its number.
    Emphysema(usize),
    /// All calcified lesions together.
    CoronaryCalcium,
    /// An instance of a finding that is a list of regions (`entry::instances`).
    Instance(ChestFinding, usize),
}

impl Subject {
    pub fn of_lobe(lobe: &Lobe) -> Self {
        Self::Lobe { name: lobe.name, estimated: lobe.estimated }
    }

    pub fn of_nodule(nodule: &Nodule) -> Self {
        match nodule.form {
            Form::Nodule => Self::Nodule(nodule.number),
            Form::Mass => Self::Mass(nodule.number),
        }
    }

    /// Tracking identifier, and segment label.
    pub fn label(self) -> String {
        match self {
            Self::Lung(side) => format!("{} lung", capital(measure::side(side))),
            Self::Lobe { name, estimated } => {
                let w = Language::English.words();
                capital(w.part(LungPart::Lobe(name))) + if estimated { w.estimated() } else { "" }
            }
            Self::GroundGlass => "Ground-glass opacities".into(),
            Self::Consolidation => "Consolidations".into(),
            Self::CoronaryCalcium => entry(ChestFinding::CoronaryCalcification).label.into(),
            Self::Nodule(number) => format!("{} {number}", entry(ChestFinding::Nodule).label),
            Self::Mass(number) => format!("Mass {number}"),
            Self::Emphysema(number) => format!("{} {number}", entry(ChestFinding::Emphysema).label),
            Self::Instance(finding, number) => format!("{} {number}", entry(finding).label),
        }
    }

    /// Tracking unique identifier: the same in every object of one result.
    pub fn tracking_uid(self, context: &Context) -> String {
        match self {
            Self::Lung(side) => context.uids.lasting("track lung", usize::from(side == Side::Left)),
            Self::Nodule(number) | Self::Mass(number) => context.uids.lasting("track nodule", number),
            other => context.uids.lasting(&format!("track {}", other.label()), 0),
        }
    }

    pub fn finding(self) -> Option<ChestFinding> {
        Some(match self {
            Self::Lung(_) | Self::Lobe { .. } => return None,
            Self::Nodule(_) | Self::Mass(_) => ChestFinding::Nodule,
            Self::GroundGlass | Self::Consolidation => ChestFinding::Pneumonia,
            Self::Emphysema(_) => ChestFinding::Emphysema,
            Self::CoronaryCalcium => ChestFinding::CoronaryCalcification,
            Self::Instance(finding, _) => finding,
        })
    }

    /// What was found.
    pub fn code(self) -> Code {
        match self {
            Self::Lung(_) => LUNG,
            Self::Lobe { name, .. } => lobe_code(name),
            Self::GroundGlass => GROUND_GLASS,
            Self::Consolidation => CONSOLIDATION,
            Self::Mass(_) => MASS,
            other => other.finding().map_or(NODULE, |finding| entry(finding).code),
        }
    }
}

/// One segment: a subject, where it lies, its voxels.
#[derive(Debug)]
pub struct Segmented<'a> {
    pub subject: Subject,
    pub site: Site,
    pub masks: Vec<&'a Mask>,
}

/// Everything that has voxels: lungs, lobes, then the findings in the order of reports.
pub fn all(findings: &ChestFindings) -> Vec<Segmented<'_>> {
    let mut all = Vec::new();
    for lung in measure::lungs(findings) {
        all.push(Segmented { subject: Subject::Lung(lung.side), site: Site::lung(lung.side), masks: vec![&lung.mask] });
    }
    for lobe in done(&findings.lobes) {
        all.push(Segmented { subject: Subject::of_lobe(lobe), site: Site::lobe(lobe.name), masks: vec![&lobe.mask] });
    }
    for finding in ChestFinding::ALL {
        all.extend(of_finding(findings, finding));
    }
    all.retain(|segmented| segmented.masks.iter().any(|mask| mask.voxels.contains(&1)));
    all
}

/// The masks of all regions, with their labels.
pub fn masks(findings: &ChestFindings) -> Vec<(String, &Mask)> {
    let regions = all(findings).into_iter();
    regions.flat_map(|r| r.masks.into_iter().map(move |mask| (r.subject.label(), mask))).collect()
}

fn of_finding(findings: &ChestFindings, finding: ChestFinding) -> Vec<Segmented<'_>> {
    match finding {
        ChestFinding::Nodule => measure::nodules(findings)
            .into_iter()
            .map(|nodule| Segmented {
                subject: Subject::of_nodule(nodule),
                site: Site::lobe_or_lung(nodule.lobe, nodule.side),
                masks: vec![&nodule.mask],
            })
            .collect(),
        ChestFinding::Pneumonia => {
            let Evaluated::Done(pneumonia) = &findings.pneumonia else { return Vec::new() };
            let kinds =
                [(Subject::GroundGlass, &pneumonia.ground_glass), (Subject::Consolidation, &pneumonia.consolidation)];
            kinds
                .into_iter()
                .map(|(subject, regions)| Segmented {
                    subject,
                    site: Site::lungs(),
                    masks: regions.iter().map(|r| &r.mask).collect(),
                })
                .collect()
        }
        ChestFinding::Emphysema => {
            let Evaluated::Done(emphysema) = &findings.emphysema else { return Vec::new() };
            let site = |r: &Region| Site { place: LUNG, side: side_of(findings, r).map(side_code) };
            emphysema.regions.iter().map(|r| single(Subject::Emphysema(r.number), site(r), r)).collect()
        }
        ChestFinding::CoronaryCalcification => {
            let Evaluated::Done(calcium) = &findings.coronary_calcium else { return Vec::new() };
            let masks = calcium.lesions.iter().map(|l| &l.mask).collect();
            vec![Segmented {
                subject: Subject::CoronaryCalcium,
                site: Site { place: CORONARY_ARTERY, side: None },
                masks,
            }]
        }
        listed => instances(findings, listed, Language::English)
            .into_iter()
            .map(|one| single(Subject::Instance(listed, one.region.number), one.site, one.region))
            .collect(),
    }
}

fn single(subject: Subject, site: Site, region: &Region) -> Segmented<'_> {
    Segmented { subject, site, masks: vec![&region.mask] }
}

/// The lung whose box holds the middle of a region's box.
pub fn side_of(findings: &ChestFindings, region: &Region) -> Option<Side> {
    let middle = [0, 1, 2].map(|a| region.mask.origin[a] + region.mask.size[a] / 2);
    let inside = |mask: &Mask| (0..3).all(|a| middle[a] >= mask.origin[a] && middle[a] < mask.origin[a] + mask.size[a]);
    measure::lungs(findings).into_iter().find(|lung| inside(&lung.mask)).map(|lung| lung.side)
}
