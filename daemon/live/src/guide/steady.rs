//! A word that does not flicker: another one is shown only when it has stayed for a while. Pure.

use std::time::Duration;

use models::task::us_breast::scan::Unjudged;

/// Another word has to stay for this long.
const STAYS: Duration = Duration::from_millis(800);

#[derive(Debug)]
pub(super) struct Steady<W> {
    shown: Option<Result<W, Unjudged>>,
    /// The other word, and since when.
    next: Option<(Result<W, Unjudged>, Duration)>,
}

impl<W> Default for Steady<W> {
    fn default() -> Self {
        Self { shown: None, next: None }
    }
}

impl<W: Copy + PartialEq> Steady<W> {
    /// Takes in the word of a picture that was captured at `at`; returns the one that is shown.
    pub(super) fn see(&mut self, word: Result<W, Unjudged>, at: Duration) -> Result<W, Unjudged> {
        let Some(shown) = self.shown else {
            self.shown = Some(word);
            return word;
        };
        if word == shown {
            self.next = None;
            return shown;
        }
        let since = match self.next {
            Some((next, since)) if next == word && since <= at => since,
            _ => at,
        };
        self.next = Some((word, since));
        // What waits for its first pictures has said nothing yet.
        let is_first = matches!(shown, Err(Unjudged::NoPicture | Unjudged::TooFewPictures));
        if at - since < STAYS && !is_first {
            return shown;
        }
        (self.shown, self.next) = (Some(word), None);
        word
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_word_changes_only_to_one_that_has_stayed(words in proptest::collection::vec(0u8..3, 1..60)) {
            let mut steady = Steady::default();
            let mut before = None;
            for (i, word) in words.iter().enumerate() {
                let at = Duration::from_millis(200 * i as u64);
                let shown = steady.see(Ok(*word), at).unwrap();
                if before.is_some_and(|before| before != shown) {
                    let since = i.saturating_sub(4);
                    prop_assert!(words[since..=i].iter().all(|one| *one == shown), "{words:?} at {i}");
                }
                before = Some(shown);
            }
        }
    }

    #[test]
    fn the_first_word_is_shown_at_once() {
        let mut steady = Steady::default();
        assert_eq!(steady.see(Err::<u8, _>(Unjudged::TooFewPictures), Duration::ZERO), Err(Unjudged::TooFewPictures));
        assert_eq!(steady.see(Ok(1), Duration::from_millis(200)), Ok(1));
    }

    #[test]
    fn one_dark_picture_changes_nothing_and_a_clock_that_begins_anew_does_not_stop_it() {
        let mut steady = Steady::default();
        let at = |ms| Duration::from_millis(ms);
        assert_eq!(steady.see(Ok(1), at(5000)), Ok(1));
        assert_eq!(steady.see(Err(Unjudged::Dark), at(5200)), Ok(1));
        assert_eq!(steady.see(Ok(1), at(5400)), Ok(1));
        assert_eq!(steady.see(Ok(2), at(100)), Ok(1));
        assert_eq!(steady.see(Ok(2), at(500)), Ok(1));
        assert_eq!(steady.see(Ok(2), at(900)), Ok(2));
    }
}
