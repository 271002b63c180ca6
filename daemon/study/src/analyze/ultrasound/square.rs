//! Pixels that are not square: the network learnt from square ones, so the area is stretched for it, and what it finds is put
//! back on the picture. Pure.

use models::cast::{round_index, single};
use models::preprocess::resample::taps;
use models::task::us_breast::{Detection, Sector};

/// Pixels whose sides differ by no more than this share are square.
const SQUARE: f64 = 0.02;
/// More than this is no picture of tissue but an error of the header.
const MOST: f64 = 4.0;

/// How an area is stretched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Square {
    area: Sector,
    /// Across and down, 1 or more.
    factor: [f64; 2],
    /// Width and height of what it becomes, pixels.
    size: [usize; 2],
}

impl Square {
    /// `mm`: of a pixel, across and down. `None` where pixels are square, or nothing is known of them.
    pub fn of(area: Sector, mm: Option<[f64; 2]>) -> Option<Self> {
        let is_there = area.width > 0 && area.height > 0;
        let [across, down] = mm.filter(|mm| is_there && mm.iter().all(|mm| *mm > 0.0))?;
        let least = across.min(down);
        let factor = [across / least, down / least];
        let most = factor[0].max(factor[1]);
        let size = [round_index(area.width as f64 * factor[0]), round_index(area.height as f64 * factor[1])];
        ((1.0 + SQUARE..=MOST).contains(&most)).then_some(Self { area, factor, size })
    }

    /// What the network is given, as a picture of its own.
    pub fn sector(&self) -> Sector {
        Sector { x: 0, y: 0, width: self.size[0], height: self.size[1] }
    }

    /// `grey`: the area, row by row.
    pub fn stretch(&self, grey: &[u8]) -> Vec<u8> {
        let [width, height] = self.size;
        let columns = taps(&centres(width, self.area.width), self.area.width);
        let rows = taps(&centres(height, self.area.height), self.area.height);
        let mut out = Vec::with_capacity(width * height);
        for (upper, lower, down) in rows {
            let down = f64::from(down);
            for (left, right, across) in &columns {
                let across = f64::from(*across);
                let at = |row: usize, column: usize| {
                    f64::from(grey.get(row * self.area.width + column).copied().unwrap_or_default())
                };
                let above = at(upper, *left) * (1.0 - across) + at(upper, *right) * across;
                let below = at(lower, *left) * (1.0 - across) + at(lower, *right) * across;
                out.push(byte(above * (1.0 - down) + below * down));
            }
        }
        out
    }

    /// What was found in the stretched picture, on the screen.
    #[must_use]
    pub fn back(&self, found: Detection) -> Detection {
        let offset = [self.area.x, self.area.y];
        let on = |axis: usize, at: f32| single(f64::from(at) / self.factor[axis] + offset[axis] as f64);
        let [left, top, right, bottom] = found.bounds;
        Detection {
            outline: found.outline.iter().map(|[x, y]| [on(0, *x), on(1, *y)]).collect(),
            bounds: [on(0, left), on(1, top), on(0, right), on(1, bottom)],
            ..found
        }
    }
}

/// The centres of the new pixels, in old ones.
fn centres(new: usize, old: usize) -> Vec<f64> {
    (0..new).map(|at| (at as f64 + 0.5) * old as f64 / new as f64 - 0.5).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a mean of bytes")]
fn byte(value: f64) -> u8 {
    value.round() as u8
}

#[cfg(test)]
mod tests {
    use models::task::us_breast::Signs;
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    const AREA: Sector = Sector { x: 100, y: 40, width: 60, height: 30 };

    #[test]
    fn square_pixels_and_unknown_ones_stay_as_they_are() {
        for mm in [None, Some([0.1, 0.1]), Some([0.1, 0.1015]), Some([0.0, 0.1]), Some([0.1, 0.9])] {
            assert_eq!(Square::of(AREA, mm), None, "{mm:?}");
        }
    }

    #[test]
    fn a_squashed_picture_gets_its_height_back_and_what_is_found_lies_where_it_was() {
        let square = Square::of(AREA, Some([0.1, 0.2])).unwrap();
        assert_eq!(square.sector(), Sector { x: 0, y: 0, width: 60, height: 60 });
        let rows: Vec<u8> = (0..30).flat_map(|row| [row * 8; 60]).collect();
        let tall = square.stretch(&rows);
        assert_eq!(tall.len(), 3600);
        assert_eq!((tall[0], tall[59 * 60], tall[30 * 60 + 7]), (0, 232, 118), "between rows 14 and 15");
        let found = Detection {
            outline: vec![[10.0, 20.0], [20.0, 40.0]],
            bounds: [10.0, 20.0, 20.0, 40.0],
            confidence: 0.9,
            signs: Signs::new([0.0; 9]),
            area: 100.0,
            axes: [20.0, 10.0],
        };
        let back = square.back(found);
        assert_eq!(back.outline, [[110.0, 50.0], [120.0, 60.0]]);
        assert_eq!(back.bounds, [110.0, 50.0, 120.0, 60.0]);
    }

    proptest! {
        #[test]
        fn an_even_grey_stays_what_it_is(level: u8, across in 0.05f64..0.19, down in 0.05f64..0.19) {
            if let Some(square) = Square::of(AREA, Some([across, down])) {
                let out = square.stretch(&vec![level; AREA.width * AREA.height]);
                prop_assert!(out.iter().all(|grey| *grey == level));
                prop_assert!(out.len() == square.sector().width * square.sector().height);
            }
        }
    }
}
