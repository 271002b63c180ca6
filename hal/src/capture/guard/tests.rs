//! The supervision against a device that fails on demand; no test waits.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::synthetic::Synthetic;
use super::super::v4l2::signal::Signal;
use super::super::{Offer, PixelFormat, Rate, Validated};
use super::*;
use crate::clock::Manual;
use crate::fault::{Fault, Faults, Faulty};

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(25);

struct Bench {
    clock: Manual,
    faults: Faults,
    device: Supervised<Faulty<Synthetic>>,
}

/// 128x64 grey at 40 frames in a second.
fn bench() -> Bench {
    let (clock, faults) = (Manual::default(), Faults::default());
    let wanted = Config::new(PixelFormat::Grey, 128, 64, Rate::hertz(40));
    let open = {
        let (clock, faults) = (clock.clone(), faults.clone());
        move || faults.wrap(Synthetic::bars(Arc::new(clock.clone())), Arc::new(clock.clone()))
    };
    let mut device = Supervised::new(open, wanted, Policy::default(), Arc::new(clock.clone()));
    device.start();
    Bench { clock, faults, device }
}

impl Bench {
    /// Asks until a frame comes, for at most an hour of the clock's time.
    fn frame(&mut self) -> Frame {
        for _ in 0..144_000 {
            match self.device.next_frame(TICK) {
                Ok(frame) => return frame,
                Err(error) => assert_ne!(error.kind(), CaptureFault::BadInput, "{error}"),
            }
        }
        panic!("no frame: {:?}", self.device)
    }

    /// Errors for `span`, the kinds of them.
    fn trouble(&mut self, span: Duration) -> Vec<CaptureFault> {
        let end = self.clock.now() + span;
        let mut kinds = Vec::new();
        while self.clock.now() < end {
            if let Err(error) = self.device.next_frame(TICK) {
                kinds.push(error.kind());
            }
        }
        kinds
    }
}

#[test]
fn sim_an_unplugged_device_is_opened_again() {
    let mut bench = bench();
    let before = bench.frame();
    bench.faults.now(Fault::Unplug);
    let kinds = bench.trouble(SECOND * 60);
    assert!(kinds.iter().all(|k| matches!(k, CaptureFault::Disconnected | CaptureFault::NotPresent)), "{kinds:?}");
    let DeviceState::Unplugged { since } = bench.device.state() else { panic!("{:?}", bench.device) };
    assert!(since <= SECOND, "the time it began is kept: {since:?}");
    bench.faults.heal();
    let after = bench.frame();
    assert_eq!(after.sequence, before.sequence + 1, "numbers go on");
    assert!(matches!(bench.device.state(), DeviceState::Streaming { .. }));
    let counters = bench.device.counters();
    assert_eq!((counters.unplugged, counters.restarts, counters.frames), (1, 1, 2));
}

#[test]
fn sim_a_lost_signal_comes_back_within_the_longest_pause() {
    let mut bench = bench();
    bench.frame();
    bench.faults.now(Fault::NoSignal);
    let kinds = bench.trouble(SECOND * 60);
    assert!(kinds.iter().all(|k| *k == CaptureFault::NoSignal) && !kinds.is_empty(), "{kinds:?}");
    assert!(matches!(bench.device.state(), DeviceState::NoSignal { .. }));
    bench.faults.heal();
    let healed = bench.clock.now();
    bench.frame();
    assert!(bench.clock.now() - healed <= Policy::default().longest_pause + TICK);
    let counters = bench.device.counters();
    assert_eq!((counters.no_signal, counters.restarts), (1, 0), "the stream went on");
    assert!(counters.dropped > 1000, "what was missed is counted: {counters:?}");
}

/// A card that goes on filling buffers while its input has no signal; it asks the input as the kernel's devices do.
#[derive(Debug)]
struct Noisy {
    device: Synthetic,
    clock: Manual,
    signal: Signal,
    cable: Arc<AtomicBool>,
}

impl Capture for Noisy {
    fn describe(&self) -> Description {
        self.device.describe()
    }

    fn formats(&mut self) -> Result<Vec<Offer>, Error> {
        self.device.formats()
    }

    fn validate(&mut self, wanted: &Config) -> Result<Validation, Error> {
        self.device.validate(wanted)
    }

    fn start(&mut self, config: &Validated) -> Result<(), Error> {
        self.device.start(config)
    }

    fn next_frame(&mut self, timeout: Duration) -> Result<Frame, Error> {
        let now = self.clock.now();
        if self.signal.is_due(now) {
            let there = self.cable.load(Ordering::SeqCst);
            self.signal.answered(now, there);
            if !there {
                return Err(Error::new(CaptureFault::NoSignal, "no signal at the input"));
            }
        }
        self.device.next_frame(timeout)
    }

    fn stop(&mut self) {
        self.device.stop();
    }
}

fn noisy() -> (Manual, Arc<AtomicBool>, Supervised<Noisy>) {
    let (clock, cable) = (Manual::default(), Arc::new(AtomicBool::new(true)));
    let open = {
        let (clock, cable) = (clock.clone(), cable.clone());
        move || {
            let device = Synthetic::bars(Arc::new(clock.clone()));
            Ok(Noisy { device, clock: clock.clone(), signal: Signal::default(), cable: cable.clone() })
        }
    };
    let wanted = Config::new(PixelFormat::Grey, 128, 64, Rate::hertz(40));
    let mut device = Supervised::new(open, wanted, Policy::default(), Arc::new(clock.clone()));
    device.start();
    (clock, cable, device)
}

#[test]
fn sim_noise_that_comes_without_a_signal_is_never_a_picture() {
    let (clock, cable, mut device) = noisy();
    while device.next_frame(TICK).is_err() {}
    cable.store(false, Ordering::SeqCst);
    // The input is asked twice a second at first.
    let noticed = clock.now() + SECOND;
    while clock.now() < noticed {
        let _ = device.next_frame(TICK);
    }
    let shown = device.counters().frames;
    let end = clock.now() + SECOND * 600;
    while clock.now() < end {
        assert_eq!(device.next_frame(TICK).unwrap_err().kind(), CaptureFault::NoSignal);
        assert!(matches!(device.state(), DeviceState::NoSignal { .. }));
    }
    assert_eq!((device.counters().frames, device.counters().no_signal), (shown, 1));
    cable.store(true, Ordering::SeqCst);
    let back = clock.now();
    while device.next_frame(TICK).is_err() {}
    assert!(clock.now() - back <= Policy::default().longest_pause + TICK);
}

#[test]
fn sim_noise_of_a_card_that_is_opened_without_a_signal_is_no_picture() {
    let (clock, cable, mut device) = noisy();
    cable.store(false, Ordering::SeqCst);
    while clock.now() < SECOND * 60 {
        assert_eq!(device.next_frame(TICK).unwrap_err().kind(), CaptureFault::NoSignal);
    }
    assert_eq!(device.counters().frames, 0);
}

#[test]
fn what_waits_when_a_signal_comes_back_is_old() {
    let mut signal = Signal::default();
    assert!(signal.is_due(SECOND) && !signal.answered(SECOND, true), "it was never lost");
    assert!(!signal.is_due(SECOND + TICK) && signal.is_due(SECOND * 2));
    assert!(!signal.answered(SECOND * 2, false) && signal.is_due(SECOND * 2));
    assert!(signal.answered(SECOND * 2, true) && !signal.is_due(SECOND * 2));
}

#[test]
fn sim_a_stuck_device_is_found_out_and_opened_anew() {
    let mut bench = bench();
    bench.frame();
    bench.faults.now(Fault::Stuck);
    bench.trouble(Duration::from_millis(1900));
    assert!(matches!(bench.device.state(), DeviceState::Streaming { .. }), "short silence is nothing");
    bench.trouble(SECOND);
    assert!(matches!(bench.device.state(), DeviceState::Stuck { .. }));
    bench.trouble(SECOND * 30);
    bench.faults.heal();
    bench.frame();
    let counters = bench.device.counters();
    assert_eq!(counters.stuck, 1);
    assert!(counters.restarts > 1, "{counters:?}");
}

#[test]
fn sim_a_changed_resolution_is_negotiated_at_once() {
    let mut bench = bench();
    bench.faults.after(3, Fault::SourceChange { width: 96, height: 48 });
    for _ in 0..3 {
        assert_eq!(bench.frame().shape.width, 128);
    }
    let changed = bench.device.next_frame(TICK).unwrap();
    assert_eq!((changed.shape.width, changed.shape.height, changed.sequence), (96, 48, 3));
    let status = bench.device.watch().status();
    assert_eq!(status.counters.changed, 1);
    assert_eq!(status.changes, ["size 96x48 instead of 128x64"]);
    assert_eq!(status.config.unwrap().width, 96);
}

#[test]
fn sim_a_damaged_frame_is_not_delivered_but_counted() {
    let mut bench = bench();
    let before = bench.frame();
    bench.faults.now(Fault::ShortBuffer { bytes: 100 });
    let after = bench.device.next_frame(SECOND).unwrap();
    assert!(after.is_complete());
    assert_eq!(after.dropped_since(before.sequence), 1);
    let counters = bench.device.counters();
    assert_eq!((counters.short, counters.dropped, counters.failed), (1, 1, 0));
}

#[test]
fn sim_a_device_that_cannot_do_it_fails_with_the_reason_and_is_tried_seldom() {
    let clock = Manual::default();
    let opened = Arc::new(Mutex::new(0));
    let wanted = Config::new(PixelFormat::Grey, 0, 64, Rate::hertz(40));
    let open = {
        let (clock, opened) = (clock.clone(), opened.clone());
        move || {
            *opened.lock().unwrap() += 1;
            Ok(Synthetic::bars(Arc::new(clock.clone())))
        }
    };
    let mut device = Supervised::new(open, wanted, Policy::default(), Arc::new(clock.clone()));
    device.start();
    while clock.now() < SECOND * 60 {
        assert_eq!(device.next_frame(TICK).unwrap_err().kind(), CaptureFault::Other);
    }
    let DeviceState::Failed { since, reason } = device.state() else { panic!("{device:?}") };
    assert_eq!((since, device.counters().failed), (Duration::ZERO, 1));
    assert!(reason.contains("width is 0"), "{reason}");
    assert!((25..=31).contains(&*opened.lock().unwrap()), "every two seconds: {opened:?}");
}

#[test]
fn sim_a_reader_that_holds_everything_is_waited_for() {
    let mut bench = bench();
    let held: Vec<_> = (0..4).map(|_| bench.frame()).collect();
    let kinds = bench.trouble(SECOND * 10);
    assert!(kinds.iter().all(|k| *k == CaptureFault::Busy), "{kinds:?}");
    assert!(matches!(bench.device.state(), DeviceState::Streaming { .. }), "it is not the device's fault");
    drop(held);
    bench.frame();
    assert_eq!(bench.device.counters().restarts, 0);
}

#[test]
fn sim_idle_before_start_and_after_stop() {
    let mut bench = bench();
    bench.frame();
    bench.device.stop();
    assert_eq!(bench.device.state(), DeviceState::Idle);
    assert_eq!(bench.device.next_frame(TICK).unwrap_err().kind(), CaptureFault::BadInput);
    bench.device.stop();
    bench.device.start();
    bench.device.start();
    bench.frame();
    assert_eq!(bench.device.counters().frames, 2);
}

#[test]
fn sim_every_wait_is_bounded_by_the_timeout() {
    let mut bench = bench();
    for fault in [Fault::Unplug, Fault::NoSignal, Fault::Stuck] {
        bench.frame();
        bench.faults.now(fault);
        for timeout in [Duration::ZERO, TICK, SECOND * 7].into_iter().cycle().take(30) {
            let begin = bench.clock.now();
            assert!(bench.device.next_frame(timeout).is_err());
            assert_eq!(bench.clock.now() - begin, timeout, "{fault:?}");
        }
        bench.faults.heal();
    }
}

#[test]
fn pauses_grow_to_a_bound() {
    let policy = Policy::default();
    let pauses: Vec<_> = (0..7).map(|attempt| policy.pause(attempt).as_millis()).collect();
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000]);
    assert_eq!(policy.pause(u32::MAX), policy.longest_pause);
    let impatient = Policy { first_pause: Duration::ZERO, longest_pause: Duration::ZERO, ..policy };
    assert_eq!(impatient.pause(3), Duration::from_millis(1), "never a busy loop");
}
