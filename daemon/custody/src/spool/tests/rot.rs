//! Rot: bytes that change on the disk are noticed, set aside, and can be sent again.

use std::io::{Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant};

use super::*;
use crate::store::{events, lists};

/// Flips bits in the middle of the bytes of an instance, or at `at` from their beginning.
fn flip(place: &Place, location: &Location, at: Option<u64>) {
    let (path, start) = match location {
        Location::Log { segment, offset, .. } => (segment::path(&place.path().join(LOG), *segment), *offset),
        Location::File { file, .. } => (place.path().join(file), 0),
    };
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    let from = start + at.unwrap_or_else(|| location.length() / 2);
    let mut bytes = [0; 64];
    file.seek(SeekFrom::Start(from)).unwrap();
    file.read_exact(&mut bytes).unwrap();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&bytes.map(|byte| byte ^ 0x55)).unwrap();
}

fn damaged(error: &Result<Vec<u8>>, instance: &Instance) -> bool {
    matches!(error, Err(Error::Damaged { instance: id, .. }) if *id == instance.id)
}

#[tokio::test]
async fn a_damaged_instance_is_noticed_when_it_is_read_and_set_aside_with_the_reason() {
    let place = Place::new();
    let (spool, _) = place.open();
    let mut kept = Vec::new();
    // In the log, in a file of its own; its pixels, and the transfer syntax in its file header.
    for (number, size) in [(1, 20_000), (2, 20_000), (3, 600_000), (4, 20_000)] {
        kept.push(keep(&spool, number, size).await);
    }
    flip(&place, &kept[1].location, None);
    flip(&place, &kept[2].location, None);
    flip(&place, &kept[3].location, Some(150));
    assert_eq!(spool.read_checked(&kept[0]).unwrap(), spool.read(&kept[0].location).unwrap());
    for instance in &kept[1..] {
        assert!(damaged(&spool.read_checked(instance), instance));
        assert!(damaged(&spool.read_checked(instance), instance), "and again");
    }
    let counts = place.counts();
    assert_eq!((counts.kept, counts.damaged), (1, 3));
    let connection = place.store().connect(Durability::Full).unwrap();
    let shown = lists::quarantine(&connection, &lists::Wanted { limit: 10, ..Default::default() }).unwrap();
    assert_eq!(shown.len(), 3);
    assert!(shown.iter().all(|one| one.state == "damaged" && one.reason.contains("disk")), "{shown:?}");
    assert_eq!(lists::counts(&connection).unwrap().quarantined, 3);
    let told = events::latest(&connection, 10).unwrap();
    assert_eq!(told.iter().filter(|event| event.what == "damaged").count(), 3, "each is told once");
}

#[tokio::test]
async fn a_damaged_instance_that_is_sent_again_is_new() {
    let place = Place::new();
    let (spool, _) = place.open();
    let old = keep(&spool, 1, 20_000).await;
    flip(&place, &old.location, None);
    assert!(damaged(&spool.read_checked(&old), &old));
    let again = keep(&spool, 1, 20_000).await;
    assert_ne!(again.id, old.id);
    spool.read_checked(&again).unwrap();
    let connection = place.store().connect(Durability::Full).unwrap();
    assert!(instances::damaged_of_series(&connection, "1.2.3", "1.2.3.1").unwrap().is_empty(), "it is whole again");
}

async fn until_damaged(place: &Place, count: u64) {
    let end = Instant::now() + Duration::from_secs(60);
    while place.counts().damaged != count {
        assert!(Instant::now() < end, "{:?}", place.counts());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_background_check_finds_rot_that_came_while_stopped_and_while_running() {
    let mut place = Place::new();
    place.settings.check_mib_per_second = 1000;
    let (spool, _) = place.open();
    let mut kept = Vec::new();
    for number in 0..12 {
        kept.push(keep(&spool, number, 100_000).await);
    }
    drop(spool);
    flip(&place, &kept[7].location, None);
    let connection = place.store().connect(Durability::Full).unwrap();
    crate::store::progress::put(&connection, crate::store::progress::CHECKED, 0).unwrap();
    let (spool, _) = place.open();
    until_damaged(&place, 1).await;
    drop(spool);

    // While running: what has just arrived comes next.
    place.settings.check_mib_per_second = 1;
    crate::store::progress::put(&connection, crate::store::progress::CHECKED, kept[0].id).unwrap();
    let (spool, _) = place.open();
    flip(&place, &kept[11].location, None);
    until_damaged(&place, 2).await;
    let bad: Vec<String> = instances::damaged_of_series(&connection, "1.2.3", "1.2.3.1")
        .unwrap()
        .into_iter()
        .map(|instance| instance.header.sop_instance_uid)
        .collect();
    assert_eq!(bad, [uid(7), uid(11)]);
    drop(spool);
}

#[tokio::test]
async fn the_background_check_keeps_to_its_rate_and_ends_with_the_spool() {
    let mut place = Place::new();
    place.settings.check_mib_per_second = 1;
    let (spool, _) = place.open();
    for number in 0..8 {
        keep(&spool, number, 500_000).await;
    }
    let connection = place.store().connect(Durability::Full).unwrap();
    // 4 MB at 1 MiB/s: a round is far from done after a moment.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(crate::store::progress::get(&connection, crate::store::progress::CHECKED).unwrap(), 0);
    let begun = Instant::now();
    drop(spool);
    assert!(begun.elapsed() < Duration::from_secs(2), "it does not wait for the check");
}

#[tokio::test]
async fn an_object_sent_again_with_other_content_says_why_it_is_not_used() {
    let place = Place::new();
    let (spool, _) = place.open();
    keep(&spool, 1, 1000).await;
    let other = send(&spool, &uid(1), &data_set(&uid(1), 99, 1000)).await.unwrap();
    assert!(matches!(other, Outcome::Conflict(_)));
    let connection = place.store().connect(Durability::Full).unwrap();
    let shown = lists::quarantine(&connection, &lists::Wanted { limit: 10, ..Default::default() }).unwrap();
    assert!(shown[0].state == "conflict" && shown[0].reason.contains("other content"), "{shown:?}");
    drop(spool);
    // The row that the log gives back says it, too.
    place.forget_database();
    let (_spool, _) = place.open();
    let connection = place.store().connect(Durability::Full).unwrap();
    let shown = lists::quarantine(&connection, &lists::Wanted { limit: 10, ..Default::default() }).unwrap();
    assert!(shown[0].reason.contains("other content"), "{shown:?}");
}
