//! The capture contract on a video device of the caller's choice, for the lab bench and for a guest with the kernel's
//! pretend device: `modprobe vivid n_devs=1`, then
//!
//! ```sh
//! SCANSIDE_VIDEO=/dev/video0 cargo test -p hal --test v4l2 -- --nocapture
//! ```
//!
//! The built test needs no cargo: `target/debug/deps/v4l2-*` can be copied into the guest.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hal::capture::guard::{Policy, State, Supervised};
use hal::capture::v4l2::V4l2;
use hal::capture::{Config, PixelFormat, Rate};
use hal::clock::{Clock, System};
use hal::{Capture, contract};

/// The device file that the environment names.
fn device() -> Option<String> {
    let path = std::env::var("SCANSIDE_VIDEO").ok().filter(|path| !path.is_empty());
    if path.is_none() {
        println!("skipped: no video device (SCANSIDE_VIDEO names none)");
    }
    path
}

fn wanted(format: PixelFormat) -> Config {
    Config::new(format, 640, 480, Rate::hertz(25))
}

#[test]
fn vivid_capture_contract_in_every_format() {
    let Some(path) = device() else { return };
    let mut device = V4l2::open(Path::new(&path)).unwrap();
    println!("{:?}", device.describe());
    println!("source {:?}, EDID of {:?} bytes", device.source(), device.edid().map(|e| e.map(|bytes| bytes.len())));
    let mut formats: Vec<_> = device.formats().unwrap().iter().map(|offer| offer.format).collect();
    formats.dedup();
    for format in formats {
        println!("contract: {format}");
        contract::capture(&mut device, &wanted(format));
    }
}

#[test]
fn vivid_frames_carry_the_time_of_the_system_clock_and_may_be_exported() {
    let Some(path) = device() else { return };
    let mut device = V4l2::open(Path::new(&path)).unwrap();
    let answer = device.validate(&wanted(PixelFormat::Yuyv)).unwrap();
    device.start(answer.accepted().unwrap()).unwrap();
    let before = System.now();
    let frames: Vec<_> = (0..2).map(|_| device.next_frame(Duration::from_secs(10)).unwrap()).collect();
    assert!(frames[1].timestamp <= System.now());
    assert!(frames[1].timestamp + Duration::from_secs(10) > before);
    println!("dmabuf: {:?}", frames[0].dmabuf(0).is_some());
}

#[test]
fn vivid_supervision_streams() {
    let Some(path) = device() else { return };
    let open = move || V4l2::open(Path::new(&path));
    let mut device = Supervised::new(open, wanted(PixelFormat::Nv12), Policy::default(), Arc::new(System));
    device.start();
    for number in 0..10 {
        let frame = device.next_frame(Duration::from_secs(10)).unwrap();
        assert!(frame.sequence >= number);
    }
    assert!(matches!(device.state(), State::Streaming { .. }));
    println!("{:?}", device.watch().status());
}
