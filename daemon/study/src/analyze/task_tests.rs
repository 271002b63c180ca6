//! Which tasks a series or a study gets, and what one of them makes.

use dicom::header::Header;
use dicom::pixels::SliceRef;
use models::Refusal;
use models::refusal::{Gap, Place};
use report::settings::Device;

use super::*;
use crate::analyze::examine;
use crate::model::Shelf;
use crate::settings::Settings;
use crate::volume::Back;
use crate::volume::build::Built;

/// A task that `ALL` lacks would compile and never run.
#[test]
fn every_task_is_in_the_list_of_all() {
    let place = |task: StudyTask| match task {
        StudyTask::ChestCt => 0,
        StudyTask::CtQuality => 1,
        StudyTask::UsBreast => 2,
        StudyTask::MammographyViews => 3,
    };
    assert_eq!(StudyTask::ALL.map(place), [0, 1, 2, 3]);
}

#[test]
fn each_series_of_a_kind_or_the_study_but_never_both() {
    let each = |kind: SeriesKind| {
        StudyTask::ALL.into_iter().any(|task| matches!(task.wants(), Wants::EachSeries(own) if own == kind))
    };
    for (task, set) in StudyTask::of_studies() {
        assert!(!each(set.kind), "{task:?}: a series has one verdict");
        assert!(!set.kind.is_analysed(), "{task:?}: no series of it is a job by itself");
    }
    for task in StudyTask::ALL {
        assert_eq!(StudyTask::parse(task.name()), Some(task));
    }
    assert_eq!(StudyTask::parse("nonsense"), None);
}

#[test]
fn the_views_of_a_mammography_are_checked_when_asked_for() {
    let mut settings = Analyze::default();
    assert!(!StudyTask::takes_studies_of(&settings, SeriesKind::Mammography));
    settings.mammography_views = true;
    assert!(StudyTask::takes_studies_of(&settings, SeriesKind::Mammography));
    assert!(!StudyTask::takes_studies_of(&settings, SeriesKind::Ct));
    assert!(StudyTask::of_series(&settings, SeriesKind::Mammography).is_empty());
}

#[test]
fn ultrasound_of_a_breast_is_read_unless_that_is_switched_off() {
    let mut settings = Analyze::default();
    assert_eq!(StudyTask::of_series(&settings, SeriesKind::Ultrasound), [StudyTask::UsBreast]);
    settings.us_breast = ReadUltrasound::Off;
    assert!(StudyTask::of_series(&settings, SeriesKind::Ultrasound).is_empty());
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
    let built = Built { volume: volume(), sources: Vec::new(), back: Back::default(), remarks: Vec::new() };
    let examined = |built: Result<&Built, Refused>, instances: &[SliceRef]| {
        let subject = Subject {
            tasks: &[StudyTask::CtQuality],
            header: &header,
            elements: &[],
            instances,
            built,
            created_utc: "2026-11-24T03:00:00.000Z",
            priors: &[],
            performed: None,
            study: &[],
            pictures: None,
            part: None,
            revision: "",
            withdrawn: &[],
            review: None,
            marks_review: None,
            history: None,
            before: Default::default(),
        };
        let mut engine = Engine::new(Shelf::view(&Settings::default()));
        examine::examine(&mut engine, &Device::default(), &subject, &task::Unattended).unwrap()
    };
    let all: Vec<SliceRef> = (0..12).map(slice).collect();
    let whole = examined(Ok(&built), &all);
    assert!(whole.verdict.starts_with("CT image quality: noise 1"), "{}", whole.verdict);
    let slices = "12 slices every 1.00 mm, 1.50 mm thick (overlap 0.50 mm), none missing; motion not assessed";
    assert!(whole.verdict.ends_with(slices), "{}", whole.verdict);
    assert_eq!(whole.objects.iter().map(|object| object.kind).collect::<Vec<_>>(), ["sr"]);
    assert_eq!((whole.package, whole.accelerator), (None, None));

    let holes: Vec<SliceRef> = (0..12).filter(|z| *z != 5).map(slice).collect();
    let place = |number: i64| Place { number: Some(number), axis: 'z', mm: number as f64 };
    let gaps = vec![Gap { missing: 1, before: place(4), after: place(6) }];
    let missing = Refused::Volume(Refusal::MissingSlices { spacing_mm: 1.0, gaps });
    let refused = examined(Err(missing), &holes);
    assert!(matches!(refused.outcome, Outcome::Quality(_)), "a series that makes no volume is still judged");
    assert!(refused.verdict.contains("noise not evaluated: 1 slice is missing"), "{}", refused.verdict);
    assert!(refused.verdict.contains("1 missing"), "{}", refused.verdict);
}
