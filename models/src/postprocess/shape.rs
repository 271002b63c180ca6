//! How long, wide and high a region is, whichever way it lies. Pure.

use std::f64::consts::PI;

use crate::findings::Mask;

/// First and second moments of points, mm.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    count: f64,
    sum: [f64; 3],
    products: [[f64; 3]; 3],
}

impl Moments {
    pub fn add(&mut self, at_mm: [f64; 3]) {
        self.count += 1.0;
        for a in 0..3 {
            self.sum[a] += at_mm[a];
            for b in 0..3 {
                self.products[a][b] += at_mm[a] * at_mm[b];
            }
        }
    }

    /// Axes of the ellipsoid that has these moments, mm, longest first; zero without points. `voxel_mm`: sides of the voxel that
    /// each point stands for.
    ///
    /// A solid ellipsoid varies by a fifth of the square of each half axis. A voxel varies itself, by a twelfth of the square
    /// of its side.
    pub fn axes_mm(&self, voxel_mm: [f64; 3]) -> [f64; 3] {
        if self.count == 0.0 {
            return [0.0; 3];
        }
        let mean = self.sum.map(|sum| sum / self.count);
        let mut spread = [[0.0; 3]; 3];
        for a in 0..3 {
            for b in 0..3 {
                spread[a][b] = self.products[a][b] / self.count - mean[a] * mean[b];
            }
            spread[a][a] += voxel_mm[a].powi(2) / 12.0;
        }
        eigenvalues(&spread).map(|variance| 2.0 * (5.0 * variance.max(0.0)).sqrt())
    }
}

/// Axes of a mask, see [`Moments::axes_mm`]. `spacing_mm`: along its columns, rows and slices.
pub fn principal_axes_mm(mask: &Mask, spacing_mm: [f64; 3]) -> [f64; 3] {
    let mut moments = Moments::default();
    for ([x, y, z], row) in mask.rows() {
        for (i, _) in row.iter().enumerate().filter(|(_, value)| **value != 0) {
            moments.add([(x + i) as f64 * spacing_mm[0], y as f64 * spacing_mm[1], z as f64 * spacing_mm[2]]);
        }
    }
    moments.axes_mm(spacing_mm)
}

/// Of a symmetric matrix, largest first (Smith: Eigenvalues of a symmetric 3 x 3 matrix, Communications of the ACM 4
/// (1961) 168).
pub fn eigenvalues(m: &[[f64; 3]; 3]) -> [f64; 3] {
    let mean = (m[0][0] + m[1][1] + m[2][2]) / 3.0;
    let off = m[0][1].powi(2) + m[0][2].powi(2) + m[1][2].powi(2);
    let scale = (((0..3).map(|a| (m[a][a] - mean).powi(2)).sum::<f64>() + 2.0 * off) / 6.0).sqrt();
    if scale <= f64::EPSILON * mean.abs() {
        return [mean; 3];
    }
    let at = |a: usize, b: usize| (m[a][b] - if a == b { mean } else { 0.0 }) / scale;
    let determinant = at(0, 0) * (at(1, 1) * at(2, 2) - at(1, 2).powi(2))
        - at(0, 1) * (at(0, 1) * at(2, 2) - at(1, 2) * at(0, 2))
        + at(0, 2) * (at(0, 1) * at(1, 2) - at(1, 1) * at(0, 2));
    let angle = (determinant / 2.0).clamp(-1.0, 1.0).acos() / 3.0;
    let largest = mean + 2.0 * scale * angle.cos();
    let smallest = mean + 2.0 * scale * (angle + 2.0 * PI / 3.0).cos();
    [largest, 3.0 * mean - largest - smallest, smallest]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A solid ellipsoid with its axes along these unit vectors.
    fn ellipsoid(half_mm: [f64; 3], along: [[f64; 3]; 3], spacing_mm: [f64; 3]) -> Mask {
        let size = [0, 1, 2].map(|a| (2.0 * half_mm[0] / spacing_mm[a]).ceil() as usize + 3);
        let mut mask = Mask { origin: [4, 5, 6], size, voxels: vec![0; size.iter().product()] };
        for (i, voxel) in mask.voxels.iter_mut().enumerate() {
            let at = [i % size[0], i / size[0] % size[1], i / (size[0] * size[1])];
            let from = [0, 1, 2].map(|a| (at[a] as f64 - (size[a] - 1) as f64 / 2.0) * spacing_mm[a]);
            let dot = |v: [f64; 3]| (0..3).map(|a| v[a] * from[a]).sum::<f64>();
            *voxel = u8::from((0..3).map(|k| (dot(along[k]) / half_mm[k]).powi(2)).sum::<f64>() <= 1.0);
        }
        mask
    }

    #[test]
    fn eigenvalues_are_those_of_the_matrix() {
        let close = |a: [f64; 3], b: [f64; 3]| (0..3).all(|i| (a[i] - b[i]).abs() < 1e-4);
        assert!(close(eigenvalues(&[[3.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]), [3.0, 2.0, 1.0]));
        assert!(close(eigenvalues(&[[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 5.0]]), [5.0, 3.0, 1.0]));
        assert!(close(eigenvalues(&[[0.0; 3]; 3]), [0.0; 3]));
    }

    proptest! {
        #[test]
        fn an_ellipsoid_has_its_own_axes_whichever_way_it_lies(
            half in prop::array::uniform3(4.0..15.0f64),
            turn in prop::array::uniform3(0.0..PI),
            slice_mm in 0.7..2.0f64,
        ) {
            let mut half = half;
            half.sort_by(|a, b| b.total_cmp(a));
            let ([sx, cx], [sy, cy], [sz, cz]) =
                (turn[0].sin_cos().into(), turn[1].sin_cos().into(), turn[2].sin_cos().into());
            let along = [
                [cy * cz, cy * sz, -sy],
                [sx * sy * cz - cx * sz, sx * sy * sz + cx * cz, sx * cy],
                [cx * sy * cz + sx * sz, cx * sy * sz - sx * cz, cx * cy],
            ];
            let spacing = [0.7, 0.7, slice_mm];
            let found = principal_axes_mm(&ellipsoid(half, along, spacing), spacing);
            // A body of voxels is known to half of its largest voxel, however large it is.
            let exact_mm = slice_mm / 2.0;
            for (found, half) in found.into_iter().zip(half) {
                prop_assert!((found - 2.0 * half).abs() < exact_mm, "{found} of {}", 2.0 * half);
            }
        }
    }

    #[test]
    fn one_voxel_and_none_have_axes_too() {
        let voxel = |value| Mask { origin: [0; 3], size: [1; 3], voxels: vec![value] };
        assert_eq!(principal_axes_mm(&voxel(0), [1.0; 3]), [0.0; 3]);
        let [long, middle, short] = principal_axes_mm(&voxel(1), [0.5, 1.0, 2.0]);
        assert!(long > middle && middle > short && short > 0.0, "{long} {middle} {short}");
    }
}
