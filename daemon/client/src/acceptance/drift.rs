//! Whether a figure is beyond its habit: compared with the median of the runs before, by a factor.

use serde::{Deserialize, Serialize};

use crate::doctor::text::{Text, both};

/// The median is that of so many of the newest runs.
pub const HABIT: usize = 30;
/// Fewer make no habit.
pub const FEWEST: usize = 5;

/// Which way is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    Higher,
    Lower,
}

/// A measured figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Stable.
    pub code: String,
    pub name: Text,
    pub value: f64,
    pub unit: Unit,
    pub worse: Worse,
    /// Beyond its habit when it is worse than that by this factor ...
    pub factor: f64,
    /// ... and by this much, in its unit: a millisecond that becomes two is no drift.
    pub least: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Milliseconds,
    BytesPerSecond,
    PicturesPerSecond,
    Celsius,
    Watts,
}

impl Unit {
    pub fn words(self, value: f64) -> String {
        match self {
            Self::Milliseconds if value >= 10_000.0 => format!("{:.1} s", value / 1000.0),
            Self::Milliseconds if value >= 100.0 => format!("{value:.0} ms"),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::BytesPerSecond => format!("{:.0} MiB/s", value / f64::from(1 << 20)),
            Self::PicturesPerSecond => format!("{value:.1} /s"),
            Self::Celsius => format!("{value:.0} °C"),
            Self::Watts => format!("{value:.1} W"),
        }
    }
}

/// A run of the past: code and value of each figure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub utc: String,
    pub passed: bool,
    pub figures: Vec<(String, f64)>,
    /// How often the box had slowed itself down since its start; not in runs of older versions.
    #[serde(default)]
    pub throttled: Option<u64>,
}

/// A figure that is beyond its habit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Drift {
    pub code: String,
    pub name: Text,
    pub value: f64,
    /// Median of the runs before.
    pub habit: f64,
    pub unit: Unit,
    pub words: Text,
}

/// The habit of a figure: the median of its newest values, oldest first in `history`; `None` while there are too few.
pub fn habit(history: &[Run], code: &str) -> Option<f64> {
    let values = history.iter().rev().flat_map(|run| run.figures.iter().filter(|(name, _)| name == code));
    let mut values: Vec<f64> = values.map(|(_, value)| *value).filter(|value| value.is_finite()).take(HABIT).collect();
    if values.len() < FEWEST {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    Some(if odd { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) })
}

/// What is beyond its habit now.
pub fn drifts(history: &[Run], figures: &[Figure]) -> Vec<Drift> {
    figures.iter().filter_map(|figure| beyond(figure, habit(history, &figure.code)?)).collect()
}

fn beyond(figure: &Figure, habit: f64) -> Option<Drift> {
    let value = figure.value;
    let is = match figure.worse {
        Worse::Higher => value > habit * figure.factor && value - habit > figure.least,
        Worse::Lower => value * figure.factor < habit && habit - value > figure.least,
    };
    is.then(|| {
        let (now, before) = (figure.unit.words(value), figure.unit.words(habit));
        let Text { en, zh } = figure.name.clone();
        let words = both!("{en}: {now}, its habit is {before}", "{zh}：{now}，平时为 {before}");
        Drift { code: figure.code.clone(), name: figure.name.clone(), value, habit, unit: figure.unit, words }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figure(value: f64, worse: Worse) -> Figure {
        let name = Text::same("time");
        Figure { code: "f".into(), name, value, unit: Unit::Milliseconds, worse, factor: 1.5, least: 10.0 }
    }

    fn runs(values: &[f64]) -> Vec<Run> {
        values.iter().map(|value| Run { figures: vec![("f".into(), *value)], ..Run::default() }).collect()
    }

    fn drifts_of(history: &[f64], value: f64, worse: Worse) -> bool {
        !drifts(&runs(history), &[figure(value, worse)]).is_empty()
    }

    #[test]
    fn a_figure_that_is_half_again_as_long_as_its_habit_is_told_and_a_little_longer_is_not() {
        let habit = [100.0, 90.0, 110.0, 100.0, 400.0];
        assert!(drifts_of(&habit, 151.0, Worse::Higher));
        assert!(!drifts_of(&habit, 149.0, Worse::Higher), "one bad day before is no habit");
        assert!(!drifts_of(&habit, 10.0, Worse::Higher), "better is no drift");
    }

    #[test]
    fn of_speeds_lower_is_worse() {
        assert!(drifts_of(&[300.0; 5], 199.0, Worse::Lower));
        assert!(!drifts_of(&[300.0; 5], 201.0, Worse::Lower));
        assert!(!drifts_of(&[300.0; 5], 900.0, Worse::Lower));
    }

    #[test]
    fn a_millisecond_that_becomes_two_is_no_drift() {
        assert!(!drifts_of(&[1.0; 9], 5.0, Worse::Higher));
        assert!(drifts_of(&[1.0; 9], 12.0, Worse::Higher));
    }

    #[test]
    fn fewer_than_five_runs_are_no_habit_and_only_the_last_thirty_count() {
        assert!(!drifts_of(&[100.0; 4], 1e6, Worse::Higher));
        let mut long = vec![1000.0; 60];
        long.extend([100.0; 30]);
        assert_eq!(habit(&runs(&long), "f"), Some(100.0), "what was long ago is forgotten");
        assert_eq!(habit(&runs(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), "f"), Some(3.5));
        assert_eq!(habit(&runs(&[1.0; 9]), "another"), None);
    }

    proptest! {
        /// Whatever a history file says: no panic, and a value equal to its habit never drifts.
        #[test]
        fn no_history_breaks_it(values in proptest::collection::vec(any::<f64>(), 0..80), value in any::<f64>()) {
            let history = runs(&values);
            drifts(&history, &[figure(value, Worse::Higher), figure(value, Worse::Lower)]);
            if let Some(habit) = habit(&history, "f") {
                let now = [figure(habit, Worse::Higher), figure(habit, Worse::Lower)];
                prop_assert!(drifts(&history, &now).is_empty());
            }
        }
    }
}
