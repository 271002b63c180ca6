//! What a series could give is given by one that is read, in whatever order they come, end, fail, or the process dies.

use custody::series::SeriesKey;
use custody::store::{Durability, Store, now_utc};
use dicom::header::Acquired;
use dicom::header::Header;
use models::findings::ChestFinding;
use rusqlite::params;
use tempfile::TempDir;

use super::*;

const STUDY: &str = "1.2";
const WAIT: Duration = Duration::from_secs(10);

struct Unit {
    folder: TempDir,
    settings: Analyze,
}

/// As `series::of_study` gives it: state, verdict, and the state of the job of this version.
type State = (&'static str, String, Option<String>);

impl Unit {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            settings: Analyze { series: ReadSeries::Best, ..Analyze::default() },
        }
    }

    /// Opened anew each time: nothing is remembered but rows.
    fn rows(&self) -> Connection {
        Store::open(&self.folder.path().join("scanside.db")).unwrap().connect(Durability::Full).unwrap()
    }

    fn changing<T>(&self, change: impl FnOnce(&Transaction<'_>) -> T) -> T {
        let mut connection = self.rows();
        let transaction = connection.transaction().unwrap();
        let done = change(&transaction);
        transaction.commit().unwrap();
        done
    }

    /// A series of 60 slices arrives.
    fn receive(&self, number: i64, slice_mm: f64, kernel: &str) -> i64 {
        self.changing(|transaction| {
            let key = SeriesKey { study_uid: STUDY.into(), series_uid: format!("1.2.{number}") };
            let now = now_utc();
            let (row, _) = series::opened(transaction, &key, "CT", SeriesKind::Ct, 60, &now).unwrap();
            let count = (300.0 / slice_mm) as i64;
            for k in 0..count {
                let header = Header {
                    sop_class_uid: dicom_dictionary_std::uids::CT_IMAGE_STORAGE.into(),
                    sop_instance_uid: format!("1.2.{number}.{k}"),
                    study_instance_uid: STUDY.into(),
                    series_instance_uid: key.series_uid.clone(),
                    frame_of_reference_uid: Some("1.2.9".into()),
                    instance_number: Some(k),
                    series_number: Some(number),
                    image_position: Some([-180.0, -180.0, slice_mm * k as f64]),
                    image_orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
                    pixel_spacing: Some([0.7, 0.7]),
                    slice_thickness: Some(slice_mm),
                    rows: 512,
                    columns: 512,
                    kernel: kernel.into(),
                    acquired: Acquired { when: "20260101101010".into(), ..Acquired::default() },
                    ..Header::default()
                };
                let json = serde_json::to_string(&header).unwrap();
                let sql = "INSERT INTO instances (sop_uid, sop_class, study_uid, series_uid, file, offset, length, sha256, state, \
                           received_utc, calling_ae, called_ae, peer_address, association, header) \
                           VALUES (?1, '', ?2, ?3, 'a file', 0, 0, '', 'kept', '', '', '', '', 0, ?4)";
                transaction.execute(sql, params![header.sop_instance_uid, STUDY, key.series_uid, json]).unwrap();
            }
            row.id
        })
    }

    fn complete(&self, id: i64) {
        self.changing(|transaction| {
            series::completed(transaction, id, "quiet", &now_utc()).unwrap();
            decide(transaction, &self.settings, STUDY, WAIT).unwrap()
        });
    }

    fn arrive(&self, number: i64, slice_mm: f64, kernel: &str) -> i64 {
        let id = self.receive(number, slice_mm, kernel);
        self.complete(id);
        id
    }

    /// Its job is refused.
    fn refuse(&self, id: i64) {
        self.end(id, SeriesEvent::Refused, None);
    }

    /// Its job ends with findings, of which it could not give these.
    fn read(&self, id: i64, unfit: &[ChestFinding]) {
        let part = self.part(id).unwrap();
        let reading = Reading {
            unfit: unfit.to_vec(),
            lacks_slices: false,
            elsewhere: part.elsewhere.iter().map(|(finding, label)| (*finding, label.to_string())).collect(),
            unread: part.unread.iter().map(ToString::to_string).collect(),
        };
        self.end(id, SeriesEvent::Processed, Some(serde_json::json!({ "reading": reading }).to_string()));
    }

    fn end(&self, id: i64, event: SeriesEvent, findings: Option<String>) {
        self.changing(|transaction| {
            let row = series::get(transaction, id).unwrap().unwrap();
            let sql = "UPDATE jobs SET state = 'done', findings = ?3 WHERE series_id = ?1 AND version = ?2";
            assert_eq!(transaction.execute(sql, params![id, row.version, findings]).unwrap(), 1);
            series::conclude(transaction, id, event, "said").unwrap();
            decide(transaction, &self.settings, STUDY, Duration::ZERO).unwrap();
        });
    }

    fn state(&self, id: i64) -> State {
        let rows = self.rows();
        let row = series::get(&rows, id).unwrap().unwrap();
        let job = jobs::state_of(&rows, id, row.version).unwrap();
        (row.state.as_str(), row.verdict.unwrap_or_default(), job)
    }

    fn part(&self, id: i64) -> Option<Choice> {
        let rows = self.rows();
        part(&rows, &self.settings, &series::get(&rows, id).unwrap().unwrap()).unwrap()
    }

    fn is_queued(&self, id: i64) -> bool {
        let (state, _, job) = self.state(id);
        state == "complete" && job.as_deref() == Some("queued")
    }

    /// Not read, with a verdict that names this series.
    fn is_left_to(&self, id: i64, instead: i64) -> bool {
        let (state, verdict, job) = self.state(id);
        let named = verdict.starts_with(&format!("kept, not read: series {instead} ("));
        state == "refused" && named && job.is_none_or(|job| job == "superseded")
    }

    fn begins_at(&self, id: i64) -> Option<String> {
        let sql = "SELECT not_before_utc FROM jobs WHERE series_id = ?1 AND state = 'queued'";
        self.rows().query_row(sql, [id], |row| row.get(0)).unwrap()
    }
}

#[test]
fn of_three_reconstructions_the_thin_smooth_one_is_read_in_whatever_order_they_come() {
    let all = [(3, 5.0, "B31f"), (4, 1.0, "B70f"), (5, 1.0, "B31f")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let unit = Unit::new();
        let mut ids = [0; 3];
        for i in order {
            let (number, slice_mm, kernel) = all[i];
            ids[i] = unit.arrive(number, slice_mm, kernel);
        }
        assert!(unit.is_queued(ids[2]), "{order:?}: {:?}", unit.state(ids[2]));
        assert_eq!(unit.begins_at(ids[2]), None, "nothing better can come");
        for other in &ids[..2] {
            assert!(unit.is_left_to(*other, 5), "{order:?}: {:?}", unit.state(*other));
        }
        let part = unit.part(ids[2]).unwrap();
        assert_eq!((part.gives.len(), part.elsewhere.len(), part.unread.len()), (9, 0, 2));
        // Asked again, also after a restart: nothing changes.
        let changed = unit.changing(|t| decide(t, &unit.settings, STUDY, WAIT).unwrap());
        assert!(changed.is_empty(), "{order:?}: {changed:?}");
    }
}

#[test]
fn a_thick_series_waits_for_a_better_one_and_while_one_is_being_received() {
    let unit = Unit::new();
    let thick = unit.arrive(3, 5.0, "B31f");
    let begins = unit.begins_at(thick).unwrap();
    assert!(begins > now_utc() && begins <= store::utc_after(WAIT), "{begins}");
    let waits = |most: Duration| {
        let rows = unit.rows();
        let id: i64 = rows.query_row("SELECT id FROM jobs WHERE series_id = ?1", [thick], |row| row.get(0)).unwrap();
        let (job, row) = (jobs::get(&rows, id).unwrap().unwrap(), series::get(&rows, thick).unwrap().unwrap());
        waits(&rows, &unit.settings, &job, &row, most).unwrap()
    };
    assert!(!waits(WAIT), "nothing is being received");
    unit.receive(4, 1.0, "B31f");
    assert!(waits(WAIT));
    assert!(!waits(Duration::ZERO), "not for ever");
}

#[test]
fn when_the_chosen_series_cannot_be_used_the_next_best_is_read() {
    let unit = Unit::new();
    let (thick, sharp, smooth) =
        (unit.arrive(3, 8.0, "B31f"), unit.arrive(4, 1.0, "B70f"), unit.arrive(5, 1.0, "B31f"));
    unit.refuse(smooth);
    assert!(unit.is_queued(sharp), "{:?}", unit.state(sharp));
    assert!(unit.is_left_to(thick, 4), "{:?}", unit.state(thick));
    unit.refuse(sharp);
    assert!(unit.is_queued(thick), "{:?}", unit.state(thick));
    assert_eq!(unit.part(thick).map(|part| part.elsewhere), Some(Vec::new()));
    unit.refuse(thick);
    for id in [thick, sharp, smooth] {
        assert_eq!(unit.state(id).0, "refused");
    }
}

#[test]
fn a_finding_that_was_refused_is_looked_for_in_the_next_series_and_both_results_say_so() {
    let unit = Unit::new();
    let finding = ChestFinding::Emphysema;
    let (thick, smooth) = (unit.arrive(3, 2.5, "B31f"), unit.arrive(5, 1.0, "B31f"));
    assert!(unit.is_left_to(thick, 5));
    unit.read(smooth, &[finding]);
    assert!(unit.is_queued(thick), "{:?}", unit.state(thick));
    assert_eq!(unit.part(thick).unwrap().gives, [finding]);
    assert_eq!(unit.state(smooth).0, "processed", "not before it is known that the other one gives it");
    unit.read(thick, &[]);
    assert!(unit.is_queued(smooth), "its result is made again and names the other: {:?}", unit.state(smooth));
    let part = unit.part(smooth).unwrap();
    assert_eq!(part.elsewhere.iter().map(|(f, label)| (*f, label.number)).collect::<Vec<_>>(), [(finding, Some(3))]);
    unit.read(smooth, &[finding]);
    for id in [thick, smooth] {
        assert_eq!(unit.state(id).0, "processed", "it ends");
    }
}

#[test]
fn a_result_that_names_a_series_that_then_fails_is_made_again() {
    let unit = Unit::new();
    let (smooth, sharp) = (unit.arrive(3, 2.5, "B31f"), unit.arrive(4, 1.0, "B70f"));
    assert!(unit.is_queued(smooth) && unit.is_queued(sharp));
    assert_eq!(unit.part(smooth).unwrap().gives.len(), 2);
    unit.read(sharp, &[]);
    unit.refuse(smooth);
    assert!(unit.is_queued(sharp), "{:?}", unit.state(sharp));
    assert_eq!(unit.part(sharp).unwrap().elsewhere, []);
    unit.read(sharp, &[]);
    assert_eq!((unit.state(sharp).0, unit.state(smooth).0), ("processed", "refused"));
}

#[test]
fn a_series_that_was_read_in_part_is_read_again_when_the_other_cannot_be_used() {
    let unit = Unit::new();
    let (smooth, sharp) = (unit.arrive(3, 2.5, "B31f"), unit.arrive(4, 1.0, "B70f"));
    unit.read(smooth, &[]);
    unit.refuse(sharp);
    assert!(unit.is_queued(smooth), "{:?}", unit.state(smooth));
    assert_eq!(unit.part(smooth).unwrap().gives.len(), 9);
    // Once: it is not read again for what comes later.
    unit.read(smooth, &[]);
    let late = unit.arrive(7, 5.0, "B31f");
    assert!(unit.is_left_to(late, 3) && unit.state(smooth).0 == "processed", "{:?}", unit.state(late));
}

#[test]
fn a_better_series_that_comes_after_the_results_is_read_and_they_are_made_again() {
    let unit = Unit::new();
    let thick = unit.arrive(3, 5.0, "B31f");
    unit.read(thick, &[]);
    let thin = unit.arrive(4, 1.0, "B31f");
    assert!(unit.is_queued(thin));
    assert_eq!(unit.state(thick).0, "processed", "until that one is read");
    unit.read(thin, &[]);
    assert!(unit.is_queued(thick), "{:?}", unit.state(thick));
    assert_eq!(unit.part(thick).unwrap().elsewhere.len(), ChestFinding::COUNT, "each is read from the thin one");
    // What comes meanwhile does not take that back.
    let other = unit.arrive(5, 1.0, "B70f");
    assert!(unit.is_left_to(other, 4) && unit.is_queued(thick), "{:?}", unit.state(other));
    unit.read(thick, &[]);
    assert_eq!((unit.state(thick).0, unit.state(thin).0), ("processed", "processed"));
}

#[test]
fn a_job_that_waits_counts_among_those_that_are_read() {
    let unit = Unit::new();
    let sharp = unit.arrive(4, 1.0, "B70f");
    unit.read(sharp, &[ChestFinding::Emphysema, ChestFinding::CoronaryCalcification]);
    let smooth = unit.arrive(3, 2.5, "B31f");
    assert!(unit.is_queued(smooth));
    // The first one waits; it gives what this one could.
    let late = unit.arrive(5, 3.0, "B31f");
    assert!(unit.is_left_to(late, 4), "{:?}", unit.state(late));
    assert!(unit.is_queued(smooth), "{:?}", unit.state(smooth));
}

#[test]
fn when_the_chosen_series_is_emptied_by_a_person_another_one_is_read() {
    let unit = Unit::new();
    let (thick, thin) = (unit.arrive(3, 5.0, "B31f"), unit.arrive(5, 1.0, "B31f"));
    unit.read(thin, &[]);
    assert!(unit.is_left_to(thick, 5));
    unit.changing(|transaction| {
        // All its objects came again, as another series, and those count.
        let sql = "UPDATE instances SET state = 'conflict', reason = 'held back' WHERE series_uid = ?1";
        transaction.execute(sql, [format!("1.2.{}", 5)]).unwrap();
        crate::resolve::begin_again(
            transaction,
            &unit.settings,
            &SeriesKey { study_uid: STUDY.into(), series_uid: "1.2.5".into() },
        )
        .unwrap();
    });
    assert_eq!(unit.state(thin).0, "refused");
    assert!(unit.is_queued(thick), "{:?}", unit.state(thick));
}

#[test]
fn a_series_that_is_received_again_is_not_given_up_meanwhile() {
    let unit = Unit::new();
    let (thick, thin) = (unit.arrive(3, 5.0, "B31f"), unit.arrive(5, 1.0, "B31f"));
    unit.read(thin, &[]);
    unit.changing(|transaction| {
        let key = SeriesKey { study_uid: STUDY.into(), series_uid: "1.2.5".into() };
        series::opened(transaction, &key, "CT", SeriesKind::Ct, 300, &now_utc()).unwrap();
        assert_eq!(decide(transaction, &unit.settings, STUDY, WAIT).unwrap(), Vec::<i64>::new());
    });
    assert!(unit.is_left_to(thick, 5), "{:?}", unit.state(thick));
}

#[test]
fn with_all_every_series_is_read_in_full_and_none_waits() {
    let mut unit = Unit::new();
    unit.settings.series = ReadSeries::All;
    let all = [unit.arrive(3, 5.0, "B31f"), unit.arrive(4, 1.0, "B70f"), unit.arrive(5, 1.0, "B31f")];
    for id in all {
        assert!(unit.is_queued(id) && unit.begins_at(id).is_none() && unit.part(id).is_none());
    }
}

#[test]
fn a_rerun_reads_a_series_in_full() {
    let unit = Unit::new();
    let (thick, _) = (unit.arrive(3, 5.0, "B31f"), unit.arrive(5, 1.0, "B31f"));
    unit.changing(|transaction| {
        let version = series::completed(transaction, thick, "rerun", &now_utc()).unwrap();
        jobs::enqueue(transaction, thick, version, &now_utc()).unwrap();
    });
    assert_eq!(unit.part(thick).unwrap().elsewhere, []);
    // What comes later does not take it back.
    unit.arrive(6, 2.5, "B31f");
    assert!(unit.is_queued(thick), "{:?}", unit.state(thick));
}

#[test]
fn a_better_series_does_not_take_back_a_review_that_was_signed() {
    let unit = Unit::new();
    let thick = unit.arrive(3, 5.0, "B31f");
    unit.changing(|transaction| {
        let version = series::completed(transaction, thick, "review", &now_utc()).unwrap();
        jobs::enqueue(transaction, thick, version, &now_utc()).unwrap();
    });
    unit.arrive(5, 1.0, "B31f");
    assert!(unit.is_queued(thick), "{:?}", unit.state(thick));
}
