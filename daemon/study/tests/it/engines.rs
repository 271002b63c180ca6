//! Which folder of engines a load is given, and what happens to the others there. The accelerator is scripted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ::models::specimen::Specimen;
use ::models::task::CT_CHEST;
use hal::LoadedModel;
use hal::accel::scripted::Scripted;
use hal::accel::{Accelerator, AcceleratorConfig, Description, Error};
use study::model::Shelf;
use study::settings::Settings;

use crate::models::settings_in;

/// One that keeps engines.
#[derive(Debug)]
struct Keeping;

impl Accelerator for Keeping {
    fn describe(&self) -> Description {
        let provider = "onnxruntime-tensorrt".into();
        Description { provider, library: "scripted".into(), fallback: None, simulated: true }
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn LoadedModel>, Error> {
        Scripted::zeros().load(onnx)
    }
}

/// Loads, and answers the folder of engines that the accelerator was opened with at last.
fn folder_of_engines(shelf: Shelf) -> Option<PathBuf> {
    let given: Arc<Mutex<Option<PathBuf>>> = Arc::default();
    let noted = given.clone();
    let open = move |config: &AcceleratorConfig| {
        noted.lock().unwrap().clone_from(&config.cache);
        Ok(Box::new(Keeping) as Box<dyn Accelerator>)
    };
    shelf.opening(open).without_standby().load_active(CT_CHEST).unwrap();
    given.lock().unwrap().clone()
}

fn settings(home: &tempfile::TempDir) -> Settings {
    Specimen::default().write(&home.path().join("packages/specimen")).unwrap();
    settings_in(home.path(), &BTreeMap::new())
}

#[test]
fn sim_a_command_without_a_registry_takes_no_folder_of_its_callers_for_one_of_engines() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(folder_of_engines(Shelf::view(&settings(&home))), None);
    assert!(!std::path::Path::new("engines").exists());
}

#[test]
fn sim_a_command_beside_the_daemon_removes_none_of_its_engines_and_the_daemon_those_of_another_driver() {
    let home = tempfile::tempdir().unwrap();
    let settings = settings(&home);
    let old = home.path().join("models/engines/0011223344556677");
    std::fs::create_dir_all(&old).unwrap();
    let given = folder_of_engines(Shelf::view(&settings)).unwrap();
    assert!(given.starts_with(home.path().join("models/engines")) && old.exists(), "{given:?}");
    assert_eq!(folder_of_engines(Shelf::open(&settings).unwrap().0), Some(given));
    assert!(!old.exists());
}
