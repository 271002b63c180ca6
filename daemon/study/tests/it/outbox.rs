//! The outbox delivers everything to the archive, in order, despite failures.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use custody::event::Event;
use custody::level::Level;
use custody::store::deliveries::{self, Delivery};
use custody::store::{Durability, now_utc, rejections, results};
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Length, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntax;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use node::settings::{Asking, ResultKind};

use super::fixtures::{CT, IMPLICIT, PATIENCE, data_set, part10};
use super::outbox_support::{Box_, Log, free_address, object, pacs_at};
use super::pacs::{Do, Pacs};
use super::same::assert_same;

const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

#[tokio::test]
async fn results_are_delivered_in_order_with_status_and_time_as_proof() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    let mut uids = outbox.queue(70);
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    uids.extend(outbox.queue(3));
    outbox.until_pending(0).await;
    assert_eq!(pacs.uids(), uids);
    outbox.all_delivered_at_once();
    outbox.stop().await;
}

#[tokio::test]
async fn an_archive_that_is_down_gets_everything_in_order_when_it_is_back() {
    let mut outbox = Box_::new();
    let address = free_address();
    let mut uids = outbox.queue(3);
    outbox.start(address);
    let has_reason = |event: &Event| matches!(event, Event::Delivery { reason: Some(_), .. });
    outbox.until_told(has_reason).await;
    uids.extend(outbox.queue(3));
    outbox.until_told(has_reason).await;
    assert_eq!(outbox.pending(), 6);
    let summary = deliveries::summary(&outbox.rows).unwrap().remove(0);
    assert_eq!((summary.pending, summary.delivered), (6, 0));
    assert!(summary.reason.unwrap().starts_with("no connection to"), "people can see why");
    assert_eq!(summary.oldest_utc.as_deref(), Some("2026-01-01"));
    let pacs = pacs_at(address).await;
    outbox.until_pending(0).await;
    assert_eq!(pacs.uids(), uids, "those that came while it was down do not overtake");
    outbox.stop().await;
}

#[tokio::test]
async fn a_restart_in_the_middle_loses_nothing_and_keeps_the_order() {
    let mut outbox = Box_::new();
    let mut pacs = Pacs::start(|_| Do::Answer(0)).await;
    let uids = outbox.queue(40);
    outbox.start(pacs.address);
    pacs.until_seen(5).await;
    outbox.stop().await;
    assert!(outbox.pending() > 0, "it was stopped in the middle");
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    outbox.stop().await;
    let mut seen = pacs.uids();
    // The object that was being sent when the outbox stopped may arrive twice.
    seen.dedup();
    assert_eq!(seen, uids);
}

#[tokio::test]
async fn what_a_simulated_device_made_is_held_until_its_destination_accepts_that() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    let real = outbox.queue(1);
    outbox.simulated = true;
    let simulated = outbox.queue(2);
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    assert_eq!(pacs.uids(), real);
    for held in &outbox.list()[1..] {
        assert_eq!((held.state.as_str(), held.reason.as_deref()), (deliveries::HELD, Some(deliveries::HELD_BECAUSE)));
    }
    deliveries::retry_now(&outbox.rows, None, &now_utc()).unwrap();
    assert_eq!(outbox.list()[1].state, deliveries::HELD, "a retry does not let it go");
    outbox.stop().await;

    outbox.accepts_simulated = true;
    outbox.start(pacs.address);
    outbox.until_all_are(deliveries::DELIVERED).await;
    assert_eq!(pacs.uids(), [real, simulated].concat(), "held, not lost");
    outbox.stop().await;

    // The destination no longer accepts simulated results while some are pending.
    let rows = "UPDATE deliveries SET state = 'pending' WHERE id > 1";
    outbox.rows.execute(rows, []).unwrap();
    outbox.accepts_simulated = false;
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    let states: Vec<_> = outbox.list().into_iter().map(|delivery| delivery.state).collect();
    assert_eq!(states, [deliveries::DELIVERED, deliveries::HELD, deliveries::HELD]);
    outbox.stop().await;
    assert_eq!(pacs.uids().len(), 3, "nothing was sent again");
}

#[tokio::test]
async fn an_archive_gets_the_kinds_of_results_that_it_takes_and_the_others_when_it_takes_them() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    let reports = outbox.queue(1);
    outbox.kind = "seg";
    let segmentations = outbox.queue(2);
    outbox.takes = Some(vec![ResultKind::Sr, ResultKind::Pdf]);
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    outbox.stop().await;
    assert_eq!(pacs.uids(), reports);
    for dropped in &outbox.list()[1..] {
        let said = (dropped.state.as_str(), dropped.reason.as_deref());
        assert_eq!(said, (deliveries::DROPPED, Some(deliveries::NOT_AMONG_RESULTS)));
    }

    // What a person dropped stays dropped.
    assert!(deliveries::by_hand(&outbox.rows, 3, deliveries::Order::Retry, &now_utc()).unwrap());
    assert!(deliveries::by_hand(&outbox.rows, 3, deliveries::Order::Drop, &now_utc()).unwrap());
    outbox.takes = None;
    outbox.start(pacs.address);
    outbox.until_is(1, deliveries::DELIVERED).await;
    outbox.stop().await;
    assert_eq!(pacs.uids(), [reports, vec![segmentations[0].clone()]].concat());
    assert_eq!(outbox.list()[2].state, deliveries::DROPPED);
}

#[tokio::test]
async fn what_an_archive_did_not_take_is_not_sent_later_when_a_newer_result_has_its_place() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    outbox.kind = "pdf";
    outbox.queue(1);
    outbox.takes = Some(vec![ResultKind::Sr]);
    outbox.start(pacs.address);
    outbox.until_is(0, deliveries::DROPPED).await;
    outbox.stop().await;
    let transaction = outbox.rows.transaction().unwrap();
    results::supersede_older(&transaction, 1, 2).unwrap();
    transaction.commit().unwrap();
    let newer = outbox.queue(1);
    outbox.takes = None;
    outbox.start(pacs.address);
    outbox.until_is(1, deliveries::DELIVERED).await;
    outbox.stop().await;
    assert_eq!(pacs.uids(), newer);
    assert_eq!(outbox.list()[0].state, deliveries::SUPERSEDED);
}

#[test]
fn every_kind_of_result_can_be_named_for_a_destination() {
    let words = ResultKind::ALL.map(ResultKind::word);
    assert!(report::KINDS.iter().all(|kind| words.contains(kind)), "{words:?}");
    assert_eq!(words.len(), report::KINDS.len());
}

#[tokio::test]
async fn an_object_that_the_archive_has_already_is_delivered() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::Answer(0x0111)).await;
    let uids = outbox.queue(1);
    outbox.start(pacs.address);
    outbox.until_told(|event| matches!(event, Event::Delivery { .. })).await;
    outbox.stop().await;
    let row = outbox.list().remove(0);
    assert_eq!((row.state.as_str(), row.status, row.attempts), (deliveries::DELIVERED, Some(0x0111), 1), "{row:?}");
    assert_eq!(pacs.uids(), uids, "it was sent once");
}

/// The second of four objects gets `status`; its row when nothing more is waiting but `left`.
async fn second_of_four(outbox: &mut Box_, status: u16, left: usize) -> Delivery {
    let pacs = Pacs::start(move |uid| Do::Answer(if uid == "1.2.3.2" { status } else { 0 })).await;
    let uids = outbox.queue(4);
    outbox.start(pacs.address);
    outbox.until_pending(left).await;
    // A batch is done with when the association is released; what comes later would be a second try.
    outbox.queue(1);
    outbox.until_pending(left).await;
    outbox.stop().await;
    let (seen, rows) = (pacs.uids(), outbox.list());
    assert!(uids.iter().all(|uid| seen.contains(uid)), "{status:#06x}: {seen:?}");
    let others = rows.iter().filter(|row| row.sop_uid != "1.2.3.2");
    assert!(others.clone().all(|row| row.state == deliveries::DELIVERED), "{status:#06x}: the rest goes on");
    let tries = seen.iter().filter(|uid| *uid == "1.2.3.2").count();
    let second = rows[1].clone();
    assert!(second.state == deliveries::PENDING || tries == 1, "{status:#06x} was sent {tries} times");
    second
}

#[tokio::test]
async fn every_kind_of_answer_ends_in_its_state_and_the_rest_of_the_study_goes_on() {
    use deliveries::{DELIVERED, PARKED, PENDING};
    for (status, state, words) in [
        (0x0111, DELIVERED, "the archive had this object already"),
        (0xb000, DELIVERED, "stored, with values changed by the archive"),
        (0xb006, DELIVERED, "stored, with elements left out by the archive"),
        (0xb007, DELIVERED, "stored, although the archive finds that the data set does not match its SOP class"),
        (0xa700, PENDING, "the peer answered 0xa700 (out of resources): as told"),
        (0x0110, PENDING, "the peer answered 0x0110 (processing failure): as told"),
        (0x0124, PENDING, "the peer answered 0x0124 (not authorised): as told"),
        (0x0210, PENDING, "the peer answered 0x0210 (duplicate invocation): as told"),
        (0x0999, PENDING, "the peer answered 0x0999 (a status that the standard does not name): as told"),
        (0xa900, PARKED, "the peer answered 0xa900 (the data set does not match its SOP class): as told"),
        (0xc000, PARKED, "the peer answered 0xc000 (cannot understand the object): as told"),
        (0x0117, PARKED, "the peer answered 0x0117 (invalid SOP instance): as told"),
        (0x0122, PARKED, "the peer answered 0x0122 (SOP class not supported): as told"),
    ] {
        let mut outbox = Box_::new();
        let row = second_of_four(&mut outbox, status, usize::from(state == PENDING)).await;
        let is = (row.state.as_str(), row.status, row.reason.as_deref());
        assert_eq!(is, (state, Some(status), Some(words)), "{status:#06x}");
    }
}

/// An archive's comment ("as told") may name a patient: people find it in `outbox list`, the log has the status in words.
#[tokio::test]
async fn what_an_archive_has_written_is_in_the_row_and_not_in_the_log() {
    let log = Log::default();
    let guard = tracing::subscriber::set_default(log.clone());
    for status in [0xa700, 0x0110, 0xa900, 0xc000] {
        let mut outbox = Box_::new();
        let row = second_of_four(&mut outbox, status, usize::from(status < 0xa900)).await;
        assert!(row.reason.unwrap().contains("as told"), "{status:#06x}");
        let logged = log.text();
        assert!(logged.contains(&format!("the peer answered {status:#06x}")), "{logged}");
        assert!(!logged.contains("as told"), "{logged}");
    }
    drop(guard);
}

#[tokio::test]
async fn what_is_parked_is_not_tried_again_until_a_person_asks_for_it() {
    let mut outbox = Box_::new();
    let row = second_of_four(&mut outbox, 0xc000, 0).await;
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    outbox.start(pacs.address);
    let new = outbox.queue(1);
    outbox.until_pending(0).await;
    assert_eq!(pacs.uids(), new, "neither a restart nor new results try it again");
    assert_eq!(outbox.list()[1].state, deliveries::PARKED);
    assert_eq!(deliveries::retry_now(&outbox.rows, Some("pacs"), &now_utc()).unwrap(), 1);
    outbox.wake.notify_one();
    outbox.until_all_are(deliveries::DELIVERED).await;
    assert_eq!(pacs.uids(), [new, vec![row.sop_uid]].concat());
    outbox.stop().await;
}

#[tokio::test]
async fn an_archive_that_does_not_take_a_sop_class_gets_the_rest() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start_at(free_address(), 0, |class| class != MR, |_| Do::Answer(0)).await;
    let uids = outbox.queue(3);
    let mr = part10(MR, &uids[1], IMPLICIT, &data_set(&uids[1], 5000));
    outbox.made("2.dcm", &mr);
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    let row = outbox.list().remove(1);
    assert_eq!((row.state.as_str(), row.status), (deliveries::PARKED, None));
    let reason = row.reason.unwrap();
    assert!(reason.contains(MR) && reason.contains("SOP class not supported"), "{reason}");
    assert_eq!(pacs.uids(), [uids[0].clone(), uids[2].clone()]);
    outbox.stop().await;
}

/// A segmentation of many frames, in little: nested sequences, packed bits, a document.
fn explicit_object(uid: &str) -> InMemDicomObject {
    let bytes = |tag, value: Vec<u8>| DataElement::new(tag, VR::OB, PrimitiveValue::U8(value.into()));
    let sequence = |tag, items: Vec<_>| DataElement::new(tag, VR::SQ, DataSetSequence::new(items, Length::UNDEFINED));
    let frame = |number: u32| {
        let index = DataElement::new(tags::DIMENSION_INDEX_VALUES, VR::UL, PrimitiveValue::from(number));
        let content = InMemDicomObject::from_element_iter([index]);
        InMemDicomObject::from_element_iter([sequence(tags::FRAME_CONTENT_SEQUENCE, vec![content])])
    };
    InMemDicomObject::from_element_iter([
        DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, uid),
        DataElement::new(tags::PATIENT_ID, VR::LO, "PHANTOM"),
        DataElement::new(tags::BITS_ALLOCATED, VR::US, PrimitiveValue::from(1_u16)),
        bytes(tags::ENCAPSULATED_DOCUMENT, b"%PDF".repeat(20_000)),
        sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, (1..200).map(frame).collect()),
        bytes(tags::PIXEL_DATA, (0..150_000_u32).map(|index| (index % 251) as u8).collect()),
    ])
}

#[tokio::test]
async fn an_archive_that_takes_implicit_vr_only_gets_every_element() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start_taking(IMPLICIT, |_| Do::Answer(0)).await;
    let uid = outbox.queue(1).remove(0);
    let mut explicit = Vec::new();
    explicit_object(&uid).write_dataset_with_ts(&mut explicit, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
    let file = part10(CT, &uid, EXPLICIT_VR_LITTLE_ENDIAN.uid(), &explicit);
    outbox.made("1.dcm", &file);
    outbox.start(pacs.address);
    outbox.until_all_are(deliveries::DELIVERED).await;
    outbox.stop().await;
    let (_, came) = pacs.seen.lock().unwrap().pop().unwrap();
    // Read back, too: writing pads values to an even length.
    let read = |bytes: &[u8], syntax: &TransferSyntax| InMemDicomObject::read_dataset_with_ts(bytes, syntax).unwrap();
    let was = read(&explicit, &EXPLICIT_VR_LITTLE_ENDIAN.erased());
    assert_same(&was, &read(&came, &IMPLICIT_VR_LITTLE_ENDIAN.erased()));
}

#[tokio::test]
async fn an_object_that_breaks_the_association_every_time_is_tried_less_and_less_and_parked() {
    let mut outbox = Box_::new();
    let rule = |uid: &str| if uid == "1.2.3.1" { Do::HangUp } else { Do::Answer(0) };
    let pacs = Pacs::start(rule).await;
    outbox.queue(4);
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    let row = outbox.list().remove(0);
    assert_eq!(row.state, deliveries::PARKED);
    let reason = row.reason.unwrap();
    assert!(reason.starts_with("the connection failed 8 times at this object, others were taken"), "{reason}");
    let others = |row: &Delivery| row.state == deliveries::DELIVERED && row.attempts == 1;
    assert!(outbox.list()[1..].iter().all(others), "each was sent once");
    let tries = pacs.uids().iter().filter(|uid| *uid == "1.2.3.1").count();
    assert_eq!(tries, 8);
    let new = outbox.queue(1);
    outbox.until_pending(0).await;
    outbox.stop().await;
    assert_eq!(pacs.uids().last(), new.last(), "it does not come back by itself");
}

#[tokio::test]
async fn an_object_that_is_alone_waits_longer_each_time() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::HangUp).await;
    outbox.retry_secs = 0.2;
    outbox.queue(1);
    let begun = std::time::Instant::now();
    outbox.start(pacs.address);
    let tried = |times: usize| {
        let pacs = &pacs;
        async move {
            while pacs.uids().len() < times {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    };
    tokio::time::timeout(super::fixtures::PATIENCE, tried(5)).await.unwrap();
    // Pauses of 0.2, 0.4, then by itself 0.8 and 1.0 (the longest).
    assert!(begun.elapsed().as_secs_f64() > 2.3, "{:?}", begun.elapsed());
    assert_eq!(outbox.list()[0].state, deliveries::PENDING, "nothing tells it from an archive that is down");
    outbox.stop().await;
}

#[tokio::test]
async fn a_result_that_was_damaged_on_the_disk_is_not_sent() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    let uids = outbox.queue(3);
    let path = outbox.directory.path().join("2.dcm");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    outbox.stop().await;
    assert_eq!(pacs.uids(), [uids[0].clone(), uids[2].clone()]);
    let row = outbox.list().remove(1);
    assert!(row.state == deliveries::PARKED && row.reason.as_deref().unwrap().contains("damaged"), "{row:?}");
}

#[tokio::test]
async fn one_delivery_is_parked_dropped_and_tried_again_by_hand() {
    use deliveries::{DELIVERED, DROPPED, Order, PARKED, PENDING, by_hand};
    let mut outbox = Box_::new();
    let uids = outbox.queue(3);
    let hand = |outbox: &Box_, id, order| by_hand(&outbox.rows, id, order, &now_utc()).unwrap();
    assert!(hand(&outbox, 1, Order::Park) && hand(&outbox, 2, Order::Drop));
    assert!(!hand(&outbox, 1, Order::Park), "it is parked already");
    assert!(!hand(&outbox, 99, Order::Drop), "there is none");
    let states = |outbox: &Box_| outbox.list().into_iter().map(|row| row.state).collect::<Vec<_>>();
    assert_eq!(states(&outbox), [PARKED, DROPPED, PENDING]);
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    assert_eq!(pacs.uids(), uids[2..]);
    assert!(!hand(&outbox, 3, Order::Drop), "it is at its destination");
    deliveries::retry_now(&outbox.rows, None, &now_utc()).unwrap();
    outbox.wake.notify_one();
    outbox.until_pending(0).await;
    assert_eq!(states(&outbox), [DELIVERED, DROPPED, DELIVERED], "a retry of all leaves what was dropped");
    assert!(hand(&outbox, 2, Order::Retry));
    outbox.wake.notify_one();
    outbox.until_all_are(DELIVERED).await;
    outbox.stop().await;
}

/// Sets the clock while the archive is down; how often it is tried in the next second, with pauses of 0.2 s and more.
async fn tries_after_the_clock_was_set(from_days: i64, to_days: i64) -> usize {
    let mut outbox = Box_::new();
    outbox.retry_secs = 0.2;
    let address = free_address();
    outbox.wall.set_days(from_days);
    outbox.queue(2);
    outbox.start(address);
    let failed = |event: &Event| matches!(event, Event::Delivery { reason: Some(_), .. });
    outbox.until_told(failed).await;
    outbox.wall.set_days(to_days);
    // Whoever asks: the rows are looked at again.
    outbox.wake.notify_one();
    let mut events = outbox.events.subscribe();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mut tries = 0;
    while events.try_recv().is_ok() {
        tries += 1;
    }
    let pacs = pacs_at(address).await;
    outbox.until_pending(0).await;
    assert_eq!(pacs.uids().len(), 2, "it is delivered within the longest pause, in order");
    outbox.stop().await;
    tries
}

#[tokio::test]
async fn a_clock_that_was_years_ahead_does_not_stop_deliveries() {
    let tries = tries_after_the_clock_was_set(4000, 0).await;
    assert!(tries <= 4, "{tries}");
}

#[tokio::test]
async fn a_clock_that_is_set_back_by_ten_years_makes_no_storm() {
    let tries = tries_after_the_clock_was_set(0, -3650).await;
    assert!(tries <= 4, "{tries}");
}

#[tokio::test]
async fn a_clock_that_jumps_ahead_makes_no_storm() {
    let tries = tries_after_the_clock_was_set(0, 4000).await;
    assert!(tries <= 5, "{tries}");
}

#[tokio::test]
async fn a_missing_file_waits_by_itself_and_names_the_file() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    outbox.queue(3);
    std::fs::remove_file(outbox.directory.path().join("2.dcm")).unwrap();
    outbox.start(pacs.address);
    outbox.until_pending(1).await;
    outbox.until_told(|event| matches!(event, Event::Delivery { reason: Some(_), .. })).await;
    assert!(outbox.list()[1].reason.as_deref().unwrap().contains("2.dcm"));
    outbox.made("2.dcm", &object("1.2.3.2"));
    outbox.until_pending(0).await;
    outbox.stop().await;
}

#[tokio::test]
async fn nothing_leaves_while_output_is_restricted() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    outbox.gate.set(Level::NoOutput, "simulated accelerator");
    outbox.queue(2);
    outbox.start(pacs.address);
    outbox.stop().await;
    assert_eq!((outbox.pending(), pacs.uids().len()), (2, 0));
    outbox.start(pacs.address);
    outbox.gate.set(Level::NoNewStudies, "no room");
    outbox.until_pending(0).await;
    outbox.stop().await;
}

/// While the archive takes the first object, a person drops the second one, and a newer version takes the place of the third.
#[tokio::test]
async fn what_is_dropped_or_superseded_while_others_are_sent_does_not_leave() {
    let mut outbox = Box_::new();
    let uids = outbox.queue(4);
    let (rows, first) = (outbox.store.connect(Durability::Full).unwrap(), uids[0].clone());
    let rows = Mutex::new(rows);
    let pacs = Pacs::start(move |uid| {
        if uid == first {
            let rows = rows.lock().unwrap();
            assert!(deliveries::by_hand(&rows, 2, deliveries::Order::Drop, &now_utc()).unwrap());
            rows.execute("UPDATE deliveries SET state = 'superseded' WHERE id = 3", []).unwrap();
        }
        Do::Answer(0)
    })
    .await;
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    outbox.stop().await;
    assert_eq!(pacs.uids(), [uids[0].clone(), uids[3].clone()]);
    let states: Vec<_> = outbox.list().into_iter().map(|row| (row.state, row.attempts)).collect();
    let [delivered, dropped, superseded] =
        [(deliveries::DELIVERED, 1), (deliveries::DROPPED, 0), (deliveries::SUPERSEDED, 0)];
    let expected = [delivered, dropped, superseded, delivered].map(|(state, attempts)| (state.to_owned(), attempts));
    assert_eq!(states, expected);
}

/// A proof is a proof, whatever a person or a newer version made of the row while the object was on its way: a later review must find
/// that it is there.
#[tokio::test]
async fn what_was_on_its_way_when_it_was_dropped_or_superseded_counts_as_delivered() {
    for state in [deliveries::DROPPED, deliveries::SUPERSEDED, deliveries::PARKED, deliveries::HELD] {
        let mut outbox = Box_::new();
        outbox.commitment = Asking::Ask;
        outbox.queue(1);
        let rows = Mutex::new(outbox.store.connect(Durability::Full).unwrap());
        let pacs = Pacs::start(move |uid| {
            // The question for commitment, which comes later, has no affected SOP instance.
            if !uid.is_empty() {
                rows.lock().unwrap().execute("UPDATE deliveries SET state = ?1", [state]).unwrap();
            }
            Do::Answer(0)
        })
        .await;
        outbox.start(pacs.address);
        outbox.until_all_are(deliveries::DELIVERED).await;
        outbox.stop().await;
        let row = outbox.list().remove(0);
        assert_eq!((row.attempts, row.status), (1, Some(0)), "{state}");
        assert!(row.commitment.is_some(), "{state}: the archive is asked whether it keeps it");
        outbox.rows.execute("UPDATE results SET rejected = '113001'", []).unwrap();
        assert_eq!(rejections::due(&outbox.rows, "pacs").unwrap().len(), 1, "{state}");
        let said: String = outbox
            .rows
            .query_row(
                "SELECT detail FROM events WHERE subject = 'delivery/1' AND detail LIKE 'it was on%'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert!(said.ends_with(state), "{said}");
    }
}

/// A destination that was renamed or removed can not be asked any more: what it took must not fill the disk for ever.
#[tokio::test]
async fn what_a_destination_took_that_is_not_configured_any_more_counts_as_delivered_only() {
    let mut outbox = Box_::new();
    outbox.queue(3);
    outbox
        .rows
        .execute_batch(
            "UPDATE deliveries SET destination = 'gone', state = 'delivered', commitment = 'asked', ask_utc = '2099'; \
             UPDATE deliveries SET commitment = 'committed' WHERE id = 2; \
             UPDATE deliveries SET destination = 'pacs' WHERE id = 3;",
        )
        .unwrap();
    outbox.commitment = Asking::Ask;
    outbox.queue(1);
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    outbox.stop().await;
    let said: Vec<_> = outbox.list().into_iter().take(3).map(|row| row.commitment).collect();
    assert_eq!(said, [None, Some("committed".to_owned()), Some("asked".to_owned())]);
}

/// Three questions, then what it took counts as delivered only: else nothing could be evicted in the end.
#[tokio::test]
async fn an_archive_that_takes_the_commitment_context_and_hangs_up_at_the_question_does_not_stop_eviction() {
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    // 0.3 s; after a question that was not taken an eighth of it.
    outbox.commitment_days = 0.3 / 86_400.0;
    outbox.queue(2);
    // The command of a question has no affected SOP instance.
    let pacs = Pacs::start(|uid| if uid.is_empty() { Do::HangUp } else { Do::Answer(0) }).await;
    outbox.start(pacs.address);
    let is_over = |outbox: &Box_| outbox.list().iter().all(|row| row.commitment.as_deref() == Some("unanswered"));
    let wait = async {
        while !is_over(&outbox) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "{:?}", outbox.list());
    outbox.stop().await;
    assert_eq!(pacs.uids().iter().filter(|uid| uid.is_empty()).count(), 3);
}

/// As an archive does that accepts every context and knows only C-STORE.
#[tokio::test]
async fn an_archive_that_takes_the_commitment_context_and_does_not_know_the_service_does_not_stop_eviction() {
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    outbox.queue(2);
    let pacs = Pacs::start(|uid| Do::Answer(if uid.is_empty() { 0x0122 } else { 0 })).await;
    outbox.start(pacs.address);
    let is_over = |outbox: &Box_| outbox.list().iter().all(|row| row.commitment.as_deref() == Some("unanswered"));
    let wait = async {
        while !is_over(&outbox) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    assert!(waited.is_ok(), "{:?}", outbox.list());
    outbox.stop().await;
    assert_eq!(pacs.uids().iter().filter(|uid| uid.is_empty()).count(), 1, "it is asked once, not for days");
}

#[tokio::test]
async fn retry_now_does_not_wait_for_the_back_off() {
    let mut outbox = Box_::new();
    outbox.retry_secs = 3600.0;
    let address = free_address();
    let uids = outbox.queue(2);
    outbox.start(address);
    outbox.until_told(|event| matches!(event, Event::Delivery { reason: Some(_), .. })).await;
    let pacs = pacs_at(address).await;
    assert_eq!(deliveries::retry_now(&outbox.rows, Some("pacs"), &now_utc()).unwrap(), 2);
    outbox.wake.notify_one();
    outbox.until_pending(0).await;
    assert_eq!(pacs.uids(), uids);
    outbox.stop().await;
}

#[tokio::test]
async fn an_archive_that_is_full_holds_the_queue_and_gets_it_in_order_when_it_has_room() {
    let mut outbox = Box_::new();
    let answers = AtomicU32::new(0);
    let full_for_six = move |_: &str| Do::Answer(if answers.fetch_add(1, Ordering::Relaxed) < 6 { 0xa700 } else { 0 });
    let pacs = Pacs::start(full_for_six).await;
    let uids = outbox.queue(4);
    outbox.start(pacs.address);
    outbox.until_pending(0).await;
    let expected = [0, 1, 0, 1, 0, 1, 0, 1, 2, 3].map(|index| uids[index].clone());
    assert_eq!(pacs.uids(), expected, "the second tells whether it is the archive or the object");
    outbox.stop().await;
}

#[tokio::test]
async fn one_object_that_the_archive_has_no_room_for_waits_by_itself() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|uid| Do::Answer(if uid == "1.2.3.1" { 0xa700 } else { 0 })).await;
    outbox.queue(3);
    outbox.start(pacs.address);
    outbox.until_pending(1).await;
    assert_eq!(outbox.list()[0].state, deliveries::PENDING);
    outbox.stop().await;
}

#[tokio::test]
async fn two_objects_that_the_archive_has_no_room_for_do_not_keep_the_others_waiting_for_ever() {
    let mut outbox = Box_::new();
    let no_room = |uid: &str| ["1.2.3.1", "1.2.3.2"].contains(&uid);
    let pacs = Pacs::start(move |uid| Do::Answer(if no_room(uid) { 0xa700 } else { 0 })).await;
    outbox.queue(5);
    outbox.start(pacs.address);
    outbox.until_pending(2).await;
    outbox.stop().await;
    let states: Vec<_> = outbox.list().into_iter().map(|row| row.state).collect();
    let (waits, sent) = (deliveries::PENDING, deliveries::DELIVERED);
    assert_eq!(states, [waits, waits, sent, sent, sent]);
}

#[tokio::test]
async fn a_time_that_this_clock_cannot_have_set_is_not_waited_for() {
    let mut outbox = Box_::new();
    let pacs = Pacs::start(|_| Do::Answer(0)).await;
    outbox.start(pacs.address);
    outbox.queue(1);
    outbox.until_pending(0).await;
    let far = "2999-01-01T00:00:00.000Z";
    outbox.rows.execute("UPDATE deliveries SET state = 'pending', next_utc = ?1", [far]).unwrap();
    outbox.wake.notify_one();
    outbox.until_pending(0).await;
    outbox.stop().await;
}
