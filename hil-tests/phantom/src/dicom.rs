//! A phantom as a DICOM study in Explicit VR Little Endian: the CT series and localisers. With a vendor's headers it
//! also has a dose report and, if wanted, thick slices and coronal reformats.

mod dose_report;
mod localiser;
mod reformat;
mod vendor_headers;

use std::path::{Path, PathBuf};

use anyhow::Context;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::meta::FileMetaTableBuilder;
use dicom_object::{FileMetaTable, InMemDicomObject};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use self::localiser::{Look, localiser};
use super::Phantom;
use super::render::Slice;
use super::scanner::{Coding, Series, tube_current};
use super::visit::Visit;

/// One SOP instance in memory.
#[derive(Debug, Clone)]
pub struct Instance {
    /// A name for a folder of files, such as `CT/00001.dcm`.
    pub file_name: String,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    pub transfer_syntax_uid: String,
    /// The bytes of the Part 10 file.
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
        write_all(&self.instances, folder)
    }
}

/// Writes `instances` below `folder`; returns the paths in order.
///
/// # Errors
/// When a folder or file cannot be written.
pub fn write_all(instances: &[Instance], folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::with_capacity(instances.len());
    for instance in instances {
        let path = folder.join(&instance.file_name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
        }
        std::fs::write(&path, &instance.part10).with_context(|| format!("cannot write {}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}

/// Encodes the sampled `slices` (feet to head) of `phantom` with the headers of a generic scanner.
///
/// # Errors
/// When an instance cannot be encoded, which no valid options cause.
pub fn study(phantom: &Phantom, slices: &[Slice]) -> anyhow::Result<Study> {
    study_of(phantom, slices, &Visit::default())
}

/// Encodes the sampled `slices` (feet to head) of `phantom` with the headers of one visit to one scanner.
///
/// # Errors
/// When an instance cannot be encoded, which no valid options cause.
pub fn study_of(phantom: &Phantom, slices: &[Slice], visit: &Visit) -> anyhow::Result<Study> {
    let scan = Scan { phantom, slices, visit, names: Names::new(phantom, visit) };
    let mut instances = vec![localiser(&scan, Look::Front)?];
    if visit.vendor.is_some_and(|v| v.facts().lateral_too) {
        instances.push(localiser(&scan, Look::Side)?);
    }
    let ct: anyhow::Result<Vec<Instance>> = (0..slices.len()).into_par_iter().map(|i| scan.axial(i)).collect();
    instances.extend(ct?);
    if visit.reformats {
        instances.extend(reformat::thick(&scan)?);
        instances.extend(reformat::coronal(&scan)?);
    }
    if let Some(vendor) = visit.vendor {
        instances.push(dose_report::instance(&scan, vendor)?);
    }
    Ok(Study { study_instance_uid: scan.names.study, ct_series_instance_uid: scan.names.ct, instances })
}

/// What is to be encoded, and its UIDs.
pub(super) struct Scan<'a> {
    pub phantom: &'a Phantom,
    /// From the feet to the head.
    pub slices: &'a [Slice],
    pub visit: &'a Visit,
    pub names: Names,
}

/// UIDs of one scan, derived from seed, options and visit: the same scan always has the same UIDs, and different scans
/// have different ones.
pub(super) struct Names {
    pub root: String,
    pub study: String,
    pub ct: String,
    pub scout: String,
    pub frame: String,
}

impl Names {
    fn new(phantom: &Phantom, visit: &Visit) -> Self {
        let mut root = format!("{}/{:?}/{:?}", phantom.seed, phantom.options, phantom.grid);
        if *visit != Visit::default() {
            root.push_str(&format!("/{visit:?}"));
        }
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
pub(super) fn uid(root: &str, what: &str) -> String {
    let digest = Sha256::digest(format!("{root}/{what}"));
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    format!("2.25.{}", u128::from_be_bytes(bytes))
}

pub(super) fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: impl Into<String>) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value.into())));
}

pub(super) fn put_number(object: &mut InMemDicomObject, tag: Tag, value: u16) {
    object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
}

/// Patient, study, equipment and image pixel attributes that both series share.
pub(super) fn common(
    phantom: &Phantom,
    names: &Names,
    instance: &str,
    rows: usize,
    columns: usize,
) -> InMemDicomObject {
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

impl Scan<'_> {
    fn axial(&self, index: usize) -> anyhow::Result<Instance> {
        let Self { phantom, slices, names, .. } = self;
        let grid = &phantom.grid;
        // Instance 1 is nearest to the head, but `slices` begins at the feet.
        let k = slices.len() - 1 - index;
        let instance = uid(&names.root, &format!("ct/{index}"));
        let mut o = common(phantom, names, &instance, grid.rows, grid.columns);
        let pixel = format!("{:.3}\\{:.3}", grid.pixel_mm, grid.pixel_mm);
        let [x, y, _] = grid.origin_mm;
        // Decimal strings are computed from decimal inputs, so that distances are as even as those of a scanner.
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
        self.finish(o, Series::Thin, index, z, &slices[k].hu, instance)
    }

    /// Adds the vendor's headers and the pixels, and encodes the file.
    pub(super) fn finish(
        &self,
        mut o: InMemDicomObject,
        series: Series,
        index: usize,
        z: f64,
        hu: &[i16],
        instance: String,
    ) -> anyhow::Result<Instance> {
        vendor_headers::dress(&mut o, self, series, index, z);
        let coding = self.visit.vendor.map_or(Coding::UNSIGNED_12, |v| v.facts().coding);
        let mut stored: Vec<u16> = hu.iter().map(|v| coding.store(*v)).collect();
        if let (Some(padding), Series::Thin | Series::Thick) = (coding.padding, series) {
            pad(&mut stored, self.phantom.grid.columns, padding as u16);
        }
        o.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.into())));
        let folder = match series {
            Series::Localiser => "LOCALIZER",
            Series::Thin => "CT",
            Series::Thick => "THICK",
            Series::Coronal => "CORONAL",
        };
        encode(o, uids::CT_IMAGE_STORAGE, instance, format!("{folder}/{:05}.dcm", index + 1))
    }
}

/// Overwrites the pixels outside the circle that touches the sides of the image.
fn pad(stored: &mut [u16], columns: usize, padding: u16) {
    let rows = stored.len() / columns;
    let middle = |count: usize| (count as f32 - 1.0) / 2.0;
    let radius = middle(columns.min(rows)) + 0.5;
    for (row, line) in stored.chunks_exact_mut(columns).enumerate() {
        for (column, v) in line.iter_mut().enumerate() {
            let (x, y) = (column as f32 - middle(columns), row as f32 - middle(rows));
            if x * x + y * y > radius * radius {
                *v = padding;
            }
        }
    }
}

/// Adds the file meta group and encodes the file.
pub(super) fn encode(
    o: InMemDicomObject,
    sop_class: &str,
    instance: String,
    file_name: String,
) -> anyhow::Result<Instance> {
    let meta: FileMetaTable = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(sop_class)
        .media_storage_sop_instance_uid(instance.as_str())
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(uid("scanside", "bench implementation"))
        .implementation_version_name("SCANSIDE_BENCH")
        .build()
        .context("the file meta group is incomplete")?;
    let mut part10 = Vec::new();
    o.with_exact_meta(meta).write_all(&mut part10).context("an instance cannot be encoded")?;
    Ok(Instance {
        file_name,
        sop_class_uid: sop_class.to_owned(),
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
