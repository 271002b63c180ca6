//! Nodules of one patient in two studies: which are the same, and how much they grew. Pure.
//!
//! Places are compared relative to the box of their lung, because patient, breath and frame of reference differ between
//! two scans. What cannot be told apart is not matched: a wrong pair is worse than none.

use serde::{Deserialize, Deserializer, Serialize};

use crate::acquisition::Acquisition;
use crate::findings::{LobeName, Side};

/// How far a nodule may seem to move against the box of its lung between two breaths, mm.
const MOST_MM: f64 = 15.0;
/// A second candidate must be this much farther away, mm.
const APART_MM: f64 = 5.0;
/// Volumes of one nodule differ by less than this factor; more is another lesion, or one that cannot be compared by itself.
const MOST_TIMES: f64 = 16.0;
/// Growth that is more than the error of measurement, percent of the volume (van Klaveren et al., N Engl J Med 361 (2009)
/// 2221-2229: NELSON).
const GROWTH_PERCENT: f64 = 25.0;

/// A nodule as far as two studies are compared by it. Also read from findings that were stored.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Place {
    pub number: usize,
    pub side: Side,
    pub lobe: Option<LobeName>,
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    /// Not a number where a person measured it otherwise: it is matched with none.
    #[serde(deserialize_with = "or_none")]
    pub volume_mm3: f64,
}

/// What is withheld is null in JSON.
fn or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The box of one lung, mm, LPS: lowest and highest corner. Also read from findings that were stored.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Frame {
    pub side: Side,
    pub box_mm: [[f64; 3]; 2],
}

/// Nodules of one study, with the boxes of its lungs.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub nodules: &'a [Place],
    pub lungs: &'a [Frame],
}

/// What became of a nodule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Course {
    Grown,
    Smaller,
    /// Within the error of measurement.
    Unchanged,
}

/// One nodule in both studies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoduleChange {
    /// Its number in this study.
    pub number: usize,
    pub side: Side,
    pub lobe: Option<LobeName>,
    /// Prior study, then this one, mm^3.
    pub volume_mm3: [f64; 2],
    pub course: Course,
    /// Of one that has grown: days in which its volume doubles.
    pub doubling_days: Option<f64>,
}

/// Nodules beside those of a prior study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nodules {
    /// Days between the studies.
    pub days: i64,
    pub changes: Vec<NoduleChange>,
    /// Of the prior study and of this one: how many have no counterpart that is sure.
    pub unmatched: [usize; 2],
}

/// Why a study cannot be compared with an earlier one that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// This study has neither shares of pneumonia nor nodules in lungs that were seen.
    Now,
    /// The earlier one has none, or does not say where its lungs are.
    Then,
    /// The dates do not say how many days lie between them.
    Days,
}

/// What differs between the scans, so that sizes and percentages may differ without a change of the patient.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// Manufacturer or model.
    Scanner,
    /// Reconstruction kernels, then and now.
    Kernel([String; 2]),
    /// Slice thicknesses, then and now, mm.
    Thickness([f64; 2]),
    /// Contrast agent in one of the two.
    Contrast,
    /// Of the lungs, then and now, ml: another breath.
    LungVolume([f64; 2]),
}

/// Volumes of the lungs that differ by more than this factor are of different breaths.
const OTHER_BREATH: f64 = 1.15;

/// Volumes of the lungs in two scans, ml: were they of different breaths? `None` when one is not known.
pub fn other_breath(then: Option<f64>, now: Option<f64>) -> Option<bool> {
    let (then, now) = (then.filter(|ml| *ml > 0.0)?, now.filter(|ml| *ml > 0.0)?);
    Some((then / now).max(now / then) > OTHER_BREATH)
}

/// What the headers and the lungs of two scans say differently. What one of them does not say is not judged. `lungs_ml`: volume of
/// the lungs, then and now.
pub fn differences(then: &Acquisition, now: &Acquisition, lungs_ml: [Option<f64>; 2]) -> Vec<Difference> {
    let other =
        |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if !a.eq_ignore_ascii_case(b));
    let mut found = Vec::new();
    if other(&then.manufacturer, &now.manufacturer) || other(&then.scanner, &now.scanner) {
        found.push(Difference::Scanner);
    }
    if other(&then.kernel, &now.kernel) {
        found.push(Difference::Kernel([&then.kernel, &now.kernel].map(|kernel| kernel.clone().unwrap_or_default())));
    }
    if let (Some(a), Some(b)) = (then.slice_thickness_mm, now.slice_thickness_mm)
        && (a - b).abs() > 0.25
    {
        found.push(Difference::Thickness([a, b]));
    }
    if matches!((then.contrast, now.contrast), (Some(a), Some(b)) if a != b) {
        found.push(Difference::Contrast);
    }
    if let ([Some(a), Some(b)], Some(true)) = (lungs_ml, other_breath(lungs_ml[0], lungs_ml[1])) {
        found.push(Difference::LungVolume([a, b]));
    }
    found
}

/// Finds the pairs and measures them; `days`: from the prior study to this one. `None` when one of the studies does not say
/// where its lungs are.
pub fn compare(then: Seen<'_>, now: Seen<'_>, days: i64) -> Option<Nodules> {
    if then.lungs.is_empty() || now.lungs.is_empty() {
        return None;
    }
    let changes: Vec<NoduleChange> = pairs(then, now).into_iter().map(|(a, b)| change(&a, &b, days)).collect();
    let unmatched = [then, now].map(|seen| seen.nodules.len() - changes.len());
    Some(Nodules { days, changes, unmatched })
}

/// Days in which the volume doubles: t ln 2 / ln(V2 / V1) (Schwartz, Cancer 14 (1961) 1272-1294). `None` when it does not
/// grow.
pub fn doubling_days(days: i64, [then, now]: [f64; 2]) -> Option<f64> {
    let grows = days > 0 && then > 0.0 && now > then;
    grows.then(|| days as f64 * std::f64::consts::LN_2 / (now / then).ln())
}

fn change(then: &Place, now: &Place, days: i64) -> NoduleChange {
    let volume_mm3 = [then.volume_mm3, now.volume_mm3];
    let percent = 100.0 * (now.volume_mm3 / then.volume_mm3 - 1.0);
    let course = if percent >= GROWTH_PERCENT {
        Course::Grown
    } else if percent <= -GROWTH_PERCENT {
        Course::Smaller
    } else {
        Course::Unchanged
    };
    let doubling_days = (course == Course::Grown).then(|| doubling_days(days, volume_mm3)).flatten();
    NoduleChange { number: now.number, side: now.side, lobe: now.lobe, volume_mm3, course, doubling_days }
}

/// Nodules that are each other's nearest, near enough, with no second one that might be meant.
fn pairs(then: Seen<'_>, now: Seen<'_>) -> Vec<(Place, Place)> {
    let far = |a: &Place, b: &Place| distance(a, then.lungs, b, now.lungs);
    let sure = |ranked: Vec<(f64, usize)>| match ranked.as_slice() {
        [] => None,
        [(_, only)] => Some(*only),
        [(first, nearest), (second, _), ..] => (second - first >= APART_MM).then_some(*nearest),
    };
    let rank = |distances: Vec<Option<f64>>| {
        let mut near: Vec<(f64, usize)> =
            distances.into_iter().enumerate().filter_map(|(i, mm)| Some((mm?, i))).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        near
    };
    let of_now = |b: &Place| sure(rank(then.nodules.iter().map(|a| far(a, b)).collect()));
    let of_then = |a: &Place| sure(rank(now.nodules.iter().map(|b| far(a, b)).collect()));
    let pair = |(index, b): (usize, &Place)| {
        let a = then.nodules.get(of_now(b)?)?;
        // Of one without a volume nothing can be said, but it is there, and its neighbour is not it.
        let is_measured = !(a.volume_mm3.is_nan() || b.volume_mm3.is_nan());
        (is_measured && of_then(a)? == index).then_some((*a, *b))
    };
    now.nodules.iter().enumerate().filter_map(pair).collect()
}

/// Between two nodules, when the boxes of their lung are laid upon each other, mm; `None` when they cannot be the same.
fn distance(a: &Place, then: &[Frame], b: &Place, now: &[Frame]) -> Option<f64> {
    let times = (a.volume_mm3 / b.volume_mm3).max(b.volume_mm3 / a.volume_mm3);
    if a.side != b.side || times >= MOST_TIMES {
        return None;
    }
    let lung = |lungs: &[Frame], side| lungs.iter().find(|lung| lung.side == side).map(|lung| lung.box_mm);
    let ([low_a, high_a], [low_b, high_b]) = (lung(then, a.side)?, lung(now, b.side)?);
    let along = |axis: usize| {
        let share = (a.centre_mm[axis] - low_a[axis]) / (high_a[axis] - low_a[axis]).max(1.0);
        low_b[axis] + share * (high_b[axis] - low_b[axis]) - b.centre_mm[axis]
    };
    let mm = (0..3).map(|axis| along(axis).powi(2)).sum::<f64>().sqrt();
    (mm <= MOST_MM).then_some(mm)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOW: [f64; 3] = [-140.0, -100.0, -300.0];
    const HIGH: [f64; 3] = [-10.0, 90.0, 0.0];

    fn lungs(moved: [f64; 3], times: f64) -> Vec<Frame> {
        let at = |corner: [f64; 3]| [0, 1, 2].map(|a| corner[a] * times + moved[a]);
        vec![Frame { side: Side::Right, box_mm: [at(LOW), at(HIGH)] }]
    }

    fn nodule(number: usize, centre_mm: [f64; 3], volume_mm3: f64) -> Place {
        Place { number, side: Side::Right, lobe: Some(LobeName::RightUpper), centre_mm, volume_mm3 }
    }

    fn compared(then: &[Place], now: &[Place]) -> Nodules {
        let lungs = lungs([0.0; 3], 1.0);
        compare(Seen { nodules: then, lungs: &lungs }, Seen { nodules: now, lungs: &lungs }, 180).unwrap()
    }

    #[test]
    fn growth_beyond_the_error_of_measurement_has_a_doubling_time() {
        let at = [-60.0, 0.0, -100.0];
        let one = |volume| compared(&[nodule(4, at, 500.0)], &[nodule(1, at, volume)]).changes.remove(0);
        let grown = one(1000.0);
        assert_eq!((grown.number, grown.course), (1, Course::Grown));
        assert!((grown.doubling_days.unwrap() - 180.0).abs() < 1e-9, "it doubled in 180 days");
        assert_eq!((one(620.0).course, one(620.0).doubling_days), (Course::Unchanged, None));
        assert_eq!(one(370.0).course, Course::Smaller);
        assert_eq!(doubling_days(0, [1.0, 2.0]), None);
        assert_eq!(doubling_days(10, [0.0, 2.0]), None);
    }

    #[test]
    fn two_that_may_be_meant_are_not_matched() {
        let (a, b) = ([-60.0, 0.0, -100.0], [-60.0, 0.0, -93.0]);
        let between = [-60.0, 0.0, -96.0];
        let found = compared(&[nodule(1, a, 100.0), nodule(2, b, 100.0)], &[nodule(1, between, 100.0)]);
        assert_eq!((found.changes.len(), found.unmatched), (0, [2, 1]));
        let both = compared(&[nodule(1, a, 100.0), nodule(2, b, 100.0)], &[nodule(1, b, 100.0), nodule(2, a, 100.0)]);
        assert_eq!(both.changes.len(), 2);
        assert_eq!(both.unmatched, [0, 0]);
    }

    #[test]
    fn another_side_another_size_or_another_place_is_another_nodule() {
        let at = [-60.0, 0.0, -100.0];
        let one = nodule(1, at, 100.0);
        let other_side = Place { side: Side::Left, ..one };
        for other in [other_side, nodule(1, at, 2000.0), nodule(1, [-60.0, 0.0, -84.0], 100.0)] {
            let found = compared(&[one], &[other]);
            assert_eq!((found.changes.len(), found.unmatched), (0, [1, 1]), "{other:?}");
        }
    }

    /// Its volume was withheld; written and read again it is so, too.
    #[test]
    fn a_nodule_of_which_a_person_measured_another_size_has_no_growth() {
        let json = r#"{"number":1,"side":"right","lobe":null,"centre_mm":[-60.0,0.0,-100.0],"volume_mm3":null}"#;
        let one: Place = serde_json::from_str(json).unwrap();
        let found = compared(&[nodule(1, [-60.0, 0.0, -100.0], 100.0)], &[one]);
        assert_eq!((found.changes.len(), found.unmatched), (0, [1, 1]));
        assert_eq!(compared(&[one], &[nodule(1, [-60.0, 0.0, -100.0], 100.0)]).changes.len(), 0);
    }

    #[test]
    fn the_neighbour_of_an_edited_nodule_does_not_get_its_past() {
        let (at, beside) = ([-60.0, 0.0, -100.0], [-60.0, 0.0, -109.0]);
        let edited = nodule(1, at, f64::NAN);
        let found = compared(&[nodule(1, at, 200.0)], &[edited, nodule(2, beside, 600.0)]);
        assert_eq!((found.changes.len(), found.unmatched), (0, [1, 2]), "{:?}", found.changes);
    }

    #[test]
    fn without_the_lungs_nothing_is_compared() {
        let one = [nodule(1, [0.0; 3], 100.0)];
        let (known, unknown) = (lungs([0.0; 3], 1.0), Vec::new());
        let seen = |lungs| Seen { nodules: &one, lungs };
        assert_eq!(compare(seen(&known), seen(&unknown), 1), None);
        assert_eq!(compare(seen(&unknown), seen(&known), 1), None);
    }

    #[test]
    fn what_the_headers_say_differently_is_named_and_what_one_does_not_say_is_not() {
        let scan = |kernel: &str, mm, contrast| Acquisition {
            manufacturer: Some("ACME".into()),
            kernel: Some(kernel.into()),
            slice_thickness_mm: Some(mm),
            contrast,
            ..Acquisition::default()
        };
        let plain = scan("B30f", 1.0, Some(false));
        assert_eq!(differences(&plain, &plain, [Some(4000.0), Some(4500.0)]), []);
        assert_eq!(differences(&Acquisition::default(), &plain, [None, Some(4500.0)]), []);
        let other = Acquisition { manufacturer: Some("Other".into()), ..scan("B70f", 5.0, Some(true)) };
        let kernels = Difference::Kernel(["B30f".into(), "B70f".into()]);
        let breath = Difference::LungVolume([5000.0, 3000.0]);
        let wanted = [Difference::Scanner, kernels, Difference::Thickness([1.0, 5.0]), Difference::Contrast, breath];
        assert_eq!(differences(&plain, &other, [Some(5000.0), Some(3000.0)]), wanted);
    }

    proptest! {
        /// Nodules far enough from each other are found again wherever the patient lay and however deep the breath was.
        #[test]
        fn nodules_are_found_again_after_a_move_and_another_breath(
            moved in prop::array::uniform3(-200.0..200.0), times in 0.85..1.15, order in any::<bool>()
        ) {
            let at = [[-120.0, -50.0, -250.0], [-40.0, 60.0, -200.0], [-80.0, 0.0, -90.0], [-30.0, -80.0, -20.0]];
            let then: Vec<Place> = (1..).zip(at).map(|(n, c)| nodule(n, c, 100.0 * n as f64)).collect();
            let mut now: Vec<Place> = then
                .iter()
                .map(|p| Place { centre_mm: [0, 1, 2].map(|a| p.centre_mm[a] * times + moved[a]), ..*p })
                .collect();
            if order {
                now.reverse();
            }
            let (before, after) = (lungs([0.0; 3], 1.0), lungs(moved, times));
            let found = compare(Seen { nodules: &then, lungs: &before }, Seen { nodules: &now, lungs: &after }, 90).unwrap();
            prop_assert_eq!(found.unmatched, [0, 0]);
            for change in found.changes {
                prop_assert_eq!(change.volume_mm3, [100.0 * change.number as f64; 2]);
            }
        }
    }
}
