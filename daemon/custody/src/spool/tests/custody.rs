//! Receiving instances: new, repeated, conflicting, unreadable, with wrong UIDs, without space, many at once.

use super::*;
use crate::store::{events, now_utc, priors};

#[tokio::test]
async fn an_acknowledged_instance_reads_back_byte_for_byte() {
    let place = Place::new();
    let (spool, _) = place.open();
    let sent = data_set("1.2.3.1.1", 1, 5000);
    let Outcome::New(instance) = send(&spool, "1.2.3.1.1 \0", &sent).await.unwrap() else { panic!() };
    assert_eq!(instance.header.modality, "CT");
    assert_eq!(instance.association, 7);
    let file = spool.read(&instance.location).unwrap();
    assert!(file.ends_with(&sent));
    let meta = dicom::scan::meta(spool.reader(&instance.location).unwrap()).unwrap();
    assert_eq!(meta.data_set_offset as usize, file.len() - sent.len());
    let pixels = instance.header.pixel_data.unwrap();
    assert_eq!(pixels.offset + pixels.length, file.len() as u64);
    let row = instances::get(&place.store().connect(Durability::Full).unwrap(), instance.id).unwrap().unwrap();
    assert_eq!((row.header, row.location), (instance.header.clone(), instance.location.clone()));
}

#[tokio::test]
async fn the_same_bytes_again_are_already_so_and_other_bytes_a_conflict() {
    let place = Place::new();
    let (spool, _) = place.open();
    let first = keep(&spool, 1, 1000).await;
    let Outcome::AlreadySo(again) = send(&spool, &uid(1), &data_set(&uid(1), 1, 1000)).await.unwrap() else { panic!() };
    assert_eq!(again.id, first.id);
    let other = data_set(&uid(1), 9, 1000);
    let Outcome::Conflict(conflict) = send(&spool, &uid(1), &other).await.unwrap() else { panic!() };
    assert!(spool.read(&conflict.location).unwrap().ends_with(&other));
    let Outcome::AlreadySo(again) = send(&spool, &uid(1), &other).await.unwrap() else { panic!() };
    assert_eq!(again.id, conflict.id);
    let counts = place.counts();
    assert_eq!((counts.kept, counts.conflict), (1, 1));
    let events = events::latest(&place.store().connect(Durability::Full).unwrap(), 10).unwrap();
    assert_eq!(events.iter().filter(|event| event.what == "conflict").count(), 1);
}

/// A router sends the scanner's object on with group lengths, or in another transfer syntax.
#[tokio::test]
async fn the_same_content_in_another_encoding_is_no_conflict() {
    let place = Place::new();
    let (spool, _) = place.open();
    keep(&spool, 1, 1000).await;
    let group_length = [8, 0, 0, 0, b'U', b'L', 4, 0, 99, 0, 0, 0];
    let with_length = |fill| [group_length.to_vec(), data_set(&uid(1), fill, 1000)].concat();
    let Outcome::Conflict(same) = send(&spool, &uid(1), &with_length(1)).await.unwrap() else { panic!() };
    let Outcome::Conflict(other) = send(&spool, &uid(1), &with_length(9)).await.unwrap() else { panic!() };
    let connection = place.store().connect(Durability::Full).unwrap();
    assert!(twin::is_twin(&spool.0.shared, &connection, &same).unwrap());
    assert!(!twin::is_twin(&spool.0.shared, &connection, &other).unwrap());
    let counts = place.counts();
    assert_eq!((counts.kept, counts.conflict), (1, 1), "the other one is for a person");
    // Sent again it is compared again, also after a comparison that was cut off.
    let Outcome::Conflict(again) = send(&spool, &uid(1), &with_length(1)).await.unwrap() else { panic!() };
    assert!(again.id != same.id && place.counts().conflict == 2);
    twin::compare(&spool.0.shared, 0, i64::MAX).unwrap();
    assert_eq!(place.counts().conflict, 1);
    // When the first copy is damaged, the other encoding takes its place.
    let first = instances::get_kept(&place.store().connect(Durability::Full).unwrap(), 1).unwrap().unwrap();
    instances::set_damaged(&place.store().connect(Durability::Full).unwrap(), &first, "rot").unwrap();
    let taken = send(&spool, &uid(1), &with_length(1)).await.unwrap();
    assert!(matches!(taken, Outcome::Conflict(_) | Outcome::New(_)), "not answered as if it were here: {taken:?}");
}

/// A router sends every study on in another encoding: each time it is compared, though the ids of those before are given again.
#[tokio::test]
async fn what_comes_again_and_again_in_another_encoding_is_compared_each_time() {
    let place = Place::new();
    let (spool, _) = place.open();
    keep(&spool, 1, 1000).await;
    keep(&spool, 2, 1000).await;
    let group_length = [8, 0, 0, 0, b'U', b'L', 4, 0, 99, 0, 0, 0];
    let mut looked = (0, 0);
    for time in 0..3 {
        for number in 1..=2 {
            let other = [group_length.to_vec(), data_set(&uid(number), number as u8, 1000)].concat();
            assert!(matches!(send(&spool, &uid(number), &other).await.unwrap(), Outcome::Conflict(_)));
        }
        for _ in 0..2 {
            looked = twin::round(&spool.0.shared, looked).unwrap();
        }
        assert_eq!(place.counts().conflict, 0, "time {time}");
    }
}

#[tokio::test]
async fn a_damaged_object_that_is_sent_again_counts_though_another_content_of_it_waits_for_a_decision() {
    use crate::store::conflicts::{self, Choice};
    let place = Place::new();
    let (spool, _) = place.open();
    let first = keep(&spool, 1, 1000).await;
    assert!(matches!(send(&spool, &uid(1), &data_set(&uid(1), 9, 1000)).await.unwrap(), Outcome::Conflict(_)));
    let mut connection = place.store().connect(Durability::Full).unwrap();
    instances::set_damaged(&connection, &first, "rot").unwrap();
    // Whoever wants the old content cannot have it yet, and loses nothing by asking.
    let transaction = connection.transaction().unwrap();
    assert_eq!(conflicts::resolve(&transaction, "1.2.3", Choice::KeepOld).unwrap().objects, 0);
    transaction.commit().unwrap();
    assert_eq!((place.counts().conflict, place.counts().replaced), (1, 0));
    let again = send(&spool, &uid(1), &data_set(&uid(1), 1, 1000)).await.unwrap();
    assert!(matches!(again, Outcome::New(_)), "{again:?}");
    let transaction = connection.transaction().unwrap();
    assert_eq!(conflicts::resolve(&transaction, "1.2.3", Choice::KeepOld).unwrap().objects, 1);
    transaction.commit().unwrap();
    assert_eq!((place.counts().kept, place.counts().conflict, place.counts().replaced), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_senders_at_once_and_each_instance_exactly_once() {
    let place = Place::new();
    let (spool, _) = place.open();
    // Every instance is sent by four tasks at the same time, over several segments.
    let tasks: Vec<_> = (0..32)
        .map(|task| {
            let spool = spool.clone();
            tokio::spawn(async move {
                let mut new = 0;
                for step in 0..20 {
                    let number = (task / 4) * 20 + step;
                    let data_set = data_set(&uid(number), number as u8, 40_000);
                    match send(&spool, &uid(number), &data_set).await.unwrap() {
                        Outcome::New(_) => new += 1,
                        Outcome::AlreadySo(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
                new
            })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += task.await.unwrap();
    }
    assert_eq!(new, 160);
    let all = place.all(&spool);
    assert_eq!(all.len(), 160);
    for (sop_uid, file) in all {
        let number: usize = sop_uid.rsplit('.').next().unwrap().parse().unwrap();
        assert!(file.ends_with(&data_set(&sop_uid, number as u8, 40_000)), "{sop_uid}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_quarantined_with_its_reason_and_bytes() {
    let place = Place::new();
    let (spool, _) = place.open();
    let mut truncated = data_set("1.2.3.1.1", 1, 1000);
    truncated.truncate(900);
    for _ in 0..2 {
        let outcome = send(&spool, "1.2.3.1.1", &truncated).await.unwrap();
        let Outcome::Quarantined { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.starts_with("truncated: (7FE0,0010) has a length of 1000 bytes"), "{reason}");
    }
    let connection = place.store().connect(Durability::Full).unwrap();
    let rows = instances::quarantined(&connection, 10).unwrap();
    assert_eq!(rows.len(), 1, "the same bytes are kept once");
    let row = instances::get(&connection, rows[0].id).unwrap().unwrap();
    assert!(spool.read(&row.location).unwrap().ends_with(&truncated));
    // The complete instance can still be sent later.
    keep(&spool, 1, 1000).await;
}

#[tokio::test]
async fn uids_that_differ_from_the_command_keep_nothing() {
    let place = Place::new();
    let (spool, _) = place.open();
    let error = send(&spool, "1.2.3.9", &data_set("1.2.3.1", 1, 1000)).await.unwrap_err();
    assert_eq!(error.kind(), SpoolFault::UidMismatch);
    assert_eq!(place.counts(), Counts::default());
}

/// Promise: what was asked for and turns out to be something else is never kept, nor what cannot be judged.
#[tokio::test]
async fn an_instance_that_is_not_what_was_asked_for_keeps_nothing() {
    let place = Place::new();
    let (spool, _) = place.open();
    for (bytes, reason) in [(data_set("1.2.3.1", 1, 1000), "another person"), (vec![0xff; 100], "")] {
        let mut incoming = spool.begin(origin(), CT, "1.2.3.1", EXPLICIT).unwrap();
        incoming.write(&bytes).await.unwrap();
        let error = incoming.commit_if(Box::new(|_| Err("another person".into()))).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(place.counts(), Counts::default());
    }
    let mut incoming = spool.begin(origin(), CT, "1.2.3.1", EXPLICIT).unwrap();
    incoming.write(&data_set("1.2.3.1", 1, 1000)).await.unwrap();
    let judge = |header: std::result::Result<&dicom::header::Header, &str>| {
        if header.unwrap().sop_instance_uid == "1.2.3.1" { Ok(true) } else { Err(String::new()) }
    };
    assert!(matches!(incoming.commit_if(Box::new(judge)).await, Ok(Outcome::New(_))));
}

/// Promise: a series that was fetched is like any other as soon as anybody sends something of it, be it here already or in conflict; and no
/// restart, nor a database that is built again, makes it a prior only that keeps its results.
#[tokio::test]
async fn who_sends_decides_about_the_mark_of_a_series_that_was_fetched() {
    let key = crate::series::SeriesKey { study_uid: "1.2.3".into(), series_uid: "1.2.3.1".into() };
    let get = async |spool: &Spool, number: usize| {
        let mut incoming = spool.begin(origin(), CT, &uid(number), EXPLICIT).unwrap();
        incoming.write(&data_set(&uid(number), 1, 1000)).await.unwrap();
        incoming.commit_if(Box::new(|_| Ok(true))).await.unwrap()
    };
    for (number, seed, what) in [(1, 1, "the same"), (1, 2, "in conflict"), (3, 1, "another object")] {
        let place = Place::new();
        let (spool, _) = place.open();
        let mut rows = place.store().connect(Durability::Full).unwrap();
        let transaction = rows.transaction().unwrap();
        assert!(priors::fetching(&transaction, "1.2.9", &key, &now_utc()).unwrap());
        transaction.commit().unwrap();
        for number in [1, 2, 1] {
            get(&spool, number).await;
        }
        assert!(priors::stays(&rows, &key).unwrap(), "what was asked for changes nothing");
        send(&spool, &uid(number), &data_set(&uid(number), seed, 1000)).await.unwrap();
        assert!(!priors::stays(&rows, &key).unwrap(), "{what}");
        assert_eq!(priors::to_be_settled(&rows).unwrap()[0].by, "CT1", "{what}");
        let transaction = rows.transaction().unwrap();
        assert!(!priors::fetching(&transaction, "1.2.9", &key, &now_utc()).unwrap(), "somebody sends it");
    }
    let place = Place::new();
    let (spool, _) = place.open();
    get(&spool, 1).await;
    get(&spool, 2).await;
    drop(spool);
    place.forget_database();
    let (_spool, _) = place.open();
    let rows = place.store().connect(Durability::Full).unwrap();
    assert_eq!(priors::fetched(&rows, &key).unwrap(), Some(false), "nobody knows whether it is whole");
    assert!(!priors::stays(&rows, &key).unwrap(), "nor whether somebody sent it");
}

#[tokio::test]
async fn without_space_nothing_is_taken() {
    let mut place = Place::new();
    place.settings.min_free_mib = 1 << 40;
    let (spool, _) = place.open();
    let error = spool.begin(origin(), CT, "1.2", EXPLICIT).unwrap_err();
    assert_eq!(error.kind(), SpoolFault::NoSpace);
    assert!(error.to_string().contains("must stay free"), "{error}");
    drop(spool);
    let files: Vec<_> = fs::read_dir(place.path().join(LOG)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["lock"], "no segment may take the last space either");
}

#[tokio::test]
async fn a_dropped_instance_leaves_nothing() {
    let place = Place::new();
    let (spool, _) = place.open();
    let mut incoming = spool.begin(origin(), CT, "1.2", EXPLICIT).unwrap();
    incoming.write(&[0; 1000]).await.unwrap();
    drop(incoming);
    assert_eq!(place.counts(), Counts::default());
}

#[tokio::test]
async fn one_process_has_the_spool_until_it_is_dropped() {
    let place = Place::new();
    let (spool, _) = place.open();
    assert!(matches!(Spool::open(&place.settings, &place.store()), Err(Error::InUse { .. })));
    drop(spool);
    place.open();
}

#[tokio::test]
async fn hostile_files_do_not_stop_the_others() {
    let place = Place::new();
    let (spool, _) = place.open();
    // 3.6 MB of sequences in sequences; recursion would overflow the stack.
    let mut nested = Vec::new();
    while nested.len() < 3_600_000 {
        nested.extend([0x08, 0x00, 0x40, 0x11, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        nested.extend([0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
    let outcome = send(&spool, "1.2.3.9", &nested).await.unwrap();
    assert!(matches!(&outcome, Outcome::Quarantined { reason } if reason.contains("deeper")), "{outcome:?}");
    keep(&spool, 1, 1000).await;
}

#[tokio::test]
async fn every_file_of_the_corpus_is_kept_as_received_or_refused_with_a_reason() {
    let shared = std::env::var_os("SCANSIDE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), std::path::PathBuf::from);
    let mut folders = vec![shared.join("data/corpus")];
    if !folders[0].is_dir() {
        return needs::skip(needs::Lack::SharedData, "../shared/data not present");
    }
    let mut place = Place::new();
    place.settings.segment_mib = 16;
    let (spool, _) = place.open();
    let mut kept = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = fs::read(&path).unwrap();
            let Ok(meta) = dicom::scan::meta(std::io::Cursor::new(&file)) else { continue };
            let data_set = &file[usize::try_from(meta.data_set_offset).unwrap()..];
            let mut incoming =
                spool.begin(origin(), &meta.sop_class_uid, &meta.sop_instance_uid, &meta.transfer_syntax_uid).unwrap();
            incoming.write(data_set).await.unwrap();
            match incoming.commit().await {
                Ok(Outcome::New(instance) | Outcome::Conflict(instance) | Outcome::AlreadySo(instance)) => {
                    assert!(spool.read(&instance.location).unwrap().ends_with(data_set), "{}", path.display());
                    kept += 1;
                }
                Ok(Outcome::Quarantined { reason }) => assert!(!reason.is_empty()),
                Err(error) => assert_eq!(error.kind(), SpoolFault::UidMismatch, "{}: {error}", path.display()),
            }
        }
    }
    assert!(kept > 150, "only {kept} files were kept");
}
