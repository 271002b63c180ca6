//! Compares the whole analysis of one series with a plain Python program that uses the same network and as many
//! threads: time and peak memory. Both run in turn, so that a slow minute of the machine affects both.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tokio::process::Command;

use super::figures::{Goal, Wanted, median};
use crate::appliance::fresh_folder;
use crate::tools;

/// How often the memory of a running program is read. The kernel keeps the peak, so only a peak in the last moments is
/// missed.
const LOOK: Duration = Duration::from_millis(20);

/// Seconds and peak resident memory (VmHWM, MB) of every run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Runs {
    pub seconds: Vec<f64>,
    pub peak_mb: Vec<f64>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Measured {
    pub ours: Runs,
    pub python: Runs,
    /// Seconds of the stages of the Python program in its last run, as it reports them.
    pub python_stages: serde_json::Value,
}

/// Analyses `series` with both, `runs` times each. Both write SR and SEG.
///
/// # Errors
/// When one of them is missing or fails.
pub async fn measure(
    series: &Path,
    package: &Path,
    runs: usize,
    work: &Path,
    mut say: impl FnMut(&str),
) -> Result<Measured> {
    let threads = std::thread::available_parallelism()?.get();
    let packages = package.parent().context("the package is not in a folder")?;
    let mut measured = Measured::default();
    for run in 1..=runs {
        let out = work.join("pipeline");
        fresh_folder(&out)?;
        let mut ours = Command::new(tools::our_binary("scansidectl")?);
        ours.arg("analyze").arg(series).arg("--packages").arg(packages).arg("--out").arg(&out).arg("--json");
        ours.env("SCANSIDE_ONNXRUNTIME", tools::onnxruntime());
        watched(ours, &mut measured.ours).await.context("scansidectl analyze")?;

        fresh_folder(&out)?;
        let mut python = Command::new(python());
        python.arg(tools::workspace().join("hil-tests/scripts/peer_pipeline.py")).arg("--series").arg(series);
        python.arg("--package").arg(package).arg("--out").arg(&out).arg("--threads").arg(threads.to_string());
        let said = watched(python, &mut measured.python).await.context("the Python pipeline")?;
        measured.python_stages = serde_json::from_slice(&said).context("output of the Python pipeline")?;
        let last = |runs: &Runs| runs.seconds.last().copied().unwrap_or_default();
        say(&format!(
            "run {run} of {runs}: ours {:.1} s, Python {:.1} s",
            last(&measured.ours),
            last(&measured.python)
        ));
    }
    Ok(measured)
}

/// The Python environment that `setup.sh bench` creates, unless `SCANSIDE_PEER_PYTHON` names another.
fn python() -> PathBuf {
    let made = || tools::workspace().join(".cache/peer/bin/python");
    std::env::var_os("SCANSIDE_PEER_PYTHON").map_or_else(made, PathBuf::from)
}

/// Runs a program to its end and returns what it printed.
async fn watched(mut command: Command, runs: &mut Runs) -> Result<Vec<u8>> {
    let begun = Instant::now();
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id().context("no process")?));
    let ended = child.wait_with_output();
    tokio::pin!(ended);
    let mut peak: f64 = 0.0;
    let output = loop {
        tokio::select! {
            output = &mut ended => break output?,
            () = tokio::time::sleep(LOOK) => peak = peak.max(peak_mb(&status).unwrap_or_default()),
        }
    };
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    runs.seconds.push(begun.elapsed().as_secs_f64());
    runs.peak_mb.push(peak);
    Ok(output.stdout)
}

fn peak_mb(status: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Time and memory of both, as table rows.
pub fn rows(measured: &Measured) -> Vec<Vec<String>> {
    let row = |name: &str, runs: &Runs| {
        vec![name.to_owned(), format!("{:.2}", median(&runs.seconds)), format!("{:.0}", median(&runs.peak_mb))]
    };
    vec![row("scansidectl analyze", &measured.ours), row("pydicom, SciPy, ONNX Runtime, highdicom", &measured.python)]
}

pub fn goals(measured: &Measured) -> Vec<Goal> {
    let Measured { ours, python, .. } = measured;
    let faster = median(&python.seconds) / median(&ours.seconds);
    let memory = median(&ours.peak_mb) / median(&python.peak_mb);
    vec![
        Goal::new("whole analysis: times as fast as Python", "x", faster, Wanted::AtLeast(1.5)),
        Goal::new("whole analysis: share of Python's peak memory", "x", memory, Wanted::AtMost(0.5)),
    ]
}
