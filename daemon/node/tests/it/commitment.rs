//! Storage commitment that scanners ask of the node: pynetdicom as the scanner, and hand-made requests.

use std::time::{Duration, Instant};

use custody::level::Level;
use custody::store::commitments::{self, Item, Listed, New};
use custody::store::{Durability, instances, now_utc, utc_after};
use dicom_ul::pdu::{PDataValueType, Pdu, PresentationContextProposed};
use needs::peers::{Program, Service, tried};
use node::services::Archive;
use node::settings::{Dicom, Plain, ReportBy, Sender};
use serde_json::json;

use super::fixtures::{CT, IMPLICIT, Node, PATIENCE, data_set, element};
use super::peer::{Peer, command, number, request, store_command};
use super::pynetdicom::Py;

const COMMITMENT: &str = "1.2.840.10008.1.20.1";
const INSTANCE: &str = "1.2.840.10008.1.20.1.1";

/// Quick, so that tests need not wait.
fn quick(settings: &mut Dicom) {
    settings.commitment.wait_secs = 0.0;
    settings.commitment.retry_secs = 0.05;
    settings.commitment.retry_max_secs = 0.2;
}

fn scanner(port: u16) -> Sender {
    Sender { ae_title: "CT1".into(), commitment_port: Some(port), ..Sender::default() }
}

fn listed(node: &Node) -> Vec<Listed> {
    commitments::list(&node.store.connect(Durability::Rebuildable).unwrap(), 100).unwrap()
}

/// Waits until the newest transaction is in this state.
async fn until(node: &Node, state: &str) -> Listed {
    let wait = async {
        loop {
            match listed(node).into_iter().next() {
                Some(row) if row.state == state => return row,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("the transaction comes to this state")
}

async fn store(node: &Node, uids: &[&str]) {
    let mut peer = Peer::associate(node.address).await;
    for (id, uid) in (1..).zip(uids) {
        assert_eq!(peer.store(id, uid, &data_set(uid, 2000)).await, 0);
    }
    peer.release().await;
}

fn ask(node: &Node, transaction: &str, uids: &[&str]) -> serde_json::Value {
    let items: Vec<_> = uids.iter().map(|uid| json!([CT, uid])).collect();
    json!({
        "do": "ask", "calling": "CT1", "to": ["127.0.0.1", node.address.port()], "transaction": transaction,
        "items": items,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_is_told_on_a_new_association_with_roles_turned_round_what_is_kept_and_what_is_not() {
    let Some(mut py) = Py::start().await else { return };
    let port = py.listen_as_scanner(0, &[]).await;
    let node = Node::start(|settings| {
        quick(settings);
        settings.sender = vec![scanner(port)];
    })
    .await;
    store(&node, &["1.2.1", "1.2.2", "1.2.3"]).await;
    assert_eq!(py.order(ask(&node, "1.9.1", &["1.2.1", "1.2.2"])).await["status"], 0);
    let report = py.event("report").await;
    assert_eq!((report["type"].as_u64(), report["transaction"].as_str()), (Some(1), Some("1.9.1")));
    assert_eq!(report["kept"], json!(["1.2.1", "1.2.2"]));
    assert_eq!(report["roles"], json!({ COMMITMENT: [false, true] }), "role selection");
    assert_eq!((report["syntax"].as_str(), report["own"].as_bool()), (Some(IMPLICIT), Some(false)));
    assert_eq!(report["caller"], "SCANSIDE");
    assert_eq!(until(&node, "reported").await.failed, Some(0));
    // Never received; received as another class.
    let mut order = ask(&node, "1.9.2", &["1.2.1", "1.2.99"]);
    order["items"].as_array_mut().unwrap().push(json!(["1.2.840.10008.5.1.4.1.1.4", "1.2.3"]));
    assert_eq!(py.order(order).await["status"], 0);
    let report = py.event("report").await;
    assert_eq!(report["type"], 2);
    assert_eq!(report["kept"], json!(["1.2.1"]));
    assert_eq!(report["failed"], json!({"1.2.99": 0x0112, "1.2.3": 0x0119}));
    let row = until(&node, "reported").await;
    assert_eq!((row.objects, row.failed), (3, Some(2)));
    tried(Program::Pynetdicom, &[Service::CommitmentIn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rots_on_the_disk_or_is_quarantined_is_not_committed() {
    let Some(mut py) = Py::start().await else { return };
    let port = py.listen_as_scanner(0, &[]).await;
    let node = Node::start(|settings| {
        quick(settings);
        settings.sender = vec![scanner(port)];
    })
    .await;
    store(&node, &["1.2.1", "1.2.2"]).await;
    let mut peer = Peer::associate(node.address).await;
    assert_ne!(peer.store(1, "1.2.3", b"no data set at all, and long enough to be looked at").await, 0);
    // A bad sector in the custody log: bytes of the second object's pixels turn over.
    let segment = std::fs::read_dir(node.directory.path().join("log"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| std::fs::read(path).is_ok_and(|bytes| bytes.windows(5).any(|at| at == b"1.2.2")))
        .unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(5).rposition(|at| at == b"1.2.2").unwrap() + 700;
    bytes[at] ^= 0xff;
    std::fs::write(&segment, bytes).unwrap();
    assert_eq!(py.order(ask(&node, "1.9.1", &["1.2.1", "1.2.2", "1.2.3"])).await["status"], 0);
    let report = py.event("report").await;
    assert_eq!(report["kept"], json!(["1.2.1"]));
    assert_eq!(report["failed"], json!({"1.2.2": 0x0112, "1.2.3": 0x0112}));
    let rows = node.store.connect(Durability::Rebuildable).unwrap();
    assert_eq!(instances::counts(&rows).unwrap().damaged, 1, "set aside, so that it is taken when it is sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_that_is_away_or_says_no_is_told_again_until_it_answers_also_after_a_restart() {
    let Some(mut py) = Py::start().await else { return };
    let port = closed();
    let settings = move |settings: &mut Dicom| {
        quick(settings);
        settings.sender = vec![scanner(port)];
    };
    let node = Node::start(settings).await;
    store(&node, &["1.2.1"]).await;
    assert_eq!(py.order(ask(&node, "1.9.1", &["1.2.1"])).await["status"], 0);
    tokio::time::timeout(PATIENCE, async {
        while listed(&node)[0].attempts < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let reason = listed(&node)[0].reason.clone().unwrap();
    assert!(reason.contains("no connection to 127.0.0.1:"), "{reason}");
    let disk = node.stop().await;
    let node = Node::start_in(disk, Vec::new(), settings).await;
    assert_eq!(py.listen_as_scanner(port, &[0x0110, 0x0213]).await, port);
    for expected in [0x0110, 0x0213, 0] {
        let report = py.event("report").await;
        assert_eq!((report["answer"].as_u64(), &report["kept"]), (Some(expected), &json!(["1.2.1"])));
    }
    until(&node, "reported").await;
    let reported = Duration::from_millis(600);
    tokio::time::sleep(reported).await;
    assert_eq!(py.order(ask(&node, "1.9.1", &["1.2.1"])).await["status"], 0, "asked again, it is told again");
    assert!(py.left().is_empty(), "and never without need: {:?}", py.left());
    assert_eq!(py.event("report").await["transaction"], "1.9.1");
}

/// Writes down a transaction that the scanner asked for and that could not be reported so far: of an object that was never received.
fn asked_in_vain(node: &Node, transaction_uid: &str, next_utc: &str) {
    let mut rows = node.store.connect(Durability::Full).unwrap();
    let transaction = rows.transaction().unwrap();
    let new = New {
        transaction_uid,
        calling_ae: "CT1",
        called_ae: "SCANSIDE",
        peer_address: "127.0.0.1",
        items: &[Item { sop_class: CT.into(), sop_uid: "1.2.99".into() }],
    };
    commitments::ask(&transaction, &new, 9, &now_utc()).unwrap();
    let id = transaction.query_row("SELECT max(id) FROM commitments", [], |row| row.get(0)).unwrap();
    commitments::postponed(&transaction, id, "nobody there", next_utc).unwrap();
    transaction.commit().unwrap();
}

/// Where nobody listens: a port that was free a moment ago.
fn closed() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A scanner that is switched off over the weekend must not make the box read all its studies at every attempt.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_looked_for_on_the_disk_until_a_peer_that_was_away_is_there() {
    let node = Node::start(|settings| {
        quick(settings);
        settings.commitment.wait_secs = 600.0;
        settings.sender = vec![scanner(closed())];
    })
    .await;
    asked_in_vain(&node, "1.9.1", &now_utc());
    node.intake.services.report.notify_one();
    let tried = async {
        while listed(&node)[0].attempts < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, tried).await.expect("it is tried again and again");
    // An object that is not here is waited for, once, by whoever looks.
    let rows = node.store.connect(Durability::Rebuildable).unwrap();
    assert!(!rows.query_row("SELECT waited FROM commitments", [], |row| row.get::<_, bool>(0)).unwrap());
}

/// A scanner that opens an association for every image and takes no report must have it waiting as long as the settings say.
#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_because_the_peer_has_called_costs_none_of_those_that_are_due() {
    let node = Node::start(|settings| {
        quick(settings);
        settings.commitment.retry_max_secs = 3600.0;
        settings.sender = vec![scanner(closed())];
    })
    .await;
    let next = utc_after(Duration::from_secs(1800));
    asked_in_vain(&node, "1.9.1", &next);
    for called in 1..=3 {
        let association = Asking::associate(&node).await;
        let rows = node.store.connect(Durability::Full).unwrap();
        let tried = async {
            while listed(&node)[0].reason.as_deref().is_none_or(|reason| !reason.contains("no connection")) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, tried).await.expect("it is tried when it calls");
        let sql = "SELECT attempts, next_utc FROM commitments";
        let row: (u32, String) = rows.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, (1, next.clone()), "call {called}");
        rows.execute("UPDATE commitments SET reason = NULL", []).unwrap();
        drop(association);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_known_port_or_where_it_is_wished_the_report_comes_on_the_association_of_the_scanner() {
    let Some(mut py) = Py::start().await else { return };
    for wished in [false, true] {
        let node = Node::start(|settings| {
            quick(settings);
            if wished {
                // The port is closed: a report over a new association would fail.
                let sender = Sender { commitment_report: ReportBy::SameAssociation, ..scanner(1) };
                settings.sender = vec![sender];
            }
        })
        .await;
        store(&node, &["1.2.1"]).await;
        let mut order = ask(&node, "1.9.1", &["1.2.1"]);
        order["keep"] = json!(true);
        for syntaxes in [json!(["1.2.840.10008.1.2.1"]), json!([IMPLICIT])] {
            order["syntaxes"] = syntaxes.clone();
            order["role_item"] = json!(wished);
            assert_eq!(py.order(order.clone()).await["status"], 0);
            let report = py.event("report").await;
            assert_eq!((report["own"].as_bool(), &report["kept"]), (Some(true), &json!(["1.2.1"])));
            assert_eq!(report["syntax"], syntaxes[0]);
            until(&node, "reported").await;
            assert_eq!(py.order(json!({"do": "release"})).await["status"], 0);
        }
        // It has hung up before the report: its next association brings it.
        order["keep"] = json!(false);
        order["transaction"] = json!("1.9.2");
        order["items"] = json!([[CT, "1.2.77"]]);
        order["abort"] = json!(true);
        assert_eq!(py.order(order.clone()).await["status"], 0);
        let left = |node: &Node| listed(node).iter().filter(|row| row.state == "pending").count();
        if left(&node) == 1 {
            order["transaction"] = json!("1.9.3");
            order["keep"] = json!(true);
            order["abort"] = json!(false);
            assert_eq!(py.order(order).await["status"], 0);
            for _ in 0..2 {
                py.event("report").await;
            }
            assert_eq!(py.order(json!({"do": "release"})).await["status"], 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_are_still_on_their_way_are_waited_for() {
    let Some(mut py) = Py::start().await else { return };
    let port = py.listen_as_scanner(0, &[]).await;
    let node = Node::start(|settings| {
        quick(settings);
        settings.commitment.wait_secs = 1.0;
        settings.sender = vec![scanner(port)];
    })
    .await;
    assert_eq!(py.order(ask(&node, "1.9.1", &["1.2.1"])).await["status"], 0);
    store(&node, &["1.2.1"]).await;
    let report = py.event("report").await;
    assert_eq!((report["type"].as_u64(), &report["kept"]), (Some(1), &json!(["1.2.1"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_answer_its_report_holds_up_no_other() {
    let Some(mut py) = Py::start().await else { return };
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let port = py.listen_as_scanner(0, &[]).await;
    let node = Node::start(|settings| {
        quick(settings);
        settings.sender = vec![scanner(port), Sender { ae_title: "CT2".into(), ..scanner(silent_port) }];
    })
    .await;
    store(&node, &["1.2.1"]).await;
    let mut order = ask(&node, "1.9.1", &["1.2.1"]);
    order["calling"] = json!("CT2");
    assert_eq!(py.order(order).await["status"], 0);
    // Its connection is open and will stay silent.
    let _connection = tokio::time::timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    for transaction in ["1.9.2", "1.9.3"] {
        assert_eq!(py.order(ask(&node, transaction, &["1.2.1"])).await["status"], 0);
        assert_eq!(py.event("report").await["transaction"], transaction);
        until(&node, "reported").await;
    }
    let first = listed(&node).pop().unwrap();
    assert_eq!(
        (first.calling_ae.as_str(), first.state.as_str(), first.attempts),
        ("CT2", "pending", 0),
        "it still waits"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_no_sender_may_report_and_nothing_else() {
    let Some(mut py) = Py::start().await else { return };
    let archive =
        Archive { ae_title: "PACS".into(), our_title: "SCANSIDE".into(), address: "127.0.0.1:1".into(), tls: None };
    let node = Node::start_with(vec![archive], |settings| settings.sender = vec![scanner(1)]).await;
    let mut order = ask(&node, "1.9.1", &["1.2.1"]);
    order["calling"] = json!("OTHER");
    // pynetdicom tells a rejection from a closed connection only if it reads it in time.
    let refused = py.order(order.clone()).await;
    assert!(["rejected", "no association"].contains(&refused["why"].as_str().unwrap()), "{refused}");
    order["calling"] = json!("PACS");
    assert_eq!(py.order(order).await["status"], 0);
    let mut peer = Peer::connect(node.address).await;
    peer.send(&Pdu::AssociationRQ(request("SCANSIDE", "PACS"))).await;
    let Some(Pdu::AssociationAC(accepted)) = peer.read().await else { panic!() };
    let reasons: Vec<_> = accepted.presentation_contexts.iter().map(|context| context.reason.clone()).collect();
    use dicom_ul::pdu::PresentationContextResultReason as Reason;
    assert_eq!(reasons, [Reason::AbstractSyntaxNotSupported, Reason::Acceptance], "no storage; verification");
    // It tries all the same, in the context of verification.
    peer.send_pdv(3, PDataValueType::Command, true, &store_command(7, "1.2.1")).await;
    peer.send_pdv(3, PDataValueType::Data, true, &data_set("1.2.1", 2000)).await;
    assert_eq!(peer.status(7).await, 0x0122);
    assert_eq!(peer.echo(8).await, 0, "the association goes on");
    let rows = node.store.connect(Durability::Rebuildable).unwrap();
    assert!(instances::by_sop_uid(&rows, "1.2.1").unwrap().is_empty(), "nothing is kept");
}

#[tokio::test]
async fn the_title_of_an_archive_does_not_get_around_tls() {
    for certificate in [None, Some(format!("sha256:{}", "ab".repeat(32)))] {
        let archive =
            Archive { ae_title: "PACS".into(), our_title: "SCANSIDE".into(), address: "127.0.0.1:1".into(), tls: None };
        let node = Node::start_with(vec![archive], |settings| {
            // Once for an archive that is no sender where TLS is asked of everybody, once for one that is bound to a certificate.
            if let Some(certificate) = certificate {
                settings.sender.push(Sender {
                    ae_title: "PACS".into(),
                    certificate: Some(certificate),
                    ..Sender::default()
                });
            } else {
                settings.plain = Plain::Named;
                settings.sender = vec![scanner(1)];
            }
        })
        .await;
        let mut peer = Peer::connect(node.address).await;
        peer.send(&Pdu::AssociationRQ(request("SCANSIDE", "PACS"))).await;
        let answer = peer.read().await;
        assert!(matches!(answer, Some(Pdu::AssociationRJ(_))), "{answer:?}");
        assert_eq!(node.callers.list()[0].outcome.code(), "needs-tls");
    }
}

/// An N-ACTION in context 5 of an association, as bytes.
struct Asking {
    peer: Peer,
    next: u16,
}

impl Asking {
    async fn associate(node: &Node) -> Self {
        let mut peer = Peer::connect(node.address).await;
        let mut asked = request("SCANSIDE", "CT1");
        asked.presentation_contexts.push(PresentationContextProposed {
            id: 5,
            abstract_syntax: COMMITMENT.into(),
            transfer_syntaxes: vec![IMPLICIT.into()],
        });
        peer.send(&Pdu::AssociationRQ(asked)).await;
        assert!(matches!(peer.read().await, Some(Pdu::AssociationAC(_))));
        Self { peer, next: 1 }
    }

    async fn ask(&mut self, context: u8, field: u16, instance: &str, action: u16, data: &[u8]) -> u16 {
        let pad = |uid: &str| {
            let mut uid = uid.as_bytes().to_vec();
            uid.resize(uid.len() + uid.len() % 2, 0);
            uid
        };
        let id = self.next;
        self.next += 1;
        let command = command(&[
            (0x0003, &pad(COMMITMENT)),
            (0x0100, &field.to_le_bytes()),
            (0x0110, &id.to_le_bytes()),
            (0x0800, if data.is_empty() { &[1, 1] } else { &[0, 0] }),
            (0x1001, &pad(instance)),
            (0x1008, &action.to_le_bytes()),
        ]);
        self.peer.send_pdv(context, PDataValueType::Command, true, &command).await;
        let mut parts = data.chunks(16_000).peekable();
        while let Some(part) = parts.next() {
            self.peer.send_pdv(context, PDataValueType::Data, parts.peek().is_none(), part).await;
        }
        let Some(Pdu::PData { data }) = self.peer.read().await else { panic!("no answer, or an abort") };
        assert_eq!(number(&data[0].data, 0x0120), Some(id));
        number(&data[0].data, 0x0900).unwrap()
    }
}

fn asking_for(transaction: &str, uids: &[String]) -> Vec<u8> {
    let mut items = Vec::new();
    for uid in uids {
        let mut item = Vec::new();
        element(&mut item, 0x0008, 0x1150, CT.as_bytes());
        element(&mut item, 0x0008, 0x1155, uid.as_bytes());
        element(&mut items, 0xfffe, 0xe000, &item);
    }
    let mut out = Vec::new();
    element(&mut out, 0x0008, 0x1195, transaction.as_bytes());
    element(&mut out, 0x0008, 0x1199, &items);
    out
}

/// Some peers (pynetdicom) take whatever comes while they wait for the answer to their own request.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_does_not_come_between_a_request_and_its_answer() {
    let node = Node::start(|settings| {
        quick(settings);
        settings.sender = vec![Sender { commitment_report: ReportBy::SameAssociation, ..scanner(1) }];
    })
    .await;
    let mut asking = Asking::associate(&node).await;
    let request = asking_for("1.9.1", &["1.2.77".to_owned()]);
    assert_eq!(asking.ask(5, 0x0130, INSTANCE, 1, &request).await, 0);
    // It hangs up before the report, which waits for its next association.
    drop(asking);
    let called = Instant::now();
    let mut silent = Asking::associate(&node).await;
    let Some(Pdu::PData { data }) = silent.peer.read().await else { panic!("no report") };
    assert_eq!(number(&data[0].data, 0x0100), Some(0x0100), "an N-EVENT-REPORT");
    assert!(called.elapsed() >= Duration::from_millis(300), "the peer had time for a request of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_too_much_or_unknown_gets_its_status_and_the_association_goes_on() {
    const ACTION: u16 = 0x0130;
    let node = Node::start(|settings| {
        settings.commitment.max_instances = 1000;
        settings.commitment.max_open = 2;
        settings.max_request_kib = 1024;
        settings.commitment.retry_secs = 600.0;
    })
    .await;
    let mut asking = Asking::associate(&node).await;
    let one = ["1.2.1".to_owned()];
    let good = asking_for("1.9.1", &one);
    let many: Vec<_> = (0..1001).map(|number| format!("1.2.{number}")).collect();
    let cut = &good[..good.len() - 3];
    let tower =
        [0x08, 0, 0x99, 0x11, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff, 0xff].repeat(10_000);
    let bomb = vec![0; 4 << 20];
    /// What it is, operation, instance, action, data set; and the status that is due.
    type Case<'a> = (&'a str, u16, &'a str, u16, &'a [u8], u16);
    let cases: [Case<'_>; 12] = [
        ("cut short", ACTION, INSTANCE, 1, cut, 0x0115),
        ("no bytes of a data set", ACTION, INSTANCE, 1, b"rubbish!", 0x0115),
        ("without a data set", ACTION, INSTANCE, 1, b"", 0x0115),
        ("a tower of sequences", ACTION, INSTANCE, 1, &tower, 0x0115),
        ("no transaction", ACTION, INSTANCE, 1, &asking_for("", &one), 0x0115),
        ("no UID", ACTION, INSTANCE, 1, &asking_for("../../etc", &one), 0x0115),
        ("no object", ACTION, INSTANCE, 1, &asking_for("1.9.1", &[]), 0x0115),
        ("too many objects", ACTION, INSTANCE, 1, &asking_for("1.9.1", &many), 0x0213),
        ("4 MiB", ACTION, INSTANCE, 1, &bomb, 0x0213),
        ("another action", ACTION, INSTANCE, 2, &good, 0x0123),
        ("another instance", ACTION, "1.2.3", 1, &good, 0x0112),
        ("N-SET", 0x0120, INSTANCE, 1, &good, 0x0211),
    ];
    for (what, field, instance, action, data, status) in cases {
        assert_eq!(asking.ask(5, field, instance, action, data).await, status, "{what}");
    }
    assert_eq!(asking.ask(1, ACTION, INSTANCE, 1, &good).await, 0x0211, "in the context of CT storage");
    // An archive's report of a transaction that nobody asked for.
    assert_eq!(asking.ask(5, 0x0100, INSTANCE, 1, &good).await, 0x0113, "an event without a type");
    assert_eq!(listed(&node), [], "nothing of that was written down");
    assert_eq!(asking.ask(5, ACTION, INSTANCE, 1, &good).await, 0);
    assert_eq!(asking.ask(5, ACTION, INSTANCE, 1, &asking_for("1.9.1", &many[..5])).await, 0x0115, "other objects");
    node.gate.set(Level::NoNewStudies, "disk full");
    assert_eq!(asking.ask(5, ACTION, INSTANCE, 1, &good).await, 0x0110);
    node.gate.set(Level::Full, "");
    assert_eq!(asking.peer.echo(999).await, 0, "all on one association");
}
