//! Peers with which one test each is enough: an archive of Python's HTTP server, `openssl s_server`, and pynetdicom as a scanner.

use std::process::Stdio;

use needs::peers::{Program, Service, tried};
use node::send::{self, File, SendFault, Target};
use node::stow::{self, Object, Presence, Session, Taken};
use node::tls::Client;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::dcmtk;
use super::fixtures::{CT, Node, PATIENCE, data_set_explicit, part10};
use super::pynetdicom::{self, Py};
use super::tls_support::Site;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";

fn as_mr(mut data_set: Vec<u8>) -> Vec<u8> {
    let at = data_set.windows(CT.len()).position(|bytes| bytes == CT.as_bytes()).unwrap();
    data_set[at..at + MR.len()].copy_from_slice(MR.as_bytes());
    data_set
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_pythons_http_server_reads_what_is_sent_and_is_understood() {
    let python = std::env::var("SCANSIDE_PYTHON").unwrap_or_else(|_| "python3".into());
    if !pynetdicom::installed(&python).await {
        return;
    }
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/stow_peer.py");
    let mut child =
        Command::new(python).arg("-B").arg(script).arg(MR).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut line = async || {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("the archive says something");
        line.unwrap().expect("the archive runs")
    };
    let url = format!("http://127.0.0.1:{}/web", line().await);
    let service = stow::Service { url: url.parse().unwrap(), login: None, tls: None };
    let mut session = Session::open(&service).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (index, pixels) in [4, 500_000, 3_000_000].into_iter().enumerate() {
        let uid = format!("1.2.3.{index}");
        let bytes = part10(CT, &uid, EXPLICIT, &data_set_explicit(&uid, pixels));
        let path = folder.path().join(&uid);
        std::fs::write(&path, &bytes).unwrap();
        let object = Object { study_uid: "1.2.3.4", series_uid: "1.2.3.4.5", sop_uid: &uid };
        assert_eq!(session.has(&object, false).await.unwrap(), Presence::Absent);
        assert_eq!(session.store(&File::open(&path).unwrap(), &object).await.unwrap(), Taken::of(0));
        assert_eq!(line().await, format!("{uid} {}", hex::encode(Sha256::digest(&bytes))));
        assert_eq!(session.has(&object, false).await.unwrap(), Presence::There);
    }
    // What it does not take: both classes have UIDs of the same length, so only the class changes.
    let bytes = part10(MR, "1.2.9", EXPLICIT, &as_mr(data_set_explicit("1.2.9", 4)));
    let path = folder.path().join("mr");
    std::fs::write(&path, bytes).unwrap();
    let object = Object { study_uid: "1.2.3.4", series_uid: "1.2.3.4.5", sop_uid: "1.2.9" };
    let error = session.store(&File::open(&path).unwrap(), &object).await.unwrap_err();
    assert_eq!((error.status(), error.kind()), (Some(0x0122), SendFault::ObjectForGood), "{error}");
    tried(Program::Python, &[Service::StowOut]);
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_as_the_server_of_an_archive_agrees_on_tls_and_on_nothing_old() {
    if !dcmtk::installed("openssl") {
        return;
    }
    let site = Site::new();
    let (server, ours) = (site.machine("box.test"), site.client(&site.machine("us.test")));
    let ca = site.ca();
    for (version, is_taken) in [("-tls1_3", true), ("-tls1_2", true), ("-tls1_1", false)] {
        let arguments = [
            "s_server",
            "-quiet",
            "-www",
            version,
            "-cipher",
            "ALL:@SECLEVEL=0",
            "-Verify",
            "1",
            "-verify_return_error",
            "-CAfile",
            ca.to_str().unwrap(),
            "-cert",
            server.certificate.to_str().unwrap(),
            "-key",
            server.key.to_str().unwrap(),
            "-accept",
        ];
        let (_server, port) = dcmtk::listening("openssl", &arguments).await;
        let url = format!("https://127.0.0.1:{port}/web").parse().unwrap();
        let service = stow::Service { url, login: None, tls: Some(Client::from(&ours)) };
        let opened = Session::open(&service).await;
        assert_eq!(opened.is_ok(), is_taken, "{version}: {opened:?}");
        let Ok(mut session) = opened else { continue };
        // With -www it answers every request with a page about the connection: no list of objects.
        let object = Object { study_uid: "1.2", series_uid: "1.2.3", sop_uid: "1.2.3.4" };
        assert_eq!(session.has(&object, false).await.unwrap(), Presence::Unknown, "{version}");
    }
    tried(Program::OpenSsl, &[Service::TlsOut]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_echoes_and_stores_with_tls_and_without() {
    let Some(mut py) = Py::start().await else { return };
    let site = Site::new();
    let scanner = site.machine("ct1.test");
    let folder = tempfile::tempdir().unwrap();
    for (number, secure) in [false, true].into_iter().enumerate() {
        let mut node = if secure { Node::start(site.secure()).await } else { Node::start(|_| {}).await };
        let uid = format!("1.2.3.{number}");
        let path = folder.path().join(&uid);
        std::fs::write(&path, part10(CT, &uid, EXPLICIT, &data_set_explicit(&uid, 70_000))).unwrap();
        let port = if secure { node.tls.unwrap() } else { node.address }.port();
        let mut order = json!({ "do": "store", "calling": "CT1", "to": ["127.0.0.1", port], "file": path });
        if secure {
            order["tls"] = json!([scanner.certificate, scanner.key, site.ca(), "box.test"]);
        }
        let answer = py.order(order).await;
        assert_eq!((answer["echo"].as_u64(), answer["status"].as_u64()), (Some(0), Some(0)), "{answer}");
        let (kept, clean) = node.until_released().await;
        assert!(clean && kept.len() == 1 && node.data_set(&kept[0]) == data_set_explicit(&uid, 70_000));
    }
    tried(Program::Pynetdicom, &[Service::EchoIn, Service::StoreIn, Service::TlsIn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_answers_the_echo_of_the_box() {
    let Some(mut py) = Py::start().await else { return };
    let order = json!({ "do": "listen", "role": "archive", "ae_title": "PACS", "commitment": "refuse" });
    let port = py.order(order).await["port"].as_u64().unwrap();
    let address = format!("127.0.0.1:{port}");
    send::echo(&Target { address, called_ae: "PACS".into(), calling_ae: "SCANSIDE".into(), tls: None }).await.unwrap();
    tried(Program::Pynetdicom, &[Service::EchoOut]);
}
