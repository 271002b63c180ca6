//! The report of an acceptance test as a PDF: what was tested, one line each, with the outcome, what was seen and what to do.
//! Knows no tests: it lays out what it is given.

use super::font::Font;
use super::layout::{AMBER, BROWN, Colour, Flow, GREEN, GREY, HEIGHT, INK, LEFT, RIGHT, RULE, Sheet, WIDTH};
use super::{Error, Paper, assemble};
use crate::letters::{self, MISSING};

/// Where the columns of the lines begin, points.
const NAME: f32 = LEFT + 70.0;
const SEEN: f32 = NAME + 118.0;
const RED: Colour = [0.72, 0.11, 0.07];

/// How a line ended; colours and shapes follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Good,
    Bad,
    /// Not tested.
    Open,
    /// Passed, and worth a look.
    Look,
}

impl Tone {
    fn colour(self) -> Colour {
        match self {
            Self::Good => GREEN,
            Self::Bad => RED,
            Self::Open => GREY,
            Self::Look => BROWN,
        }
    }
}

#[derive(Debug, Clone)]
pub struct Line {
    pub tone: Tone,
    /// The outcome in a word or two.
    pub outcome: String,
    pub name: String,
    pub seen: String,
    /// Empty when nothing is to be done.
    pub remedy: String,
}

#[derive(Debug, Clone)]
pub struct Section {
    pub title: String,
    pub lines: Vec<Line>,
}

/// A table of figures: names, and values that end at the right of their column.
#[derive(Debug, Clone)]
pub struct Figures {
    pub title: String,
    /// The first is that of the names.
    pub head: [String; 3],
    pub rows: Vec<[String; 3]>,
}

/// The whole document. All texts are in one language.
#[derive(Debug, Clone)]
pub struct Protocol {
    pub title: String,
    /// Language, as in RFC 5646.
    pub tag: String,
    /// Name and value, two in a row.
    pub facts: Vec<(String, String)>,
    pub verdict: (Tone, String),
    /// Below the verdict.
    pub summary: String,
    pub sections: Vec<Section>,
    pub figures: Option<Figures>,
    /// Title and text: what the signature means, and the like.
    pub notes: Vec<(String, String)>,
    /// Names of what is signed by hand, with a rule to write on.
    pub by_hand: Vec<String>,
    /// In the coloured bar at the foot of each page.
    pub mark: String,
    /// At the foot of each page, on the left.
    pub foot: String,
}

/// Writes the document. The same input gives the same bytes.
///
/// # Errors
/// When the font cannot be embedded.
pub fn write(protocol: &Protocol) -> Result<Vec<u8>, Error> {
    let mut font = Font::new()?;
    let mut flow = Flow::new();
    facts(protocol, &mut font, &mut flow);
    verdict(protocol, &mut font, &mut flow);
    for section in &protocol.sections {
        lines(section, &mut font, &mut flow);
    }
    if let Some(table) = &protocol.figures {
        figures(table, &mut font, &mut flow);
    }
    for (title, text) in &protocol.notes {
        note(title, text, &mut font, &mut flow);
    }
    by_hand(protocol, &mut font, &mut flow);
    let mut sheets = flow.into_sheets();
    let count = sheets.len();
    for (index, sheet) in sheets.iter_mut().enumerate() {
        frame(protocol, &mut font, sheet, index + 1, count);
    }
    assemble(&Paper { title: &protocol.title, tag: &protocol.tag, pictures: &[] }, &font, sheets)
}

/// Characters that the font lacks are shown as boxes, not left out.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c == ' ' || letters::has(c) { c } else { MISSING }).collect()
}

fn facts(protocol: &Protocol, font: &mut Font, flow: &mut Flow) {
    let middle = (LEFT + RIGHT) / 2.0;
    let mut y = flow.y;
    for pair in protocol.facts.chunks(2) {
        let mut high: f32 = 15.0;
        for ((name, value), left) in pair.iter().zip([LEFT, middle]) {
            let room = middle - LEFT - 92.0;
            let sheet = flow.room(0.0);
            sheet.text(font, [left, y], 8.5, false, GREY, &plain(name));
            let wrapped = font.wrap(&plain(value), 9.0, room);
            for (row, line) in wrapped.iter().enumerate() {
                sheet.text(font, [left + 84.0, y + row as f32 * 11.0], 9.0, false, INK, line);
            }
            high = high.max(4.0 + 11.0 * wrapped.len() as f32);
        }
        y += high;
    }
    flow.y = y + 4.0;
}

/// A coloured bar with the outcome of all.
fn verdict(protocol: &Protocol, font: &mut Font, flow: &mut Flow) {
    let (tone, text) = &protocol.verdict;
    let summary = font.wrap(&plain(&protocol.summary), 9.5, RIGHT - LEFT - 28.0);
    let high = 40.0 + 13.0 * summary.len() as f32;
    flow.room(high);
    let y = flow.y;
    let colour = tone.colour();
    let tint = colour.map(|part| 1.0 - (1.0 - part) * 0.1);
    let sheet = flow.room(0.0);
    sheet.fill([LEFT, y], [RIGHT - LEFT, high], tint);
    sheet.fill([LEFT, y], [5.0, high], colour);
    sheet.text(font, [LEFT + 18.0, y + 24.0], 17.0, true, colour, &plain(text));
    for (row, line) in summary.iter().enumerate() {
        sheet.text(font, [LEFT + 18.0, y + 42.0 + row as f32 * 13.0], 9.5, false, INK, line);
    }
    flow.y = y + high + 24.0;
}

fn lines(section: &Section, font: &mut Font, flow: &mut Flow) {
    flow.heading(font, LEFT, 60.0, 11.5, &plain(&section.title));
    flow.y += 8.0;
    for line in &section.lines {
        let name = font.wrap(&plain(&line.name), 9.0, SEEN - NAME - 10.0);
        let seen = font.wrap(&plain(&line.seen), 9.0, RIGHT - SEEN);
        let remedy =
            if line.remedy.is_empty() { Vec::new() } else { font.wrap(&plain(&line.remedy), 8.5, RIGHT - SEEN - 12.0) };
        let high = 12.0 * name.len().max(seen.len()).max(1) as f32;
        let all =
            high.max(12.0 * seen.len() as f32 + 11.0 * remedy.len() as f32 + if remedy.is_empty() { 0.0 } else { 2.0 });
        flow.room(all + 9.0);
        let y = flow.y + 14.0;
        let colour = line.tone.colour();
        let sheet = flow.room(0.0);
        sheet.text(font, [LEFT + 10.0, y], 9.0, true, colour, &plain(&line.outcome));
        for (row, text) in name.iter().enumerate() {
            sheet.text(font, [NAME, y + row as f32 * 12.0], 9.0, line.tone == Tone::Bad, INK, text);
        }
        let ink = if line.tone == Tone::Open { GREY } else { INK };
        for (row, text) in seen.iter().enumerate() {
            sheet.text(font, [SEEN, y + row as f32 * 12.0], 9.0, false, ink, text);
        }
        let below = y + 12.0 * seen.len() as f32 + 1.0;
        for (row, text) in remedy.iter().enumerate() {
            sheet.text(font, [SEEN + 12.0, below + row as f32 * 11.0], 8.5, false, BROWN, text);
        }
        if !remedy.is_empty() {
            sheet.fill([SEEN + 2.0, below - 8.0], [2.0, 11.0 * remedy.len() as f32], AMBER);
        }
        sheet.fill([LEFT, y - 9.5], [3.0, all], colour);
        sheet.fill([LEFT, y + all - 7.0], [RIGHT - LEFT, 0.4], RULE);
        flow.y = y + all - 9.0;
    }
    flow.y += 26.0;
}

fn figures(table: &Figures, font: &mut Font, flow: &mut Flow) {
    let columns = [400.0, RIGHT - 4.0];
    flow.heading(font, LEFT, 40.0, 11.5, &plain(&table.title));
    flow.y += 16.0;
    head(table, columns, font, flow);
    for [name, value, habit] in &table.rows {
        if flow.y + 13.0 > HEIGHT - 66.0 {
            flow.room(HEIGHT);
            head(table, columns, font, flow);
        }
        let y = flow.y;
        let sheet = flow.room(0.0);
        sheet.text(font, [LEFT + 8.0, y], 9.0, false, INK, &plain(name));
        sheet.text_right(font, [columns[0], y], 9.0, INK, &plain(value));
        sheet.text_right(font, [columns[1], y], 9.0, GREY, &plain(habit));
        flow.y += 12.5;
    }
    flow.y += 18.0;
}

fn head(table: &Figures, columns: [f32; 2], font: &mut Font, flow: &mut Flow) {
    let y = flow.y;
    let sheet = flow.room(0.0);
    sheet.text(font, [LEFT + 8.0, y], 8.5, false, GREY, &plain(&table.head[0]));
    for (right, name) in columns.into_iter().zip(&table.head[1..]) {
        sheet.text_right(font, [right, y], 8.5, GREY, &plain(name));
    }
    sheet.fill([LEFT, y + 4.0], [RIGHT - LEFT, 0.6], RULE);
    flow.y += 17.0;
}

fn note(title: &str, text: &str, font: &mut Font, flow: &mut Flow) {
    flow.heading(font, LEFT, 24.0, 9.5, &plain(title));
    flow.y += 13.0;
    for sentence in text.lines() {
        for line in font.wrap(&plain(sentence), 8.5, RIGHT - LEFT) {
            flow.line(font, LEFT, 11.5, 8.5, GREY, &line);
        }
    }
    flow.y += 10.0;
}

/// Rules to write on, for a paper that is filed.
fn by_hand(protocol: &Protocol, font: &mut Font, flow: &mut Flow) {
    if protocol.by_hand.is_empty() {
        return;
    }
    flow.room(64.0);
    flow.y += 38.0;
    let y = flow.y;
    let each = (RIGHT - LEFT) / protocol.by_hand.len() as f32;
    let sheet = flow.room(0.0);
    for (index, name) in protocol.by_hand.iter().enumerate() {
        let left = LEFT + each * index as f32;
        sheet.fill([left, y], [each - 18.0, 0.6], INK);
        sheet.text(font, [left, y + 12.0], 8.5, false, GREY, &plain(name));
    }
    flow.y += 20.0;
}

/// Draws title, mark and page number on a page.
fn frame(protocol: &Protocol, font: &mut Font, sheet: &mut Sheet, page: usize, count: usize) {
    let size = if page == 1 { 17.0 } else { 11.0 };
    sheet.text(font, [LEFT, 42.0], size, true, INK, &plain(&protocol.title));
    sheet.fill([LEFT, 52.0], [RIGHT - LEFT, 1.2], INK);
    sheet.fill([0.0, HEIGHT - 40.0], [WIDTH, 22.0], AMBER);
    let mark = plain(&protocol.mark);
    let width = font.width(&mark, 9.5);
    sheet.text(font, [(WIDTH - width) / 2.0, HEIGHT - 25.5], 9.5, true, INK, &mark);
    sheet.text_right(font, [RIGHT, HEIGHT - 48.0], 8.0, GREY, &format!("{page} / {count}"));
    sheet.text(font, [LEFT, HEIGHT - 48.0], 8.0, false, GREY, &plain(&protocol.foot));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(lines: usize) -> Protocol {
        let line = |index: usize| Line {
            tone: [Tone::Good, Tone::Bad, Tone::Open, Tone::Look][index % 4],
            outcome: "pass".into(),
            name: format!("line {index}"),
            seen: "what was seen, a sentence that is long enough for a second line of text in its column ".repeat(2),
            remedy: "what to do ".repeat(index % 3 * 8),
        };
        Protocol {
            title: "Acceptance test".into(),
            tag: "en".into(),
            facts: vec![("Box".into(), "SN-1".into()), ("Begun".into(), "2026".into())],
            verdict: (Tone::Good, "Passed".into()),
            summary: "All of it.".into(),
            sections: vec![Section { title: "Lines".into(), lines: (0..lines).map(line).collect() }],
            figures: Some(Figures {
                title: "Figures".into(),
                head: ["Figure", "Now", "Habit"].map(String::from),
                rows: (0..lines).map(|n| [format!("figure {n}"), "1 s".into(), "2 s".into()]).collect(),
            }),
            notes: vec![("Signature".into(), "What it proves. 它证明什么。".into())],
            by_hand: vec!["Name".into(), "Date".into()],
            mark: "TEST".into(),
            foot: "SN-1".into(),
        }
    }

    fn pages(pdf: &[u8]) -> usize {
        let text = String::from_utf8_lossy(pdf);
        text.matches("/Type /Page\n").count()
    }

    #[test]
    fn a_protocol_of_any_length_is_pages_and_the_same_input_gives_the_same_bytes() {
        let short = write(&protocol(3)).unwrap();
        assert!(short.starts_with(b"%PDF-"));
        assert_eq!(short, write(&protocol(3)).unwrap());
        assert_eq!(pages(&short), 1);
        let long = write(&protocol(120)).unwrap();
        assert!((8..30).contains(&pages(&long)), "{} pages", pages(&long));
    }
}
