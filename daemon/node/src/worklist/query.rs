//! The question for a worklist: its keys (PS3.4 table K.6-1), and whether an answer is one to it. Pure.

use dicom::scan::Item;
use dicom::text;

use crate::elements::{Syntax, Tag, Writer};

/// Which scheduled steps are asked for. All texts are ASCII, so the question declares no character set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// As `US`; empty for all.
    pub modality: String,
    /// For which station; empty for all.
    pub station_ae_title: String,
    /// The first and the last day, YYYYMMDD.
    pub first_day: String,
    pub last_day: String,
}

type Key = (Tag, [u8; 2]);

const CODE: [Key; 4] =
    [((0x0008, 0x0100), *b"SH"), ((0x0008, 0x0102), *b"SH"), ((0x0008, 0x0103), *b"SH"), ((0x0008, 0x0104), *b"LO")];
const REFERENCE: [Key; 2] = [((0x0008, 0x1150), *b"UI"), ((0x0008, 0x1155), *b"UI")];

impl Query {
    /// The identifier: the keys of type 1 and 2 that a server returns, in ascending order.
    pub(super) fn identifier(&self, syntax: Syntax) -> Vec<u8> {
        let mut set = Writer::new(syntax);
        let empty = |set: &mut Writer, keys: &[Key]| keys.iter().for_each(|(tag, vr)| set.text(*tag, *vr, ""));
        let item = |keys: &[Key]| {
            let mut item = Writer::new(syntax);
            empty(&mut item, keys);
            [item.finish()]
        };
        empty(
            &mut set,
            &[
                ((0x0008, 0x0005), *b"CS"), // specific character set
                ((0x0008, 0x0050), *b"SH"), // accession number
                ((0x0008, 0x0090), *b"PN"), // referring physician's name
            ],
        );
        set.sequence((0x0008, 0x1110), item(&REFERENCE)); // referenced study
        set.sequence((0x0008, 0x1120), item(&REFERENCE)); // referenced patient
        empty(
            &mut set,
            &[
                ((0x0010, 0x0010), *b"PN"), // patient's name
                ((0x0010, 0x0020), *b"LO"), // patient ID
                ((0x0010, 0x0030), *b"DA"), // birth date
                ((0x0010, 0x0040), *b"CS"), // sex
                ((0x0010, 0x1030), *b"DS"), // weight
                ((0x0010, 0x2000), *b"LO"), // medical alerts
                ((0x0010, 0x2110), *b"LO"), // allergies
            ],
        );
        set.number_unset((0x0010, 0x21c0)); // pregnancy status
        empty(
            &mut set,
            &[
                ((0x0020, 0x000d), *b"UI"), // study instance UID
                ((0x0032, 0x1032), *b"PN"), // requesting physician
                ((0x0032, 0x1060), *b"LO"), // requested procedure description
            ],
        );
        set.sequence((0x0032, 0x1064), item(&CODE)); // requested procedure code
        empty(
            &mut set,
            &[
                ((0x0038, 0x0010), *b"LO"), // admission ID
                ((0x0038, 0x0050), *b"LO"), // special needs
                ((0x0038, 0x0300), *b"LO"), // current patient location
                ((0x0038, 0x0500), *b"LO"), // patient state
            ],
        );
        set.sequence((0x0040, 0x0100), [self.step(syntax, item(&CODE))]);
        empty(
            &mut set,
            &[
                ((0x0040, 0x1001), *b"SH"), // requested procedure ID
                ((0x0040, 0x1003), *b"SH"), // priority
                ((0x0040, 0x1004), *b"LO"), // transport
                ((0x0040, 0x3001), *b"LO"), // confidentiality
            ],
        );
        set.finish()
    }

    /// The scheduled procedure step, which has the keys that are matched.
    fn step(&self, syntax: Syntax, code: [Vec<u8>; 1]) -> Vec<u8> {
        let mut step = Writer::new(syntax);
        step.text((0x0008, 0x0060), *b"CS", &self.modality);
        step.text((0x0032, 0x1070), *b"LO", ""); // requested contrast agent
        step.text((0x0040, 0x0001), *b"AE", &self.station_ae_title);
        step.text((0x0040, 0x0002), *b"DA", &self.days());
        step.text((0x0040, 0x0003), *b"TM", ""); // start time
        step.text((0x0040, 0x0006), *b"PN", ""); // performing physician
        step.text((0x0040, 0x0007), *b"LO", ""); // description
        step.sequence((0x0040, 0x0008), code); // protocol
        step.text((0x0040, 0x0009), *b"SH", ""); // step ID
        step.text((0x0040, 0x0010), *b"SH", ""); // station name
        step.text((0x0040, 0x0011), *b"SH", ""); // location
        step.text((0x0040, 0x0012), *b"LO", ""); // pre-medication
        step.finish()
    }

    /// One day by itself: not every server knows ranges.
    fn days(&self) -> String {
        if self.first_day == self.last_day {
            self.first_day.clone()
        } else {
            format!("{}-{}", self.first_day, self.last_day)
        }
    }

    /// Whether an answer is one to this question: there are servers that do not look at every key.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn fits(&self, item: &Item) -> Result<(), &'static str> {
        let modality = item.modality.trim();
        if !self.modality.is_empty() && !modality.is_empty() && !modality.eq_ignore_ascii_case(&self.modality) {
            return Err("answers of the server with another modality than was asked for");
        }
        // What is no date (as 2026.01.31 once was one) is left to whoever shows it.
        let date = item.step_date.trim();
        let days = self.first_day.as_str()..=self.last_day.as_str();
        if text::is_date(date) && !self.first_day.is_empty() && !days.contains(&date) {
            return Err("answers of the server for other days than were asked for");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements::Elements;

    fn query() -> Query {
        Query {
            modality: "US".into(),
            station_ae_title: "US1".into(),
            first_day: "20260131".into(),
            last_day: "20260131".into(),
        }
    }

    #[test]
    fn the_question_asks_for_a_day_a_modality_and_a_station_and_names_nobody() {
        for syntax in [Syntax::Implicit, Syntax::Explicit] {
            let bytes = query().identifier(syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            let step = elements.items((0x0040, 0x0100)).unwrap();
            let [step] = step.as_slice() else { panic!("one step") };
            assert_eq!(step.text((0x0008, 0x0060)), "US");
            assert_eq!((step.text((0x0040, 0x0001)), step.text((0x0040, 0x0002))), ("US1".into(), "20260131".into()));
            for key in [(0x0010, 0x0010), (0x0010, 0x0020), (0x0008, 0x0050), (0x0020, 0x000d), (0x0040, 0x1001)] {
                assert_eq!(elements.value(key), Some(&[][..]), "{key:x?}");
            }
            assert_eq!(elements.items((0x0008, 0x1110)).unwrap().len(), 1);
        }
        let range = Query { last_day: "20260202".into(), ..query() };
        assert_eq!(range.days(), "20260131-20260202");
    }

    #[test]
    fn answers_that_were_not_asked_for_do_not_fit() {
        let item =
            |modality: &str, date: &str| Item { modality: modality.into(), step_date: date.into(), ..Item::default() };
        assert!(query().fits(&item("CT", "20260131")).unwrap_err().contains("modality"));
        assert!(query().fits(&item("US", "20260130")).unwrap_err().contains("days"));
        assert!(query().fits(&item("US", "20260201")).unwrap_err().contains("days"));
        for (modality, date) in [("US", "20260131"), ("us ", "20260131"), ("", ""), ("US", "2026.01.31")] {
            assert_eq!(query().fits(&item(modality, date)), Ok(()), "{modality} {date}");
        }
        assert_eq!(Query::default().fits(&item("CT", "19990101")), Ok(()), "all are asked for");
    }
}
