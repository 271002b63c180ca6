//! Settings of the device description in results.

use dicom::check::Checker;
use serde::{Deserialize, Serialize};

use crate::words::Language;

/// How the box names itself in results.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Device {
    pub station_name: String,
    pub institution: String,
    pub serial_number: String,
    /// Language of the key images, as BCP 47 writes it.
    pub key_image_language: String,
    /// Somebody has said that the days of this box are to be those of UTC.
    pub utc_is_right: bool,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            station_name: "SCANSIDE".into(),
            institution: String::new(),
            serial_number: "bench".into(),
            key_image_language: Language::English.words().tag().into(),
            utc_is_right: false,
        }
    }
}

impl Device {
    /// Reports each invalid value under its key, `device.*`.
    pub fn check(&self, checker: &mut Checker) {
        if self.station_name.trim().is_empty() {
            checker.refuse("device.station_name", "must not be empty: results contain the station name");
        }
        checker.text("device.station_name", &self.station_name, 16);
        checker.text("device.institution", &self.institution, 64);
        checker.text("device.serial_number", &self.serial_number, 64);
        if Language::of_tag(&self.key_image_language).is_none() {
            let known: Vec<&str> = Language::ALL.iter().map(|language| language.words().tag()).collect();
            let reason = format!("{:?} is not known; one of {}", self.key_image_language, known.join(", "));
            checker.refuse("device.key_image_language", reason);
        }
    }

    /// Of the key images. Settings that were checked always name one.
    pub fn language(&self) -> Language {
        Language::of_tag(&self.key_image_language).unwrap_or(Language::English)
    }
}
