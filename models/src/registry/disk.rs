//! Changes on the disk. Each is a step that has happened or has not, whenever the process is killed or the power goes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::step::step;

/// Replaces a small file: whoever reads it finds the old text or the new one.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let parent = parent(path)?;
    fs::create_dir_all(parent)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    step("a new file is begun");
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    step("a new file is written");
    fs::rename(&new, path)?;
    step("a new file has its name");
    sync(parent)
}

/// Gives a file or directory of the same file system its new place. Nothing may be there.
pub fn place(from: &Path, to: &Path) -> io::Result<()> {
    let (old, new) = (parent(from)?, parent(to)?);
    fs::create_dir_all(new)?;
    sync(parent(new)?)?;
    step("a place is made");
    fs::rename(from, to)?;
    step("it is in its place");
    sync(new)?;
    sync(old)
}

/// Removes a file; one that is not there is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            step("a file is removed");
            Ok(())
        }
    }
}

/// Puts the names in a directory and all below it on the disk; the files have done so themselves.
pub fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    sync(directory)?;
    step("a directory is on the disk");
    Ok(())
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other("it has no directory"))
}
