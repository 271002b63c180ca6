//! What a QIDO-RS search asks for, and whether something is like that (PS3.18 section 8.3.4, PS3.4 section C.2.2.2). Pure.

use dicom::header::Header;
use dicom::{text, uid};

/// Results of one answer when nobody asks for fewer.
const MOST: usize = 500;

/// What can be asked for: keyword, tag, and the value of an object's header.
const KEYS: [Key; 13] = [
    Key { keyword: "StudyInstanceUID", tag: "0020000D", how: How::Uids, of: |h| h.study_instance_uid.clone() },
    Key { keyword: "SeriesInstanceUID", tag: "0020000E", how: How::Uids, of: |h| h.series_instance_uid.clone() },
    Key { keyword: "SOPInstanceUID", tag: "00080018", how: How::Uids, of: |h| h.sop_instance_uid.clone() },
    Key { keyword: "SOPClassUID", tag: "00080016", how: How::Uids, of: |h| h.sop_class_uid.clone() },
    Key { keyword: "StudyDate", tag: "00080020", how: How::Range, of: |h| h.study_date.clone() },
    Key { keyword: "AccessionNumber", tag: "00080050", how: How::Text, of: |h| h.accession_number.clone() },
    Key { keyword: "ModalitiesInStudy", tag: "00080061", how: How::Text, of: |h| h.modality.clone() },
    Key { keyword: "Modality", tag: "00080060", how: How::Text, of: |h| h.modality.clone() },
    Key { keyword: "StudyDescription", tag: "00081030", how: How::Text, of: |h| h.study_description.clone() },
    Key { keyword: "PatientName", tag: "00100010", how: How::Text, of: |h| h.patient_name.clone() },
    Key { keyword: "PatientID", tag: "00100020", how: How::Text, of: |h| h.patient_id.clone() },
    Key { keyword: "SeriesNumber", tag: "00200011", how: How::Text, of: |h| number(h.series_number) },
    Key { keyword: "InstanceNumber", tag: "00200013", how: How::Text, of: |h| number(h.instance_number) },
];

fn number(value: Option<i64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

struct Key {
    keyword: &'static str,
    tag: &'static str,
    how: How,
    of: fn(&Header) -> String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// A list of UIDs.
    Uids,
    /// A date, or two of which either may be missing, with a hyphen between.
    Range,
    /// With `*` and `?`, whatever the case.
    Text,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{key:?} cannot be searched for here; there are: {}", KEYS.map(|key| key.keyword).join(", "))]
    UnknownKey { key: String },
    #[error("{key}={value:?} is not {wanted}")]
    Value { key: &'static str, value: String, wanted: &'static str },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Index into [`KEYS`], and what is wanted.
    wanted: Vec<(usize, String)>,
    pub limit: usize,
    pub offset: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self { wanted: Vec::new(), limit: MOST, offset: 0 }
    }
}

impl Query {
    /// # Errors
    /// When a key is not known or a value has another form.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Error> {
        let mut query = Self::default();
        for (key, value) in pairs {
            let count = |key| {
                value.parse::<usize>().map_err(|_| Error::Value { key, value: value.clone(), wanted: "a whole number" })
            };
            match key.as_str() {
                "limit" => query.limit = count("limit")?.min(MOST),
                "offset" => query.offset = count("offset")?,
                // What is not asked for may be returned, and names are compared whatever their case anyway.
                "includefield" | "fuzzymatching" => {}
                name => {
                    let known = KEYS.iter().position(|key| key.keyword == name || key.tag.eq_ignore_ascii_case(name));
                    let at = known.ok_or_else(|| Error::UnknownKey { key: name.to_owned() })?;
                    let key = &KEYS[at];
                    let wrong = |wanted| Error::Value { key: key.keyword, value: value.clone(), wanted };
                    match key.how {
                        How::Uids if !uids(value).all(uid::is_uid) => {
                            return Err(wrong("a UID, or several with commas"));
                        }
                        How::Range if !is_range(value) => return Err(wrong("a date YYYYMMDD, or a range of two")),
                        _ => {}
                    }
                    if !value.is_empty() {
                        query.wanted.push((at, value.clone()));
                    }
                }
            }
        }
        Ok(query)
    }

    /// The study that is asked for, if it is one.
    pub fn study_uid(&self) -> Option<&str> {
        let (_, value) = self.wanted.iter().find(|(at, _)| KEYS[*at].keyword == "StudyInstanceUID")?;
        (uids(value).count() == 1).then_some(value.as_str())
    }

    /// Is a study like that, of which one object has this header, and in which are these modalities?
    pub fn is_study(&self, header: &Header, modalities: &[String]) -> bool {
        self.wanted.iter().all(|(at, wanted)| match KEYS[*at].keyword {
            "ModalitiesInStudy" | "Modality" => modalities.iter().any(|is| fits(How::Text, wanted, is)),
            _ => fits(KEYS[*at].how, wanted, &(KEYS[*at].of)(header)),
        })
    }

    /// Is an object like that? What is said of its study is not asked again.
    pub fn is_object(&self, header: &Header) -> bool {
        let of_study = |key: &Key| key.keyword == "ModalitiesInStudy";
        let mut wanted = self.wanted.iter().filter(|(at, _)| !of_study(&KEYS[*at]));
        wanted.all(|(at, wanted)| fits(KEYS[*at].how, wanted, &(KEYS[*at].of)(header)))
    }
}

fn uids(value: &str) -> impl Iterator<Item = &str> {
    value.split([',', '\\']).map(str::trim).filter(|uid| !uid.is_empty())
}

fn is_range(value: &str) -> bool {
    let is_date = |date: &str| date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    match value.split_once('-') {
        Some((from, to)) => [from, to].iter().all(|end| end.is_empty() || is_date(end)) && value != "-",
        None => value.is_empty() || is_date(value),
    }
}

fn fits(how: How, wanted: &str, is: &str) -> bool {
    match how {
        How::Uids => uids(wanted).any(|uid| uid == is),
        How::Range => match wanted.split_once('-') {
            Some((from, to)) => !is.is_empty() && (from.is_empty() || from <= is) && (to.is_empty() || is <= to),
            None => wanted == is,
        },
        How::Text => text::is_like(&is.to_lowercase(), &wanted.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Result<Query, Error> {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Query::parse(&pairs)
    }

    fn header() -> Header {
        Header {
            study_instance_uid: "1.2.3".into(),
            study_date: "20260131".into(),
            patient_name: "MÜLLER^ANNA".into(),
            patient_id: "P-7".into(),
            modality: "CT".into(),
            series_number: Some(2),
            ..Header::default()
        }
    }

    #[test]
    fn each_way_of_matching_finds_what_it_should_and_nothing_else() {
        let cases = [
            (("PatientName", "müller*"), true),
            (("PatientName", "M?LLER^*"), true),
            (("PatientName", "MÜLLER"), false),
            (("00100020", "p-7"), true),
            (("PatientID", ""), true),
            (("StudyDate", "20260131"), true),
            (("StudyDate", "20260101-20260131"), true),
            (("StudyDate", "-20260130"), false),
            (("StudyDate", "20260201-"), false),
            (("StudyInstanceUID", "1.2.4,1.2.3"), true),
            (("StudyInstanceUID", "1.2.30"), false),
            (("SeriesNumber", "2"), true),
            (("Modality", "MR"), false),
        ];
        for ((key, value), found) in cases {
            let query = query(&[(key, value)]).unwrap();
            assert_eq!(query.is_object(&header()), found, "{key}={value}");
            assert_eq!(query.is_study(&header(), &["SR".into(), "CT".into()]), found, "{key}={value}");
        }
        let both = query(&[("ModalitiesInStudy", "SR"), ("PatientID", "P-7"), ("includefield", "all")]).unwrap();
        assert!(both.is_study(&header(), &["CT".into(), "SR".into()]));
        assert!(!both.is_study(&header(), &["CT".into()]));
    }

    #[test]
    fn what_cannot_be_asked_for_is_named() {
        assert!(query(&[("Colour", "red")]).unwrap_err().to_string().contains("\"Colour\" cannot be searched for"));
        for (key, value) in
            [("StudyDate", "yesterday"), ("StudyDate", "-"), ("limit", "-1"), ("StudyInstanceUID", "1.a")]
        {
            let said = query(&[(key, value)]).unwrap_err().to_string();
            assert!(said.starts_with(key), "{said}");
        }
    }
}
