//! A picture of 32-bit numbers in mm of the compressed breast, and the operations on it: sampling, blur, discs.

/// Rows from top to bottom; column 0 is at the chest wall, for both breasts. Pixel (0, 0) has its centre half a pixel from
/// the corner.
#[derive(Debug, Clone)]
pub struct Plane {
    pub columns: usize,
    pub rows: usize,
    /// Edge of a pixel, mm.
    pub pixel_mm: f32,
    /// Of the corner of the first pixel: distance from the chest wall edge, and from the top of the picture, mm.
    pub corner_mm: [f32; 2],
    pub values: Vec<f32>,
}

impl Plane {
    pub fn new(columns: usize, rows: usize, pixel_mm: f32) -> Self {
        Self { columns, rows, pixel_mm, corner_mm: [0.0; 2], values: vec![0.0; columns * rows] }
    }

    /// The same geometry, filled with 0.
    pub fn alike(&self) -> Self {
        Self { values: vec![0.0; self.values.len()], ..*self }
    }

    /// Covers the same field with pixels of `pixel_mm`, filled with 0.
    pub fn coarse(&self, pixel_mm: f32) -> Self {
        let count = |n: usize| (n as f32 * self.pixel_mm / pixel_mm).ceil() as usize + 1;
        Self { corner_mm: self.corner_mm, ..Self::new(count(self.columns), count(self.rows), pixel_mm) }
    }

    /// Centre of a pixel, mm.
    pub fn at(&self, column: usize, row: usize) -> [f32; 2] {
        [
            self.corner_mm[0] + (column as f32 + 0.5) * self.pixel_mm,
            self.corner_mm[1] + (row as f32 + 0.5) * self.pixel_mm,
        ]
    }

    /// Fractional column and row of a place in mm, centre of the first pixel being 0.
    pub fn to_pixel(&self, mm: [f32; 2]) -> [f32; 2] {
        [0, 1].map(|a| (mm[a] - self.corner_mm[a]) / self.pixel_mm - 0.5)
    }

    /// Enlarges to the geometry of `fine`, bilinear; applies `and` to every value.
    pub fn enlarged(&self, fine: &Plane) -> Plane {
        let mut out = fine.alike();
        let across: Vec<(usize, f32)> = (0..fine.columns).map(|c| self.tap(0, fine.at(c, 0)[0])).collect();
        let mut line = vec![0.0f32; self.columns];
        for row in 0..fine.rows {
            let (j, t) = self.tap(1, fine.at(0, row)[1]);
            let (a, b) = (&self.values[j * self.columns..][..self.columns], &self.values[(j + 1) * self.columns..]);
            for ((l, a), b) in line.iter_mut().zip(a).zip(b) {
                *l = a + (b - a) * t;
            }
            for (o, (i, s)) in out.values[row * fine.columns..][..fine.columns].iter_mut().zip(&across) {
                *o = line[*i] + (line[i + 1] - line[*i]) * s;
            }
        }
        out
    }

    fn tap(&self, axis: usize, mm: f32) -> (usize, f32) {
        let count = if axis == 0 { self.columns } else { self.rows };
        let at = ((mm - self.corner_mm[axis]) / self.pixel_mm - 0.5).clamp(0.0, count as f32 - 1.001);
        (at as usize, at.fract())
    }

    /// Mean of blocks of `factor` by `factor` pixels.
    pub fn reduced(&self, factor: usize) -> Plane {
        let (columns, rows) = (self.columns.div_ceil(factor), self.rows.div_ceil(factor));
        let mut out = Plane { corner_mm: self.corner_mm, ..Plane::new(columns, rows, self.pixel_mm * factor as f32) };
        for row in 0..rows {
            for column in 0..columns {
                let (mut sum, mut count) = (0.0, 0);
                for r in row * factor..((row + 1) * factor).min(self.rows) {
                    let line = &self.values[r * self.columns..][..self.columns];
                    let part = &line[column * factor..((column + 1) * factor).min(self.columns)];
                    sum += part.iter().sum::<f32>();
                    count += part.len();
                }
                out.values[row * columns + column] = sum / count.max(1) as f32;
            }
        }
        out
    }

    /// Gaussian blur with the standard deviation `sigma_mm`: five taps below 1.5 pixels, else three running means, whose widths
    /// are odd numbers of pixels, so that the standard deviation is met within a quarter.
    pub fn blur(&mut self, sigma_mm: f32) {
        let sigma = sigma_mm / self.pixel_mm;
        if sigma < 0.05 {
            return;
        }
        if sigma < 1.5 {
            let side = (-0.5 / (sigma * sigma)).exp();
            let far = (-2.0 / (sigma * sigma)).exp();
            let sum = 1.0 + 2.0 * (side + far);
            return self.separable(&[far / sum, side / sum, 1.0 / sum, side / sum, far / sum]);
        }
        let reach = (((4.0 * sigma * sigma + 1.0).sqrt() - 1.0) / 2.0).round().max(1.0) as usize;
        for _ in 0..3 {
            self.running_mean(reach);
        }
    }

    fn separable(&mut self, taps: &[f32; 5]) {
        let (columns, rows) = (self.columns, self.rows);
        let mut across = vec![0.0; self.values.len()];
        for (line, out) in self.values.chunks_exact(columns).zip(across.chunks_exact_mut(columns)) {
            for x in 0..columns {
                out[x] = (0..5).map(|k| taps[k] * line[(x + k).saturating_sub(2).min(columns - 1)]).sum();
            }
        }
        for (row, out) in self.values.chunks_exact_mut(columns).enumerate() {
            out.fill(0.0);
            for (k, tap) in taps.iter().enumerate() {
                let from = (row + k).saturating_sub(2).min(rows - 1);
                for (o, v) in out.iter_mut().zip(&across[from * columns..]) {
                    *o += tap * v;
                }
            }
        }
    }

    fn running_mean(&mut self, reach: usize) {
        let (columns, rows) = (self.columns, self.rows);
        let width = (2 * reach + 1) as f32;
        let mut copy = vec![0.0; columns];
        for line in self.values.chunks_exact_mut(columns) {
            copy.copy_from_slice(line);
            let at = |i: isize| copy[i.clamp(0, columns as isize - 1) as usize];
            let mut sum: f32 = (-(reach as isize)..=reach as isize).map(at).sum();
            for (x, v) in line.iter_mut().enumerate() {
                *v = sum / width;
                sum += at((x + reach + 1) as isize) - at(x as isize - reach as isize);
            }
        }
        let source = self.values.clone();
        let line = |j: isize| &source[j.clamp(0, rows as isize - 1) as usize * columns..][..columns];
        let mut sums = vec![0.0f32; columns];
        for j in -(reach as isize)..=reach as isize {
            sums.iter_mut().zip(line(j)).for_each(|(s, v)| *s += v);
        }
        for y in 0..rows {
            let out = &mut self.values[y * columns..][..columns];
            let (next, last) = (line((y + reach + 1) as isize), line(y as isize - reach as isize));
            for (((o, s), n), l) in out.iter_mut().zip(&mut sums).zip(next).zip(last) {
                *o = *s / width;
                *s += n - l;
            }
        }
    }

    /// Calls `draw` for every pixel within `reach_mm` of `centre_mm` along each axis: the value, and the offset in mm.
    pub fn around(&mut self, centre_mm: [f32; 2], reach_mm: [f32; 2], mut draw: impl FnMut(&mut f32, [f32; 2])) {
        let middle = self.to_pixel(centre_mm);
        let bounds = |axis: usize, count: usize| {
            let reach = reach_mm[axis] / self.pixel_mm + 1.0;
            let low = (middle[axis] - reach).floor().clamp(0.0, count as f32) as usize;
            let high = (middle[axis] + reach).ceil().clamp(-1.0, count as f32 - 1.0);
            low..(high + 1.0) as usize
        };
        let columns = bounds(0, self.columns);
        for row in bounds(1, self.rows) {
            let y = (row as f32 - middle[1]) * self.pixel_mm;
            for column in columns.clone() {
                let x = (column as f32 - middle[0]) * self.pixel_mm;
                draw(&mut self.values[row * self.columns + column], [x, y]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_keeps_the_sum_and_has_the_standard_deviation_asked_for() {
        for sigma_mm in [0.3, 1.0, 4.0] {
            let mut plane = Plane::new(101, 101, 0.5);
            plane.values[50 * 101 + 50] = 1.0;
            plane.blur(sigma_mm);
            let sum: f32 = plane.values.iter().sum();
            let variance: f32 =
                plane.values.iter().enumerate().map(|(i, v)| v * ((i % 101) as f32 * 0.5 - 25.0).powi(2)).sum();
            assert!((sum - 1.0).abs() < 1e-3, "{sum}");
            assert!((variance.sqrt() / sigma_mm - 1.0).abs() < 0.25, "{sigma_mm}: {}", variance.sqrt());
        }
    }

    #[test]
    fn enlarging_keeps_places_in_mm() {
        let fine = Plane::new(80, 60, 0.4);
        let mut coarse = fine.coarse(2.0);
        for row in 0..coarse.rows {
            for column in 0..coarse.columns {
                coarse.values[row * coarse.columns + column] = coarse.at(column, row)[0];
            }
        }
        let large = coarse.enlarged(&fine);
        assert!((large.values[30 * 80 + 40] - fine.at(40, 30)[0]).abs() < 1e-3);
    }
}
