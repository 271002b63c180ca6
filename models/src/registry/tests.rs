//! The life of packages, and what must never happen to them.

use super::*;
use crate::package::MANIFEST;
use crate::signature::testing::Maker;
use crate::specimen::Specimen;

pub const TASK: &str = "ct_chest";
const OTHER: &str = "us_breast";
const CPU: &str = "cpu, a library";

pub fn key(version: &str) -> Key {
    Key::new("specimen", version)
}

/// The place of a registry. Its packages are signed with the development key, kept as a trusted one in `keys`.
pub struct Home {
    root: std::path::PathBuf,
    _own: Option<tempfile::TempDir>,
}

impl Home {
    pub fn new() -> Self {
        let own = tempfile::tempdir().unwrap();
        Self { root: own.path().to_owned(), _own: Some(own) }
    }

    pub fn at(path: &Path) -> Self {
        Self { root: path.to_owned(), _own: None }
    }

    pub fn path(&self) -> &Path {
        &self.root
    }

    pub fn built_in(&self) -> PathBuf {
        self.root.join("built-in")
    }

    pub fn keys(&self) -> PathBuf {
        let keys = self.root.join("keys");
        std::fs::create_dir_all(&keys).unwrap();
        std::fs::write(keys.join("maker.pub"), include_str!("../../keys/development.pub")).unwrap();
        keys
    }

    pub fn start(&self) -> (Registry, open::Swept) {
        let (trust, _) = Trust::load(&[self.keys()]);
        Registry::open(&self.root, &self.built_in(), trust, &[TASK, OTHER]).unwrap()
    }

    pub fn open(&self) -> Registry {
        self.start().0
    }

    pub fn put(registry: &mut Registry, specimen: &Specimen) -> Result<(Key, Change), Error> {
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("a.scanside");
        specimen.archive(&archive).unwrap();
        let staged = registry.installer().stage(std::fs::File::open(archive).unwrap())?;
        registry.commit(staged)
    }

    pub fn install(registry: &mut Registry, version: &str) -> Result<(Key, Change), Error> {
        Self::put(registry, &Specimen::version(version))
    }

    pub fn ready(registry: &Registry, version: &str) -> Record {
        let sha256 = registry.get(&key(version)).unwrap().sha256.clone();
        Record {
            sha256,
            accelerator: CPU.into(),
            outcome: Outcome::Ready { difference: Some(0.0) },
            network: "network.onnx".into(),
            measured: Vec::new(),
        }
    }

    fn built(registry: &mut Registry, version: &str) {
        let record = Self::ready(registry, version);
        registry.built(&key(version), record).unwrap();
    }

    fn refused(registry: &mut Registry, version: &str, reason: &str) -> Option<Key> {
        let outcome = Outcome::Refused { reason: reason.into() };
        let record = Record { outcome, ..Self::ready(registry, version) };
        registry.built(&key(version), record).unwrap()
    }
}

fn states(registry: &Registry) -> Vec<(String, &'static str)> {
    registry.entries().map(|entry| (entry.key.version.clone(), registry.state(entry).as_str())).collect()
}

fn active(registry: &Registry) -> Option<String> {
    registry.active(TASK).ok().map(|entry| entry.key.version.clone())
}

#[test]
fn a_package_goes_from_installed_to_active_and_a_restart_changes_nothing() {
    let home = Home::new();
    let mut registry = home.open();
    assert!(registry.active(TASK).unwrap_err().to_string().contains("no usable model package for ct_chest"));
    assert_eq!(Home::install(&mut registry, "1.0.0").unwrap(), (key("1.0.0"), Change::Changed));
    assert_eq!(states(&registry), [("1.0.0".into(), "installed")]);
    registry.building(&key("1.0.0"), "engine", 0.5);
    assert_eq!(states(&registry), [("1.0.0".into(), "building")]);
    registry.build_ended(&key("1.0.0"), None);
    Home::built(&mut registry, "1.0.0");
    assert_eq!(states(&registry), [("1.0.0".into(), "ready")]);
    assert!(registry.get(&key("1.0.0")).unwrap().ready_on(CPU).is_some());
    assert!(
        registry.get(&key("1.0.0")).unwrap().ready_on("another").is_none(),
        "a change of the accelerator asks for a build"
    );
    assert_eq!(registry.activate(&key("1.0.0")).unwrap(), Change::Changed);
    assert_eq!(registry.activate(&key("1.0.0")).unwrap(), Change::Already);
    for registry in [registry, home.open()] {
        assert_eq!(states(&registry), [("1.0.0".into(), "active")]);
    }
}

#[test]
fn installing_what_is_installed_says_so_and_other_content_of_the_same_version_is_refused() {
    let home = Home::new();
    let mut registry = home.open();
    Home::install(&mut registry, "1.0.0").unwrap();
    assert_eq!(Home::install(&mut registry, "1.0.0").unwrap().1, Change::Already);
    let other = Specimen { threshold: 0.6, ..Specimen::default() };
    let error = Home::put(&mut registry, &other).unwrap_err();
    assert_eq!(error.kind(), RegistryFault::Refused);
    assert!(error.to_string().contains("needs a new version"), "{error}");
}

#[test]
fn what_was_damaged_on_the_disk_is_mended_by_installing_it_again() {
    let home = Home::new();
    let mut registry = home.open();
    Home::install(&mut registry, "1.0.0").unwrap();
    let network = registry.get(&key("1.0.0")).unwrap().directory.join("network.onnx");
    std::fs::write(&network, b"rot").unwrap();
    assert!(registry.get(&key("1.0.0")).unwrap().open(&registry.trust).unwrap_err().to_string().contains("sha256"));
    assert_eq!(Home::install(&mut registry, "1.0.0").unwrap().1, Change::Changed);
    registry.get(&key("1.0.0")).unwrap().open(&registry.trust).unwrap();
}

#[test]
fn what_was_refused_may_be_tried_again_after_it_is_installed_again() {
    let home = Home::new();
    let mut registry = home.open();
    Home::install(&mut registry, "1.0.0").unwrap();
    Home::refused(&mut registry, "1.0.0", "does not load");
    assert_eq!(Home::install(&mut registry, "1.0.0").unwrap().1, Change::Changed);
    for registry in [&registry, &home.open()] {
        assert_eq!(states(registry), [("1.0.0".into(), "installed")]);
    }
    assert_eq!(Home::install(&mut registry, "1.0.0").unwrap().1, Change::Already);
}

#[test]
fn a_package_that_was_repaired_in_place_is_not_refused_any_more_at_the_next_start() {
    let home = Home::new();
    Specimen::version("0.1.0").write(&home.built_in().join("specimen")).unwrap();
    let mut registry = home.open();
    let outcome = Outcome::Refused { reason: "sha256".into() };
    let record = Record { outcome, accelerator: String::new(), ..Home::ready(&registry, "0.1.0") };
    let network = home.built_in().join("specimen/network.onnx");
    let good = std::fs::read(&network).unwrap();
    std::fs::write(&network, b"rot").unwrap();
    registry.built(&key("0.1.0"), record).unwrap();
    assert_eq!(active(&home.open()), None, "still damaged");
    std::fs::write(&network, good).unwrap();
    assert_eq!(active(&home.open()).as_deref(), Some("0.1.0"));
}

#[test]
fn a_package_for_a_task_that_this_software_does_not_have_is_refused() {
    let home = Home::new();
    let mut registry = home.open();
    let error = Home::put(&mut registry, &Specimen { task: "mr_knee".into(), ..Specimen::default() }).unwrap_err();
    assert!(error.to_string().contains("mr_knee"), "{error}");
    assert_eq!(registry.entries().count(), 0);
    assert_eq!(std::fs::read_dir(layout::staging(home.path())).unwrap().count(), 0, "nothing is left of it");
}

#[test]
fn what_fails_its_golden_run_is_refused_and_the_last_good_stays_or_becomes_active() {
    let home = Home::new();
    let mut registry = home.open();
    for version in ["1.0.0", "2.0.0", "3.0.0"] {
        Home::install(&mut registry, version).unwrap();
    }
    for version in ["1.0.0", "2.0.0"] {
        Home::built(&mut registry, version);
        registry.activate(&key(version)).unwrap();
    }
    assert_eq!(Home::refused(&mut registry, "3.0.0", "differs by 0.3"), None, "it was not in use");
    let error = registry.activate(&key("3.0.0")).unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("differs by 0.3")), (RegistryFault::Refused, true), "{error}");
    assert_eq!(active(&registry).as_deref(), Some("2.0.0"));
    // The active one turns out bad, on another driver say.
    assert_eq!(Home::refused(&mut registry, "2.0.0", "does not load"), Some(key("1.0.0")));
    for registry in [&registry, &home.open()] {
        assert_eq!(active(registry).as_deref(), Some("1.0.0"));
    }
    assert_eq!(Home::refused(&mut registry, "1.0.0", "does not load"), None);
    let why = registry.active(TASK).unwrap_err().to_string();
    assert!(why.contains("specimen 1.0.0: does not load") && why.contains("specimen 2.0.0"), "{why}");
    // A later build may mend it; it is activated by people only.
    Home::built(&mut registry, "2.0.0");
    assert_eq!(active(&registry), None);
    registry.activate(&key("2.0.0")).unwrap();
    assert_eq!(active(&registry).as_deref(), Some("2.0.0"));
}

#[test]
fn a_choice_that_is_gone_after_a_restart_falls_back_to_the_last_good() {
    let home = Home::new();
    let mut registry = home.open();
    for version in ["1.0.0", "2.0.0"] {
        Home::install(&mut registry, version).unwrap();
        Home::built(&mut registry, version);
        registry.activate(&key(version)).unwrap();
    }
    let directory = registry.get(&key("2.0.0")).unwrap().directory.clone();
    drop(registry);
    std::fs::write(directory.join(MANIFEST), "format = 1").unwrap();
    let (registry, swept) = home.start();
    assert_eq!(swept.fallen_back, [(TASK.to_owned(), Some(key("1.0.0")))]);
    assert_eq!(states(&registry), [("1.0.0".into(), "active"), ("2.0.0".into(), "refused")]);
    assert_eq!(home.start().1, open::Swept::default(), "said once");
}

#[test]
fn rolling_back_goes_to_the_last_good_then_to_what_came_with_the_software_and_then_no_further() {
    let home = Home::new();
    Specimen::version("0.1.0").write(&home.built_in().join("specimen")).unwrap();
    let mut registry = home.open();
    assert_eq!(active(&registry).as_deref(), Some("0.1.0"), "what came with the software needs no choice");
    for version in ["1.0.0", "2.0.0"] {
        Home::install(&mut registry, version).unwrap();
        registry.activate(&key(version)).unwrap();
    }
    assert_eq!(registry.rollback(TASK).unwrap(), key("1.0.0"));
    assert_eq!(registry.rollback(TASK).unwrap(), key("0.1.0"));
    let error = registry.rollback(TASK).unwrap_err();
    assert_eq!((error.kind(), active(&registry).as_deref()), (RegistryFault::NotPossible, Some("0.1.0")), "{error}");
}

#[test]
fn a_software_update_brings_its_own_package_unless_someone_chose_another() {
    let home = Home::new();
    let shipped = home.built_in().join("specimen");
    Specimen::version("0.1.0").write(&shipped).unwrap();
    let mut registry = home.open();
    registry.activate(&key("0.1.0")).unwrap();
    std::fs::remove_dir_all(&shipped).unwrap();
    Specimen::version("0.2.0").write(&shipped).unwrap();
    assert_eq!(active(&home.open()).as_deref(), Some("0.2.0"), "the chosen one is gone with the old software");
    let mut registry = home.open();
    Home::install(&mut registry, "1.0.0").unwrap();
    registry.activate(&key("1.0.0")).unwrap();
    std::fs::remove_dir_all(&shipped).unwrap();
    Specimen::version("9.0.0").write(&shipped).unwrap();
    assert_eq!(active(&home.open()).as_deref(), Some("1.0.0"), "a site's choice stays");
}

/// The software of this box is another one now.
fn ships(home: &Home, specimen: &Specimen) {
    let shipped = home.built_in().join("specimen");
    let _ = std::fs::remove_dir_all(&shipped);
    specimen.write(&shipped).unwrap();
}

#[test]
fn an_update_that_ships_what_was_installed_before_leaves_no_task_without_a_package() {
    let home = Home::new();
    ships(&home, &Specimen::version("0.4.0"));
    let mut registry = home.open();
    registry.activate(&key("0.4.0")).unwrap();
    Home::install(&mut registry, "0.5.0").unwrap();
    ships(&home, &Specimen::version("0.5.0"));
    let (registry, swept) = home.start();
    assert_eq!(swept.fallen_back, [(TASK.to_owned(), Some(key("0.5.0")))]);
    assert_eq!(active(&registry).as_deref(), Some("0.5.0"));
    assert_eq!(registry.get(&key("0.5.0")).unwrap().origin, Origin::BuiltIn);
}

#[test]
fn a_choice_whose_installed_files_rot_or_lose_their_key_is_still_met_by_the_same_content_of_the_software() {
    let home = Home::new();
    let mut registry = home.open();
    Home::install(&mut registry, "0.5.0").unwrap();
    registry.activate(&key("0.5.0")).unwrap();
    let network = registry.get(&key("0.5.0")).unwrap().directory.join("network.onnx");
    std::fs::write(network, b"rot").unwrap();
    // Found by a load before the update: of the files, on no accelerator.
    let outcome = Outcome::Refused { reason: "sha256".into() };
    let record = Record { outcome, accelerator: String::new(), ..Home::ready(&registry, "0.5.0") };
    registry.built(&key("0.5.0"), record).unwrap();
    assert_eq!(active(&registry), None);
    ships(&home, &Specimen::version("0.5.0"));
    for trust in [Trust::load(&[home.keys()]).0, Maker::new().trust()] {
        let (registry, _) = Registry::open(home.path(), &home.built_in(), trust, &[TASK]).unwrap();
        assert_eq!(active(&registry).as_deref(), Some("0.5.0"));
        registry.active(TASK).unwrap().open(&registry.trust).unwrap();
    }
}

#[test]
fn of_two_contents_of_one_version_a_sites_choice_is_used_until_it_is_bad_and_otherwise_what_is_shipped() {
    let home = Home::new();
    let mut registry = home.open();
    Home::install(&mut registry, "0.5.0").unwrap();
    let own = registry.get(&key("0.5.0")).unwrap().sha256.clone();
    ships(&home, &Specimen { threshold: 0.6, ..Specimen::version("0.5.0") });
    let used = |registry: &Registry| registry.active(TASK).unwrap().sha256.clone();
    assert_ne!(used(&home.open()), own, "nobody has chosen it");
    registry.activate(&key("0.5.0")).unwrap();
    let mut registry = home.open();
    assert_eq!(used(&registry), own);
    Home::refused(&mut registry, "0.5.0", "differs by 0.3");
    for registry in [&registry, &home.open()] {
        assert_ne!(used(registry), own);
        assert_eq!(registry.get(&key("0.5.0")).unwrap().refusal(), None, "that was said of the other one");
    }
}

#[test]
fn removing_what_replaced_a_damaged_package_of_the_software_leaves_that_in_the_list() {
    let home = Home::new();
    for version in ["0.1.0", "0.2.0"] {
        Specimen::version(version).write(&home.built_in().join(version)).unwrap();
    }
    std::fs::write(home.built_in().join("0.1.0/network.onnx"), b"rot").unwrap();
    let mut registry = home.open();
    Home::install(&mut registry, "0.1.0").unwrap();
    let of = |registry: &Registry| registry.get(&key("0.1.0")).map(|entry| entry.origin).ok();
    for mut registry in [registry, home.open()] {
        assert_eq!(of(&registry), Some(Origin::Installed));
        registry.get(&key("0.1.0")).unwrap().open(&registry.trust).unwrap();
        registry.remove(&key("0.1.0")).unwrap();
        assert_eq!(of(&registry), Some(Origin::BuiltIn));
        Home::install(&mut registry, "0.1.0").unwrap();
    }
}

#[test]
fn switched_off_means_nothing_runs_until_something_is_activated() {
    let home = Home::new();
    Specimen::version("0.1.0").write(&home.built_in().join("specimen")).unwrap();
    let mut registry = home.open();
    assert_eq!(registry.deactivate(&key("0.1.0")).unwrap(), Change::Changed);
    assert_eq!(registry.deactivate(&key("0.1.0")).unwrap(), Change::Already);
    for registry in [&registry, &home.open()] {
        assert_eq!(states(registry), [("0.1.0".into(), "deactivated")]);
        assert!(registry.active(TASK).unwrap_err().to_string().contains("was switched off"));
    }
    registry.activate(&key("0.1.0")).unwrap();
    assert_eq!(active(&registry).as_deref(), Some("0.1.0"));
}

#[test]
fn what_is_in_use_cannot_be_removed_and_says_why() {
    let home = Home::new();
    Specimen::version("0.1.0").write(&home.built_in().join("specimen")).unwrap();
    let mut registry = home.open();
    for version in ["1.0.0", "2.0.0"] {
        Home::install(&mut registry, version).unwrap();
    }
    registry.activate(&key("1.0.0")).unwrap();
    registry.set_shadow(&key("2.0.0"), true).unwrap();
    for (version, why) in [("0.1.0", "came with the software"), ("1.0.0", "is active"), ("2.0.0", "runs as shadow")] {
        let error = registry.remove(&key(version)).unwrap_err();
        assert!(error.kind() == RegistryFault::NotPossible && error.to_string().contains(why), "{error}");
    }
    assert_eq!(registry.remove(&key("7.0.0")).unwrap_err().kind(), RegistryFault::NotFound);
    registry.set_shadow(&key("2.0.0"), false).unwrap();
    let directory = registry.get(&key("2.0.0")).unwrap().directory.clone();
    registry.remove(&key("2.0.0")).unwrap();
    assert!(!directory.exists());
    assert_eq!(states(&home.open()), [("0.1.0".into(), "installed"), ("1.0.0".into(), "active")]);
}

#[test]
fn a_shadow_is_another_package_than_the_active_one() {
    let home = Home::new();
    let mut registry = home.open();
    for version in ["1.0.0", "2.0.0"] {
        Home::install(&mut registry, version).unwrap();
    }
    registry.activate(&key("1.0.0")).unwrap();
    assert_eq!(registry.set_shadow(&key("1.0.0"), true).unwrap_err().kind(), RegistryFault::NotPossible);
    registry.set_shadow(&key("2.0.0"), true).unwrap();
    assert_eq!(home.open().shadow(TASK).unwrap().key, key("2.0.0"));
    Home::refused(&mut registry, "2.0.0", "bad");
    assert!(registry.shadow(TASK).is_none(), "a refused one does not run");
    Home::built(&mut registry, "2.0.0");
    registry.activate(&key("2.0.0")).unwrap();
    assert!(registry.shadow(TASK).is_none(), "it is the active one now");
}

#[test]
fn one_task_goes_on_when_the_package_of_another_is_bad() {
    let home = Home::new();
    let mut registry = home.open();
    Home::install(&mut registry, "1.0.0").unwrap();
    registry.activate(&key("1.0.0")).unwrap();
    let breast = Specimen { id: "breast".into(), task: OTHER.into(), ..Specimen::default() };
    Home::put(&mut registry, &breast).unwrap();
    registry.activate(&Key::new("breast", "1.0.0")).unwrap();
    let directory = registry.get(&Key::new("breast", "1.0.0")).unwrap().directory.clone();
    std::fs::remove_file(directory.join(MANIFEST)).unwrap();
    let registry = home.open();
    assert_eq!(active(&registry).as_deref(), Some("1.0.0"));
    assert!(registry.active(OTHER).unwrap_err().to_string().contains("model.toml"));
}

#[test]
fn a_key_that_was_taken_away_takes_its_packages_out_of_use() {
    let home = Home::new();
    let mut registry = home.open();
    Home::install(&mut registry, "1.0.0").unwrap();
    registry.activate(&key("1.0.0")).unwrap();
    let trust = Maker::new().trust();
    let (registry, _) = Registry::open(home.path(), &home.built_in(), trust, &[TASK]).unwrap();
    assert_eq!(states(&registry), [("1.0.0".into(), "refused")]);
    assert!(registry.active(TASK).unwrap_err().to_string().contains("not trusted here"));
}

#[test]
fn a_choice_that_cannot_be_read_just_now_is_kept_and_comes_back() {
    let home = Home::new();
    let mut registry = home.open();
    for version in ["1.0.0", "2.0.0"] {
        Home::install(&mut registry, version).unwrap();
        Home::built(&mut registry, version);
        registry.activate(&key(version)).unwrap();
    }
    let signature = registry.get(&key("2.0.0")).unwrap().directory.join(crate::package::SIGNATURE);
    let away = home.path().join("away");
    std::fs::rename(&signature, &away).unwrap();
    // A link to itself: reading it fails, and not because it is missing.
    std::os::unix::fs::symlink(&signature, &signature).unwrap();
    let (registry, swept) = home.start();
    assert_eq!((active(&registry).as_deref(), swept.fallen_back.len(), swept.unreadable.len()), (Some("1.0.0"), 0, 1));
    let error = registry.get(&key("2.0.0")).unwrap().open(&registry.trust).unwrap_err();
    assert_eq!(error.kind(), RegistryFault::Io, "{error}");
    std::fs::rename(&away, &signature).unwrap();
    assert_eq!(active(&home.open()).as_deref(), Some("2.0.0"));
}

#[test]
fn what_was_wrong_on_another_accelerator_may_be_tried_again_and_what_was_wrong_on_this_one_not() {
    let home = Home::new();
    let mut registry = home.open();
    Home::install(&mut registry, "1.0.0").unwrap();
    Home::refused(&mut registry, "1.0.0", "differs by 0.3");
    registry.forget_refusals_elsewhere(CPU);
    assert_eq!((states(&registry)[0].1, registry.refused_by_run().count()), ("refused", 1));
    registry.forget_refusals_elsewhere("cpu, a newer library");
    assert_eq!((states(&registry)[0].1, registry.refused_by_run().count()), ("installed", 0));
}

#[test]
fn small_files_that_cannot_be_read_are_ignored_and_named() {
    let home = Home::new();
    let mut registry = home.open();
    Home::install(&mut registry, "1.0.0").unwrap();
    Home::built(&mut registry, "1.0.0");
    registry.activate(&key("1.0.0")).unwrap();
    std::fs::write(layout::record(home.path(), &key("1.0.0")), "noise = [").unwrap();
    std::fs::write(layout::task(home.path(), TASK), "noise = [").unwrap();
    let (registry, swept) = home.start();
    assert_eq!(swept.unreadable.len(), 2, "{swept:?}");
    assert_eq!(states(&registry), [("1.0.0".into(), "installed")]);
}
