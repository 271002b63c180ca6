//! The chain: what a row is, how its hash is made, whether rows fit. Pure.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the first row has for the hash of the row before.
pub(super) const BEGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What a row says when the oldest rows were removed because there were too many; its result is the hash of the last of them.
pub(super) const RETIRED: &str = "retired";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// From 1, without gaps.
    pub number: u64,
    pub utc: String,
    pub who: String,
    pub what: String,
    pub object: String,
    pub result: String,
    pub previous: String,
    /// SHA-256, lower-case hex, of `previous` and `[number,utc,who,what,object,result]` as JSON without blanks.
    pub hash: String,
}

impl Row {
    pub(super) fn new(number: u64, utc: String, [who, what, object, result]: [String; 4], previous: &str) -> Self {
        let mut row =
            Self { number, utc, who, what, object, result, previous: previous.to_owned(), hash: String::new() };
        row.hash = row.own_hash();
        row
    }

    /// Whether its hash is that of what it says.
    pub(super) fn is_sound(&self) -> bool {
        self.hash == self.own_hash()
    }

    fn own_hash(&self) -> String {
        let said = (self.number, &self.utc, &self.who, &self.what, &self.object, &self.result);
        // Numbers and text always have a form as JSON.
        let said = serde_json::to_string(&said).unwrap_or_default();
        hex::encode(Sha256::new().chain_update(&self.previous).chain_update(said).finalize())
    }
}

/// The first row that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    pub number: u64,
    pub what: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub rows: u64,
    /// Number of the oldest row that is still here.
    pub first: u64,
    /// Hash of the newest: whoever wrote it down elsewhere can tell that no later rows were cut off.
    pub last_hash: String,
    pub fault: Option<Fault>,
}

/// `unread`: number of the row before a line that is no row.
pub(super) fn verify(rows: &[Row], unread: Option<u64>) -> Verdict {
    let fault = |number: u64, what: &str| Some(Fault { number, what: what.to_owned() });
    let begins = |first: &Row| {
        let begun = first.number == 1 && first.previous == BEGIN;
        begun || rows.iter().any(|row| row.what == RETIRED && row.result == first.previous)
    };
    let mut found = None;
    if let Some(first) = rows.first().filter(|first| !begins(first)) {
        found = fault(first.number, "the rows before it are missing");
    }
    for (index, row) in rows.iter().enumerate() {
        if found.is_some() {
            break;
        }
        found = match index.checked_sub(1).map(|before| &rows[before]) {
            _ if !row.is_sound() => fault(row.number, "it was changed"),
            Some(before) if row.number != before.number + 1 => {
                fault(row.number, &format!("it follows row {}: rows between them are missing", before.number))
            }
            Some(before) if row.previous != before.hash => fault(row.number, "the row before it was changed"),
            _ => None,
        };
    }
    if let Some(before) = unread.filter(|before| found.as_ref().is_none_or(|fault| fault.number > *before)) {
        found = fault(before + 1, "it cannot be read");
    }
    Verdict {
        rows: rows.len() as u64,
        first: rows.first().map_or(0, |row| row.number),
        last_hash: rows.last().map_or_else(|| BEGIN.to_owned(), |row| row.hash.clone()),
        fault: found,
    }
}
