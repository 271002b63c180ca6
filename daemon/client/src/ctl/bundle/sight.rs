//! The box as one look sees it. A daemon that is not there is not asked: asking would start it (D-Bus activation).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;
use zbus::proxy::CacheProperties;

use super::interval::figures;
use crate::ctl::{self, examine};
use crate::doctor::facts::Unit;
use crate::{Caller, Destination, Happened, Live, LiveProxy, ManagerProxy, Options, Status};

/// A daemon that takes longer for one look does not answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Of one state; a reason may quote much.
const LONGEST: usize = 500;

/// What may change while somebody reproduces trouble.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    pub utc: String,
    /// The name that the bus gave the daemon; another one after a restart.
    pub owner: Option<String>,
    /// By name; empty when the daemon did not answer.
    pub states: BTreeMap<String, String>,
}

/// What is asked at both ends of the interval. `None`: it was not answered.
#[derive(Debug, Default)]
pub struct Depth {
    pub sight: Sight,
    pub callers: Option<Vec<Caller>>,
    pub metrics: Option<BTreeMap<String, f64>>,
    /// Newest first.
    pub events: Option<Vec<Happened>>,
    pub unit: Option<Unit>,
}

/// The daemon, if somebody has its name.
pub struct There {
    pub owner: String,
    connection: zbus::Connection,
    pub manager: ManagerProxy<'static>,
}

pub async fn daemon(bus: &str) -> Option<There> {
    let found = async {
        let connection = crate::connect(bus).await.ok()?;
        let owner = ctl::owner(&connection).await.ok()?.to_string();
        let manager = ManagerProxy::builder(&connection).cache_properties(CacheProperties::No).build().await.ok()?;
        Some(There { owner, connection, manager })
    };
    timeout(ANSWER, found).await.ok()?
}

pub async fn look(bus: &str) -> Sight {
    let there = daemon(bus).await;
    of(there.as_ref()).await
}

async fn of(there: Option<&There>) -> Sight {
    let utc = hal::clock::now_utc();
    let Some(there) = there else { return Sight { utc, ..Sight::default() } };
    let states = timeout(ANSWER, read(there)).await.ok().and_then(Result::ok).unwrap_or_default();
    Sight { utc, owner: Some(there.owner.clone()), states }
}

async fn read(there: &There) -> zbus::Result<BTreeMap<String, String>> {
    let status = Status::read(&there.manager).await?;
    let destinations = there.manager.list_destinations(Options::new()).await.unwrap_or_default();
    let live = LiveProxy::builder(&there.connection).cache_properties(CacheProperties::No).build().await?;
    Ok(states(&status, Live::read(&live).await.ok().as_ref(), &destinations))
}

/// `events`: how many of the newest.
pub async fn deep(bus: &str, events: u32) -> Depth {
    let there = daemon(bus).await;
    let mut depth = Depth { sight: of(there.as_ref()).await, ..Depth::default() };
    // Only the system bus belongs to the unit.
    if bus == "system" {
        depth.unit = examine::unit().await;
    }
    if let Some(There { manager, .. }) = &there {
        let limit = Options::from([("limit", events.into())]);
        depth.callers = answer(manager.list_callers(Options::new())).await;
        depth.metrics = answer(manager.show_metrics()).await.map(|text| figures(&text));
        depth.events = answer(manager.list_events(limit)).await;
    }
    depth
}

async fn answer<T>(call: impl Future<Output = zbus::Result<T>>) -> Option<T> {
    timeout(ANSWER, call).await.ok()?.ok()
}

/// Pure. What counts instances goes on changing and is in the metrics.
fn states(status: &Status, live: Option<&Live>, destinations: &[Destination]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut put = |name: &str, value: String| all.insert(name.to_owned(), value.chars().take(LONGEST).collect());
    put("level", status.level.clone());
    put("level reason", status.level_reason.clone());
    put("heat", status.heat.clone());
    put("heat reason", status.heat_reason.clone().unwrap_or_default());
    // The configured one, and why networks do not run on it.
    put("accelerator reason", status.accelerator.clone());
    let (running, queued, parked) = (status.jobs_running, status.jobs_queued, status.jobs_parked);
    put("jobs", format!("{running} running, {queued} queued, {parked} parked"));
    put("outbox", waiting(status.deliveries_pending, status.deliveries_held, status.deliveries_parked));
    put("quarantine", format!("{} objects", status.quarantined));
    put("steps", format!("{} waiting, {} parked", status.steps_waiting, status.steps_parked));
    put("steps reason", status.steps_reason.clone().unwrap_or_default());
    put("priors", format!("{} waiting, {} in vain", status.priors_waiting, status.priors_in_vain));
    put("priors reason", status.priors_reason.clone().unwrap_or_default());
    put("tasks", format!("{} open", status.tasks_open));
    put("tasks reason", status.tasks_reason.clone().unwrap_or_default());
    put("notices", format!("{} waiting, {} parked", status.notices_waiting, status.notices_parked));
    put("notices reason", status.notices_reason.clone().unwrap_or_default());
    for one in destinations {
        put(&format!("destination {}", one.name), waiting(one.pending, one.held, one.parked));
        put(&format!("destination {} reason", one.name), one.reason.clone().unwrap_or_default());
    }
    if let Some(live) = live {
        put("live", live.sign.clone());
        put("live reason", live.reason.clone().unwrap_or_default());
        put("live exam", if live.exam.is_some() { "runs" } else { "none" }.to_owned());
        put("live recording", live.recording.clone());
        put("live recording reason", live.recording_reason.clone().unwrap_or_default());
    }
    all
}

fn waiting(pending: u32, held: u32, parked: u32) -> String {
    format!("{pending} waiting, {held} held, {parked} parked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_has_archives_capture_and_accelerator_and_a_reason_has_its_end() {
        let status = Status { level: "full".into(), accelerator: "x".repeat(2000), ..Status::default() };
        let pacs =
            Destination { name: "pacs".into(), parked: 2, reason: Some("full".into()), ..Destination::default() };
        let live = Live { sign: "no_signal".into(), ..Live::default() };
        let seen = states(&status, Some(&live), &[pacs]);
        assert_eq!(seen["destination pacs"], "0 waiting, 0 held, 2 parked");
        assert_eq!((seen["destination pacs reason"].as_str(), seen["live"].as_str()), ("full", "no_signal"));
        assert_eq!(seen["accelerator reason"].len(), LONGEST);
    }
}
