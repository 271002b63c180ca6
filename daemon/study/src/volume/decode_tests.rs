//! Tests of `decode`, on small files that are made in code and scanned by `dicom::scan`.

use std::io::Cursor;

use dicom::scan::scan;
use dicom_core::value::{DataSetSequence, PixelFragmentSequence, Value};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use proptest::prelude::*;

use super::*;
use crate::volume::build;
use crate::volume::rescale::PADDING_HU;

/// Retired, but still found in archives.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const ROWS: u16 = 3;
const COLUMNS: u16 = 4;
const PIXELS: usize = 12;

/// A CT image of 12 pixels, 12 bits stored, intercept -1024.
fn image(words: &[u16]) -> InMemDicomObject {
    assert_eq!(words.len() % PIXELS, 0);
    InMemDicomObject::from_element_iter([
        text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
        text(tags::SOP_INSTANCE_UID, VR::UI, "1.2.3.4"),
        text(tags::STUDY_INSTANCE_UID, VR::UI, "1.2.3"),
        text(tags::SERIES_INSTANCE_UID, VR::UI, "1.2.3.1"),
        text(tags::FRAME_OF_REFERENCE_UID, VR::UI, "1.2.3.9"),
        text(tags::MODALITY, VR::CS, "CT"),
        text(tags::INSTANCE_NUMBER, VR::IS, "7"),
        text(tags::IMAGE_POSITION_PATIENT, VR::DS, "-10\\-20\\30"),
        text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0"),
        text(tags::PIXEL_SPACING, VR::DS, "0.7\\0.8"),
        number(tags::SAMPLES_PER_PIXEL, 1),
        text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
        number(tags::ROWS, ROWS),
        number(tags::COLUMNS, COLUMNS),
        number(tags::BITS_ALLOCATED, 16),
        number(tags::BITS_STORED, 12),
        number(tags::HIGH_BIT, 11),
        number(tags::PIXEL_REPRESENTATION, 0),
        text(tags::RESCALE_INTERCEPT, VR::DS, "-1024"),
        text(tags::RESCALE_SLOPE, VR::DS, "1"),
        DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words.into())),
    ])
}

fn text(tag: Tag, vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

fn number(tag: Tag, value: u16) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::US, PrimitiveValue::from(value))
}

/// Values over the whole 12-bit range.
fn ramp() -> Vec<u16> {
    (0..PIXELS as u16).map(|i| i * 372).collect()
}

fn ramp_hu() -> Vec<i16> {
    ramp().iter().map(|v| *v as i16 - 1024).collect()
}

fn part10(object: InMemDicomObject, transfer_syntax: &str) -> Vec<u8> {
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(transfer_syntax)
        .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
        .media_storage_sop_instance_uid("1.2.3.4");
    let mut out = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut out).unwrap();
    out
}

fn decode(part10: &[u8]) -> Result<Vec<Slice>, DecodeError> {
    decode_part10(&scan(Cursor::new(part10)).unwrap().header, part10)
}

fn native(object: InMemDicomObject) -> Result<Vec<Slice>, DecodeError> {
    decode(&part10(object, uids::EXPLICIT_VR_LITTLE_ENDIAN))
}

fn compressed(mut object: InMemDicomObject, transfer_syntax: &str, frames: Vec<Vec<u8>>) -> Vec<u8> {
    object.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OB,
        Value::PixelSequence(PixelFragmentSequence::new(Vec::<u32>::new(), frames)),
    ));
    part10(object, transfer_syntax)
}

/// Encodes 16-bit words as RLE with literal runs (PS3.5 section G.3): first the segment of high bytes.
fn run_lengths(words: &[u16]) -> Vec<u8> {
    let plane = |bytes: Vec<u8>| {
        let mut segment: Vec<u8> = bytes.chunks(128).flat_map(|run| [&[run.len() as u8 - 1], run].concat()).collect();
        segment.resize(segment.len().next_multiple_of(2), 0x80);
        segment
    };
    let high = plane(words.iter().map(|w| (w >> 8) as u8).collect());
    let low = plane(words.iter().map(|w| *w as u8).collect());
    let mut header = vec![2_u32, 64, 64 + high.len() as u32];
    header.resize(16, 0);
    [header.into_iter().flat_map(u32::to_le_bytes).collect(), high, low].concat()
}

/// A JPEG-LS codestream of `words`, made by the encoder of the transfer syntax registry.
fn jpeg_ls(words: &[u16]) -> Vec<u8> {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    let frame = part10(image(words), uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let object = dicom_object::OpenFileOptions::new().from_reader(&frame[..]).unwrap();
    assert_eq!(object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap()[..], bytes[..]);
    let writer = TransferSyntaxRegistry.get(uids::JPEGLS_LOSSLESS).unwrap().pixel_data_writer().unwrap();
    let mut out = Vec::new();
    writer.encode_frame(&object, 0, Default::default(), &mut out).unwrap();
    out
}

fn hu(slices: &[Slice]) -> Vec<i16> {
    slices.iter().flat_map(|slice| slice.hu.iter()).copied().collect()
}

#[test]
fn every_native_transfer_syntax_gives_the_same_units() {
    for transfer_syntax in [
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        BIG_ENDIAN,
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ] {
        let slices = decode(&part10(image(&ramp()), transfer_syntax)).unwrap();
        assert_eq!(hu(&slices), ramp_hu(), "{transfer_syntax}");
        let slice = &slices[0];
        assert_eq!((slice.frame, slice.sop_instance_uid.as_str()), (None, "1.2.3.4"));
        assert_eq!(slice.geometry.position_mm, Some([-10.0, -20.0, 30.0]));
        assert_eq!(slice.geometry.number, Some(7));
    }
}

#[test]
fn lossless_compression_gives_the_same_units() {
    let rle = compressed(image(&ramp()), uids::RLE_LOSSLESS, vec![run_lengths(&ramp())]);
    assert_eq!(hu(&decode(&rle).unwrap()), ramp_hu());
    let jpeg_ls = compressed(image(&ramp()), uids::JPEGLS_LOSSLESS, vec![jpeg_ls(&ramp())]);
    assert_eq!(hu(&decode(&jpeg_ls).unwrap()), ramp_hu());
}

#[test]
fn a_compressed_frame_in_several_fragments_is_whole() {
    let stream = jpeg_ls(&ramp());
    let (first, second) = stream.split_at(stream.len() / 4 * 2);
    let part10 = compressed(image(&ramp()), uids::JPEGLS_LOSSLESS, vec![first.to_vec(), second.to_vec()]);
    assert_eq!(hu(&decode(&part10).unwrap()), ramp_hu());
}

#[test]
fn an_empty_slice_of_full_size_survives_run_length_coding() {
    // 512 x 512 zeros are 2 x 2048 runs of 128, the highest compression that RLE reaches. A decoder must not refuse it
    // as suspicious.
    let segment = [0x81, 0].repeat(2048);
    let mut header = vec![2_u32, 64, 64 + segment.len() as u32];
    header.resize(16, 0);
    let frame = [header.into_iter().flat_map(u32::to_le_bytes).collect(), segment.clone(), segment].concat();
    let mut object = image(&ramp());
    object.put(number(tags::ROWS, 512));
    object.put(number(tags::COLUMNS, 512));
    let slices = decode(&compressed(object, uids::RLE_LOSSLESS, vec![frame])).unwrap();
    assert_eq!(slices[0].hu.len(), 512 * 512);
    assert!(slices[0].hu.iter().all(|hu| *hu == -1024));
}

#[test]
fn signed_values_padding_and_slope_are_honoured() {
    let words: Vec<u16> = [-2000, -1, 0, 1, 100, -100, 3, 4, 5, 6, 7, 8].map(|v: i16| v as u16).to_vec();
    let mut object = image(&words);
    object.put(number(tags::PIXEL_REPRESENTATION, 1));
    object.put(number(tags::BITS_STORED, 16));
    object.put(number(tags::HIGH_BIT, 15));
    object.put(text(tags::RESCALE_SLOPE, VR::DS, "2.5"));
    object.put(text(tags::RESCALE_INTERCEPT, VR::DS, "10"));
    object.put(DataElement::new(tags::PIXEL_PADDING_VALUE, VR::SS, PrimitiveValue::from(-2000_i16)));
    for transfer_syntax in [uids::EXPLICIT_VR_LITTLE_ENDIAN, uids::IMPLICIT_VR_LITTLE_ENDIAN] {
        let found = hu(&decode(&part10(object.clone(), transfer_syntax)).unwrap());
        assert_eq!(found[..6], [PADDING_HU, 8, 10, 13, 260, -240], "halves round away from zero");
    }
}

#[test]
fn missing_rescale_means_hounsfield_units_are_stored() {
    let mut object = image(&ramp());
    object.remove_element(tags::RESCALE_SLOPE);
    object.remove_element(tags::RESCALE_INTERCEPT);
    let found = hu(&native(object).unwrap());
    assert_eq!(found, ramp().iter().map(|v| *v as i16).collect::<Vec<_>>());
}

#[test]
fn monochrome1_has_the_same_units() {
    let mut object = image(&ramp());
    object.put(text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME1"));
    assert_eq!(hu(&native(object).unwrap()), ramp_hu());
}

#[test]
fn pixels_of_8_bits_are_read_in_either_byte_order() {
    let mut object = image(&ramp());
    object.put(number(tags::BITS_ALLOCATED, 8));
    object.put(number(tags::BITS_STORED, 8));
    object.put(number(tags::HIGH_BIT, 7));
    let bytes: Vec<u8> = (1..=12).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(bytes.into())));
    let expected: Vec<i16> = (1..=12).map(|v| v - 1024).collect();
    assert_eq!(hu(&native(object.clone()).unwrap()), expected);
    // In big endian the bytes of each word are swapped in the file; the writer swaps U16 values.
    let words = (0..6).map(|i| u16::from_le_bytes([2 * i + 1, 2 * i + 2])).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(words)));
    assert_eq!(hu(&decode(&part10(object, BIG_ENDIAN)).unwrap()), expected);
}

#[test]
fn what_is_no_hounsfield_image_is_refused_with_the_reason() {
    type Change = fn(&mut InMemDicomObject);
    let changes: [(&str, Change); 8] = [
        ("not-grey", |o| drop(o.put(number(tags::SAMPLES_PER_PIXEL, 3)))),
        ("not-grey", |o| drop(o.put(text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "PALETTE COLOR")))),
        ("not-grey", |o| drop(o.put(number(tags::BITS_ALLOCATED, 32)))),
        ("not-grey", |o| drop(o.put(number(tags::BITS_ALLOCATED, 1)))),
        ("not-grey", |o| drop(o.put(number(tags::HIGH_BIT, 16)))),
        ("scale", |o| drop(o.put(text(tags::RESCALE_SLOPE, VR::DS, "0")))),
        ("no-pixel-data", |o| drop(o.take_element(tags::PIXEL_DATA))),
        ("size", |o| drop(o.put(number(tags::ROWS, 0)))),
    ];
    for (kind, change) in changes {
        let mut object = image(&ramp());
        change(&mut object);
        let error = native(object).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn sizes_are_compared_with_the_data_before_anything_is_allocated() {
    let mut object = image(&ramp());
    object.put(number(tags::ROWS, 60_000));
    object.put(number(tags::COLUMNS, 1_000));
    assert_eq!(native(object).unwrap_err().kind(), "truncated");
    let mut object = image(&ramp());
    object.put(number(tags::ROWS, 60_000));
    object.put(number(tags::COLUMNS, 60_000));
    assert_eq!(native(object).unwrap_err().kind(), "size");
    let mut object = image(&ramp());
    object.put(text(tags::NUMBER_OF_FRAMES, VR::IS, "2147483647"));
    assert_eq!(native(object).unwrap_err().kind(), "size");
}

#[test]
fn a_codestream_of_another_size_than_the_header_says_is_never_half_a_picture() {
    let mut object = image(&ramp());
    object.put(number(tags::ROWS, ROWS + 1));
    let error = decode(&compressed(object, uids::JPEGLS_LOSSLESS, vec![jpeg_ls(&ramp())])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "frame 1: the compressed image is 4 x 3 with 1 component(s), the header says 4 x 4 with 1"
    );
}

#[test]
fn jpeg_ls_data_that_just_stop_are_an_error_at_once() {
    let stream = jpeg_ls(&ramp());
    let scan = stream.windows(2).position(|w| w == [0xff, 0xda]).unwrap() + 10;
    for kept in scan..stream.len() - 4 {
        let cut = compressed(image(&ramp()), uids::JPEGLS_LOSSLESS, vec![stream[..kept / 2 * 2].to_vec()]);
        assert_eq!(decode(&cut).unwrap_err().kind(), "codec", "{kept} of {} bytes", stream.len());
    }
}

#[test]
fn jpeg_with_12_bits_is_named() {
    let extended = vec![0xff, 0xd8, 0xff, 0xc1, 0, 11, 12, 0, ROWS as u8, 0, COLUMNS as u8, 1, 1, 0x11, 0, 0xff];
    let error = decode(&compressed(image(&ramp()), uids::JPEG_EXTENDED12_BIT, vec![extended])).unwrap_err();
    assert_eq!(error.to_string(), "JPEG with 12 bits (extended process) cannot be decoded here: send lossless images");
}

#[test]
fn video_is_named_as_what_cannot_be_decoded() {
    let error = decode(&compressed(image(&ramp()), uids::MPEG4HP41, vec![vec![0; 8]])).unwrap_err();
    assert_eq!(error.kind(), "transfer-syntax");
    assert!(error.to_string().contains(uids::MPEG4HP41), "{error}");
}

/// A sequence with one item.
fn group(sequence: Tag, elements: Vec<DataElement<InMemDicomObject>>) -> DataElement<InMemDicomObject> {
    let item = InMemDicomObject::from_element_iter(elements);
    DataElement::new(sequence, VR::SQ, Value::from(DataSetSequence::from(vec![item])))
}

/// Enhanced CT with three frames in descending order of position, each with its own intercept.
fn enhanced() -> InMemDicomObject {
    let words: Vec<u16> = (0..3).flat_map(|_| ramp()).collect();
    let mut object = image(&words);
    for tag in [
        tags::IMAGE_POSITION_PATIENT,
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::PIXEL_SPACING,
        tags::RESCALE_SLOPE,
        tags::RESCALE_INTERCEPT,
    ] {
        object.remove_element(tag);
    }
    object.put(text(tags::SOP_CLASS_UID, VR::UI, uids::ENHANCED_CT_IMAGE_STORAGE));
    object.put(text(tags::NUMBER_OF_FRAMES, VR::IS, "3"));
    let shared = InMemDicomObject::from_element_iter([
        group(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0")],
        ),
        group(tags::PIXEL_MEASURES_SEQUENCE, vec![text(tags::PIXEL_SPACING, VR::DS, "0.7\\0.8")]),
    ]);
    let frames: Vec<_> = (0..3)
        .map(|i| {
            let position = format!("0\\0\\{}", 100.0 - 2.5 * f64::from(i));
            let intercept = format!("{}", -1000 - i);
            InMemDicomObject::from_element_iter([
                group(tags::PLANE_POSITION_SEQUENCE, vec![text(tags::IMAGE_POSITION_PATIENT, VR::DS, &position)]),
                group(
                    tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                    vec![text(tags::RESCALE_SLOPE, VR::DS, "1"), text(tags::RESCALE_INTERCEPT, VR::DS, &intercept)],
                ),
            ])
        })
        .collect();
    let sequence = |items: Vec<InMemDicomObject>| Value::from(DataSetSequence::from(items));
    object.put(DataElement::new(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, sequence(vec![shared])));
    object.put(DataElement::new(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, VR::SQ, sequence(frames)));
    object
}

#[test]
fn each_frame_of_an_enhanced_ct_has_its_own_place_and_scale() {
    let encapsulated = compressed(enhanced(), uids::JPEGLS_LOSSLESS, vec![jpeg_ls(&ramp()); 3]);
    for part10 in [part10(enhanced(), uids::EXPLICIT_VR_LITTLE_ENDIAN), encapsulated] {
        let slices = decode(&part10).unwrap();
        assert_eq!(slices.iter().map(|s| s.hu[0]).collect::<Vec<_>>(), [-1000, -1001, -1002]);
        let build::Built { volume, sources, .. } = build::assemble(slices).unwrap();
        assert_eq!(volume.geometry.spacing_mm, [0.8, 0.7, 2.5]);
        assert_eq!(volume.geometry.origin_mm, [0.0, 0.0, 95.0]);
        assert_eq!(volume.slices.iter().map(|s| s[0]).collect::<Vec<_>>(), [-1002, -1001, -1000]);
        assert_eq!(sources.iter().map(|s| s.frame).collect::<Vec<_>>(), [Some(3), Some(2), Some(1)]);
        assert!(sources.iter().all(|s| s.sop_class_uid == uids::ENHANCED_CT_IMAGE_STORAGE));
    }
}

#[test]
fn frames_without_a_place_have_no_geometry_and_not_a_wrong_one() {
    let mut object = enhanced();
    object.remove_element(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let slices = native(object).unwrap();
    assert_eq!(build::assemble(slices).unwrap_err().kind(), "no-geometry");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Codecs may panic, fail or return nonsense; `decode` must return an error and never panic.
    #[test]
    fn damaged_codestreams_are_errors_of_their_instance(
        rle: bool, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in 0.2f64..1.0,
    ) {
        let (uid, mut frame) = if rle {
            (uids::RLE_LOSSLESS, run_lengths(&ramp()))
        } else {
            (uids::JPEGLS_LOSSLESS, jpeg_ls(&ramp()))
        };
        for (index, byte) in damage {
            let at = index.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate((frame.len() as f64 * cut) as usize / 2 * 2);
        if let Ok(slices) = decode(&compressed(image(&ramp()), uid, vec![frame])) {
            prop_assert_eq!(slices[0].hu.len(), PIXELS);
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_never_fewer_pixels(kept in 0.0f64..1.0) {
        let whole = part10(image(&ramp()), uids::EXPLICIT_VR_LITTLE_ENDIAN);
        let header = scan(Cursor::new(&whole)).unwrap().header;
        let cut = &whole[..(whole.len() as f64 * kept) as usize];
        prop_assert!(decode_part10(&header, cut).is_err());
    }
}
