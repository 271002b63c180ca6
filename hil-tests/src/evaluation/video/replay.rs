//! Runs `scansidectl --json live replay` on a video: the same code as on the box.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::tools;

/// The result of one picture.
#[derive(Debug, Clone, Deserialize)]
pub struct Seen {
    pub sequence: usize,
    pub sign: Sign,
    /// `None` when the picture was not analysed.
    pub overlay: Option<Overlay>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Sign {
    pub state: String,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Overlay {
    pub lesions: Vec<Lesion>,
}

/// A lesion as the page outlines it, in pixels of the screen.
#[derive(Debug, Clone, Deserialize)]
pub struct Lesion {
    pub id: u32,
    pub outline: Vec<[f32; 2]>,
    pub bounds: [f32; 4],
    pub malignant: f64,
}

/// Analyses every picture of the video with the packages in `packages`.
///
/// # Errors
/// When `scansidectl` is not built or fails, or when a picture was neither analysed nor frozen.
pub fn replay(video: &Path, packages: &Path) -> Result<Vec<Seen>> {
    let mut child = Command::new(tools::our_binary("scansidectl")?)
        .args(["--json", "live", "replay", "--packages"])
        .args([packages, video])
        .env("SCANSIDE_ONNXRUNTIME", tools::onnxruntime())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context("scansidectl cannot be started")?;
    let answers = BufReader::new(child.stdout.take().context("no answers")?);
    let seen = answers.lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect::<Result<Vec<Seen>>>();
    let status = child.wait()?;
    ensure!(status.success(), "scansidectl live replay failed: {status}");
    let seen = seen?;
    for one in &seen {
        let (number, state) = (one.sequence, one.sign.state.as_str());
        let reason = one.sign.reason.as_deref().unwrap_or_default();
        ensure!(one.overlay.is_some() || state == "paused", "picture {number}: no overlay: {state}, {reason}");
    }
    Ok(seen)
}
