//! The outline of one component of a map of probabilities, between its pixels.

/// A map of probabilities, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    pub values: &'a [f32],
    pub width: usize,
}

/// The outer outline of component `label`, clockwise as seen (y down), in pixels of the map (the first one reaches from 0
/// to 1). Each point lies where the probability crosses `level` between a pixel inside and its neighbour outside. Pixels
/// are connected by their sides. `first` is the component's first pixel, row by row.
pub fn trace(labels: &[u32], label: u32, first: usize, map: Map<'_>, level: f32) -> Vec<[f32; 2]> {
    let width = map.width.max(1);
    let height = labels.len() / width;
    let inside = |[x, y]: [isize; 2]| index([x, y], width, height).is_some_and(|i| labels[i] == label);
    let start = ([first % width, first / width].map(|v| v as isize), EAST);
    let (mut corner, mut heading) = start;
    let mut points = Vec::new();
    loop {
        let (own, other) = beside(corner, heading);
        points.push(crossing(own, other, map, height, level));
        corner = [corner[0] + STEP[heading][0], corner[1] + STEP[heading][1]];
        let (right, left) = ahead(corner, heading);
        heading = match (inside(right), inside(left)) {
            (false, _) => (heading + 1) % 4,
            (true, true) => (heading + 3) % 4,
            (true, false) => heading,
        };
        // Every side of every pixel is passed once at most.
        if (corner, heading) == start || points.len() > 4 * labels.len() {
            return points;
        }
    }
}

const EAST: usize = 0;
/// East, south, west, north: turning right is the next one.
const STEP: [[isize; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/// The pixels to the right (inside) and to the left of the side that leads from `corner` towards `heading`.
fn beside([x, y]: [isize; 2], heading: usize) -> ([isize; 2], [isize; 2]) {
    match heading {
        0 => ([x, y], [x, y - 1]),
        1 => ([x - 1, y], [x, y]),
        2 => ([x - 1, y - 1], [x - 1, y]),
        _ => ([x, y - 1], [x - 1, y - 1]),
    }
}

/// The pixels ahead of `corner`, to the right and to the left: those beside the next side, were it straight on.
fn ahead(corner: [isize; 2], heading: usize) -> ([isize; 2], [isize; 2]) {
    beside(corner, heading)
}

fn index([x, y]: [isize; 2], width: usize, height: usize) -> Option<usize> {
    let (x, y) = (usize::try_from(x).ok()?, usize::try_from(y).ok()?);
    (x < width && y < height).then_some(y * width + x)
}

fn crossing(own: [isize; 2], other: [isize; 2], map: Map<'_>, height: usize, level: f32) -> [f32; 2] {
    let at = |pixel| index(pixel, map.width, height).and_then(|i| map.values.get(i)).copied();
    let (here, there) = (at(own).unwrap_or(level), at(other));
    let part = match there {
        Some(there) if here > there => ((here - level) / (here - there)).clamp(0.0, 1.0),
        // The map's own edge.
        _ => 0.5,
    };
    [0, 1].map(|a| own[a] as f32 + 0.5 + part * (other[a] - own[a]) as f32)
}

/// Area that a closed line encloses, square pixels (shoelace formula): positive when it runs clockwise as seen (y down).
pub fn signed_area(points: &[[f32; 2]]) -> f32 {
    let next = points.iter().cycle().skip(1);
    points.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>() / 2.0
}

/// The same closed line as `count` points at equal distances, beginning to the right of its middle: two outlines of one
/// thing can then be compared point by point.
pub fn resampled(points: &[[f32; 2]], count: usize) -> Vec<[f32; 2]> {
    let Some(start) = rightmost(points) else { return Vec::new() };
    let closed: Vec<[f32; 2]> =
        points[start..].iter().chain(&points[..start]).chain(points.get(start)).copied().collect();
    let total: f32 = closed.windows(2).map(|pair| distance(pair[0], pair[1])).sum();
    let mut out = Vec::with_capacity(count);
    let (mut passed, mut segment) = (0.0, 0);
    for i in 0..count {
        let wanted = total * i as f32 / count as f32;
        let length = |s: usize| distance(closed[s], closed[s + 1]);
        while segment + 2 < closed.len() && passed + length(segment) < wanted {
            passed += length(segment);
            segment += 1;
        }
        let part = if length(segment) > 0.0 { ((wanted - passed) / length(segment)).clamp(0.0, 1.0) } else { 0.0 };
        out.push([0, 1].map(|a| closed[segment][a] + part * (closed[segment + 1][a] - closed[segment][a])));
    }
    out
}

/// The point nearest to the ray from the middle to the right; of several the farthest out.
fn rightmost(points: &[[f32; 2]]) -> Option<usize> {
    let count = points.len() as f32;
    let middle = [0, 1].map(|a| points.iter().map(|p| p[a]).sum::<f32>() / count);
    let off = |p: &[f32; 2]| (p[1] - middle[1]).abs() - 0.5 * (p[0] - middle[0]);
    points.iter().enumerate().min_by(|a, b| off(a.1).total_cmp(&off(b.1))).map(|(i, _)| i)
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::*;
    use crate::grid::Grid;
    use crate::postprocess::components;

    fn traced(mask: &[u8], width: usize, label: u32) -> Vec<[f32; 2]> {
        let grid = Grid { dims: [width, mask.len() / width, 1], spacing_mm: [1.0; 3] };
        let found = components::label(&grid, mask);
        let values: Vec<f32> = mask.iter().map(|m| f32::from(*m)).collect();
        let first = found.labels.iter().position(|l| *l == label).unwrap();
        trace(&found.labels, label, first, Map { values: &values, width }, 0.5)
    }

    #[test]
    fn one_pixel_is_a_diamond_around_its_middle() {
        let points = traced(&[0, 0, 0, 0, 1, 0, 0, 0, 0], 3, 1);
        assert_eq!(points, [[1.5, 1.0], [2.0, 1.5], [1.5, 2.0], [1.0, 1.5]]);
    }

    #[test]
    fn the_crossing_is_where_the_probability_passes_the_level() {
        let values = [0.0, 0.9, 0.2];
        let points = trace(&[0, 1, 0], 1, 1, Map { values: &values, width: 3 }, 0.4);
        assert!((points[1][0] - (1.5 + 0.5 / 0.7)).abs() < 1e-5 && points[1][1] == 0.5, "{points:?}");
        assert!(points.contains(&[1.5, 0.0]), "the map's edge is the edge: {points:?}");
    }

    #[test]
    fn pixels_that_touch_at_a_corner_are_two_things() {
        assert_eq!(traced(&[1, 0, 0, 1], 2, 1).len(), 4);
        assert_eq!(traced(&[1, 0, 0, 1], 2, 2).len(), 4);
    }

    #[test]
    fn points_at_equal_distances_begin_on_the_right() {
        let square = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]];
        let points = resampled(&square, 8);
        assert_eq!(points.len(), 8);
        assert!(points[0][0] == 4.0, "{points:?}");
        assert!(points.windows(2).all(|p| (distance(p[0], p[1]) - 2.0).abs() < 1e-4), "{points:?}");
        assert!(resampled(&[], 8).is_empty());
        assert_eq!(resampled(&[[1.0, 2.0]], 3), [[1.0, 2.0]; 3]);
    }

    proptest! {
        #[test]
        fn outlines_are_closed_clockwise_and_around_their_component(
            width in 2usize..12, bits in prop::collection::vec(any::<bool>(), 96),
        ) {
            let rows = bits.len() / width;
            let mask: Vec<u8> = bits[..width * rows].iter().map(|b| u8::from(*b)).collect();
            let grid = Grid { dims: [width, rows, 1], spacing_mm: [1.0; 3] };
            let found = components::label(&grid, &mask);
            for label in 1..=found.sizes.len() as u32 {
                let points = traced(&mask, width, label);
                prop_assert!(points.len() >= 4 && points.len().is_multiple_of(2));
                prop_assert!(2.0 * signed_area(&points) > 0.0, "{:?}", points);
                let reach = (width as f32, rows as f32);
                prop_assert!(points.iter().all(|p| (0.0..=reach.0).contains(&p[0]) && (0.0..=reach.1).contains(&p[1])));
                // Halving each pixel's rim loses no more than half a pixel a side.
                let longest = points.len() as f32;
                prop_assert!(2.0 * signed_area(&points) >= 2.0 * found.sizes[label as usize - 1] as f32 - longest);
                prop_assert!(resampled(&points, 64).len() == 64);
            }
        }
    }
}
