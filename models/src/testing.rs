//! A chest of ellipsoids for unit tests: what is where is known exactly.

use std::sync::Arc;

use rayon::prelude::*;

use crate::volume::{Geometry, Volume};

pub const SUPINE: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
pub const PRONE: [[f64; 3]; 3] = [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]];
pub const FEET_FIRST: [[f64; 3]; 3] = [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]];
pub const CORONAL: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]];

/// Half axes of each lung, mm.
pub const LUNG_MM: [f64; 3] = [52.0, 80.0, 105.0];

/// Radius of the spine, mm, its distance behind the middle, and its attenuation, HU.
pub const SPINE_MM: f64 = 14.0;
pub const SPINE_Y_MM: f64 = 80.0;
const SPINE_HU: i16 = 120;

#[derive(Debug, Clone)]
pub struct Chest {
    pub axes: [[f64; 3]; 3],
    /// Left, back, head.
    pub spacing_mm: [f64; 3],
    /// Distance of each lung's centre from the midline, mm. Below 52 they touch.
    pub apart_mm: f64,
    /// Centre (mm, LPS) and radius (mm) of each nodule; 200 HU.
    pub nodules: Vec<([f64; 3], f64)>,
    /// Lowest and highest z that is scanned, mm.
    pub z_mm: [f64; 2],
    /// Half width of the image, mm.
    pub half_width_mm: f64,
}

impl Default for Chest {
    fn default() -> Self {
        Self {
            axes: SUPINE,
            spacing_mm: [2.0, 2.0, 2.0],
            apart_mm: 70.0,
            nodules: Vec::new(),
            z_mm: [-120.0, 126.0],
            half_width_mm: 164.0,
        }
    }
}

fn within(p: [f64; 3], centre: [f64; 3], half: [f64; 3]) -> bool {
    (0..3).map(|a| ((p[a] - centre[a]) / half[a]).powi(2)).sum::<f64>() <= 1.0
}

impl Chest {
    /// Volume of one lung, ml.
    pub fn lung_ml() -> f64 {
        LUNG_MM.iter().product::<f64>() * 4.0 / 3.0 * std::f64::consts::PI / 1000.0
    }

    /// Is the point in the right lung's (-1) or left lung's (1) ellipsoid?
    pub fn in_lung(&self, p: [f64; 3]) -> Option<i8> {
        [-1i8, 1].into_iter().find(|side| within(p, [f64::from(*side) * self.apart_mm, 0.0, 0.0], LUNG_MM))
    }

    /// Lumen of the trachea and the main bronchi.
    pub fn in_airway(&self, p: [f64; 3]) -> bool {
        let trachea = p[2] > 40.0 && p[0].hypot(p[1] - 10.0) < 9.0;
        let bronchus = [-1.0, 1.0].into_iter().any(|side| {
            let (from, to) = ([0.0, 10.0, 42.0], [side * (self.apart_mm - 25.0), 0.0, 12.0]);
            distance_to_segment(p, from, to) < 6.0
        });
        trachea || bronchus
    }

    pub fn hu(&self, p: [f64; 3]) -> i16 {
        if self.nodules.iter().any(|(c, r)| within(p, *c, [*r; 3])) {
            200
        } else if self.in_airway(p) {
            -1000
        } else if self.in_lung(p).is_some() {
            -850
        } else if p[0].hypot(p[1] - SPINE_Y_MM) < SPINE_MM {
            SPINE_HU
        } else if within([p[0], p[1], 0.0], [0.0; 3], [150.0, 105.0, 1.0]) {
            40
        } else {
            -1000
        }
    }

    pub fn volume(&self) -> Volume {
        let half = [self.half_width_mm, 118.0];
        // Extent of the scanned box along patient x, y, z.
        let low = [-half[0], -half[1], self.z_mm[0]];
        let high = [half[0], half[1], self.z_mm[1]];
        let mut dims = [0; 3];
        let mut spacing_mm = [0.0; 3];
        let mut origin_mm = [0.0; 3];
        for a in 0..3 {
            let Some(p) = (0..3).find(|p| self.axes[a][*p].abs() > 0.5) else { continue };
            spacing_mm[a] = self.spacing_mm[p];
            dims[a] = ((high[p] - low[p]) / spacing_mm[a]) as usize + 1;
            origin_mm[p] = if self.axes[a][p] > 0.0 { low[p] } else { high[p] };
        }
        let geometry = Geometry { dims, spacing_mm, origin_mm, axes: self.axes };
        let slice = |s: usize| -> Arc<[i16]> {
            (0..dims[0] * dims[1])
                .map(|i| self.hu(geometry.to_patient([(i % dims[0]) as f64, (i / dims[0]) as f64, s as f64])))
                .collect()
        };
        Volume { slices: (0..dims[2]).into_par_iter().map(slice).collect(), geometry: geometry.clone() }
    }
}

fn distance_to_segment(p: [f64; 3], a: [f64; 3], b: [f64; 3]) -> f64 {
    let along = [0, 1, 2].map(|i| b[i] - a[i]);
    let from = [0, 1, 2].map(|i| p[i] - a[i]);
    let dot = |u: [f64; 3], v: [f64; 3]| u.iter().zip(v).map(|(x, y)| x * y).sum::<f64>();
    let t = (dot(from, along) / dot(along, along)).clamp(0.0, 1.0);
    let off = [0, 1, 2].map(|i| from[i] - along[i] * t);
    dot(off, off).sqrt()
}
