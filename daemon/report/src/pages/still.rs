//! A page for one ultrasound picture of a scanner: its image area with the outlines of the lesions in it, and their sizes and
//! scores beside it. What the scanner wrote around the image is not shown.

use models::number::Number;
use models::review::Signature;
use models::task::us_breast::Sector;
use models::task::us_breast::lesion::Lesion;

use super::{
    AMBER, BACKGROUND, BLACK, BODY, DIM, HEIGHT, KeyImage, SMALL, STRONG, TEXT, TITLE, WIDTH, footer, footer_top, made,
    shortened,
};
use crate::canvas::{Canvas, pixels, whole};
use crate::stills::{KeyPicture, NoSize, Stills};
use crate::ultrasound::{ExamPicture, Seen};
use crate::words::{Language, Words, capital, signed};
use crate::{Provenance, dataset};

/// Left and right of the picture, pixels; beside it are the words.
const PICTURE: [usize; 2] = [24, 776];
const TOP: usize = 64;
const WORDS: usize = 796;
/// Lesions that are described on a page; the report has all.
const DESCRIBED: usize = 5;

/// A picture and what lies in it.
struct Shown<'a> {
    sector: Sector,
    grey: &'a [u8],
    lesions: Vec<(&'a Lesion, NoSize)>,
    /// Instance number and frame of the picture.
    number: Option<i64>,
    frame: Option<u32>,
    reviewed: Option<String>,
}

/// Of a stored image, one page in one language.
pub fn page(stills: &Stills, key: &KeyPicture, provenance: &Provenance, language: Language) -> KeyImage {
    let w = language.words();
    let lesions = stills.lesions.iter().filter(|one| key.shows(one));
    let shown = Shown {
        sector: key.sector,
        grey: &key.grey,
        lesions: lesions.map(|one| (&one.lesion, one.no_size.unwrap_or(NoSize::NoScale))).collect(),
        number: stills.images.get(key.image).and_then(|image| image.number),
        frame: key.frame,
        reviewed: stills.marked.review.as_ref().map(|review| signed(review.signature(), w)),
    };
    draw(&shown, provenance, language)
}

/// Of an exam that was recorded here: `seen` are its lesions, `review` who has signed.
pub fn exam_page(
    picture: &ExamPicture,
    seen: &[Seen],
    review: Option<Signature<'_>>,
    provenance: &Provenance,
    language: Language,
) -> KeyImage {
    let lesions = seen.iter().filter(|one| one.key == picture.key);
    let shown = Shown {
        sector: picture.sector,
        grey: &picture.grey,
        lesions: lesions.map(|one| (&one.lesion, NoSize::NoScale)).collect(),
        // As the key image is numbered in its series.
        number: i64::try_from(picture.key).ok().map(|index| index + 1),
        frame: None,
        reviewed: review.map(|review| signed(review, language.words())),
    };
    draw(&shown, provenance, language)
}

fn draw(picture: &Shown<'_>, provenance: &Provenance, language: Language) -> KeyImage {
    let w = language.words();
    let mut canvas = Canvas::new(WIDTH, HEIGHT, BACKGROUND);
    canvas.text([24, 12], w.breast_ultrasound(), TITLE, TEXT);
    let beside = 24 + whole(TITLE.width(w.breast_ultrasound())) + 16;
    canvas.text([beside, 25], picture.reviewed.as_deref().unwrap_or_else(|| w.page().draft), BODY, DIM);
    canvas.text_right(WIDTH - 24, 25, &made(provenance), BODY, DIM);
    let bottom = footer_top(provenance, [24, WIDTH - 24]) - 12;
    let area = [PICTURE[0], TOP, PICTURE[1], bottom];
    let place = Place::fit(picture.sector, area);
    place.draw(&mut canvas, picture);
    for (lesion, _) in &picture.lesions {
        let line: Vec<[f32; 2]> = lesion.outline.iter().map(|point| place.on_page(*point)).collect();
        canvas.stroke(&line, true, 2.0, AMBER, area);
        let [_, top, right, _] = lesion.bounds;
        let at = place.on_page([right, top]).map(whole);
        canvas.label([at[0].min(area[2] - 20), at[1].max(area[1])], &lesion.id.to_string(), STRONG, AMBER);
    }
    let caption = w.picture(picture.number, picture.frame);
    canvas.text([WORDS, TOP], &capital(&caption), STRONG, TEXT);
    let mut y = TOP + 32;
    for (lesion, no_size) in picture.lesions.iter().take(DESCRIBED) {
        canvas.text([WORDS, y], &w.lesion(lesion.id), STRONG, AMBER);
        y += 24;
        for words in [size(lesion, *no_size, w), w.malignant(lesion.malignant)] {
            for line in shortened(SMALL.wrap(&words, pixels(WIDTH - 24 - WORDS)), 3) {
                canvas.text([WORDS, y], &line, SMALL, TEXT);
                y += 19;
            }
        }
        y += 14;
    }
    if let Some(more) = picture.lesions.len().checked_sub(DESCRIBED).filter(|more| *more > 0) {
        canvas.text([WORDS, y], &w.more_in_report(more), SMALL, DIM);
    }
    footer(&mut canvas, provenance, [24, WIDTH - 24]);
    let english = Language::English.words();
    // The title goes into text of DICOM, which is plain ASCII in every object.
    let title = english.titled(english.breast_ultrasound(), &english.picture(picture.number, picture.frame));
    let title = dataset::ascii(&title, dicom_core::VR::UT);
    KeyImage::new(title, w.titled(w.breast_ultrasound(), &caption), canvas)
}

fn size(lesion: &Lesion, no_size: NoSize, w: &dyn Words) -> String {
    match lesion.size_mm {
        Some([long, short]) => format!("{:.1} x {:.1} mm", Number(long.into()), Number(short.into())),
        None => w.no_size(no_size).to_owned(),
    }
}

/// Where the image area lies on the page.
struct Place {
    /// Left, top, right, bottom.
    area: [usize; 4],
    /// Of the picture's image area, pixels of the picture.
    corner: [f32; 2],
    /// On the page.
    origin: [f32; 2],
    /// Pixels of the page for one of the picture.
    scale: f32,
}

impl Place {
    /// As large as it fits, centred.
    fn fit(sector: Sector, area: [usize; 4]) -> Self {
        let size = [pixels(sector.width.max(1)), pixels(sector.height.max(1))];
        let room = [pixels(area[2] - area[0]), pixels(area[3] - area[1])];
        let scale = (room[0] / size[0]).min(room[1] / size[1]);
        let origin = [0, 1].map(|a| pixels(area[a]) + (room[a] - size[a] * scale) / 2.0);
        Self { area, corner: [pixels(sector.x), pixels(sector.y)], origin, scale }
    }

    fn on_page(&self, point: [f32; 2]) -> [f32; 2] {
        [0, 1].map(|a| self.origin[a] + (point[a] - self.corner[a]) * self.scale)
    }

    /// The image area, interpolated between its pixels.
    fn draw(&self, canvas: &mut Canvas, picture: &Shown<'_>) {
        let [left, top, right, bottom] = self.area;
        canvas.fill([left, top], [right - left, bottom - top], BLACK);
        let (width, height) = (picture.sector.width, picture.sector.height);
        let level = |x: usize, y: usize| {
            let at = y.min(height.saturating_sub(1)) * width + x.min(width.saturating_sub(1));
            f32::from(picture.grey.get(at).copied().unwrap_or(0))
        };
        for y in top..bottom {
            for x in left..right {
                let at = [x, y].into_iter().zip(self.origin).map(|(p, o)| (pixels(p) + 0.5 - o) / self.scale);
                let at: Vec<f32> = at.collect();
                let outside = at[0] < 0.0 || at[1] < 0.0 || at[0] >= pixels(width) || at[1] >= pixels(height);
                if outside {
                    continue;
                }
                let from = [(at[0] - 0.5).max(0.0), (at[1] - 0.5).max(0.0)];
                let (i, j) = (whole(from[0]), whole(from[1]));
                let (u, v) = (from[0] - pixels(i), from[1] - pixels(j));
                let above = level(i, j) * (1.0 - u) + level(i + 1, j) * u;
                let below = level(i, j + 1) * (1.0 - u) + level(i + 1, j + 1) * u;
                canvas.grey(x, y, byte(above * (1.0 - v) + below * v));
            }
        }
    }
}

/// A level of grey; whole numbers of 0 to 255 fit.
fn byte(level: f32) -> u8 {
    u8::try_from(whole(level.round())).unwrap_or(u8::MAX)
}
