//! `.scanside`: one package as a tar in one zstd frame. `model.toml` comes first and its signature second, so that
//! nothing an unknown maker wrote is kept: every further member must be named, with its hash, by the signed manifest.
//!
//! The tar must be, byte for byte, the one that [`pack`] writes for these files: headers and padding carry nothing that
//! the manifest does not vouch for. Free are only the untrusted comment of the signature, by the design of minisign, and
//! how zstd compresses those bytes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::manifest::{self, Manifest};
use crate::package::{self, MANIFEST, SIGNATURE};
use crate::signature::{self, Signer, Trust};
use crate::step::step;

/// Upper limits for an archive. The defaults exceed every real package and are far below the size of a disk.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub member_bytes: u64,
    pub total_bytes: u64,
    pub members: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { member_bytes: 2 << 30, total_bytes: 4 << 30, members: 256 }
    }
}

/// `model.toml` and its signature.
const LONGEST_TEXT: u64 = 256 << 10;
/// 8 MiB, the largest window of the levels up to 19 ([`pack`] needs 4 MiB): a frame cannot ask for more memory.
const WINDOW_LOG: u32 = 23;
/// How [`pack`] compresses.
const LEVEL: i32 = 12;
/// Bytes of a tar block.
const BLOCK: usize = 512;

/// Callers decide by this value only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArchiveFault {
    Io,
    NotAnArchive,
    Order,
    Unsigned,
    SignatureMalformed,
    UnknownKey,
    SignatureWrong,
    ManifestSyntax,
    ManifestValue,
    UnsafePath,
    NotRegular,
    Duplicate,
    Unlisted,
    Hash,
    Missing,
    MemberTooLarge,
    TotalTooLarge,
    TooManyMembers,
    TrailingData,
    Padding,
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ArchiveFault,
    message: String,
}

impl Error {
    fn new(kind: ArchiveFault, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub fn kind(&self) -> ArchiveFault {
        self.kind
    }
}

impl From<signature::Error> for Error {
    fn from(error: signature::Error) -> Self {
        let kind = match &error {
            signature::Error::Unsigned => ArchiveFault::Unsigned,
            signature::Error::Malformed(_) => ArchiveFault::SignatureMalformed,
            signature::Error::UnknownKey => ArchiveFault::UnknownKey,
            signature::Error::Wrong => ArchiveFault::SignatureWrong,
            signature::Error::Key { .. } | signature::Error::Unreadable { .. } => ArchiveFault::Io,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<manifest::Error> for Error {
    fn from(error: manifest::Error) -> Self {
        let kind = match &error {
            manifest::Error::Syntax(_) => ArchiveFault::ManifestSyntax,
            manifest::Error::Value(_) => ArchiveFault::ManifestValue,
        };
        Self::new(kind, format!("{MANIFEST}: {error}"))
    }
}

/// Unpacks an archive into an empty directory, file by file on the disk when this returns.
///
/// # Errors
/// See [`ArchiveFault`]. What was written before stays in `into`; the caller removes it.
pub fn unpack(archive: impl Read, into: &Path, trust: &Trust, limits: Limits) -> Result<(Manifest, Signer), Error> {
    let not = |error: io::Error| Error::new(ArchiveFault::NotAnArchive, format!("not a .scanside archive: {error}"));
    let mut decoder = zstd::Decoder::new(archive).map_err(not)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(not)?;
    let mut tar = tar::Archive::new(Hashed { of: decoder, hash: Sha256::new() });
    let mut unpacker = Unpacker {
        into,
        trust,
        limits,
        signed: None,
        manifest: None,
        seen: BTreeSet::new(),
        total: 0,
        canonical: Sha256::new(),
    };
    for entry in tar.entries().map_err(not)?.raw(true) {
        unpacker.member(entry.map_err(not)?)?;
    }
    let done = unpacker.finish()?;
    // The end of a tar: two blocks of zeros.
    unpacker.canonical.update([0; 2 * BLOCK]);
    let found = nothing_follows(tar.into_inner())?;
    if found == unpacker.canonical.finalize().as_slice() {
        Ok(done)
    } else {
        Err(Error::new(ArchiveFault::Padding, "the archive has bytes beside its files that packing does not write"))
    }
}

/// Hashes what is read.
struct Hashed<R> {
    of: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.of.read(into)?;
        self.hash.update(&into[..count]);
        Ok(count)
    }
}

/// After the end of the tar only zeros may fill the frame, and nothing may follow the frame. Returns the hash of the
/// whole tar.
fn nothing_follows<R: io::BufRead>(mut tar: Hashed<zstd::Decoder<'_, R>>) -> Result<Vec<u8>, Error> {
    let more = |_| Error::new(ArchiveFault::NotAnArchive, "not a .scanside archive: the end is damaged");
    let trailing = || Error::new(ArchiveFault::TrailingData, "data follows the end of the archive");
    let mut block = [0; 8192];
    loop {
        let count = tar.read(&mut block).map_err(more)?;
        if count == 0 {
            break;
        }
        if block[..count].iter().any(|byte| *byte != 0) {
            return Err(trailing());
        }
    }
    let rest = tar.of.finish().fill_buf().map_err(more)?.len();
    if rest == 0 { Ok(tar.hash.finalize().to_vec()) } else { Err(trailing()) }
}

struct Unpacker<'a> {
    into: &'a Path,
    trust: &'a Trust,
    limits: Limits,
    /// The bytes of `model.toml`, until its signature was seen.
    signed: Option<Vec<u8>>,
    /// Present once the signature was found to be good.
    manifest: Option<(Manifest, Signer)>,
    seen: BTreeSet<String>,
    total: u64,
    /// Of the tar that [`pack`] would write, as far as it is known.
    canonical: Sha256,
}

impl Unpacker<'_> {
    fn member<R: Read>(&mut self, mut entry: tar::Entry<'_, R>) -> Result<(), Error> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry.header().entry_type().is_file() {
            return Err(Error::new(ArchiveFault::NotRegular, format!("{name:?} is a link or a special file")));
        }
        let own = name == MANIFEST || name == SIGNATURE;
        if !own && !manifest::path(&name) {
            return Err(Error::new(
                ArchiveFault::UnsafePath,
                format!("{name:?} is not a plain path inside the package"),
            ));
        }
        if !self.seen.insert(name.clone()) {
            return Err(Error::new(ArchiveFault::Duplicate, format!("{name:?} comes twice")));
        }
        if self.seen.len() > self.limits.members {
            let message = format!("more than {} files", self.limits.members);
            return Err(Error::new(ArchiveFault::TooManyMembers, message));
        }
        let most = if own { LONGEST_TEXT } else { self.limits.member_bytes };
        if entry.size() > most {
            let message = format!("{name:?} has {} bytes; {most} are allowed", entry.size());
            return Err(Error::new(ArchiveFault::MemberTooLarge, message));
        }
        self.total = self.total.saturating_add(entry.size());
        if self.total > self.limits.total_bytes {
            let message = format!("the files together have more than {} bytes", self.limits.total_bytes);
            return Err(Error::new(ArchiveFault::TotalTooLarge, message));
        }
        // A header that cannot be written is not the one that was read, which the comparison at the end tells.
        if let Ok(header) = header(&name, entry.size()) {
            self.canonical.update(header.as_bytes());
        }
        match (&self.signed, &self.manifest) {
            (None, None) if name == MANIFEST => {
                let text = bytes(&mut entry, &name)?;
                self.write(&name, &mut text.as_slice())?;
                self.signed = Some(text);
                Ok(())
            }
            (None, None) => Err(Error::new(ArchiveFault::Order, format!("the first file is {name:?}, not {MANIFEST}"))),
            (Some(manifest), _) if name == SIGNATURE => {
                let text = bytes(&mut entry, &name)?;
                let signature =
                    std::str::from_utf8(&text).map_err(|_| signature::Error::Malformed("not UTF-8".into()))?;
                let signer = self.trust.verify(manifest, signature)?;
                let manifest = Manifest::parse(&String::from_utf8_lossy(manifest))?;
                self.write(&name, &mut text.as_slice())?;
                self.signed = None;
                self.manifest = Some((manifest, signer));
                Ok(())
            }
            (_, None) => Err(signature::Error::Unsigned.into()),
            (_, Some((manifest, _))) => {
                let unlisted =
                    || Error::new(ArchiveFault::Unlisted, format!("{name:?} is not in [files] of {MANIFEST}"));
                let expected = manifest.files.get(&name).ok_or_else(unlisted)?.clone();
                let found = self.write(&name, &mut entry)?;
                let wrong =
                    || Error::new(ArchiveFault::Hash, format!("{name:?} is not the file {MANIFEST} was written for"));
                if found == expected { Ok(()) } else { Err(wrong()) }
            }
        }
    }

    /// Writes a file to the disk; returns its hash.
    fn write(&mut self, name: &str, from: &mut dyn Read) -> Result<String, Error> {
        let path = self.into.join(name);
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => truncated(name, &error),
            _ => Error::new(ArchiveFault::Io, format!("{}: {error}", path.display())),
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut file = File::create_new(&path).map_err(failed)?;
        let (mut hash, mut block) = (Sha256::new(), vec![0; 128 << 10]);
        let mut size = 0;
        loop {
            let count = from.read(&mut block).map_err(|error| truncated(name, &error))?;
            if count == 0 {
                break;
            }
            hash.update(&block[..count]);
            self.canonical.update(&block[..count]);
            size += count;
            file.write_all(&block[..count]).map_err(failed)?;
        }
        self.canonical.update(&[0; BLOCK][..size.next_multiple_of(BLOCK) - size]);
        file.sync_all().map_err(failed)?;
        step("a file is unpacked");
        Ok(hex::encode(hash.finalize()))
    }

    fn finish(&mut self) -> Result<(Manifest, Signer), Error> {
        let Some((manifest, signer)) = self.manifest.take() else {
            let empty = self.seen.is_empty();
            let unsigned = || Error::from(signature::Error::Unsigned);
            return Err(if empty {
                Error::new(ArchiveFault::NotAnArchive, "the archive is empty")
            } else {
                unsigned()
            });
        };
        match manifest.files.keys().find(|name| !self.seen.contains(*name)) {
            None => Ok((manifest, signer)),
            Some(name) => {
                Err(Error::new(ArchiveFault::Missing, format!("{name:?} is in {MANIFEST} and not in the archive")))
            }
        }
    }
}

fn bytes(entry: &mut impl Read, name: &str) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    entry.take(LONGEST_TEXT).read_to_end(&mut text).map_err(|error| truncated(name, &error))?;
    Ok(text)
}

fn truncated(name: &str, error: &io::Error) -> Error {
    Error::new(ArchiveFault::NotAnArchive, format!("not a .scanside archive: {name:?}: {error}"))
}

/// Why a directory cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("{0}")]
    Package(#[from] package::Error),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// Packs a package that opens, with `signature` over its `model.toml`. The same package gives the same bytes.
///
/// # Errors
/// See [`PackError`].
pub fn pack(package: &package::Package, signature: &str, out: &Path) -> Result<(), PackError> {
    let failed = |source| PackError::Io { path: out.to_owned(), source };
    let manifest = package.directory.join(MANIFEST);
    let manifest = std::fs::read(&manifest).map_err(|source| PackError::Io { path: manifest, source })?;
    let file = File::create(out).map_err(failed)?;
    let mut tar = tar::Builder::new(zstd::Encoder::new(file, LEVEL).map_err(failed)?);
    append(&mut tar, MANIFEST, &manifest).map_err(failed)?;
    append(&mut tar, SIGNATURE, signature.as_bytes()).map_err(failed)?;
    for name in package.manifest.files.keys() {
        append(&mut tar, name, &package.read(name)?).map_err(failed)?;
    }
    tar.into_inner().and_then(zstd::Encoder::finish).and_then(|file| file.sync_all()).map_err(failed)
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    tar.append(&header(name, bytes.len() as u64)?, bytes)
}

/// The one header for a file of this name and size.
fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

#[cfg(test)]
mod tests;
