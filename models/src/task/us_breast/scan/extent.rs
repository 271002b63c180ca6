//! Which columns of the sector show the image, learnt from picture to picture: beside the image of a narrow probe the sector is black, and
//! so is a part of the image where the probe does not touch the skin. What was lit once belongs to the image.

use super::{Columns, Scan, Unjudged};

/// A pixel shows something from this level on.
pub const LIT: u8 = 10;
/// The sector is divided into so many bands of depth.
const BANDS: usize = 12;
/// A column belongs to the image when it was lit in this many of them,
const LEAST_BANDS: usize = 4;
/// or at the very top, this part of the depth: there the probe itself is seen, also in the air.
const TOP: usize = 40;
/// A column of a band is lit when one in this many of its pixels is.
const ONE_IN: usize = 6;
/// The least width of an image, and of the gap between two, as one part in so many of the sector's.
const LEAST_WIDTH: usize = 5;
const LEAST_GAP: usize = 50;
/// Lesser columns than this part of the image were lit in its upper band: it widens with depth.
const LINEAR: [usize; 2] = [85, 100];

/// What was lit so far.
#[derive(Debug, Clone, Default)]
pub struct Extent {
    size: [usize; 2],
    mm_per_pixel: Option<f32>,
    /// By band and column, then by column of the top.
    lit: Vec<bool>,
}

impl Extent {
    /// Takes in a picture; begins anew when its size or its depth is another one.
    pub fn learn(&mut self, scan: &Scan<'_>) {
        let size = [scan.width, scan.height()];
        if size != self.size || is_other(self.mm_per_pixel, scan.mm_per_pixel) {
            *self = Self { size, mm_per_pixel: scan.mm_per_pixel, lit: vec![false; (BANDS + 1) * scan.width] };
        }
        let [width, height] = size;
        for band in 0..BANDS {
            let rows = band * height / BANDS..(band + 1) * height / BANDS;
            mark(scan, rows, ONE_IN, &mut self.lit[band * width..(band + 1) * width]);
        }
        mark(scan, 0..(height / TOP).max(1).min(height), 2, &mut self.lit[BANDS * width..]);
    }

    /// The columns of the image.
    ///
    /// # Errors
    /// [`Unjudged::Dark`] without one, [`Unjudged::Split`] and [`Unjudged::NotLinear`] where it is not one rectangle.
    pub fn columns(&self) -> Result<Columns, Unjudged> {
        let width = self.size[0];
        let in_band = |band: usize, column: usize| self.lit[band * width + column];
        let is_image =
            |x: &usize| in_band(BANDS, *x) || (0..BANDS).filter(|band| in_band(*band, *x)).count() >= LEAST_BANDS;
        let lit: Vec<usize> = (0..width).filter(is_image).collect();
        let (Some(first), Some(last)) = (lit.first(), lit.last()) else { return Err(Unjudged::Dark) };
        let columns = [*first, last + 1];
        if columns[1] - columns[0] < width / LEAST_WIDTH {
            return Err(Unjudged::Dark);
        }
        if lit.windows(2).any(|pair| pair[1] - pair[0] > (width / LEAST_GAP).max(2)) {
            return Err(Unjudged::Split);
        }
        let upper = (columns[0]..columns[1]).filter(|x| in_band(0, *x) || in_band(BANDS, *x));
        if upper.count() * LINEAR[1] < (columns[1] - columns[0]) * LINEAR[0] {
            return Err(Unjudged::NotLinear);
        }
        Ok(columns)
    }
}

fn is_other(before: Option<f32>, now: Option<f32>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => (before - now).abs() > 0.02 * before.abs(),
        // The scale cannot be read for a moment.
        (before, now) => before.is_none() && now.is_some(),
    }
}

/// Sets columns in which one in `one_in` pixels of these rows is lit.
fn mark(scan: &Scan<'_>, rows: std::ops::Range<usize>, one_in: usize, lit: &mut [bool]) {
    let due = rows.len();
    let mut counts = vec![0usize; lit.len()];
    for y in rows {
        for (count, level) in counts.iter_mut().zip(scan.row(y)) {
            *count += usize::from(*level >= LIT);
        }
    }
    for (lit, count) in lit.iter_mut().zip(counts) {
        *lit |= count > 0 && count * one_in >= due;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Drawn;
    use super::*;

    fn learnt(pictures: &[Drawn]) -> Result<Columns, Unjudged> {
        let mut extent = Extent::default();
        pictures.iter().for_each(|picture| extent.learn(&picture.scan()));
        extent.columns()
    }

    #[test]
    fn a_narrow_image_is_not_taken_for_a_probe_that_is_lifted_beside_it() {
        let narrow = Drawn::tissue(300, 200).blackened(0..60, 0..200).blackened(250..300, 0..200);
        assert_eq!(learnt(std::slice::from_ref(&narrow)), Ok([60, 250]));
    }

    #[test]
    fn what_was_lit_once_belongs_to_the_image_also_when_it_goes_dark() {
        let (whole, lifted) = (Drawn::tissue(300, 200), Drawn::tissue(300, 200).lifted(0..150));
        assert_eq!(learnt(&[whole, lifted.clone()]), Ok([0, 300]));
        assert_eq!(learnt(&[lifted]), Ok([0, 300]), "lines");
        let probe_only = Drawn::tissue(300, 200).blackened(0..150, 8..200);
        assert_eq!(learnt(&[probe_only]), Ok([0, 300]), "the probe itself is seen at the top, also in the air");
    }

    #[test]
    fn what_is_not_one_rectangle_is_not_judged() {
        let split = Drawn::tissue(300, 200).blackened(140..160, 0..200);
        assert_eq!(learnt(&[split]), Err(Unjudged::Split));
        let mut curved = Drawn::tissue(300, 200);
        for y in 0..100 {
            curved = curved.blackened(0..(100 - y), y..y + 1).blackened(200 + y..300, y..y + 1);
        }
        assert_eq!(learnt(&[curved]), Err(Unjudged::NotLinear));
        assert_eq!(learnt(&[Drawn::black(300, 200)]), Err(Unjudged::Dark));
        assert_eq!(Extent::default().columns(), Err(Unjudged::Dark));
    }

    #[test]
    fn another_depth_is_learnt_anew() {
        let mut extent = Extent::default();
        extent.learn(&Drawn::tissue(300, 200).at(0.1).scan());
        let narrow = Drawn::tissue(300, 200).blackened(0..60, 0..200).at(0.15);
        extent.learn(&narrow.scan());
        assert_eq!(extent.columns(), Ok([60, 300]));
    }
}
