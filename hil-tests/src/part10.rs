//! DICOM files as a scanner has them: the identity from the file meta group, and the bytes of the data set unchanged.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

/// Length of the preamble and of "DICM".
const PREFIX: usize = 132;
/// Real file meta groups are shorter; when one is longer, the file is damaged.
const LONGEST_META: u64 = 64 * 1024;

/// One SOP instance, ready to be sent. The bytes stay on disk until they are needed.
#[derive(Debug, Clone)]
pub struct Instance {
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    bytes: Bytes,
}

#[derive(Debug, Clone)]
enum Bytes {
    File { path: PathBuf, offset: u64 },
    Memory(Arc<[u8]>),
}

impl Instance {
    /// Reads the file meta group of a file. `None`: not a DICOM file.
    ///
    /// # Errors
    /// When the file cannot be read, or is DICOM with a damaged meta group.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        let mut head = Vec::new();
        file.take(LONGEST_META).read_to_end(&mut head).with_context(|| path.display().to_string())?;
        if head.len() < PREFIX || &head[128..PREFIX] != b"DICM" {
            return Ok(None);
        }
        let (meta, offset) = Meta::read(&head).with_context(|| path.display().to_string())?;
        Ok(Some(meta.instance(Bytes::File { path: path.to_owned(), offset: offset as u64 })))
    }

    /// # Errors
    /// When `part10` is not a DICOM file.
    pub fn from_part10(part10: &[u8]) -> Result<Self> {
        ensure!(part10.len() > PREFIX && &part10[128..PREFIX] == b"DICM", "no DICOM preamble");
        let (meta, offset) = Meta::read(part10)?;
        Ok(meta.instance(Bytes::Memory(part10[offset..].into())))
    }

    /// An instance that claims this identity, whatever its bytes are. For tests with hostile senders.
    pub fn claimed(sop_class: &str, sop_instance: &str, transfer_syntax: &str, data_set: &[u8]) -> Self {
        Self {
            sop_class_uid: sop_class.to_owned(),
            sop_instance_uid: sop_instance.to_owned(),
            transfer_syntax_uid: transfer_syntax.to_owned(),
            bytes: Bytes::Memory(data_set.into()),
        }
    }

    /// The bytes of the data set, exactly as in the file.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn data_set(&self) -> io::Result<Arc<[u8]>> {
        match &self.bytes {
            Bytes::Memory(bytes) => Ok(bytes.clone()),
            Bytes::File { path, offset } => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*offset))?;
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }

    /// SHA-256 of the data set bytes, lower-case hex.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn sha256(&self) -> io::Result<String> {
        Ok(hex::encode(Sha256::digest(self.data_set()?)))
    }
}

#[derive(Debug, Default)]
struct Meta {
    sop_class: String,
    sop_instance: String,
    transfer_syntax: String,
}

impl Meta {
    /// PS3.10 section 7.1: group 0002, explicit VR little endian. Also returns the offset of the data set after it.
    fn read(file: &[u8]) -> Result<(Self, usize)> {
        let mut meta = Self::default();
        let mut at = PREFIX;
        while let Some(header) = file.get(at..at + 8) {
            if header[..2] != [2, 0] {
                break;
            }
            let element = u16::from_le_bytes([header[2], header[3]]);
            let long = matches!(&header[4..6], b"OB" | b"OW" | b"UN" | b"UT" | b"SQ");
            let (start, length) = if long {
                let bytes = file.get(at + 8..at + 12).context("file meta group is cut off")?;
                (at + 12, u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
            } else {
                (at + 8, usize::from(u16::from_le_bytes([header[6], header[7]])))
            };
            let end = start.checked_add(length).context("file meta group is damaged")?;
            let value = file.get(start..end).context("file meta group is cut off")?;
            let text = || String::from_utf8_lossy(value).trim_end_matches(['\0', ' ']).to_owned();
            match element {
                0x0002 => meta.sop_class = text(),
                0x0003 => meta.sop_instance = text(),
                0x0010 => meta.transfer_syntax = text(),
                _ => {}
            }
            at = end;
        }
        ensure!(!meta.transfer_syntax.is_empty(), "file meta group names no transfer syntax");
        Ok((meta, at))
    }

    fn instance(self, bytes: Bytes) -> Instance {
        Instance {
            sop_class_uid: self.sop_class,
            sop_instance_uid: self.sop_instance,
            transfer_syntax_uid: self.transfer_syntax,
            bytes,
        }
    }
}

/// The files of a folder.
#[derive(Debug, Default)]
pub struct Folder {
    pub instances: Vec<Instance>,
    /// Files that are not DICOM, or cannot be read: path and why.
    pub ignored: Vec<(PathBuf, String)>,
}

impl Folder {
    /// All DICOM files below `root`, subfolders included, in the order of their names. DICOMDIR is not an image and is
    /// left out without a message.
    ///
    /// # Errors
    /// When `root` itself cannot be listed.
    pub fn scan(root: &Path) -> Result<Self> {
        let mut folder = Self::default();
        if root.is_file() {
            folder.add(root);
            return Ok(folder);
        }
        let mut paths = Vec::new();
        list(root, &mut paths).with_context(|| root.display().to_string())?;
        paths.sort();
        for path in paths {
            folder.add(&path);
        }
        Ok(folder)
    }

    fn add(&mut self, path: &Path) {
        const MEDIA_DIRECTORY: &str = "1.2.840.10008.1.3.10";
        match Instance::open(path) {
            Ok(Some(instance)) if instance.sop_class_uid == MEDIA_DIRECTORY => {}
            Ok(Some(instance)) => self.instances.push(instance),
            Ok(None) => self.ignored.push((path.to_owned(), "not a DICOM file".to_owned())),
            Err(error) => self.ignored.push((path.to_owned(), format!("{error:#}"))),
        }
    }
}

fn list(directory: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), into)?;
        } else if kind.is_file() || entry.path().is_file() {
            into.push(entry.path());
        }
    }
    Ok(())
}

/// A complete Part 10 file with this data set, as an archive writes it.
pub fn part10(sop_class: &str, sop_instance: &str, transfer_syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let mut group = Vec::new();
    element(&mut group, (2, 0x0001), b"OB", &[0, 1]);
    element(&mut group, (2, 0x0002), b"UI", sop_class.as_bytes());
    element(&mut group, (2, 0x0003), b"UI", sop_instance.as_bytes());
    element(&mut group, (2, 0x0010), b"UI", transfer_syntax.as_bytes());
    element(&mut group, (2, 0x0012), b"UI", b"2.25.310279301217433512706186271936563265771");
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    #[expect(clippy::cast_possible_truncation, reason = "five short elements")]
    element(&mut file, (2, 0x0000), b"UL", &(group.len() as u32).to_le_bytes());
    file.extend(group);
    file.extend(data_set);
    file
}

/// Appends an element (group and number) in Explicit VR Little Endian; its value is padded to an even length (PS3.5 6.2).
pub fn element(out: &mut Vec<u8>, (group, number): (u16, u16), vr: &[u8; 2], value: &[u8]) {
    let padded = value.len().next_multiple_of(2);
    out.extend(group.to_le_bytes());
    out.extend(number.to_le_bytes());
    out.extend(vr);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "values of the bench are short; those of OB and OW below 4 GiB"
    )]
    if matches!(vr, b"OB" | b"OW") {
        out.extend([0, 0]);
        out.extend((padded as u32).to_le_bytes());
    } else {
        out.extend((padded as u16).to_le_bytes());
    }
    out.extend(value);
    out.resize(out.len() + padded - value.len(), if matches!(vr, b"UI" | b"OB" | b"OW") { 0 } else { b' ' });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_here_is_read_back_with_equal_bytes() {
        let file = part10("1.2.3", "1.2.3.45", "1.2.840.10008.1.2.1", b"data set");
        let instance = Instance::from_part10(&file).unwrap();
        assert_eq!(
            (
                instance.sop_class_uid.as_str(),
                instance.sop_instance_uid.as_str(),
                instance.transfer_syntax_uid.as_str()
            ),
            ("1.2.3", "1.2.3.45", "1.2.840.10008.1.2.1")
        );
        assert_eq!(&*instance.data_set().unwrap(), b"data set");
    }

    #[test]
    fn a_folder_gives_nested_dicom_files_and_counts_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/1.dcm"), part10("1.2", "1.2.1", "1.2.840.10008.1.2", b"")).unwrap();
        fs::write(folder.path().join("a/notes.txt"), b"hello").unwrap();
        let cut = part10("1.2", "1.2.1", "1.2.840.10008.1.2", b"");
        fs::write(folder.path().join("cut"), &cut[..150]).unwrap();
        let found = Folder::scan(folder.path()).unwrap();
        assert_eq!((found.instances.len(), found.ignored.len()), (1, 2));
    }
}
