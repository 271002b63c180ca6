//! Figures of a model evaluation: counts over many phantoms, their 95 % confidence intervals, the table for the card.
//! Pure.

use std::fmt::{self, Display};
use std::ops::Range;

use serde::Serialize;

use crate::demo::compare::Comparison;

/// One analysed phantom.
#[derive(Debug, Clone, Serialize)]
pub struct Scan {
    pub seed: u64,
    pub planted: Vec<Planted>,
    /// Findings that are no planted nodule: confidence and diameter, mm.
    pub extra: Vec<(f64, f64)>,
    /// Right, left: planted and measured lung volume, ml.
    pub lungs_ml: [(f64, f64); 2],
    pub timings_ms: Vec<(String, f64)>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Planted {
    pub diameter_mm: f64,
    pub volume_mm3: f64,
    pub make: String,
    pub place: String,
    pub found: Option<Found>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Found {
    pub confidence: f64,
    pub diameter_mm: f64,
    pub volume_mm3: f64,
    /// Distance between the two centres, mm.
    pub off_mm: f64,
}

impl Display for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.planted.iter().filter(|p| p.found.is_some()).count();
        write!(f, "{}: {found} of {} nodules, {} extra", self.seed, self.planted.len(), self.extra.len())?;
        for missed in self.planted.iter().filter(|p| p.found.is_none()) {
            write!(f, "; missed {:.1} mm {} {}", missed.diameter_mm, missed.make, missed.place)?;
        }
        for (confidence, diameter) in &self.extra {
            write!(f, "; extra {diameter:.1} mm at {confidence:.2}")?;
        }
        Ok(())
    }
}

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    pub hit: usize,
    pub of: usize,
}

impl Share {
    fn count<'a>(nodules: impl Iterator<Item = &'a Planted>) -> Self {
        nodules.fold(Self::default(), |s, p| Self { hit: s.hit + usize::from(p.found.is_some()), of: s.of + 1 })
    }

    pub fn value(self) -> f64 {
        self.hit as f64 / self.of.max(1) as f64
    }

    /// Wilson's score interval, 95 % (Wilson 1927).
    pub fn interval(self) -> [f64; 2] {
        let (n, p, z) = (self.of.max(1) as f64, self.value(), 1.959_964);
        let middle = p + z * z / (2.0 * n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        [((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0)]
    }
}

impl Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of == 0 {
            return write!(f, "none planted");
        }
        let [low, high] = self.interval();
        write!(f, "{:.3} ({low:.3} to {high:.3}), {} of {}", self.value(), self.hit, self.of)
    }
}

/// Poisson interval for a count, 95 %, by Byar's approximation (Breslow and Day 1987, 2.2).
fn count_interval(count: usize) -> [f64; 2] {
    let z = 1.959_964;
    let bound = |c: f64, z: f64| c * (1.0 - 1.0 / (9.0 * c) + z / (3.0 * c.sqrt())).powi(3);
    let low = if count == 0 { 0.0 } else { bound(count as f64, -z) };
    [low, bound(count as f64 + 1.0, z)]
}

/// All phantoms together.
#[derive(Debug)]
pub struct Summary<'a> {
    scans: &'a [Scan],
}

/// Nodules from this diameter on are the ones that must be found.
pub const LARGE_MM: f64 = 6.0;

impl<'a> Summary<'a> {
    pub fn of(scans: &'a [Scan]) -> Self {
        Self { scans }
    }

    fn nodules(&self) -> impl Iterator<Item = &'a Planted> {
        self.scans.iter().flat_map(|s| &s.planted)
    }

    fn large(&self) -> impl Iterator<Item = &'a Planted> {
        self.nodules().filter(|p| p.diameter_mm >= LARGE_MM)
    }

    pub fn sensitivity_large(&self) -> Share {
        Share::count(self.large())
    }

    pub fn false_per_scan(&self) -> f64 {
        self.extra() as f64 / self.scans.len().max(1) as f64
    }

    fn extra(&self) -> usize {
        self.scans.iter().map(|s| s.extra.len()).sum()
    }

    /// Medians over found nodules of at least [`LARGE_MM`]: distance of centres (mm), error of diameter (mm), error of
    /// volume (percent of the planted volume).
    fn errors(&self) -> [f64; 3] {
        let pairs: Vec<_> = self.large().filter_map(|p| Some((p, p.found?))).collect();
        [
            median(pairs.iter().map(|(_, f)| f.off_mm)),
            median(pairs.iter().map(|(p, f)| (f.diameter_mm - p.diameter_mm).abs())),
            median(pairs.iter().map(|(p, f)| 100.0 * (f.volume_mm3 - p.volume_mm3).abs() / p.volume_mm3)),
        ]
    }

    fn lung_error(&self) -> f64 {
        median(
            self.scans
                .iter()
                .flat_map(|s| s.lungs_ml)
                .map(|(planted, found)| 100.0 * (found - planted).abs() / planted),
        )
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The table of the card, Markdown.
pub fn table(summary: &Summary<'_>, seeds: &Range<u64>, model: &str) -> String {
    let scans = summary.scans.len();
    let [low, high] = count_interval(summary.extra()).map(|c| c / scans.max(1) as f64);
    let [off, diameter, volume] = summary.errors();
    let mut rows = vec![
        ("phantoms".to_owned(), format!("{scans} (seeds {} to {})", seeds.start, seeds.end - 1)),
        ("model".to_owned(), model.to_owned()),
        ("sensitivity, nodules >= 6 mm".to_owned(), summary.sensitivity_large().to_string()),
    ];
    let mut makes: Vec<&str> = summary.large().map(|p| p.make.as_str()).collect();
    makes.sort_unstable();
    makes.dedup();
    for make in makes {
        let share = Share::count(summary.large().filter(|p| p.make == make));
        rows.push((format!("- {make}"), share.to_string()));
    }
    for place in ["parenchyma", "pleura", "vessel"] {
        let share = Share::count(summary.large().filter(|p| p.place == place));
        rows.push((format!("- at: {place}"), share.to_string()));
    }
    let small = Share::count(summary.nodules().filter(|p| (4.0..LARGE_MM).contains(&p.diameter_mm)));
    rows.push(("sensitivity, nodules 4 to 6 mm".into(), small.to_string()));
    let rate = format!("{:.2} ({low:.2} to {high:.2}), {} in all", summary.false_per_scan(), summary.extra());
    rows.push(("false positives per scan".into(), rate));
    rows.push(("median distance of centres, >= 6 mm".into(), format!("{off:.1} mm")));
    rows.push(("median error of diameter, >= 6 mm".into(), format!("{diameter:.1} mm")));
    rows.push(("median error of volume, >= 6 mm".into(), format!("{volume:.0} %")));
    rows.push(("median error of lung volume".into(), format!("{:.1} %", summary.lung_error())));
    let mut text = "| figure | value (95 % confidence interval) |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        text.push_str(&format!("| {name} | {value} |\n"));
    }
    text
}

/// The card with what stands between its two marks replaced by `table`; `None` when the marks are not there.
pub fn with_table(card: &str, table: &str) -> Option<String> {
    const BEGIN: &str = "<!-- evaluation: written by `make evaluate` -->\n";
    const END: &str = "<!-- end of evaluation -->";
    let begin = card.find(BEGIN)? + BEGIN.len();
    let end = begin + card[begin..].find(END)?;
    Some(format!("{}{table}{}", &card[..begin], &card[end..]))
}

/// What a comparison says, beside what only the phantom knows.
pub fn nodules(comparison: &Comparison, truth: &crate::phantom::Truth) -> (Vec<Planted>, Vec<(f64, f64)>) {
    let planted = truth.nodules.iter().map(|n| {
        let pair = comparison.planted.iter().find(|(p, _)| p.centre_mm == n.centre_mm);
        let found = pair.and_then(|(_, f)| f.as_ref()).map(|f| Found {
            confidence: f.confidence,
            diameter_mm: f.diameter_mm,
            volume_mm3: f.volume_mm3,
            off_mm: crate::demo::compare::distance(n.centre_mm, f.centre_mm),
        });
        Planted {
            diameter_mm: n.diameter_mm,
            volume_mm3: n.volume_mm3,
            make: n.make.words().into(),
            place: n.place.words().into(),
            found,
        }
    });
    (planted.collect(), comparison.extra.iter().map(|f| (f.confidence, f.diameter_mm)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(diameter_mm: f64, found: bool) -> Planted {
        let found = found.then_some(Found { confidence: 0.9, diameter_mm, volume_mm3: 100.0, off_mm: 0.5 });
        Planted { diameter_mm, volume_mm3: 100.0, make: "solid".into(), place: "pleura".into(), found }
    }

    fn scan(planted: Vec<Planted>, extra: usize) -> Scan {
        let lungs_ml = [(2000.0, 1900.0), (1800.0, 1800.0)];
        Scan { seed: 1, planted, extra: vec![(0.7, 5.0); extra], lungs_ml, timings_ms: Vec::new() }
    }

    #[test]
    fn small_nodules_do_not_count_towards_the_sensitivity_for_large_ones() {
        let scans = [scan(vec![planted(8.0, true), planted(5.0, false)], 1), scan(vec![planted(7.0, false)], 0)];
        let summary = Summary::of(&scans);
        assert_eq!(summary.sensitivity_large(), Share { hit: 1, of: 2 });
        assert!((summary.false_per_scan() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn intervals_agree_with_the_published_examples() {
        // Newcombe 1998: 81 of 263 gives 0.2553 to 0.3662.
        let [low, high] = Share { hit: 81, of: 263 }.interval();
        assert!((low - 0.2553).abs() < 1e-4 && (high - 0.3662).abs() < 1e-4);
        // Exact Poisson limits for a count of 10: 4.80 to 18.39.
        let [low, high] = count_interval(10);
        assert!((low - 4.80).abs() < 0.02 && (high - 18.39).abs() < 0.02);
    }

    #[test]
    fn only_the_marked_part_of_the_card_changes() {
        let card = "before\n<!-- evaluation: written by `make evaluate` -->\nold\n<!-- end of evaluation -->\nafter\n";
        let new = with_table(card, "new\n").unwrap();
        assert!(new.starts_with("before\n") && new.ends_with("<!-- end of evaluation -->\nafter\n"));
        assert!(new.contains("new\n") && !new.contains("old"));
        assert_eq!(with_table("no marks", "new"), None);
    }
}
