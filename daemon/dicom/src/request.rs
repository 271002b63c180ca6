//! What was asked for, by whom it was ordered: the values that objects and the performed procedure step of an exam give back
//! to the information system (PS3.3 table 10-9, PS3.4 table F.7.2-1).

use serde::{Deserialize, Serialize};

/// A scheduled procedure step and its requested procedure. What the order does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// Requested Procedure ID (0040,1001) and Description (0032,1060).
    pub procedure_id: String,
    pub procedure_description: String,
    /// Requested Procedure Code Sequence (0032,1064).
    pub procedure_codes: Vec<Code>,
    /// Scheduled Procedure Step ID (0040,0009) and Description (0040,0007).
    pub step_id: String,
    pub step_description: String,
    /// Scheduled Protocol Code Sequence (0040,0008).
    pub protocol_codes: Vec<Code>,
    /// Referenced Study Sequence (0008,1110).
    pub studies: Vec<Reference>,
    /// Patient's Sex (0010,0040).
    pub sex: String,
}

/// A coded entry (PS3.3 section 8).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Code {
    pub value: String,
    pub scheme: String,
    /// Often empty.
    pub version: String,
    pub meaning: String,
}

/// Of an object: SOP Class UID and SOP Instance UID.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    pub sop_class: String,
    pub sop_uid: String,
}

impl Request {
    /// What both say alike; where they differ nothing is said. Of an order with several steps it is not known which one an exam
    /// performs.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let text = |a: &String, b: &String| if a == b { a.clone() } else { String::new() };
        let codes = |a: &Vec<Code>, b: &Vec<Code>| if a == b { a.clone() } else { Vec::new() };
        Self {
            procedure_id: text(&self.procedure_id, &other.procedure_id),
            procedure_description: text(&self.procedure_description, &other.procedure_description),
            procedure_codes: codes(&self.procedure_codes, &other.procedure_codes),
            step_id: text(&self.step_id, &other.step_id),
            step_description: text(&self.step_description, &other.step_description),
            protocol_codes: codes(&self.protocol_codes, &other.protocol_codes),
            studies: if self.studies == other.studies { self.studies.clone() } else { Vec::new() },
            sex: text(&self.sex, &other.sex),
        }
    }

    /// Without what no data set could carry: values with several parts or control characters, values that are too long (PS3.5
    /// table 6.2-1), codes that are not whole, references that are no UIDs.
    #[must_use]
    pub fn sound(self) -> Self {
        let codes = |codes: Vec<Code>| codes.into_iter().filter_map(Code::sound).collect();
        let is_uid = |uid: &str| !uid.is_empty() && uid.len() <= 64 && crate::uid::is_uid(uid);
        let whole = |one: &Reference| is_uid(&one.sop_class) && is_uid(&one.sop_uid);
        Self {
            procedure_id: text(&self.procedure_id, 16),
            procedure_description: text(&self.procedure_description, 64),
            procedure_codes: codes(self.procedure_codes),
            step_id: text(&self.step_id, 16),
            step_description: text(&self.step_description, 64),
            protocol_codes: codes(self.protocol_codes),
            studies: self.studies.into_iter().filter(whole).collect(),
            sex: Some(self.sex).filter(|sex| matches!(sex.as_str(), "M" | "F" | "O")).unwrap_or_default(),
        }
    }
}

impl Code {
    /// `None`: not whole.
    fn sound(self) -> Option<Self> {
        let code = Self {
            value: text(&self.value, 16),
            scheme: text(&self.scheme, 16),
            version: text(&self.version, 16),
            meaning: text(&self.meaning, 64),
        };
        let whole = ![&code.value, &code.scheme, &code.meaning].into_iter().any(String::is_empty);
        whole.then_some(code)
    }
}

/// At most so many characters, or nothing.
fn text(value: &str, most: usize) -> String {
    let value = value.trim();
    let fits = value.chars().count() <= most && !value.chars().any(|c| c == '\\' || c.is_control() || c == '\u{FFFD}');
    if fits { value.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(value: &str) -> Code {
        Code { value: value.into(), scheme: "99RIS".into(), meaning: "Breast".into(), ..Code::default() }
    }

    #[test]
    fn of_several_steps_of_one_order_only_what_they_share_is_said() {
        let left = Request {
            procedure_id: "RP-1".into(),
            step_id: "S-1".into(),
            step_description: "left".into(),
            procedure_codes: vec![code("US1")],
            sex: "F".into(),
            ..Request::default()
        };
        let right = Request { step_id: "S-2".into(), step_description: "right".into(), ..left.clone() };
        let both = left.common(&right);
        assert_eq!((both.procedure_id.as_str(), both.step_id.as_str(), both.sex.as_str()), ("RP-1", "", "F"));
        assert_eq!((both.procedure_codes.len(), both.step_description.as_str()), (1, ""));
        assert_eq!(left.common(&left), left);
    }

    #[test]
    fn what_no_data_set_could_carry_is_left_out() {
        let broken = Code { meaning: String::new(), ..code("X") };
        let request = Request {
            procedure_id: "RP\\1".into(),
            step_id: "S".repeat(17),
            step_description: " breast, both ".into(),
            protocol_codes: vec![code("P1"), broken, code("M\u{FFFD}ller")],
            studies: vec![
                Reference { sop_class: "1.2".into(), sop_uid: "1.3".into() },
                Reference { sop_class: "1.2".into(), sop_uid: "x".into() },
            ],
            sex: "female".into(),
            ..Request::default()
        }
        .sound();
        let expected = Request {
            step_description: "breast, both".into(),
            protocol_codes: vec![code("P1")],
            studies: vec![Reference { sop_class: "1.2".into(), sop_uid: "1.3".into() }],
            ..Request::default()
        };
        assert_eq!(request, expected);
    }
}
