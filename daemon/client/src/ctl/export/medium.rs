//! The file-set on the medium. What is written lies in a folder of its own that no directory names, until all of it is on the
//! disk; then the folder gets its name and, in one step, a new DICOMDIR takes the place of the old one. Whatever happens
//! before that, the medium is what it was.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use dicom::file_set::{self, Existing, Member};
use sha2::{Digest, Sha256};

use super::folder::{Folder, failed, to_medium};
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
/// The longest DICOMDIR that is read: that of some million files.
const MOST_DIRECTORY: u64 = 1 << 30;

#[derive(Debug)]
pub struct Medium {
    root: Folder,
    own: Folder,
    partial: Folder,
    /// SOP Instance UID of the file-set's directory.
    uid: String,
    /// What is there already, then what was written.
    members: Vec<Member>,
    /// Name of the folder that this export makes.
    folder: String,
    files: usize,
    /// Anything is listed that was not before.
    changed: bool,
    /// Files that nothing names any more once the new directory is there.
    replaced: Vec<Vec<String>>,
    /// Where each object stands in `members`.
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
    NoRecord,
    /// The file-set has an object of the same UID in another study.
    OfAnotherStudy,
}

impl Medium {
    /// Reads what is there, and tries whether it can be written and takes `needed` bytes in `count` files.
    ///
    /// # Errors
    /// When it is full or read-only, has links in the place of files, or a file-set of other software.
    pub fn open(path: &Path, needed: u64, count: u64) -> Result<Self, Failure> {
        if !path.is_dir() {
            let remedy = "make the folder, or mount the medium first (`findmnt`)";
            return Err(Failure::new(format!("{} is no folder", path.display()), remedy));
        }
        let root = Folder::open(path)?;
        root.alone()?;
        room(&root, path, needed.saturating_add(count.saturating_mul(OVERHEAD)))?;
        let (uid, files) = match existing(&root)? {
            Some(existing) => (existing.uid, existing.files),
            None => (dicom::uid::of_moment("file-set"), Vec::new()),
        };
        let mut members = Vec::new();
        for (file_id, _) in files {
            let mut file = listed(&root, &file_id)?;
            let name = file_id.join("/");
            let of_no_kind =
                || Failure::new(format!("{name}: no record of a DICOMDIR is for it"), "choose an empty folder");
            members.push(member(file_id.clone(), &mut file)?.ok_or_else(of_no_kind)?);
        }
        let known = members.iter().enumerate();
        let known = known.map(|(index, one)| (one.header.sop_instance_uid.clone(), index)).collect();
        // A link in its place is told before anything is written.
        drop(root.file(NEW)?);
        let own = root.make(FOLDER)?;
        // Left by one that was broken off.
        own.remove_folder(PARTIAL)?;
        let folder = free_name(&own)?;
        let partial = own.make(PARTIAL)?;
        let (files, changed, replaced) = (0, false, Vec::new());
        Ok(Self { root, own, partial, uid, members, folder, files, changed, replaced, known })
    }

    /// An empty file for the next object.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn file(&mut self) -> Result<(String, File), Failure> {
        self.files += 1;
        let name = format!("I{:07}", self.files);
        let file = self.partial.create(&name)?;
        Ok((name, file))
    }

    /// Removes a file that was not written.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn discard(&mut self, name: &str) -> Result<(), Failure> {
        self.partial.remove(name).map(drop)
    }

    /// Takes a file that has been written: `sha256` is what the box says that it wrote.
    ///
    /// # Errors
    /// When the medium gives back something else.
    pub fn take(&mut self, name: String, file: &mut File, sha256: &str) -> Result<Outcome, Failure> {
        let path = self.partial.path(&name);
        to_medium(file).map_err(failed(&path))?;
        if hash(file).map_err(failed(&path))? != sha256 {
            let remedy = "the medium is faulty: use another one";
            return Err(Failure::new(format!("{}: what is read back is not what was written", path.display()), remedy));
        }
        let file_id = vec![FOLDER.to_owned(), self.folder.clone(), name.clone()];
        let Some(member) = member(file_id, file)? else {
            self.partial.remove(&name)?;
            return Ok(Outcome::NoRecord);
        };
        let Some(index) = self.known.get(&member.header.sop_instance_uid).copied() else {
            self.known.insert(member.header.sop_instance_uid.clone(), self.members.len());
            self.members.push(member);
            self.changed = true;
            return Ok(Outcome::Added);
        };
        let before = &self.members[index];
        if before.header.study_instance_uid != member.header.study_instance_uid {
            self.partial.remove(&name)?;
            return Ok(Outcome::OfAnotherStudy);
        }
        // One of this export lies elsewhere still.
        let name_here = match &before.file_id[..] {
            [own, folder, name] if own == FOLDER && *folder == self.folder => Some(name),
            _ => None,
        };
        let there = match name_here {
            Some(name) => self.partial.file(name)?,
            None => listed(&self.root, &before.file_id).ok(),
        };
        if there.is_some_and(|mut there| hash(&mut there).is_ok_and(|there| there == sha256)) {
            self.partial.remove(&name)?;
            return Ok(Outcome::AlreadyThere);
        }
        match name_here {
            Some(name) => drop(self.partial.remove(name)?),
            None => self.replaced.push(before.file_id.clone()),
        }
        self.members[index] = member;
        self.changed = true;
        Ok(Outcome::Replaced)
    }

    /// Makes what was written part of the file-set.
    ///
    /// # Errors
    /// When the medium cannot be written; then it is what it was, as far as it can be written at all.
    pub fn finish(self) -> Result<(), Failure> {
        if !self.changed {
            return self.abandon();
        }
        if let Err(failure) = self.list() {
            // The failure says more than that the rest cannot be removed either.
            let _ = self.root.remove(NEW);
            let _ = self.own.remove_folder(&self.folder);
            let _ = self.abandon();
            return Err(failure);
        }
        // From here on it is listed: what fails takes nothing back.
        let unsure = |_| {
            let text = format!(
                "{}: the new objects are listed, but they may not outlast a power cut",
                self.root.path("").display()
            );
            Failure::new(text, "export again, and unmount the medium before it is taken out")
        };
        self.root.sync().map_err(unsure)?;
        for file_id in &self.replaced {
            if let Some((name, folders)) = file_id.split_last()
                && let Some(folder) = within(&self.root, folders)?
            {
                folder.remove(name)?;
            }
        }
        Ok(())
    }

    /// The last step is the one that counts.
    fn list(&self) -> Result<(), Failure> {
        let directory = file_set::directory(&self.uid, &self.members)
            .map_err(|error| Failure::new(error.to_string(), "report this as a bug"))?;
        self.partial.sync()?;
        self.own.rename(PARTIAL, &self.folder)?;
        self.own.sync()?;
        self.root.remove(NEW)?;
        let mut file = self.root.create(NEW)?;
        let path = self.root.path(NEW);
        file.write_all(&directory).and_then(|()| to_medium(&file)).map_err(failed(&path))?;
        if hash(&mut file).map_err(failed(&path))? != hex::encode(Sha256::digest(&directory)) {
            let what = format!("{}: what is read back is not what was written", path.display());
            return Err(Failure::new(what, "the medium is faulty: use another one"));
        }
        self.root.rename(NEW, file_set::NAME)
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn abandon(&self) -> Result<(), Failure> {
        self.own.remove_folder(PARTIAL)?;
        // Not if it holds anything.
        self.root.remove_empty(FOLDER);
        Ok(())
    }
}

fn hash(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn member(file_id: Vec<String>, file: &mut File) -> Result<Option<Member>, Failure> {
    let name = file_id.join("/");
    Member::read(file_id, file).map_err(|error| Failure::new(format!("{name}: {error}"), "export without this study"))
}

fn within(root: &Folder, folders: &[String]) -> Result<Option<Folder>, Failure> {
    let mut folder = root.folder(".")?;
    for name in folders {
        folder = match folder {
            Some(above) => above.folder(name)?,
            None => return Ok(None),
        };
    }
    Ok(folder)
}

/// A file that the directory lists.
fn listed(root: &Folder, file_id: &[String]) -> Result<File, Failure> {
    let lacks = || {
        let remedy = "the file-set on the medium lacks a file that it lists: choose an empty folder";
        Failure::new(format!("{} is not there", root.path(&file_id.join("/")).display()), remedy)
    };
    let (name, folders) = file_id.split_last().ok_or_else(lacks)?;
    within(root, folders)?.ok_or_else(lacks)?.file(name)?.ok_or_else(lacks)
}

fn existing(root: &Folder) -> Result<Option<Existing>, Failure> {
    let Some(file) = root.file(file_set::NAME)? else { return Ok(None) };
    let path = root.path(file_set::NAME);
    let mut dicomdir = Vec::new();
    file.take(MOST_DIRECTORY).read_to_end(&mut dicomdir).map_err(failed(&path))?;
    let remedy = "choose an empty folder; only to a file-set of Scanside can studies be added";
    let existing =
        Existing::read(&dicomdir).map_err(|error| Failure::new(format!("{}: {error}", path.display()), remedy))?;
    if !existing.ours {
        return Err(Failure::new(format!("{} was written by other software", path.display()), remedy));
    }
    if let Some(odd) = existing.odd.first() {
        let count = existing.odd.len();
        let what = format!("{} lists {count} files in a way that cannot be followed, first {odd:?}", path.display());
        return Err(Failure::new(what, "somebody changed it: choose an empty folder"));
    }
    Ok(Some(existing))
}

fn room(root: &Folder, path: &Path, needed: u64) -> Result<(), Failure> {
    let volume = root.volume()?;
    if volume.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(failed(path)(io::ErrorKind::ReadOnlyFilesystem.into()));
    }
    let free = volume.f_bavail.saturating_mul(volume.f_frsize);
    if free < needed {
        return Err(Failure::new(
            format!("{}: {} are needed, {} are free", path.display(), bytes(needed), bytes(free)),
            "make room, use another medium, or export fewer studies (without --images, results only)",
        ));
    }
    Ok(())
}

/// The first name of a folder of ours that no other has had.
fn free_name(own: &Folder) -> Result<String, Failure> {
    let mut last = 0;
    for name in own.names()? {
        let name = name.to_ascii_uppercase();
        last = last.max(name.strip_prefix('E').and_then(|digits| digits.parse::<u32>().ok()).unwrap_or(0));
    }
    Ok(format!("E{:07}", last.saturating_add(1)))
}

#[cfg(test)]
mod tests;
