//! UTC as the daemon has it -> local time and ages as people read them.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

use crate::doctor::text::Language;

/// `2026-01-31 14:05`, in the local time zone. Text that is no time is shown as it is.
pub fn local(utc: &str) -> String {
    in_zone(utc, TimeZone::system())
}

/// `2026-01-31 14:05:09`, in the local time zone.
pub fn local_seconds(utc: &str) -> String {
    let time = utc.parse::<Timestamp>().map(|time| time.to_zoned(TimeZone::system()));
    time.map_or_else(|_| utc.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn in_zone(utc: &str, zone: TimeZone) -> String {
    match utc.parse::<Timestamp>() {
        Ok(time) => time.to_zoned(zone).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => utc.to_owned(),
    }
}

/// `14:05:09`, local, for lines about now.
pub fn clock() -> String {
    Timestamp::now().to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// `40 s`, `12 min`, `3 h`, `5 days`.
pub fn age(utc: &str) -> String {
    let Ok(then) = utc.parse::<Timestamp>() else { return utc.to_owned() };
    let seconds = Timestamp::now().since(then).and_then(|span| span.total(Unit::Second)).unwrap_or(0.0);
    span(seconds, Language::English)
}

pub fn span(seconds: f64, language: Language) -> String {
    match seconds {
        s if s < 0.0 => language.pick("from the future", "来自未来"),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s if s < 129_600.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} {}", s / 86_400.0, language.pick("days", "天")),
    }
}

pub use dicom::text::date;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_for_people() {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        assert_eq!(in_zone("2026-01-31T23:30:00.000Z", zone), "2026-02-01 07:30");
        assert_eq!(in_zone("soon", TimeZone::UTC), "soon");
    }

    #[test]
    fn ages_and_dates_are_short() {
        let english = |seconds| span(seconds, Language::English);
        assert_eq!((english(40.0), english(720.0), english(10_800.0)), ("40 s".into(), "12 min".into(), "3 h".into()));
        assert_eq!((date("20260131").as_str(), date("").as_str()), ("2026-01-31", ""));
    }
}
