//! Puts text into a buffer. Everything that is drawn goes through here, so nothing that is drawn steers the terminal.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Modifier, Style};

use super::text::{cut, harmless, width};
use crate::ctl::output::Tone;

/// How it may be drawn.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Colours; without them tones are bold, dim or plain, and every state is a word anyway.
    pub colour: bool,
    /// The terminal shows more than ASCII.
    pub unicode: bool,
}

impl Look {
    pub fn more(self) -> char {
        if self.unicode { '…' } else { '~' }
    }

    pub fn line(self) -> char {
        if self.unicode { '─' } else { '-' }
    }

    pub fn dot(self) -> &'static str {
        if self.unicode { " · " } else { " | " }
    }

    /// `[####--]`, with `columns` between the brackets.
    pub fn bar(self, fraction: f64, columns: u16) -> String {
        let columns = usize::from(columns);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to columns")]
        let full = ((fraction.clamp(0.0, 1.0) * columns as f64).round() as usize).min(columns);
        let (on, off) = if self.unicode { ("█", "░") } else { ("#", "-") };
        format!("[{}{}]", on.repeat(full), off.repeat(columns - full))
    }

    fn style(self, tone: Option<Tone>) -> Style {
        let style = Style::default();
        let coloured = |colour: Color| if self.colour { style.fg(colour) } else { style };
        match tone {
            None => style,
            Some(Tone::Good) => coloured(Color::Green),
            Some(Tone::Busy) => coloured(Color::Yellow),
            Some(Tone::Bad) => coloured(Color::Red).add_modifier(Modifier::BOLD),
            Some(Tone::Weak) => style.add_modifier(Modifier::DIM),
            Some(Tone::Strong) => style.add_modifier(Modifier::BOLD),
        }
    }
}

/// Text of one column of a row.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    /// `None`: what the others leave.
    width: Option<u16>,
    tone: Option<Tone>,
    right: bool,
}

impl Cell {
    pub fn fixed(width: u16, text: impl Into<String>) -> Self {
        Self { text: text.into(), width: Some(width), tone: None, right: false }
    }

    pub fn rest(text: impl Into<String>) -> Self {
        Self { text: text.into(), width: None, tone: None, right: false }
    }

    pub fn tone(self, tone: Tone) -> Self {
        Self { tone: Some(tone), ..self }
    }

    pub fn right(self) -> Self {
        Self { right: true, ..self }
    }
}

#[derive(Debug)]
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    pub look: Look,
}

impl<'a> Pen<'a> {
    pub fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look }
    }

    /// In the first row of `area`; cut where it is too long. Returns the columns that it took.
    pub fn put(&mut self, area: Rect, text: &str, tone: Option<Tone>) -> u16 {
        let area = area.intersection(self.buffer.area);
        if area.is_empty() {
            return 0;
        }
        let text = cut(&harmless(text), usize::from(area.width), self.look.more());
        let style = self.look.style(tone);
        self.buffer.set_stringn(area.x, area.y, &text, usize::from(area.width), style);
        columns(&text).min(area.width)
    }

    /// Cells from left to right, a blank between them; a cell without a place is left out.
    pub fn row(&mut self, area: Rect, cells: &[Cell]) {
        let fixed: u16 = cells.iter().filter_map(|cell| cell.width).fold(0, u16::saturating_add);
        let gaps = u16::try_from(cells.len().saturating_sub(1)).unwrap_or(0);
        let rest = area.width.saturating_sub(fixed.saturating_add(gaps));
        let mut x = area.x;
        for cell in cells {
            let wide = cell.width.unwrap_or(rest).min(area.right().saturating_sub(x));
            let text = harmless(&cell.text);
            let before = if cell.right { wide.saturating_sub(columns(&text)) } else { 0 };
            self.put(Rect { x: x + before, width: wide - before, height: 1, ..area }, &text, cell.tone);
            x = x.saturating_add(wide).saturating_add(1).min(area.right());
        }
    }

    pub fn title(&mut self, area: Rect, text: &str) {
        let line = self.look.line().to_string();
        self.put(area, &line.repeat(usize::from(area.width)), Some(Tone::Weak));
        let inner = Rect { x: area.x.saturating_add(2), width: area.width.saturating_sub(4), ..area };
        self.put(inner, &format!(" {text} "), Some(Tone::Strong));
    }

    /// Turns the colours of a row round.
    pub fn mark(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        self.buffer.set_style(area, Style::default().add_modifier(Modifier::REVERSED));
    }
}

fn columns(text: &str) -> u16 {
    u16::try_from(width(text)).unwrap_or(u16::MAX)
}

/// A row of an area.
pub fn line(area: Rect, row: u16) -> Rect {
    Rect { y: area.y.saturating_add(row), height: u16::from(row < area.height), ..area }
}
