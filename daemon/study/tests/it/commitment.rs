//! The outbox asks archives of pynetdicom whether they keep what they took.

use std::time::Duration;

use custody::store::asks;
use needs::peers::{Program, Service, tried};
use node::settings::Asking;
use serde_json::{Value, json};

use super::fixtures::Node;
use super::outbox_support::Box_;
use super::pynetdicom::Py;

/// A node beside the outbox, on the same database, to which the archive reports; and the archive.
async fn archive(py: &mut Py, outbox: &Box_, how: &str, more: Value) -> (Node, std::net::SocketAddr) {
    let known = node::services::Archive {
        ae_title: "PACS".into(),
        our_title: "SCANSIDE".into(),
        address: "127.0.0.1:1".into(),
        tls: None,
    };
    let node = Node::start_beside(&outbox.store, &outbox.wake, vec![known], |settings| {
        // Archives need not be senders.
        settings.sender = vec![node::settings::Sender { ae_title: "CT1".into(), ..Default::default() }];
    })
    .await;
    let mut order = json!({
        "do": "listen", "role": "archive", "ae_title": "PACS", "commitment": how,
        "report_to": ["127.0.0.1", node.address.port()],
    });
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let port = py.order(order).await["port"].as_u64().unwrap();
    (node, format!("127.0.0.1:{port}").parse().unwrap())
}

/// Waits until all deliveries say this of commitment.
async fn until(outbox: &Box_, commitment: Option<&str>) {
    let wait = async {
        loop {
            let all = outbox.list();
            let settled = all.iter().all(|one| one.state == "delivered" && one.commitment.as_deref() == commitment);
            if settled && !all.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(super::fixtures::PATIENCE, wait).await;
    assert!(waited.is_ok(), "{:?}", outbox.list());
}

/// How many results retention must not take.
fn open(outbox: &Box_) -> u32 {
    let sql = "SELECT count(*) FROM deliveries WHERE state = 'pending' OR (state = 'delivered' AND commitment IN ('wanted', 'asked'))";
    outbox.rows.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_took_is_committed_when_it_says_so_on_either_association() {
    for how in ["new", "same"] {
        let Some(mut py) = Py::start().await else { return };
        let mut outbox = Box_::new();
        outbox.commitment = Asking::Auto;
        let (_node, address) = archive(&mut py, &outbox, how, json!({})).await;
        let uids = outbox.queue(3);
        outbox.start(address);
        let asked = py.event("asked").await;
        assert_eq!(asked["uids"], json!(uids));
        assert_eq!(py.event("reported").await["status"], 0, "{how}");
        until(&outbox, Some(asks::COMMITTED)).await;
        assert_eq!(open(&outbox), 0, "retention may take them");
        assert_eq!(asks::offers(&outbox.rows, "pacs").unwrap(), Some(true));
        outbox.stop().await;
    }
    tried(Program::Pynetdicom, &[Service::StoreOut, Service::CommitmentOut]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_lost_is_sent_again() {
    let Some(mut py) = Py::start().await else { return };
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    let (_node, address) = archive(&mut py, &outbox, "new", json!({"loses": ["1.2.3.2"]})).await;
    // After the node has started: it tidies the rows of results whose files are not in its own folder.
    let uids = outbox.queue(2);
    outbox.start(address);
    // Five reports that say no: the object is parked, the other is committed.
    for round in 1..=5 {
        let told = tokio::time::timeout(Duration::from_secs(30), py.event("reported")).await;
        let Ok(told) = told else { panic!("round {round}: {:?}", outbox.list()) };
        assert_eq!(told["status"], 0);
    }
    let wait = async {
        while outbox.list().iter().all(|one| one.state != "parked") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(super::fixtures::PATIENCE, wait).await.unwrap();
    let all = outbox.list();
    let of = |uid: &str| all.iter().find(|one| one.sop_uid == uid).unwrap();
    assert_eq!(of(&uids[0]).commitment.as_deref(), Some(asks::COMMITTED));
    let reason = of(&uids[1]).reason.clone().unwrap();
    assert!(reason.contains("does not keep it (storage commitment: 0x0112)"), "{reason}");
    outbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_offers_no_commitment_is_remembered_and_delivered_counts() {
    let Some(mut py) = Py::start().await else { return };
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    let (_node, address) = archive(&mut py, &outbox, "refuse", json!({})).await;
    outbox.queue(2);
    outbox.start(address);
    until(&outbox, None).await;
    assert_eq!((asks::offers(&outbox.rows, "pacs").unwrap(), open(&outbox)), (Some(false), 0));
    outbox.stop().await;
    // A person insists: nothing of it is evicted.
    outbox.commitment = Asking::Ask;
    outbox.queue(1);
    outbox.start(address);
    outbox.until_pending(0).await;
    assert_eq!(open(&outbox), 1, "{:?}", outbox.list());
    outbox.stop().await;
    // And changes the mind again.
    outbox.commitment = Asking::Off;
    outbox.start(address);
    until(&outbox, None).await;
    outbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_never_reports_is_asked_a_few_times_and_not_evicted_from_meanwhile() {
    let Some(mut py) = Py::start().await else { return };
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    // 0.3 s.
    outbox.commitment_days = 0.3 / 86_400.0;
    let (_node, address) = archive(&mut py, &outbox, "never", json!({})).await;
    outbox.queue(1);
    outbox.start(address);
    let first = py.event("asked").await;
    assert_eq!(open(&outbox), 1, "asked and not answered: it is kept");
    let second = py.event("asked").await;
    assert_ne!(first["transaction"], second["transaction"]);
    py.event("asked").await;
    until(&outbox, Some(asks::UNANSWERED)).await;
    assert_eq!(open(&outbox), 0);
    outbox.stop().await;
}
