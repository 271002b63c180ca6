//! How a lesion changed: longest diameter, volume, and the category of response by the thresholds of RECIST 1.1 (Eisenhauer
//! EA, Therasse P, Bogaerts J et al., Eur J Cancer 45 (2009) 228-247).
//!
//! RECIST judges the sum of up to five target lesions of a patient, by methods that it names; ultrasound is not among them.
//! Here one lesion is judged by itself: whoever shows a category says so ([`RULE`]).

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::due;
use super::sighting::{By, Method, Sighting};

/// To be shown beside every category.
pub const RULE: &str = "thresholds of RECIST 1.1 applied to this lesion alone; RECIST 1.1 judges all target lesions \
    together and does not accept ultrasound as a method of measurement";

/// PR: at least so much less than at baseline, percent.
pub const PARTIAL_PERCENT: f64 = 30.0;
/// PD: at least so much more than the smallest since baseline, percent,
pub const PROGRESSION_PERCENT: f64 = 20.0;
/// and so much in mm.
pub const PROGRESSION_MM: f64 = 5.0;
/// A lesion that is smaller at baseline is not measurable (callipers, CT), mm.
pub const MEASURABLE_MM: f64 = 10.0;
/// A baseline is at most so much older than the treatment (section 3.1), days.
pub const BASELINE_DAYS: i32 = 28;

/// What one day says of a lesion by one method: of several pictures the one with the longest diameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Visit {
    pub date: Date,
    pub method: Method,
    pub longest_mm: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_ml: Option<f64>,
    pub gone: bool,
}

/// Between two visits that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub from: Date,
    pub to: Date,
    /// Then, now.
    pub longest_mm: [f64; 2],
    /// Of the longest diameter; `None` from 0 on.
    pub percent: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_ml: Option<[f64; 2]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Category {
    #[serde(rename = "CR")]
    Complete,
    #[serde(rename = "PR")]
    Partial,
    #[serde(rename = "SD")]
    Stable,
    #[serde(rename = "PD")]
    Progressive,
    #[serde(rename = "NE")]
    NotEvaluable,
}

/// Why there is no category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    #[error("it was not measured on or before the day on which the treatment began")]
    NoBaseline,
    #[error("it was not measured since the treatment began")]
    NothingSince,
    #[error("before the treatment it was measured by other methods only")]
    Methods,
    #[error("at baseline it was smaller than 10 mm")]
    TooSmall,
    #[error("it was measured last more than four weeks before the treatment began")]
    OldBaseline,
}

/// The category at the last visit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Response {
    pub category: Category,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Why>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Visit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nadir: Option<Visit>,
}

/// One for each day and method, oldest first. Of one day a person's measurement comes last, before it the methods by name: not
/// the analysis that ended last decides what is shown. What was not measured is none.
pub fn visits<'a>(sightings: impl IntoIterator<Item = &'a Sighting>) -> Vec<Visit> {
    let mut visits: Vec<Visit> = Vec::new();
    for seen in sightings {
        let Some(longest_mm) = seen.longest_mm() else { continue };
        let (date, method, gone) = (seen.date, seen.method.clone(), seen.gone);
        let new = Visit { date, method, longest_mm, volume_ml: seen.volume_ml(), gone };
        match visits.iter_mut().find(|old| old.date == new.date && old.method.is_same(&new.method)) {
            Some(old) => {
                // A picture with three axes gives the volume, also if another one shows a longer diameter.
                let volume_ml = larger(old.volume_ml, new.volume_ml);
                if new.longest_mm > old.longest_mm {
                    *old = new;
                }
                old.volume_ml = volume_ml.filter(|volume| old.gone || *volume > 0.0);
            }
            None => visits.push(new),
        }
    }
    visits.sort_by(|a, b| order(a).cmp(&order(b)));
    visits
}

fn order(visit: &Visit) -> (Date, bool, &str) {
    (visit.date, visit.method.by == By::Person, &visit.method.modality)
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.into_iter().chain(b).reduce(f64::max)
}

/// The visits of the last day, by each method one, the last first. Of an earlier day none is taken: it would be shown as now.
fn of_last_day(visits: &[Visit]) -> impl Iterator<Item = &Visit> {
    let day = visits.last().map(|visit| visit.date);
    visits.iter().rev().take_while(move |visit| Some(visit.date) == day)
}

/// To the last visit from the last earlier one by the same method. `None` when there is none for any method of that day.
pub fn last_change(visits: &[Visit]) -> Option<Change> {
    let before = |now: &Visit| visits.iter().rfind(|then| then.date < now.date && then.method.is_same(&now.method));
    let (then, now) = of_last_day(visits).find_map(|now| before(now).map(|then| (then, now)))?;
    Some(Change {
        from: then.date,
        to: now.date,
        longest_mm: [then.longest_mm, now.longest_mm],
        percent: percent(then.longest_mm, now.longest_mm),
        volume_ml: then.volume_ml.zip(now.volume_ml).map(|(then, now)| [then, now]),
    })
}

fn percent(then: f64, now: f64) -> Option<f64> {
    (then > 0.0).then(|| (now - then) / then * 100.0)
}

fn not(why: Why) -> Response {
    Response { category: Category::NotEvaluable, why: Some(why), baseline: None, nadir: None }
}

/// The category of the last day under a treatment that began on `begun`. `visits`: as of [`visits`]. Of several methods of that
/// day the last one that can be judged counts; if none can, the last one says why.
pub fn response(visits: &[Visit], begun: Date) -> Response {
    if !visits.iter().any(|visit| visit.date <= begun && !visit.gone) {
        return not(Why::NoBaseline);
    }
    let judged: Vec<Response> =
        of_last_day(visits).filter(|now| now.date > begun).map(|now| response_of(visits, now, begun)).collect();
    let by_method = judged.iter().find(|one| one.why.is_none());
    // That a method has a baseline which is of no use says more than that another one has none.
    let has_baseline = || judged.iter().find(|one| one.why != Some(Why::Methods));
    by_method.or_else(has_baseline).or_else(|| judged.first()).cloned().unwrap_or_else(|| not(Why::NothingSince))
}

fn response_of(visits: &[Visit], now: &Visit, begun: Date) -> Response {
    let own = || visits.iter().filter(|visit| visit.method.is_same(&now.method) && visit.date < now.date);
    let Some(baseline) = own().rfind(|visit| visit.date <= begun && !visit.gone) else { return not(Why::Methods) };
    if due::days(baseline.date, begun) > BASELINE_DAYS {
        return not(Why::OldBaseline);
    }
    if baseline.longest_mm < MEASURABLE_MM {
        return not(Why::TooSmall);
    }
    let since = own().filter(|visit| visit.date >= baseline.date);
    let nadir = since.min_by(|a, b| a.longest_mm.total_cmp(&b.longest_mm)).unwrap_or(baseline);
    Response {
        category: category(baseline.longest_mm, nadir.longest_mm, now.longest_mm),
        why: None,
        baseline: Some(baseline.clone()),
        nadir: Some(nadir.clone()),
    }
}

/// RECIST 1.1 section 4.3.1, of longest diameters in mm; 0: gone. `nadir`: the smallest since baseline, itself included. One
/// that comes back is progression (section 4.4).
pub fn category(baseline: f64, nadir: f64, now: f64) -> Category {
    // Percentages of decimal sizes are a hair off.
    const HAIR: f64 = 1e-9;
    let grown = now - nadir;
    let reappeared = nadir <= 0.0 && now > 0.0;
    if now <= 0.0 {
        Category::Complete
    } else if reappeared || (grown + HAIR >= PROGRESSION_MM && grown + HAIR >= nadir * PROGRESSION_PERCENT / 100.0) {
        Category::Progressive
    } else if baseline - now + HAIR >= baseline * PARTIAL_PERCENT / 100.0 {
        Category::Partial
    } else {
        Category::Stable
    }
}
