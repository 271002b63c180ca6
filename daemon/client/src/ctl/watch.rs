//! `watch` without a terminal or with `--plain`, and the waiting of `studies rerun --wait`: the daemon's signals, as lines and progress bars.
//! On a terminal `watch` is `dashboard`.

use std::collections::HashMap;

use futures_util::StreamExt;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::failure::Failure;
use super::output::{Output, Tone, count, tone_of};
use super::time;
use crate::proxies::{DeliveryChangedStream, JobProgressStream, SeriesChangedStream};
use crate::{ManagerProxy, Options};

/// One line of `watch --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Happening {
    Series {
        path: String,
        study_uid: String,
        series_uid: String,
        state: String,
        instances: u32,
        verdict: Option<String>,
    },
    Job {
        path: String,
        series: String,
        state: String,
        stage: String,
        fraction: f64,
    },
    Delivery {
        path: String,
        destination: String,
        state: String,
        reason: Option<String>,
    },
}

/// The three signals as one stream.
pub struct Watcher {
    series: SeriesChangedStream,
    jobs: JobProgressStream,
    deliveries: DeliveryChangedStream,
    owner: zbus::proxy::OwnerChangedStream<'static>,
}

impl Watcher {
    /// Asks the daemon nothing.
    pub async fn listen(manager: &ManagerProxy<'static>) -> Result<Self, Failure> {
        Ok(Self {
            series: manager.receive_series_changed().await?,
            jobs: manager.receive_job_progress().await?,
            deliveries: manager.receive_delivery_changed().await?,
            owner: manager.inner().receive_owner_changed().await?,
        })
    }

    pub async fn start(manager: &ManagerProxy<'static>) -> Result<Self, Failure> {
        let watcher = Self::listen(manager).await?;
        // Fails when no daemon is there: a watch that waits for nobody would look like a quiet box.
        manager.version().await?;
        Ok(watcher)
    }

    pub async fn next(&mut self) -> Result<Happening, Failure> {
        loop {
            tokio::select! {
                Some(signal) = self.series.next() => {
                    let a = signal.args()?;
                    return Ok(Happening::Series {
                        path: a.series.to_string(),
                        study_uid: a.study_uid.clone(),
                        series_uid: a.series_uid.clone(),
                        state: a.state.clone(),
                        instances: a.instances,
                        verdict: some(&a.verdict),
                    });
                }
                Some(signal) = self.jobs.next() => {
                    let a = signal.args()?;
                    return Ok(Happening::Job {
                        path: a.job.to_string(),
                        series: a.series.to_string(),
                        state: a.state.clone(),
                        stage: a.stage.clone(),
                        fraction: a.fraction,
                    });
                }
                Some(signal) = self.deliveries.next() => {
                    let a = signal.args()?;
                    return Ok(Happening::Delivery {
                        path: a.delivery.to_string(),
                        destination: a.destination.clone(),
                        state: a.state.clone(),
                        reason: some(&a.reason),
                    });
                }
                Some(owner) = self.owner.next() => if owner.is_none() { return Err(Failure::gone()) },
                else => return Err(Failure::gone()),
            }
        }
    }

    /// Draws progress until no series of the study is being received or analysed.
    pub async fn until_study_is_done(
        mut self,
        manager: &ManagerProxy<'_>,
        study_uid: &str,
        output: &Output,
    ) -> Result<(), Failure> {
        let mut bars = Bars::new(output);
        loop {
            let study = manager.list_studies(Options::from([("study_uid", study_uid.into())])).await?;
            if study.iter().all(|study| study.state != "analyzing" && study.state != "receiving") {
                return Ok(());
            }
            loop {
                let happening = self.next().await?;
                bars.show(&happening);
                if !matches!(&happening, Happening::Job { state, .. } if state == "running") {
                    break;
                }
            }
        }
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

pub async fn run(manager: &ManagerProxy<'static>, until_idle: bool, output: &Output) -> Result<(), Failure> {
    let mut watcher = Watcher::start(manager).await?;
    let mut bars = Bars::new(output);
    let mut printed: HashMap<String, String> = HashMap::new();
    loop {
        if until_idle && is_idle(manager).await? {
            return Ok(());
        }
        let happening = tokio::select! {
            happening = watcher.next() => happening?,
            // Ctrl-C is how a watch ends: not a failure.
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        if output.is_json() {
            let line = serde_json::to_string(&happening).map_err(|error| Failure::new(error.to_string(), ""))?;
            output.line(&line)?;
            continue;
        }
        let drawn = bars.show(&happening);
        let (subject, text) = describe(&happening, output);
        // Progress that a bar shows, or that says the same as before, is not worth a line.
        let key = key_of(&happening);
        if (drawn && matches!(&happening, Happening::Job { state, .. } if state == "running"))
            || printed.get(&subject) == Some(&key)
        {
            continue;
        }
        printed.insert(subject, key);
        bars.line(&format!("{}  {text}", output.paint(&time::clock(), Tone::Weak)), output)?;
    }
}

async fn is_idle(manager: &ManagerProxy<'_>) -> Result<bool, Failure> {
    let busy = manager.series_receiving().await?
        + manager.jobs_queued().await?
        + manager.jobs_running().await?
        + manager.deliveries_pending().await?;
    Ok(busy == 0)
}

/// What must change for a new line: not the fraction, and not each single instance.
fn key_of(happening: &Happening) -> String {
    match happening {
        Happening::Series { state, instances, .. } => format!("{state} {}", instances / 50),
        Happening::Job { state, stage, .. } => format!("{state} {stage}"),
        Happening::Delivery { state, reason, .. } => format!("{state} {reason:?}"),
    }
}

fn describe(happening: &Happening, output: &Output) -> (String, String) {
    let name = |path: &str| path.trim_start_matches(crate::ROOT).trim_start_matches('/').replace('/', " ");
    let paint = |state: &str| output.paint(state, tone_of(state));
    match happening {
        Happening::Series { path, state, instances, verdict, .. } => {
            let verdict = verdict.as_deref().map(|verdict| format!(": {verdict}")).unwrap_or_default();
            let images = count(*instances, "image", "images");
            (path.clone(), format!("{:<12} {}, {images}{verdict}", name(path), paint(state)))
        }
        Happening::Job { path, state, stage, fraction, .. } => {
            let stage = if stage.is_empty() { String::new() } else { format!(" {stage}") };
            let percent = if state == "running" { format!(" {:.0} %", fraction * 100.0) } else { String::new() };
            (path.clone(), format!("{:<12} {}{stage}{percent}", name(path), paint(state)))
        }
        Happening::Delivery { path, destination, state, reason } => {
            let reason = reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            (path.clone(), format!("{:<12} {} to {destination}{reason}", name(path), paint(state)))
        }
    }
}

/// One bar for each running job; nothing without a terminal.
pub struct Bars {
    all: Option<MultiProgress>,
    of: HashMap<String, ProgressBar>,
}

/// Thousandths: a bar that moves visibly also for long jobs.
const STEPS: u32 = 1000;

impl Bars {
    pub fn new(output: &Output) -> Self {
        Self { all: output.shows_progress().then(MultiProgress::new), of: HashMap::new() }
    }

    /// Says whether there is a bar for it.
    pub fn show(&mut self, happening: &Happening) -> bool {
        let Happening::Job { path, state, stage, fraction, .. } = happening else { return false };
        let name = format!("job {}", path.rsplit('/').next().unwrap_or_default());
        self.progress(&name, stage, if state == "running" { Some(*fraction) } else { None })
    }

    /// None ends the bar.
    pub fn progress(&mut self, name: &str, stage: &str, fraction: Option<f64>) -> bool {
        let Some(all) = &self.all else { return false };
        let Some(fraction) = fraction else {
            if let Some(bar) = self.of.remove(name) {
                bar.finish_and_clear();
            }
            return true;
        };
        let bar = self.of.entry(name.to_owned()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(u64::from(STEPS)));
            if let Ok(style) = ProgressStyle::with_template("{prefix:>8} {wide_bar} {percent:>3} % {msg:<14}") {
                bar.set_style(style.progress_chars("━╸─"));
            }
            bar.set_prefix(name.to_owned());
            bar
        });
        bar.set_message(stage.to_owned());
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is 0 to STEPS")]
        bar.set_position((fraction.clamp(0.0, 1.0) * f64::from(STEPS)) as u64);
        true
    }

    /// A line above the bars.
    fn line(&self, text: &str, output: &Output) -> Result<(), Failure> {
        match &self.all {
            Some(all) => all.suspend(|| output.line(text)),
            None => output.line(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_an_event_is_flat_and_tagged() {
        let event = Happening::Delivery {
            path: "/x/1".into(),
            destination: "pacs".into(),
            state: "delivered".into(),
            reason: None,
        };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "event": "delivery", "path": "/x/1", "destination": "pacs", "state": "delivered", "reason": null })
        );
    }

    #[test]
    fn a_growing_series_is_told_every_fifty_instances() {
        let series = |instances| Happening::Series {
            path: String::new(),
            study_uid: String::new(),
            series_uid: String::new(),
            state: "receiving".into(),
            instances,
            verdict: None,
        };
        assert_eq!(key_of(&series(1)), key_of(&series(49)));
        assert_ne!(key_of(&series(49)), key_of(&series(50)));
    }
}
