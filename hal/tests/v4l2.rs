//! The capture contract on a video device of the caller's choice, for the lab bench and for a guest with the kernel's
//! pretend device: `modprobe vivid n_devs=1`, then
//!
//! ```sh
//! SCANSIDE_VIDEO=/dev/video0 cargo test -p hal --test v4l2 -- --nocapture
//! ```
//!
//! The built test needs no cargo: `target/debug/deps/v4l2-*` can be copied into the guest.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hal::capture::guard::{DeviceState, Policy, Supervised};
use hal::capture::v4l2::V4l2;
use hal::capture::{CaptureFault, Config, Frame, PixelFormat, Rate};
use hal::clock::{Clock, System};
use hal::{Capture, contract};
use needs::Lack;

/// No device that works lets one wait for longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tests have the device one after another.
static DEVICE: Mutex<()> = Mutex::new(());

/// The device file that the environment names, for one test alone.
fn device() -> Option<(String, MutexGuard<'static, ()>)> {
    let path = std::env::var("SCANSIDE_VIDEO").ok().filter(|path| !path.is_empty());
    if path.is_none() {
        needs::skip(Lack::CaptureDevice, "no video device (SCANSIDE_VIDEO names none)");
    }
    path.map(|path| (path, DEVICE.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// The same for tests that play tricks on it, which only the pretend device allows.
fn pretend_device() -> Option<(String, MutexGuard<'static, ()>)> {
    let (path, alone) = device()?;
    if !V4l2::open(Path::new(&path)).is_ok_and(|device| device.describe().driver == "vivid") {
        needs::skip(Lack::CaptureDevice, "not the pretend device");
        return None;
    }
    if Command::new("v4l2-ctl").arg("--version").output().is_err() {
        needs::skip(Lack::Software, "v4l2-ctl not present");
        return None;
    }
    Some((path, alone))
}

fn supervised(path: &str, format: PixelFormat) -> Supervised<V4l2> {
    let path = path.to_owned();
    let open = move || V4l2::open(Path::new(&path));
    let mut device = Supervised::new(open, wanted(format), Policy::default(), Arc::new(System));
    device.start();
    device
}

fn wanted(format: PixelFormat) -> Config {
    Config::new(format, 640, 480, Rate::hertz(25))
}

#[test]
fn vivid_capture_contract_in_every_format() {
    let Some((path, _alone)) = device() else { return };
    let mut device = V4l2::open(Path::new(&path)).unwrap();
    println!("{:?}", device.describe());
    println!("source {:?}, EDID of {:?} bytes", device.source(), device.edid().map(|e| e.map(|bytes| bytes.len())));
    let mut formats: Vec<_> = device.formats().unwrap().iter().map(|offer| offer.format).collect();
    formats.sort_by_key(|format| format.name());
    formats.dedup();
    for format in formats {
        println!("contract: {format}");
        contract::capture(&mut device, &wanted(format));
    }
}

#[test]
fn vivid_frames_carry_the_time_of_the_system_clock_and_may_be_exported() {
    let Some((path, _alone)) = device() else { return };
    let mut device = V4l2::open(Path::new(&path)).unwrap();
    let answer = device.validate(&wanted(PixelFormat::Yuyv)).unwrap();
    device.start(answer.accepted().unwrap()).unwrap();
    let before = System.now();
    let frame = device.next_frame(PATIENCE).unwrap();
    // A driver may stamp the end of a frame before it is over, by a frame at most.
    let window = before.saturating_sub(PATIENCE)..System.now() + PATIENCE;
    assert!(window.contains(&frame.timestamp), "{:?} is not within {window:?}", frame.timestamp);
    println!("exported as dmabuf: {}", frame.dmabuf(0).is_some());
}

#[test]
fn vivid_supervision_streams() {
    let Some((path, _alone)) = device() else { return };
    let mut device = supervised(&path, PixelFormat::Nv12);
    for number in 0..10 {
        let frame = device.next_frame(PATIENCE).unwrap();
        assert!(frame.sequence >= number);
    }
    assert!(matches!(device.state(), DeviceState::Streaming { .. }));
    println!("{:?}", device.watch().status());
}

/// A control of the pretend device, set by `v4l2-ctl`: what its source does.
fn set(path: &str, control: &str) {
    let done = Command::new("v4l2-ctl").args(["--device", path, "--set-ctrl", control]).status();
    assert!(done.is_ok_and(|status| status.success()), "v4l2-ctl could not set {control}");
}

/// Asks until a frame comes that is `right`; the kinds of errors on the way.
fn until(device: &mut Supervised<V4l2>, right: impl Fn(&Frame) -> bool) -> Vec<CaptureFault> {
    let deadline = System.now() + PATIENCE;
    let mut kinds = Vec::new();
    loop {
        match device.next_frame(Duration::from_millis(200)) {
            Ok(frame) if right(&frame) => return kinds,
            Ok(_) => {}
            Err(error) => kinds.push(error.kind()),
        }
        assert!(System.now() < deadline, "no such frame, but {kinds:?}: {:?}", device.watch().status());
    }
}

/// Asks until the device is in trouble of one kind.
fn until_trouble(device: &mut Supervised<V4l2>, kind: CaptureFault) {
    let deadline = System.now() + PATIENCE;
    while !device.next_frame(Duration::from_millis(200)).is_err_and(|error| error.kind() == kind) {
        assert!(System.now() < deadline, "no {kind:?}: {:?}", device.watch().status());
    }
}

#[test]
fn vivid_a_lost_signal_and_another_resolution_heal() {
    let Some((path, _alone)) = pretend_device() else { return };
    if V4l2::open(Path::new(&path)).unwrap().source().unwrap().is_none() {
        needs::skip(Lack::CaptureDevice, "a device that does not follow its source");
        return;
    }
    let mut device = supervised(&path, PixelFormat::Yuyv);
    until(&mut device, |_| true);

    set(&path, "dv_timings_signal_mode=1");
    until_trouble(&mut device, CaptureFault::NoSignal);
    assert!(matches!(device.state(), DeviceState::NoSignal { .. }), "{:?}", device.state());
    // The pretend device goes on delivering noise.
    let end = System.now() + Duration::from_secs(3);
    while System.now() < end {
        assert!(device.next_frame(Duration::from_millis(200)).is_err(), "noise is shown as a picture");
    }
    set(&path, "dv_timings_signal_mode=0");
    until(&mut device, |_| true);

    // 720x576, 50 progressive frames.
    set(&path, "dv_timings=4");
    set(&path, "dv_timings_signal_mode=4");
    until(&mut device, |frame| (frame.shape.width, frame.shape.height) == (720, 576));
    let status = device.watch().status();
    assert_eq!(status.counters.no_signal, 1);
    assert!(status.counters.changed >= 1 && status.changes[0].starts_with("size 720x576"), "{status:?}");

    // 720x576, interlaced.
    set(&path, "dv_timings=3");
    until_trouble(&mut device, CaptureFault::Other);
    let DeviceState::Failed { reason, .. } = device.state() else { panic!("{:?}", device.state()) };
    assert!(reason.contains("interlaced"), "{reason}");
    set(&path, "dv_timings=9");
    until(&mut device, |frame| (frame.shape.width, frame.shape.height) == (1280, 720));
    set(&path, "dv_timings_signal_mode=0");
    println!("{:?}", device.watch().status());
}

#[test]
fn vivid_an_unplugged_device_is_opened_again() {
    let Some((path, _alone)) = pretend_device() else { return };
    let mut device = supervised(&path, PixelFormat::Yuyv);
    until(&mut device, |_| true);
    // It is plugged in again when the last one who has it open closes it.
    set(&path, "disconnect=1");
    let watch = device.watch();
    let kinds = until(&mut device, |_| watch.status().counters.restarts == 1);
    assert!(
        kinds.iter().all(|kind| matches!(kind, CaptureFault::Disconnected | CaptureFault::NotPresent)),
        "{kinds:?}"
    );
    let counters = device.counters();
    assert_eq!((counters.unplugged, counters.restarts), (1, 1), "{counters:?}");
}
