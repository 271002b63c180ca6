//! Figures of a run of the live path: memory over time, and latency compared with its limits.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

/// The best published latency from capture to overlay at 99.9 %, ms; measured on the GPU of an Orin without other work.
const PUBLISHED_OVERLAY: f64 = 54.6;
/// Longest latency that the path from capture to page may add, at 99 %, ms.
const PRESENT: f64 = 5.75;
/// Duration of one picture at 30 pictures a second, ms: an overlay that is faster is ready for each picture.
const ONE_PICTURE: f64 = 33.0;

/// Memory of the box over time.
#[derive(Debug, Default, Serialize)]
pub struct Memory {
    /// Seconds since the start, and bytes.
    pub samples: Vec<(f64, u64)>,
    #[serde(skip)]
    begun: Option<Instant>,
}

impl Memory {
    pub fn note(&mut self, bytes: u64) {
        let begun = *self.begun.get_or_insert_with(Instant::now);
        self.samples.push((begun.elapsed().as_secs_f64(), bytes));
    }

    /// The largest value in each quarter of the time, MB; 0 when none was measured in it. If memory leaks, the values
    /// grow from the second to the last.
    pub fn quarters(&self) -> [u64; 4] {
        let end = self.samples.last().map_or(1.0, |(at, _)| at.max(1e-9));
        let of = |quarter: usize| {
            let within = |at: f64| ((at / end * 4.0) as usize).min(3) == quarter;
            self.samples.iter().filter(|(at, _)| within(*at)).map(|(_, bytes)| bytes / 1_000_000).max().unwrap_or(0)
        };
        [of(0), of(1), of(2), of(3)]
    }
}

/// Time between two measurements of the memory.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// One figure and the limit with which it is compared.
#[derive(Debug, Serialize)]
pub struct Beside {
    pub what: &'static str,
    pub ms: f64,
    pub against: &'static str,
    pub limit_ms: f64,
    pub ratio: f64,
}

impl Beside {
    pub fn row(&self) -> Vec<String> {
        let ratio = format!("{:.2}", self.ratio);
        vec![self.what.into(), format!("{:.2}", self.ms), format!("{} {}", self.limit_ms, self.against), ratio]
    }
}

/// Compares the latencies with their limits. `stats`: the statistics as the page receives them.
pub fn beside(stats: &Value) -> Vec<Beside> {
    let of = |stage: &str, key: &str| {
        let stages = stats["stages"].as_array().into_iter().flatten();
        stages.filter(|one| one[0] == stage).find_map(|one| one[1][key].as_f64())
    };
    let one = |what, stage, key, limit_ms, against| {
        let ms = of(stage, key)?;
        Some(Beside { what, ms, against, limit_ms, ratio: ms / limit_ms })
    };
    [
        one("picture path, 99 %", "present", "p99", PRESENT, "allowed"),
        one("overlay, 99 %", "overlay", "p99", ONE_PICTURE, "one picture"),
        one("overlay, 99.9 %", "overlay", "p999", PUBLISHED_OVERLAY, "best published"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_is_seen_to_grow() {
        let samples = (0..=100).map(|i| (f64::from(i), 1_000_000 * u64::try_from(i + 100).unwrap_or(0))).collect();
        let memory = Memory { samples, begun: None };
        assert_eq!(memory.quarters(), [124, 149, 174, 200]);
        assert_eq!(Memory::default().quarters(), [0; 4]);
    }

    #[test]
    fn figures_stand_beside_their_limits() {
        let stats = serde_json::json!({ "stages": [["present", { "p99": 2.875 }], ["overlay", { "p99": 33.0, "p999": 109.2 }]] });
        let ratios: Vec<_> = beside(&stats).iter().map(|one| one.ratio).collect();
        assert_eq!(ratios, [0.5, 1.0, 2.0]);
    }
}
