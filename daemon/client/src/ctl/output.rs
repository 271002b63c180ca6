//! Where output goes: tables and colours for a terminal, plain tables for a pipe, JSON for programs.

use std::io::{self, IsTerminal, Write};

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};
use serde::Serialize;

use super::failure::Failure;

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

    /// Progress bars are drawn on standard error, for people only.
    pub fn shows_progress(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// One JSON value: indented on a terminal, else one line.
    pub fn json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = if self.terminal { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.line(&text.map_err(|error| Failure::new(error.to_string(), "report this as a bug"))?)
    }

    /// # Errors
    /// When standard output cannot be written.
    #[allow(clippy::unused_self, reason = "all that is printed goes through the Output")]
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
    }

    /// Shortens a list that was asked for with [`one_more`], and says on standard error that there is more.
    #[allow(clippy::unused_self, reason = "all that is printed goes through the Output")]
    pub fn first<T>(&self, rows: &mut Vec<T>, limit: u32) {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        if most > 0 && rows.len() > most {
            rows.truncate(most);
            eprintln!("Only the newest {limit} are shown; --limit N shows more.");
        }
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
        | "no_overlay" => Tone::Busy,
        "refused" | "parked" | "quarantined" | "conflict" | "damaged" | "no_new_studies" | "no_output"
        | "no_signal" | "failed" => Tone::Bad,
        _ => Tone::Weak,
    }
}

/// A cell with the state in its tone.
pub fn state_cell(state: &str) -> Cell {
    let cell = Cell::new(state);
    match tone_of(state) {
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

/// Bytes in the unit people use.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// `1 series`, `2 studies`.
pub fn count(number: impl Into<u64>, one: &str, many: &str) -> String {
    let number = number.into();
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The limit to ask for, so that a list knows whether there is more. 0 asks for all.
pub fn one_more(limit: u32) -> u32 {
    if limit == 0 { 0 } else { limit.saturating_add(1) }
}

#[cfg(test)]
mod tests {
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
}
