//! The document about a mammography: what was examined, the four views as they hang, composition, marks, comparison, impression.

use super::font::Font;
use super::layout::{Flow, GREY, INK, LEFT, RIGHT, RULE};
use super::{Error, Frame, Paper, Picture, assemble, frames, paragraph, printable};
use crate::Provenance;
use crate::identity::Patient;
use crate::mammography::examination::Examination;
use crate::words::{Language, capital};

/// Where the words about a picture begin, beside its name.
const BESIDE: f32 = LEFT + 130.0;
/// Of the picture of the four views.
const WIDE: f32 = 330.0;

#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    pub patient: &'a Patient,
    pub examination: &'a Examination<'a>,
    pub provenance: &'a Provenance,
    /// The four views, or nothing where none was read.
    pub pictures: &'a [Picture],
    pub language: Language,
}

/// Writes the document. The same input gives the same bytes.
///
/// # Errors
/// When the font cannot be embedded.
pub fn write(draft: &Draft<'_>) -> Result<Vec<u8>, Error> {
    let w = draft.language.words();
    let (breast, fixed, document, exam) = (w.breast(), w.mammograms(), w.document(), draft.examination);
    let patient = printable::patient(draft.patient, w);
    let mut font = Font::new()?;
    let mut flow = Flow::new();
    super::patient(&patient, draft.language, &mut font, &mut flow);
    if let Some(said) = exam.reviewed(w) {
        paragraph(&mut font, &mut flow, breast.reviewed, &printable::text(&capital(&said), w), INK);
    }
    let views = exam.views(w).join(w.separator());
    paragraph(&mut font, &mut flow, breast.examination, &capital(&views), INK);
    hanging(draft, &mut font, &mut flow);
    pictures(draft, &mut font, &mut flow);
    // A name and a comment in it are typed.
    let findings: Vec<String> = exam.findings(w).iter().map(|said| printable::text(said, w)).collect();
    for (title, lines) in [
        (fixed.composition, exam.composition(w)),
        (breast.findings, findings),
        (document.comparison, exam.comparison(w)),
        (breast.impression, exam.impression(w)),
    ] {
        section(&mut font, &mut flow, title, &lines);
    }
    paragraph(&mut font, &mut flow, document.made, &draft.provenance.line(), GREY);
    let draft_note = if exam.study.marked.review.is_some() { "" } else { document.draft };
    for text in [draft_note, fixed.note] {
        for line in font.wrap(text, 8.5, RIGHT - LEFT) {
            flow.line(&mut font, LEFT, 11.0, 8.5, GREY, &line);
        }
    }
    let mut sheets = flow.into_sheets();
    let (title, provenance, language) = (fixed.title, draft.provenance, draft.language);
    frames(&Frame { title, patient: &patient, provenance, language }, &mut font, &mut sheets);
    assemble(&Paper { title, tag: w.tag(), pictures: draft.pictures }, &font, sheets)
}

/// Sentences, none of which is parted by the end of a page.
fn section(font: &mut Font, flow: &mut Flow, title: &str, lines: &[String]) {
    flow.heading(font, LEFT, 48.0, 9.5, title);
    flow.y += 13.0;
    for sentence in lines {
        let wrapped = font.wrap(sentence, 8.5, RIGHT - LEFT);
        flow.room(11.0 * wrapped.len() as f32);
        for line in wrapped {
            flow.line(font, LEFT, 11.0, 8.5, INK, &line);
        }
    }
    flow.y += 8.0;
}

/// The four views, with what their lines are below.
fn hanging(draft: &Draft<'_>, font: &mut Font, flow: &mut Flow) {
    let Some(picture) = draft.pictures.first() else { return };
    let legend = font.wrap(draft.language.words().mammograms().legend, 8.5, RIGHT - LEFT);
    let high = WIDE * picture.height as f32 / picture.width as f32;
    flow.room(high + 14.0 + 11.0 * legend.len() as f32);
    let left = LEFT + (RIGHT - LEFT - WIDE) / 2.0;
    let top = flow.y - 8.0;
    flow.room(0.0).picture(0, [left, top], [WIDE, high]);
    flow.y += high + 6.0;
    for line in legend {
        flow.line(font, LEFT, 11.0, 8.5, GREY, &line);
    }
    flow.y += 8.0;
}

/// Every picture in a row of its own.
fn pictures(draft: &Draft<'_>, font: &mut Font, flow: &mut Flow) {
    let w = draft.language.words();
    flow.heading(font, LEFT, 24.0, 9.5, w.mammograms().pictures);
    flow.y += 4.0;
    for [name, said] in draft.examination.pictures(w) {
        let name = font.wrap(&capital(&name), 8.5, BESIDE - LEFT - 10.0);
        let said = font.wrap(&capital(&said), 8.5, RIGHT - BESIDE);
        let high = 11.0 * name.len().max(said.len()) as f32;
        flow.room(high + 5.0);
        let y = flow.y + 10.0;
        let sheet = flow.room(0.0);
        for (lines, left) in [(&name, LEFT), (&said, BESIDE)] {
            for (row, line) in lines.iter().enumerate() {
                sheet.text(font, [left, y + row as f32 * 11.0], 8.5, false, INK, line);
            }
        }
        sheet.fill([LEFT, y + high - 7.0], [RIGHT - LEFT, 0.4], RULE);
        flow.y += high + 5.0;
    }
    flow.y += 16.0;
}
