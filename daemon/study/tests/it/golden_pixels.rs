//! Compares Hounsfield units and volumes of the shared images with pydicom; `golden/pixels.py` made the reference
//! values.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use dicom::header::Header;
use dicom::pixels::DecodeError;
use dicom::scan::{ScanError, scan};
use study::volume::{Slice, build, decode};

const GOLDEN: &str = include_str!("../golden/pixels.tsv");

/// `../shared/data` beside the workspace, where it is present.
pub fn shared_data() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared = std::env::var_os("SCANSIDE_SHARED").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let data = shared.join("data");
    if !data.is_dir() {
        needs::skip(needs::Lack::SharedData, "../shared/data not present");
        return None;
    }
    Some(data)
}

fn golden(kind: &str) -> impl Iterator<Item = Vec<&'static str>> {
    GOLDEN.lines().map(|line| line.split('\t').collect::<Vec<_>>()).filter(move |fields| fields[0] == kind)
}

/// What the engine makes of one file.
pub fn decoded(path: &Path) -> Result<(Header, Result<Vec<Slice>, DecodeError>), ScanError> {
    let part10 = fs::read(path).unwrap();
    let header = scan(Cursor::new(&part10))?.header;
    let slices = decode::decode_part10(&header, &part10);
    Ok((header, slices))
}

fn crc<'a>(slices: impl IntoIterator<Item = &'a Slice>) -> String {
    let mut hasher = crc32fast::Hasher::new();
    for slice in slices {
        hasher.update(&slice.hu.iter().flat_map(|hu| hu.to_le_bytes()).collect::<Vec<u8>>());
    }
    format!("{:08x}", hasher.finalize())
}

#[test]
fn hounsfield_units_equal_those_of_pydicom() {
    let Some(data) = shared_data() else { return };
    let mut wrong = Vec::new();
    let mut compared = BTreeMap::<String, usize>::new();
    for fields in golden("image") {
        let [_, path, frames, rows, columns, expected, min, max, sum] = fields[..] else { panic!("{fields:?}") };
        let (header, slices) = match decoded(&data.join(path)) {
            Ok(decoded) => decoded,
            // The spool quarantines such a file, so it is never decoded.
            Err(ScanError::Missing(_) | ScanError::NoUid(_)) => continue,
            Err(error) => {
                wrong.push(format!("{path}: {error}"));
                continue;
            }
        };
        let slices = match slices {
            Ok(slices) => slices,
            // The only known difference: pydicom has a 12-bit JPEG decoder.
            Err(error) if error.kind() == "jpeg-extended" => continue,
            Err(error) => {
                wrong.push(format!("{path}: {error}"));
                continue;
            }
        };
        let hu = || slices.iter().flat_map(|s| s.hu.iter()).copied();
        let pixels = rows.parse::<usize>().unwrap() * columns.parse::<usize>().unwrap();
        let shape_right = slices.len().to_string() == frames && slices.iter().all(|s| s.hu.len() == pixels);
        if !shape_right || crc(&slices) != expected {
            let found = (slices.len(), hu().min(), hu().max(), hu().map(i64::from).sum::<i64>());
            wrong.push(format!("{path}: {found:?}, expected {frames} frames {min} {max} {sum}"));
        }
        *compared.entry(header.transfer_syntax_uid).or_default() += 1;
    }
    println!("images compared, by transfer syntax: {compared:#?}");
    assert!(wrong.is_empty(), "{} images differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared.len() >= 8, "too few transfer syntaxes in the shared images: {compared:?}");
}

#[test]
fn both_chest_cts_become_volumes_with_the_geometry_that_pydicom_reads() {
    let Some(data) = shared_data() else { return };
    for fields in golden("volume") {
        let path = fields[1];
        let mut files: Vec<_> = fs::read_dir(data.join(path)).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        // An order that does not match the volume.
        files.reverse();
        let slices: Vec<Slice> = files.iter().flat_map(|file| decoded(file).unwrap().1.unwrap()).collect();
        let by_uid: BTreeMap<_, _> = slices.iter().map(|s| (s.sop_instance_uid.clone(), s.clone())).collect();
        let build::Built { volume, sources, .. } = build::assemble(slices).unwrap();
        let geometry = &volume.geometry;
        let numbers: Vec<f64> = fields[2..11].iter().map(|v| v.parse().unwrap()).collect();
        let found: Vec<f64> =
            geometry.dims.iter().map(|d| *d as f64).chain(geometry.spacing_mm).chain(geometry.origin_mm).collect();
        assert!(numbers.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-6), "{path}: {found:?}, not {numbers:?}");
        assert_eq!(crc(sources.iter().map(|s| &by_uid[&s.sop_instance_uid])), fields[11], "{path}");
        for (k, source) in sources.iter().enumerate() {
            let computed = geometry.to_patient([0.0, 0.0, k as f64]);
            assert!((0..3).all(|a| (computed[a] - source.position_mm[a]).abs() < 1e-6), "{path} slice {k}");
        }
    }
}

#[test]
fn no_file_of_the_corpus_panics_and_every_refusal_says_why() {
    let Some(data) = shared_data() else { return };
    let mut reasons = BTreeMap::<&'static str, usize>::new();
    let mut folders = vec![data.join("corpus")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            match decoded(&path) {
                Err(_) => *reasons.entry("(not scanned)").or_default() += 1,
                Ok((_, Ok(slices))) => {
                    assert!(!slices.is_empty());
                    *reasons.entry("(decoded)").or_default() += 1;
                }
                Ok((_, Err(error))) => {
                    println!("{}: {error}", path.file_name().unwrap().to_string_lossy());
                    assert!(!error.to_string().is_empty());
                    *reasons.entry(error.kind()).or_default() += 1;
                }
            }
        }
    }
    println!("{reasons:#?}");
}
