//! What an edit makes of a result: the person's values with those of the software beside them, what follows from them found again, and
//! nothing that they make false.

use dicom_dictionary_std::tags;
use dicom_object::mem::InMemDicomObject;
use models::findings::{ChestFinding, Evaluated, Form, Nodule, NoduleType};
use models::review::edit::{self, Edit, Field, Values};
use models::review::{self, Decided, Decision, Listed, Review};

use crate::impression::{self, Advice, Category, Follow};
use crate::review_tests::{PACKAGE, document, items, objects, report, said, segments, text};
use crate::testing::{self, Case};
use crate::words::{self, Language};

/// The case of nine findings, with these fields of one of them edited and the rest accepted.
fn edited(id: &str, asked: &[(&str, &str)]) -> Case {
    let mut case = testing::case(9);
    let asked: Vec<_> = asked.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let decide = |listed: Listed| {
        let is = listed.id == id;
        let values = if is { edit::check(&listed.values, &asked).unwrap() } else { Values::new() };
        let edit = is.then(|| Edit { by: "Li Ming".into(), values });
        let comment = if is { "callipers".to_owned() } else { String::new() };
        let decision = if is { Decision::Edited } else { Decision::Accepted };
        Decided { listed, decision, comment, edit }
    };
    let review = Review {
        by: "Wang Fang".into(),
        utc: "2026-11-28T21:30:00.000Z".into(),
        package: PACKAGE.into(),
        decisions: review::list(&case.findings).into_iter().map(decide).collect(),
        predecessor: document(),
    };
    review::apply(&mut case.findings, Some(&review), PACKAGE, true);
    assert!(case.findings.review.is_some());
    case
}

fn nodules(case: &Case) -> &[Nodule] {
    let Evaluated::Done(all) = &case.findings.nodules else { panic!("there are some") };
    all
}

fn code(object: &InMemDicomObject, tag: dicom_core::Tag) -> String {
    items(object, tag).first().map(|code| text(code, tags::CODE_VALUE)).unwrap_or_default()
}

/// Measurement groups with this label.
fn groups(report: &InMemDicomObject, label: &str) -> Vec<InMemDicomObject> {
    let own = items(report, tags::CONTENT_SEQUENCE);
    let is = own
        .iter()
        .any(|one| text(one, tags::TEXT_VALUE) == label && code(one, tags::CONCEPT_NAME_CODE_SEQUENCE) == "112039");
    if is { vec![report.clone()] } else { own.iter().flat_map(|one| groups(one, label)).collect() }
}

/// Code, number, and the status of each measurement of a group.
fn numbers(group: &InMemDicomObject) -> Vec<(String, String, String)> {
    let all = items(group, tags::CONTENT_SEQUENCE);
    let one = |item: &InMemDicomObject| {
        let value = items(item, tags::MEASURED_VALUE_SEQUENCE).first().map(|value| text(value, tags::NUMERIC_VALUE))?;
        let below = items(item, tags::CONTENT_SEQUENCE);
        let status = below.iter().find(|one| code(one, tags::CONCEPT_NAME_CODE_SEQUENCE) == "121404");
        let status = status.map(|one| code(one, tags::CONCEPT_CODE_SEQUENCE)).unwrap_or_default();
        Some((code(item, tags::CONCEPT_NAME_CODE_SEQUENCE), value, status))
    };
    all.iter().filter_map(one).collect()
}

const LONG: &str = "103339001";
const SHORT: &str = "103340004";

#[test]
fn an_edited_size_takes_its_place_everywhere_and_what_it_makes_false_is_withheld() {
    let plain = testing::case(9);
    let case = edited("nodule-2", &[("long_mm", "7.4"), ("short_mm", "6.2")]);
    let nodule = nodules(&case).iter().find(|one| one.number == 2).unwrap();
    assert_eq!((nodule.diameter_mm, nodule.lung_rads), (f64::midpoint(7.4, 6.2), Some("3")), "by the same rules");
    assert!(nodule.volume_mm3.is_nan() && nodule.mean_hu.is_nan());
    let (made, report) = (objects(&case), report(&case));
    assert!(segments(&objects(&plain)).contains("Nodule 2") && !segments(&made).contains("Nodule 2"), "another size");
    assert!(segments(&made).contains("Nodule 1"));
    let groups = groups(&report, "Nodule 2");
    assert_eq!(groups.len(), 1, "with a circle where it is");
    let regions = items(&groups[0], tags::CONTENT_SEQUENCE);
    assert_eq!(regions.iter().filter(|one| text(one, tags::VALUE_TYPE) == "SCOORD").count(), 2);
    let chosen = |name: &str, value: &str| (name.to_owned(), value.to_owned(), "121410".to_owned());
    for group in &groups {
        let numbers = numbers(group);
        assert!(numbers.contains(&chosen(LONG, "7.4")) && numbers.contains(&chosen(SHORT, "6.2")), "{numbers:?}");
        let of_outline = ["118565006", "112031"];
        assert!(!numbers.iter().any(|(name, ..)| of_outline.contains(&name.as_str())), "{numbers:?}");
    }
    assert!(numbers(&self::groups(&report, "Nodule 1")[0]).iter().all(|(_, _, status)| status.is_empty()));
    let was = &plain.findings;
    let Evaluated::Done(before) = &was.nodules else { panic!() };
    let before = before.iter().find(|one| one.number == 2).unwrap();
    let sentence = format!(
        "Nodule 2 edited by Li Ming: long axis 7.4 mm (was: {:.1} mm), short axis 6.2 mm (was: {:.1} mm); withheld, as the software \
         measured another size: its outline, volume, attenuation and growth; callipers",
        before.long_axis_mm, before.short_axis_mm
    );
    assert!(said(&report).contains(&sentence), "{:?}", said(&report));
    assert!(said(&report).iter().any(|text| text.contains("1 of 13 findings were edited on review by Li Ming")));
    let texts = said(&report).join("\n");
    assert!(!texts.contains(&format!("{:.1} mm, ", before.long_axis_mm)) || texts.contains("was:"));
    assert_eq!(words::edited(&case.findings, Language::English), [sentence]);
    let chinese = words::edited(&case.findings, Language::Chinese).concat();
    for word in ["结节 2 已由 Li Ming 修改", "长径 7.4 mm（原为：", "不再给出", "callipers"] {
        assert!(chinese.contains(word), "{word}: {chinese}");
    }
}

#[test]
fn a_nodule_that_a_person_measures_as_a_mass_is_one_and_keeps_its_track() {
    let plain = testing::case(9);
    let case = edited("nodule-1", &[("long_mm", "34"), ("short_mm", "30")]);
    assert_eq!(nodules(&case)[0].form, Form::Mass);
    let track = |report: &InMemDicomObject, label: &str| {
        let group = groups(report, label).remove(0);
        let uid = items(&group, tags::CONTENT_SEQUENCE)
            .iter()
            .find_map(|one| (code(one, tags::CONCEPT_NAME_CODE_SEQUENCE) == "112040").then(|| text(one, tags::UID)));
        uid.unwrap()
    };
    let after = report(&case);
    assert_eq!(track(&report(&plain), "Nodule 1"), track(&after, "Mass 1"));
    assert!(
        said(&after).iter().any(|text| text.starts_with("Mass 1 edited by Li Ming: long axis 34.0 mm")),
        "in words, too"
    );
    assert!(said(&after).iter().any(|text| text.contains("callipers")), "with its comment");
}

fn advice(case: &Case) -> Vec<Advice> {
    let all = impression::conclusions(&case.findings, 1.0);
    all.into_iter().find(|one| one.finding == ChestFinding::Nodule).map(|one| one.advice).unwrap_or_default()
}

#[test]
fn recommendations_follow_the_edited_values_by_the_same_rule() {
    let follow = |case: &Case| {
        advice(case).iter().find_map(|one| match one {
            Advice::Fleischner { follow, .. } => Some(*follow),
            _ => None,
        })
    };
    let category = |case: &Case| {
        advice(case).iter().find_map(|one| match one {
            Advice::LungRads { category, .. } => Some(*category),
            _ => None,
        })
    };
    assert_eq!(follow(&testing::case(9)), Some(Follow::SeveralSolid));
    let case = edited("nodule-1", &[("type", "part_solid"), ("long_mm", "9"), ("short_mm", "8")]);
    let one = nodules(&case).iter().find(|one| one.number == 1).unwrap();
    assert_eq!((one.kind, one.lung_rads), (Some(NoduleType::PartSolid), None), "nobody measured the solid part");
    let sentence = words::edited(&case.findings, Language::English).concat();
    assert!(sentence.contains("no Lung-RADS size class of it, nor a category of all"), "{sentence}");
    assert_eq!(category(&case), None, "that of this nodule may be the highest");
    assert!(follow(&case) >= Some(Follow::SeveralSolid));
    let benign = edited("nodule-1", &[("type", "calcified")]);
    assert_eq!(nodules(&benign)[0].lung_rads, Some("1"));
    assert!(category(&benign) <= Some(Category::FourA));
}

#[test]
fn what_is_edited_only_in_words_keeps_its_outline_and_its_volume() {
    let plain = testing::case(9);
    let case = edited("nodule-2", &[("lobe", "left_upper")]);
    let (before, after) = (&nodules(&plain)[1], &nodules(&case)[1]);
    assert_eq!((after.volume_mm3, after.mask.count()), (before.volume_mm3, before.mask.count()));
    assert_eq!(segments(&objects(&plain)), segments(&objects(&case)));
    assert!(after.lung_rads == before.lung_rads, "the lobe says nothing of the size class");
    let sentence = words::edited(&case.findings, Language::English).concat();
    assert!(sentence.contains("lobe left upper lobe (was: ") && !sentence.contains("withheld"), "{sentence}");
    // A side without a lobe of it: the lobe that was found lies on the other one.
    let case = edited("nodule-2", &[("side", if before.side.as_str() == "left" { "right" } else { "left" })]);
    assert_eq!(nodules(&case)[1].lobe, None);
}

#[test]
fn a_node_that_is_no_enlarged_one_by_its_edited_size_is_left_out_and_that_is_said() {
    let case = edited("lymph-node-1", &[("long_mm", "12"), ("short_mm", "9.9")]);
    assert_eq!(case.findings.is_found(ChestFinding::LymphNode), Some(false));
    let sentence = words::edited(&case.findings, Language::English).concat();
    assert!(sentence.contains("no enlarged node"), "{sentence}");
    let larger = edited("lymph-node-1", &[("long_mm", "21"), ("short_mm", "14")]);
    let group = groups(&report(&larger), "Lymph node 1").remove(0);
    let numbers = numbers(&group);
    assert!(numbers.contains(&(SHORT.to_owned(), "14".to_owned(), "121410".to_owned())), "{numbers:?}");
    assert!(!numbers.iter().any(|(name, ..)| name == "118565006"), "its volume was that of another size");
}

#[test]
fn fractures_effusions_and_bronchiectasis_get_their_place() {
    let case = edited("rib-fracture-1", &[("side", "left"), ("rib", "9")]);
    let line = words::line(&case.findings, ChestFinding::RibFracture, Language::English).text;
    assert!(line.contains("left rib 9"), "{line}");
    let was = Values::from([(Field::Side, "right".into())]);
    let Evaluated::Done(effusions) = &testing::case(9).findings.pleural_effusions else { panic!() };
    let other = if effusions[0].side.as_str() == was[&Field::Side] { "left" } else { "right" };
    let case = edited("pleural-effusion-1", &[("side", other)]);
    let line = words::line(&case.findings, ChestFinding::PleuralEffusion, Language::English).text;
    assert!(line.starts_with(other), "{line}");
    let case = edited("bronchiectasis-1", &[("lobe", "right_middle")]);
    let line = words::line(&case.findings, ChestFinding::Bronchiectasis, Language::English).text;
    assert!(line.contains("right middle lobe"), "{line}");
}

#[test]
fn objects_of_an_edit_have_uids_of_their_own() {
    let uids = |case: &Case| objects(case).into_iter().map(|object| object.sop_uid).collect::<Vec<_>>();
    let [one, other] = ["7.4", "7.5"].map(|mm| uids(&edited("nodule-2", &[("long_mm", mm), ("short_mm", "6.2")])));
    assert!(one.iter().all(|uid| !other.contains(uid)));
    assert_eq!(one, uids(&edited("nodule-2", &[("long_mm", "7.4"), ("short_mm", "6.2")])), "the same again");
}
