//! Pages for viewers that show neither segmentations nor structured reports: an overview, one page for each nodule,
//! and a page that says why a series was refused. No name or number of a patient is ever drawn.

use embedded_graphics::mono_font::MonoFont;
use embedded_graphics::mono_font::ascii::{FONT_7X13, FONT_9X18, FONT_9X18_BOLD, FONT_10X20};
use embedded_graphics::pixelcolor::Rgb888;
use models::findings::{Evaluated, Mask, Nodule, Side};
use models::{Findings, Volume};
use rayon::prelude::*;

use super::canvas::Canvas;
use super::picture::{Plane, View, WINDOW};
use super::{Provenance, Source, dataset, measure};

const WIDTH: usize = 1152;
const HEIGHT: usize = 768;
/// Beyond this many nodules only the surest have a page of their own; the structured report has all.
const MAX_NODULE_PAGES: usize = 20;
/// Rows of the nodule table on the overview.
const MAX_ROWS: usize = 8;

/// Around the lungs in a picture, millimetres: chest wall and spine stay visible.
const MARGIN_MM: f32 = 35.0;
/// Parts of a lung smaller than this (voxels in the plane) are not outlined.
const MIN_LUNG_PART: f32 = 20.0;

const BACKGROUND: Rgb888 = Rgb888::new(11, 14, 19);
const PANEL: Rgb888 = Rgb888::new(20, 25, 33);
const RULE: Rgb888 = Rgb888::new(52, 62, 76);
const TEXT: Rgb888 = Rgb888::new(232, 236, 240);
const DIM: Rgb888 = Rgb888::new(146, 157, 170);
const AMBER: Rgb888 = Rgb888::new(255, 186, 56);
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
    /// Number of the nodule that it shows, when it shows one.
    pub nodule: Option<usize>,
}

impl KeyImage {
    fn new(title: String, canvas: Canvas) -> Self {
        Self { title, width: canvas.width, height: canvas.height, rgb: canvas.rgb, slice: None, nodule: None }
    }
}

/// An overview, then one page for each nodule (the first 20).
pub fn key_images(findings: &Findings, volume: &Volume, provenance: &Provenance) -> Vec<KeyImage> {
    let nodules = measure::nodules(findings);
    let mut pages: Vec<Option<&Nodule>> = vec![None];
    pages.extend(nodules.iter().take(MAX_NODULE_PAGES).map(|n| Some(*n)));
    let draw = |nodule: Option<&Nodule>| match nodule {
        None => overview(findings, volume, provenance),
        Some(nodule) => nodule_page(nodule, nodules.len(), findings, volume, provenance),
    };
    pages.into_par_iter().map(draw).collect()
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

fn overview(findings: &Findings, volume: &Volume, provenance: &Provenance) -> KeyImage {
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    canvas.heading([24, 14], "CT chest", &FONT_10X20, TEXT);
    canvas.text([206, 20], "lungs and nodules, automated measurements", &FONT_9X18, DIM);
    canvas.text_right(WIDTH - 24, 20, &made(provenance), &FONT_9X18, DIM);

    let lungs: Vec<&Mask> = measure::lungs(findings).into_iter().map(|l| &l.mask).collect();
    let (row, slice) = widest(findings, volume);
    let mut nodules = measure::nodules(findings);
    nodules.reverse(); // the surest is drawn last, on top
    for (plane, area) in [(Plane::Across(row), [24, 64, 570, 470]), (Plane::Slice(slice), [582, 64, 1128, 470])] {
        canvas.fill([area[0], area[1]], [area[2] - area[0], area[3] - area[1]], Rgb888::new(0, 0, 0));
        let view = View::fit(volume, plane, area, &lungs, MARGIN_MM);
        view.draw(&mut canvas);
        for lung in measure::lungs(findings) {
            view.outline(&mut canvas, &lung.mask, MIN_LUNG_PART, 1.8, lung_colour(lung.side));
        }
        for nodule in &nodules {
            mark_nodule(&mut canvas, &view, nodule, volume, plane);
        }
        view.orientation(&mut canvas, &FONT_9X18_BOLD, TEXT);
        view.scale_bar(&mut canvas, 50.0, &FONT_7X13, TEXT);
        canvas.label([area[0] + 8, area[3] - 18], WINDOW, &FONT_7X13, TEXT);
        let name = match plane {
            Plane::Across(_) if nodules.is_empty() => "Coronal".into(),
            Plane::Across(_) => "Coronal, nodules projected".into(),
            Plane::Slice(slice) => format!("Axial, slice {} of {}", slice + 1, volume.geometry.dims[2]),
        };
        canvas.label([area[0] + 8, area[1] + 6], &name, &FONT_7X13, TEXT);
    }
    lung_table(&mut canvas, findings, [24, 486]);
    nodule_table(&mut canvas, findings, volume, [440, 486]);
    footer(&mut canvas, provenance, [24, WIDTH - 24]);
    KeyImage::new("Overview: lungs and nodules".into(), canvas)
}

fn nodule_page(
    nodule: &Nodule,
    count: usize,
    findings: &Findings,
    volume: &Volume,
    provenance: &Provenance,
) -> KeyImage {
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    let slice = nodule.key_slice.min(volume.geometry.dims[2].saturating_sub(1));
    let plane = Plane::Slice(slice);
    let area = [0, 0, 736, 736];
    let lungs: Vec<&Mask> = measure::lungs(findings).into_iter().map(|l| &l.mask).chain([&nodule.mask]).collect();
    canvas.fill([0, 0], [area[2], area[3]], Rgb888::new(0, 0, 0));
    let view = View::fit(volume, plane, area, &lungs, MARGIN_MM);
    view.draw(&mut canvas);
    for lung in measure::lungs(findings) {
        view.outline(&mut canvas, &lung.mask, MIN_LUNG_PART, 1.0, lung_colour(lung.side));
    }
    view.outline(&mut canvas, &nodule.mask, 1.0, 1.8, AMBER);
    callout(&mut canvas, &view, nodule, volume);
    view.orientation(&mut canvas, &FONT_10X20, TEXT);
    view.scale_bar(&mut canvas, 50.0, &FONT_9X18, TEXT);
    let height_mm = volume.geometry.to_patient([0.0, 0.0, slice as f64])[2];
    canvas.label([14, 10], &format!("Slice {} of {}", slice + 1, volume.geometry.dims[2]), &FONT_9X18, TEXT);
    canvas.label([14, 30], &format!("z {height_mm:.1} mm"), &FONT_9X18, TEXT);
    canvas.label([14, area[3] - 28], WINDOW, &FONT_9X18, TEXT);

    let left = area[2] + 24;
    let right = WIDTH - 24;
    canvas.fill([area[2], 0], [WIDTH - area[2], area[3]], PANEL);
    canvas.heading([left, 16], &format!("Nodule {}", nodule.number), &FONT_10X20, AMBER);
    canvas.text_right(right, 30, &format!("of {count}"), &FONT_9X18, DIM);
    let inset = [left, 70, right, 70 + (right - left) * 4 / 5];
    canvas.fill([inset[0], inset[1]], [inset[2] - inset[0], inset[3] - inset[1]], Rgb888::new(0, 0, 0));
    let [x, y, _] = measure::to_image(&volume.geometry, nodule.centre_mm);
    // The nodule takes about a third of the picture, and never less than 30 mm are shown.
    let shown_mm = (nodule.long_axis_mm * 3.0).max(30.0) as f32;
    let close = View::around(volume, plane, inset, [x as f32, y as f32], (inset[3] - inset[1]) as f32 / shown_mm);
    close.draw(&mut canvas);
    close.outline(&mut canvas, &nodule.mask, 1.0, 1.8, AMBER);
    close.scale_bar(&mut canvas, 10.0, &FONT_7X13, TEXT);

    let rows = [
        ("Side", format!("{} lung", measure::side(nodule.side))),
        ("Diameter (mean)", format!("{:.1} mm", nodule.diameter_mm)),
        ("Long x short axis", format!("{:.1} x {:.1} mm", nodule.long_axis_mm, nodule.short_axis_mm)),
        ("Volume", format!("{:.0} mm3", nodule.volume_mm3)),
        ("Mean attenuation", format!("{:.0} HU", nodule.mean_hu)),
        ("Confidence", format!("{:.0} %", nodule.confidence * 100.0)),
    ];
    let mut y = inset[3] + 18;
    for (name, value) in rows {
        canvas.text([left, y], name, &FONT_9X18, DIM);
        canvas.text_right(right, y, &value, &FONT_9X18_BOLD, TEXT);
        canvas.fill([left, y + 24], [right - left, 1], RULE);
        y += 33;
    }
    for line in wrap(&provenance_lines(provenance).join("; "), (right - left) / 7).into_iter().take(8) {
        if y + 14 <= area[3] - 18 {
            canvas.text([left, y + 2], &line, &FONT_7X13, DIM);
            y += 15;
        }
    }
    banner(&mut canvas, provenance);
    let title = format!("Nodule {}: {:.1} mm, {} lung", nodule.number, nodule.diameter_mm, measure::side(nodule.side));
    KeyImage { slice: Some(slice), nodule: Some(nodule.number), ..KeyImage::new(title, canvas) }
}

/// Number and size beside the nodule, on the side with more room, joined to it by a line.
fn callout(canvas: &mut Canvas, view: &View, nodule: &Nodule, volume: &Volume) {
    let [x, y, _] = measure::to_image(&volume.geometry, nodule.centre_mm);
    let centre = view.to_page([x as f32, y as f32]);
    let edge = view.to_page([(x + nodule.long_axis_mm / 2.0 / volume.geometry.spacing_mm[0]) as f32, y as f32]);
    let radius = (edge[0] - centre[0]).abs() + 12.0;
    let [left, top, right, bottom] = view.area;
    let label = format!("{}   {:.1} mm   {:.0} mm3", nodule.number, nodule.diameter_mm, nodule.volume_mm3);
    let width = label.len() * 9 + 20;
    let to_right = centre[0] < (left + right) as f32 / 2.0;
    let down = if centre[1] < (top + bottom) as f32 / 2.0 { 1.0 } else { -1.0 };
    let side = if to_right { 1.0 } else { -1.0 };
    let start = [centre[0] + side * radius * 0.72, centre[1] + down * radius * 0.72];
    let end = [start[0] + side * 34.0, start[1] + down * 34.0];
    let box_left = if to_right { end[0] } else { end[0] - width as f32 };
    let at = [
        (box_left.max(left as f32 + 8.0) as usize).min(right.saturating_sub(width + 8)),
        ((end[1] - 14.0).max(top as f32 + 8.0) as usize).min(bottom.saturating_sub(36)),
    ];
    canvas.ring(centre, radius, 1.6, AMBER, view.area);
    canvas.stroke(&[start, end], false, 1.6, AMBER, view.area);
    canvas.fill(at, [width, 28], AMBER);
    canvas.text([at[0] + 10, at[1] + 5], &label, &FONT_9X18_BOLD, DARK);
}

/// A numbered ring; thinner when the nodule lies away from the plane.
fn mark_nodule(canvas: &mut Canvas, view: &View, nodule: &Nodule, volume: &Volume, plane: Plane) {
    let [x, y, z] = measure::to_image(&volume.geometry, nodule.centre_mm);
    let point = match plane {
        Plane::Slice(slice) => {
            let mask = &nodule.mask;
            if slice < mask.origin[2] || slice >= mask.origin[2] + mask.size[2] {
                return;
            }
            [x as f32, y as f32]
        }
        // Outlines of this plane count from the edge of the first slice.
        Plane::Across(_) => [x as f32, z as f32 + 0.5],
    };
    let centre = view.to_page(point);
    let beside = view.to_page([point[0] + (nodule.diameter_mm / 2.0 / volume.geometry.spacing_mm[0]) as f32, point[1]]);
    let radius = (beside[0] - centre[0]).abs() + 5.0;
    canvas.ring(centre, radius, 2.0, AMBER, view.area);
    let number = nodule.number.to_string();
    let at = [centre[0] + radius * 0.8 + 2.0, centre[1] - radius * 0.8 - 12.0];
    canvas.label([at[0].max(0.0) as usize, at[1].max(0.0) as usize], &number, &FONT_9X18_BOLD, AMBER);
}

/// Row and slice where the lungs are largest; the middle when there are none.
fn widest(findings: &Findings, volume: &Volume) -> (usize, usize) {
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

fn lung_table(canvas: &mut Canvas, findings: &Findings, at: [usize; 2]) {
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

fn nodule_table(canvas: &mut Canvas, findings: &Findings, volume: &Volume, at: [usize; 2]) {
    let ends = [116, 210, 340, 440, 530, 612, 688].map(|x| at[0] + x);
    let names = ["Side", "Diameter", "Axes mm", "Volume", "Mean", "Conf.", "Slice"];
    let heads: Vec<(usize, &str)> = ends.into_iter().zip(names).collect();
    let nodules = measure::nodules(findings);
    let y = at[1] + 32;
    match &findings.nodules {
        Evaluated::NotEvaluated(reason) => {
            table_head(canvas, at, 688, "Nodules", &[]);
            note(canvas, [at[0], y], reason, 72);
        }
        Evaluated::Done(_) if nodules.is_empty() => {
            table_head(canvas, at, 688, "Nodules", &[]);
            canvas.text([at[0], y], "No nodule found.", &FONT_10X20, TEXT);
        }
        Evaluated::Done(_) => {
            table_head(canvas, at, 688, "Nodules", &heads);
            for (i, n) in nodules.iter().take(MAX_ROWS).enumerate() {
                let values = [
                    measure::side(n.side).to_owned(),
                    format!("{:.1} mm", n.diameter_mm),
                    format!("{:.1} x {:.1}", n.long_axis_mm, n.short_axis_mm),
                    format!("{:.0} mm3", n.volume_mm3),
                    format!("{:.0} HU", n.mean_hu),
                    format!("{:.0} %", n.confidence * 100.0),
                    (n.key_slice.min(volume.geometry.dims[2]) + 1).to_string(),
                ];
                let y = y + i * 22;
                canvas.text([at[0], y], &n.number.to_string(), &FONT_9X18_BOLD, AMBER);
                for (right, value) in ends.into_iter().zip(&values) {
                    canvas.text_right(right, y, value, &FONT_9X18, TEXT);
                }
            }
            if nodules.len() > MAX_ROWS {
                let more = format!("and {} more: see the structured report", nodules.len() - MAX_ROWS);
                canvas.text([at[0], y + MAX_ROWS * 22 + 2], &more, &FONT_7X13, AMBER);
            }
        }
    }
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
fn footer(canvas: &mut Canvas, provenance: &Provenance, span: [usize; 2]) {
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
        lines.push(format!("model {} {}, {}, sha256 {}", m.id, m.version, m.thresholds, m.sha256));
    }
    lines.iter().map(|l| dataset::ascii(l, dicom_core::VR::UT)).collect()
}

fn made(provenance: &Provenance) -> String {
    let utc: String = provenance.created_utc.chars().take(16).collect();
    format!("{} UTC", utc.replace('T', " "))
}

fn percent(value: f64) -> String {
    format!("{value:.1} %")
}

fn lung_colour(side: Side) -> Rgb888 {
    if side == Side::Right { RIGHT_LUNG } else { LEFT_LUNG }
}

/// Breaks at spaces into lines of at most `columns` characters; longer words are cut.
fn wrap(text: &str, columns: usize) -> Vec<String> {
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
