//! Reads a worklist from a folder of DICOM Modality Worklist items, one file each. Of a large folder only the newest
//! files are used.

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dicom::patient::Patient;
use dicom::scan::{self, Item, ScanError};

use super::{Entry, Listing, MOST_READ};

/// At most this many names are read, and an item may have at most this many bytes.
const MOST_NAMES: usize = 20_000;
const MOST_BYTES: u64 = 1 << 20;

/// # Errors
/// When the folder cannot be read.
pub fn read(folder: &Path, listing: &mut Listing) -> io::Result<()> {
    let (mut files, mut names) = (Vec::new(), 0);
    for entry in fs::read_dir(folder)? {
        names += 1;
        if names > MOST_NAMES {
            listing.skip("files beyond the first 20000 names", 1);
            break;
        }
        let Ok(entry) = entry else { continue };
        if is_item(&entry.path()) {
            files.extend(dated(entry.path()));
        }
    }
    files.sort_by(|(a, path_a), (b, path_b)| b.cmp(a).then_with(|| path_a.cmp(path_b)));
    listing.skip("files older than the newest 5000", files.len().saturating_sub(MOST_READ));
    for (_, path) in files.into_iter().take(MOST_READ) {
        if let Err(reason) = item(&path).and_then(|item| listing.take(Entry::from(item))) {
            listing.skip(reason, 1);
        }
    }
    Ok(())
}

fn is_item(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    extension.eq_ignore_ascii_case("wl") || extension.eq_ignore_ascii_case("dcm")
}

/// The path with its time of change; `None` for anything but a regular file, since a pipe would never end.
fn dated(path: PathBuf) -> Option<(SystemTime, PathBuf)> {
    let facts = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    Some((facts.modified().unwrap_or(SystemTime::UNIX_EPOCH), path))
}

fn item(path: &Path) -> Result<Item, &'static str> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|_| "files that cannot be read")?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err("files larger than 1 MiB");
    }
    scan::item(Cursor::new(bytes)).map_err(|error| match error {
        ScanError::NotPart10 => "no DICOM files",
        _ => "damaged DICOM files",
    })
}

impl From<Item> for Entry {
    fn from(item: Item) -> Self {
        Self {
            patient: Patient {
                id: item.patient_id,
                name: item.patient_name,
                birth_date: item.patient_birth_date,
                accession_number: item.accession_number,
            },
            study_uid: item.study_instance_uid,
            date: item.step_date,
            time: item.step_time,
            modality: item.modality,
            description: item.description,
            request: item.request,
            besides: item.besides,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Explicit little endian, byte by byte; sequences of undefined length.
    fn part10(charset: &str, name: &[u8], id: &str) -> Vec<u8> {
        let element = |group: u16, element: u16, vr: &str, value: &[u8]| {
            let padded = value.len().next_multiple_of(2);
            let mut bytes = [group.to_le_bytes(), element.to_le_bytes()].concat();
            bytes.extend(vr.as_bytes());
            bytes.extend(u16::try_from(padded).unwrap().to_le_bytes());
            bytes.extend(value);
            bytes.resize(8 + padded, if vr == "UI" { 0 } else { b' ' });
            bytes
        };
        let open = |group: u16, element: u16| {
            [
                &group.to_le_bytes()[..],
                &element.to_le_bytes(),
                b"SQ\0\0\xFF\xFF\xFF\xFF",
                b"\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF",
            ]
            .concat()
        };
        let mut file = [vec![0; 128], b"DICM".to_vec()].concat();
        file.extend(element(2, 0x10, "UI", b"1.2.840.10008.1.2.1"));
        if !charset.is_empty() {
            file.extend(element(8, 5, "CS", charset.as_bytes()));
        }
        file.extend(element(8, 0x50, "SH", b"A-1"));
        file.extend(element(0x10, 0x10, "PN", name));
        file.extend(element(0x10, 0x20, "LO", id.as_bytes()));
        file.extend(element(0x10, 0x30, "DA", b"19700131"));
        file.extend(element(0x20, 0xD, "UI", b"1.2.840.99.1"));
        file.extend(open(0x40, 0x100));
        file.extend(element(8, 0x60, "CS", b"US"));
        file.extend(element(0x40, 2, "DA", b"20260131"));
        file.extend(element(0x40, 3, "TM", b"0930"));
        file.extend(element(0x40, 7, "LO", b"breast, both"));
        file.extend(b"\xFE\xFF\x0D\xE0\0\0\0\0\xFE\xFF\xDD\xE0\0\0\0\0");
        file
    }

    fn listed(files: &[(&str, Vec<u8>)]) -> Listing {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        fs::create_dir(folder.path().join("folder.wl")).unwrap();
        let mut listing = Listing::default();
        read(folder.path(), &mut listing).unwrap();
        listing
    }

    #[test]
    fn an_item_is_an_entry_with_patient_order_study_and_appointment() {
        let listing = listed(&[("1.wl", part10("", b"DOE^JANE", "P1")), ("lockfile", Vec::new())]);
        let [entry] = listing.entries.as_slice() else { panic!("{listing:?}") };
        let patient = &entry.patient;
        assert_eq!(
            (patient.id.as_str(), patient.name.as_str(), patient.birth_date.as_str()),
            ("P1", "DOE^JANE", "19700131")
        );
        assert_eq!((patient.accession_number.as_str(), entry.study_uid.as_str()), ("A-1", "1.2.840.99.1"));
        assert_eq!((entry.date.as_str(), entry.time.as_str()), ("20260131", "0930"));
        assert_eq!((entry.modality.as_str(), entry.description.as_str()), ("US", "breast, both"));
        assert!(listing.skipped.is_empty(), "{:?}", listing.skipped);
    }

    #[test]
    fn names_are_read_in_the_character_set_that_the_item_says() {
        let gb18030 = b"Wang^XiaoDong=\xCD\xF5^\xD0\xA1\xB6\xAB";
        for (charset, name, meant) in [
            ("GB18030", &gb18030[..], "Wang^XiaoDong=王^小东"),
            ("ISO_IR 192", "Wang^XiaoDong=王^小东".as_bytes(), "Wang^XiaoDong=王^小东"),
            ("ISO_IR 100", b"M\xFCller^Eva", "Müller^Eva"),
            ("", "Müller^Eva".as_bytes(), "Müller^Eva"),
        ] {
            let listing = listed(&[("1.dcm", part10(charset, name, "P1"))]);
            assert_eq!(listing.entries.first().map(|entry| entry.patient.name.as_str()), Some(meant), "{charset}");
        }
        let unsaid = listed(&[("1.wl", part10("", gb18030, "P1"))]);
        assert_eq!(unsaid.entries, [], "a wrong name is worse than none");
        assert_eq!(unsaid.skipped.values().sum::<usize>(), 1);
    }

    #[test]
    fn what_is_bad_is_counted_with_its_reason_and_the_rest_is_read() {
        let good = part10("", b"DOE^JANE", "P1");
        let listing = listed(&[
            ("good.WL", good.clone()),
            ("cut.wl", good[..good.len() - 40].to_vec()),
            ("cut2.wl", good[..200].to_vec()),
            ("text.wl", b"not DICOM".to_vec()),
            ("large.wl", vec![0; (1 << 20) + 1]),
            ("nobody.wl", part10("", b"DOE^JANE", "")),
            ("notes.txt", good.clone()),
        ]);
        assert_eq!(listing.entries.len(), 1);
        let count = |reason: &str| listing.skipped.iter().find(|(known, _)| known.contains(reason)).map(|(_, n)| *n);
        assert_eq!(count("damaged"), Some(2), "{:?}", listing.skipped);
        assert_eq!((count("no DICOM"), count("1 MiB"), count("missing")), (Some(1), Some(1), Some(1)));
    }

    #[test]
    fn a_large_folder_is_bounded() {
        let good = part10("", b"DOE^JANE", "P1");
        let names: Vec<String> = (0..MOST_READ + 5).map(|number| format!("{number}.wl")).collect();
        let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (name.as_str(), good.clone())).collect();
        let listing = listed(&files);
        assert_eq!((listing.entries.len(), listing.skipped.values().sum::<usize>()), (MOST_READ, 5));
    }
}
