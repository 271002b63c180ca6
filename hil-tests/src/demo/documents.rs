//! Extracts PDF files from Encapsulated PDF objects.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dicom_dictionary_std::{tags, uids};

use crate::pacs::Received;

/// Writes the document of each encapsulated PDF as `report-N.pdf`.
///
/// # Errors
/// When an object contains no PDF, or a file cannot be written.
pub fn write(received: &[Received], folder: &Path) -> Result<Vec<PathBuf>> {
    let documents = received.iter().filter(|object| object.sop_class_uid == uids::ENCAPSULATED_PDF_STORAGE);
    documents.enumerate().map(|(n, object)| extract(&object.path, n + 1, folder)).collect()
}

fn extract(object: &Path, number: usize, folder: &Path) -> Result<PathBuf> {
    let dicom = dicom_object::open_file(object).with_context(|| object.display().to_string())?;
    let length = dicom.element(tags::ENCAPSULATED_DOCUMENT_LENGTH)?.to_int::<usize>()?;
    let bytes = dicom.element(tags::ENCAPSULATED_DOCUMENT)?.to_bytes()?;
    ensure!(bytes.len() >= length && bytes.starts_with(b"%PDF-"), "{}: no PDF inside", object.display());
    let path = folder.join(format!("report-{number}.pdf"));
    std::fs::write(&path, &bytes[..length]).with_context(|| path.display().to_string())?;
    Ok(path)
}
