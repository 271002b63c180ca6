//! A folder says what it lacks.

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use models::task::Unattended;

use super::*;

const SIDE: u16 = 64;

fn text(tag: Tag, vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

/// One image of a series, at this height.
fn image(modality: &str, series: &str, number: i32) -> InMemDicomObject {
    let class = if modality == "CT" { uids::CT_IMAGE_STORAGE } else { uids::MR_IMAGE_STORAGE };
    let short = |tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
    // Changes from pixel to pixel and from slice to slice as a picture does.
    let pixels = (0..i32::from(SIDE) * i32::from(SIDE)).map(|i| ((i * 7 + number * 13) % 900 + 300) as u16);
    InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, class),
        text(tags::SOP_INSTANCE_UID, VR::UI, &format!("1.2.3.{series}.{number}")),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, &format!("1.2.3.{series}")),
        text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.9"),
        text(tags::MODALITY, VR::CS, modality),
        text(tags::INSTANCE_NUMBER, VR::IS, &number.to_string()),
        text(tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("0\\0\\{}", 2 * number)),
        text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        text(tags::PIXEL_SPACING, VR::DS, "2\\2"),
        short(tags::SAMPLES_PER_PIXEL, 1),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        short(tags::ROWS, SIDE),
        short(tags::COLUMNS, SIDE),
        short(tags::BITS_ALLOCATED, 16),
        short(tags::BITS_STORED, 12),
        short(tags::HIGH_BIT, 11),
        short(tags::PIXEL_REPRESENTATION, 0),
        text(tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
        text(tags::RESCALE_SLOPE, VR::DS, "1"),
        DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(pixels.collect())),
    ])
}

fn put(folder: &Path, name: &str, object: InMemDicomObject) {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid("1.2.3.4");
    object.with_meta(meta).unwrap().write_to_file(folder.join(name)).unwrap();
}

/// Without any package.
fn analysed(folder: &Path) -> Result<Report, Error> {
    let mut options = Options::default();
    options.settings.analyze.packages = folder.join("none");
    options.settings.models.directory = Some(PathBuf::new());
    run(folder, &options, &Unattended)
}

#[test]
fn images_without_the_identifier_of_their_series_are_said_to_lack_it() {
    let folder = tempfile::tempdir().unwrap();
    for number in [1, 2] {
        let mut object = image("CT", "1", number);
        object.remove_element(tags::SERIES_INSTANCE_UID);
        put(folder.path(), &format!("{number}.dcm"), object);
    }
    let mut nameless = image("CT", "1", 3);
    nameless.put(text(tags::STUDY_INSTANCE_UID, VR::UI, ""));
    put(folder.path(), "3.dcm", nameless);
    std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
    let said = analysed(folder.path()).unwrap_err().to_string();
    let lacks = "can be used: Series Instance UID (0020,000E) is missing or empty (2 files); \
                 Study Instance UID (0020,000D) is missing or empty (1 file)";
    assert!(said.ends_with(lacks), "{said}");
    for number in [1, 2, 3] {
        std::fs::remove_file(folder.path().join(format!("{number}.dcm"))).unwrap();
    }
    let said = analysed(folder.path()).unwrap_err().to_string();
    assert!(said.starts_with("no DICOM file below "), "{said}");
}

#[test]
fn data_sets_without_a_file_header_are_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = vec![8, 0, 5, 0, b'C', b'S', 10, 0];
    bytes.extend(b"ISO_IR 100");
    for name in ["1", "2"] {
        std::fs::write(folder.path().join(name), &bytes).unwrap();
    }
    let said = analysed(folder.path()).unwrap_err().to_string();
    assert!(said.contains("a data set without the DICOM file header") && said.contains("(2 files)"), "{said}");
}

#[test]
fn the_directory_of_a_medium_is_no_broken_image() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "1.dcm", image("MR", "1", 1));
    let mut directory = image("CT", "1", 2);
    directory.remove_element(tags::SERIES_INSTANCE_UID);
    put(folder.path(), "DICOMDIR", directory.clone());
    put(folder.path(), "dirfile", directory);
    std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
    let report = analysed(folder.path()).unwrap();
    let skipped: Vec<_> = report.skipped.iter().map(|file| file.path.file_name().unwrap()).collect();
    assert_eq!((report.series.len(), skipped), (1, vec![std::ffi::OsStr::new("notes.txt")]));
}

#[test]
fn what_a_series_is_does_not_depend_on_which_object_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=4 {
        put(folder.path(), &format!("{number}.dcm"), image("CT", "1", number));
    }
    let mut localiser = image("CT", "1", 5);
    localiser.put(text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\LOCALIZER"));
    put(folder.path(), "0.dcm", localiser);
    let report = analysed(folder.path()).unwrap();
    assert_eq!((report.series[0].kind, report.series[0].instances, report.series[0].state), ("ct", 5, "failed"));
}

#[test]
fn without_a_package_every_series_is_listed_with_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=4 {
        put(folder.path(), &format!("ct-{number}.dcm"), image("CT", "1", number));
    }
    put(folder.path(), "mr.dcm", image("MR", "2", 1));
    let report = analysed(folder.path()).unwrap();
    let said: Vec<_> = report.series.iter().map(|s| (s.kind, s.instances, s.state)).collect();
    assert_eq!(said, [("ct", 4, "failed"), ("other", 1, "refused")], "{:?}", report.series);
    assert!(report.series[0].verdict.starts_with("not analysed: no usable model package"), "{:?}", report.series[0]);
}
