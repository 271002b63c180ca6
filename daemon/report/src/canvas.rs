//! An RGB canvas: filled boxes, text and lines with anti-aliased edges.
//!
//! Shapes are rasterised by tiny-skia without vector instructions, so every machine draws the same bytes.

use tiny_skia::{FillRule, LineCap, LineJoin, Mask, Path, PathBuilder, Stroke, Transform};

use crate::letters::Type;

/// Red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub [u8; 3]);

impl Colour {
    pub const BLACK: Self = Self([0; 3]);
    #[cfg(test)]
    pub const WHITE: Self = Self([255; 3]);

    pub const fn new(red: u8, green: u8, blue: u8) -> Self {
        Self([red, green, blue])
    }
}

/// Pixels, row by row.
#[derive(Debug)]
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    pub rgb: Vec<u8>,
}

impl Canvas {
    pub fn new(width: usize, height: usize, background: Colour) -> Self {
        Self { width, height, rgb: background.0.repeat(width * height) }
    }

    /// Fills a rectangle; parts outside the canvas are ignored.
    pub fn fill(&mut self, at: [usize; 2], size: [usize; 2], colour: Colour) {
        let right = (at[0] + size[0]).min(self.width);
        let left = at[0].min(right);
        for y in at[1]..(at[1] + size[1]).min(self.height) {
            let row = &mut self.rgb[(y * self.width + left) * 3..(y * self.width + right) * 3];
            row.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&colour.0));
        }
    }

    pub fn grey(&mut self, x: usize, y: usize, value: u8) {
        let at = (y * self.width + x) * 3;
        self.rgb[at..at + 3].fill(value);
    }

    /// Draws one line of text; `at` is its top left corner.
    pub fn text(&mut self, at: [usize; 2], text: &str, style: Type, colour: Colour) {
        self.letters(at.map(pixels), text, style, style.edge(), colour);
    }

    /// Draws text on an image, with a dark edge so that it is readable on bright tissue.
    pub fn label(&mut self, at: [usize; 2], text: &str, style: Type, colour: Colour) {
        self.letters(at.map(pixels), text, style, Some(style.edge().unwrap_or(0.0) + 3.0), Colour::BLACK);
        self.text(at, text, style, colour);
    }

    /// Draws one line of text that ends at `right`.
    pub fn text_right(&mut self, right: usize, y: usize, text: &str, style: Type, colour: Colour) {
        let left = (pixels(right) - style.width(text)).max(0.0);
        self.letters([left, pixels(y)], text, style, style.edge(), colour);
    }

    fn letters(&mut self, at: [f32; 2], text: &str, style: Type, edge: Option<f32>, colour: Colour) {
        let Some(path) = style.outlines(at, text) else { return };
        let edge = edge.and_then(|width| edge_of(&path, width));
        let all: Vec<&Path> = [&path].into_iter().chain(&edge).collect();
        self.paint(&all, colour, [0, 0, self.width, self.height]);
    }

    /// Draws a line through `points` (page pixels), `width` pixels wide, only inside `clip` (left, top, right, bottom).
    pub fn stroke(&mut self, points: &[[f32; 2]], closed: bool, width: f32, colour: Colour, clip: [usize; 4]) {
        let Some((first, rest)) = points.split_first() else { return };
        let mut line = PathBuilder::new();
        line.move_to(first[0], first[1]);
        rest.iter().for_each(|point| line.line_to(point[0], point[1]));
        if closed {
            line.close();
        }
        if let Some(edge) = line.finish().and_then(|path| edge_of(&path, width)) {
            self.paint(&[&edge], colour, clip);
        }
    }

    /// Fills the union of the shapes, inside `clip`.
    fn paint(&mut self, shapes: &[&Path], colour: Colour, clip: [usize; 4]) {
        let mut bounds = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for b in shapes.iter().map(|shape| shape.bounds()) {
            bounds =
                [bounds[0].min(b.left()), bounds[1].min(b.top()), bounds[2].max(b.right()), bounds[3].max(b.bottom())];
        }
        let (left, right) = span(bounds[0], bounds[2], clip[0], clip[2].min(self.width));
        let (top, bottom) = span(bounds[1], bounds[3], clip[1], clip[3].min(self.height));
        let (Ok(width), Ok(height)) =
            (u32::try_from(right.saturating_sub(left)), u32::try_from(bottom.saturating_sub(top)))
        else {
            return;
        };
        // `None` when the clip is empty.
        let Some(mut cover) = Mask::new(width, height) else { return };
        let shift = Transform::from_translate(-pixels(left), -pixels(top));
        for shape in shapes {
            cover.fill_path(shape, FillRule::Winding, true, shift);
        }
        for (row, y) in cover.data().chunks_exact(right - left).zip(top..) {
            for (cover, x) in row.iter().zip(left..).filter(|(cover, _)| **cover > 0) {
                self.blend(x, y, colour, *cover);
            }
        }
    }

    /// Blends a colour into a pixel; `cover` 0 keeps the pixel, 255 replaces it.
    fn blend(&mut self, x: usize, y: usize, colour: Colour, cover: u8) {
        let at = (y * self.width + x) * 3;
        for (old, new) in self.rgb[at..at + 3].iter_mut().zip(colour.0) {
            let mixed = u16::from(*old) * u16::from(255 - cover) + u16::from(new) * u16::from(cover);
            // The weighted mean of two bytes fits a byte.
            *old = u8::try_from((mixed + 127) / 255).unwrap_or(u8::MAX);
        }
    }
}

/// The outline of a line along `path`, `width` pixels wide.
fn edge_of(path: &Path, width: f32) -> Option<Path> {
    let stroke = Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
    path.stroke(&stroke, 1.0)
}

/// The whole pixels that cover `low..high`, limited to `least..most`.
fn span(low: f32, high: f32, least: usize, most: usize) -> (usize, usize) {
    (whole(low.floor()).clamp(least, most.max(least)), whole(high.ceil()).clamp(least, most.max(least)))
}

/// A pixel number as a coordinate: exact up to 2^24.
#[allow(clippy::cast_precision_loss)]
pub fn pixels(n: usize) -> f32 {
    n as f32
}

/// A length in single precision (seven digits), which is enough for drawing.
#[allow(clippy::cast_possible_truncation)]
pub fn single(value: f64) -> f32 {
    value as f32
}

/// A coordinate as a pixel number: 0 if it is negative or NaN, the largest number if it is too large.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn whole(at: f32) -> usize {
    at as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(canvas: &Canvas) -> Vec<[usize; 2]> {
        let bright = canvas.rgb.chunks_exact(3).enumerate().filter(|(_, p)| p[0] > 128);
        bright.map(|(i, _)| [i % canvas.width, i / canvas.width]).collect()
    }

    #[test]
    fn lines_and_letters_have_soft_edges() {
        let mut canvas = Canvas::new(120, 40, Colour::BLACK);
        canvas.text([4, 4], "肺结节 SR", Type::bold(20.0), Colour::WHITE);
        canvas.stroke(&[[0.0, 39.0], [119.0, 30.0]], false, 1.6, Colour::WHITE, [0, 0, 120, 40]);
        assert!(canvas.rgb.iter().any(|v| (1..255).contains(v)), "no pixel is half covered");
        assert!(canvas.rgb.contains(&255));
    }

    #[test]
    fn nothing_is_drawn_outside_the_clip_or_the_canvas() {
        let mut canvas = Canvas::new(60, 40, Colour::BLACK);
        let square = [[-20.0, -20.0], [90.0, -20.0], [90.0, 20.0], [30.0, 90.0]];
        canvas.stroke(&square, true, 8.0, Colour::WHITE, [10, 10, 50, 30]);
        assert!(lit(&canvas).iter().all(|[x, y]| (10..50).contains(x) && (10..30).contains(y)));
        canvas.text([50, 30], "outside", Type::plain(20.0), Colour::WHITE);
        canvas.fill([50, 30], [100, 100], Colour::WHITE);
        assert_eq!(canvas.rgb.len(), 60 * 40 * 3);
    }

    #[test]
    fn text_on_the_right_ends_there() {
        let mut canvas = Canvas::new(200, 30, Colour::BLACK);
        canvas.text_right(190, 4, "未评估", Type::plain(16.0), Colour::WHITE);
        let right = lit(&canvas).into_iter().map(|[x, _]| x).max().unwrap();
        assert!((184..=190).contains(&right), "{right}");
    }
}
