//! Output of the demo: one line for each stage, a progress bar while it runs, plain text when the output is no terminal.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const NAME_WIDTH: usize = 11;

/// Prints the output of the demo. Colours and bars are used only on a terminal, and colours not when NO_COLOR is set.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    colour: bool,
}

impl Terminal {
    pub fn detect() -> Self {
        Self { colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.paint("31;1", text)
    }

    pub fn heading(self, text: &str) {
        println!("\n{}", self.bold(text));
    }

    /// Begins a stage. `length` is the number of steps; 0 when it is not known.
    pub fn stage(self, name: &'static str, doing: &str, length: u64) -> Stage {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        let template = if length == 0 {
            format!("  {{spinner}} {name:<width$} {{msg}}", width = NAME_WIDTH)
        } else {
            format!("  {{spinner}} {name:<width$} {{bar:32.cyan/blue}} {{msg}}", width = NAME_WIDTH)
        };
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─").tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ "));
        bar.set_message(doing.to_owned());
        bar.enable_steady_tick(Duration::from_millis(80));
        Stage { terminal: self, name, bar, begun: Instant::now() }
    }

    /// Prints a table with aligned columns; columns of numbers are aligned to the right.
    pub fn table(self, head: &[&str], rows: &[Vec<String>]) {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain(head.get(column).map(|h| h.chars().count())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let numeric: Vec<bool> =
            (0..head.len()).map(|c| rows.iter().filter_map(|r| r.get(c)).all(|cell| is_number(cell))).collect();
        let line = |cells: Vec<&str>| {
            let padded = cells.iter().enumerate().map(|(c, cell)| {
                let gap = " ".repeat(widths[c].saturating_sub(cell.chars().count()));
                if numeric[c] { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
            });
            format!("  {}", padded.collect::<Vec<_>>().join("   ")).trim_end().to_owned()
        };
        println!("{}", self.dim(&line(head.to_vec())));
        for row in rows {
            let text = line(row.iter().map(String::as_str).collect());
            println!("{}", if row.iter().any(|cell| cell == "MISSED") { self.bad(&text) } else { text });
        }
    }
}

/// Whether a cell is a number with or without a unit ("4.1 s"), or the dash for "none".
fn is_number(cell: &str) -> bool {
    let mut words = cell.split(' ');
    let number = words.next().is_some_and(|word| {
        word == "-" || word.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit())
    });
    number && words.all(|word| matches!(word, "ms" | "s" | "min") || word.starts_with(|c: char| c.is_ascii_digit()))
}

/// A running stage.
#[derive(Debug)]
pub struct Stage {
    terminal: Terminal,
    name: &'static str,
    bar: ProgressBar,
    begun: Instant,
}

impl Stage {
    pub fn set(&self, position: u64, message: String) {
        self.bar.set_position(position);
        self.bar.set_message(message);
    }

    /// Ends the stage and prints what it did; returns how long it took.
    pub fn done(self, what: &str) -> Duration {
        let took = self.begun.elapsed();
        self.bar.finish_and_clear();
        let time = format!("{:>9}", duration(took));
        println!(
            "  {} {} {}  {what}",
            self.terminal.good(if self.terminal.colour { "✓" } else { "-" }),
            self.terminal.bold(&format!("{:<NAME_WIDTH$}", self.name)),
            self.terminal.dim(&time)
        );
        took
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
            println!(
                "  {} {}",
                self.terminal.bad(if self.terminal.colour { "✗" } else { "FAILED" }),
                self.terminal.bold(self.name)
            );
        }
    }
}

/// A duration as text: 12 ms, 3.4 s, 2 min 05 s.
pub fn duration(d: Duration) -> String {
    let seconds = d.as_secs_f64();
    if seconds < 1.0 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", d.as_secs() / 60, d.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_stand_to_the_right_and_sentences_to_the_left() {
        assert!(["4.1 s", "2 min 05 s", "+0.9", "-97", "-"].into_iter().all(is_number));
        assert!(!is_number("3 nodules, largest 7.5 mm") && !is_number("left"));
    }

    #[test]
    fn durations_are_written_for_people() {
        let texts = [0.0124, 3.44, 125.0].map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(texts, ["12 ms", "3.4 s", "2 min 05 s"]);
    }
}
