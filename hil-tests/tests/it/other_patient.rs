//! Patient changes at a real box: images that come again under another name, and one accession number of two patients. No result leaves while
//! it is not known whose it is, and what leaves then has the patient that was decided for.

use std::path::Path;
use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::elements::Elements;
use hil_tests::modality::Modality;
use hil_tests::pacs::{Conduct, Pacs};
use hil_tests::part10::Instance;
use phantom::{Options, Phantom};

use crate::live_support::said;
use crate::support::{Records, Sending};

const WITHIN: Duration = Duration::from_secs(60);
const EVA: (&str, &str) = ("E1", "PHANTOM^EVA");
const ADA: (&str, &str) = ("A2", "PHANTOM^ADA");

/// A chest without slices in its middle: it is refused with a report, which takes no time.
fn chest(seed: u64, (id, name): (&str, &str), accession: &str) -> Vec<Instance> {
    let options = Options { columns: 64, rows: 64, pixel_mm: 5.8, slices: 36, slice_mm: 8.0, ..Options::default() };
    let (study, _) = Phantom::chest(seed, &options).unwrap();
    let dressed = study.instances.iter().map(|one| {
        let mut object = dicom_object::from_reader(one.part10.as_slice()).unwrap();
        for (tag, vr, value) in [
            (tags::PATIENT_ID, VR::LO, id),
            (tags::PATIENT_NAME, VR::PN, name),
            (tags::ACCESSION_NUMBER, VR::SH, accession),
        ] {
            object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
        }
        let mut file = Vec::new();
        object.write_all(&mut file).unwrap();
        Instance::from_part10(&file).unwrap()
    });
    let mut instances: Vec<_> = dressed.collect();
    instances.drain(17..=19);
    instances
}

struct Case {
    pacs: Pacs,
    appliance: Appliance,
    records: Records,
    _folder: tempfile::TempDir,
}

impl Case {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pacs = Pacs::start("PACS", folder.path()).await.unwrap();
        let extra = format!(
            "[destination.pacs]\naddress = \"{}\"\nae_title = \"PACS\"\nretry_secs = 0.1\nretry_max_secs = 0.4\naccepts_simulated = true\n",
            pacs.address
        );
        let appliance = Appliance::start(&Setup { extra, quiet_secs: 0.5, ..Setup::default() }).await.unwrap();
        let records = Records::open(&appliance).unwrap();
        Self { pacs, appliance, records, _folder: folder }
    }

    async fn send(&self, instances: &[Instance]) {
        let modality = Modality::new(self.appliance.address, "CT", Appliance::AE_TITLE);
        assert_eq!(modality.send(instances, |_, _| {}).await.unwrap().acknowledged(), instances.len());
    }

    async fn until(&self, what: &str, ask: impl Fn(&[Sending]) -> bool) {
        let waited = deadline::until_true(what, WITHIN, || ask(&self.records.outbox().unwrap())).await;
        waited.unwrap_or_else(|error| {
            panic!("{error:#}: {:?}\n{}", self.records.outbox().unwrap(), self.appliance.log_tail())
        });
    }

    /// The archive was away when the results were made, and is back when the images have come again as those of another patient.
    async fn contested(&self, seed: u64) -> String {
        self.pacs.behave(Conduct::Vanish);
        let closed = || std::net::TcpStream::connect(self.pacs.address).is_err();
        deadline::until_true("a closed port", WITHIN, closed).await.unwrap();
        let known = self.records.outbox().unwrap().len();
        self.send(&chest(seed, EVA, "ACC-1")).await;
        self.until("results that wait", |outbox| outbox.len() > known && self.records.is_read(2).unwrap()).await;
        let study = self.records.outbox().unwrap().last().unwrap().study_uid.clone();
        self.send(&chest(seed, ADA, "ACC-1")).await;
        self.pacs.behave(Conduct::Accept);
        let withheld = |one: &Sending| {
            one.state == "pending" && one.reason.as_ref().is_some_and(|reason| reason.contains("another patient"))
        };
        self.until("why they wait", |outbox| outbox.iter().filter(|one| one.study_uid == study).all(withheld)).await;
        study
    }

    async fn resolve(&self, study: &str, choice: &str) {
        said(&self.appliance, &["studies", "resolve", study, choice]).await;
    }

    async fn until_delivered(&self, study: &str) {
        self.until("everything delivered", |outbox| {
            let of_it: Vec<_> = outbox.iter().filter(|one| one.study_uid == study).collect();
            self.records.is_read(2).unwrap()
                && of_it.iter().all(|one| ["delivered", "superseded"].contains(&one.state.as_str()))
                && of_it.iter().any(|one| one.state == "delivered")
        })
        .await;
    }

    /// Name and ID of every object at the archive.
    fn names(&self) -> Vec<(String, String)> {
        self.pacs.received().iter().map(|one| who(&one.path)).collect()
    }
}

fn who(file: &Path) -> (String, String) {
    let data = Instance::open(file).unwrap().unwrap().data_set().unwrap();
    let read = Elements::new(true, &data);
    (read.text((0x0010, 0x0020)), read.text((0x0010, 0x0010)))
}

fn owned((id, name): (&str, &str)) -> (String, String) {
    (id.to_owned(), name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_while_images_that_came_again_say_another_patient_until_a_person_decides_for_the_new_one() {
    let mut case = Case::start().await;
    let study = case.contested(901).await;
    assert_eq!(case.names(), [], "nothing left");
    // Also over a restart, and another study goes on.
    case.appliance.kill().await.unwrap();
    case.appliance.restart().await.unwrap();
    case.send(&chest(902, ADA, "ACC-2")).await;
    case.until("the other study at the archive", |_| !case.pacs.received().is_empty()).await;
    assert!(case.names().iter().all(|name| *name == owned(ADA)));
    let others = case.pacs.received().len();
    case.resolve(&study, "--take-new").await;
    case.until_delivered(&study).await;
    assert!(case.pacs.received().len() > others);
    assert!(case.names().iter().all(|name| *name == owned(ADA)), "under the old name nothing ever left");
    case.appliance.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_withheld_is_sent_when_a_person_decides_that_the_first_name_was_right() {
    let mut case = Case::start().await;
    let study = case.contested(911).await;
    assert_eq!(case.names(), [], "nothing left");
    case.resolve(&study, "--keep-old").await;
    case.until_delivered(&study).await;
    let names = case.names();
    assert!(!names.is_empty() && names.iter().all(|name| *name == owned(EVA)), "{names:?}");
    case.appliance.stop().await.unwrap();
}

/// The scanner's user took the wrong line of the worklist: two studies under one accession number. Each goes under what its own images say; nothing is
/// carried from one to the other.
#[tokio::test(flavor = "multi_thread")]
async fn two_patients_under_one_accession_number_are_two_studies_and_each_result_has_its_own() {
    let mut case = Case::start().await;
    case.send(&chest(921, EVA, "ACC-9")).await;
    case.send(&chest(922, ADA, "ACC-9")).await;
    case.until("all delivered", |outbox| {
        case.records.is_read(4).unwrap() && outbox.len() >= 4 && outbox.iter().all(|one| one.state == "delivered")
    })
    .await;
    let outbox = case.records.outbox().unwrap();
    for received in case.pacs.received() {
        let study = &outbox.iter().find(|one| one.sop_uid == received.sop_instance_uid).unwrap().study_uid;
        let data = Instance::open(&received.path).unwrap().unwrap().data_set().unwrap();
        assert_eq!(Elements::new(true, &data).text((0x0020, 0x000d)), *study);
    }
    let names = case.names();
    for patient in [EVA, ADA] {
        assert_eq!(names.iter().filter(|name| **name == owned(patient)).count(), names.len() / 2, "{names:?}");
    }
    case.appliance.stop().await.unwrap();
}
