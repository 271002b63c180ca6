//! The document about ultrasound of a breast: what was looked at, each lesion with its descriptors and suggested category, the
//! earlier size of those that are known, and where the categories come from.

use models::task::us_breast::assessment::Category;

use super::font::Font;
use super::layout::{BROWN, Colour, Flow, GREEN, GREY, INK, LEFT, RIGHT, RULE};
use super::{Error, Frame, Paper, Picture, assemble, frames, illustrate, paragraph, printable};
use crate::Provenance;
use crate::breast::{Examination, Found, lines};
use crate::identity::Patient;
use crate::words::breast::{coverage, rules};
use crate::words::{Language, capital};

/// Where the lines about a lesion begin, beside its name.
const BESIDE: f32 = LEFT + 84.0;

#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    pub patient: &'a Patient,
    pub examination: &'a Examination<'a>,
    pub provenance: &'a Provenance,
    pub pictures: &'a [Picture],
    pub language: Language,
}

/// Writes the document. The same input gives the same bytes.
///
/// # Errors
/// When the font cannot be embedded.
pub fn write(draft: &Draft<'_>) -> Result<Vec<u8>, Error> {
    let w = draft.language.words();
    let (fixed, document) = (w.breast(), w.document());
    let patient = printable::patient(draft.patient, w);
    let mut font = Font::new()?;
    let mut flow = Flow::new();
    super::patient(&patient, draft.language, &mut font, &mut flow);
    let looked = draft.examination.looked(w).into_iter().map(|said| printable::text(&said, w));
    let looked = capital(&looked.collect::<Vec<_>>().join(w.separator()));
    paragraph(&mut font, &mut flow, fixed.examination, &looked, INK);
    let comparison = draft.examination.comparison(w).join("\n");
    if !comparison.is_empty() {
        paragraph(&mut font, &mut flow, document.comparison, &comparison, INK);
    }
    let covered = coverage(&draft.examination.coverage, w).join("\n");
    if !covered.is_empty() {
        paragraph(&mut font, &mut flow, fixed.coverage, &covered, INK);
    }
    findings(draft, &mut font, &mut flow);
    paragraph(&mut font, &mut flow, fixed.not_found_by_it, fixed.non_mass, INK);
    impression(draft, &mut font, &mut flow);
    paragraph(&mut font, &mut flow, fixed.rules, &rules(w), GREY);
    paragraph(&mut font, &mut flow, document.made, &draft.provenance.line(), GREY);
    for text in [document.draft, fixed.note] {
        for line in font.wrap(text, 8.5, RIGHT - LEFT) {
            flow.line(&mut font, LEFT, 11.0, 8.5, GREY, &line);
        }
    }
    let mut sheets = flow.into_sheets();
    illustrate(draft.pictures, &mut sheets);
    let (title, provenance, language) = (fixed.title, draft.provenance, draft.language);
    frames(&Frame { title, patient: &patient, provenance, language }, &mut font, &mut sheets);
    assemble(&Paper { title, tag: w.tag(), pictures: draft.pictures }, &font, sheets)
}

fn findings(draft: &Draft<'_>, font: &mut Font, flow: &mut Flow) {
    if draft.examination.lesions.is_empty() {
        return;
    }
    flow.y += 4.0;
    flow.heading(font, LEFT, 60.0, 12.0, draft.language.words().breast().findings);
    flow.y += 8.0;
    for one in &draft.examination.lesions {
        lesion(one, draft.language, font, flow);
    }
    flow.y += 22.0;
}

/// One lesion stays on one page.
fn lesion(one: &Found<'_>, language: Language, font: &mut Font, flow: &mut Flow) {
    let w = language.words();
    let colour = tone(one.suggested.as_ref().ok().map(|one| one.category));
    let said = lines(one, w);
    let score = w.malignant(one.lesion.malignant);
    let texts = said.iter().chain([&score]).zip([INK, INK, colour, GREY]).filter(|(text, _)| !text.is_empty());
    let wrapped: Vec<(String, Colour)> = texts
        .flat_map(|(text, ink)| {
            font.wrap(text, 9.5, RIGHT - BESIDE).into_iter().map(move |line| (line, ink)).collect::<Vec<_>>()
        })
        .collect();
    let high = 12.0 * wrapped.len() as f32;
    flow.room(high + 7.0);
    let y = flow.y + 15.0;
    let sheet = flow.room(0.0);
    sheet.text(font, [LEFT + 8.0, y], 9.5, true, INK, &w.lesion(one.lesion.id));
    for (row, (text, ink)) in wrapped.iter().enumerate() {
        sheet.text(font, [BESIDE, y + row as f32 * 12.0], 9.5, *ink == colour && *ink != GREY, *ink, text);
    }
    sheet.fill([LEFT, y - 10.0], [3.0, high + 1.0], colour);
    sheet.fill([LEFT, y + high - 7.0], [RIGHT - LEFT, 0.4], RULE);
    flow.y = y + high - 8.0;
}

/// Grey where no category is suggested.
fn tone(category: Option<Category>) -> Colour {
    match category {
        Some(Category::Benign | Category::ProbablyBenign) => GREEN,
        Some(Category::Suspicious) => BROWN,
        None => GREY,
    }
}

fn impression(draft: &Draft<'_>, font: &mut Font, flow: &mut Flow) {
    let w = draft.language.words();
    let said = draft.examination.impression(w);
    flow.y += 6.0;
    flow.heading(font, LEFT, 40.0, 12.0, w.breast().impression);
    flow.y += 16.0;
    for line in font.wrap(&said, 10.0, RIGHT - LEFT) {
        flow.line(font, LEFT, 13.0, 10.0, tone(draft.examination.overall().ok()), &line);
    }
    flow.y += 10.0;
}
