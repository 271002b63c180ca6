//! A value as a person types it, and as TOML writes it.

use toml::Value;

use crate::fragment;

/// The typed text as the value that fits the key: as TOML, else as a text, else as a list of one.
///
/// # Errors
/// Why it does not fit, or that there is no such key.
pub fn value(path: &[String], typed: &str) -> Result<Value, String> {
    let parsed: Option<toml::Table> = toml::from_str(&format!("x = {typed}")).ok();
    let parsed = parsed.filter(|table| table.len() == 1).and_then(|mut table| table.remove("x"));
    let text = Value::from(typed);
    let list = |value: &Value| Value::Array(vec![value.clone()]);
    let first = parsed.clone().unwrap_or_else(|| text.clone());
    let tried = [parsed.clone(), Some(text.clone()), parsed.as_ref().map(list), Some(list(&text))];
    match tried.into_iter().flatten().find(|value| fragment::fits(path, value).is_none()) {
        Some(value) => Ok(value),
        None => Err(fragment::fits(path, &first).unwrap_or_default()),
    }
}

/// On one line.
pub fn inline(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let entries: Vec<String> = table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        // Never over several lines, whatever it holds.
        Value::String(text) => quoted(text),
        value => value.to_string(),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// An entry of a list of tables.
pub fn block(key: &str, entry: &toml::Table) -> String {
    let lines = entry.iter().map(|(key, value)| format!("{key} = {}\n", inline(value)));
    format!("[[{key}]]\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(key: &str, typed: &str) -> Result<String, String> {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        value(&path, typed).map(|value| inline(&value))
    }

    #[test]
    fn people_need_no_quotes_and_a_list_of_one_no_brackets() {
        assert_eq!(of("dicom.max_pdu", "65536").unwrap(), "65536");
        assert_eq!(of("device.serial_number", "65536").unwrap(), "\"65536\"", "a text that looks like a number");
        assert_eq!(of("dicom.listen", "0.0.0.0:104").unwrap(), "\"0.0.0.0:104\"");
        assert_eq!(of("dicom.listen", "\"0.0.0.0:104\"").unwrap(), "\"0.0.0.0:104\"");
        assert_eq!(of("dicom.ae_titles", "CT BOX").unwrap(), "[\"CT BOX\"]");
        assert_eq!(of("destination.pacs.address", "p:104").unwrap(), "\"p:104\"");
    }

    #[test]
    fn a_wrong_value_says_what_is_allowed_and_a_wrong_key_the_nearest() {
        let said = of("dicom.plain", "some").unwrap_err();
        assert!(said.contains("`all` or `named`"), "{said}");
        let said = of("dicm.maxpdu", "1").unwrap_err();
        assert!(said.ends_with("is `dicom.max_pdu` meant?"), "{said}");
    }

    proptest! {
        #[test]
        fn any_text_is_written_on_one_line_and_read_again(text in "[\\x00-\\x1f\\x7f\"\\\\a中#\\[=]{0,20}") {
            let written = inline(&Value::from(text.as_str()));
            prop_assert_eq!(written.lines().count(), 1);
            let read: toml::Table = toml::from_str(&format!("x = {written}")).unwrap();
            prop_assert_eq!(read["x"].as_str(), Some(text.as_str()));
        }
    }
}
