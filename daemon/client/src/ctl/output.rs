//! Where output goes: tables and colours for a terminal, plain tables for a pipe, JSON for programs.
//!
//! Names and descriptions come from outside. Whatever they hold, they do not steer a terminal: for people such characters
//! are written out, in JSON they are escaped and so stay exact.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use dicom::text::{shown_lines, steers};
use serde::Serialize;

use super::every::PAGE;
use super::failure::Failure;
pub use crate::doctor::text::bytes;

/// Whether all rows were asked for, and what was shown may not be all.
pub fn is_incomplete() -> bool {
    INCOMPLETE.load(Ordering::Relaxed)
}

/// How a word is meant; colours follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Busy,
    Bad,
    Weak,
    Strong,
}

#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    /// Standard output is a terminal.
    terminal: bool,
    colour: bool,
    colour_error: bool,
}

/// A list had an end that was not its own. One for the program, which has one exit code.
static INCOMPLETE: AtomicBool = AtomicBool::new(false);

impl Output {
    pub fn new(json: bool) -> Self {
        // no-color.org: set and not empty.
        let allowed = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let terminal = io::stdout().is_terminal();
        Self { json, terminal, colour: allowed && terminal, colour_error: allowed && io::stderr().is_terminal() }
    }

    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether standard output may have colours.
    pub fn is_coloured(&self) -> bool {
        self.colour
    }

    /// Progress bars are drawn on standard error, for people only.
    pub fn shows_progress(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// One JSON value: indented on a terminal, else one line.
    pub fn json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = if self.terminal { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        write_line(&escaped(&text.map_err(|error| Failure::new(error.to_string(), "report this as a bug"))?))
    }

    /// # Errors
    /// When standard output cannot be written.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        write_line(&harmless(text, self.colour))
    }

    /// A file on standard output, as it is.
    ///
    /// # Errors
    /// When standard output cannot be written.
    #[expect(clippy::unused_self, reason = "all output goes through here")]
    pub fn raw(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
    }

    /// A line on standard error, for people.
    pub fn note(&self, text: &str) {
        write_note(&harmless(text, self.colour_error));
    }

    /// The newest `limit` rows of a list (0: all); `fetch` takes such a limit. Says on standard error when there are
    /// more, and how many. Where one call does not give all of all, that is said, and the program ends with 1.
    ///
    /// # Errors
    /// Those of `fetch`.
    pub async fn newest<T, E>(&self, limit: u32, fetch: impl AsyncFn(u32) -> Result<Vec<T>, E>) -> Result<Vec<T>, E> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut rows = fetch(if limit == 0 { 0 } else { limit.saturating_add(1) }).await?;
        if most > 0 && rows.len() > most {
            rows.truncate(most);
            let all = fetch(0).await?.len();
            let or_more = if all == PAGE { " or more" } else { "" };
            self.note(&format!("The newest {limit} of {all}{or_more} are shown; --limit 0 shows all."));
        } else if limit == 0 && rows.len() == PAGE {
            self.note(&format!(
                "The newest {PAGE} are shown, and there may be more: the daemon gives no more at once."
            ));
            INCOMPLETE.store(true, Ordering::Relaxed);
        }
        Ok(rows)
    }

    pub fn table(&self, header: &[&str]) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if let Some(width) = table.width().filter(|_| self.terminal) {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        } else {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
        if self.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if !header.is_empty() {
            table.set_header(header.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
        }
        table
    }

    /// The table from the left edge on, without blanks at line ends.
    pub fn print(&self, mut table: Table) -> Result<(), Failure> {
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        self.line(&lines.join("\n"))
    }

    pub fn paint(&self, text: &str, tone: Tone) -> String {
        if self.colour { painted(text, tone) } else { text.to_owned() }
    }

    pub fn paint_error(&self, text: &str, tone: Tone) -> String {
        if self.colour_error { painted(text, tone) } else { text.to_owned() }
    }
}

fn write_line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}

/// Nobody may be listening.
pub fn write_note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Text without anything that steers a terminal, but for line breaks and, with `colour`, colours.
pub fn harmless(text: &str, colour: bool) -> String {
    let (mut safe, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\x1b').filter(|_| colour) {
        let length = colour_length(&rest[at..]);
        safe.push_str(&shown_lines(&rest[..at]).to_string());
        safe.push_str(&rest[at..at + length]);
        if length == 0 {
            safe.push_str(&shown_lines("\x1b").to_string());
        }
        rest = &rest[at + length.max(1)..];
    }
    safe.push_str(&shown_lines(rest).to_string());
    safe
}

/// Bytes of the colour (`ESC [ numbers m`) that a text begins with; 0 if it begins with something else.
fn colour_length(text: &str) -> usize {
    let Some(numbers) = text.strip_prefix("\x1b[") else { return 0 };
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(numbers.len());
    // 8 would hide what follows.
    let hides = numbers[..end].split(';').any(|number| number == "8");
    if numbers[end..].starts_with('m') && !hides { "\x1b[".len() + end + "m".len() } else { 0 }
}

/// JSON with the same value, in which only ASCII steers anything. serde_json has escaped the control characters below
/// 32; others stand in strings only, where an escape means the same.
fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if steers(character) && character != '\n' {
            let mut units = [0; 2];
            safe.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(character);
        }
    }
    safe
}

fn painted(text: &str, tone: Tone) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Busy => "33",
        Tone::Bad => "1;31",
        Tone::Weak => "2",
        Tone::Strong => "1",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// States have one tone wherever they are shown.
pub fn tone_of(state: &str) -> Tone {
    match state {
        "processed" | "done" | "delivered" | "full" | "active" | "ready" => Tone::Good,
        "receiving" | "complete" | "analyzing" | "running" | "queued" | "pending" | "held" | "building" | "paused"
        | "no_overlay" | "due" => Tone::Busy,
        "refused" | "parked" | "quarantined" | "conflict" | "damaged" | "reduced" | "no_new_studies" | "no_output"
        | "no_signal" | "failed" | "overdue" | "moved" => Tone::Bad,
        _ => Tone::Weak,
    }
}

/// A cell with the state in its tone.
pub fn state_cell(state: &str) -> Cell {
    toned_cell(state, tone_of(state))
}

pub fn toned_cell(text: &str, tone: Tone) -> Cell {
    let cell = Cell::new(text);
    match tone {
        Tone::Good => cell.fg(Color::Green),
        Tone::Busy => cell.fg(Color::Yellow),
        Tone::Bad => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Tone::Weak => cell.add_attribute(Attribute::Dim),
        Tone::Strong => cell.add_attribute(Attribute::Bold),
    }
}

/// A field of a header block: `Name   value`.
pub fn field(table: &mut Table, name: &str, value: impl Into<Cell>) {
    table.add_row(vec![Cell::new(name).add_attribute(Attribute::Dim), value.into()]);
}

/// `1 series`, `2 studies`.
pub fn count(number: impl Into<u64>, one: &str, many: &str) -> String {
    let number = number.into();
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        assert_eq!((bytes(512).as_str(), bytes(5 << 20).as_str()), ("0.5 KiB", "5.0 MiB"));
        assert_eq!((bytes(300 << 30).as_str(), bytes(2 << 40).as_str()), ("300 GiB", "2.0 TiB"));
    }

    #[test]
    fn a_pipe_gets_neither_colours_nor_wrapping() {
        let output = Output { json: false, terminal: false, colour: false, colour_error: false };
        let mut table = output.table(&["State", "Verdict"]);
        let verdict = "a long verdict ".repeat(30);
        table.add_row(vec![state_cell("refused"), Cell::new(&verdict)]);
        let text = table.to_string();
        assert!(!text.contains('\x1b'));
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn foreign_text_steers_no_terminal_and_colours_of_ours_stay() {
        let own = painted("refused", Tone::Bad);
        assert_eq!(harmless(&own, true), own);
        assert_eq!(harmless("a\x1b]0;b\x07\x1b[2Jc\nd", true), "a\\u{1b}]0;b\\u{7}\\u{1b}[2Jc\nd");
        assert_eq!(harmless("\x1b[8mhidden\x1b[31", true), "\\u{1b}[8mhidden\\u{1b}[31");
        assert_eq!(harmless(&own, false), "\\u{1b}[1;31mrefused\\u{1b}[0m");
    }

    proptest! {
        #[test]
        fn any_text_is_harmless_on_a_terminal(text in any::<String>(), steer in "[\\[\\]0-9;mJ\\x00-\\x1f\\x7f-\u{9f}]{0,30}") {
            for text in [text, steer] {
                let mut shown = harmless(&text, true);
                while let Some(at) = shown.find('\x1b') {
                    let length = colour_length(&shown[at..]);
                    prop_assert!(length > 0, "{shown:?}");
                    shown.replace_range(at..at + length, "");
                }
                prop_assert!(!shown.chars().any(|c| steers(c) && c != '\n'), "{shown:?}");
                prop_assert!(!harmless(&text, false).chars().any(|c| steers(c) && c != '\n'));
            }
        }

        #[test]
        fn any_text_is_exact_in_json_and_steers_nothing(text in any::<String>(), steer in "[\\x00-\\x1f\\x7f-\u{9f}\u{202a}-\u{202e}\u{e0001}]{0,30}") {
            for text in [text, steer] {
                let json = escaped(&serde_json::to_string(&text).unwrap());
                prop_assert!(!json.chars().any(steers), "{json:?}");
                prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            }
        }
    }
}
