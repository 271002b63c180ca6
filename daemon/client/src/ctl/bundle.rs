//! `bundle FILE`: what a person far away needs to help, without what identifies a patient. Every file is made of fields that
//! are named here one by one; text from outside goes through `scrub`.

pub mod args;
mod fields;
mod interval;
mod log;
mod record;
mod sight;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use config::Settings;
use node::send::Way;
use serde_json::{Value, json};

use self::args::BundleOptions;
use self::fields::{files, lines, one_event};
use self::record::Recorded;
use super::every;
use super::examine::{self, Place};
use super::failure::Failure;
use super::output::{Output, bytes};
use super::scrub::Scrubber;
use crate::doctor::facts::Bus;
use crate::doctor::text::Language;
use crate::doctor::{self, Facts, Report};
use crate::{Happened, LiveProxy, ManagerProxy, Options};

/// Lines of the log, and events.
const LINES: &str = "5000";
const EVENTS: u32 = 5000;
/// A journal of years on a slow disk takes its time.
const LOG_WITHIN: Duration = Duration::from_secs(60);
/// So do lists of all studies; a daemon that hangs is not waited for.
const KNOWN_WITHIN: Duration = Duration::from_secs(120);

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

const INTERVAL: &str = "\
interval.json         the interval: markers, states before and after and what changed, calls to the DICOM
                      port, metrics before and after with their differences
interval-events.json  what happened in it, oldest first
interval-log.txt      the log from one marker to the other, reduced to plain words

What is null is not known: the daemon, or its log, could not be asked at that moment. Figures that count
since the start of the daemon begin anew when it was started again (restarts_seen, restarts_by_systemd).
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

pub async fn run(place: &Place, language: Language, options: &BundleOptions, output: &Output) -> Result<(), Failure> {
    if !options.record {
        return collect(place, None, || create(&options.file), &options.file, output).await;
    }
    // Before the engineer reproduces anything: it would be lost for want of a place.
    let file = create(&options.file)?;
    let work = async {
        let recorded = record::run(place, language, options, output).await?;
        record::unless_interrupted(collect(place, Some(&recorded), || Ok(file), &options.file, output)).await
    };
    work.await.inspect_err(|_| {
        let _ = std::fs::remove_file(&options.file);
    })
}

async fn collect(
    place: &Place,
    recorded: Option<&Recorded>,
    open: impl FnOnce() -> Result<File, Failure>,
    path: &Path,
    output: &Output,
) -> Result<(), Failure> {
    if output.shows_progress() && recorded.is_none() {
        output.note("Collecting; up to a minute ...");
    }
    let facts = examine::facts(place).await;
    let report = doctor::judge(&facts);
    let settings = config::load(&place.config).ok();
    let Known { mut identities, events, missing } = from_daemon(place).await;
    // Whom the daemon knew before it stopped.
    identities.extend(recorded.into_iter().flat_map(|recorded| recorded.known.identities.iter().cloned()));
    let (log, log_missing) = match log().await {
        Some(log) => (log, false),
        None => (String::new(), true),
    };
    let code = recorded.map(|recorded| recorded.code.clone());
    let scrubber = Scrubber::new(identities, harmless(&facts).into_iter().chain(code));
    let material = Material { facts, report, events, log, settings, scrubber };
    let mut files = files(&material);
    if let Some(recorded) = recorded {
        files.extend(of_interval(recorded, &material.scrubber));
    }
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
    let written = write(open()?, path, &files).map_err(|error| cannot_write(path, &error))?;
    if output.is_json() {
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        return output.json(&json!({
            "file": path, "bytes": written, "contents": names,
            "patients_searched": searched, "not_searched": missing, "has_log": !log_missing,
            "interval": recorded.map(interval::summary),
        }));
    }
    let without = if searched { "without names, IDs and dates of patients" } else { "not searched for all patients" };
    if let Some(recorded) = recorded {
        output.line(&told(recorded))?;
    }
    output.line(&format!("{} ({}), {without}. README.txt in it says what is what.", path.display(), bytes(written)))
}

/// What came of the interval, in a line for the engineer.
fn told(recorded: &Recorded) -> String {
    let about = interval::summary(recorded);
    let number = |name: &str| {
        about[name].as_u64().map_or_else(|| "an unknown number of".to_owned(), |number| number.to_string())
    };
    let mut text = format!(
        "Marker {}, {}: {} calls accepted, {} refused; {} events; {} lines of the log.",
        recorded.code,
        super::time::span(recorded.seconds, Language::English),
        number("associations_accepted"),
        number("associations_refused"),
        number("events"),
        number("log_lines"),
    );
    let restarts = u64::from(recorded.course.restarts).max(recorded.restarts_by_systemd().unwrap_or_default());
    if restarts > 0 {
        text += &format!(" scansided was started again {}.", super::output::count(restarts, "time", "times"));
    }
    if recorded.after.sight.states.is_empty() {
        text += " At the end scansided did not answer.";
    } else if recorded.course.was_away {
        text += " For a while scansided did not answer.";
    }
    text
}

fn of_interval(recorded: &Recorded, scrubber: &Scrubber) -> Vec<(&'static str, String)> {
    let json = |value: Value| serde_json::to_string_pretty(&scrubber.json(value)).unwrap_or_default() + "\n";
    let happened: Value = recorded.happened().rows.iter().map(|event| one_event(event, scrubber)).collect();
    let log = recorded.log.as_ref().map(|log| {
        let part = |some: &mut dyn Iterator<Item = &String>| {
            let text: Vec<&str> = some.map(String::as_str).collect();
            lines(&text.join("\n"), scrubber)
        };
        let gap =
            if log.left_out > 0 { format!("... {} lines are left out ...\n", log.left_out) } else { String::new() };
        part(&mut log.first.iter()) + &gap + &part(&mut log.last.iter())
    });
    vec![
        ("interval.txt", format!("{}\n\n{INTERVAL}", told(recorded))),
        ("interval.json", json(interval::json(recorded, scrubber))),
        ("interval-events.json", json(happened)),
        ("interval-log.txt", log.unwrap_or_default()),
    ]
}

/// All that identifies somebody, and the events.
#[derive(Debug, Default)]
pub struct Known {
    identities: BTreeSet<String>,
    events: Vec<Happened>,
    /// What the daemon did not give.
    missing: Vec<&'static str>,
}

impl Known {
    fn without_events(self) -> Self {
        Self { events: Vec::new(), ..self }
    }
}

/// Empty, and named as missing, when it was not given.
fn given<T: Default>(answer: zbus::Result<T>, what: &'static str, missing: &mut Vec<&'static str>) -> T {
    answer.unwrap_or_else(|_| {
        missing.push(what);
        T::default()
    })
}

async fn from_daemon(place: &Place) -> Known {
    let asked = tokio::time::timeout(KNOWN_WITHIN, ask_daemon(place)).await.ok().flatten();
    asked.unwrap_or_else(|| Known { missing: vec!["studies", "series", "events"], ..Known::default() })
}

async fn ask_daemon(place: &Place) -> Option<Known> {
    let (mut found, mut missing) = (BTreeSet::new(), Vec::new());
    let connection = crate::connect(&place.bus).await.ok()?;
    super::owner(&connection).await.ok()?;
    let built = ManagerProxy::builder(&connection).cache_properties(zbus::proxy::CacheProperties::No).build().await;
    let manager = built.ok()?;
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
    Some(Known { identities: found, events, missing })
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

/// Never over a file that is there.
fn create(path: &Path) -> Result<File, Failure> {
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("{}: {error}", path.display()),
        "is there room, may you write there, and is there no such file yet?",
    )
}

/// Returns its size. A file that cannot be written is removed.
fn write(out: File, path: &Path, files: &[(&str, String)]) -> std::io::Result<u64> {
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
