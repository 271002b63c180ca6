//! The files of a configuration as they are on the disk, and what they mean together.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Problem, SEARCH, Settings, fragment, merge};

/// One file. Bytes, because what is kept must come back as it was, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub file: PathBuf,
    pub content: Content,
}

/// Text where it is text, so that people can read what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    Text(String),
    Bytes(Vec<u8>),
}

impl Content {
    pub fn new(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Text)
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Source {
    /// # Errors
    /// When it cannot be read.
    pub fn read(file: &Path) -> Result<Self, Problem> {
        let bytes = std::fs::read(file).map_err(|error| Problem::of_file(file, error.to_string()))?;
        Ok(Self { file: file.to_owned(), content: Content::new(bytes) })
    }

    /// # Errors
    /// When it is no text.
    pub fn text(&self) -> Result<&str, Problem> {
        match &self.content {
            Content::Text(text) => Ok(text),
            Content::Bytes(_) => Err(Problem::of_file(&self.file, "is not UTF-8 text: save it as UTF-8".into())),
        }
    }
}

/// The files that [`crate::load`] reads for `paths`, in its order.
///
/// # Errors
/// When a path that was given cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let found = if paths.is_empty() {
        merge::files(&SEARCH.map(PathBuf::from), merge::Absent::Fine)
    } else {
        merge::files(paths, merge::Absent::Wrong)
    };
    found.map_err(Error::from)
}

/// What can be read of them, and what is wrong with the rest.
///
/// # Errors
/// As [`files`].
pub fn read(paths: &[PathBuf]) -> Result<(Vec<Source>, Vec<Problem>), Error> {
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    for file in files(paths)? {
        match Source::read(&file) {
            Ok(source) => sources.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    Ok((sources, problems))
}

/// What the files mean together: the one judge of a configuration, whoever asks.
///
/// # Errors
/// Every problem: those that are known already, and those of the texts; of values only when every text can be read. A
/// certificate, key or token that cannot be used counts, too.
pub fn judge(sources: &[Source], known: Vec<Problem>) -> Result<Settings, Error> {
    match judge_texts(sources, known)? {
        (settings, of_files) if of_files.is_empty() => Ok(settings),
        (_, problems) => Err(Error { problems }),
    }
}

/// As [`judge`], for a start: it must not fail because one of many peers has a file that cannot be used, so these problems
/// stand beside the settings.
///
/// # Errors
/// As [`judge`], but for those files.
pub fn judge_texts(sources: &[Source], known: Vec<Problem>) -> Result<(Settings, Vec<Problem>), Error> {
    let (mut fragments, mut problems) = (Vec::new(), known);
    for source in sources {
        match source.text().map_err(|problem| vec![problem]).and_then(|text| fragment::parse(&source.file, text)) {
            Ok(leaves) => fragments.push(leaves),
            Err(mut found) => problems.append(&mut found),
        }
    }
    if !problems.is_empty() {
        return Err(Error { problems });
    }
    merge::settings(fragments).map_err(|problems| Error { problems })
}
