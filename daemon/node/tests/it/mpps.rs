//! Modality performed procedure steps: pynetdicom as the scanner.

use custody::store::steps::{self, StepState};
use custody::store::{Durability, Store};
use needs::peers::{Program, Service, tried};
use node::Arrival;
use serde_json::{Value, json};

use super::fixtures::{CT, IMPLICIT, Node};
use super::pynetdicom::Py;

const EXPLICIT: &str = "1.2.840.10008.1.2.1";

fn text(vr: &str, value: &str) -> Value {
    json!({"vr": vr, "Value": [value]})
}

/// Study Instance UIDs of the scheduled steps.
fn begun(studies: &[&str]) -> Value {
    let scheduled: Vec<_> = studies.iter().map(|study| json!({"0020000D": text("UI", study)})).collect();
    json!({
        "00080060": text("CS", "CT"), "00400241": text("AE", "CT1"), "00400253": text("SH", "PPS1"),
        "00400244": text("DA", "20261128"), "00400245": text("TM", "0500"),
        "00400252": text("CS", "IN PROGRESS"),
        "00400270": {"vr": "SQ", "Value": scheduled},
    })
}

/// A state, and series with the objects that they declare.
fn said(state: &str, series: &[(&str, &[&str])]) -> Value {
    let series: Vec<_> = series
        .iter()
        .map(|(uid, instances)| {
            let images: Vec<_> =
                instances.iter().map(|uid| json!({"00081150": text("UI", CT), "00081155": text("UI", uid)})).collect();
            json!({"0020000E": text("UI", uid), "00081140": {"vr": "SQ", "Value": images}})
        })
        .collect();
    json!({"00400252": text("CS", state), "00400340": {"vr": "SQ", "Value": series}})
}

fn order(node: &Node, what: &str, uid: Option<&str>, data: Value) -> Value {
    json!({"do": what, "calling": "CT1", "to": ["127.0.0.1", node.address.port()], "uid": uid, "data": data})
}

fn state(store: &Store, uid: &str) -> Option<StepState> {
    steps::find(&store.connect(Durability::Rebuildable).unwrap(), uid).unwrap().map(|step| step.state)
}

async fn performed(node: &mut Node) -> Vec<String> {
    loop {
        if let Arrival::Performed { series, .. } = node.arrival().await {
            return series;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_goes_from_in_progress_to_its_end_and_no_other_way() {
    let Some(mut py) = Py::start().await else { return };
    let mut node = Node::start(|_| {}).await;
    for (uid, end) in [("1.9.1", "COMPLETED"), ("1.9.2", "DISCONTINUED")] {
        let made: &[(&str, &[&str])] = &[("1.2.3", &["1.2.3.1", "1.2.3.2"]), ("1.2.4", &[])];
        let mut create = order(&node, "create", Some(uid), begun(&["1.2", "1.5"]));
        create["syntaxes"] = json!([if end == "COMPLETED" { IMPLICIT } else { EXPLICIT }]);
        let answer = py.order(create.clone()).await;
        assert_eq!((answer["status"].as_u64(), answer["uid"].as_str()), (Some(0), Some(uid)));
        assert_eq!(state(&node.store, uid), Some(StepState::InProgress));
        assert_eq!(py.order(create).await["status"], 0x0111, "it exists");
        assert_eq!(py.order(order(&node, "set", Some(uid), said("IN PROGRESS", made))).await["status"], 0);
        assert_eq!(performed(&mut node).await, ["1.2.3", "1.2.4"]);
        let last = order(&node, "set", Some(uid), json!({"00400252": text("CS", end)}));
        assert_eq!(py.order(last.clone()).await["status"], 0);
        assert_eq!(performed(&mut node).await, ["1.2.3", "1.2.4"], "named by an earlier message");
        assert_eq!(py.order(last).await["status"], 0, "the same words again: our answer was lost");
        let ended = state(&node.store, uid);
        for again in ["IN PROGRESS", "COMPLETED", "DISCONTINUED"] {
            let answer = py.order(order(&node, "set", Some(uid), said(again, &[("1.2.9", &[])]))).await;
            assert_eq!(
                (answer["status"].as_u64(), answer["error_id"].as_u64()),
                (Some(0x0110), Some(0xa710)),
                "{again}"
            );
        }
        assert_eq!(state(&node.store, uid), ended);
        let rows = node.store.connect(Durability::Rebuildable).unwrap();
        let step = steps::find(&rows, uid).unwrap().unwrap();
        let messages = steps::messages(&rows, step.id).unwrap();
        assert_eq!(messages.iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(), ["create", "set", "set"]);
        let said = steps::of_series(&rows, "1.5", "1.2.3").unwrap().unwrap();
        assert_eq!((said.declared, said.missing.len()), (2, 2));
    }
    tried(Program::Pynetdicom, &[Service::MppsIn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_without_a_uid_gets_one_that_the_scanner_can_go_on_with() {
    let Some(mut py) = Py::start().await else { return };
    let node = Node::start(|_| {}).await;
    let mut uids = Vec::new();
    for _ in 0..2 {
        let answer = py.order(order(&node, "create", None, begun(&["1.2"]))).await;
        assert_eq!(answer["status"], 0);
        let uid = answer["uid"].as_str().unwrap().to_owned();
        assert!(uid.starts_with("2.25.") && uid.len() <= 64, "{uid}");
        let set = py.order(order(&node, "set", Some(&uid), said("COMPLETED", &[]))).await;
        assert_eq!(set["status"], 0);
        uids.push(uid);
    }
    assert_ne!(uids[0], uids[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_wrong_or_too_much_gets_its_status() {
    let Some(mut py) = Py::start().await else { return };
    let node = Node::start(|settings| settings.mpps.max_instances = 10).await;
    let without = |tag: &str| {
        let mut data = begun(&["1.2"]);
        data.as_object_mut().unwrap().remove(tag);
        data
    };
    let with = |state: Value| {
        let mut data = begun(&["1.2"]);
        data["00400252"] = state;
        data
    };
    let many: Vec<String> = (0..11).map(|number| format!("1.2.3.{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases = [
        ("create", Some("1.9.1"), without("00400252"), 0x0120),
        ("create", Some("1.9.1"), with(json!({"vr": "CS"})), 0x0121),
        ("create", Some("1.9.1"), with(text("CS", "COMPLETED")), 0x0106),
        ("create", Some("1.9.1"), with(text("CS", "SCHEDULED")), 0x0106),
        ("create", Some("1.9.1"), without("00400270"), 0x0120),
        ("create", Some("1.9.1"), begun(&[""]), 0x0121),
        ("set", Some("1.9.1"), said("COMPLETED", &[]), 0x0112),
        ("create", Some("1.9.2"), begun(&["1.2"]), 0),
        ("set", Some("1.9.2"), said("FINISHED", &[]), 0x0106),
        ("set", Some("1.9.2"), said("COMPLETED", &[("1.2.3", &many)]), 0x0213),
        ("set", Some("1.9.2"), said("COMPLETED", &[("1.2.3", &many[..5])]), 0),
    ];
    for (what, uid, data, status) in cases {
        let answer = py.order(order(&node, what, uid, data.clone())).await;
        assert_eq!(answer["status"], status, "{what} {data}");
    }
    assert_eq!(state(&node.store, "1.9.1"), None);
    assert_eq!(state(&node.store, "1.9.2"), Some(StepState::Completed));
    let off = Node::start(|settings| settings.mpps.accept = false).await;
    assert_eq!(py.order(order(&off, "create", Some("1.9.1"), begun(&["1.2"]))).await["status"], Value::Null);
}
