//! Canon, whose private blocks still say TOSHIBA: 16 signed bits, stored as Hounsfield units without rescaling.

use dicom_core::VR;
use dicom_object::InMemDicomObject;

use super::private::Block;
use super::{Coding, Facts, Image};

pub const FACTS: Facts = Facts {
    manufacturer: "CANON_MEC",
    model: "Aquilion ONE",
    software: "V8.03SP0010",
    station: "ID_STATION",
    kernels: ["FC08", "FC18", "FC52"],
    localiser_kernel: Some("FL03"),
    axial_type: "ORIGINAL\\PRIMARY\\AXIAL",
    localiser_type: "ORIGINAL\\PRIMARY\\LOCALIZER",
    coronal_type: "DERIVED\\SECONDARY\\MPR",
    study: "Chest/Plain",
    study_in_chinese: "胸部/平扫",
    protocol: "Chest_Helical",
    localiser: "Scanogram",
    lateral_too: true,
    scan_options: ["HELICAL_CT", "SCANOSCOPE"],
    filter: "LARGE",
    coding: Coding { intercept: 0, bits: 16, signed: true, padding: None },
    rotation_s: 0.5,
    pitch: 0.813,
    collimation_mm: [0.5, 40.0],
    dose_series: 9999,
};

pub fn add_private(object: &mut InMemDicomObject, image: &Image) {
    Block::new(object, 0x7005, 0x10, "TOSHIBA_MEC_CT3")
        .put(0x08, VR::DS, format!("{}", FACTS.collimation_mm[0]))
        .put(0x09, VR::LO, "80")
        .put(0x0A, VR::DS, format!("{:.2}", FACTS.table_feed()))
        .put(0x0B, VR::SH, "ORG")
        .put(0x0D, VR::CS, "CHEST")
        .put(0x0F, VR::SH, "OUT")
        .put(0x1B, VR::SH, image.kernel)
        .put(0x1D, VR::UL, u32::from(image.series.number()))
        .put(0x23, VR::DS, format!("{}", FACTS.pitch))
        .put(0x30, VR::CS, "CT")
        .put(0x40, VR::FD, image.dose.dlp())
        .put(0x42, VR::US, (image.index + 1).min(65_535) as u16);
}
