//! The whole task on a chest of ellipsoids; the network is a script that knows nodules by their 200 HU.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use hal::Accelerator;
use hal::accel::scripted::Scripted;
use hal::accel::{AccelFault, Tensor};

use super::*;
use crate::findings::{Mask, Nodule, Region, Side};
use crate::manifest::{self, Channel, Clearance, FORMAT, Input, IntendedUse, Limits, Outputs, Reads, Threshold};
use crate::steps::Cpu;
use crate::task::{TaskFault, Unattended};
use crate::testing::{CORONAL, Chest, FEET_FIRST, PRONE, SUPINE};
use crate::volume::Geometry;

fn package() -> Package {
    let limits = Limits { max_slice_spacing_mm: Some(2.5), ..Limits::default() };
    let manifest = Manifest {
        format: FORMAT,
        id: "test".into(),
        version: "1.0.0".into(),
        task: "ct_chest".into(),
        licence: "Apache-2.0".into(),
        clearance: Clearance::Research,
        intended_use: IntendedUse { modality: "CT".into(), body_part: "CHEST".into(), min_age_years: None },
        reads: Reads::Volume(manifest::Volume {
            findings: [(ChestFinding::Nodule, limits)].into(),
            input: Input { spacing_mm: 2.0, patch: [48, 64, 64], overlap: 16, windows_hu: vec![[-1000.0, 400.0]] },
            outputs: Outputs { channels: vec![Channel::Nodule] },
            thresholds: [(Channel::Nodule, Threshold::plain(0.5, 0.4, 4.0))].into(),
        }),
        variants: Vec::new(),
        golden: None,
        accuracy: None,
        files: BTreeMap::new(),
    };
    Package { directory: PathBuf::new(), manifest, sha256: String::new() }
}

/// Wall (40 HU) reads 0.743 in the window, a nodule (200 HU) 0.857.
fn knows_nodules() -> Scripted {
    Scripted::each_voxel(|v| ((v - 0.75) * 9.0).clamp(0.0, 1.0))
}

fn run_with(chest: &Chest, script: &Scripted) -> Result<ChestFindings, Error> {
    let mut model = script.load(b"network").unwrap();
    run(&chest.volume(), &Acquisition::default(), &package(), (model.as_mut(), &Cpu), &Unattended)
}

fn nodules(chest: &Chest) -> Vec<Nodule> {
    match run_with(chest, &knows_nodules()).unwrap().nodules {
        Evaluated::Done(nodules) => nodules,
        Evaluated::NotEvaluated(why) => panic!("{why}"),
    }
}

#[test]
fn planted_nodules_are_found_where_they_are_and_as_large_as_they_are() {
    let planted = vec![([-70.0, 20.0, -30.0], 6.0), ([60.0, -30.0, 21.0], 10.0), ([75.0, 40.0, 50.0], 4.0)];
    for axes in [SUPINE, PRONE, FEET_FIRST, CORONAL] {
        let chest = Chest { nodules: planted.clone(), axes, spacing_mm: [1.4; 3], ..Chest::default() };
        let found = nodules(&chest);
        assert_eq!(found.len(), planted.len(), "{axes:?}");
        for (centre, radius) in &planted {
            let nodule = found
                .iter()
                .min_by(|a, b| distance(a.centre_mm, *centre).total_cmp(&distance(b.centre_mm, *centre)))
                .unwrap();
            assert!(distance(nodule.centre_mm, *centre) < 1.0, "{nodule:?}");
            assert!((nodule.diameter_mm - 2.0 * radius).abs() < 1.4, "{} for {}", nodule.diameter_mm, 2.0 * radius);
            let volume = 4.0 / 3.0 * std::f64::consts::PI * radius.powi(3);
            assert!((nodule.volume_mm3 / volume - 1.0).abs() < 0.15, "{} for {volume}", nodule.volume_mm3);
            assert!(nodule.mean_hu > 150.0);
            assert_eq!(nodule.side, if centre[0] < 0.0 { Side::Right } else { Side::Left });
            assert!(nodule.long_axis_mm >= nodule.short_axis_mm);
        }
    }
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn a_nodule_at_the_pleura_is_found_without_the_wall() {
    let chest = Chest { nodules: vec![([114.0, 0.0, 0.0], 7.0)], spacing_mm: [1.25; 3], ..Chest::default() };
    let found = nodules(&chest);
    assert_eq!(found.len(), 1);
    assert!((found[0].diameter_mm - 14.0).abs() < 2.0, "{}", found[0].diameter_mm);
}

#[test]
fn nodules_are_numbered_by_confidence_and_too_small_ones_left_out() {
    let chest = Chest {
        nodules: vec![([-70.0, 20.0, -30.0], 6.0), ([60.0, -30.0, 21.0], 10.0), ([70.0, 30.0, 0.0], 1.2)],
        spacing_mm: [1.25; 3],
        ..Chest::default()
    };
    let found = nodules(&chest);
    assert_eq!(found.iter().map(|n| n.number).collect::<Vec<_>>(), [1, 2]);
    assert!(found[0].confidence >= found[1].confidence);
}

#[test]
fn nothing_found_is_a_result() {
    let findings = run_with(&Chest::default(), &Scripted::zeros()).unwrap();
    assert_eq!(findings.nodules, Evaluated::Done(vec![]));
    assert!(matches!(&findings.lungs, Evaluated::Done(lungs) if lungs.len() == 2));
    let stages: Vec<&str> = findings.timings_ms.iter().map(|(s, _)| s.as_str()).collect();
    assert_eq!(stages, ["lungs", "resample", "inference", "postprocess"]);
}

#[test]
fn thick_slices_give_lungs_and_a_named_verdict_without_running_the_network() {
    let script = knows_nodules();
    let findings = run_with(&Chest { spacing_mm: [2.0, 2.0, 5.0], ..Chest::default() }, &script).unwrap();
    let verdict = "nodules not evaluated: slice spacing 5.0 mm, package needs <= 2.5 mm";
    assert_eq!(findings.nodules.refusal().unwrap().to_string(), verdict);
    let Evaluated::Done(lungs) = &findings.lungs else { panic!() };
    assert!(lungs.iter().all(|lung| lung.laa950_percent.is_none()), "no number without its gate");
    let verdict = "pleural effusion not evaluated: the package test 1.0.0 does not look for it";
    assert_eq!(findings.pleural_effusions.refusal().unwrap().to_string(), verdict);
    assert!(matches!(&findings.lobes, Evaluated::Done(lobes) if lobes.len() == 5));
    assert_eq!(script.runs(), 0);
}

/// A package that takes thick slices, in which it leaves out what is small.
fn thick() -> Package {
    let mut package = package();
    let Reads::Volume(volume) = &mut package.manifest.reads else { panic!() };
    let least_size = vec![[2.5, 4.0], [5.0, 10.0]];
    volume.findings =
        [(ChestFinding::Nodule, Limits { max_slice_spacing_mm: Some(5.0), least_size, ..Limits::default() })].into();
    package
}

#[test]
fn in_thick_slices_small_nodules_are_left_out_and_the_findings_say_so() {
    let planted = vec![([-70.0, 20.0, -30.0], 4.0), ([60.0, -30.0, 20.0], 9.0)];
    let chest = |slice_mm| Chest { nodules: planted.clone(), spacing_mm: [1.25, 1.25, slice_mm], ..Chest::default() };
    let found = |slice_mm, acquisition: &Acquisition| {
        let mut model = knows_nodules().load(b"network").unwrap();
        run(&chest(slice_mm).volume(), acquisition, &thick(), (model.as_mut(), &Cpu), &Unattended).unwrap()
    };
    let plain = Acquisition::default();
    let count = |findings: &ChestFindings| match &findings.nodules {
        Evaluated::Done(nodules) => nodules.len(),
        Evaluated::NotEvaluated(why) => panic!("{why}"),
    };
    let findings = found(5.0, &plain);
    assert_eq!(count(&findings), 1);
    let least = findings.least_size(ChestFinding::Nodule).unwrap();
    assert_eq!((least.words().as_str(), least.slice_mm), ("10 mm", 5.0));
    let json = serde_json::to_value(&findings).unwrap();
    assert_eq!(
        json["least_sizes"],
        serde_json::json!([{ "finding": "nodule", "size": 10.0, "unit": "mm", "slice_mm": 5.0 }])
    );

    let thin = found(2.0, &plain);
    assert_eq!((count(&thin), thin.least_sizes.len()), (2, 0), "the size that the threshold leaves out is not told");
    let overlapping = found(2.0, &Acquisition { slice_thickness_mm: Some(5.0), ..plain.clone() });
    assert_eq!((count(&overlapping), overlapping.least_sizes.len()), (1, 1), "thick slices that overlap are thick");

    let too_thick = found(2.0, &Acquisition { slice_thickness_mm: Some(8.0), ..plain });
    assert_eq!(too_thick.least_sizes, [], "nothing is said of a finding that is not evaluated");
    let reason = "nodules not evaluated: slices 8.0 mm thick, package needs <= 5.0 mm";
    assert_eq!(too_thick.nodules.refusal().unwrap().to_string(), reason);
}

#[test]
fn a_lesion_longer_than_30_mm_is_a_mass_wherever_it_replaces_lung() {
    for (centre, why) in [([-70.0, 0.0, 0.0], "inside"), ([70.0, 62.0, 0.0], "at the chest wall")] {
        for slice_mm in [2.0, 5.0, 8.0] {
            let spacing_mm = [1.5, 1.5, slice_mm];
            let chest = Chest { nodules: vec![(centre, 20.0)], spacing_mm, ..Chest::default() };
            let mut package = package();
            let Reads::Volume(volume) = &mut package.manifest.reads else { panic!() };
            volume.findings = [(ChestFinding::Nodule, Limits::default())].into();
            let mut model = knows_nodules().load(b"network").unwrap();
            let run =
                run(&chest.volume(), &Acquisition::default(), &package, (model.as_mut(), &Cpu), &Unattended).unwrap();
            let Evaluated::Done(found) = run.nodules else { panic!("{why}, {slice_mm} mm: {:?}", run.nodules) };
            let [mass] = found.as_slice() else { panic!("{why}, {slice_mm} mm: {}", found.len()) };
            assert_eq!(mass.form, Form::Mass, "{why}");
            assert!((mass.size_mm() - 40.0).abs() < 4.0, "{why}, {slice_mm} mm: {}", mass.size_mm());
            let volume = 4.0 / 3.0 * std::f64::consts::PI * 20f64.powi(3);
            assert!((mass.volume_mm3 / volume - 1.0).abs() < 0.15, "{why}, {slice_mm} mm: {}", mass.volume_mm3);
        }
    }
    let nodule = Chest { nodules: vec![([-70.0, 0.0, 0.0], 14.0)], spacing_mm: [1.5; 3], ..Chest::default() };
    assert!(nodules(&nodule).iter().all(|one| one.form == Form::Nodule));
    assert_eq!([30.0, 30.04, 30.1].map(Form::of), [Form::Nodule, Form::Nodule, Form::Mass], "30.04 mm reads 30.0 mm");
}

fn with_threshold(change: impl Fn(&mut Threshold)) -> Package {
    let mut package = package();
    let Reads::Volume(volume) = &mut package.manifest.reads else { panic!() };
    volume.thresholds.values_mut().for_each(change);
    package
}

#[test]
fn a_large_solid_lesion_that_the_network_is_not_sure_of_is_left_out_and_a_small_one_is_not() {
    // 200 HU give a probability of 0.96.
    let planted = vec![([-70.0, 20.0, -30.0], 4.0), ([60.0, -30.0, 20.0], 9.0)];
    let chest = Chest { nodules: planted, spacing_mm: [1.25; 3], ..Chest::default() };
    for (confidence, expected) in [(0.95, 2), (0.985, 1)] {
        let package = with_threshold(|one| one.large = Some(manifest::Large { from: 10.0, confidence }));
        let mut model = knows_nodules().load(b"network").unwrap();
        let run = run(&chest.volume(), &Acquisition::default(), &package, (model.as_mut(), &Cpu), &Unattended).unwrap();
        let Evaluated::Done(found) = run.nodules else { panic!() };
        assert_eq!(found.len(), expected, "{confidence}");
        assert!(confidence < 0.96 || found[0].diameter_mm < 10.0);
    }
}

#[test]
fn what_only_one_way_of_looking_shows_is_not_reported() {
    let chest = Chest { nodules: vec![([-70.0, 20.0, -30.0], 6.0)], spacing_mm: [1.5; 3], ..Chest::default() };
    // Patches of the first pass come first: how many there are is seen in a run without second look.
    let first = {
        let script = knows_nodules();
        run_with(&chest, &script).unwrap();
        script.runs()
    };
    let found = |look_again: Option<f32>| {
        let runs = AtomicUsize::new(0);
        let script = Scripted::new(move |inputs: &[Tensor]| {
            let again = runs.fetch_add(1, Ordering::Relaxed) >= first;
            let value = |v: &f32| if again { 0.2 } else { ((v - 0.75) * 9.0).clamp(0.0, 1.0) };
            Ok(vec![Tensor { shape: inputs[0].shape.clone(), data: inputs[0].data.iter().map(value).collect() }])
        });
        let package = with_threshold(|one| one.look_again = look_again);
        let mut model = script.load(b"network").unwrap();
        let run = run(&chest.volume(), &Acquisition::default(), &package, (model.as_mut(), &Cpu), &Unattended).unwrap();
        let Evaluated::Done(found) = run.nodules else { panic!() };
        (found.len(), script.runs() > first)
    };
    assert_eq!(found(None), (1, false));
    assert_eq!(found(Some(0.5)), (0, true), "0.96 at the first look, 0.2 at three others");
}

/// Every number of a JSON value, with its path.
fn numbers(path: &str, value: &serde_json::Value, all: &mut Vec<(String, f64)>) {
    match value {
        serde_json::Value::Number(number) => all.push((path.to_owned(), number.as_f64().unwrap())),
        serde_json::Value::Array(items) => items.iter().for_each(|item| numbers(path, item, all)),
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| numbers(&format!("{path}/{key}"), field, all));
        }
        _ => {}
    }
}

#[test]
fn where_one_gate_is_open_no_number_of_another_finding_is_there() {
    let planted = vec![([-70.0, 20.0, -30.0], 9.0), ([0.0, -30.0, -30.0], 9.0)];
    let volume = Chest { nodules: planted, ..Chest::default() }.volume();
    for open in ChestFinding::ALL {
        let mut plan = testing::plan();
        for (finding, limits) in &mut plan.limits {
            let least_size = if *finding == ChestFinding::Emphysema { Vec::new() } else { vec![[1.0, 0.001]] };
            let max_slice_spacing_mm = Some(if *finding == open { 5.0 } else { 1.0 });
            *limits = Limits { max_slice_spacing_mm, least_size, ..Limits::default() };
        }
        let mut model = all_ten().load(b"network").unwrap();
        let findings = by_plan(&volume, &Acquisition::default(), &plan, (model.as_mut(), &Cpu), &Unattended).unwrap();
        let mut all = Vec::new();
        let json = serde_json::to_value(ChestFindings { timings_ms: Vec::new(), ..findings.clone() }).unwrap();
        numbers("", &json, &mut all);
        let of = |part: &str| all.iter().any(|(path, _)| path.starts_with(&format!("/{part}/")));
        for finding in ChestFinding::ALL {
            assert_eq!(findings.refusal(finding).is_some(), finding != open);
            assert!(finding == open || !of(finding.field()), "{finding:?} beside {open:?}");
            assert!(finding == open || findings.least_size(finding).is_none(), "{finding:?} beside {open:?}");
        }
        let laa = all.iter().any(|(path, _)| path.ends_with("laa950_percent"));
        assert_eq!(laa, open == ChestFinding::Emphysema, "{open:?}");
    }
}

#[test]
fn a_volume_without_lungs_gives_reasons_for_both() {
    let volume = Chest { nodules: vec![([0.0; 3], 500.0)], ..Chest::default() }.volume();
    let mut model = knows_nodules().load(b"network").unwrap();
    let findings = run(&volume, &Acquisition::default(), &package(), (model.as_mut(), &Cpu), &Unattended).unwrap();
    assert!(matches!(findings.lungs, Evaluated::NotEvaluated(_)));
    assert_eq!(findings.nodules.refusal().unwrap().to_string(), "nodules not evaluated: no lungs were found");
}

#[test]
fn part_of_the_lungs_is_searched_though_it_is_not_measured() {
    let chest = Chest { z_mm: [-20.0, 126.0], nodules: vec![([-70.0, 20.0, 20.0], 6.0)], ..Chest::default() };
    let findings = run_with(&chest, &knows_nodules()).unwrap();
    assert!(matches!(findings.lungs, Evaluated::NotEvaluated(_)));
    assert!(matches!(&findings.nodules, Evaluated::Done(n) if n.len() == 1), "{:?}", findings.nodules);
}

#[test]
fn what_the_end_of_the_scan_cuts_is_no_nodule() {
    let at = |z: f64| ([-70.0, 20.0, z], 6.0);
    let chest = Chest { z_mm: [-20.0, 126.0], nodules: vec![at(-19.0), at(20.0)], ..Chest::default() };
    let found = nodules(&chest);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!((found[0].centre_mm[2] - 20.0).abs() < 1.0);
    let alone = run_with(&Chest { nodules: vec![at(-19.0)], ..chest }, &knows_nodules()).unwrap();
    assert_eq!(alone.nodules.refusal().unwrap().reason, Reason::ScanEndsBelow, "and none is called absent");
}

/// A tumour at the end of a scan lost 48 % of its volume, and nothing said so of its size.
#[test]
fn what_reaches_an_end_of_the_scan_is_named_as_cut_off_there() {
    let geometry = Geometry {
        dims: [64, 64, 100],
        spacing_mm: [1.0, 1.0, 5.0],
        origin_mm: [0.0; 3],
        axes: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    };
    for (first, slices, is_cut) in [(0, 20, true), (80, 20, true), (1, 98, false)] {
        let mask = Mask { origin: [30, 30, first], size: [2, 2, slices], voxels: vec![1; 4 * slices] };
        let (centre_mm, key_slice) = ([0.0; 3], first);
        let region = Region { number: 1, centre_mm, volume_ml: 1.0, mean_hu: 5.0, confidence: 0.9, key_slice, mask };
        let mut findings = ChestFindings::none(&Reason::OneLung);
        findings.pleural_effusions = Evaluated::Done(vec![PleuralEffusion { side: Side::Left, region }]);
        let expected: &[ChestFinding] = if is_cut { &[ChestFinding::PleuralEffusion] } else { &[] };
        assert_eq!(findings.cut_off(&geometry), expected, "{slices} from {first}");
    }
    assert_eq!(ChestFindings::none(&Reason::OneLung).cut_off(&geometry), []);
}

#[test]
fn answers_that_are_no_probabilities_are_errors_and_never_findings() {
    for value in [f32::NAN, f32::INFINITY, 2.0, -0.5] {
        let error = run_with(&Chest::default(), &Scripted::each_voxel(move |_| value)).unwrap_err();
        assert_eq!(error.kind(), TaskFault::BadOutput, "{error}");
    }
}

#[test]
fn an_answer_of_another_shape_is_a_bad_model() {
    let script = Scripted::new(|_| Ok(vec![Tensor { shape: vec![1], data: vec![0.0] }]));
    assert_eq!(run_with(&Chest::default(), &script).unwrap_err().kind(), TaskFault::BadModel);
}

#[test]
fn a_failure_of_the_accelerator_keeps_its_kind() {
    let script = knows_nodules().failing_after(3, AccelFault::OutOfMemory);
    let error = run_with(&Chest::default(), &script).unwrap_err();
    assert_eq!(error.kind(), TaskFault::Accelerator(AccelFault::OutOfMemory));
}

#[derive(Default)]
struct CancelAfter {
    reports: AtomicUsize,
    limit: usize,
}

impl Control for CancelAfter {
    fn progress(&self, stage: &str, fraction: f64) {
        assert!((0.0..=1.0).contains(&fraction));
        if stage == "inference" {
            self.reports.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn cancelled(&self) -> bool {
        self.reports.load(Ordering::SeqCst) >= self.limit
    }
}

#[test]
fn cancelling_stops_before_the_next_patch() {
    let script = knows_nodules();
    let mut model = script.load(b"network").unwrap();
    let control = CancelAfter { limit: 2, ..CancelAfter::default() };
    let error = run(&Chest::default().volume(), &Acquisition::default(), &package(), (model.as_mut(), &Cpu), &control)
        .unwrap_err();
    assert_eq!((error.kind(), script.runs()), (TaskFault::Cancelled, 2));
}

#[test]
fn the_number_of_threads_changes_no_finding() {
    let chest = Chest { nodules: vec![([-70.0, 20.0, -30.0], 6.0)], ..Chest::default() };
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let findings = pool.install(|| run_with(&chest, &knows_nodules()).unwrap());
        (findings.lungs, findings.nodules)
    };
    assert_eq!(on(1), on(4));
}

/// Ten channels, each of them the same: brighter than the wall, surer.
fn all_ten() -> Scripted {
    Scripted::new(|inputs: &[Tensor]| {
        let image = &inputs[0];
        let one: Vec<f32> = image.data.iter().map(|v| ((v - 0.75) * 9.0).clamp(0.0, 1.0)).collect();
        let mut shape = image.shape.clone();
        shape[1] = 10;
        Ok(vec![Tensor { shape, data: one.repeat(10) }])
    })
}

#[test]
fn all_nine_come_from_one_pass_whatever_the_number_of_threads() {
    // One in a lung, one between the lungs: a lymph node is no node in a lung.
    let planted = vec![([-70.0, 20.0, -30.0], 9.0), ([0.0, -30.0, -30.0], 9.0)];
    let chest = Chest { nodules: planted, ..Chest::default() };
    let volume = chest.volume();
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut model = all_ten().load(b"network").unwrap();
            let plan = testing::plan();
            let mut findings =
                by_plan(&volume, &Acquisition::default(), &plan, (model.as_mut(), &Cpu), &Unattended).unwrap();
            findings.timings_ms.clear();
            findings
        })
    };
    let findings = on(1);
    assert_eq!(findings, on(4));
    for finding in serde_json::to_value(&findings).unwrap().as_object().unwrap() {
        assert!(!finding.1.to_string().contains("not evaluated"), "{finding:?}");
    }
    let Evaluated::Done(nodes) = findings.lymph_nodes else { panic!() };
    assert!((nodes[0].short_axis_mm - 18.0).abs() < 2.0, "{}", nodes[0].short_axis_mm);
}

#[test]
fn sim_a_chest_whose_patches_stay_on_a_card_has_the_findings_of_the_processor() {
    use hal::accel::tensorrt::{TENSORRT_KEY, simulated_ffi::Simulated};
    use hal::cuda::simulated_ffi::Driver;

    if std::env::var_os(TENSORRT_KEY).is_some_and(|value| !value.is_empty()) {
        needs::skip(needs::Lack::Host, format_args!("{TENSORRT_KEY} is set: it wins over the simulated one"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::load(folder.path(), &[]).unwrap();
    let library = Simulated::load(folder.path(), 10_701).unwrap();
    let config = hal::accel::AcceleratorConfig {
        provider: "tensorrt".into(),
        tensorrt: library.folder.clone(),
        ..hal::accel::AcceleratorConfig::default()
    };
    // Answers what it reads: wall 0.743, a nodule 0.857.
    let mut card = hal::accel::open(&config).unwrap().load(b"Add patches 1 1 48 64 64").unwrap();
    let mut package = package();
    let manifest::Reads::Volume(reads) = &mut package.manifest.reads else { panic!() };
    reads.thresholds = [(Channel::Nodule, Threshold::plain(0.8, 0.8, 4.0))].into();
    let planted = vec![([-70.0, 20.0, -30.0], 8.0), ([60.0, -30.0, 21.0], 10.0)];
    let chest = Chest { nodules: planted, spacing_mm: [1.4; 3], ..Chest::default() };
    let found = |model: &mut dyn LoadedModel| {
        let findings =
            run(&chest.volume(), &Acquisition::default(), &package, (model, &Cpu), &Unattended).unwrap().nodules;
        let Evaluated::Done(nodules) = findings else { panic!("{findings:?}") };
        assert_eq!(nodules.len(), 2);
        format!("{nodules:?}")
    };
    let script = Scripted::each_voxel(|v| v);
    let want = found(script.load(b"network").unwrap().as_mut());
    let down = driver.say(c"bytes down", 0);
    assert_eq!(found(card.as_mut()), want);
    assert_eq!(library.say(c"runs", 0), script.runs() as i64 + 1, "each patch once, and the probe");
    let patches = 48 * 64 * 64 * 4 * script.runs() as i64;
    assert!(driver.say(c"bytes down", 0) - down < patches / 2, "and most of it stayed on the card");
}
