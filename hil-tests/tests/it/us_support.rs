//! Ultrasound images and clips as scanners store them, made of phantom pictures or of pictures from files.

use std::path::Path;

use dicom_core::value::{DataSetSequence, PixelFragmentSequence, PrimitiveValue};
use dicom_core::{DataElement, DicomValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use hil_tests::part10::Instance;
use phantom::ultrasound::layout::Rect;

/// Stored pixels of one size.
#[derive(Debug, Clone)]
pub enum Pixels {
    /// One frame or more.
    Grey(Vec<Vec<u8>>),
    /// Red, green, blue of each pixel.
    Rgb(Vec<u8>),
    /// A clip whose frames are compressed (RLE Lossless).
    Rle(Vec<Vec<u8>>),
}

/// One stored image or clip.
#[derive(Debug, Clone)]
pub struct Picture {
    pub study: String,
    pub series: u32,
    pub number: u32,
    pub body_part: &'static str,
    pub study_description: &'static str,
    pub size: [usize; 2],
    pub pixels: Pixels,
    /// The B-mode area and millimetres per pixel.
    pub region: Option<(Rect, f32)>,
    /// `L`, `R` or empty: which breast it shows.
    pub laterality: &'static str,
    /// YYYYMMDD.
    pub study_date: &'static str,
}

fn element(tag: Tag, vr: VR, value: impl Into<PrimitiveValue>) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, value.into())
}

impl Picture {
    pub fn uid(&self) -> String {
        format!("{}.{}.{}", self.study, self.series, self.number)
    }

    pub fn part10(&self) -> Vec<u8> {
        let (frames, bytes, photometric) = match &self.pixels {
            Pixels::Grey(frames) => (frames.len(), frames.concat(), "MONOCHROME2"),
            Pixels::Rgb(bytes) => (1, bytes.clone(), "RGB"),
            Pixels::Rle(frames) => (frames.len(), Vec::new(), "MONOCHROME2"),
        };
        let class =
            if frames > 1 { uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE } else { uids::ULTRASOUND_IMAGE_STORAGE };
        let samples: u16 = if photometric == "RGB" { 3 } else { 1 };
        let uid = self.uid();
        let mut object = InMemDicomObject::from_element_iter([
            element(tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
            element(tags::SOP_CLASS_UID, VR::UI, class),
            element(tags::SOP_INSTANCE_UID, VR::UI, uid.as_str()),
            element(tags::STUDY_INSTANCE_UID, VR::UI, self.study.as_str()),
            element(tags::SERIES_INSTANCE_UID, VR::UI, format!("{}.{}", self.study, self.series)),
            element(tags::MODALITY, VR::CS, "US"),
            element(tags::MANUFACTURER, VR::LO, "PHANTOM"),
            element(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\BREAST\\0001"),
            element(tags::STUDY_DATE, VR::DA, self.study_date),
            element(tags::STUDY_TIME, VR::TM, "030000"),
            element(tags::STUDY_DESCRIPTION, VR::LO, self.study_description),
            element(tags::BODY_PART_EXAMINED, VR::CS, self.body_part),
            element(tags::PATIENT_NAME, VR::PN, "PHANTOM^EVA"),
            element(tags::PATIENT_ID, VR::LO, "P7"),
            element(tags::PATIENT_BIRTH_DATE, VR::DA, "19700101"),
            element(tags::PATIENT_SEX, VR::CS, "F"),
            element(tags::STUDY_ID, VR::SH, "1"),
            element(tags::ACCESSION_NUMBER, VR::SH, "A1"),
            element(tags::SERIES_NUMBER, VR::IS, self.series.to_string()),
            element(tags::INSTANCE_NUMBER, VR::IS, self.number.to_string()),
            element(tags::SAMPLES_PER_PIXEL, VR::US, samples),
            element(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, photometric),
            element(tags::COLUMNS, VR::US, u16::try_from(self.size[0]).unwrap()),
            element(tags::ROWS, VR::US, u16::try_from(self.size[1]).unwrap()),
            element(tags::BITS_ALLOCATED, VR::US, 8u16),
            element(tags::BITS_STORED, VR::US, 8u16),
            element(tags::HIGH_BIT, VR::US, 7u16),
            element(tags::PIXEL_REPRESENTATION, VR::US, 0u16),
            element(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00"),
            element(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(bytes.into())),
        ]);
        if !self.laterality.is_empty() {
            object.put(element(tags::IMAGE_LATERALITY, VR::CS, self.laterality));
        }
        if samples == 3 {
            object.put(element(tags::PLANAR_CONFIGURATION, VR::US, 0u16));
        }
        if frames > 1 {
            object.put(element(tags::NUMBER_OF_FRAMES, VR::IS, frames.to_string()));
            object.put(element(tags::FRAME_TIME, VR::DS, "33.3"));
        }
        if let Some((rect, mm)) = self.region {
            let item = region(rect, mm);
            object.put(DataElement::new(
                tags::SEQUENCE_OF_ULTRASOUND_REGIONS,
                VR::SQ,
                DataSetSequence::from(vec![item]),
            ));
        }
        let mut syntax = uids::EXPLICIT_VR_LITTLE_ENDIAN;
        if let Pixels::Rle(frames) = &self.pixels {
            syntax = uids::RLE_LOSSLESS;
            let sequence = PixelFragmentSequence::new(Vec::new(), frames.clone());
            object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, DicomValue::from(sequence)));
        }
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(syntax)
            .media_storage_sop_class_uid(class)
            .media_storage_sop_instance_uid(uid);
        let mut file = Vec::new();
        object.with_meta(meta).unwrap().write_all(&mut file).unwrap();
        file
    }

    pub fn instance(&self) -> Instance {
        Instance::from_part10(&self.part10()).unwrap()
    }

    pub fn write(&self, folder: &Path) {
        std::fs::write(folder.join(format!("{}.dcm", self.uid())), self.part10()).unwrap();
    }
}

/// One frame of eight bits in RLE Lossless (PS3.5 Annex G): one segment of literal runs.
pub fn rle(grey: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = [1u32, 64].into_iter().chain([0; 14]).flat_map(u32::to_le_bytes).collect();
    for run in grey.chunks(128) {
        out.push(u8::try_from(run.len() - 1).unwrap());
        out.extend(run);
    }
    out.resize(out.len().next_multiple_of(2), 0);
    out
}

fn region(rect: Rect, mm: f32) -> InMemDicomObject {
    let place = |pixels: usize| u32::try_from(pixels).unwrap();
    let delta = f64::from(mm) / 10.0;
    InMemDicomObject::from_element_iter([
        element(tags::REGION_LOCATION_MIN_X0, VR::UL, place(rect.x)),
        element(tags::REGION_LOCATION_MIN_Y0, VR::UL, place(rect.y)),
        element(tags::REGION_LOCATION_MAX_X1, VR::UL, place(rect.right() - 1)),
        element(tags::REGION_LOCATION_MAX_Y1, VR::UL, place(rect.bottom() - 1)),
        element(tags::PHYSICAL_UNITS_X_DIRECTION, VR::US, 3u16),
        element(tags::PHYSICAL_UNITS_Y_DIRECTION, VR::US, 3u16),
        element(tags::PHYSICAL_DELTA_X, VR::FD, delta),
        element(tags::PHYSICAL_DELTA_Y, VR::FD, delta),
        element(tags::REGION_SPATIAL_FORMAT, VR::US, 1u16),
        element(tags::REGION_DATA_TYPE, VR::US, 1u16),
        element(tags::REGION_FLAGS, VR::UL, 0u32),
    ])
}
