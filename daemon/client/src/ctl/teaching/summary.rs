//! What a teaching file is made of, and what is told of it. Pure, but for the printing.

use std::path::Path;

use dicom::deidentify::{Case, Copied};
use serde::Serialize;

use crate::ctl::failure::Failure;
use crate::ctl::output::{Output, count};

/// Lines about single objects that people get; JSON has them all.
const MOST_LINES: usize = 20;

/// As `teaching --json` prints it.
#[derive(Debug, Serialize)]
pub struct Made {
    /// What stands for the patient.
    pub case: String,
    #[serde(skip)]
    pub copies: Vec<Kept>,
    images: usize,
    /// Images of which something was blackened.
    masked: usize,
    outlines: usize,
    pub pictures: usize,
    pub quiz: bool,
    /// Different values that were searched for in what was written, and not found.
    pub checked_for: usize,
    /// Reports and other documents of the study.
    pub no_images: usize,
    left_out: Vec<LeftOut>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// SOP Instance UID in the source.
    object: String,
    why: String,
}

/// A copy that was written.
#[derive(Debug, Clone)]
pub struct Kept {
    pub file: String,
    pub sop_class_uid: String,
    pub sop_uid: String,
    pub series_uid: String,
    pub study_uid: String,
    pub modality: String,
    pub masked: bool,
}

impl Kept {
    pub fn of(copy: Copied, file: String) -> Self {
        let Copied { sop_class_uid, sop_uid, series_uid, study_uid, modality, masked, part10: _ } = copy;
        Self { file, sop_class_uid, sop_uid, series_uid, study_uid, modality, masked }
    }

    pub fn is_segmentation(&self) -> bool {
        self.modality == "SEG"
    }
}

impl Made {
    pub fn new(case: &Case) -> Self {
        Self {
            case: case.name.clone(),
            copies: Vec::new(),
            images: 0,
            masked: 0,
            outlines: 0,
            pictures: 0,
            quiz: false,
            checked_for: 0,
            no_images: 0,
            left_out: Vec::new(),
        }
    }

    pub fn left_out(&mut self, object: &str, why: &str) {
        self.left_out.push(LeftOut { object: object.to_owned(), why: why.to_owned() });
    }

    /// `kept`: whether there is a folder.
    ///
    /// # Errors
    /// When anything was left out, after it was said what.
    pub fn tell(mut self, to: &Path, output: &Output, kept: bool) -> Result<(), Failure> {
        self.outlines = self.copies.iter().filter(|copy| copy.is_segmentation()).count();
        self.images = self.copies.len() - self.outlines;
        self.masked = self.copies.iter().filter(|copy| copy.masked).count();
        if output.is_json() && kept {
            output.json(&self)?;
        } else {
            self.tell_people(to, output, kept)?;
        }
        if self.left_out.is_empty() || !kept {
            return Ok(());
        }
        let left = count(self.left_out.len() as u64, "image was", "images were");
        let remedy = "the folder is sound without them; --area L,T,R,B says where the image is in pictures with text";
        Err(Failure::new(format!("the case is not complete: {left} left out"), remedy))
    }

    fn tell_people(&self, to: &Path, output: &Output, kept: bool) -> Result<(), Failure> {
        if kept {
            let images = count(self.images as u64, "image", "images");
            let pictures = count(self.pictures as u64, "picture", "pictures");
            let (case, to) = (&self.case, to.display());
            output.line(&format!(
                "{case}: {images} and {pictures} in {to}; {} values of the source were searched for and not found.",
                self.checked_for
            ))?;
            if self.masked > 0 {
                output.line(&format!(
                    "{} black around the image. Look at the pictures before you hand them on.",
                    count(self.masked as u64, "image is", "images are")
                ))?;
            }
            if !self.quiz {
                output.line("No quiz: the box has no outlines for these images.")?;
            }
        }
        for LeftOut { object, why } in self.left_out.iter().take(MOST_LINES) {
            let line = format!("Left out: object {object}: {why}.");
            if kept { output.line(&line)? } else { output.note(&line) }
        }
        if let Some(more) = self.left_out.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
            let line = format!("{more} more were left out; --json names all.");
            if kept { output.line(&line)? } else { output.note(&line) }
        }
        Ok(())
    }
}
