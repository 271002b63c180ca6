//! Decides what the failure of an association means for the queue. Pure.
//!
//! ```text
//! association broke before or between objects  -> the queue is held
//! ... while one object was on its way          -> the queue is held, that object is suspected
//! ... three times running on the same object   -> that object waits by itself, the others go on
//! ```

/// One object may crash the archive. After this many failures the queue no longer waits for that object.
const BREAKS_BEFORE_SET_ASIDE: u32 = 3;

/// Consecutive failures of one destination.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    failures: u32,
    /// The delivery that was being sent at the last failures, and the number of these failures.
    suspect: Option<(i64, u32)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Hold the whole queue; the back-off depends on the number of failures in a row.
    Hold { failures: u32 },
    /// Postpone this delivery only.
    SetAside { delivery: i64 },
}

impl Line {
    /// The destination answered.
    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// The association failed; `sending` was being sent.
    pub(super) fn broke(&mut self, sending: Option<i64>) -> Next {
        if let Some(delivery) = sending {
            let breaks = match self.suspect {
                Some((suspect, breaks)) if suspect == delivery => breaks + 1,
                _ => 1,
            };
            if breaks >= BREAKS_BEFORE_SET_ASIDE {
                *self = Self::default();
                return Next::SetAside { delivery };
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
        line.answered();
        assert_eq!(line.broke(None), Next::Hold { failures: 1 });
    }

    #[test]
    fn an_object_that_breaks_the_association_three_times_running_is_set_aside() {
        let mut line = Line::default();
        assert_eq!(line.broke(Some(7)), Next::Hold { failures: 1 });
        assert_eq!(line.broke(None), Next::Hold { failures: 2 }, "down meanwhile: says nothing about the object");
        assert_eq!(line.broke(Some(7)), Next::Hold { failures: 3 });
        assert_eq!(line.broke(Some(7)), Next::SetAside { delivery: 7 });
        assert_eq!(line.broke(Some(8)), Next::Hold { failures: 1 }, "the next one starts afresh");
    }

    #[test]
    fn breaks_on_different_objects_suspect_none() {
        let mut line = Line::default();
        for failures in 1..10 {
            assert_eq!(line.broke(Some(i64::from(failures))), Next::Hold { failures });
        }
    }
}
