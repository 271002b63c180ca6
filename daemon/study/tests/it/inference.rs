//! Networks of studies on another machine: the contract of accelerators, hostile answers, and what becomes of a run when the host
//! does not answer. Real sockets; the network is real where ONNX Runtime is installed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::models::specimen::{SIGMOID, Specimen};
use ::models::task::{CT_CHEST, US_BREAST};
use hal::accel::scripted::Scripted;
use hal::accel::{AccelFault, Accelerator, Tensor};
use hal::contract::{self, Known};
use node::inference::wire::Named;
use node::inference::{HostFault, InferenceHost, Remote};
use study::model::for_live::FromShelf;
use study::model::{Hosts, Loaded, Shelf};
use study::settings::Settings;

use crate::inference_host::{Act, FakeHost, metadata};

const NETWORK: &[u8] = b"the bytes of a network";
const FIVE: &[i64] = &[-1, -1, -1, -1, -1];

fn settings(host: &FakeHost) -> InferenceHost {
    InferenceHost { deadline_secs: 20.0, ..InferenceHost::at(host.url().parse().unwrap()) }
}

fn remote(host: &FakeHost, deadline_secs: f64) -> Remote {
    Remote::new("gpu1", &InferenceHost { deadline_secs, ..settings(host) }, "pairs").unwrap()
}

/// A host with a network of pairs, `[N, 2]`.
fn pairs(script: &Scripted, takes_bytes: bool) -> FakeHost {
    let ports: [(&str, &[i64]); 2] = [("image", &[-1, 2]), ("probability", &[-1, 2])];
    FakeHost::start(metadata("pairs", NETWORK, ports), Some(script.load(NETWORK).unwrap()), takes_bytes)
}

#[test]
fn sim_a_host_keeps_the_contract_of_accelerators_with_bytes_and_with_json() {
    let known = Known { onnx: NETWORK, answer: |v| v + 1.0 };
    for takes_bytes in [true, false] {
        let host = pairs(&Scripted::each_voxel(|v| v + 1.0), takes_bytes);
        let device = remote(&host, 20.0);
        contract::accelerator(&device, &known);
        contract::accelerator_checks_shapes(&device, &known);
        host.acts(|number| if number == 0 { Act::Run } else { Act::Error(500, "out of memory") });
        contract::accelerator_fails_on_demand(&device, &known);
    }
}

#[test]
fn sim_a_host_is_not_used_without_the_hash_and_says_why() {
    let host = pairs(&Scripted::zeros(), true);
    let why = |device: &Remote| device.find(&hash()).unwrap_err();
    assert!(remote(&host, 20.0).find(&hash()).is_ok());
    host.set_ready(false);
    assert_eq!(why(&remote(&host, 20.0)).kind(), HostFault::NotReady);
    host.set_ready(true);
    host.says(|said| said["parameters"]["sha256"] = "0".repeat(64).into());
    let error = why(&remote(&host, 20.0));
    assert_eq!(error.kind(), HostFault::AnotherHash);
    assert!(error.to_string().contains(&hash()) && error.to_string().contains(&"0".repeat(64)), "{error}");
    host.says(|said| said["parameters"] = serde_json::Value::Null);
    assert_eq!(why(&remote(&host, 20.0)).kind(), HostFault::AnotherHash);
    let load = remote(&host, 20.0).load(NETWORK).unwrap_err();
    assert_eq!((load.kind(), host.infers()), (AccelFault::BadModel, 0), "{load}");
    host.says(|said| said["versions"] = serde_json::json!(["1", hash()]));
    assert_eq!(
        why(&remote(&host, 20.0)).kind(),
        HostFault::NotReady,
        "this version is asked for, which this host has not"
    );
    let other = Remote::new("gpu1", &settings(&host), "others").unwrap();
    assert_eq!(why(&other).kind(), HostFault::NoModel);
    let address = host.url();
    drop(host);
    let gone = Remote::new("gpu1", &InferenceHost::at(address.parse().unwrap()), "pairs").unwrap();
    assert_eq!(why(&gone).kind(), HostFault::NotReachable);
}

fn hash() -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(NETWORK))
}

fn raw(head: &str, body: &[u8]) -> Act {
    Act::Raw([head.as_bytes(), b"\r\n\r\n", body].concat())
}

#[test]
fn sim_a_hostile_answer_is_no_answer_and_costs_neither_memory_nor_time() {
    let host = pairs(&Scripted::zeros(), true);
    let said = |name: &str, shape: &[usize], data: Vec<f32>| {
        Act::Say(vec![Named { name: name.into(), tensor: Tensor { shape: shape.to_vec(), data } }])
    };
    let header =
        |length: &str| format!("HTTP/1.1 200 OK\r\nInference-Header-Content-Length: {length}\r\nContent-Length: 12");
    let acts: Vec<(&str, Act, &str)> = vec![
        ("another shape", said("probability", &[2, 1], vec![0.0; 2]), "was due"),
        ("more values", said("probability", &[1, 3], vec![0.0; 3]), "was due"),
        ("not a number", said("probability", &[1, 2], vec![0.0, f32::NAN]), "no number"),
        ("another name", said("mask", &[1, 2], vec![0.0; 2]), "probability"),
        ("a header longer than all", raw(&header("4000"), b"{\"outputs\":1"), "header"),
        ("a header that is no number", raw(&header("-1"), b"{\"outputs\":1"), "no number"),
        ("a gigabyte is announced", raw("HTTP/1.1 200 OK\r\nContent-Length: 1073741824", b"{"), "1073741824 bytes"),
        ("it never ends", Act::Flood, "bytes or more"),
        ("less than was announced", raw("HTTP/1.1 200 OK\r\nContent-Length: 500", b"{}"), ""),
        (
            "sent elsewhere",
            raw("HTTP/1.1 307 X\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0", b""),
            "sends elsewhere",
        ),
        ("no HTTP", Act::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "HTTP"),
        ("drip", Act::Drip, "within 0.7 s"),
        ("silence", Act::Hang, "within 0.7 s"),
        ("hung up", Act::HangUp, ""),
        ("an error", Act::Error(500, "CUDA out of memory"), "CUDA out of memory"),
        ("page", raw("HTTP/1.1 200 OK\r\nContent-Length: 6", b"<html>"), "no answer of the protocol"),
    ];
    let input = Tensor { shape: vec![1, 2], data: vec![0.5, 0.5] };
    let mut broken = Vec::new();
    for (what, act, word) in acts {
        host.acts(|_| Act::Run);
        let mut model = remote(&host, 0.7).load(NETWORK).unwrap();
        assert!(model.run(std::slice::from_ref(&input)).is_ok());
        host.acts(move |_| act.clone());
        let begun = Instant::now();
        match model.run(std::slice::from_ref(&input)) {
            Ok(_) => broken.push(format!("{what}: taken")),
            Err(error) if error.kind() != AccelFault::Device || !error.to_string().contains(word) => {
                broken.push(format!("{what}: {error}"));
            }
            Err(_) => {}
        }
        if begun.elapsed() > Duration::from_secs(5) {
            broken.push(format!("{what}: {:?}", begun.elapsed()));
        }
        host.acts(|_| Act::Run);
        if let Err(error) = model.run(std::slice::from_ref(&input)) {
            broken.push(format!("after {what}: {error}"));
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// Promise: what another model has answered than the one that was proved is no answer, though name and shape are right.
#[test]
fn sim_a_model_that_was_put_in_the_place_of_the_proved_one_has_answered_nothing() {
    let host = pairs(&Scripted::zeros(), true);
    let input = Tensor { shape: vec![1, 2], data: vec![0.5, 0.5] };
    let mut model = remote(&host, 20.0).load(NETWORK).unwrap();
    for _ in 0..2 {
        assert!(model.run(std::slice::from_ref(&input)).is_ok());
    }
    host.answers_as("2");
    let error = model.run(std::slice::from_ref(&input)).unwrap_err();
    assert_eq!(error.kind(), AccelFault::Device);
    assert!(error.to_string().contains("another model (model pairs, version 2)"), "{error}");
}

/// Promise: a shutdown, or a newer job, waits for no host.
#[test]
fn sim_a_request_that_nobody_waits_for_any_more_ends_at_once() {
    let host = pairs(&Scripted::zeros(), true);
    let input = Tensor { shape: vec![1, 2], data: vec![0.5, 0.5] };
    let device = remote(&host, 60.0);
    let mut model = device.load(NETWORK).unwrap();
    host.acts(|_| Act::Hang);
    let begun = Instant::now();
    device.give_up_when(Some(Arc::new(move || begun.elapsed() > Duration::from_millis(300))));
    let error = model.run(std::slice::from_ref(&input)).unwrap_err();
    assert!(error.to_string().contains("nobody waits"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    device.give_up_when(None);
    host.acts(|_| Act::Run);
    assert!(model.run(std::slice::from_ref(&input)).is_ok(), "it was not the host's fault");
}

/// A box with specimen 1.0.0, whose network is real; `None`, reported as skipped, without ONNX Runtime.
struct Box_ {
    folder: tempfile::TempDir,
}

impl Box_ {
    fn new(specimen: &Specimen) -> Option<Self> {
        if !crate::models::has_library() {
            needs::skip(needs::Lack::Software, "ONNX Runtime not present");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        specimen.write(&folder.path().join("packages/specimen")).unwrap();
        Some(Self { folder })
    }

    fn settings(&self, hosts: &BTreeMap<String, InferenceHost>) -> Settings {
        crate::models::settings_in(self.folder.path(), hosts)
    }

    fn loaded(&self, hosts: &BTreeMap<String, InferenceHost>) -> Loaded {
        let settings = self.settings(hosts);
        let shelf = Shelf::open(&settings).unwrap().0;
        Hosts::new(&settings.inference_host).before(shelf.load_active(CT_CHEST).unwrap())
    }

    /// A host with the same network.
    fn host(&self) -> FakeHost {
        let (said, model) = self.network();
        FakeHost::start(said, Some(model), true)
    }

    fn network(&self) -> (serde_json::Value, std::boxed::Box<dyn hal::LoadedModel>) {
        let said = metadata("specimen", SIGMOID, [("image", FIVE), ("probability", FIVE)]);
        (said, self.loaded(&BTreeMap::new()).model)
    }
}

fn one(host: &FakeHost, change: impl FnOnce(&mut InferenceHost)) -> BTreeMap<String, InferenceHost> {
    let mut settings = settings(host);
    change(&mut settings);
    BTreeMap::from([("gpu1".to_owned(), settings)])
}

fn patch() -> Tensor {
    Tensor { shape: vec![1, 1, 16, 8, 8], data: (0..1024).map(|i| i as f32 / 128.0 - 4.0).collect() }
}

fn words(loaded: &Loaded) -> String {
    let on = loaded.on();
    format!("{}, {}", on.provider, on.library)
}

#[test]
fn real_a_host_makes_the_runs_and_is_named_and_the_answers_are_the_same() {
    let Some(home) = Box_::new(&Specimen::default()) else { return };
    let host = home.host();
    let mut here = home.loaded(&BTreeMap::new());
    let mut there = home.loaded(&one(&host, |_| {}));
    assert_eq!(there.model.run(&[patch()]).unwrap(), here.model.run(&[patch()]).unwrap());
    assert_eq!(host.infers(), 2, "the golden run, and this one");
    assert_eq!(words(&there), format!("inference host, gpu1 ({}, fake 1)", host.url()));
    assert!(words(&here).starts_with("cpu, ONNX Runtime"), "{}", words(&here));
}

#[test]
fn real_a_host_that_fails_in_the_middle_loses_nothing_and_is_tried_again_after_a_pause() {
    let Some(home) = Box_::new(&Specimen::default()) else { return };
    let due = home.loaded(&BTreeMap::new()).model.run(&[patch()]).unwrap();
    for (act, reason) in [
        (Act::HangUp, ""),
        (Act::Hang, "did not answer within 0.5 s"),
        (Act::Error(503, "busy"), "busy"),
        (
            Act::Say(vec![Named { name: "probability".into(), tensor: Tensor { shape: vec![1], data: vec![0.0] } }]),
            "was due",
        ),
        (
            Act::Say(vec![Named { name: "probability".into(), tensor: Tensor { data: vec![7.0; 1024], ..patch() } }]),
            "no probability",
        ),
    ] {
        let host = home.host();
        let hosts = one(&host, |host| (host.deadline_secs, host.retry_secs, host.retry_max_secs) = (0.5, 0.3, 0.3));
        let mut loaded = home.loaded(&hosts);
        // What it ends between two requests is asked again once.
        let failures = if matches!(act, Act::HangUp) { 2 } else { 1 };
        let act = act.clone();
        // The golden run and two patches; then it fails.
        host.acts(move |number| if (3..3 + failures).contains(&number) { act.clone() } else { Act::Run });
        for _ in 0..3 {
            assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
        }
        let said = words(&loaded);
        let begins = format!(
            "inference host and cpu, made partly at gpu1 ({}, fake 1), partly here (cpu, ONNX Runtime",
            host.url()
        );
        assert!(said.starts_with(&begins) && said.contains("gpu1: ") && said.contains(reason), "{said}");
        assert_eq!(host.infers(), 3 + failures);
        let deadline = Instant::now() + Duration::from_secs(20);
        while host.infers() < 5 + failures {
            assert!(Instant::now() < deadline, "it is tried again");
            assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
        }
        assert!(loaded.told().unwrap().contains("here"));
    }
}

#[test]
fn real_a_host_that_is_away_or_has_another_network_is_not_used_and_the_reason_is_said() {
    let Some(home) = Box_::new(&Specimen::default()) else { return };
    let due = home.loaded(&BTreeMap::new()).model.run(&[patch()]).unwrap();
    let host = home.host();
    host.says(|said| said["parameters"]["sha256"] = "0".repeat(64).into());
    let mut loaded = home.loaded(&one(&host, |_| {}));
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    let said = words(&loaded);
    assert!(said.starts_with("cpu, ONNX Runtime") && said.contains("another network"), "{said}");
    assert_eq!(host.infers(), 0, "nothing was sent to it");

    // It states the right hash, and answers otherwise.
    let lying = FakeHost::start(home.network().0, Some(Scripted::zeros().load(b"x").unwrap()), true);
    let mut loaded = home.loaded(&one(&lying, |_| {}));
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    assert!(loaded.on().fallback.unwrap().contains("golden run: the answer differs"), "{}", words(&loaded));
    assert_eq!(lying.infers(), 1, "nothing but the golden input was sent to it");

    let (address, hosts) = (host.address, one(&host, |host| (host.retry_secs, host.retry_max_secs) = (0.01, 0.01)));
    drop(host);
    let mut loaded = home.loaded(&hosts);
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    assert!(loaded.on().fallback.unwrap().contains("no connection to"));
    let (said, model) = home.network();
    let back = FakeHost::at(address, said, Some(model), true);
    let deadline = Instant::now() + Duration::from_secs(20);
    while back.infers() < 2 {
        assert!(Instant::now() < deadline, "a host that comes back is used");
        assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    }
}

/// Promise: what a host states is believed for one study only.
#[test]
fn real_a_host_is_asked_before_each_job_whether_it_still_has_the_network() {
    let Some(home) = Box_::new(&Specimen::default()) else { return };
    let due = home.loaded(&BTreeMap::new()).model.run(&[patch()]).unwrap();
    let host = home.host();
    let mut loaded = home.loaded(&one(&host, |_| {}));
    loaded.begin(None);
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    loaded.begin(None);
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    assert_eq!(host.infers(), 3, "one golden run for both");
    host.says(|said| said["parameters"]["sha256"] = "0".repeat(64).into());
    loaded.begin(None);
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    assert_eq!(host.infers(), 3, "nothing was sent to it");
    assert!(words(&loaded).contains("another network"), "{}", words(&loaded));
}

/// Promise: a job that is over blames no host, and one that goes on is made here meanwhile.
#[test]
fn real_a_job_that_is_over_waits_for_no_host_and_blames_none() {
    let Some(home) = Box_::new(&Specimen::default()) else { return };
    let host = home.host();
    let mut loaded = home.loaded(&one(&host, |host| host.deadline_secs = 60.0));
    loaded.begin(None);
    let due = loaded.model.run(&[patch()]).unwrap();
    host.acts(|_| Act::Hang);
    let begun = Instant::now();
    loaded.begin(Some(Arc::new(move || begun.elapsed() > Duration::from_millis(300))));
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(loaded.told(), None, "{:?}", loaded.told());
    host.acts(|_| Act::Run);
    loaded.begin(None);
    assert_eq!(loaded.model.run(&[patch()]).unwrap(), due);
    assert_eq!(host.infers(), 1, "it is used at once");
}

/// Promise: a host that answers, and always late, is not used until a pause is over, and that is said.
#[test]
fn real_a_host_that_is_slower_than_allowed_is_left_and_the_journal_says_so() {
    let Some(home) = Box_::new(&Specimen::default()) else { return };
    let host = home.host();
    let mut loaded = home.loaded(&one(&host, |host| {
        (host.slowest, host.retry_secs, host.retry_max_secs) = (0.01, 1000.0, 1000.0);
    }));
    loaded.begin(None);
    for _ in 0..12 {
        loaded.model.run(&[patch()]).unwrap();
    }
    assert_eq!(host.infers(), 7, "the golden run, the first, and the five by which it was judged");
    let told = loaded.told().unwrap();
    assert!(told.contains("6 runs at gpu1") && told.contains("6 here"), "{told}");
    assert!(told.contains("times as long as this box, 0.01 are allowed"), "{told}");
}

/// Promise: a host that is slow each time it is tried costs less and less.
#[test]
fn real_the_pauses_of_a_host_that_stays_slow_double() {
    let Some(home) = Box_::new(&Specimen::default()) else { return };
    let host = home.host();
    let mut loaded = home.loaded(&one(&host, |host| {
        (host.slowest, host.retry_secs, host.retry_max_secs) = (0.01, 0.001, 1000.0);
    }));
    loaded.begin(None);
    for _ in 0..400 {
        loaded.model.run(&[patch()]).unwrap();
    }
    // Each trial is seven runs there. In a minute there are sixteen such pauses, and at one pause each time nearly all runs were there.
    assert!(host.infers() < 150, "{}", host.infers());
}

#[test]
fn real_live_pictures_never_leave_the_box() {
    let Some(home) = Box_::new(&Specimen::default()) else { return };
    let host = home.host();
    let mut settings = home.settings(&one(&host, |_| {}));
    settings.analyze.packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/packages");
    let shelf = Shelf::open(&settings).unwrap().0;
    // A study would ask the host.
    let mut study = Hosts::new(&settings.inference_host).before(shelf.load_active(US_BREAST).unwrap());
    let picture = Tensor { shape: vec![1, 1, 8, 8], data: vec![0.5; 64] };
    let _ = study.model.run(std::slice::from_ref(&picture));
    let asked = host.connections();
    assert!(asked > 0, "a study asks");
    let mut live = live::supply::Supply::load(&mut FromShelf(shelf)).unwrap();
    let _ = live.model.run(&[picture]);
    assert_eq!(host.connections(), asked, "and the live path does not");
    assert!(!manifest("daemon/live").contains("node"), "the live path cannot even open a connection");
}

fn manifest(of: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join(of).join("Cargo.toml")).unwrap();
    text.lines().filter(|line| !line.starts_with('#')).collect()
}
