//! The questions for earlier studies and their series (PS3.4 section C.6.2, Study Root), and whether an answer is one. Pure.

use dicom::header::Header;
use dicom::patient::is_placeholder_id;
use dicom::scan::Answer;
use dicom::text;

use crate::elements::{Syntax, Tag, Writer};

type Key = (Tag, [u8; 2]);

/// Which studies are asked for: those of one Patient ID, from a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub patient_id: String,
    /// As `CT`.
    pub modality: String,
    /// The first and the last day, YYYYMMDD.
    pub first_day: String,
    pub last_day: String,
    /// The new study, which is none of its own earlier ones.
    pub study_uid: String,
}

impl Question {
    /// For studies before the one with this header, at most `years` older. `None`: nothing can be asked, because the ID is a
    /// placeholder or would match others (a wild card, a list), or the study has no date.
    pub fn before(header: &Header, modality: &str, years: u16) -> Option<Self> {
        let id = header.patient_id.trim();
        let is_plain = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '*' | '?' | '\\');
        // 64 characters: VR LO.
        if is_placeholder_id(id) || id.len() > 64 || !id.chars().all(is_plain) || !text::is_date(&header.study_date) {
            return None;
        }
        let (year, day) = header.study_date.split_at_checked(4)?;
        let year: u16 = year.parse().ok()?;
        // Not every year has a 29 February.
        let day = if day == "0229" { "0228" } else { day };
        let first_day = format!("{:04}{day}", year.saturating_sub(years));
        Some(Self {
            patient_id: id.to_owned(),
            modality: modality.to_owned(),
            first_day,
            // The comparison takes studies of earlier days; not every archive knows an open range.
            last_day: header.study_date.clone(),
            study_uid: header.study_instance_uid.clone(),
        })
    }

    /// The identifier at the level of studies, in ascending order.
    pub(super) fn identifier(&self, syntax: Syntax) -> Vec<u8> {
        let mut set = Writer::new(syntax);
        let empty = |set: &mut Writer, keys: &[Key]| keys.iter().for_each(|(tag, vr)| set.text(*tag, *vr, ""));
        set.text((0x0008, 0x0005), *b"CS", "");
        set.text((0x0008, 0x0020), *b"DA", &format!("{}-{}", self.first_day, self.last_day));
        empty(&mut set, &[((0x0008, 0x0030), *b"TM"), ((0x0008, 0x0050), *b"SH")]);
        set.text((0x0008, 0x0052), *b"CS", "STUDY");
        set.text((0x0008, 0x0061), *b"CS", &self.modality);
        empty(&mut set, &[((0x0008, 0x1030), *b"LO"), ((0x0010, 0x0010), *b"PN")]);
        set.text((0x0010, 0x0020), *b"LO", &self.patient_id);
        empty(
            &mut set,
            &[
                ((0x0010, 0x0021), *b"LO"), // issuer of patient ID
                ((0x0010, 0x0030), *b"DA"), // birth date
                ((0x0010, 0x0040), *b"CS"), // sex
                ((0x0020, 0x000d), *b"UI"), // study instance UID
            ],
        );
        set.finish()
    }

    /// Whether an answer is one to this question, whoever it is about: there are archives that do not look at every key.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn fits(&self, answer: &Answer) -> Result<(), &'static str> {
        let header = &answer.header;
        if header.study_instance_uid.is_empty() {
            return Err("answers without a Study Instance UID");
        }
        if header.study_instance_uid == self.study_uid {
            return Err("the new study itself");
        }
        if header.patient_id.trim() != self.patient_id {
            return Err("answers for another patient ID than was asked for");
        }
        let date = header.study_date.trim();
        if !text::is_date(date) {
            return Err("studies without a date");
        }
        if date < self.first_day.as_str() || date >= self.last_day.as_str() {
            return Err("studies of other days than were asked for");
        }
        if !answer.modalities.is_empty() && !answer.modalities.contains(&self.modality) {
            return Err("studies without images of this modality");
        }
        Ok(())
    }
}

/// The identifier for the series of a study.
pub(super) fn series_identifier(study_uid: &str, modality: &str, syntax: Syntax) -> Vec<u8> {
    let mut set = Writer::new(syntax);
    set.text((0x0008, 0x0005), *b"CS", "");
    set.text((0x0008, 0x0052), *b"CS", "SERIES");
    set.text((0x0008, 0x0060), *b"CS", modality);
    set.text((0x0008, 0x103e), *b"LO", ""); // series description
    set.text((0x0018, 0x0015), *b"CS", ""); // body part
    set.text((0x0018, 0x1030), *b"LO", ""); // protocol name
    set.uid((0x0020, 0x000d), study_uid);
    set.text((0x0020, 0x000e), *b"UI", "");
    set.text((0x0020, 0x0011), *b"IS", ""); // series number
    set.text((0x0020, 0x1209), *b"IS", ""); // number of its instances
    set.finish()
}

/// Whether an answer is a series of this study and modality.
///
/// # Errors
/// Why it is not.
pub(super) fn series_fits(answer: &Answer, study_uid: &str, modality: &str) -> Result<(), &'static str> {
    let header = &answer.header;
    // Some archives do not repeat what was asked for.
    if !header.study_instance_uid.is_empty() && header.study_instance_uid != study_uid {
        return Err("series of another study than was asked for");
    }
    if header.series_instance_uid.is_empty() {
        return Err("answers without a Series Instance UID");
    }
    if header.modality.trim() != modality {
        return Err("series of another modality than was asked for");
    }
    Ok(())
}

/// The identifier of what is to be sent: one series.
pub(super) fn fetch_identifier(study_uid: &str, series_uid: &str, syntax: Syntax) -> Vec<u8> {
    let mut set = Writer::new(syntax);
    set.text((0x0008, 0x0052), *b"CS", "SERIES");
    set.uid((0x0020, 0x000d), study_uid);
    set.uid((0x0020, 0x000e), series_uid);
    set.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elements::Elements;

    fn header() -> Header {
        Header {
            patient_id: "P1 ".into(),
            study_date: "20260131".into(),
            study_instance_uid: "1.9".into(),
            ..Header::default()
        }
    }

    #[test]
    fn the_question_names_one_patient_id_a_range_of_days_and_a_modality() {
        let question = Question::before(&header(), "CT", 5).unwrap();
        for syntax in [Syntax::Implicit, Syntax::Explicit] {
            let bytes = question.identifier(syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            assert_eq!(elements.text((0x0008, 0x0020)), "20210131-20260131");
            assert_eq!((elements.text((0x0010, 0x0020)), elements.text((0x0008, 0x0061))), ("P1".into(), "CT".into()));
            assert_eq!(elements.text((0x0008, 0x0052)), "STUDY");
            let tags: Vec<_> = elements.tags().collect();
            assert!(tags.is_sorted(), "{tags:x?}");
            let bytes = series_identifier("1.2", "CT", syntax);
            assert!(Elements::parse(&bytes, syntax).unwrap().tags().is_sorted());
            let bytes = fetch_identifier("1.2", "1.2.1", syntax);
            let elements = Elements::parse(&bytes, syntax).unwrap();
            assert_eq!(elements.text((0x0020, 0x000e)), "1.2.1");
        }
    }

    /// Promise: a placeholder never asks, nor an ID that would match the studies of others.
    #[test]
    fn nobody_is_asked_for_by_a_placeholder_a_wild_card_or_without_a_date() {
        for id in ["", "0", "ANONYMOUS", "P*", "P?", "P1\\P2", "病人", &"9".repeat(65)] {
            assert_eq!(Question::before(&Header { patient_id: id.into(), ..header() }, "CT", 5), None, "{id}");
        }
        for date in ["", "2026", "2026-1-3"] {
            assert_eq!(Question::before(&Header { study_date: date.into(), ..header() }, "CT", 5), None, "{date}");
        }
    }

    /// Promise: what a hostile or careless archive answers beside the question is left out.
    #[test]
    fn answers_that_were_not_asked_for_do_not_fit() {
        let question = Question::before(&header(), "CT", 5).unwrap();
        let answer = |id: &str, date: &str, uid: &str, modality: &str| Answer {
            modalities: vec![modality.into()],
            header: Header {
                patient_id: id.into(),
                study_date: date.into(),
                study_instance_uid: uid.into(),
                ..Header::default()
            },
            ..Answer::default()
        };
        assert_eq!(question.fits(&answer("P1", "20250101", "1.2", "CT")), Ok(()));
        for (id, date, uid, modality, reason) in [
            ("P2", "20250101", "1.2", "CT", "patient ID"),
            ("P10", "20250101", "1.2", "CT", "patient ID"),
            ("P1", "20100101", "1.2", "CT", "days"),
            ("P1", "20260131", "1.2", "CT", "days"),
            ("P1", "20270101", "1.2", "CT", "days"),
            ("P1", "", "1.2", "CT", "date"),
            ("P1", "20250101", "", "CT", "UID"),
            ("P1", "20250101", "1.9", "CT", "itself"),
            ("P1", "20250101", "1.2", "MR", "modality"),
        ] {
            let why = question.fits(&answer(id, date, uid, modality)).unwrap_err();
            assert!(why.contains(reason), "{why} {reason}");
        }
        let series = |study: &str, series: &str, modality: &str| Answer {
            header: Header {
                study_instance_uid: study.into(),
                series_instance_uid: series.into(),
                modality: modality.into(),
                ..Header::default()
            },
            ..Answer::default()
        };
        assert_eq!(series_fits(&series("1.2", "1.2.1", "CT"), "1.2", "CT"), Ok(()));
        assert_eq!(series_fits(&series("", "1.2.1", "CT"), "1.2", "CT"), Ok(()), "not every archive repeats it");
        for (study, uid, modality) in [("1.3", "1.2.1", "CT"), ("1.2", "", "CT"), ("1.2", "1.2.1", "SR")] {
            assert!(series_fits(&series(study, uid, modality), "1.2", "CT").is_err());
        }
    }
}
