//! Additional figures about nodules: each planted nodule with its type, place and size.

use serde::Serialize;

use super::read::Lesion;
use super::statistics::Share;
use crate::compare::{distance, nearest_pairs};

/// Nodules of this diameter and above must be found.
pub const LARGE_MM: f64 = 6.0;

/// Larger ones are masses, mm.
pub const MASS_MM: f64 = 30.0;

/// Largest distance for small nodules, because an error of half a voxel is large compared with them.
pub const LEAST_REACH_MM: f64 = 4.0;

#[derive(Debug, Clone, Serialize)]
pub struct Planted {
    pub diameter_mm: f64,
    pub make: String,
    pub place: String,
    pub found: Option<Found>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Found {
    pub confidence: f64,
    /// Distance between the two centres, mm.
    pub off_mm: f64,
}

pub fn reach_mm(nodule: &Lesion) -> f64 {
    (nodule.diameter_mm.unwrap_or_default() / 2.0).max(LEAST_REACH_MM)
}

pub fn pair(planted: &[Lesion], found: &[Lesion]) -> Vec<Planted> {
    let places: Vec<_> = planted.iter().map(|p| (p.centre_mm, reach_mm(p))).collect();
    let pairs = nearest_pairs(&places, &found.iter().map(|f| f.centre_mm).collect::<Vec<_>>());
    let words = |name: &Option<String>| name.as_deref().unwrap_or("unknown").replace('_', " ");
    let one = |(p, nodule): (usize, &Lesion)| Planted {
        diameter_mm: nodule.diameter_mm.unwrap_or_default(),
        make: words(&nodule.make),
        place: words(&nodule.place),
        found: pairs.iter().find(|(planted, _)| *planted == p).map(|(_, f)| Found {
            confidence: found[*f].confidence,
            off_mm: distance(nodule.centre_mm, found[*f].centre_mm),
        }),
    };
    planted.iter().enumerate().map(one).collect()
}

/// How many of `nodules` were found.
pub fn share<'a>(nodules: impl Iterator<Item = &'a Planted>) -> Share {
    nodules.fold(Share::default(), |s, p| Share { hit: s.hit + usize::from(p.found.is_some()), of: s.of + 1 })
}
