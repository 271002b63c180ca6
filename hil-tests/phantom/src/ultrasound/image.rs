//! From the envelope to the pixels of the sector: log compression, grey map, scan conversion.

use super::canvas::Canvas;
use super::layout::Rect;
use super::motion::Pose;
use super::plane::{Grid, Outline};
use super::settings::Settings;
use super::speckle::DB;

/// Grey value of fat in a well adjusted picture; 1 is white.
const FAT: f32 = 0.36;
/// Steps of the grey map.
const MAP: usize = 1024;

/// Position of the image on the screen, and how pixels map to tissue.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The pixels that show the image.
    pub rect: Rect,
    pub mm_per_pixel: f32,
}

impl View {
    /// As large as possible: the whole depth from top to bottom of the sector, and as much of the probe's width as fits.
    pub fn new(sector: Rect, settings: &Settings) -> Self {
        let mm_per_pixel = settings.depth_mm / sector.height as f32;
        let width = ((settings.width_mm / mm_per_pixel) as usize).min(sector.width);
        let x = sector.x + (sector.width - width) / 2;
        Self { rect: Rect::new(x, sector.y, width, sector.height), mm_per_pixel }
    }

    /// Fractional column and row of the grid under pixels of a screen: position = origin + pixel * step.
    pub fn to_grid(self, grid: &Grid, pose: &Pose) -> [Line; 2] {
        let left = pose.lateral_mm - self.mm_per_pixel * self.rect.width as f32 / 2.0;
        let line = |start_mm: f32, mm: f32, step: f32, first: usize| {
            let pixel = mm / step;
            Line { origin: start_mm / step + pixel * (0.5 - first as f32), pixel }
        };
        [
            line(left - grid.lateral(0), self.mm_per_pixel, grid.step_mm[0], self.rect.x),
            line(0.0, self.mm_per_pixel / pose.pressed, grid.step_mm[1], self.rect.y),
        ]
    }
}

/// An affine map of one axis.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    origin: f32,
    pixel: f32,
}

impl Line {
    /// The sample before a pixel, and the fraction towards the next sample.
    fn sample(&self, pixel: usize, count: usize) -> (usize, f32) {
        let at = (self.origin + self.pixel * pixel as f32).clamp(0.0, count as f32 - 1.001);
        (at as usize, at.fract())
    }

    /// Pixels from the first to the last sample of a range, within `limit`.
    fn pixels(&self, low: usize, high: usize, limit: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let first = ((low as f32 - self.origin) / self.pixel).ceil().max(limit.start as f32) as usize;
        let last = ((high as f32 - self.origin) / self.pixel).floor().min(limit.end as f32 - 1.0);
        if last < first as f32 { 0..0 } else { first..last as usize + 1 }
    }
}

/// Envelope to brightness: 0 is black, 1 white, row by row.
pub fn compressed(mut envelope: Vec<f32>, grid: &Grid, settings: &Settings) -> Vec<f32> {
    let rows = grid.rows as f32;
    for (row, line) in envelope.chunks_exact_mut(grid.columns).enumerate() {
        let gain = settings.gain_db + settings.tgc_error_db * (row as f32 / rows - 0.3);
        let offset = FAT + gain / settings.dynamic_range_db;
        let scale = 1.0 / (settings.dynamic_range_db * DB * std::f32::consts::LOG2_E);
        for v in line {
            *v = offset + scale * v.max(1e-6).log2();
        }
    }
    envelope
}

/// Draws brightness into the screen.
pub fn draw(bright: &[f32], grid: &Grid, view: &View, pose: &Pose, gamma: f32, screen: &mut Canvas) {
    let map: Vec<u8> = (0..=MAP).map(|i| ((i as f32 / MAP as f32).powf(gamma) * 255.0).round() as u8).collect();
    let [across, down] = view.to_grid(grid, pose);
    let rect = view.rect;
    let columns: Vec<(usize, f32)> = (rect.x..rect.right()).map(|x| across.sample(x, grid.columns)).collect();
    let mut line = vec![0.0; grid.columns];
    for y in rect.y..rect.bottom() {
        let (row, part) = down.sample(y, grid.rows);
        let (above, below) = bright[row * grid.columns..][..2 * grid.columns].split_at(grid.columns);
        for ((l, a), b) in line.iter_mut().zip(above).zip(below) {
            *l = ((a + (b - a) * part).clamp(0.0, 1.0)) * MAP as f32;
        }
        let out = &mut screen.grey[y * screen.width + rect.x..][..rect.width];
        for (o, (column, part)) in out.iter_mut().zip(&columns) {
            let (a, b) = (line[*column], line[*column + 1]);
            *o = map[(a + (b - a) * part) as usize];
        }
    }
}

/// Writes `label` where the outline's lesion is.
pub fn label(outline: &Outline, grid: &Grid, view: &View, pose: &Pose, label: u8, labels: &mut Canvas) {
    let [across, down] = view.to_grid(grid, pose);
    let (low, size) = (outline.low, outline.size);
    if size[0] < 2 || size[1] < 2 {
        return;
    }
    let rect = view.rect;
    let columns = across.pixels(low[0], low[0] + size[0] - 1, rect.x..rect.right());
    for y in down.pixels(low[1], low[1] + size[1] - 1, rect.y..rect.bottom()) {
        let (row, t) = down.sample(y, grid.rows);
        let row = row.clamp(low[1], low[1] + size[1] - 2) - low[1];
        for x in columns.clone() {
            let (column, s) = across.sample(x, grid.columns);
            let column = column.clamp(low[0], low[0] + size[0] - 2) - low[0];
            let at = |r: usize, c: usize| outline.distance_mm[r * size[0] + c];
            let upper = at(row, column) + (at(row, column + 1) - at(row, column)) * s;
            let lower = at(row + 1, column) + (at(row + 1, column + 1) - at(row + 1, column)) * s;
            if upper + (lower - upper) * t < 0.0 {
                labels.grey[y * labels.width + x] = label;
            }
        }
    }
}
