//! What the network sees of a view: grey, and detail that is finer than its pixels, chest wall at column 0. The same numbers
//! as `phantom mammography cases` makes for training.

use super::side::Side;
use crate::cast::{ceil_index, floor_index, round_index, round_u16, single};
use crate::manifest::mammogram::Input;
use crate::morphology;

/// Two pictures of one size, whole steps of 1/255, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channels {
    pub columns: usize,
    pub rows: usize,
    /// Mean of the covered pixels; 255 is white, dense.
    pub grey: Vec<u8>,
    /// How far the brightest covered fine pixel is above its surroundings; 255 is [`Input::detail`] and more.
    pub detail: Vec<u8>,
}

/// Where the network's picture lies in the picture that was given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Columns and rows of the picture that was given.
    pub size: [usize; 2],
    /// Of its pixels on the detector, where training counts them; they are as wide as high.
    pub mm: f64,
    /// Times that the breast is larger there than it is.
    pub magnified: f64,
    /// Its chest wall lies at the right.
    pub mirrored: bool,
}

/// No detector for mammography is longer.
const LARGEST_FIELD_MM: f64 = 500.0;

impl Place {
    /// Of a pixel in the breast.
    pub fn breast_mm(&self) -> f32 {
        single(self.mm / self.magnified)
    }

    /// Pixels of the given picture (x to the right, y down, 0 at its corner) of a point in mm from the chest wall and the top.
    pub fn pixels(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let mm = single(self.mm);
        let column = x / mm;
        [if self.mirrored { self.size[0] as f32 - column } else { column }, y / mm]
    }
}

impl Channels {
    /// `level`: the pixel at x and y of the given picture, 0 to 1, bright is dense, air is 0. `None`: the chest wall is at the top
    /// or the bottom, or the picture is no larger than a pixel or larger than any detector.
    pub fn of(input: &Input, place: &Place, chest_wall: Side, level: impl Fn(usize, usize) -> f32) -> Option<Self> {
        if place.mirrored != (chest_wall == Side::Right) || !matches!(chest_wall, Side::Left | Side::Right) {
            return None;
        }
        let [width, height] = place.size;
        // Memory is needed for the field, not for the pixels: a header with pixels of a millimetre would ask for gigabytes.
        if [width, height].iter().any(|side| *side as f64 * place.mm > LARGEST_FIELD_MM) {
            return None;
        }
        let upright = |x: usize, y: usize| {
            let one = level(if place.mirrored { width - 1 - x } else { x }, y);
            if one.is_finite() { one.clamp(0.0, 1.0) } else { 0.0 }
        };
        let scale = input.fine_mm / place.mm;
        let [across, down] = [shares(width, scale), shares(height, scale)];
        let mut fine = Vec::with_capacity(across.len() * down.len());
        for rows in &down {
            let mut line = vec![0.0f32; width];
            for (y, weight) in (rows.first..).zip(&rows.weights) {
                line.iter_mut().enumerate().for_each(|(x, sum)| *sum += weight * upright(x, y));
            }
            let mean = |share: &Share| line[share.first..].iter().zip(&share.weights).map(|(v, w)| v * w).sum::<f32>();
            fine.extend(across.iter().map(mean));
        }
        let factor = round_index(input.pixel_mm / input.fine_mm).max(1);
        Self::shrunk(&fine, [across.len(), down.len()], factor, input)
    }

    /// Blocks of `factor` by `factor` fine pixels become one.
    fn shrunk(fine: &[f32], size: [usize; 2], factor: usize, input: &Input) -> Option<Self> {
        let smooth = blurred(fine, size, input.around_mm / input.fine_mm);
        let (columns, rows) = (size[0] / factor, size[1] / factor);
        if columns == 0 || rows == 0 {
            return None;
        }
        let mut out = Self { columns, rows, grey: Vec::new(), detail: Vec::new() };
        for row in 0..rows {
            for column in 0..columns {
                let (mut sum, mut most) = (0.0, 0.0f32);
                for y in row * factor..(row + 1) * factor {
                    let at = y * size[0] + column * factor;
                    for (grey, around) in fine[at..at + factor].iter().zip(&smooth[at..at + factor]) {
                        sum += grey;
                        most = most.max(grey - around);
                    }
                }
                out.grey.push(byte(sum / (factor * factor) as f32));
                out.detail.push(byte(most / input.detail));
            }
        }
        Some(out)
    }

    /// Makes everything black that is no part of the breast, as the background of training pictures is. `breast` says where it is,
    /// in mm from the chest wall and the top.
    pub fn blank(&mut self, pixel_mm: f64, breast: impl Fn([f32; 2]) -> bool) {
        let mm = single(pixel_mm);
        for row in 0..self.rows {
            for column in 0..self.columns {
                if !breast([(column as f32 + 0.5) * mm, (row as f32 + 0.5) * mm]) {
                    self.grey[row * self.columns + column] = 0;
                    self.detail[row * self.columns + column] = 0;
                }
            }
        }
    }

    /// Rows and columns of the network's input.
    pub fn padded(&self, multiple: usize) -> [usize; 2] {
        [self.rows, self.columns].map(|n| n.next_multiple_of(multiple.max(1)))
    }

    /// One channel, filled up with 0: values of 0 to 1.
    pub fn plane(&self, channel: &[u8], multiple: usize) -> Vec<f32> {
        let [rows, columns] = self.padded(multiple);
        let mut out = vec![0.0; rows * columns];
        for (line, own) in out.chunks_exact_mut(columns).zip(channel.chunks_exact(self.columns)) {
            line.iter_mut().zip(own).for_each(|(value, byte)| *value = f32::from(*byte) / 255.0);
        }
        out
    }
}

/// The breast of an upright picture, with what lies within this of it, mm: the outline cuts off a nipple in profile.
pub(super) const RIM_MM: f64 = 6.0;

/// Where a breast is.
#[derive(Debug, Clone)]
pub(super) struct Covered {
    mask: Vec<u8>,
    width: usize,
    mm: f32,
}

impl Covered {
    pub(super) fn new(upright: &super::Upright, mm: f32) -> Self {
        let mask = morphology::dilate(&upright.picture.grid(), &upright.mask, RIM_MM);
        Self { mask, width: upright.picture.width, mm }
    }

    pub(super) fn holds(&self, [x, y]: [f32; 2]) -> bool {
        let [x, y] = [x, y].map(|v| floor_index(f64::from(v / self.mm)));
        x < self.width && self.mask.get(y * self.width + x).is_some_and(|m| *m != 0)
    }
}

/// Which pixels of the given picture one fine pixel covers: the first, and the weight of each from there on.
struct Share {
    first: usize,
    weights: Vec<f32>,
}

/// `scale`: given pixels for a fine one. Fine pixels that are covered only in part are left out.
fn shares(length: usize, scale: f64) -> Vec<Share> {
    // Header values are rounded: a thousandth of a pixel is no difference.
    let count = floor_index(length as f64 / scale + 1e-3);
    let one = |i: usize| {
        let (low, high) = (i as f64 * scale, ((i + 1) as f64 * scale).min(length as f64));
        let first = floor_index(low + 1e-3).min(length);
        let last = ceil_index(high - 1e-3).min(length).max(first);
        let covered = |s: usize| (high.min(s as f64 + 1.0) - low.max(s as f64)).max(0.0);
        let sum: f64 = (first..last).map(covered).sum();
        Share { first, weights: (first..last).map(|s| single(covered(s) / sum.max(1e-9))).collect() }
    };
    (0..count).map(one).collect()
}

/// Three running means whose width is an odd number of pixels and whose standard deviation together is `sigma` pixels, nearly; what
/// lies beyond the border is as at the border. As the phantom blurs.
fn blurred(values: &[f32], [columns, rows]: [usize; 2], sigma: f64) -> Vec<f32> {
    let reach = round_index(((4.0 * sigma * sigma + 1.0).sqrt() - 1.0) / 2.0).max(1);
    let mut out = values.to_vec();
    if columns == 0 || rows == 0 {
        return out;
    }
    for _ in 0..3 {
        for line in out.chunks_exact_mut(columns) {
            let copy = line.to_vec();
            running(&copy, reach, |x, mean| line[x] = mean);
        }
        for column in 0..columns {
            let copy: Vec<f32> = (0..rows).map(|y| out[y * columns + column]).collect();
            running(&copy, reach, |y, mean| out[y * columns + column] = mean);
        }
    }
    out
}

fn running(line: &[f32], reach: usize, mut put: impl FnMut(usize, f32)) {
    let last = line.len().saturating_sub(1);
    let at = |i: usize| f64::from(line[i.saturating_sub(reach).min(last)]);
    let mut sum: f64 = (0..=2 * reach).map(at).sum();
    for x in 0..line.len() {
        put(x, single(sum / (2 * reach + 1) as f64));
        sum += at(x + 2 * reach + 1) - at(x);
    }
}

fn byte(value: f32) -> u8 {
    u8::try_from(round_u16(value * 255.0)).unwrap_or(u8::MAX)
}
