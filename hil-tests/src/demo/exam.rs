//! What the demonstrations of live ultrasound share: the phantom's video, the patient on its screen, the field engineer's command.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use phantom::ultrasound::{Options, Video};

use crate::appliance::Appliance;
use crate::tools;

/// Makes a video of a scan with so many lesions, and its truth beside it (`.json`).
///
/// # Errors
/// When the phantom program fails.
pub fn record(seed: u64, seconds: u32, lesions: u32, video: &Path) -> Result<()> {
    let made = Command::new(tools::our_binary("phantom")?)
        .args(["ultrasound", "video", "--layout", "a", "--fps", "30", "--seed", &seed.to_string()])
        .args(["--seconds", &seconds.to_string(), "--lesions", &lesions.to_string()])
        .arg("--out")
        .arg(video)
        .output()?;
    ensure!(made.status.success(), "the phantom cannot be made: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// Name and ID of the patient on the phantom's screen, which the box compares with those of the exam.
pub fn patient_on_screen(seed: u64) -> [String; 2] {
    Video::new(seed, &Options { seconds: 1.0, fps: 1.0, ..Default::default() }).patient().clone()
}

/// Runs the command and gives what it says.
///
/// # Errors
/// When it fails; with what it says then.
pub fn scansidectl(appliance: &Appliance, arguments: &[&str]) -> Result<String> {
    let said = Command::new(tools::our_binary("scansidectl")?)
        .args(["--bus", &appliance.bus.address])
        .args(arguments)
        .output()
        .context("scansidectl cannot be started")?;
    if !said.status.success() {
        bail!("scansidectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&said.stderr));
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// A free port. The box must get a fixed one, because we could not find out which free port it chose.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
