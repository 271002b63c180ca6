//! Storage commitment and performed procedure steps when the box is killed at any instant: what was answered stays true.

use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::modality::Modality;
use hil_tests::part10::{Instance, element, part10};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

#[allow(dead_code, clippy::expect_used, reason = "shared with the tests of the node")]
#[path = "../../../daemon/node/tests/it/pynetdicom.rs"]
pub mod pynetdicom;

use pynetdicom::Py;

mod fixtures {
    pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);
}

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";
/// One is enough to see a fault that is always there; more look for one that needs an instant.
const ROUNDS: u32 = 8;

fn instance(round: u32) -> Instance {
    let mut bytes = Vec::new();
    let mut put = |group: u16, number: u16, vr: &[u8; 2], text: String| {
        element(&mut bytes, (group, number), vr, text.as_bytes());
    };
    put(0x0008, 0x0016, b"UI", CT.into());
    put(0x0008, 0x0018, b"UI", format!("2.25.700.{round}"));
    put(0x0008, 0x0060, b"CS", "CT".into());
    put(0x0020, 0x000D, b"UI", format!("2.25.701.{round}"));
    put(0x0020, 0x000E, b"UI", format!("2.25.702.{round}"));
    Instance::from_part10(&part10(CT, &format!("2.25.700.{round}"), EXPLICIT, &bytes)).unwrap()
}

fn order(appliance: &Appliance, what: Value) -> Value {
    let mut order = json!({"calling": "CT1", "to": ["127.0.0.1", appliance.address.port()]});
    order.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
    order
}

async fn killed_within(appliance: &mut Appliance, most_ms: u64, random: &mut impl Rng) {
    tokio::time::sleep(Duration::from_micros(random.random_range(0..most_ms * 1000))).await;
    appliance.kill().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_commitment_that_was_taken_is_lost_by_kill_dash_nine_and_no_step_gets_into_an_illegal_state() {
    let Some(mut py) = Py::start().await else { return };
    let port = py.listen_as_scanner(0, &[]).await;
    let extra = format!(
        "dicom.commitment.wait_secs = 0.0\ndicom.commitment.retry_secs = 0.2\ndicom.commitment.retry_max_secs = 1.0\n\
         [[dicom.sender]]\nae_title = \"CT1\"\ncommitment_port = {port}\n"
    );
    let mut appliance = Appliance::start(&Setup { extra, ..Setup::default() }).await.unwrap();
    let mut random = rand::rngs::SmallRng::seed_from_u64(16);
    let mut taken = 0;
    for round in 1..=ROUNDS {
        let modality = Modality::new(appliance.address, "CT1", Appliance::AE_TITLE);
        assert_eq!(modality.send(&[instance(round)], |_, _| {}).await.unwrap().acknowledged(), 1);
        let (uid, transaction) = (format!("2.25.700.{round}"), format!("2.25.703.{round}"));
        let ask = order(&appliance, json!({"do": "ask", "transaction": transaction, "items": [[CT, uid]]}));
        // Killed while it asks, and in every second round later: between the answer and the report, or after it.
        let at_once = round % 2 == 0;
        let answer = if at_once {
            tokio::join!(py.order(ask.clone()), killed_within(&mut appliance, 60, &mut random)).0
        } else {
            let answer = py.order(ask.clone()).await;
            killed_within(&mut appliance, 20, &mut random).await;
            answer
        };
        appliance.restart().await.unwrap();
        if answer["status"] == 0 {
            taken += 1;
        } else {
            // Without an answer a scanner asks again.
            assert_eq!(answer["status"], Value::Null, "{answer}");
            assert_eq!(py.order(order(&appliance, ask)).await["status"], 0);
        }
        let report = loop {
            let report = py.event("report").await;
            if report["transaction"] == transaction.as_str() {
                break report;
            }
        };
        assert_eq!((&report["type"], &report["kept"]), (&json!(1), &json!([uid])), "{report}");
    }
    assert!(taken >= ROUNDS / 2, "the answer came before the kill in at least every second round: {taken}");

    let begun = json!({
        "00400252": {"vr": "CS", "Value": ["IN PROGRESS"]},
        "00400270": {"vr": "SQ", "Value": [{"0020000D": {"vr": "UI", "Value": ["2.25.701.1"]}}]},
    });
    let ended = json!({"00400252": {"vr": "CS", "Value": ["COMPLETED"]}});
    for round in 1..=ROUNDS {
        let uid = format!("2.25.704.{round}");
        let create = order(&appliance, json!({"do": "create", "uid": uid, "data": begun}));
        let (answer, ()) = tokio::join!(py.order(create.clone()), killed_within(&mut appliance, 60, &mut random));
        appliance.restart().await.unwrap();
        let again = py.order(order(&appliance, create)).await["status"].clone();
        match answer["status"].as_u64() {
            Some(0) => assert_eq!(again, 0x0111, "what was answered is there after the kill"),
            _ => assert!(again == 0 || again == 0x0111, "{again}"),
        }
        let set = order(&appliance, json!({"do": "set", "uid": uid, "data": ended}));
        let (answer, ()) = tokio::join!(py.order(set.clone()), killed_within(&mut appliance, 60, &mut random));
        appliance.restart().await.unwrap();
        assert!(answer["status"] == 0 || answer["status"].is_null(), "{answer}");
        assert_eq!(py.order(order(&appliance, set)).await["status"], 0, "the same words again are no fault");
        let back = order(
            &appliance,
            json!({"do": "set", "uid": uid, "data": {"00400252": {"vr": "CS", "Value": ["IN PROGRESS"]}}}),
        );
        let refused = py.order(back).await;
        assert_eq!((&refused["status"], &refused["error_id"]), (&json!(0x0110), &json!(0xa710)), "{refused}");
    }
}
