//! The report draft as a PDF document: patient, findings with values or reasons, key images, provenance. One document
//! per language; the font is embedded, so it looks the same everywhere.

pub mod breast;
mod font;
mod layout;
pub mod mammography;
mod printable;
pub mod protocol;

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use font::Font;
use layout::{AMBER, BROWN, Colour, Flow, GREEN, GREY, HEIGHT, INK, LEFT, RIGHT, RULE, Sheet, WIDTH};
use models::findings::{ChestFinding, Evaluated, LungPart};
use models::number::Number;
use models::task::ct_quality::CtQuality;
use models::{ChestFindings, Volume};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, TextStr};
use rayon::prelude::*;

use crate::identity::Patient;
use crate::words::{self, FindingState, Language};
use crate::{KeyImage, Provenance, measure};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("font: {0}")]
    Font(String),
    #[error("{0} is too large for a PDF number")]
    Number(usize),
}

/// A count or size as a PDF integer.
fn number(n: usize) -> Result<i32, Error> {
    i32::try_from(n).map_err(|_| Error::Number(n))
}

/// A page picture, compressed.
#[derive(Debug)]
pub struct Picture {
    width: usize,
    height: usize,
    deflated: Vec<u8>,
    alternative: String,
}

/// The pages as images for a document.
pub fn pictures(pages: &[KeyImage]) -> Vec<Picture> {
    let picture = |page: &KeyImage| Picture {
        width: page.width,
        height: page.height,
        deflated: deflate(&page.rgb),
        alternative: page.alternative.clone(),
    };
    pages.par_iter().map(picture).collect()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// The content of the document.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'a> {
    pub patient: &'a Patient,
    pub findings: &'a ChestFindings,
    pub volume: &'a Volume,
    pub quality: Option<&'a CtQuality>,
    pub provenance: &'a Provenance,
    pub pictures: &'a [Picture],
    pub language: Language,
}

/// Writes the document. The same input gives the same bytes.
///
/// # Errors
/// When the font cannot be embedded.
pub fn write(draft: &Draft) -> Result<Vec<u8>, Error> {
    let patient = printable::patient(draft.patient, draft.language.words());
    let draft = &Draft { patient: &patient, ..*draft };
    let mut font = Font::new()?;
    let mut sheets = text(draft, &mut font);
    illustrate(draft.pictures, &mut sheets);
    let (title, patient, provenance, language) = (title(draft), draft.patient, draft.provenance, draft.language);
    frames(&Frame { title, patient, provenance, language }, &mut font, &mut sheets);
    let paper = Paper { title, tag: draft.language.words().tag(), pictures: draft.pictures };
    assemble(&paper, &font, sheets)
}

/// Pages with two pictures each.
fn illustrate(pictures: &[Picture], sheets: &mut Vec<Sheet>) {
    for (index, pair) in pictures.chunks(2).enumerate() {
        let mut sheet = Sheet::new();
        for (row, picture) in pair.iter().enumerate() {
            let width = RIGHT - LEFT;
            let height = width * picture.height as f32 / picture.width as f32;
            let top = 64.0 + row as f32 * (height + 18.0);
            sheet.picture(index * 2 + row, [LEFT, top], [width, height]);
        }
        sheets.push(sheet);
    }
}

/// What a file says of itself besides its pages.
struct Paper<'a> {
    title: &'a str,
    /// Language, as in RFC 5646.
    tag: &'a str,
    pictures: &'a [Picture],
}

/// Patient, technique, comparison, findings, impression, and what they were made with.
fn text(draft: &Draft, font: &mut Font) -> Vec<Sheet> {
    let (w, language) = (draft.language.words(), draft.language);
    let d = w.document();
    let mut flow = Flow::new();
    patient(draft.patient, draft.language, font, &mut flow);
    reviewed(draft, font, &mut flow);
    paragraph(font, &mut flow, d.technique, &words::technique(draft.findings, draft.volume, language), INK);
    paragraph(font, &mut flow, d.comparison, &words::compared(draft.findings, language).join("\n"), INK);
    table(draft, font, &mut flow);
    extents(draft, font, &mut flow);
    lungs(draft, font, &mut flow);
    if let Some(quality) = draft.quality {
        paragraph(font, &mut flow, d.quality, &words::quality(quality, language), INK);
    }
    impression(draft, font, &mut flow);
    paragraph(font, &mut flow, d.made, &draft.provenance.line(), GREY);
    let first = if draft.findings.review.is_some() { "" } else { d.draft };
    for line in [first, d.note].into_iter().flat_map(|text| font.wrap(text, 8.5, RIGHT - LEFT)).collect::<Vec<_>>() {
        flow.line(font, LEFT, 11.0, 8.5, GREY, &line);
    }
    flow.into_sheets()
}

/// Who has reviewed the findings and what was edited, before them.
fn reviewed(draft: &Draft, font: &mut Font, flow: &mut Flow) {
    let Some(said) = words::reviewed(draft.findings, draft.language) else { return };
    let edited = words::edited(draft.findings, draft.language);
    for said in std::iter::once(words::capital(&said)).chain(edited) {
        let said = printable::text(&said, draft.language.words());
        for line in font.wrap(&said, 10.0, RIGHT - LEFT) {
            flow.line(font, LEFT, 13.0, 10.0, INK, &line);
        }
    }
    flow.y += 8.0;
}

fn title(draft: &Draft) -> &'static str {
    let d = draft.language.words().document();
    if draft.findings.review.is_some() { d.reviewed_title } else { d.title }
}

fn patient(p: &Patient, language: Language, font: &mut Font, flow: &mut Flow) {
    let w = language.words().document();
    let facts = [&p.name, &p.id, &p.birth_date, &p.sex, &p.study_date, &p.accession, &p.description];
    let mut y = flow.y;
    let sheet = flow.room(0.0);
    for (i, (name, fact)) in w.patient.iter().zip(facts).enumerate() {
        let left = if i % 2 == 0 { LEFT } else { 310.0 };
        sheet.text(font, [left, y], 8.5, false, GREY, name);
        let room = if i + 1 == w.patient.len() { RIGHT - left - 74.0 } else { 190.0 };
        let fact = if fact.is_empty() { "-" } else { fact };
        let (size, lines) = fitting(font, fact, room);
        // Two smaller lines stand where one would.
        let top = if lines.len() > 1 { y - 4.5 } else { y };
        for (row, line) in lines.iter().enumerate() {
            sheet.text(font, [left + 74.0, top + row as f32 * 7.5], size, i == 0, INK, line);
        }
        if i % 2 == 1 {
            y += 16.0;
        }
    }
    sheet.fill([LEFT, y + 14.0], [RIGHT - LEFT, 0.8], RULE);
    flow.y = y + 34.0;
}

/// Each finding with its numbers, or with the reason why it is not known.
fn table(draft: &Draft, font: &mut Font, flow: &mut Flow) {
    let w = draft.language.words().document();
    flow.y += 4.0;
    flow.heading(font, LEFT, 60.0, 12.0, w.head);
    flow.y += 8.0;
    for line in words::lines(draft.findings, draft.language) {
        let (state, colour) = match line.state {
            FindingState::Found => (w.states[0], BROWN),
            FindingState::NotFound => (w.states[1], GREEN),
            FindingState::NotEvaluated => (w.states[2], GREY),
        };
        let lines = font.wrap(&line.text, 9.5, RIGHT - 250.0);
        let high = 12.0 * lines.len().max(1) as f32;
        flow.room(high + 7.0);
        let y = flow.y + 15.0;
        let sheet = flow.room(0.0);
        let name = words::name(line.finding, draft.language);
        sheet.text(font, [LEFT + 8.0, y], 9.5, line.state == FindingState::Found, INK, &name);
        sheet.text(font, [182.0, y], 9.5, line.state == FindingState::Found, colour, state);
        for (i, text) in lines.iter().enumerate() {
            let ink = if line.state == FindingState::Found { INK } else { GREY };
            sheet.text(font, [250.0, y + i as f32 * 12.0], 9.5, false, ink, text);
        }
        sheet.fill([LEFT, y - 10.0], [3.0, high + 1.0], colour);
        sheet.fill([LEFT, y + high - 7.0], [RIGHT - LEFT, 0.4], RULE);
        flow.y = y + high - 8.0;
    }
    flow.y += 22.0;
}

/// What was found, gravest first, with what published rules recommend.
fn impression(draft: &Draft, font: &mut Font, flow: &mut Flow) {
    let lines = words::impression(draft.findings, draft.volume, draft.language);
    if lines.is_empty() {
        return;
    }
    flow.y += 4.0;
    flow.heading(font, LEFT, 60.0, 12.0, draft.language.words().document().impression);
    flow.y += 16.0;
    let is_list = lines.len() > 1;
    for (one, number) in lines.iter().zip(1..) {
        let text = font.wrap(&one.text, 9.5, RIGHT - LEFT - 18.0);
        let advice: Vec<String> =
            one.advice.iter().flat_map(|advice| font.wrap(advice, 8.5, RIGHT - LEFT - 30.0)).collect();
        // What is recommended stays on the page of what it is recommended for.
        flow.room(12.0 * text.len() as f32 + 11.0 * advice.len() as f32);
        if is_list {
            let y = flow.y;
            flow.room(0.0).text(font, [LEFT + 2.0, y], 9.5, false, GREY, &format!("{number}."));
        }
        for line in &text {
            flow.line(font, LEFT + 18.0, 12.0, 9.5, INK, line);
        }
        for line in &advice {
            flow.line(font, LEFT + 30.0, 11.0, 8.5, GREY, line);
        }
        flow.y += 3.0;
    }
    flow.y += 8.0;
}

/// A value in the size in which it fits: one line, or two smaller ones. What does not fit even so ends in three dots, so that
/// nobody takes a part of a name for the name.
fn fitting(font: &Font, text: &str, room: f32) -> (f32, Vec<String>) {
    let lines = font.wrap(text, 10.0, room);
    if lines.len() == 1 {
        return (10.0, lines);
    }
    const SMALL: f32 = 7.0;
    let mut lines = font.wrap(text, SMALL, room);
    if lines.len() > 2 {
        lines.truncate(2);
        while let Some(last) = lines.last_mut().filter(|last| font.width(&format!("{last}..."), SMALL) > room) {
            if last.pop().is_none() {
                break;
            }
        }
        if let Some(last) = lines.last_mut() {
            last.push_str("...");
        }
    }
    (SMALL, lines)
}

fn paragraph(font: &mut Font, flow: &mut Flow, title: &str, text: &str, colour: Colour) {
    flow.heading(font, LEFT, 24.0, 9.5, title);
    flow.y += 13.0;
    for sentence in text.lines() {
        for line in font.wrap(sentence, 8.5, RIGHT - LEFT) {
            flow.line(font, LEFT, 11.0, 8.5, colour, &line);
        }
    }
    flow.y += 8.0;
}

/// The percentages for each part of the lungs, if there is pneumonia.
fn extents(draft: &Draft, font: &mut Font, flow: &mut Flow) {
    let Evaluated::Done(pneumonia) = &draft.findings.pneumonia else { return };
    let is_found = draft.findings.is_found(ChestFinding::Pneumonia) == Some(true);
    if !is_found || pneumonia.extents.is_empty() {
        return;
    }
    let w = draft.language.words().document();
    let columns = [330.0, 430.0, RIGHT];
    // The table stays on one page.
    flow.room(15.0 + 12.0 * pneumonia.extents.len() as f32);
    let mut y = flow.y;
    let sheet = flow.room(0.0);
    sheet.text(font, [LEFT, y], 9.5, true, INK, w.extents[0]);
    for (right, name) in columns.into_iter().zip(&w.extents[1..]) {
        sheet.text_right(font, [right, y], 8.5, GREY, name);
    }
    sheet.fill([LEFT, y + 4.0], [RIGHT - LEFT, 0.6], RULE);
    y += 15.0;
    for extent in &pneumonia.extents {
        let indent = if matches!(extent.part, LungPart::Lobe(_)) { 16.0 } else { 8.0 };
        let name = words::capital(&words::part(draft.findings, extent.part, draft.language.words()));
        sheet.text(font, [LEFT + indent, y], 9.0, false, INK, &name);
        let values = [
            format!("{:.0} ml", Number(extent.volume_ml)),
            format!("{:.1} %", Number(extent.ground_glass_percent)),
            format!("{:.1} %", Number(extent.consolidation_percent)),
        ];
        for (right, value) in columns.into_iter().zip(&values) {
            sheet.text_right(font, [right, y], 9.0, INK, value);
        }
        y += 12.0;
    }
    flow.y = y + 12.0;
}

fn lungs(draft: &Draft, font: &mut Font, flow: &mut Flow) {
    let w = draft.language.words().document();
    let text = match &draft.findings.lungs {
        Evaluated::NotEvaluated(why) => words::not_evaluated(why, draft.language),
        Evaluated::Done(_) => {
            let one = |lung: &models::findings::Lung| {
                let part = words::part(draft.findings, LungPart::Lung(lung.side), draft.language.words());
                let laa = lung.laa950_percent.map(|percent| format!(", LAA-950 {percent:.1} %")).unwrap_or_default();
                format!("{part} {:.2} L, {:.0} HU{laa}", Number(lung.volume_ml / 1000.0), Number(lung.mean_hu))
            };
            measure::lungs(draft.findings)
                .into_iter()
                .map(one)
                .collect::<Vec<_>>()
                .join(draft.language.words().separator())
        }
    };
    let remarks = words::remarks(draft.findings, draft.language);
    let remarks = remarks.map(|said| printable::text(&said, draft.language.words()));
    let text = std::iter::once(text).chain(remarks).collect::<Vec<_>>().join(draft.language.words().separator());
    paragraph(font, flow, w.lungs, &text, INK);
}

/// What is on every page.
struct Frame<'a> {
    title: &'a str,
    patient: &'a Patient,
    provenance: &'a Provenance,
    language: Language,
}

fn frames(head: &Frame<'_>, font: &mut Font, sheets: &mut [Sheet]) {
    let count = sheets.len();
    for (sheet, page) in sheets.iter_mut().zip(1..) {
        frame(head, font, sheet, page, count);
    }
}

/// Draws title, patient, page number and mark on a page.
fn frame(draft: &Frame<'_>, font: &mut Font, sheet: &mut Sheet, page: usize, count: usize) {
    let w = draft.language.words().document();
    sheet.text(font, [LEFT, 42.0], if page == 1 { 17.0 } else { 11.0 }, true, INK, draft.title);
    if page > 1 {
        let who = format!("{}   {}", draft.patient.name, draft.patient.id);
        sheet.text_right(font, [RIGHT, 42.0], 9.0, GREY, &who);
    }
    sheet.fill([LEFT, 52.0], [RIGHT - LEFT, 1.2], INK);
    if let Some(mark) = draft.provenance.mark() {
        sheet.fill([0.0, HEIGHT - 40.0], [WIDTH, 22.0], AMBER);
        let both = if w.mark.is_empty() { mark.to_owned() } else { format!("{}   {mark}", w.mark) };
        let width = font.width(&both, 9.5);
        sheet.text(font, [(WIDTH - width) / 2.0, HEIGHT - 25.5], 9.5, true, INK, &both);
    }
    sheet.text_right(font, [RIGHT, HEIGHT - 48.0], 8.0, GREY, &format!("{page} / {count}"));
    let utc: String = draft.provenance.created_utc.chars().take(16).collect();
    sheet.text(font, [LEFT, HEIGHT - 48.0], 8.0, false, GREY, &format!("{} UTC", utc.replace('T', " ")));
}

fn assemble(paper: &Paper<'_>, font: &Font, sheets: Vec<Sheet>) -> Result<Vec<u8>, Error> {
    let mut next = 0;
    let mut id = || {
        next += 1;
        Ref::new(next)
    };
    let (catalog, tree, info) = (id(), id(), id());
    let font_ids = [id(), id(), id(), id(), id()];
    let pictures: Vec<Ref> = paper.pictures.iter().map(|_| id()).collect();
    let pages: Vec<[Ref; 2]> = sheets.iter().map(|_| [id(), id()]).collect();
    let size: usize = paper.pictures.iter().map(|p| p.deflated.len()).sum();
    let mut pdf = Pdf::with_capacity(size + 128 * 1024);
    let mut root = pdf.catalog(catalog);
    root.pages(tree);
    root.lang(TextStr(paper.tag));
    // Makes viewers show the title instead of the file name.
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    pdf.document_info(info).title(TextStr(paper.title)).creator(TextStr(crate::provenance::DEVICE_MODEL));
    pdf.pages(tree).kids(pages.iter().map(|p| p[0])).count(number(pages.len())?);
    for (sheet, [page, content]) in sheets.into_iter().zip(&pages) {
        let mut written = pdf.page(*page);
        written.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(*content);
        let mut resources = written.resources();
        resources.fonts().pair(Name(b"F1"), font_ids[0]);
        let mut objects = resources.x_objects();
        for number in &sheet.pictures {
            objects.pair(Name(format!("P{number}").as_bytes()), pictures[*number]);
        }
        objects.finish();
        resources.finish();
        written.finish();
        let packed = deflate(&Content::finish(sheet.content));
        pdf.stream(*content, &packed).filter(Filter::FlateDecode);
    }
    for (picture, id) in paper.pictures.iter().zip(&pictures) {
        let mut image = pdf.image_xobject(*id, &picture.deflated);
        image.filter(Filter::FlateDecode);
        image.width(number(picture.width)?).height(number(picture.height)?);
        image.color_space().device_rgb();
        image.bits_per_component(8);
        image.pair(Name(b"Alt"), TextStr(&picture.alternative));
        image.finish();
    }
    font.write(&mut pdf, font_ids)?;
    Ok(pdf.finish())
}
