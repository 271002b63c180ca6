//! The folder that is being made: it has its name only when all of it was checked, and is removed when anything fails before.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ctl::failure::Failure;

#[derive(Debug)]
pub struct Folder {
    to: PathBuf,
    partial: PathBuf,
    done: bool,
}

impl Folder {
    /// # Errors
    /// When the name is taken, or nothing can be written there.
    pub fn begin(to: &Path) -> Result<Self, Failure> {
        let Some(name) = to.file_name() else {
            return Err(Failure::usage(format!("{} names no folder", to.display()), "for example --to case-1"));
        };
        if fs::symlink_metadata(to).is_ok() {
            let text = format!("{} is there already", to.display());
            return Err(Failure::new(text, "choose another name; a teaching file is a folder of its own"));
        }
        let mut hidden = name.to_owned();
        hidden.push(".partial");
        let partial = to.with_file_name(hidden);
        fs::create_dir(&partial).map_err(|error| {
            let remedy = match error.kind() {
                io::ErrorKind::AlreadyExists => {
                    "an earlier try was broken off, or another goes on: remove it when none does"
                }
                _ => "is the folder above it there, and may you write to it?",
            };
            Failure::new(format!("{}: {error}", partial.display()), remedy)
        })?;
        Ok(Self { to: to.to_owned(), partial, done: false })
    }

    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// A new file; `name` is ours and may name a folder.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.partial.join(name);
        let written = || -> io::Result<()> {
            if let Some(above) = path.parent() {
                fs::create_dir_all(above)?;
            }
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        written().map_err(|error| failed(&path, &error))
    }

    pub fn read(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.partial.join(name);
        fs::read(&path).map_err(|error| failed(&path, &error))
    }

    /// Gives it its name.
    pub fn finish(mut self) -> Result<(), Failure> {
        fs::rename(&self.partial, &self.to).map_err(|error| failed(&self.to, &error))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

pub fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()), "is there room, and is the medium still there?")
}
