//! The convex hull of a region in one plane.

use std::ops::Range;

/// Rows (y) of the convex hull of what is not 0, each with its columns. `width` columns in a row.
///
/// Andrew's monotone chain (Information Processing Letters 9 (1979) 216-219), over the first and last voxel of each row.
pub fn spans(plane: &[u8], width: usize) -> Vec<(usize, Range<usize>)> {
    let ends = plane.chunks(width.max(1)).enumerate().filter_map(|(y, row)| {
        let first = row.iter().position(|v| *v != 0)?;
        Some((y, first, row.iter().rposition(|v| *v != 0).unwrap_or(first)))
    });
    let ends: Vec<(usize, usize, usize)> = ends.collect();
    let left = chain(ends.iter().map(|(y, first, _)| [*y as f64, *first as f64]));
    let right = chain(ends.iter().map(|(y, _, last)| [*y as f64, -(*last as f64)]));
    let (Some((top, ..)), Some((bottom, ..))) = (ends.first(), ends.last()) else { return Vec::new() };
    (*top..=*bottom)
        .map(|y| {
            let from = crate::cast::ceil_index(at(&left, y as f64) - 1e-9);
            let to = crate::cast::floor_index(-at(&right, y as f64) + 1e-9);
            (y, from..to + 1)
        })
        .collect()
}

/// The lower hull of points in order of their first coordinate.
fn chain(points: impl Iterator<Item = [f64; 2]>) -> Vec<[f64; 2]> {
    let mut hull: Vec<[f64; 2]> = Vec::new();
    for p in points {
        while let [.., a, b] = hull[..]
            && (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) <= 0.0
        {
            hull.pop();
        }
        hull.push(p);
    }
    hull
}

/// Second coordinate of the hull at `y`.
fn at(hull: &[[f64; 2]], y: f64) -> f64 {
    let next = hull.partition_point(|p| p[0] < y);
    match (next.checked_sub(1).and_then(|i| hull.get(i)), hull.get(next)) {
        (Some(a), Some(b)) => a[1] + (b[1] - a[1]) * (y - a[0]) / (b[0] - a[0]),
        (Some(p), None) | (None, Some(p)) => p[1],
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::*;

    #[test]
    fn a_bay_is_filled_and_nothing_beyond_the_corners() {
        let plane = [
            1, 0, 0, 0, 1, //
            1, 0, 0, 0, 1, //
            0, 0, 1, 0, 0,
        ];
        assert_eq!(spans(&plane, 5), [(0, 0..5), (1, 0..5), (2, 2..3)]);
        assert!(spans(&[0; 10], 5).is_empty());
    }

    proptest! {
        #[test]
        fn the_hull_holds_every_voxel_and_is_convex_along_columns(bits in prop::collection::vec(any::<bool>(), 63)) {
            let plane: Vec<u8> = bits.iter().map(|b| u8::from(*b)).collect();
            let hull = spans(&plane, 9);
            let inside = |x: usize, y: usize| hull.iter().any(|(row, xs)| *row == y && xs.contains(&x));
            for (i, _) in plane.iter().enumerate().filter(|(_, v)| **v != 0) {
                prop_assert!(inside(i % 9, i / 9));
            }
            for x in 0..9 {
                let rows: Vec<usize> = (0..7).filter(|y| inside(x, *y)).collect();
                prop_assert!(rows.windows(2).all(|w| w[1] == w[0] + 1), "{x} {rows:?}");
            }
        }
    }
}
