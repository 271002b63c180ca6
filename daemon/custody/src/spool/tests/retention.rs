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
    let before = segments(&place);
    let evicted = evict(&spool);
    assert!(evicted.instances >= 10, "{evicted:?}");
    let after = segments(&place);
    assert!(!after.is_empty() && after.len() < before.len(), "the segment being written stays: {after:?}");
    let counts = place.counts();
    assert_eq!((counts.evicted, counts.kept), (evicted.instances, 19 - evicted.instances));
    let connection = place.store().connect(Durability::Full).unwrap();
    let state: String = connection.query_row("SELECT state FROM series", [], |row| row.get(0)).unwrap();
    assert_eq!(state, "evicted");
    let events = crate::store::events::latest(&connection, 100).unwrap();
    assert!(events.iter().any(|event| event.what == "evicted"));
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
