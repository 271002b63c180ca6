//! Parses the options of the list methods (`a{sv}`) to a [`Filter`]. An unknown option is an error.

use std::collections::HashMap;

use custody::store::lists::Wanted;
use zbus::OwnedVariant;

use super::{Error, RerunOptions};

/// How many rows a list returns by default, and at most.
const DEFAULT_LIMIT: u32 = 100;
const MOST: u32 = 10_000;

pub type Options = HashMap<String, OwnedVariant>;

/// Which rows a list returns. Newest come first, so `limit` keeps the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub rows: Wanted,
    /// Of model packages, which are not in the database.
    pub task: Option<String>,
    /// Of the audit trail, which is not in the database either.
    pub since_utc: Option<String>,
    /// Number of a row of it; of a study or series it is in `rows`.
    pub before: Option<u64>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { rows: Wanted { limit: DEFAULT_LIMIT, ..Wanted::default() }, task: None, since_utc: None, before: None }
    }
}

impl Filter {
    /// # Errors
    /// `InvalidArgument` names the option that is not in `known`, or has the wrong type.
    pub fn parse(options: &Options, known: &[&str]) -> Result<Self, Error> {
        let mut filter = Self::default();
        for (name, value) in options {
            if !known.contains(&name.as_str()) {
                return Err(unknown(name, known));
            }
            match name.as_str() {
                "limit" => {
                    let limit = u32::try_from(value).map_err(|_| wrong_type(name, "u"))?;
                    filter.rows.limit = if limit == 0 { MOST } else { limit.min(MOST) };
                }
                "study_uid" => filter.rows.study_uid = Some(text(name, value)?),
                "series_uid" => filter.rows.series_uid = Some(text(name, value)?),
                "state" => filter.rows.state = Some(text(name, value)?),
                "since_utc" => filter.since_utc = Some(text(name, value)?),
                "before" => {
                    let number = u64::try_from(value).map_err(|_| wrong_type(name, "t"))?;
                    (filter.before, filter.rows.before) = (Some(number), Some(row(number)));
                }
                "number" => {
                    filter.rows.number = Some(row(u64::try_from(value).map_err(|_| wrong_type(name, "t"))?));
                }
                "task" => filter.task = Some(text(name, value)?),
                "destination" => filter.rows.destination = Some(text(name, value)?),
                _ => return Err(unknown(name, known)),
            }
        }
        Ok(filter)
    }
}

/// A number that no row has stays one.
fn row(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The one option that a method has, `b`; false when it is absent.
///
/// # Errors
/// `InvalidArgument` as for `Filter::parse`.
pub fn only_bool(options: &Options, known: &str) -> Result<bool, Error> {
    let mut is = false;
    for (name, value) in options {
        if name != known {
            return Err(unknown(name, &[known]));
        }
        is = bool::try_from(value).map_err(|_| wrong_type(name, "b"))?;
    }
    Ok(is)
}

impl RerunOptions {
    /// # Errors
    /// `InvalidArgument` as for `Filter::parse`.
    pub fn parse(options: &Options) -> Result<Self, Error> {
        Ok(Self { urgent: only_bool(options, "urgent")? })
    }
}

pub(super) fn text(name: &str, value: &OwnedVariant) -> Result<String, Error> {
    <&str>::try_from(value).map(str::to_owned).map_err(|_| wrong_type(name, "s"))
}

pub(super) fn wrong_type(name: &str, signature: &str) -> Error {
    Error::InvalidArgument(format!("option {name:?} must have type {signature:?}"))
}

pub(super) fn unknown(name: &str, known: &[&str]) -> Error {
    Error::InvalidArgument(format!("unknown option {name:?}; known are {}", known.join(", ")))
}

#[cfg(test)]
mod tests {
    use zbus::Variant;

    use super::*;

    fn options(pairs: &[(&str, Variant<'_>)]) -> Options {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), OwnedVariant::try_from(value).unwrap())).collect()
    }

    #[test]
    fn options_that_are_unknown_or_of_another_type_are_named() {
        let error = Filter::parse(&options(&[("limt", Variant::from(3u32))]), &["limit"]).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("\"limt\"")), "{error:?}");
        let error = Filter::parse(&options(&[("limit", Variant::from("3"))]), &["limit"]).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("type \"u\"")), "{error:?}");
        let error = RerunOptions::parse(&options(&[("urgnt", Variant::from(true))])).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("urgent")), "{error:?}");
    }

    #[test]
    fn limits_are_bounded_and_zero_means_as_many_as_allowed() {
        let limit = |n: u32| Filter::parse(&options(&[("limit", Variant::from(n))]), &["limit"]).unwrap().rows.limit;
        assert_eq!((limit(7), limit(0), limit(u32::MAX)), (7, MOST, MOST));
        assert_eq!(Filter::parse(&Options::new(), &[]).unwrap().rows.limit, DEFAULT_LIMIT);
    }
}
