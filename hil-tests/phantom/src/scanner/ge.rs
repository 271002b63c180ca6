//! GE: values of 16 signed bits, padded outside the circle of reconstruction; scouts from the front and the side.

use dicom_core::VR;
use dicom_object::InMemDicomObject;

use super::private::Block;
use super::{Coding, Facts, Image, Series};

pub const FACTS: Facts = Facts {
    manufacturer: "GE MEDICAL SYSTEMS",
    model: "Revolution EVO",
    software: "revo_ct_21b.32",
    station: "CT99",
    kernels: ["STANDARD", "LUNG", "BONE"],
    localiser_kernel: None,
    axial_type: "ORIGINAL\\PRIMARY\\AXIAL",
    localiser_type: "ORIGINAL\\PRIMARY\\LOCALIZER",
    coronal_type: "DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE",
    study: "CT CHEST W/O CONTRAST",
    study_in_chinese: "胸部CT平扫",
    protocol: "5.1 CHEST ROUTINE",
    localiser: "SCOUT",
    lateral_too: true,
    scan_options: ["HELICAL MODE", "SCOUT MODE"],
    filter: "BODY FILTER",
    coding: Coding { intercept: -1024, bits: 16, signed: true, padding: Some(-2000) },
    rotation_s: 0.5,
    pitch: 0.984375,
    collimation_mm: [0.625, 40.0],
    dose_series: 997,
};

pub fn add_private(object: &mut InMemDicomObject, image: &Image) {
    Block::new(object, 0x0009, 0x10, "GEMS_IDEN_01")
        .put(0x01, VR::LO, "CT_LIGHTSPEED")
        .put(0x02, VR::SH, "CT01")
        .put(0x04, VR::SH, "Revolution EVO")
        .put(0x30, VR::SH, "000000CT99");
    let mut acquisition = Block::new(object, 0x0019, 0x10, "GEMS_ACQU_01");
    acquisition
        .put(0x02, VR::SL, 888i32)
        .put(0x03, VR::DS, "389.750000")
        .put(0x1E, VR::DS, "380.000000")
        .put(0x23, VR::DS, format!("{:.6}", FACTS.table_feed()))
        .put(0x27, VR::DS, "500.000000")
        .put(0x42, VR::SS, 0i16)
        .put(0x43, VR::SS, 0i16);
    Block::new(object, 0x0021, 0x10, "GEMS_RELA_01").put(0x03, VR::SS, 1i16).put(0x35, VR::SS, 1i16);
    Block::new(object, 0x0027, 0x10, "GEMS_IMAG_01")
        .put(0x10, VR::SS, i16::from(image.series == Series::Localiser))
        .put(0x40, VR::SH, if image.z < 0.0 { "I" } else { "S" })
        .put(0x41, VR::FL, image.z as f32);
    Block::new(object, 0x0043, 0x10, "GEMS_PARM_01").put(0x10, VR::US, 1500u16).put(0x1D, VR::SS, -600i16).put(
        0x27,
        VR::SH,
        "0.984:1",
    );
    Block::new(object, 0x0045, 0x10, "GEMS_HELIOS_01").put(0x01, VR::SS, 64i16).put(0x02, VR::FL, 0.625f32);
}
