//! Makes DICOM objects from findings: a structured report (TID 1500), a segmentation, pages as secondary captures for
//! viewers without SR support, and the pages as a PDF document.
//!
//! Identity is copied from the source series byte by byte. UIDs are derived from the inputs, so a retry makes the same
//! objects again. This file connects the parts; each object has its own file.

#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

pub mod codes;
pub mod pages;
pub mod provenance;
pub mod quality;
pub mod refused;
pub mod rejection;
pub mod settings;
pub mod uid;
pub mod stills;
pub mod teaching;
pub mod ultrasound;
pub mod views;
pub mod words;

mod asked;
mod breast;
mod canvas;
mod content;
mod contour;
mod dataset;
mod encapsulated;
mod entry;
mod evidence;
mod groups;
mod identity;
pub mod judged;
mod impression;
mod letters;
mod mammography;
mod measure;
mod object;
mod pdf;
mod picture;
mod regions;
mod secondary;
mod seg;
mod site;
mod sr;

pub use pages::{KeyImage, key_images, refusal_page};
pub use pdf::{Error as PdfError, protocol};
pub use provenance::{ModelIdentity, NOT_FOR_DIAGNOSIS, Provenance};
pub use refused::Refused;

use dicom::header::Header;
use dicom::pixels::SliceRef;
use dicom::scan::RawElement;
use dicom_core::Tag;
use models::review::{Document, Review};
use models::task::ct_quality::CtQuality;
use models::{ChestFindings, Volume};
use rayon::prelude::*;
use stills::Stills;
use uid::Uids;
use views::Mammography;
use words::Language;

/// The series that was analysed (or refused), or the images of a study that were.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Attributes of the first slice in volume order.
    pub elements: &'a [RawElement],
    /// Header of the same slice.
    pub header: &'a Header,
    /// Every slice in volume order; for a refusal, every instance in any order.
    pub instances: &'a [SliceRef],
    /// Of a study: the Series Instance UID of each instance. Empty when all are in the series of the header.
    pub series_uids: &'a [String],
    /// Names the content, when instances took the place of others with the same UIDs: else results of the corrected
    /// images would have the UIDs of those that they replace. Empty otherwise.
    pub revision: &'a str,
    /// Names objects of these images that an archive was told not to count: it hides them, also if they come once more, so what is
    /// made afterwards needs other UIDs. Empty otherwise.
    pub withdrawn: &'a str,
}

/// The content of a result.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    Findings {
        findings: &'a ChestFindings,
        volume: &'a Volume,
        /// For the documents, when it was measured, too.
        quality: Option<&'a CtQuality>,
    },
    /// Image quality of a CT series.
    Quality { quality: &'a CtQuality },
    /// Which standard views a mammography has, what was read in them and what was marked.
    Views { views: &'a Mammography },
    /// Lesions in ultrasound images that a scanner sent.
    Stills { stills: &'a Stills },
    /// Why the series was not processed.
    Refused { reason: &'a Refused },
}

/// The words of all kinds of result objects.
pub const KINDS: [&str; 8] = {
    use object::{BREAST, CAD, PDF, SC, SEG, SR};
    [SR.name, SEG.name, SC.name, PDF.name, ultrasound::CLIP.name, ultrasound::KEY.name, BREAST.name, CAD.name]
};

/// One DICOM object, ready to be stored and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultObject {
    /// One of [`KINDS`], or `ko` for a rejection note.
    pub kind: &'static str,
    pub sop_class_uid: String,
    pub sop_uid: String,
    pub series_uid: String,
    pub study_uid: String,
    /// Part 10 file.
    pub part10: Vec<u8>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The number of references differs from the number of slices in the volume.
    #[error("{slices} slices in the volume, but {references} source references")]
    SliceCount { slices: usize, references: usize },
    #[error("{what} extends beyond the volume")]
    OutsideVolume { what: String },
    /// The value does not fit its length field: 16 bits for most VRs, 32 bits for pixel data.
    #[error("the value of {tag} is too long for an object ({length} bytes)")]
    TooLong { tag: Tag, length: usize },
    #[error("cannot encode the {kind} object: {source}")]
    Encode { kind: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Makes all objects of one result: the segmentation (if anything was segmented), the pages, the documents, and last
/// the structured report. The same input gives the same bytes.
///
/// # Errors
/// When findings and volume do not belong together, or a value does not fit into an object.
pub fn write(source: &Source, content: Content, provenance: &Provenance) -> Result<Vec<ResultObject>, Error> {
    let uids = Uids::new(source, &content, provenance);
    let review = match &content {
        Content::Findings { findings, .. } => findings.review.as_ref().map(Review::signature),
        Content::Views { views } => views.marked.review.as_ref().map(Review::signature),
        Content::Stills { stills } => stills.marked.review.as_ref().map(Review::signature),
        Content::Quality { .. } | Content::Refused { .. } => None,
    };
    let context = object::Context { source, provenance, uids: &uids, review, request: None };
    match content {
        Content::Findings { findings, volume, quality } => {
            check(source, findings, volume)?;
            let (seg, (pages, documents)) = rayon::join(
                || seg::write(&context, findings, volume),
                || {
                    let draw =
                        |language: &Language| (*language, pages::key_images(findings, volume, provenance, *language));
                    let drawn: Vec<Drawn> = Language::ALL.par_iter().map(draw).collect();
                    let pages = drawn.iter().find(|(language, _)| *language == provenance.language);
                    let pages = pages.map_or(&[][..], |(_, pages)| pages);
                    rayon::join(|| captures(&context, pages), || documents(&context, findings, volume, quality, &drawn))
                },
            );
            let (seg, pages, documents) = (seg?, pages?, documents?);
            let report = sr::findings(&context, findings, volume, seg.as_ref(), &pages)?;
            let objects = seg.map(|s| s.object).into_iter();
            Ok(objects.chain(pages.into_iter().map(|p| p.object)).chain(documents).chain([report]).collect())
        }
        Content::Quality { quality } => Ok(vec![sr::quality(&context, quality)?]),
        Content::Views { views } => mammography::write(&context, views),
        Content::Stills { stills } => ultrasound::stills::write(&context, stills),
        Content::Refused { reason } => {
            let page = secondary::write(&context, &pages::refusal_page(reason, source, provenance), 0)?;
            let report = sr::refusal(&context, reason, &page)?;
            Ok(vec![page.object, report])
        }
    }
}

/// The structured report among the objects of one result.
pub fn document(objects: &[ResultObject]) -> Option<Document> {
    let report = objects.iter().find(|object| object.kind == object::SR.name)?;
    Some(Document {
        study_uid: report.study_uid.clone(),
        series_uid: report.series_uid.clone(),
        sop_class: report.sop_class_uid.clone(),
        sop_uid: report.sop_uid.clone(),
    })
}

fn captures(context: &object::Context, drawn: &[KeyImage]) -> Result<Vec<secondary::Page>, Error> {
    drawn.par_iter().enumerate().map(|(index, page)| secondary::write(context, page, index)).collect()
}

/// The pages in one language.
type Drawn = (Language, Vec<KeyImage>);

/// The document in every language, with the pages in the same.
fn documents(
    context: &object::Context,
    findings: &ChestFindings,
    volume: &Volume,
    quality: Option<&CtQuality>,
    drawn: &[Drawn],
) -> Result<Vec<ResultObject>, Error> {
    let patient = identity::Patient::of(context.source);
    let write = |(index, (language, pages)): (usize, &Drawn)| {
        let (language, pictures) = (*language, pdf::pictures(pages));
        let (patient, provenance, pictures) = (&patient, context.provenance, pictures.as_slice());
        let draft = pdf::Draft { patient, findings, volume, quality, provenance, pictures, language };
        let document = pdf::write(&draft).map_err(|e| Error::Encode { kind: "pdf", source: Box::new(e) })?;
        let words = language.words().document();
        let title = if context.review.is_some() { words.reviewed_dicom_title } else { words.dicom_title };
        encapsulated::write(context, title, index, document, &[])
    };
    drawn.par_iter().enumerate().map(write).collect()
}

fn check(source: &Source, findings: &ChestFindings, volume: &Volume) -> Result<(), Error> {
    let dims = volume.geometry.dims;
    if source.instances.len() != dims[2] || volume.slices.len() != dims[2] {
        return Err(Error::SliceCount { slices: dims[2], references: source.instances.len() });
    }
    for (what, mask) in regions::masks(findings) {
        let inside = (0..3).all(|a| mask.origin[a] + mask.size[a] <= dims[a]);
        if !inside || mask.voxels.len() != mask.size.iter().product::<usize>() {
            return Err(Error::OutsideVolume { what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod edit_tests;
#[cfg(test)]
mod review_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
