//! The simulated scanner and archive against an independent implementation (DCMTK), and against each other.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use hil_tests::modality::{Manners, Modality};
use hil_tests::pacs::{Conduct, Pacs};
use hil_tests::part10::{Folder, Instance, element, part10};
use hil_tests::{deadline, tools};
use tempfile::tempdir;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const WITHIN: Duration = Duration::from_secs(20);

/// A small but well-formed data set in explicit VR little endian.
fn instance(n: u32) -> Instance {
    let mut bytes = Vec::new();
    let mut put = |group: u16, number: u16, vr: &[u8; 2], text: String| {
        element(&mut bytes, (group, number), vr, text.as_bytes());
    };
    put(0x0008, 0x0016, b"UI", CT.into());
    put(0x0008, 0x0018, b"UI", format!("2.25.100.{n}"));
    put(0x0008, 0x0060, b"CS", "CT".into());
    put(0x0010, 0x0010, b"PN", format!("Phantom^{}", "x".repeat(n as usize % 40)));
    put(0x0020, 0x000D, b"UI", "2.25.100".into());
    put(0x0020, 0x000E, b"UI", "2.25.100.1000".into());
    Instance::from_part10(&part10(CT, &format!("2.25.100.{n}"), EXPLICIT, &bytes)).unwrap()
}

fn study(count: u32) -> Vec<Instance> {
    (0..count).map(instance).collect()
}

#[tokio::test]
async fn the_archive_keeps_what_the_scanner_sent_bit_for_bit() {
    let folder = tempdir().unwrap();
    let pacs = Pacs::start("PACS", folder.path()).await.unwrap();
    let modality = Modality::new(pacs.address, "CT", "PACS");
    modality.echo().await.unwrap();
    let study = study(12);
    let sent = modality.send(&study, |_, _| {}).await.unwrap();
    assert_eq!((sent.acknowledged(), sent.refused()), (12, 0));
    let received = pacs.received();
    for (was, is) in study.iter().zip(&received) {
        assert_eq!((&was.sop_instance_uid, was.sha256().unwrap()), (&is.sop_instance_uid, is.sha256.clone()));
        assert_eq!(*was.data_set().unwrap(), *Instance::open(&is.path).unwrap().unwrap().data_set().unwrap());
    }
}

#[tokio::test]
async fn a_refusing_archive_says_so_and_keeps_nothing() {
    let folder = tempdir().unwrap();
    let pacs = Pacs::start("PACS", folder.path()).await.unwrap();
    pacs.behave(Conduct::Refuse(0xC000));
    let sent = Modality::new(pacs.address, "CT", "PACS").send(&study(3), |_, _| {}).await.unwrap();
    assert_eq!((sent.acknowledged(), sent.refused(), pacs.received().len()), (0, 3, 0));
}

#[tokio::test]
async fn everything_is_acknowledged_in_the_end_although_the_archive_was_away_and_full() {
    let folder = tempdir().unwrap();
    let pacs = Pacs::start("PACS", folder.path()).await.unwrap();
    pacs.behave(Conduct::Refuse(0xA700));
    let refusals = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let heard = refusals.clone();
    let manners = Manners { seed: 3, shuffle: true, duplicate: 0.3, per_association: Some(5), ..Manners::default() };
    let modality = Modality::new(pacs.address, "CT", "PACS").with(manners);
    let sending = tokio::spawn(async move {
        let count = |_: &Instance, status| {
            heard.fetch_add(usize::from(status == 0xA700), std::sync::atomic::Ordering::Relaxed);
        };
        modality.send_until_acknowledged(&study(20), WITHIN, count).await
    });
    let refused = || refusals.load(std::sync::atomic::Ordering::Relaxed) > 0;
    deadline::until_true("a refusal", WITHIN, refused).await.unwrap();
    pacs.behave(Conduct::Vanish);
    deadline::until_true("a closed port", WITHIN, || std::net::TcpStream::connect(pacs.address).is_err())
        .await
        .unwrap();
    pacs.behave(Conduct::Accept);
    let sent = sending.await.unwrap().unwrap();
    assert_eq!(sent.acknowledged(), 20);
    let mut uids: Vec<_> = pacs.received().into_iter().map(|r| r.sop_instance_uid).collect();
    uids.sort();
    uids.dedup();
    assert_eq!(uids.len(), 20);
}

#[tokio::test]
async fn a_cut_connection_leaves_no_half_object() {
    let folder = tempdir().unwrap();
    let pacs = Pacs::start("PACS", folder.path()).await.unwrap();
    let manners = Manners { cut_at: Some(4), ..Manners::default() };
    let error = Modality::new(pacs.address, "CT", "PACS").with(manners).send(&study(8), |_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("on purpose"), "{error:#}");
    assert_eq!(pacs.received().len(), 3);
}

#[tokio::test]
async fn dcmtk_storescp_accepts_the_simulated_scanner_and_keeps_equal_bytes() {
    let folder = tempdir().unwrap();
    let storescp = tools::Storescp::start(folder.path(), &["--bit-preserving"]).await.unwrap();
    let study = study(6);
    let modality = Modality::new(storescp.address, "CT", "STORESCP");
    modality.echo().await.unwrap();
    let sent = modality.send(&study, |_, _| {}).await.unwrap();
    assert_eq!(sent.acknowledged(), 6);
    let kept = Folder::scan(folder.path()).unwrap().instances;
    assert_eq!(kept.len(), 6);
    for instance in kept {
        let was = study.iter().find(|i| i.sop_instance_uid == instance.sop_instance_uid).unwrap();
        assert_eq!(was.sha256().unwrap(), instance.sha256().unwrap());
    }
}

#[tokio::test]
async fn dcmtk_storescu_delivers_to_the_simulated_archive() {
    let source = tempdir().unwrap();
    let folder = tempdir().unwrap();
    let study = study(5);
    write(source.path(), &study);
    let pacs = Pacs::start("PACS", folder.path()).await.unwrap();
    let status = tools::command("storescu")
        .unwrap()
        .args(["+sd", "-xe", "-aec", "PACS", "127.0.0.1", &pacs.address.port().to_string()])
        .arg(source.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await
        .unwrap();
    assert!(status.success());
    deadline::until_true("five objects", WITHIN, || pacs.received().len() == 5).await.unwrap();
    for is in pacs.received() {
        let was = study.iter().find(|i| i.sop_instance_uid == is.sop_instance_uid).unwrap();
        assert_eq!(was.sha256().unwrap(), is.sha256);
    }
}

fn write(folder: &Path, study: &[Instance]) {
    for (n, i) in study.iter().enumerate() {
        let file = part10(&i.sop_class_uid, &i.sop_instance_uid, &i.transfer_syntax_uid, &i.data_set().unwrap());
        std::fs::write(folder.join(format!("{n}.dcm")), file).unwrap();
    }
}
