//! Does receiving become slower when a scanner also tells of its steps (MPPS) and asks for storage commitment? The same studies are sent by
//! DCMTK's storescu without and with these services, in turn, and the images alone are timed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use dicom_dictionary_std::tags;
use serde::Serialize;

use super::figures::{Goal, Wanted, median};
use super::ingest::{rest, storescu};
use super::receiver::Sockets;
use crate::appliance::{Appliance, Setup};
use crate::part10::Folder;
use crate::vendor::{Day, Ear, Expected, Habits, Made, Order, folder};

/// Whose manner of MPPS and commitment: one step for a study, the report on an association of the box.
const SCANNER: &str = "ge-ct.toml";
/// Medians of a few runs differ by this much when nothing differs.
const ALIKE: f64 = 0.95;

/// One row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    pub services: bool,
    pub senders: usize,
    /// Seconds of each run from the first association with images to the last answer, of the slowest sender.
    pub images: Vec<f64>,
    /// From the beginning of the step to the report of storage commitment, of the slowest sender.
    pub whole: Vec<f64>,
}

/// Measures without and with the services, with one sender and with all, `runs` times in turn.
///
/// # Errors
/// When a program cannot be started, or the box does not do what a scanner needs.
pub async fn measure(studies: &[PathBuf], runs: usize, work: &Path, mut say: impl FnMut(&str)) -> Result<Vec<Cell>> {
    let cell = |services, senders| Cell { services, senders, images: Vec::new(), whole: Vec::new() };
    let mut cells: Vec<Cell> = [1, studies.len()].into_iter().flat_map(|n| [cell(false, n), cell(true, n)]).collect();
    for run in 1..=runs {
        for cell in &mut cells {
            let folder = work.join("receiver");
            crate::appliance::fresh_folder(&folder)?;
            let (images, whole) = once(cell, studies, &folder).await?;
            cell.images.push(images);
            cell.whole.push(whole);
            let name = name(cell.services);
            say(&format!(
                "run {run} of {runs}: {} sender(s), {name}: {images:.2} s, {whole:.2} s in all",
                cell.senders
            ));
        }
    }
    Ok(cells)
}

fn name(services: bool) -> &'static str {
    if services { "images, MPPS, commitment" } else { "images" }
}

/// One scanner with its study.
struct Scanner {
    habits: Habits,
    ear: Ear,
    study: PathBuf,
    order: Order,
    /// Study Date, YYYYMMDD.
    day: String,
    made: Vec<Made>,
}

impl Scanner {
    async fn new(number: usize, study: &Path) -> Result<Self> {
        let mut habits = Habits::read(&folder().join(SCANNER))?;
        habits.node.ae_title = format!("SCANNER_{number}");
        let syntaxes = habits.commitment.as_ref().context("the scanner asks for no commitment")?.syntaxes.clone();
        let (order, day, made) = read(study)?;
        Ok(Self { ear: Ear::start(&syntaxes).await?, habits, study: study.to_owned(), order, day, made })
    }
}

/// What a scanner's step says of a study on the disk, and its day: one patient, one series.
fn read(study: &Path) -> Result<(Order, String, Vec<Made>)> {
    let header = dicom_object::open_file(first_file(study).with_context(|| format!("{} is empty", study.display()))?)?;
    let text = |tag| -> Result<String> { Ok(header.element(tag)?.to_str()?.trim_end_matches(['\0', ' ']).to_owned()) };
    let order = Order {
        character_set: text(tags::SPECIFIC_CHARACTER_SET)?,
        name: text(tags::PATIENT_NAME)?.into_bytes(),
        patient_id: text(tags::PATIENT_ID)?.into_bytes(),
        study: text(tags::STUDY_INSTANCE_UID)?,
        accession: text(tags::ACCESSION_NUMBER)?.into_bytes(),
        ..Order::default()
    };
    let series = text(tags::SERIES_INSTANCE_UID)?;
    let made = |instance| Made { instance, series: series.clone() };
    Ok((order, text(tags::STUDY_DATE)?, Folder::scan(study)?.instances.into_iter().map(made).collect()))
}

fn first_file(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    std::fs::read_dir(path).ok()?.flatten().find_map(|entry| first_file(&entry.path()))
}

async fn once(cell: &Cell, studies: &[PathBuf], folder: &Path) -> Result<(f64, f64)> {
    let mut scanners = Vec::new();
    for (number, study) in studies[..cell.senders].iter().enumerate() {
        scanners.push(Scanner::new(number, study).await?);
    }
    let appliance = started(&scanners, folder).await?;
    rest(folder).await?;
    let sent = scanners.iter().map(|scanner| exam(cell.services, scanner, &appliance));
    let sent = futures_util::future::try_join_all(sent).await?;
    let most = |of: fn(&(f64, f64)) -> f64| sent.iter().map(of).fold(0.0, f64::max);
    Ok((most(|one| one.0), most(|one| one.1)))
}

/// The box, which knows the scanners and starts no analysis.
async fn started(scanners: &[Scanner], folder: &Path) -> Result<Appliance> {
    let mut extra = "[series]\nquiet_secs = 600.0\nrelease_grace_secs = 600.0\n[study]\nquiet_secs = 600.0\n\
                     [spool]\nsegment_mib = 128\nready_segments = 8\n"
        .to_owned();
    for scanner in scanners {
        let title = &scanner.habits.node.ae_title;
        writeln!(extra, "[[dicom.sender]]\nae_title = {title:?}\ncommitment_port = {}", scanner.ear.address.port())?;
    }
    Appliance::start(&Setup { folder: Some(folder.to_owned()), extra, ..Setup::default() }).await
}

/// Sends one study: seconds for its images, and for everything.
async fn exam(services: bool, scanner: &Scanner, appliance: &Appliance) -> Result<(f64, f64)> {
    let title = &scanner.habits.node.ae_title;
    let mut command = storescu(Sockets::Default, title, appliance.address, &scanner.study)?;
    let (begun, mut taken) = (Instant::now(), None);
    let images = async {
        let begun = Instant::now();
        let status = command.status().await?;
        ensure!(status.success(), "storescu {status}");
        taken = Some(begun.elapsed().as_secs_f64());
        Ok(())
    };
    if services {
        let day = Day {
            habits: &scanner.habits,
            called: Appliance::AE_TITLE,
            to: appliance.address,
            images_to: appliance.address,
            days: std::array::from_fn(|_| scanner.day.clone()),
            expected: Expected { patient_id: String::new(), name: String::new(), accession: String::new() },
            seed: 0,
            ear: &scanner.ear,
        };
        let done = day.around(scanner.order.clone(), scanner.made.clone(), images).await?;
        let (_, asked, told) = done.commitments.first().context("no report of storage commitment")?;
        let (due, safe) = (asked.len(), told.committed.kept.len());
        ensure!(safe == due, "{safe} of {due} images are committed");
    } else {
        images.await?;
    }
    Ok((taken.context("nothing was sent")?, begun.elapsed().as_secs_f64()))
}

/// Medians, as table rows.
pub fn rows(cells: &[Cell]) -> Vec<Vec<String>> {
    let row = |cell: &Cell| {
        let (least, most) = cell.images.iter().fold((f64::MAX, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
        vec![
            format!("{} sender(s)", cell.senders),
            name(cell.services).into(),
            format!("{:.2}", median(&cell.images)),
            format!("{least:.2} to {most:.2}"),
            format!("{:.2}", median(&cell.whole)),
        ]
    };
    cells.iter().map(row).collect()
}

/// Images with the services are to be taken as fast as images alone.
pub fn goals(cells: &[Cell]) -> Vec<Goal> {
    let of = |services, senders| cells.iter().find(|c| c.services == services && c.senders == senders);
    let mut senders: Vec<usize> = cells.iter().map(|cell| cell.senders).collect();
    senders.dedup();
    senders
        .into_iter()
        .filter_map(|n| {
            let times = median(&of(false, n)?.images) / median(&of(true, n)?.images);
            let what = format!("ingest with MPPS and commitment, {n} sender(s): times without");
            Some(Goal::new(what, "x", times, Wanted::AtLeast(ALIKE)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_compared_with_as_many_senders_without_them() {
        let cell = |services, senders, s| Cell { services, senders, images: vec![s], whole: vec![9.0] };
        let cells = [cell(false, 1, 1.0), cell(true, 1, 1.25), cell(false, 4, 3.0), cell(true, 4, 3.0)];
        let goals: Vec<_> = goals(&cells).iter().map(|g| (g.measured, g.reached)).collect();
        assert_eq!(goals, [(0.8, false), (1.0, true)]);
    }
}
