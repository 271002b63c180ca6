//! One peer that holds every place, idle or in the middle of messages that never end. Peers differ by their loopback
//! address.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dicom_ul::pdu::{PDataValueType, Pdu};
use tokio::net::TcpSocket;

use super::fixtures::{Node, data_set};
use super::peer::{Peer, request, store_command};

const GREEDY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const PLACES: usize = 32;

/// An association from `from`; `None` when it is rejected.
async fn associate_from(from: Ipv4Addr, node: SocketAddr) -> Option<Peer> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut peer = Peer { stream: socket.connect(node).await.unwrap() };
    peer.send(&Pdu::AssociationRQ(request("SCANSIDE", "CT1"))).await;
    match peer.read().await {
        Some(Pdu::AssociationAC(_)) => Some(peer),
        Some(Pdu::AssociationRJ(_)) => None,
        other => panic!("{other:?}"),
    }
}

async fn greedy(node: &Node) -> Vec<Peer> {
    let mut all = Vec::new();
    for _ in 0..PLACES {
        all.push(associate_from(GREEDY, node.address).await.expect("a place"));
    }
    all
}

async fn an_innocent_peer_gets_in(node: &Node) {
    let begun = Instant::now();
    let mut innocent = associate_from(Ipv4Addr::LOCALHOST, node.address).await.expect("the innocent one gets in");
    assert_eq!(innocent.echo(1).await, 0);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_holds_all_places_idle_keeps_nobody_out() {
    let node = Node::start(|_| {}).await;
    let mut all = greedy(&node).await;
    assert_eq!(all[0].echo(1).await, 0);
    an_innocent_peer_gets_in(&node).await;
    assert!(matches!(all[1].until_closed().await[..], [Pdu::AbortRQ { .. }]), "the longest idle one made room");
    assert_eq!(all[0].echo(2).await, 0, "not the one that was busy after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_in_the_middle_of_a_message_on_every_place_keeps_nobody_out() {
    let mut node = Node::start(|_| {}).await;
    let mut all = greedy(&node).await;
    for peer in &mut all {
        peer.send_pdv(1, PDataValueType::Command, true, &store_command(1, "1.2.3")).await;
        peer.send_pdv(1, PDataValueType::Data, false, &data_set("1.2.3", 1000)).await;
    }
    an_innocent_peer_gets_in(&node).await;
    let (kept, clean) = node.until_released().await;
    assert!(kept.is_empty() && !clean);
    assert!(matches!(all[0].until_closed().await[..], [Pdu::AbortRQ { .. }]), "the longest in its message made room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_within_its_share_loses_no_busy_association_to_a_greedy_one() {
    let mut node = Node::start(|settings| settings.max_associations = 4).await;
    let mut innocent = associate_from(Ipv4Addr::LOCALHOST, node.address).await.unwrap();
    let bytes = data_set("1.2.3.4.5.1", 50_000);
    innocent.send_pdv(1, PDataValueType::Command, true, &store_command(2, "1.2.3.4.5.1")).await;
    innocent.send_pdv(1, PDataValueType::Data, false, &bytes[..1000]).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        others.extend(associate_from(GREEDY, node.address).await);
    }
    assert_eq!(others.len(), 3, "what was free");
    innocent.send_pdv(1, PDataValueType::Data, true, &bytes[1000..]).await;
    assert_eq!(innocent.status(2).await, 0);
    while node.arrivals.try_recv().is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_only_drips_is_ended_and_a_slow_one_is_not() {
    let mut node = Node::start(|settings| settings.artim_secs = 1).await;
    let (uid, bytes) = ("1.2.3.4.5.1", data_set("1.2.3.4.5.1", 20_000));
    let mut slow = Peer::associate(node.address).await;
    slow.send_pdv(1, PDataValueType::Command, true, &store_command(2, uid)).await;
    let mut parts = bytes.chunks(2000).peekable();
    while let Some(part) = parts.next() {
        slow.send_pdv(1, PDataValueType::Data, parts.peek().is_none(), part).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(slow.status(2).await, 0);
    slow.release().await;
    let (kept, clean) = node.until_released().await;
    assert!(kept.len() == 1 && clean);

    let mut dripping = Peer::associate(node.address).await;
    dripping.send_pdv(1, PDataValueType::Command, true, &store_command(3, "1.2.3.4.5.2")).await;
    let ended = async { node.until_released().await };
    let drip = async {
        loop {
            let value = dicom_ul::pdu::PDataValue {
                presentation_context_id: 1,
                value_type: PDataValueType::Data,
                is_last: false,
                data: vec![0, 0],
            };
            let mut bytes = Vec::new();
            dicom_ul::pdu::write_pdu(&mut bytes, &Pdu::PData { data: vec![value] }).unwrap();
            if tokio::io::AsyncWriteExt::write_all(&mut dripping.stream, &bytes).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    };
    tokio::select! {
        (kept, clean) = ended => assert!(kept.is_empty() && !clean),
        () = drip => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("it drips for ever"),
    }
}
