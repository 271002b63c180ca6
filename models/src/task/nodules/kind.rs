//! Type of a nodule by its attenuation, and its size class.

use crate::findings::NoduleType;

/// Soft tissue rather than haze, HU.
pub(super) const SOLID_HU: i16 = -300;
/// Calcium rather than soft tissue, HU (Swensen et al., Radiology 214 (2000) 73-80 take 200 HU and more for calcified).
const CALCIUM_HU: i16 = 190;

/// From the attenuation of the nodule's inside, away from its blurred rim; `None` for no voxels.
pub(super) fn kind(inside_hu: &[i16]) -> Option<NoduleType> {
    let n = inside_hu.len() as f64;
    let share = |above: i16| inside_hu.iter().filter(|hu| **hu >= above).count() as f64 / n;
    if inside_hu.is_empty() {
        None
    } else if share(CALCIUM_HU) >= 0.5 {
        Some(NoduleType::Calcified)
    } else if share(SOLID_HU) >= 0.8 {
        Some(NoduleType::Solid)
    } else if share(SOLID_HU) <= 0.08 {
        Some(NoduleType::GroundGlass)
    } else {
        Some(NoduleType::PartSolid)
    }
}

/// As diameters are printed, mm: to one decimal (Lung-RADS v2022, note 1: "round to one decimal point"). A class goes by the number that
/// stands beside it.
pub(super) fn printed(mm: f64) -> f64 {
    format!("{mm:.1}").parse().unwrap_or(mm)
}

/// Lung-RADS v2022 (American College of Radiology, November 2022) on a baseline scan, by type, mean diameter and mean
/// diameter of the solid part, mm. Calcified throughout is benign: category 1.
pub(super) fn lung_rads(kind: NoduleType, diameter_mm: f64, solid_mm: f64) -> &'static str {
    let (diameter_mm, solid_mm) = (printed(diameter_mm), printed(solid_mm));
    match kind {
        NoduleType::Calcified => "1",
        NoduleType::GroundGlass if diameter_mm < 30.0 => "2",
        NoduleType::GroundGlass => "3",
        NoduleType::PartSolid if diameter_mm < 6.0 => "2",
        NoduleType::PartSolid if solid_mm < 6.0 => "3",
        NoduleType::PartSolid if solid_mm < 8.0 => "4A",
        NoduleType::PartSolid => "4B",
        NoduleType::Solid if diameter_mm < 6.0 => "2",
        NoduleType::Solid if diameter_mm < 8.0 => "3",
        NoduleType::Solid if diameter_mm < 15.0 => "4A",
        NoduleType::Solid => "4B",
    }
}

/// The same where the solid part was not measured: `None` where the class depends on it.
pub(super) fn lung_rads_of(kind: NoduleType, diameter_mm: f64) -> Option<&'static str> {
    let classes = [0.0, diameter_mm].map(|solid_mm| lung_rads(kind, diameter_mm, solid_mm));
    let depends = kind == NoduleType::PartSolid && classes[0] != classes[1];
    (!depends).then_some(classes[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_share_of_solid_and_calcified_voxels() {
        let mix = |low: usize, high: i16| [vec![-600i16; low], vec![high; 10]].concat();
        assert_eq!(kind(&[]), None);
        assert_eq!(kind(&mix(0, 30)), Some(NoduleType::Solid));
        assert_eq!(kind(&mix(10, 30)), Some(NoduleType::PartSolid));
        assert_eq!(kind(&mix(200, 30)), Some(NoduleType::GroundGlass));
        assert_eq!(kind(&mix(0, 400)), Some(NoduleType::Calcified));
    }

    #[test]
    fn size_classes_change_at_the_limits_of_lung_rads_2022() {
        use NoduleType::{Calcified, GroundGlass, PartSolid, Solid};
        let classes = [5.9, 6.0, 8.0, 15.0].map(|d| lung_rads(Solid, d, d));
        assert_eq!(classes, ["2", "3", "4A", "4B"]);
        let part = [(5.9, 5.0), (6.0, 5.9), (20.0, 6.0), (20.0, 8.0)].map(|(d, s)| lung_rads(PartSolid, d, s));
        assert_eq!(part, ["2", "3", "4A", "4B"]);
        assert_eq!([29.9, 30.0].map(|d| lung_rads(GroundGlass, d, 0.0)), ["2", "3"]);
        assert_eq!(lung_rads(Calcified, 20.0, 20.0), "1");
    }

    #[test]
    fn a_class_that_depends_on_a_solid_part_that_nobody_measured_is_withheld() {
        use NoduleType::{PartSolid, Solid};
        assert_eq!([5.9, 7.0].map(|mm| lung_rads_of(Solid, mm)), [Some("2"), Some("3")]);
        assert_eq!([5.9, 6.0, 20.0].map(|mm| lung_rads_of(PartSolid, mm)), [Some("2"), None, None]);
    }

    #[test]
    fn the_class_is_that_of_the_diameter_as_it_is_printed() {
        use NoduleType::{GroundGlass, PartSolid, Solid};
        for mm in [5.94, 5.949_999, 5.96, 5.98, 7.96, 7.94, 14.97, 14.949, 6.04] {
            let printed: f64 = format!("{mm:.1}").parse().unwrap();
            assert_eq!(lung_rads(Solid, mm, mm), lung_rads(Solid, printed, printed), "{mm} mm reads {printed} mm");
        }
        assert_eq!([5.94, 5.96].map(|mm| lung_rads(Solid, mm, mm)), ["2", "3"]);
        assert_eq!(lung_rads(PartSolid, 20.0, 7.97), "4B");
        assert_eq!(lung_rads(GroundGlass, 29.96, 0.0), "3");
    }
}
