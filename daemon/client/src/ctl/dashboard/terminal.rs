//! The terminal at the edge: taken over for the dashboard, drawn on, and given back however the dashboard ends.

use std::io::{self, Stdout, Write, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Color as Ink, Print, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    Clear, ClearType as Wipe, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use dicom::text::steers;
use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::Cell;
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier};
use ratatui_core::terminal::Terminal;
use tokio::sync::mpsc;

use super::sight::Key;

/// Whether the terminal is ours at present.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back when it goes out of scope.
#[derive(Debug)]
pub struct Taken;

impl Taken {
    /// Raw mode, another screen, no cursor. A panic gives the terminal back before it says what it has to say.
    ///
    /// # Errors
    /// When it is no terminal.
    pub fn take() -> io::Result<Self> {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back();
            told(info);
        }));
        take_again()?;
        Ok(Self)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// After the process was stopped and goes on.
///
/// # Errors
/// When the terminal cannot be written.
pub fn take_again() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, Hide, Clear(Wipe::All))
}

/// As it was. Nothing is done when it was given back already.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // When the terminal is gone there is nobody to tell.
        let _ = execute!(stdout(), SetAttribute(Attribute::Reset), Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// Keys from now on. The thread that reads them ends with the process, because reading cannot be interrupted.
pub fn keys() -> mpsc::Receiver<Key> {
    let (pressed, keys) = mpsc::channel(32);
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let Some(key) = key_of(&event) else { continue };
            if pressed.blocking_send(key).is_err() {
                return;
            }
        }
    });
    keys
}

fn key_of(event: &Event) -> Option<Key> {
    let key = match event {
        Event::Resize(..) => return Some(Key::Resized),
        Event::Key(key) if key.kind != KeyEventKind::Release => *key,
        _ => return None,
    };
    Some(match key {
        KeyEvent { code: KeyCode::Char(c), modifiers, .. } if modifiers.contains(KeyModifiers::CONTROL) => match c {
            'c' => Key::Interrupt,
            'z' => Key::Suspend,
            'l' => Key::Redraw,
            _ => return None,
        },
        KeyEvent { code, .. } => match code {
            KeyCode::Char(c) => Key::Character(c),
            KeyCode::Up => Key::Up,
            KeyCode::Down => Key::Down,
            KeyCode::PageUp => Key::PageUp,
            KeyCode::PageDown => Key::PageDown,
            KeyCode::Home => Key::Home,
            KeyCode::End => Key::End,
            KeyCode::Enter | KeyCode::Right => Key::Enter,
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => Key::Back,
            _ => return None,
        },
    })
}

/// Cells as bytes. `ratatui` draws differences with it.
#[derive(Debug)]
pub struct Screen<W>(W);

pub fn screen() -> io::Result<Terminal<Screen<Stdout>>> {
    Terminal::new(Screen(stdout()))
}

impl<W: Write> Screen<W> {
    fn style(&mut self, cell: &Cell) -> io::Result<()> {
        queue!(self.0, SetAttribute(Attribute::Reset), SetForegroundColor(ink(cell.fg)))?;
        for (modifier, attribute) in [
            (Modifier::BOLD, Attribute::Bold),
            (Modifier::DIM, Attribute::Dim),
            (Modifier::REVERSED, Attribute::Reverse),
        ] {
            if cell.modifier.contains(modifier) {
                queue!(self.0, SetAttribute(attribute))?;
            }
        }
        Ok(())
    }
}

/// The colours that `Look` uses.
fn ink(colour: Color) -> Ink {
    match colour {
        Color::Green => Ink::DarkGreen,
        Color::Yellow => Ink::DarkYellow,
        Color::Red => Ink::DarkRed,
        _ => Ink::Reset,
    }
}

impl<W: Write> Backend for Screen<W> {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        let mut last: Option<(u16, u16, Color, Modifier)> = None;
        for (x, y, cell) in content {
            if last.is_none_or(|(before, row, ..)| (before.saturating_add(1), row) != (x, y)) {
                queue!(self.0, MoveTo(x, y))?;
            }
            if last.is_none_or(|(_, _, colour, modifier)| (colour, modifier) != (cell.fg, cell.modifier)) {
                self.style(cell)?;
            }
            // The pen has seen to it already; a terminal is worth a second look.
            let symbol = if cell.symbol().chars().any(steers) { "?" } else { cell.symbol() };
            queue!(self.0, Print(symbol))?;
            last = Some((x, y, cell.fg, cell.modifier));
        }
        queue!(self.0, SetAttribute(Attribute::Reset))
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        queue!(self.0, Hide)
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        queue!(self.0, Show)
    }

    /// It is hidden, and asking the terminal would take its answer from the keys.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let Position { x, y } = position.into();
        queue!(self.0, MoveTo(x, y))
    }

    fn clear(&mut self) -> io::Result<()> {
        queue!(self.0, Clear(Wipe::All))
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        let wipe = match region {
            ClearType::All => Wipe::All,
            ClearType::AfterCursor => Wipe::FromCursorDown,
            ClearType::BeforeCursor => Wipe::FromCursorUp,
            ClearType::CurrentLine => Wipe::CurrentLine,
            ClearType::UntilNewLine => Wipe::UntilNewLine,
        };
        queue!(self.0, Clear(wipe))
    }

    fn size(&self) -> io::Result<Size> {
        let (width, height) = crossterm::terminal::size()?;
        // A serial line does not know its size; the oldest terminals had this one.
        Ok(if width == 0 || height == 0 { Size { width: 80, height: 24 } } else { Size { width, height } })
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use ratatui_core::style::Style;

    use super::*;

    #[test]
    fn what_reaches_the_terminal_are_our_own_sequences_only() {
        let mut screen = Screen(Vec::new());
        let mut cells = [Cell::default(), Cell::default(), Cell::default()];
        cells[0].set_symbol("\x1b]0;title\x07");
        cells[1].set_symbol("肺").set_style(Style::default().fg(Color::Red));
        cells[2].set_symbol("\u{202e}");
        screen.draw(cells.iter().zip([0, 1, 3]).map(|(cell, x)| (x, 5, cell))).unwrap();
        let text = String::from_utf8(screen.0).unwrap();
        assert!(!text.contains("\x1b]") && !text.contains('\x07') && !text.contains('\u{202e}'), "{text:?}");
        assert!(text.contains("肺") && text.matches('?').count() == 2, "{text:?}");
    }

    #[test]
    fn keys_are_read_as_people_mean_them() {
        let key = |code, modifiers| key_of(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Key::Interrupt));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Key::Character('q')));
        assert_eq!(key(KeyCode::Esc, KeyModifiers::NONE), Some(Key::Back));
        assert_eq!(key(KeyCode::F(1), KeyModifiers::NONE), None);
        assert_eq!(key_of(&Event::Resize(80, 24)), Some(Key::Resized));
    }
}
