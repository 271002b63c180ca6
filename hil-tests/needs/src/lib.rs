//! The way in which a test reports that it was skipped.
//!
//! On a developer's machine a skipped test prints the reason and passes. With `CI=true` it fails, unless it needs
//! something that `make setup` does not install: hardware, a right on the host, data that is not part of the project, a very large
//! program.
//! So `make check` is not green when the set-up is broken. With `SCANSIDE_GPU=required` a missing GPU is a failure, too.

pub mod peers;

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write as _};

/// What a machine may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// An NVIDIA GPU with its driver and libraries.
    Gpu,
    /// Hardware virtualisation.
    Kvm,
    /// A video capture device, real or virtual (the kernel's `vivid`).
    CaptureDevice,
    /// The folder `../shared` with real images and the validators' scripts. A plain clone does not have it.
    SharedData,
    /// A right or a network interface that the machine does not give, for example real-time priority in a container.
    Host,
    /// A program of hundreds of megabytes that a script of its own installs, not `make setup`.
    LargePeer,
    /// A program or a library that `make setup` installs.
    Software,
}

impl Lack {
    /// Whether a test may be skipped for this reason with `CI=true`.
    pub const fn is_excused(self) -> bool {
        !matches!(self, Self::Software)
    }
}

impl Lack {
    /// Whether this machine is said to have it: `SCANSIDE_GPU=required` (`make gpu`), and then nothing excuses a missing one.
    fn is_promised(self) -> bool {
        self == Self::Gpu && std::env::var_os("SCANSIDE_GPU").is_some_and(|value| value == "required")
    }
}

/// Prints that the running test is skipped, and appends the same line to the file that `SCANSIDE_SKIPPED` names, which
/// `make check` prints at its end. Call this and then return from the test.
///
/// # Panics
/// With `CI=true`, when the reason is not excused; and when the machine is said to have what is missing.
pub fn skip(lack: Lack, why: impl Display) {
    assert!(!lack.is_promised(), "skipped, and with SCANSIDE_GPU=required that is a failure: {why}");
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!must_fail(lack, ci), "skipped, and with CI=true that is a failure: {why} (`make setup` installs it)");
    println!("skipped: {why}");
    if let Some(Err(error)) = std::env::var_os("SCANSIDE_SKIPPED").map(|file| note(&file, &why)) {
        println!("the list of skipped tests cannot be written: {error}");
    }
}

const fn must_fail(lack: Lack, ci: bool) -> bool {
    ci && !lack.is_excused()
}

/// Appends one line for a skipped test. A short line in append mode is written as a whole, also when several processes
/// write.
fn note(file: &std::ffi::OsStr, why: &impl Display) -> io::Result<()> {
    let thread = std::thread::current();
    let line = format!("{}: {why}\n", thread.name().unwrap_or("a test"));
    OpenOptions::new().create(true).append(true).open(file)?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_software_fails_the_gate_and_missing_hardware_does_not() {
        assert!(must_fail(Lack::Software, true));
        assert!(!must_fail(Lack::Software, false), "on a developer's machine a skipped test passes");
        for lack in [Lack::Gpu, Lack::Kvm, Lack::CaptureDevice, Lack::SharedData, Lack::Host, Lack::LargePeer] {
            assert!(!must_fail(lack, true), "{lack:?} cannot be installed");
        }
    }

    #[test]
    fn a_skipped_test_is_listed_by_its_name() {
        let file = std::env::temp_dir().join(format!("needs-{}", std::process::id()));
        note(file.as_os_str(), &"no such device").unwrap();
        note(file.as_os_str(), &"no such device").unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.ends_with("is_listed_by_its_name: no such device")), "{text}");
    }
}
