//! The interval of a support case: what was before, what changed, what was after. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::log::Ends;
use super::record::Recorded;
use super::sight::{Depth, Sight};
use crate::ctl::every::PAGE;
use crate::ctl::scrub::Scrubber;
use crate::doctor::facts::Unit;
use crate::{Caller, Happened};

/// Changes at the beginning and at the end that are kept.
const HALF: usize = 1000;
/// Figures of one reading; more than any box has.
const MOST_FIGURES: usize = 4000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub utc: String,
    pub what: String,
    pub from: String,
    pub to: String,
}

/// What was seen between start and stop.
#[derive(Debug)]
pub struct Course {
    /// As it was known last.
    states: BTreeMap<String, String>,
    owner: Option<String>,
    daemon: &'static str,
    pub changes: Ends<Change>,
    /// As far as a look saw them.
    pub restarts: u32,
    /// The daemon was not there, or did not answer, at one look at least.
    pub was_away: bool,
}

const ANSWERS: &str = "answers";
const SILENT: &str = "does not answer";
const AWAY: &str = "is not on the bus";

fn of_daemon(sight: &Sight) -> &'static str {
    match (&sight.owner, sight.states.is_empty()) {
        (None, _) => AWAY,
        (Some(_), true) => SILENT,
        (Some(_), false) => ANSWERS,
    }
}

impl Course {
    pub fn from(first: &Sight) -> Self {
        let daemon = of_daemon(first);
        Self {
            states: first.states.clone(),
            owner: first.owner.clone(),
            daemon,
            changes: Ends::of(HALF),
            restarts: 0,
            was_away: daemon != ANSWERS,
        }
    }

    pub fn see(&mut self, sight: Sight) {
        let (utc, daemon) = (sight.utc.clone(), of_daemon(&sight));
        let another = sight.owner.is_some() && self.owner.is_some() && sight.owner != self.owner;
        if another {
            self.restarts += 1;
            self.note(&utc, "daemon", self.daemon, "was started again");
        } else if daemon != self.daemon {
            self.note(&utc, "daemon", self.daemon, daemon);
        }
        self.was_away |= daemon != ANSWERS;
        self.daemon = daemon;
        self.owner = sight.owner.or_else(|| self.owner.take());
        // Of a daemon that does not answer nothing is known: that is no change of its states.
        if sight.states.is_empty() {
            return;
        }
        let before = std::mem::replace(&mut self.states, sight.states);
        let names: std::collections::BTreeSet<String> = before.keys().chain(self.states.keys()).cloned().collect();
        for name in names {
            let was = before.get(&name).map_or("", String::as_str);
            let is = self.states.get(&name).cloned().unwrap_or_default();
            if was != is {
                self.note(&utc, &name, was, &is);
            }
        }
    }

    fn note(&mut self, utc: &str, what: &str, from: &str, to: &str) {
        let change = Change { utc: utc.into(), what: what.into(), from: from.into(), to: to.into() };
        self.changes.push(change);
    }
}

/// `name{labels} value` of the text format of Prometheus.
pub fn figures(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let figures = lines.filter_map(|line| line.rsplit_once(' '));
    figures.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).take(MOST_FIGURES).collect()
}

/// Calls that came in between. `None` when one of the lists is not known.
pub fn calls(before: Option<&[Caller]>, after: Option<&[Caller]>) -> Option<Vec<Caller>> {
    let (before, after) = (before?, after?);
    let same = |one: &Caller, other: &Caller| {
        one.calling_ae == other.calling_ae
            && one.called_ae == other.called_ae
            && one.address == other.address
            && one.outcome == other.outcome
    };
    let mut between = Vec::new();
    for caller in after {
        let earlier = before.iter().find(|one| same(one, caller)).map_or(0, |one| one.times);
        // Fewer than before: the entry was forgotten and made anew.
        let times = if caller.times >= earlier { caller.times - earlier } else { caller.times };
        if times > 0 {
            between.push(Caller { times, ..caller.clone() });
        }
    }
    Some(between)
}

/// Events of the interval, oldest first, and whether these are all.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Happenings {
    pub rows: Vec<Happened>,
    pub are_all: bool,
}

/// `before`, `after`: newest first. By the row that was the newest, so that a clock that is set changes nothing; where this row is not
/// known, by time.
pub fn happened(before: Option<&[Happened]>, after: Option<&[Happened]>, started_utc: &str) -> Happenings {
    let Some(after) = after else { return Happenings::default() };
    let (count, are_all) = match before {
        Some([]) => (after.len(), after.len() < PAGE),
        Some([newest, ..]) => match after.iter().position(|row| row == newest) {
            Some(at) => (at, true),
            None => (later(after, started_utc), false),
        },
        None => (later(after, started_utc), false),
    };
    Happenings { rows: after[..count].iter().rev().cloned().collect(), are_all }
}

fn later(rows: &[Happened], utc: &str) -> usize {
    rows.iter().take_while(|row| row.utc.as_str() >= utc).count()
}

pub fn differences(before: Option<&BTreeMap<String, f64>>, after: Option<&BTreeMap<String, f64>>) -> Vec<Value> {
    let names = before.into_iter().chain(after).flat_map(BTreeMap::keys);
    let names: std::collections::BTreeSet<&String> = names.collect();
    let row = |name: &&String| {
        let of = |all: Option<&BTreeMap<String, f64>>| all.and_then(|all| all.get(*name)).copied();
        let (before, after) = (of(before), of(after));
        let difference = before.zip(after).map(|(before, after)| after - before);
        json!({ "figure": name, "before": before, "after": after, "difference": difference })
    };
    names.iter().map(row).collect()
}

/// Reasons may quote what a peer said; the other states are words of ours.
fn state(scrubber: &Scrubber, name: &str, value: &str) -> String {
    if name.ends_with("reason") { scrubber.foreign(value) } else { scrubber.known(value) }
}

fn seen(depth: &Depth, scrubber: &Scrubber) -> Value {
    let states = &depth.sight.states;
    let states: Vec<Value> =
        states.iter().map(|(name, value)| json!({ "what": name, "is": state(scrubber, name, value) })).collect();
    json!({ "utc": depth.sight.utc, "daemon": of_daemon(&depth.sight), "states": states,
            "unit": depth.unit.as_ref().map(unit) })
}

fn unit(one: &Unit) -> Value {
    json!({ "active": one.active, "sub": one.sub, "result": one.result, "exit_status": one.exit_status, "restarts": one.restarts })
}

/// The short form, for `--json` and the summary.
pub fn summary(recorded: &Recorded) -> Value {
    let calls = recorded.calls();
    let count = |accepted: bool| {
        calls.as_ref().map(|calls| {
            calls.iter().filter(|one| (one.outcome == "accepted") == accepted).map(|one| one.times).sum::<u64>()
        })
    };
    json!({
        "code": recorded.code, "started_utc": recorded.started_utc, "stopped_utc": recorded.stopped_utc,
        "seconds": recorded.seconds.round(), "ended_by": recorded.ended_by.as_str(),
        "markers": { "start": recorded.start.as_json(), "stop": recorded.stop.as_json() },
        "daemon_at_start": of_daemon(&recorded.before.sight), "daemon_at_stop": of_daemon(&recorded.after.sight),
        "daemon_was_away": recorded.course.was_away, "restarts_seen": recorded.course.restarts,
        "restarts_by_systemd": recorded.restarts_by_systemd(),
        "associations_accepted": count(true), "associations_refused": count(false),
        "events": recorded.after.events.as_ref().map(|_| recorded.happened().rows.len()),
        "log_lines": recorded.log.as_ref().map(|lines| lines.iter().count()),
    })
}

/// `interval.json`.
pub fn json(recorded: &Recorded, scrubber: &Scrubber) -> Value {
    let changes = recorded.course.changes.iter().map(|one| {
        let of = |value: &str| state(scrubber, &one.what, value);
        json!({ "utc": one.utc, "what": one.what, "from": of(&one.from), "to": of(&one.to) })
    });
    let calls = recorded.calls().map(|calls| {
        let row = |one: &Caller| {
            json!({ "calling_ae": one.calling_ae, "called_ae": one.called_ae, "address": one.address,
                    "outcome": one.outcome, "times": one.times, "last_utc": one.last_utc })
        };
        calls.iter().map(row).collect::<Vec<_>>()
    });
    json!({
        "summary": summary(recorded),
        // The clock was set by so much.
        "clock_moved_seconds": recorded.clock_moved_seconds(),
        "before": seen(&recorded.before, scrubber), "after": seen(&recorded.after, scrubber),
        "changes": changes.collect::<Vec<_>>(), "changes_left_out": recorded.course.changes.left_out,
        "associations": calls,
        "events_are_all": recorded.happened().are_all,
        "log_lines_left_out": recorded.log.as_ref().map(|lines| lines.left_out),
        "metrics": differences(recorded.before.metrics.as_ref(), recorded.after.metrics.as_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(owner: Option<&str>, level: &str) -> Sight {
        let states = owner.map(|_| BTreeMap::from([("level".to_owned(), level.to_owned())])).unwrap_or_default();
        Sight { utc: "t".into(), owner: owner.map(str::to_owned), states }
    }

    fn told(course: &Course) -> Vec<String> {
        course.changes.iter().map(|one| format!("{} {} -> {}", one.what, one.from, one.to)).collect()
    }

    #[test]
    fn a_daemon_that_goes_and_comes_back_is_told_and_its_states_are_compared_over_the_gap() {
        let mut course = Course::from(&sight(Some(":1"), "full"));
        for next in [sight(Some(":1"), "full"), sight(None, ""), sight(None, ""), sight(Some(":2"), "reduced")] {
            course.see(next);
        }
        assert_eq!(
            told(&course),
            [
                "daemon answers -> is not on the bus",
                "daemon is not on the bus -> was started again",
                "level full -> reduced"
            ]
        );
        assert_eq!((course.restarts, course.was_away), (1, true));
    }

    #[test]
    fn a_restart_between_two_looks_is_seen_and_one_that_hangs_is_not_taken_for_gone() {
        let mut course = Course::from(&sight(Some(":1"), "full"));
        course.see(sight(Some(":7"), "full"));
        assert_eq!((course.restarts, course.was_away), (1, false));
        course.see(Sight { owner: Some(":7".into()), ..Sight::default() });
        assert_eq!(told(&course)[1], "daemon answers -> does not answer");
        assert!(course.was_away);
    }

    #[test]
    fn states_that_change_without_end_take_no_more_than_their_share() {
        let mut course = Course::from(&sight(Some(":1"), "0"));
        (1..=3 * HALF).for_each(|number| course.see(sight(Some(":1"), &number.to_string())));
        assert_eq!((course.changes.iter().count(), course.changes.left_out), (2 * HALF, HALF as u64));
    }

    #[test]
    fn figures_have_their_differences_and_one_that_is_not_known_has_none() {
        let before = figures("# HELP a b\nscanside_jobs{state=\"parked\"} 1\nscanside_level 0\n");
        let after = figures("scanside_jobs{state=\"parked\"} 4\nscanside_new 2\n");
        let rows = differences(Some(&before), Some(&after));
        assert_eq!(rows[0]["difference"], 3.0);
        assert_eq!(
            (&rows[1]["after"], &rows[2]["before"], &rows[2]["difference"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
    }

    fn caller(ae: &str, outcome: &str, times: u64) -> Caller {
        let text = String::new;
        Caller {
            calling_ae: ae.into(),
            called_ae: text(),
            address: text(),
            outcome: outcome.into(),
            reason: text(),
            times,
            first_utc: text(),
            last_utc: text(),
        }
    }

    #[test]
    fn only_calls_of_the_interval_count() {
        let before = [caller("CT1", "accepted", 5), caller("CT1", "called-ae-wrong", 2), caller("MR", "accepted", 9)];
        let after = [
            caller("CT1", "accepted", 7),
            caller("CT1", "called-ae-wrong", 2),
            caller("MR", "accepted", 1),
            caller("XX", "calling-ae-unknown", 3),
        ];
        let between = calls(Some(&before), Some(&after)).unwrap();
        let told: Vec<_> = between.iter().map(|one| (one.calling_ae.as_str(), one.times)).collect();
        assert_eq!(told, [("CT1", 2), ("MR", 1), ("XX", 3)]);
        assert_eq!(calls(None, Some(&after)), None, "nobody knows what was before");
    }

    #[test]
    fn events_are_cut_by_the_row_that_was_the_newest_and_not_by_the_clock() {
        let row = |utc: &str, what: &str| Happened {
            utc: utc.into(),
            subject: "s".into(),
            what: what.into(),
            detail: String::new(),
        };
        let old = [row("2030", "old")];
        // The clock was set back by years in between.
        let after = [row("2026", "second"), row("2026", "first"), row("2030", "old"), row("2029", "older")];
        let cut = happened(Some(&old), Some(&after), "2030");
        let names: Vec<_> = cut.rows.iter().map(|row| row.what.as_str()).collect();
        assert_eq!((names, cut.are_all), (vec!["first", "second"], true));
        let unknown = happened(None, Some(&after[2..]), "2030");
        assert_eq!((unknown.rows.len(), unknown.are_all), (1, false));
        assert_eq!(happened(Some(&[]), None, ""), Happenings::default());
    }
}
