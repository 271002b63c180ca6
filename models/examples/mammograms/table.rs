//! What was counted, as text.

use std::fmt::Write;

use crate::cases::Case;

/// The table, and one line for each picture.
pub fn table(cases: &[Case]) -> String {
    let count = |is: &dyn Fn(&Case) -> bool| cases.iter().filter(|case| is(case)).count();
    let labelled = count(&|case| case.holds_lesions().is_some());
    let all = cases.len();
    let mut text = String::from("| what | pictures | of |\n|---|---|---|\n");
    let mut row = |what: &str, number: usize, of: usize| {
        let _ = writeln!(text, "| {what} | {number} | {of} |");
    };
    row("read", count(&|case| case.read.is_ok()), all);
    row("outline of plausible size", count(&Case::outline_is_plausible), all);
    row("outline holds every labelled centre", count(&|case| case.holds_lesions() == Some(true)), labelled);
    row("chest wall at the side of the file number", count(&Case::side_is_right), all);
    let found = count(&|case| case.read.as_ref().is_ok_and(|reading| reading.muscle.is_some()));
    row("muscle found", found, all);
    row("of these plausible", count(&Case::muscle_is_plausible), found);
    text.push_str(&tissue(cases));
    text.push_str("\npicture: read, chest wall, area cm2, muscle (angle, step, clear), nipple, density, tissue\n");
    for case in cases {
        let _ = writeln!(text, "{}", line(case));
    }
    text
}

fn tissue(cases: &[Case]) -> String {
    let measured: Vec<(usize, char, f32)> = cases
        .iter()
        .filter_map(|case| {
            let density = case.read.as_ref().ok()?.density?;
            Some(("FGD".find(case.tissue)?, density.category.letter(), density.percent))
        })
        .collect();
    let mut text = String::from("\n| tissue | A | B | C | D | median percent |\n|---|---|---|---|---|---|\n");
    for (label, name) in ["F", "G", "D"].into_iter().enumerate() {
        let own: Vec<_> = measured.iter().filter(|(tissue, ..)| *tissue == label).collect();
        let mut percent: Vec<f32> = own.iter().map(|(_, _, percent)| *percent).collect();
        percent.sort_by(f32::total_cmp);
        let of = |letter| own.iter().filter(|(_, own, _)| *own == letter).count();
        let median = percent.get(percent.len() / 2).copied().unwrap_or(0.0);
        let _ = writeln!(text, "| {name} | {} | {} | {} | {} | {median:.0} |", of('A'), of('B'), of('C'), of('D'));
    }
    let labels: Vec<f64> = measured.iter().map(|(label, ..)| *label as f64).collect();
    let percents: Vec<f64> = measured.iter().map(|(_, _, percent)| f64::from(*percent)).collect();
    let _ = writeln!(text, "\nSpearman's rank correlation of percent and tissue: {:.2}", spearman(&labels, &percents));
    text
}

fn line(case: &Case) -> String {
    match &case.read {
        Err(why) => format!("{}: {why:?}, tissue {}", case.name, case.tissue),
        Ok(reading) => {
            let muscle = reading.muscle.as_ref().map_or_else(
                || "none".to_owned(),
                |m| format!("{:.0} deg, {:.2}, {:.2}", m.angle_deg, m.step, m.clear),
            );
            let density = reading
                .density
                .map_or_else(|| "none".to_owned(), |d| format!("{:.0} % {}", d.percent, d.category.letter()));
            format!(
                "{}: {:?}, {:.0} cm2, muscle {muscle}, nipple {:?}, density {density}, tissue {}",
                case.name,
                reading.chest_wall,
                reading.breast.area_cm2.unwrap_or(0.0),
                reading.nipple.sureness,
                case.tissue
            )
        }
    }
}

/// The correlation of ranks; those of equal values are their mean.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (of_a, of_b) = (mean(&a), mean(&b));
    let together: f64 = a.iter().zip(&b).map(|(x, y)| (x - of_a) * (y - of_b)).sum();
    let own = |values: &[f64], mean: f64| values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let spread = (own(&a, of_a) * own(&b, of_b)).sqrt();
    if spread > 0.0 { together / spread } else { 0.0 }
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |v: &f64| values.iter().filter(|other| *other < v).count() as f64;
    let same = |v: &f64| values.iter().filter(|other| *other == v).count() as f64;
    values.iter().map(|v| below(v) + (same(v) + 1.0) / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_that_go_together_give_one_and_against_each_other_minus_one() {
        assert!((spearman(&[0.0, 1.0, 2.0], &[5.0, 7.0, 70.0]) - 1.0).abs() < 1e-9);
        assert!((spearman(&[0.0, 1.0, 2.0], &[9.0, 7.0, 1.0]) + 1.0).abs() < 1e-9);
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
    }
}
