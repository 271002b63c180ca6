//! The only place that knows the paths of `/dev` and `/sys`; a test uses its own directory tree instead.

use std::path::{Path, PathBuf};

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

    /// The folder with one entry for each video device node.
    pub fn video_class(&self) -> PathBuf {
        self.0.join("sys/class/video4linux")
    }

    /// Whether an NVIDIA driver has made its device files (desktop and server, then Jetson).
    pub fn has_cuda_device(&self) -> bool {
        ["nvidia0", "nvhost-gpu", "nvgpu"].iter().any(|name| self.device(name).exists())
    }

    /// The tree itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
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
        std::fs::write(root.device("nvidia0"), "").unwrap();
        assert!(root.has_cuda_device());
        assert_eq!(Root::default().device("video0"), Path::new("/dev/video0"));
    }
}
