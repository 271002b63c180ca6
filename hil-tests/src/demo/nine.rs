//! A table of the nine findings of one study: planted and found, one row each.

use super::terminal::Terminal;
use crate::compare::Evaluated;
use crate::evaluation::cases::{self, Case};
use crate::evaluation::read::{Findings, Lesion, Part, Planted, Score};

const NONE: &str = "none";

/// Returns whether all that was planted was found and nothing else.
pub fn table(terminal: Terminal, planted: &Planted, found: &Findings) -> bool {
    terminal.heading("Nine findings: planted and found");
    let words = planted_words(planted).into_iter().zip(found_words(found));
    let cases = cases::all(planted, found);
    let rows: Vec<_> = cases.iter().zip(words).map(|(case, (p, f))| row(case, p, f)).collect();
    terminal.table(&["finding", "planted", "found", "too many", ""], &rows);
    cases.iter().all(|case| case.not_evaluated.is_none() && case.hit == case.planted && case.extra == 0)
}

fn row(case: &Case, planted: String, found: String) -> Vec<String> {
    let (extra, outcome) = match &case.not_evaluated {
        Some(_) => ("-".to_owned(), "not evaluated".to_owned()),
        None if case.hit < case.planted => (case.extra.to_string(), "MISSED".to_owned()),
        None if case.planted == 0 => (case.extra.to_string(), String::new()),
        None => (case.extra.to_string(), format!("{} of {}", case.hit, case.planted)),
    };
    vec![case.finding.to_owned(), planted, found, extra, outcome]
}

/// In the order of [`cases::all`].
fn planted_words(planted: &Planted) -> [String; 9] {
    let pneumonia = planted.pneumonia.as_ref();
    let emphysema = planted.emphysema.as_ref();
    let coronary = planted.coronary.as_ref();
    // Only enlarged nodes count: everybody has normal ones.
    let enlarged: Vec<_> = planted.lymph_nodes.iter().filter(|node| cases::is_enlarged(node)).cloned().collect();
    [
        list(&planted.nodules, diameter),
        pneumonia.map_or_else(|| NONE.into(), |p| opacities(p.ground_glass_ml, p.consolidation_ml)),
        list(&planted.rib_fractures, rib),
        emphysema.map_or_else(|| NONE.into(), |e| laa950(e.laa950_percent)),
        list(&planted.bronchiectasis, volume),
        list(&planted.pleural_effusions, volume),
        list(&planted.pneumothoraces, air),
        coronary.map_or_else(|| NONE.into(), |c| format!("Agatston {:.0}", c.agatston)),
        list(&enlarged, short_axis),
    ]
}

/// In the order of [`cases::all`].
fn found_words(found: &Findings) -> [String; 9] {
    // An empty sum of floats is -0.
    let sum = |regions: &[Lesion]| regions.iter().filter_map(|r| r.volume_ml).fold(0.0, |a, b| a + b);
    [
        said(&found.nodules, |f| list(f, diameter)),
        said(&found.pneumonia, |p| {
            let both = p.extents.iter().find(|e| e.part == Part::Both);
            let share =
                both.map(|e| format!(" ({:.0} % of the lungs)", e.ground_glass_percent + e.consolidation_percent));
            let any = !p.ground_glass.is_empty() || !p.consolidation.is_empty();
            let words = opacities(sum(&p.ground_glass), sum(&p.consolidation));
            if any { words + &share.unwrap_or_default() } else { NONE.into() }
        }),
        said(&found.rib_fractures, |f| list(f, rib)),
        said(&found.emphysema, |e| {
            // The value is always measured; it is a finding only when the network marks it, too.
            let seen = if e.regions.is_empty() { ", not marked" } else { "" };
            laa950(e.laa950_percent) + seen
        }),
        said(&found.bronchiectasis, |f| list(f, volume)),
        said(&found.pleural_effusions, |f| list(f, volume)),
        said(&found.pneumothoraces, |f| list(f, air)),
        said(&found.coronary_calcium, |c| match c.score {
            _ if c.lesions.is_empty() => NONE.into(),
            Score::Agatston(score) => format!("Agatston {score:.0}"),
            Score::Ordinal { grade } => format!("grade {grade} of 3"),
        }),
        said(&found.lymph_nodes, |f| list(f, short_axis)),
    ]
}

fn said<T>(found: &Evaluated<T>, words: impl Fn(&T) -> String) -> String {
    match found {
        Evaluated::Done(found) => words(found),
        Evaluated::NotEvaluated(why) => why.split_once(": ").map_or(why.as_str(), |(_, reason)| reason).to_owned(),
    }
}

fn list(lesions: &[Lesion], words: fn(&Lesion) -> String) -> String {
    if lesions.is_empty() { NONE.into() } else { lesions.iter().map(words).collect::<Vec<_>>().join(", ") }
}

fn side(lesion: &Lesion) -> &str {
    lesion.side.as_deref().unwrap_or("")
}

fn diameter(nodule: &Lesion) -> String {
    format!("{:.1} mm", nodule.diameter_mm.unwrap_or_default())
}

fn short_axis(node: &Lesion) -> String {
    format!("{:.0} mm", node.short_axis_mm.unwrap_or_default())
}

fn rib(fracture: &Lesion) -> String {
    format!("{} {}", side(fracture), fracture.rib.map_or_else(|| "?".into(), |number| number.to_string()))
}

fn volume(lesion: &Lesion) -> String {
    format!("{} {:.0} ml", side(lesion), lesion.volume_ml.unwrap_or_default())
}

fn air(pneumothorax: &Lesion) -> String {
    format!("{} ({:.0} %)", volume(pneumothorax), pneumothorax.percent.unwrap_or_default())
}

fn opacities(ground_glass_ml: f64, consolidation_ml: f64) -> String {
    format!("ground glass {ground_glass_ml:.0} ml, consolidation {consolidation_ml:.0} ml")
}

fn laa950(percent: f64) -> String {
    format!("LAA-950 {percent:.1} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_was_planted_what_was_found_and_what_was_missed() {
        let planted: Planted = serde_json::from_str(
            r#"{"rib_fractures":[{"centre_mm":[0,0,0],"side":"left","rib":7}],"pleural_effusions":[{"centre_mm":[0,0,0],"side":"right","volume_ml":310.4}]}"#,
        )
        .unwrap();
        let found: Findings = serde_json::from_str(
            r#"{"lungs":{"done":[]},"lobes":{"done":[]},"nodules":{"not_evaluated":"nodules not evaluated: slice spacing 5.0 mm"},
            "pneumonia":{"done":{"confidence":0,"ground_glass":[],"consolidation":[],"extents":[]}},"rib_fractures":{"done":[]},
            "emphysema":{"done":{"laa950_percent":0.3,"regions":[]}},"bronchiectasis":{"done":[]},
            "pleural_effusions":{"done":[{"centre_mm":[0,0,0],"side":"right","confidence":0.9,"volume_ml":300.0}]},
            "pneumothoraces":{"done":[]},"coronary_calcium":{"done":{"score":{"agatston":0.0},"lesions":[]}},"lymph_nodes":{"done":[]}}"#,
        )
        .unwrap();
        let (planted_as, found_as) = (planted_words(&planted), found_words(&found));
        let rows: Vec<_> = cases::all(&planted, &found)
            .iter()
            .zip(planted_as.into_iter().zip(found_as))
            .map(|(case, (p, f))| row(case, p, f).join("|"))
            .collect();
        assert_eq!(rows[0], "nodules|none|slice spacing 5.0 mm|-|not evaluated");
        assert_eq!(rows[2], "rib fractures|left 7|none|0|MISSED");
        assert_eq!(rows[5], "pleural effusion|right 310 ml|right 300 ml|0|1 of 1");
        assert_eq!(rows[8], "enlarged lymph nodes|none|none|0|");
    }
}
