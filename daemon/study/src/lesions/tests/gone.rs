//! What a late analysis says of an exam of which pictures were evicted or damaged.

use super::*;

/// Sent again after its pictures were evicted, in part or with one more.
#[test]
fn what_was_seen_in_pictures_that_are_gone_stays_and_what_was_looked_at_in_vain_does_not_count() {
    let mut its = Box::new();
    let mut exam = visit(someone(), date(2026, 1, 10), placed(Side::Left), 20.0);
    let mut other = exam.sightings[0].clone();
    (other.shown.object_uid, other.place) = ("1.2.b".into(), placed(Side::Right));
    exam.sightings.push(other);
    assert_eq!(its.record(&exam).new, 2);
    let sides = |its: &Box| -> Vec<_> {
        listed::list(&its.connection, None, 0).unwrap().lesions.iter().map(|lesion| lesion.place.side).collect()
    };
    let late = |looked_at: &[&str]| Visit {
        sightings: Vec::new(),
        has_gone: true,
        looked_at: Some(looked_at.iter().map(|uid| (*uid).to_owned()).collect()),
        ..exam.clone()
    };
    its.record(&late(&["1.2.c"]));
    assert_eq!(sides(&its), [Some(Side::Left), Some(Side::Right)], "another picture has come, these two are gone");
    its.record(&late(&["1.2.b", "1.2.c"]));
    assert_eq!(sides(&its), [Some(Side::Left)], "looked at, and nothing is there");
    assert_eq!(its.record(&visit(someone(), date(2027, 1, 10), placed(Side::Left), 21.0)).same, 1, "it is still known");
}

#[test]
fn an_exam_of_which_pictures_are_gone_opens_no_recall_again_that_it_had_met() {
    let (mut its, exam, due) = met();
    let late = Visit { sides: vec![Side::Right], has_gone: true, sightings: Vec::new(), ..exam.clone() };
    its.record(&late);
    let open = |its: &Box| its.recalls(due, false).len();
    assert_eq!(open(&its), 0, "only a picture of the right breast is left");
    its.record(&Visit { person: person("Li^Si", "19810303"), ..late.clone() });
    assert_eq!(open(&its), 1, "it was another person's");
    its.record(&exam);
    its.record(&Visit { has_gone: false, ..late });
    assert_eq!(open(&its), 1, "all pictures are here, and none shows the left breast");
}
