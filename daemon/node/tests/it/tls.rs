//! Who gets in at the port for TLS, with DCMTK and OpenSSL as peers; and that no peer holds up another.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use dicom_ul::pdu::{AssociationRJServiceUserReason as User, AssociationRJSource as Source, Pdu};
use needs::peers::{Program, Service, tried};
use node::send::{self, Target};
use node::settings::{Plain, Sender};
use node::tls::settings::{ClientCertificate, DestinationTls, JudgeDates};
use node::tls::{Client, FaultKind};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::dcmtk;
use super::fixtures::{CT, IMPLICIT, Node, PATIENCE, data_set, part10};
use super::peer::{Peer, request};
use super::tls_support::{Machine, Site};

const UID: &str = "1.2.3.4.5.6.7";

fn port(node: &Node) -> String {
    node.tls.unwrap().port().to_string()
}

/// DCMTK's arguments for TLS with this certificate, up to the address.
fn dcmtk_tls<'a>(site_ca: &'a str, machine: &'a [String; 2], calling: &'a str, port: &'a str) -> Vec<&'a str> {
    let [key, certificate] = machine;
    vec!["-aec", "SCANSIDE", "-aet", calling, "+tls", key, certificate, "+cf", site_ca, "127.0.0.1", port]
}

fn paths(machine: &Machine) -> [String; 2] {
    [machine.key.display().to_string(), machine.certificate.display().to_string()]
}

/// Whether DCMTK's echoscu gets in.
async fn echoes(node: &Node, site: &Site, machine: &Machine, calling: &str) -> bool {
    let (ca, paths, port) = (site.ca().display().to_string(), paths(machine), port(node));
    dcmtk::run("echoscu", &dcmtk_tls(&ca, &paths, calling, &port), &[]).await.status.success()
}

/// `openssl s_client`, which ends as soon as it is connected.
async fn openssl(site: &Site, machine: Option<&Machine>, address: SocketAddr, arguments: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string(), "-CAfile"]).arg(site.ca());
    if let Some(machine) = machine {
        command.arg("-cert").arg(&machine.certificate).arg("-key").arg(&machine.key);
    }
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap()
}

/// How the node judges a peer of ours.
async fn echo(node: &Node, tls: &DestinationTls, calling: &str) -> Result<(), String> {
    let target = Target {
        address: node.tls.unwrap().to_string(),
        called_ae: "SCANSIDE".into(),
        calling_ae: calling.into(),
        tls: Some(Client::from(tls)),
    };
    send::echo(&target).await.map_err(|error| error.to_string())
}

/// Waits until the node has counted a failure of this kind. Returns its words.
async fn fault(node: &Node, kind: FaultKind) -> String {
    let counted = async {
        while node.tls_faults.of(kind) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, counted).await;
    assert!(in_time.is_ok(), "{kind:?}, but {:?}", node.tls_faults.last());
    node.tls_faults.last().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_stores_over_tls_and_every_byte_is_kept() {
    if !dcmtk::installed("storescu") {
        return;
    }
    let site = Site::new();
    let mut node = Node::start(site.secure()).await;
    let scanner = site.machine("ct1.test");
    assert!(echoes(&node, &site, &scanner, "CT1").await);
    assert!(node.until_released().await.1);
    let file = site.path().join("slice.dcm");
    let sent = data_set(UID, 700_000);
    std::fs::write(&file, part10(CT, UID, IMPLICIT, &sent)).unwrap();
    let (ca, paths, port) = (site.ca().display().to_string(), paths(&scanner), port(&node));
    // -xi: as it is.
    let arguments = [vec!["-xi"], dcmtk_tls(&ca, &paths, "CT1", &port)].concat();
    let output = dcmtk::run("storescu", &arguments, &[&file]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (kept, clean) = node.until_released().await;
    assert!(clean && kept.len() == 1);
    assert!(node.data_set(&kept[0]) == sent);
    assert_eq!(node.tls_faults.all(), 0, "{:?}", node.tls_faults.last());
    tried(Program::Dcmtk, &[Service::StoreIn, Service::TlsIn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_or_with_one_of_another_ca_nobody_gets_in() {
    if !dcmtk::installed("echoscu") {
        return;
    }
    let (site, other) = (Site::new(), Site::new());
    let node = Node::start(site.secure()).await;
    let (ca, port) = (site.ca().display().to_string(), port(&node));
    let anonymous = ["-aec", "SCANSIDE", "+tla", "+cf", ca.as_str(), "127.0.0.1", &port];
    assert!(!dcmtk::run("echoscu", &anonymous, &[]).await.status.success());
    assert!(fault(&node, FaultKind::NoCertificate).await.contains("showed no certificate"));
    assert!(!echoes(&node, &site, &other.machine("ct1.test"), "CT1").await);
    assert!(fault(&node, FaultKind::Untrusted).await.contains("add it to dicom.tls.ca"));
    assert!(echoes(&node, &site, &site.machine("ct1.test"), "CT1").await, "the others are not disturbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_certificate_is_required_encryption_alone_is_taken_but_a_wrong_one_is_not() {
    if !dcmtk::installed("echoscu") {
        return;
    }
    let (site, other) = (Site::new(), Site::new());
    let secure = site.secure();
    let node = Node::start(|settings| {
        secure(settings);
        settings.tls.client_certificate = ClientCertificate::Asked;
    })
    .await;
    let (ca, port) = (site.ca().display().to_string(), port(&node));
    let anonymous = ["-aec", "SCANSIDE", "+tla", "+cf", ca.as_str(), "127.0.0.1", &port];
    assert!(dcmtk::run("echoscu", &anonymous, &[]).await.status.success());
    assert!(!echoes(&node, &site, &other.machine("ct1.test"), "CT1").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_and_1_3_are_spoken_with_the_suites_of_the_profile_and_nothing_older() {
    if !dcmtk::installed("openssl") {
        return;
    }
    let site = Site::new();
    let node = Node::start(site.secure()).await;
    let (address, scanner) = (node.tls.unwrap(), site.machine("ct1.test"));
    let speaks = async |arguments: &[&str]| {
        let output = openssl(&site, Some(&scanner), address, arguments).await;
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for (arguments, protocol) in [
        (vec!["-tls1_3"], "TLSv1.3"),
        (vec!["-tls1_2"], "TLSv1.2"),
        (vec!["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "TLSv1.2"),
        (vec!["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], "TLSv1.2"),
    ] {
        let said = speaks(&arguments).await;
        let line = said.lines().find(|line| line.starts_with("New, ")).unwrap_or_default();
        assert!(line.contains(protocol) && line.contains("GCM"), "{arguments:?}: {said}");
    }
    assert_eq!(node.tls_faults.of(FaultKind::Version), 0);
    for (index, arguments) in (1..).zip([
        vec!["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        vec!["-tls1", "-cipher", "ALL:@SECLEVEL=0"],
        vec!["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
        vec!["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
    ]) {
        let said = speaks(&arguments).await;
        assert!(said.contains("New, (NONE)"), "{arguments:?}: {said}");
        fault(&node, FaultKind::Version).await;
        assert_eq!(node.tls_faults.of(FaultKind::Version), index, "{arguments:?}: {:?}", node.tls_faults.last());
        let words = node.tls_faults.last().unwrap().to_string();
        let old = arguments.len() == 3 && arguments[0] != "-tls1_2";
        assert!(words.contains(if old { "older than 1.2" } else { "none of our cipher suites" }), "{words}");
    }
    tried(Program::OpenSsl, &[Service::TlsIn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused_by_a_clock_that_may_be_believed_and_by_no_other() {
    if !dcmtk::installed("echoscu") {
        return;
    }
    let site = Site::new();
    let expired = site.machine_until("ct1.test", 2001);
    let node = Node::start(site.secure()).await;
    assert!(!echoes(&node, &site, &expired, "CT1").await);
    let words = fault(&node, FaultKind::Dates).await;
    assert!(words.contains("has expired on 2001-12-31"), "{words}");

    let secure = site.secure();
    let unsure = Node::start(|settings| {
        secure(settings);
        settings.tls.judge_dates = JudgeDates::Never;
    })
    .await;
    assert!(echoes(&unsure, &site, &expired, "CT1").await, "nobody knows the date");
    assert!(!echoes(&unsure, &site, &Site::new().machine_until("ct1.test", 2001), "CT1").await, "another CA");
    assert!(fault(&unsure, FaultKind::Untrusted).await.contains("add it to"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_that_is_pinned_is_judged_by_the_same_clock() {
    let site = Site::new();
    let expired = site.machine_until("ct1.test", 2001);
    for (judge_dates, gets_in) in [(JudgeDates::Always, false), (JudgeDates::Never, true)] {
        let (secure, fingerprint) = (site.secure(), expired.fingerprint.clone());
        let node = Node::start(|settings| {
            secure(settings);
            settings.tls.ca.clear();
            (settings.tls.fingerprints, settings.tls.judge_dates) = (vec![fingerprint], judge_dates);
        })
        .await;
        assert_eq!(echo(&node, &site.client(&expired), "CT1").await.is_ok(), gets_in);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dicom_without_tls_at_the_port_for_tls_and_the_reverse_are_named() {
    let site = Site::new();
    let mut node = Node::start(site.secure()).await;
    let mut plain = Peer::connect(node.tls.unwrap()).await;
    plain.send(&Pdu::AssociationRQ(request("SCANSIDE", "CT1"))).await;
    let said = plain.until_closed().await;
    let [Pdu::AssociationRJ(reject)] = &said[..] else { panic!("{said:?}") };
    assert_eq!(reject.source, Source::ServiceUser(User::NoReasonGiven));
    drop(plain);
    assert!(fault(&node, FaultKind::NotTls).await.contains("DICOM without TLS at the port for TLS"));

    let secure = site.client(&site.machine("ct1.test"));
    node.tls = Some(node.address);
    let words = echo(&node, &secure, "CT1").await.unwrap_err();
    assert!(words.contains("this port is for DICOM without TLS"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_is_known_by_title_and_certificate() {
    if !dcmtk::installed("echoscu") {
        return;
    }
    let (site, vendor) = (Site::new(), Site::new());
    let (ct1, ct2, us1) = (site.machine("ct1.test"), site.machine("ct2.test"), vendor.machine("us1.test"));
    let sender =
        |title: &str, certificate: Option<String>| Sender { ae_title: title.into(), certificate, ..Sender::default() };
    let senders = vec![
        sender("CT1", Some(ct1.fingerprint.clone())),
        sender("CT2", None),
        sender("US1", Some(vendor.ca().display().to_string())),
    ];
    let secure = site.secure();
    let node = Node::start(|settings| {
        secure(settings);
        settings.sender = senders;
    })
    .await;
    for (machine, title, gets_in) in [
        (&ct1, "CT1", true),
        (&ct2, "CT1", false),
        (&us1, "CT1", false),
        (&ct2, "CT2", true),
        (&us1, "CT2", false),
        (&us1, "US1", true),
        (&ct1, "US1", false),
        (&ct1, "MR7", false),
    ] {
        assert_eq!(echoes(&node, &site, machine, title).await, gets_in, "{} as {title}", machine.certificate.display());
    }
    let mut plain = Peer::connect(node.address).await;
    plain.send(&Pdu::AssociationRQ(request("SCANSIDE", "CT1"))).await;
    let Some(Pdu::AssociationRJ(reject)) = plain.read().await else { panic!("CT1 came without TLS") };
    assert_eq!(reject.source, Source::ServiceUser(User::NoReasonGiven));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_without_tls_can_be_for_named_senders_only() {
    let site = Site::new();
    let secure = site.secure();
    let node = Node::start(|settings| {
        secure(settings);
        settings.plain = Plain::Named;
        settings.sender = vec![
            Sender { ae_title: "OLD".into(), plain: true, ..Sender::default() },
            Sender { ae_title: "CT1".into(), ..Sender::default() },
        ];
    })
    .await;
    for (title, gets_in) in [("OLD", true), ("CT1", false)] {
        let mut plain = Peer::connect(node.address).await;
        plain.send(&Pdu::AssociationRQ(request("SCANSIDE", title))).await;
        assert_eq!(matches!(plain.read().await, Some(Pdu::AssociationAC(_))), gets_in, "{title}");
    }
    echo(&node, &site.client(&site.machine("ct1.test")), "CT1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_silent_dripped_or_cut_off_ends_alone_and_in_time() {
    let site = Site::new();
    let secure = site.secure();
    let node = Node::start(|settings| {
        secure(settings);
        settings.artim_secs = 1;
        settings.max_associations = 1;
    })
    .await;
    let address = node.tls.unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut begun = TcpStream::connect(address).await.unwrap();
    begun.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).await.unwrap();
    let cut = TcpStream::connect(address).await.unwrap();
    cut.try_write(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    drop(cut);
    let mut dripped = TcpStream::connect(address).await.unwrap();
    let drip = tokio::spawn(async move {
        let began = std::time::Instant::now();
        // Each byte in time; all together never.
        while dripped.write_all(&[0x16]).await.is_ok() && dripped.try_read(&mut [0; 64]).is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        began.elapsed()
    });
    echo(&node, &site.client(&site.machine("ct1.test")), "CT1").await.expect("they take no place");
    for stream in [&mut silent, &mut begun] {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the node closes it");
    }
    assert!(tokio::time::timeout(PATIENCE, drip).await.unwrap().unwrap() < PATIENCE / 2);
    assert!(fault(&node, FaultKind::Silent).await.contains("within 1 s"));
    fault(&node, FaultKind::Closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_at_the_port_for_tls_bring_the_node_down() {
    let site = Site::new();
    let node = Node::start(site.secure()).await;
    let mut random = SmallRng::seed_from_u64(2762);
    for round in 0..200 {
        let mut bytes: Vec<u8> = (0..random.random_range(1..600)).map(|_| random.random()).collect();
        if round % 2 == 0 {
            // A record with a client's greeting, as far as its header says.
            let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
            bytes.splice(0..0, [0x16, 3, 1, length[0], length[1], 1, 0]);
        }
        let mut stream = TcpStream::connect(node.tls.unwrap()).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let mut scrap = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut scrap)).await.expect("the node closes");
    }
    echo(&node, &site.client(&site.machine("ct1.test")), "CT1").await.unwrap();
    assert!(!node.served.is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_counts_without_a_restart_and_a_damaged_one_changes_nothing() {
    if !dcmtk::installed("openssl") {
        return;
    }
    let site = Site::new();
    let node = Node::start(site.secure()).await;
    let scanner = site.machine("ct1.test");
    let shown = async || {
        let output = openssl(&site, Some(&scanner), node.tls.unwrap(), &["-tls1_2"]).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (before, _) = text.split_once("-----END CERTIFICATE-----").expect("a certificate");
        before.split("-----BEGIN CERTIFICATE-----").nth(1).unwrap().to_owned()
    };
    let first = shown().await;
    std::fs::write(site.path().join("box.test.pem"), "damaged").unwrap();
    assert_eq!(shown().await, first);
    site.machine("box.test");
    let second = shown().await;
    assert_ne!(second, first);
    assert_eq!(shown().await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_cannot_be_used_at_the_start_closes_its_port_alone_until_it_can() {
    let site = Site::new();
    let settings = site.secure();
    let (certificate, aside) = (site.path().join("box.test.pem"), site.path().join("aside"));
    std::fs::rename(&certificate, &aside).unwrap();
    let node = Node::start(settings).await;
    let client = site.client(&site.machine("ct1.test"));
    echo(&node, &client, "CT1").await.unwrap_err();
    let words = fault(&node, FaultKind::Other).await;
    assert!(words.contains("box.test.pem"), "{words}");
    let plain =
        Target { address: node.address.to_string(), called_ae: "SCANSIDE".into(), calling_ae: "CT1".into(), tls: None };
    send::echo(&plain).await.unwrap();
    std::fs::rename(&aside, &certificate).unwrap();
    echo(&node, &client, "CT1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_certificate_or_one_that_everyone_can_read_is_refused_by_name() {
    let site = Site::new();
    let (ours, other) = (site.machine("box.test"), site.machine("other.test"));
    let words = |key: &Path| node::tls::certificate::identity(&ours.certificate, key).unwrap_err().to_string();
    assert!(words(&other.key).contains("is not the key of the certificate"), "{}", words(&other.key));
    assert!(words(&ours.certificate).contains("holds no private key"), "{}", words(&ours.certificate));
    std::fs::set_permissions(&ours.key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    assert!(words(&ours.key).contains("chmod o="), "{}", words(&ours.key));
}
