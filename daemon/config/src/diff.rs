//! What two configurations do differently, key by key.

use std::collections::BTreeMap;

use serde::Serialize;
use toml::Value;

use crate::Settings;
use crate::value::inline;

/// One key. `None`: it is not there, which has its own meaning for keys without a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differs {
    pub key: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// In the order of keys.
pub fn between(old: &Settings, new: &Settings) -> Vec<Differs> {
    let (old, new) = (leaves(&table(old)), leaves(&table(new)));
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let differs = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    let shown = |key: &str, value: Option<&Value>| value.map(|value| shown(key, value));
    differs
        .map(|key| Differs { key: key.clone(), old: shown(key, old.get(key)), new: shown(key, new.get(key)) })
        .collect()
}

fn shown(key: &str, value: &Value) -> String {
    if is_secret(key) { "(secret)".into() } else { inline(value) }
}

/// Settings name files that hold a secret, but for the hashes of passcodes. A key that would be one is never shown.
pub fn is_secret(key: &str) -> bool {
    if key == "dicom.user" {
        return true;
    }
    let word = key.rsplit('.').next().unwrap_or_default();
    !word.ends_with("_file") && ["password", "passphrase", "secret", "token"].iter().any(|one| word.contains(one))
}

/// Settings as TOML; the settings of every part have that form.
pub fn table(settings: &Settings) -> toml::Table {
    toml::Table::try_from(settings).unwrap_or_default()
}

/// Dotted keys with their values. Lists are values.
pub fn leaves(table: &toml::Table) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                found.extend(leaves(inner).into_iter().map(|(below, value)| (format!("{key}.{below}"), value)))
            }
            value => drop(found.insert(key.clone(), value.clone())),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let (old, mut new) = (Settings::default(), Settings::default());
        assert_eq!(between(&old, &new), []);
        new.dicom.max_pdu = 4096;
        new.console.token_file = Some("/etc/token".into());
        let told = between(&old, &new);
        let key = |key: &str, old: Option<&str>, new: &str| Differs {
            key: key.into(),
            old: old.map(str::to_owned),
            new: Some(new.into()),
        };
        assert_eq!(
            told,
            [key("console.token_file", None, "\"/etc/token\""), key("dicom.max_pdu", Some("131072"), "4096")]
        );
    }

    #[test]
    fn only_the_users_hold_a_secret_and_what_is_one_is_not_shown() {
        let all = leaves(&table(&Settings::default()));
        assert_eq!(all.keys().filter(|key| is_secret(key)).collect::<Vec<_>>(), ["dicom.user"]);
        assert_eq!(shown("dicom.user", &Value::from("pbkdf2-sha256:...")), "(secret)");
        assert_eq!(shown("x.api_token", &Value::from("hunter2")), "(secret)");
        assert_eq!(shown("console.token_file", &Value::from("/f")), "\"/f\"");
    }
}
