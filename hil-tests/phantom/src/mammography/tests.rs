//! Whole cases: one place in two views, truth that agrees with the pixels, headers of five vendors.

use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::dicom::{Intent, Study, Wanted, study};
use super::lesion::Kind;
use super::truth::ViewTruth;
use super::vendor::Vendor;
use super::woman::Density;
use super::{Case, Options, Projection, View, Visit};
use crate::anatomy::Side;
use crate::visit::{Day, Script};

fn options(pixel_mm: f32) -> Options {
    Options { pixel_mm: Some(pixel_mm), vendor: Some(Vendor::Ge), implants: Some(false), ..Options::default() }
}

fn with(kind: Kind, pixel_mm: f32) -> Options {
    Options { lesions: Some(1), kind: Some(kind), ..options(pixel_mm) }
}

fn truths(case: &Case) -> Vec<ViewTruth> {
    View::ALL.iter().map(|v| case.picture(*v).truth).collect()
}

fn wanted() -> Wanted {
    let intents = vec![Intent::Processing, Intent::Presentation];
    Wanted { intents, script: None, day: Day::default(), magnification: true }
}

fn opened(study: &Study) -> Vec<InMemDicomObject> {
    let read = |part10: &[u8]| dicom_object::from_reader(part10).unwrap().into_inner();
    study.instances.iter().map(|i| read(&i.part10)).collect()
}

fn text(o: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    o.element(tag).unwrap().to_str().unwrap().trim_end_matches([' ', '\0']).to_owned()
}

#[test]
fn a_lesion_is_as_far_behind_the_nipple_in_one_view_as_in_the_other() {
    let mut pairs = 0;
    for seed in 0..30 {
        let views = truths(&Case::new(seed, &with(Kind::Mass, 1.6)));
        for side in 0..2 {
            let [cc, mlo] = [&views[side], &views[side + 2]];
            let (Some(a), Some(b)) = (cc.lesions.first(), mlo.lesions.first()) else { continue };
            let apart = (a.behind_nipple_mm - b.behind_nipple_mm).abs();
            assert!(
                apart < 2.0 + 0.08 * a.behind_nipple_mm,
                "seed {seed}: {} and {}",
                a.behind_nipple_mm,
                b.behind_nipple_mm
            );
            pairs += 1;
        }
    }
    assert!(pairs >= 26, "{pairs} of 30 lesions are in both views");
}

#[test]
fn lateral_is_up_in_the_cc_view_and_the_outer_upper_quadrant_is_up_in_the_oblique_view_of_both_breasts() {
    let case = Case::new(5, &options(1.0));
    for view in View::ALL {
        let pose = case.pose(view);
        let base = pose.shown([20.0, 0.0, 0.0])[1];
        assert!(pose.shown([20.0, 20.0, 0.0])[1] < base, "lateral, {}", view.name());
        let head = pose.shown([20.0, 0.0, 20.0])[1];
        match view.projection {
            Projection::Cc => assert!((head - base).abs() < 1e-3),
            Projection::Mlo => assert!(head < base - 10.0),
        }
    }
}

#[test]
fn the_box_of_a_lesion_holds_what_the_lesion_changes_in_the_picture() {
    for kind in Kind::ALL {
        let ill = Case::new(40, &with(kind, 0.3));
        let well = Case::new(40, &Options { lesions: Some(0), ..with(kind, 0.3) });
        let mut seen = 0;
        for view in View::ALL {
            let (a, b) = (ill.picture(view), well.picture(view));
            let Some(lesion) = a.truth.lesions.first() else { continue };
            let change: Vec<f32> = a
                .stored(&a.signal)
                .iter()
                .zip(b.stored(&b.signal))
                .map(|(a, b)| (b.ln() - a.ln()).max(0.0))
                .map(|v| if v > 0.012 { v } else { 0.0 })
                .collect();
            let [left, top, right, bottom] = lesion.bounds;
            // Spicules and soft edges reach out of the box.
            let margin = [0.4 * (right - left) + 6.0, 0.4 * (bottom - top) + 6.0];
            let inside = |at: usize| {
                let (x, y) = ((at % a.truth.columns) as f32, (at / a.truth.columns) as f32);
                (left - margin[0]..right + margin[0]).contains(&x) && (top - margin[1]..bottom + margin[1]).contains(&y)
            };
            let whole: f32 = change.iter().sum();
            let within: f32 = change.iter().enumerate().filter(|(at, _)| inside(*at)).map(|(_, v)| v).sum();
            assert!(whole > 1.0, "{kind:?} in {}: {whole}", view.name());
            assert!(within > 0.9 * whole, "{kind:?} in {}: {within} of {whole}", view.name());
            seen += 1;
        }
        assert_eq!(seen, 2, "{kind:?}");
    }
}

#[test]
fn the_chest_wall_is_on_the_right_of_right_breasts_and_on_the_left_of_left_breasts() {
    let case = Case::new(9, &options(1.0));
    for view in View::ALL {
        let picture = case.picture(view);
        let stored = picture.stored(&picture.thickness);
        let columns = picture.truth.columns;
        let edge = |column: usize| stored.iter().skip(column).step_by(columns).sum::<f32>();
        let (left, right) = (edge(2), edge(columns - 3));
        assert_eq!(right > left, view.side == Side::Right, "{}", view.name());
        assert_eq!(picture.truth.chest_wall_on_right, view.side == Side::Right);
    }
}

#[test]
fn the_glandular_part_is_that_of_the_class_and_rises_from_a_to_d() {
    for seed in 0..4 {
        let mut last = 0.0;
        for density in Density::ALL {
            let case = Case::new(seed, &Options { density: Some(density), ..options(1.0) });
            let [low, high] = density.percent();
            for percent in case.glandular_percent() {
                assert!((0.9 * low..1.1 * high).contains(&percent), "{density:?}: {percent}");
                assert!(percent > last);
            }
            last = case.glandular_percent()[0].max(case.glandular_percent()[1]);
        }
    }
}

#[test]
fn a_prior_shows_the_same_breasts_before_the_lesion_grew() {
    let (mut absent, mut smaller) = (0, 0);
    for seed in 0..20 {
        let now = Case::new(seed, &with(Kind::Mass, 1.6));
        let before = Case::new(seed, &Options { visit: Visit::Prior, ..with(Kind::Mass, 1.6) });
        assert_eq!(now.lesions[0].centre_mm, before.lesions[0].centre_mm);
        assert_eq!(now.decoys.len(), before.decoys.len());
        let size = before.lesions[0].size(true);
        let shown: usize = truths(&before).iter().map(|v| v.lesions.len()).sum();
        assert!(size < 0.8);
        assert_eq!(size == 0.0, shown == 0);
        if size == 0.0 { absent += 1 } else { smaller += 1 }
    }
    assert!(absent > 3 && smaller > 3, "{absent} absent, {smaller} smaller");
}

#[test]
fn any_seed_gives_a_breast_of_a_sane_size_with_its_lesions_in_the_picture() {
    for seed in (0..14).chain([u64::MAX, 1 << 40]) {
        let case = Case::new(seed, &Options { pixel_mm: Some(1.6), ..Options::default() });
        for view in View::ALL {
            let picture = case.picture(view);
            let t = &picture.truth;
            let name = format!("seed {seed}, {}", view.name());
            assert!((25.0..90.0).contains(&t.thickness_mm), "{name}: {} mm", t.thickness_mm);
            assert!((5000.0..45000.0).contains(&t.breast_area_mm2), "{name}: {} mm2", t.breast_area_mm2);
            let within = |p: [f32; 2]| (0.0..t.columns as f32).contains(&p[0]) && (0.0..t.rows as f32).contains(&p[1]);
            assert!(within(t.nipple), "{name}: nipple at {:?}", t.nipple);
            assert!(t.lesions.iter().all(|l| within(l.centre)), "{name}");
            assert!(picture.signal.values.iter().all(|v| v.is_finite() && *v > 0.0), "{name}");
            let grey = picture.presented(case.vendor);
            assert!(grey.values.iter().all(|v| (0.0..=1.0).contains(v)), "{name}");
            let air = grey.values.iter().filter(|v| **v == 0.0).count();
            assert!(air > grey.values.len() / 12, "{name}: no air");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() {
    let bytes = |seed: u64| {
        let (study, _) = study(&Case::new(seed, &with(Kind::Mass, 1.6)), &wanted()).unwrap();
        study.instances.into_iter().map(|i| i.part10).collect::<Vec<_>>()
    };
    let first = bytes(3);
    assert!(first == bytes(3));
    assert!(first != bytes(4));
}

#[test]
fn every_header_says_which_breast_which_view_and_how_the_values_are_meant() {
    for vendor in Vendor::ALL {
        let case = Case::new(6, &Options { vendor: Some(vendor), ..with(Kind::Mass, 1.6) });
        let (study, truths) = study(&case, &wanted()).unwrap();
        assert_eq!((study.instances.len(), truths.len()), (10, 5), "{vendor:?}");
        let mut names = std::collections::BTreeSet::new();
        for (index, o) in opened(&study).iter().enumerate() {
            let truth = &truths[index / 2];
            let right = truth.side == Side::Right;
            assert!(names.insert(text(o, tags::SOP_INSTANCE_UID)));
            assert_eq!(text(o, tags::IMAGE_LATERALITY), if right { "R" } else { "L" });
            assert!(text(o, tags::PATIENT_ORIENTATION).starts_with(if right { "P" } else { "A" }));
            let view = o.element(tags::VIEW_CODE_SEQUENCE).unwrap().items().unwrap();
            let code = text(&view[0], tags::CODE_VALUE);
            let meant = match truth.projection {
                Projection::Cc => ["399162004", "R-10242"],
                Projection::Mlo => ["399368009", "R-10226"],
            };
            assert!(meant.contains(&code.as_str()), "{code}");
            let modifiers = view[0].element(tags::VIEW_MODIFIER_CODE_SEQUENCE).unwrap().items().unwrap();
            assert_eq!(modifiers.len(), usize::from(index >= 8));
            let raw = text(o, tags::PRESENTATION_INTENT_TYPE) == "FOR PROCESSING";
            assert_eq!(raw, index % 2 == 0);
            // Dense tissue is white once the photometric interpretation is applied.
            let pixels = o.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
            let inverse = text(o, tags::PHOTOMETRIC_INTERPRETATION) == "MONOCHROME1";
            let most = (1u32 << o.element(tags::BITS_STORED).unwrap().to_int::<u32>().unwrap()) - 1;
            assert!(pixels.iter().all(|v| u32::from(*v) <= most), "{vendor:?}");
            let white = |v: u16| if inverse { most - u32::from(v) } else { u32::from(v) };
            let (columns, rows) = (truth.columns, truth.rows);
            if index < 8 {
                let air = white(pixels[(rows - 2) * columns + if right { 1 } else { columns - 2 }]);
                let [x, y] = truth.nipple.map(|v| v as usize);
                let behind = if right { x + 12 } else { x - 12 };
                assert!(white(pixels[y * columns + behind]) > air + most / 20, "{vendor:?} {index}");
            }
        }
    }
}

#[test]
fn the_window_of_every_vendor_shows_the_grey_that_was_meant() {
    for vendor in Vendor::ALL {
        let case = Case::new(6, &Options { vendor: Some(vendor), lesions: Some(0), ..options(1.6) });
        let presentation = Wanted { intents: vec![Intent::Presentation], magnification: false, ..wanted() };
        let (study, _) = study(&case, &presentation).unwrap();
        let o = &opened(&study)[0];
        let number = |tag| text(o, tag).parse::<f32>().unwrap();
        let (centre, width) = (number(tags::WINDOW_CENTER), number(tags::WINDOW_WIDTH));
        let sigmoid = o.element_opt(tags::VOILUT_FUNCTION).unwrap().is_some();
        let inverse = text(o, tags::PHOTOMETRIC_INTERPRETATION) == "MONOCHROME1";
        let picture = case.picture(View::ALL[0]);
        let meant = picture.stored(&picture.presented(vendor));
        let pixels = o.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
        for (meant, stored) in meant.iter().zip(pixels).skip(picture.truth.columns * 30) {
            let x = (f32::from(stored) - centre) / width;
            let grey = if sigmoid { 1.0 / (1.0 + (-4.0 * x).exp()) } else { (x + 0.5).clamp(0.0, 1.0) };
            let grey = if inverse { 1.0 - grey } else { grey };
            assert!((grey - meant).abs() < 0.02, "{vendor:?}: {grey} instead of {meant}");
        }
    }
}

#[test]
fn the_headers_of_every_vendor_conform_to_the_mammography_object() {
    // The validator does not know that a character of GB18030 may end in a backslash.
    let wanted = || Wanted { script: Some(Script::Latin), ..wanted() };
    for vendor in Vendor::ALL {
        let case = Case::new(8, &Options { vendor: Some(vendor), ..with(Kind::Mass, 1.6) });
        let (study, _) = study(&case, &wanted()).unwrap();
        for instance in &study.instances {
            let name = format!("scanside-{}-{}.dcm", std::process::id(), instance.sop_instance_uid);
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, &instance.part10).unwrap();
            let answer = std::process::Command::new("dciodvfy").arg("-new").arg(&path).output();
            std::fs::remove_file(&path).unwrap();
            let Ok(answer) = answer else {
                return needs::skip(needs::Lack::Software, "dciodvfy not installed");
            };
            let said = String::from_utf8_lossy(&answer.stderr).into_owned();
            let errors: Vec<&str> = said.lines().filter(|l| l.starts_with("Error")).collect();
            assert!(errors.is_empty() && !said.is_empty(), "{vendor:?} {}: {errors:#?}", instance.file_name);
        }
    }
}
