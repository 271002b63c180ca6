//! What a manager is told of a task that this box has claimed: its state (N-ACTION), how far it is and what came of it (N-SET). Pure.

use dicom::request::Code;
use hal::clock::local_parts_of;
use serde::{Deserialize, Serialize};

use crate::elements::{Syntax, Tag, Writer};

const TRANSACTION: Tag = (0x0008, 0x1195);
const STATE: Tag = (0x0074, 0x1000);
const PROGRESS: Tag = (0x0074, 0x1002);
const PERFORMED: Tag = (0x0074, 0x1216);
/// PS3.5 section 6.2, of ST and LT: shorter than either, and all of it ASCII.
const LONGEST: usize = 512;

/// The states into which a performer brings a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    InProgress,
    Completed,
    Canceled,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::InProgress => "IN PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Canceled => "CANCELED",
        }
    }
}

/// What came of a task; written down before it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub started_utc: String,
    pub ended_utc: String,
    /// Code value of this station, and what people call it.
    pub station: (String, String),
    pub workitem: Code,
    pub outputs: Vec<Output>,
    /// `None`: completed.
    pub canceled: Option<Canceled>,
}

/// Why a task is canceled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canceled {
    pub reason: Reason,
    pub words: String,
}

/// Of CID 9300 "Procedure Discontinuation Reasons".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The analysis failed here.
    EquipmentFailure,
    /// Somebody wanted it to end.
    Unspecified,
    /// The box reads no objects of this kind, or could not evaluate these.
    NotSupported,
    /// The input did not come.
    Incomplete,
}

impl Reason {
    fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::EquipmentFailure => ("110501", "Equipment failure"),
            Self::Unspecified => ("110513", "Discontinued for unspecified reason"),
            Self::NotSupported => ("110522", "Object Types not supported"),
            Self::Incomplete => ("110523", "Object Set incomplete"),
        }
    }
}

/// Objects of one series that were made, and where they can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub study_uid: String,
    pub series_uid: String,
    /// SOP Class UID and SOP Instance UID.
    pub objects: Vec<(String, String)>,
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// AE title of an archive.
    Archive(String),
    /// Base URL of a DICOMweb service.
    Web(String),
}

/// Of an N-ACTION.
pub(super) fn state(transaction_uid: &str, state: State, syntax: Syntax) -> Vec<u8> {
    let mut set = Writer::new(syntax);
    set.uid(TRANSACTION, transaction_uid);
    set.text(STATE, *b"CS", state.word());
    set.finish()
}

/// Of an N-SET.
pub(super) fn progress(transaction_uid: &str, percent: u8, words: &str, syntax: Syntax) -> Vec<u8> {
    let mut item = Writer::new(syntax);
    item.text((0x0074, 0x1004), *b"DS", &percent.to_string());
    item.text((0x0074, 0x1006), *b"ST", &plain(words));
    let mut set = Writer::new(syntax);
    set.uid(TRANSACTION, transaction_uid);
    set.sequence(PROGRESS, [item.finish()]);
    set.finish()
}

impl Ended {
    /// Of an N-SET: what the final state requires (PS3.4 table CC.2.5-3), for a canceled task its reason.
    pub(super) fn data_set(&self, transaction_uid: &str, syntax: Syntax) -> Vec<u8> {
        let mut set = Writer::new(syntax);
        set.uid(TRANSACTION, transaction_uid);
        let mut progress = Writer::new(syntax);
        if let Some(Canceled { reason, words }) = &self.canceled {
            let (value, meaning) = reason.code();
            progress.text((0x0040, 0x4052), *b"DT", &moment(&self.ended_utc));
            progress.sequence((0x0074, 0x100e), [code(value, "DCM", meaning, syntax)]);
            progress.text((0x0074, 0x1238), *b"LT", &plain(words));
        } else {
            progress.text((0x0074, 0x1004), *b"DS", "100");
        }
        set.sequence(PROGRESS, [progress.finish()]);
        set.sequence(PERFORMED, [self.performed(syntax)]);
        set.finish()
    }

    fn performed(&self, syntax: Syntax) -> Vec<u8> {
        let (station, name) = &self.station;
        let station = code(station, "99SCANSIDE", name, syntax);
        let Code { value, scheme, meaning, .. } = &self.workitem;
        let mut item = Writer::new(syntax);
        item.text((0x0040, 0x0254), *b"LO", "Scanside analysis");
        item.sequence((0x0040, 0x4019), [code(value, scheme, meaning, syntax)]);
        item.sequence((0x0040, 0x4028), [station]);
        item.sequence((0x0040, 0x4029), []); // station class
        item.sequence((0x0040, 0x4030), []); // geographic location
        item.sequence((0x0040, 0x4033), self.outputs.iter().map(|output| output.item(syntax)));
        item.sequence((0x0040, 0x4035), []); // actual human performers
        item.text((0x0040, 0x4050), *b"DT", &moment(&self.started_utc));
        item.text((0x0040, 0x4051), *b"DT", &moment(&self.ended_utc));
        item.finish()
    }
}

impl Output {
    /// Referenced Instances and Access (PS3.3 table 10-3b).
    fn item(&self, syntax: Syntax) -> Vec<u8> {
        let references = self.objects.iter().map(|(class, uid)| {
            let mut item = Writer::new(syntax);
            item.uid((0x0008, 0x1150), class);
            item.uid((0x0008, 0x1155), uid);
            item.finish()
        });
        let references: Vec<_> = references.collect();
        let mut item = Writer::new(syntax);
        item.sequence((0x0008, 0x1199), references);
        item.uid((0x0020, 0x000d), &self.study_uid);
        item.uid((0x0020, 0x000e), &self.series_uid);
        item.text((0x0040, 0xe020), *b"CS", "DICOM");
        let mut place = Writer::new(syntax);
        match &self.place {
            Place::Archive(title) => {
                place.text((0x0008, 0x0054), *b"AE", title);
                item.sequence((0x0040, 0xe021), [place.finish()]);
            }
            Place::Web(url) => {
                let url =
                    format!("{}/studies/{}/series/{}", url.trim_end_matches('/'), self.study_uid, self.series_uid);
                place.text((0x0008, 0x1190), *b"UR", &url);
                item.sequence((0x0040, 0xe025), [place.finish()]);
            }
        }
        item.finish()
    }
}

fn code(value: &str, scheme: &str, meaning: &str, syntax: Syntax) -> Vec<u8> {
    let mut item = Writer::new(syntax);
    item.text((0x0008, 0x0100), *b"SH", value);
    item.text((0x0008, 0x0102), *b"SH", scheme);
    item.text((0x0008, 0x0104), *b"LO", &plain(meaning));
    item.finish()
}

/// Local time with its offset.
fn moment(utc: &str) -> String {
    local_parts_of(utc).unwrap_or_default().concat()
}

/// The data set declares no character set.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() && c != '\\' || c == ' ' { c } else { '?' }).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements::Elements;

    fn ended(canceled: Option<Canceled>) -> Ended {
        Ended {
            started_utc: "2026-11-30T18:00:00.000Z".into(),
            ended_utc: "2026-11-30T18:10:00.000Z".into(),
            station: ("BOX1".into(), "Room 4".into()),
            workitem: Code { value: "110004".into(), scheme: "DCM".into(), meaning: "CAD".into(), ..Code::default() },
            outputs: vec![
                Output {
                    study_uid: "1.2".into(),
                    series_uid: "1.2.3".into(),
                    objects: vec![("1.9".into(), "1.2.3.4".into())],
                    place: Place::Archive("PACS".into()),
                },
                Output {
                    study_uid: "1.2".into(),
                    series_uid: "1.2.5".into(),
                    objects: vec![("1.9".into(), "1.2.5.6".into())],
                    place: Place::Web("https://pacs/dicom-web/".into()),
                },
            ],
            canceled,
        }
    }

    fn ascending(elements: &Elements<'_>) {
        let tags: Vec<Tag> = elements.tags().collect();
        assert!(tags.is_sorted(), "{tags:04x?}");
    }

    #[test]
    fn what_the_final_state_requires_is_there() {
        for syntax in [Syntax::Implicit, Syntax::Explicit] {
            let bytes = ended(None).data_set("1.5", syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            ascending(&elements);
            assert_eq!(elements.text(TRANSACTION), "1.5");
            let performed = &elements.items(PERFORMED).unwrap()[0];
            ascending(performed);
            for tag in [(0x0040, 0x4019), (0x0040, 0x4028), (0x0040, 0x4033)] {
                assert!(!performed.items(tag).unwrap().is_empty(), "{tag:04x?}");
            }
            for tag in [(0x0040, 0x4050), (0x0040, 0x4051)] {
                assert_eq!(performed.text(tag).len(), 19, "{tag:04x?}");
            }
            let outputs = performed.items((0x0040, 0x4033)).unwrap();
            outputs.iter().for_each(ascending);
            assert_eq!(outputs[0].items((0x0040, 0xe021)).unwrap()[0].text((0x0008, 0x0054)), "PACS");
            let url = outputs[1].items((0x0040, 0xe025)).unwrap()[0].text((0x0008, 0x1190));
            assert_eq!(url, "https://pacs/dicom-web/studies/1.2/series/1.2.5");
        }
    }

    #[test]
    fn a_canceled_task_says_when_and_why() {
        let why = Canceled { reason: Reason::Incomplete, words: "3 of 9 objects came\n王".into() };
        let bytes = ended(Some(why)).data_set("1.5", Syntax::Explicit);
        let elements = Elements::parse(&bytes, Syntax::Explicit).unwrap();
        let progress = &elements.items(PROGRESS).unwrap()[0];
        ascending(progress);
        assert_eq!(progress.items((0x0074, 0x100e)).unwrap()[0].text((0x0008, 0x0100)), "110523");
        assert!(!progress.text((0x0040, 0x4052)).is_empty());
        assert_eq!(progress.text((0x0074, 0x1238)), "3 of 9 objects came??");
    }
}
