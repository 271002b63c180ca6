//! Pages for viewers that show neither segmentations nor structured reports.

use models::{Findings, Volume};

use super::{Provenance, Source};

/// One drawn page, 8-bit RGB, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyImage {
    pub title: String,
    pub rgb: Vec<u8>,
    pub width: usize,
    pub height: usize,
    /// Slice index in the volume that it shows, when it shows one.
    pub slice: Option<usize>,
    /// Number of the nodule that it shows, when it shows one.
    pub nodule: Option<usize>,
}

/// An overview, then one page for each nodule.
pub fn key_images(findings: &Findings, volume: &Volume, provenance: &Provenance) -> Vec<KeyImage> {
    let _ = (findings, volume, provenance);
    vec![KeyImage { title: "Overview".into(), rgb: vec![0; 300], width: 10, height: 10, slice: None, nodule: None }]
}

/// Says in plain words why a series was not processed.
pub fn refusal_page(reason: &str, source: &Source, provenance: &Provenance) -> KeyImage {
    let _ = (reason, source, provenance);
    KeyImage {
        title: "Series not processed".into(),
        rgb: vec![0; 300],
        width: 10,
        height: 10,
        slice: None,
        nodule: None,
    }
}
