//! Small cases whose counts are known.

use super::*;

fn lesion(x: f64, side: &str) -> Lesion {
    Lesion { centre_mm: [x, 0.0, 0.0], side: Some(side.into()), confidence: 0.8, ..Lesion::default() }
}

fn nodule(x: f64, diameter_mm: f64) -> Lesion {
    Lesion { diameter_mm: Some(diameter_mm), volume_mm3: Some(100.0), ..lesion(x, "left") }
}

fn node(x: f64, short_axis_mm: f64) -> Lesion {
    Lesion { short_axis_mm: Some(short_axis_mm), long_axis_mm: Some(14.0), ..lesion(x, "left") }
}

#[test]
fn a_small_nodule_need_not_be_found_and_finding_it_is_no_error() {
    let planted = [nodule(0.0, 8.0), nodule(50.0, 5.0)];
    let case = nodules(&planted, &[nodule(50.0, 5.0), nodule(90.0, 5.0)], 0.0);
    assert_eq!((case.planted, case.hit, case.extra), (1, 0, 1));
}

#[test]
fn what_is_smaller_than_the_least_size_is_neither_missed_nor_wrong() {
    let planted = [nodule(0.0, 8.0), nodule(50.0, 12.0)];
    let case = nodules(&planted, &[nodule(50.0, 12.0)], 10.0);
    assert_eq!((case.planted, case.hit, case.extra), (1, 1, 0));
    assert_eq!(lymph_nodes(&[node(0.0, 12.0)], &[], 15.0).planted, 0);
    let part = |ml| Lesion { volume_ml: Some(ml), ..lesion(0.0, "left") };
    let small = sides(&[part(20.0)], &[part(55.0)], 50.0);
    assert_eq!((small.planted, small.hit, small.extra), (0, 0, 0));
    assert_eq!(sides(&[part(60.0)], &[], 50.0).planted, 1);
}

#[test]
fn a_normal_node_reported_as_enlarged_is_an_error() {
    let case = lymph_nodes(&[node(0.0, 12.0), node(50.0, 7.0)], &[node(1.0, 11.0), node(50.0, 10.5)], 0.0);
    assert_eq!((case.planted, case.hit, case.extra), (1, 1, 1));
    assert_eq!(case.errors, [("short axis, mm", -1.0)]);
    assert!(!lymph_nodes(&[node(50.0, 7.0)], &[], 0.0).positive);
}

#[test]
fn a_fracture_on_the_wrong_rib_is_found_but_told() {
    let planted = [Lesion { rib: Some(5), ..lesion(0.0, "right") }];
    let case = rib_fractures(&planted, &[Lesion { rib: Some(6), ..lesion(10.0, "right") }]);
    assert_eq!((case.hit, case.extra), (1, 0));
    assert_eq!(case.errors, [(WRONG_RIB, 1.0)]);
}

#[test]
fn each_side_counts_once_and_its_parts_add_up() {
    let part = |x, side: &str, ml| Lesion { volume_ml: Some(ml), ..lesion(x, side) };
    let found = [part(0.0, "right", 60.0), part(9.0, "right", 50.0), part(0.0, "left", 5.0)];
    let case = sides(&[part(0.0, "right", 100.0)], &found, 0.0);
    assert_eq!((case.planted, case.hit, case.extra), (1, 1, 1));
    assert_eq!(case.errors, [("volume, %", 10.0)]);
}

#[test]
fn calcium_is_compared_as_what_was_reported() {
    let planted =
        Planted { coronary: Some(super::super::read::PlantedCalcium { agatston: 200.0 }), ..Planted::default() };
    let report = |score| CoronaryCalcium { score, lesions: vec![lesion(0.0, "left")] };
    assert_eq!(coronary(&planted, &report(Score::Agatston(190.0))).errors, [("Agatston score, %", -5.0)]);
    assert_eq!(coronary(&planted, &report(Score::Ordinal { grade: 3 })).errors, [("ordinal grade, steps", 1.0)]);
}

#[test]
fn findings_and_truth_are_read_as_they_are_written() {
    let region = r#""number":1,"centre_mm":[1,2,3],"volume_ml":4.5,"mean_hu":10,"confidence":0.7,"key_slice":9"#;
    let findings = format!(
        r#"{{"lungs":{{"done":[]}},"lobes":{{"not_evaluated":"lobes"}},"nodules":{{"not_evaluated":"too thick"}},
        "pneumonia":{{"done":{{"confidence":0.9,"ground_glass":[{{{region}}}],"consolidation":[],"extents":[
            {{"part":"both","volume_ml":4000,"ground_glass_percent":1,"consolidation_percent":0}},
            {{"part":{{"lung":"right"}},"volume_ml":2000,"ground_glass_percent":2,"consolidation_percent":0}},
            {{"part":{{"lobe":"right_upper"}},"volume_ml":700,"ground_glass_percent":6,"consolidation_percent":0}}]}}}},
        "rib_fractures":{{"done":[{{{region},"side":"left","rib":null}}]}},
        "emphysema":{{"done":{{"laa950_percent":7.5,"noise_hu":12,"regions":[]}}}},
        "bronchiectasis":{{"done":[]}},"pleural_effusions":{{"done":[]}},"pneumothoraces":{{"done":[]}},
        "coronary_calcium":{{"done":{{"score":{{"ordinal":{{"grade":2,"reason":"contrast"}}}},"lesions":[]}}}},
        "lymph_nodes":{{"done":[{{{region},"short_axis_mm":11,"long_axis_mm":15}}]}},"timings_ms":[]}}"#
    );
    let truth = r#"{"seed":1,"pneumonia":{"ground_glass_ml":4.0,"consolidation_ml":0.5,"extents":{
        "right":{"ground_glass_percent":2.5,"consolidation_percent":0.5}}},
        "emphysema":{"laa950_percent":8,"right_percent":9,"left_percent":7},"coronary":null}"#;
    let cases = all(&serde_json::from_str(truth).unwrap(), &serde_json::from_str(&findings).unwrap());
    let of = |name: &str| cases.iter().find(|c| c.finding == name).unwrap();
    assert_eq!(of("nodules").not_evaluated.as_deref(), Some("too thick"));
    assert_eq!((of("pneumonia").hit, of("pneumonia").extra), (1, 0));
    assert!(of("pneumonia").errors.contains(&("ground glass of a lung, points", -0.5)));
    assert_eq!((of("emphysema").planted, of("emphysema").hit, of("emphysema").errors[0].1), (1, 0, -0.5));
    assert_eq!(of("rib fractures").extra, 1);
    assert_eq!(of("coronary artery calcification").errors, [("ordinal grade, steps", 2.0)]);
}
