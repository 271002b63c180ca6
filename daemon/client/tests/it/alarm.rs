//! `scansidectl alarm` beside a daemon on a private bus; a folder stands for the kernel's light.

use std::path::{Path, PathBuf};
use std::process::Command;

use custody::level::Level;

use crate::fixture::{Appliance, Bus, PATIENCE, until};

struct Light(tempfile::TempDir);

impl Light {
    fn make() -> Self {
        let light = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir_all(light.file("")).unwrap();
        for (file, text) in [
            ("brightness", "0"),
            ("max_brightness", "255"),
            ("trigger", "[none] timer"),
            ("delay_on", "0"),
            ("delay_off", "0"),
        ] {
            std::fs::write(light.file(file), text).unwrap();
        }
        std::fs::write(light.config(), "[alarm]\nlight = \"green:status\"\n").unwrap();
        light
    }

    fn config(&self) -> PathBuf {
        self.0.path().join("site.toml")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join("sys/class/leds/green:status").join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    fn is_steady(&self) -> bool {
        self.read("trigger") == "none" && self.read("brightness") == "255"
    }

    fn blinks(&self, milliseconds: &str) -> bool {
        self.read("trigger") == "timer" && self.read("delay_on") == milliseconds
    }

    fn command(&self, bus: &str) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_scansidectl")));
        command.args(["--bus", bus, "alarm", "--config"]).arg(self.config()).arg("--root").arg(self.0.path());
        command
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_tells_how_the_box_is_that_the_daemon_is_gone_and_goes_out_at_the_end() {
    let Some(bus) = Bus::start() else { return };
    let (light, appliance) = (Light::make(), Appliance::start(&bus.address, "").await);
    let mut alarm = light.command(&bus.address).spawn().unwrap();
    until("it is steady", async || light.is_steady()).await;
    appliance.gate.set(Level::NoNewStudies, "the disk is full");
    until("it blinks fast", async || light.blinks("150")).await;
    appliance.gate.set(Level::Reduced, "a.toml:3: unknown key");
    until("it blinks slowly", async || light.blinks("1000")).await;
    appliance.gate.set(Level::Full, "");
    until("it is steady again", async || light.is_steady()).await;
    appliance.stop().await.unwrap();
    until("it blinks fast without a daemon", async || light.blinks("150")).await;
    let ended = Command::new("kill").args(["-TERM", &alarm.id().to_string()]).status().unwrap();
    assert!(ended.success());
    let end = tokio::task::spawn_blocking(move || alarm.wait());
    let end = tokio::time::timeout(PATIENCE, end).await.unwrap().unwrap().unwrap();
    assert_eq!((end.code(), light.read("brightness").as_str()), (Some(0), "0"), "a light of nobody does not shine");
}

#[test]
fn a_light_does_not_start_a_daemon_that_somebody_has_stopped() {
    let (folder, light) = (tempfile::tempdir().unwrap(), Light::make());
    let Some(bus) = Bus::activating(folder.path()) else { return };
    assert!(light.command(&bus.address).arg("--once").output().unwrap().status.success());
    assert!(light.blinks("150"), "it tells that no daemon answers");
    let is_started = || folder.path().join("started").exists();
    assert!(!is_started());
    // Nor does whoever looks, who may be copying its disk.
    for looks in [&["status"][..], &["doctor"], &["studies", "list"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scansidectl"));
        let output = command.args(["--bus", &bus.address]).args(looks).output().unwrap();
        assert!(!output.status.success(), "{looks:?}: it is not there");
        assert!(!is_started(), "{looks:?}");
    }
    // The bus would have done so.
    let call = ["--session", "--print-reply", "--dest=org.scanside.Appliance1", "/", "org.freedesktop.DBus.Peer.Ping"];
    let called = Command::new("dbus-send").args(call).env("DBUS_SESSION_BUS_ADDRESS", &bus.address).output();
    assert!(called.is_err() || is_started(), "this bus starts nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_light_that_is_not_there_or_not_configured_is_said_with_the_remedy() {
    let light = Light::make();
    let said = |light: &Light| {
        let output = light.command("unix:path=/nonexistent").arg("--once").output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(said(&light).0, Some(0));
    assert!(light.blinks("150"), "no daemon answers");
    std::fs::remove_dir_all(light.file("")).unwrap();
    let (code, words) = said(&light);
    assert!(code == Some(1) && words.contains("green:status") && words.contains("sys/class/leds"), "{code:?} {words}");
    // What a start after the mend must come back from: the unit tries again after all but 78.
    std::fs::write(light.config(), "[alarm\n").unwrap();
    let (code, words) = said(&light);
    assert!(code == Some(1) && words.contains("site.toml"), "{code:?} {words}");
    std::fs::write(light.config(), "").unwrap();
    let (code, words) = said(&light);
    assert!(code == Some(78) && words.contains("config set alarm.light"), "{code:?} {words}");
}
