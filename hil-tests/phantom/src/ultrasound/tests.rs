//! Whole videos: same bytes for a seed, truth that agrees with the pixels, speckle and shadows as physics has them.

use super::breast::Breast;
use super::canvas::Canvas;
use super::descriptors::{Descriptors, EchoPattern, Margin, Orientation, Posterior, Shape};
use super::frames::{self, Pick};
use super::layout::Name;
use super::lesion::Lesion;
use super::plane::{Grid, Plane, Scene};
use super::settings::Settings;
use super::speckle::{Beam, Electronics, MARGIN, amplitudes, envelope};
use super::{Options, Video};
use crate::random::Random;
use crate::ultrasound::decoy::Decoys;

fn short(seed: u64, lesions: usize) -> Video {
    Video::new(seed, &Options { layout: Name::B, seconds: 4.0, fps: 10.0, lesions: Some(lesions) })
}

fn settings() -> Settings {
    Settings { frequency_mhz: 10.0, depth_mm: 40.0, width_mm: 40.0, looks: 1, ..Settings::varied(1, 25.0) }
}

fn grid(elevation_mm: f32) -> Grid {
    Grid { first: -120, columns: 240, rows: 400, step_mm: [0.18, 0.1], elevation_mm }
}

/// Tissue that scatters alike everywhere.
fn even(elevation_mm: f32) -> Plane {
    let size = 240 * 400;
    Plane {
        grid: grid(elevation_mm),
        echo_db: vec![0.0; size],
        mirror: vec![0.0; size],
        loss_db_mm: vec![0.0; size],
        outlines: Vec::new(),
    }
}

const QUIET: Electronics = Electronics { frame: 0, amplitude: [1e-4, 1e-4] };

fn detected(plane: &Plane) -> Vec<f32> {
    let beam = Beam::new(&settings(), plane.grid.rows, plane.grid.step_mm[1]);
    let all = envelope(plane, &beam, 5, 1, QUIET);
    let columns = plane.grid.columns;
    all.chunks_exact(columns).skip(10).take(380).flat_map(|row| row[MARGIN..columns - MARGIN].to_vec()).collect()
}

fn mean_and_deviation(values: &[f32]) -> (f32, f32) {
    let n = values.len() as f32;
    let mean = values.iter().sum::<f32>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / n).sqrt())
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let ((ma, sa), (mb, sb)) = (mean_and_deviation(a), mean_and_deviation(b));
    a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum::<f32>() / (a.len() as f32 * sa * sb)
}

#[test]
fn the_same_seed_gives_the_same_frame_and_another_seed_another() {
    let frame = short(3, 2).frame(11);
    assert_eq!(frame, short(3, 2).frame(11));
    assert_ne!(frame.screen, short(4, 2).frame(11).screen);
}

#[test]
fn boxes_sizes_and_areas_are_those_of_the_mask() {
    let mut seen = 0;
    for seed in 0..4 {
        let video = short(seed, 4);
        let facts = video.truth(Vec::new());
        for number in (0..video.frames()).step_by(4) {
            let frame = video.frame(number);
            let ids: std::collections::BTreeSet<u8> = frame.labels.grey.iter().copied().filter(|l| *l > 0).collect();
            assert_eq!(ids, frame.truth.lesions.iter().map(|l| l.id).collect());
            for lesion in &frame.truth.lesions {
                let at = |x: usize, y: usize| frame.labels.grey[y * frame.labels.width + x] == lesion.id;
                let b = lesion.screen_box;
                let count = (0..frame.labels.grey.len()).filter(|i| frame.labels.grey[*i] == lesion.id).count();
                let inside = (b.y..b.bottom()).map(|y| (b.x..b.right()).filter(|x| at(*x, y)).count()).sum::<usize>();
                assert_eq!(count, inside, "seed {seed} frame {number}: pixels lie outside the box");
                for edge in [b.x, b.right() - 1] {
                    assert!((b.y..b.bottom()).any(|y| at(edge, y)), "seed {seed} frame {number}: the box is loose");
                }
                assert!(facts.image.contains(&b));
                let area = count as f32 * facts.mm_per_pixel.powi(2);
                assert!((lesion.area_mm2 - area).abs() < 1e-3);
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn the_envelope_of_even_tissue_is_rayleigh_distributed() {
    let (mean, deviation) = mean_and_deviation(&detected(&even(0.0)));
    let ratio = mean / deviation;
    assert!((ratio - 1.91).abs() < 0.06, "SNR {ratio}");
    assert!((mean - 0.886).abs() < 0.03, "mean {mean} of scatterers of power 1");
}

#[test]
fn speckle_stays_while_the_plane_hardly_moves_and_is_new_beyond_the_elevation_cell() {
    let here = detected(&even(7.2));
    assert!(correlation(&here, &detected(&even(7.25))) > 0.97);
    assert!(correlation(&here, &detected(&even(9.3))).abs() < 0.05);
}

#[test]
fn speckle_moves_with_the_tissue_when_the_probe_slides_along_itself() {
    let here = even(0.0);
    let mut aside = even(0.0);
    aside.grid.first += 20;
    let beam = Beam::new(&settings(), here.grid.rows, here.grid.step_mm[1]);
    let (a, b) = (envelope(&here, &beam, 5, 1, QUIET), envelope(&aside, &beam, 5, 1, QUIET));
    let row = |e: &[f32], from: usize| e[200 * 240 + from..][..150].to_vec();
    assert!(correlation(&row(&a, 50), &row(&b, 30)) > 0.999);
}

#[test]
fn tissue_stays_where_it_is_when_the_probe_slides_along_itself() {
    let video = |first: i32| {
        let scene = Scene { seed: 3, breast: Breast::new(3), lesions: Vec::new(), decoys: Decoys::none() };
        scene.plane(Grid { first, ..grid(20.0) }).echo_db
    };
    let (here, aside) = (video(-120), video(-100));
    for (a, b) in here.chunks_exact(240).zip(aside.chunks_exact(240)) {
        assert!(a[20..].iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3));
    }
}

fn mass(echo_pattern: EchoPattern, posterior_features: Posterior) -> Descriptors {
    let (shape, orientation) = (Shape::Oval, Orientation::Parallel);
    Descriptors { shape, orientation, margin: Margin::Circumscribed, echo_pattern, posterior_features }
}

/// Mean echoes in dB of tissue and of the lesion: inside, behind it, and at the depth behind it but to its side.
fn echoes(descriptors: Descriptors) -> [f32; 3] {
    let breast = Breast::new(3);
    let middle = (breast.layers(0.0, 20.0).gland_top + breast.layers(0.0, 20.0).gland_bottom) / 2.0;
    let lesion = Lesion::new(1, descriptors, [0.0, middle, 20.0], [5.0, 3.0, 5.0], &mut Random::new(9, 9));
    let with = |lesions: Vec<Lesion>| {
        let decoys = Decoys::none();
        let plane = Scene { seed: 3, breast: breast.clone(), lesions, decoys }.plane(grid(20.0));
        amplitudes(&plane).0
    };
    let (with, without) = (with(vec![lesion]), with(Vec::new()));
    let mean = |x: [f32; 2], depth: [f32; 2]| {
        let change = |i: usize| 20.0 * (with[i] / without[i]).log10();
        let rows = (depth[0] / 0.1) as usize..(depth[1] / 0.1) as usize;
        let columns = (120.0 + x[0] / 0.18) as usize..(120.0 + x[1] / 0.18) as usize;
        let all: Vec<f32> = rows.flat_map(|r| columns.clone().map(move |c| r * 240 + c)).map(change).collect();
        all.iter().sum::<f32>() / all.len() as f32
    };
    let behind = [middle + 4.5, middle + 7.5];
    [mean([-2.0, 2.0], [middle - 1.5, middle + 1.5]), mean([-2.0, 2.0], behind), mean([9.0, 13.0], behind)]
}

#[test]
fn a_cyst_is_dark_and_what_lies_behind_it_is_bright() {
    let [inside, behind, beside] = echoes(mass(EchoPattern::Anechoic, Posterior::Enhancement));
    assert!(inside < -25.0, "{inside} dB");
    assert!(behind > 3.5, "{behind} dB");
    assert!(beside.abs() < 0.5, "{beside} dB");
}

#[test]
fn a_shadow_lies_behind_a_lesion_that_shadows_and_none_behind_one_that_does_not() {
    let [_, shadow, beside] = echoes(mass(EchoPattern::Hypoechoic, Posterior::Shadowing));
    assert!(shadow < -6.0, "{shadow} dB");
    assert!(beside.abs() < 0.5, "{beside} dB");
    let [_, behind, _] = echoes(mass(EchoPattern::Hypoechoic, Posterior::None));
    assert!(behind.abs() < 2.0, "{behind} dB");
}

#[test]
fn a_frozen_picture_stands_still_and_says_so() {
    let found = (0..40).find_map(|seed| {
        let video = Video::new(seed, &Options { seconds: 8.0, fps: 10.0, lesions: Some(3), ..Options::default() });
        let number = (1..video.frames()).find(|n| video.pose(*n).frozen(*n))?;
        Some((video, number))
    });
    let (video, number) = found.expect("a video with a frozen picture");
    let (live, frozen) = (video.frame(number - 1), video.frame(number));
    assert!(frozen.truth.frozen && !live.truth.frozen);
    let sector = |c: &Canvas| c.part(video.layout.sector);
    assert_eq!(sector(&live.screen), sector(&frozen.screen));
    let icon = |c: &Canvas| c.part(video.layout.freeze_icon);
    assert_ne!(icon(&live.screen), icon(&frozen.screen));
}

#[test]
fn lesions_come_grow_shrink_and_leave_without_a_jump() {
    let video = Video::new(5, &Options { seconds: 10.0, lesions: Some(2), ..Options::default() });
    let area = |n: usize| -> f32 {
        let visible = video.frame(n).truth.lesions;
        visible.iter().map(|l| l.area_mm2).sum()
    };
    let areas: Vec<f32> = (0..video.frames()).step_by(3).map(area).collect();
    let most = areas.iter().copied().fold(0.0, f32::max);
    assert!(most > 10.0 && areas.contains(&0.0), "{areas:?}");
    // A tenth of a second at the fastest speed.
    assert!(areas.windows(2).all(|w| (w[1] - w[0]).abs() < 0.5 * most + 8.0), "{areas:?}");
}

#[test]
fn training_frames_hold_the_bits_of_the_lesions_that_they_show() {
    let video = short(6, 3);
    let taken = frames::take(&video, Pick::Every(8), 64);
    assert_eq!(taken.images.len(), taken.truths.len() * 64 * 64);
    for (labels, truth) in taken.labels.chunks_exact(64 * 64).zip(&taken.truths) {
        for lesion in truth.lesions.iter().filter(|l| l.area_mm2 > 12.0) {
            assert!(labels.contains(&lesion.descriptors.bits()), "{lesion:?}");
        }
    }
}

#[test]
fn the_letterbox_keeps_the_mean_and_leaves_the_rest_black() {
    let mut screen = Canvas::new(1280, 720);
    screen.fill(Name::A.layout().sector, 100);
    let small = frames::letterboxed(&screen, Name::A.layout().sector, 256);
    let used = (616.0f32 / 800.0 * 256.0) as usize;
    assert!(small[..used * 256].iter().all(|v| *v == 100));
    assert!(small[(used + 1) * 256..].iter().all(|v| *v == 0));
}

/// The daemon's scanner profiles are data about the same two screens.
#[test]
fn the_scanner_profiles_that_are_shipped_describe_these_screens() {
    use super::layout::{Rect, Says};
    let shipped = [
        (Name::A, include_str!("../../../../daemon/live/profiles/phantom-1280x720.toml")),
        (Name::B, include_str!("../../../../daemon/live/profiles/phantom-1024x768.toml")),
    ];
    for (name, text) in shipped {
        let profile: toml::Table = toml::from_str(text).unwrap();
        let layout = name.layout();
        let numbers = |value: &toml::Value| -> Vec<usize> {
            value.as_array().unwrap().iter().map(|v| v.as_integer().unwrap() as usize).collect()
        };
        let area = |r: Rect| vec![r.x, r.y, r.width, r.height];
        assert_eq!(numbers(&profile["screen"]), [layout.width, layout.height]);
        assert_eq!(numbers(&profile["sector"]), area(layout.sector));
        assert_eq!(numbers(&profile["freeze_icon"]), area(layout.freeze_icon));
        assert_eq!(numbers(&profile["scale"]["ticks"]), area(layout.depth_scale));
        let texts = profile["text"].as_array().unwrap();
        assert_eq!(texts.len(), layout.texts.len());
        for text in layout.texts {
            let found = texts.iter().find(|t| numbers(&t["area"]) == area(text.rect)).unwrap();
            let identifies = found.get("identifies").is_some_and(|value| value.as_bool() == Some(true));
            assert_eq!(identifies, matches!(text.says, Says::Site | Says::Patient | Says::Date), "{text:?}");
        }
    }
}
