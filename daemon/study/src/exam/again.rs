//! An exam is reported again after a review: its recording may be gone by then, so what the report says is made of the journal, which is kept
//! beside the results, and of the clips and key images, which stay the same objects in every version.

use std::path::Path;

use custody::store::results::{self, ResultRow};
use dicom::pixels::pictures::Pictures;
use live::record::journal::Story;
use models::lesion::followed::Followed;
use models::review::marks::MarkReview;
use report::ResultObject;
use report::settings::Device;
use report::ultrasound::{CLIP, ExamPicture, KEY};
use serde::{Deserialize, Serialize};

use super::develop::{self, Developed, Error, KeptPictures, Made};
use crate::lesions::visit::Visit;

/// Its name beside the results.
pub const FILE: &str = "exam.json";

/// How key images are called among results.
pub const KEYS: &str = KEY.name;

/// What is kept beside the results of an exam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// As it was written during the exam.
    pub journal: String,
    pub pictures: KeptPictures,
}

impl Kept {
    /// Of the exam whose report is this result.
    ///
    /// # Errors
    /// `Kept` when it cannot be read.
    pub fn of(spool: &Path, report: &ResultRow) -> Result<Self, Error> {
        let path = spool.join(&report.file).with_file_name(FILE);
        let unread = |why: &dyn std::fmt::Display| Error::Kept { path: path.clone(), why: why.to_string() };
        let text = std::fs::read_to_string(&path).map_err(|error| unread(&error))?;
        serde_json::from_str(&text).map_err(|error| unread(&error))
    }

    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// That the version that was reviewed is not here any more.
pub fn lost(spool: &Path) -> Error {
    let why = "the report that was reviewed is not here any more".to_owned();
    Error::Kept { path: spool.join("results"), why }
}

/// The clips and the key images among the objects of an exam.
pub fn images(rows: &[ResultRow]) -> impl Iterator<Item = &ResultRow> {
    rows.iter().filter(|row| row.kind == CLIP.name || row.kind == KEY.name)
}

/// Makes the segmentations, documents and reports of a reviewed version and passes each to `put`. `rows`: the objects of the version that was
/// reviewed. A repetition makes the same objects.
///
/// # Errors
/// When what was kept cannot be read, and what `put` fails with.
pub fn again<E: From<Error>>(
    spool: &Path,
    kept: &Kept,
    rows: &[ResultRow],
    review: &MarkReview,
    device: &Device,
    known: &dyn Fn(&Visit) -> Vec<Option<Followed>>,
    put: &mut dyn FnMut(&ResultObject) -> Result<(), E>,
) -> Result<Developed, E> {
    let nobody = || Error::Nobody(spool.to_owned());
    let story = Story::read(&kept.journal).ok_or_else(nobody)?;
    let of = |kind: &'static str| rows.iter().filter(move |row| row.kind == kind);
    let (clips, keys): (Vec<_>, Vec<_>) = (
        of(CLIP.name).map(|row| object(CLIP.name, row)).collect(),
        of(KEY.name).map(|row| object(KEY.name, row)).collect(),
    );
    let KeptPictures { sizes, of: lesions, shown } = kept.pictures.clone();
    if keys.len() != sizes.len() {
        let path = spool.join(rows.first().map_or("", |row| row.file.as_str()));
        let why = format!("{} key images are here, {} were made", keys.len(), sizes.len());
        return Err(Error::Kept { path, why }.into());
    }
    let files: Vec<&ResultRow> = of(KEY.name).collect();
    let picture = |(key, sector)| -> Option<ExamPicture> {
        let (row, size) = (files.get::<usize>(key)?, sizes.get(key)?);
        let bytes = results::whole(&spool.join(&row.file), &row.sha256).ok().flatten()?;
        let jpeg = Pictures::open(&bytes).ok()?.stored(0)?.to_vec();
        develop::grey(jpeg, *size, key, sector)
    };
    let shown = shown.into_iter().filter_map(picture).collect();
    let provenance = develop::provenance(device, &story, Some(&review.utc));
    let made = Made { clips, keys, sizes, of: lesions, shown };
    develop::tell(&story, &provenance, made, Some(review), known, put)
}

fn object(kind: &'static str, row: &ResultRow) -> ResultObject {
    ResultObject {
        kind,
        sop_class_uid: row.sop_class.clone(),
        sop_uid: row.sop_uid.clone(),
        series_uid: row.series_uid.clone(),
        study_uid: row.study_uid.clone(),
        part10: Vec::new(),
    }
}
