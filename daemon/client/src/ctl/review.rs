//! `studies review`: the findings of a study with what was decided about each; decides and signs.

use comfy_table::Cell;
use models::review::{Decision, Listed, Review};
use serde::{Deserialize, Serialize};

use super::args::ReviewOptions;
use super::failure::Failure;
use super::output::{Output, count};
use super::{studies, time, watch};
use crate::{Job, ManagerProxy, Options, Study};

/// A series with findings that a person can decide about.
#[derive(Debug, Serialize)]
struct Reviewable {
    series_uid: String,
    version: u32,
    /// Empty when nobody has signed this version.
    by: String,
    utc: String,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    #[serde(flatten)]
    listed: Listed,
    /// `None` when nobody has decided.
    decision: Option<Decision>,
    comment: String,
}

/// What of the findings of a job is needed here.
#[derive(Deserialize)]
struct Found {
    listed: Vec<Listed>,
    #[serde(default)]
    review: Option<Review>,
}

pub async fn run(manager: &ManagerProxy<'static>, options: &ReviewOptions, output: &Output) -> Result<(), Failure> {
    let study = studies::find(manager, &options.study).await?;
    if options.signs() {
        return sign(manager, &study, options, output).await;
    }
    let all = reviewable(manager, &study).await?;
    if output.is_json() {
        return output.json(&serde_json::json!({ "study_uid": study.study_uid, "series": all }));
    }
    if all.is_empty() {
        return output.line("Nothing to review: no series of the study has findings of a chest CT.");
    }
    for one in &all {
        print(one, output)?;
    }
    Ok(())
}

async fn sign(
    manager: &ManagerProxy<'static>,
    study: &Study,
    options: &ReviewOptions,
    output: &Output,
) -> Result<(), Failure> {
    let Some(by) = &options.by else {
        return Err(Failure::new("a review needs the name of who signs it", "add --by NAME"));
    };
    let series_uid = match &options.series {
        Some(series) => series.clone(),
        None => only(reviewable(manager, study).await?)?,
    };
    let split = |texts: &[String], decision: Decision| -> Vec<(String, String, String)> {
        let one = |text: &String| {
            let (id, comment) = text.split_once('=').unwrap_or((text, ""));
            (id.to_owned(), decision.as_str().to_owned(), comment.to_owned())
        };
        texts.iter().map(one).collect()
    };
    let decisions = [split(&options.accept, Decision::Accepted), split(&options.reject, Decision::Rejected)].concat();
    // Listening before asking, so that nothing is missed.
    let watcher = if options.wait { Some(watch::Watcher::start(manager).await?) } else { None };
    let accept_rest = Options::from([("accept_rest", options.accept_rest.into())]);
    let (job, accepted, rejected) = manager.review_series(&series_uid, by, &decisions, accept_rest).await?;
    if let Some(watcher) = watcher {
        watcher.until_study_is_done(manager, &study.study_uid, output).await?;
        return studies::show(manager, &study.study_uid, output).await;
    }
    if output.is_json() {
        return output.json(&serde_json::json!({
            "study_uid": study.study_uid, "series_uid": series_uid, "job": job, "accepted": accepted, "rejected": rejected
        }));
    }
    output.line(&format!(
        "Signed by {by}: {}, {rejected} rejected. The results are made anew.",
        count(accepted, "finding accepted", "findings accepted")
    ))
}

/// The one series that can be reviewed.
fn only(all: Vec<Reviewable>) -> Result<String, Failure> {
    let uids: Vec<String> = all.into_iter().map(|one| one.series_uid).collect();
    match uids.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new("no series of the study has findings of a chest CT", "")),
        several => Err(Failure::new(
            "several series of the study have findings",
            format!("add --series, one of {}", several.join(", ")),
        )),
    }
}

/// By the newest version of each series that has findings.
async fn reviewable(manager: &ManagerProxy<'_>, study: &Study) -> Result<Vec<Reviewable>, Failure> {
    let of_study = Options::from([("study_uid", study.study_uid.as_str().into()), ("limit", 0u32.into())]);
    let mut all: Vec<Reviewable> = Vec::new();
    for job in manager.list_jobs(of_study).await? {
        if job.state == "done" && !all.iter().any(|one| one.series_uid == job.series_uid) {
            all.extend(of_job(job));
        }
    }
    Ok(all)
}

/// `None` for a job without findings of a chest CT, and for one of an older version of the software.
fn of_job(job: Job) -> Option<Reviewable> {
    let Found { listed, review } = serde_json::from_str(job.findings.as_deref()?).ok()?;
    let of = |listed: Listed| {
        let decided = review.iter().flat_map(|review| &review.decisions).find(|one| one.listed.id == listed.id);
        let (decision, comment) = decided.map(|one| (one.decision, one.comment.clone())).unzip();
        Finding { decision, comment: comment.unwrap_or_default(), listed }
    };
    let findings = listed.into_iter().map(of).collect();
    let (by, utc) = review.as_ref().map(|review| (review.by.clone(), review.utc.clone())).unwrap_or_default();
    Some(Reviewable { series_uid: job.series_uid, version: job.version, by, utc, findings })
}

fn print(one: &Reviewable, output: &Output) -> Result<(), Failure> {
    let signed = if one.by.is_empty() {
        "not reviewed".to_owned()
    } else {
        format!("reviewed by {}, {}", one.by, time::local(&one.utc))
    };
    output.line(&format!("Series {}, version {}: {signed}", one.series_uid, one.version))?;
    let mut table = output.table(&["Finding", "Volume", "Slice", "Decision", "Comment"]);
    for finding in &one.findings {
        table.add_row(vec![
            Cell::new(&finding.listed.id),
            Cell::new(format!("{:.2} ml", finding.listed.volume_ml)),
            // People count slices from 1.
            Cell::new(finding.listed.key_slice + 1),
            Cell::new(finding.decision.map_or("-", Decision::as_str)),
            Cell::new(&finding.comment),
        ]);
    }
    output.print(table)
}
