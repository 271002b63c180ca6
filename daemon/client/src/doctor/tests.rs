//! One fault at a time is put into the facts of a healthy box; the right cause must come first. And a healthy box is told to be
//! one.

use hal::sensors::{self, Readings, Throttle, Zone};
use node::inference::HostFault;
use node::probe::{Cause, Failed, Passed, Probe, Step};
use node::send::{Target, Way};
use node::stow::Service;
use study::model::hosts::{Look, Seen};

use super::facts::{
    Accelerator, Bus, Capture, Certificate, Clock, Config, Destination, Memory, Opened, Page, Port, Problem, Recalls,
    Storage, Unit,
};
use super::retained::Retained;
use super::text::Language;
use super::{Facts, Gravity, clock, judge};
use crate::{Caller, Delivery, Job, Live, Model, Quarantined, Sender, Status};

/// The capture card.
fn video() -> String {
    format!("{}video0", hal::root::DEVICES)
}

const NOW: &str = "2026-03-10T12:00:00.000Z";

pub(crate) fn path(text: &str) -> zbus::OwnedObjectPath {
    zbus::ObjectPath::try_from(text).unwrap().into()
}

pub(crate) fn caller(outcome: &str) -> Caller {
    Caller {
        calling_ae: "CT1".into(),
        called_ae: "SCANSIDE".into(),
        address: "192.0.2.7".into(),
        outcome: outcome.into(),
        reason: String::new(),
        times: 3,
        first_utc: "2026-03-01T12:00:00.000Z".into(),
        last_utc: "2026-03-10T11:00:00.000Z".into(),
    }
}

fn stranger(outcome: &str) -> Caller {
    Caller { calling_ae: "MR7".into(), address: "192.0.2.77".into(), ..caller(outcome) }
}

pub(crate) fn delivery(state: &str) -> Delivery {
    Delivery {
        path: path("/x/1"),
        destination: "pacs".into(),
        state: state.into(),
        kind: "seg".into(),
        sop_uid: "2.25.1".into(),
        study_uid: "1".into(),
        attempts: 4,
        status: Some(0xA900),
        reason: Some("data set does not match SOP class".into()),
        next_utc: NOW.into(),
        delivered_utc: None,
        commitment: None,
    }
}

fn model(state: &str, reason: Option<&str>) -> Model {
    Model {
        path: path("/x/1"),
        id: "ct-chest".into(),
        version: "1.2.0".into(),
        task: "ct_chest".into(),
        origin: "built-in".into(),
        state: state.into(),
        reason: reason.map(str::to_owned),
        progress: 1.0,
        stage: String::new(),
        signer: None,
        clearance: None,
        licence: None,
        findings: Vec::new(),
        sha256: String::new(),
        accelerator: Some("cpu, ONNX Runtime 1.32.0".into()),
        golden_difference: None,
        networks: Vec::new(),
        last_good: false,
        shadow: false,
    }
}

fn passed(step: Step) -> Passed {
    Passed { step, what: String::new(), milliseconds: 3.0 }
}

pub(crate) fn live(sign: &str, reason: Option<&str>) -> Live {
    Live {
        sign: sign.into(),
        reason: reason.map(str::to_owned),
        source: video(),
        profile: "auto".into(),
        model: Some("us-breast".into()),
        label: None,
        simulated: false,
        size: (1280, 720),
        exam: None,
        recording: "on".into(),
        guidance: crate::Guidance::default(),
        recording_reason: None,
        worklist_server: None,
    }
}

pub(crate) fn failing(cause: Cause, step: Step) -> Option<Probe> {
    let failed = Some(Failed { step, cause, what: "as the system said".into() });
    Some(Probe { passed: vec![passed(Step::Name)], failed, not_taken: Vec::new(), asked: 8 })
}

pub(crate) fn counter(cause: sensors::Cause, times: u64) -> Throttle {
    Throttle { name: format!("{cause:?}"), cause, active: false, times: Some(times) }
}

/// A box that works: one scanner that sends each day, one archive, a live path, a model.
pub(crate) fn healthy() -> Facts {
    let hours = (1..10)
        .flat_map(|day| [9, 14].map(|hour| format!("2026-03-{day:02}T{hour:02}")))
        .chain(["2026-03-10T09".to_owned()]);
    let studies_utc = (1..10).map(|day| format!("2026-03-{day:02}T09:00:00.000Z")).collect();
    Facts {
        now_utc: NOW.into(),
        bus: Bus::Answers,
        unit: Some(Unit {
            active: "active".into(),
            sub: "running".into(),
            result: "success".into(),
            enabled: "enabled".into(),
            ..Unit::default()
        }),
        config: Config {
            live_device: video(),
            provider: "cpu".into(),
            min_free_bytes: 2 << 30,
            listen: "0.0.0.0:11112".into(),
            ..Config::default()
        },
        port: None,
        storage: Some(Storage {
            directory: "/var/lib/scanside".into(),
            exists: true,
            owner: Some("scanside".into()),
            free_bytes: 500 << 30,
            total_bytes: 1000 << 30,
            free_inodes: Some(1 << 20),
            worn_percent: Some(10),
            ..Storage::default()
        }),
        clock: Clock {
            synchronised: Some(true),
            has_rtc: Some(true),
            newest_row_utc: Some("2026-03-10T11:59:00.000Z".into()),
            program_utc: Some("2026-01-01T00:00:00Z".into()),
            zone: Some("Asia/Shanghai".into()),
        },
        accelerator: Some(Accelerator {
            wanted: "cpu".into(),
            opened: Some(Opened::As { provider: "cpu".into(), fallback: None }),
            ..Accelerator::default()
        }),
        heat: Some(Readings {
            zones: vec![Zone {
                name: "cpu".into(),
                celsius: 50.0,
                limit_celsius: Some(95.0),
                critical_celsius: Some(105.0),
            }],
            throttles: vec![counter(sensors::Cause::Heat, 0), counter(sensors::Cause::Power, 0)],
            ..Readings::default()
        }),
        memory: Some(Memory { used_bytes: 1 << 30, limit_bytes: 16 << 30, killed: 0 }),
        capture: Some(Capture { device: video(), exists: true, others: vec![video()] }),
        page: Some(Page { address: "http://127.0.0.1:8484/".into(), failure: None }),
        status: Some(Status {
            version: "0.1.0".into(),
            simulated: false,
            dicom_address: "0.0.0.0:11112".into(),
            accelerator: "cpu".into(),
            destinations: vec![("pacs".into(), "PACS@192.0.2.20:104".into())],
            level: "full".into(),
            level_reason: String::new(),
            level_cause: String::new(),
            heat: "normal".into(),
            heat_reason: None,
            temperatures: vec![("cpu".into(), 50.0)],
            watts: None,
            free_bytes: 500 << 30,
            studies_left: Some(4000),
            memory_bytes: 1 << 30,
            memory_limit_bytes: 4 << 30,
            studies: 9,
            instances: 1800,
            series_receiving: 0,
            jobs_queued: 0,
            jobs_running: 0,
            jobs_parked: 0,
            deliveries_pending: 0,
            deliveries_held: 0,
            deliveries_parked: 0,
            steps_waiting: 0,
            steps_parked: 0,
            oldest_step_utc: None,
            steps_reason: None,
            priors_waiting: 0,
            priors_in_vain: 0,
            priors_reason: None,
            tasks_open: 0,
            oldest_task_utc: None,
            tasks_reason: None,
            notices_waiting: 0,
            oldest_notice_utc: None,
            notices_parked: 0,
            notices_reason: None,
            oldest_pending_utc: None,
            quarantined: 0,
        }),
        ae_titles: vec!["SCANSIDE".into()],
        senders: vec![("CT1".into(), "192.0.2.7".into())],
        callers: vec![caller("accepted")],
        sent: vec![Sender {
            calling_ae: "CT1".into(),
            address: "192.0.2.7".into(),
            instances: 1800,
            studies: 9,
            first_utc: "2026-03-01T09:00:00.000Z".into(),
            last_utc: "2026-03-10T09:30:00.000Z".into(),
            hours: hours.collect(),
            last_study_date: "20260310".into(),
        }],
        destinations: vec![Destination {
            name: "pacs".into(),
            way: Way::Dimse(Target {
                address: "192.0.2.20:104".into(),
                called_ae: "PACS".into(),
                calling_ae: "SCANSIDE".into(),
                tls: None,
            }),
            probe: Some(Probe {
                passed: [Step::Name, Step::Connection, Step::Association, Step::Contexts, Step::Echo]
                    .map(passed)
                    .into(),
                ..Probe::default()
            }),
        }],
        models: vec![model("active", None)],
        live: Some(live("ready", None)),
        studies_utc,
        ..Facts::default()
    }
}

/// The archive is reached by URL.
fn web(facts: &mut Facts, probe: Option<Probe>) {
    let url = "https://192.0.2.20/dicom-web".parse().unwrap();
    facts.destinations[0].way = Way::Web(Service { url, login: None, tls: None });
    facts.destinations[0].probe = probe;
}

/// An inference host: the seconds of a run, or what is wrong.
fn host(outcome: Result<f64, HostFault>) -> Look {
    Look {
        host: "gpu1".into(),
        place: "https://192.0.2.30:8485".into(),
        package: "ct-chest 0.4.2".into(),
        outcome: outcome.map(|run| Seen::new("scanside 0.1.0", run, 30.0)).map_err(|kind| (kind, "it said so".into())),
    }
}

/// A box whose daemon is not there.
fn down(facts: &mut Facts) {
    let (healthy_config, storage, unit) = (facts.config.clone(), facts.storage.clone(), facts.unit.clone());
    *facts =
        Facts { now_utc: NOW.into(), bus: Bus::NotThere, config: healthy_config, storage, unit, ..Facts::default() };
    if let Some(unit) = &mut facts.unit {
        (unit.active, unit.sub, unit.result) = ("failed".into(), "failed".into(), "exit-code".into());
    }
}

/// Of the box itself, that ends then.
pub(crate) fn certificate(utc: &str) -> Certificate {
    let users = vec![super::Text { en: "the DICOM port".into(), zh: "DICOM 端口".into() }];
    let file = "/etc/scanside/tls/box.pem".into();
    Certificate { users, file, is_ca: false, expires_utc: utc.into(), all_expire_utc: utc.into() }
}

/// A destination with a result that waits since then.
fn queue(name: &str, utc: &str) -> crate::Destination {
    crate::Destination { name: name.into(), pending: 1, oldest_pending_utc: Some(utc.into()), ..Default::default() }
}

/// One archive has been away for days; a fresh result in its pause at another one is nobody's trouble.
#[test]
fn what_waits_for_one_archive_says_nothing_of_another_one() {
    let mut facts = healthy();
    let status = facts.status.as_mut().unwrap();
    (status.deliveries_pending, status.oldest_pending_utc) = (2, Some("2026-03-02T02:00:00.000Z".into()));
    facts.deliveries = vec![crate::Delivery { attempts: 0, ..delivery("pending") }];
    facts.queues = vec![queue("gone", "2026-03-02T02:00:00.000Z"), queue("pacs", NOW)];
    let late = |facts: &Facts| judge(facts).findings.into_iter().find(|finding| finding.code == "results-late");
    assert_eq!(late(&facts), None);
    facts.queues[1] = queue("pacs", "2026-03-02T02:00:00.000Z");
    let words = late(&facts).unwrap().evidence.remove(0).en;
    assert!(words.starts_with("1 result waits, the oldest for "), "{words}");
}

type Fault = (&'static str, fn(&mut Facts));

/// Code that must come first, and the fault.
const FAULTS: &[Fault] = &[
    ("called-ae-wrong", |f| f.callers.push(Caller { called_ae: "PACS".into(), ..stranger("called-ae-wrong") })),
    ("calling-ae-unknown", |f| f.callers.push(stranger("calling-ae-unknown"))),
    ("address-unknown", |f| f.callers.push(Caller { calling_ae: "CT1".into(), ..stranger("address-unknown") })),
    ("tls-on-plain-port", |f| {
        f.callers.push(Caller { calling_ae: String::new(), called_ae: String::new(), ..stranger("tls-on-plain-port") })
    }),
    ("needs-tls", |f| f.callers.push(Caller { calling_ae: "CT1".into(), ..stranger("needs-tls") })),
    ("certificate-wrong", |f| f.callers.push(Caller { calling_ae: "CT1".into(), ..stranger("certificate-wrong") })),
    ("identity-refused", |f| f.callers.push(Caller { calling_ae: "CT1".into(), ..stranger("identity-refused") })),
    ("tls-failed", |f| f.callers.push(Caller { calling_ae: String::new(), ..stranger("tls-failed") })),
    ("archive-tls-failed", |f| f.destinations[0].probe = failing(Cause::Tls, Step::Association)),
    ("no-context-accepted", |f| f.callers.push(stranger("no-context-accepted"))),
    ("archive-name-unknown", |f| f.destinations[0].probe = failing(Cause::NameUnknown, Step::Name)),
    ("archive-no-route", |f| f.destinations[0].probe = failing(Cause::NoRoute, Step::Connection)),
    ("archive-port-closed", |f| {
        // What an archive that is down looks like after a night: one cause, and its effect in the outbox.
        f.destinations[0].probe = failing(Cause::PortClosed, Step::Connection);
        f.deliveries = vec![delivery("pending"), delivery("pending")];
        f.status.as_mut().unwrap().deliveries_pending = 2;
        f.queues = vec![queue("pacs", "2026-03-10T02:00:00.000Z")];
    }),
    ("archive-no-answer", |f| f.destinations[0].probe = failing(Cause::NoAnswer, Step::Connection)),
    ("archive-called-ae-wrong", |f| f.destinations[0].probe = failing(Cause::CalledAe, Step::Association)),
    ("archive-does-not-know-us", |f| f.destinations[0].probe = failing(Cause::CallingAe, Step::Association)),
    ("archive-not-http", |f| web(f, failing(Cause::NotHttp, Step::Http))),
    ("archive-login-unreadable", |f| web(f, failing(Cause::LoginUnreadable, Step::Login))),
    ("archive-login-refused", |f| web(f, failing(Cause::LoginRefused, Step::Login))),
    ("archive-no-stow", |f| web(f, failing(Cause::NoStow, Step::Store))),
    ("archive-not-ready", |f| web(f, failing(Cause::NotReady, Step::Store))),
    ("archive-not-dicom", |f| f.destinations[0].probe = failing(Cause::NotDicom, Step::Association)),
    ("archive-refuses-class", |f| {
        f.destinations[0].probe.as_mut().unwrap().not_taken =
            vec![("Segmentation".into(), "SOP class not supported".into())];
        f.deliveries = vec![delivery("parked")];
        f.status.as_mut().unwrap().deliveries_parked = 1;
    }),
    ("worklist-server", |f| {
        let probe = failing(Cause::CallingAe, Step::Association);
        f.worklist_server = Some(Destination { name: "worklist".into(), probe, ..f.destinations[0].clone() });
    }),
    ("worklist-server", |f| {
        f.worklist_server = Some(Destination { name: "worklist".into(), ..f.destinations[0].clone() });
        let trouble = Some("the server is out of resources (A700)".into());
        let server = crate::WorklistServer { name: "RIS@ris:104".into(), answered_utc: None, trouble };
        f.live.as_mut().unwrap().worklist_server = Some(server);
    }),
    ("host-not-reachable", |f| f.inference_hosts = vec![host(Err(HostFault::NotReachable))]),
    ("host-not-the-protocol", |f| f.inference_hosts = vec![host(Err(HostFault::NotTheProtocol))]),
    ("host-not-ready", |f| f.inference_hosts = vec![host(Err(HostFault::NotReady))]),
    ("host-has-no-model", |f| f.inference_hosts = vec![host(Ok(0.1)), host(Err(HostFault::NoModel))]),
    ("host-has-another-model", |f| f.inference_hosts = vec![host(Err(HostFault::AnotherHash))]),
    ("host-has-another-model", |f| f.inference_hosts = vec![host(Err(HostFault::AnotherSignature))]),
    ("host-answers-wrongly", |f| f.inference_hosts = vec![host(Err(HostFault::TooLate))]),
    ("host-slow", |f| f.inference_hosts = vec![host(Ok(17.0))]),
    ("mpps-manager", |f| {
        let probe = failing(Cause::CallingAe, Step::Association);
        f.step_manager = Some(Destination { name: "mpps".into(), probe, ..f.destinations[0].clone() });
        f.status.as_mut().unwrap().steps_waiting = 2;
    }),
    ("ups-manager", |f| {
        let probe = failing(Cause::CallingAe, Step::Association);
        f.task_manager = Some(Destination { name: "ups".into(), probe, ..f.destinations[0].clone() });
    }),
    ("mpps-late", |f| {
        f.step_manager = Some(Destination { name: "mpps".into(), ..f.destinations[0].clone() });
        let status = f.status.as_mut().unwrap();
        (status.steps_waiting, status.oldest_step_utc) = (1, Some("2026-03-07T02:00:00.000Z".into()));
    }),
    ("mpps-refused", |f| {
        let status = f.status.as_mut().unwrap();
        (status.steps_parked, status.steps_reason) = (1, Some("0106 (invalid attribute value)".into()));
    }),
    ("prior-archive", |f| {
        let probe = failing(Cause::CallingAe, Step::Association);
        f.prior_archive = Some(Destination { name: "prior".into(), probe, ..f.destinations[0].clone() });
    }),
    ("prior-in-vain", |f| {
        f.prior_archive = Some(Destination { name: "prior".into(), ..f.destinations[0].clone() });
        let status = f.status.as_mut().unwrap();
        (status.priors_in_vain, status.priors_reason) = (3, Some("no prior: the archive did not answer".into()));
    }),
    ("results-refused", |f| f.deliveries = vec![delivery("parked")]),
    ("destination-not-configured", |f| {
        f.deliveries = vec![crate::Delivery { destination: "gone".into(), ..delivery("pending") }];
    }),
    ("results-late", |f| {
        f.deliveries = vec![delivery("pending")];
        f.status.as_mut().unwrap().deliveries_pending = 1;
        f.queues = vec![queue("pacs", "2026-03-07T02:00:00.000Z")];
    }),
    ("disk-nearly-full", |f| f.status.as_mut().unwrap().studies_left = Some(5)),
    ("disk-nearly-full", |f| full_for_years(f, 4 << 30)),
    ("disk-full", |f| {
        let status = f.status.as_mut().unwrap();
        (status.free_bytes, status.studies_left) = (1 << 30, Some(0));
        (status.level, status.level_reason) =
            ("no_new_studies".into(), "1024 MiB free, 2048 MiB must stay free".into());
        status.jobs_parked = 1;
    }),
    ("disk-read-only", |f| {
        f.storage.as_mut().unwrap().read_only = true;
        let status = f.status.as_mut().unwrap();
        (status.level, status.level_reason) =
            ("no_new_studies".into(), "the database cannot be written: read-only".into());
    }),
    ("disk-errors", |f| f.storage.as_mut().unwrap().errors = 7),
    ("disk-worn", |f| f.storage.as_mut().unwrap().worn_percent = Some(90)),
    ("database-damaged", |f| {
        let status = f.status.as_mut().unwrap();
        (status.level, status.level_reason) =
            ("no_new_studies".into(), "the database is damaged: malformed disk image".into());
    }),
    ("quarantine-not-empty", |f| {
        f.set_aside = vec![Quarantined {
            id: 3,
            state: "quarantined".into(),
            reason: "no pixel data".into(),
            sop_class: String::new(),
            sop_uid: String::new(),
            study_uid: String::new(),
            length: 9,
            received_utc: NOW.into(),
            calling_ae: "CT1".into(),
            peer_address: "192.0.2.7".into(),
        }];
    }),
    ("scanner-silent", |f| {
        f.sent[0].last_utc = "2026-03-05T15:00:00.000Z".into();
        f.sent[0].last_study_date = "20260305".into();
        f.sent[0].hours.retain(|hour| hour.as_str() < "2026-03-06");
    }),
    ("clock-behind", |f| {
        f.clock.synchronised = Some(false);
        f.clock.newest_row_utc = Some("2029-03-10T12:00:00.000Z".into());
        // What a wrong clock must not cause: a certificate that is said to have expired.
        f.certificates = vec![certificate("2026-01-01T00:00:00Z")];
    }),
    ("clock-offset", |f| f.sent[0].last_study_date = "20260320".into()),
    ("model-missing", |f| {
        f.models = vec![model("deactivated", None)];
        f.status.as_mut().unwrap().jobs_parked = 4;
    }),
    ("model-refused", |f| f.models = vec![model("refused", Some("lungs.onnx: the hash differs"))]),
    ("golden-failing", |f| {
        f.models = vec![model("refused", Some("golden run: differs by 0.4, 0.01 allowed"))];
        f.status.as_mut().unwrap().jobs_parked = 4;
    }),
    ("gpu-missing", |f| wants_gpu(f, false, false)),
    ("gpu-driver-missing", |f| wants_gpu(f, true, false)),
    ("accelerator-fallback", |f| wants_gpu(f, true, true)),
    ("accelerator-lost", |f| {
        let status = f.status.as_mut().unwrap();
        status.accelerator = "cuda: the GPU is not used for studies: CUDA failure 2: out of memory".into();
        (status.level, status.level_reason) =
            ("reduced".into(), "the GPU is not used for studies: CUDA failure 2: out of memory".into());
    }),
    ("inference-library-missing", |f| {
        f.accelerator.as_mut().unwrap().opened = Some(Opened::Not("libonnxruntime.so is not there".into()));
        f.models = vec![model("refused", Some("golden run: no library"))];
    }),
    ("too-hot", |f| f.heat.as_mut().unwrap().zones[0].celsius = 94.0),
    ("too-hot", |f| f.heat.as_mut().unwrap().throttles[0].active = true),
    ("too-hot", |f| f.status.as_mut().unwrap().heat = "hot".into()),
    ("power-short", |f| {
        f.heat.as_mut().unwrap().throttles[1].times = Some(3);
        f.status.as_mut().unwrap().heat = "throttled".into();
    }),
    ("configuration-wrong", |f| {
        down(f);
        f.unit.as_mut().unwrap().exit_status = 78;
        let place = "/etc/scanside/config.d/50-site.toml:7".into();
        f.config.problems =
            vec![Problem { place, key: "dicom.max_pdu".into(), reason: "65 is not in 4096 to 1048576".into() }];
    }),
    ("last-good-configuration", |f| {
        let status = f.status.as_mut().unwrap();
        (status.level, status.level_reason) =
            ("reduced".into(), "the configuration cannot be used (/etc/x.toml:7: dicom.max_pdu: no)".into());
    }),
    ("configuration-file", |f| {
        let status = f.status.as_mut().unwrap();
        let file = "destination.pacs.token_file: /etc/scanside/token: Permission denied";
        (status.level, status.level_reason) =
            ("reduced".into(), format!("a file of the configuration cannot be used: {file}"));
    }),
    ("configuration-not-loaded", |f| f.config.newer_than_daemon = Some("/etc/scanside/config.d/50-site.toml".into())),
    ("port-in-use", |f| {
        down(f);
        f.port = Some(Port::Taken(Some("storescp (process 7)".into())));
    }),
    ("not-on-bus", |f| {
        down(f);
        f.port = Some(Port::Taken(Some("scansided (process 7)".into())));
    }),
    ("port-not-allowed", |f| {
        down(f);
        (f.port, f.ports_from) = (Some(Port::NotAllowed), Some(1024));
    }),
    ("service-stopped", |f| {
        down(f);
        let unit = f.unit.as_mut().unwrap();
        (unit.active, unit.sub, unit.result) = ("inactive".into(), "dead".into(), "success".into());
    }),
    ("service-failed", down),
    ("service-not-enabled", |f| f.unit.as_mut().unwrap().enabled = "disabled".into()),
    ("storage-not-ours", |f| {
        down(f);
        f.storage.as_mut().unwrap().owner = Some("root".into());
    }),
    ("not-allowed", |f| {
        let config = f.config.clone();
        *f = Facts { now_utc: NOW.into(), bus: Bus::Denied, config, unit: f.unit.clone(), ..Facts::default() };
    }),
    ("no-signal", |f| f.live = Some(live("no_signal", Some("since 11:40")))),
    ("capture-missing", |f| {
        (f.capture.as_mut().unwrap().exists, f.live) = (false, Some(live("failed", Some("not there"))));
    }),
    ("page-unreachable", |f| f.page.as_mut().unwrap().failure = Some("connection refused".into())),
    ("memory-short", |f| f.memory.as_mut().unwrap().killed = 2),
    ("jobs-parked", |f| {
        f.status.as_mut().unwrap().jobs_parked = 1;
        f.parked_jobs = vec![job()];
    }),
    ("recalls-overdue", |f| f.recalls = Some(Recalls { open: 3, overdue: 1, longest_days: 1, moved: 0 })),
    ("recalls-moved", |f| f.recalls = Some(Recalls { open: 3, overdue: 0, longest_days: 0, moved: 1 })),
    ("certificate-expired", |f| f.certificates = vec![certificate("2026-01-01T00:00:00Z")]),
    ("certificate-expires", |f| f.certificates = vec![certificate("2026-03-28T00:00:00Z")]),
    ("certificate-unclear", |f| {
        f.certificates = vec![certificate("2026-03-28T00:00:00Z")];
        f.clock.synchronised = None;
    }),
];

/// A disk that eviction keeps at its threshold, and so much that it may evict.
fn full_for_years(facts: &mut Facts, evictable_bytes: u64) {
    let status = facts.status.as_mut().unwrap();
    (status.free_bytes, status.studies_left) = (10 << 30, Some(16));
    facts.retention = Some(Retained { evict_below_bytes: 10 << 30, min_free_bytes: 2 << 30, evictable_bytes });
}

fn wants_gpu(facts: &mut Facts, hardware: bool, driver: bool) {
    facts.config.provider = "tensorrt".into();
    facts.accelerator = Some(Accelerator {
        wanted: "tensorrt".into(),
        opened: Some(Opened::As {
            provider: "cpu".into(),
            fallback: Some("tensorrt: no device; cuda: no device: using cpu".into()),
        }),
        nvidia_hardware: hardware,
        nvidia_driver: driver,
    });
}

fn job() -> Job {
    Job {
        path: path("/x/1"),
        series: path("/x/2"),
        study_uid: "1".into(),
        series_uid: "1.1".into(),
        version: 1,
        state: "parked".into(),
        stage: String::new(),
        fraction: 0.0,
        priority: 1,
        attempts: 3,
        interruptions: 0,
        not_before_utc: None,
        reason: Some("analysis failed 3 times: out of memory".into()),
        created_utc: NOW.into(),
        started_utc: None,
        finished_utc: None,
        findings: None,
        timings: None,
        task: None,
    }
}

#[test]
fn of_each_fault_the_right_cause_comes_first() {
    assert!(FAULTS.len() >= 25);
    let mut wrong = Vec::new();
    for (code, put_in) in FAULTS {
        let mut facts = healthy();
        put_in(&mut facts);
        let report = judge(&facts);
        let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
        if codes.first() != Some(code) {
            wrong.push(format!("{code}: {codes:?}"));
        }
        assert_ne!(report.exit_code(), 0, "{code} is no note");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_finding_has_cause_and_remedy_in_both_languages() {
    for (code, put_in) in FAULTS {
        let mut facts = healthy();
        put_in(&mut facts);
        for finding in judge(&facts).findings {
            for text in [&finding.cause, &finding.remedy] {
                let (en, zh) = (text.in_language(Language::English), text.in_language(Language::Chinese));
                assert!(en.len() > 5 && en.is_ascii(), "{code}: {en}");
                assert!(zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{code}: {zh}");
            }
        }
    }
}

#[test]
fn of_a_healthy_box_nothing_is_said_but_what_was_looked_at() {
    let report = judge(&healthy());
    assert_eq!(report.findings, []);
    assert_eq!(report.exit_code(), 0);
    assert!(report.checked.len() >= 9 && report.checked.iter().all(|checked| checked.done), "{:?}", report.checked);
    let disk = report.checked.iter().find(|checked| checked.area.en == "disk").unwrap();
    assert_eq!(disk.seen.en, "500 GiB free: room for about 4000 studies, 4056 days at the present rate");
}

#[test]
fn a_box_of_which_nothing_is_known_is_not_called_healthy() {
    let report = judge(&Facts { now_utc: NOW.into(), ..Facts::default() });
    assert_eq!(report.findings[0].code, "service-not-running");
    assert_eq!(report.exit_code(), 2);
}

#[test]
fn a_full_disk_that_eviction_keeps_in_order_is_the_normal_state() {
    let mut facts = healthy();
    full_for_years(&mut facts, 480 << 30);
    let report = judge(&facts);
    assert_eq!((report.findings.as_slice(), report.exit_code()), (&[][..], 0));
    let disk = report.checked.iter().find(|checked| checked.area.en == "disk").unwrap();
    assert_eq!(disk.seen.en, "10 GiB free; the oldest studies go as new ones come: 480 GiB may");
}

#[test]
fn what_the_daemon_says_of_its_gpu_is_told_whatever_the_doctor_could_open() {
    let mut facts = healthy();
    wants_gpu(&mut facts, true, true);
    facts.accelerator.as_mut().unwrap().opened = None;
    facts.models[0].accelerator = Some("tensorrt, TensorRT 10.3".into());
    assert_eq!(judge(&facts).findings, [], "the daemon uses it");
    facts.status.as_mut().unwrap().accelerator = "tensorrt: CUDA failure 2: out of memory".into();
    let told = judge(&facts).findings;
    assert_eq!((told[0].code, told[0].evidence[0].en.as_str()), ("accelerator-lost", "CUDA failure 2: out of memory"));
}

#[test]
fn one_day_with_the_clock_in_the_future_does_not_make_a_right_clock_wrong() {
    let mut facts = healthy();
    facts.clock.newest_row_utc = Some("2036-03-10T12:00:00.000Z".into());
    assert_eq!(judge(&facts).findings, [], "a time server knows better");
    let mut facts = healthy();
    facts.studies_utc.push("2036-03-10T12:00:00.000Z".into());
    facts.clock.synchronised = Some(false);
    let report = judge(&facts);
    assert_eq!((report.findings[0].code, report.exit_code()), ("rows-in-the-future", 0));
    assert_eq!(report.findings[0].cause.en, "Dated in the future: 1 study");
    assert!(report.findings[0].remedy.en.contains("a watch"), "{}", report.findings[0].remedy.en);
}

#[test]
fn without_a_time_server_an_expiring_certificate_has_a_remedy_that_works() {
    let mut facts = healthy();
    facts.clock.synchronised = Some(false);
    facts.certificates = vec![certificate("2026-03-28T00:00:00Z")];
    let told = judge(&facts).findings;
    assert_eq!(told[0].code, "certificate-unclear");
    let remedy = &told[0].remedy.en;
    assert!(remedy.starts_with("Compare the clock with a watch") && remedy.contains("cert renew /etc/"), "{remedy}");
    facts.config.judges_dates = true;
    assert_eq!(judge(&facts).findings[0].code, "certificate-expires", "the site says that the clock is right");
    facts.clock.newest_row_utc = Some("2029-03-10T12:00:00.000Z".into());
    let told = judge(&facts).findings;
    assert_eq!((told[0].code, told[1].remedy.en.as_str()), ("clock-behind", "Set the clock first."));
}

/// A wrong clock makes a valid certificate look expired; the box must go on.
#[test]
fn a_clock_that_is_not_trusted_judges_no_certificate() {
    let mut facts = healthy();
    facts.certificates = vec![certificate("2026-01-01T00:00:00Z")];
    facts.clock.synchronised = None;
    let report = judge(&facts);
    assert_eq!(
        report.findings.iter().map(|f| (f.code, f.gravity)).collect::<Vec<_>>(),
        [("certificate-unclear", Gravity::Warning)]
    );
}

#[test]
fn of_several_cas_in_one_file_one_that_ended_is_a_warning_and_all_are_a_fault() {
    let mut facts = healthy();
    facts.certificates = vec![Certificate {
        is_ca: true,
        all_expire_utc: "2030-01-01T00:00:00Z".into(),
        ..certificate("2026-01-01T00:00:00Z")
    }];
    let told = |facts: &Facts| judge(facts).findings.iter().map(|f| (f.code, f.gravity)).collect::<Vec<_>>();
    assert_eq!(told(&facts), [("certificate-expired", Gravity::Warning)]);
    facts.certificates[0].all_expire_utc = "2026-02-01T00:00:00Z".into();
    assert_eq!(told(&facts), [("certificate-expired", Gravity::Broken)]);
    facts.certificates[0].expires_utc = "2027-01-01T00:00:00Z".into();
    assert_eq!(told(&facts), [], "not soon");
    let report = judge(&facts);
    let seen = report.checked.iter().find(|checked| checked.area.en == "certificates").unwrap();
    assert_eq!(seen.seen.en, "1 file, the first ends on 2027-01-01");
}

#[test]
fn certificates_that_cannot_be_read_are_not_called_sound() {
    let mut facts = healthy();
    facts.unread_certificates = vec!["certificate /etc/scanside/tls/box.pem: Permission denied".into()];
    let report = judge(&facts);
    let told = report.checked.iter().find(|checked| checked.area.en == "certificates").unwrap();
    assert!(!told.done);
    assert_eq!(
        told.seen.en,
        "1 file could not be read (run it with sudo): certificate /etc/scanside/tls/box.pem: Permission denied"
    );
}

#[test]
fn recalls_that_cannot_be_read_are_not_called_none() {
    let mut facts = healthy();
    facts.unread_recalls = Some("refused".into());
    let report = judge(&facts);
    let told = report.checked.iter().find(|checked| checked.area.en == "recalls").unwrap();
    assert_eq!((told.done, told.seen.en.as_str()), (false, "the list could not be read: refused"));
}

#[test]
fn recalls_are_counted_and_nobody_is_named() {
    let mut facts = healthy();
    facts.recalls = Some(Recalls { open: 5, overdue: 3, longest_days: 40, moved: 0 });
    let report = judge(&facts);
    assert_eq!(report.findings[0].cause.en, "3 recalls are overdue, the longest by 40 days");
    assert_eq!((report.exit_code(), report.findings[0].evidence.len()), (1, 0));
    facts.clock.synchronised = None;
    let doubt = &judge(&facts).findings[0].evidence[0].en;
    assert!(doubt.contains("not to be trusted"), "{doubt}");
    facts.recalls = Some(Recalls { open: 5, ..Recalls::default() });
    assert_eq!(judge(&facts).findings, []);
}

#[test]
fn a_refusal_that_was_corrected_since_or_is_weeks_old_is_not_told() {
    let mut facts = healthy();
    facts.callers.push(stranger("calling-ae-unknown"));
    facts.callers.push(Caller { last_utc: "2026-03-10T11:30:00.000Z".into(), ..stranger("accepted") });
    assert_eq!(judge(&facts).findings, []);
    facts.callers.truncate(1);
    facts.callers.push(Caller { last_utc: "2026-02-01T11:30:00.000Z".into(), ..stranger("calling-ae-unknown") });
    assert_eq!(judge(&facts).findings, []);
}

#[test]
fn an_archive_that_is_down_is_one_finding_with_what_waits_for_it() {
    let mut facts = healthy();
    FAULTS.iter().find(|(code, _)| *code == "archive-port-closed").unwrap().1(&mut facts);
    let report = judge(&facts);
    assert_eq!(report.findings.len(), 1);
    let evidence: Vec<_> = report.findings[0].evidence.iter().map(|text| text.en.as_str()).collect();
    assert_eq!(evidence[1], "2 results wait, the oldest for 10 h");
}

#[test]
fn a_command_to_copy_runs_nothing_that_a_stranger_calls_itself() {
    for (title, words) in [
        ("ROOM 3", "`scansidectl peers learn 'ROOM 3' --write`"),
        ("$(reboot)", "`scansidectl peers learn '$(reboot)' --write`"),
        ("-x", "`scansidectl peers learn --write -- -x`"),
    ] {
        let mut facts = healthy();
        facts.callers.push(Caller { calling_ae: title.into(), ..stranger("calling-ae-unknown") });
        let remedy = &judge(&facts).findings[0].remedy;
        assert!(remedy.en.contains(words) && remedy.zh.contains(words), "{remedy:?}");
    }
}

#[test]
fn a_port_that_may_not_be_opened_names_what_opens_it() {
    let mut facts = healthy();
    FAULTS.iter().find(|(code, _)| *code == "port-not-allowed").unwrap().1(&mut facts);
    let told = &judge(&facts).findings[0];
    assert!(told.remedy.en.contains("/usr/lib/sysctl.d/50-scanside.conf"), "{told:?}");
    assert!(told.evidence[0].en.contains("ports from 1024 on"), "{told:?}");
}

#[test]
fn a_title_that_differs_in_case_only_is_told_so() {
    let mut facts = healthy();
    facts.callers.push(Caller { calling_ae: "ct1".into(), ..stranger("calling-ae-unknown") });
    assert!(judge(&facts).findings[0].remedy.en.starts_with("Upper and lower case count: CT1 is configured."));
}

#[test]
fn a_clock_is_trusted_only_when_something_sets_it_and_nothing_speaks_against_it() {
    let mut facts = healthy();
    assert_eq!((clock::distrust(&facts), clock::days_ahead(&facts.sent[0])), (None, Some(0)));
    facts.clock.synchronised = Some(false);
    assert!(clock::distrust(&facts).unwrap().en.contains("No time server"));
    let mut facts = healthy();
    facts.sent[0].last_study_date = "20260320".into();
    assert!(clock::days_ahead(&facts.sent[0]).is_some_and(|days| days > 1));
    assert!(clock::distrust(&facts).is_some());
    facts.sent[0].last_study_date = String::new();
    assert_eq!(clock::days_ahead(&facts.sent[0]), None);
}

/// Of images and servers it is UTC, which nobody has chosen.
#[test]
fn a_zone_of_utc_that_nobody_has_confirmed_is_remarked_on_in_both_languages() {
    let mut facts = healthy();
    for zone in ["UTC", "Etc/UTC", "Universal", "Etc/GMT"] {
        facts.clock.zone = Some(zone.into());
        let report = judge(&facts);
        assert_eq!((report.findings[0].code, report.findings.len(), report.exit_code()), ("zone-not-confirmed", 1, 0));
        for text in [&report.findings[0].cause, &report.findings[0].remedy] {
            assert!(text.en.is_ascii() && text.zh.contains('时'), "{text:?}");
        }
    }
    facts.config.utc_is_right = true;
    assert_eq!(judge(&facts).findings, []);
    facts.config.utc_is_right = false;
    for zone in [None, Some("Europe/London".to_owned()), Some("Asia/Shanghai".to_owned())] {
        facts.clock.zone = zone;
        assert_eq!(judge(&facts).findings, [], "{:?}", facts.clock.zone);
    }
}
