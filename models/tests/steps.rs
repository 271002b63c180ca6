//! The steps that a card can do, on a simulated driver that runs the kernels' own source: the same numbers as the processor's, and what
//! happens when the card fails. `steps_card.rs` runs the same cases on a real one.
#![allow(clippy::unwrap_used)]

mod steps_cases;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hal::accel::AccelFault;
use hal::capture::convert::Part;
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
