//! `kill -9` at every step of installing, building, activating, rolling back and removing. A child process stops at each
//! step until its parent lets it go on; the parent kills it at the first, the second, ... until it came to its end.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::tests::{Home, TASK, key};
use super::*;
use crate::step::FOLDER;

/// A day in the life: 2.0.0 comes, is used, is left again, and 1.0.0 goes.
fn day(home: &Home) {
    let mut registry = home.open();
    Home::install(&mut registry, "2.0.0").unwrap();
    let ready = Home::ready(&registry, "2.0.0");
    registry.built(&key("2.0.0"), ready).unwrap();
    registry.activate(&key("2.0.0")).unwrap();
    if registry.selection(TASK).last_good.is_some() {
        registry.rollback(TASK).unwrap();
        registry.activate(&key("2.0.0")).unwrap();
    }
    if registry.get(&key("1.0.0")).is_ok() {
        registry.remove(&key("1.0.0")).unwrap();
    }
    Home::install(&mut registry, "3.0.0").unwrap();
    let bad = Record { outcome: Outcome::Refused { reason: "bad".into() }, ..Home::ready(&registry, "3.0.0") };
    registry.built(&key("3.0.0"), bad).unwrap();
    registry.remove(&key("3.0.0")).unwrap();
}

#[test]
#[ignore = "runs as a process of its own, started by the test below"]
fn child() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        day(&Home::at(Path::new(&folder)));
    }
}

/// Kills the child at its step number `at` (from 1); answers the name of that step, `None` when it ended before.
fn killed_at(at: usize, folder: &Path) -> Option<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["registry::crash::child", "--exact", "--ignored", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut go_on = child.stdin.take().unwrap();
    let mut steps = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = 0;
    let killed = loop {
        match steps.find(|line| line.starts_with("step: ")) {
            Some(what) => {
                seen += 1;
                if seen == at {
                    child.kill().unwrap();
                    break Some(what);
                }
                go_on.write_all(b".").unwrap();
            }
            None => break None,
        }
    };
    let status = child.wait().unwrap();
    assert!(killed.is_some() || status.success(), "the child failed after {seen} steps");
    killed
}

#[test]
fn killed_at_any_step_the_last_good_package_is_active_and_nothing_is_half_installed() {
    let mut steps = Vec::new();
    loop {
        let home = Home::new();
        let mut registry = home.open();
        Home::install(&mut registry, "1.0.0").unwrap();
        let ready = Home::ready(&registry, "1.0.0");
        registry.built(&key("1.0.0"), ready).unwrap();
        registry.activate(&key("1.0.0")).unwrap();
        drop(registry);

        let Some(step) = killed_at(steps.len() + 1, home.path()) else { break };
        let what = format!("killed at step {}, {step}", steps.len() + 1);
        let registry = home.open();
        let active = registry.active(TASK).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(["1.0.0", "2.0.0"].contains(&active.key.version.as_str()), "{what}: {} is active", active.key);
        for entry in registry.entries() {
            entry.open(&registry.trust).unwrap_or_else(|error| panic!("{what}: {}: {error}", entry.key));
        }
        let left = std::fs::read_dir(layout::staging(home.path())).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{what}: the start swept");
        drop(registry);

        // What was cut off can be done again, to the same end.
        day(&home);
        let registry = home.open();
        assert_eq!(registry.active(TASK).unwrap().key, key("2.0.0"), "{what}");
        assert!(registry.get(&key("3.0.0")).is_err(), "{what}");
        steps.push(step);
    }
    println!("killed at {} steps: {steps:#?}", steps.len());
    assert!(steps.len() > 40, "{steps:#?}");
}
