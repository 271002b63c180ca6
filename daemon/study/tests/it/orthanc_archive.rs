//! Orthanc as the archive of the outbox: storage commitment that the box asks, and the same by STOW-RS.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use custody::store::asks;
use needs::peers::{Program, Service, tried};
use node::services::Archive;
use node::settings::Asking;
use serde_json::json;

use super::fixtures::{Node, PATIENCE, data_set_explicit, part10};
use super::orthanc::{Orthanc, USER};
use super::outbox_support::Box_;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";

async fn until_committed(outbox: &Box_, orthanc: &Orthanc) {
    let all = async {
        while outbox.list().iter().any(|one| one.commitment.as_deref() != Some(asks::COMMITTED)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, all).await;
    assert!(waited.is_ok(), "{:?}\n{}", outbox.list(), orthanc.log());
}

/// Results that Orthanc can index: with the UIDs that their rows have.
fn queue(outbox: &mut Box_, count: i64) -> Vec<String> {
    let uids = outbox.queue(count);
    outbox.rows.execute("UPDATE results SET study_uid = '1.2.3.4', series_uid = '1.2.3.4.5'", []).unwrap();
    for (file, uid) in (1..).zip(&uids) {
        outbox.made(&format!("{file}.dcm"), &part10(CT, uid, EXPLICIT, &data_set_explicit(uid, 5000)));
    }
    uids
}

#[tokio::test(flavor = "multi_thread")]
async fn orthanc_reports_storage_commitment_of_what_it_took() {
    let Some(orthanc) = Orthanc::start(json!({})).await else { return };
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Ask;
    let known = Archive {
        ae_title: Orthanc::AE_TITLE.into(),
        our_title: "SCANSIDE".into(),
        address: orthanc.dicom.to_string(),
        tls: None,
    };
    let node = Node::start_beside(&outbox.store, &outbox.wake, vec![known], |_| {}).await;
    let box_ = json!({ "AET": "SCANSIDE", "Host": "127.0.0.1", "Port": node.address.port() });
    let (code, said) = orthanc.request("PUT", "/modalities/box", &box_.to_string()).await;
    assert_eq!(code, 200, "{}", String::from_utf8_lossy(&said));
    // After the node has started: it tidies the rows of results whose files are not in its own folder.
    let uids = queue(&mut outbox, 3);
    outbox.start_titled(orthanc.dicom, Orthanc::AE_TITLE);
    until_committed(&outbox, &orthanc).await;
    assert_eq!(orthanc.uids().await, uids);
    assert_eq!(asks::offers(&outbox.rows, "pacs").unwrap(), Some(true));
    outbox.stop().await;
    tried(Program::Orthanc, &[Service::CommitmentOut]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_orthanc_took_by_stow_rs_is_found_there_and_committed() {
    let Some(orthanc) = Orthanc::start(json!({})).await else { return };
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    let password = outbox.directory.path().join("password");
    std::fs::write(&password, USER.1).unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let uids = queue(&mut outbox, 3);
    outbox.start_web(&orthanc.url(), |one| {
        (one.user, one.password_file) = (Some(USER.0.into()), Some(password));
    });
    until_committed(&outbox, &orthanc).await;
    assert_eq!(orthanc.uids().await, uids);
    outbox.stop().await;
}
