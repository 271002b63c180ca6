//! What Linux tells in `/sys`: thermal zones and cooling devices, hwmon, and the counters of processors and Jetson modules.
//!
//! Sources: Linux, Documentation/driver-api/thermal/sysfs-api.rst (thermal, millidegrees), Documentation/hwmon/sysfs-interface.rst
//! (hwmon: millidegrees, microwatts, millivolts, milliamperes), Documentation/hwmon/ina3221.rst,
//! arch/x86/kernel/cpu/mce/therm_throt.c (counters of Intel processors); NVIDIA Jetson Linux Developer Guide, "Platform Power and
//! Performance" of Jetson Orin (alerts as cooling devices, over-current events).

use std::path::{Path, PathBuf};

use super::files::{count, entries, name, number, scaled};
use super::{CELSIUS, Cause, Description, Fan, Rail, Readings, Sensors, Throttle, Zone};
use crate::root::Root;

/// Trip points that a zone has at most.
const MOST_TRIPS: u32 = 16;
/// Sensors of one kind that a chip has at most.
const MOST_CHANNELS: u32 = 32;
/// A limit below is not in use: many drivers write 0.
const LEAST_LIMIT: f64 = 20.0;
const MOST_WATTS: f64 = 10_000.0;
const MOST_RPM: u32 = 50_000;

#[derive(Debug)]
pub struct Sysfs {
    root: Root,
    simulated: bool,
}

impl Sysfs {
    pub fn of(root: Root) -> Self {
        Self { root, simulated: false }
    }

    /// A tree that only stands for a machine.
    pub fn simulated(root: Root) -> Self {
        Self { root, simulated: true }
    }
}

impl Sensors for Sysfs {
    fn describe(&self) -> Description {
        Description { driver: "sysfs", simulated: self.simulated }
    }

    fn read(&mut self) -> Readings {
        let mut readings = Readings::default();
        let thermal = self.root.thermal_class();
        let zones = entries(&thermal, "thermal_zone");
        readings.zones = zones.iter().filter_map(|path| zone(path)).collect();
        readings.throttles = entries(&thermal, "cooling_device").iter().filter_map(|path| cooling(path)).collect();
        readings.throttles.extend(processor(&self.root.first_processor()));
        // A chip that only repeats a zone has its name (drivers/thermal/thermal_hwmon.c).
        let repeated: Vec<String> =
            zones.iter().filter_map(|path| name(&path.join("type"))).map(|name| name.replace('-', "_")).collect();
        for path in entries(&self.root.hwmon_class(), "hwmon") {
            let chip = Chip::at(path);
            if !repeated.contains(&chip.name) {
                readings.zones.extend(chip.zones());
            }
            readings.rails.extend(chip.rails());
            readings.fans.extend(chip.fans());
            readings.throttles.extend(chip.over_current());
        }
        readings.tidied()
    }
}

fn celsius(path: &Path) -> Option<f64> {
    scaled(path, 1e-3)
}

fn zone(path: &Path) -> Option<Zone> {
    let name = name(&path.join("type"))?;
    let now = celsius(&path.join("temp")).filter(|celsius| CELSIUS.contains(celsius))?;
    let trips: Vec<(String, f64)> = (0..MOST_TRIPS)
        .map_while(|number| {
            let kind = self::name(&path.join(format!("trip_point_{number}_type")))?;
            Some((kind, celsius(&path.join(format!("trip_point_{number}_temp"))).unwrap_or_default()))
        })
        .filter(|(_, at)| (LEAST_LIMIT..CELSIUS.end).contains(at))
        .collect();
    let lowest = |kinds: &[&str]| {
        trips.iter().filter(|(kind, _)| kinds.contains(&kind.as_str())).map(|(_, at)| *at).reduce(f64::min)
    };
    Some(Zone {
        name,
        celsius: now,
        limit_celsius: lowest(&["passive", "hot"]),
        critical_celsius: lowest(&["critical"]),
    })
}

/// Of the cooling devices those that make a processor slower, not fans: frequency limits (drivers/thermal/cpufreq_cooling.c,
/// devfreq_cooling.c, ACPI's `Processor`), and the alerts of Jetson modules.
fn cooling(path: &Path) -> Option<Throttle> {
    let name = name(&path.join("type"))?;
    let slows = ["cpufreq", "thermal-cpufreq", "devfreq", "thermal-devfreq"].iter().any(|kind| name.starts_with(kind))
        || name == "Processor"
        || name.ends_with("throttle-alert");
    let state = number(&path.join("cur_state")).filter(|_| slows)?;
    Some(Throttle { name, cause: Cause::Heat, active: state > 0, times: None })
}

/// The counter of an x86 processor; its package where that is counted, else its first core.
fn processor(folder: &Path) -> Option<Throttle> {
    let of = |file: &str| count(&folder.join("thermal_throttle").join(file));
    let times = of("package_throttle_count").or_else(|| of("core_throttle_count"))?;
    Some(Throttle { name: "processor".into(), cause: Cause::Heat, active: false, times: Some(times) })
}

/// One hwmon device.
struct Chip {
    path: PathBuf,
    name: String,
}

impl Chip {
    fn at(path: PathBuf) -> Self {
        let folder = || path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name(&path.join("name")).unwrap_or_else(folder);
        Self { path, name }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A sensor's own label, else the chip's name with `what`.
    fn label(&self, file: &str, what: &str) -> String {
        match name(&self.file(file)) {
            // `Core 0` says little without its chip.
            Some(label) if what.starts_with("temp") => format!("{} {label}", self.name),
            Some(label) => label,
            None => format!("{} {what}", self.name),
        }
    }

    /// Sensors without a limit of their own may be pins that nothing is connected to; only k10temp (AMD) has none and is sound.
    fn zones(&self) -> Vec<Zone> {
        let zone = |number: u32| {
            let now = celsius(&self.file(&format!("temp{number}_input"))).filter(|now| CELSIUS.contains(now))?;
            let critical = celsius(&self.file(&format!("temp{number}_crit")));
            let critical_celsius = critical.filter(|at| (LEAST_LIMIT..CELSIUS.end).contains(at));
            (critical_celsius.is_some() || self.name == "k10temp").then(|| Zone {
                name: self.label(&format!("temp{number}_label"), &format!("temp{number}")),
                celsius: now,
                limit_celsius: None,
                critical_celsius,
            })
        };
        (1..=MOST_CHANNELS).filter_map(zone).collect()
    }

    fn rails(&self) -> Vec<Rail> {
        let told = |number: u32| {
            let of = |kind: &str| scaled(&self.file(&format!("power{number}_{kind}")), 1e-6);
            let watts = of("input").or_else(|| of("average"))?;
            Some(Rail { name: self.label(&format!("power{number}_label"), &format!("power{number}")), watts })
        };
        let mut rails: Vec<Rail> = (1..=MOST_CHANNELS).filter_map(told).collect();
        if rails.is_empty() {
            rails = (1..=3).filter_map(|number| self.measured(number)).collect();
        }
        rails.retain(|rail| (0.0..MOST_WATTS).contains(&rail.watts));
        rails
    }

    /// INA3221 and the like: volts and amperes of three channels. (in4 to in7 and curr4 are shunts and sums.)
    fn measured(&self, number: u32) -> Option<Rail> {
        let volts = scaled(&self.file(&format!("in{number}_input")), 1e-3)?;
        let amperes = scaled(&self.file(&format!("curr{number}_input")), 1e-3)?;
        Some(Rail {
            name: self.label(&format!("in{number}_label"), &format!("channel {number}")),
            watts: volts * amperes,
        })
    }

    fn fans(&self) -> Vec<Fan> {
        let turns = |file: &str| count(&self.file(file)).and_then(|rpm| u32::try_from(rpm).ok());
        let fan = |number: u32| {
            let rpm = turns(&format!("fan{number}_input"))?;
            Some(Fan { name: self.label(&format!("fan{number}_label"), &format!("fan{number}")), rpm })
        };
        // `rpm`: the tachometer of Jetson modules (NVIDIA's pwm-tachometer driver).
        let tachometer = turns("rpm").map(|rpm| Fan { name: self.name.clone(), rpm });
        let fans = (1..=MOST_CHANNELS).filter_map(fan).chain(tachometer);
        fans.filter(|fan| fan.rpm <= MOST_RPM).collect()
    }

    /// `soctherm_oc` of Jetson Orin: what each counts is said in NVIDIA's guide.
    fn over_current(&self) -> Vec<Throttle> {
        let counted = [(1, "under-voltage"), (2, "average over-current"), (3, "instantaneous over-current")];
        let throttle = |(number, what)| {
            let times = count(&self.file(&format!("oc{number}_event_cnt")))?;
            Some(Throttle {
                name: format!("{what} (oc{number})"),
                cause: Cause::Power,
                active: false,
                times: Some(times),
            })
        };
        counted.into_iter().filter_map(throttle).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files that stands for a machine.
    fn machine(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Sysfs) {
        let tree = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = tree.path().join("sys").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let sysfs = Sysfs::of(Root::at(tree.path()));
        (tree, sysfs)
    }

    /// The files of a Jetson Orin NX with JetPack 6, as far as they are read; values as NVIDIA's guide and users print them.
    #[test]
    fn a_jetson_tells_zones_rails_fan_alerts_and_over_current() {
        let (_tree, mut sysfs) = machine(&[
            ("class/thermal/thermal_zone0/type", b"cpu-thermal\n"),
            ("class/thermal/thermal_zone0/temp", b"51312\n"),
            ("class/thermal/thermal_zone0/trip_point_0_type", b"critical\n"),
            ("class/thermal/thermal_zone0/trip_point_0_temp", b"104500\n"),
            ("class/thermal/thermal_zone0/trip_point_1_type", b"passive\n"),
            ("class/thermal/thermal_zone0/trip_point_1_temp", b"99000\n"),
            ("class/thermal/thermal_zone0/trip_point_2_type", b"active\n"),
            ("class/thermal/thermal_zone0/trip_point_2_temp", b"50000\n"),
            ("class/thermal/thermal_zone2/type", b"cv0-thermal\n"),
            ("class/thermal/thermal_zone2/temp", b"-256000\n"),
            ("class/thermal/cooling_device0/type", b"pwm-fan\n"),
            ("class/thermal/cooling_device0/cur_state", b"2\n"),
            ("class/thermal/cooling_device1/type", b"cpu-throttle-alert\n"),
            ("class/thermal/cooling_device1/cur_state", b"0\n"),
            ("class/thermal/cooling_device2/type", b"cpufreq-cpu0\n"),
            ("class/thermal/cooling_device2/cur_state", b"3\n"),
            ("class/hwmon/hwmon0/name", b"cpu_thermal\n"),
            ("class/hwmon/hwmon0/temp1_input", b"51312\n"),
            ("class/hwmon/hwmon0/temp1_crit", b"104500\n"),
            ("class/hwmon/hwmon1/name", b"ina3221\n"),
            ("class/hwmon/hwmon1/in1_label", b"VDD_IN\n"),
            ("class/hwmon/hwmon1/in1_input", b"4984\n"),
            ("class/hwmon/hwmon1/curr1_input", b"1856\n"),
            ("class/hwmon/hwmon1/in2_label", b"VDD_CPU_GPU_CV\n"),
            ("class/hwmon/hwmon1/in2_input", b"4984\n"),
            ("class/hwmon/hwmon1/curr2_input", b"400\n"),
            ("class/hwmon/hwmon1/in7_label", b"sum of shunt voltages\n"),
            ("class/hwmon/hwmon1/in7_input", b"9\n"),
            ("class/hwmon/hwmon2/name", b"pwm_tach\n"),
            ("class/hwmon/hwmon2/rpm", b"2140\n"),
            ("class/hwmon/hwmon3/name", b"soctherm_oc\n"),
            ("class/hwmon/hwmon3/oc1_event_cnt", b"0\n"),
            ("class/hwmon/hwmon3/oc2_event_cnt", b"15\n"),
            ("class/hwmon/hwmon3/oc3_event_cnt", b"37\n"),
        ]);
        let said = sysfs.read();
        let cpu = Zone {
            name: "cpu-thermal".into(),
            celsius: 51.312,
            limit_celsius: Some(99.0),
            critical_celsius: Some(104.5),
        };
        assert_eq!(said.zones, [cpu], "the zone that is off is left out, and the chip that repeats a zone");
        assert!((said.watts().unwrap() - 9.250_304).abs() < 1e-9, "{:?}", said.rails);
        assert_eq!(said.rails.len(), 2);
        assert_eq!(said.fans, [Fan { name: "pwm_tach".into(), rpm: 2140 }]);
        assert_eq!(said.active(Cause::Heat).unwrap().name, "cpufreq-cpu0", "a fan that turns throttles nothing");
        assert_eq!((said.times(Cause::Heat), said.times(Cause::Power)), (0, 52));
    }

    #[test]
    fn a_pc_tells_its_processor_disk_board_and_how_often_it_was_throttled() {
        let (_tree, mut sysfs) = machine(&[
            ("class/thermal/thermal_zone0/type", b"acpitz\n"),
            ("class/thermal/thermal_zone0/temp", b"27800\n"),
            ("class/thermal/thermal_zone0/trip_point_0_type", b"critical\n"),
            ("class/thermal/thermal_zone0/trip_point_0_temp", b"119000\n"),
            ("class/thermal/thermal_zone0/trip_point_1_type", b"passive\n"),
            ("class/thermal/thermal_zone0/trip_point_1_temp", b"0\n"),
            ("class/thermal/cooling_device0/type", b"Processor\n"),
            ("class/thermal/cooling_device0/cur_state", b"0\n"),
            ("class/thermal/cooling_device1/type", b"intel_powerclamp\n"),
            ("class/thermal/cooling_device1/cur_state", b"-1\n"),
            ("class/hwmon/hwmon0/name", b"coretemp\n"),
            ("class/hwmon/hwmon0/temp1_label", b"Package id 0\n"),
            ("class/hwmon/hwmon0/temp1_input", b"61000\n"),
            ("class/hwmon/hwmon0/temp1_max", b"80000\n"),
            ("class/hwmon/hwmon0/temp1_crit", b"100000\n"),
            ("class/hwmon/hwmon1/name", b"coretemp\n"),
            ("class/hwmon/hwmon1/temp1_label", b"Package id 0\n"),
            ("class/hwmon/hwmon1/temp1_input", b"62000\n"),
            ("class/hwmon/hwmon1/temp1_crit", b"100000\n"),
            ("class/hwmon/hwmon2/name", b"nct6798\n"),
            ("class/hwmon/hwmon2/temp5_label", b"AUXTIN2\n"),
            ("class/hwmon/hwmon2/temp5_input", b"127000\n"),
            ("class/hwmon/hwmon2/fan2_input", b"0\n"),
            ("class/hwmon/hwmon3/name", b"amdgpu\n"),
            ("class/hwmon/hwmon3/power1_average", b"7250000\n"),
            ("devices/system/cpu/cpu0/thermal_throttle/package_throttle_count", b"4\n"),
        ]);
        let said = sysfs.read();
        let names: Vec<&str> = said.zones.iter().map(|zone| zone.name.as_str()).collect();
        assert_eq!(
            names,
            ["acpitz", "coretemp Package id 0", "coretemp Package id 0 2"],
            "an open pin is no heat, and no two have one name"
        );
        assert_eq!((said.zones[0].limit_celsius, said.zones[1].critical_celsius), (None, Some(100.0)));
        assert_eq!((said.watts(), said.times(Cause::Heat)), (Some(7.25), 4));
        assert_eq!(said.active(Cause::Heat), None);
        assert_eq!(said.fans[0].rpm, 0);
    }

    #[test]
    fn nonsense_of_the_kernel_is_left_out_and_the_rest_is_read() {
        let (_tree, mut sysfs) = machine(&[
            ("class/thermal/thermal_zone0/type", b"sound"),
            ("class/thermal/thermal_zone0/temp", b"40000"),
            ("class/thermal/thermal_zone0/trip_point_0_type", b"passive"),
            ("class/thermal/thermal_zone0/trip_point_0_temp", b"4000000"),
            ("class/thermal/thermal_zone1/type", b"huge"),
            ("class/thermal/thermal_zone1/temp", b"999999999999999999999"),
            ("class/thermal/thermal_zone2/type", b"words"),
            ("class/thermal/thermal_zone2/temp", b"\xff\xfe"),
            ("class/thermal/thermal_zone3/temp", b"40000"),
            ("class/thermal/thermal_zone4/type/temp", b"40000"),
            ("class/thermal/cooling_device0/type", b"cpufreq-cpu0"),
            ("class/thermal/cooling_device0/cur_state", b""),
            ("class/hwmon/hwmon0/power1_input", b"-5000000"),
            ("class/hwmon/hwmon0/fan1_input", b"4294967295"),
            ("class/hwmon/hwmon1/oc1_event_cnt", b"-3"),
            ("class/hwmon/hwmon2", b"a file where a folder should be"),
        ]);
        let said = sysfs.read();
        let sound = Zone { name: "sound".into(), celsius: 40.0, ..Zone::default() };
        assert_eq!(said, Readings { zones: vec![sound], ..Readings::default() });
    }
}
