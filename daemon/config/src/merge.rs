//! Which files, in which order, and what they say together.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::fragment::{Leaf, insert};
use crate::{Problem, Settings};

/// What an absent path means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    Fine,
    Wrong,
}

/// Files as they are, directories as their `*.toml` in name order.
///
/// # Errors
/// When a path cannot be read, or is absent and must not be.
pub fn files(paths: &[PathBuf], absent: Absent) -> Result<Vec<PathBuf>, Problem> {
    let mut files = Vec::new();
    for path in paths {
        match list(path) {
            Ok(mut found) => files.append(&mut found),
            Err(error) if error.kind() == io::ErrorKind::NotFound && absent == Absent::Fine => {}
            Err(error) => {
                return Err(Problem { file: Some(path.clone()), line: None, key: None, reason: error.to_string() });
            }
        }
    }
    Ok(files)
}

fn list(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Later fragments win, key by key. Beside the settings: every key that names a file which cannot be used now.
///
/// # Errors
/// Every key that is missing or whose value is out of range, with the file and line that set it; then those of files, too.
pub fn settings(fragments: Vec<Vec<Leaf>>) -> Result<(Settings, Vec<Problem>), Vec<Problem>> {
    let mut winners: BTreeMap<String, Leaf> = BTreeMap::new();
    let mut table = toml::Table::new();
    for leaf in fragments.into_iter().flatten() {
        insert(&mut table, &leaf.path, leaf.value.clone());
        winners.insert(leaf.path.join("."), leaf);
    }
    let settings = match table.try_into::<Settings>() {
        Ok(mut settings) => {
            settings.inherit();
            settings
        }
        Err(error) => {
            let reason = error.message().to_owned();
            return Err(vec![Problem { file: None, line: None, key: None, reason }]);
        }
    };
    let problem = |(key, reason): (String, String)| match blame(&winners, &key) {
        Some(leaf) => Problem { key: Some(key), ..leaf.problem(reason) },
        None => Problem { file: None, line: None, key: Some(key), reason },
    };
    let [wrong, of_files] = settings.check().map(|found| found.into_iter().map(problem).collect::<Vec<_>>());
    if wrong.is_empty() { Ok((settings, of_files)) } else { Err([wrong, of_files].concat()) }
}

/// The leaf that set the key, or one below or above it; of a destination that lacks a key, one of its others.
fn blame<'a>(winners: &'a BTreeMap<String, Leaf>, key: &str) -> Option<&'a Leaf> {
    let related = |other: &str| other.starts_with(&format!("{key}.")) || key.starts_with(&format!("{other}."));
    let beside = |leaf: &&Leaf| match &leaf.path[..] {
        [first, name, ..] => first == "destination" && key.starts_with(&format!("{first}.{name}.")),
        _ => false,
    };
    winners
        .get(key)
        .or_else(|| winners.values().find(|leaf| related(&leaf.path.join("."))))
        .or_else(|| winners.values().find(beside))
}
