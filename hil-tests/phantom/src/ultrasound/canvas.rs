//! A grey picture of 8 bits, with text and lines by embedded-graphics.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle};
use embedded_graphics::pixelcolor::{Gray8, GrayColor};
use embedded_graphics::text::{Baseline, Text};

use super::layout::Rect;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canvas {
    pub width: usize,
    pub height: usize,
    /// Row by row.
    pub grey: Vec<u8>,
}

impl Canvas {
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, grey: vec![0; width * height] }
    }

    pub fn set(&mut self, x: i32, y: i32, grey: u8) {
        if x >= 0 && y >= 0 && (x as usize) < self.width && (y as usize) < self.height {
            self.grey[y as usize * self.width + x as usize] = grey;
        }
    }

    pub fn fill(&mut self, rect: Rect, grey: u8) {
        for y in rect.y..rect.bottom().min(self.height) {
            self.grey[y * self.width + rect.x..y * self.width + rect.right().min(self.width)].fill(grey);
        }
    }

    pub fn text(&mut self, x: usize, y: usize, text: &str, font: &MonoFont<'_>, grey: u8) {
        let style = MonoTextStyle::new(font, Gray8::new(grey));
        let Ok(_) = Text::with_baseline(text, Point::new(x as i32, y as i32), style, Baseline::Top).draw(self);
    }

    /// Where the dots are `period` apart, of which `on` are drawn.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], [on, period]: [usize; 2], grey: u8) {
        let length = (to[0] - from[0]).hypot(to[1] - from[1]).ceil().max(1.0);
        for i in 0..=length as usize {
            if i % period < on {
                let t = i as f32 / length;
                let at = |a: usize| (from[a] + t * (to[a] - from[a])).round() as i32;
                self.set(at(0), at(1), grey);
            }
        }
    }

    /// The part within `rect`.
    pub fn part(&self, rect: Rect) -> Self {
        let rows = (rect.y..rect.bottom()).flat_map(|y| &self.grey[y * self.width + rect.x..][..rect.width]);
        Self { width: rect.width, height: rect.height, grey: rows.copied().collect() }
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.width as u32, self.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Gray8;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Gray8>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            self.set(at.x, at.y, colour.luma());
        }
        Ok(())
    }
}
