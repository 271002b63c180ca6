//! The test bodies that every driver of sensors must pass. They panic with the broken promise.

use std::collections::BTreeMap;
use std::time::Duration;

use super::condition::{Condition, Watcher};
use super::{CELSIUS, Cause, LONGEST_NAME, MOST, Readings, Sensors};

/// Puts the machine behind the sensors into a state.
#[derive(Clone, Copy)]
pub struct Behind<'a> {
    pub cool: &'a dyn Fn(),
    pub hot: &'a dyn Fn(),
    /// Throttled by heat.
    pub throttled: &'a dyn Fn(),
    /// Throttled by its power supply, and not hot.
    pub hungry: &'a dyn Fn(),
    pub gone: &'a dyn Fn(),
}

impl std::fmt::Debug for Behind<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Behind")
    }
}

/// Every driver, whatever the machine: what it says is sound, and bounded.
///
/// # Panics
/// When the driver breaks the contract.
pub fn sensors(device: &mut dyn Sensors) {
    let description = device.describe();
    assert!(!description.driver.is_empty(), "it must say what it is");
    let mut before = BTreeMap::new();
    for _ in 0..3 {
        let readings = device.read();
        check(&readings);
        for one in &readings.throttles {
            let (now, last) = (one.times, before.insert(one.name.clone(), one.times).flatten());
            assert!(last.is_none() || now >= last, "a counter never falls: {one:?} after {last:?}");
        }
    }
    assert_eq!(device.describe(), description, "it stays what it is");
}

fn check(readings: &Readings) {
    names("zones", readings.zones.iter().map(|zone| zone.name.as_str()));
    names("rails", readings.rails.iter().map(|rail| rail.name.as_str()));
    names("fans", readings.fans.iter().map(|fan| fan.name.as_str()));
    names("throttles", readings.throttles.iter().map(|throttle| throttle.name.as_str()));
    for zone in &readings.zones {
        let limits = [zone.limit_celsius, zone.critical_celsius];
        assert!(CELSIUS.contains(&zone.celsius), "{zone:?}");
        assert!(limits.iter().flatten().all(|limit| (20.0..CELSIUS.end).contains(limit)), "{zone:?}");
    }
    for rail in &readings.rails {
        assert!((0.0..10_000.0).contains(&rail.watts), "{rail:?}");
    }
}

fn names<'a>(what: &str, names: impl Iterator<Item = &'a str>) {
    let all: Vec<&str> = names.collect();
    assert!(all.len() <= MOST, "{what}: {}", all.len());
    for (place, name) in all.iter().enumerate() {
        assert!(!name.is_empty() && name.chars().count() <= LONGEST_NAME + 4, "{what}: {name:?}");
        assert!(!name.chars().any(char::is_control), "{what}: {name:?}");
        assert!(!all[..place].contains(name), "{what}: two are {name:?}");
    }
}

/// A machine that can be put into each state: the sensors say so, and the decision follows.
///
/// # Panics
/// When the driver breaks the contract.
#[allow(clippy::expect_used)]
pub fn sensors_follow_the_machine(device: &mut dyn Sensors, behind: Behind<'_>) {
    let (mut watcher, mut now) = (Watcher::default(), Duration::from_secs(1));
    let mut look = |state: &dyn Fn(), looks: u32| {
        state();
        for _ in 0..looks {
            let readings = device.read();
            check(&readings);
            watcher = watcher.next(&readings, now);
            now += Duration::from_secs(5);
        }
        (watcher.condition(), watcher.cause(), device.read())
    };
    let (condition, _, readings) = look(behind.cool, 1);
    assert_eq!(condition, Condition::Normal);
    assert!(readings.watts().is_some_and(|watts| watts > 0.0), "it says what it draws: {readings:?}");
    assert!(!readings.fans.is_empty(), "it has a fan: {readings:?}");
    let (condition, _, readings) = look(behind.hot, 2);
    assert_eq!(condition, Condition::Hot, "{readings:?}");
    let zone = readings.nearest().expect("a zone is hot");
    assert!(zone.celsius >= zone.hot_from(), "{zone:?}");
    let (condition, cause, readings) = look(behind.throttled, 2);
    assert_eq!((condition, cause), (Condition::Throttled, Some(Cause::Heat)), "{readings:?}");
    assert_eq!(look(behind.cool, 13).0, Condition::Normal, "after a minute");
    let (condition, cause, readings) = look(behind.hungry, 1);
    assert_eq!((condition, cause), (Condition::Throttled, Some(Cause::Power)), "{readings:?}");
    let (condition, _, readings) = look(behind.gone, 3);
    assert_eq!((condition, readings), (Condition::Unknown, Readings::default()), "nothing is made up");
    assert_eq!(look(behind.cool, 1).0, Condition::Normal, "and it comes back by itself");
}

/// The contract at each depth: `sim_` always, `real_` on whatever machine this is.
#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::root::Root;
    use crate::sensors::scripted::{Scripted, Situation};
    use crate::sensors::sysfs::Sysfs;

    #[test]
    fn sim_scripted_sensors_contract() {
        let device = Scripted::showing(Situation::Cool);
        for situation in [Situation::Cool, Situation::Hot, Situation::Throttled, Situation::Hungry, Situation::Gone] {
            device.show(situation);
            sensors(&mut device.clone());
        }
        let (cool, hot) = (|| device.show(Situation::Cool), || device.show(Situation::Hot));
        let (throttled, hungry) = (|| device.show(Situation::Throttled), || device.show(Situation::Hungry));
        let gone = || device.show(Situation::Gone);
        let behind = Behind { cool: &cool, hot: &hot, throttled: &throttled, hungry: &hungry, gone: &gone };
        sensors_follow_the_machine(&mut device.clone(), behind);
    }

    /// Files of a Jetson in a folder, in the place of the kernel's.
    fn write(tree: &Path, celsius: &str, alert: &str, events: &str) {
        for (path, text) in [
            ("class/thermal/thermal_zone0/type", "cpu-thermal"),
            ("class/thermal/thermal_zone0/temp", celsius),
            ("class/thermal/thermal_zone0/trip_point_0_type", "passive"),
            ("class/thermal/thermal_zone0/trip_point_0_temp", "95000"),
            ("class/thermal/cooling_device0/type", "cpu-throttle-alert"),
            ("class/thermal/cooling_device0/cur_state", alert),
            ("class/hwmon/hwmon0/name", "ina3221"),
            ("class/hwmon/hwmon0/in1_label", "VDD_IN"),
            ("class/hwmon/hwmon0/in1_input", "5000"),
            ("class/hwmon/hwmon0/curr1_input", "2000"),
            ("class/hwmon/hwmon1/name", "pwm_tach"),
            ("class/hwmon/hwmon1/rpm", "2140"),
            ("class/hwmon/hwmon2/name", "soctherm_oc"),
            ("class/hwmon/hwmon2/oc1_event_cnt", events),
        ] {
            let path = tree.join("sys").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("{text}\n")).unwrap();
        }
    }

    #[test]
    fn sim_sysfs_sensors_contract() {
        let tree = tempfile::tempdir().unwrap();
        let files = tree.path();
        let (cool, hot) = (|| write(files, "48000", "0", "7"), || write(files, "93500", "0", "7"));
        let (throttled, hungry) = (|| write(files, "96000", "1", "7"), || write(files, "48000", "0", "8"));
        let gone = || std::fs::remove_dir_all(files.join("sys")).unwrap();
        cool();
        let mut device = Sysfs::simulated(Root::at(files));
        sensors(&mut device);
        let behind = Behind { cool: &cool, hot: &hot, throttled: &throttled, hungry: &hungry, gone: &gone };
        sensors_follow_the_machine(&mut device, behind);
    }

    #[test]
    fn real_sysfs_sensors_contract() {
        sensors(&mut Sysfs::of(Root::default()));
    }
}
