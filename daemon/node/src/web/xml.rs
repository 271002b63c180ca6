//! The Native DICOM Model (PS3.19 annex A.1) of small answers, read as DICOM JSON: elements, items and values, nothing else of XML.

use serde_json::{Map, Value, json};

/// Sequences within sequences; an answer of STOW-RS has one.
const DEEPEST: usize = 8;

/// `None`: it is no whole Native DICOM Model.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let mut tags = Tags { rest: std::str::from_utf8(body).ok()? };
    while let Tag::Other = tags.next()?.0 {}
    // The first tag that counts was the root.
    data_set(&mut tags, 0)
}

/// What a tag means here.
#[derive(Debug, PartialEq, Eq)]
enum Tag {
    /// The beginning of a data set: root or item.
    DataSet,
    Element(String),
    Value,
    /// The end of one of these.
    End,
    /// Declarations, comments, and elements that are of no use here.
    Other,
}

struct Tags<'a> {
    rest: &'a str,
}

impl<'a> Tags<'a> {
    /// The next tag and the text before it; `None` at the end.
    fn next(&mut self) -> Option<(Tag, &'a str)> {
        let (text, rest) = self.rest.split_once('<')?;
        if let Some(comment) = rest.strip_prefix("!--") {
            self.rest = comment.split_once("-->")?.1;
            return Some((Tag::Other, text));
        }
        let (tag, rest) = rest.split_once('>')?;
        self.rest = rest;
        let name = tag.trim_start_matches('/').split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
        let name = name.rsplit(':').next().unwrap_or_default();
        let is_known = matches!(name, "NativeDicomModel" | "Item" | "DicomAttribute" | "Value");
        let kind = match name {
            _ if !is_known => Tag::Other,
            _ if tag.starts_with('/') => Tag::End,
            // Begins and ends at once: without content it says nothing.
            _ if tag.ends_with('/') => Tag::Other,
            "DicomAttribute" => Tag::Element(attribute(tag, "tag")?.to_ascii_uppercase()),
            "Value" => Tag::Value,
            _ => Tag::DataSet,
        };
        Some((kind, text))
    }
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let at = tag.split([' ', '\t', '\r', '\n']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='))?;
    Some(at.trim_end_matches('/').trim_matches(['"', '\'']))
}

/// Up to the end of the data set that has begun.
fn data_set(tags: &mut Tags<'_>, depth: usize) -> Option<Value> {
    let mut all = Map::new();
    loop {
        match tags.next()?.0 {
            Tag::Element(tag) => drop(all.insert(tag, json!({ "Value": values(tags, depth)? }))),
            Tag::End => return Some(Value::Object(all)),
            Tag::Other => {}
            Tag::DataSet | Tag::Value => return None,
        }
    }
}

/// Up to the end of the element that has begun.
fn values(tags: &mut Tags<'_>, depth: usize) -> Option<Vec<Value>> {
    let mut all = Vec::new();
    loop {
        match tags.next()?.0 {
            Tag::DataSet if depth < DEEPEST => all.push(data_set(tags, depth + 1)?),
            Tag::Value => match tags.next()? {
                (Tag::End, text) => all.push(Value::String(text.trim().to_owned())),
                _ => return None,
            },
            Tag::End => return Some(all),
            Tag::Other => {}
            Tag::Element(_) | Tag::DataSet => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::{Item, Reply};
    use super::*;

    #[test]
    fn an_answer_in_xml_says_the_same_as_in_json() {
        let body = br#"<?xml version="1.0" encoding="utf-8"?><!-- > -->
            <NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">
              <DicomAttribute keyword="RetrieveURL" tag="00081190" vr="UR"><Value number="1">http://pacs</Value></DicomAttribute>
              <DicomAttribute keyword="FailedSOPSequence" tag="00081198" vr="SQ"/>
              <DicomAttribute keyword="ReferencedSOPSequence" tag="00081199" vr="SQ"><Item number="1">
                <DicomAttribute tag="00081155" vr="UI"><Value number="1">1.2.3</Value></DicomAttribute>
                <DicomAttribute tag="00081196" vr="US"><Value number="1">45056</Value></DicomAttribute></Item></DicomAttribute>
            </NativeDicomModel>"#;
        let reply = Reply::read(body).unwrap();
        assert_eq!(reply.referenced, [Item { sop_uid: "1.2.3".into(), reason: Some(0xb000) }]);
        assert_eq!(reply.failed, []);
    }

    #[test]
    fn what_is_cut_or_nested_without_end_is_no_answer() {
        for body in ["<a", "<NativeDicomModel>", "<NativeDicomModel><DicomAttribute>", "<!-- ", "plain"] {
            assert_eq!(read(body.as_bytes()), None, "{body}");
        }
        let deep = "<DicomAttribute tag=\"00081199\"><Item>".repeat(100_000);
        assert_eq!(read(format!("<NativeDicomModel>{deep}").as_bytes()), None);
    }
}
