//! Model packages on a whole box: a kill while one is installed or activated, a box without packages, and a shadow run.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use futures_util::future::join;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::part10::Instance;
use hil_tests::{coarse, deadline, tools};
use phantom::{Options, Phantom};
use scanside_client::{Model, ModelProxy};

use crate::support::Records;

const WITHIN: Duration = Duration::from_secs(240);

/// Archives of the shipped chest package with other version numbers, signed with the development key.
struct Maker(tempfile::TempDir);

impl Maker {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// ID of the package, and its archive.
    fn archive(&self, version: &str) -> (String, PathBuf) {
        let copy = self.0.path().join(version);
        coarse::packages(&tools::workspace().join("models/packages"), &copy).unwrap();
        let directory = copy.join("ct-chest");
        let manifest = directory.join("model.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        let value =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim_matches('"').to_owned();
        let (id, old) = (value("id = "), value("version = "));
        let changed = text.replacen(&format!("version = \"{old}\""), &format!("version = \"{version}\""), 1);
        std::fs::write(&manifest, changed).unwrap();
        let out = self.0.path().join(format!("{version}.scanside"));
        let key = tools::workspace().join("models/keys/development.key");
        let arguments = [Path::new("models"), Path::new("pack"), &directory, Path::new("--key"), &key];
        let packed = std::process::Command::new(tools::our_binary("scansidectl").unwrap())
            .args(arguments)
            .arg("--out")
            .arg(&out)
            .output()
            .unwrap();
        assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
        (id, out)
    }
}

async fn scansidectl(appliance: &Appliance, arguments: &[&str]) -> Output {
    tokio::process::Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--bus", &appliance.bus.address, "models"])
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

async fn done(appliance: &Appliance, arguments: &[&str]) {
    let output = scansidectl(appliance, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The packages of chest CT; those of other tasks do not matter here.
async fn list(appliance: &Appliance) -> Vec<Model> {
    let all = appliance.manager().await.unwrap().list_models(scanside_client::Options::new()).await.unwrap();
    all.into_iter().filter(|model| model.task == "ct_chest").collect()
}

async fn active(appliance: &Appliance) -> Option<String> {
    let active = list(appliance).await.into_iter().find(|model| model.state == "active");
    active.map(|model| model.version)
}

/// Waits until an archive is being unpacked: the moment for a kill.
async fn unpacking(appliance: &Appliance) {
    let staging = appliance.spool().join("models/staging");
    let begun = || std::fs::read_dir(&staging).is_ok_and(|mut entries| entries.next().is_some());
    // Unpacking may be over before it was noticed: then the kill comes a little later.
    let _ = deadline::until_true("an archive to be unpacked", Duration::from_secs(5), begun).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_package_is_installed_or_activated_the_box_comes_back_with_a_good_one() {
    let maker = Maker::new();
    let (id, archive) = maker.archive("9.0.0");
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    let shipped = active(&appliance).await.unwrap();
    let archive = archive.to_str().unwrap();
    let package = format!("{id}@9.0.0");
    // The daemon is killed during the call, and the caller gets an error.
    join(scansidectl(&appliance, &["install", archive]), unpacking(&appliance)).await;
    back_with_a_good_one(&mut appliance, "unpacking").await;
    // A build takes some tens of milliseconds: each of these kills comes at another stage, the last ones after its end.
    for after in [0, 5, 10, 20, 40, 80, 160] {
        fresh(&appliance, archive, &package).await;
        let path = list(&appliance).await.into_iter().find(|model| model.version == "9.0.0").unwrap().path;
        let connection = appliance.bus.connect().await.unwrap();
        let model = ModelProxy::builder(&connection).path(path).build().await.unwrap();
        model.activate().await.unwrap();
        tokio::time::sleep(Duration::from_millis(after)).await;
        back_with_a_good_one(&mut appliance, &format!("{after} ms of a build")).await;
    }
    done(&appliance, &["install", archive]).await;
    done(&appliance, &["activate", &package]).await;
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    assert_eq!(active(&appliance).await.as_deref(), Some("9.0.0"));
    done(&appliance, &["rollback", "ct_chest"]).await;
    assert_eq!(active(&appliance).await, Some(shipped));
    appliance.stop().await.unwrap();
}

/// Kills the daemon, starts it again and checks its packages.
async fn back_with_a_good_one(appliance: &mut Appliance, moment: &str) {
    appliance.kill().await.unwrap();
    appliance.restart().await.unwrap();
    let now = list(appliance).await;
    let states: Vec<_> = now.iter().map(|model| (model.version.as_str(), model.state.as_str())).collect();
    println!("killed after {moment}: {states:?}");
    assert_eq!(states.iter().filter(|(_, state)| *state == "active").count(), 1, "{states:?}");
    assert!(states.iter().all(|(_, state)| *state != "building" && *state != "refused"), "{states:?}");
    let staging = appliance.spool().join("models/staging");
    assert_eq!(std::fs::read_dir(staging).map_or(0, Iterator::count), 0, "the start swept");
}

/// Installed, not active, and not built yet.
async fn fresh(appliance: &Appliance, archive: &str, package: &str) {
    if active(appliance).await.as_deref() == Some("9.0.0") {
        done(appliance, &["rollback", "ct_chest"]).await;
    }
    if list(appliance).await.iter().any(|model| model.version == "9.0.0") {
        done(appliance, &["remove", package]).await;
    }
    done(appliance, &["install", archive]).await;
}

/// Thin slices, so that the network runs; few of them, so that it takes little time.
fn slab() -> Vec<Instance> {
    let options = Options { columns: 96, rows: 96, pixel_mm: 3.9, slices: 48, slice_mm: 2.0, ..Options::default() };
    let (study, _) = Phantom::chest(7, &options).unwrap();
    study.instances.iter().map(|i| Instance::from_part10(&i.part10).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_package_a_series_is_refused_in_words_and_with_a_shadow_the_differences_are_kept() {
    let maker = Maker::new();
    let empty = tempfile::tempdir().unwrap();
    let setup = Setup { packages: empty.path().to_owned(), ..Setup::default() };
    let mut appliance = Appliance::start(&setup).await.unwrap();
    let records = Records::open(&appliance).unwrap();
    let study = slab();
    let modality = Modality::new(appliance.address, "CT", Appliance::AE_TITLE);
    assert_eq!(modality.send(&study, |_, _| {}).await.unwrap().acknowledged(), study.len());
    let chest = || records.series().unwrap().into_iter().find(|series| series.kind == "ct");
    let verdict = || chest().and_then(|series| series.verdict);
    deadline::until_true("a verdict", WITHIN, || verdict().is_some()).await.unwrap();
    assert!(verdict().unwrap().contains("no usable model package for ct_chest"), "{:?}", verdict());

    for (version, verb) in [("9.0.0", "activate"), ("9.1.0", "shadow")] {
        let (id, archive) = maker.archive(version);
        done(&appliance, &["install", archive.to_str().unwrap()]).await;
        done(&appliance, &[verb, &format!("{id}@{version}")]).await;
    }
    let manager = appliance.manager().await.unwrap();
    // Nobody has to ask: what was parked for want of a package is taken up.
    let is_processed = || chest().is_some_and(|series| series.state == "processed");
    deadline::until_true("the series to be analysed", 2 * WITHIN, is_processed).await.unwrap();
    manager.rerun(&chest().unwrap().study_uid, scanside_client::Options::new()).await.unwrap();
    let look = || {
        let manager = &manager;
        async move {
            let runs = manager.list_shadow_runs(scanside_client::Options::new()).await.unwrap();
            (!runs.is_empty()).then_some(runs)
        }
    };
    let runs = deadline::until("a shadow run", WITHIN, look).await.unwrap();
    assert_eq!((runs[0].failure.as_deref(), runs[0].differing), (None, 0), "the same network twice: {runs:?}");
    assert!(runs[0].active.ends_with("9.0.0") && runs[0].candidate.ends_with("9.1.0"), "{runs:?}");
    println!("{} | {:?}", runs[0].differences, verdict());
    deadline::until_true("the rerun", 2 * WITHIN, is_processed).await.unwrap();
    let log = std::fs::read_to_string(appliance.log_file()).unwrap();
    assert!(!log.contains("panicked"), "{}", appliance.log_tail());
    appliance.stop().await.unwrap();
}
