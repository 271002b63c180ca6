//! For how long pictures came that no network looked at.

use std::time::Duration;

/// From one answer to the next: a network that is slower than the scanner, or is begun, leaves no gap.
const GAP: Duration = Duration::from_secs(2);
/// Between two pictures that are further apart there was no signal.
const APART: Duration = Duration::from_secs(1);

/// By the times at which pictures were captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looking {
    last: Option<Duration>,
    coming: Duration,
    /// Since the last look.
    since: Duration,
    gaps: Duration,
}

impl Looking {
    /// A picture came, whether it is shown or not.
    pub fn picture(&mut self, captured: Duration) {
        let step = self.last.and_then(|last| captured.checked_sub(last)).filter(|step| *step <= APART);
        self.last = Some(captured);
        self.coming += step.unwrap_or_default();
        self.since += step.unwrap_or_default();
    }

    /// A network has looked at a picture, or nothing moves in it.
    pub fn looked(&mut self) {
        self.gaps = self.unseen();
        self.since = Duration::ZERO;
    }

    /// For how long pictures came.
    pub fn coming(&self) -> Duration {
        self.coming
    }

    /// How much of it nobody looked at, in gaps of more than [`GAP`].
    pub fn unseen(&self) -> Duration {
        self.gaps + if self.since > GAP { self.since } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures every 40 ms from one second to another.
    fn pictures(looking: &mut Looking, secs: std::ops::Range<u64>, looks: bool) {
        for ms in (secs.start * 1000..secs.end * 1000).step_by(40) {
            looking.picture(Duration::from_millis(ms));
            if looks && ms % 400 == 0 {
                looking.looked();
            }
        }
    }

    #[test]
    fn a_gap_counts_while_it_lasts_and_after_it_and_short_ones_do_not() {
        let mut looking = Looking::default();
        pictures(&mut looking, 0..10, true);
        assert_eq!(looking.unseen(), Duration::ZERO, "an answer for one picture in ten is no gap");
        pictures(&mut looking, 10..70, false);
        assert!(looking.unseen().as_secs_f64() > 59.0, "{looking:?}");
        pictures(&mut looking, 70..80, true);
        let (coming, unseen) = (looking.coming().as_secs_f64(), looking.unseen().as_secs_f64());
        assert!((59.0..61.0).contains(&unseen) && (79.0..=80.0).contains(&coming), "{looking:?}");
    }

    #[test]
    fn time_without_a_signal_is_no_time_in_which_pictures_came() {
        let mut looking = Looking::default();
        pictures(&mut looking, 0..1, false);
        pictures(&mut looking, 600..601, false);
        assert!(looking.coming() < Duration::from_secs(2) && looking.unseen() == Duration::ZERO, "{looking:?}");
        // A driver that begins to count again.
        pictures(&mut looking, 5..6, false);
        assert!(looking.coming() < Duration::from_secs(3), "{looking:?}");
    }
}
