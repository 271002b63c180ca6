//! Disk and database in trouble: full, locked, damaged, gone. The box stays up and answers C-ECHO, refuses with 0xA700, says
//! why, and heals by itself. Nothing that was acknowledged is lost.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::disk::SmallDisk;
use hil_tests::modality::Modality;
use hil_tests::pacs::Pacs;
use hil_tests::part10::{Instance, element, part10};
use hil_tests::{deadline, tools};
use needs::Lack;
use tempfile::tempdir;
use tokio::time::timeout;

use crate::support::Records;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const WITHIN: Duration = Duration::from_secs(60);
const OUT_OF_RESOURCES: u16 = 0xA700;

/// A series of its own with one slice of 512x512: it is refused, and has a report that says so.
fn slice(n: u32) -> Instance {
    let mut bytes = Vec::new();
    let mut put = |group: u16, number: u16, vr: &[u8; 2], text: String| {
        element(&mut bytes, (group, number), vr, text.as_bytes());
    };
    let uid = format!("2.25.200.{n}.1.1");
    put(0x0008, 0x0016, b"UI", CT.into());
    put(0x0008, 0x0018, b"UI", uid.clone());
    put(0x0008, 0x0060, b"CS", "CT".into());
    put(0x0010, 0x0010, b"PN", "Phantom^Trouble".into());
    put(0x0010, 0x0020, b"LO", format!("T{n}"));
    put(0x0020, 0x000D, b"UI", format!("2.25.200.{n}"));
    put(0x0020, 0x000E, b"UI", format!("2.25.200.{n}.1"));
    put(0x0020, 0x0032, b"DS", "0\\0\\0".into());
    put(0x0020, 0x0037, b"DS", "1\\0\\0\\0\\1\\0".into());
    for (number, value) in [(0x0010_u16, 512_u16), (0x0011, 512), (0x0100, 16), (0x0101, 16), (0x0102, 15), (0x0103, 1)]
    {
        element(&mut bytes, (0x0028, number), b"US", &value.to_le_bytes());
    }
    let pixels = (0..512 * 512).flat_map(|i: u32| (i16::try_from(i % 997).unwrap() - 500).to_le_bytes());
    element(&mut bytes, (0x7FE0, 0x0010), b"OW", &pixels.collect::<Vec<_>>());
    Instance::from_part10(&part10(CT, &uid, EXPLICIT, &bytes)).unwrap()
}

fn scanner(appliance: &Appliance) -> Modality {
    Modality::new(appliance.address, "CT1", Appliance::AE_TITLE)
}

/// The status of the answer to one instance.
async fn store(appliance: &Appliance, instance: &Instance) -> u16 {
    let sent = scanner(appliance).send(std::slice::from_ref(instance), |_, _| {}).await.unwrap();
    sent.answers[&instance.sop_instance_uid]
}

/// The process is there and answers C-ECHO at once.
async fn is_alive(appliance: &mut Appliance, when: &str) {
    assert!(appliance.is_running(), "scansided ended {when}:\n{}", appliance.log_tail());
    timeout(Duration::from_secs(10), scanner(appliance).echo())
        .await
        .unwrap()
        .unwrap_or_else(|e| panic!("{when}: {e:#}"));
}

async fn level(appliance: &Appliance) -> (String, String) {
    let manager = appliance.manager().await.unwrap();
    (manager.level().await.unwrap(), manager.level_reason().await.unwrap())
}

async fn until_level(appliance: &Appliance, wanted: &str) -> String {
    let look = || async {
        let manager = appliance.manager().await.ok()?;
        let (level, reason) = (manager.level().await.ok()?, manager.level_reason().await.ok()?);
        (level == wanted).then_some(reason)
    };
    deadline::until(&format!("level {wanted}"), WITHIN, look)
        .await
        .unwrap_or_else(|e| panic!("{e:#}\n{}", appliance.log_tail()))
}

async fn until_stored(appliance: &Appliance, instance: &Instance) {
    let sent = scanner(appliance).send_until_acknowledged(std::slice::from_ref(instance), WITHIN, |_, _| {}).await;
    assert_eq!(sent.unwrap().acknowledged(), 1);
}

/// A box whose spool is a disk of its own; `None` on a machine that does not allow it.
fn small_box(folder: &Path, mib: u32, setup: Setup) -> Option<(SmallDisk, Setup)> {
    let Some(disk) = SmallDisk::mount(&folder.join("spool"), mib).unwrap() else {
        needs::skip(Lack::Host, "a tmpfs cannot be mounted: no root");
        return None;
    };
    Some((disk, Setup { folder: Some(folder.to_owned()), ..setup }))
}

const SMALL: &str = "[spool]\nmin_free_mib = 32\nevict_below_mib = 48\nsegment_mib = 8\nready_segments = 2\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_its_own_studies_and_results_fill_refuses_says_so_and_heals() {
    let folder = tempdir().unwrap();
    let archive = tempdir().unwrap();
    // An archive that is away: nothing is delivered, so nothing may be evicted.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = Setup {
        destinations: vec![("pacs".into(), "PACS".into(), address)],
        quiet_secs: 1.0,
        extra: SMALL.into(),
        ..Setup::coarse()
    };
    let Some((disk, setup)) = small_box(folder.path(), 200, setup) else { return };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let mut kept = Vec::new();
    let mut refused = 0;
    for n in 0..1000 {
        let one = slice(n);
        match store(&appliance, &one).await {
            0 => kept.push(one),
            OUT_OF_RESOURCES => refused += 1,
            other => panic!("{other:#06x}"),
        }
        if refused > 3 {
            break;
        }
    }
    assert!(refused > 0 && kept.len() > 50, "{} kept, {refused} refused", kept.len());
    // The results of what waits are made, as far as there is room for them; the rest waits, and says why.
    let records = Records::open(&appliance).unwrap();
    let look = || records.jobs().unwrap().iter().filter(|(state, _)| state == "done").count();
    let mut done = 0;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        is_alive(&mut appliance, "while its results are written").await;
        let now = look();
        let waits = records
            .jobs()
            .unwrap()
            .iter()
            .any(|(state, why)| state == "queued" && why.as_ref().is_some_and(|why| why.contains("MiB")));
        if waits || now == kept.len() {
            break;
        }
        done = now;
    }
    println!("{} kept, {done} done", kept.len());
    assert!(!records.jobs().unwrap().iter().any(|(state, _)| state == "parked"), "{:?}", records.jobs().unwrap());
    let reason = until_level(&appliance, "no_new_studies").await;
    assert!(reason.contains("MiB"), "{reason}");
    // A restart in this state is a start like any other.
    drop(records);
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    is_alive(&mut appliance, "after a restart with a full disk").await;
    // The archive is back: results are delivered, studies evicted with their results, and there is room.
    let pacs = Pacs::start_at(address, "PACS", archive.path()).await.unwrap();
    let one = slice(5000);
    let sent = scanner(&appliance).send_until_acknowledged(std::slice::from_ref(&one), 3 * WITHIN, |_, _| {}).await;
    assert_eq!(sent.unwrap_or_else(|e| panic!("{e:#}\n{}", appliance.log_tail())).acknowledged(), 1);
    let records = Records::open(&appliance).unwrap();
    let series = kept.len() + 1;
    deadline::until_true("everything delivered", 2 * WITHIN, || records.is_settled(series).unwrap()).await.unwrap();
    until_level(&appliance, "full").await;
    let folders = std::fs::read_dir(appliance.spool().join("results")).unwrap().count();
    assert!(folders < kept.len(), "{folders} folders of results of {} studies stay", kept.len());
    let mut uids: Vec<_> = pacs.received().into_iter().map(|object| object.sop_instance_uid).collect();
    let all = uids.len();
    uids.sort();
    uids.dedup();
    println!("{all} objects at the archive, {} different", uids.len());
    appliance.stop().await.unwrap();
    drop(disk);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_at_the_start_has_a_box_that_answers_and_heals() {
    let folder = tempdir().unwrap();
    let Some((disk, setup)) = small_box(folder.path(), 96, Setup { extra: SMALL.into(), ..Setup::coarse() }) else {
        return;
    };
    // First on a disk that was never used, then on one with studies.
    for round in 0..2 {
        disk.fill().unwrap();
        let mut appliance = Appliance::start(&setup).await.unwrap();
        is_alive(&mut appliance, "with a full disk").await;
        assert_eq!(store(&appliance, &slice(round)).await, OUT_OF_RESOURCES);
        let (now, reason) = level(&appliance).await;
        assert_eq!(now, "no_new_studies");
        assert!(!reason.is_empty());
        disk.clear().unwrap();
        until_stored(&appliance, &slice(round)).await;
        until_level(&appliance, "full").await;
        let records = Records::open(&appliance).unwrap();
        deadline::until_true("every series ended", WITHIN, || records.is_settled(round as usize + 1).unwrap())
            .await
            .unwrap();
        for n in 0..=round {
            records.check_custody(&slice(n)).unwrap();
        }
        appliance.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_somebody_else_fills_while_studies_come_loses_nothing() {
    let folder = tempdir().unwrap();
    let Some((disk, setup)) = small_box(folder.path(), 96, Setup { extra: SMALL.into(), ..Setup::coarse() }) else {
        return;
    };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let mut kept = Vec::new();
    for round in 0..3 {
        for n in 0..5 {
            let one = slice(10 * round + n);
            until_stored(&appliance, &one).await;
            kept.push(one);
        }
        disk.fill().unwrap();
        // Series become complete, jobs are claimed and written: all of it without a byte of room.
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            is_alive(&mut appliance, "while the disk is full").await;
        }
        assert_eq!(store(&appliance, &slice(10 * round + 9)).await, OUT_OF_RESOURCES);
        disk.clear().unwrap();
        until_level(&appliance, "full").await;
    }
    let records = Records::open(&appliance).unwrap();
    deadline::until_true("everything ended", WITHIN, || records.is_settled(kept.len()).unwrap()).await.unwrap();
    for one in &kept {
        records.check_custody(one).unwrap();
    }
    assert!(records.jobs().unwrap().iter().all(|(state, _)| state == "done"), "{:?}", records.jobs().unwrap());
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_locked_for_longer_than_anyone_waits_is_waited_for() {
    let mut appliance = Appliance::start(&Setup { quiet_secs: 1.0, ..Setup::coarse() }).await.unwrap();
    until_stored(&appliance, &slice(1)).await;
    let lock = rusqlite::Connection::open(appliance.database()).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let begun = std::time::Instant::now();
    let mut answers = Vec::new();
    while begun.elapsed() < Duration::from_secs(45) {
        is_alive(&mut appliance, "while the database is locked").await;
        answers.push(store(&appliance, &slice(2)).await);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert!(answers.iter().all(|status| *status == OUT_OF_RESOURCES), "{answers:?}");
    assert!(level(&appliance).await.1.contains("locked"), "{:?}", level(&appliance).await);
    lock.execute_batch("ROLLBACK").unwrap();
    until_stored(&appliance, &slice(2)).await;
    until_level(&appliance, "full").await;
    let records = Records::open(&appliance).unwrap();
    deadline::until_true("both series to end", WITHIN, || records.is_settled(2).unwrap()).await.unwrap();
    for n in [1, 2] {
        records.check_custody(&slice(n)).unwrap();
    }
    appliance.stop().await.unwrap();
}

/// Overwrites pages in the middle of the database, as a bad sector does. The first page stays.
fn damage(database: &Path) {
    // A daemon that was slow to stop leaves its last pages in the write-ahead log, which would cover the damage.
    let rows = rusqlite::Connection::open(database).unwrap();
    rows.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(rows);
    let file = std::fs::File::options().write(true).open(database).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for page in 1..pages {
        file.write_all_at(&[0xA5; 4096], page * 4096).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_database_is_set_aside_and_built_again_without_a_loss() {
    let archive = tempdir().unwrap();
    let pacs = Pacs::start("PACS", archive.path()).await.unwrap();
    let setup =
        Setup { destinations: vec![("pacs".into(), "PACS".into(), pacs.address)], quiet_secs: 1.0, ..Setup::coarse() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let studies: Vec<_> = (0..4).map(slice).collect();
    for one in &studies {
        until_stored(&appliance, one).await;
    }
    let records = Records::open(&appliance).unwrap();
    deadline::until_true("all delivered", WITHIN, || records.is_settled(studies.len()).unwrap()).await.unwrap();
    drop(records);
    let before: std::collections::BTreeSet<_> = pacs.received().into_iter().map(|o| o.sop_instance_uid).collect();
    assert!(!before.is_empty());
    appliance.stop().await.unwrap();
    damage(&appliance.database());
    appliance.restart().await.unwrap();
    is_alive(&mut appliance, "with a damaged database").await;
    let records = Records::open(&appliance).unwrap();
    deadline::until_true("everything ended", WITHIN, || records.is_settled(4).unwrap()).await.unwrap();
    for one in &studies {
        records.check_custody(one).unwrap();
    }
    let series = records.series().unwrap();
    assert!(series.len() == 4 && series.iter().all(|one| one.state == "refused"), "{series:?}");
    let after: std::collections::BTreeSet<_> = pacs.received().into_iter().map(|o| o.sop_instance_uid).collect();
    assert_eq!(before, after, "no object with a new UID at the archive");
    let names: Vec<_> = std::fs::read_dir(appliance.spool())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("damaged"))
        .collect();
    assert!(!names.is_empty(), "the damaged file is kept for a look");
    appliance.stop().await.unwrap();
}

/// As a bad sector does it to a database that is in use: every page but the first.
fn damage_in_use(database: &Path) {
    let rows = rusqlite::Connection::open(database).unwrap();
    rows.busy_timeout(WITHIN).unwrap();
    rows.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let file = std::fs::File::options().write(true).open(database).unwrap();
    for page in 1..file.metadata().unwrap().len() / 4096 {
        file.write_all_at(&[0xA5; 4096], page * 4096).unwrap();
    }
}

/// Puts a sound file in the place of a database that is in use: the copy that a person kept.
fn replace(database: &Path) {
    let kept = database.with_extension("kept");
    std::fs::copy(database.with_extension("db.copy"), &kept).unwrap();
    std::fs::rename(kept, database).unwrap();
}

/// As the daemon does it from time to time.
fn copy(database: &Path) {
    let rows = rusqlite::Connection::open(database).unwrap();
    rows.execute("VACUUM INTO ?1", [database.with_extension("db.copy").to_str().unwrap()]).unwrap();
}

/// Studies come before the copy, after it, and while the database is built again; what befalls the database does not end the
/// process.
async fn heals_while_running(what: &str, befalls: impl Fn(&Path), with_copy: bool) {
    let archive = tempdir().unwrap();
    let pacs = Pacs::start("PACS", archive.path()).await.unwrap();
    let setup =
        Setup { destinations: vec![("pacs".into(), "PACS".into(), pacs.address)], quiet_secs: 1.0, ..Setup::coarse() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let studies: Vec<_> = (0..6).map(slice).collect();
    for (n, one) in studies[..4].iter().enumerate() {
        until_stored(&appliance, one).await;
        if n == 2 && with_copy {
            let records = Records::open(&appliance).unwrap();
            deadline::until_true("all delivered", WITHIN, || records.is_settled(n + 1).unwrap()).await.unwrap();
            copy(&appliance.database());
        }
    }
    let records = Records::open(&appliance).unwrap();
    deadline::until_true("all delivered", WITHIN, || records.is_settled(4).unwrap()).await.unwrap();
    drop(records);
    let uids = || pacs.received().into_iter().map(|o| o.sop_instance_uid).collect::<std::collections::BTreeSet<_>>();
    let before = uids();
    befalls(&appliance.database());
    until_stored(&appliance, &studies[4]).await;
    is_alive(&mut appliance, what).await;
    let look = || async {
        let (level, reason) = level(&appliance).await;
        (level == "full" && reason.contains("built again")).then_some(reason)
    };
    let reason = deadline::until("the box to say that it healed", WITHIN, look).await;
    let reason = reason.unwrap_or_else(|e| panic!("{what}: {e:#}\n{}", appliance.log_tail()));
    println!("{what}: {reason}");
    until_stored(&appliance, &studies[5]).await;
    is_alive(&mut appliance, what).await;

    let records = Records::open(&appliance).unwrap();
    deadline::until_true("everything ended", WITHIN, || records.is_settled(6).unwrap()).await.unwrap();
    for one in &studies {
        records.check_custody(one).unwrap();
    }
    let jobs = records.jobs().unwrap();
    assert!(jobs.iter().all(|(state, _)| state == "done"), "{what}: {jobs:?}");
    let after = uids();
    let of_each = before.len() / 4;
    assert!(
        before.is_subset(&after) && after.len() == 6 * of_each,
        "{what}: {} objects, then {}",
        before.len(),
        after.len()
    );
    let sound: String = rusqlite::Connection::open(appliance.database())
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok", "{what}");
    appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_damaged_while_running_is_built_again_without_an_end_of_the_process() {
    heals_while_running("damaged, with a copy", damage_in_use, true).await;
    heals_while_running("damaged, without a copy", damage_in_use, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_removed_or_replaced_while_running_is_built_again_without_an_end_of_the_process() {
    heals_while_running("removed", |database| std::fs::remove_file(database).unwrap(), true).await;
    heals_while_running("replaced", replace, true).await;
}

/// The log is a file on a full disk: the box works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let folder = tempdir().unwrap();
    let config = folder.path().join("box.toml");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "[dicom]\nlisten = \"127.0.0.1:{port}\"\nae_titles = [\"SCANSIDE\"]\n[spool]\ndirectory = {:?}\nmin_free_mib = 64\n\
         evict_below_mib = 64\nsegment_mib = 8\nready_segments = 1\n[bus]\naddress = \"none\"\n",
        folder.path().join("spool")
    );
    std::fs::write(&config, text).unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("log"), 1).unwrap() else {
        return needs::skip(Lack::Host, "a tmpfs cannot be mounted: no root");
    };
    let log = std::fs::File::create(folder.path().join("log/scansided.log")).unwrap();
    disk.fill().unwrap();
    let full = || log.try_clone().unwrap();
    let mut daemon = Command::new(tools::our_binary("scansided").unwrap())
        .arg("--config")
        .arg(&config)
        .args(["--log", "debug"])
        .stdin(Stdio::null())
        .stdout(full())
        .stderr(full())
        .spawn()
        .unwrap();
    let scanner = Modality::new(std::net::SocketAddr::from(([127, 0, 0, 1], port)), "CT1", "SCANSIDE");
    let sent = scanner.send_until_acknowledged(&[slice(1), slice(2)], WITHIN, |_, _| {}).await;
    let ended = daemon.try_wait().unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(ended.is_none(), "scansided ended: {ended:?}");
    assert_eq!(sent.unwrap().acknowledged(), 2);
}
