//! A case as a DICOM study: Digital Mammography X-Ray Images (PS3.3 A.27), for processing, for presentation, or both.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::label;
use super::scene::{Case, Picture, Visit};
use super::seeds::stream;
use super::truth::ViewTruth;
use super::vendor::{Facts, Grey, Relation};
use super::{Projection, View};
use crate::anatomy::Side;
use crate::dicom::{Instance, encode, put, put_number, uid};
use crate::random::Random;
use crate::visit::{Day, Patient, Script};

/// Presentation Intent Type (0008,0068).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    Processing,
    Presentation,
}

/// What is written besides the pictures.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub intents: Vec<Intent>,
    /// How the name is written; chosen by the seed when absent.
    pub script: Option<Script>,
    pub day: Day,
    /// Also a magnification view of the first lesion in the CC view.
    pub magnification: bool,
}

/// The instances in the order in which the unit sends them.
#[derive(Debug, Clone)]
pub struct Study {
    pub study_instance_uid: String,
    pub instances: Vec<Instance>,
}

/// The four views (and what else is wanted) with their truth.
///
/// # Errors
/// When an instance cannot be encoded, which no valid options cause.
pub fn study(case: &Case, wanted: &Wanted) -> anyhow::Result<(Study, Vec<ViewTruth>)> {
    let script = wanted.script.unwrap_or_else(|| Script::by_seed(case.woman.seed));
    let root = format!("mammography/{:?}/{:?}/{:?}/{}", case.woman, case.vendor, wanted.day, case.pixel_mm);
    let writer = Writer { case, wanted, script, facts: case.vendor.facts(), study: uid(&root, "study"), root };
    let mut instances = Vec::new();
    let mut truths = Vec::new();
    let mut pictures: Vec<Picture> = Vec::new();
    for view in View::ALL {
        pictures.push(case.picture(view));
    }
    if wanted.magnification {
        pictures.extend(case.magnified());
    }
    for picture in pictures {
        for intent in &wanted.intents {
            instances.push(writer.instance(&picture, *intent, instances.len())?);
        }
        truths.push(picture.truth);
    }
    Ok((Study { study_instance_uid: writer.study, instances }, truths))
}

struct Writer<'a> {
    case: &'a Case,
    wanted: &'a Wanted,
    script: Script,
    facts: &'static Facts,
    study: String,
    root: String,
}

type Item = InMemDicomObject;

fn put_items(o: &mut Item, tag: Tag, items: Vec<Item>) {
    o.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
}

fn coded((value, scheme, meaning): (&str, &str, &str)) -> Item {
    let mut item = Item::new_empty();
    put(&mut item, tags::CODE_VALUE, VR::SH, value);
    put(&mut item, tags::CODING_SCHEME_DESIGNATOR, VR::SH, scheme);
    put(&mut item, tags::CODE_MEANING, VR::LO, meaning);
    item
}

fn letter(side: Side) -> &'static str {
    if side == Side::Right { "R" } else { "L" }
}

/// Directions of the rows and columns of a stored picture.
fn orientation(view: View) -> &'static str {
    match (view.projection, view.side) {
        (Projection::Cc, Side::Right) => "P\\L",
        (Projection::Cc, Side::Left) => "A\\R",
        (Projection::Mlo, Side::Right) => "P\\FL",
        (Projection::Mlo, Side::Left) => "A\\FR",
    }
}

impl Writer<'_> {
    fn instance(&self, picture: &Picture, intent: Intent, index: usize) -> anyhow::Result<Instance> {
        let name = uid(&self.root, &format!("instance/{index}"));
        let mut o = Item::new_empty();
        let class = match intent {
            Intent::Processing => uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PROCESSING,
            Intent::Presentation => uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
        };
        put(&mut o, tags::SOP_CLASS_UID, VR::UI, class);
        put(&mut o, tags::SOP_INSTANCE_UID, VR::UI, name.clone());
        self.person_and_study(&mut o);
        self.series_and_image(&mut o, picture, intent, index);
        self.equipment(&mut o, picture);
        anatomy(&mut o, self.case, picture, self.facts);
        exposure(&mut o, self.case, picture, self.facts);
        self.pixels(&mut o, picture, intent);
        let suffix = if intent == Intent::Processing { "-raw" } else { "" };
        let magnified = if picture.magnification > 1.0 { "-M" } else { "" };
        encode(o, class, name, format!("MG/{}{magnified}{suffix}.dcm", picture.pose.view.name()))
    }

    fn person_and_study(&self, o: &mut Item) {
        let seed = self.case.woman.seed;
        let patient = Patient::woman(seed, self.script, self.case.woman.age_years);
        let day = self.wanted.day;
        let in_chinese = self.script != Script::Latin;
        let text: [(Tag, VR, String); 15] = [
            (tags::SPECIFIC_CHARACTER_SET, VR::CS, self.script.term().into()),
            (tags::STUDY_DATE, VR::DA, day.da()),
            (tags::SERIES_DATE, VR::DA, day.da()),
            (tags::ACQUISITION_DATE, VR::DA, day.da()),
            (tags::CONTENT_DATE, VR::DA, day.da()),
            (tags::STUDY_TIME, VR::TM, "101500".into()),
            (tags::ACCESSION_NUMBER, VR::SH, format!("MG{}{:06}", &day.da()[2..], seed % 1_000_000)),
            (tags::REFERRING_PHYSICIAN_NAME, VR::PN, String::new()),
            (tags::STUDY_DESCRIPTION, VR::LO, if in_chinese { "双侧乳腺摄影" } else { "Mammogram screening" }.into()),
            (tags::PATIENT_NAME, VR::PN, patient.name.clone()),
            (tags::PATIENT_ID, VR::LO, format!("PHANTOM-MG-{seed}")),
            (tags::PATIENT_BIRTH_DATE, VR::DA, patient.born.da()),
            (tags::PATIENT_SEX, VR::CS, "F".into()),
            (tags::PATIENT_AGE, VR::AS, patient.age(day)),
            (tags::STUDY_ID, VR::SH, format!("{}", seed % 1_000_000)),
        ];
        for (tag, vr, value) in text {
            put(o, tag, vr, value);
        }
        put(o, tags::STUDY_INSTANCE_UID, VR::UI, self.study.clone());
        let name = if in_chinese { "虚构医院" } else { "Phantom clinic" };
        put(o, tags::INSTITUTION_NAME, VR::LO, name);
    }

    fn series_and_image(&self, o: &mut Item, picture: &Picture, intent: Intent, index: usize) {
        let facts = self.facts;
        let view = picture.pose.view;
        let raw = intent == Intent::Processing;
        // Some units make a series of each exposure, others one of all.
        let series = if facts.series_for_each { index } else { usize::from(raw) };
        let time = format!("1016{:02}", (index * 7) % 60);
        put(o, tags::SERIES_INSTANCE_UID, VR::UI, uid(&self.root, &format!("series/{series}")));
        put(o, tags::SERIES_NUMBER, VR::IS, format!("{}", series + 1));
        put(o, tags::INSTANCE_NUMBER, VR::IS, format!("{}", index + 1));
        put(o, tags::SERIES_TIME, VR::TM, "101600");
        put(o, tags::ACQUISITION_TIME, VR::TM, time.clone());
        put(o, tags::CONTENT_TIME, VR::TM, time);
        put(o, tags::MODALITY, VR::CS, "MG");
        let description = format!("{} {} {}", letter(view.side), view.projection.words(), facts.series);
        put(
            o,
            tags::SERIES_DESCRIPTION,
            VR::LO,
            if facts.series_for_each { description } else { facts.series.to_owned() },
        );
        put(o, tags::PRESENTATION_INTENT_TYPE, VR::CS, if raw { "FOR PROCESSING" } else { "FOR PRESENTATION" });
        // The third value is empty in these objects (PS3.3 C.8.11.7).
        put(o, tags::IMAGE_TYPE, VR::CS, if raw { "ORIGINAL\\PRIMARY\\" } else { "DERIVED\\PRIMARY\\" });
        put(o, tags::PATIENT_ORIENTATION, VR::CS, orientation(view));
        put(o, tags::IMAGE_LATERALITY, VR::CS, letter(view.side));
        let burnt = !raw && facts.burnt_label;
        put(o, tags::BURNED_IN_ANNOTATION, VR::CS, if burnt { "YES" } else { "NO" });
        put(o, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00");
        put(o, tags::QUALITY_CONTROL_IMAGE, VR::CS, "YES");
        put_items(o, tags::ACQUISITION_CONTEXT_SEQUENCE, Vec::new());
        if !raw {
            put(o, tags::DERIVATION_DESCRIPTION, VR::ST, "processed for presentation");
        }
    }

    fn equipment(&self, o: &mut Item, picture: &Picture) {
        let facts = self.facts;
        put(o, tags::MANUFACTURER, VR::LO, facts.manufacturer);
        put(o, tags::MANUFACTURER_MODEL_NAME, VR::LO, facts.model);
        put(o, tags::STATION_NAME, VR::SH, facts.station);
        put(o, tags::DEVICE_SERIAL_NUMBER, VR::LO, "000000");
        put(o, tags::SOFTWARE_VERSIONS, VR::LO, facts.software);
        put(o, tags::DETECTOR_TYPE, VR::CS, facts.detector_type);
        put(o, tags::DETECTOR_CONFIGURATION, VR::CS, "AREA");
        put(o, tags::DETECTOR_ID, VR::SH, facts.detector);
        put(o, tags::DETECTOR_DESCRIPTION, VR::LT, "phantom");
        put(o, tags::DETECTOR_TEMPERATURE, VR::DS, "27.5");
        put(o, tags::DETECTOR_CONDITIONS_NOMINAL_FLAG, VR::CS, "YES");
        put(o, tags::DATE_OF_LAST_DETECTOR_CALIBRATION, VR::DA, self.wanted.day.da());
        let pixel = self.case.pixel_mm;
        let spacing = format!("{pixel:.4}\\{pixel:.4}");
        put(o, tags::IMAGER_PIXEL_SPACING, VR::DS, spacing.clone());
        put(o, tags::DETECTOR_ELEMENT_SPACING, VR::DS, spacing);
        put(o, tags::FIELD_OF_VIEW_SHAPE, VR::CS, "RECTANGLE");
        let truth = &picture.truth;
        let size = [truth.rows, truth.columns].map(|n| (n as f32 * pixel).round() as usize);
        put(o, tags::FIELD_OF_VIEW_DIMENSIONS, VR::IS, format!("{}\\{}", size[0], size[1]));
        put(o, tags::FIELD_OF_VIEW_ORIGIN, VR::DS, "0\\0");
        put(o, tags::FIELD_OF_VIEW_ROTATION, VR::DS, if picture.pose.turned() { "180" } else { "0" });
        put(o, tags::FIELD_OF_VIEW_HORIZONTAL_FLIP, VR::CS, "NO");
    }

    fn pixels(&self, o: &mut Item, picture: &Picture, intent: Intent) {
        let facts = self.facts;
        let (bits, stored, inverse) = match intent {
            Intent::Processing => (facts.bits_raw, raw(picture, facts), true),
            Intent::Presentation => {
                let plane = picture.presented(self.case.vendor);
                let mut values = picture.stored(&plane);
                if facts.burnt_label {
                    label::burn(&mut values, &plane, picture.pose.view);
                }
                let inverse = facts.grey == Grey::Inverse;
                (facts.bits, values.iter().map(|v| shown(*v, facts)).collect(), inverse)
            }
        };
        put_number(o, tags::SAMPLES_PER_PIXEL, 1);
        put(o, tags::PHOTOMETRIC_INTERPRETATION, VR::CS, if inverse { "MONOCHROME1" } else { "MONOCHROME2" });
        put_number(o, tags::ROWS, picture.truth.rows as u16);
        put_number(o, tags::COLUMNS, picture.truth.columns as u16);
        put_number(o, tags::BITS_ALLOCATED, 16);
        put_number(o, tags::BITS_STORED, bits);
        put_number(o, tags::HIGH_BIT, bits - 1);
        put_number(o, tags::PIXEL_REPRESENTATION, 0);
        put(o, tags::RESCALE_INTERCEPT, VR::DS, "0");
        put(o, tags::RESCALE_SLOPE, VR::DS, "1");
        put(o, tags::RESCALE_TYPE, VR::LO, "US");
        let relation = match (intent, facts.relation) {
            (Intent::Processing, Relation::Linear) => "LIN",
            _ => "LOG",
        };
        put(o, tags::PIXEL_INTENSITY_RELATIONSHIP, VR::CS, relation);
        // 1: less radiation has lower values.
        let sign = if intent == Intent::Processing || inverse { 1i16 } else { -1 };
        o.put(DataElement::new(tags::PIXEL_INTENSITY_RELATIONSHIP_SIGN, VR::SS, PrimitiveValue::from(sign)));
        put(o, tags::PRESENTATION_LUT_SHAPE, VR::CS, if inverse { "INVERSE" } else { "IDENTITY" });
        if intent == Intent::Presentation {
            let (centre, width) = window(facts);
            put(o, tags::WINDOW_CENTER, VR::DS, format!("{centre}"));
            put(o, tags::WINDOW_WIDTH, VR::DS, format!("{width}"));
            put(o, tags::WINDOW_CENTER_WIDTH_EXPLANATION, VR::LO, "NORMAL");
            if facts.grey == Grey::Sigmoid {
                put(o, tags::VOILUT_FUNCTION, VR::CS, "SIGMOID");
            }
        }
        o.put(DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.into())));
    }
}

/// The largest value of a picture for presentation.
fn most(facts: &Facts) -> f32 {
    f32::from((1u32 << facts.bits).min(1 << 15) as u16) - 1.0
}

/// Window Center and Window Width.
fn window(facts: &Facts) -> (u32, u32) {
    let most = most(facts);
    match facts.grey {
        Grey::Sigmoid => ((most / 2.0) as u32, (most / 2.2) as u32),
        _ => (((most + 1.0) / 2.0) as u32, (most + 1.0) as u32),
    }
}

/// The stored value that the vendor's window shows as grey `v`.
fn shown(v: f32, facts: &Facts) -> u16 {
    let most = most(facts);
    let value = match facts.grey {
        Grey::Window => v * most,
        Grey::Inverse => (1.0 - v) * most,
        Grey::Sigmoid if v <= 0.0 => 0.0,
        Grey::Sigmoid => {
            let (centre, width) = window(facts);
            let v = v.clamp(0.012, 0.988);
            centre as f32 + width as f32 * (v / (1.0 - v)).ln() / 4.0
        }
    };
    value.round().clamp(0.0, most) as u16
}

/// Stored values of a picture for processing: dense tissue has low values.
fn raw(picture: &Picture, facts: &Facts) -> Vec<u16> {
    let most = (1u32 << facts.bits_raw) as f32 - 1.0;
    let store = |v: f32| match facts.relation {
        // Air is saturated, as in practice: the exposure is made for the breast.
        Relation::Linear => 40.0 + v * 2.2 * most,
        // Three decades.
        Relation::Logarithmic => most * (1.0 + v.log10() / 3.0),
    };
    picture.stored(&picture.signal).iter().map(|v| store(*v).round().clamp(0.0, most) as u16).collect()
}

fn anatomy(o: &mut Item, case: &Case, picture: &Picture, facts: &Facts) {
    let view = picture.pose.view;
    // Units that were built before SNOMED CT codes were taken over write the old ones.
    let (region, code, magnification) = match (facts.old_codes, view.projection) {
        (false, Projection::Cc) => (
            ("76752008", "SCT", "Breast"),
            ("399162004", "SCT", "cranio-caudal"),
            ("399163009", "SCT", "Magnification"),
        ),
        (false, Projection::Mlo) => (
            ("76752008", "SCT", "Breast"),
            ("399368009", "SCT", "medio-lateral oblique"),
            ("399163009", "SCT", "Magnification"),
        ),
        (true, Projection::Cc) => {
            (("T-04000", "SRT", "Breast"), ("R-10242", "SRT", "cranio-caudal"), ("R-102D6", "SRT", "Magnification"))
        }
        (true, Projection::Mlo) => (
            ("T-04000", "SRT", "Breast"),
            ("R-10226", "SRT", "medio-lateral oblique"),
            ("R-102D6", "SRT", "Magnification"),
        ),
    };
    put_items(o, tags::ANATOMIC_REGION_SEQUENCE, vec![coded(region)]);
    let mut coded_view = coded(code);
    let modifiers = if picture.magnification > 1.0 { vec![coded(magnification)] } else { Vec::new() };
    put_items(&mut coded_view, tags::VIEW_MODIFIER_CODE_SEQUENCE, modifiers);
    put_items(o, tags::VIEW_CODE_SEQUENCE, vec![coded_view]);
    put(o, tags::VIEW_POSITION, VR::CS, view.projection.words());
    put(o, tags::BODY_PART_EXAMINED, VR::CS, "BREAST");
    put(o, tags::ORGAN_EXPOSED, VR::CS, "BREAST");
    put(o, tags::BREAST_IMPLANT_PRESENT, VR::CS, if case.woman.implant_mm.is_some() { "YES" } else { "NO" });
    put(o, tags::PARTIAL_VIEW, VR::CS, "NO");
    put(o, tags::POSITIONER_TYPE, VR::CS, "MAMMOGRAPHIC");
    let sign = if view.side == Side::Right { 1.0 } else { -1.0 };
    put(o, tags::POSITIONER_PRIMARY_ANGLE, VR::DS, format!("{:.1}", sign * picture.pose.angle_degrees));
    put(o, tags::POSITIONER_SECONDARY_ANGLE, VR::DS, "0");
}

fn exposure(o: &mut Item, case: &Case, picture: &Picture, facts: &Facts) {
    let pose = &picture.pose;
    let visit = 8 * u64::from(case.visit == Visit::Prior);
    let mut random = Random::new(case.woman.seed, stream::HEADERS + 1 + visit + pose.view.index() as u64);
    let thickness = pose.thickness_mm;
    let kvp = (24.0 + thickness / 9.0).round();
    let mas = 0.7 * thickness * random.between(1.2, 2.0);
    let dose = 0.02 * thickness * random.between(0.9, 1.2);
    let source_to_patient = (650.0 / picture.magnification).round();
    let text: [(Tag, VR, String); 22] = [
        (tags::KVP, VR::DS, format!("{kvp}")),
        (tags::EXPOSURE, VR::IS, format!("{mas:.0}")),
        (tags::EXPOSURE_INU_AS, VR::IS, format!("{:.0}", mas * 1000.0)),
        (tags::EXPOSURE_TIME, VR::IS, format!("{:.0}", mas * 10.0)),
        (tags::X_RAY_TUBE_CURRENT, VR::IS, "100".into()),
        (tags::EXPOSURE_CONTROL_MODE, VR::CS, "AUTOMATIC".into()),
        (tags::ANODE_TARGET_MATERIAL, VR::CS, facts.anode.into()),
        (tags::FILTER_MATERIAL, VR::CS, facts.filter.into()),
        (tags::FILTER_TYPE, VR::SH, "STRIP".into()),
        (tags::FOCAL_SPOTS, VR::DS, if picture.magnification > 1.0 { "0.1" } else { "0.3" }.into()),
        (tags::GRID, VR::CS, if picture.magnification > 1.0 { "NONE" } else { "RECIPROCATING\\FOCUSED" }.into()),
        (tags::DISTANCE_SOURCE_TO_DETECTOR, VR::DS, "660".into()),
        (tags::DISTANCE_SOURCE_TO_PATIENT, VR::DS, format!("{source_to_patient:.0}")),
        (tags::ESTIMATED_RADIOGRAPHIC_MAGNIFICATION_FACTOR, VR::DS, format!("{:.3}", 660.0 / source_to_patient)),
        (tags::BODY_PART_THICKNESS, VR::DS, format!("{thickness:.0}")),
        (tags::COMPRESSION_FORCE, VR::DS, format!("{:.0}", random.between(65.0, 165.0))),
        (tags::RELATIVE_X_RAY_EXPOSURE, VR::IS, format!("{:.0}", random.between(350.0, 900.0))),
        (tags::ORGAN_DOSE, VR::DS, format!("{:.5}", dose / 100.0)),
        (tags::ENTRANCE_DOSE_INM_GY, VR::DS, format!("{:.2}", 4.0 * dose)),
        (tags::HALF_VALUE_LAYER, VR::DS, "0.53".into()),
        (tags::COLLIMATOR_SHAPE, VR::CS, "RECTANGULAR".into()),
        (tags::EXPOSURE_STATUS, VR::CS, "NORMAL".into()),
    ];
    for (tag, vr, value) in text {
        put(o, tag, vr, value);
    }
    put(o, tags::COLLIMATOR_LEFT_VERTICAL_EDGE, VR::IS, "0");
    put(o, tags::COLLIMATOR_RIGHT_VERTICAL_EDGE, VR::IS, format!("{}", picture.truth.columns + 1));
    put(o, tags::COLLIMATOR_UPPER_HORIZONTAL_EDGE, VR::IS, "0");
    put(o, tags::COLLIMATOR_LOWER_HORIZONTAL_EDGE, VR::IS, format!("{}", picture.truth.rows + 1));
}
