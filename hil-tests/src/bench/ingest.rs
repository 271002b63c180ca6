//! Measures the time until the scanner has its last answer: DCMTK's storescu sends to each receiver in turn, on the
//! same machine.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::figures::{Goal, Wanted, median};
use super::receiver::{Receiver, ReceiverKind, Sockets};
use crate::tools;
use phantom::{Options, Phantom, dicom};

/// One cell of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    pub receiver: ReceiverKind,
    pub sockets: Sockets,
    pub senders: usize,
    /// Seconds of each run.
    pub seconds: Vec<f64>,
}

impl Cell {
    pub fn median(&self) -> f64 {
        median(&self.seconds)
    }
}

/// Writes the same images as several studies, one folder each, with different UIDs, because a receiver may answer
/// repeated instances without work.
///
/// # Errors
/// When they cannot be written.
pub fn studies(count: usize, slices: usize, folder: &Path) -> Result<Vec<PathBuf>> {
    let options = Options { slices, slice_mm: 1.0, ..Options::default() };
    let (pixels, _) = Phantom::new(1, &options).render();
    (0..count)
        .map(|n| {
            let study = dicom::study(&Phantom::new(1 + n as u64, &options), &pixels)?;
            let path = folder.join(format!("study{n}"));
            study.write_to(&path)?;
            // Only the slices, because the figures are per slice.
            std::fs::remove_dir_all(path.join("LOCALIZER"))?;
            Ok(path)
        })
        .collect()
}

/// Measures every cell `runs` times. Each round measures all cells once, so that a slow minute of the machine affects
/// all of them.
///
/// # Errors
/// When a receiver cannot be started or a sender fails.
pub async fn measure(studies: &[PathBuf], runs: usize, work: &Path, mut say: impl FnMut(&str)) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for senders in [1, studies.len()] {
        for receiver in ReceiverKind::ALL {
            for sockets in Sockets::ALL {
                cells.push(Cell { receiver, sockets, senders, seconds: Vec::new() });
            }
        }
    }
    for run in 1..=runs {
        for cell in &mut cells {
            let folder = work.join("receiver");
            crate::appliance::fresh_folder(&folder)?;
            let seconds = once(cell, studies, &folder).await?;
            cell.seconds.push(seconds);
            say(&format!(
                "run {run} of {runs}: {}, {}, {} sender(s): {seconds:.2} s",
                cell.receiver.name(),
                cell.sockets.name(),
                cell.senders
            ));
        }
    }
    Ok(cells)
}

async fn once(cell: &Cell, studies: &[PathBuf], folder: &Path) -> Result<f64> {
    let receiver = Receiver::start(cell.receiver, cell.sockets, folder).await?;
    rest(folder).await?;
    let begun = Instant::now();
    let mut senders = tokio::task::JoinSet::new();
    for study in &studies[..cell.senders] {
        let mut command = storescu(cell.sockets, "STORESCU", receiver.address(), study)?;
        senders.spawn(async move { command.status().await });
    }
    while let Some(status) = senders.join_next().await {
        let status = status??;
        ensure!(status.success(), "{}: storescu {status}", cell.receiver.name());
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// DCMTK's storescu with this AE title, which is to send a folder in one association.
pub(super) fn storescu(
    sockets: Sockets,
    calling: &str,
    to: SocketAddr,
    study: &Path,
) -> Result<tokio::process::Command> {
    let mut command = tools::command("storescu")?;
    sockets.apply(&mut command);
    command
        .args(["-R", "+sd", "+r", "-xe", "-aet", calling, "-aec", Receiver::AE_TITLE, "127.0.0.1"])
        .arg(to.port().to_string())
        .arg(study)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}

/// Waits until the receiver has finished its preparations and the disk has written what the run before left.
pub(super) async fn rest(folder: &Path) -> Result<()> {
    let status = tokio::process::Command::new("sync").arg("-f").arg(folder).status().await.context("sync")?;
    ensure!(status.success(), "sync {status}");
    let mut size = folder_size(folder);
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        let now = folder_size(folder);
        if now == size {
            return Ok(());
        }
        size = now;
    }
}

fn folder_size(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(m) if m.is_dir() => folder_size(&entry.path()),
            Ok(m) => m.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

/// Slices per second of every cell, as table rows.
pub fn rows(cells: &[Cell], slices: usize) -> Vec<Vec<String>> {
    cells
        .iter()
        .map(|cell| {
            let seconds = cell.median();
            let (least, most) = cell.seconds.iter().fold((f64::MAX, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
            vec![
                format!("{} sender(s)", cell.senders),
                cell.receiver.name().into(),
                cell.receiver.durability().into(),
                cell.sockets.name().into(),
                format!("{seconds:.2}"),
                format!("{least:.2} to {most:.2}"),
                format!("{:.0}", (cell.senders * slices) as f64 / seconds),
            ]
        })
        .collect()
}

/// Compares with Orthanc: with its fastest configuration, and with its default one.
pub fn goals(cells: &[Cell]) -> Vec<Goal> {
    let mut senders: Vec<_> = cells.iter().map(|cell| cell.senders).collect();
    senders.dedup();
    let pick = |senders: usize, receiver: ReceiverKind| {
        cells.iter().filter(move |c| c.senders == senders && c.receiver == receiver)
    };
    let best = |senders, receiver| pick(senders, receiver).map(Cell::median).fold(f64::MAX, f64::min);
    let default =
        |senders, receiver| pick(senders, receiver).find(|c| c.sockets == Sockets::Default).map_or(0.0, Cell::median);
    senders
        .into_iter()
        .flat_map(|n| {
            let of_best = best(n, ReceiverKind::Orthanc) / best(n, ReceiverKind::Scansided);
            let of_default = default(n, ReceiverKind::Orthanc) / default(n, ReceiverKind::Scansided);
            [
                Goal::new(format!("ingest, {n} sender(s): times Orthanc's best"), "x", of_best, Wanted::AtLeast(2.0)),
                Goal::new(
                    format!("ingest, {n} sender(s): times Orthanc's default"),
                    "x",
                    of_default,
                    Wanted::AtLeast(10.0),
                ),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_compare_best_with_best_and_default_with_default() {
        let cell = |receiver, sockets, s: f64| Cell { receiver, sockets, senders: 1, seconds: vec![s] };
        let cells = [
            cell(ReceiverKind::Scansided, Sockets::Default, 2.0),
            cell(ReceiverKind::Scansided, Sockets::NoDelay, 1.0),
            cell(ReceiverKind::Orthanc, Sockets::Default, 20.0),
            cell(ReceiverKind::Orthanc, Sockets::NoDelay, 3.0),
        ];
        let goals: Vec<_> = goals(&cells).iter().map(|g| (g.measured, g.reached)).collect();
        assert_eq!(goals, [(3.0, true), (10.0, true)]);
    }
}
