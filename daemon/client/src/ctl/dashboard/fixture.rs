//! A quiet and a busy box, for the tests of the dashboard.

use std::collections::HashMap;

use custody::retention::Retention;
use jiff::Timestamp;
use zbus::{OwnedObjectPath, OwnedVariant, Variant};

use super::properties::Entries;
use super::state::{Fact, Now, State};
use super::words::Words;
use crate::ctl::watch::Happening;
use crate::doctor::text::Language;
use crate::{Destination, Happened, Job, Study};

pub const ENGLISH: Words = Words(Language::English);
pub const CHINESE: Words = Words(Language::Chinese);

pub fn now(ms: u64) -> Now {
    let begun: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
    Now { ms, utc: begun + jiff::SignedDuration::from_millis(i64::try_from(ms).unwrap()) }
}

fn path(noun: &str, number: u32) -> OwnedObjectPath {
    OwnedObjectPath::try_from(format!("{}/{noun}/{number}", crate::ROOT)).unwrap()
}

pub fn study(number: u32) -> Study {
    Study {
        path: path("study", number),
        study_uid: format!("1.2.{number}"),
        patient_id: format!("P{number}"),
        patient_name: "SECRET^NAME".into(),
        patients: 1,
        study_date: "20260131".into(),
        description: "Chest".into(),
        accession_number: String::new(),
        modalities: vec!["CT".into()],
        series_count: 2,
        instance_count: 100 + number,
        state: if number.is_multiple_of(3) { "refused" } else { "processed" }.into(),
        verdicts: vec![
            if number.is_multiple_of(3) {
                "Lung 1.0: 3 slices are missing"
            } else {
                "Lung 1.0: 2 nodules, the largest 8 mm"
            }
            .into(),
            "Scout: localiser, not analysed".into(),
        ],
        hold: None,
        hold_since_utc: None,
        hold_by: None,
        first_utc: "2026-01-31T11:40:00.000Z".into(),
        last_utc: format!("2026-01-31T11:{:02}:00.000Z", 40 + number % 20),
    }
}

fn job(number: u32, study: u32, state: &str, reason: Option<&str>) -> Job {
    Job {
        path: path("job", number),
        series: path("series", number),
        study_uid: format!("1.2.{study}"),
        series_uid: format!("1.2.{study}.1"),
        version: 1,
        state: state.into(),
        stage: String::new(),
        fraction: 0.0,
        priority: 1,
        attempts: 1,
        interruptions: 0,
        not_before_utc: None,
        reason: reason.map(str::to_owned),
        created_utc: "2026-01-31T11:58:00.000Z".into(),
        started_utc: Some("2026-01-31T11:59:20.000Z".into()),
        finished_utc: None,
        findings: None,
        timings: None,
        task: None,
    }
}

fn entries<const N: usize>(entries: [(&str, Variant<'static>); N]) -> Entries {
    entries.into_iter().map(|(name, value)| (name.to_owned(), OwnedVariant::try_from(value).unwrap())).collect()
}

fn appliance(parked: u32, waiting: u32) -> Fact {
    let mut all = entries([
        ("Version", "0.1.0".into()),
        ("Simulated", false.into()),
        ("DicomAddress", "0.0.0.0:104".into()),
        ("Accelerator", "TensorRT on Orin (GPU 0)".into()),
        ("Level", "full".into()),
        ("LevelReason", "".into()),
        ("LevelCause", "".into()),
        ("FreeBytes", (20u64 << 30).into()),
        ("StudiesLeft", 120i64.into()),
        ("MemoryBytes", (1u64 << 30).into()),
        ("MemoryLimitBytes", (4u64 << 30).into()),
        ("Studies", 12u32.into()),
        ("Instances", 3400u64.into()),
    ]);
    all.extend(entries([
        ("SeriesReceiving", u32::from(parked > 0).into()),
        ("JobsQueued", (2 * parked).into()),
        ("JobsRunning", parked.into()),
        ("JobsParked", parked.into()),
        ("DeliveriesPending", waiting.into()),
        ("DeliveriesParked", parked.into()),
        ("OldestPendingUtc", if waiting > 0 { "2026-01-31T09:00:00.000Z" } else { "" }.into()),
    ]));
    Fact::Appliance(all)
}

fn live(pictures: u64) -> Fact {
    let stage = |name: &'static str, p50: f64, p99: f64| -> HashMap<String, Variant<'static>> {
        [("Stage", name.into()), ("Count", 100u64.into()), ("P50", p50.into()), ("P99", p99.into())]
            .map(|(name, value): (&str, Variant<'_>)| (name.to_owned(), value))
            .into()
    };
    let stats: HashMap<String, Variant<'static>> = [
        ("Pictures".to_owned(), pictures.into()),
        ("Lost".to_owned(), 3u64.into()),
        ("Stages".to_owned(), vec![stage("present", 0.2, 0.4), stage("overlay", 17.2, 45.6)].into()),
    ]
    .into();
    let exam: HashMap<String, Variant<'static>> = [
        ("StudyUid".to_owned(), "1.9".into()),
        ("PatientId".to_owned(), "P77".into()),
        ("PatientName".to_owned(), "SECRET^LIVE".into()),
        ("StartedUtc".to_owned(), "2026-01-31T11:48:00.000Z".into()),
        ("Marks".to_owned(), 2u32.into()),
    ]
    .into();
    Fact::Live(entries([
        ("Sign", "ready".into()),
        ("Reason", "".into()),
        ("Source", "USB capture".into()),
        ("Model", "us-breast 0.3.0".into()),
        ("Simulated", false.into()),
        ("Recording", "on".into()),
        ("Exam", exam.into()),
        ("Stats", stats.into()),
    ]))
}

const RETENTION: &str = r#"{
    "policy": {"evict_below_bytes": 10737418240, "min_free_bytes": 2147483648, "keep_days": 90, "ages_count": true,
               "segment_bytes": 134217728},
    "disk": {"free_bytes": 21474836480, "total_bytes": 107374182400}, "kept": [], "besides": [],
    "forecast": {"bytes_per_day": 2147483648, "observed_days": 14.0, "days_left": 5.0, "because": "space"},
    "next": [], "next_left_out": 0, "holds": []}"#;

fn retention() -> Retention {
    serde_json::from_str(RETENTION).unwrap()
}

pub fn event(second: u32, subject: &str, what: &str, detail: &str) -> Happened {
    let utc = format!("2026-01-31T11:59:{second:02}.000Z");
    Happened { utc, subject: subject.into(), what: what.into(), detail: detail.into() }
}

/// A box that has nothing to do.
pub fn quiet() -> State {
    let mut state = State::new();
    for fact in [Fact::Connected, appliance(0, 0), Fact::Retention(Box::new(retention()))] {
        state.learn(fact, now(0));
    }
    state.learn(Fact::Live(entries([("Sign", "off".into())])), now(0));
    let name = |name: &str, address: &str| Destination {
        name: name.into(),
        address: Some(address.into()),
        ..Destination::default()
    };
    state.learn(Fact::Destinations(vec![name("pacs", "PACS@192.0.2.20:104")]), now(0));
    state
}

/// A box that does everything at once, and has some trouble.
pub fn busy() -> State {
    let mut state = quiet();
    state.learn(appliance(1, 7), now(0));
    state.learn(Fact::Studies((1..=12).rev().map(study).collect()), now(0));
    for second in 0..=4u32 {
        let at = now(u64::from(second) * 1000);
        state.learn(live(u64::from(second) * 25), at);
        state.learn(
            Fact::Happening(Happening::Series {
                path: path("series", 31).to_string(),
                study_uid: "1.2.13".into(),
                series_uid: "1.2.13.1".into(),
                state: "receiving".into(),
                instances: 100 + second * 40,
                verdict: None,
            }),
            at,
        );
    }
    state.learn(Fact::Running(vec![job(21, 12, "running", None)]), now(4000));
    state.learn(
        Fact::Happening(Happening::Job {
            path: path("job", 21).to_string(),
            series: path("series", 21).to_string(),
            state: "running".into(),
            stage: "inference".into(),
            fraction: 0.45,
        }),
        now(4000),
    );
    state.learn(Fact::Queued(vec![job(23, 11, "queued", None), job(22, 10, "queued", None)]), now(4000));
    state.learn(
        Fact::Parked(vec![job(9, 4, "parked", Some("the accelerator ran out of memory three times"))]),
        now(4000),
    );
    state.learn(
        Fact::Destinations(vec![
            Destination {
                name: "pacs".into(),
                address: Some("PACS@192.0.2.20:104".into()),
                pending: 7,
                oldest_pending_utc: Some("2026-01-31T09:00:00.000Z".into()),
                reason: Some("connection refused".into()),
                ..Destination::default()
            },
            Destination {
                name: "viewer".into(),
                address: Some("https://viewer.example/dicom-web".into()),
                parked: 1,
                parked_reason: Some("SOP class not supported".into()),
                ..Destination::default()
            },
        ]),
        now(4000),
    );
    let events = vec![
        event(58, "job/21", "started", ""),
        event(50, "series/31", "receiving", "from CT1 at 192.0.2.10"),
        event(41, "delivery/88", "pending", "pacs: connection refused"),
        event(30, "job/9", "parked", "the accelerator ran out of memory three times"),
    ];
    state.learn(Fact::Events(events), now(4000));
    state
}
