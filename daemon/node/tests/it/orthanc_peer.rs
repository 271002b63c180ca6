//! Orthanc as a peer: STOW-RS, C-ECHO, C-STORE, storage commitment and the worklist, with TLS and without, both ways where it can.

use std::os::unix::fs::PermissionsExt;

use needs::peers::{Program, Service, tried};
use node::outcome;
use node::probe::{self, Step};
use node::send::{self, File, SendFault, Target};
use node::services::Archive;
use node::stow::{self, Login, Object, Presence, Session, Taken};
use node::tls::Client;
use node::tls::settings::DestinationTls;
use serde_json::json;

use super::fixtures::{CT, Node, PATIENCE, data_set_explicit, part10};
use super::orthanc::{Orthanc, USER};
use super::tls_support::Site;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";

fn bytes(uid: &str) -> Vec<u8> {
    part10(CT, uid, EXPLICIT, &data_set_explicit(uid, 5000))
}

fn file(folder: &std::path::Path, uid: &str) -> File {
    let path = folder.join(format!("{uid}.dcm"));
    std::fs::write(&path, bytes(uid)).unwrap();
    File::open(&path).unwrap()
}

fn object(uid: &str) -> Object<'_> {
    Object { study_uid: "1.2.3.4", series_uid: "1.2.3.4.5", sop_uid: uid }
}

#[tokio::test(flavor = "multi_thread")]
async fn orthanc_takes_objects_by_stow_rs_and_says_that_it_has_them() {
    let Some(orthanc) = Orthanc::start(json!({})).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    let write = |text: &str| {
        std::fs::write(&password, text).unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("wrong\n");
    let login = Login::Basic { user: USER.0.into(), password: password.clone() };
    let service = stow::Service { url: orthanc.url().parse().unwrap(), login: Some(login), tls: None };
    let mut session = Session::open(&service).await.unwrap();
    let error = session.store(&file(folder.path(), "1.2.3.1"), &object("1.2.3.1")).await.unwrap_err();
    assert_eq!(error.kind(), SendFault::Everything, "{error}");
    let told = probe::web::run(&service, PATIENCE).await.failed.unwrap();
    assert_eq!(told.step, Step::Login, "{}", told.what);

    write(USER.1);
    let good = probe::web::run(&service, PATIENCE).await;
    assert_eq!((good.failed, orthanc.instances().await.len()), (None, 0));
    assert_eq!(good.passed.last().map(|last| (last.step, last.what.as_str())), Some((Step::Query, "offered")));
    let mut session = Session::open(&service).await.unwrap();
    assert_eq!(session.has(&object("1.2.3.1"), false).await.unwrap(), Presence::Absent);
    for uid in ["1.2.3.1", "1.2.3.2", "1.2.3.1"] {
        assert_eq!(session.store(&file(folder.path(), uid), &object(uid)).await.unwrap(), Taken::of(0), "{uid}");
        assert_eq!(session.has(&object(uid), false).await.unwrap(), Presence::There);
    }
    assert_eq!(orthanc.uids().await, ["1.2.3.1", "1.2.3.2"], "sent twice, there once");
    for id in orthanc.instances().await {
        let (_, kept) = orthanc.request("GET", &format!("/instances/{id}/file"), "").await;
        assert!(kept == bytes("1.2.3.1") || kept == bytes("1.2.3.2"), "byte by byte");
    }
    // What it cannot read it answers 400, with an empty response.
    let broken = File { path: folder.path().join("broken"), ..file(folder.path(), "1.2.3.3") };
    std::fs::write(&broken.path, [&bytes("1.2.3.3")[..200], &[0xff; 300]].concat()).unwrap();
    let error = session.store(&broken, &object("1.2.3.3")).await.unwrap_err();
    assert_eq!(error.kind(), SendFault::Unclear, "{error}");
    tried(Program::Orthanc, &[Service::StowOut]);
}

/// Both directions, over TLS or not: echo, store, and commitment that Orthanc asks of the node. `false`: it is not installed.
async fn both_ways(site: Option<&Site>) -> bool {
    let mut settings = json!({});
    if let Some(site) = site {
        let own = site.machine("orthanc.test");
        settings = json!({
            "DicomTlsEnabled": true, "DicomTlsCertificate": own.certificate, "DicomTlsPrivateKey": own.key,
            "DicomTlsTrustedCertificates": site.ca(), "DicomTlsRemoteCertificateRequired": true,
        });
    }
    let Some(orthanc) = Orthanc::start(settings).await else { return false };
    let tls =
        site.map(|site| DestinationTls { name: Some("orthanc.test".into()), ..site.client(&site.machine("us.test")) });
    let archive = Archive {
        ae_title: Orthanc::AE_TITLE.into(),
        our_title: "SCANSIDE".into(),
        address: orthanc.dicom.to_string(),
        tls: tls.clone(),
    };
    let secure = site.map(Site::secure);
    let is_secure = secure.is_some();
    let mut node = Node::start_with(vec![archive], |settings| {
        settings.commitment.wait_secs = 0.0;
        if let Some(secure) = secure {
            secure(settings);
        }
    })
    .await;
    let port = if is_secure { node.tls.unwrap() } else { node.address }.port();
    let known = json!({
        "AET": "SCANSIDE", "Host": "127.0.0.1", "Port": port, "UseDicomTls": is_secure, "AllowStorageCommitment": true,
    });
    let (code, said) = orthanc.request("PUT", "/modalities/box", &known.to_string()).await;
    assert_eq!(code, 200, "{}", String::from_utf8_lossy(&said));
    let target = Target {
        address: orthanc.dicom.to_string(),
        called_ae: Orthanc::AE_TITLE.into(),
        calling_ae: "SCANSIDE".into(),
        tls: tls.as_ref().map(Client::from),
    };

    // The box to Orthanc.
    send::echo(&target).await.unwrap_or_else(|error| panic!("{error}\n{}", orthanc.log()));
    let folder = tempfile::tempdir().unwrap();
    let mut answers = Vec::new();
    let files = [file(folder.path(), "1.2.3.1"), file(folder.path(), "1.2.3.2")];
    send::store(&target, &files, |_, answer| answers.push(outcome::of(answer.unwrap()))).await.unwrap();
    assert_eq!(answers, [outcome::Outcome::Stored; 2]);
    assert_eq!(orthanc.uids().await, ["1.2.3.1", "1.2.3.2"]);
    if is_secure {
        send::echo(&Target { tls: None, ..target.clone() }).await.expect_err("Orthanc with TLS takes nobody without");
        let stranger = Site::new();
        let other = Client::from(&stranger.client(&stranger.machine("us.test")));
        send::echo(&Target { tls: Some(other), ..target.clone() }).await.expect_err("another CA");
    }

    // Orthanc to the box.
    orthanc.post("/modalities/box/echo", &json!({})).await.unwrap_or_else(|said| panic!("{said}\n{}", orthanc.log()));
    for id in orthanc.instances().await {
        orthanc.post("/modalities/box/store", &json!(id)).await.unwrap();
        node.until_released().await;
    }
    for uid in ["1.2.3.1", "1.2.3.2"] {
        let [kept] = &node.in_custody(uid)[..] else { panic!("{uid} is not here once") };
        assert_eq!(*kept, data_set_explicit(uid, 5000));
    }

    // It asks the box whether it keeps them, and one that it never sent.
    let wanted = json!({ "DicomInstances": [[CT, "1.2.3.1"], [CT, "1.2.3.2"], [CT, "1.2.3.99"]], "Timeout": 20 });
    let asked = orthanc.post("/modalities/box/storage-commitment", &wanted).await.unwrap();
    let path = asked["Path"].as_str().unwrap().to_owned();
    let reported = async {
        loop {
            let report = orthanc.get(&path).await;
            if report["Status"] != "Pending" {
                return report;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let report = tokio::time::timeout(PATIENCE, reported).await.expect("a report comes");
    let uids = |list: &str| {
        let mut uids: Vec<_> =
            report[list].as_array().unwrap().iter().map(|one| one["SOPInstanceUID"].clone()).collect();
        uids.sort_by_key(ToString::to_string);
        uids
    };
    assert_eq!(report["Status"], "Failure", "of one: {report}");
    assert_eq!(uids("Success"), ["1.2.3.1", "1.2.3.2"], "{report}");
    assert_eq!(uids("Failures"), ["1.2.3.99"], "{report}");
    node.stop().await;
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn orthanc_and_the_box_echo_and_store_both_ways_and_orthanc_is_told_what_the_box_keeps() {
    if both_ways(None).await {
        tried(
            Program::Orthanc,
            &[Service::EchoIn, Service::EchoOut, Service::StoreIn, Service::StoreOut, Service::CommitmentIn],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_tls_both_ways() {
    if both_ways(Some(&Site::new())).await {
        tried(Program::Orthanc, &[Service::TlsIn, Service::TlsOut]);
    }
}
