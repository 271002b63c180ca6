//! From the network's map to lesions on the screen: components of the mask, their outline, and the mean of each channel.

use super::Sector;
use crate::grid::Grid;
use crate::manifest::Picture;
use crate::manifest::picture::Channel;
use crate::postprocess::{components, contour, extent};

/// Smaller components are noise, pixels of the map; as where the thresholds were chosen
/// (`models/training/ultrasound/detect.py`).
const LEAST_PIXELS: usize = 4;
/// Points of an outline.
pub const POINTS: usize = 64;

/// One lesion in one picture. Coordinates are pixels of the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Closed, clockwise as seen, `POINTS` points at equal distances from the one on the right on.
    pub outline: Vec<[f32; 2]>,
    /// left, top, right, bottom.
    pub bounds: [f32; 4],
    /// Highest probability within, 0 to 1.
    pub confidence: f32,
    pub signs: Signs,
    /// Of the mask, pixels.
    pub area: f32,
    /// Longest distance and the extent across it, pixels.
    pub axes: [f32; 2],
}

/// The mean of each channel over a lesion's mask, 0 to 1, in the order of [`Channel::ALL`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signs([f32; Channel::ALL.len()]);

impl Signs {
    pub fn new(means: [f32; Channel::ALL.len()]) -> Self {
        Self(means)
    }

    pub fn of(&self, channel: Channel) -> f32 {
        self.0[channel as usize]
    }

    /// The way from these to `other`, `part` of it (0 to 1).
    #[must_use]
    pub fn towards(&self, other: &Self, part: f32) -> Self {
        let mut mixed = *self;
        mixed.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own += part * (other - *own));
        mixed
    }
}

/// `values` are probabilities, channel slowest; `scale` is pixels of the screen for one of the input.
pub fn find(plan: &Picture, values: &[f32], sector: Sector, scale: f32, mm_per_pixel: Option<f32>) -> Vec<Detection> {
    let [rows, columns] = plan.map();
    let channels: Vec<&[f32]> = values.chunks_exact((rows * columns).max(1)).collect();
    let place = |channel| plan.channel(channel).and_then(|i| channels.get(i)).copied();
    let Some(lesion) = place(Channel::Lesion) else { return Vec::new() };
    let mask: Vec<u8> = lesion.iter().map(|p| u8::from(*p >= plan.lesion.mask)).collect();
    let grid = Grid { dims: [columns, rows, 1], spacing_mm: [1.0; 3] };
    let found = components::label(&grid, &mask);
    let pixel = scale * plan.outputs.stride as f32;
    let large_enough = |pixels: usize| {
        let mm2 = mm_per_pixel.map(|mm| f64::from((mm * pixel).powi(2)) * pixels as f64);
        pixels >= LEAST_PIXELS && mm2.is_none_or(|mm2| mm2 >= plan.lesion.min_size)
    };
    let mut lesions: Vec<Detection> = sums(&found, lesion, Channel::ALL.map(place))
        .into_iter()
        .filter(|one| large_enough(one.pixels) && one.peak >= plan.lesion.confidence)
        .map(|one| {
            let map = contour::Map { values: lesion, width: columns };
            let line = contour::trace(&found.labels, one.label, one.first, map, plan.lesion.mask);
            let outline: Vec<_> =
                contour::resampled(&line, POINTS).into_iter().map(|p| on_screen(p, pixel, sector)).collect();
            Detection {
                bounds: extent::bounds(&outline),
                confidence: one.peak.min(1.0),
                signs: Signs(one.sums.map(|sum| (sum / one.pixels as f32).clamp(0.0, 1.0))),
                area: one.pixels as f32 * pixel * pixel,
                axes: extent::axes(&outline),
                outline,
            }
        })
        .collect();
    lesions.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    lesions
}

/// What a component adds up to.
struct Sum {
    label: u32,
    /// Its first pixel, row by row.
    first: usize,
    pixels: usize,
    peak: f32,
    sums: [f32; Channel::ALL.len()],
}

fn sums(found: &components::Components, lesion: &[f32], channels: [Option<&[f32]>; Channel::ALL.len()]) -> Vec<Sum> {
    let mut all: Vec<Sum> = (1..)
        .zip(&found.sizes)
        .map(|(label, pixels)| Sum { label, first: usize::MAX, pixels: *pixels, peak: 0.0, sums: [0.0; 9] })
        .collect();
    for (i, label) in found.labels.iter().enumerate().filter(|(_, label)| **label != 0) {
        let Some(one) = all.get_mut(*label as usize - 1) else { continue };
        one.first = one.first.min(i);
        one.peak = one.peak.max(lesion[i]);
        for (sum, channel) in one.sums.iter_mut().zip(&channels) {
            *sum += channel.and_then(|values| values.get(i)).copied().unwrap_or(0.0);
        }
    }
    all
}

/// A point of the map on the screen, never beside the sector.
fn on_screen(point: [f32; 2], pixel: f32, sector: Sector) -> [f32; 2] {
    let within = |v: f32, start: usize, length: usize| start as f32 + (v * pixel).min(length as f32);
    [within(point[0], sector.x, sector.width), within(point[1], sector.y, sector.height)]
}
