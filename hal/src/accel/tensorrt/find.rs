//! Where TensorRT's two libraries are. They are looked for as the loader would, and looked at before they are loaded.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::accel::library::{is_for_this_machine, search};

/// Overrides the configured place of TensorRT.
pub const TENSORRT_KEY: &str = "SCANSIDE_TENSORRT";

/// Libraries of TensorRT and of its parser of ONNX, best first.
const NAMES: [(&str, &str); 3] = [
    ("libnvinfer.so.11", "libnvonnxparser.so.11"),
    ("libnvinfer.so.10", "libnvonnxparser.so.10"),
    ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"),
];

/// Both libraries of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub library: PathBuf,
    pub parser: PathBuf,
}

/// The environment first, then `configured`, then the loader's folders.
///
/// # Errors
/// Why there is none, with the remedy.
pub fn find(configured: &Path) -> Result<Files, String> {
    inspected(resolve(configured, std::env::var_os(TENSORRT_KEY))?)
}

fn inspected(files: Files) -> Result<Files, String> {
    for file in [&files.library, &files.parser] {
        is_for_this_machine(file).map_err(|why| format!("TensorRT at {}: {why}", file.display()))?;
    }
    Ok(files)
}

/// `configured` and the environment name a folder with the libraries, or the library itself.
fn resolve(configured: &Path, environment: Option<OsString>) -> Result<Files, String> {
    let named = environment.filter(|value| !value.is_empty()).map(PathBuf::from);
    let place = named.or_else(|| Some(configured.to_path_buf()).filter(|place| !place.as_os_str().is_empty()));
    let Some(place) = place else {
        let found = NAMES.iter().find_map(|(library, parser)| beside(search(Path::new(library))?, parser));
        return found.ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(library, _)| *library).collect();
            format!(
                "TensorRT is not here (none of {} is in LD_LIBRARY_PATH or the system's library folders); set \
                 accelerator.tensorrt to its folder",
                names.join(", ")
            )
        });
    };
    let place = std::path::absolute(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let found = if place.is_dir() {
        NAMES
            .iter()
            .find_map(|(library, parser)| beside(Some(place.join(library)).filter(|file| file.is_file())?, parser))
    } else {
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let known = NAMES.iter().find(|(library, _)| name.starts_with(library));
        known.and_then(|(_, parser)| beside(Some(place.clone()).filter(|file| file.is_file())?, parser))
    };
    found.ok_or_else(|| {
        format!(
            "TensorRT and its parser of ONNX are not at {}; set accelerator.tensorrt to their folder",
            place.display()
        )
    })
}

/// The parser lies in the folder of the library.
fn beside(library: PathBuf, parser: &str) -> Option<Files> {
    let parser = library.parent()?.join(parser);
    parser.is_file().then_some(Files { library, parser })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), b"not a library").unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_or_the_library_itself_can_be_named() {
        let here = folder(&["libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"]);
        let files = resolve(here.path(), None).unwrap();
        assert_eq!(files.parser, here.path().join("libtensorrt_onnxparser_rtx.so.1"));
        assert_eq!(resolve(&files.library, None).unwrap(), files);
        let other = folder(&["libnvinfer.so.11", "libnvonnxparser.so.11", "libnvinfer.so.10", "libnvonnxparser.so.10"]);
        let files = resolve(here.path(), Some(other.path().into())).unwrap();
        assert_eq!(files.library, other.path().join("libnvinfer.so.11"), "the environment wins, the newest is taken");
    }

    #[test]
    fn what_is_missing_is_named_with_the_remedy() {
        for names in [&[][..], &["libnvinfer.so.10"], &["libnvonnxparser.so.10"]] {
            let here = folder(names);
            let refused = resolve(here.path(), None).unwrap_err();
            assert!(refused.contains("accelerator.tensorrt") && refused.contains("parser"), "{names:?}: {refused}");
        }
    }

    #[test]
    fn what_is_no_library_is_not_loaded() {
        let here = folder(&["libnvinfer.so.10", "libnvonnxparser.so.10"]);
        let refused = inspected(resolve(here.path(), None).unwrap()).unwrap_err();
        assert!(refused.contains("libnvinfer.so.10: not a shared library"), "{refused}");
    }
}
