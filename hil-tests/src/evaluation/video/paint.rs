//! Measures how much two areas of a screen overlap. Pure.

use super::replay::Lesion;
use super::scan::Shown;

/// A bitmap of the screen for both areas; it is reused for each picture.
#[derive(Debug)]
pub struct Sheet {
    width: usize,
    /// Bit 0: planted, bit 1: outlined.
    marks: Vec<u8>,
}

impl Sheet {
    pub fn new([width, height]: [usize; 2]) -> Self {
        Self { width, marks: vec![0; width * height] }
    }

    /// Dice coefficient of everything planted and everything outlined: twice the overlap divided by the sum of both
    /// areas. `None` when there is neither.
    pub fn dice(&mut self, planted: &[Shown], outlined: &[Lesion]) -> Option<f64> {
        self.marks.fill(0);
        for [y, from, to] in planted.iter().flat_map(|shown| &shown.runs) {
            self.mark(usize::from(*y), usize::from(*from), usize::from(*to), 1);
        }
        outlined.iter().for_each(|lesion| self.outline(&lesion.outline));
        let count = |bits: u8| self.marks.iter().filter(|m| **m & bits == bits).count() as f64;
        let each = count(1) + count(2);
        (each > 0.0).then(|| 2.0 * count(3) / each)
    }

    /// Marks the pixels whose centres are inside a closed line.
    fn outline(&mut self, line: &[[f32; 2]]) {
        let rows = self.marks.len() / self.width.max(1);
        let low = line.iter().map(|p| p[1]).fold(f32::INFINITY, f32::min).max(0.0) as usize;
        let high = line.iter().map(|p| p[1]).fold(0.0, f32::max).ceil() as usize;
        for y in low..high.min(rows) {
            let middle = y as f32 + 0.5;
            let mut crossings: Vec<f32> = (0..line.len())
                .map(|i| (line[i], line[(i + 1) % line.len()]))
                .filter(|(a, b)| (a[1] <= middle) != (b[1] <= middle))
                .map(|(a, b)| a[0] + (middle - a[1]) / (b[1] - a[1]) * (b[0] - a[0]))
                .collect();
            crossings.sort_by(f32::total_cmp);
            for pair in crossings.chunks_exact(2) {
                let [from, to] = [pair[0], pair[1]].map(|x| (x - 0.5).ceil().max(0.0) as usize);
                self.mark(y, from, to, 2);
            }
        }
    }

    fn mark(&mut self, y: usize, from: usize, to: usize, bit: u8) {
        let row = self.marks.get_mut(y * self.width..(y + 1) * self.width).unwrap_or_default();
        let to = to.min(row.len());
        row[from.min(to)..to].iter_mut().for_each(|mark| *mark |= bit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(left: u16, side: u16) -> Shown {
        let bounds = [left, 2, left + side, 2 + side].map(f32::from);
        Shown { id: 1, bounds, area_mm2: 1.0, runs: (2..2 + side).map(|y| [y, left, left + side]).collect() }
    }

    fn outlined(left: f32, side: f32) -> Lesion {
        let (right, top, bottom) = (left + side, 2.0, 2.0 + side);
        let outline = vec![[right, top], [right, bottom], [left, bottom], [left, top]];
        Lesion { id: 1, outline, bounds: [left, top, right, bottom], malignant: 0.0 }
    }

    #[test]
    fn dice_is_one_for_the_same_area_and_half_when_half_is_shared() {
        let mut sheet = Sheet::new([40, 30]);
        assert_eq!(sheet.dice(&[], &[]), None);
        assert_eq!(sheet.dice(&[square(4, 10)], &[outlined(4.0, 10.0)]), Some(1.0));
        assert_eq!(sheet.dice(&[square(4, 10)], &[outlined(9.0, 10.0)]), Some(0.5));
        assert_eq!(sheet.dice(&[square(4, 10)], &[]), Some(0.0));
        // Parts outside the screen do not count.
        assert_eq!(sheet.dice(&[square(30, 10)], &[outlined(30.0, 60.0)]).map(|d| d > 0.5), Some(true));
    }
}
