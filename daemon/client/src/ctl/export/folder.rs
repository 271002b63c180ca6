//! A folder on the medium, held open. Names in it are never followed through links: whoever prepared the medium must not
//! choose which files of this machine are read or overwritten.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, StatVfs};
use rustix::io::Errno;

use crate::ctl::failure::Failure;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Opening a pipe must not wait for somebody at its other end.
const FILE: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);

#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

pub fn failed(path: &Path) -> impl FnOnce(io::Error) -> Failure + '_ {
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

impl Folder {
    /// The one that the caller names; that name may be a link.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let fd = rustix::fs::open(path, FOLDER, Mode::empty()).map_err(|error| failed(path)(error.into()))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Keeps other exports out until this is dropped, where the file system has locks.
    pub fn alone(&self) -> Result<(), Failure> {
        match rustix::fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let text = format!("another export is writing to {}", self.path.display());
                Err(Failure::new(text, "wait until it has ended"))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub fn volume(&self) -> Result<StatVfs, Failure> {
        rustix::fs::fstatvfs(&self.fd).map_err(|error| failed(&self.path)(error.into()))
    }

    /// `None` when there is none of this name.
    pub fn folder(&self, name: &str) -> Result<Option<Self>, Failure> {
        match rustix::fs::openat(&self.fd, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path(name) })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    /// Makes it unless it is there.
    pub fn make(&self, name: &str) -> Result<Self, Failure> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(self.failed(name, error)),
        }
        self.folder(name)?.ok_or_else(|| self.failed(name, Errno::NOENT))
    }

    /// A file for reading; `None` when there is none of this name.
    pub fn file(&self, name: &str) -> Result<Option<File>, Failure> {
        match rustix::fs::openat(&self.fd, name, FILE | OFlags::RDONLY, Mode::empty()) {
            Ok(fd) => self.regular(name, fd).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    /// A new file, for writing and reading.
    pub fn create(&self, name: &str) -> Result<File, Failure> {
        let flags = FILE | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o666));
        self.regular(name, fd.map_err(|error| self.failed(name, error))?)
    }

    fn regular(&self, name: &str, fd: OwnedFd) -> Result<File, Failure> {
        let file = File::from(fd);
        if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(file);
        }
        Err(Failure::new(format!("{} is no file", self.path(name).display()), "choose an empty folder"))
    }

    /// Removes a file, or a link itself. Returns whether it was there.
    pub fn remove(&self, name: &str) -> Result<bool, Failure> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    /// Removes a folder with the files in it.
    pub fn remove_folder(&self, name: &str) -> Result<(), Failure> {
        let Some(folder) = self.folder(name)? else { return Ok(()) };
        for file in folder.names()? {
            folder.remove(&file)?;
        }
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR).map_err(|error| self.failed(name, error))
    }

    /// Removes a folder if nothing is in it.
    pub fn remove_empty(&self, name: &str) {
        let _ = rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR);
    }

    pub fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to).map_err(|error| self.failed(to, error))
    }

    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let wrong = |error: Errno| failed(&self.path)(error.into());
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(wrong)? {
            let name = entry.map_err(wrong)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    pub fn sync(&self) -> Result<(), Failure> {
        rustix::fs::fsync(&self.fd).map_err(|error| failed(&self.path)(error.into()))
    }

    fn failed(&self, name: &str, error: Errno) -> Failure {
        let path = self.path(name);
        let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        if stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink) {
            let remedy = "remove the link, or choose an empty folder; nothing is read or written through links";
            return Failure::new(format!("{} is a link", path.display()), remedy);
        }
        failed(&path)(error.into())
    }
}

/// Waits until a file is on the medium, and asks the kernel to forget what it remembers of it, so that what is read afterwards
/// comes from the medium, as far as its driver does as asked.
pub fn to_medium(file: &File) -> io::Result<()> {
    file.sync_all()?;
    // Only advice: a file system without a cache has nothing to forget.
    let _ = rustix::fs::fadvise(file, 0, None::<NonZeroU64>, Advice::DontNeed);
    Ok(())
}
