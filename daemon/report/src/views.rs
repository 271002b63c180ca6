//! What came of a mammography: its standard views, what was read and marked in their pictures, the pictures for a page; and the same in one
//! sentence. Pure.

pub mod marks;
mod pictures;

use models::lesion::followed::Followed;
use models::review::marks::Marked;
use models::task::mammography_views::{MammographyViews, StandardView, ViewFound};

use crate::words::Language;

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
}

/// One sentence: how many of the standard views there are, which are missing, and where an image had to be chosen.
pub fn verdict(views: &MammographyViews) -> String {
    let all = StandardView::ALL.len();
    let mut said = format!("mammography: {} of {all} standard views", views.found.len());
    if !views.missing.is_empty() {
        let names: Vec<&str> = views.missing.iter().map(|view| view.name()).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        said.push_str(&format!(", {} {verb} missing", listed(&names)));
    }
    for found in &views.found {
        said.push_str(&remarks(found));
    }
    for picture in &views.pictures {
        said.push_str(&format!("; {}", pictures::said(picture)));
    }
    if let Some(marks) = &views.marks {
        said.push_str(&format!("; {}", marks::said(marks, Language::English.words()).join("; ")));
    }
    said
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn remarks(found: &ViewFound) -> String {
    let name = found.view.name();
    let mut said = String::new();
    if found.candidates > 1 {
        said.push_str(&format!("; {} images of {name}, the last is taken", found.candidates));
    }
    if !found.for_presentation {
        said.push_str(&format!("; {name} only for processing"));
    }
    said
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn found(view: StandardView, uid: &str) -> ViewFound {
        ViewFound { view, sop_instance_uid: uid.into(), for_presentation: true, candidates: 1 }
    }

    #[test]
    fn the_sentence_names_what_is_missing_and_what_was_chosen() {
        let mut views = MammographyViews {
            found: StandardView::ALL.into_iter().map(|view| found(view, "1.2")).collect(),
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
    }
}
