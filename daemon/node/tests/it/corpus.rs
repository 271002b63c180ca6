//! Every file of the shared data is stored unchanged, or refused with a status and a reason.

use std::path::Path;

use node::send::{self, Association, File};
use node::{Arrival, is_storage};

use super::dcmtk;
use super::fixtures::{Node, data_set_of, files_below, shared_data};

#[derive(Debug, Default)]
struct Tally {
    stored: usize,
    refused: usize,
    /// Not Part 10, or without a data set: nothing to send.
    not_sent: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_stored_byte_exact_or_refused_with_a_reason() {
    let Some(data) = shared_data() else { return };
    let mut node = Node::start(|_| {}).await;
    let mut tally = Tally::default();
    for path in files_below(&data) {
        let Ok(file) = File::open(&path) else {
            tally.not_sent += 1;
            continue;
        };
        let mut association = Association::open(&node.target(), std::slice::from_ref(&file)).await.unwrap();
        match association.store(&file).await {
            Ok(status) => {
                let source = data_set_of(std::fs::read(&path).unwrap());
                assert_eq!(status, 0, "{path:?}");
                assert!(node.in_custody(&file.sop_instance_uid).contains(&source), "{path:?} is there as it was sent");
                tally.stored += 1;
            }
            Err(send::Error::Refused { status, comment }) => {
                println!("{}: {status:#06x} {comment}", path.file_name().unwrap().display());
                assert!(matches!(status, 0xa900 | 0xc000..=0xcfff), "{path:?}: {status:#06x} {comment}");
                assert!(!comment.is_empty(), "{path:?}: {status:#06x} without a reason");
                tally.refused += 1;
            }
            Err(send::Error::File { .. }) => tally.not_sent += 1,
            Err(send::Error::NotAccepted { sop_class_uid, .. }) if !is_storage(&sop_class_uid) => tally.refused += 1,
            Err(error) => panic!("{path:?}: {error}"),
        }
        association.release().await;
        while !matches!(node.arrival().await, Arrival::Released { clean: true, .. }) {}
    }
    println!("{tally:?}");
    assert!(tally.stored > 200, "{tally:?}");
}

/// A DCMTK client encodes a file again before it sends it. The reference is therefore the file that DCMTK's own
/// storescp receives from it, bit for bit.
async fn sent_by(tool: &str, arguments: fn(&File) -> Vec<&'static str>) {
    let Some(data) = shared_data() else { return };
    if !dcmtk::installed(tool) || !dcmtk::installed("storescp") {
        return;
    }
    let node = Node::start(|settings| settings.ae_titles = vec![]).await;
    let directory = tempfile::tempdir().unwrap();
    let (_storescp, storescp_port) = dcmtk::storescp(directory.path(), &["+xa"]).await;
    let mut tally = Tally::default();
    for path in files_below(&data.join("corpus")) {
        let Ok(file) = File::open(&path) else {
            tally.not_sent += 1;
            continue;
        };
        send_with(tool, &arguments(&file), storescp_port, &path).await;
        let Some(reference) = files_below(directory.path()).pop() else {
            // The tool cannot read it, or has no presentation context for it.
            tally.not_sent += 1;
            continue;
        };
        let reference_file = File::open(&reference).unwrap();
        let bytes = data_set_of(std::fs::read(&reference).unwrap());
        std::fs::remove_file(&reference).unwrap();
        let said = send_with(tool, &arguments(&file), node.address.port(), &path).await;
        if node.in_custody(&reference_file.sop_instance_uid).contains(&bytes) {
            tally.stored += 1;
        } else {
            println!("{path:?}: {said}");
            tally.refused += 1;
        }
    }
    println!("{tool}: {tally:?}");
    assert!(tally.stored > 150, "{tally:?}");
    assert!(tally.refused < 20, "{tally:?}");
}

async fn send_with(tool: &str, arguments: &[&str], port: u16, path: &Path) -> String {
    let output = dcmtk::run(tool, &[arguments, &["127.0.0.1", &port.to_string()]].concat(), &[path]).await;
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// storescu proposes at most one compressed transfer syntax, which must be named.
fn storescu_arguments(file: &File) -> Vec<&'static str> {
    let propose = match file.transfer_syntax_uid.as_str() {
        "1.2.840.10008.1.2" => "-xi",
        "1.2.840.10008.1.2.2" => "-xb",
        "1.2.840.10008.1.2.1.99" => "-xd",
        "1.2.840.10008.1.2.4.50" => "-xy",
        "1.2.840.10008.1.2.4.51" => "-xx",
        "1.2.840.10008.1.2.4.70" => "-xs",
        "1.2.840.10008.1.2.4.80" => "-xt",
        "1.2.840.10008.1.2.4.81" => "-xu",
        "1.2.840.10008.1.2.4.90" => "-xv",
        "1.2.840.10008.1.2.4.91" => "-xw",
        "1.2.840.10008.1.2.4.100" => "-xm",
        "1.2.840.10008.1.2.5" => "-xr",
        _ => "-xe",
    };
    vec!["-R", propose]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_that_storescu_sends_is_stored_as_storescp_stores_it() {
    sent_by("storescu", storescu_arguments).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_that_dcmsend_sends_is_stored_as_storescp_stores_it() {
    sent_by("dcmsend", |_| vec!["--no-uid-checks", "--decompress-never"]).await;
}
