//! What a manager is told of an exam, and its two data sets (PS3.4 table F.7.2-1): every attribute of type 1 and 2 is there, empty
//! where nothing is known. Pure.

use dicom::patient::Patient;
use dicom::request::{Code, Request};
use hal::clock::local_parts_of;
use serde::{Deserialize, Serialize};

use crate::elements::{Syntax, Tag, Writer};

const CHARACTER_SET: Tag = (0x0008, 0x0005);
const STATUS: Tag = (0x0040, 0x0252);
const PERFORMED_SERIES: Tag = (0x0040, 0x0340);
/// PS3.5 section 6.2.
const LONGEST_LO: usize = 64;

/// What is performed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An exam by ultrasound.
    #[default]
    Exam,
    /// An analysis of what was received: post-processing.
    Analysis,
}

impl Kind {
    /// Modality (0008,0060). Of an analysis that of what it makes: the information system must not take it for an exam that was
    /// performed.
    fn modality(self) -> &'static str {
        match self {
            Self::Exam => "US",
            Self::Analysis => "SR",
        }
    }

    /// Protocol Name, of type 1 in each performed series.
    fn protocol(self) -> &'static str {
        match self {
            Self::Exam => "Scanside ultrasound",
            Self::Analysis => "Scanside analysis",
        }
    }

    /// Performed Procedure Type Description.
    fn type_description(self) -> &'static str {
        match self {
            Self::Exam => "",
            Self::Analysis => "Computer Aided Detection",
        }
    }
}

/// An exam or an analysis that has begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    #[serde(default)]
    pub kind: Kind,
    pub patient: Patient,
    /// `None`: the exam is not of the worklist. Of an analysis only the sex is known.
    #[serde(default)]
    pub request: Option<Request>,
    pub study_uid: String,
    /// RFC 3339, UTC.
    pub started_utc: String,
    /// Performed Station AE Title (0040,0241) and Name (0040,0242).
    pub station_ae_title: String,
    pub station_name: String,
}

/// An exam or an analysis that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    #[serde(default)]
    pub kind: Kind,
    /// RFC 3339, UTC.
    pub utc: String,
    /// `None`: completed.
    pub discontinued: Option<Reason>,
    /// All that the box made of it.
    pub series: Vec<Made>,
}

/// Why an exam came to no proper end, of CID 9300 "Procedure Discontinuation Reasons".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The box was stopped or lost its power, its recording is gone, or nothing could be made of it.
    EquipmentFailure,
    /// An analysis: nothing could be evaluated.
    Unspecified,
    /// An analysis: a newer one has taken its place, because more images came or a person asked for it.
    Rescheduled,
}

impl Reason {
    fn code(self) -> Code {
        let (value, meaning) = match self {
            Self::EquipmentFailure => ("110501", "Equipment failure"),
            Self::Unspecified => ("110513", "Discontinued for unspecified reason"),
            Self::Rescheduled => ("110528", "Discontinued Procedure Step rescheduled"),
        };
        Code { value: value.into(), scheme: "DCM".into(), version: String::new(), meaning: meaning.into() }
    }
}

/// The objects of one series.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub series_uid: String,
    /// SOP Class UID and SOP Instance UID. Images, and all other objects.
    pub images: Vec<(String, String)>,
    pub others: Vec<(String, String)>,
}

impl Begun {
    /// Of an N-CREATE: in progress.
    pub(super) fn data_set(&self, syntax: Syntax) -> Vec<u8> {
        let nothing = Request::default();
        let request = self.request.as_ref().unwrap_or(&nothing);
        let [date, time, offset] = moment(&self.started_utc);
        let mut set = Writer::new(syntax);
        character_set(&mut set, self.is_ascii());
        set.text((0x0008, 0x0060), *b"CS", self.kind.modality());
        set.text((0x0008, 0x0201), *b"SH", &offset); // time zone of the times below
        set.sequence((0x0008, 0x1032), codes(&request.procedure_codes, syntax)); // procedure code
        set.sequence((0x0008, 0x1120), []); // referenced patient
        put(&mut set, (0x0010, 0x0010), *b"PN", &self.patient.name);
        put(&mut set, (0x0010, 0x0020), *b"LO", &self.patient.id);
        set.text((0x0010, 0x0030), *b"DA", &self.patient.birth_date);
        set.text((0x0010, 0x0040), *b"CS", &request.sex);
        set.text((0x0020, 0x0010), *b"SH", ""); // study ID
        set.text((0x0040, 0x0241), *b"AE", &self.station_ae_title);
        put(&mut set, (0x0040, 0x0242), *b"SH", &self.station_name);
        set.text((0x0040, 0x0243), *b"SH", ""); // performed location
        set.text((0x0040, 0x0244), *b"DA", &date);
        set.text((0x0040, 0x0245), *b"TM", &time);
        set.text((0x0040, 0x0250), *b"DA", ""); // end date
        set.text((0x0040, 0x0251), *b"TM", ""); // end time
        set.text(STATUS, *b"CS", "IN PROGRESS");
        set.text((0x0040, 0x0253), *b"SH", &self.step_id());
        put(&mut set, (0x0040, 0x0254), *b"LO", self.description());
        set.text((0x0040, 0x0255), *b"LO", self.kind.type_description());
        set.sequence((0x0040, 0x0260), codes(&request.protocol_codes, syntax)); // performed protocol code
        set.sequence((0x0040, 0x0270), [self.scheduled(request, syntax)]);
        set.sequence(PERFORMED_SERIES, []);
        set.finish()
    }

    /// Of an exam that is not of the worklist the study only.
    fn scheduled(&self, request: &Request, syntax: Syntax) -> Vec<u8> {
        let studies = request.studies.iter().map(|one| reference(&one.sop_class, &one.sop_uid, syntax));
        let mut item = Writer::new(syntax);
        put(&mut item, (0x0008, 0x0050), *b"SH", &self.patient.accession_number);
        item.sequence((0x0008, 0x1110), studies);
        item.uid((0x0020, 0x000d), &self.study_uid);
        put(&mut item, (0x0032, 0x1060), *b"LO", &request.procedure_description);
        item.sequence((0x0032, 0x1064), codes(&request.procedure_codes, syntax));
        put(&mut item, (0x0040, 0x0007), *b"LO", &request.step_description);
        item.sequence((0x0040, 0x0008), codes(&request.protocol_codes, syntax));
        put(&mut item, (0x0040, 0x0009), *b"SH", &request.step_id);
        put(&mut item, (0x0040, 0x1001), *b"SH", &request.procedure_id);
        item.finish()
    }

    /// Performed Procedure Step ID, SH: when the exam began, to the hundredth of a second, UTC. The box makes one exam at a time; an
    /// analysis has an A in the place of the century, and one digit more.
    fn step_id(&self) -> String {
        let digits: String = self.started_utc.chars().filter(char::is_ascii_digit).collect();
        match self.kind {
            Kind::Exam => digits.chars().take(16).collect(),
            Kind::Analysis => std::iter::once('A').chain(digits.chars().skip(2).take(15)).collect(),
        }
    }

    fn description(&self) -> &str {
        let texts = self.request.iter().flat_map(|request| [&request.step_description, &request.procedure_description]);
        texts.into_iter().find(|text| !text.is_empty()).map_or_else(|| self.kind.protocol(), String::as_str)
    }

    fn is_ascii(&self) -> bool {
        let Self { patient, request, station_name, .. } = self;
        let mut texts = vec![&patient.name, &patient.id, &patient.accession_number, station_name];
        if let Some(request) = request {
            texts.extend([&request.procedure_id, &request.procedure_description]);
            texts.extend([&request.step_id, &request.step_description]);
            for code in request.procedure_codes.iter().chain(&request.protocol_codes) {
                texts.extend([&code.value, &code.scheme, &code.version, &code.meaning]);
            }
        }
        texts.into_iter().all(|text| text.is_ascii())
    }
}

impl Ended {
    /// Of an N-SET: completed or discontinued.
    pub(super) fn data_set(&self, syntax: Syntax) -> Vec<u8> {
        let [date, time, _] = moment(&self.utc);
        let mut set = Writer::new(syntax);
        set.text((0x0040, 0x0250), *b"DA", &date);
        set.text((0x0040, 0x0251), *b"TM", &time);
        set.text(STATUS, *b"CS", if self.discontinued.is_some() { "DISCONTINUED" } else { "COMPLETED" });
        if let Some(reason) = self.discontinued {
            set.sequence((0x0040, 0x0281), codes(&[reason.code()], syntax));
        }
        set.sequence(PERFORMED_SERIES, self.series.iter().map(|made| made.item(self.kind, syntax)));
        set.finish()
    }
}

impl Made {
    fn item(&self, kind: Kind, syntax: Syntax) -> Vec<u8> {
        let references = |objects: &[(String, String)]| {
            objects.iter().map(|(class, uid)| reference(class, uid, syntax)).collect::<Vec<_>>()
        };
        let mut item = Writer::new(syntax);
        item.text((0x0008, 0x0054), *b"AE", ""); // retrieve AE title: the box does not know which archive keeps them
        item.text((0x0008, 0x103e), *b"LO", ""); // series description
        item.text((0x0008, 0x1050), *b"PN", ""); // performing physician
        item.text((0x0008, 0x1070), *b"PN", ""); // operators
        item.sequence((0x0008, 0x1140), references(&self.images));
        item.text((0x0018, 0x1030), *b"LO", kind.protocol());
        item.uid((0x0020, 0x000e), &self.series_uid);
        item.sequence((0x0040, 0x0220), references(&self.others));
        item.finish()
    }
}

/// Local time, as information systems show it.
fn moment(utc: &str) -> [String; 3] {
    local_parts_of(utc).unwrap_or_default()
}

/// Of type 1C: only where a text needs it, since not every manager knows UTF-8.
fn character_set(set: &mut Writer, is_ascii: bool) {
    if !is_ascii {
        set.text(CHARACTER_SET, *b"CS", "ISO_IR 192");
    }
}

/// A text in UTF-8 as long as a LO may be at most.
fn put(set: &mut Writer, tag: Tag, vr: [u8; 2], text: &str) {
    let text: String = if vr == *b"PN" { text.into() } else { text.chars().take(LONGEST_LO).collect() };
    set.bytes(tag, vr, text.into_bytes());
}

fn reference(class: &str, uid: &str, syntax: Syntax) -> Vec<u8> {
    let mut item = Writer::new(syntax);
    item.uid((0x0008, 0x1150), class);
    item.uid((0x0008, 0x1155), uid);
    item.finish()
}

fn codes(codes: &[Code], syntax: Syntax) -> Vec<Vec<u8>> {
    let item = |code: &Code| {
        let mut item = Writer::new(syntax);
        put(&mut item, (0x0008, 0x0100), *b"SH", &code.value);
        put(&mut item, (0x0008, 0x0102), *b"SH", &code.scheme);
        if !code.version.is_empty() {
            put(&mut item, (0x0008, 0x0103), *b"SH", &code.version);
        }
        put(&mut item, (0x0008, 0x0104), *b"LO", &code.meaning);
        item.finish()
    };
    codes.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use dicom::request::Reference;

    use super::*;
    use crate::elements::Elements;

    fn begun() -> Begun {
        Begun {
            kind: Kind::Exam,
            patient: Patient {
                id: "P1".into(),
                name: "DOE^JANE".into(),
                accession_number: "A-1".into(),
                ..Patient::default()
            },
            request: Some(Request {
                procedure_id: "RP-1".into(),
                step_id: "S-1".into(),
                step_description: "breast, both".into(),
                protocol_codes: vec![Code {
                    value: "US1".into(),
                    scheme: "99RIS".into(),
                    meaning: "Breast".into(),
                    ..Code::default()
                }],
                studies: vec![Reference { sop_class: "1.2.840.10008.3.1.2.3.1".into(), sop_uid: "1.2.3".into() }],
                ..Request::default()
            }),
            study_uid: "1.2.840.99.1".into(),
            started_utc: "2026-11-29T20:54:12.345Z".into(),
            station_ae_title: "SCANSIDE".into(),
            station_name: "ROOM 4".into(),
        }
    }

    /// PS3.4 table F.7.2-1: what an SCU must send in an N-CREATE.
    const TYPE_1: &[Tag] = &[
        (0x0040, 0x0270),
        (0x0040, 0x0253),
        (0x0040, 0x0241),
        (0x0040, 0x0244),
        (0x0040, 0x0245),
        (0x0040, 0x0252),
        (0x0008, 0x0060),
    ];
    const TYPE_2: &[Tag] = &[
        (0x0010, 0x0010),
        (0x0010, 0x0020),
        (0x0010, 0x0030),
        (0x0010, 0x0040),
        (0x0008, 0x1120),
        (0x0040, 0x0242),
        (0x0040, 0x0243),
        (0x0040, 0x0254),
        (0x0040, 0x0255),
        (0x0008, 0x1032),
        (0x0040, 0x0250),
        (0x0040, 0x0251),
        (0x0020, 0x0010),
        (0x0040, 0x0260),
        (0x0040, 0x0340),
    ];
    /// Of an item of the Scheduled Step Attributes Sequence, beside the study, which is of type 1.
    const TYPE_2_SCHEDULED: &[Tag] = &[
        (0x0008, 0x1110),
        (0x0008, 0x0050),
        (0x0040, 0x1001),
        (0x0032, 0x1060),
        (0x0040, 0x0009),
        (0x0040, 0x0007),
        (0x0040, 0x0008),
    ];

    fn ascending(elements: &Elements<'_>) {
        let tags: Vec<Tag> = elements.tags().collect();
        assert!(tags.is_sorted() && !tags.is_empty(), "{tags:?}");
    }

    #[test]
    fn an_exam_that_begins_has_every_attribute_of_type_1_and_2_also_when_nothing_is_known() {
        let unscheduled = Begun { request: None, patient: Patient::default(), station_name: String::new(), ..begun() };
        for (told, syntax) in
            [begun(), unscheduled].iter().flat_map(|told| [(told, Syntax::Implicit), (told, Syntax::Explicit)])
        {
            let bytes = told.data_set(syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            ascending(&elements);
            for tag in TYPE_1 {
                assert!(elements.value(*tag).is_some_and(|value| !value.is_empty()), "{tag:04x?}");
            }
            for tag in TYPE_2 {
                assert!(elements.value(*tag).is_some(), "{tag:04x?}");
            }
            let scheduled = elements.items((0x0040, 0x0270)).unwrap();
            let [scheduled] = scheduled.as_slice() else { panic!("one scheduled step") };
            ascending(scheduled);
            assert_eq!(scheduled.text((0x0020, 0x000d)), "1.2.840.99.1");
            for tag in TYPE_2_SCHEDULED {
                assert!(scheduled.value(*tag).is_some(), "{tag:04x?}");
            }
            assert_eq!(elements.text(STATUS), "IN PROGRESS");
            assert_eq!(elements.text((0x0040, 0x0253)), "2026112920541234");
            assert!(elements.items(PERFORMED_SERIES).unwrap().is_empty());
        }
    }

    #[test]
    fn what_the_order_said_is_given_back() {
        let bytes = begun().data_set(Syntax::Explicit);
        let elements = Elements::parse(&bytes, Syntax::Explicit).unwrap();
        let scheduled = &elements.items((0x0040, 0x0270)).unwrap()[0];
        for (tag, text) in [
            ((0x0008, 0x0050), "A-1"),
            ((0x0040, 0x1001), "RP-1"),
            ((0x0040, 0x0009), "S-1"),
            ((0x0040, 0x0007), "breast, both"),
        ] {
            assert_eq!(scheduled.text(tag), text);
        }
        let code = &scheduled.items((0x0040, 0x0008)).unwrap()[0];
        assert_eq!((code.text((0x0008, 0x0100)).as_str(), code.text((0x0008, 0x0104)).as_str()), ("US1", "Breast"));
        let study = &scheduled.items((0x0008, 0x1110)).unwrap()[0];
        assert_eq!(study.text((0x0008, 0x1155)), "1.2.3");
        assert_eq!(elements.text((0x0040, 0x0254)), "breast, both");
        assert_eq!(elements.items((0x0040, 0x0260)).unwrap().len(), 1, "the protocol was performed as ordered");
        assert!(elements.value(CHARACTER_SET).is_none(), "ASCII needs none");
        let named = Begun { patient: Patient { name: "Wang=王".into(), ..begun().patient }, ..begun() };
        let bytes = named.data_set(Syntax::Implicit);
        let elements = Elements::parse(&bytes, Syntax::Implicit).unwrap();
        assert_eq!(elements.text(CHARACTER_SET), "ISO_IR 192");
        assert!(elements.value((0x0010, 0x0010)).unwrap().starts_with("Wang=王".as_bytes()));
    }

    #[test]
    fn an_exam_that_is_over_names_every_object_and_one_that_failed_says_why() {
        let images = vec![("1.2.1".to_owned(), "1.3.1".to_owned()), ("1.2.1".into(), "1.3.2".into())];
        let made = Made { series_uid: "1.4.1".into(), images, others: Vec::new() };
        let report =
            Made { series_uid: "1.4.2".into(), others: vec![("1.2.2".into(), "1.3.3".into())], ..Made::default() };
        let ended = Ended {
            kind: Kind::Exam,
            utc: "2026-11-29T21:00:00.000Z".into(),
            discontinued: None,
            series: vec![made, report],
        };
        for syntax in [Syntax::Implicit, Syntax::Explicit] {
            let bytes = ended.data_set(syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            ascending(&elements);
            assert_eq!(elements.text(STATUS), "COMPLETED");
            assert!(!elements.text((0x0040, 0x0250)).is_empty() && !elements.text((0x0040, 0x0251)).is_empty());
            assert!(elements.value((0x0040, 0x0281)).is_none());
            let series = elements.items(PERFORMED_SERIES).unwrap();
            let mut uids = Vec::new();
            for item in &series {
                ascending(item);
                for tag in [(0x0008, 0x1050), (0x0018, 0x1030), (0x0008, 0x1070), (0x0008, 0x103e), (0x0008, 0x0054)] {
                    assert!(item.value(tag).is_some(), "{tag:04x?}");
                }
                assert!(!item.text((0x0018, 0x1030)).is_empty(), "type 1");
                for tag in [(0x0008, 0x1140), (0x0040, 0x0220)] {
                    uids.extend(item.items(tag).unwrap().iter().map(|one| one.text((0x0008, 0x1155))));
                }
            }
            assert_eq!(uids, ["1.3.1", "1.3.2", "1.3.3"]);
            let failed = Ended { discontinued: Some(Reason::EquipmentFailure), series: Vec::new(), ..ended.clone() };
            let bytes = failed.data_set(syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            let why = elements.items((0x0040, 0x0281)).unwrap();
            assert_eq!(
                (elements.text(STATUS).as_str(), why[0].text((0x0008, 0x0100)).as_str()),
                ("DISCONTINUED", "110501")
            );
        }
    }
}
