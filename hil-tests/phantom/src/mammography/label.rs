//! The label of the view, burnt into the picture beside the breast, as some units do.

use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_9X15;
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{DrawTarget, Drawable, OriginDimensions, Pixel, Point, Size};
use embedded_graphics::text::{Baseline, Text};

use super::View;
use super::plane::Plane;
use crate::anatomy::Side;

/// Height of the letters, mm.
const HEIGHT_MM: f32 = 7.0;
/// Distance from the edges of the picture, mm.
const EDGE_MM: f32 = 6.0;

/// A small picture of one text.
struct Letters {
    size: [usize; 2],
    set: Vec<bool>,
}

impl OriginDimensions for Letters {
    fn size(&self) -> Size {
        Size::new(self.size[0] as u32, self.size[1] as u32)
    }
}

impl DrawTarget for Letters {
    type Color = BinaryColor;
    type Error = std::convert::Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Self::Color>>>(&mut self, pixels: I) -> Result<(), Self::Error> {
        for Pixel(at, color) in pixels {
            let (x, y) = (at.x as usize, at.y as usize);
            if at.x >= 0 && at.y >= 0 && x < self.size[0] && y < self.size[1] {
                self.set[y * self.size[0] + x] = color.is_on();
            }
        }
        Ok(())
    }
}

/// Writes `R CC` and the like in white into `values`, which are as stored: in the upper corner away from the chest wall.
pub fn burn(values: &mut [f32], plane: &Plane, view: View) {
    let text = format!("{} {}", if view.side == Side::Right { "R" } else { "L" }, view.projection.words());
    let mut letters = Letters { size: [9 * text.len(), 15], set: vec![false; 9 * text.len() * 15] };
    let style = MonoTextStyle::new(&FONT_9X15, BinaryColor::On);
    let Ok(_) = Text::with_baseline(&text, Point::zero(), style, Baseline::Top).draw(&mut letters);
    let scale = HEIGHT_MM / 15.0 / plane.pixel_mm;
    let (width, height) = ((letters.size[0] as f32 * scale) as usize, (15.0 * scale) as usize);
    let edge = (EDGE_MM / plane.pixel_mm) as usize;
    let left = if view.side == Side::Right { edge } else { plane.columns.saturating_sub(edge + width) };
    for y in 0..height {
        for x in 0..width {
            let from = ((y as f32 / scale) as usize).min(14) * letters.size[0];
            let column = ((x as f32 / scale) as usize).min(letters.size[0] - 1);
            if letters.set[from + column] && edge + y < plane.rows && left + x < plane.columns {
                values[(edge + y) * plane.columns + left + x] = 1.0;
            }
        }
    }
}
