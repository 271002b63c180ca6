//! The nine findings in words and numbers, one line each: what is found, that nothing is found, or why it is not known.
//! Verdict, pages and document say the same because they all read these lines. Pure.

use models::ChestFindings;
use models::findings::{
    CalciumScore, ChestFinding, Comparison, Evaluated, LobeName, LungPart, NoduleType, Pneumonia, Side,
};

use crate::measure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Found,
    NotFound,
    NotEvaluated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    English,
    /// Simplified Chinese.
    Chinese,
}

/// What is to be said about one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub finding: ChestFinding,
    pub state: State,
    /// Numbers, or the reason; never empty.
    pub text: String,
}

/// Percent of the lungs below -950 HU from which emphysema counts as found. Below it healthy lungs are seen too: the
/// normal limit at full inspiration is about 5 % (Lynch et al., Radiology 2018;288:859).
pub const EMPHYSEMA_PERCENT: f64 = 5.0;

/// All nine, in the order of reports.
pub fn lines(findings: &ChestFindings, language: Language) -> Vec<Line> {
    ChestFinding::ALL.into_iter().map(|finding| line(findings, finding, language)).collect()
}

pub fn line(findings: &ChestFindings, finding: ChestFinding, language: Language) -> Line {
    let said = match finding {
        ChestFinding::Nodule => said(&findings.nodules, |all| nodules(all, language)),
        ChestFinding::Pneumonia => said(&findings.pneumonia, |p| pneumonia(p, language)),
        ChestFinding::RibFracture => said(&findings.rib_fractures, |all| {
            let one = |f: &models::findings::RibFracture| match (f.rib, language) {
                (Some(rib), Language::English) => format!("{} rib {rib}", measure::side(f.side)),
                (None, Language::English) => format!("{} rib, number not known", measure::side(f.side)),
                (Some(rib), Language::Chinese) => format!("{}第{rib}肋", side_zh(f.side)),
                (None, Language::Chinese) => format!("{}肋骨（序号未知）", side_zh(f.side)),
            };
            listed(all.iter().map(one), language)
        }),
        ChestFinding::Emphysema => said(&findings.emphysema, |e| {
            let by_side = |side: &str, value: Option<f64>| value.map(|v| format!("{side} {v:.1} %"));
            let (right, left, both) = match language {
                Language::English => ("right", "left", "both lungs"),
                Language::Chinese => ("右肺", "左肺", "双肺"),
            };
            let sides = [by_side(right, e.right_percent), by_side(left, e.left_percent)];
            let mut text = format!("LAA-950 {both} {:.1} %", e.laa950_percent);
            for side in sides.into_iter().flatten() {
                text.push_str(", ");
                text.push_str(&side);
            }
            text.push_str(match language {
                Language::English => " (after noise reduction)",
                Language::Chinese => "（降噪后）",
            });
            (e.laa950_percent >= EMPHYSEMA_PERCENT, text)
        }),
        ChestFinding::Bronchiectasis => {
            said(&findings.bronchiectasis, |all| listed(all.iter().map(|b| place(b.lobe, b.side, language)), language))
        }
        ChestFinding::PleuralEffusion => said(&findings.pleural_effusions, |all| {
            listed(
                all.iter().map(|e| format!("{} {:.0} ml", side_word(e.side, language), e.region.volume_ml)),
                language,
            )
        }),
        ChestFinding::Pneumothorax => said(&findings.pneumothoraces, |all| {
            let one = |p: &models::findings::Pneumothorax| {
                let of = if language == Language::English { "of the hemithorax" } else { "（占一侧胸腔）" };
                format!("{} {:.0} ml, {:.1} % {of}", side_word(p.side, language), p.region.volume_ml, p.percent)
            };
            listed(all.iter().map(one), language)
        }),
        ChestFinding::CoronaryCalcification => said(&findings.coronary_calcium, |c| {
            let found = !c.lesions.is_empty();
            let text = match (&c.score, language) {
                (CalciumScore::Agatston(score), Language::English) => format!("Agatston score {score:.0}"),
                (CalciumScore::Agatston(score), Language::Chinese) => format!("Agatston 积分 {score:.0}"),
                (CalciumScore::Ordinal { grade, reason }, Language::English) => {
                    format!("{} (estimate, grade {grade} of 3; no Agatston score: {reason})", grade_word(*grade))
                }
                (CalciumScore::Ordinal { grade, reason }, Language::Chinese) => {
                    format!("{}（估计，{grade}/3 级；非 Agatston 积分：{reason}）", grade_zh(*grade))
                }
            };
            let positive = match c.score {
                CalciumScore::Agatston(score) => score > 0.0,
                CalciumScore::Ordinal { grade, .. } => grade > 0,
            };
            (found || positive, text)
        }),
        ChestFinding::LymphNode => said(&findings.lymph_nodes, |all| {
            let largest = all.iter().max_by(|a, b| a.short_axis_mm.total_cmp(&b.short_axis_mm));
            let text = largest.map(|n| match language {
                Language::English => {
                    format!("{}, largest {:.1} x {:.1} mm", all.len(), n.long_axis_mm, n.short_axis_mm)
                }
                Language::Chinese => {
                    format!("{} 枚，最大 {:.1} x {:.1} mm", all.len(), n.long_axis_mm, n.short_axis_mm)
                }
            });
            (largest.is_some(), text.unwrap_or_default())
        }),
    };
    let (state, text) = match said {
        Ok((true, text)) => (State::Found, text),
        Ok((false, text)) if text.is_empty() => {
            (State::NotFound, if language == Language::English { "none found" } else { "未发现" }.to_owned())
        }
        Ok((false, text)) => match language {
            Language::English => (State::NotFound, format!("none found; {text}")),
            Language::Chinese => (State::NotFound, format!("未发现；{text}")),
        },
        Err(why) => (State::NotEvaluated, reason(finding, &why).to_owned()),
    };
    Line { finding, state, text }
}

/// Found or not, with its text; or why it was not evaluated.
fn said<T>(evaluated: &Evaluated<T>, say: impl FnOnce(&T) -> (bool, String)) -> Result<(bool, String), String> {
    match evaluated {
        Evaluated::Done(value) => Ok(say(value)),
        Evaluated::NotEvaluated(why) => Err(why.clone()),
    }
}

/// The reason without the words `<finding> not evaluated: ` before it.
pub fn reason(finding: ChestFinding, why: &str) -> &str {
    let rest = why.strip_prefix(finding.words()).and_then(|rest| rest.strip_prefix(" not evaluated: "));
    rest.unwrap_or(why)
}

/// At most four things are named; the report has all.
fn listed(items: impl ExactSizeIterator<Item = String>, language: Language) -> (bool, String) {
    const NAMED: usize = 4;
    let count = items.len();
    let comma = if language == Language::English { "; " } else { "；" };
    let mut text = items.take(NAMED).collect::<Vec<_>>().join(comma);
    if count > NAMED {
        text.push_str(&match language {
            Language::English => format!("{comma}{} more", count - NAMED),
            Language::Chinese => format!("{comma}另有 {} 处", count - NAMED),
        });
    }
    (count > 0, text)
}

fn nodules(all: &[models::findings::Nodule], language: Language) -> (bool, String) {
    let Some(largest) = all.iter().max_by(|a, b| a.diameter_mm.total_cmp(&b.diameter_mm)) else {
        return (false, String::new());
    };
    let kind = largest.kind.map(|kind| format!(", {}", nodule_type(kind, language))).unwrap_or_default();
    let class = largest.lung_rads.map(|class| format!(", Lung-RADS {class}")).unwrap_or_default();
    let place = place(largest.lobe, largest.side, language);
    let text = match language {
        Language::English => {
            format!("{}, largest {:.1} mm{kind}{class}, {place}", all.len(), largest.diameter_mm)
        }
        Language::Chinese => format!("{} 枚，最大 {:.1} mm{kind}{class}，{place}", all.len(), largest.diameter_mm),
    };
    (true, text)
}

fn pneumonia(p: &Pneumonia, language: Language) -> (bool, String) {
    let found = !p.ground_glass.is_empty() || !p.consolidation.is_empty();
    let both = p.extents.iter().find(|e| e.part == LungPart::Both);
    let text = both.filter(|_| found).map(|e| match language {
        Language::English => format!(
            "ground glass {:.1} %, consolidation {:.1} % of both lungs",
            e.ground_glass_percent, e.consolidation_percent
        ),
        Language::Chinese => {
            format!("磨玻璃影 {:.1} %，实变 {:.1} %（占双肺）", e.ground_glass_percent, e.consolidation_percent)
        }
    });
    let fallback = || match (found, language) {
        (false, _) => String::new(),
        (true, Language::English) => format!("{} opacities", p.ground_glass.len() + p.consolidation.len()),
        (true, Language::Chinese) => format!("{} 处", p.ground_glass.len() + p.consolidation.len()),
    };
    (found, text.unwrap_or_else(fallback))
}

pub fn nodule_type(kind: NoduleType, language: Language) -> &'static str {
    match (kind, language) {
        (NoduleType::Solid, Language::English) => "solid",
        (NoduleType::PartSolid, Language::English) => "part-solid",
        (NoduleType::GroundGlass, Language::English) => "ground glass",
        (NoduleType::Calcified, Language::English) => "calcified",
        (NoduleType::Solid, Language::Chinese) => "实性",
        (NoduleType::PartSolid, Language::Chinese) => "部分实性",
        (NoduleType::GroundGlass, Language::Chinese) => "磨玻璃",
        (NoduleType::Calcified, Language::Chinese) => "钙化",
    }
}

pub fn part(part: LungPart, language: Language) -> &'static str {
    match (part, language) {
        (LungPart::Both, Language::English) => "both lungs",
        (LungPart::Lung(Side::Right), Language::English) => "right lung",
        (LungPart::Lung(Side::Left), Language::English) => "left lung",
        (LungPart::Lobe(name), Language::English) => crate::regions::lobe(name),
        (LungPart::Both, Language::Chinese) => "双肺",
        (LungPart::Lung(Side::Right), Language::Chinese) => "右肺",
        (LungPart::Lung(Side::Left), Language::Chinese) => "左肺",
        (LungPart::Lobe(name), Language::Chinese) => lobe_zh(name),
    }
}

fn place(lobe: Option<LobeName>, side: Side, language: Language) -> String {
    part(lobe.map_or(LungPart::Lung(side), LungPart::Lobe), language).to_owned()
}

fn lobe_zh(name: LobeName) -> &'static str {
    match name {
        LobeName::RightUpper => "右肺上叶",
        LobeName::RightMiddle => "右肺中叶",
        LobeName::RightLower => "右肺下叶",
        LobeName::LeftUpper => "左肺上叶",
        LobeName::LeftLower => "左肺下叶",
    }
}

fn side_word(side: Side, language: Language) -> &'static str {
    if language == Language::English { measure::side(side) } else { side_zh(side) }
}

fn side_zh(side: Side) -> &'static str {
    match side {
        Side::Right => "右侧",
        Side::Left => "左侧",
    }
}

pub fn grade_word(grade: u8) -> &'static str {
    match grade {
        0 => "none",
        1 => "mild",
        2 => "moderate",
        _ => "severe",
    }
}

fn grade_zh(grade: u8) -> &'static str {
    match grade {
        0 => "无",
        1 => "轻度",
        2 => "中度",
        _ => "重度",
    }
}

/// The finding's name at the beginning of a line.
pub fn name(finding: ChestFinding, language: Language) -> String {
    let chinese = match finding {
        ChestFinding::Nodule => "肺结节",
        ChestFinding::Pneumonia => "肺炎",
        ChestFinding::RibFracture => "肋骨骨折",
        ChestFinding::Emphysema => "肺气肿",
        ChestFinding::Bronchiectasis => "支气管扩张",
        ChestFinding::PleuralEffusion => "胸腔积液",
        ChestFinding::Pneumothorax => "气胸",
        ChestFinding::CoronaryCalcification => "冠状动脉钙化",
        ChestFinding::LymphNode => "纵隔淋巴结肿大",
    };
    match language {
        Language::English => crate::regions::capital(finding.words()),
        Language::Chinese => chinese.to_owned(),
    }
}

/// Pneumonia then and now, one sentence; the parts of the lungs are in the findings.
pub fn comparison(comparison: &Comparison, language: Language) -> String {
    let date = &comparison.prior_study_date;
    let both = comparison.changes.iter().find(|c| c.part == LungPart::Both).or_else(|| comparison.changes.first());
    let Some(change) = both else { return String::new() };
    let ([g0, g1], [c0, c1]) = (change.ground_glass_percent, change.consolidation_percent);
    let where_ = part(change.part, language);
    match language {
        Language::English => format!(
            "Pneumonia compared with {date}, {where_}: ground glass {g0:.1} -> {g1:.1} % ({:+.1}), consolidation {c0:.1} -> {c1:.1} % ({:+.1})",
            g1 - g0,
            c1 - c0
        ),
        Language::Chinese => format!(
            "肺炎与 {date} 对比，{where_}：磨玻璃影 {g0:.1} → {g1:.1} %（{:+.1}），实变 {c0:.1} → {c1:.1} %（{:+.1}）",
            g1 - g0,
            c1 - c0
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_reason_loses_the_words_that_the_line_has_already() {
        let findings = ChestFindings::none("slices too thick");
        for line in lines(&findings, Language::English) {
            assert_eq!((line.state, line.text.as_str()), (State::NotEvaluated, "slices too thick"));
        }
    }

    #[test]
    fn nothing_found_is_not_silence() {
        let findings = ChestFindings {
            nodules: Evaluated::Done(Vec::new()),
            lymph_nodes: Evaluated::Done(Vec::new()),
            ..ChestFindings::none("x")
        };
        let line = line(&findings, ChestFinding::Nodule, Language::English);
        assert_eq!((line.state, line.text.as_str()), (State::NotFound, "none found"));
    }

    #[test]
    fn all_nine_have_numbers_in_both_languages() {
        let case = testing::case(9);
        for language in [Language::English, Language::Chinese] {
            for line in lines(&case.findings, language) {
                assert_eq!(line.state, State::Found, "{line:?}");
                assert!(line.text.chars().any(|c| c.is_ascii_digit()) || line.finding == ChestFinding::Bronchiectasis);
            }
        }
    }
}
