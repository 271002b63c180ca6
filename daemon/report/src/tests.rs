//! Tests of what every result must contain, beyond the checks of DICOM validators.

use std::collections::BTreeSet;
use std::io::Cursor;

use dicom::header::Header;
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::mem::InMemDicomObject;
use models::findings::{ChestFinding, Evaluated};
use models::manifest::Clearance;
use models::refusal::{Gap, Place};
use models::{ChestFindings, NotEvaluated, Reason, Refusal};

use crate::testing::{self, Case};
use crate::words::Language;
use crate::{Content, Error, NOT_FOR_DIAGNOSIS, Refused, ResultObject, Source, write};

const REASON: &str = "2 slices are missing, at a spacing of 5.00 mm: 2 between slice 4 (z = 15.0 mm) and slice 5 (z = 30.0 mm); \
                      send the series again";

fn reason() -> Refused {
    let place = |number, mm| Place { number: Some(number), axis: 'z', mm };
    let gap = Gap { missing: 2, before: place(4, 15.0), after: place(5, 30.0) };
    Refused::Volume(Refusal::MissingSlices { spacing_mm: 5.0, gaps: vec![gap] })
}

fn processed(case: &Case) -> Vec<ResultObject> {
    let content = Content::Findings { findings: &case.findings, volume: &case.volume, quality: None };
    write(&case.source(), content, &case.provenance).unwrap()
}

fn refused(case: &Case) -> Vec<ResultObject> {
    write(&case.source(), Content::Refused { reason: &reason() }, &case.provenance).unwrap()
}

fn both(case: &Case) -> Vec<ResultObject> {
    [processed(case), refused(case)].concat()
}

fn open(object: &ResultObject) -> InMemDicomObject {
    let file = dicom_object::from_reader(Cursor::new(&object.part10)).unwrap();
    assert_eq!(file.meta().media_storage_sop_instance_uid(), object.sop_uid);
    // Results, associations and received files carry the same implementation UID.
    assert_eq!(file.meta().implementation_class_uid(), dicom::implementation::CLASS_UID);
    let version = file.meta().implementation_version_name.as_deref().unwrap_or_default();
    assert_eq!(version.trim_end(), dicom::implementation::VERSION_NAME);
    file.into_inner()
}

fn find<'a>(objects: &'a [ResultObject], kind: &str) -> &'a ResultObject {
    objects.iter().find(|o| o.kind == kind).unwrap()
}

fn bytes(object: &InMemDicomObject, tag: Tag) -> Option<Vec<u8>> {
    Some(object.get(tag)?.to_bytes().unwrap().into_owned())
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object.get(tag).map(|e| e.to_str().unwrap().trim_end_matches(['\0', ' ']).to_owned()).unwrap_or_default()
}

fn items(object: &InMemDicomObject, tag: Tag) -> Vec<InMemDicomObject> {
    object.get(tag).and_then(|e| e.items().map(<[_]>::to_vec)).unwrap_or_default()
}

/// An object and everything nested in it.
fn all(object: &InMemDicomObject) -> Vec<InMemDicomObject> {
    let nested = object.iter().filter_map(|e| e.items()).flatten().flat_map(all);
    [object.clone()].into_iter().chain(nested).collect()
}

/// (concept name, value as text) of every content item.
fn content(object: &InMemDicomObject) -> Vec<(String, String)> {
    let code = |o: &InMemDicomObject, tag| items(o, tag).first().map(|c| text(c, tags::CODE_VALUE)).unwrap_or_default();
    let one = |o: InMemDicomObject| {
        let value = [tags::TEXT_VALUE, tags::UID].map(|t| text(&o, t)).concat();
        (code(&o, tags::CONCEPT_NAME_CODE_SEQUENCE), value + &code(&o, tags::CONCEPT_CODE_SEQUENCE))
    };
    all(object).into_iter().filter(|o| o.get(tags::VALUE_TYPE).is_some()).map(one).collect()
}

fn has(content: &[(String, String)], name: &str, value: &str) -> bool {
    content.iter().any(|(n, v)| n == name && v == value)
}

#[test]
fn identity_is_the_sources_byte_for_byte_in_every_object() {
    let case = testing::case(9);
    for object in both(&case) {
        let read = open(&object);
        let frame_of_reference = Tag(0x0020, 0x0052);
        for element in case.elements.iter().filter(|e| object.kind == "seg" || e.tag != frame_of_reference) {
            // Searches the bytes of the file, so that no character set conversion takes place.
            let at = object.part10.windows(element.value.len()).position(|w| w == element.value);
            assert!(at.is_some(), "{} in {}", element.tag, object.kind);
        }
        let name = &case.elements.iter().find(|e| e.tag == tags::PATIENT_NAME).unwrap().value;
        let start = [[0x10, 0x00, 0x10, 0x00].as_slice(), b"PN", &(name.len() as u16).to_le_bytes(), name].concat();
        assert!(object.part10.windows(start.len()).any(|w| w == start), "patient name in {}", object.kind);
        assert_eq!(text(&read, tags::STUDY_INSTANCE_UID), "1.2.3.4");
        assert_eq!(object.study_uid, "1.2.3.4");
        assert_ne!(text(&read, tags::SERIES_INSTANCE_UID), "1.2.3.4.5");
    }
}

#[test]
fn names_in_any_character_set_stay_what_they_are() {
    let names: [(&[u8], &[u8]); 3] = [
        (b"ISO_IR 192", b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1 "),
        (b"\\ISO 2022 IR 87 ", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B"),
        (b"ISO_IR 100", b"Buc^J\xe9r\xf4me "),
    ];
    for (set, name) in names {
        let mut case = testing::case(3);
        case.elements[0].value = set.to_vec();
        case.elements[2].value = name.to_vec();
        for object in refused(&case) {
            for value in [set, name] {
                assert!(object.part10.windows(value.len()).any(|w| w == value), "{:?}", String::from_utf8_lossy(name));
            }
        }
    }
}

#[test]
fn what_the_source_lacks_is_empty_or_derived_and_never_missing() {
    let mut case = testing::case(3);
    case.elements.clear();
    case.header = Header::default();
    for object in both(&case) {
        let read = open(&object);
        for tag in
            [tags::PATIENT_NAME, tags::PATIENT_ID, tags::PATIENT_BIRTH_DATE, tags::ACCESSION_NUMBER, tags::STUDY_ID]
        {
            assert_eq!(bytes(&read, tag), Some(Vec::new()), "{tag} in {}", object.kind);
        }
        assert!(text(&read, tags::STUDY_INSTANCE_UID).starts_with("2.25."));
        assert_eq!(read.get(tags::FRAME_OF_REFERENCE_UID).is_some(), object.kind == "seg");
    }
}

#[test]
fn same_input_gives_the_same_bytes() {
    let case = testing::case(9);
    assert_eq!(both(&case), both(&case));
}

#[test]
fn every_object_has_its_own_uid_and_every_kind_its_own_series() {
    let objects = both(&testing::case(9));
    let unique = |f: fn(&ResultObject) -> String| objects.iter().map(f).collect::<BTreeSet<_>>().len();
    assert_eq!(unique(|o| o.sop_uid.clone()), objects.len());
    assert_eq!(unique(|o| o.series_uid.clone()), 4 + 2);
}

#[test]
fn a_research_package_marks_every_object_and_a_cleared_one_none() {
    let mut case = testing::case(3);
    let marked =
        |o: &ResultObject| o.part10.windows(NOT_FOR_DIAGNOSIS.len()).any(|w| w == NOT_FOR_DIAGNOSIS.as_bytes());
    for object in both(&case) {
        assert!(marked(&object), "{}", object.kind);
        assert!(text(&open(&object), tags::SERIES_DESCRIPTION).ends_with("NOT FOR DIAGNOSIS"));
    }
    case.provenance.model.as_mut().unwrap().clearance = Clearance::Cleared;
    assert!(both(&case).iter().all(|o| !marked(o)));
    case.provenance.simulated = true;
    assert!(both(&case).iter().all(marked));
}

#[test]
fn every_object_names_device_software_model_hash_and_thresholds() {
    for object in both(&testing::case(3)) {
        let equipment = items(&open(&object), tags::CONTRIBUTING_EQUIPMENT_SEQUENCE);
        let words = text(equipment.last().unwrap(), tags::CONTRIBUTION_DESCRIPTION);
        for fact in ["scansided 0.1.0", "S-1", "ct-chest-nodules 0.1.0", &"ab".repeat(32), "confidence 0.50", "cpu"] {
            assert!(words.contains(fact), "{fact} in {words}");
        }
    }
}

#[test]
fn language_and_procedure_reported_are_in_every_report() {
    for object in both(&testing::case(3)).iter().filter(|o| o.kind == "sr") {
        let content = content(&open(object));
        assert!(has(&content, "121049", "en-US"));
        assert!(has(&content, "121058", "25045-6"));
    }
}

#[test]
fn every_image_in_a_report_is_in_its_evidence() {
    for object in both(&testing::case(9)).iter().filter(|o| o.kind == "sr") {
        let read = open(object);
        let referenced = |o: &InMemDicomObject| -> BTreeSet<String> {
            all(o).iter().map(|i| text(i, tags::REFERENCED_SOP_INSTANCE_UID)).filter(|u| !u.is_empty()).collect()
        };
        let evidence: BTreeSet<String> =
            items(&read, tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE).iter().flat_map(referenced).collect();
        let used: BTreeSet<String> = items(&read, tags::CONTENT_SEQUENCE).iter().flat_map(referenced).collect();
        assert!(used.len() > 9 && used.is_subset(&evidence));
    }
}

#[test]
fn a_nodule_is_the_same_finding_in_report_and_segmentation() {
    let objects = processed(&testing::case(9));
    let segments = items(&open(find(&objects, "seg")), tags::SEGMENT_SEQUENCE);
    let content = content(&open(find(&objects, "sr")));
    assert_eq!(segments.len(), crate::regions::all(&testing::case(9).findings).len());
    for (index, segment) in segments.iter().enumerate() {
        assert_eq!(segment.get(tags::SEGMENT_NUMBER).unwrap().to_int::<usize>().unwrap(), index + 1);
        assert!(has(&content, "112040", &text(segment, tags::TRACKING_UID)));
        assert!(has(&content, "112039", &text(segment, tags::TRACKING_ID)));
    }
}

#[test]
fn the_segmentation_holds_exactly_the_masks_on_their_slices() {
    let case = testing::case(9);
    let read = open(find(&processed(&case), "seg"));
    let [columns, rows, _] = case.volume.geometry.dims;
    let pixels = bytes(&read, tags::PIXEL_DATA).unwrap();
    let frames = items(&read, tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    let all = crate::regions::all(&case.findings);
    let first = |o: &InMemDicomObject, path: &[Tag]| path.iter().fold(o.clone(), |o, t| items(&o, *t)[0].clone());
    let mut voxels = 0;
    for (index, frame) in frames.iter().enumerate() {
        let segment = first(frame, &[tags::SEGMENT_IDENTIFICATION_SEQUENCE]);
        let number = segment.get(tags::REFERENCED_SEGMENT_NUMBER).unwrap().to_int::<usize>().unwrap();
        let image = first(frame, &[tags::DERIVATION_IMAGE_SEQUENCE, tags::SOURCE_IMAGE_SEQUENCE]);
        let uid = text(&image, tags::REFERENCED_SOP_INSTANCE_UID);
        let slice = case.instances.iter().position(|i| i.sop_instance_uid == uid).unwrap();
        let position =
            first(frame, &[tags::PLANE_POSITION_SEQUENCE]).get(tags::IMAGE_POSITION_PATIENT).unwrap().clone();
        assert_eq!(position.to_multi_float64().unwrap(), case.instances[slice].position_mm);
        let before = voxels;
        for y in 0..rows {
            for x in 0..columns {
                let bit = (index * rows + y) * columns + x;
                let set = pixels[bit / 8] >> (bit % 8) & 1 == 1;
                let inside = all[number - 1].masks.iter().any(|mask| mask.contains([x, y, slice]));
                assert_eq!(set, inside, "frame {index} at {x}, {y}");
                voxels += usize::from(set);
            }
        }
        assert!(voxels > before, "frame {index} is empty");
    }
    assert_eq!(pixels.len(), (frames.len() * rows * columns).div_ceil(16) * 2);
}

#[test]
fn nothing_found_is_said_in_codes_and_words() {
    let mut case = testing::case(9);
    case.findings.nodules = Evaluated::Done(Vec::new());
    let content = content(&open(find(&processed(&case), "sr")));
    assert!(has(&content, "27925004", "121054") && has(&content, "111064", "111222"));
    assert!(has(&content, "4147007", "121054"), "no mass either");
    assert!(has(&content, "121106", "Nodules or masses: none found"));
}

#[test]
fn a_mass_is_a_mass_in_every_object() {
    let mut case = testing::case(9);
    let Evaluated::Done(nodules) = &mut case.findings.nodules else { panic!() };
    nodules.truncate(1);
    (nodules[0].form, nodules[0].long_axis_mm) = (models::findings::Form::Mass, 44.5);
    let objects = processed(&case);
    let content = content(&open(find(&objects, "sr")));
    let (absent, present) = ("121054", "121053");
    assert!(has(&content, "27925004", absent) && has(&content, "4147007", present));
    // Finding, tracking identifier, type; and no mean diameter.
    assert!(has(&content, "121071", "4147007") && !has(&content, "121071", "27925004"));
    assert!(has(&content, "112039", "Mass 1") && has(&content, "MASSTYPE", "MASSSOLID"));
    assert!(!content.iter().any(|(name, _)| name == "81827009" || name == "NODTYPE"));
    let segments = items(&open(find(&objects, "seg")), tags::SEGMENT_SEQUENCE);
    let segment = segments.iter().find(|segment| text(segment, tags::SEGMENT_LABEL) == "Mass 1").unwrap();
    let kind = items(segment, tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE);
    assert_eq!(text(&kind[0], tags::CODE_VALUE), "4147007");
}

#[test]
fn noise_that_was_not_measured_is_not_said_to_be_none() {
    let mut case = testing::case(9);
    let report = |case: &testing::Case| find(&processed(case), "sr").part10.clone();
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(&report(&case), "noise measured 18.0 HU"));
    if let Evaluated::Done(emphysema) = &mut case.findings.emphysema {
        emphysema.noise_hu = None;
    }
    let said = report(&case);
    assert!(holds(&said, "noise not measured") && !holds(&said, "noise measured"));
}

/// The engine refuses; what a refused finding measured must not come back by another way.
#[test]
fn where_one_finding_is_open_no_number_of_another_is_in_any_output() {
    for open_one in ChestFinding::ALL {
        let mut case = testing::case(9);
        for finding in ChestFinding::ALL.into_iter().filter(|finding| *finding != open_one) {
            case.findings.refuse(finding, Reason::NoSpine);
        }
        case.findings.comparison = None;
        if let (false, Evaluated::Done(lungs)) = (open_one == ChestFinding::Emphysema, &mut case.findings.lungs) {
            lungs.iter_mut().for_each(|lung| lung.laa950_percent = None);
        }
        let segmented = crate::regions::all(&case.findings);
        assert!(segmented.iter().all(|one| one.subject.finding().is_none_or(|finding| finding == open_one)));
        for language in Language::ALL {
            for line in crate::words::lines(&case.findings, *language).iter().filter(|line| line.finding != open_one) {
                assert!(!line.text.contains(|c: char| c.is_ascii_digit()), "{}", line.text);
            }
            let pages = crate::key_images(&case.findings, &case.volume, &case.provenance, *language);
            assert!(pages.iter().all(|page| page.finding.is_none_or(|finding| finding == open_one)));
        }
        let report = open(find(&processed(&case), "sr"));
        let group = |item: &InMemDicomObject| items(item, tags::CONTENT_SEQUENCE);
        let measured = all(&report)
            .into_iter()
            .filter(|item| group(item).iter().any(|one| one.get(tags::MEASURED_VALUE_SEQUENCE).is_some()));
        let own: BTreeSet<&str> = match open_one {
            ChestFinding::Pneumonia => ["112120", "95436008", "233604007"].into(),
            finding => [crate::entry::entry(finding).code.value].into(),
        };
        // Right and left lung, lobes.
        let organs: BTreeSet<&str> = ["39607008", "45653009", "72481006", "90572001"].into();
        let mut seen = false;
        for item in measured {
            let of = content(&item);
            let finding = &of.iter().find(|(name, _)| name == "121071").unwrap().1;
            assert!(
                own.contains(finding.as_str()) || organs.contains(finding.as_str()),
                "{finding} beside {open_one:?}"
            );
            seen |= own.contains(finding.as_str());
            let laa = of.iter().any(|(name, _)| name == "LAA950");
            assert!(!laa || open_one == ChestFinding::Emphysema);
        }
        assert!(seen, "{open_one:?} has its own numbers");
    }
}

#[test]
fn not_evaluated_is_never_mistaken_for_nothing_found() {
    let reason = "nodules not evaluated: slice spacing 5.0 mm, package needs <= 2.5 mm";
    let mut case = testing::case(9);
    case.findings.nodules = Evaluated::NotEvaluated(NotEvaluated::stored(reason));
    let said = content(&open(find(&processed(&case), "sr")));
    let words = "Nodules or masses not evaluated: slice spacing 5.0 mm, package needs <= 2.5 mm";
    assert!(has(&said, "111064", "111223") && has(&said, "27925004", "121059") && has(&said, "121106", words));
    assert!(!has(&said, "27925004", "121054"));
    case.findings = ChestFindings::none(&Reason::stored("no lungs"));
    let objects = processed(&case);
    assert!(objects.iter().all(|o| o.kind != "seg"), "nothing segmented, no segmentation");
    assert!(has(&content(&open(find(&objects, "sr"))), "121106", "lungs not evaluated: no lungs"));
}

#[test]
fn a_refusal_says_why_and_which_images() {
    let case = testing::case(9);
    let objects = refused(&case);
    assert_eq!(objects.iter().map(|o| o.kind).collect::<Vec<_>>(), ["sc", "sr"]);
    let read = open(&objects[1]);
    assert!(has(&content(&read), "121106", &format!("Series not processed: {REASON}")));
    let named: BTreeSet<String> = all(&read).iter().map(|i| text(i, tags::REFERENCED_SOP_INSTANCE_UID)).collect();
    assert!(case.instances.iter().all(|i| named.contains(&i.sop_instance_uid)));
}

#[test]
fn a_frame_of_a_multi_frame_source_is_named_with_its_number() {
    let mut case = testing::case(4);
    for (index, slice) in case.instances.iter_mut().enumerate() {
        slice.sop_instance_uid = "1.2.3.77".into();
        slice.frame = Some(index as u32 + 1);
    }
    let objects = processed(&case);
    let seg = open(find(&objects, "seg"));
    let references = items(&items(&seg, tags::REFERENCED_SERIES_SEQUENCE)[0], tags::REFERENCED_INSTANCE_SEQUENCE);
    assert_eq!(references.len(), 1);
    let numbers: BTreeSet<String> = all(&seg).iter().map(|i| text(i, tags::REFERENCED_FRAME_NUMBER)).collect();
    assert!(numbers.contains("2") && numbers.contains("3"));
}

#[test]
fn findings_of_another_volume_are_an_error() {
    let mut case = testing::case(9);
    let short = Source { instances: &case.instances[..8], ..case.source() };
    let content = Content::Findings { findings: &case.findings, volume: &case.volume, quality: None };
    assert!(matches!(write(&short, content, &case.provenance), Err(Error::SliceCount { .. })));
    case.volume.geometry.dims[0] = 20;
    let content = Content::Findings { findings: &case.findings, volume: &case.volume, quality: None };
    assert!(matches!(write(&case.source(), content, &case.provenance), Err(Error::OutsideVolume { .. })));
}

#[test]
fn pages_show_the_mark_and_every_finding_that_is_there() {
    let mut case = testing::case(9);
    let pages = crate::key_images(&case.findings, &case.volume, &case.provenance, Language::English);
    let all: Vec<Option<ChestFinding>> = std::iter::once(None).chain(ChestFinding::ALL.map(Some)).collect();
    assert_eq!(pages.iter().map(|p| p.finding).collect::<Vec<_>>(), all);
    let mut cleared = case.provenance.clone();
    cleared.model.as_mut().unwrap().clearance = Clearance::Cleared;
    for (marked, plain) in
        pages.iter().zip(crate::key_images(&case.findings, &case.volume, &cleared, Language::English))
    {
        assert_eq!(marked.rgb.len(), marked.width * marked.height * 3);
        let banner = |rgb: &[u8]| rgb[rgb.len() - 3..] == [255, 186, 56];
        assert!(banner(&marked.rgb) && !banner(&plain.rgb), "{}", marked.title);
    }
    case.findings =
        ChestFindings { lungs: case.findings.lungs.clone(), ..ChestFindings::none(&Reason::stored("not looked for")) };
    assert_eq!(crate::key_images(&case.findings, &case.volume, &case.provenance, Language::English).len(), 1);
}

#[test]
fn key_images_are_in_the_language_that_is_asked_for() {
    let mut case = testing::case(9);
    let captures = |case: &Case| processed(case).into_iter().filter(|o| o.kind == "sc").collect::<Vec<_>>();
    let english = captures(&case);
    case.provenance.language = Language::Chinese;
    let chinese = captures(&case);
    assert_eq!(english.len(), chinese.len());
    for (english, chinese) in english.iter().zip(&chinese) {
        let pixels = |object: &ResultObject| bytes(&open(object), tags::PIXEL_DATA).unwrap();
        assert!(pixels(english) != pixels(chinese) && english.sop_uid != chinese.sop_uid);
        let title = |object: &ResultObject| text(&open(object), tags::IMAGE_COMMENTS);
        assert_eq!(title(english), title(chinese), "plain text of DICOM stays English");
    }
}

#[test]
fn alternative_texts_of_pictures_are_in_the_language_of_the_document() {
    let objects = processed(&testing::case(9));
    let documents: Vec<&ResultObject> = objects.iter().filter(|o| o.kind == "pdf").collect();
    assert_eq!(documents.len(), Language::ALL.len());
    for (document, language) in documents.iter().zip(Language::ALL) {
        let has = |bytes: &[u8]| document.part10.windows(bytes.len()).any(|w| w == bytes);
        for finding in ChestFinding::ALL {
            let name = crate::words::name(finding, *language);
            // A PDF has a text as it is when all of it is ASCII, and otherwise as hexadecimal digits of UTF-16.
            let utf16: String = name.encode_utf16().map(|unit| format!("{unit:04X}")).collect();
            let written = [format!("/Alt ({name}"), format!("/Alt <FEFF{utf16}")];
            assert!(written.iter().any(|text| has(text.as_bytes())), "{language:?}: {name}");
        }
    }
}

#[test]
fn each_document_names_its_language_and_its_title() {
    let objects = processed(&testing::case(3));
    let documents: Vec<&ResultObject> = objects.iter().filter(|o| o.kind == "pdf").collect();
    assert_eq!(documents.len(), Language::ALL.len());
    for (document, language) in documents.iter().zip(Language::ALL) {
        let has = |text: &str| document.part10.windows(text.len()).any(|w| w == text.as_bytes());
        assert!(has(&format!("/Lang ({})", language.words().tag())), "{language:?}");
        assert!(has("/DisplayDocTitle true") && has("/Title "), "{language:?}");
    }
}
