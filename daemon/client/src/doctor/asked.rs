//! Which lists the daemon was asked for, and which it did not give: what hangs on one of those is not looked at. An empty
//! list would say that there is nothing.

use serde::Serialize;

use super::text::{Text, both};
use super::{Checked, Facts, not_looked};

/// A list of the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum List {
    AeTitles,
    Senders,
    Callers,
    /// Who sent, and when.
    Sent,
    Deliveries,
    ParkedJobs,
    Models,
    SetAside,
    Events,
    Studies,
    Retention,
}

impl Facts {
    /// Whether the daemon gave all of these.
    pub(super) fn has(&self, lists: &[List]) -> bool {
        lists.iter().all(|list| !self.unanswered.contains(list))
    }
}

/// Whether the daemon gave all of these; otherwise the area is told as not looked at.
pub(super) fn given(facts: &Facts, lists: &[List], area: Text, checked: &mut Vec<Checked>) -> bool {
    let has = facts.has(lists);
    if !has {
        not_looked(
            checked,
            area,
            both!("the daemon did not answer in time, or could not", "守护进程未及时答复或无法答复"),
        );
    }
    has
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::judge;
    use crate::doctor::tests::healthy;

    #[test]
    fn a_list_that_the_daemon_did_not_give_is_not_taken_for_an_empty_one() {
        let mut facts = healthy();
        facts.unanswered = vec![List::Callers, List::Sent, List::Models, List::SetAside, List::Deliveries];
        (facts.models, facts.callers, facts.sent) = Default::default();
        let report = judge(&facts);
        assert_eq!(report.findings, [], "nothing is known of it");
        let blind: Vec<_> = report.checked.iter().filter(|one| !one.done).map(|one| one.area.en.as_str()).collect();
        assert_eq!(blind, ["quarantine", "senders", "outbox", "models", "habits"]);
        facts.unanswered.clear();
        assert_eq!(judge(&facts).findings[0].code, "model-missing", "the daemon says that there is none");
    }
}
