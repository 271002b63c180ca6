//! Memory of the box under a stream of odd files: it grows to a bound and stays there.
//!
//! `SCANSIDE_ODD_FILES` says how many are sent (2,000 by default).

use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::modality::{Manners, Modality};
use hil_tests::part10::Instance;
use phantom::{Options, Phantom};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::support::Records;

const MIB: u64 = 1 << 20;

/// A slice with some bytes of its header changed, so that tags, lengths, numbers and UIDs are wrong in every way.
fn odd(slice: &Instance, number: usize, random: &mut SmallRng) -> Instance {
    let mut bytes = slice.data_set().unwrap().to_vec();
    let header = bytes.len().min(2500);
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..header);
        bytes[at] = random.random();
    }
    // A series and a study of its own for every few files.
    let uid = format!("2.25.300.{number}");
    let old = slice.sop_instance_uid.as_bytes();
    if let Some(at) = bytes.windows(old.len()).position(|window| window == old) {
        let mut new = uid.clone().into_bytes();
        new.resize(old.len(), 0);
        bytes[at..at + old.len()].copy_from_slice(&new);
    }
    Instance::claimed(&slice.sop_class_uid, &uid, &slice.transfer_syntax_uid, &bytes)
}

/// What was held was no cache and no leak but holes in the heaps of glibc (`hal::heap_ffi`): 66 MB held, 2.5 MB used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_odd_files_does_not_make_the_box_grow_for_ever() {
    let count: usize = std::env::var("SCANSIDE_ODD_FILES").ok().and_then(|n| n.parse().ok()).unwrap_or(2000);
    let mut appliance = Appliance::start(&Setup { quiet_secs: 1.0, ..Setup::coarse() }).await.unwrap();
    let options = Options { columns: 128, rows: 128, pixel_mm: 2.9, slices: 8, slice_mm: 8.0, ..Options::default() };
    let (study, _) = Phantom::chest(3, &options).unwrap();
    let slices: Vec<_> = study.instances.iter().map(|i| Instance::from_part10(&i.part10).unwrap()).collect();
    let mut random = SmallRng::seed_from_u64(11);
    let begun = appliance.resident_bytes().unwrap() / MIB;
    let mut sizes = Vec::new();
    for batch in 0..count.div_ceil(100) {
        let files: Vec<_> = (0..100).map(|n| odd(&slices[n % slices.len()], batch * 100 + n, &mut random)).collect();
        // Four senders at once, each with all of them in an order of its own.
        let parts = (0..4).map(|seed| {
            let (files, address) = (files.clone(), appliance.address);
            let manners = Manners { seed, shuffle: true, per_association: Some(20), ..Manners::default() };
            tokio::spawn(async move {
                let scanner = Modality::new(address, "CT1", Appliance::AE_TITLE).with(manners);
                let _ = scanner.send(&files, |_, _| {}).await;
            })
        });
        for part in parts.collect::<Vec<_>>() {
            part.await.unwrap();
        }
        let now = appliance.resident_bytes().unwrap() / MIB;
        println!("{:5} files: {now} MiB", (batch + 1) * 100);
        sizes.push(now);
    }
    let records = Records::open(&appliance).unwrap();
    let waiting = || records.waiting().unwrap();
    deadline::until_none("all series to end", Duration::from_secs(120), waiting).await.unwrap();
    let worked = appliance.resident_bytes().unwrap() / MIB;
    // The heap is looked at every 30 s.
    let most = begun + 32;
    let small = || appliance.resident_bytes().unwrap() / MIB < most;
    let rest = deadline::until_true("memory to be given back", Duration::from_secs(90), small).await;
    let ended = appliance.resident_bytes().unwrap() / MIB;
    println!("begun {begun}, most {}, worked {worked}, ended {ended} MiB", sizes.iter().max().unwrap());
    assert!(rest.is_ok(), "begun {begun}, {sizes:?}, worked {worked}, ended {ended} MiB");
    appliance.stop().await.unwrap();
}
