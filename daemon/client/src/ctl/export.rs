//! `export`: writes studies to a folder or medium as a DICOM file-set. The box writes the bytes into files that this command has
//! opened: so what is in custody stays the box's, and where it may be written the caller's.

mod folder;
mod medium;
mod summary;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use self::medium::Medium;
use self::summary::Exported;
use super::args::ExportOptions;
use super::failure::Failure;
use super::output::Output;
use super::{every, studies};
use crate::{ManagerProxy, Object, Options, Study};

/// As many files as the system bus lets a message carry (`max_message_unix_fds`).
const AT_ONCE: usize = 16;
const TICK: Duration = Duration::from_millis(200);

pub async fn run(manager: &ManagerProxy<'_>, options: &ExportOptions, output: &Output) -> Result<(), Failure> {
    let (mut chosen, mut exported) = (Vec::new(), Exported::default());
    for study in wanted(manager, options).await? {
        let images = Options::from([("images", options.images.into())]);
        match manager.list_objects(&study.study_uid, images).await.map_err(Failure::from) {
            Ok(objects) => {
                let objects = exported.sorted(&study, objects, options.images);
                chosen.push((study, objects));
            }
            // Among many some may be evicted.
            Err(failure) if options.since.is_some() => exported.study_is_left_out(&study.study_uid, failure.message()),
            Err(failure) => return Err(failure),
        }
    }
    let objects = || chosen.iter().flat_map(|(_, objects)| objects);
    let (total, files) = (objects().map(|one| one.bytes).sum(), objects().count() as u64);
    if files == 0 {
        let _ = exported.tell(&options.to, output);
        let remedy = "without results there are the images: --images; see `scansidectl studies list`";
        return Err(Failure::new("there is nothing to export", remedy));
    }
    let mut medium = Medium::open(&options.to, total, files)?;
    output.note("What is written names patients: whoever has the medium can read it.");
    let bar = progress(total, output);
    for (study, objects) in &chosen {
        for some in objects.chunks(AT_ONCE) {
            if let Err(failure) = write(manager, study, some, &mut medium, &mut exported).await {
                bar.finish_and_clear();
                // The failure says more than that the rest cannot be removed either.
                let _ = medium.abandon();
                return Err(failure);
            }
            bar.inc(some.iter().map(|one| one.bytes).sum());
        }
    }
    bar.set_message("the directory");
    let finished = medium.finish();
    bar.finish_and_clear();
    finished?;
    exported.tell(&options.to, output)
}

/// It moves on by itself, so that a medium that is slow differs from a program that hangs. Ctrl-C ends the program at once:
/// what was on the medium is as it was, and the next export removes what is left over.
fn progress(total: u64, output: &Output) -> ProgressBar {
    let bar = if output.shows_progress() { ProgressBar::new(total) } else { ProgressBar::hidden() };
    let template = "{spinner} {bar:30} {bytes} of {total_bytes}, {eta} left, {elapsed} so far {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}

/// The studies that are named, and those since a time.
async fn wanted(manager: &ManagerProxy<'_>, options: &ExportOptions) -> Result<Vec<Study>, Failure> {
    let mut wanted: Vec<Study> = Vec::new();
    for which in &options.study {
        let study = studies::find(manager, which).await?;
        if !wanted.contains(&study) {
            wanted.push(study);
        }
    }
    if let Some(since) = &options.since {
        let begin = moment(since, &Zoned::now())?;
        let all = every::studies(manager, &Options::new()).await?;
        // Also what was evicted: who reads the medium must not take it for all there was.
        let lately = |study: &Study| study.last_utc.parse::<Timestamp>().is_ok_and(|utc| utc >= begin);
        wanted.extend(all.into_iter().filter(lately));
        let mut seen = std::collections::HashSet::new();
        wanted.retain(|study| seen.insert(study.study_uid.clone()));
    }
    Ok(wanted)
}

/// `2026-01-31`, `2026-01-31 14:05` (local), or how long ago: `3 days`, `12h`.
pub fn moment(text: &str, now: &Zoned) -> Result<Timestamp, Failure> {
    let wrong =
        || Failure::usage(format!("{text:?} is no time"), "for example --since 2026-01-31, or --since '3 days'");
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let zone: TimeZone = now.time_zone().clone();
    if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        return time.to_zoned(zone).map(|time| time.timestamp()).map_err(|_| wrong());
    }
    let ago: Span = text.parse().map_err(|_| wrong())?;
    now.checked_sub(ago.abs()).map(|time| time.timestamp()).map_err(|_| wrong())
}

/// An object that the box cannot give is left out; what concerns all of them ends the export.
async fn write(
    manager: &ManagerProxy<'_>,
    study: &Study,
    objects: &[Object],
    medium: &mut Medium,
    exported: &mut Exported,
) -> Result<(), Failure> {
    match ask(manager, study, objects, medium).await? {
        Ok(files) => take(study, objects, files, medium, exported),
        Err(error) if !is_of_one(&error) => Err(error.into()),
        // One of them, and the box does not say which.
        Err(_) => {
            for object in objects {
                let one = std::slice::from_ref(object);
                match ask(manager, study, one, medium).await? {
                    Ok(files) => take(study, one, files, medium, exported)?,
                    Err(error) if is_of_one(&error) => {
                        exported.object_is_left_out(&study.study_uid, &object.sop_uid, Failure::from(error).message());
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        }
    }
}

/// Whether the box failed at an object, as opposed to the medium, or to what it is asked by whom.
fn is_of_one(error: &zbus::Error) -> bool {
    let name = crate::error_parts(error).map(|(name, _)| name).unwrap_or_default();
    name.strip_prefix(crate::ERROR_PREFIX).is_some_and(|kind| matches!(kind, "NotFound" | "Internal"))
}

/// A file on the medium: its name, and the SHA-256 of what the box says that it wrote.
type Written = (String, File, String);

/// Has the box write these objects to new files, which are gone again when it fails at one.
async fn ask(
    manager: &ManagerProxy<'_>,
    study: &Study,
    objects: &[Object],
    medium: &mut Medium,
) -> Result<Result<Vec<Written>, zbus::Error>, Failure> {
    let mut files: Vec<(String, File)> = Vec::new();
    let mut asked = Vec::new();
    for object in objects {
        let (name, file) = medium.file()?;
        let theirs = file.try_clone().map_err(|error| Failure::new(error.to_string(), "try again"))?;
        asked.push((object.sop_uid.clone(), OwnedFd::from(theirs).into()));
        files.push((name, file));
    }
    match manager.export_objects(&study.study_uid, asked).await {
        Ok(hashes) if hashes.len() == files.len() => {
            Ok(Ok(files.into_iter().zip(hashes).map(|((name, file), sha256)| (name, file, sha256)).collect()))
        }
        Ok(_) => Err(Failure::new("the box wrote another number of objects", "report this as a bug")),
        Err(error) => {
            for (name, _) in files {
                medium.discard(&name)?;
            }
            Ok(Err(error))
        }
    }
}

fn take(
    study: &Study,
    objects: &[Object],
    files: Vec<Written>,
    medium: &mut Medium,
    exported: &mut Exported,
) -> Result<(), Failure> {
    for (object, (name, mut file, sha256)) in objects.iter().zip(files) {
        let outcome = medium.take(name, &mut file, &sha256)?;
        exported.count(study, object, outcome);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date_here_or_how_long_ago() {
        let now: Zoned = "2026-03-31T12:00:00+08:00[Asia/Shanghai]".parse().unwrap();
        for (text, utc) in [
            ("2026-01-31", "2026-01-30T16:00:00Z"),
            ("2026-01-31 14:05", "2026-01-31T06:05:00Z"),
            ("2026-01-31T14:05:00Z", "2026-01-31T14:05:00Z"),
            ("3 days", "2026-03-28T04:00:00Z"),
            ("12h", "2026-03-30T16:00:00Z"),
        ] {
            assert_eq!(moment(text, &now).unwrap().to_string(), utc, "{text}");
        }
        assert!(moment("lately", &now).is_err());
    }
}
