//! Tests of `ahead`: memory is bounded, nothing is decoded twice, nothing is lost, nothing hangs.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant as Clock;

use custody::instance::Location;
use dicom::header::Header;
use models::Volume;

use super::*;
use crate::volume::geometry::SliceGeometry;

/// All pixels of an instance have its instance number as value.
fn instance(number: i64) -> Arc<Instance> {
    let header = Header {
        sop_instance_uid: format!("1.2.{number}"),
        rows: 4,
        columns: 4,
        instance_number: Some(number),
        image_position: Some([0.0, 0.0, number as f64]),
        image_orientation: Some([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
        pixel_spacing: Some([1.0, 1.0]),
        frame_of_reference_uid: Some("1.2.3".into()),
        ..Header::default()
    };
    let location = Location::File { file: String::new(), length: 0 };
    Arc::new(Instance {
        id: number,
        header,
        location,
        sha256: String::new(),
        association: 1,
        received_utc: String::new(),
    })
}

const BYTES: u64 = 4 * 4 * 2;

fn slices(instance: &Instance) -> Vec<Slice> {
    vec![Slice {
        units: crate::volume::units::Units::Hounsfield,
        sop_class_uid: String::new(),
        sop_instance_uid: instance.header.sop_instance_uid.clone(),
        frame: None,
        geometry: SliceGeometry::from(&instance.header),
        hu: vec![instance.id as i16; 16].into(),
    }]
}

fn counting(limit_bytes: u64) -> (DecodeAhead, Arc<AtomicUsize>) {
    let decoded = Arc::new(AtomicUsize::new(0));
    let count = decoded.clone();
    let ahead = DecodeAhead::with(ahead_only(limit_bytes), false, move |instance| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(slices(instance))
    });
    (ahead.unwrap(), decoded)
}

fn series(name: &str) -> SeriesKey {
    SeriesKey { study_uid: "1.2".into(), series_uid: name.into() }
}

fn values(volume: &Volume) -> Vec<i16> {
    volume.slices.iter().map(|plane| plane[0]).collect()
}

#[test]
fn slices_decoded_ahead_are_handed_over_in_volume_order_and_not_decoded_again() {
    let (ahead, decoded) = counting(u64::MAX);
    let instances: Vec<_> = [3, 1, 5, 2, 4].into_iter().map(instance).collect();
    for instance in &instances {
        assert_eq!(ahead.offer(&series("a"), instance.clone()), Offered::Taken);
    }
    let Built { volume, sources, .. } = ahead.volume(&series("a"), &instances).unwrap();
    assert_eq!(values(&volume), [1, 2, 3, 4, 5]);
    assert_eq!(sources[0].sop_instance_uid, "1.2.1");
    assert_eq!(decoded.load(Ordering::SeqCst), 5);
    assert_eq!(ahead.bytes(), 0);
}

#[test]
fn beyond_the_limit_nothing_is_held_and_the_rest_is_decoded_when_needed() {
    let (ahead, decoded) = counting(2 * BYTES);
    let instances: Vec<_> = (1..=5).map(instance).collect();
    let offered: Vec<_> = instances.iter().map(|i| ahead.offer(&series("a"), i.clone())).collect();
    assert_eq!(offered, [Offered::Taken, Offered::Taken, Offered::Full, Offered::Full, Offered::Full]);
    assert_eq!(ahead.bytes(), 2 * BYTES);
    let volume = ahead.volume(&series("a"), &instances).unwrap().volume;
    assert_eq!(values(&volume), [1, 2, 3, 4, 5]);
    assert_eq!(decoded.load(Ordering::SeqCst), 5);
    assert_eq!(ahead.offer(&series("b"), instance(9)), Offered::Taken, "the room is free again");
}

#[test]
fn an_instance_offered_twice_is_decoded_once() {
    let (ahead, decoded) = counting(u64::MAX);
    let instances: Vec<_> = (1..=3).map(instance).collect();
    for instance in instances.iter().chain(&instances) {
        ahead.offer(&series("a"), instance.clone());
    }
    ahead.volume(&series("a"), &instances).unwrap();
    assert_eq!(decoded.load(Ordering::SeqCst), 3);
}

#[test]
fn a_forgotten_series_frees_its_room() {
    let (ahead, _) = counting(u64::MAX);
    for number in 1..=5 {
        ahead.offer(&series("a"), instance(number));
        ahead.offer(&series("b"), instance(number));
    }
    ahead.forget(&series("a"));
    assert_eq!(ahead.bytes(), 5 * BYTES);
}

#[test]
fn a_slice_that_cannot_be_decoded_names_itself_whether_ahead_or_later() {
    let broken = |instance: &Instance| match instance.id {
        2 => Err(DecodeError::NoPixelData),
        _ => Ok(slices(instance)),
    };
    let instances: Vec<_> = (1..=3).map(instance).collect();
    for limit in [0, u64::MAX] {
        let ahead = DecodeAhead::with(ahead_only(limit), false, broken).unwrap();
        for instance in &instances {
            ahead.offer(&series("a"), instance.clone());
        }
        let error = ahead.volume(&series("a"), &instances).unwrap_err();
        assert_eq!(error.to_string(), "slice 2 cannot be used: the instance has no pixel data");
    }
}

#[test]
fn a_panic_while_decoding_is_an_error_of_that_slice_and_nothing_hangs() {
    let ahead = DecodeAhead::with(ahead_only(u64::MAX), false, |instance| match instance.id {
        2 => panic!("as a decoder might"),
        _ => Ok(slices(instance)),
    });
    let ahead = ahead.unwrap();
    let instances: Vec<_> = (1..=3).map(instance).collect();
    for instance in &instances {
        ahead.offer(&series("a"), instance.clone());
    }
    assert_eq!(ahead.volume(&series("a"), &instances).unwrap_err().kind(), "data-set");
}

#[test]
fn decoding_goes_on_in_the_background_after_an_offer() {
    let (ahead, decoded) = counting(u64::MAX);
    ahead.offer(&series("a"), instance(1));
    let deadline = Clock::now() + Duration::from_secs(20);
    while decoded.load(Ordering::SeqCst) == 0 {
        assert!(Clock::now() < deadline, "nothing was decoded without being asked for");
        std::thread::yield_now();
    }
}

#[test]
fn what_was_not_begun_is_decoded_by_whoever_wants_the_volume() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let held = gate.clone();
    let busy = 1000..2000;
    let ahead = DecodeAhead::with(ahead_only(u64::MAX), false, move |instance| {
        if busy.contains(&instance.id) {
            let (open, opened) = &*held;
            drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        }
        Ok(slices(instance))
    })
    .unwrap();
    // More instances than threads, so that all threads are busy.
    for number in 1000..1000 + 64 {
        ahead.offer(&series("1.2.busy"), instance(number));
    }
    let wanted: Vec<_> = (1..4).map(instance).collect();
    for one in &wanted {
        assert_eq!(ahead.offer(&series("1.2.3"), one.clone()), Offered::Taken);
    }
    let volume = ahead.volume(&series("1.2.3"), &wanted).unwrap().volume;
    assert_eq!(values(&volume), [1, 2, 3]);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
}

/// Little for what is decoded ahead, all the memory in the world otherwise.
fn ahead_only(bytes: u64) -> Limits {
    Limits { ahead: bytes, all: u64::MAX }
}

#[test]
fn a_series_that_does_not_fit_is_refused_before_anything_is_decoded() {
    let decoded = Arc::new(AtomicUsize::new(0));
    let count = decoded.clone();
    let limits = Limits { ahead: 0, all: 20 * BYTES };
    let ahead = DecodeAhead::with(limits, false, move |instance| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(slices(instance))
    });
    let all: Vec<_> = (0..30).map(instance).collect();
    let refused = ahead.unwrap().volume(&series("a"), &all).unwrap_err();
    assert_eq!(refused.kind(), "too-large");
    assert!(!refused.is_transient(), "trying again would not help");
    assert_eq!(decoded.load(Ordering::SeqCst), 0);
}

/// It was refused for good, as too large for a limit that nobody had configured.
#[test]
fn a_series_that_fits_alone_is_read_whatever_is_decoded_ahead_beside_it() {
    let wanted: Vec<_> = (1..=5).map(instance).collect();
    let needed = memory::needed(&wanted, rayon::current_num_threads());
    let limits = Limits { ahead: needed, all: needed };
    let ahead = DecodeAhead::with(limits, false, |instance| Ok(slices(instance))).unwrap();
    for number in 101..=103 {
        assert_eq!(ahead.offer(&series("b"), instance(number)), Offered::Taken);
    }
    assert_eq!(values(&ahead.volume(&series("a"), &wanted).unwrap().volume), [1, 2, 3, 4, 5]);
    assert_eq!(ahead.bytes(), 0, "the others are decoded again when they are needed");
    assert_eq!(ahead.offer(&series("b"), instance(101)), Offered::Full, "its room is in use");
    ahead.done();
    assert_eq!(ahead.offer(&series("b"), instance(101)), Offered::Taken);
    let more: Vec<_> = (1..=60).map(instance).collect();
    let refused = ahead.volume(&series("a"), &more).unwrap_err().to_string();
    assert!(refused.contains(&format!("{} MiB", needed >> 20)), "by the limit that is configured: {refused}");
}

#[test]
fn no_more_instances_are_decoded_at_once_than_the_memory_allows() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (current, highest) = (now.clone(), most.clone());
    // Each file needs a mebibyte beside its slices, and there is room for one.
    let with_file = |number| {
        let one = instance(number);
        let location = Location::File { file: String::new(), length: 1 << 19 };
        Arc::new(Instance { location, ..(*one).clone() })
    };
    let all: Vec<_> = (0..12).map(with_file).collect();
    let need = memory::Need::of(&all[0], 1);
    let limits = Limits { ahead: 0, all: 12 * need.planes + need.beside + need.beside / 2 };
    let ahead = DecodeAhead::with(limits, false, move |instance| {
        highest.fetch_max(current.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::yield_now();
        current.fetch_sub(1, Ordering::SeqCst);
        Ok(slices(instance))
    });
    let volume = ahead.unwrap().volume(&series("a"), &all).unwrap().volume;
    assert_eq!(volume.slices.len(), 12);
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn what_needs_much_beside_its_slices_is_not_decoded_ahead() {
    let (ahead, decoded) = counting(u64::MAX);
    let mut large = (*instance(1)).clone();
    large.header.bits_allocated = 16;
    large.header.transfer_syntax_uid = "1.2.840.10008.1.2.1.99".into();
    assert_eq!(ahead.offer(&series("a"), Arc::new(large)), Offered::Full, "a deflated file may inflate to anything");
    assert_eq!(ahead.bytes(), 0);
    assert_eq!(decoded.load(Ordering::SeqCst), 0);
}
