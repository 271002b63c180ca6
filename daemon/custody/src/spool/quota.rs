//! Retention: which bytes may be evicted. Oldest first, and only instances whose series is concluded and delivered.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};

use super::error::Result;
use super::{Evicted, Shared, segment};
use crate::store::instances::InstanceState;
use crate::store::places::{self, Content, Place};
use crate::store::{self, Durability, events, results, segments};

/// What could be freed.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) what: What,
    pub(super) newest_utc: String,
    pub(super) bytes: u64,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// Instances, with the results of their series.
    Place(Place),
    /// The results of an exam that was recorded here, by the row of its series, and its study. It has no instances.
    Exam(i64, String),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) free: u64,
    pub(super) evict_below: u64,
    /// Content not newer than this is evicted even when there is enough space.
    pub(super) expired_before: Option<&'a str>,
}

/// Whether these instances are no longer needed: their series has a verdict and every result was delivered. Quarantined
/// instances were refused to their sender and are kept for inspection only. What a person holds stays in every state.
pub(super) fn finished(content: &Content) -> bool {
    if content.held || content.names_large {
        return false;
    }
    match content.state {
        InstanceState::Evicted | InstanceState::Quarantined | InstanceState::Replaced => true,
        InstanceState::Kept | InstanceState::Conflict | InstanceState::Damaged => {
            let concluded = matches!(content.series_state.as_deref(), Some("processed" | "refused" | "evicted"));
            concluded && content.open_jobs == 0 && content.undelivered == 0
        }
    }
}

/// A place can be freed when all of its content is finished; an exam comes here only when it is. Oldest first, by times
/// that `arrivals` has mended.
pub(super) fn candidates(places: BTreeMap<Place, Vec<Content>>, exams: Vec<results::Exam>) -> Vec<Candidate> {
    let places = places.into_iter().filter(|(_, contents)| contents.iter().all(finished));
    let places = places.map(|(place, contents)| Candidate {
        what: What::Place(place),
        newest_utc: contents.iter().map(|content| content.newest_utc.clone()).max().unwrap_or_default(),
        bytes: contents.iter().map(|content| content.bytes).sum(),
    });
    let exams = exams.into_iter().map(|exam| Candidate {
        what: What::Exam(exam.series_id, exam.study_uid),
        newest_utc: exam.newest_utc,
        bytes: exam.bytes,
    });
    let mut candidates: Vec<_> = places.chain(exams).collect();
    candidates.sort_by(|a, b| a.newest_utc.cmp(&b.newest_utc));
    candidates
}

/// All expired candidates, and as many others as are needed until `evict_below` bytes are free.
pub(super) fn choose(candidates: Vec<Candidate>, rules: &Rules<'_>) -> Vec<Candidate> {
    let mut free = rules.free;
    let mut chosen = Vec::new();
    for candidate in candidates {
        let expired = rules.expired_before.is_some_and(|before| candidate.newest_utc.as_str() <= before);
        if expired || free < rules.evict_below {
            free = free.saturating_add(candidate.bytes);
            chosen.push(candidate);
        }
    }
    chosen
}

/// Applies the rules. The rows are changed and synced first, then the bytes are removed: a power cut between the two
/// leaves a segment without rows, which the next start removes.
pub(super) fn evict(shared: &Arc<Shared>) -> Result<Evicted> {
    apply(shared, shared.evict_below)
}

/// `evict_below` in bytes.
pub(super) fn apply(shared: &Arc<Shared>, evict_below: u64) -> Result<Evicted> {
    let _one_at_a_time = shared.evicting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let free = shared.free_bytes()?;
    let expired_before = shared.expired_before();
    let rules = Rules { free, evict_below, expired_before: expired_before.as_deref() };
    if rules.free >= rules.evict_below && rules.expired_before.is_none() {
        return Ok(Evicted::default());
    }
    let mut connection = shared.store.connect(Durability::Full)?;
    let now = store::now_utc();
    let (mut contents, exams) = judged(&connection, &now)?;
    contents.extend(places::empty_segments(&connection, shared.segment_size)?);
    let mut chosen = choose(candidates(by_place(contents), exams), &rules);
    let mut evicted = Evicted::default();
    // Results may be left of what went before: they were waited for then.
    while !shared.shelf.is_stopped() && (!chosen.is_empty() || !results::jobs_of_evicted(&connection)?.is_empty()) {
        let some = evict_some(shared, &mut connection, next_of(&mut chosen))?;
        evicted.instances += some.instances;
        evicted.bytes += some.bytes;
    }
    Ok(evicted)
}

/// So many places, and the results of so many jobs, go in one transaction: whoever sends waits for it.
const AT_ONCE: usize = 16;

/// Takes the next ones out.
fn next_of(chosen: &mut Vec<Candidate>) -> Vec<Candidate> {
    chosen.drain(..chosen.len().min(AT_ONCE)).collect()
}

fn evict_some(shared: &Arc<Shared>, connection: &mut Connection, mut chosen: Vec<Candidate>) -> Result<Evicted> {
    // Nobody can write to the database from here on, so only what was chosen is looked at again.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    still_finished(&transaction, &mut chosen)?;
    chosen.retain(|candidate| match candidate.what {
        What::Place(Place::Segment(number)) => shared.leases.retire(number),
        What::Place(Place::File(_)) | What::Exam(..) => true,
    });
    let marked = mark(&transaction, &chosen).and_then(|marked| {
        transaction.commit()?;
        Ok(marked)
    });
    let (instances, folders) = match marked {
        Ok(marked) => marked,
        Err(error) => {
            for candidate in &chosen {
                if let What::Place(Place::Segment(number)) = candidate.what {
                    shared.leases.keep(number);
                }
            }
            return Err(error);
        }
    };
    for candidate in &chosen {
        if let What::Place(place) = &candidate.what {
            remove(shared, place);
        }
    }
    for folder in folders {
        remove_results(shared, &folder);
    }
    if !chosen.is_empty() {
        segment::sync_directory(&shared.log)?;
    }
    Ok(Evicted { instances, bytes: chosen.iter().map(|candidate| candidate.bytes).sum() })
}

/// Takes out what is not finished any more: a late image, a rerun, a hold came meanwhile.
pub(super) fn still_finished(connection: &Connection, chosen: &mut Vec<Candidate>) -> Result<()> {
    let with_exams = chosen.iter().any(|candidate| matches!(candidate.what, What::Exam(..)));
    let exams = if with_exams { results::finished_exams(connection)? } else { Vec::new() };
    for candidate in std::mem::take(chosen) {
        let is_finished = match &candidate.what {
            What::Place(place) => places::contents_of(connection, place)?.iter().all(finished),
            What::Exam(series_id, _) => exams.iter().any(|exam| exam.series_id == *series_id),
        };
        if is_finished {
            chosen.push(candidate);
        }
    }
    Ok(())
}

/// All that could be evicted once it is finished, with the times of arrival mended.
pub(super) fn judged(connection: &Connection, now: &str) -> Result<(Vec<Content>, Vec<results::Exam>)> {
    let mut contents = places::contents(connection)?;
    arrivals(&mut contents, now);
    let mut exams = results::finished_exams(connection)?;
    // One that was recorded while the clock was wrong is taken for one of today: rather too young than too old.
    let wrong = |exam: &&mut results::Exam| exam.newest_utc.as_str() > now || exam.newest_utc.as_str() < FIRST_UTC;
    exams.iter_mut().filter(wrong).for_each(|exam| now.clone_into(&mut exam.newest_utc));
    Ok((contents, exams))
}

/// No clock of a box showed an earlier time and was right.
const FIRST_UTC: &str = "2026-01-01T00:00:00.000Z";

/// Mends times of arrival that were put down while the clock was wrong, by the order of arrival: a time in the future, or
/// from before this software was made, becomes that of the next arrival (`now` when there is none); then nothing came
/// before what came earlier. So an age is rather too small than too great.
fn arrivals(contents: &mut [Content], now: &str) {
    contents.sort_by_key(|content| content.newest_id);
    let mut next = now.to_owned();
    for content in contents.iter_mut().rev() {
        if content.newest_utc.as_str() > now || content.newest_utc.as_str() < FIRST_UTC {
            content.newest_utc.clone_from(&next);
        }
        next.clone_from(&content.newest_utc);
    }
    let mut before = String::new();
    for content in contents {
        if content.newest_utc < before {
            content.newest_utc.clone_from(&before);
        }
        before.clone_from(&content.newest_utc);
    }
}

pub(super) fn by_place(contents: Vec<Content>) -> BTreeMap<Place, Vec<Content>> {
    let mut places: BTreeMap<Place, Vec<Content>> = BTreeMap::new();
    for content in contents {
        places.entry(content.place.clone()).or_default().push(content);
    }
    places
}

/// Returns how many instances were marked, and the folders in which no result lies any more.
fn mark(connection: &Connection, chosen: &[Candidate]) -> Result<(u64, Vec<String>)> {
    let mut instances = 0;
    for candidate in chosen {
        let place = match &candidate.what {
            What::Place(place) => place,
            What::Exam(series_id, _) => {
                results::evict_exam(connection, *series_id)?;
                continue;
            }
        };
        let undecided = places::undecided(connection, place)?;
        let rows = places::evict(connection, place)?;
        instances += rows as u64;
        if let Place::Segment(number) = place {
            segments::remove(connection, *number)?;
        }
        let mut told = format!("{rows} instances, {} bytes", candidate.bytes);
        if undecided > 0 {
            told.push_str(&format!("; {undecided} of them sent again with other content, of which nobody had decided"));
        }
        events::record(connection, &place.subject(), "evicted", &told)?;
    }
    let mut jobs = results::jobs_of_evicted(connection)?;
    jobs.truncate(AT_ONCE);
    if jobs.is_empty() {
        return Ok((instances, Vec::new()));
    }
    let mut gone = results::folders(connection)?;
    gone.extend(jobs.iter().map(|job| results::folder(*job)));
    for job in &jobs {
        results::forget(connection, *job)?;
    }
    let used = results::folders(connection)?;
    Ok((instances, gone.difference(&used).cloned().collect()))
}

fn remove_results(shared: &Shared, folder: &str) {
    let folder = shared.directory.join(folder);
    if let Err(error) = fs::remove_dir_all(&folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %folder.display(), %error, "cannot remove evicted results; they will be removed at the next start");
    }
}

fn remove(shared: &Shared, place: &Place) {
    let path = match place {
        Place::Segment(number) => segment::path(&shared.log, *number),
        Place::File(file) => shared.directory.join(file),
    };
    let reused = matches!(place, Place::Segment(_))
        && fs::metadata(&path).is_ok_and(|metadata| metadata.len() == shared.segment_size)
        && shared.shelf.give(&shared.log, &path);
    if !reused && let Err(error) = fs::remove_file(&path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove evicted bytes; they will be removed at the next start");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content() -> Content {
        Content {
            place: Place::Segment(1),
            state: InstanceState::Kept,
            study_uid: "1.2.3".into(),
            held: false,
            names_large: false,
            series_state: Some("processed".into()),
            open_jobs: 0,
            undelivered: 0,
            newest_utc: "2026-01-01".into(),
            newest_id: 1,
            objects: 1,
            bytes: 10,
        }
    }

    fn place_of(what: What) -> Place {
        match what {
            What::Place(place) => place,
            What::Exam(series, _) => panic!("exam {series}"),
        }
    }

    #[test]
    fn nothing_is_finished_that_somebody_waits_for() {
        assert!(finished(&content()));
        assert!(finished(&Content { series_state: Some("refused".into()), ..content() }));
        for state in [None, Some("receiving"), Some("complete"), Some("something new")] {
            assert!(!finished(&Content { series_state: state.map(str::to_owned), ..content() }), "{state:?}");
        }
        assert!(!finished(&Content { open_jobs: 1, ..content() }));
        assert!(!finished(&Content { undelivered: 1, ..content() }));
        assert!(!finished(&Content { names_large: true, ..content() }), "the log is all that knows of a file in need");
        assert!(!finished(&Content { state: InstanceState::Conflict, series_state: None, ..content() }));
        assert!(finished(&Content { state: InstanceState::Quarantined, series_state: None, ..content() }));
        for state in [InstanceState::Kept, InstanceState::Conflict, InstanceState::Quarantined, InstanceState::Replaced]
        {
            assert!(!finished(&Content { held: true, state, ..content() }), "{state:?}");
        }
    }

    #[test]
    fn times_that_a_wrong_clock_put_down_are_mended_by_the_order_of_arrival() {
        let mended = |times: &[&str], now: &str| -> Vec<String> {
            let content = |(id, utc): (i64, &&str)| Content { newest_id: id, newest_utc: (*utc).into(), ..content() };
            let mut contents: Vec<Content> = (1..).zip(times).map(content).collect();
            contents.reverse();
            arrivals(&mut contents, now);
            contents.into_iter().map(|content| content.newest_utc).collect()
        };
        let now = "2026-11-27";
        let right = ["2026-02-01", "2026-03-01", "2026-04-01"];
        assert_eq!(mended(&right, now), right);
        assert_eq!(
            mended(&["2026-02-01", "2037-11-01", "2026-04-01"], now),
            ["2026-02-01", "2026-04-01", "2026-04-01"]
        );
        assert_eq!(
            mended(&["2026-02-01", "1970-01-01", "2026-04-01"], now),
            ["2026-02-01", "2026-04-01", "2026-04-01"]
        );
        assert_eq!(mended(&["2026-02-01", "2037-11-01"], now), ["2026-02-01", now]);
        assert_eq!(mended(&["1970-01-01", "1970-01-02"], now), [now, now], "not 56 years old");
        assert_eq!(mended(&["2026-04-01", "2026-02-01"], now), ["2026-04-01", "2026-04-01"], "it was slow for a while");
    }

    #[test]
    fn nobody_waits_for_all_that_a_new_limit_evicts() {
        let candidate =
            |number| Candidate { what: What::Place(Place::Segment(number)), newest_utc: String::new(), bytes: 1 };
        let mut chosen: Vec<_> = (1..=40).map(candidate).collect();
        let rounds: Vec<Vec<Place>> = std::iter::from_fn(|| {
            let some = next_of(&mut chosen);
            (!some.is_empty()).then(|| some.into_iter().map(|one| place_of(one.what)).collect())
        })
        .collect();
        assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), [AT_ONCE, AT_ONCE, 8]);
        assert_eq!(rounds.concat(), (1..=40).map(Place::Segment).collect::<Vec<_>>(), "the oldest first, each once");
    }

    #[test]
    fn one_unfinished_series_keeps_the_whole_segment() {
        let unfinished = Content { undelivered: 1, ..content() };
        let places = BTreeMap::from([
            (Place::Segment(1), vec![content(), unfinished]),
            (Place::Segment(2), vec![content(), content()]),
        ]);
        let free: Vec<_> = candidates(places, Vec::new()).into_iter().map(|c| (place_of(c.what), c.bytes)).collect();
        assert_eq!(free, [(Place::Segment(2), 20)]);
    }

    #[test]
    fn the_oldest_go_first_and_only_as_many_as_needed() {
        let candidate = |number, newest: &str| Candidate {
            what: What::Place(Place::Segment(number)),
            newest_utc: newest.into(),
            bytes: 100,
        };
        let all = vec![candidate(3, "2026-01-01"), candidate(1, "2026-01-02"), candidate(2, "2026-01-03")];
        let chosen = |free, expired_before| -> Vec<Place> {
            let rules = Rules { free, evict_below: 1000, expired_before };
            choose(all.clone(), &rules).into_iter().map(|c| place_of(c.what)).collect()
        };
        assert_eq!(chosen(1000, None), []);
        assert_eq!(chosen(850, None), [Place::Segment(3), Place::Segment(1)]);
        assert_eq!(chosen(5000, Some("2026-01-02")), [Place::Segment(3), Place::Segment(1)]);
    }
}
