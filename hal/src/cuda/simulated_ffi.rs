//! A driver without a card: compiled by the C++ compiler that the project needs anyway, loaded in the place of NVIDIA's. Kernels run as
//! C++ on the processor, so what is tested are their arithmetic and every call that starts them; not a card, its compiler or its speed.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_longlong};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: [(&str, &str); 3] = [
    ("driver.cpp", include_str!("simulated/driver.cpp")),
    ("grid.hpp", include_str!("simulated/grid.hpp")),
    ("kernels.cu", include_str!("kernels/kernels.cu")),
];

type Control = unsafe extern "C" fn(*const c_char, c_longlong) -> c_longlong;

/// The simulated driver of this process.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    control: Control,
}

impl Driver {
    /// Compiles the driver into `folder`, unless it lies there, and loads it. From then on, and if nobody has opened a card before,
    /// this process has its cards and no other ones. `defines` are given to the compiler.
    ///
    /// # Errors
    /// In words, when there is no compiler or it refuses.
    pub fn load(folder: &Path, defines: &[&str]) -> Result<Self, String> {
        let library = built(folder, defines)?;
        let path = CString::new(library.to_string_lossy().as_bytes()).map_err(|e| e.to_string())?;
        // SAFETY: a library of ours, whose start does nothing. Its soname is the one that is looked for later, so the loader takes it.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        if handle.is_null() {
            // SAFETY: the loader's text, after a failure.
            let why = unsafe { libc::dlerror() };
            // SAFETY: as above; null when there is none.
            let why = if why.is_null() { "".into() } else { unsafe { CStr::from_ptr(why) }.to_string_lossy() };
            return Err(format!("{}: {why}", library.display()));
        }
        // SAFETY: the name ends in a zero.
        let control = unsafe { libc::dlsym(handle, c"scanside_driver".as_ptr()) };
        if control.is_null() {
            return Err(format!("{} lacks scanside_driver", library.display()));
        }
        // SAFETY: its type in driver.cpp.
        Ok(Self { control: unsafe { std::mem::transmute::<*mut libc::c_void, Control>(control) } })
    }

    /// Sets or asks: `cards`, `hung`, `no memory`, `next work fails` (a code), `heal`; `taken` pieces of memory; and counts of what was
    /// seen, such as `written beyond` and `launches`.
    pub fn say(&self, what: &CStr, value: i64) -> i64 {
        // SAFETY: a text that ends in a zero, and a number.
        unsafe { (self.control)(what.as_ptr(), value) }
    }
}

fn said(what: &Path) -> impl Fn(std::io::Error) -> String + '_ {
    move |error| format!("{}: {error}", what.display())
}

fn built(folder: &Path, defines: &[&str]) -> Result<PathBuf, String> {
    let mut hasher = DefaultHasher::new();
    (SOURCES, defines).hash(&mut hasher);
    let library = folder.join(format!("libcuda-{:016x}.so", hasher.finish()));
    if library.is_file() {
        return Ok(library);
    }
    let work = folder.join(format!("cuda-{}", std::process::id()));
    std::fs::create_dir_all(&work).map_err(said(&work))?;
    for (name, text) in SOURCES {
        std::fs::write(work.join(name), text).map_err(said(&work))?;
    }
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let made = work.join("libcuda.so");
    let run = Command::new(&compiler)
        .args(["-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-Wl,-soname,libcuda.so"])
        .args(defines.iter().map(|name| format!("-D{name}")))
        .arg(work.join("driver.cpp"))
        .arg("-o")
        .arg(&made)
        .output();
    let run = run.map_err(|error| format!("{}: {error}", compiler.display()))?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).into_owned());
    }
    // Another test may have been first: the same bytes.
    std::fs::rename(&made, &library).map_err(said(&library))?;
    std::fs::remove_dir_all(&work).map_err(said(&work))?;
    Ok(library)
}
