//! TensorRT without NVIDIA: compiled by the C++ compiler that the project needs anyway, with the tables of any version that is known here. It
//! proves every call, the order in which objects go, and what is made of failures; not that the places are NVIDIA's (`places.cpp` does
//! that) and nothing of a card.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_longlong};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::abi::{Family, Version};

const SOURCE: &str = include_str!("simulated/tensorrt.cpp");

type Control = unsafe extern "C" fn(*const c_char, c_longlong) -> c_longlong;

/// A simulated TensorRT and its parser, which keep their own counts.
#[derive(Debug, Clone)]
pub struct Simulated {
    /// The folder with both libraries, for `accelerator.tensorrt`.
    pub folder: PathBuf,
    library: Control,
    parser: Control,
}

impl Simulated {
    /// Compiles the libraries of a version into a folder of their own below `folder`, and loads them.
    ///
    /// # Errors
    /// In words, when there is no compiler or it refuses.
    pub fn load(folder: &Path, number: i32) -> Result<Self, String> {
        let family = Family::of(Version::of(number))?;
        let (library, parser) = match family {
            Family::Ten => ("libnvinfer.so.10", "libnvonnxparser.so.10"),
            Family::Eleven => ("libnvinfer.so.11", "libnvonnxparser.so.11"),
            Family::OldRtx | Family::Rtx => ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"),
        };
        let folder = folder.join(format!("tensorrt-{number}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let mut places = format!("#define VERSION {number}\n");
        for (name, place) in family.places().rows() {
            let place = place.map_or_else(|| "-1".into(), |place| place.to_string());
            let _ = writeln!(places, "#define AT_{name} {place}");
        }
        for (name, text) in [("places.h", places.as_str()), ("tensorrt.cpp", SOURCE)] {
            std::fs::write(folder.join(name), text).map_err(|error| error.to_string())?;
        }
        compile(&folder, library)?;
        std::fs::copy(folder.join(library), folder.join(parser)).map_err(|error| error.to_string())?;
        let control = |name: &str| control(&folder.join(name));
        Ok(Self { library: control(library)?, parser: control(parser)?, folder: folder.clone() })
    }

    /// Sets `no X` (so many calls for an X answer with nothing), or asks: `alive` objects, and counts of what was seen, such as `runs`.
    pub fn say(&self, what: &CStr, value: i64) -> i64 {
        // SAFETY: a text that ends in a zero, and a number.
        unsafe { (self.library)(what.as_ptr(), value) }
    }

    /// The same for the parser.
    pub fn say_to_parser(&self, what: &CStr, value: i64) -> i64 {
        // SAFETY: as above.
        unsafe { (self.parser)(what.as_ptr(), value) }
    }
}

fn compile(folder: &Path, library: &str) -> Result<(), String> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let run = Command::new(&compiler)
        .args(["-std=c++17", "-O0", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"])
        .arg(folder.join("tensorrt.cpp"))
        .arg("-o")
        .arg(folder.join(library))
        .arg("-ldl")
        .output();
    let run = run.map_err(|error| format!("{}: {error}", compiler.display()))?;
    if run.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&run.stderr).into_owned()) }
}

fn control(path: &Path) -> Result<Control, String> {
    let name = CString::new(path.to_string_lossy().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: a library of ours, whose start makes empty tables; the same one that is loaded by its path later.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(format!("{} cannot be loaded", path.display()));
    }
    // SAFETY: the name ends in a zero.
    let control = unsafe { libc::dlsym(handle, c"scanside_tensorrt".as_ptr()) };
    if control.is_null() {
        return Err(format!("{} lacks scanside_tensorrt", path.display()));
    }
    // SAFETY: its type in tensorrt.cpp.
    Ok(unsafe { std::mem::transmute::<*mut libc::c_void, Control>(control) })
}
