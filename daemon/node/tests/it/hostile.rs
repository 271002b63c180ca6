//! Broken and malicious peers. They can end their own association but no other.

use std::time::Duration;

use dicom_ul::pdu::{AbortRQServiceProviderReason as Reason, AbortRQSource, PDataValueType, Pdu, write_pdu};
use node::Arrival;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::io::AsyncWriteExt;

use super::fixtures::{Node, data_set};
use super::peer::{Peer, request, store_command};

/// Everything that a correct sender sends, as bytes.
fn conversation() -> Vec<u8> {
    let mut bytes = Vec::new();
    let pdv = |value_type, data: Vec<u8>| Pdu::PData {
        data: vec![dicom_ul::pdu::PDataValue { presentation_context_id: 1, value_type, is_last: true, data }],
    };
    for pdu in [
        Pdu::AssociationRQ(request("SCANSIDE", "CT1")),
        pdv(PDataValueType::Command, store_command(1, "1.2.3.4.5.9")),
        pdv(PDataValueType::Data, data_set("1.2.3.4.5.9", 500)),
        Pdu::ReleaseRQ,
    ] {
        write_pdu(&mut bytes, &pdu).unwrap();
    }
    bytes
}

/// Sends `bytes`, hangs up, and waits until the node has closed too.
async fn throw(node: &Node, bytes: &[u8]) {
    let mut peer = Peer::connect(node.address).await;
    // The node may close before it has read everything, so an error is ignored.
    let _ = peer.stream.write_all(bytes).await;
    let _ = peer.stream.shutdown().await;
    let mut scrap = Vec::new();
    let closed = tokio::io::AsyncReadExt::read_to_end(&mut peer.stream, &mut scrap);
    let _ = tokio::time::timeout(super::fixtures::PATIENCE, closed).await.expect("the node closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bytes_bring_the_node_down_or_disturb_another_association() {
    let mut node = Node::start(|_| {}).await;
    let mut steady = Peer::associate(node.address).await;
    let mut random = SmallRng::seed_from_u64(11_112);
    let good = conversation();
    for round in 0..400u16 {
        let mut bytes = good.clone();
        match round % 4 {
            0 => bytes = (0..random.random_range(1..3000)).map(|_| random.random()).collect(),
            1 => bytes.truncate(random.random_range(1..good.len())),
            2 => {
                for _ in 0..random.random_range(1..12) {
                    let at = random.random_range(0..bytes.len());
                    bytes[at] = random.random();
                }
            }
            _ => {
                let at = random.random_range(0..bytes.len() - 4);
                bytes[at..at + 4].copy_from_slice(&random.random_range(0x7fff_0000..u32::MAX).to_be_bytes());
            }
        }
        throw(&node, &bytes).await;
        if round % 50 == 0 {
            assert_eq!(steady.echo(round).await, 0, "round {round}");
        }
    }
    let uid = "1.2.3.4.5.6";
    assert_eq!(steady.store(1, uid, &data_set(uid, 3000)).await, 0);
    steady.release().await;
    assert!(!node.served.is_finished());
    while node.arrivals.try_recv().is_ok() {}
}

#[tokio::test]
async fn a_broken_protocol_is_aborted_with_the_reason() {
    let node = Node::start(|_| {}).await;
    let command = store_command(1, "1.2.3");
    let cases: [(&str, Vec<u8>, Reason); 5] = [
        ("a PDU type that does not exist", vec![0x42, 0, 0, 0, 0, 0], Reason::UnrecognizedPdu),
        ("a second association request", conversation(), Reason::UnexpectedPdu),
        ("a PDU of 4 GiB", vec![4, 0, 0xff, 0xff, 0xff, 0xff], Reason::InvalidPduParameter),
        ("a PDV longer than its PDU", vec![4, 0, 0, 0, 0, 6, 0, 0, 1, 0, 1, 3], Reason::InvalidPduParameter),
        ("a data set without a command", vec![4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 2], Reason::UnexpectedPduParameter),
    ];
    for (what, bytes, reason) in cases {
        let mut peer = Peer::associate(node.address).await;
        peer.stream.write_all(&bytes).await.unwrap();
        let abort = Pdu::AbortRQ { source: AbortRQSource::ServiceProvider(reason) };
        assert_eq!(peer.until_closed().await, [abort], "{what}");
    }
    let mut peer = Peer::associate(node.address).await;
    peer.send_pdv(5, PDataValueType::Command, true, &command).await;
    assert!(matches!(peer.until_closed().await[..], [Pdu::AbortRQ { .. }]), "a context that was not accepted");
    let mut peer = Peer::connect(node.address).await;
    peer.stream.write_all(&[4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 2]).await.unwrap();
    assert!(matches!(peer.until_closed().await[..], [Pdu::AbortRQ { .. }]), "data before any association");
}

#[tokio::test]
async fn a_sender_that_stalls_in_the_middle_of_a_message_is_aborted_and_its_place_is_free() {
    let mut node = Node::start(|settings| {
        settings.max_associations = 1;
        settings.artim_secs = 1;
    })
    .await;
    let mut peer = Peer::associate(node.address).await;
    peer.send_pdv(1, PDataValueType::Command, true, &store_command(1, "1.2.3")).await;
    peer.send_pdv(1, PDataValueType::Data, false, &data_set("1.2.3", 1000)).await;
    assert!(matches!(peer.until_closed().await[..], [Pdu::AbortRQ { .. }]));
    let (kept, clean) = node.until_released().await;
    assert!(kept.is_empty() && !clean);
    let mut next = Peer::associate(node.address).await;
    assert_eq!(next.echo(1).await, 0, "although the first has not closed its connection");
}

#[tokio::test]
async fn a_byte_at_a_time_does_not_hold_an_association_open() {
    let mut node = Node::start(|settings| settings.artim_secs = 1).await;
    let mut peer = Peer::associate(node.address).await;
    let (mut reader, mut writer) = peer.stream.split();
    let drip = async {
        loop {
            if writer.write_all(&[4]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut said = Vec::new();
    tokio::select! {
        () = drip => {}
        read = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut said) => { let _ = read; }
    }
    assert!(matches!(node.arrival().await, Arrival::Released { clean: false, .. }));
}

#[tokio::test]
async fn an_idle_association_is_ended_and_says_why() {
    let mut node = Node::start(|settings| settings.idle_secs = 1).await;
    let mut peer = Peer::associate(node.address).await;
    assert_eq!(peer.echo(1).await, 0);
    assert!(matches!(peer.until_closed().await[..], [Pdu::AbortRQ { .. }]));
    assert!(matches!(node.arrival().await, Arrival::Released { clean: false, .. }));
}
