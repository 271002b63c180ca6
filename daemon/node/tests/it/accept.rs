//! Which associations are accepted, how requests are answered, and in which order the engine is told.

use custody::level::Level;
use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJServiceProviderPresentationReason as Presentation,
    AssociationRJServiceUserReason as User, AssociationRJSource as Source, PDataValueType, Pdu,
};
use node::Arrival;
use node::settings::Sender;

use super::fixtures::{Node, data_set};
use super::peer::{Peer, command, number, request, store_command, text};

async fn reject_of(node: &Node, called: &str, calling: &str) -> Option<AssociationRJ> {
    let mut peer = Peer::connect(node.address).await;
    peer.send(&Pdu::AssociationRQ(request(called, calling))).await;
    match peer.read().await {
        Some(Pdu::AssociationRJ(reject)) => Some(reject),
        Some(Pdu::AssociationAC(_)) => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_wrong_title_is_rejected_permanently_with_the_right_reason() {
    let sender = Sender { ae_title: "CT1".into(), ..Sender::default() };
    let node = Node::start(|settings| settings.sender = vec![sender]).await;
    let wrong_called = reject_of(&node, "PACS", "CT1").await.unwrap();
    assert_eq!(wrong_called.source, Source::ServiceUser(User::CalledAETitleNotRecognized));
    assert_eq!(wrong_called.result, AssociationRJResult::Permanent);
    let wrong_calling = reject_of(&node, "SCANSIDE", "MR7").await.unwrap();
    assert_eq!(wrong_calling.source, Source::ServiceUser(User::CallingAETitleNotRecognized));
    assert_eq!(reject_of(&node, "SCANSIDE", "CT1").await, None);
    let calls: Vec<_> =
        node.callers.list().into_iter().map(|c| (c.calling_ae, c.called_ae, c.outcome.code())).collect();
    let call = |calling: &str, called: &str, code| (calling.to_owned(), called.to_owned(), code);
    assert_eq!(
        calls,
        [
            call("CT1", "SCANSIDE", "accepted"),
            call("MR7", "SCANSIDE", "calling-ae-unknown"),
            call("CT1", "PACS", "called-ae-wrong")
        ],
        "who called is remembered, the latest first"
    );
}

#[tokio::test]
async fn a_browser_and_a_tls_client_are_remembered_by_what_they_are() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let node = Node::start(|_| {}).await;
    for hello in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]] {
        let mut stream = tokio::net::TcpStream::connect(node.address).await.unwrap();
        stream.write_all(hello).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    }
    let codes: Vec<_> = node.callers.list().iter().map(|caller| caller.outcome.code()).collect();
    assert_eq!(codes, ["tls-on-plain-port", "not-dicom"]);
}

#[tokio::test]
async fn forty_call_at_once_thirty_two_get_in_and_eight_are_told_to_come_back() {
    let mut node = Node::start(|_| {}).await;
    let calls = (0..40).map(|_| async {
        let mut peer = Peer::connect(node.address).await;
        peer.send(&Pdu::AssociationRQ(request("SCANSIDE", "CT1"))).await;
        let answer = peer.read().await.unwrap();
        (peer, answer)
    });
    let (mut inside, mut outside) = (Vec::new(), 0);
    for (peer, answer) in futures_util::future::join_all(calls).await {
        match answer {
            Pdu::AssociationAC(_) => inside.push(peer),
            Pdu::AssociationRJ(reject) => {
                assert_eq!(reject.result, AssociationRJResult::Transient);
                assert_eq!(reject.source, Source::ServiceProviderPresentation(Presentation::LocalLimitExceeded));
                outside += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((inside.len(), outside), (32, 8));
    for peer in &mut inside {
        assert_eq!(peer.echo(9).await, 0);
    }
    inside.pop().unwrap().release().await;
    assert!(matches!(node.arrival().await, Arrival::Released { clean: true, .. }));
    assert_eq!(reject_of(&node, "SCANSIDE", "CT1").await, None, "a place that was left can be taken");
}

#[tokio::test]
async fn connections_that_ask_for_nothing_use_no_place_and_are_closed_after_artim() {
    let node = Node::start(|settings| {
        settings.max_associations = 2;
        settings.artim_secs = 1;
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(Peer::connect(node.address).await);
    }
    let mut first = Peer::associate(node.address).await;
    let mut second = Peer::associate(node.address).await;
    for peer in &mut silent {
        assert_eq!(peer.until_closed().await, []);
    }
    assert_eq!(first.echo(1).await, 0, "an association is not under ARTIM");
    assert_eq!(second.echo(1).await, 0);
}

#[tokio::test]
async fn many_silent_connections_do_not_keep_a_scanner_out() {
    let node = Node::start(|_| {}).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(Peer::connect(node.address).await);
    }
    let mut scanner = Peer::associate(node.address).await;
    assert_eq!(scanner.echo(1).await, 0);
    assert_eq!(silent[0].until_closed().await, [], "the oldest made room");
}

#[tokio::test]
async fn the_engine_hears_of_what_was_kept_and_then_of_the_release_and_resends_make_no_event() {
    let mut node = Node::start(|_| {}).await;
    let mut peer = Peer::associate(node.address).await;
    let uids = ["1.2.3.4.5.0", "1.2.3.4.5.1", "1.2.3.4.5.2"];
    let sets = uids.map(|uid| data_set(uid, 100_000));
    for _ in 0..2 {
        for (uid, bytes) in uids.iter().zip(&sets) {
            assert_eq!(peer.store(7, uid, bytes).await, 0);
        }
    }
    let changed = data_set(uids[0], 100_002);
    assert_eq!(peer.store(9, uids[0], &changed).await, 0, "other bytes under the same UID are kept too");
    peer.release().await;
    let (kept, clean) = node.until_released().await;
    assert!(clean);
    let heard: Vec<_> = kept.iter().map(|instance| instance.header.sop_instance_uid.as_str()).collect();
    assert_eq!(heard, uids, "each once, in order");
    for (instance, expected) in kept.iter().zip(&sets) {
        assert!(node.data_set(instance) == *expected, "byte for byte");
    }
    assert!(node.in_custody(uids[0]) == [sets[0].clone(), changed], "both versions");
    assert!(node.arrivals.try_recv().is_err());
}

#[tokio::test]
async fn when_no_studies_are_taken_a_store_is_answered_a700_with_the_reason_and_nothing_is_kept() {
    let mut node = Node::start(|_| {}).await;
    node.gate.set(Level::NoNewStudies, "12 MiB free, 2048 MiB must stay free");
    let mut peer = Peer::associate(node.address).await;
    peer.send_pdv(1, PDataValueType::Command, true, &store_command(5, "1.2.3")).await;
    peer.send_pdv(1, PDataValueType::Data, true, &data_set("1.2.3", 1000)).await;
    let Some(Pdu::PData { data }) = peer.read().await else { panic!() };
    assert_eq!(number(&data[0].data, 0x0900), Some(0xa700));
    assert_eq!(text(&data[0].data, 0x0902).unwrap(), "12 MiB free, 2048 MiB must stay free");
    assert_eq!(text(&data[0].data, 0x1000).unwrap(), "1.2.3");
    node.gate.set(Level::Full, "");
    assert_eq!(peer.store(6, "1.2.3", &data_set("1.2.3", 1000)).await, 0);
    peer.release().await;
    assert_eq!(node.until_released().await.0.len(), 1);
}

#[tokio::test]
async fn other_operations_are_answered_as_not_offered_and_a_cancel_is_not_answered() {
    let node = Node::start(|_| {}).await;
    let mut peer = Peer::associate(node.address).await;
    let cancel = command(&[(0x0100, &[0xff, 0x0f]), (0x0120, &[1, 0]), (0x0800, &[1, 1])]);
    peer.send_pdv(1, PDataValueType::Command, true, &cancel).await;
    let find = command(&[(0x0100, &[0x20, 0]), (0x0110, &[7, 0]), (0x0800, &[0, 0])]);
    peer.send_pdv(1, PDataValueType::Command, true, &find).await;
    peer.send_pdv(1, PDataValueType::Data, true, &[8, 0, 0x52, 0, 0, 0, 0, 0]).await;
    assert_eq!(peer.status(7).await, 0x0211);
    let bare = command(&[(0x0100, &[1, 0]), (0x0110, &[8, 0]), (0x0800, &[0, 0])]);
    peer.send_pdv(1, PDataValueType::Command, true, &bare).await;
    peer.send_pdv(1, PDataValueType::Data, true, &data_set("1.2.3", 10)).await;
    assert_eq!(peer.status(8).await, 0x0122, "no SOP class");
    assert_eq!(peer.echo(65_535).await, 0);
    peer.release().await;
}

#[tokio::test]
async fn a_data_set_that_is_not_what_the_command_says_is_a900() {
    let mut node = Node::start(|_| {}).await;
    let mut peer = Peer::associate(node.address).await;
    assert_eq!(peer.store(1, "1.2.3.4.5.1", &data_set("1.2.3.4.5.2", 1000)).await, 0xa900);
    peer.release().await;
    assert!(node.until_released().await.0.is_empty());
}

#[tokio::test]
async fn an_abort_in_the_middle_keeps_what_was_answered_and_nothing_else() {
    let mut node = Node::start(|_| {}).await;
    let mut peer = Peer::associate(node.address).await;
    assert_eq!(peer.store(1, "1.2.3.4.5.1", &data_set("1.2.3.4.5.1", 50_000)).await, 0);
    peer.send_pdv(1, PDataValueType::Command, true, &store_command(2, "1.2.3.4.5.2")).await;
    peer.send_pdv(1, PDataValueType::Data, false, &data_set("1.2.3.4.5.2", 50_000)).await;
    peer.send(&Pdu::AbortRQ { source: dicom_ul::pdu::AbortRQSource::ServiceUser }).await;
    let (kept, clean) = node.until_released().await;
    assert_eq!((kept.len(), clean), (1, false));
}

#[tokio::test]
async fn a_node_that_stops_finishes_the_message_in_flight_and_then_aborts() {
    let node = Node::start(|_| {}).await;
    let mut peer = Peer::associate(node.address).await;
    let bytes = data_set("1.2.3.4.5.1", 50_000);
    let (head, tail) = bytes.split_at(1000);
    peer.send_pdv(1, PDataValueType::Command, true, &store_command(2, "1.2.3.4.5.1")).await;
    peer.send_pdv(1, PDataValueType::Data, false, head).await;
    let mut idle = Peer::associate(node.address).await;
    node.trigger.cancel();
    assert!(matches!(idle.until_closed().await[..], [Pdu::AbortRQ { .. }]));
    peer.send_pdv(1, PDataValueType::Data, true, tail).await;
    assert_eq!(peer.status(2).await, 0);
    assert!(matches!(peer.until_closed().await[..], [Pdu::AbortRQ { .. }]));
    drop((peer, idle));
    node.served.await.unwrap().unwrap();
}
