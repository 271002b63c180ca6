//! Runs `scansidectl --json analyze` on a folder: the same code as on the box.

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

/// One series in the output of `scansidectl`.
#[derive(Debug, Deserialize)]
pub struct Series {
    pub kind: String,
    pub verdict: String,
    /// `None` when the series was refused.
    pub findings: Option<Findings>,
    pub timings_ms: Vec<(String, f64)>,
    /// Files that were written.
    pub objects: Vec<PathBuf>,
}

/// Analyses the CT series of the folder with the packages in `packages`; writes DICOM results to `out`.
///
/// # Errors
/// When `scansidectl` is not built or fails, or there is no CT series.
pub fn analyse(folder: &Path, packages: &Path, out: Option<&Path>) -> anyhow::Result<Series> {
    analyse_with(None, folder, packages, out)
}

/// The same with a configuration file instead of those of this machine.
///
/// # Errors
/// As [`analyse`].
pub fn analyse_with(
    config: Option<&Path>,
    folder: &Path,
    packages: &Path,
    out: Option<&Path>,
) -> anyhow::Result<Series> {
    let output = Command::new(tools::our_binary("scansidectl")?)
        .args(["--json", "analyze", "--packages"])
        .args([packages, folder])
        .args(config.into_iter().flat_map(|config| [Path::new("--config"), config]))
        .args(out.into_iter().flat_map(|out| [Path::new("--out"), out]))
        .env("SCANSIDE_ONNXRUNTIME", tools::onnxruntime())
        .stderr(Stdio::inherit())
        .output()
        .context("scansidectl cannot be started")?;
    ensure!(output.status.success(), "scansidectl analyze failed: {}", output.status);
    let report: Report = serde_json::from_slice(&output.stdout).context("scansidectl's answer cannot be read")?;
    report.series.into_iter().find(|s| s.kind == "ct").context("no CT series in the answer")
}
