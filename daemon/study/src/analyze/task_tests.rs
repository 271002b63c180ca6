//! Which series of a study a task works on, and when.

use super::*;

fn header(modality: &str, view: &str) -> Header {
    Header { modality: modality.into(), series_description: view.into(), ..Header::default() }
}

fn member(header: &Header, kind: Kind, complete: bool) -> Member<'_> {
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
    let study =
        [member(&header, Kind::Localiser, true), member(&header, Kind::Ct, true), member(&header, Kind::Ct, false)];
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
    let all: Vec<Member<'_>> = views.iter().map(|header| member(header, Kind::Other, true)).collect();
    let wants = Wants::Views(MAMMOGRAPHY);
    assert_eq!(wants.select(&all, false), [Selection::Ready(vec![Some(0), Some(1), Some(2), Some(3), None])]);
    let missing = vec!["R-MLO", "L-MLO"];
    assert_eq!(wants.select(&all[..2], false), [Selection::Waiting { missing: missing.clone() }]);
    assert_eq!(wants.select(&all[..2], true), [Selection::Incomplete { missing }]);
    let other = header("CT", "axial");
    assert!(wants.select(&[member(&other, Kind::Ct, true)], true).is_empty(), "nothing of it is there");
}

#[test]
fn a_view_that_is_still_arriving_is_waited_for_and_the_last_of_two_is_taken() {
    let views = ["R-CC", "L-CC", "R-MLO", "L-MLO", "R-CC"].map(|view| header("MG", view));
    let mut study: Vec<Member<'_>> = views.iter().map(|header| member(header, Kind::Other, true)).collect();
    let wants = Wants::Views(MAMMOGRAPHY);
    assert_eq!(wants.select(&study, false), [Selection::Ready(vec![Some(4), Some(1), Some(2), Some(3), None])]);
    study[4].complete = false;
    assert_eq!(wants.select(&study, false), [Selection::Waiting { missing: vec!["R-CC"] }]);
    let prior = header("MG", "prior");
    study[4] = member(&prior, Kind::Other, false);
    assert_eq!(wants.select(&study, false), [Selection::Waiting { missing: Vec::new() }], "it is on its way");
}

#[test]
fn quality_is_asked_for_and_never_takes_the_place_of_the_chest_task() {
    let mut settings = Analyze::default();
    assert_eq!(StudyTask::of_series(&settings, Kind::Ct), [StudyTask::ChestCt]);
    settings.quality = true;
    assert_eq!(StudyTask::of_series(&settings, Kind::Ct), [StudyTask::ChestCt, StudyTask::CtQuality]);
    assert!(StudyTask::of_series(&settings, Kind::Localiser).is_empty());
}
