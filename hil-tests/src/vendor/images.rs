//! The images of a scanner's day: phantoms, with patient and study of the order as they came, and with what the vendor writes into every
//! header.

use anyhow::{Context, Result, bail};
use dicom_core::value::{DataSetSequence, PixelFragmentSequence};
use dicom_core::{DataElement, DicomValue, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use phantom::mammography::{self, Case};
use phantom::scanner::Vendor;
use phantom::visit::{Day, Visit};
use phantom::{Options, Phantom};

use super::habits::{Element, Habits, Header, Images};
use super::{IMPLICIT, uid};
use crate::elements::{Elements, Writer};
use crate::part10::{Instance, part10};

/// Coarser than any scanner, so that a study is small: a whole chest for the analysis all the same.
const CHEST: (usize, usize, f32, f32) = (96, 36, 3.9, 8.0);
const BREAST_PIXEL_MM: f32 = 0.5;
const ULTRASOUND: (u16, u16) = (96, 72);
const CLIP_FRAMES: usize = 4;

/// What was ordered, from the worklist; names and numbers as bytes, in whatever character set they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    pub character_set: String,
    pub name: Vec<u8>,
    pub patient_id: Vec<u8>,
    pub birth_date: String,
    pub sex: String,
    pub accession: Vec<u8>,
    pub study: String,
    pub procedure_id: String,
    pub step_id: String,
}

/// One image.
#[derive(Debug, Clone)]
pub struct Made {
    pub instance: Instance,
    pub series: String,
}

/// The images of one study, in ascending order. Blocks; takes about a second.
///
/// # Errors
/// When the habits name headers or a transfer syntax that no phantom can be written in.
pub fn make(habits: &Habits, order: &Order, seed: u64) -> Result<Vec<Made>> {
    let files = match &habits.images {
        Images::Chest { headers, reformats } => chest(seed, headers.as_deref(), *reformats)?,
        Images::Mammograms { headers } => mammograms(seed, headers)?,
        Images::Ultrasound { stills, clips, body_part } => {
            return ultrasound(order, *stills, *clips, body_part)
                .into_iter()
                .map(|object| dressed(object, habits, order))
                .collect();
        }
    };
    files
        .iter()
        .map(|file| {
            let object = dicom_object::from_reader(file.as_slice())?;
            dressed(object.into_inner(), habits, order)
        })
        .collect()
}

fn chest(seed: u64, headers: Option<&str>, reformats: bool) -> Result<Vec<Vec<u8>>> {
    let vendor = match headers {
        None => None,
        Some(name) => {
            let named = Vendor::ALL.into_iter().find(|one| snake_case(&format!("{one:?}")) == name);
            Some(named.with_context(|| format!("images.headers: no chest CT of {name:?}"))?)
        }
    };
    let (pixels, slices, pixel_mm, slice_mm) = CHEST;
    let options = Options { columns: pixels, rows: pixels, slices, pixel_mm, slice_mm, ..Options::default() };
    let (study, _) = Phantom::visiting(seed, &options, &Visit { vendor, reformats, ..Visit::default() })?;
    Ok(study.instances.into_iter().map(|one| one.part10).collect())
}

fn mammograms(seed: u64, headers: &str) -> Result<Vec<Vec<u8>>> {
    use mammography::dicom::{Intent, Wanted, study};
    use mammography::vendor::Vendor;
    let named = Vendor::ALL.into_iter().find(|one| snake_case(&format!("{one:?}")) == headers);
    let vendor = named.with_context(|| format!("images.headers: no mammograms of {headers:?}"))?;
    let options = mammography::Options {
        pixel_mm: Some(BREAST_PIXEL_MM),
        vendor: Some(vendor),
        implants: Some(false),
        ..mammography::Options::default()
    };
    let wanted =
        Wanted { intents: vec![Intent::Presentation], script: None, day: Day::default(), magnification: false };
    let (study, _) = study(&Case::new(seed, &options), &wanted)?;
    Ok(study.instances.into_iter().map(|one| one.part10).collect())
}

/// Names of phantoms as they are written in a file: `UnitedImaging` is `united_imaging`.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// Stills in one series, clips in another one. Grey noise: nobody is to find anything in it.
fn ultrasound(order: &Order, stills: usize, clips: usize, body_part: &str) -> Vec<InMemDicomObject> {
    let still = (0..stills).map(|number| (1, number, 1));
    let clip = (0..clips).map(|number| (2, number, CLIP_FRAMES));
    let picture = |(series, number, frames): (u32, usize, usize)| {
        let (columns, rows) = ULTRASOUND;
        let class =
            if frames == 1 { uids::ULTRASOUND_IMAGE_STORAGE } else { uids::ULTRASOUND_MULTI_FRAME_IMAGE_STORAGE };
        let mut state = u32::from_le_bytes([series.to_le_bytes()[0], 7, 1, 1]) ^ u32::try_from(number).unwrap_or(0);
        let pixels: Vec<u8> = (0..usize::from(columns) * usize::from(rows) * frames)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_le_bytes()[3] / 2
            })
            .collect();
        let text = |tag: Tag, vr: VR, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
        let short = |tag: Tag, value: u16| DataElement::new(tag, VR::US, PrimitiveValue::from(value));
        let root = uid(&format!("{}/{series}", order.study));
        let mut object = InMemDicomObject::from_element_iter([
            text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\ABDOMINAL\\0001"),
            text(tags::SOP_CLASS_UID, VR::UI, class),
            text(tags::SOP_INSTANCE_UID, VR::UI, &uid(&format!("{root}/{number}"))),
            text(tags::STUDY_DATE, VR::DA, "20260105"),
            text(tags::STUDY_TIME, VR::TM, "093000"),
            text(tags::MODALITY, VR::CS, "US"),
            text(tags::BODY_PART_EXAMINED, VR::CS, body_part),
            text(tags::SERIES_INSTANCE_UID, VR::UI, &root),
            text(tags::SERIES_NUMBER, VR::IS, &series.to_string()),
            text(tags::INSTANCE_NUMBER, VR::IS, &(number + 1).to_string()),
            text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
            short(tags::SAMPLES_PER_PIXEL, 1),
            short(tags::COLUMNS, columns),
            short(tags::ROWS, rows),
            short(tags::BITS_ALLOCATED, 8),
            short(tags::BITS_STORED, 8),
            short(tags::HIGH_BIT, 7),
            short(tags::PIXEL_REPRESENTATION, 0),
            DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(pixels.into())),
        ]);
        if frames > 1 {
            object.put(text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string()));
            object.put(text(tags::FRAME_TIME, VR::DS, "33.3"));
        }
        object
    };
    still.chain(clip).map(picture).collect()
}

/// With the order's patient and study, and the vendor's header, in the transfer syntax that it sends.
fn dressed(mut object: InMemDicomObject, habits: &Habits, order: &Order) -> Result<Made> {
    object.remove_element(tags::SPECIFIC_CHARACTER_SET);
    if !order.character_set.is_empty() {
        object.put(text(tags::SPECIFIC_CHARACTER_SET, VR::CS, &order.character_set));
    }
    object.put(raw(tags::PATIENT_NAME, VR::PN, &order.name));
    object.put(raw(tags::PATIENT_ID, VR::LO, &order.patient_id));
    object.put(raw(tags::ACCESSION_NUMBER, VR::SH, &order.accession));
    object.put(text(tags::PATIENT_BIRTH_DATE, VR::DA, &order.birth_date));
    object.put(text(tags::PATIENT_SEX, VR::CS, &order.sex));
    object.put(text(tags::STUDY_INSTANCE_UID, VR::UI, &order.study));
    for element in &habits.header.element {
        object.put(odd(element)?);
    }
    let of =
        |tag: Tag| -> Result<String> { Ok(object.element(tag)?.to_str()?.trim_end_matches(['\0', ' ']).to_owned()) };
    let (class, instance) = (of(tags::SOP_CLASS_UID)?, of(tags::SOP_INSTANCE_UID)?);
    let series = of(tags::SERIES_INSTANCE_UID)?;
    let syntax = habits.storage.sends.as_str();
    let bytes = encoded(object, syntax, &habits.header)?;
    Ok(Made { instance: Instance::from_part10(&part10(&class, &instance, syntax, &bytes))?, series })
}

fn encoded(mut object: InMemDicomObject, syntax: &str, header: &Header) -> Result<Vec<u8>> {
    if syntax == uids::RLE_LOSSLESS {
        compress(&mut object)?;
    }
    let known =
        TransferSyntaxRegistry.get(syntax).with_context(|| format!("storage.sends: {syntax:?} is not known"))?;
    let mut bytes = Vec::new();
    object.write_dataset_with_ts(&mut bytes, known)?;
    if !header.group_lengths {
        return Ok(bytes);
    }
    let explicit = match syntax {
        IMPLICIT => false,
        uids::EXPLICIT_VR_LITTLE_ENDIAN => true,
        other => bail!("header.group_lengths: not written in {other}"),
    };
    Ok(with_group_lengths(&bytes, explicit))
}

/// With (gggg,0000) before each group: the bytes from the end of its own value to the end of the group (PS3.5 section 7.2).
fn with_group_lengths(bytes: &[u8], explicit: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let spans = Elements::new(explicit, bytes).spans();
    for group in spans.chunk_by(|one, other| one.0.0 == other.0.0) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let size = u32::try_from(last.2 - first.1).unwrap_or(u32::MAX);
        out.extend(Writer::new(explicit).put((first.0.0, 0), b"UL", &size.to_le_bytes()).finish());
        out.extend(&bytes[first.1..last.2]);
    }
    out
}

/// RLE Lossless of 8 bits (PS3.5 annex G): each frame one segment of literal runs.
fn compress(object: &mut InMemDicomObject) -> Result<()> {
    let frames: usize = match object.element_opt(tags::NUMBER_OF_FRAMES)? {
        Some(frames) => frames.to_int()?,
        None => 1,
    };
    let pixels = object.element(tags::PIXEL_DATA)?.to_bytes()?.into_owned();
    let frame = |grey: &[u8]| {
        let mut out: Vec<u8> = [1u32, 64].into_iter().chain([0; 14]).flat_map(u32::to_le_bytes).collect();
        for run in grey.chunks(128) {
            out.push(u8::try_from(run.len() - 1).unwrap_or(127));
            out.extend(run);
        }
        out.resize(out.len().next_multiple_of(2), 0);
        out
    };
    let all: Vec<Vec<u8>> = pixels.chunks(pixels.len() / frames.max(1)).map(frame).collect();
    let sequence = PixelFragmentSequence::new(Vec::new(), all);
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, DicomValue::from(sequence)));
    Ok(())
}

fn text(tag: Tag, vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

/// Text as bytes, whatever its character set, padded with a space.
fn raw(tag: Tag, vr: VR, bytes: &[u8]) -> DataElement<InMemDicomObject> {
    let mut bytes = bytes.to_vec();
    bytes.resize(bytes.len().next_multiple_of(2), b' ');
    DataElement::new(tag, vr, PrimitiveValue::U8(bytes.into()))
}

fn odd(element: &Element) -> Result<DataElement<InMemDicomObject>> {
    let (group, number) = element.tag()?;
    let tag = Tag(group, number);
    let vr: VR = element.vr.parse().ok().with_context(|| format!("{}: no VR {:?}", element.tag, element.vr))?;
    Ok(match vr {
        VR::SQ => DataElement::new(tag, vr, DataSetSequence::<InMemDicomObject>::empty()),
        // Numbers as text go through the writer as text.
        VR::DS | VR::IS => text(tag, vr, element.text.as_deref().unwrap_or_default()),
        _ => DataElement::new(tag, vr, PrimitiveValue::U8(element.bytes()?.into())),
    })
}
