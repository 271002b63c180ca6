//! What came of a mammography: its standard views, what was read and marked in their pictures, the pictures for a page; and the same in one
//! sentence. Pure.

pub mod marks;
pub(crate) mod pictures;

use dicom::mammogram::turn::Turn;
use models::lesion::followed::Followed;
use models::review::marks::Marked;
use models::task::mammography_views::{MammographyViews, StandardView, ViewInParts};

use crate::words::mammography::sections;
use crate::words::{Language, Words};

/// What came of a mammography.
#[derive(Debug, Clone, PartialEq)]
pub struct Mammography {
    pub views: MammographyViews,
    /// The standard views whose pictures were read, for the key image.
    pub hung: Vec<Hung>,
    /// All marks, also those that a review took out of `views`.
    pub marked: Marked,
    /// Marks of lesions that are surely known from the list over the years, by the numbers of the marks.
    pub followed: Vec<(usize, Followed)>,
    pub before: Before,
}

/// The mammography of the same person before this one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Before {
    /// Nobody has looked, or it is not certain whose it would be.
    #[default]
    Unknown,
    /// This box has none.
    Nothing,
    /// Study Date (DA) of the last one that is here.
    On(String),
}

impl Mammography {
    /// One sentence, with who has reviewed it.
    pub fn verdict(&self) -> String {
        self.marked.reviewed(verdict(&self.views))
    }

    /// That sentence without a review.
    pub(crate) fn as_found(&self) -> String {
        if self.marked.review.is_some() { self.marked.as_found.clone() } else { verdict(&self.views) }
    }

    pub fn followed(&self, mark: usize) -> Option<&Followed> {
        self.followed.iter().find(|(number, _)| *number == mark).map(|(_, followed)| followed)
    }
}

/// The picture of a standard view on the grid on which it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hung {
    pub view: StandardView,
    pub sop_class_uid: String,
    pub sop_instance_uid: String,
    /// Bright is dense, row by row.
    pub grey: Vec<u8>,
    /// Columns and rows.
    pub size: [usize; 2],
    /// How it is to be turned by its header; `None` where that does not say how the picture lies.
    pub turn: Option<Turn>,
}

/// One sentence: how many of the standard views there are, which are missing, and where an image had to be chosen.
pub fn verdict(views: &MammographyViews) -> String {
    let w = Language::English.words();
    let mut said = there(views, w);
    said.extend(views.pictures.iter().map(|picture| pictures::said(picture, w)));
    said.extend(views.marks.iter().flat_map(|marks| marks::said(marks, w)));
    format!("mammography: {}", said.join("; "))
}

/// How many of the standard views there are, which are missing or there in parts, and where an image had to be chosen.
pub(crate) fn there(views: &MammographyViews, w: &dyn Words) -> Vec<String> {
    let mut said = vec![w.views_there(views.found.len(), &views.missing)];
    said.extend(views.only_in_parts().map(|one| w.only_in_parts(one.view, one.parts.len(), &named(one, w))));
    let beside = views.in_parts.iter().filter(|one| views.found.iter().any(|found| found.view == one.view));
    said.extend(beside.map(|one| w.parts_beside(one.view, one.parts.len())));
    for found in &views.found {
        said.extend((found.candidates > 1).then(|| w.last_is_taken(found.view, found.candidates)));
        said.extend((!found.for_presentation).then(|| w.only_raw(found.view)));
    }
    said
}

/// The sections of each part, as far as its header names them.
fn named(one: &ViewInParts, w: &dyn Words) -> String {
    let each = one.parts.iter().map(|part| sections(&part.sections, w));
    each.filter(|said| !said.is_empty()).collect::<Vec<_>>().join(w.separator())
}

#[cfg(test)]
pub(crate) mod tests {
    use models::task::mammography_views::{PartFound, Section, ViewFound};

    use super::*;

    pub(crate) fn found(view: StandardView, uid: &str) -> ViewFound {
        ViewFound { view, sop_instance_uid: uid.into(), for_presentation: true, candidates: 1 }
    }

    #[test]
    fn the_sentence_names_what_is_missing_and_what_was_chosen() {
        let mut views = MammographyViews {
            found: StandardView::ALL.into_iter().map(|view| found(view, "1.2")).collect(),
            in_parts: Vec::new(),
            missing: Vec::new(),
            pictures: Vec::new(),
            marks: None,
        };
        assert_eq!(verdict(&views), "mammography: 4 of 4 standard views");
        views.found.pop();
        views.missing = vec![StandardView::LeftMlo];
        assert_eq!(verdict(&views), "mammography: 3 of 4 standard views, left MLO is missing");
        views.found.remove(0);
        views.missing = vec![StandardView::RightCc, StandardView::LeftMlo];
        views.found[0].candidates = 2;
        views.found[1].for_presentation = false;
        assert_eq!(
            verdict(&views),
            "mammography: 2 of 4 standard views, right CC and left MLO are missing; 2 images of left CC, the last is \
             taken; right MLO only for processing"
        );
        let part = |sections: &[Section]| PartFound { sop_instance_uid: "1.3".into(), sections: sections.to_vec() };
        let parts = vec![part(&[Section::Superior]), part(&[Section::Inferior, Section::Posterior])];
        views.missing = vec![StandardView::RightCc];
        views.in_parts = vec![
            ViewInParts { view: StandardView::RightMlo, parts: vec![part(&[])] },
            ViewInParts { view: StandardView::LeftMlo, parts },
        ];
        views.found[0].candidates = 1;
        assert_eq!(
            verdict(&views),
            "mammography: 2 of 4 standard views, right CC is missing; left MLO is there in parts only (2 images: superior; \
             inferior, posterior); 1 image of a part of right MLO beside the whole one; right MLO only for processing"
        );
    }
}
