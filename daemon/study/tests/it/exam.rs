//! An exam is recorded and becomes DICOM objects: pictures with findings are kept, others are deleted, a kill loses
//! little, and other DICOM software accepts the objects.

use std::path::{Path, PathBuf};

use custody::series::SeriesState;
use custody::store::results::ResultRow;
use dicom::kind::SeriesKind;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use hal::capture::convert;
use live::jpeg;
use live::record::pictures;
use live::settings::Record;
use live::view::RecordingState;
use models::review::edit::{Edit, Field, Values};
use models::review::marks::{ListedMark, MarkReview};
use models::review::{Decided, Decision};
use report::ResultObject;
use report::settings::Device;
use sha2::Digest;
use study::exam::again::{self, Kept};
use study::exam::develop;

use super::exam_support::{NAME, SIZE, Stand, others, until, write};

fn settings() -> Record {
    Record { keep_secs: 5, clip_secs: 2.0, ..Record::default() }
}

fn read(object: &ResultObject) -> InMemDicomObject {
    dicom_object::from_reader(object.part10.as_slice()).unwrap().into_inner()
}

fn kinds(objects: &[ResultObject]) -> Vec<&str> {
    objects.iter().map(|object| object.kind).collect()
}

/// Pixels of one frame as greyscale.
fn pixels(object: &InMemDicomObject, frame: usize) -> Vec<u8> {
    let fragments = object.element(tags::PIXEL_DATA).unwrap().value().fragments().unwrap();
    let mut grey = Vec::new();
    convert::grey(&jpeg::frame(fragments[frame].clone(), SIZE[0] as u16, SIZE[1] as u16), &mut grey).unwrap();
    grey
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_found_and_marked_is_kept_and_everybody_can_read_it() {
    let stand = Stand::start(settings());
    stand.exam(0);
    // 14 s; the lesion is seen best at 3 s, a mark is set at 8 s.
    for n in 0..420 {
        let sure = (60..120).contains(&n).then_some(if n == 90 { 0.9 } else { 0.6 });
        stand.picture(n, sure).await;
        match n {
            90 => until("the best picture to be noted", || stand.journal().contains("\"sequence\":90,")).await,
            240 => {
                stand.exam(1);
                until("the mark to be noted", || stand.journal().contains("marked")).await;
            }
            _ => {}
        }
    }
    // Kept: around 3 s, around 8 s, and the last 5 s. Deleted: the first second and the pictures between.
    let parts = stand.files().iter().filter(|path| path.extension().is_some_and(|e| e == "pic")).count();
    assert!((9..=12).contains(&parts), "{parts} files of a second");
    stand.end_exam();
    let row = stand.handed_over(1).await.remove(0);
    assert_eq!((row.kind, row.state, row.modality.as_str()), (SeriesKind::Exam, SeriesState::Complete, "US"));
    let (objects, developed) = stand.developed(&row, &settings());
    assert_eq!(developed.verdict, "breast ultrasound: 1 lesion, 1 mark, 2 clips");
    assert!(developed.latency.contains("\"started_utc\": \"2026-11-24T03:00:00.000Z\""));
    assert_eq!(kinds(&objects), ["us", "us", "us-key", "us-key", "seg", "pdf", "pdf", "breast-report", "sr"]);
    for document in objects.iter().filter(|object| object.kind == "pdf") {
        let image = b"/Subtype /Image";
        let pictures = document.part10.windows(image.len()).filter(|bytes| bytes == image).count();
        assert_eq!(pictures, 2, "the lesion and the mark are in each document");
    }
    let clip = read(&objects[0]);
    let frames: usize = clip.element(tags::NUMBER_OF_FRAMES).unwrap().to_int().unwrap();
    assert!((60..=61).contains(&frames), "{frames} frames are 2 s");
    let again = stand.developed(&row, &settings()).0;
    assert_eq!(again, objects, "a repetition makes the same objects");

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exam");
    let paths = write(&folder, &objects);
    let mut complaints = others(&paths);
    let (images, results) = paths.split_at(4);
    for path in &paths {
        complaints.extend(super::report_support::dciodvfy(path));
    }
    for result in results {
        complaints.extend(super::report_support::dcentvfy(images, result));
    }
    let [_, _, _, breast, report] = results else { panic!("{} results", results.len()) };
    let reports = [(breast.clone(), "TID_4200"), (report.clone(), "TID_1500")];
    complaints.extend(reports.iter().flat_map(|(file, _)| super::report_support::dsrdump(file)));
    complaints.extend(super::report_support::templates(&reports));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_simulated_video_device_showed_makes_simulated_results() {
    for simulated in [false, true] {
        let mut stand = Stand::start(settings());
        stand.simulated = simulated;
        stand.exam(0);
        for n in 0..10 {
            stand.picture(n, None).await;
        }
        stand.end_exam();
        let row = stand.handed_over(1).await.remove(0);
        let (objects, developed) = stand.developed(&row, &settings());
        assert_eq!(developed.simulated, simulated);
        let report = objects.iter().find(|object| object.kind == "sr").unwrap();
        let says = report.part10.windows(16).any(|bytes| bytes == b"simulated device");
        assert_eq!(says, simulated, "the report names it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_on_the_screen_is_black_where_that_is_asked_for() {
    for mask_text in [false, true] {
        let settings = Record { mask_text, ..settings() };
        let stand = Stand::start(settings.clone());
        stand.exam(0);
        for n in 0..40 {
            stand.picture(n, Some(0.8)).await;
        }
        until("the lesion to be noted", || stand.journal().contains("seen")).await;
        stand.end_exam();
        let row = stand.handed_over(1).await.remove(0);
        for object in stand.developed(&row, &settings).0.iter().filter(|object| object.kind.starts_with("us")) {
            let image = read(object);
            let says = image.element(tags::BURNED_IN_ANNOTATION).unwrap().to_str().unwrap();
            assert_eq!(says.trim_end(), if mask_text { "NO" } else { "YES" });
            let grey = pixels(&image, 0);
            let [x, y, width, height] = NAME;
            let brightest = (y..y + height).flat_map(|y| grey[y * SIZE[0] + x + 8..][..width - 8].to_vec()).max();
            assert_eq!(brightest.unwrap() < 20, mask_text, "{brightest:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_costs_no_more_than_the_picture_that_was_being_written() {
    let stand = Stand::start(settings());
    stand.exam(0);
    for n in 0..100 {
        stand.picture(n, (n > 80).then(|| 0.04 * (n - 78) as f32)).await;
    }
    until("the lesion to be noted", || stand.journal().matches("seen").count() > 3).await;
    let folder = stand.kill().await;
    // What a kill during a write leaves.
    let recording = std::fs::read_dir(folder.path().join("exams")).unwrap().next().unwrap().unwrap().path();
    let mut parts: Vec<_> = std::fs::read_dir(&recording).unwrap().map(|e| e.unwrap().path()).collect();
    parts.sort();
    let last = parts.iter().rfind(|path| path.extension().is_some_and(|e| e == "pic")).unwrap();
    for torn in [last, &recording.join("journal.jsonl")] {
        let bytes = std::fs::read(torn).unwrap();
        std::fs::write(torn, &bytes[..bytes.len() - 9]).unwrap();
    }
    let pictures = |path: &PathBuf| pictures::read(&std::fs::read(path).unwrap()).len();
    let recorded: usize = parts.iter().filter(|path| path.extension().is_some_and(|e| e == "pic")).map(pictures).sum();

    let stand = Stand::on(folder, settings());
    let row = stand.handed_over(1).await.remove(0);
    let (objects, developed) = stand.developed(&row, &settings());
    assert_eq!(kinds(&objects), ["us", "us-key", "seg", "pdf", "pdf", "breast-report", "sr"]);
    assert!(developed.verdict.contains("the box was stopped or lost its power"), "{}", developed.verdict);
    let image = read(&objects[0]);
    assert_eq!(image.element(tags::PATIENT_ID).unwrap().to_str().unwrap().trim_end(), "P7");
    let times = image.element(tags::FRAME_TIME_VECTOR).unwrap().to_multi_float64().unwrap();
    // From one second before the best picture in the journal up to the last complete picture.
    assert!((29..=34).contains(&times.len()), "{} pictures", times.len());
    assert_eq!(recorded, 99, "all but the torn one");
    // It is handed over only once, even after several restarts.
    let folder = stand.kill().await;
    let stand = Stand::on(folder, settings());
    assert_eq!(stand.handed_over(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_recording_and_not_the_exam_and_it_goes_on_by_itself() {
    let stand = Stand::start(settings());
    let state = || stand.view.recording.borrow().state.clone();
    stand.exam(0);
    for n in 0..10 {
        stand.picture(n, None).await;
    }
    until("recording", || state() == RecordingState::On).await;
    stand.free.store(0, std::sync::atomic::Ordering::Relaxed);
    for n in 10..=31 {
        stand.picture(n, None).await;
    }
    until("the reason", || matches!(state(), RecordingState::Failed { reason } if reason.contains("disk is full")))
        .await;
    stand.free.store(1 << 40, std::sync::atomic::Ordering::Relaxed);
    // Five seconds later.
    stand.picture(200, None).await;
    until("recording", || state() == RecordingState::On).await;
    stand.end_exam();
    let row = stand.handed_over(1).await.remove(0);
    let (objects, developed) = stand.developed(&row, &settings());
    assert_eq!(
        kinds(&objects),
        ["us-key", "pdf", "pdf", "breast-report", "sr"],
        "the last picture, and that nothing was found"
    );
    assert_eq!(
        developed.verdict,
        "breast ultrasound: lesions not evaluated: no network looked at the pictures, 0 clips"
    );
    assert_eq!(
        read(&objects[0]).element(tags::SOP_CLASS_UID).unwrap().to_str().unwrap().trim_end_matches('\0'),
        uids::ULTRASOUND_IMAGE_STORAGE
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_exam_after_another_are_two_recordings() {
    let stand = Stand::start(settings());
    for (id, begin) in [("P7", 0), ("P12", 100)] {
        stand.exam_of(id, 0);
        until("the exam to be recorded", || stand.journal().contains(&format!("\"id\":\"{id}\""))).await;
        for n in begin..begin + 40 {
            stand.picture(n, Some(0.7)).await;
        }
        until("the lesion to be noted", || stand.journal().matches("seen").count() > usize::from(begin > 0)).await;
    }
    stand.end_exam();
    let rows = stand.handed_over(2).await;
    for (row, id) in rows.iter().zip(["P7", "P12"]) {
        for object in stand.developed(row, &settings()).0 {
            let patient = read(&object);
            assert_eq!(patient.element(tags::PATIENT_ID).unwrap().to_str().unwrap().trim_end(), id);
        }
    }
}

/// A signed review of what was listed, with this decision about every lesion.
fn review(developed: &develop::Developed, decision: Decision, edit: &[(Field, &str)]) -> MarkReview {
    let marked = &developed.marked;
    let values: Values = edit.iter().map(|(field, value)| (*field, (*value).to_owned())).collect();
    let edit = (decision == Decision::Edited).then(|| Edit { by: "Li Ming".into(), values });
    let one =
        |listed: &ListedMark| Decided { listed: listed.clone(), decision, comment: "seen".into(), edit: edit.clone() };
    MarkReview {
        by: "Li Ming".into(),
        utc: "2026-11-25T05:00:00.000Z".into(),
        package: marked.package.clone(),
        decisions: marked.listed.iter().map(one).collect(),
        predecessor: marked.report.clone().unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_of_an_exam_needs_no_recording_and_makes_no_image_again() {
    let stand = Stand::start(settings());
    stand.exam(0);
    for n in 0..150 {
        stand.picture(n, (60..120).contains(&n).then_some(if n == 90 { 0.9 } else { 0.6 })).await;
        if n == 90 {
            until("the best picture to be noted", || stand.journal().contains("\"sequence\":90,")).await;
        }
    }
    stand.end_exam();
    let row = stand.handed_over(1).await.remove(0);
    let journal = stand.journal();
    let (objects, developed) = stand.developed(&row, &settings());
    let listed = &developed.marked.listed;
    assert_eq!(listed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["lesion-1"]);
    let of = |kind: &str| objects.iter().filter(|one| one.kind == kind).collect::<Vec<_>>();
    assert_eq!(listed[0].sop_instance_uid, of("us-key")[0].sop_uid);
    assert!(listed[0].words.contains("6.0 x 4.0 mm") && listed[0].words_zh.contains("良性"), "{listed:?}");

    // The results are kept, the recording is gone.
    let spool = tempfile::tempdir().unwrap();
    let rows: Vec<ResultRow> = write(spool.path(), &objects)
        .into_iter()
        .zip(&objects)
        .map(|(file, object)| ResultRow {
            id: 0,
            job_id: 1,
            kind: object.kind.to_owned(),
            sop_class: object.sop_class_uid.clone(),
            sop_uid: object.sop_uid.clone(),
            study_uid: object.study_uid.clone(),
            series_uid: object.series_uid.clone(),
            file: file.file_name().unwrap().to_str().unwrap().to_owned(),
            length: object.part10.len() as u64,
            sha256: hex::encode(sha2::Sha256::digest(&object.part10)),
            simulated: false,
        })
        .collect();
    std::fs::remove_dir_all(develop::folder(stand.folder.path(), &row.key.series_uid)).unwrap();
    let kept = Kept { journal, pictures: developed.pictures.clone() };
    std::fs::write(spool.path().join(again::FILE), kept.json()).unwrap();
    let report = rows.iter().find(|row| row.kind == "sr").unwrap();
    assert_eq!(Kept::of(spool.path(), report).unwrap(), kept, "it is read back as it was");
    let reviewed = |review: &MarkReview| {
        let mut made = Vec::new();
        let put = &mut |object: &ResultObject| {
            made.push(object.clone());
            Ok::<_, develop::Error>(())
        };
        let told = again::again(spool.path(), &kept, &rows, review, &Device::default(), &|_| Vec::new(), put).unwrap();
        (made, told)
    };
    let text = |objects: &[ResultObject]| format!("{:?}", read(objects.iter().find(|one| one.kind == "sr").unwrap()));

    let edit = review(&developed, Decision::Edited, &[(Field::LongMm, "21.5"), (Field::ShortMm, "14.0")]);
    let (made, told) = reviewed(&edit);
    assert_eq!(
        kinds(&made),
        ["pdf", "pdf", "breast-report", "sr"],
        "of another size there is no outline, and no image is made again"
    );
    assert!(
        told.verdict.ends_with("reviewed by Li Ming, 2026-11-25 UTC: 0 accepted, 1 edited, 0 rejected"),
        "{}",
        told.verdict
    );
    let said = text(&made);
    let old = &of("sr")[0].sop_uid;
    for part in [
        "VERIFIED",
        "Li Ming",
        "21.5",
        "edited by Li Ming: long axis 21.5 mm (was: 6.0 mm)",
        old,
        &of("us-key")[0].sop_uid,
        &of("us")[0].sop_uid,
    ] {
        assert!(said.contains(part), "{part}");
    }
    assert!(made.iter().all(|one| objects.iter().all(|before| before.sop_uid != one.sop_uid)), "new objects");
    assert_eq!(reviewed(&edit).0, made, "a repetition makes the same objects");
    let tracking = |text: &str| text.match_indices("TRACKING").count();
    assert_eq!(tracking(&said), tracking(&text(&objects)));

    let (made, told) = reviewed(&review(&developed, Decision::Accepted, &[]));
    assert_eq!(kinds(&made), ["seg", "pdf", "pdf", "breast-report", "sr"]);
    assert!(told.marked.review.is_some() && text(&made).contains("VERIFIED"));

    let (made, told) = reviewed(&review(&developed, Decision::Rejected, &[]));
    assert_eq!(kinds(&made), ["pdf", "pdf", "breast-report", "sr"]);
    assert!(
        told.verdict.starts_with("breast ultrasound: no lesion") && told.verdict.ends_with("1 rejected"),
        "{}",
        told.verdict
    );
    assert!(!text(&made).contains("Lesion 1"), "what was rejected is in the report no more");
    assert!(told.visit.is_none_or(|visit| visit.sightings.is_empty()));

    let other = MarkReview { package: "us-breast 9".into(), ..review(&developed, Decision::Rejected, &[]) };
    let (made, told) = reviewed(&other);
    assert!(
        told.marked.review.is_none() && told.verdict.contains("the review by Li Ming was not applied"),
        "{}",
        told.verdict
    );
    assert!(text(&made).contains("Lesion 1"), "a review of another network's lesions takes out nothing");
}
