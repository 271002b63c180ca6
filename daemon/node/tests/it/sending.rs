//! Sending C-STORE and C-ECHO to a test archive and to DCMTK's storescp.

use std::path::{Path, PathBuf};
use std::time::Duration;

use needs::peers::{Program, Service, tried};
use node::send::{self, Association, Error, File, Target};

use super::dcmtk;
use super::fixtures::{CT, IMPLICIT, Node, data_set, data_set_explicit, data_set_of, files_below, part10};
use super::pacs::{Do, Pacs};

const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const JPEG: &str = "1.2.840.10008.1.2.4.50";

fn target(address: std::net::SocketAddr) -> Target {
    Target { address: address.to_string(), called_ae: "PACS".into(), calling_ae: "SCANSIDE".into(), tls: None }
}

fn write(directory: &Path, class: &str, uid: &str, bytes: usize) -> PathBuf {
    let path = directory.join(format!("{uid}.dcm"));
    std::fs::write(&path, part10(class, uid, IMPLICIT, &data_set(uid, bytes))).unwrap();
    path
}

#[tokio::test]
async fn a_file_arrives_whole_in_pdus_the_archive_takes_whatever_maximum_it_offers() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), CT, "1.2.3", 700_000);
    let file = File::open(&path).unwrap();
    for max in [0, 4096, 16_384, 131_072, 1 << 20] {
        let pacs = Pacs::start_at("127.0.0.1:0".parse().unwrap(), max, |_| true, |_| Do::Answer(0)).await;
        let mut answers = Vec::new();
        send::store(&target(pacs.address), std::slice::from_ref(&file), |index, answer| {
            answers.push((index, answer.unwrap()));
        })
        .await
        .unwrap();
        assert_eq!(answers, [(0, 0)]);
        let (uid, bytes) = pacs.seen.lock().unwrap().pop().unwrap();
        assert_eq!(uid, "1.2.3");
        assert!(bytes == data_set("1.2.3", 700_000), "max {max}");
        let largest = *pacs.largest_pdu.lock().unwrap();
        assert!(max == 0 || largest <= max as usize, "{largest} > {max}");
    }
}

#[tokio::test]
async fn a_warning_is_delivered_and_a_failure_names_status_and_comment() {
    let directory = tempfile::tempdir().unwrap();
    let rule = |uid: &str| Do::Answer(if uid == "1.2.1" { 0xb007 } else { 0xa700 });
    let pacs = Pacs::start(rule).await;
    let files: Vec<_> =
        ["1.2.1", "1.2.2"].map(|uid| File::open(&write(directory.path(), CT, uid, 100)).unwrap()).into();
    let mut answers = Vec::new();
    send::store(&target(pacs.address), &files, |_, answer| answers.push(answer)).await.unwrap();
    assert!(matches!(answers[0], Ok(0xb007)));
    assert_eq!(answers[1].as_ref().unwrap_err().to_string(), "the peer answered 0xa700 (out of resources): as told");
}

/// PS3.7 sections 10.1.1 and 10.1.4: an event reply or an action reply may come with the answer.
#[tokio::test]
async fn an_answer_that_comes_with_a_data_set_counts_and_the_association_goes_on() {
    let pacs = Pacs::start(|uid| if uid.is_empty() { Do::Reply(0) } else { Do::Answer(0) }).await;
    let mut association = Association::open_asking(&target(pacs.address), &[], true).await.unwrap();
    for transaction in ["1.9.1", "1.9.2"] {
        association.ask_commitment(transaction, &[(CT.into(), "1.2.3".into())]).await.unwrap();
    }
    association.release().await;
}

#[tokio::test]
async fn a_rejected_context_fails_its_files_by_name_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let pacs = Pacs::start_at("127.0.0.1:0".parse().unwrap(), 0, |class| class != MR, |_| Do::Answer(0)).await;
    let files = [(MR, "1.2.1"), (CT, "1.2.2"), (MR, "1.2.3")]
        .map(|(class, uid)| File::open(&write(directory.path(), class, uid, 100)).unwrap());
    let mut answers = Vec::new();
    send::store(&target(pacs.address), &files, |_, answer| answers.push(answer)).await.unwrap();
    let text = answers[0].as_ref().unwrap_err().to_string();
    assert!(text.contains(MR) && text.contains("SOP class not supported"), "{text}");
    assert!(matches!(answers[1], Ok(0)));
    assert!(answers[2].is_err());
    assert_eq!(pacs.uids(), ["1.2.2"]);
}

/// A file in explicit VR little endian.
fn write_explicit(directory: &Path, uid: &str, bytes: usize) -> File {
    let path = directory.join(format!("{uid}.dcm"));
    std::fs::write(&path, part10(CT, uid, EXPLICIT, &data_set_explicit(uid, bytes))).unwrap();
    File::open(&path).unwrap()
}

#[tokio::test]
async fn an_archive_that_takes_implicit_vr_only_gets_explicit_objects_too() {
    let directory = tempfile::tempdir().unwrap();
    let pacs = Pacs::start_taking(IMPLICIT, |_| Do::Answer(0)).await;
    // Around one and several chunks and PDUs, so that the last part is recognised as the last.
    let sizes = [2, 16_000, 16_384, 65_536, 65_536 * 2 - 200, 700_000];
    let named: Vec<_> = (0..).zip(sizes).map(|(index, bytes)| (format!("1.2.{index}"), bytes)).collect();
    let files: Vec<_> = named.iter().map(|(uid, bytes)| write_explicit(directory.path(), uid, *bytes)).collect();
    let mut answers = Vec::new();
    send::store(&target(pacs.address), &files, |_, answer| answers.push(answer.unwrap())).await.unwrap();
    assert_eq!(answers, vec![0; sizes.len()]);
    for ((uid, bytes), (seen, came)) in named.iter().zip(pacs.seen.lock().unwrap().iter()) {
        assert_eq!(uid, seen);
        assert!(*came == data_set(uid, *bytes), "{uid}: the same data set, written in implicit VR");
    }
    assert!(*pacs.largest_pdu.lock().unwrap() <= 16_384);
}

#[tokio::test]
async fn an_archive_that_takes_both_gets_the_object_as_it_is_stored() {
    let directory = tempfile::tempdir().unwrap();
    let file = write_explicit(directory.path(), "1.2.3", 5000);
    for pacs in [Pacs::start(|_| Do::Answer(0)).await, Pacs::start_taking(EXPLICIT, |_| Do::Answer(0)).await] {
        send::store(&target(pacs.address), std::slice::from_ref(&file), |_, answer| assert_eq!(answer.unwrap(), 0))
            .await
            .unwrap();
        assert!(pacs.seen.lock().unwrap()[0].1 == data_set_explicit("1.2.3", 5000));
    }
}

#[tokio::test]
async fn a_compressed_object_is_not_taken_by_an_archive_without_its_syntax_and_the_reason_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clip.dcm");
    std::fs::write(&path, part10(CT, "1.2.3", JPEG, &data_set_explicit("1.2.3", 100))).unwrap();
    let files = [File::open(&path).unwrap(), write_explicit(directory.path(), "1.2.4", 100)];
    let pacs = Pacs::start_taking(IMPLICIT, |_| Do::Answer(0)).await;
    let mut answers = Vec::new();
    send::store(&target(pacs.address), &files, |_, answer| answers.push(answer)).await.unwrap();
    let error = answers[0].as_ref().unwrap_err();
    assert!(error.to_string().contains("compressed and is sent only as it is"), "{error}");
    assert_eq!(error.kind(), send::SendFault::ObjectForGood);
    assert!(matches!(answers[1], Ok(0)));
}

#[tokio::test]
async fn an_object_that_cannot_be_transcoded_names_file_and_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut.dcm");
    let mut cut = data_set_explicit("1.2.3", 5000);
    cut.truncate(3000);
    std::fs::write(&path, part10(CT, "1.2.3", EXPLICIT, &cut)).unwrap();
    let pacs = Pacs::start_taking(IMPLICIT, |_| Do::Answer(0)).await;
    let mut answers = Vec::new();
    send::store(&target(pacs.address), &[File::open(&path).unwrap()], |_, answer| answers.push(answer)).await.unwrap();
    let error = answers[0].as_ref().unwrap_err().to_string();
    assert!(error.contains("cut.dcm: truncated at byte"), "{error}");
    assert!(pacs.uids().is_empty(), "no part of it counts as an object");
}

#[tokio::test]
async fn storescp_that_takes_implicit_vr_only_gets_the_same_elements() {
    if !dcmtk::installed("storescp") || !dcmtk::installed("dcmdump") {
        return;
    }
    let (source, sink) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_storescp, port) = dcmtk::storescp(sink.path(), &["+xi"]).await;
    let file = write_explicit(source.path(), "1.2.3", 300_000);
    let mut answers = Vec::new();
    let target = target(([127, 0, 0, 1], port).into());
    send::store(&target, &[file], |_, answer| answers.push(answer.unwrap())).await.unwrap();
    assert_eq!(answers, [0]);
    let kept = files_below(sink.path()).remove(0);
    assert!(data_set_of(std::fs::read(&kept).unwrap()) == data_set("1.2.3", 300_000));
    let dump = dcmtk::run("dcmdump", &["+P", "0002,0010", "+P", "0020,000e", kept.to_str().unwrap()], &[]).await;
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    assert!(dump.contains("LittleEndianImplicit") && dump.contains("[1.2.3.4.5]"), "{dump}");
}

#[tokio::test]
async fn nobody_there_and_a_rejection_are_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(send::echo(&target(free)).await, Err(Error::Connect { .. })));
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let error = send::echo_within(&target(address), Duration::from_millis(50)).await.unwrap_err();
    let says = format!("{address} is connected, and did not answer the association request within 0.05 s");
    assert_eq!(error.to_string(), says, "one that is silent is not waited for long");
    let node = Node::start(|_| {}).await;
    let error = send::echo(&target(node.address)).await.unwrap_err().to_string();
    assert!(error.contains("does not answer to the AE title"), "{error}");
    send::echo(&node.target()).await.unwrap();
}

#[tokio::test]
async fn an_archive_that_hangs_up_is_a_failed_connection_not_a_failed_file() {
    let directory = tempfile::tempdir().unwrap();
    let pacs = Pacs::start(|_| Do::HangUp).await;
    let file = File::open(&write(directory.path(), CT, "1.2.1", 100_000)).unwrap();
    let error = send::store(&target(pacs.address), &[file], |_, _| panic!()).await.unwrap_err();
    assert_eq!(error.kind(), send::SendFault::Connection);
}

#[tokio::test]
async fn storescp_gets_what_we_send_bit_for_bit() {
    if !dcmtk::installed("storescp") {
        return;
    }
    let (source, sink) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_storescp, port) = dcmtk::storescp(sink.path(), &["+xa"]).await;
    let files: Vec<_> = (0..3).map(|index| write(source.path(), CT, &format!("1.2.{index}"), 300_000)).collect();
    let files: Vec<_> = files.iter().map(|path| File::open(path).unwrap()).collect();
    let target = target(([127, 0, 0, 1], port).into());
    let mut delivered = 0;
    send::store(&target, &files, |_, answer| delivered += usize::from(answer.unwrap() == 0)).await.unwrap();
    send::echo(&target).await.unwrap();
    assert_eq!(delivered, 3);
    let sets = |directory| -> Vec<_> {
        files_below(directory).into_iter().map(|path| data_set_of(std::fs::read(path).unwrap())).collect()
    };
    assert!(sets(sink.path()) == sets(source.path()));
    tried(Program::Dcmtk, &[Service::StoreOut, Service::EchoOut]);
}

#[tokio::test]
async fn echoscu_is_answered_and_told_why_not() {
    if !dcmtk::installed("echoscu") {
        return;
    }
    let node = Node::start(|_| {}).await;
    let port = node.address.port().to_string();
    let good = dcmtk::run("echoscu", &["-aec", "SCANSIDE", "127.0.0.1", &port], &[]).await;
    assert!(good.status.success());
    let bad = dcmtk::run("echoscu", &["-aec", "ELSEWHERE", "127.0.0.1", &port], &[]).await;
    assert!(String::from_utf8_lossy(&bad.stderr).contains("Called AE Title Not Recognized"));
    tried(Program::Dcmtk, &[Service::EchoIn]);
}

#[test]
fn what_is_no_part_10_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("note.txt");
    std::fs::write(&path, "hello").unwrap();
    let error = File::open(&path).unwrap_err().to_string();
    assert!(error.ends_with("not a Part 10 file: the DICM prefix is missing"), "{error}");
}
