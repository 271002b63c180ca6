//! Pictures for training: the four views at the pixel size of the network, with a channel in which detail that is finer than a
//! pixel is kept.

use super::vendor::Vendor;
use super::{Case, Picture, View};

/// Standard deviation of the surroundings above which detail stands out, mm.
const AROUND_MM: f32 = 0.6;
/// Grey above its surroundings that becomes 255 in the channel of detail.
const DETAIL: f32 = 0.25;

/// One view, as stored: the right breast has the chest wall at the right edge.
#[derive(Debug)]
pub struct Shrunk {
    pub columns: usize,
    pub rows: usize,
    pub pixel_mm: f32,
    /// Mean of the covered pixels, 0 to 255.
    pub grey: Vec<u8>,
    /// How far the brightest covered pixel is above its surroundings (Gaussian of 0.6 mm); 64 is a quarter of 0.25.
    pub detail: Vec<u8>,
}

/// Blocks of `factor` by `factor` pixels of the picture for presentation become one.
pub fn shrunk(picture: &Picture, vendor: Vendor, factor: usize) -> Shrunk {
    let grey = picture.presented(vendor);
    let mut smooth = grey.clone();
    smooth.blur(AROUND_MM);
    let (columns, rows) = (grey.columns / factor, grey.rows / factor);
    let byte = |v: f32| (v * 255.0).round().clamp(0.0, 255.0) as u8;
    let mut out = Shrunk {
        columns,
        rows,
        pixel_mm: grey.pixel_mm * factor as f32,
        grey: Vec::with_capacity(columns * rows),
        detail: Vec::with_capacity(columns * rows),
    };
    for row in 0..rows {
        for column in 0..columns {
            let (mut sum, mut most) = (0.0, 0.0f32);
            for r in row * factor..(row + 1) * factor {
                let at = r * grey.columns + column * factor;
                for (g, s) in grey.values[at..at + factor].iter().zip(&smooth.values[at..at + factor]) {
                    sum += g;
                    most = most.max(g - s);
                }
            }
            out.grey.push(byte(sum / (factor * factor) as f32));
            out.detail.push(byte(most / DETAIL));
        }
    }
    if picture.pose.turned() {
        for plane in [&mut out.grey, &mut out.detail] {
            plane.chunks_exact_mut(columns).for_each(<[u8]>::reverse);
        }
    }
    out
}

/// All four views of a case, in the order of [`View::ALL`], and their truth in pixels of the small pictures.
pub fn views(case: &Case, factor: usize) -> (Vec<Shrunk>, Vec<super::truth::ViewTruth>) {
    View::ALL
        .iter()
        .map(|view| {
            let picture = case.picture(*view);
            let small = shrunk(&picture, case.vendor, factor);
            let truth = picture.truth.shrunk(factor);
            (small, truth)
        })
        .unzip()
}

/// Grey of a plane as bytes, for pictures to look at.
pub fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().map(|v| (v * 255.0).round().clamp(0.0, 255.0) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mammography::Options;
    use crate::mammography::lesion::Kind;

    #[test]
    fn grains_that_are_smaller_than_a_pixel_stay_in_the_channel_of_detail() {
        let options = Options {
            pixel_mm: Some(0.2),
            lesions: Some(1),
            kind: Some(Kind::Calcifications),
            vendor: Some(Vendor::Hologic),
            ..Options::default()
        };
        let (small, truths) = views(&Case::new(11, &options), 2);
        let mut seen = 0;
        for (picture, truth) in small.iter().zip(&truths) {
            assert_eq!(picture.grey.len(), truth.columns * truth.rows);
            for lesion in &truth.lesions {
                let [left, top, right, bottom] = lesion.bounds.map(|v| v.max(0.0) as usize);
                let strong = (top..=bottom.min(truth.rows - 1))
                    .flat_map(|row| (left..=right.min(truth.columns - 1)).map(move |column| (row, column)))
                    .filter(|(row, column)| picture.detail[row * truth.columns + column] > 60)
                    .count();
                assert!(strong >= 4, "{strong} bright pixels");
                seen += 1;
            }
        }
        assert_eq!(seen, 2);
    }
}
