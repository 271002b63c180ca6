//! Decides what the failure of an association means for the queue. Pure.
//!
//! ```text
//! association broke before or between objects  -> the queue is held
//! ... while one object was on its way          -> the queue is held, that object is suspected
//! ... three times running on the same object   -> that object waits by itself, the others go on
//! ... each further time                        -> it waits longer, the others go on at once
//! ... five times while others were taken       -> it is parked: the others show that the archive is well
//! refused, and it may concern every object     -> as if the association broke at it; once others are stored, it is parked
//! out of resources at one object               -> the next one tells whether it is the archive: then the queue is held
//! ... three times running at the same object   -> one object more tells it, and so on: those before one that is stored wait alone
//! ```
//!
//! An object that is alone is not parked: nothing tells it from an archive that is down.

use std::collections::HashMap;

/// One object may crash the archive. After this many failures running the queue no longer waits for that object.
const BREAKS_BEFORE_SET_ASIDE: u32 = 3;
/// So many objects running, for which there is no room, mean that the archive is full.
const FULL_AT: u32 = 2;
/// ... and one more after each so many times at the same object, up to the greatest number.
const HOLDS_BEFORE_ONE_MORE: u32 = 3;
const FULL_AT_MOST: u32 = 8;
/// After this many failures, all since others were taken, the object is to blame.
const BREAKS_BEFORE_PARKED: u32 = 5;

/// Consecutive failures of one destination.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    failures: u32,
    /// The delivery that was being sent at the last failures, and the number of these failures.
    suspect: Option<(i64, u32)>,
    /// The first delivery for which there was no room, and how often the queue was held there.
    full: Option<(i64, u32)>,
    /// The deliveries that wait by themselves because the association failed at them.
    set_aside: HashMap<i64, SetAside>,
}

/// An object at which the association failed too often.
#[derive(Debug, Default, PartialEq, Eq)]
struct SetAside {
    /// All failures at it.
    breaks: u32,
    /// Another object was taken since it was set aside.
    others_taken: bool,
    /// ... and that answer was that the destination has it.
    others_stored: bool,
    /// Failures at it since then.
    blamed: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Hold the whole queue; the back-off depends on the number of failures in a row.
    Hold { failures: u32 },
    /// Postpone this delivery only; the back-off depends on the number of its failures.
    SetAside { delivery: i64, breaks: u32 },
    /// This delivery is not tried again until a person asks for it.
    Park { delivery: i64, breaks: u32 },
}

impl Line {
    /// The destination answered to this delivery.
    pub(super) fn answered(&mut self, delivery: i64) {
        self.failures = 0;
        self.suspect = None;
        self.set_aside.remove(&delivery);
        self.set_aside.values_mut().for_each(|aside| aside.others_taken = true);
    }

    /// The destination has taken this delivery.
    pub(super) fn stored(&mut self, delivery: i64) {
        self.answered(delivery);
        self.full = None;
        self.set_aside.values_mut().for_each(|aside| aside.others_stored = true);
    }

    /// Whether the destination is full: it had no room for `refused` deliveries running, of which this is the first one. A few objects
    /// that are too large for it must not keep all others waiting.
    pub(super) fn is_full(&self, first: i64, refused: u32) -> bool {
        let holds = self.full.filter(|(full, _)| *full == first).map_or(0, |(_, holds)| holds);
        refused >= (FULL_AT + holds / HOLDS_BEFORE_ONE_MORE).min(FULL_AT_MOST)
    }

    /// There was no room for this delivery, and nothing was stored after it: the queue is held.
    pub(super) fn no_room(&mut self, first: i64) -> Next {
        let holds = self.full.filter(|(full, _)| *full == first).map_or(0, |(_, holds)| holds);
        self.full = Some((first, holds.saturating_add(1)));
        self.broke(None)
    }

    /// The destination has refused this delivery in a way that may concern every one.
    pub(super) fn doubted(&mut self, delivery: i64) -> Next {
        let Some(aside) = self.set_aside.get_mut(&delivery) else { return self.broke(Some(delivery)) };
        aside.breaks = aside.breaks.saturating_add(1);
        let breaks = aside.breaks;
        if !aside.others_stored {
            return Next::SetAside { delivery, breaks };
        }
        self.set_aside.remove(&delivery);
        Next::Park { delivery, breaks }
    }

    /// The association failed; `sending` was being sent.
    pub(super) fn broke(&mut self, sending: Option<i64>) -> Next {
        if let Some(delivery) = sending {
            if let Some(aside) = self.set_aside.get_mut(&delivery) {
                aside.breaks = aside.breaks.saturating_add(1);
                aside.blamed += u32::from(aside.others_taken);
                let breaks = aside.breaks;
                if aside.blamed < BREAKS_BEFORE_PARKED {
                    return Next::SetAside { delivery, breaks };
                }
                self.set_aside.remove(&delivery);
                return Next::Park { delivery, breaks };
            }
            let breaks = match self.suspect {
                Some((suspect, breaks)) if suspect == delivery => breaks + 1,
                _ => 1,
            };
            if breaks >= BREAKS_BEFORE_SET_ASIDE {
                self.failures = 0;
                self.suspect = None;
                self.set_aside.insert(delivery, SetAside { breaks, ..SetAside::default() });
                return Next::SetAside { delivery, breaks };
            }
            self.suspect = Some((delivery, breaks));
        }
        self.failures = self.failures.saturating_add(1);
        Next::Hold { failures: self.failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_is_down_holds_the_queue_for_longer_and_longer() {
        let mut line = Line::default();
        for failures in 1..100 {
            assert_eq!(line.broke(None), Next::Hold { failures });
        }
        line.answered(1);
        assert_eq!(line.broke(None), Next::Hold { failures: 1 });
    }

    #[test]
    fn an_object_that_breaks_the_association_three_times_running_is_set_aside() {
        let mut line = Line::default();
        assert_eq!(line.broke(Some(7)), Next::Hold { failures: 1 });
        assert_eq!(line.broke(None), Next::Hold { failures: 2 }, "down meanwhile: says nothing about the object");
        assert_eq!(line.broke(Some(7)), Next::Hold { failures: 3 });
        assert_eq!(line.broke(Some(7)), Next::SetAside { delivery: 7, breaks: 3 });
        assert_eq!(line.broke(Some(8)), Next::Hold { failures: 1 }, "the next one starts afresh");
    }

    #[test]
    fn an_object_that_breaks_it_while_others_are_taken_is_tried_a_few_times_more_and_parked() {
        let mut line = Line::default();
        for _ in 0..3 {
            line.broke(Some(7));
        }
        for breaks in 4..8 {
            line.answered(8);
            assert_eq!(line.broke(Some(7)), Next::SetAside { delivery: 7, breaks }, "the queue does not wait for it");
        }
        assert_eq!(line.broke(Some(7)), Next::Park { delivery: 7, breaks: 8 });
        assert_eq!(line.broke(Some(7)), Next::Hold { failures: 1 }, "a person had it tried again: afresh");
    }

    #[test]
    fn an_object_that_is_alone_waits_longer_and_longer_and_is_not_parked() {
        let mut line = Line::default();
        line.broke(Some(7));
        line.broke(Some(7));
        for breaks in 3..100 {
            assert_eq!(line.broke(Some(7)), Next::SetAside { delivery: 7, breaks });
        }
    }

    #[test]
    fn a_refusal_that_may_concern_every_object_parks_none_before_another_is_stored() {
        let mut line = Line::default();
        for delivery in 1..4 {
            assert_eq!(line.doubted(delivery), Next::Hold { failures: 1 });
            assert_eq!(line.doubted(delivery), Next::Hold { failures: 2 });
            for breaks in 3..20 {
                assert_eq!(line.doubted(delivery), Next::SetAside { delivery, breaks });
            }
        }
        line.answered(9);
        assert_eq!(line.doubted(1), Next::SetAside { delivery: 1, breaks: 20 }, "a refusal of another shows nothing");
        line.stored(8);
        for delivery in 1..4 {
            assert!(matches!(line.doubted(delivery), Next::Park { .. }), "the destination is well");
        }
    }

    #[test]
    fn an_object_that_is_taken_in_the_end_is_forgotten() {
        let mut line = Line::default();
        for _ in 0..3 {
            line.broke(Some(7));
        }
        line.answered(7);
        assert_eq!(line, Line::default());
    }

    #[test]
    fn breaks_on_different_objects_suspect_none() {
        let mut line = Line::default();
        for failures in 1..10 {
            assert_eq!(line.broke(Some(i64::from(failures))), Next::Hold { failures });
        }
    }

    /// Two large objects next to each other at an archive with little room: the others go on in the end.
    #[test]
    fn after_a_few_holds_at_the_same_object_one_more_tells_whether_the_archive_is_full() {
        let mut line = Line::default();
        assert!(!line.is_full(1, 1) && line.is_full(1, 2));
        for failures in 1..=3 {
            assert!(line.is_full(1, 2));
            assert_eq!(line.no_room(1), Next::Hold { failures }, "longer and longer");
        }
        assert!(!line.is_full(1, 2) && line.is_full(1, 3));
        assert!(line.is_full(2, 2), "another one is the first: afresh");
        for _ in 0..100 {
            line.no_room(1);
        }
        assert!(!line.is_full(1, 7) && line.is_full(1, 8), "not the whole batch, for a week");
        line.stored(3);
        assert!(line.is_full(1, 2), "it has room");
    }
}
