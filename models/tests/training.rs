//! The way from phantoms to a package, in minutes: the script that `make train-smoke` calls too. It trains for 20 steps and
//! fails when the loss does not fall or the ONNX file differs from PyTorch; the package it writes must open.

use std::path::Path;
use std::process::Command;

use models::package::Package;

#[test]
fn twenty_steps_of_training_make_a_package_that_opens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut script = Command::new(root.join("models/training/train.sh"));
    // Tests of the whole workspace have built it; the script builds it where only these run.
    let tests = std::env::current_exe().unwrap();
    let phantom = tests.ancestors().nth(2).unwrap().join("phantom");
    if phantom.is_file() {
        script.env("SCANSIDE_PHANTOM", phantom);
    }
    let made = script.arg("--smoke").output().unwrap();
    let said = String::from_utf8_lossy(&made.stdout);
    assert!(made.status.success(), "{said}{}", String::from_utf8_lossy(&made.stderr));
    let folder = said.lines().rev().find_map(|line| line.strip_prefix("train: done: ")).unwrap();
    let package = Package::open(Path::new(folder)).unwrap();
    assert_eq!(package.manifest.volume().unwrap().outputs.channels, models::manifest::Channel::ALL);
    for provider in ["cpu", "cuda"] {
        assert!(!package.network(provider).unwrap().1.is_empty());
    }
}
