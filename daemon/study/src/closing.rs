//! When is a study closed, so that a task of the whole study need not wait any more? Pure: time comes in as an argument.
//!
//! No message of DICOM says that a study is complete. It counts as closed when no series of it is being received and
//! nothing of it came for a quiet time. What comes later is taken up as a new version.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The studies that a task waits for.
#[derive(Debug)]
pub struct Closing {
    quiet: Duration,
    /// By Study Instance UID: since when nothing came.
    waiting: HashMap<String, Instant>,
}

impl Closing {
    pub fn new(quiet: Duration) -> Self {
        Self { quiet, waiting: HashMap::new() }
    }

    /// A task waits for this study.
    pub fn wait(&mut self, study_uid: &str, now: Instant) {
        self.waiting.insert(study_uid.to_owned(), now);
    }

    /// No task waits for it any more.
    pub fn settled(&mut self, study_uid: &str) {
        self.waiting.remove(study_uid);
    }

    /// Something of this study came, or a series of it was completed: the quiet time begins again.
    pub fn touched(&mut self, study_uid: &str, now: Instant) {
        if let Some(since) = self.waiting.get_mut(study_uid) {
            *since = now;
        }
    }

    /// The studies that are closed now; they are forgotten here. `receiving` tells whether a series of a study is being
    /// received.
    pub fn closed(&mut self, now: Instant, receiving: impl Fn(&str) -> bool) -> Vec<String> {
        let mut closed = Vec::new();
        for (study_uid, since) in &self.waiting {
            if now >= *since + self.quiet && !receiving(study_uid) {
                closed.push(study_uid.clone());
            }
        }
        for study_uid in &closed {
            self.waiting.remove(study_uid);
        }
        closed
    }

    /// When `closed` should be asked next. A study that is being received has no time: its last series will touch it.
    pub fn next_deadline(&self, receiving: impl Fn(&str) -> bool) -> Option<Instant> {
        let quiet = self.waiting.iter().filter(|(study_uid, _)| !receiving(study_uid));
        quiet.map(|(_, since)| *since + self.quiet).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_study_is_closed_after_its_quiet_time_and_once() {
        let (mut closing, start) = (Closing::new(MINUTE), Instant::now());
        closing.wait("1.2", start);
        assert_eq!(closing.next_deadline(|_| false), Some(start + MINUTE));
        assert!(closing.closed(start + MINUTE - SECOND, |_| false).is_empty());
        assert_eq!(closing.closed(start + MINUTE, |_| false), ["1.2"]);
        assert!(closing.closed(start + MINUTE, |_| false).is_empty());
        assert_eq!(closing.next_deadline(|_| false), None);
    }

    #[test]
    fn what_comes_begins_the_quiet_time_again() {
        let (mut closing, start) = (Closing::new(MINUTE), Instant::now());
        closing.touched("1.2", start);
        assert_eq!(closing.next_deadline(|_| false), None, "nobody waits for it");
        closing.wait("1.2", start);
        closing.touched("1.2", start + 30 * SECOND);
        assert!(closing.closed(start + MINUTE, |_| false).is_empty());
        assert_eq!(closing.closed(start + 90 * SECOND, |_| false), ["1.2"]);
    }

    #[test]
    fn a_study_that_is_being_received_is_not_closed_however_long_it_takes() {
        let (mut closing, start) = (Closing::new(MINUTE), Instant::now());
        closing.wait("1.2", start);
        assert!(closing.closed(start + 10 * MINUTE, |study| study == "1.2").is_empty());
        assert_eq!(closing.next_deadline(|_| true), None, "no timer that fires again and again");
        closing.wait("1.3", start);
        assert_eq!(closing.closed(start + 10 * MINUTE, |study| study == "1.2"), ["1.3"]);
        closing.settled("1.2");
        assert!(closing.closed(start + 20 * MINUTE, |_| false).is_empty());
    }
}
