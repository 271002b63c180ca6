//! What reads bytes of others, each as a function of bytes with inputs to begin with. The mutation loop gives them mutated
//! seeds, and the fuzzer (`hil-tests/fuzz`) what it finds. `decoders` needs the crate `dicom` only.

use std::path::{Path, PathBuf};

/// Something that reads bytes of others.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// What to begin with; not empty.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Its decoder may panic: the product catches that and names the one frame. Elsewhere a panic is a fault, also one that
    /// only ends a task.
    pub may_panic_inside: bool,
}

pub const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds, may_panic_inside: false }
}

pub const fn decoder(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds, may_panic_inside: true }
}

/// A Part 10 file with this data set.
pub fn part10(transfer_syntax: &str, data_set: &[u8]) -> Vec<u8> {
    let mut group = Vec::new();
    for (number, uid) in [(2, "1.2.840.10008.5.1.4.1.1.7"), (3, "2.25.7"), (0x10, transfer_syntax)] {
        element(&mut group, (2, number), b"UI", uid.as_bytes());
    }
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    element(&mut file, (2, 0), b"UL", &u32::try_from(group.len()).unwrap().to_le_bytes());
    [file, group, data_set.to_vec()].concat()
}

/// Appends an element with a short value in Explicit VR Little Endian.
pub fn element(out: &mut Vec<u8>, (group, number): (u16, u16), vr: &[u8; 2], value: &[u8]) {
    let padded = value.len().next_multiple_of(2);
    out.extend([group.to_le_bytes(), number.to_le_bytes()].concat());
    out.extend(vr);
    if matches!(vr, b"OB" | b"OW" | b"SQ") {
        out.extend([0, 0]);
        out.extend(u32::try_from(padded).unwrap().to_le_bytes());
    } else {
        out.extend(u16::try_from(padded).unwrap().to_le_bytes());
    }
    out.extend(value);
    out.resize(out.len() + padded - value.len(), if vr == b"UI" { 0 } else { b' ' });
}

/// Files of real scanners beside the repository, where they are.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SCANSIDE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    Some(root.join("data").join(folder)).filter(|path| path.is_dir())
}
