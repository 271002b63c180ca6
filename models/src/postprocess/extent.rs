//! How long a closed outline is and how wide across that, as callipers are set: the longest distance between two of its
//! points (Feret diameter), and its extent at a right angle to it.

/// Longest and across, in the units of the points.
pub fn axes(points: &[[f32; 2]]) -> [f32; 2] {
    let mut longest = ([1.0, 0.0], 0.0f32);
    for (i, a) in points.iter().enumerate() {
        for b in &points[i + 1..] {
            let way = [b[0] - a[0], b[1] - a[1]];
            let length = way[0].hypot(way[1]);
            if length > longest.1 {
                longest = (way.map(|v| v / length), length);
            }
        }
    }
    let ([along_x, along_y], length) = longest;
    let off = points.iter().map(|p| p[1] * along_x - p[0] * along_y);
    let (low, high) = off.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    [length, (high - low).max(0.0)]
}

/// Left, top, right, bottom.
pub fn bounds(points: &[[f32; 2]]) -> [f32; 4] {
    let of = |a: usize, start: f32, pick: fn(f32, f32) -> f32| points.iter().map(|p| p[a]).fold(start, pick);
    if points.is_empty() {
        return [0.0; 4];
    }
    [
        of(0, f32::INFINITY, f32::min),
        of(1, f32::INFINITY, f32::min),
        of(0, f32::NEG_INFINITY, f32::max),
        of(1, f32::NEG_INFINITY, f32::max),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ellipse around the origin, turned by `angle`.
    fn ellipse(half: [f32; 2], angle: f32) -> Vec<[f32; 2]> {
        let (s, c) = angle.sin_cos();
        let at = |i: usize| (i as f32 / 90.0 * std::f32::consts::TAU).sin_cos();
        let turn = |(y, x): (f32, f32)| [half[0] * x * c - half[1] * y * s, half[0] * x * s + half[1] * y * c];
        (0..90).map(at).map(turn).collect()
    }

    #[test]
    fn an_ellipse_has_its_two_axes_however_it_is_turned() {
        for angle in [0.0, 0.3, 1.2, 2.9] {
            let [long, across] = axes(&ellipse([10.0, 4.0], angle));
            assert!((long - 20.0).abs() < 0.05 && (across - 8.0).abs() < 0.3, "{angle}: {long} {across}");
        }
        assert_eq!(axes(&[]), [0.0, 0.0]);
        assert_eq!(axes(&[[1.0, 1.0]]), [0.0, 0.0]);
        assert_eq!(bounds(&[[1.0, 5.0], [3.0, 2.0]]), [1.0, 2.0, 3.0, 5.0]);
    }
}
