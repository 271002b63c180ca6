//! A page with the four standard views of a mammography as they are hung: right and left CC above, right and left MLO below, the chest
//! walls together in the middle, all in one scale; with outline, muscle and nipple as they were read, and the marks of a network.

use dicom::mammogram::turn::Turn;
use models::task::mammography_views::StandardView;
use models::task::mg_breast::marks::{Mark, MarkedView};
use models::task::mg_breast::{Reading, Remark, Side};

use super::{
    AMBER, BACKGROUND, BLACK, BODY, DIM, KeyImage, SMALL, STRONG, TEXT, TITLE, WIDTH, footer, footer_top_of, made,
    shortened,
};
use crate::canvas::{Canvas, Colour, pixels, whole};
use crate::letters::Type;
use crate::views::{Hung, Mammography, marks};
use crate::words::{Language, Words, capital, signed};
use crate::{Provenance, dataset};

/// Higher than other pages: two rows of breasts.
const HEIGHT: usize = 1180;
/// Left and right of the pictures; beside them are the words.
const PICTURES: [usize; 2] = [24, 800];
const TOP: usize = 64;
const GAP: usize = 6;
const WORDS: usize = 820;
/// Of the picture for a document: wide and high.
const VIEWS: [usize; 2] = [880, 940];
/// Around the breast in a picture, mm.
const MARGIN_MM: f32 = 6.0;
/// Of pictures without millimetres: about that of a detector in 640 pixels.
const NOMINAL_MM: f32 = 0.4;
/// Marks that are described on the page; the report has all.
const DESCRIBED: usize = 8;

const OUTLINE: Colour = Colour::new(96, 178, 255);
const MUSCLE: Colour = Colour::new(112, 220, 160);
const NIPPLE: Colour = Colour::new(255, 120, 190);

/// One page in one language.
pub fn page(study: &Mammography, provenance: &Provenance, language: Language) -> KeyImage {
    let w = language.words();
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    canvas.text([24, 12], w.mammography(), TITLE, TEXT);
    let beside = 24 + whole(TITLE.width(w.mammography())) + 16;
    let reviewed = study.marked.review.as_ref().map(|review| signed(review.signature(), w));
    canvas.text([beside, 25], reviewed.as_deref().unwrap_or_else(|| w.page().draft), BODY, DIM);
    canvas.text_right(WIDTH - 24, 25, &made(provenance), BODY, DIM);
    let bottom = footer_top_of(HEIGHT, provenance, [24, WIDTH - 24]) - 12;
    hang(&mut canvas, study, [PICTURES[0], TOP, PICTURES[1], bottom], SMALL, w);
    words(&mut canvas, study, bottom, w);
    footer(&mut canvas, provenance, [24, WIDTH - 24]);
    // The title goes into text of DICOM, which is plain ASCII in every object.
    let title = dataset::ascii(Language::English.words().mammography(), dicom_core::VR::UT);
    KeyImage::new(title, w.mammography().to_owned(), canvas)
}

/// The four views alone, for a document that says the rest itself.
pub fn views(study: &Mammography, language: Language) -> KeyImage {
    let w = language.words();
    let mut canvas = Canvas::new(VIEWS[0], VIEWS[1], BACKGROUND);
    hang(&mut canvas, study, [0, 0, VIEWS[0], VIEWS[1]], BODY, w);
    let title = dataset::ascii(Language::English.words().mammography(), dicom_core::VR::UT);
    KeyImage::new(title, w.mammography().to_owned(), canvas)
}

/// The four views in their places, with their names and why a place is empty.
fn hang(canvas: &mut Canvas, study: &Mammography, area: [usize; 4], style: Type, w: &dyn Words) {
    let shown: Vec<Shown<'_>> = study.hung.iter().filter_map(|hung| Shown::of(study, hung)).collect();
    let cell = [(area[2] - area[0] - GAP) / 2, (area[3] - area[1] - GAP) / 2];
    // One scale for all: a breast that is smaller looks smaller.
    let scale = shown.iter().map(|one| one.most(cell)).fold(f32::MAX, f32::min);
    for (place, view) in StandardView::ALL.into_iter().enumerate() {
        let corner = [area[0] + (place % 2) * (cell[0] + GAP), area[1] + (place / 2) * (cell[1] + GAP)];
        let area = [corner[0], corner[1], corner[0] + cell[0], corner[1] + cell[1]];
        canvas.fill(corner, cell, BLACK);
        let mut words = vec![(w.standard_view(view).to_owned(), TEXT)];
        let doubt = match shown.iter().find(|one| one.hung.view == view) {
            Some(one) => {
                one.draw(canvas, area, scale);
                one.lies_elsewhere.then(|| capital(w.mammogram_remark(Remark::OtherSide)))
            }
            None => Some(empty(study, view, w).to_owned()),
        };
        let lines = doubt.map(|doubt| style.wrap(&doubt, pixels(cell[0] - 16))).unwrap_or_default();
        words.extend(lines.into_iter().map(|line| (line, AMBER)));
        for (row, (text, colour)) in words.iter().enumerate() {
            let left = if view.is_right() { area[0] + 8 } else { area[2] - 8 - whole(style.width(text)) };
            canvas.label([left, area[1] + 6 + row * 24], text, style, *colour);
        }
    }
}

/// Why no picture is in a place.
fn empty(study: &Mammography, view: StandardView, w: &dyn Words) -> &'static str {
    let (views, fixed) = (&study.views, w.mammograms());
    if views.found.iter().any(|found| found.view == view) {
        return fixed.not_read;
    }
    if views.in_parts.iter().any(|one| one.view == view) { fixed.in_parts } else { fixed.missing }
}

/// What is said beside the pictures.
fn words(canvas: &mut Canvas, study: &Mammography, bottom: usize, w: &dyn Words) {
    let width = pixels(WIDTH - 24 - WORDS);
    let mut y = TOP;
    let mut put = |canvas: &mut Canvas, text: &str, style, colour, gap: usize| {
        for line in shortened(Type::wrap(style, text, width), 6) {
            if y + 20 <= bottom {
                canvas.text([WORDS, y], &line, style, colour);
            }
            y += 20;
        }
        y += gap;
    };
    for (name, colour) in w.mammogram_lines().into_iter().zip([OUTLINE, MUSCLE, NIPPLE]) {
        put(canvas, name, SMALL, colour, 0);
    }
    put(canvas, "", SMALL, DIM, 0);
    let Some(found) = &study.views.marks else {
        return put(canvas, &capital(w.not_marked()), SMALL, DIM, 0);
    };
    if !found.views.is_empty() {
        put(canvas, &capital(&w.marks_counted(found.count(), found.views.len())), STRONG, TEXT, 2);
        for stage in marks::stages(found, w) {
            put(canvas, &capital(&stage), SMALL, DIM, 2);
        }
        put(canvas, "", SMALL, DIM, 0);
        for (view, mark) in marks::all(found).take(DESCRIBED) {
            put(canvas, &format!("{}  {}", mark.number, w.mark(mark, view.view)), SMALL, AMBER, 6);
        }
        if let Some(more) = found.count().checked_sub(DESCRIBED).filter(|more| *more > 0) {
            put(canvas, &w.more_in_report(more), SMALL, DIM, 6);
        }
        put(canvas, &capital(&w.breast_scores(found.right, found.left)), SMALL, TEXT, 8);
    }
    for said in marks::withheld(found, w) {
        put(canvas, &capital(&said), SMALL, TEXT, 8);
    }
    put(canvas, &capital(w.phantoms_only()), STRONG, AMBER, 0);
}

/// A picture with what was read and marked in it.
struct Shown<'a> {
    hung: &'a Hung,
    reading: &'a Reading,
    marked: Option<&'a MarkedView>,
    /// Of a pixel of `hung`.
    mm: f32,
    /// Left, top, right, bottom of the part that is shown, pixels of `hung`.
    part: [f32; 4],
    turn: Turn,
    /// Header and pixels contradict each other about the side of the chest wall.
    lies_elsewhere: bool,
}

impl<'a> Shown<'a> {
    fn of(study: &'a Mammography, hung: &'a Hung) -> Option<Self> {
        let own = |uid: &str| uid == hung.sop_instance_uid;
        let read = study.views.pictures.iter().find(|picture| own(&picture.sop_instance_uid))?;
        let reading = read.read.as_ref().ok()?;
        let marks = study.views.marks.as_ref();
        let marked = marks.and_then(|marks| marks.views.iter().find(|view| own(&view.sop_instance_uid)));
        let mm = reading.mm_per_pixel.unwrap_or(NOMINAL_MM);
        let margin = MARGIN_MM / mm;
        let size = hung.size.map(pixels);
        let mut part = [f32::MAX, f32::MAX, 0.0f32, 0.0f32];
        for [x, y] in &reading.breast.outline {
            part = [part[0].min(*x), part[1].min(*y), part[2].max(*x), part[3].max(*y)];
        }
        let part = [
            (part[0] - margin).max(0.0),
            (part[1] - margin).max(0.0),
            (part[2] + margin).min(size[0]),
            (part[3] + margin).min(size[1]),
        ];
        (part[0] < part[2] && part[1] < part[3]).then(|| {
            // As on the page of studies: the header counts, the pixels where it is silent.
            let turn = hung.turn.unwrap_or_else(|| by_pixels(reading.chest_wall, hung.view));
            let lies_elsewhere = read.remarks.contains(&Remark::OtherSide);
            Self { hung, reading, marked, mm, part, turn, lies_elsewhere }
        })
    }

    /// The most pixels of the page for one millimetre.
    fn most(&self, cell: [usize; 2]) -> f32 {
        let size = self.size();
        (pixels(cell[0]) / (size[0] * self.mm)).min(pixels(cell[1]) / (size[1] * self.mm))
    }

    /// Width and height of the part once it is turned, pixels of `hung`.
    fn size(&self) -> [f32; 2] {
        let [left, top, right, bottom] = self.part;
        let size = [right - left, bottom - top];
        if self.turn.transposed { [size[1], size[0]] } else { size }
    }

    fn draw(&self, canvas: &mut Canvas, area: [usize; 4], scale: f32) {
        let place = Place::new(self, area, scale);
        for y in area[1]..area[3] {
            for x in area[0]..area[2] {
                if let Some(level) = place.level(self, [pixels(x) + 0.5, pixels(y) + 0.5]) {
                    canvas.grey(x, y, level);
                }
            }
        }
        let line = |points: &[[f32; 2]]| points.iter().map(|point| place.on_page(*point)).collect::<Vec<_>>();
        canvas.stroke(&line(&self.reading.breast.outline), false, 1.2, OUTLINE, area);
        if let Some(muscle) = &self.reading.muscle {
            canvas.stroke(&line(&muscle.edge), false, 1.2, MUSCLE, area);
        }
        let [x, y] = place.on_page(self.reading.nipple.at);
        canvas.stroke(&[[x - 7.0, y], [x + 7.0, y]], false, 1.6, NIPPLE, area);
        canvas.stroke(&[[x, y - 7.0], [x, y + 7.0]], false, 1.6, NIPPLE, area);
        for (view, mark) in self.marked.iter().flat_map(|view| view.marks.iter().map(move |mark| (view, mark))) {
            // Marks are in pixels of the stored picture, which are finer.
            draw_mark(canvas, &place, mark, view.mm_per_pixel / self.mm, area);
        }
    }
}

/// `ratio`: pixels of the picture for one in which marks are given.
fn draw_mark(canvas: &mut Canvas, place: &Place, mark: &Mark, ratio: f32, area: [usize; 4]) {
    let corner = |x: f32, y: f32| place.on_page([x * ratio, y * ratio]);
    let [left, top, right, bottom] = mark.bounds;
    let frame = [corner(left, top), corner(right, top), corner(right, bottom), corner(left, bottom)];
    canvas.stroke(&frame, true, 2.0, AMBER, area);
    let right = frame.iter().map(|point| point[0]).fold(0.0, f32::max);
    let top = frame.iter().map(|point| point[1]).fold(f32::MAX, f32::min);
    let at = [whole(right + 3.0).min(area[2] - 22), whole(top).max(area[1])];
    canvas.label(at, &mark.number.to_string(), STRONG, AMBER);
}

/// So that the chest wall lies at the middle of the four; which end is up the pixels do not say.
fn by_pixels(chest_wall: Side, view: StandardView) -> Turn {
    let transposed = matches!(chest_wall, Side::Top | Side::Bottom);
    // Once rows and columns have changed places, what was at the top is at the left.
    let is_right = matches!(chest_wall, Side::Right | Side::Bottom);
    Turn { transposed, mirrored: is_right != view.is_right(), upended: false }
}

/// Where a picture lies on the page: its chest wall at the middle of the four.
struct Place {
    /// Of the left and the top of the part, on the page; pixels of the page for one of the picture.
    origin: [f32; 2],
    scale: f32,
    part: [f32; 4],
    /// Of the part once it is turned.
    size: [f32; 2],
    turn: Turn,
}

impl Place {
    fn new(shown: &Shown<'_>, area: [usize; 4], scale: f32) -> Self {
        let scale = scale * shown.mm;
        let size = shown.size();
        let [wide, high] = size.map(|side| side * scale);
        let x = if shown.hung.view.is_right() { pixels(area[2]) - wide } else { pixels(area[0]) };
        let y = pixels(area[1]) + (pixels(area[3] - area[1]) - high).max(0.0) / 2.0;
        Self { origin: [x, y], scale, part: shown.part, size, turn: shown.turn }
    }

    fn on_page(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let mut at = [x - self.part[0], y - self.part[1]];
        if self.turn.transposed {
            at.swap(0, 1);
        }
        let at = self.flipped(at);
        [self.origin[0] + at[0] * self.scale, self.origin[1] + at[1] * self.scale]
    }

    /// The point of the picture at a point of the page; `None` outside of the part.
    fn in_picture(&self, on_page: [f32; 2]) -> Option<[f32; 2]> {
        let at = [0, 1].map(|axis| (on_page[axis] - self.origin[axis]) / self.scale);
        if !(0..2).all(|axis| (0.0..self.size[axis]).contains(&at[axis])) {
            return None;
        }
        let mut at = self.flipped(at);
        if self.turn.transposed {
            at.swap(0, 1);
        }
        Some([at[0] + self.part[0], at[1] + self.part[1]])
    }

    /// Left and right, up and down changed as they are to be; twice is nothing.
    fn flipped(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [wide, high] = self.size;
        [if self.turn.mirrored { wide - x } else { x }, if self.turn.upended { high - y } else { y }]
    }

    /// Grey at a point of the page, interpolated; `None` outside of the part.
    fn level(&self, shown: &Shown<'_>, at: [f32; 2]) -> Option<u8> {
        let [x, y] = self.in_picture(at)?;
        let [width, height] = shown.hung.size;
        let value = |x: usize, y: usize| {
            let at = y.min(height.saturating_sub(1)) * width + x.min(width.saturating_sub(1));
            f32::from(shown.hung.grey.get(at).copied().unwrap_or(0))
        };
        let from = [(x - 0.5).max(0.0), (y - 0.5).max(0.0)];
        let (i, j) = (whole(from[0]), whole(from[1]));
        let (u, v) = (from[0] - pixels(i), from[1] - pixels(j));
        let above = value(i, j) * (1.0 - u) + value(i + 1, j) * u;
        let below = value(i, j + 1) * (1.0 - u) + value(i + 1, j + 1) * u;
        // Whole numbers of 0 to 255 fit.
        Some(u8::try_from(whole((above * (1.0 - v) + below * v).round())).unwrap_or(u8::MAX))
    }
}

#[cfg(test)]
#[path = "hanging_tests.rs"]
mod tests;
