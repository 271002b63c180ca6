//! One TOML file -> its leaves, each with the line it was written on. Unknown keys and wrong types are found here.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::{Problem, Settings, nearest};

/// One key that a file sets. Lists are leaves (replaced whole), tables are not, unless empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    pub path: Vec<String>,
    pub value: toml::Value,
    pub file: PathBuf,
    pub line: usize,
}

impl Leaf {
    pub fn problem(&self, reason: String) -> Problem {
        Problem { file: Some(self.file.clone()), line: Some(self.line), key: Some(self.path.join(".")), reason }
    }
}

/// # Errors
/// Every unknown key and every value of the wrong type; or the first syntax error.
pub fn parse(file: &Path, text: &str) -> Result<Vec<Leaf>, Vec<Problem>> {
    let syntax = |error: toml::de::Error| {
        let line = error.span().map(|span| line_of(text, span.start));
        vec![Problem { file: Some(file.to_owned()), line, key: None, reason: error.message().to_owned() }]
    };
    let values: toml::Table = toml::from_str(text).map_err(syntax)?;
    let spans = DeTable::parse(text).map_err(syntax)?;
    let mut reader = Reader { file, text, leaves: Vec::new(), problems: Vec::new() };
    reader.walk(&mut Vec::new(), spans.get_ref(), &values);
    if reader.problems.is_empty() {
        Ok(reader.leaves)
    } else {
        reader.problems.sort_by_key(|problem| problem.line);
        Err(reader.problems)
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    leaves: Vec<Leaf>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// As deep as TOML's own parser allows, which limits nesting.
    fn walk(&mut self, path: &mut Vec<String>, spans: &DeTable<'_>, values: &toml::Table) {
        for (key, span) in spans {
            let Some(value) = values.get(key.get_ref().as_ref()) else { continue };
            path.push(key.get_ref().to_string());
            match (span.get_ref(), value) {
                (DeValue::Table(inner), toml::Value::Table(table)) if !table.is_empty() => {
                    self.walk(path, inner, table);
                }
                (span, value) => {
                    let line = line_of(self.text, key.span().start);
                    let leaf = Leaf { path: path.clone(), value: value.clone(), file: self.file.to_owned(), line };
                    match self.check(&leaf, span) {
                        None => self.leaves.push(leaf),
                        Some(problem) => self.problems.push(problem),
                    }
                }
            }
            path.pop();
        }
    }

    /// Does the leaf, alone, fit [`Settings`]? In a list the element to blame is named by its own line.
    fn check(&self, leaf: &Leaf, span: &DeValue<'_>) -> Option<Problem> {
        let reason = fits(&leaf.path, &leaf.value)?;
        let (toml::Value::Array(values), DeValue::Array(spans)) = (&leaf.value, span) else {
            return Some(leaf.problem(reason));
        };
        for (value, span) in values.iter().zip(spans.iter()) {
            if let Some(reason) = fits(&leaf.path, &toml::Value::Array(vec![value.clone()])) {
                let line = line_of(self.text, span.span().start);
                return Some(Problem { line: Some(line), ..leaf.problem(reason) });
            }
        }
        Some(leaf.problem(reason))
    }
}

/// None when it does; otherwise why not, with the nearest key where there is no such key.
pub fn fits(path: &[String], value: &toml::Value) -> Option<String> {
    let reason = refused(path, value)?;
    let meant = if reason.starts_with("unknown key") { nearest::of_key(path, refused) } else { None };
    Some(meant.map_or_else(|| reason.clone(), |meant| format!("{reason}; {meant}")))
}

/// As the settings say it.
pub fn refused(path: &[String], value: &toml::Value) -> Option<String> {
    let mut table = toml::Table::new();
    if let [first, name, ..] = path
        && first == "destination"
    {
        // A fragment may set any part of a destination; what is missing in the end is found after merging.
        let required = ["address", "ae_title"].map(|key| (key.to_owned(), toml::Value::from("")));
        let destination = toml::Value::Table(required.into_iter().collect());
        table.insert(first.clone(), toml::Value::Table([(name.clone(), destination)].into_iter().collect()));
    }
    insert(&mut table, path, value.clone());
    let error = table.try_into::<Settings>().err()?;
    Some(error.message().replace("unknown field", "unknown key").replace("missing field", "missing key"))
}

/// Puts a value at a dotted path, making tables on the way. A non-table in the way is replaced.
pub fn insert(table: &mut toml::Table, path: &[String], value: toml::Value) {
    let Some((key, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        if let (Some(toml::Value::Table(_)), toml::Value::Table(empty)) = (table.get(key), &value)
            && empty.is_empty()
        {
            return;
        }
        table.insert(key.clone(), value);
        return;
    }
    let inner = table.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if !inner.is_table() {
        *inner = toml::Value::Table(toml::Table::new());
    }
    if let toml::Value::Table(inner) = inner {
        insert(inner, rest, value);
    }
}
