//! The X-Ray Radiation Dose SR that scanners send after a CT: TID 10011 with one scout and one spiral (PS3.16).

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::vendor_headers::{dose, equipment, person_and_day};
use super::{Instance, Scan, encode, put, uid};
use crate::scanner::{Dose, Facts, Vendor};

type Item = InMemDicomObject;

/// Code value, scheme, meaning.
pub(super) type Code = (&'static str, &'static str, &'static str);

const CONTAINS: &str = "CONTAINS";
/// The CT dosimetry phantom to which CTDIvol refers.
pub(super) const BODY_PHANTOM: Code = ("113691", "DCM", "IEC Body Dosimetry Phantom");
const SCOUT_SECONDS: f64 = 3.0;
/// CTDIvol of a scout, mGy.
const SCOUT_MGY: f64 = 0.08;

pub(super) fn instance(scan: &Scan<'_>, vendor: Vendor) -> anyhow::Result<Instance> {
    let facts = vendor.facts();
    let instance = uid(&scan.names.root, "dose/1");
    let mut o = root(scan, facts, &instance);
    let spiral = dose(scan, facts);
    let scout_dlp = SCOUT_MGY * spiral.length_mm / 10.0;
    let mut content = header(scan, facts);
    content.push(container(
        ("113811", "DCM", "CT Accumulated Dose Data"),
        vec![
            num(("113812", "DCM", "Total Number of Irradiation Events"), "2", ("{events}", "events")),
            num(
                ("113813", "DCM", "CT Dose Length Product Total"),
                &format!("{:.2}", spiral.dlp() + scout_dlp),
                ("mGy.cm", "mGy.cm"),
            ),
        ],
    ));
    content.push(event(scan, facts, spiral, true));
    content.push(event(scan, facts, spiral, false));
    content.push(code(
        CONTAINS,
        ("113854", "DCM", "Source of Dose Information"),
        ("113856", "DCM", "Automated Data Collection"),
    ));
    put_items(&mut o, tags::CONTENT_SEQUENCE, content);
    encode(o, uids::X_RAY_RADIATION_DOSE_SR_STORAGE, instance, "DOSE/00001.dcm".into())
}

/// Everything outside Content Sequence.
fn root(scan: &Scan<'_>, facts: &Facts, instance: &str) -> Item {
    let mut o = Item::new_empty();
    let text: [(Tag, VR, String); 26] = [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 100".into()),
        (tags::SOP_CLASS_UID, VR::UI, uids::X_RAY_RADIATION_DOSE_SR_STORAGE.into()),
        (tags::SOP_INSTANCE_UID, VR::UI, instance.into()),
        (tags::STUDY_TIME, VR::TM, "093000".into()),
        (tags::SERIES_TIME, VR::TM, "093300".into()),
        (tags::CONTENT_TIME, VR::TM, "093300".into()),
        (tags::MODALITY, VR::CS, "SR".into()),
        (tags::INSTITUTION_NAME, VR::LO, "Phantom clinic".into()),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN, String::new()),
        (tags::SERIES_DESCRIPTION, VR::LO, "Dose Report".into()),
        (tags::PATIENT_NAME, VR::PN, "PHANTOM^CHEST".into()),
        (tags::PATIENT_ID, VR::LO, format!("PHANTOM-{}", scan.phantom.seed)),
        (tags::PATIENT_BIRTH_DATE, VR::DA, "19600229".into()),
        (tags::PATIENT_SEX, VR::CS, "O".into()),
        (tags::STUDY_INSTANCE_UID, VR::UI, scan.names.study.clone()),
        (tags::SERIES_INSTANCE_UID, VR::UI, uid(&scan.names.root, "dose")),
        (tags::STUDY_ID, VR::SH, format!("{}", scan.phantom.seed % 1_000_000)),
        (tags::SERIES_NUMBER, VR::IS, format!("{}", facts.dose_series)),
        (tags::INSTANCE_NUMBER, VR::IS, "1".into()),
        (tags::SYNCHRONIZATION_FRAME_OF_REFERENCE_UID, VR::UI, uid(&scan.names.root, "clock")),
        (tags::SYNCHRONIZATION_TRIGGER, VR::CS, "NO TRIGGER".into()),
        (tags::ACQUISITION_TIME_SYNCHRONIZED, VR::CS, "N".into()),
        (tags::VALUE_TYPE, VR::CS, "CONTAINER".into()),
        (tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE".into()),
        (tags::COMPLETION_FLAG, VR::CS, "COMPLETE".into()),
        (tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED".into()),
    ];
    for (tag, vr, value) in text {
        put(&mut o, tag, vr, value);
    }
    person_and_day(&mut o, scan);
    // Belongs to images only.
    o.remove_element(tags::ACQUISITION_DATE);
    equipment(&mut o, scan, facts);
    put_items(&mut o, tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    put_items(&mut o, tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    let name = coded(("113701", "DCM", "X-Ray Radiation Dose Report"));
    put_items(&mut o, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![name]);
    let mut template = Item::new_empty();
    put(&mut template, tags::MAPPING_RESOURCE, VR::CS, "DCMR");
    put(&mut template, tags::TEMPLATE_IDENTIFIER, VR::CS, "10011");
    put_items(&mut o, tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]);
    o
}

/// Procedure, observer, times and scope.
fn header(scan: &Scan<'_>, facts: &Facts) -> Vec<Item> {
    let context = "HAS OBS CONTEXT";
    let mut procedure = code(
        "HAS CONCEPT MOD",
        ("121058", "DCM", "Procedure reported"),
        ("77477000", "SCT", "Computed Tomography X-Ray"),
    );
    let intent = code("HAS CONCEPT MOD", ("363703001", "SCT", "Has Intent"), ("261004008", "SCT", "Diagnostic Intent"));
    put_items(&mut procedure, tags::CONTENT_SEQUENCE, vec![intent]);
    let mut scope = code(context, ("113705", "DCM", "Scope of Accumulation"), ("113014", "DCM", "Study"));
    let study = reference("HAS PROPERTIES", ("110180", "DCM", "Study Instance UID"), &scan.names.study);
    put_items(&mut scope, tags::CONTENT_SEQUENCE, vec![study]);
    let day = scan.visit.day.da();
    vec![
        procedure,
        code(context, ("121005", "DCM", "Observer Type"), ("121007", "DCM", "Device")),
        reference(context, ("121012", "DCM", "Device Observer UID"), &uid(facts.model, "observer")),
        text(context, ("121013", "DCM", "Device Observer Name"), facts.station),
        text(context, ("121014", "DCM", "Device Observer Manufacturer"), facts.manufacturer),
        text(context, ("121015", "DCM", "Device Observer Model Name"), facts.model),
        text(context, ("121016", "DCM", "Device Observer Serial Number"), "000000"),
        moment(("113809", "DCM", "Start of X-Ray Irradiation"), &format!("{day}093100")),
        moment(("113810", "DCM", "End of X-Ray Irradiation"), &format!("{day}093211")),
        scope,
    ]
}

/// TID 10013: one irradiation, the scout or the spiral.
fn event(scan: &Scan<'_>, facts: &Facts, dose: Dose, scout: bool) -> Item {
    let kind = if scout {
        ("113805", "DCM", "Constant Angle Acquisition")
    } else {
        ("116152004", "SCT", "Spiral Acquisition")
    };
    let which = if scout { "event/scout" } else { "event/spiral" };
    let mgy = if scout { SCOUT_MGY } else { dose.ctdi_vol_mgy };
    container(
        ("113819", "DCM", "CT Acquisition"),
        vec![
            text(
                CONTAINS,
                ("125203", "DCM", "Acquisition Protocol"),
                if scout { facts.localiser } else { facts.protocol },
            ),
            code(CONTAINS, ("123014", "DCM", "Target Region"), ("51185008", "SCT", "Chest")),
            code(CONTAINS, ("113820", "DCM", "CT Acquisition Type"), kind),
            reference(CONTAINS, ("113769", "DCM", "Irradiation Event UID"), &uid(&scan.names.root, which)),
            parameters(facts, dose, scout),
            container(
                ("113829", "DCM", "CT Dose"),
                vec![
                    num(("113830", "DCM", "Mean CTDIvol"), &format!("{mgy:.2}"), ("mGy", "mGy")),
                    code(CONTAINS, ("113835", "DCM", "CTDIw Phantom Type"), BODY_PHANTOM),
                    num(("113838", "DCM", "DLP"), &format!("{:.2}", mgy * dose.length_mm / 10.0), ("mGy.cm", "mGy.cm")),
                ],
            ),
        ],
    )
}

fn parameters(facts: &Facts, dose: Dose, scout: bool) -> Item {
    let rotations = dose.length_mm / facts.table_feed();
    let seconds = if scout { SCOUT_SECONDS } else { rotations * facts.rotation_s };
    let current = if scout { 35 } else { dose.tube_current_ma };
    let ma = ("mA", "mA");
    let mut source = vec![
        text(CONTAINS, ("113832", "DCM", "Identification of the X-Ray Source"), "1"),
        num(("113733", "DCM", "KVP"), &format!("{}", dose.kvp), ("kV", "kV")),
        num(("113833", "DCM", "Maximum X-Ray Tube Current"), &format!("{current}"), ma),
        num(("113734", "DCM", "X-Ray Tube Current"), &format!("{current}"), ma),
    ];
    if !scout {
        let per = ("113834", "DCM", "Exposure Time per Rotation");
        source.push(num(per, &format!("{}", facts.rotation_s), ("s", "s")));
    }
    let mm = ("mm", "mm");
    let mut items = vec![
        num(("113824", "DCM", "Exposure Time"), &format!("{seconds:.2}"), ("s", "s")),
        num(("113825", "DCM", "Scanning Length"), &format!("{:.1}", dose.length_mm), mm),
        num(("113826", "DCM", "Nominal Single Collimation Width"), &format!("{}", facts.collimation_mm[0]), mm),
        num(("113827", "DCM", "Nominal Total Collimation Width"), &format!("{}", facts.collimation_mm[1]), mm),
    ];
    if !scout {
        items.push(num(("113828", "DCM", "Pitch Factor"), &format!("{}", facts.pitch), ("{ratio}", "ratio")));
    }
    items.push(num(("113823", "DCM", "Number of X-Ray Sources"), "1", ("{X-Ray sources}", "X-Ray sources")));
    items.push(container(("113831", "DCM", "CT X-Ray Source Parameters"), source));
    container(("113822", "DCM", "CT Acquisition Parameters"), items)
}

pub(super) fn put_items(o: &mut Item, tag: Tag, items: Vec<Item>) {
    o.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

pub(super) fn coded((value, scheme, meaning): Code) -> Item {
    let mut item = Item::new_empty();
    put(&mut item, tags::CODE_VALUE, VR::SH, value);
    put(&mut item, tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme);
    put(&mut item, tags::CODE_MEANING, VR::LO, meaning);
    item
}

fn content(relationship: &str, value_type: &str, name: Code) -> Item {
    let mut item = Item::new_empty();
    put(&mut item, tags::RELATIONSHIP_TYPE, VR::CS, relationship);
    put(&mut item, tags::VALUE_TYPE, VR::CS, value_type);
    put_items(&mut item, tags::CONCEPT_NAME_CODE_SEQUENCE, vec![coded(name)]);
    item
}

fn container(name: Code, items: Vec<Item>) -> Item {
    let mut item = content(CONTAINS, "CONTAINER", name);
    put(&mut item, tags::CONTINUITY_OF_CONTENT, VR::CS, "SEPARATE");
    put_items(&mut item, tags::CONTENT_SEQUENCE, items);
    item
}

fn code(relationship: &str, name: Code, value: Code) -> Item {
    let mut item = content(relationship, "CODE", name);
    put_items(&mut item, tags::CONCEPT_CODE_SEQUENCE, vec![coded(value)]);
    item
}

fn text(relationship: &str, name: Code, value: &str) -> Item {
    let mut item = content(relationship, "TEXT", name);
    put(&mut item, tags::TEXT_VALUE, VR::UT, value);
    item
}

fn reference(relationship: &str, name: Code, value: &str) -> Item {
    let mut item = content(relationship, "UIDREF", name);
    put(&mut item, tags::UID, VR::UI, value);
    item
}

fn moment(name: Code, value: &str) -> Item {
    let mut item = content(CONTAINS, "DATETIME", name);
    item.put(DataElement::new(tags::DATE_TIME, VR::DT, PrimitiveValue::from(value)));
    item
}

/// `unit` is its UCUM code and meaning.
fn num(name: Code, value: &str, unit: (&'static str, &'static str)) -> Item {
    let mut item = content(CONTAINS, "NUM", name);
    let mut measured = Item::new_empty();
    put_items(&mut measured, tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![coded((unit.0, "UCUM", unit.1))]);
    put(&mut measured, tags::NUMERIC_VALUE, VR::DS, value);
    put_items(&mut item, tags::MEASURED_VALUE_SEQUENCE, vec![measured]);
    item
}
