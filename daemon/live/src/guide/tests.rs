//! What is told of pictures that are lifted, frozen, swept fast or without a scale, and what counts for the place of the probe.

use hal::capture::Colour;
use hal::capture::frame::{Frame, PixelFormat, Shape};
use hal::clock::Manual;
use models::findings::Side;
use models::task::us_breast::scan::coverage::State;
use models::task::us_breast::scan::probe::Spot;

use super::*;
use crate::desk::Outlets;
use crate::name::NameCheck;
use crate::screen::profile::Scale;
use crate::view::{self, ProbeOrder, Stage, View};

const SIZE: [usize; 2] = [400, 300];
const SECTOR: Area = Area { x: 40, y: 30, width: 320, height: 240 };
const STEP_MS: u64 = 33;

fn profile(mm_per_pixel: Option<f32>) -> Profile {
    let scale = mm_per_pixel.map(|mm| Scale { mm_per_pixel: Some(mm), ticks: None, mm_per_tick: None });
    Profile { scale, pixel_aspect: Some(1.0), ..Profile::of_sector(SIZE, SECTOR) }
}

/// Speckle over which the picture moves by so many pixels from one to the next; the columns from `lifted` on show nothing but the probe.
struct Scanner {
    noise: Vec<u8>,
    number: u64,
    shift: usize,
    lifted: usize,
    still: bool,
}

const WIDE: usize = 4000;

impl Scanner {
    fn new() -> Self {
        let mut word = 7u32;
        let mut raw = Vec::new();
        for _ in 0..(WIDE + 4) * (SECTOR.height + 2) {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            raw.push((word >> 16) as f32 / 65536.0 - 0.5);
        }
        let smooth = |x: usize, y: usize| {
            let around = (0..2).flat_map(|b| (0..3).map(move |a| (y + b) * (WIDE + 4) + x + a));
            (80.0 * (1.0 + 0.5 * around.map(|i| raw[i]).sum::<f32>())).clamp(0.0, 255.0) as u8
        };
        let noise =
            (0..SECTOR.height).flat_map(|y| (0..WIDE).map(move |x| (x, y))).map(|(x, y)| smooth(x, y)).collect();
        Self { noise, number: 0, shift: 1, lifted: SECTOR.width, still: false }
    }

    fn picture(&mut self, exam: u64) -> Picture {
        self.number += 1;
        let from = if self.still { 0 } else { self.number as usize * self.shift % (WIDE - SECTOR.width) };
        let mut bytes = vec![0u8; SIZE[0] * SIZE[1]];
        for y in 0..SECTOR.height {
            let row = &mut bytes[(SECTOR.y + y) * SIZE[0] + SECTOR.x..][..SECTOR.width];
            row.copy_from_slice(&self.noise[y * WIDE + from..][..SECTOR.width]);
            // The noise of the receiver: without it the picture would stand still.
            let hiss = |x: usize| ((x * 31 + y * 17 + self.number as usize * 13) % 5) as u8;
            row.iter_mut().enumerate().skip(self.lifted).for_each(|(x, v)| *v = if y < 6 { 200 } else { hiss(x) });
        }
        let shape = Shape::tight(PixelFormat::Grey, SIZE[0] as u32, SIZE[1] as u32, Colour::default());
        let captured = Duration::from_millis(self.number * STEP_MS);
        let frame = Frame::new(shape, self.number, captured, Arc::new(bytes));
        Picture { sequence: self.number, captured, exam, frame }
    }
}

fn stand(profile: Profile) -> (Guide, View, Stage, Manual) {
    let clock = Manual::default();
    let (mut stage, view) = view::channel();
    let (spare, _) = view::channel();
    let Stage { guide, pictures, taken, overlay, status, stats, .. } = std::mem::replace(&mut stage, spare);
    let desk = Arc::new(Desk::new(
        Arc::new(clock.clone()),
        NameCheck::Off,
        Outlets { guide, pictures, taken, overlay, status, stats },
    ));
    let guide =
        Guide { desk, newest: Newest::default(), profiles: Profiles::of(vec![profile]), state: Watching::default() };
    (guide, view, stage, clock)
}

fn state(guide: &Guide, name: &str) -> &'static str {
    guide.state.items().iter().find(|item| item.name == name).map_or("", |item| item.state)
}

fn see(guide: &mut Guide, scanner: &mut Scanner, pictures: usize) {
    for _ in 0..pictures {
        let exam = guide.desk.exam_number();
        let picture = scanner.picture(exam);
        // The sign says that pictures are shown.
        guide.desk.picture(picture.frame.clone(), None);
        guide.see(Arc::new(picture));
    }
}

#[test]
fn a_probe_that_is_lifted_is_told_after_a_moment_and_with_its_side() {
    let (mut guide, ..) = stand(profile(Some(0.13)));
    let mut scanner = Scanner::new();
    see(&mut guide, &mut scanner, 40);
    assert_eq!([state(&guide, "contact"), state(&guide, "gain"), state(&guide, "speed")], ["good"; 3]);
    assert_eq!(state(&guide, "focus"), words::NOT_JUDGED, "there is no lesion");
    scanner.lifted = 180;
    see(&mut guide, &mut scanner, 10);
    assert_eq!(state(&guide, "contact"), "good", "not yet");
    see(&mut guide, &mut scanner, 40);
    assert_eq!(state(&guide, "contact"), "poor_right");
    scanner.lifted = 0;
    see(&mut guide, &mut scanner, 50);
    assert_eq!(state(&guide, "contact"), "poor_all");
    assert_eq!(state(&guide, "gain"), words::NOT_JUDGED, "nothing of the breast is seen");
}

#[test]
fn what_cannot_be_judged_is_named_with_its_reason() {
    let (mut guide, ..) = stand(profile(None));
    let mut scanner = Scanner::new();
    see(&mut guide, &mut scanner, 40);
    assert_eq!((state(&guide, "contact"), state(&guide, "speed")), ("good", words::NOT_JUDGED));
    let speed = guide.state.items().iter().find(|item| item.name == "speed").unwrap();
    assert!(speed.words.en.contains("scale") && speed.figures.is_empty(), "{speed:?}");
    scanner.still = true;
    see(&mut guide, &mut scanner, 60);
    assert!(guide.state.items().iter().all(|item| item.words.en.contains("stands still")));
    let (mut other, ..) = stand(Profile { screen: [640, 480], ..profile(None) });
    see(&mut other, &mut scanner, 1);
    assert!(other.state.items().iter().all(|item| item.words.en.contains("no scanner profile")));
}

#[test]
fn colours_over_the_picture_are_not_judged() {
    let (mut guide, ..) = stand(profile(Some(0.13)));
    let mut scanner = Scanner::new();
    let grey = scanner.picture(0);
    let shape = Shape::tight(PixelFormat::Rgb24, SIZE[0] as u32, SIZE[1] as u32, Colour::default());
    let levels = grey.frame.plane(0).unwrap().bytes.to_vec();
    let painted = |i: usize, level: u8| if i % SIZE[0] < 200 { [200, level / 4, 0] } else { [level; 3] };
    let bytes: Vec<u8> = levels.iter().enumerate().flat_map(|(i, level)| painted(i, *level)).collect();
    let frame = Frame::new(shape, 1, grey.captured, Arc::new(bytes));
    guide.see(Arc::new(Picture { frame, ..grey }));
    assert!(guide.state.items().iter().all(|item| item.words.en.contains("colours")), "{:?}", guide.state.items());
}

/// A shift of one pixel from picture to picture is 4 mm/s, one of six 24 mm/s.
#[test]
fn the_place_of_the_probe_gathers_time_by_contact_and_speed_and_nothing_without_an_exam() {
    let (mut guide, view, _stage, _) = stand(profile(Some(0.13)));
    let mut scanner = Scanner::new();
    let spot = |name: &str| Some(Spot::named(name).unwrap());
    let at = |guide: &Guide, name| {
        guide.desk.probe(ProbeOrder::At { side: Some(Side::Left), spot: spot(name), plane: None }, None).unwrap();
    };
    see(&mut guide, &mut scanner, 60);
    assert!(view.guide.borrow().coverage.is_empty(), "no exam runs");
    let patient = dicom::patient::Patient { id: "P1".into(), name: "PHANTOM^EVA".into(), ..Default::default() };
    guide.desk.start_exam(patient.into(), "2026-01-01T10:00:00Z", "2.25.1").unwrap();
    see(&mut guide, &mut scanner, 60);
    assert!(view.guide.borrow().coverage.is_empty(), "nobody has said where the probe is");
    at(&guide, "3-inner");
    see(&mut guide, &mut scanner, 120);
    at(&guide, "4-inner");
    scanner.shift = 6;
    see(&mut guide, &mut scanner, 90);
    at(&guide, "5-inner");
    (scanner.shift, scanner.lifted) = (1, 100);
    see(&mut guide, &mut scanner, 60);
    guide.desk.stop_exam("2026-01-01T10:10:00Z");
    let ended = view.status.borrow().ended.back().cloned().unwrap();
    let state = |name: &str| ended.coverage.state(Side::Left, Spot::named(name).unwrap());
    let states = ["3-inner", "4-inner", "5-inner", "6-inner"].map(state);
    assert_eq!(
        states,
        [State::LookedAt, State::TooFast, State::PoorContact, State::NotSwept],
        "{:?}",
        ended.coverage.looked()
    );
    assert!(view.guide.borrow().coverage.is_empty(), "the next exam begins with nothing");
}
