//! A box that passes; then one fault at a time in what was measured: exactly the line of that fault fails, and says what to do.

use node::probe::{Cause, Step};

use super::document::{html, pdf};
use super::judge::{figures, stages};
use super::measured::{Disk, NotDone, PackageRun, StudyRun, Taken, Video};
use super::{Identity, Line, Measured, Outcome, Report, drift, judge, outcome};
use crate::doctor::facts::{Bus, Problem};
use crate::doctor::retained::Retained;
use crate::doctor::tests::{caller, certificate, delivery, failing, healthy, live, path};
use crate::doctor::text::{Language, Text};
use crate::{Job, Series, Stage, Stats};

/// Overlays of a good week, `micros` each.
const OF_BEFORE: (u64, u64) = (9_000, 1_000_000);

/// `count` overlays came since, in buckets of `micros`.
fn stats(pictures: u64, lost: u64, (micros, count): (u64, u64)) -> Stats {
    let p99 = 9.0;
    let overlay = Stage { stage: "overlay".into(), count: OF_BEFORE.1 + count, p50: 9.0, p99, p999: p99, max: p99 };
    let overlay_counts = [OF_BEFORE, (micros, count)].into_iter().filter(|(_, count)| *count > 0).collect();
    Stats {
        pictures,
        lost,
        inferred: pictures,
        recorded: 0,
        skipped: 0,
        stages: vec![overlay],
        late: 0,
        overlay_counts,
    }
}

fn study() -> StudyRun {
    let series = Series {
        path: path("/x/1"),
        study_uid: "1".into(),
        series_uid: "1.1".into(),
        series_number: None,
        description: String::new(),
        patient_id: "TEST-ACCEPTANCE".into(),
        patient_name: String::new(),
        modality: "CT".into(),
        kind: "ct".into(),
        state: "processed".into(),
        verdict: Some("1 nodule".into()),
        version: 1,
        completed_by: None,
        instance_count: 66,
        first_utc: String::new(),
        last_utc: String::new(),
        completed_utc: None,
    };
    let job = Job {
        path: path("/x/2"),
        series: path("/x/1"),
        study_uid: "1".into(),
        series_uid: "1.1".into(),
        version: 1,
        state: "done".into(),
        stage: String::new(),
        fraction: 1.0,
        priority: 0,
        attempts: 1,
        interruptions: 0,
        not_before_utc: None,
        reason: None,
        created_utc: String::new(),
        started_utc: None,
        finished_utc: None,
        findings: None,
        timings: Some("[[\"infer\",900.0],[\"report\",80.0]]".into()),
        task: None,
    };
    StudyRun {
        study_uid: "1".into(),
        calling_ae: "ACCEPTANCE".into(),
        called_ae: "SCANSIDE".into(),
        address: "127.0.0.1:104".into(),
        images: 66,
        delivered: true,
        sent: Some(Ok(Taken { images: 66, refusal: None })),
        refused: None,
        send_ms: 800.0,
        series: Some(series),
        job: Some(job),
        verdict_ms: Some(12_000.0),
        deliveries: vec![delivery("delivered"), delivery("dropped")],
        delivered_ms: vec![("pacs".into(), 400.0)],
        waited_secs: 900,
    }
}

fn good() -> Measured {
    let mut facts = healthy();
    facts.certificates = vec![certificate("2028-01-01T00:00:00Z")];
    let package = PackageRun {
        id: "ct-chest".into(),
        version: "1.2.0".into(),
        task: "ct_chest".into(),
        intact: Ok(()),
        golden: Ok(Some(1e-5)),
        milliseconds: 2300.0,
    };
    let (before, after) = (stats(1000, 3, (0, 0)), stats(1300, 3, (20_000, 300)));
    Measured {
        facts,
        packages: vec![package],
        study: Some(study()),
        video: Some(Video { live: live("ready", None), exam_before: None, before, after, seconds: 10.0 }),
        deadline_ms: Some(100.0),
        echoes: vec![("pacs".into(), Ok(4.0))],
        disk: Some(Ok(Disk { bytes_per_second: 200 << 20, room: 400 << 30 })),
        watts: Some(18.0),
        daily: false,
        throttled_before: None,
    }
}

#[test]
fn old_figures_of_an_overlay_that_is_made_no_more_pass_nothing() {
    let mut measured = good();
    let video = measured.video.as_mut().unwrap();
    // The model still looks at pictures, but nothing of it is shown.
    video.after.overlay_counts = video.before.overlay_counts.clone();
    assert_eq!(of(&judge(&measured), Outcome::Fail), ["overlay"]);
    measured.video.as_mut().unwrap().live.sign = "paused".into();
    let lines = judge(&measured);
    assert_eq!((of(&lines, Outcome::Fail), of(&lines, Outcome::NotTested)), (vec![], vec!["overlay"]));
    assert!(!figures(&measured).iter().any(|figure| figure.code == "video:overlay"), "nor do they drift");
}

#[test]
fn a_slow_week_before_the_test_fails_nothing_and_a_slow_test_after_a_good_week_fails() {
    let mut measured = good();
    let video = measured.video.as_mut().unwrap();
    for counts in [&mut video.before.overlay_counts, &mut video.after.overlay_counts] {
        counts.push((400_000, 9_000_000));
    }
    assert_eq!(of(&judge(&measured), Outcome::Fail), Vec::<&str>::new());
    let figure = figures(&measured).into_iter().find(|figure| figure.code == "video:overlay").unwrap();
    assert!((figure.value - 20.0).abs() < 1e-9, "{figure:?}");
    let mut measured = good();
    measured.video.as_mut().unwrap().after = stats(1300, 3, (140_000, 300));
    assert_eq!(of(&judge(&measured), Outcome::Fail), ["overlay"], "a million good ones before do not hide it");
    let video = measured.video.as_mut().unwrap();
    video.after = Stats { late: 10, ..stats(1300, 3, (20_000, 290)) };
    assert_eq!(of(&judge(&measured), Outcome::Fail), ["overlay"], "what is not shown is in no latency");
}

#[test]
fn where_senders_must_name_a_user_the_test_says_how_it_is_admitted_and_whom_that_shuts_out() {
    let mut measured = good();
    let refused = Some(caller("identity-refused"));
    let study = measured.study.as_mut().unwrap();
    *study = StudyRun { sent: Some(Err("rejected".into())), refused, delivered: true, ..StudyRun::default() };
    study.calling_ae = "ACCEPTANCE".into();
    for (senders, shuts_out) in [(vec![], true), (vec![("CT1".to_owned(), String::new())], false)] {
        measured.facts.senders = senders;
        let lines = judge(&measured);
        let line = lines.iter().find(|line| line.code == "receive").unwrap();
        assert_eq!(line.outcome, Outcome::NotTested, "{line:?}");
        for part in ["\"ACCEPTANCE\"", "\"127.0.0.1\"", "user_identity = \"ignore\""] {
            assert!(line.remedy.en.contains(part) && line.remedy.zh.contains(part), "{line:?}");
        }
        assert_eq!(line.remedy.en.contains("nobody else may"), shuts_out, "{line:?}");
    }
}

/// A light that is red every night is switched off.
#[test]
fn at_night_a_scanner_that_is_off_fails_nothing_and_a_box_that_was_throttled_once_fails_once() {
    let mut measured = Measured { daily: true, ..good() };
    let video = measured.video.as_mut().unwrap();
    (video.live.sign, video.after) = ("no_signal".into(), video.before.clone());
    let lines = judge(&measured);
    assert_eq!((of(&lines, Outcome::Fail), of(&lines, Outcome::NotTested)), (vec![], vec!["video", "overlay"]));
    measured.daily = false;
    assert!(of(&judge(&measured), Outcome::Fail).contains(&"video"), "who installs the box has the scanner on");

    let mut measured = Measured { daily: true, throttled_before: Some(0), ..good() };
    measured.facts.heat.as_mut().unwrap().throttles[0].times = Some(4);
    assert_eq!(of(&judge(&measured), Outcome::Fail), ["heat", "throttling"]);
    measured.throttled_before = measured.throttled();
    assert_eq!(of(&judge(&measured), Outcome::Fail), Vec::<&str>::new());
    measured.facts.heat.as_mut().unwrap().throttles[0].times = Some(1);
    assert_eq!(
        of(&judge(&measured), Outcome::Fail),
        ["heat", "throttling"],
        "the machine was restarted and counts anew"
    );
    measured.throttled_before = measured.throttled();
    measured.daily = false;
    assert_eq!(of(&judge(&measured), Outcome::Fail), ["heat", "throttling"]);
}

fn of(lines: &[Line], outcome: Outcome) -> Vec<&str> {
    lines.iter().filter(|line| line.outcome == outcome).map(|line| line.code.as_str()).collect()
}

fn report(measured: &Measured) -> Report {
    let lines = judge(measured);
    Report {
        format: 1,
        outcome: outcome(&lines),
        identity: Identity { serial_number: "SN-<1>".into(), ..Identity::default() },
        begun_utc: "2026-03-10T12:00:00.000Z".into(),
        ended_utc: "2026-03-10T12:01:00.000Z".into(),
        clock_trusted: true,
        by: Some("Li \"Ming\" <script>".into()),
        delivered: true,
        study_uid: Some("1".into()),
        stages: stages(measured),
        figures: figures(measured),
        drifts: Vec::new(),
        lines,
    }
}

#[test]
fn a_box_that_works_passes_every_line() {
    let lines = judge(&good());
    assert_eq!(of(&lines, Outcome::Fail), Vec::<&str>::new(), "{lines:#?}");
    assert_eq!(of(&lines, Outcome::NotTested), Vec::<&str>::new(), "{lines:#?}");
    assert_eq!(outcome(&lines), Outcome::Pass);
    let mut codes: Vec<&str> = lines.iter().map(|line| line.code.as_str()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), lines.len(), "each line has a code of its own");
}

type Fault = (&'static [&'static str], fn(&mut Measured));

/// The lines that must fail, and no others, and the fault.
const FAULTS: &[Fault] = &[
    (&["configuration"], |m| {
        m.facts.config.problems =
            vec![Problem { place: "50-site.toml:3".into(), key: "dicom.listen".into(), reason: "no port".into() }];
    }),
    (&["configuration"], |m| m.facts.config.newer_than_daemon = Some("/etc/scanside/config.d/50-site.toml".into())),
    (&["daemon"], |m| m.facts.status.as_mut().unwrap().level = "reduced".into()),
    (&["devices"], |m| m.facts.status.as_mut().unwrap().simulated = true),
    (&["package"], |m| m.packages.clear()),
    (&["package:ct-chest"], |m| m.packages[0].intact = Err("chest.onnx was changed".into())),
    (&["package:ct-chest"], |m| m.packages[0].golden = Err("differs by 0.3".into())),
    (&["receive"], |m| {
        let study = m.study.as_mut().unwrap();
        *study = StudyRun {
            sent: Some(Err("rejected".into())),
            refused: Some(caller("calling-ae-unknown")),
            ..StudyRun::default()
        };
        study.delivered = true;
    }),
    (&["receive"], |m| {
        let refusal = Some("0xA700".to_owned());
        m.study.as_mut().unwrap().sent = Some(Ok(Taken { images: 12, refusal }));
    }),
    (&["analyse"], |m| m.study.as_mut().unwrap().series.as_mut().unwrap().state = "refused".into()),
    (&["analyse"], |m| {
        let study = m.study.as_mut().unwrap();
        (study.series.as_mut().unwrap().state, study.verdict_ms) = ("complete".into(), None);
        study.deliveries.clear();
    }),
    (&["deliver:pacs"], |m| m.study.as_mut().unwrap().deliveries.push(delivery("pending"))),
    (&["deliver:pacs"], |m| m.study.as_mut().unwrap().deliveries.push(delivery("held"))),
    (&["deliver:pacs"], |m| m.study.as_mut().unwrap().deliveries.push(delivery("parked"))),
    (&["echo:pacs"], |m| m.facts.destinations[0].probe = failing(Cause::PortClosed, Step::Connection)),
    (&["echo:pacs"], |m| m.echoes[0].1 = Err("no answer".into())),
    (&["echo:pacs"], |m| m.echoes.clear()),
    (&["echo:worklist"], |m| {
        let server = m.facts.destinations[0].clone();
        let probe = failing(Cause::NoAnswer, Step::Connection);
        m.facts.worklist_server = Some(crate::doctor::facts::Destination { probe, ..server });
    }),
    (&["video"], |m| m.video.as_mut().unwrap().live.sign = "no_signal".into()),
    (&["video"], |m| m.video.as_mut().unwrap().after.pictures = 1010),
    (&["video"], |m| m.video.as_mut().unwrap().after.lost = 9),
    (&["overlay"], |m| m.video.as_mut().unwrap().live.sign = "no_overlay".into()),
    (&["overlay"], |m| m.video.as_mut().unwrap().after = stats(1300, 3, (140_000, 300))),
    (&["overlay"], |m| {
        m.video.as_mut().unwrap().after = Stats { late: 300, ..stats(1300, 3, (0, 0)) };
    }),
    (&["disk-speed"], |m| m.disk = Some(Ok(Disk { bytes_per_second: 2 << 20, room: 400 << 30 }))),
    (&["disk-room"], |m| m.facts.status.as_mut().unwrap().free_bytes = 6 << 30),
    (&["disk-room"], |m| m.facts.storage.as_mut().unwrap().read_only = true),
    (&["heat"], |m| m.facts.heat.as_mut().unwrap().zones[0].celsius = 94.0),
    (&["heat", "throttling"], |m| m.facts.heat.as_mut().unwrap().throttles[0].times = Some(4)),
    (&["heat", "throttling"], |m| m.facts.heat.as_mut().unwrap().throttles[0].active = true),
    (&["throttling"], |m| m.facts.heat.as_mut().unwrap().throttles[1].times = Some(4)),
    (&["clock"], |m| {
        m.facts.clock.synchronised = Some(false);
        m.facts.clock.newest_row_utc = Some("2026-05-10T11:59:00.000Z".into());
    }),
    (&["certificates"], |m| m.facts.certificates = vec![certificate("2026-01-01T00:00:00Z")]),
];

#[test]
fn each_fault_fails_its_own_line_and_says_what_to_do() {
    for (number, (wanted, fault)) in FAULTS.iter().enumerate() {
        let mut measured = good();
        fault(&mut measured);
        let lines = judge(&measured);
        assert_eq!(of(&lines, Outcome::Fail), *wanted, "fault {number}: {lines:#?}");
        for line in lines.iter().filter(|line| line.outcome == Outcome::Fail) {
            assert!(!line.remedy.en.is_empty() && !line.remedy.zh.is_empty(), "{line:?}");
        }
        assert_eq!(outcome(&lines), Outcome::Fail);
    }
}

#[test]
fn what_can_be_evicted_is_room_and_a_disk_that_was_full_once_passes() {
    let mut measured = good();
    let status = measured.facts.status.as_mut().unwrap();
    (status.free_bytes, status.studies_left) = (10 << 30, Some(16));
    let retained = Retained { evict_below_bytes: 10 << 30, min_free_bytes: 2 << 30, evictable_bytes: 400 << 30 };
    measured.facts.retention = Some(retained);
    let lines = judge(&measured);
    assert_eq!(of(&lines, Outcome::Fail), Vec::<&str>::new(), "{lines:#?}");
    let room = lines.iter().find(|line| line.code == "disk-room").unwrap();
    assert_eq!(room.seen.en, "10 GiB free, 400 GiB can be evicted: about 1671 CT studies");
    measured.facts.retention = Some(Retained { evictable_bytes: 1 << 30, ..retained });
    assert_eq!(of(&judge(&measured), Outcome::Fail), ["disk-room"]);
}

/// What was not measured is never called good.
#[test]
fn what_could_not_be_looked_at_is_not_tested_and_says_why() {
    type Lack = (&'static [&'static str], fn(&mut Measured));
    let lacks: &[Lack] = &[
        (&["video", "overlay"], |m| m.video = None),
        (&["video", "overlay"], |m| m.video.as_mut().unwrap().exam_before = Some("1.2".into())),
        (&["video", "overlay"], |m| m.video.as_mut().unwrap().after.overlay_counts.clear()),
        (&["overlay"], |m| m.video.as_mut().unwrap().after = stats(1300, 3, (20_000, 9))),
        (&["deliver"], |m| m.study.as_mut().unwrap().delivered = false),
        (&["disk-speed"], |m| {
            m.disk = Some(Err(NotDone { why: Text::same("permission denied"), remedy: Text::same("sudo") }));
        }),
        (&["heat"], |m| m.facts.heat.as_mut().unwrap().zones.clear()),
        (&["throttling"], |m| m.facts.heat.as_mut().unwrap().throttles.clear()),
        (&["heat", "throttling"], |m| m.facts.heat = None),
        (&["power"], |m| m.watts = None),
        (&["clock", "certificates"], |m| m.facts.clock.synchronised = None),
        (&["certificates"], |m| m.facts.certificates.clear()),
        (&["deliver", "echo"], |m| {
            m.facts.destinations.clear();
            m.study.as_mut().unwrap().deliveries.clear();
        }),
    ];
    for (number, (wanted, lack)) in lacks.iter().enumerate() {
        let mut measured = good();
        lack(&mut measured);
        let lines = judge(&measured);
        assert_eq!(of(&lines, Outcome::NotTested), *wanted, "lack {number}: {lines:#?}");
        assert_eq!(outcome(&lines), Outcome::Pass, "lack {number}");
        assert!(lines.iter().all(|line| !line.seen.en.is_empty() && !line.seen.zh.is_empty()));
    }
}

#[test]
fn nothing_at_all_measured_is_no_pass_and_no_panic() {
    let measured = Measured::default();
    assert_eq!(measured.facts.bus, Bus::NotThere);
    let lines = judge(&measured);
    assert_eq!(outcome(&lines), Outcome::Fail);
    assert!(!of(&lines, Outcome::Pass).iter().any(|code| *code != "configuration"), "{lines:#?}");
}

#[test]
fn figures_have_the_stages_of_the_study_and_codes_of_their_own() {
    let figures = figures(&good());
    let mut codes: Vec<&str> = figures.iter().map(|figure| figure.code.as_str()).collect();
    for wanted in ["stage:receive", "stage:job:infer", "stage:deliver:pacs", "echo:pacs", "video:overlay", "disk:speed"]
    {
        assert!(codes.contains(&wanted), "{codes:?}");
    }
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), figures.len());
}

#[test]
fn the_page_is_whole_in_both_languages_and_no_text_steers_it() {
    let mut measured = good();
    measured.facts.destinations[0].name = "<b>pacs</b>".into();
    measured.packages[0].golden = Err("a\u{202e}b".into());
    let mut report = report(&measured);
    let name = Text::same("disk");
    let figure = drift::Drift {
        code: "d".into(),
        name: name.clone(),
        value: 1.0,
        habit: 2.0,
        unit: drift::Unit::Watts,
        words: name,
    };
    report.drifts = vec![figure];
    for language in [Language::English, Language::Chinese] {
        let page = html(&report, &Vec::new(), language);
        assert!(!page.contains("<b>pacs") && !page.contains("<script") && !page.contains('\u{202e}'), "{page}");
        assert!(page.contains("SN-&lt;1&gt;") && page.contains("Li &quot;Ming&quot; &lt;script&gt;"));
        for line in &report.lines {
            assert!(
                page.contains(&format!(
                    "<tr class=\"{}\"",
                    if line.outcome == Outcome::Fail { "fail" } else { "pass" }
                ))
            );
        }
        assert!(!page.contains("http://") && !page.contains("https://"), "it asks nobody for anything");
        assert!(pdf(&report, &Vec::new(), language).unwrap().starts_with(b"%PDF-"));
    }
    assert!(html(&report, &Vec::new(), Language::Chinese).contains("不通过"));
}
