//! Decides when a series is complete. Pure: the time is an argument, and `study` has the timers.
//!
//! An association is not a study: a scanner may send one series over many associations, or many series over one. So the
//! quiet time decides in the end, and everything else (a declared number of instances, a released association and
//! slices without a gap) only shortens the wait. A late slice reopens the series.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use custody::series::SeriesKey;
use custody::store::steps::Performed;
use dicom::header::Header;
use dicom::kind::SeriesKind;
use tokio::time::Instant;

use crate::{performed, settings};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletedBy {
    Quiet,
    Released,
    DeclaredCount,
    /// The scanner has told what it made, and all of it is here.
    Performed,
}

impl CompletedBy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Released => "released",
            Self::DeclaredCount => "declared_count",
            Self::Performed => "performed",
        }
    }
}

/// What is known about a series that is being received.
#[derive(Debug)]
struct Open {
    /// Slices of a volume, whatever else shares their series.
    has_slices: bool,
    instances: u32,
    declared: Option<u32>,
    /// Open associations that sent instances of this series.
    associations: BTreeSet<u64>,
    last_instance: Instant,
    /// The quiet time begins here: not before the last instance.
    quiet_since: Instant,
    released: Option<Instant>,
    /// What the scanner said of it.
    performed: Option<Performed>,
}

/// All series that are being received.
#[derive(Debug)]
pub struct Assembler {
    quiet: Duration,
    grace: Duration,
    open: HashMap<SeriesKey, Open>,
    /// What each open association sent last.
    newest: HashMap<u64, SeriesKey>,
}

/// A series from which its association has gone on to others waits for more of it so many quiet times at most.
const ELSEWHERE: u32 = 6;

impl Assembler {
    pub fn new(settings: &settings::Series) -> Self {
        Self {
            quiet: Duration::from_secs_f64(settings.quiet_secs),
            grace: Duration::from_secs_f64(settings.release_grace_secs),
            open: HashMap::new(),
            newest: HashMap::new(),
        }
    }

    /// Notes a durable instance of this series; `total` is the number of instances of the series so far. `association`
    /// is `None` for a series that was incomplete at start, whose association no longer exists.
    pub fn instance(&mut self, key: SeriesKey, header: &Header, total: u32, association: Option<u64>, now: Instant) {
        if let Some(association) = association {
            self.newest.insert(association, key.clone());
        }
        let open = self.open.entry(key).or_insert_with(|| Open {
            has_slices: false,
            instances: 0,
            declared: None,
            associations: BTreeSet::new(),
            last_instance: now,
            quiet_since: now,
            released: None,
            performed: None,
        });
        open.has_slices |= SeriesKind::of(header).is_volume();
        if let Some(performed) = &mut open.performed {
            performed.missing.retain(|uid| *uid != header.sop_instance_uid);
        }
        open.instances = total;
        open.declared = declared_count(header).or(open.declared);
        open.last_instance = now;
        open.quiet_since = now;
        open.released = None;
        open.associations.extend(association);
    }

    /// Notes what the scanner said of a series that is being received; `missing` as of now.
    pub fn performed(&mut self, key: &SeriesKey, performed: Performed) {
        if let Some(open) = self.open.get_mut(key) {
            open.performed = Some(performed);
        }
    }

    /// Notes that an association is sending an instance whose series is not known yet: the quiet time of all its series
    /// starts again. Of those that it has left for another one only for a while, since some associations never end.
    pub fn in_flight(&mut self, association: u64, now: Instant) {
        let newest = self.newest.get(&association);
        for (key, open) in self.open.iter_mut().filter(|(_, open)| open.associations.contains(&association)) {
            let latest = open.last_instance + self.quiet * ELSEWHERE;
            let until = if newest == Some(key) { now } else { now.min(latest) };
            open.quiet_since = open.quiet_since.max(until);
        }
    }

    /// Notes the end of an association. A clean release suggests that its series are complete; an abort does not.
    pub fn released(&mut self, association: u64, clean: bool, now: Instant) {
        self.newest.remove(&association);
        for open in self.open.values_mut() {
            if open.associations.remove(&association) && open.associations.is_empty() && clean {
                open.released = Some(now);
            }
        }
    }

    /// Removes and returns the series that are complete now, with the reason. `closed` returns whether the slices of a
    /// series have no gap; it is called only after a release or at the declared number of instances.
    pub fn complete(&mut self, now: Instant, closed: impl Fn(&SeriesKey) -> bool) -> Vec<(SeriesKey, CompletedBy)> {
        let mut done = Vec::new();
        for (key, open) in &mut self.open {
            let geometry_matters = open.has_slices;
            let awaited = open.performed.as_ref().is_some_and(performed::is_awaited);
            let by = if open.performed.as_ref().is_some_and(performed::is_whole) {
                Some(CompletedBy::Performed)
            } else if now >= open.quiet_since + self.quiet {
                Some(CompletedBy::Quiet)
            } else if awaited {
                None
            } else if open.declared == Some(open.instances) && (!geometry_matters || closed(key)) {
                Some(CompletedBy::DeclaredCount)
            } else if open.released.is_some_and(|at| now >= at + self.grace) {
                // `closed` is called once: after a gap, only the quiet time or a new slice can complete the series.
                open.released = None;
                (!geometry_matters || closed(key)).then_some(CompletedBy::Released)
            } else {
                None
            };
            done.extend(by.map(|by| (key.clone(), by)));
        }
        for (key, _) in &done {
            self.open.remove(key);
        }
        done
    }

    /// When `complete` must be called next if nothing arrives until then.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.open
            .values()
            .map(|open| {
                let quiet = open.quiet_since + self.quiet;
                if open.performed.as_ref().is_some_and(performed::is_awaited) {
                    return quiet;
                }
                open.released.map_or(quiet, |at| quiet.min(at + self.grace))
            })
            .min()
    }
}

/// The number of instances in the series according to the scanner.
fn declared_count(header: &Header) -> Option<u32> {
    let count = header.number_of_series_related_instances?;
    u32::try_from(count).ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CT: &str = dicom_dictionary_std::uids::CT_IMAGE_STORAGE;

    fn assembler() -> Assembler {
        Assembler::new(&settings::Series { quiet_secs: 10.0, release_grace_secs: 0.5, decode_ahead_mib: 1 })
    }

    fn key() -> SeriesKey {
        SeriesKey { study_uid: "1.2".into(), series_uid: "1.2.3".into() }
    }

    fn ct(declared: Option<i64>) -> Header {
        Header { sop_class_uid: CT.into(), number_of_series_related_instances: declared, ..Header::default() }
    }

    #[test]
    fn quiet_time_completes_whatever_else_is_unknown() {
        let (mut assembler, start) = (assembler(), Instant::now());
        assembler.instance(key(), &ct(None), 1, Some(1), start);
        assert_eq!(assembler.next_deadline(), Some(start + Duration::from_secs(10)));
        assert!(assembler.complete(start + Duration::from_millis(9_999), |_| true).is_empty());
        let done = assembler.complete(start + Duration::from_secs(10), |_| false);
        assert_eq!(done, [(key(), CompletedBy::Quiet)]);
        assert_eq!(assembler.next_deadline(), None);
    }

    #[test]
    fn data_in_flight_is_not_quiet() {
        let (mut assembler, start) = (assembler(), Instant::now());
        assembler.instance(key(), &ct(None), 1, Some(1), start);
        assembler.in_flight(1, start + Duration::from_secs(9));
        assembler.in_flight(2, start + Duration::from_secs(15));
        assert!(assembler.complete(start + Duration::from_secs(18), |_| true).is_empty());
        assert_eq!(assembler.complete(start + Duration::from_secs(19), |_| true).len(), 1);
    }

    #[test]
    fn a_series_does_not_wait_for_the_end_of_an_association_that_goes_on_with_others() {
        let (mut assembler, start) = (assembler(), Instant::now());
        let second = |n| start + Duration::from_secs(n);
        let other = SeriesKey { study_uid: "1.9".into(), series_uid: "1.9.1".into() };
        assembler.instance(key(), &ct(None), 1, Some(1), start);
        assembler.instance(other.clone(), &ct(None), 1, Some(1), second(5));
        for n in 6..200 {
            assembler.in_flight(1, second(n));
            let done: Vec<_> = assembler.complete(second(n), |_| true).into_iter().map(|(key, _)| key).collect();
            let awaited = if n == 70 { vec![key()] } else { vec![] };
            assert_eq!(done, awaited, "after {n} s: the one that is being sent waits, the one before no longer");
        }
        assert_eq!(assembler.complete(second(209), |_| true), [(other, CompletedBy::Quiet)]);
    }

    #[test]
    fn a_release_completes_only_closed_geometry() {
        for (closed, expected) in [(true, 1), (false, 0)] {
            let (mut assembler, start) = (assembler(), Instant::now());
            assembler.instance(key(), &ct(None), 5, Some(1), start);
            assembler.released(1, true, start);
            assert_eq!(assembler.complete(start + Duration::from_millis(500), |_| closed).len(), expected);
        }
    }

    #[test]
    fn an_aborted_or_second_association_does_not_shorten_the_wait() {
        let (mut assembler, start) = (assembler(), Instant::now());
        let second = Duration::from_secs(1);
        assembler.instance(key(), &ct(None), 1, Some(1), start);
        assembler.instance(key(), &ct(None), 2, Some(2), start);
        assembler.released(1, true, start);
        assert!(assembler.complete(start + second, |_| true).is_empty(), "the second one still sends");
        assembler.released(2, false, start);
        assert!(assembler.complete(start + second, |_| true).is_empty(), "aborted");
    }

    fn performed(ended: bool, missing: &[&str]) -> Performed {
        let missing = missing.iter().map(|uid| (*uid).to_owned()).collect();
        Performed { ended, discontinued: false, declared: 2, missing }
    }

    fn ct_of(uid: &str) -> Header {
        Header { sop_instance_uid: uid.into(), ..ct(None) }
    }

    #[test]
    fn a_step_that_has_ended_completes_a_series_at_once_when_its_last_instance_comes() {
        let (mut assembler, start) = (assembler(), Instant::now());
        assembler.instance(key(), &ct_of("1.1"), 1, Some(1), start);
        assembler.performed(&key(), performed(false, &["1.2"]));
        assembler.instance(key(), &ct_of("1.2"), 2, Some(1), start);
        assert!(assembler.complete(start, |_| false).is_empty(), "the step goes on");
        assembler.performed(&key(), performed(true, &[]));
        assert_eq!(assembler.complete(start, |_| false), [(key(), CompletedBy::Performed)], "even with a gap");
        assembler.instance(key(), &ct_of("1.1"), 1, Some(1), start);
        assembler.performed(&key(), performed(true, &["1.2"]));
        assert!(assembler.complete(start, |_| true).is_empty());
        assembler.instance(key(), &ct_of("1.2"), 2, Some(1), start);
        assert_eq!(assembler.complete(start, |_| true), [(key(), CompletedBy::Performed)]);
    }

    #[test]
    fn what_a_step_declares_and_is_missing_is_waited_for_until_the_quiet_time_and_no_longer() {
        let (mut assembler, start) = (assembler(), Instant::now());
        let quiet = Duration::from_secs(10);
        assembler.instance(key(), &ct_of("1.1"), 1, Some(1), start);
        assembler.performed(&key(), performed(true, &["1.2"]));
        assembler.released(1, true, start);
        assert_eq!(assembler.next_deadline(), Some(start + quiet), "a release says nothing then");
        assert!(assembler.complete(start + quiet / 2, |_| true).is_empty());
        assert_eq!(assembler.complete(start + quiet, |_| true), [(key(), CompletedBy::Quiet)]);
    }

    #[test]
    fn a_declared_count_completes_at_once() {
        let (mut assembler, start) = (assembler(), Instant::now());
        assembler.instance(key(), &ct(Some(2)), 1, Some(1), start);
        assert!(assembler.complete(start, |_| true).is_empty());
        assembler.instance(key(), &ct(Some(2)), 2, Some(1), start);
        assert_eq!(assembler.complete(start, |_| true), [(key(), CompletedBy::DeclaredCount)]);
    }
}
