//! Watches the box over D-Bus from the first instance to the last delivery. Signals are used to show progress, the
//! lists to decide whether everything is finished.

use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::stream::{self, Stream, StreamExt};
use scanside_client::{Delivery, Job, ManagerProxy, Options, Series};
use tokio::time::{Instant, timeout};

/// How often the lists are read when no signal comes.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Everything must be finished for this long, because a series begins slightly after its first instance was acknowledged.
const CALM: Duration = Duration::from_millis(750);

/// A signal of the box.
#[derive(Debug, Clone)]
pub enum Heard {
    Series { state: String, instances: u32 },
    Job { state: String, stage: String, fraction: f64 },
    Delivery { state: String, reason: String },
}

/// Series, jobs and deliveries of the box when all work was done.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub series: Vec<Series>,
    pub jobs: Vec<Job>,
    pub deliveries: Vec<Delivery>,
}

impl Outcome {
    async fn read(manager: &ManagerProxy<'_>) -> Result<Self> {
        let all = || Options::from([("limit", 10_000_u32.into())]);
        let mut outcome = Self {
            series: manager.list_series(all()).await?,
            jobs: manager.list_jobs(all()).await?,
            deliveries: manager.list_deliveries(all()).await?,
        };
        // The lists have the newest first; people want to read from the beginning.
        outcome.series.reverse();
        outcome.jobs.reverse();
        outcome.deliveries.reverse();
        Ok(outcome)
    }

    fn is_settled(&self) -> bool {
        !self.series.is_empty()
            && !self.series.iter().any(|s| matches!(s.state.as_str(), "receiving" | "complete"))
            && !self.jobs.iter().any(|j| matches!(j.state.as_str(), "queued" | "running"))
            && !self.deliveries.iter().any(|d| d.state == "pending")
    }

    /// Parked jobs, with their reason.
    pub fn parked(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().filter(|job| job.state == "parked")
    }
}

pub struct Watch {
    manager: ManagerProxy<'static>,
    signals: Pin<Box<dyn Stream<Item = Heard> + Send>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    /// Listens to signals from now on.
    ///
    /// # Errors
    /// When the box is not on the bus.
    pub async fn new(manager: ManagerProxy<'static>) -> Result<Self> {
        let series = manager.receive_series_changed().await?.filter_map(async |signal| {
            let args = signal.args().ok()?;
            Some(Heard::Series { state: args.state.clone(), instances: args.instances })
        });
        let jobs = manager.receive_job_progress().await?.filter_map(async |signal| {
            let args = signal.args().ok()?;
            Some(Heard::Job { state: args.state.clone(), stage: args.stage.clone(), fraction: args.fraction })
        });
        let deliveries = manager.receive_delivery_changed().await?.filter_map(async |signal| {
            let args = signal.args().ok()?;
            Some(Heard::Delivery { state: args.state.clone(), reason: args.reason.clone() })
        });
        let signals = Box::pin(stream::select(series.boxed(), stream::select(jobs.boxed(), deliveries.boxed())));
        Ok(Self { manager, signals })
    }

    /// Waits until every series has its verdict and every result is delivered. Calls `on` for each signal.
    ///
    /// # Errors
    /// When the time is over or the box has left the bus.
    pub async fn until_settled(&mut self, within: Duration, mut on: impl FnMut(&Heard)) -> Result<Outcome> {
        let begun = Instant::now();
        let mut settled_since = None;
        let mut asked = begun - ASK_EVERY;
        loop {
            if let Ok(Some(heard)) = timeout(ASK_EVERY, self.signals.next()).await {
                on(&heard);
            }
            if asked.elapsed() < ASK_EVERY {
                continue;
            }
            asked = Instant::now();
            let outcome = Outcome::read(&self.manager).await.context("ask the box")?;
            if outcome.is_settled() {
                if settled_since.get_or_insert(asked).elapsed() >= CALM {
                    return Ok(outcome);
                }
            } else {
                settled_since = None;
            }
            if begun.elapsed() > within {
                anyhow::bail!("not finished after {:.0} s: {}", within.as_secs_f64(), outcome.waiting());
            }
        }
    }
}

impl Outcome {
    /// What is not finished, for a message.
    fn waiting(&self) -> String {
        let series = self.series.iter().filter(|s| matches!(s.state.as_str(), "receiving" | "complete")).count();
        let jobs = self.jobs.iter().filter(|j| matches!(j.state.as_str(), "queued" | "running")).count();
        let deliveries: Vec<_> = self.deliveries.iter().filter(|d| d.state == "pending").collect();
        let reason = deliveries.iter().find_map(|d| d.reason.clone()).unwrap_or_default();
        format!("{series} series without verdict, {jobs} jobs, {} deliveries {reason}", deliveries.len())
    }
}
