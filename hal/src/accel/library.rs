//! Finds libonnxruntime and reads its version without loading it, so that a missing or unsuitable file gives a clear
//! message at start instead of a failed dlopen in a running daemon.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{AccelFault, Error};

/// Overrides the configured library path.
pub const ENVIRONMENT_KEY: &str = "SCANSIDE_ONNXRUNTIME";

/// The oldest ONNX Runtime whose C API we use (cargo feature `api-24` of `ort`).
const MINIMUM_MINOR: u32 = 24;

const REMEDY: &str = "run `make setup`, or set accelerator.library or SCANSIDE_ONNXRUNTIME to libonnxruntime.so";

/// A library file that passed inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Library {
    pub path: PathBuf,
    /// `1.32.0`, or `of unknown version` when the file does not say.
    pub version: String,
}

impl Library {
    /// For people: `ONNX Runtime 1.32.0`.
    pub fn name(&self) -> String {
        format!("ONNX Runtime {}", self.version)
    }
}

/// Finds and inspects the library: environment variable first, then `configured`.
pub(super) fn find(configured: &Path) -> Result<Library, Error> {
    resolve(configured, std::env::var_os(ENVIRONMENT_KEY)).and_then(|path| inspect(&path))
}

fn resolve(configured: &Path, environment: Option<OsString>) -> Result<PathBuf, Error> {
    let path = match environment {
        Some(value) if !value.is_empty() => PathBuf::from(value),
        _ => configured.to_path_buf(),
    };
    if path.as_os_str().is_empty() {
        return Err(not_present("no path to ONNX Runtime is configured"));
    }
    if path.components().count() > 1 || path.is_absolute() {
        // ONNX Runtime looks for its providers beside its own file, not beside a link to it.
        let real = path.canonicalize().or_else(|_| std::path::absolute(&path));
        return real.map_err(|e| not_present(&format!("{}: {e}", path.display())));
    }
    search(&path).ok_or_else(|| {
        not_present(&format!("{} is not in LD_LIBRARY_PATH or the system's library folders", path.display()))
    })
}

/// A bare name is looked for where the loader would look, so that it can be inspected first.
pub(super) fn search(name: &Path) -> Option<PathBuf> {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let system = ["/usr/local/lib".into(), format!("/usr/lib/{triplet}"), "/usr/lib64".into(), "/usr/lib".into()];
    let configured = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    std::env::split_paths(&configured)
        .chain(system.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|path| path.is_absolute() && path.is_file())
}

/// # Errors
/// Why a file is no library for this processor, in words.
pub(super) fn is_for_this_machine(path: &Path) -> Result<(), String> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(20).read_to_end(&mut head));
    read.map_err(|error| error.to_string())?;
    elf(&head)
}

fn elf(head: &[u8]) -> Result<(), String> {
    if !head.starts_with(b"\x7fELF") {
        return Err("not a shared library".into());
    }
    let machine = head.get(18..20).map(|b| u16::from_le_bytes([b[0], b[1]]));
    if machine == Some(OUR_MACHINE) {
        return Ok(());
    }
    Err(format!("built for another processor than {}", std::env::consts::ARCH))
}

fn inspect(path: &Path) -> Result<Library, Error> {
    let refuse = |why: String| not_present(&format!("ONNX Runtime at {}: {why}", path.display()));
    let mut file = File::open(path).map_err(|e| refuse(e.to_string()))?;
    let mut head = Vec::new();
    // The symbol version stands in the string table near the start of the file (at 25 kB in 1.32).
    file.by_ref().take(4 << 20).read_to_end(&mut head).map_err(|e| refuse(e.to_string()))?;
    elf(&head).map_err(refuse)?;
    if !contains(&head, b"OrtGetApiBase") {
        return Err(refuse("a shared library, but not ONNX Runtime (no OrtGetApiBase)".into()));
    }
    let version = symbol_version(&head).unwrap_or_else(|| "of unknown version".into());
    match minor(&version) {
        Some(m) if m < MINIMUM_MINOR => Err(refuse(format!("version {version}, needed is 1.{MINIMUM_MINOR} or newer"))),
        _ => Ok(Library { path: path.to_path_buf(), version }),
    }
}

/// ELF `e_machine` of this build.
const OUR_MACHINE: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };

/// Exported symbols carry the version: `OrtGetApiBase@@VERS_1.32.0`.
fn symbol_version(bytes: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"VERS_1.";
    let at = bytes.windows(MARK.len()).position(|w| w == MARK)? + MARK.len() - 2;
    let text: String = bytes[at..].iter().map(|b| *b as char).take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    Some(text)
}

fn minor(version: &str) -> Option<u32> {
    version.split('.').nth(1)?.parse().ok()
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|w| w == word)
}

fn not_present(what: &str) -> Error {
    Error::new(AccelFault::NotPresent, format!("{what}; {REMEDY}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(body: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(18, 0);
        bytes.extend_from_slice(&OUR_MACHINE.to_le_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    fn inspected(bytes: &[u8]) -> Result<Library, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        inspect(file.path())
    }

    #[test]
    fn the_environment_wins_over_the_configuration() {
        let found = resolve(Path::new("/a/libonnxruntime.so"), Some("/b/libonnxruntime.so".into())).unwrap();
        assert_eq!(found, Path::new("/b/libonnxruntime.so"));
        let found = resolve(Path::new("/a/libonnxruntime.so"), Some(OsString::new())).unwrap();
        assert_eq!(found, Path::new("/a/libonnxruntime.so"));
    }

    #[test]
    fn a_missing_library_names_the_path_and_the_remedy() {
        let error = find_in("/nowhere/libonnxruntime.so");
        assert_eq!(error.kind(), AccelFault::NotPresent);
        let text = error.to_string();
        assert!(text.contains("/nowhere/libonnxruntime.so") && text.contains("make setup"), "{text}");
        assert!(text.contains("accelerator.library"), "{text}");
    }

    fn find_in(path: &str) -> Error {
        inspect(&resolve(Path::new(path), None).unwrap()).unwrap_err()
    }

    #[test]
    fn files_that_are_not_the_library_are_refused_before_they_are_loaded() {
        for (bytes, word) in [
            (b"hello".to_vec(), "not a shared library"),
            (elf(b"something else"), "not ONNX Runtime"),
            (elf(b"OrtGetApiBase\0VERS_1.17.3\0"), "1.17.3"),
        ] {
            let error = inspected(&bytes).unwrap_err();
            assert_eq!(error.kind(), AccelFault::NotPresent);
            assert!(error.to_string().contains(word), "{error}");
        }
        let mut other = elf(b"OrtGetApiBase\0VERS_1.32.0\0");
        other[18] ^= 0xff;
        assert!(inspected(&other).unwrap_err().to_string().contains("another processor"));
    }

    #[test]
    fn the_version_is_read_from_the_file() {
        assert_eq!(inspected(&elf(b"OrtGetApiBase\0VERS_1.32.0\0")).unwrap().name(), "ONNX Runtime 1.32.0");
    }
}
