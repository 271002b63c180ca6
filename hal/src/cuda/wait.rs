//! Waiting for a card without trusting it: the card is asked again and again until it is ready or the time is over. The driver's own
//! calls that wait have no limit of time.

use std::time::Duration;

use crate::clock::Clock;

/// Asked without a pause for so long: most work of a live picture is done within it.
const EAGER: Duration = Duration::from_micros(200);
/// The longest pause between two questions.
const PAUSE: Duration = Duration::from_millis(1);

/// Calls `ready` until it says yes, fails, or `timeout` is over; `false`: the time is over. It is asked at least once.
pub(super) fn until<E>(
    clock: &dyn Clock,
    timeout: Duration,
    mut ready: impl FnMut() -> Result<bool, E>,
) -> Result<bool, E> {
    let begun = clock.now();
    let mut pause = Duration::from_micros(20);
    loop {
        if ready()? {
            return Ok(true);
        }
        let waited = clock.now().saturating_sub(begun);
        if waited >= timeout {
            return Ok(false);
        }
        if waited < EAGER {
            std::thread::yield_now();
        } else {
            clock.sleep(pause.min(timeout - waited));
            pause = (pause * 2).min(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Manual, System};

    #[test]
    fn a_card_that_never_answers_is_given_up_at_the_deadline() {
        let mut asked = 0;
        let answer: Result<bool, ()> = until(&System, Duration::from_millis(5), || {
            asked += 1;
            Ok(false)
        });
        assert_eq!(answer, Ok(false));
        assert!(asked > 2, "{asked}");
    }

    #[test]
    fn what_is_ready_is_not_waited_for_and_a_failure_ends_it() {
        let clock = Manual::default();
        assert_eq!(until::<()>(&clock, Duration::ZERO, || Ok(true)), Ok(true), "asked once, also without time");
        assert_eq!(until(&clock, Duration::from_secs(9), || Err("lost")), Err("lost"));
    }
}
