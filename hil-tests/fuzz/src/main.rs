//! One program for all targets: `SCANSIDE_FUZZ_TARGET` names one. With `SCANSIDE_FUZZ_SEEDS` it writes the seeds of that
//! target into this folder, and ends. `hil-tests/scripts/fuzz.sh` builds and starts it.

#![no_main]

#[cfg(feature = "others")]
#[path = "../../tests/mutation/association.rs"]
mod association;
#[path = "../../tests/mutation/decoders.rs"]
mod decoders;
#[cfg(feature = "others")]
#[path = "../../tests/mutation/messages.rs"]
mod messages;
#[cfg(feature = "others")]
#[path = "../../tests/mutation/others.rs"]
mod others;
#[cfg(feature = "others")]
#[path = "../../tests/mutation/page.rs"]
mod page;
#[path = "../../tests/mutation/seeds.rs"]
mod seeds;
#[path = "../../tests/mutation/targets.rs"]
mod targets;
#[path = "../../tests/mutation/watch.rs"]
mod watch;

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use targets::Target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("SCANSIDE_FUZZ_TARGET").unwrap_or_default();
    all().find(|target| target.name == name).unwrap_or_else(|| {
        let names: Vec<_> = all().map(|target| target.name).collect();
        eprintln!("SCANSIDE_FUZZ_TARGET must be one of {}", names.join(" "));
        std::process::exit(2);
    })
});

fn all() -> impl Iterator<Item = &'static Target> {
    #[cfg(feature = "others")]
    return decoders::ALL.iter().chain(others::ALL);
    #[cfg(not(feature = "others"))]
    return decoders::ALL.iter();
}

fn begin() {
    let target = *TARGET;
    if let Some(folder) = std::env::var_os("SCANSIDE_FUZZ_SEEDS").map(PathBuf::from) {
        seeds::check();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:03}")), seed).unwrap();
        }
        std::process::exit(0);
    }
    watch::note_panics();
}

fuzz_target!(init: begin(), |bytes: &[u8]| {
    if let Err(panics) = watch::run(*TARGET, bytes) {
        eprintln!("panicked: {panics}");
        std::process::abort();
    }
});
