//! What is kept and what goes next, told without doing it: by the same rules in the same order as `quota` applies them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::error::{At, Result};
use super::quota::{self, Candidate, Rules, What as Goes};
use super::{LOG, Shared};
use crate::retention::{Because, Besides, Forecast, Kept, Next, Other, Policy, Retention, What, Why};
use crate::store::kept::{self, Sum};
use crate::store::places::{self, Content, Place};
use crate::store::{Durability, holds, utc_before};

/// Days of which the present intake is taken, and the least of which one is.
const OBSERVED: f64 = 14.0;
const LEAST_OBSERVED: f64 = 1.0;
const DAY_SECS: f64 = 86_400.0;

/// `most`: of the studies that go next.
pub(super) fn told(shared: &Shared, most: usize) -> Result<Retention> {
    let mut connection = shared.store.connect(Durability::Rebuildable)?;
    // One moment for all questions.
    let reading = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Deferred)?;
    let now = crate::store::now_utc();
    let disk = shared.disk()?;
    let expired_before = shared.expired_before();
    let policy = Policy {
        evict_below_bytes: shared.evict_below,
        min_free_bytes: shared.min_free,
        keep_days: shared.keep_days,
        ages_count: shared.keep_days == 0 || expired_before.is_some(),
        segment_bytes: shared.segment_size,
    };
    let (contents, exams) = quota::judged(&reading, &now)?;
    let candidates = quota::candidates(quota::by_place(contents.clone()), exams);
    let rules =
        Rules { free: disk.free_bytes, evict_below: shared.evict_below, expired_before: expired_before.as_deref() };
    let (mut next, forecast) =
        (plan(&reading, &contents, &candidates, &rules)?, forecast(&reading, &policy, &rules, &candidates, &now)?);
    let next_left_out = next.len().saturating_sub(most);
    next.truncate(most);
    Ok(Retention {
        policy,
        disk,
        kept: kept(&reading, &contents, &candidates)?,
        besides: besides(shared)?,
        forecast,
        next,
        next_left_out,
        holds: holds::all(&reading)?,
    })
}

/// What keeps this; nothing, if only its neighbours do. Pure.
fn why(content: &Content, to_be_sent: &HashSet<i64>) -> Why {
    if content.held {
        Why::Held
    } else if quota::finished(content) {
        Why::Evictable
    } else if content.open_jobs > 0 {
        Why::InWork
    } else if content.undelivered > 0 {
        if to_be_sent.contains(&content.newest_id) { Why::Undelivered } else { Why::Uncommitted }
    } else {
        Why::Unfinished
    }
}

fn kept(connection: &Connection, contents: &[Content], candidates: &[Candidate]) -> Result<Vec<Kept>> {
    let free: BTreeSet<&Place> = candidates
        .iter()
        .filter_map(|candidate| match &candidate.what {
            Goes::Place(place) => Some(place),
            Goes::Exam(..) => None,
        })
        .collect();
    let to_be_sent = places::to_be_sent(connection)?;
    let mut sums: BTreeMap<(What, Why), Sum> = BTreeMap::new();
    let mut add = |key: (What, Why), (count, bytes): Sum| {
        let sum = sums.entry(key).or_default();
        *sum = (sum.0 + count, sum.1 + bytes);
    };
    for content in contents {
        let why = match why(content, &to_be_sent) {
            Why::Evictable if !free.contains(&content.place) => Why::Neighbours,
            why => why,
        };
        add((What::Objects, why), (content.objects, content.bytes));
    }
    let open = kept::in_open_segment(connection)?;
    if open.0 > 0 {
        add((What::Objects, Why::OpenSegment), open);
    }
    for (why, sum) in kept::results(connection)? {
        add((What::Results, why), sum);
    }
    Ok(sums.into_iter().map(|((what, why), (count, bytes))| Kept { what, why, count, bytes }).collect())
}

/// Studies in the order in which the first of each goes.
fn plan(
    connection: &Connection,
    contents: &[Content],
    candidates: &[Candidate],
    rules: &Rules<'_>,
) -> Result<Vec<Next>> {
    let mut at: BTreeMap<&Place, Vec<&Content>> = BTreeMap::new();
    for content in contents {
        at.entry(&content.place).or_default().push(content);
    }
    let now = quota::choose(candidates.to_vec(), rules).len();
    let mut order: Vec<Next> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let expired = rules.expired_before.is_some_and(|before| candidate.newest_utc.as_str() <= before);
        let because = if expired { Because::Age } else { Because::Space };
        let parts: Vec<(&str, &str, u64, u64)> = match &candidate.what {
            Goes::Place(place) => at
                .get(place)
                .into_iter()
                .flatten()
                .map(|content| {
                    (content.study_uid.as_str(), content.newest_utc.as_str(), content.objects, content.bytes)
                })
                .collect(),
            Goes::Exam(_, study_uid) => vec![(study_uid, &candidate.newest_utc, 0, 0)],
        };
        for (study_uid, newest_utc, objects, bytes) in parts {
            let index_of = *known.entry(study_uid.to_owned()).or_insert_with(|| {
                order.push(Next {
                    study_uid: study_uid.to_owned(),
                    newest_utc: String::new(),
                    objects: 0,
                    bytes: 0,
                    results_bytes: 0,
                    whole: false,
                    now: index < now,
                    because,
                });
                order.len() - 1
            });
            let next = &mut order[index_of];
            next.objects += objects;
            next.bytes += bytes;
            next.newest_utc = std::mem::take(&mut next.newest_utc).max(newest_utc.to_owned());
        }
    }
    let (objects, results) = (kept::objects_of_studies(connection)?, kept::results_of_studies(connection)?);
    for next in &mut order {
        next.whole = objects.get(&next.study_uid).copied().unwrap_or_default() <= next.bytes;
        next.results_bytes = results.get(&next.study_uid).copied().filter(|_| next.whole).unwrap_or_default();
    }
    Ok(order)
}

fn forecast(
    connection: &Connection,
    policy: &Policy,
    rules: &Rules<'_>,
    candidates: &[Candidate],
    now: &str,
) -> Result<Forecast> {
    let since = utc_before(std::time::Duration::from_secs_f64(OBSERVED * DAY_SECS));
    let (bytes, first) = kept::came_since(connection, &since, now)?;
    let observed_days = first.and_then(|first| days_between(&first, now)).unwrap_or_default().min(OBSERVED);
    let per_day = (observed_days >= LEAST_OBSERVED).then(|| bytes as f64 / observed_days);
    let oldest = candidates.first().and_then(|candidate| days_between(&candidate.newest_utc, now));
    let (days_left, because) = begins(policy, rules.free, per_day, oldest);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes per day are some GiB")]
    let bytes_per_day = per_day.map(|bytes| bytes as u64);
    Ok(Forecast { bytes_per_day, observed_days, days_left, because })
}

/// Days until eviction begins, and by what. `oldest`: days for which what goes first is here. Pure.
fn begins(policy: &Policy, free: u64, per_day: Option<f64>, oldest: Option<f64>) -> (Option<f64>, Option<Because>) {
    let spare = free.saturating_sub(policy.evict_below_bytes) as f64;
    let by_space = if free < policy.evict_below_bytes {
        Some(0.0)
    } else {
        per_day.filter(|bytes| *bytes >= 1.0).map(|bytes| spare / bytes)
    };
    let by_age = oldest.filter(|_| policy.keep_days > 0).map(|days| (f64::from(policy.keep_days) - days).max(0.0));
    match (by_space, by_age) {
        (Some(space), Some(age)) if age <= space => (Some(age), Some(Because::Age)),
        (Some(space), _) => (Some(space), Some(Because::Space)),
        (None, Some(age)) => (Some(age), Some(Because::Age)),
        (None, None) => (None, None),
    }
}

fn days_between(earlier: &str, later: &str) -> Option<f64> {
    let (earlier, later): (jiff::Timestamp, jiff::Timestamp) = (earlier.parse().ok()?, later.parse().ok()?);
    Some((later.duration_since(earlier).as_secs_f64() / DAY_SECS).max(0.0))
}

fn besides(shared: &Shared) -> Result<Vec<Besides>> {
    let mut sums: BTreeMap<Other, Sum> = BTreeMap::new();
    let mut add = |what: Other, count: u64, bytes: u64| {
        let sum = sums.entry(what).or_default();
        *sum = (sum.0 + count, sum.1 + bytes);
    };
    for entry in fs::read_dir(&shared.directory).at(&shared.directory)?.flatten() {
        let Ok(facts) = entry.metadata() else { continue };
        match entry.file_name().to_str() {
            Some("exams") => {
                for exam in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                    add(Other::Recordings, 1, size(&exam.path()));
                }
            }
            Some("audit") => add(Other::AuditTrail, 1, size(&entry.path())),
            _ if facts.is_file() => add(Other::Database, 1, facts.len()),
            _ => {}
        }
    }
    for entry in fs::read_dir(shared.directory.join(LOG)).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "spare") {
            add(Other::ReadySegments, 1, size(&entry.path()));
        }
    }
    Ok(sums.into_iter().map(|(what, (count, bytes))| Besides { what, count, bytes }).collect())
}

/// Bytes of a file, or of all files below a folder. What goes away meanwhile does not count.
fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(facts) if facts.is_dir() => {
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
        }
        Ok(facts) => facts.len(),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eviction_begins_with_whatever_comes_first() {
        let policy = |keep_days| Policy {
            evict_below_bytes: 10,
            min_free_bytes: 1,
            keep_days,
            ages_count: true,
            segment_bytes: 1,
        };
        let space = Some(Because::Space);
        assert_eq!(begins(&policy(0), 30, Some(4.0), Some(100.0)), (Some(5.0), space));
        assert_eq!(begins(&policy(0), 9, None, None), (Some(0.0), space), "it has begun");
        assert_eq!(begins(&policy(0), 30, None, Some(100.0)), (None, None), "nothing is known of the intake");
        assert_eq!(begins(&policy(0), 30, Some(0.0), None), (None, None), "nothing comes");
        assert_eq!(begins(&policy(90), 30, Some(4.0), Some(88.0)), (Some(2.0), Some(Because::Age)));
        assert_eq!(begins(&policy(90), 30, Some(4.0), Some(95.0)), (Some(0.0), Some(Because::Age)));
        assert_eq!(begins(&policy(90), 30, Some(4.0), Some(1.0)), (Some(5.0), space));
        assert_eq!(begins(&policy(90), 30, None, Some(1.0)), (Some(89.0), Some(Because::Age)));
    }
}
