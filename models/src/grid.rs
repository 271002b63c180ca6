//! A coarse working copy of a volume, in patient order: x to the patient's left, y to the back, z to the head.

use rayon::prelude::*;

use crate::cast::{floor_index, round_hu_f32};
use crate::volume::{Geometry, Volume};

/// Extents and spacing of a dense array, x fastest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    pub dims: [usize; 3],
    pub spacing_mm: [f64; 3],
}

impl Grid {
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn index(&self, [x, y, z]: [usize; 3]) -> usize {
        (z * self.dims[1] + y) * self.dims[0] + x
    }

    pub fn at(&self, index: usize) -> [usize; 3] {
        let [nx, ny, _] = self.dims;
        [index % nx, index / nx % ny, index / (nx * ny)]
    }

    pub fn voxel_ml(&self) -> f64 {
        self.spacing_mm.iter().product::<f64>() / 1000.0
    }

    /// Indices of the up to six face neighbours.
    pub fn neighbours(&self, index: usize) -> impl Iterator<Item = usize> + use<> {
        let [x, y, z] = self.at(index);
        let [nx, ny, nz] = self.dims;
        let (row, plane) = (nx, nx * ny);
        [
            (x > 0).then(|| index - 1),
            (x + 1 < nx).then(|| index + 1),
            (y > 0).then(|| index - row),
            (y + 1 < ny).then(|| index + row),
            (z > 0).then(|| index - plane),
            (z + 1 < nz).then(|| index + plane),
        ]
        .into_iter()
        .flatten()
    }
}

/// Which voxel axis runs along which patient axis, and in which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation {
    /// Voxel axis along patient x, y, z.
    pub axis: [usize; 3],
    /// Does the index fall where the patient coordinate rises?
    pub flipped: [bool; 3],
}

impl Orientation {
    /// The nearest of the 48 orientations; exact for axial, coronal and sagittal volumes.
    pub fn of(geometry: &Geometry) -> Self {
        let mut axis = [0; 3];
        let mut flipped = [false; 3];
        let mut free = vec![0, 1, 2];
        // The head direction decides first: an oblique volume is still read slice by slice.
        for patient in [2, 1, 0] {
            let slope = |a: &usize| geometry.axes[*a][patient].abs();
            let best = free.iter().copied().max_by(|a, b| slope(a).total_cmp(&slope(b))).unwrap_or(0);
            free.retain(|a| *a != best);
            axis[patient] = best;
            flipped[patient] = geometry.axes[best][patient] < 0.0;
        }
        Self { axis, flipped }
    }

    /// Index in voxel order of a position in patient order.
    pub fn to_voxel(self, dims: [usize; 3], patient: [usize; 3]) -> [usize; 3] {
        let mut voxel = [0; 3];
        for ((a, flipped), p) in self.axis.into_iter().zip(self.flipped).zip(patient) {
            voxel[a] = if flipped { dims[a] - 1 - p } else { p };
        }
        voxel
    }

    /// Index in patient order of a position in voxel order (`dims` in voxel order).
    pub fn to_patient(self, dims: [usize; 3], voxel: [usize; 3]) -> [usize; 3] {
        let mut patient = [0; 3];
        for ((a, flipped), p) in self.axis.into_iter().zip(self.flipped).zip(&mut patient) {
            *p = if flipped { dims[a] - 1 - voxel[a] } else { voxel[a] };
        }
        patient
    }

    /// `[x, y, z]` in voxel order put into patient order.
    pub fn permute<T: Copy>(self, by_voxel_axis: [T; 3]) -> [T; 3] {
        self.axis.map(|a| by_voxel_axis[a])
    }
}

/// A volume reduced by whole factors, in patient order.
#[derive(Debug, Clone)]
pub struct Coarse {
    pub grid: Grid,
    /// Mean HU of each block, clipped to -1024..600 before averaging so that padding and metal do not weigh.
    pub hu: Vec<i16>,
    pub orientation: Orientation,
    /// Voxels per block along column, row and slice index of the volume.
    pub factors: [usize; 3],
    /// First voxel of this grid within the uncropped one, in patient order.
    offset: [usize; 3],
    /// Extents of the uncropped grid, in voxel order.
    whole: [usize; 3],
}

impl Coarse {
    /// Blocks of at most `target_mm` along each axis (one voxel where it is larger already).
    pub fn of(volume: &Volume, target_mm: f64) -> Self {
        let geometry = &volume.geometry;
        let factors = geometry.spacing_mm.map(|s| floor_index(target_mm / s).clamp(1, 16));
        let dims = [0, 1, 2].map(|a| geometry.dims[a].div_ceil(factors[a]));
        let orientation = Orientation::of(geometry);
        let blocks = block_means(volume, factors, dims);
        let spacing = [0, 1, 2].map(|a| geometry.spacing_mm[a] * factors[a] as f64);
        let grid = Grid { dims: orientation.permute(dims), spacing_mm: orientation.permute(spacing) };
        let plane = grid.dims[0] * grid.dims[1];
        let mut hu = vec![0; grid.len()];
        hu.par_chunks_mut(plane.max(1)).enumerate().for_each(|(z, out)| {
            for (i, value) in out.iter_mut().enumerate() {
                let [c, r, s] = orientation.to_voxel(dims, [i % grid.dims[0], i / grid.dims[0], z]);
                *value = blocks[(s * dims[1] + r) * dims[0] + c];
            }
        });
        Self { grid, hu, orientation, factors, offset: [0; 3], whole: dims }
    }

    /// The part from `low` to `high` (inclusive, patient order).
    pub fn cropped(&self, low: [usize; 3], high: [usize; 3]) -> Self {
        let dims = [0, 1, 2].map(|a| high[a] + 1 - low[a]);
        let grid = Grid { dims, spacing_mm: self.grid.spacing_mm };
        let offset = [0, 1, 2].map(|a| self.offset[a] + low[a]);
        Self { hu: crop(&self.grid, &self.hu, low, high), grid, offset, ..*self }
    }

    /// First voxel of this grid within the uncropped one, and the extents of that; both in patient order.
    pub fn within(&self) -> ([usize; 3], [usize; 3]) {
        (self.offset, self.orientation.permute(self.whole))
    }

    /// First voxel, in voxel order, of the block of the original volume below a working voxel.
    pub fn block(&self, at: [usize; 3]) -> [usize; 3] {
        let whole = [0, 1, 2].map(|a| at[a] + self.offset[a]);
        let voxel = self.orientation.to_voxel(self.whole, whole);
        [0, 1, 2].map(|a| voxel[a] * self.factors[a])
    }

    /// As [`working`](Self::working); `None` outside this grid.
    pub fn checked(&self, voxel: [usize; 3]) -> Option<[usize; 3]> {
        let whole = self.in_whole(voxel);
        let at = [0, 1, 2].map(|a| whole[a].checked_sub(self.offset[a]).filter(|i| *i < self.grid.dims[a]));
        let [Some(x), Some(y), Some(z)] = at else { return None };
        Some([x, y, z])
    }

    /// Working voxel of a voxel of the original volume that lies within this grid.
    pub fn working(&self, voxel: [usize; 3]) -> [usize; 3] {
        let whole = self.in_whole(voxel);
        [0, 1, 2].map(|a| whole[a] - self.offset[a])
    }

    /// Voxel of the uncropped grid, in patient order.
    fn in_whole(&self, voxel: [usize; 3]) -> [usize; 3] {
        self.orientation.to_patient(self.whole, [0, 1, 2].map(|a| voxel[a] / self.factors[a]))
    }
}

/// The box from `low` to `high` (inclusive) of `values`.
pub fn crop<T: Copy>(grid: &Grid, values: &[T], low: [usize; 3], high: [usize; 3]) -> Vec<T> {
    let mut part = Vec::new();
    for z in low[2]..=high[2] {
        for y in low[1]..=high[1] {
            let start = grid.index([low[0], y, z]);
            part.extend_from_slice(&values[start..=start + high[0] - low[0]]);
        }
    }
    part
}

/// The inverse of [`crop`] for a mask of `part`, which begins at `low`: 0 elsewhere.
pub fn uncrop(grid: &Grid, part: &Grid, mask: &[u8], low: [usize; 3]) -> Vec<u8> {
    let mut whole = vec![0; grid.len()];
    for (line, row) in mask.chunks(part.dims[0].max(1)).enumerate() {
        let start = grid.index([low[0], low[1] + line % part.dims[1], low[2] + line / part.dims[1]]);
        whole[start..start + row.len()].copy_from_slice(row);
    }
    whole
}

/// First and last voxel of what is not 0, widened by `margin` where there is room; `None` when everything is 0.
pub fn bounds(grid: &Grid, mask: &[u8], margin: usize) -> Option<([usize; 3], [usize; 3])> {
    let [nx, ny, _] = grid.dims;
    let mut found: Option<([usize; 3], [usize; 3])> = None;
    for (line, row) in mask.chunks(nx.max(1)).enumerate() {
        let Some(first) = row.iter().position(|v| *v != 0) else { continue };
        let last = row.iter().rposition(|v| *v != 0).unwrap_or(first);
        let (y, z) = (line % ny, line / ny);
        let (low, high) = found.get_or_insert(([first, y, z], [last, y, z]));
        *low = [low[0].min(first), low[1].min(y), low[2].min(z)];
        *high = [high[0].max(last), high[1].max(y), high[2].max(z)];
    }
    found.map(|(low, high)| {
        (low.map(|v| v.saturating_sub(margin)), [0, 1, 2].map(|a| (high[a] + margin).min(grid.dims[a] - 1)))
    })
}

/// Block means in voxel order.
fn block_means(volume: &Volume, factors: [usize; 3], dims: [usize; 3]) -> Vec<i16> {
    let [columns, rows, slices] = volume.geometry.dims;
    let plane = dims[0] * dims[1];
    let mut means = vec![0i16; plane * dims[2]];
    means.par_chunks_mut(plane.max(1)).enumerate().for_each(|(block, out)| {
        let depth = factors[2].min(slices - block * factors[2]);
        let mut sums = vec![0i32; columns];
        for (by, out) in out.chunks_mut(dims[0]).enumerate() {
            let height = factors[1].min(rows - by * factors[1]);
            sums.fill(0);
            for slice in &volume.slices[block * factors[2]..][..depth] {
                for row in slice[by * factors[1] * columns..][..height * columns].chunks(columns) {
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += i32::from((*value).clamp(-1024, 600));
                    }
                }
            }
            for (mean, sums) in out.iter_mut().zip(sums.chunks(factors[0])) {
                let count = (sums.len() * height * depth) as f32;
                // A mean of values within i16 is within i16.
                *mean = round_hu_f32(sums.iter().sum::<i32>() as f32 / count);
            }
        }
    });
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(dims: [usize; 3], axes: [[f64; 3]; 3]) -> Geometry {
        Geometry { dims, spacing_mm: [1.0, 1.0, 2.0], origin_mm: [0.0; 3], axes }
    }

    /// HU = 100 * mm to the left + 10 * mm to the back + mm to the head of the first voxel.
    fn ramp(axes: [[f64; 3]; 3]) -> Volume {
        let geometry = geometry([4, 6, 3], axes);
        let value = |c: usize, r: usize, s: usize| {
            let p = geometry.to_patient([c as f64, r as f64, s as f64]);
            (100.0 * p[0] + 10.0 * p[1] + p[2]) as i16
        };
        let slice = |s: usize| (0..24).map(|i| value(i % 4, i / 4, s)).collect::<Vec<i16>>().into();
        Volume { slices: (0..3).map(slice).collect(), geometry: geometry.clone() }
    }

    #[test]
    fn patient_order_does_not_depend_on_how_the_patient_lies() {
        let supine = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let prone_feet_first = [[-1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]];
        let coronal = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]];
        for axes in [supine, prone_feet_first, coronal] {
            let coarse = Coarse::of(&ramp(axes), 1.0);
            let g = coarse.grid;
            let at = |p: [usize; 3]| coarse.hu[g.index(p)];
            let step = |a: usize| (g.spacing_mm[a] * [100.0, 10.0, 1.0][a]) as i16;
            assert_eq!(at([1, 0, 0]) - at([0, 0, 0]), step(0), "{axes:?}");
            assert_eq!(at([0, 1, 0]) - at([0, 0, 0]), step(1), "{axes:?}");
            assert_eq!(at([0, 0, 1]) - at([0, 0, 0]), step(2), "{axes:?}");
        }
    }

    #[test]
    fn voxel_and_patient_order_are_inverse() {
        let axes = [[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]];
        let orientation = Orientation::of(&geometry([4, 6, 3], axes));
        let dims = [4, 6, 3];
        for voxel in [[0, 0, 0], [3, 5, 2], [1, 4, 0]] {
            assert_eq!(orientation.to_voxel(dims, orientation.to_patient(dims, voxel)), voxel);
        }
    }

    #[test]
    fn what_was_cropped_goes_back_to_its_place() {
        let grid = Grid { dims: [5, 4, 3], spacing_mm: [1.0; 3] };
        let mask: Vec<u8> = (0..60).map(|i| u8::from(i % 7 == 0)).collect();
        let (low, high) = ([1, 0, 1], [3, 2, 2]);
        let part = Grid { dims: [3, 3, 2], spacing_mm: grid.spacing_mm };
        let back = uncrop(&grid, &part, &crop(&grid, &mask, low, high), low);
        for (i, value) in back.iter().enumerate() {
            let inside = (0..3).all(|a| (low[a]..=high[a]).contains(&grid.at(i)[a]));
            assert_eq!(*value, if inside { mask[i] } else { 0 }, "{:?}", grid.at(i));
        }
    }

    #[test]
    fn a_block_is_the_mean_of_its_voxels_also_at_the_edge() {
        let geometry = geometry([5, 2, 1], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let slice: Vec<i16> = vec![0, 10, 20, 30, 40, 10, 20, 30, 40, 50];
        let coarse = Coarse::of(&Volume { geometry, slices: vec![slice.into()] }, 2.1);
        assert_eq!((coarse.grid.dims, coarse.hu), ([3, 1, 1], vec![10, 30, 45]));
    }
}
