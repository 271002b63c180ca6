//! What a report of a mammography says, in every language: which views there are, what was read in their pictures, composition,
//! comparison. Nothing has a default here either.

use models::findings::Side;
use models::task::mammography_views::{Section, StandardView};
use models::task::mg_breast::{NotRead, PictureRead, Reading, Remark, side};

use super::Words;

/// Part of [`Words`].
pub trait Mammograms {
    fn mammograms(&self) -> &'static Fixed;
    /// `right MLO`; `view`: a short name of the standard, `None` where the header has no such one.
    fn mammogram(&self, side: Option<Side>, view: Option<&str>) -> String;
    /// A picture that shows a part of a view; `sections` in this language, maybe empty.
    fn a_part(&self, name: &str, sections: &str) -> String;
    fn section(&self, section: Section) -> &'static str;
    /// How many of the four standard views there are, and of which there is nothing.
    fn views_there(&self, found: usize, missing: &[StandardView]) -> String;
    /// A view of which there are parts only; `sections` of each, in this language.
    fn only_in_parts(&self, view: StandardView, images: usize, sections: &str) -> String;
    /// Parts beside a picture of the whole view.
    fn parts_beside(&self, view: StandardView, images: usize) -> String;
    /// Images of one view, of which one had to be chosen.
    fn last_is_taken(&self, view: StandardView, images: usize) -> String;
    fn only_raw(&self, view: StandardView) -> String;
    fn chest_wall(&self, at: side::Side) -> String;
    fn nipple_depth(&self, mm: f64) -> String;
    /// Percent of the breast and the letter that is estimated from it; `bare`: the caution stands elsewhere.
    fn dense(&self, percent: f64, letter: char, bare: bool) -> String;
    fn no_density(&self, why: &str) -> String;
    fn mammogram_remark(&self, remark: Remark) -> &'static str;
    fn mammogram_not_read(&self, why: &NotRead) -> &'static str;
    /// That a picture was not read; `why` in this language.
    fn unread(&self, name: &str, why: &str) -> String;
    /// A mammography of an earlier day is on this box.
    fn mammography_before(&self, date: &str) -> String;
    /// Of a review: marks that were accepted, edited (none: nothing is said of it) and rejected.
    fn decided(&self, accepted: usize, edited: usize, rejected: usize) -> String;
    fn review_not_applied(&self, by: &str, why: &str) -> String;
}

/// Headings and fixed sentences.
#[derive(Debug)]
pub struct Fixed {
    pub title: &'static str,
    /// Document Title (0042,0010): ASCII, whatever the character set of the source is.
    pub dicom_title: &'static str,
    pub pictures: &'static str,
    pub composition: &'static str,
    /// What the lines in the picture of the four views are.
    pub legend: &'static str,
    /// In the place of a view.
    pub missing: &'static str,
    pub in_parts: &'static str,
    pub not_read: &'static str,
    pub muscle: &'static str,
    /// Of a part, in which nothing but the outline is measured.
    pub outline: &'static str,
    /// Of percent density.
    pub caution: &'static str,
    pub no_standard_view: &'static str,
    pub too_little: &'static str,
    pub marks_off: &'static str,
    pub not_evaluated: &'static str,
    pub none_known: &'static str,
    pub no_prior: &'static str,
    pub prior_unknown: &'static str,
    pub incomplete: &'static str,
    pub no_category: &'static str,
    pub note: &'static str,
}

/// View Position of mammograms (PS3.3, C.8.11.7) and the short names of their codes.
const VIEWS: [&str; 12] = ["CC", "MLO", "ML", "LM", "LMO", "FB", "SIO", "ISO", "XCC", "XCCL", "XCCM", "AT"];

/// Breast, view and section of a picture, as its header says.
pub fn name(picture: &PictureRead, w: &dyn Words) -> String {
    let side = match picture.laterality.as_str() {
        "R" => Some(Side::Right),
        "L" => Some(Side::Left),
        _ => None,
    };
    // What a header writes there goes into no sentence unless it is a view of the standard.
    let view = Some(picture.view.as_str()).filter(|view| VIEWS.contains(view));
    let name = w.mammogram(side, view);
    picture.part.as_ref().map_or_else(|| name.clone(), |named| w.a_part(&name, &sections(named, w)))
}

pub fn sections(named: &[Section], w: &dyn Words) -> String {
    named.iter().map(|section| w.section(*section)).collect::<Vec<_>>().join(w.comma())
}

/// What was read in a picture, and what a reader should know of it; density apart.
pub fn read(reading: &Reading, picture: &PictureRead, w: &dyn Words) -> Vec<String> {
    let fixed = w.mammograms();
    let mut said = match &picture.part {
        Some(_) => vec![fixed.outline.to_owned()],
        None => vec![w.chest_wall(reading.chest_wall)],
    };
    said.extend(reading.muscle.is_some().then(|| fixed.muscle.to_owned()));
    said.extend(reading.nipple.to_chest_wall_mm.map(|mm| w.nipple_depth(mm.into())));
    said
}

pub fn remarks(picture: &PictureRead, w: &dyn Words) -> Vec<String> {
    picture.remarks.iter().map(|remark| w.mammogram_remark(*remark).to_owned()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use models::task::mg_breast::Unreadable;

    use super::*;

    const REMARKS: [Remark; 8] = [
        Remark::ForProcessing,
        Remark::Film,
        Remark::Implant,
        Remark::Partial,
        Remark::NoSpacing,
        Remark::Unnamed,
        Remark::OtherSide,
        Remark::NoMuscle,
    ];

    fn not_read() -> [NotRead; 10] {
        [
            NotRead::Additional,
            NotRead::OtherKind,
            NotRead::Processed,
            NotRead::TooLarge,
            NotRead::NotGrey,
            NotRead::Pixels("x".into()),
            NotRead::Picture(Unreadable::TooSmall),
            NotRead::Picture(Unreadable::Blank),
            NotRead::Picture(Unreadable::NoBreast),
            NotRead::Picture(Unreadable::Inverted),
        ]
    }

    /// What every language has to say without values.
    pub(crate) fn fixed(w: &dyn Words) -> Vec<&'static str> {
        let fixed = w.mammograms();
        let mut all = vec![fixed.title, fixed.dicom_title, fixed.pictures, fixed.composition, fixed.legend];
        all.extend([fixed.missing, fixed.in_parts, fixed.not_read, fixed.muscle, fixed.outline, fixed.caution]);
        all.extend([fixed.no_standard_view, fixed.too_little, fixed.marks_off, fixed.not_evaluated, fixed.none_known]);
        all.extend([fixed.no_prior, fixed.prior_unknown, fixed.incomplete, fixed.no_category, fixed.note]);
        all.extend(Section::ALL.map(|section| w.section(section)));
        all.extend(REMARKS.map(|remark| w.mammogram_remark(remark)));
        all.extend(not_read().map(|why| w.mammogram_not_read(&why)));
        all
    }

    pub(crate) fn sentences(w: &dyn Words) -> Vec<String> {
        use side::Side as At;

        let missing = [StandardView::LeftCc, StandardView::RightMlo];
        let mut all: Vec<String> =
            [Some(Side::Right), Some(Side::Left), None].map(|side| w.mammogram(side, None)).into();
        all.extend([At::Left, At::Right, At::Top, At::Bottom].map(|at| w.chest_wall(at)));
        all.extend([0, 1, 2].map(|count| w.views_there(4 - count, &missing[..count])));
        all.extend([w.a_part("7", ""), w.a_part("7", "8"), w.unread("7", "8"), w.mammography_before("2024-02-03")]);
        all.extend([w.only_in_parts(StandardView::LeftMlo, 2, "7"), w.only_in_parts(StandardView::LeftMlo, 1, "")]);
        all.extend([w.parts_beside(StandardView::RightMlo, 1), w.parts_beside(StandardView::RightMlo, 2)]);
        all.extend([w.last_is_taken(StandardView::LeftCc, 2), w.only_raw(StandardView::LeftCc)]);
        all.extend([w.nipple_depth(81.6), w.dense(12.4, 'B', true), w.dense(12.4, 'B', false), w.no_density("7")]);
        all.extend([w.decided(1, 0, 2), w.decided(1, 2, 3), w.review_not_applied("7", "8")]);
        all
    }

    #[test]
    fn what_a_header_writes_as_view_goes_into_no_sentence() {
        let picture = PictureRead {
            sop_class_uid: String::new(),
            sop_instance_uid: String::new(),
            laterality: "R".into(),
            view: "SMITH".into(),
            part: Some(vec![Section::Superior, Section::Posterior]),
            remarks: Vec::new(),
            read: Err(NotRead::TooLarge),
        };
        let said = |picture: &PictureRead| name(picture, crate::words::Language::English.words());
        assert_eq!(said(&picture), "right unknown view, a part (superior, posterior)");
        assert_eq!(said(&PictureRead { view: "MLO".into(), part: None, ..picture }), "right MLO");
    }
}
