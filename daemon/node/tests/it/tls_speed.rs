//! How fast studies come by TLS, compared with the port without it. Only by hand, optimised:
//! `cargo test --release -p node --test it -- --ignored --nocapture ingest_by_tls`

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::dcmtk;
use super::fixtures::{CT, IMPLICIT, Node, data_set, part10};
use super::tls_support::Site;

const SLICES: usize = 300;
const PIXEL_BYTES: usize = 512 * 512 * 2;
const ROUNDS: usize = 5;

/// Files with UIDs of their own.
fn study(directory: &Path, round: usize, kind: usize) -> Vec<PathBuf> {
    let write = |slice: usize| {
        let uid = format!("1.2.{kind}.{round}.{slice}");
        let path = directory.join(format!("{uid}.dcm"));
        std::fs::write(&path, part10(CT, &uid, IMPLICIT, &data_set(&uid, PIXEL_BYTES))).unwrap();
        path
    };
    (0..SLICES).map(write).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn ingest_by_tls_is_not_much_slower_than_without() {
    if !dcmtk::installed("storescu") {
        return;
    }
    let site = Site::new();
    let mut node = Node::start(site.secure()).await;
    let (scanner, ca) = (site.machine("ct1.test"), site.ca().display().to_string());
    let (key, certificate) = (scanner.key.display().to_string(), scanner.certificate.display().to_string());
    let (plain, tls) = (node.address.port().to_string(), node.tls.unwrap().port().to_string());
    let mut seconds = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // In turns, so that whatever else the machine does burdens both.
        for (kind, port) in [&plain, &tls].into_iter().enumerate() {
            let directory = tempfile::tempdir().unwrap();
            let files = study(directory.path(), round, kind);
            let mut arguments = vec!["-xi", "-aec", "SCANSIDE", "-aet", "CT1", "-pdu", "131072"];
            if kind == 1 {
                arguments.extend(["+tls", &key, &certificate, "+cf", &ca]);
            }
            arguments.extend(["127.0.0.1", port]);
            let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
            let begun = Instant::now();
            let output = dcmtk::run("storescu", &arguments, &files).await;
            seconds[kind].push(begun.elapsed().as_secs_f64());
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(node.until_released().await.0.len(), SLICES);
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[ROUNDS / 2]
    };
    let [plain, tls] = seconds.each_mut().map(median);
    println!(
        "{SLICES} slices of 512x512: {:.0}/s without TLS, {:.0}/s by TLS, ratio {:.2}",
        SLICES as f64 / plain,
        SLICES as f64 / tls,
        plain / tls
    );
    assert!(plain / tls >= 0.7, "{:.2}", plain / tls);
}
