//! Instances that are too large for the log.

use std::time::{Duration, Instant};

use super::*;
use crate::store::{events, places};

/// 72 MiB in segments of 1 MiB, where everything over 256 KiB has a file of its own.
const SIZE: usize = 72 << 20;

fn large_files(place: &Place) -> Vec<String> {
    let folder = fs::read_dir(place.path().join(LARGE)).unwrap();
    folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Files are removed in the background.
async fn until_empty(place: &Place) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !large_files(place).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", large_files(place));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_large_instance_streams_to_a_file_of_its_own() {
    let place = Place::new();
    let (spool, _) = place.open();
    let sent = data_set("1.2.3.1.1", 1, SIZE);
    let mut incoming = spool.begin(origin(), CT, "1.2.3.1.1", EXPLICIT).unwrap();
    for piece in sent.chunks(128 * 1024) {
        incoming.write(piece).await.unwrap();
        assert!(incoming.in_memory() < 4 << 20, "{} bytes in memory", incoming.in_memory());
    }
    let Outcome::New(instance) = incoming.commit().await.unwrap() else { panic!() };
    assert!(matches!(&instance.location, Location::File { file, .. } if file.starts_with("large/")));
    assert!(spool.read(&instance.location).unwrap().ends_with(&sent));
    let Outcome::AlreadySo(_) = send(&spool, "1.2.3.1.1", &sent).await.unwrap() else { panic!() };
    keep(&spool, 2, 1000).await;
    drop(spool);
    assert_eq!(large_files(&place).len(), 1, "the second copy is gone");

    // The log names the file even when the database is lost.
    place.forget_database();
    let (spool, recovery) = place.open();
    assert_eq!(recovery.instances_recovered, 2);
    let all = place.all(&spool);
    assert_eq!(all.len(), 2);
    assert!(all[0].1.ends_with(&sent));
}

fn whats(place: &Place) -> Vec<String> {
    let connection = place.store().connect(Durability::Rebuildable).unwrap();
    events::latest(&connection, 100).unwrap().into_iter().map(|event| event.what).collect()
}

/// All of what else lay in it is evicted: the record of the large file is the only thing that knows of it without the database.
#[tokio::test]
async fn a_segment_stays_while_a_large_file_that_it_names_is_kept() {
    let place = Place::new();
    let (spool, _) = place.open();
    let large = keep(&spool, 1, 2 << 20).await;
    for number in 2..12 {
        keep(&spool, number, 200 << 10).await;
    }
    drop(spool);
    let connection = place.store().connect(Durability::Full).unwrap();
    connection.execute("UPDATE instances SET state = 'evicted' WHERE segment IS NOT NULL", []).unwrap();
    assert!(
        places::empty_segments(&connection, 1).unwrap().iter().all(|empty| empty.place != places::Place::Segment(1))
    );
    drop(connection);
    drop(place.open());
    place.forget_database();
    let (spool, _) = place.open();
    spool.read(&large.location).unwrap();
    let again = send(&spool, &uid(1), &data_set(&uid(1), 1, 2 << 20)).await.unwrap();
    assert!(matches!(again, Outcome::AlreadySo(_)), "{again:?}");
    assert!(!whats(&place).contains(&"found without a record".to_owned()));
}

/// As after an update from a version that did not keep the record.
#[tokio::test]
async fn a_whole_large_file_that_nothing_names_is_taken_into_custody_again() {
    let place = Place::new();
    let (spool, _) = place.open();
    let large = keep(&spool, 1, 2 << 20).await;
    drop(spool);
    place.forget_database();
    for entry in fs::read_dir(place.path().join(LOG)).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let (spool, recovery) = place.open();
    assert_eq!((recovery.instances_recovered, recovery.orphans_removed), (1, 0));
    assert!(spool.read(&large.location).unwrap().ends_with(&data_set(&uid(1), 1, 2 << 20)));
    let again = send(&spool, &uid(1), &data_set(&uid(1), 1, 2 << 20)).await.unwrap();
    assert!(matches!(again, Outcome::AlreadySo(_)), "{again:?}");
    drop(spool);
    assert_eq!(whats(&place), ["found without a record"]);
    let (_spool, recovery) = place.open();
    assert_eq!(recovery, Recovery::default(), "once");
}

#[tokio::test]
async fn an_abandoned_large_instance_leaves_nothing() {
    let place = Place::new();
    let (spool, _) = place.open();
    let mut incoming = spool.begin(origin(), CT, "1.2.3.1.1", EXPLICIT).unwrap();
    incoming.write(&vec![0; 2 << 20]).await.unwrap();
    assert_eq!(large_files(&place).len(), 1);
    drop(incoming);
    until_empty(&place).await;
}

#[tokio::test]
async fn half_received_and_unnamed_large_files_go_at_start() {
    let place = Place::new();
    let (spool, _) = place.open();
    let kept = keep(&spool, 1, 1 << 20).await;
    drop(spool);
    fs::write(place.path().join("large/0000000000000000-000000.tmp"), b"half").unwrap();
    fs::write(place.path().join("large/0000000000000000-000001.dcm"), b"renamed, never acknowledged").unwrap();
    let (spool, recovery) = place.open();
    assert_eq!(recovery.orphans_removed, 2);
    assert_eq!(large_files(&place).len(), 1);
    spool.read(&kept.location).unwrap();
}

#[tokio::test]
async fn what_is_received_while_the_database_is_built_again_is_kept_and_what_was_kept_has_its_row() {
    let place = Place::new();
    let store = place.store();
    let (spool, _) = Spool::open(&place.settings, &store).unwrap();
    keep(&spool, 2, 1000).await;
    let sent = data_set("1.2.3.1.1", 1, 2 << 20);
    let mut incoming = spool.begin(origin(), CT, "1.2.3.1.1", EXPLICIT).unwrap();
    incoming.write(&sent).await.unwrap();

    fs::remove_file(place.path().join("scanside.db")).unwrap();
    spool.halt();
    assert!(matches!(spool.begin(origin(), CT, "1.2.3.1.3", EXPLICIT), Err(Error::NotOpen)));
    store.prepare().unwrap().unwrap();
    assert_eq!(spool.start().unwrap().instances_recovered, 1);

    let Outcome::New(instance) = incoming.commit().await.unwrap() else { panic!() };
    assert!(spool.read(&instance.location).unwrap().ends_with(&sent));
    keep(&spool, 3, 1000).await;
    drop(spool);
    let (spool, recovery) = place.open();
    assert_eq!((recovery, place.all(&spool).len()), (Recovery::default(), 3));
}
