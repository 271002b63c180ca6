//! Changes one key in the text of one file. Every other byte stays: comments, blank lines, order, line ends. What cannot be
//! changed in this way (a key in an inline table, a list written as `[[...]]`) is refused, never guessed.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Why a text is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    NoToml(String),
    #[error("stands inside {{ }}: change it with an editor")]
    Inline,
    #[error("is written as [[{0}]]: change it with an editor")]
    Blocks(String),
    #[error("is not set in this file")]
    NotSet,
    #[error("cannot be changed in this place: change it with an editor")]
    Unclear,
}

/// Where a key and its value are written, bytes of the text.
#[derive(Debug, Clone)]
struct Place {
    key: Range<usize>,
    value: Range<usize>,
    /// A table that is not written as `{ }`.
    is_table: bool,
}

/// `text` with `path` set to `value`, a TOML value on one line.
///
/// # Errors
/// When that needs a person; the text is unchanged then.
pub fn set(text: &str, path: &[String], value: &str) -> Result<String, Fault> {
    let root = DeTable::parse(text).map_err(|error| Fault::NoToml(error.message().to_owned()))?;
    let new = match find(text, root.get_ref(), path) {
        Some(place) if in_header(text, &place) => return Err(Fault::Blocks(path.join("."))),
        Some(place) if place.is_table => return Err(Fault::Unclear),
        Some(place) => splice(text, place.value, value),
        None => add(text, root.get_ref(), path, value)?,
    };
    let mut wanted: toml::Table = parse(text)?;
    let value: toml::Table = parse(&format!("x = {value}"))?;
    crate::fragment::insert(&mut wanted, path, value.get("x").cloned().ok_or(Fault::Unclear)?);
    // By their words, because a NaN is not equal to itself; that it is no good value is not judged here.
    if parse(&new)?.to_string() == wanted.to_string() { Ok(new) } else { Err(Fault::Unclear) }
}

/// `text` without `path`, which may be a whole table, and without the header that it leaves empty.
///
/// # Errors
/// When it is not set there, or that needs a person.
pub fn unset(text: &str, path: &[String]) -> Result<String, Fault> {
    let root = DeTable::parse(text).map_err(|error| Fault::NoToml(error.message().to_owned()))?;
    let place = find(text, root.get_ref(), path).ok_or(Fault::NotSet)?;
    if place.is_table {
        return unset_table(text, path);
    }
    if in_header(text, &place) {
        return Err(Fault::Blocks(path.join(".")));
    }
    let line = line_at(text, place.key.start);
    let before = &text[line.start..place.key.start];
    let end = line_at(text, place.value.end.saturating_sub(1)).end;
    let after = text[place.value.end..end].trim();
    if before.contains(['{', '=']) || !(after.is_empty() || after.starts_with('#')) {
        return Err(Fault::Inline);
    }
    let new = splice(text, line.start..end, "");
    let table = &path[..path.len().saturating_sub(1)];
    let new = without_empty_header(&new, table);
    parse(&new)?;
    Ok(new)
}

/// All that a table holds, one key after the other, and its header: comments of people stay.
fn unset_table(text: &str, path: &[String]) -> Result<String, Fault> {
    let mut wanted = parse(text)?;
    without(&mut wanted, path);
    let mut new = text.to_owned();
    loop {
        let root = DeTable::parse(&new).map_err(|error| Fault::NoToml(error.message().to_owned()))?;
        let Some(table) = table_at(root.get_ref(), path) else { break };
        if let Some((key, _)) = table.iter().next() {
            let inner: Vec<String> = path.iter().cloned().chain([key.get_ref().to_string()]).collect();
            new = unset(&new, &inner)?;
            continue;
        }
        let line = header(&new, root.get_ref(), path).ok_or(Fault::Unclear)?;
        let tidy = without_empty_header(&new, path);
        new = if tidy == new { splice(&new, line, "") } else { tidy };
    }
    let new = without_empty_header(&new, &path[..path.len().saturating_sub(1)]);
    let mut is = parse(&new)?;
    without(&mut is, path);
    if is.to_string() == wanted.to_string() { Ok(new) } else { Err(Fault::Unclear) }
}

/// Removes a key, and the tables around it that it leaves empty.
fn without(table: &mut toml::Table, path: &[String]) {
    let Some((first, rest)) = path.split_first() else { return };
    match table.get_mut(first) {
        Some(toml::Value::Table(inner)) if !rest.is_empty() => {
            without(inner, rest);
            if inner.is_empty() {
                table.remove(first);
            }
        }
        _ if rest.is_empty() => drop(table.remove(first)),
        _ => {}
    }
}

fn parse(text: &str) -> Result<toml::Table, Fault> {
    toml::from_str(text).map_err(|error: toml::de::Error| Fault::NoToml(error.message().to_owned()))
}

fn splice(text: &str, range: Range<usize>, with: &str) -> String {
    format!("{}{with}{}", &text[..range.start], &text[range.end..])
}

fn find(text: &str, table: &DeTable<'_>, path: &[String]) -> Option<Place> {
    let (first, rest) = path.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == first.as_str())?;
    let (key, span) = (key.span(), value.span());
    match (value.get_ref(), rest.is_empty()) {
        (DeValue::Table(inner), false) => find(text, inner, rest),
        (_, false) => None,
        (DeValue::Table(_), true) => {
            let is_table = !text[span.clone()].starts_with('{');
            Some(Place { key, value: span, is_table })
        }
        (_, true) => Some(Place { key, value: span, is_table: false }),
    }
}

fn table_at<'a, 'i>(table: &'a DeTable<'i>, path: &[String]) -> Option<&'a DeTable<'i>> {
    let Some((first, rest)) = path.split_first() else { return Some(table) };
    let (_, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == first.as_str())?;
    match value.get_ref() {
        DeValue::Table(inner) => table_at(inner, rest),
        _ => None,
    }
}

/// The line with its end.
fn line_at(text: &str, offset: usize) -> Range<usize> {
    let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = text[offset..].find('\n').map_or(text.len(), |at| offset + at + 1);
    start..end
}

fn in_header(text: &str, place: &Place) -> bool {
    !place.is_table && text[line_at(text, place.key.start).start..place.key.start].trim_start().starts_with('[')
}

/// The line `[path]`, when the table has one of its own.
fn header(text: &str, root: &DeTable<'_>, path: &[String]) -> Option<Range<usize>> {
    let place = find(text, root, path)?;
    let line = line_at(text, place.key.start);
    let words = text[line.clone()].trim_start();
    let own: toml::Table = toml::from_str(words).ok()?;
    let mut inside = &own;
    for key in path {
        inside = inside.get(key)?.as_table()?;
    }
    (words.starts_with('[') && !words.starts_with("[[") && inside.is_empty()).then_some(line)
}

/// A new key: below the header of its table, beside its dotted siblings, or in a table at the end.
fn add(text: &str, root: &DeTable<'_>, path: &[String], value: &str) -> Result<String, Fault> {
    let (key, tables) = path.split_last().ok_or(Fault::Unclear)?;
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let entry = format!("{} = {value}{end}", written(key));
    if find(text, root, tables).is_some_and(|place| text[place.value].starts_with('{')) {
        return Err(Fault::Inline);
    }
    let leaf = |(key, value): (_, &toml::Spanned<DeValue<'_>>)| {
        let key: &toml::Spanned<_> = key;
        let _: &toml::de::DeString<'_> = key.get_ref();
        let start = line_at(text, key.span().start).start;
        let before = &text[start..key.span().start];
        let plain = !before.trim_start().starts_with('[') && !before.contains(['{', '=']);
        let is_dotted = matches!(value.get_ref(), DeValue::Table(_)) && !text[value.span()].starts_with('{');
        (plain && !is_dotted).then(|| (line_at(text, value.span().end.saturating_sub(1)).end, before.to_owned()))
    };
    let last = table_at(root, tables).and_then(|table| table.iter().filter_map(leaf).max());
    let (at, before) = match (last, header(text, root, tables)) {
        (Some(found), _) => found,
        (None, Some(line)) => (line.end, String::new()),
        (None, None) => {
            let gap = match text {
                "" => String::new(),
                _ if text.ends_with('\n') => end.to_owned(),
                _ => end.repeat(2),
            };
            let name: Vec<String> = tables.iter().map(|key| written(key)).collect();
            return Ok(format!("{text}{gap}[{}]{end}{entry}", name.join(".")));
        }
    };
    // The line before may be the last one of a file that ends without a line end.
    let gap = if at == 0 || text[..at].ends_with('\n') { "" } else { end };
    Ok(splice(text, at..at, &format!("{gap}{before}{entry}")))
}

/// A key as TOML writes it.
fn written(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if bare { key.to_owned() } else { toml::Value::from(key).to_string() }
}

/// A header that a person has written something below or beside stays.
fn without_empty_header(text: &str, path: &[String]) -> String {
    let gone = || {
        let root = DeTable::parse(text).ok()?;
        if !table_at(root.get_ref(), path)?.is_empty() {
            return None;
        }
        let line = header(text, root.get_ref(), path)?;
        let rest = &text[line.end..];
        let below = rest.lines().find(|line| !line.trim().is_empty());
        let bare = text[line.clone()].trim_end().ends_with(']') && below.is_none_or(|line| line.starts_with('['));
        let before = text[..line.start].trim_end_matches(['\n', '\r']).len();
        let blank = &text[before..line.start];
        let one = if blank.ends_with("\r\n") { 2 } else { 1 };
        let start = if blank.len() > one { line.start - one } else { line.start };
        bare.then(|| splice(text, start..line.end, ""))
    };
    gone().unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(key: &str) -> Vec<String> {
        key.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn a_value_is_changed_where_it_stands_and_nothing_else_is() {
        let text = "# our CT\n[dicom]   # the node\r\nlisten = \"0.0.0.0:104\"  # room 3\nmax_pdu = 65536\n";
        let new = set(text, &path("dicom.listen"), "\"0.0.0.0:11112\"").unwrap();
        assert_eq!(new, text.replace("0.0.0.0:104", "0.0.0.0:11112"));
    }

    #[test]
    fn a_new_key_joins_its_table_its_dotted_siblings_or_comes_last() {
        let header = "[dicom]\n# only this\n[spool]\nkeep_days = 3 # d\n";
        assert_eq!(
            set(header, &path("dicom.max_pdu"), "65536").unwrap(),
            "[dicom]\nmax_pdu = 65536\n# only this\n[spool]\nkeep_days = 3 # d\n"
        );
        assert_eq!(
            set(header, &path("spool.segment_mib"), "8").unwrap(),
            format!("{header}segment_mib = 8\n"),
            "after the last key"
        );
        let dotted = "dicom.listen = \"0.0.0.0:104\"\n# end\n";
        assert_eq!(
            set(dotted, &path("dicom.max_pdu"), "65536").unwrap(),
            "dicom.listen = \"0.0.0.0:104\"\ndicom.max_pdu = 65536\n# end\n"
        );
        assert_eq!(set("# ours\n", &path("spool.keep_days"), "3").unwrap(), "# ours\n\n[spool]\nkeep_days = 3\n");
        let blocks = "[[dicom.sender]]\nae_title = \"CT1\"\n";
        assert_eq!(
            set(blocks, &path("dicom.max_pdu"), "65536").unwrap(),
            format!("{blocks}\n[dicom]\nmax_pdu = 65536\n")
        );
    }

    #[test]
    fn what_needs_a_person_is_refused() {
        let inline = "dicom = { max_pdu = 65536 }\n";
        assert_eq!(set(inline, &path("dicom.max_pdu"), "4096").unwrap(), "dicom = { max_pdu = 4096 }\n");
        assert_eq!(set(inline, &path("dicom.idle_secs"), "3"), Err(Fault::Inline));
        assert_eq!(unset(inline, &path("dicom.max_pdu")), Err(Fault::Inline));
        let blocks = "[[dicom.sender]]\nae_title = \"CT1\"\n";
        assert_eq!(set(blocks, &path("dicom.sender"), "[]"), Err(Fault::Blocks("dicom.sender".into())));
        assert_eq!(unset(blocks, &path("dicom.sender")), Err(Fault::Blocks("dicom.sender".into())));
        assert_eq!(unset(blocks, &path("dicom.max_pdu")), Err(Fault::NotSet));
        assert!(matches!(set("a = [\n", &path("dicom.max_pdu"), "1"), Err(Fault::NoToml(_))));
    }

    #[test]
    fn a_whole_table_is_unset_in_each_form_and_what_stands_around_it_stays() {
        let around = "# ours\n[dicom]\nmax_pdu = 65536\n";
        let after = "[spool]\nkeep_days = 3\n";
        for table in [
            "\n[destination.pacs]\naddress = \"a:1\" # the archive\nae_title = \"PACS\"\n",
            "\n[destination.pacs]\naddress = \"a:1\"\n\n[destination.pacs.tls]\nca = \"x\"\n",
            "\n[destination]\npacs.address = \"a:1\"\npacs.ae_title = \"PACS\"\n",
            "\n[destination]\npacs = { address = \"a:1\" }\n",
        ] {
            let new = unset(&format!("{around}{table}{after}"), &path("destination.pacs")).unwrap();
            assert_eq!(new, format!("{around}{after}"), "{table}");
        }
        let remark = "[destination.pacs]\n# of the clinic\naddress = \"a:1\"\n";
        assert_eq!(unset(remark, &path("destination.pacs")).unwrap(), "# of the clinic\n");
        let two = "[destination.b]\naddress = \"b:1\"\n[destination.pacs]\naddress = \"a:1\"\n";
        assert_eq!(unset(two, &path("destination.pacs")).unwrap(), "[destination.b]\naddress = \"b:1\"\n");
        let blocks = "[[dicom.sender]]\nae_title = \"CT1\"\n";
        assert_eq!(unset(blocks, &path("dicom")), Err(Fault::Blocks("dicom.sender".into())));
    }

    #[test]
    fn a_header_with_a_remark_stays() {
        for text in ["[spool] # disk\nkeep_days = 3\n", "[spool]\nkeep_days = 3\n# not more\n"] {
            assert!(unset(text, &path("spool.keep_days")).unwrap().starts_with("[spool]"), "{text}");
        }
    }

    /// Files as people write them, with keys of each form, comments, blank lines and both line ends.
    fn file() -> impl Strategy<Value = String> {
        let comment = prop_oneof![Just(String::new()), "# [a-z\\[\\]{}=\"' \u{4e2d}]{0,12}".prop_map(|text| text)];
        let value = prop_oneof![
            "[0-9]{1,4}".prop_filter("no leading zero", |text| !text.starts_with('0') || text == "0"),
            "\"[a-z#\\[= ]{0,6}\"",
            Just("[\n  1, # one\n  2,\n]".to_owned()),
            Just("'''\n[spool]\nx = 1\n'''".to_owned()),
            Just("{ x = 1 }".to_owned())
        ];
        let entries = prop::collection::btree_map("[a-f]", (value, comment.clone()), 1..4);
        let dotted = any::<bool>();
        let tables = prop::collection::btree_map("t[a-d]", (entries, comment, dotted), 0..4);
        (tables, any::<bool>(), prop_oneof![Just(""), Just("# ours\n"), Just("# ours\n\n\n")]).prop_map(
            |(tables, crlf, last)| {
                let mut text = String::new();
                for (name, (entries, comment, dotted)) in tables.iter().filter(|(_, (.., dotted))| *dotted) {
                    assert!(*dotted);
                    for (key, (value, remark)) in entries {
                        text += &format!("{comment}\n{name}.{key} = {value} {remark}\n");
                    }
                }
                for (name, (entries, comment, _)) in tables.iter().filter(|(_, (.., dotted))| !*dotted) {
                    text += &format!("{comment}\n[{name}]\n");
                    for (key, (value, remark)) in entries {
                        text += &format!("{key} = {value} {remark}\n");
                    }
                }
                text += last;
                if crlf { text.replace('\n', "\r\n") } else { text }
            },
        )
    }

    proptest! {
        #[test]
        fn set_and_unset_give_back_the_same_bytes(text in file(), table in "t[a-g]", key in "[a-i]", value in "[1-9]{1,3}") {
            let path = vec![table, key];
            let old: toml::Table = toml::from_str(&text).unwrap();
            let was = old.get(&path[0]).and_then(|table| table.get(&path[1])).cloned();
            let new = set(&text, &path, &value).unwrap();
            let written = find(&text, DeTable::parse(&text).unwrap().get_ref(), &path).map(|place| place.value);
            match (was, written) {
                (Some(_), Some(written)) => {
                    let again: toml::Table = toml::from_str(&new).unwrap();
                    prop_assert_eq!(again[&path[0]][&path[1]].to_string(), value);
                    prop_assert_eq!(set(&new, &path, &text[written]).unwrap(), text);
                }
                _ => prop_assert_eq!(unset(&new, &path).unwrap(), text),
            }
        }
    }
}
