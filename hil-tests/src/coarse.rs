//! Packages for tests that need a result and not a good one: the chest network on a grid twice as coarse, so that it has an eighth of the voxels
//! to look at. What it finds means even less than what the shipped package finds in a phantom; everything around it is as it ships.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

const SHIPPED: &str = "spacing_mm = 1.5\n";
const COARSE: &str = "spacing_mm = 3.0\n";

/// Copies the packages of `from` into the new folder `to`; `ct-chest` looks on a grid of 3 mm.
///
/// # Errors
/// When a file cannot be copied, or the package has not the spacing that ships.
pub fn packages(from: &Path, to: &Path) -> Result<()> {
    copy(from, to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    let manifest = to.join("ct-chest/model.toml");
    let text = fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
    ensure!(text.contains(SHIPPED), "{}: no {SHIPPED}", manifest.display());
    Ok(fs::write(&manifest, text.replace(SHIPPED, COARSE))?)
}

/// Copies a folder with its subfolders.
///
/// # Errors
/// When one cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}
