//! A page for one finding: the slice that shows it best, and its surest or largest instances beside it.

use embedded_graphics::mono_font::ascii::{FONT_7X13, FONT_9X18, FONT_9X18_BOLD, FONT_10X20};
use embedded_graphics::pixelcolor::Rgb888;
use models::findings::{ChestFinding, Evaluated, Mask, Region};
use models::{ChestFindings, Volume};

use crate::canvas::Canvas;
use crate::entry::{entry, instances};
use crate::pages::{
    AMBER, BACKGROUND, BLACK, DIM, KeyImage, MARGIN_MM, MIN_LUNG_PART, TEXT, WIDTH, footer, lung_colour, wrap,
};
use crate::picture::{Plane, View, Window};
use crate::regions::{capital, lobe};
use crate::words::{self, Language, Line};
use crate::{Provenance, dataset, measure};

/// Consolidation beside ground glass.
const SECOND: Rgb888 = Rgb888::new(255, 110, 96);
/// Close-ups on a page; the structured report has all.
const SHOWN: usize = 4;
/// Least width of a close-up, millimetres: some anatomy must be around to know the place.
const LEAST_MM: f32 = 45.0;

/// One instance as it is shown.
struct Shown<'a> {
    masks: Vec<(&'a Mask, Rgb888)>,
    key_slice: usize,
    /// Column and row of the middle of the close-up.
    centre: [f32; 2],
    size_mm: f32,
    caption: String,
}

/// None when the finding has no voxels to show.
pub fn page(line: &Line, findings: &ChestFindings, volume: &Volume, provenance: &Provenance) -> Option<KeyImage> {
    let shown = shown(line.finding, findings, volume);
    let best = shown.first()?;
    let window = entry(line.finding).window;
    let every: Vec<(&Mask, Rgb888)> = shown.iter().flat_map(|s| s.masks.iter().copied()).collect();
    let mut canvas = Canvas::new(WIDTH, crate::pages::HEIGHT, BACKGROUND);
    let name = words::name(line.finding, Language::English);
    canvas.heading([24, 12], &name, &FONT_10X20, AMBER);
    let text = dataset::ascii(&capital(&line.text), dicom_core::VR::UT);
    for (i, words) in wrap(&text, (WIDTH - 48) / 9).iter().take(1).enumerate() {
        canvas.text([26, 56 + i * 20], words, &FONT_9X18, TEXT);
    }

    let area = [24, 86, 664, 676];
    let lungs = measure::lungs(findings);
    let bounds: Vec<&Mask> = lungs.iter().map(|l| &l.mask).chain(best.masks.iter().map(|m| m.0)).collect();
    let view = View::fit(volume, Plane::Slice(best.key_slice), area, &bounds, MARGIN_MM).windowed(window);
    frame(&mut canvas, &view, best.key_slice, volume, window);
    for lung in &lungs {
        view.outline(&mut canvas, &lung.mask, MIN_LUNG_PART, 0.8, lung_colour(lung.side));
    }
    draw(&mut canvas, &view, &every);
    view.orientation(&mut canvas, &FONT_9X18_BOLD, TEXT);
    view.scale_bar(&mut canvas, 50.0, &FONT_7X13, TEXT);

    let cells = cells(shown.len().min(SHOWN));
    for (one, cell) in shown.iter().zip(&cells) {
        let picture = [cell[0], cell[1], cell[2], cell[3] - 20];
        let plane = Plane::Slice(one.key_slice);
        let per_mm = (picture[2] - picture[0]).min(picture[3] - picture[1]) as f32 / one.size_mm.max(LEAST_MM);
        let view = View::around(volume, plane, picture, one.centre, per_mm).windowed(window);
        frame(&mut canvas, &view, one.key_slice, volume, window);
        draw(&mut canvas, &view, &every);
        view.scale_bar(&mut canvas, 10.0, &FONT_7X13, TEXT);
        let columns = (cell[2] - cell[0]) / 7;
        let caption: String = one.caption.chars().take(columns).collect();
        canvas.text([cell[0], cell[3] - 15], &caption, &FONT_7X13, TEXT);
    }
    if shown.len() > SHOWN {
        let more = format!("and {} more: see the structured report", shown.len() - SHOWN);
        canvas.text_right(WIDTH - 24, 24, &more, &FONT_7X13, DIM);
    }
    if line.finding == ChestFinding::Pneumonia {
        canvas.text_right(WIDTH - 24, 24, "amber: ground glass   red: consolidation", &FONT_7X13, DIM);
    }
    footer(&mut canvas, provenance, [24, WIDTH - 24]);
    let title = dataset::ascii(&format!("{name}: {}", line.text), dicom_core::VR::UT);
    Some(KeyImage { slice: Some(best.key_slice), finding: Some(line.finding), ..KeyImage::new(title, canvas) })
}

/// One large cell, two below each other, or four.
fn cells(count: usize) -> Vec<[usize; 4]> {
    let (left, top, right, bottom) = (676, 86, WIDTH - 24, 676);
    let (middle_x, middle_y) = ((left + right) / 2, (top + bottom) / 2);
    match count {
        0 | 1 => vec![[left, top, right, bottom]],
        2 => vec![[left, top, right, middle_y - 5], [left, middle_y + 5, right, bottom]],
        _ => [(top, middle_y - 5), (middle_y + 5, bottom)]
            .into_iter()
            .flat_map(|(a, b)| [[left, a, middle_x - 5, b], [middle_x + 5, a, right, b]])
            .collect(),
    }
}

fn frame(canvas: &mut Canvas, view: &View, slice: usize, volume: &Volume, window: Window) {
    let [left, top, right, bottom] = view.area;
    canvas.fill([left, top], [right - left, bottom - top], BLACK);
    view.draw(canvas);
    let height_mm = volume.geometry.to_patient([0.0, 0.0, slice as f64])[2];
    let words = format!("Slice {} of {}, z {height_mm:.1} mm", slice + 1, volume.geometry.dims[2]);
    canvas.label([left + 8, top + 6], &words, &FONT_7X13, TEXT);
    canvas.label([left + 8, bottom - 18], window.name, &FONT_7X13, TEXT);
}

fn draw(canvas: &mut Canvas, view: &View, every: &[(&Mask, Rgb888)]) {
    for (mask, colour) in every {
        view.outline(canvas, mask, 1.0, 1.6, *colour);
    }
}

/// Instances, the one to show first first.
fn shown<'a>(finding: ChestFinding, findings: &'a ChestFindings, volume: &Volume) -> Vec<Shown<'a>> {
    let last = volume.geometry.dims[2].saturating_sub(1);
    let at = |mask: &'a Mask, centre_mm, key_slice: usize, caption: String, colour| {
        let [x, y, _] = measure::to_image(&volume.geometry, centre_mm);
        let spacing = volume.geometry.spacing_mm;
        let size = (mask.size[0] as f64 * spacing[0]).max(mask.size[1] as f64 * spacing[1]);
        Shown {
            masks: vec![(mask, colour)],
            key_slice: key_slice.min(last),
            centre: [x as f32, y as f32],
            size_mm: size as f32 * 1.8,
            caption: dataset::ascii(&caption, dicom_core::VR::UT),
        }
    };
    let region = |r: &'a Region, caption: String| at(&r.mask, r.centre_mm, r.key_slice, caption, AMBER);
    let by_volume = |shown: &mut Vec<Shown>| {
        shown.sort_by_key(|s| std::cmp::Reverse(s.masks.iter().map(|m| m.0.count()).sum::<usize>()));
    };
    let mut all: Vec<Shown<'a>> = match finding {
        ChestFinding::Nodule => measure::nodules(findings)
            .into_iter()
            .map(|n| {
                let place = n.lobe.map_or_else(|| measure::side(n.side), lobe);
                let caption = format!("{}: {:.1} mm, {place}", n.number, n.diameter_mm);
                at(&n.mask, n.centre_mm, n.key_slice, caption, AMBER)
            })
            .collect(),
        ChestFinding::Pneumonia => {
            let Evaluated::Done(p) = &findings.pneumonia else { return Vec::new() };
            let mut all: Vec<Shown> =
                p.ground_glass.iter().map(|r| region(r, format!("ground glass, {:.0} ml", r.volume_ml))).collect();
            all.extend(p.consolidation.iter().map(|r| {
                at(&r.mask, r.centre_mm, r.key_slice, format!("consolidation, {:.0} ml", r.volume_ml), SECOND)
            }));
            by_volume(&mut all);
            all
        }
        ChestFinding::Emphysema => {
            let Evaluated::Done(e) = &findings.emphysema else { return Vec::new() };
            let mut all: Vec<Shown> =
                e.regions.iter().map(|r| region(r, format!("below -950 HU: {:.0} ml", r.volume_ml))).collect();
            by_volume(&mut all);
            all
        }
        ChestFinding::CoronaryCalcification => {
            let Evaluated::Done(c) = &findings.coronary_calcium else { return Vec::new() };
            let mut all: Vec<Shown> =
                c.lesions.iter().map(|r| region(r, format!("{:.0} mm3", r.volume_ml * 1000.0))).collect();
            by_volume(&mut all);
            all
        }
        listed => instances(findings, listed).into_iter().map(|one| region(one.region, one.caption)).collect(),
    };
    all.retain(|one| one.masks.iter().any(|(mask, _)| mask.voxels.contains(&1)));
    all
}
