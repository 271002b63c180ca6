//! Mammograms of phantoms, with the headers of five vendors, sent by C-STORE: the views are named and the pictures are read.

use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::deadline;
use hil_tests::modality::Modality;
use hil_tests::part10::Instance;
use phantom::mammography::dicom::{Intent, Wanted};
use phantom::mammography::vendor::Vendor;
use phantom::mammography::{Case, Options};
use phantom::visit::Day;

use crate::support::Records;

const SETTLED_WITHIN: Duration = Duration::from_secs(240);
/// Coarser than a detector, so that a study is small.
const PIXEL_MM: f32 = 0.2;

/// A woman without implants, by vendor.
fn woman(vendor: Vendor) -> Case {
    let options =
        Options { pixel_mm: Some(PIXEL_MM), vendor: Some(vendor), implants: Some(false), ..Options::default() };
    Case::new(1_900_021, &options)
}

fn wanted(intents: &[Intent]) -> Wanted {
    Wanted { intents: intents.to_vec(), script: None, day: Day::default(), magnification: false }
}

/// The verdict of the study of each vendor.
async fn verdict(vendor: Vendor, intents: &[Intent]) -> String {
    let case = woman(vendor);
    let wanted = wanted(intents);
    let made = tokio::task::spawn_blocking(move || phantom::mammography::dicom::study(&case, &wanted)).await.unwrap();
    let (study, _) = made.unwrap();
    let extra = "[study]\nquiet_secs = 2.0\n[analyze]\nmg_breast = true\n".to_owned();
    let appliance = Appliance::start(&Setup { extra, ..Setup::default() }).await.unwrap();
    let sent = Modality::new(appliance.address, "MG1", Appliance::AE_TITLE);
    let instances: Vec<Instance> =
        study.instances.iter().map(|one| Instance::from_part10(&one.part10).unwrap()).collect();
    assert_eq!(sent.send(&instances, |_, _| ()).await.unwrap().acknowledged(), instances.len());
    let records = Records::open(&appliance).unwrap();
    let done = || {
        let series = records.series().unwrap();
        !series.is_empty() && series.iter().all(|one| one.verdict.is_some()) && records.is_settled(1).unwrap()
    };
    deadline::until_true("the verdict", SETTLED_WITHIN, done).await.unwrap();
    records.series().unwrap()[0].verdict.clone().unwrap()
}

#[tokio::test]
async fn four_views_of_five_vendors_are_named_and_their_pictures_read_for_what_they_are() {
    for vendor in Vendor::ALL {
        let said = verdict(vendor, &[Intent::Presentation]).await;
        println!("{vendor:?}: {said}");
        assert!(said.starts_with("mammography: 4 of 4 standard views"), "{vendor:?}: {said}");
        for (view, wall) in [("right CC", "right"), ("left CC", "left"), ("right MLO", "right"), ("left MLO", "left")] {
            assert!(said.contains(&format!("{view}: chest wall at the {wall}")), "{vendor:?}, {view}: {said}");
        }
        assert_eq!(
            said.matches("muscle seen").count() - said.matches("no muscle seen").count(),
            2,
            "{vendor:?}: {said}"
        );
        assert!(!said.contains("not read") && !said.contains("another side"), "{vendor:?}: {said}");
    }
}
