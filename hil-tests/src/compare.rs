//! Compares found with planted: which finding belongs to which nodule, and what was missed. Pure.

use serde::Deserialize;

/// A nodule as the appliance reports it (`Job1.Findings`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Found {
    pub number: usize,
    pub side: String,
    /// Centroid, mm, LPS.
    pub centre_mm: [f64; 3],
    pub diameter_mm: f64,
    pub volume_mm3: f64,
    pub mean_hu: f64,
    /// 0 to 1.
    pub confidence: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Lung {
    pub side: String,
    pub volume_ml: f64,
    pub mean_hu: f64,
    /// Absent when emphysema was not evaluated.
    pub laa950_percent: Option<f64>,
}

/// As `models::findings::Evaluated`: a value, or why there is none.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluated<T> {
    Done(T),
    NotEvaluated(String),
}

/// The findings of a job, as far as the demo shows them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Findings {
    pub lungs: Evaluated<Vec<Lung>>,
    pub nodules: Evaluated<Vec<Found>>,
}

/// A planted nodule.
#[derive(Debug, Clone, PartialEq)]
pub struct Planted {
    pub side: String,
    pub centre_mm: [f64; 3],
    pub diameter_mm: f64,
    /// Kind of nodule, in a word or two.
    pub make: String,
}

/// Planted nodules of at least this diameter must be found.
pub const MUST_BE_FOUND_MM: f64 = 6.0;

/// A finding belongs to a nodule when its centre is inside the nodule. For small nodules the distance may be this
/// large, because an error of half a voxel is large compared with them.
const LEAST_REACH_MM: f64 = 4.0;

#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Each planted nodule, largest first, and the finding that belongs to it.
    pub planted: Vec<(Planted, Option<Found>)>,
    /// Findings where nothing was planted.
    pub extra: Vec<Found>,
}

impl Comparison {
    /// Assigns the nearest pairs first; each finding and each nodule is used once.
    pub fn new(planted: &[Planted], found: &[Found]) -> Self {
        let places: Vec<_> = planted.iter().map(|p| (p.centre_mm, (p.diameter_mm / 2.0).max(LEAST_REACH_MM))).collect();
        let mut of_planted = vec![None; planted.len()];
        let mut taken = vec![false; found.len()];
        for (p, f) in nearest_pairs(&places, &found.iter().map(|f| f.centre_mm).collect::<Vec<_>>()) {
            of_planted[p] = Some(found[f].clone());
            taken[f] = true;
        }
        let mut rows: Vec<_> = planted.iter().cloned().zip(of_planted).collect();
        rows.sort_by(|a, b| b.0.diameter_mm.total_cmp(&a.0.diameter_mm));
        let extra = found.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(f, _)| f.clone()).collect();
        Self { planted: rows, extra }
    }

    /// Nodules that had to be found and were not.
    pub fn missed(&self) -> impl Iterator<Item = &Planted> {
        self.planted.iter().filter(|(p, f)| f.is_none() && p.diameter_mm >= MUST_BE_FOUND_MM).map(|(p, _)| p)
    }

    pub fn found(&self) -> usize {
        self.planted.iter().filter(|(_, f)| f.is_some()).count()
    }
}

/// Indices of planted (centre, largest distance in mm) and found (centre) that belong together: nearest first, each
/// used once.
pub fn nearest_pairs(planted: &[([f64; 3], f64)], found: &[[f64; 3]]) -> Vec<(usize, usize)> {
    let mut near: Vec<(f64, usize, usize)> = Vec::new();
    for (p, (centre, reach)) in planted.iter().enumerate() {
        for (f, at) in found.iter().enumerate() {
            let off = distance(*centre, *at);
            if off <= *reach {
                near.push((off, p, f));
            }
        }
    }
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (_, p, f) in near {
        if pairs.iter().all(|(planted, found)| *planted != p && *found != f) {
            pairs.push((p, f));
        }
    }
    pairs
}

pub fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planted(x: f64, diameter_mm: f64) -> Planted {
        Planted { side: "left".into(), centre_mm: [x, 0.0, 0.0], diameter_mm, make: "solid".into() }
    }

    fn found(number: usize, x: f64) -> Found {
        Found {
            number,
            side: "left".into(),
            centre_mm: [x, 0.0, 0.0],
            diameter_mm: 8.0,
            volume_mm3: 270.0,
            mean_hu: 20.0,
            confidence: 0.9,
        }
    }

    #[test]
    fn each_finding_counts_for_the_nearest_nodule_only() {
        let result = Comparison::new(&[planted(0.0, 10.0), planted(6.0, 10.0)], &[found(1, 4.0)]);
        assert_eq!(result.found(), 1);
        assert_eq!(result.planted.iter().find(|(p, _)| p.centre_mm[0] == 6.0).unwrap().1, Some(found(1, 4.0)));
        assert_eq!(result.missed().count(), 1);
    }

    #[test]
    fn a_finding_outside_every_nodule_is_extra() {
        let result = Comparison::new(&[planted(0.0, 10.0)], &[found(1, 5.5)]);
        assert_eq!((result.found(), result.extra.len()), (0, 1));
    }

    #[test]
    fn only_nodules_of_six_millimetres_and_more_must_be_found() {
        let result = Comparison::new(&[planted(0.0, 5.9), planted(50.0, 6.0)], &[]);
        let missed: Vec<_> = result.missed().map(|p| p.diameter_mm).collect();
        assert_eq!(missed, [6.0]);
    }

    #[test]
    fn findings_are_read_as_the_appliance_writes_them() {
        let json = r#"{"lungs":{"done":[{"side":"right","volume_ml":2345.6,"mean_hu":-850.0,"laa950_percent":1.5}]},
            "nodules":{"not_evaluated":"slice spacing 5.0 mm"},"timings_ms":[["lungs",12.5]]}"#;
        let findings: Findings = serde_json::from_str(json).unwrap();
        assert_eq!(findings.nodules, Evaluated::NotEvaluated("slice spacing 5.0 mm".into()));
    }
}
