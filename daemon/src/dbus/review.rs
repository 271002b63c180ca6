//! What a person decides about findings, as it comes over the bus. Pure.

use std::collections::BTreeMap;

use models::review::{Decision, Mark};

use super::Error;
use super::filter::{self, Options};

/// Longer ones are refused before they are read, bytes.
const MOST_BYTES: usize = 256 * 1024;

/// By id of a finding: fields and their values.
type Edits = BTreeMap<String, BTreeMap<String, String>>;

/// The decisions with the edits of the options, and whether the rest is accepted.
///
/// # Errors
/// `InvalidArgument` names what is wrong.
pub fn asked(decisions: Vec<(String, String, String)>, options: &Options) -> Result<(Vec<Mark>, bool), Error> {
    let (mut accept_rest, mut edits) = (false, Edits::new());
    for (name, value) in options {
        match name.as_str() {
            "accept_rest" => accept_rest = bool::try_from(value).map_err(|_| filter::wrong_type(name, "b"))?,
            "edits" => edits = parse(&filter::text(name, value)?)?,
            _ => return Err(filter::unknown(name, &["accept_rest", "edits"])),
        }
    }
    let mut mark = |(id, decision, comment): (String, String, String)| {
        let Some(decision) = Decision::parse(&decision) else {
            return Err(Error::InvalidArgument(format!("{decision:?} is none of accepted, edited, rejected")));
        };
        let edit = edits.remove(&id).unwrap_or_default().into_iter().collect();
        Ok(Mark { id, decision, comment, edit })
    };
    let marks = decisions.into_iter().map(&mut mark).collect::<Result<Vec<_>, _>>()?;
    match edits.keys().next() {
        Some(id) => Err(Error::InvalidArgument(format!("edits names {id:?}, which is not among the decisions"))),
        None => Ok((marks, accept_rest)),
    }
}

fn parse(json: &str) -> Result<Edits, Error> {
    if json.len() > MOST_BYTES {
        return Err(Error::InvalidArgument(format!("edits is longer than {MOST_BYTES} bytes")));
    }
    serde_json::from_str(json).map_err(|why| {
        Error::InvalidArgument(format!("edits must be JSON as {{\"nodule-1\": {{\"type\": \"solid\"}}}}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use zbus::{OwnedVariant, Variant};

    use super::*;

    fn ask(decisions: &[(&str, &str)], edits: &str) -> Result<(Vec<Mark>, bool), String> {
        let decisions = decisions.iter().map(|(id, decision)| ((*id).into(), (*decision).into(), String::new()));
        let options = Options::from([("edits".to_owned(), OwnedVariant::try_from(&Variant::from(edits)).unwrap())]);
        asked(decisions.collect(), &options).map_err(|error| error.to_string())
    }

    #[test]
    fn an_edit_goes_with_the_decision_about_its_finding_and_never_with_none() {
        let both = [("nodule-1", "edited"), ("nodule-2", "accepted")];
        let (marks, rest) = ask(&both, r#"{"nodule-1": {"type": "solid", "lobe": "left_upper"}}"#).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(marks[0].edit, [pair("lobe", "left_upper"), pair("type", "solid")]);
        assert!(marks[1].edit.is_empty() && !rest);
        let lost = ask(&both, r#"{"nodule-3": {"type": "solid"}}"#).unwrap_err();
        assert!(lost.contains("nodule-3"), "{lost}");
        for bad in ["", "[]", r#"{"nodule-1": "solid"}"#, r#"{"nodule-1": {"long_mm": 3}}"#] {
            assert!(ask(&both, bad).unwrap_err().contains("must be JSON"), "{bad}");
        }
        assert!(ask(&both, &" ".repeat(MOST_BYTES + 1)).unwrap_err().contains("longer than"));
        assert!(ask(&[("nodule-1", "maybe")], "{}").unwrap_err().contains("none of accepted, edited, rejected"));
    }
}
