//! Slices: their spacing, whether any is missing or comes twice, and whether they overlap or leave gaps by the thickness
//! that the header gives.

use serde::Serialize;

use crate::cast::round_index;
use crate::reason::Reason;

/// Positions are stored as decimal text: nearer than this is the same place, mm.
const SAME_MM: f64 = 0.01;
/// Spacing that deviates by more than this share of the usual one is not even.
const UNEVEN: f64 = 0.1;
/// Thickness and spacing that differ by less than this share of the spacing are equal.
const EQUAL: f64 = 0.02;

/// The slices of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Slices {
    pub count: usize,
    /// Distance of neighbours: the median, mm.
    pub spacing_mm: f64,
    /// As the header says, mm.
    pub thickness_mm: Option<f64>,
    /// `None` when the header does not give the thickness.
    pub cover: Option<Cover>,
    /// Slices that should lie between neighbours: where the distance is a multiple of the usual one.
    pub missing: usize,
    /// Slices at a place where there is one already.
    pub doubled: usize,
    /// Distances that are neither the usual one nor a multiple of it.
    pub uneven: usize,
}

/// Thickness against spacing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cover {
    /// Equal, within 2 %.
    Contiguous,
    /// Neighbouring slices share so much, mm.
    Overlap(f64),
    /// Not scanned between neighbouring slices, mm.
    Gap(f64),
}

impl Slices {
    /// Every slice is there once, at even distances.
    pub fn complete(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.uneven == 0
    }
}

/// # Errors
/// For fewer than two places.
pub fn measure(positions_mm: &[[f64; 3]], normal: [f64; 3], thickness_mm: Option<f64>) -> Result<Slices, Reason> {
    let along = |p: &[f64; 3]| p.iter().zip(normal).map(|(p, n)| p * n).sum::<f64>();
    let mut places: Vec<f64> = positions_mm.iter().map(along).filter(|place| place.is_finite()).collect();
    places.sort_by(f64::total_cmp);
    let steps: Vec<f64> = places.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mut apart: Vec<f64> = steps.iter().copied().filter(|step| *step > SAME_MM).collect();
    if apart.is_empty() {
        return Err(Reason::OnePlace { slices: positions_mm.len() });
    }
    let doubled = steps.len() - apart.len();
    apart.sort_by(f64::total_cmp);
    let spacing_mm = apart[apart.len() / 2];
    let (mut missing, mut uneven) = (0, 0);
    for step in &apart {
        let multiple = (step / spacing_mm).round().max(1.0);
        if (step - multiple * spacing_mm).abs() > UNEVEN * spacing_mm {
            uneven += 1;
        } else {
            missing += round_index(multiple) - 1;
        }
    }
    let thickness_mm = thickness_mm.filter(|mm| mm.is_finite() && *mm > 0.0);
    let cover = thickness_mm.map(|thickness| {
        let beyond = thickness - spacing_mm;
        match beyond.abs() <= EQUAL * spacing_mm {
            true => Cover::Contiguous,
            false if beyond > 0.0 => Cover::Overlap(beyond),
            false => Cover::Gap(-beyond),
        }
    });
    Ok(Slices { count: positions_mm.len(), spacing_mm, thickness_mm, cover, missing, doubled, uneven })
}
