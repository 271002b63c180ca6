//! A phantom as a DICOM study: one CT series and one localiser, in Explicit VR Little Endian.

use std::path::{Path, PathBuf};

use anyhow::Context;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::meta::FileMetaTableBuilder;
use dicom_object::{FileMetaTable, InMemDicomObject};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::Phantom;
use super::render::Slice;

/// One SOP instance in memory.
#[derive(Debug, Clone)]
pub struct Instance {
    /// A name for a folder of files, such as `CT/00001.dcm`.
    pub file_name: String,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    /// The whole Part 10 file.
    pub part10: Vec<u8>,
}

/// The instances of one study in the order in which a scanner sends them: localiser first, then head to feet.
#[derive(Debug, Clone)]
pub struct Study {
    pub study_instance_uid: String,
    pub ct_series_instance_uid: String,
    pub instances: Vec<Instance>,
}

impl Study {
    /// Writes every instance below `folder`; returns the paths in order.
    ///
    /// # Errors
    /// When a folder or file cannot be written.
    pub fn write_to(&self, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
        let mut paths = Vec::with_capacity(self.instances.len());
        for instance in &self.instances {
            let path = folder.join(&instance.file_name);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)
                    .with_context(|| format!("cannot make the folder {}", parent.display()))?;
            }
            std::fs::write(&path, &instance.part10).with_context(|| format!("cannot write {}", path.display()))?;
            paths.push(path);
        }
        Ok(paths)
    }
}

/// Encodes the sampled `slices` (feet to head) of `phantom`.
///
/// # Errors
/// When an instance cannot be encoded, which no valid options cause.
pub fn study(phantom: &Phantom, slices: &[Slice]) -> anyhow::Result<Study> {
    let names = Names::new(phantom);
    let mut instances = vec![localiser(phantom, slices, &names)?];
    let ct: anyhow::Result<Vec<Instance>> =
        (0..slices.len()).into_par_iter().map(|i| axial(phantom, slices, i, &names)).collect();
    instances.extend(ct?);
    Ok(Study { study_instance_uid: names.study, ct_series_instance_uid: names.ct, instances })
}

/// UIDs of one phantom: from seed and options, so that the same scan has the same names and another has others.
struct Names {
    root: String,
    study: String,
    ct: String,
    scout: String,
    frame: String,
}

impl Names {
    fn new(phantom: &Phantom) -> Self {
        let root = format!("{}/{:?}/{:?}", phantom.seed, phantom.options, phantom.grid);
        Self {
            study: uid(&root, "study"),
            ct: uid(&root, "ct"),
            scout: uid(&root, "scout"),
            frame: uid(&root, "frame"),
            root,
        }
    }
}

/// `2.25.` and 128 bits of a hash as a decimal number (PS3.5 B.2), marked as a version 8 UUID (RFC 9562).
fn uid(root: &str, what: &str) -> String {
    let digest = Sha256::digest(format!("{root}/{what}"));
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: impl Into<String>) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value.into())));
}

fn put_number(object: &mut InMemDicomObject, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// Patient, study, equipment and image pixel attributes that both series share.
fn common(phantom: &Phantom, names: &Names, instance: &str, rows: usize, columns: usize) -> InMemDicomObject {
    let mut o = InMemDicomObject::new_empty();
    let seed = phantom.seed;
    let text: [(Tag, VR, String); 38] = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100".into()),
        (tags::INSTANCE_CREATION_DATE, VR::DA, "20260105".into()),
        (tags::INSTANCE_CREATION_TIME, VR::TM, "093211".into()),
        (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE.into()),
        (tags::SOP_INSTANCE_UID, VR::UI, instance.into()),
        (tags::STUDY_DATE, VR::DA, "20260105".into()),
        (tags::SERIES_DATE, VR::DA, "20260105".into()),
        (tags::ACQUISITION_DATE, VR::DA, "20260105".into()),
        (tags::CONTENT_DATE, VR::DA, "20260105".into()),
        (tags::STUDY_TIME, VR::TM, "093000".into()),
        (tags::SERIES_TIME, VR::TM, "093140".into()),
        (tags::ACQUISITION_TIME, VR::TM, "093155".into()),
        (tags::CONTENT_TIME, VR::TM, "093211".into()),
        (tags::ACCESSION_NUMBER, VR::SH, format!("PH{seed:08}")),
        (tags::MODALITY, VR::CS, "CT".into()),
        (tags::MANUFACTURER, VR::LO, "Scanside bench".into()),
        (tags::INSTITUTION_NAME, VR::LO, "Phantom clinic".into()),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, "REFERRER^NOBODY".into()),
        (tags::STATION_NAME, VR::SH, "PHANTOMCT".into()),
        (tags::STUDY_DESCRIPTION, VR::LO, "CT chest (phantom)".into()),
        (tags::MANUFACTURER_MODEL_NAME, VR::LO, "Analytic chest".into()),
        (tags::PATIENT_NAME, VR::PN, "PHANTOM^CHEST".into()),
        (tags::PATIENT_ID, VR::LO, format!("PHANTOM-{seed}")),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19600229".into()),
        (tags::PATIENT_SEX, VR::CS, "O".into()),
        (tags::PATIENT_AGE, VR::AS, "065Y".into()),
        (tags::BODY_PART_EXAMINED, VR::CS, "CHEST".into()),
        (tags::KVP, VR::DS, "120".into()),
        (tags::DEVICE_SERIAL_NUMBER, VR::LO, "0".into()),
        (tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION").into()),
        (tags::PATIENT_POSITION, VR::CS, "HFS".into()),
        (tags::STUDY_INSTANCE_UID, VR::UI, names.study.clone()),
        (tags::STUDY_ID, VR::SH, format!("{}", seed % 1_000_000)),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, names.frame.clone()),
        (tags::POSITION_REFERENCE_INDICATOR, VR::LO, String::new()),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2".into()),
        (tags::RESCALE_INTERCEPT, VR::DS, "-1024".into()),
        (tags::RESCALE_SLOPE, VR::DS, "1".into()),
    ];
    for (tag, vr, value) in text {
        put(&mut o, tag, vr, value);
    }
    put_number(&mut o, tags::SAMPLES_PER_PIXEL, 1);
    put_number(&mut o, tags::ROWS, rows as u16);
    put_number(&mut o, tags::COLUMNS, columns as u16);
    put_number(&mut o, tags::BITS_ALLOCATED, 16);
    put_number(&mut o, tags::BITS_STORED, 12);
    put_number(&mut o, tags::HIGH_BIT, 11);
    put_number(&mut o, tags::PIXEL_REPRESENTATION, 0);
    o
}

fn axial(phantom: &Phantom, slices: &[Slice], index: usize, names: &Names) -> anyhow::Result<Instance> {
    let grid = &phantom.grid;
    // Instance 1 is nearest to the head; slices are kept from the feet.
    let k = slices.len() - 1 - index;
    let instance = uid(&names.root, &format!("ct/{index}"));
    let mut o = common(phantom, names, &instance, grid.rows, grid.columns);
    let pixel = format!("{:.3}\\{:.3}", grid.pixel_mm, grid.pixel_mm);
    let [x, y, _] = grid.origin_mm;
    // Decimal strings are computed from decimal inputs, so that positions are as even as a scanner's.
    let z = f64::from((grid.origin_mm[2] * 100.0).round() as i32) / 100.0
        + k as f64 * f64::from((grid.slice_mm * 1000.0).round() as i32) / 1000.0;
    put(&mut o, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL");
    put(&mut o, tags::RESCALE_TYPE, VR::LO, "HU");
    put(
        &mut o,
        tags::SERIES_DESCRIPTION,
        VR::LO,
        format!("Lung {:.2} {}", grid.slice_mm, phantom.options.kernel.name()),
    );
    put(&mut o, tags::SLICE_THICKNESS, VR::DS, format!("{:.3}", grid.slice_mm));
    put(&mut o, tags::CONVOLUTION_KERNEL, VR::SH, phantom.options.kernel.name());
    put(&mut o, tags::DATA_COLLECTION_DIAMETER, VR::DS, "500");
    put(&mut o, tags::RECONSTRUCTION_DIAMETER, VR::DS, format!("{:.1}", grid.pixel_mm * grid.columns as f32));
    put(&mut o, tags::GANTRY_DETECTOR_TILT, VR::DS, "0");
    put(&mut o, tags::EXPOSURE_TIME, VR::IS, "500");
    put(&mut o, tags::X_RAY_TUBE_CURRENT, VR::IS, format!("{}", tube_current(phantom.options.noise_hu)));
    put(&mut o, tags::SERIES_INSTANCE_UID, VR::UI, names.ct.clone());
    put(&mut o, tags::SERIES_NUMBER, VR::IS, "2");
    put(&mut o, tags::ACQUISITION_NUMBER, VR::IS, "1");
    put(&mut o, tags::INSTANCE_NUMBER, VR::IS, format!("{}", index + 1));
    put(&mut o, tags::IMAGE_POSITION_PATIENT, VR::DS, format!("{x:.2}\\{y:.2}\\{z:.3}"));
    put(&mut o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0");
    put(&mut o, tags::SLICE_LOCATION, VR::DS, format!("{z:.3}"));
    put(&mut o, tags::PIXEL_SPACING, VR::DS, pixel);
    put(&mut o, tags::WINDOW_CENTER, VR::DS, "-600");
    put(&mut o, tags::WINDOW_WIDTH, VR::DS, "1500");
    finish(o, &slices[k].hu, instance, format!("CT/{:05}.dcm", index + 1))
}

/// Noise falls with the root of the dose: 15 HU at 200 mA.
fn tube_current(noise_hu: f32) -> u32 {
    (200.0 * (15.0 / noise_hu.max(1.0)).powi(2)).clamp(10.0, 800.0) as u32
}

/// A frontal overview: the mean of each line of sight from front to back.
fn localiser(phantom: &Phantom, slices: &[Slice], names: &Names) -> anyhow::Result<Instance> {
    let grid = &phantom.grid;
    let instance = uid(&names.root, "scout/0");
    let pixel = grid.pixel_mm.max(grid.slice_mm);
    let extent = |count: usize, step: f32| ((count as f32 * step / pixel) as usize).max(1);
    let (rows, columns) = (extent(grid.slices, grid.slice_mm), extent(grid.columns, grid.pixel_mm));
    let mut hu = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        let k = grid.slices - 1 - ((row as f32 * pixel / grid.slice_mm) as usize).min(grid.slices - 1);
        for column in 0..columns {
            let i = ((column as f32 * pixel / grid.pixel_mm) as usize).min(grid.columns - 1);
            let sum: i64 = slices[k].hu.iter().skip(i).step_by(grid.columns).map(|v| i64::from(*v)).sum();
            hu.push((sum / grid.rows as i64) as i16);
        }
    }
    let mut o = common(phantom, names, &instance, rows, columns);
    put(&mut o, tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER");
    // Lines of sight are no Hounsfield units (PS3.3 C.8.2.1).
    put(&mut o, tags::RESCALE_TYPE, VR::LO, "US");
    put(&mut o, tags::SERIES_DESCRIPTION, VR::LO, "Topogram");
    put(&mut o, tags::SLICE_THICKNESS, VR::DS, "0.6");
    put(&mut o, tags::CONVOLUTION_KERNEL, VR::SH, "T20f");
    put(&mut o, tags::SERIES_INSTANCE_UID, VR::UI, names.scout.clone());
    put(&mut o, tags::SERIES_NUMBER, VR::IS, "1");
    put(&mut o, tags::ACQUISITION_NUMBER, VR::IS, "1");
    put(&mut o, tags::INSTANCE_NUMBER, VR::IS, "1");
    let top = grid.z(grid.slices.saturating_sub(1));
    put(&mut o, tags::IMAGE_POSITION_PATIENT, VR::DS, format!("{:.2}\\0\\{top:.2}", grid.origin_mm[0]));
    put(&mut o, tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\0\\-1");
    put(&mut o, tags::PIXEL_SPACING, VR::DS, format!("{pixel:.3}\\{pixel:.3}"));
    put(&mut o, tags::WINDOW_CENTER, VR::DS, "-500");
    put(&mut o, tags::WINDOW_WIDTH, VR::DS, "900");
    finish(o, &hu, instance, "LOCALIZER/00001.dcm".into())
}

/// Adds the pixels and the file meta group and encodes the file.
fn finish(mut o: InMemDicomObject, hu: &[i16], instance: String, file_name: String) -> anyhow::Result<Instance> {
    let stored: Vec<u16> = hu.iter().map(|v| (i32::from(*v) + 1024).clamp(0, 4095) as u16).collect();
    o.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.into())));
    let meta: FileMetaTable = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(instance.as_str())
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(uid("scanside", "bench implementation"))
        .implementation_version_name("SCANSIDE_BENCH")
        .build()
        .context("the file meta group is incomplete")?;
    let mut part10 = Vec::with_capacity(hu.len() * 2 + 4096);
    o.with_exact_meta(meta).write_all(&mut part10).context("an instance cannot be encoded")?;
    Ok(Instance {
        file_name,
        sop_class_uid: uids::CT_IMAGE_STORAGE.into(),
        sop_instance_uid: instance,
        transfer_syntax_uid: uids::EXPLICIT_VR_LITTLE_ENDIAN.into(),
        part10,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Options;
    use super::*;

    #[test]
    fn the_same_seed_and_options_give_the_same_bytes_and_another_seed_gives_others() {
        let (first, _) = Phantom::chest(7, &Options::small()).unwrap();
        let (again, _) = Phantom::chest(7, &Options::small()).unwrap();
        let (other, _) = Phantom::chest(8, &Options::small()).unwrap();
        let bytes = |s: &Study| s.instances.iter().map(|i| i.part10.clone()).collect::<Vec<_>>();
        assert!(bytes(&first) == bytes(&again));
        assert!(bytes(&first) != bytes(&other));
        assert_ne!(first.study_instance_uid, other.study_instance_uid);
    }

    #[test]
    fn a_study_reads_back_with_unique_valid_uids_even_positions_and_hounsfield_units() {
        let phantom = Phantom::new(3, &Options::small());
        let (slices, _) = phantom.render();
        let study = study(&phantom, &slices).unwrap();
        assert_eq!(study.instances.len(), 41);
        let mut names = BTreeSet::new();
        for (i, instance) in study.instances.iter().enumerate() {
            assert!(instance.sop_instance_uid.len() <= 64 && names.insert(instance.sop_instance_uid.clone()));
            let o = dicom_object::from_reader(instance.part10.as_slice()).unwrap();
            let kind = o.element(tags::IMAGE_TYPE).unwrap().to_str().unwrap().to_string();
            assert_eq!(kind.ends_with("LOCALIZER"), i == 0);
            if i == 0 {
                continue;
            }
            let position = o.element(tags::IMAGE_POSITION_PATIENT).unwrap().to_multi_float64().unwrap();
            let k = 40 - i;
            assert!((position[2] - f64::from(phantom.grid.z(k))).abs() < 0.01);
            let stored = o.element(tags::PIXEL_DATA).unwrap().to_multi_int::<u16>().unwrap();
            assert!(stored.iter().zip(&slices[k].hu).all(|(s, h)| i32::from(*s) - 1024 == i32::from(*h)));
        }
    }
}
