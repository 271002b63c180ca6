//! Cards by the driver's interface, on the simulated driver: what happens to memory, streams and errors. The arithmetic of the kernels
//! is compared with the processor's in `models/tests/steps.rs`.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::accel::AccelFault;
use hal::cuda::simulated_ffi::Driver;
use hal::cuda::{Box3, Device, Kernels, Pixels, Shares, Taper, Taps, Urgency};

const PATIENCE: Duration = Duration::from_secs(10);
/// For a card that does not answer.
const SHORT: Duration = Duration::from_millis(20);

/// One test at a time has the driver of this process.
fn driver() -> (Driver, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let driver = Driver::load(Path::new(env!("CARGO_TARGET_TMPDIR")), &[]).unwrap();
    driver.say(c"heal", 0);
    driver.say(c"cards", 1);
    (driver, turn)
}

#[test]
fn sim_a_card_says_what_it_is_and_live_work_goes_before_study_work() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let facts = card.facts();
    assert_eq!((facts.name.as_str(), facts.capability, facts.driver), ("Simulated card", (8, 7), (12, 8)));
    assert_eq!((facts.integrated, facts.priorities), (true, (0, -5)));
    assert_eq!(card.memory().unwrap().total, 8 << 30);
    let _study = card.stream(Urgency::Study).unwrap();
    assert_eq!((driver.say(c"priority", 0), driver.say(c"flags", 0)), (0, 1), "the least; waits for no other stream");
    let _live = card.stream(Urgency::Live).unwrap();
    assert_eq!(driver.say(c"priority", 0), -5, "the greatest of the range that the card says");
    let kernels = Kernels::load(&card).unwrap();
    assert_eq!(kernels.registers().unwrap().len(), 7);
}

#[test]
fn sim_a_card_that_is_not_there_is_an_error_value() {
    let (driver, _turn) = driver();
    driver.say(c"cards", 0);
    let none = Device::open(0).unwrap_err();
    assert_eq!(none.kind(), AccelFault::NotPresent, "{none}");
    driver.say(c"cards", 2);
    assert!(Device::open(1).is_ok());
    assert!(Device::open(2).unwrap_err().to_string().contains("counts 2"));
}

#[test]
fn sim_copies_arrive_and_memory_is_whose_work_it_is_until_that_has_ended() {
    let (driver, _turn) = driver();
    let before = driver.say(c"taken", 0);
    {
        let card = Device::open(0).unwrap();
        let stream = card.stream(Urgency::Live).unwrap();
        let (mut from, mut to) = (card.pinned::<u16>(8).unwrap(), card.pinned::<u16>(8).unwrap());
        assert_eq!(from.read().unwrap(), [0; 8]);
        from.write().unwrap().copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        let mut there = card.buffer::<u16>(6).unwrap();
        stream.clear(&mut there).unwrap();
        stream.upload(&mut from, 2..5, &mut there, 1).unwrap();
        stream.download(&there, 0..6, &mut to, 2).unwrap();
        for refused in [from.read().err(), to.read().err(), from.write().err()] {
            assert_eq!(refused.map(|error| error.kind()), Some(AccelFault::BadInput), "work that is queued uses it");
        }
        // The driver does the work late: what it uses must still be there.
        drop((from, there));
        stream.wait(PATIENCE).unwrap();
        assert_eq!(to.read().unwrap(), [0, 0, 0, 3, 4, 5, 0, 0]);
    }
    assert_eq!(driver.say(c"taken", 0), before, "all memory was given back");
    for wrong in [c"bad address", c"freed twice", c"written beyond", c"destroyed with work"] {
        assert_eq!(driver.say(wrong, 0), 0, "{wrong:?}");
    }
}

#[test]
fn sim_copies_beyond_a_buffer_are_refused() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let stream = card.stream(Urgency::Study).unwrap();
    let (mut here, mut there) = (card.pinned::<f32>(4).unwrap(), card.buffer::<f32>(4).unwrap());
    #[expect(clippy::reversed_empty_ranges)]
    for (range, at) in [(0..5, 0), (0..4, 1), (3..2, 0), (4..5, 0), (0..1, usize::MAX)] {
        let up = stream.upload(&mut here, range.clone(), &mut there, at).unwrap_err();
        let down = stream.download(&there, range, &mut here, at).unwrap_err();
        assert_eq!((up.kind(), down.kind()), (AccelFault::BadInput, AccelFault::BadInput));
    }
    stream.upload(&mut here, 4..4, &mut there, 4).unwrap();
    stream.wait(PATIENCE).unwrap();
    assert_eq!(driver.say(c"bad address", 0), 0);
}

#[test]
fn sim_a_stream_follows_a_mark_of_another_one() {
    let (_driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let (first, second) = (card.stream(Urgency::Study).unwrap(), card.stream(Urgency::Live).unwrap());
    let (mut from, mut to) = (card.pinned::<i32>(1).unwrap(), card.pinned::<i32>(1).unwrap());
    from.write().unwrap()[0] = 7;
    let mut there = card.buffer::<i32>(1).unwrap();
    first.upload(&mut from, 0..1, &mut there, 0).unwrap();
    let mark = first.mark().unwrap();
    second.follow(&mark).unwrap();
    second.download(&there, 0..1, &mut to, 0).unwrap();
    second.wait(PATIENCE).unwrap();
    assert_eq!(to.read().unwrap(), [7]);
    assert!(mark.is_over().unwrap());
    first.wait(PATIENCE).unwrap();
}

#[test]
fn sim_a_hung_card_hangs_nobody_and_is_used_again_when_it_answers() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let (late, other) = (card.stream(Urgency::Study).unwrap(), card.stream(Urgency::Live).unwrap());
    let (mut from, mut there) = (card.pinned::<u8>(9).unwrap(), card.buffer::<u8>(9).unwrap());
    let unused = (card.pinned::<u8>(5).unwrap(), card.buffer::<u8>(5).unwrap());
    late.upload(&mut from, 0..9, &mut there, 0).unwrap();
    driver.say(c"hung", 1);
    let error = late.wait(SHORT).unwrap_err();
    assert_eq!((error.kind(), card.is_lost()), (AccelFault::Device, false), "{error}");
    assert!(error.to_string().contains("20 ms"), "{error}");
    assert_eq!(late.upload(&mut from, 0..9, &mut there, 0).unwrap_err().kind(), AccelFault::Device, "no more work");
    assert_eq!(card.buffer::<u8>(1).unwrap_err().kind(), AccelFault::Device, "the driver would wait for the card");
    let taken = driver.say(c"taken", 0);
    // Memory that the card may still write to, and other memory.
    drop((from, there));
    drop(unused);
    assert_eq!(driver.say(c"taken", 0), taken, "nothing is given back");
    assert_eq!(driver.say(c"waited for a hung card", 0), 0);
    other.admit().unwrap();

    driver.say(c"hung", 0);
    late.wait(PATIENCE).unwrap();
    assert_eq!(driver.say(c"taken", 0), taken - 4, "given back late");
    assert!(card.buffer::<u8>(1).is_ok());
    assert_eq!(driver.say(c"bad address", 0), 0);
}

#[test]
fn sim_a_stream_that_never_answers_is_given_up_without_waiting_for_ever() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let stream = card.stream(Urgency::Live).unwrap();
    let (mut from, mut there) = (card.pinned::<u8>(9).unwrap(), card.buffer::<u8>(9).unwrap());
    let taken = driver.say(c"taken", 0);
    stream.upload(&mut from, 0..9, &mut there, 0).unwrap();
    driver.say(c"hung", 1);
    stream.wait(SHORT).unwrap_err();
    drop((from, there));
    drop(stream);
    drop(card);
    assert_eq!((driver.say(c"taken", 0), driver.say(c"destroyed with work", 0)), (taken, 0));
    assert_eq!(driver.say(c"waited for a hung card", 0), 0);
}

#[test]
fn sim_memory_that_the_card_has_not_is_out_of_memory() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    assert_eq!(card.buffer::<f32>(3 << 30).unwrap_err().kind(), AccelFault::OutOfMemory, "more than it has");
    assert_eq!(card.buffer::<f32>(usize::MAX / 3).unwrap_err().kind(), AccelFault::OutOfMemory, "more than can be");
    driver.say(c"no memory", 1);
    for error in [card.buffer::<u8>(1).unwrap_err(), card.pinned::<u8>(1).unwrap_err()] {
        assert_eq!(error.kind(), AccelFault::OutOfMemory);
        assert!(error.to_string().contains("out of memory"), "{error}");
    }
    driver.say(c"no memory", 0);
    assert!(card.buffer::<u8>(0).unwrap().is_empty(), "the card is usable after it");
}

#[test]
fn sim_a_lost_card_answers_with_an_error_and_is_not_touched_again() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let stream = card.stream(Urgency::Live).unwrap();
    let (mut from, mut there) = (card.pinned::<u8>(9).unwrap(), card.buffer::<u8>(9).unwrap());
    stream.upload(&mut from, 0..9, &mut there, 0).unwrap();
    driver.say(c"next work fails", 700);
    let error = stream.wait(PATIENCE).unwrap_err();
    assert_eq!((error.kind(), card.is_lost()), (AccelFault::Device, true), "{error}");
    assert!(error.to_string().contains("illegal memory access"), "the driver's words: {error}");
    // Even if the driver answered again: what was on the card is gone.
    driver.say(c"heal", 0);
    for error in [
        stream.upload(&mut from, 0..9, &mut there, 0).unwrap_err(),
        card.buffer::<u8>(1).unwrap_err(),
        card.memory().unwrap_err(),
        stream.wait(PATIENCE).unwrap_err(),
    ] {
        assert_eq!(error.kind(), AccelFault::Device, "{error}");
        assert!(error.to_string().contains("started again"), "the remedy: {error}");
    }
}

#[test]
fn sim_a_code_that_nobody_knows_is_a_failure_of_the_device() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let stream = card.stream(Urgency::Live).unwrap();
    let (mut from, mut there) = (card.pinned::<u8>(1).unwrap(), card.buffer::<u8>(1).unwrap());
    stream.upload(&mut from, 0..1, &mut there, 0).unwrap();
    driver.say(c"next work fails", 98_765);
    let error = stream.wait(PATIENCE).unwrap_err();
    assert_eq!(error.kind(), AccelFault::Device);
    assert!(error.to_string().contains("98765"), "{error}");
    driver.say(c"heal", 0);
    stream.wait(PATIENCE).unwrap();
}

#[test]
fn sim_kernels_refuse_what_does_not_fit_before_they_start() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let stream = card.stream(Urgency::Study).unwrap();
    let kernels = Kernels::load(&card).unwrap();
    let bad = |outcome: Result<(), hal::accel::Error>, what: &str| {
        assert_eq!(outcome.expect_err(what).kind(), AccelFault::BadInput, "{what}");
    };
    let half = [0.5f32, 0.5];
    let shares = Shares::new(&card, &stream, [(0, &half[..]), (2, &half[..])]).unwrap();
    let levels = || card.buffer::<u8>(256).unwrap();
    let pixels = |offset, stride, bytes| Pixels { offset, stride, rows: 4, bytes, levels: levels(), weights: [0; 3] };
    let picture = card.buffer::<u8>(16).unwrap();
    let mut out = card.buffer::<f32>(4).unwrap();
    kernels.letterbox(&stream, (&picture, &pixels(0, 4, 1)), [&shares, &shares], &mut out).unwrap();
    for (offset, stride, bytes) in [(1, 4, 1), (0, 5, 1), (0, 4, 2), (0, 4, 0), (usize::MAX, 4, 1)] {
        let outcome =
            kernels.letterbox(&stream, (&picture, &pixels(offset, stride, bytes)), [&shares, &shares], &mut out);
        bad(outcome, "a picture that is too short");
    }
    let mut short = card.buffer::<f32>(3).unwrap();
    bad(kernels.letterbox(&stream, (&picture, &pixels(0, 4, 1)), [&shares, &shares], &mut short), "the input");

    // Rows that the picture lacks are black, and not read: there is other memory behind it.
    let few = card.copied(&stream, &[200u8; 8]).unwrap();
    let lacking = Pixels { rows: 2, levels: card.copied(&stream, &[100; 256]).unwrap(), ..pixels(0, 4, 1) };
    kernels.letterbox(&stream, (&few, &lacking), [&shares, &shares], &mut out).unwrap();
    let mut seen = card.pinned::<f32>(4).unwrap();
    stream.download(&out, 0..4, &mut seen, 0).unwrap();
    stream.wait(PATIENCE).unwrap();
    assert_eq!(seen.read().unwrap(), [100.0 / 255.0, 100.0 / 255.0, 0.0, 0.0]);

    let taps = Taps::new(&card, &stream, &[(0, 1, 0.5), (1, 1, 0.0)]).unwrap();
    let volume = card.buffer::<i16>(8).unwrap();
    let mut grid = card.buffer::<f32>(8).unwrap();
    kernels.resample(&stream, (&volume, [1, 2, 4], true), [&taps; 3], &mut grid).unwrap();
    bad(kernels.resample(&stream, (&volume, [1, 2, 5], true), [&taps; 3], &mut grid), "the volume");
    bad(kernels.resample(&stream, (&volume, [1, 2, usize::MAX], true), [&taps; 3], &mut grid), "the volume");
    bad(kernels.resample(&stream, (&volume, [1, 2, 4], true), [&taps; 3], &mut out), "the grid");
    bad(kernels.whole(&stream, &grid, &mut card.buffer(7).unwrap()), "whole numbers");

    let whole = card.buffer::<i16>(8).unwrap();
    let patch = |x| Box3 { origin: [x, 0, 0], size: [2, 2, 2] };
    kernels.cut(&stream, (&whole, [2, 2, 2]), patch(0), [0.0, 1.0], (&mut grid, 0)).unwrap();
    bad(kernels.cut(&stream, (&whole, [2, 2, 2]), patch(1), [0.0, 1.0], (&mut grid, 0)), "beyond the grid");
    bad(kernels.cut(&stream, (&whole, [2, 2, 2]), patch(usize::MAX), [0.0, 1.0], (&mut grid, 0)), "beyond the grid");
    bad(kernels.cut(&stream, (&whole, [2, 2, 2]), patch(0), [0.0, 1.0], (&mut grid, 1)), "beyond the cut");
    bad(kernels.cut(&stream, (&whole, [2, 2, 3]), patch(0), [0.0, 1.0], (&mut grid, 0)), "another grid");

    let taper = Taper::new(&card, &stream, &[1.0, 1.0], &[1.0, 1.0, 1.0]).unwrap();
    let answer = card.buffer::<f32>(16).unwrap();
    let mut sums = card.buffer::<u16>(54).unwrap();
    kernels.blend(&stream, &answer, [&taper; 3], [1; 3], (&mut sums, 2)).unwrap();
    bad(kernels.blend(&stream, &answer, [&taper; 3], [1, 2, 1], (&mut sums, 2)), "beyond the grid");
    bad(kernels.blend(&stream, &answer, [&taper; 3], [1; 3], (&mut sums, 3)), "more channels");
    kernels.mark(&stream, (&sums, 27), 9, &mut card.buffer(27).unwrap()).unwrap();
    bad(kernels.mark(&stream, (&sums, 28), 9, &mut card.buffer(27).unwrap()), "beyond the values");
    stream.wait(PATIENCE).unwrap();
    drop((grid, out, sums));
    assert_eq!((driver.say(c"launches", 0), driver.say(c"written beyond", 0)), (7, 0));
}
