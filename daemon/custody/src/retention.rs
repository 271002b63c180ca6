//! What is kept, why, and what goes next: as `scansidectl retention` and the bus tell it. Numbers and UIDs, no names.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    pub policy: Policy,
    pub disk: Disk,
    /// Received objects and results, by what keeps them.
    pub kept: Vec<Kept>,
    /// What else lies in the directory.
    pub besides: Vec<Besides>,
    pub forecast: Forecast,
    /// Studies in the order in which they are evicted.
    pub next: Vec<Next>,
    /// How many more there are.
    pub next_left_out: usize,
    /// Studies that people keep, the oldest hold first.
    pub holds: Vec<Hold>,
}

/// A study that a person keeps from eviction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub study_uid: String,
    pub since_utc: String,
    /// As the audit trail names callers.
    pub by: String,
    /// As typed.
    pub reason: String,
}

/// The rules in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Below so many free bytes eviction begins (`spool.evict_below_mib`).
    pub evict_below_bytes: u64,
    /// Below so many free bytes studies are refused (`spool.min_free_mib`).
    pub min_free_bytes: u64,
    /// Older ones go anyway (`spool.keep_days`); 0: only when space is short.
    pub keep_days: u32,
    /// Whether the clock has gone without a jump for long enough that ages count.
    pub ages_count: bool,
    /// Small objects are evicted by segments of this size.
    pub segment_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    pub free_bytes: u64,
    pub total_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Objects,
    Results,
}

/// What keeps it; the first that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Nothing: it goes when its turn comes.
    Evictable,
    /// A person.
    Held,
    /// Its series is being received or has no verdict yet.
    Unfinished,
    /// A job waits, runs or is parked.
    InWork,
    /// A result has to be sent.
    Undelivered,
    /// A result was sent, and its archive has not said yet that it keeps it.
    Uncommitted,
    /// Results: a destination refused it, or does not accept simulated ones; a person decides.
    Parked,
    /// It could go, but lies in one segment with what cannot.
    Neighbours,
    /// It lies in the segment that is being written.
    OpenSegment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub what: What,
    pub why: Why,
    pub count: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Other {
    /// Of live exams, until a copy of the database knows their results.
    Recordings,
    /// The database, its copy, and the files beside it.
    Database,
    AuditTrail,
    /// Segments that hold nothing yet.
    ReadySegments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Besides {
    pub what: Other,
    pub count: u64,
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Received and made, on average; `None` where less than a day is known.
    pub bytes_per_day: Option<u64>,
    /// Of how many days, 14 at most.
    pub observed_days: f64,
    /// Until eviction begins; 0: it has begun. `None`: not known.
    pub days_left: Option<f64>,
    /// What it begins with.
    pub because: Option<Because>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Space is short, or will be.
    Space,
    /// It is older than `keep_days`, or will be first.
    Age,
}

/// A study that can be evicted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Empty: objects that could not be parsed and belong to none.
    pub study_uid: String,
    /// When the newest of what goes came.
    pub newest_utc: String,
    /// That go.
    pub objects: u64,
    pub bytes: u64,
    /// With the last of its objects its results go.
    pub results_bytes: u64,
    /// The rest stays, because of what lies beside it.
    pub whole: bool,
    /// It goes within a minute; otherwise when it is its turn.
    pub now: bool,
    pub because: Because,
}
