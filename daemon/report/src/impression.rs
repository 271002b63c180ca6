//! The impression: what was found, gravest first, with what a published rule recommends for it. Pure; the words are those of
//! each language.
//!
//! A rule is quoted only where it says something about what was measured. Whom it is for (screening, incidental, age) is not
//! known here and stands in its sentence.

use models::findings::{CalciumScore, ChestFinding, Evaluated, Form, Nodule, NoduleType};
use models::{ChestFindings, Reason};

use crate::entry::entry;

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    pub finding: ChestFinding,
    pub advice: Vec<Advice>,
}

/// What a published rule says about a finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Advice {
    /// MacMahon et al., Guidelines for management of incidental pulmonary nodules detected on CT images: from the Fleischner
    /// Society 2017, Radiology 284 (2017) 228-243. `measured_mm`: slices too thick for its measurement rule.
    Fleischner { follow: Follow, measured_mm: Option<f64> },
    /// American College of Radiology, Lung-RADS v2022: the category of the largest class. `from_mm`: smaller nodules were not evaluated.
    LungRads { category: Category, from_mm: Option<f64> },
    /// Hecht et al., CAC-DRS: Coronary Artery Calcium Data and Reporting System, J Cardiovasc Comput Tomogr 12 (2018)
    /// 185-191. By an Agatston score, or by a grade that was estimated.
    CacDrs { class: u8, by_score: bool },
}

/// What the Fleischner Society recommends, from the least urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Follow {
    /// Subsolid, below 6 mm.
    No,
    /// Solid, below 6 mm: no routine follow-up at low risk, optional CT at 12 months at high risk.
    OptionalAtOneYear,
    /// One ground-glass nodule of 6 mm or more.
    GroundGlass,
    /// One solid nodule of 6 to 8 mm.
    SixToTwelveMonths,
    /// Several subsolid nodules below 6 mm.
    SeveralSmallSubsolid,
    /// Several solid nodules of 6 mm or more.
    SeveralSolid,
    /// Several subsolid nodules, at least one of 6 mm or more.
    SeveralSubsolid,
    /// One part-solid nodule of 6 mm or more.
    PartSolid,
    /// One solid nodule above 8 mm.
    ThreeMonths,
    /// On a scan that does not show the whole chest, below 6 mm ("incomplete thoracic CT scans" of the guideline).
    PartSmall,
    /// The same of 6 to 8 mm.
    PartMiddle,
    /// The same above 8 mm.
    PartLarge,
}

/// Of Lung-RADS, by type and size on a baseline scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// A part of the lungs was not seen.
    Zero,
    One,
    Two,
    Three,
    FourA,
    FourB,
}

impl Category {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zero => "0",
            Self::One => "1",
            Self::Two => "2",
            Self::Three => "3",
            Self::FourA => "4A",
            Self::FourB => "4B",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::One, Self::Two, Self::Three, Self::FourA, Self::FourB].into_iter().find(|one| one.name() == name)
    }
}

/// The recommendation of Fleischner holds from this age on, years.
const FLEISCHNER_YEARS: f64 = 35.0;
/// Below it a solid nodule is of category 2, mm.
const LUNG_RADS_MM: f64 = 6.0;
/// Fleischner asks for slices of at most this, mm.
const FLEISCHNER_SLICE_MM: f64 = 1.5;

/// What was found, gravest first. `slice_mm`: the greater of spacing and thickness of the slices.
pub fn conclusions(findings: &ChestFindings, slice_mm: f64) -> Vec<Conclusion> {
    let mut found: Vec<ChestFinding> =
        ChestFinding::ALL.into_iter().filter(|finding| findings.is_found(*finding) == Some(true)).collect();
    found.sort_by_key(|finding| rank(findings, *finding));
    let conclusion = |finding| Conclusion { finding, advice: advice(findings, finding, slice_mm) };
    found.into_iter().map(conclusion).collect()
}

/// A mass, or a nodule that may be cancer, comes next to what cannot wait.
fn rank(findings: &ChestFindings, finding: ChestFinding) -> u8 {
    if finding == ChestFinding::Nodule && is_suspicious(findings) { 1 } else { entry(finding).rank }
}

fn nodules(findings: &ChestFindings) -> &[Nodule] {
    if let Evaluated::Done(all) = &findings.nodules { all } else { &[] }
}

/// A mass, or a nodule of category 4.
fn is_suspicious(findings: &ChestFindings) -> bool {
    nodules(findings).iter().any(|one| one.form == Form::Mass) || known_category(findings) >= Some(Category::FourA)
}

/// Of the nodules that have a class.
fn known_category(findings: &ChestFindings) -> Option<Category> {
    nodules(findings).iter().filter_map(|one| Category::of(one.lung_rads?)).max()
}

/// Of all nodules: withheld where an edit took the class of one, which may be the highest.
fn category(findings: &ChestFindings) -> Option<Category> {
    let is_open = nodules(findings).iter().any(|one| one.kind.is_some() && one.lung_rads.is_none());
    known_category(findings).filter(|known| !is_open || *known == Category::FourB)
}

fn advice(findings: &ChestFindings, finding: ChestFinding, slice_mm: f64) -> Vec<Advice> {
    match finding {
        ChestFinding::Nodule => {
            let fits = findings.acquisition.age_years.is_none_or(|years| years >= FLEISCHNER_YEARS);
            let part = findings.part_missing(ChestFinding::Nodule);
            // Of a lung that is not there no other scan shows more.
            let in_part = part.is_some_and(|reason| !matches!(reason, Reason::OneLung | Reason::AirSpace { .. }));
            let follow = follow(nodules(findings), in_part).filter(|_| fits);
            let measured_mm = (slice_mm > FLEISCHNER_SLICE_MM).then_some(slice_mm);
            let fleischner = follow.map(|follow| Advice::Fleischner { follow, measured_mm });
            // Smaller ones than the limit of category 3 change no category.
            let least = findings.least_size(ChestFinding::Nodule).map(|least| least.size);
            let from_mm = least.filter(|mm| *mm > LUNG_RADS_MM);
            let lung_rads = category(findings)
                .map(|own| if part.is_some() && own < Category::FourA { Category::Zero } else { own })
                .map(|category| Advice::LungRads { category, from_mm });
            fleischner.into_iter().chain(lung_rads).collect()
        }
        // A class of a part of the heart would be too low.
        ChestFinding::CoronaryCalcification => match &findings.coronary_calcium {
            Evaluated::Done(calcium) if findings.part_missing(finding).is_none() => vec![cac_drs(&calcium.score)],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Diameters are rounded to millimetres first, as the rule asks. `None` for a mass, which the rule is not about, for calcified
/// nodules, which are benign, and where a type is not known. The tables have rows for solid and for subsolid nodules: each kind is counted by
/// itself, and the more urgent of both rows holds. `in_part`: the scan does not show the whole chest, for which the guideline has a section of its own.
fn follow(all: &[Nodule], in_part: bool) -> Option<Follow> {
    if all.iter().any(|one| one.form == Form::Mass || one.kind.is_none()) {
        return None;
    }
    let open: Vec<(NoduleType, f64)> = all
        .iter()
        .filter_map(|one| Some((one.kind?, one.diameter_mm.round())))
        .filter(|(kind, _)| *kind != NoduleType::Calcified)
        .collect();
    let solid = open.iter().filter(|(kind, _)| *kind == NoduleType::Solid).count();
    let several = open.len() - solid > 1;
    if in_part {
        let largest = open.iter().map(|(_, mm)| *mm).max_by(f64::total_cmp)?;
        return Some(match largest {
            // What was not seen makes nothing milder.
            mm if mm < 6.0 && several => Follow::SeveralSmallSubsolid,
            mm if mm < 6.0 && solid > 0 => Follow::OptionalAtOneYear,
            mm if mm < 6.0 => Follow::PartSmall,
            mm if mm <= 8.0 => Follow::PartMiddle,
            _ => Follow::PartLarge,
        });
    }
    let one = |(kind, mm): &(NoduleType, f64)| match kind {
        NoduleType::Solid if *mm < 6.0 => Follow::OptionalAtOneYear,
        NoduleType::Solid if solid > 1 => Follow::SeveralSolid,
        NoduleType::Solid if *mm <= 8.0 => Follow::SixToTwelveMonths,
        NoduleType::Solid => Follow::ThreeMonths,
        _ if *mm < 6.0 && several => Follow::SeveralSmallSubsolid,
        _ if *mm < 6.0 => Follow::No,
        _ if several => Follow::SeveralSubsolid,
        NoduleType::PartSolid => Follow::PartSolid,
        _ => Follow::GroundGlass,
    };
    open.iter().map(one).max()
}

/// Classes A0 to A3 by the score, V0 to V3 by the grade.
fn cac_drs(score: &CalciumScore) -> Advice {
    match score {
        CalciumScore::Agatston(score) => {
            let class = [1.0, 100.0, 300.0].iter().map(|limit| u8::from(score >= limit)).sum();
            Advice::CacDrs { class, by_score: true }
        }
        CalciumScore::Ordinal { grade, .. } => Advice::CacDrs { class: (*grade).min(3), by_score: false },
    }
}

#[cfg(test)]
mod tests {
    use models::Reasons;
    use models::findings::{CoronaryCalcium, PartlySeen};

    use super::*;
    use crate::testing;

    fn with(nodules: &[(NoduleType, f64)]) -> ChestFindings {
        let Evaluated::Done(some) = testing::case(9).findings.nodules else { unreachable!() };
        let one = |(kind, mm): &(NoduleType, f64)| Nodule {
            kind: Some(*kind),
            diameter_mm: *mm,
            long_axis_mm: *mm,
            lung_rads: Some("3"),
            ..some[0].clone()
        };
        let nodules = Evaluated::Done(nodules.iter().map(one).collect());
        ChestFindings { nodules, ..ChestFindings::none(&Reason::stored("not looked for")) }
    }

    fn followed(nodules: &[(NoduleType, f64)]) -> Option<Follow> {
        let conclusions = conclusions(&with(nodules), 1.0);
        conclusions.first()?.advice.iter().find_map(|advice| match advice {
            Advice::Fleischner { follow, .. } => Some(*follow),
            _ => None,
        })
    }

    /// Each cell of the two tables of the guideline.
    #[test]
    fn the_fleischner_tables_of_2017_are_followed() {
        use NoduleType::{Calcified, GroundGlass, PartSolid, Solid};
        let one = |kind, mm| followed(&[(kind, mm)]);
        assert_eq!(
            [5.4, 5.5, 8.4, 8.5].map(|mm| one(Solid, mm)),
            [
                Some(Follow::OptionalAtOneYear),
                Some(Follow::SixToTwelveMonths),
                Some(Follow::SixToTwelveMonths),
                Some(Follow::ThreeMonths),
            ]
        );
        assert_eq!(
            [5.0, 6.0, 25.0].map(|mm| one(GroundGlass, mm)),
            [Some(Follow::No), Some(Follow::GroundGlass), Some(Follow::GroundGlass)]
        );
        assert_eq!([5.0, 6.0].map(|mm| one(PartSolid, mm)), [Some(Follow::No), Some(Follow::PartSolid)]);
        assert_eq!(one(Calcified, 20.0), None, "benign");
        let two = |a, b| followed(&[a, b]);
        assert_eq!(two((Solid, 4.0), (Solid, 5.0)), Some(Follow::OptionalAtOneYear));
        assert_eq!(two((Solid, 4.0), (Solid, 7.0)), Some(Follow::SeveralSolid));
        assert_eq!(two((Solid, 4.0), (Solid, 20.0)), Some(Follow::SeveralSolid));
        assert_eq!(two((GroundGlass, 4.0), (PartSolid, 5.0)), Some(Follow::SeveralSmallSubsolid));
        assert_eq!(two((GroundGlass, 4.0), (GroundGlass, 7.0)), Some(Follow::SeveralSubsolid));
        // A speck of the other kind makes nothing milder.
        assert_eq!(two((Solid, 20.0), (GroundGlass, 3.0)), Some(Follow::ThreeMonths));
        assert_eq!(two((Solid, 7.0), (GroundGlass, 3.0)), Some(Follow::SixToTwelveMonths));
        assert_eq!(two((Solid, 4.0), (PartSolid, 9.0)), Some(Follow::PartSolid));
        assert_eq!(two((Solid, 4.0), (GroundGlass, 9.0)), Some(Follow::GroundGlass));
        assert_eq!(two((Calcified, 9.0), (Solid, 7.0)), Some(Follow::SixToTwelveMonths), "calcified ones do not count");
    }

    #[test]
    fn the_rule_is_not_stretched_to_masses_to_the_young_or_to_an_unknown_type() {
        let solid = with(&[(NoduleType::Solid, 12.0)]);
        let advised = |findings: &ChestFindings| conclusions(findings, 1.0)[0].advice.clone();
        assert_eq!(advised(&solid).len(), 2);
        let mut young = solid.clone();
        young.acquisition.age_years = Some(34.0);
        let mut mass = solid.clone();
        let mut unknown = solid.clone();
        if let (Evaluated::Done(masses), Evaluated::Done(unknown)) = (&mut mass.nodules, &mut unknown.nodules) {
            masses[0].form = Form::Mass;
            unknown[0].kind = None;
        }
        for findings in [young, mass, unknown] {
            assert_eq!(advised(&findings), [Advice::LungRads { category: Category::Three, from_mm: None }]);
        }
        let thick = conclusions(&solid, 5.0)[0].advice[0];
        assert_eq!(thick, Advice::Fleischner { follow: Follow::ThreeMonths, measured_mm: Some(5.0) });
    }

    fn in_part(mut findings: ChestFindings, finding: ChestFinding, reason: Reason) -> ChestFindings {
        findings.partly_seen.push(PartlySeen { finding, reason });
        findings
    }

    /// The tables are for a chest that was seen whole: "incomplete thoracic CT scans" of the guideline, category 0 of Lung-RADS.
    #[test]
    fn what_was_seen_of_a_part_of_the_chest_has_the_rules_of_a_part() {
        let of = |mm, class, reason: Reason| {
            let mut findings = with(&[(NoduleType::Solid, mm)]);
            if let Evaluated::Done(nodules) = &mut findings.nodules {
                nodules[0].lung_rads = Some(class);
            }
            conclusions(&in_part(findings, ChestFinding::Nodule, reason), 1.0)[0].advice.clone()
        };
        let rads = |category| Advice::LungRads { category, from_mm: None };
        let fleischner = |follow| Advice::Fleischner { follow, measured_mm: None };
        let cut = |mm, class| of(mm, class, Reason::ScanEndsBelow);
        assert_eq!(cut(4.0, "2"), [fleischner(Follow::OptionalAtOneYear), rads(Category::Zero)]);
        assert_eq!(cut(7.0, "3"), [fleischner(Follow::PartMiddle), rads(Category::Zero)]);
        // Nothing is made milder by what was not seen.
        assert_eq!(cut(20.0, "4B"), [fleischner(Follow::PartLarge), rads(Category::FourB)]);
        assert_eq!(of(7.0, "3", Reason::OneLung), [fleischner(Follow::SixToTwelveMonths), rads(Category::Zero)]);
    }

    #[test]
    fn a_part_of_the_heart_has_no_class_of_calcium() {
        let mut findings = ChestFindings::none(&Reason::stored("not looked for"));
        let lesions = Vec::new();
        findings.coronary_calcium = Evaluated::Done(CoronaryCalcium { score: CalciumScore::Agatston(12.0), lesions });
        assert_eq!(conclusions(&findings, 1.0)[0].advice.len(), 1);
        let part = in_part(findings, ChestFinding::CoronaryCalcification, Reason::ScanEndsBelow);
        assert_eq!(conclusions(&part, 1.0)[0].advice, []);
    }

    #[test]
    fn what_was_found_stands_gravest_first_and_nothing_else_does() {
        let case = testing::case(9);
        let order: Vec<ChestFinding> = conclusions(&case.findings, 1.0).iter().map(|one| one.finding).collect();
        assert_eq!(order.len(), ChestFinding::COUNT);
        // The largest nodule of the case is of category 4A.
        let first = [ChestFinding::Pneumothorax, ChestFinding::Nodule, ChestFinding::Pneumonia];
        assert_eq!(order[..3], first);
        assert_eq!(order.last(), Some(&ChestFinding::Emphysema));
        assert_eq!(conclusions(&ChestFindings::none(&Reason::stored("x")), 1.0), []);
        assert_eq!(conclusions(&with(&[]), 1.0), []);
    }

    #[test]
    fn calcium_has_the_class_of_its_score_or_of_its_grade() {
        let class = |score: f64| cac_drs(&CalciumScore::Agatston(score));
        let classes = [0.0, 1.0, 99.9, 100.0, 299.0, 300.0].map(class);
        assert_eq!(classes, [0, 1, 1, 2, 2, 3].map(|class| Advice::CacDrs { class, by_score: true }));
        let grade = |grade| cac_drs(&CalciumScore::Ordinal { grade, reason: Reasons(Vec::new()) });
        assert_eq!(grade(2), Advice::CacDrs { class: 2, by_score: false });
    }
}
