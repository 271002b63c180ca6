//! A page for one finding: the slice that shows it best, and its surest or largest instances beside it.

use models::findings::{ChestFinding, Evaluated, Form, Mask, Nodule, Region};
use models::number::Number;
use models::{ChestFindings, Volume};

use crate::canvas::{Canvas, Colour, pixels, single};
use crate::entry::{entry, instances};
use crate::pages::{
    AMBER, BACKGROUND, BLACK, BODY, DIM, KeyImage, MARGIN_MM, MIN_LUNG_PART, SMALL, STRONG, TEXT, TITLE, WIDTH, footer,
    lung_colour, shortened,
};
use crate::picture::{Plane, View, Window};
use crate::words::{self, Language, Words, capital};
use crate::{Provenance, dataset, measure};

/// Consolidation beside ground glass.
const SECOND: Colour = Colour::new(255, 110, 96);
/// Close-ups on a page; the structured report has all.
const SHOWN: usize = 4;
/// Top of the sentence and distance of its lines, pixels.
const SENTENCE_TOP: usize = 54;
const SENTENCE_LINE: usize = 21;
const NOTE_LINE: usize = 18;
/// Lines below a close-up, at most.
const CAPTION_LINES: usize = 2;
/// Least width of a close-up, millimetres: some anatomy must be around to know the place.
const LEAST_MM: f32 = 45.0;

/// One instance as it is shown.
struct Shown<'a> {
    masks: Vec<(&'a Mask, Colour)>,
    key_slice: usize,
    /// Column and row of the middle of the close-up.
    centre: [f32; 2],
    size_mm: f32,
    caption: String,
}

/// None when the finding has no voxels to show.
pub fn page(
    finding: ChestFinding,
    findings: &ChestFindings,
    volume: &Volume,
    provenance: &Provenance,
    language: Language,
) -> Option<KeyImage> {
    let line = words::line(findings, finding, language);
    let w = language.words();
    let shown = shown(finding, findings, volume, language);
    let best = shown.first()?;
    let window = entry(finding).window;
    let every: Vec<(&Mask, Colour)> = shown.iter().flat_map(|s| s.masks.iter().copied()).collect();
    let mut canvas = Canvas::new(WIDTH, crate::pages::HEIGHT, BACKGROUND);
    let name = words::name(finding, language);
    canvas.text([24, 10], &name, TITLE, AMBER);
    for (i, note) in notes(finding, shown.len(), w).iter().enumerate() {
        canvas.text_right(WIDTH - 24, 10 + i * NOTE_LINE, note, SMALL, DIM);
    }
    let mut sentence = sentence(&line.text);
    let said = sentence.len();
    // Which side it is matters on each picture that is sent by itself.
    sentence.extend(words::about_side(findings, language).map_or_else(Vec::new, |text| self::sentence(&text)));
    for (i, words) in sentence.iter().enumerate() {
        canvas.text([24, SENTENCE_TOP + i * SENTENCE_LINE], words, BODY, if i < said { TEXT } else { AMBER });
    }

    // The pictures begin below the sentence, however long it is.
    let top = SENTENCE_TOP + sentence.len() * SENTENCE_LINE + 10;
    let area = [24, top, 664, 676];
    let lungs = measure::lungs(findings);
    let bounds: Vec<&Mask> = lungs.iter().map(|l| &l.mask).chain(best.masks.iter().map(|m| m.0)).collect();
    let view = View::fit(volume, Plane::Slice(best.key_slice), area, &bounds, MARGIN_MM).windowed(window);
    frame(&mut canvas, &view, best.key_slice, window, w);
    for lung in &lungs {
        view.outline(&mut canvas, &lung.mask, MIN_LUNG_PART, 0.8, lung_colour(lung.side));
    }
    draw(&mut canvas, &view, &every);
    view.orientation(&mut canvas, STRONG, TEXT);
    view.scale_bar(&mut canvas, 50.0, SMALL, TEXT);

    let cells = cells(shown.len().min(SHOWN), top);
    let captions: Vec<Vec<String>> = shown
        .iter()
        .zip(&cells)
        .map(|(one, cell)| shortened(SMALL.wrap(&one.caption, pixels(cell[2] - cell[0])), CAPTION_LINES))
        .collect();
    let below = 4 + NOTE_LINE * captions.iter().map(Vec::len).max().unwrap_or(1);
    for ((one, cell), caption) in shown.iter().zip(&cells).zip(&captions) {
        let picture = [cell[0], cell[1], cell[2], cell[3] - below];
        let plane = Plane::Slice(one.key_slice);
        let per_mm = pixels((picture[2] - picture[0]).min(picture[3] - picture[1])) / one.size_mm.max(LEAST_MM);
        let view = View::around(volume, plane, picture, one.centre, per_mm).windowed(window);
        frame(&mut canvas, &view, one.key_slice, window, w);
        draw(&mut canvas, &view, &every);
        view.scale_bar(&mut canvas, 10.0, SMALL, TEXT);
        for (i, words) in caption.iter().enumerate() {
            canvas.text([cell[0], picture[3] + 4 + i * NOTE_LINE], words, SMALL, TEXT);
        }
    }
    footer(&mut canvas, provenance, [24, WIDTH - 24]);
    // The title goes into text of DICOM, which is plain ASCII in every object.
    let english = words::line(findings, finding, Language::English);
    let title = Language::English.words().titled(&words::name(finding, Language::English), &english.text);
    let title = dataset::ascii(&title, dicom_core::VR::UT);
    let side = words::about_side(findings, language).map(|side| format!("{}{side}", w.separator()));
    let alternative = format!("{}{}", w.titled(&name, &line.text), side.unwrap_or_default());
    Some(KeyImage { slice: Some(best.key_slice), finding: Some(finding), ..KeyImage::new(title, alternative, canvas) })
}

/// The sentence of a finding in lines of the page; four lines hold the longest that the gates write.
fn sentence(text: &str) -> Vec<String> {
    shortened(BODY.wrap(&capital(text), pixels(WIDTH - 48)), 4)
}

/// What stands at the top right, one line each, so that no note lies on another.
fn notes(finding: ChestFinding, instances: usize, w: &dyn Words) -> Vec<String> {
    let colours = (finding == ChestFinding::Pneumonia).then(|| w.page().colours.to_owned());
    let more = instances.checked_sub(SHOWN).filter(|more| *more > 0);
    let more = more.map(|more| w.more_in_report(more));
    colours.into_iter().chain(more).collect()
}

/// One large cell, two below each other, or four; `top` in pixels.
fn cells(count: usize, top: usize) -> Vec<[usize; 4]> {
    let (left, right, bottom) = (676, WIDTH - 24, 676);
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

fn frame(canvas: &mut Canvas, view: &View, slice: usize, window: Window, w: &dyn Words) {
    let geometry = &view.volume.geometry;
    let [left, top, right, bottom] = view.area;
    canvas.fill([left, top], [right - left, bottom - top], BLACK);
    view.draw(canvas);
    let height_mm = geometry.to_patient([0.0, 0.0, slice as f64])[2];
    let words = w.slice(slice + 1, geometry.dims[2], height_mm);
    canvas.label([left + 8, top + 6], &words, SMALL, TEXT);
    canvas.label([left + 8, bottom - 22], window.name, SMALL, TEXT);
}

fn draw(canvas: &mut Canvas, view: &View, every: &[(&Mask, Colour)]) {
    for (mask, colour) in every {
        view.outline(canvas, mask, 1.0, 1.6, *colour);
    }
}

fn by_size(findings: &ChestFindings) -> Vec<&Nodule> {
    let mut nodules = measure::nodules(findings);
    nodules.sort_by(|a, b| b.size_mm().total_cmp(&a.size_mm()));
    nodules
}

/// Instances, the one to show first first.
fn shown<'a>(
    finding: ChestFinding,
    findings: &'a ChestFindings,
    volume: &Volume,
    language: Language,
) -> Vec<Shown<'a>> {
    let (w, fixed) = (language.words(), language.words().page());
    let comma = w.comma();
    let last = volume.geometry.dims[2].saturating_sub(1);
    let at = |mask: &'a Mask, centre_mm, key_slice: usize, caption: String, colour| {
        let [x, y, _] = measure::to_image(&volume.geometry, centre_mm);
        let spacing = volume.geometry.spacing_mm;
        let size = (mask.size[0] as f64 * spacing[0]).max(mask.size[1] as f64 * spacing[1]);
        Shown {
            masks: vec![(mask, colour)],
            key_slice: key_slice.min(last),
            centre: [single(x), single(y)],
            size_mm: single(size) * 1.8,
            caption,
        }
    };
    let region = |r: &'a Region, caption: String| at(&r.mask, r.centre_mm, r.key_slice, caption, AMBER);
    let by_volume = |shown: &mut Vec<Shown>| {
        shown.sort_by_key(|s| std::cmp::Reverse(s.masks.iter().map(|m| m.0.count()).sum::<usize>()));
    };
    let mut all: Vec<Shown<'a>> = match finding {
        // The largest first, which the sentence names: they are numbered by how sure the network is.
        ChestFinding::Nodule => by_size(findings)
            .into_iter()
            .map(|n| {
                let place = words::place(findings, n.lobe, n.side, w);
                let size = format!("{:.1} mm{comma}{place}", Number(n.size_mm()));
                let caption = match n.form {
                    Form::Nodule => format!("{}: {size}", n.number),
                    Form::Mass => format!("{}: {}{comma}{size}", n.number, w.form(n.form)),
                };
                at(&n.mask, n.centre_mm, n.key_slice, caption, AMBER)
            })
            .collect(),
        ChestFinding::Pneumonia => {
            let Evaluated::Done(p) = &findings.pneumonia else { return Vec::new() };
            let mut all: Vec<Shown> = p
                .ground_glass
                .iter()
                .map(|r| region(r, format!("{}{comma}{:.0} ml", fixed.ground_glass, Number(r.volume_ml))))
                .collect();
            all.extend(p.consolidation.iter().map(|r| {
                at(
                    &r.mask,
                    r.centre_mm,
                    r.key_slice,
                    format!("{}{comma}{:.0} ml", fixed.consolidation, Number(r.volume_ml)),
                    SECOND,
                )
            }));
            by_volume(&mut all);
            all
        }
        ChestFinding::Emphysema => {
            let Evaluated::Done(e) = &findings.emphysema else { return Vec::new() };
            let mut all: Vec<Shown> = e
                .regions
                .iter()
                .map(|r| region(r, format!("{}: {:.0} ml", fixed.emphysema, Number(r.volume_ml))))
                .collect();
            by_volume(&mut all);
            all
        }
        ChestFinding::CoronaryCalcification => {
            let Evaluated::Done(c) = &findings.coronary_calcium else { return Vec::new() };
            let mut all: Vec<Shown> =
                c.lesions.iter().map(|r| region(r, format!("{:.0} mm\u{b3}", Number(r.volume_ml * 1000.0)))).collect();
            by_volume(&mut all);
            all
        }
        listed => {
            let mut all: Vec<Shown> =
                instances(findings, listed, language).into_iter().map(|one| region(one.region, one.caption)).collect();
            if listed == ChestFinding::LymphNode {
                by_volume(&mut all);
            }
            all
        }
    };
    all.retain(|one| one.masks.iter().any(|(mask, _)| mask.voxels.contains(&1)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChestFindings, testing};
    use models::findings::{CalciumScore, CoronaryCalcium};
    use models::{Reason, Reasons};

    #[test]
    fn the_whole_coronary_sentence_is_on_its_page() {
        let reason = Reasons(vec![
            Reason::AgatstonContrast,
            Reason::AgatstonGatingUnknown,
            Reason::AgatstonVoltageUnknown,
            Reason::AgatstonSpacing { mm: 1.3 },
            Reason::AgatstonKernel { kernel: "Br64d\\3".into() },
        ]);
        let score = CalciumScore::Ordinal { grade: 2, reason };
        let findings = ChestFindings {
            coronary_calcium: Evaluated::Done(CoronaryCalcium { score, lesions: Vec::new() }),
            ..ChestFindings::none(&Reason::stored("x"))
        };
        let line = words::line(&findings, ChestFinding::CoronaryCalcification, Language::English);
        let shown = sentence(&line.text).join(" ");
        assert_eq!(shown, capital(&line.text));
        assert!(shown.contains("sharp kernel Br64d"));
    }

    #[test]
    fn the_nodule_that_the_sentence_names_is_on_the_page() {
        let mut case = testing::case(9);
        let Evaluated::Done(nodules) = &mut case.findings.nodules else { panic!() };
        let one = nodules[0].clone();
        // Numbered by how sure the network is.
        *nodules = (1..=6).map(|number| Nodule { number, diameter_mm: number as f64 * 3.0, ..one.clone() }).collect();
        let findings = &case.findings;
        let line = words::line(findings, ChestFinding::Nodule, Language::English);
        let shown = shown(ChestFinding::Nodule, findings, &case.volume, Language::English);
        let largest = format!("{:.1} mm", 18.0);
        assert!(
            line.text.contains(&largest) && shown[0].caption.contains(&largest),
            "{}: {}",
            line.text,
            shown[0].caption
        );
        assert!(shown[3].caption.contains("9.0 mm"), "then the next in size: {}", shown[3].caption);
    }

    #[test]
    fn notes_of_a_pneumonia_with_many_regions_do_not_lie_on_each_other() {
        let w = Language::English.words();
        let notes = notes(ChestFinding::Pneumonia, 9, w);
        assert_eq!(notes, ["amber: ground glass   red: consolidation", "and 5 more: see the structured report"]);
        assert!(pixels(NOTE_LINE) >= SMALL.size * 1.2 && 10 + notes.len() * NOTE_LINE <= SENTENCE_TOP);
        assert!(super::notes(ChestFinding::Nodule, 4, w).is_empty());
    }

    #[test]
    fn the_notes_leave_the_longest_heading_free() {
        for language in Language::ALL {
            let width = |note: &String| SMALL.width(note);
            let widest = |f| notes(f, 99, language.words()).iter().map(width).fold(0.0, f32::max);
            for finding in ChestFinding::ALL {
                let name = words::name(finding, *language);
                assert!(24.0 + TITLE.width(&name) + 16.0 < pixels(WIDTH - 24) - widest(finding), "{name}");
            }
        }
    }

    #[test]
    fn pictures_lie_below_the_sentence_and_above_the_footer() {
        for (count, top) in [(1, 85), (2, 85), (4, 148)] {
            let cells = cells(count, top);
            assert_eq!(cells.len(), count);
            assert!(cells.iter().all(|c| c[1] >= top && c[3] <= 676 && c[0] < c[2] && c[1] + 60 < c[3]));
        }
        let case = &testing::case(9);
        let page = |finding| {
            Language::ALL
                .iter()
                .map(move |language| super::page(finding, &case.findings, &case.volume, &case.provenance, *language))
        };
        assert!(ChestFinding::ALL.into_iter().flat_map(page).all(|page| page.is_some()));
    }
}
