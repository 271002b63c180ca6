//! The report as files: JSON, web pages and PDFs, each with its signature by the box.

use std::fs;
use std::path::{Path, PathBuf};

use super::Bench;
use crate::acceptance::document::{self, Habits};
use crate::acceptance::{Outcome, Report};
use crate::ctl::failure::Failure;
use crate::doctor::text::Language;

/// Ending of a signature, beside what it signs.
pub const SIGNATURE: &str = "minisig";
/// Reports that `--daily` keeps.
const MOST_REPORTS: usize = 14;

/// Writes all of them, or says why not. Returns the files without their signatures.
///
/// # Errors
/// When the box does not sign, or the folder cannot be written.
pub async fn write(
    bench: &Bench<'_>,
    folder: &Path,
    report: &Report,
    habits: &Habits,
) -> Result<Vec<PathBuf>, Failure> {
    let documents = documents(report, habits)?;
    let result = if report.outcome == Outcome::Fail { "fail" } else { "pass" };
    let given: Vec<(&str, &[u8])> = documents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let signatures = bench.manager.sign_acceptance(result, &given).await;
    let signatures = signatures.map_err(|error| Failure::from_call(&bench.place.bus, error))?;
    if signatures.len() != documents.len() {
        return Err(Failure::new("the box has not signed every file", "are scansidectl and scansided of one version?"));
    }
    let failed = |path: &Path, error: std::io::Error| {
        Failure::new(format!("{}: {error}", path.display()), "is the folder there, writable, and not full?")
    };
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    let mut written = Vec::new();
    for ((name, bytes), signature) in documents.iter().zip(&signatures) {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
        let beside = signature_of(&path);
        fs::write(&beside, signature).map_err(|error| failed(&beside, error))?;
        written.push(path);
    }
    Ok(written)
}

/// The file with the signature of a file.
pub fn signature_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(SIGNATURE);
    name.into()
}

/// Name and content of each file.
fn documents(report: &Report, habits: &Habits) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let bug = |error: &dyn std::fmt::Display| Failure::new(format!("the report: {error}"), "report this as a bug");
    let stem = stem(report);
    let json = serde_json::to_vec_pretty(report).map_err(|error| bug(&error))?;
    let mut documents = vec![(format!("{stem}.json"), json)];
    for (language, tag) in [(Language::English, "en"), (Language::Chinese, "zh")] {
        documents.push((format!("{stem}.{tag}.html"), document::html(report, habits, language).into_bytes()));
        let pdf = document::pdf(report, habits, language).map_err(|error| bug(&error))?;
        documents.push((format!("{stem}.{tag}.pdf"), pdf));
    }
    Ok(documents)
}

/// `acceptance-SN-0001-20260131T100509Z`.
fn stem(report: &Report) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-' || *c == '_';
    let serial: String = report.identity.serial_number.chars().filter(plain).take(40).collect();
    let digits: String = report.begun_utc.chars().take(19).filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    if serial.is_empty() { format!("acceptance-{digits}Z") } else { format!("acceptance-{serial}-{digits}Z") }
}

/// Removes the oldest reports of too many; their names are in the order of their time.
pub fn forget_old(folder: &Path) {
    let names =
        fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("acceptance-")).collect();
    names.sort();
    let mut stems: Vec<&str> = names.iter().filter_map(|name| name.split('.').next()).collect();
    stems.dedup();
    let old = &stems[..stems.len().saturating_sub(MOST_REPORTS)];
    for name in names.iter().filter(|name| old.iter().any(|stem| name.split('.').next() == Some(stem))) {
        // What cannot be removed today is tried again tomorrow.
        let _ = fs::remove_file(folder.join(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_daily_reports_the_last_two_weeks_are_kept_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        for day in 10..30 {
            for ending in ["json", "json.minisig", "en.pdf"] {
                fs::write(folder.path().join(format!("acceptance-SN-1-202601{day}T100000Z.{ending}")), "x").unwrap();
            }
        }
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        forget_old(folder.path());
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), MOST_REPORTS * 3 + 1);
        let there = |day: u32| folder.path().join(format!("acceptance-SN-1-202601{day}T100000Z.json")).exists();
        assert!(!there(15) && there(16) && there(29));
    }
}
