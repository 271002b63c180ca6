//! Two scanner screens as data: where the image is, where text is burned in, where scale, grey bar and freeze icon are.

use clap::ValueEnum;
use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::ascii::{FONT_7X13, FONT_8X13_BOLD, FONT_9X15};
use serde::Serialize;

/// Pixels; right and bottom are excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rect {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl Rect {
    pub const fn new(x: usize, y: usize, width: usize, height: usize) -> Self {
        Self { x, y, width, height }
    }

    pub const fn right(&self) -> usize {
        self.x + self.width
    }

    pub const fn bottom(&self) -> usize {
        self.y + self.height
    }

    pub fn contains(&self, other: &Self) -> bool {
        other.x >= self.x && other.y >= self.y && other.right() <= self.right() && other.bottom() <= self.bottom()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// 1280 x 720: black, scale on the right
    A,
    /// 1024 x 768: grey frame, scale on the left
    B,
}

/// Content of a text area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    Site,
    /// Name and number: identifies the patient.
    Patient,
    /// Date and time, which identify the examination.
    Date,
    Probe,
    /// Frequency, gain, depth, dynamic range and so on, one on each line.
    Settings,
    /// Mechanical and thermal index.
    Output,
    Measurements,
    FrameRate,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct TextArea {
    pub says: Says,
    pub rect: Rect,
}

#[derive(Debug, Clone, Serialize)]
pub struct Layout {
    pub name: Name,
    pub width: usize,
    pub height: usize,
    /// The area for the image of the linear probe. The image is centred; beside it the area is black when the probe is
    /// narrower.
    pub sector: Rect,
    pub texts: &'static [TextArea],
    /// A long tick every centimetre, a short one every half; starts at the top of the sector.
    pub depth_scale: Rect,
    pub ticks_point_left: bool,
    pub grey_bar: Rect,
    pub freeze_icon: Rect,
    /// Grey of the screen beside the sector and of its text.
    pub background: u8,
    pub ink: u8,
    #[serde(skip)]
    pub font: &'static MonoFont<'static>,
    #[serde(skip)]
    pub small_font: &'static MonoFont<'static>,
}

const fn area(says: Says, x: usize, y: usize, width: usize, height: usize) -> TextArea {
    TextArea { says, rect: Rect::new(x, y, width, height) }
}

const A: Layout = Layout {
    name: Name::A,
    width: 1280,
    height: 720,
    sector: Rect::new(236, 64, 800, 616),
    texts: &[
        area(Says::Site, 20, 8, 220, 18),
        area(Says::Patient, 300, 8, 420, 18),
        area(Says::Date, 1020, 8, 240, 18),
        area(Says::Output, 1020, 30, 240, 18),
        area(Says::Probe, 300, 30, 420, 18),
        area(Says::Settings, 20, 90, 150, 180),
        area(Says::FrameRate, 20, 290, 150, 18),
        area(Says::Measurements, 1100, 560, 170, 110),
    ],
    depth_scale: Rect::new(1040, 64, 44, 616),
    ticks_point_left: true,
    grey_bar: Rect::new(188, 90, 16, 200),
    freeze_icon: Rect::new(1216, 66, 36, 36),
    background: 0,
    ink: 205,
    font: &FONT_9X15,
    small_font: &FONT_7X13,
};

const B: Layout = Layout {
    name: Name::B,
    width: 1024,
    height: 768,
    sector: Rect::new(152, 96, 640, 600),
    texts: &[
        area(Says::Patient, 12, 6, 400, 16),
        area(Says::Date, 800, 6, 212, 16),
        area(Says::Site, 12, 26, 400, 16),
        area(Says::Output, 800, 26, 212, 16),
        area(Says::Probe, 440, 26, 300, 16),
        area(Says::Settings, 860, 110, 150, 180),
        area(Says::FrameRate, 860, 300, 150, 16),
        area(Says::Measurements, 152, 704, 420, 56),
    ],
    depth_scale: Rect::new(104, 96, 44, 600),
    ticks_point_left: false,
    grey_bar: Rect::new(828, 110, 14, 160),
    freeze_icon: Rect::new(960, 640, 40, 40),
    background: 26,
    ink: 225,
    font: &FONT_8X13_BOLD,
    small_font: &FONT_7X13,
};

impl Name {
    pub fn layout(self) -> &'static Layout {
        static BOTH: [Layout; 2] = [A, B];
        &BOTH[self as usize]
    }

    pub fn by_seed(seed: u64) -> Self {
        if seed.is_multiple_of(2) { Self::A } else { Self::B }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_on_the_screen_and_nothing_but_the_image_in_the_sector() {
        for layout in [Name::A.layout(), Name::B.layout()] {
            let screen = Rect::new(0, 0, layout.width, layout.height);
            let beside = layout.texts.iter().map(|t| t.rect);
            for rect in beside.chain([layout.depth_scale, layout.grey_bar, layout.freeze_icon]) {
                assert!(screen.contains(&rect), "{rect:?}");
                let s = layout.sector;
                let apart = rect.right() <= s.x || rect.x >= s.right() || rect.bottom() <= s.y || rect.y >= s.bottom();
                assert!(apart, "{rect:?} lies in the sector");
            }
        }
    }
}
