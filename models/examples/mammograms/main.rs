//! Reads a folder of film mammograms with the deterministic task, and writes a table and pictures with what was found drawn over
//! them. No claim: film is not digital mammography.
//!
//! `cargo run --release -p models --example mammograms FOLDER OUT [FIRST LAST] [--package DIR]`: FOLDER has labels.csv and its PNG
//! files; only numbers from FIRST to LAST are read, so that what was looked at to choose constants is told from what was not. With a
//! package, its network marks each film, though nothing says that it holds for films: the table says how that goes.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of small pictures")]

mod cases;
mod marked;
mod overlay;
mod table;

use std::path::PathBuf;

use anyhow::{Context, ensure};

fn main() -> anyhow::Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: mammograms FOLDER OUT [FIRST LAST] [--package DIR]";
    let package = arguments.iter().position(|one| one == "--package").map(|at| arguments.split_off(at));
    let package = package.map(|own| own.get(1).map(PathBuf::from).context(usage)).transpose()?;
    let mut arguments = arguments.into_iter();
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
    if let Some(package) = package {
        let table = marked::table(&cases, &package, &out)?;
        println!("{table}");
        std::fs::write(out.join("marks.md"), table)?;
    }
    Ok(())
}
