//! What an archive does, as read from its file in `hil-tests/archives`. A key that is not known is an error.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_encoding::TransferSyntaxIndex;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::TransferSyntaxRegistry;
use serde::Deserialize;

use crate::dimse::COMMITMENT;

/// By default it takes everything at once, as it came, and offers nothing else.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// What it is, for people.
    pub about: String,
    /// SOP classes that it refuses.
    pub refuses_classes: Vec<String>,
    /// Transfer syntaxes that it takes, the best first. None: whatever is proposed first.
    pub syntaxes: Vec<String>,
    /// It thinks so long before each answer.
    pub answer_after_ms: u64,
    /// It takes data sets at this speed.
    pub bytes_per_sec: Option<u32>,
    /// It is full when it has so many objects: 0xA700.
    pub full_after_objects: Option<usize>,
    /// It files everything under this patient ID, and answers 0xB000.
    pub coerced_patient_id: Option<String>,
    /// It stores in this transfer syntax, whatever comes.
    pub stores_as: Option<String>,
    /// It ends an association without a word after so many bytes of data sets.
    pub drops_after_bytes: Option<u64>,
    pub commitment: Option<Committing>,
}

/// Storage commitment.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Committing {
    pub reports: Reports,
    /// Days from the question to the report; of the archive's clock, which the test turns.
    #[serde(default)]
    pub after_days: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reports {
    /// It takes the question and says nothing more.
    Never,
    /// On an association that it opens.
    NewAssociation,
    /// On the association of the question, after the answer to it.
    SameAssociation,
    /// On the association of the question, before the answer to it.
    BeforeAnswer,
}

impl Archive {
    /// # Errors
    /// When the file cannot be read, or has a key or a word that is not known.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let archive: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        ensure!(!archive.about.is_empty(), "{}: about", path.display());
        Ok(archive)
    }

    /// The file of this name in `hil-tests/archives`.
    ///
    /// # Errors
    /// As [`Archive::read`].
    pub fn named(name: &str) -> Result<Self> {
        Self::read(&crate::tools::workspace().join("hil-tests/archives").join(format!("{name}.toml")))
    }

    pub(super) fn takes(&self, class: &str) -> bool {
        let offers = class != COMMITMENT || self.commitment.is_some();
        offers && !self.refuses_classes.iter().any(|refused| refused == class)
    }

    pub(super) fn syntax_of(&self, proposed: &[String]) -> Option<String> {
        match self.syntaxes.as_slice() {
            [] => proposed.first().cloned(),
            known => known.iter().find(|one| proposed.contains(one)).cloned(),
        }
    }

    pub(super) fn time_for(&self, bytes: usize) -> Duration {
        let line = self.bytes_per_sec.map_or(0.0, |rate| bytes as f64 / f64::from(rate.max(1)));
        Duration::from_millis(self.answer_after_ms) + Duration::from_secs_f64(line)
    }

    /// Transfer syntax and data set as they are stored.
    pub(super) fn stored(&self, syntax: &str, data: &[u8]) -> Result<(String, Vec<u8>)> {
        if self.stores_as.is_none() && self.coerced_patient_id.is_none() {
            return Ok((syntax.to_owned(), data.to_vec()));
        }
        let known = |uid: &str| TransferSyntaxRegistry.get(uid).with_context(|| format!("no transfer syntax {uid}"));
        let stores_as = self.stores_as.as_deref().unwrap_or(syntax);
        let mut object = InMemDicomObject::read_dataset_with_ts(data, known(syntax)?)?;
        if let Some(id) = &self.coerced_patient_id {
            object.put(DataElement::new(tags::PATIENT_ID, VR::LO, PrimitiveValue::from(id.as_str())));
        }
        let mut out = Vec::new();
        object.write_dataset_with_ts(&mut out, known(stores_as)?)?;
        Ok((stores_as.to_owned(), out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_archive_s_file_is_read_and_a_key_that_is_not_known_is_refused() {
        let folder = crate::tools::workspace().join("hil-tests/archives");
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        for file in &files {
            Archive::read(file).unwrap();
        }
        assert!(files.len() >= 7, "{files:?}");
        let error = toml::from_str::<Archive>("about = \"x\"\nfull_after = 3").unwrap_err();
        assert!(error.to_string().contains("full_after"), "{error}");
    }
}
