//! Heat, power, fans and throttling of the machine: what can be read of them, and what that means for its work.
//!
//! ```text
//! sysfs | scripted --read--> Readings --condition::Watcher::next--> unknown, normal, hot, throttled
//! ```

pub mod condition;
#[cfg(any(test, feature = "sim"))]
pub mod contract;
mod files;
#[cfg(any(test, feature = "sim"))]
pub mod scripted;
pub mod sysfs;

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::root::Root;

/// More of one kind are not taken: no board has so many.
pub const MOST: usize = 64;
/// Letters of a name; longer ones are cut.
pub const LONGEST_NAME: usize = 64;
/// Degrees Celsius that a sensor may say. A zone that is off says less: 0, -256 or -274.
pub const CELSIUS: std::ops::Range<f64> = 1.0..150.0;

/// Degrees below the kernel's own limit.
const NEAR_LIMIT: f64 = 3.0;
/// Degrees below the temperature at which the machine switches itself off.
const NEAR_CRITICAL: f64 = 10.0;
/// Where no limit is known, degrees Celsius.
const HOT: f64 = 90.0;

/// The sensors of a machine.
pub trait Sensors: Send + fmt::Debug {
    fn describe(&self) -> Description;

    /// What can be read now; what cannot is not among it. A sensor behind a slow bus of the board (I2C) takes its time, and a
    /// broken bus more: never call it where something waits.
    fn read(&mut self) -> Readings;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub driver: &'static str,
    pub simulated: bool,
}

/// What the sensors say at one moment. No two of one kind have the same name.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Readings {
    pub zones: Vec<Zone>,
    pub rails: Vec<Rail>,
    pub fans: Vec<Fan>,
    pub throttles: Vec<Throttle>,
}

/// A place whose temperature is known: a thermal zone of the kernel, or a sensor of hwmon.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Zone {
    pub name: String,
    pub celsius: f64,
    /// Where the kernel begins to act: the lowest passive or hot trip point.
    pub limit_celsius: Option<f64>,
    /// Where the machine switches itself off.
    pub critical_celsius: Option<f64>,
}

impl Zone {
    /// The temperature from which on it is hot, degrees Celsius.
    pub fn hot_from(&self) -> f64 {
        let critical = self.critical_celsius.map_or(HOT, |critical| (critical - NEAR_CRITICAL).min(HOT));
        self.limit_celsius.map_or(critical, |limit| limit - NEAR_LIMIT)
    }
}

/// A power rail.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Rail {
    pub name: String,
    pub watts: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fan {
    pub name: String,
    /// Turns a minute.
    pub rpm: u32,
}

/// Why a machine makes itself slower.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    #[default]
    Heat,
    /// Its supply gives too little, or it draws more than it may.
    Power,
}

/// Something that makes the machine slower to protect it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Throttle {
    pub name: String,
    pub cause: Cause,
    /// It does so now.
    pub active: bool,
    /// How often it did since the machine started, where that is counted.
    pub times: Option<u64>,
}

impl Readings {
    /// Whether anything tells of heat.
    pub fn is_known(&self) -> bool {
        !self.zones.is_empty() || !self.throttles.is_empty()
    }

    pub fn hottest(&self) -> Option<&Zone> {
        self.zones.iter().max_by(|a, b| a.celsius.total_cmp(&b.celsius))
    }

    /// The zone that has the fewest degrees left, or is the farthest above.
    pub fn nearest(&self) -> Option<&Zone> {
        self.zones.iter().max_by(|a, b| (a.celsius - a.hot_from()).total_cmp(&(b.celsius - b.hot_from())))
    }

    /// How often it was throttled since the machine started, for that cause.
    pub fn times(&self, cause: Cause) -> u64 {
        let counts = self.throttles.iter().filter(|one| one.cause == cause).filter_map(|one| one.times);
        counts.fold(0, u64::saturating_add)
    }

    pub fn active(&self, cause: Cause) -> Option<&Throttle> {
        self.throttles.iter().find(|one| one.active && one.cause == cause)
    }

    /// What the machine draws, watts: the rail that feeds the others where the board has one, else the sum. `None`: no rail is known.
    pub fn watts(&self) -> Option<f64> {
        /// Jetson modules: NVIDIA Jetson Linux Developer Guide, "Platform Power and Performance".
        const OF_ALL: [&str; 2] = ["VDD_IN", "POM_5V_IN"];
        let of_all = self.rails.iter().find(|rail| OF_ALL.contains(&rail.name.as_str()));
        let sum = || (!self.rails.is_empty()).then(|| self.rails.iter().map(|rail| rail.watts).sum());
        of_all.map(|rail| rail.watts).or_else(sum)
    }

    /// Drops what is too much, and gives each a name of its own.
    fn tidied(mut self) -> Self {
        tidy(&mut self.zones, |zone| &mut zone.name);
        tidy(&mut self.rails, |rail| &mut rail.name);
        tidy(&mut self.fans, |fan| &mut fan.name);
        tidy(&mut self.throttles, |throttle| &mut throttle.name);
        self
    }
}

fn tidy<T>(all: &mut Vec<T>, name: impl Fn(&mut T) -> &mut String) {
    all.truncate(MOST);
    let mut taken = BTreeSet::new();
    for one in all {
        let name = name(one);
        let own = name.clone();
        let mut number = 1;
        while !taken.insert(name.clone()) {
            number += 1;
            *name = format!("{own} {number}");
        }
    }
}

/// Which sensors are read, as `sensors.source` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Off,
    /// What the kernel says.
    Sysfs,
    /// A situation that does not change; simulation builds only.
    #[cfg(any(test, feature = "sim"))]
    Scripted(scripted::Situation),
    /// The kernel's files in a folder that stands for the machine; simulation builds only.
    #[cfg(any(test, feature = "sim"))]
    Tree(std::path::PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("{0:?} is not off or sysfs")]
    Unknown(String),
}

impl Source {
    /// # Errors
    /// When it is nothing that this build knows.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        match text {
            "off" => return Ok(Self::Off),
            "sysfs" => return Ok(Self::Sysfs),
            _ => {}
        }
        #[cfg(any(test, feature = "sim"))]
        match text.strip_prefix("simulated:") {
            Some(folder) if folder.starts_with('/') => return Ok(Self::Tree(folder.into())),
            Some(situation) => {
                if let Some(situation) = scripted::Situation::parse(situation) {
                    return Ok(Self::Scripted(situation));
                }
            }
            None => {}
        }
        Err(SourceError::Unknown(text.to_owned()))
    }

    /// Whether what they say is not of this machine.
    pub fn is_simulated(&self) -> bool {
        !matches!(self, Self::Off | Self::Sysfs)
    }

    /// `None` when they are off. `root`: the machine.
    pub fn open(&self, root: &Root) -> Option<Box<dyn Sensors>> {
        match self {
            Self::Off => None,
            Self::Sysfs => Some(Box::new(sysfs::Sysfs::of(root.clone()))),
            #[cfg(any(test, feature = "sim"))]
            Self::Scripted(situation) => Some(Box::new(scripted::Scripted::showing(*situation))),
            #[cfg(any(test, feature = "sim"))]
            Self::Tree(folder) => Some(Box::new(sysfs::Sysfs::simulated(Root::at(folder)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(celsius: f64, limit_celsius: Option<f64>, critical_celsius: Option<f64>) -> Zone {
        Zone { name: "cpu".into(), celsius, limit_celsius, critical_celsius }
    }

    #[test]
    fn hot_is_just_below_the_limit_of_the_kernel_and_well_below_the_end() {
        assert_eq!(zone(50.0, Some(95.0), Some(105.0)).hot_from(), 92.0);
        assert_eq!(zone(50.0, None, Some(85.0)).hot_from(), 75.0);
        assert_eq!(zone(50.0, None, Some(119.0)).hot_from(), 90.0, "a limit that is never reached is none");
        assert_eq!(zone(50.0, None, None).hot_from(), 90.0);
    }

    #[test]
    fn the_zone_with_the_fewest_degrees_left_counts_not_the_hottest() {
        let readings =
            Readings { zones: vec![zone(80.0, Some(99.0), None), zone(70.0, Some(72.0), None)], ..Readings::default() };
        assert_eq!(readings.nearest().unwrap().celsius, 70.0);
        assert_eq!(readings.hottest().unwrap().celsius, 80.0);
    }

    #[test]
    fn a_rail_that_feeds_the_others_is_not_counted_twice() {
        let rail = |name: &str, watts| Rail { name: name.into(), watts };
        let rails = vec![rail("VDD_CPU_GPU_CV", 3.0), rail("VDD_SOC", 2.0)];
        let mut readings = Readings { rails, ..Readings::default() };
        assert_eq!(readings.watts(), Some(5.0));
        readings.rails.push(rail("VDD_IN", 7.5));
        assert_eq!(readings.watts(), Some(7.5));
        assert_eq!(Readings::default().watts(), None);
    }

    #[test]
    fn the_source_is_chosen_by_its_name_and_a_simulated_one_says_so() {
        for (text, simulated) in [("off", false), ("sysfs", false), ("simulated:hot", true), ("simulated:/x", true)] {
            let source = Source::parse(text).unwrap();
            assert_eq!(source.is_simulated(), simulated, "{text}");
            let opened = source.open(&Root::default());
            assert_eq!(opened.is_some(), text != "off", "{text}");
            assert!(opened.is_none_or(|device| device.describe().simulated == simulated), "{text}");
        }
        for text in ["", "on", "simulated", "simulated:", "simulated:warm"] {
            assert_eq!(Source::parse(text), Err(SourceError::Unknown(text.into())));
        }
    }
}
