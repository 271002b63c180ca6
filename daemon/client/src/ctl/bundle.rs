//! `bundle FILE`: what a person far away needs to help, without what identifies a patient. Every file is made of fields that
//! are named here one by one; text from outside goes through `scrub`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use config::Settings;
use node::send::Way;
use serde_json::{Value, json};

use super::every;
use super::examine::{self, Place};
use super::failure::Failure;
use super::output::{Output, bytes};
use super::scrub::Scrubber;
use crate::doctor::facts::Bus;
use crate::doctor::{self, Facts, Report, Text};
use crate::{Happened, LiveProxy, ManagerProxy, Options};

/// Lines of the log, and events.
const LINES: &str = "5000";
const EVENTS: u32 = 5000;
/// A journal of years on a slow disk takes its time.
const LOG_WITHIN: Duration = Duration::from_secs(60);

const README: &str = "\
Support bundle of a Scanside appliance.

doctor.json     what is wrong, as `scansidectl doctor` says it
status.json     state and counts
peers.json      who called, who sent, which destinations, with what success
work.json       deliveries, jobs and objects in quarantine, without study
models.json     model packages
events.json     what happened, without names and numbers that may identify
config.toml     the configuration in effect; names, paths and secrets are removed
log.txt         the service's log, reduced to plain words
machine.json    hardware and versions

Names, IDs, accession numbers, dates and UIDs of patients and studies are left out or replaced by \"...\".
Look at it before you hand it on: `tar --zstd -xf FILE`.
";

/// Everything that the bundle is made of.
struct Material {
    facts: Facts,
    report: Report,
    events: Vec<Happened>,
    log: String,
    settings: Option<Settings>,
    scrubber: Scrubber,
}

pub async fn run(place: &Place, file: &Path, output: &Output) -> Result<(), Failure> {
    if output.shows_progress() {
        output.note("Collecting; up to a minute ...");
    }
    let facts = examine::facts(place).await;
    let report = doctor::judge(&facts);
    let settings = config::load(&place.config).ok();
    let Known { identities, events, missing } = from_daemon(place).await;
    let (log, log_missing) = match log().await {
        Some(log) => (log, false),
        None => (String::new(), true),
    };
    let scrubber = Scrubber::new(identities, harmless(&facts));
    let material = Material { facts, report, events, log, settings, scrubber };
    let files = files(&material);
    // Without the daemon, or its database, it is not known whom to look for.
    if material.facts.bus != Bus::Answers {
        output.note("scansided does not answer, so the patients that it knows could not be searched for: read log.txt in the file before you hand it on.");
    } else if !missing.is_empty() {
        output.note(&format!("{} could not be read from scansided, so not all patients that it knows could be searched for: read log.txt in the file before you hand it on.", missing.join(", ")));
    }
    if log_missing {
        output.note("log.txt is empty: journalctl gave nothing. Run this with sudo, or look at the log on the box: `journalctl -u scansided`.");
    }
    let searched = material.facts.bus == Bus::Answers && missing.is_empty();
    let written = write(file, &files).map_err(|error| {
        Failure::new(
            format!("{}: {error}", file.display()),
            "is there room, may you write there, and is there no such file yet?",
        )
    })?;
    if output.is_json() {
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        return output.json(&json!({
            "file": file, "bytes": written, "contents": names,
            "patients_searched": searched, "not_searched": missing, "has_log": !log_missing,
        }));
    }
    let without = if searched { "without names, IDs and dates of patients" } else { "not searched for all patients" };
    output.line(&format!("{} ({}), {without}. README.txt in it says what is what.", file.display(), bytes(written)))
}

/// All that identifies somebody, and the events.
#[derive(Debug, Default)]
struct Known {
    identities: BTreeSet<String>,
    events: Vec<Happened>,
    /// What the daemon did not give.
    missing: Vec<&'static str>,
}

/// Empty, and named as missing, when it was not given.
fn given<T: Default>(answer: zbus::Result<T>, what: &'static str, missing: &mut Vec<&'static str>) -> T {
    answer.unwrap_or_else(|_| {
        missing.push(what);
        T::default()
    })
}

async fn from_daemon(place: &Place) -> Known {
    let (mut found, mut missing) = (BTreeSet::new(), Vec::new());
    let nothing = || Known { missing: vec!["studies", "series", "events"], ..Known::default() };
    let Ok(connection) = crate::connect(&place.bus).await else { return nothing() };
    if super::owner(&connection).await.is_err() {
        return nothing();
    }
    let built = ManagerProxy::builder(&connection).cache_properties(zbus::proxy::CacheProperties::No).build().await;
    let Ok(manager) = built else { return nothing() };
    for study in given(every::studies(&manager, &Options::new()).await, "studies", &mut missing) {
        found.extend([
            study.patient_id,
            study.patient_name,
            study.study_date,
            study.description,
            study.accession_number,
            study.study_uid,
        ]);
    }
    for series in given(every::series(&manager, &Options::new()).await, "series", &mut missing) {
        found.extend([series.patient_id, series.patient_name, series.series_uid, series.description]);
    }
    if let Ok(live) = LiveProxy::builder(&connection).cache_properties(zbus::proxy::CacheProperties::No).build().await {
        for one in live.worklist().await.map(|(expected, _)| expected).unwrap_or_default() {
            found.extend([
                one.patient_id,
                one.patient_name,
                one.birth_date,
                one.accession_number,
                one.study_uid,
                one.description,
            ]);
        }
        if let Some(exam) = crate::Live::read(&live).await.ok().and_then(|live| live.exam) {
            let patient = exam.patient;
            found.extend([patient.id, patient.name, exam.study_uid]);
            found.extend(patient.birth_date.into_iter().chain(patient.accession_number));
        }
    }
    let events = manager.list_events(Options::from([("limit", EVENTS.into())])).await;
    let events = given(events, "events", &mut missing);
    // Dates also as people write them.
    let dates: Vec<String> = found.iter().filter(|text| text.len() == 8).map(|text| super::time::date(text)).collect();
    found.extend(dates);
    Known { identities: found, events, missing }
}

fn harmless(facts: &Facts) -> Vec<String> {
    let callers = facts.callers.iter().flat_map(|caller| [caller.calling_ae.clone(), caller.called_ae.clone()]);
    let senders = facts.senders.iter().map(|(ae, _)| ae.clone());
    let destinations = facts.destinations.iter().flat_map(|one| match &one.way {
        Way::Dimse(target) => vec![one.name.clone(), target.called_ae.clone(), target.calling_ae.clone()],
        Way::Web(_) => vec![one.name.clone()],
    });
    let models = facts.models.iter().map(|model| model.id.clone());
    callers
        .chain(senders)
        .chain(destinations)
        .chain(models)
        .chain(facts.ae_titles.iter().cloned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// `None` without any line: whoever may not read the log gets none, and no error.
async fn log() -> Option<String> {
    let arguments = ["-u", "scansided.service", "-n", LINES, "-o", "short-iso", "--no-pager"];
    let log = examine::output_within(LOG_WITHIN, "journalctl", &arguments).await?;
    log.lines().any(|line| !line.starts_with("-- ")).then_some(log)
}

fn files(material: &Material) -> Vec<(&'static str, String)> {
    let json = |value: Value| {
        let clean = material.scrubber.json(value);
        serde_json::to_string_pretty(&clean).unwrap_or_default() + "\n"
    };
    vec![
        ("README.txt", README.to_owned()),
        ("doctor.json", json(report(material))),
        ("status.json", json(status(&material.facts, &material.scrubber))),
        ("peers.json", json(peers(material))),
        ("work.json", json(work(material))),
        ("models.json", json(models(material))),
        ("events.json", json(events(material))),
        ("config.toml", configuration(material)),
        ("log.txt", lines(&material.log, &material.scrubber)),
        ("machine.json", json(machine(&material.facts))),
    ]
}

fn report(material: &Material) -> Value {
    // A sentence of ours may quote what a peer said.
    let clean = |text: &Text| material.scrubber.foreign(&text.en);
    let findings: Vec<Value> = material
        .report
        .findings
        .iter()
        .map(|one| {
            json!({ "code": one.code, "gravity": one.gravity, "cause": clean(&one.cause), "evidence": one.evidence.iter().map(clean).collect::<Vec<_>>() })
        })
        .collect();
    let checked: Vec<Value> = material
        .report
        .checked
        .iter()
        .map(|one| json!({ "area": one.area.en, "seen": clean(&one.seen), "done": one.done }))
        .collect();
    json!({ "findings": findings, "checked": checked })
}

fn status(facts: &Facts, scrubber: &Scrubber) -> Value {
    let mut status = serde_json::to_value(&facts.status).unwrap_or_default();
    for reason in ["level_reason", "heat_reason", "steps_reason", "priors_reason"] {
        if let Some(Value::String(reason)) = status.get_mut(reason) {
            *reason = scrubber.foreign(reason);
        }
    }
    let live = facts.live.as_ref().map(|live| {
        json!({
            "sign": live.sign, "reason": live.reason.as_deref().map(|text| scrubber.foreign(text)), "simulated": live.simulated,
            "source": live.source.split(':').next(), "model": live.model, "size": live.size, "recording": live.recording,
            "recording_reason": live.recording_reason.as_deref().map(|text| scrubber.foreign(text)), "exam": live.exam.is_some(),
        })
    });
    json!({ "now_utc": facts.now_utc, "bus": facts.bus, "status": status, "live": live })
}

fn peers(material: &Material) -> Value {
    let facts = &material.facts;
    let callers: Vec<Value> = facts
        .callers
        .iter()
        .map(|one| {
            json!({ "calling_ae": one.calling_ae, "called_ae": one.called_ae, "address": one.address, "outcome": one.outcome,
                    "times": one.times, "first_utc": one.first_utc, "last_utc": one.last_utc })
        })
        .collect();
    let sent: Vec<Value> = facts
        .sent
        .iter()
        .map(|one| {
            json!({ "calling_ae": one.calling_ae, "address": one.address, "instances": one.instances, "studies": one.studies,
                    "first_utc": one.first_utc, "last_utc": one.last_utc, "hours": one.hours.len() })
        })
        .collect();
    json!({ "ae_titles": facts.ae_titles, "senders": facts.senders, "callers": callers, "sent": sent, "destinations": facts.destinations })
}

fn work(material: &Material) -> Value {
    let (facts, foreign) =
        (&material.facts, |text: &Option<String>| text.as_deref().map(|text| material.scrubber.foreign(text)));
    let deliveries: Vec<Value> = facts
        .deliveries
        .iter()
        .map(|one| {
            json!({ "destination": one.destination, "state": one.state, "kind": one.kind, "attempts": one.attempts,
                    "status": one.status, "reason": foreign(&one.reason), "next_utc": one.next_utc })
        })
        .collect();
    let jobs: Vec<Value> = facts
        .parked_jobs
        .iter()
        .map(|one| {
            json!({ "state": one.state, "attempts": one.attempts, "interruptions": one.interruptions, "task": one.task,
                    "reason": foreign(&one.reason), "created_utc": one.created_utc, "finished_utc": one.finished_utc })
        })
        .collect();
    let aside: Vec<Value> = facts
        .set_aside
        .iter()
        .map(|one| {
            json!({ "id": one.id, "state": one.state, "reason": material.scrubber.foreign(&one.reason), "length": one.length,
                    "sop_class": one.sop_class, "received_utc": one.received_utc, "calling_ae": one.calling_ae, "peer_address": one.peer_address })
        })
        .collect();
    json!({ "deliveries": deliveries, "parked_jobs": jobs, "set_aside": aside })
}

fn models(material: &Material) -> Value {
    let one = |model: &crate::Model| {
        json!({
            "id": model.id, "version": model.version, "task": model.task, "origin": model.origin, "state": model.state,
            "reason": model.reason.as_deref().map(|text| material.scrubber.foreign(text)), "sha256": model.sha256,
            "accelerator": model.accelerator, "golden_difference": model.golden_difference, "clearance": model.clearance,
        })
    };
    material.facts.models.iter().map(one).collect()
}

fn events(material: &Material) -> Value {
    let one = |event: &Happened| json!({ "utc": event.utc, "subject": event.subject, "what": material.scrubber.foreign(&event.what), "detail": material.scrubber.foreign(&event.detail) });
    material.events.iter().map(one).collect()
}

/// Keys whose text may leave the box. Numbers and switches always may.
const OPEN_KEYS: &[&str] = &[
    "listen",
    "ae_titles",
    "ae_title",
    "calling_ae_title",
    "address",
    "provider",
    "serial_number",
    "key_image_language",
    // Words of ours, of which there are few.
    "plain",
    "commitment",
    "results",
    "series",
    "us_breast",
    "mg_marks",
    "commitment_report",
    "client_certificate",
    "judge_dates",
    "check",
];

fn configuration(material: &Material) -> String {
    let Some(settings) = &material.settings else {
        let problem =
            |one: &doctor::facts::Problem| format!("# {}: {}\n", one.key, material.scrubber.foreign(&one.reason));
        return material.facts.config.problems.iter().map(|one| material.scrubber.known(&problem(one))).collect();
    };
    let mut value = serde_json::to_value(settings).unwrap_or_default();
    close(&mut value, "");
    config::to_toml(&material.scrubber.json(value)).unwrap_or_default()
}

/// Removes every text that is not known to be harmless, and what is not set: TOML has no word for it.
fn close(value: &mut Value, key: &str) {
    match value {
        Value::String(text) if !text.is_empty() && !OPEN_KEYS.contains(&key) => {
            // What kind of device it is may be known.
            let kind = if key == "device" && text.starts_with(hal::root::DEVICES) {
                text.clone()
            } else {
                "removed".to_owned()
            };
            *text = kind;
        }
        Value::Array(all) => all.iter_mut().for_each(|one| close(one, key)),
        Value::Object(all) => {
            all.retain(|_, one| !one.is_null());
            all.iter_mut().for_each(|(key, one)| close(one, key));
        }
        _ => {}
    }
}

/// `TIME HOST PROGRAM[PID]: MESSAGE` without the host.
fn lines(log: &str, scrubber: &Scrubber) -> String {
    let mut out = String::new();
    for line in log.lines() {
        let mut parts = line.splitn(4, ' ');
        let (Some(time), Some(_), Some(program), Some(message)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let is_time = time.len() >= 19 && time.as_bytes()[10] == b'T' && !time.contains(char::is_alphabetic)
            || time.matches('T').count() == 1;
        if is_time && ["scansided[", "systemd["].iter().any(|ours| program.starts_with(ours)) {
            out.push_str(&format!("{time} {program} {}\n", scrubber.foreign(message)));
        }
    }
    out
}

fn machine(facts: &Facts) -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let named = |text: &str, key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|value| value.trim_matches([' ', '\t', ':', '=', '"']).to_owned())
    };
    json!({
        "scansidectl": env!("CARGO_PKG_VERSION"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(), "architecture": std::env::consts::ARCH,
        "system": named(&read("/etc/os-release"), "PRETTY_NAME"),
        "processor": named(&read("/proc/cpuinfo"), "model name"),
        "processors": std::thread::available_parallelism().map(std::num::NonZero::get).ok(),
        "memory": named(&read("/proc/meminfo"), "MemTotal"),
        "storage": facts.storage.as_ref().map(|one| json!({
            "free_bytes": one.free_bytes, "total_bytes": one.total_bytes, "read_only": one.read_only, "worn_percent": one.worn_percent,
            "errors": one.errors })),
        "clock": facts.clock, "accelerator": facts.accelerator, "heat": facts.heat, "capture": facts.capture.as_ref().map(|one| one.exists),
        "unit": facts.unit.as_ref().map(|one| json!({
            "active": one.active, "sub": one.sub, "result": one.result, "exit_status": one.exit_status, "enabled": one.enabled,
            "restarts": one.restarts })),
    })
}

/// Never over a file that is there. Returns its size.
fn write(path: &Path, files: &[(&str, String)]) -> std::io::Result<u64> {
    let out: File = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let packed = || {
        let mut archive = tar::Builder::new(zstd::Encoder::new(out, 9)?);
        for (name, text) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_cksum();
            archive.append_data(&mut header, format!("scanside-bundle/{name}"), text.as_bytes())?;
        }
        let mut file = archive.into_inner()?.finish()?;
        file.flush()?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    };
    packed().inspect_err(|_: &std::io::Error| {
        let _ = std::fs::remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_that_is_not_known_is_removed_and_the_rest_of_the_configuration_stays() {
        let mut value = json!({
            "analyze": { "a_new_setting": "word", "memory_mib": 4096, "not_set": null },
            "destination": { "pacs": { "ae_title": "PACS" } },
            "senders": [{ "title": "Hospital" }],
        });
        close(&mut value, "");
        let text = config::to_toml(&value).unwrap();
        for line in ["a_new_setting = \"removed\"", "memory_mib = 4096", "ae_title = \"PACS\"", "title = \"removed\""] {
            assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
        }
    }
}
