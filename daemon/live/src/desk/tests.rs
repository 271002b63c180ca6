//! Whose exam the pictures, names and outlines are of, whatever comes between.

use hal::capture::frame::Shape;
use hal::capture::{Colour, PixelFormat};
use hal::clock::Manual;
use models::task::us_breast::lesion::Lesion;
use models::task::us_breast::scan::probe::{Ring, Spot};

use super::*;
use crate::identity::nobody;
use crate::name::OnScreen;
use crate::text::{Letter, Line};
use crate::view::{self, ProbeOrder, Sign, Stage};

fn lesion() -> Lesion {
    Lesion {
        id: 1,
        outline: vec![[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]],
        bounds: [0.0, 0.0, 3.0, 3.0],
        confidence: 0.9,
        malignant: 0.1,
        descriptors: Vec::new(),
        size_mm: None,
    }
}

fn desk() -> (Desk, watch::Receiver<Arc<Status>>, Manual) {
    let clock = Manual::default();
    let (Stage { guide, pictures, taken, overlay, status, stats, .. }, view) = view::channel();
    let outlets = Outlets { guide, pictures, taken, overlay, status, stats };
    (Desk::new(Arc::new(clock.clone()), NameCheck::Refuse, outlets), view.status, clock)
}

fn shows(name: &str) -> Screen {
    shown(name, 0.99)
}

fn shown(name: &str, sure: f32) -> Screen {
    let letters = name.chars().map(|character| Letter { character, sure });
    Screen::Shows(OnScreen { name: vec![Line(letters.collect())], id: Vec::new() })
}

fn of(name: &str) -> Order {
    Patient { id: "P1".into(), name: name.into(), ..Patient::default() }.into()
}

fn start(desk: &Desk, order: Order) -> Result<String, ExamError> {
    desk.start_exam(order, "2026-01-01T10:00:00Z", "2.25.1")
}

#[test]
fn an_exam_of_nobody_is_not_given_to_one_patient_when_the_screen_showed_another_in_it() {
    let (desk, status, _) = desk();
    start(&desk, nobody("2026-01-01T10:00:00Z").into()).unwrap();
    for name in ["ROE, ANNA", "ROE, ANNA", "DOE, JANE", "DOE, JANE"] {
        desk.on_screen(shows(name));
    }
    assert_eq!(start(&desk, of("DOE^JANE")), Err(ExamError::OtherOnScreen), "half of it is Anna's");
    let insisted = start(&desk, Order { despite_screen: true, ..of("DOE^JANE") }).unwrap();
    assert!(insisted.contains("another patient"), "{insisted}");
    assert_eq!(status.borrow().name_on_screen, Some(Agreement::Differs), "the recording is told");
    desk.stop_exam("2026-01-01T10:10:00Z");
    assert!(start(&desk, of("DOE^JANE")).unwrap().contains("shows this patient"), "it was of that exam only");
}

/// A clock beside the name, a noisy cable: the same letters are not read twice with the same confidences.
#[test]
fn another_patient_in_an_exam_of_nobody_is_remembered_although_no_reading_is_the_same_as_the_one_before() {
    let read = |desk: &Desk, clock: &Manual, screen: Screen| {
        clock.advance(Duration::from_secs(1));
        desk.on_screen(screen);
    };
    for with_clock in [false, true] {
        let (desk, _, clock) = desk();
        start(&desk, nobody("2026-01-01T10:00:00Z").into()).unwrap();
        // More often than patients are remembered.
        for second in 0..50 {
            let time = if with_clock { format!(" 10:42:{second:02}") } else { String::new() };
            read(&desk, &clock, shown(&format!("ROE, ANNA{time}"), 0.99 - 0.001 * second as f32));
        }
        for _ in 0..2 {
            read(&desk, &clock, Screen::NotRead);
            read(&desk, &clock, shows("LEE, EVA"));
        }
        for _ in 0..2 {
            read(&desk, &clock, shows("DOE, JANE"));
        }
        let names: Vec<_> = desk.lock().of_nobody.all().map(|screen| screen.letters()[0].clone()).collect();
        assert_eq!(names, ["ROEANNA", "IEEEVA", "DOEJANE"], "each once, also where a reading failed in between");
        assert_eq!(start(&desk, of("DOE^JANE")), Err(ExamError::OtherOnScreen), "with a clock: {with_clock}");
    }
    let (desk, _, clock) = desk();
    start(&desk, nobody("2026-01-01T10:00:00Z").into()).unwrap();
    for name in ["DOE, JANE", "SELECT PRESET", "DOE, JANE"] {
        read(&desk, &clock, shows(name));
    }
    clock.advance(READ_LATELY);
    read(&desk, &clock, shows("ROE, ANNA"));
    clock.advance(READ_LATELY);
    for name in ["ROE, ANNA", "DOE, JANE"] {
        read(&desk, &clock, shows(name));
    }
    assert!(start(&desk, of("DOE^JANE")).is_ok(), "what was read once, or once and long after again, is no patient");
}

#[test]
fn a_form_that_was_opened_for_one_exam_gives_its_patient_to_no_other() {
    let (desk, status, _) = desk();
    let seen = |utc: &str| Order { seen: Some(utc.into()), ..of("DOE^JANE") };
    let nobodys = |utc: &str| desk.start_exam(nobody(utc).into(), utc, "2.25.1").unwrap();
    nobodys("2026-01-01T10:00:00Z");
    desk.stop_exam("2026-01-01T10:10:00Z");
    assert_eq!(start(&desk, seen("2026-01-01T10:00:00Z")), Err(ExamError::NotThatExam), "it is over");
    nobodys("2026-01-01T11:00:00Z");
    assert_eq!(start(&desk, seen("2026-01-01T10:00:00Z")), Err(ExamError::NotThatExam), "another one has begun");
    assert_eq!(start(&desk, seen("")), Err(ExamError::NotThatExam), "none ran");
    assert!(is_nobody(&status.borrow().exam.as_ref().unwrap().patient));
    start(&desk, seen("2026-01-01T11:00:00Z")).unwrap();
    assert_eq!(status.borrow().exam.as_ref().unwrap().patient.name, "DOE^JANE");
}

fn picture(desk: &Desk, sequence: u64) -> Arc<Picture> {
    let shape = Shape::tight(PixelFormat::Grey, 4, 4, Colour::default());
    desk.picture(Frame::new(shape, sequence, Duration::from_millis(33 * sequence), Arc::new(vec![0; 16])), None)
}

#[test]
fn what_was_frozen_or_outlined_in_one_exam_is_not_shown_in_the_next() {
    let clock = Manual::default();
    let (Stage { guide, pictures, taken, overlay, status, stats, .. }, view) = view::channel();
    let desk = Desk::new(Arc::new(clock), NameCheck::Off, Outlets { guide, pictures, taken, overlay, status, stats });
    start(&desk, of("DOE^JANE")).unwrap();
    let of_jane = picture(&desk, 1);
    desk.freeze(true, By::Page).unwrap();
    desk.stop_exam("2026-01-01T10:10:00Z");
    assert!(view.pictures.borrow().is_none() && !matches!(view.status.borrow().sign, Sign::Paused { .. }));
    start(&desk, of("ROE^ANNA")).unwrap();
    let late = Overlay { sequence: 1, lesions: vec![lesion()], ..Overlay::default() };
    desk.overlay(late.clone(), of_jane.exam, Duration::ZERO);
    assert!(view.overlay.borrow().lesions.is_empty(), "it was made of a picture of the exam before");
    let of_anna = picture(&desk, 2);
    desk.overlay(late, of_anna.exam, Duration::ZERO);
    assert_eq!(view.overlay.borrow().lesions.len(), 1);
    assert_eq!(of_anna.exam, view.status.borrow().exam.as_ref().unwrap().number);
}

#[test]
fn what_was_found_in_one_breast_is_not_shown_or_placed_in_the_other() {
    let (desk, status, _) = desk();
    start(&desk, of("DOE^JANE")).unwrap();
    desk.side(Some(Side::Right)).unwrap();
    let one = picture(&desk, 1);
    let found = |side| Overlay { sequence: 1, lesions: vec![lesion()], side, ..Overlay::default() };
    let spot = Some(Spot::Hour(3, Ring::Middle));
    desk.probe(ProbeOrder::At { side: Some(Side::Left), spot, plane: None }, None).unwrap();
    desk.overlay(found(Some(Side::Right)), one.exam, one.captured);
    let places = || status.borrow().exam.as_ref().unwrap().places.len();
    assert!(desk.out.overlay.borrow().lesions.is_empty() && places() == 0);
    desk.overlay(found(Some(Side::Left)), one.exam, one.captured);
    assert!(desk.out.overlay.borrow().lesions.len() == 1 && places() == 1);
}

/// A form that stayed open on a tablet without network.
#[test]
fn a_place_that_was_said_of_a_lesion_of_one_exam_or_size_is_given_to_no_other() {
    let (desk, status, _) = desk();
    let place = Place { clock: Some(2), ..Place::default() };
    let seen = |size| Numbered { started_utc: "2026-01-01T10:00:00Z".into(), size };
    let outlined = |sequence| {
        let picture = picture(&desk, sequence);
        desk.overlay(Overlay { sequence, lesions: vec![lesion()], ..Overlay::default() }, picture.exam, Duration::ZERO);
    };
    desk.start_exam(of("DOE^JANE"), "2026-01-01T10:00:00Z", "2.25.1").unwrap();
    outlined(1);
    let number = lesion().id;
    desk.place(number, &place, Some(&seen([4, 4]))).unwrap();
    assert_eq!(desk.place(number, &place, Some(&seen([8, 4]))), Err(ExamError::NumberedAnew));
    desk.stop_exam("2026-01-01T10:10:00Z");
    assert_eq!(desk.place(number, &place, Some(&seen([4, 4]))), Err(ExamError::NotThatExam), "it is over");
    desk.start_exam(of("ROE^ANNA"), "2026-01-01T11:00:00Z", "2.25.2").unwrap();
    outlined(2);
    assert_eq!(desk.place(number, &place, Some(&seen([4, 4]))), Err(ExamError::NotThatExam));
    assert!(status.borrow().exam.as_ref().unwrap().places.is_empty(), "Anna's lesion has no place");
    desk.place(number, &place, None).unwrap();
}

#[test]
fn a_frozen_page_hides_pictures_from_pages_and_not_from_the_recorder() {
    let clock = Manual::default();
    let (Stage { guide, pictures, taken, overlay, status, stats, .. }, view) = view::channel();
    let outlets = Outlets { guide, pictures, taken, overlay, status, stats };
    let desk = Desk::new(Arc::new(clock), NameCheck::Off, outlets);
    start(&desk, of("DOE^JANE")).unwrap();
    picture(&desk, 1);
    desk.freeze(true, By::Page).unwrap();
    (2..=300).for_each(|number| drop(picture(&desk, number)));
    let number = |pictures: &watch::Receiver<Option<Arc<Picture>>>| pictures.borrow().as_ref().map(|one| one.sequence);
    assert_eq!([number(&view.pictures), number(&view.taken)], [Some(1), Some(300)]);
    assert_eq!(desk.lock().stats().pictures, 300, "with which what was recorded is compared");
    desk.happened(SignEvent::Lost("no signal".into()));
    assert_eq!([number(&view.pictures), number(&view.taken)], [None, None]);
}

#[test]
fn pictures_that_nobody_looked_at_are_counted_also_while_the_page_is_frozen() {
    let clock = Manual::default();
    let (Stage { guide, pictures, taken, overlay, status, stats, .. }, _view) = view::channel();
    let desk = Desk::new(Arc::new(clock), NameCheck::Off, Outlets { guide, pictures, taken, overlay, status, stats });
    start(&desk, of("DOE^JANE")).unwrap();
    let unseen = |desk: &Desk| desk.lock().stats().unseen_secs;
    let answered = |desk: &Desk, number: u64| {
        let one = picture(desk, number);
        desk.overlay(Overlay { sequence: number, ..Overlay::default() }, one.exam, one.captured);
    };
    (0..300).for_each(|number| answered(&desk, number));
    assert!(unseen(&desk) < 0.1, "every picture was looked at");
    desk.freeze(true, By::Page).unwrap();
    (300..600).for_each(|number| drop(picture(&desk, number)));
    let frozen = unseen(&desk);
    assert!((9.0..11.0).contains(&frozen), "{frozen}: the scanner went on behind a frozen page");
    desk.freeze(false, By::Page).unwrap();
    (600..900).for_each(|number| answered(&desk, number));
    assert!((unseen(&desk) - frozen).abs() < 0.1, "it stays said");
    // The scanner's own freeze: there is nothing new to look at.
    for number in 900..1200 {
        picture(&desk, number);
        desk.happened(SignEvent::Still);
    }
    assert!((unseen(&desk) - frozen).abs() < 0.1);
    desk.stop_exam("2026-01-01T10:10:00Z");
    assert!(desk.lock().ended.back().unwrap().stats.unseen_secs > 9.0);
    start(&desk, of("ROE^ANNA")).unwrap();
    assert!(unseen(&desk) < 0.1, "the next exam begins with none");
}

#[test]
fn that_another_patient_was_on_the_screen_is_told_although_it_is_over() {
    let (desk, status, _) = desk();
    start(&desk, of("DOE^JANE")).unwrap();
    for name in ["ROE, ANNA", "ROE, ANNA", "DOE, JANE", "DOE, JANE"] {
        desk.on_screen(shows(name));
    }
    let now = status.borrow().clone();
    assert_eq!((now.name_on_screen, now.another_on_screen), (Some(Agreement::Agrees), true));
    desk.stop_exam("2026-01-01T10:10:00Z");
    let now = status.borrow().clone();
    assert!(now.ended.back().unwrap().another_on_screen && !now.another_on_screen);
}

#[test]
fn a_menu_over_the_name_is_no_other_patient_but_what_stays_is() {
    let (desk, status, _) = desk();
    desk.on_screen(shows("DOE, JANE"));
    start(&desk, of("DOE^JANE")).unwrap();
    let now = || status.borrow().name_on_screen;
    desk.on_screen(shows("SELECT PRESET"));
    assert_eq!(now(), Some(Agreement::Agrees));
    desk.on_screen(shows("DOE, JANE"));
    desk.on_screen(shows("ROE, ANNA"));
    assert_eq!(now(), Some(Agreement::Agrees));
    desk.on_screen(shows("ROE, ANNA"));
    assert_eq!(now(), Some(Agreement::Differs));
    desk.on_screen(shows("DOE, JANE"));
    assert_eq!(now(), Some(Agreement::Agrees));
}

/// A clock beside the name, a noisy cable: no two readings are the same letters with the same confidences.
#[test]
fn another_patient_is_told_although_no_reading_is_the_same_as_the_one_before() {
    let (desk, status, clock) = desk();
    let now = || status.borrow().name_on_screen;
    let read = |screen: Screen| {
        clock.advance(Duration::from_secs(1));
        desk.on_screen(screen);
    };
    read(shows("DOE, JANE 10:42:07"));
    start(&desk, of("DOE^JANE")).unwrap();
    read(shows("ROE, ANNA 10:42:08"));
    assert_eq!(now(), Some(Agreement::Agrees), "one blurred reading is no alarm");
    read(shows("DOE, JANE 10:42:09"));
    read(shows("ROE, ANNA 10:42:10"));
    assert_eq!(now(), Some(Agreement::Agrees), "nor is a second one after the right name");
    read(Screen::NotRead);
    read(shows("ROE, ANNA 10:42:12"));
    assert_eq!(now(), Some(Agreement::Differs));
    read(Screen::NotRead);
    assert_eq!(now(), Some(Agreement::Differs), "what is not read takes nothing back");
    read(shows("DOE, JANE 10:42:14"));
    assert_eq!(now(), Some(Agreement::Agrees));
    assert!(status.borrow().another_on_screen);
}

#[test]
fn what_was_read_long_ago_says_nothing_of_who_is_there_now() {
    let (desk, _, clock) = desk();
    desk.on_screen(shows("ROE, ANNA"));
    assert_eq!(start(&desk, of("DOE^JANE")), Err(ExamError::OtherOnScreen));
    clock.advance(READ_LATELY + Duration::from_secs(1));
    assert!(start(&desk, of("DOE^JANE")).unwrap().contains("was not read"));
}

/// Who reads twice has the overlays between, also when the video has stopped before the second reading.
#[test]
fn two_readings_tell_the_overlays_between_them_also_when_the_pictures_have_stopped() {
    let clock = Manual::default();
    let (Stage { guide, pictures, taken, overlay, status, stats, .. }, view) = view::channel();
    let outlets = Outlets { guide, pictures, taken, overlay, status, stats };
    let desk = Desk::new(Arc::new(clock.clone()), NameCheck::Refuse, outlets);
    let answer = |sequence: u64| {
        let captured = picture(&desk, sequence).captured;
        clock.advance(captured + Duration::from_millis(9) - clock.now());
        desk.overlay(Overlay { sequence, ..Overlay::default() }, 0, captured);
    };
    (1..=3).for_each(answer);
    desk.happened(SignEvent::Lost("no cable".into()));
    let counts = |view: &view::View| view.stats.borrow().overlay_counts.clone();
    assert_eq!(counts(&view), [(9_087, 3)], "the last second before the cable was pulled");
    answer(200);
    desk.late();
    desk.happened(SignEvent::Lost("no cable".into()));
    assert_eq!((counts(&view), view.stats.borrow().late), (vec![(9_087, 4)], 1));
    start(&desk, of("DOE^JANE")).unwrap();
    picture(&desk, 300);
    desk.happened(SignEvent::Lost("no cable".into()));
    assert_eq!((counts(&view), view.stats.borrow().late), (vec![], 0), "an exam begins them anew");
}
