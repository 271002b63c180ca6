//! The two objects of a teaching file (IHE RAD, Teaching File and Clinical Trial Export): the manifest, a Key Object Selection that
//! names the images, and the Additional Teaching File Information, an Enhanced SR with what a person wrote. Both belong to a case
//! that names nobody; their dates are the dummy of the de-identification, since the day of writing may be that of the exam.

use dicom::deidentify::{METHOD, NO_DATE};
use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};

use crate::codes::{Code, ENGLISH, KEY_OBJECT_DESCRIPTION, LANGUAGE};
use crate::content::{Item, Part, Relation, Value};
use crate::dataset::{self, DataSet};
use crate::provenance::{DEVICE_MODEL, MANUFACTURER};
use crate::{Error, ResultObject, evidence};

const fn tce(value: &'static str, meaning: &'static str) -> Code {
    Code { value, scheme: "IHERADTF", meaning }
}

const FOR_TEACHING_FILE_EXPORT: Code = tce("TCE001", "For Teaching File Export");
const INFORMATION: Code = tce("TCE006", "Additional Teaching File Information");
const AUTHOR: Code = tce("TCE101", "Author");
const AFFILIATION: Code = tce("TCE102", "Affiliation");
const ABSTRACT: Code = tce("TCE104", "Abstract");
const KEYWORDS: Code = tce("TCE105", "Keywords");
const DISCUSSION: Code = tce("TCE106", "Discussion");
const DIAGNOSIS: Code = tce("TCE107", "Diagnosis");
const CATEGORY: Code = tce("TCE109", "Category");
const LEVEL: Code = tce("TCE110", "Level");
const HISTORY: Code = Code { value: "121060", scheme: "DCM", meaning: "History" };
const CHINESE: Code = Code { value: "zh-CN", scheme: "RFC5646", meaning: "Chinese (China)" };

/// What a teaching file is about (IHE RAD TF-2, table 4.69.4.1.2.2-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    Musculoskeletal,
    Pulmonary,
    Cardiovascular,
    Gastrointestinal,
    Genitourinary,
    Neuro,
    Vascular,
    Nuclear,
    Ultrasound,
    Pediatric,
    Breast,
}

impl Category {
    fn code(self) -> Code {
        match self {
            Self::Musculoskeletal => tce("TCE301", "Musculoskeletal"),
            Self::Pulmonary => tce("TCE302", "Pulmonary"),
            Self::Cardiovascular => tce("TCE303", "Cardiovascular"),
            Self::Gastrointestinal => tce("TCE304", "Gastrointestinal"),
            Self::Genitourinary => tce("TCE305", "Genitourinary"),
            Self::Neuro => tce("TCE306", "Neuro"),
            Self::Vascular => tce("TCE307", "Vascular and Interventional"),
            Self::Nuclear => tce("TCE308", "Nuclear"),
            Self::Ultrasound => tce("TCE309", "Ultrasound"),
            Self::Pediatric => tce("TCE310", "Pediatric"),
            Self::Breast => tce("TCE311", "Breast"),
        }
    }
}

/// For whom it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Primary,
    Intermediate,
    Advanced,
}

impl Level {
    fn code(self) -> Code {
        match self {
            Self::Primary => tce("TCE201", "Primary"),
            Self::Intermediate => tce("TCE202", "Intermediate"),
            Self::Advanced => tce("TCE203", "Advanced"),
        }
    }
}

/// What a person says about the case; what is empty is left out, where it may be.
#[derive(Debug, Clone)]
pub struct Lesson<'a> {
    pub author: &'a str,
    pub affiliation: &'a str,
    /// One line that says what there is to see.
    pub title: &'a str,
    pub keywords: &'a [String],
    pub history: &'a str,
    pub discussion: &'a str,
    pub diagnosis: &'a str,
    pub category: Category,
    pub level: Option<Level>,
    /// The texts are Chinese.
    pub chinese: bool,
}

/// An object of the case that the manifest names.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    pub series_uid: &'a str,
    pub sop_class_uid: &'a str,
    pub sop_uid: &'a str,
}

impl<'a> Member<'a> {
    fn named(&self) -> (&'a str, &'a str, &'a str) {
        (self.series_uid, self.sop_class_uid, self.sop_uid)
    }
}

/// Whose copies they are.
#[derive(Debug, Clone, Copy)]
pub struct Belongs<'a> {
    pub patient_name: &'a str,
    pub patient_id: &'a str,
    pub study_uid: &'a str,
}

/// The manifest and the information; `uid` makes a new one for a word. `members`: images first.
///
/// # Errors
/// When a text does not fit into an object.
pub fn write(
    belongs: &Belongs,
    members: &[Member],
    lesson: &Lesson,
    uid: impl Fn(&str) -> String,
) -> Result<[ResultObject; 2], Error> {
    let information = information(belongs, members, lesson, &uid)?;
    let kind = Kind {
        name: "ko",
        sop_class_uid: uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
        modality: "KO",
        series_number: "1",
    };
    let mut set = begin(belongs, &kind, &uid);
    let own = Member {
        series_uid: &information.series_uid,
        sop_class_uid: &information.sop_class_uid,
        sop_uid: &information.sop_uid,
    };
    let all: Vec<Member> = members.iter().copied().chain([own]).collect();
    evidence::of_objects(belongs.study_uid, all.iter().map(Member::named), &mut set);
    Item::container(FOR_TEACHING_FILE_EXPORT, Some("2010"))
        .with(Item::code(Relation::HasConceptMod, LANGUAGE, language(lesson)))
        .with_all(some(KEY_OBJECT_DESCRIPTION, lesson.title))
        .with_all(all.iter().map(reference))
        .encode_root(&mut set);
    Ok([finish(&kind, set, belongs, &uid)?, information])
}

/// In the order of the rows of the template. It has no template identifier: its title names it.
fn information(
    belongs: &Belongs,
    members: &[Member],
    lesson: &Lesson,
    uid: &impl Fn(&str) -> String,
) -> Result<ResultObject, Error> {
    let kind = Kind { name: "sr", sop_class_uid: uids::ENHANCED_SR_STORAGE, modality: "SR", series_number: "2" };
    let mut set = begin(belongs, &kind, uid);
    evidence::of_objects(belongs.study_uid, members.iter().map(Member::named), &mut set);
    set.sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, Vec::new());
    set.text(tags::COMPLETION_FLAG, VR::CS, "COMPLETE");
    set.text(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED");
    let affiliation = (!lesson.affiliation.is_empty())
        .then(|| Item::new(Relation::HasProperties, AFFILIATION, typed(lesson.affiliation)));
    let keyword = |word: &String| Item::new(Relation::Contains, KEYWORDS, typed(word));
    // The template wants one at least.
    let category = || Item::code(Relation::Contains, KEYWORDS, lesson.category.code());
    let at_least = lesson.keywords.is_empty().then(category);
    Item::container(INFORMATION, None)
        .with(Item::new(Relation::Contains, AUTHOR, typed(lesson.author)).with_all(affiliation))
        .with(Item::new(Relation::Contains, ABSTRACT, typed(lesson.title)))
        .with_all(lesson.keywords.iter().map(keyword).chain(at_least))
        .with_all(some(HISTORY, lesson.history))
        .with_all(some(DISCUSSION, lesson.discussion))
        .with_all(some(DIAGNOSIS, lesson.diagnosis))
        .with(Item::code(Relation::Contains, CATEGORY, lesson.category.code()))
        .with_all(lesson.level.map(|level| Item::code(Relation::Contains, LEVEL, level.code())))
        .encode_root(&mut set);
    finish(&kind, set, belongs, uid)
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    name: &'static str,
    sop_class_uid: &'static str,
    modality: &'static str,
    series_number: &'static str,
}

fn some(name: Code, text: &str) -> Option<Item> {
    (!text.is_empty()).then(|| Item::new(Relation::Contains, name, typed(text)))
}

/// In the character set of these objects, UTF-8; lines end as the standard has it (PS3.5 section 6.1.3).
fn typed(text: &str) -> Value {
    let lines: Vec<&str> = text.lines().collect();
    Value::Typed(lines.join("\r\n").into_bytes())
}

fn language(lesson: &Lesson) -> Code {
    if lesson.chinese { CHINESE } else { ENGLISH }
}

fn begin(belongs: &Belongs, kind: &Kind, uid: &impl Fn(&str) -> String) -> DataSet {
    let mut set = DataSet::new();
    let (sop_uid, series_uid) = (uid(kind.name), uid(&format!("{} series", kind.name)));
    for (tag, vr, value) in [
        (tags::SPECIFIC_CHARACTER_SET, VR::CS, "ISO_IR 192"),
        (tags::SOP_CLASS_UID, VR::UI, kind.sop_class_uid),
        (tags::SOP_INSTANCE_UID, VR::UI, sop_uid.as_str()),
        (tags::CONTENT_DATE, VR::DA, NO_DATE),
        (tags::CONTENT_TIME, VR::TM, "000000"),
        (tags::MODALITY, VR::CS, kind.modality),
        (tags::MANUFACTURER, VR::LO, MANUFACTURER),
        (tags::MANUFACTURER_MODEL_NAME, VR::LO, DEVICE_MODEL),
        (tags::SERIES_DESCRIPTION, VR::LO, "Teaching file"),
        (tags::PATIENT_NAME, VR::PN, belongs.patient_name),
        (tags::PATIENT_ID, VR::LO, belongs.patient_id),
        (tags::PATIENT_IDENTITY_REMOVED, VR::CS, "YES"),
        (tags::DEIDENTIFICATION_METHOD, VR::LO, METHOD),
        (tags::STUDY_INSTANCE_UID, VR::UI, belongs.study_uid),
        (tags::SERIES_INSTANCE_UID, VR::UI, &series_uid),
        (tags::SERIES_NUMBER, VR::IS, kind.series_number),
        (tags::INSTANCE_NUMBER, VR::IS, "1"),
        (tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, VR::CS, "REMOVED"),
    ] {
        set.text(tag, vr, value);
    }
    for (tag, vr) in [
        (tags::STUDY_DATE, VR::DA),
        (tags::STUDY_TIME, VR::TM),
        (tags::ACCESSION_NUMBER, VR::SH),
        (tags::REFERRING_PHYSICIAN_NAME, VR::PN),
        (tags::PATIENT_BIRTH_DATE, VR::DA),
        (tags::PATIENT_SEX, VR::CS),
        (tags::STUDY_ID, VR::SH),
    ] {
        set.empty(tag, vr);
    }
    set.sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new());
    set
}

fn reference(one: &Member) -> Item {
    let (sop_class_uid, sop_uid) = (one.sop_class_uid.to_owned(), one.sop_uid.to_owned());
    let value = if one.sop_class_uid == uids::ENHANCED_SR_STORAGE {
        Value::Composite { sop_class_uid, sop_uid }
    } else {
        Value::Image { sop_class_uid, sop_uid, part: Part::Whole }
    };
    Item::nameless(Relation::Contains, value)
}

fn finish(kind: &Kind, set: DataSet, belongs: &Belongs, uid: &impl Fn(&str) -> String) -> Result<ResultObject, Error> {
    let sop_uid = uid(kind.name);
    let syntax = uids::EXPLICIT_VR_LITTLE_ENDIAN;
    Ok(ResultObject {
        kind: kind.name,
        sop_class_uid: kind.sop_class_uid.into(),
        part10: dataset::part10(set, kind.name, kind.sop_class_uid, &sop_uid, 16 * 1024, syntax)?,
        series_uid: uid(&format!("{} series", kind.name)),
        study_uid: belongs.study_uid.into(),
        sop_uid,
    })
}
