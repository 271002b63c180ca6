//! Monotonic time behind a trait, so that code that waits can be tested without waiting; and UTC as text.

use std::time::Duration;

use jiff::civil::Date;

use crate::clock_ffi;
use crate::root::Root;

/// A monotonic clock. Two readings of one clock can be compared; those of two clocks cannot.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Time since the clock's own zero; never goes back.
    fn now(&self) -> Duration;

    /// Returns when `span` has passed on this clock.
    fn sleep(&self, span: Duration);
}

/// `CLOCK_MONOTONIC`, the clock by which video drivers stamp their frames.
#[derive(Debug, Clone, Copy, Default)]
pub struct System;

impl Clock for System {
    fn now(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        // The kernel gives seconds since boot, never negative, and nanoseconds below 10^9.
        Duration::try_from(time).unwrap_or_default()
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// The wall clock. People and time servers set it, so it can jump by years in either direction: nothing may wait for a
/// moment on it without a bound. Cheap to clone; clones share what a test sets.
#[derive(Debug, Clone, Default)]
pub struct Wall {
    /// Milliseconds by which a test has set it ahead.
    #[cfg(any(test, feature = "sim"))]
    ahead: std::sync::Arc<std::sync::atomic::AtomicI64>,
}

impl Wall {
    #[cfg(not(any(test, feature = "sim")))]
    fn moment(&self) -> jiff::Timestamp {
        let Self {} = self;
        jiff::Timestamp::now()
    }

    #[cfg(any(test, feature = "sim"))]
    fn moment(&self) -> jiff::Timestamp {
        let ahead = self.ahead.load(std::sync::atomic::Ordering::Relaxed);
        let now = jiff::Timestamp::now();
        now.checked_add(jiff::SignedDuration::from_millis(ahead)).unwrap_or(now)
    }

    /// As [`now_utc`].
    pub fn now_utc(&self) -> String {
        utc_text(self.moment())
    }

    /// As [`utc_after`].
    pub fn utc_after(&self, wait: Duration) -> String {
        text_after(self.moment(), wait)
    }

    /// The day that is `days` after today in local time, YYYYMMDD.
    pub fn local_date(&self, days: i32) -> String {
        let today = self.moment().to_zoned(jiff::tz::TimeZone::system()).date();
        today.saturating_add(jiff::Span::new().days(days)).strftime("%Y%m%d").to_string()
    }

    /// Seconds since 1970.
    pub fn unix_secs(&self) -> i64 {
        self.moment().as_second()
    }

    /// From now until `utc`; zero when that is past or unreadable.
    pub fn until(&self, utc: &str) -> Duration {
        let Ok(then) = utc.parse::<jiff::Timestamp>() else { return Duration::ZERO };
        Duration::try_from(then.duration_since(self.moment())).unwrap_or(Duration::ZERO)
    }

    /// From `utc` until now; zero when that is to come or unreadable.
    pub fn since(&self, utc: &str) -> Duration {
        let Ok(then) = utc.parse::<jiff::Timestamp>() else { return Duration::ZERO };
        Duration::try_from(self.moment().duration_since(then)).unwrap_or(Duration::ZERO)
    }

    /// Sets it by so many days against the right time.
    #[cfg(any(test, feature = "sim"))]
    pub fn set_days(&self, days: i64) {
        self.ahead.store(days * 86_400_000, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Whether the wall clock was set by a time server since the machine started, and so may be believed: systemd-timesyncd
/// leaves a mark; what chrony or ntpd did the kernel knows, where we may ask it (the sandbox of scansided.service does not
/// let us). `false` where nobody knows.
pub fn is_synchronised(root: &Root) -> bool {
    root.clock_was_set() || (*root == Root::default() && clock_ffi::kernel_is_synchronised())
}

/// Now in UTC, as every row and result has it: sortable text with milliseconds, `2026-11-24T03:00:00.000Z`.
pub fn now_utc() -> String {
    utc_text(jiff::Timestamp::now())
}

/// The moment `wait` from now, in the form of [`now_utc`]; the end of the calendar (year 9999) when it lies beyond.
pub fn utc_after(wait: Duration) -> String {
    text_after(jiff::Timestamp::now(), wait)
}

/// The moment `span` ago, in the form of [`now_utc`]; the beginning of the calendar when it lies before.
pub fn utc_before(span: Duration) -> String {
    let span = jiff::SignedDuration::try_from(span).unwrap_or(jiff::SignedDuration::MAX);
    utc_text(jiff::Timestamp::now().checked_sub(span).unwrap_or(jiff::Timestamp::MIN))
}

/// A time of the file system in the form of [`now_utc`]; `None` when no calendar has it.
pub fn utc_of(time: std::time::SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(utc_text)
}

fn text_after(moment: jiff::Timestamp, wait: Duration) -> String {
    let wait = jiff::SignedDuration::try_from(wait).unwrap_or(jiff::SignedDuration::MAX);
    utc_text(moment.checked_add(wait).unwrap_or(jiff::Timestamp::MAX))
}

fn utc_text(moment: jiff::Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// In local time, as people count days.
pub fn today() -> Date {
    jiff::Zoned::now().date()
}

/// The day of this moment (in the form of [`now_utc`]) in local time; `None` when it is no moment.
pub fn local_day_of(utc: &str) -> Option<Date> {
    let moment = utc.parse::<jiff::Timestamp>().ok()?;
    Some(moment.to_zoned(jiff::tz::TimeZone::system()).date())
}

/// The same as YYYYMMDD.
pub fn local_date_of(utc: &str) -> Option<String> {
    Some(local_day_of(utc)?.strftime("%Y%m%d").to_string())
}

/// This moment (in the form of [`now_utc`]) in local time: YYYYMMDD, HHMMSS, and the offset from UTC as `+0800`; `None` when it is no
/// moment.
pub fn local_parts_of(utc: &str) -> Option<[String; 3]> {
    let local = utc.parse::<jiff::Timestamp>().ok()?.to_zoned(jiff::tz::TimeZone::system());
    Some(["%Y%m%d", "%H%M%S", "%z"].map(|format| local.strftime(format).to_string()))
}

/// A clock for tests: it advances only by `advance` and by `sleep`. Clones share the time.
#[cfg(any(test, feature = "sim"))]
#[derive(Debug, Clone, Default)]
pub struct Manual {
    now: std::sync::Arc<std::sync::Mutex<Duration>>,
}

#[cfg(any(test, feature = "sim"))]
impl Manual {
    /// Lets `span` pass.
    pub fn advance(&self, span: Duration) {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += span;
    }
}

#[cfg(any(test, feature = "sim"))]
impl Clock for Manual {
    fn now(&self) -> Duration {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn sleep(&self, span: Duration) {
        self.advance(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_does_not_go_back() {
        let before = System.now();
        System.sleep(Duration::ZERO);
        assert!(before > Duration::ZERO && System.now() >= before);
    }

    #[test]
    fn utc_is_sortable_text_with_milliseconds() {
        assert_eq!(utc_text(jiff::Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
        let now = now_utc();
        assert_eq!(now.len(), "2026-11-24T03:00:00.000Z".len());
        assert!(now <= utc_after(Duration::ZERO) && now < utc_after(Duration::from_secs(1)));
        assert!(utc_after(Duration::MAX).starts_with("9999-12-"), "far beyond the calendar");
    }

    #[test]
    fn a_clock_is_believed_once_a_time_server_has_set_it() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::at(tree.path());
        assert!(!is_synchronised(&root), "nobody has");
        std::fs::create_dir_all(tree.path().join("run/systemd/timesync")).unwrap();
        std::fs::write(tree.path().join("run/systemd/timesync/synchronized"), "").unwrap();
        assert!(is_synchronised(&root));
    }

    #[test]
    fn the_wall_clock_can_be_set_by_years_and_spans_stay_right() {
        let wall = Wall::default();
        for days in [0, 4000, -3650] {
            wall.set_days(days);
            let then = wall.utc_after(Duration::from_secs(60));
            assert!(wall.until(&then) > Duration::from_secs(58) && wall.until(&then) <= Duration::from_secs(60));
            assert_eq!(wall.now_utc() > now_utc(), days > 0);
        }
        assert_eq!(wall.until("yesterday"), Duration::ZERO);
    }

    #[test]
    fn today_is_a_day_of_eight_digits_and_days_are_counted_from_it() {
        let wall = Wall::default();
        let today = wall.local_date(0);
        assert_eq!(today.len(), 8);
        assert!(wall.local_date(-1) < today && today < wall.local_date(1));
        assert_eq!(local_date_of("1999-06-15T12:00:00.000Z").as_deref(), Some("19990615"));
        assert_eq!(local_date_of("today"), None);
        wall.set_days(40);
        assert_eq!(wall.local_date(-40), today);
    }

    #[test]
    fn sim_sleeping_on_the_manual_clock_is_how_its_time_passes() {
        let clock = Manual::default();
        clock.clone().sleep(Duration::from_secs(3600));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Duration::from_secs(3601));
    }
}
