//! The worklist that a server has answered, and how the server is now. Another part of the daemon asks it and writes here
//! ([`Writer`]); page, bus and exams read.

use std::collections::BTreeMap;
use std::sync::Arc;

use dicom::scan::Item;
use dicom::text;
use hal::clock::{self, Wall};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::{Entry, Listing, key};

/// The last good answer of a server. It names patients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// When the server gave it, UTC.
    pub utc: String,
    pub entries: Vec<Entry>,
    /// How many entries were left out, by reason.
    pub skipped: BTreeMap<String, usize>,
}

impl Answer {
    /// Of what a server has sent. `left_out`: what was left out before, by reason.
    pub fn of(utc: String, items: Vec<Item>, left_out: BTreeMap<&'static str, usize>) -> Self {
        let mut listing = Listing::default();
        for (reason, count) in left_out {
            listing.skip(reason, count);
        }
        Self::taken(utc, items.into_iter().map(Entry::from), listing)
    }

    /// As it was written down, checked again like one that comes: the file may be of another version.
    #[must_use]
    pub fn restored(self) -> Self {
        Self::taken(self.utc, self.entries, Listing { skipped: self.skipped, ..Listing::default() })
    }

    fn taken(utc: String, entries: impl IntoIterator<Item = Entry>, mut listing: Listing) -> Self {
        for entry in entries {
            if let Err(reason) = listing.take(entry) {
                listing.skip(reason, 1);
            }
        }
        Self { utc, entries: listing.entries, skipped: listing.skipped }
    }

    /// Removes the entries of earlier days than `first` (YYYYMMDD, local). An entry without a date is as old as the answer.
    /// Whether there were any.
    pub fn forget_before(&mut self, first: &str) -> bool {
        let answered = clock::local_date_of(&self.utc).unwrap_or_default();
        let before = self.entries.len();
        self.entries.retain(|entry| is_current(entry, &answered, first));
        self.entries.len() < before
    }
}

fn is_current(entry: &Entry, answered: &str, first: &str) -> bool {
    (if text::is_date(&entry.date) { entry.date.as_str() } else { answered }) >= first
}

/// How the server is, for people. It names nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Server {
    /// AE title and address.
    pub name: String,
    /// When the list that is shown was answered, UTC; empty when none was.
    pub answered_utc: String,
    /// Why there is no newer one, in plain words; empty when all is well.
    pub trouble: String,
}

#[derive(Debug, Default)]
struct State {
    answer: Option<Answer>,
    trouble: String,
}

/// The end at which the server's answers are read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Served {
    name: Arc<str>,
    /// Days before today that are shown.
    days: u16,
    wall: Wall,
    state: watch::Receiver<Arc<State>>,
    wish: Arc<Notify>,
}

/// The end at which they are written.
#[derive(Debug)]
pub struct Writer {
    state: watch::Sender<Arc<State>>,
    wish: Arc<Notify>,
}

/// Both ends. `name`: AE title and address of the server; `days`: how many days before today are shown.
pub fn channel(name: &str, days: u16, wall: Wall) -> (Writer, Served) {
    let (told, state) = watch::channel(Arc::new(State::default()));
    let wish = Arc::new(Notify::new());
    (Writer { state: told, wish: wish.clone() }, Served { name: name.into(), days, wall, state, wish })
}

impl Writer {
    pub fn answered(&self, answer: Answer) {
        self.state.send_replace(Arc::new(State { answer: Some(answer), trouble: String::new() }));
    }

    /// The last answer stays. `trouble`: a sentence without its full stop.
    pub fn failed(&self, trouble: &str) {
        let answer = self.state.borrow().answer.clone();
        self.state.send_replace(Arc::new(State { answer, trouble: trouble.to_owned() }));
    }

    /// Waits until somebody has looked at the list since this was called last.
    pub async fn wished(&self) {
        self.wish.notified().await;
    }
}

impl Served {
    /// How the server is now.
    pub fn server(&self) -> Server {
        let state = self.state.borrow();
        Server {
            name: self.name.to_string(),
            answered_utc: state.answer.as_ref().map(|answer| answer.utc.clone()).unwrap_or_default(),
            trouble: state.trouble.clone(),
        }
    }

    /// Waits for a change; for ever when there will be no more changes.
    pub(super) async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// The last answer without what is of the past; `None` before the first one. A newer one is asked for.
    pub(super) fn look(&self) -> Option<Answer> {
        self.wish.notify_one();
        let mut answer = self.state.borrow().answer.clone()?;
        answer.forget_before(&self.wall.local_date(-i32::from(self.days)));
        Some(answer)
    }
}

/// One list of what a file or folder says and what a server has answered. What both have is there once, as the server has it:
/// its order may have changed meanwhile.
pub(super) fn merged(mut listing: Listing, answer: Answer) -> Listing {
    let same = |a: &Entry, b: &Entry| (&a.patient, &a.date, &a.time) == (&b.patient, &b.date, &b.time);
    listing.entries.retain(|entry| !answer.entries.iter().any(|other| same(entry, other)));
    for (reason, count) in answer.skipped {
        listing.skip(&reason, count);
    }
    for entry in answer.entries {
        if let Err(reason) = listing.take(entry) {
            listing.skip(reason, 1);
        }
    }
    listing.entries.sort_by(|a, b| key(a).cmp(&key(b)));
    listing
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dicom::patient::Patient;

    use super::*;

    fn entry(id: &str, date: &str) -> Entry {
        let patient = Patient { id: id.into(), name: format!("{id}^X"), ..Patient::default() };
        Entry { patient, date: date.into(), ..Entry::default() }
    }

    fn ids(entries: &[Entry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.patient.id.as_str()).collect()
    }

    #[test]
    fn an_entry_of_the_past_disappears_and_one_without_a_date_is_as_old_as_the_answer() {
        let utc = "2026-01-31T12:00:00.000Z".to_owned();
        let entries =
            vec![entry("OLD", "20260130"), entry("NOW", "20260131"), entry("NEXT", "20260201"), entry("SOME", "")];
        let answer = Answer { utc, entries, ..Answer::default() };
        let left = |first: &str| {
            let mut left = answer.clone();
            let some_went = left.forget_before(first);
            assert_eq!(some_went, left.entries.len() < 4);
            left.entries
        };
        assert_eq!(ids(&left("20260130")), ["OLD", "NOW", "NEXT", "SOME"]);
        assert_eq!(ids(&left("20260131")), ["NOW", "NEXT", "SOME"]);
        assert_eq!(ids(&left("20260202")), [""; 0]);
    }

    #[test]
    fn what_a_file_and_a_server_both_have_is_listed_once_as_the_server_has_it() {
        let own = Listing { entries: vec![entry("P1", "20260131"), entry("P2", "20260131")], ..Listing::default() };
        let of_server = Entry { study_uid: "1.2.3".into(), ..entry("P2", "20260131") };
        let skipped = BTreeMap::from([("damaged".to_owned(), 2)]);
        let answer = Answer { entries: vec![of_server, entry("P0", "20260131")], skipped, ..Answer::default() };
        let listing = merged(own, answer);
        assert_eq!(ids(&listing.entries), ["P0", "P1", "P2"]);
        assert_eq!(listing.entries[2].study_uid, "1.2.3");
        assert_eq!(listing.skipped["damaged"], 2);
    }

    #[test]
    fn what_a_server_sends_is_used_when_results_could_carry_it_and_counted_when_not() {
        let item = |id: &str, name: &str| Item { patient_id: id.into(), patient_name: name.into(), ..Item::default() };
        let items = vec![item("P1", "DOE^JANE"), item("", "DOE^JANE"), item("P2", "M\u{FFFD}ller")];
        let answer = Answer::of(String::new(), items, BTreeMap::from([("damaged", 3)]));
        assert_eq!(ids(&answer.entries), ["P1"]);
        assert_eq!(answer.skipped.values().sum::<usize>(), 5, "{:?}", answer.skipped);
        let mut of_a_file = answer.clone();
        of_a_file.entries.push(entry("", ""));
        assert_eq!(ids(&of_a_file.restored().entries), ["P1"]);
    }

    #[tokio::test]
    async fn whoever_looks_at_the_list_wishes_for_a_newer_one_and_trouble_keeps_the_last() {
        let (writer, served) = channel("RIS@ris:104", 0, Wall::default());
        assert_eq!(served.look(), None);
        tokio::time::timeout(Duration::from_secs(60), writer.wished()).await.expect("a wish");
        let today = Wall::default().local_date(0);
        let answer = Answer { utc: clock::now_utc(), entries: vec![entry("P1", &today)], ..Answer::default() };
        writer.answered(answer.clone());
        writer.failed("the server cannot be reached: no");
        assert_eq!(served.look().as_ref(), Some(&answer));
        let server = served.server();
        assert_eq!((server.answered_utc, server.trouble.as_str()), (answer.utc, "the server cannot be reached: no"));
    }
}
