//! Whether the picture after a pause shows another place of the breast than the one before it. Pure.

use std::time::Duration;

/// So long stands a picture, or none is looked at, when the probe may meanwhile be anywhere. Between two pictures that come one after
/// the other it is not.
const PAUSE: Duration = Duration::from_millis(250);
/// The picture in so many rows and columns of mean brightness: speckle, noise and callipers do not count.
const GRID: usize = 24;
/// Two pictures whose rows are less alike than this (correlation, -1 to 1) are of two places. Of 150 stored pictures 99 % of all pairs
/// are below it; a phantom's picture never, when the probe has moved by less than 2 mm.
const ALIKE: f32 = 0.5;
/// What is darker in both pictures is outside the image.
const BLACK: f32 = 1.5 / 255.0;

/// Compares each picture with the one that was looked at before.
#[derive(Debug, Clone, Default)]
pub struct Place {
    last: Vec<f32>,
}

impl Place {
    /// Takes the next picture; returns whether it is the first of another place. `image`: what the network sees, 0 to 1, `columns` to a
    /// row; `stood`: how long nothing has changed before it, `None` when there was no picture.
    pub fn observe(&mut self, image: &[f32], columns: usize, stood: Option<Duration>) -> bool {
        // Only after a pause is there anything to compare: each picture is copied, two are made coarse.
        let elsewhere = stood
            .is_none_or(|stood| stood > PAUSE && alike(&coarse(&self.last, columns), &coarse(image, columns)) < ALIKE);
        self.last.clear();
        self.last.extend_from_slice(image);
        elsewhere
    }
}

fn coarse(image: &[f32], columns: usize) -> Vec<f32> {
    let rows = image.len().checked_div(columns).unwrap_or_default();
    let mut cells = vec![(0.0f32, 0u16); GRID * GRID];
    for (y, row) in image.chunks_exact(columns.max(1)).enumerate() {
        for (x, value) in row.iter().enumerate() {
            let (sum, count) = &mut cells[y * GRID / rows * GRID + x * GRID / columns];
            (*sum, *count) = (*sum + value, count.saturating_add(1));
        }
    }
    cells.into_iter().map(|(sum, count)| sum / f32::from(count.max(1))).collect()
}

/// Correlation of the brightness within the rows: how bright each depth is as a whole does not count, since that is alike everywhere.
fn alike(one: &[f32], other: &[f32]) -> f32 {
    let (mut product, mut of_one, mut of_other) = (0.0, 0.0, 0.0);
    for (one, other) in one.chunks_exact(GRID).zip(other.chunks_exact(GRID)) {
        let seen = || one.iter().zip(other).filter(|(a, b)| a.max(**b) > BLACK);
        let count = seen().count().max(1) as f32;
        let means = seen().fold([0.0; 2], |[a, b], (one, other)| [a + one / count, b + other / count]);
        for (a, b) in seen().map(|(a, b)| (a - means[0], b - means[1])) {
            product += a * b;
            of_one += a * a;
            of_other += b * b;
        }
    }
    // Two pictures of nothing are not two places.
    if of_one * of_other > 0.0 { product / (of_one * of_other).sqrt() } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: usize = 96;
    const LONG: Option<Duration> = Some(Duration::from_secs(3));

    /// A disc of `at` in tissue that gets darker with the depth, with noise of its own.
    fn picture(at: [f32; 2], noise: u32) -> Vec<f32> {
        let mut state = noise.wrapping_add(1);
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let pixel = |i: usize| {
            let (x, y) = ((i % COLUMNS) as f32, (i / COLUMNS) as f32);
            let inside = (x - at[0]).hypot(y - at[1]) < 18.0;
            let tissue = 0.7 - 0.5 * y / 72.0;
            (if inside { 0.3 * tissue } else { tissue }) * (1.0 + random())
        };
        (0..COLUMNS * 72).map(pixel).collect()
    }

    fn after(stood: Option<Duration>, one: &[f32], other: &[f32]) -> bool {
        let mut place = Place::default();
        place.observe(one, COLUMNS, None);
        place.observe(other, COLUMNS, stood)
    }

    #[test]
    fn after_a_pause_another_picture_is_another_place_and_a_little_motion_is_none() {
        let one = picture([30.0, 36.0], 1);
        assert!(Place::default().observe(&one, COLUMNS, None), "of what was before nothing is known");
        assert!(!after(LONG, &one, &one));
        assert!(!after(LONG, &one, &picture([30.0, 36.0], 2)), "other noise");
        assert!(!after(LONG, &one, &picture([33.0, 37.0], 2)), "a little aside");
        let brighter: Vec<f32> = one.iter().map(|v| 0.2 + 0.8 * v).collect();
        assert!(!after(LONG, &one, &brighter), "another gain");
        let elsewhere = picture([72.0, 20.0], 2);
        assert!(after(LONG, &one, &elsewhere));
        assert!(!after(Some(Duration::from_millis(40)), &one, &elsewhere), "pictures that follow each other");
    }

    #[test]
    fn pictures_of_nothing_and_without_pixels_are_no_other_place() {
        for (one, columns) in [(vec![0.0; 960], 40), (vec![0.5; 960], 40), (Vec::new(), 40), (Vec::new(), 0)] {
            let mut place = Place::default();
            place.observe(&one, columns, None);
            assert!(!place.observe(&one, columns, LONG));
        }
    }
}
