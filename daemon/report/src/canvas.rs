//! An RGB canvas: text with embedded-graphics, lines with soft edges.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{BinaryColor, Rgb888, RgbColor};
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};

/// Pixels, row by row.
#[derive(Debug)]
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    pub rgb: Vec<u8>,
}

impl Canvas {
    pub fn new(width: usize, height: usize, background: Rgb888) -> Self {
        let mut canvas = Self { width, height, rgb: vec![0; width * height * 3] };
        canvas.fill([0, 0], [width, height], background);
        canvas
    }

    pub fn fill(&mut self, at: [usize; 2], size: [usize; 2], colour: Rgb888) {
        let right = (at[0] + size[0]).min(self.width);
        for y in at[1]..(at[1] + size[1]).min(self.height) {
            for pixel in
                self.rgb[(y * self.width + at[0].min(right)) * 3..(y * self.width + right) * 3].chunks_exact_mut(3)
            {
                pixel.copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
    }

    pub fn grey(&mut self, x: usize, y: usize, value: u8) {
        let at = (y * self.width + x) * 3;
        self.rgb[at..at + 3].fill(value);
    }

    /// Mixes a colour in; `cover` 0 leaves the pixel, 1 replaces it.
    fn blend(&mut self, x: usize, y: usize, colour: Rgb888, cover: f32) {
        let at = (y * self.width + x) * 3;
        for (old, new) in self.rgb[at..at + 3].iter_mut().zip([colour.r(), colour.g(), colour.b()]) {
            *old = (f32::from(*old) + (f32::from(new) - f32::from(*old)) * cover).round() as u8;
        }
    }

    /// One line of text; `at` is its top left corner. Returns where it ends.
    pub fn text(&mut self, at: [usize; 2], text: &str, font: &MonoFont, colour: Rgb888) -> usize {
        let style = MonoTextStyle::new(font, colour);
        let point = Point::new(at[0] as i32, at[1] as i32);
        match Text::with_baseline(text, point, style, Baseline::Top).draw(self) {
            Ok(end) => end.x.max(0) as usize,
            Err(never) => match never {},
        }
    }

    /// Text on a picture: with a dark edge, so that it can be read on bright tissue.
    pub fn label(&mut self, at: [usize; 2], text: &str, font: &MonoFont, colour: Rgb888) {
        for (dx, dy) in [(0, 1), (2, 1), (1, 0), (1, 2), (0, 0), (2, 2), (0, 2), (2, 0)] {
            self.text([(at[0] + dx).saturating_sub(1), (at[1] + dy).saturating_sub(1)], text, font, Rgb888::BLACK);
        }
        self.text(at, text, font, colour);
    }

    pub fn text_right(&mut self, right: usize, y: usize, text: &str, font: &MonoFont, colour: Rgb888) {
        let width = text.chars().count() * (font.character_size.width + font.character_spacing) as usize;
        self.text([right.saturating_sub(width), y], text, font, colour);
    }

    /// Text at twice the size of its font, with the staircase of the enlarged letters smoothed.
    pub fn heading(&mut self, at: [usize; 2], text: &str, font: &MonoFont, colour: Rgb888) {
        let size = [text.chars().count() * font.character_size.width as usize, font.character_size.height as usize];
        let mut letters = Bits::new(size);
        let style = MonoTextStyle::new(font, BinaryColor::On);
        let drawn = Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut letters);
        let large = match drawn {
            Ok(_) => letters.doubled().doubled(),
            Err(never) => match never {},
        };
        for y in 0..size[1] * 2 {
            for x in 0..size[0] * 2 {
                let quarter = |dx, dy| u8::from(large.get(2 * x as isize + dx, 2 * y as isize + dy));
                let cover = f32::from(quarter(0, 0) + quarter(1, 0) + quarter(0, 1) + quarter(1, 1)) / 4.0;
                if cover > 0.0 && at[0] + x < self.width && at[1] + y < self.height {
                    self.blend(at[0] + x, at[1] + y, colour, cover);
                }
            }
        }
    }

    /// A line through `points` (page pixels), `width` pixels thick, drawn only inside `clip` (left, top, right, bottom).
    pub fn stroke(&mut self, points: &[[f32; 2]], closed: bool, width: f32, colour: Rgb888, clip: [usize; 4]) {
        let reach = width / 2.0 + 1.0;
        let bound = |values: &mut dyn Iterator<Item = f32>, low: usize, high: usize| {
            let (min, max) = values.fold((f32::MAX, f32::MIN), |(a, b), v| (a.min(v), b.max(v)));
            let clamp = |v: f32| (v.max(0.0) as usize).clamp(low, high);
            (clamp(min - reach), clamp(max + reach + 1.0))
        };
        let (left, right) = bound(&mut points.iter().map(|p| p[0]), clip[0], clip[2].min(self.width));
        let (top, bottom) = bound(&mut points.iter().map(|p| p[1]), clip[1], clip[3].min(self.height));
        if left >= right || top >= bottom {
            return;
        }
        let mut cover = vec![0f32; (right - left) * (bottom - top)];
        let count = if closed { points.len() } else { points.len().saturating_sub(1) };
        for i in 0..count {
            let (a, b) = (points[i], points[(i + 1) % points.len()]);
            let xs = bound(&mut [a[0], b[0]].into_iter(), left, right);
            let ys = bound(&mut [a[1], b[1]].into_iter(), top, bottom);
            for y in ys.0..ys.1 {
                for x in xs.0..xs.1 {
                    let distance = to_segment([x as f32 + 0.5, y as f32 + 0.5], a, b);
                    let here = &mut cover[(y - top) * (right - left) + x - left];
                    *here = here.max((width / 2.0 + 0.5 - distance).clamp(0.0, 1.0));
                }
            }
        }
        for (i, cover) in cover.into_iter().enumerate().filter(|(_, c)| *c > 0.0) {
            self.blend(left + i % (right - left), top + i / (right - left), colour, cover);
        }
    }
}

fn to_segment(p: [f32; 2], a: [f32; 2], b: [f32; 2]) -> f32 {
    let (dx, dy) = (b[0] - a[0], b[1] - a[1]);
    let length = dx * dx + dy * dy;
    let t = if length > 0.0 { (((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (p[0] - a[0] - t * dx).hypot(p[1] - a[1] - t * dy)
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let area = Rectangle::new(Point::zero(), self.size());
        for Pixel(point, colour) in pixels {
            if area.contains(point) {
                let at = (point.y as usize * self.width + point.x as usize) * 3;
                self.rgb[at..at + 3].copy_from_slice(&[colour.r(), colour.g(), colour.b()]);
            }
        }
        Ok(())
    }
}

/// Letters as bits, to be enlarged.
struct Bits {
    size: [usize; 2],
    on: Vec<bool>,
}

impl Bits {
    fn new(size: [usize; 2]) -> Self {
        Self { size, on: vec![false; size[0] * size[1]] }
    }

    fn get(&self, x: isize, y: isize) -> bool {
        let inside = x >= 0 && y >= 0 && (x as usize) < self.size[0] && (y as usize) < self.size[1];
        inside && self.on[y as usize * self.size[0] + x as usize]
    }

    /// The Scale2x rule: a corner is filled when both of its neighbours are, so diagonals become straight.
    fn doubled(&self) -> Self {
        let mut large = Self::new([self.size[0] * 2, self.size[1] * 2]);
        for y in 0..self.size[1] {
            for x in 0..self.size[0] {
                let (i, j) = (x as isize, y as isize);
                let here = self.get(i, j);
                let (up, down, left, right) =
                    (self.get(i, j - 1), self.get(i, j + 1), self.get(i - 1, j), self.get(i + 1, j));
                let corner = |a: bool, b: bool, c: bool, d: bool| if a == b && a != c && b != d { a } else { here };
                let at = 2 * y * large.size[0] + 2 * x;
                large.on[at] = corner(left, up, right, down);
                large.on[at + 1] = corner(up, right, down, left);
                large.on[at + large.size[0]] = corner(down, left, up, right);
                large.on[at + large.size[0] + 1] = corner(right, down, left, up);
            }
        }
        large
    }
}

impl OriginDimensions for Bits {
    fn size(&self) -> Size {
        Size::new(self.size[0] as u32, self.size[1] as u32)
    }
}

impl DrawTarget for Bits {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(point, colour) in pixels {
            let inside =
                point.x >= 0 && point.y >= 0 && (point.x as usize) < self.size[0] && (point.y as usize) < self.size[1];
            if inside {
                self.on[point.y as usize * self.size[0] + point.x as usize] = colour.is_on();
            }
        }
        Ok(())
    }
}
