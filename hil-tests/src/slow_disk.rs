//! A disk that can really be slow: the kernel lets a process write to it only so many times in a second. Needs root and
//! control groups with an I/O controller, of version 1 (`blkio`) or 2 (`io`).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// As a worn-out card or a disk that repairs itself: most of a second for each synchronised write of a database.
const BYTES_PER_SEC: u32 = 256 * 1024;
const WRITES_PER_SEC: u32 = 20;

/// A control group whose processes write slowly to one disk. What is still in it when it is dropped is put back.
#[derive(Debug)]
pub struct SlowDisk {
    group: PathBuf,
    parent: PathBuf,
    /// File and text that take the limits away.
    unlimited: Vec<(&'static str, String)>,
}

/// Where the I/O controller is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Controller {
    root: PathBuf,
    is_v2: bool,
}

impl SlowDisk {
    /// Makes the disk that holds `folder` slow for `process` and its threads. `None` when this machine does not allow it, or
    /// the folder is on no block device.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn slow(folder: &Path, process: u32) -> Result<Option<Self>> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let device = fs::metadata(folder).with_context(|| folder.display().to_string())?.dev();
        let (major, minor) = numbers(device);
        // Major 0: a file system without a device, such as tmpfs.
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let Some(Controller { root, is_v2 }) = controller(&mounts).filter(|_| major != 0) else { return Ok(None) };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let group = root.join(format!("scanside-bench-{}-{number}", std::process::id()));
        if is_v2 {
            let _ = fs::write(root.join("cgroup.subtree_control"), "+io");
        }
        if fs::create_dir(&group).is_err() {
            return Ok(None);
        }
        let on = |value: String| format!("{major}:{minor} {value}");
        let (limits, unlimited) = if is_v2 {
            (
                vec![("io.max", on(format!("wbps={BYTES_PER_SEC} wiops={WRITES_PER_SEC}")))],
                vec![("io.max", on("wbps=max wiops=max".into()))],
            )
        } else {
            let files = ["blkio.throttle.write_bps_device", "blkio.throttle.write_iops_device"];
            (
                files.into_iter().zip([BYTES_PER_SEC, WRITES_PER_SEC].map(|value| on(value.to_string()))).collect(),
                files.into_iter().map(|file| (file, on("0".into()))).collect(),
            )
        };
        let slow = Self { group, parent: root, unlimited };
        if limits.iter().any(|(file, limit)| fs::write(slow.group.join(file), limit).is_err()) {
            return Ok(None);
        }
        slow.also_for(process)?;
        Ok(Some(slow))
    }

    /// The same for one more process.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn also_for(&self, process: u32) -> Result<()> {
        fs::write(self.group.join("cgroup.procs"), process.to_string()).with_context(|| format!("process {process}"))
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        for (file, text) in &self.unlimited {
            let _ = fs::write(self.group.join(file), text);
        }
        let inside = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        for process in inside.lines() {
            let _ = fs::write(self.parent.join("cgroup.procs"), process);
        }
        if let Err(error) = fs::remove_dir(&self.group) {
            eprintln!("{} stays: {error}", self.group.display());
        }
    }
}

/// The first I/O controller in the text of `/proc/self/mounts`. One of version 1 goes first: where both are mounted, it
/// is the one that has the devices.
fn controller(mounts: &str) -> Option<Controller> {
    let fields = || mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let v1 =
        fields().find(|f| f.get(2) == Some(&"cgroup") && f.get(3).is_some_and(|o| o.split(',').any(|o| o == "blkio")));
    let v2 = || fields().find(|f| f.get(2) == Some(&"cgroup2"));
    let is_v2 = v1.is_none();
    v1.or_else(v2).and_then(|f| Some(Controller { root: f.get(1)?.into(), is_v2 }))
}

/// Major and minor number of a device (glibc's `gnu_dev_major` and `gnu_dev_minor`).
fn numbers(device: u64) -> (u64, u64) {
    (((device >> 32) & 0xffff_f000) | ((device >> 8) & 0xfff), ((device >> 12) & 0xffff_ff00) | (device & 0xff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_of_either_version_is_found() {
        let v1 = "tmpfs /c tmpfs rw 0 0\ncgroup /c/blkio cgroup rw,blkio 0 0\ncgroup2 /c/unified cgroup2 rw 0 0\n";
        assert_eq!(controller(v1), Some(Controller { root: "/c/blkio".into(), is_v2: false }));
        let v2 = "cgroup2 /c/group cgroup2 rw,nosuid 0 0\n";
        assert_eq!(controller(v2), Some(Controller { root: "/c/group".into(), is_v2: true }));
        assert_eq!(controller("proc /proc proc rw 0 0\n"), None);
        assert_eq!(numbers(0x0700), (7, 0));
        assert_eq!(numbers(0xfd_03), (253, 3));
    }
}
