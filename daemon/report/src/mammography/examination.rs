//! What a report of a mammography says: what was examined, composition, marks, comparison, impression. The breast imaging report
//! (`structured`) and the document (`pdf::mammography`) say the same because both read it here. Pure.

use models::review::Decision;
use models::task::mammography_views::{StandardView, ViewFound};
use models::task::mg_breast::marks::Marks;
use models::task::mg_breast::{Density, PictureRead, Remark};

use crate::views::marks::{all, stages, withheld};
use crate::views::{Before, Mammography, pictures, there};
use crate::words::breast::followed;
use crate::words::edits::of_marks;
use crate::words::mammography::name;
use crate::words::{Words, capital, signed};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Examination<'a> {
    pub(crate) study: &'a Mammography,
}

/// The density of a standard view, or why there is none.
pub(super) enum Dense {
    Measured(Density),
    /// A remark on its picture forbids it.
    Forbidden(Remark),
    NotRead,
    TooLittle,
}

impl<'a> Examination<'a> {
    pub(crate) fn new(study: &'a Mammography) -> Self {
        Self { study }
    }

    /// Who has reviewed the marks, or that a review was not applied.
    pub(crate) fn reviewed(&self, w: &dyn Words) -> Option<String> {
        let marked = &self.study.marked;
        if let Some(refused) = &marked.refused {
            return Some(w.review_not_applied(&refused.by, &refused.why));
        }
        let review = marked.review.as_ref()?;
        let [accepted, edited, rejected] = Decision::ALL.map(|one| review.count(one));
        Some(w.titled(&signed(review.signature(), w), &w.decided(accepted, edited, rejected)))
    }

    /// Which views there are, whole or in parts.
    pub(crate) fn views(&self, w: &dyn Words) -> Vec<String> {
        there(&self.study.views, w)
    }

    /// Every picture with what was read in it, or why it was left out.
    pub(crate) fn pictures(&self, w: &dyn Words) -> Vec<[String; 2]> {
        let one = |picture: &PictureRead| [name(picture, w), pictures::without_density(picture, w)];
        self.study.views.pictures.iter().map(one).collect()
    }

    fn picture(&self, found: &ViewFound) -> Option<&'a PictureRead> {
        self.study.views.pictures.iter().find(|picture| picture.sop_instance_uid == found.sop_instance_uid)
    }

    /// Of each standard view that an image shows as a whole.
    pub(super) fn densities(&self) -> impl Iterator<Item = (&'a ViewFound, Dense)> {
        self.study.views.found.iter().map(|found| (found, self.density(found)))
    }

    fn density(&self, found: &ViewFound) -> Dense {
        let Some(picture) = self.picture(found) else { return Dense::NotRead };
        let Ok(reading) = &picture.read else { return Dense::NotRead };
        if let Some(density) = reading.density {
            return Dense::Measured(density);
        }
        let forbids =
            |remark: &&Remark| matches!(remark, Remark::Film | Remark::Implant | Remark::Partial | Remark::NoMuscle);
        picture.remarks.iter().find(forbids).map_or(Dense::TooLittle, |remark| Dense::Forbidden(*remark))
    }

    /// The density of each view, with its caution.
    pub(crate) fn composition(&self, w: &dyn Words) -> Vec<String> {
        let fixed = w.mammograms();
        let mut is_measured = false;
        let mut said = Vec::new();
        for (found, dense) in self.densities() {
            let words = match dense {
                Dense::Measured(one) => {
                    is_measured = true;
                    w.dense(one.percent.into(), one.category.letter(), true)
                }
                Dense::Forbidden(remark) => w.no_density(w.mammogram_remark(remark)),
                Dense::NotRead => w.no_density(fixed.not_read),
                Dense::TooLittle => w.no_density(fixed.too_little),
            };
            said.push(w.titled(w.standard_view(found.view), &words));
        }
        if said.is_empty() {
            said.push(w.no_density(fixed.no_standard_view));
        }
        said.extend(is_measured.then(|| fixed.caution.to_owned()));
        said.iter().map(|line| capital(line)).collect()
    }

    /// What a network marked and what a person has edited of it, or that none looked.
    pub(crate) fn findings(&self, w: &dyn Words) -> Vec<String> {
        let Some(marks) = &self.study.views.marks else { return vec![w.mammograms().marks_off.to_owned()] };
        let mut said = Vec::new();
        if marks.views.is_empty() {
            said.push(w.mammograms().not_evaluated.to_owned());
        } else {
            said.push(capital(&w.marks_counted(marks.count(), marks.views.len())));
            said.extend(stages(marks, w));
            said.extend(all(marks).map(|(view, mark)| w.titled(&mark.number.to_string(), &w.mark(mark, view.view))));
            said.extend(of_marks(&self.study.marked, w).into_iter().map(|(_, words)| words));
            said.push(w.breast_scores(marks.right, marks.left));
        }
        said.extend(withheld(marks, w));
        said.push(w.phantoms_only().to_owned());
        said.iter().map(|line| capital(line)).collect()
    }

    /// Marks that are surely known, and what this box has of earlier mammographies.
    pub(crate) fn comparison(&self, w: &dyn Words) -> Vec<String> {
        let fixed = w.mammograms();
        let known = self.study.followed.iter().filter(|(number, _)| self.is_marked(*number));
        let mut said: Vec<String> =
            known.map(|(number, known)| w.titled(&number.to_string(), &followed(known, w))).collect();
        if said.is_empty() && self.marks().is_some_and(|marks| marks.count() > 0) {
            said.push(fixed.none_known.to_owned());
        }
        said.push(match &self.study.before {
            Before::Unknown => fixed.prior_unknown.to_owned(),
            Before::Nothing => fixed.no_prior.to_owned(),
            Before::On(date) => w.mammography_before(&dicom::text::date(date)),
        });
        said
    }

    fn marks(&self) -> Option<&'a Marks> {
        self.study.views.marks.as_ref().filter(|marks| !marks.views.is_empty())
    }

    fn is_marked(&self, number: usize) -> bool {
        self.marks().is_some_and(|marks| all(marks).any(|(_, mark)| mark.number == number))
    }

    /// Never a category: no rule that is in use here holds for marks of this network or for density.
    pub(crate) fn impression(&self, w: &dyn Words) -> Vec<String> {
        let fixed = w.mammograms();
        let marks = match self.marks() {
            None => fixed.not_evaluated.to_owned(),
            Some(marks) => capital(
                &[w.marks_counted(marks.count(), marks.views.len()), w.phantoms_only().to_owned()].join(w.separator()),
            ),
        };
        let is_complete = self.study.views.found.len() == StandardView::ALL.len();
        let incomplete = (!is_complete).then(|| fixed.incomplete.to_owned());
        [Some(marks), incomplete, Some(fixed.no_category.to_owned())].into_iter().flatten().collect()
    }
}

#[cfg(test)]
#[path = "examination_tests.rs"]
mod tests;
