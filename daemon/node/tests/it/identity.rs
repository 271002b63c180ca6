//! User identity negotiation (PS3.7 section D.3.3.7), with peers that nobody here wrote.

use std::path::Path;

use needs::peers::{Program, Service, tried};
use node::identity::passcode::Hashed;
use node::identity::settings::{Policy, User};
use node::settings::{Dicom, Sender};
use serde_json::{Value, json};

use super::dcmtk;
use super::fixtures::{CT, IMPLICIT, Node, data_set, part10};
use super::pynetdicom::Py;

const UID: &str = "1.2.3.44";

fn required(settings: &mut Dicom) {
    settings.user = vec![
        User { name: "ct-room-1".into(), passcode: Some(Hashed::of(b"pass code").unwrap()) },
        User { name: "us-room-2".into(), passcode: None },
    ];
    settings.user_identity = Policy::Required;
    settings.sender = vec![
        Sender { ae_title: "CT1".into(), ..Sender::default() },
        Sender { ae_title: "US2".into(), user: Some("us-room-2".into()), ..Sender::default() },
        Sender { ae_title: "OLD".into(), user_identity: Some(Policy::Ignore), ..Sender::default() },
    ];
}

fn slice(folder: &Path) -> std::path::PathBuf {
    let file = folder.join("slice.dcm");
    std::fs::write(&file, part10(CT, UID, IMPLICIT, &data_set(UID, 5000))).unwrap();
    file
}

/// Where anything is kept of a call: why the last one was turned away.
fn last_reason(node: &Node) -> (&'static str, String) {
    let last = &node.callers.list()[0];
    (last.outcome.code(), last.reason.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn dcmtk_gets_in_with_user_and_passcode_and_with_nothing_else() {
    if !dcmtk::installed("storescu") {
        return;
    }
    let node = Node::start(required).await;
    let folder = tempfile::tempdir().unwrap();
    let file = slice(folder.path());
    let ticket = folder.path().join("ticket");
    std::fs::write(&ticket, "HiddenTicket").unwrap();
    let ticket = ticket.to_str().unwrap();
    let port = node.address.port().to_string();
    let store = async |calling: &str, said: &[&str]| {
        let common = ["-xi", "-aet", calling, "-aec", "SCANSIDE"];
        let arguments = [&common[..], said, &["127.0.0.1", &port]].concat();
        dcmtk::run("storescu", &arguments, &[&file]).await.status.success()
    };
    // -rsp: it ends when it is not told that it was believed.
    assert!(store("CT1", &["-usr", "ct-room-1", "-pwd", "pass code", "-rsp"]).await);
    assert!(store("CT1", &["-usr", "ct-room-1", "-pwd", "pass code"]).await);
    assert!(store("US2", &["-usr", "us-room-2", "-rsp"]).await);
    assert!(store("OLD", &[]).await, "the exception");
    assert!(store("OLD", &["-usr", "x", "-pwd", "y"]).await);
    for (calling, said, why) in [
        ("CT1", &[][..], "says nothing"),
        ("CT1", &["-usr", "ct-room-1", "-pwd", "HiddenWord"][..], "a wrong passcode"),
        ("CT1", &["-usr", "ct-room-1"][..], "shows none"),
        ("CT1", &["-usr", "ct-room-1", "-epw"][..], "a wrong passcode"),
        ("CT1", &["-usr", "HiddenUser", "-pwd", "pass code"][..], "does not know"),
        ("CT1", &["-kt", ticket][..], "Kerberos"),
        ("CT1", &["--saml", ticket][..], "SAML"),
        ("CT1", &["--jwt", ticket][..], "JSON Web Token"),
        ("US2", &["-usr", "ct-room-1", "-pwd", "pass code"][..], "does not know for it"),
    ] {
        assert!(!store(calling, said).await, "{said:?}");
        let (code, reason) = last_reason(&node);
        assert!(code == "identity-refused" && reason.contains(why), "{said:?}: {code}: {reason}");
        assert!(!reason.contains("Hidden"), "{reason}");
    }
    tried(Program::Dcmtk, &[Service::IdentityIn]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pynetdicom_is_told_that_it_was_believed_when_it_asks_and_was_checked() {
    let Some(mut py) = Py::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = slice(folder.path());
    let mut store = async |node: &Node, identity: Value| {
        let to = ["127.0.0.1".into(), json!(node.address.port())];
        py.order(json!({ "do": "store", "calling": "CT1", "to": to, "file": file, "identity": identity })).await
    };
    let node = Node::start(required).await;
    let believed = store(&node, json!([2, "ct-room-1", "pass code", true])).await;
    assert_eq!((&believed["echo"], &believed["status"], &believed["believed"]), (&json!(0), &json!(0), &json!(true)));
    let unasked = store(&node, json!([2, "ct-room-1", "pass code", false])).await;
    assert_eq!((&unasked["status"], &unasked["believed"]), (&json!(0), &json!(false)));
    let refused = store(&node, json!([5, "a.b.c", null, true])).await;
    assert_eq!(refused, json!({ "status": null, "why": [1, 1, 1] }), "permanent, by the user, no reason given");
    // By default nothing is checked, so nobody is told that it was believed.
    let open = Node::start(|_| {}).await;
    for kind in 1..=5 {
        let second = if kind == 2 { json!("word") } else { Value::Null };
        let passed = store(&open, json!([kind, "anyone", second, true])).await;
        assert_eq!((&passed["status"], &passed["believed"]), (&json!(0), &json!(false)), "type {kind}");
    }
    tried(Program::Pynetdicom, &[Service::IdentityIn]);
}
