//! Sends whole studies to the box and collects the timings that it stores with every job, and its memory before it
//! loads a model.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::figures::{Goal, Wanted, median};
use crate::appliance::{Appliance, Setup, fresh_folder};
use crate::deadline;
use crate::modality::Modality;
use crate::pacs::Pacs;
use crate::part10::Folder;
use crate::watch::Watch;

const SETTLED_WITHIN: Duration = Duration::from_secs(900);

/// Milliseconds of every stage, in the order of the stages, one value for each run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stages(pub Vec<(String, Vec<f64>)>);

#[derive(Debug, Clone, Default, Serialize)]
pub struct Measured {
    pub stages: Stages,
    /// VmRSS of the idle daemon, MB, before any study.
    pub idle_mb: Vec<f64>,
    /// From the last acknowledgement to the last result at the archive, ms.
    pub to_results_ms: Vec<f64>,
}

impl Stages {
    fn add(&mut self, stage: String, ms: f64) {
        match self.0.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, values)) => values.push(ms),
            None => self.0.push((stage, vec![ms])),
        }
    }

    /// Sum of the medians, ms. NaN, which reaches no goal, when the daemon does not report one of the stages.
    fn sum(&self, stages: &[&str]) -> f64 {
        let one = |stage: &&str| self.0.iter().find(|(name, _)| name == stage).map_or(f64::NAN, |(_, v)| median(v));
        stages.iter().map(one).sum()
    }
}

/// Sends the study `runs` times, each time to a new box.
///
/// # Errors
/// When the box does not start, refuses, or does not finish.
pub async fn measure(study: &Path, runs: usize, work: &Path, mut say: impl FnMut(&str)) -> Result<Measured> {
    let mut measured = Measured::default();
    for run in 1..=runs {
        let folder = work.join("box");
        fresh_folder(&folder)?;
        once(study, &folder, &mut measured).await?;
        let total = measured.to_results_ms.last().copied().unwrap_or_default();
        say(&format!("run {run} of {runs}: results at the archive {:.1} s after the last slice", total / 1000.0));
    }
    Ok(measured)
}

async fn once(study: &Path, folder: &Path, measured: &mut Measured) -> Result<()> {
    let pacs = Pacs::start("PACS", &folder.join("archive")).await?;
    let setup = Setup {
        destinations: vec![("pacs".into(), pacs.ae_title.clone(), pacs.address)],
        folder: Some(folder.to_owned()),
        extra: "[spool]\nsegment_mib = 128\nready_segments = 8\n".into(),
        ..Setup::default()
    };
    let mut appliance = Appliance::start(&setup).await?;
    measured.idle_mb.push(idle_bytes(&appliance).await? as f64 / 1e6);

    let mut watch = Watch::new(appliance.manager().await?).await?;
    let instances = Folder::scan(study)?.instances;
    let sent = Modality::new(appliance.address, "CT", Appliance::AE_TITLE).send(&instances, |_, _| {}).await?;
    ensure!(sent.acknowledged() == instances.len(), "{} of {} acknowledged", sent.acknowledged(), instances.len());
    let last = Instant::now();
    let outcome = watch.until_settled(SETTLED_WITHIN, |_| {}).await?;
    let job = outcome.jobs.iter().find(|job| job.state == "done").context("no job was done")?;
    let timings: Vec<(String, f64)> = serde_json::from_str(job.timings.as_deref().unwrap_or("[]"))?;
    for (stage, ms) in timings {
        measured.stages.add(stage, ms);
    }
    let arrived = pacs.received().last().context("no result arrived")?.at;
    measured.to_results_ms.push(arrived.saturating_duration_since(last).as_secs_f64() * 1000.0);
    appliance.stop().await
}

/// Memory of the idle daemon: the value once it has not changed for a second.
async fn idle_bytes(appliance: &Appliance) -> Result<u64> {
    let mut seen = (0, Instant::now());
    deadline::until("steady memory", Duration::from_secs(20), || {
        let now = appliance.resident_bytes().unwrap_or_default();
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        let steady = seen.1.elapsed() > Duration::from_secs(1);
        async move { steady.then_some(now) }
    })
    .await
}

/// The stages are those of `Job1.Timings`. The time of the volume starts when the series is complete. How long the box
/// waits until then is configurable (`series.release_grace_secs`, `series.quiet_secs`) and not measured.
pub fn goals(measured: &Measured) -> Vec<Goal> {
    let sum = |stages: &[&str]| measured.stages.sum(stages);
    let inference = sum(&["inference"]);
    let around = 100.0 * sum(&["resample", "postprocess"]) / inference;
    let with_lungs = 100.0 * sum(&["lungs", "resample", "postprocess"]) / inference;
    let written = sum(&["postprocess", "report", "store"]);
    vec![
        Goal::new("series complete to volume ready", "ms", sum(&["volume"]), Wanted::AtMost(100.0)),
        Goal::new("end of inference to results on disk", "ms", written, Wanted::AtMost(500.0)),
        Goal::new("resampling and post-processing, share of inference", "%", around, Wanted::AtMost(15.0)),
        Goal::new("the same with lung segmentation", "%", with_lungs, Wanted::AtMost(15.0)),
        Goal::new("idle memory, no model loaded", "MB", median(&measured.idle_mb), Wanted::AtMost(40.0)),
    ]
}

/// Median and spread of every stage, as table rows.
pub fn rows(measured: &Measured) -> Vec<Vec<String>> {
    let row = |name: &str, values: &[f64]| {
        let (least, most) = values.iter().fold((f64::MAX, 0.0_f64), |(a, b), v| (a.min(*v), b.max(*v)));
        vec![name.replace('_', " "), format!("{:.1}", median(values)), format!("{least:.1} to {most:.1}")]
    };
    let mut rows: Vec<_> = measured.stages.0.iter().map(|(stage, values)| row(stage, values)).collect();
    rows.push(row("last slice to last result at the archive", &measured.to_results_ms));
    rows
}
