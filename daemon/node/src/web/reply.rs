//! What an archive says of single objects: the Store Instances Response (PS3.18 section 10.5.3.2), in DICOM JSON or XML, and the
//! answer to a query.

use dicom::text::shown;
use serde_json::Value;

use super::xml;

const REFERENCED: &str = "00081199";
const FAILED: &str = "00081198";
/// Failures of parts in which the archive found no UID.
const OTHER_FAILURES: &str = "0008119A";
const REFERENCED_UID: &str = "00081155";
const WARNING_REASON: &str = "00081196";
const FAILURE_REASON: &str = "00081197";
const SOP_INSTANCE_UID: &str = "00080018";
/// Characters of an archive's own words that are shown.
const SHOWN: usize = 160;

/// One object in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Empty: the archive found none.
    pub sop_uid: String,
    /// Failure or warning reason.
    pub reason: Option<u16>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    pub referenced: Vec<Item>,
    pub failed: Vec<Item>,
}

impl Reply {
    /// `None`: it is neither DICOM JSON nor XML. Nothing is concluded from the declared type, which some archives get wrong.
    pub fn read(body: &[u8]) -> Option<Self> {
        let value = serde_json::from_slice(body).ok().or_else(|| xml::read(body))?;
        let data_sets = match &value {
            Value::Array(all) => all.as_slice(),
            Value::Object(_) => std::slice::from_ref(&value),
            _ => return None,
        };
        let all = |tag: &str, reason: &str| -> Vec<Item> {
            let items = data_sets.iter().flat_map(|one| values(one, tag));
            items.map(|item| Item { sop_uid: text(item, REFERENCED_UID), reason: number(item, reason) }).collect()
        };
        let mut failed = all(FAILED, FAILURE_REASON);
        failed.extend(all(OTHER_FAILURES, FAILURE_REASON));
        Some(Self { referenced: all(REFERENCED, WARNING_REASON), failed })
    }
}

/// The SOP Instance UIDs that a query or metadata found; `None`: it is no list in DICOM JSON.
pub(crate) fn found(body: &[u8]) -> Option<Vec<String>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    Some(value.as_array()?.iter().map(|one| text(one, SOP_INSTANCE_UID)).collect())
}

/// Whether the beginning of a list in DICOM JSON has this SOP Instance UID in one of its data sets.
pub(crate) fn is_named(beginning: &[u8], sop_uid: &str) -> bool {
    let (text, uid) = (String::from_utf8_lossy(beginning), format!("\"{sop_uid}\""));
    let element = |after: &str| after.split('}').next().is_some_and(|element| element.contains(&uid));
    text.split(&format!("\"{SOP_INSTANCE_UID}\"")).skip(1).any(element)
}

/// What an archive says in plain text or JSON, short and without `secrets`; empty for pages in HTML.
pub(crate) fn said(content_type: &str, body: &[u8], secrets: &[String]) -> String {
    if content_type.contains("html") || content_type.contains("xml") {
        return String::new();
    }
    let Ok(mut text) = std::str::from_utf8(body).map(str::to_owned) else { return String::new() };
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "...");
    }
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    shown(line.chars().take(SHOWN).collect::<String>().as_str()).to_string()
}

fn values<'a>(data_set: &'a Value, tag: &str) -> impl Iterator<Item = &'a Value> {
    data_set.get(tag).and_then(|element| element.get("Value")).and_then(Value::as_array).into_iter().flatten()
}

fn text(data_set: &Value, tag: &str) -> String {
    let first = values(data_set, tag).next().and_then(Value::as_str);
    first.unwrap_or_default().trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned()
}

/// A number, also one that is written as text.
fn number(data_set: &Value, tag: &str) -> Option<u16> {
    let value = values(data_set, tag).next()?;
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    u16::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(sop_uid: &str, reason: Option<u16>) -> Item {
        Item { sop_uid: sop_uid.into(), reason }
    }

    #[test]
    fn json_is_read_as_archives_write_it() {
        let whole = br#"{"00081190":{"vr":"UR","Value":["http://pacs/studies/1"]},
            "00081199":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.3"]}},
              {"00081155":{"vr":"UI","Value":["1.2.4 "]},"00081196":{"vr":"US","Value":[45056]}}]},
            "00081198":{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.5"]},"00081197":{"vr":"US","Value":["272"]}}]}}"#;
        let reply = Reply::read(whole).unwrap();
        assert_eq!(reply.referenced, [item("1.2.3", None), item("1.2.4", Some(0xb000))]);
        assert_eq!(reply.failed, [item("1.2.5", Some(0x0110))]);
        let in_a_list = [b"[".as_slice(), whole, b"]"].concat();
        assert_eq!(Reply::read(&in_a_list).unwrap(), reply);
        let empty = br#"{"00081198":{"vr":"SQ"},"00081199":{"vr":"SQ","Value":[]}}"#;
        assert_eq!(Reply::read(empty), Some(Reply::default()));
        let other = br#"{"0008119A":{"vr":"SQ","Value":[{"00081197":{"vr":"US","Value":[49152]}}]}}"#;
        assert_eq!(Reply::read(other).unwrap().failed, [item("", Some(0xc000))]);
    }

    #[test]
    fn what_is_no_answer_of_dicom_is_none() {
        for body in ["", "ok", "true", "<html><body>502</body></html>", "{", "\u{feff}", "<NativeDicomModel>"] {
            assert_eq!(Reply::read(body.as_bytes()), None, "{body}");
        }
        for body in [r#"{"00081199":7}"#, r#"{"00081199":{"Value":{"a":1}}}"#, r#"{"status":"ok"}"#] {
            assert_eq!(Reply::read(body.as_bytes()), Some(Reply::default()), "{body}");
        }
    }

    #[test]
    fn a_query_finds_by_uid() {
        let two = br#"[{"00080018":{"vr":"UI","Value":["1.2.3"]}},{"00080018":{"vr":"UI","Value":["1.2.4"]}}]"#;
        assert_eq!(found(two), Some(vec!["1.2.3".to_owned(), "1.2.4".into()]));
        assert_eq!(found(b"[]"), Some(Vec::new()));
        assert_eq!(found(b"{}"), None);
        assert_eq!(found(b"<html>"), None);
        let cut = &two[..two.len() - 3];
        assert!(is_named(cut, "1.2.3") && is_named(cut, "1.2.4") && !is_named(cut, "1.2"));
        let in_another = br#"[{"00080018":{"vr":"UI","Value":["1.2.3"]},"00081155":{"vr":"UI","Value":["1.2.4"]},"#;
        assert!(!is_named(in_another, "1.2.4"));
    }

    #[test]
    fn an_archives_words_are_short_and_hold_no_secret() {
        let secrets = ["hunter2".to_owned(), String::new()];
        assert_eq!(said("text/plain", b"no entry for\n  hunter2", &secrets), "no entry for ...");
        assert_eq!(said("text/html", b"<h1>hunter2</h1>", &secrets), "");
        assert!(said("application/json", "x".repeat(5000).as_bytes(), &secrets).len() <= SHOWN + 3);
    }
}
