//! `peers`: who sends, where results go, and who was turned away; `learn` admits a sender, `echo` tests a destination.

use std::path::{Path, PathBuf};
use std::time::Duration;

use comfy_table::Cell;
use hal::clock::{local_parts_of, now_utc};
use node::probe::{self, Probe};
use node::send::{Target, Way};
use node::ups::Line;
use node::ups::settings::TaskManager;
use node::ups::task::Task;
use serde::Serialize;

use super::args::LearnOptions;
use super::failure::Failure;
use super::output::{Output, Tone, count, toned_cell};
use super::{config as configuration, examine, time};
use crate::doctor::text::Language;
use crate::doctor::{Finding, hosts, network, peers, priors, steps, tasks};
use crate::{Caller, ManagerProxy, Options, Sender};

/// The worklist server among the names of destinations, and the table of its settings.
pub const WORKLIST: &str = "worklist";
/// The manager of performed procedure steps, likewise.
pub const MANAGER: &str = "mpps";
/// The archive that is asked for earlier studies, likewise.
pub const PRIOR: &str = "prior";

/// The manager of tasks, likewise.
pub const TASKS: &str = "ups";

/// How long each step of `peers echo` and `doctor` waits.
pub const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Listed {
    senders: Vec<peers::KnownSender>,
    anyone_may_send: bool,
    destinations: Vec<(String, String)>,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    #[serde(flatten)]
    caller: Caller,
    what: String,
    proposal: String,
}

pub async fn list(manager: &ManagerProxy<'_>, language: Language, output: &Output) -> Result<(), Failure> {
    let configured = manager.senders().await?;
    let destinations = manager.destinations().await?;
    let titles = manager.ae_titles().await?;
    let callers = manager.list_callers(Options::new()).await?;
    let sent: Vec<Sender> = manager.list_senders(Options::new()).await?;
    let site = network::Site { ae_titles: &titles, senders: &configured, address: &manager.dicom_address().await? };
    let refused: Vec<Refused> = callers
        .iter()
        .filter(|caller| caller.outcome != "accepted")
        .map(|caller| {
            let (what, proposal) = network::refused(caller, &site);
            Refused {
                caller: caller.clone(),
                what: what.in_language(language),
                proposal: proposal.in_language(language),
            }
        })
        .collect();
    let senders = peers::known(&configured, &callers, &sent);
    if output.is_json() {
        let anyone_may_send = configured.is_empty();
        return output.json(&Listed { senders, anyone_may_send, destinations, refused });
    }
    output.line(&output.paint(&language.pick("Senders", "发送方"), Tone::Strong))?;
    if configured.is_empty() {
        output.line(&language.pick(
            "Anyone may send (no [[dicom.sender]] is configured).",
            "未配置 [[dicom.sender]]，任何设备都可以发送。",
        ))?;
    }
    let header = match language {
        Language::English => ["AE title", "Address", "Last heard", "Studies", "Instances"],
        Language::Chinese => ["AE Title", "地址", "最近一次", "检查数", "图像数"],
    };
    let mut table = output.table(&header);
    for sender in &senders {
        let heard = sender.last_utc.as_deref().map_or_else(|| language.pick("never", "从未"), time::local);
        table.add_row(vec![
            Cell::new(&sender.ae_title),
            Cell::new(sender.address.as_deref().unwrap_or("*")),
            Cell::new(heard),
            Cell::new(sender.studies),
            Cell::new(sender.instances),
        ]);
    }
    if !senders.is_empty() {
        output.print(table)?;
    }
    output.line("")?;
    output.line(&output.paint(&language.pick("Destinations", "结果接收方"), Tone::Strong))?;
    for (name, address) in &destinations {
        output.line(&format!("{name}  {address}"))?;
    }
    if destinations.is_empty() {
        output.line(&language.pick("None: results stay on the box.", "未配置：结果只保存在本机。"))?;
    }
    if !refused.is_empty() {
        output.line("")?;
        output.line(&output.paint(&language.pick("Turned away", "被拒绝的设备"), Tone::Strong))?;
    }
    for one in &refused {
        let times = language.pick(&count(one.caller.times, "time", "times"), &format!("{} 次", one.caller.times));
        let when = time::local(&one.caller.last_utc);
        output.line(&format!("{}  ({when}, {times})", output.paint(&one.what, Tone::Bad)))?;
        output.line(&format!("  {}", one.proposal))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Echoed {
    destination: String,
    address: String,
    #[serde(flatten)]
    probe: Probe,
    /// Of a manager of tasks: each that it offers, and why this box does not take it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tasks: Vec<(String, String)>,
    what: Option<String>,
    remedy: Option<String>,
}

impl Echoed {
    /// `told`: what the probe means, when not all is well.
    fn of(name: &str, address: String, probe: Probe, told: Option<&Finding>, language: Language) -> Self {
        Self {
            destination: name.to_owned(),
            address,
            what: told.map(|finding| finding.cause.in_language(language)),
            remedy: told.map(|finding| finding.remedy.in_language(language)),
            tasks: Vec::new(),
            probe,
        }
    }
}

/// The tasks that are scheduled, by UID, each with why this box does not take it.
async fn offered(target: &Target, settings: &TaskManager) -> Vec<(String, String)> {
    let asked = async {
        let mut line = Line::open(target).await?;
        // All of them: the station may be what is wrong.
        let offered = line.scheduled("").await;
        line.release().await;
        offered
    };
    let now = local_parts_of(&now_utc()).unwrap_or_default().concat();
    match asked.await {
        Ok(offered) => {
            let said = |task: Task| {
                let why = task
                    .not_taken(settings, &now)
                    .map_or_else(|| "is for this box".to_owned(), |why| format!("not taken: {why}"));
                (task.sop_uid, why)
            };
            let left_out = offered.left_out.iter().map(|(why, count)| (count.to_string(), (*why).to_owned()));
            let left_out: Vec<_> = left_out.collect();
            offered.tasks.into_iter().map(said).chain(left_out).collect()
        }
        Err(error) => vec![(String::new(), error.to_string())],
    }
}

/// Needs no daemon: what is tested is the network between this box and the destination.
pub async fn echo(only: Option<&str>, paths: &[PathBuf], language: Language, output: &Output) -> Result<(), Failure> {
    let settings = config::load(paths).map_err(|error| configuration::broken(&error))?;
    let wanted = |name: &&String| only.is_none_or(|only| only == name.as_str());
    let names: Vec<&String> = settings.destination.keys().filter(wanted).collect();
    let server = settings.worklist.target().filter(|_| only.is_none_or(|only| only == WORKLIST));
    let manager = settings.mpps.target().filter(|_| only.is_none_or(|only| only == MANAGER));
    let archive = settings.prior.target().filter(|_| only.is_none_or(|only| only == PRIOR));
    let task_manager = settings.ups.target().filter(|_| only.is_none_or(|only| only == TASKS));
    let has_host = settings.inference_host.keys().any(|name| only.is_none_or(|only| only == name.as_str()));
    let is_asked = [&server, &manager, &archive, &task_manager].into_iter().any(Option::is_some);
    let is_told = settings.availability.keys().any(|name| only.is_none_or(|only| only == name.as_str()));
    if names.is_empty() && !is_asked && !is_told && !has_host {
        let message = only.map_or_else(
            || "no destination is configured".to_owned(),
            |name| format!("there is no destination {name:?} in the configuration"),
        );
        return Err(Failure::new(message, "see `scansidectl config check`, section [destination.NAME]"));
    }
    let mut all = Vec::new();
    for name in names {
        let destination = &settings.destination[name];
        if output.shows_progress() {
            output.note(&format!("Testing {name} ({}) ...", destination.place()));
        }
        let way = Way::from(destination);
        let probe = probe::destination(destination, PATIENCE).await;
        let told = network::probed(name, &way, &probe).into_iter().next();
        all.push(Echoed::of(name, way.place(), probe, told.as_ref(), language));
    }
    if let Some(target) = server {
        if output.shows_progress() {
            output.note(&format!("Testing {WORKLIST} ({}) ...", target.address));
        }
        let probe = probe::run_for(&target, &probe::EXPECTED, PATIENCE).await;
        let told = network::worklist_server(&target, &probe);
        all.push(Echoed::of(WORKLIST, target.address.clone(), probe, told.as_ref(), language));
    }
    if let Some(target) = manager {
        if output.shows_progress() {
            output.note(&format!("Testing {MANAGER} ({}) ...", target.address));
        }
        let probe = probe::run_for(&target, &probe::PERFORMED, PATIENCE).await;
        let told = steps::probed(&target, &probe);
        all.push(Echoed::of(MANAGER, target.address.clone(), probe, told.as_ref(), language));
    }
    if let Some(target) = archive {
        if output.shows_progress() {
            output.note(&format!("Testing {PRIOR} ({}) ...", target.address));
        }
        let probe = probe::archive_of_priors(&target, settings.prior.fetch, PATIENCE).await;
        let told = priors::probed(&target, &probe);
        all.push(Echoed::of(PRIOR, target.address.clone(), probe, told.as_ref(), language));
    }
    if let Some(target) = &task_manager {
        if output.shows_progress() {
            output.note(&format!("Testing {TASKS} ({}) ...", target.address));
        }
        let probe = probe::run_for(target, &probe::TASKS, PATIENCE).await;
        let told = tasks::probed(target, &probe);
        let offers = told.is_none().then(|| target.clone());
        all.push(Echoed::of(TASKS, target.address.clone(), probe, told.as_ref(), language));
        if let (Some(target), Some(last)) = (offers, all.last_mut()) {
            last.tasks = offered(&target, &settings.ups).await;
        }
    }
    for (name, receiver) in
        settings.availability.iter().filter(|(name, _)| only.is_none_or(|only| only == name.as_str()))
    {
        let Some(target) = receiver.target() else { continue };
        let probe = probe::run_for(&target, &probe::NOTICES, PATIENCE).await;
        let told = tasks::receiver(name, &target, &probe);
        all.push(Echoed::of(name, target.address.clone(), probe, told.as_ref(), language));
    }
    let looks = if has_host { examine::hosts(&settings).await } else { Vec::new() };
    for look in looks.iter().filter(|look| only.is_none_or(|only| only == look.host)) {
        let told = hosts::probed(look);
        all.push(Echoed::of(&look.host, look.place.clone(), look.probe(), told.as_ref(), language));
    }
    let bad: Vec<String> = all.iter().filter(|one| one.what.is_some()).map(|one| one.destination.clone()).collect();
    if output.is_json() {
        output.json(&all)?;
    } else {
        for one in &all {
            print(one, language, output)?;
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        format!("not all is well with {}", bad.join(", ")),
        "see above; `scansidectl doctor` looks at the whole box",
    ))
}

fn print(one: &Echoed, language: Language, output: &Output) -> Result<(), Failure> {
    output.line(&output.paint(&format!("{}  {}", one.destination, one.address), Tone::Strong))?;
    let mut table = output.table(&[]);
    for step in &one.probe.passed {
        let took = format!("{:.0} ms", step.milliseconds);
        table.add_row(vec![
            Cell::new("  "),
            toned_cell("ok", Tone::Good),
            Cell::new(step.step),
            Cell::new(&step.what),
            Cell::new(took),
        ]);
    }
    for (uid, why) in &one.tasks {
        table.add_row(vec![Cell::new("  "), Cell::new("task"), Cell::new(uid), Cell::new(why)]);
    }
    for (name, why) in &one.probe.not_taken {
        table.add_row(vec![Cell::new("  "), toned_cell("no", Tone::Bad), Cell::new(name), Cell::new(why)]);
    }
    if let Some(failed) = &one.probe.failed {
        table.add_row(vec![
            Cell::new("  "),
            toned_cell("no", Tone::Bad),
            Cell::new(failed.step),
            Cell::new(&failed.what),
        ]);
    }
    output.print(table)?;
    if let (Some(what), Some(remedy)) = (&one.what, &one.remedy) {
        output.line(&format!("  {}", output.paint(what, Tone::Bad)))?;
        output.line(&format!("  {} {remedy}", language.pick("remedy:", "处理办法：")))?;
    }
    Ok(())
}

/// Prints the entry that admits a caller, or writes it.
pub async fn learn(manager: &ManagerProxy<'_>, options: &LearnOptions, output: &Output) -> Result<(), Failure> {
    let callers = manager.list_callers(Options::new()).await?;
    let same = |caller: &&Caller| caller.calling_ae == options.ae_title.trim();
    let Some(caller) =
        callers.iter().filter(same).find(|caller| caller.outcome != "accepted").or_else(|| callers.iter().find(same))
    else {
        let message = format!("nobody called with the AE title {:?} lately", options.ae_title);
        return Err(Failure::new(
            message,
            "send from the scanner once, then see who called in `scansidectl peers list`",
        ));
    };
    match caller.outcome.as_str() {
        "calling-ae-unknown" | "address-unknown" => {}
        "accepted" => {
            return Err(Failure::new(format!("{} is admitted already", caller.calling_ae), "nothing needs to be done"));
        }
        _ => {
            return Err(Failure::new(
                caller.reason.clone(),
                "that is not about who may send; `scansidectl doctor` says what to do",
            ));
        }
    }
    let entry = peers::entry(caller, options.any_address);
    let file = config::edit::file_for_list(&options.config, "dicom", "sender")
        .map_err(|error| configuration::broken(&error))?;
    if options.write {
        write(&options.config, &file, &entry)?;
    }
    if output.is_json() {
        return output.json(&serde_json::json!({ "ae_title": caller.calling_ae, "address": caller.address, "toml": entry, "file": file, "written": options.write }));
    }
    output.line(entry.trim_end())?;
    let file = file.display();
    output.note(&if options.write {
        format!("Added to {file}. `systemctl restart scansided` makes it count.")
    } else {
        format!("Not written. Add it to {file}, or run this again with --write; then `systemctl restart scansided`.")
    });
    Ok(())
}

fn write(paths: &[PathBuf], file: &Path, entry: &str) -> Result<(), Failure> {
    config::edit::append(paths, file, "peers learn", entry)
        .map(drop)
        .map_err(|error| configuration::not_written(&error))
}
