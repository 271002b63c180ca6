//! The files of the bundle: every field that goes into one is named here.

use serde_json::{Value, json};

use super::{Material, README};
use crate::Happened;
use crate::ctl::scrub::Scrubber;
use crate::doctor::{self, Facts, Text};

pub fn files(material: &Material) -> Vec<(&'static str, String)> {
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
    for reason in ["level_reason", "heat_reason", "steps_reason", "priors_reason", "tasks_reason", "notices_reason"] {
        if let Some(reason) = status.get_mut(reason).filter(|reason| reason.is_string()) {
            *reason = json!(scrubber.foreign(reason.as_str().unwrap_or_default()));
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
    material.events.iter().map(|event| one_event(event, &material.scrubber)).collect()
}

pub fn one_event(event: &Happened, scrubber: &Scrubber) -> Value {
    json!({ "utc": event.utc, "subject": event.subject, "what": scrubber.foreign(&event.what), "detail": scrubber.foreign(&event.detail) })
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

/// `TIME HOST PROGRAM[PID]: MESSAGE` without the host; what is no line of ours is left out.
pub fn lines(log: &str, scrubber: &Scrubber) -> String {
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
        if is_time && ["scansided[", "systemd[", "scansidectl["].iter().any(|ours| program.starts_with(ours)) {
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
