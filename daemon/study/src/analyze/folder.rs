//! The engine on a folder of DICOM files: no daemon, no bus, no network. Every field bug can be replayed at a desk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use custody::series::SeriesKey;
use custody::store;
use dicom::kind::SeriesKind;
use dicom::pixels::SliceRef;
use dicom::pixels::error::DecodeError;
use dicom::scan::{self, Scan, ScanError};
use models::task::Control;
use models::task::ct_quality::CtQuality;
use models::task::mammography_views::MammographyViews;
use models::task::us_breast::lesion::Lesion;
use report::Refused;
use report::refused::Mixed;
use report::stills::{StillLesion, Stills};
use report::views::Before;
use serde::Serialize;

use super::engine::Engine;
use super::examine::{self, Examined, Outcome, Subject};
use super::task::StudyTask;
use super::ultrasound::{self, Pictures, Stored};
use super::views::Image;
use crate::choose::{self, Candidate, Choice};
use crate::model::Shelf;
use crate::settings::{Analyze, ReadSeries, Settings};
use crate::sharing;
use crate::volume::build::{self, Built, Decoded};
use crate::volume::decode::decode_part10;

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub settings: Settings,
    /// Where DICOM objects and key images are written; nothing is written when absent.
    pub out: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("no DICOM file below {0}")]
    Nothing(PathBuf),
    /// Each reason with how many files have it.
    #[error("no DICOM file below {directory} can be used: {}", listed(reasons))]
    Unusable { directory: PathBuf, reasons: Vec<(String, usize)> },
    #[error("{0}")]
    Examine(#[from] examine::Error),
}

/// What was found in the folder.
#[derive(Debug, Serialize)]
pub struct Report {
    pub series: Vec<SeriesReport>,
    /// Files that are no DICOM instances, and why.
    pub skipped: Vec<Skipped>,
}

#[derive(Debug, Serialize)]
pub struct SeriesReport {
    pub study_uid: String,
    pub series_uid: String,
    pub description: String,
    pub kind: &'static str,
    pub instances: usize,
    /// `processed` or `refused`; `failed` when there is no package to look at it with.
    pub state: &'static str,
    pub verdict: String,
    pub findings: Option<models::ChestFindings>,
    /// Absent unless `analyze.quality` is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<CtQuality>,
    /// Lesions in ultrasound images. Absent for other series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lesions: Option<Vec<LesionReport>>,
    /// What was read in the mammograms of the study, with the first of its series. Absent for other series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mammography: Option<MammographyViews>,
    /// What the network ran on, when one had to run.
    pub accelerator: Option<hal::accel::Description>,
    pub timings_ms: Vec<(String, f64)>,
    /// Files written.
    pub objects: Vec<PathBuf>,
}

/// A lesion in one of the ultrasound images of a series.
#[derive(Debug, Serialize)]
pub struct LesionReport {
    /// SOP Instance UID.
    pub image: String,
    /// Of a clip, from 1.
    pub frame: Option<u32>,
    #[serde(flatten)]
    pub lesion: Lesion,
}

#[derive(Debug, Serialize)]
pub struct Skipped {
    pub path: PathBuf,
    pub reason: String,
    /// It begins as a DICOM file does.
    #[serde(skip)]
    is_dicom: bool,
}

struct Member {
    path: PathBuf,
    scan: Scan,
}

/// Analyses every series below `directory`, subfolders included.
///
/// # Errors
/// When the folder cannot be read or holds no DICOM file, or the engine fails (not when a series is refused: that is
/// its verdict).
pub fn run(directory: &Path, options: &Options, control: &dyn Control) -> Result<Report, Error> {
    let (groups, skipped) = group(directory)?;
    if groups.is_empty() {
        return Err(nothing(directory, &skipped));
    }
    let mut engine = Engine::new(Shelf::view(&options.settings));
    let mut candidates = candidates(&groups, &options.settings.analyze);
    let mut series: Vec<(usize, SeriesReport)> = Vec::new();
    let studies = studies(&groups, &options.settings.analyze);
    for (number, (key, members)) in (1..).zip(&groups) {
        let elsewhere = studies.iter().flatten().any(|of_study| of_study.number == number);
        if !elsewhere && !candidates.iter().any(|one| is_of(one.id, number)) {
            series.push((number, one(&mut engine, options, number, key, members, None, control)?));
        }
    }
    for study in &studies {
        series.extend(whole(&mut engine, options, study, control)?);
    }
    // What came of one series may call for another, and a result that names a series that failed is made again.
    while let Some(choice) = next(&candidates) {
        let Some((number, (key, members))) = (1..).zip(&groups).find(|(number, _)| is_of(choice.id, *number)) else {
            break;
        };
        let report = one(&mut engine, options, number, key, members, Some(&choice), control)?;
        match report.findings.as_ref().and_then(|findings| findings.reading.clone()) {
            Some(reading) => {
                let read = candidates.iter_mut().find(|one| one.id == choice.id);
                read.into_iter().for_each(|one| one.outcome = Some(reading.clone()));
            }
            None => candidates.retain(|one| one.id != choice.id),
        }
        series.retain(|(other, _)| *other != number);
        series.push((number, report));
    }
    for choice in choose::choose(&candidates) {
        let of = (1..).zip(&groups).find(|(number, _)| is_of(choice.id, *number));
        let Some((number, (key, members))) = of else { continue };
        if !series.iter().any(|(other, _)| *other == number) {
            series.push((number, SeriesReport { verdict: choose::verdict(&choice), ..described(key, members) }));
        }
    }
    series.sort_by_key(|(number, _)| *number);
    let series = series.into_iter().map(|(_, report)| report).collect();
    Ok(Report { series, skipped })
}

/// What a folder lacks that gives no series: DICOM files, or in those what names their series.
fn nothing(directory: &Path, skipped: &[Skipped]) -> Error {
    let mut reasons: Vec<(String, usize)> = Vec::new();
    for file in skipped.iter().filter(|file| file.is_dicom) {
        match reasons.iter_mut().find(|(reason, _)| *reason == file.reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((file.reason.clone(), 1)),
        }
    }
    let directory = directory.to_owned();
    if reasons.is_empty() { Error::Nothing(directory) } else { Error::Unusable { directory, reasons } }
}

/// At most three reasons, those of most files first.
fn listed(reasons: &[(String, usize)]) -> String {
    let mut by_count: Vec<&(String, usize)> = reasons.iter().collect();
    by_count.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let one = |(reason, count): &&(String, usize)| {
        format!("{reason} ({count} {})", if *count == 1 { "file" } else { "files" })
    };
    let named: Vec<String> = by_count.iter().take(3).map(one).collect();
    named.join("; ")
}

/// Files that list what is on a medium or in a folder, and hold no image: DICOMDIR (PS3.10 section 8.6), and DIRFILE beside
/// the exports of Philips scanners.
fn is_directory_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["DICOMDIR", "DIRFILE"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

type Groups = BTreeMap<SeriesKey, Vec<Member>>;

fn group(directory: &Path) -> Result<(Groups, Vec<Skipped>), Error> {
    let mut paths = Vec::new();
    walk(directory, &mut paths)?;
    paths.sort();
    let (mut groups, mut skipped) = (Groups::new(), Vec::new());
    for path in paths.into_iter().filter(|path| !is_directory_file(path)) {
        let opened = File::open(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        match scan::scan(BufReader::new(opened)) {
            Ok(scan) => {
                let key = SeriesKey {
                    study_uid: scan.header.study_instance_uid.clone(),
                    series_uid: scan.header.series_instance_uid.clone(),
                };
                let members = groups.entry(key).or_default();
                let same = |member: &Member| member.scan.header.sop_instance_uid == scan.header.sop_instance_uid;
                if members.iter().any(same) {
                    skipped.push(Skipped { path, reason: "a second copy of an instance".into(), is_dicom: true });
                } else {
                    members.push(Member { path, scan });
                }
            }
            Err(ScanError::NotPart10) if is_bare(&path) => {
                let reason = "a data set without the DICOM file header: export it as a DICOM file".to_owned();
                skipped.push(Skipped { path, reason, is_dicom: true });
            }
            Err(error) => {
                let is_dicom = !matches!(error, ScanError::NotPart10);
                skipped.push(Skipped { path, reason: error.to_string(), is_dicom });
            }
        }
    }
    Ok((groups, skipped))
}

/// Whether a file begins as a data set does, in group 0008 of any encoding that is not compressed, and not as a DICOM file.
fn is_bare(path: &Path) -> bool {
    const BEGINNINGS: [[u8; 3]; 4] = [[8, 0, 0], [8, 0, 5], [8, 0, 8], [8, 0, 16]];
    let mut start = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start[3] == 0 && BEGINNINGS.iter().any(|beginning| start.starts_with(beginning))
}

fn walk(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
    let io = |source| Error::Io { path: directory.to_owned(), source };
    for entry in std::fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let kind = entry.file_type().map_err(io)?;
        if kind.is_dir() {
            walk(&entry.path(), paths)?;
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
    Ok(())
}

/// The series among which is chosen; the id of each is its number. None when every series is read.
fn candidates(groups: &Groups, settings: &Analyze) -> Vec<Candidate> {
    if settings.series == ReadSeries::All {
        return Vec::new();
    }
    let candidate = |(number, (_, members)): (i64, (&SeriesKey, &Vec<Member>))| {
        let kind = kind(members);
        if !kind.is_volume() {
            return None;
        }
        let (headers, sharers) = sharing::split(kind, members.iter().map(|member| &member.scan.header));
        Candidate::of(number, &headers, sharers, None)
    };
    (1..).zip(groups).filter_map(candidate).collect()
}

fn is_of(id: i64, number: usize) -> bool {
    usize::try_from(id) == Ok(number)
}

/// The series to be read now: one that was not, else one whose result does not say what is so.
fn next(candidates: &[Candidate]) -> Option<Choice> {
    let choices = choose::choose(candidates);
    let outcome =
        |choice: &Choice| candidates.iter().find(|one| one.id == choice.id).and_then(|one| one.outcome.as_ref());
    let unread = choices.iter().find(|choice| choice.is_read() && outcome(choice).is_none());
    let stale = || choices.iter().find(|choice| outcome(choice).is_some_and(|was| !choice.is_said_by(was)));
    unread.or_else(stale).cloned()
}

fn kind(members: &[Member]) -> SeriesKind {
    SeriesKind::of_series(members.iter().map(|member| &member.scan.header)).unwrap_or(SeriesKind::Other)
}

/// A series before it is looked at.
fn described(key: &SeriesKey, members: &[Member]) -> SeriesReport {
    let header = &members[0].scan.header;
    let kind = kind(members);
    SeriesReport {
        study_uid: key.study_uid.clone(),
        series_uid: key.series_uid.clone(),
        description: header.series_description.clone(),
        kind: kind.as_str(),
        instances: members.len(),
        state: "refused",
        verdict: kind.verdict(&header.modality),
        findings: None,
        quality: None,
        lesions: None,
        mammography: None,
        accelerator: None,
        timings_ms: Vec::new(),
        objects: Vec::new(),
    }
}

fn one(
    engine: &mut Engine,
    options: &Options,
    number: usize,
    key: &SeriesKey,
    members: &[Member],
    part: Option<&Choice>,
    control: &dyn Control,
) -> Result<SeriesReport, Error> {
    let kind = kind(members);
    let mut report = described(key, members);
    let headers = members.iter().map(|member| &member.scan.header);
    if let Some(mixed) = Refused::mixed(Mixed::Series, &report.series_uid, headers) {
        report.verdict = mixed.to_string();
        return Ok(report);
    }
    if !kind.is_analysed() {
        return Ok(report);
    }
    let analyze = &options.settings.analyze;
    if kind == SeriesKind::Ultrasound
        && let Some(why) = ultrasound::unwanted(analyze, members.iter().map(|member| &member.scan.header))
    {
        report.verdict = why;
        return Ok(report);
    }
    let headers = members.iter().map(|member| &member.scan.header);
    let shared = sharing::remark(kind, headers);
    let members: Vec<&Member> = members.iter().filter(|member| sharing::is_of(kind, &member.scan.header)).collect();
    let pictures = (!kind.is_volume()).then(|| pictures(&members, analyze.memory_mib << 20));
    control.progress("volume", 0.0);
    let begun = std::time::Instant::now();
    let mut built = match &pictures {
        Some(_) => Err(examine::no_volume(members.len())),
        None => volume(&members)?,
    };
    if let Ok(built) = &mut built {
        built.remarks.extend(shared);
    }
    let sources: Vec<SliceRef> = match &built {
        Ok(built) => built.sources.clone(),
        Err(_) => members.iter().map(|member| reference(&member.scan)).collect(),
    };
    report.timings_ms.push(("volume".into(), begun.elapsed().as_secs_f64() * 1e3));
    let first = members
        .iter()
        .copied()
        .find(|member| sources.first().is_some_and(|s| s.sop_instance_uid == member.scan.header.sop_instance_uid))
        .unwrap_or(members[0]);
    let tasks = StudyTask::of_series(&options.settings.analyze, kind);
    let subject = Subject {
        tasks: &tasks,
        header: &first.scan.header,
        elements: &first.scan.elements,
        instances: &sources,
        built: built.as_ref().map_err(Clone::clone),
        created_utc: &store::now_utc(),
        priors: &[],
        performed: None,
        study: &[],
        pictures: pictures.as_ref(),
        part,
        revision: "",
        withdrawn: &[],
        review: None,
        marks_review: None,
        history: None,
        before: Before::Unknown,
    };
    let examined = match examine::examine(engine, &options.settings.device, &subject, control) {
        Err(error) if error.lacks_package() => {
            // The other series are looked at all the same.
            report.state = "failed";
            report.verdict = format!("not analysed: {error}");
            return Ok(report);
        }
        examined => examined?,
    };
    take(&mut report, options, number, &examined)?;
    report.lesions = examined.outcome.stills().map(lesions);
    report.quality = examined.more.iter().find_map(Outcome::quality).cloned();
    if let Outcome::Processed(findings) = examined.outcome {
        report.findings = Some(findings);
    }
    Ok(report)
}

/// Verdict, times and objects of what was examined.
fn take(report: &mut SeriesReport, options: &Options, number: usize, examined: &Examined) -> Result<(), Error> {
    report.timings_ms.extend(examined.timings_ms.iter().cloned());
    report.verdict.clone_from(&examined.verdict);
    report.accelerator.clone_from(&examined.accelerator);
    if let Some(out) = &options.out {
        for (index, object) in examined.objects.iter().enumerate() {
            let path = out.join(format!("series-{number}")).join(format!("{:02}-{}.dcm", index + 1, object.kind));
            write(&path, &object.part10).map_err(|source| Error::Io { path: path.clone(), source })?;
            report.objects.push(path);
        }
    }
    if examined.outcome.is_processed() {
        report.state = "processed";
    }
    Ok(())
}

/// A series that is examined with others of its study.
struct OfStudy<'a> {
    number: usize,
    key: &'a SeriesKey,
    members: &'a [Member],
    task: StudyTask,
}

/// The series that belong to tasks of whole studies, by study.
fn studies<'a>(groups: &'a Groups, settings: &Analyze) -> Vec<Vec<OfStudy<'a>>> {
    let mut studies: Vec<Vec<OfStudy<'_>>> = Vec::new();
    for (number, (key, members)) in (1..).zip(groups) {
        let kind = kind(members);
        let takes = StudyTask::of_studies().find(|(task, set)| set.kind == kind && task.is_on(settings));
        let Some((task, _)) = takes else { continue };
        let one = OfStudy { number, key, members, task };
        let same = |study: &&mut Vec<OfStudy<'_>>| {
            study.iter().any(|other| other.key.study_uid == key.study_uid && other.task == task)
        };
        match studies.iter_mut().find(same) {
            Some(study) => study.push(one),
            None => studies.push(vec![one]),
        }
    }
    studies
}

/// A task of a whole study: every series gets its verdict, the first what was found and written.
fn whole(
    engine: &mut Engine,
    options: &Options,
    study: &[OfStudy<'_>],
    control: &dyn Control,
) -> Result<Vec<(usize, SeriesReport)>, Error> {
    let mut reports: Vec<(usize, SeriesReport)> =
        study.iter().map(|one| (one.number, described(one.key, one.members))).collect();
    let members: Vec<&Member> = study.iter().flat_map(|one| one.members).collect();
    let (Some(first), Some(leader)) = (members.first(), study.first()) else { return Ok(reports) };
    let said = |reports: &mut Vec<(usize, SeriesReport)>, state, verdict: &str| {
        for (_, report) in reports {
            report.state = state;
            report.verdict = verdict.to_owned();
        }
    };
    let headers = members.iter().map(|member| &member.scan.header);
    if let Some(mixed) = Refused::mixed(Mixed::Study, &leader.key.study_uid, headers.clone()) {
        said(&mut reports, "refused", &mixed.to_string());
        return Ok(reports);
    }
    let images: Vec<Image<'_>> = headers.map(|header| Image { header, complete: true }).collect();
    let analyze = &options.settings.analyze;
    let pictures = analyze.reads_mammograms().then(|| {
        let stored = members.iter().map(|member| stored(member)).collect();
        Pictures::new(stored, analyze.memory_mib << 20).marking(analyze.mg_marks)
    });
    let subject = Subject {
        tasks: &[leader.task],
        header: &first.scan.header,
        elements: &first.scan.elements,
        instances: &members.iter().map(|member| reference(&member.scan)).collect::<Vec<_>>(),
        built: Err(examine::no_volume(members.len())),
        created_utc: &store::now_utc(),
        priors: &[],
        performed: None,
        study: &images,
        pictures: pictures.as_ref(),
        part: None,
        revision: "",
        withdrawn: &[],
        review: None,
        marks_review: None,
        history: None,
        before: Before::Unknown,
    };
    let examined = match examine::examine(engine, &options.settings.device, &subject, control) {
        Err(error) if error.lacks_package() => {
            // The other series are looked at all the same.
            said(&mut reports, "failed", &format!("not analysed: {error}"));
            return Ok(reports);
        }
        examined => examined?,
    };
    let state = if examined.outcome.is_processed() { "processed" } else { "refused" };
    said(&mut reports, state, &examined.verdict);
    if let Some((number, report)) = reports.first_mut() {
        take(report, options, *number, &examined)?;
        report.mammography = examined.outcome.views().cloned();
    }
    Ok(reports)
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, bytes)
}

/// The ultrasound images of a series.
fn pictures<'a>(members: &[&'a Member], limit_bytes: u64) -> Pictures<'a> {
    Pictures::new(members.iter().map(|member| stored(member)).collect(), limit_bytes)
}

fn stored(member: &Member) -> Stored<'_> {
    let path = member.path.clone();
    let read = move || std::fs::read(&path).map_err(|error| DecodeError::Read { reason: error.to_string() });
    let file_bytes = std::fs::metadata(&member.path).map_or(0, |metadata| metadata.len());
    Stored { header: member.scan.header.clone(), file_bytes, read: Box::new(read) }
}

fn lesions(stills: &Stills) -> Vec<LesionReport> {
    let of = |one: &StillLesion| {
        let image = stills.images.get(one.image)?.sop_instance_uid.clone();
        Some(LesionReport { image, frame: one.frame.map(|[frame, _]| frame), lesion: one.lesion.clone() })
    };
    stills.lesions.iter().filter_map(of).collect()
}

/// Decodes and orders; the inner error is the refusal.
fn volume(members: &[&Member]) -> Result<Result<Built, Refused>, Error> {
    use rayon::prelude::*;
    let decoded = members.par_iter().map(|member| {
        let bytes = std::fs::read(&member.path).map_err(|source| Error::Io { path: member.path.clone(), source })?;
        let header = &member.scan.header;
        Ok(Decoded::new(header, decode_part10(header, &bytes)))
    });
    Ok(build::volume(decoded.collect::<Result<_, Error>>()?).map_err(Refused::from))
}

fn reference(scan: &Scan) -> SliceRef {
    SliceRef {
        sop_class_uid: scan.header.sop_class_uid.clone(),
        sop_instance_uid: scan.header.sop_instance_uid.clone(),
        frame: None,
        position_mm: scan.header.image_position.unwrap_or_default(),
    }
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
