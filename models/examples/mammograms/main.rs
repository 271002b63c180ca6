//! Reads a folder of film mammograms with the deterministic task, and writes a table and pictures with what was found drawn over
//! them. No claim: film is not digital mammography.
//!
//! `cargo run --release -p models --example mammograms FOLDER OUT [FIRST LAST]`: FOLDER has labels.csv and its PNG files; only
//! numbers from FIRST to LAST are read, so that what was looked at to choose constants is told from what was not.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of small pictures")]

mod cases;
mod overlay;
mod table;

use std::path::PathBuf;

use anyhow::{Context, ensure};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: mammograms FOLDER OUT [FIRST LAST]";
    let folder = PathBuf::from(arguments.next().context(usage)?);
    let out = PathBuf::from(arguments.next().context(usage)?);
    let numbers: Vec<u32> = arguments.map(|number| number.parse()).collect::<Result<_, _>>().context(usage)?;
    let (first, last) = (numbers.first().copied().unwrap_or(0), numbers.get(1).copied().unwrap_or(u32::MAX));
    let cases = cases::cases(&folder, &(first..=last))?;
    ensure!(!cases.is_empty(), "no picture in {}", folder.display());
    std::fs::create_dir_all(&out)?;
    for case in &cases {
        overlay::write(case, &out)?;
    }
    for (number, dozen) in cases.chunks(12).enumerate() {
        overlay::sheet(dozen, 4, &out.join(format!("sheet-{:02}.png", number + 1)))?;
    }
    let table = table::table(&cases);
    println!("{table}");
    std::fs::write(out.join("table.md"), table)?;
    Ok(())
}
