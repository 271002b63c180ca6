//! Whatever others send ends in an answer or a clear error: no panic, no end of the process, no hang, bounded memory. Frames
//! of live clips, DICOM files, PDUs, requests of the page, packages and configuration are mutated by seeds that are fixed,
//! so that every run tries the same. About a minute in all; `SCANSIDE_MUTATIONS=20` tries twenty times as many, and
//! `make fuzz` searches without an end.
//!
//! Each target is a process of its own under nextest, which makes the figure for the memory its own, too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod association;
mod caged;
mod decoders;
mod messages;
mod mutate;
mod others;
mod page;
mod seeds;
mod targets;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hil_tests::appliance;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use targets::Target;

/// The longest that one input may take, on a busy machine and without optimisation.
const WITHIN: Duration = Duration::from_secs(30);
/// What a target may need beside the test itself, bytes: the inputs are small, and their images have at most 65,536 pixels
/// or are refused.
const MOST_MEMORY: u64 = 256 << 20;

/// Ends the process when one input takes too long: a hang cannot be ended in any other way.
fn end_hangs(round: Arc<AtomicU64>, input: PathBuf) {
    std::thread::spawn(move || {
        let (mut seen, mut since) = (u64::MAX, Instant::now());
        loop {
            let now = round.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
            if since.elapsed() > WITHIN {
                eprintln!("no answer within {WITHIN:?} in round {seen}; the input is {}", input.display());
                std::process::abort();
            }
            std::thread::sleep(Duration::from_secs(1)); // the pace of the watch
        }
    });
}

fn all() -> impl Iterator<Item = &'static Target> {
    decoders::ALL.iter().chain(others::ALL)
}

fn peak() -> u64 {
    appliance::peak_resident_bytes(std::process::id()).unwrap()
}

fn survives(name: &str, rounds: u64) {
    let times = std::env::var("SCANSIDE_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let target = all().find(|target| target.name == name).unwrap();
    let seeds = (target.seeds)();
    watch::note_panics();
    for seed in &seeds {
        fail_with(watch::run(target, seed), seed);
    }
    // Where a crash of the process leaves its input.
    let input = Path::new("/").join("dev").join("shm").join(format!("scanside-mutated-{name}-{}", std::process::id()));
    let (round, mut random) = (Arc::new(AtomicU64::new(0)), SmallRng::seed_from_u64(84_348));
    end_hangs(round.clone(), input.clone());
    let (before, begun, mut slowest) = (peak(), Instant::now(), Duration::ZERO);
    for _ in 0..rounds * times {
        let bytes = mutate::mutated(&seeds, &mut random);
        std::fs::write(&input, &bytes).unwrap();
        let asked = Instant::now();
        fail_with(watch::run(target, &bytes), &bytes);
        slowest = slowest.max(asked.elapsed());
        round.fetch_add(1, Ordering::Relaxed);
    }
    std::fs::remove_file(&input).unwrap();
    let grown = peak() - before;
    println!(
        "{name}: {} inputs of {} seeds in {:.1?}, the slowest {slowest:.1?}, {} MiB more memory",
        rounds * times,
        seeds.len(),
        begun.elapsed(),
        grown >> 20
    );
    assert!(grown <= MOST_MEMORY, "{} MiB", grown >> 20);
}

fn fail_with(ended: Result<(), String>, bytes: &[u8]) {
    if let Err(panics) = ended {
        let _ = std::panic::take_hook();
        let path = std::env::temp_dir().join(format!("scanside-mutated-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        panic!("{panics}\nthe input is {}", path.display());
    }
}

#[test]
fn the_seeds_are_what_their_targets_are_for() {
    seeds::check();
}

macro_rules! survives {
    ($($target:ident: $rounds:literal,)*) => {
        mod no_mutated_bytes_panic_hang_or_eat_memory {
            $(#[test]
            fn $target() {
                super::survives(stringify!($target), $rounds);
            })*

            #[test]
            fn every_target_is_tried() {
                let tried = [$(stringify!($target)),*];
                assert!(super::all().all(|target| tried.contains(&target.name)));
            }
        }
    };
}

survives! {
    header: 8_000,
    deflate: 4_000,
    jpeg: 8_000,
    jpeg_lossless: 8_000,
    jpeg_ls: 8_000,
    jpeg2000: 3_000,
    rle: 8_000,
    pictures: 4_000,
    mjpeg: 8_000,
    y4m: 8_000,
    clip: 4_000,
    pdu: 1_500,
    negotiation: 20_000,
    command: 20_000,
    page: 1_500,
    worklist: 1_500,
    package: 1_500,
    config: 1_500,
}
