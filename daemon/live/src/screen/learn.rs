//! Proposes a scanner profile from a few seconds of pictures: the area that changes is the image, high contrast outside
//! it is text, evenly spaced ticks are the depth scale. A person must check the proposal before it is used. Pure.

use models::task::us_breast::blocks::{BLOCK, Blocks};

use super::profile::{Area, Profile, ProfileError, Scale, Text};
use super::ticks;

/// A pixel counts as changing when it varies by more than this over all pictures, grey levels.
const CHANGES: u8 = 12;
/// A block belongs to the image when at least this many of its pixels change.
const SHARE: usize = BLOCK * BLOCK / 4;
/// A block holds text, or something drawn like text, when its contrast is higher than this, grey levels.
const TEXT_CONTRAST: u8 = 70;
/// Ticks are searched within this distance of the image, pixels.
const BESIDE: usize = 320;
/// What is within this distance of the ticks belongs to the scale (long ticks, digits, focus mark), pixels.
const SCALE_WIDTH: usize = 40;
/// The fewest pictures from which a profile is proposed.
const LEAST_PICTURES: usize = 30;

/// Why no profile is proposed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    #[error("a picture of {bytes} bytes among pictures of {expected}")]
    OtherSize { bytes: usize, expected: usize },
    #[error("{0} pictures are too few, {LEAST_PICTURES} are needed")]
    TooFew(usize),
    #[error("nothing moves: scan something while the profile is learnt")]
    NothingMoves,
    /// What was found is no usable profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

/// Collects pictures one by one in constant memory.
#[derive(Debug)]
pub struct Learner {
    size: [usize; 2],
    low: Vec<u8>,
    high: Vec<u8>,
    last: Vec<u8>,
    pictures: usize,
}

impl Learner {
    /// For pictures of this width and height, pixels.
    pub fn new(size: [usize; 2]) -> Self {
        let pixels = size[0] * size[1];
        Self { size, low: vec![u8::MAX; pixels], high: vec![0; pixels], last: Vec::new(), pictures: 0 }
    }

    /// Adds a picture: grey levels, row by row.
    ///
    /// # Errors
    /// When it has another size.
    pub fn add(&mut self, grey: &[u8]) -> Result<(), LearnError> {
        if grey.len() != self.low.len() {
            return Err(LearnError::OtherSize { bytes: grey.len(), expected: self.low.len() });
        }
        self.low.iter_mut().zip(grey).for_each(|(low, v)| *low = (*low).min(*v));
        self.high.iter_mut().zip(grey).for_each(|(high, v)| *high = (*high).max(*v));
        self.last.clear();
        self.last.extend_from_slice(grey);
        self.pictures += 1;
        Ok(())
    }

    /// The profile that fits the pictures.
    ///
    /// # Errors
    /// When the pictures are too few, when nothing moves in them, or when `name` cannot name a profile.
    pub fn propose(&self, name: &str) -> Result<Profile, LearnError> {
        if self.pictures < LEAST_PICTURES {
            return Err(LearnError::TooFew(self.pictures));
        }
        let sector = self.sector().ok_or(LearnError::NothingMoves)?;
        let (scale, strip) = self.scale(sector).map_or((None, None), |(scale, strip)| (Some(scale), Some(strip)));
        let profile = Profile {
            name: name.to_owned(),
            screen: self.size,
            sector,
            freeze_icon: None,
            elevation_mm: None,
            // Only a person can measure it.
            pixel_aspect: None,
            scale,
            text: self.texts(sector, strip),
        };
        // Runs the same checks as for a file.
        Ok(Profile::parse(&profile.to_toml()?)?)
    }

    /// Millimetres of tissue per pixel down the last picture, by the ticks of `profile`.
    pub fn mm_per_pixel(&self, profile: &Profile) -> Option<f32> {
        let (area, mm_per_tick) = profile.drawn_ticks().filter(|_| profile.screen == self.size)?;
        Some(mm_per_tick / ticks::find(&self.cut(area), area.width)?.spacing)
    }

    /// The largest connected region that changes.
    fn sector(&self) -> Option<Area> {
        let blocks = Blocks::new(self.size, |pixels| {
            pixels.filter(|i| self.high[*i].saturating_sub(self.low[*i]) > CHANGES).count() >= SHARE
        });
        let region = blocks.regions(TOUCHING).into_iter().max_by_key(|region| region.blocks)?;
        let area = self.tightened(region.area.into());
        (area.width >= 32 && area.height >= 32).then_some(area)
    }

    /// The area without the outer rows and columns in which hardly anything changes.
    fn tightened(&self, area: Area) -> Area {
        let changes = |x: usize, y: usize| {
            let i = y * self.size[0] + x;
            self.high[i].saturating_sub(self.low[i]) > CHANGES
        };
        let [right, bottom] = area.end();
        let column = |x: &usize| (area.y..bottom).filter(|y| changes(*x, *y)).count() * 8 > area.height;
        let row = |y: &usize| (area.x..right).filter(|x| changes(*x, *y)).count() * 8 > area.width;
        let ends = |mut range: std::ops::Range<usize>, is: &dyn Fn(&usize) -> bool| {
            let first = range.clone().find(is)?;
            Some((first, range.rfind(is)? + 1 - first))
        };
        match (ends(area.x..right, &column), ends(area.y..bottom, &row)) {
            (Some((x, width)), Some((y, height))) => Area { x, y, width, height },
            _ => area,
        }
    }

    /// The ticks beside the sector, on the side with more of them, and their area.
    fn scale(&self, sector: Area) -> Option<(Scale, Area)> {
        let left = sector.x.saturating_sub(BESIDE);
        let right = sector.end()[0];
        let strips = [
            Area { x: left, width: sector.x - left, ..sector },
            Area { x: right, width: BESIDE.min(self.size[0] - right), ..sector },
        ];
        let found = strips.into_iter().filter_map(|strip| {
            let grey = self.cut(strip);
            Some((ticks::find(&grey, strip.width)?, strip, grey))
        });
        let (ticks, strip, grey) = found.max_by_key(|(ticks, ..)| ticks.count)?;
        let alike = |column: &usize| {
            let own: Vec<u8> = grey.iter().skip(*column).step_by(strip.width).copied().collect();
            ticks::find(&own, 1).is_some_and(|own| own.count == ticks.count)
        };
        let columns = (ticks.column..strip.width).take_while(alike).count().max(1);
        let longer = |column: Option<usize>| {
            let Some(column) = column.filter(|column| *column < strip.width) else { return false };
            let own: Vec<u8> = grey.iter().skip(column).step_by(strip.width).copied().collect();
            ticks::find(&own, 1).is_some_and(|own| (own.spacing / ticks.spacing - 2.0).abs() < 0.05)
        };
        // Long ticks every centimetre with short ones between them, or centimetres only.
        let halves = longer(Some(ticks.column + columns)) || longer(ticks.column.checked_sub(1));
        let area = Area { x: strip.x + ticks.column, width: columns, ..sector };
        let mm_per_tick = Some(if halves { 5.0 } else { 10.0 });
        Some((Scale { mm_per_pixel: None, ticks: Some(area), mm_per_tick }, area))
    }

    fn cut(&self, area: Area) -> Vec<u8> {
        let rows = self.last.chunks_exact(self.size[0].max(1)).skip(area.y).take(area.height);
        rows.flat_map(|row| &row[area.x..area.x + area.width]).copied().collect()
    }

    /// Areas of high contrast outside the sector. All of them are taken to identify the patient until a person says
    /// otherwise.
    fn texts(&self, sector: Area, strip: Option<Area>) -> Vec<Text> {
        let blocks = Blocks::new(self.size, |pixels| {
            let (low, high) = pixels.fold((u8::MAX, 0), |(l, h), i| (l.min(self.low[i]), h.max(self.high[i])));
            high.saturating_sub(low) > TEXT_CONTRAST
        });
        let regions = blocks.regions(WORDS).into_iter().map(|region| Area::from(region.area));
        let strip = strip.map(|ticks| Area {
            x: ticks.x.saturating_sub(SCALE_WIDTH),
            width: ticks.width + 2 * SCALE_WIDTH,
            ..ticks
        });
        let apart = |area: &Area| !overlap(*area, sector) && strip.is_none_or(|strip| !overlap(*area, strip));
        let text = |area| Text { says: "unknown".into(), area, identifies: true };
        regions.filter(apart).map(text).collect()
    }
}

fn overlap(a: Area, b: Area) -> bool {
    let ([a_right, a_bottom], [b_right, b_bottom]) = (a.end(), b.end());
    a.x < b_right && b.x < a_right && a.y < b_bottom && b.y < a_bottom
}

/// How many columns apart two blocks may be and still be one region: they touch, or only a space between words lies
/// between them.
const TOUCHING: usize = 1;
const WORDS: usize = 3;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const SIZE: [usize; 2] = [320, 240];
    pub const SECTOR: Area = Area { x: 80, y: 40, width: 160, height: 160 };

    /// A screen with speckle in the sector, ticks to the right of it, a name at the top and a clock that runs.
    pub fn screen(number: u32) -> Vec<u8> {
        let mut grey = vec![10; SIZE[0] * SIZE[1]];
        let mut word = 0x9E37_79B9u32.wrapping_mul(number + 1);
        for y in SECTOR.y..SECTOR.end()[1] {
            for pixel in &mut grey[y * SIZE[0] + SECTOR.x..][..SECTOR.width] {
                word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *pixel = 40 + (word >> 25) as u8;
            }
        }
        for tick in 0..8 {
            let length = if tick % 2 == 0 { 12 } else { 6 };
            grey[(SECTOR.y + tick * 20) * SIZE[0] + 248..][..length].fill(220);
        }
        for y in 8..18 {
            grey[y * SIZE[0] + 20..][..60].iter_mut().step_by(3).for_each(|v| *v = 230);
            let start = 240 + (number as usize % 10);
            grey[y * SIZE[0] + start..][..30].iter_mut().step_by(4).for_each(|v| *v = 230);
        }
        grey
    }

    #[test]
    fn sector_scale_and_text_are_found_where_they_are() {
        let mut learner = Learner::new(SIZE);
        (0..60).for_each(|number| learner.add(&screen(number)).unwrap());
        let profile = learner.propose("learnt").unwrap();
        assert_eq!((profile.screen, profile.sector), (SIZE, SECTOR));
        let (ticks, mm) = profile.drawn_ticks().unwrap();
        assert_eq!(profile.pixel_aspect, None);
        assert!(profile.ticks().is_none(), "no size before a person has said that the pixels are square");
        assert!((learner.mm_per_pixel(&profile).unwrap() - 0.25).abs() < 0.01, "down the picture");
        assert_eq!((ticks.x, ticks.width, mm), (248, 6, 5.0));
        let covered = |x: usize, y: usize| {
            profile
                .text
                .iter()
                .any(|t| (t.area.x..t.area.end()[0]).contains(&x) && (t.area.y..t.area.end()[1]).contains(&y))
        };
        assert!(covered(20, 12) && covered(79, 12) && covered(245, 12), "{:?}", profile.text);
        assert!(!covered(160, 120), "the image is no text");
        assert!(profile.text.iter().all(|text| text.identifies), "masked until a person says otherwise");
    }

    #[test]
    fn too_few_or_still_pictures_teach_nothing() {
        let mut learner = Learner::new(SIZE);
        (0..29).for_each(|number| learner.add(&screen(number)).unwrap());
        assert_eq!(learner.propose("x"), Err(LearnError::TooFew(29)));
        let mut still = Learner::new(SIZE);
        (0..60).for_each(|_| still.add(&screen(1)).unwrap());
        assert_eq!(still.propose("x"), Err(LearnError::NothingMoves));
        assert!(still.add(&[0; 7]).is_err());
    }
}
