//! Every value that a manifest may not have, refused by its key.

use super::*;
use crate::findings::ChestFinding;

/// Without `[files]` hashes that mean anything.
fn text() -> String {
    let zeros = "0".repeat(64);
    format!(
        r#"format = 1
id = "ct-chest"
version = "0.2.0"
task = "ct_chest"
licence = "Apache-2.0"
clearance = "research"
[intended_use]
modality = "CT"
body_part = "CHEST"
min_age_years = 18.0
[intended_use.findings.nodule]
max_slice_spacing_mm = 2.5
contrast = "any"
kernels = "soft"
[intended_use.findings.emphysema]
[input]
spacing_mm = 1.5
patch = [96, 96, 96]
overlap = 24
windows_hu = [[-1000.0, 400.0], [-150.0, 850.0]]
[outputs]
channels = ["emphysema", "nodule"]
[thresholds.nodule]
confidence = 0.9
mask = 0.4
min_size = 3.0
[thresholds.emphysema]
confidence = 0.5
mask = 0.5
min_size = 1.0
[[variants]]
accelerator = "cuda"
precision = "fp16"
network = "half.onnx"
[[variants]]
accelerator = "any"
precision = "fp32"
network = "full.onnx"
[golden]
input = "golden/input.npy"
expected = "golden/expected.npy"
tolerance = 0.02
[files]
"half.onnx" = "{zeros}"
"full.onnx" = "{zeros}"
"golden/input.npy" = "{zeros}"
"golden/expected.npy" = "{zeros}"
"#
    )
}

#[test]
fn every_key_is_read() {
    let manifest = Manifest::parse(&text()).unwrap();
    let volume = manifest.volume().unwrap();
    assert_eq!((volume.channel(Channel::Nodule), volume.channel(Channel::LymphNode)), (Some(1), None));
    assert_eq!(volume.findings[&ChestFinding::Nodule].kernels, Kernels::Soft);
    assert_eq!(volume.findings[&ChestFinding::Emphysema], Limits::default());
    assert_eq!(manifest.findings(), ["nodule", "emphysema"]);
    assert!(manifest.picture().is_none());
    let network = |provider| manifest.fitting(provider).first().map(|v| v.network.as_str());
    assert_eq!(
        (network("cuda"), network("cpu"), network("tensorrt")),
        (Some("half.onnx"), Some("full.onnx"), Some("full.onnx"))
    );
    assert!(
        manifest.parameters().starts_with("nodule confidence 0.9 mask 0.4 min-size 3;"),
        "{}",
        manifest.parameters()
    );
    for channel in Channel::ALL {
        assert_eq!(serde_json::to_value(channel).unwrap(), channel.as_str());
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    for (from, to, line) in
        [("overlap =", "overlaps =", 19), ("kernels =", "kernel =", 14), ("mask = 0.4", "masks = 0.4", 25)]
    {
        let error = Manifest::parse(&text().replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(&format!("line {line},")) && error.contains("unknown field"), "{error}");
    }
}

#[test]
fn a_value_out_of_range_is_refused_by_key() {
    for (from, to, key) in [
        ("format = 1", "format = 2", "format"),
        ("\"ct-chest\"", "\"../ct-chest\"", "id"),
        ("0.2.0", "0.2", "version"),
        ("min_age_years = 18.0", "min_age_years = -1.0", "intended_use.min_age_years"),
        ("max_slice_spacing_mm = 2.5", "max_slice_spacing_mm = nan", "intended_use.findings.Nodule"),
        ("spacing_mm = 1.5", "spacing_mm = 0.0", "input.spacing_mm"),
        ("patch = [96, 96, 96]", "patch = [96, 96, 100]", "input.patch"),
        ("overlap = 24", "overlap = 49", "input.overlap"),
        ("[-150.0, 850.0]", "[850.0, -150.0]", "input.windows_hu"),
        ("confidence = 0.9", "confidence = nan", "thresholds.nodule.confidence"),
        ("mask = 0.4", "mask = 0.4\nlook_again = 0.95", "thresholds.nodule.look_again"),
        ("mask = 0.4", "mask = 0.4\nlook_again = 0.3", "thresholds.nodule.look_again"),
        ("mask = 0.4", "mask = 0.4\nspread = 0.3", "thresholds.nodule.spread"),
        ("mask = 0.4", "mask = 0.4\nlarge = { from = 10.0, confidence = 0.8 }", "thresholds.nodule.large.confidence"),
        ("mask = 0.4", "mask = 0.4\nlarge = { from = -1.0, confidence = 0.95 }", "thresholds.nodule.large.from"),
        ("[\"emphysema\", \"nodule\"]", "[\"nodule\"]", "thresholds.emphysema"),
        ("[\"emphysema\", \"nodule\"]", "[\"nodule\", \"emphysema\", \"lymph_node\"]", "thresholds.lymph_node"),
        ("[\"emphysema\", \"nodule\"]", "[\"nodule\", \"nodule\"]", "outputs.channels"),
        ("network = \"full.onnx\"", "network = \"other.onnx\"", "variants.network"),
        ("accelerator = \"any\"", "accelerator = \"tensorrt\"", "variants"),
        ("input = \"golden/input.npy\"", "input = \"golden/none.npy\"", "golden.input"),
        ("expected = \"golden/expected.npy\"\n", "", "golden.expected"),
        ("tolerance = 0.02", "tolerance = 2.0", "golden.tolerance"),
        ("\"half.onnx\" = \"0", "\"half.onnx\" = \"z", "files.\"half.onnx\""),
        ("[files]", "[files]\n\"../out\" = \"\"", "files.\"../out\""),
        ("[files]", "[files]\n\"model.toml\" = \"\"", "files.\"model.toml\""),
    ] {
        match Manifest::parse(&text().replacen(from, to, 1)) {
            Err(Error::Value(bad)) => assert_eq!(bad.key, key, "{bad}"),
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn least_sizes_rise_with_the_slices_up_to_the_thickest_that_is_taken() {
    let with = |pairs: &str| {
        let line = format!("max_slice_spacing_mm = 8.0\nleast_size = {pairs}");
        Manifest::parse(&text().replacen("max_slice_spacing_mm = 2.5", &line, 1))
    };
    let read = with("[[1.5, 4.0], [3, 6], [5.0, 10.0], [8.0, 15.0]]").unwrap();
    let limits = &read.volume().unwrap().findings[&ChestFinding::Nodule];
    assert_eq!([1.0, 3.0, 4.0, 8.0].map(|mm| limits.least_size_at(mm)), [Some(4.0), Some(6.0), Some(8.0), Some(15.0)]);
    let refused = |manifest: Result<Manifest, Error>| match manifest {
        Err(Error::Value(bad)) => (bad.key, bad.reason),
        other => panic!("{other:?}"),
    };
    for (pairs, reason) in [
        ("[[5.0, 4.0], [3.0, 6.0], [8.0, 9.0]]", "slices of 3 mm come after 5 mm: they must rise"),
        ("[[5.0, 4.0], [5.0, 6.0], [8.0, 9.0]]", "slices of 5 mm come after 5 mm: they must rise"),
        ("[[5.0, 6.0], [8.0, 4.0]]", "size 4 comes after 6: thicker slices cannot show smaller things"),
        ("[[0.0, 4.0], [8.0, 6.0]]", "slices of 0 mm are not within 0 to 20 mm"),
        ("[[nan, 4.0], [8.0, 6.0]]", "slices of NaN mm are not within 0 to 20 mm"),
        ("[[5.0, -1.0], [8.0, 6.0]]", "size -1 is not within 0 to 1000"),
        ("[[1.5, 4.0], [5.0, 6.0]]", "ends at 5 mm, max_slice_spacing_mm is 8 mm"),
        ("[[1.5, 4.0], [10.0, 6.0]]", "ends at 10 mm, max_slice_spacing_mm is 8 mm"),
    ] {
        let key = "intended_use.findings.Nodule.least_size".to_owned();
        assert_eq!(refused(with(pairs)), (key, reason.to_owned()), "{pairs}");
    }
    let of = |line: &str| text().replacen("[intended_use.findings.emphysema]", line, 1);
    let share = of("[intended_use.findings.emphysema]\nleast_size = [[1.0, 1.0]]");
    assert_eq!(refused(Manifest::parse(&share)).1, "a share of the lungs has no least size");
    let open = text().replacen("max_slice_spacing_mm = 2.5", "least_size = [[1.0, 1.0]]", 1);
    assert_eq!(refused(Manifest::parse(&open)).1, "the finding has no max_slice_spacing_mm");
    assert!(with("[[1.0]]").is_err());
}

#[test]
fn an_unknown_task_is_refused_by_name_and_never_read_as_another() {
    for unknown in ["mr_knee", "CT_CHEST", "ct_chest ", ""] {
        let text = text().replace("task = \"ct_chest\"", &format!("task = \"{unknown}\""));
        let Err(Error::Value(bad)) = Manifest::parse(&text) else { panic!("{unknown:?} was taken") };
        assert_eq!(bad.key, "task");
        assert_eq!(
            bad.reason,
            format!("this software has no task {unknown:?}; it has ct_chest, us_breast, us_breast_stills, mg_breast")
        );
    }
    assert!(crate::task::ALL.iter().all(|task| crate::task::network(task).is_some()), "each task reads something");
}

/// As `models/training/ultrasound/manifest.py` writes it.
fn ultrasound() -> String {
    let zeros = "0".repeat(64);
    format!(
        r#"format = 1
id = "us-breast"
version = "0.1.0"
task = "us_breast"
licence = "Apache-2.0"
clearance = "research"
[intended_use]
modality = "US"
body_part = "BREAST"
min_age_years = 18.0
[intended_use.findings.breast_lesion]
[input]
size = [256, 256]
resize = "letterbox"
[outputs]
stride = 2
channels = [
    "lesion",
    "malignant",
    "irregular",
    "not_parallel",
    "not_circumscribed",
    "anechoic",
    "heterogeneous",
    "enhancement",
    "shadowing",
]
[thresholds.lesion]
confidence = 0.953
mask = 0.4
min_size = 2.0
[thresholds.malignant]
confidence = 0.5
[[variants]]
accelerator = "cuda"
precision = "fp16"
network = "large.onnx"
expected = "golden/large.npy"
[[variants]]
accelerator = "any"
precision = "fp32"
network = "fast.onnx"
expected = "golden/fast.npy"
[golden]
input = "golden/input.npy"
tolerance = 0.02
[files]
"large.onnx" = "{zeros}"
"fast.onnx" = "{zeros}"
"golden/input.npy" = "{zeros}"
"golden/large.npy" = "{zeros}"
"golden/fast.npy" = "{zeros}"
"#
    )
}

#[test]
fn a_network_for_pictures_is_read_with_the_answer_of_each_variant() {
    let manifest = Manifest::parse(&ultrasound()).unwrap();
    let picture = manifest.picture().unwrap();
    assert_eq!(picture.outputs.channels, picture::Channel::ALL);
    assert_eq!((picture.map(), picture.channel(picture::Channel::Shadowing)), ([128, 128], Some(8)));
    let expected = |provider| manifest.expected(manifest.fitting(provider)[0]);
    assert_eq!((expected("cpu"), expected("cuda")), (Some("golden/fast.npy"), Some("golden/large.npy")));
    assert_eq!(manifest.findings(), ["breast_lesion"]);
    let parameters = manifest.parameters();
    assert_eq!(parameters, "lesion confidence 0.953 mask 0.4 min-size 2; malignant confidence 0.5");
    assert!(manifest.volume().is_none());
}

#[test]
fn a_value_for_pictures_out_of_range_is_refused_by_key() {
    for (from, to, key) in [
        ("size = [256, 256]", "size = [256, 250]", "input.size"),
        ("stride = 2", "stride = 3", "outputs.stride"),
        ("    \"lesion\",\n", "", "outputs.channels"),
        ("    \"malignant\",\n", "", "outputs.channels"),
        ("\"anechoic\"", "\"shadowing\"", "outputs.channels"),
        ("confidence = 0.953", "confidence = 1.0", "thresholds.lesion.confidence"),
        ("min_size = 2.0", "min_size = -2.0", "thresholds.lesion.min_size"),
        ("confidence = 0.5", "confidence = nan", "thresholds.malignant.confidence"),
        ("expected = \"golden/large.npy\"\n", "", "golden.expected"),
        ("expected = \"golden/large.npy\"", "expected = \"golden/none.npy\"", "variants.expected"),
    ] {
        match Manifest::parse(&ultrasound().replacen(from, to, 1)) {
            Err(Error::Value(bad)) => assert_eq!(bad.key, key, "{bad}"),
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn keys_of_another_kind_of_network_are_unknown() {
    for (from, to) in [
        ("resize =", "overlap = 3\nresize ="),
        ("\"lesion\"", "\"nodule\""),
        ("findings.breast_lesion", "findings.nodule"),
        ("task = \"us_breast\"", "task = \"ct_chest\""),
        ("\"letterbox\"", "\"stretch\""),
    ] {
        let error = Manifest::parse(&ultrasound().replacen(from, to, 1)).unwrap_err();
        assert!(matches!(&error, Error::Syntax(text) if text.contains("line ")), "{error}");
    }
}

#[test]
fn shipped_networks_in_8_bits_are_for_tensorrt_only_and_have_to_beat_a_float_one() {
    let packages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packages");
    let mut seen = 0;
    for folder in std::fs::read_dir(packages).unwrap().flatten() {
        let manifest = Manifest::parse(&std::fs::read_to_string(folder.path().join("model.toml")).unwrap()).unwrap();
        for variant in manifest.variants.iter().filter(|variant| variant.precision == Precision::Int8) {
            // Elsewhere Q/DQ are computed in float, beside the float network and slower.
            assert_eq!(variant.accelerator, Fits::Tensorrt, "{}: {}", manifest.id, variant.network);
            seen += 1;
        }
        for provider in ["cpu", "cuda", "tensorrt", "onnxruntime-tensorrt"] {
            let first = manifest.fitting(provider)[0].precision;
            assert_ne!(first, Precision::Int8, "{}: on {provider} the first one wins when they are alike", manifest.id);
        }
    }
    println!("{seen} networks in 8 bits");
}
