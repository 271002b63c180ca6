//! Captured pictures that a card reads where the capture device has put them, on the simulated driver and a device whose pictures lie in
//! shared memory: by both ways, as often as it must, never while the device may write, and nothing stays behind. A real card does the
//! contract in `make gpu`.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::accel::AccelFault;
use hal::capture::frame::{Layout, Shape};
use hal::capture::shared::Shared;
use hal::capture::{CaptureFault, Colour, Frame, PixelFormat};
use hal::contract;
use hal::cuda::simulated_ffi::Driver;
use hal::cuda::{Device, Route, Urgency};

const PATIENCE: Duration = Duration::from_secs(10);
/// For a card that does not answer.
const SHORT: Duration = Duration::from_millis(20);
const BUFFERS: usize = 3;

fn driver() -> (Driver, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let driver = Driver::load(Path::new(env!("CARGO_TARGET_TMPDIR")), &[]).unwrap();
    driver.say(c"heal", 0);
    (driver, turn)
}

/// Rows with a gap, which begin behind other bytes.
fn device(exports: bool) -> Shared {
    let layout = Layout { part: 0, offset: 5, stride: 70, row: 64, rows: 48 };
    let shape = Shape::laid_out(PixelFormat::Grey, 64, 48, Colour::default(), vec![layout]);
    Shared::new(shape, BUFFERS, exports).unwrap()
}

fn take(device: &mut Shared, seed: u8) -> Frame {
    let bytes: Vec<u8> = (0..5 + 47 * 70 + 64).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
    device.take(&bytes).unwrap()
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn nothing_is_left(driver: Driver) {
    assert_eq!((driver.say(c"registered now", 0), driver.say(c"imported now", 0)), (0, 0));
    for wrong in [c"freed twice", c"bad address", c"unmapped before it was unregistered", c"destroyed while mapped"] {
        assert_eq!(driver.say(wrong, 0), 0, "{wrong:?}");
    }
}

#[test]
fn sim_a_card_reads_pictures_where_they_lie_by_the_way_that_it_has() {
    let (driver, _turn) = driver();
    // Integrated, imports dmabufs, the device exports; then the way, and how often an import was asked for.
    for (integrated, imports, exports, route, asked) in [
        (1, 1, true, Route::Dmabuf, BUFFERS),
        (1, 1, false, Route::Registered, 0),
        (1, 0, true, Route::Registered, BUFFERS),
        (0, 1, true, Route::Registered, 0),
    ] {
        for takes_fd in [0, 1] {
            driver.say(c"heal", 0);
            driver.say(c"integrated", integrated);
            driver.say(c"dmabuf", imports);
            driver.say(c"takes fd", takes_fd);
            let before = files();
            let card = Device::open(0).unwrap();
            let mut device = device(exports);
            let mut seed = 0;
            let by = contract::lent(&card, &mut || {
                seed += 1;
                take(&mut device, seed)
            });
            assert_eq!(by.unwrap(), route);
            assert_eq!(driver.say(c"asked for imports", 0), asked as i64, "once a buffer, of those cards that may");
            assert_eq!(driver.say(c"registrations", 0) + driver.say(c"imports", 0), BUFFERS as i64, "each buffer once");
            assert_eq!(
                (device.free(), driver.say(c"bytes up", 0)),
                (BUFFERS, 0),
                "all given back, nothing copied there"
            );
            drop(device);
            nothing_is_left(driver);
            drop(card);
            assert_eq!(files(), before, "no descriptor is left");
        }
    }
}

#[test]
fn sim_a_buffer_is_not_given_back_to_the_device_while_the_card_reads_it() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let stream = card.stream(Urgency::Live).unwrap();
    let mut device = device(false);
    let frame = take(&mut device, 1);
    let plane = frame.plane(0).unwrap().bytes.to_vec();
    let lent = card.lend(&frame, 0, frame.plane(0).unwrap().bytes).unwrap().unwrap();
    assert_eq!(lent.offset(), 5);
    drop(frame);
    assert_eq!(device.free(), BUFFERS - 1, "lent");
    let mut here = card.pinned(plane.len()).unwrap();
    stream.download(lent.buffer(), 5..5 + plane.len(), &mut here, 0).unwrap();
    lent.hold_on(&stream);
    drop(lent);
    assert_eq!(device.free(), BUFFERS - 1, "read by queued work");
    let others = [take(&mut device, 2), take(&mut device, 3)];
    assert_eq!(device.take(&[]).unwrap_err().kind(), CaptureFault::Busy, "the device finds no buffer that it may fill");
    stream.wait(PATIENCE).unwrap();
    assert_eq!(here.read().unwrap(), plane);
    drop(others);
    assert_eq!(device.free(), BUFFERS);
    drop(device);
    nothing_is_left(driver);
}

#[test]
fn sim_a_card_that_hangs_keeps_its_picture_also_when_the_device_goes_and_gives_all_back_when_it_answers() {
    let (driver, _turn) = driver();
    for imports in [0, 1] {
        driver.say(c"heal", 0);
        driver.say(c"dmabuf", imports);
        let card = Device::open(0).unwrap();
        let stream = card.stream(Urgency::Live).unwrap();
        let mut device = device(true);
        let (frame, idle) = (take(&mut device, 1), take(&mut device, 2));
        let bytes = frame.plane(0).unwrap().bytes;
        let lent = card.lend(&frame, 0, bytes).unwrap().unwrap();
        card.lend(&idle, 0, idle.plane(0).unwrap().bytes).unwrap().unwrap();
        let mut here = card.pinned(bytes.len()).unwrap();
        stream.download(lent.buffer(), 5..5 + bytes.len(), &mut here, 0).unwrap();
        lent.hold_on(&stream);
        driver.say(c"hung", 1);
        assert!(stream.wait(SHORT).is_err());
        let (want, now) = (bytes.to_vec(), || driver.say(c"registered now", 0) + driver.say(c"imported now", 0));
        drop((lent, frame, idle));
        assert_eq!(device.free(), BUFFERS - 1);
        // Unplugged.
        drop(device);
        assert_eq!((now(), driver.say(c"waited for a hung card", 0)), (2, 0), "nobody waits for the card");
        driver.say(c"hung", 0);
        stream.wait(PATIENCE).unwrap();
        assert_eq!(here.read().unwrap(), want, "it was still there");
        nothing_is_left(driver);
    }
}

#[test]
fn sim_a_driver_that_refuses_says_why_and_is_no_lost_card() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let mut device = device(true);
    let frame = take(&mut device, 1);
    let bytes = frame.plane(0).unwrap().bytes;
    driver.say(c"no register", 1);
    let refused = card.lend(&frame, 0, bytes).unwrap_err().to_string();
    assert!(
        refused.contains("importing the dmabuf") && refused.contains("registering a buffer"),
        "both ways: {refused}"
    );
    assert!(!card.is_lost());
    driver.say(c"no register", 0);
    assert_eq!(
        card.lend(&frame, 0, bytes).unwrap().unwrap().route(),
        Route::Registered,
        "nothing of the refusal stays"
    );
    driver.say(c"hung", 1);
    let stream = card.stream(Urgency::Live).unwrap();
    assert!(stream.wait(SHORT).is_err());
    let other = take(&mut device, 2);
    let refused = card.lend(&other, 0, other.plane(0).unwrap().bytes).unwrap_err();
    assert_eq!(refused.kind(), AccelFault::Device, "a card that does not answer is not asked");
    driver.say(c"hung", 0);
    stream.wait(PATIENCE).unwrap();
}

#[test]
fn sim_what_lies_in_no_buffer_of_a_device_is_not_lent() {
    let (driver, _turn) = driver();
    let card = Device::open(0).unwrap();
    let shape = Shape::tight(PixelFormat::Grey, 8, 8, Colour::default());
    let own = Frame::new(shape, 0, Duration::ZERO, std::sync::Arc::new(vec![7; 64]));
    assert!(card.lend(&own, 0, own.part(0)).unwrap().is_none());
    let mut device = device(false);
    let frame = take(&mut device, 1);
    let elsewhere = vec![0; 64];
    assert!(card.lend(&frame, 0, &elsewhere).unwrap().is_none(), "a decoded picture, for example");
    assert_eq!(driver.say(c"registrations", 0), 0);
}

#[test]
fn sim_a_card_that_is_opened_again_reaches_the_same_buffers() {
    let (driver, _turn) = driver();
    let mut device = device(false);
    let frame = take(&mut device, 1);
    let bytes = frame.plane(0).unwrap().bytes;
    for opened in 1..4 {
        let card = Device::open(0).unwrap();
        for _ in 0..3 {
            assert!(card.lend(&frame, 0, bytes).unwrap().is_some());
        }
        assert_eq!((driver.say(c"registrations", 0), driver.say(c"registered now", 0)), (opened, 1));
    }
    drop((frame, device));
    nothing_is_left(driver);
}
