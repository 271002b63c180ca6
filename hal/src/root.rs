//! The only place that knows the paths of `/dev`, `/sys` and what systemd leaves in `/run`; a test uses its own directory tree instead.

use std::path::{Path, PathBuf};

/// How the path of a device file begins, as people write it.
pub const DEVICES: &str = "/dev/";

/// Where the device files and the kernel's facts about them are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self::at("/")
    }
}

impl Root {
    /// A tree that holds `dev` and `sys`; `/` on a machine.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// A device file by its kernel name, for example `video0`.
    pub fn device(&self, name: &str) -> PathBuf {
        self.0.join("dev").join(name)
    }

    /// Whether the device file is there that `path` names; `None` when it names none.
    pub fn has_device(&self, path: &str) -> Option<bool> {
        path.strip_prefix(DEVICES).map(|name| self.device(name).exists())
    }

    /// Paths of the video device files that are there, as people write them.
    pub fn video_devices(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.0.join("dev")).into_iter().flatten().flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        let is_video = |name: &String| {
            name.strip_prefix("video")
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        };
        let mut paths: Vec<String> = names.filter(is_video).map(|name| format!("{DEVICES}{name}")).collect();
        paths.sort();
        paths
    }

    /// The folder with one entry for each video device node.
    pub fn video_class(&self) -> PathBuf {
        self.0.join("sys/class/video4linux")
    }

    /// The folder with thermal zones and cooling devices.
    pub fn thermal_class(&self) -> PathBuf {
        self.0.join("sys/class/thermal")
    }

    /// The folder with one entry for each chip that measures something.
    pub fn hwmon_class(&self) -> PathBuf {
        self.0.join("sys/class/hwmon")
    }

    /// The folder with one entry for each light.
    pub fn led_class(&self) -> PathBuf {
        self.0.join("sys/class/leds")
    }

    /// What is known of the first processor.
    pub fn first_processor(&self) -> PathBuf {
        self.0.join("sys/devices/system/cpu/cpu0")
    }

    /// Whether an NVIDIA driver has made its device files (desktop and server, then Jetson). In a container the only card may
    /// be `nvidia3`.
    pub fn has_cuda_device(&self) -> bool {
        let Ok(files) = std::fs::read_dir(self.0.join("dev")) else { return false };
        files.flatten().any(|file| is_cuda_device(&file.file_name().to_string_lossy()))
    }

    /// Whether systemd-timesyncd has set the clock since the machine started.
    pub fn clock_was_set(&self) -> bool {
        self.0.join("run/systemd/timesync/synchronized").exists()
    }

    /// The tree itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Not `nvidiactl` or `nvidia-uvm`, which are there without a card.
fn is_cuda_device(name: &str) -> bool {
    let number = name.strip_prefix("nvidia").unwrap_or_default();
    matches!(name, "nvhost-gpu" | "nvgpu") || (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_tree_stands_for_the_machine() {
        let tree = tempfile::tempdir().unwrap();
        let root = Root::at(tree.path());
        assert!(!root.has_cuda_device());
        std::fs::create_dir(tree.path().join("dev")).unwrap();
        std::fs::write(root.device("nvidiactl"), "").unwrap();
        assert!(!root.has_cuda_device(), "a driver is no card");
        std::fs::write(root.device("nvidia3"), "").unwrap();
        assert!(root.has_cuda_device());
        assert_eq!(Root::default().device("video0"), Path::new("/dev/video0"));
    }
}
