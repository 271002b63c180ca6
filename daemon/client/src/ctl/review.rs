//! `studies review`: the findings of a study with what was decided about each; decides, edits and signs.

use std::collections::BTreeMap;

use comfy_table::Cell;
use models::review::edit::{Edit, Field, Values};
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
    /// Of one that was edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    edit: Option<Edit>,
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
    let Edits { decisions: edited, values } = edits(&options.edit)?;
    let decisions =
        [split(&options.accept, Decision::Accepted), edited, split(&options.reject, Decision::Rejected)].concat();
    // Listening before asking, so that nothing is missed.
    let watcher = if options.wait { Some(watch::Watcher::start(manager).await?) } else { None };
    let mut asked = Options::from([("accept_rest", options.accept_rest.into())]);
    let json = serde_json::to_string(&values).map_err(|error| Failure::new(error.to_string(), ""))?;
    if !values.is_empty() {
        asked.insert("edits", json.as_str().into());
    }
    let (job, accepted, rejected) = manager.review_series(&series_uid, by, &decisions, asked).await?;
    if let Some(watcher) = watcher {
        watcher.until_study_is_done(manager, &study.study_uid, output).await?;
        return studies::show(manager, &study.study_uid, output).await;
    }
    if output.is_json() {
        return output.json(&serde_json::json!({
            "study_uid": study.study_uid, "series_uid": series_uid, "job": job, "accepted": accepted, "edited": values.len(),
            "rejected": rejected
        }));
    }
    let edited = if values.is_empty() { String::new() } else { format!(" ({} of them edited now)", values.len()) };
    output.line(&format!(
        "Signed by {by}: {}{edited}, {rejected} rejected. The results are made anew.",
        count(accepted, "finding accepted", "findings accepted")
    ))
}

/// What `--edit` asks for: a decision for each finding, and by its id the fields with their values.
#[derive(Debug, Default, PartialEq, Eq)]
struct Edits {
    decisions: Vec<(String, String, String)>,
    values: BTreeMap<String, BTreeMap<String, String>>,
}

fn edits(texts: &[String]) -> Result<Edits, Failure> {
    let mut edits = Edits::default();
    let mut comments: BTreeMap<String, String> = BTreeMap::new();
    for text in texts {
        let parts = text.split_once('=').and_then(|(at, value)| Some((at.split_once(':')?, value)));
        let Some(((id, field), value)) = parts else {
            return Err(Failure::new(format!("{text:?} names no value of a finding"), "write --edit ID:FIELD=VALUE"));
        };
        let own = edits.values.entry(id.to_owned()).or_default();
        let before = match field {
            "comment" => comments.insert(id.to_owned(), value.to_owned()),
            _ => own.insert(field.to_owned(), value.to_owned()),
        };
        if before.is_some() {
            return Err(Failure::new(format!("{field} of {id} is given twice"), "give it once"));
        }
    }
    let decision = |id: &String| {
        let comment = comments.get(id).cloned().unwrap_or_default();
        (id.clone(), Decision::Edited.as_str().to_owned(), comment)
    };
    edits.decisions = edits.values.keys().map(decision).collect();
    Ok(edits)
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
        let edit = decided.and_then(|one| one.edit.clone());
        Finding { decision, comment: comment.unwrap_or_default(), edit, listed }
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
    let mut table = output.table(&["Finding", "Volume", "Slice", "As found", "Decision", "Comment"]);
    for finding in &one.findings {
        table.add_row(vec![
            Cell::new(&finding.listed.id),
            Cell::new(volume(finding)),
            // People count slices from 1.
            Cell::new(finding.listed.key_slice + 1),
            Cell::new(said(&finding.listed.values)),
            Cell::new(decision(finding)),
            Cell::new(&finding.comment),
        ]);
    }
    output.print(table)
}

/// That of another size than a person measured does not stand.
fn volume(finding: &Finding) -> String {
    let is_resized = finding.edit.as_ref().is_some_and(|edit| edit.values.contains_key(&Field::LongMm));
    if is_resized { "withheld".to_owned() } else { format!("{:.2} ml", finding.listed.volume_ml) }
}

/// Fields and values, as `--edit` takes them.
fn said(values: &Values) -> String {
    let known = values.iter().map(|(field, value)| match value.as_str() {
        "" => format!("{}=?", field.as_str()),
        value => format!("{}={value}", field.as_str()),
    });
    known.collect::<Vec<_>>().join(" ")
}

fn decision(finding: &Finding) -> String {
    match (&finding.edit, finding.decision) {
        (Some(edit), _) => format!("edited by {}: {}", edit.by, said(&edit.values)),
        (None, decision) => decision.map_or("-", Decision::as_str).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_finding_are_one_decision_with_its_comment() {
        let asked = ["nodule-1:long_mm=12.4", "nodule-1:comment=a=b: c", "nodule-2:side=left", "nodule-1:short_mm=8"];
        let Edits { decisions, values } = edits(&asked.map(str::to_owned)).unwrap();
        let edited = |id: &str, comment: &str| (id.to_owned(), "edited".to_owned(), comment.to_owned());
        assert_eq!(decisions, [edited("nodule-1", "a=b: c"), edited("nodule-2", "")]);
        assert_eq!(values["nodule-1"]["long_mm"], "12.4");
        assert_eq!(values["nodule-1"].len(), 2);
        for wrong in ["nodule-1", "nodule-1=3", "nodule-1:long_mm"] {
            assert!(edits(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(edits(&["a:side=left", "a:side=right"].map(str::to_owned)).is_err());
    }
}
