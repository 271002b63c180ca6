//! Pages for viewers that show neither segmentations nor structured reports: an overview of the nine
//! findings, one page for each that is there (`closeup`), and a page that says why a series was refused. No name or number of a patient is ever drawn.

use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::ascii::{FONT_7X13, FONT_9X18, FONT_9X18_BOLD, FONT_10X20};
use embedded_graphics::pixelcolor::Rgb888;
use models::findings::{ChestFinding, Evaluated, Mask, Side};
use models::{ChestFindings, Volume};
use rayon::prelude::*;

use crate::canvas::Canvas;
use crate::picture::{self, Plane, View};
use crate::words::{self, Language, Line, State};
use crate::{Provenance, Source, closeup, dataset, measure, regions};

pub(super) const WIDTH: usize = 1152;
pub(super) const HEIGHT: usize = 768;
/// Around the lungs in a picture, millimetres: chest wall and spine stay visible.
pub(super) const MARGIN_MM: f32 = 35.0;
/// Parts of a lung smaller than this (voxels in the plane) are not outlined.
pub(super) const MIN_LUNG_PART: f32 = 20.0;

pub(super) const BACKGROUND: Rgb888 = Rgb888::new(11, 14, 19);
pub(super) const RULE: Rgb888 = Rgb888::new(52, 62, 76);
pub(super) const TEXT: Rgb888 = Rgb888::new(232, 236, 240);
pub(super) const DIM: Rgb888 = Rgb888::new(146, 157, 170);
pub(super) const AMBER: Rgb888 = Rgb888::new(255, 186, 56);
pub(super) const BLACK: Rgb888 = Rgb888::new(0, 0, 0);
const DARK: Rgb888 = Rgb888::new(28, 20, 2);
const RIGHT_LUNG: Rgb888 = Rgb888::new(96, 178, 255);
const LEFT_LUNG: Rgb888 = Rgb888::new(112, 220, 160);

/// One drawn page, 8-bit RGB, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyImage {
    pub title: String,
    pub rgb: Vec<u8>,
    pub width: usize,
    pub height: usize,
    /// Slice index in the volume that it shows, when it shows one.
    pub slice: Option<usize>,
    /// The finding that it shows, when it shows one.
    pub finding: Option<ChestFinding>,
}

impl KeyImage {
    pub(super) fn new(title: String, canvas: Canvas) -> Self {
        Self { title, width: canvas.width, height: canvas.height, rgb: canvas.rgb, slice: None, finding: None }
    }
}

/// An overview, then one page for each finding that is there.
pub fn key_images(findings: &ChestFindings, volume: &Volume, provenance: &Provenance) -> Vec<KeyImage> {
    let found = words::lines(findings, Language::English).into_iter().filter(|l| l.state == State::Found);
    let mut pages: Vec<Option<Line>> = vec![None];
    pages.extend(found.map(Some));
    let draw = |line: Option<Line>| match line {
        None => Some(overview(findings, volume, provenance)),
        Some(line) => closeup::page(&line, findings, volume, provenance),
    };
    pages.into_par_iter().filter_map(draw).collect()
}

/// Says in plain words why a series was not processed.
pub fn refusal_page(reason: &str, source: &Source, provenance: &Provenance) -> KeyImage {
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    canvas.fill([0, 0], [10, HEIGHT], AMBER);
    canvas.heading([56, 64], "Series not processed", &FONT_10X20, TEXT);
    canvas.text([58, 116], "This series was received and kept, but no measurement was made on it.", &FONT_9X18, DIM);
    canvas.fill([56, 152], [WIDTH - 112, 2], RULE);
    let mut y = 184;
    for line in wrap(&dataset::ascii(reason, dicom_core::VR::UT), 51).into_iter().take(9) {
        canvas.heading([56, y], &line, &FONT_10X20, AMBER);
        y += 46;
    }
    let header = source.header;
    let mut facts = vec![format!("{} instances received", source.instances.len())];
    facts.extend((!header.modality.is_empty()).then(|| format!("modality {}", header.modality)));
    facts.extend(header.series_number.map(|n| format!("series number {n}")));
    canvas.text([58, HEIGHT - 128], &dataset::ascii(&facts.join("   "), dicom_core::VR::UT), &FONT_9X18, TEXT);
    footer(&mut canvas, provenance, [56, WIDTH - 56]);
    KeyImage::new("Series not processed".into(), canvas)
}

fn overview(findings: &ChestFindings, volume: &Volume, provenance: &Provenance) -> KeyImage {
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    canvas.heading([24, 14], "CT chest", &FONT_10X20, TEXT);
    canvas.text([206, 20], "nine findings, automated draft", &FONT_9X18, DIM);
    canvas.text_right(WIDTH - 24, 20, &made(provenance), &FONT_9X18, DIM);

    let lungs: Vec<&Mask> = measure::lungs(findings).into_iter().map(|l| &l.mask).collect();
    let (row, _) = widest(findings, volume);
    let area = [24, 64, 484, 500];
    canvas.fill([area[0], area[1]], [area[2] - area[0], area[3] - area[1]], BLACK);
    let view = View::fit(volume, Plane::Across(row), area, &lungs, MARGIN_MM);
    view.draw(&mut canvas);
    for lobe in regions::done(&findings.lobes) {
        view.outline(&mut canvas, &lobe.mask, MIN_LUNG_PART, 1.0, lung_colour(lobe.name.side()));
    }
    for lung in measure::lungs(findings) {
        view.outline(&mut canvas, &lung.mask, MIN_LUNG_PART, 1.8, lung_colour(lung.side));
    }
    view.orientation(&mut canvas, &FONT_9X18_BOLD, TEXT);
    view.scale_bar(&mut canvas, 50.0, &FONT_7X13, TEXT);
    canvas.label([area[0] + 8, area[3] - 18], picture::LUNG.name, &FONT_7X13, TEXT);
    let lobes = if regions::done(&findings.lobes).is_empty() { "" } else { " and lobes" };
    canvas.label([area[0] + 8, area[1] + 6], &format!("Coronal, lungs{lobes}"), &FONT_7X13, TEXT);
    lung_table(&mut canvas, findings, [24, 516]);
    nine_table(&mut canvas, findings, [508, 60], WIDTH - 24);
    footer(&mut canvas, provenance, [24, WIDTH - 24]);
    KeyImage::new("Overview: nine findings".into(), canvas)
}

/// One row for each finding: its name, its state, and the numbers or the reason.
fn nine_table(canvas: &mut Canvas, findings: &ChestFindings, at: [usize; 2], right: usize) {
    const ROW: usize = 67;
    for (index, line) in words::lines(findings, Language::English).into_iter().enumerate() {
        let y = at[1] + index * ROW;
        let (state, colour) = state_words(line.state);
        let bold = if line.state == State::Found { AMBER } else { TEXT };
        canvas.fill([at[0], y + 2], [4, ROW - 12], colour);
        canvas.text([at[0] + 14, y], &words::name(line.finding, Language::English), &FONT_9X18_BOLD, bold);
        canvas.text_right(right, y, state, &FONT_9X18_BOLD, colour);
        let text = dataset::ascii(&regions::capital(&line.text), dicom_core::VR::UT);
        let lines = wrap(&text, (right - at[0] - 14) / 7);
        for (i, words) in lines.iter().take(2).enumerate() {
            canvas.text(
                [at[0] + 14, y + 22 + i * 16],
                words,
                &FONT_7X13,
                if line.state == State::Found { TEXT } else { DIM },
            );
        }
        if index < 8 {
            canvas.fill([at[0], y + ROW - 7], [right - at[0], 1], RULE);
        }
    }
}

pub(super) fn state_words(state: State) -> (&'static str, Rgb888) {
    match state {
        State::Found => ("FOUND", AMBER),
        State::NotFound => ("none found", LEFT_LUNG),
        State::NotEvaluated => ("not evaluated", DIM),
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

fn lung_table(canvas: &mut Canvas, findings: &ChestFindings, at: [usize; 2]) {
    let columns = [at[0] + 190, at[0] + 276, at[0] + 376];
    table_head(canvas, at, 376, "Lungs", &[(columns[0], "Volume"), (columns[1], "Mean"), (columns[2], "LAA-950")]);
    let mut y = at[1] + 32;
    if let Evaluated::NotEvaluated(reason) = &findings.lungs {
        return note(canvas, [at[0], y], reason, 40);
    }
    let lungs = measure::lungs(findings);
    for lung in &lungs {
        canvas.fill([at[0], y + 3], [12, 12], lung_colour(lung.side));
        canvas.text([at[0] + 22, y], measure::side(lung.side), &FONT_9X18_BOLD, TEXT);
        let values = [
            format!("{:.2} L", lung.volume_ml / 1000.0),
            format!("{:.0} HU", lung.mean_hu),
            percent(lung.laa950_percent),
        ];
        for (right, value) in columns.into_iter().zip(&values) {
            canvas.text_right(right, y, value, &FONT_9X18, TEXT);
        }
        y += 26;
    }
    if lungs.len() > 1 {
        let total: f64 = lungs.iter().map(|l| l.volume_ml).sum();
        canvas.text([at[0] + 22, y], "both", &FONT_9X18_BOLD, DIM);
        canvas.text_right(columns[0], y, &format!("{:.2} L", total / 1000.0), &FONT_9X18, DIM);
        y += 26;
    }
    canvas.text([at[0], y + 6], "LAA-950: lung voxels below -950 HU", &FONT_7X13, DIM);
}

fn table_head(canvas: &mut Canvas, at: [usize; 2], width: usize, title: &str, columns: &[(usize, &str)]) {
    canvas.text(at, title, &FONT_9X18_BOLD, TEXT);
    for (right, name) in columns {
        canvas.text_right(*right, at[1] + 4, name, &FONT_7X13, DIM);
    }
    canvas.fill([at[0], at[1] + 23], [width, 1], RULE);
}

fn note(canvas: &mut Canvas, at: [usize; 2], text: &str, columns: usize) {
    for (i, line) in wrap(&dataset::ascii(text, dicom_core::VR::UT), columns).iter().enumerate().take(6) {
        canvas.text([at[0], at[1] + i * 22], line, &FONT_9X18, AMBER);
    }
}

/// Who made this, and the mark.
pub(super) fn footer(canvas: &mut Canvas, provenance: &Provenance, span: [usize; 2]) {
    let columns = (span[1] - span[0]) / 7;
    let lines: Vec<String> = provenance_lines(provenance).iter().flat_map(|l| wrap(l, columns)).take(4).collect();
    let top = HEIGHT - 34 - lines.len() * 15;
    canvas.fill([span[0], top - 8], [span[1] - span[0], 1], RULE);
    for (i, line) in lines.iter().enumerate() {
        canvas.text([span[0], top + i * 15], line, &FONT_7X13, DIM);
    }
    banner(canvas, provenance);
}

/// The mark over the whole width of the page; nothing for a cleared package on a real device.
fn banner(canvas: &mut Canvas, provenance: &Provenance) {
    let Some(mark) = provenance.mark() else { return };
    canvas.fill([0, HEIGHT - 28], [WIDTH, 28], AMBER);
    let font: &MonoFont = &FONT_9X18_BOLD;
    let text = if provenance.simulated { format!("{mark} - SIMULATED DEVICE") } else { mark.to_owned() };
    canvas.text([(WIDTH - text.len() * 9) / 2, HEIGHT - 23], &text, font, DARK);
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
    lines.iter().map(|l| dataset::ascii(l, dicom_core::VR::UT)).collect()
}

pub(super) fn made(provenance: &Provenance) -> String {
    let utc: String = provenance.created_utc.chars().take(16).collect();
    format!("{} UTC", utc.replace('T', " "))
}

fn percent(value: f64) -> String {
    format!("{value:.1} %")
}

pub(super) fn lung_colour(side: Side) -> Rgb888 {
    if side == Side::Right { RIGHT_LUNG } else { LEFT_LUNG }
}

/// Breaks at spaces into lines of at most `columns` characters; longer words are cut.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut();
            let Some(line) = line else { break };
            let gap = usize::from(!line.is_empty());
            if line.len() + gap + word.len() <= columns {
                if gap == 1 {
                    line.push(' ');
                }
                line.extend(word);
                break;
            }
            if line.is_empty() {
                line.extend(word.drain(..columns.max(1).min(word.len())));
            }
            lines.push(String::new());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_breaks_at_spaces_and_long_words_are_cut() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 4), [""]);
    }
}
