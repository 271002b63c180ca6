//! Siemens: two values of Convolution Kernel with iterative reconstruction, a fourth value of Image Type, CSA headers.

use dicom_core::VR;
use dicom_object::InMemDicomObject;

use super::private::Block;
use super::{Coding, Facts, Image};

pub const FACTS: Facts = Facts {
    manufacturer: "SIEMENS",
    model: "SOMATOM Definition AS+",
    software: "syngo CT VA48A",
    station: "CTAWP00000",
    kernels: ["B30f", "Br40d\\3", "I70f\\3"],
    localiser_kernel: Some("T20f"),
    axial_type: "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM5 SPI",
    localiser_type: "ORIGINAL\\PRIMARY\\LOCALIZER\\CT_SOM5 TOP",
    // The fifth value is empty, as in reformats of this vendor.
    coronal_type: "DERIVED\\SECONDARY\\OTHER\\CSA MPR\\\\CSAPARALLEL",
    study: "Thorax^01_ThoraxRoutine (Adult)",
    study_in_chinese: "胸部^平扫 (成人)",
    protocol: "01_ThoraxRoutine",
    localiser: "Topogram  0.6  T20f",
    lateral_too: false,
    scan_options: ["SPIRAL", "TOPO"],
    filter: "FLAT",
    coding: Coding::UNSIGNED_12,
    rotation_s: 0.5,
    pitch: 1.2,
    collimation_mm: [0.6, 38.4],
    dose_series: 502,
};

pub fn add_private(object: &mut InMemDicomObject, image: &Image) {
    Block::new(object, 0x0019, 0x10, "SIEMENS CT VA0  COAD").put(0xA9, VR::IS, "0").put(0xAE, VR::IS, "1152").put(
        0xB0,
        VR::DS,
        format!("{:.2}", FACTS.table_feed()),
    );
    Block::new(object, 0x0021, 0x10, "SIEMENS MED").put(0x11, VR::DS, format!("0\\{:.1}", -image.z));
    let mut csa = b"SV10\x04\x03\x02\x01\x00\x00\x00\x00M\x00\x00\x00".to_vec();
    csa.resize(64, 0);
    Block::new(object, 0x0029, 0x10, "SIEMENS CSA HEADER")
        .put(0x08, VR::CS, "SOM 5")
        .put(0x09, VR::LO, "VA10A 971201")
        .put(0x10, VR::OB, csa);
    Block::new(object, 0x0029, 0x11, "SIEMENS MEDCOM HEADER")
        .put(0x31, VR::LO, "4.0.12345678")
        .put(0x34, VR::CS, "DB TO DICOM")
        .put(0x60, VR::LO, "com");
}
