//! Philips: kernels of one or two letters, blocks whose creator is still Elscint.

use dicom_core::VR;
use dicom_object::InMemDicomObject;

use super::private::Block;
use super::{Coding, Facts, Image, Series};

pub const FACTS: Facts = Facts {
    manufacturer: "Philips",
    model: "Ingenuity CT",
    software: "4.1.7.30010",
    station: "HOST-000000",
    kernels: ["B", "YA", "L"],
    localiser_kernel: None,
    axial_type: "ORIGINAL\\PRIMARY\\AXIAL\\HELIX",
    localiser_type: "ORIGINAL\\PRIMARY\\LOCALIZER",
    coronal_type: "DERIVED\\SECONDARY\\MPR",
    study: "CT Thorax",
    study_in_chinese: "胸部平扫",
    protocol: "Chest Routine/Thorax",
    localiser: "Surview",
    lateral_too: true,
    scan_options: ["HELIX", "SURVIEW"],
    filter: "B",
    coding: Coding::UNSIGNED_12,
    rotation_s: 0.5,
    pitch: 1.015,
    collimation_mm: [0.625, 40.0],
    dose_series: 9000,
};

pub fn add_private(object: &mut InMemDicomObject, image: &Image) {
    Block::new(object, 0x00E1, 0x10, "ELSCINT1")
        .put(0x01, VR::US, 1u16)
        .put(0x21, VR::DS, format!("{:.1}", image.dose.dlp()))
        .put(0x40, VR::SH, if image.series == Series::Localiser { "Surview" } else { "Thorax" })
        .put(0x50, VR::DS, format!("{:.3}", image.dose.length_mm / FACTS.table_feed() * FACTS.rotation_s));
    Block::new(object, 0x01F1, 0x10, "ELSCINT1")
        .put(0x01, VR::CS, if image.series == Series::Localiser { "SURVIEW" } else { "SPIRAL" })
        .put(0x02, VR::CS, "STANDARD")
        .put(0x08, VR::DS, format!("{:.1}", image.dose.length_mm))
        .put(0x26, VR::DS, format!("{}", FACTS.pitch))
        .put(0x27, VR::DS, format!("{}", FACTS.rotation_s))
        .put(0x4B, VR::SH, "64x0.625");
    Block::new(object, 0x01F7, 0x10, "ELSCINT1").put(0x9B, VR::IS, "3");
}
