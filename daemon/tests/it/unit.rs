//! The files for systemd, polkit and D-Bus as they are shipped: what a box would do with them.

use std::path::{Path, PathBuf};
use std::process::Command;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd").canonicalize().unwrap()
}

fn unit() -> String {
    std::fs::read_to_string(shipped().join("system/scansided.service")).unwrap()
}

/// All values of a key.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn is_there(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", "command -v \"$0\" >/dev/null", program])
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether the unit lets a driver's devices in, by the driver's name in /proc/devices: `*` at either end as systemd matches it.
fn lets_in(unit: &str, driver: &str) -> bool {
    values(unit, "DeviceAllow").iter().any(|allowed| {
        let Some(("char-", name)) = allowed.strip_suffix(" rw").and_then(|allowed| allowed.split_at_checked(5)) else {
            return false;
        };
        match (name.strip_suffix('*'), name.strip_prefix('*')) {
            (Some(start), _) => driver.starts_with(start),
            (None, Some(end)) => driver.ends_with(end),
            (None, None) => name == driver,
        }
    })
}

#[test]
fn the_unit_lets_the_capture_card_and_the_gpu_in_and_nothing_else() {
    let unit = unit();
    assert_eq!(values(&unit, "DevicePolicy"), ["closed"]);
    for driver in [
        "video4linux",
        "drm",
        "nvidia",
        "nvidiactl",
        "nvidia-frontend",
        "nvidia-uvm",
        "nvidia-caps",
        "nvidia-modeset",
        "nvhost-ctrl",
        "nvhost-as-gpu",
        "nvgpu-pci",
        // Of Orin on JetPack 6 and 5, of Xavier.
        "17000000.gpu",
        "17000000.ga10b",
        "17000000.gv11b",
        "host1x-fence",
        "nvmap",
    ] {
        assert!(lets_in(&unit, driver), "{driver}");
    }
    let by_path = values(&unit, "DeviceAllow").iter().any(|allowed| allowed.ends_with("/nvmap rw"));
    assert!(by_path, "a misc device has no name of its own");
    for driver in ["mem", "input", "sd", "ttyS", "alsa", "misc", "raw", "hidraw"] {
        assert!(!lets_in(&unit, driver), "{driver}");
    }
    assert_eq!(values(&unit, "SupplementaryGroups"), ["video render"], "who may open them");
}

#[test]
fn the_unit_allows_no_core_dump() {
    assert_eq!(values(&unit(), "LimitCORE"), ["0"]);
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    if !is_there("systemd-analyze") {
        needs::skip(needs::Lack::Host, "systemd-analyze is not there");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scansided.service");
    // The program is not installed here.
    std::fs::write(&path, unit().replace("/usr/bin/scansided", "/bin/true")).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // Of other units of this machine, and of what a machine without systemd lacks, it may complain.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("scansided.service:")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}

/// One answer of `polkit.sh`.
fn answer<'a>(said: &'a str, question: &str) -> &'a str {
    let mut lines = said.lines().filter_map(|line| line.strip_prefix(question)?.strip_prefix(": "));
    lines.next().unwrap_or_else(|| panic!("{question} was not asked: {said}"))
}

/// With the real polkitd and dbus-daemon, and the daemon as a user of its own.
#[test]
fn an_operator_may_use_every_verb_and_a_guest_none() {
    for program in ["dbus-daemon", "dbus-send", "pkcheck"] {
        if !is_there(program) {
            return needs::skip(needs::Lack::Software, format!("{program} is not installed"));
        }
    }
    let namespace = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !namespace.is_ok_and(|output| output.status.success()) {
        return needs::skip(needs::Lack::Host, "no right to make a mount namespace (run as root)");
    }
    let work = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "bash", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/polkit.sh")])
        .arg(env!("CARGO_BIN_EXE_scansided"))
        .arg(shipped())
        .arg(work.path())
        .env_remove("NOTIFY_SOCKET")
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");

    assert_eq!(answer(&said, "operator RetryDeliveries"), "allowed", "{errors}");
    assert!(answer(&said, "guest RetryDeliveries").contains("AccessDenied"), "{said}");
    let policy = std::fs::read_to_string(shipped().join("polkit-1/actions/org.scanside.Appliance1.policy")).unwrap();
    let actions = policy.lines().filter_map(|line| line.trim().strip_prefix("<action id=\"")?.strip_suffix("\">"));
    let mut asked = 0;
    for action in actions {
        assert_eq!(answer(&said, &format!("operator {action}")), "allowed");
        let guest = answer(&said, &format!("guest {action}"));
        assert!(guest.contains("requires authentication"), "{action}: {guest}");
        asked += 1;
    }
    assert!(asked >= 12, "{said}");
}
