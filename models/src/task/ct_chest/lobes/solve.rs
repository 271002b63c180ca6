//! The thin plate: heights that are near what was observed and bend little.

/// Minimises the weighted squares of the distances to `observed`, `stiff` times the squares of the second differences and
/// `held` times the squares of the heights. Cells lie across fastest.
pub fn plate(observed: &[f64], weights: &[f64], [nu, nv]: [usize; 2], stiff: f64, held: f64) -> Vec<f64> {
    let mut matrix = Banded::new(nu * nv, 2 * nu.max(2));
    let at = |u: usize, v: usize| v * nu + u;
    for (i, weight) in weights.iter().enumerate() {
        matrix.add(i, i, weight + held);
    }
    for v in 0..nv {
        for u in 0..nu {
            if u + 2 < nu {
                matrix.square(&[(at(u, v), 1.0), (at(u + 1, v), -2.0), (at(u + 2, v), 1.0)], stiff);
            }
            if v + 2 < nv {
                matrix.square(&[(at(u, v), 1.0), (at(u, v + 1), -2.0), (at(u, v + 2), 1.0)], stiff);
            }
            if u + 1 < nu && v + 1 < nv {
                let twist = [(at(u, v), 1.0), (at(u + 1, v), -1.0), (at(u, v + 1), -1.0), (at(u + 1, v + 1), 1.0)];
                matrix.square(&twist, 2.0 * stiff);
            }
        }
    }
    matrix.solve(observed.iter().zip(weights).map(|(o, w)| o * w).collect())
}

/// A symmetric positive definite matrix whose elements lie near the diagonal: the lower half, row by row.
struct Banded {
    size: usize,
    band: usize,
    /// Element (i, j) at `i * (band + 1) + j + band - i`.
    rows: Vec<f64>,
}

impl Banded {
    fn new(size: usize, band: usize) -> Self {
        Self { size, band, rows: vec![0.0; size * (band + 1)] }
    }

    fn index(&self, i: usize, j: usize) -> usize {
        i * (self.band + 1) + j + self.band - i
    }

    fn add(&mut self, i: usize, j: usize, value: f64) {
        let index = self.index(i, j);
        self.rows[index] += value;
    }

    /// Adds `weight` times the square of a sum of cells, each with its factor.
    fn square(&mut self, terms: &[(usize, f64)], weight: f64) {
        for (i, a) in terms {
            for (j, b) in terms {
                if j <= i {
                    self.add(*i, *j, weight * a * b);
                }
            }
        }
    }

    /// By Cholesky's method, in place.
    fn solve(mut self, mut right: Vec<f64>) -> Vec<f64> {
        let width = self.band + 1;
        for i in 0..self.size {
            let first = i.saturating_sub(self.band);
            for j in first..=i {
                // Row i and row j, from the first column that both have to the one before j.
                let from = first.max(j.saturating_sub(self.band));
                let (a, b) = (self.index(i, from), self.index(j, from));
                let n = j - from;
                let dot: f64 = self.rows[a..a + n].iter().zip(&self.rows[b..b + n]).map(|(a, b)| a * b).sum();
                let own = self.index(i, j);
                let value = self.rows[own] - dot;
                self.rows[own] =
                    if i == j { value.max(f64::MIN_POSITIVE).sqrt() } else { value / self.rows[j * width + self.band] };
            }
        }
        for i in 0..self.size {
            let first = i.saturating_sub(self.band);
            let row = self.index(i, first);
            let n = i - first;
            let dot: f64 = self.rows[row..row + n].iter().zip(&right[first..i]).map(|(a, b)| a * b).sum();
            right[i] = (right[i] - dot) / self.rows[row + n];
        }
        for i in (0..self.size).rev() {
            let first = i.saturating_sub(self.band);
            let row = self.index(i, first);
            let n = i - first;
            right[i] /= self.rows[row + n];
            let value = right[i];
            right[first..i].iter_mut().zip(&self.rows[row..row + n]).for_each(|(r, a)| *r -= a * value);
        }
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plate_through_points_of_a_plane_is_that_plane_and_one_alone_bends_little() {
        let cells = [9, 12];
        let plane = |i: usize| 3.0 + 0.5 * (i % 9) as f64 - 0.25 * (i / 9) as f64;
        let observed: Vec<f64> = (0..108).map(plane).collect();
        let some: Vec<f64> = (0..108).map(|i| if i % 7 == 0 { 1.0 } else { 0.0 }).collect();
        let bent = plate(&observed, &some, cells, 25.0, 1e-9);
        for (i, height) in bent.iter().enumerate() {
            assert!((height - plane(i)).abs() < 1e-3, "{i}: {height}");
        }
        let mut outlier = observed.clone();
        outlier[58] += 10.0;
        let all = vec![1.0; 108];
        let bent = plate(&outlier, &all, cells, 25.0, 1e-9);
        assert!((bent[58] - plane(58)).abs() < 2.0, "{}", bent[58] - plane(58));
    }
}
