//! What a GPU engine depends on, as far as this process can read it: device, driver and the libraries that build it.

use std::collections::BTreeSet;
use std::path::Path;

/// Libraries on whose version an engine depends; the name of the mapped file contains the full version.
const LIBRARIES: [&str; 3] = ["libnvinfer.so.", "libcudnn.so.", "libcudart.so."];

/// One entry for each fact; facts that cannot be read are left out. A library appears once it is loaded.
pub fn facts() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let mut facts: Vec<String> = devices(Path::new("/proc/driver/nvidia/gpus"));
    facts.extend(driver(&read("/proc/driver/nvidia/version")));
    // Jetson: the board names the GPU, the release of the board support package the driver.
    facts.extend(Some(read("/proc/device-tree/model").trim_end_matches('\0').to_owned()).filter(|m| !m.is_empty()));
    facts.extend(read("/etc/nv_tegra_release").lines().next().map(str::to_owned));
    facts.extend(libraries(&read("/proc/self/maps")));
    facts
}

fn devices(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let model = |information: String| {
        let line = information.lines().find_map(|line| line.strip_prefix("Model:"))?;
        Some(line.trim().to_owned())
    };
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| model(std::fs::read_to_string(entry.path().join("information")).ok()?))
        .collect();
    found.sort();
    found
}

/// For example `570.86.15`, or Jetson's release of the board support package.
pub(super) fn driver_version() -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let number = driver(&read("/proc/driver/nvidia/version"));
    let number = number.map(|text| text.trim_start_matches("driver ").to_owned());
    number.or_else(|| read("/etc/nv_tegra_release").lines().next().map(str::to_owned))
}

/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 ...` -> `driver 535.104.05`.
fn driver(version: &str) -> Option<String> {
    let line = version.lines().find(|line| line.starts_with("NVRM version:"))?;
    let number = line.split_whitespace().find(|word| {
        word.contains('.') && word.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    })?;
    Some(format!("driver {number}"))
}

fn libraries(maps: &str) -> BTreeSet<String> {
    let name = |line: &str| line.rsplit('/').next().map(str::to_owned);
    let wanted = |name: &String| LIBRARIES.iter().any(|library| name.starts_with(library));
    maps.lines().filter(|line| line.contains('/')).filter_map(name).filter(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driver_and_libraries_are_found_by_their_versions() {
        let version =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\nGCC version: 12";
        assert_eq!(driver(version).as_deref(), Some("driver 570.86.15"));
        assert_eq!(driver("no such file"), None);
        let maps = "7f00-7f01 r--p 0 08:01 1   /usr/lib/libnvinfer.so.10.9.0\n\
                    7f01-7f02 r-xp 0 08:01 1   /usr/lib/libnvinfer.so.10.9.0\n\
                    7f02-7f03 r--p 0 00:00 0   [heap]\n7f03-7f04 r--p 0 08:01 2 /usr/lib/libc.so.6";
        assert_eq!(libraries(maps).into_iter().collect::<Vec<_>>(), ["libnvinfer.so.10.9.0"]);
    }

    #[test]
    fn devices_are_named_by_their_driver() {
        let folder = tempfile::tempdir().unwrap();
        for (slot, model) in [("0000:01:00.0", "NVIDIA B"), ("0000:02:00.0", "NVIDIA A")] {
            std::fs::create_dir(folder.path().join(slot)).unwrap();
            let text = format!("Model: \t\t {model}\nIRQ:   \t\t 41\n");
            std::fs::write(folder.path().join(slot).join("information"), text).unwrap();
        }
        assert_eq!(devices(folder.path()), ["NVIDIA A", "NVIDIA B"]);
        assert!(devices(Path::new("/nonexistent")).is_empty());
    }
}
