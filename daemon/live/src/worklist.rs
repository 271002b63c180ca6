//! The worklist of expected patients, which another system writes, so that a patient can be chosen instead of typed.
//!
//! Either a folder of DICOM Modality Worklist items, `.wl` or `.dcm` (`folder`; the format that DCMTK's wlmscpfs
//! serves), or one CSV file (`csv`). It is read at each request, since it changes all the time. Or what a worklist server
//! has answered (`served`); or both. An entry that cannot be read is left out; the others are used.

mod csv;
mod folder;
pub mod matching;
pub mod served;
mod taken;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dicom::patient::Patient;
use dicom::request::Request;
use dicom::scan::Besides;
use serde::{Deserialize, Serialize};

use dicom::text::is_date;

use crate::identity;

pub use self::csv::CsvError;
use self::served::{Served, Server};
pub use self::taken::Taken;

/// At most this many entries are listed; nobody chooses from a longer list.
const MOST_ENTRIES: usize = 1000;
/// At most this many are read, so that those of today are found in the list of a year.
const MOST_READ: usize = 5000;
/// Of a description (LO, PS3.5 section 6.2).
const LONGEST: usize = 64;

/// An exam that a user wants to begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    pub patient: Patient,
    /// Study UID from the worklist; when absent, a new one is made.
    pub study_uid: Option<String>,
    /// What the worklist says was asked for; `None`: the exam is not of the worklist.
    pub request: Option<Box<Request>>,
    pub taken: Taken,
    /// Begun although the scanner's screen shows another patient: a person has looked.
    pub despite_screen: bool,
    /// For the exam that began then ([`crate::view::Exam::started_utc`]), which whoever ordered has seen running; empty: none ran.
    /// `None`: for whatever exam runs.
    pub seen: Option<String>,
}

impl From<Patient> for Order {
    fn from(patient: Patient) -> Self {
        Self { patient, ..Self::default() }
    }
}

/// Why there is no list, with what helps.
#[derive(Debug, thiserror::Error)]
pub enum WorklistError {
    #[error("no worklist is configured: set live.worklist or worklist.address, or type the patient")]
    NotConfigured,
    #[error("there is no worklist: {0}")]
    NotAnswered(String),
    #[error("the worklist {path} cannot be read: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("the worklist {path} cannot be read: {source}")]
    BadCsv { path: String, source: CsvError },
    #[error("reading the worklist crashed; the daemon's log has more")]
    Crashed,
}

/// Where the worklist is; by default none is configured.
#[derive(Debug, Clone, Default)]
pub struct Worklist {
    path: Option<PathBuf>,
    served: Option<Served>,
    /// What makes study UIDs those of this box.
    site: String,
    /// What was left out when it was read last, as it was logged.
    left_out: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// One ordered exam.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub patient: Patient,
    /// Empty when the worklist gives none.
    pub study_uid: String,
    /// YYYYMMDD and HHMMSS (or shorter), local time; may be empty.
    pub date: String,
    pub time: String,
    pub modality: String,
    pub description: String,
    #[serde(default)]
    pub request: Request,
    /// For scanners that ask. It is shown to nobody here.
    #[serde(skip)]
    pub besides: Besides,
}

/// The entries in the order of the appointments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Listing {
    pub entries: Vec<Entry>,
    /// How many entries were left out, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// How the server is, if one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
}

impl Worklist {
    /// In a file or a folder.
    pub fn at(path: Option<PathBuf>) -> Self {
        Self { path, ..Self::default() }
    }

    /// Entries of file or folder that name no study get a UID that is derived from `site` and the order, so that the scanner that
    /// asks for the list and the box mean the same study. `site` is to be no one else's.
    #[must_use]
    pub fn of_site(self, site: &str) -> Self {
        Self { site: site.to_owned(), ..self }
    }

    /// What file or folder say, for scanners: every entry has a day (`today`, YYYYMMDD, where it has none) and a study. Blocks.
    ///
    /// # Errors
    /// As [`Worklist::read`].
    pub fn scheduled(&self, today: &str) -> Result<Vec<Entry>, WorklistError> {
        let path = self.path.as_deref().ok_or(WorklistError::NotConfigured)?;
        let listing = self.told(list(path, &self.site, today))?;
        let on_a_day = |mut entry: Entry| {
            if entry.date.is_empty() {
                entry.date = today.to_owned();
            }
            entry
        };
        Ok(listing.entries.into_iter().map(on_a_day).collect())
    }

    /// Of a server, too.
    #[must_use]
    pub fn and(self, served: Option<Served>) -> Self {
        Self { served, ..self }
    }

    pub fn is_configured(&self) -> bool {
        self.path.is_some() || self.served.is_some()
    }

    /// How the server is, if one is configured.
    pub fn server(&self) -> Option<Server> {
        self.served.as_ref().map(Served::server)
    }

    /// Waits until the server has answered, or not, once more; for ever without a server.
    pub async fn changed(&mut self) {
        match &mut self.served {
            Some(served) => served.changed().await,
            None => std::future::pending().await,
        }
    }

    /// Reads file or folder on a thread for blocking work, and takes the server's last answer. A newer one is asked for, but
    /// not waited for.
    ///
    /// # Errors
    /// None is configured, it is not there, it is not a worklist, or the server has never answered. Of a file and a server,
    /// one is enough.
    pub async fn read(&self) -> Result<Listing, WorklistError> {
        let own = match self.path.clone() {
            Some(path) => {
                let site = self.site.clone();
                let read = move || {
                    let today = hal::clock::Wall::default().local_date(0);
                    let mut listing = list(&path, &site, &today)?;
                    let first = listing.cut(MOST_ENTRIES, &today);
                    listing.skip("beyond the first 1000", first);
                    Ok(listing)
                };
                let read = tokio::task::spawn_blocking(read).await;
                Some(read.unwrap_or(Err(WorklistError::Crashed)))
            }
            None => None,
        };
        let Some(served) = &self.served else {
            return self.told(own.ok_or(WorklistError::NotConfigured)?);
        };
        let (answer, server) = (served.look(), served.server());
        let listing = one_list(own, answer, &server.trouble)?;
        self.told(Ok(Listing { server: Some(server), ..listing }))
    }

    /// What is left out is logged, by its reasons only; not again while it stays the same, since lists are read all day.
    fn told(&self, read: Result<Listing, WorklistError>) -> Result<Listing, WorklistError> {
        if let Ok(listing) = &read {
            let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
            if *left_out != listing.skipped {
                left_out.clone_from(&listing.skipped);
                if !listing.skipped.is_empty() {
                    tracing::warn!(skipped = ?listing.skipped, "entries of the worklist were left out");
                }
            }
        }
        read
    }
}

/// What file or folder and server have. What one of them has not is said beside what the other one has.
fn one_list(
    own: Option<Result<Listing, WorklistError>>,
    answer: Option<served::Answer>,
    trouble: &str,
) -> Result<Listing, WorklistError> {
    match (own, answer) {
        (own, Some(answer)) => {
            let listing = own.unwrap_or_else(|| Ok(Listing::default())).unwrap_or_else(|error| {
                let mut none = Listing::default();
                none.skip(&error.to_string(), 1);
                none
            });
            Ok(served::merged(listing, answer))
        }
        (Some(Ok(listing)), None) => Ok(listing),
        (own, None) => {
            let nothing = if trouble.is_empty() { "the server has not answered yet" } else { trouble };
            own.unwrap_or_else(|| Err(WorklistError::NotAnswered(nothing.to_owned())))
        }
    }
}

/// Reads the folder or the file at `path`; the entries are in the order of the appointments. What has no day is for `today`.
fn list(path: &Path, site: &str, today: &str) -> Result<Listing, WorklistError> {
    let unreadable = |source| WorklistError::Unreadable { path: path.display().to_string(), source };
    let mut listing = Listing::default();
    if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        folder::read(path, &mut listing).map_err(unreadable)?;
    } else {
        let bad = |source| WorklistError::BadCsv { path: path.display().to_string(), source };
        csv::read(path, &mut listing).map_err(bad)?;
    }
    listing.entries.sort_by(|a, b| key(a).cmp(&key(b)));
    listing.entries = listing.entries.into_iter().map(|entry| entry.of_a_study(site, today)).collect();
    let more = listing.cut(MOST_READ, today);
    listing.skip("beyond the first 5000", more);
    Ok(listing)
}

impl Entry {
    /// With a study UID where it has none, told from other orders of its patient by accession number or by day.
    fn of_a_study(self, site: &str, today: &str) -> Self {
        if site.is_empty() || !self.study_uid.is_empty() {
            return self;
        }
        let Self { patient, date, time, modality, description, .. } = &self;
        let date = if date.is_empty() { today } else { date };
        let order = match patient.accession_number.as_str() {
            "" => format!("{date}\n{time}\n{modality}\n{description}"),
            // The day of an order may change, its number does not.
            number => number.to_owned(),
        };
        let study_uid = dicom::uid::from_name(&format!("order\n{site}\n{}\n{order}", patient.id));
        Self { study_uid, ..self }
    }
}

fn key(entry: &Entry) -> (&str, &str, &str) {
    (&entry.date, &entry.time, &entry.patient.name)
}

impl Listing {
    fn skip(&mut self, reason: &str, count: usize) {
        if count > 0 {
            *self.skipped.entry(reason.to_owned()).or_default() += count;
        }
    }

    /// Keeps the first `most` from yesterday on, then those before. Returns how many went.
    fn cut(&mut self, most: usize, today: &str) -> usize {
        let more = self.entries.len().saturating_sub(most);
        if more > 0 {
            let is_past = |entry: &Entry| !entry.date.is_empty() && entry.date.as_str() < today;
            let (past, mut kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries).into_iter().partition(is_past);
            kept.truncate(most);
            let earlier = past.len().saturating_sub(most - kept.len());
            self.entries = past.into_iter().skip(earlier).chain(kept).collect();
        }
        more
    }

    /// Adds an entry when results could carry its patient.
    ///
    /// # Errors
    /// Why it is left out.
    fn take(&mut self, mut entry: Entry) -> Result<(), &'static str> {
        let texts = [&entry.patient.id, &entry.patient.name, &entry.patient.accession_number];
        if texts.iter().any(|text| text.contains('\u{FFFD}')) {
            return Err("its text does not fit its character set");
        }
        entry.patient.birth_date = digits(&entry.patient.birth_date);
        entry.date = digits(&entry.date);
        if !entry.date.is_empty() && !is_date(&entry.date) {
            return Err("its date is none; write it as 2026-01-31");
        }
        // Better without a time than not there.
        entry.time = time(&entry.time).unwrap_or_default();
        entry.modality = entry.modality.trim().to_uppercase();
        entry.description = entry.description.trim().chars().take(LONGEST).collect();
        entry.request = entry.request.sound();
        // The error may name the patient, and what was left out is logged.
        let unusable = |_| "patient ID, name, birth date or accession number is missing or no such value";
        let patient = identity::identified(&entry.patient).map_err(unusable)?;
        self.entries.push(Entry { patient, study_uid: uid(&entry.study_uid), ..entry });
        Ok(())
    }
}

/// `1970-01-31` and `1970.01.31` (as DICOM once had it) as YYYYMMDD; everything else is returned unchanged.
fn digits(date: &str) -> String {
    let date = date.trim();
    let parts: Vec<&str> = date.split(['-', '.']).collect();
    match parts.as_slice() {
        [year, month, day] if (year.len(), month.len(), day.len()) == (4, 2, 2) => format!("{year}{month}{day}"),
        _ => date.to_owned(),
    }
}

/// `9:30`, `0930` and `093000.0` as HHMM or HHMMSS; `None` when it is no time.
fn time(text: &str) -> Option<String> {
    let text = text.trim().split('.').next().unwrap_or_default();
    let parts: Vec<String> = text.split(':').map(|part| format!("{part:0>2}")).collect();
    let digits = if text.is_empty() { String::new() } else { parts.concat() };
    let two = |at: usize| digits.get(at..at + 2).map_or(Some(0), |part| part.parse::<u8>().ok());
    let is_time = matches!(digits.len(), 2 | 4 | 6) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_sound = is_time && two(0)? < 24 && two(2)? < 60 && two(4)? < 60;
    (digits.is_empty() || is_sound).then_some(digits)
}

/// The UID without blanks (PS3.5 9.1); empty when it is not a valid UID.
fn uid(text: &str) -> String {
    let text = text.trim();
    let component = |part: &str| {
        let zero = part.len() > 1 && part.starts_with('0');
        !part.is_empty() && !zero && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if text.len() <= 64 && text.split('.').all(component) { text.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_uids_are_as_dicom_wants_them() {
        for (from, to) in
            [("1970-01-31", "19700131"), ("1970.01.31", "19700131"), (" 19700131 ", "19700131"), ("1970", "1970")]
        {
            assert_eq!(digits(from), to);
        }
        for (from, to) in [("1.2.840.1 ", "1.2.840.1"), ("1.02", ""), ("1..2", ""), ("a", ""), ("1.0", "1.0")] {
            assert_eq!(uid(from), to, "{from}");
        }
        assert_eq!(uid(&format!("1.{}", "2".repeat(63))), "");
    }

    #[test]
    fn times_are_read_as_people_write_them_or_not_at_all() {
        for (from, to) in [
            ("9:30", Some("0930")),
            ("09:30", Some("0930")),
            ("0930", Some("0930")),
            ("093000.000", Some("093000")),
            ("9:30:15", Some("093015")),
            ("", Some("")),
            ("930", None),
            ("9:30 PM", None),
            ("24:00", None),
            ("09:60", None),
            ("\u{661}\u{661}", None),
        ] {
            assert_eq!(time(from).as_deref(), to, "{from}");
        }
    }

    #[test]
    fn today_is_found_in_the_list_of_a_year() {
        let patient = Patient { id: "P1".into(), name: "DOE^JANE".into(), ..Patient::default() };
        let on = |date: &str| Entry { patient: patient.clone(), date: date.into(), ..Entry::default() };
        let mut listing = Listing {
            entries: [on("20260129"), on("20260130"), on("20260131"), on("20260201"), on("20260202")].into(),
            ..Listing::default()
        };
        assert_eq!(listing.cut(3, "20260201"), 2);
        let days: Vec<&str> = listing.entries.iter().map(|entry| entry.date.as_str()).collect();
        assert_eq!(days, ["20260131", "20260201", "20260202"]);
        for wrong in ["31.01.2026", "01/31/2026", "2026"] {
            let taken = Listing::default().take(on(wrong));
            assert!(taken.unwrap_err().contains("2026-01-31"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn of_a_file_and_a_server_one_is_enough_and_what_the_other_lacks_is_told() {
        let today = hal::clock::Wall::default().local_date(0);
        let patient = |id: &str| Patient { id: id.into(), name: "DOE^JANE".into(), ..Patient::default() };
        let entry = Entry { patient: patient("P2"), date: today, ..Entry::default() };
        let answer = served::Answer { utc: hal::clock::now_utc(), entries: vec![entry], ..Default::default() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        let (writer, served) = served::channel("RIS@ris:104", 0, hal::clock::Wall::default());
        let alone = Worklist::default().and(Some(served.clone()));
        assert!(alone.read().await.unwrap_err().to_string().contains("has not answered yet"));
        writer.failed("the server cannot be reached: no route");
        assert!(alone.read().await.unwrap_err().to_string().contains("no route"));

        let both = Worklist::at(Some(path.clone())).and(Some(served));
        assert!(both.read().await.unwrap_err().to_string().contains("list.csv"), "neither is there");
        std::fs::write(&path, "patient_id,patient_name\nP1,ROE\n").unwrap();
        let ids = |listing: &Listing| -> Vec<String> {
            listing.entries.iter().map(|entry| entry.patient.id.clone()).collect()
        };
        let listing = both.read().await.unwrap();
        assert_eq!((ids(&listing), listing.server.unwrap().trouble.is_empty()), (vec!["P1".into()], false));
        writer.answered(answer);
        assert_eq!(ids(&both.read().await.unwrap()), ["P1", "P2"]);
        std::fs::remove_file(&path).unwrap();
        let listing = both.read().await.unwrap();
        assert_eq!(ids(&listing), ["P2"]);
        assert!(listing.skipped.keys().any(|reason| reason.contains("list.csv")), "{:?}", listing.skipped);
    }

    #[test]
    fn an_order_without_a_study_gets_one_that_stays_and_is_of_this_site() {
        let entry = |number: &str, date: &str, time: &str| Entry {
            patient: Patient { id: "P1".into(), accession_number: number.into(), ..Patient::default() },
            date: date.into(),
            time: time.into(),
            ..Entry::default()
        };
        let uid = |entry: Entry, site: &str| entry.of_a_study(site, "20260131").study_uid;
        let of = uid(entry("A-1", "20260131", "0900"), "here");
        assert!(of.starts_with("2.25."), "{of}");
        assert_eq!(of, uid(entry("A-1", "20260201", "1000"), "here"), "an order that is moved to another day");
        for other in [
            uid(entry("A-2", "20260131", "0900"), "here"),
            uid(entry("A-1", "20260131", "0900"), "there"),
            uid(entry("", "20260131", "0900"), "here"),
        ] {
            assert_ne!(of, other);
        }
        assert_ne!(uid(entry("", "20260131", "0900"), "here"), uid(entry("", "20260201", "0900"), "here"));
        assert_eq!(uid(entry("", "", ""), "here"), uid(entry("", "20260131", ""), "here"), "no day is today");
        assert_eq!(uid(Entry { study_uid: "1.2.3".into(), ..entry("A-1", "", "") }, "here"), "1.2.3");
    }

    #[test]
    fn scanners_are_told_a_day_and_a_study_of_every_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, "patient_id,patient_name,date,time\nP1,ROE,,\nP2,DOE,2026-02-03,0900\n").unwrap();
        let list = Worklist::at(Some(path)).of_site("here").scheduled("20260131").unwrap();
        let told: Vec<_> = list.iter().map(|entry| (entry.patient.id.as_str(), entry.date.as_str())).collect();
        assert_eq!(told, [("P1", "20260131"), ("P2", "20260203")]);
        assert!(list.iter().all(|entry| !entry.study_uid.is_empty()));
    }

    #[tokio::test]
    async fn no_worklist_is_a_sentence() {
        assert!(Worklist::default().read().await.unwrap_err().to_string().contains("live.worklist"));
        let missing = Worklist::at(Some("/nonexistent/worklist".into()));
        assert!(missing.read().await.unwrap_err().to_string().contains("/nonexistent/worklist"));
    }
}
