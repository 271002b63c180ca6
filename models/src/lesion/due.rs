//! When somebody is to come again. The interval is a person's; where a rule that is published and free to use gives one, it
//! is suggested with its source.

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use serde::{Deserialize, Serialize};

/// Due, but not overdue, from so many days before the day on.
pub const SOON_DAYS: i32 = 30;
/// An exam that is so many days early, or a quarter of the interval if that is less, is the one that was due.
pub const EARLY_DAYS: i32 = 30;
/// Nobody is called after more than this.
const MOST_YEARS: u16 = 50;

/// The state of a recall on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its day is more than [`SOON_DAYS`] ahead.
    Open,
    Due,
    /// Its day has passed.
    Overdue,
    Done,
    Cancelled,
    /// Its exam has become another patient's: nobody is to be called before a person has looked.
    Moved,
}

impl Standing {
    pub fn of(due: Date, today: Date) -> Self {
        match days(today, due) {
            ..0 => Self::Overdue,
            0..=SOON_DAYS => Self::Due,
            _ => Self::Open,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Due => "due",
            Self::Overdue => "overdue",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Moved => "moved",
        }
    }
}

/// Days from one day to another; negative when it is past.
pub fn days(from: Date, to: Date) -> i32 {
    from.until(to).map_or(0, |span| span.get_days())
}

/// Is an exam of this day the one that was due? `entered`: the day on which the recall was entered.
pub fn is_met(due: Date, entered: Date, exam: Date) -> bool {
    exam > entered && days(exam, due) <= EARLY_DAYS.min(days(entered, due) / 4)
}

/// An interval as people write it: `6m`, `1y`, `2w`, `10d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub number: u16,
    pub unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Days,
    Weeks,
    Months,
    Years,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no interval: write a number and d, w, m or y, such as 6m, of {MOST_YEARS} years at most")]
pub struct NoInterval(pub String);

impl std::str::FromStr for Interval {
    type Err = NoInterval;

    fn from_str(text: &str) -> Result<Self, NoInterval> {
        let no = || NoInterval(text.to_owned());
        let (at, letter) = text.char_indices().last().ok_or_else(no)?;
        let (unit, in_a_year) = match letter {
            'd' => (Unit::Days, 365),
            'w' => (Unit::Weeks, 52),
            'm' => (Unit::Months, 12),
            'y' => (Unit::Years, 1),
            _ => return Err(no()),
        };
        let number = text[..at].parse().map_err(|_| no())?;
        if (1..=MOST_YEARS * in_a_year).contains(&number) { Ok(Self { number, unit }) } else { Err(no()) }
    }
}

impl Interval {
    /// The day after this interval. A month that is too short ends earlier: six months after 31 August is the last of February.
    pub fn after(self, day: Date) -> Date {
        let number = i64::from(self.number);
        let span: Span = match self.unit {
            Unit::Days => number.days(),
            Unit::Weeks => number.weeks(),
            Unit::Months => number.months(),
            Unit::Years => number.years(),
        };
        day.saturating_add(span)
    }
}

/// What a published rule says of the next exam.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    pub due: Date,
    pub modality: &'static str,
    /// Source, to be shown beside it.
    pub rule: &'static str,
}

/// NICE gives it as a recommendation for the follow-up of early breast cancer and ductal carcinoma in situ.
pub const AFTER_CANCER: &str =
    "NICE guideline NG101: mammography every year for five years after early breast cancer or DCIS";

/// A mammography that is not more months before the end of the five years is the last of them: the rule does not say, this is
/// our choice.
const LAST_MONTHS: u16 = 6;

/// After the last malignant result, of this day; `last`: the last mammography. There is no rule for other lesions that is free
/// to use: the lexicon that has one is copyrighted, so a person enters the interval.
pub fn suggestion(malignant: Option<Date>, last: Option<Date>) -> Option<Suggestion> {
    let malignant = malignant?;
    let years = |number| Interval { number, unit: Unit::Years };
    let from = last.filter(|last| *last >= malignant).unwrap_or(malignant);
    let end = years(5).after(malignant);
    // Each exam that came late has moved the next one: the fifth is due all the same.
    let due = years(1).after(from).min(end);
    let is_over = Interval { number: LAST_MONTHS, unit: Unit::Months }.after(from) >= end;
    (!is_over).then_some(Suggestion { due, modality: "MG", rule: AFTER_CANCER })
}
