//! The file-set on the medium. What is written lies in a folder of its own that no directory names, until all of it is on the
//! disk; then the folder gets its name and, in one step, a new DICOMDIR takes the place of the old one. Whatever happens
//! before that, the medium is what it was.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dicom::file_set::{self, Existing, Member};
use sha2::{Digest, Sha256};

use crate::ctl::failure::Failure;
use crate::ctl::output::bytes;

/// Everything of ours lies below it.
const FOLDER: &str = "SCANSIDE";
/// What is being written.
const PARTIAL: &str = "PARTIAL";
/// A new DICOMDIR, before it takes the place of the old one.
const NEW: &str = "DICOMDIR.NEW";
/// What a directory and the rounding of file lengths to clusters need, bytes for each file.
const OVERHEAD: u64 = 34 << 10;

#[derive(Debug)]
pub struct Medium {
    root: PathBuf,
    /// SOP Instance UID of the file-set's directory.
    uid: String,
    /// What is there already.
    members: Vec<Member>,
    /// Name of the folder that this export makes.
    folder: String,
    written: Vec<Member>,
    files: usize,
    /// Files that nothing names any more once the new directory is there.
    replaced: Vec<PathBuf>,
    /// Where each object that is there already stands in `members`.
    known: HashMap<String, usize>,
}

/// What became of an object that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Added,
    /// The same bytes were there.
    AlreadyThere,
    /// Other bytes of the same UID were there.
    Replaced,
    /// A directory has no record for its kind.
    LeftOut,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Failure + '_ {
    move |error| {
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull => "make room, or use another medium; what was on it before is as it was",
            io::ErrorKind::ReadOnlyFilesystem => "is its write protection on? Mount it for writing",
            io::ErrorKind::PermissionDenied => "choose a folder that you may write to, or use sudo",
            _ => "is the medium still there? What was on it before is as it was",
        };
        Failure::new(format!("{}: {error}", path.display()), remedy)
    }
}

impl Medium {
    /// Reads what is there, and tries whether it can be written and takes `needed` bytes in `count` files.
    ///
    /// # Errors
    /// When it is full or read-only, or has a file-set of other software.
    pub fn open(root: &Path, needed: u64, count: u64) -> Result<Self, Failure> {
        if !root.is_dir() {
            let remedy = "make the folder, or mount the medium first (`findmnt`)";
            return Err(Failure::new(format!("{} is no folder", root.display()), remedy));
        }
        let needed = needed.saturating_add(count.saturating_mul(OVERHEAD));
        room(root, needed)?;
        let existing = existing(root)?;
        let (uid, files) = match existing {
            Some(existing) => (existing.uid, existing.files),
            None => (dicom::uid::of_moment("file-set"), Vec::new()),
        };
        let mut members = Vec::new();
        for (file_id, _) in files {
            let path = file_id.iter().fold(root.to_owned(), |path, part| path.join(part));
            let part10 = fs::read(&path).map_err(|error| {
                let remedy = "the file-set on the medium lacks a file that it lists: choose an empty folder";
                Failure::new(format!("{}: {error}", path.display()), remedy)
            })?;
            members.extend(member(file_id, &part10)?);
        }
        let known = members.iter().enumerate();
        let known = known.map(|(index, one)| (one.header.sop_instance_uid.clone(), index)).collect();
        let own = root.join(FOLDER);
        fs::create_dir_all(&own).map_err(failed(&own))?;
        let partial = own.join(PARTIAL);
        // Left by one that was broken off.
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(failed(&partial))?;
        }
        fs::create_dir(&partial).map_err(failed(&partial))?;
        let folder = free_name(&own).map_err(failed(&own))?;
        Ok(Self {
            root: root.to_owned(),
            uid,
            members,
            folder,
            written: Vec::new(),
            files: 0,
            replaced: Vec::new(),
            known,
        })
    }

    fn partial(&self) -> PathBuf {
        self.root.join(FOLDER).join(PARTIAL)
    }

    /// An empty file for the next object.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn file(&mut self) -> Result<(String, File), Failure> {
        self.files += 1;
        let name = format!("I{:07}", self.files);
        let path = self.partial().join(&name);
        File::create_new(&path).map(|file| (name, file)).map_err(failed(&path))
    }

    /// Takes a file that has been written: `sha256` is what the box says that it wrote.
    ///
    /// # Errors
    /// When the medium gives back something else.
    pub fn take(&mut self, name: String, file: &File, sha256: &str) -> Result<Outcome, Failure> {
        let path = self.partial().join(&name);
        file.sync_all().map_err(failed(&path))?;
        let part10 = fs::read(&path).map_err(failed(&path))?;
        if hex::encode(Sha256::digest(&part10)) != sha256 {
            let remedy = "the medium is faulty: use another one";
            return Err(Failure::new(format!("{}: what is read back is not what was written", path.display()), remedy));
        }
        let file_id = vec![FOLDER.to_owned(), self.folder.clone(), name];
        let Some(member) = member(file_id, &part10)? else {
            fs::remove_file(&path).map_err(failed(&path))?;
            return Ok(Outcome::LeftOut);
        };
        let Some(index) = self.known.get(&member.header.sop_instance_uid).copied() else {
            self.written.push(member);
            return Ok(Outcome::Added);
        };
        let before = self.members[index].file_id.iter().fold(self.root.clone(), |path, part| path.join(part));
        if fs::read(&before).is_ok_and(|bytes| bytes == part10) {
            fs::remove_file(&path).map_err(failed(&path))?;
            return Ok(Outcome::AlreadyThere);
        }
        self.replaced.push(before);
        self.members[index] = member;
        Ok(Outcome::Replaced)
    }

    /// Makes what was written part of the file-set.
    ///
    /// # Errors
    /// When the medium cannot be written; then it is what it was.
    pub fn finish(mut self) -> Result<(), Failure> {
        let own = self.root.join(FOLDER);
        if self.written.is_empty() && self.replaced.is_empty() {
            return self.abandon();
        }
        self.members.append(&mut self.written);
        let directory = file_set::directory(&self.uid, &self.members)
            .map_err(|error| Failure::new(error.to_string(), "report this as a bug"))?;
        sync(&self.partial())?;
        let folder = own.join(&self.folder);
        fs::rename(self.partial(), &folder).map_err(failed(&folder))?;
        sync(&own)?;
        let (new, listed) = (self.root.join(NEW), self.root.join(file_set::NAME));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(&directory)?;
            file.sync_all()
        };
        write().map_err(failed(&new))?;
        fs::rename(&new, &listed).map_err(failed(&listed))?;
        sync(&self.root)?;
        for path in &self.replaced {
            fs::remove_file(path).map_err(failed(path))?;
        }
        Ok(())
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn abandon(&self) -> Result<(), Failure> {
        let partial = self.partial();
        fs::remove_dir_all(&partial).map_err(failed(&partial))?;
        // Not if it holds anything.
        let _ = fs::remove_dir(self.root.join(FOLDER));
        Ok(())
    }
}

fn member(file_id: Vec<String>, part10: &[u8]) -> Result<Option<Member>, Failure> {
    let name = file_id.join("/");
    Member::read(file_id, part10).map_err(|error| Failure::new(format!("{name}: {error}"), "export without this study"))
}

fn existing(root: &Path) -> Result<Option<Existing>, Failure> {
    let path = root.join(file_set::NAME);
    let dicomdir = match fs::read(&path) {
        Ok(dicomdir) => dicomdir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&path)(error)),
    };
    let remedy = "choose an empty folder; only to a file-set of Scanside can studies be added";
    let existing =
        Existing::read(&dicomdir).map_err(|error| Failure::new(format!("{}: {error}", path.display()), remedy))?;
    if existing.ours {
        return Ok(Some(existing));
    }
    Err(Failure::new(format!("{} was written by other software", path.display()), remedy))
}

fn room(root: &Path, needed: u64) -> Result<(), Failure> {
    let volume = rustix::fs::statvfs(root).map_err(io::Error::from).map_err(failed(root))?;
    if volume.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(failed(root)(io::ErrorKind::ReadOnlyFilesystem.into()));
    }
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    if free < needed {
        return Err(Failure::new(
            format!("{}: {} are needed, {} are free", root.display(), bytes(needed), bytes(free)),
            "make room, use another medium, or export fewer studies (without --images, results only)",
        ));
    }
    Ok(())
}

/// The first name of a folder of ours that no other has had.
fn free_name(own: &Path) -> io::Result<String> {
    let mut last = 0;
    for entry in fs::read_dir(own)? {
        let name = entry?.file_name().to_string_lossy().to_ascii_uppercase();
        last = last.max(name.strip_prefix('E').and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0));
    }
    Ok(format!("E{:07}", last + 1))
}

fn sync(folder: &Path) -> Result<(), Failure> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_medium_that_is_too_small_or_not_ours_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let told = format!("{:?}", Medium::open(folder.path(), 1 << 60, 1).unwrap_err());
        assert!(told.contains("1048576 TiB are needed"), "{told}");
        fs::write(folder.path().join("DICOMDIR"), "something else").unwrap();
        let told = format!("{:?}", Medium::open(folder.path(), 1, 1).unwrap_err());
        assert!(told.contains("only to a file-set of Scanside"), "{told}");
        let there: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(there, ["DICOMDIR"]);
    }

    #[test]
    fn what_was_broken_off_is_removed_and_names_are_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join(FOLDER);
        fs::create_dir_all(own.join(PARTIAL)).unwrap();
        fs::write(own.join(PARTIAL).join("I0000001"), "half").unwrap();
        fs::create_dir(own.join("E0000004")).unwrap();
        let medium = Medium::open(folder.path(), 1, 1).unwrap();
        assert_eq!(medium.folder, "E0000005");
        assert_eq!(fs::read_dir(own.join(PARTIAL)).unwrap().count(), 0);
        medium.finish().unwrap();
        assert!(
            !own.join(PARTIAL).exists() && !folder.path().join("DICOMDIR").exists(),
            "nothing came, nothing is listed"
        );
    }
}
