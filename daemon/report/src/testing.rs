//! A synthetic chest for tests: two lungs, five lobes, all nine findings, no patient data.

use std::sync::Arc;

use dicom::header::Header;
use dicom::pixels::SliceRef;
use dicom::scan::RawElement;
use dicom_core::{Tag, VR};
use models::findings::{
    Bronchiectasis, CalciumScore, Change, Comparison, CoronaryCalcium, Emphysema, Evaluated, Extent, Form, Lobe,
    LobeName, Lung, LungPart, LymphNode, Mask, Nodule, NoduleType, PleuralEffusion, Pneumonia, Pneumothorax, Region,
    RibFracture, Side,
};
use models::growth::{Course, Difference, NoduleChange, Nodules};
use models::manifest::Clearance;
use models::{Acquisition, ChestFindings, Geometry, Volume};

use crate::{ModelIdentity, Provenance, Source};

pub struct Case {
    pub elements: Vec<RawElement>,
    pub header: Header,
    pub instances: Vec<SliceRef>,
    pub provenance: Provenance,
    pub volume: Volume,
    pub findings: ChestFindings,
}

impl Case {
    pub fn source(&self) -> Source<'_> {
        Source {
            elements: &self.elements,
            header: &self.header,
            instances: &self.instances,
            series_uids: &[],
            revision: "",
            withdrawn: "",
        }
    }
}

pub fn provenance() -> Provenance {
    Provenance {
        station_name: "BENCH".into(),
        institution: "Test clinic".into(),
        serial_number: "S-1".into(),
        software_version: "0.1.0".into(),
        device_uid: "2.25.1".into(),
        model: Some(ModelIdentity {
            id: "ct-chest-nodules".into(),
            version: "0.1.0".into(),
            sha256: "ab".repeat(32),
            clearance: Clearance::Research,
            thresholds: "confidence 0.50, mask 0.30, min diameter 4.0 mm".into(),
        }),
        accelerator: "cpu, ONNX Runtime 1.32.0".into(),
        simulated: false,
        language: crate::words::Language::English,
        created_utc: "2026-11-24T03:00:01.250Z".into(),
        offset: "+0000".into(),
    }
}

pub fn element(tag: (u16, u16), vr: VR, value: &[u8]) -> RawElement {
    RawElement { tag: Tag(tag.0, tag.1), vr, value: value.to_vec() }
}

/// A grid of 61 x 47 pixels and `slices` slices. The size is not a multiple of 8, so that frames begin inside a byte.
pub fn case(slices: usize) -> Case {
    let dims = [61, 47, slices];
    let geometry = Geometry {
        dims,
        spacing_mm: [0.8, 0.8, 2.0],
        origin_mm: [-24.0, -18.0, 100.0],
        axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    let instances = (0..slices)
        .map(|k| SliceRef {
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.2".into(),
            sop_instance_uid: format!("1.2.3.{}", k + 1),
            frame: None,
            position_mm: geometry.to_patient([0.0, 0.0, k as f64]),
        })
        .collect();
    let findings = findings(&geometry);
    let volume = Volume { geometry, slices: (0..slices).map(|_| Arc::from(vec![-800i16; 61 * 47])).collect() };
    Case {
        elements: vec![
            element((0x0008, 0x0005), VR::CS, b"GB18030 "),
            element((0x0008, 0x0020), VR::DA, b"20260101"),
            element((0x0010, 0x0010), VR::PN, b"Zhang^San=\xd5\xc5^\xc8\xfd "),
            element((0x0010, 0x0020), VR::LO, b"P-1 "),
            element((0x0020, 0x000d), VR::UI, b"1.2.3.4\0"),
            element((0x0020, 0x0052), VR::UI, b"1.2.3.52\0"),
        ],
        header: Header {
            study_instance_uid: "1.2.3.4".into(),
            series_instance_uid: "1.2.3.4.5".into(),
            frame_of_reference_uid: Some("1.2.3.52".into()),
            manufacturer: "ACME".into(),
            slice_thickness: Some(2.0),
            ..Header::default()
        },
        instances,
        provenance: provenance(),
        volume,
        findings,
    }
}

/// A ball on the voxel grid, cut at the border of the volume; radii in voxels.
pub fn ball(dims: [usize; 3], centre: [usize; 3], radii: [f64; 3]) -> Mask {
    let low: Vec<usize> = (0..3).map(|a| centre[a].saturating_sub(radii[a] as usize + 1)).collect();
    let high: Vec<usize> = (0..3).map(|a| (centre[a] + radii[a] as usize + 2).min(dims[a])).collect();
    let mut voxels = Vec::new();
    for z in low[2]..high[2] {
        for y in low[1]..high[1] {
            for x in low[0]..high[0] {
                let at = [x, y, z];
                let distance: f64 = (0..3).map(|a| ((at[a] as f64 - centre[a] as f64) / radii[a]).powi(2)).sum();
                voxels.push(u8::from(distance <= 1.0));
            }
        }
    }
    Mask { origin: [low[0], low[1], low[2]], size: [high[0] - low[0], high[1] - low[1], high[2] - low[2]], voxels }
}

/// Findings for a grid of any size: two lungs that fill most of it, three nodules in them, and the other findings.
pub fn findings(geometry: &Geometry) -> ChestFindings {
    let dims = geometry.dims;
    let at = |x: f64, y: f64, z: f64| {
        let scaled = [x, y, z].iter().zip(dims).map(|(f, d)| (f * d as f64) as usize).collect::<Vec<_>>();
        [scaled[0], scaled[1], scaled[2].min(dims[2] - 1)]
    };
    let lung = |side, x| {
        let radii = [dims[0] as f64 * 0.16, dims[1] as f64 * 0.3, dims[2] as f64 * 0.45];
        let mask = ball(dims, at(x, 0.5, 0.5), radii);
        let volume_ml = mask.count() as f64 * geometry.voxel_ml();
        Lung { side, volume_ml, mean_hu: -842.4, laa950_percent: Some(3.21), box_mm: mask.box_mm(geometry), mask }
    };
    let nodule = |number, side, x, y, z, radius_mm: f64| {
        let centre = at(x, y, z);
        let mask = ball(dims, centre, geometry.spacing_mm.map(|s| radius_mm / s));
        Nodule {
            number,
            form: Form::Nodule,
            side,
            lobe: Some(if side == Side::Right { LobeName::RightUpper } else { LobeName::LeftLower }),
            kind: Some(NoduleType::Solid),
            lung_rads: Some("4A"),
            centre_mm: geometry.to_patient(centre.map(|c| c as f64)),
            diameter_mm: radius_mm * 1.9,
            long_axis_mm: radius_mm * 2.0,
            short_axis_mm: radius_mm * 1.8,
            volume_mm3: mask.count() as f64 * geometry.voxel_ml() * 1000.0,
            mean_hu: -35.5,
            confidence: 1.0 - number as f64 * 0.07,
            key_slice: centre[2],
            mask,
        }
    };
    let region = |number: usize, x, y, z, radius_mm: f64| {
        let centre = at(x, y, z);
        let mask = ball(dims, centre, geometry.spacing_mm.map(|s| radius_mm / s));
        Region {
            number,
            centre_mm: geometry.to_patient(centre.map(|c| c as f64)),
            volume_ml: mask.count() as f64 * geometry.voxel_ml(),
            mean_hu: -120.0,
            confidence: 0.97 - number as f64 * 0.05,
            key_slice: centre[2],
            mask,
        }
    };
    let lobe = |name: LobeName, z| {
        let x = if name.side() == Side::Right { 0.3 } else { 0.7 };
        let radii = [dims[0] as f64 * 0.15, dims[1] as f64 * 0.28, dims[2] as f64 * 0.14];
        let mask = ball(dims, at(x, 0.5, z), radii);
        Lobe { name, volume_ml: mask.count() as f64 * geometry.voxel_ml(), estimated: true, mask }
    };
    let extent = |part, percent: f64| Extent {
        part,
        volume_ml: 4000.0,
        ground_glass_percent: percent,
        consolidation_percent: percent / 4.0,
    };
    let parts = [LungPart::Both, LungPart::Lung(Side::Right), LungPart::Lung(Side::Left)];
    let parts = parts.into_iter().chain(LobeName::ALL.map(LungPart::Lobe));
    ChestFindings {
        lungs: Evaluated::Done(vec![lung(Side::Left, 0.7), lung(Side::Right, 0.3)]),
        lobes: Evaluated::Done(
            LobeName::ALL.into_iter().zip([0.7, 0.5, 0.3, 0.65, 0.35]).map(|(name, z)| lobe(name, z)).collect(),
        ),
        nodules: Evaluated::Done(vec![
            nodule(1, Side::Right, 0.3, 0.45, 0.5, 6.0),
            nodule(2, Side::Left, 0.68, 0.6, 0.35, 3.5),
            nodule(3, Side::Left, 0.72, 0.4, 0.7, 2.5),
        ]),
        pneumonia: Evaluated::Done(Pneumonia {
            confidence: 0.93,
            ground_glass: vec![region(1, 0.28, 0.6, 0.4, 9.0), region(2, 0.7, 0.55, 0.45, 7.0)],
            consolidation: vec![region(1, 0.3, 0.68, 0.3, 5.0)],
            extents: parts.zip(1..).map(|(part, n)| extent(part, f64::from(n) * 2.3)).collect(),
        }),
        rib_fractures: Evaluated::Done(vec![
            RibFracture { region: region(1, 0.12, 0.5, 0.5, 4.0), side: Side::Right, rib: Some(6) },
            RibFracture { region: region(2, 0.88, 0.5, 0.4, 4.0), side: Side::Left, rib: None },
        ]),
        emphysema: Evaluated::Done(Emphysema {
            laa950_percent: 12.4,
            right_percent: Some(14.0),
            left_percent: Some(10.6),
            noise_hu: Some(18.0),
            smoothed: true,
            regions: vec![region(1, 0.3, 0.35, 0.6, 8.0), region(2, 0.7, 0.35, 0.6, 6.0)],
        }),
        bronchiectasis: Evaluated::Done(vec![Bronchiectasis {
            region: region(1, 0.32, 0.62, 0.25, 5.0),
            side: Side::Right,
            lobe: Some(LobeName::RightLower),
        }]),
        pleural_effusions: Evaluated::Done(vec![PleuralEffusion {
            region: region(1, 0.72, 0.78, 0.3, 9.0),
            side: Side::Left,
        }]),
        pneumothoraces: Evaluated::Done(vec![Pneumothorax {
            region: region(1, 0.3, 0.25, 0.6, 7.0),
            side: Side::Right,
            percent: 8.4,
        }]),
        coronary_calcium: Evaluated::Done(CoronaryCalcium {
            score: CalciumScore::Agatston(184.0),
            lesions: vec![region(1, 0.5, 0.42, 0.45, 2.5), region(2, 0.53, 0.4, 0.5, 2.0)],
        }),
        lymph_nodes: Evaluated::Done(vec![LymphNode {
            region: region(1, 0.5, 0.55, 0.6, 6.0),
            short_axis_mm: 11.4,
            long_axis_mm: 15.2,
        }]),
        partly_seen: Vec::new(),
        least_sizes: Vec::new(),
        acquisition: Acquisition {
            kernel: Some("B30f".into()),
            kvp: Some(120.0),
            slice_thickness_mm: Some(2.0),
            contrast: Some(false),
            manufacturer: Some("ACME".into()),
            scanner: Some("Scan 64".into()),
            ..Acquisition::default()
        },
        remarks: Vec::new(),
        reading: None,
        package: String::new(),
        listed: Vec::new(),
        report: None,
        review: None,
        comparison: Some(Comparison {
            prior_study_uid: "1.2.3.99".into(),
            prior_study_date: "20251201".into(),
            changes: vec![Change {
                part: LungPart::Both,
                ground_glass_percent: [5.5, 2.3],
                consolidation_percent: [0.5, 0.6],
            }],
            nodules: Some(Nodules {
                days: 31,
                changes: vec![NoduleChange {
                    number: 1,
                    side: Side::Right,
                    lobe: Some(LobeName::RightUpper),
                    volume_mm3: [540.0, 905.0],
                    course: Course::Grown,
                    doubling_days: Some(41.6),
                }],
                unmatched: [0, 2],
            }),
            missing: None,
            differences: vec![Difference::Kernel(["B70f".into(), "B30f".into()])],
        }),
        timings_ms: Vec::new(),
    }
}
