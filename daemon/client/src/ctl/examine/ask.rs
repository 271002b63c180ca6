//! The lists of the daemon. Each that it does not give is named as such: the doctor must not take it for an empty one.

use std::future::Future;
use std::time::Duration;

use dicom::test_object;
use models::lesion::due::Standing;
use study::lesions::listed::RecallRow;
use tokio::time::{Instant, timeout_at};

use super::ANSWER;
use crate::doctor::Facts;
use crate::doctor::asked::List;
use crate::doctor::facts::Recalls;
use crate::doctor::retained::Retained;
use crate::{ManagerProxy, Options, Study};

/// Studies of which the rate is made, and other rows that are looked at.
const MOST_STUDIES: u32 = 300;
const MOST_ROWS: u32 = 1000;

struct Asking {
    until: Instant,
    unanswered: Vec<List>,
}

impl Asking {
    fn for_a(span: Duration) -> Self {
        Self { until: Instant::now() + span, unanswered: Vec::new() }
    }

    /// Empty, and named so, when there is no answer until then, or an error.
    async fn get<T: Default>(&mut self, list: List, call: impl Future<Output = zbus::Result<T>>) -> T {
        match timeout_at(self.until, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => {
                if !self.unanswered.contains(&list) {
                    self.unanswered.push(list);
                }
                T::default()
            }
        }
    }
}

/// What the daemon says of itself: first what the gravest findings hang on. What it has to count through large tables for
/// comes last and has a time of its own.
pub async fn all(manager: &ManagerProxy<'_>, facts: &mut Facts) {
    let mut asking = Asking::for_a(ANSWER);
    let state = |state: &'static str| Options::from([("state", state.into()), ("limit", MOST_ROWS.into())]);
    let most = |limit: u32| Options::from([("limit", limit.into())]);
    facts.models = asking.get(List::Models, manager.list_models(Options::new())).await;
    facts.ae_titles = asking.get(List::AeTitles, manager.ae_titles()).await;
    facts.senders = asking.get(List::Senders, manager.senders()).await;
    facts.callers = asking.get(List::Callers, manager.list_callers(Options::new())).await;
    for wanted in ["pending", "parked", "held"] {
        facts.deliveries.extend(asking.get(List::Deliveries, manager.list_deliveries(state(wanted))).await);
    }
    facts.queues = asking.get(List::Deliveries, manager.list_destinations(Options::new())).await;
    facts.parked_jobs = asking.get(List::ParkedJobs, manager.list_jobs(state("parked"))).await;
    facts.set_aside = asking.get(List::SetAside, manager.list_quarantine(most(MOST_ROWS))).await;
    let events = asking.get(List::Events, manager.list_events(most(1))).await;
    facts.clock.newest_row_utc = events.into_iter().next().map(|event| event.utc);
    match timeout_at(asking.until, manager.list_recalls(Options::new())).await {
        Ok(Ok(json)) => match recalls(&json) {
            Ok(recalls) => facts.recalls = Some(recalls),
            Err(why) => facts.unread_recalls = Some(why),
        },
        Ok(Err(error)) => facts.unread_recalls = Some(error.to_string()),
        Err(_) => facts.unread_recalls = Some("no answer in time".to_owned()),
    }
    let studies = asking.get(List::Studies, manager.list_studies(most(MOST_STUDIES))).await;
    // The acceptance test fills no disk at the rate of a scanner.
    let of_scanner = |study: &Study| ![test_object::SENT, test_object::STAYS].contains(&study.patient_id.trim());
    facts.studies_utc = studies.into_iter().filter(of_scanner).map(|study| study.first_utc).collect();

    let mut slow = Asking::for_a(ANSWER);
    let told = slow.get(List::Retention, manager.show_retention(most(1))).await;
    facts.retention = serde_json::from_str(&told).ok().map(|told| Retained::from(&told));
    let mut slower = Asking::for_a(ANSWER);
    facts.sent = slower.get(List::Sent, manager.list_senders(Options::new())).await;
    facts.unanswered = [asking.unanswered, slow.unanswered, slower.unanswered].concat();
}

/// Numbers only: the facts go into the bundle, too.
fn recalls(json: &str) -> Result<Recalls, String> {
    // The error may quote a row, which names a patient.
    let mut rows: Vec<RecallRow> =
        serde_json::from_str(json).map_err(|_| "the list is not what this version understands".to_owned())?;
    rows.retain(|row| !row.simulated);
    let count = |rows: usize| u32::try_from(rows).unwrap_or(u32::MAX);
    let overdue: Vec<u32> =
        rows.iter().filter(|row| row.standing == Standing::Overdue).map(|row| row.days.unsigned_abs()).collect();
    let longest_days = overdue.iter().copied().max().unwrap_or_default();
    let moved = rows.iter().filter(|row| row.standing == Standing::Moved).count();
    Ok(Recalls { open: count(rows.len()), overdue: count(overdue.len()), longest_days, moved: count(moved) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_list_that_hangs_takes_those_after_it_with_it_and_none_is_called_empty() {
        let mut asking = Asking::for_a(Duration::from_millis(50));
        let one: Vec<u32> = asking.get(List::Models, async { Ok(vec![1]) }).await;
        let hangs: Vec<u32> = asking.get(List::Callers, std::future::pending()).await;
        let after: Vec<u32> = asking.get(List::Studies, std::future::pending()).await;
        let failed: Vec<u32> = asking.get(List::Events, async { Err(zbus::Error::InvalidReply) }).await;
        assert_eq!((one, [hangs, after, failed].concat()), (vec![1], vec![]));
        assert_eq!(asking.unanswered, [List::Callers, List::Studies, List::Events]);
    }
}
