//! Real CT slices as a source for reports, and the conformance tools that check the objects.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a fixture that cannot be read ends the test")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use dicom::header::Header;
use dicom::pixels::SliceRef;
use dicom::scan::{RawElement, scan};
use models::{Geometry, Volume};

/// `SCANSIDE_SHARED`, or `shared` next to the workspace; `None` when absent.
pub fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("SCANSIDE_SHARED").map_or(beside, PathBuf::from);
    path.join("data").is_dir().then_some(path)
}

/// A series read from files.
pub struct Series {
    /// In volume order.
    pub files: Vec<PathBuf>,
    pub elements: Vec<RawElement>,
    pub header: Header,
    pub instances: Vec<SliceRef>,
    pub volume: Volume,
}

/// Reads the axial, uncompressed 16-bit slices among `files`.
pub fn series(files: impl IntoIterator<Item = PathBuf>) -> Series {
    let mut slices: Vec<_> = files
        .into_iter()
        .map(|path| {
            let found = scan(File::open(&path).unwrap()).unwrap();
            (path, found.header, found.elements)
        })
        .collect();
    let height = |h: &Header| h.image_position.unwrap()[2];
    slices.sort_by(|a, b| height(&a.1).total_cmp(&height(&b.1)));
    let first = slices[0].1.clone();
    let [down, across] = first.pixel_spacing.unwrap();
    let between = if slices.len() > 1 { height(&slices[1].1) - height(&first) } else { 5.0 };
    let geometry = Geometry {
        dims: [first.columns as usize, first.rows as usize, slices.len()],
        spacing_mm: [across, down, between],
        origin_mm: first.image_position.unwrap(),
        axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    let instances = slices
        .iter()
        .map(|(_, header, _)| SliceRef {
            sop_class_uid: header.sop_class_uid.clone(),
            sop_instance_uid: header.sop_instance_uid.clone(),
            frame: None,
            position_mm: header.image_position.unwrap(),
        })
        .collect();
    let planes = slices.iter().map(|(path, header, _)| hounsfield(path, header)).collect();
    Series {
        files: slices.iter().map(|(path, ..)| path.clone()).collect(),
        elements: slices[0].2.clone(),
        header: first,
        instances,
        volume: Volume { geometry, slices: planes },
    }
}

fn hounsfield(path: &Path, header: &Header) -> Arc<[i16]> {
    let bytes = fs::read(path).unwrap();
    let pixels = header.pixel_data.unwrap();
    assert!(!pixels.encapsulated && header.bits_allocated == 16);
    let (slope, intercept) = (header.rescale_slope.unwrap_or(1.0), header.rescale_intercept.unwrap_or(0.0));
    let value = |pair: &[u8]| {
        let stored = match header.pixel_representation {
            0 => f64::from(u16::from_le_bytes([pair[0], pair[1]])),
            _ => f64::from(i16::from_le_bytes([pair[0], pair[1]])),
        };
        (stored * slope + intercept) as i16
    };
    let start = pixels.offset as usize;
    bytes[start..start + pixels.length as usize].chunks_exact(2).map(value).collect()
}

/// The files of a folder, by name.
pub fn folder(path: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = entries.filter(|p| p.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

/// Runs one tool. Returns whether it succeeded and its output, or `None` when it is not installed.
fn run(name: &str, command: &mut Command) -> Option<(bool, String)> {
    match command.output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(_) => {
            needs::skip(needs::Lack::Software, format_args!("{name} not installed"));
            None
        }
    }
}

fn errors(text: &str, prefix: &str) -> Vec<String> {
    text.lines().filter(|l| l.starts_with(prefix)).map(str::to_owned).collect()
}

fn named(tool: &str, lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| format!("{tool}: {line}")).collect()
}

/// All complaints of all installed tools but PixelMed, each with the name of the tool; `templates` judges structured reports.
pub fn complaints(kind: &str, file: &Path, sources: &[PathBuf], shared: &Path) -> Vec<String> {
    let mut found = dciodvfy(file);
    found.extend(dcentvfy(sources, file));
    if template_of(kind).is_some() {
        found.extend(dsrdump(file));
    }
    if kind == "ko" {
        found.extend(named("highdicom", key_objects(file)));
    }
    if kind == "sr" || kind == "seg" {
        found.extend(named("xcheck", highdicom(file, sources, shared)));
    }
    found
}

/// The root template of each kind of structured report.
pub fn template_of(kind: &str) -> Option<&'static str> {
    match kind {
        "sr" => Some("TID_1500"),
        "ko" => Some("TID_2010"),
        "breast-report" => Some("TID_4200"),
        "mg-cad" => Some("TID_4000"),
        _ => None,
    }
}

/// Checks that the object conforms to its SOP class.
pub fn dciodvfy(file: &Path) -> Vec<String> {
    let Some((ok, text)) = run("dciodvfy", Command::new("dciodvfy").arg("-new").arg(file)) else { return Vec::new() };
    let lines = errors(&text, "Error");
    named("dciodvfy", if ok && lines.is_empty() { lines } else { [vec!["failed".into()], lines].concat() })
}

/// Checks that the object is consistent with its sources.
pub fn dcentvfy(sources: &[PathBuf], file: &Path) -> Vec<String> {
    let Some((ok, text)) = run("dcentvfy", Command::new("dcentvfy").args(sources).arg(file)) else { return Vec::new() };
    named("dcentvfy", if ok { Vec::new() } else { [vec!["failed".into()], errors(&text, "Error")].concat() })
}

/// Checks that structured reports conform to their templates.
pub fn templates(reports: &[(PathBuf, &str)]) -> Vec<String> {
    named("DicomSRValidator", pixelmed(reports))
}

/// Checks one report with every tool that reads structured reports only.
pub fn sr_validators(file: &Path, template: &str) -> Vec<String> {
    let mut found = dsrdump(file);
    found.extend(templates(&[(file.to_owned(), template)]));
    found
}

pub fn dsrdump(file: &Path) -> Vec<String> {
    let dump = run("dsrdump", Command::new("dsrdump").arg(file));
    named("dsrdump", dump.map_or_else(Vec::new, |(ok, text)| if ok { Vec::new() } else { errors(&text, "E:") }))
}

/// PixelMed checks templates. Its exit status says nothing, so its output is examined; all reports in one process, because it
/// takes seconds to begin.
fn pixelmed(reports: &[(PathBuf, &str)]) -> Vec<String> {
    const JARS: [&str; 2] = ["/usr/share/java/pixelmed.jar", "/usr/share/java/commons-codec.jar"];
    // Its tables lack these groups, so it finds no code in them (PixelMed 20220618).
    const LACKING: [&str; 3] = ["6152", "6154", "6155"];
    if reports.is_empty() {
        return Vec::new();
    }
    if JARS.iter().any(|jar| !Path::new(jar).exists()) {
        needs::skip(needs::Lack::Software, "PixelMed DicomSRValidator not installed");
        return Vec::new();
    }
    let mut command = Command::new("java");
    // A process of seconds gains nothing from the second compiler.
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xss64m", "-Xmx6g"]);
    for limit in ["TotalOp", "ExprOp", "ExprGrp"] {
        command.arg(format!("-Djdk.xml.xpath{limit}Limit=0"));
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../report/tests/it/support/Validate.java");
    command.args(["-cp", &JARS.join(":")]).arg(program).args(reports.iter().map(|(file, _)| file));
    let Some((_, text)) = run("java", &mut command) else { return Vec::new() };
    // Warnings, for whoever runs it by hand (`--nocapture`).
    println!("{text}");
    let lacking = |line: &str| {
        LACKING.iter().any(|group| line.trim_end().ends_with(&format!("not found in context group {group}")))
    };
    let is_fault = |line: &&str| (line.starts_with("Error") || line.contains("Exception")) && !lacking(line);
    let mut found = Vec::new();
    for (file, template) in reports {
        let head = format!("File {}\n", file.display());
        let own = text.split_once(&head).map_or("", |(_, rest)| rest.split("\nFile ").next().unwrap_or_default());
        let mut own_faults: Vec<String> = own.lines().filter(|l| is_fault(l)).map(str::to_owned).collect();
        for expected in [format!("Found Root Template {template}"), "IOD validation complete".to_owned()] {
            if !own.contains(&expected) {
                own_faults.push(format!("does not say \"{expected}\""));
            }
        }
        found.extend(own_faults.into_iter().map(|fault| format!("{}: {fault}", file.display())));
    }
    if !found.is_empty() && !text.starts_with("File ") {
        found.push(text.lines().take(5).collect::<Vec<_>>().join(" "));
    }
    found
}

/// Reads a key object selection with highdicom.
fn key_objects(file: &Path) -> Vec<String> {
    const SCRIPT: &str = "import sys, pydicom, highdicom
found = highdicom.ko.KeyObjectSelectionDocument.from_dataset(pydicom.dcmread(sys.argv[1])).content.get_references()
assert found, 'it names nothing'";
    let python = std::env::var("SCANSIDE_PYTHON").unwrap_or_else(|_| "python3".into());
    match run(&python, Command::new(&python).args(["-c", "import highdicom"])) {
        Some((true, _)) => {}
        Some((false, _)) => {
            needs::skip(needs::Lack::Software, format_args!("highdicom not installed for {python}"));
            return Vec::new();
        }
        None => return Vec::new(),
    }
    match run(&python, Command::new(&python).args(["-c", SCRIPT]).arg(file)) {
        Some((false, text)) => text.lines().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// Reads the object with highdicom and compares it with the sources.
fn highdicom(file: &Path, sources: &[PathBuf], shared: &Path) -> Vec<String> {
    let python = std::env::var("SCANSIDE_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import highdicom"]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        needs::skip(needs::Lack::Software, format_args!("highdicom not installed for {python}"));
        return Vec::new();
    }
    let script = shared.join("validators/xcheck.py");
    match run(&python, Command::new(&python).arg(script).arg(file).args(sources)) {
        Some((false, text)) => text.lines().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
