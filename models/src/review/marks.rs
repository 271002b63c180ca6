//! The marks in mammograms, or the lesions in ultrasound images, of one result: as a list from which a person accepts, edits or rejects each,
//! and what a signed review makes of those of a later run. Pure.

use serde::{Deserialize, Serialize};

use super::edit::{Edit, Field, Values};
use super::{Decision, Document, Item, NotApplied, Review, day};

/// Two boxes of one kind in one picture that share this part of what both cover are the same mark.
const SAME: f32 = 0.7;

/// One mark, as a page draws it and a person decides about it. Pixels are of the stored picture, x to the right and y down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ListedMark {
    /// Short, for people: `mark-2` in mammograms, `lesion-1` in ultrasound images.
    pub id: String,
    /// `mass`, `calcifications`, `asymmetry`, `distortion`; `lesion`.
    pub kind: String,
    /// In English.
    pub words: String,
    /// In Chinese; empty in what older software has listed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words_zh: String,
    /// 0 to 1; no probability for a patient.
    pub score: f32,
    pub sop_instance_uid: String,
    /// Of a clip, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u32>,
    /// Left, top, right, bottom.
    pub bounds: [f32; 4],
    /// What of it a person can edit, as it was found.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub values: Values,
}

impl Item for ListedMark {
    fn id(&self) -> &str {
        &self.id
    }

    fn values(&self) -> &Values {
        &self.values
    }

    fn is_same(&self, other: &Self) -> bool {
        let picture = self.sop_instance_uid == other.sop_instance_uid && self.frame == other.frame;
        picture && self.kind == other.kind && shared(self.bounds, other.bounds) >= SAME
    }
}

/// The part of what two boxes cover that both cover, 0 to 1.
fn shared(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |[left, top, right, bottom]: [f32; 4]| (right - left).max(0.0) * (bottom - top).max(0.0);
    let both = area([a[0].max(b[0]), a[1].max(b[1]), a[2].min(b[2]), a[3].min(b[3])]);
    let either = area(a) + area(b) - both;
    if either > 0.0 { both / either } else { f32::from(u8::from(a == b)) }
}

pub type MarkReview = Review<ListedMark>;

/// A signed review that does not hold for what was found now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub by: String,
    pub why: String,
}

/// All marks of one result, also those that a review took out of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Marked {
    /// See [`super::package`].
    pub package: String,
    pub listed: Vec<ListedMark>,
    /// What a reader has to know beside them, in English: scores, what was withheld and why.
    pub notes: Vec<String>,
    /// The same in Chinese; empty in what older software has listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes_zh: Vec<String>,
    /// What the network learnt from, in English.
    pub learnt: String,
    /// The same in Chinese.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub learnt_zh: String,
    /// That was applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<MarkReview>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// The report that tells of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Document>,
    /// The verdict without a review: what objects of all versions are named by.
    #[serde(skip)]
    pub as_found: String,
}

impl Marked {
    /// Takes the review where it holds; else says why not. `can_be_written`: is the name of who signed one that the results can hold?
    pub fn judge(&mut self, review: Option<&MarkReview>, can_be_written: bool) {
        let Some(review) = review else { return };
        let holds = if can_be_written { review.holds(&self.listed, &self.package) } else { Err(NotApplied::Name) };
        match holds {
            Ok(()) => self.review = Some(review.clone()),
            Err(why) => self.refused = Some(Refused { by: review.by.clone(), why: why.to_string() }),
        }
    }

    pub fn is_rejected(&self, id: &str) -> bool {
        let decisions = self.review.iter().flat_map(|review| &review.decisions);
        decisions.into_iter().any(|one| one.listed.id == id && one.decision == Decision::Rejected)
    }

    /// What a person has changed of one.
    pub fn edit(&self, id: &str) -> Option<&Edit> {
        self.review.as_ref()?.edit(id)
    }

    /// Has a person measured another size than the software?
    pub fn is_resized(&self, id: &str) -> bool {
        self.edit(id).is_some_and(|edit| edit.values.contains_key(&Field::LongMm))
    }

    /// Who reviewed it and what came of that, in English; empty where nobody did.
    pub fn said(&self) -> String {
        if let Some(Refused { by, why }) = &self.refused {
            return format!("the review by {by} was not applied, because {why}");
        }
        self.review.as_ref().map_or_else(String::new, |review| {
            let [accepted, edited, rejected] = Decision::ALL.map(|one| review.count(one));
            let (by, day) = (&review.by, day(&review.utc));
            let edited = if edited > 0 { format!("{edited} edited, ") } else { String::new() };
            format!("reviewed by {by}, {day}: {accepted} accepted, {edited}{rejected} rejected")
        })
    }

    /// A verdict with that.
    pub fn reviewed(&self, verdict: String) -> String {
        let said = self.said();
        if said.is_empty() { verdict } else { format!("{verdict}; {said}") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Decided;
    use super::*;

    fn mark(number: usize, bounds: [f32; 4]) -> ListedMark {
        ListedMark {
            id: format!("mark-{number}"),
            kind: "mass".into(),
            words: "mass in right CC".into(),
            words_zh: "右乳CC位肿块".into(),
            score: 0.8,
            sop_instance_uid: "1.2.3".into(),
            frame: None,
            bounds,
            values: Values::new(),
        }
    }

    fn found(listed: Vec<ListedMark>) -> Marked {
        Marked { package: "mg-breast 1 ab".into(), listed, ..Marked::default() }
    }

    fn signed(listed: &[ListedMark], rejects: &str) -> MarkReview {
        let document = |text: &str| text.to_owned();
        Review {
            by: "Li Ming".into(),
            utc: "2026-11-30T05:00:00.000Z".into(),
            package: "mg-breast 1 ab".into(),
            decisions: listed
                .iter()
                .map(|one| Decided {
                    decision: if one.id == rejects { Decision::Rejected } else { Decision::Accepted },
                    listed: one.clone(),
                    comment: String::new(),
                    edit: None,
                })
                .collect(),
            predecessor: Document {
                study_uid: document("1"),
                series_uid: document("2"),
                sop_class: document("3"),
                sop_uid: document("4"),
            },
        }
    }

    #[test]
    fn a_review_holds_for_the_marks_that_a_person_saw_and_takes_out_what_was_rejected() {
        let two = vec![mark(1, [10.0, 10.0, 30.0, 30.0]), mark(2, [50.0, 50.0, 80.0, 80.0])];
        let review = signed(&two, "mark-2");
        let mut again = found(vec![mark(1, [11.0, 10.0, 31.0, 30.0]), mark(2, [50.0, 51.0, 80.0, 81.0])]);
        again.judge(Some(&review), true);
        assert!(!again.is_rejected("mark-1") && again.is_rejected("mark-2"));
        assert_eq!(again.said(), "reviewed by Li Ming, 2026-11-30 UTC: 1 accepted, 1 rejected");
    }

    /// A decision must never reach another mark than the one that a person saw.
    #[test]
    fn marks_that_are_elsewhere_new_gone_or_of_another_package_are_not_signed() {
        let two = vec![mark(1, [10.0, 10.0, 30.0, 30.0]), mark(2, [50.0, 50.0, 80.0, 80.0])];
        let review = signed(&two, "mark-1");
        let refuses = |listed: Vec<ListedMark>, can_be_written: bool, why: &str| {
            let mut now = found(listed);
            now.judge(Some(&review), can_be_written);
            assert!(now.review.is_none() && !now.is_rejected("mark-1"));
            assert!(now.said().contains(why) && now.said().contains("Li Ming"), "{}", now.said());
        };
        let moved = mark(1, [30.0, 30.0, 50.0, 50.0]);
        refuses(vec![moved, two[1].clone()], true, "mark-1 is not found any more");
        let other = ListedMark { sop_instance_uid: "1.2.4".into(), ..two[0].clone() };
        refuses(vec![other, two[1].clone()], true, "mark-1 is not found any more");
        let kind = ListedMark { kind: "calcifications".into(), ..two[0].clone() };
        refuses(vec![kind, two[1].clone()], true, "mark-1 is not found any more");
        refuses(two[..1].to_vec(), true, "mark-2 is not found any more");
        refuses([two.clone(), vec![mark(3, [0.0; 4])]].concat(), true, "mark-3 is found now");
        refuses(two.clone(), false, "cannot be written");
        let mut now = Marked { package: "mg-breast 2 cd".into(), ..found(two.clone()) };
        now.judge(Some(&review), true);
        assert!(now.review.is_none() && now.said().contains("another model package"));
    }
}
