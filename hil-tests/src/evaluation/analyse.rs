//! The engine that ships, on a folder: `scansidectl --json analyze`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::read::Findings;
use crate::tools;

#[derive(Debug, Deserialize)]
struct Report {
    series: Vec<Series>,
}

/// One series as the engine sees it.
#[derive(Debug, Deserialize)]
pub struct Series {
    pub kind: String,
    pub verdict: String,
    /// `None` when the series was refused.
    pub findings: Option<Findings>,
    pub timings_ms: Vec<(String, f64)>,
    /// Files written.
    pub objects: Vec<PathBuf>,
}

/// The CT series of the folder, with the packages of `packages`; DICOM results go to `out`.
///
/// # Errors
/// When `scansidectl` is not built or fails, or there is no CT series.
pub fn analyse(folder: &Path, packages: &Path, out: Option<&Path>) -> anyhow::Result<Series> {
    let output = Command::new(tools::our_binary("scansidectl")?)
        .args(["--json", "analyze", "--packages"])
        .args([packages, folder])
        .args(out.into_iter().flat_map(|out| [Path::new("--out"), out]))
        .env("SCANSIDE_ONNXRUNTIME", tools::onnxruntime())
        .stderr(Stdio::inherit())
        .output()
        .context("scansidectl cannot be started")?;
    ensure!(output.status.success(), "scansidectl analyze failed: {}", output.status);
    let report: Report = serde_json::from_slice(&output.stdout).context("scansidectl's answer cannot be read")?;
    report.series.into_iter().find(|s| s.kind == "ct").context("no CT series in the answer")
}
