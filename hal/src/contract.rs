//! The test bodies that every implementation of a device must pass. They panic with the broken promise.

use std::time::Duration;

use crate::accel::{AccelFault, Accelerator, Error, Tensor};
use crate::capture::{self, Capture, Config, Frame, PixelFormat, Validation, convert};
use crate::cuda;
use crate::fault::{Fault, Faults};

/// A network an implementation can load, and what it answers: input `[N, 2]`, output of the same shape.
#[derive(Debug)]
pub struct Known<'a> {
    pub onnx: &'a [u8],
    pub answer: fn(f32) -> f32,
}

/// Every accelerator: shapes in and out, repeatability, and errors of the documented kind.
///
/// # Panics
/// When the accelerator breaks the contract.
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub fn accelerator(device: &dyn Accelerator, known: &Known<'_>) {
    let description = device.describe();
    assert!(!description.provider.is_empty() && !description.library.is_empty(), "it must say what it is");
    assert!(device.fingerprint().contains(&description.provider), "what engines are bound to names the provider");
    assert_eq!(device.fingerprint(), device.fingerprint(), "and is the same when nothing changed");

    let garbage = device.load(b"garbage, not a network").expect_err("garbage must not load");
    assert_eq!(garbage.kind(), AccelFault::BadModel, "{garbage}");
    assert_eq!(device.load(&[]).expect_err("nothing must not load").kind(), AccelFault::BadModel);

    let mut model = device.load(known.onnx).expect("the known network must load");
    assert_eq!((model.inputs().len(), model.outputs().len()), (1, 1), "one input, one output");
    for rows in [1, 3] {
        let data: Vec<f32> = (0..rows * 2).map(|i| i as f32 * 0.5 - 1.0).collect();
        let input = Tensor { shape: vec![rows, 2], data };
        let first = model.run(std::slice::from_ref(&input)).expect("a run that fits must succeed");
        let want: Vec<f32> = input.data.iter().map(|v| (known.answer)(*v)).collect();
        assert_eq!(first, vec![Tensor { shape: vec![rows, 2], data: want }], "shape and values of the answer");
        assert_eq!(model.run(std::slice::from_ref(&input)).unwrap(), first, "the same input gives the same answer");
    }

    let kind = |r: Result<Vec<Tensor>, Error>| r.expect_err("a wrong input must be refused").kind();
    assert_eq!(kind(model.run(&[])), AccelFault::BadInput, "no input");
    let short = Tensor { shape: vec![1, 2], data: vec![0.0] };
    assert_eq!(kind(model.run(&[short])), AccelFault::BadInput, "fewer values than the shape says");
    let two = Tensor { shape: vec![1, 2], data: vec![0.0, 1.0] };
    assert_eq!(kind(model.run(&[two.clone(), two.clone()])), AccelFault::BadInput, "two inputs");
    assert!(model.run(&[two]).is_ok(), "a refused input leaves the network usable");
}

/// Devices that check shapes against the network (all real ones): a wrong rank or extent is refused.
///
/// # Panics
/// When the accelerator breaks the contract.
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub fn accelerator_checks_shapes(device: &dyn Accelerator, known: &Known<'_>) {
    let mut model = device.load(known.onnx).expect("the known network must load");
    for shape in [vec![1, 3], vec![2], vec![1, 1, 2]] {
        let data = vec![0.0; shape.iter().product()];
        let refused = model.run(&[Tensor { shape: shape.clone(), data }]).expect_err("a wrong shape must be refused");
        assert_eq!(refused.kind(), AccelFault::BadInput, "{shape:?}: {refused}");
    }
}

/// Failure on demand: `device` was asked to fail with `AccelFault::Device` after one run.
///
/// # Panics
/// When the accelerator breaks the contract.
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub fn accelerator_fails_on_demand(device: &dyn Accelerator, known: &Known<'_>) {
    let mut model = device.load(known.onnx).expect("the known network must load");
    let input = Tensor { shape: vec![1, 2], data: vec![0.0, 1.0] };
    assert!(model.run(std::slice::from_ref(&input)).is_ok());
    assert_eq!(model.run(&[input]).expect_err("the second run must fail").kind(), AccelFault::Device);
}

/// Longer than any device that works lets one wait for a frame.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every capture device: negotiation, order, whole frames, bounded buffers, stop and start again. `wanted` is something
/// the device can be asked for, exactly or nearly; at least a second of pictures must come.
///
/// # Panics
/// When the device breaks the contract.
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub fn capture(device: &mut dyn Capture, wanted: &Config) {
    let description = device.describe();
    assert!(!description.name.is_empty() && !description.driver.is_empty(), "it must say what it is");
    for offer in device.formats().expect("it must say what it can do") {
        let (width, height) = offer.largest;
        assert!(offer.smallest.0 <= width && offer.smallest.1 <= height && width > 0 && height > 0, "{offer:?}");
    }

    let unstarted = device.next_frame(Duration::ZERO).expect_err("no frame before the start");
    assert_eq!(unstarted.kind(), capture::CaptureFault::BadInput, "{unstarted}");
    device.stop();
    for nonsense in [Config { width: 0, ..wanted.clone() }, Config { buffers: 0, ..wanted.clone() }] {
        let answer = device.validate(&nonsense).unwrap();
        assert!(matches!(answer, Validation::Invalid(_)), "{nonsense:?}: {answer:?}");
    }
    let answer = device.validate(wanted).unwrap();
    let config =
        answer.accepted().unwrap_or_else(|| panic!("{wanted} must be possible, or something near it: {answer:?}"));
    if let Validation::Adjusted(_, changes) = &answer {
        assert!(!changes.is_empty(), "an adjustment names its changes");
    }
    let again = device.validate(config.config()).unwrap();
    assert_eq!(again, Validation::Valid(config.clone()), "what was validated is valid");

    for _ in 0..2 {
        device.start(config).expect("what was validated must start");
        let twice = device.start(config).expect_err("it is started already");
        assert_eq!(twice.kind(), capture::CaptureFault::Busy, "{twice}");
        let mut last: Option<Frame> = None;
        for _ in 0..5 {
            let frame = device.next_frame(PATIENCE).expect("a started device must deliver");
            check_frame(&frame, config.config());
            if let Some(last) = last {
                assert!(frame.sequence > last.sequence, "numbers rise: {last:?}, {frame:?}");
                assert!(frame.timestamp > last.timestamp, "time goes on: {last:?}, {frame:?}");
            }
            last = Some(frame);
        }
        drop(last);
        buffers_are_bounded(device);
        let held = device.next_frame(PATIENCE).expect("a frame to hold");
        let bytes = held.part(0).to_vec();
        device.stop();
        device.stop();
        assert!(held.part(0) == bytes, "a frame that is held outlives its stream, unchanged");
        let stopped = device.next_frame(Duration::ZERO).expect_err("no frame after the end");
        assert_eq!(stopped.kind(), capture::CaptureFault::BadInput, "{stopped}");
    }
}

#[allow(clippy::unwrap_used, clippy::expect_used)]
fn check_frame(frame: &Frame, config: &Config) {
    let shape = &frame.shape;
    assert_eq!((shape.format, shape.width, shape.height), (config.format, config.width, config.height));
    assert!(frame.is_complete(), "{frame:?}");
    assert_eq!(frame.plane(0).is_some(), config.format != PixelFormat::Mjpeg);
    let pixels = config.width as usize * config.height as usize;
    let (mut grey, mut rgb) = (Vec::new(), Vec::new());
    convert::grey(frame, &mut grey).expect("a whole frame becomes grey");
    convert::rgb(frame, &mut rgb).expect("a whole frame becomes RGB");
    assert_eq!((grey.len(), rgb.len()), (pixels, pixels * 3));
}

/// A reader that drops nothing gets nothing, and one that drops gets frames again.
#[allow(clippy::unwrap_used, clippy::expect_used)]
fn buffers_are_bounded(device: &mut dyn Capture) {
    let mut held = Vec::new();
    let full = loop {
        match device.next_frame(PATIENCE) {
            Ok(frame) => held.push(frame),
            Err(error) => break error,
        }
        assert!(held.len() <= 64, "there must be an end to its buffers");
    };
    assert_eq!(full.kind(), capture::CaptureFault::Busy, "{full}");
    assert!(held.len() >= 2, "two at least: one to fill, one to read");
    held.clear();
    device.next_frame(PATIENCE).expect("dropped frames make room");
}

/// A card that reads pictures where their capture device has put them: all bytes are the picture's, and the device gets every buffer back.
/// Every picture that `take` gives lies in a buffer of a device, whose readers hold no other.
///
/// # Errors
/// Why the driver does not let the card read them; they are copied then.
///
/// # Panics
/// When the contract is broken.
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub fn lent(card: &cuda::Device, take: &mut dyn FnMut() -> Frame) -> Result<cuda::Route, Error> {
    let stream = card.stream(cuda::Urgency::Live)?;
    let mut routes = Vec::new();
    for _ in 0..20 {
        let frame = take();
        let plane = frame.plane(0).expect("a picture has a plane").bytes;
        let lent = card.lend(&frame, 0, plane)?.expect("its bytes lie in a buffer of the device");
        let mut here = card.pinned::<u8>(plane.len())?;
        let from = lent.offset();
        stream.download(lent.buffer(), from..from + plane.len(), &mut here, 0)?;
        lent.hold_on(&stream);
        stream.wait(Duration::from_secs(5))?;
        assert!(here.read()? == plane, "the card reads other bytes than the processor");
        routes.push(lent.route());
    }
    let first = routes[0];
    assert!(routes.iter().all(|route| *route == first), "one way for all pictures of a device: {routes:?}");
    Ok(first)
}

/// Failure on demand: `open` opens a device behind `faults`, whose source can take the size 96x48.
///
/// # Panics
/// When the device breaks the contract.
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub fn capture_fails_on_demand<C: Capture>(
    mut open: impl FnMut() -> Result<C, capture::Error>,
    faults: &Faults,
    wanted: &Config,
) {
    let begin = |device: &mut C| {
        let answer = device.validate(wanted).unwrap();
        device.start(answer.accepted().expect("it must be possible")).expect("it must start");
        answer.accepted().unwrap().config().clone()
    };
    let mut device = open().unwrap();
    let config = begin(&mut device);

    for (fault, kind) in
        [(Fault::NoSignal, capture::CaptureFault::NoSignal), (Fault::Stuck, capture::CaptureFault::TimedOut)]
    {
        faults.after(2, fault);
        assert!(device.next_frame(PATIENCE).is_ok() && device.next_frame(PATIENCE).is_ok(), "{fault:?} not yet");
        assert_eq!(device.next_frame(PATIENCE).unwrap_err().kind(), kind, "{fault:?}");
        faults.heal();
        assert!(device.next_frame(PATIENCE).is_ok(), "{fault:?} is over");
    }

    faults.now(Fault::ShortBuffer { bytes: 1 });
    let short = device.next_frame(PATIENCE).unwrap();
    assert!(!short.is_complete());
    assert_eq!(convert::grey(&short, &mut Vec::new()).unwrap_err().kind(), capture::CaptureFault::BadInput);
    check_frame(&device.next_frame(PATIENCE).unwrap(), &config);

    faults.now(Fault::SourceChange { width: 96, height: 48 });
    for _ in 0..2 {
        assert_eq!(device.next_frame(PATIENCE).unwrap_err().kind(), capture::CaptureFault::SourceChanged);
    }
    device.stop();
    let config = begin(&mut device);
    assert_eq!((config.width, config.height), (96, 48), "the new size is negotiated");
    check_frame(&device.next_frame(PATIENCE).unwrap(), &config);

    faults.now(Fault::Unplug);
    assert_eq!(device.next_frame(PATIENCE).unwrap_err().kind(), capture::CaptureFault::Disconnected);
    assert!(open().is_err_and(|error| error.kind() == capture::CaptureFault::NotPresent), "nothing to open");
    faults.heal();
    assert_eq!(
        device.next_frame(PATIENCE).unwrap_err().kind(),
        capture::CaptureFault::Disconnected,
        "what was open stays dead"
    );
    device.stop();
    let mut device = open().expect("plugged in again");
    begin(&mut device);
    assert!(device.next_frame(PATIENCE).is_ok());
}

/// The contract at each depth: `sim_` and `replay_` always, `real_` where the hardware or library is present.
#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use needs::Lack;

    use super::Known;
    use crate::accel::scripted::Scripted;
    use crate::accel::{AccelFault, AcceleratorConfig, open};
    use crate::capture::replay::{InMemory, Replay, Y4m};
    use crate::capture::shared::Shared;
    use crate::capture::synthetic::Synthetic;
    use crate::capture::{Capture, Colour, Config, PixelFormat, Rate, discover, frame::Shape, v4l2::V4l2};
    use crate::clock::Manual;
    use crate::cuda::{Device, Route};
    use crate::fault::Faults;
    use crate::root::Root;

    const PLUS_ONE: &[u8] = include_bytes!("accel/probe.onnx");

    fn known() -> Known<'static> {
        Known { onnx: PLUS_ONE, answer: |v| v + 1.0 }
    }

    /// `SCANSIDE_ONNXRUNTIME`, or what `make setup` put into the cache.
    fn library() -> Option<PathBuf> {
        if let Some(path) = std::env::var_os("SCANSIDE_ONNXRUNTIME").filter(|p| !p.is_empty()) {
            return Some(path.into());
        }
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/onnxruntime");
        let found = std::fs::read_dir(cache)
            .ok()?
            .flatten()
            .map(|e| e.path())
            .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("libonnxruntime.so")));
        if found.is_none() {
            needs::skip(Lack::Software, "ONNX Runtime not present");
        }
        found
    }

    fn config(provider: &str, library: PathBuf) -> AcceleratorConfig {
        AcceleratorConfig { provider: provider.into(), library, threads: 1, ..AcceleratorConfig::default() }
    }

    #[test]
    fn sim_accelerator_contract() {
        super::accelerator(&Scripted::each_voxel(|v| v + 1.0), &known());
        super::accelerator_fails_on_demand(&Scripted::zeros().failing_after(1, AccelFault::Device), &known());
    }

    #[test]
    fn real_cpu_accelerator_contract() {
        let Some(library) = library() else { return };
        let device = open(&config("cpu", library)).unwrap();
        assert_eq!(device.describe().fallback, None);
        super::accelerator(device.as_ref(), &known());
        super::accelerator_checks_shapes(device.as_ref(), &known());
    }

    #[test]
    fn real_a_provider_that_cannot_be_used_is_replaced_by_name() {
        let Some(library) = library() else { return };
        for provider in ["cuda", "onnxruntime-tensorrt", "tensorrt"] {
            let device = open(&config(provider, library.clone())).unwrap();
            let description = device.describe();
            if description.provider != provider {
                let reason = description.fallback.expect("a replacement must be explained");
                assert!(reason.contains(&format!("{provider} requested")), "{reason}");
                assert!(reason.ends_with(&format!("using {}", description.provider)), "{reason}");
            }
            super::accelerator(device.as_ref(), &known());
        }
    }

    #[test]
    fn real_cuda_accelerator_contract() {
        if !Root::default().has_cuda_device() {
            needs::skip(Lack::Gpu, "no CUDA device");
            return;
        }
        let Some(library) = library() else { return };
        let device = open(&config("cuda", library)).unwrap();
        if let Some(reason) = device.describe().fallback {
            needs::skip(Lack::Gpu, reason);
            return;
        }
        super::accelerator(device.as_ref(), &known());
        super::accelerator_checks_shapes(device.as_ref(), &known());
    }

    /// Once on the stream of studies, once on that of live pictures.
    #[test]
    fn real_tensorrt_accelerator_contract() {
        if !Root::default().has_cuda_device() {
            needs::skip(Lack::Gpu, "no CUDA device");
            return;
        }
        let cache = tempfile::tempdir().unwrap();
        for live in [false, true] {
            let config = AcceleratorConfig {
                provider: "tensorrt".into(),
                library: library().unwrap_or_default(),
                threads: 1,
                cache: Some(cache.path().to_owned()),
                live,
                ..AcceleratorConfig::default()
            };
            let device = match open(&config) {
                Ok(device) if device.describe().fallback.is_none() => device,
                Ok(device) => {
                    needs::skip(Lack::Gpu, device.describe().fallback.unwrap_or_default());
                    return;
                }
                Err(error) => {
                    needs::skip(Lack::Gpu, error);
                    return;
                }
            };
            super::accelerator(device.as_ref(), &known());
            super::accelerator_checks_shapes(device.as_ref(), &known());
        }
    }

    fn wanted(format: PixelFormat) -> Config {
        Config::new(format, 128, 64, Rate::hertz(40))
    }

    #[test]
    fn sim_synthetic_capture_contract() {
        for format in [PixelFormat::Grey, PixelFormat::Yuyv, PixelFormat::Nv12, PixelFormat::Rgb24, PixelFormat::Mjpeg]
        {
            super::capture(&mut Synthetic::bars(Arc::new(Manual::default())), &wanted(format));
        }
        let painted = |_, bytes: &mut [u8]| bytes.fill(7);
        let mut device = Synthetic::painted(Arc::new(Manual::default()), PixelFormat::Nv12, 33, 17, painted);
        super::capture(&mut device, &wanted(PixelFormat::Nv12));
    }

    #[test]
    fn sim_a_failing_device_keeps_the_contract_and_fails_on_demand() {
        let (clock, faults) = (Manual::default(), Faults::default());
        let open = || faults.wrap(Synthetic::bars(Arc::new(clock.clone())), Arc::new(clock.clone()));
        super::capture(&mut open().unwrap(), &wanted(PixelFormat::Yuyv));
        super::capture_fails_on_demand(open, &faults, &wanted(PixelFormat::Yuyv));
    }

    #[test]
    fn replay_capture_contract() {
        for (kind, length) in [("420", 33 * 17 + 2 * 17 * 9), ("mono", 33 * 17)] {
            let mut file = format!("YUV4MPEG2 W33 H17 F25:1 C{kind}\n").into_bytes();
            for level in 0..4u8 {
                file.extend_from_slice(b"FRAME\n");
                file.extend(std::iter::repeat_n(level, length));
            }
            let recording = Y4m::new("clip.y4m", Cursor::new(file)).unwrap();
            let mut device = Replay::new(recording, Arc::new(Manual::default())).repeating();
            super::capture(&mut device, &wanted(PixelFormat::Yuyv));
        }
        let jpeg = include_bytes!("capture/gradient.jpg").to_vec();
        let pictures = (0..40).map(|i| (std::time::Duration::from_millis(i * 40), jpeg.clone())).collect();
        let shape = Shape::tight(PixelFormat::Mjpeg, 33, 17, Colour::default());
        let recording = InMemory::new("clip", shape, pictures).unwrap();
        let mut boxed: Box<dyn Capture> = Box::new(Replay::new(recording, Arc::new(Manual::default())));
        super::capture(&mut boxed, &wanted(PixelFormat::Mjpeg));
    }

    #[test]
    fn real_lent_pictures_are_read_where_they_lie() {
        if !Root::default().has_cuda_device() {
            needs::skip(Lack::Gpu, "not run: no card");
            return;
        }
        let card = Device::open(0).unwrap();
        let shape = Shape::tight(PixelFormat::Nv12, 1280, 720, Colour::default());
        let (bytes, mut device) = (vec![7; shape.bytes(0)], Shared::new(shape, 3, false).unwrap());
        let told = |by: Result<Route, _>| by.map_or_else(|why| format!("refused: {why}"), |route| route.name().into());
        println!("lent: {}: shared memory", told(super::lent(&card, &mut || device.take(&bytes).unwrap())));
        let found = discover::video_devices(&Root::default());
        let Some(mut video) = found.iter().find_map(|found| V4l2::open(&found.path).ok()) else { return };
        let wanted = Config::new(PixelFormat::Yuyv, 640, 480, Rate::hertz(30));
        let Ok(validation) = video.validate(&wanted) else { return };
        let Some(config) = validation.accepted() else { return };
        video.start(config).unwrap();
        let mut next = || video.next_frame(std::time::Duration::from_secs(5)).unwrap();
        println!("lent: video device: {}", told(super::lent(&card, &mut next)));
    }

    #[test]
    fn real_v4l2_capture_contract() {
        let found = discover::video_devices(&Root::default());
        let Some(mut device) = found.iter().find_map(|found| V4l2::open(&found.path).ok()) else {
            needs::skip(Lack::CaptureDevice, "no video device");
            return;
        };
        if let Err(error) = device.formats() {
            needs::skip(Lack::CaptureDevice, format_args!("no video device that delivers: {error}"));
            return;
        }
        super::capture(&mut device, &Config::new(PixelFormat::Yuyv, 640, 480, Rate::hertz(30)));
    }
}
