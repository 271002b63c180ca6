//! `status`: the appliance on one screen.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;

use super::args::{LevelName, StatusOptions};
use super::failure::Failure;
use super::output::{Output, bytes, count, field, state_cell};
use super::time;
use crate::{Job, ManagerProxy, Options, Status};

/// The JSON of `status`: Manager1's properties, and the jobs that run.
#[derive(Serialize)]
struct Answer {
    #[serde(flatten)]
    status: Status,
    running: Vec<Job>,
}

pub async fn run(manager: &ManagerProxy<'_>, output: &Output) -> Result<(), Failure> {
    let status = Status::read(manager).await?;
    let running = manager.list_jobs(Options::from([("state", "running".into())])).await?;
    if output.is_json() {
        return output.json(&Answer { status, running });
    }
    let mut table = output.table(&[]);
    let simulated = if status.simulated { " (simulated: not for clinical use)" } else { "" };
    field(&mut table, "Scanside", format!("{}{simulated}", status.version));
    field(&mut table, "Level", state_cell(&status.level));
    if !status.level_reason.is_empty() {
        field(&mut table, "Because", status.level_reason.as_str());
    }
    field(&mut table, "Heat", heat(&status));
    if let Some(reason) = &status.heat_reason {
        field(&mut table, "Because", reason.as_str());
    }
    field(&mut table, "DICOM", status.dicom_address.as_str());
    field(&mut table, "Accelerator", status.accelerator.as_str());
    field(&mut table, "Free space", space(&status));
    let limit = bytes(status.memory_limit_bytes);
    field(&mut table, "Memory", format!("{}; decoding and analysis may use {limit}", bytes(status.memory_bytes)));
    let studies = count(status.studies, "study", "studies");
    field(&mut table, "Kept", format!("{studies}, {}", count(status.instances, "instance", "instances")));
    field(&mut table, "Receiving", format!("{} series", status.series_receiving));
    let (running_now, queued) = (status.jobs_running, status.jobs_queued);
    field(&mut table, "Jobs", format!("{running_now} running, {queued} waiting, {} parked", status.jobs_parked));
    field(&mut table, "Outbox", outbox(&status));
    for (name, text) in told(&status) {
        field(&mut table, name, text);
    }
    field(&mut table, "Quarantine", count(status.quarantined, "object", "objects"));
    for (name, address) in &status.destinations {
        field(&mut table, "Destination", format!("{name}  {address}"));
    }
    for job in &running {
        field(&mut table, "Running", now(job));
    }
    output.print(table)
}

/// How often the level is asked.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Waits until the box is well enough, as `options` say; then shows it.
///
/// # Errors
/// With its level and the reason, when it is not in time; or as for [`run`], when the daemon is not on the bus by then.
pub async fn wait(bus: &str, options: &StatusOptions, output: &Output) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let late = begun.elapsed() >= Duration::from_secs(options.within);
        match look(bus).await {
            Ok((manager, status)) if is_well(&status, options) => return run(&manager, output).await,
            Ok((_, status)) if late => return Err(not_well(&status, options)),
            Err(failure) if late => return Err(failure),
            Ok(_) | Err(_) => tokio::time::sleep(ASK_EVERY).await,
        }
    }
}

async fn look(bus: &str) -> Result<(ManagerProxy<'static>, Status), Failure> {
    let (_, manager) = super::manager(bus).await?;
    let status = Status::read(&manager).await.map_err(|error| Failure::from_call(bus, error))?;
    Ok((manager, status))
}

fn is_well(status: &Status, options: &StatusOptions) -> bool {
    let level = LevelName::from_str(&status.level, false).ok();
    let is_level = options.wait_level.zip(level).is_some_and(|(wanted, level)| level <= wanted);
    is_level || (options.or_disk_full && status.level_cause == "disk_full")
}

fn not_well(status: &Status, options: &StatusOptions) -> Failure {
    let (level, reason, within) = (&status.level, &status.level_reason, options.within);
    Failure::new(format!("{level} after {within} s: {reason}"), "`scansidectl doctor` says what to do")
}

fn heat(status: &Status) -> String {
    let hottest = status.temperatures.iter().map(|(_, celsius)| *celsius).reduce(f64::max);
    let condition = match status.heat.as_str() {
        "unknown" => "not known: no sensor of this machine can be read",
        condition => condition,
    };
    let hottest = hottest.map(|celsius| format!(", {celsius:.0} °C at most")).unwrap_or_default();
    let watts = status.watts.map(|watts| format!(", {watts:.1} W")).unwrap_or_default();
    format!("{condition}{hottest}{watts}")
}

fn space(status: &Status) -> String {
    let free = bytes(status.free_bytes);
    match status.studies_left {
        Some(left) => format!("{free}, room for about {}", count(left, "more study", "more studies")),
        None => free,
    }
}

fn outbox(status: &Status) -> String {
    let held = status.deliveries_held;
    let held = if held == 0 { String::new() } else { format!(", {held} held (made with a simulated device)") };
    let parked = status.deliveries_parked;
    let parked = if parked == 0 { String::new() } else { format!(", {parked} parked (refused by the destination)") };
    waiting(status) + &held + &parked
}

fn waiting(status: &Status) -> String {
    match &status.oldest_pending_utc {
        _ if status.deliveries_pending == 0 => "empty".into(),
        Some(oldest) => format!("{} waiting, the oldest for {}", status.deliveries_pending, time::age(oldest)),
        None => format!("{} waiting", status.deliveries_pending),
    }
}

/// What others are to be told, on a box that tells them anything.
fn told(status: &Status) -> Vec<(&'static str, String)> {
    let since = |oldest: &Option<String>| {
        oldest.as_deref().map(|utc| format!(", the oldest for {}", time::age(utc))).unwrap_or_default()
    };
    let because = |reason: &Option<String>| reason.as_deref().map(|why| format!("; {why}")).unwrap_or_default();
    let mut told = Vec::new();
    if status.tasks_open > 0 {
        let text = format!("{} open{}", status.tasks_open, since(&status.oldest_task_utc));
        told.push(("Tasks", text + &because(&status.tasks_reason)));
    }
    if status.notices_waiting + status.notices_parked > 0 {
        let parked = match status.notices_parked {
            0 => String::new(),
            parked => format!(", {parked} refused by the receiver until the next start"),
        };
        let text = format!("{} waiting{}{parked}", status.notices_waiting, since(&status.oldest_notice_utc));
        told.push(("Notices", text + &because(&status.notices_reason)));
    }
    told
}

fn now(job: &Job) -> String {
    let number = job.path.rsplit('/').next().unwrap_or_default();
    let since = job.started_utc.as_deref().map(|utc| format!(", for {}", time::age(utc))).unwrap_or_default();
    format!("job {number}{since}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_and_notices_are_shown_where_there_are_any_with_the_reason_why_they_wait() {
        assert!(told(&Status::default()).is_empty());
        let status = Status {
            tasks_open: 2,
            tasks_reason: Some("no answer".into()),
            notices_parked: 1,
            notices_reason: Some("0x0122".into()),
            ..Status::default()
        };
        let expected = [
            ("Tasks", "2 open; no answer".to_owned()),
            ("Notices", "0 waiting, 1 refused by the receiver until the next start; 0x0122".to_owned()),
        ];
        assert_eq!(told(&status), expected);
    }

    #[test]
    fn a_better_level_is_enough_an_unknown_one_never_and_a_full_disk_only_where_it_is_asked_for() {
        let status =
            |level: &str, cause: &str| Status { level: level.into(), level_cause: cause.into(), ..Status::default() };
        let options = |or_disk_full| StatusOptions { wait_level: Some(LevelName::Reduced), within: 1, or_disk_full };
        for or_disk_full in [false, true] {
            let is = |level, cause| is_well(&status(level, cause), &options(or_disk_full));
            assert!(is("full", "") && is("reduced", "reduced"));
            assert!(!is("no_new_studies", "custody") && !is("no_new_studies", "starting"));
            assert!(!is("no_output", "database") && !is("", "") && !is("splendid", ""));
            assert_eq!(is("no_new_studies", "disk_full"), or_disk_full);
        }
    }
}
