//! Every value that a manifest may not have, refused by its key.

use super::*;

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
    assert_eq!((manifest.channel(Channel::Nodule), manifest.channel(Channel::LymphNode)), (Some(1), None));
    assert_eq!(manifest.intended_use.findings[&Finding::Nodule].kernels, Kernels::Soft);
    assert_eq!(manifest.intended_use.findings[&Finding::Emphysema], Limits::default());
    let network = |provider| manifest.variant(provider).map(|v| v.network.as_str());
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
        ("[\"emphysema\", \"nodule\"]", "[\"nodule\"]", "thresholds.emphysema"),
        ("[\"emphysema\", \"nodule\"]", "[\"nodule\", \"emphysema\", \"lymph_node\"]", "thresholds.lymph_node"),
        ("[\"emphysema\", \"nodule\"]", "[\"nodule\", \"nodule\"]", "outputs.channels"),
        ("network = \"full.onnx\"", "network = \"other.onnx\"", "variants.network"),
        ("accelerator = \"any\"", "accelerator = \"tensorrt\"", "variants"),
        ("input = \"golden/input.npy\"", "input = \"golden/none.npy\"", "golden.input"),
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
