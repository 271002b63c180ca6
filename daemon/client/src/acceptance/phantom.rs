//! The test study: a chest of ellipsoids as a CT, small enough to be sent and read in seconds. It is a test of the way, not of
//! the findings: those have the golden answers of each package.
//!
//! Nobody takes it for a patient: name and Patient ID say TEST, Quality Control Subject is YES, and TEST stands in each picture.
//! The bench's phantoms (`hil-tests/phantom`) look like patients, which is what they are for; decision 0032.

use dicom::{test_object, uid};
use dicom_core::value::PrimitiveValue;
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

const COLUMNS: usize = 144;
const ROWS: usize = 112;
pub const SLICES: usize = 66;
/// Millimetres; a body of 300 x 210 mm fits with air about it.
const PIXEL_MM: f64 = 2.4;
const SLICE_MM: f64 = 2.5;
/// Of the lowest slice, mm (LPS).
const LOWEST_MM: f64 = -66.0;
/// Half axes of each lung, which lies within the slices as a whole, and the distance of its centre from the midline, mm.
const LUNG_MM: [f64; 3] = [52.0, 80.0, 56.0];
const APART_MM: f64 = 70.0;
/// One nodule, so that there is something to say: centre and radius, mm.
const NODULE_MM: ([f64; 3], f64) = ([70.0, -20.0, 10.0], 9.0);
/// Rescale Intercept: stored values are never negative.
const INTERCEPT: i16 = -1024;
/// Standard deviation of the noise, HU.
const NOISE_HU: f64 = 12.0;

/// Five columns and seven rows of each letter of TEST, the left column in the highest bit.
const LETTERS: [[u8; 7]; 4] = [
    [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
    [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
    [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110],
    [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
];
const LETTER_HU: i16 = 800;

/// Who, where and when: what makes this study another one than that of yesterday.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub serial_number: &'a str,
    /// `2026-01-31T10:00:00.000Z`.
    pub utc: &'a str,
    /// Whether its results go where results go.
    pub delivered: bool,
}

#[derive(Debug)]
pub struct Study {
    pub study_uid: String,
    pub series_uid: String,
    /// Part 10 files.
    pub images: Vec<Vec<u8>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the test study cannot be written: {0}")]
pub struct Error(String);

/// Makes the study. The same order gives the same bytes.
///
/// # Errors
/// When an image cannot be encoded, which no order causes.
pub fn study(order: Order<'_>) -> Result<Study, Error> {
    let root = format!("acceptance {} {} {}", order.serial_number, order.utc, order.delivered);
    let of = |what: &str| uid::from_name(&format!("{root} {what}"));
    let (study_uid, series_uid, frame) = (of("study"), of("series"), of("frame"));
    let image = |index: usize| {
        let uid = of(&format!("image {index}"));
        let mut object = common(order, &study_uid, &series_uid, &frame);
        let z = LOWEST_MM + (SLICES - 1 - index) as f64 * SLICE_MM;
        put(&mut object, tags::SOP_INSTANCE_UID, VR::UI, &uid);
        put(&mut object, tags::INSTANCE_NUMBER, VR::IS, &(index + 1).to_string());
        let [left, top] = [COLUMNS, ROWS].map(|count| -((count - 1) as f64) * PIXEL_MM / 2.0);
        put(&mut object, tags::IMAGE_POSITION_PATIENT, VR::DS, &format!("{left:.1}\\{top:.1}\\{z:.1}"));
        put(&mut object, tags::SLICE_LOCATION, VR::DS, &format!("{z:.1}"));
        let stored = PrimitiveValue::U16(pixels(z, index).into());
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, stored));
        encoded(object, &uid)
    };
    let images = (0..SLICES).map(image).collect::<Result<_, _>>()?;
    Ok(Study { study_uid, series_uid, images })
}

fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

/// Patient, study, series and what all images share.
fn common(order: Order<'_>, study: &str, series: &str, frame: &str) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let digits: String = order.utc.chars().filter(char::is_ascii_digit).collect();
    let (date, time) = (digits.get(..8).unwrap_or_default(), digits.get(8..14).unwrap_or_default());
    // SH: 16 characters at most.
    let accession = format!("TEST{}", digits.get(2..14).unwrap_or_default());
    let spacing = format!("{PIXEL_MM}\\{PIXEL_MM}");
    let text: [(Tag, VR, &str); 43] = [
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
        (tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
        (tags::STUDY_DATE, VR::DA, date),
        (tags::SERIES_DATE, VR::DA, date),
        (tags::ACQUISITION_DATE, VR::DA, date),
        (tags::CONTENT_DATE, VR::DA, date),
        (tags::STUDY_TIME, VR::TM, time),
        (tags::SERIES_TIME, VR::TM, time),
        (tags::ACQUISITION_TIME, VR::TM, time),
        (tags::CONTENT_TIME, VR::TM, time),
        (tags::ACCESSION_NUMBER, VR::SH, &accession),
        (tags::MODALITY, VR::CS, "CT"),
        (tags::MANUFACTURER, VR::LO, "Scanside"),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, ""),
        (tags::STATION_NAME, VR::SH, "ACCEPTANCE"),
        (tags::STUDY_DESCRIPTION, VR::LO, "TEST - acceptance of the box, not a patient"),
        (tags::SERIES_DESCRIPTION, VR::LO, "TEST - chest of ellipsoids"),
        (tags::MANUFACTURER_MODEL_NAME, VR::LO, "Acceptance test"),
        (tags::PATIENT_NAME, VR::PN, test_object::NAME),
        (tags::PATIENT_ID, VR::LO, test_object::patient_id(order.delivered)),
        (tags::PATIENT_BIRTH_DATE, VR::DA, ""),
        (tags::PATIENT_SEX, VR::CS, "O"),
        (tags::PATIENT_AGE, VR::AS, "050Y"),
        (tags::QUALITY_CONTROL_SUBJECT, VR::CS, "YES"),
        (tags::BODY_PART_EXAMINED, VR::CS, "CHEST"),
        (tags::SLICE_THICKNESS, VR::DS, "2.5"),
        (tags::KVP, VR::DS, "120"),
        (tags::SOFTWARE_VERSIONS, VR::LO, env!("CARGO_PKG_VERSION")),
        (tags::CONVOLUTION_KERNEL, VR::SH, "TEST"),
        (tags::PATIENT_POSITION, VR::CS, "HFS"),
        (tags::STUDY_INSTANCE_UID, VR::UI, study),
        (tags::SERIES_INSTANCE_UID, VR::UI, series),
        (tags::STUDY_ID, VR::SH, "TEST"),
        (tags::SERIES_NUMBER, VR::IS, "1"),
        (tags::ACQUISITION_NUMBER, VR::IS, "1"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, frame),
        (tags::POSITION_REFERENCE_INDICATOR, VR::LO, ""),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        (tags::PIXEL_SPACING, VR::DS, &spacing),
        (tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
        (tags::RESCALE_SLOPE, VR::DS, "1"),
        (tags::RESCALE_TYPE, VR::LO, "HU"),
    ];
    for (tag, vr, value) in text {
        put(&mut object, tag, vr, value);
    }
    let numbers: [(Tag, usize); 7] = [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, ROWS),
        (tags::COLUMNS, COLUMNS),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ];
    for (tag, value) in numbers {
        let value = u16::try_from(value).unwrap_or_default();
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    object
}

fn encoded(object: InMemDicomObject, uid: &str) -> Result<Vec<u8>, Error> {
    let failed = |error: &dyn std::fmt::Display| Error(error.to_string());
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid(uid)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(dicom::implementation::CLASS_UID)
        .implementation_version_name(dicom::implementation::VERSION_NAME)
        .build()
        .map_err(|error| failed(&error))?;
    let mut part10 = Vec::new();
    object.with_exact_meta(meta).write_all(&mut part10).map_err(|error| failed(&error))?;
    Ok(part10)
}

/// Stored values of the slice at `z`, row by row.
fn pixels(z: f64, index: usize) -> Vec<u16> {
    let mut noise = Noise(index as u64 + 1);
    let one = |at: usize| {
        let (column, row) = (at % COLUMNS, at / COLUMNS);
        let centred = |at: usize, count: usize| (at as f64 - (count - 1) as f64 / 2.0) * PIXEL_MM;
        let hu = letter(column, row).unwrap_or_else(|| {
            let point = [centred(column, COLUMNS), centred(row, ROWS), z];
            hu(point) + noise.next()
        });
        u16::try_from((hu - INTERCEPT).clamp(0, 4095)).unwrap_or_default()
    };
    (0..COLUMNS * ROWS).map(one).collect()
}

/// The word TEST in the air above the chest, one pixel per bit.
fn letter(column: usize, row: usize) -> Option<i16> {
    let (left, top) = (COLUMNS / 2 - 12, 2);
    let (x, y) = (column.checked_sub(left)?, row.checked_sub(top)?);
    let bits = LETTERS.get(x / 6)?.get(y)?;
    let bit = 4_usize.checked_sub(x % 6)?;
    (bits >> bit & 1 == 1).then_some(LETTER_HU)
}

fn within(point: [f64; 3], centre: [f64; 3], half: [f64; 3]) -> bool {
    (0..3).map(|axis| ((point[axis] - centre[axis]) / half[axis]).powi(2)).sum::<f64>() <= 1.0
}

/// Attenuation at a point, mm, LPS.
fn hu(point: [f64; 3]) -> i16 {
    let [x, y, z] = point;
    let trachea = z > 40.0 && x.hypot(y - 10.0) < 9.0;
    let lung = [-APART_MM, APART_MM].into_iter().any(|side| within(point, [side, 0.0, 0.0], LUNG_MM));
    let body = within([x, y, 0.0], [0.0; 3], [150.0, 105.0, 1.0]);
    if within(point, NODULE_MM.0, [NODULE_MM.1; 3]) {
        30
    } else if trachea {
        -980
    } else if lung {
        -850
    } else if x.hypot(y - 80.0) < 14.0 {
        300
    } else if body {
        40
    } else {
        -1000
    }
}

/// The same noise on every box: sums of uniform numbers of a linear congruential generator (Knuth, MMIX).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> i16 {
        let mut sum = 0.0;
        for _ in 0..4 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (self.0 >> 40) as f64 / f64::from(1 << 24) - 0.5;
        }
        // Four uniform numbers have a variance of 4/12.
        let value = sum * NOISE_HU * 3.0_f64.sqrt();
        #[allow(clippy::cast_possible_truncation, reason = "two times the square root of three times 12 at most")]
        let rounded = value.round() as i16;
        rounded
    }
}

#[cfg(test)]
mod tests {
    use dicom_object::from_reader;

    use super::*;

    const ORDER: Order<'_> = Order { serial_number: "SN-1", utc: "2026-01-31T10:20:30.000Z", delivered: true };

    #[test]
    fn nobody_takes_it_for_a_patient() {
        for delivered in [true, false] {
            let study = study(Order { delivered, ..ORDER }).unwrap();
            assert_eq!(study.images.len(), SLICES);
            for image in &study.images {
                let object = from_reader(image.as_slice()).unwrap();
                let text = |tag| object.element(tag).unwrap().to_str().unwrap().into_owned();
                assert!(text(tags::PATIENT_NAME).starts_with("TEST^"));
                assert_eq!(text(tags::PATIENT_ID), test_object::patient_id(delivered));
                assert_eq!(text(tags::QUALITY_CONTROL_SUBJECT), "YES");
                assert!(text(tags::STUDY_DESCRIPTION).starts_with("TEST"));
                assert!(text(tags::ACCESSION_NUMBER).len() <= 16);
            }
        }
    }

    #[test]
    fn two_runs_are_two_studies_and_one_run_is_the_same_bytes() {
        let (one, again) = (study(ORDER).unwrap(), study(ORDER).unwrap());
        assert_eq!((&one.study_uid, &one.images), (&again.study_uid, &again.images));
        let later = study(Order { utc: "2026-02-01T10:20:30.000Z", ..ORDER }).unwrap();
        assert_ne!(one.study_uid, later.study_uid);
        assert_ne!(study(Order { serial_number: "SN-2", ..ORDER }).unwrap().study_uid, one.study_uid, "another box");
    }

    #[test]
    fn each_picture_says_test_in_the_air_above_the_chest() {
        let stored = pixels(0.0, 0);
        let bright = |column: usize, row: usize| stored[row * COLUMNS + column] > 1700;
        let row = |row: usize| (60..84).map(|column| if bright(column, row) { '#' } else { '.' }).collect::<String>();
        assert_eq!(row(2), "#####.#####..####.#####.");
        assert_eq!(row(5), "..#...####...###....#...");
        assert!((10..16).all(|at| (0..COLUMNS).all(|column| !bright(column, at))), "it does not touch the chest");
    }
}
