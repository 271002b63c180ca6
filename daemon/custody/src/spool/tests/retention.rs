//! Retention: what is evicted, what stays, and that a segment used again never shows its earlier content.

use super::*;

/// Marks the series of all test instances as processed, with one result that is delivered or still pending.
fn conclude(place: &Place, undelivered: bool) {
    let connection = place.store().connect(Durability::Full).unwrap();
    let state = if undelivered { "pending" } else { "delivered" };
    connection
        .execute_batch(&format!(
            "INSERT OR IGNORE INTO series (id, study_uid, series_uid, modality, kind, state, first_utc, last_utc) \
             VALUES (1, '1.2.3', '1.2.3.1', 'CT', 'volume', 'processed', '', ''); \
             INSERT OR IGNORE INTO jobs (id, series_id, version, state, created_utc) VALUES (1, 1, 1, 'done', ''); \
             INSERT OR IGNORE INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, \
             sha256) VALUES (1, 1, 'sr', '', '9', '', '', '', 0, ''); \
             DELETE FROM deliveries; \
             INSERT INTO deliveries (result_id, destination, state, next_utc) VALUES (1, 'pacs', '{state}', '');"
        ))
        .unwrap();
}

/// Applies the retention rules as if space were short. The background thread never finds it short, so only this call
/// evicts.
fn evict(spool: &Spool) -> Evicted {
    quota::apply(&spool.0.shared, u64::MAX).unwrap()
}

fn segments(place: &Place) -> Vec<String> {
    let log = fs::read_dir(place.path().join(LOG)).unwrap();
    let mut names: Vec<_> = log.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".seg"));
    names.sort();
    names
}

async fn fill(spool: &Spool, numbers: std::ops::Range<usize>) {
    for number in numbers {
        keep(spool, number, 200_000).await;
    }
}

#[tokio::test]
async fn what_is_not_delivered_is_never_evicted() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..20).await;
    assert_eq!(evict(&spool), Evicted::default(), "no verdict yet");
    conclude(&place, true);
    assert_eq!(evict(&spool), Evicted::default(), "a result still has to be delivered");
    conclude(&place, false);
    let connection = place.store().connect(Durability::Full).unwrap();
    for waiting in ["wanted", "asked"] {
        connection.execute("UPDATE deliveries SET commitment = ?1", [waiting]).unwrap();
        assert_eq!(evict(&spool), Evicted::default(), "the archive has not said that it keeps the result");
    }
    connection.execute("UPDATE deliveries SET commitment = 'committed'", []).unwrap();
    let before = segments(&place);
    let evicted = evict(&spool);
    assert!(evicted.instances >= 10, "{evicted:?}");
    let after = segments(&place);
    assert!(!after.is_empty() && after.len() < before.len(), "the segment being written stays: {after:?}");
    let counts = place.counts();
    assert_eq!((counts.evicted, counts.kept), (evicted.instances, 19 - evicted.instances));
    let state: String = connection.query_row("SELECT state FROM series", [], |row| row.get(0)).unwrap();
    assert_eq!(state, "evicted");
    let events = crate::store::events::latest(&connection, 100).unwrap();
    assert!(events.iter().any(|event| event.what == "evicted"));
}

#[tokio::test]
async fn a_series_that_was_not_read_stays_until_the_one_that_was_is_delivered() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..20).await;
    let connection = place.store().connect(Durability::Full).unwrap();
    // Everything is of the series that was not read; another one of the study is.
    connection
        .execute_batch(
            "INSERT INTO series (id, study_uid, series_uid, modality, kind, state, first_utc, last_utc) VALUES \
             (1, '1.2.3', '1.2.3.1', 'CT', 'ct', 'refused', '', ''), (2, '1.2.3', '1.2.3.2', 'CT', 'ct', 'complete', '', ''); \
             INSERT INTO jobs (id, series_id, version, state, created_utc) VALUES (1, 1, 1, 'superseded', ''), \
             (2, 2, 1, 'queued', '');",
        )
        .unwrap();
    assert_eq!(evict(&spool), Evicted::default(), "the other one is not read yet");
    connection
        .execute_batch(
            "UPDATE series SET state = 'processed' WHERE id = 2; UPDATE jobs SET state = 'done' WHERE id = 2; \
             INSERT INTO results (id, job_id, kind, sop_class, sop_uid, study_uid, series_uid, file, length, sha256) \
             VALUES (1, 2, 'sr', '', '9', '', '', '', 0, ''); \
             INSERT INTO deliveries (result_id, destination, state, next_utc) VALUES (1, 'pacs', 'pending', '');",
        )
        .unwrap();
    assert_eq!(evict(&spool), Evicted::default(), "its results are not delivered yet");
    connection.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
    assert!(evict(&spool).instances >= 10);
}

#[tokio::test]
async fn neither_a_refused_object_nor_a_superseded_job_keeps_a_study() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..20).await;
    conclude(&place, false);
    let connection = place.store().connect(Durability::Full).unwrap();
    // A late slice came before the first version was analysed; the archive takes no object of this class, ever.
    connection
        .execute_batch(
            "INSERT INTO jobs (id, series_id, version, state, created_utc) VALUES (2, 1, 0, 'superseded', ''); \
             UPDATE deliveries SET state = 'parked';",
        )
        .unwrap();
    assert!(evict(&spool).instances >= 10);
}

#[tokio::test]
async fn an_evicted_instance_sent_again_is_new_and_the_old_place_is_gone() {
    let place = Place::new();
    let (spool, _) = place.open();
    let old = keep(&spool, 0, 200_000).await;
    fill(&spool, 1..20).await;
    conclude(&place, false);
    evict(&spool);
    assert!(matches!(spool.read(&old.location), Err(Error::Gone { .. })));
    let again = keep(&spool, 0, 200_000).await;
    assert_ne!(again.location, old.location);
    spool.read(&again.location).unwrap();
}

#[tokio::test]
async fn a_reused_segment_never_shows_what_it_held_before() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 0..30).await;
    conclude(&place, false);
    assert!(evict(&spool).instances > 0);
    fill(&spool, 30..60).await;
    let all = place.all(&spool);
    drop(spool);
    // Also when the database is lost.
    place.forget_database();
    let (spool, _) = place.open();
    assert!(place.all(&spool) == all);
}

#[tokio::test]
async fn a_power_cut_between_rows_and_bytes_leaves_nothing_behind() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 0..20).await;
    conclude(&place, false);
    let saved = place.copy();
    evict(&spool);
    drop(spool);
    let (live, survivors) = (place.counts(), segments(&place));
    // The rows say evicted, but the files are back.
    copy_folder(&saved.path().join(LOG), &place.path().join(LOG));
    let (_spool, recovery) = place.open();
    assert_eq!(place.counts(), live);
    assert!(recovery.orphans_removed > 0);
    assert_eq!(segments(&place), survivors);
}

#[tokio::test]
async fn a_segment_that_is_being_read_stays() {
    let place = Place::new();
    let (spool, _) = place.open();
    let old = keep(&spool, 0, 200_000).await;
    fill(&spool, 1..20).await;
    conclude(&place, false);
    let bytes = spool.read(&old.location).unwrap();
    let mut reader = spool.reader(&old.location).unwrap();
    evict(&spool);
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut read).unwrap();
    assert!(read == bytes);
    drop(reader);
    assert!(evict(&spool).instances > 0);
    assert!(spool.read(&old.location).is_err());
}

#[tokio::test]
async fn a_large_file_is_evicted_by_itself() {
    let place = Place::new();
    let (spool, _) = place.open();
    let large = keep(&spool, 0, 600_000).await;
    conclude(&place, false);
    assert_eq!(evict(&spool), Evicted { instances: 1, bytes: large.location.length() });
    assert_eq!(fs::read_dir(place.path().join(LARGE)).unwrap().count(), 0);
    drop(spool);
    let (_spool, recovery) = place.open();
    assert_eq!(recovery, Recovery::default());
}

/// Results of the job of the series of these tests: one file of a MiB, in its folder.
fn with_results(place: &Place) -> std::path::PathBuf {
    let folder = place.path().join("results/1");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("01-sr.dcm"), vec![7_u8; 1 << 20]).unwrap();
    let connection = place.store().connect(Durability::Full).unwrap();
    connection.execute("UPDATE results SET file = 'results/1/01-sr.dcm', length = 1048576", []).unwrap();
    folder
}

fn rows(place: &Place, table: &str) -> i64 {
    let connection = place.store().connect(Durability::Full).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn results_of_an_evicted_study_go_with_it_rows_and_files() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..20).await;
    conclude(&place, true);
    let folder = with_results(&place);
    evict(&spool);
    assert!(folder.exists() && rows(&place, "results") == 1, "not delivered yet");
    conclude(&place, false);
    let folder = with_results(&place);
    assert!(evict(&spool).instances > 0);
    assert!(!folder.exists());
    assert_eq!((rows(&place, "results"), rows(&place, "deliveries"), rows(&place, "jobs")), (0, 0, 1));
}

#[tokio::test]
async fn results_of_a_recorded_exam_are_evicted_once_they_are_delivered() {
    let place = Place::new();
    let (spool, _) = place.open();
    conclude(&place, true);
    let folder = with_results(&place);
    let connection = place.store().connect(Durability::Full).unwrap();
    connection.execute("UPDATE series SET kind = 'exam'", []).unwrap();
    evict(&spool);
    assert!(folder.exists(), "not delivered yet");
    connection.execute("UPDATE deliveries SET state = 'delivered'", []).unwrap();
    assert_eq!(evict(&spool).bytes, 1 << 20);
    assert!(!folder.exists());
    let state: String = connection.query_row("SELECT state FROM series", [], |row| row.get(0)).unwrap();
    assert_eq!(state, "evicted");
}

#[tokio::test]
async fn at_start_lost_results_are_made_again_and_folders_without_a_row_go() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..3).await;
    conclude(&place, false);
    let folder = with_results(&place);
    drop(spool);
    fs::create_dir_all(place.path().join("results/99")).unwrap();
    fs::remove_file(folder.join("01-sr.dcm")).unwrap();
    let connection = place.store().connect(Durability::Full).unwrap();
    connection.execute("UPDATE series SET version = 1", []).unwrap();
    let (_spool, recovery) = place.open();
    assert_eq!(recovery.results_lost, 1);
    assert!(!place.path().join("results/99").exists());
    let job: String = connection.query_row("SELECT state FROM jobs", [], |row| row.get(0)).unwrap();
    let series: String = connection.query_row("SELECT state FROM series", [], |row| row.get(0)).unwrap();
    assert_eq!((job.as_str(), series.as_str()), ("queued", "complete"));
}

fn unfinished(place: &Place) -> usize {
    crate::store::series::unfinished(&place.store().connect(Durability::Full).unwrap()).unwrap().len()
}

/// Between its acknowledgement and the first row about it anything may end the process.
#[tokio::test]
async fn an_image_of_a_series_that_was_evicted_or_processed_is_not_forgotten_when_nobody_was_told_of_it() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..20).await;
    conclude(&place, false);
    let connection = place.store().connect(Durability::Full).unwrap();
    connection.execute("UPDATE series SET instance_count = 19", []).unwrap();
    assert_eq!(unfinished(&place), 0);
    assert!(evict(&spool).instances > 0);
    assert_eq!(unfinished(&place), 0, "evicted, and what is left of it lies in the segment that is being written");
    keep(&spool, 1, 200_000).await;
    assert_eq!(unfinished(&place), 1);
    fill(&spool, 30..40).await;
    assert_eq!(evict(&spool).instances, 0, "it is not concluded");

    // Processed; one image is damaged and sent again, so that there are as many as before.
    connection.execute("UPDATE series SET state = 'processed', instance_count = 1000", []).unwrap();
    let kept = instances::of_series(&connection, "1.2.3", "1.2.3.1").unwrap();
    let damaged = kept.iter().find(|one| one.header.sop_instance_uid == uid(30)).unwrap();
    instances::set_damaged(&connection, damaged, "rot").unwrap();
    assert_eq!(unfinished(&place), 0);
    keep(&spool, 30, 200_000).await;
    assert_eq!(unfinished(&place), 1);
}

#[tokio::test]
async fn a_segment_of_which_everything_was_no_conflict_is_given_back() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..6).await;
    let group_length = [8, 0, 0, 0, b'U', b'L', 4, 0, 99, 0, 0, 0];
    for number in 1..6 {
        let other = [group_length.to_vec(), data_set(&uid(number), number as u8, 200_000)].concat();
        assert!(matches!(send(&spool, &uid(number), &other).await.unwrap(), Outcome::Conflict(_)));
    }
    fill(&spool, 10..11).await;
    let before = segments(&place);
    twin::compare(&spool.0.shared, 0, i64::MAX).unwrap();
    assert_eq!(evict(&spool), Evicted { instances: 0, bytes: 1 << 20 });
    let after = segments(&place);
    assert_eq!(after.len() + 1, before.len(), "{before:?} {after:?}");
    assert_eq!(place.all(&spool).len(), 6);
}

#[tokio::test]
async fn what_is_wanted_again_after_it_was_chosen_is_not_evicted() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..20).await;
    conclude(&place, false);
    let connection = place.store().connect(Durability::Full).unwrap();
    let (contents, exams) = quota::judged(&connection, &crate::store::now_utc()).unwrap();
    let mut chosen = quota::candidates(quota::by_place(contents), exams);
    let count = chosen.len();
    quota::still_finished(&connection, &mut chosen).unwrap();
    assert!(count > 0 && chosen.len() == count);
    hold(&place, Some("somebody wants it"));
    quota::still_finished(&connection, &mut chosen).unwrap();
    assert!(chosen.is_empty());
}

#[tokio::test]
async fn a_conflict_that_is_evicted_leaves_its_series_as_it_is_and_says_that_nobody_had_decided() {
    use crate::store::places;
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..6).await;
    for number in 1..6 {
        let other = data_set(&uid(number), 99, 200_000);
        assert!(matches!(send(&spool, &uid(number), &other).await.unwrap(), Outcome::Conflict(_)));
    }
    conclude(&place, false);
    let connection = place.store().connect(Durability::Full).unwrap();
    let in_conflict = places::Place::Segment(2);
    assert_eq!(places::undecided(&connection, &in_conflict).unwrap(), 5);
    assert_eq!(places::evict(&connection, &in_conflict).unwrap(), 5);
    let state: String = connection.query_row("SELECT state FROM series", [], |row| row.get(0)).unwrap();
    assert_eq!((state.as_str(), place.counts().kept), ("processed", 5));
}

/// Most of the reserve is for what lets studies be concluded, none of it for instances.
#[tokio::test]
async fn results_may_use_the_reserve_that_instances_may_not() {
    let mut place = Place::new();
    let free = place.open().0.free_bytes().unwrap() >> 20;
    place.settings.min_free_mib = free + free / 10;
    let (spool, _) = place.open();
    assert!(matches!(spool.begin(origin(), CT, "1.2", EXPLICIT), Err(Error::NoSpace { .. })));
    spool.room_for_results(1 << 20).unwrap();
    let too_much = spool.room_for_results((free << 20) * 9 / 10);
    assert!(matches!(too_much, Err(Error::NoSpace { .. })), "{too_much:?}");
}

#[tokio::test]
async fn a_spool_that_is_not_open_yet_refuses_and_opens_later() {
    let place = Place::new();
    let store = place.store();
    let spool = Spool::new(&place.settings, &store);
    assert!(matches!(spool.begin(origin(), CT, "1.2", EXPLICIT), Err(Error::NotOpen)));
    fs::create_dir_all(place.path().join(LOG)).unwrap();
    let lock = File::create(place.path().join(LOG).join("lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(spool.start(), Err(Error::InUse { .. })));
    drop(lock);
    spool.start().unwrap();
    keep(&spool, 1, 1000).await;
}

/// Holds the study of these tests, or releases it.
fn hold(place: &Place, reason: Option<&str>) {
    use crate::store::holds;
    let mut connection = place.store().connect(Durability::Full).unwrap();
    let transaction = connection.transaction().unwrap();
    let changed = match reason {
        Some(reason) => holds::hold(&transaction, "1.2.3", "user 1000", reason),
        None => holds::release(&transaction, "1.2.3", "user 1000"),
    };
    assert!(changed.unwrap());
    transaction.commit().unwrap();
    place.store().mirror_holds(&connection);
}

#[tokio::test]
async fn what_a_person_holds_is_not_evicted_until_it_is_released() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..20).await;
    conclude(&place, false);
    let folder = with_results(&place);
    hold(&place, Some("a case for teaching"));
    assert_eq!(evict(&spool), Evicted::default());
    assert!(folder.exists());
    hold(&place, None);
    assert!(evict(&spool).instances >= 10);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_hold_keeps_a_recorded_exam_and_results_whose_images_went_before() {
    let place = Place::new();
    let (spool, _) = place.open();
    conclude(&place, false);
    let folder = with_results(&place);
    let connection = place.store().connect(Durability::Full).unwrap();
    connection.execute("UPDATE series SET kind = 'exam'", []).unwrap();
    hold(&place, Some("asked for by a court"));
    evict(&spool);
    assert!(folder.exists());
    // As when its images were evicted while a result was parked, which then was dropped.
    connection.execute("UPDATE series SET kind = 'ct', state = 'evicted'", []).unwrap();
    evict(&spool);
    assert!(folder.exists());
    hold(&place, None);
    evict(&spool);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_hold_outlives_the_database_and_counts_before_anything_is_evicted() {
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..20).await;
    conclude(&place, false);
    hold(&place, Some("x"));
    drop(spool);
    place.forget_database();
    let (spool, _) = place.open();
    conclude(&place, false);
    assert_eq!(evict(&spool), Evicted::default());
    hold(&place, None);
    assert!(evict(&spool).instances >= 10);
}

#[tokio::test]
async fn what_is_told_to_stay_stays_and_what_is_told_to_go_next_goes() {
    use crate::retention::{Because, What, Why};
    let place = Place::new();
    let (spool, _) = place.open();
    fill(&spool, 1..20).await;
    let objects = |spool: &Spool| -> Vec<(Why, u64)> {
        let told = spool.retention(10).unwrap();
        let kept = told.kept.into_iter().filter(|kept| kept.what == What::Objects && kept.why != Why::OpenSegment);
        kept.map(|kept| (kept.why, kept.count)).collect()
    };
    let sealed = objects(&spool)[0].1;
    assert_eq!(objects(&spool), [(Why::Unfinished, sealed)]);
    conclude(&place, true);
    assert_eq!(objects(&spool), [(Why::Undelivered, sealed)]);
    let connection = place.store().connect(Durability::Full).unwrap();
    connection.execute("UPDATE deliveries SET state = 'delivered', commitment = 'asked'", []).unwrap();
    assert_eq!(objects(&spool), [(Why::Uncommitted, sealed)]);
    connection.execute("UPDATE deliveries SET commitment = NULL", []).unwrap();
    connection.execute("UPDATE jobs SET state = 'parked'", []).unwrap();
    assert_eq!(objects(&spool), [(Why::InWork, sealed)]);
    connection.execute("UPDATE jobs SET state = 'done'", []).unwrap();
    hold(&place, Some("x"));
    let told = spool.retention(10).unwrap();
    assert_eq!((objects(&spool), told.next.len()), (vec![(Why::Held, sealed)], 0));
    assert_eq!((told.holds[0].study_uid.as_str(), told.holds[0].by.as_str()), ("1.2.3", "user 1000"));
    hold(&place, None);
    assert_eq!(objects(&spool), [(Why::Evictable, sealed)]);
    let told = spool.retention(10).unwrap();
    let next = &told.next[0];
    assert_eq!(
        (next.study_uid.as_str(), next.objects, next.now, next.because),
        ("1.2.3", sealed, false, Because::Space)
    );
    assert!(!next.whole, "the segment that is being written stays");
    let evicted = evict(&spool);
    assert_eq!((evicted.instances, evicted.bytes), (next.objects, next.bytes));
    assert_eq!(spool.retention(10).unwrap().next, []);
}
