//! United Imaging: an intercept far below air and 16 unsigned bits.

use dicom_core::VR;
use dicom_object::InMemDicomObject;

use super::private::Block;
use super::{Coding, Facts, Image};

pub const FACTS: Facts = Facts {
    manufacturer: "UIH",
    model: "uCT 760",
    software: "R004",
    station: "UIHCT",
    kernels: ["B_SOFT_B", "B_SHARP_B", "B_VSHARP_C"],
    localiser_kernel: None,
    axial_type: "ORIGINAL\\PRIMARY\\AXIAL",
    localiser_type: "ORIGINAL\\PRIMARY\\LOCALIZER",
    coronal_type: "DERIVED\\SECONDARY\\MPR",
    study: "Chest",
    study_in_chinese: "胸部平扫",
    protocol: "Chest_Routine",
    localiser: "Scout",
    lateral_too: false,
    scan_options: ["HELICAL", "SCOUT"],
    filter: "NONE",
    coding: Coding { intercept: -8192, bits: 16, signed: false, padding: None },
    rotation_s: 0.5,
    pitch: 1.0875,
    collimation_mm: [0.5, 40.0],
    dose_series: 9001,
};

/// The names of the block and its elements are not in public dictionaries; readers only have to skip them.
pub fn add_private(object: &mut InMemDicomObject, image: &Image) {
    Block::new(object, 0x0065, 0x10, "Image Private Header")
        .put(0x01, VR::LO, "CT")
        .put(0x02, VR::SH, image.kernel)
        .put(0x03, VR::DS, format!("{:.3}", FACTS.table_feed()))
        .put(0x04, VR::OB, vec![0u8; 32]);
}
