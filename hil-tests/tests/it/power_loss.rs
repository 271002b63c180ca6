//! Promise 1, custody: `kill -9` at random moments while two scanners send and jobs run. Afterwards everything that was
//! acknowledged is stored once with the same bytes, each study has one set of results, and nothing is stuck.
//! In half of the rounds the disk is full or slow, or somebody holds the database locked, when the kill comes; C-ECHO is
//! answered within 10 s after each.
//!
//! `SCANSIDE_SOAK_ROUNDS` is the number of kills (12 by default, 200 in `make soak`); with the `SCANSIDE_SOAK_SEED` of
//! a run it is repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::disk::SmallDisk;
use hil_tests::modality::{Manners, Modality};
use hil_tests::pacs::Pacs;
use hil_tests::part10::Instance;
use hil_tests::slow_disk::SlowDisk;
use hil_tests::{deadline, tools};
use phantom::{Options, Phantom};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::support::{Records, Series};

const SENT_WITHIN: Duration = Duration::from_secs(120);
/// Longest time without progress: longer than the longest job on a busy machine.
const STUCK_AFTER: Duration = Duration::from_secs(300);
/// At this rate sending takes about half a second; then the series become complete, are analysed and delivered. The
/// kill may come in any of these phases.
const KILL_WITHIN_MS: u64 = 3500;
const LINK_BYTES_PER_SEC: u32 = 1_500_000;

/// After a kill, until C-ECHO is answered again.
const ECHO_WITHIN: Duration = Duration::from_secs(10);
/// A fault outlives the kill by up to this.
const FAULT_FOR_MS: u64 = 6000;
/// Bytes that a round leaves on the disk, generously, and what a box needs besides (reserve, segments, results), MiB.
const ROUND_MIB: u64 = 4;
const BOX_MIB: u64 = 320;

/// What is wrong when the kill comes.
#[derive(Debug)]
enum Fault {
    None,
    /// Somebody else's file takes the last byte.
    Full,
    /// The disk takes 20 writes in a second.
    Slow(SlowDisk),
    /// Somebody else holds the lock of the database.
    Locked(rusqlite::Connection),
}

impl Fault {
    fn begin(random: &mut SmallRng, appliance: &Appliance, disk: Option<&SmallDisk>) -> Self {
        match (random.random_range(0..6), disk) {
            (0, Some(disk)) => {
                disk.fill().unwrap();
                Self::Full
            }
            (1, Some(_)) => {
                let process = appliance.process_id().unwrap();
                SlowDisk::slow(&appliance.spool(), process).unwrap().map_or(Self::None, Self::Slow)
            }
            (2, _) => {
                let lock = rusqlite::Connection::open(appliance.database()).unwrap();
                lock.busy_timeout(Duration::from_secs(30)).unwrap();
                lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
                Self::Locked(lock)
            }
            _ => Self::None,
        }
    }

    /// The process that was started after the kill.
    fn meets(&self, appliance: &Appliance) {
        if let Self::Slow(disk) = self {
            disk.also_for(appliance.process_id().unwrap()).unwrap();
        }
    }

    fn end(self, disk: Option<&SmallDisk>) {
        match self {
            Self::None => {}
            Self::Full => disk.unwrap().clear().unwrap(),
            Self::Slow(disk) => drop(disk),
            Self::Locked(lock) => lock.execute_batch("ROLLBACK").unwrap(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::None => "no fault",
            Self::Full => "full disk",
            Self::Slow(..) => "slow disk",
            Self::Locked(_) => "locked database",
        }
    }
}

async fn answers_echo(address: std::net::SocketAddr, since: Instant, when: &str) -> Duration {
    let scanner = Modality::new(address, "CT9", Appliance::AE_TITLE);
    let asked = || async { scanner.echo().await.ok() };
    deadline::until("C-ECHO", ECHO_WITHIN, asked).await.unwrap_or_else(|e| panic!("{when}: {e:#}"));
    since.elapsed()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// In one round of so many the studies are whole; `SCANSIDE_SOAK_WHOLE_EVERY` sets another number for a busy machine. In the others slices are
/// missing in the middle, so that no half is enough to be read: they are refused with a report, which takes no time, so that the analyses keep up with the kills.
const WHOLE_EVERY: u64 = 4;

/// Thick slices, for which only the lungs are analysed, and thin ones, for which the network runs as well.
fn study(seed: u64, thin: bool, whole: bool) -> Vec<Instance> {
    let options = Options {
        columns: 96,
        rows: 96,
        pixel_mm: 3.9,
        slices: if thin { 24 } else { 36 },
        slice_mm: if thin { 2.5 } else { 8.0 },
        ..Options::default()
    };
    let (study, _) = Phantom::chest(seed, &options).unwrap();
    let mut instances: Vec<_> = study.instances.iter().map(|i| Instance::from_part10(&i.part10).unwrap()).collect();
    if !whole {
        let middle = instances.len() / 2;
        instances.drain(middle - 1..=middle + 1);
    }
    instances
}

/// Sends a study until all of it is acknowledged, and records every acknowledgement.
async fn send(
    address: std::net::SocketAddr,
    ae: &str,
    seed: u64,
    study: Vec<Instance>,
    acknowledged: Arc<Mutex<Vec<Instance>>>,
) {
    let manners = Manners { seed, duplicate: 0.05, bytes_per_sec: Some(LINK_BYTES_PER_SEC), ..Manners::default() };
    let modality = Modality::new(address, ae, Appliance::AE_TITLE).with(manners);
    let note = |instance: &Instance, status: u16| {
        if status == 0 {
            acknowledged.lock().unwrap().push(instance.clone());
        }
    };
    let sent = modality.send_until_acknowledged(&study, SENT_WITHIN, note).await.unwrap();
    assert_eq!((sent.acknowledged(), sent.refused(), sent.not_accepted.len()), (study.len(), 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_dash_nine_at_random_instants_loses_nothing_doubles_nothing_and_leaves_nothing_stuck() {
    let rounds = number("SCANSIDE_SOAK_ROUNDS", 12);
    let seed = number("SCANSIDE_SOAK_SEED", 20_260);
    let whole_every = number("SCANSIDE_SOAK_WHOLE_EVERY", WHOLE_EVERY);
    println!("{rounds} rounds, seed {seed}, whole studies in every {whole_every}th");
    let archive = tempfile::tempdir().unwrap();
    let pacs = Pacs::start("PACS", archive.path()).await.unwrap();
    let setup = Setup {
        destinations: vec![("pacs".into(), "PACS".into(), pacs.address)],
        quiet_secs: 2.0,
        // Here a job may be interrupted many times; with the default it would be parked after two.
        // Without a reserve nothing is evicted when the disk is filled: every instance can be looked at in the end.
        extra: "[analyze]\nmax_interruptions = 1000\n[spool]\nmin_free_mib = 0\nevict_below_mib = 0\n".into(),
        ..Setup::coarse()
    };
    let folder = tempfile::tempdir().unwrap();
    let mib = u32::try_from(BOX_MIB + ROUND_MIB * rounds).unwrap();
    let disk = SmallDisk::mount_image(&folder.path().join("spool"), &folder.path().join("disk"), mib).unwrap();
    if disk.is_none() {
        println!("no disk can be mounted here: no rounds with a full or a slow one");
    }
    let setup = Setup { folder: Some(folder.path().to_owned()), ..setup };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let mut slowest = Duration::ZERO;
    let mut random = SmallRng::seed_from_u64(seed);
    let acknowledged: Arc<Mutex<Vec<Instance>>> = Arc::default();
    let mut checked = 0;
    let (mut studies, mut whole_studies) = (0, 0);
    let mut met: BTreeMap<&str, u64> = BTreeMap::new();

    for round in 0..rounds {
        let whole = round % whole_every == 0;
        let scans: Vec<_> = tokio::task::spawn_blocking(move || {
            [(2 * round, true), (2 * round + 1, false)].map(|(seed, thin)| study(seed, thin, whole)).to_vec()
        })
        .await
        .unwrap();
        studies += scans.len();
        whole_studies += if whole { scans.len() } else { 0 };
        let senders: Vec<_> = scans
            .into_iter()
            .enumerate()
            .map(|(n, scan)| {
                let ae = format!("CT{n}");
                let (address, acknowledged) = (appliance.address, acknowledged.clone());
                tokio::spawn(async move { send(address, &ae, seed ^ round, scan, acknowledged).await })
            })
            .collect();

        // These sleeps are no synchronisation: the random moments are what is tested.
        let (before, until_kill) = (random.random_range(0..KILL_WITHIN_MS), random.random_range(0..KILL_WITHIN_MS / 2));
        let fault_for = Duration::from_millis(random.random_range(0..FAULT_FOR_MS));
        tokio::time::sleep(Duration::from_millis(before)).await;
        let fault = Fault::begin(&mut random, &appliance, disk.as_ref());
        if !matches!(fault, Fault::None) {
            tokio::time::sleep(Duration::from_millis(until_kill)).await;
        }
        assert!(appliance.is_running(), "round {round}: ended with {}:\n{}", fault.name(), appliance.log_tail());
        appliance.kill().await.unwrap();
        let (at_the_kill, fault_name) = (acknowledged.lock().unwrap().len(), fault.name());
        *met.entry(fault_name).or_default() += 1;
        let killed = Instant::now();
        appliance.spawn().unwrap();
        fault.meets(&appliance);
        slowest = slowest.max(answers_echo(appliance.address, killed, fault_name).await);
        appliance.ready().await.unwrap();
        if !matches!(fault, Fault::None) {
            tokio::time::sleep(fault_for).await;
        }
        assert!(appliance.is_running(), "round {round}: ended with {fault_name}:\n{}", appliance.log_tail());
        fault.end(disk.as_ref());
        let manager = appliance.manager().await.unwrap();
        let full = || async { manager.level().await.ok().filter(|level| level == "full") };
        deadline::until("full service", SENT_WITHIN, full).await.unwrap_or_else(|e| panic!("{fault_name}: {e:#}"));

        let records = Records::open(&appliance).unwrap();
        for instance in &acknowledged.lock().unwrap()[checked..at_the_kill] {
            records.check_custody(instance).unwrap_or_else(|e| panic!("round {round}, after the restart: {e:#}"));
        }
        checked = at_the_kill;
        for sender in senders {
            sender.await.unwrap();
        }
        println!("round {round}, {fault_name}: {at_the_kill} acknowledged before the kill, all in custody after it");
    }

    println!("C-ECHO at the latest {slowest:.1?} after a kill; kills: {met:?}");
    let records = Records::open(&appliance).unwrap();
    let waiting = || records.waiting().unwrap();
    deadline::until_none("series, jobs and deliveries to end", STUCK_AFTER, waiting).await.unwrap();
    println!("jobs hit at work: {}", records.interruptions().unwrap());
    appliance.stop().await.unwrap();

    let acknowledged = acknowledged.lock().unwrap().clone();
    for instance in &acknowledged {
        records.check_custody(instance).unwrap();
    }
    check_verdicts(&records, studies, whole_studies);
    check_result_sets(&records, &pacs, studies, whole_studies);
    check_log(&appliance.log_file());
}

fn check_verdicts(records: &Records, studies: usize, whole: usize) {
    let series = records.series().unwrap();
    for one in &series {
        assert!(matches!(one.state.as_str(), "processed" | "refused"), "stuck: {one:?}");
        assert!(one.verdict.as_ref().is_some_and(|verdict| !verdict.is_empty()), "no verdict: {one:?}");
    }
    let chests: Vec<_> = series.iter().filter(|one| one.instances > 1).collect();
    assert_eq!(chests.len(), studies);
    // The slabs end inside the lungs: one in which nothing is found is refused, because nothing may be called absent.
    let refused_for = |reason: &str| {
        let is =
            |one: &&&Series| one.state == "refused" && one.verdict.as_ref().is_some_and(|said| said.contains(reason));
        chests.iter().filter(is).count()
    };
    let processed = chests.iter().filter(|one| one.state == "processed").count();
    let analysed = processed + refused_for("the scan ends inside the lungs");
    assert_eq!((analysed, refused_for("slices are missing")), (whole, studies - whole), "{chests:#?}");
    assert!(2 * processed > whole, "{chests:#?}");
    for (state, reason) in records.jobs().unwrap() {
        assert!(matches!(state.as_str(), "done" | "superseded"), "job {state}: {reason:?}");
    }
}

/// One SR for each study and at most one SEG, in the database and at the archive, with the same bytes, however often
/// they were sent.
fn check_result_sets(records: &Records, pacs: &Pacs, studies: usize, whole: usize) {
    let mut made: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut files = BTreeMap::new();
    for result in records.results().unwrap() {
        assert_eq!(result.deliveries, ["delivered"], "{result:?}");
        made.entry((result.study_uid, result.kind)).or_default().insert(result.sop_uid.clone());
        files.insert(result.sop_uid, result.file);
    }
    // A slab of thin slices without a nodule has no segmentation, because its lungs are cut off.
    for (kind, allowed) in [("sr", studies..=studies), ("seg", whole / 2..=whole)] {
        let sets: Vec<_> = made.iter().filter(|((_, k), _)| k == kind).collect();
        assert!(allowed.contains(&sets.len()), "{} studies with a {kind}", sets.len());
        assert!(sets.iter().all(|(_, uids)| uids.len() == 1), "more than one {kind}: {sets:#?}");
    }
    let received = pacs.received();
    let at_the_archive: BTreeSet<_> = received.iter().map(|r| r.sop_instance_uid.clone()).collect();
    assert_eq!(at_the_archive, files.keys().cloned().collect(), "the archive has exactly the results that were made");
    for object in received {
        let ours = Instance::open(&files[&object.sop_instance_uid]).unwrap().unwrap();
        assert_eq!(ours.sha256().unwrap(), object.sha256, "{} differs at the archive", object.sop_instance_uid);
    }
}

fn check_log(log: &Path) {
    let text = std::fs::read_to_string(log).unwrap();
    assert!(!text.contains("panicked"), "a panic in {}", log.display());
}

#[test]
fn the_daemon_under_test_is_built() {
    tools::our_binary("scansided").unwrap();
}
