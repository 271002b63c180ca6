//! Lesions and recalls on the bus: options in, JSON out.

use custody::store;
use hal::clock::today;
use jiff::civil::Date;
use models::lesion::entry::Entry;
use rusqlite::Connection;
use serde::Serialize;
use study::lesions::listed::{self, Wanted};

use super::Error;
use super::filter::{self, Options, text, wrong_type};

/// How many patients a list has by default.
const DEFAULT_LIMIT: u32 = 100;

#[derive(Debug)]
pub struct List {
    patient: Option<String>,
    limit: u32,
}

impl List {
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(options: &Options) -> Result<Self, Error> {
        let mut list = Self { patient: None, limit: DEFAULT_LIMIT };
        for (name, value) in options {
            match name.as_str() {
                "patient" => list.patient = Some(text(name, value)?),
                "limit" => list.limit = u32::try_from(value).map_err(|_| wrong_type(name, "u"))?,
                _ => return Err(filter::unknown(name, &["patient", "limit"])),
            }
        }
        Ok(list)
    }
}

#[derive(Debug)]
pub struct Recalls {
    wanted: Wanted,
    on: Date,
}

impl Recalls {
    /// # Errors
    /// `InvalidArgument`.
    pub fn parse(options: &Options) -> Result<Self, Error> {
        let mut recalls = Self { wanted: Wanted::default(), on: today() };
        for (name, value) in options {
            match name.as_str() {
                "patient" => recalls.wanted.patient = Some(text(name, value)?),
                "all" => recalls.wanted.all = bool::try_from(value).map_err(|_| wrong_type(name, "b"))?,
                "on" => {
                    let on = text(name, value)?;
                    let no = |_| Error::InvalidArgument(format!("{on:?} is no date; write it as 2027-01-31"));
                    recalls.on = on.parse().map_err(no)?;
                }
                _ => return Err(filter::unknown(name, &["patient", "all", "on"])),
            }
        }
        Ok(recalls)
    }
}

pub fn list(connection: &Connection, wanted: &List) -> Result<String, Error> {
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    json(&listed::list(connection, wanted.patient.as_deref(), limit)?)
}

pub fn show(connection: &Connection, number: u64) -> Result<String, Error> {
    match listed::show(connection, number)? {
        Some(shown) => json(&shown),
        None => {
            Err(Error::NotFound(format!("there is no lesion {number}; `scansidectl lesions list` shows what there is")))
        }
    }
}

pub fn recalls(connection: &Connection, recalls: &Recalls) -> Result<String, Error> {
    json(&listed::recalls(connection, &recalls.wanted, recalls.on)?)
}

/// # Errors
/// `InvalidArgument` names what is wrong.
pub fn entry(text: &str) -> Result<Entry, Error> {
    serde_json::from_str(text).map_err(|error| Error::InvalidArgument(format!("the entry cannot be read: {error}")))
}

fn json(value: &impl Serialize) -> Result<String, Error> {
    Ok(serde_json::to_string(value).map_err(store::Error::from)?)
}
