//! How the box names itself in results.

use dicom::check::Checker;
use serde::{Deserialize, Serialize};

/// How the box names itself in results.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    pub station_name: String,
    pub institution: String,
    pub serial_number: String,
}

impl Default for Device {
    fn default() -> Self {
        Self { station_name: "SCANSIDE".into(), institution: String::new(), serial_number: "bench".into() }
    }
}

impl Device {
    /// Says what cannot be used, under `device.*`.
    pub fn check(&self, checker: &mut Checker) {
        if self.station_name.trim().is_empty() {
            checker.refuse("device.station_name", "must not be empty: results name the station");
        }
        checker.text("device.station_name", &self.station_name, 16);
        checker.text("device.institution", &self.institution, 64);
        checker.text("device.serial_number", &self.serial_number, 64);
    }
}
