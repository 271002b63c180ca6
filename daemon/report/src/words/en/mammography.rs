//! English about mammograms.

use models::findings::Side;
use models::number::Number;
use models::task::mammography_views::{Section, StandardView};
use models::task::mg_breast::{NotRead, Remark, Unreadable, side};

use super::English;
use crate::stills::counted;
use crate::words::mammography::{Fixed, Mammograms};

impl Mammograms for English {
    fn mammograms(&self) -> &'static Fixed {
        &FIXED
    }

    fn mammogram(&self, side: Option<Side>, view: Option<&str>) -> String {
        let side = match side {
            Some(Side::Right) => "right",
            Some(Side::Left) => "left",
            None => "unknown side",
        };
        format!("{side} {}", view.unwrap_or("unknown view"))
    }

    fn a_part(&self, name: &str, sections: &str) -> String {
        if sections.is_empty() { format!("{name}, a part") } else { format!("{name}, a part ({sections})") }
    }

    fn section(&self, section: Section) -> &'static str {
        match section {
            Section::Anterior => "anterior",
            Section::Central => "central",
            Section::Inferior => "inferior",
            Section::Lateral => "lateral",
            Section::Medial => "medial",
            Section::Posterior => "posterior",
            Section::Superior => "superior",
        }
    }

    fn views_there(&self, found: usize, missing: &[StandardView]) -> String {
        let names: Vec<&str> = missing.iter().map(|view| view.name()).collect();
        let named = match names.as_slice() {
            [] => String::new(),
            [only] => format!(", {only} is missing"),
            [rest @ .., last] => format!(", {} and {last} are missing", rest.join(", ")),
        };
        format!("{found} of {} standard views{named}", StandardView::ALL.len())
    }

    fn only_in_parts(&self, view: StandardView, images: usize, sections: &str) -> String {
        let sections = if sections.is_empty() { String::new() } else { format!(": {sections}") };
        format!("{} is there in parts only ({}{sections})", view.name(), counted(images, "image"))
    }

    fn parts_beside(&self, view: StandardView, images: usize) -> String {
        let parts = if images == 1 { "a part" } else { "parts" };
        format!("{} of {parts} of {} beside the whole one", counted(images, "image"), view.name())
    }

    fn last_is_taken(&self, view: StandardView, images: usize) -> String {
        format!("{images} images of {}, the last is taken", view.name())
    }

    fn only_raw(&self, view: StandardView) -> String {
        format!("{} only for processing", view.name())
    }

    fn chest_wall(&self, at: side::Side) -> String {
        let at = match at {
            side::Side::Left => "left",
            side::Side::Right => "right",
            side::Side::Top => "top",
            side::Side::Bottom => "bottom",
        };
        format!("chest wall at the {at} of the picture")
    }

    fn nipple_depth(&self, mm: f64) -> String {
        format!("nipple (estimated) {:.0} mm from the chest wall", Number(mm))
    }

    fn dense(&self, percent: f64, letter: char, bare: bool) -> String {
        let caution = if bare { "" } else { ", not validated" };
        format!("dense part {:.0} % (category {letter} estimated from it{caution})", Number(percent))
    }

    fn no_density(&self, why: &str) -> String {
        format!("density not measured: {why}")
    }

    fn mammogram_remark(&self, remark: Remark) -> &'static str {
        match remark {
            Remark::ForProcessing => "only for processing, read after its own scaling",
            Remark::Film => "digitised film or plate",
            Remark::Implant => "the header says that there is an implant",
            Remark::Partial => "the header says that only a part of the view is shown",
            Remark::NoSpacing => "no size of a pixel in the header, so no lengths",
            Remark::Unnamed => "the header does not say which breast or view",
            Remark::OtherSide => "the breast lies at another side than the header says: mirrored or mislabelled",
            Remark::NoMuscle => "no muscle seen",
        }
    }

    fn mammogram_not_read(&self, why: &NotRead) -> &'static str {
        match why {
            NotRead::Additional => "an additional view, such as magnification or spot compression",
            NotRead::OtherKind => "a picture of a biopsy, or computed from several exposures with contrast agent",
            NotRead::Processed => "only for processing; the picture for presentation is read",
            NotRead::TooLarge => "it needs more memory than is allowed (analyze.memory_mib)",
            NotRead::NotGrey => "it has no shades of grey",
            // Why may quote the header.
            NotRead::Pixels(_) => "its pixels cannot be decoded",
            NotRead::Picture(Unreadable::TooSmall) => "the picture is too small",
            NotRead::Picture(Unreadable::Blank) => "the picture is blank",
            NotRead::Picture(Unreadable::NoBreast) => "no breast was found in the picture",
            NotRead::Picture(Unreadable::Inverted) => "the picture looks like a negative",
        }
    }

    fn unread(&self, name: &str, why: &str) -> String {
        format!("{name} not read: {why}")
    }

    fn mammography_before(&self, date: &str) -> String {
        format!(
            "A mammography of {date} is on this box. Software did not compare the pictures, nor the density, which depends on how a \
             picture was processed."
        )
    }

    fn decided(&self, accepted: usize, edited: usize, rejected: usize) -> String {
        let edited = if edited > 0 { format!("{edited} edited, ") } else { String::new() };
        format!("{accepted} accepted, {edited}{rejected} rejected")
    }

    fn review_not_applied(&self, by: &str, why: &str) -> String {
        format!("the review by {by} was not applied, because {why}")
    }
}

const FIXED: Fixed = Fixed {
    title: "Mammography AI reading (draft)",
    dicom_title: "Mammography AI reading (draft)",
    pictures: "Pictures",
    composition: "Breast composition",
    legend: "Blue: outline of the breast. Green: edge of the muscle. Pink: nipple (estimated). Amber: marks with their numbers. All views in one \
             scale, where the size of their pixels is known.",
    missing: "missing",
    in_parts: "in parts only",
    not_read: "picture not read",
    muscle: "muscle seen",
    outline: "outline seen",
    caution: "Percent and category are estimated from the grey levels of the pictures. They are not validated, and no physician's assessment of the \
              composition.",
    no_standard_view: "no picture of a whole standard view was read",
    too_little: "too little of the breast is in the picture beside muscle and skin",
    marks_off: "Suspicious places were not evaluated: the network learnt from phantoms only and is switched off.",
    not_evaluated: "Lesions were not evaluated.",
    none_known: "No mark is surely known as a lesion of earlier exams on this box.",
    no_prior: "No earlier mammography of this person is on this box.",
    prior_unknown: "Whether there are earlier mammographies of this person was not looked up, or it is not certain whose they are.",
    incomplete: "The set of standard views is not complete.",
    no_category: "No category is suggested: no published rule holds for what was measured here, and nobody has assessed the pictures.",
    note: "Everything in this document was measured by software, except what the headers of the images say. Coordinates are in the structured \
           report.",
};
