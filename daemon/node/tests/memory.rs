//! A large instance is streamed to the disk. This test has a program of its own because it measures the peak memory of
//! its process.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[allow(dead_code)]
#[path = "it/fixtures.rs"]
mod fixtures;
#[allow(dead_code)]
#[path = "it/peer.rs"]
mod peer;

use dicom_ul::pdu::PDataValueType;
use fixtures::{Node, data_set_head};
use peer::{Peer, store_command};

const MIB: usize = 1024 * 1024;
const INSTANCE: usize = 256 * MIB;
const UID: &str = "1.2.3.4.5.6";

/// Peak resident memory of this process, bytes; `None` if the kernel does not report it.
fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? * 1024)
}

#[tokio::test]
async fn an_instance_of_256_mib_is_kept_whole_and_never_held_in_memory() {
    let mut node = Node::start(|_| {}).await;
    let mut peer = Peer::associate(node.address).await;
    let before = peak();
    peer.send_pdv(1, PDataValueType::Command, true, &store_command(1, UID)).await;
    let head = data_set_head(UID, u32::try_from(INSTANCE).unwrap());
    peer.send_pdv(1, PDataValueType::Data, false, &head).await;
    let part = vec![0x5a; 128 * 1024 - 12];
    let mut left = INSTANCE;
    while left > 0 {
        let part = &part[..part.len().min(left)];
        left -= part.len();
        peer.send_pdv(1, PDataValueType::Data, left == 0, part).await;
    }
    assert_eq!(peer.status(1).await, 0);
    let after = peak();
    peer.release().await;
    let (kept, _) = node.until_released().await;
    assert!(kept[0].location.length() > INSTANCE as u64);
    if let (Some(before), Some(after)) = (before, after) {
        println!("peak memory grew by {} MiB", (after - before) / MIB);
        assert!(after - before < 64 * MIB, "grew by {} MiB", (after - before) / MIB);
    }
}
