//! The tables of the card, Markdown.

use std::fmt::Write;
use std::ops::Range;

use super::Scan;
use super::cases::{Case, WRONG_RIB};
use super::dice::label;
use super::nodules::{LARGE_MM, MASS_MM, Planted, share};
use super::statistics::{Share, area, count_interval, median, median_interval};
use super::thick::Sampling;
use phantom::Channel;

/// All phantoms together, as Markdown: findings, measurements, nodules in detail.
pub fn tables(scans: &[Scan], seeds: &Range<u64>, model: &str) -> String {
    let mut text = format!(
        "{} phantoms (seeds {} to {}), model {model}. In brackets: 95 % confidence intervals.\n\n",
        scans.len(),
        seeds.start,
        seeds.end - 1
    );
    text.push_str(
        "| finding | phantoms with, without | sensitivity | false positives per scan | AUC |\n|---|---|---|---|---|\n",
    );
    let names: Vec<&str> = scans.first().map_or(Vec::new(), |s| s.cases.iter().map(|c| c.finding).collect());
    for name in &names {
        text.push_str(&finding(name, &cases(scans, name)));
    }
    text.push_str(
        "\nAUC orders phantoms by the highest reported confidence (emphysema: by LAA-950); nothing reported is 0. Lesions and \
         sides of one phantom are treated as independent.\n",
    );
    text.push_str(
        "\n| measurement | compared | median error without sign | median error with sign |\n|---|---|---|---|\n",
    );
    for name in &names {
        text.push_str(&measurements(name, &cases(scans, name)));
    }
    text.push_str(&lungs(scans));
    text.push_str("\n| Dice where planted | phantoms | median | lowest |\n|---|---|---|---|\n");
    text.push_str(&overlaps(scans));
    text.push_str("\n| nodules in detail | sensitivity |\n|---|---|\n");
    text.push_str(&nodule_rows(scans));
    let seconds = median(scans.iter().map(|s| s.timings_ms.iter().map(|(_, ms)| ms / 1000.0).sum()));
    let _ = writeln!(text, "\nMedian time of the engine for a scan: {seconds:.1} s.");
    text
}

/// Calcium again, on scans made for calcium scoring.
pub fn calcium(scans: &[Scan], seeds: &Range<u64>) -> String {
    let name = "coronary artery calcification";
    let cases = cases(scans, name);
    format!(
        "\n{} phantoms scanned as for calcium scoring (seeds {} to {}; slices of 3 mm, soft kernel, gated, no contrast medium):\n\n\
         | finding | phantoms with, without | sensitivity | false positives per scan | AUC |\n|---|---|---|---|---|\n{}\n\
         | measurement | compared | median error without sign | median error with sign |\n|---|---|---|---|\n{}",
        scans.len(),
        seeds.start,
        seeds.end.saturating_sub(1),
        finding(name, &cases),
        measurements(name, &cases),
    )
}

/// The same phantoms in slices of one thickness: findings, and nodules and masses by their size.
pub fn thick(scans: &[Scan], seeds: &Range<u64>, sampling: Sampling, kernel: &str) -> String {
    let mut text = format!(
        "\n{} phantoms (seeds {} to {}) in {sampling}, {kernel}:\n\n\
         | finding | phantoms with, without | sensitivity | false positives per scan | AUC |\n|---|---|---|---|---|\n",
        scans.len(),
        seeds.start,
        seeds.end.saturating_sub(1),
    );
    for name in scans.first().map_or(Vec::new(), |s| s.cases.iter().map(|c| c.finding).collect()) {
        text.push_str(&finding(name, &cases(scans, name)));
    }
    text.push_str("\n| nodules and masses, whatever the least size | sensitivity |\n|---|---|\n");
    for (label, least_mm) in [("6 mm and more", 6.0), ("10 mm and more", 10.0), ("15 mm and more", 15.0)] {
        let of_size = scans.iter().flat_map(|s| &s.nodules).filter(|p| p.diameter_mm >= least_mm);
        let _ = writeln!(text, "| {label} | {} |", share(of_size));
    }
    let masses = scans.iter().flat_map(|s| &s.nodules).filter(|p| p.diameter_mm > MASS_MM);
    let _ = writeln!(text, "| masses, more than {MASS_MM} mm | {} |", share(masses));
    text
}

fn cases<'a>(scans: &'a [Scan], name: &str) -> Vec<&'a Case> {
    scans.iter().flat_map(|s| &s.cases).filter(|c| c.finding == name).collect()
}

/// One row. Phantoms in which the finding was not evaluated are not counted, but their number is given.
fn finding(name: &str, cases: &[&Case]) -> String {
    let done: Vec<_> = cases.iter().filter(|c| c.not_evaluated.is_none()).collect();
    let mut label = name.to_owned();
    if let Some(least) = done.first().and_then(|c| c.least.as_ref())
        && done.iter().all(|c| c.least.as_ref() == Some(least))
    {
        let _ = write!(label, " of {least} or more");
    }
    if let Some(why) = cases.iter().find_map(|c| c.not_evaluated.as_deref()) {
        let _ = write!(label, " (in {} phantoms not evaluated, for example: {why})", cases.len() - done.len());
    }
    if done.is_empty() {
        return format!("| {label} | 0, 0 | - | - | - |\n");
    }
    let sum = |of: fn(&Case) -> usize| done.iter().map(|c| of(c)).sum::<usize>();
    let sensitivity = Share { hit: sum(|c| c.hit), of: sum(|c| c.planted) };
    let extra = sum(|c| c.extra);
    let [low, high] = count_interval(extra).map(|c| c / done.len() as f64);
    let (with, without): (Vec<_>, Vec<_>) = done.iter().partition(|c| c.positive);
    let scores = |some: &[&&&Case]| some.iter().map(|c| c.score).collect::<Vec<_>>();
    let auc = area(&scores(&with), &scores(&without))
        .map_or_else(|| "-".to_owned(), |[a, low, high]| format!("{a:.3} ({low:.3} to {high:.3})"));
    let rate = extra as f64 / done.len() as f64;
    format!(
        "| {label} | {}, {} | {sensitivity} | {rate:.2} ({low:.2} to {high:.2}) | {auc} |\n",
        with.len(),
        without.len()
    )
}

fn measurements(name: &str, cases: &[&Case]) -> String {
    let errors = || cases.iter().flat_map(|c| &c.errors);
    let mut kinds: Vec<&str> = Vec::new();
    for (kind, _) in errors() {
        if !kinds.contains(kind) {
            kinds.push(kind);
        }
    }
    let one = |kind: &&str| {
        let values: Vec<f64> = errors().filter(|(k, _)| k == kind).map(|(_, v)| *v).collect();
        if *kind == WRONG_RIB {
            let wrong = Share { hit: values.iter().filter(|v| **v != 0.0).count(), of: values.len() };
            return format!("| {name}: {kind} | {} | {wrong} | |\n", values.len());
        }
        row(&format!("{name}: {kind}"), &values)
    };
    kinds.iter().map(one).collect()
}

fn row(label: &str, errors: &[f64]) -> String {
    let sizes: Vec<f64> = errors.iter().map(|e| e.abs()).collect();
    let [low, high] = median_interval(&sizes);
    let (size, signed) = (median(sizes.iter().copied()), median(errors.iter().copied()));
    format!("| {label} | {} | {size:.1} ({low:.1} to {high:.1}) | {signed:+.1} |\n", errors.len())
}

fn lungs(scans: &[Scan]) -> String {
    let errors: Vec<f64> =
        scans.iter().flat_map(|s| &s.lungs_ml).map(|(planted, found)| 100.0 * (found - planted) / planted).collect();
    row("lungs: volume of one, %", &errors)
}

/// Dice: all regions of a channel in a phantom are taken together.
fn overlaps(scans: &[Scan]) -> String {
    let row = |channel: Channel| {
        let values: Vec<f64> =
            scans.iter().flat_map(|s| &s.dice).filter(|(c, _)| *c == channel).map(|(_, dice)| *dice).collect();
        let lowest = values.iter().copied().reduce(f64::min)?;
        let ([low, high], middle) = (median_interval(&values), median(values.iter().copied()));
        Some(format!("| {} | {} | {middle:.3} ({low:.3} to {high:.3}) | {lowest:.3} |\n", label(channel), values.len()))
    };
    Channel::ALL.into_iter().filter_map(row).collect()
}

fn nodule_rows(scans: &[Scan]) -> String {
    let all = || scans.iter().flat_map(|s| &s.nodules);
    let large = || all().filter(|p| p.diameter_mm >= LARGE_MM);
    let mut rows = vec![(format!("{LARGE_MM} mm and more"), share(large()))];
    let mut by = |lead: &str, of: fn(&Planted) -> &str| {
        let mut kinds: Vec<&str> = large().map(of).collect();
        kinds.sort_unstable();
        kinds.dedup();
        rows.extend(kinds.iter().map(|k| (format!("{lead}{k}"), share(large().filter(|p| of(p) == *k)))));
    };
    by("- ", |p| &p.make);
    by("- at: ", |p| &p.place);
    rows.push(("4 to 6 mm".into(), share(all().filter(|p| (4.0..LARGE_MM).contains(&p.diameter_mm)))));
    rows.iter().map(|(label, share)| format!("| {label} | {share} |\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(not_evaluated: Option<&str>, planted: usize, hit: usize, extra: usize) -> Case {
        Case {
            finding: "pneumothorax",
            not_evaluated: not_evaluated.map(Into::into),
            least: None,
            positive: planted > 0,
            planted,
            hit,
            extra,
            score: hit as f64,
            errors: vec![("volume, %", -4.0); hit],
        }
    }

    #[test]
    fn phantoms_without_an_answer_count_nowhere_and_are_told() {
        let cases = [case(None, 1, 1, 0), case(None, 0, 0, 1), case(Some("slices too thick"), 5, 0, 0)];
        let row = finding("pneumothorax", &cases.iter().collect::<Vec<_>>());
        assert!(row.contains("in 1 phantoms not evaluated, for example: slices too thick"), "{row}");
        assert!(row.contains("| 1, 1 |") && row.contains("1 of 1") && row.contains("| 0.50 ("), "{row}");
    }

    #[test]
    fn each_thickness_has_its_own_table_with_the_size_that_counted() {
        let of = |diameter_mm, found: bool| Planted {
            diameter_mm,
            make: "solid".into(),
            place: "parenchyma".into(),
            found: found.then_some(super::super::nodules::Found { confidence: 0.9, off_mm: 1.0 }),
        };
        let scan = Scan {
            seed: 7,
            cases: vec![Case { least: Some("50 ml".into()), ..case(None, 1, 1, 0) }],
            nodules: vec![of(7.0, false), of(12.0, true), of(41.0, true)],
            lungs_ml: Vec::new(),
            dice: Vec::new(),
            timings_ms: Vec::new(),
        };
        let text = thick(&[scan], &(7..8), "5/2.5".parse().unwrap(), "kernel by the seed");
        assert!(
            text.contains("1 phantoms (seeds 7 to 7) in slices of 5 mm every 2.5 mm, kernel by the seed:"),
            "{text}"
        );
        assert!(text.contains("| pneumothorax of 50 ml or more | 1, 0 |"), "{text}");
        for (row, share) in [("6 mm and more", "2 of 3"), ("10 mm and more", "2 of 2"), ("more than 30 mm", "1 of 1")] {
            assert!(
                text.lines().any(|line| line.contains(row) && line.ends_with(&format!("{share} |"))),
                "{row}: {text}"
            );
        }
    }

    #[test]
    fn errors_are_told_with_and_without_their_sign() {
        let cases = [case(None, 1, 1, 0), case(None, 1, 1, 0)];
        let row = measurements("pneumothorax", &cases.iter().collect::<Vec<_>>());
        assert_eq!(row, "| pneumothorax: volume, % | 2 | 4.0 (4.0 to 4.0) | -4.0 |\n");
    }
}
