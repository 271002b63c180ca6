//! Provenance: which device, software and model made a result, and whether it must carry the mark.

use dicom::uid;
use dicom_core::VR;
pub use models::identity::{ModelIdentity, NOT_FOR_DIAGNOSIS};

use crate::dataset::ascii;
use crate::settings;
use crate::words::Language;

/// Manufacturer in all result objects.
pub const MANUFACTURER: &str = "Scanside";
/// Manufacturer's Model Name in all result objects.
pub const DEVICE_MODEL: &str = "Scanside appliance";
/// Name of the lung segmentation, which uses rules and no network.
pub const LUNG_ALGORITHM: &str = "Scanside lung segmentation";

/// The device, software, model and accelerator that made a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    pub station_name: String,
    pub institution: String,
    pub serial_number: String,
    pub software_version: String,
    /// UID of this device, the same in all results.
    pub device_uid: String,
    /// `None` when no package was used, for example in a refusal.
    pub model: Option<ModelIdentity>,
    /// The accelerator that ran the network, for example `cpu, ONNX Runtime 1.32.0`.
    pub accelerator: String,
    pub simulated: bool,
    /// Of the key images.
    pub language: Language,
    /// `2026-11-24T03:00:00.000Z`.
    pub created_utc: String,
    /// Of this place from UTC then, as `+0800`.
    pub offset: String,
}

impl Provenance {
    /// Provenance for this device. `accelerator`: its description, and whether it or another device was simulated. `offset`: of this
    /// place from UTC, as `+0800`.
    pub fn new(
        device: &settings::Device,
        model: Option<ModelIdentity>,
        accelerator: (String, bool),
        created_utc: &str,
        offset: String,
    ) -> Self {
        let (accelerator, simulated) = accelerator;
        Self {
            station_name: device.station_name.clone(),
            institution: device.institution.clone(),
            serial_number: device.serial_number.clone(),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            device_uid: uid::from_name(&format!("device {} {}", device.serial_number, device.station_name)),
            model,
            accelerator,
            simulated,
            language: device.language(),
            created_utc: created_utc.to_owned(),
            offset,
        }
    }

    /// The mark that every object and page must carry; `None` for a cleared package on a real device.
    /// `models::identity` decides.
    pub fn mark(&self) -> Option<&'static str> {
        let clearance = self.model.as_ref().map(|m| m.clearance);
        (!models::identity::for_diagnosis(clearance, self.simulated)).then_some(NOT_FOR_DIAGNOSIS)
    }

    /// All of it in one line.
    pub fn line(&self) -> String {
        self.line_within(usize::MAX)
    }

    /// The same in printable ASCII of so many characters at most, for equipment descriptions: the words for the accelerator, which may name
    /// many machines, are cut before anything else is, and the mark never.
    pub fn line_within(&self, most: usize) -> String {
        let model = match &self.model {
            Some(m) => format!("model {} {}, sha256 {}, thresholds: {}", m.id, m.version, m.sha256, m.thresholds),
            None => "no model".into(),
        };
        let simulated = if self.simulated { "; simulated device" } else { "" };
        let mark = self.mark().map(|m| format!("; {m}")).unwrap_or_default();
        let head = format!(
            "scansided {}, device {} ({}); {model}; accelerator: ",
            self.software_version, self.serial_number, self.station_name
        );
        let tail = format!("{simulated}{mark}");
        if most == usize::MAX {
            return format!("{head}{}{tail}", self.accelerator);
        }
        let [head, accelerator, tail] = [head, self.accelerator.clone(), tail].map(|text| ascii(&text, VR::UT));
        let head = cut(head, most.saturating_sub(tail.len()));
        let accelerator = cut(accelerator, most.saturating_sub(head.len() + tail.len()));
        format!("{head}{accelerator}{tail}")
    }
}

/// ASCII text of so many characters at most; what was cut off is seen.
fn cut(mut text: String, most: usize) -> String {
    const CUT: &str = "...";
    if text.len() > most {
        text.truncate(most.saturating_sub(CUT.len()));
        text.push_str(&CUT[..most.min(CUT.len())]);
    }
    text
}

#[cfg(test)]
mod tests {
    use models::manifest::Clearance;

    use super::*;
    use crate::testing;

    /// Promise: however many machines had a part in a result, its mark stands in the description of the equipment.
    #[test]
    fn many_hosts_do_not_push_the_mark_out_of_the_line() {
        let mut provenance = testing::provenance();
        provenance.simulated = true;
        let short = provenance.line_within(1024);
        assert_eq!(short, provenance.line());
        provenance.accelerator = "inference host, gpu1 (http://gpu1:8000, triton \u{2264} 2.59); ".repeat(40);
        let line = provenance.line_within(1024);
        assert_eq!(line.len(), 1024);
        assert!(line.ends_with(&format!("...; simulated device; {NOT_FOR_DIAGNOSIS}")), "{line}");
        assert!(line.contains("gpu1") && line.contains(&provenance.model.as_ref().unwrap().sha256));
        provenance.station_name = "x".repeat(2000);
        let line = provenance.line_within(1024);
        assert!(line.len() <= 1024 && line.ends_with(NOT_FOR_DIAGNOSIS), "{line}");
    }

    #[test]
    fn only_a_cleared_package_on_a_real_device_is_without_the_mark() {
        let mark = |clearance: Option<Clearance>, simulated: bool| {
            let mut provenance = testing::provenance();
            provenance.simulated = simulated;
            match clearance {
                Some(clearance) => provenance.model.as_mut().unwrap().clearance = clearance,
                None => provenance.model = None,
            }
            provenance.mark()
        };
        assert_eq!(mark(Some(Clearance::Cleared), false), None);
        for unmarked_never in [
            (Some(Clearance::Cleared), true),
            (Some(Clearance::Research), false),
            (Some(Clearance::Research), true),
            (None, false),
            (None, true),
        ] {
            assert_eq!(mark(unmarked_never.0, unmarked_never.1), Some(NOT_FOR_DIAGNOSIS), "{unmarked_never:?}");
        }
    }
}
