//! The steps that a card can do, on a simulated driver that runs the kernels' own source: the same numbers as the processor's, and what
//! happens when the card fails. `steps_card.rs` runs the same cases on a real one.
#![allow(clippy::unwrap_used)]

mod steps_cases;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hal::accel::AccelFault;
use hal::capture::convert::Part;
use hal::capture::frame::Shape;
use hal::capture::shared::Shared;
use hal::capture::{Colour, PixelFormat};
use hal::cuda::Urgency;
use hal::cuda::simulated_ffi::Driver;
use models::steps::{Card, Cpu, Steps};

/// One test at a time has the driver of this process.
fn driver() -> (Driver, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let driver = Driver::load(Path::new(env!("CARGO_TARGET_TMPDIR")), &[]).unwrap();
    driver.say(c"heal", 0);
    (driver, turn)
}

/// Nothing was read or written where it should not be.
fn clean(driver: Driver) {
    for wrong in [c"bad address", c"freed twice", c"written beyond", c"destroyed with work"] {
        assert_eq!(driver.say(wrong, 0), 0, "{wrong:?}");
    }
    assert!(driver.say(c"launches", 0) > 0, "kernels ran");
}

#[test]
fn sim_pictures_of_a_card_are_those_of_the_processor() {
    let (driver, _turn) = driver();
    steps_cases::letterbox(&Card::open(0, Urgency::Live).unwrap());
    clean(driver);
}

#[test]
fn sim_volumes_of_a_card_are_those_of_the_processor() {
    let (driver, _turn) = driver();
    steps_cases::resample(&Card::open(0, Urgency::Study).unwrap());
    clean(driver);
}

#[test]
fn sim_whole_numbers_of_a_card_are_those_of_the_processor() {
    let (driver, _turn) = driver();
    steps_cases::whole();
    clean(driver);
}

#[test]
fn sim_patches_of_a_card_are_those_of_the_processor() {
    let (driver, _turn) = driver();
    steps_cases::cut();
    clean(driver);
}

#[test]
fn sim_blended_answers_of_a_card_are_those_of_the_processor() {
    let (driver, _turn) = driver();
    steps_cases::blend_and_mark();
    clean(driver);
}

#[test]
fn sim_answers_that_make_no_sense_are_seen_by_a_card_as_by_the_processor() {
    let (driver, _turn) = driver();
    steps_cases::odd();
    clean(driver);
}

#[test]
fn sim_a_card_that_fails_costs_no_picture_and_no_volume() {
    let (driver, _turn) = driver();
    let (picture, volume, target) = steps_cases::examples();
    let part = Part { x: 3, y: 5, width: 40, height: 30 };
    let mut want = Vec::new();
    Cpu.pictures(part, [32, 32]).fill(&picture, &mut want).unwrap();
    for (fault, value) in [(c"no memory", 1), (c"hung", 1), (c"next work fails", 719)] {
        driver.say(c"heal", 0);
        let card = Card::open(0, Urgency::Live).unwrap();
        let mut pictures = card.pictures(part, [32, 32]);
        let mut have = Vec::new();
        pictures.fill(&picture, &mut have).unwrap();
        assert_eq!(have, want, "on the card");
        let launches = driver.say(c"launches", 0);
        driver.say(fault, value);
        if fault == c"no memory" {
            // Of what was taken before nothing is missing; a new stream of pictures gets none.
            pictures = card.pictures(part, [32, 32]);
        }
        for _ in 0..2 {
            pictures.fill(&picture, &mut have).unwrap();
            assert_eq!(have, want, "{fault:?}");
        }
        assert!(driver.say(c"launches", 0) <= launches + 1, "{fault:?}: the card is asked once more at most");
        assert_eq!(card.resample(&volume, &target), Cpu.resample(&volume, &target), "{fault:?}");
        driver.say(c"hung", 0);
    }
}

#[test]
fn sim_pictures_that_a_card_reads_where_they_lie_are_those_of_the_processor() {
    let (driver, _turn) = driver();
    let part = Part { x: 3, y: 5, width: 40, height: 30 };
    // The driver lets the card read them, by both ways, or not at all.
    for (imports, refuses) in [(1, 0), (0, 0), (0, 1)] {
        driver.say(c"heal", 0);
        driver.say(c"dmabuf", imports);
        driver.say(c"no register", refuses);
        let mut device = Shared::new(Shape::tight(PixelFormat::Nv12, 64, 48, Colour::default()), 2, true).unwrap();
        let mut pictures = Card::open(0, Urgency::Live).unwrap().pictures(part, [32, 32]);
        let mut cpu = Cpu.pictures(part, [32, 32]);
        let (mut have, mut want, mut crossed) = (Vec::new(), Vec::new(), 0);
        for seed in 0..6 {
            let frame = device.take(&steps_cases::noise(seed, 64 * 72)).unwrap();
            cpu.fill(&frame, &mut want).unwrap();
            let before = driver.say(c"bytes up", 0);
            pictures.fill(&frame, &mut have).unwrap();
            crossed = driver.say(c"bytes up", 0) - before;
            assert_eq!(have, want, "{imports} {refuses} {seed}");
        }
        let copied = 64 * 29 + 40;
        assert_eq!(crossed, if refuses == 1 { copied } else { 0 }, "{imports} {refuses}: bytes that were copied");
        assert!(driver.say(c"asked for imports", 0) <= 2, "a driver that refuses is not asked at every picture");
        assert_eq!(device.free(), 2);
        drop((device, pictures));
        assert_eq!((driver.say(c"registered now", 0), driver.say(c"imported now", 0)), (0, 0));
    }
    clean(driver);
}

#[test]
fn sim_a_picture_that_a_hung_card_may_still_read_is_prepared_on_the_processor_and_kept_from_its_device() {
    let (driver, _turn) = driver();
    let part = Part { x: 0, y: 0, width: 64, height: 48 };
    let mut device = Shared::new(Shape::tight(PixelFormat::Grey, 64, 48, Colour::default()), 2, false).unwrap();
    let mut pictures = Card::open(0, Urgency::Live).unwrap().pictures(part, [32, 32]);
    let frame = device.take(&steps_cases::noise(1, 64 * 48)).unwrap();
    let (mut have, mut want) = (Vec::new(), Vec::new());
    Cpu.pictures(part, [32, 32]).fill(&frame, &mut want).unwrap();
    driver.say(c"hung", 1);
    pictures.fill(&frame, &mut have).unwrap();
    assert_eq!(have, want);
    drop(frame);
    assert_eq!(device.free(), 1, "the device must not write where the card may read");
    let other = device.take(&steps_cases::noise(2, 64 * 48)).unwrap();
    pictures.fill(&other, &mut have).unwrap();
    drop(other);
    assert_eq!(device.free(), 1, "and goes on with the other buffer");
    driver.say(c"hung", 0);
}

#[test]
fn sim_without_a_card_the_processor_does_it() {
    let (driver, _turn) = driver();
    driver.say(c"cards", 0);
    assert_eq!(Card::open(0, Urgency::Live).unwrap_err().kind(), AccelFault::NotPresent);
    let on = |provider: &str| {
        let library = "a library".into();
        hal::accel::Description { provider: provider.into(), library, fallback: None, simulated: false }
    };
    assert_eq!(models::steps::beside(&on("cuda"), Urgency::Live).name(), "cpu");
    driver.say(c"cards", 1);
    assert_eq!(models::steps::beside(&on("cuda"), Urgency::Live).name(), "Simulated card");
    assert_eq!(models::steps::beside(&on("cpu"), Urgency::Live).name(), "cpu");
}
