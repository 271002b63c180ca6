//! Whatever names somebody is planted wherever a file can hold it, and looked for in the copy: by the search, and by plain bytes.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::{DataSetSequence, PrimitiveValue};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::InMemDicomObject;
use dicom_object::meta::FileMetaTableBuilder;

use super::profile::KEPT;
use super::secrets::Secrets;
use super::{Case, Copied, Error, Unsafe, copy};
use crate::dataset::{first, items, text};
use crate::pixels::parse;

const NAME: &str = "Okonkwo^Adaeze";
const PLANTED: [&str; 8] = [
    "okonkwo",
    "adaeze",
    "mrn-48151623",
    "19640229",
    "acc-77a31",
    "st elsewhere",
    "br\u{fc}ckner",
    "1.2.826.0.1.3680043.9.55",
];

fn put(set: &mut InMemDicomObject, tag: Tag, vr: VR, value: &str) {
    set.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
}

/// An ultrasound picture of 8 x 6 pixels whose image area is 4 x 3; all pixels are 200.
fn ultrasound() -> InMemDicomObject {
    let mut set = InMemDicomObject::new_empty();
    for (tag, vr, value) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::SOP_CLASS_UID, VR::UI, uids::ULTRASOUND_IMAGE_STORAGE),
        (tags::SOP_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.9.55.3"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.9.55.1"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.9.55.2"),
        (tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY"),
        (tags::MODALITY, VR::CS, "US"),
        (tags::MANUFACTURER, VR::LO, "Adaeze Instruments"),
        (tags::PATIENT_NAME, VR::PN, "Okonkwo^Adaeze=\u{738b}^\u{5c0f}\u{660e}"),
        (tags::PATIENT_ID, VR::LO, "MRN-48151623"),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19640229"),
        (tags::ACCESSION_NUMBER, VR::SH, "ACC-77A31"),
        (tags::INSTITUTION_NAME, VR::LO, "St Elsewhere"),
        (tags::OPERATORS_NAME, VR::PN, "Br\u{fc}ckner^Hans"),
        (tags::BODY_PART_EXAMINED, VR::CS, "BREAST"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ] {
        put(&mut set, tag, vr, value);
    }
    let shorts = [
        (tags::ROWS, 6u16),
        (tags::COLUMNS, 8),
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ];
    for (tag, value) in shorts {
        set.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    set.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(vec![200; 48].into())));
    with_region(&mut set, [2, 1, 5, 3]);
    set
}

/// First and last pixel, as the standard has it.
fn with_region(set: &mut InMemDicomObject, corners: [u32; 4]) {
    sequence(set, tags::SEQUENCE_OF_ULTRASOUND_REGIONS, region(corners));
}

fn region(corners: [u32; 4]) -> InMemDicomObject {
    let mut region = InMemDicomObject::new_empty();
    let places = [
        tags::REGION_LOCATION_MIN_X0,
        tags::REGION_LOCATION_MIN_Y0,
        tags::REGION_LOCATION_MAX_X1,
        tags::REGION_LOCATION_MAX_Y1,
    ];
    for (tag, value) in places.into_iter().zip(corners) {
        region.put(DataElement::new(tag, VR::UL, PrimitiveValue::from(value)));
    }
    for tag in [tags::REGION_SPATIAL_FORMAT, tags::REGION_DATA_TYPE] {
        region.put(DataElement::new(tag, VR::US, PrimitiveValue::from(1u16)));
    }
    region
}

fn sequence(set: &mut InMemDicomObject, tag: Tag, item: InMemDicomObject) {
    set.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(vec![item])));
}

/// A file of it, with a name in the preamble and in the file meta group, too.
fn file(set: &InMemDicomObject) -> Vec<u8> {
    let own = |tag| text(set, tag).unwrap();
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(own(tags::SOP_CLASS_UID))
        .media_storage_sop_instance_uid(own(tags::SOP_INSTANCE_UID))
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .source_application_entity_title("OKONKWO")
        .implementation_version_name("ADAEZE");
    let mut bytes = Vec::new();
    set.clone().with_meta(meta).unwrap().write_all(&mut bytes).unwrap();
    bytes[..NAME.len()].copy_from_slice(NAME.as_bytes());
    bytes
}

fn case() -> Case {
    Case::new([7; 32])
}

fn copied(set: &InMemDicomObject) -> (Copied, InMemDicomObject) {
    let copy = copy(&file(set), &case(), None).unwrap();
    let object = parse::whole(&copy.part10).unwrap().into_inner();
    (copy, object)
}

/// Planted words that the bytes hold, but for the name of the manufacturer, who happens to be called like the patient.
fn still_there(part10: &[u8]) -> Vec<&'static str> {
    let all = part10.to_ascii_lowercase();
    let text = String::from_utf8_lossy(&all).replace("adaeze instruments", "");
    PLANTED.into_iter().filter(|word| text.contains(word)).collect()
}

fn is_text(vr: VR) -> bool {
    use VR::{AE, DA, DT, LO, LT, PN, SH, ST, UC, UI, UR, UT};
    matches!(vr, AE | DA | DT | LO | LT | PN | SH | ST | UC | UI | UR | UT)
}

/// What a person may have written into an attribute of this form.
fn planted(vr: VR) -> &'static str {
    match vr {
        VR::DA => "19640229",
        VR::DT => "19640229101500",
        VR::UI => "1.2.826.0.1.3680043.9.55.99",
        VR::PN => NAME,
        VR::AE | VR::SH => "MRN-48151623",
        _ => "seen: Okonkwo, Adaeze MRN-48151623",
    }
}

/// Every attribute of text that the dictionary knows in the groups that images have, and some that it does not.
fn all_texts() -> Vec<(Tag, VR)> {
    let groups = (0x0008u16..0x0090).step_by(2).chain([0x0400, 0x2200, 0x300a, 0x3010, 0x4008, 0x4010]);
    let known = groups.flat_map(|group| (1..=u16::MAX).map(move |element| Tag(group, element))).filter_map(|tag| {
        let entry = StandardDataDictionary.by_tag(tag).filter(|entry| entry.tag() == tag)?;
        Some((tag, entry.vr().relaxed()))
    });
    let private = [VR::LO, VR::PN, VR::SH, VR::ST, VR::LT, VR::UT, VR::UI, VR::DA, VR::DT, VR::UC, VR::AE];
    let private = private.into_iter().zip(0x1001..).map(|(vr, element)| (Tag(0x0009, element), vr));
    known.filter(|(_, vr)| is_text(*vr)).chain(private).collect()
}

/// These must be what they are for the file to be one.
const NEEDED: [Tag; 4] =
    [tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID];

/// Promise: whatever attribute holds a name, an ID, a date or a UID, at the top or nested, the copy does not.
#[test]
fn what_is_planted_in_every_attribute_of_text_is_in_none_of_the_copy() {
    let mut item = InMemDicomObject::new_empty();
    let all: Vec<(Tag, VR)> = all_texts().into_iter().filter(|(tag, _)| !KEPT.contains(tag)).collect();
    assert!(all.len() > 900, "{}", all.len());
    for (tag, vr) in &all {
        put(&mut item, *tag, *vr, planted(*vr));
    }
    let mut set = ultrasound();
    for (tag, vr) in all.iter().filter(|(tag, _)| !NEEDED.contains(tag)) {
        if set.element_opt(*tag).unwrap().is_none() {
            put(&mut set, *tag, *vr, planted(*vr));
        }
    }
    let mut outer = InMemDicomObject::new_empty();
    sequence(&mut outer, tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, item.clone());
    sequence(&mut set, tags::SOURCE_IMAGE_SEQUENCE, outer);
    sequence(&mut set, tags::ANATOMIC_REGION_SEQUENCE, item.clone());
    sequence(&mut set, Tag(0x0009, 0x1030), item);
    // Texts that claim to be numbers and codes, overlays, bytes.
    put(&mut set, tags::KVP, VR::DS, "Okonkwo");
    put(&mut set, tags::SERIES_NUMBER, VR::IS, "Okonkwo");
    put(&mut set, tags::SCANNING_SEQUENCE, VR::CS, "Okonkwo");
    put(&mut set, Tag(0x6000, 0x4000), VR::LT, NAME);
    put(&mut set, Tag(0x6000, 0x0022), VR::LO, NAME);
    for tag in [tags::ICC_PROFILE, Tag(0x0009, 0x1040), Tag(0x0018, 0xfff2)] {
        set.put(DataElement::new(tag, VR::OB, PrimitiveValue::U8(NAME.as_bytes().to_vec().into())));
    }
    let source = file(&set);
    assert_eq!(still_there(&source).len(), PLANTED.len(), "the source has all of it");
    let mut secrets = Secrets::default();
    secrets.add(&source).unwrap();
    assert!(secrets.in_object(&source).unwrap().is_some());
    let (copy, object) = copied(&set);
    assert_eq!(still_there(&copy.part10), Vec::<&str>::new());
    assert_eq!(secrets.in_object(&copy.part10).unwrap(), None);
    assert!(copy.part10[..128].iter().all(|byte| *byte == 0), "the preamble");
    // What a picture needs is there.
    assert_eq!(text(&object, tags::BODY_PART_EXAMINED).unwrap(), "BREAST");
    assert_eq!(items(&object, tags::SEQUENCE_OF_ULTRASOUND_REGIONS).len(), 1);
}

/// Promise: the check does not trust the cleaning. Every attribute that stays is searched.
#[test]
fn a_name_in_an_attribute_that_stays_is_found() {
    let mut secrets = Secrets::default();
    secrets.add(&file(&ultrasound())).unwrap();
    for tag in KEPT {
        let vr = StandardDataDictionary.by_tag(tag).unwrap().vr().relaxed();
        // Single words of names are passed over where a manufacturer may be called so.
        let of_machine = matches!(tag, tags::MANUFACTURER | tags::MANUFACTURER_MODEL_NAME | tags::SOFTWARE_VERSIONS);
        for word in ["MRN-48151623", "19640229", "St Elsewhere", "Okonkwo, Adaeze", "Okonkwo"] {
            if of_machine && word == "Okonkwo" {
                continue;
            }
            let mut set = ultrasound();
            put(&mut set, tag, vr, word);
            let (copy, _) = copied(&set);
            assert!(secrets.in_object(&copy.part10).unwrap().is_some(), "{word} in {tag}");
        }
        let mut nested = ultrasound();
        let mut item = InMemDicomObject::new_empty();
        put(&mut item, tag, vr, "Adaeze Okonkwo");
        sequence(&mut nested, tags::ANATOMIC_REGION_SEQUENCE, item);
        assert!(secrets.in_object(&copied(&nested).0.part10).unwrap().is_some(), "nested in {tag}");
    }
    let (clean, _) = copied(&ultrasound());
    assert_eq!(secrets.in_object(&clean.part10).unwrap(), None, "a manufacturer called like the patient is none");
}

#[test]
fn names_and_days_are_found_as_people_write_them() {
    for (name, written) in [
        ("M\u{dc}LLER^J\u{dc}RGEN", ["M\u{fc}ller", "seen with Mueller", "MULLER again", "Mu\u{308}ller"]),
        ("MUELLER^JUERGEN", ["M\u{fc}ller", "Mueller", "J\u{fc}rgen", "M\u{dc}LLER"]),
        ("GARC\u{cd}A^JOS\u{c9}", ["Garc\u{ed}a", "Garcia", "GARC\u{cd}A", "Jos\u{e9}"]),
        ("\u{418}\u{412}\u{410}\u{41d}\u{41e}\u{412}", ["\u{418}\u{432}\u{430}\u{43d}\u{43e}\u{432}"; 4]),
    ] {
        let mut set = ultrasound();
        put(&mut set, tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192");
        put(&mut set, tags::PATIENT_NAME, VR::PN, name);
        let mut secrets = Secrets::default();
        secrets.add(&file(&set)).unwrap();
        for text in written {
            assert!(secrets.in_words(text).is_some(), "{text} of {name}");
        }
        assert_eq!(
            secrets.in_words("a muller is a stone, and a garage is none").is_some(),
            name.starts_with("M\u{dc}"),
            "{name}"
        );
    }
    let mut secrets = Secrets::default();
    secrets.add(&file(&ultrasound())).unwrap();
    for text in ["29.2.1964", "2/29/1964", "29 February 1964", "Feb 29, 1964", "1964\u{5e74}02\u{6708}29\u{65e5}"] {
        assert!(secrets.in_words(&format!("born {text}")).is_some(), "{text}");
    }
}

#[test]
fn a_number_that_only_fills_its_place_is_looked_for_of_a_patient_only() {
    for (tag, vr, value, is_found) in [
        (tags::DEVICE_SERIAL_NUMBER, VR::LO, "000000", false),
        (tags::DEVICE_SERIAL_NUMBER, VR::LO, "000007", true),
        (tags::PATIENT_ID, VR::LO, "000000", true),
    ] {
        let mut set = ultrasound();
        put(&mut set, tag, vr, value);
        let mut secrets = Secrets::default();
        secrets.add(&file(&set)).unwrap();
        let found = secrets.in_text(format!("made at 20260101100000.{value}").as_bytes());
        assert_eq!(found.is_some_and(|find| find.of == tag), is_found, "{tag} {value}");
    }
}

/// Promise: a name is found however people write it, and a word of the language only where a person wrote it.
#[test]
fn names_are_found_in_every_order_and_character_set() {
    let mut secrets = Secrets::default();
    secrets.add(&file(&ultrasound())).unwrap();
    let gb = [0xcd, 0xf5, 0xd0, 0xa1, 0xc3, 0xf7];
    for bytes in [
        "Adaeze Okonkwo".as_bytes(),
        b"okonkwo, adaeze",
        b"OKONKWO_ADAEZE.png",
        b"adaezeokonkwo",
        "\u{738b}\u{5c0f}\u{660e}".as_bytes(),
        &gb,
        b"born 29.02.1964",
        "\u{51fa}\u{751f} 1964\u{5e74}2\u{6708}29\u{65e5}".as_bytes(),
        b"1964-02-29T10:00",
        b"Hans Br\xfcckner",
        "Br\u{fc}ckner, Hans".as_bytes(),
        b"x1.2.826.0.1.3680043.9.55.2y",
        b"St Elsewhere",
    ] {
        assert!(secrets.in_text(bytes).is_some(), "{}", String::from_utf8_lossy(bytes));
    }
    for text in ["a mass seen by Adaeze", "hans", "\u{5c0f}\u{660e}\u{7684}"] {
        assert!(secrets.in_words(text).is_some(), "{text}");
    }
    for text in ["a round mass with hanseatic margins", "1.2.826.0.1.3680043.9.55.21", "11964022", "made by somebody"] {
        assert_eq!(secrets.in_words(text), None, "{text}");
    }
    assert_eq!(secrets.in_text(b"hans"), None, "a single word is no find in a file of ours");
    secrets.excuse("Hans Br\u{fc}ckner, St Elsewhere");
    assert_eq!(secrets.in_words("Hans Br\u{fc}ckner"), None, "whom the author names on purpose");
    assert!(secrets.in_words("Adaeze").is_some(), "never the patient");
    secrets.allow("adaeze");
    assert_eq!(secrets.in_words("Adaeze"), None);
}

#[test]
fn the_copy_says_who_it_is_now_and_how_that_was_done() {
    let (copy, set) = copied(&ultrasound());
    let get = |tag| text(&set, tag).unwrap_or_default();
    assert_eq!(get(tags::PATIENT_ID), case().name);
    assert_eq!((get(tags::PATIENT_IDENTITY_REMOVED), get(tags::BURNED_IN_ANNOTATION)), ("YES".into(), "NO".into()));
    let codes: Vec<String> = items(&set, tags::DEIDENTIFICATION_METHOD_CODE_SEQUENCE)
        .iter()
        .filter_map(|item| text(item, tags::CODE_VALUE))
        .collect();
    assert_eq!((codes, copy.masked), (vec!["113100".to_owned(), "113101".into()], true));
    assert_eq!(get(tags::SOP_INSTANCE_UID), case().uid("1.2.826.0.1.3680043.9.55.3"));
    assert_eq!(get(tags::SOP_CLASS_UID), uids::ULTRASOUND_IMAGE_STORAGE, "UIDs of the standard stay");
    assert_ne!(Case::new([8; 32]).uid("1.2"), case().uid("1.2"), "nobody can compute it from the UID of the source");
}

#[test]
fn references_within_the_case_stay_and_local_codes_do_not() {
    let mut set = ultrasound();
    let mut reference = InMemDicomObject::new_empty();
    put(&mut reference, tags::REFERENCED_SOP_CLASS_UID, VR::UI, uids::ULTRASOUND_IMAGE_STORAGE);
    put(&mut reference, tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "1.2.826.0.1.3680043.9.55.4");
    sequence(&mut set, tags::SOURCE_IMAGE_SEQUENCE, reference);
    let mut local = InMemDicomObject::new_empty();
    put(&mut local, tags::CODE_VALUE, VR::SH, "B17");
    put(&mut local, tags::CODING_SCHEME_DESIGNATOR, VR::SH, "99CLINIC");
    put(&mut local, tags::CODE_MEANING, VR::LO, "As Dr. Huber wants it");
    sequence(&mut set, tags::ANATOMIC_REGION_SEQUENCE, local);
    let (_, set) = copied(&set);
    let reference = first(&set, tags::SOURCE_IMAGE_SEQUENCE).unwrap();
    assert_eq!(text(reference, tags::REFERENCED_SOP_INSTANCE_UID).unwrap(), case().uid("1.2.826.0.1.3680043.9.55.4"));
    let local = first(&set, tags::ANATOMIC_REGION_SEQUENCE).unwrap();
    assert_eq!(text(local, tags::CODE_MEANING).unwrap(), "REMOVED");
}

/// Promise: around the image areas nothing can be read, and within nothing has changed.
#[test]
fn all_is_black_but_the_image_area() {
    let (_, set) = copied(&ultrasound());
    let pixels = set.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
    for (at, value) in pixels.iter().enumerate() {
        let (x, y) = (at % 8, at / 8);
        let within = (2..6).contains(&x) && (1..4).contains(&y);
        assert_eq!(*value, if within { 200 } else { 0 }, "{x} {y}");
    }
}

/// What the header says, whether an area is given, what comes of it.
#[test]
fn what_may_have_writing_in_it_is_refused_unless_somebody_says_where_the_image_is() {
    let of_class = |class: &str, said: &str, image_type: &str| {
        let mut set = ultrasound();
        set.remove_element(tags::SEQUENCE_OF_ULTRASOUND_REGIONS);
        for (tag, vr, value) in [
            (tags::SOP_CLASS_UID, VR::UI, class),
            (tags::BURNED_IN_ANNOTATION, VR::CS, said),
            (tags::IMAGE_TYPE, VR::CS, image_type),
        ] {
            put(&mut set, tag, vr, value);
        }
        set
    };
    let whole = |said: &str| {
        let mut set = of_class(uids::ULTRASOUND_IMAGE_STORAGE, said, "ORIGINAL\\PRIMARY");
        with_region(&mut set, [0, 0, 7, 5]);
        set
    };
    let several = |all: &[[u32; 4]]| {
        let mut set = of_class(uids::ULTRASOUND_IMAGE_STORAGE, "", "ORIGINAL\\PRIMARY");
        let items: Vec<_> = all.iter().map(|corners| region(*corners)).collect();
        set.put(DataElement::new(tags::SEQUENCE_OF_ULTRASOUND_REGIONS, VR::SQ, DataSetSequence::from(items)));
        set
    };
    let ct = |said, kind| of_class(uids::CT_IMAGE_STORAGE, said, kind);
    let mg = |said| of_class(uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION, said, "DERIVED\\PRIMARY");
    let cases = [
        (ct("", "ORIGINAL\\PRIMARY\\AXIAL"), None),
        (ct("NO", "DERIVED\\PRIMARY\\AXIAL"), None),
        (ct("YES", "ORIGINAL\\PRIMARY\\AXIAL"), Some(Unsafe::SaysSo)),
        (ct("", "DERIVED\\SECONDARY\\OTHER\\CT_SOM5 PROT"), Some(Unsafe::Derived)),
        (ct("NO", ""), Some(Unsafe::Derived)),
        (mg("NO"), None),
        (mg(""), Some(Unsafe::DoesNotSay)),
        (mg("YES"), Some(Unsafe::SaysSo)),
        (of_class(uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE, "", "ORIGINAL\\PRIMARY"), Some(Unsafe::DoesNotSay)),
        (of_class(uids::SECONDARY_CAPTURE_IMAGE_STORAGE, "NO", "ORIGINAL\\PRIMARY"), Some(Unsafe::Kind)),
        (of_class(uids::ULTRASOUND_IMAGE_STORAGE, "NO", "ORIGINAL\\PRIMARY"), Some(Unsafe::NoRegions)),
        (whole(""), Some(Unsafe::RegionsEverywhere)),
        (whole("NO"), None),
        // Both halves of a split screen, and a region that leaves only what is below it.
        (several(&[[0, 0, 3, 5], [4, 0, 7, 5]]), Some(Unsafe::RegionsEverywhere)),
        (several(&[[0, 0, 7, 3]]), Some(Unsafe::RegionsEverywhere)),
        // One within the other counts once.
        (several(&[[0, 1, 7, 4], [1, 1, 6, 3]]), None),
        (of_class("1.2.3.4", "NO", "ORIGINAL\\PRIMARY"), Some(Unsafe::Kind)),
    ];
    for (index, (set, refused)) in cases.into_iter().enumerate() {
        let part10 = file(&set);
        match (copy(&part10, &case(), None), refused) {
            (Ok(_), None) => {}
            (Err(Error::Unsafe(why)), Some(refused)) => assert_eq!(why, refused, "{index}"),
            (got, refused) => panic!("{index}: {:?} instead of {refused:?}", got.map(|copy| copy.masked)),
        }
        if refused.is_some() {
            assert!(copy(&part10, &case(), Some([1, 1, 4, 4])).unwrap().masked, "{index}");
            let outside = copy(&part10, &case(), Some([80, 1, 90, 4]));
            assert!(matches!(outside, Err(Error::Unsafe(Unsafe::AreaOutside))), "{index}");
        }
    }
}

/// Promise: a region that has the line with the name inside is not trusted, and a person's area makes any region smaller.
#[test]
fn a_name_in_the_upper_rows_of_a_region_is_refused_and_cut_off_by_an_area() {
    let screen = |corners| {
        let mut set = ultrasound();
        for (tag, value) in [(tags::ROWS, 768u16), (tags::COLUMNS, 1024)] {
            set.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
        }
        let mut pixels = vec![90u8; 1024 * 768];
        pixels[1024 * 5..1024 * 25].fill(255);
        set.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::U8(pixels.into())));
        with_region(&mut set, corners);
        file(&set)
    };
    let regions = [[0, 1, 1023, 719], [0, 0, 899, 767], [0, 0, 959, 767], [0, 20, 1023, 719]];
    for corners in regions {
        let refused = copy(&screen(corners), &case(), None);
        assert!(matches!(refused, Err(Error::Unsafe(Unsafe::RegionsEverywhere))), "{corners:?}");
    }
    // The one that begins below those rows is trusted by itself, and an area makes it smaller all the same.
    for corners in regions.into_iter().chain([[100, 50, 900, 700]]) {
        let copy = copy(&screen(corners), &case(), Some([0, 60, 1024, 768])).unwrap();
        let set = parse::whole(&copy.part10).unwrap().into_inner();
        let pixels = set.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned();
        assert!(pixels[..1024 * 60].iter().all(|value| *value == 0), "{corners:?}");
        assert_eq!(pixels[1024 * 60 + 500], 90, "{corners:?}");
    }
    assert!(copy(&screen([100, 50, 900, 700]), &case(), None).unwrap().masked);
}

#[test]
fn what_is_no_image_is_no_part_of_it() {
    let mut set = ultrasound();
    set.remove_element(tags::PIXEL_DATA);
    assert!(matches!(copy(&file(&set), &case(), None), Err(Error::NoImage)));
    assert!(matches!(copy(b"nothing", &case(), None), Err(Error::Decode(_))));
}
