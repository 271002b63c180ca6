//! What the kernel says about the machine. Paths are below a root, so that a test can put a tree of its own in its place.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hal::accel::{self, AcceleratorConfig, Provider};
use hal::root::Root;
use hal::sensors::{Readings, Source};
use rustix::fs::StatVfsMountFlags;
use study::settings;

use super::unit;
use crate::doctor::facts::{Accelerator, Capture, Clock, Memory, Opened, Storage};
use crate::{Sender, Status};

#[derive(Debug, Clone, Copy)]
pub struct Machine<'a> {
    pub root: &'a Root,
    /// The appliance as it is installed, not a daemon under development.
    pub system: bool,
}

impl Machine<'_> {
    fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    fn text(&self, below: &str) -> Option<String> {
        read(&self.path(below))
    }

    pub fn storage(&self, directory: &Path) -> Option<Storage> {
        let facts = fs::metadata(directory).ok();
        // Before the first start its parent tells of the disk.
        let there = directory.ancestors().find(|path| path.exists())?;
        let volume = rustix::fs::statvfs(there).ok()?;
        let device = fs::metadata(there).ok()?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let link = fs::read_link(self.path(&format!("sys/dev/block/{major}:{minor}"))).ok();
        let name = link.and_then(|link| Some(link.file_name()?.to_string_lossy().into_owned())).unwrap_or_default();
        let errors = self.text(&format!("sys/fs/ext4/{name}/errors_count")).and_then(|text| text.parse().ok());
        Some(Storage {
            directory: directory.to_owned(),
            exists: facts.is_some(),
            owner: facts.filter(|_| self.system).map(|facts| self.user(facts.uid())),
            read_only: volume.f_flag.contains(StatVfsMountFlags::RDONLY),
            free_bytes: volume.f_bavail.saturating_mul(volume.f_frsize),
            total_bytes: volume.f_blocks.saturating_mul(volume.f_frsize),
            free_inodes: (volume.f_files > 0).then_some(volume.f_favail),
            worn_percent: self.worn(),
            errors: errors.unwrap_or(0),
        })
    }

    /// Name of a user; the number where it has none.
    fn user(&self, id: u32) -> String {
        let users = self.text("etc/passwd").unwrap_or_default();
        let found = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let name = found.into_iter().find(|fields| fields.get(2).is_some_and(|field| *field == id.to_string()));
        name.map_or_else(|| id.to_string(), |fields| fields[0].to_owned())
    }

    /// eMMC says it in steps of ten percent (JESD84-B51, DEVICE_LIFE_TIME_EST): the worse of its two areas.
    fn worn(&self) -> Option<u8> {
        let disks = fs::read_dir(self.path("sys/block")).ok()?;
        let steps = disks.flatten().filter_map(|disk| read(&disk.path().join("device/life_time"))).flat_map(|text| {
            let numbers = text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            numbers.into_iter().filter_map(|word| u8::from_str_radix(word.trim_start_matches("0x"), 16).ok())
        });
        steps.max().filter(|step| *step > 0).map(|step| step.saturating_mul(10).min(100))
    }

    /// `last_event`: of the row that was written last. Times of senders are the greatest of all their rows, and one day with
    /// the clock in the future stays the greatest for years: they count only where there is no event.
    pub async fn clock(&self, sent: &[Sender], last_event: Option<String>) -> Clock {
        let newest = last_event.or_else(|| sent.iter().map(|sender| sender.last_utc.clone()).max());
        let synchronised = if self.path("run/systemd/timesync/synchronized").exists() {
            Some(true)
        } else if self.system {
            let said = unit::output("timedatectl", &["show", "-p", "NTPSynchronized", "--value"]).await;
            said.map(|said| said.trim() == "yes")
        } else {
            None
        };
        let program = std::env::current_exe().and_then(fs::metadata).and_then(|facts| facts.modified()).ok();
        Clock {
            synchronised,
            has_rtc: self.path("sys/class").exists().then(|| self.path("sys/class/rtc/rtc0").exists()),
            newest_row_utc: newest,
            program_utc: program.and_then(utc),
            zone: self.zone(),
        }
    }

    /// Name of the time zone, by the link that systemd and tzdata agree on (localtime(5)); without one it is UTC.
    pub fn zone(&self) -> Option<String> {
        let file = self.path("etc/localtime");
        if !self.path("etc").is_dir() {
            return None;
        }
        let Ok(link) = fs::read_link(&file) else {
            // A copy of a zone has no name in itself; Debian writes it beside.
            return if file.exists() {
                self.text("etc/timezone").filter(|name| !name.is_empty())
            } else {
                Some("UTC".into())
            };
        };
        let link = link.to_string_lossy().into_owned();
        link.split_once("zoneinfo/").map(|(_, name)| name.to_owned())
    }

    /// A GPU is opened only where no daemon can be asked: who runs this may lack the rights of the daemon, and would say the
    /// wrong thing of the right card.
    pub fn accelerator(&self, wanted: &settings::Accelerator, daemon_answers: bool) -> Accelerator {
        let is_gpu = Provider::parse(&wanted.provider).is_ok_and(Provider::builds_engines);
        Accelerator {
            wanted: wanted.provider.clone(),
            opened: (!is_gpu || !daemon_answers).then(|| Self::opened(wanted)),
            nvidia_hardware: self.nvidia_hardware(),
            nvidia_driver: self.root.has_cuda_device(),
        }
    }

    fn opened(wanted: &settings::Accelerator) -> Opened {
        let config = AcceleratorConfig {
            provider: wanted.provider.clone(),
            library: wanted.library.clone(),
            threads: 1,
            tensorrt: wanted.tensorrt.clone(),
            ..AcceleratorConfig::default()
        };
        match accel::open(&config) {
            Ok(device) => {
                let said = device.describe();
                Opened::As { provider: said.provider, fallback: said.fallback }
            }
            Err(error) => Opened::Not(error.to_string()),
        }
    }

    fn nvidia_hardware(&self) -> bool {
        const NVIDIA: &str = "0x10de";
        let cards = fs::read_dir(self.path("sys/bus/pci/devices")).into_iter().flatten().flatten();
        let mut vendors = cards.filter_map(|card| read(&card.path().join("vendor")));
        let board = self.text("proc/device-tree/compatible").unwrap_or_default();
        self.root.has_cuda_device() || vendors.any(|vendor| vendor == NVIDIA) || board.contains("nvidia,tegra")
    }

    /// What the sensors say that the daemon looks at; `None` when they are off.
    pub fn heat(&self, source: &Source) -> Option<Readings> {
        source.open(self.root).map(|mut sensors| sensors.read())
    }

    pub fn memory(&self, status: Option<&Status>, has_unit: bool) -> Option<Memory> {
        const GROUP: &str = "sys/fs/cgroup/system.slice/scansided.service";
        let total = self.text("proc/meminfo").and_then(|text| kib(&text, "MemTotal:")).unwrap_or(0);
        let own = self.text(&format!("{GROUP}/memory.max")).and_then(|text| text.parse().ok());
        let events = self.text(&format!("{GROUP}/memory.events")).unwrap_or_default();
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        Some(Memory {
            used_bytes: status?.memory_bytes,
            limit_bytes: own.unwrap_or(total),
            killed: killed.filter(|_| has_unit || !self.system).unwrap_or(0),
        })
    }

    /// Only of a device file; others are simulated or files.
    pub fn capture(&self, device: &str) -> Option<Capture> {
        let exists = self.root.has_device(device)?;
        Some(Capture { device: device.to_owned(), exists, others: self.root.video_devices() })
    }

    /// The first port that needs no rights.
    pub fn ports_from(&self) -> Option<u16> {
        self.text("proc/sys/net/ipv4/ip_unprivileged_port_start")?.parse().ok()
    }

    /// The program that listens on a TCP port, as far as its files can be seen.
    pub fn who_listens(&self, port: u16) -> Option<String> {
        const LISTENING: &str = "0A";
        let tables = ["proc/net/tcp", "proc/net/tcp6"].map(|table| self.text(table).unwrap_or_default());
        let ending = format!(":{port:04X}");
        let socket = tables.iter().flat_map(|table| table.lines()).find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let listens = fields.get(1)?.ends_with(&ending) && *fields.get(3)? == LISTENING;
            listens.then(|| format!("socket:[{}]", fields.get(9).copied().unwrap_or_default()))
        })?;
        let processes = fs::read_dir(self.path("proc")).ok()?;
        // `self` and the like are links to a number.
        let numbered = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit());
        processes.flatten().filter(numbered).find_map(|process| {
            let files = fs::read_dir(process.path().join("fd")).ok()?;
            let has = files
                .flatten()
                .any(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str()));
            let name = has.then(|| read(&process.path().join("comm"))).flatten()?;
            Some(format!("{name} (process {})", process.file_name().to_string_lossy()))
        })
    }
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib << 10)
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn utc(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?.to_string())
}

/// When a process began, to a second.
pub fn started(root: &Root, pid: u32) -> Option<SystemTime> {
    /// Ticks of /proc/PID/stat in a second (USER_HZ, the same on all of Linux's common machines).
    const TICKS: u64 = 100;
    /// `starttime` is field 22; counted after the name, which may have spaces: 19.
    const STARTED: usize = 19;
    let stat = read(&root.path().join(format!("proc/{pid}/stat")))?;
    let after_name = stat.rsplit_once(')')?.1;
    let ticks: u64 = after_name.split_whitespace().nth(STARTED)?.parse().ok()?;
    let boot = read(&root.path().join("proc/stat"))?;
    let boot: u64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(boot + ticks / TICKS))
}

#[cfg(test)]
mod tests {
    use hal::root::DEVICES;

    use super::*;

    #[test]
    fn heat_wear_and_cards_are_read_from_the_kernels_files() {
        let tree = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n");
        write("sys/class/thermal/thermal_zone0/temp", "91500\n");
        write("sys/class/hwmon/hwmon3/power1_input", "7250000\n");
        write("sys/block/mmcblk0/device/life_time", "0x03 0x09\n");
        write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
        write("dev/video2", "");
        write("proc/sys/net/ipv4/ip_unprivileged_port_start", "1024\n");
        let root = Root::at(tree.path());
        let machine = Machine { root: &root, system: false };
        let heat = machine.heat(&Source::Sysfs).unwrap();
        assert_eq!((heat.zones[0].celsius, heat.watts()), (91.5, Some(7.25)));
        assert_eq!(machine.heat(&Source::Off), None, "who turned them off is not told of heat");
        assert_eq!((machine.worn(), machine.ports_from()), (Some(90), Some(1024)));
        assert!(machine.nvidia_hardware() && !root.has_cuda_device());
        let capture = machine.capture(&format!("{DEVICES}video0")).unwrap();
        assert_eq!((capture.exists, capture.others.as_slice()), (false, &[format!("{DEVICES}video2")][..]));
        assert_eq!(machine.capture("replay:x.y4m"), None);
    }

    #[test]
    fn a_gpu_is_opened_by_the_doctor_only_where_no_daemon_says_how_it_is() {
        let root = Root::default();
        let machine = Machine { root: &root, system: false };
        let wanted = |provider: &str| settings::Accelerator { provider: provider.into(), ..Default::default() };
        for gpu in ["cuda", "tensorrt"] {
            assert_eq!(machine.accelerator(&wanted(gpu), true).opened, None);
            assert!(machine.accelerator(&wanted(gpu), false).opened.is_some());
        }
        assert!(machine.accelerator(&wanted("cpu"), true).opened.is_some(), "that needs no rights");
    }

    #[tokio::test]
    async fn the_row_that_was_written_last_counts_and_not_the_one_with_the_greatest_time() {
        let root = Root::default();
        let machine = Machine { root: &root, system: false };
        let mut sent = crate::doctor::tests::healthy().sent;
        sent[0].last_utc = "2036-01-01T00:00:00.000Z".into();
        let event = "2026-03-10T11:59:00.000Z".to_owned();
        assert_eq!(machine.clock(&sent, Some(event.clone())).await.newest_row_utc, Some(event));
        assert_eq!(machine.clock(&sent, None).await.newest_row_utc.as_deref(), Some("2036-01-01T00:00:00.000Z"));
    }

    #[test]
    fn the_zone_is_that_of_the_link_without_one_it_is_utc_and_a_copy_without_a_name_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        let machine = Machine { root: &root, system: false };
        assert_eq!(machine.zone(), None, "no machine at all");
        let etc = folder.path().join("etc");
        fs::create_dir(&etc).unwrap();
        assert_eq!(machine.zone().as_deref(), Some("UTC"), "localtime(5)");
        std::os::unix::fs::symlink("../usr/share/zoneinfo/Asia/Shanghai", etc.join("localtime")).unwrap();
        assert_eq!(machine.zone().as_deref(), Some("Asia/Shanghai"));
        fs::remove_file(etc.join("localtime")).unwrap();
        fs::write(etc.join("localtime"), "TZif2").unwrap();
        assert_eq!(machine.zone(), None);
        fs::write(etc.join("timezone"), "Europe/Berlin\n").unwrap();
        assert_eq!(machine.zone().as_deref(), Some("Europe/Berlin"));
    }

    #[test]
    fn the_owner_of_a_port_and_the_start_of_a_process_are_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let root = Root::default();
        let machine = Machine { root: &root, system: false };
        let owner = machine.who_listens(listener.local_addr().unwrap().port()).unwrap();
        assert!(owner.contains(&format!("(process {})", std::process::id())), "{owner}");
        let started = started(&root, std::process::id()).unwrap();
        assert!(started <= SystemTime::now() + Duration::from_secs(2));
        assert!(started > SystemTime::now() - Duration::from_secs(600));
    }
}
