//! Packages on the real CPU accelerator, if ONNX Runtime is installed: which packages load, which are refused, which
//! are used then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::models::findings::Evaluated;
use ::models::registry::{Key, PackageState};
use ::models::specimen::Specimen;
use ::models::task::{CT_CHEST, Unattended};
use ::models::{Acquisition, ChestFindings, Geometry, Package, Volume, golden};
use custody::event::Event;
use custody::level::Gate;
use custody::store::{Durability, Store, events, shadows};
use hal::urgency::Precedence;
use hal::{LoadedModel, Tensor, accel};
use node::inference::InferenceHost;
use study::analyze::engine::{self, Engine};
use study::analyze::shadow;
use study::model::{Error, Models, Shelf};
use study::settings::Settings;
use tokio::sync::broadcast;

const PATIENCE: Duration = Duration::from_secs(60);

fn key(version: &str) -> Key {
    Key::new("specimen", version)
}

struct Home(tempfile::TempDir);

impl Home {
    /// With specimen 1.0.0 as the package that comes with the software. `None`, reported as skipped, without ONNX
    /// Runtime.
    fn real() -> Option<Self> {
        if library().is_none() {
            needs::skip(needs::Lack::Software, "ONNX Runtime not present");
            return None;
        }
        let home = Self(tempfile::tempdir().unwrap());
        Specimen::default().write(&home.0.path().join("packages/specimen")).unwrap();
        Some(home)
    }

    fn settings(&self, threads: usize) -> Settings {
        let mut settings = settings_in(self.0.path(), &BTreeMap::new());
        settings.accelerator.threads = threads;
        settings
    }

    fn shelf(&self) -> Shelf {
        Shelf::open(&self.settings(1)).unwrap().0
    }

    fn models(&self, shelf: &Shelf) -> (Models, Store, broadcast::Receiver<Event>) {
        let store = Store::open(&self.0.path().join("scanside.db")).unwrap();
        let (events, heard) = broadcast::channel(1024);
        (Models::new(shelf.clone(), store.clone(), events, Gate::default()), store, heard)
    }

    fn archive(&self, specimen: &Specimen) -> std::fs::File {
        let path = self.0.path().join("a.scanside");
        specimen.archive(&path).unwrap();
        std::fs::File::open(path).unwrap()
    }
}

pub fn has_library() -> bool {
    library().is_some()
}

/// Of a box whose packages are in a folder.
pub fn settings_in(folder: &Path, hosts: &BTreeMap<String, InferenceHost>) -> Settings {
    let mut settings = Settings::default();
    settings.models.directory = Some(folder.join("models"));
    settings.models.keys = Vec::new();
    settings.analyze.packages = folder.join("packages");
    settings.accelerator.library = library().unwrap_or_default();
    settings.accelerator.threads = 1;
    settings.inference_host.clone_from(hosts);
    settings
}

fn library() -> Option<PathBuf> {
    let given = std::env::var_os("SCANSIDE_ONNXRUNTIME").map(PathBuf::from);
    let cached = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/onnxruntime/libonnxruntime.so");
    given.into_iter().chain([cached]).find(|path| path.exists())
}

fn state(models: &Models, version: &str) -> PackageState {
    models.list().into_iter().find(|listed| listed.entry.key == key(version)).unwrap().state
}

pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn real_a_package_is_proved_by_its_golden_run_before_it_is_used() {
    let Some(home) = Home::real() else { return };
    let shelf = home.shelf();
    let (models, store, mut heard) = home.models(&shelf);
    models.install(home.archive(&Specimen::version("2.0.0"))).unwrap();
    models.build(&key("2.0.0"), true).unwrap();
    until("it is active", || state(&models, "2.0.0") == PackageState::Active).await;
    let listed = models.list().into_iter().find(|listed| listed.entry.key == key("2.0.0")).unwrap();
    let record = listed.entry.record.unwrap();
    assert!(record.accelerator.starts_with("cpu, ONNX Runtime"), "{record:?}");
    assert!(matches!(record.outcome, models::registry::Outcome::Ready { difference: Some(d) } if d < 0.01));
    assert!(heard.try_recv().is_ok(), "the change was told");
    until("it is told", || {
        let events = events::latest(&store.connect(Durability::Rebuildable).unwrap(), 9).unwrap();
        events.iter().any(|event| event.subject == "model/specimen 2.0.0" && event.what == "activated")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn real_what_gives_another_answer_or_does_not_load_is_refused_and_the_last_good_stays() {
    let Some(home) = Home::real() else { return };
    let shelf = home.shelf();
    let (models, ..) = home.models(&shelf);
    let wrong = Specimen { golden_error: 0.3, ..Specimen::version("2.0.0") };
    let garbage = Specimen { network: b"no network".to_vec(), ..Specimen::version("3.0.0") };
    for (specimen, why) in [(wrong, "the answer differs by 0.3"), (garbage, "network refused by ONNX Runtime")] {
        let version = specimen.version.clone();
        models.install(home.archive(&specimen)).unwrap();
        models.build(&key(&version), true).unwrap();
        until("it is refused", || matches!(state(&models, &version), PackageState::Refused(_))).await;
        assert!(state(&models, &version).reason().contains(why), "{:?}", state(&models, &version));
        assert_eq!(state(&models, "1.0.0"), PackageState::Active);
    }
    assert_eq!(shelf.load_active(CT_CHEST).unwrap().key, key("1.0.0"));
}

#[test]
fn real_an_active_package_that_rots_on_the_disk_gives_way_to_the_last_good() {
    let Some(home) = Home::real() else { return };
    let shelf = home.shelf();
    let (models, ..) = home.models(&shelf);
    models.install(home.archive(&Specimen::version("2.0.0"))).unwrap();
    shelf.registry().activate(&key("2.0.0")).unwrap();
    assert_eq!(shelf.load_active(CT_CHEST).unwrap().key, key("2.0.0"));
    std::fs::write(home.0.path().join("models/packages/specimen/2.0.0/network.onnx"), b"rot").unwrap();
    assert_eq!(shelf.load_active(CT_CHEST).unwrap().key, key("1.0.0"));
    assert!(state(&models, "2.0.0").reason().contains("sha256"));
    // If the package that came with the software fails as well, none is left, and the error says why.
    std::fs::write(home.0.path().join("packages/specimen/network.onnx"), b"rot").unwrap();
    let none = shelf.load_active(CT_CHEST).unwrap_err();
    assert!(matches!(&none, Error::NoPackage(why) if why.contains("specimen 1.0.0: ")), "{none}");
}

#[test]
fn real_a_package_that_was_proved_is_used_though_that_cannot_be_written_down_and_a_bad_one_is_not() {
    let Some(home) = Home::real() else { return };
    let shelf = home.shelf();
    std::fs::write(home.0.path().join("models/records"), "in the way, as a full disk").unwrap();
    assert_eq!(shelf.load_active(CT_CHEST).unwrap().key, key("1.0.0"));
    std::fs::write(home.0.path().join("packages/specimen/network.onnx"), b"rot").unwrap();
    assert!(matches!(shelf.load_active(CT_CHEST), Err(Error::Registry(_))));
}

#[test]
fn real_a_refusal_by_another_version_of_the_library_does_not_outlive_its_update() {
    let Some(home) = Home::real() else { return };
    let wrong = Specimen { golden_error: 0.3, ..Specimen::default() };
    std::fs::remove_dir_all(home.0.path().join("packages/specimen")).unwrap();
    wrong.write(&home.0.path().join("packages/specimen")).unwrap();
    assert!(home.shelf().load_active(CT_CHEST).is_err());
    assert!(home.shelf().active(CT_CHEST).is_err(), "of the same library it is kept");
    let record = home.0.path().join("models/records/specimen/1.0.0.toml");
    let text = std::fs::read_to_string(&record).unwrap().replace("ONNX Runtime ", "ONNX Runtime 0.");
    std::fs::write(&record, text).unwrap();
    assert!(home.shelf().active(CT_CHEST).is_ok());
    assert!(home.shelf().load_active(CT_CHEST).unwrap_err().to_string().contains("differs by"), "and decided again");
}

#[test]
fn without_an_accelerator_no_package_is_blamed() {
    let home = Home(tempfile::tempdir().unwrap());
    Specimen::default().write(&home.0.path().join("packages/specimen")).unwrap();
    let mut settings = home.settings(1);
    settings.accelerator.library = "/nonexistent/libonnxruntime.so".into();
    if std::env::var_os("SCANSIDE_ONNXRUNTIME").is_some_and(|library| !library.is_empty()) {
        settings.accelerator.provider = "npu".into(); // the variable wins over the library of the settings
    }
    let (shelf, _) = Shelf::open(&settings).unwrap();
    assert!(matches!(shelf.load_active(CT_CHEST), Err(Error::Accelerator(_))));
    assert!(shelf.active(CT_CHEST).is_ok(), "it is still the active one");
}

#[test]
fn a_key_or_directory_that_cannot_be_used_leaves_what_came_with_the_software() {
    let home = Home(tempfile::tempdir().unwrap());
    Specimen::default().write(&home.0.path().join("packages/specimen")).unwrap();
    let mut settings = home.settings(1);
    settings.models.keys = vec![home.0.path().join("keys")];
    std::fs::create_dir(home.0.path().join("keys")).unwrap();
    std::fs::write(home.0.path().join("keys/broken.pub"), "noise").unwrap();
    assert!(Shelf::open(&settings).unwrap().0.active(CT_CHEST).is_ok(), "a broken key is left out");
    std::fs::remove_dir_all(home.0.path().join("models")).unwrap();
    std::fs::write(home.0.path().join("models"), "a file is in the way").unwrap();
    assert!(Shelf::open(&settings).is_err());
    assert!(Shelf::view(&settings).active(CT_CHEST).is_ok());
}

#[test]
fn real_progress_goes_through_the_stages_in_order() {
    let Some(home) = Home::real() else { return };
    let shelf = home.shelf();
    let entry = shelf.active(CT_CHEST).unwrap();
    let stages = Arc::new(Mutex::new(Vec::new()));
    let load = || {
        stages.lock().unwrap().clear();
        let entry = shelf.registry().get(&entry.key).unwrap().clone();
        shelf.load(&entry, &|stage, fraction| stages.lock().unwrap().push((stage.to_owned(), fraction))).unwrap();
        stages.lock().unwrap().clone()
    };
    let first = load();
    let names: Vec<&str> = first.iter().map(|(stage, _)| stage.as_str()).collect();
    assert_eq!(names, ["verify", "accelerator", "engine", "golden"]);
    assert!(first.windows(2).all(|pair| pair[0].1 < pair[1].1), "{first:?}");
    assert_eq!(load().len(), 3, "what was proved on this accelerator is not proved again");
}

/// Every package of the repository gives the same answer to the same input, within golden tolerance, on any number of
/// threads, at any position in a batch, and after loading it again.
#[test]
fn real_shipped_packages_answer_the_same_in_any_batch_on_any_threads_and_after_a_restart() {
    if library().is_none() {
        needs::skip(needs::Lack::Software, "ONNX Runtime not present");
        return;
    }
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/packages");
    let mut shown = 0;
    for directory in std::fs::read_dir(packages).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(package) = Package::open(&directory) else { continue };
        let Some(golden) = package.manifest.golden.clone() else { continue };
        let loaded = |threads| {
            let library = library().unwrap();
            let config = accel::AcceleratorConfig { provider: "cpu".into(), library, threads, ..Default::default() };
            let accelerator = accel::open(&config).unwrap();
            accelerator.load(&package.network("cpu").unwrap().1).unwrap()
        };
        let input = golden::input(&package).unwrap();
        let other = Tensor { data: input.data.iter().rev().copied().collect(), ..input.clone() };
        let run = |model: &mut dyn LoadedModel, inputs: &[&Tensor]| -> Vec<Vec<f32>> {
            let mut shape = input.shape.clone();
            shape[0] = inputs.len();
            let data = inputs.iter().flat_map(|tensor| tensor.data.iter().copied()).collect();
            let answer = model.run(&[Tensor { shape, data }]).unwrap().remove(0);
            answer.data.chunks_exact(answer.data.len() / inputs.len()).map(<[f32]>::to_vec).collect()
        };
        let (mut one, mut two) = (loaded(1), loaded(2));
        let alone = run(one.as_mut(), &[&input]).remove(0);
        let mut again = loaded(1);
        let answers = [
            ("on two threads", run(two.as_mut(), &[&input]).remove(0)),
            ("first of two", run(one.as_mut(), &[&input, &other]).remove(0)),
            ("last of two", run(two.as_mut(), &[&other, &input]).remove(1)),
            ("loaded again", run(again.as_mut(), &[&input]).remove(0)),
        ];
        for (how, answer) in answers {
            let difference = alone.iter().zip(&answer).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            println!("{} {how}: differs by {difference:.2e}", package.manifest.id);
            assert!(difference <= golden.tolerance, "{} {how}: {difference}", package.manifest.id);
        }
        shown += 1;
    }
    assert!(shown > 0, "no package has a golden input");
}

fn job(store: &Store) -> rusqlite::Connection {
    let connection = store.connect(Durability::Rebuildable).unwrap();
    connection
        .execute_batch(
            "INSERT INTO series (id, study_uid, series_uid, modality, kind, state, first_utc, last_utc)
               VALUES (1, '1.2', '1.2.1', 'CT', 'ct', 'processed', '2026', '2026');
             INSERT INTO jobs (id, series_id, version, state, created_utc) VALUES (1, 1, 1, 'done', '2026');",
        )
        .unwrap();
    connection
}

/// A volume of water without lungs.
fn subject() -> shadow::Subject {
    let geometry = Geometry {
        dims: [32, 32, 32],
        spacing_mm: [2.0; 3],
        origin_mm: [0.0; 3],
        axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    let slices = (0..32).map(|_| Arc::from(vec![0_i16; 32 * 32])).collect();
    let mut findings = ChestFindings::none(&models::Reason::NoLungs);
    findings.nodules = Evaluated::Done(Vec::new());
    shadow::Subject {
        job_id: 1,
        volume: Volume { geometry, slices },
        acquisition: Acquisition::default(),
        findings,
        active: "specimen 1.0.0".into(),
        active_ms: 5.0,
    }
}

#[test]
fn real_a_shadow_leaves_a_row_of_differences_and_a_bad_one_its_failure() {
    let Some(home) = Home::real() else { return };
    let shelf = home.shelf();
    let (models, store, _heard) = home.models(&shelf);
    let connection = job(&store);
    let mut engine = Engine::new(shelf.clone());
    let stop = AtomicBool::new(false);
    let rows = || shadows::latest(&connection, None, 9).unwrap();
    shadow::run(&mut engine, &store, &subject(), &stop, &Precedence::default());
    assert!(rows().is_empty(), "there is no candidate");

    models.install(home.archive(&Specimen::version("2.0.0"))).unwrap();
    models.shadow(&key("2.0.0"), true).unwrap();
    shadow::run(&mut engine, &store, &subject(), &stop, &Precedence::default());
    let (row, study, _) = rows().remove(0);
    assert_eq!((row.active.as_str(), row.candidate.as_str()), ("specimen 1.0.0", "specimen 2.0.0"));
    let differences: Vec<serde_json::Value> = serde_json::from_str(&row.differences).unwrap();
    assert_eq!((study.as_str(), row.failure.clone(), differences.len()), ("1.2", None, 9));
    // Water has no lungs, so the candidate evaluates nothing; the active package is made to have evaluated nodules.
    assert_eq!(row.differing, 1);
    assert_eq!(state(&models, "1.0.0"), PackageState::Active);

    let bad = Specimen { golden_error: 0.3, ..Specimen::version("3.0.0") };
    models.install(home.archive(&bad)).unwrap();
    models.shadow(&key("3.0.0"), true).unwrap();
    shadow::run(&mut engine, &store, &subject(), &stop, &Precedence::default());
    let (row, ..) = rows().remove(0);
    assert!(row.failure.as_deref().is_some_and(|why| why.contains("differs by 0.3")), "{row:?}");
    shadow::run(&mut engine, &store, &subject(), &stop, &Precedence::default());
    assert_eq!(rows().len(), 2, "what was refused runs no more");
    assert_eq!(state(&models, "1.0.0"), PackageState::Active, "and the active one goes on");
}

#[test]
fn real_stored_pictures_are_read_by_their_own_package_and_without_it_by_that_of_live_video() {
    let Some(home) = Home::real() else { return };
    let packages = home.0.path().join("packages");
    for id in ["us-breast", "us-breast-stills"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/packages").join(id);
        copy(&from, &packages.join(id));
    }
    let used = || {
        let mut engine = Engine::new(home.shelf());
        let looked = engine.us_stills(&Unattended, |manifest, _| Ok::<_, engine::Error>(manifest.id.clone()));
        let (shown, used) = looked.unwrap();
        assert_eq!(shown, used.manifest.id, "what was used stands in the results");
        shown
    };
    assert_eq!(used(), "us-breast-stills");
    let manifest = packages.join("us-breast-stills/model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let wrong = text.replace("expected = \"golden/expected.npy\"", "expected = \"golden/input.npy\"");
    std::fs::write(&manifest, wrong).unwrap();
    assert_eq!(used(), "us-breast", "the series in work does not wait for a package that fails its golden run");
    std::fs::remove_dir_all(packages.join("us-breast-stills")).unwrap();
    assert_eq!(used(), "us-breast");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn a_shadow_gives_way_when_the_appliance_stops() {
    let home = Home(tempfile::tempdir().unwrap());
    let mut settings = home.settings(1);
    settings.accelerator.provider = "scripted".into();
    Specimen::default().write(&home.0.path().join("packages/specimen")).unwrap();
    let shelf = Shelf::open(&settings).unwrap().0;
    let (models, store, _heard) = home.models(&shelf);
    let connection = job(&store);
    models.install(home.archive(&Specimen::version("2.0.0"))).unwrap();
    models.shadow(&key("2.0.0"), true).unwrap();
    let mut engine = Engine::new(shelf);
    shadow::run(&mut engine, &store, &subject(), &AtomicBool::new(true), &Precedence::default());
    assert!(shadows::latest(&connection, None, 9).unwrap().is_empty(), "stopping leaves no row");
}
