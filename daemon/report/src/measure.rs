//! Helpers for masks and geometry that several objects use.

use models::findings::{Evaluated, Lung, Mask, Nodule, Side};
use models::{ChestFindings, Geometry};

use crate::contour::{self, Outline};
use crate::words::Language;

/// The list, or an empty one when it was not evaluated.
pub fn done<T>(evaluated: &Evaluated<Vec<T>>) -> &[T] {
    match evaluated {
        Evaluated::Done(values) => values,
        Evaluated::NotEvaluated(_) => &[],
    }
}

/// The lungs, right one first; empty if they were not evaluated.
pub fn lungs(findings: &ChestFindings) -> Vec<&Lung> {
    let Evaluated::Done(lungs) = &findings.lungs else { return Vec::new() };
    let mut lungs: Vec<&Lung> = lungs.iter().collect();
    lungs.sort_by_key(|l| l.side == Side::Left);
    lungs
}

/// The nodules in the order of their numbers; empty if they were not evaluated.
pub fn nodules(findings: &ChestFindings) -> Vec<&Nodule> {
    let Evaluated::Done(nodules) = &findings.nodules else { return Vec::new() };
    let mut nodules: Vec<&Nodule> = nodules.iter().collect();
    nodules.sort_by_key(|n| n.number);
    nodules
}

/// The side in English, as used in captions and code meanings.
pub fn side(side: Side) -> &'static str {
    Language::English.words().side(side)
}

/// Outlines of a mask in one slice, in pixel-edge coordinates of the whole slice.
pub fn outlines(mask: &Mask, slice: usize) -> Vec<Outline> {
    let plane = mask.plane(slice);
    if plane.is_empty() {
        return Vec::new();
    }
    let inside: Vec<bool> = plane.iter().map(|v| *v != 0).collect();
    contour::trace(&inside, mask.size[0], mask.size[1], [mask.origin[0], mask.origin[1]])
}

/// Converts a point in patient coordinates to column and row (fractional, pixel-edge coordinates) and slice (fractional
/// index).
pub fn to_image(geometry: &Geometry, point_mm: [f64; 3]) -> [f64; 3] {
    let [x, y, slice] = geometry.to_index(point_mm);
    [x + 0.5, y + 0.5, slice]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voxel_centre_comes_back_as_its_own_pixel() {
        let geometry = Geometry {
            dims: [10, 10, 10],
            spacing_mm: [0.7, 0.7, 2.5],
            origin_mm: [-100.0, -90.0, 50.0],
            axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]],
        };
        let back = to_image(&geometry, geometry.to_patient([3.0, 4.0, 5.0]));
        for (got, want) in back.iter().zip([3.5, 4.5, 5.0]) {
            assert!((got - want).abs() < 1e-9);
        }
    }
}
