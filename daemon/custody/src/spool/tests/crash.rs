//! Killed processes, power cuts, damaged bytes.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{Rng, SeedableRng};

use super::*;
use crate::series::SeriesKey;
use crate::spool::record::{BLOCK, RECORD_HEAD};
use crate::store::conflicts::{self, Choice};

/// A spool after a power cut: three acknowledged instances, and a fourth that is in the log but has no row. Returns the
/// segment file, the offset of the fourth record and its length without padding.
async fn log_ahead_of_rows() -> (Place, PathBuf, u64, usize) {
    let place = Place::new();
    let (spool, _) = place.open();
    for number in 1..=3 {
        keep(&spool, number, 3000).await;
    }
    drop(spool);
    let before = place.copy();
    let (spool, recovery) = place.open();
    assert_eq!(recovery, Recovery::default());
    let fourth = keep(&spool, 4, 700).await;
    drop(spool);
    let Location::Log { segment, offset, length } = fourth.location else { panic!() };
    let start = offset / BLOCK * BLOCK;
    let path = segment::path(Path::new(LOG), segment);
    fs::copy(place.path().join(&path), before.path().join(&path)).unwrap();
    (before, path, start, usize::try_from(offset + length - start).unwrap())
}

/// Runs `sweep` without starting the spool's threads, because hundreds of variants must be fast.
fn recover(place: &Place) -> Recovery {
    let store = place.store();
    let shared = Shared::new(&place.settings, &store);
    sweep::sweep(&shared, &mut store.connect(Durability::Rebuildable).unwrap()).unwrap().1
}

fn assert_whole(place: &Place, expected: &[usize]) {
    let connection = place.store().connect(Durability::Rebuildable).unwrap();
    let kept = instances::of_series(&connection, "1.2.3", "1.2.3.1").unwrap();
    let uids: Vec<_> = kept.iter().map(|instance| instance.header.sop_instance_uid.clone()).collect();
    assert_eq!(uids, expected.iter().map(|number| uid(*number)).collect::<Vec<_>>());
    for (instance, number) in kept.iter().zip(expected) {
        let Location::Log { segment, offset, length } = instance.location else { panic!() };
        let log = fs::read(segment::path(&place.path().join(LOG), segment)).unwrap();
        let (from, to) = (usize::try_from(offset).unwrap(), usize::try_from(offset + length).unwrap());
        let size = if *number == 4 { 700 } else { 3000 };
        assert!(log[from..to].ends_with(&data_set(&uid(*number), *number as u8, size)), "instance {number}");
    }
}

#[tokio::test]
async fn a_record_cut_at_any_byte_is_dropped_and_nothing_else() {
    let (place, segment, start, used) = log_ahead_of_rows().await;
    let whole = fs::read(place.path().join(&segment)).unwrap();
    let start = usize::try_from(start).unwrap();
    // Every byte of the head and of the end, and every 13th between: each variant takes some milliseconds.
    let cuts = (0..used).filter(|cut| *cut < RECORD_HEAD + 4 || *cut + 16 > used || cut % 13 == 0);
    for cut in cuts.chain([used]) {
        let variant = place.copy();
        let mut log = whole.clone();
        log[start + cut..].fill(0);
        fs::write(variant.path().join(&segment), log).unwrap();
        let recovery = recover(&variant);
        // If all bytes that are cut off are zero, the segment's own zeros replace them and nothing is lost.
        let complete = whole[start + cut..start + used].iter().all(|byte| *byte == 0);
        assert_eq!(recovery.instances_recovered, u64::from(complete), "cut at {cut} of {used}");
        assert_whole(&variant, if complete { &[1, 2, 3, 4] } else { &[1, 2, 3] });
        assert_eq!(recover(&variant).instances_recovered, 0, "the second start finds nothing to do");
    }
}

/// The copy of the database is older than the damage and the answer of the scanner to it.
#[tokio::test]
async fn what_was_sent_again_because_it_was_damaged_is_kept_when_an_old_database_comes_back() {
    for rots in [true, false] {
        let place = Place::new();
        let (spool, _) = place.open();
        let first = keep(&spool, 1, 3000).await;
        drop(spool);
        let old = fs::read(place.path().join("scanside.db")).unwrap();
        let connection = place.store().connect(Durability::Full).unwrap();
        assert!(instances::set_damaged(&connection, &first, "as a check found it").unwrap());
        drop(connection);
        let (spool, _) = place.open();
        let second = keep(&spool, 1, 3000).await;
        drop(spool);
        place.forget_database();
        fs::write(place.path().join("scanside.db"), old).unwrap();
        let Location::Log { segment, offset, length } = first.location else { panic!() };
        if rots {
            let path = place.path().join(segment::path(Path::new(LOG), segment));
            let mut log = fs::read(&path).unwrap();
            log[usize::try_from(offset + length).unwrap() - 9] ^= 0x40;
            fs::write(path, log).unwrap();
        }
        drop(place.open());
        let connection = place.store().connect(Durability::Rebuildable).unwrap();
        let kept = instances::of_series(&connection, "1.2.3", "1.2.3.1").unwrap();
        let expected = if rots { &second.location } else { &first.location };
        assert_eq!(kept.iter().map(|one| &one.location).collect::<Vec<_>>(), [expected], "{rots}");
    }
}

#[tokio::test]
async fn a_flipped_byte_drops_the_record_and_nothing_else() {
    let (place, segment, start, used) = log_ahead_of_rows().await;
    let whole = fs::read(place.path().join(&segment)).unwrap();
    let start = usize::try_from(start).unwrap();
    for at in (0..used).filter(|at| *at < RECORD_HEAD || at % 17 == 0) {
        let variant = place.copy();
        let mut log = whole.clone();
        log[start + at] ^= 0x20;
        fs::write(variant.path().join(&segment), log).unwrap();
        assert_eq!(recover(&variant).instances_recovered, 0, "byte {at}");
        assert_whole(&variant, &[1, 2, 3]);
    }
}

#[tokio::test]
async fn after_a_torn_record_the_spool_goes_on_and_the_sender_can_try_again() {
    let (place, segment, start, _) = log_ahead_of_rows().await;
    let mut log = fs::read(place.path().join(&segment)).unwrap();
    log[usize::try_from(start).unwrap() + 100..].fill(0);
    fs::write(place.path().join(&segment), log).unwrap();
    let (spool, recovery) = place.open();
    assert_eq!((recovery.torn_records, recovery.instances_recovered), (1, 0));
    keep(&spool, 4, 700).await;
    drop(spool);
    assert_whole(&place, &[1, 2, 3, 4]);
    place.open();
    assert_whole(&place, &[1, 2, 3, 4]);
}

#[tokio::test]
async fn an_unacknowledged_whole_record_becomes_custody_and_answers_already_so() {
    let (place, ..) = log_ahead_of_rows().await;
    let (spool, recovery) = place.open();
    assert_eq!(recovery.instances_recovered, 1);
    assert_eq!(recovery.to_string(), "recovered 1 instances");
    let again = send(&spool, &uid(4), &data_set(&uid(4), 4, 700)).await.unwrap();
    assert!(matches!(again, Outcome::AlreadySo(_)));
    assert_whole(&place, &[1, 2, 3, 4]);
}

#[tokio::test]
async fn a_damaged_record_does_not_hide_those_behind_it() {
    let (place, segment, ..) = log_ahead_of_rows().await;
    place.forget_database();
    let mut log = fs::read(place.path().join(&segment)).unwrap();
    // In the payload of the first record.
    log[usize::try_from(BLOCK).unwrap() + 2500] ^= 1;
    fs::write(place.path().join(&segment), log).unwrap();
    let recovery = recover(&place);
    assert_eq!((recovery.instances_recovered, recovery.torn_records), (3, 1));
    assert_whole(&place, &[2, 3, 4]);
}

/// The disk fills up: no further segment can be had, and what is left of this one is used for what fits.
#[tokio::test]
async fn what_still_fits_when_there_is_no_room_for_another_segment_survives_a_power_cut() {
    let place = Place::new();
    let (spool, _) = place.open();
    keep(&spool, 1, 1000).await;
    spool.0.shared.shelf.stop();
    // Those that are ready are used up.
    let mut number = 100;
    while send(&spool, &uid(number), &data_set(&uid(number), number as u8, 100_000)).await.is_ok() {
        number += 1;
        assert!(number < 200, "segments do not end");
    }
    // The rows as they are now; the log as it is later.
    let after = place.copy();
    let small = keep(&spool, 7, 1000).await;
    let Location::Log { segment, .. } = small.location else { panic!() };
    drop(spool);
    let path = segment::path(Path::new(LOG), segment);
    fs::copy(place.path().join(&path), after.path().join(&path)).unwrap();
    let (spool, recovery) = after.open();
    assert_eq!(recovery.instances_recovered, 1);
    assert!(after.all(&spool).iter().any(|(sop_uid, _)| *sop_uid == uid(7)));
}

#[tokio::test]
async fn a_lost_database_is_made_again_from_the_log() {
    let place = Place::new();
    let (spool, _) = place.open();
    for number in 1..=40 {
        keep(&spool, number, 60_000).await;
    }
    let conflict = data_set(&uid(3), 99, 500);
    assert!(matches!(send(&spool, &uid(3), &conflict).await.unwrap(), Outcome::Conflict(_)));
    let quarantined = send(&spool, "1.2.9", b"not a data set").await.unwrap();
    assert!(matches!(quarantined, Outcome::Quarantined { .. }));
    let (before, all) = (place.counts(), place.all(&spool));
    drop(spool);
    place.forget_database();
    let (spool, recovery) = place.open();
    assert_eq!(recovery.instances_recovered, 42);
    assert_eq!(place.counts(), before);
    assert!(place.all(&spool) == all);
    assert!(matches!(send(&spool, &uid(3), &conflict).await.unwrap(), Outcome::AlreadySo(_)));
}

/// Nobody decides a second time, and nothing is made of what a person has said is another patient's.
#[tokio::test]
async fn which_content_counts_is_still_known_when_database_and_copy_are_lost() {
    for (choice, kept) in [(Choice::TakeNew, 99), (Choice::KeepOld, 3)] {
        let place = Place::new();
        let (spool, _) = place.open();
        for number in 1..=4 {
            keep(&spool, number, 1000).await;
        }
        send(&spool, &uid(3), &data_set(&uid(3), 99, 1000)).await.unwrap();
        send(&spool, &uid(4), &data_set(&uid(4), 98, 1000)).await.unwrap();
        let store = place.store();
        let mut connection = store.connect(Durability::Full).unwrap();
        let transaction = connection.transaction().unwrap();
        conflicts::resolve(&transaction, "1.2.3", choice).unwrap();
        transaction.commit().unwrap();
        store.mirror_choices(&connection);
        // One more came after the decision: nobody has decided about it.
        send(&spool, &uid(4), &data_set(&uid(4), 97, 1000)).await.unwrap();
        let (before, all) = (place.counts(), place.all(&spool));
        drop((spool, connection, store));
        place.forget_database();
        let (spool, recovery) = place.open();
        assert_eq!((recovery.instances_recovered, place.counts()), (7, before), "{choice:?}");
        assert!(place.all(&spool) == all);
        let third = all.iter().find(|(sop_uid, _)| *sop_uid == uid(3)).unwrap();
        assert!(third.1.ends_with(&data_set(&uid(3), kept, 1000)), "{choice:?}");
    }
}

/// A database that comes back from its copy has perhaps results of the other content: a person decides once more.
#[tokio::test]
async fn a_decision_that_came_after_the_copy_is_made_again_by_a_person() {
    let place = Place::new();
    let (spool, _) = place.open();
    keep(&spool, 1, 1000).await;
    send(&spool, &uid(1), &data_set(&uid(1), 99, 1000)).await.unwrap();
    let store = place.store();
    let mut connection = store.connect(Durability::Full).unwrap();
    let key = SeriesKey { study_uid: "1.2.3".into(), series_uid: "1.2.3.1".into() };
    let kind = dicom::kind::SeriesKind::Other;
    let transaction = connection.transaction().unwrap();
    crate::store::series::opened(&transaction, &key, "CT", kind, 1, "2026-01-01T00:00:00.000Z").unwrap();
    transaction.commit().unwrap();
    assert!(store.copy().unwrap());
    let transaction = connection.transaction().unwrap();
    conflicts::resolve(&transaction, "1.2.3", Choice::TakeNew).unwrap();
    transaction.commit().unwrap();
    store.mirror_choices(&connection);
    assert_eq!(place.counts().conflict, 0);
    drop((spool, connection, store));
    place.forget_database();
    let (_spool, _) = place.open();
    assert_eq!((place.counts().kept, place.counts().conflict), (1, 1));
}

#[tokio::test]
async fn lost_bytes_are_reported_and_do_not_answer_already_so() {
    let place = Place::new();
    let (spool, _) = place.open();
    let instance = keep(&spool, 1, 1000).await;
    drop(spool);
    let Location::Log { segment, .. } = instance.location else { panic!() };
    fs::remove_file(segment::path(&place.path().join(LOG), segment)).unwrap();
    let (spool, recovery) = place.open();
    assert_eq!(recovery.bytes_missing, 1);
    let next = keep(&spool, 1, 1000).await;
    let Location::Log { segment: other, .. } = next.location else { panic!() };
    assert!(other > segment, "a number is never used twice");
}

#[tokio::test]
async fn a_damaged_segment_head_is_reported_and_left_alone() {
    let place = Place::new();
    let (spool, _) = place.open();
    keep(&spool, 1, 1000).await;
    drop(spool);
    place.forget_database();
    let path = segment::path(&place.path().join(LOG), 1);
    let mut log = fs::read(&path).unwrap();
    log[9] ^= 1;
    fs::write(&path, log).unwrap();
    let (spool, recovery) = place.open();
    assert_eq!(recovery.damaged_segments, 1);
    assert!(path.exists());
    keep(&spool, 2, 1000).await;
}

const CHILD: &str = "SCANSIDE_SPOOL_CHILD";

/// Not a test itself: the child process that the next test kills. Prints the number of every acknowledged instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_is_killed() {
    let Some(directory) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let settings = settings::Spool {
        directory: directory.clone(),
        min_free_mib: 0,
        evict_below_mib: 0,
        keep_days: 0,
        segment_mib: 1,
        ready_segments: 2,
        check_mib_per_second: 0,
    };
    let store = Store::open(&directory.join("scanside.db")).unwrap();
    let (spool, _) = Spool::open(&settings, &store).unwrap();
    let sender = |from: usize| {
        let spool = spool.clone();
        async move {
            for number in (from..).step_by(2) {
                // Some are large enough for a file of their own.
                let size = if number % 10 == 0 { 300_000 } else { 30_000 };
                let outcome = send(&spool, &uid(number), &data_set(&uid(number), number as u8, size)).await.unwrap();
                assert!(matches!(outcome, Outcome::New(_) | Outcome::AlreadySo(_)), "{outcome:?}");
                let mut out = std::io::stdout().lock();
                writeln!(out, "kept {number}").unwrap();
                out.flush().unwrap();
            }
        }
    };
    tokio::join!(sender(1), sender(2));
}

#[tokio::test]
async fn killed_at_any_instant_every_acknowledged_instance_is_there_once() {
    let place = Place::new();
    let mut random = rand::rngs::SmallRng::seed_from_u64(2);
    let mut acknowledged = std::collections::BTreeSet::new();
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "spool::tests::crash::child_that_is_killed", "--nocapture"])
            .env(CHILD, place.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let acks = std::thread::spawn(move || {
            let lines = out.lines().map_while(std::result::Result::ok);
            lines.filter_map(|line| line.strip_prefix("kept ")?.parse::<usize>().ok()).collect::<Vec<_>>()
        });
        std::thread::sleep(Duration::from_millis(random.random_range(20..400)));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(acks.join().unwrap());
        let (spool, recovery) = place.open();
        assert_eq!(recovery.bytes_missing, 0, "round {round}");
        let all = place.all(&spool);
        let numbers: Vec<usize> = all.iter().map(|(uid, _)| uid.rsplit('.').next().unwrap().parse().unwrap()).collect();
        let unique: std::collections::BTreeSet<_> = numbers.iter().copied().collect();
        assert_eq!(unique.len(), numbers.len(), "round {round}: an instance twice");
        assert!(acknowledged.is_subset(&unique), "round {round}: {:?} lost", acknowledged.difference(&unique));
        for ((sop_uid, file), number) in all.iter().zip(numbers) {
            let size = if number % 10 == 0 { 300_000 } else { 30_000 };
            assert!(file.ends_with(&data_set(sop_uid, number as u8, size)), "round {round}: {sop_uid} differs");
        }
        assert_eq!(place.counts().conflict + place.counts().quarantined, 0);
    }
    assert!(!acknowledged.is_empty(), "no child lived long enough");
}

/// The disk has the head that was written to the file, and not yet that it was renamed.
#[tokio::test]
async fn a_freed_segment_that_was_to_become_another_at_a_power_cut_is_no_damaged_one() {
    let (place, path, ..) = log_ahead_of_rows().await;
    let (freed, half) = (segment::path(&place.path().join(LOG), 1), place.path().join("large/half.tmp"));
    assert_eq!(place.path().join(&path), freed);
    let later = segment::path(&place.path().join(LOG), 2);
    fs::copy(&freed, &later).unwrap();
    let write = |path: &Path, number: i64| {
        let head = crate::spool::record::SegmentHead { number, epoch: 5, size: 1 << 20 };
        fs::File::options().write(true).open(path).unwrap().write_all(&head.encode()).unwrap();
    };
    // Of the one that lies there now nothing is known, as after its eviction.
    write(&later, 3);
    fs::write(&half, "half received").unwrap();
    let recovery = recover(&place);
    assert_eq!((recovery.damaged_segments, recovery.orphans_removed), (0, 2), "{recovery:?}");
    assert!(!later.exists() && !half.exists() && freed.exists());
    // A head of an earlier one, or one whose instances are in use, is a matter for people.
    fs::copy(&freed, &later).unwrap();
    assert_eq!(recover(&place).damaged_segments, 1);
    fs::remove_file(&later).unwrap();
    write(&freed, 4);
    assert_eq!(recover(&place).damaged_segments, 1, "it has instances");
    assert!(freed.exists());
}
