//! The box tells a manager of its exams (MPPS as SCU): a manager of pynetdicom, and every way to fail.

use dicom::patient::Patient;
use dicom::request::{Code, Request};
use needs::peers::{Program, Service, tried};
use node::manager::answer::Fate;
use node::manager::step::{Begun, Ended, Kind, Made};
use node::manager::{Line, Outcome};
use node::send::{Error, Target};
use serde_json::{Value, json};

use super::pynetdicom::Py;

const STEP: &str = "2.25.900.1";

fn begun() -> Begun {
    let patient = Patient {
        id: "P1".into(),
        name: "Wang^XiaoDong=王^小东".into(),
        accession_number: "A-1".into(),
        ..Patient::default()
    };
    let code = Code { value: "US1".into(), scheme: "99RIS".into(), meaning: "Mamma 乳腺".into(), ..Code::default() };
    let request = Request {
        procedure_id: "RP1".into(),
        step_id: "S1".into(),
        protocol_codes: vec![code],
        sex: "F".into(),
        ..Request::default()
    };
    Begun {
        kind: Kind::Exam,
        patient,
        request: Some(request),
        study_uid: "1.2.840.99.1".into(),
        started_utc: "2026-11-29T20:54:12.345Z".into(),
        station_ae_title: "SCANSIDE".into(),
        station_name: "ROOM4".into(),
    }
}

fn ended() -> Ended {
    let images = vec![("1.2.840.10008.5.1.4.1.1.3.1".to_owned(), "2.25.901.1".to_owned())];
    let others = vec![("1.2.840.10008.5.1.4.1.1.88.34".to_owned(), "2.25.901.2".to_owned())];
    let made = Made { series_uid: "2.25.902.1".into(), images, others };
    Ended { kind: Kind::Exam, utc: "2026-11-29T21:00:00.000Z".into(), discontinued: None, series: vec![made] }
}

async fn managing(py: &mut Py, more: Value) -> Target {
    let mut order = json!({"do": "listen", "role": "manager", "ae_title": "RIS"});
    order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let port = py.order(order).await["port"].as_u64().unwrap();
    Target { address: format!("127.0.0.1:{port}"), called_ae: "RIS".into(), calling_ae: "SCANSIDE".into(), tls: None }
}

fn fate(outcome: Outcome) -> Fate {
    outcome.fate
}

#[tokio::test]
async fn a_manager_is_told_from_begin_to_end_once_however_often_it_is_told() {
    for syntax in ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"] {
        let Some(mut py) = Py::start().await else { return };
        let target = managing(&mut py, json!({"syntaxes": [syntax]})).await;
        let mut line = Line::open(&target).await.unwrap();
        let first = line.end(STEP, &ended()).await;
        assert_eq!(fate(first), Fate::Forgotten, "it was not begun");
        assert_eq!(py.event("set").await["answer"], 0x0112);
        assert_eq!(fate(line.begin(STEP, &begun()).await), Fate::Taken);
        let heard = py.event("created").await;
        assert_eq!((&heard["caller"], &heard["syntax"]), (&json!("SCANSIDE"), &json!(syntax)), "{heard}");
        let data = &heard["data"];
        assert_eq!(data["00100010"]["Value"][0]["Ideographic"], "王^小东", "{data}");
        let scheduled = &data["00400270"]["Value"][0];
        assert_eq!(scheduled["00401001"]["Value"][0], "RP1");
        assert_eq!(scheduled["00400008"]["Value"][0]["00080104"]["Value"][0], "Mamma 乳腺");
        assert_eq!(fate(line.begin(STEP, &begun()).await), Fate::Had, "an answer that was lost");
        assert_eq!(fate(line.end(STEP, &ended()).await), Fate::Taken);
        assert_eq!(fate(line.end(STEP, &ended()).await), Fate::Had, "final");
        assert!(!line.is_over());
        line.release().await;
        let known = py.order(json!({"do": "steps"})).await;
        let step = &known["steps"][STEP];
        assert_eq!((&step["state"], &step["sets"], &known["illegal"]), (&json!("COMPLETED"), &json!(1), &json!([])));
        assert_eq!(step["objects"], json!(["2.25.901.1", "2.25.901.2"]));
    }
    tried(Program::Pynetdicom, &[Service::MppsOut]);
}

#[tokio::test]
async fn a_manager_that_refuses_breaks_off_or_offers_nothing_is_told_apart() {
    let Some(mut py) = Py::start().await else { return };
    let answers = json!({"created": [0x0106, 0x0110, 0x0107], "set": [0xa700]});
    let target = managing(&mut py, json!({"answers": answers, "aborts": {"set": 1}})).await;
    let mut line = Line::open(&target).await.unwrap();
    for expected in [Fate::GivenUp, Fate::Again, Fate::Remarked, Fate::Taken] {
        assert_eq!(fate(line.begin(STEP, &begun()).await), expected);
    }
    let cut = line.end(STEP, &ended()).await;
    assert_eq!((cut.fate, line.is_over()), (Fate::Again, true), "{}", cut.words);
    let after = line.end(STEP, &ended()).await;
    assert_eq!(after.fate, Fate::Again, "nothing goes over an association that is over");
    line.release().await;
    py.order(json!({"do": "close"})).await;
    let gone = Line::open(&target).await.unwrap_err();
    assert!(matches!(gone, Error::Connect { .. }), "{gone}");
    let target = managing(&mut py, json!({"offers_none": true})).await;
    let none = Line::open(&target).await.unwrap_err();
    assert!(matches!(none, Error::NotAccepted { .. }), "{none}");
}
