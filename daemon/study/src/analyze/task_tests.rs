//! Which series of a study a task works on, and when.

use dicom::pixels::SliceRef;
use report::settings::Device;

use super::*;
use crate::analyze::examine;
use crate::model::Shelf;
use crate::settings::Settings;

fn header(modality: &str, view: &str) -> Header {
    Header { modality: modality.into(), series_description: view.into(), ..Header::default() }
}

fn member(header: &Header, kind: SeriesKind, complete: bool) -> Member<'_> {
    Member { kind, header, complete }
}

/// A set as mammography has it, with a prior that may be absent.
const MAMMOGRAPHY: &[View] = &[
    View { name: "R-CC", pixels: Pixels::Planes, needed: true, shows: |h| h.series_description == "R-CC" },
    View { name: "L-CC", pixels: Pixels::Planes, needed: true, shows: |h| h.series_description == "L-CC" },
    View { name: "R-MLO", pixels: Pixels::Planes, needed: true, shows: |h| h.series_description == "R-MLO" },
    View { name: "L-MLO", pixels: Pixels::Planes, needed: true, shows: |h| h.series_description == "L-MLO" },
    View { name: "prior", pixels: Pixels::Planes, needed: false, shows: |h| h.series_description == "prior" },
];

#[test]
fn each_complete_series_of_the_kind_is_a_run_of_its_own() {
    let header = header("CT", "");
    let study = [
        member(&header, SeriesKind::Localiser, true),
        member(&header, SeriesKind::Ct, true),
        member(&header, SeriesKind::Ct, false),
    ];
    let wants = StudyTask::ChestCt.wants();
    let waiting = Selection::Waiting { missing: vec!["the rest of the series"] };
    assert_eq!(wants.select(&study, false), [Selection::Ready(vec![Some(1)]), waiting]);
    let ready = |place| Selection::Ready(vec![Some(place)]);
    assert_eq!(wants.select(&study, true), [ready(1), ready(2)]);
    assert!(wants.select(&study[..1], true).is_empty());
}

#[test]
fn a_set_of_views_waits_for_the_study_and_says_what_is_missing() {
    let views = ["R-CC", "L-CC", "R-MLO", "L-MLO"].map(|view| header("MG", view));
    let all: Vec<Member<'_>> = views.iter().map(|header| member(header, SeriesKind::Other, true)).collect();
    let wants = Wants::Views(MAMMOGRAPHY);
    assert_eq!(wants.select(&all, false), [Selection::Ready(vec![Some(0), Some(1), Some(2), Some(3), None])]);
    let missing = vec!["R-MLO", "L-MLO"];
    assert_eq!(wants.select(&all[..2], false), [Selection::Waiting { missing: missing.clone() }]);
    assert_eq!(wants.select(&all[..2], true), [Selection::Incomplete { missing }]);
    let other = header("CT", "axial");
    assert!(wants.select(&[member(&other, SeriesKind::Ct, true)], true).is_empty(), "nothing of it is there");
}

#[test]
fn a_view_that_is_still_arriving_is_waited_for_and_the_last_of_two_is_taken() {
    let views = ["R-CC", "L-CC", "R-MLO", "L-MLO", "R-CC"].map(|view| header("MG", view));
    let mut study: Vec<Member<'_>> = views.iter().map(|header| member(header, SeriesKind::Other, true)).collect();
    let wants = Wants::Views(MAMMOGRAPHY);
    assert_eq!(wants.select(&study, false), [Selection::Ready(vec![Some(4), Some(1), Some(2), Some(3), None])]);
    study[4].complete = false;
    assert_eq!(wants.select(&study, false), [Selection::Waiting { missing: vec!["R-CC"] }]);
    let prior = header("MG", "prior");
    study[4] = member(&prior, SeriesKind::Other, false);
    assert_eq!(wants.select(&study, false), [Selection::Waiting { missing: Vec::new() }], "it is on its way");
}

#[test]
fn quality_is_asked_for_and_never_takes_the_place_of_the_chest_task() {
    let mut settings = Analyze::default();
    assert_eq!(StudyTask::of_series(&settings, SeriesKind::Ct), [StudyTask::ChestCt]);
    settings.quality = true;
    assert_eq!(StudyTask::of_series(&settings, SeriesKind::Ct), [StudyTask::ChestCt, StudyTask::CtQuality]);
    assert!(StudyTask::of_series(&settings, SeriesKind::Localiser).is_empty());
}

/// Twelve slices of soft tissue with noise, 1 mm apart.
fn volume() -> Volume {
    let mut state = 1u64;
    let mut noise = || {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1u32 << 24) - 0.5
        };
        (0..12).map(|_| next()).sum::<f64>()
    };
    let geometry = models::Geometry {
        dims: [64, 64, 12],
        spacing_mm: [0.7, 0.7, 1.0],
        origin_mm: [0.0; 3],
        axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    let slices = (0..12).map(|_| (0..64 * 64).map(|_| (40.0 + 15.0 * noise()).round() as i16).collect()).collect();
    Volume { geometry, slices }
}

#[test]
fn the_quality_of_a_series_is_one_report_and_one_line_without_any_package() {
    let volume = volume();
    let header = Header {
        modality: "CT".into(),
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
        slice_thickness: Some(1.5),
        ..Header::default()
    };
    let slice = |z: u32| SliceRef {
        sop_class_uid: header.sop_class_uid.clone(),
        sop_instance_uid: format!("1.2.3.{z}"),
        frame: None,
        position_mm: [0.0, 0.0, f64::from(z)],
    };
    let examined = |volume: Result<&Volume, String>, instances: &[SliceRef]| {
        let subject = Subject {
            tasks: &[StudyTask::CtQuality],
            header: &header,
            elements: &[],
            instances,
            volume,
            created_utc: "2026-11-24T03:00:00.000Z",
            prior: None,
        };
        let mut engine = Engine::new(Shelf::view(&Settings::default()));
        examine::examine(&mut engine, &Device::default(), &subject, &task::Unattended).unwrap()
    };
    let all: Vec<SliceRef> = (0..12).map(slice).collect();
    let whole = examined(Ok(&volume), &all);
    assert!(whole.verdict.starts_with("CT image quality: noise 1"), "{}", whole.verdict);
    let slices = "12 slices every 1.00 mm, 1.50 mm thick (overlap 0.50 mm), none missing; motion not assessed";
    assert!(whole.verdict.ends_with(slices), "{}", whole.verdict);
    assert_eq!(whole.objects.iter().map(|object| object.kind).collect::<Vec<_>>(), ["sr"]);
    assert_eq!((whole.package, whole.accelerator), (None, None));

    let holes: Vec<SliceRef> = (0..12).filter(|z| *z != 5).map(slice).collect();
    let refused = examined(Err("1 slice is missing".into()), &holes);
    assert!(matches!(refused.outcome, Outcome::Quality(_)), "a series that makes no volume is still judged");
    assert!(refused.verdict.contains("noise not evaluated: 1 slice is missing"), "{}", refused.verdict);
    assert!(refused.verdict.contains("1 missing"), "{}", refused.verdict);
}
