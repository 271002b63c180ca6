//! The test of a destination tells which kinds of result it does not take, and why.

use std::time::Duration;

use node::probe::{self, Step};
use node::send::Target;
use node::settings::{Destination, ResultKind};

use super::fixtures::Node;
use super::pacs::{Do, Pacs};

const SEG: &str = "1.2.840.10008.5.1.4.1.1.66.4";

fn target(address: impl ToString) -> Target {
    Target { address: address.to_string(), called_ae: "SCANSIDE".into(), calling_ae: "BOX".into(), tls: None }
}

#[tokio::test]
async fn an_archive_without_segmentations_is_told_by_their_name() {
    let pacs = Pacs::start_at("127.0.0.1:0".parse().unwrap(), 16_384, |class| class != SEG, |_| Do::Answer(0)).await;
    let probe = probe::run(&target(pacs.address), Duration::from_secs(10)).await;
    let names: Vec<_> = probe.not_taken.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Segmentation"]);
    assert!(probe.passed.iter().all(|passed| passed.step != Step::Contexts), "{probe:?}");
}

#[tokio::test]
async fn a_node_that_takes_everything_passes_each_step() {
    let node = Node::start(|_| {}).await;
    let probe = probe::run(&target(node.address), Duration::from_secs(10)).await;
    let steps: Vec<_> = probe.passed.iter().map(|passed| passed.step).collect();
    assert_eq!(steps, [Step::Name, Step::Connection, Step::Association, Step::Contexts, Step::Echo], "{probe:?}");
    assert_eq!((probe.failed, probe.not_taken), (None, vec![]));
}

#[tokio::test]
async fn an_archive_is_asked_only_for_what_it_is_to_get() {
    let takes_sr_only = |class: &str| class == "1.2.840.10008.5.1.4.1.1.88.34" || class == node::VERIFICATION;
    let pacs = Pacs::start_at("127.0.0.1:0".parse().unwrap(), 16_384, takes_sr_only, |_| Do::Answer(0)).await;
    let asked = async |results, rejection_notes| {
        let plain = serde_json::json!({"address": pacs.address.to_string(), "ae_title": "ARCHIVE"});
        let destination: Destination = serde_json::from_value(plain).unwrap();
        let destination = Destination { results, rejection_notes, ..destination };
        let probe = probe::destination(&destination, Duration::from_secs(10)).await;
        (probe.asked, probe.not_taken.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
    };
    assert_eq!(asked(Some(vec![ResultKind::Sr]), false).await, (1, vec![]));
    assert_eq!(asked(Some(vec![ResultKind::Sr]), true).await, (2, vec!["Key Object Selection".to_owned()]));
    let (all, not_taken) = asked(None, false).await;
    assert_eq!((all, not_taken.len()), (8, 7));
}
