//! What the dashboard knows. Pure: facts from the bus go in, drawing reads it.

use std::collections::VecDeque;

use custody::retention::Retention;
use jiff::Timestamp;

use super::properties::{self, Entries};
use super::sight::Sight;
use crate::ctl::watch::Happening;
use crate::{Destination, Happened, Job, Live, Series, Stats, Status, Study};

/// The time at which something is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// Milliseconds of a clock that goes steadily.
    pub ms: u64,
    pub utc: Timestamp,
}

/// What the edge has learnt.
#[derive(Debug)]
pub enum Fact {
    /// A daemon answers.
    Connected,
    /// None does any more, and why.
    Lost(String),
    Appliance(Entries),
    Live(Entries),
    Studies(Vec<Study>),
    Receiving(Vec<Series>),
    Running(Vec<Job>),
    Queued(Vec<Job>),
    Parked(Vec<Job>),
    Destinations(Vec<Destination>),
    Events(Vec<Happened>),
    Retention(Box<Retention>),
    Journal(String, Vec<Happened>),
    Happening(Happening),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Nothing was heard yet.
    Awaited,
    Up,
    Lost {
        since_ms: u64,
        why: String,
    },
}

/// A series that is being received.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    pub path: String,
    pub modality: String,
    pub images: u32,
    pub rate: Rate,
}

/// A job that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    pub path: String,
    pub study_uid: String,
    pub stage: String,
    pub fraction: f64,
    pub started_utc: Option<String>,
}

#[derive(Debug)]
pub struct State {
    pub link: Link,
    /// `None` until it was read.
    pub appliance: Option<Status>,
    pub live: Option<Live>,
    pub stats: Option<Stats>,
    pub pictures: Rate,
    pub incoming: Vec<Incoming>,
    pub running: Vec<Work>,
    pub queued: Vec<Job>,
    pub parked: Vec<Job>,
    pub studies: Vec<Study>,
    pub destinations: Vec<Destination>,
    pub retention: Option<Retention>,
    /// What the database keeps of events: troubles, mostly.
    pub events: Vec<Happened>,
    /// What signals told, the newest first.
    pub heard: Vec<Happened>,
    /// Of the study that is looked at.
    pub journal: Option<(String, Vec<Happened>)>,
    pub sight: Sight,
}

impl State {
    pub fn new() -> Self {
        Self {
            link: Link::Awaited,
            appliance: None,
            live: None,
            stats: None,
            pictures: Rate::default(),
            incoming: Vec::new(),
            running: Vec::new(),
            queued: Vec::new(),
            parked: Vec::new(),
            studies: Vec::new(),
            destinations: Vec::new(),
            retention: None,
            events: Vec::new(),
            heard: Vec::new(),
            journal: None,
            sight: Sight::default(),
        }
    }

    pub fn learn(&mut self, fact: Fact, now: Now) {
        match fact {
            // What was known of the daemon before may be wrong by now; what it said last stays until it is read.
            Fact::Connected => {
                self.link = Link::Up;
                self.running.clear();
                self.incoming.clear();
                self.pictures = Rate::default();
            }
            Fact::Lost(why) => self.lose(why, now),
            Fact::Appliance(entries) => {
                properties::of_appliance(self.appliance.get_or_insert_default(), &entries);
            }
            Fact::Live(entries) => {
                if let Some(stats) = properties::of_live(self.live.get_or_insert_default(), &entries) {
                    self.pictures.add(now.ms, stats.pictures);
                    self.stats = Some(stats);
                }
            }
            Fact::Studies(studies) => self.studies = studies,
            Fact::Receiving(series) => self.receive(series, now),
            Fact::Running(jobs) => {
                let before = std::mem::take(&mut self.running);
                self.running = jobs.into_iter().map(|job| Work::of(job, &before)).collect();
            }
            Fact::Queued(jobs) => self.queued = jobs,
            Fact::Parked(jobs) => self.parked = jobs,
            Fact::Destinations(destinations) => self.destinations = destinations,
            Fact::Events(events) => self.events = events,
            Fact::Retention(retention) => self.retention = Some(*retention),
            Fact::Journal(study_uid, events) => self.journal = Some((study_uid, events)),
            Fact::Happening(happening) => self.happen(happening, now),
        }
    }

    fn lose(&mut self, why: String, now: Now) {
        match &mut self.link {
            Link::Lost { why: said, .. } => *said = why,
            link => *link = Link::Lost { since_ms: now.ms, why },
        }
    }

    /// The list says which there are; how fast they come is known from before.
    fn receive(&mut self, series: Vec<Series>, now: Now) {
        let before = std::mem::take(&mut self.incoming);
        for one in series {
            let path = one.path.to_string();
            let known = before.iter().find(|known| known.path == path);
            let mut rate = known.map_or_else(Rate::default, |known| known.rate.clone());
            let images = known.map_or(0, |known| known.images).max(one.instance_count);
            rate.add(now.ms, u64::from(images));
            self.incoming.push(Incoming { path, modality: one.modality, images, rate });
        }
    }

    fn happen(&mut self, happening: Happening, now: Now) {
        match happening {
            Happening::Series { path, state, instances, verdict, .. } => {
                self.note(&path, &state, verdict.unwrap_or_default(), now);
                if state != "receiving" {
                    self.incoming.retain(|one| one.path != path);
                } else if let Some(one) = self.incoming.iter_mut().find(|one| one.path == path) {
                    one.images = instances;
                    one.rate.add(now.ms, u64::from(instances));
                } else {
                    let mut rate = Rate::default();
                    rate.add(now.ms, u64::from(instances));
                    self.incoming.push(Incoming { path, modality: String::new(), images: instances, rate });
                }
            }
            Happening::Job { path, state, stage, fraction, .. } => {
                self.note(&path, &state, String::new(), now);
                if state != "running" {
                    self.running.retain(|one| one.path != path);
                } else if let Some(one) = self.running.iter_mut().find(|one| one.path == path) {
                    (one.stage, one.fraction) = (stage, fraction);
                } else {
                    let (study_uid, started_utc) = (String::new(), None);
                    self.running.push(Work { path, study_uid, stage, fraction, started_utc });
                }
            }
            // The list of destinations is read again.
            Happening::Delivery { path, destination, state, reason } => {
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                self.note(&path, &state, destination + &reason, now);
            }
        }
    }

    /// Unless it says what was said of it last.
    fn note(&mut self, path: &str, what: &str, detail: String, now: Now) {
        let subject = path.trim_start_matches(crate::ROOT).trim_start_matches('/');
        let last = self.heard.iter().find(|said| said.subject == subject);
        if last.is_some_and(|said| said.what == what && said.detail == detail) {
            return;
        }
        let (utc, subject, what) = (now.utc.to_string(), subject.to_owned(), what.to_owned());
        self.heard.insert(0, Happened { utc, subject, what, detail });
        self.heard.truncate(MOST_HEARD);
    }

    /// What signals told and what the database keeps, the newest first. What both say counts once.
    pub fn newest_events(&self) -> Vec<Happened> {
        let both = |heard: &Happened| {
            self.events.iter().any(|event| {
                (&event.subject, &event.what) == (&heard.subject, &heard.what) && is_near(&event.utc, &heard.utc)
            })
        };
        let mut all: Vec<Happened> = self.events.clone();
        all.extend(self.heard.iter().filter(|heard| !both(heard)).cloned());
        all.sort_by_key(|one| std::cmp::Reverse(at(&one.utc)));
        all
    }

    /// As people name it: `12`; the first characters of its UID when it is not among the newest.
    pub fn number_of(&self, study_uid: &str) -> String {
        let known = self.studies.iter().find(|study| study.study_uid == study_uid);
        known.map_or_else(|| study_uid.chars().take(12).collect(), |study| last_of(study.path.as_str()).to_owned())
    }
}

/// Signals that are kept.
const MOST_HEARD: usize = 200;

fn at(utc: &str) -> Option<Timestamp> {
    utc.parse().ok()
}

/// A signal comes within a second of what it tells.
fn is_near(one: &str, other: &str) -> bool {
    at(one).zip(at(other)).is_some_and(|(one, other)| one.duration_since(other).abs().as_secs() < 5)
}

/// The last element of a path: `12`.
pub fn last_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

impl Work {
    /// A list does not say how far a job is; signals did.
    fn of(job: Job, before: &[Self]) -> Self {
        let path = job.path.to_string();
        let known = before.iter().find(|known| known.path == path);
        let (stage, fraction) = known.map_or((job.stage, job.fraction), |known| (known.stage.clone(), known.fraction));
        Self { path, study_uid: job.study_uid, stage, fraction, started_utc: job.started_utc }
    }
}

/// How fast a count grows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rate {
    /// Milliseconds and count, the oldest first.
    samples: VecDeque<(u64, u64)>,
}

/// Long enough that a slow scanner does not seem to stand still, short enough that one that stopped is seen.
const WINDOW_MS: u64 = 5000;

impl Rate {
    pub fn add(&mut self, ms: u64, count: u64) {
        // Counts begin anew with an exam.
        if self.samples.back().is_some_and(|(_, last)| count < *last) {
            self.samples.clear();
        }
        self.samples.push_back((ms, count));
        // One sample from before the window stays, as its beginning.
        while self.samples.get(1).is_some_and(|(second, _)| second + WINDOW_MS <= ms) {
            self.samples.pop_front();
        }
    }

    /// A second, over the last five; `None` before a second of it is known.
    pub fn per_second(&self, now: u64) -> Option<f64> {
        let begin = now.saturating_sub(WINDOW_MS);
        let (last_ms, last) = self.samples.back()?;
        if *last_ms < begin {
            return Some(0.0);
        }
        let first = self.samples.iter().rev().find(|(ms, _)| *ms <= begin).or_else(|| self.samples.front())?;
        let took = now.saturating_sub(first.0);
        (took >= 1000).then(|| last.saturating_sub(first.1) as f64 * 1000.0 / took as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(ms: u64) -> Now {
        Now { ms, utc: Timestamp::UNIX_EPOCH }
    }

    fn job(state: &str, fraction: f64) -> Fact {
        Fact::Happening(Happening::Job {
            path: "/x/job/3".into(),
            series: "/x/series/1".into(),
            state: state.into(),
            stage: "inference".into(),
            fraction,
        })
    }

    fn series(state: &str, instances: u32) -> Fact {
        Fact::Happening(Happening::Series {
            path: "/x/series/1".into(),
            study_uid: "1.2".into(),
            series_uid: "1.2.3".into(),
            state: state.into(),
            instances,
            verdict: None,
        })
    }

    #[test]
    fn a_job_is_shown_from_its_first_signal_until_it_has_ended() {
        let mut state = State::new();
        state.learn(job("running", 0.2), now(0));
        state.learn(job("running", 0.5), now(300));
        assert_eq!((state.running.len(), state.running[0].fraction), (1, 0.5));
        state.learn(job("done", 1.0), now(600));
        assert!(state.running.is_empty());
    }

    #[test]
    fn a_series_shows_how_fast_it_comes_and_goes_when_it_is_complete() {
        let mut state = State::new();
        for second in 0..=4u32 {
            state.learn(series("receiving", 10 + second * 25), now(u64::from(second) * 1000));
        }
        assert_eq!((state.incoming[0].images, state.incoming[0].rate.per_second(4000)), (110, Some(25.0)));
        state.learn(series("complete", 110), now(4500));
        assert!(state.incoming.is_empty());
    }

    #[test]
    fn what_signals_and_database_both_tell_is_one_event() {
        let mut state = State::new();
        state.learn(job("running", 0.1), now(0));
        state.learn(job("running", 0.2), now(500));
        state.learn(job("parked", 0.2), now(1000));
        let what = |state: &State| -> Vec<String> {
            state.newest_events().iter().map(|event| format!("{} {}", event.what, event.detail)).collect()
        };
        assert_eq!(what(&state), ["parked ", "running "]);
        let (utc, subject) = ("1970-01-01T00:00:00.900Z".to_owned(), "x/job/3".to_owned());
        let kept = Happened { utc, subject, what: "parked".into(), detail: "out of memory".into() };
        state.learn(Fact::Events(vec![kept]), now(1500));
        assert_eq!(what(&state), ["parked out of memory", "running "]);
    }

    #[test]
    fn a_rate_falls_to_nothing_when_nothing_comes_and_begins_anew_with_an_exam() {
        let mut rate = Rate::default();
        for ms in (0..=10_000).step_by(250) {
            rate.add(ms, ms / 40);
        }
        assert_eq!(rate.per_second(10_000), Some(25.0));
        assert!(rate.per_second(12_500).is_some_and(|rate| rate > 10.0 && rate < 15.0));
        assert_eq!(rate.per_second(16_000), Some(0.0));
        rate.add(16_000, 3);
        assert_eq!(rate.per_second(16_100), None, "a count that has begun anew is no rate yet");
    }

    #[test]
    fn a_daemon_that_is_lost_comes_back_with_what_it_does_now() {
        let mut state = State::new();
        state.learn(Fact::Connected, now(0));
        state.learn(job("running", 0.2), now(0));
        state.learn(Fact::Lost("it has left the bus".into()), now(2000));
        state.learn(Fact::Lost("it is not on this bus".into()), now(3000));
        assert_eq!(state.link, Link::Lost { since_ms: 2000, why: "it is not on this bus".into() });
        state.learn(Fact::Connected, now(9000));
        assert_eq!((&state.link, state.running.len()), (&Link::Up, 0));
    }
}
