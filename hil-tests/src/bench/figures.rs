//! Medians, goals, and whether they were reached. Pure.

use serde::Serialize;

/// The middle value; the mean of the two middle ones for an even count. 0 for none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

/// One figure and its goal. It is reported whether the goal was reached or not.
#[derive(Debug, Clone, Serialize)]
pub struct Goal {
    pub what: String,
    pub unit: &'static str,
    pub measured: f64,
    pub wanted: Wanted,
    pub reached: bool,
}

impl Goal {
    pub fn new(what: impl Into<String>, unit: &'static str, measured: f64, wanted: Wanted) -> Self {
        let reached = match wanted {
            Wanted::AtLeast(least) => measured >= least,
            Wanted::AtMost(most) => measured <= most,
        };
        Self { what: what.into(), unit, measured, wanted, reached }
    }

    /// Cells of a table: what, measured, goal, verdict.
    pub fn row(&self) -> Vec<String> {
        let goal = match self.wanted {
            Wanted::AtLeast(least) => format!("at least {least}"),
            Wanted::AtMost(most) => format!("at most {most}"),
        };
        let verdict = if self.reached { "reached" } else { "NOT reached" };
        vec![self.what.clone(), format!("{:.1}", self.measured), self.unit.into(), goal, verdict.into()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 100.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn a_goal_knows_its_direction() {
        assert!(Goal::new("ratio", "x", 2.0, Wanted::AtLeast(2.0)).reached);
        assert!(!Goal::new("time", "ms", 101.0, Wanted::AtMost(100.0)).reached);
    }
}
