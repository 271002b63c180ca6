//! A mammogram on the working grid: bright is dense, one value for each pixel.

use crate::cast::{floor_index, round_u16, single};
use crate::grid::Grid;

/// The grid on which pictures are read, mm a pixel.
pub const WORKING_MM: f64 = 0.4;
/// Longer side of the working grid when millimetres are not known, pixels: about that of a detector of 24 x 30 cm.
const LONGER_SIDE: usize = 640;
/// Longer side of a detector, mm: only for the reach of filters when millimetres are not known.
const DETECTOR_MM: f32 = 260.0;
/// The longer side of the working grid is no longer, pixels: 480 mm.
const MOST: usize = 1200;

/// Values are 0 to 1, row by row, bright is dense.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
    /// Millimetres a pixel, the same in both directions, where the header says it.
    pub mm: Option<f32>,
}

impl Picture {
    /// Means of squares of the full picture, about [`WORKING_MM`] wide. `value` gives the pixel at x and y, 0 to 1; pixels
    /// are as wide as high.
    pub fn reduced(size: [usize; 2], mm: Option<f64>, value: impl Fn(usize, usize) -> f32) -> Self {
        let [columns, rows] = size;
        let factor = match mm.filter(|mm| mm.is_finite() && *mm > 0.0) {
            // No more pixels than a detector has at that width, whatever the header says.
            Some(mm) => floor_index((WORKING_MM / mm + 0.25).min(64.0)).max(columns.max(rows).div_ceil(MOST)).max(1),
            None => columns.max(rows).div_ceil(LONGER_SIDE).max(1),
        };
        let (width, height) = (columns.div_ceil(factor), rows.div_ceil(factor));
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let (mut sum, mut count) = (0.0f32, 0.0f32);
                for row in (y * factor)..((y + 1) * factor).min(rows) {
                    for column in (x * factor)..((x + 1) * factor).min(columns) {
                        let one = value(column, row);
                        if one.is_finite() {
                            sum += one.clamp(0.0, 1.0);
                        }
                        count += 1.0;
                    }
                }
                values.push(sum / count.max(1.0));
            }
        }
        let mm = mm.filter(|mm| mm.is_finite() && *mm > 0.0).map(|mm| single(mm * factor as f64));
        Self { width, height, values, mm }
    }

    /// In whole steps of 1/255.
    pub fn bytes(&self) -> Vec<u8> {
        self.values.iter().map(|value| u8::try_from(round_u16(value * 255.0)).unwrap_or(u8::MAX)).collect()
    }

    /// Millimetres a pixel for the reach of filters: an assumption where the header says nothing.
    pub(super) fn nominal_mm(&self) -> f32 {
        self.mm.unwrap_or_else(|| DETECTOR_MM / self.width.max(self.height).max(1) as f32)
    }

    pub(super) fn grid(&self) -> Grid {
        let mm = f64::from(self.nominal_mm());
        Grid { dims: [self.width, self.height, 1], spacing_mm: [mm; 3] }
    }

    /// The nearest pixel inside the picture.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        let x = floor_index(f64::from(x)).min(self.width.saturating_sub(1));
        let y = floor_index(f64::from(y)).min(self.height.saturating_sub(1));
        self.values.get(y * self.width + x).copied().unwrap_or(0.0)
    }

    /// The mean of the square that reaches `reach` pixels to each side; at the border of what of it is there.
    pub(super) fn smoothed(&self, reach: usize) -> Self {
        let rows = means(&self.values, self.width, reach);
        let turned = transposed(&rows, self.width);
        let columns = means(&turned, self.height, reach);
        Self { values: transposed(&columns, self.height), ..*self }
    }
}

/// Running means along rows of `width`.
fn means(values: &[f32], width: usize, reach: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width.max(1)) {
        let mut sums = vec![0.0f64];
        let mut sum = 0.0;
        for value in row {
            sum += f64::from(*value);
            sums.push(sum);
        }
        for x in 0..width {
            let (from, to) = (x.saturating_sub(reach), (x + reach + 1).min(width));
            out.push(single((sums[to] - sums[from]) / (to - from) as f64));
        }
    }
    out
}

/// The transpose of a picture with rows of `width`.
pub(super) fn transposed<T: Copy>(values: &[T], width: usize) -> Vec<T> {
    let width = width.max(1);
    let height = values.len() / width;
    (0..width).flat_map(|x| (0..height).map(move |y| values[y * width + x])).collect()
}
