//! A package with two networks: which one a box uses, what it keeps of that, and that a wrong one is never fast. Both are the real
//! network on ONNX Runtime, made slow or wrong in the order in which they are loaded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::models::registry::{Entry, Outcome, PackageState, Record};
use ::models::specimen::Specimen;
use ::models::task::CT_CHEST;
use custody::level::Gate;
use custody::store::Store;
use hal::LoadedModel;
use hal::accel::{self, AccelFault, Accelerator, AcceleratorConfig, Description, Error, Signature, Tensor};
use study::model::{Models, Shelf};
use study::settings::Settings;
use tokio::sync::broadcast;

use crate::models::{has_library, settings_in, until};

/// What is wrong with a network.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Flaw {
    None,
    Slow,
    Wrong,
    NoMemory,
}

/// The flaws of the next networks to be loaded; none when the list is empty.
type Next = Arc<Mutex<Vec<Flaw>>>;

#[derive(Debug)]
struct Device(Box<dyn Accelerator>, Next);

impl Accelerator for Device {
    fn describe(&self) -> Description {
        self.0.describe()
    }

    fn load(&self, onnx: &[u8]) -> Result<Box<dyn LoadedModel>, Error> {
        let mut next = self.1.lock().unwrap();
        let flaw = if next.is_empty() { Flaw::None } else { next.remove(0) };
        Ok(Box::new(Network(self.0.load(onnx)?, flaw)))
    }
}

#[derive(Debug)]
struct Network(Box<dyn LoadedModel>, Flaw);

impl LoadedModel for Network {
    fn inputs(&self) -> &[String] {
        self.0.inputs()
    }

    fn outputs(&self) -> &[String] {
        self.0.outputs()
    }

    fn signature(&self) -> Option<Signature> {
        self.0.signature()
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        let mut answer = self.0.run(inputs)?;
        match self.1 {
            Flaw::None => {}
            // The work of a slow network.
            Flaw::Slow => std::thread::sleep(Duration::from_millis(40)),
            Flaw::Wrong => answer[0].data.iter_mut().for_each(|v| *v = 1.0 - *v),
            Flaw::NoMemory => return Err(Error::new(AccelFault::OutOfMemory, "no memory left")),
        }
        Ok(answer)
    }
}

struct Home {
    folder: tempfile::TempDir,
    settings: Settings,
    next: Next,
}

impl Home {
    /// `None`, reported as skipped, without ONNX Runtime.
    fn new(specimen: &Specimen) -> Option<Self> {
        if !has_library() {
            needs::skip(needs::Lack::Software, "ONNX Runtime not present");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        specimen.write(&folder.path().join("packages/specimen")).unwrap();
        let settings = settings_in(folder.path(), &BTreeMap::new());
        Some(Self { folder, settings, next: Next::default() })
    }

    /// The flaws of the networks that are loaded from now on.
    fn shelf(&self, flaws: &[Flaw]) -> Shelf {
        *self.next.lock().unwrap() = flaws.to_vec();
        let next = self.next.clone();
        let open = move |config: &AcceleratorConfig| {
            Ok(Box::new(Device(accel::open(config)?, next.clone())) as Box<dyn Accelerator>)
        };
        Shelf::open(&self.settings).unwrap().0.opening(open)
    }
}

fn two() -> Specimen {
    Specimen { second: true, ..Specimen::default() }
}

fn entry(shelf: &Shelf) -> Entry {
    shelf.active(CT_CHEST).unwrap()
}

#[test]
fn real_the_faster_of_two_right_networks_is_used_kept_and_named() {
    let Some(home) = Home::new(&two()) else { return };
    let shelf = home.shelf(&[Flaw::Slow, Flaw::None]);
    let loaded = shelf.load_active(CT_CHEST).unwrap();
    assert_eq!(loaded.variant.network, "second.onnx");
    assert!(loaded.on().library.ends_with(", fp16"), "{:?}", loaded.on());
    let record = entry(&shelf).record.unwrap();
    assert_eq!((record.network.as_str(), record.measured.len()), ("second.onnx", 2));
    assert!(record.measured[0].run_ms.unwrap() > record.measured[1].run_ms.unwrap(), "{record:?}");
    // At the next start nothing is measured again: whichever is faster now, the kept one is loaded, alone.
    let shelf = home.shelf(&[Flaw::Slow]);
    let loaded = shelf.load_active(CT_CHEST).unwrap();
    assert_eq!((loaded.variant.network.as_str(), home.next.lock().unwrap().len()), ("second.onnx", 0));
}

#[test]
fn real_a_fast_network_that_answers_wrongly_is_never_used() {
    let Some(home) = Home::new(&two()) else { return };
    let shelf = home.shelf(&[Flaw::Slow, Flaw::Wrong]);
    assert_eq!(shelf.load_active(CT_CHEST).unwrap().variant.network, "network.onnx");
    let record = entry(&shelf).record.unwrap();
    assert!(record.measured[1].refused.as_ref().unwrap().contains("golden run"), "{record:?}");
}

#[test]
fn real_the_accuracy_set_of_a_package_refuses_what_the_golden_run_lets_pass() {
    let Some(home) = Home::new(&Specimen { accuracy: Some(1.0), ..Specimen::default() }) else { return };
    let shelf = home.shelf(&[]);
    let error = shelf.load_active(CT_CHEST).unwrap_err().to_string();
    assert!(error.contains("accuracy set"), "{error}");
    let Some(home) = Home::new(&Specimen { accuracy: Some(0.0), ..Specimen::default() }) else { return };
    assert!(home.shelf(&[]).load_active(CT_CHEST).is_ok());
}

#[test]
fn real_a_package_without_a_right_network_is_refused_and_one_that_had_no_memory_is_looked_at_again() {
    let Some(home) = Home::new(&two()) else { return };
    let shelf = home.shelf(&[Flaw::NoMemory, Flaw::Slow]);
    assert_eq!(shelf.load_active(CT_CHEST).unwrap().variant.network, "second.onnx");
    assert!(entry(&shelf).record.is_none(), "it is no verdict on the first network");
    let shelf = home.shelf(&[Flaw::None, Flaw::Slow]);
    assert_eq!(shelf.load_active(CT_CHEST).unwrap().variant.network, "network.onnx");

    let Some(home) = Home::new(&two()) else { return };
    let shelf = home.shelf(&[Flaw::Wrong, Flaw::Wrong]);
    assert!(shelf.load_active(CT_CHEST).unwrap_err().to_string().contains("golden run"));
    assert!(shelf.active(CT_CHEST).is_err(), "it is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_who_asks_for_the_golden_answers_gets_those_of_today_not_those_that_were_kept() {
    let Some(home) = Home::new(&Specimen::default()) else { return };
    // Loaded for work, proved again, and wrong when it is proved once more.
    let shelf = home.shelf(&[Flaw::None, Flaw::None, Flaw::Wrong]);
    drop(shelf.load_active(CT_CHEST).unwrap());
    let proved = entry(&shelf);
    let old = Record { outcome: Outcome::Ready { difference: Some(0.5) }, ..proved.record.clone().unwrap() };
    shelf.registry().built(&proved.key, old).unwrap();
    let store = Store::open(&home.folder.path().join("scanside.db")).unwrap();
    let models = Models::new(shelf.clone(), store, broadcast::channel(1024).0, Gate::default());
    models.build(&proved.key, false).unwrap();
    until("it is proved again", || !models.is_building()).await;
    let outcome = entry(&shelf).record.unwrap().outcome;
    assert!(matches!(outcome, Outcome::Ready { difference: Some(d) } if d < 0.01), "{outcome:?}");
    models.build(&proved.key, false).unwrap();
    until("it is looked at once more", || !models.is_building()).await;
    let state = models.list().into_iter().find(|listed| listed.entry.key == proved.key).unwrap().state;
    assert!(matches!(&state, PackageState::Refused(why) if why.contains("golden run")), "{state:?}");
}
