//! Patches that stay on a card, by TensorRT itself on a simulated library and a simulated card: the same answer as through the host's
//! memory, bit by bit; what crosses the bus; what becomes of a volume whose card fails, is full, or answers nonsense.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hal::accel::scripted::Scripted;
use hal::accel::tensorrt::TENSORRT_KEY;
use hal::accel::tensorrt::simulated_ffi::Simulated;
use hal::accel::{self, Accelerator, AcceleratorConfig, OnCard, Patchwork, open};
use hal::cuda::simulated_ffi::Driver;
use hal::{LoadedModel, Tensor};
use models::grid::Grid;
use models::patchwork::{Pass, blended};
use models::postprocess::patches;
use models::task::{Control, TaskFault, Unattended};
use needs::Lack;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

const RTX: i32 = 10_701;

struct Site {
    driver: Driver,
    library: Simulated,
    _folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    /// `None` where the environment names another TensorRT, which wins.
    fn new() -> Option<Self> {
        if std::env::var_os(TENSORRT_KEY).is_some_and(|value| !value.is_empty()) {
            needs::skip(Lack::Host, format_args!("{TENSORRT_KEY} is set: it wins over the simulated one"));
            return None;
        }
        static ONE: Mutex<()> = Mutex::new(());
        let turn = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let driver = Driver::load(Path::new(env!("CARGO_TARGET_TMPDIR")), &[]).unwrap();
        driver.say(c"heal", 0);
        let folder = tempfile::tempdir().unwrap();
        let library = Simulated::load(folder.path(), RTX).unwrap();
        Some(Self { driver, library, _folder: folder, _turn: turn })
    }

    fn model(&self, case: &Case, live: bool) -> Box<dyn LoadedModel> {
        let tensorrt = self.library.folder.clone();
        let config = AcceleratorConfig { provider: "tensorrt".into(), tensorrt, live, ..AcceleratorConfig::default() };
        let [width, height, depth] = case.patch;
        let network = format!("Add patches {} {} {depth} {height} {width}", case.channels, case.windows.len());
        open(&config).unwrap_or_else(|error| panic!("{error}")).load(network.as_bytes()).unwrap()
    }

    fn taken(&self) -> i64 {
        self.driver.say(c"taken", 0)
    }

    fn clean(&self) {
        for wrong in [c"bad address", c"freed twice", c"written beyond", c"destroyed with work"] {
            assert_eq!(self.driver.say(wrong, 0), 0, "{wrong:?}");
        }
    }
}

#[derive(Debug, Clone)]
struct Case {
    grid: Grid,
    hu: Arc<Vec<i16>>,
    patch: [usize; 3],
    overlap: usize,
    windows: Vec<[f32; 2]>,
    channels: usize,
}

impl Case {
    fn new(
        dims: [usize; 3],
        patch: [usize; 3],
        (windows, channels, overlap): (usize, usize, usize),
        seed: u64,
    ) -> Self {
        let grid = Grid { dims, spacing_mm: [1.0; 3] };
        let number = |i: u64| (seed.wrapping_add(i).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as u16 as i16 / 16;
        let hu = (0..grid.len() as u64).map(number).collect();
        let windows = [[-1000.0, 400.0], [-160.0, 240.0], [300.0, 1500.0]][..windows].to_vec();
        Self { grid, hu: Arc::new(hu), patch, overlap, windows, channels }
    }

    /// Many patches.
    fn example() -> Self {
        Self::new([17, 14, 12], [6, 5, 4], (2, 3, 2), 7)
    }

    fn pass(&self) -> Pass<'_> {
        let Self { grid, hu, patch, overlap, windows, channels } = self;
        Pass { grid, hu, size: *patch, overlap: *overlap, windows, channels: *channels }
    }

    fn origins(&self) -> Vec<[usize; 3]> {
        patches::origins(&self.grid, self.patch, self.overlap)
    }

    fn on(&self, model: &mut dyn LoadedModel, control: &dyn Control) -> Result<Vec<Vec<u16>>, models::task::Error> {
        blended(&self.pass(), &self.origins(), model, control)
    }

    /// The network of the simulated library on the processor.
    fn cpu(&self) -> Scripted {
        let (windows, channels) = (self.windows.len(), self.channels);
        Scripted::new(move |inputs| {
            let Tensor { shape, data } = &inputs[0];
            let voxels = data.len() / windows;
            let value = |channel: usize, i: usize| {
                let sum = (0..windows).fold(0.0f32, |sum, window| sum + data[window * voxels + i]);
                sum / windows as f32 * ((channel + 1) as f32 / channels as f32)
            };
            let data = (0..channels).flat_map(|c| (0..voxels).map(move |i| (c, i))).map(|(c, i)| value(c, i)).collect();
            Ok(vec![Tensor { shape: [&[1, channels], &shape[2..]].concat(), data }])
        })
    }

    fn by_cpu(&self) -> Vec<Vec<u16>> {
        self.on(self.cpu().load(b"a network").unwrap().as_mut(), &Unattended).unwrap()
    }
}

/// Does something before patch number `at`, and may end the work there.
struct Before<F> {
    at: usize,
    what: F,
    seen: AtomicUsize,
    ended: AtomicBool,
}

impl<F: Fn() -> bool + Sync> Before<F> {
    fn new(at: usize, what: F) -> Self {
        Self { at, what, seen: AtomicUsize::new(0), ended: AtomicBool::new(false) }
    }
}

impl<F: Fn() -> bool + Sync> Control for Before<F> {
    fn progress(&self, _: &str, _: f64) {
        if self.seen.fetch_add(1, Ordering::SeqCst) == self.at {
            self.ended.store((self.what)(), Ordering::SeqCst);
        }
    }

    fn cancelled(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// A card with the processor behind it, as the daemon has them: runs are the processor's.
#[derive(Debug)]
struct WithCpu {
    card: Box<dyn LoadedModel>,
    cpu: Box<dyn LoadedModel>,
}

impl LoadedModel for WithCpu {
    fn inputs(&self) -> &[String] {
        self.cpu.inputs()
    }

    fn outputs(&self) -> &[String] {
        self.cpu.outputs()
    }

    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, accel::Error> {
        self.cpu.run(inputs)
    }

    fn on_card(&mut self, work: &Arc<Patchwork>) -> Result<Option<Box<dyn OnCard + '_>>, accel::Error> {
        self.card.on_card(work)
    }
}

#[test]
fn sim_patches_that_stay_on_the_card_give_the_answer_of_the_processor_bit_by_bit() {
    let Some(site) = Site::new() else { return };
    let sizes = (prop::array::uniform3(1..7usize), prop::array::uniform3(0..9usize));
    let strategy = (sizes, (1..4usize, 1..5usize, 0..5usize), any::<u64>());
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&strategy, |((patch, more), shape, seed)| {
            let case = Case::new([0, 1, 2].map(|a| patch[a] + more[a]), patch, shape, seed);
            let mut model = site.model(&case, false);
            let before = site.library.say(c"runs", 0);
            prop_assert_eq!(case.on(model.as_mut(), &Unattended).unwrap(), case.by_cpu());
            let runs = site.library.say(c"runs", 0) - before;
            prop_assert_eq!(runs, case.origins().len() as i64, "the card has made them");
            Ok(())
        })
        .unwrap();
    site.clean();
}

#[test]
fn sim_only_the_volume_goes_up_and_only_the_maps_come_down() {
    let Some(site) = Site::new() else { return };
    let case = Case::example();
    let mut model = site.model(&case, false);
    let (taken, streams) = (site.taken(), site.driver.say(c"streams", 0));
    let crossed = || [c"bytes up", c"bytes down"].map(|what| site.driver.say(what, 0));
    let before = crossed();
    let (during, driver) = (AtomicUsize::new(0), site.driver);
    let look = Before::new(1, || {
        during.store(driver.say(c"taken", 0) as usize, Ordering::SeqCst);
        false
    });
    case.on(model.as_mut(), &look).unwrap();
    let after = crossed();
    let (patches, points) = (case.origins().len(), case.grid.len());
    let weights: usize = (0..3).map(|a| (case.patch[a] + case.grid.dims[a]) * 4).sum();
    assert!(patches > 20, "{patches}");
    assert_eq!((after[0] - before[0]) as usize, points * 2 + weights, "the volume once, and the weights");
    assert_eq!((after[1] - before[1]) as usize, points * case.channels * 2 + patches * 4, "the maps, a word a patch");
    assert_eq!(site.driver.say(c"streams", 0), streams, "on the engine's own stream, with its priority");
    assert!(during.into_inner() as i64 > taken);
    assert_eq!(site.taken(), taken, "its memory is free again");
    site.clean();
}

#[test]
fn sim_who_ends_a_study_is_heard_between_patches_and_the_card_is_free_again() {
    let Some(site) = Site::new() else { return };
    let case = Case::example();
    let mut model = site.model(&case, false);
    let (taken, runs) = (site.taken(), site.library.say(c"runs", 0));
    let ended = case.on(model.as_mut(), &Before::new(2, || true)).unwrap_err();
    assert_eq!(ended.kind(), TaskFault::Cancelled);
    assert_eq!(site.library.say(c"runs", 0) - runs, 3, "the patch that was begun is the last");
    assert_eq!(site.taken(), taken);
    assert_eq!(case.on(model.as_mut(), &Unattended).unwrap(), case.by_cpu(), "the next study is whole");
    site.clean();
}

#[test]
fn sim_a_card_that_fails_in_the_middle_costs_time_and_changes_no_number() {
    let Some(site) = Site::new() else { return };
    let case = Case::example();
    let want = case.by_cpu();
    let driver = site.driver;
    for (fault, value) in [(c"next work fails", 719), (c"next work fails", 1), (c"hung", 1)] {
        driver.say(c"heal", 0);
        let script = case.cpu();
        // Live: a card that hangs is waited for for seconds.
        let mut model = WithCpu { card: site.model(&case, true), cpu: script.load(b"a network").unwrap() };
        let fails = Before::new(5, move || {
            driver.say(fault, value);
            false
        });
        assert_eq!(case.on(&mut model, &fails).unwrap(), want, "{fault:?} {value}");
        assert_eq!(script.runs(), case.origins().len(), "{fault:?}: all patches again, also those that were blended");
        assert!(fails.seen.into_inner() >= case.origins().len() + 6);
    }
    driver.say(c"heal", 0);
    let mut model = WithCpu { card: site.model(&case, false), cpu: case.cpu().load(b"a network").unwrap() };
    let taken = site.taken();
    let refuses = Before::new(5, || {
        site.library.say(c"no run", 1);
        false
    });
    assert_eq!(case.on(&mut model, &refuses).unwrap(), want, "the library refuses a run");
    assert_eq!(site.taken(), taken);
    site.clean();
}

#[test]
fn sim_a_volume_that_does_not_fit_goes_through_the_hosts_memory_on_the_same_card() {
    let Some(site) = Site::new() else { return };
    let case = Case::example();
    let mut model = site.model(&case, false);
    let need = case.grid.len() * 2 * (1 + case.channels)
        + (0..3).map(|a| (case.patch[a] + case.grid.dims[a]) * 4).sum::<usize>();
    let down = |model: &mut dyn LoadedModel| {
        let before = site.driver.say(c"bytes down", 0);
        assert_eq!(case.on(model, &Unattended).unwrap(), case.by_cpu());
        site.driver.say(c"bytes down", 0) - before
    };
    let patches = case.origins().len();
    let answers = (patches * case.patch.iter().product::<usize>() * case.channels * 4) as i64;
    let maps = (case.grid.len() * case.channels * 2 + patches * 4) as i64;
    let taken = site.taken();
    // Known beforehand: half of what is free must be enough.
    site.driver.say(c"free", need as i64 * 2);
    assert_eq!(down(model.as_mut()), maps);
    site.driver.say(c"free", need as i64 * 2 - 2);
    assert_eq!(down(model.as_mut()), answers);
    site.driver.say(c"free", i64::MAX);
    // And when the card gives none all the same.
    site.driver.say(c"no memory", 1);
    assert_eq!(down(model.as_mut()), answers);
    site.driver.say(c"no memory", 0);
    assert_eq!((down(model.as_mut()), site.taken()), (maps, taken));
    site.clean();
}

#[test]
fn sim_an_answer_that_makes_no_sense_is_seen_on_the_card_too() {
    let Some(site) = Site::new() else { return };
    let case = Case::example();
    let mut model = site.model(&case, false);
    let taken = site.taken();
    let spoilt = Before::new(3, || {
        site.library.say(c"no sense", 1);
        false
    });
    let refused = case.on(model.as_mut(), &spoilt).unwrap_err();
    assert_eq!(refused.kind(), TaskFault::BadOutput);
    assert!(refused.to_string().contains("answered NaN, which is no probability"), "{refused}");
    assert_eq!(site.taken(), taken);
    assert_eq!(case.on(model.as_mut(), &Unattended).unwrap(), case.by_cpu(), "and forgotten with the next volume");
}

#[test]
fn sim_an_answer_of_another_shape_is_the_networks_fault_as_before() {
    let Some(site) = Site::new() else { return };
    let case = Case::example();
    let mut model = site.model(&case, false);
    let more = Case { channels: 4, ..case };
    assert_eq!(more.on(model.as_mut(), &Unattended).unwrap_err().kind(), TaskFault::BadModel);
}
