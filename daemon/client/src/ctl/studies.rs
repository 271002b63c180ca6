//! `studies list`, `show`, `resolve`, `rerun`.

use comfy_table::Cell;
use serde::Serialize;

use super::failure::Failure;
use super::output::{Output, count, field, state_cell};
use super::{every, findings, outbox, series, time, watch};
use crate::{Delivery, Job, ManagerProxy, Options, Series, Study};

pub async fn list(
    manager: &ManagerProxy<'_>,
    limit: u32,
    state: Option<String>,
    output: &Output,
) -> Result<(), Failure> {
    let fetch = async |limit: u32| {
        let mut options = Options::from([("limit", limit.into())]);
        if let Some(state) = &state {
            options.insert("state", state.as_str().into());
        }
        manager.list_studies(options).await
    };
    let studies = if limit == 0 {
        let only = state.clone().map(|state| ("state", zbus::Variant::from(state)));
        every::studies(manager, &only.into_iter().collect()).await?
    } else {
        output.newest(limit, fetch).await?
    };
    if output.is_json() {
        return output.json(&studies);
    }
    if studies.is_empty() {
        let what = state.map(|state| format!("{state} ")).unwrap_or_default();
        return output.line(&format!("No {what}studies."));
    }
    let mut table = output.table(&["No", "Date", "Patient", "Study", "Images", "State", "Verdict"]);
    for study in &studies {
        table.add_row(vec![
            Cell::new(number(study)),
            Cell::new(time::date(&study.study_date)),
            Cell::new(patients(study)),
            Cell::new(&study.description),
            Cell::new(study.instance_count),
            state_cell(&study.state),
            Cell::new(study.verdicts.first().map_or("", String::as_str)),
        ]);
    }
    output.print(table)
}

/// Everything about one study, as `studies show --json` prints it.
#[derive(Serialize)]
struct Whole {
    study: Study,
    series: Vec<Series>,
    jobs: Vec<Job>,
    deliveries: Vec<Delivery>,
}

pub async fn show(manager: &ManagerProxy<'_>, which: &str, output: &Output) -> Result<(), Failure> {
    let study = find(manager, which).await?;
    let uid = study.study_uid.clone();
    let of_study = || Options::from([("study_uid", uid.as_str().into()), ("limit", 0u32.into())]);
    let mut series = manager.list_series(of_study()).await?;
    series.reverse();
    let jobs = manager.list_jobs(of_study()).await?;
    let deliveries = manager.list_deliveries(of_study()).await?;
    let whole = Whole { study, series, jobs, deliveries };
    if output.is_json() {
        return output.json(&whole);
    }
    print(&whole, output)
}

fn print(whole: &Whole, output: &Output) -> Result<(), Failure> {
    let study = &whole.study;
    let mut table = output.table(&[]);
    field(&mut table, "Study", format!("{}  {}", number(study), study.description));
    field(&mut table, "State", state_cell(&study.state));
    field(&mut table, "Patient", patients(study));
    field(&mut table, "Date", time::date(&study.study_date));
    if !study.accession_number.is_empty() {
        field(&mut table, "Accession", study.accession_number.as_str());
    }
    field(&mut table, "UID", study.study_uid.as_str());
    field(&mut table, "Received", format!("{} to {}", time::local(&study.first_utc), time::local(&study.last_utc)));
    if let Some(reason) = &study.hold {
        let since = study.hold_since_utc.as_deref().map(time::local).unwrap_or_default();
        let by = study.hold_by.as_deref().unwrap_or_default();
        field(&mut table, "Kept", format!("from eviction since {since} by {by}: {reason}"));
    }
    output.print(table)?;
    output.line("")?;
    series::print(&whole.series, study.patients > 1, output)?;
    for job in whole.jobs.iter().filter(|job| job.state != "superseded") {
        output.line("")?;
        findings::print_job(job, &whole.series, output)?;
    }
    if !whole.deliveries.is_empty() {
        output.line("")?;
        outbox::print(&whole.deliveries, output)?;
    }
    Ok(())
}

pub async fn rerun(
    manager: &ManagerProxy<'static>,
    which: &str,
    urgent: bool,
    wait: bool,
    output: &Output,
) -> Result<(), Failure> {
    let study = find(manager, which).await?;
    // Listening before asking, so that nothing is missed.
    let watcher = if wait { Some(watch::Watcher::start(manager).await?) } else { None };
    let series = manager.rerun(&study.study_uid, Options::from([("urgent", urgent.into())])).await?;
    if let Some(watcher) = watcher {
        watcher.until_study_is_done(manager, &study.study_uid, output).await?;
        return show(manager, &study.study_uid, output).await;
    }
    if output.is_json() {
        return output.json(&serde_json::json!({ "study_uid": study.study_uid, "series": series }));
    }
    output.line(&format!("{} queued again.", count(series, "series", "series")))
}

pub async fn resolve(manager: &ManagerProxy<'_>, which: &str, take_new: bool, output: &Output) -> Result<(), Failure> {
    let study = find(manager, which).await?;
    let choice = if take_new { "take-new" } else { "keep-old" };
    let (objects, series) = manager.resolve_study(&study.study_uid, choice).await?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "study_uid": study.study_uid, "objects": objects, "series": series }));
    }
    let objects = count(objects, "object", "objects");
    if !take_new {
        return output.line(&format!("{objects}: the older content stays in use."));
    }
    output.line(&format!(
        "{objects}: the newer content is used; {} analysed again.",
        count(series, "series", "series")
    ))?;
    output.line(
        "Results of the older content that were delivered stay at their destinations: have them rejected there \
         (`scansidectl outbox list --all` names them).",
    )
}

/// By UID, by number, or by the beginning of a UID that only one study has.
pub async fn find(manager: &ManagerProxy<'_>, which: &str) -> Result<Study, Failure> {
    let remedy = "see the numbers in `scansidectl studies list`";
    let exact = manager.list_studies(Options::from([("study_uid", which.into())])).await?;
    if let Some(study) = exact.into_iter().next() {
        return Ok(study);
    }
    if let Ok(number) = which.parse::<u64>() {
        // A daemon of an older version does not know the option.
        let of_number = manager.list_studies(Options::from([("number", number.into())])).await.unwrap_or_default();
        if let Some(study) = of_number.into_iter().next() {
            return Ok(study);
        }
    }
    let all = every::studies(manager, &Options::new()).await?;
    if let Some(study) = all.iter().find(|study| number(study) == which) {
        return Ok(study.clone());
    }
    let mut begins = all.into_iter().filter(|study| study.study_uid.starts_with(which));
    match (begins.next(), begins.next()) {
        (Some(study), None) => Ok(study),
        (None, _) => Err(Failure::new(format!("there is no study {which:?}"), remedy)),
        (Some(_), Some(_)) => Err(Failure::new(format!("more than one study UID begins with {which:?}"), remedy)),
    }
}

/// The short name of a study: the last element of its path.
pub fn number(study: &Study) -> &str {
    study.path.as_str().rsplit('/').next().unwrap_or_default()
}

/// The first patient of a study, and how many others there are.
pub fn patients(study: &Study) -> String {
    let first = patient(&study.patient_id, &study.patient_name);
    match study.patients.saturating_sub(1) {
        0 => first,
        others => format!("{first} (and {})", count(others, "other patient", "other patients")),
    }
}

/// `P123  DOE, JANE`: DICOM separates the components of a name by `^`.
pub fn patient(id: &str, name: &str) -> String {
    let parts: Vec<&str> = name.split('^').filter(|part| !part.is_empty()).collect();
    let name = parts.join(", ");
    if id.is_empty() || id == name { name } else { format!("{id}  {name}") }
}
