//! The task on maps whose lesions are known, and on answers that are none.

use hal::Accelerator;
use hal::accel::scripted::Scripted;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use super::*;
use crate::manifest::Threshold;
use crate::manifest::picture::{Channel, Input, Outputs, Resize};

const SECTOR: Sector = Sector { x: 236, y: 64, width: 800, height: 616 };
/// Pixels of the screen for one of the map.
const PIXEL: f32 = 800.0 / 128.0;

fn task(sector: Sector) -> Task {
    let plan = Picture {
        findings: Default::default(),
        input: Input { size: [256, 256], resize: Resize::Letterbox },
        outputs: Outputs { stride: 2, channels: Channel::ALL.to_vec() },
        lesion: Threshold::plain(0.8, 0.4, 2.0),
        malignant: 0.5,
    };
    Task::of(plan, sector, &Cpu)
}

#[test]
fn a_captured_picture_becomes_what_its_grey_pixels_become() {
    let bytes: Vec<u8> = (0..1280 * 720 * 2u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let shape = capture::frame::Shape::tight(capture::PixelFormat::Yuyv, 1280, 720, capture::Colour::default());
    let frame = Frame::new(shape, 0, std::time::Duration::ZERO, std::sync::Arc::new(bytes));
    let part = convert::Part { x: SECTOR.x, y: SECTOR.y, width: SECTOR.width, height: SECTOR.height };
    let mut grey = Vec::new();
    convert::grey_part(&frame, part, &mut grey).unwrap();
    let want = task(SECTOR).prepare(&grey).clone();
    assert_eq!(*task(SECTOR).prepare_frame(&frame).unwrap(), want);
    let beyond = Sector { x: 700, ..SECTOR };
    assert!(task(beyond).prepare_frame(&frame).is_err(), "a sector beyond the picture");
}

/// An ellipse of the map with a soft rim that crosses 0.4 at its edge, and the same value in each other channel.
fn answer(centre: [f32; 2], half: [f32; 2], peak: f32, sign: f32) -> Tensor {
    let mut data = vec![0.0; 9 * 128 * 128];
    for y in 0..128 {
        for x in 0..128 {
            let off = [x as f32 + 0.5 - centre[0], y as f32 + 0.5 - centre[1]];
            let r = (off[0] / half[0]).hypot(off[1] / half[1]);
            let value = (0.4 + (1.0 - r) * 0.4 * half[0].min(half[1])).clamp(0.0, peak);
            data[y * 128 + x] = value;
            for channel in 1..9 {
                data[channel * 128 * 128 + y * 128 + x] = sign;
            }
        }
    }
    Tensor { shape: vec![1, 9, 128, 128], data }
}

fn found(tensor: &Tensor, mm_per_pixel: Option<f32>) -> Vec<Detection> {
    let tensor = tensor.clone();
    let script = Scripted::new(move |_| Ok(vec![tensor.clone()]));
    let mut model = script.load(b"network").unwrap();
    let task = task(SECTOR);
    let map = task.infer(model.as_mut()).unwrap();
    task.lesions(&map, mm_per_pixel)
}

#[test]
fn a_lesion_is_found_where_it_is_on_the_screen_with_its_size_and_signs() {
    let lesions = found(&answer([40.0, 30.0], [12.0, 6.0], 0.97, 0.75), Some(0.08));
    let [lesion] = lesions.as_slice() else { panic!("{lesions:?}") };
    let want = [236.0 + 28.0 * PIXEL, 64.0 + 24.0 * PIXEL, 236.0 + 52.0 * PIXEL, 64.0 + 36.0 * PIXEL];
    for (have, want) in lesion.bounds.iter().zip(want) {
        assert!((have - want).abs() < 0.5 * PIXEL, "{:?} {want}", lesion.bounds);
    }
    assert!((lesion.axes[0] - 24.0 * PIXEL).abs() < PIXEL && (lesion.axes[1] - 12.0 * PIXEL).abs() < PIXEL);
    assert!((lesion.confidence - 0.97).abs() < 1e-6);
    assert!((lesion.signs.of(Channel::Malignant) - 0.75).abs() < 1e-4);
    assert_eq!(lesion.outline.len(), candidates::POINTS);
}

#[test]
fn weak_or_small_ones_are_none_and_without_a_scale_only_noise_is_small() {
    let strong = answer([40.0, 30.0], [12.0, 6.0], 0.97, 0.5);
    assert!(found(&answer([40.0, 30.0], [12.0, 6.0], 0.7, 0.5), None).is_empty(), "below the confidence");
    assert!(found(&strong, Some(0.005)).is_empty(), "less than 2 mm2");
    assert_eq!(found(&strong, None).len(), 1);
    assert!(found(&answer([40.2, 30.2], [0.9, 0.9], 1.0, 0.5), None).is_empty(), "fewer than four pixels");
}

#[test]
fn what_is_no_probability_or_has_another_shape_is_an_error() {
    let kind = |tensor: Tensor| {
        let script = Scripted::new(move |_| Ok(vec![tensor.clone()]));
        task(SECTOR).infer(script.load(b"network").unwrap().as_mut()).unwrap_err().kind()
    };
    let good = answer([40.0, 30.0], [12.0, 6.0], 0.97, 0.5);
    for value in [f32::NAN, f32::INFINITY, -0.5, 1.5] {
        let mut bad = good.clone();
        bad.data[77] = value;
        assert_eq!(kind(bad), TaskFault::BadOutput, "{value}");
    }
    assert_eq!(kind(Tensor { shape: vec![1, 9, 128 * 128], ..good }), TaskFault::BadModel);
    let none = Scripted::new(|_| Ok(Vec::new()));
    assert_eq!(task(SECTOR).infer(none.load(b"n").unwrap().as_mut()).unwrap_err().kind(), TaskFault::BadModel);
    let failing = Scripted::zeros().failing_after(0, hal::accel::AccelFault::Device);
    let error = task(SECTOR).infer(failing.load(b"n").unwrap().as_mut()).unwrap_err();
    assert_eq!(error.kind(), TaskFault::Accelerator(hal::accel::AccelFault::Device));
}

#[test]
fn the_network_sees_the_sector_scaled_to_its_longer_side() {
    let mut task = task(SECTOR);
    let seen = task.prepare(&vec![255; 800 * 616]);
    assert_eq!(seen.shape, [1, 1, 256, 256]);
    let column = |x: usize| (0..256).filter(|y| seen.data[y * 256 + x] > 0.0).count();
    // 616 rows at 3.125 a pixel are 197.1.
    assert_eq!((column(0), column(255)), (198, 198));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn outlines_lie_in_the_sector(
        x in 0.0f32..128.0, y in 0.0f32..128.0, a in 1.5f32..40.0, b in 1.5f32..40.0,
    ) {
        for lesion in found(&answer([x, y], [a, b], 0.99, 0.5), None) {
            for p in &lesion.outline {
                prop_assert!((236.0..=1036.0).contains(&p[0]) && (64.0..=680.0).contains(&p[1]), "{:?}", p);
            }
            prop_assert!(lesion.axes[0] >= lesion.axes[1] - 1e-3 && lesion.area > 0.0);
        }
    }
}
