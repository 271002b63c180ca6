//! No exam is lost, whatever the disk does: what the recorder sees late, it still sees.

use std::sync::Mutex;

use dicom::patient::Patient;
use hal::capture::frame::Shape;
use hal::capture::{Colour, Frame, PixelFormat, convert};
use models::findings::Side;

use super::*;
use crate::jpeg;
use crate::screen::profile::Profile;
use crate::view;

/// Keeps the stories of what is handed over.
#[derive(Default, Clone)]
struct Kept(Arc<Mutex<Vec<Story>>>);

impl HandOver for Kept {
    fn hand_over(&self, recording: &Path) {
        self.0.lock().unwrap().push(journal::story(recording).unwrap().unwrap());
    }
}

fn recorder(folder: &Path) -> (Recorder, Kept) {
    let kept = Kept::default();
    let parts = RecorderParts {
        settings: settings::Record::default(),
        directory: folder.join("exams"),
        profiles: Profiles::of(Vec::new()),
        free: Arc::new(|| Ok(u64::MAX)),
        min_free_bytes: 0,
        hand_over: Box::new(kept.clone()),
        told: watch::channel(Arc::default()).0,
    };
    (Recorder::new(parts), kept)
}

fn exam(number: u32, id: &str) -> Exam {
    Exam {
        number: number.into(),
        study_uid: format!("2.25.{number}"),
        patient: Patient { id: id.into(), name: "PHANTOM^EVA".into(), ..Patient::default() },
        started_utc: format!("2026-11-30T10:00:{number:02}.000Z"),
        marks: 0,
        side: None,
        probe: None,
        places: std::collections::BTreeMap::new(),
        by_probe: std::collections::BTreeSet::new(),
        request: None,
    }
}

fn ended(exam: Exam) -> Ended {
    let stats = Stats { pictures: 7, ..Stats::default() };
    Ended {
        exam,
        name_on_screen: None,
        another_on_screen: false,
        stats,
        coverage: Default::default(),
        utc: "2026-11-30T10:30:00.000Z".into(),
    }
}

fn stories(kept: &Kept) -> Vec<(String, String, bool)> {
    let of = |story: &Story| {
        let is_whole = story.ended == Some(("2026-11-30T10:30:00.000Z".into(), false));
        (story.begun.study_uid.clone(), story.begun.patient.id.clone(), is_whole)
    };
    kept.0.lock().unwrap().iter().map(of).collect()
}

#[test]
fn no_exam_is_missed_while_the_disk_is_slow() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, kept) = recorder(folder.path());
    recorder.status(&Status { exam: Some(exam(1, "UNIDENTIFIED-1")), ..Status::default() });
    // The first was given to a patient and ended, another one has begun and ended, a third one runs.
    let ended = Arc::new(VecDeque::from([ended(exam(1, "P1")), ended(exam(2, "P2"))]));
    let now = Status { exam: Some(exam(3, "P3")), ended, ..Status::default() };
    recorder.status(&now);
    recorder.status(&now);
    let both = [("2.25.1".into(), "P1".into(), true), ("2.25.2".into(), "P2".into(), true)];
    assert_eq!(stories(&kept), both, "each once, of its patient");
    assert_eq!(recorder.open.as_ref().map(|open| open.story.begun.patient.id.as_str()), Some("P3"));
}

#[test]
fn an_exam_of_which_the_end_was_forgotten_gets_nothing_of_another_patient() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, kept) = recorder(folder.path());
    recorder.status(&Status { exam: Some(exam(1, "P1")), ..Status::default() });
    recorder.status(&Status { ended: Arc::new([ended(exam(9, "P9"))].into()), ..Status::default() });
    let ids: Vec<_> = stories(&kept).into_iter().map(|(study, id, _)| (study, id)).collect();
    assert_eq!(ids, [("2.25.9".into(), "P9".into()), ("2.25.1".into(), "P1".into())]);
}

#[test]
fn an_exam_that_could_not_be_recorded_at_first_is_recorded_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(folder.path());
    std::fs::write(folder.path().join("exams"), "in the way").unwrap();
    let (told, status) = watch::channel(Arc::new(Status { exam: Some(exam(1, "P1")), ..Status::default() }));
    recorder.status(&told.borrow().clone());
    assert!(recorder.open.is_none() && recorder.backoff.has_failed());
    std::fs::remove_file(folder.path().join("exams")).unwrap();
    recorder.at = PAUSES.first - Duration::from_millis(1);
    recorder.try_again(&status);
    assert!(recorder.open.is_none(), "not with each picture");
    recorder.at = PAUSES.first;
    recorder.try_again(&status);
    assert!(recorder.open.is_some());
}

/// Bytes in the files of pictures.
fn kept_bytes(recorder: &Recorder) -> u64 {
    let folder = recorder.open.as_ref().unwrap().files.folder();
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let pictures = files.filter(|file| file.file_name().to_str().unwrap().ends_with(".pic"));
    pictures.map(|file| file.metadata().unwrap().len()).sum()
}

#[test]
fn while_the_disk_is_full_nobody_says_that_it_records_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(folder.path());
    let free = Arc::new(std::sync::atomic::AtomicU64::new(100));
    let now = free.clone();
    recorder.parts.free = Arc::new(move || Ok(now.load(std::sync::atomic::Ordering::Relaxed)));
    recorder.parts.min_free_bytes = 100;
    let (_stage, view) = view::channel();
    recorder.status(&Status { exam: Some(exam(1, "P1")), ..Status::default() });
    let mut told = recorder.parts.told.subscribe();
    let mut record = |recorder: &mut Recorder, seconds: std::ops::Range<u64>| {
        let mut states = Vec::new();
        for sequence in seconds.start * 30..seconds.end * 30 {
            let picture = picture(sequence, 1);
            recorder.at = picture.captured;
            recorder.picture(&picture, &view);
            states.push(told.borrow_and_update().state == RecordingState::On);
        }
        states
    };
    assert!(record(&mut recorder, 0..3).iter().all(|is_on| *is_on));
    free.store(99, std::sync::atomic::Ordering::Relaxed);
    record(&mut recorder, 3..5);
    let before = kept_bytes(&recorder);
    assert!(record(&mut recorder, 5..65).iter().all(|is_on| !is_on), "not even for one picture");
    assert_eq!(kept_bytes(&recorder), before);
    free.store(100, std::sync::atomic::Ordering::Relaxed);
    assert!(record(&mut recorder, 65..72).last().unwrap(), "there is room again");
}

#[test]
fn an_exam_that_begins_on_a_full_disk_is_known_and_not_said_to_be_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(folder.path());
    (recorder.parts.free, recorder.parts.min_free_bytes) = (Arc::new(|| Ok(99)), 100);
    recorder.status(&Status { exam: Some(exam(1, "P1")), ..Status::default() });
    assert!(
        matches!(&recorder.parts.told.borrow().state, RecordingState::Failed { reason } if reason.contains("full"))
    );
    assert_eq!(recorder.open.as_ref().unwrap().story.begun.patient.id, "P1");
}

fn picture(sequence: u64, exam: u64) -> Picture {
    let shape = Shape::tight(PixelFormat::Grey, 16, 16, Colour::default());
    let captured = Duration::from_millis(33 * sequence);
    Picture { sequence, captured, exam, frame: Frame::new(shape, sequence, captured, Arc::new(vec![0; 256])) }
}

/// Somebody has frozen the page and forgotten it; whoever scans looks at the scanner.
#[test]
fn a_frozen_page_stops_no_recording_and_a_mark_is_of_what_stands_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(folder.path());
    recorder.parts.settings.keep_secs = 2;
    let (stage, view) = view::channel();
    let now = |marks| Status { exam: Some(Exam { marks, ..exam(1, "P1") }), ..Status::default() };
    recorder.status(&now(0));
    let record = |recorder: &mut Recorder, numbers: std::ops::Range<u64>, is_frozen: bool| {
        for sequence in numbers {
            let picture = picture(sequence, 1);
            if !is_frozen {
                stage.pictures.send_replace(Some(Arc::new(picture.clone())));
            }
            recorder.picture(&picture, &view);
            if sequence == 50 {
                recorder.overlay(&Overlay { sequence, mm_per_pixel: Some(0.1), ..Overlay::default() });
            }
        }
    };
    record(&mut recorder, 0..100, false);
    record(&mut recorder, 100..400, true);
    recorder.status(&now(1));
    record(&mut recorder, 400..500, false);
    let open = recorder.open.as_ref().unwrap();
    assert_eq!((open.told.pictures, open.told.state.clone()), (500, RecordingState::On));
    let marked = Moment { sequence: 99, captured: Duration::from_millis(33 * 99) };
    assert_eq!(open.story.marks, [marked]);
    let file = std::fs::read_dir(open.files.folder()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let is_there = file.into_iter().any(|file| pictures::read(&file).iter().any(|shot| shot.head.sequence == 99));
    assert!(is_there, "it is older than what is kept without a mark");
    let scale = |number: u64| open.story.scale(Duration::from_millis(33 * number), Duration::from_millis(33 * number));
    assert_eq!([scale(99), scale(100), scale(399)], [Some(0.1), None, None], "nobody was told a change of depth");
}

/// Overlay and status are published one after the other, and may be seen in either order.
#[test]
fn a_lesion_of_one_breast_is_not_recorded_in_the_other_while_that_is_being_named() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(folder.path());
    let (_stage, view) = view::channel();
    let scanned = |side| Status { exam: Some(Exam { side: Some(side), ..exam(1, "P1") }), ..Status::default() };
    let seen = |recorder: &mut Recorder, sequence: u64, id: u32, side| {
        recorder.picture(&picture(sequence, 1), &view);
        let lesions = vec![journal::tests::seen(id, sequence, 1.0).lesion];
        recorder.overlay(&Overlay { sequence, side: Some(side), lesions, ..Overlay::default() });
    };
    recorder.status(&scanned(Side::Right));
    seen(&mut recorder, 1, 1, Side::Right);
    seen(&mut recorder, 2, 2, Side::Left);
    recorder.status(&scanned(Side::Left));
    seen(&mut recorder, 3, 1, Side::Right);
    seen(&mut recorder, 4, 2, Side::Left);
    let story = &recorder.open.as_ref().unwrap().story;
    let sides: Vec<_> = story.seen.iter().map(|one| (one.lesion.id, story.place(one).side)).collect();
    assert_eq!(sides, [(1, Some(Side::Right)), (2, Some(Side::Left))]);
    assert_eq!(story.seen.iter().map(|one| one.moment.sequence).collect::<Vec<_>>(), [1, 4]);
}

/// A picture is published before the status that says its size.
#[test]
fn the_first_picture_of_another_size_is_masked_where_its_own_screen_shows_the_name() {
    const SMALL: &str = "name = \"small\"\nscreen = [64, 64]\nsector = [0, 16, 64, 48]\n[[text]]\nsays = \"patient\"\n\
        area = [0, 0, 8, 8]\nidentifies = true\n";
    let large =
        SMALL.replace("small", "large").replace("[64, 64]", "[96, 96]").replace("[0, 0, 8, 8]", "[88, 0, 8, 8]");
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(folder.path());
    recorder.parts.profiles = Profiles::of([SMALL, &large].map(|toml| Profile::parse(toml).unwrap()).into());
    recorder.parts.settings.mask_text = true;
    let (stage, view) = view::channel();
    let told = Status { exam: Some(exam(1, "P1")), ..Status::default() };
    recorder.status(&told);
    stage.status.send_replace(Arc::new(told));
    let white = |sequence, side: u32| {
        let shape = Shape::tight(PixelFormat::Grey, side, side, Colour::default());
        let bytes = Arc::new(vec![255; (side * side) as usize]);
        let captured = Duration::from_millis(33 * sequence);
        Picture { sequence, captured, exam: 1, frame: Frame::new(shape, sequence, captured, bytes) }
    };
    for (sequence, side) in [(1, 64), (2, 64), (3, 96), (4, 64)] {
        recorder.picture(&white(sequence, side), &view);
    }
    let open = recorder.open.as_ref().unwrap();
    assert!(open.story.scenes.iter().all(|scene| scene.masked), "{:?}", open.story.scenes);
    let file = std::fs::read(open.files.folder().join("00000000.pic")).unwrap();
    let mut seen = Vec::new();
    for shot in pictures::read(&file) {
        let mut grey = Vec::new();
        let [columns, rows] = shot.head.size;
        convert::grey(&jpeg::frame(shot.jpeg.to_vec(), columns, rows), &mut grey).unwrap();
        let name = if columns == 64 { 0 } else { 88 };
        seen.push((columns, grey[name + 2] < 64, grey[usize::from(columns) * 40] > 192));
    }
    assert_eq!(seen, [(64, true, true), (64, true, true), (96, true, true), (64, true, true)]);
}

/// The disk was slow: when the recorder looks again, the exam of A has ended, that of B runs and its first picture is there.
#[tokio::test]
async fn no_picture_of_the_next_patient_gets_into_the_recording_of_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, kept) = recorder(folder.path());
    let (stage, view) = view::channel();
    stage.status.send_replace(Arc::new(Status { exam: Some(exam(1, "A")), ..Status::default() }));
    stage.taken.send_replace(Some(Arc::new(picture(1, 1))));
    let shutdown = CancellationToken::new();
    let told = recorder.parts.told.subscribe();
    let running = tokio::spawn(recorder.run(view, shutdown.clone()));
    let mut is_on = told.clone();
    is_on.wait_for(|told| told.state == RecordingState::On).await.unwrap();
    // Without a point where the recorder could look in between.
    let ended = Arc::new([ended(exam(1, "A"))].into());
    stage.taken.send_replace(Some(Arc::new(picture(2, 3))));
    stage.status.send_replace(Arc::new(Status { exam: Some(exam(3, "B")), ended, ..Status::default() }));
    shutdown.cancel();
    running.await.unwrap();
    let story = kept.0.lock().unwrap().remove(0);
    assert_eq!((story.begun.patient.id.as_str(), story.kept), ("A", Some(1)), "only its own picture");
    let of_b = journal::story(&folder.path().join("exams").join(exam(3, "B").recording_uid())).unwrap().unwrap();
    assert_eq!((of_b.begun.patient.id.as_str(), of_b.ended), ("B", None), "seen, and left to the next start");
}

#[tokio::test]
async fn an_exam_that_ends_as_the_box_stops_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, kept) = recorder(folder.path());
    let (stage, view) = view::channel();
    let shutdown = CancellationToken::new();
    let ended = Arc::new([ended(exam(1, "P1"))].into());
    stage.status.send_replace(Arc::new(Status { ended, ..Status::default() }));
    shutdown.cancel();
    recorder.run(view, shutdown).await;
    assert_eq!(stories(&kept), [("2.25.1".into(), "P1".into(), true)]);
}

#[test]
fn of_an_exam_without_pictures_nobody_says_that_a_network_has_looked() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, kept) = recorder(folder.path());
    let now = Status { size: [16, 16], ended: Arc::new([ended(exam(1, "P1"))].into()), ..Status::default() };
    recorder.status(&now);
    let story = kept.0.lock().unwrap().remove(0);
    assert!(story.scenes.is_empty(), "screen and network are those of a later time");
    assert!(story.is_poor() && story.kept == Some(0), "{:?} of {}", story.kept, story.stats.pictures);
}

#[test]
fn what_follows_a_torn_line_of_the_journal_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, kept) = recorder(folder.path());
    let path = folder.path().join("exams").join(exam(1, "P1").recording_uid());
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("journal.jsonl"), "{\"Begun\":{\"study_uid\":\"2.2").unwrap();
    recorder.status(&Status { exam: Some(exam(1, "P1")), ..Status::default() });
    recorder.status(&Status { ended: Arc::new([ended(exam(1, "P1"))].into()), ..Status::default() });
    assert_eq!(stories(&kept), [("2.25.1".into(), "P1".into(), true)]);
}

/// A picture as a camera compresses it; `cut`: its end is missing.
fn camera(sequence: u64, cut: bool) -> Arc<Picture> {
    let grey = Frame::new(
        Shape::tight(PixelFormat::Grey, 64, 48, Colour::default()),
        0,
        Duration::ZERO,
        Arc::new((0..64 * 48).map(|i| (i * 31 % 251) as u8).collect::<Vec<u8>>()),
    );
    let mut jpeg = Vec::new();
    Compressor::new(90).compress(&grey, &[], &mut jpeg).unwrap();
    jpeg.truncate(if cut { jpeg.len() - 40 } else { jpeg.len() });
    let captured = Duration::from_millis(1000 + sequence * 33);
    Arc::new(Picture { sequence, captured, exam: 1, frame: crate::jpeg::frame(jpeg, 64, 48) })
}

#[test]
fn one_damaged_picture_is_skipped_and_does_not_stop_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let (mut recorder, _) = recorder(folder.path());
    let (_stage, view) = view::channel();
    recorder.status(&Status { exam: Some(exam(1, "P1")), ..Status::default() });
    for (sequence, cut) in [(1, false), (2, true), (3, false)] {
        recorder.picture(&camera(sequence, cut), &view);
        let told = &recorder.open.as_ref().unwrap().told;
        assert_eq!(told.state, RecordingState::On, "{sequence}");
    }
    let told = recorder.open.as_ref().unwrap().told.clone();
    assert_eq!((told.pictures, told.skipped), (2, 1));
    for sequence in 4..4 + u64::from(UNREADABLE) {
        recorder.picture(&camera(sequence, true), &view);
    }
    let told = &recorder.open.as_ref().unwrap().told;
    assert!(matches!(&told.state, RecordingState::Failed { reason } if reason.contains("MJPEG")), "{told:?}");
}
