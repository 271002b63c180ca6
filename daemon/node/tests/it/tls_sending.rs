//! Sending over TLS: to DCMTK's storescp and to a node of ours.

use needs::peers::{Program, Service, tried};
use node::send::{self, File, Target};
use node::tls::Client;
use node::tls::settings::{CheckBy, ClientCertificate, DestinationTls, JudgeDates};

use super::dcmtk;
use super::fixtures::{CT, IMPLICIT, Node, data_set, data_set_of, files_below, part10};
use super::tls_support::Site;

fn target(address: String, tls: Option<&DestinationTls>) -> Target {
    Target { address, called_ae: "SCANSIDE".into(), calling_ae: "BOX".into(), tls: tls.map(Client::from) }
}

async fn words(address: String, tls: &DestinationTls) -> String {
    send::echo(&target(address, Some(tls))).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_reaches_an_archive_that_is_known_by_name_by_ca_or_by_fingerprint() {
    if !dcmtk::installed("storescp") {
        return;
    }
    let site = Site::new();
    let (ours, archive) = (site.machine("scanside.test"), site.machine("box.test"));
    let stored = tempfile::tempdir().unwrap();
    let arguments = ["+tls", archive.key.to_str().unwrap(), archive.certificate.to_str().unwrap()];
    let ca = site.ca().display().to_string();
    let arguments: Vec<&str> = arguments.into_iter().chain(["+cf", &ca]).collect();
    let (_child, port) = dcmtk::storescp(stored.path(), &arguments).await;
    let by_name = site.client(&ours);
    let by_ca = DestinationTls { check: CheckBy::Ca, name: None, ..by_name.clone() };
    let by_fingerprint = DestinationTls {
        check: CheckBy::Fingerprint,
        fingerprint: Some(archive.fingerprint.clone()),
        ca: Vec::new(),
        name: None,
        ..by_name.clone()
    };
    for (index, tls) in [by_name, by_ca, by_fingerprint].iter().enumerate() {
        let uid = format!("1.2.3.{index}");
        let path = site.path().join(format!("{uid}.dcm"));
        std::fs::write(&path, part10(CT, &uid, IMPLICIT, &data_set(&uid, 300_000))).unwrap();
        let to = target(format!("127.0.0.1:{port}"), Some(tls));
        send::echo(&to).await.unwrap();
        let mut answers = Vec::new();
        send::store(&to, &[File::open(&path).unwrap()], |_, answer| answers.push(answer.unwrap())).await.unwrap();
        assert_eq!(answers, [0], "{:?}", tls.check);
    }
    let files = files_below(stored.path());
    assert_eq!(files.len(), 3);
    for file in files {
        let bytes = data_set_of(std::fs::read(&file).unwrap());
        assert!((0..3).any(|index| bytes == data_set(&format!("1.2.3.{index}"), 300_000)));
    }
    tried(Program::Dcmtk, &[Service::TlsOut]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_cannot_prove_who_it_is_gets_nothing_and_the_reason_is_named() {
    let (site, other) = (Site::new(), Site::new());
    let node = Node::start(site.secure()).await;
    let address = node.tls.unwrap().to_string();
    let good = site.client(&site.machine("scanside.test"));
    send::echo(&target(address.clone(), Some(&good))).await.unwrap();
    for (tls, part) in [
        (DestinationTls { name: None, ..good.clone() }, "is for another name than the one that we call"),
        (DestinationTls { ca: vec![other.ca()], ..good.clone() }, "the ca or fingerprint of this destination"),
        (
            DestinationTls {
                check: CheckBy::Fingerprint,
                fingerprint: Some(other.machine("box.test").fingerprint),
                ..good.clone()
            },
            "is not the one with the configured fingerprint",
        ),
        (
            DestinationTls { certificate: None, key: None, ..good.clone() },
            "requires a certificate and the box has none",
        ),
        (
            DestinationTls {
                certificate: Some(other.machine("x.test").certificate),
                key: Some(other.path().join("x.test.key")),
                ..good.clone()
            },
            "the peer does not accept the box's certificate",
        ),
    ] {
        let words = words(address.clone(), &tls).await;
        assert!(words.contains(part) && words.contains("no TLS connection to 127.0.0.1"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_archive_is_refused_by_a_clock_that_may_be_believed_and_by_no_other() {
    let site = Site::new();
    let expired = site.tls(&site.machine_until("box.test", 2001));
    let node = Node::start(|settings| {
        settings.tls = expired;
        settings.tls.client_certificate = ClientCertificate::None;
    })
    .await;
    let address = node.tls.unwrap().to_string();
    for check in [CheckBy::Name, CheckBy::Ca, CheckBy::Fingerprint] {
        let fingerprint = node::tls::certificate::Certificate::of(
            &node::tls::certificate::read("certificate", &site.path().join("box.test.pem")).unwrap()[0],
        );
        let sure = DestinationTls {
            check,
            fingerprint: Some(fingerprint.unwrap().fingerprint.to_string()),
            ..site.client(&site.machine("scanside.test"))
        };
        let words = words(address.clone(), &sure).await;
        assert!(words.contains("has expired"), "{check:?}: {words}");
        let unsure = DestinationTls { judge_dates: Some(JudgeDates::Never), ..sure };
        send::echo(&target(address.clone(), Some(&unsure))).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_side_with_tls_and_the_other_without_is_named_at_both() {
    let site = Site::new();
    let node = Node::start(site.secure()).await;
    let plain = send::echo(&target(node.tls.unwrap().to_string(), None)).await.unwrap_err().to_string();
    assert!(plain.contains("association rejected: no reason given (permanent"), "{plain}");
    if !dcmtk::installed("storescp") {
        return;
    }
    let stored = tempfile::tempdir().unwrap();
    let (_child, port) = dcmtk::storescp(stored.path(), &[]).await;
    let secure = words(format!("127.0.0.1:{port}"), &site.client(&site.machine("scanside.test"))).await;
    assert!(secure.contains("this port is for DICOM without TLS"), "{secure}");
}
