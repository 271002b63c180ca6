//! From which size on a finding is looked for: thick slices do not show small things, so that none of them is called
//! absent. Pure.

use serde::{Deserialize, Serialize};

use super::lymph_nodes::ENLARGED_MM;
use super::plan::Plan;
use crate::findings::ChestFinding;

/// Unit of a [`LeastSize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum SizeUnit {
    /// Mean diameter of a nodule, long axis of a fracture, short axis of a lymph node.
    #[serde(rename = "mm")]
    Millimetre,
    /// Volume of one region; in the pleural space, of one side.
    #[serde(rename = "ml")]
    Millilitre,
}

impl SizeUnit {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Millimetre => "mm",
            Self::Millilitre => "ml",
        }
    }
}

/// What is smaller was not evaluated: it is neither reported nor called absent. Of coronary calcium: less than this in all arteries
/// together may be missed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
pub struct LeastSize {
    pub finding: ChestFinding,
    /// In `unit`, to three digits.
    pub size: f64,
    pub unit: SizeUnit,
    /// Spacing or thickness of the slices, whichever is greater, mm.
    pub slice_mm: f64,
}

impl LeastSize {
    /// Number and unit, as in every language: `7.5 mm`. Calcium is counted in mm3.
    pub fn words(&self) -> String {
        if self.finding == ChestFinding::CoronaryCalcification {
            return format!("{:.0} mm3", self.size * 1000.0);
        }
        format!("{} {}", self.size, self.unit.as_str())
    }
}

/// The plan for slices of `slice_mm`, with the least sizes of its limits in the thresholds of their channels; and those that
/// are above what the package leaves out in any slices.
pub fn in_slices(plan: &Plan, slice_mm: f64) -> (Plan, Vec<LeastSize>) {
    let mut raised = plan.clone();
    let mut all = Vec::new();
    for (finding, limits) in &plan.limits {
        let Some(size) = limits.least_size_at(slice_mm) else { continue };
        let mut usual = if *finding == ChestFinding::LymphNode { ENLARGED_MM } else { 0.0 };
        for (_, thresholds) in raised.channels.iter_mut().filter(|(c, _)| finding.channels().contains(c)) {
            usual = usual.max(thresholds.min_size);
            thresholds.min_size = thresholds.min_size.max(size);
        }
        if size > usual {
            all.push(LeastSize { finding: *finding, size, unit: finding.size_unit(), slice_mm });
        }
    }
    (raised, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::ct_chest::plan::{Channel, Limits};
    use crate::task::ct_chest::testing::plan;

    const PAIRS: [[f64; 2]; 4] = [[1.5, 4.0], [3.0, 6.0], [5.0, 10.0], [8.0, 15.0]];

    fn with(finding: ChestFinding, pairs: &[[f64; 2]]) -> Plan {
        let mut plan = plan();
        let own = plan.limits.iter_mut().find(|(f, _)| *f == finding);
        own.unwrap().1 = Limits { least_size: pairs.to_vec(), ..Limits::default() };
        plan
    }

    #[test]
    fn the_least_size_grows_in_a_straight_line_between_the_pairs() {
        let limits = Limits { least_size: PAIRS.to_vec(), ..Limits::default() };
        let at = |mm| limits.least_size_at(mm).unwrap();
        assert_eq!([0.7, 1.5, 3.0, 4.0, 5.0, 8.0].map(at), [4.0, 4.0, 6.0, 8.0, 10.0, 15.0]);
        assert_eq!(at(5.2), 10.4, "rounded up to three digits, and no farther");
        assert_eq!(at(1.9), 4.54);
        assert_eq!(at(8.000_5), 15.0, "the slack of the gate");
        assert_eq!(Limits::default().least_size_at(5.0), None);
        let one = Limits { least_size: vec![[5.0, 0.005]], ..Limits::default() };
        assert_eq!([one.least_size_at(1.0), one.least_size_at(5.0)], [Some(0.005); 2]);
    }

    #[test]
    fn only_what_is_above_the_usual_least_size_is_told() {
        let (raised, told) = in_slices(&with(ChestFinding::Nodule, &PAIRS), 5.0);
        let [one] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((one.finding, one.words(), one.slice_mm), (ChestFinding::Nodule, "10 mm".into(), 5.0));
        let min = |channel| raised.channels.iter().find(|(c, _)| *c == channel).unwrap().1.min_size;
        assert_eq!((min(Channel::Nodule), min(Channel::RibFracture)), (10.0, 0.0));

        let nodes = with(ChestFinding::LymphNode, &[[2.5, 10.0], [5.0, 12.5]]);
        assert_eq!(in_slices(&nodes, 2.5).1, [], "a smaller node is not enlarged");
        assert_eq!(in_slices(&nodes, 5.0).1[0].words(), "12.5 mm");
        let (both, told) = in_slices(&with(ChestFinding::Pneumonia, &[[5.0, 3.0]]), 5.0);
        assert_eq!(told[0].words(), "3 ml");
        assert_eq!(both.channels.iter().filter(|(_, t)| t.min_size == 3.0).count(), 2);
    }
}
