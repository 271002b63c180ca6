//! The typeface of pages and documents: outlines, widths and line breaks.
//!
//! Images and PDF use the same font file (Latin and GB 2312). It has one weight; bold letters are drawn with an
//! additional edge.

use std::sync::OnceLock;

use tiny_skia::{Path, PathBuilder};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

/// Made by `daemon/report/fonts/make.py`; SIL Open Font License 1.1.
pub const SANS: &[u8] = include_bytes!("../fonts/scanside-sans.otf");
/// Drawn instead of characters for which the font has no glyph: nobody takes it for a letter. Where it may stand for a part
/// of a name, `pdf::printable` says how many are missing.
pub const MISSING: char = '\u{25a1}';

/// Distance from the top of a line to its baseline, as a fraction of the letter size (top of the ideographic em box).
const ASCENT: f32 = 0.88;

/// Size and weight of letters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Type {
    /// Size of the em box, pixels.
    pub size: f32,
    pub bold: bool,
}

impl Type {
    pub const fn plain(size: f32) -> Self {
        Self { size, bold: false }
    }

    pub const fn bold(size: f32) -> Self {
        Self { size, bold: true }
    }

    /// Width of the edge that makes letters bold, pixels.
    pub fn edge(self) -> Option<f32> {
        self.bold.then_some(self.size * 0.045)
    }

    /// Width of one line of text, pixels.
    pub fn width(self, text: &str) -> f32 {
        let Some(face) = face() else { return 0.0 };
        let units: f32 = text.chars().filter_map(|c| glyph(face, c)).map(|g| advance(face, g)).sum();
        units * self.size / f32::from(face.units_per_em())
    }

    /// Lines of at most `width` pixels.
    pub fn wrap(self, text: &str, width: f32) -> Vec<String> {
        wrap(text, width, |piece| self.width(piece))
    }

    /// Outlines of one line of text whose top left corner is `at` (pixels); `None` when nothing would be drawn.
    pub fn outlines(self, at: [f32; 2], text: &str) -> Option<Path> {
        let face = face()?;
        let scale = self.size / f32::from(face.units_per_em());
        let mut pen = Pen { path: PathBuilder::new(), left: at[0], baseline: at[1] + ASCENT * self.size, scale };
        for glyph in text.chars().filter_map(|c| glyph(face, c)) {
            face.outline_glyph(glyph, &mut pen);
            pen.left += advance(face, glyph) * scale;
        }
        pen.path.finish()
    }
}

/// `None` if the built-in font is damaged, which a test excludes.
fn face() -> Option<&'static Face<'static>> {
    static FACE: OnceLock<Option<Face<'static>>> = OnceLock::new();
    FACE.get_or_init(|| Face::parse(SANS, 0).ok()).as_ref()
}

fn glyph(face: &Face, c: char) -> Option<GlyphId> {
    face.glyph_index(c).or_else(|| face.glyph_index(MISSING))
}

/// Has the font a glyph of its own for this character?
pub fn has(c: char) -> bool {
    face().is_some_and(|face| face.glyph_index(c).is_some())
}

/// In font units.
fn advance(face: &Face, glyph: GlyphId) -> f32 {
    f32::from(face.glyph_hor_advance(glyph).unwrap_or(0))
}

/// Converts font units (y upwards) to pixels (y downwards).
struct Pen {
    path: PathBuilder,
    left: f32,
    baseline: f32,
    scale: f32,
}

impl Pen {
    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.left + x * self.scale, self.baseline - y * self.scale)
    }
}

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.move_to(x, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        let (x, y) = self.at(x, y);
        self.path.line_to(x, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        let ((x1, y1), (x, y)) = (self.at(x1, y1), self.at(x, y));
        self.path.quad_to(x1, y1, x, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let ((x1, y1), (x2, y2), (x, y)) = (self.at(x1, y1), self.at(x2, y2), self.at(x, y));
        self.path.cubic_to(x1, y1, x2, y2, x, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

/// Breaks text into lines of at most `width` according to `measure`; at least one line. Latin text breaks at spaces,
/// Chinese text between any two characters. A word that is wider than a line is cut.
pub fn wrap(text: &str, width: f32, measure: impl Fn(&str) -> f32) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut line = String::new();
    for word in words(text) {
        if !line.is_empty() && measure(&format!("{line}{}", word.trim_end())) > width {
            lines.push(std::mem::take(&mut line));
        }
        let mut rest = word;
        while measure(rest.trim_end()) > width {
            let ends = rest.char_indices().map(|(i, c)| i + c.len_utf8());
            let cut = ends.take_while(|end| measure(&rest[..*end]) <= width).last();
            // Every line takes at least one character, even if it is too wide.
            let cut = cut.unwrap_or_else(|| rest.chars().next().map_or(rest.len(), char::len_utf8));
            line.push_str(&rest[..cut]);
            lines.push(std::mem::take(&mut line));
            rest = &rest[cut..];
        }
        line.push_str(rest);
    }
    lines.push(line);
    let lines: Vec<String> =
        lines.into_iter().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { vec![String::new()] } else { lines }
}

/// Splits text into pieces between which a line may break: words with their trailing spaces, and single Chinese
/// characters with the closing punctuation after them.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut before = None::<char>;
    for (i, c) in text.char_indices() {
        let closing = matches!(c, '，' | '。' | '；' | '：' | '）' | '、' | '！' | '？');
        let broken = before.is_some_and(|b| (b == ' ' || wide(b)) && c != ' ' || wide(c));
        if broken && !closing && i > start {
            words.push(&text[start..i]);
            start = i;
        }
        before = Some(c);
    }
    words.push(&text[start..]);
    words
}

fn wide(c: char) -> bool {
    c >= '\u{2e80}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_breaks_at_spaces_and_long_words_are_cut() {
        let by_count = |text: &str, columns: f32| wrap(text, columns, |piece| piece.chars().count() as f32);
        assert_eq!(by_count("one two three", 8.0), ["one two", "three"]);
        assert_eq!(by_count("abcdefghij k", 4.0), ["abcd", "efgh", "ij k"]);
        assert_eq!(by_count("", 4.0), [""]);
    }

    #[test]
    fn latin_and_chinese_letters_have_outlines_where_they_are_asked_for() {
        for text in ["FOUND", "冠状动脉钙化", "12.4 % (≥ 5 %)"] {
            let style = Type::plain(16.0);
            let bounds = style.outlines([100.0, 50.0], text).unwrap().bounds();
            assert!(bounds.left() >= 99.0 && bounds.right() <= 100.0 + style.width(text) + 1.0, "{text}: {bounds:?}");
            assert!(bounds.top() >= 48.0 && bounds.bottom() <= 70.0, "{text}: {bounds:?}");
        }
        assert!(Type::plain(16.0).outlines([0.0, 0.0], "  ").is_none());
    }

    #[test]
    fn every_wrapped_line_fits() {
        let style = Type::plain(13.0);
        let text = "ground glass 12.4 % of both lungs，磨玻璃影占双肺百分之十二，实变百分之三";
        let lines = style.wrap(text, 120.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| style.width(line) <= 120.0), "{lines:?}");
    }
}
