//! The test bodies that every implementation of a device must pass. They panic with the broken promise.

use crate::accel::{Accelerator, Error, Kind, Tensor};

/// A network an implementation can load, and what it answers: input `[N, 2]`, output of the same shape.
#[derive(Debug)]
pub struct Known<'a> {
    pub onnx: &'a [u8],
    pub answer: fn(f32) -> f32,
}

/// Every accelerator: shapes in and out, repeatability, and errors of the documented kind.
///
/// # Panics
/// When the accelerator breaks the contract.
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub fn accelerator(device: &dyn Accelerator, known: &Known<'_>) {
    let description = device.describe();
    assert!(!description.provider.is_empty() && !description.library.is_empty(), "it must say what it is");
    assert!(device.fingerprint().contains(&description.provider), "what engines are bound to names the provider");
    assert_eq!(device.fingerprint(), device.fingerprint(), "and is the same when nothing changed");

    let garbage = device.load(b"garbage, not a network").expect_err("garbage must not load");
    assert_eq!(garbage.kind(), Kind::BadModel, "{garbage}");
    assert_eq!(device.load(&[]).expect_err("nothing must not load").kind(), Kind::BadModel);

    let mut model = device.load(known.onnx).expect("the known network must load");
    assert_eq!((model.inputs().len(), model.outputs().len()), (1, 1), "one input, one output");
    for rows in [1, 3] {
        let data: Vec<f32> = (0..rows * 2).map(|i| i as f32 * 0.5 - 1.0).collect();
        let input = Tensor { shape: vec![rows, 2], data };
        let first = model.run(std::slice::from_ref(&input)).expect("a run that fits must succeed");
        let want: Vec<f32> = input.data.iter().map(|v| (known.answer)(*v)).collect();
        assert_eq!(first, vec![Tensor { shape: vec![rows, 2], data: want }], "shape and values of the answer");
        assert_eq!(model.run(std::slice::from_ref(&input)).unwrap(), first, "the same input gives the same answer");
    }

    let kind = |r: Result<Vec<Tensor>, Error>| r.expect_err("a wrong input must be refused").kind();
    assert_eq!(kind(model.run(&[])), Kind::BadInput, "no input");
    let short = Tensor { shape: vec![1, 2], data: vec![0.0] };
    assert_eq!(kind(model.run(&[short])), Kind::BadInput, "fewer values than the shape says");
    let two = Tensor { shape: vec![1, 2], data: vec![0.0, 1.0] };
    assert_eq!(kind(model.run(&[two.clone(), two.clone()])), Kind::BadInput, "two inputs");
    assert!(model.run(&[two]).is_ok(), "a refused input leaves the network usable");
}

/// Devices that check shapes against the network (all real ones): a wrong rank or extent is refused.
///
/// # Panics
/// When the accelerator breaks the contract.
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub fn accelerator_checks_shapes(device: &dyn Accelerator, known: &Known<'_>) {
    let mut model = device.load(known.onnx).expect("the known network must load");
    for shape in [vec![1, 3], vec![2], vec![1, 1, 2]] {
        let data = vec![0.0; shape.iter().product()];
        let refused = model.run(&[Tensor { shape: shape.clone(), data }]).expect_err("a wrong shape must be refused");
        assert_eq!(refused.kind(), Kind::BadInput, "{shape:?}: {refused}");
    }
}

/// Failure on demand: `device` was asked to fail with `Kind::Device` after one run.
///
/// # Panics
/// When the accelerator breaks the contract.
#[allow(clippy::unwrap_used, clippy::expect_used)]
pub fn accelerator_fails_on_demand(device: &dyn Accelerator, known: &Known<'_>) {
    let mut model = device.load(known.onnx).expect("the known network must load");
    let input = Tensor { shape: vec![1, 2], data: vec![0.0, 1.0] };
    assert!(model.run(std::slice::from_ref(&input)).is_ok());
    assert_eq!(model.run(&[input]).expect_err("the second run must fail").kind(), Kind::Device);
}

/// The contract at each depth: `sim_` always, `real_` where ONNX Runtime is present.
#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::Known;
    use crate::accel::scripted::Scripted;
    use crate::accel::{AcceleratorConfig, Kind, open};

    const PLUS_ONE: &[u8] = include_bytes!("accel/probe.onnx");

    fn known() -> Known<'static> {
        Known { onnx: PLUS_ONE, answer: |v| v + 1.0 }
    }

    /// `SCANSIDE_ONNXRUNTIME`, or what `make setup` put into the cache.
    fn library() -> Option<PathBuf> {
        if let Some(path) = std::env::var_os("SCANSIDE_ONNXRUNTIME").filter(|p| !p.is_empty()) {
            return Some(path.into());
        }
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/onnxruntime");
        let found = std::fs::read_dir(cache)
            .ok()?
            .flatten()
            .map(|e| e.path())
            .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("libonnxruntime.so")));
        if found.is_none() {
            println!("skipped: ONNX Runtime not present");
        }
        found
    }

    fn config(provider: &str, library: PathBuf) -> AcceleratorConfig {
        AcceleratorConfig { provider: provider.into(), library, threads: 1, cache: None }
    }

    #[test]
    fn sim_accelerator_contract() {
        super::accelerator(&Scripted::each_voxel(|v| v + 1.0), &known());
        super::accelerator_fails_on_demand(&Scripted::zeros().failing_after(1, Kind::Device), &known());
    }

    #[test]
    fn real_cpu_accelerator_contract() {
        let Some(library) = library() else { return };
        let device = open(&config("cpu", library)).unwrap();
        assert_eq!(device.describe().fallback, None);
        super::accelerator(device.as_ref(), &known());
        super::accelerator_checks_shapes(device.as_ref(), &known());
    }

    #[test]
    fn real_a_provider_that_cannot_be_used_is_replaced_by_name() {
        let Some(library) = library() else { return };
        for provider in ["cuda", "tensorrt"] {
            let device = open(&config(provider, library.clone())).unwrap();
            let description = device.describe();
            if description.provider != provider {
                let reason = description.fallback.expect("a replacement must be explained");
                assert!(reason.contains(&format!("{provider} requested")), "{reason}");
                assert!(reason.ends_with(&format!("using {}", description.provider)), "{reason}");
            }
            super::accelerator(device.as_ref(), &known());
        }
    }
}
