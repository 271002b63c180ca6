//! Which of a package's networks is used on a device: of those that give the right answers there, the fastest. Measured once for each
//! content, device, driver and library, and kept in the [`crate::registry::Record`].

use std::time::{Duration, Instant};

use hal::LoadedModel;
use serde::{Deserialize, Serialize};

use crate::manifest::{Precision, Variant};
use crate::package::Package;
use crate::{accuracy, golden};

/// Runs of the golden input after the one that proves it; the shortest counts, because other work only makes a run longer.
const RUNS: usize = 3;
/// One that is listed later has to be faster by this factor: measured times are not the same twice.
const CLEARLY: f64 = 0.95;

/// What was found of one network here.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// An ONNX file of the package.
    pub network: String,
    pub precision: Precision,
    /// One run of the golden input, ms; `None` when it was refused, or the only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_ms: Option<f64>,
    /// Why it is not used here, whatever its speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Measured {
    /// For people: `chest-fp16.onnx (fp16): 12.1 ms`.
    pub fn words(&self) -> String {
        let name = format!("{} ({})", self.network, self.precision.as_str());
        match (&self.refused, self.run_ms) {
            (Some(why), _) => format!("{name}: not used: {why}"),
            (None, Some(ms)) => format!("{name}: {ms:.1} ms"),
            (None, None) => name,
        }
    }
}

/// The network to use: the first, unless a later one is clearly faster. `None` when all were refused.
pub fn fastest(measured: &[Measured]) -> Option<usize> {
    let usable = measured.iter().enumerate().filter(|(_, one)| one.refused.is_none());
    let time = |one: &Measured| one.run_ms.unwrap_or(f64::INFINITY);
    usable.reduce(|best, next| if time(next.1) < time(best.1) * CLEARLY { next } else { best }).map(|(index, _)| index)
}

/// Golden run, accuracy set and speed of one network.
///
/// # Errors
/// As [`golden::run`] and [`accuracy::run`].
pub fn prove(
    package: &Package,
    variant: &Variant,
    model: &mut dyn LoadedModel,
) -> Result<golden::Passed, golden::Error> {
    let passed = golden::run(package, variant, model)?;
    accuracy::run(package, model)?;
    Ok(passed)
}

/// The shortest time of a run of the golden input.
///
/// # Errors
/// As [`golden::run`].
pub fn time(package: &Package, model: &mut dyn LoadedModel) -> Result<Duration, golden::Error> {
    let input = [golden::input(package)?];
    let mut shortest = Duration::MAX;
    for _ in 0..RUNS {
        let begun = Instant::now();
        model.run(&input)?;
        shortest = shortest.min(begun.elapsed());
    }
    Ok(shortest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(network: &str, run_ms: Option<f64>, refused: Option<&str>) -> Measured {
        Measured { network: network.into(), precision: Precision::Fp16, run_ms, refused: refused.map(str::to_owned) }
    }

    #[test]
    fn the_fastest_that_is_right_is_used_and_the_first_where_they_are_alike() {
        let chosen = |rows: &[(Option<f64>, Option<&str>)]| {
            fastest(&rows.iter().map(|(ms, why)| measured("n", *ms, *why)).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&[(Some(10.0), None), (Some(5.0), None), (Some(7.0), None)]), Some(1));
        assert_eq!(chosen(&[(Some(10.0), None), (Some(9.8), None)]), Some(0), "alike");
        assert_eq!(
            chosen(&[(Some(1.0), Some("differs")), (Some(20.0), None)]),
            Some(1),
            "a wrong answer is never fast"
        );
        assert_eq!(chosen(&[(None, None)]), Some(0), "the only one is not timed");
        assert_eq!(chosen(&[(None, Some("no"))]), None);
        assert_eq!(chosen(&[]), None);
    }

    #[test]
    fn what_was_found_is_said_in_a_line() {
        assert_eq!(measured("a.onnx", Some(3.12), None).words(), "a.onnx (fp16): 3.1 ms");
        assert_eq!(measured("a.onnx", None, Some("differs")).words(), "a.onnx (fp16): not used: differs");
        assert_eq!(measured("a.onnx", None, None).words(), "a.onnx (fp16)");
    }
}
