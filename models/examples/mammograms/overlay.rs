//! Draws what was read over the picture, for people to judge: outline green, muscle red, nipple yellow, labelled lesions blue.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cases::Case;

const GREEN: [u8; 3] = [0, 255, 0];
const RED: [u8; 3] = [255, 60, 60];
const YELLOW: [u8; 3] = [255, 255, 0];
const BLUE: [u8; 3] = [80, 160, 255];

/// A picture in colour, row by row.
#[derive(Debug)]
pub struct Colour {
    pub pixels: Vec<[u8; 3]>,
    pub width: usize,
}

impl Colour {
    fn height(&self) -> usize {
        self.pixels.len() / self.width.max(1)
    }

    fn dot(&mut self, x: f32, y: f32, colour: [u8; 3]) {
        let (x, y) = (x.floor(), y.floor());
        if x < 0.0 || y < 0.0 || x >= self.width as f32 || y >= self.height() as f32 {
            return;
        }
        let width = self.width;
        self.pixels[y as usize * width + x as usize] = colour;
    }

    pub fn line(&mut self, points: &[[f32; 2]], colour: [u8; 3]) {
        for pair in points.windows(2) {
            let [a, b] = [pair[0], pair[1]];
            let steps = (b[0] - a[0]).abs().max((b[1] - a[1]).abs()).ceil().max(1.0);
            for k in 0..=steps as usize {
                let t = k as f32 / steps;
                self.dot(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, colour);
            }
        }
    }

    fn cross(&mut self, [x, y]: [f32; 2], reach: f32, colour: [u8; 3]) {
        self.line(&[[x - reach, y], [x + reach, y]], colour);
        self.line(&[[x, y - reach], [x, y + reach]], colour);
    }
}

pub fn draw(case: &Case) -> Colour {
    let (grey, width) = &case.grey;
    let pixels = grey.iter().map(|v| [*v; 3]).collect();
    let mut colour = Colour { pixels, width: *width };
    if let Ok(reading) = &case.read {
        let mut outline = reading.breast.outline.clone();
        outline.extend(reading.breast.outline.first().copied());
        colour.line(&outline, GREEN);
        if let Some(muscle) = &reading.muscle {
            colour.line(&muscle.edge, RED);
        }
        colour.cross(reading.nipple.at, 7.0, YELLOW);
    }
    let size = [colour.width as f32, colour.height() as f32];
    for lesion in &case.lesions {
        colour.cross([lesion.centre[0] * size[0], lesion.centre[1] * size[1]], 5.0, BLUE);
    }
    colour
}

/// Writes `NAME.png` into the folder.
///
/// # Errors
/// When it cannot be written.
pub fn write(case: &Case, folder: &Path) -> Result<()> {
    save(&draw(case), &folder.join(format!("{}.png", case.name)))
}

/// Writes one picture of up to `columns` times any number of cases, in their order.
///
/// # Errors
/// When it cannot be written.
pub fn sheet(cases: &[Case], columns: usize, path: &Path) -> Result<()> {
    let drawn: Vec<Colour> = cases.iter().map(draw).collect();
    let (wide, high) = drawn.iter().fold((1, 1), |(w, h), c| (w.max(c.width), h.max(c.height())));
    let width = wide * columns;
    let mut pixels = vec![[0; 3]; width * high * cases.len().div_ceil(columns)];
    for (place, one) in drawn.iter().enumerate() {
        let (left, top) = (place % columns * wide, place / columns * high);
        for (y, row) in one.pixels.chunks_exact(one.width.max(1)).enumerate() {
            let at = (top + y) * width + left;
            pixels[at..at + row.len()].copy_from_slice(row);
        }
    }
    save(&Colour { pixels, width }, path)
}

pub fn save(colour: &Colour, path: &Path) -> Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let size = [u32::try_from(colour.width)?, u32::try_from(colour.height())?];
    let mut encoder = png::Encoder::new(BufWriter::new(file), size[0], size[1]);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(colour.pixels.as_flattened())?;
    Ok(())
}
