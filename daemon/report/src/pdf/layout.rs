//! Draws text, boxes and images on A4 pages. Coordinates are in points from the top left corner.

use pdf_writer::types::TextRenderingMode;
use pdf_writer::{Content, Name, Str};

use super::font::Font;

pub const WIDTH: f32 = 595.0;
pub const HEIGHT: f32 = 842.0;
pub const LEFT: f32 = 40.0;
pub const RIGHT: f32 = WIDTH - 40.0;
/// Of the first line of a page that goes on.
pub const TOP: f32 = 78.0;
/// Text ends above page number and mark.
const BOTTOM: f32 = HEIGHT - 62.0;

pub type Colour = [f32; 3];
pub const INK: Colour = [0.1, 0.12, 0.15];
pub const GREY: Colour = [0.42, 0.46, 0.5];
pub const RULE: Colour = [0.82, 0.84, 0.87];
pub const AMBER: Colour = [1.0, 0.73, 0.22];
pub const BROWN: Colour = [0.6, 0.3, 0.0];
pub const GREEN: Colour = [0.1, 0.45, 0.3];

/// One page that is being filled.
pub struct Sheet {
    pub content: Content,
    /// Numbers of the images on the page.
    pub pictures: Vec<usize>,
}

impl Sheet {
    pub fn new() -> Self {
        Self { content: Content::new(), pictures: Vec::new() }
    }

    /// Draws one line of text; `y` is the distance of its baseline from the top. Bold letters get an additional edge,
    /// because the font has one weight.
    pub fn text(&mut self, font: &mut Font, at: [f32; 2], size: f32, bold: bool, colour: Colour, text: &str) {
        let bytes = font.encode(text);
        let content = &mut self.content;
        content.save_state();
        content.begin_text();
        content.set_fill_rgb(colour[0], colour[1], colour[2]);
        if bold {
            content.set_stroke_rgb(colour[0], colour[1], colour[2]);
            content.set_line_width(size * 0.03);
            content.set_text_rendering_mode(TextRenderingMode::FillStroke);
        }
        content.set_font(Name(b"F1"), size);
        content.next_line(at[0], HEIGHT - at[1]);
        content.show(Str(&bytes));
        content.end_text();
        content.restore_state();
    }

    /// Draws text in regular weight that ends at `at`.
    pub fn text_right(&mut self, font: &mut Font, at: [f32; 2], size: f32, colour: Colour, text: &str) {
        let left = at[0] - font.width(text, size);
        self.text(font, [left, at[1]], size, false, colour, text);
    }

    pub fn fill(&mut self, at: [f32; 2], size: [f32; 2], colour: Colour) {
        let content = &mut self.content;
        content.save_state();
        content.set_fill_rgb(colour[0], colour[1], colour[2]);
        content.rect(at[0], HEIGHT - at[1] - size[1], size[0], size[1]);
        content.fill_nonzero();
        content.restore_state();
    }

    pub fn picture(&mut self, number: usize, at: [f32; 2], size: [f32; 2]) {
        let content = &mut self.content;
        content.save_state();
        content.transform([size[0], 0.0, 0.0, size[1], at[0], HEIGHT - at[1] - size[1]]);
        content.x_object(Name(format!("P{number}").as_bytes()));
        content.restore_state();
        self.pictures.push(number);
    }
}

/// Pages of text that are filled from the top; what does not fit on one goes to the next.
pub struct Flow {
    full: Vec<Sheet>,
    sheet: Sheet,
    /// Where the next line goes.
    pub y: f32,
}

impl Flow {
    pub fn new() -> Self {
        Self { full: Vec::new(), sheet: Sheet::new(), y: TOP }
    }

    /// The page on which there is room for `height` points from `y` on.
    pub fn room(&mut self, height: f32) -> &mut Sheet {
        if self.y + height > BOTTOM && self.y > TOP {
            self.full.push(std::mem::replace(&mut self.sheet, Sheet::new()));
            self.y = TOP;
        }
        &mut self.sheet
    }

    /// Bold text at `left` that stays with the next `height` points; `y` stays.
    pub fn heading(&mut self, font: &mut Font, left: f32, height: f32, size: f32, text: &str) {
        self.room(height);
        self.sheet.text(font, [left, self.y], size, true, INK, text);
    }

    /// One line of text at `left`, then `y` is `height` points further down.
    pub fn line(&mut self, font: &mut Font, left: f32, height: f32, size: f32, colour: Colour, text: &str) {
        self.room(height);
        self.sheet.text(font, [left, self.y], size, false, colour, text);
        self.y += height;
    }

    pub fn into_sheets(mut self) -> Vec<Sheet> {
        self.full.push(self.sheet);
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_on_a_page_goes_to_the_next_with_what_belongs_to_it() {
        let mut font = Font::new().unwrap();
        let mut flow = Flow::new();
        for _ in 0..200 {
            flow.line(&mut font, LEFT, 11.0, 8.5, INK, "line");
            assert!(flow.y <= BOTTOM, "no text in the foot of the page");
        }
        let lines_of_a_page = ((BOTTOM - TOP) / 11.0).floor();
        flow.y = BOTTOM - 30.0;
        flow.heading(&mut font, LEFT, 24.0, 9.5, "stays");
        assert_eq!(flow.y, BOTTOM - 30.0);
        flow.y = BOTTOM - 20.0;
        flow.heading(&mut font, LEFT, 24.0, 9.5, "would be parted from its first line");
        assert_eq!(flow.y, TOP);
        assert_eq!(flow.into_sheets().len(), 1 + (200.0 / lines_of_a_page).ceil() as usize);
    }

    #[test]
    fn what_is_higher_than_a_page_begins_one_and_leaves_no_empty_one() {
        let mut flow = Flow::new();
        flow.room(5000.0);
        flow.room(5000.0);
        assert_eq!(flow.into_sheets().len(), 1);
    }
}
