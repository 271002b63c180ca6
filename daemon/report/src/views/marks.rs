//! What a network marked in a mammography, in the words of each language.

use models::review::edit::{self, Field, Values, millimetres};
use models::review::marks::{ListedMark, Marked};
use models::task::mammography_views::StandardView;
use models::task::mg_breast::kind::Stage;
use models::task::mg_breast::marks::{Mark, MarkedView, Marks};
use models::task::mg_breast::withheld::Withheld;

use crate::canvas::single;
use crate::words::edits::of_marks;
use crate::words::{Language, Words, capital};

/// Marks that a sentence names, at most (the surest); the report has all.
const NAMED: usize = 4;

/// The id under which a person decides about a mark.
pub fn id(number: usize) -> String {
    format!("mark-{number}")
}

/// The marks as a person decides about them, and what is to be said beside. `as_found`: the verdict.
pub fn listed(marks: &Marks, package: String, as_found: String) -> Marked {
    let (w, zh) = (Language::English.words(), Language::Chinese.words());
    let one = |(view, mark): (&MarkedView, &Mark)| ListedMark {
        id: id(mark.number),
        kind: mark.kind.name().to_owned(),
        words: w.mark(mark, view.view),
        words_zh: zh.mark(mark, view.view),
        score: mark.score,
        sop_instance_uid: view.sop_instance_uid.clone(),
        frame: None,
        bounds: mark.bounds,
        values: values(mark),
    };
    let (learnt, learnt_zh) = (capital(w.phantoms_only()), zh.phantoms_only().to_owned());
    let (listed, notes, notes_zh) = (all(marks).map(one).collect(), notes(marks, w), notes(marks, zh));
    Marked { package, listed, notes, notes_zh, learnt, learnt_zh, as_found, ..Marked::default() }
}

/// What of a mark can be edited, as it was found.
fn values(mark: &Mark) -> Values {
    let [long, short] = mark.size_mm.map(|mm| millimetres(mm.into()));
    // What lies before the foremost place of the outline has no distance behind it.
    let behind = Some(mark.behind_nipple_mm).filter(|mm| *mm >= 0.0);
    let behind = behind.map_or_else(String::new, |mm| millimetres(mm.into()));
    let kind = mark.kind.name().to_owned();
    Values::from([(Field::Kind, kind), (Field::LongMm, long), (Field::ShortMm, short), (Field::DistanceMm, behind)])
}

/// The person's values take the place of those that were found. A score was of the kind that the network saw: of another kind there is none.
/// Returns whether the score is withheld.
fn correct(mark: &mut Mark, values: &Values) -> bool {
    if let Some(size) = edit::size_mm(values) {
        mark.size_mm = size.map(single);
    }
    if let Some(mm) = edit::number(values, Field::DistanceMm) {
        mark.behind_nipple_mm = single(mm);
    }
    let Some(kind) = edit::kind(values) else { return false };
    (mark.kind, mark.score) = (kind, f32::NAN);
    true
}

/// What a reader has to know beside the marks.
fn notes(marks: &Marks, w: &dyn Words) -> Vec<String> {
    let mut notes = Vec::new();
    if !marks.views.is_empty() {
        notes.push(capital(&w.marks_counted(marks.count(), marks.views.len())));
        notes.extend(stages(marks, w).iter().map(|said| capital(said)));
        notes.push(capital(&w.breast_scores(marks.right, marks.left)));
    }
    notes.extend(withheld(marks, w).iter().map(|said| capital(said)));
    notes
}

/// Takes out what a review has rejected, and corrects what it has edited. The score of a breast without a mark that nobody believes, or with
/// one of another kind, would be another one, which nobody made: it is none.
pub fn take_out(marks: &mut Marks, marked: &mut Marked) {
    let (mut right, mut left) = (false, false);
    for view in &mut marks.views {
        let before = view.marks.len();
        view.marks.retain(|mark| !marked.is_rejected(&id(mark.number)));
        let mut is_other = view.marks.len() < before;
        for mark in &mut view.marks {
            if let Some(edit) = marked.edit(&id(mark.number)) {
                is_other |= correct(mark, &edit.values);
            }
        }
        if is_other {
            if view.view.is_right() { right = true } else { left = true }
        }
    }
    if right {
        marks.right = None;
    }
    if left {
        marks.left = None;
    }
    if right || left {
        marks.case = None;
    }
    let said = |w| notes(marks, w).into_iter().chain(of_marks(marked, w).into_iter().map(|(_, said)| said)).collect();
    (marked.notes, marked.notes_zh) = (said(Language::English.words()), said(Language::Chinese.words()));
}

/// Has a person measured another size than that of the box of this mark?
pub fn is_resized(marked: &Marked, number: usize) -> bool {
    marked.is_resized(&id(number))
}

/// The parts of a sentence: what was counted, the surest marks, the scores, what was withheld, what none of it means.
pub(crate) fn said(marks: &Marks, w: &dyn Words) -> Vec<String> {
    let mut said = Vec::new();
    if !marks.views.is_empty() {
        said.push(w.marks_counted(marks.count(), marks.views.len()));
        said.extend(stages(marks, w));
        let mut all: Vec<(&Mark, StandardView)> = all(marks).map(|(view, mark)| (mark, view.view)).collect();
        all.sort_by(|(a, _), (b, _)| b.score.total_cmp(&a.score));
        said.extend(all.iter().take(NAMED).map(|(mark, view)| w.mark(mark, *view)));
        said.extend(all.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| w.more(more)));
        said.push(w.breast_scores(marks.right, marks.left));
    }
    said.extend(withheld(marks, w));
    said.push(w.phantoms_only().to_owned());
    said
}

/// What the scores were made from; where that is not the same for all views, of which.
pub(crate) fn stages(marks: &Marks, w: &dyn Words) -> Vec<String> {
    let of = |stage: Stage| {
        let own = marks.views.iter().filter(move |view| view.stage == stage);
        own.map(|view| w.standard_view(view.view)).collect::<Vec<_>>()
    };
    let there = || Stage::ALL.into_iter().rev().map(|stage| (stage, of(stage))).filter(|(_, views)| !views.is_empty());
    if there().count() == 1 {
        return there().map(|(stage, _)| w.mark_stage(stage).to_owned()).collect();
    }
    there().map(|(stage, views)| w.titled(&views.join(w.comma()), w.mark_stage(stage))).collect()
}

/// Each reason once, with the views that have it.
pub(crate) fn withheld(marks: &Marks, w: &dyn Words) -> Vec<String> {
    let mut grouped: Vec<(Withheld, Vec<&str>)> = Vec::new();
    for one in &marks.withheld {
        let view = w.standard_view(one.view);
        match grouped.iter_mut().find(|(why, _)| *why == one.why) {
            Some((_, views)) => views.push(view),
            None => grouped.push((one.why, vec![view])),
        }
    }
    grouped.into_iter().map(|(why, views)| w.withheld_in(&views.join(w.comma()), w.withheld(why))).collect()
}

pub(crate) fn all(marks: &Marks) -> impl Iterator<Item = (&MarkedView, &Mark)> {
    marks.views.iter().flat_map(|view| view.marks.iter().map(move |mark| (view, mark)))
}

#[cfg(test)]
pub(crate) mod tests {
    use models::review::{Decided, Decision, Document, Review};
    use models::task::mg_breast::kind::Kind;
    use models::task::mg_breast::marks::{Candidate, WithheldView};

    use super::*;

    pub(crate) fn mark(number: usize, kind: Kind, score: f32) -> Mark {
        Mark {
            number,
            kind,
            score,
            at: [20.0, 30.0],
            bounds: [10.0, 20.0, 30.0, 40.0],
            at_mm: [4.0, 6.0],
            size_mm: [14.2, 9.7],
            behind_nipple_mm: 33.6,
            below_nipple_mm: -5.0,
        }
    }

    pub(crate) fn view(view: StandardView, stage: Stage, marks: Vec<Mark>) -> MarkedView {
        let candidates = marks.iter().map(|mark| Candidate { kind: mark.kind, score: mark.score, at: mark.at });
        let candidates = candidates.collect();
        MarkedView { view, sop_instance_uid: "1.2.3.1".into(), stage, mm_per_pixel: 0.2, marks, candidates }
    }

    pub(crate) fn marks() -> Marks {
        Marks {
            views: vec![
                view(StandardView::RightCc, Stage::TwoViews, vec![mark(1, Kind::Mass, 0.84)]),
                view(StandardView::RightMlo, Stage::TwoViews, Vec::new()),
                view(StandardView::LeftMlo, Stage::OneView, vec![mark(2, Kind::Calcifications, 0.31)]),
            ],
            withheld: vec![WithheldView { view: StandardView::LeftCc, why: Withheld::Film }],
            right: Some(0.84),
            left: Some(0.31),
            case: Some(0.84),
        }
    }

    #[test]
    fn what_was_rejected_is_taken_out_with_the_score_of_its_breast_and_the_rest_keeps_its_number() {
        let mut shown = marks();
        let mut marked = listed(&shown, "mg-breast 1 ab".into(), String::new());
        let ids: Vec<_> = marked.listed.iter().map(|one| (one.id.as_str(), one.kind.as_str())).collect();
        assert_eq!(ids, [("mark-1", "mass"), ("mark-2", "calcifications")]);
        assert!(marked.learnt.contains("phantoms only") && marked.notes.iter().any(|said| said.contains("left CC")));
        let decided = |listed: &ListedMark| Decided {
            decision: if listed.id == "mark-1" { Decision::Rejected } else { Decision::Accepted },
            listed: listed.clone(),
            comment: String::new(),
            edit: None,
        };
        let none = || String::new();
        let predecessor = Document { study_uid: none(), series_uid: none(), sop_class: none(), sop_uid: none() };
        let decisions = marked.listed.iter().map(decided).collect();
        let review =
            Review { by: "Li Ming".into(), utc: none(), package: marked.package.clone(), decisions, predecessor };
        marked.judge(Some(&review), true);
        take_out(&mut shown, &mut marked);
        assert_eq!(all(&shown).map(|(_, mark)| mark.number).collect::<Vec<_>>(), [2]);
        assert_eq!((shown.right, shown.left, shown.case), (None, Some(0.31), None));
    }

    /// All that a language says about marks.
    pub(crate) fn sentences(language: Language) -> Vec<String> {
        let w = language.words();
        let mut all = said(&marks(), w);
        all.extend(Kind::ALL.map(|kind| w.mark(&mark(1, kind, 0.5), StandardView::LeftMlo)));
        all.extend(Stage::ALL.map(|stage| w.mark_stage(stage).to_owned()));
        all.extend(StandardView::ALL.map(|view| w.standard_view(view).to_owned()));
        let reasons = [
            Withheld::NotRead,
            Withheld::NoSpacing,
            Withheld::ChestWall,
            Withheld::Film,
            Withheld::Coarse,
            Withheld::ForProcessing,
            Withheld::Partial,
            Withheld::OtherSide,
            Withheld::NoPhantom,
        ];
        all.extend(reasons.map(|why| w.withheld(why).to_owned()));
        all.extend([w.marks_counted(0, 4), w.marks_counted(1, 1), w.breast_scores(None, Some(0.5))]);
        all.extend([w.mammography(), w.not_marked()].map(str::to_owned));
        all.extend(w.mammogram_lines().map(str::to_owned));
        all
    }

    #[test]
    fn the_sentence_says_what_was_marked_compared_and_withheld_and_that_it_means_nothing() {
        let english = said(&marks(), Language::English.words()).join("; ");
        assert_eq!(
            english,
            "2 marks in 3 views; right CC, right MLO: two views of a breast compared; left MLO: each view by itself; mass in right CC, \
             34 mm behind the nipple, 14 x 10 mm, score 0.84; calcifications in left MLO, 34 mm behind the nipple, 14 x 10 mm, score \
             0.31; score of the right breast 0.84, of the left 0.31; marks withheld in left CC: digitised film or plate, on which the \
             network is known not to hold; the network learnt from phantoms only and says nothing of a patient"
        );
        let chinese = said(&marks(), Language::Chinese.words()).join("；");
        for text in ["2 处标记", "右乳CC位肿块", "评分 0.84", "左乳CC位不给出标记", "体模"] {
            assert!(chinese.contains(text), "{text}: {chinese}");
        }
        let nothing = Marks { views: Vec::new(), right: None, left: None, case: None, ..marks() };
        let words = said(&nothing, Language::English.words()).join("; ");
        assert!(!words.contains("no mark"), "nothing is said of what was not looked at: {words}");
    }
}
