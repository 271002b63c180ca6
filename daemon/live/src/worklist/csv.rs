//! Reads a worklist from one CSV file (RFC 4180) in UTF-8. Information systems and spreadsheets can export CSV, and a
//! wrong line loses one entry, not the file.
//!
//! ```text
//! patient_id,patient_name,birth_date,accession_number,study_uid,date,time,modality,description
//! P1,DOE^JANE,1970-01-31,A-1,,2026-01-31,0930,US,"breast, both"
//! ```
//!
//! The first line names the columns, in any order; `patient_id` and `patient_name` are required, others are optional,
//! and unknown ones are ignored. The separator may also be a semicolon or a tab.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use dicom::patient::Patient;
use dicom::request::Request;
use dicom::scan::Besides;

use super::{Entry, Listing};

const MOST_BYTES: u64 = 4 << 20;

/// Why a file is not a worklist.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is larger than 4 MiB")]
    TooLarge,
    #[error("the file is not UTF-8; save it as UTF-8")]
    NotUtf8,
    #[error("its first line names no column {0}")]
    NoColumn(&'static str),
    #[error(transparent)]
    Broken(#[from] ::csv::Error),
}

/// # Errors
/// When the file cannot be read, is too large or not UTF-8, or when its first line does not name the columns that are
/// needed.
pub fn read(path: &Path, listing: &mut Listing) -> Result<(), CsvError> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(CsvError::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| CsvError::NotUtf8)?;
    parse(text.strip_prefix('\u{FEFF}').unwrap_or(&text), listing)
}

fn parse(text: &str, listing: &mut Listing) -> Result<(), CsvError> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let separator = *[b',', b';', b'\t'].iter().max_by_key(|mark| count(first, **mark)).unwrap_or(&b',');
    let mut options = ::csv::ReaderBuilder::new();
    options.delimiter(separator).flexible(true).trim(::csv::Trim::All);
    let mut lines = options.from_reader(text.as_bytes().chain(LAST_LINE.as_bytes()));
    let header: Vec<String> = lines.headers()?.iter().map(str::to_lowercase).collect();
    for needed in ["patient_id", "patient_name"] {
        if !header.iter().any(|name| name == needed) {
            return Err(CsvError::NoColumn(needed));
        }
    }
    let mut skipped = Skipped::default();
    for record in lines.records() {
        let record = record?;
        let line = record.position().map_or(0, ::csv::Position::line);
        if record.iter().eq([LAST_LINE.trim()]) || record.iter().all(str::is_empty) {
            continue;
        }
        let taken = match record.get(record.len() - 1) {
            Some(end) if end.ends_with(LAST_LINE.trim()) => {
                Err("a quotation mark that nothing closes, and all after it")
            }
            _ if record.len() != header.len() => Err("lines with another number of fields than the first"),
            _ => listing.take(entry(&header, &record)),
        };
        if let Err(reason) = taken {
            skipped.add(reason, line);
        }
    }
    skipped.tell(listing);
    Ok(())
}

/// Stands behind the text as a line of its own, unless a quotation mark is not closed: then it belongs to the last
/// field.
const LAST_LINE: &str = "\n\u{1}\n";

fn count(line: &str, separator: u8) -> usize {
    line.bytes().filter(|byte| *byte == separator).count()
}

fn entry(header: &[String], record: &::csv::StringRecord) -> Entry {
    let of = |name: &str| {
        let column = header.iter().position(|known| known == name);
        column.and_then(|column| record.get(column)).unwrap_or_default().to_owned()
    };
    Entry {
        patient: Patient {
            id: of("patient_id"),
            name: of("patient_name"),
            birth_date: of("birth_date"),
            accession_number: of("accession_number"),
        },
        study_uid: of("study_uid"),
        date: of("date"),
        time: of("time"),
        modality: of("modality"),
        description: of("description"),
        request: Request { step_description: of("description"), ..Request::default() },
        besides: Besides::default(),
    }
}

/// Lines that gave no entry: how many for each reason, and the first of them.
#[derive(Default)]
struct Skipped(BTreeMap<&'static str, (usize, u64)>);

impl Skipped {
    fn add(&mut self, reason: &'static str, line: u64) {
        self.0.entry(reason).or_insert((0, line)).0 += 1;
    }

    fn tell(self, listing: &mut Listing) {
        for (reason, (count, line)) in self.0 {
            listing.skip(&format!("{reason} (the first is line {line})"), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Result<Listing, CsvError> {
        let mut listing = Listing::default();
        parse(text, &mut listing).map(|()| listing)
    }

    #[test]
    fn columns_are_found_by_name_with_any_separator_and_quotes() {
        for text in [
            "patient_name,patient_id,accession_number,date,time,description,room\r\n\"DOE^JANE\",P1,A-1,2026-01-31,09:30,\"breast, \"\"both\"\"\",7\r\n",
            "Patient_Name;PATIENT_ID;accession_number;date;time;description;room\nDOE^JANE; P1 ;A-1;20260131;0930;\"breast, \"\"both\"\"\";7",
        ] {
            let listing = listed(text).unwrap();
            let [entry] = listing.entries.as_slice() else { panic!("{listing:?}") };
            assert_eq!((entry.patient.id.as_str(), entry.patient.name.as_str()), ("P1", "DOE^JANE"));
            assert_eq!((entry.date.as_str(), entry.time.as_str()), ("20260131", "0930"));
            assert_eq!(entry.description, "breast, \"both\"");
        }
    }

    #[test]
    fn a_wrong_line_costs_one_entry() {
        let text = "patient_id,patient_name,birth_date,study_uid\nP1,DOE^JANE,,x\nP2,\n\nP3,ROE,19700229,\nP4,王^小东,1970-01-31,1.2\nP5,\"A";
        let listing = listed(text).unwrap();
        let ids: Vec<_> = listing.entries.iter().map(|entry| entry.patient.id.as_str()).collect();
        assert_eq!(ids, ["P1", "P4"]);
        assert_eq!((listing.entries[0].study_uid.as_str(), listing.entries[1].study_uid.as_str()), ("", "1.2"));
        assert_eq!(listing.entries[1].patient.birth_date, "19700131");
        assert_eq!(listing.skipped.values().sum::<usize>(), 3, "{:?}", listing.skipped);
    }

    #[test]
    fn what_was_skipped_is_told_with_the_first_line_that_is_meant() {
        let text = "patient_id,patient_name\nP1,DOE^JANE\nP2\nP3,A,B\n,NOBODY\nP4,\"never closed\nP5,ROE\n";
        let listing = listed(text).unwrap();
        assert_eq!(listing.entries.len(), 1);
        let told: Vec<String> = listing.skipped.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
        let told = told.join("\n");
        assert!(told.contains("2: lines with another number of fields than the first (the first is line 3)"), "{told}");
        assert!(
            told.contains("1: a quotation mark that nothing closes, and all after it (the first is line 6)"),
            "{told}"
        );
        assert!(told.contains("no such value (the first is line 5)"), "{told}");
    }

    #[test]
    fn quotes_may_hold_separators_line_ends_and_quotes() {
        let text = "patient_id;patient_name;description\r\nP1;DOE^JANE;\"left; \"\"both\"\"\r\nand more\"\r\nP2;ROE^EVA;5\" probe\r\n";
        let listing = listed(text).unwrap();
        let described: Vec<_> = listing.entries.iter().map(|entry| entry.description.as_str()).collect();
        assert_eq!(described, ["left; \"both\"\r\nand more", "5\" probe"], "{:?}", listing.skipped);
    }

    #[test]
    fn a_file_without_patients_is_refused_in_words() {
        assert!(listed("").unwrap_err().to_string().contains("patient_id"));
        assert!(listed("patient_id;name\n").unwrap_err().to_string().contains("patient_name"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, b"patient_id,patient_name\nP1,M\xFCller\n").unwrap();
        assert!(read(&path, &mut Listing::default()).unwrap_err().to_string().contains("UTF-8"));
        std::fs::write(&path, "\u{FEFF}patient_id,patient_name\nP1,Müller\n").unwrap();
        let mut listing = Listing::default();
        read(&path, &mut listing).unwrap();
        assert_eq!(listing.entries.len(), 1);
    }
}
