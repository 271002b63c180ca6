//! What a medium promises: nothing is followed through links, nothing half is left, nothing is listed twice.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn refused(folder: &Path) -> String {
    format!("{:?}", Medium::open(folder, 1, 1).unwrap_err())
}

/// With an even length.
fn element(group: u16, number: u16, vr: [u8; 2], value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(if vr == *b"UI" { 0 } else { b' ' });
    }
    let length = u16::try_from(value.len()).unwrap().to_le_bytes();
    [&group.to_le_bytes()[..], &number.to_le_bytes(), &vr, &length, &value].concat()
}

/// A small image as Part 10.
fn image(study: &str, uid: &str, name: &str) -> Vec<u8> {
    let class = b"1.2.840.10008.5.1.4.1.1.2";
    let meta = [
        b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01".to_vec(),
        element(2, 0x02, *b"UI", class),
        element(2, 0x03, *b"UI", uid.as_bytes()),
        element(2, 0x10, *b"UI", b"1.2.840.10008.1.2.1"),
        element(2, 0x12, *b"UI", b"1.2.3"),
    ]
    .concat();
    let length = u32::try_from(meta.len()).unwrap().to_le_bytes();
    let set = [
        element(0x08, 0x16, *b"UI", class),
        element(0x08, 0x18, *b"UI", uid.as_bytes()),
        element(0x08, 0x60, *b"CS", b"CT"),
        element(0x10, 0x10, *b"PN", name.as_bytes()),
        element(0x20, 0x0d, *b"UI", study.as_bytes()),
        element(0x20, 0x0e, *b"UI", format!("{study}.1").as_bytes()),
        element(0x28, 0x10, *b"US", &[2, 0]),
        element(0x28, 0x11, *b"US", &[2, 0]),
    ]
    .concat();
    [&[0_u8; 128][..], b"DICM", &element(2, 0, *b"UL", &length), &meta, &set].concat()
}

fn write(medium: &mut Medium, part10: &[u8]) -> Outcome {
    let (name, mut file) = medium.file().unwrap();
    file.write_all(part10).unwrap();
    medium.take(name, &mut file, &hex::encode(Sha256::digest(part10))).unwrap()
}

fn listed_files(root: &Path) -> Vec<PathBuf> {
    let existing = Existing::read(&fs::read(root.join("DICOMDIR")).unwrap()).unwrap();
    existing.files.iter().map(|(path, _)| root.join(path.join("/"))).collect()
}

#[test]
fn a_medium_that_is_too_small_or_not_ours_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let told = format!("{:?}", Medium::open(folder.path(), 1 << 60, 1).unwrap_err());
    assert!(told.contains("1048576 TiB are needed"), "{told}");
    fs::write(folder.path().join("DICOMDIR"), "something else").unwrap();
    let told = refused(folder.path());
    assert!(told.contains("only to a file-set of Scanside"), "{told}");
    assert_eq!(names(folder.path()), ["DICOMDIR"]);
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
    assert!(!own.join(PARTIAL).exists() && !folder.path().join("DICOMDIR").exists(), "nothing came, nothing is listed");
}

/// A prepared stick could make an export by root overwrite or remove files of this machine.
#[test]
fn links_on_the_medium_are_refused_and_what_they_lead_to_stays_as_it_is() {
    let elsewhere = tempfile::tempdir().unwrap();
    let (victim, inner) = (elsewhere.path().join("shadow"), elsewhere.path().join("I0000001"));
    for link in [NEW, "DICOMDIR", FOLDER, "SCANSIDE/PARTIAL"] {
        for dangling in [false, true] {
            fs::write(&victim, "keep").unwrap();
            fs::write(&inner, "keep").unwrap();
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join(FOLDER)).unwrap();
            let is_folder = link.starts_with(FOLDER);
            if link == FOLDER {
                fs::remove_dir(folder.path().join(FOLDER)).unwrap();
            }
            let target = match (dangling, is_folder) {
                (true, _) => elsewhere.path().join("nothing"),
                (false, true) => elsewhere.path().to_owned(),
                (false, false) => victim.clone(),
            };
            symlink(&target, folder.path().join(link)).unwrap();
            let told = refused(folder.path());
            assert!(told.contains(&format!("{link} is a link")), "{link} {told}");
            assert_eq!(fs::read_to_string(&victim).unwrap(), "keep", "{link}");
            assert_eq!(names(elsewhere.path()), ["I0000001", "shadow"], "{link}");
        }
    }
}

#[test]
fn a_listed_file_behind_a_link_and_a_pipe_in_the_place_of_the_directory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut medium = Medium::open(folder.path(), 1, 1).unwrap();
    assert_eq!(write(&mut medium, &image("1.2", "1.2.1", "A")), Outcome::Added);
    medium.finish().unwrap();
    let file = listed_files(folder.path()).remove(0);
    let moved = folder.path().join("MOVED");
    fs::rename(&file, &moved).unwrap();
    symlink(&moved, &file).unwrap();
    assert!(refused(folder.path()).contains("is a link"));
    fs::remove_file(folder.path().join("DICOMDIR")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("DICOMDIR"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert!(refused(folder.path()).contains("is no file"), "and nobody waits for its other end");
}

#[test]
fn an_object_is_listed_once_and_that_of_another_study_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut medium = Medium::open(folder.path(), 1, 1).unwrap();
    let first = image("1.2", "1.2.1", "A");
    assert_eq!(write(&mut medium, &first), Outcome::Added);
    assert_eq!(write(&mut medium, &image("1.3", "1.2.1", "A")), Outcome::OfAnotherStudy, "in the same export");
    assert_eq!(write(&mut medium, &first), Outcome::AlreadyThere);
    medium.finish().unwrap();
    let mut medium = Medium::open(folder.path(), 1, 1).unwrap();
    assert_eq!(write(&mut medium, &image("1.3", "1.2.1", "A")), Outcome::OfAnotherStudy, "in a later one");
    assert_eq!(write(&mut medium, &image("1.3", "1.3.1", "B")), Outcome::Added);
    medium.finish().unwrap();
    let listed = listed_files(folder.path());
    assert_eq!(listed.len(), 2);
    assert_eq!(fs::read(&listed[0]).unwrap(), first);
    let mut medium = Medium::open(folder.path(), 1, 1).unwrap();
    let other = image("1.2", "1.2.1", "C");
    assert_eq!(write(&mut medium, &other), Outcome::Replaced);
    medium.finish().unwrap();
    assert!(listed_files(folder.path()).iter().any(|file| fs::read(file).unwrap() == other));
    assert!(!listed[0].exists(), "nothing lists it any more");
}

#[test]
fn an_end_that_fails_leaves_the_medium_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut medium = Medium::open(folder.path(), 1, 1).unwrap();
    write(&mut medium, &image("1.2", "1.2.1", "A"));
    medium.finish().unwrap();
    let before = fs::read(folder.path().join("DICOMDIR")).unwrap();
    // The new directory cannot be made where a folder is, nor take the place of one.
    for in_the_way in [NEW, "DICOMDIR"] {
        let mut medium = Medium::open(folder.path(), 1, 1).unwrap();
        write(&mut medium, &image("1.4", "1.4.1", "A"));
        let path = folder.path().join(in_the_way);
        let _ = fs::remove_file(&path);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("X"), "").unwrap();
        assert!(medium.finish().is_err(), "{in_the_way}");
        assert_eq!(names(&folder.path().join(FOLDER)), ["E0000001"], "{in_the_way}");
        fs::remove_dir_all(&path).unwrap();
        assert!(!folder.path().join(NEW).exists(), "{in_the_way}");
        fs::write(folder.path().join("DICOMDIR"), &before).unwrap();
    }
}

#[test]
fn what_the_medium_gives_back_differently_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut medium = Medium::open(folder.path(), 1, 1).unwrap();
    let (name, mut file) = medium.file().unwrap();
    file.write_all(b"something else").unwrap();
    let told = format!("{:?}", medium.take(name, &mut file, "00").unwrap_err());
    assert!(told.contains("what is read back is not what was written"), "{told}");
}
