//! Reads the kernel's short files so that none can hold up, flood or mislead the reader.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::LONGEST_NAME;

/// A value, a name or a label is one short line.
const MOST_BYTES: u64 = 256;
/// Entries of a folder that are looked at.
const MOST_ENTRIES: usize = 1024;

/// The content of a file; `None` when it is absent, refuses, is too long, or is none (a pipe would never end).
fn bytes(path: &Path) -> Option<Vec<u8>> {
    // Without it the open of a pipe waits for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MOST_BYTES).then_some(bytes)
}

/// A name that can be shown: what is not UTF-8 or not printable is replaced, a long one cut. `None` for an empty one.
pub(super) fn name(path: &Path) -> Option<String> {
    let bytes = bytes(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let printable = text.trim().chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let name: String = printable.take(LONGEST_NAME).collect();
    (!name.is_empty()).then_some(name)
}

/// A whole number, as the kernel writes all of them.
pub(super) fn number(path: &Path) -> Option<i64> {
    std::str::from_utf8(&bytes(path)?).ok()?.trim().parse().ok()
}

/// The number as a multiple of `unit`.
#[allow(clippy::cast_precision_loss, reason = "a reading has few digits")]
pub(super) fn scaled(path: &Path, unit: f64) -> Option<f64> {
    number(path).map(|number| number as f64 * unit)
}

pub(super) fn count(path: &Path) -> Option<u64> {
    number(path).and_then(|number| u64::try_from(number).ok())
}

/// Entries of a folder whose names begin so, in the order of their numbers.
pub(super) fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).into_iter().flatten().take(MOST_ENTRIES).flatten();
    let wanted = all.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let mut paths: Vec<PathBuf> = wanted.map(|entry| entry.path()).collect();
    paths.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_can_hold_up_flood_or_mislead_the_reader() {
        let tree = tempfile::tempdir().unwrap();
        let at = |file: &str, bytes: &[u8]| {
            let path = tree.path().join(file);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        assert_eq!(number(&at("sound", b"-42\n")), Some(-42));
        for (file, content) in
            [("empty", &b""[..]), ("word", b"n/a\n"), ("huge", b"99999999999999999999999\n"), ("binary", b"\xff\xfe\n")]
        {
            assert_eq!(number(&at(file, content)), None, "{file}");
        }
        assert_eq!(count(&at("negative", b"-1")), None);
        let long = format!("42{}7", " ".repeat(300));
        assert_eq!(number(&at("long", long.as_bytes())), None, "the beginning of a text is another text");
        assert_eq!(number(&at("longer", &vec![b'1'; 32 << 20])), None);
        assert_eq!(number(&tree.path().join("absent")), None);
        assert_eq!(number(tree.path()), None, "a folder");
        let pipe = tree.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(number(&pipe), None, "a pipe has no writer");

        assert_eq!(name(&at("name", b"cpu-thermal\n")), Some("cpu-thermal".into()));
        assert_eq!(name(&at("odd", b"a\x1b[2J\xffb\n")), Some("a\u{fffd}[2J\u{fffd}b".into()));
        assert_eq!(name(&at("wide", "é".repeat(80).as_bytes())).map(|name| name.chars().count()), Some(LONGEST_NAME));
        assert_eq!(name(&at("blank", b" \n")), None);
    }

    #[test]
    fn entries_come_in_the_order_of_their_numbers() {
        let tree = tempfile::tempdir().unwrap();
        for name in ["hwmon10", "hwmon2", "other"] {
            std::fs::create_dir(tree.path().join(name)).unwrap();
        }
        let found = entries(tree.path(), "hwmon");
        assert_eq!(found, [tree.path().join("hwmon2"), tree.path().join("hwmon10")]);
        assert!(entries(&tree.path().join("absent"), "").is_empty());
    }
}
