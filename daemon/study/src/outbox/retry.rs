//! When to try again. Pure: no jitter, since each box calls its own archive.

use std::time::Duration;

/// The wait after the `failures`th failure in a row (from 1): `first`, doubling up to `longest`, for ever.
pub fn back_off(failures: u32, first: Duration, longest: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    first.saturating_mul(1 << doublings).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(5);
    const LONGEST: Duration = Duration::from_secs(600);

    #[test]
    fn waits_double_up_to_the_longest_and_stay_there_for_ever() {
        let waits: Vec<_> = (1..=9).map(|failures| back_off(failures, FIRST, LONGEST).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 600, 600]);
        assert_eq!(back_off(u32::MAX, FIRST, LONGEST), LONGEST);
        assert_eq!(back_off(0, FIRST, LONGEST), FIRST);
    }
}
