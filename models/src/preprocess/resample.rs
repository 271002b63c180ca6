//! A box of a volume on an isotropic grid in patient order (x to the left, y to the back, z to the head).

use rayon::prelude::*;

use crate::cast::{ceil_index, floor_index, round_index, single};
use crate::grid::{Grid, Orientation};
use crate::volume::{Geometry, Volume};

/// The grid a network reads, and where it lies in the volume.
#[derive(Debug, Clone)]
pub struct Target {
    /// Patient order.
    pub grid: Grid,
    pub orientation: Orientation,
    /// Voxel coordinate (index, may be fractional or outside) of each grid index along each patient axis.
    pub coordinates: [Vec<f64>; 3],
    /// Voxels from one grid index to the next along each patient axis.
    steps: [f64; 3],
}

impl Target {
    /// Covers the box from voxel `low` to `high` (inclusive, voxel order) and `margin_mm` around it, at `spacing_mm`, as
    /// far as the volume goes; at least `minimum` points along x, y, z.
    pub fn cover(
        geometry: &Geometry,
        (low, high): ([usize; 3], [usize; 3]),
        margin_mm: f64,
        spacing_mm: f64,
        minimum: [usize; 3],
    ) -> Self {
        let orientation = Orientation::of(geometry);
        let coordinates = [0, 1, 2].map(|p| {
            let a = orientation.axis[p];
            let step = spacing_mm / geometry.spacing_mm[a];
            let margin = margin_mm / geometry.spacing_mm[a];
            // A network sees tissue end in air where a scan ends, unless it ends there too.
            let end = geometry.dims[a].saturating_sub(1) as f64;
            let (first, last) = ((low[a] as f64 - margin).max(0.0), (high[a] as f64 + margin).min(end));
            // The tolerance keeps rounding from adding a point.
            let count = (ceil_index((last - first) / step - 1e-6) + 1).max(minimum[p]);
            (0..count)
                .map(|i| if orientation.flipped[p] { last - i as f64 * step } else { first + i as f64 * step })
                .collect::<Vec<f64>>()
        });
        let grid = Grid { dims: [0, 1, 2].map(|p| coordinates[p].len()), spacing_mm: [spacing_mm; 3] };
        let steps = orientation.axis.map(|a| spacing_mm / geometry.spacing_mm[a]);
        Self { grid, orientation, coordinates, steps }
    }

    /// Grid index (may be fractional or outside) along patient axis `p` of a voxel coordinate along the axis that runs there.
    pub fn index_at(&self, p: usize, voxel: f64) -> f64 {
        let sign = if self.orientation.flipped[p] { -1.0 } else { 1.0 };
        (voxel - self.coordinates[p][0]) * sign / self.steps[p]
    }

    /// Voxel coordinates, in voxel order, of a point of the grid.
    pub fn voxel_at(&self, at: [usize; 3]) -> [f64; 3] {
        let mut voxel = [0.0; 3];
        for (p, a) in self.orientation.axis.into_iter().enumerate() {
            voxel[a] = self.coordinates[p][at[p]];
        }
        voxel
    }

    /// Nearest voxel of the volume below each grid index along patient axis `p`; `None` outside.
    pub fn nearest(&self, p: usize, dims: [usize; 3]) -> Vec<Option<usize>> {
        let n = dims[self.orientation.axis[p]];
        let inside = |c: f64| (c > -0.5 && c < n as f64 - 0.5).then(|| round_index(c).min(n - 1));
        self.coordinates[p].iter().map(|c| inside(*c)).collect()
    }
}

/// Two neighbours and the weight of the second one; the outermost voxel goes on for ever.
pub type Tap = (usize, usize, f32);

/// For each coordinate, in voxels, along an axis of `n` voxels.
pub fn taps(coordinates: &[f64], n: usize) -> Vec<Tap> {
    let last = n as f64 - 1.0;
    let tap = |c: f64| {
        let c = c.clamp(0.0, last);
        let i = floor_index(c);
        (i, (i + 1).min(n - 1), single(c - i as f64))
    };
    coordinates.iter().map(|c| tap(*c)).collect()
}

/// Trilinear values (HU) on the target grid, x fastest; beyond the volume those of its nearest voxels.
pub fn trilinear(volume: &Volume, target: &Target) -> Vec<f32> {
    let dims = volume.geometry.dims;
    let along = [0, 1, 2].map(|p| taps(&target.coordinates[p], dims[target.orientation.axis[p]]));
    let plane = target.grid.dims[0] * target.grid.dims[1];
    let mut out = vec![0.0; target.grid.len()];
    let axial = target.orientation.axis == [0, 1, 2];
    out.par_chunks_mut(plane.max(1)).zip(&along[2]).for_each(|(out, z)| {
        if axial {
            axial_plane(volume, [&along[0], &along[1]], *z, out);
        } else {
            general_plane(volume, target.orientation, [&along[0], &along[1]], *z, out);
        }
    });
    out
}

fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Slices, then rows, then columns: the first two in runs that the compiler makes wide.
fn axial_plane(volume: &Volume, [xs, ys]: [&[Tap]; 2], (k0, k1, tz): (usize, usize, f32), out: &mut [f32]) {
    let columns = volume.geometry.dims[0];
    let (Some(first), Some(last)) = (xs.iter().map(|t| t.0).min(), xs.iter().map(|t| t.1).max()) else { return };
    let (near, far) = (&volume.slices[k0], &volume.slices[k1]);
    let mut row = vec![0.0f32; last - first + 1];
    for (out, &(j0, j1, ty)) in out.chunks_mut(xs.len()).zip(ys) {
        let run = |slice: &'_ [i16], j: usize| j * columns + first..j * columns + first + row.len().min(slice.len());
        let (a, b) = (&near[run(near, j0)], &near[run(near, j1)]);
        let (c, d) = (&far[run(far, j0)], &far[run(far, j1)]);
        for ((((value, a), b), c), d) in row.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            let low = lerp(f32::from(*a), f32::from(*b), ty);
            let high = lerp(f32::from(*c), f32::from(*d), ty);
            *value = lerp(low, high, tz);
        }
        for (value, &(i0, i1, tx)) in out.iter_mut().zip(xs) {
            *value = lerp(row[i0 - first], row[i1 - first], tx);
        }
    }
}

/// Any orientation, eight voxels at a time.
fn general_plane(
    volume: &Volume,
    orientation: Orientation,
    [xs, ys]: [&[Tap]; 2],
    z: (usize, usize, f32),
    out: &mut [f32],
) {
    let columns = volume.geometry.dims[0];
    let value = |x: usize, y: usize, z: usize| {
        let mut voxel = [0; 3];
        for (a, v) in orientation.axis.into_iter().zip([x, y, z]) {
            voxel[a] = v;
        }
        f32::from(volume.slices[voxel[2]][voxel[1] * columns + voxel[0]])
    };
    for (out, y) in out.chunks_mut(xs.len()).zip(ys) {
        for (out, x) in out.iter_mut().zip(xs) {
            let line = |y: usize, z: usize| lerp(value(x.0, y, z), value(x.1, y, z), x.2);
            let face = |z: usize| lerp(line(y.0, z), line(y.1, z), y.2);
            *out = lerp(face(z.0), face(z.1), z.2);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, prop_assert, proptest};

    use super::*;

    /// HU = 3 * left + 2 * back + 5 * head, in mm.
    fn ramp(dims: [usize; 3], spacing_mm: [f64; 3], axes: [[f64; 3]; 3]) -> Volume {
        let geometry = Geometry { dims, spacing_mm, origin_mm: [0.0; 3], axes };
        let value = |c: usize, r: usize, s: usize| linear(geometry.to_patient([c as f64, r as f64, s as f64])) as i16;
        let slice =
            |s: usize| (0..dims[0] * dims[1]).map(|i| value(i % dims[0], i / dims[0], s)).collect::<Vec<i16>>().into();
        Volume { slices: (0..dims[2]).map(slice).collect(), geometry: geometry.clone() }
    }

    fn linear(p: [f64; 3]) -> f64 {
        3.0 * p[0] + 2.0 * p[1] + 5.0 * p[2]
    }

    const AXES: [[[f64; 3]; 3]; 3] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]],
        [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]],
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_linear_ramp_stays_exact_in_every_orientation(spacing in 0.6f64..2.5, which in 0usize..3) {
            let volume = ramp([12, 10, 9], [1.0, 1.0, 2.0], AXES[which]);
            let g = &volume.geometry;
            let target = Target::cover(g, ([1, 1, 1], [10, 8, 7]), 0.0, spacing, [1; 3]);
            let values = trilinear(&volume, &target);
            for (i, value) in values.iter().enumerate() {
                let voxel = target.voxel_at(target.grid.at(i));
                let inside = (0..3).all(|a| voxel[a] <= g.dims[a] as f64 - 1.0 && voxel[a] >= 0.0);
                if inside {
                    prop_assert!((f64::from(*value) - linear(g.to_patient(voxel))).abs() < 0.02);
                }
            }
            // In patient order the head is up: the ramp rises along each axis.
            prop_assert!(values[target.grid.index([0, 0, 1])] > values[0]);
            prop_assert!(values[1] > values[0]);
        }
    }

    /// Tissue that seems to end in air where the scan ends was taken for consolidation.
    #[test]
    fn the_grid_ends_where_the_scan_ends_and_what_is_too_small_goes_on_as_it_ends() {
        let volume = ramp([8, 8, 8], [1.0; 3], AXES[0]);
        let target = Target::cover(&volume.geometry, ([0; 3], [6; 3]), 2.0, 1.0, [4, 16, 4]);
        assert_eq!(target.grid.dims, [8, 16, 8]);
        let values = trilinear(&volume, &target);
        assert_eq!(values[0], 0.0);
        assert_eq!(values[target.grid.index([0, 7, 0])], values[target.grid.index([0, 15, 0])]);
        assert_eq!(target.nearest(1, [8; 3])[7..9], [Some(7), None]);
    }
}
