//! Every region of every finding in one list: what it is called, how it is coded, and its voxels. Segmentation, report
//! and pages read it, so that they always speak of the same things.

use models::Findings;
use models::findings::{Evaluated, Finding, LobeName, Mask, Region, Side};

use crate::codes::{
    BOTH_SIDES, BRONCHIECTASIS, CONSOLIDATION, CORONARY_ARTERY, CORONARY_CALCIFICATION, Code, EMPHYSEMA, GROUND_GLASS,
    LEFT, LOWER_LOBE, LUNG, LYMPHADENOPATHY, MEDIASTINAL_LYMPH_NODE, MIDDLE_LOBE, NODULE, PLEURA, PLEURAL_EFFUSION,
    PNEUMONIA, PNEUMOTHORAX, RIB, RIB_FRACTURE, RIGHT, UPPER_LOBE,
};
use crate::measure;
use crate::object::Context;

/// What a segment or a measurement group is about. Numbers are those of the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    Lung(Side),
    Lobe(LobeName),
    Nodule(usize),
    /// All opacities of this kind together.
    GroundGlass,
    Consolidation,
    RibFracture(usize),
    /// Of one lung by its number.
    Emphysema(usize),
    Bronchiectasis(usize),
    PleuralEffusion(usize),
    Pneumothorax(usize),
    /// All calcified lesions together.
    CoronaryCalcium,
    LymphNode(usize),
}

impl Subject {
    /// Tracking identifier, and segment label.
    pub fn label(self) -> String {
        match self {
            Self::Lung(side) => format!("{} lung", capital(measure::side(side))),
            Self::Lobe(name) => capital(lobe(name)),
            Self::Nodule(number) => format!("Nodule {number}"),
            Self::GroundGlass => "Ground-glass opacities".into(),
            Self::Consolidation => "Consolidations".into(),
            Self::RibFracture(number) => format!("Rib fracture {number}"),
            Self::Emphysema(number) => format!("Emphysema {number}"),
            Self::Bronchiectasis(number) => format!("Bronchiectasis {number}"),
            Self::PleuralEffusion(number) => format!("Pleural effusion {number}"),
            Self::Pneumothorax(number) => format!("Pneumothorax {number}"),
            Self::CoronaryCalcium => "Coronary artery calcification".into(),
            Self::LymphNode(number) => format!("Lymph node {number}"),
        }
    }

    /// Tracking unique identifier: the same in every object of one result.
    pub fn tracking_uid(self, context: &Context) -> String {
        match self {
            Self::Lung(side) => context.uids.of("track lung", usize::from(side == Side::Left)),
            Self::Nodule(number) => context.uids.of("track nodule", number),
            other => context.uids.of(&format!("track {}", other.label()), 0),
        }
    }

    pub fn finding(self) -> Option<Finding> {
        Some(match self {
            Self::Lung(_) | Self::Lobe(_) => return None,
            Self::Nodule(_) => Finding::Nodule,
            Self::GroundGlass | Self::Consolidation => Finding::Pneumonia,
            Self::RibFracture(_) => Finding::RibFracture,
            Self::Emphysema(_) => Finding::Emphysema,
            Self::Bronchiectasis(_) => Finding::Bronchiectasis,
            Self::PleuralEffusion(_) => Finding::PleuralEffusion,
            Self::Pneumothorax(_) => Finding::Pneumothorax,
            Self::CoronaryCalcium => Finding::CoronaryCalcification,
            Self::LymphNode(_) => Finding::LymphNode,
        })
    }

    /// What was found.
    pub fn code(self) -> Code {
        match self {
            Self::Lung(_) => LUNG,
            Self::Lobe(name) => lobe_code(name),
            Self::GroundGlass => GROUND_GLASS,
            Self::Consolidation => CONSOLIDATION,
            other => other.finding().map_or(NODULE, finding_code),
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

/// A place in the body, with its side where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    pub place: Code,
    pub side: Option<Code>,
}

impl Site {
    pub fn lung(side: Side) -> Self {
        Self { place: LUNG, side: Some(side_code(side)) }
    }

    pub fn lungs() -> Self {
        Self { place: LUNG, side: Some(BOTH_SIDES) }
    }

    pub fn lobe(name: LobeName) -> Self {
        Self { place: lobe_code(name), side: Some(side_code(name.side())) }
    }

    pub fn lobe_or_lung(name: Option<LobeName>, side: Side) -> Self {
        name.map_or_else(|| Self::lung(side), Self::lobe)
    }
}

/// Everything that has voxels: lungs, lobes, then the findings in the order of reports.
pub fn all(findings: &Findings) -> Vec<Segmented<'_>> {
    let mut all = Vec::new();
    for lung in measure::lungs(findings) {
        all.push(Segmented { subject: Subject::Lung(lung.side), site: Site::lung(lung.side), masks: vec![&lung.mask] });
    }
    for lobe in done(&findings.lobes) {
        all.push(Segmented { subject: Subject::Lobe(lobe.name), site: Site::lobe(lobe.name), masks: vec![&lobe.mask] });
    }
    for nodule in measure::nodules(findings) {
        let site = Site::lobe_or_lung(nodule.lobe, nodule.side);
        all.push(Segmented { subject: Subject::Nodule(nodule.number), site, masks: vec![&nodule.mask] });
    }
    if let Evaluated::Done(pneumonia) = &findings.pneumonia {
        for (subject, regions) in
            [(Subject::GroundGlass, &pneumonia.ground_glass), (Subject::Consolidation, &pneumonia.consolidation)]
        {
            all.push(Segmented { subject, site: Site::lungs(), masks: regions.iter().map(|r| &r.mask).collect() });
        }
    }
    all.extend(done(&findings.rib_fractures).iter().map(|f| {
        single(Subject::RibFracture(f.region.number), Site { place: RIB, side: Some(side_code(f.side)) }, &f.region)
    }));
    if let Evaluated::Done(emphysema) = &findings.emphysema {
        all.extend(emphysema.regions.iter().map(|r| {
            single(Subject::Emphysema(r.number), Site { place: LUNG, side: side_of(findings, r).map(side_code) }, r)
        }));
    }
    all.extend(
        done(&findings.bronchiectasis)
            .iter()
            .map(|b| single(Subject::Bronchiectasis(b.region.number), Site::lobe_or_lung(b.lobe, b.side), &b.region)),
    );
    let pleura = |side| Site { place: PLEURA, side: Some(side_code(side)) };
    all.extend(
        done(&findings.pleural_effusions)
            .iter()
            .map(|e| single(Subject::PleuralEffusion(e.region.number), pleura(e.side), &e.region)),
    );
    all.extend(
        done(&findings.pneumothoraces)
            .iter()
            .map(|p| single(Subject::Pneumothorax(p.region.number), pleura(p.side), &p.region)),
    );
    if let Evaluated::Done(calcium) = &findings.coronary_calcium {
        let site = Site { place: CORONARY_ARTERY, side: None };
        let masks = calcium.lesions.iter().map(|l| &l.mask).collect();
        all.push(Segmented { subject: Subject::CoronaryCalcium, site, masks });
    }
    let node = Site { place: MEDIASTINAL_LYMPH_NODE, side: None };
    all.extend(
        done(&findings.lymph_nodes).iter().map(|n| single(Subject::LymphNode(n.region.number), node, &n.region)),
    );
    all.retain(|segmented| segmented.masks.iter().any(|mask| mask.voxels.contains(&1)));
    all
}

fn single(subject: Subject, site: Site, region: &Region) -> Segmented<'_> {
    Segmented { subject, site, masks: vec![&region.mask] }
}

/// The list, or an empty one when it was not evaluated.
pub fn done<T>(evaluated: &Evaluated<Vec<T>>) -> &[T] {
    match evaluated {
        Evaluated::Done(values) => values,
        Evaluated::NotEvaluated(_) => &[],
    }
}

/// The lung whose box holds the middle of a region's box.
pub fn side_of(findings: &Findings, region: &Region) -> Option<Side> {
    let middle = [0, 1, 2].map(|a| region.mask.origin[a] + region.mask.size[a] / 2);
    let inside = |mask: &Mask| (0..3).all(|a| middle[a] >= mask.origin[a] && middle[a] < mask.origin[a] + mask.size[a]);
    measure::lungs(findings).into_iter().find(|lung| inside(&lung.mask)).map(|lung| lung.side)
}

pub fn finding_code(finding: Finding) -> Code {
    match finding {
        Finding::Nodule => NODULE,
        Finding::Pneumonia => PNEUMONIA,
        Finding::RibFracture => RIB_FRACTURE,
        Finding::Emphysema => EMPHYSEMA,
        Finding::Bronchiectasis => BRONCHIECTASIS,
        Finding::PleuralEffusion => PLEURAL_EFFUSION,
        Finding::Pneumothorax => PNEUMOTHORAX,
        Finding::CoronaryCalcification => CORONARY_CALCIFICATION,
        Finding::LymphNode => LYMPHADENOPATHY,
    }
}

pub fn side_code(side: Side) -> Code {
    match side {
        Side::Right => RIGHT,
        Side::Left => LEFT,
    }
}

fn lobe_code(name: LobeName) -> Code {
    match name {
        LobeName::RightUpper | LobeName::LeftUpper => UPPER_LOBE,
        LobeName::RightMiddle => MIDDLE_LOBE,
        LobeName::RightLower | LobeName::LeftLower => LOWER_LOBE,
    }
}

pub fn lobe(name: LobeName) -> &'static str {
    match name {
        LobeName::RightUpper => "right upper lobe",
        LobeName::RightMiddle => "right middle lobe",
        LobeName::RightLower => "right lower lobe",
        LobeName::LeftUpper => "left upper lobe",
        LobeName::LeftLower => "left lower lobe",
    }
}

/// With a capital letter, as a line begins.
pub fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
