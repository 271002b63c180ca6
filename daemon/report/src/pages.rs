//! Pages for viewers that show neither segmentations nor structured reports: an overview of the
//! findings, one page for each that is there (`closeup`), and a page that says why a series was refused. No name or number of a patient is ever drawn.

mod closeup;
mod hanging;
mod still;

use models::findings::{ChestFinding, Evaluated, Mask, Side};
use models::number::Number;
use models::{ChestFindings, Volume};
use rayon::prelude::*;

pub(crate) use self::hanging::{page as hanging_page, views as hanging_views};
pub(crate) use self::still::{exam_page, page as still_page};
use crate::canvas::{Canvas, Colour, pixels, whole};
use crate::letters::Type;
use crate::picture::{self, Plane, View};
use crate::words::{self, FindingState, Language, Line};
use crate::{Provenance, Refused, Source, measure};

pub(super) const WIDTH: usize = 1152;
pub(super) const HEIGHT: usize = 768;
/// Around the lungs in a picture, millimetres: chest wall and spine stay visible.
pub(super) const MARGIN_MM: f32 = 35.0;
/// Parts of a lung smaller than this (voxels in the plane) are not outlined.
pub(super) const MIN_LUNG_PART: f32 = 20.0;

pub(super) const BACKGROUND: Colour = Colour::new(11, 14, 19);
pub(super) const RULE: Colour = Colour::new(52, 62, 76);
pub(super) const TEXT: Colour = Colour::new(232, 236, 240);
pub(super) const DIM: Colour = Colour::new(146, 157, 170);
pub(super) const AMBER: Colour = Colour::new(255, 186, 56);
pub(super) const BLACK: Colour = Colour::new(0, 0, 0);
const DARK: Colour = Colour::new(28, 20, 2);
const RIGHT_LUNG: Colour = Colour::new(96, 178, 255);
const LEFT_LUNG: Colour = Colour::new(112, 220, 160);

pub(super) const TITLE: Type = Type::plain(34.0);
pub(super) const BODY: Type = Type::plain(17.0);
pub(super) const STRONG: Type = Type::bold(17.0);
pub(super) const SMALL: Type = Type::plain(14.0);
const FOOT: Type = Type::plain(13.0);
const FOOT_LINE: usize = 16;
/// Distance of two lines of text, as a share of the letter size.
const LINE: f32 = 1.25;

/// One drawn page, 8-bit RGB, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyImage {
    /// English, for attributes of DICOM, whose text is plain ASCII.
    pub title: String,
    /// What the page shows, in its language: the alternative text of the picture in a document.
    pub alternative: String,
    pub rgb: Vec<u8>,
    pub width: usize,
    pub height: usize,
    /// Slice index in the volume that it shows, when it shows one.
    pub slice: Option<usize>,
    /// The finding that it shows, when it shows one.
    pub finding: Option<ChestFinding>,
}

impl KeyImage {
    pub(super) fn new(title: String, alternative: String, canvas: Canvas) -> Self {
        let Canvas { width, height, rgb } = canvas;
        Self { title, alternative, width, height, rgb, slice: None, finding: None }
    }
}

/// An overview, then one page for each finding that is there, in one language.
pub fn key_images(
    findings: &ChestFindings,
    volume: &Volume,
    provenance: &Provenance,
    language: Language,
) -> Vec<KeyImage> {
    let found = words::lines(findings, language).into_iter().filter(|l| l.state == FindingState::Found);
    let mut pages: Vec<Option<ChestFinding>> = vec![None];
    pages.extend(found.map(|line| Some(line.finding)));
    let draw = |finding: Option<ChestFinding>| match finding {
        None => Some(overview(findings, volume, provenance, language)),
        Some(finding) => closeup::page(finding, findings, volume, provenance, language),
    };
    pages.into_par_iter().filter_map(draw).collect()
}

/// Says why a series was not processed, in every language one below the other: there is no document of such a series.
pub fn refusal_page(reason: &Refused, source: &Source, provenance: &Provenance) -> KeyImage {
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    canvas.fill([0, 0], [10, HEIGHT], AMBER);
    let height = (footer_top(provenance, [56, WIDTH - 56]) - 32) / Language::ALL.len();
    for (language, place) in Language::ALL.iter().zip(0..) {
        let top = 32 + place * height;
        let w = language.words();
        canvas.text([56, top], w.refusal_head()[0], TITLE, TEXT);
        canvas.text([56, top + 44], w.refusal_head()[1], BODY, DIM);
        canvas.fill([56, top + 72], [WIDTH - 112, 1], RULE);
        let room = height - REFUSAL_HEAD - REFUSAL_FOOT;
        let (style, lines) = refusal_lines(&words::refused(reason, *language), pixels(room));
        for (line, n) in lines.iter().zip(0u8..) {
            let down = whole(f32::from(n) * style.size * LINE);
            canvas.text([56, top + REFUSAL_HEAD + down], line, style, AMBER);
        }
        let facts = w.received(source.instances.len(), &source.header.modality, source.header.series_number);
        canvas.text([56, top + height - REFUSAL_FOOT], &facts, BODY, TEXT);
    }
    footer(&mut canvas, provenance, [56, WIDTH - 56]);
    // It has text in every language and is part of no document.
    let title = "Series not processed";
    KeyImage::new(title.into(), title.into(), canvas)
}

/// Above and below the reason in one language, pixels.
const REFUSAL_HEAD: usize = 84;
const REFUSAL_FOOT: usize = 40;

fn overview(findings: &ChestFindings, volume: &Volume, provenance: &Provenance, language: Language) -> KeyImage {
    let p = language.words().page();
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    canvas.text([24, 12], p.title, TITLE, TEXT);
    let beside = 24 + whole(TITLE.width(p.title)) + 16;
    let reviewed = words::reviewed(findings, language);
    canvas.text(
        [beside, 25],
        reviewed.as_deref().unwrap_or(p.draft),
        BODY,
        if reviewed.is_some() { TEXT } else { DIM },
    );
    canvas.text_right(WIDTH - 24, 25, &made(provenance), BODY, DIM);

    let lungs: Vec<&Mask> = measure::lungs(findings).into_iter().map(|l| &l.mask).collect();
    let (row, _) = widest(findings, volume);
    let area = [24, 64, 484, 500];
    canvas.fill([area[0], area[1]], [area[2] - area[0], area[3] - area[1]], BLACK);
    let view = View::fit(volume, Plane::Across(row), area, &lungs, MARGIN_MM);
    view.draw(&mut canvas);
    for lobe in measure::done(&findings.lobes) {
        view.outline(&mut canvas, &lobe.mask, MIN_LUNG_PART, 1.0, lung_colour(lobe.name.side()));
    }
    for lung in measure::lungs(findings) {
        view.outline(&mut canvas, &lung.mask, MIN_LUNG_PART, 1.8, lung_colour(lung.side));
    }
    view.orientation(&mut canvas, STRONG, TEXT);
    view.scale_bar(&mut canvas, 50.0, SMALL, TEXT);
    canvas.label([area[0] + 8, area[3] - 22], picture::LUNG.name, SMALL, TEXT);
    let lobes = measure::done(&findings.lobes);
    let shows = if lobes.is_empty() { p.coronal } else { p.coronal_lobes };
    let estimated = if lobes.iter().any(|lobe| lobe.estimated) { language.words().estimated() } else { "" };
    canvas.label([area[0] + 8, area[1] + 6], &format!("{shows}{estimated}"), SMALL, TEXT);
    lung_table(&mut canvas, findings, [24, 516], language);
    let end = [WIDTH - 24, footer_top(provenance, [24, WIDTH - 24]) - 12];
    let note = words::for_pages(findings, language);
    findings_table(&mut canvas, &words::lines(findings, language), note, [508, 64], end, language);
    footer(&mut canvas, provenance, [24, WIDTH - 24]);
    let title = Language::English.words().page().overview;
    KeyImage::new(title.into(), p.overview.into(), canvas)
}

/// What a row of the overview says.
struct Row {
    name: String,
    /// Of a finding.
    state: Option<FindingState>,
    text: String,
}

/// Where a row lies, pixels from the top of the table.
#[derive(Debug)]
struct Placed {
    top: usize,
    height: usize,
    style: Type,
    lines: Vec<String>,
}

/// One row for each finding: its name, its state, and the numbers or the reason. `note`: what was left out or altered of the
/// slices, before all findings. `end` is the lower right corner.
fn findings_table(
    canvas: &mut Canvas,
    lines: &[Line],
    note: Option<String>,
    at: [usize; 2],
    end: [usize; 2],
    language: Language,
) {
    let row = |line: &Line| Row {
        name: words::name(line.finding, language),
        state: Some(line.state),
        text: words::capital(&line.text),
    };
    let name = || words::capital(language.words().page().images);
    let note = note.map(|text| Row { name: name(), state: None, text: words::capital(&text) });
    let rows: Vec<Row> = note.into_iter().chain(lines.iter().map(row)).collect();
    let placed = place(&rows, pixels(end[0] - at[0] - 14), end[1] - at[1]);
    for (index, (row, placed)) in rows.iter().zip(&placed).enumerate() {
        let y = at[1] + placed.top;
        let (state, colour) = row.state.map_or(("", AMBER), |state| state_words(state, language));
        let found = row.state.is_none_or(|state| state == FindingState::Found);
        canvas.fill([at[0], y + 2], [4, placed.height.saturating_sub(ROW_GAP)], colour);
        canvas.text([at[0] + 14, y], &row.name, STRONG, if found { AMBER } else { TEXT });
        canvas.text_right(end[0], y, state, STRONG, colour);
        for (line, n) in placed.lines.iter().zip(0u8..) {
            let down = whole(f32::from(n) * placed.style.size * LINE);
            canvas.text([at[0] + 14, y + ROW_HEAD + down], line, placed.style, if found { TEXT } else { DIM });
        }
        if index + 1 < rows.len() {
            canvas.fill([at[0], y + placed.height - ROW_GAP / 2], [end[0] - at[0], 1], RULE);
        }
    }
}

/// Name and state of a row, pixels.
const ROW_HEAD: usize = 22;
/// Between the text of a row and the next one, pixels.
const ROW_GAP: usize = 10;

/// Rows for a table of this size (pixels), in the largest letters in which no sentence is cut. What is too long for the
/// smallest letters ends with dots. Room that is left is shared out.
fn place(rows: &[Row], width: f32, height: usize) -> Vec<Placed> {
    const SIZES: [f32; 4] = [14.0, 13.0, 12.0, 11.0];
    let count = rows.len().max(1);
    let wrapped = |style: Type| rows.iter().map(|row| style.wrap(&row.text, width)).collect::<Vec<_>>();
    let row_height = |style: Type, lines: usize| ROW_HEAD + ROW_GAP + whole((pixels(lines) * style.size * LINE).ceil());
    let total = |style: Type, all: &[Vec<String>]| all.iter().map(|l| row_height(style, l.len())).sum::<usize>();
    let fitting = SIZES.into_iter().map(Type::plain).map(|style| (style, wrapped(style)));
    let (style, lines) = fitting.into_iter().find(|(style, all)| total(*style, all) <= height).unwrap_or_else(|| {
        let style = Type::plain(SIZES[SIZES.len() - 1]);
        let room = pixels((height / count).saturating_sub(ROW_HEAD + ROW_GAP));
        let most = whole(room / (style.size * LINE)).max(1);
        (style, wrapped(style).into_iter().map(|lines| shortened(lines, most)).collect())
    });
    let spare = (height.saturating_sub(total(style, &lines)) / count).min(24);
    let mut top = 0;
    let mut next = |lines: Vec<String>| {
        let placed = Placed { top, height: row_height(style, lines.len()) + spare, style, lines };
        top += placed.height;
        placed
    };
    lines.into_iter().map(&mut next).collect()
}

/// At most `most` lines; dots say that more was there.
pub(super) fn shortened(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            // Room for the dots.
            last.pop();
            last.pop();
            last.push('\u{2026}');
        }
    }
    lines
}

/// The reason of a refusal, in the largest letters in which it fits into `room` (pixels).
fn refusal_lines(reason: &str, room: f32) -> (Type, Vec<String>) {
    let wrapped = |size| (Type::plain(size), Type::plain(size).wrap(reason, pixels(WIDTH - 112)));
    let fits = |(style, lines): &(Type, Vec<String>)| pixels(lines.len()) * style.size * LINE <= room;
    let smallest = || {
        let (style, lines) = wrapped(16.0);
        (style, shortened(lines, whole(room / (style.size * LINE)).max(1)))
    };
    [32.0, 26.0, 20.0].into_iter().map(wrapped).find(fits).unwrap_or_else(smallest)
}

fn state_words(state: FindingState, language: Language) -> (&'static str, Colour) {
    let [found, none, not_evaluated] = language.words().page().states;
    match state {
        FindingState::Found => (found, AMBER),
        FindingState::NotFound => (none, LEFT_LUNG),
        FindingState::NotEvaluated => (not_evaluated, DIM),
    }
}

/// Row and slice where the lungs are largest; the middle when there are none.
pub(super) fn widest(findings: &ChestFindings, volume: &Volume) -> (usize, usize) {
    let [_, rows, slices] = volume.geometry.dims;
    let (mut by_row, mut by_slice) = (vec![0usize; rows], vec![0usize; slices]);
    for lung in measure::lungs(findings) {
        let mask = &lung.mask;
        for (i, line) in mask.voxels.chunks_exact(mask.size[0].max(1)).enumerate() {
            let count = line.iter().filter(|v| **v != 0).count();
            by_row[mask.origin[1] + i % mask.size[1]] += count;
            by_slice[mask.origin[2] + i / mask.size[1]] += count;
        }
    }
    let largest = |counts: &[usize]| {
        let best = counts.iter().enumerate().max_by_key(|(_, c)| **c);
        best.filter(|(_, c)| **c > 0).map_or(counts.len() / 2, |(i, _)| i)
    };
    (largest(&by_row), largest(&by_slice))
}

fn lung_table(canvas: &mut Canvas, findings: &ChestFindings, at: [usize; 2], language: Language) {
    let p = language.words().page();
    let [title, volume, mean] = p.lungs;
    let columns = [at[0] + 190, at[0] + 276, at[0] + 376];
    table_head(canvas, at, 376, title, &[(columns[0], volume), (columns[1], mean), (columns[2], "LAA-950")]);
    let mut y = at[1] + 32;
    if let Evaluated::NotEvaluated(why) = &findings.lungs {
        let text = words::capital(&words::not_evaluated(why, language));
        return note(canvas, [at[0], y], &text, 460.0);
    }
    let lungs = measure::lungs(findings);
    for lung in &lungs {
        canvas.fill([at[0], y + 3], [12, 12], lung_colour(lung.side));
        canvas.text([at[0] + 22, y], language.words().side(lung.side), STRONG, TEXT);
        let values = [
            format!("{:.2} L", Number(lung.volume_ml / 1000.0)),
            format!("{:.0} HU", Number(lung.mean_hu)),
            lung.laa950_percent.map_or_else(|| "-".into(), percent),
        ];
        for (right, value) in columns.into_iter().zip(&values) {
            canvas.text_right(right, y, value, BODY, TEXT);
        }
        y += 26;
    }
    if lungs.len() > 1 {
        let total: f64 = lungs.iter().map(|l| l.volume_ml).sum();
        canvas.text([at[0] + 22, y], p.both, STRONG, DIM);
        canvas.text_right(columns[0], y, &format!("{:.2} L", Number(total / 1000.0)), BODY, DIM);
        y += 26;
    }
    canvas.text([at[0], y + 6], p.laa_950, SMALL, DIM);
}

fn table_head(canvas: &mut Canvas, at: [usize; 2], width: usize, title: &str, columns: &[(usize, &str)]) {
    canvas.text(at, title, STRONG, TEXT);
    for (right, name) in columns {
        canvas.text_right(*right, at[1] + 4, name, SMALL, DIM);
    }
    canvas.fill([at[0], at[1] + 23], [width, 1], RULE);
}

fn note(canvas: &mut Canvas, at: [usize; 2], text: &str, width: f32) {
    for (i, line) in shortened(BODY.wrap(text, width), 6).iter().enumerate() {
        canvas.text([at[0], at[1] + i * 22], line, BODY, AMBER);
    }
}

/// Who made this, and the mark.
pub(super) fn footer(canvas: &mut Canvas, provenance: &Provenance, span: [usize; 2]) {
    let top = footer_top_of(canvas.height, provenance, span);
    canvas.fill([span[0], top], [span[1] - span[0], 1], RULE);
    for (i, line) in footer_lines(provenance, span).iter().enumerate() {
        canvas.text([span[0], top + 6 + i * FOOT_LINE], line, FOOT, DIM);
    }
    banner(canvas, provenance);
}

/// The rule above the lines of [`footer`], pixels from the top of the page.
fn footer_top(provenance: &Provenance, span: [usize; 2]) -> usize {
    footer_top_of(HEIGHT, provenance, span)
}

/// The same on a page of another height.
fn footer_top_of(height: usize, provenance: &Provenance, span: [usize; 2]) -> usize {
    height - 40 - footer_lines(provenance, span).len() * FOOT_LINE
}

fn footer_lines(provenance: &Provenance, span: [usize; 2]) -> Vec<String> {
    let width = pixels(span[1] - span[0]);
    let lines = provenance_lines(provenance).iter().flat_map(|line| FOOT.wrap(line, width)).collect();
    shortened(lines, 4)
}

/// The mark over the whole width of the page; nothing for a cleared package on a real device.
fn banner(canvas: &mut Canvas, provenance: &Provenance) {
    let Some(mark) = provenance.mark() else { return };
    let height = canvas.height;
    canvas.fill([0, height - 28], [WIDTH, 28], AMBER);
    let text = if provenance.simulated { format!("{mark} - SIMULATED DEVICE") } else { mark.to_owned() };
    let left = (pixels(WIDTH) - STRONG.width(&text)).max(0.0) / 2.0;
    canvas.text([whole(left), height - 23], &text, STRONG, DARK);
}

fn provenance_lines(provenance: &Provenance) -> Vec<String> {
    let p = provenance;
    let device =
        format!("scansided {} on {} ({}), {}", p.software_version, p.station_name, p.serial_number, p.accelerator);
    let mut lines = vec![device];
    if let Some(m) = &p.model {
        // The thresholds of ten channels need a page of their own: they are in the header.
        lines.push(format!("model {} {}, sha256 {}", m.id, m.version, m.sha256));
    }
    lines
}

pub(super) fn made(provenance: &Provenance) -> String {
    let utc: String = provenance.created_utc.chars().take(16).collect();
    format!("{} UTC", utc.replace('T', " "))
}

fn percent(value: f64) -> String {
    format!("{:.1} %", Number(value))
}

pub(super) fn lung_colour(side: Side) -> Colour {
    if side == Side::Right { RIGHT_LUNG } else { LEFT_LUNG }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    /// One page may be all that somebody opens.
    #[test]
    fn right_and_left_that_may_be_wrong_stand_on_every_page() {
        use models::remark::{Lying, Remark};

        let mut case = testing::case(9);
        let position = Remark::Position { position: "HFP".into(), said: Lying::Prone, drawn: Lying::Supine };
        case.findings.remarks = vec![Remark::NotReceived { missing: 2, declared: 11 }, position.clone()];
        let draw = |findings: &ChestFindings| {
            key_images(findings, &case.volume, &case.provenance, Language::English).into_iter().collect::<Vec<_>>()
        };
        let pages = draw(&case.findings);
        let note = words::for_pages(&case.findings, Language::English).unwrap();
        assert!(note.starts_with(&position.to_string()) && note.contains("did not arrive"), "{note}");
        case.findings.remarks.clear();
        let plain = draw(&case.findings);
        assert!(pages.len() > 5 && pages.len() == plain.len());
        for (page, plain) in pages.iter().zip(&plain) {
            assert_ne!(page.rgb, plain.rgb, "{} looks as without the remark", page.alternative);
            assert!(page.finding.is_none() || page.alternative.contains("may be wrong"), "{}", page.alternative);
        }
    }

    /// Text as long as the gates write it, for each finding.
    fn table(count: usize, text: &str) -> Vec<Row> {
        let row = |_| Row {
            name: "Coronary calcification".into(),
            state: Some(FindingState::NotEvaluated),
            text: text.into(),
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn rows_of_the_overview_follow_the_number_of_findings_and_never_overlap() {
        let long = "no Agatston score from this series: slice spacing 5.0 mm instead of 2.5 to 3 mm, not gated to the \
                    heartbeat, it is not known whether contrast agent was given, sharp kernel Br64d";
        for count in [1, 5, 9, 10] {
            let placed = place(&table(count, long), 600.0, 610);
            assert_eq!(placed.len(), count);
            for (above, below) in placed.iter().zip(&placed[1..]) {
                assert!(above.top + above.height <= below.top, "{count} rows");
            }
            assert!(placed.iter().all(|row| row.top + row.height <= 610), "{count} rows leave the page");
            let whole = long.split_whitespace().count();
            for row in &placed {
                assert_eq!(row.lines.join(" ").split_whitespace().count(), whole, "{count} rows: a sentence is cut");
            }
        }
    }

    #[test]
    fn what_cannot_fit_ends_with_dots() {
        let placed = place(&table(9, &"very long sentence ".repeat(60)), 600.0, 610);
        assert!(placed.iter().all(|row| row.lines.last().unwrap().ends_with('\u{2026}')));
        assert!(placed.iter().all(|row| row.top + row.height <= 610));
    }

    #[test]
    fn a_refusal_is_shown_to_its_last_word() {
        let case = testing::case(3);
        let reason =
            "the slices are tilted by 12.3 degrees: they drift sideways by 24.1 mm over 300 mm (gantry tilt); \
                      acquire without tilt, or let the scanner reconstruct straight slices; "
                .repeat(4);
        let (style, lines) = refusal_lines(&reason, 420.0);
        assert!(lines.len() as f32 * style.size * LINE <= 420.0);
        assert_eq!(lines.join(" "), reason.trim_end());
        let height = (footer_top(&case.provenance, [56, WIDTH - 56]) - 32) / Language::ALL.len();
        let room = pixels(height - REFUSAL_HEAD - REFUSAL_FOOT);
        for reason in words::examples::refused() {
            for language in Language::ALL {
                let said = words::refused(&reason, *language);
                let (style, lines) = refusal_lines(&said, room);
                assert!(lines.len() as f32 * style.size * LINE <= room, "{said}");
                let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
                assert_eq!(letters(&lines.concat()), letters(&said));
            }
            assert_eq!(refusal_page(&reason, &case.source(), &case.provenance).width, WIDTH);
        }
    }
}
