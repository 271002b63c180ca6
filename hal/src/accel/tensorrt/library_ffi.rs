//! Loads TensorRT and its parser, and calls the few functions that they export. Loaded libraries stay for as long as the process:
//! their threads and tables cannot be taken away safely. It decides nothing.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fmt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use libloading::os::unix::{Library as Shared, RTLD_LOCAL, RTLD_NOW};

use super::abi::{Family, Places, Version};
use super::find::Files;
use super::host_ffi;

type Create = unsafe extern "C" fn(*mut c_void, i32) -> *mut c_void;
type CreateParser = unsafe extern "C" fn(*mut c_void, *mut c_void, i32) -> *mut c_void;
type Number = unsafe extern "C" fn() -> i32;

/// TensorRT, loaded.
pub struct Library {
    pub version: Version,
    pub family: Family,
    pub places: Places,
    pub path: PathBuf,
    builder: Create,
    runtime: Create,
    parser: CreateParser,
    number: i32,
    parser_number: i32,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("version", &self.version).field("path", &self.path).finish_non_exhaustive()
    }
}

static LOADED: Mutex<Vec<&'static Library>> = Mutex::new(Vec::new());

/// Loads both libraries the first time; afterwards returns the same.
///
/// # Errors
/// Why they cannot be used, in words.
pub fn load(files: &Files) -> Result<&'static Library, String> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(library) = loaded.iter().find(|library| library.path == files.library) {
        return Ok(library);
    }
    let library: &'static Library = Box::leak(Box::new(open(files)?));
    loaded.push(library);
    Ok(library)
}

fn open(files: &Files) -> Result<Library, String> {
    let main = map(&files.library)?;
    let number: Number = function(&main, "getInferLibVersion", &files.library)?;
    // SAFETY: the function of this name takes nothing and returns an `int32_t` in every version.
    let number = unsafe { number() };
    let version = Version::of(number);
    let family = Family::of(version)?;
    // It finds the library above by its name, because that is loaded by now.
    let parser = map(&files.parser)?;
    let parser_number: Number = function(&parser, "getNvOnnxParserVersion", &files.parser)?;
    let library = Library {
        version,
        family,
        places: family.places(),
        path: files.library.clone(),
        builder: function(&main, "createInferBuilder_INTERNAL", &files.library)?,
        runtime: function(&main, "createInferRuntime_INTERNAL", &files.library)?,
        parser: function(&parser, "createNvOnnxParser_INTERNAL", &files.parser)?,
        number,
        // SAFETY: as above.
        parser_number: unsafe { parser_number() },
    };
    std::mem::forget((main, parser));
    Ok(library)
}

fn map(path: &Path) -> Result<Shared, String> {
    // SAFETY: the file is one that the operator has configured, or the system's own; its initialisers are NVIDIA's.
    unsafe { Shared::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| format!("{}: {error}", path.display()))
}

/// `Function` is the type of the function of this name, by NVIDIA's headers.
fn function<Function: Copy>(library: &Shared, name: &str, path: &Path) -> Result<Function, String> {
    // SAFETY: the callers above name functions with their types; the library is never unloaded once this succeeded for all.
    let found = unsafe { library.get::<Function>(name) };
    found.map(|function| *function).map_err(|_| format!("{} is not TensorRT (it has no {name})", path.display()))
}

impl Library {
    /// An `IBuilder`, which its owner deletes; `None` is explained in the log.
    pub(super) fn builder(&self) -> Option<NonNull<c_void>> {
        // SAFETY: the logger lives for ever; the number is the library's own.
        NonNull::new(unsafe { (self.builder)(host_ffi::logger(self.family), self.number) })
    }

    /// An `IRuntime`.
    pub(super) fn runtime(&self) -> Option<NonNull<c_void>> {
        // SAFETY: as above.
        NonNull::new(unsafe { (self.runtime)(host_ffi::logger(self.family), self.number) })
    }

    /// An `IParser` that fills an `INetworkDefinition` of this library, which must outlive it.
    pub(super) fn parser(&self, network: NonNull<c_void>) -> Option<NonNull<c_void>> {
        // SAFETY: as above; the caller's network is alive.
        NonNull::new(unsafe { (self.parser)(network.as_ptr(), host_ffi::logger(self.family), self.parser_number) })
    }
}
